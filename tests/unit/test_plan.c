/* test_plan: schedules and places of tensors, checked by brute force: the steps of a plan are played on a map of its
 * arena in which every cell knows the tensor that wrote it last, by what the operations read and write (kernels.h), not by
 * what the plan believes of its lives. Random graphs, with segments that begin anywhere.
 */
#include "base/rng.h"
#include "engine/plan.h"
#include "nn/network.h"
#include "tests/unit/check.h"

#include <stdlib.h>

static Arena memory, scratch; /* every test works on copies */

enum { CELL = 64 }; /* bytes of a cell of the map */

static int64_t tensor_bytes(const ValueInfo *v, int64_t batch, const void *context)
{
    (void)context;
    return batch * v->channels * v->height * v->width * (int64_t)sizeof(float);
}

/* ---- playing a plan ---- */

typedef struct {
    const Graph *g;
    const Plan *p;
    int32_t *owner; /* per cell of the arena: a buffer, 2*value + (1: its gradient), or -1 */
    int32_t step;
    int32_t *touched, touched_count;     /* buffers in this step */
    Life (*seen)[2];                     /* per buffer: first and last touch, before and after a tensor is made again */
    int64_t faults;                      /* reads of what is not there */
    int64_t *forward, *again, *backward; /* runs per operation */
} Play;

static const Buffer *buffer_of(const Play *t, int32_t id)
{
    return id % 2 ? &t->p->grad[id / 2] : &t->p->data[id / 2];
}

static bool whole(const Play *t, int32_t id)
{
    const Buffer *b = buffer_of(t, id);
    for (int64_t c = b->offset / CELL; c < (b->offset + b->bytes) / CELL; c++)
        if (t->owner[c] != id) return false;
    return true;
}

static void touch(Play *t, int32_t id, int which)
{
    Life *l = &t->seen[id][which];
    if (l->birth < 0) l->birth = t->step;
    l->death = t->step;
    t->touched[t->touched_count++] = id;
}

static bool made_again(const Play *t, int32_t id)
{
    return t->seen[id][1].birth >= 0;
}

static void read_(Play *t, int32_t id)
{
    t->faults += !buffer_of(t, id)->bytes || !whole(t, id);
    touch(t, id, made_again(t, id));
}

static void write_(Play *t, int32_t id, bool again)
{
    const Buffer *b = buffer_of(t, id);
    t->faults += !b->bytes || b->offset % CELL || b->bytes % CELL || b->offset + b->bytes > t->p->bytes;
    for (int64_t c = b->offset / CELL; c < (b->offset + b->bytes) / CELL; c++) t->owner[c] = id;
    touch(t, id, again || made_again(t, id));
}

/* The tensors behind a value: its own, those of its parts, the one that it is pooled from. Returns their count. */
static int32_t tensors_of(const Graph *g, Value v, Value *to)
{
    const ValueInfo *info = &g->values[v];
    if (info->kind == VALUE_CONCAT) {
        memcpy(to, info->parts, (size_t)info->part_count * sizeof *to);
        return info->part_count;
    }
    *to = info->kind == VALUE_POOLED ? g->ops[info->op].input : v;
    return 1;
}

static void read_inputs(Play *t, const Op *op)
{
    Value v[64];
    int32_t inputs = op->kind == OP_MIX ? op->mix.count : 1;
    for (int32_t i = 0; i < inputs; i++) {
        int32_t count = tensors_of(t->g, op->kind == OP_MIX ? op->mix.terms[i].value : op->input, v);
        for (int32_t k = 0; k < count; k++) read_(t, 2 * v[k]);
    }
}

/* The gradient that an operation's backward pass starts from; -1: the loss. */
static int32_t gradient_of(const Graph *g, const Op *op)
{
    const ValueInfo *out = &g->values[op->output];
    if (out->kind == VALUE_LOGITS) return -1;
    for (int32_t i = 0; i < g->op_count && out->kind != VALUE_PLAIN; i++) /* a mix gives its terms its own */
        for (int32_t k = 0; g->ops[i].kind == OP_MIX && k < g->ops[i].mix.count; k++)
            if (g->ops[i].mix.terms[k].value == op->output) return 2 * g->ops[i].output + 1;
    return 2 * op->output + 1;
}

