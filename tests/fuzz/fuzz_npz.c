/* Any bytes as an archive of NumPy arrays: what is accepted has a name, a shape that can be counted, and all its values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exchange/npz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Arena all;
    if (!all.beg) all = arena_reserve((ptrdiff_t)1 << 30);
    Arena perm = all;
    int fd = memfd_create("npz", 0);
    insist(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    NpzArray *a;
    int64_t n;
    const char *why = npz_read(&perm, arena_printf(&perm, "/proc/self/fd/%d", fd), 1 << 16, &a, &n);
    close(fd);
    if (why) {
        insist(*why && !strchr(why, '\n'));
        return 0;
    }
    volatile float value; /* it is read, or the loop would be left out */
    for (int64_t i = 0; i < n; i++) {
        insist(a[i].name && a[i].head.count >= 0);
        for (int64_t k = 0; k < a[i].head.count; k++) value = a[i].data[k];
    }
    (void)value;
    return 0;
}
