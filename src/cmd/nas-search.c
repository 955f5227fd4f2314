/* nas-search: a dataset in, the story of a search out: what was searched, and the alphas after every epoch. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "data/problems.h"
#include "report/report.h"
#include "search/bilevel.h"
#include "search/generators.h"
#include "train/profile.h"

static SearchSettings settings = {
    .strategy = {.name = "steady", .warmup = -1},
    .ops = "auto",
    .reduce_at = "",
    .nodes = 4,
    .inputs = 2,
    .layers = 8,
    .channels = 16,
    .batch = 64,
    .epochs = 50,
    .gap_every = 1,
    .lr = 0.025,
    .lr_min = 0.001,
    .momentum = 0.9,
    .weight_decay = 3e-4,
    .clip = 5,
    .recompute = "auto",
    .alpha_beta1 = 0.5,
    .alpha_beta2 = 0.999,
};
static GeneratorsSettings generators = {.draws = 8, .problems = 4, .judges = 8, .steps = 50};
static bool dry_run, keep_samples, weights, profile, list_strategies, costs;

static const CliOption options[] = {
    {CLI_HEADING, 0, "What is searched"},
    {CLI_STRING, 0, "ops", "LIST", &settings.ops,
     "Operations, comma-separated; or a named set: darts, galaxy-zoo-9, galaxy-zoo-11, series; auto: series for samples "
     "of height 1, else darts. Of a dataset of structural problems: generator, or what a generator is made of."},
    {CLI_INT, 0, "nodes", "N", &settings.nodes, "Nodes of a cell.", 1, GENOTYPE_MAX_NODES},
    {CLI_INT, 0, "inputs", "N", &settings.inputs, "Inputs that a node keeps in the end.", 1, 2},
    {CLI_INT, 0, "concat", "N", &settings.concat, "Nodes that make up the output, the last N; 0: all.", 0,
     GENOTYPE_MAX_NODES},
    {CLI_INT, 'l', "layers", "N", &settings.layers, "Cells of the supernet.", 1, 1000},
    {CLI_INT, 'c', "channels", "N", &settings.channels, "Channels of its first stage.", 1, 65536},
    {CLI_STRING, 0, "reduce-at", "LIST", &settings.reduce_at,
     "Reduction cells, as in 2,5, counted from 0; none: no such cell; by default at one and two thirds."},
    {CLI_HEADING, 0, "How: a strategy, and parts that replace its own"},
    {CLI_STRING, 's', "strategy", "NAME", &settings.strategy.name, "A named strategy; see --list-strategies."},
    {CLI_FLAG, 0, "list-strategies", 0, &list_strategies, "Print all strategies and all parts, and stop."},
    {CLI_STRING, 0, "relaxation", "PART", &settings.strategy.relaxation, "From alphas to weights of operations."},
    {CLI_STRING, 0, "sampling", "PART", &settings.strategy.sampling, "What a step computes of them."},
    {CLI_STRING, 0, "alpha-gradient", "PART", &settings.strategy.gradient, "The gradient of the alphas."},
    {CLI_STRING, 0, "regulariser", "LIST", &settings.strategy.regulariser,
     "What is added to it: parts, comma-separated; or none."},
    {CLI_STRING, 0, "alpha-update", "PART", &settings.strategy.update, "The step of the alphas."},
    {CLI_STRING, 0, "guard", "LIST", &settings.strategy.guard,
     "What ends the search when the alphas go wrong: parts, comma-separated; or none."},
    {CLI_STRING, 0, "choice", "PART", &settings.strategy.choice, "Where the architecture comes from."},
    {CLI_INT, 0, "channel-share", "K", &settings.strategy.share,
     "1 of K channels goes through the operations; 1: all; 0: as the strategy has it.", 0, 1024},
    {CLI_STRING, 0, "edge-weights", "ON|OFF", &settings.strategy.edge_weights, "Edges have alphas of their own."},
    {CLI_STRING, 0, "auxiliary-skip", "ON|OFF", &settings.strategy.auxiliary_skip,
     "A skip beside every edge, its weight going from 1 to 0."},
    {CLI_INT, 0, "warmup", "N", &settings.strategy.warmup,
     "Epochs at the start in which the alphas rest; -1: as the strategy has it.", -1, 1e6},
    {CLI_DOUBLE, 0, "alpha-lr", "F", &settings.strategy.lr, "Learning rate of the alphas; 0: as the strategy has it.",
     0, 1000},
    {CLI_DOUBLE, 0, "alpha-beta1", "F", &settings.alpha_beta1, "Adam's decay of the first moment.", 0, 0.9999},
    {CLI_DOUBLE, 0, "alpha-beta2", "F", &settings.alpha_beta2, "Adam's decay of the second moment.", 0, 0.999999},
    {CLI_HEADING, 0, "Length"},
    {CLI_INT, 'e', "epochs", "N", &settings.epochs, "Epochs.", 1, 1e6},
    {CLI_INT, 'b', "batch", "N", &settings.batch, "Samples of a batch; made smaller, aloud, if memory is short.", 1,
     65536},
    {CLI_INT, 0, "limit", "N", &settings.limit, "Train on N samples an epoch, others in every epoch; 0: on all.", 0,
     1e12},
    {CLI_INT, 0, "valid-limit", "N", &settings.valid_limit, "Validate on the first N samples; 0: on all.", 0, 1e12},
    {CLI_INT, 0, "gap-every", "N", &settings.gap_every,
     "Measure the discretisation gap every N epochs and at the end; 0: never.", 0, 1e6},
    {CLI_HEADING, 0, "Weights: SGD, cosine schedule, one rate an epoch"},
    {CLI_DOUBLE, 0, "lr", "F", &settings.lr, "Learning rate at the start.", 0, 1000},
    {CLI_DOUBLE, 0, "lr-min", "F", &settings.lr_min, "Learning rate at the end.", 0, 1000},
    {CLI_DOUBLE, 0, "momentum", "F", &settings.momentum, "Momentum.", 0, 0.9999},
    {CLI_DOUBLE, 0, "weight-decay", "F", &settings.weight_decay, "Weight decay.", 0, 100},
    {CLI_DOUBLE, 0, "clip", "F", &settings.clip, "Largest norm of a gradient; 0: no limit.", 0, 1e9},
    {CLI_FLAG, 0, "no-augment", 0, &settings.no_augment, "No augmentation, whatever the dataset declares."},
    {CLI_HEADING, 0, "Structural problems: a generator is searched"},
    {CLI_INT, 0, "draws", "N", &generators.draws, "Generators drawn an epoch; each designs all problems of the epoch.",
     2, 4096},
    {CLI_INT, 0, "alpha-problems", "N", &generators.problems,
     "Problems of the alpha split an epoch, others in every epoch; 0: all.", 0, 4096},
    {CLI_INT, 0, "judge-problems", "N", &generators.judges,
     "The first N problems of the train split, on which the likeliest generator is judged after an epoch; 0: all.", 0,
     4096},
    {CLI_INT, 0, "design-steps", "N", &generators.steps, "Steps of a design.", 1, 1e6},
    {CLI_HEADING, 0, "Output"},
    {CLI_FLAG, 'n', "dry-run", 0, &dry_run, "Print what the search would take, and stop."},
    {CLI_FLAG, 0, "costs", 0, &costs, "Print what every operation costs on every stage, and stop."},
    {CLI_FLAG, 0, "keep-samples", 0, &keep_samples, "Pass the samples on."},
    {CLI_FLAG, 0, "weights", 0, &weights, "Write the supernet's weights at the end."},
    {CLI_FLAG, 0, "profile", 0, &profile,
     "At the end, tell where the time went, as a table and as Profile records; some percent slower, same results."},
    {CLI_INT, 0, "memory", "MIB", &settings.memory, "Take at most so much memory, in MiB; 0: what is free.", 0, 1e9},
    {CLI_CHOICE, 0, "recompute", recompute_choices, &settings.recompute, recompute_help},
    {CLI_TABLE, .to = (void *)checkpoint_options},
    {CLI_TABLE, .to = (void *)cli_common_options},
    {CLI_END},
};

static const CliProgram program = {
    .name = "nas-search",
    .summary = "search a cell on a dataset",
    .usage = "[FILE]",
    .details =
        "Reads a dataset (a stream of nas-ingest; FILE, or standard input) and trains a supernet: a stack of "
        "cells on whose edges all operations stand side by side, each with a weight. In turn, a batch of the "
        "train split improves the network's weights, and a batch of the alpha split improves the weights of the "
        "operations (alphas). How is the strategy's matter: --list-strategies prints those that have a name, as the "
        "parts that they are made of. Each part is also an option of its own, written NAME or NAME:VALUE.\n\n"
        "Writes a SearchSpace record and a SearchEpoch record for the start and after every epoch, the last one "
        "included: alphas, mixing weights, entropies, margins, losses and metrics of the whole train, alpha and "
        "validation splits, the genotype that would be derived, and the discretisation gap: how much better the "
        "supernet is on the validation split than the derived cell in it, same weights, both with batch statistics. "
        "They are written as they come, so that "
        "nas-stats --follow can watch. nas-derive makes the genotype of it. Other records are passed on; samples "
        "are dropped unless --keep-samples is given.\n\n"
        "On a dataset of structural problems (nas-ingest structural) a generator is searched, a network that makes designs: how "
        "each stage of the published one enlarges (bilinear, nearest, transposed), whether it is normalised (norm, plain), its "
        "convolution (conv_1x1, conv_3x3, conv_5x5, conv_7x7, dil_conv_3x3, dil_conv_5x5) and its width (width_0.5, width_1, "
        "width_2, times the published). There is no supernet: in an epoch generators are drawn from the alphas, each designs "
        "problems of the alpha split from new weights, and the alphas move by how they rank. Then the likeliest one designs problems "
        "of the train split, which teach nothing: relative_compliance, below 1 if better than the published generator in as "
        "many steps. Options that do not concern this are refused.\n\n"
        "A search whose loss is no longer finite ends with an Event record and exit status 1; so does SIGINT or "
        "SIGTERM, with status 130 or 143. The stream is valid in both cases.\n\n" CHECKPOINT_DETAILS "Examples:\n\n"
        "nas-search --epochs 10 --channels 8 data.nas -o search.nas\n\n"
        "nas-search --strategy pc-darts --channel-share 2 --warmup 3 --epochs 20 data.nas -o search.nas\n\n"
        "nas-search --dry-run --costs data.nas\n\n"
        "nas-search --epochs 20 --draws 12 structural.nas | nas-derive --epoch best | nas-train --data structural.nas",
    .options = options,
};

static void pass_on(void *context, const Record *r)
{
    Writer *out = context; /* 0: a dry run */
    if (out && r->kind != REC_TENSOR) writer_pass(out, r);
}

