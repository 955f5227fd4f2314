/* delimited: text tables, row by row. */
#include "data/readers/delimited.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BUFFER = 1 << 18, ROW = 256 << 20, FIELDS = 1 << 22 /* of a row, at most */ };

void delimited_fail(Delimited *d, const char *format, ...)
{
    if (d->why) return;
    va_list args;
    va_start(args, format);
    const char *what = arena_vprintf(d->perm, format, args);
    va_end(args);
    d->why = d->line ? arena_printf(d->perm, "%s: line %lld: %s", d->path, (long long)d->line, what)
                     : arena_printf(d->perm, "%s: %s", d->path, what);
}

/* More bytes into the buffer: false at the end and on errors. */
static bool refill(Delimited *d)
{
    int got = gzread(d->gz, d->buffer, BUFFER), error = Z_OK;
    d->at = 0;
    d->have = got > 0 ? got : 0;
    if (got > 0) return true;
    gzerror(d->gz, &error);
    if (got < 0 || error == Z_BUF_ERROR) d->line = d->lines + 1;
    if (error == Z_ERRNO)
        delimited_fail(d, "%s", strerror(errno));
    else if (got < 0)
        delimited_fail(d, "damaged gzip data");
    else if (error == Z_BUF_ERROR)
        delimited_fail(d, "cut short: the gzip data ends early");
    return false;
}

static bool blank(int c)
{
    return c == ' ' || c == '\t';
}

/* The delimiter that the first row speaks for, as far as the buffer shows it. */
static char find_delimiter(const Delimited *d)
{
    static const char candidate[] = ",;\t";
    int64_t count[3] = {0}, best = 0;
    bool quoted = false, begun = false, blanks = false;
    for (int64_t i = d->at; i < d->have; i++) {
        const char c = d->buffer[i];
        if (c == '\n' && !quoted && begun) break;
        quoted ^= c == '"';
        blanks |= begun && c == ' ' && !quoted;
        begun |= c != '\n' && c != '\r' && c != ' ';
        for (int k = 0; k < 3 && !quoted; k++) count[k] += c == candidate[k];
    }
    for (int k = 1; k < 3; k++)
        if (count[k] > count[best]) best = k;
    return count[best] ? candidate[best] : blanks ? DELIMITED_BLANKS : ',';
}

bool delimited_open(Arena *perm, Arena *space, const char *path, char delimiter, Delimited *d)
{
    const bool standard = !strcmp(path, "-");
    *d = (Delimited){.path = standard ? "<stdin>" : path, .perm = perm, .delimiter = delimiter};
    int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st))
        delimited_fail(d, "%s", strerror(errno));
    else if (S_ISDIR(st.st_mode))
        delimited_fail(d, "%s", strerror(EISDIR));
    else if (!(d->gz = gzdopen(fd, "rb")))
        delimited_fail(d, "no memory to read it");
    if (!d->gz) {
        if (fd >= 0) close(fd);
        return false;
    }
    gzbuffer(d->gz, BUFFER);
    d->buffer = NEW(space, char, BUFFER);
    const int64_t room = arena_left(space) / 16; /* ranges, not pages: see arena_cut */
    d->text = arena_cut(space, room < ROW ? room : ROW);
    arena_append(&(Arena){d->text.beg, d->text.end}, arena_left(&d->text));
    d->most_fields = room / 16 < FIELDS ? room / 16 : FIELDS;
    Arena fields = arena_cut(space, d->most_fields * 16);
    d->begin = arena_append(&fields, d->most_fields * 8);
    d->field = arena_append(&fields, d->most_fields * 8);
    refill(d);
    if (d->why) return false;
    if (d->have >= 3 && !memcmp(d->buffer, "\xef\xbb\xbf", 3)) d->at = 3;
    if (!delimiter) d->delimiter = find_delimiter(d);
    return true;
}

void delimited_close(Delimited *d)
{
    if (d->gz) gzclose_r(d->gz);
    d->gz = 0;
}

static inline int take(Delimited *d)
{
    if (d->at == d->have && !refill(d)) return -1;
    return (unsigned char)d->buffer[d->at++];
}

static inline int look(Delimited *d)
{
    if (d->at == d->have && !refill(d)) return -1;
    return (unsigned char)d->buffer[d->at];
}

/* Takes what is inside of quotes; the text grows from `t`. Returns where it ends, 0 on errors. */
static char *take_quoted(Delimited *d, char *t)
{
    for (;;) {
        const int c = take(d);
        if (c < 0) return delimited_fail(d, "a quote is not closed"), NULL;
        if (c == '"' && look(d) != '"') return t;
        if (c == '"') take(d);
        if (c == '\n') d->lines++;
        if (!c) return delimited_fail(d, "a byte 0: not a text"), NULL;
        if (t + 1 == d->text.end) return delimited_fail(d, "a row that is too long"), NULL;
        *t++ = (char)c;
    }
}

