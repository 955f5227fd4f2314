/* netio: networks and weights as records. */
#include "train/netio.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/task.h"
#include "nn/network.h"
#include "train/settings.h"
#include "train/supernet.h"

const char netio_genotype[] = "genotype", netio_supernet[] = "supernet";

void netio_fit(NetworkRecord *n, const DatasetInfo *d)
{
    n->input_channels = d->channels;
    n->height = d->height;
    n->width = d->width;
    n->outputs = d->outputs;
    n->task = d->task;
    n->dataset = d->name;
    n->mean = d->mean;
    n->sd = d->sd;
    n->target_mean = d->target_mean;
    n->target_sd = d->target_sd;
    n->class_weight = d->class_weight;
    n->tree = d->tree ? d->tree : "";
}

static int64_t whole_setting(const NetworkRecord *n, const char *key)
{
    const char *text = setting_get(n->settings, n->setting_count, key);
    return text ? strtoll(text, 0, 10) : 0;
}

const char *netio_space(Arena *perm, const NetworkRecord *n, Space *out)
{
    const char *ops = setting_get(n->settings, n->setting_count, "ops");
    return space_make(perm, ops ? ops : "", whole_setting(n, "nodes"), whole_setting(n, "inputs"),
                      whole_setting(n, "concat"), out);
}

Graph *netio_build(Arena *perm, const NetworkRecord *n, const char **why)
{
    const Task *task = task_find(n->task);
    *why = task ? 0 : arena_printf(perm, "unknown task \"%s\"", n->task);
    if (!*why) *why = dataset_check_shape(perm, n->input_channels, n->height, n->width, DTYPE_F32);
    if (!*why && (n->outputs < 1 || n->outputs > DATASET_MAX_OUTPUTS))
        *why = arena_printf(perm, "%lld outputs", (long long)n->outputs);
    if (*why) return 0;
    NetSpec spec = {.input_channels = n->input_channels,
                    .height = n->height,
                    .width = n->width,
                    .outputs = n->outputs,
                    .loss = task->loss,
                    .channels = n->channels,
                    .layers = n->layers,
                    .stem_multiplier = 3};
    *why = task_detail(perm, task, n->outputs, n->class_weight, n->tree, &spec.detail);
    if (*why) return 0;
    const char *reduce = setting_get(n->settings, n->setting_count, "reduce_at");
    const char *auxiliary = setting_get(n->settings, n->setting_count, "auxiliary");
    if (auxiliary) spec.auxiliary = strtod(auxiliary, 0);
    if (!(spec.auxiliary >= 0 && spec.auxiliary <= 100)) *why = arena_printf(perm, "auxiliary weight %s", auxiliary);
    if (*why) return 0;
    *why = reduce_parse(perm, reduce ? reduce : "", n->layers, spec.reduce_at, COUNTOF(spec.reduce_at),
                        &spec.reduce_count);
    if (*why) return 0;
    if (!strcmp(n->net, netio_supernet)) {
        Space s;
        *why = netio_space(perm, n, &s);
        if (!*why) *why = supernet_parts(perm, n, &s, &spec);
        if (*why) return 0;
        Graph *g = network_supernet(perm, &s, &spec);
        *why = g->error;
        return *why ? 0 : g;
    }
    if (strcmp(n->net, netio_genotype)) return network_named(perm, n->net, &spec, why);
    Genotype t;
    *why = genotype_parse(perm, n->genotype, &t);
    if (*why) return 0;
    Graph *g = network_genotype(perm, &t, &spec);
    *why = g->error;
    return *why ? 0 : g;
}

static double *copy_reals(Arena *perm, const double *from, int64_t n)
{
    if (!from) return 0;
    double *to = NEW(perm, double, n);
    memcpy(to, from, (size_t)n * sizeof *to);
    return to;
}

NetworkRecord netio_copy(Arena *perm, const NetworkRecord *n)
{
    NetworkRecord c = *n;
    const char **const text[] = {&c.run, &c.net, &c.genotype, &c.task, &c.dataset, &c.tree};
    for (int i = 0; i < COUNTOF(text); i++) *text[i] = arena_strdup(perm, *text[i]);
    c.mean = copy_reals(perm, n->mean, n->input_channels);
    c.sd = copy_reals(perm, n->sd, n->input_channels);
    c.target_mean = copy_reals(perm, n->target_mean, n->outputs);
    c.target_sd = copy_reals(perm, n->target_sd, n->outputs);
    c.class_weight = copy_reals(perm, n->class_weight, n->outputs);
    c.settings = n->setting_count ? NEW(perm, Setting, n->setting_count) : 0;
    for (int64_t i = 0; i < n->setting_count; i++)
        c.settings[i] = (Setting){arena_strdup(perm, n->settings[i].key), arena_strdup(perm, n->settings[i].value)};
    return c;
}

