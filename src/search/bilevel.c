/* bilevel: the search loop. */
#include "search/bilevel.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "search/derive.h"
#include "train/evaluate.h"
#include "train/supernet.h"

/* ---- before the run ---- */

/* What depends on no more of the data than their height. */
static const char *resolve(Arena *perm, const SearchSettings *s, int64_t height, Search *out)
{
    Strategy *t = &out->strategy;
    const char *ops = strcmp(s->ops, "auto") ? s->ops : space_auto_ops(height), *why;
    why = strategy_make(perm, &s->strategy, &out->strategy);
    if (!why) why = space_make(perm, ops, s->nodes, s->inputs, s->concat ? s->concat : s->nodes, &out->space);
    if (why) return why;
    if (t->warmup < 0) t->warmup = (int64_t)(t->warmup_share * (double)s->epochs + 0.5);
    if (t->warmup > s->epochs)
        return arena_printf(perm, "--warmup %lld: more than the %lld epochs", (long long)t->warmup,
                            (long long)s->epochs);
    if (s->channels % t->share)
        return arena_printf(perm, "--channel-share %lld: it must divide the %lld channels", (long long)t->share,
                            (long long)s->channels);
    out->net = (NetSpec){.channels = s->channels,
                         .layers = s->layers,
                         .stem_multiplier = 3,
                         .share = t->share,
                         .auxiliary_skip = t->auxiliary_skip};
    why = reduce_parse(perm, s->reduce_at, s->layers, out->net.reduce_at, COUNTOF(out->net.reduce_at),
                       &out->net.reduce_count);
    return why ? arena_printf(perm, "--reduce-at: %s", why) : 0;
}

const char *search_settings_check(Arena *perm, const SearchSettings *s)
{
    Search unused = {0};
    return resolve(perm, s, 1, &unused);
}

static const char *start_engine(Search *s, Arena *perm, const EngineOptions *options)
{
    const Workplace *w = s->place;
    const char *why = 0;
    s->engine = workplace_engine(perm, w, s->graph, options, &why);
    if (!s->engine) return why;
    const DatasetInfo *d = &w->data->info; /* no cutout: it is for the final training */
    Augment augment = {
        .flip_horizontal = d->flip_horizontal, .flip_vertical = d->flip_vertical, .crop_padding = d->crop_padding};
    LoaderSpec spec = {.split = SPLIT_TRAIN,
                       .batch = options->batch,
                       .limit = s->settings->limit,
                       .shuffle = true,
                       .augment = s->settings->no_augment ? (Augment){0} : augment,
                       .seed = w->seed};
    s->train_loader = loader_open(w->data, &spec, &why);
    if (!s->train_loader) return arena_printf(perm, "the train split: %s", why);
    if (!strategy_learns(&s->strategy)) return 0;
    spec.split = SPLIT_ALPHA;
    spec.stream = 1;
    s->alpha_loader = loader_open(w->data, &spec, &why);
    if (!s->alpha_loader) return arena_printf(perm, "the alpha split: %s", why);
    return 0;
}

Moment search_moment(const Search *s, StepKind kind)
{
    int64_t epochs = s->settings->epochs;
    int64_t epoch = s->epoch < epochs ? s->epoch : epochs - 1; /* after the last one: as in it */
    return (Moment){.seed = s->place->seed,
                    .step = s->step,
                    .kind = kind,
                    .progress = epochs > 1 ? (double)epoch / (double)(epochs - 1) : 0};
}

static void mix(Search *s, StepKind kind, Arena scratch)
{
    Moment m = search_moment(s, kind);
    strategy_mix(&s->strategy, s->arch, &m, s->engine, scratch);
    engine_set_drop(s->engine, 0, m.seed, 2 * m.step + (kind == STEP_ALPHAS)); /* of noise operations */
}

