/* trainer: the training loop. */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "train/evaluate.h"
#include "train/supernet.h"

const char *train_whole(Arena *perm, const Dataset *d, Dataset *whole)
{
    const char *why;
    *whole = *d;
    SplitData *to = &whole->split[SPLIT_TRAIN];
    const SplitData *part[2] = {&d->split[SPLIT_TRAIN], &d->split[SPLIT_ALPHA]};
    if (!part[1]->count) return 0;
    whole->split[SPLIT_ALPHA] = (SplitData){0};
    if (!part[0]->count) {
        *to = *part[1];
        return 0;
    }
    int64_t sample = dataset_sample_bytes(&d->info), target = d->target_width * (int64_t)sizeof(float);
    const int64_t count = part[0]->count + part[1]->count;
    if ((const char *)part[0]->data + part[0]->count * sample == part[1]->data &&
        part[0]->targets + part[0]->count * d->target_width == part[1]->targets) { /* as dataset_read leaves them */
        *to = (SplitData){.count = count, .data = part[0]->data, .targets = part[0]->targets};
        return 0;
    }
    *to = (SplitData){.count = count};
    char *data = dataset_memory(perm, to->count, sample, &why);
    char *targets = why ? 0 : dataset_memory(perm, to->count, target, &why);
    if (why) return arena_printf(perm, "the train and alpha splits together: %s", why);
    int64_t before = 0;
    for (int i = 0; i < 2; before += part[i++]->count) {
        memcpy(data + before * sample, part[i]->data, (size_t)(part[i]->count * sample));
        memcpy(targets + before * target, part[i]->targets, (size_t)(part[i]->count * target));
    }
    to->data = data;
    to->targets = (float *)(void *)targets;
    return 0;
}

/* ---- before the run ---- */

static double usual_rate(const TrainSettings *s)
{
    return s->lr > 0 ? s->lr : strcmp(s->optimizer, "sgd") ? 0.001 : 0.025;
}

/* 64, and less of a small set, so that an epoch has 16 steps or more; but 8 or more, for the sake of normalisation. */
static int64_t usual_batch(const TrainSettings *s, int64_t samples)
{
    int64_t batch = 64;
    while (batch > 8 && 16 * batch > samples) batch /= 2;
    return s->batch ? s->batch : batch;
}

static Augment augmentation(const TrainSettings *s, const DatasetInfo *d)
{
    if (s->no_augment) return (Augment){0};
    Augment a = s->more;
    a.flip_horizontal = d->flip_horizontal || s->flip;
    a.flip_vertical = d->flip_vertical;
    a.crop_padding = s->crop < 0 ? d->crop_padding : s->crop;
    a.cutout = s->cutout < 0 ? d->cutout : s->cutout;
    return a;
}

static const char *augment_text(Arena *perm, const Augment *a)
{
    const struct {
        const char *name;
        double value;
    } more[] = {{"rotate", a->rotate},
                {"shift", a->shift},
                {"zoom", a->zoom},
                {"jitter", a->jitter},
                {"mask rows", (double)a->mask_rows},
                {"mask columns", (double)a->mask_columns},
                {"masks", a->mask_count > 1 ? (double)a->mask_count : 0},
                {"mixup", a->mixup}};
    Text t = {0};
    text_addf(perm, &t, "flip %d%d, crop %lld, cutout %lld", a->flip_horizontal, a->flip_vertical,
              (long long)a->crop_padding, (long long)a->cutout);
    for (int i = 0; i < COUNTOF(more); i++)
        if (more[i].value > 0) text_addf(perm, &t, ", %s %g", more[i].name, more[i].value);
    return t.s;
}

