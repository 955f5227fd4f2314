/* spill: samples that do not fit into memory, in a file that has no name and is mapped to be read.
 *
 * To all who read samples it is memory like any other, so that order, batches and results do not depend on where they are;
 * the system keeps the pages in memory that there is room for.  The file is in $TMPDIR, or else /var/tmp, for /tmp is often
 * memory itself.
 */
#ifndef NAS_SPILL_H
#define NAS_SPILL_H
#include <stdbool.h>

#include "base/arena.h"

typedef struct {
    int fd; /* meaningful while data is not 0 */
    char *data;
    int64_t bytes, reserved; /* that are mapped; of these, from the beginning, those that the disk has room for */
} Spill;

/* $NAS_SPILL: "always" and "never"; else where memory does not suffice. */
typedef enum { SPILL_IF_NEEDED, SPILL_ALWAYS, SPILL_NEVER } SpillWhen;
SpillWhen spill_when(void);

/* Why the disk has no room for `bytes`, or 0; and that room, or why not: both name the folder. */
const char *spill_refuses(Arena *perm, int64_t bytes);
const char *spill_open(Arena *perm, int64_t bytes, Spill *out);
/* n bytes to place `at`; 0 or why not (disk full). */
const char *spill_write(Arena *perm, const Spill *s, int64_t at, const void *from, int64_t n);
/* From now on, the n bytes at `data` are used here and there (random), or from front to back; any memory may be named. */
void spill_access(const void *data, int64_t n, bool random);
/* The n bytes at `data` will be read soon: starts to fetch them, and returns. */
void spill_expect(const void *data, int64_t n);
/* Samples in the making: the n bytes at `from`, and what will be appended to them in memory up to `room` bytes. Before a byte
 * is written there, spill_reserve() makes sure that the disk has it: 0 or why not. */
const char *spill_begin(Arena *perm, const void *from, int64_t n, int64_t room, Spill *out);
const char *spill_reserve(Arena *perm, Spill *s, int64_t bytes);
void spill_close(Spill *s);
const char *spill_folder(void);
#endif
