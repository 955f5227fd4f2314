/* nas-stats: any stream in; out comes what a person or a program wants to know of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "report/report.h"
#include "train/settings.h"

static bool json, records, follow, check, dot, svg, html, verdict, cells, advise, diff;
static int64_t random_cells = 1000;
static const char *tsv = "", *select_kinds = "", *kinds = "", *png = "", *samples = "", *plot = "none", *cell = "both",
                  *note = "";

static const CliOption options[] = {
    {CLI_HEADING, 0, "Records, one after the other"},
    {CLI_FLAG, 0, "json", 0, &json,
     "One JSON object a line: a record with all its fields but samples, weights and predictions; the provenance of a "
     "file follows its records. Values that are not finite are null."},
    {CLI_STRING, 0, "tsv", "KIND", &tsv,
     "Tab-separated rows with a heading, one row a metric where a record has metrics. KIND is search-epoch, "
     "train-epoch, evaluation, transfer, genotype, profile or problem, or cells (the numbers of --cells). The columns only ever "
     "grow at the end."},
    {CLI_FLAG, 0, "records", 0, &records, "One line a record: its number, kind, bytes and what it says."},
    {CLI_FLAG, 'f', "follow", 0, &follow,
     "Print records as they arrive, each at once; as --records if no other form is chosen."},
    {CLI_FLAG, 0, "check", 0, &check, "Read everything and print \"ok: N records\"; exit 3 if a stream is damaged."},
    {CLI_STRING, 0, "select", "KINDS", &select_kinds,
     "Write a stream of the records of these kinds (comma-separated)."},
    {CLI_STRING, 0, "kind", "KINDS", &kinds, "Look at records of these kinds alone (comma-separated)."},
    {CLI_HEADING, 0, "Drawings"},
    {CLI_FLAG, 0, "dot", 0, &dot, "Graphviz source of the cells of each genotype."},
    {CLI_FLAG, 0, "svg", 0, &svg, "The cells as SVG, drawn by Graphviz."},
    {CLI_STRING, 0, "png", "FILE", &png, "The cells as PNG into FILE, drawn by Graphviz."},
    {CLI_CHOICE, 0, "cell", "both|normal|reduce", &cell, "Which cells --dot, --svg and --png draw."},
    {CLI_CHOICE, 0, "plot", "none|curves|alphas|weights|spread|fronts|depth|transfer|designs", &plot,
     "By gnuplot, with -o FILE.svg or FILE.png a picture, else in characters. curves: learning curves; alphas: entropy of "
     "the mixing weights; weights: their quantiles and histograms over epochs; spread: the runs of each contender of "
     "--verdict, with boxes; fronts: metric against parameters and MACs, with the Pareto front; depth: metric by layers "
     "and channels; transfer: a heat map of cells by the dataset that they were trained on; designs: "
     "pictures of designs of structural problems, a row a problem."},
    {CLI_STRING, 0, "samples", "FILE", &samples,
     "Some samples of a dataset as PNG into FILE, the first of every class in a row of their own; series as curves."},
    {CLI_HEADING, 0, "Reports"},
    {CLI_FLAG, 0, "verdict", 0, &verdict,
     "Was searching worth it? Searches beside random cells, published cells and hand-designed nets, over all runs on the "
     "same split: means, spread, cost, tests, a sentence. With -o FILE.nas each comparison becomes a record."},
    {CLI_FLAG, 0, "cells", 0, &cells,
     "What the cells and the mixing weights are like: operations, depth, width, cost, entropy, stability, distances "
     "between cells, each beside random cells of the same space. With --json an object a number; --tsv cells has the "
     "same as a table."},
    {CLI_FLAG, 0, "advise", 0, &advise,
     "What to do next: uniform weights, none or skips that take over, a cell that is not settled, overfitting, leaks, a "
     "search that beats no random cell, and more; what was looked at, and the next command to try. With --json an "
     "object a finding."},
    {CLI_FLAG, 0, "diff", 0, &diff,
     "What differs between two streams, FILE and FILE: records that one alone has, fields that changed, numbers with "
     "their difference, provenance; times, hosts and digests of inputs are not compared. Exit status 1 if there is any. With --json an "
     "object a difference."},
    {CLI_INT, 0, "random-cells", "N", &random_cells, "Random cells to hold the cells against.", 2, 1e6},
    {CLI_INT, 0, "seed", "N", &cli_common.seed, "Seed of the random cells.", 0, 0x1p53},
    {CLI_FLAG, 0, "html", 0, &html, "A page with everything, which needs no other file and no network."},
    {CLI_STRING, 0, "note", "TEXT", &note, "A remark that the summary, --verdict and --html show with what they say."},
    {.kind = CLI_TABLE, .to = (void *)cli_basic_options},
    {.kind = CLI_END},
};

static const char about[] =
    "Reads streams of any program of the family, from files or standard input, and prints a summary of all of them "
    "together: a record that is in several of the files is shown once.\n\n";
static const char examples[] = "\n\nExamples:\n\n"
                               "  nas-stats trained.nas\n\n"
                               "  nas-search data.nas | nas-stats --follow\n\n"
                               "  nas-stats --html -o report.html search.nas random.nas\n\n"
                               "  nas-stats --verdict searches.nas controls.nas\n\n"
                               "  nas-stats --diff one.nas other.nas\n\n"
                               "  nas-stats --cells search.nas\n\n"
                               "  nas-stats --advise search.nas result.nas\n\n"
                               "  nas-stats --tsv cells search.nas | awk -F'\\t' '$5 == \"entropy\"'\n\n"
                               "  nas-stats --tsv train-epoch trained.nas | awk -F'\\t' '$10 == \"validation\"'\n\n"
                               "  nas-stats --select genotype -o cell.nas search.nas";

/* ---- the output: standard output, or a file that appears when it is complete ---- */

