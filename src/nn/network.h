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
    double auxiliary; /* of a derived network: weight of the loss of an auxiliary tower, 0: there is none */
    /* of a supernet alone */
    int64_t share;       /* K > 1: 1 of K channels goes through the operations of an edge (partial channels) */
    bool auxiliary_skip; /* beside its operations, every edge has a skip of its own weight */
    const uint8_t *only; /* (2 tables, edges, operations): build those alone that are not 0; or 0: all */
} NetSpec;

/* The supernet: tables 0 "normal" and 1 "reduce", (edges, columns) mixing weights each, shared by the cells of that kind;
 * element = edge * columns + column, a column for each operation, then those of network_columns(). BN without gamma and
 * beta, stem with. Parameter names are those of DARTS' model_search.py. The operations of an edge in a cell are the
 * alternatives of a choice (graph_alternative).
 *
 * Partial channels (Xu et al. 2020, arXiv:1907.05737): a node is shuffle(sum over its edges of [the operations on the
 * first C/K channels of the input, the bypass: the others as they are]), where an edge's weights hold for both and shuffle
 * puts channel i of the sum at (i mod C/K) K + i / (C/K). The authors shuffle every edge before they add; that is the
 * same, once per node. In a reduction cell the bypass is max-pooled, 2x2 (theirs drops an odd last row, ours pools it
 * with zeros). C/K must be whole. */
Graph *network_supernet(Arena *perm, const Space *s, const NetSpec *n);
bool network_reduces(const NetSpec *n, int64_t cell); /* this cell is a reduction cell */
/* Columns of an edge; *bypass and *skip: those of the bypass of partial channels and of the auxiliary skip, or -1. */
int64_t network_columns(const Space *s, const NetSpec *n, int64_t *bypass, int64_t *skip);
/* What one operation of the supernet costs on an edge between states of so many channels. */
typedef struct {
    int64_t parameters, macs; /* of one sample's forward pass */
} OpCost;
OpCost network_cost(Arena scratch, const Primitive *p, const NetSpec *n, int64_t channels, int64_t height,
                    int64_t width, int64_t stride);
/* The derived network (DARTS' model.py): BN with gamma and beta; drop-path on all terms but the identity. With an
 * auxiliary tower, that of model.py stands on cell 2 layers / 3: ReLU, average of 5x5 with stride 3, 1x1 to 128 channels,
 * BN, ReLU, 2x2 to 768, BN, ReLU, linear. It is made for 8x8: smaller sides get as large a window as there is, larger ones
 * are averaged before the linear layer. It helps to train and is left out afterwards, so its parameters and
 * multiply-adds do not count, as in the published 3.3 million of DARTS_V2. */
Graph *network_genotype(Arena *perm, const Genotype *t, const NetSpec *n);
/* A hand-designed net by name (nn/zoo.c), or 0 and *why. */
Graph *network_named(Arena *perm, const char *name, const NetSpec *n, const char **why);
/* A paragraph a net, for a program's help. */
const char *network_zoo_help(Arena *perm);
#endif
