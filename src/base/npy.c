/* npy: see npy.h. */
#include "base/npy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char magic[] = "\x93NUMPY";
enum { MAGIC_BYTES = 6 };

bool npy_is(const void *bytes, int64_t n)
{
    return n >= MAGIC_BYTES && !memcmp(bytes, magic, MAGIC_BYTES);
}

typedef struct {
    const char *at, *end;
} Cursor;

static char look(Cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t')) c->at++;
    return c->at < c->end ? *c->at : 0;
}

static bool take(Cursor *c, char wanted)
{
    if (look(c) != wanted || !wanted) return false;
    c->at++;
    return true;
}

/* A quoted text without escapes; its length, or -1. */
static int64_t read_text(Cursor *c, const char **text)
{
    char quote = look(c);
    if (quote != '\'' && quote != '"') return -1;
    *text = ++c->at;
    while (c->at < c->end && *c->at != quote) c->at++;
    return c->at < c->end ? c->at++ - *text : -1;
}

static bool take_word(Cursor *c, const char *word)
{
    int64_t n = (int64_t)strlen(word);
    look(c);
    if (c->end - c->at < n || memcmp(c->at, word, (size_t)n)) return false;
    c->at += n;
    return true;
}

static bool read_shape(Cursor *c, NpyHeader *h)
{
    if (!take(c, '(')) return false;
    while (!take(c, ')')) {
        char digit = look(c);
        if (h->rank == NPY_MAX_RANK || digit < '0' || digit > '9') return false;
        int64_t side = 0;
        for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
            side = size_add(size_mul(side, 10), *c->at - '0');
            if (side < 0) return false;
        }
        if (c->at < c->end && *c->at == 'L') c->at++; /* Python 2 */
        h->shape[h->rank++] = side;
        if (!take(c, ',') && look(c) != ')') return false;
    }
    h->count = 1;
    for (int64_t i = 0; i < h->rank; i++) h->count = size_mul(h->count, h->shape[i]);
    return h->count >= 0 && size_mul(h->count, h->size ? h->size : 8) >= 0;
}

/* "<f4", "|u1", … */
static bool read_type(const char *text, int64_t length, NpyHeader *h)
{
    if (length != 3 || !strchr("<>|=", text[0]) || !strchr("fiub", text[1])) return false;
    h->kind = text[1];
    h->size = text[2] - '0';
    h->big_endian = text[0] == '>';
    bool power = h->size == 1 || h->size == 2 || h->size == 4 || h->size == 8;
    return power && (h->kind != 'f' || h->size > 1) && (h->kind != 'b' || h->size == 1);
}

static const char *bad_type(Arena *perm, const char *text, int64_t length)
{
    int n = 0;
    while (n < length && n < 40 && text[n] > ' ' && text[n] <= '~') n++;
    return arena_printf(perm, "values of type %.*s, expected floats or integers", n ? n : 7, n ? text : "unknown");
}

const char *npy_parse(Arena *perm, const void *bytes, int64_t n, NpyHeader *out)
{
    *out = (NpyHeader){0};
    if (!npy_is(bytes, n)) return "no .npy file: it does not begin as one";
    const unsigned char *b = bytes;
    int64_t head = n > MAGIC_BYTES && b[MAGIC_BYTES] == 1 ? 10 : 12, length = 0;
    if (n < head) return "cut short in the header";
    if (b[6] < 1 || b[6] > 3 || b[7])
        return arena_printf(perm, "version %d.%d of .npy; 1.0, 2.0 and 3.0 are known", b[6], b[7]);
    for (int64_t i = head - 1; i >= 8; i--) length = length << 8 | b[i];
    if (length > NPY_MAX_TEXT) return arena_printf(perm, "a header of %lld bytes", (long long)length);
    if (length > n - head) return "cut short in the header";
    out->start = head + length;
    Cursor c = {(const char *)b + head, (const char *)b + head + length};
    static const char *const names[] = {"descr", "fortran_order", "shape"};
    unsigned seen = 0;
    bool good = take(&c, '{');
    while (good && !take(&c, '}')) {
        const char *key, *type;
        int64_t size = read_text(&c, &key);
        int k = 0;
        while (k < 3 && !((int64_t)strlen(names[k]) == size && !memcmp(names[k], key, (size_t)size))) k++;
        good = k < 3 && !(seen >> k & 1) && take(&c, ':');
        if (!good) break;
        seen |= 1u << k;
        if (k == 0) {
            size = read_text(&c, &type);
            if (size < 0 || !read_type(type, size, out)) return bad_type(perm, size < 0 ? "" : type, size);
        } else if (k == 1) {
            out->fortran = take_word(&c, "True");
            good = out->fortran || take_word(&c, "False");
        } else {
            good = read_shape(&c, out);
        }
        if (good && !take(&c, ',')) {
            good = take(&c, '}');
            break;
        }
    }
    return good && seen == 7 && !look(&c) ? 0 : "its header is no dictionary of descr, fortran_order and shape";
}

static double half(uint64_t bits)
{
    int exponent = (int)(bits >> 10 & 31);
    double fraction = (double)(bits & 1023) / 1024, sign = bits >> 15 & 1 ? -1 : 1;
    if (exponent == 31) return fraction > 0 ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexp(1 + fraction, exponent - 15) : ldexp(fraction, -14));
}

void npy_head(char *to, const int64_t *shape, int64_t rank)
{
    enum { BEFORE = 10, LEFT = NPY_HEAD - BEFORE }; /* magic, version and length; the whole is a multiple of 64 */
    char sides[96] = "", text[LEFT + 1];
    int n = 0;
    for (int64_t i = 0; i < rank && n < (int)sizeof sides; i++)
        n += snprintf(sides + n, sizeof sides - (size_t)n, rank > 1 && i + 1 == rank ? "%lld" : "%lld, ",
                      (long long)shape[i]);
    snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (%.60s), }", sides);
    memcpy(to, magic, MAGIC_BYTES);
    memcpy(to + MAGIC_BYTES, (char[]){1, 0, LEFT, 0}, BEFORE - MAGIC_BYTES);
    memset(to + BEFORE, ' ', LEFT);
    memcpy(to + BEFORE, text, strlen(text));
    to[NPY_HEAD - 1] = '\n';
}

double npy_real(const NpyHeader *h, const void *data, int64_t place)
{
    if (h->fortran) { /* the first index runs fastest there, the last one here */
        int64_t there = 0, stride = h->count;
        for (int64_t i = h->rank - 1; i >= 0; i--) {
            stride /= h->shape[i];
            there += place % h->shape[i] * stride;
            place /= h->shape[i];
        }
        place = there;
    }
    const unsigned char *p = (const unsigned char *)data + place * h->size;
    uint64_t bits = 0;
    for (int64_t i = 0; i < h->size; i++) bits |= (uint64_t)p[h->big_endian ? h->size - 1 - i : i] << 8 * i;
    if (h->kind == 'f') {
        double real;
        float single;
        uint32_t word = (uint32_t)bits;
        memcpy(&real, &bits, sizeof real);
        memcpy(&single, &word, sizeof single);
        return h->size == 8 ? real : h->size == 4 ? (double)single : half(bits);
    }
    if (h->kind == 'i' && h->size < 8 && bits >> (8 * h->size - 1)) bits |= UINT64_MAX << 8 * h->size;
    return h->kind == 'i' ? (double)(int64_t)bits : (double)bits;
}
