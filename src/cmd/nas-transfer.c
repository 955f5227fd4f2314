/* nas-transfer: cells or trained networks on other datasets, in all pairs, beside baselines. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "nn/network.h"
#include "report/report.h"
#include "train/evaluate.h"
#include "train/trainer.h"

enum { MOST_SIZES = 64 };

static CliList data_paths, baselines;
static const char *layer_list = "8", *channel_list = "0";
static int64_t seeds = 1;
static bool dry_run, carry, frozen, profile;

static const CliOption options[] = {
    {CLI_HEADING, 0, "What is trained"},
    {CLI_LIST, 'd', "data", "FILE", &data_paths,
     "A dataset to train and test on, a stream of nas-ingest. Needed; given more than once, all on each."},
    {CLI_LIST, 0, "baseline", "NET", &baselines,
     "A net to compare with, trained the same way: small-cnn (the default) or another that nas-train --help lists; own: the genotypes "
     "of the stream that were searched on this dataset; none. May be given more than once."},
    {CLI_INT, 0, "seeds", "N", &seeds, "Train each N times, with --seed and the seeds after it.", 1, 1000},
    {CLI_FLAG, 0, "weights", 0, &carry,
     "Begin with the weights of the stream's trained networks; the stem and the head adapt to the data. Depth and width are the network's."},
    {CLI_FLAG, 0, "frozen", 0, &frozen,
     "With --weights: train what had to be adapted and leave what was carried over, but for the statistics of normalisation."},
    {CLI_HEADING, 0, "Network"},
    {CLI_STRING, 'l', "layers", "LIST", &layer_list,
     "Cells of a network, or several numbers as in 4,8: one after the other."},
    {CLI_STRING, 'c', "channels", "LIST", &channel_list,
     "Channels of the first stage, or several numbers; 0: 16 for cells, its own for a hand-designed net."},
    {CLI_STRING, 0, "reduce-at", "LIST", &train_settings.reduce_at,
     "Reduction cells, as in 2,5, counted from 0; none: no such cell; by default at one and two thirds."},
    {CLI_TABLE, .to = (void *)train_setting_options},
    {CLI_HEADING, 0, "Output"},
    {CLI_FLAG, 'n', "dry-run", 0, &dry_run, "Print what each training would take, its parameters first, and stop."},
    {CLI_FLAG, 0, "profile", 0, &profile,
     "After each network, tell where the time went, as a table and as Profile records; some percent slower, same results."},
    {CLI_TABLE, .to = (void *)checkpoint_options},
    {CLI_TABLE, .to = (void *)cli_common_options},
    {CLI_END},
};

static const CliProgram program = {
    .name = "nas-transfer",
    .summary = "train genotypes, or go on with trained networks, on other datasets",
    .usage = "--data FILE... [STREAM]",
    .details =
        "Trains the network of every genotype in STREAM (or standard input) on each dataset, from scratch, then "
        "the baselines, all with the same settings, and tests each with its best weights on the whole test split. "
        "Adds a TransferRow record for each: from (the dataset that the genotype was searched on), to, metrics on "
        "the test split, and those of a predictor that always says the same; its setting role is transfer, own "
        "(searched on this very dataset) or baseline. Network and TrainEpoch records tell how it went; weights "
        "are not written. All else is passed on, but for samples and weights. nas-stats --plot transfer draws the "
        "table of all pairs, --plot depth that of --layers and --channels.\n\n"
        "With --weights the networks of STREAM are not trained anew: their weights are the first ones. Tensors of the "
        "same name and shape are carried over; a stem for other channels gets the mean of the old ones, a head for other "
        "outputs begins anew. From is then the dataset that the network was trained on, and the setting weights says fine-tuned "
        "or frozen.\n\n" CHECKPOINT_DETAILS "Examples:\n\n"
        "nas-derive search-a.nas | nas-transfer --data b.nas --baseline resnet-tiny --baseline own -o a-to-b.nas\n\n"
        "cat a.nas b.nas | nas-derive | nas-transfer --data a.nas --data b.nas --seeds 3 -o all.nas\n\n"
        "nas-transfer --data b.nas --layers 2,4,8 --channels 8,16 --dry-run cells.nas\n\n"
        "nas-transfer --data b.nas --weights --frozen --baseline none trained-on-a.nas -o frozen.nas",
    .options = options,
    .reads_stdin = true,
};

typedef struct {
    Reader *in;
    Writer *out; /* 0: nothing is written */
    Candidates todo;
    Trained *trained; /* of the candidates, if weights are carried */
    int64_t trained_count, trained_room;
    uint64_t digest; /* of their tensors */
    int64_t layers[MOST_SIZES], channels[MOST_SIZES], layer_count, channel_count;
    int64_t baseline_first; /* candidates from here on are baselines */
    uint64_t *seen;         /* digests of the datasets that the stream describes */
    int64_t seen_count, seen_room;
    bool own; /* a baseline is the dataset's own genotypes */
    /* the present dataset */
    Dataset data, whole;
    Arena store;  /* which the dataset is in */
    int64_t open; /* 1 + the dataset that is read; 0: none yet */
    Workplace place;
} Transfer;

