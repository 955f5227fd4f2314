/* nas-transfer: genotypes found on one dataset, trained and tested on another, beside that dataset's baseline. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "train/candidates.h"
#include "train/evaluate.h"
#include "train/trainer.h"

static const char *data_path = "";
static CliList baselines;
static bool dry_run;

static const CliOption options[] = {
    {CLI_HEADING, 0, "What is trained"},
    {CLI_STRING, 'd', "data", "FILE", &data_path, "The dataset to train and test on, a stream of nas-ingest. Needed."},
    {CLI_LIST, 0, "baseline", "NET", &baselines,
     "A net to compare with, trained the same way: small-cnn (the default) or another that nas-train --help lists; own: the genotypes "
     "of "
     "the stream that were searched on this dataset; none. May be given more than once."},
    {CLI_TABLE, .to = (void *)train_setting_options},
    {CLI_HEADING, 0, "Output"},
    {CLI_FLAG, 'n', "dry-run", 0, &dry_run, "Print what the training would take, and stop."},
    {CLI_TABLE, .to = (void *)cli_common_options},
    {CLI_END},
};

static const CliProgram program = {
    .name = "nas-transfer",
    .summary = "train genotypes on another dataset",
    .usage = "--data FILE [STREAM]",
    .details =
        "Trains the network of every genotype in STREAM (or standard input) on the dataset, from scratch, then "
        "the baselines, all with the same settings, and tests each with its best weights on the whole test split. "
        "Adds a TransferRow record for each: from (the dataset that the genotype was searched on), to, metrics on "
        "the test split, and those of a predictor that always says the same; its setting role is transfer, own "
        "(searched on this very dataset) or baseline. Network and TrainEpoch records tell how it went; weights "
        "are not written. All else is passed on, but for samples and weights.\n\n"
        "Example:\n\n"
        "nas-derive search-a.nas | nas-transfer --data b.nas --baseline resnet-tiny --baseline own -o a-to-b.nas",
    .options = options,
    .reads_stdin = true,
};

typedef struct {
    Reader *in;
    Writer *out; /* 0: nothing is written */
    Dataset data;
    Workplace place;
    Candidates todo;
    bool dataset_seen; /* the dataset's description is in the stream already */
    int64_t own;       /* genotypes that were searched on this dataset */
} Transfer;

static void read_stream(Transfer *t, Arena *perm, Arena scratch)
{
    for (;;) {
        Arena once = scratch;
        Record r;
        StreamStatus status = reader_next(t->in, &once, &r);
        if (status == STREAM_END) break;
        if (status == STREAM_ERROR) cli_die_input(reader_damaged(t->in), reader_error(t->in));
        if (r.kind == REC_DATASET) t->dataset_seen |= r.dataset.digest && r.dataset.digest == t->data.info.digest;
        if (r.kind == REC_GENOTYPE) {
            const char *run = arena_printf(&once, "%s on %s", r.genotype.name, t->data.info.name);
            candidates_add(perm, &t->todo, (Candidate){run, netio_genotype, r.genotype.text, r.genotype.dataset});
            t->own += !strcmp(r.genotype.dataset, t->data.info.name);
        }
        if (t->out && r.kind != REC_SAMPLES && r.kind != REC_TENSOR) writer_pass(t->out, &r);
    }
    if (!t->todo.count) cli_die(EXIT_FAILED, "%s: no genotype in it: nas-derive makes one", reader_name(t->in));
}

static void add_baselines(Transfer *t, Arena *perm)
{
    if (!baselines.count) baselines.item[baselines.count++] = "small-cnn";
    for (int i = 0; i < baselines.count; i++) {
        const char *name = baselines.item[i];
        if (!strcmp(name, "none")) continue;
        if (strcmp(name, "own")) {
            const char *run = arena_printf(perm, "%s on %s", name, t->data.info.name);
            candidates_add(perm, &t->todo, (Candidate){run, name, "", ""});
        } else if (!t->own) {
            cli_die(EXIT_FAILED, "%s: --baseline own: no genotype in it was searched on %s", reader_name(t->in),
                    t->data.info.name);
        }
    }
}

