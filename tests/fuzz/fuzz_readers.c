/* fuzz_readers: the readers of tables, series, arrays and CIFAR on arbitrary files: a dataset that can be made a stream,
 * or one line why not.
 *
 * Input: the format, options, two bytes with the length of the second file, the second file, the first file.
 */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/prepare.h"
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
    static const struct {
        const char *format;
        int files; /* 1, 2, or 0: as many as are not empty */
        const char *option[4];
    } form[] = {{"csv", 0, {"targets=1"}},
                {"csv", 0, {"header=no", "targets=2", "missing=mean", "delimiter=blank"}},
                {"csv", 1, {"targets=1-2", "type=u8", "split=3", "group=4"}},
                {"ucr", 0, {0}},
                {"ucr", 0, {"length=longest", "missing=interpolate"}},
                {"ucr", 1, {"length=5", "missing=mean"}},
                {"npy", 2, {0}},
                {"npy", 2, {"layout=nchw"}},
                {"npy", 1, {"layout=nl"}},
                {"npy", 1, {0}},
                {"cifar", 1, {0}},
                {"cifar", 1, {"labels=coarse"}}};
    static const char *const task[] = {"", "classification", "regression", ""};
    static Arena perm_whole, scratch_whole;
    if (!perm_whole.beg) {
        perm_whole = arena_reserve((ptrdiff_t)1 << 26);
        scratch_whole = arena_reserve((ptrdiff_t)1 << 26);
    }
    if (size < 4) return 0;
    const int f = data[0] % (int)COUNTOF(form);
    size_t second = (size_t)(data[2] << 8 | data[3]);
    if (second > size - 4) second = size - 4;
    char path[2][64];
    const int fd2 = file_of(data + 4, second, path[1], sizeof path[1]);
    const int fd1 = file_of(data + 4 + second, size - 4 - second, path[0], sizeof path[0]);
    const char *source[] = {path[0], path[1]};

    Arena perm = perm_whole;
    IngestSpec spec = {.task = task[data[1] & 3],
                       .valid_fraction = 0.1,
                       .alpha_fraction = 0.5,
                       .test_fraction = 0.2,
                       .skip_bad = data[1] & 4,
                       .reshape = data[1] & 8 ? "resize:3x5,pad:6" : "",
                       .seed = 1};
    for (int i = 0; i < 4 && form[f].option[i]; i++) spec.option[spec.option_count++] = form[f].option[i];
    Dataset d;
    const char *why = 0;
    reader_probe(path[0], &why);
    why = reader_find(form[f].format)
              ->read(&perm, scratch_whole, source, form[f].files ? form[f].files : 1 + (second > 0), &spec, &d);
    if (!why) why = prepare_normalise(&perm, &d, (Normalise)(data[1] >> 4 & 3));
    if (!why) why = split_assign(&perm, scratch_whole, &d, &spec);
    if (!why && strcmp(d.info.task, "regression"))
        why = prepare_balance(&perm, scratch_whole, &d, (Balance)((data[1] >> 6) % 3));
    if (!why) why = prepare_missing(&perm, scratch_whole, &d);
    if (why) {
        assert(*why && !strchr(why, '\n'));
    } else {
        dataset_finish(&perm, &d);
        for (int64_t c = 0; c < d.info.channels; c++) assert(isfinite(d.info.mean[c]) && d.info.sd[c] > 0);
        for (int s = 0; s < SPLIT_COUNT; s++)
            for (int64_t i = 0; i < d.split[s].count * d.target_width; i++) {
                const float t = d.split[s].targets[i];
                assert(isfinite(t));
                assert(strcmp(d.info.task, "classification") ||
                       (t >= 0 && t < (float)d.info.outputs && t == floorf(t)));
            }
    }
    close(fd1);
    close(fd2);
    return 0;
}