NetworkRecord train_network(Arena *perm, const Workplace *w, const TrainSettings *s, const char *run, const char *net,
                            const char *genotype)
{
    bool cells = !strcmp(net, netio_genotype);
    NetworkRecord n = {.run = run,
                       .net = net,
                       .genotype = genotype,
                       .layers = cells ? s->layers : 0,
                       .channels = s->channels || !cells ? s->channels : 16,
                       .seed = (int64_t)w->seed};
    netio_fit(&n, &w->data->info);
    Augment a = augmentation(s, &w->data->info);
    Settings list = {0};
    if (cells && *s->reduce_at) settings_add(perm, &list, "reduce_at", "%s", s->reduce_at);
    settings_add(perm, &list, "epochs", "%lld", (long long)s->epochs);
    int64_t samples = dataset_limit(s->limit, w->data->split[SPLIT_TRAIN].count);
    settings_add(perm, &list, "batch", "%lld", (long long)usual_batch(s, samples));
    if (w->precision != PRECISION_FP32) settings_add(perm, &list, "precision", "%s", precision_name[w->precision]);
    if (s->accumulate > 1) settings_add(perm, &list, "accumulate", "%lld", (long long)s->accumulate);
    if (s->limit) settings_add(perm, &list, "limit", "%lld", (long long)s->limit);
    settings_add(perm, &list, "optimizer", "%s%s", s->optimizer, s->nesterov ? ", nesterov" : "");
    settings_add(perm, &list, "learning_rate", "%g", usual_rate(s));
    settings_add(perm, &list, "learning_rate_min", "%g", s->lr_min);
    settings_add(perm, &list, "schedule", "%s", s->schedule);
    if (!strcmp(s->schedule, "step"))
        settings_add(perm, &list, "learning_rate_drop", "%g at %s", s->lr_drop,
                     *s->lr_drop_at ? s->lr_drop_at : "1/2, 3/4");
    if (s->warmup > 0) settings_add(perm, &list, "warmup", "%g", s->warmup);
    settings_add(perm, &list, "momentum", "%g", s->momentum);
    settings_add(perm, &list, "weight_decay", "%g", s->weight_decay);
    settings_add(perm, &list, "clip", "%g", s->clip);
    if (s->drop_path > 0) settings_add(perm, &list, "drop_path", "%g", s->drop_path);
    if (s->label_smoothing > 0) settings_add(perm, &list, "label_smoothing", "%g", s->label_smoothing);
    if (s->auxiliary > 0 && cells) settings_add(perm, &list, "auxiliary", "%g", s->auxiliary);
    if (s->ema > 0) settings_add(perm, &list, "ema", "%g", s->ema);
    if (s->patience) settings_add(perm, &list, "patience", "%lld", (long long)s->patience);
    settings_add(perm, &list, "augment", "%s", augment_text(perm, &a));
    settings_add(perm, &list, "samples", "%lld", (long long)w->data->split[SPLIT_TRAIN].count);
    n.settings = list.item;
    n.setting_count = list.count;
    return n;
}

static const char *start_engine(Trainer *t, Arena *perm, const EngineOptions *options)
{
    const Workplace *w = t->place;
    const char *why = 0;
    t->engine = workplace_engine(perm, w, t->graph, options, &why);
    if (!t->engine) return why;
    LoaderSpec spec = {.split = SPLIT_TRAIN,
                       .batch = options->batch,
                       .limit = t->settings->limit,
                       .shuffle = true,
                       .augment = augmentation(t->settings, &w->data->info),
                       .seed = w->seed};
    t->loader = loader_open(w->data, &spec, &why);
    if (!t->loader) return arena_printf(perm, "the train split: %s", why);
    t->batches = loader_batches(t->loader);
    return 0;
}

/* All that changes in a run. */
static void visit_state(void *run, State *s)
{
    Trainer *t = run;
    state_batch(s, t->forecast.batch);
    state_int(s, "epoch", &t->epoch);
    state_int(s, "index", &t->index);
    state_int(s, "step", &t->step);
    state_int(s, "updates", &t->updates);
    state_real(s, "rate", &t->rate);
    state_real(s, "best", &t->best);
    state_int(s, "best_epoch", &t->best_epoch);
    state_int(s, "better_epoch", &t->better_epoch);
    state_clock(s, "seconds", &t->started);
    state_engine(s, t->engine);
    if (t->settings->accumulate > 1) {
        state_int(s, "waiting", &t->waiting);
        state_int(s, "samples", &t->samples);
        state_engine_block(s, "gradient", t->engine, BLOCK_SAVED);
    }
    if (t->settings->ema > 0) {
        state_engine_block(s, "mean", t->engine, BLOCK_MEAN);
        state_engine_block(s, "stats_mean", t->engine, BLOCK_STATS_MEAN);
    }
    state_tally(s, "train", &t->train);
    state_loader(s, "train", t->loader);
}

