/* reader: registry of raw-data formats; one file in readers/ and one row in reader.c per format. */
#ifndef NAS_READER_H
#define NAS_READER_H
#include "data/dataset.h"

typedef struct {
    const char *task;                                     /* "" = the format's usual one */
    double valid_fraction, alpha_fraction, test_fraction; /* of what has no split of its own */
    int64_t subset;                                       /* keep so many samples of the training source, 0 = all */
    const char *split_by; /* "fraction" "group" "file" "column"; "" or 0: by what is there */
    bool group_copies;    /* keep copies of a sample on one side */
    bool skip_bad;        /* leave out samples that cannot be read or have values that are not finite, and count them */
    const char *reshape;  /* steps for raster_plan(), or 0 */
    uint64_t seed;
    const char *option[32]; /* format options as "key=value" */
    int option_count;
    const char *tree; /* text of the tree of questions that was asked for, or "" */
} IngestSpec;

typedef struct {
    const char *name, *help;
    /* 0…100: how sure the format is of `path` (its first bytes are in head). */
    int (*probe)(const char *path, const unsigned char *head, int64_t head_bytes);
    /* Reads sources[0…n) into *out: info.{name,source,channels,height,width,outputs,task,dtype,…}, and samples in
     * split[SPLIT_TRAIN] and, if the source has one of its own, split[SPLIT_TEST]. Returns 0 or why not, naming the
     * file. */
    const char *(*read)(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                        Dataset *out);
} DataReader;
extern const DataReader reader_table[];
extern const int64_t reader_count;
const DataReader *reader_find(const char *name);
const DataReader *reader_probe(const char *path, const char **why);

/* Format options for readers. The value of key, or 0; the number of key (left alone when not given), or why not; the
 * first option whose key is not among `known` ("kind size n"), as a message, or 0. */
const char *reader_option(const IngestSpec *spec, const char *key);
const char *reader_option_int(Arena *perm, const IngestSpec *spec, const char *key, int64_t min, int64_t max,
                              int64_t *to);
const char *reader_option_double(Arena *perm, const IngestSpec *spec, const char *key, double min, double max,
                                 double *to);
const char *reader_option_check(Arena *perm, const IngestSpec *spec, const char *format, const char *known);

/* The name that a dataset gets from its source: "/data/fashion-mnist/" -> "fashion-mnist", "a/images.idx.gz" -> "images";
 * `otherwise` where nothing is left. */
const char *reader_source_name(Arena *perm, const char *path, const char *otherwise);
/* Option names=a,b,c into info->output_names: as many as there are outputs. 0 or why not. */
const char *reader_name_outputs(Arena *perm, const IngestSpec *spec, DatasetInfo *info);
#endif
