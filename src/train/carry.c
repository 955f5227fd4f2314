/* carry: see carry.h. */
#include "train/carry.h"

#include <math.h>
#include <string.h>

void carry_take(Arena *perm, Trained *from, const TensorRecord *t)
{
    if (from->set && strcmp(from->set, t->set)) return;
    if (!from->set) from->set = arena_strdup(perm, t->set);
    GROW(perm, from->tensor, from->count, from->room);
    TensorRecord copy = *t;
    copy.name = arena_strdup(perm, t->name);
    copy.shape = NEW(perm, int64_t, t->rank + 1);
    memcpy(copy.shape, t->shape, (size_t)t->rank * sizeof *copy.shape);
    float *data = NEW(perm, float, t->data_bytes / (int64_t)sizeof(float) + 1);
    memcpy(data, t->data, (size_t)t->data_bytes);
    copy.data = data;
    from->tensor[from->count++] = copy;
}

/* Tensors come in the order in which the graph has them, so the search begins where the last one was. */
static const TensorRecord *find(const Trained *from, const char *name, int64_t *hint)
{
    for (int64_t i = 0; i < from->count; i++) {
        const int64_t at = (*hint + i) % from->count;
        if (strcmp(from->tensor[at].name, name)) continue;
        *hint = at + 1;
        return &from->tensor[at];
    }
    return 0;
}

static bool usable(const TensorRecord *t)
{
    int64_t count = 1;
    for (int64_t i = 0; i < t->rank && count >= 0; i++) count = size_mul(count, t->shape[i]);
    if (t->dtype != DTYPE_F32 || count < 0 || t->data_bytes != count * (int64_t)sizeof(float)) return false;
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(((const float *)t->data)[i])) return false;
    return true;
}

static bool same_shape(const TensorRecord *t, const int64_t *shape, int64_t rank)
{
    bool same = t->rank == rank;
    for (int64_t i = 0; same && i < rank; i++) same = t->shape[i] == shape[i];
    return same;
}

typedef enum { INNER, STEM, HEAD } Place;

static Place place_of(const Graph *g, int32_t param)
{
    for (int32_t i = 0; i < g->op_count; i++) {
        const Op *op = &g->ops[i];
        if (op->weight != param && op->weight2 != param) continue;
        return op->kind == OP_HEAD ? HEAD : op->input == g->input ? STEM : INNER;
    }
    return INNER;
}

/* A kernel (out, in, height, width) whose samples have other channels. */
static bool adapt(const TensorRecord *t, const Param *p, float *to)
{
    const int64_t shape[4] = {p->shape[0], t->rank == 4 ? t->shape[1] : 0, p->shape[2], p->shape[3]};
    if (p->rank != 4 || !same_shape(t, shape, 4) || shape[2] * shape[3] == 1) return false;
    const int64_t taps = shape[2] * shape[3], before = shape[1], now = p->shape[1];
    for (int64_t out = 0; out < shape[0]; out++)
        for (int64_t tap = 0; tap < taps; tap++) {
            double sum = 0;
            for (int64_t c = 0; c < before; c++)
                sum += (double)((const float *)t->data)[(out * before + c) * taps + tap];
            for (int64_t c = 0; c < now; c++) to[(out * now + c) * taps + tap] = (float)(sum / (double)now);
        }
    return true;
}

static const char *fill_statistics(Arena *perm, const Graph *g, const Trained *from, float *stats)
{
    int64_t hint = 0;
    for (int32_t i = 0; i < g->stat_count; i++) {
        const NormStat *s = &g->stats[i];
        for (int k = 0; k < 2; k++) {
            const char *name = arena_printf(perm, "%s.%s", s->name, k ? "running_var" : "running_mean");
            const TensorRecord *t = find(from, name, &hint);
            if (!t || !usable(t) || !same_shape(t, &s->channels, 1)) return name;
            memcpy(stats + s->offset + k * s->channels, t->data, (size_t)t->data_bytes);
        }
    }
    return 0;
}

const char *carry_fill(Arena *perm, const Graph *g, const Trained *from, float *weights, float *stats, Carried *out)
{
    Text names = {0};
    int64_t hint = 0;
    *out = (Carried){.kept = NEW(perm, bool, g->param_count)};
    text_add(perm, &names, "");
    for (int32_t i = 0; i < g->param_count; i++) {
        const Param *p = &g->params[i];
        const TensorRecord *t = find(from, p->name, &hint);
        const bool whole = t && usable(t);
        float *to = weights + p->offset;
        if (whole && same_shape(t, p->shape, p->rank)) {
            memcpy(to, t->data, (size_t)t->data_bytes);
            out->kept[i] = true;
            out->carried += p->count;
            continue;
        }
        const Place place = place_of(g, i);
        if (place == INNER || (t && !whole))
            return arena_printf(perm, "its weights do not fit: %s is %s", p->name,
                                !t      ? "not among them"
                                : whole ? "of another shape"
                                        : "damaged or not finite");
        const bool adapted = place == STEM && whole && adapt(t, p, to);
        *(adapted ? &out->adapted : &out->fresh) += p->count;
        text_addf(perm, &names, "%s%s", *names.s ? ", " : "", p->name);
    }
    out->names = names.s;
    const char *misfit = fill_statistics(perm, g, from, stats);
    return misfit ? arena_printf(perm, "its weights do not fit: %s is not among them, or of another shape", misfit) : 0;
}
