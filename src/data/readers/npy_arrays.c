/* npy_arrays: format npy, samples that are slices of NumPy arrays: .npy files, or the members of an .npz (a zip archive of
 * them, stored or deflated; libzip checks the CRC).
 *
 * Axes, by option layout= or by the rank: (n l) series, (n h w), (n c h w) or (n h w c), the axis of 1, 3 or 4 being the
 * colours; (n c l) and (n l c) only by option.  Arrays are read sample by sample; only one whose samples do not lie
 * together (Fortran order, or n not first) is taken into memory as a whole.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <zip.h>

#include "base/npy.h"
#include "data/intake.h"
#include "data/readers/formats.h"
#include "data/task.h"

enum { MAX_MEMBERS = 4096, DEFLATE_RATIO = 1032 };
typedef enum { TRAIN, VALID, TEST, PARTS } Part;
enum { IMAGES, LABELS, ROLES };

/* ---- an array of a file ---- */

typedef struct {
    const char *name; /* file, or "file: member" */
    FILE *file;
    zip_t *zip;
    zip_file_t *entry;
    int64_t offset, length; /* bytes taken, and all that there are; -1: unknown */
    NpyHeader head;
} Array;

static void array_shut(Array *a)
{
    if (a->file) fclose(a->file);
    if (a->entry) zip_fclose(a->entry);
    if (a->zip) zip_discard(a->zip);
    *a = (Array){0};
}

/* Exactly n bytes, or why not. */
static const char *take(Arena *perm, Array *a, void *to, int64_t n)
{
    int64_t got = 0;
    while (got < n) {
        const int64_t more = a->file ? (int64_t)fread((char *)to + got, 1, (size_t)(n - got), a->file)
                                     : zip_fread(a->entry, (char *)to + got, (zip_uint64_t)(n - got));
        if (more <= 0) break;
        got += more;
        a->offset += more;
    }
    if (got == n) return 0;
    if (a->file && ferror(a->file)) return arena_printf(perm, "%s: %s", a->name, strerror(errno));
    const char *damage = a->entry ? zip_file_strerror(a->entry) : "";
    const bool damaged = a->entry && zip_error_code_zip(zip_file_get_error(a->entry));
    return arena_printf(perm, "%s: byte %lld: %s", a->name, (long long)a->offset,
                        damaged ? damage
                                : arena_printf(perm, "cut short: %lld bytes more expected", (long long)(n - got)));
}

/* After the last value: the end, where libzip compares the checksum. */
static const char *finish(Arena *perm, Array *a)
{
    char more;
    const int64_t got = a->file ? (int64_t)fread(&more, 1, 1, a->file) : zip_fread(a->entry, &more, 1);
    if (got > 0)
        return arena_printf(perm, "%s: byte %lld: more bytes than its shape announces", a->name, (long long)a->offset);
    if (got < 0) return arena_printf(perm, "%s: %s", a->name, zip_file_strerror(a->entry));
    return 0;
}

static const char *open_member(Arena *perm, const char *path, const char *member, Array *a)
{
    int code = 0;
    zip_stat_t st;
    a->zip = zip_open(path, ZIP_RDONLY, &code);
    if (!a->zip) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        const char *why = arena_printf(perm, "%s: %s", path, zip_error_strerror(&error));
        zip_error_fini(&error);
        return why;
    }
    const zip_int64_t index = zip_name_locate(a->zip, arena_printf(perm, "%s.npy", member), ZIP_FL_NOCASE);
    if (index < 0 || zip_stat_index(a->zip, (zip_uint64_t)index, 0, &st))
        return arena_printf(perm, "%s: no array of this name", a->name);
    if (!(st.valid & ZIP_STAT_SIZE) || !(st.valid & ZIP_STAT_COMP_SIZE) || st.size > INT64_MAX / 2 ||
        st.size / DEFLATE_RATIO > st.comp_size)
        return arena_printf(perm, "%s: its size is absurd", a->name);
    a->length = (int64_t)st.size;
    a->entry = zip_fopen_index(a->zip, (zip_uint64_t)index, 0);
    return a->entry ? 0 : arena_printf(perm, "%s: %s", a->name, zip_strerror(a->zip));
}