static void add_gradient(Play *t, Value v)
{
    if (v == t->g->input) return;
    int32_t id = 2 * v + 1;
    if (t->g->values[v].kind == VALUE_RAW)
        write_(t, id, false);
    else
        read_(t, id); /* added to */
}

static void backward(Play *t, const Op *op)
{
    Value v[64];
    bool conv = op->kind == OP_CONV || op->kind == OP_SEPCONV;
    int32_t from = gradient_of(t->g, op);
    if (from >= 0) read_(t, from);
    if (conv) read_(t, 2 * op->output);
    read_inputs(t, op);
    if (op->kind == OP_MIX) {
        for (int32_t i = 0; i < op->mix.count; i++)
            if (t->g->values[op->mix.terms[i].value].kind == VALUE_PLAIN) add_gradient(t, op->mix.terms[i].value);
        return;
    }
    int32_t count = tensors_of(t->g, op->input, v);
    for (int32_t k = 0; k < count; k++) add_gradient(t, v[k]);
}

static void play_group(Play *t, Step s)
{
    const Plan *p = t->p;
    int32_t from = p->group_start[s.group], to = p->group_start[s.group + 1];
    t->touched_count = 0;
    for (int32_t v = 0; s.kind == STEP_BACKWARD && v < t->g->value_count; v++) /* zeroed, before they are added to */
        if (t->g->values[v].kind == VALUE_PLAIN && p->grad[v].bytes && p->grad[v].life[0].birth == t->step)
            write_(t, 2 * v + 1, false);
    for (int32_t i = from; i < to; i++) {
        int32_t index = p->order[s.kind == STEP_BACKWARD ? from + to - 1 - i : i];
        const Op *op = &t->g->ops[index];
        if (s.kind == STEP_BACKWARD) {
            backward(t, op);
            t->backward[index]++;
            continue;
        }
        if (s.kind == STEP_AGAIN && !p->again[index]) continue;
        (s.kind == STEP_AGAIN ? t->again : t->forward)[index]++;
        read_inputs(t, op);
        if (t->g->values[op->output].kind == VALUE_PLAIN || t->g->values[op->output].kind == VALUE_RAW)
            write_(t, 2 * op->output, s.kind == STEP_AGAIN);
    }
    /* The operations of a group may run at once: what one of them uses another must not have overwritten. */
    for (int32_t i = 0; i < t->touched_count; i++) t->faults += !whole(t, t->touched[i]);
}

static bool overlap(Life a, Life b)
{
    return a.birth >= 0 && b.birth >= 0 && a.birth <= b.death && b.birth <= a.death;
}

static void check_plan(const char *what, Arena a, const Graph *g, const Plan *p, bool forward_only)
{
    int32_t buffers = 2 * g->value_count;
    Play t = {.g = g, .p = p, .touched = NEW(&a, int32_t, 1 << 16), .owner = NEW(&a, int32_t, p->bytes / CELL)};
    t.seen = (Life(*)[2])(void *)NEW(&a, Life, 2 * buffers);
    t.forward = NEW(&a, int64_t, g->op_count), t.again = NEW(&a, int64_t, g->op_count);
    t.backward = NEW(&a, int64_t, g->op_count);
    for (int64_t c = 0; c < p->bytes / CELL; c++) t.owner[c] = -1;
    for (int32_t i = 0; i < buffers; i++) t.seen[i][0] = t.seen[i][1] = (Life){-1, -1};
    write_(&t, 2 * g->input, false); /* the batch comes before the first step */
    for (t.step = 0; t.step < p->steps; t.step++) {
        Step s = p->step[t.step];
        CHECK_MSG((s.kind == STEP_FORWARD) == (t.step < p->groups) && (t.step >= p->groups || s.group == t.step),
                  "%s: step %d is no step of the forward pass", what, t.step);
        play_group(&t, s);
        if (!CHECK_MSG(!t.faults, "%s: step %d (kind %d, group %d): %d tensors are not there", what, t.step, s.kind,
                       s.group, (int)t.faults))
            return;
    }
    for (int32_t i = 0; i < g->op_count; i++) {
        bool live = p->group_of[i] >= 0;
        CHECK_MSG(t.forward[i] == live && t.backward[i] == (live && !forward_only) && t.again[i] == p->again[i],
                  "%s: operation %d ran %d, %d and %d times", what, i, (int)t.forward[i], (int)t.again[i],
                  (int)t.backward[i]);
    }
    for (int32_t i = 0; i < buffers; i++) {
        const Buffer *b = buffer_of(&t, i);
        for (int k = 0; k < 2; k++)
            CHECK_MSG((!b->bytes && t.seen[i][k].birth < 0) || !memcmp(&b->life[k], &t.seen[i][k], sizeof(Life)),
                      "%s: value %d%s is used in steps %d to %d, planned for %d to %d", what, i / 2,
                      i % 2 ? "'s gradient" : "", t.seen[i][k].birth, t.seen[i][k].death, b->life[k].birth,
                      b->life[k].death);
        for (int32_t j = 0; j < i && b->bytes; j++) {
            const Buffer *c = buffer_of(&t, j);
            bool meet = overlap(b->life[0], c->life[0]) || overlap(b->life[0], c->life[1]) ||
                        overlap(b->life[1], c->life[0]) || overlap(b->life[1], c->life[1]);
            bool apart = b->offset + b->bytes <= c->offset || c->offset + c->bytes <= b->offset;
            CHECK_MSG(!c->bytes || !meet || apart, "%s: buffers %d and %d share bytes", what, i, j);
        }
    }
}

