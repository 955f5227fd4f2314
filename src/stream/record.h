/* record: the records of a stream as plain structs, and the reader and writer of streams.
 *
 * The public format is schemas/nas/v1/nas.proto; this header mirrors it so that nothing above src/stream sees protobuf
 * or LZ4.  Strings are never 0 in a record that was read ("" when absent); arrays are 0 when empty.  Memory of a record
 * that was read belongs to the arena given to reader_next().
 *
 *   | LZ4 frame(s), content checksum on:  Header  Record … Record  Trailer{records, checksum} |
 *   each message preceded by the byte 0x0A and its length as a varint; `cat a b` is a stream of two segments.
 *
 * Both directions hold a record to what nas.proto says: counts are not negative, an array has the length that its shape
 * gives (or is absent where "or 0" is said here), data fits dtype and shape.  Who reads may rely on it; who writes
 * otherwise gets a writer_error().  Texts that are not UTF-8 are written with U+FFFD in place of each bad byte.
 */
#ifndef NAS_RECORD_H
#define NAS_RECORD_H
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

/* A longer record is refused before memory is asked for it. */
enum { RECORD_BYTES_MAX = 64 << 20 };
/* Room in `once` that takes every record whose length comes from its data.  With less room, or for a record that was
 * made to swell, reader_next() gives an error. */
enum { READER_ARENA_BYTES = 256 << 20 };

/* The values are the field numbers of Record.kind in nas.proto. */
typedef enum {
    REC_NONE = 0,
    REC_DATASET = 3,
    REC_SAMPLES = 4,
    REC_SPACE = 5,
    REC_SEARCH_EPOCH = 6,
    REC_GENOTYPE = 7,
    REC_TRAIN_EPOCH = 8,
    REC_NETWORK = 9,
    REC_TENSOR = 10,
    REC_CHECKPOINT = 11,
    REC_EVALUATION = 12,
    REC_PREDICTIONS = 13,
    REC_TRANSFER = 14,
    REC_STUDY = 15,
    REC_EVENT = 16,
    REC_PROFILE = 17,
    REC_PROBLEM = 18,
    REC_LAST = REC_PROBLEM,
    REC_UNKNOWN = 1000 /* a kind this version does not know: passes through byte for byte */
} RecordKind;

typedef enum { SPLIT_TRAIN = 0, SPLIT_ALPHA = 1, SPLIT_VALID = 2, SPLIT_TEST = 3, SPLIT_COUNT = 4 } Split;
extern const char *const split_name[SPLIT_COUNT]; /* "train" "alpha" "validation" "test" */

typedef enum { DTYPE_F32 = 0, DTYPE_U8 = 1, DTYPE_F64 = 2, DTYPE_I64 = 3 } DType;
int64_t dtype_size(DType t);

typedef struct { /* one measured value, whole-split; split "" where it does not apply */
    const char *name, *split;
    double value;
} Metric;

typedef struct {
    const char *key, *value;
} Setting;

typedef struct { /* provenance: one per program that a stream has passed */
    const char *program, *version, *command, *host;
    int64_t seed;
    double unix_time;
    const char **inputs; /* "name sha-like digest" of each input */
    int64_t input_count;
} Provenance;

typedef struct {                     /* what a dataset is; a stream of samples has one, before its Samples */
    const char *name, *source;       /* source: format and paths as given */
    const char *task;                /* "classification", "regression", … (data/task.h) */
    int64_t channels, height, width; /* a series has height 1 */
    int64_t outputs;                 /* classes or regression targets */
    const char **output_names;       /* outputs names, or 0 */
    int64_t split_count[SPLIT_COUNT];
    DType dtype;                     /* of the stored pixels */
    double *mean, *sd;               /* per channel, of the train split, in stored units: x = (raw - mean) / sd */
    double *target_mean, *target_sd; /* regression: per output, of the train split */
    double *class_weight;            /* outputs values, or 0: of a class, or of a label's positives, in the loss */
    double *metric_weight;           /* outputs values, or 0: of a class in weighted_log_loss */
    const char *metric;              /* the one that selects, or "": the task's */
    const char *tree;                /* text of the tree of questions (data/tree.h), or "" */
    /* augmentation that keeps the meaning of a sample, as declared at ingest */
    bool flip_horizontal, flip_vertical;
    int64_t crop_padding, cutout;
    uint64_t digest;   /* of all samples and targets, in order */
    Setting *settings; /* how it was made: split rule, seed, groups, … */
    int64_t setting_count;
} DatasetInfo;

