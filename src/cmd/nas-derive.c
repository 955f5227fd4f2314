/* nas-derive: search epochs in, genotypes out; and genotypes from everywhere else: published, random, text, tables. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "nn/generator_space.h"
#include "nn/genotext.h"
#include "nn/names.h"
#include "search/alphafile.h"
#include "search/bounded.h"
#include "search/generators.h"
#include "search/perturb.h"
#include "stream/record.h"
#include "train/netio.h"
#include "train/settings.h"
#include "train/supernet.h"

enum { MAX_TEXT = 64 << 20, EPOCH_LAST = -1, EPOCH_BEST = -2 };

static CliList named, texts, text_files, alpha_files;
static int64_t random_count, nodes = 4, inputs = 2, concat_nodes;
static const char *epoch_text = "last", *rule = "magnitude", *from = "auto", *data_path = "",
                  *split_text = "validation", *criterion = "metric", *reduce_at = "";
static int64_t epoch = EPOCH_LAST, layers = 8, channels = 16;
static double threshold;
static Bounds bounds;
static PerturbSettings perturb = {.batch = 64, .tune_lr = 0.001};
static const char *ops = "auto";
static bool listing, print, every, keep_samples, keep_weights;

static const CliOption options[] = {
    {CLI_HEADING, 0, "Which epoch of a search"},
    {CLI_STRING, 'e', "epoch", "N|best|last", &epoch_text,
     "Derive from the alphas after N epochs of the search; after the epoch that was best on the validation split; or from "
     "the last ones."},
    {CLI_FLAG, 0, "every", 0, &every, "Derive a genotype from every epoch."},
    {CLI_HEADING, 0, "How a cell is chosen"},
    {CLI_CHOICE, 0, "rule", "magnitude|threshold|perturbation", &rule,
     "magnitude: the heaviest operations and edges, as in DARTS; threshold: of these, those above a weight; perturbation: "
     "what the supernet misses most, as in DARTS-PT, which needs --data and a search with --weights."},
    {CLI_DOUBLE, 0, "threshold", "F", &threshold,
     "Of the rule threshold: edges of no more weight are left out, but for the strongest of a node; 0: one over the number "
     "of operations.",
     0, 1e9},
    {CLI_INT, 0, "max-params", "N", &bounds.parameters,
     "Of the rule magnitude: the heaviest cell whose network has at most N parameters; 0: no bound.", 0, 1e15},
    {CLI_INT, 0, "max-macs", "N", &bounds.macs, "The same for multiply-accumulates of a sample.", 0, 1e18},
    {CLI_INT, 0, "layers", "N", &layers, "Cells of the network that the bounds are for.", 1, 1000},
    {CLI_INT, 'c', "channels", "N", &channels, "Channels of its first stage.", 1, 65536},
    {CLI_STRING, 0, "reduce-at", "LIST", &reduce_at,
     "Its reduction cells, as in 2,5, counted from 0; none; by default at one and two thirds."},
    {CLI_HEADING, 0, "Perturbation"},
    {CLI_STRING, 'd', "data", "FILE", &data_path, "The dataset of the search, a stream of nas-ingest."},
    {CLI_CHOICE, 0, "split", "validation|alpha", &split_text, "The split that the supernet is measured on."},
    {CLI_INT, 0, "valid-limit", "N", &perturb.limit, "Measure on its first N samples; 0: on all.", 0, 1e12},
    {CLI_CHOICE, 0, "criterion", "metric|loss", &criterion,
     "What counts: the task's metric, with the loss where that is equal; or the loss."},
    {CLI_INT, 'b', "batch", "N", &perturb.batch,
     "Samples of a batch, whose statistics are used; made smaller, aloud, if memory is short.", 2, 65536},
    {CLI_INT, 0, "tune-epochs", "N", &perturb.tune_epochs,
     "Epochs of fine-tuning of the supernet's weights after every decision.", 0, 1e6},
    {CLI_DOUBLE, 0, "tune-lr", "F", &perturb.tune_lr, "Their learning rate.", 0, 1000},
    {CLI_INT, 0, "memory", "MIB", &perturb.memory, "Take at most so much memory, in MiB; 0: what is free.", 0, 1e9},
    {CLI_HEADING, 0, "Genotypes from elsewhere"},
    {CLI_LIST, 'n', "named", "NAME", &named, "A published cell, or all of them; cnn: the published generator."},
    {CLI_FLAG, 'l', "list", 0, &listing, "Print the published cells (name, source, genotype) and stop."},
    {CLI_INT, 'r', "random", "N", &random_count, "N random cells, the control of every search; see --ops and --seed.",
     0, 1e6},
    {CLI_LIST, 't', "text", "GENOTYPE", &texts,
     "A genotype in the notation Genotype(normal=[('sep_conv_3x3', 0), ...], ...); or a generator: Generator([('bilinear', 2, "
     "'norm', 'conv_5x5', 64), ...]), a tuple a stage: enlargement, factor, normalisation, convolution, channels."},
    {CLI_LIST, 'T', "from-text", "FILE", &text_files,
     "All genotypes in a text file, such as a log or a genotypes.py; what is no genotype is skipped. -: standard "
     "input."},
    {CLI_LIST, 'A', "from-alphas", "FILE", &alpha_files,
     "Derive from the softmaxed alphas of a file: a .npy array (two files, normal and then reduce, or one with both), a log "
     "of PyTorch's DARTS, or a table: a row an edge, a column an operation; normal rows, then reduce rows. -: standard "
     "input."},
    {CLI_CHOICE, 0, "from", "auto|npy|log|python|table", &from,
     "What the files of --from-alphas are; auto: by what is in them. python: definitions NAME = Genotype(...)."},
    {CLI_HEADING, 0, "The space of --random and --from-alphas"},
    {CLI_STRING, 0, "ops", "LIST", &ops,
     "Operations, comma-separated, in the order of the columns; or darts, galaxy-zoo-9, galaxy-zoo-11, series; generator, or what "
     "generators are made of (nas-search --help); auto: those of the last search that was read, or else darts."},
    {CLI_INT, 0, "nodes", "N", &nodes, "Nodes of a cell.", 1, GENOTYPE_MAX_NODES},
    {CLI_INT, 0, "inputs", "N", &inputs, "Inputs that a node keeps.", 1, 2},
    {CLI_INT, 0, "concat", "N", &concat_nodes, "Nodes that make up the output, the last N; 0: all.", 0,
     GENOTYPE_MAX_NODES},
    {CLI_HEADING, 0, "Output"},
    {CLI_FLAG, 'p', "print", 0, &print,
     "Print the genotypes as text, one a line, on standard output; a stream is then written only to a file given by "
     "-o."},
    {CLI_FLAG, 0, "keep-samples", 0, &keep_samples, "Pass samples on."},
    {CLI_FLAG, 0, "keep-weights", 0, &keep_weights, "Pass weights on."},
    {CLI_TABLE, .to = (void *)cli_common_options},
    {CLI_END},
};

static const CliProgram program = {
    .name = "nas-derive",
    .summary = "derive discrete cells from a search, or take them from elsewhere",
    .usage = "[FILE]",
    .details =
        "Reads a stream that holds one or more searches (SearchSpace and SearchEpoch records; FILE, or standard "
        "input) and adds one Genotype record for each search, by default by the rule of DARTS: on every edge the operation "
        "other than none of the greatest weight after the softmax, for every node its strongest edges, the "
        "stronger first. Everything else in the stream is passed on, but for samples and weights, which are "
        "dropped unless asked for.\n\n"
        "Of a search of generators it is the generator of the heaviest option of each decision; --epoch best is the one that was "
        "best on its problems of the train split.\n\n"
        "With --max-params or --max-macs the cell is that of the greatest sum of kept weights whose network, of "
        "--layers, --channels and the shape of the data, stays within the bounds; found exactly, unless the record "
        "says otherwise.\n\n"
        "The rule perturbation takes the supernet's weights from the stream (nas-search --weights). Edges are "
        "decided in an order that depends on --seed; --epoch 0 measures with alphas that were never trained. The "
        "margins of its records are losses.\n\n"
        "With an option that takes genotypes from elsewhere, nothing is read unless a FILE or - is named.\n\n"
        "Examples:\n\n"
        "nas-search data.nas | nas-derive | nas-train --data data.nas -o net.nas\n\n"
        "nas-derive --named DARTS_V2 --random 8 --seed 3 -o cells.nas\n\n"
        "nas-derive --print search.nas\n\n"
        "nas-derive --rule perturbation --data data.nas search.nas -o cell.nas\n\n"
        "nas-derive --print --named cnn --ops generator --random 4\n\n"
        "nas-derive --print --from-alphas normal_049.npy --from-alphas reduce_049.npy",
    .options = options,
};

/* ---- output ---- */

