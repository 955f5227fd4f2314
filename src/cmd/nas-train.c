/* nas-train: genotypes in, trained networks out. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "data/problems.h"
#include "nn/network.h"
#include "report/report.h"
#include "train/candidates.h"
#include "train/designs.h"
#include "train/export.h"
#include "train/supernet.h"
#include "train/trainer.h"

static const char *data_path = "", *init_path = "", *onnx_path = "";
static const char *designed = "all";
static CliList genotypes, nets;
static bool dry_run, no_weights, profile, supernet, untrained, onnx_normalised;
static Prune prune;

static const CliOption options[] = {
    {CLI_HEADING, 0, "What is trained"},
    {CLI_STRING, 'd', "data", "FILE", &data_path, "The dataset, a stream of nas-ingest. Needed."},
    {CLI_LIST, 'g', "genotype", "TEXT", &genotypes,
     "A genotype as text, or the name of a published cell; beside the stream's."},
    {CLI_LIST, 0, "net", "NAME", &nets,
     "A hand-designed net, as listed under Nets; several are trained one after the other."},
    {CLI_CHOICE, 0, "design", "all|train|alpha|validation|test", &designed,
     "Of a dataset of structural problems: the split that is designed."},
    {CLI_HEADING, 0, "What it starts from"},
    {CLI_STRING, 0, "init", "FILE", &init_path,
     "Initial weights of the one network that is trained: a NumPy archive, .npz, under the names of PyTorch's state_dict."},
    {CLI_FLAG, 0, "supernet", 0, &supernet,
     "Go on with the supernet of STREAM (nas-search --weights) and its weights, in place of the genotypes; the weights of "
     "its operations stay as they are."},
    {CLI_INT, 0, "prune-top", "N", &prune.top,
     "Keep the N heaviest operations of every edge of the supernet, none not counted; 0: all.", 0, SPACE_MAX_OPS},
    {CLI_DOUBLE, 0, "prune-below", "F", &prune.below, "Leave out the operations of the supernet that weigh less.", 0,
     1},
    {CLI_FLAG, 0, "untrained", 0, &untrained, "Do not train: write the network as it starts."},
    {CLI_TABLE, .to = (void *)train_network_options},
    {CLI_TABLE, .to = (void *)train_setting_options},
    {CLI_HEADING, 0, "Output"},
    {CLI_FLAG, 'n', "dry-run", 0, &dry_run, "Print what the training would take, and stop."},
    {CLI_FLAG, 0, "no-weights", 0, &no_weights, "Do not write the weights."},
    {CLI_STRING, 0, "onnx", "FILE", &onnx_path, EXPORT_ONNX_HELP " With the best weights."},
    {CLI_FLAG, 0, "onnx-normalised", 0, &onnx_normalised, EXPORT_NORMALISED_HELP},
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
    "--supernet trains the continuous network of a search, its mixing weights constants, whole or pruned: of every edge the "
    "heaviest operations, or those that weigh enough. Pruned and --untrained, it is what is left of it as it stands: "
    "running statistics are those of the whole, which nas-eval's health check will show.\n\n"
    "On a dataset of structural problems --net oc, mma, pixels or cnn (see datasets/structural), and generators as genotypes, "
    "Generator([...]), design each of them in --epochs steps, several side by side on --threads threads; what does not "
    "concern that is refused. For each design there is a TrainEpoch record a step, with the compliance, and a Tensor record, "
    "the best design's densities. A checkpoint holds the designs that are done and the state of those under way, but for mma's, "
    "which begin anew.\n\n"
    "A training whose loss is no longer finite ends with an Event record and exit status 1, after the other "
    "networks. SIGINT or SIGTERM ends after the present step, with the weights so far and status 130 or 143.\n\n" CHECKPOINT_DETAILS;
static const char examples[] =
    "\n\nExamples:\n\n"
    "nas-derive search.nas | nas-train --data data.nas --epochs 30 -o net.nas\n\n"
    "nas-train --data data.nas --genotype DARTS_V2 --net resnet-tiny | nas-eval --data data.nas\n\n"
    "nas-train --data data.nas --supernet --prune-top 2 --epochs 5 --lr 0.01 search.nas | nas-eval --data data.nas\n\n"
    "nas-train --data data.nas --net resnet-20 --init pytorch.npz --untrained | nas-eval --data data.nas";

typedef struct {
    Reader *in;  /* or 0 */
    Writer *out; /* 0: nothing is passed on */
    Candidates todo;
    bool dataset_seen; /* the dataset's description is in the stream already */
    /* what the one network starts from; else each has initial weights */
    const NetWeights *start;
    NetworkRecord like; /* --supernet; like.run 0: none yet */
    Graph *graph;       /* its */
    NetWeights set[3];  /* the first one that there is is taken */
} Input;