static const char *forecast_line(Arena *a, const Search *s)
{
    return arena_printf(a, "%s; %lld epochs of %lld steps", forecast_text(a, &s->forecast), (long long)settings.epochs,
                        (long long)s->batches);
}

/* A dataset of problems: a generator is searched. */
static int search_generators(Arena *perm, Arena scratch, const Dataset *d, const char *file, Writer *out)
{
    static const char *const known[] = {"ops",        "alpha-lr",         "alpha-beta1",    "alpha-beta2",  "epochs",
                                        "draws",      "alpha-problems",   "judge-problems", "design-steps", "dry-run",
                                        "checkpoint", "checkpoint-every", "resume",         "seed",         "threads",
                                        "output",     "progress",         "quiet",          "verbose",      0};
    const char *odd = cli_given_beside(known);
    if (odd)
        cli_die(EXIT_FAILED, "%s: a dataset of structural problems: --%s means nothing for a search of generators",
                file, odd);
    if (strcmp(settings.ops, "auto") && !generator_space_is(settings.ops))
        cli_die(EXIT_FAILED, "%s: a dataset of structural problems: --ops %.200s is not what generators are made of",
                file, settings.ops);
    generators.ops = strcmp(settings.ops, "auto") ? settings.ops : "generator";
    generators.epochs = settings.epochs;
    generators.lr = settings.strategy.lr > 0 ? settings.strategy.lr : 0.1;
    generators.beta1 = settings.alpha_beta1;
    generators.beta2 = settings.alpha_beta2;
    GeneratorSpace space;
    const char *why = generator_space_make(perm, generators.ops, &space);
    if (why) cli_die(EXIT_USAGE, "--ops: %s", why);
    const int64_t count = generators_count(perm, d, &generators, &why);
    if (why) cli_die(EXIT_FAILED, "%s: %s", file, why);
    if (dry_run) {
        printf("%lld decisions; at most %lld designs of %lld steps each\n", (long long)space.decisions,
               (long long)count, (long long)generators.steps);
        return cli_end();
    }
    Checkpoint checkpoint;
    bool damaged = false;
    problems_write(out, scratch, d);
    why = checkpoint_open(perm, scratch, options, &d->info, &checkpoint);
    if (!why) why = checkpoint_begin(&checkpoint, perm, out, &damaged);
    if (why) cli_die_input(damaged, why);
    Pool *pool = pool_open((int)cli_common.threads);
    if (!pool) cli_die(EXIT_FAILED, "%lld threads cannot be started", (long long)cli_common.threads);
    why = generators_run(perm, scratch, pool, d, &generators, &checkpoint, out);
    if (why) cli_die(EXIT_FAILED, "%s: %s", file, why);
    pool_close(pool);
    if (!writer_finish(out)) cli_die(EXIT_FAILED, "%s", writer_error(out));
    cli_guard_file(0);
    checkpoint_tell(&checkpoint);
    checkpoint_close(&checkpoint);
    return cli_end();
}