static bool reals_usable(const double *v, int64_t n, bool positive)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v[i]) || (positive && v[i] <= 0)) return false;
    return true;
}

const char *netio_mismatch(Arena *perm, const NetworkRecord *n, const DatasetInfo *d)
{
    if (strcmp(n->task, d->task)) return arena_printf(perm, "it is for %s, the data for %s", n->task, d->task);
    if (n->input_channels != d->channels || n->height != d->height || n->width != d->width)
        return arena_printf(perm, "it takes %lldx%lldx%lld, the data are %lldx%lldx%lld", (long long)n->input_channels,
                            (long long)n->height, (long long)n->width, (long long)d->channels, (long long)d->height,
                            (long long)d->width);
    if (n->outputs != d->outputs)
        return arena_printf(perm, "it has %lld outputs, the data %lld", (long long)n->outputs, (long long)d->outputs);
    if (strcmp(n->dataset, d->name))
        return arena_printf(perm, "it was trained on %s, the data are %s", n->dataset, d->name);
    if (!n->mean || !n->sd || !reals_usable(n->mean, n->input_channels, false) ||
        !reals_usable(n->sd, n->input_channels, true))
        return "its record lacks a usable normalisation";
    if (task_find(d->task)->loss == LOSS_MSE &&
        (!n->target_mean || !n->target_sd || !reals_usable(n->target_mean, n->outputs, false) ||
         !reals_usable(n->target_sd, n->outputs, true)))
        return "its record lacks a usable normalisation of the targets";
    if (strcmp(n->tree, d->tree ? d->tree : "")) return "its tree of questions is not that of the data";
    return 0;
}

static bool same_reals(const double *a, const double *b, int64_t n)
{
    return (!a && !b) || (a && b && !memcmp(a, b, (size_t)n * sizeof *a));
}

const char *netio_normalised(const NetworkRecord *n, const DatasetInfo *d)
{
    if (same_reals(n->mean, d->mean, d->channels) && same_reals(n->sd, d->sd, d->channels) &&
        same_reals(n->target_mean, d->target_mean, d->outputs) && same_reals(n->target_sd, d->target_sd, d->outputs))
        return 0;
    return "its normalisation is not that of the data: were they ingested in another way?";
}

/* ---- weights ---- */

static const char *const stat_suffix[2] = {"running_mean", "running_var"}; /* the halves of a NormStat */
static const char table_prefix[] = "mixing.";

/* The tensors of a graph, counted: parameters, the two halves of every normalisation, tables of mixing weights. */
typedef enum { PLACE_PARAM, PLACE_STAT, PLACE_TABLE } PlaceKind;
typedef struct {
    PlaceKind kind;
    int64_t index; /* of its kind; of the two halves of a normalisation: half */
    int half;
    const int64_t *shape;
    int rank;
    int64_t offset, count; /* in the block of weights, of statistics, or of this table */
} Place;

static Place tensor_place(const Graph *g, int64_t i)
{
    if (i < g->param_count) {
        const Param *p = &g->params[i];
        return (Place){PLACE_PARAM, i, 0, p->shape, p->rank, p->offset, p->count};
    }
    i -= g->param_count;
    if (i < 2 * g->stat_count) {
        const NormStat *s = &g->stats[i / 2];
        return (Place){PLACE_STAT, i / 2, (int)(i % 2), &s->channels, 1, s->offset + i % 2 * s->channels, s->channels};
    }
    i -= 2 * g->stat_count;
    return (Place){PLACE_TABLE, i, 0, &g->tables[i].count, 1, 0, g->tables[i].count};
}

static const char *tensor_name(Arena *a, const Graph *g, int64_t i)
{
    Place p = tensor_place(g, i);
    if (p.kind == PLACE_PARAM) return g->params[p.index].name;
    if (p.kind == PLACE_TABLE) return arena_printf(a, "%s%s", table_prefix, g->tables[p.index].name);
    return arena_printf(a, "%s.%s", g->stats[p.index].name, stat_suffix[p.half]);
}

/* Is this the name of tensor i? */
static bool tensor_is(const Graph *g, int64_t i, const char *name)
{
    Place p = tensor_place(g, i);
    if (p.kind == PLACE_PARAM) return !strcmp(g->params[p.index].name, name);
    const char *first = p.kind == PLACE_TABLE ? table_prefix : g->stats[p.index].name;
    const char *rest = p.kind == PLACE_TABLE ? g->tables[p.index].name : stat_suffix[p.half];
    size_t n = strlen(first);
    if (strncmp(name, first, n)) return false;
    return p.kind == PLACE_TABLE ? !strcmp(name + n, rest) : name[n] == '.' && !strcmp(name + n + 1, rest);
}