/* ---- graphs ---- */

typedef struct {
    uint64_t seed, at;
    Graph *g;
    Value plain[64];
    int count;
} Maker;

static int64_t draw(Maker *m, int64_t n) /* 0 … n-1 */
{
    return (int64_t)(rng_uniform(m->seed, RNG_TEST, m->at++) * (double)n);
}

static void maybe_segment(Maker *m)
{
    int64_t d = draw(m, 12);
    if (d < 2) graph_segment(m->g, d ? SEGMENT_CELL : SEGMENT_NODE);
}

static ConvSpec spec3(int64_t channels, bool norm)
{
    return (ConvSpec){.relu = true,
                      .out_channels = channels,
                      .kernel_h = 3,
                      .kernel_w = 3,
                      .stride_h = 1,
                      .stride_w = 1,
                      .pad_h = 1,
                      .pad_w = 1,
                      .dilation_h = 1,
                      .dilation_w = 1,
                      .norm = norm ? NORM_AFFINE : NORM_NONE};
}

/* A term of `channels` channels: a plain value, a pooled one, or the end of a chain of convolutions. */
static Term make_term(Maker *m, int64_t channels)
{
    Graph *g = m->g;
    Term term = {.table = -1, .relu = draw(m, 4) == 0};
    Value x = m->plain[draw(m, m->count)];
    bool fits = g->values[x].channels == channels;
    int64_t kind = draw(m, 4);
    if (fits && !kind) {
        term.value = x;
    } else if (fits && kind == 1) {
        PoolSpec s = {.kernel_h = 3, .kernel_w = 3, .stride_h = 1, .stride_w = 1, .pad_h = 1, .pad_w = 1};
        term.value = graph_pool(g, x, s, 0);
    } else {
        if (kind == 2) {
            Value parts[3] = {x, m->plain[draw(m, m->count)], m->plain[draw(m, m->count)]};
            x = graph_conv(g, graph_concat(g, parts, 1 + (int32_t)draw(m, 3)), spec3(channels, true), "c", "n");
        }
        for (int64_t more = kind != 2 ? 1 + draw(m, 3) : draw(m, 2); more > 0; more--) {
            maybe_segment(m);
            x = graph_sepconv(g, x, spec3(channels, draw(m, 2)), "d|p", "n");
        }
        term.value = x;
    }
    maybe_segment(m);
    return term;
}

static Graph *random_graph(Arena *a, uint64_t seed)
{
    Maker m = {.seed = seed, .g = graph_new(a)};
    m.plain[m.count++] = graph_input(m.g, 1 + draw(&m, 4), 4, 4);
    for (int64_t nodes = 1 + draw(&m, 14); nodes > 0; nodes--) {
        int64_t channels = 1 + draw(&m, 5);
        Term terms[6];
        int32_t count = 1 + (int32_t)draw(&m, 5);
        for (int32_t i = 0; i < count; i++) terms[i] = make_term(&m, channels);
        m.plain[m.count++] = graph_mix(m.g, terms, count, "mix");
        maybe_segment(&m);
    }
    Value last[2] = {m.plain[m.count - 1], m.plain[draw(&m, m.count)]};
    graph_head(m.g, graph_concat(m.g, last, 1 + (int32_t)draw(&m, 2)), 3, "head");
    CHECK_MSG(!m.g->error, "graph %d: %s", (int)seed, m.g->error);
    return m.g;
}

