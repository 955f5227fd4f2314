/* ucr: time series of the UCR and UEA archives, as (dimensions, 1, length).
 *
 *   text   a series a line, its class first, then its values, between tabs, commas or blanks: NAME_TRAIN and NAME_TEST,
 *          with the ending .tsv, .txt, .csv or none (Dau et al. 2019, "The UCR time series archive")
 *   .ts    tags that begin with @, then @data; a series a line, dimensions between colons, values between commas, the
 *          class or (@targetlabel true) the target behind the last colon; ? and NaN are missing (aeon and sktime)
 *
 * Series of other lengths than the first are bad, unless option length= pads them with zeros or cuts them, at the end.  The
 * text files of 2018 pad short series with NaN, which then counts as their end.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "data/intake.h"
#include "data/readers/delimited.h"
#include "data/readers/formats.h"
#include "data/task.h"

typedef enum { MISSING_ERROR, MISSING_MEAN, MISSING_ZERO, MISSING_INTERPOLATE, MISSINGS } Missing;
static const char *const missing_name[MISSINGS] = {"error", "mean", "zero", "interpolate"};

typedef struct {
    const IngestSpec *spec;
    const Task *task; /* 0 until the first file tells it */
    Missing missing;
    bool longest;
    int64_t dimensions, length; /* of a sample; 0: those of the first */
    bool length_given;
} Form;

typedef struct { /* the file at hand */
    Delimited d;
    bool ts, target_label;
} Series;

static const char *take_options(Arena *perm, const IngestSpec *spec, Form *f)
{
    const char *length = reader_option(spec, "length"), *missing = reader_option(spec, "missing");
    *f = (Form){.spec = spec};
    const char *why = reader_option_check(perm, spec, "ucr", "length missing names");
    if (why) return why;
    f->longest = length && !strcmp(length, "longest");
    f->length_given = length;
    if (!f->longest && (why = reader_option_int(perm, spec, "length", 1, DATASET_MAX_SIDE, &f->length)))
        return arena_printf(perm, "%s, or longest", why);
    while (missing && f->missing < MISSINGS && strcmp(missing_name[f->missing], missing)) f->missing++;
    if (f->missing == MISSINGS)
        return arena_printf(perm, "option missing=%s: error, mean, zero or interpolate expected", missing);
    if (*spec->task && !(f->task = task_find(spec->task)))
        return arena_printf(perm, "ucr: unknown task \"%s\"", spec->task);
    return 0;
}

/* ---- lines ---- */

static bool is_true(const char *text)
{
    text += strspn(text, " \t");
    return !strncasecmp(text, "true", 4);
}

/* Reads the tags before the data, if the file has such; d then holds the first line of data. */
static bool begin_series(Series *s)
{
    bool class_label = false;
    while (delimited_next(&s->d)) {
        const char *line = s->d.field[0] + strspn(s->d.field[0], " \t");
        if (!*line || *line == '#' || *line == '%') continue;
        if (*line != '@') {
            if (s->ts) delimited_fail(&s->d, "a tag or @data expected");
            return !s->d.why;
        }
        s->ts = true;
        const size_t n = strcspn(line, " \t:");
        if (n == 5 && !strncasecmp(line, "@data", n)) {
            if (!class_label && !s->target_label)
                delimited_fail(&s->d, "no @classLabel true and no @targetlabel true before: series without labels");
            if (!delimited_next(&s->d)) delimited_fail(&s->d, "no series");
            return !s->d.why;
        }
        if (n == 11 && !strncasecmp(line, "@timestamps", n) && is_true(line + n))
            delimited_fail(&s->d, "@timeStamps true: series with times of their own are not read");
        if (n == 11 && !strncasecmp(line, "@classlabel", n)) class_label = is_true(line + n);
        if (n == 12 && !strncasecmp(line, "@targetlabel", n)) s->target_label = is_true(line + n);
    }
    delimited_fail(&s->d, s->ts ? "no @data" : "the file is empty");
    return false;
}

static bool between(char c, bool ts)
{
    return c == ',' || c == ' ' || (!ts && (c == '\t' || c == ';'));
}

