/* derive: from the mixing weights of a search to a discrete pair of cells, by the magnitude rule of DARTS (Liu,
 * Simonyan, Yang 2019): an edge is as strong as its best operation other than none, taken from the softmaxed weights
 * (not the raw alphas, not renormalised); a node keeps its strongest edges, the stronger first; what ties keeps its order.
 */
#ifndef NAS_DERIVE_H
#define NAS_DERIVE_H
#include "nn/genotype.h"

typedef struct {
    int column;            /* of the best operation other than none, the first on ties */
    double weight, margin; /* of it; and minus the next best other than none (0 weight if there is no other) */
} EdgeChoice;
/* weight: the row of one edge, s->op_count values. */
EdgeChoice derive_edge(const Space *s, const double *weight);

typedef struct {
    Genotype genotype;
    double margin[2 * GENOTYPE_MAX_NODES * GENOTYPE_MAX_INPUTS]; /* per kept edge, normal then reduce */
    int64_t margin_count;
    double none_mass;     /* mean weight of none over all edges; -1 if the space has none of it */
    double weight_kept;   /* mean over the kept edges of the weight of the kept operation */
    int64_t none_wins[2]; /* edges where none is the heaviest: normal, reduce */
} Derived;

/* normal, reduce: (edges, ops) weights. `threshold` is for the sparse rule: of the edges that a node would keep, only those
 * whose operation weighs more than that are kept, and the strongest in any case; none stands in place of the others,
 * whose margin is what their weight lacks, below 0 (FairDARTS: Chu et al. 2020, with 0.85 for sigmoid weights). 0: the
 * rule of DARTS. Returns 0, or why not (a weight that is no finite number >= 0). */
const char *derive_magnitude(Arena *perm, const Space *s, const double *normal, const double *reduce, double threshold,
                             Derived *out);
/* A cell without edges, with the outputs of the space. */
Cell derive_empty(const Space *s);
/* Fills what is known of a finished genotype besides its margins: none_mass, none_wins, weight_kept. */
void derive_describe(const Space *s, const double *normal, const double *reduce, Derived *out);
/* Why a weight is none, or 0. */
const char *derive_check(Arena *perm, const Space *s, const double *normal, const double *reduce);

/* Reads a whitespace-separated table of weights, a row an edge: the rows of the normal cell, then those of the reduction
 * cell; # starts a comment. text need not be terminated. *weights gets 2 * edges * ops values, normal first. Returns 0,
 * or why not with the line. */
const char *derive_read_table(Arena *perm, const Space *s, const char *text, int64_t length, double **weights);
#endif
