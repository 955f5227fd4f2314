/* supernet: see supernet.h. */
#include "train/supernet.h"

#include <stdlib.h>
#include <string.h>

static const char *const table_name[SUPERNET_TABLES] = {"normal", "reduction"};

/* "0111/0101/…" of each table, an edge after the other, the tables with a space between. */
static const char *kept_text(Arena *perm, const Space *s, const uint8_t *only)
{
    Text text = {0};
    for (int64_t edge = 0; edge < SUPERNET_TABLES * space_edges(s); edge++) {
        if (edge) text_add(perm, &text, edge == space_edges(s) ? " " : "/");
        for (int64_t k = 0; k < s->op_count; k++) text_add(perm, &text, only[edge * s->op_count + k] ? "1" : "0");
    }
    return text.s;
}

static const uint8_t *kept_parse(Arena *perm, const Space *s, const char *text)
{
    int64_t row = s->op_count + 1, n = SUPERNET_TABLES * space_edges(s) * row - 1;
    if ((int64_t)strlen(text) != n) return 0;
    uint8_t *only = NEW(perm, uint8_t, SUPERNET_TABLES * space_edges(s) * s->op_count), *to = only;
    for (int64_t i = 0; i < n; i++) {
        if (i % row == s->op_count) {
            if (text[i] != (i / row + 1 == space_edges(s) ? ' ' : '/')) return 0;
            continue;
        }
        if (text[i] != '0' && text[i] != '1') return 0;
        *to++ = text[i] == '1';
    }
    return only;
}

void supernet_describe(Arena *perm, Settings *list, const Space *s, const NetSpec *n, const char *reduce_at)
{
    Text ops = {0};
    for (int64_t i = 0; i < s->op_count; i++)
        text_addf(perm, &ops, "%s%s", i ? "," : "", primitive_table[s->op[i]].name);
    settings_add(perm, list, "ops", "%s", ops.s);
    settings_add(perm, list, "nodes", "%lld", (long long)s->nodes);
    settings_add(perm, list, "inputs", "%lld", (long long)s->inputs);
    settings_add(perm, list, "concat", "%lld", (long long)s->concat);
    if (*reduce_at) settings_add(perm, list, "reduce_at", "%s", reduce_at);
    if (n->share > 1) settings_add(perm, list, "channel_share", "%lld", (long long)n->share);
    if (n->auxiliary_skip) settings_add(perm, list, "auxiliary_skip", "on");
    if (n->only) settings_add(perm, list, "kept", "%s", kept_text(perm, s, n->only));
}

const char *supernet_parts(Arena *perm, const NetworkRecord *r, const Space *s, NetSpec *n)
{
    const char *share = setting_get(r->settings, r->setting_count, "channel_share"),
               *skip = setting_get(r->settings, r->setting_count, "auxiliary_skip"),
               *kept = setting_get(r->settings, r->setting_count, "kept");
    n->share = share ? strtoll(share, 0, 10) : 1;
    if (n->share < 1 || r->channels % n->share)
        return arena_printf(perm, "a channel share of \"%.40s\" with %lld channels", share, (long long)r->channels);
    n->auxiliary_skip = skip && !strcmp(skip, "on");
    n->only = kept ? kept_parse(perm, s, kept) : 0;
    return kept && !n->only ? "its list of kept operations is not that of its space" : 0;
}

/* Is column k among the `top` heaviest of its edge? Of equals the first one is heavier. */
static bool among(const Space *s, const float *weight, const uint8_t *there, int64_t k, int64_t top)
{
    int64_t heavier = 0;
    for (int64_t i = 0; i < s->op_count; i++)
        heavier += there[i] && (weight[i] > weight[k] || (weight[i] == weight[k] && i < k));
    return !top || heavier < top;
}