typedef struct {
    Arena *perm;
    Writer *writer; /* 0: text alone */
    int64_t count, texts;
    const char **name; /* of all genotypes so far that could clash */
    int64_t name_count, name_room;
    const char *ops; /* of the last search that was read, or 0 */
} Output;

/* A name may come twice (two searches of one seed): the second is told apart by a number. */
static const char *unique_name(Output *o, const char *name)
{
    const char *tried = name;
    for (int64_t i = 0, k = 2; i < o->name_count; i++) {
        if (strcmp(o->name[i], tried)) continue;
        tried = arena_printf(o->perm, "%s-%lld", name, (long long)k++);
        i = -1;
    }
    GROW(o->perm, o->name, o->name_count, o->name_room);
    return o->name[o->name_count++] = tried;
}

static void emit(Output *o, GenotypeRecord g)
{
    o->count++;
    if (print) puts(g.text);
    if (!o->writer) return;
    writer_put(o->writer, &(Record){.kind = REC_GENOTYPE, .genotype = g});
    if (writer_error(o->writer)) cli_die(EXIT_FAILED, "%s", writer_error(o->writer));
}

/* ---- from a stream ---- */

typedef struct {
    bool open; /* a SearchSpace was read */
    Space space;
    bool of_generators; /* then this is its space, and the weights are */
    GeneratorSpace generators;
    double *columns;
    const char *strategy, *dataset, *ops;
    int64_t seed;
    int64_t epochs, first, last; /* SearchEpochs seen, and the range of their numbers */
    bool found;
    int64_t epoch;         /* that was taken */
    double *weight[2];     /* of it */
    double best;           /* its metric, with --epoch best */
    NetworkRecord network; /* of the supernet, with the rule perturbation */
    Graph *graph;          /* 0: there is none */
    NetWeights weights;
} Search;

