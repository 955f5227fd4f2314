/* csv_rows: format csv, a sample for each row of a text table.
 *
 * Columns are targets, features, a group, a split, or ignored; they are named as the heading does, or numbered from 1, and
 * FROM-TO is a range of either.  A first row without a number is a heading.  Without --targets the target is the column
 * called target, label, class or y.  The features of a row, in the order of the columns, are its (C, H, W) values.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/intake.h"
#include "data/readers/delimited.h"
#include "data/readers/formats.h"
#include "data/split.h"
#include "data/task.h"

enum { MAX_SHAPE = 3, NAME_SHOWN = 40 };
typedef enum { USE_OPEN, USE_FEATURE, USE_TARGET, USE_GROUP, USE_SPLIT, USE_NONE } Use;

typedef struct {
    const IngestSpec *spec;
    const Task *task; /* 0: found from the first row */
    bool guessed;     /* it was found so */
    char delimiter;
    const char *header; /* "yes", "no", "auto" */
    bool mean_missing, bytes;
    int64_t shape[MAX_SHAPE]; /* C, H, W; [0] = 0: (1, 1, features) */
    int64_t columns, features, targets;
    const char **name; /* of the columns, or 0 */
    uint8_t *use;      /* (columns) */
    int64_t *order;    /* (targets) columns, in the order of --targets */
    int64_t ids;
} Table;

/* ---- options ---- */

static const char *parse_shape(Arena *perm, const char *text, Table *t)
{
    char *end = (char *)text;
    int n = 0;
    for (; n < MAX_SHAPE; n++) {
        long long v = *end >= '1' && *end <= '9' ? strtoll(end, &end, 10) : 0;
        if (v < 1 || v > DATASET_MAX_SIDE) break;
        t->shape[n] = v;
        if (*end != 'x') {
            n++;
            break;
        }
        end++;
    }
    if (*end || end[-1] == 'x' || n < 1) return arena_printf(perm, "option shape=%s: CxHxW, HxW or W expected", text);
    for (int k = MAX_SHAPE - 1; k >= 0; k--) t->shape[k] = k - (MAX_SHAPE - n) >= 0 ? t->shape[k - (MAX_SHAPE - n)] : 1;
    return 0;
}

static const char *take_options(Arena *perm, const IngestSpec *spec, Table *t)
{
    static const struct {
        const char *word;
        char delimiter;
    } word[] = {
        {"comma", ','}, {"semicolon", ';'}, {"tab", '\t'}, {"blank", DELIMITED_BLANKS}, {"auto", DELIMITED_FOUND}};
    const char *delimiter = reader_option(spec, "delimiter"), *shape = reader_option(spec, "shape");
    const char *missing = reader_option(spec, "missing"), *type = reader_option(spec, "type"), *why = 0;
    *t = (Table){.spec = spec, .header = reader_option(spec, "header")};
    why = reader_option_check(perm, spec, "csv",
                              "targets features ignore group split test header delimiter shape missing type names");
    if (why) return why;
    if (!t->header) t->header = "auto";
    if (strcmp(t->header, "yes") && strcmp(t->header, "no") && strcmp(t->header, "auto"))
        return arena_printf(perm, "option header=%s: yes, no or auto expected", t->header);
    if (delimiter && strlen(delimiter) == 1) t->delimiter = *delimiter;
    bool known = !delimiter || t->delimiter;
    for (int i = 0; i < COUNTOF(word) && !known; i++)
        if ((known = !strcmp(word[i].word, delimiter))) t->delimiter = word[i].delimiter;
    if (!known || t->delimiter == '\n' || t->delimiter == '"')
        return arena_printf(perm, "option delimiter=%s: comma, semicolon, tab, blank or one character expected",
                            delimiter);
    if (missing && strcmp(missing, "error") && strcmp(missing, "mean"))
        return arena_printf(perm, "option missing=%s: error or mean expected", missing);
    t->mean_missing = missing && !strcmp(missing, "mean");
    if (type && strcmp(type, "f32") && strcmp(type, "u8"))
        return arena_printf(perm, "option type=%s: f32 or u8 expected", type);
    t->bytes = type && !strcmp(type, "u8");
    if (t->bytes && t->mean_missing) return "option missing=mean: it goes with type=f32";
    if (*spec->task && !(t->task = task_find(spec->task)))
        return arena_printf(perm, "csv: unknown task \"%s\"", spec->task);
    return shape ? parse_shape(perm, shape, t) : 0;
}

/* ---- columns ---- */

