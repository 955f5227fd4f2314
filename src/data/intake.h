/* intake: where a reader puts its samples, one by one; it shapes them, checks them, drops bad ones if told so, numbers the
 * classes and grows the dataset.
 *
 *   intake_open(perm, spec, out, most, &in);                 out->target_width is set
 *   intake_put(&in, scratch, &sample) …                      one call a sample; intake_bad() for what cannot be read
 *   intake_close(&in, source);                               then info.{name, source, task, …}
 *
 * Memory: the samples as they will be stored, nothing twice; ranges that grow, cut from the end of perm. Where there is too
 * little of it, pixels go on in a file (data/spill.h), and to->spilled says so.
 */
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
    bool apart; /* of a test set of its own: it stays whole and in its order, whatever the rule of the split */
} Sample;

typedef struct { /* the samples of one split so far */
    Arena data;
    Spill file; /* which holds the data, if file.data is not 0 */
    Arena targets, ids, groups, files, named;
    int64_t count;
} IntakeRun;

typedef struct {
    const char *text;
    int64_t next; /* of the same hash, or -1 */
} IntakeClass;

typedef struct {
    Arena *perm;
    const IngestSpec *spec;
    Dataset *to;
    int64_t most;         /* samples there can be, 0: unknown */
    bool missing_allowed; /* the reader's choice: values may be NaN, to be filled by prepare_missing() */
    RasterPlan plan;
    const char *first; /* the sample that fixed the shape */
    IntakeRun run[2];  /* those for split_assign; those apart */
    int64_t unchecked; /* bytes taken since memory was looked at */
    bool grouped, filed, named;
    IntakeClass *class;
    int64_t class_count, class_room, *bucket;
} Intake;

/* Before the first sample: to->target_width is set; `most` samples can come (0: unknown), so that what cannot fit is
 * refused at once. */
const char *intake_open(Arena *perm, const IngestSpec *spec, Dataset *to, int64_t most, Intake *out);
/* The class that a text names, in order of appearance; intake_close() sorts them (by value if all are numbers, else by
 * bytes), renumbers the targets, and sets info.outputs and, unless they are 0, 1, …, output_names. Texts of the same number are the same class
 * ("1", "1.0"). -1: more classes than DATASET_MAX_OUTPUTS. */
int64_t intake_class(Intake *s, const char *text);
/* Takes a sample. One that is bad (a value or target that is not finite, another shape than the first) is an error, or
 * with spec->skip_bad counted and left out. Returns 0 or why not. */
const char *intake_put(Intake *s, Arena scratch, const Sample *sample);
/* The same for a sample that the reader could not read: returns `why`, or 0 if bad samples are skipped. */
const char *intake_bad(Intake *s, const char *why);
/* After the last: completes the dataset's train split (which split_assign divides by what the samples said) and test split
 * (of those apart), and records in info.settings what was done and dropped. Why there is nothing, or 0. */
const char *intake_close(Intake *s, const char *source);
#endif
