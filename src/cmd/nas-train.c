/* nas-train: genotypes in, trained networks out. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "nn/network.h"
#include "report/report.h"
#include "train/candidates.h"
#include "train/trainer.h"

static const char *data_path = "";
static CliList genotypes, nets;
static bool dry_run, no_weights, profile;

static const CliOption options[] = {
    {CLI_HEADING, 0, "What is trained"},
    {CLI_STRING, 'd', "data", "FILE", &data_path, "The dataset, a stream of nas-ingest. Needed."},
    {CLI_LIST, 'g', "genotype", "TEXT", &genotypes,
     "A genotype as text, or the name of a published cell; beside the stream's."},
    {CLI_LIST, 0, "net", "NAME", &nets,
     "A hand-designed net, as listed under Nets; several are trained one after the other."},
    {CLI_TABLE, .to = (void *)train_network_options},
    {CLI_TABLE, .to = (void *)train_setting_options},
    {CLI_HEADING, 0, "Output"},
    {CLI_FLAG, 'n', "dry-run", 0, &dry_run, "Print what the training would take, and stop."},
    {CLI_FLAG, 0, "no-weights", 0, &no_weights, "Do not write the weights."},
    {CLI_FLAG, 0, "profile", 0, &profile,
     "After each network, tell where the time went, as a table and as Profile records; some percent slower, same results."},
    {CLI_TABLE, .to = (void *)checkpoint_options},
    {CLI_TABLE, .to = (void *)cli_common_options},
    {CLI_END},
};

static const char about[] =
    "Trains the network of every genotype in STREAM (or standard input), one after the other, on the train "
    "and alpha splits of the dataset together: the alpha split has served the search and has no other use. "
    "With --genotype or --net, nothing is read unless a STREAM or - is named.\n\n"
    "Passes on what it reads, without samples and weights, and adds for each network a Network record, a "
    "TrainEpoch record after every epoch, and the weights as two sets of Tensor records: best (by the metric "
    "on the validation split) and last; with --ema also mean. After every epoch the loss on some samples is measured by running and "
    "by batch statistics; where they disagree, evaluation says nothing, and a warning is given.\n\n"
    "A training whose loss is no longer finite ends with an Event record and exit status 1, after the other "
    "networks. SIGINT or SIGTERM ends after the present step, with the weights so far and status 130 or 143.\n\n" CHECKPOINT_DETAILS;
static const char examples[] =
    "\n\nExamples:\n\n"
    "nas-derive search.nas | nas-train --data data.nas --epochs 30 -o net.nas\n\n"
    "nas-train --data data.nas --genotype DARTS_V2 --net resnet-tiny | nas-eval --data data.nas";

typedef struct {
    Reader *in;  /* or 0 */
    Writer *out; /* 0: nothing is passed on */
    Candidates todo;
    bool dataset_seen; /* the dataset's description is in the stream already */
} Input;

static void read_stream(Input *s, Arena *perm, Arena scratch, uint64_t digest)
{
    for (;;) {
        Arena once = scratch;
        Record r;
        StreamStatus status = reader_next(s->in, &once, &r);
        if (status == STREAM_END) break;
        if (status == STREAM_ERROR) cli_die_input(reader_damaged(s->in), reader_error(s->in));
        if (r.kind == REC_DATASET) s->dataset_seen |= digest && r.dataset.digest == digest;
        if (r.kind == REC_GENOTYPE)
            candidates_add(perm, &s->todo,
                           (Candidate){r.genotype.name, netio_genotype, r.genotype.text, r.genotype.dataset});
        if (s->out && r.kind != REC_SAMPLES && r.kind != REC_TENSOR) writer_pass(s->out, &r);
    }
    if (!s->todo.count && !genotypes.count && !nets.count)
        cli_die(EXIT_FAILED, "%s: no genotype in it: nas-derive makes one", reader_name(s->in));
}

static void add_options(Input *s, Arena *perm)
{
    for (int i = 0; i < genotypes.count; i++) {
        GenotypeRecord g;
        const char *why = candidates_parse(perm, genotypes.item[i], &g);
        if (why) cli_die(EXIT_USAGE, "--genotype %.200s: %s", genotypes.item[i], why);
        g.name = candidates_add(perm, &s->todo, (Candidate){g.name, netio_genotype, g.text, ""})->run;
        if (s->out) writer_put(s->out, &(Record){.kind = REC_GENOTYPE, .genotype = g});
    }
    for (int i = 0; i < nets.count; i++)
        candidates_add(perm, &s->todo, (Candidate){nets.item[i], nets.item[i], "", ""});
}

static void put_profile(Arena *perm, const Trainer *t)
{
    int64_t count;
    const ProfileRecord *rows = trainer_profile(t, perm, &count);
    Text table = {0};
    report_profile(perm, &table, rows, count);
    if (!cli_common.quiet) fputs(table.s, stderr);
}

/* Every network to train is part of what a state belongs to: those that are done are not trained again. */
static void begin_checkpoint(Checkpoint *c, Arena *perm, Arena scratch, const Dataset *d, const Input *input)
{
    const char *why = checkpoint_open(perm, scratch, options, &d->info, c);
    if (why) cli_die(EXIT_FAILED, "%s", why);
    trainer_identity(c, perm, scratch, &input->todo);
    bool damaged;
    why = checkpoint_begin(c, perm, input->out, &damaged);
    if (why) cli_die_input(damaged, why);
}

