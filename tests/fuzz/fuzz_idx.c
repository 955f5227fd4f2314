/* fuzz_idx: the IDX reader on arbitrary files: a dataset that can be split and measured, or one line why not.
 *
 * Input: two bytes with the length of the labels file, the labels file, the images file.  Either may be gzip.
 */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_of(const uint8_t *bytes, size_t n, char *path, size_t room)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n) __builtin_trap();
    snprintf(path, room, "/proc/self/fd/%d", fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Arena perm_whole, scratch_whole;
    if (!perm_whole.beg) {
        perm_whole = arena_reserve((ptrdiff_t)1 << 26);
        scratch_whole = arena_reserve((ptrdiff_t)1 << 26);
    }
    if (size < 2) return 0;
    size_t labels = (size_t)(data[0] << 8 | data[1]);
    if (labels > size - 2) labels = size - 2;
    char image_path[64], label_path[64];
    int label_fd = file_of(data + 2, labels, label_path, sizeof label_path);
    int image_fd = file_of(data + 2 + labels, size - 2 - labels, image_path, sizeof image_path);
    const char *source[] = {image_path, label_path};
    static const char *const task[] = {"classification", "regression"};
    for (int t = 0; t < COUNTOF(task); t++) {
        Arena perm = perm_whole;
        IngestSpec spec = {
            .task = task[t], .valid_fraction = 0.1, .alpha_fraction = 0.5, .test_fraction = 0.2, .seed = 1};
        Dataset d;
        const char *why = 0;
        reader_probe(image_path, &why);
        why = reader_find("idx")->read(&perm, scratch_whole, source, 2, &spec, &d);
        if (!why) why = split_assign(&perm, scratch_whole, &d, &spec);
        if (why) {
            assert(*why && !strchr(why, '\n'));
            continue;
        }
        dataset_finish(&perm, &d);
        for (int64_t c = 0; c < d.info.channels; c++) assert(isfinite(d.info.mean[c]) && d.info.sd[c] > 0);
    }
    close(label_fd);
    close(image_fd);
    return 0;
}
