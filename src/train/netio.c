/* netio: networks and weights as records. */
#include "train/netio.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/task.h"
#include "nn/network.h"
#include "train/settings.h"

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

const char *netio_besides(Arena *perm, const NetworkRecord *n, NetSpec *spec)
{
    const char *share = setting_get(n->settings, n->setting_count, "channel_share");
    const char *skip = setting_get(n->settings, n->setting_count, "auxiliary_skip");
    spec->share = share ? strtoll(share, 0, 10) : 1;
    spec->auxiliary_skip = skip && !strcmp(skip, "on");
    if (spec->share < 1 || n->channels % spec->share)
        return arena_printf(perm, "a channel share of \"%s\" with %lld channels", share, (long long)n->channels);
    return 0;
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
        if (!*why) *why = netio_besides(perm, n, &spec);
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

/* ---- weights ---- */

static const char *const stat_suffix[2] = {"running_mean", "running_var"}; /* the halves of a NormStat */

static void write_tensor(Writer *out, TensorRecord *t, const char *name, const int64_t *shape, int rank,
                         const float *data, int64_t count)
{
    t->name = name;
    t->shape = (int64_t *)shape; /* read only */
    t->rank = rank;
    t->data = data;
    t->data_bytes = count * (int64_t)sizeof(float);
    writer_put(out, &(Record){.kind = REC_TENSOR, .tensor = *t});
}

void netio_write(Writer *out, Arena scratch, const Graph *g, const char *run, const char *set, const float *weights,
                 const float *stats)
{
    TensorRecord t = {.run = run, .set = set, .dtype = DTYPE_F32};
    for (int32_t i = 0; i < g->param_count; i++) {
        const Param *p = &g->params[i];
        write_tensor(out, &t, p->name, p->shape, p->rank, weights + p->offset, p->count);
    }
    for (int32_t i = 0; i < g->stat_count; i++) {
        const NormStat *s = &g->stats[i];
        for (int k = 0; k < 2; k++) {
            Arena once = scratch;
            write_tensor(out, &t, arena_printf(&once, "%s.%s", s->name, stat_suffix[k]), &s->channels, 1,
                         stats + s->offset + k * s->channels, s->channels);
        }
    }
}

/* Is `name` "<norm>.<suffix>"? */
static bool is_stat(const char *name, const char *norm, const char *suffix)
{
    size_t n = strlen(norm);
    return !strncmp(name, norm, n) && name[n] == '.' && !strcmp(name + n + 1, suffix);
}

/* Where the tensor `index` (params, then the two halves of every normalisation) is, and its name test. */
static bool tensor_at(const Graph *g, int64_t index, const char *name)
{
    if (index < g->param_count) return !strcmp(g->params[index].name, name);
    int64_t s = index - g->param_count;
    return is_stat(name, g->stats[s / 2].name, stat_suffix[s % 2]);
}

const char *netio_take(Arena *perm, const Graph *g, const TensorRecord *t, NetWeights *w)
{
    int64_t total = g->param_count + 2 * g->stat_count;
    if (!w->have) {
        w->have = NEW(perm, bool, total);
        w->weights = NEW(perm, float, g->weight_count);
        w->stats = NEW(perm, float, g->stat_floats);
    }
    /* Tensors come in the order in which they were written, so the search begins where the last one was. */
    int64_t index = 0;
    while (index < total && !tensor_at(g, (w->count + index) % total, t->name)) index++;
    if (index == total) return arena_printf(perm, "tensor %s: the network has none of this name", t->name);
    index = (w->count + index) % total;
    const int64_t *shape =
        index < g->param_count ? g->params[index].shape : &g->stats[(index - g->param_count) / 2].channels;
    int rank = index < g->param_count ? g->params[index].rank : 1;
    bool same = t->rank == rank && t->dtype == DTYPE_F32 && t->data;
    int64_t count = 1;
    for (int i = 0; same && i < rank; i++) {
        same = t->shape[i] == shape[i];
        count *= shape[i];
    }
    if (!same || t->data_bytes != count * (int64_t)sizeof(float))
        return arena_printf(perm, "tensor %s: its shape or type is not that of the network", t->name);
    if (w->have[index]) return arena_printf(perm, "tensor %s: a second one of this name", t->name);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(((const float *)t->data)[i]))
            return arena_printf(perm, "tensor %s: a value is not finite", t->name);
    w->have[index] = true;
    w->count++;
    int64_t s = index - g->param_count;
    float *to = s < 0 ? w->weights + g->params[index].offset
                      : w->stats + g->stats[s / 2].offset + s % 2 * g->stats[s / 2].channels;
    memcpy(to, t->data, (size_t)t->data_bytes);
    return 0;
}

const char *netio_missing(Arena *perm, const Graph *g, const NetWeights *w)
{
    for (int64_t i = 0; i < g->param_count + 2 * g->stat_count; i++) {
        if (w->have && w->have[i]) continue;
        if (i < g->param_count) return g->params[i].name;
        int64_t s = i - g->param_count;
        return arena_printf(perm, "%s.%s", g->stats[s / 2].name, stat_suffix[s % 2]);
    }
    return 0;
}
