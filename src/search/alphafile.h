/* alphafile: tables of architecture weights from files of other programs: NumPy's .npy, logs of PyTorch's DARTS, text.
 *
 * All of them hold mixing weights, after the softmax: that is what DARTS prints and what is saved.
 */
#ifndef NAS_ALPHAFILE_H
#define NAS_ALPHAFILE_H
#include <stdbool.h>

#include "nn/space.h"

typedef enum { ALPHA_NPY, ALPHA_LOG, ALPHA_PYTHON, ALPHA_TABLE, ALPHA_FORMATS } AlphaFormat;
const char *alphafile_format(AlphaFormat f); /* "npy", "log", "python", "table" */

/* By what the file holds: the magic bytes of .npy, "tensor([[", "Genotype(", else a table. */
AlphaFormat alphafile_probe(const void *bytes, int64_t n);

/* One .npy array of (edges, ops), of one cell; or of (2, edges, ops) or (2 × edges, ops), of both. Returns 0, or why not;
 * *weights has *cells × edges × ops values. */
const char *alphafile_npy(Arena *perm, const Space *s, const void *bytes, int64_t n, double **weights, int64_t *cells);

typedef struct {
    double *normal, *reduce; /* (edges, ops) */
    int64_t epoch;           /* pairs counted from 0: what train_search.py prints at the start of that epoch */
    int64_t count;           /* complete pairs in the log */
} LogAlphas;
/* The tensors that train_search.py prints (two-dimensional, nested brackets), in pairs, normal then reduce: those of an
 * epoch, or with -1 the last complete pair. A last tensor without its partner, or one that is cut short, is not used.
 * Returns 0, or why not. */
const char *alphafile_log(Arena *perm, const Space *s, const char *text, int64_t epoch, LogAlphas *out);
#endif