typedef struct { /* a chunk of consecutive samples of one split */
    Split split;
    int64_t first, count; /* index of the first within its split */
    DType dtype;
    const void *data; /* (count, C, H, W) of dtype, row-major */
    int64_t data_bytes;
    const float *targets; /* (count, width): class index, or `outputs` values */
    int64_t target_width;
    const int64_t *ids;    /* (count) position in the source, or 0 */
    const int64_t *groups; /* (count) equal for samples of one group (clip, object, speaker), or 0 */
} Samples;

typedef struct { /* a structure to be designed; see nas.proto and structure/problem.h */
    const char *name, *family;
    Split split;
    int64_t index; /* within its split */
    int64_t width, height;
    double density;
    const void *mask; /* (height, width) of bytes 0 and 1 */
    int64_t mask_bytes;
    int64_t *fixed, fixed_count;
    int64_t *load_dof, load_count;
    double *load;     /* (load_count) */
    double reference; /* the least typical compliance of published methods, or 0 */
} ProblemRecord;

typedef struct { /* the space and the settings of a search; before its SearchEpochs */
    const char *strategy;
    const char **ops; /* primitive names, the columns of alpha */
    int64_t op_count;
    int64_t nodes, inputs; /* intermediate nodes, inputs kept per node */
    int64_t concat;        /* nodes concatenated: the last `concat` */
    int64_t layers, channels;
    int64_t *reduce_at; /* indices of the reduction cells */
    int64_t reduce_count;
    int64_t parameters;   /* of the supernet */
    int64_t macs;         /* multiply-accumulates of one sample's forward pass */
    int64_t memory_bytes; /* forecast of the step's peak */
    const char *dataset;
    int64_t seed;
    Setting *settings;
    int64_t setting_count;
} SearchSpace;

typedef struct {      /* one table of architecture weights */
    const char *name; /* "normal", "reduce" */
    int64_t edges, ops;
    double *raw, *weight; /* (edges, ops): alpha, and the mixing weight (softmax) */
    double *entropy;      /* (edges), of weight, in nats */
    double *margin;       /* (edges): best non-none weight minus the next best non-none */
} AlphaTable;

typedef struct {
    int64_t epoch; /* number of epochs done when the alphas were taken: 0 = before the first, N = after the last */
    int64_t epochs, steps; /* planned epochs; steps done so far */
    double seconds;        /* wall time of the search so far */
    double learning_rate;
    AlphaTable *tables;
    int64_t table_count;
    const char *genotype; /* derived by the default rule */
    Metric *metrics;      /* loss and metrics by split: "loss" "accuracy" …; "none_mass", "gap", … */
    int64_t metric_count;
} SearchEpoch;

typedef struct {
    const char *name;    /* "DARTS_V2", "random-3", "search", … */
    const char *text;    /* the genotype in DARTS notation */
    const char *rule;    /* "magnitude", "threshold", "perturbation", "named", "random", "text" */
    const char *dataset; /* it was searched on, or "" */
    int64_t seed, epoch; /* epoch of the search it was taken from, or -1 */
    double *margin;      /* per kept edge, normal then reduce, in the unit of the rule; or 0 */
    int64_t margin_count;
    double none_mass;   /* mean weight of `none` over edges, or -1 */
    double weight_kept; /* mean over kept edges of the weight kept by discretisation, or -1 */
    Setting *settings;
    int64_t setting_count;
} GenotypeRecord;

