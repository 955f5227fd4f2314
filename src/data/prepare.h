/* prepare: what is done to a dataset between its reader and its stream, whatever the format.
 *
 *   reader -> prepare_normalise -> split_assign -> prepare_balance -> prepare_missing -> dataset_finish
 */
#ifndef NAS_PREPARE_H
#define NAS_PREPARE_H
#include "data/dataset.h"

/* Sets d->normalise, and for NORMALISE_SAMPLE gives every sample mean 0 and sd 1 over all its channels and places, in
 * double; what is missing does not count, a constant sample becomes 0; bytes become float32. 0 or why not (memory). */
const char *prepare_normalise(Arena *perm, Dataset *d, Normalise how);

typedef enum { BALANCE_NONE, BALANCE_CUT, BALANCE_REPEAT } Balance;
/* Makes the classes of the train split equally frequent; the others stay as they are, for they stand for the data as it
 * comes. Cut: each class keeps as many samples as the smallest has, the first of the present order, which split_assign
 * has shuffled. Repeat: each class but the largest is repeated in its order until it is as large. The samples are then in
 * turn of the classes. Classes that the train split lacks do not count. 0, or why not: no classes, no memory. */
const char *prepare_balance(Arena *perm, Arena scratch, Dataset *d, Balance how);

/* Fills what is missing (NaN) with the mean of the same place over the train split, 0 where that has none. Clears
 * d->missing. Returns 0 or why not (memory). */
const char *prepare_missing(Arena *perm, Arena scratch, Dataset *d);
#endif