static void state_guard(State *st, Search *s)
{
    GuardState *g = &s->guard;
    if (!s->strategy.guard_count) return;
    state_int(st, "guard_watched", &g->watched);
    state_int(st, "guard_judged", &g->judged);
    state_int(st, "guard_fired", &g->fired);
    state_block(st, "guard_alphas", DTYPE_F64, g->alphas, GUARD_ALPHAS * s->arch->count);
    state_block(st, "guard_measure", DTYPE_F64, g->measure, MAX_GUARDS * GUARD_MEMORY);
    state_block(st, "guard_direction", DTYPE_F64, g->direction, s->arch->count);
}

/* All that changes in a run. */
static void visit_state(void *run, State *st)
{
    Search *s = run;
    state_batch(st, s->forecast.batch);
    state_int(st, "epoch", &s->epoch);
    state_int(st, "index", &s->index);
    state_int(st, "step", &s->step);
    state_guard(st, s);
    state_real(st, "rate", &s->rate);
    state_clock(st, "seconds", &s->started);
    state_engine(st, s->engine);
    ArchState part[ARCH_STATES];
    arch_state(s->arch, part);
    for (int i = 0; i < ARCH_STATES; i++)
        if (part[i].values)
            state_block(st, part[i].name, DTYPE_F64, part[i].values, part[i].count);
        else
            state_block(st, part[i].name, DTYPE_I64, part[i].integers, part[i].count);
    state_tally(st, "train", &s->train);
    state_tally(st, "alpha", &s->alpha);
    state_loader(st, "train", s->train_loader);
    if (s->alpha_loader) state_loader(st, "alpha", s->alpha_loader);
}

static void save(Search *s, Arena scratch)
{
    checkpoint_save(s->place->checkpoint, scratch, "search", s->epoch, s->step, visit_state, s);
}

static const char *restore(Search *s, Arena *perm, Arena scratch)
{
    const char *why;
    s->resumed = checkpoint_restore(s->place->checkpoint, perm, scratch, visit_state, s, &why);
    if (s->resumed && !why) mix(s, STEP_WEIGHTS, scratch);
    return why;
}

const char *search_open(Arena *perm, Arena scratch, const Workplace *w, const SearchSettings *settings, bool start,
                        Search *s)
{
    const Dataset *d = w->data;
    *s = (Search){.place = w, .settings = settings, .task = task_find(d->info.task)};
    const char *why = resolve(perm, settings, d->info.height, s);
    if (why) return why;
    if (d->split[SPLIT_TRAIN].count < 1) return "the train split is empty";
    if (strategy_learns(&s->strategy) && d->split[SPLIT_ALPHA].count < 1)
        return "the alpha split is empty: ingest again with --alpha above 0, the architecture is fitted on it";
    s->net.input_channels = d->info.channels;
    s->net.height = d->info.height;
    s->net.width = d->info.width;
    s->net.outputs = d->info.outputs;
    s->net.loss = s->task->loss;
    why = task_detail(perm, s->task, d->info.outputs, d->info.class_weight, d->info.tree, &s->net.detail);
    if (why) return why;
    if (s->strategy.choice->kind == CHOICE_RANDOM) {
        Genotype only = strategy_random(&s->space, w->seed);
        s->net.only = arch_kept(perm, &s->space, &only);
    }
    s->graph = network_supernet(perm, &s->space, &s->net);
    if (s->graph->error) return s->graph->error;
    s->arch = arch_new(perm, &s->space, &s->net, s->strategy.edge_weights);
    strategy_start(&s->strategy, s->arch, w->seed);
    s->guard = guard_new(perm, s->arch);

    s->samples = dataset_limit(settings->limit, d->split[SPLIT_TRAIN].count);
    s->valid_limit = dataset_limit(settings->valid_limit, d->split[SPLIT_VALID].count);
    if (s->strategy.choice->kind == CHOICE_RANK && !s->valid_limit)
        return "the validation split is empty: ingest again with --valid above 0, architectures are ranked on it";
    bool learns = strategy_learns(&s->strategy);
    s->path = s->strategy.sampling->single_path;
    int64_t most = s->samples > d->split[SPLIT_ALPHA].count ? s->samples : d->split[SPLIT_ALPHA].count;
    EngineOptions options = {.device = w->device,
                             .tf32 = w->tf32,
                             .precision = w->precision,
                             .batch = dataset_limit(settings->batch, most),
                             .single_path = s->path,
                             .pool = w->pool};
    if (start) checkpoint_batch(w->checkpoint, &options.batch);
    int64_t alphas = learns ? s->samples + options.batch : 0; /* at most: a whole batch for every train batch */
    /* what the gradient takes, and the initial weights on their way to the engine */
    int64_t blocks = (s->strategy.gradient->blocks + 1) * s->graph->weight_count * (int64_t)sizeof(float);
    ForecastNeed need = {.fixed = tally_bytes(d, s->samples) + tally_bytes(d, alphas) + tally_bytes(d, s->valid_limit) +
                                  blocks,
                         .per_sample = 3 * loader_bytes(d), /* train, alpha, validation */
                         .limit = settings->memory << 20,
                         .least = 2,
                         .recompute = settings->recompute};
    why = forecast_fit(perm, scratch, s->graph, &options, &need, &s->forecast);
    s->batches = (s->samples + options.batch - 1) / options.batch;
    if (why || !start) return why;
    why = tally_open(perm, d, s->task, s->samples, options.batch, &s->train);
    if (!why) why = tally_open(perm, d, s->task, alphas, options.batch, &s->alpha);
    if (!why && s->valid_limit) why = tally_open(perm, d, s->task, s->valid_limit, options.batch, &s->valid);
    if (!why) why = start_engine(s, perm, &options);
    s->train.brief = s->alpha.brief = true;
    if (!why) why = restore(s, perm, scratch);
    if (why) search_close(s);
    s->schedule = (Schedule){
        .kind = SCHEDULE_COSINE, .lr = settings->lr, .lr_min = settings->lr_min, .epochs = (double)settings->epochs};
    s->progress = progress_start("search", settings->epochs, s->batches);
    return why;
}