typedef struct { /* what the rules work with besides alphas */
    Arena scratch;
    bool shaped;               /* the shape of the data is known */
    DatasetInfo info;          /* of that shape alone */
    const MetricInfo *selects; /* the metric that is best or not; 0: unknown */
    Dataset data;              /* with --data */
    Workplace place;
} Bench;

/* A genotype by the rule that was asked for; the search may be 0: alphas from a file. */
static const char *derive_by_rule(Bench *b, Arena *perm, const Search *search, const Space *s, double *const weight[2],
                                  Derived *d, Settings *list)
{
    if (!strcmp(rule, "threshold")) {
        double least = threshold > 0 ? threshold : 1 / (double)s->op_count;
        settings_add(perm, list, "threshold", "%g", least);
        return derive_magnitude(perm, s, weight[0], weight[1], least, d);
    }
    if (!strcmp(rule, "perturbation")) {
        if (!search || !search->graph)
            return "no weights of a supernet: the rule perturbation needs a search with --weights";
        const char *missing = netio_missing(perm, search->graph, &search->weights);
        if (missing) return arena_printf(perm, "the supernet's weights lack %s", missing);
        Dataset data = b->data; /* as the supernet was trained to see it */
        data.info.mean = search->network.mean;
        data.info.sd = search->network.sd;
        data.info.target_mean = search->network.target_mean;
        data.info.target_sd = search->network.target_sd;
        b->place.data = &data;
        PerturbReport report;
        NetSpec besides = {0};
        const char *why = supernet_parts(perm, &search->network, s, &besides);
        if (!why)
            why = perturb_derive(perm, b->scratch, &b->place, &perturb, s, &besides, search->graph,
                                 search->weights.weights, search->weights.stats, weight[0], weight[1], d, &report);
        if (why) return why;
        settings_add(perm, list, "split", "%s", split_text);
        settings_add(perm, list, "criterion", "%s", criterion);
        settings_add(perm, list, "order_seed", "%lld", (long long)cli_common.seed);
        settings_add(perm, list, "tune_epochs", "%lld", (long long)perturb.tune_epochs);
        settings_add(perm, list, "evaluations", "%lld", (long long)report.evaluations);
        settings_add(perm, list, "samples", "%lld", (long long)report.samples);
        settings_add(perm, list, "batch", "%lld", (long long)report.batch);
        settings_add(perm, list, "loss_before", "%.6g", report.before);
        settings_add(perm, list, "loss_after", "%.6g", report.after);
        return 0;
    }
    if (!bounds.parameters && !bounds.macs) return derive_magnitude(perm, s, weight[0], weight[1], 0, d);
    if (!b->shaped) return "no dataset in the stream, whose shape the bounds need: --data FILE names one";
    NetSpec net = {.input_channels = b->info.channels,
                   .height = b->info.height,
                   .width = b->info.width,
                   .outputs = b->info.outputs,
                   .channels = channels,
                   .layers = layers,
                   .stem_multiplier = 3};
    const char *why = reduce_parse(perm, reduce_at, layers, net.reduce_at, COUNTOF(net.reduce_at), &net.reduce_count);
    Bounds size;
    bool exact;
    if (!why) why = derive_bounded(perm, b->scratch, s, weight[0], weight[1], &net, bounds, d, &size, &exact);
    if (why) return why;
    if (bounds.parameters) settings_add(perm, list, "max_params", "%lld", (long long)bounds.parameters);
    if (bounds.macs) settings_add(perm, list, "max_macs", "%lld", (long long)bounds.macs);
    settings_add(perm, list, "layers", "%lld", (long long)layers);
    settings_add(perm, list, "channels", "%lld", (long long)channels);
    settings_add(perm, list, "parameters", "%lld", (long long)size.parameters);
    settings_add(perm, list, "macs", "%lld", (long long)size.macs);
    settings_add(perm, list, "exact", "%s", exact ? "yes" : "no");
    return 0;
}

static void emit_derived(Output *o, const char *name, const char *dataset, int64_t seed, int64_t at, Derived *d,
                         const Settings *list)
{
    GenotypeRecord g = {.name = unique_name(o, name),
                        .text = genotype_print(o->perm, &d->genotype),
                        .rule = rule,
                        .dataset = dataset,
                        .seed = seed,
                        .epoch = at,
                        .margin = d->margin,
                        .margin_count = d->margin_count,
                        .none_mass = d->none_mass,
                        .weight_kept = d->weight_kept,
                        .settings = list->item,
                        .setting_count = list->count};
    emit(o, g);
}

