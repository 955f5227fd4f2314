/* intake: where a reader puts its samples, one by one; it shapes them, checks them, and drops bad ones if told so. */
#ifndef NAS_INTAKE_H
#define NAS_INTAKE_H
#include "data/raster.h"
#include "data/reader.h"

typedef struct {
    const char *where; /* the file, and the place in it: begins messages */
    Raster raster;
    const float *targets; /* (target_width) of the dataset */
    int64_t id;           /* position in the source */
    int64_t group, file;  /* -1: none */
    int named;            /* the Split that the source says, or -1 */
} Sample;

typedef struct {
    Arena *perm;
    const IngestSpec *spec;
    Dataset *to;
    int64_t most; /* samples there can be */
    RasterPlan plan;
    const char *first; /* the sample that fixed the shape */
    const char *first_bad;
    int64_t bad;
    bool grouped, filed, named;
} Intake;

/* Before the first sample: to->target_width is set, `most` samples can come. Memory is taken with the first sample. */
const char *intake_open(Arena *perm, const IngestSpec *spec, Dataset *to, int64_t most, Intake *out);
/* Takes a sample. One that is bad (a value or target that is not finite, another shape than the first) is an error, or
 * with spec->skip_bad counted and left out. Returns 0 or why not. */
const char *intake_put(Intake *s, Arena scratch, const Sample *sample);
/* The same for a sample that the reader could not read: returns `why`, or 0 if bad samples are skipped. */
const char *intake_bad(Intake *s, const char *why);
/* After the last: completes the dataset's train split (which split_assign divides by what the samples said) and records
 * in info.settings what was done and dropped. Why there is nothing, or 0. */
const char *intake_close(Intake *s, const char *source);
#endif