void search_close(Search *s)
{
    loader_close(s->train_loader);
    loader_close(s->alpha_loader);
    if (s->engine) engine_close(s->engine);
    s->train_loader = s->alpha_loader = 0;
    s->engine = 0;
}

/* ---- records ---- */

static void put_space(Search *s, Arena a)
{
    const SearchSettings *o = s->settings;
    Settings list = {0};
    settings_add(&a, &list, "parts", "%s", strategy_parts(&a, &s->strategy));
    settings_add(&a, &list, "epochs", "%lld", (long long)o->epochs);
    settings_add(&a, &list, "warmup", "%lld", (long long)s->strategy.warmup);
    settings_add(&a, &list, "batch", "%lld", (long long)s->forecast.batch);
    if (s->place->precision != PRECISION_FP32)
        settings_add(&a, &list, "precision", "%s", precision_name[s->place->precision]);
    settings_add(&a, &list, "learning_rate", "%g", o->lr);
    settings_add(&a, &list, "learning_rate_min", "%g", o->lr_min);
    settings_add(&a, &list, "momentum", "%g", o->momentum);
    settings_add(&a, &list, "weight_decay", "%g", o->weight_decay);
    settings_add(&a, &list, "clip", "%g", o->clip);
    if (strategy_learns(&s->strategy)) {
        settings_add(&a, &list, "alpha_learning_rate", "%g", s->strategy.lr);
        settings_add(&a, &list, "alpha_betas", "%g, %g", o->alpha_beta1, o->alpha_beta2);
    }
    settings_add(&a, &list, "samples", "%lld", (long long)s->samples);
    settings_add(&a, &list, "validation_samples", "%lld", (long long)s->valid_limit);
    SearchSpace r = {.strategy = s->strategy.name,
                     .ops = NEW(&a, const char *, s->space.op_count),
                     .op_count = s->space.op_count,
                     .nodes = s->space.nodes,
                     .inputs = s->space.inputs,
                     .concat = s->space.concat,
                     .layers = s->net.layers,
                     .channels = s->net.channels,
                     .parameters = s->forecast.parameters,
                     .macs = s->forecast.macs,
                     .memory_bytes = s->forecast.one_thread + dataset_bytes(s->place->data),
                     .dataset = s->place->data->info.name,
                     .seed = (int64_t)s->place->seed,
                     .settings = list.item,
                     .setting_count = list.count};
    for (int64_t i = 0; i < r.op_count; i++) r.ops[i] = primitive_table[s->space.op[i]].name;
    int64_t third[2] = {s->net.layers / 3, 2 * s->net.layers / 3};
    r.reduce_at = s->net.reduce_count < 0 ? third : s->net.reduce_at;
    r.reduce_count = s->net.reduce_count < 0 ? 1 + (third[1] > third[0]) : s->net.reduce_count;
    writer_put(s->place->out, &(Record){.kind = REC_SPACE, .space = r});
}

