/* arch: the architecture weights of a search, and what they are turned into. Small, so they live on the host, in double;
 * all state is a handful of flat blocks.
 *
 *   raw ──relaxation──> weight ──sampling──> drawn ──× edge weight──> mixing, a table of the engine for each kind of cell
 *
 * and gradients the same way back. Alphas come in groups that compete: the operations of one edge; and, where edges have
 * weights of their own (PC-DARTS), the edges into one node. Blocks hold (tables, edges, ops) alphas of operations, then
 * (tables, edges) alphas of edges, if there are any.
 */
#ifndef NAS_ARCH_H
#define NAS_ARCH_H
#include "engine/engine.h"
#include "nn/network.h"
#include "stream/record.h"

enum { ARCH_TABLES = 2 }; /* normal, reduce: tables 0 and 1 of the supernet */

typedef struct {
    int64_t start, count; /* in the blocks of alphas */
} ArchGroup;

typedef struct {
    const Space *space;
    int64_t edges, ops;      /* of a table */
    int64_t columns;         /* of an edge in a table of the engine: ops, then bypass and auxiliary skip (network.h) */
    int64_t bypass, skip;    /* their columns, or -1 */
    int64_t op_count, count; /* alphas of operations; of all */
    ArchGroup *group;        /* the operations of each edge, then the edges into each node */
    int64_t op_groups, group_count;
    double *raw;          /* alphas */
    double *weight;       /* what the relaxation makes of them */
    double *point, slope; /* where the gradient is taken back through the relaxation, and times what: set by sampling */
    double *drawn;        /* what is used in their place in this step */
    double *weight_grad;  /* dLoss/ddrawn */
    double *grad;         /* dLoss/draw, regularised */
    double *moment1, *moment2;    /* of the optimiser */
    int64_t step;                 /* optimiser steps done */
    double *mixing, *mixing_grad; /* (tables, edges, columns), as in the engine */
} Arch;

/* Zeroed blocks for the alphas of a space in a network; edge_weights: edges have alphas too. `s` is kept. */
Arch *arch_new(Arena *perm, const Space *s, const NetSpec *n, bool edge_weights);

/* drawn -> mixing, which goes into the engine; what weighs nothing is switched off there. skip: weight of the auxiliary
 * skip. */
void arch_mix(Arch *a, double skip, Engine *e, Arena scratch);
/* mixing_grad -> weight_grad. */
void arch_mix_back(Arch *a);

/* One-hot weights of a genotype of this space, in a block of `count` values (1 for every edge where edges have alphas). */
void arch_one_hot(const Arch *a, const Genotype *g, double *weight);

/* The operations of a genotype of this space, as NetSpec.only has them. */
const uint8_t *arch_kept(Arena *perm, const Space *s, const Genotype *g);
/* A table of mixing weights as it is in the engine. */
const float *arch_mixing(Arena *perm, const Arch *a, int32_t table);

/* What an edge's operations weigh in its node: weight × weight of the edge; (tables, edges, ops), what a genotype is
 * derived from. */
double *arch_effective(Arena *perm, const Arch *a);
/* The tables as a record has them: raw alphas, effective weights, their entropies (of the weights as parts of their sum)
 * and margins; ARCH_TABLES of them, then those of the edges if they have any: one column, and each edge's entropy is that of
 * all edges into its node, its margin its weight. */
AlphaTable *arch_record(Arena *a, const Arch *arch, int64_t *count);

/* All that lives from step to step. To save and restore exactly this, the weights and running statistics of the engine,
 * its velocity (BLOCK_MOMENT1), and the epoch and step of the Search, continues a search bit for bit: random numbers are
 * functions of the step, and everything else is made anew in each. */
typedef struct {
    const char *name;
    double *values; /* one of these two */
    int64_t *integers;
    int64_t count;
} ArchState;
enum { ARCH_STATES = 4 };
void arch_state(Arch *a, ArchState state[ARCH_STATES]);
#endif
