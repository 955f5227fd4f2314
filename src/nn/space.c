/* space: the table of operations, and operation sets read from text. */
#include "nn/space.h"

#include <stdbool.h>
#include <string.h>

#include "nn/genotype.h"
#include "nn/names.h"

/* The order is part of genotypes in memory only; streams and text use the names. */
const Primitive primitive_table[] = {
    {"none", PRIM_NONE, 0, 0, 0, 0},
    {"max_pool_3x3", PRIM_POOL, 3, 3, 1, POOL_MAX},
    {"avg_pool_3x3", PRIM_POOL, 3, 3, 1, POOL_AVG},
    {"skip_connect", PRIM_SKIP, 0, 0, 0, 0},
    {"sep_conv_3x3", PRIM_SEP, 3, 3, 1, 0},
    {"sep_conv_5x5", PRIM_SEP, 5, 5, 1, 0},
    {"dil_conv_3x3", PRIM_DIL, 3, 3, 2, 0},
    {"dil_conv_5x5", PRIM_DIL, 5, 5, 2, 0},
    {"sep_conv_7x7", PRIM_SEP, 7, 7, 1, 0},
    {"conv_7x1_1x7", PRIM_CONV_SPLIT, 7, 7, 1, 0},
    {"max_pool_2x2", PRIM_POOL, 2, 2, 1, POOL_MAX},
    {"avg_pool_2x2", PRIM_POOL, 2, 2, 1, POOL_AVG},
    {"noise", PRIM_NOISE, 0, 0, 0, 0},
    /* for series: along the width alone */
    {"max_pool_1x3", PRIM_POOL, 1, 3, 1, POOL_MAX},
    {"avg_pool_1x3", PRIM_POOL, 1, 3, 1, POOL_AVG},
    {"max_pool_1x5", PRIM_POOL, 1, 5, 1, POOL_MAX},
    {"avg_pool_1x5", PRIM_POOL, 1, 5, 1, POOL_AVG},
    {"sep_conv_1x3", PRIM_SEP, 1, 3, 1, 0},
    {"sep_conv_1x5", PRIM_SEP, 1, 5, 1, 0},
    {"sep_conv_1x9", PRIM_SEP, 1, 9, 1, 0},
    {"sep_conv_1x19", PRIM_SEP, 1, 19, 1, 0},
    {"sep_conv_1x39", PRIM_SEP, 1, 39, 1, 0},
    {"sep_conv_1x49", PRIM_SEP, 1, 49, 1, 0},
    {"dil_conv_1x3", PRIM_DIL, 1, 3, 2, 0},
    {"dil_conv_1x5", PRIM_DIL, 1, 5, 2, 0},
    {"dil_conv_1x9", PRIM_DIL, 1, 9, 2, 0},
    {"dil_conv_1x19", PRIM_DIL, 1, 19, 2, 0},
    {"dil_conv_1x39", PRIM_DIL, 1, 39, 2, 0},
};
const int64_t primitive_count = COUNTOF(primitive_table);

const char space_default_ops[] =
    "none,max_pool_3x3,avg_pool_3x3,skip_connect,sep_conv_3x3,sep_conv_5x5,dil_conv_3x3,dil_conv_5x5";

static const struct {
    const char *name, *ops;
} named_set[] = {
    {"darts", space_default_ops},
    {"galaxy-zoo-9", "none,skip_connect,max_pool_2x2,max_pool_3x3,avg_pool_3x3,sep_conv_3x3,sep_conv_5x5,dil_conv_3x3,"
                     "dil_conv_5x5"},
    {"galaxy-zoo-11", "none,max_pool_2x2,avg_pool_2x2,max_pool_3x3,avg_pool_3x3,skip_connect,sep_conv_3x3,sep_conv_5x5,"
                      "sep_conv_7x7,dil_conv_3x3,dil_conv_5x5"},
    /* The lengths 9, 19, 39 are those of InceptionTime (Ismail Fawaz et al. 2020, arXiv:1909.04939: 10, 20, 40), made
     * odd so that a kernel has a centre. */
    {"series", "none,max_pool_1x3,avg_pool_1x3,skip_connect,sep_conv_1x3,sep_conv_1x9,sep_conv_1x19,sep_conv_1x39,"
               "dil_conv_1x9,dil_conv_1x19"},
};

int primitive_find(const char *name, int64_t length)
{
    for (int i = 0; i < primitive_count; i++)
        if ((int64_t)strlen(primitive_table[i].name) == length &&
            !memcmp(primitive_table[i].name, name, (size_t)length))
            return i;
    return -1;
}

const char *primitive_unknown(Arena *perm, const char *name, int64_t length)
{
    const char *known[COUNTOF(primitive_table)];
    for (int64_t i = 0; i < primitive_count; i++) known[i] = primitive_table[i].name;
    return arena_printf(perm, "unknown operation \"%.*s\"; near it: %s", length < 64 ? (int)length : 64, name,
                        names_near(perm, name, length, known, primitive_count));
}

const char *space_make(Arena *perm, const char *ops, int64_t nodes, int64_t inputs, int64_t concat, Space *out)
{
    *out = (Space){.nodes = nodes, .inputs = inputs, .concat = concat};
    if (nodes < 1 || nodes > GENOTYPE_MAX_NODES)
        return arena_printf(perm, "a cell has 1 to %d nodes, not %lld", GENOTYPE_MAX_NODES, (long long)nodes);
    if (inputs < 1 || inputs > 2) /* the first node sees two states */
        return arena_printf(perm, "a node keeps 1 or 2 inputs, not %lld", (long long)inputs);
    if (concat < 1 || concat > nodes)
        return arena_printf(perm, "a cell of %lld nodes puts 1 to %lld of them out, not %lld", (long long)nodes,
                            (long long)nodes, (long long)concat);
    for (ptrdiff_t i = 0; i < COUNTOF(named_set); i++)
        if (!strcmp(ops, named_set[i].name)) ops = named_set[i].ops;
    bool real = false;
    for (const char *p = ops;; p++) {
        int64_t length = (int64_t)strcspn(p, ",");
        int op = primitive_find(p, length);
        if (op < 0) return length ? primitive_unknown(perm, p, length) : "an empty name in the operation set";
        if (memchr(out->op, op, (size_t)out->op_count))
            return arena_printf(perm, "operation \"%s\" twice in the set", primitive_table[op].name);
        if (out->op_count == SPACE_MAX_OPS) return arena_printf(perm, "more than %d operations", SPACE_MAX_OPS);
        out->op[out->op_count++] = (int8_t)op;
        real |= primitive_table[op].kind != PRIM_NONE;
        p += length;
        if (!*p) break;
    }
    return real ? 0 : "an operation set needs more than none";
}

const char *space_auto_ops(int64_t height)
{
    return height == 1 ? "series" : "darts";
}

int64_t space_edge(int64_t node, int64_t input)
{
    return 2 * node + node * (node - 1) / 2 + input;
}

int64_t space_edges(const Space *s)
{
    return space_edge(s->nodes, 0);
}

int space_none(const Space *s)
{
    for (int i = 0; i < s->op_count; i++)
        if (primitive_table[s->op[i]].kind == PRIM_NONE) return i;
    return -1;
}
