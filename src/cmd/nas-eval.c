/* nas-eval: trained networks in, what they are worth on a split of a dataset out. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "data/problems.h"
#include "train/average.h"
#include "train/candidates.h"
#include "train/design_scores.h"
#include "train/evaluate.h"
#include "train/export.h"
#include "train/forecast.h"
#include "train/netio.h"
#include "train/predictions.h"
#include "train/settings.h"
#include "train/supernet.h"
#include "train/workplace.h"

static const char *data_path = "", *split_text = "test", *wanted_set = "best", *csv_path = "", *npy_path = "",
                  *onnx_path = "", *weights_path = "";
static int64_t batch = 64, limit, memory, bootstrap, views, steps;
static bool predictions, keep_weights, ensemble, onnx_normalised;

static const CliOption options[] = {
    {CLI_HEADING, 0, "What is evaluated"},
    {CLI_STRING, 'd', "data", "FILE", &data_path, "The dataset, a stream of nas-ingest. Needed."},
    {CLI_CHOICE, 's', "split", "test|validation|train|alpha", &split_text, "The split to evaluate on."},
    {CLI_CHOICE, 0, "set", "best|last|mean", &wanted_set, "Which weights; if a network lacks them, others, aloud."},
    {CLI_INT, 0, "limit", "N", &limit, "Evaluate the first N samples; 0: all.", 0, 1e12},
    {CLI_INT, 0, "steps", "N", &steps, "Of designs: what they are worth after N steps; 0: after all.", 0, 1e9},
    {CLI_INT, 'b', "batch", "N", &batch, "Samples of a batch; made smaller if memory is short.", 1, 65536},
    {CLI_INT, 0, "memory", "MIB", &memory, "Take at most so much memory, in MiB; 0: what is free.", 0, 1e9},
    {CLI_INT, 0, "tta", "N", &views,
     "Answer by the mean over a sample and N augmented views of it, flipped and cropped as the dataset declares.", 0,
     1000},
    {CLI_FLAG, 0, "ensemble", 0, &ensemble, "Evaluate the mean prediction of all networks as well."},
    {CLI_INT, 0, "bootstrap", "N", &bootstrap,
     "Where the selecting metric lies in 95 % of N resamplings of the split (1000 is usual); 0: not asked.", 0, 1e6},
    {CLI_HEADING, 0, "Output"},
    {CLI_FLAG, 'p', "predictions", 0, &predictions,
     "Write what each network says of every sample as Predictions records."},
    {CLI_STRING, 0, "csv", "FILE", &csv_path, "Write the same as CSV to FILE."},
    {CLI_STRING, 0, "npy", "FILE", &npy_path,
     "Write the predictions as a NumPy array (networks, samples, outputs) of float32 to FILE."},
    {CLI_STRING, 0, "onnx", "FILE", &onnx_path, EXPORT_ONNX_HELP},
    {CLI_FLAG, 0, "onnx-normalised", 0, &onnx_normalised, EXPORT_NORMALISED_HELP},
    {CLI_STRING, 0, "weights-npz", "FILE", &weights_path,
     "Write the weights of the network as a NumPy archive to FILE, under the names of PyTorch's state_dict; {run} as for "
     "--onnx. nas-train --init reads it."},
    {CLI_FLAG, 0, "keep-weights", 0, &keep_weights, "Pass the weights on."},
    {CLI_TABLE, .to = (void *)cli_common_options},
    {CLI_END},
};

static const CliProgram program = {
    .name = "nas-eval",
    .summary = "evaluate trained networks on a whole split",
    .usage = "--data FILE [STREAM]",
    .details =
        "Reads networks and their weights from STREAM (or standard input; nas-train writes them, nas-search --weights "
        "a supernet) and adds an Evaluation record for each: the task's metrics over the whole split, those of a "
        "predictor that always says the same beside them, the confusion matrix, and the health check (the loss of the "
        "same samples by running and by batch statistics). All else is passed on, but for samples and weights.\n\n"
        "Samples are normalised as they were for the training of the network. A network that does not fit the "
        "dataset ends the program with status 1; one without weights in the stream is passed on with a note.\n\n"
        "Of designs of structural problems each candidate is evaluated over the problems of the split: relative error = "
        "compliance / best known - 1, its mean, its median, the share of problems within 1 %, those of the uniform design beside them, "
        "and a table of problems. Best known is the least of the published figures, so that an error can be negative; where none "
        "was published, the least in the stream: evaluate what is to be compared in one stream. All designs are simulated anew.\n\n"
        "Examples:\n\n"
        "nas-train --data data.nas cells.nas | nas-eval --data data.nas -o result.nas\n\n"
        "nas-eval --data data.nas --split validation --csv said.csv net.nas -o result.nas\n\n"
        "cat run1.nas run2.nas run3.nas | nas-eval --data data.nas --ensemble --bootstrap 1000 -o result.nas",
    .options = options,
    .reads_stdin = true,
};

enum { SETS = 4 };
static const char *const set_name[SETS] = {"best", "last", "mean",
                                           netio_supernet}; /* in the order in which one stands in for another */

