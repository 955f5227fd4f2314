/* plan: see plan.h. */
#include "engine/plan.h"

#include <assert.h>
#include <stdlib.h>

enum {
    ALIGN = 64,
    /* Buffers of a power of two, one after another, would all start in the same cache sets: three lines of distance
     * between them took a fifth off the time of a step. */
    STAGGER = 192
};

const char *const recompute_name[] = {"none", "cell", "node"};

static int32_t max32(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Calls visit for every value that the operation reads; pooled terms of a mix are made there, from their input. */
static void each_input(const Graph *g, const Op *op, void (*visit)(void *context, Value v), void *context)
{
    if (op->kind == OP_MIX) {
        for (int32_t i = 0; i < op->mix.count; i++) {
            const ValueInfo *v = &g->values[op->mix.terms[i].value];
            visit(context, op->mix.terms[i].value);
            if (v->kind == VALUE_POOLED) visit(context, g->ops[v->op].input);
        }
        return;
    }
    if (op->input < 0) return;
    const ValueInfo *v = &g->values[op->input];
    if (v->kind != VALUE_CONCAT) {
        visit(context, op->input);
        return;
    }
    for (int32_t i = 0; i < v->part_count; i++) visit(context, v->parts[i]);
}

typedef struct {
    const Graph *g;
    Plan *p;
    bool *live, *crosses; /* per operation; per value */
    SegmentKind kind;
    int32_t depth, time, segment;
    bool found;
} Visit;

static void mark_live(void *context, Value v)
{
    Visit *c = context;
    c->live[c->g->values[v].op] = true;
}

static void deepest(void *context, Value v)
{
    Visit *c = context;
    c->depth = max32(c->depth, c->p->group_of[c->g->values[v].op] + 1);
}

static void any_mix(void *context, Value v)
{
    Visit *c = context;
    c->found |= c->p->needs_mix_grad[v];
}

static void mark_crossing(void *context, Value v)
{
    Visit *c = context;
    c->crosses[v] |= c->g->ops[c->g->values[v].op].segment[c->kind] != c->segment;
}

static void last_read(void *context, Value v)
{
    Visit *c = context;
    Life *l = &c->p->data[v].life[0];
    l->death = max32(l->death, c->time);
}

static void last_read_again(void *context, Value v)
{
    Visit *c = context;
    Life *l = c->p->data[v].life;
    l += l[1].birth >= 0;
    l->death = max32(l->death, c->time);
}

static void first_gradient(void *context, Value v)
{
    Visit *c = context;
    Life *l = &c->p->grad[v].life[0];
    if (l->birth < 0 || c->time < l->birth) l->birth = c->time;
}

/* Operations come in an order in which inputs precede their users, and segments are runs of it: one pass settles all. */
static void plan_groups(Arena *perm, Arena scratch, const Graph *g, bool forward_only, Plan *p)
{
    bool *live = NEW(&scratch, bool, g->op_count);
    Visit c = {.g = g, .p = p, .live = live};
    live[g->values[g->logits].op] = true;
    if (g->auxiliary >= 0 && !forward_only) live[g->values[g->auxiliary].op] = true;
    for (int32_t i = g->op_count - 1; i >= 0; i--)
        if (live[i]) each_input(g, &g->ops[i], mark_live, &c);
    int32_t segment = 0, base = 0; /* the segment's first group */
    for (int32_t i = 0; i < g->op_count; i++) {
        p->group_of[i] = -1;
        if (!live[i] || g->ops[i].kind == OP_INPUT) continue;
        if (g->ops[i].segment[SEGMENT_NODE] != segment) {
            segment = g->ops[i].segment[SEGMENT_NODE];
            base = p->groups;
        }
        c.depth = base;
        each_input(g, &g->ops[i], deepest, &c);
        p->group_of[i] = c.depth;
        p->groups = max32(p->groups, c.depth + 1);
    }
    p->group_start = NEW(perm, int32_t, p->groups + 1);
    p->order = NEW(perm, int32_t, g->op_count);
    int32_t *at = NEW(&scratch, int32_t, p->groups + 1);
    for (int32_t i = 0; i < g->op_count; i++)
        if (p->group_of[i] >= 0) p->group_start[p->group_of[i] + 1]++;
    for (int32_t group = 0; group < p->groups; group++) {
        p->group_start[group + 1] += p->group_start[group];
        at[group] = p->group_start[group];
    }
    for (int32_t i = 0; i < g->op_count; i++)
        if (p->group_of[i] >= 0) p->order[at[p->group_of[i]]++] = i;
}

/* What settles a plan beside the graph. Segments `exempt` and above keep all their tensors. */
typedef struct {
    SegmentKind kind;
    int32_t exempt;
    const bool *crosses; /* per value: read in another segment than it was made in */
    const int64_t *size; /* per value */
    bool forward_only;
} Choice;

static int32_t segment_of_group(const Graph *g, const Plan *p, SegmentKind kind, int32_t group)
{
    return g->ops[p->order[p->group_start[group]]].segment[kind];
}

static void plan_steps(Arena scratch, const Graph *g, Plan *p, const Choice *how)
{
    bool *group_again = NEW(&scratch, bool, p->groups);
    for (int32_t i = 0; i < g->op_count; i++) {
        const Op *op = &g->ops[i];
        p->again[i] = p->group_of[i] >= 0 && how->size[op->output] && !how->crosses[op->output] &&
                      op->segment[how->kind] < how->exempt && !how->forward_only;
        if (p->again[i]) group_again[p->group_of[i]] = true;
    }
    p->steps = 0;
    for (int32_t group = 0; group < p->groups; group++) p->step[p->steps++] = (Step){STEP_FORWARD, group};
    for (int32_t end = how->forward_only ? 0 : p->groups, start; end > 0; end = start) {
        int32_t segment = segment_of_group(g, p, how->kind, end - 1);
        for (start = end - 1; start > 0 && segment_of_group(g, p, how->kind, start - 1) == segment;) start--;
        for (int32_t group = start; group < end; group++)
            if (group_again[group]) p->step[p->steps++] = (Step){STEP_AGAIN, group};
        for (int32_t group = end - 1; group >= start; group--) p->step[p->steps++] = (Step){STEP_BACKWARD, group};
    }
}

static void plan_lives(Arena scratch, const Graph *g, Plan *p, const Choice *how)
{
    const Life never = {-1, -1};
    Visit c = {.g = g, .p = p};
    int32_t *back = NEW(&scratch, int32_t, p->groups), *again = NEW(&scratch, int32_t, p->groups);
    for (int32_t s = p->groups; s < p->steps; s++) (p->step[s].kind == STEP_AGAIN ? again : back)[p->step[s].group] = s;
    for (int32_t v = 0; v < g->value_count; v++) {
        const ValueInfo *info = &g->values[v];
        Buffer *b = &p->data[v];
        *b = p->grad[v] = (Buffer){.life = {never, never}};
        if (info->op < 0 || (p->group_of[info->op] < 0 && g->ops[info->op].kind != OP_INPUT) || !how->size[v]) continue;
        int32_t group = max32(p->group_of[info->op], 0);
        b->bytes = how->size[v];
        b->life[0] = (Life){group, group};
        if (p->again[info->op]) b->life[1] = (Life){again[group], again[group]};
        bool reread = info->kind == VALUE_RAW || g->ops[info->op].kind == OP_RESIZE;
        if (reread && !how->forward_only) /* its producer reads it in the backward pass */
            b->life[p->again[info->op]].death = back[group];
    }
    for (int32_t i = 0; i < p->group_start[p->groups]; i++) {
        const Op *op = &g->ops[p->order[i]];
        int32_t group = p->group_of[p->order[i]];
        if (op->kind == OP_NOISE) continue; /* only the shape of its input matters */
        c.time = group;
        each_input(g, op, last_read, &c);
        if (how->forward_only) continue;
        c.time = op->kind != OP_SELECT ? back[group] : p->again[p->order[i]] ? again[group] : group;
        each_input(g, op, last_read_again, &c);
        c.time = back[group];
        if (op->kind != OP_MIX) each_input(g, op, first_gradient, &c);
        for (int32_t t = 0; op->kind == OP_MIX && t < op->mix.count; t++)
            if (g->values[op->mix.terms[t].value].kind == VALUE_PLAIN) first_gradient(&c, op->mix.terms[t].value);
    }
    for (int32_t v = 0; v < g->value_count; v++) {
        const ValueInfo *info = &g->values[v];
        Buffer *b = &p->grad[v];
        if (b->life[0].birth < 0 || info->op < 0 || p->group_of[info->op] < 0) { /* nobody asks the input's gradient */
            b->life[0] = never;
            continue;
        }
        const Op *op = &g->ops[info->op];
        if (op->kind == OP_NOISE) continue;
        b->bytes = how->size[v];
        b->life[0].death = back[p->group_of[info->op]];
        if (op->kind == OP_MIX) /* the producers of its terms read the sum's gradient in their own backward pass */
            for (int32_t t = 0; t < op->mix.count; t++) {
                const ValueInfo *term = &g->values[op->mix.terms[t].value];
                if (term->kind != VALUE_PLAIN) b->life[0].death = max32(b->life[0].death, back[p->group_of[term->op]]);
            }
    }
}

/* Most bytes that are alive at once. */
static int64_t plan_peak(Arena scratch, const Graph *g, const Plan *p)
{
    int64_t *change = NEW(&scratch, int64_t, p->steps + 1), now = 0, most = 0;
    for (int32_t i = 0; i < 2 * g->value_count; i++) {
        const Buffer *b = i < g->value_count ? &p->data[i] : &p->grad[i - g->value_count];
        for (int k = 0; b->bytes && k < 2; k++)
            if (b->life[k].birth >= 0) {
                change[b->life[k].birth] += b->bytes;
                change[b->life[k].death + 1] -= b->bytes;
            }
    }
    for (int32_t s = 0; s < p->steps; s++) {
        now += change[s];
        if (now > most) most = now;
    }
    return most;
}

/* Finds the segments to recompute: as few as give the least peak. */
static void plan_settle(Arena scratch, const Graph *g, Plan *p, Choice *how)
{
    bool *crosses = NEW(&scratch, bool, g->value_count);
    Visit c = {.g = g, .p = p, .crosses = crosses, .kind = how->kind};
    for (int32_t i = 0; i < p->group_start[p->groups]; i++) {
        c.segment = g->ops[p->order[i]].segment[how->kind];
        each_input(g, &g->ops[p->order[i]], mark_crossing, &c);
    }
    how->crosses = crosses;
    how->exempt = g->ops[g->values[g->logits].op].segment[how->kind];
    plan_steps(scratch, g, p, how);
    plan_lives(scratch, g, p, how);
    if (how->forward_only) return;
    int64_t least = plan_peak(scratch, g, p);
    int32_t low = 0, high = how->exempt;
    while (low < high) { /* the peak rises with every segment that is exempt too */
        how->exempt = low + (high - low) / 2;
        plan_steps(scratch, g, p, how);
        plan_lives(scratch, g, p, how);
        if (plan_peak(scratch, g, p) <= least)
            high = how->exempt;
        else
            low = how->exempt + 1;
    }
    how->exempt = low;
    plan_steps(scratch, g, p, how);
    plan_lives(scratch, g, p, how);
}

static int by_size(const void *a, const void *b)
{
    const Buffer *x = *(Buffer *const *)a, *y = *(Buffer *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return (x->life[0].birth > y->life[0].birth) - (x->life[0].birth < y->life[0].birth);
}

static int by_offset(const void *a, const void *b)
{
    const Buffer *x = *(Buffer *const *)a, *y = *(Buffer *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static bool meet(const Buffer *a, const Buffer *b)
{
    if (a->choice && a->choice == b->choice && a->alternative != b->alternative) return false;
    for (int i = 0; i < 4; i++) {
        const Life *x = &a->life[i / 2], *y = &b->life[i % 2];
        if (x->birth >= 0 && y->birth >= 0 && x->birth <= y->death && y->birth <= x->death) return true;
    }
    return false;
}

/* Largest first, each at the lowest offset where no living neighbour is: close to the peak of what is alive. */
static int64_t plan_place(Arena scratch, Buffer **buffers, int32_t count)
{
    Buffer **near = NEW(&scratch, Buffer *, count);
    int64_t top = 0;
    qsort(buffers, (size_t)count, sizeof *buffers, by_size);
    for (int32_t i = 0; i < count; i++) {
        Buffer *b = buffers[i];
        int32_t n = 0;
        for (int32_t j = 0; j < i; j++)
            if (meet(buffers[j], b)) near[n++] = buffers[j];
        qsort(near, (size_t)n, sizeof *near, by_offset);
        b->offset = 0;
        for (int32_t j = 0; j < n; j++) {
            if (near[j]->offset >= b->offset + b->bytes) break;
            int64_t end = near[j]->offset + near[j]->bytes;
            if (end > b->offset) b->offset = end;
        }
        if (b->offset + b->bytes > top) top = b->offset + b->bytes;
    }
    return top;
}

Plan *plan_make(Arena *perm, Arena scratch, const Graph *g, int64_t batch, bool forward_only, bool single_path,
                SegmentKind recompute, PlanSize size, const void *context)
{
    assert(!g->error && g->logits >= 0 && recompute >= 0 && recompute < SEGMENT_KIND_COUNT);
    Plan *p = NEW(perm, Plan, 1);
    p->group_of = NEW(perm, int32_t, g->op_count);
    p->again = NEW(perm, bool, g->op_count);
    p->data = NEW(perm, Buffer, g->value_count);
    p->grad = NEW(perm, Buffer, g->value_count);
    p->needs_mix_grad = NEW(perm, bool, g->value_count);
    plan_groups(perm, scratch, g, forward_only, p);
    p->step = NEW(perm, Step, 3 * p->groups);
    int64_t *sizes = NEW(&scratch, int64_t, g->value_count);
    for (int32_t v = 0; v < g->value_count; v++)
        if (g->values[v].kind == VALUE_PLAIN || g->values[v].kind == VALUE_RAW)
            sizes[v] = (size(&g->values[v], batch, context) + ALIGN - 1) / ALIGN * ALIGN + STAGGER;
    Choice how = {.kind = recompute, .size = sizes, .forward_only = forward_only};
    plan_settle(scratch, g, p, &how);
    for (int32_t i = 0; i < g->op_count; i++) {
        const Op *op = &g->ops[i];
        Visit c = {.g = g, .p = p};
        each_input(g, op, any_mix, &c);
        if (op->kind == OP_MIX)
            for (int32_t t = 0; t < op->mix.count; t++) c.found |= op->mix.terms[t].table >= 0;
        p->needs_mix_grad[op->output] = c.found;
    }
    Buffer **buffers = NEW(&scratch, Buffer *, 2 * g->value_count);
    int32_t count = 0;
    for (int32_t v = 0; v < g->value_count; v++) {
        Buffer *both[] = {&p->data[v], &p->grad[v]};
        for (int i = 0; i < 2; i++) {
            if (!both[i]->bytes) continue;
            if (single_path && g->values[v].op >= 0) {
                both[i]->choice = g->ops[g->values[v].op].choice;
                both[i]->alternative = g->ops[g->values[v].op].alternative;
            }
            buffers[count++] = both[i];
        }
    }
    p->bytes = plan_place(scratch, buffers, count);
    return p;
}