/* ---- what there is to train ---- */

static void see_dataset(Transfer *t, Arena *perm, uint64_t digest)
{
    GROW(perm, t->seen, t->seen_count, t->seen_room);
    t->seen[t->seen_count++] = digest;
}

static bool dataset_seen(const Transfer *t, uint64_t digest)
{
    for (int64_t i = 0; i < t->seen_count; i++)
        if (digest && t->seen[i] == digest) return true;
    return false;
}

static void add_trained(Transfer *t, Arena *perm, const NetworkRecord *n)
{
    if (!strcmp(n->net, netio_supernet)) {
        cli_note("network %s: a supernet is not carried over", n->run);
        return;
    }
    GROW(perm, t->trained, t->trained_count, t->trained_room);
    t->trained[t->trained_count++] = (Trained){.net = netio_copy(perm, n)};
    candidates_add(perm, &t->todo, (Candidate){n->run, n->net, n->genotype, n->dataset});
}

static void take_tensor(Transfer *t, Arena *perm, const TensorRecord *r)
{
    if (!t->trained_count || strcmp(t->trained[t->trained_count - 1].net.run, r->run)) return;
    t->digest = dataset_hash(t->digest, r->data, r->data_bytes);
    carry_take(perm, &t->trained[t->trained_count - 1], r);
}

static void read_stream(Transfer *t, Arena *perm, Arena scratch)
{
    for (;;) {
        Arena once = scratch;
        Record r;
        StreamStatus status = reader_next(t->in, &once, &r);
        if (status == STREAM_END) break;
        if (status == STREAM_ERROR) cli_die_input(reader_damaged(t->in), reader_error(t->in));
        if (r.kind == REC_DATASET) see_dataset(t, perm, r.dataset.digest);
        if (r.kind == REC_GENOTYPE && !carry)
            candidates_add(perm, &t->todo,
                           (Candidate){r.genotype.name, netio_genotype, r.genotype.text, r.genotype.dataset});
        if (r.kind == REC_NETWORK && carry) add_trained(t, perm, &r.network);
        if (r.kind == REC_TENSOR && carry) take_tensor(t, perm, &r.tensor);
        if (t->out && r.kind != REC_SAMPLES && r.kind != REC_TENSOR) writer_pass(t->out, &r);
    }
    if (!t->todo.count && carry)
        cli_die(EXIT_FAILED, "%s: --weights: no network in it: nas-train makes one", reader_name(t->in));
    if (!t->todo.count) cli_die(EXIT_FAILED, "%s: no genotype in it: nas-derive makes one", reader_name(t->in));
    for (int64_t i = 0; i < t->trained_count; i++)
        if (!t->trained[i].count)
            cli_die(EXIT_FAILED, "%s: --weights: network %s has none in the stream", reader_name(t->in),
                    t->trained[i].net.run);
}

