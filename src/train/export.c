/* export: see export.h. */
#include "train/export.h"

#include <string.h>

#include "cli/cli.h"
#include "exchange/npz.h"
#include "exchange/onnx.h"
#include "train/settings.h"

static const char mark[] = "{run}";

const char *export_check(Arena *perm, const char *path, int64_t count)
{
    if (!*path || count < 2 || strstr(path, mark)) return 0;
    return arena_printf(perm, "%s: a file for one network, and there are more: put {run} into its name", path);
}

/* The file of a network. Returns 0, or why there is none. */
static const char *path_of(Arena *perm, const char *pattern, const char *run, int64_t written, const char **path)
{
    const char *at = strstr(pattern, mark);
    *path = pattern;
    if (!at) return export_check(perm, pattern, written + 1);
    char *name = arena_strdup(perm, run);
    for (char *c = name; *c; c++)
        if (*c == '/') *c = '_';
    *path = arena_printf(perm, "%.*s%s%s", (int)(at - pattern), pattern, name, at + strlen(mark));
    return 0;
}

const char *export_onnx(Arena scratch, const char *pattern, const ExportNet *n, bool normalised, int64_t *written)
{
    if (!*pattern) return 0;
    const NetworkRecord *r = n->net;
    OnnxModel m = {.graph = n->graph,
                   .weights = n->weights->weights,
                   .stats = n->weights->stats,
                   .mixing = (const float *const *)n->weights->mixing,
                   .channels = r->input_channels,
                   .height = r->height,
                   .width = r->width,
                   .name = r->run,
                   .version = cli_version()};
    m.description =
        arena_printf(&scratch, "%s for %s, trained on %s; samples are %s", *r->genotype ? r->genotype : r->net, r->task,
                     r->dataset, normalised ? "normalised beforehand" : "as in the dataset");
    if (!normalised) {
        m.mean = r->mean;
        m.sd = r->sd;
        m.target_mean = r->target_mean;
        m.target_sd = r->target_sd;
    }
    const char *path;
    const void *bytes;
    int64_t count;
    const char *why = path_of(&scratch, pattern, r->run, (*written)++, &path);
    if (!why) why = onnx_pack(&scratch, &m, &bytes, &count);
    if (!why) cli_file_put(path, bytes, count);
    return why ? arena_strdup(n->graph->perm, why) : 0;
}

const char *export_npz(Arena scratch, const char *pattern, const ExportNet *n, int64_t *written)
{
    if (!*pattern) return 0;
    const Graph *g = n->graph;
    int64_t count = netio_tensors(g), size;
    NpzArray *all = NEW(&scratch, NpzArray, count);
    for (int64_t i = 0; i < count; i++) {
        NetTensor t = netio_tensor(&scratch, g, i, n->weights->weights, n->weights->stats,
                                   (const float *const *)n->weights->mixing);
        all[i] = (NpzArray){.name = t.name, .head = {.rank = t.rank, .count = t.count}, .data = t.data};
        memcpy(all[i].head.shape, t.shape, (size_t)t.rank * sizeof *t.shape);
    }
    const char *path;
    const void *bytes;
    const char *why = path_of(&scratch, pattern, n->net->run, (*written)++, &path);
    if (!why) why = npz_pack(&scratch, all, count, &bytes, &size);
    if (!why) cli_file_put(path, bytes, size);
    return why ? arena_strdup(g->perm, why) : 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && !strcmp(text + n - k, end);
}

/* The rank-4 shape of a series' kernel of rank 3: (out, in, 1, width). */
static void widen(const Graph *g, TensorRecord *t, int64_t shape[4])
{
    for (int32_t i = 0; i < g->param_count; i++) {
        const Param *p = &g->params[i];
        if (t->rank != 3 || p->rank != 4 || p->shape[2] != 1 || strcmp(p->name, t->name)) continue;
        const int64_t wide[4] = {t->shape[0], t->shape[1], 1, t->shape[2]};
        memcpy(shape, wide, sizeof wide);
        t->shape = shape;
        t->rank = 4;
        return;
    }
}

const char *import_npz(Arena *perm, Arena scratch, const char *path, const Graph *g, NetWeights *out)
{
    NpzArray *all;
    int64_t count;
    int64_t most = (g->weight_count + g->stat_floats) * (int64_t)sizeof(double) + (1 << 20); /* all, and heads */
    const char *why = npz_read(&scratch, path, most, &all, &count);
    if (why) return arena_strdup(perm, why);
    for (int64_t i = 0; i < count; i++) {
        const NpzArray *a = &all[i];
        if (ends_with(a->name, "num_batches_tracked")) continue;
        int64_t shape[4];
        TensorRecord t = {.name = a->name,
                          .shape = all[i].head.shape,
                          .rank = a->head.rank,
                          .dtype = DTYPE_F32,
                          .data = a->data,
                          .data_bytes = a->head.count * (int64_t)sizeof(float)};
        widen(g, &t, shape);
        why = netio_take(perm, g, &t, out);
        if (why) return arena_printf(perm, "%s: %s", path, why);
    }
    const char *missing = netio_missing(perm, g, out);
    return missing ? arena_printf(perm, "%s: tensor %s of the network is not in it", path, missing) : 0;
}
