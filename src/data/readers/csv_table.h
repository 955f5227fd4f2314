/* csv_table: a whole delimited text file as a table of texts. */
#ifndef NAS_CSV_TABLE_H
#define NAS_CSV_TABLE_H
#include "base/arena.h"

typedef struct {
    const char *path;
    int64_t columns, rows;
    const char **head; /* (columns) */
    const char **cell; /* (rows, columns); blanks around a text are gone, unless it was quoted */
    int64_t *line;     /* (rows): where a row begins, from 1 */
} CsvTable;

/* RFC 4180, with a heading: the separator is the one of , ; and tab that the heading has most of; a byte order mark, empty
 * lines and CR are skipped. Every row has as many cells as the heading. 0 or why not, with file and line. */
const char *csv_read(Arena *perm, const char *path, CsvTable *out);
int64_t csv_column(const CsvTable *t, const char *name); /* -1: there is none */
#endif
