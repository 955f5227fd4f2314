/* nas-ingest: raw files in, a dataset stream out: splits made once and recorded, normalisation measured on train. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "data/prepare.h"
#include "data/problems.h"
#include "data/raster.h"
#include "data/split.h"
#include "data/task.h"
#include "data/tree.h"
#include "data/weights.h"

static const char *task = "", *name = "", *targets = "", *split_by = "auto", *balance = "none", *normalize = "channel";
static const char *crop = "", *resize = "", *pad = "", *reshape = "";
static const char *metric = "", *class_weights = "none", *metric_weights = "none";
static const char *tree_name = "", *tree_normalise = "as-is";
static double tree_tolerance = 1e-5;
static double valid = 0.1, alpha = 0.5, test = 0.2;
static int64_t subset, crop_padding, cutout;
static bool flip_horizontal, flip_vertical, group_copies, forbid_leaks, skip_bad, list_formats;
static CliList format_options;

static const CliOption options[] = {
    {CLI_HEADING, 0, "What is read"},
    {CLI_STRING, 0, "task", "NAME", &task,
     "classification, regression, multi-label, tree or simulation; by default the format's usual one."},
    {CLI_STRING, 0, "name", "NAME", &name, "Name of the dataset; by default taken from the source."},
    {CLI_LIST, 0, "option", "KEY=VALUE", &format_options, "An option of the format, as listed under Formats."},
    {CLI_STRING, 0, "targets", "COLUMNS", &targets,
     "What is predicted: the names or numbers (from 1) of columns or arrays, comma-separated, for formats that have such; "
     "the same as --option targets=COLUMNS."},
    {CLI_INT, 0, "subset", "N", &subset,
     "Keep N of the training samples, every class in its share; 0 keeps all. A test set of the source stays whole.", 0,
     1e12},
    {CLI_FLAG, 0, "skip-bad", 0, &skip_bad,
     "Leave out samples that are damaged, of another shape, or not finite, and say which; else the first one ends the "
     "program."},
    {CLI_FLAG, 0, "list-formats", 0, &list_formats, "Print the formats that are known, one a line, and stop."},
    {CLI_HEADING, 0, "The shape of every sample, in this order"},
    {CLI_STRING, 0, "crop", "HxW", &crop, "Take the middle; one number is a square."},
    {CLI_STRING, 0, "resize", "HxW", &resize,
     "Scale, bilinear with antialiasing; N~ scales the shorter side to N and keeps the aspect."},
    {CLI_STRING, 0, "pad", "HxW", &pad, "Put zeros around."},
    {CLI_STRING, 0, "reshape", "STEPS", &reshape, "The same steps in an order of your own, as resize:256~,crop:224."},
    {CLI_CHOICE, 0, "normalize", "channel|global|sample|none", &normalize,
     "What is subtracted and divided by when a sample is used: mean and sd of its channel or of all channels, of the train "
     "split alone; its own; or nothing, bytes then becoming 0 to 1."},
    {CLI_HEADING, 0, "What is learned"},
    {CLI_STRING, 0, "class-weights", "WEIGHTS", &class_weights,
     "Weights in the loss: none, balanced (by the train split), plasticc (balanced times that challenge's weights), or a "
     "number for each class, 1,2.5,…; of a multi-label task the weights of an output's positives."},
    {CLI_STRING, 0, "metric-weights", "WEIGHTS", &metric_weights,
     "Weights of the classes in the metric weighted_log_loss, which then selects: none, plasticc, or a number for each."},
    {CLI_STRING, 0, "metric", "NAME", &metric,
     "The metric that selects the best epoch; by default accuracy, r2, auroc (multi-label) or rmse (tree)."},
    {CLI_STRING, 0, "tree", "NAME|FILE", &tree_name,
     "The tree of questions of task tree: galaxy-zoo, or a file with lines such as \"question Edge after disk: edge-on "
     "face-on\" (see src/data/tree.h)."},
    {CLI_CHOICE, 0, "tree-normalise", "as-is|softmax|relu", &tree_normalise,
     "How outputs become shares of a question's answers: as the tree says; relu divides by the sum of what is above 0."},
    {CLI_DOUBLE, 0, "tree-tolerance", "F", &tree_tolerance,
     "How far the fractions of a question's answers may be from what they should add up to.", 0, 1},
    {CLI_HEADING, 0, "Splits, made in this order"},
    {CLI_DOUBLE, 0, "test", "F", &test, "Fraction for test, if the source has no test set of its own.", 0, 0.99},
    {CLI_DOUBLE, 0, "valid", "F", &valid, "Fraction of what is left for validation.", 0, 0.99},
    {CLI_DOUBLE, 0, "alpha", "F", &alpha,
     "Fraction of what is left for the alpha split, on which a search fits its "
     "architecture weights; the rest is train.",
     0, 0.99},
    {CLI_CHOICE, 0, "split-by", "auto|fraction|group|file|column", &split_by,
     "What is split: single samples, by fraction; whole groups of samples (a clip, an object, a speaker) as the format "
     "knows them; whole source files; or as a column of the source says, what it does not name being carved out of its "
     "train samples. auto: column, group or fraction, the first that the source has data for."},
    {CLI_FLAG, 0, "group-copies", 0, &group_copies,
     "Keep copies of a sample on one side: exact ones, and mirrored ones where a flip below is declared or the format "
     "knows its symmetries."},
    {CLI_FLAG, 0, "forbid-leaks", 0, &forbid_leaks,
     "Fail if a sample, a copy of it or another sample of its group is in two splits. They are counted in any case; "
     "nas-stats shows it."},
    {CLI_CHOICE, 0, "balance", "none|cut|repeat", &balance,
     "Make the classes of the train split equally frequent: cut all to the smallest, or repeat samples up to the largest. "
     "The other splits stay as they are."},
    {CLI_HEADING, 0, "Augmentation that keeps the meaning of a sample, for training to use"},
    {CLI_FLAG, 0, "flip-horizontal", 0, &flip_horizontal, "Left and right may be swapped."},
    {CLI_FLAG, 0, "flip-vertical", 0, &flip_vertical, "Top and bottom may be swapped."},
    {CLI_INT, 0, "crop-padding", "N", &crop_padding, "Random crops after padding by N pixels.", 0, DATASET_MAX_SIDE},
    {CLI_INT, 0, "cutout", "N", &cutout, "A random square of NxN pixels may be blanked.", 0, DATASET_MAX_SIDE},
    {.kind = CLI_TABLE, .to = (void *)cli_common_options},
    {.kind = CLI_END},
};

static const char *format_names(Arena *perm)
{
    Text t = {0};
    for (int64_t i = 0; i < reader_count; i++) text_addf(perm, &t, "%s%s", i ? ", " : "", reader_table[i].name);
    return t.s;
}

/* A name and the first sentence of its help. */
static void print_formats(void)
{
    for (int64_t i = 0; i < reader_count; i++) {
        const char *help = reader_table[i].help, *end = strstr(help, ". ");
        printf("%-12s %.*s\n", reader_table[i].name, end ? (int)(end - help) : (int)strlen(help), help);
    }
}

