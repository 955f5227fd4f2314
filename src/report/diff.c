/* diff: two streams beside each other. A record is known by its kind and the fields of its key; of several with the same
 * key, the first is compared with the first. Bulk data (samples, weights, predictions) is compared by a hash.
 */
#include <math.h>
#include <string.h>

#include "report/parts.h"

static const struct {
    RecordKind kind;
    const char *key; /* paths, separated by blanks */
} key_table[] = {
    {REC_NONE, "program"},
    {REC_DATASET, "name"},
    {REC_SAMPLES, "split first"},
    {REC_SEARCH_EPOCH, "epoch"},
    {REC_GENOTYPE, "name"},
    {REC_TRAIN_EPOCH, "run epoch"},
    {REC_NETWORK, "run"},
    {REC_TENSOR, "run set name"},
    {REC_CHECKPOINT, "program run epoch"},
    {REC_EVALUATION, "run set dataset split"},
    {REC_PREDICTIONS, "run dataset split first"},
    {REC_TRANSFER, "name to layers channels seed"},
    {REC_STUDY, "study"},
    {REC_EVENT, "what epoch"},
    {REC_PROFILE, "run op"},
    {REC_PROBLEM, "name"},
};

/* Differ between any two runs; an input's digest covers the times in it. */
static const char *const times[] = {"seconds", "forward_seconds", "backward_seconds", "share", "gflops", "gbs"};
static const char *const circumstances[] = {"unix_time", "host", "inputs"};

typedef struct {
    RecordKind kind; /* REC_NONE: a step of the provenance */
    const char *key;
    Leaves leaves;
    uint64_t bulk; /* hash of the record's bytes where its leaves leave out its data, else 0 */
    bool matched;
} Entry;

struct Diff {
    Arena *perm;
    struct {
        const char *name;
        Entry *entry;
        int64_t count, room, records;
    } side[2];
};

Diff *diff_new(Arena *perm, const char *a, const char *b)
{
    Diff *d = NEW(perm, Diff, 1);
    d->perm = perm;
    d->side[0].name = a;
    d->side[1].name = b;
    return d;
}

static const char *value_text(Arena *a, const Leaf *l)
{
    if (!l->number) return l->text;
    return l->numbers == 1 ? format_real(a, l->number[0]) : arena_printf(a, "%lld numbers", (long long)l->numbers);
}

static const Leaf *leaf_find(const Leaves *l, const char *path, int64_t length)
{
    for (int64_t i = 0; i < l->count; i++)
        if (!strncmp(l->leaf[i].path, path, (size_t)length) && !l->leaf[i].path[length]) return &l->leaf[i];
    return 0;
}

static const char *key_of(Arena *a, RecordKind kind, const Leaves *l)
{
    Text t = {0};
    text_add(a, &t, "");
    for (int k = 0; k < COUNTOF(key_table); k++)
        for (const char *s = key_table[k].kind == kind ? key_table[k].key : ""; *s; s += *s == ' ') {
            const int64_t n = (int64_t)strcspn(s, " ");
            const Leaf *leaf = leaf_find(l, s, n);
            text_addf(a, &t, "%s%s", t.length ? " " : "", leaf ? value_text(a, leaf) : "");
            s += n;
        }
    return t.s;
}

static void add_entry(Diff *d, int side, Entry e)
{
    GROW(d->perm, d->side[side].entry, d->side[side].count, d->side[side].room);
    d->side[side].entry[d->side[side].count++] = e;
}

void diff_add(Diff *d, int side, const Record *r)
{
    Entry e = {.kind = r->kind, .leaves = record_leaves(d->perm, r)};
    e.key = key_of(d->perm, r->kind, &e.leaves);
    const bool bulk = r->kind == REC_SAMPLES || r->kind == REC_TENSOR || r->kind == REC_PREDICTIONS ||
                      r->kind == REC_PROBLEM || r->kind == REC_UNKNOWN;
    if (bulk) e.bulk = hash_bytes(HASH_START, r->bytes, r->byte_count) | 1;
    add_entry(d, side, e);
    d->side[side].records++;
}

void diff_provenance(Diff *d, int side, const Provenance *p, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        Entry e = {.kind = REC_NONE, .leaves = provenance_leaves(d->perm, &p[i])};
        e.key = key_of(d->perm, e.kind, &e.leaves);
        add_entry(d, side, e);
    }
}

/* ---- differences ---- */

typedef struct {
    const char *kind, *key, *path, *a, *b; /* path "": the record is in one of them alone, and the other's text is "" */
    const char *difference;
} Difference;

typedef struct {
    Difference *d;
    int64_t count, room;
} Found;

static void found_add(Arena *a, Found *f, Difference d)
{
    GROW(a, f->d, f->count, f->room);
    f->d[f->count++] = d;
}

static bool same_number(double x, double y)
{
    return x == y || (isnan(x) && isnan(y));
}

/* 0 if they are equal; else the text of how far they are apart, "" for texts. */
static const char *apart(Arena *a, const Leaf *x, const Leaf *y)
{
    if (!x->number || !y->number) return x->number == y->number && !strcmp(x->text, y->text) ? 0 : "";
    if (x->numbers != y->numbers) return "";
    int64_t different = 0;
    double most = 0;
    for (int64_t i = 0; i < x->numbers; i++) {
        if (same_number(x->number[i], y->number[i])) continue;
        different++;
        most = fmax(most, fabs(y->number[i] - x->number[i]));
    }
    if (!different) return 0;
    if (x->numbers == 1 && !isfinite(y->number[0] - x->number[0])) return "";
    if (x->numbers == 1) return arena_printf(a, "%+.6g", y->number[0] - x->number[0]);
    return arena_printf(a, "%lld differ, by at most %.6g", (long long)different, most);
}