/* A column by its name, or its number from 1, or -1. */
static int64_t find_column(const Table *t, const char *text, int64_t n)
{
    for (int64_t c = 0; t->name && c < t->columns; c++)
        if ((int64_t)strlen(t->name[c]) == n && !strncmp(t->name[c], text, (size_t)n)) return c;
    char *end;
    const long long number = n && *text >= '1' && *text <= '9' ? strtoll(text, &end, 10) : 0;
    return number && end == text + n && number <= t->columns ? number - 1 : -1;
}

/* Gives a use to the columns of an option: names, numbers and ranges. */
static const char *use_columns(Arena *perm, const char *path, Table *t, const char *option, Use use)
{
    const char *text = reader_option(t->spec, option);
    for (const char *s = text; s && *s;) {
        const int64_t n = (int64_t)strcspn(s, ",");
        int64_t from = find_column(t, s, n), to = from;
        for (int64_t i = 1; from < 0 && i < n - 1; i++) { /* a range; a name may hold the sign, too */
            if (s[i] != '-') continue;
            from = find_column(t, s, i);
            to = find_column(t, s + i + 1, n - i - 1);
            if (from < 0 || to < 0) from = -1;
        }
        if (from < 0 || to < from)
            return arena_printf(perm, "%s: option %s: no column \"%.*s\"; there are %lld%s", path, option,
                                n < NAME_SHOWN ? (int)n : NAME_SHOWN, s, (long long)t->columns,
                                t->name ? "" : ", without names");
        for (int64_t c = from; c <= to; c++) {
            if (t->use[c] != USE_OPEN && t->use[c] != use)
                return arena_printf(perm, "%s: option %s: column %lld has another use already", path, option,
                                    (long long)c + 1);
            if (use == USE_TARGET && t->use[c] != use) t->order[t->targets++] = c;
            t->use[c] = (uint8_t)use;
        }
        s += n + (s[n] == ',');
    }
    return 0;
}

static const char *assign_columns(Arena *perm, const char *path, Table *t)
{
    t->use = NEW(perm, uint8_t, t->columns);
    t->order = NEW(perm, int64_t, t->columns);
    const char *why = use_columns(perm, path, t, "targets", USE_TARGET);
    if (!why) why = use_columns(perm, path, t, "group", USE_GROUP);
    if (!why) why = use_columns(perm, path, t, "split", USE_SPLIT);
    if (!why) why = use_columns(perm, path, t, "ignore", USE_NONE);
    if (!why) why = use_columns(perm, path, t, "features", USE_FEATURE);
    if (why) return why;
    static const char *const usual[] = {"target", "label", "class", "y"};
    for (int i = 0; i < COUNTOF(usual); i++)
        for (int64_t c = 0; t->name && !t->targets && c < t->columns; c++)
            if (t->use[c] == USE_OPEN && !strcasecmp(t->name[c], usual[i])) {
                t->use[c] = USE_TARGET;
                t->order[t->targets++] = c;
            }
    if (!t->targets)
        return arena_printf(
            perm, "%s: line 1: which of the %lld columns is the target? --targets tells it, by name or number", path,
            (long long)t->columns);
    const bool named = reader_option(t->spec, "features");
    for (int64_t c = 0; c < t->columns; c++) {
        if (t->use[c] == USE_OPEN) t->use[c] = named ? USE_NONE : USE_FEATURE;
        t->features += t->use[c] == USE_FEATURE;
    }
    if (!t->features) return arena_printf(perm, "%s: line 1: no column is left for features", path);
    if (!t->shape[0]) t->shape[0] = t->shape[1] = 1, t->shape[2] = t->features;
    const int64_t values = size_mul(size_mul(t->shape[0], t->shape[1]), t->shape[2]);
    if (values != t->features)
        return arena_printf(perm, "%s: %lld feature columns, but option shape has %lld values", path,
                            (long long)t->features, (long long)values);
    why = dataset_check_shape(perm, t->shape[0], t->shape[1], t->shape[2], t->bytes ? DTYPE_U8 : DTYPE_F32);
    return why ? arena_printf(perm, "%s: %s", path, why) : 0;
}

/* ---- rows ---- */

static bool is_heading(const Table *t, const Delimited *d)
{
    if (strcmp(t->header, "auto")) return !strcmp(t->header, "yes");
    double v;
    for (int64_t i = 0; i < d->fields; i++)
        if (real_parse(d->field[i], &v) == REAL_NUMBER) return false;
    return true;
}

/* The heading of the first file, if it has one, and the row below it, which d holds then: what every column is for. False:
 * d->why. */