static void add_baselines(Transfer *t, Arena *perm)
{
    if (!baselines.count) baselines.item[baselines.count++] = "small-cnn";
    t->baseline_first = t->todo.count;
    for (int i = 0; i < baselines.count; i++) {
        const char *name = baselines.item[i];
        if (!strcmp(name, "none")) continue;
        if (strcmp(name, "own"))
            candidates_add(perm, &t->todo, (Candidate){name, name, "", ""});
        else
            t->own = true;
    }
}

/* ---- one of all trainings ---- */

typedef struct {
    int64_t dataset, candidate, layers, channels; /* indices */
    int64_t seed;
} Job;

static int64_t job_count(const Transfer *t)
{
    const int64_t sizes = t->layer_count * t->channel_count;
    return data_paths.count * t->todo.count * sizes * seeds;
}

static Job job_of(const Transfer *t, int64_t i)
{
    Job j;
    j.seed = cli_common.seed + i % seeds, i /= seeds;
    j.channels = i % t->channel_count, i /= t->channel_count;
    j.layers = i % t->layer_count, i /= t->layer_count;
    j.candidate = i % t->todo.count;
    j.dataset = i / t->todo.count;
    return j;
}

/* A hand-designed net has the depth that it has. */
static bool job_counts(const Transfer *t, const Job *j)
{
    return !j->layers || !strcmp(t->todo.item[j->candidate].net, netio_genotype);
}

static const Trained *job_weights(const Transfer *t, const Job *j)
{
    return carry && j->candidate < t->baseline_first ? &t->trained[j->candidate] : 0;
}

/* The settings of a job, and the record of its network, which names what distinguishes it from the others. */
static TrainSettings job_settings(const Transfer *t, Arena *perm, const Job *j, NetworkRecord *net)
{
    const Candidate *c = &t->todo.item[j->candidate];
    const Trained *from = job_weights(t, j);
    TrainSettings s = train_settings;
    s.layers = t->layers[j->layers];
    s.channels = t->channels[j->channels];
    Text run = {0};
    text_addf(perm, &run, "%s%s on %s", c->run, !from ? "" : frozen ? " frozen" : " fine-tuned", t->data.info.name);
    if (from) {
        const char *reduce = setting_get(from->net.settings, from->net.setting_count, "reduce_at");
        s.layers = from->net.layers;
        s.channels = from->net.channels;
        s.reduce_at = reduce ? reduce : "";
    }
    if (t->layer_count > 1 && !strcmp(c->net, netio_genotype))
        text_addf(perm, &run, ", %lld layers", (long long)s.layers);
    if (t->channel_count > 1) text_addf(perm, &run, ", %lld channels", (long long)s.channels);
    if (seeds > 1) text_addf(perm, &run, ", seed %lld", (long long)j->seed);
    *net = train_network(perm, &t->place, &s, run.s, c->net, c->genotype);
    return s;
}