static int64_t alive_peak(const Graph *g, const Plan *p)
{
    int64_t most = 0;
    for (int32_t s = 0; s < p->steps; s++) {
        int64_t now = 0;
        for (int32_t v = 0; v < 2 * g->value_count; v++) {
            const Buffer *b = v % 2 ? &p->grad[v / 2] : &p->data[v / 2];
            for (int k = 0; k < 2; k++)
                if (b->bytes && b->life[k].birth >= 0 && b->life[k].birth <= s && s <= b->life[k].death)
                    now += b->bytes;
        }
        if (now > most) most = now;
    }
    return most;
}

static void test_random_graphs(void)
{
    enum { GRAPHS = 150 };
    int64_t recomputed = 0, spared = 0;
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        Arena a = memory;
        Graph *g = random_graph(&a, seed);
        int64_t peak[SEGMENT_KIND_COUNT];
        const Plan *first = 0;
        for (int kind = 0; kind < SEGMENT_KIND_COUNT; kind++) {
            char what[64];
            snprintf(what, sizeof what, "graph %d, %s", (int)seed, recompute_name[kind]);
            Plan *p = plan_make(&a, scratch, g, 2, false, false, (SegmentKind)kind, tensor_bytes, 0);
            check_plan(what, a, g, p, false);
            peak[kind] = alive_peak(g, p);
            CHECK_MSG(p->bytes >= peak[kind], "%s: %d bytes for %d", what, (int)p->bytes, (int)peak[kind]);
            CHECK_MSG(peak[kind] <= peak[0], "%s: peak %d, without recomputation %d", what, (int)peak[kind],
                      (int)peak[0]);
            if (!first) first = p;
            CHECK_MSG(p->groups == first->groups &&
                          !memcmp(p->order, first->order, (size_t)p->group_start[p->groups] * sizeof *p->order) &&
                          !memcmp(p->group_start, first->group_start, (size_t)p->groups * sizeof *p->group_start),
                      "%s: groups depend on what is recomputed", what);
            for (int32_t i = 0; i < g->op_count; i++) recomputed += p->again[i];
            spared += kind && peak[kind] < peak[0];
            CHECK(kind || p->steps == 2 * p->groups);
        }
        Plan *p = plan_make(&a, scratch, g, 2, true, false, SEGMENT_NODE, tensor_bytes, 0);
        check_plan("forward only", a, g, p, true);
    }
    CHECK_MSG(recomputed > GRAPHS && spared > GRAPHS / 2, "%d operations recomputed, %d plans smaller", (int)recomputed,
              (int)spared);
}

/* The steps of a plan as text: "F0 F1 B1 B0". */
static const char *steps_text(Arena *a, const Plan *p)
{
    Text t = {0};
    for (int32_t i = 0; i < p->steps; i++)
        text_addf(a, &t, "%s%c%d", i ? " " : "", "FAB"[p->step[i].kind], p -> step[i].group);
    return t.s;
}

/* Two cells of two nodes, each node a convolution and its sum, then the head. */
static Graph *two_cells(Arena *a, const int64_t channels[2])
{
    Graph *g = graph_new(a);
    Value x = graph_input(g, 1, 4, 4);
    for (int i = 0; i < 4; i++) {
        graph_segment(g, i % 2 ? SEGMENT_NODE : SEGMENT_CELL);
        x = graph_conv(g, x, spec3(channels[i / 2], true), "c", "n");
        x = graph_mix(g, &(Term){.value = x, .table = -1}, 1, "mix");
    }
    graph_head(g, x, 2, "head");
    return g;
}