/* One field into the text at t, with its terminator; *end: what ends it (-1 the file, '\n', or the delimiter). */
static char *take_field(Delimited *d, char *t, int *end)
{
    const bool lines = d->delimiter == DELIMITED_LINES, blanks = d->delimiter == DELIMITED_BLANKS;
    char *keep = t; /* what is before `keep` is not trimmed */
    int c;
    if (t + 1 >= d->text.end) return delimited_fail(d, "a row that is too long"), NULL;
    while (!lines && (c = look(d)) >= 0 && blank(c) && (c != d->delimiter || blanks)) take(d);
    const bool quoted = !lines && look(d) == '"';
    if (quoted) {
        take(d);
        if (!(t = take_quoted(d, t))) return 0;
        keep = t;
    }
    for (;;) {
        c = take(d);
        if (c < 0 || c == '\n' || c == d->delimiter || (blanks && blank(c))) break;
        if (!c) return delimited_fail(d, "a byte 0: not a text"), NULL;
        if (t + 1 == d->text.end) return delimited_fail(d, "a row that is too long"), NULL;
        *t++ = (char)c;
    }
    if (c == '\n') d->lines++;
    if (blanks && blank(c)) { /* a run of them, which may end the line */
        int next;
        while ((next = look(d)) >= 0 && (blank(next) || next == '\r')) take(d);
        if (next == '\n') d->lines++, take(d);
        if (next == '\n' || next < 0) c = next;
    }
    while (t > keep && (t[-1] == '\r' || (!lines && blank(t[-1])))) t--;
    if (quoted && t > keep) return delimited_fail(d, "text behind the closing quote of a field"), NULL;
    *end = c;
    *t = 0;
    return t + 1;
}

/* Takes blanks, and the line if a comment follows them. */
static bool skip_comment(Delimited *d)
{
    int c;
    while (d->delimiter != '\t' && (c = look(d)) >= 0 && blank(c)) take(d);
    if (look(d) != d->comment) return false;
    while ((c = take(d)) >= 0 && c != '\n') {
    }
    d->lines++;
    return true;
}

bool delimited_next(Delimited *d)
{
    for (;;) {
        if (d->why || look(d) < 0) return false;
        d->line = d->lines + 1;
        if (d->comment && skip_comment(d)) continue;
        char *t = d->text.beg;
        int end = 0;
        for (d->fields = 0; !d->fields || (end >= 0 && end != '\n'); d->fields++) {
            if (d->fields == d->most_fields) return delimited_fail(d, "too many fields"), false;
            d->begin[d->fields] = t - d->text.beg;
            if (!(t = take_field(d, t, &end)) || d->why) return false;
        }
        if (d->fields == 1 && !*d->text.beg) continue; /* an empty line */
        for (int64_t i = 0; i < d->fields; i++) d->field[i] = d->text.beg + d->begin[i];
        return true;
    }
}

/* ---- numbers ---- */

static bool is_missing(const char *s, int64_t n)
{
    static const char *const word[] = {"", "?", "na", "n/a", "nan", "null", "none"};
    for (int i = 0; i < COUNTOF(word); i++)
        if ((int64_t)strlen(word[i]) == n && !strncasecmp(word[i], s, (size_t)n)) return true;
    return false;
}

/* Up to 15 digits with a point among them: both the whole number and the power of ten are exact, so is their quotient
 * (Clinger, "How to read floating point numbers accurately", 1990). False: for strtod. */
static bool short_number(const char *s, int64_t n, double *to)
{
    static const double power[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const bool minus = n && *s == '-';
    int64_t digits = 0, value = 0, behind = -1;
    if (n < 1 || n > 17) return false;
    for (int64_t i = minus; i < n; i++) {
        if (s[i] == '.' && behind < 0) {
            behind = 0;
            continue;
        }
        if (s[i] < '0' || s[i] > '9' || ++digits > 15) return false;
        value = 10 * value + (s[i] - '0');
        behind += behind >= 0;
    }
    if (!digits) return false;
    *to = (double)value / power[behind > 0 ? behind : 0];
    if (minus) *to = -*to;
    return true;
}

RealKind real_parse_n(const char *text, int64_t n, double *to)
{
    char copy[64], *end;
    if (short_number(text, n, to)) return REAL_NUMBER;
    *to = NAN;
    if (is_missing(text, n)) return REAL_MISSING;
    if (n >= (int64_t)sizeof copy) return REAL_NONE;
    memcpy(copy, text, (size_t)n);
    copy[n] = 0;
    const double v = strtod(copy, &end);
    if (end != copy + n || blank(*copy) || !(fabs(v) <= 3.4028234663852886e38)) return REAL_NONE;
    *to = v;
    return REAL_NUMBER;
}

RealKind real_parse(const char *text, double *to)
{
    return real_parse_n(text, (int64_t)strlen(text), to);
}

const char *delimited_field(Delimited *d, int64_t i, const char *name)
{
    if (i < d->fields) return d->field[i];
    delimited_fail(d, "%lld fields, but %s is number %lld: cut short?", (long long)d->fields, name, (long long)i + 1);
    return "";
}

bool delimited_number(Delimited *d, int64_t i, const char *name, double *to)
{
    if (d->why) return false;
    const char *text = delimited_field(d, i, name);
    if (!d->why && real_parse(text, to) == REAL_NUMBER) return true;
    delimited_fail(d, "%s is \"%.40s\": a number expected", name, text);
    return false;
}