/* The alphas as they are, and the metrics of what was tallied since the last record. */
static void put_epoch(Search *s, Arena a, int64_t epoch)
{
    Metric m[3 * TALLY_METRICS + SEARCH_GAP + MAX_GUARDS + 8];
    int64_t n = 0;
    tally_metrics(&s->train, split_name[SPLIT_TRAIN], m, &n, TALLY_METRICS);
    tally_metrics(&s->alpha, split_name[SPLIT_ALPHA], m, &n, n + TALLY_METRICS);
    tally_metrics(&s->valid, split_name[SPLIT_VALID], m, &n, n + TALLY_METRICS);
    if (s->valid.rows) m[n++] = (Metric){"samples", split_name[SPLIT_VALID], (double)s->valid.rows};
    Derived derived;
    const double *weight = arch_effective(&a, s->arch);
    const char *why = derive_magnitude(&a, &s->space, weight, weight + s->arch->op_count / ARCH_TABLES, 0, &derived);
    if (!why) {
        if (derived.none_mass >= 0) m[n++] = (Metric){"none_mass", "", derived.none_mass};
        m[n++] = (Metric){"weight_kept", "", derived.weight_kept};
    }
    for (int64_t i = 0; i < s->gap_count; i++) m[n++] = s->gap[i];
    guard_metrics(&s->guard, &s->strategy, epoch, m, &n);
    SearchEpoch e = {.epoch = epoch,
                     .epochs = s->settings->epochs,
                     .steps = s->step,
                     .seconds = clock_wall() - s->started,
                     .learning_rate = s->rate,
                     .genotype = why ? "" : genotype_print(&a, &derived.genotype),
                     .metrics = m,
                     .metric_count = n};
    e.tables = arch_record(&a, s->arch, &e.table_count);
    writer_put(s->place->out, &(Record){.kind = REC_SEARCH_EPOCH, .search_epoch = e});
    writer_flush(s->place->out);
}

/* ---- the run ---- */

/* For AlphaProblem. What the network says of an alpha batch counts; the train batch is tallied by the step that follows. */
static void problem_forward(void *context, Split split)
{
    Search *s = context;
    s->alpha_batch = (Batch){0};
    if (split == SPLIT_ALPHA) s->alpha_batch = loader_next(s->alpha_loader);
    if (split == SPLIT_ALPHA)
        tally_feed(&s->alpha, s->engine, &s->alpha_batch);
    else
        tally_feed(&s->train, s->engine, s->train_batch);
    engine_forward(s->engine, MODE_TRAIN);
}

static double problem_loss(void *context)
{
    Search *s = context;
    if (!s->alpha_batch.n) return engine_loss(s->engine);
    tally_add(&s->alpha, s->engine, &s->alpha_batch);
    return tally_wait(&s->alpha, s->engine);
}

/* The same for a guard, with the batch that it has. */
static void guard_forward(void *context, Split split)
{
    Search *s = context;
    (void)split;
    tally_feed(&s->alpha, s->engine, s->guard_batch);
    engine_forward(s->engine, MODE_TRAIN);
}

