/* Any bytes as a .npy file: what is accepted has a shape that can be counted, and every value that is there is read. */
#include <stdlib.h>
#include <string.h>

#include <math.h>

#include "base/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Arena all;
    if (!all.beg) all = arena_reserve((ptrdiff_t)1 << 26);
    Arena perm = all;
    NpyHeader h;
    const char *why = npy_parse(&perm, data, (int64_t)size, &h);
    if (why) {
        insist(*why && !strchr(why, '\n'));
        return 0;
    }
    insist(h.count >= 0 && h.rank >= 0 && h.rank <= NPY_MAX_RANK && h.start <= (int64_t)size);
    int64_t bytes = size_mul(h.count, h.size);
    insist(bytes >= 0);
    if (bytes > (int64_t)size - h.start) return 0;
    volatile double value; /* it is read, or the calls would be left out */
    for (int64_t i = 0; i < h.count; i++) {
        value = npy_real(&h, data + h.start, i);
        insist(isnan(value) || !isnan(value));
    }
    return 0;
}