/* Opens an array, member of an archive or (member 0) a file of its own, and reads its header. */
static const char *array_begin(Arena *perm, const char *path, const char *member, Array *a)
{
    *a = (Array){.name = member ? arena_printf(perm, "%s: %s", path, member) : path, .length = -1};
    const char *why = 0;
    if (member) {
        why = open_member(perm, path, member, a);
    } else {
        struct stat st;
        a->file = fopen(path, "re");
        if (!a->file || fstat(fileno(a->file), &st)) return arena_printf(perm, "%s: %s", path, strerror(errno));
        if (S_ISDIR(st.st_mode)) return arena_printf(perm, "%s: %s", path, strerror(EISDIR));
        if (S_ISREG(st.st_mode)) a->length = st.st_size;
    }
    if (why) return why;
    unsigned char *b = NEW(perm, unsigned char, 12);
    if ((why = take(perm, a, b, 10))) return why;
    if (!npy_is(b, 10)) return arena_printf(perm, "%s: byte 0: not a NumPy array", a->name);
    int64_t begin = 10, text = b[8] | b[9] << 8;
    if (b[6] > 1) {
        if ((why = take(perm, a, b + 10, 2))) return why;
        begin = 12;
        text |= (int64_t)b[10] << 16 | (int64_t)b[11] << 24;
    }
    if (text > NPY_MAX_TEXT) return arena_printf(perm, "%s: byte 8: a header of %lld bytes", a->name, (long long)text);
    unsigned char *head = NEW(perm, unsigned char, begin + text);
    memcpy(head, b, (size_t)begin);
    if ((why = take(perm, a, head + begin, text))) return why;
    if ((why = npy_parse(perm, head, begin + text, &a->head)))
        return arena_printf(perm, "%s: byte 0: %s", a->name, why);
    const int64_t all = size_add(size_mul(a->head.count, a->head.size), begin + text);
    if (all < 0) return arena_printf(perm, "%s: byte %lld: its shape is absurd", a->name, (long long)begin);
    if (a->length >= 0 && all > a->length)
        return arena_printf(perm, "%s: byte %lld: cut short: its shape announces %lld bytes", a->name,
                            (long long)a->length, (long long)all);
    return 0;
}

/* ---- axes ---- */

typedef struct {
    int64_t samples, channels, height, width;
    int64_t stride[4]; /* in values, of n, c, h, w */
    bool together;     /* a sample's values lie in one piece, samples one after the other */
    bool plain;        /* and in the order (c, h, w) */
} Axes;

static const char *shape_text(Arena *a, const NpyHeader *h)
{
    Text t = {0};
    text_add(a, &t, "(");
    for (int64_t i = 0; i < h->rank; i++) text_addf(a, &t, "%s%lld", i ? ", " : "", (long long)h->shape[i]);
    text_add(a, &t, h->rank == 1 ? ",)" : ")");
    return t.s;
}

static bool is_colours(int64_t n)
{
    return n == 1 || n == 3 || n == 4;
}

static const char *find_axes(Arena *perm, const Array *a, const char *layout, Axes *x)
{
    static const char axes[] = "nchw";
    const NpyHeader *h = &a->head;
    const char *shape = shape_text(perm, h);
    if (!layout && h->rank == 4) {
        const bool first = is_colours(h->shape[1]), last = is_colours(h->shape[3]);
        layout = first == last ? "" : first ? "nchw" : "nhwc";
    }
    if (!layout) layout = h->rank == 2 ? "nl" : h->rank == 3 ? "nhw" : "";
    if (!*layout || (int64_t)strlen(layout) != h->rank)
        return arena_printf(perm, "%s: shape %s: %s (nl, nhw, ncl, nlc, nchw, nhwc)", a->name, shape,
                            *layout ? arena_printf(perm, "option layout=%s does not fit", layout)
                                    : "which axis is what? Option layout= tells it");
    int64_t stride[NPY_MAX_RANK], step = 1, size[4] = {1, 1, 1, 1};
    for (int64_t i = 0; i < h->rank; i++) {
        const int64_t axis = h->fortran ? i : h->rank - 1 - i;
        stride[axis] = step;
        step *= h->shape[axis];
    }
    bool seen[4] = {false};
    *x = (Axes){0};
    for (int64_t i = 0; i < h->rank; i++) {
        const char *letter = layout[i] ? strchr(axes, layout[i] == 'l' ? 'w' : layout[i]) : 0;
        const int64_t k = letter ? letter - axes : 0;
        if (!letter || seen[k])
            return arena_printf(perm, "option layout=%s: n, c, h and w or l expected, each once", layout);
        seen[k] = true;
        size[k] = h->shape[i];
        x->stride[k] = stride[i];
    }
    if (!seen[0] || !seen[3]) return arena_printf(perm, "option layout=%s: n and w or l expected in it", layout);
    x->samples = size[0];
    x->channels = size[1];
    x->height = size[2];
    x->width = size[3];
    if (x->samples > INT32_MAX) return arena_printf(perm, "%s: shape %s: too many samples", a->name, shape);
    if (!x->samples) return arena_printf(perm, "%s: shape %s: zero samples", a->name, shape);
    const char *why = dataset_check_shape(perm, size[1], size[2], size[3], DTYPE_F32);
    if (why) return arena_printf(perm, "%s: %s", a->name, why);
    x->together = x->stride[0] == size[1] * size[2] * size[3];
    x->plain = x->together && x->stride[3] == 1 && (size[2] == 1 || x->stride[2] == size[3]) &&
               (size[1] == 1 || x->stride[1] == size[2] * size[3]);
    return 0;
}