static void save(Trainer *t, Arena scratch)
{
    checkpoint_save(t->place->checkpoint, scratch, t->net.run, t->epoch, t->step, visit_state, t);
}

const char *trainer_open(Arena *perm, Arena scratch, const Workplace *w, const TrainSettings *s,
                         const NetworkRecord *net, bool start, Trainer *out)
{
    const Dataset *d = w->data;
    *out = (Trainer){
        .place = w, .settings = s, .task = task_find(d->info.task), .net = *net, .best = NAN, .best_epoch = -1};
    const char *why = 0;
    out->graph = netio_build(perm, net, &why);
    if (!out->graph) return why;
    LossDetail detail = out->graph->detail;
    detail.soft =
        out->graph->loss == LOSS_CROSS_ENTROPY &&
        (s->label_smoothing > 0 || (s->more.mixup > 0 && !s->no_augment)); /* others' targets are numbers anyway */
    graph_loss(out->graph, out->graph->loss, &detail);
    int64_t samples = dataset_limit(s->limit, d->split[SPLIT_TRAIN].count);
    if (samples < 1) return "the train split is empty";
    out->valid_limit = dataset_limit(s->valid_limit, d->split[SPLIT_VALID].count);
    EngineOptions options = {.device = w->device,
                             .tf32 = w->tf32,
                             .precision = w->precision,
                             .batch = dataset_limit(usual_batch(s, samples), samples),
                             .pool = w->pool};
    if (start) checkpoint_batch(w->checkpoint, &options.batch);
    /* best, on its way to the stream; adam's second moments; gradients that wait, the mean of the weights */
    int64_t blocks = 2 + (strcmp(s->optimizer, "sgd") != 0) + (s->accumulate > 1) + (s->ema > 0);
    ForecastNeed need = {.fixed = tally_bytes(d, samples) + tally_bytes(d, out->valid_limit) +
                                  blocks * out->graph->weight_count * (int64_t)sizeof(float),
                         .per_sample = 2 * loader_bytes(d), /* of training and of validation */
                         .limit = s->memory << 20,
                         .least = 2,
                         .recompute = s->recompute};
    why = forecast_fit(perm, scratch, out->graph, &options, &need, &out->forecast);
    if (why) return why;
    out->net.parameters = out->forecast.parameters;
    out->net.macs = out->forecast.macs;
    out->net.memory_bytes = out->forecast.one_thread + dataset_bytes(d);
    if (!start) return 0;
    why = tally_open(perm, d, out->task, samples, options.batch, &out->train);
    if (!why && out->valid_limit) why = tally_open(perm, d, out->task, out->valid_limit, options.batch, &out->valid);
    out->train.brief = true;
    out->train.smoothing = s->label_smoothing;
    if (!why) why = start_engine(out, perm, &options);
    if (!why) out->resumed = checkpoint_restore(w->checkpoint, perm, scratch, visit_state, out, &why);
    if (why) {
        trainer_close(out);
        return why;
    }
    out->schedule = (Schedule){.kind = schedule_find(s->schedule),
                               .lr = usual_rate(s),
                               .lr_min = fmin(s->lr_min, usual_rate(s)),
                               .epochs = (double)s->epochs,
                               .warmup = s->warmup,
                               .drop = s->lr_drop};
    epochs_parse(perm, s->lr_drop_at, (double)s->epochs, out->schedule.drop_at, COUNTOF(out->schedule.drop_at),
                 &out->schedule.drops);
    out->progress = progress_start(net->run, s->epochs, out->batches);
    return 0;
}

