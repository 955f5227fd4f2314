/* idx: the format of MNIST and its kin, plain or gzip.
 *
 *   0 0 type rank | rank sizes, 32 bits each, big-endian | values, big-endian, last index fastest
 *
 * Images are (N, H, W) or (N, C, H, W); ubyte stays u8, every other type becomes float32.  Labels are (N) class
 * numbers, or for regression (N) or (N, K) numbers.  The sizes are believed only after they were compared with the
 * file's real length; a gzip file's length bounds its content, because deflate packs at most 1032 to 1.  Offsets in
 * messages count decompressed bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "data/readers/formats.h"
#include "data/task.h"

enum { MAX_RANK = 4, MAX_CLASSES = 65536, DEFLATE_RATIO = 1032, PIECE = 1 << 16, BUFFER = 1 << 17 };
typedef enum { IDX_U8 = 0x08, IDX_S8 = 0x09, IDX_I16 = 0x0B, IDX_I32 = 0x0C, IDX_F32 = 0x0D, IDX_F64 = 0x0E } IdxType;

typedef struct {
    const char *path;
    gzFile gz;
    int64_t length; /* of the file on disk; -1: a pipe or device */
    IdxType type;
    int rank;
    int64_t size[MAX_RANK];
    int64_t values; /* all of them */
    int64_t offset; /* decompressed bytes taken so far */
} IdxFile;

static int64_t type_size(IdxType t)
{
    switch (t) {
    case IDX_U8:
    case IDX_S8: return 1;
    case IDX_I16: return 2;
    case IDX_I32:
    case IDX_F32: return 4;
    case IDX_F64: return 8;
    }
    return 0;
}

static const char *complain(Arena *perm, const IdxFile *f, const char *what)
{
    return arena_printf(perm, "%s: byte %lld: %s", f->path, (long long)f->offset, what);
}

/* Exactly n bytes, or why not. */
static const char *take(Arena *perm, IdxFile *f, void *to, int64_t n)
{
    for (int64_t done = 0; done < n;) {
        unsigned want = n - done < (1 << 30) ? (unsigned)(n - done) : 1u << 30;
        int got = gzread(f->gz, (char *)to + done, want);
        if (got > 0) {
            done += got;
            f->offset += got;
            continue;
        }
        int error = Z_OK;
        gzerror(f->gz, &error);
        if (got < 0 && error == Z_ERRNO) return arena_printf(perm, "%s: %s", f->path, strerror(errno));
        if (got < 0) return complain(perm, f, "damaged gzip data");
        return error == Z_BUF_ERROR ? complain(perm, f, "cut short: the gzip data ends early")
                                    : arena_printf(perm, "%s: byte %lld: cut short: %lld bytes more expected", f->path,
                                                   (long long)f->offset, (long long)(n - done));
    }
    return 0;
}

static void idx_close(IdxFile *f)
{
    if (f->gz) gzclose_r(f->gz);
    f->gz = 0;
}