static void begin_supernet(Input *s, Arena *perm, const NetworkRecord *n)
{
    if (s->like.run)
        cli_die(EXIT_FAILED, "%s: two supernets in it, %s and %s", reader_name(s->in), s->like.run, n->run);
    static const char *const sets[] = {"best", "last", netio_supernet};
    const char *why;
    s->like = netio_copy(perm, n);
    s->graph = netio_build(perm, &s->like, &why);
    if (why) cli_die(EXIT_FAILED, "%s: network %s: %s", reader_name(s->in), n->run, why);
    for (int i = 0; i < COUNTOF(sets); i++) s->set[i] = (NetWeights){.set = sets[i]};
}

static void take_tensor(Input *s, Arena *perm, const TensorRecord *t)
{
    if (!s->graph || strcmp(t->run, s->like.run) || netio_is_alpha(t->name)) return;
    for (int i = 0; i < COUNTOF(s->set); i++) {
        const char *why = strcmp(t->set, s->set[i].set) ? 0 : netio_take(perm, s->graph, t, &s->set[i]);
        if (why) cli_die(EXIT_FAILED, "%s: network %s: %s", reader_name(s->in), s->like.run, why);
    }
}

/* The supernet becomes what is to be trained. */
static void end_supernet(Input *s, Arena *perm, const DatasetInfo *d)
{
    const char *why =
        s->like.run ? netio_mismatch(perm, &s->like, d) : "no supernet in it: nas-search --weights writes one";
    if (!why) why = netio_normalised(&s->like, d);
    int i = 0;
    while (!why && i < COUNTOF(s->set) && !s->set[i].have) i++;
    if (i == COUNTOF(s->set)) why = "the supernet has no weights";
    const char *missing = why ? 0 : netio_missing(perm, s->graph, &s->set[i]);
    if (missing) why = arena_printf(perm, "the weights of the supernet lack %s", missing);
    NetWeights *start = NEW(perm, NetWeights, 1);
    NetworkRecord whole = s->like;
    if (!why) why = supernet_pruned(perm, &whole, &s->set[i], prune, &s->like, start);
    if (why) cli_die(EXIT_FAILED, "%s: %s", reader_name(s->in), why);
    s->start = start;
    Text name = {0};
    text_add(perm, &name, s->like.run);
    if (prune.top) text_addf(perm, &name, "-top%lld", (long long)prune.top);
    if (prune.below > 0) text_addf(perm, &name, "-above%g", prune.below);
    if (!untrained) text_add(perm, &name, "-tuned");
    candidates_add(perm, &s->todo, (Candidate){name.s, netio_supernet, "", d->name});
}

static NetworkRecord network_of(Arena *perm, const Input *s, const Workplace *w, const Candidate *c)
{
    NetworkRecord n = train_network(perm, w, &train_settings, c->run, c->net, c->genotype);
    if (supernet) supernet_like(perm, &s->like, &n);
    return n;
}

/* Builds everything once: what cannot be trained is told now. */
static const char *check(Input *s, Arena *perm, Arena room, Arena scratch, const Workplace *w, Text *forecasts)
{
    if (*init_path && s->todo.count != 1)
        return arena_printf(perm, "--init: weights of one network, there are %lld", (long long)s->todo.count);
    const char *why = export_check(perm, onnx_path, s->todo.count);
    if (why) return why;
    if (!supernet && !*init_path) return trainer_check(perm, room, scratch, w, &train_settings, &s->todo, forecasts);
    const Candidate *c = &s->todo.item[0];
    NetworkRecord net = network_of(perm, s, w, c);
    Trainer t;
    why = trainer_open(perm, scratch, w, &train_settings, &net, false, &t);
    if (why) return arena_printf(perm, "%s: %s", c->run, why);
    text_addf(perm, forecasts, "%s: %s\n", c->run, forecast_text(perm, &t.forecast));
    if (!*init_path) return 0;
    NetWeights *start = NEW(perm, NetWeights, 1);
    s->start = start;
    return import_npz(perm, scratch, init_path, t.graph, start);
}