const char *supernet_prune(Arena *perm, const Space *s, const NetSpec *n, const float *const *mixing, Prune p,
                           const uint8_t **only)
{
    int64_t bypass, skip, columns = network_columns(s, n, &bypass, &skip), edges = space_edges(s), none = space_none(s);
    uint8_t *keep = NEW(perm, uint8_t, SUPERNET_TABLES * edges * s->op_count);
    for (int64_t edge = 0; edge < SUPERNET_TABLES * edges; edge++) {
        const float *weight = mixing[edge / edges] + edge % edges * columns;
        uint8_t there[SPACE_MAX_OPS];
        for (int64_t k = 0; k < s->op_count; k++)
            there[k] = k != none && weight[k] != 0 && (!n->only || n->only[edge * s->op_count + k]);
        for (int64_t k = 0; k < s->op_count; k++)
            keep[edge * s->op_count + k] =
                there[k] && !((double)weight[k] < p.below) && among(s, weight, there, k, p.top);
    }
    *only = keep;
    for (int64_t t = 0; t < SUPERNET_TABLES; t++)
        for (int64_t node = 0; node < s->nodes; node++) {
            const uint8_t *row = keep + (t * edges + space_edge(node, 0)) * s->op_count;
            if (!memchr(row, 1, (size_t)((node + 2) * s->op_count)))
                return arena_printf(perm, "node %lld of the %s cell would have no operation left", (long long)node,
                                    table_name[t]);
        }
    return 0;
}

const char *supernet_pruned(Arena *perm, const NetworkRecord *from, const NetWeights *w, Prune p, NetworkRecord *out,
                            NetWeights *pruned)
{
    Space s;
    NetSpec n = {.channels = from->channels};
    const char *why = netio_space(perm, from, &s),
               *reduce = setting_get(from->settings, from->setting_count, "reduce_at");
    if (!why) why = supernet_parts(perm, from, &s, &n);
    if (!why && (p.top || p.below > 0)) why = supernet_prune(perm, &s, &n, (const float *const *)w->mixing, p, &n.only);
    if (why) return why;
    Settings list = {0};
    supernet_describe(perm, &list, &s, &n, reduce ? reduce : "");
    *out = *from;
    out->settings = list.item;
    out->setting_count = list.count;
    const Graph *whole = netio_build(perm, from, &why), *part = why ? 0 : netio_build(perm, out, &why);
    if (why) return why;
    *pruned = (NetWeights){.set = w->set};
    for (int64_t i = 0, k = 0; i < netio_tensors(part); i++) { /* in the same order, some left out */
        const float *const *mixing = (const float *const *)w->mixing;
        NetTensor to = netio_tensor(perm, part, i, 0, 0, 0), t = {0};
        while (k < netio_tensors(whole)) {
            t = netio_tensor(perm, whole, k++, w->weights, w->stats, mixing);
            if (!strcmp(t.name, to.name)) break;
        }
        TensorRecord r = {.name = t.name,
                          .shape = (int64_t *)t.shape, /* read only */
                          .rank = t.rank,
                          .dtype = DTYPE_F32,
                          .data = t.data,
                          .data_bytes = t.count * (int64_t)sizeof(float)};
        why = netio_take(perm, part, &r, pruned);
        if (why) return why;
    }
    return netio_missing(perm, part, pruned);
}

void supernet_like(Arena *perm, const NetworkRecord *like, NetworkRecord *n)
{
    Setting *all = NEW(perm, Setting, like->setting_count + n->setting_count);
    memcpy(all, like->settings, (size_t)like->setting_count * sizeof *all);
    memcpy(all + like->setting_count, n->settings, (size_t)n->setting_count * sizeof *all);
    n->settings = all;
    n->setting_count += like->setting_count;
    n->layers = like->layers;
    n->channels = like->channels;
}

void supernet_mix(Engine *e, Arena scratch, const Graph *g, const float *const *mixing)
{
    for (int32_t t = 0; t < g->table_count; t++) {
        uint8_t *active = NEW(&scratch, uint8_t, g->tables[t].count);
        for (int64_t i = 0; i < g->tables[t].count; i++) active[i] = mixing[t][i] != 0;
        engine_set_mix(e, t, mixing[t]);
        engine_set_active(e, t, active);
    }
}
