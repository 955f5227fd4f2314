/* dataset: samples in memory, their splits, and batches made from them.
 *
 * What does not fit into memory when it is read from a stream is in a file beside it (data/spill.h): the pixels only, for
 * targets and ids are small.  NAS_SPILL=always or never overrules.
 *
 * A dataset holds every split of a stream of DatasetInfo + Samples. Pixels stay in stored form (u8 or f32) and are
 * normalised when a batch is assembled: x = (raw - mean[c]) / sd[c].
 */
#ifndef NAS_DATASET_H
#define NAS_DATASET_H
#include "base/arena.h"
#include "data/spill.h"
#include "stream/record.h"

typedef struct {
    int64_t count;
    const void *data;      /* (count, C, H, W) of info.dtype */
    const float *targets;  /* (count, target_width) */
    const int64_t *ids;    /* (count) or 0 */
    const int64_t *groups; /* (count) equal for samples that belong together (clip, object, speaker), or 0 */
    /* what a reader may add for split_assign (data/split.h); not in streams */
    const int64_t *files;           /* (count) which source file a sample is from, or 0 */
    const int64_t *copies;          /* (count) equal for symmetric copies of one design, or 0 */
    const uint8_t *named;           /* (count) the Split that a column of the source names, or 0 */
    const struct Problem *problems; /* (count) of task simulation, in place of all of the above; else 0 */
} SplitData;

typedef struct { /* samples that a reader left out because they are bad */
    int64_t count;
    const char *why[20]; /* the first of them: "file: place: what" */
} LeftOut;

/* x = (raw - mean) / sd, mean and sd being those of the train split for each channel, or for all channels together; or
 * each sample has its own (prepare_normalise() has applied it); or there is none, bytes becoming 0…1. */
typedef enum { NORMALISE_CHANNEL, NORMALISE_GLOBAL, NORMALISE_SAMPLE, NORMALISE_NONE } Normalise;

typedef struct {
    DatasetInfo info;
    int64_t target_width;         /* 1 for classification, else info.outputs */
    SplitData split[SPLIT_COUNT]; /* those of a stream lie one behind the other */
    Spill spill;
    const char *spilled; /* "123.4 MiB do not fit …", or 0: for the user to know */
    /* of a dataset in the making */
    Normalise normalise;
    bool shaped;  /* the reader applied spec->reshape */
    bool missing; /* values may be NaN: missing, until prepare_missing() fills them */
    LeftOut left_out;
} Dataset;

/* Reads a dataset from a stream: consumes DatasetInfo and Samples; calls `other` (may be 0) for every other record.
 * Checks everything (shape × count = bytes, labels in range, finite, chunks in order, counts as announced).
 * Returns 0, or why not ("file: record 3: …"), in perm. */
const char *dataset_read(Arena *perm, Arena scratch, Reader *in, Dataset *out,
                         void (*other)(void *context, const Record *r), void *context);
/* Same from a file name; the Reader is opened and closed here. *damaged tells exit 3 from exit 1. */
const char *dataset_open(Arena *perm, Arena scratch, const char *path, Dataset *out, bool *damaged);
/* Both refuse a dataset of problems (data/problems.h); these take it, too. */
const char *dataset_read_any(Arena *perm, Arena scratch, Reader *in, Dataset *out,
                             void (*other)(void *context, const Record *r), void *context);
const char *dataset_open_any(Arena *perm, Arena scratch, const char *path, Dataset *out, bool *damaged);
/* Gives back what is not in an arena: the spilled pixels. */
void dataset_close(Dataset *d);
/* A dataset as records: DatasetInfo, then Samples chunks (about 1 MiB each), splits in order. */
void dataset_write(Writer *out, Arena scratch, const Dataset *d);
/* Mean and sd by d->normalise, target mean and sd for each output, of the train split (whole split, double), split counts
 * and digest: fills d->info. */
void dataset_finish(Arena *perm, Dataset *d);

enum {
    DATASET_MAX_SIDE = 65536,
    DATASET_MAX_OUTPUTS = 1 << 20,
    DATASET_MAX_SAMPLE = 32 << 20 /* bytes of one sample */
};
/* Why a shape is absurd, or 0: sides and channels 1…65536, one sample at most 32 MiB (a record holds at least one). */
const char *dataset_check_shape(Arena *perm, int64_t channels, int64_t height, int64_t width, DType dtype);
int64_t dataset_sample_values(const DatasetInfo *i); /* C × H × W */
int64_t dataset_sample_bytes(const DatasetInfo *i);
/* Zeroed memory for count × size bytes of outside data, or 0 and *why ("needs 3.1 GiB of memory, 1.2 GiB are free"). */
/* (dataset_too_large: only the check: why count × size bytes cannot be had now, or 0.) */
const char *dataset_too_large(Arena *perm, int64_t count, int64_t size);
void *dataset_memory(Arena *perm, int64_t count, int64_t size, const char **why);
/* The same for pixels, which are put into a file where memory does not suffice (data/spill.h): to be read and written like
 * memory. */
