/* predictions: what a net says of every sample, as records and as CSV. */
#ifndef NAS_PREDICTIONS_H
#define NAS_PREDICTIONS_H
#include <stdio.h>

#include "train/tally.h"

/* Turns the outputs in t into predictions, in place: probabilities, or targets in their own unit. */
void predictions_make(Tally *t);
/* The rows as Predictions records of about a megabyte each. ids may be 0. */
void predictions_put(Writer *out, const Tally *t, const char *run, Split split, const int64_t *ids);
/* "run,id,target,predicted,p_cat,…" for classes, "run,id,target_cat,…,p_cat,…" for labels, "run,id,target_0,…,predicted_0,…"
 * else; `head`: with that line. */
void predictions_csv(FILE *f, const Tally *t, const char *run, const int64_t *ids, bool head);
/* The head of a NumPy file (format 1.0, numpy.lib.format) of float32 (networks, rows, columns), of fixed length, so that
 * it can be written anew when the networks are counted; then the predictions of one network after the other. */
void predictions_npy_head(FILE *f, int64_t networks, int64_t rows, int64_t columns);
void predictions_npy(FILE *f, const Tally *t);
#endif