typedef struct {          /* a network as trained: what is needed to build it again; its Tensors follow */
    const char *run;      /* ties TrainEpochs, Tensors and Evaluations together, e.g. the genotype's name */
    const char *net;      /* "genotype" or the name of a hand-designed net */
    const char *genotype; /* text, if net is "genotype" */
    int64_t layers, channels;
    int64_t input_channels, height, width, outputs;
    const char *task, *dataset;
    int64_t parameters, macs, memory_bytes;
    double *mean, *sd;               /* input_channels values: the normalisation it was trained with */
    double *target_mean, *target_sd; /* outputs values for regression, or 0 */
    double *class_weight;            /* outputs values, or 0: those of its loss */
    const char *tree;                /* of its head, or "" */
    int64_t seed;
    Setting *settings;
    int64_t setting_count;
} NetworkRecord;

typedef struct {
    const char *run;
    int64_t epoch, epochs, steps;
    double seconds, learning_rate;
    bool best; /* best validation metric so far */
    Metric *metrics;
    int64_t metric_count;
} TrainEpoch;

typedef struct {
    const char *run, *set; /* set: "best", "last", "supernet", "checkpoint", … */
    const char *name;      /* parameter name */
    int64_t *shape;
    int64_t rank;
    DType dtype;
    const void *data;
    int64_t data_bytes;
} TensorRecord;

typedef struct { /* marks a resumable state; its Tensors precede it: train/checkpoint.h */
    const char *program, *run;
    int64_t epoch, step, seed;
    Setting *settings;
    int64_t setting_count;
} CheckpointRecord;

typedef struct {      /* numbers of every class or output, or of other parts; NaN: undefined */
    const char *name; /* what a row is: "class", "label", "output", "answer", "question" */
    const char **rows, **metrics;
    int64_t row_count, metric_count;
    double *value, *baseline; /* (rows, metrics): of the net; of the trivial predictor, or 0 */
} ScoreTable;

typedef struct {
    const char *run, *set, *dataset, *split, *genotype, *net;
    int64_t count; /* samples */
    int64_t parameters, macs;
    double seconds;  /* of training, if known, else 0 */
    Metric *metrics; /* of the net */
    int64_t metric_count;
    Metric *baseline; /* of the trivial predictor, same split */
    int64_t baseline_count;
    double train_mode_loss, eval_mode_loss; /* the health check, on the same samples; NaN if not measured */
    double *confusion;                      /* (outputs, outputs), row = true class, or 0 */
    int64_t confusion_size;
    ScoreTable *tables;
    int64_t table_count;
    Setting *settings;
    int64_t setting_count;
} Evaluation;

typedef struct {
    const char *run, *split, *dataset;
    int64_t first, rows, columns;
    const float *values;  /* (rows, columns): probabilities or predicted targets */
    const float *targets; /* (rows, target_width) */
    int64_t target_width;
    const int64_t *ids;        /* (rows) or 0 */
    const char **output_names; /* (columns) or 0 */
} Predictions;

typedef struct {
    const char *genotype, *name, *from, *to; /* dataset names */
    int64_t layers, channels, parameters, macs, epochs, seed;
    double seconds;
    Metric *metrics;
    int64_t metric_count;
    Metric *baseline;
    int64_t baseline_count;
    Setting *settings;
    int64_t setting_count;
} TransferRow;

typedef struct { /* a row of a study: free columns */
    const char *study;
    Setting *columns;
    int64_t column_count;
} StudyRow;

typedef struct { /* something that happened: a guard fired, a batch was made smaller, … */
    const char *what, *text;
    int64_t epoch;
} EventRecord;

typedef struct { /* where a run's time went, one kind of operation; see nas.proto */
    const char *run, *op;
    int64_t calls;
    double forward_seconds, backward_seconds, seconds, share, gflops, gbs;
} ProfileRecord;