/* The values between text and end into to, which has room for one more than bytes; -1 and *bad: what is no number. */
static int64_t take_values(const char *text, const char *end, bool ts, float *to, const char **bad)
{
    int64_t n = 0;
    for (const char *s = text; s < end;) {
        while (s < end && (*s == ' ' || (!ts && *s == '\t'))) s++;
        const char *begin = s;
        while (s < end && !between(*s, ts)) s++;
        double v;
        if (s == begin && s == end) break;
        if (real_parse_n(begin, s - begin, &v) == REAL_NONE) return *bad = begin, -1;
        to[n++] = (float)v;
        while (s < end && *s == ' ') s++;
        s += s < end && between(*s, ts) && *s != ' ';
    }
    return n;
}

typedef struct {
    float *value;
    int64_t count;
} Dimension;

typedef struct {
    int64_t dimensions, longest;
    Dimension *dimension;
    const char *label;
} Line;

static const char *cut_line(Arena *a, const Series *s, Line *out)
{
    const char *text = s->d.field[0] + strspn(s->d.field[0], " \t"), *bad = "";
    const int64_t length = (int64_t)strlen(text);
    *out = (Line){.dimensions = 1};
    const char *label = text, *end = text + length;
    if (s->ts) {
        const char *colon = strrchr(text, ':');
        if (!colon) return "no colon before a label";
        label = colon + 1 + strspn(colon + 1, " \t");
        end = colon;
        for (const char *p = text; p < end; p++) out->dimensions += *p == ':';
    } else {
        while (*text && !between(*text, false)) text++; /* the label's end */
    }
    size_t n = s->ts ? strlen(label) : (size_t)(text - label);
    while (n && (label[n - 1] == ' ' || label[n - 1] == '\t')) n--;
    out->label = arena_strndup(a, label, (ptrdiff_t)n);
    if (!s->ts && text < end) text++;
    out->dimension = NEW(a, Dimension, out->dimensions);
    float *to = NEW(a, float, length + out->dimensions + 1); /* a comma alone is a value, a missing one */
    for (int64_t k = 0; k < out->dimensions; k++) {
        const char *stop = s->ts ? memchr(text, ':', (size_t)(end - text)) : 0;
        if (!stop) stop = end;
        const int64_t got = take_values(text, stop, s->ts, to, &bad);
        if (got < 0) {
            const int shown = (int)strcspn(bad, ",: \t;");
            return arena_printf(a, "\"%.*s\": a number expected", shown < 40 ? shown : 40, bad);
        }
        out->dimension[k] = (Dimension){to, got};
        if (got > out->longest) out->longest = got;
        to += got;
        text = stop + (stop < end);
    }
    return 0;
}

/* Missing values at the end of a series are its end, where lengths may differ. */
static void trim(Line *l)
{
    l->longest = 0;
    for (int64_t k = 0; k < l->dimensions; k++) {
        Dimension *d = &l->dimension[k];
        while (d->count && isnan(d->value[d->count - 1])) d->count--;
        if (d->count > l->longest) l->longest = d->count;
    }
}

/* Fills what is missing between known values on a line, before the first and after the last with that one. */
static void interpolate(Dimension *d)
{
    int64_t last = -1; /* known */
    for (int64_t i = 0; i < d->count; i++) {
        if (isnan(d->value[i])) continue;
        const double from = last < 0 ? d->value[i] : d->value[last],
                     step = last < 0 ? 0 : (d->value[i] - from) / (double)(i - last);
        for (int64_t k = last + 1; k < i; k++) d->value[k] = (float)(from + step * (double)(k - last));
        last = i;
    }
    for (int64_t k = last + 1; last >= 0 && k < d->count; k++) d->value[k] = d->value[last];
}

/* The line in the form that all have; returns why it is bad, or 0. */
static const char *shape_line(Arena *a, const Form *f, Line *l, float *to)
{
    if (l->dimensions != f->dimensions)
        return arena_printf(a, "%lld dimensions, %lld expected", (long long)l->dimensions, (long long)f->dimensions);
    for (int64_t k = 0; k < l->dimensions; k++, to += f->length) {
        Dimension *d = &l->dimension[k];
        if (d->count != f->length && !f->length_given)
            return arena_printf(a, "%lld values, %lld expected (option length= pads and cuts)", (long long)d->count,
                                (long long)f->length);
        if (f->missing == MISSING_INTERPOLATE) interpolate(d);
        for (int64_t i = 0; i < f->length; i++) {
            to[i] = i < d->count ? d->value[i] : 0;
            if (!isnan(to[i])) continue;
            if (f->missing == MISSING_ERROR || f->missing == MISSING_INTERPOLATE)
                return arena_printf(a, "value %lld is missing%s", (long long)i + 1,
                                    f->missing == MISSING_ERROR ? " (option missing=mean, zero or interpolate fills it)"
                                                                : ", as is all of its series");
            if (f->missing == MISSING_ZERO) to[i] = 0;
        }
    }
    return 0;
}

