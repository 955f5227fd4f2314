/* delimited: text tables of any size, plain or gzip, row by row: RFC 4180 (quotes, "" for a quote, line ends inside of
 * quotes), with other delimiters as well. Messages name the file and the line.
 *
 * Blanks around a field and a byte order mark are no part of it, rows without a character are left out (as are comments, if asked for), a line ends in LF or CR LF.
 */
#ifndef NAS_DELIMITED_H
#define NAS_DELIMITED_H
#include <stdbool.h>

#include "base/arena.h"

/* What may stand between fields, beside any single character: the one of , ; and tab that the first row has most of, or
 * else blanks; any run of blanks; nothing (a row is a line, quotes mean nothing). */
enum { DELIMITED_FOUND = 0, DELIMITED_BLANKS = ' ', DELIMITED_LINES = '\n' };

typedef struct {
    const char *path;
    void *gz;
    char delimiter, comment; /* rows that begin with `comment` are left out; 0: no row */
    int64_t line, lines;     /* where the present row begins, from 1; lines read so far */
    int64_t fields;
    const char **field; /* of the present row, each terminated; valid until the next */
    const char *why;    /* what went wrong, in perm; sticky */
    Arena *perm, text;
    char *buffer;
    int64_t at, have, most_fields;
    ptrdiff_t *begin; /* of each field in the text */
} Delimited;

/* Opens a file ("-": standard input); false and d->why if that fails. Buffers are in `space` (1/8 of it at most), messages
 * in perm. */
bool delimited_open(Arena *perm, Arena *space, const char *path, char delimiter, Delimited *d);
/* The next row. False at the end, and with d->why where a row is longer than memory allows, holds a NUL, an open quote or
 * text behind a closed one, or gzip data are damaged or cut short. */
bool delimited_next(Delimited *d);
/* Sets d->why, if it is not set, to "file: line 7: …". */
void delimited_fail(Delimited *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Field i of the present row, "" and d->why if it has fewer; the same as a finite number, else false and d->why. `name` is
 * what messages call it. */
const char *delimited_field(Delimited *d, int64_t i, const char *name);
bool delimited_number(Delimited *d, int64_t i, const char *name, double *to);
void delimited_close(Delimited *d);

typedef enum { REAL_NUMBER, REAL_MISSING, REAL_NONE } RealKind;
/* The text as a number that float32 holds; missing: nothing, ?, NA, N/A, NaN, null, none (any case); none: anything else,
 * *to is NaN then. */
RealKind real_parse(const char *text, double *to);
/* The same for the n bytes at `text`, which need not end there. */
RealKind real_parse_n(const char *text, int64_t n, double *to);
#endif