typedef struct {
    Arena *perm;
    Dataset data;
    Split split;
    Workplace place;
    Writer *out;
    FILE *csv, *npy;
    int64_t evaluated, passed; /* networks */
    int64_t written;           /* evaluations, the ensemble's among them */
    int64_t onnx, weights;     /* files written */
    Candidates files;          /* their networks */
    Average members;           /* of the ensemble */
    int64_t member_parameters, member_macs;
    double member_seconds;
    Text member_names;
    /* the network whose tensors are coming */
    Arena room, mine; /* where it may be kept, from the start; what is left of it */
    NetworkRecord net;
    Graph *graph; /* 0: none */
    NetWeights set[SETS];
    double seconds; /* of its training */
} Eval;

_Noreturn static void die_net(const Eval *e, const char *why)
{
    cli_die(EXIT_FAILED, "network %s: %s", e->net.run, why);
}

static Split split_find(const char *name)
{
    int s = 0;
    while (s < SPLIT_COUNT - 1 && strcmp(split_name[s], name)) s++;
    return (Split)s;
}

/* The set to use: the wanted one, or the first of the others that is there; 0 if there is none. */
static const NetWeights *choose_set(Eval *e)
{
    const NetWeights *other = 0;
    for (int i = SETS; i-- > 0;) {
        if (!e->set[i].have) continue;
        if (!strcmp(e->set[i].set, wanted_set)) return &e->set[i];
        other = &e->set[i];
    }
    if (other && strcmp(other->set, netio_supernet)) /* a search has no other */
        cli_warn("network %s: no weights \"%s\" in the stream: \"%s\" are taken", e->net.run, wanted_set, other->set);
    return other;
}

/* r, which knows who was evaluated, is completed by what it is worth and written; then the predictions, which the outputs
 * in t become, in all the forms that were asked for. */
static void put_evaluation(Eval *e, Arena *a, Arena scratch, const Dataset *d, Tally *t, Evaluation r)
{
    const int64_t *ids = d->split[e->split].ids;
    const char *selects = task_selects(&d->info)->name;
    Settings list = {0};
    if (views) settings_add(a, &list, "tta", "%lld", (long long)views);
    if (bootstrap) settings_add(a, &list, "bootstrap", "%lld", (long long)bootstrap);
    if (!*r.net) settings_add(a, &list, "members", "%s", e->member_names.s);
    r.settings = list.item;
    r.setting_count = list.count;
    const char *why = evaluate_record(a, scratch, d, e->split, t, bootstrap, (uint64_t)cli_common.seed, &r);
    if (why) cli_die(EXIT_FAILED, "%s: %s", r.run, why);
    writer_put(e->out, &(Record){.kind = REC_EVALUATION, .evaluation = r});
    cli_note("%s: %lld samples of %s: %s %.4f, %.4f without a network", r.run, (long long)t->rows, r.split, selects,
             metric_get(r.metrics, r.metric_count, r.split, selects),
             metric_get(r.baseline, r.baseline_count, r.split, selects));
    predictions_make(t);
    if (predictions) predictions_put(e->out, t, r.run, e->split, ids);
    if (e->csv) predictions_csv(e->csv, t, r.run, ids, e->written == 0);
    if (e->npy && !e->written) predictions_npy_head(e->npy, 0, t->rows, d->info.outputs);
    if (e->npy) predictions_npy(e->npy, t);
    e->written++;
}