/* ---- which arrays ---- */

/* Names that are in use, of images and labels in turn: Keras and MedMNIST files, scikit-learn's habits. */
static const char *const known[][PARTS][ROLES] = {
    {{"x_train", "y_train"}, {"x_val", "y_val"}, {"x_test", "y_test"}},
    {{"x_train", "y_train"}, {"x_valid", "y_valid"}, {"x_test", "y_test"}},
    {{"train_images", "train_labels"}, {"val_images", "val_labels"}, {"test_images", "test_labels"}},
    {{"images", "labels"}, {"val_images", "val_labels"}, {"test_images", "test_labels"}},
    {{"x", "y"}, {"x_val", "y_val"}, {"x_test", "y_test"}},
    {{"data", "labels"}, {"", ""}, {"", ""}},
    {{"data", "target"}, {"", ""}, {"", ""}},
    {{"arr_0", "arr_1"}, {"", ""}, {"", ""}},
};
static const char *const role_option[PARTS][ROLES] = {
    {"images", "labels"}, {"valid_images", "valid_labels"}, {"test_images", "test_labels"}};

typedef struct {
    const char *name[MAX_MEMBERS]; /* without .npy */
    int64_t count;
} Members;

static bool ends_in(const char *name, const char *ending)
{
    const size_t n = strlen(name), m = strlen(ending);
    return n > m && !strcasecmp(name + n - m, ending);
}