static bool is_compared(RecordKind kind, const char *path)
{
    const char *const *list = kind == REC_NONE ? circumstances : times;
    const int64_t count = kind == REC_NONE ? COUNTOF(circumstances) : COUNTOF(times),
                  length = (int64_t)strcspn(path, "[");
    for (int64_t i = 0; i < count; i++)
        if (!strncmp(path, list[i], (size_t)length) && !list[i][length]) return false;
    return true;
}

static const char *kind_text(const Entry *e)
{
    return e->kind == REC_NONE ? "provenance" : record_kind_name(e->kind);
}

static void compare_entries(Arena *a, Found *f, const Entry *x, const Entry *y)
{
    static const Leaf absent = {.text = ""};
    const int64_t before = f->count;
    for (int64_t i = 0; i < x->leaves.count + y->leaves.count; i++) {
        const bool second = i >= x->leaves.count;
        const Leaf *leaf = second ? &y->leaves.leaf[i - x->leaves.count] : &x->leaves.leaf[i];
        const int64_t length = (int64_t)strlen(leaf->path);
        /* a path stands once, but for settings or metrics of one name: fields are in order, so look there first */
        const Leaves *others = second ? &x->leaves : &y->leaves;
        const Leaf *other = i < others->count && !strcmp(others->leaf[i].path, leaf->path) && !second
                                ? &others->leaf[i]
                                : leaf_find(others, leaf->path, length);
        if (!is_compared(x->kind, leaf->path) || (second && other)) continue;
        const Leaf *p = second ? &absent : leaf, *q = second ? leaf : other ? other : &absent;
        const char *difference = apart(a, p, q);
        if (difference)
            found_add(a, f,
                      (Difference){kind_text(x), x->key, leaf->path, value_text(a, p), value_text(a, q), difference});
    }
    if (f->count == before && x->bulk != y->bulk)
        found_add(a, f,
                  (Difference){kind_text(x), x->key, "data", arena_printf(a, "%016llx", (unsigned long long)x->bulk),
                               arena_printf(a, "%016llx", (unsigned long long)y->bulk), ""});
}

static Found differences(const Diff *d, Arena *a)
{
    Found f = {0};
    int64_t *start = NEW(a, int64_t, REC_UNKNOWN + 1); /* of each kind: the first of b that may be free */
    for (int64_t i = 0; i < d->side[0].count; i++) {
        Entry *x = &d->side[0].entry[i], *y = 0;
        x->matched = false;
        if (!i)
            for (int64_t k = 0; k < d->side[1].count; k++) d->side[1].entry[k].matched = false;
        for (int64_t k = start[x->kind]; k < d->side[1].count && !y; k++) {
            Entry *z = &d->side[1].entry[k];
            if (k == start[x->kind] && (z->kind != x->kind || z->matched)) start[x->kind]++;
            if (!z->matched && z->kind == x->kind && !strcmp(z->key, x->key)) y = z;
        }
        if (y) x->matched = y->matched = true;
        if (y)
            compare_entries(a, &f, x, y);
        else
            found_add(a, &f, (Difference){kind_text(x), x->key, "", "there", "", ""});
    }
    for (int64_t k = 0; k < d->side[1].count; k++) {
        const Entry *y = &d->side[1].entry[k];
        if (!y->matched) found_add(a, &f, (Difference){kind_text(y), y->key, "", "", "there", ""});
    }
    return f;
}

static void put_json(Arena *a, Text *out, const Difference *d)
{
    const char *key[] = {"record", "key", "field", "a", "b", "difference"};
    const char *value[] = {d->kind, d->key, d->path, d->a, d->b, d->difference};
    text_addf(a, out, "{\"kind\":\"diff\",\"change\":\"%s\"", d->path[0] ? "changed" : d->a[0] ? "removed" : "added");
    for (int i = 0; i < COUNTOF(key); i++) {
        text_addf(a, out, ",\"%s\":\"", key[i]);
        escape_add(a, out, AS_JSON, value[i]);
        text_add(a, out, "\"");
    }
    text_add(a, out, "}\n");
}

int64_t report_diff(const Diff *d, Arena *a, bool json, Text *out)
{
    const Found f = differences(d, a);
    text_add(a, out, "");
    if (json) {
        for (int64_t i = 0; i < f.count; i++) put_json(a, out, &f.d[i]);
        return f.count;
    }
    for (int k = 0; k < 2; k++)
        text_addf(a, out, "%c  %s, %s records\n", 'A' + k, escape_text(a, AS_PLAIN, d->side[k].name),
                  format_count(a, d->side[k].records));
    if (!f.count) {
        text_add(a, out, "no difference\n");
        return 0;
    }
    Table *t = table_new(a, "", "record||field|A|B|B - A");
    for (int64_t i = 0; i < f.count; i++) {
        const Difference *x = &f.d[i];
        const char *cell[] = {x->kind,
                              x->key,
                              x->path,
                              x->a[0] || x->path[0] ? x->a : "not there",
                              x->b[0] || x->path[0] ? x->b : "not there",
                              x->difference};
        const char **row = table_row(a, t);
        for (int c = 0; c < COUNTOF(cell); c++) row[c] = cell[c];
    }
    text_add(a, out, "\n");
    table_text(a, out, t);
    text_addf(a, out, "\n%s difference%s\n", format_count(a, f.count), f.count == 1 ? "" : "s");
    return f.count;
}