static void put_profile(Arena *perm, const Search *s)
{
    double wall = clock_wall() - s->started, wait = loader_wait(s->train_loader) + loader_wait(s->alpha_loader);
    int64_t count;
    const ProfileRecord *rows = profile_put(perm, s->place, s->engine, "search", wall, wait, &count);
    cli_table(report_profile(perm, rows, count));
}

int main(int argc, char **argv)
{
    char **file = cli_begin(argc, argv, &program);
    if (file[0] && file[1]) cli_die(EXIT_USAGE, "one FILE, not also %s", file[1]);
    Arena perm = arena_reserve((ptrdiff_t)1 << 40), scratch = arena_reserve((ptrdiff_t)1 << 36);
    if (list_strategies) {
        fputs(strategy_help(&perm), stdout);
        return cli_end();
    }
    if (!file[0] && isatty(STDIN_FILENO))
        cli_die(EXIT_USAGE, "usage: %s [OPTION...] %s: no dataset: name a FILE or pipe one in; --help tells more",
                program.name, program.usage);
    bool stop = dry_run || costs;
    if (!stop) cli_refuse_terminal(cli_common.output);
    cli_catch_signals();
    const bool designs = generator_space_is(settings.ops);
    const char *why = designs ? 0 : search_settings_check(&perm, &settings);
    if (why) cli_die(EXIT_USAGE, "%s", why);
    Reader *in = reader_open(&perm, file[0] ? file[0] : "-");
    Dataset data;
    Writer *out = 0;
    Provenance self = provenance_self(&perm, 0, 0);
    if (!stop) {
        out = writer_open(&perm, cli_common.output, in, &self);
        cli_guard_file(writer_temporary(out));
    }
    why = dataset_read_any(&perm, scratch, in, &data, pass_on, out);
    if (why) cli_die_input(reader_damaged(in), why);
    if (problems_are(&data.info)) return search_generators(&perm, scratch, &data, reader_name(in), out);
    static const char *const of_designs[] = {"draws", "alpha-problems", "judge-problems", "design-steps", 0};
    const char *odd = designs ? "ops" : cli_given(of_designs);
    if (odd) cli_die(EXIT_FAILED, "%s: no dataset of structural problems: --%s is for those", reader_name(in), odd);
    if (data.spilled) cli_note("%s: %s", reader_name(in), data.spilled);

    Workplace place;
    why = workplace_open(&perm, &place, &data, out);
    if (why) cli_die(EXIT_FAILED, "%s", why);
    Search search;
    Checkpoint checkpoint;
    if (!stop) {
        bool damaged = false;
        if (keep_samples)
            dataset_write(out, scratch, &data);
        else
            writer_put(out, &(Record){.kind = REC_DATASET, .dataset = data.info});
        why = checkpoint_open(&perm, scratch, options, &data.info, &checkpoint);
        if (!why) why = checkpoint_begin(&checkpoint, &perm, out, &damaged);
        if (why) cli_die_input(damaged, why);
        place.checkpoint = &checkpoint;
    }
    const int64_t there = memory_now(); /* the program and its samples */
    why = search_open(&perm, scratch, &place, &settings, !stop, &search);
    if (why) cli_die(EXIT_FAILED, "%s: %s", reader_name(in), why);
    if (dry_run) printf("%s\n", forecast_line(&perm, &search));
    if (costs) fputs(search_costs(&perm, &search, scratch), stdout);
    if (stop) return cli_end();
    cli_note("%s, %s", forecast_line(&perm, &search), engine_device(search.engine));
    engine_set_profile(search.engine, profile);
    SearchEnd end = search_run(&search, scratch);
    if (profile) put_profile(&perm, &search);
    if (weights && end != SEARCH_DIVERGED && end != SEARCH_FAILED) {
        why = search_write_weights(&search, scratch);
        if (why) cli_die(EXIT_FAILED, "the weights: %s", why);
    }
    if (!writer_finish(place.out)) cli_die(EXIT_FAILED, "%s", writer_error(place.out));
    cli_guard_file(0);
    checkpoint_tell(&checkpoint);
    checkpoint_close(&checkpoint);
    if (cli_common.verbose)
        cli_note("peak memory %s, forecast %s", forecast_bytes(&scratch, memory_peak()),
                 forecast_bytes(&scratch, search.forecast.bytes + there));
    search_close(&search);
    workplace_close(&place);
    if (end == SEARCH_DIVERGED || end == SEARCH_FAILED) cli_die(EXIT_FAILED, "%s", search.trouble);
    return cli_end();
}