/* room: for what the run keeps while it lasts; apart from scratch, which its callees use anew. */
static TrainEnd train_one(const Candidate *c, Arena room, Arena scratch, const Workplace *w)
{
    Arena perm = room;
    NetworkRecord net = train_network(&perm, w, &train_settings, c->run, c->net, c->genotype);
    Trainer t;
    const char *why = trainer_open(&perm, scratch, w, &train_settings, &net, true, &t);
    if (why) cli_die(EXIT_FAILED, "%s: %s", c->run, why);
    cli_note("%s: %s, %s", c->run, forecast_text(&perm, &t.forecast), engine_device(t.engine));
    engine_set_profile(t.engine, profile);
    TrainEnd end = trainer_run(&t, scratch);
    if (profile) put_profile(&perm, &t);
    if (end == TRAIN_DIVERGED || end == TRAIN_FAILED)
        cli_warn("%s", t.trouble);
    else if (!no_weights && (why = trainer_write_weights(&t, scratch)))
        cli_die(EXIT_FAILED, "%s: the weights: %s", c->run, why);
    trainer_close(&t);
    return end;
}

int main(int argc, char **argv)
{
    Arena perm = arena_reserve((ptrdiff_t)1 << 40), scratch = arena_reserve((ptrdiff_t)1 << 36),
          room = arena_reserve((ptrdiff_t)1 << 40);
    const CliProgram program = {
        .name = "nas-train",
        .summary = "train networks from scratch",
        .usage = "--data FILE [STREAM]",
        .details = arena_printf(&perm, "%sNets:\n%s%s", about, network_zoo_help(&perm), examples),
        .options = options,
    };
    char **file = cli_begin(argc, argv, &program);
    const char *path = file[0] ? file[0] : genotypes.count || nets.count ? 0 : "-";
    if (path && !file[0] && isatty(STDIN_FILENO))
        cli_die(EXIT_USAGE,
                "usage: %s [OPTION...] %s: no genotypes: give a STREAM, --genotype or --net; --help tells more",
                program.name, program.usage);
    const char *why = train_settings_check(&perm, &train_settings);
    if (why) cli_die(EXIT_USAGE, "%s", why);
    if (!*data_path) cli_die(EXIT_USAGE, "--data FILE is needed: a dataset of nas-ingest");
    if (file[0] && file[1]) cli_die(EXIT_USAGE, "one STREAM, not also %s", file[1]);
    if (path && !strcmp(path, "-") && !strcmp(data_path, "-"))
        cli_die(EXIT_USAGE, "standard input is either the dataset or the stream of genotypes");
    if (!dry_run) cli_refuse_terminal(cli_common.output);
    cli_catch_signals();

    Dataset data, whole;
    bool damaged;
    why = dataset_open(&perm, scratch, data_path, &data, &damaged);
    if (why) cli_die_input(damaged, why);
    if (data.spilled) cli_note("%s: %s", data_path, data.spilled);
    why = train_settings_misfit(&perm, &train_settings, &data.info);
    if (why) cli_die(EXIT_FAILED, "%s: %s", data_path, why);
    whole = data;
    why = train_settings.no_alpha ? 0 : train_whole(&perm, &data, &whole);
    if (why) cli_die(EXIT_FAILED, "%s: %s", data_path, why);

    Input input = {.in = path ? reader_open(&perm, path) : 0};
    const char *digest = arena_printf(&perm, "%s %016llx", data.info.name, (unsigned long long)data.info.digest);
    Provenance self = provenance_self(&perm, &digest, 1);
    if (!dry_run) {
        input.out = writer_open(&perm, cli_common.output, input.in, &self);
        cli_guard_file(writer_temporary(input.out));
    }
    if (input.in) read_stream(&input, &perm, scratch, data.info.digest);
    add_options(&input, &perm);
    Workplace place;
    Text forecasts = {0};
    why = workplace_open(&perm, &place, &whole, input.out);
    if (!why) why = trainer_check(&perm, room, scratch, &place, &train_settings, &input.todo, &forecasts);
    if (why) cli_die(EXIT_FAILED, "%s", why);
    if (dry_run) {
        fputs(forecasts.s, stdout);
        return cli_end();
    }

    if (!input.dataset_seen) writer_put(input.out, &(Record){.kind = REC_DATASET, .dataset = data.info});
    Checkpoint checkpoint;
    begin_checkpoint(&checkpoint, &perm, scratch, &data, &input);
    place.checkpoint = &checkpoint;
    TrainEnd end = TRAIN_DONE;
    for (; checkpoint.item < input.todo.count && end != TRAIN_INTERRUPTED && end != TRAIN_FAILED &&
           !writer_error(input.out);
         checkpoint.item++) {
        end = train_one(&input.todo.item[checkpoint.item], room, scratch, &place);
        checkpoint.diverged += end == TRAIN_DIVERGED;
    }
    if (!writer_finish(input.out)) cli_die(EXIT_FAILED, "%s", writer_error(input.out));
    cli_guard_file(0);
    workplace_close(&place);
    checkpoint_tell(&checkpoint);
    int64_t diverged = checkpoint.diverged;
    checkpoint_close(&checkpoint);
    int status = cli_end();
    return status ? status : diverged || end == TRAIN_FAILED ? EXIT_FAILED : EXIT_OK;
}
