/* npy: arrays of NumPy's .npy format in memory: numpy.lib.format, versions 1 to 3 (NEP 1).
 *
 *   | 0x93 "NUMPY" | major minor | length of the text (u16, from version 2 on u32, little-endian) | text | data |
 *
 * The text is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (14, 8), }.
 */
#ifndef NAS_NPY_H
#define NAS_NPY_H
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

enum { NPY_MAX_RANK = 16, NPY_MAX_TEXT = 1 << 20, NPY_HEAD = 128 };

typedef struct {
    char kind;    /* 'f' float, 'i' signed, 'u' unsigned, 'b' bool */
    int64_t size; /* bytes of a value: 2, 4, 8 for f; 1, 2, 4, 8 for i and u; 1 for b */
    bool big_endian, fortran;
    int64_t rank, shape[NPY_MAX_RANK];
    int64_t count; /* of values */
    int64_t start; /* of the data, in bytes */
} NpyHeader;

/* Does the file begin like one? */
bool npy_is(const void *bytes, int64_t n);
/* Parses the head of the n bytes. Returns 0, or why not. Types other than the above (objects, structures, complex numbers,
 * text) are refused. The data may be shorter than count × size, which is not looked at: a reader may map them later. */
const char *npy_parse(Arena *perm, const void *bytes, int64_t n, NpyHeader *out);
/* The head of a file of float32 in C order, version 1.0, always NPY_HEAD bytes; rank at most 4. */
void npy_head(char *to, const int64_t *shape, int64_t rank);
/* The value of a place, counted in C order whatever the order in the file; data: where the first one lies. */
double npy_real(const NpyHeader *h, const void *data, int64_t place);
#endif
