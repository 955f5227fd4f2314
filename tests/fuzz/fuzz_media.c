/* fuzz_media: pictures and clips of sound as arbitrary files: samples, or one line why not.
 *
 * The first byte of the input chooses the reader, the rest is the file.  (HDF5 and NetCDF are read by processes of their
 * own, which a fuzzer of one process cannot follow: tests/unit/test_media.c damages such files.)
 */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/reader.h"
#include "data/readers/picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *why)
{
    assert(*why && !strchr(why, '\n'));
}

static void try_picture(Arena a, const char *path)
{
    Picture p;
    const char *why = picture_read(&a, path, &p);
    if (why) {
        check_line(why);
        return;
    }
    for (int64_t channels = 1; channels <= 4; channels += channels == 1 ? 2 : 1) {
        Arena once = a;
        picture_convert(&once, &p, channels, p.deep, 255);
        if (p.height * p.width < 1 << 16) picture_convert(&once, &p, channels, !p.deep, 0);
    }
}

static void try_clip(Arena a, Arena scratch, const char *path)
{
    IngestSpec spec = {.task = "", .option = {"seconds=0.05", "mels=8", "cut=0.05"}, .option_count = 3};
    Dataset d;
    const char *why = reader_find("audio")->read(&a, scratch, &path, 1, &spec, &d);
    if (why) {
        check_line(why);
        return;
    }
    const float *x = d.split[SPLIT_TRAIN].data;
    for (int64_t i = 0; i < d.split[SPLIT_TRAIN].count * dataset_sample_values(&d.info); i++) assert(isfinite(x[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Arena perm, scratch;
    if (!perm.beg) {
        perm = arena_reserve((ptrdiff_t)1 << 30);
        scratch = arena_reserve((ptrdiff_t)1 << 30);
    }
    if (size < 1) return 0;
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1)) __builtin_trap();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    switch (data[0] % 2) {
    case 0: try_picture(perm, path); break;
    case 1: try_clip(perm, scratch, path); break;
    }
    close(fd);
    return 0;
}