const char *trainer_carry(Trainer *t, Arena *perm, const Trained *from, bool frozen, Carried *out)
{
    const Graph *g = t->graph;
    float *weights = NEW(perm, float, 2 * g->weight_count + 1), *stats = NEW(perm, float, g->stat_floats + 1);
    graph_init(g, t->place->seed, weights, stats);
    const char *why = carry_fill(perm, g, from, weights, stats, out);
    if (why || !t->engine) return why; /* no engine: only to see whether it fits */
    if (!t->resumed) {
        engine_upload(t->engine, BLOCK_WEIGHTS, weights);
        engine_upload(t->engine, BLOCK_STATS, stats);
    }
    t->weights = weights;
    t->fixed = frozen ? out->kept : 0;
    return 0;
}

const ProfileRecord *trainer_profile(const Trainer *t, Arena *perm, int64_t *count)
{
    return profile_put(perm, t->place, t->engine, t->net.run, clock_wall() - t->started, loader_wait(t->loader), count);
}

void trainer_identity(Checkpoint *c, Arena *perm, Arena scratch, const Candidates *todo)
{
    checkpoint_identity(c, "networks", arena_printf(&scratch, "%lld", (long long)todo->count));
    for (int64_t i = 0; i < todo->count; i++) {
        const Candidate *n = &todo->item[i];
        checkpoint_identity(c, arena_printf(perm, "network %lld", (long long)i + 1),
                            arena_printf(&scratch, "%s: %s", n->run, *n->genotype ? n->genotype : n->net));
    }
}

void trainer_close(Trainer *t)
{
    loader_close(t->loader);
    if (t->engine) engine_close(t->engine);
    t->loader = 0;
    t->engine = 0;
}

void trainer_begin_with(Trainer *t, Arena scratch, const NetWeights *w)
{
    t->mixing = (const float *const *)w->mixing;
    supernet_mix(t->engine, scratch, t->graph, t->mixing);
    if (t->resumed) return;
    engine_upload(t->engine, BLOCK_WEIGHTS, w->weights);
    engine_upload(t->engine, BLOCK_STATS, w->stats);
}

/* ---- the run ---- */

const char *trainer_check(Arena *perm, Arena room, Arena scratch, const Workplace *w, const TrainSettings *s,
                          const Candidates *todo, Text *forecasts)
{
    for (int64_t i = 0; i < todo->count; i++) {
        Arena once = room;
        const Candidate *c = &todo->item[i];
        NetworkRecord net = train_network(&once, w, s, c->run, c->net, c->genotype);
        Trainer t;
        const char *why = trainer_open(&once, scratch, w, s, &net, false, &t);
        if (why) return arena_printf(perm, "%s: %s", c->run, why);
        text_addf(perm, forecasts, "%s: %s\n", c->run, forecast_text(&once, &t.forecast));
    }
    return 0;
}

/* Adds the gradient of the present batch to those that wait. Returns whether there are enough for an update, and then
 * their mean is the gradient. */
static bool gather_gradient(Trainer *t, int64_t n, bool last)
{
    Engine *e = t->engine;
    if (!t->waiting) {
        engine_copy(e, BLOCK_SAVED, BLOCK_GRAD);
        engine_scale(e, BLOCK_SAVED, (double)n);
    } else {
        engine_axpy(e, BLOCK_SAVED, (double)n, BLOCK_GRAD);
    }
    t->samples += n;
    if (++t->waiting < t->settings->accumulate && !last) return false;
    engine_copy(e, BLOCK_GRAD, BLOCK_SAVED);
    engine_scale(e, BLOCK_GRAD, 1 / (double)t->samples);
    t->waiting = t->samples = 0;
    return true;
}

static void update_mean(Trainer *t)
{
    static const Block of[2][2] = {{BLOCK_MEAN, BLOCK_WEIGHTS}, {BLOCK_STATS_MEAN, BLOCK_STATS}};
    const double keep = fmin(t->settings->ema, (1 + (double)t->updates) / (10 + (double)t->updates));
    for (int i = 0; i < 2; i++) {
        engine_scale(t->engine, of[i][0], keep);
        engine_axpy(t->engine, of[i][0], 1 - keep, of[i][1]);
    }
}