/* The same of a search of generators. */
static void emit_generator(Output *o, const Search *s, const char *name)
{
    int64_t choice[GENERATOR_MAX_DECISIONS] = {0};
    double margin[GENERATOR_MAX_DECISIONS], kept = 0;
    GeneratorSpec spec;
    generators_likeliest(&s->generators, s->columns, choice);
    generator_decide(&s->generators, choice, &spec);
    for (int64_t d = 0; d < s->generators.decisions; d++) {
        const GeneratorDecision *of = &s->generators.decision[d];
        margin[d] = generators_margin(&s->generators, d, s->columns, choice[d]);
        kept += s->columns[of->first + choice[d]] / (double)s->generators.decisions;
    }
    emit(o, (GenotypeRecord){.name = unique_name(o, name),
                             .text = generator_print(o->perm, &spec),
                             .rule = rule,
                             .dataset = s->dataset,
                             .seed = s->seed,
                             .epoch = s->epoch,
                             .margin = margin,
                             .margin_count = s->generators.decisions,
                             .none_mass = -1,
                             .weight_kept = kept});
}

/* The search is over: its genotype goes out. */
static void search_end(Search *s, Output *o, Bench *b, const char *file)
{
    if (!s->open || every) return;
    if (!s->found && epoch >= 0 && s->epochs)
        cli_die(EXIT_FAILED, "%s: no epoch %lld: the search has %lld to %lld", file, (long long)epoch,
                (long long)s->first, (long long)s->last);
    if (!s->found && epoch == EPOCH_BEST && s->epochs)
        cli_die(EXIT_FAILED, "%s: no epoch of the search was measured on a %s split: which is best is unknown", file,
                s->of_generators ? "train" : "validation");
    if (!s->found) cli_die(EXIT_FAILED, "%s: a search without epochs: nothing to derive from", file);
    const char *name = arena_printf(o->perm, "search-%s-%lld", s->strategy, (long long)s->seed);
    if (s->of_generators) {
        emit_generator(o, s, name);
        return;
    }
    Derived d;
    Settings list = {0};
    const char *why = derive_by_rule(b, o->perm, s, &s->space, s->weight, &d, &list);
    if (why) cli_die(EXIT_FAILED, "%s: %s: %s", file, name, why);
    emit_derived(o, name, s->dataset, s->seed, s->epoch, &d, &list);
    int64_t edges = space_edges(&s->space), none = d.none_wins[0] + d.none_wins[1];
    if (none > edges)
        cli_note(
            "%s: none is the strongest operation on %lld of %lld edges of %s: the cell is not what the search settled "
            "on",
            file, (long long)none, (long long)(2 * edges), name);
}

static const char *search_begin(Search *s, Arena *perm, const SearchSpace *r)
{
    *s = (Search){.open = true,
                  .strategy = arena_strdup(perm, r->strategy),
                  .dataset = arena_strdup(perm, r->dataset),
                  .seed = r->seed,
                  .best = NAN};
    Text all = {0};
    text_add(perm, &all, "");
    for (int64_t i = 0; i < r->op_count; i++) text_addf(perm, &all, "%s%s", i ? "," : "", r->ops[i]);
    s->ops = all.s;
    if (generator_space_is(all.s)) {
        s->of_generators = true;
        if (strcmp(rule, "magnitude") || bounds.parameters || bounds.macs)
            return "a search of generators: they are derived by --rule magnitude, without bounds";
        const char *why = generator_space_make(perm, all.s, &s->generators);
        if (!why) s->columns = NEW(perm, double, s->generators.columns);
        return why;
    }
    const char *why = space_make(perm, all.s, r->nodes, r->inputs, r->concat, &s->space);
    for (int i = 0; i < 2 && !why; i++) s->weight[i] = NEW(perm, double, space_edges(&s->space) * s->space.op_count);
    return why;
}

/* With --epoch best: is this the best so far? Of equals the later one is. */
static bool is_best(Search *s, const Bench *b, const SearchEpoch *e)
{
    const MetricInfo *m = s->of_generators ? task_metric(generators_metric) : b->selects;
    const Split split = s->of_generators ? SPLIT_TRAIN : SPLIT_VALID;
    double now = m ? metric_get(e->metrics, e->metric_count, split_name[split], m->name) : NAN;
    if (isnan(now)) return false;
    if (!isnan(s->best) && (m->higher ? now < s->best : now > s->best)) return false;
    s->best = now;
    return true;
}

static const char *generator_epoch(Search *s, Output *o, const Bench *b, const SearchEpoch *e)
{
    if (!s->epochs++) s->first = e->epoch;
    s->last = e->epoch;
    if (!every && epoch >= 0 && e->epoch != epoch) return 0;
    double *weight = NEW(o->perm, double, s->generators.columns);
    const char *why = generators_weights(o->perm, &s->generators, e, weight);
    if (why || (!every && epoch == EPOCH_BEST && !is_best(s, b, e))) return why;
    s->found = true;
    s->epoch = e->epoch;
    s->columns = weight;
    if (every)
        emit_generator(
            o, s,
            arena_printf(o->perm, "search-%s-%lld-epoch%lld", s->strategy, (long long)s->seed, (long long)e->epoch));
    return 0;
}