/* ---- files ---- */

/* The length of the longest series of a file: a pass of its own. */
static const char *measure(Arena *perm, Arena scratch, const char *path, Form *f)
{
    Series s = {0};
    bool more = delimited_open(perm, &scratch, path, DELIMITED_LINES, &s.d) && begin_series(&s);
    for (; more; more = delimited_next(&s.d)) {
        Arena once = scratch;
        Line l;
        if (cut_line(&once, &s, &l)) continue; /* is told of when it is read */
        trim(&l);
        if (l.longest > f->length) f->length = l.longest;
    }
    delimited_close(&s.d);
    return s.d.why;
}

static const char *put_file(Arena *perm, Arena scratch, const char *path, bool apart, Form *f, Intake *in)
{
    Series s = {0};
    int64_t id = 0;
    bool more = delimited_open(perm, &scratch, path, DELIMITED_LINES, &s.d) && begin_series(&s);
    if (more && !f->task) f->task = task_find(s.target_label ? "regression" : "classification");
    const bool classes = f->task && f->task->loss == LOSS_CROSS_ENTROPY;
    for (; more && !s.d.why; more = delimited_next(&s.d)) {
        Arena once = scratch;
        Line l;
        float target = 0, *x = 0;
        if (s.ts && (*s.d.field[0] == '#' || !*s.d.field[0])) continue;
        const char *where = arena_printf(&once, "%s: line %lld", s.d.path, (long long)s.d.line);
        const char *why = cut_line(&once, &s, &l);
        if (!why && f->length_given) trim(&l);
        if (!why && !f->dimensions) f->dimensions = l.dimensions;
        if (!why && !f->length) f->length = l.longest;
        if (!why && !f->length) why = "no values";
        if (!why) why = dataset_check_shape(&once, f->dimensions, 1, f->length, DTYPE_F32);
        if (!why) {
            x = NEW(&once, float, f->dimensions * f->length);
            why = shape_line(&once, f, &l, x);
        }
        if (!why) {
            double v;
            const RealKind kind = real_parse(l.label, &v);
            if (kind == REAL_MISSING || (!classes && kind != REAL_NUMBER))
                why = arena_printf(&once, "label \"%.40s\": a %s expected", l.label, classes ? "class" : "number");
            else
                target = classes ? (float)intake_class(in, l.label) : (float)v;
            if (!why && classes && target < 0) s.d.why = arena_printf(perm, "%s: too many classes", where);
        }
        const Sample sample = {.where = where,
                               .raster = {f->dimensions, 1, f->length, DTYPE_F32, x},
                               .targets = &target,
                               .id = id++,
                               .group = -1,
                               .file = -1,
                               .named = -1,
                               .apart = apart};
        if (why)
            s.d.why = intake_bad(in, arena_printf(perm, "%s: %s", where, why));
        else if (!s.d.why)
            s.d.why = intake_put(in, once, &sample);
    }
    delimited_close(&s.d);
    return s.d.why;
}

/* ---- which files ---- */

static const char *const ending[] = {".ts", ".tsv", ".txt", ".csv", ""}; /* in the order of preference */

/* Where the name of a file says which part it is ("Coffee_TRAIN.tsv"), with one of the endings; *kind: which. */
static const char *part_of(const char *name, const char *part, int *kind)
{
    const char *slash = strrchr(name, '/');
    for (const char *at = slash ? slash : name; (at = strcasestr(at, part)); at++)
        for (*kind = 0; *kind < COUNTOF(ending); ++*kind)
            if (!strcasecmp(at + strlen(part), ending[*kind])) return at;
    return 0;
}

/* The test file beside NAME_TRAIN, or 0. */
static const char *test_beside(Arena *perm, const char *train)
{
    int kind;
    const char *at = part_of(train, "_TRAIN", &kind);
    if (!at) return 0;
    const char *test = arena_printf(perm, "%.*s%s%s", (int)(at - train), train, at[1] == 'T' ? "_TEST" : "_test",
                                    at + strlen("_TRAIN"));
    struct stat st;
    return stat(test, &st) ? 0 : test;
}