typedef struct {
    RecordKind kind;
    union {
        DatasetInfo dataset;
        Samples samples;
        SearchSpace space;
        SearchEpoch search_epoch;
        GenotypeRecord genotype;
        TrainEpoch train_epoch;
        NetworkRecord network;
        TensorRecord tensor;
        CheckpointRecord checkpoint;
        Evaluation evaluation;
        Predictions predictions;
        TransferRow transfer;
        StudyRow study;
        EventRecord event;
        ProfileRecord profile;
        ProblemRecord problem;
    };
    const void *bytes; /* the record as it stood in the stream, for writer_pass() */
    int64_t byte_count;
    int64_t number; /* position in the stream, from 1 (the header is 0) */
} Record;

/* ---- reading ---- */
typedef struct Reader Reader;
typedef enum { STREAM_RECORD, STREAM_END, STREAM_ERROR } StreamStatus;

/* path "-" is standard input ("<stdin>" in messages). Never fails: the error comes from the first reader_next(). */
Reader *reader_open(Arena *perm, const char *path);
/* The same over n bytes at `data`, which stay the caller's; `name` is for messages. */
Reader *reader_open_memory(Arena *perm, const void *data, int64_t n, const char *name);
/* The next record; *r and all it points to live in `once`. STREAM_END only after a valid trailer and end of file.
 * STREAM_ERROR is sticky; reader_error() is then "file: record 14: what: why". */
StreamStatus reader_next(Reader *in, Arena *once, Record *r);
const char *reader_error(const Reader *in);
/* True if the error is damage of the stream (exit 3) rather than a file that cannot be opened (exit 1). */
bool reader_damaged(const Reader *in);
/* Provenance of the segments read so far (complete after STREAM_END). */
const Provenance *reader_provenance(const Reader *in, int64_t *count);
const char *reader_name(const Reader *in);
/* Digest of all decoded bytes so far, as hex text, for provenance. */
const char *reader_digest(Reader *in, Arena *a);
void reader_close(Reader *in);

/* ---- writing ---- */
typedef struct Writer Writer;
/* Opens `path` ("-": standard output; else a temporary file beside it, renamed by writer_finish). `self` is appended to
 * the provenance of `from`: that of the segments read so far, or of the first, whose header is read now if none was; 0:
 * there is none.  What is no regular file (a pipe, a device) is written in place.  Errors stick. */
Writer *writer_open(Arena *perm, const char *path, Reader *from, const Provenance *self);
void writer_put(Writer *out, const Record *r);   /* encodes r (kind + struct); takes no ownership */
void writer_pass(Writer *out, const Record *r);  /* writes r.bytes untouched */
void writer_flush(Writer *out);                  /* makes everything so far visible to the reader (end of epoch) */
void writer_durable(Writer *out);                /* writer_finish() will have the file on the disk before its name */
bool writer_finish(Writer *out);                 /* trailer, flush, fsync-free close, rename; false: writer_error() */
void writer_abandon(Writer *out);                /* no trailer; removes the temporary file */
const char *writer_error(const Writer *out);     /* 0 while all is well */
const char *writer_temporary(const Writer *out); /* path of the temporary file, or 0: for signal clean-up */
bool writer_is_stdout(const Writer *out);

typedef struct { /* a record as it stands in a stream */
    const void *bytes;
    int64_t byte_count;
} RecordBytes;
/* From now on keeps a copy of every record in `memory`, for whoever must tell the story again: a checkpoint. */
void writer_keep(Writer *out, Arena *memory);
const RecordBytes *writer_kept(const Writer *out, int64_t *count); /* in order */

/* Helpers over records. */
double metric_get(const Metric *m, int64_t n, const char *split, const char *name); /* NaN if absent */
const char *setting_get(const Setting *s, int64_t n, const char *key);              /* 0 if absent */
const char *record_kind_name(RecordKind k);                                         /* "dataset", "samples", … */
#endif
