/* labelled_files: folders, patterns and tables that tell the labels of files. */
#include "data/readers/labelled_files.h"

#include <errno.h>
#include <fts.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "data/readers/delimited.h"
#include "data/split.h"
#include "data/task.h"

enum { MOST_FIELDS = 16, MOST_FILES = INT32_MAX, PROBE_ENTRIES = 1000 };

/* ---- sets of words ---- */

/* 0 < 2 < 10, and numbers before other words. */
static int by_value(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    char *end_x, *end_y;
    const double vx = strtod(x, &end_x), vy = strtod(y, &end_y);
    const bool nx = !*end_x && isfinite(vx), ny = !*end_y && isfinite(vy);
    if (nx != ny) return nx ? -1 : 1;
    return nx && vx != vy ? (vx > vy) - (vx < vy) : strcmp(x, y);
}

typedef struct {
    const char **word;
    int64_t count;
} Words;

/* The different words among n (0: none), sorted. */
static Words words_of(Arena *a, const char *const *word, int64_t n)
{
    Words w = {NEW(a, const char *, n + 1), 0};
    int64_t all = 0;
    for (int64_t i = 0; i < n; i++)
        if (word[i]) w.word[all++] = word[i];
    qsort(w.word, (size_t)all, sizeof *w.word, by_value);
    for (int64_t i = 0; i < all; i++)
        if (!w.count || strcmp(w.word[i], w.word[w.count - 1])) w.word[w.count++] = w.word[i];
    return w;
}

static int64_t word_index(const Words *w, const char *word)
{
    const char **at = bsearch(&word, w->word, (size_t)w->count, sizeof *w->word, by_value);
    return at ? at - w->word : -1;
}

/* ---- which files ---- */

static bool has_ending(const char *name, const char *endings)
{
    const size_t length = strlen(name);
    for (const char *e = endings; *e; e += strcspn(e, " "), e += *e == ' ') {
        const size_t n = strcspn(e, " ");
        if (length > n && !strncasecmp(name + length - n, e, n)) return true;
    }
    return false;
}

static int by_entry(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static bool is_hidden(const FTSENT *e)
{
    return e->fts_level > 0 && (e->fts_name[0] == '.' || !strcmp(e->fts_name, "__MACOSX"));
}

typedef struct {
    LabelledFile *file;
    int64_t count, room;
} Found;

static void found(Arena *perm, Found *f, const char *path, const char *name)
{
    GROW(perm, f->file, f->count, f->room);
    f->file[f->count++] = (LabelledFile){.path = path, .name = name, .named = -1, .group = -1};
}

static const char *walk(Arena *perm, const char *source, const char *endings, Found *f)
{
    struct stat st;
    if (stat(source, &st)) return arena_printf(perm, "%s: %s", source, strerror(errno));
    if (!S_ISDIR(st.st_mode)) {
        const char *name = strrchr(source, '/'); /* and the folder that it is in */
        while (name && name > source && name[-1] != '/') name--;
        found(perm, f, source, name ? name : source);
        return 0;
    }
    char *roots[] = {arena_strdup(perm, source), 0};
    const size_t skip = strlen(source);
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_entry);
    const char *why = tree ? 0 : arena_printf(perm, "%s: %s", source, strerror(errno));
    for (FTSENT *e; !why && tree && (e = fts_read(tree));) {
        if (is_hidden(e))
            fts_set(tree, e, FTS_SKIP);
        else if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
            why = arena_printf(perm, "%s: %s", e->fts_path, strerror(e->fts_errno));
        else if (e->fts_info == FTS_DC)
            why = arena_printf(perm, "%s: a folder that leads back into itself", e->fts_path);
        else if (e->fts_info == FTS_F && has_ending(e->fts_name, endings)) {
            const char *path = arena_strdup(perm, e->fts_path), *name = path + skip;
            found(perm, f, path, name + strspn(name, "/"));
        }
        if (f->count > MOST_FILES) why = arena_printf(perm, "%s: too many files", source);
    }
    if (tree) fts_close(tree);
    return why;
}

