/* rows: a text table, plain or gzip, line by line: fields between commas or white space. Shared by the readers of such
 * tables; messages name the file and the line. */
#ifndef NAS_ROWS_H
#define NAS_ROWS_H
#include <stdbool.h>

#include "base/arena.h"

enum { ROWS_MAX_FIELDS = 1024, ROWS_LINE = 1 << 16 /* bytes of a line, at most */ };

typedef enum {
    ROWS_COMMAS,
    ROWS_BLANKS
} RowsKind; /* blanks: any run of them; commas: blanks around a field are no part */

typedef struct {
    const char *path;
    void *gz;
    RowsKind kind;
    int64_t line;                       /* of the present row, from 1 */
    int64_t fields;                     /* in the present row */
    const char *field[ROWS_MAX_FIELDS]; /* terminated; valid until the next row */
    char *buffer, *text;                /* what was read, the line */
    int64_t have, at;
    const char *why; /* what went wrong, in perm; sticky */
    Arena *perm;
} Rows;

/* Opens a file; false and r->why if that fails. */
bool rows_open(Arena *perm, const char *path, RowsKind kind, Rows *r);
/* The next row that is not empty and no comment (#). False at the end, and where r->why is set: a line that is too long,
 * has too many fields or holds a NUL, or a gzip file that is damaged or cut short. */
bool rows_next(Rows *r);
/* Field i as a finite number, or false and r->why. `name` is what messages call the field. */
bool rows_number(Rows *r, int64_t i, const char *name, double *to);
/* Sets r->why to "file: line 7: …". */
void rows_fail(Rows *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void rows_close(Rows *r);
#endif
