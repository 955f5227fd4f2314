/* fuzz_curves: the readers of light curves and of sheets with cuts on arbitrary tables: a dataset that can be split and
 * measured, or one line why not.
 *
 * Input: a byte that chooses the format, two bytes with the length of the first file, the first file, the second file.
 * Either may be gzip.
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
    static const struct {
        const char *format, *option[5];
        int options, files;
    } way[] = {
        {"kirigami", {"raster=coarse"}, 1, 1},
        {"kirigami", {"target=strain,stress", "height=20", "width=10"}, 3, 2},
        {"lightcurves", {"bins=7", "errors=yes", "features=a,b", "split=part", "unmatched=skip"}, 5, 2},
        {"lightcurves", {"bins=5", "align=peak", "scale=object", "detected=only", "group=a"}, 5, 2},
    };
    static Arena perm_whole, scratch_whole;
    if (!perm_whole.beg) {
        perm_whole = arena_reserve((ptrdiff_t)1 << 27);
        scratch_whole = arena_reserve((ptrdiff_t)1 << 27);
    }
    if (size < 3) return 0;
    const int which = data[0] % (int)COUNTOF(way);
    size_t first = (size_t)(data[1] << 8 | data[2]);
    if (first > size - 3 || way[which].files == 1) first = size - 3;
    char path[2][64];
    int fd[2] = {file_of(data + 3, first, path[0], sizeof path[0]),
                 file_of(data + 3 + first, size - 3 - first, path[1], sizeof path[1])};
    const char *source[] = {path[0], path[1]};
    Arena perm = perm_whole;
    IngestSpec spec = {.task = "", .valid_fraction = 0.1, .alpha_fraction = 0.5, .test_fraction = 0.2, .seed = 1};
    for (int i = 0; i < way[which].options; i++) spec.option[spec.option_count++] = way[which].option[i];
    Dataset d;
    Leaks leaks;
    const char *why = 0;
    reader_probe(path[0], &why);
    why = reader_find(way[which].format)->read(&perm, scratch_whole, source, way[which].files, &spec, &d);
    if (!why) {
        spec.group_copies = data[0] & 64;
        d.info.flip_horizontal = data[0] & 128;
        why = split_assign(&perm, scratch_whole, &d, &spec);
    }
    if (!why) why = leak_check(&perm, scratch_whole, &d, &leaks);
    if (!why) {
        dataset_finish(&perm, &d);
        for (int64_t c = 0; c < d.info.channels; c++) assert(isfinite(d.info.mean[c]) && d.info.sd[c] > 0);
        for (int64_t k = 0; d.info.target_mean && k < d.info.outputs; k++) assert(isfinite(d.info.target_mean[k]));
    } else {
        assert(*why && !strchr(why, '\n'));
    }
    close(fd[0]);
    close(fd[1]);
    return 0;
}