/* Tests the trained net and writes its row. */
static void put_row(const Transfer *t, const Job *j, Trainer *run, const Carried *carried, Arena *perm)
{
    const Candidate *c = &t->todo.item[j->candidate];
    const Trained *from = job_weights(t, j);
    const Dataset *d = t->place.data;
    Metric metrics[TALLY_METRICS], baseline[TALLY_METRICS];
    int64_t n = 0, rows = d->split[SPLIT_TEST].count;
    double seconds = clock_wall() - run->started;
    Tally tally;
    trainer_use_best(run);
    const char *why = tally_open(perm, d, run->task, rows, run->forecast.batch, &tally);
    bool done = !why && evaluate_split(run->engine, d, SPLIT_TEST, 0, run->forecast.batch, MODE_EVAL, &tally, &why);
    if (why) cli_die(EXIT_FAILED, "%s: %s", run->net.run, why);
    if (!done) return; /* interrupted */
    tally_metrics(&tally, split_name[SPLIT_TEST], metrics, &n, COUNTOF(metrics));
    int64_t m = evaluate_trivial(d, &tally, baseline, COUNTOF(baseline));
    for (int64_t i = 0; i < m; i++) baseline[i].split = split_name[SPLIT_TEST];
    Settings list = {0};
    settings_add(perm, &list, "role", "%s",
                 j->candidate >= t->baseline_first  ? "baseline"
                 : strcmp(c->dataset, d->info.name) ? "transfer"
                                                    : "own");
    settings_add(perm, &list, "net", "%s", c->net);
    settings_add(perm, &list, "best_epoch", "%lld", (long long)run->best_epoch);
    if (from) {
        settings_add(perm, &list, "weights", "%s", frozen ? "frozen" : "fine-tuned");
        settings_add(perm, &list, "carried", "%lld", (long long)carried->carried);
        settings_add(perm, &list, "adapted", "%lld", (long long)carried->adapted);
        settings_add(perm, &list, "fresh", "%lld", (long long)carried->fresh);
    }
    TransferRow row = {.genotype = c->genotype,
                       .name = arena_printf(perm, "%s%s on %s", c->run,
                                            !from    ? ""
                                            : frozen ? " frozen"
                                                     : " fine-tuned",
                                            d->info.name),
                       .from = c->dataset,
                       .to = d->info.name,
                       .layers = run->net.layers,
                       .channels = run->net.channels,
                       .parameters = run->net.parameters,
                       .macs = run->net.macs,
                       .epochs = run->epoch,
                       .seed = run->net.seed,
                       .seconds = seconds,
                       .metrics = metrics,
                       .metric_count = n,
                       .baseline = baseline,
                       .baseline_count = m,
                       .settings = list.item,
                       .setting_count = list.count};
    writer_put(t->out, &(Record){.kind = REC_TRANSFER, .transfer = row});
    writer_flush(t->out);
    const char *selects = task_selects(&d->info)->name;
    cli_note("%s: %s %.4f on test, %.4f without a network", run->net.run, selects,
             metric_get(metrics, n, split_name[SPLIT_TEST], selects),
             metric_get(baseline, m, split_name[SPLIT_TEST], selects));
}

/* Builds the network and, with weights, sees whether they fit. start: to train it, else to see whether it could be. mine:
 * for what the run keeps while it lasts; apart from scratch, which its callees use anew. */
static void open_job(Transfer *t, const Job *j, Arena *mine, Arena scratch, bool start, Trainer *run, Carried *carried)
{
    NetworkRecord net;
    t->place.seed = (uint64_t)j->seed;
    TrainSettings *s = NEW(mine, TrainSettings, 1); /* the run keeps it */
    *s = job_settings(t, mine, j, &net);
    const Trained *from = job_weights(t, j);
    const char *why = trainer_open(mine, scratch, &t->place, s, &net, start, run);
    if (!why && from) why = trainer_carry(run, mine, from, frozen, carried);
    if (why) cli_die(EXIT_FAILED, "%s: %s", net.run, why);
}

static void forecast_job(Transfer *t, const Job *j, Arena room, Arena scratch, Text *forecasts, Arena *perm)
{
    Trainer run;
    Carried c = {0};
    open_job(t, j, &room, scratch, false, &run, &c);
    text_addf(perm, forecasts, "%s: %s\n", run.net.run, forecast_text(&room, &run.forecast));
    if (job_weights(t, j))
        text_addf(perm, forecasts, "%s: %lld weights carried over, %lld adapted, %lld fresh%s%s\n", run.net.run,
                  (long long)c.carried, (long long)c.adapted, (long long)c.fresh, *c.names ? ": " : "", c.names);
}

static TrainEnd train_job(Transfer *t, const Job *j, Arena room, Arena scratch)
{
    Trainer run;
    Carried carried = {0};
    open_job(t, j, &room, scratch, true, &run, &carried);
    cli_note("%s: %s, %s", run.net.run, forecast_text(&room, &run.forecast), engine_device(run.engine));
    engine_set_profile(run.engine, profile);
    TrainEnd end = trainer_run(&run, scratch);
    if (profile) {
        int64_t count;
        const ProfileRecord *rows = trainer_profile(&run, &room, &count);
        cli_table(report_profile(&room, rows, count));
    }
    if (end == TRAIN_DIVERGED || end == TRAIN_FAILED) cli_warn("%s", run.trouble);
    if (end == TRAIN_DONE) put_row(t, j, &run, &carried, &room);
    trainer_close(&run);
    return end;
}

