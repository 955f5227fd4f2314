/* network: builds graphs: the supernet of a search, and the network of a genotype. */
#ifndef NAS_NETWORK_H
#define NAS_NETWORK_H
#include "nn/genotype.h"

typedef struct {
    int64_t input_channels, height, width;
    int64_t outputs;
    LossKind loss;
    LossDetail detail; /* what it points to outlives the graph */
    int64_t channels, layers;
    int64_t reduce_at[8], reduce_count; /* reduce_count < 0: at layers/3 and 2*layers/3 */
    int64_t stem_multiplier;            /* 3 */
} NetSpec;

/* The supernet: tables 0 "normal" and 1 "reduce", (edges, ops) mixing weights each, shared by the cells of that kind;
 * element = edge * ops + op. BN without gamma and beta, stem with. Parameter names are those of DARTS' model_search.py. */
Graph *network_supernet(Arena *perm, const Space *s, const NetSpec *n);
/* The derived network (DARTS' model.py without the auxiliary head): BN with gamma and beta; drop-path on all terms but
 * the identity. */
Graph *network_genotype(Arena *perm, const Genotype *t, const NetSpec *n);
/* A hand-designed net by name (nn/zoo.c), or 0 and *why. */
Graph *network_named(Arena *perm, const char *name, const NetSpec *n, const char **why);
/* A paragraph a net, for a program's help. */
const char *network_zoo_help(Arena *perm);
#endif