static const char *search_epoch(Search *s, Output *o, Bench *b, const SearchEpoch *e)
{
    if (!s->open) return "a search epoch without a search space before it";
    Arena *perm = o->perm;
    if (s->of_generators) return generator_epoch(s, o, b, e);
    const double *weight[2] = {0};
    int64_t cells = space_edges(&s->space) * s->space.op_count;
    for (int64_t i = 0; i < e->table_count; i++) {
        const AlphaTable *t = &e->tables[i];
        if (strcmp(t->name, "normal") && strcmp(t->name, "reduce")) continue; /* weights of edges */
        if (t->edges != space_edges(&s->space) || t->ops != s->space.op_count || !t->weight)
            return arena_printf(perm, "the table \"%s\" does not fit the search space", t->name);
        if (!strcmp(t->name, "normal")) weight[0] = t->weight;
        if (!strcmp(t->name, "reduce")) weight[1] = t->weight;
    }
    if (!weight[0] || !weight[1]) return "a search epoch needs the tables \"normal\" and \"reduce\"";
    if (!s->epochs++) s->first = e->epoch;
    s->last = e->epoch;
    if (!every && epoch >= 0 && e->epoch != epoch) return 0;
    const char *why = derive_check(perm, &s->space, weight[0], weight[1]);
    if (why || (!every && epoch == EPOCH_BEST && !is_best(s, b, e))) return why;
    s->found = true;
    s->epoch = e->epoch;
    for (int i = 0; i < 2; i++) memcpy(s->weight[i], weight[i], (size_t)cells * sizeof(double));
    if (!every) return 0;
    Derived d;
    Settings list = {0};
    why = derive_by_rule(b, perm, s, &s->space, s->weight, &d, &list);
    if (why) return why;
    const char *name =
        arena_printf(perm, "search-%s-%lld-epoch%lld", s->strategy, (long long)s->seed, (long long)e->epoch);
    emit_derived(o, name, s->dataset, s->seed, e->epoch, &d, &list);
    return 0;
}

/* The supernet of the present search, and its weights. */
static const char *search_network(Search *s, Arena *perm, const Bench *b, const NetworkRecord *n)
{
    if (strcmp(n->net, netio_supernet) || strcmp(n->run, netio_supernet)) return 0; /* none that was pruned or tuned */
    if (!s->open) return "a supernet without a search space before it";
    s->network = netio_copy(perm, n);
    s->weights = (NetWeights){.set = netio_supernet};
    const char *why = netio_mismatch(perm, &s->network, &b->data.info);
    if (!why) s->graph = netio_build(perm, &s->network, &why);
    Space there;
    if (!why) why = netio_space(perm, &s->network, &there);
    if (!why && (there.op_count != s->space.op_count || memcmp(there.op, s->space.op, sizeof there.op) ||
                 there.nodes != s->space.nodes))
        why = "its space is not that of the search";
    if (!why && setting_get(n->settings, n->setting_count, "kept"))
        why = "it does not have all operations of its space";
    return why ? arena_printf(perm, "the supernet: %s", why) : 0;
}

static const char *search_tensor(Search *s, Arena *perm, const TensorRecord *t)
{
    if (!s->graph || strcmp(t->set, netio_supernet) || netio_is_alpha(t->name)) return 0;
    return netio_take(perm, s->graph, t, &s->weights);
}

static void take_shape(Bench *b, const DatasetInfo *d)
{
    b->shaped = true;
    b->info = (DatasetInfo){.channels = d->channels, .height = d->height, .width = d->width, .outputs = d->outputs};
    b->selects = task_find(d->task) ? task_selects(d) : 0;
}

static bool passes(RecordKind k)
{
    return (k != REC_SAMPLES || keep_samples) && (k != REC_TENSOR || keep_weights);
}

static void from_stream(Reader *in, Output *o, Bench *b, bool must_search)
{
    Search s = {0};
    bool perturbed = !strcmp(rule, "perturbation");
    int64_t searches = 0, epochs = 0;
    for (;;) {
        Arena once = b->scratch;
        Record r;
        StreamStatus status = reader_next(in, &once, &r);
        if (status == STREAM_END) break;
        if (status == STREAM_ERROR) cli_die_input(reader_damaged(in), reader_error(in));
        const char *why = 0;
        if (r.kind == REC_SPACE) {
            search_end(&s, o, b, reader_name(in));
            why = search_begin(&s, o->perm, &r.space);
            o->ops = s.ops;
            searches++;
        }
        if (r.kind == REC_DATASET && !*data_path) take_shape(b, &r.dataset);
        if (r.kind == REC_NETWORK && perturbed) why = search_network(&s, o->perm, b, &r.network);
        if (r.kind == REC_TENSOR && perturbed) why = search_tensor(&s, o->perm, &r.tensor);
        if (r.kind == REC_GENOTYPE) unique_name(o, arena_strdup(o->perm, r.genotype.name)); /* is taken from now on */
        if (o->writer && passes(r.kind)) writer_pass(o->writer, &r);
        if (r.kind == REC_SEARCH_EPOCH && !why) {
            why = search_epoch(&s, o, b, &r.search_epoch);
            epochs++;
            if (o->writer) writer_flush(o->writer); /* who follows the stream sees the epoch now */
        }
        if (why) cli_die(EXIT_FAILED, "%s: record %lld: %s", reader_name(in), (long long)r.number, why);
        if (o->writer && writer_error(o->writer)) cli_die(EXIT_FAILED, "%s", writer_error(o->writer));
    }
    if (must_search && !searches) cli_die(EXIT_FAILED, "%s: no search in it: nothing to derive from", reader_name(in));
    if (must_search && !epochs)
        cli_die(EXIT_FAILED, "%s: a search without epochs: nothing to derive from", reader_name(in));
    search_end(&s, o, b, reader_name(in));
}