static void put_network(Eval *e, Arena scratch, const Dataset *d, const NetWeights *w, Tally *t, const Health *health)
{
    Arena *a = &e->mine;
    int64_t parameters = graph_param_total(e->graph);
    put_evaluation(e, a, scratch, d, t,
                   (Evaluation){.run = e->net.run,
                                .set = w->set,
                                .genotype = e->net.genotype,
                                .net = e->net.net,
                                .parameters = parameters,
                                .macs = e->graph->macs,
                                .seconds = e->seconds,
                                .train_mode_loss = health->train_mode,
                                .eval_mode_loss = health->eval_mode});
    const char *warning = health_warning(a, health);
    if (warning) {
        const char *text = arena_printf(a, "%s: %s", e->net.run, warning);
        writer_put(e->out, &(Record){.kind = REC_EVENT, .event = {.what = "health", .text = text, .epoch = -1}});
        cli_warn("%s", text);
    }
    writer_flush(e->out);
    e->evaluated++;
    if (!ensemble) return;
    average_add(&e->members, t);
    text_addf(e->perm, &e->member_names, "%s%s", e->evaluated > 1 ? ", " : "", e->net.run);
    e->member_parameters += parameters;
    e->member_macs += e->graph->macs;
    e->member_seconds += e->seconds;
}

/* The mean of all networks, by the normalisation of the data: members may have different ones. */
static void put_ensemble(Eval *e, Arena scratch)
{
    const Dataset *d = &e->data;
    Tally t;
    if (e->evaluated < 2) cli_die(EXIT_FAILED, "--ensemble: two networks or more are needed, one is there");
    const char *why = tally_open(e->perm, d, task_find(d->info.task), e->members.rows, 1, &t);
    if (why) cli_die(EXIT_FAILED, "--ensemble: %s", why);
    memcpy(t.targets, d->split[e->split].targets, (size_t)(e->members.rows * t.width) * sizeof(float));
    average_take(&e->members, &t);
    put_evaluation(e, e->perm, scratch, d, &t,
                   (Evaluation){.run = "ensemble",
                                .set = wanted_set,
                                .genotype = "",
                                .net = "",
                                .parameters = e->member_parameters,
                                .macs = e->member_macs,
                                .seconds = e->member_seconds,
                                .train_mode_loss = NAN,
                                .eval_mode_loss = NAN});
}

/* The network as files for other programs. */
static void put_files(Eval *e, Arena scratch, const NetWeights *w)
{
    NetworkRecord named = e->net; /* of several networks of one name each has a file */
    named.run = candidates_add(e->perm, &e->files, (Candidate){e->net.run, e->net.net, "", ""})->run;
    const ExportNet net = {.net = &named, .graph = e->graph, .weights = w};
    const char *why = export_onnx(scratch, onnx_path, &net, onnx_normalised, &e->onnx);
    if (!why) why = export_npz(scratch, weights_path, &net, &e->weights);
    if (why) die_net(e, why);
}

static void evaluate(Eval *e, Arena scratch, const NetWeights *w)
{
    Arena *a = &e->mine;
    Dataset d = e->data; /* as the network was trained to see it */
    d.info.mean = e->net.mean;
    d.info.sd = e->net.sd;
    d.info.target_mean = e->net.target_mean;
    d.info.target_sd = e->net.target_sd;
    int64_t rows = dataset_limit(limit, d.split[e->split].count);
    EngineOptions o = {.device = e->place.device,
                       .tf32 = e->place.tf32,
                       .precision = e->place.precision,
                       .batch = batch < rows ? batch : rows,
                       .forward_only = true,
                       .pool = e->place.pool};
    ForecastNeed need = {
        .fixed = tally_bytes(&d, rows), .per_sample = loader_bytes(&d), .limit = memory << 20, .least = 1};
    Forecast forecast;
    const char *why = forecast_fit(a, scratch, e->graph, &o, &need, &forecast);
    Tally t;
    if (!why) why = tally_open(a, &d, task_find(d.info.task), rows, o.batch, &t);
    Engine *engine = why ? 0 : engine_open(a, e->graph, &o, &why);
    if (why) die_net(e, why);
    engine_upload(engine, BLOCK_WEIGHTS, w->weights);
    engine_upload(engine, BLOCK_STATS, w->stats);
    supernet_mix(engine, scratch, e->graph, (const float *const *)w->mixing);
    Health health;
    Average mean;
    if (views && (why = average_open(a, &d, rows, &mean))) die_net(e, why);
    bool done =
        views ? average_views(engine, &d, e->split, rows, o.batch, views, (uint64_t)cli_common.seed, &mean, &t, &why)
              : evaluate_split(engine, &d, e->split, rows, o.batch, MODE_EVAL, &t, &why);
    if (!why) why = evaluate_health(engine, &d, e->split, o.batch, scratch, &health);
    if (why) die_net(e, why);
    if (done && !cli_interrupted()) {
        put_network(e, scratch, &d, w, &t, &health);
        put_files(e, scratch, w);
    }
    engine_close(engine);
}