const char *dataset_pixels_too_large(Arena *perm, int64_t count, int64_t size);
void *dataset_pixels(Arena *perm, int64_t count, int64_t size, const char **why);
/* A hash of n bytes, at memory speed; equal for equal bytes on every machine. */
uint64_t dataset_hash(uint64_t seed, const void *data, int64_t n);
/* Appends to info.settings; the key is kept by pointer. */
void dataset_setting(Arena *perm, DatasetInfo *info, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Samples that a limit leaves of `count`; limit 0: all. */
static inline int64_t dataset_limit(int64_t limit, int64_t count)
{
    return limit > 0 && limit < count ? limit : count;
}

/* ---- batches ---- */
enum { AUGMENT_MOST_MASKS = 16 };
typedef struct { /* all off = the plain samples */
    bool flip_horizontal, flip_vertical;
    int64_t crop_padding; /* random crop of the original size after padding by so many zeros (after normalisation); of a
                             series along its length alone */
    int64_t cutout;       /* side of the zeroed square, 0 = none (DeVries, Taylor 2017, arXiv:1708.04552) */
    /* Turned by up to `rotate` degrees either way, moved by up to `shift` pixels along each axis, both evenly, enlarged by
     * a factor from 1/zoom to zoom, evenly in its logarithm (0 or 1: none); bilinear, zeros outside; so drawn by
     * Dieleman et al. 2015, arXiv:1503.07077. A series is moved and stretched along its length and not turned. */
    double rotate, shift, zoom;
    /* Zeroed bands of the whole width and of the whole height, mask_count of each, from 0 to so many rows or columns wide:
     * for spectrograms, of frequencies and of times (SpecAugment, Park et al. 2019, arXiv:1904.08779, section 2). */
    int64_t mask_rows, mask_columns, mask_count;
    double jitter; /* standard deviation of noise on every normalised value (Um et al. 2017, arXiv:1706.00527) */
    /* Samples i and n-1-i of a batch become m x_i + (1-m) x_(n-1-i), m of Beta(mixup, mixup), 0: none (Zhang et al. 2018,
     * arXiv:1710.09412). m and 1-m being equally likely, m is taken to be 0.5 or more: the first sample has the larger
     * part. Of dataset_mix() alone. */
    double mixup;
} Augment;

/* Assembles samples order[0…n) of a split: x (n, C, H, W) normalised float32, y (n, target_width).  `seed`, `epoch` and
 * the sample's index fix the augmentation: it does not depend on batch size or threads. */
void dataset_batch(const Dataset *d, Split s, const int64_t *order, int64_t n, const Augment *a, uint64_t seed,
                   int64_t epoch, float *x, float *y);

/* Mixes the samples of such a batch in pairs and fills what a Batch says of it: partner (n, target_width) and share (n). */
void dataset_mix(const Dataset *d, Split s, const int64_t *order, int64_t n, const Augment *a, uint64_t seed,
                 int64_t epoch, float *x, const float *y, float *partner, float *share);

/* A loader assembles the next batch on a thread of its own while the current one is used. The sequence of batches is
 * fixed by (seed, purpose, split): epoch e is permutation e; the last short batch of an epoch is kept or dropped. */
typedef struct Loader Loader;
typedef struct {
    Split split;
    int64_t batch; /* largest batch */
    int64_t limit; /* use only so many samples of the permutation per epoch, 0 = all */
    bool shuffle, drop_last;
    Augment augment;
    uint64_t seed, stream; /* two loaders with different `stream` see different orders */
} LoaderSpec;
typedef struct {
    const float *x, *y; /* (n, C, H, W), (n, target_width); valid until the next loader_next */
    /* Of mixed samples: targets (n, target_width) of what was mixed in, and the part (n) of the sample itself, 0.5…1; 0:
     * nothing was mixed. */
    const float *partner, *share;
    int64_t n, epoch, index; /* index of the batch within the epoch */
    bool last;               /* last batch of its epoch */
} Batch;
Loader *loader_open(const Dataset *d, const LoaderSpec *spec,
                    const char **why);                     /* 0 and *why when the split is empty */
Batch loader_next(Loader *l);                              /* endless: the next epoch follows the last batch */
void loader_seek(Loader *l, int64_t epoch, int64_t index); /* exact resume */
int64_t loader_taken(const Loader *l);   /* batches given from epoch 0 on: loader_seek(l, 0, that) goes on from there */
int64_t loader_batches(const Loader *l); /* per epoch */
double loader_wait(const Loader *l);     /* seconds that loader_next had to wait so far */
void loader_close(Loader *l);
#endif