static const DataReader *choose_reader(Arena *perm, char ***sources)
{
    char **s = *sources;
    const DataReader *reader = s[0] ? reader_find(s[0]) : 0;
    struct stat st;
    if (reader && !(!stat(s[0], &st) && S_ISREG(st.st_mode))) { /* a file of that name is a source */
        ++*sources;
        return reader;
    }
    if (!s[0]) cli_die(EXIT_USAGE, "a format or a source is needed; see --help");
    const char *why = 0;
    reader = reader_probe(s[0], &why);
    if (!reader) cli_die(EXIT_FAILED, "%s: %s; formats: %s", s[0], why, format_names(perm));
    return reader;
}

/* The formats' own help after ours. */
static const char *details(Arena *perm)
{
    Text t = {0};
    text_add(
        perm, &t,
        "Reads raw data and writes a dataset stream: DatasetInfo, then Samples. Every random choice depends on --seed "
        "alone; the stream records the choices and, for every sample, its position in the source.\n\n"
        "FORMAT may be left out, and is left out where a file has that name: it is then found from the content of the first "
        "SOURCE.\n\nFormats:\n");
    for (int64_t i = 0; i < reader_count; i++)
        text_addf(perm, &t, "\n%s: %s\n", reader_table[i].name, reader_table[i].help);
    text_add(perm, &t,
             "\nExamples:\n\n"
             "  nas-ingest idx /usr/share/datasets/fashion-mnist -o fashion.nas\n"
             "  nas-ingest synthetic --option kind=dil5 --option n=4000 -o dil5.nas\n");
    return t.s;
}