static void read_stream(Input *s, Arena *perm, Arena scratch, uint64_t digest)
{
    for (;;) {
        Arena once = scratch;
        Record r;
        StreamStatus status = reader_next(s->in, &once, &r);
        if (status == STREAM_END) break;
        if (status == STREAM_ERROR) cli_die_input(reader_damaged(s->in), reader_error(s->in));
        if (r.kind == REC_DATASET) s->dataset_seen |= digest && r.dataset.digest == digest;
        if (supernet && r.kind == REC_NETWORK && !strcmp(r.network.net, netio_supernet))
            begin_supernet(s, perm, &r.network);
        if (r.kind == REC_TENSOR) take_tensor(s, perm, &r.tensor);
        if (r.kind == REC_GENOTYPE && !supernet)
            candidates_add(perm, &s->todo,
                           (Candidate){r.genotype.name, netio_genotype, r.genotype.text, r.genotype.dataset});
        if (s->out && r.kind != REC_SAMPLES && r.kind != REC_TENSOR) writer_pass(s->out, &r);
    }
    if (!s->todo.count && !genotypes.count && !nets.count && !supernet)
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

/* Every network to train is part of what a state belongs to: those that are done are not trained again. */
static void begin_checkpoint(Checkpoint *c, Arena *perm, Arena scratch, const Dataset *d, const Input *input)
{
    const char *why = checkpoint_open(perm, scratch, options, &d->info, c);
    if (why) cli_die(EXIT_FAILED, "%s", why);
    trainer_identity(c, perm, scratch, &input->todo);
    if (input->start) checkpoint_identity(c, "initial weights", netio_digest(perm, input->start));
    bool damaged;
    why = checkpoint_begin(c, perm, input->out, &damaged);
    if (why) cli_die_input(damaged, why);
}

/* After its weights are written: the best ones take their place in the engine. */
static void put_model(Arena *perm, Arena scratch, Trainer *t, int64_t *written)
{
    if (!*onnx_path) return;
    trainer_use_best(t);
    NetWeights w = {.mixing = (float **)t->mixing};
    w.weights = NEW(perm, float, t->graph->weight_count);
    w.stats = NEW(perm, float, t->graph->stat_floats);
    engine_download(t->engine, BLOCK_WEIGHTS, w.weights);
    engine_download(t->engine, BLOCK_STATS, w.stats);
    if (engine_error(t->engine)) cli_die(EXIT_FAILED, "%s: the weights: %s", t->net.run, engine_error(t->engine));
    const ExportNet net = {.net = &t->net, .graph = t->graph, .weights = &w};
    const char *why = export_onnx(scratch, onnx_path, &net, onnx_normalised, written);
    if (why) cli_die(EXIT_FAILED, "%s: %s", t->net.run, why);
}

/* room: for what the run keeps while it lasts; apart from scratch, which its callees use anew. */
static TrainEnd train_one(const Input *input, int64_t item, Arena room, Arena scratch, const Workplace *w)
{
    Arena perm = room;
    const Candidate *c = &input->todo.item[item];
    NetworkRecord net = network_of(&perm, input, w, c);
    Trainer t;
    const char *why = trainer_open(&perm, scratch, w, &train_settings, &net, true, &t);
    if (why) cli_die(EXIT_FAILED, "%s: %s", c->run, why);
    if (input->start) trainer_begin_with(&t, scratch, input->start);
    cli_note("%s: %s, %s", c->run, forecast_text(&perm, &t.forecast), engine_device(t.engine));
    engine_set_profile(t.engine, profile);
    TrainEnd end = trainer_run(&t, scratch);
    if (profile) {
        int64_t count;
        const ProfileRecord *rows = trainer_profile(&t, &perm, &count);
        cli_table(report_profile(&perm, rows, count));
    }
    if (end == TRAIN_DIVERGED || end == TRAIN_FAILED)
        cli_warn("%s", t.trouble);
    else if (!no_weights && (why = trainer_write_weights(&t, scratch)))
        cli_die(EXIT_FAILED, "%s: the weights: %s", c->run, why);
    if (end == TRAIN_DONE) put_model(&perm, scratch, &t, &item);
    trainer_close(&t);
    return end;
}

/* A dataset of problems: they are designed. `path`: of a stream of generators, or 0. */
static int design_problems(Arena *perm, Arena scratch, const Dataset *d, const char *path)
{
    static const char *const known[] = {
        "data",   "genotype", "net",     "design", "epochs",   "dry-run", "checkpoint", "checkpoint-every",
        "resume", "seed",     "threads", "output", "progress", "quiet",   "verbose",    0};
    const char *odd = cli_given_beside(known);
    if (odd)
        cli_die(EXIT_FAILED, "%s: a dataset of structural problems: --%s means nothing for designs", data_path, odd);
    DesignPlan plan = {.steps = train_settings.epochs};
    for (int s = 0; s < SPLIT_COUNT; s++) plan.split[s] = !strcmp(designed, "all") || !strcmp(designed, split_name[s]);
    const char *digest = arena_printf(perm, "%s %016llx", d->info.name, (unsigned long long)d->info.digest);
    Provenance self = provenance_self(perm, &digest, 1);
    Input input = {.in = path ? reader_open(perm, path) : 0};
    if (!dry_run) {
        input.out = writer_open(perm, cli_common.output, input.in, &self);
        cli_guard_file(writer_temporary(input.out));
    }
    if (input.in) read_stream(&input, perm, scratch, d->info.digest);
    add_options(&input, perm);
    plan.todo = &input.todo;
    for (int64_t i = 0; i < input.todo.count; i++) {
        const Optimiser *method;
        const GeneratorSpec *generator;
        const char *why = designs_method(perm, &input.todo.item[i], &method, &generator);
        if (why) cli_die(EXIT_FAILED, "%s: a dataset of structural problems: %s", data_path, why);
    }
    const int64_t count = designs_count(d, &plan);
    if (!count) cli_die(EXIT_FAILED, "%s: the %s split is empty", data_path, designed);
    if (dry_run) {
        printf("%lld designs of %lld steps each\n", (long long)count, (long long)plan.steps);
        return cli_end();
    }
    Writer *out = input.out;
    Checkpoint checkpoint;
    bool damaged = false;
    const char *why = checkpoint_open(perm, scratch, options, &d->info, &checkpoint);
    if (!why) {
        plan.checkpoint = &checkpoint;
        trainer_identity(&checkpoint, perm, scratch, &input.todo);
        if (!input.dataset_seen) problems_write(out, scratch, d); /* a stream of designs tells what they are of */
        why = checkpoint_begin(&checkpoint, perm, out, &damaged);
    }
    if (why) cli_die_input(damaged, why);
    Pool *pool = pool_open((int)cli_common.threads);
    if (!pool) cli_die(EXIT_FAILED, "%lld threads cannot be started", (long long)cli_common.threads);
    why = designs_run(perm, scratch, pool, d, &plan, out);
    if (why) cli_die(EXIT_FAILED, "%s", why);
    pool_close(pool);
    if (!writer_finish(out)) cli_die(EXIT_FAILED, "%s", writer_error(out));
    cli_guard_file(0);
    checkpoint_tell(&checkpoint);
    const bool failed = checkpoint.diverged;
    checkpoint_close(&checkpoint);
    const int status = cli_end();
    return status ? status : failed ? EXIT_FAILED : EXIT_OK;
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
    if (supernet && (genotypes.count || nets.count || *init_path))
        cli_die(EXIT_USAGE, "--supernet excludes --genotype, --net and --init");
    if (supernet && (train_settings.layers != 8 || train_settings.channels || *train_settings.reduce_at ||
                     train_settings.auxiliary > 0))
        cli_die(EXIT_USAGE,
                "--supernet excludes --layers, --channels, --reduce-at and --auxiliary: it is as it was found");
    if (!supernet && (prune.top || prune.below > 0))
        cli_die(EXIT_USAGE, "--prune-top and --prune-below prune a --supernet");
    if (untrained) train_settings.epochs = 0;
    if (!*data_path) cli_die(EXIT_USAGE, "--data FILE is needed: a dataset of nas-ingest");
    if (file[0] && file[1]) cli_die(EXIT_USAGE, "one STREAM, not also %s", file[1]);
    if (path && !strcmp(path, "-") && !strcmp(data_path, "-"))
        cli_die(EXIT_USAGE, "standard input is either the dataset or the stream of genotypes");
    if (!dry_run) cli_refuse_terminal(cli_common.output);
    cli_catch_signals();

    Dataset data, whole;
    bool damaged;
    why = dataset_open_any(&perm, scratch, data_path, &data, &damaged);
    if (why) cli_die_input(damaged, why);
    if (data.spilled) cli_note("%s: %s", data_path, data.spilled);
    if (problems_are(&data.info)) return design_problems(&perm, scratch, &data, path);
    if (strcmp(designed, "all"))
        cli_die(EXIT_USAGE, "--design %s: %s holds no structural problems", designed, data_path);
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
    if (supernet) end_supernet(&input, &perm, &data.info);
    Workplace place;
    Text forecasts = {0};
    why = workplace_open(&perm, &place, &whole, input.out);
    if (!why) why = check(&input, &perm, room, scratch, &place, &forecasts);
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
        end = train_one(&input, checkpoint.item, room, scratch, &place);
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