bool labelled_folder(const char *path, const char *endings)
{
    struct stat st;
    if (stat(path, &st) || !S_ISDIR(st.st_mode)) return false;
    char *roots[] = {(char *)path, 0};
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, 0);
    bool yes = false;
    int64_t seen = 0;
    for (FTSENT *e; tree && !yes && seen++ < PROBE_ENTRIES && (e = fts_read(tree));) {
        if (is_hidden(e)) fts_set(tree, e, FTS_SKIP);
        yes = e->fts_info == FTS_F && !is_hidden(e) && has_ending(e->fts_name, endings);
    }
    if (tree) fts_close(tree);
    return yes;
}

/* If every file is in a folder that is named like a split, notes the splits. `rest`: the names without them. */
static void find_splits(LabelledFiles *l, const char **rest)
{
    bool all = l->count > 0;
    for (int64_t i = 0; i < l->count; i++) {
        const char *slash = strchr(l->file[i].name, '/');
        all &= slash && split_find(l->file[i].name, slash - l->file[i].name) >= 0;
    }
    for (int64_t i = 0; i < l->count; i++) {
        const char *name = l->file[i].name, *slash = strchr(name, '/');
        rest[i] = all ? slash + 1 : name;
        if (all) l->file[i].named = split_find(name, slash - name);
    }
}

/* ---- patterns ---- */

typedef struct {
    const char *name, *begin;
    int64_t name_length, length;
} Field;

/* Matches text with a pattern whose {fields} stand for one or more characters, as few as will do. */
static bool match(const char *pattern, const char *text, Field *field, int fields)
{
    for (; *pattern && *pattern != '{'; pattern++, text++)
        if (*pattern != *text) return false;
    if (!*pattern) return !*text;
    const char *close = strchr(pattern, '}');
    for (int64_t n = 1; n <= (int64_t)strlen(text); n++) {
        field[fields] = (Field){pattern + 1, text, close - pattern - 1, n};
        if (match(close + 1, text + n, field, fields + 1)) return true;
    }
    return false;
}

static const char *check_pattern(Arena *perm, const char *pattern, int *fields)
{
    *fields = 0;
    for (const char *p = pattern; (p = strchr(p, '{')); ++*fields) {
        const char *close = strchr(p, '}');
        if (!close || close == p + 1 || memchr(p + 1, '{', (size_t)(close - p - 1)) || close[1] == '{')
            return arena_printf(perm, "option pattern=%s: {names} expected, with something between them", pattern);
        p = close;
    }
    return *fields > 0 && *fields <= MOST_FIELDS
               ? 0
               : arena_printf(perm, "option pattern=%s: from 1 to %d {names} expected", pattern, MOST_FIELDS);
}

static const char *field_text(Arena *perm, const Field *field, int fields, const char *name)
{
    for (int i = 0; i < fields; i++)
        if (!strncmp(field[i].name, name, (size_t)field[i].name_length) && !name[field[i].name_length])
            return arena_strndup(perm, field[i].begin, field[i].length);
    return 0;
}

/* ---- what was found for each file, as text ---- */

typedef struct {
    const char **label, **group; /* (count), 0 where there is none */
    const char **number;         /* (count, columns): of columns that hold numbers */
    int64_t columns;
    const char **column_name;
} Texts;