int64_t netio_tensors(const Graph *g)
{
    return g->param_count + 2 * g->stat_count + g->table_count;
}

NetTensor netio_tensor(Arena *perm, const Graph *g, int64_t i, const float *weights, const float *stats,
                       const float *const *mixing)
{
    Place p = tensor_place(g, i);
    const float *from = p.kind == PLACE_PARAM ? weights : p.kind == PLACE_STAT ? stats : mixing ? mixing[p.index] : 0;
    return (NetTensor){tensor_name(perm, g, i), p.shape, p.rank, p.count, from ? from + p.offset : 0};
}

void netio_write(Writer *out, Arena scratch, const Graph *g, const char *run, const char *set, const float *weights,
                 const float *stats, const float *const *mixing)
{
    for (int64_t i = 0; i < netio_tensors(g); i++) {
        Arena once = scratch;
        NetTensor n = netio_tensor(&once, g, i, weights, stats, mixing);
        TensorRecord t = {.run = run,
                          .set = set,
                          .name = n.name,
                          .shape = (int64_t *)n.shape, /* read only */
                          .rank = n.rank,
                          .dtype = DTYPE_F32,
                          .data = n.data,
                          .data_bytes = n.count * (int64_t)sizeof(float)};
        writer_put(out, &(Record){.kind = REC_TENSOR, .tensor = t});
    }
}

static const char *shape_text(Arena *a, const int64_t *shape, int64_t rank)
{
    Text t = {0};
    for (int64_t i = 0; i < rank; i++) text_addf(a, &t, "%s%lld", i ? "x" : "", (long long)shape[i]);
    return t.s ? t.s : "a number";
}

const char *netio_take(Arena *perm, const Graph *g, const TensorRecord *t, NetWeights *w)
{
    int64_t total = netio_tensors(g);
    if (!w->have) {
        w->graph = g;
        w->have = NEW(perm, bool, total);
        w->weights = NEW(perm, float, g->weight_count);
        w->stats = NEW(perm, float, g->stat_floats);
        w->mixing = NEW(perm, float *, g->table_count);
        for (int32_t i = 0; i < g->table_count; i++) w->mixing[i] = NEW(perm, float, g->tables[i].count);
    }
    /* Tensors come in the order in which they were written, so the search begins where the last one was. */
    int64_t index = 0;
    while (index < total && !tensor_is(g, (w->count + index) % total, t->name)) index++;
    if (index == total) return arena_printf(perm, "tensor %s: the network has none of this name", t->name);
    index = (w->count + index) % total;
    Place p = tensor_place(g, index);
    bool same = t->rank == p.rank && t->dtype == DTYPE_F32 && t->data;
    for (int i = 0; same && i < p.rank; i++) same = t->shape[i] == p.shape[i];
    if (!same || t->data_bytes != p.count * (int64_t)sizeof(float))
        return arena_printf(perm, "tensor %s: its shape or type is not that of the network: %s, there %s", t->name,
                            shape_text(perm, t->shape, t->rank), shape_text(perm, p.shape, p.rank));
    if (w->have[index]) return arena_printf(perm, "tensor %s: a second one of this name", t->name);
    for (int64_t i = 0; i < p.count; i++)
        if (!isfinite(((const float *)t->data)[i]))
            return arena_printf(perm, "tensor %s: a value is not finite", t->name);
    w->have[index] = true;
    w->count++;
    float *to = p.kind == PLACE_PARAM ? w->weights : p.kind == PLACE_STAT ? w->stats : w->mixing[p.index];
    memcpy(to + p.offset, t->data, (size_t)t->data_bytes);
    return 0;
}

const char *netio_digest(Arena *perm, const NetWeights *w)
{
    const Graph *g = w->graph;
    uint64_t hash = dataset_hash(0, w->weights, g->weight_count * (int64_t)sizeof(float));
    hash = dataset_hash(hash, w->stats, g->stat_floats * (int64_t)sizeof(float));
    for (int32_t i = 0; i < g->table_count; i++)
        hash = dataset_hash(hash, w->mixing[i], g->tables[i].count * (int64_t)sizeof(float));
    return arena_printf(perm, "%016llx", (unsigned long long)hash);
}

bool netio_is_alpha(const char *name)
{
    return !strncmp(name, "alphas_", 7);
}

const char *netio_missing(Arena *perm, const Graph *g, const NetWeights *w)
{
    for (int64_t i = 0; i < netio_tensors(g); i++)
        if (!w->have || !w->have[i]) return tensor_name(perm, g, i);
    return 0;
}