/* ---- from elsewhere ---- */

static GenotypeRecord plain_record(const char *name, const char *text, const char *how)
{
    return (GenotypeRecord){
        .name = name, .text = text, .rule = how, .dataset = "", .epoch = -1, .none_mass = -1, .weight_kept = -1};
}

static void emit_named(Output *o, const NamedGenotype *n)
{
    Genotype g;
    const char *why = genotype_parse(o->perm, n->text, &g);
    if (why) cli_die(EXIT_FAILED, "%s: %s", n->name, why);
    GenotypeRecord r = plain_record(unique_name(o, n->name), genotype_print(o->perm, &g), "named");
    Setting source = {"source", n->source};
    r.settings = &source;
    r.setting_count = 1;
    emit(o, r);
}

static void emit_published(Output *o)
{
    emit(o, plain_record(unique_name(o, generator_published_name), generator_print(o->perm, &generator_published),
                         "named"));
}

static const NamedGenotype *find_named(Arena *perm, const char *name)
{
    const NamedGenotype *n = genotype_find(name);
    if (n) return n;
    const char **known = NEW(perm, const char *, genotype_named_count);
    for (int64_t i = 0; i < genotype_named_count; i++) known[i] = genotype_named[i].name;
    cli_die(EXIT_USAGE, "--named %s: no such cell; near it: %s (--list shows all)", name,
            names_near(perm, name, (int64_t)strlen(name), known, genotype_named_count));
}

/* One genotype with what precedes it on its line; `where` for messages. */
static void emit_text(Output *o, const char *text, const char *name, const char *where, int code)
{
    Genotype g;
    GeneratorSpec spec;
    const bool generator = generator_text_is(text);
    const char *why = generator ? generator_parse(o->perm, text, &spec) : genotype_parse(o->perm, text, &g);
    if (why) cli_die(code, "%s: %s", where, why);
    o->texts++;
    if (!name) name = arena_printf(o->perm, "text-%lld", (long long)o->texts);
    text = generator ? generator_print(o->perm, &spec) : genotype_print(o->perm, &g);
    emit(o, plain_record(unique_name(o, name), text, "text"));
}

static char *read_text(Arena *perm, const char *path, int64_t *length)
{
    const char *name = strcmp(path, "-") ? path : "<stdin>";
    FILE *in = path == name ? fopen(path, "rb") : stdin;
    if (!in) cli_die(EXIT_FAILED, "%s: %s", name, strerror(errno));
    size_t room = 1 << 16, used = 0;
    char *text = NEW(perm, char, room + 1);
    for (size_t got; (got = fread(text + used, 1, room - used, in)) > 0;) {
        used += got;
        if (used < room) continue;
        if (room >= MAX_TEXT) cli_die(EXIT_FAILED, "%s: more than %d MiB of text", name, MAX_TEXT >> 20);
        char *more = NEW(perm, char, 2 * room + 1);
        memcpy(more, text, used);
        text = more;
        room *= 2;
    }
    if (ferror(in)) cli_die(EXIT_FAILED, "%s: %s", name, strerror(errno));
    if (in != stdin) fclose(in);
    *length = (int64_t)used;
    text[used] = 0;
    return text;
}

static void emit_texts(Output *o, const char *text, const char *name)
{
    GenotextScan scan = genotext_scan(text);
    Genotext g;
    int64_t found = 0;
    for (; genotext_next(o->perm, &scan, &g); found++)
        emit_text(o, g.text, g.name, arena_printf(o->perm, "%s: line %lld", name, (long long)g.line), EXIT_FAILED);
    if (!found) cli_die(EXIT_FAILED, "%s: no \"Genotype(\" in it", name);
}

static const char *shown_name(const char *path)
{
    return strcmp(path, "-") ? path : "<stdin>";
}

static void emit_text_file(Output *o, const char *path)
{
    int64_t length;
    char *text = read_text(o->perm, path, &length);
    emit_texts(o, text, shown_name(path));
}

/* The file's name without folder and ending: "run3/alphas_049.txt" gives alphas_049. */
static const char *stem_of(Arena *perm, const char *path)
{
    if (!strcmp(path, "-")) return "alphas";
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    return arena_strndup(perm, base, dot > base ? dot - base : (ptrdiff_t)strlen(base));
}