/* ---- datasets, one at a time ---- */

/* Makes the dataset that a job is of the open one, in t->store, in the place of the one before it. */
static void use_dataset(Transfer *t, Arena scratch, int64_t index)
{
    if (t->open == index + 1) return;
    if (t->open) dataset_close(&t->data);
    arena_forget(t->store.beg, arena_left(&t->store));
    t->open = index + 1;
    const char *path = data_paths.item[index];
    Arena perm = t->store;
    bool damaged, own = false;
    const char *why = dataset_open(&perm, scratch, path, &t->data, &damaged);
    if (why) cli_die_input(damaged, why);
    if (t->data.spilled) cli_note("%s: %s", path, t->data.spilled);
    if (!t->data.split[SPLIT_TEST].count) cli_die(EXIT_FAILED, "%s: the test split is empty", path);
    why = train_settings_misfit(&perm, &train_settings, &t->data.info);
    t->whole = t->data;
    if (!why && !train_settings.no_alpha) why = train_whole(&perm, &t->data, &t->whole);
    if (why) cli_die(EXIT_FAILED, "%s: %s", path, why);
    for (int64_t i = 0; i < t->baseline_first; i++) own |= !strcmp(t->todo.item[i].dataset, t->data.info.name);
    if (t->own && !own)
        cli_die(EXIT_FAILED, "%s: --baseline own: no genotype in it was searched on %s", reader_name(t->in),
                t->data.info.name);
}

/* Every training, seen through before the first begins: what cannot be done is told now, not after hours. Writes
 * what the datasets are, and fills in what a checkpoint belongs to. */
static void check_all(Transfer *t, Arena *perm, Arena room, Arena scratch, Text *forecasts, DatasetInfo *info)
{
    for (int64_t i = 0; i < job_count(t); i++) {
        const Job j = job_of(t, i);
        if (!job_counts(t, &j)) continue;
        use_dataset(t, scratch, j.dataset);
        if (!info[j.dataset].name) {
            info[j.dataset] =
                (DatasetInfo){.name = arena_strdup(perm, t->data.info.name), .digest = t->data.info.digest};
            if (t->out && !dataset_seen(t, t->data.info.digest))
                writer_put(t->out, &(Record){.kind = REC_DATASET, .dataset = t->data.info});
            see_dataset(t, perm, t->data.info.digest);
        }
        forecast_job(t, &j, room, scratch, forecasts, perm);
    }
}

/* Returns the end of the last one. */
static TrainEnd train_all(Transfer *t, Checkpoint *c, Arena room, Arena scratch)
{
    TrainEnd end = TRAIN_DONE;
    for (; c->item < job_count(t) && end != TRAIN_INTERRUPTED && end != TRAIN_FAILED && !cli_interrupted() &&
           !writer_error(t->out);
         c->item++) {
        const Job j = job_of(t, c->item);
        if (!job_counts(t, &j)) continue;
        use_dataset(t, scratch, j.dataset);
        end = train_job(t, &j, room, scratch);
        c->diverged += end == TRAIN_DIVERGED;
    }
    return end;
}

static void begin_checkpoint(Transfer *t, Checkpoint *c, Arena *perm, Arena scratch, const DatasetInfo *info)
{
    const char *why = checkpoint_open(perm, scratch, options, &info[0], c);
    if (why) cli_die(EXIT_FAILED, "%s", why);
    for (int i = 1; i < data_paths.count; i++)
        checkpoint_identity(c, arena_printf(perm, "dataset %d", i + 1),
                            arena_printf(&scratch, "%s %016llx", info[i].name, (unsigned long long)info[i].digest));
    checkpoint_identity(c, "datasets", arena_printf(&scratch, "%d", data_paths.count));
    checkpoint_identity(c, "tensors", arena_printf(&scratch, "%016llx", (unsigned long long)t->digest));
    trainer_identity(c, perm, scratch, &t->todo);
    bool damaged;
    why = checkpoint_begin(c, perm, t->out, &damaged);
    if (why) cli_die_input(damaged, why);
}