static FILE *out;
static const char *target, *temporary; /* the file that is replaced at the end, and what replaces it; or 0 */

static void output_open(Arena *a, const char *path)
{
    struct stat old;
    out = stdout;
    if (!strcmp(path, "-")) return;
    if (stat(path, &old) == 0 && !S_ISREG(old.st_mode)) { /* a device, a pipe: it is not to be replaced */
        out = fopen(path, "w");
    } else {
        char *real = realpath(path, 0); /* a link stays one */
        target = arena_strdup(a, real ? real : path);
        free(real);
        temporary = arena_printf(a, "%s.tmp%ld", target, (long)getpid());
        unlink(temporary); /* left by a process that had our number and was killed */
        int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        out = fd < 0 ? 0 : fdopen(fd, "w");
        if (out) cli_guard_file(temporary);
    }
    if (!out) cli_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
}

static void output_close(const char *path)
{
    if (out == stdout) return; /* cli_end() looks after it */
    bool failed = ferror(out);
    if (fclose(out) || failed || (temporary && rename(temporary, target))) {
        cli_die(EXIT_FAILED, "%s: %s", path, failed ? "write error" : strerror(errno));
    }
    cli_guard_file(0);
}

/* ---- reading ---- */

static uint32_t wanted = UINT32_MAX; /* a bit for each kind */

static uint32_t kind_bit(RecordKind k)
{
    return 1u << (k > REC_LAST ? 31 : k);
}

static uint32_t parse_kinds(const char *list)
{
    uint32_t set = 0;
    for (const char *s = list;; s++) {
        int64_t n = (int64_t)strcspn(s, ",");
        RecordKind k = report_kind(s, n);
        if (k == REC_NONE) {
            cli_die(EXIT_USAGE,
                    "%.*s: no kind of record; there are: dataset samples space search-epoch genotype "
                    "train-epoch network tensor checkpoint evaluation predictions transfer study event "
                    "profile problem unknown",
                    (int)n, s);
        }
        set |= kind_bit(k);
        s += n;
        if (!*s) return set;
    }
}

static Writer *writer; /* --select */

static void show_record(const char *file, const Record *r, Arena scratch)
{
    Text t = {0};
    text_add(&scratch, &t, "");
    if (writer) {
        writer_pass(writer, r);
        return;
    }
    if (json)
        report_json(&scratch, &t, file, r);
    else if (tsv[0])
        report_tsv(&scratch, &t, file, r);
    else if (!check)
        report_line(&scratch, &t, r), text_add(&scratch, &t, "\n");
    fputs(t.s, out);
    if (follow) fflush(out);
}

static void open_writer(Arena *perm, Reader *first, char **files)
{
    int64_t count = 0;
    while (files[count]) count++;
    Provenance self = provenance_self(perm, (const char **)files, count);
    cli_refuse_terminal(cli_common.output);
    writer = writer_open(perm, cli_common.output, first, &self);
    if (writer_temporary(writer)) cli_guard_file(writer_temporary(writer));
}

