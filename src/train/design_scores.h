/* design_scores: what the designs in a stream are worth (train/designs.h writes them), over the problems of a split.
 *
 *   relative error of a design = C / best known - 1
 *
 * C: the least compliance up to a step. Best known: the problem's reference, the least of the published methods' typical
 * figures after 1000 steps, so that a design can be better than that, the error negative; where there is none, the least
 * of all designs of the problem in the stream at any step. Over the problems: mean, median, share of those within 1 %.
 *
 * The compliance of every design is simulated anew from its densities and must be what the stream says.
 */
#ifndef NAS_DESIGN_SCORES_H
#define NAS_DESIGN_SCORES_H
#include "data/dataset.h"

typedef struct DesignScores DesignScores;

/* steps: those that count; 0: all that were made. */
DesignScores *design_scores_new(Arena *perm, const Dataset *d, Split split, int64_t steps);
/* Takes a Network, TrainEpoch or Tensor record of a design in. 0, or why it cannot be: another dataset, densities that have
 * another compliance. */
const char *design_scores_add(DesignScores *s, Arena scratch, const Record *r);
/* An evaluation of each candidate, with a table of its problems; how many in *count. Those without a design of the split
 * have none. 0 and *why: what cannot be simulated. */
Evaluation *design_scores_all(DesignScores *s, Arena scratch, int64_t *count, const char **why);
#endif