/* Puts `with` (0: zeros) into the fixed parameters of a block. */
static void hold(Trainer *t, Block block, const float *with)
{
    const Graph *g = t->graph;
    float *all = t->weights + g->weight_count;
    engine_download(t->engine, block, all);
    for (int32_t i = 0; i < g->param_count; i++) {
        const Param *p = &g->params[i];
        if (!t->fixed[i]) continue;
        if (with)
            memcpy(all + p->offset, with + p->offset, (size_t)p->count * sizeof *all);
        else
            memset(all + p->offset, 0, (size_t)p->count * sizeof *all);
    }
    engine_upload(t->engine, block, all);
}

/* By the gradient. */
static void update(Trainer *t)
{
    const TrainSettings *s = t->settings;
    Engine *e = t->engine;
    if (s->ema > 0 && !t->updates) {
        engine_copy(e, BLOCK_MEAN, BLOCK_WEIGHTS);
        engine_copy(e, BLOCK_STATS_MEAN, BLOCK_STATS);
    }
    t->updates++;
    if (t->fixed) hold(t, BLOCK_GRAD, 0); /* it counts for no norm either */
    if (s->clip > 0) engine_clip(e, s->clip);
    if (!strcmp(s->optimizer, "sgd"))
        engine_sgd(e, t->rate, s->momentum, s->weight_decay, s->nesterov, 1);
    else
        engine_adam(e, t->rate, s->momentum, 0.999, 1e-8, s->weight_decay, !strcmp(s->optimizer, "adamw"), t->updates,
                    1);
    if (t->fixed) hold(t, BLOCK_WEIGHTS, t->weights); /* weight decay moved them */
    if (s->ema > 0) update_mean(t);
}

/* One step. Returns its loss, which is asked for when all of it is under way: if it is not finite, the weights did not move. */
static double train_step(Trainer *t, int64_t index)
{
    const TrainSettings *s = t->settings;
    Engine *e = t->engine;
    Batch b = loader_next(t->loader);
    /* As published, nothing is dropped in the first epoch. Noise operations are other in every step, too. */
    engine_set_drop(e, s->drop_path * (double)t->epoch / (double)s->epochs, t->place->seed, t->step);
    tally_feed(&t->train, e, &b);
    engine_forward(e, MODE_TRAIN);
    engine_backward(e, GRAD_WEIGHTS);
    double steps = (double)t->batches;
    t->rate = schedule_rate(&t->schedule, (double)t->epoch + (double)index / steps, 1 / steps);
    if (s->accumulate == 1 || gather_gradient(t, b.n, index == t->batches - 1)) update(t);
    tally_add(&t->train, e, &b);
    double loss = tally_wait(&t->train, e);
    t->step += isfinite(loss);
    return loss;
}

/* Is this epoch the best so far? Of equals the later one is, which has learnt at the smaller rate; without validation, the
 * latest. */
static bool take_best(Trainer *t)
{
    Metric m[TALLY_METRICS];
    int64_t n = 0;
    if (t->valid_limit) {
        tally_metrics(&t->valid, "", m, &n, COUNTOF(m));
        const MetricInfo *selects = task_selects(&t->place->data->info);
        double now = metric_get(m, n, "", selects->name);
        bool better = selects->higher ? now >= t->best : now <= t->best;
        if (!better && t->best_epoch >= 0 && !isnan(t->best)) return false;
        if (now != t->best) t->better_epoch = t->epoch;
        t->best = now;
    }
    t->best_epoch = t->epoch;
    engine_copy(t->engine, BLOCK_BEST, BLOCK_WEIGHTS);
    engine_copy(t->engine, BLOCK_STATS_BEST, BLOCK_STATS);
    return true;
}

/* The metrics of the mean of the weights on validation, as "mean_loss" and so on. The present weights are in the place of
 * the gradient meanwhile, which an epoch's end does not need. */