/* Reads a whole file into the story, or shows its records one by one if there is no story. */
static void read_file(Arena *perm, Arena *kept, const char *path, char **files, Story *story, ContactSheet *sheet)
{
    Reader *in = reader_open(perm, path);
    if (select_kinds[0] && !writer) open_writer(perm, in, files);
    int64_t count = 0, steps;
    for (;; count++) {
        Record r;
        Arena mark = *kept;
        StreamStatus status = reader_next(in, kept, &r);
        if (status == STREAM_END) break;
        if (status == STREAM_ERROR) cli_die_input(reader_damaged(in), reader_error(in));
        bool keep = false;
        if (!(wanted & kind_bit(r.kind)))
            keep = false;
        else if (sheet) {
            const char *why = contact_sheet_add(sheet, &r);
            if (why) cli_die(EXIT_FAILED, "%s: record %lld: %s", reader_name(in), (long long)r.number, why);
        } else if (story)
            keep = story_add(story, reader_name(in), &r);
        else
            show_record(reader_name(in), &r, *kept);
        if (!keep) *kept = mark;
    }
    const Provenance *chain = reader_provenance(in, &steps);
    Arena once = *kept;
    Text t = {0};
    text_add(&once, &t, "");
    if (story)
        story_end_file(story, reader_name(in), chain, steps);
    else if (json && wanted == UINT32_MAX)
        report_json_provenance(&once, &t, reader_name(in), chain, steps);
    if (check && files[1]) text_addf(&once, &t, "%s: ", reader_name(in));
    if (check) text_addf(&once, &t, "ok: %lld record%s\n", (long long)count, count == 1 ? "" : "s");
    fputs(t.s, out);
    reader_close(in);
}

/* Two files beside each other; how many differences were printed. */
static int64_t compare(Arena *perm, Arena once, char **files)
{
    Diff *d = diff_new(perm, files[0], files[1]);
    for (int side = 0; side < 2; side++) {
        Reader *in = reader_open(perm, files[side]);
        Record r;
        StreamStatus status;
        for (;;) {
            Arena a = once;
            if ((status = reader_next(in, &a, &r)) != STREAM_RECORD) break;
            if (wanted & kind_bit(r.kind)) diff_add(d, side, &r);
        }
        if (status == STREAM_ERROR) cli_die_input(reader_damaged(in), reader_error(in));
        int64_t steps;
        const Provenance *chain = reader_provenance(in, &steps);
        if (wanted == UINT32_MAX) diff_provenance(d, side, chain, steps);
        reader_close(in);
    }
    Text t = {0};
    int64_t differences = report_diff(d, &once, json, &t);
    fwrite(t.s, 1, (size_t)t.length, out);
    return differences;
}

/* ---- the whole story ---- */

static const char *plot_format(const char *path)
{
    const char *dot_at = strrchr(path, '.');
    if (!strcmp(path, "-")) return "text";
    if (dot_at && !strcmp(dot_at, ".svg")) return "svg";
    if (dot_at && !strcmp(dot_at, ".png")) return "png";
    cli_die(EXIT_USAGE, "%s: a plot is written to a name that ends in .svg or .png", path);
}

static bool names_stream(const char *path)
{
    const char *dot_at = strrchr(path, '.');
    return dot_at && !strcmp(dot_at, ".nas");
}

static void write_verdict(Arena *perm, const Story *story, Arena scratch, char **files)
{
    int64_t rows;
    StudyRow *row = report_verdict_rows(story, &scratch, &rows);
    if (!rows) cli_die(EXIT_FAILED, "no search with a control beside it on one split");
    open_writer(perm, 0, files);
    for (int64_t i = 0; i < rows; i++) writer_put(writer, &(Record){.kind = REC_STUDY, .study = row[i]});
}

static void tell(const Story *story, Arena scratch)
{
    CellChoice which = !strcmp(cell, "normal") ? CELL_NORMAL : !strcmp(cell, "reduce") ? CELL_REDUCE : CELL_BOTH;
    Text t = {0};
    text_add(&scratch, &t, "");
    const char *why = 0;
    if (verdict)
        why = report_verdict(story, &scratch, &t);
    else if (cells)
        why = report_cellstats(story, &scratch,
                               json     ? "json"
                               : tsv[0] ? "tsv"
                                        : "tables",
                               random_cells, (uint64_t)cli_common.seed, &t);
    else if (advise)
        report_advice(story, &scratch, json, &t);
    else if (html)
        report_html(story, &scratch, &t);
    else if (dot)
        why = report_dot(story, &scratch, which, &t);
    else if (svg)
        why = report_cells(story, &scratch, which, "svg", &t);
    else if (png[0])
        why = report_cells(story, &scratch, which, "png", &t);
    else if (strcmp(plot, "none"))
        why = report_plot(story, &scratch, plot, plot_format(cli_common.output), &t);
    else
        report_summary(story, &scratch, &t);
    if (why) cli_die(EXIT_FAILED, "%s", why);
    fwrite(t.s, 1, (size_t)t.length, out);
}