static const char *label_by_pattern(Arena *perm, const char *pattern, const char *group, LabelledFiles *l, Texts *t)
{
    Field field[MOST_FIELDS];
    int fields;
    const char *why = check_pattern(perm, pattern, &fields);
    if (why) return why;
    for (int64_t i = 0; i < l->count; i++) {
        LabelledFile *f = &l->file[i];
        const char *slash = strrchr(f->name, '/');
        if (!match(pattern, strchr(pattern, '/') || !slash ? f->name : slash + 1, field, 0)) {
            f->flaw = arena_printf(perm, "%s: its name does not fit the pattern %s", f->path, pattern);
            continue;
        }
        t->label[i] = field_text(perm, field, fields, "label");
        if (group) t->group[i] = field_text(perm, field, fields, group);
        if (!t->label[i] || (group && !t->group[i]))
            return arena_printf(perm, "option pattern=%s: {%s} expected in it", pattern, t->label[i] ? group : "label");
    }
    return 0;
}

static void label_by_folder(Arena *perm, LabelledFiles *l, const char *const *rest, Texts *t)
{
    for (int64_t i = 0; i < l->count; i++) {
        const char *slash = strchr(rest[i], '/');
        if (slash)
            t->label[i] = arena_strndup(perm, rest[i], slash - rest[i]);
        else
            l->file[i].flaw =
                arena_printf(perm, "%s: not in the folder of a class: option labels= or pattern= can tell its label",
                             l->file[i].path);
    }
}

/* ---- tables ---- */

typedef struct {
    const char *text;
    int64_t file;
} Key;

static int by_key(const void *a, const void *b)
{
    return strcmp(((const Key *)a)->text, ((const Key *)b)->text);
}

/* The names of all files in one of three forms, sorted. */
static Key *make_keys(Arena *a, const LabelledFiles *l, int form)
{
    Key *key = NEW(a, Key, l->count + 1);
    for (int64_t i = 0; i < l->count; i++) {
        const char *name = l->file[i].name, *slash = strrchr(name, '/');
        if (form > 0 && slash) name = slash + 1;
        const char *dot = form == 2 ? strrchr(name, '.') : 0;
        key[i] = (Key){dot ? arena_strndup(a, name, dot - name) : name, i};
    }
    qsort(key, (size_t)l->count, sizeof *key, by_key);
    return key;
}

/* The file that a name means: -1 none, -2 several. */
static int64_t file_of(Key *const *keys, int64_t count, const char *name)
{
    for (int form = 0; form < 3; form++) {
        const Key wanted = {name, 0}, *at = bsearch(&wanted, keys[form], (size_t)count, sizeof wanted, by_key);
        if (!at) continue;
        const bool twice =
            (at > keys[form] && !by_key(at, at - 1)) || (at < keys[form] + count - 1 && !by_key(at, at + 1));
        return twice ? -2 : at->file;
    }
    return -1;
}

typedef struct {
    const char *path, **head;
    int64_t columns;
} Heading;

static int64_t column_of(const Heading *h, const char *name)
{
    for (int64_t i = 0; i < h->columns; i++)
        if (!strcmp(h->head[i], name)) return i;
    return -1;
}

/* The column that an option names, or `otherwise`. */
static const char *choose_column(Arena *perm, const Heading *h, const IngestSpec *spec, const char *option,
                                 int64_t otherwise, int64_t *to)
{
    const char *name = reader_option(spec, option);
    *to = name ? column_of(h, name) : otherwise;
    if (!name || *to >= 0) return 0;
    return arena_printf(perm, "%s: line 1: no column \"%s\" (option %s)", h->path, name, option);
}

/* Columns of numbers: those that targets= names, or all that are nothing else. */
static const char *choose_targets(Arena *perm, const Heading *h, const IngestSpec *spec, const int64_t *used, int uses,
                                  int64_t *column, int64_t *count)
{
    const char *names = reader_option(spec, "targets");
    *count = 0;
    while (names && *names) {
        const size_t n = strcspn(names, ",");
        const char *name = arena_strndup(perm, names, (ptrdiff_t)n);
        const int64_t c = column_of(h, name);
        if (c < 0 || *count == h->columns)
            return arena_printf(perm, "%s: line 1: no column \"%s\" (option targets)", h->path, name);
        column[(*count)++] = c;
        names += n + (names[n] == ',');
    }
    for (int64_t c = 0; !names && c < h->columns; c++) {
        bool taken = false;
        for (int i = 0; i < uses; i++) taken |= used[i] == c;
        if (!taken) column[(*count)++] = c;
    }
    return *count ? 0 : arena_printf(perm, "%s: line 1: no column with labels", h->path);
}