/* Opens the file and reads and checks its header. */
static const char *idx_open(Arena *perm, const char *path, IdxFile *f)
{
    *f = (IdxFile){.path = path, .length = -1};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return arena_printf(perm, "%s: %s", path, strerror(errno));
    struct stat st;
    if (fstat(fd, &st) || S_ISDIR(st.st_mode)) {
        const char *why = arena_printf(perm, "%s: %s", path, strerror(S_ISDIR(st.st_mode) ? EISDIR : errno));
        close(fd);
        return why;
    }
    if (S_ISREG(st.st_mode)) f->length = st.st_size;
    f->gz = gzdopen(fd, "rb");
    if (!f->gz) {
        close(fd);
        return arena_printf(perm, "%s: no memory to read it", path);
    }
    gzbuffer(f->gz, BUFFER);

    unsigned char b[4];
    const char *why = take(perm, f, b, 4);
    if (why) return why;
    f->type = (IdxType)b[2];
    f->rank = b[3];
    if (b[0] || b[1] || !type_size(f->type) || f->rank < 1)
        return arena_printf(perm, "%s: byte 0: not an IDX file: it begins with %02x %02x %02x %02x", path, b[0], b[1],
                            b[2], b[3]);
    if (f->rank > MAX_RANK)
        return arena_printf(perm, "%s: byte 3: %d dimensions: 1 to %d expected", path, f->rank, MAX_RANK);
    f->values = 1;
    for (int i = 0; i < f->rank; i++) {
        int64_t at = f->offset;
        if ((why = take(perm, f, b, 4))) return why;
        f->size[i] = (int64_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
        if (f->size[i] > INT32_MAX)
            return arena_printf(perm, "%s: byte %lld: dimension %d is %lld: absurd", path, (long long)at, i + 1,
                                (long long)f->size[i]);
        f->values = size_mul(f->values, f->size[i]);
    }
    int64_t bytes = size_mul(f->values, type_size(f->type)), all = size_add(bytes, f->offset);
    if (all < 0) return complain(perm, f, "dimensions are absurd: their product overflows");
    if (!gzdirect(f->gz) && f->length >= 0 && all / DEFLATE_RATIO > f->length)
        return arena_printf(perm,
                            "%s: byte 4: dimensions announce %lld bytes, more than %lld compressed bytes can hold",
                            path, (long long)all, (long long)f->length);
    if (gzdirect(f->gz) && f->length >= 0 && all > f->length)
        return arena_printf(perm, "%s: byte %lld: cut short: dimensions announce %lld bytes, the file has %lld", path,
                            (long long)f->length, (long long)all, (long long)f->length);
    if (f->values == 0) return complain(perm, f, f->size[0] ? "a dimension is 0" : "zero samples");
    return 0;
}

/* After the last value: the end of the file, which for gzip also checks its checksum. */
static const char *finish(Arena *perm, IdxFile *f)
{
    char more;
    int got = gzread(f->gz, &more, 1);
    int error = Z_OK;
    gzerror(f->gz, &error);
    if (got > 0) return complain(perm, f, "more bytes than the dimensions announce");
    if (got < 0) return complain(perm, f, "damaged gzip data");
    if (error == Z_BUF_ERROR) return complain(perm, f, "cut short: the gzip data ends early");
    return 0;
}

static float to_float(IdxType t, const unsigned char *p)
{
    uint64_t v = 0;
    for (int64_t i = 0; i < type_size(t); i++) v = v << 8 | p[i];
    union {
        uint32_t u;
        float f;
    } f32 = {(uint32_t)v};
    union {
        uint64_t u;
        double f;
    } f64 = {v};
    switch (t) {
    case IDX_U8: return (float)v;
    case IDX_S8: return (float)(int8_t)v;
    case IDX_I16: return (float)(int16_t)v;
    case IDX_I32: return (float)(int32_t)v;
    case IDX_F32: return f32.f;
    case IDX_F64: return fabs(f64.f) <= 3.4028234663852886e38 ? (float)f64.f : NAN;
    }
    return 0;
}

/* All values as float32, each finite. */
static const char *take_floats(Arena *perm, Arena scratch, IdxFile *f, float *to)
{
    const int64_t size = type_size(f->type), step = PIECE / size;
    unsigned char *piece = NEW(&scratch, unsigned char, PIECE);
    for (int64_t i = 0; i < f->values;) {
        int64_t n = f->values - i < step ? f->values - i : step, at = f->offset;
        const char *why = take(perm, f, piece, n * size);
        if (why) return why;
        for (int64_t k = 0; k < n; k++) {
            to[i + k] = to_float(f->type, piece + k * size);
            if (!isfinite(to[i + k]))
                return arena_printf(perm, "%s: byte %lld: a value that is not finite", f->path,
                                    (long long)(at + k * size));
        }
        i += n;
    }
    return finish(perm, f);
}

static const char *read_images(Arena *perm, Arena scratch, IdxFile *f, DatasetInfo *info, SplitData *split)
{
    if (f->rank != 3 && f->rank != 4)
        return arena_printf(perm, "%s: byte 3: %d dimensions: images have 3 (N, H, W) or 4 (N, C, H, W)%s", f->path,
                            f->rank, f->rank == 1 ? "; are images and labels swapped?" : "");
    info->dtype = f->type == IDX_U8 ? DTYPE_U8 : DTYPE_F32;
    info->channels = f->rank == 4 ? f->size[1] : 1;
    info->height = f->size[f->rank - 2];
    info->width = f->size[f->rank - 1];
    const char *why = dataset_check_shape(perm, info->channels, info->height, info->width, info->dtype);
    if (why) return arena_printf(perm, "%s: byte 8: %s", f->path, why);
    void *data = dataset_memory(perm, f->values, dtype_size(info->dtype), &why);
    if (!data) return arena_printf(perm, "%s: %s", f->path, why);
    split->count = f->size[0];
    split->data = data;
    if (info->dtype == DTYPE_F32) return take_floats(perm, scratch, f, data);
    why = take(perm, f, data, f->values);
    return why ? why : finish(perm, f);
}

/* Targets of one pair. *classes: how many there are, every label being below it; 0: found here. */
static const char *read_labels(Arena *perm, Arena scratch, IdxFile *f, int64_t count, bool classes_wanted,
                               int64_t *classes, const char *images, SplitData *split, int64_t *width)
{
    int limit = classes_wanted ? 1 : 2;
    if (f->rank > limit)
        return arena_printf(perm, "%s: byte 3: %d dimensions: labels have %s%s", f->path, f->rank,
                            classes_wanted ? "1 (N)" : "1 or 2, (N) or (N, K)",
                            f->rank > 2 ? "; are images and labels swapped?" : "");
    if (f->size[0] != count)
        return arena_printf(perm, "%s: byte 4: %lld labels, but %s has %lld images", f->path, (long long)f->size[0],
                            images, (long long)count);
    *width = f->rank == 2 ? f->size[1] : 1;
    if (*width > DATASET_MAX_OUTPUTS)
        return arena_printf(perm, "%s: byte 8: %lld targets: absurd", f->path, (long long)*width);
    const char *why;
    const int64_t at = f->offset;
    float *to = dataset_memory(perm, f->values, sizeof *to, &why);
    if (!to) return arena_printf(perm, "%s: %s", f->path, why);
    split->targets = to;
    if ((why = take_floats(perm, scratch, f, to)) || !classes_wanted) return why;
    float limit_class = (float)(*classes ? *classes : MAX_CLASSES), largest = 0;
    for (int64_t i = 0; i < f->values; i++) {
        if (!(to[i] >= 0 && to[i] < limit_class && to[i] == floorf(to[i])))
            return arena_printf(perm, "%s: byte %lld: label %g: a whole number from 0 to %g expected", f->path,
                                (long long)(at + i * type_size(f->type)), (double)to[i], (double)limit_class - 1);
        if (to[i] > largest) largest = to[i];
    }
    if (!*classes) *classes = (int64_t)largest + 1;
    return 0;
}

/* One pair of files into a split. The shape is taken from the first pair, and demanded of the second. */
static const char *read_pair(Arena *perm, Arena scratch, const char *images, const char *labels, bool classes_wanted,
                             int64_t *classes, Dataset *d, Split s)
{
    IdxFile f;
    DatasetInfo info = d->info;
    int64_t width = 0;
    const char *why = idx_open(perm, images, &f);
    if (!why) why = read_images(perm, scratch, &f, &info, &d->split[s]);
    idx_close(&f);
    if (why) return why;
    if (s == SPLIT_TEST && (info.channels != d->info.channels || info.height != d->info.height ||
                            info.width != d->info.width || info.dtype != d->info.dtype))
        return arena_printf(
            perm, "%s: test images of (%lld, %lld, %lld), training images of (%lld, %lld, %lld), or of another type",
            images, (long long)info.channels, (long long)info.height, (long long)info.width,
            (long long)d->info.channels, (long long)d->info.height, (long long)d->info.width);
    d->info = info;
    why = idx_open(perm, labels, &f);
    if (!why)
        why = read_labels(perm, scratch, &f, d->split[s].count, classes_wanted, classes, images, &d->split[s], &width);
    idx_close(&f);
    if (why) return why;
    if (s == SPLIT_TEST && width != d->target_width)
        return arena_printf(perm, "%s: %lld targets a sample, training labels have %lld", labels, (long long)width,
                            (long long)d->target_width);
    d->target_width = width;
    return 0;
}

/* ---- which files ---- */

enum { IMAGES, LABELS, TEST_IMAGES, TEST_LABELS, FILES };
static const char *const file_option[FILES] = {"images", "labels", "test_images", "test_labels"};
static const char *const file_stem[FILES] = {"train-images", "train-labels", "t10k-images", "t10k-labels"};

/* The first of stem-idx3-ubyte, stem.idx3-ubyte, each with and without .gz, that is in the folder. */
static bool in_folder(const char *folder, int which, char *path, size_t room)
{
    for (int variant = 0; variant < 4; variant++) {
        int n = snprintf(path, room, "%s/%s%cidx%d-ubyte%s", folder, file_stem[which], variant & 2 ? '.' : '-',
                         which == LABELS || which == TEST_LABELS ? 1 : 3, variant & 1 ? ".gz" : "");
        if (n > 0 && (size_t)n < room && !access(path, F_OK)) return true;
    }
    return false;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static const char *choose_files(Arena *perm, const char *const *sources, int64_t n, const IngestSpec *spec,
                                const char **file)
{
    if (n == 1 && is_folder(sources[0])) {
        char path[PATH_MAX];
        for (int i = 0; i < FILES; i++)
            if (in_folder(sources[0], i, path, sizeof path)) file[i] = arena_strdup(perm, path);
    } else {
        if (n > FILES) return arena_printf(perm, "%s: more than four files", sources[FILES]);
        for (int64_t i = 0; i < n; i++) file[i] = sources[i];
    }
    for (int i = 0; i < FILES; i++) {
        const char *given = reader_option(spec, file_option[i]);
        if (given) file[i] = given;
    }
    const char *where = n > 0 ? sources[0] : "idx";
    for (int i = 0; i < FILES; i++)
        if (!file[i] && (i <= LABELS || file[i ^ 1]))
            return n == 1 && is_folder(where)
                       ? arena_printf(perm, "%s: no %s-idx%d-ubyte or %s-idx%d-ubyte.gz in this folder", where,
                                      file_stem[i], i & 1 ? 1 : 3, file_stem[i], i & 1 ? 1 : 3)
                       : arena_printf(perm, "%s: no %s: give a folder, or IMAGES LABELS [TEST_IMAGES TEST_LABELS]",
                                      where, file_option[i]);
    return 0;
}

const char *idx_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                     Dataset *out)
{
    *out = (Dataset){0};
    const char *file[FILES] = {0};
    const char *why = reader_option_check(perm, spec, "idx", "images labels test_images test_labels classes names");
    if (!why) why = choose_files(perm, sources, n, spec, file);
    if (why) return why;
    const Task *task = task_find(*spec->task ? spec->task : "classification");
    if (!task) return arena_printf(perm, "%s: unknown task \"%s\"", file[IMAGES], spec->task);
    const bool classes_wanted = task->loss == LOSS_CROSS_ENTROPY;
    int64_t classes = 0;
    if ((why = reader_option_int(perm, spec, "classes", 2, MAX_CLASSES, &classes))) return why;

    DatasetInfo *info = &out->info;
    why = read_pair(perm, scratch, file[IMAGES], file[LABELS], classes_wanted, &classes, out, SPLIT_TRAIN);
    if (!why && file[TEST_IMAGES])
        why = read_pair(perm, scratch, file[TEST_IMAGES], file[TEST_LABELS], classes_wanted, &classes, out, SPLIT_TEST);
    if (why) return why;
    info->outputs = classes_wanted ? classes : out->target_width;
    info->task = task->name;
    bool folder = n == 1 && is_folder(sources[0]);
    info->name = reader_source_name(perm, folder ? sources[0] : file[IMAGES], "idx");
    Text source = {0};
    text_add(perm, &source, "idx");
    for (int64_t i = 0; i < (folder ? 1 : FILES); i++)
        if (folder || file[i]) text_addf(perm, &source, " %s", folder ? sources[0] : file[i]);
    info->source = source.s;
    return reader_name_outputs(perm, spec, info);
}

int idx_probe(const char *path, const unsigned char *head, int64_t head_bytes)
{
    if (is_folder(path)) {
        char found[PATH_MAX];
        return in_folder(path, IMAGES, found, sizeof found) ? 90 : 0;
    }
    unsigned char first[4] = {1};
    if (head_bytes >= 4) memcpy(first, head, 4);
    if (head_bytes >= 18 && head[0] == 0x1f && head[1] == 0x8b) { /* gzip: look at what it holds */
        z_stream z = {
            .next_in = (unsigned char *)head, .avail_in = (uInt)head_bytes, .next_out = first, .avail_out = 4};
        if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) return 0;
        inflate(&z, Z_SYNC_FLUSH);
        inflateEnd(&z);
        if (z.avail_out) return 0;
    }
    return !first[0] && !first[1] && type_size((IdxType)first[2]) && first[3] >= 1 && first[3] <= MAX_RANK ? 90 : 0;
}
