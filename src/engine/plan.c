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

static int32_t max32(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Calls visit for every value that the operation reads. */
static void each_input(const Graph *g, const Op *op, void (*visit)(void *context, Value v), void *context)
{
    if (op->kind == OP_MIX) {
        for (int32_t i = 0; i < op->mix.count; i++) visit(context, op->mix.terms[i].value);
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
    bool *live;
    int32_t depth, time;
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

static void last_read(void *context, Value v)
{
    Visit *c = context;
    Buffer *b = &c->p->data[v];
    b->death = max32(b->death, c->time);
}

static void first_gradient(void *context, Value v)
{
    Visit *c = context;
    Buffer *b = &c->p->grad[v];
    if (b->birth < 0 || c->time < b->birth) b->birth = c->time;
}

/* Operations come in an order in which inputs precede their users: one pass settles the depth. */
static void plan_groups(Arena *perm, Arena scratch, const Graph *g, Plan *p)
{
    bool *live = NEW(&scratch, bool, g->op_count);
    Visit c = {.g = g, .p = p, .live = live};
    live[g->values[g->logits].op] = true;
    for (int32_t i = g->op_count - 1; i >= 0; i--)
        if (live[i]) each_input(g, &g->ops[i], mark_live, &c);
    p->groups = 0;
    for (int32_t i = 0; i < g->op_count; i++) {
        p->group_of[i] = -1;
        if (!live[i] || g->ops[i].kind == OP_INPUT) continue;
        c.depth = 0;
        each_input(g, &g->ops[i], deepest, &c);
        p->group_of[i] = c.depth;
        p->groups = max32(p->groups, c.depth + 1);
    }
    p->group_start = NEW(perm, int32_t, p->groups + 1);
    p->order = NEW(perm, int32_t, g->op_count);
    int32_t at = 0;
    for (int32_t group = 0; group < p->groups; group++) {
        p->group_start[group] = at;
        for (int32_t i = 0; i < g->op_count; i++)
            if (p->group_of[i] == group) p->order[at++] = i;
    }
    p->group_start[p->groups] = at;
}

static void plan_lives(const Graph *g, Plan *p, int64_t batch, bool forward_only, PlanSize size, const void *context)
{
    Visit c = {.g = g, .p = p};
    for (int32_t v = 0; v < g->value_count; v++) {
        const ValueInfo *info = &g->values[v];
        p->data[v].birth = p->grad[v].birth = -1;
        if (info->op < 0 || (p->group_of[info->op] < 0 && g->ops[info->op].kind != OP_INPUT)) continue;
        int32_t born = max32(p->group_of[info->op], 0), back = 2 * p->groups - 1 - born;
        if (info->kind == VALUE_PLAIN || info->kind == VALUE_RAW) {
            p->data[v].bytes = size(info, batch, context);
            p->data[v].birth = born;
            p->data[v].death = forward_only || info->kind == VALUE_PLAIN ? born : back;
        }
    }
    for (int32_t i = 0; i < p->group_start[p->groups]; i++) {
        const Op *op = &g->ops[p->order[i]];
        int32_t group = p->group_of[p->order[i]], back = 2 * p->groups - 1 - group;
        c.time = forward_only || op->kind == OP_SELECT ? group : back;
        if (op->kind != OP_NOISE) each_input(g, op, last_read, &c);
        if (op->kind == OP_MIX) /* pooled terms are made from their input here, forward and backward */
            for (int32_t t = 0; t < op->mix.count; t++) {
                const ValueInfo *v = &g->values[op->mix.terms[t].value];
                if (v->kind == VALUE_POOLED) last_read(&c, g->ops[v->op].input);
            }
        if (!forward_only && op->kind != OP_MIX && op->kind != OP_NOISE) {
            c.time = back;
            each_input(g, op, first_gradient, &c);
        }
        if (!forward_only && op->kind == OP_MIX)
            for (int32_t t = 0; t < op->mix.count; t++) {
                c.time = back;
                if (g->values[op->mix.terms[t].value].kind == VALUE_PLAIN) first_gradient(&c, op->mix.terms[t].value);
            }
    }
    for (int32_t v = 0; v < g->value_count; v++) {
        const ValueInfo *info = &g->values[v];
        Buffer *b = &p->grad[v];
        if (b->birth < 0 || info->op < 0 || p->group_of[info->op] < 0) continue; /* nobody asks the input's gradient */
        const Op *op = &g->ops[info->op];
        if (op->kind == OP_NOISE) continue;
        b->bytes = size(info, batch, context);
        b->death = 2 * p->groups - 1 - p->group_of[info->op];
        if (op->kind == OP_MIX) /* the producers of its terms read the sum's gradient in their own backward pass */
            for (int32_t t = 0; t < op->mix.count; t++) {
                const ValueInfo *term = &g->values[op->mix.terms[t].value];
                if (term->kind != VALUE_PLAIN) b->death = max32(b->death, 2 * p->groups - 1 - p->group_of[term->op]);
            }
    }
}

static int by_size(const void *a, const void *b)
{
    const Buffer *x = *(Buffer *const *)a, *y = *(Buffer *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return (x->birth > y->birth) - (x->birth < y->birth);
}

static int by_offset(const void *a, const void *b)
{
    const Buffer *x = *(Buffer *const *)a, *y = *(Buffer *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static bool exclusive(const Buffer *x, const Buffer *y)
{
    return x->choice && x->choice == y->choice && x->alternative != y->alternative;
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
            if (buffers[j]->birth <= b->death && b->birth <= buffers[j]->death && !exclusive(buffers[j], b))
                near[n++] = buffers[j];
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
                PlanSize size, const void *context)
{
    assert(!g->error && g->logits >= 0);
    Plan *p = NEW(perm, Plan, 1);
    p->group_of = NEW(perm, int32_t, g->op_count);
    p->data = NEW(perm, Buffer, g->value_count);
    p->grad = NEW(perm, Buffer, g->value_count);
    p->needs_mix_grad = NEW(perm, bool, g->value_count);
    plan_groups(perm, scratch, g, p);
    plan_lives(g, p, batch, forward_only, size, context);
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
        Buffer *all[] = {&p->data[v], &p->grad[v]};
        for (int i = 0; i < 2; i++)
            if (all[i]->bytes) {
                if (single_path && g->values[v].op >= 0) {
                    all[i]->choice = g->ops[g->values[v].op].choice;
                    all[i]->alternative = g->ops[g->values[v].op].alternative;
                }
                all[i]->bytes = (all[i]->bytes + ALIGN - 1) / ALIGN * ALIGN + STAGGER;
                buffers[count++] = all[i];
            }
    }
    p->bytes = plan_place(scratch, buffers, count);
    return p;
}