/* Tests the trained net and writes its row. */
static void put_row(const Transfer *t, const Candidate *c, Trainer *run, Arena *perm)
{
    const Dataset *d = t->place.data;
    Metric metrics[TALLY_METRICS], baseline[TALLY_METRICS];
    int64_t n = 0, rows = d->split[SPLIT_TEST].count;
    double seconds = clock_wall() - run->started;
    Tally tally;
    trainer_use_best(run);
    const char *why = tally_open(perm, d, run->task, rows, run->forecast.batch, &tally);
    bool done = !why && evaluate_split(run->engine, d, SPLIT_TEST, 0, run->forecast.batch, MODE_EVAL, &tally, &why);
    if (why) cli_die(EXIT_FAILED, "%s: %s", c->run, why);
    if (!done) return; /* interrupted */
    tally_metrics(&tally, split_name[SPLIT_TEST], metrics, &n, COUNTOF(metrics));
    int64_t m = evaluate_trivial(d, &tally, baseline, COUNTOF(baseline));
    for (int64_t i = 0; i < m; i++) baseline[i].split = split_name[SPLIT_TEST];
    Settings list = {0};
    bool cells = !strcmp(c->net, netio_genotype);
    settings_add(perm, &list, "role", "%s",
                 !cells                             ? "baseline"
                 : strcmp(c->dataset, d->info.name) ? "transfer"
                                                    : "own");
    settings_add(perm, &list, "net", "%s", c->net);
    settings_add(perm, &list, "best_epoch", "%lld", (long long)run->best_epoch);
    TransferRow row = {.genotype = c->genotype,
                       .name = c->run,
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
    cli_note("%s: %s %.4f on test, %.4f without a network", c->run, selects,
             metric_get(metrics, n, split_name[SPLIT_TEST], selects),
             metric_get(baseline, m, split_name[SPLIT_TEST], selects));
}

/* room: for what the run keeps while it lasts; apart from scratch, which its callees use anew. */
static TrainEnd train_one(const Transfer *t, const Candidate *c, Arena room, Arena scratch)
{
    Arena perm = room;
    NetworkRecord net = train_network(&perm, &t->place, &train_settings, c->run, c->net, c->genotype);
    Trainer run;
    const char *why = trainer_open(&perm, scratch, &t->place, &train_settings, &net, true, &run);
    if (why) cli_die(EXIT_FAILED, "%s: %s", c->run, why);
    cli_note("%s: %s, %s", c->run, forecast_text(&perm, &run.forecast), engine_device(run.engine));
    TrainEnd end = trainer_run(&run, scratch);
    if (end == TRAIN_DIVERGED || end == TRAIN_FAILED) cli_warn("%s", run.trouble);
    if (end == TRAIN_DONE) put_row(t, c, &run, &perm);
    trainer_close(&run);
    return end;
}

int main(int argc, char **argv)
{
    char **file = cli_begin(argc, argv, &program);
    Arena perm = arena_reserve((ptrdiff_t)1 << 40), scratch = arena_reserve((ptrdiff_t)1 << 36),
          room = arena_reserve((ptrdiff_t)1 << 40);
    const char *why = train_settings_check(&perm, &train_settings);
    if (why) cli_die(EXIT_USAGE, "%s", why);
    if (!*data_path) cli_die(EXIT_USAGE, "--data FILE is needed: a dataset of nas-ingest");
    if (file[0] && file[1]) cli_die(EXIT_USAGE, "one STREAM, not also %s", file[1]);
    const char *path = file[0] ? file[0] : "-";
    if (!strcmp(path, "-") && !strcmp(data_path, "-"))
        cli_die(EXIT_USAGE, "standard input is either the dataset or the stream of genotypes");
    if (!dry_run) cli_refuse_terminal(cli_common.output);
    cli_catch_signals();

    Transfer t = {0};
    Dataset whole;
    bool damaged;
    why = dataset_open(&perm, scratch, data_path, &t.data, &damaged);
    if (why) cli_die_input(damaged, why);
    if (t.data.spilled) cli_note("%s: %s", data_path, t.data.spilled);
    if (!t.data.split[SPLIT_TEST].count) cli_die(EXIT_FAILED, "%s: the test split is empty", data_path);
    whole = t.data;
    why = train_settings.no_alpha ? 0 : train_whole(&perm, &t.data, &whole);
    if (why) cli_die(EXIT_FAILED, "%s: %s", data_path, why);

    t.in = reader_open(&perm, path);
    const char *digest = arena_printf(&perm, "%s %016llx", t.data.info.name, (unsigned long long)t.data.info.digest);
    Provenance self = provenance_self(&perm, &digest, 1);
    if (!dry_run) {
        t.out = writer_open(&perm, cli_common.output, t.in, &self);
        cli_guard_file(writer_temporary(t.out));
    }
    read_stream(&t, &perm, scratch);
    add_baselines(&t, &perm);
    Text forecasts = {0};
    why = workplace_open(&perm, &t.place, &whole, t.out);
    if (!why) why = trainer_check(&perm, room, scratch, &t.place, &train_settings, &t.todo, &forecasts);
    if (why) cli_die(EXIT_FAILED, "%s", why);
    if (dry_run) {
        fputs(forecasts.s, stdout);
        return cli_end();
    }

    if (!t.dataset_seen) writer_put(t.out, &(Record){.kind = REC_DATASET, .dataset = t.data.info});
    int64_t diverged = 0;
    TrainEnd end = TRAIN_DONE;
    for (int64_t i = 0; i < t.todo.count && end != TRAIN_FAILED && !cli_interrupted() && !writer_error(t.out); i++) {
        end = train_one(&t, &t.todo.item[i], room, scratch);
        diverged += end == TRAIN_DIVERGED;
    }
    if (!writer_finish(t.out)) cli_die(EXIT_FAILED, "%s", writer_error(t.out));
    cli_guard_file(0);
    workplace_close(&t.place);
    int status = cli_end();
    return status ? status : diverged || end == TRAIN_FAILED ? EXIT_FAILED : EXIT_OK;
}
