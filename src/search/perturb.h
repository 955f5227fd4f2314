/* perturb: the choice of a cell by perturbation: DARTS-PT (Wang, Cheng, Chen, Tang, Hsieh 2021, arXiv:2108.04392).
 *
 * The weight of an operation says little about its use. Here an operation is worth what the trained supernet loses
 * without it: the edges are gone through in random order; on each, every operation is taken away in turn (the weights of
 * the others stay as they are), and the one without which the supernet does worst is kept, alone, with weight 1. Then, for
 * the nodes in random order, the edges are taken away one by one, and those are kept without which it does worst.
 * Batch statistics are used, since running ones are those of the whole mixture. none is no candidate: a cell without an
 * operation there is what the second part decides about.
 */
#ifndef NAS_PERTURB_H
#define NAS_PERTURB_H
#include "nn/network.h"
#include "search/derive.h"
#include "train/workplace.h"

/* On partial channels, the bypass of an edge stands as long as the edge does, with the weight that its operations had
 * together; so does what is kept of them. An auxiliary skip, whose weight is 0 at the end of a search, is left out: the
 * derived cell has none. */
typedef struct {
    Split split;          /* to measure on */
    int64_t limit, batch; /* its first samples, 0: all; of a batch */
    bool by_loss;         /* else by the task's metric, and by the loss where that is the same */
    int64_t tune_epochs;  /* fine-tuning of the weights on the train split after every decision */
    double tune_lr;
    int64_t memory; /* MiB, 0: what is free */
} PerturbSettings;

typedef struct {
    int64_t evaluations, samples, batch; /* passes over so many samples, in batches of so many */
    double before, after;                /* loss of the supernet and of what is left of it in the end */
} PerturbReport;

/* normal, reduce: mixing weights; besides: share and auxiliary_skip of the supernet; weights, stats: its own. The margin of an edge is the loss without its operation
 * minus the greatest loss without another one; 0 where there is no other, below 0 where the metric says otherwise than the
 * loss. A kind of cell that the supernet has none of is derived by weight. Returns 0, or why not. */
const char *perturb_derive(Arena *perm, Arena scratch, const Workplace *w, const PerturbSettings *o, const Space *s,
                           const NetSpec *besides, const Graph *g, const float *weights, const float *stats,
                           const double *normal, const double *reduce, Derived *out, PerturbReport *report);
#endif
