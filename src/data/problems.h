/* problems: datasets of task "simulation", whose samples are structures to be designed (structure/problem.h), of any sizes.
 *
 * In a stream a Problem record stands for each, in place of Samples; in a Dataset they are split[].problems. The fields of
 * DatasetInfo that speak of samples say the largest grid; there are no pixels and no targets. dataset_open() and
 * dataset_read() refuse them, dataset_open_any() does not.
 */
#ifndef NAS_PROBLEMS_H
#define NAS_PROBLEMS_H
#include "data/dataset.h"
#include "data/reader.h"
#include "structure/problem.h"

bool problems_are(const DatasetInfo *info);

/* Divides the problems of split[SPLIT_TRAIN] by the fractions of spec: families one after the other in an order by seed,
 * their members too, each goes where most is missing; so each family is spread over the splits. With --split-by group
 * whole families go. Recorded in info.settings. */
const char *problems_split(Arena *perm, Dataset *d, const IngestSpec *spec);
/* Fills what of d->info follows from the problems: counts, largest grid, digest. */
void problems_finish(Arena *perm, Dataset *d);
uint64_t problems_digest(const Dataset *d);
void problems_write(Writer *out, Arena scratch, const Dataset *d);

/* Reading: room for the announced problems; then one after the other, checked (problem_check(), degrees of freedom within
 * the grid); `seen` counts those of each split. Return 0 or why not. */
const char *problems_room(Arena *perm, Dataset *d);
const char *problems_take(Arena *perm, Dataset *d, const ProblemRecord *r, int64_t *seen);
#endif