enum { FILE_NAME, LABEL, GROUP, SPLIT, USES };

/* Which columns of a table are what, and which of its rows name no file: how many, and the first. */
typedef struct {
    int64_t used[USES], *column, columns; /* columns of the four uses, or -1; those of numbers */
    int64_t unmatched;
    const char *first;
} TableUse;

static const char *read_heading(Arena *perm, const Delimited *d, const IngestSpec *spec, bool one_class, TableUse *u)
{
    Heading h = {d->path, NEW(perm, const char *, d->fields), d->fields};
    for (int64_t i = 0; i < h.columns; i++) h.head[i] = arena_strdup(perm, d->field[i]);
    const char *why = choose_column(perm, &h, spec, "file", 0, &u->used[FILE_NAME]);
    if (!why) why = choose_column(perm, &h, spec, "label", -1, &u->used[LABEL]);
    if (!why) why = choose_column(perm, &h, spec, "group", -1, &u->used[GROUP]);
    if (!why) why = choose_column(perm, &h, spec, "split", -1, &u->used[SPLIT]);
    u->column = NEW(perm, int64_t, h.columns);
    if (!why && u->used[LABEL] < 0) why = choose_targets(perm, &h, spec, u->used, USES, u->column, &u->columns);
    if (!why && u->columns == 1 && one_class && !reader_option(spec, "targets")) {
        u->used[LABEL] = u->column[0]; /* the only column left is the label */
        u->columns = 0;
    }
    return why;
}

static const char *take_row(Arena *perm, Delimited *d, Key *const *keys, const TableUse *u, bool *done,
                            LabelledFiles *l, Texts *t, int64_t *file)
{
    const char *name = d->field[u->used[FILE_NAME]];
    const int64_t f = *file = file_of(keys, l->count, name);
    if (f == -1) return 0;
    if (f == -2 || done[f])
        return arena_printf(perm, "%s: line %lld: \"%s\" %s", d->path, (long long)d->line, name,
                            f == -2 ? "is the name of several files" : "is a file that had a row before");
    done[f] = true;
    if (u->used[LABEL] >= 0) t->label[f] = arena_strdup(perm, d->field[u->used[LABEL]]);
    if (u->used[GROUP] >= 0) t->group[f] = arena_strdup(perm, d->field[u->used[GROUP]]);
    for (int64_t c = 0; c < u->columns; c++) t->number[f * u->columns + c] = arena_strdup(perm, d->field[u->column[c]]);
    if (u->used[SPLIT] < 0) return 0;
    const char *split = d->field[u->used[SPLIT]];
    l->file[f].named = split_find(split, (int64_t)strlen(split));
    return l->file[f].named >= 0
               ? 0
               : arena_printf(perm, "%s: line %lld: \"%s\" is no split", d->path, (long long)d->line, split);
}

