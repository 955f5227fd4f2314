/* array_file: named arrays of a NetCDF or HDF5 file, read by a process of their own.
 *
 * libhdf5 and libnetcdf trust what a file says of itself, and a damaged or hostile one can crash or hang them.  So the
 * library runs in a child process: it lists the arrays, then answers requests for slabs through a socket.  If it dies,
 * or says nothing for some time, that is one line for the user.  Everything that it answers is checked here
 * as outside data is.
 *
 * Each format is opened by its own library: classic NetCDF (magic "CDF") by libnetcdf, and everything in HDF5 by
 * libhdf5, NetCDF-4 among it: its dimensions are HDF5 dimension scales, its attributes plain attributes.
 */
#ifndef NAS_ARRAY_FILE_H
#define NAS_ARRAY_FILE_H
#include "base/arena.h"
#include "stream/record.h"

enum {
    ARRAY_MAX_RANK = 6,
    ARRAY_MAX = 4096, /* arrays of a file */
    ARRAY_FILLS = 3,
    ARRAY_MESSAGE = 256,
    ARRAY_SLAB = 80 << 20, /* bytes of the largest answer: a sample of DATASET_MAX_SAMPLE bytes as f64, and some */
    ARRAY_PATIENCE = 60    /* seconds without an answer that readers allow */
};

/* Plain data: it travels through the socket as it is. */
typedef struct {
    char name[200];  /* with its groups: "train/images" */
    int32_t rank;    /* 0: a single number */
    int32_t type;    /* DType in which its values travel without loss (64-bit integers: up to 2^53) */
    int32_t integer; /* stored as a whole number */
    int32_t fills;   /* how many of fill[] hold */
    int64_t size[ARRAY_MAX_RANK];
    char dimension[ARRAY_MAX_RANK][64]; /* "" where it has no name */
    /* CF conventions 1.10, 2.5.1 and 8.1: a stored value v is missing if it is one of fill[] or not in [min, max],
     * else it stands for v × scale + offset. */
    double fill[ARRAY_FILLS], min, max, scale, offset;
} ArrayInfo;

typedef struct ArrayFile ArrayFile;
/* 0 and *why (with the file's name) if it cannot be read. The list of arrays is in the order of the file. */
ArrayFile *array_open(Arena *perm, const char *path, int patience, const char **why);
const ArrayInfo *array_list(const ArrayFile *f, int64_t *count);
/* The stored values of array `index` from start[] on, count[] of them along each dimension, as its `type`, last index
 * fastest, into `to`. 0 or why not. */
const char *array_read(Arena *perm, ArrayFile *f, int64_t index, const int64_t *start, const int64_t *count, void *to);
void array_close(ArrayFile *f);
/* Whether this begins a file that array_open() reads. */
bool array_magic(const unsigned char *head, int64_t bytes);

/* ---- what a library behind it provides; these run in the child ---- */
typedef struct {
    void *(*open)(Arena *a, const char *path, char *message); /* 0 and a message (ARRAY_MESSAGE bytes) */
    int64_t (*list)(void *file, ArrayInfo *to, int64_t room);
    /* 0, or -1 and a message */
    int (*read)(void *file, const ArrayInfo *a, const int64_t *start, const int64_t *count, void *to, char *message);
} ArrayLibrary;
extern const ArrayLibrary array_netcdf, array_hdf5;
#endif