static void test_steps(void)
{
    Arena a = memory;
    Graph *g = two_cells(&a, (int64_t[]){6, 1});
    const char *want[] = {"F0 F1 F2 F3 F4 F5 F6 F7 F8 B8 B7 B6 B5 B4 B3 B2 B1 B0",
                          "F0 F1 F2 F3 F4 F5 F6 F7 F8 B8 B7 B6 B5 B4 A0 A1 A2 B3 B2 B1 B0",
                          "F0 F1 F2 F3 F4 F5 F6 F7 F8 B8 B7 B6 B5 B4 A2 B3 B2 A0 B1 B0"};
    int64_t bytes[SEGMENT_KIND_COUNT];
    for (int kind = 0; kind < SEGMENT_KIND_COUNT; kind++) {
        Plan *p = plan_make(&a, scratch, g, 2, false, false, (SegmentKind)kind, tensor_bytes, 0);
        CHECK_STR(steps_text(&a, p), want[kind]);
        bytes[kind] = p->bytes;
    }
    CHECK_MSG(bytes[1] < bytes[0] && bytes[2] < bytes[1], "%d, %d and %d bytes", (int)bytes[0], (int)bytes[1],
              (int)bytes[2]);
}

/* The networks that the programs build have segments where they should: much of their memory is spared. */
static void test_networks(void)
{
    static const struct {
        const char *net;
        int64_t height, channels;
        double cell, node; /* at most so much of the memory without recomputation */
    } nets[] = {{"supernet", 32, 16, 0.3, 0.17},     {"DARTS_V2", 32, 16, 0.4, 0.45},
                {"small-cnn", 32, 16, 0.72, 0.72},   {"resnet-18", 32, 16, 0.52, 0.52},
                {"wrn-16-4", 32, 4, 0.45, 0.45},     {"vgg-11", 32, 16, 0.65, 0.65},
                {"googlenet", 32, 48, 0.45, 0.45},   {"densenet-bc-40", 32, 24, 0.35, 0.35},
                {"inception-time", 1, 32, 0.5, 0.5}, {"resnet-1d", 1, 32, 0.58, 0.58}};
    for (int i = 0; i < COUNTOF(nets); i++) {
        Arena a = memory;
        const char *why = 0;
        NetSpec n = {.input_channels = 3,
                     .height = nets[i].height,
                     .width = 32,
                     .outputs = 10,
                     .channels = nets[i].channels,
                     .layers = 8,
                     .reduce_count = -1,
                     .stem_multiplier = 3};
        Graph *g = 0;
        Genotype t;
        Space s;
        if (!strcmp(nets[i].net, "supernet")) {
            CHECK(!space_make(&a, "darts", 4, 2, 4, &s));
            g = network_supernet(&a, &s, &n);
        } else if (genotype_find(nets[i].net)) {
            CHECK(!genotype_parse(&a, genotype_find(nets[i].net)->text, &t));
            g = network_genotype(&a, &t, &n);
        } else {
            g = network_named(&a, nets[i].net, &n, &why);
        }
        if (!CHECK_MSG(g && !g->error, "%s: %s", nets[i].net, g ? g->error : why)) continue;
        double bytes[SEGMENT_KIND_COUNT];
        for (int kind = 0; kind < SEGMENT_KIND_COUNT; kind++) {
            char what[64];
            snprintf(what, sizeof what, "%s, %s", nets[i].net, recompute_name[kind]);
            Plan *p = plan_make(&a, scratch, g, 1, false, false, (SegmentKind)kind, tensor_bytes, 0);
            check_plan(what, a, g, p, false);
            bytes[kind] = (double)p->bytes;
            double peak = (double)alive_peak(g, p);
            CHECK_MSG(bytes[kind] <= 1.15 * peak, "%s: %.0f bytes for a peak of %.0f", what, bytes[kind], peak);
        }
        CHECK_MSG(bytes[1] <= nets[i].cell * bytes[0] && bytes[2] <= nets[i].node * bytes[0],
                  "%s: %.3f by cell, %.3f by node", nets[i].net, bytes[1] / bytes[0], bytes[2] / bytes[0]);
    }
}

int main(void)
{
    memory = arena_reserve((ptrdiff_t)1 << 32);
    scratch = arena_reserve((ptrdiff_t)1 << 30);
    CHECK_RUN(test_steps);
    CHECK_RUN(test_random_graphs);
    CHECK_RUN(test_networks);
    return check_done("plan");
}
