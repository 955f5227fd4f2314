/* alphafile: see alphafile.h. */
#include "search/alphafile.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/npy.h"

const char *alphafile_format(AlphaFormat f)
{
    static const char *const name[ALPHA_FORMATS] = {"npy", "log", "python", "table"};
    return name[f];
}

static const char tensor_mark[] = "tensor([[";

AlphaFormat alphafile_probe(const void *bytes, int64_t n)
{
    if (npy_is(bytes, n)) return ALPHA_NPY;
    if (memmem(bytes, (size_t)n, tensor_mark, strlen(tensor_mark))) return ALPHA_LOG;
    return memmem(bytes, (size_t)n, "Genotype(", 9) ? ALPHA_PYTHON : ALPHA_TABLE;
}

const char *alphafile_npy(Arena *perm, const Space *s, const void *bytes, int64_t n, double **weights, int64_t *cells)
{
    NpyHeader h;
    const char *why = npy_parse(perm, bytes, n, &h);
    if (why) return why;
    int64_t edges = space_edges(s), ops = s->op_count, one = edges * ops;
    bool stacked = h.rank == 3 && h.shape[0] == 2, flat = h.rank == 2;
    int64_t rows = stacked || flat ? h.shape[h.rank - 2] : 0;
    *cells = stacked || rows == 2 * edges ? 2 : 1;
    bool fits = stacked ? rows == edges : flat && (rows == edges || rows == 2 * edges);
    if (!fits || h.shape[h.rank - 1] != ops) {
        Text shape = {0};
        text_add(perm, &shape, "");
        for (int64_t i = 0; i < h.rank; i++) text_addf(perm, &shape, "%s%lld", i ? "x" : "", (long long)h.shape[i]);
        return arena_printf(perm, "an array of %s, expected %lldx%lld: edges and operations of a cell",
                            h.rank ? shape.s : "one value", (long long)edges, (long long)ops);
    }
    if (h.count * h.size > n - h.start)
        return arena_printf(perm, "cut short: %lld values announced", (long long)h.count);
    *weights = NEW(perm, double, *cells *one);
    for (int64_t i = 0; i < h.count; i++) (*weights)[i] = npy_real(&h, (const char *)bytes + h.start, i);
    return 0;
}

/* ---- logs ---- */

typedef struct {
    const char *at, *why;
    int64_t rows, columns; /* columns: of the first row */
    double *value;         /* up to `room` of them; 0: counted only */
    int64_t count, room;
} Tensor;

static char look(Tensor *t)
{
    while (isspace((unsigned char)*t->at)) t->at++;
    return *t->at;
}

/* "[a, b, c]": a row. */
static void read_row(Tensor *t)
{
    int64_t columns = 0;
    t->at++;
    while (look(t) != ']') {
        char *end;
        double v = strtod(t->at, &end);
        if (end == t->at) {
            t->why = !strncmp(t->at, "...", 3) ? "it was printed with ... for a part of it" : "it is cut short";
            return;
        }
        t->at = end;
        if (t->count < t->room) t->value[t->count] = v;
        t->count++;
        columns++;
        if (look(t) == ',') t->at++;
    }
    t->at++;
    if (!t->rows++) t->columns = columns;
    if (columns != t->columns) t->why = "its rows differ in length";
}

/* From the mark on, to the end of the outer bracket. */
static void read_tensor(Tensor *t)
{
    t->at += strlen(tensor_mark) - 1;
    while (!t->why && look(t) == '[') {
        read_row(t);
        if (!t->why && look(t) == ',') t->at++;
    }
    if (!t->why && look(t) != ']')
        t->why = !strncmp(t->at, "...", 3) ? "it was printed with ... for a part of it" : "it is cut short";
}

const char *alphafile_log(Arena *perm, const Space *s, const char *text, int64_t epoch, LogAlphas *out)
{
    int64_t edges = space_edges(s), one = edges * s->op_count, tensors = 0, line = 1;
    double *pair[2] = {NEW(perm, double, one), NEW(perm, double, one)};
    *out = (LogAlphas){.normal = NEW(perm, double, one), .reduce = NEW(perm, double, one), .epoch = -1};
    const char *at = text, *hit;
    while ((hit = strstr(at, tensor_mark))) {
        for (; at < hit; at++) line += *at == '\n';
        Tensor t = {.at = hit, .value = pair[tensors % 2], .room = one};
        read_tensor(&t);
        if (t.why && !strstr(t.at, tensor_mark)) break; /* the log ends here: the run was killed */
        if (t.why) return arena_printf(perm, "line %lld: a tensor: %s", (long long)line, t.why);
        if (t.rows != edges || t.columns != s->op_count)
            return arena_printf(perm, "line %lld: a tensor of %lldx%lld, expected %lldx%lld: edges and operations",
                                (long long)line, (long long)t.rows, (long long)t.columns, (long long)edges,
                                (long long)s->op_count);
        for (; at < t.at; at++) line += *at == '\n';
        if (tensors++ % 2 == 0) continue;
        if (epoch < 0 || out->count == epoch) {
            memcpy(out->normal, pair[0], (size_t)one * sizeof(double));
            memcpy(out->reduce, pair[1], (size_t)one * sizeof(double));
            out->epoch = out->count;
        }
        out->count++;
    }
    if (!out->count) return "no pair of tensors in it: alphas of normal and of reduction cells, as DARTS prints them";
    if (out->epoch < 0)
        return arena_printf(perm, "no epoch %lld: the log has 0 to %lld", (long long)epoch, (long long)out->count - 1);
    return 0;
}