/* Why the options contradict each other or make no sense, or 0. */
static const char *check_options(Transfer *t, Arena *perm)
{
    const bool sized = strcmp(layer_list, "8") || strcmp(channel_list, "0") || *train_settings.reduce_at;
    if (frozen && !carry) return "--frozen: needs --weights: weights from scratch must be trained";
    if (carry && sized) return "--weights excludes --layers, --channels and --reduce-at: these are the network's";
    const char *why = whole_parse(perm, layer_list, 1, 1000, t->layers, MOST_SIZES, &t->layer_count);
    if (why) return arena_printf(perm, "--layers: %s", why);
    why = whole_parse(perm, channel_list, 0, 65536, t->channels, MOST_SIZES, &t->channel_count);
    if (why) return arena_printf(perm, "--channels: %s", why);
    for (int64_t i = 0; i < t->layer_count && !why; i++) {
        train_settings.layers = t->layers[i];
        why = train_settings_check(perm, &train_settings);
    }
    return why;
}

int main(int argc, char **argv)
{
    char **file = cli_begin(argc, argv, &program);
    Arena perm = arena_reserve((ptrdiff_t)1 << 40), scratch = arena_reserve((ptrdiff_t)1 << 36),
          room = arena_reserve((ptrdiff_t)1 << 40);
    Transfer t = {.store = arena_reserve((ptrdiff_t)1 << 40)};
    const char *why = check_options(&t, &perm);
    if (why) cli_die(EXIT_USAGE, "%s", why);
    if (!data_paths.count) cli_die(EXIT_USAGE, "--data FILE is needed: a dataset of nas-ingest");
    if (file[0] && file[1]) cli_die(EXIT_USAGE, "one STREAM, not also %s", file[1]);
    const char *path = file[0] ? file[0] : "-";
    for (int i = 0; i < data_paths.count; i++)
        if (!strcmp(data_paths.item[i], "-"))
            cli_die(EXIT_USAGE, "standard input is the stream of genotypes; a dataset is read more than once");
    if (!dry_run) cli_refuse_terminal(cli_common.output);
    cli_catch_signals();

    t.in = reader_open(&perm, path);
    /* The datasets are read when it is their turn; the provenance names them by their files. */
    const char *inputs[COUNTOF(data_paths.item)];
    for (int i = 0; i < data_paths.count; i++) inputs[i] = data_paths.item[i];
    Provenance self = provenance_self(&perm, inputs, data_paths.count);
    if (!dry_run) {
        t.out = writer_open(&perm, cli_common.output, t.in, &self);
        cli_guard_file(writer_temporary(t.out));
    }
    read_stream(&t, &perm, scratch);
    add_baselines(&t, &perm);
    why = workplace_open(&perm, &t.place, &t.whole, t.out);
    if (why) cli_die(EXIT_FAILED, "%s", why);
    Text forecasts = {0};
    DatasetInfo *info = NEW(&perm, DatasetInfo, data_paths.count);
    check_all(&t, &perm, room, scratch, &forecasts, info);
    if (dry_run) {
        fputs(forecasts.s, stdout);
        return cli_end();
    }

    Checkpoint checkpoint;
    begin_checkpoint(&t, &checkpoint, &perm, scratch, info);
    t.place.checkpoint = &checkpoint;
    const TrainEnd end = train_all(&t, &checkpoint, room, scratch);
    if (!writer_finish(t.out)) cli_die(EXIT_FAILED, "%s", writer_error(t.out));
    cli_guard_file(0);
    workplace_close(&t.place);
    checkpoint_tell(&checkpoint);
    checkpoint_close(&checkpoint);
    dataset_close(&t.data);
    const bool failed = checkpoint.diverged || end == TRAIN_FAILED;
    int status = cli_end();
    return status ? status : failed ? EXIT_FAILED : EXIT_OK;
}