static void measure_mean(Trainer *t, Arena *perm, Metric *m, int64_t *count)
{
    static const Block kept[2][3] = {{BLOCK_GRAD, BLOCK_WEIGHTS, BLOCK_MEAN},
                                     {BLOCK_STATS_SAVED, BLOCK_STATS, BLOCK_STATS_MEAN}};
    const Dataset *d = t->place->data;
    const char *why;
    for (int i = 0; i < 2; i++) {
        engine_copy(t->engine, kept[i][0], kept[i][1]);
        engine_copy(t->engine, kept[i][1], kept[i][2]);
    }
    if (evaluate_split(t->engine, d, SPLIT_VALID, t->valid_limit, t->forecast.batch, MODE_EVAL, &t->valid, &why)) {
        tally_metrics(&t->valid, split_name[SPLIT_VALID], m, count, TALLY_METRICS);
        for (int64_t i = 0; i < *count; i++) m[i].name = arena_printf(perm, "mean_%s", m[i].name);
    }
    for (int i = 0; i < 2; i++) engine_copy(t->engine, kept[i][1], kept[i][0]);
}

enum { SETTLED_STEPS = 100 }; /* 0.9^100: what is left of the initial statistics */

/* After an epoch, complete or (by a signal) not: measures, remembers the best weights, writes the record. Returns whether
 * a signal came and the run was saved, as it was before the epoch's end. */
static bool end_epoch(Trainer *t, Arena scratch)
{
    Metric m[4 * TALLY_METRICS], mean[TALLY_METRICS];
    int64_t n = 0, mean_count = 0;
    bool best = false, complete = t->index == t->batches, validated = false, checked = false;
    Health health;
    tally_metrics(&t->train, split_name[SPLIT_TRAIN], m, &n, TALLY_METRICS);
    if (complete) {
        const Dataset *d = t->place->data;
        const char *why = 0;
        engine_set_drop(t->engine, 0, 0, 0);
        int64_t batch = t->forecast.batch;
        if (t->valid_limit && t->settings->ema > 0) measure_mean(t, &scratch, mean, &mean_count);
        validated = t->valid_limit &&
                    evaluate_split(t->engine, d, SPLIT_VALID, t->valid_limit, batch, MODE_EVAL, &t->valid, &why);
        checked = !evaluate_health(t->engine, d, SPLIT_TRAIN, batch, scratch, &health);
    }
    if (engine_error(t->engine)) return false; /* nothing of this epoch is to be trusted */
    bool interrupted = cli_interrupted();
    if (interrupted) save(t, scratch);
    if (complete) {
        t->epoch++;
        if (validated) {
            tally_metrics(&t->valid, split_name[SPLIT_VALID], m, &n, n + TALLY_METRICS);
            m[n++] = (Metric){"samples", split_name[SPLIT_VALID], (double)t->valid_limit};
            for (int64_t i = 0; i < mean_count; i++) m[n++] = mean[i];
        }
        if (!interrupted) best = take_best(t);
        if (checked && !interrupted) {
            m[n++] = (Metric){"train_mode_loss", split_name[SPLIT_TRAIN], health.train_mode};
            m[n++] = (Metric){"eval_mode_loss", split_name[SPLIT_TRAIN], health.eval_mode};
            /* running statistics start from nothing: at first they cannot be right */
            bool settled = t->step >= SETTLED_STEPS || t->epoch == t->settings->epochs;
            const char *warning = settled ? health_warning(&scratch, &health) : 0;
            if (warning) {
                workplace_event(t->place, t->epoch, "health", arena_printf(&scratch, "%s: %s", t->net.run, warning));
                cli_warn("%s: epoch %lld: %s", t->net.run, (long long)t->epoch, warning);
            }
        }
    }
    TrainEpoch e = {.run = t->net.run,
                    .epoch = t->epoch + !complete,
                    .epochs = t->settings->epochs,
                    .steps = t->step,
                    .seconds = clock_wall() - t->started,
                    .learning_rate = t->rate,
                    .best = best,
                    .metrics = m,
                    .metric_count = n};
    writer_put(t->place->out, &(Record){.kind = REC_TRAIN_EPOCH, .train_epoch = e});
    writer_flush(t->place->out);
    t->index = 0;
    return interrupted;
}

/* Early stopping: for `patience` epochs validation has not been better than before. */
static bool exhausted(const Trainer *t)
{
    return t->settings->patience && t->epoch - t->better_epoch >= t->settings->patience;
}