/* The text of the tree that --tree names, or "". */
static const char *read_tree(Arena *perm)
{
    enum { LONGEST = 1 << 20 };
    if (!*tree_name) return "";
    const char *text = tree_named(tree_name);
    if (!text) {
        FILE *f = fopen(tree_name, "r");
        char *s = NEW(perm, char, LONGEST + 1);
        if (!f)
            cli_die(EXIT_FAILED, "--tree %s: %s, and none of the trees that are built in: %s", tree_name,
                    strerror(errno), tree_names(perm));
        size_t n = fread(s, 1, LONGEST, f);
        bool failed = ferror(f);
        fclose(f);
        if (failed || strlen(s) != n) cli_die(EXIT_FAILED, "--tree %s: not a text file", tree_name);
        text = s;
    }
    if (strcmp(tree_normalise, "as-is")) text = arena_printf(perm, "%s\nnormalise %s\n", text, tree_normalise);
    return text;
}

/* All that the task needs beside the samples, and whether their targets are such. */
static void prepare_task(Arena *perm, Dataset *d, const char *tree, const char *source)
{
    DatasetInfo *i = &d->info;
    const char *why = 0;
    if (!i->tree) i->tree = "";
    if (*tree && !*i->tree) why = task_take_tree(perm, i, tree);
    if (why) cli_die(EXIT_FAILED, "%s: %s", *tree_name ? tree_name : source, why);
    if (!*i->tree && task_find(i->task)->loss == LOSS_TREE)
        cli_die(EXIT_USAGE, "--task tree: the tree of questions is missing: --tree NAME or FILE");
    for (int s = 0; s < SPLIT_COUNT; s++) {
        const SplitData *split = &d->split[s];
        int64_t row, bad;
        why = task_check_targets(perm, i, split->targets, split->count, tree_tolerance, &row, &bad);
        if (!why) continue;
        cli_die(EXIT_FAILED, "%s: sample %lld %s (%lld of %lld samples)%s", source,
                (long long)(split->ids ? split->ids[row] : row), why, (long long)bad, (long long)split->count,
                *i->tree ? "; --tree-tolerance allows for more" : "");
    }
}

static const char *shape(Arena *perm, const DatasetInfo *i)
{
    return arena_printf(perm, "%lldx%lldx%lld", (long long)i->channels, (long long)i->height, (long long)i->width);
}

/* Counts what one split knows of another, and records it; returns what to say, or 0 if there is nothing. */
static const char *look_for_leaks(Arena *perm, Arena scratch, Dataset *d, const char *source)
{
    Leaks leaks;
    const char *why = leak_check(perm, scratch, d, &leaks);
    if (why) cli_die(EXIT_FAILED, "%s: %s", source, why);
    const char *found = leak_text(perm, &leaks);
    if (leaks.total && forbid_leaks)
        cli_die(EXIT_FAILED, "%s: samples that an earlier split holds, too: %s", source, found);
    dataset_setting(perm, &d->info, "leaks", "%s", found);
    return leaks.total ? found : 0;
}

