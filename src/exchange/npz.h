/* npz: named arrays in an archive of NumPy: a zip archive of .npy files (numpy.savez; numpy.lib.format), stored, or deflated
 * as numpy.savez_compressed does; libzip compares the checksums. */
#ifndef NAS_NPZ_H
#define NAS_NPZ_H
#include "base/npy.h"

enum { NPZ_MAX_MEMBERS = 1 << 16 };

typedef struct {
    const char *name;  /* without ".npy" */
    NpyHeader head;    /* shape, count, type in the file */
    const float *data; /* (count) in C order; values beyond the range of float are infinite */
} NpzArray;

/* All arrays of the archive, none of more than `most` bytes. Returns 0, or why not, with the name of the file and of the
 * member. */
const char *npz_read(Arena *perm, const char *path, int64_t most, NpzArray **out, int64_t *count);

/* The bytes of an archive of float32 arrays, the same for the same arrays: of each, name, head.shape, head.rank and data
 * count. Returns 0, or why not. */
const char *npz_pack(Arena *perm, const NpzArray *arrays, int64_t count, const void **bytes, int64_t *size);
#endif