static const char *label_by_table(Arena *perm, Arena scratch, const char *path, const IngestSpec *spec, bool one_class,
                                  LabelledFiles *l, Texts *t, TableUse *u)
{
    Delimited d;
    const char *why = 0;
    *u = (TableUse){0};
    if (delimited_open(perm, &scratch, path, DELIMITED_FOUND, &d) && delimited_next(&d))
        why = read_heading(perm, &d, spec, one_class, u);
    else
        delimited_fail(&d, "the table is empty");
    const int64_t columns = d.fields;
    if (!why && !d.why) {
        t->columns = u->columns;
        t->column_name = NEW(perm, const char *, u->columns + 1);
        for (int64_t c = 0; c < u->columns; c++) t->column_name[c] = arena_strdup(perm, d.field[u->column[c]]);
        t->number = dataset_memory(perm, size_mul(l->count, u->columns), sizeof *t->number, &why);
        if (why) delimited_fail(&d, "%s", why);
    }
    Key *keys[3];
    for (int form = 0; form < 3; form++) keys[form] = make_keys(&scratch, l, form);
    bool *done = NEW(&scratch, bool, l->count + 1);
    while (!why && !d.why && delimited_next(&d)) {
        int64_t file;
        if (d.fields != columns)
            delimited_fail(&d, "%lld fields, the heading has %lld", (long long)d.fields, (long long)columns);
        else if (!(why = take_row(perm, &d, keys, u, done, l, t, &file)) && file == -1 && !u->unmatched++)
            u->first = arena_printf(perm, "%s: line %lld: no file \"%s\"", path, (long long)d.line,
                                    d.field[u->used[FILE_NAME]]);
    }
    delimited_close(&d);
    if (why || d.why) return why ? why : d.why;
    for (int64_t f = 0; f < l->count; f++)
        if (!done[f]) l->file[f].flaw = arena_printf(perm, "%s: no row in %s", l->file[f].path, path);
    return 0;
}

/* ---- texts to targets ---- */

static bool to_number(const char *text, float *to)
{
    char *end;
    const double v = strtod(text, &end);
    if (end == text || *end || !(fabs(v) <= 3.4028234663852886e38)) return false;
    *to = (float)v;
    return true;
}

/* One class of several. */
static void take_classes(Arena *perm, LabelledFiles *l, const Texts *t, Dataset *d)
{
    const Words classes = words_of(perm, t->label, l->count);
    d->info.outputs = classes.count;
    d->info.output_names = classes.word;
    d->target_width = 1;
    float *target = NEW(perm, float, l->count);
    for (int64_t i = 0; i < l->count; i++) {
        if (!t->label[i]) continue;
        target[i] = (float)word_index(&classes, t->label[i]);
        l->file[i].targets = target + i;
    }
}

/* Any of several: "Mass|Nodule". */
static const char *take_several(Arena *perm, const IngestSpec *spec, LabelledFiles *l, const Texts *t, Dataset *d)
{
    const char *none = reader_option(spec, "none"), *why;
    int64_t parts = 0;
    for (int64_t i = 0; i < l->count; i++)
        for (const char *s = t->label[i]; s; s = strchr(s, '|'), s += s != 0) parts++;
    const char **part = NEW(perm, const char *, parts + 1);
    int64_t n = 0;
    for (int64_t i = 0; i < l->count; i++)
        for (const char *s = t->label[i]; s; s = strchr(s, '|'), s += s != 0) {
            const char *word = arena_strndup(perm, s, (ptrdiff_t)strcspn(s, "|"));
            if (*word && !(none && !strcmp(word, none))) part[n] = word;
            n++;
        }
    const Words labels = words_of(perm, part, n);
    d->info.outputs = d->target_width = labels.count;
    d->info.output_names = labels.word;
    float *target = dataset_memory(perm, size_mul(l->count, labels.count), sizeof *target, &why);
    if (!target) return why;
    n = 0;
    for (int64_t i = 0; i < l->count; i++) {
        if (t->label[i]) l->file[i].targets = target + i * labels.count;
        for (const char *s = t->label[i]; s; s = strchr(s, '|'), s += s != 0, n++)
            if (part[n]) target[i * labels.count + word_index(&labels, part[n])] = 1;
    }
    return 0;
}