/* All records of the present network are in. */
static void end_network(Eval *e, Arena scratch)
{
    if (!e->graph) return;
    const NetWeights *w = choose_set(e);
    const char *missing = w ? netio_missing(&e->mine, e->graph, w) : 0;
    if (missing) die_net(e, arena_printf(e->perm, "its weights \"%s\" lack %s", w->set, missing));
    if (w && !cli_interrupted()) evaluate(e, scratch, w);
    if (!w) {
        e->passed++;
        cli_note("network %s: no weights in the stream: not evaluated", e->net.run);
    }
    e->graph = 0;
}

static void begin_network(Eval *e, Arena scratch, const NetworkRecord *n)
{
    end_network(e, scratch);
    e->mine = e->room;
    e->net = netio_copy(&e->mine, n);
    e->seconds = 0;
    for (int i = 0; i < SETS; i++) e->set[i] = (NetWeights){.set = set_name[i]};
    const char *why = netio_mismatch(&e->mine, &e->net, &e->data.info);
    if (!why) e->graph = netio_build(&e->mine, &e->net, &why);
    if (why) die_net(e, why);
}

static void take_tensor(Eval *e, const TensorRecord *t)
{
    if (!e->graph || strcmp(t->run, e->net.run) || netio_is_alpha(t->name)) return;
    for (int i = 0; i < SETS; i++) {
        if (strcmp(t->set, e->set[i].set)) continue;
        const char *why = netio_take(&e->mine, e->graph, t, &e->set[i]);
        if (why) die_net(e, why);
    }
}

static void read_stream(Eval *e, Arena scratch, Reader *in)
{
    for (;;) {
        Arena once = scratch;
        Record r;
        StreamStatus status = reader_next(in, &once, &r);
        if (status == STREAM_END) break;
        if (status == STREAM_ERROR) cli_die_input(reader_damaged(in), reader_error(in));
        if (r.kind == REC_NETWORK)
            begin_network(e, once, &r.network); /* the evaluation of the last one goes before it */
        if (r.kind == REC_TENSOR) take_tensor(e, &r.tensor);
        if (r.kind == REC_TRAIN_EPOCH && e->graph && !strcmp(r.train_epoch.run, e->net.run))
            e->seconds = r.train_epoch.seconds;
        if (r.kind != REC_SAMPLES && (r.kind != REC_TENSOR || keep_weights)) writer_pass(e->out, &r);
        if (writer_error(e->out)) return;
    }
    end_network(e, scratch);
    if (!e->evaluated && !cli_interrupted())
        cli_die(EXIT_FAILED, "%s: %s", reader_name(in),
                e->passed ? "no network in it has weights that can be evaluated"
                          : "no network in it: nas-train makes one");
    if (ensemble && !cli_interrupted()) put_ensemble(e, scratch);
}

/* Designs of problems. */
static int evaluate_designs(Arena *perm, Arena scratch, const Dataset *d, const char *path)
{
    static const char *const known[] = {"data",   "split",    "steps", "keep-weights", "seed", "threads",
                                        "output", "progress", "quiet", "verbose",      0};
    const char *odd = cli_given_beside(known);
    if (odd)
        cli_die(EXIT_FAILED, "%s: a dataset of structural problems: --%s means nothing for designs", data_path, odd);
    const Split split = split_find(split_text);
    if (!d->split[split].count) cli_die(EXIT_FAILED, "%s: the %s split is empty", data_path, split_text);
    Reader *in = reader_open(perm, path);
    const char *digest = arena_printf(perm, "%s %016llx", d->info.name, (unsigned long long)d->info.digest);
    Provenance self = provenance_self(perm, &digest, 1);
    Writer *out = writer_open(perm, cli_common.output, in, &self);
    cli_guard_file(writer_temporary(out));
    DesignScores *scores = design_scores_new(perm, d, split, steps);
    const char *why;
    while (!cli_interrupted()) {
        Arena once = scratch;
        Record r;
        StreamStatus status = reader_next(in, &once, &r);
        if (status == STREAM_END) break;
        if (status == STREAM_ERROR) cli_die_input(reader_damaged(in), reader_error(in));
        why = design_scores_add(scores, once, &r);
        if (why) cli_die(EXIT_FAILED, "%s: record %lld: %s", reader_name(in), (long long)r.number, why);
        if (r.kind != REC_SAMPLES && (r.kind != REC_TENSOR || keep_weights)) writer_pass(out, &r);
    }
    int64_t count;
    if (cli_interrupted()) return writer_finish(out) ? cli_end() : EXIT_FAILED; /* half a stream has no scores */
    const Evaluation *e = design_scores_all(scores, scratch, &count, &why);
    if (why) cli_die(EXIT_FAILED, "%s: %s", data_path, why);
    if (!count)
        cli_die(EXIT_FAILED, "%s: no design of the %s split in it: nas-train makes them", reader_name(in), split_text);
    for (int64_t i = 0; i < count; i++) {
        writer_put(out, &(Record){.kind = REC_EVALUATION, .evaluation = e[i]});
        cli_note("%s: %lld problems of %s: relative error %.4f, median %.4f, %.0f %% within 1 %%; uniform %.4g",
                 e[i].run, (long long)e[i].count, e[i].split, e[i].metrics[0].value, e[i].metrics[1].value,
                 100 * e[i].metrics[2].value, e[i].baseline[0].value);
        if (e[i].count < d->split[split].count)
            cli_warn("%s: no design of %lld problems of the split", e[i].run,
                     (long long)(d->split[split].count - e[i].count));
    }
    if (!writer_finish(out)) cli_die(EXIT_FAILED, "%s", writer_error(out));
    cli_guard_file(0);
    return cli_end();
}