/* --crop, --resize and --pad as steps; wrong ones end the program. */
static const char *shape_steps(Arena *perm)
{
    const struct {
        const char *kind, *size;
    } step[] = {{"crop", crop}, {"resize", resize}, {"pad", pad}};
    Text t = {0};
    text_add(perm, &t, reshape);
    for (int i = 0; i < COUNTOF(step); i++) {
        if (!*step[i].size) continue;
        if (*reshape) cli_die(EXIT_USAGE, "--reshape and --%s: one of them expected", step[i].kind);
        text_addf(perm, &t, "%s%s:%s", t.length ? "," : "", step[i].kind, step[i].size);
    }
    RasterPlan plan;
    const char *why = raster_plan(perm, t.s, &plan);
    if (why) cli_die(EXIT_USAGE, "%s", why);
    return t.s;
}

static int choice(const char *word, const char *const *words)
{
    int i = 0;
    while (strcmp(words[i], word)) i++;
    return i;
}

/* All that is decided about samples: task, normalisation, splits, balance, weights; returns what leaks to tell of, or 0. */
static const char *prepare_samples(Arena *perm, Arena scratch, Dataset *d, const IngestSpec *spec, const char *source)
{
    prepare_task(perm, d, spec->tree, source);
    static const char *const balances[] = {"none", "cut", "repeat"};
    static const char *const normalises[] = {"channel", "global", "sample", "none"};
    const char *why = prepare_normalise(perm, d, (Normalise)choice(normalize, normalises));
    if (!why) why = split_assign(perm, scratch, d, spec);
    const char *leaks = why ? 0 : look_for_leaks(perm, scratch, d, source);
    if (!why) why = prepare_balance(perm, scratch, d, (Balance)choice(balance, balances));
    if (!why) why = prepare_missing(perm, scratch, d);
    d->info.metric = metric;
    if (!why) why = weights_assign(perm, d, class_weights, metric_weights);
    if (!why) why = task_check(perm, &d->info);
    if (why) cli_die(EXIT_FAILED, "%s: %s", source, why);
    return leaks;
}

/* The same of structural problems. */
static void prepare_problems(Arena *perm, Dataset *d, const IngestSpec *spec, const char *source)
{
    if (!d->split[SPLIT_TRAIN].problems)
        cli_die(EXIT_USAGE, "--task simulation: %s has no problems to simulate; format structural has", source);
    if (flip_horizontal || flip_vertical || crop_padding || cutout || *metric || strcmp(class_weights, "none") ||
        strcmp(metric_weights, "none") || strcmp(balance, "none") || strcmp(normalize, "channel"))
        cli_die(EXIT_USAGE,
                "structural problems have no samples: augmentation, weights, metric, balance and normalisation "
                "do not apply");
    const char *why = problems_split(perm, d, spec);
    if (why) cli_die(EXIT_FAILED, "%s: %s", source, why);
}

/* Names what --skip-bad has left out. */
static void name_left_out(const LeftOut *l)
{
    for (int64_t i = 0; i < l->count && i < COUNTOF(l->why); i++) cli_warn("left out: %s", l->why[i]);
    if (l->count > COUNTOF(l->why)) cli_warn("left out: %lld more", (long long)(l->count - COUNTOF(l->why)));
}

