/* generators: the search of a generator (nn/generator_space.h) on structural problems.
 *
 * Weights belong to a generator and a problem: they are trained anew in every design, by L-BFGS (train/designer.h). What is
 * shared is the architecture: each decision d has alphas a_d, and a generator is drawn with probability
 *
 *   p(choice) = product over d of w_d[choice_d],   w_d = softmax(a_d)
 *
 * What is minimised is the expected rank of its compliance among others drawn on the same problem. In an epoch, `draws`
 * generators design each of `problems` problems of the alpha split in `steps` steps, all from weights of one seed. Of the
 * compliances on a problem, the utility u_i is 1/2 for the least, -1/2 for the greatest, evenly spaced between them (means
 * where they are equal; a design that failed is last), and the gradient of the expected utility is estimated by the score
 * function (Williams 1992), whose baseline, the mean utility, is 0:
 *
 *   g_d[c] = mean over designs i of u_i (1[choice_i,d = c] - w_d[c])
 *
 * Ranks make problems comparable and outliers harmless (Wierstra et al. 2014, "Natural evolution strategies"). Adam takes a
 * step along it once an epoch. There is no supernet and hence no discretisation gap: what is drawn is what is designed.
 *
 * After every epoch the likeliest generator, of the greatest alpha of each decision, designs `judges` problems of the train
 * split, which teach nothing, so that they can say which epoch is best. Their figure is relative_compliance: the geometric
 * mean of its compliance over that of the published generator, same steps, same seed; below 1 is better. The validation and
 * test splits are not touched.
 *
 * Numbers are f(seed, epoch, problem, draw): the same whatever the threads, and from a checkpoint.
 */
#ifndef NAS_GENERATORS_H
#define NAS_GENERATORS_H
#include "cli/cli.h"
#include "nn/generator_space.h"
#include "train/checkpoint.h"
#include "train/design.h"

typedef struct {
    const char *ops; /* generator_space_make() */
    int64_t epochs, draws, problems, judges, steps;
    double lr, beta1, beta2; /* of the alphas */
} GeneratorsSettings;
extern const char generators_strategy[]; /* SearchSpace.strategy */
extern const char generators_metric[];   /* "relative_compliance", of split train */

/* The generator of the greatest weight of each decision, the first of equals; weight: s->columns. */
void generators_likeliest(const GeneratorSpace *s, const double *weight, int64_t *choice);
/* How much heavier a choice of a decision is than the heaviest other. */
double generators_margin(const GeneratorSpace *s, int64_t decision, const double *weight, int64_t choice);
/* The tables of a SearchEpoch: one a decision, "stages.2.conv". */
const char *generators_table(Arena *perm, const GeneratorSpace *s, int64_t decision);
/* The weights of a SearchEpoch, in the order of columns; 0, or why they do not fit the space. */
const char *generators_weights(Arena *perm, const GeneratorSpace *s, const SearchEpoch *e, double *weight);

/* How many designs a search makes at most; or -1 and *why: a split is empty, a problem cannot be made by generators. */
int64_t generators_count(Arena *perm, const Dataset *d, const GeneratorsSettings *s, const char **why);
/* Searches; writes SearchSpace and a SearchEpoch for the start and after every epoch. Returns 0 or why it could not begin.
 * Ends on a signal. */
const char *generators_run(Arena *perm, Arena scratch, Pool *pool, const Dataset *d, const GeneratorsSettings *s,
                           Checkpoint *checkpoint, Writer *out);
#endif