static bool begin_table(Arena *perm, Delimited *d, Table *t)
{
    if (!delimited_next(d)) return delimited_fail(d, "the file is empty"), false;
    t->columns = d->fields;
    if (is_heading(t, d)) {
        t->name = NEW(perm, const char *, t->columns);
        for (int64_t i = 0; i < t->columns; i++) t->name[i] = arena_strdup(perm, d->field[i]);
        if (!delimited_next(d)) return delimited_fail(d, "no row below the heading"), false;
    }
    d->why = assign_columns(perm, d->path, t);
    if (d->why || t->task) return !d->why;
    double v; /* the first target tells the task: a word or a whole number is a class */
    const char *first = t->order[0] < d->fields ? d->field[t->order[0]] : "";
    const bool class =
        t->targets == 1 && (real_parse(first, &v) != REAL_NUMBER || (v == floor(v) && !strchr(first, '.')));
    t->task = task_find(class ? "classification" : "regression");
    t->guessed = true;
    return true;
}

static const char *column_text(Arena *a, const Table *t, int64_t c)
{
    return t->name ? arena_printf(a, "column %.*s", NAME_SHOWN, t->name[c])
                   : arena_printf(a, "column %lld", (long long)c + 1);
}

/* One row as a sample; returns why it is bad, or 0. *fatal: that is no matter of one sample. */
static const char *take_row(Arena *a, const Delimited *d, const Table *t, Intake *in, float *x, float *y, bool *fatal)
{
    const bool classes = t->task->loss == LOSS_CROSS_ENTROPY;
    int64_t at = 0;
    if (d->fields != t->columns)
        return arena_printf(a, "%lld fields, %lld expected", (long long)d->fields, (long long)t->columns);
    for (int64_t c = 0; c < t->columns; c++) {
        double v;
        if (t->use[c] != USE_FEATURE) continue;
        const RealKind kind = real_parse(d->field[c], &v);
        if (kind == REAL_NONE)
            return arena_printf(a, "%s is \"%.*s\": a number expected (option ignore leaves a column out)",
                                column_text(a, t, c), NAME_SHOWN, d->field[c]);
        if (kind == REAL_MISSING && !t->mean_missing)
            return arena_printf(a, "%s is missing (option missing=mean fills it)", column_text(a, t, c));
        if (t->bytes && !(v >= 0 && v <= 255 && v == floor(v)))
            return arena_printf(a, "%s is %g: a whole number from 0 to 255 expected", column_text(a, t, c), v);
        x[at++] = (float)v;
    }
    for (int64_t k = 0; k < t->targets; k++) {
        const char *text = d->field[t->order[k]], *name = column_text(a, t, t->order[k]);
        double v;
        const RealKind kind = real_parse(text, &v);
        if (kind == REAL_MISSING) return arena_printf(a, "target %s is missing", name);
        if (!classes && kind != REAL_NUMBER)
            return arena_printf(a, "target %s is \"%.*s\": a number expected", name, NAME_SHOWN, text);
        if (classes && t->guessed && kind == REAL_NUMBER && v != floor(v)) {
            *fatal = true;
            return arena_printf(a, "target %s is %s after whole numbers: --task classification or regression?", name,
                                text);
        }
        const int64_t class = classes ? intake_class(in, text) : 0;
        if (class < 0) {
            *fatal = true;
            return "too many classes";
        }
        y[k] = classes ? (float)class : (float)v;
    }
    return 0;
}

