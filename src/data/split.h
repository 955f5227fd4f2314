/* split: which sample goes where, decided once, at ingest; and what leaks from one side to the other. */
#ifndef NAS_SPLIT_H
#define NAS_SPLIT_H
#include "data/reader.h"

/* Carves test (if the source had none), validation and alpha, in this order, out of the train split: each takes its
 * fraction of what is left. Seeded; stratified by class for classification: a class gives each split its share, rounded
 * down or up. `subset` is kept first, by the same rule. The samples of train, alpha and validation are in seeded random
 * order; ids tell their positions in the source. The rule and the seed are recorded in info.settings.
 *
 * What is placed is a unit of samples that must stay together, by spec->split_by:
 *   fraction  each sample is a unit
 *   group     the samples of one of the reader's groups
 *   file      the samples of one source file
 *   column    the source says where a sample belongs; splits that it never names are carved out of its train samples
 *   ""        column, group or fraction: the first that the reader has data for
 * With spec->group_copies, units that hold exact or symmetric copies of each other become one. A unit counts as of its
 * most frequent class; a split's size is then within half of the largest unit of its share.
 *
 * Refuses what cannot be learned from: no samples, one class, constant targets, an empty split. Returns 0 or why not. */
const char *split_assign(Arena *perm, Arena scratch, Dataset *d, const IngestSpec *spec);

/* What a split lacks altogether, as text ("class 3: none in validation; class 7: …"), or 0: metrics of what does not occur
 * are not defined. */
const char *split_missing(Arena *perm, const Dataset *d);

/* The split that a word names (train, training; alpha, search; valid, validation, val, dev; test, testing; any case), or
 * -1. */
int split_find(const char *word, int64_t length);

/* ---- leaks ---- */
typedef enum {
    LEAK_DUPLICATE, /* the same bytes */
    LEAK_COPY,      /* the same after a flip that the dataset declares, or by the reader's word; duplicates included */
    LEAK_GROUP,     /* of a group that has samples there */
    LEAK_KINDS
} LeakKind;
typedef struct {
    bool checked[LEAK_KINDS];               /* copies and groups: where they are known */
    int64_t found[LEAK_KINDS][SPLIT_COUNT]; /* samples of a split whose like is in an earlier one (train, alpha, …) */
    int64_t total;
} Leaks;
/* Looks for leaks between all splits: hashes of 64 bits, sorted; two different samples are taken for equal with a
 * probability of n²/2^65. Returns 0 or why not (memory). */
const char *leak_check(Arena *perm, Arena scratch, const Dataset *d, Leaks *out);
/* "duplicates 12 (validation 2, test 10), groups 0": one line, for info.settings and messages. */
const char *leak_text(Arena *perm, const Leaks *l);
#endif