int main(int argc, char **argv)
{
    Arena perm = arena_reserve((ptrdiff_t)1 << 38), scratch = arena_reserve((ptrdiff_t)1 << 36);
    const CliProgram program = {
        "nas-ingest", "make a dataset stream from raw files", "[FORMAT] [SOURCE...]", details(&perm), options, true};
    char **sources = cli_begin(argc, argv, &program);
    if (list_formats) return print_formats(), cli_end();
    cli_refuse_terminal(cli_common.output);
    const DataReader *reader = choose_reader(&perm, &sources);

    IngestSpec spec = {.task = task,
                       .valid_fraction = valid,
                       .alpha_fraction = alpha,
                       .test_fraction = test,
                       .subset = subset,
                       .tree = read_tree(&perm),
                       .split_by = strcmp(split_by, "auto") ? split_by : "",
                       .group_copies = group_copies,
                       .skip_bad = skip_bad,
                       .reshape = shape_steps(&perm),
                       .seed = (uint64_t)cli_common.seed};
    if (*spec.tree && !*spec.task) spec.task = "tree";
    if (format_options.count > COUNTOF(spec.option)) cli_die(EXIT_USAGE, "--option: too many of them");
    for (int i = 0; i < format_options.count; i++) spec.option[spec.option_count++] = format_options.item[i];
    if (*targets) {
        if (spec.option_count == COUNTOF(spec.option)) cli_die(EXIT_USAGE, "--option: too many of them");
        spec.option[spec.option_count++] = arena_printf(&perm, "targets=%s", targets);
    }
    if (*task && !task_find(task)) cli_die(EXIT_USAGE, "--task %s: not a task; %s", task, task_names(&perm));
    int64_t count = 0;
    while (sources[count]) count++;

    Dataset d;
    const char *why = reader->read(&perm, scratch, (const char *const *)sources, count, &spec, &d);
    if (why) cli_die(EXIT_FAILED, "%s", why);
    if (*spec.reshape && !d.shaped)
        cli_die(EXIT_USAGE, "format %s: its samples have one shape: --crop, --resize, --pad and --reshape do not apply",
                reader->name);
    if (*name) d.info.name = name;
    d.info.flip_horizontal = flip_horizontal;
    d.info.flip_vertical = flip_vertical;
    d.info.crop_padding = crop_padding;
    d.info.cutout = cutout;
    const char *source = count ? sources[0] : reader->name;
    const bool problems = problems_are(&d.info);
    const char *leaks = 0;
    if (problems)
        prepare_problems(&perm, &d, &spec, source);
    else
        leaks = prepare_samples(&perm, scratch, &d, &spec, source);
    if ((why = split_missing(&perm, &d))) cli_warn("%s", why);
    dataset_finish(&perm, &d);

    char host[256] = "";
    gethostname(host, sizeof host - 1);
    const char *input = arena_printf(&perm, "%s %016llx", d.info.name, (unsigned long long)d.info.digest);
    const Provenance self = {
        cli_program_name(), cli_version(), cli_command_line(), host, cli_common.seed, (double)time(0), &input, 1};
    Writer *out = writer_open(&perm, cli_common.output, 0, &self);
    cli_guard_file(writer_temporary(out));
    dataset_write(out, scratch, &d);
    if (!writer_finish(out)) cli_die(EXIT_FAILED, "%s", writer_error(out));
    cli_guard_file(0);
    const int64_t *n = d.info.split_count;
    const char *what = problems
                           ? arena_printf(&perm, "problems of up to %lldx%lld elements", (long long)d.info.width,
                                          (long long)d.info.height)
                           : arena_printf(&perm, "%s %s; %lld %s", shape(&perm, &d.info),
                                          d.info.dtype == DTYPE_U8 ? "u8" : "f32", (long long)d.info.outputs,
                                          task_find(d.info.task)->loss == LOSS_CROSS_ENTROPY ? "classes" : "outputs");
    cli_note("%s: train %lld, alpha %lld, validation %lld, test %lld; %s", d.info.name, (long long)n[SPLIT_TRAIN],
             (long long)n[SPLIT_ALPHA], (long long)n[SPLIT_VALID], (long long)n[SPLIT_TEST], what);
    if (d.spilled) cli_note("%s: %s", d.info.name, d.spilled);
    name_left_out(&d.left_out);
    if (leaks) cli_note("%s: samples that an earlier split holds, too: %s", d.info.name, leaks);
    return cli_end();
}
