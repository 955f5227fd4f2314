/* labelled_files: formats whose samples are files of their own: which files, in which order, and what is known of each.
 *
 * Sources are folders, looked through with all that is in them, or files.  Files are taken in the order of their names
 * (bytes), hidden ones left out.  If every first folder is named like a split (train, val, test; see split_find), these
 * are the splits.  The label of a file is, by the options:
 *
 *   (none)                       the name of its folder: the first below the source or the split
 *   pattern={label}_{n}.wav      a part of its name, or with / in the pattern of its path in the source
 *   labels=FILE.csv              a row of a table: file= names the column of the names (the first), which are paths,
 *                                names, or names without their ending; label= a column of classes, targets= columns of
 *                                numbers (comma-separated); neither: all columns that are left
 *
 * group= is a column or a part of the pattern: files with the same text in it stay on one side of a split; split= is a
 * column that names the split.  For task multi-label a label is several, with | between them, and `none=` is the word for
 * none of them ("No Finding").
 */
#ifndef NAS_LABELLED_FILES_H
#define NAS_LABELLED_FILES_H
#include "data/intake.h"

#define LABELLED_OPTIONS "labels file label targets group split pattern none"

typedef struct {
    const char *path, *name; /* name: in its source */
    int named;               /* Split, or -1 */
    int64_t group;           /* or -1 */
    const float *targets;    /* 0: it has no label, and `flaw` says so */
    const char *flaw;
} LabelledFile;

typedef struct {
    LabelledFile *file;
    int64_t count;
} LabelledFiles;

/* Fills *out, and of d: info.{name,source,task,outputs,output_names} and target_width. `endings`: of the names that are
 * taken from folders (".png .jpg"), any case. `format` begins messages and info.source. 0 or why not. */
const char *labelled_files(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                           const char *format, const char *endings, LabelledFiles *out, Dataset *d);
/* Whether a folder holds such a file, itself or in the first folders that one comes to. */
bool labelled_folder(const char *path, const char *endings);
#endif
