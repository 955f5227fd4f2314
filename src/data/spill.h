/* spill: samples that do not fit into memory, in a file that has no name and is mapped to be read.
 *
 * To all who read samples it is memory like any other, so that order, batches and results do not depend on where they are;
 * the system keeps the pages in memory that there is room for.  The file is in $TMPDIR, or else /var/tmp, for /tmp is often
 * memory itself.
 */
#ifndef NAS_SPILL_H
#define NAS_SPILL_H
#include "base/arena.h"

typedef struct {
    int fd; /* meaningful while data is not 0 */
    char *data;
    int64_t bytes;
} Spill;

/* Room for `bytes`, or why not, naming the folder. */
const char *spill_open(Arena *perm, int64_t bytes, Spill *out);
/* n bytes to place `at`; 0 or why not (disk full). */
const char *spill_write(Arena *perm, const Spill *s, int64_t at, const void *from, int64_t n);
/* After the last write: what is read from now on is read here and there. */
void spill_ready(const Spill *s);
/* The n bytes at `data` will be read soon: starts to fetch them, and returns. */
void spill_expect(const void *data, int64_t n);
void spill_close(Spill *s);
const char *spill_folder(void);
#endif
