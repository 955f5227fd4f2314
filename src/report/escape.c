/* escape: any bytes as text of a given format, and numbers as a person reads them.
 *
 * Names in a stream come from outside: they may hold quotes, markup, terminal sequences or bytes that are no UTF-8.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/task.h"
#include "report/parts.h"

/* The code point at *s, which is moved on; -1 for a byte that starts no valid sequence. */
static int32_t utf8_next(const unsigned char **s)
{
    const unsigned char *p = *s;
    int32_t length = p[0] < 0x80                   ? 1
                     : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                     : p[0] < 0xf0 && p[0] >= 0xe0 ? 3
                     : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                                   : 0;
    int32_t c = length < 2 ? p[0] : p[0] & (0x7f >> length);
    for (int32_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80) { /* also stops at the terminator */
            length = 0;
            break;
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    if ((length == 3 && c < 0x800) || (length == 4 && (c < 0x10000 || c > 0x10ffff)) || (c >= 0xd800 && c < 0xe000)) {
        length = 0;
    }
    *s = p + (length ? length : 1);
    return length ? c : -1;
}

static bool is_control(int32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

static bool is_direction_mark(int32_t c) /* can make a line read differently from what it says */
{
    return c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static const char *escaped(Escape how, int32_t c, char spare[16])
{
    if (c == '\n' || c == '\t' || c == '\r') {
        static const char *const named[] = {"\\t", "\\n", "\\r"};
        return how == AS_JSON || how == AS_TSV ? named[c == '\t' ? 0 : c == '\n' ? 1 : 2] : " ";
    }
    if (is_control(c)) {
        if (how != AS_JSON) return "\xef\xbf\xbd";
        snprintf(spare, 16, "\\u%04x", (unsigned)c);
        return spare;
    }
    if (is_direction_mark(c) && how == AS_PLAIN) return "\xef\xbf\xbd";
    switch (c) {
    case '"': return how == AS_JSON || how == AS_DOT ? "\\\"" : how == AS_HTML ? "&quot;" : 0;
    case '\\': return how == AS_JSON || how == AS_DOT || how == AS_TSV ? "\\\\" : 0;
    case '&': return how == AS_HTML || how == AS_DOT ? "&amp;" : 0;
    case '<': return how == AS_HTML ? "&lt;" : 0;
    case '>': return how == AS_HTML ? "&gt;" : how == AS_GNUPLOT ? "›" : 0; /* gnuplot's SVG would be broken by ]]> */
    case '\'': return how == AS_HTML ? "&#39;" : how == AS_GNUPLOT ? "''" : 0;
    default: return 0;
    }
}

void escape_add(Arena *a, Text *out, Escape how, const char *s)
{
    const unsigned char *p = (const unsigned char *)(s ? s : "");
    while (*p) {
        const unsigned char *start = p;
        int32_t c = utf8_next(&p);
        char spare[16];
        const char *special = c < 0 ? "\xef\xbf\xbd" : escaped(how, c, spare);
        if (!special) {
            memcpy(spare, start, (size_t)(p - start));
            spare[p - start] = 0;
            special = spare;
        }
        text_add(a, out, special);
    }
}

char *escape_text(Arena *a, Escape how, const char *s)
{
    Text t = {0};
    text_add(a, &t, "");
    escape_add(a, &t, how, s);
    return t.s;
}

int64_t escape_width(const char *s)
{
    int64_t n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* ---- numbers ---- */

char *format_count(Arena *a, int64_t n)
{
    char digits[24], out[32];
    int length = snprintf(digits, sizeof digits, "%llu", n < 0 ? 0ull - (unsigned long long)n : (unsigned long long)n);
    int k = 0;
    if (n < 0) out[k++] = '-';
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0) out[k++] = ',';
        out[k++] = digits[i];
    }
    return arena_strndup(a, out, k);
}

char *format_bytes(Arena *a, int64_t n)
{
    static const char *const unit[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    if (n < 1024) return arena_printf(a, "%lld bytes", (long long)n);
    double v = (double)n / 1024;
    int u = 0;
    for (; v >= 1024 && u + 1 < COUNTOF(unit); u++) v /= 1024;
    return arena_printf(a, v < 10 ? "%.1f %s" : "%.0f %s", v, unit[u]);
}

char *format_seconds(Arena *a, double s)
{
    if (!(s > 0) || s > 1e15) return arena_strdup(a, "");
    if (s < 100) return arena_printf(a, s < 10 ? "%.2f s" : "%.1f s", s);
    long long whole = (long long)(s + 0.5);
    if (whole < 3600) return arena_printf(a, "%lld min %02lld s", whole / 60, whole % 60);
    return arena_printf(a, "%lld h %02lld min", whole / 3600, whole / 60 % 60);
}

char *format_real(Arena *a, double v)
{
    if (isnan(v)) return arena_strdup(a, "nan");
    if (isinf(v)) return arena_strdup(a, v < 0 ? "-inf" : "inf");
    char s[32];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, v);
        if (strtod(s, 0) == v) break;
    }
    return arena_strdup(a, s);
}

char *format_metric(Arena *a, const char *name, double v)
{
    const MetricInfo *info = task_metric(name);
    bool percent =
        info ? info->percent : strstr(name, "accuracy") || !strcmp(name, "precision") || !strcmp(name, "recall");
    if (isnan(v)) return arena_strdup(a, "not defined");
    if (percent && fabs(v) <= 1) return arena_printf(a, "%.2f %%", 100 * v);
    return arena_printf(a, "%.4g", v);
}

char *format_metrics(Arena *a, const Metric *m, int64_t n, const char *split)
{
    Text t = {0};
    text_add(a, &t, "");
    for (int64_t i = 0; i < n; i++) {
        if (strcmp(m[i].split, split)) continue;
        text_addf(a, &t, "%s%s %s", t.length ? ", " : "", m[i].name, format_metric(a, m[i].name, m[i].value));
    }
    return t.s;
}

const char *metric_primary(const Metric *m, int64_t n, bool *higher)
{
    bool unused;
    if (!higher) higher = &unused;
    for (int64_t i = 0; i + 1 < n; i++) {
        const MetricInfo *second = task_metric(m[i + 1].name);
        if (strcmp(m[i].name, "loss") || !second || strcmp(m[i].split, m[i + 1].split)) continue;
        *higher = second->higher;
        return second->name;
    }
    *higher = true;
    for (int64_t i = 0; i < n; i++) {
        if (m[i].split[0] && strcmp(m[i].name, "loss")) return m[i].name;
    }
    *higher = false;
    return n ? m[0].name : 0;
}

double metric_by_name(const Metric *m, int64_t n, const char *name)
{
    double value = NAN;
    for (int64_t i = n; i--;) {
        if (strcmp(m[i].name, name)) continue;
        value = m[i].value;
        if (!m[i].split[0]) break;
    }
    return value;
}