static void add_member(Arena *perm, Members *m, const char *name)
{
    if (m->count < MAX_MEMBERS && ends_in(name, ".npy"))
        m->name[m->count++] = arena_strndup(perm, name, (ptrdiff_t)strlen(name) - 4);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The arrays of an archive or a folder. */
static const char *list_members(Arena *perm, const char *path, bool archive, Members *m)
{
    m->count = 0;
    if (archive) {
        int code = 0;
        zip_t *zip = zip_open(path, ZIP_RDONLY, &code);
        if (!zip) return arena_printf(perm, "%s: not a zip archive, or a damaged one", path);
        const zip_int64_t n = zip_get_num_entries(zip, 0);
        for (zip_int64_t i = 0; i < n; i++) {
            const char *name = zip_get_name(zip, (zip_uint64_t)i, 0);
            if (name) add_member(perm, m, name);
        }
        zip_discard(zip);
    } else {
        DIR *folder = opendir(path);
        if (!folder) return arena_printf(perm, "%s: %s", path, strerror(errno));
        for (struct dirent *e; (e = readdir(folder));) add_member(perm, m, e->d_name);
        closedir(folder);
    }
    qsort(m->name, (size_t)m->count, sizeof *m->name, by_name);
    return 0;
}

static const char *find_member(const Members *m, const char *name)
{
    for (int64_t i = 0; i < m->count; i++)
        if (!strcasecmp(m->name[i], name)) return m->name[i];
    return 0;
}

static const char *members_text(Arena *perm, const Members *m)
{
    enum { SHOWN = 12 };
    Text t = {0};
    text_add(perm, &t, m->count ? "" : "none");
    for (int64_t i = 0; i < m->count && i < SHOWN; i++) text_addf(perm, &t, "%s%.60s", i ? ", " : "", m->name[i]);
    if (m->count > SHOWN) text_addf(perm, &t, " and %lld more", (long long)(m->count - SHOWN));
    return t.s;
}

typedef struct {
    const char *path[PARTS][ROLES], *member[PARTS][ROLES]; /* path 0: there is none; member 0: the file itself */
} Plan;

static bool is_folder(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static bool is_archive(const char *path)
{
    unsigned char head[4] = {0};
    FILE *f = fopen(path, "re");
    const size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f) fclose(f);
    return n == 4 && head[0] == 'P' && head[1] == 'K' && (head[2] == 3 || head[2] == 5);
}

static const char *choose_arrays(Arena *perm, const char *const *sources, int64_t n, const IngestSpec *spec, Plan *p)
{
    if (n < 1) return "npy: a file expected: X.npy y.npy, an .npz, or a folder";
    const bool folder = is_folder(sources[0]), archive = !folder && is_archive(sources[0]);
    Members *m = NEW(perm, Members, 1);
    const char *why = 0, *asked[PARTS][ROLES];
    for (int i = 0; i < PARTS * ROLES; i++) asked[i / 2][i % 2] = reader_option(spec, role_option[i / 2][i % 2]);
    if (!asked[TRAIN][LABELS]) asked[TRAIN][LABELS] = reader_option(spec, "targets");

    if (!folder && !archive) { /* IMAGES LABELS [TEST_IMAGES TEST_LABELS] */
        if (n > 2 * ROLES) return arena_printf(perm, "%s: more than four files", sources[2 * ROLES]);
        for (int64_t i = 0; i < n; i++) p->path[i < ROLES ? TRAIN : TEST][i % ROLES] = sources[i];
        for (int i = 0; i < PARTS * ROLES; i++)
            if (asked[i / 2][i % 2]) p->path[i / 2][i % 2] = asked[i / 2][i % 2];
    } else {
        if (n > 1) return arena_printf(perm, "%s: one archive or folder expected", sources[1]);
        if ((why = list_members(perm, sources[0], archive, m))) return why;
        int row = 0;
        const char *found[PARTS][ROLES] = {{0}};
        for (; row < COUNTOF(known) && !found[TRAIN][LABELS]; row++)
            for (int i = 0; i < PARTS * ROLES; i++) {
                const char *name = asked[i / 2][i % 2] ? asked[i / 2][i % 2] : known[row][i / 2][i % 2];
                found[i / 2][i % 2] = find_member(m, name);
                if (asked[i / 2][i % 2] && !found[i / 2][i % 2])
                    return arena_printf(perm, "%s: no array %s; it has %s", sources[0], name, members_text(perm, m));
                if (i < ROLES && !found[TRAIN][i]) break;
            }
        if (!found[TRAIN][IMAGES] || !found[TRAIN][LABELS])
            return arena_printf(perm, "%s: which arrays? options images= and labels= name them; it has %s", sources[0],
                                members_text(perm, m));
        for (int i = 0; i < PARTS * ROLES; i++) {
            const char *name = found[i / 2][i % 2];
            if (!name) continue;
            p->path[i / 2][i % 2] = archive ? sources[0] : arena_printf(perm, "%s/%s.npy", sources[0], name);
            p->member[i / 2][i % 2] = archive ? name : 0;
        }
    }
    for (int part = 0; part < PARTS; part++)
        if (!p->path[part][IMAGES] != !p->path[part][LABELS] || (part == TRAIN && !p->path[part][IMAGES]))
            return arena_printf(perm, "%s: no %s: give X.npy y.npy [TEST_X.npy TEST_y.npy], an .npz or a folder",
                                sources[0], role_option[part][p->path[part][IMAGES] ? LABELS : IMAGES]);
    return 0;
}

/* ---- targets ---- */

typedef struct {
    const char *name;
    int64_t width;
    bool integer, one_hot; /* one_hot: rows of a single 1, to be class numbers */
    double *value;         /* (samples, width) */
} Labels;

static const char *read_labels(Arena *perm, const Plan *p, Part part, int64_t samples, Labels *l)
{
    Array a;
    const char *why = array_begin(perm, p->path[part][LABELS], p->member[part][LABELS], &a);
    const NpyHeader *h = &a.head;
    if (!why && (h->rank < 1 || h->rank > 2 || h->shape[0] != samples))
        why =
            arena_printf(perm, "%s: shape %s does not fit the %lld samples of %s", a.name, shape_text(perm, h),
                         (long long)samples, p->member[part][IMAGES] ? p->member[part][IMAGES] : p->path[part][IMAGES]);
    *l = (Labels){.name = a.name, .width = !why && h->rank == 2 ? h->shape[1] : 1, .integer = h->kind != 'f'};
    if (!why && (l->width < 1 || l->width > DATASET_MAX_OUTPUTS))
        why = arena_printf(perm, "%s: shape %s: absurd as targets", a.name, shape_text(perm, h));
    unsigned char *raw = 0;
    if (!why) {
        l->value = dataset_memory(perm, h->count, sizeof *l->value, &why);
        raw = why ? 0 : dataset_memory(perm, h->count, h->size, &why);
        if (why) why = arena_printf(perm, "%s: %s", a.name, why);
    }
    if (!why) why = take(perm, &a, raw, h->count * h->size);
    if (!why) why = finish(perm, &a);
    for (int64_t i = 0; !why && i < h->count; i++) l->value[i] = npy_real(h, raw, i);
    array_shut(&a);
    return why;
}

/* The targets of sample i, or why they are none. */
static const char *targets_of(Arena *a, const Labels *l, int64_t i, bool classes, Intake *in, float *to)
{
    const double *v = l->value + i * l->width;
    double label = *v;
    for (int64_t k = 0; k < l->width; k++)
        if (!(fabs(v[k]) <= 3.4028234663852886e38))
            return arena_printf(a, "%s: sample %lld: a target that is not finite", l->name, (long long)i);
    if (!classes) {
        for (int64_t k = 0; k < l->width; k++) to[k] = (float)v[k];
        return 0;
    }
    if (l->width > 1) {
        int64_t ones = 0, others = 0;
        for (int64_t k = 0; k < l->width; k++) {
            if (v[k] == 1) ones++, label = (double)k;
            others += v[k] != 0 && v[k] != 1;
        }
        if (ones != 1 || others)
            return arena_printf(a, "%s: sample %lld: one 1 among %lld labels expected, as --task classification has it",
                                l->name, (long long)i, (long long)l->width);
    }
    if (label != floor(label))
        return arena_printf(a, "%s: sample %lld: label %g: a whole number expected", l->name, (long long)i, label);
    *to = l->width > 1 ? (float)label : (float)intake_class(in, arena_printf(a, "%.9g", label));
    return *to < 0 ? arena_printf(a, "%s: sample %lld: too many classes", l->name, (long long)i) : 0;
}

/* ---- samples ---- */

/* Sample i as (c, h, w); `at` is where its first value lies in `from`. */
static void gather(const NpyHeader *flat, const unsigned char *from, int64_t at, const Axes *x, bool u8, void *to)
{
    int64_t k = 0;
    for (int64_t c = 0; c < x->channels; c++)
        for (int64_t h = 0; h < x->height; h++) {
            int64_t place = at + c * x->stride[1] + h * x->stride[2];
            for (int64_t w = 0; w < x->width; w++, k++, place += x->stride[3]) {
                if (u8) {
                    ((uint8_t *)to)[k] = from[place];
                    continue;
                }
                const double v = npy_real(flat, from, place);
                ((float *)to)[k] = fabs(v) <= 3.4028234663852886e38 ? (float)v : NAN;
            }
        }
}

static const char *put_part(Arena *perm, Arena scratch, Array *a, const Axes *x, const Labels *l, Part part,
                            bool classes, Intake *in)
{
    const NpyHeader *h = &a->head;
    NpyHeader flat = *h;
    flat.fortran = false;
    const bool u8 = h->kind == 'b' || (h->kind == 'u' && h->size == 1);
    const int64_t values = x->channels * x->height * x->width, bytes = values * h->size;
    const char *why = 0;
    unsigned char *raw = dataset_memory(&scratch, x->together ? bytes : size_mul(h->count, h->size), 1, &why);
    void *sample = arena_alloc(&scratch, u8 ? 1 : 4, 64, values);
    float *target = NEW(&scratch, float, l->width);
    if (!raw) return arena_printf(perm, "%s: %s", a->name, why);
    if (!x->together && (why = take(perm, a, raw, h->count * h->size))) return why;
    for (int64_t i = 0; i < x->samples; i++) {
        Arena once = scratch;
        if (x->together && (why = take(perm, a, raw, bytes))) return why;
        const bool as_is = u8 && x->plain && h->kind == 'u';
        if (!as_is) gather(&flat, raw, x->together ? 0 : i * x->stride[0], x, u8, sample);
        if ((why = targets_of(&once, l, i, classes, in, target))) {
            if ((why = intake_bad(in, arena_strdup(perm, why)))) return why;
            continue;
        }
        const Sample s = {.where = arena_printf(&once, "%s: sample %lld", a->name, (long long)i),
                          .raster = {x->channels, x->height, x->width, u8 ? DTYPE_U8 : DTYPE_F32, as_is ? raw : sample},
                          .targets = target,
                          .id = i,
                          .group = -1,
                          .file = -1,
                          .named = part == VALID ? SPLIT_VALID : -1,
                          .apart = part == TEST};
        if ((why = intake_put(in, once, &s))) return why;
    }
    return finish(perm, a);
}

const char *npy_arrays_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                            Dataset *out)
{
    *out = (Dataset){0};
    Plan plan = {0};
    const char *layout = reader_option(spec, "layout");
    const char *why = reader_option_check(
        perm, spec, "npy", "images labels targets valid_images valid_labels test_images test_labels layout names");
    if (!why) why = choose_arrays(perm, sources, n, spec, &plan);
    if (why) return why;

    Array a[PARTS] = {{0}};
    Axes axes[PARTS];
    Labels labels[PARTS] = {{0}};
    int64_t total = 0;
    for (int p = 0; p < PARTS && !why; p++) {
        if (!plan.path[p][IMAGES]) continue;
        why = array_begin(perm, plan.path[p][IMAGES], plan.member[p][IMAGES], &a[p]);
        if (!why) why = find_axes(perm, &a[p], layout, &axes[p]);
        if (!why) why = read_labels(perm, &plan, (Part)p, axes[p].samples, &labels[p]);
        if (!why && labels[p].width != labels[TRAIN].width)
            why = arena_printf(perm, "%s: %lld targets a sample, %s has %lld", labels[p].name,
                               (long long)labels[p].width, labels[TRAIN].name, (long long)labels[TRAIN].width);
        total += why ? 0 : axes[p].samples;
    }
    const char *usual = !labels[TRAIN].integer     ? "regression"
                        : labels[TRAIN].width == 1 ? "classification"
                                                   : "multi-label";
    const Task *task = task_find(*spec->task ? spec->task : usual);
    if (!why && !task) why = arena_printf(perm, "npy: unknown task \"%s\"", spec->task);
    const bool classes = task && task->loss == LOSS_CROSS_ENTROPY;
    out->target_width = classes ? 1 : labels[TRAIN].width;
    Intake in;
    if (!why) why = intake_open(perm, spec, out, total, &in);
    for (int p = 0; p < PARTS && !why; p++)
        if (plan.path[p][IMAGES]) why = put_part(perm, scratch, &a[p], &axes[p], &labels[p], (Part)p, classes, &in);
    for (int p = 0; p < PARTS; p++) array_shut(&a[p]);
    if (!why) why = intake_close(&in, sources[0]);
    if (why) return why;

    DatasetInfo *info = &out->info;
    if (!classes || labels[TRAIN].width > 1) info->outputs = labels[TRAIN].width;
    info->task = task->name;
    info->name = reader_source_name(perm, sources[0], "npy");
    Text source = {0};
    text_add(perm, &source, "npy");
    for (int64_t i = 0; i < n; i++) text_addf(perm, &source, " %s", sources[i]);
    info->source = source.s;
    if (layout) dataset_setting(perm, info, "layout", "%s", layout);
    return reader_name_outputs(perm, spec, info);
}

int npy_arrays_probe(const char *path, const unsigned char *head, int64_t head_bytes)
{
    if (npy_is(head, head_bytes)) return 95;
    if (head_bytes >= 4 && !memcmp(head, "PK\3\4", 4)) { /* an archive whose first member is an array */
        const int64_t n = head_bytes >= 30 ? head[26] | head[27] << 8 : 0;
        if (n >= 4 && 30 + n <= head_bytes && !memcmp(head + 30 + n - 4, ".npy", 4)) return 95;
    }
    if (!is_folder(path)) return 0;
    static const char *const usual[] = {"x.npy",       "X.npy",      "x_train.npy",
                                        "X_train.npy", "images.npy", "train_images.npy"};
    for (int i = 0; i < COUNTOF(usual); i++) {
        char name[PATH_MAX];
        struct stat st;
        const int length = snprintf(name, sizeof name, "%s/%s", path, usual[i]);
        if (length > 0 && (size_t)length < sizeof name && !stat(name, &st)) return 80;
    }
    return 0;
}