/* Numbers: of the columns, or the label itself. */
static const char *take_numbers(Arena *perm, LabelledFiles *l, const Texts *t, Dataset *d)
{
    const int64_t columns = t->columns ? t->columns : 1;
    const char *const *text = t->columns ? t->number : t->label, *why;
    d->info.outputs = d->target_width = columns;
    d->info.output_names = t->columns ? t->column_name : 0;
    float *target = dataset_memory(perm, size_mul(l->count, columns), sizeof *target, &why);
    if (!target) return why;
    for (int64_t i = 0; i < l->count; i++) {
        LabelledFile *f = &l->file[i];
        if (!text[i * columns]) continue;
        f->targets = target + i * columns;
        for (int64_t c = 0; c < columns && !f->flaw; c++) {
            if (to_number(text[i * columns + c], target + i * columns + c)) continue;
            f->flaw = arena_printf(perm, "%s: its target \"%s\" is not a number%s%s", f->path, text[i * columns + c],
                                   t->columns ? " in column " : "", t->columns ? t->column_name[c] : "");
            f->targets = 0;
        }
    }
    return 0;
}

const char *labelled_files(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                           const char *format, const char *endings, LabelledFiles *out, Dataset *d)
{
    if (n < 1) return arena_printf(perm, "%s: a folder or files expected", format);
    Found all = {0};
    const char *why = 0;
    for (int64_t i = 0; i < n && !why; i++) why = walk(perm, sources[i], endings, &all);
    if (why) return why;
    if (!all.count) return arena_printf(perm, "%s: no file that ends in %s", sources[0], endings);
    *out = (LabelledFiles){all.file, all.count};

    const char *table = reader_option(spec, "labels"), *pattern = reader_option(spec, "pattern");
    const char *wanted = *spec->task ? spec->task : "", *group = reader_option(spec, "group");
    const bool numbers = table && !reader_option(spec, "label");
    const Task *task = task_find(*wanted ? wanted : "classification");
    if (!task) return arena_printf(perm, "%s: unknown task \"%s\"", format, wanted);
    const bool classes = task->loss == LOSS_CROSS_ENTROPY, several = !strcmp(task->name, "multi-label");
    if (table && pattern) return arena_printf(perm, "%s: one of the options labels and pattern expected", format);
    if (group && !table && !pattern)
        return arena_printf(perm, "%s: option group: it goes with labels= or pattern=", format);

    const char **rest = dataset_memory(perm, out->count, sizeof *rest, &why);
    Texts t = {.label = NEW(perm, const char *, out->count), .group = NEW(perm, const char *, out->count)};
    TableUse use = {0};
    find_splits(out, rest);
    if (table)
        why = label_by_table(perm, scratch, table, spec, classes, out, &t, &use);
    else if (pattern)
        why = label_by_pattern(perm, pattern, group, out, &t);
    else
        label_by_folder(perm, out, rest, &t);
    if (why) return why;
    if (use.unmatched && !spec->skip_bad) return use.first;
    if (use.unmatched)
        dataset_setting(perm, &d->info, "rows without a file", "%lld; the first: %s", (long long)use.unmatched,
                        use.first);

    if (t.columns && classes) {
        if (*wanted)
            return arena_printf(perm, "%s: a label for --task %s: option label names its column", table, wanted);
        task = task_find("regression");
    }
    d->info.task = task->name;
    if (task->loss == LOSS_CROSS_ENTROPY)
        take_classes(perm, out, &t, d);
    else if (several && !(numbers && t.columns))
        why = take_several(perm, spec, out, &t, d);
    else
        why = take_numbers(perm, out, &t, d);
    if (why) return arena_printf(perm, "%s: %s", sources[0], why);

    const Words groups = words_of(perm, t.group, out->count);
    for (int64_t i = 0; i < out->count; i++)
        if (t.group[i]) out->file[i].group = word_index(&groups, t.group[i]);
    d->info.name = reader_source_name(perm, sources[0], format);
    Text source = {0};
    text_add(perm, &source, format);
    for (int64_t i = 0; i < n && i < 8; i++) text_addf(perm, &source, " %s", sources[i]);
    if (n > 8) text_addf(perm, &source, " and %lld more", (long long)(n - 8));
    d->info.source = source.s;
    return 0;
}
