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

#include "data/intake.h"
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

/* The next n values as float32; NAN where one is not finite. */
static const char *take_floats(Arena *perm, Arena scratch, IdxFile *f, float *to, int64_t n)
{
    const int64_t size = type_size(f->type), step = PIECE / size;
    unsigned char *piece = NEW(&scratch, unsigned char, PIECE);
    for (int64_t i = 0; i < n; i += step) {
        const int64_t k = n - i < step ? n - i : step;
        const char *why = take(perm, f, piece, k * size);
        if (why) return why;
        for (int64_t j = 0; j < k; j++) {
            to[i + j] = to_float(f->type, piece + j * size);
            if (!isfinite(to[i + j])) to[i + j] = NAN;
        }
    }
    return 0;
}

static const char *check_images(Arena *perm, const IdxFile *f, DatasetInfo *info)
{
    if (f->rank != 3 && f->rank != 4)
        return arena_printf(perm, "%s: byte 3: %d dimensions: images have 3 (N, H, W) or 4 (N, C, H, W)%s", f->path,
                            f->rank, f->rank == 1 ? "; are images and labels swapped?" : "");
    info->dtype = f->type == IDX_U8 ? DTYPE_U8 : DTYPE_F32;
    info->channels = f->rank == 4 ? f->size[1] : 1;
    info->height = f->size[f->rank - 2];
    info->width = f->size[f->rank - 1];
    const char *why = dataset_check_shape(perm, info->channels, info->height, info->width, info->dtype);
    return why ? arena_printf(perm, "%s: byte 8: %s", f->path, why) : 0;
}

typedef struct { /* the targets of one pair of files */
    const char *path;
    int64_t count, width, offset, size; /* of a value in the file, and of its bytes */
    float *target;                      /* (count, width), NAN where there is no number */
    bool classes;
    int64_t most; /* classes, each label being below; 0: as many as there are */
} Labels;

/* Opens, reads and closes a file of labels for `count` images. */
static const char *read_labels(Arena *perm, Arena scratch, const char *path, int64_t count, const char *images,
                               Labels *l)
{
    IdxFile f;
    const int limit = l->classes ? 1 : 2;
    const char *why = idx_open(perm, path, &f);
    if (!why && f.rank > limit)
        why = arena_printf(perm, "%s: byte 3: %d dimensions: labels have %s%s", path, f.rank,
                           l->classes ? "1 (N)" : "1 or 2, (N) or (N, K)",
                           f.rank > 2 ? "; are images and labels swapped?" : "");
    if (!why && f.size[0] != count)
        why = arena_printf(perm, "%s: byte 4: %lld labels, but %s has %lld images", path, (long long)f.size[0], images,
                           (long long)count);
    l->width = !why && f.rank == 2 ? f.size[1] : 1;
    if (!why && l->width > DATASET_MAX_OUTPUTS)
        why = arena_printf(perm, "%s: byte 8: %lld targets: absurd", path, (long long)l->width);
    if (!why) {
        l->path = path;
        l->count = count;
        l->offset = f.offset;
        l->size = type_size(f.type);
        l->target = dataset_memory(perm, f.values, sizeof *l->target, &why);
        if (!l->target) why = arena_printf(perm, "%s: %s", path, why);
    }
    if (!why) why = take_floats(perm, scratch, &f, l->target, f.values);
    if (!why) why = finish(perm, &f);
    idx_close(&f);
    return why;
}

/* Why sample i has no targets, or 0. */
static const char *bad_label(Arena *perm, const Labels *l, int64_t i)
{
    const float limit = (float)(l->most ? l->most : MAX_CLASSES), *t = l->target + i * l->width;
    for (int64_t k = 0; k < l->width; k++) {
        const long long at = l->offset + (i * l->width + k) * l->size;
        if (isnan(t[k])) return arena_printf(perm, "%s: byte %lld: a value that is not finite", l->path, at);
        if (l->classes && !(t[k] >= 0 && t[k] < limit && t[k] == floorf(t[k])))
            return arena_printf(perm, "%s: byte %lld: label %g: a whole number from 0 to %g expected", l->path, at,
                                (double)t[k], (double)limit - 1);
    }
    return 0;
}