int main(int argc, char **argv)
{
    char **file = cli_begin(argc, argv, &program);
    Arena perm = arena_reserve((ptrdiff_t)1 << 40), scratch = arena_reserve((ptrdiff_t)1 << 36);
    Eval e = {.perm = &perm, .room = arena_reserve((ptrdiff_t)1 << 40), .split = split_find(split_text)};
    if (!*data_path) cli_die(EXIT_USAGE, "--data FILE is needed: a dataset of nas-ingest");
    if (file[0] && file[1]) cli_die(EXIT_USAGE, "one STREAM, not also %s", file[1]);
    const char *path = file[0] ? file[0] : "-";
    if (!strcmp(path, "-") && !strcmp(data_path, "-"))
        cli_die(EXIT_USAGE, "standard input is either the dataset or the stream of networks");
    cli_refuse_terminal(cli_common.output);
    cli_catch_signals();

    bool damaged;
    const char *why = dataset_open_any(&perm, scratch, data_path, &e.data, &damaged);
    if (why) cli_die_input(damaged, why);
    if (problems_are(&e.data.info)) return evaluate_designs(&perm, scratch, &e.data, path);
    if (steps) cli_die(EXIT_FAILED, "%s: no dataset of structural problems: --steps is for those", data_path);
    if (e.data.spilled) cli_note("%s: %s", data_path, e.data.spilled);
    if (!e.data.split[e.split].count) cli_die(EXIT_FAILED, "%s: the %s split is empty", data_path, split_text);
    const DatasetInfo *i = &e.data.info;
    if (views && !i->flip_horizontal && !i->flip_vertical && !i->crop_padding)
        cli_die(EXIT_FAILED, "--tta: %s declares no augmentation: nas-ingest --flip-horizontal, …", data_path);
    int64_t rows = dataset_limit(limit, e.data.split[e.split].count);
    if (ensemble && (why = average_open(&perm, &e.data, rows, &e.members))) cli_die(EXIT_FAILED, "--ensemble: %s", why);
    why = workplace_open(&perm, &e.place, &e.data, 0);
    if (why) cli_die(EXIT_FAILED, "%s", why);
    Reader *in = reader_open(&perm, path);
    const char *digest = arena_printf(&perm, "%s %016llx", e.data.info.name, (unsigned long long)e.data.info.digest);
    Provenance self = provenance_self(&perm, &digest, 1);
    e.out = writer_open(&perm, cli_common.output, in, &self);
    cli_guard_file(writer_temporary(e.out));
    if (*csv_path) e.csv = cli_file_open(csv_path);
    if (*npy_path) e.npy = cli_file_open(npy_path);
    read_stream(&e, scratch, in);
    if (e.csv && !cli_interrupted()) cli_file_close(e.csv);
    if (e.npy && !cli_interrupted()) {
        if (fseek(e.npy, 0, SEEK_SET)) cli_die(EXIT_FAILED, "%s: %s", npy_path, strerror(errno));
        predictions_npy_head(e.npy, e.written, rows, e.data.info.outputs);
        cli_file_close(e.npy);
    }
    if (!writer_finish(e.out)) cli_die(EXIT_FAILED, "%s", writer_error(e.out));
    cli_guard_file(0);
    workplace_close(&e.place);
    return cli_end();
}