static double guard_loss(void *context)
{
    return engine_loss(((Search *)context)->engine);
}

/* The alphas, by a batch of their own split. Returns a loss; nothing is changed if that is not finite. */
static double alpha_step(Search *s, Arena scratch)
{
    const SearchSettings *o = s->settings;
    Moment m = search_moment(s, STEP_ALPHAS);
    AlphaProblem problem = {.engine = s->engine,
                            .arch = s->arch,
                            .rate = s->rate,
                            .momentum = o->momentum,
                            .weight_decay = o->weight_decay,
                            .forward = problem_forward,
                            .loss = problem_loss,
                            .context = s};
    AlphaSettings settings = {.lr = s->strategy.lr, .beta1 = o->alpha_beta1, .beta2 = o->alpha_beta2};
    engine_set_drop(s->engine, 0, m.seed, 2 * m.step + 1); /* of noise operations */
    return strategy_step(&s->strategy, &problem, &settings, &m, scratch);
}

static double weight_step(Search *s, Arena scratch)
{
    const SearchSettings *o = s->settings;
    mix(s, STEP_WEIGHTS, scratch);
    tally_feed(&s->train, s->engine, s->train_batch);
    engine_forward(s->engine, MODE_TRAIN);
    engine_backward(s->engine, GRAD_WEIGHTS);
    if (o->clip > 0) engine_clip(s->engine, o->clip);
    engine_sgd(s->engine, s->rate, o->momentum, o->weight_decay, false, 1);
    tally_add(&s->train, s->engine, s->train_batch); /* if its loss is not finite, the weights did not move */
    double loss = tally_wait(&s->train, s->engine);
    s->step += isfinite(loss);
    return loss;
}

static bool alphas_finite(const Arch *a)
{
    for (int64_t i = 0; i < a->count; i++)
        if (!isfinite(a->raw[i])) return false;
    return true;
}

/* Both steps for what is left of an epoch. Returns the last loss; what is not finite ends it. */
static double run_steps(Search *s, Arena scratch)
{
    bool learns = strategy_learns(&s->strategy) && s->epoch >= s->strategy.warmup;
    double loss = 0;
    while (s->index < s->batches && !cli_interrupted()) {
        s->index++;
        Batch train = loader_next(s->train_loader);
        s->train_batch = &train;
        loss = learns ? alpha_step(s, scratch) : 0;
        if (isfinite(loss)) loss = weight_step(s, scratch);
        if (!isfinite(loss) || !alphas_finite(s->arch) || engine_error(s->engine)) break;
        progress_step(&s->progress, scratch, s->step, &s->train, loss);
        if (checkpoint_due(s->place->checkpoint)) save(s, scratch);
    }
    return loss;
}

/* The whole validation split. The running statistics of a supernet of which each step runs one path are those of no path:
 * there, as in the papers' code, batch statistics are used. */
static const char *validate(Search *s, Arena scratch)
{
    const char *why = 0;
    bool path = s->path;
    if (!s->valid_limit) return 0;
    mix(s, STEP_VALIDATION, scratch);
    if (path) engine_copy(s->engine, BLOCK_STATS_SAVED, BLOCK_STATS);
    if (!evaluate_split(s->engine, s->place->data, SPLIT_VALID, s->valid_limit, s->forecast.batch,
                        path ? MODE_TRAIN : MODE_EVAL, &s->valid, &why))
        tally_reset(&s->valid); /* a part of it says nothing about the whole */
    if (path) engine_copy(s->engine, BLOCK_STATS, BLOCK_STATS_SAVED);
    return why ? arena_printf(s->graph->perm, "no validation: %s", why) : 0;
}

static SearchEnd failed(Search *s)
{
    s->trouble = arena_printf(s->graph->perm, "after %lld steps: %s", (long long)s->step, engine_error(s->engine));
    workplace_event(s->place, s->epoch, "failed", s->trouble);
    cli_progress_done();
    return SEARCH_FAILED;
}

