/* costs: what the operations of a space cost, one by one. */
#include "search/bilevel.h"

const char *search_costs(Arena *perm, const Search *s, Arena scratch)
{
    enum { MOST = 2 * COUNTOF(s->net.reduce_at) + 1 };
    const NetSpec *n = &s->net;
    struct {
        int64_t channels, height, width, stride;
    } column[MOST] = {{n->channels, n->height, n->width, 1}};
    int64_t columns = 1, share = n->share > 1 ? n->share : 1;
    for (int64_t cell = 0; cell < n->layers && columns < MOST; cell++) {
        if (!network_reduces(n, cell)) continue;
        int64_t channels = 2 * column[columns - 1].channels, height = column[columns - 1].height,
                width = column[columns - 1].width; /* sides are halved upwards */
        column[columns].channels = channels, column[columns].height = height, column[columns].width = width;
        column[columns++].stride = 2;
        column[columns].channels = channels, column[columns].height = (height + 1) / 2;
        column[columns].width = (width + 1) / 2, column[columns++].stride = 1;
    }
    Text t = {0};
    text_add(perm, &t, "parameters and multiply-accumulates of one operation on one edge, for one sample\n");
    text_addf(perm, &t, "%-14s", "");
    for (int64_t c = 0; c < columns; c++) {
        const char *shape = arena_printf(&scratch, "%lldx%lldx%lld%s", (long long)(column[c].channels / share),
                                         (long long)column[c].height, (long long)column[c].width,
                                         column[c].stride > 1 ? " stride 2" : "");
        text_addf(perm, &t, "  %21s", shape);
    }
    for (int64_t op = 0; op < s->space.op_count; op++) {
        const Primitive *p = &primitive_table[s->space.op[op]];
        text_addf(perm, &t, "\n%-14s", p->name);
        for (int64_t c = 0; c < columns; c++) {
            OpCost cost = network_cost(scratch, p, n, column[c].channels / share, column[c].height, column[c].width,
                                       column[c].stride);
            text_addf(perm, &t, "  %9lld %11lld", (long long)cost.parameters, (long long)cost.macs);
        }
    }
    text_add(perm, &t, "\n");
    return t.s;
}
