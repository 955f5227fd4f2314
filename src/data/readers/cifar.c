/* cifar: the binary version of CIFAR-10 and CIFAR-100 (Krizhevsky 2009).
 *
 *   CIFAR-10   | label | 3072 bytes |               data_batch_1…5.bin, test_batch.bin, names in batches.meta.txt
 *   CIFAR-100  | coarse | fine | 3072 bytes |       train.bin, test.bin, names in fine_ and coarse_label_names.txt
 *
 * The bytes are (3, 32, 32): red, green and blue rows.  Any number of samples in a file is taken.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "data/intake.h"
#include "data/readers/formats.h"

enum { SIDE = 32, CHANNELS = 3, PIXELS = CHANNELS * SIDE * SIDE, MAX_NAMES = 100, NAMES_TEXT = 1 << 14 };

typedef struct {
    const char *name, *names_file;
    int labels, classes; /* bytes before the pixels; classes of the one that is used */
    int which;           /* of them */
} Kind;
static const Kind cifar10 = {"cifar10", "batches.meta.txt", 1, 10, 0},
                  fine = {"cifar100", "fine_label_names.txt", 2, 100, 1},
                  coarse = {"cifar100", "coarse_label_names.txt", 2, 20, 0};

static bool in_folder(const char *folder, const char *name, char *path)
{
    struct stat st;
    const int n = snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return n > 0 && n < PATH_MAX && !stat(path, &st);
}

/* The class names of a folder, one a line, if there are as many as classes. */
static const char **read_names(Arena *perm, const char *folder, const Kind *k)
{
    char path[PATH_MAX];
    char *text = NEW(perm, char, NAMES_TEXT + 1);
    const char **name = NEW(perm, const char *, MAX_NAMES);
    FILE *f = in_folder(folder, k->names_file, path) ? fopen(path, "re") : 0;
    if (!f) return 0;
    text[fread(text, 1, NAMES_TEXT, f)] = 0;
    fclose(f);
    int n = 0;
    for (char *rest = text, *line; (line = strsep(&rest, "\r\n")) && n <= k->classes;) {
        if (!*line) continue;
        if (n < k->classes) name[n] = line;
        n++;
    }
    return n == k->classes ? name : 0;
}

static const char *put_file(Arena *perm, Arena scratch, const char *path, int64_t file, bool apart, const Kind *k,
                            int64_t *id, Intake *in)
{
    const int64_t size = k->labels + PIXELS;
    unsigned char *record = NEW(&scratch, unsigned char, size);
    FILE *f = fopen(path, "re");
    struct stat st;
    const char *why = !f || fstat(fileno(f), &st) ? strerror(errno) : S_ISDIR(st.st_mode) ? strerror(EISDIR) : 0;
    if (why) why = arena_printf(perm, "%s: %s", path, why);
    for (int64_t at = 0; !why; at += size) {
        Arena once = scratch;
        const int64_t got = (int64_t)fread(record, 1, (size_t)size, f);
        if (got < size) {
            if (ferror(f))
                why = arena_printf(perm, "%s: %s", path, strerror(errno));
            else if (got || !at)
                why = arena_printf(perm, "%s: byte %lld: cut short: %lld bytes more expected", path,
                                   (long long)(at + got), (long long)(size - got));
            break;
        }
        const float target = record[k->which];
        if (target >= (float)k->classes) {
            why = intake_bad(in, arena_printf(perm, "%s: byte %lld: label %d: below %d expected", path,
                                              (long long)(at + k->which), record[k->which], k->classes));
            ++*id;
            continue;
        }
        const Sample s = {.where = arena_printf(&once, "%s: byte %lld", path, (long long)at),
                          .raster = {CHANNELS, SIDE, SIDE, DTYPE_U8, record + k->labels},
                          .targets = &target,
                          .id = (*id)++,
                          .group = -1,
                          .file = file,
                          .named = -1,
                          .apart = apart};
        why = intake_put(in, once, &s);
    }
    if (f) fclose(f);
    return why;
}

static int64_t file_size(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISREG(st.st_mode) ? st.st_size : 0;
}

const char *cifar_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                       Dataset *out)
{
    static const char *const batches[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                          "data_batch_4.bin", "data_batch_5.bin"};
    *out = (Dataset){.target_width = 1};
    const char *labels = reader_option(spec, "labels"), *test = reader_option(spec, "test");
    const char *why = reader_option_check(perm, spec, "cifar", "labels test names");
    if (why) return why;
    if (n < 1) return "cifar: a folder or files expected";
    if (*spec->task && strcmp(spec->task, "classification")) return "cifar: task classification expected";
    if (labels && strcmp(labels, "fine") && strcmp(labels, "coarse"))
        return arena_printf(perm, "option labels=%s: fine or coarse (of CIFAR-100) expected", labels);

    char path[PATH_MAX];
    struct stat st;
    const bool folder = n == 1 && !stat(sources[0], &st) && S_ISDIR(st.st_mode);
    bool hundred = labels;
    const char **file = NEW(perm, const char *, n + COUNTOF(batches)), *test_file = test;
    int64_t files = 0;
    if (!folder) {
        for (; files < n; files++) file[files] = sources[files];
        const int64_t size = file_size(file[0]);
        hundred |= size % (cifar10.labels + PIXELS) && !(size % (fine.labels + PIXELS));
    } else {
        for (int i = 0; i < COUNTOF(batches) && !hundred; i++)
            if (in_folder(sources[0], batches[i], path)) file[files++] = arena_strdup(perm, path);
        if (!files && in_folder(sources[0], "train.bin", path)) {
            file[files++] = arena_strdup(perm, path);
            hundred = true;
        }
        if (!files)
            return arena_printf(perm, "%s: no data_batch_1.bin%s", sources[0],
                                hundred ? ", and options of CIFAR-100" : " or train.bin in this folder");
        if (!test && in_folder(sources[0], hundred ? "test.bin" : "test_batch.bin", path))
            test_file = arena_strdup(perm, path);
    }
    const Kind *kind = !hundred ? &cifar10 : labels && !strcmp(labels, "coarse") ? &coarse : &fine;

    Intake in;
    int64_t id = 0, test_id = 0;
    why = intake_open(perm, spec, out, 0, &in);
    for (int64_t i = 0; i < files && !why; i++)
        why = put_file(perm, scratch, file[i], files > 1 ? i : -1, false, kind, &id, &in);
    if (!why && test_file) why = put_file(perm, scratch, test_file, files, true, kind, &test_id, &in);
    if (!why) why = intake_close(&in, sources[0]);
    if (why) return why;
    DatasetInfo *info = &out->info;
    info->outputs = kind->classes;
    info->task = "classification";
    info->name = kind->name;
    info->source = arena_printf(perm, "cifar %s", sources[0]);
    if (folder) info->output_names = read_names(perm, sources[0], kind);
    return reader_name_outputs(perm, spec, info);
}

int cifar_probe(const char *path, const unsigned char *head, int64_t head_bytes)
{
    char found[PATH_MAX];
    if (in_folder(path, "data_batch_1.bin", found)) return 90;
    if (in_folder(path, "train.bin", found) && in_folder(path, "test.bin", found)) return 85;
    const size_t length = strlen(path);
    const int64_t size = file_size(path);
    const bool ten = size % (cifar10.labels + PIXELS) == 0 && head_bytes && head[0] < 10;
    const bool hundred = size % (fine.labels + PIXELS) == 0 && head_bytes > 1 && head[0] < 20 && head[1] < 100;
    return size && length > 4 && !strcmp(path + length - 4, ".bin") && (ten || hundred) ? 70 : 0;
}