/* Alphas of both cells; name is the file's, for messages. */
static void emit_weights(Output *o, Bench *b, const Space *s, double *const weight[2], const char *path, int64_t at)
{
    const char *name = shown_name(path);
    Derived d;
    Settings list = {0};
    const char *why = derive_check(o->perm, s, weight[0], weight[1]);
    if (!why) why = derive_by_rule(b, o->perm, 0, s, weight, &d, &list);
    if (why) cli_die(EXIT_FAILED, "%s: %s", name, why);
    for (int64_t edge = 0; edge < 2 * space_edges(s); edge++) {
        double sum = 0;
        const double *row = weight[edge / space_edges(s)] + edge % space_edges(s) * s->op_count;
        for (int64_t k = 0; k < s->op_count; k++) sum += row[k];
        if (sum > 0.99 && sum < 1.01) continue;
        cli_warn("%s: row %lld adds up to %g, not 1: are these alphas before the softmax?", name, (long long)edge + 1,
                 sum);
        break;
    }
    emit_derived(o, stem_of(o->perm, path), "", 0, at, &d, &list);
}

/* Files of alphas, in the order given; a .npy of one cell waits for that of the other. */
static void emit_alphas(Output *o, Bench *b, const Space *s)
{
    double *waiting = 0;
    const char *waiting_path = 0;
    int64_t cells = space_edges(s) * s->op_count;
    for (int i = 0; i < alpha_files.count; i++) {
        const char *path = alpha_files.item[i], *why = 0;
        int64_t length, of_cells = 2;
        char *text = read_text(o->perm, path, &length);
        AlphaFormat format = alphafile_probe(text, length);
        if (strcmp(from, "auto"))
            for (format = 0; strcmp(alphafile_format(format), from);) format++;
        if (format == ALPHA_PYTHON) {
            emit_texts(o, text, shown_name(path));
            continue;
        }
        double *weight[2];
        int64_t at = -1;
        if (format == ALPHA_LOG) {
            LogAlphas found;
            why = alphafile_log(o->perm, s, text, epoch, &found);
            weight[0] = found.normal;
            weight[1] = found.reduce;
            at = found.epoch;
        } else {
            if (format == ALPHA_NPY)
                why = alphafile_npy(o->perm, s, text, length, &weight[0], &of_cells);
            else
                why = derive_read_table(o->perm, s, text, length, &weight[0]);
            weight[1] = weight[0] + cells;
        }
        if (why) cli_die(EXIT_FAILED, "%s: %s", shown_name(path), why);
        if (of_cells == 1 && !waiting) {
            waiting = weight[0];
            waiting_path = path;
            continue;
        }
        if (of_cells == 1) {
            weight[1] = weight[0];
            weight[0] = waiting;
            path = waiting_path;
            waiting = 0;
        }
        emit_weights(o, b, s, weight, path, at);
    }
    if (waiting)
        cli_die(EXIT_FAILED, "%s: the array of one kind of cell: that of the reduction cells is to follow it",
                shown_name(waiting_path));
}

/* The i-th random cell, or generator, as text. */
static const char *random_text(Arena *a, const Space *s, const GeneratorSpace *generators, int64_t i)
{
    GeneratorSpec spec;
    Genotype g;
    if (generators) {
        generator_random(generators, (uint64_t)cli_common.seed, (uint64_t)i, &spec);
        return generator_print(a, &spec);
    }
    g = genotype_random(s, (uint64_t)cli_common.seed, (uint64_t)i);
    return genotype_print(a, &g);
}

/* generators: their space, or 0: cells of s. */
static void emit_random(Output *o, const Space *s, const GeneratorSpace *generators, Arena scratch)
{
    Text all = {0};
    for (int64_t i = 0; !generators && i < s->op_count; i++)
        text_addf(&scratch, &all, "%s%s", i ? "," : "", primitive_table[s->op[i]].name);
    Setting settings = {"ops", generators ? generator_space_ops(&scratch, generators) : all.s};
    for (int64_t i = 1; i <= random_count; i++) {
        Arena once = scratch; /* names of random cells cannot clash, so nothing of them needs to stay */
        const char *name = arena_printf(&once, "random-%lld-%lld", (long long)cli_common.seed, (long long)i);
        GenotypeRecord r = plain_record(name, random_text(&once, s, generators, i), "random");
        r.seed = cli_common.seed;
        r.settings = &settings;
        r.setting_count = 1;
        emit(o, r);
    }
}

static void print_list(void)
{
    for (int64_t i = 0; i < genotype_named_count; i++)
        printf("%s\t%s\t%s\n", genotype_named[i].name, genotype_named[i].source, genotype_named[i].text);
}

/* How many of the list's items name standard input. */
static int stdin_count(const CliList *l)
{
    int n = 0;
    for (int i = 0; i < l->count; i++) n += !strcmp(l->item[i], "-");
    return n;
}

