/* csv_table: the text is read whole, and cut where it lies. */
#include "data/readers/csv_table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "data/dataset.h"

enum { LONGEST = 1 << 30, MOST_COLUMNS = 1 << 16 };

static const char *read_text(Arena *perm, const char *path, char **text, int64_t *length)
{
    FILE *f = fopen(path, "re");
    const char *why = f ? 0 : strerror(errno);
    int64_t size = 0;
    if (!why && (fseeko(f, 0, SEEK_END) || (size = ftello(f)) < 0 || fseeko(f, 0, SEEK_SET))) why = "not a plain file";
    if (!why && size > LONGEST) why = "a table of more than 1 GiB";
    if (!why) *text = dataset_memory(perm, size + 1, 1, &why);
    if (!why && fread(*text, 1, (size_t)size, f) != (size_t)size) why = ferror(f) ? strerror(errno) : "cut short";
    if (f) fclose(f);
    *length = size;
    return why ? arena_printf(perm, "%s: %s", path, why) : 0;
}

typedef struct {
    const char *path;
    char *at, *end; /* *end is 0 */
    char separator;
    int64_t line;
} Scan;

/* The next cell, cut out of the text; *last: it ends its line. 0: a quote that is never closed. */
static char *take_cell(Scan *s, bool *last)
{
    while (*s->at == ' ') s->at++;
    char *cell = s->at, *to = cell;
    if (*s->at == '"') {
        for (s->at++;; s->at++) {
            if (s->at >= s->end) return 0;
            if (*s->at == '"' && *++s->at != '"') break;
            s->line += *s->at == '\n';
            *to++ = *s->at;
        }
        while (s->at < s->end && *s->at != s->separator && *s->at != '\n') s->at++;
    } else {
        while (s->at < s->end && *s->at != s->separator && *s->at != '\n') s->at++;
        for (to = s->at; to > cell && (to[-1] == ' ' || to[-1] == '\r'); to--) {
        }
    }
    *last = s->at >= s->end || *s->at == '\n';
    if (s->at < s->end) s->at++;
    *to = 0;
    return cell;
}

static void skip_empty(Scan *s)
{
    for (;; s->line++) {
        char *p = s->at + strspn(s->at, " \r");
        if (p >= s->end) s->at = s->end;
        if (p >= s->end || *p != '\n') return;
        s->at = p + 1;
    }
}

/* One row into cell[0…columns); more cells than that are an error, and so are fewer. */
static const char *take_row(Arena *perm, Scan *s, int64_t columns, const char **cell)
{
    const int64_t line = s->line;
    bool last = false;
    for (int64_t i = 0; !last; i++) {
        char *text = take_cell(s, &last);
        if (!text) return arena_printf(perm, "%s: line %lld: a quote is not closed", s->path, (long long)line);
        if (i >= columns || (last && i + 1 < columns))
            return arena_printf(perm, "%s: line %lld: %s than the %lld cells of the heading", s->path, (long long)line,
                                i >= columns ? "more" : "fewer", (long long)columns);
        cell[i] = text;
    }
    s->line++;
    return 0;
}

const char *csv_read(Arena *perm, const char *path, CsvTable *out)
{
    int64_t length;
    Scan s = {.path = path, .line = 1};
    *out = (CsvTable){.path = path};
    const char *why = read_text(perm, path, &s.at, &length);
    if (why) return why;
    s.end = s.at + length;
    if (strlen(s.at) != (size_t)length)
        return arena_printf(perm, "%s: byte %lld: not a text: a byte 0", path, (long long)strlen(s.at));
    if (length >= 3 && !memcmp(s.at, "\xef\xbb\xbf", 3)) s.at += 3;
    skip_empty(&s);
    if (s.at == s.end) return arena_printf(perm, "%s: line 1: the file is empty", path);

    static const char separators[] = ",;\t";
    int64_t most = 0;
    s.separator = ',';
    for (const char *c = separators; *c; c++) {
        int64_t n = 0;
        for (const char *p = s.at; *p && *p != '\n'; p++) n += *p == *c;
        if (n > most) most = n, s.separator = *c;
    }
    int64_t lines = 0;
    for (const char *p = s.at; p < s.end; p++) lines += *p == '\n';
    if (most + 1 > MOST_COLUMNS) return arena_printf(perm, "%s: line %lld: too many columns", path, (long long)s.line);
    const char **head = NEW(perm, const char *, most + 1);
    bool last = false;
    for (int64_t i = 0; !last; i++) { /* a separator in a quoted name makes fewer columns than were counted */
        const char *name = take_cell(&s, &last);
        if (!name || i > most) return arena_printf(perm, "%s: line 1: a quote is not closed", path);
        head[out->columns++] = name;
    }
    s.line++;
    out->head = head;
    const char **cell = dataset_memory(perm, size_mul(lines + 1, out->columns), sizeof *cell, &why);
    if (cell) out->line = dataset_memory(perm, lines + 1, sizeof *out->line, &why);
    if (why) return arena_printf(perm, "%s: %s", path, why);
    out->cell = cell;
    for (skip_empty(&s); s.at < s.end; skip_empty(&s)) {
        out->line[out->rows] = s.line;
        if ((why = take_row(perm, &s, out->columns, cell + out->rows * out->columns))) return why;
        out->rows++;
    }
    return out->rows ? 0 : arena_printf(perm, "%s: line %lld: no row below the heading", path, (long long)s.line);
}

int64_t csv_column(const CsvTable *t, const char *name)
{
    for (int64_t i = 0; i < t->columns; i++)
        if (!strcmp(t->head[i], name)) return i;
    return -1;
}