/* For GuardGradient: on the first samples of the alpha split, in batches without augmentation. */
static bool gradient_at(void *context, const double *raw, double *grad, Arena scratch)
{
    Search *s = context;
    Arch *a = s->arch;
    const char *why = 0;
    const size_t bytes = (size_t)a->count * sizeof *raw;
    int64_t samples = dataset_limit(GUARD_SAMPLES, s->place->data->split[SPLIT_ALPHA].count), done = 0;
    double *kept = NEW(&scratch, double, a->count), loss = 0;
    memcpy(kept, a->raw, bytes);
    memcpy(a->raw, raw, bytes);
    memset(grad, 0, bytes);
    mix(s, STEP_VALIDATION, scratch);
    LoaderSpec spec = {.split = SPLIT_ALPHA, .batch = s->forecast.batch, .limit = samples};
    Loader *l = loader_open(s->place->data, &spec, &why);
    while (l && done < samples && isfinite(loss) && !cli_interrupted()) {
        Batch b = loader_next(l);
        s->guard_batch = &b;
        AlphaProblem problem = {
            .engine = s->engine, .arch = a, .forward = guard_forward, .loss = guard_loss, .context = s};
        loss = gradient_table[0].find(&problem, scratch);
        strategy_pull_back(&s->strategy, a);
        for (int64_t i = 0; i < a->count; i++) grad[i] += a->grad[i] * (double)b.n / (double)samples;
        done += b.n;
    }
    loader_close(l);
    memcpy(a->raw, kept, bytes);
    return done == samples && isfinite(loss);
}

/* What the guards say of the epoch that is done. A signal leaves it to whoever resumes the search. */
static void judge(Search *s, Arena scratch)
{
    const char *said;
    int64_t epoch = s->epoch + 1;
    if (!s->strategy.guard_count || s->epoch < s->strategy.warmup || s->guard.judged == epoch) return;
    struct GuardScene scene = {
        .strategy = &s->strategy, .arch = s->arch, .gradient = gradient_at, .context = s, .seed = s->place->seed};
    graph_tables_used(s->graph, scene.used, ARCH_TABLES);
    mix(s, STEP_VALIDATION, scratch);
    engine_copy(s->engine, BLOCK_STATS_SAVED, BLOCK_STATS);
    bool judged = guard_judge(&s->guard, s->graph->perm, scratch, s->arch, &scene, epoch, &said);
    engine_copy(s->engine, BLOCK_STATS, BLOCK_STATS_SAVED);
    mix(s, STEP_VALIDATION, scratch);
    if (!judged || !said) return;
    workplace_event(s->place, epoch, "guard", said);
    cli_note("epoch %lld: %s", (long long)epoch, said);
}

static SearchEnd diverged(Search *s, double loss, int64_t index)
{
    s->trouble = isfinite(loss)
                     ? arena_printf(s->graph->perm, "the alphas are not finite in epoch %lld, step %lld",
                                    (long long)s->epoch + 1, (long long)index)
                     : arena_printf(s->graph->perm,
                                    "the loss is %g in epoch %lld, step %lld: a smaller learning rate (now %g) "
                                    "may help",
                                    fabs(loss), (long long)s->epoch + 1, (long long)index, s->rate);
    workplace_event(s->place, s->epoch, "diverged", s->trouble);
    cli_progress_done();
    return SEARCH_DIVERGED;
}

/* The gap of a path, or of an architecture drawn by chance, is none. */
static bool gap_due(const Search *s, bool last)
{
    if (!s->valid_limit || !strategy_learns(&s->strategy) || !s->settings->gap_every) return false;
    return last || (s->epoch + 1) % s->settings->gap_every == 0;
}

static void begin_epoch(Search *s)
{
    s->gap_count = 0;
    tally_reset(&s->train);
    tally_reset(&s->alpha);
    tally_reset(&s->valid);
    s->rate = schedule_rate(&s->schedule, (double)s->epoch, 0); /* one rate an epoch, as published */
}