/* What options say together; ends the program if that makes no sense. `path`: the stream's, or 0. */
static void check_rule(const char *path)
{
    bool perturbed = !strcmp(rule, "perturbation"), bounded = bounds.parameters || bounds.macs;
    char *end;
    epoch = !strcmp(epoch_text, "best") ? EPOCH_BEST : EPOCH_LAST;
    if (strcmp(epoch_text, "best") && strcmp(epoch_text, "last")) {
        epoch = strtoll(epoch_text, &end, 10);
        if (!*epoch_text || epoch_text[strspn(epoch_text, "-0123456789")] || *end || epoch < -1 || epoch > (int64_t)1e9)
            cli_die(EXIT_USAGE, "--epoch: expected a number of epochs, best or last, not '%s'", epoch_text);
    }
    if (every && epoch != EPOCH_LAST) cli_die(EXIT_USAGE, "--every and --epoch exclude each other");
    if (perturbed && every)
        cli_die(EXIT_USAGE, "--rule perturbation: the weights of the last epoch alone are there: no --every");
    if (perturbed && (!*data_path || !path))
        cli_die(EXIT_USAGE, "--rule perturbation: needs a stream with a search and its weights, and --data FILE");
    if (bounded && strcmp(rule, "magnitude"))
        cli_die(EXIT_USAGE, "--max-params and --max-macs: with --rule magnitude only");
    if (path && !strcmp(path, "-") && !strcmp(data_path, "-"))
        cli_die(EXIT_USAGE, "standard input can be read once only");
    perturb.split = strcmp(split_text, "alpha") ? SPLIT_VALID : SPLIT_ALPHA;
    perturb.by_loss = !strcmp(criterion, "loss");
}

static void open_data(Bench *b, Arena *perm)
{
    bool damaged;
    const char *why = dataset_open(perm, b->scratch, data_path, &b->data, &damaged);
    if (why) cli_die_input(damaged, why);
    take_shape(b, &b->data.info);
    why = workplace_open(perm, &b->place, &b->data, 0);
    if (why) cli_die(EXIT_FAILED, "%s", why);
}

/* The space of --random and --from-alphas: of cells, or of generators. */
static const char *choose_space(Arena *perm, const char *list, int64_t concat, Space *cells, GeneratorSpace *generators,
                                bool *of_generators)
{
    *of_generators = generator_space_is(list);
    if (!*of_generators) return space_make(perm, list, nodes, inputs, concat, cells);
    return alpha_files.count ? "--from-alphas: cells alone are derived from tables"
                             : generator_space_make(perm, list, generators);
}

int main(int argc, char **argv)
{
    char **file = cli_begin(argc, argv, &program);
    if (listing) return print_list(), cli_end();
    Arena perm = arena_reserve((ptrdiff_t)1 << 34), scratch = arena_reserve((ptrdiff_t)1 << 34);

    bool elsewhere = named.count || texts.count || text_files.count || alpha_files.count || random_count;
    const char *path = file[0] ? file[0] : elsewhere ? 0 : "-";
    if (file[0] && file[1]) cli_die(EXIT_USAGE, "one FILE, not also %s: cat joins streams", file[1]);
    check_rule(path);
    if ((path && !strcmp(path, "-")) + stdin_count(&text_files) + stdin_count(&alpha_files) > 1)
        cli_die(EXIT_USAGE, "standard input can be read once only");
    if (path && !file[0] && isatty(STDIN_FILENO))
        cli_die(EXIT_USAGE, "usage: %s [OPTION...] %s: nothing to read; --help tells more", program.name,
                program.usage);
    Space space = {0};
    const bool automatic = !strcmp(ops, "auto");
    const int64_t concat = concat_nodes ? concat_nodes : nodes;
    GeneratorSpace generators;
    bool of_generators = false;
    const char *why = choose_space(&perm, automatic ? "darts" : ops, concat, &space, &generators, &of_generators);
    if (why) cli_die(EXIT_USAGE, "%s", why);
    for (int i = 0; i < named.count; i++)
        if (strcmp(named.item[i], "all") && strcmp(named.item[i], generator_published_name))
            find_named(&perm, named.item[i]);

    bool stream = !print || strcmp(cli_common.output, "-");
    if (stream) cli_refuse_terminal(cli_common.output);
    Bench bench = {.scratch = scratch};
    if (*data_path) open_data(&bench, &perm);
    Reader *in = path ? reader_open(&perm, path) : 0;
    Output out = {.perm = &perm};
    if (stream) {
        Provenance self = provenance_self(&perm, 0, 0);
        out.writer = writer_open(&perm, cli_common.output, in, &self);
        cli_guard_file(writer_temporary(out.writer));
    }
    if (in) from_stream(in, &out, &bench, !elsewhere);
    if (automatic && out.ops) why = choose_space(&perm, out.ops, concat, &space, &generators, &of_generators);
    if (why) cli_die(EXIT_USAGE, "%s", why);
    for (int i = 0; i < named.count; i++) {
        bool all = !strcmp(named.item[i], "all");
        for (int64_t k = 0; all && k < genotype_named_count; k++) emit_named(&out, &genotype_named[k]);
        if (!strcmp(named.item[i], generator_published_name))
            emit_published(&out);
        else if (!all)
            emit_named(&out, find_named(&perm, named.item[i]));
    }
    for (int i = 0; i < texts.count; i++) emit_text(&out, texts.item[i], 0, "--text", EXIT_USAGE);
    for (int i = 0; i < text_files.count; i++) emit_text_file(&out, text_files.item[i]);
    emit_alphas(&out, &bench, &space);
    emit_random(&out, &space, of_generators ? &generators : 0, scratch);
    if (out.writer && !writer_finish(out.writer)) cli_die(EXIT_FAILED, "%s", writer_error(out.writer));
    cli_guard_file(0);
    if (bench.place.pool) workplace_close(&bench.place);
    return cli_end();
}