/* All rows of one file. */
static const char *put_rows(Arena *perm, Arena scratch, const char *path, int64_t file, bool apart, Table *t,
                            Intake *in, Dataset *out)
{
    Delimited d;
    bool waiting = false; /* is a row */
    if (delimited_open(perm, &scratch, path, t->delimiter, &d) && !t->columns && begin_table(perm, &d, t)) {
        waiting = true;
        if (t->targets > 1 && t->task->loss == LOSS_CROSS_ENTROPY)
            d.why = arena_printf(perm, "%s: %lld target columns: a class is one", path, (long long)t->targets);
        out->target_width = t->targets;
        if (!d.why) d.why = intake_open(perm, t->spec, out, 0, in);
        in->missing_allowed = t->mean_missing;
    }
    const int64_t values = t->features;
    float *x = NEW(&scratch, float, values + 1), *y = NEW(&scratch, float, t->targets + 1);
    uint8_t *bytes = NEW(&scratch, uint8_t, values + 1);
    for (bool first = true; !d.why && (waiting || delimited_next(&d)); first = false, waiting = false) {
        Arena once = scratch;
        if (first && !waiting && is_heading(t, &d)) continue; /* of a later file */
        bool fatal = false;
        const char *why = take_row(&once, &d, t, in, x, y, &fatal);
        if (why) {
            why = arena_printf(perm, "%s: line %lld: %s", d.path, (long long)d.line, why);
            d.why = fatal ? why : intake_bad(in, why);
            continue;
        }
        for (int64_t k = 0; t->bytes && k < values; k++) bytes[k] = (uint8_t)x[k];
        Sample s = {.where = arena_printf(&once, "%s: line %lld", d.path, (long long)d.line),
                    .raster = {t->shape[0], t->shape[1], t->shape[2], t->bytes ? DTYPE_U8 : DTYPE_F32,
                               t->bytes ? (const void *)bytes : x},
                    .targets = y,
                    .id = t->ids++,
                    .group = -1,
                    .file = file,
                    .named = -1,
                    .apart = apart};
        for (int64_t c = 0; c < t->columns; c++) {
            if (t->use[c] == USE_GROUP) /* several columns are one group together */
                s.group = (int64_t)(dataset_hash((uint64_t)s.group, d.field[c], (int64_t)strlen(d.field[c])) >> 2);
            if (t->use[c] != USE_SPLIT) continue;
            s.named = split_find(d.field[c], (int64_t)strlen(d.field[c]));
            if (s.named < 0)
                d.why = arena_printf(perm, "%s: line %lld: \"%.*s\" is no split", d.path, (long long)d.line, NAME_SHOWN,
                                     d.field[c]);
        }
        if (!d.why) d.why = intake_put(in, once, &s);
    }
    delimited_close(&d);
    return d.why;
}

const char *csv_rows_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                          Dataset *out)
{
    *out = (Dataset){0};
    Table t;
    Intake in = {0};
    const char *why = take_options(perm, spec, &t), *test = reader_option(spec, "test");
    if (!why && n < 1) why = "csv: a file expected (- is standard input)";
    for (int64_t i = 0; i < n && !why; i++) why = put_rows(perm, scratch, sources[i], i, false, &t, &in, out);
    for (int64_t i = n; test && *test && !why; i++) {
        const int64_t length = (int64_t)strcspn(test, ",");
        why = put_rows(perm, scratch, arena_strndup(perm, test, length), i, true, &t, &in, out);
        test += length + (test[length] == ',');
    }
    if (!why) why = intake_close(&in, sources[0]);
    if (why) return why;

    DatasetInfo *info = &out->info;
    const bool classes = t.task->loss == LOSS_CROSS_ENTROPY;
    if (!classes) {
        info->outputs = t.targets;
        info->output_names = t.name ? NEW(perm, const char *, t.targets) : 0;
        for (int64_t k = 0; t.name && k < t.targets; k++) info->output_names[k] = t.name[t.order[k]];
    }
    info->task = t.task->name;
    info->name = strcmp(sources[0], "-") ? reader_source_name(perm, sources[0], "csv") : "csv";
    Text source = {0};
    text_add(perm, &source, "csv");
    for (int64_t i = 0; i < n && i < 8; i++) text_addf(perm, &source, " %s", sources[i]);
    info->source = source.s;
    Text targets = {0};
    for (int64_t k = 0; k < t.targets && k < 8; k++) {
        text_add(perm, &targets, k ? ", " : "");
        text_add(perm, &targets, column_text(perm, &t, t.order[k]));
    }
    dataset_setting(perm, info, "targets", "%s%s", targets.s, t.targets > 8 ? ", …" : "");
    return reader_name_outputs(perm, spec, info);
}

/* A table by its ending, or text with as many delimiters in its first lines. */
int csv_rows_probe(const char *path, const unsigned char *head, int64_t head_bytes)
{
    static const char *const ending[] = {".csv", ".tsv", ".csv.gz", ".tsv.gz"};
    if (!head_bytes) return 0;
    const size_t length = strlen(path);
    for (int i = 0; i < COUNTOF(ending); i++)
        if (length > strlen(ending[i]) && !strcasecmp(path + length - strlen(ending[i]), ending[i])) return 60;
    int64_t first = 0, count = 0, lines = 0;
    for (int64_t i = 0; i < head_bytes; i++) {
        if (!head[i] || (head[i] < 32 && !strchr("\t\r\n", head[i]))) return 0;
        count += head[i] == ',' || head[i] == ';' || head[i] == '\t';
        if (head[i] != '\n') continue;
        if (!lines++) first = count;
        if (!first || count != first) return 0;
        count = 0;
    }
    return lines >= 2 ? 52 : 0;
}