/* The NAME_TRAIN of a folder; several names are a question. */
static const char *find_train(Arena *perm, const char *folder, const char **train)
{
    DIR *d = opendir(folder);
    if (!d) return arena_printf(perm, "%s: %s", folder, strerror(errno));
    const char *best = 0, *why = 0;
    int best_kind = 0;
    for (struct dirent *e; (e = readdir(d)) && !why;) {
        int kind, other = 0;
        const char *at = part_of(e->d_name, "_TRAIN", &kind);
        if (!at) continue;
        const char *stem = arena_strndup(perm, e->d_name, at - e->d_name);
        const int64_t length = best ? part_of(best, "_TRAIN", &other) - best : 0;
        if (best && (length != (int64_t)strlen(stem) || strncmp(best, stem, (size_t)length)))
            why = arena_printf(perm, "%s: several sets, %s and %.*s: name the files", folder, stem, (int)length, best);
        if (best && kind >= best_kind) continue;
        best = arena_strdup(perm, e->d_name);
        best_kind = kind;
    }
    closedir(d);
    if (!why && !best) why = arena_printf(perm, "%s: no NAME_TRAIN.ts, .tsv or .txt in this folder", folder);
    if (!why) *train = arena_printf(perm, "%s/%s", folder, best);
    return why;
}

const char *ucr_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                     Dataset *out)
{
    *out = (Dataset){.target_width = 1};
    Form f;
    Intake in;
    struct stat st;
    const char *why = take_options(perm, spec, &f);
    if (!why && (n < 1 || n > 2)) why = "ucr: a folder, or TRAIN [TEST] expected";
    if (why) return why;
    const char *train = sources[0], *test = n > 1 ? sources[1] : 0;
    if (!stat(train, &st) && S_ISDIR(st.st_mode) && (why = find_train(perm, train, &train))) return why;
    if (!test) test = test_beside(perm, train);
    if (f.longest) why = measure(perm, scratch, train, &f);
    if (f.longest && !why && test) why = measure(perm, scratch, test, &f);
    if (!why) why = intake_open(perm, spec, out, 0, &in);
    if (why) return why;
    in.missing_allowed = f.missing == MISSING_MEAN;
    why = put_file(perm, scratch, train, false, &f, &in);
    if (!why && test) why = put_file(perm, scratch, test, true, &f, &in);
    if (!why) why = intake_close(&in, train);
    if (why) return why;

    DatasetInfo *info = &out->info;
    int kind;
    const char *at = part_of(train, "_TRAIN", &kind), *slash = strrchr(train, '/'), *name = slash ? slash + 1 : train;
    if (f.task->loss != LOSS_CROSS_ENTROPY) info->outputs = 1;
    info->task = f.task->name;
    info->name = at && at > name ? arena_strndup(perm, name, at - name) : reader_source_name(perm, train, "ucr");
    info->source = arena_printf(perm, "ucr %s%s%s", train, test ? " " : "", test ? test : "");
    if (f.length_given)
        dataset_setting(perm, info, "length", "%lld, padded with zeros or cut at the end", (long long)f.length);
    if (f.missing) dataset_setting(perm, info, "missing values", "%s", missing_name[f.missing]);
    return reader_name_outputs(perm, spec, info);
}

/* Does it begin like a number, and go on with a blank, a comma or a digit? */
static bool numbers_first(const unsigned char *head, int64_t n)
{
    int64_t i = 0;
    while (i < n && (head[i] == ' ' || head[i] == '-')) i++;
    return i < n && head[i] >= '0' && head[i] <= '9';
}

int ucr_probe(const char *path, const unsigned char *head, int64_t head_bytes)
{
    int kind;
    for (int64_t i = 0; i + 12 <= head_bytes; i++)
        if (head[i] == '@' && !strncasecmp((const char *)head + i, "@problemname", 12)) return 95;
    if (head_bytes) return part_of(path, "_TRAIN", &kind) && numbers_first(head, head_bytes) ? 80 : 0;
    DIR *d = opendir(path);
    int sure = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        if (part_of(e->d_name, "_TRAIN", &kind) && kind < 3) sure = 80;
    if (d) closedir(d);
    return sure;
}