SearchEnd search_run(Search *s, Arena scratch)
{
    if (!s->resumed) { /* else these records are written */
        put_space(s, scratch);
        workplace_tell_memory(s->place, scratch, "search", &s->forecast);
        s->started = clock_wall();
        s->rate = schedule_rate(&s->schedule, 0, 0);
        mix(s, STEP_VALIDATION, scratch);
        put_epoch(s, scratch, 0);
    }
    bool saved = false;
    while (s->epoch < s->settings->epochs && !s->guard.fired && !cli_interrupted() && !writer_error(s->place->out)) {
        if (!s->index) begin_epoch(s);
        double loss = run_steps(s, scratch);
        if (engine_error(s->engine)) return failed(s);
        if (!isfinite(loss) || !alphas_finite(s->arch)) return diverged(s, loss, s->index);
        if (!s->index) break; /* a signal before the first step */
        bool complete = s->index == s->batches, last = s->epoch + 1 == s->settings->epochs;
        const char *why = 0;
        if (complete && last && s->strategy.choice->kind == CHOICE_RANK) why = search_rank(s, scratch);
        if (complete) judge(s, scratch);
        last |= s->guard.fired != 0;
        if (complete && !why && gap_due(s, last)) why = search_gap(s, scratch);
        if (complete && !why) why = validate(s, scratch);
        if (engine_error(s->engine)) return failed(s); /* nothing of this epoch is to be trusted */
        if (cli_interrupted()) {
            save(s, scratch); /* as it is before the records of an interrupted epoch */
            saved = true;
        }
        if (why) workplace_event(s->place, s->epoch, "validation", why);
        put_epoch(s, scratch, ++s->epoch);
        s->index = 0;
    }
    cli_progress_done();
    if (!cli_interrupted()) return SEARCH_DONE;
    if (!saved) save(s, scratch);
    workplace_event(s->place, s->epoch, "interrupted", arena_printf(&scratch, "after %lld steps", (long long)s->step));
    return SEARCH_INTERRUPTED;
}

/* ---- after the run ---- */

const char *search_write_weights(Search *s, Arena scratch)
{
    Writer *out = s->place->out;
    Settings list = {0};
    supernet_describe(&scratch, &list, &s->space, &s->net, s->settings->reduce_at);
    NetworkRecord n = {.run = netio_supernet,
                       .net = netio_supernet,
                       .genotype = "",
                       .layers = s->net.layers,
                       .channels = s->net.channels,
                       .parameters = s->forecast.parameters,
                       .macs = s->forecast.macs,
                       .memory_bytes = s->forecast.one_thread + dataset_bytes(s->place->data),
                       .seed = (int64_t)s->place->seed,
                       .settings = list.item,
                       .setting_count = list.count};
    netio_fit(&n, &s->place->data->info);
    writer_put(out, &(Record){.kind = REC_NETWORK, .network = n});
    mix(s, STEP_VALIDATION, scratch);
    const float *mixing[ARCH_TABLES];
    for (int i = 0; i < ARCH_TABLES; i++) mixing[i] = arch_mixing(&scratch, s->arch, i);
    const char *why = engine_write_tensors(s->engine, s->graph, out, scratch, netio_supernet, netio_supernet,
                                           BLOCK_WEIGHTS, BLOCK_STATS, mixing);
    if (why) return why;
    int64_t shape[2] = {s->arch->edges, s->arch->ops}, count = s->arch->edges * s->arch->ops;
    static const char *const names[ARCH_TABLES] = {"alphas_normal", "alphas_reduce"};
    for (int i = 0; i < ARCH_TABLES; i++) {
        TensorRecord t = {.run = netio_supernet,
                          .set = netio_supernet,
                          .name = names[i],
                          .shape = shape,
                          .rank = 2,
                          .dtype = DTYPE_F64,
                          .data = s->arch->raw + i * count,
                          .data_bytes = count * (int64_t)sizeof(double)};
        writer_put(out, &(Record){.kind = REC_TENSOR, .tensor = t});
    }
    writer_flush(out);
    return 0;
}