int main(int argc, char **argv)
{
    static char *standard_input[] = {"-", 0};
    Arena perm = arena_reserve((ptrdiff_t)1 << 34), kept = arena_reserve((ptrdiff_t)1 << 36);
    const CliProgram program = {
        .name = "nas-stats",
        .summary = "look into streams: summary, tables, drawings, report",
        .usage = "[FILE...]",
        .details = arena_printf(&perm, "%s%s%s", about, report_cellstats_help(&perm), examples),
        .options = options,
        .reads_stdin = true,
    };
    char **files = cli_begin(argc, argv, &program);
    if (!files[0]) files = standard_input;
    if (!strcmp(tsv, "cells")) cells = true;
    bool whole = cells || advise || diff; /* --json is a form of these reports */
    bool plotting = strcmp(plot, "none"), selecting = select_kinds[0];
    int forms = (whole ? json && tsv[0] : json + !!tsv[0]) + records + check + selecting + dot + svg + !!png[0] +
                !!samples[0] + plotting + html + verdict + cells + advise + diff;
    bool one_by_one = !whole && (json || tsv[0] || records || check || selecting || (follow && !forms));
    if (forms > 1)
        cli_die(EXIT_USAGE, "only one of --json --tsv --records --check --select --dot --svg --png --samples --plot "
                            "--verdict --cells --advise --diff --html can be given");
    if (diff && (!files[0] || !files[1] || files[2] || !strcmp(files[0], files[1])))
        cli_die(EXIT_USAGE, "--diff compares two files, FILE FILE");
    if (follow && !one_by_one) cli_die(EXIT_USAGE, "--follow goes with --records, --json or --tsv");
    if (!png[0]) png = samples; /* where a picture goes */
    if (png[0] && strcmp(cli_common.output, "-"))
        cli_die(EXIT_USAGE, "--%s names its file: leave out -o", samples[0] ? "samples" : "png");
    if (kinds[0]) wanted = parse_kinds(kinds);
    if (selecting) wanted = parse_kinds(select_kinds);
    if (whole && tsv[0] && (!cells || strcmp(tsv, "cells")))
        cli_die(EXIT_USAGE, "--tsv %s: --cells has the table cells, --advise and --diff none", tsv);
    if (tsv[0] && !whole) wanted = parse_kinds(tsv);
    const char *columns = tsv[0] && !whole ? report_tsv_columns(report_kind(tsv, (int64_t)strlen(tsv))) : 0;
    if (tsv[0] && !whole && !columns) cli_die(EXIT_USAGE, "%s: there is no table of this kind; see --help", tsv);
    if (plotting) plot_format(cli_common.output); /* before any work */

    const char *output = png[0] ? png : cli_common.output;
    if (png[0]) cli_refuse_terminal(png);
    bool stream = selecting || (verdict && names_stream(output));
    output_open(&perm, stream ? "-" : output);
    if (columns) fprintf(out, "%s\n", columns);
    ContactSheet *sheet = samples[0] ? contact_sheet_new(&perm) : 0;
    Story *story = one_by_one || sheet || diff ? 0 : story_new(&perm);
    if (story) story->keep_designs = !strcmp(plot, "designs");
    int64_t differences = 0;
    if (diff)
        differences = compare(&perm, kept, files);
    else
        for (char **f = files; *f; f++) read_file(&perm, &kept, *f, files, story, sheet);
    if (sheet) {
        Text picture = {0};
        const char *why = contact_sheet_png(sheet, &kept, &picture);
        if (why) cli_die(EXIT_FAILED, "%s: %s", files[0], why);
        fwrite(picture.s, 1, (size_t)picture.length, out);
        cli_note("%s", contact_sheet_legend(sheet, &kept));
    }
    if (story) {
        story_finish(story);
        if (note[0]) story->note = note;
        if (verdict && names_stream(output))
            write_verdict(&perm, story, kept, files);
        else
            tell(story, kept);
    }
    if (writer) {
        if (!writer_finish(writer)) cli_die(EXIT_FAILED, "%s", writer_error(writer));
        cli_guard_file(0);
    }
    output_close(stream ? "-" : output);
    int status = cli_end();
    return status ? status : differences ? EXIT_FAILED : EXIT_OK;
}
