/* rows: text tables, plain or gzip, line by line. */
#include "data/readers/rows.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BUFFER = 1 << 18 };

void rows_fail(Rows *r, const char *format, ...)
{
    if (r->why) return;
    va_list args;
    va_start(args, format);
    const char *what = arena_vprintf(r->perm, format, args);
    va_end(args);
    r->why = r->line ? arena_printf(r->perm, "%s: line %lld: %s", r->path, (long long)r->line, what)
                     : arena_printf(r->perm, "%s: %s", r->path, what);
}

bool rows_open(Arena *perm, const char *path, RowsKind kind, Rows *r)
{
    *r = (Rows){.path = path, .kind = kind, .perm = perm};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) {
        rows_fail(r, "%s", strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        rows_fail(r, "%s", strerror(EISDIR));
    } else if (!(r->gz = gzdopen(fd, "rb"))) {
        rows_fail(r, "no memory to read it");
    }
    if (!r->gz) {
        if (fd >= 0) close(fd);
        return false;
    }
    gzbuffer(r->gz, BUFFER);
    r->buffer = NEW(perm, char, BUFFER);
    r->text = NEW(perm, char, ROWS_LINE + 1);
    return true;
}

void rows_close(Rows *r)
{
    if (r->gz) gzclose_r(r->gz);
    r->gz = 0;
}

/* More bytes into the buffer: false at the end and on errors. */
static bool refill(Rows *r)
{
    int got = gzread(r->gz, r->buffer, BUFFER), error = Z_OK;
    r->at = 0;
    r->have = got > 0 ? got : 0;
    if (got > 0) return true;
    gzerror(r->gz, &error);
    if (error == Z_ERRNO)
        rows_fail(r, "%s", strerror(errno));
    else if (got < 0)
        rows_fail(r, "damaged gzip data after this line");
    else if (error == Z_BUF_ERROR)
        rows_fail(r, "cut short: the gzip data ends early");
    return false;
}

/* The next line, without its end; its length, or -1 at the end of the file or on errors. */
static int64_t next_line(Rows *r)
{
    int64_t length = 0;
    bool begun = false;
    for (;;) {
        if (r->at == r->have && !refill(r)) break;
        if (!begun) r->line++;
        begun = true;
        const char *from = r->buffer + r->at, *end = memchr(from, '\n', (size_t)(r->have - r->at));
        int64_t n = end ? end - from : r->have - r->at;
        if (n > ROWS_LINE - length) return rows_fail(r, "longer than %d bytes: not a table", ROWS_LINE), -1;
        memcpy(r->text + length, from, (size_t)n);
        length += n;
        r->at += n + (end != 0);
        if (end) break;
    }
    if (r->why || !begun) return -1;
    if (memchr(r->text, 0, (size_t)length)) return rows_fail(r, "a NUL byte: not a table"), -1;
    if (length && r->text[length - 1] == '\r') length--;
    r->text[length] = 0;
    return length;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cuts the line into fields, in place. */
static void cut(Rows *r)
{
    char *p = r->text;
    for (r->fields = 0;;) {
        while (blank(*p)) p++;
        if (!*p && r->kind == ROWS_BLANKS) return;
        if (r->fields == ROWS_MAX_FIELDS) {
            rows_fail(r, "more than %d fields", ROWS_MAX_FIELDS);
            return;
        }
        char *begin = p, *end;
        while (*p && (r->kind == ROWS_COMMAS ? *p != ',' : !blank(*p))) p++;
        end = p;
        bool more = *p;
        p += more;
        while (end > begin && blank(end[-1])) end--;
        if (end - begin >= 2 && *begin == '"' && end[-1] == '"') begin++, end--;
        *end = 0;
        r->field[r->fields++] = begin;
        if (!more) return;
    }
}

bool rows_next(Rows *r)
{
    for (;;) {
        if (r->why || next_line(r) < 0) return false;
        const char *p = r->text;
        while (blank(*p)) p++;
        if (!*p || *p == '#') continue;
        cut(r);
        return !r->why;
    }
}

bool rows_number(Rows *r, int64_t i, const char *name, double *to)
{
    if (r->why) return false;
    if (i >= r->fields) {
        rows_fail(r, "%lld fields, but %s is number %lld: cut short?", (long long)r->fields, name, (long long)i + 1);
        return false;
    }
    char *end = 0;
    *to = strtod(r->field[i], &end);
    if (end != r->field[i] && !*end && isfinite(*to)) return true;
    rows_fail(r, "%s is \"%.40s\": a number expected", name, r->field[i]);
    return false;
}