static TrainEnd failed(Trainer *t)
{
    t->trouble = arena_printf(t->graph->perm, "%s: after %lld steps: %s", t->net.run, (long long)t->step,
                              engine_error(t->engine));
    workplace_event(t->place, t->epoch, "failed", t->trouble);
    cli_progress_done();
    return TRAIN_FAILED;
}

TrainEnd trainer_run(Trainer *t, Arena scratch)
{
    Writer *out = t->place->out;
    if (!t->resumed) { /* else these records are written */
        writer_put(out, &(Record){.kind = REC_NETWORK, .network = t->net});
        workplace_tell_memory(t->place, scratch, t->net.run, &t->forecast);
        writer_flush(out);
        t->started = clock_wall();
    }
    bool saved = false;
    while (t->epoch < t->settings->epochs && !exhausted(t) && !cli_interrupted() && !writer_error(out)) {
        if (!t->index) tally_reset(&t->train);
        while (t->index < t->batches && !cli_interrupted()) {
            double loss = train_step(t, t->index++);
            if (engine_error(t->engine)) return failed(t);
            if (!isfinite(loss)) {
                t->trouble =
                    arena_printf(t->graph->perm,
                                 "%s: the loss is %g in epoch %lld, step %lld: a smaller learning "
                                 "rate (now %g) may help",
                                 t->net.run, fabs(loss), (long long)t->epoch + 1, (long long)t->index, t->rate);
                workplace_event(t->place, t->epoch, "diverged", t->trouble);
                return TRAIN_DIVERGED;
            }
            progress_step(&t->progress, scratch, t->step, &t->train, loss);
            if (checkpoint_due(t->place->checkpoint)) save(t, scratch);
        }
        if (t->index) saved = end_epoch(t, scratch);
        if (engine_error(t->engine)) return failed(t);
    }
    cli_progress_done();
    if (!cli_interrupted()) {
        if (t->epoch < t->settings->epochs && exhausted(t))
            workplace_event(t->place, t->epoch, "early-stop",
                            arena_printf(&scratch, "%s: validation has not been better since epoch %lld", t->net.run,
                                         (long long)t->better_epoch));
        return TRAIN_DONE;
    }
    if (!saved) save(t, scratch);
    workplace_event(t->place, t->epoch, "interrupted",
                    arena_printf(&scratch, "%s: after %lld steps", t->net.run, (long long)t->step));
    return TRAIN_INTERRUPTED;
}

/* ---- after the run ---- */

const char *engine_write_tensors(Engine *e, const Graph *g, Writer *out, Arena scratch, const char *run,
                                 const char *set, Block w, Block s, const float *const *mixing)
{
    float *weights = NEW(&scratch, float, g->weight_count + 1), *stats = NEW(&scratch, float, g->stat_floats + 1);
    engine_download(e, w, weights);
    engine_download(e, s, stats);
    if (!engine_error(e)) netio_write(out, scratch, g, run, set, weights, stats, mixing);
    return engine_error(e);
}

const char *trainer_write_weights(Trainer *t, Arena scratch)
{
    Writer *out = t->place->out;
    const char *why = 0, *run = t->net.run;
    if (t->best_epoch >= 0)
        why = engine_write_tensors(t->engine, t->graph, out, scratch, run, "best", BLOCK_BEST, BLOCK_STATS_BEST,
                                   t->mixing);
    if (!why)
        why =
            engine_write_tensors(t->engine, t->graph, out, scratch, run, "last", BLOCK_WEIGHTS, BLOCK_STATS, t->mixing);
    if (!why && t->settings->ema > 0 && t->updates)
        why = engine_write_tensors(t->engine, t->graph, out, scratch, run, "mean", BLOCK_MEAN, BLOCK_STATS_MEAN,
                                   t->mixing);
    writer_flush(out);
    return why;
}

void trainer_use_best(Trainer *t)
{
    if (t->best_epoch < 0) return;
    engine_copy(t->engine, BLOCK_WEIGHTS, BLOCK_BEST);
    engine_copy(t->engine, BLOCK_STATS, BLOCK_STATS_BEST);
}