/* The images of one pair of files, as many at a time as a piece holds, with their labels into the intake. */
static const char *put_images(Arena *perm, Arena scratch, IdxFile *f, const DatasetInfo *info, const Labels *l,
                              bool apart, Intake *in)
{
    const int64_t values = dataset_sample_values(info), bytes = dataset_sample_bytes(info);
    const int64_t step = PIECE / bytes > 1 ? PIECE / bytes : 1;
    char *piece = arena_alloc(&scratch, bytes, 64, step);
    for (int64_t first = 0; first < l->count; first += step) {
        const int64_t n = l->count - first < step ? l->count - first : step, at = f->offset;
        const char *why = info->dtype == DTYPE_U8 ? take(perm, f, piece, n * bytes)
                                                  : take_floats(perm, scratch, f, (float *)piece, n * values);
        if (why) return why;
        for (int64_t i = 0; i < n; i++) {
            Arena once = scratch;
            if ((why = bad_label(perm, l, first + i))) {
                if ((why = intake_bad(in, why))) return why;
                continue;
            }
            const Sample sample = {
                .where =
                    arena_printf(&once, "%s: byte %lld", f->path, (long long)(at + i * values * type_size(f->type))),
                .raster = {info->channels, info->height, info->width, info->dtype, piece + i * bytes},
                .targets = l->target + (first + i) * l->width,
                .id = first + i,
                .group = -1,
                .file = -1,
                .named = -1,
                .apart = apart};
            if ((why = intake_put(in, once, &sample))) return why;
        }
    }
    return finish(perm, f);
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
    int64_t classes = 0;
    if ((why = reader_option_int(perm, spec, "classes", 2, MAX_CLASSES, &classes))) return why;

    /* both labels first: they are small, and tell the width of the targets */
    const int pairs = file[TEST_IMAGES] ? 2 : 1;
    Labels labels[2] = {{.classes = task->loss == LOSS_CROSS_ENTROPY, .most = classes}};
    IdxFile f[2] = {{0}};
    DatasetInfo shape[2] = {{0}}, *info = &out->info;
    Intake in;
    for (int p = 0; p < pairs && !why; p++) {
        labels[p].classes = labels[0].classes;
        why = idx_open(perm, file[2 * p], &f[p]);
        if (!why) why = check_images(perm, &f[p], &shape[p]);
        if (!why) why = read_labels(perm, scratch, file[2 * p + 1], f[p].size[0], file[2 * p], &labels[p]);
        if (!why && labels[p].width != labels[0].width)
            why = arena_printf(perm, "%s: %lld targets a sample, training labels have %lld", file[2 * p + 1],
                               (long long)labels[p].width, (long long)labels[0].width);
    }
    out->target_width = labels[0].width;
    if (!why) why = intake_open(perm, spec, out, labels[0].count + labels[1].count, &in);
    for (int p = 0; p < pairs && !why; p++) {
        if (p) labels[p].most = classes;
        why = put_images(perm, scratch, &f[p], &shape[p], &labels[p], p, &in);
        if (p || why || !labels[p].classes || classes) continue;
        const float *t = (const float *)in.run[0].targets.beg - in.run[0].count; /* good ones alone */
        for (int64_t i = 0; i < in.run[0].count; i++)
            if ((int64_t)t[i] >= classes) classes = (int64_t)t[i] + 1;
    }
    for (int p = 0; p < pairs; p++) idx_close(&f[p]);
    if (!why) why = intake_close(&in, file[IMAGES]);
    if (why) return why;
    info->outputs = labels[0].classes ? classes : out->target_width;
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
