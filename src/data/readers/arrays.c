/* arrays: samples that are slices of the named arrays of NetCDF and HDF5 files.
 *
 * Every dimension of the images' array is the sample, the channel, y or x, or is fixed to one index by option slice=.
 * Which one it is comes from layout=, from its name in the file, or from its position.  The array is read in slabs of
 * whole samples, so that beside the dataset itself little memory is in use.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/intake.h"
#include "data/readers/array_file.h"
#include "data/readers/formats.h"
#include "data/split.h"
#include "data/task.h"

enum {
    SLAB = 4 << 20, /* bytes read at a time, if a sample is not larger */
    MOST_SLICES = 16,
    MOST_FILES = 1024,
    MAX_CLASSES = 65536
};

typedef enum { AXIS_SAMPLE, AXIS_CHANNEL, AXIS_Y, AXIS_X, AXES, AXIS_FIXED = AXES } Axis;
static const char *const axis_name[AXES] = {"sample", "channel", "y", "x"};

typedef struct {
    const char *name;
    int64_t name_length, from, to; /* to: behind the last; fixed: from alone */
    bool fixed;
} Slice;

/* What of which arrays is read; the same for every file. */
typedef struct {
    const char *images, *labels[16], *test_images, *test_labels[16]; /* test_images 0: not in the same file */
    int label_count;
    const Task *task;
    bool classes, one_hot;
    Axis layout[ARRAY_MAX_RANK];
    int layout_rank; /* 0: by names and positions */
    Slice slice[MOST_SLICES];
    int slices;
} Wanted;

/* An array as it is read: its axes and what is taken of each. */
typedef struct {
    ArrayFile *file;
    const char *path;
    const ArrayInfo *info;
    int64_t index;
    Axis axis[ARRAY_MAX_RANK];
    int64_t start[ARRAY_MAX_RANK], count[ARRAY_MAX_RANK];
    int64_t size[AXES]; /* 1 where it has no such axis */
} View;

/* ---- options ---- */

static const char *parse_layout(Arena *perm, const char *text, Wanted *w)
{
    bool seen[AXES] = {false};
    for (const char *s = text; *s; s += strcspn(s, ","), s += *s == ',') {
        const size_t n = strcspn(s, ",");
        int axis = 0;
        while (axis < AXES && (strlen(axis_name[axis]) != n || strncmp(axis_name[axis], s, n))) axis++;
        if (axis == AXES || seen[axis] || w->layout_rank == ARRAY_MAX_RANK)
            return arena_printf(perm, "option layout=%s: sample, channel, y and x expected, each once", text);
        seen[axis] = true;
        w->layout[w->layout_rank++] = (Axis)axis;
    }
    if (!seen[AXIS_SAMPLE] || !seen[AXIS_X])
        return arena_printf(perm, "option layout=%s: sample and x expected in it", text);
    return 0;
}

static const char *parse_slices(Arena *perm, const char *text, Wanted *w)
{
    for (const char *s = text; *s;) {
        if (w->slices == MOST_SLICES) return arena_printf(perm, "option slice=%s: too many", text);
        Slice *to = &w->slice[w->slices++];
        *to = (Slice){.name = s, .name_length = (int64_t)strcspn(s, ":,"), .fixed = true};
        char *end = 0;
        s += to->name_length;
        if (*s == ':') {
            to->from = strtoll(s + 1, &end, 10);
            to->to = to->from + 1;
        }
        if (end && *end == ':') {
            to->fixed = false;
            to->to = strtoll(end + 1, &end, 10);
        }
        if (!end || !to->name_length || (*end && *end != ',') || to->from < 0 || to->to <= to->from)
            return arena_printf(perm, "option slice=%s: DIMENSION:INDEX or DIMENSION:FROM:TO expected", text);
        s = end + (*end == ',');
    }
    return 0;
}

static const char *split_names(Arena *perm, const char *option, const char *text, const char **name, int *count)
{
    for (*count = 0; text && *text;) {
        const size_t n = strcspn(text, ",");
        if (*count == COUNTOF(((Wanted *)0)->labels)) return arena_printf(perm, "option %s: too many names", option);
        name[(*count)++] = arena_strndup(perm, text, (ptrdiff_t)n);
        text += n + (text[n] == ',');
    }
    return 0;
}

/* ---- which arrays ---- */

static int64_t find_array(const ArrayFile *f, const char *name)
{
    int64_t count;
    const ArrayInfo *a = array_list(f, &count);
    for (int64_t i = 0; name && i < count; i++)
        if (!strcmp(a[i].name, name)) return i;
    for (int64_t i = 0; name && i < count; i++)
        if (!strcasecmp(a[i].name, name)) return i;
    return -1;
}

static const char *shape_text(Arena *a, const ArrayInfo *i)
{
    Text t = {0};
    text_addf(a, &t, "%s(", i->name);
    for (int k = 0; k < i->rank; k++)
        text_addf(a, &t, "%s%s%s%lld", k ? ", " : "", i->dimension[k], *i->dimension[k] ? "=" : "",
                  (long long)i->size[k]);
    text_add(a, &t, ")");
    return t.s;
}

static const char *list_text(Arena *a, const ArrayFile *f)
{
    enum { SHOWN = 12 };
    int64_t count;
    const ArrayInfo *i = array_list(f, &count);
    Text t = {0};
    text_add(a, &t, count ? "" : "none");
    for (int64_t k = 0; k < count && k < SHOWN; k++) text_addf(a, &t, "%s%s", k ? ", " : "", shape_text(a, &i[k]));
    if (count > SHOWN) text_addf(a, &t, " and %lld more", (long long)(count - SHOWN));
    return t.s;
}

/* Names that are in use: of the 2019 project's files, of deep learning courses, of NumPy habits. */
static const struct {
    const char *images, *test_images, *labels, *test_labels;
} known[] = {
    {"fine_image", 0, "strain", 0},
    {"image_train", "image_test", "label_train", "label_test"},
    {"images_train", "images_test", "labels_train", "labels_test"},
    {"x_train", "x_test", "y_train", "y_test"},
    {"train_set_x", "test_set_x", "train_set_y", "test_set_y"},
    {"train/images", "test/images", "train/labels", "test/labels"},
    {"image", 0, "label", 0},
    {"images", 0, "labels", 0},
    {"images", 0, "ans", 0},
    {"data", 0, "labels", 0},
    {"data", 0, "label", 0},
    {"x", 0, "y", 0},
};

static const char *choose_arrays(Arena *perm, const char *path, const ArrayFile *f, const IngestSpec *spec, Wanted *w)
{
    const char *targets = reader_option(spec, "targets"), *labels = reader_option(spec, "labels"), *why = 0;
    const char *test_images = reader_option(spec, "test_images");
    int test_labels;
    w->images = reader_option(spec, "images");
    if (targets && labels) return "one of the options labels and targets expected";
    if (labels) targets = labels;
    if (!why) why = split_names(perm, "labels", targets, w->labels, &w->label_count);
    if (!why) why = split_names(perm, "test_labels", reader_option(spec, "test_labels"), w->test_labels, &test_labels);
    if (why) return why;
    for (int k = 0; k < COUNTOF(known) && (!w->images || !w->label_count); k++) {
        const bool images = w->images ? !strcasecmp(w->images, known[k].images) : find_array(f, known[k].images) >= 0;
        if (!images || (!w->label_count && find_array(f, known[k].labels) < 0)) continue;
        w->images = known[k].images;
        if (!w->label_count) w->labels[w->label_count++] = known[k].labels;
        if (!test_images && w->label_count == 1 && find_array(f, known[k].test_images) >= 0 &&
            find_array(f, known[k].test_labels) >= 0) {
            test_images = known[k].test_images;
            w->test_labels[0] = known[k].test_labels;
            test_labels = 1;
        }
    }
    if (!w->images || !w->label_count)
        return arena_printf(perm, "%s: which arrays? options images= and labels= or targets= name them; it has %s",
                            path, list_text(perm, f));
    w->test_images = test_images;
    if (test_images && test_labels != w->label_count)
        return arena_printf(perm, "%s: option test_labels: as many names as labels or targets expected", path);

    const int64_t first = find_array(f, w->labels[0]);
    int64_t count;
    const ArrayInfo *i = first < 0 ? 0 : array_list(f, &count) + first;
    const bool single =
        i && (i->rank <= 1 || i->size[i->rank - 1] == 1 || (i->rank == 2 && i->size[0] == 1)) && w->label_count == 1;
    const bool whole = labels || (i && i->integer && !reader_option(spec, "targets"));
    const char *usual = !whole ? "regression" : single ? "classification" : "multi-label";
    if (!task_find(usual)) usual = "regression";
    const Task *task = task_find(*spec->task ? spec->task : usual);
    if (!task) return arena_printf(perm, "%s: unknown task \"%s\"", path, spec->task);
    w->task = task;
    w->classes = task->loss == LOSS_CROSS_ENTROPY;
    w->one_hot = w->classes && !single;
    return 0;
}

/* ---- axes ---- */

/* The axis that a dimension's name means, or AXES; what follows _ does not count ("y_c"). */
static Axis axis_of(const char *name)
{
    static const struct {
        const char *name;
        Axis axis;
    } words[] = {{"sample", AXIS_SAMPLE},
                 {"samples", AXIS_SAMPLE},
                 {"n", AXIS_SAMPLE},
                 {"index", AXIS_SAMPLE},
                 {"batch", AXIS_SAMPLE},
                 {"example", AXIS_SAMPLE},
                 {"image", AXIS_SAMPLE},
                 {"channel", AXIS_CHANNEL},
                 {"channels", AXIS_CHANNEL},
                 {"c", AXIS_CHANNEL},
                 {"band", AXIS_CHANNEL},
                 {"bands", AXIS_CHANNEL},
                 {"rgb", AXIS_CHANNEL},
                 {"y", AXIS_Y},
                 {"row", AXIS_Y},
                 {"rows", AXIS_Y},
                 {"height", AXIS_Y},
                 {"h", AXIS_Y},
                 {"lat", AXIS_Y},
                 {"latitude", AXIS_Y},
                 {"x", AXIS_X},
                 {"col", AXIS_X},
                 {"column", AXIS_X},
                 {"columns", AXIS_X},
                 {"width", AXIS_X},
                 {"w", AXIS_X},
                 {"lon", AXIS_X},
                 {"longitude", AXIS_X}};
    const size_t n = strcspn(name, "_");
    for (int i = 0; i < COUNTOF(words); i++)
        if (strlen(words[i].name) == n && !strncasecmp(words[i].name, name, n)) return words[i].axis;
    return AXES;
}

/* The slice that is meant for dimension d, by its name in the file, or by its axis once that is known. */
static const Slice *slice_of(const Wanted *w, const View *v, int d, bool axes)
{
    for (int i = 0; i < w->slices; i++) {
        const Slice *s = &w->slice[i];
        const char *name = !axes ? v->info->dimension[d] : v->axis[d] < AXES ? axis_name[v->axis[d]] : "";
        if ((int64_t)strlen(name) == s->name_length && !strncmp(name, s->name, (size_t)s->name_length)) return s;
    }
    return 0;
}

static bool apply_slice(View *v, int d, const Slice *s)
{
    if (!s) return true;
    if (s->to > v->info->size[d]) return false;
    v->start[d] = s->from;
    v->count[d] = s->to - s->from;
    return true;
}

/* The axes of the dimensions that are left, by their number and sizes; false if that is open. */
static bool axes_by_position(View *v, const int *left, int n)
{
    static const Axis two[] = {AXIS_SAMPLE, AXIS_X}, three[] = {AXIS_SAMPLE, AXIS_Y, AXIS_X},
                      first[] = {AXIS_SAMPLE, AXIS_CHANNEL, AXIS_Y, AXIS_X},
                      last[] = {AXIS_SAMPLE, AXIS_Y, AXIS_X, AXIS_CHANNEL};
    const Axis *order = n == 2 ? two : n == 3 ? three : 0;
    if (n == 4) { /* colours are 1, 3 or 4 */
        const int64_t second = v->info->size[left[1]], fourth = v->info->size[left[3]];
        const bool is_last = fourth == 1 || fourth == 3 || fourth == 4,
                   is_first = second == 1 || second == 3 || second == 4;
        order = is_last == is_first ? 0 : is_last ? last : first;
    }
    for (int i = 0; order && i < n; i++) v->axis[left[i]] = order[i];
    return order;
}

/* What is read of array `name` as images. */
static const char *view_images(Arena *perm, ArrayFile *f, const char *path, const char *name, const Wanted *w, View *v)
{
    int64_t count;
    *v = (View){.file = f, .path = path, .index = find_array(f, name)};
    if (v->index < 0) return arena_printf(perm, "%s: no array %s; it has %s", path, name, list_text(perm, f));
    const ArrayInfo *i = v->info = array_list(f, &count) + v->index;
    int left[ARRAY_MAX_RANK], n = 0, named = 0, other = 0;
    bool seen[AXES] = {false}, twice = false;
    for (int d = 0; d < i->rank; d++) {
        v->count[d] = i->size[d];
        const Slice *s = slice_of(w, v, d, false);
        if (!apply_slice(v, d, s))
            return arena_printf(perm, "%s: option slice: %s has %lld", path, i->dimension[d], (long long)i->size[d]);
        v->axis[d] = s && s->fixed ? AXIS_FIXED : axis_of(i->dimension[d]);
        if (s && s->fixed) continue;
        left[n++] = d;
        if (v->axis[d] == AXES) {
            other = d;
            continue;
        }
        named++;
        twice |= seen[v->axis[d]];
        seen[v->axis[d]] = true;
    }
    const char *shape = shape_text(perm, i);
    if (w->layout_rank && w->layout_rank != n)
        return arena_printf(perm, "%s: %s: option layout names %d dimensions, %d are left", path, shape, w->layout_rank,
                            n);
    for (int k = 0; w->layout_rank && k < n; k++) v->axis[left[k]] = w->layout[k];
    if (named == n - 1 && !seen[AXIS_SAMPLE]) { /* the samples' dimension may have any name */
        v->axis[other] = AXIS_SAMPLE;
        seen[AXIS_SAMPLE] = true;
        named++;
    }
    const bool by_name = named == n && !twice && seen[AXIS_SAMPLE] && seen[AXIS_X];
    if (!w->layout_rank && !by_name && !axes_by_position(v, left, n))
        return arena_printf(
            perm,
            "%s: %s: which dimension is what? Option layout= says it, as sample,y,x,channel; slice= takes "
            "one index of what is too much",
            path, shape);
    for (int a = 0; a < AXES; a++) v->size[a] = 1;
    for (int d = 0; d < i->rank; d++) {
        if (v->axis[d] >= AXES) continue;
        const Slice *s = slice_of(w, v, d, true);
        if (!apply_slice(v, d, s))
            return arena_printf(perm, "%s: %s: option slice: %s has %lld", path, shape, axis_name[v->axis[d]],
                                (long long)i->size[d]);
        v->size[v->axis[d]] = v->count[d];
        if (v->count[d] < 1) return arena_printf(perm, "%s: %s: zero samples or an empty side", path, shape);
    }
    if (v->size[AXIS_SAMPLE] > INT32_MAX) return arena_printf(perm, "%s: %s: too many samples", path, shape);
    const char *why = dataset_check_shape(perm, v->size[AXIS_CHANNEL], v->size[AXIS_Y], v->size[AXIS_X], DTYPE_F32);
    return why ? arena_printf(perm, "%s: %s: %s", path, shape, why) : 0;
}

/* What is read of array `name` as targets of these images: (sample), or (sample, outputs) as x. */
static const char *view_targets(Arena *perm, const View *images, const char *name, View *v)
{
    int64_t count;
    *v = (View){.file = images->file, .path = images->path, .index = find_array(images->file, name)};
    if (v->index < 0) return arena_printf(perm, "%s: no array %s; it has %s", v->path, name, list_text(perm, v->file));
    const ArrayInfo *i = v->info = array_list(v->file, &count) + v->index;
    int sample = 0;
    while (images->axis[sample] != AXIS_SAMPLE) sample++;
    const int64_t all = images->info->size[sample];
    /* (sample) or (sample, outputs); (1, sample), as course files have it, is read like (sample) */
    int on = i->rank == 2 && i->size[0] == 1 && i->size[1] == all && all > 1 ? 1 : 0;
    if (i->rank < 1 || i->rank > 2 || i->size[on] != all)
        return arena_printf(perm, "%s: %s does not fit the %lld samples of %s", v->path, shape_text(perm, i),
                            (long long)all, shape_text(perm, images->info));
    for (int d = 0; d < i->rank; d++) {
        v->axis[d] = d == on ? AXIS_SAMPLE : AXIS_X;
        v->start[d] = d == on ? images->start[sample] : 0;
        v->count[d] = d == on ? images->count[sample] : i->size[d];
    }
    v->size[AXIS_SAMPLE] = v->count[on];
    v->size[AXIS_CHANNEL] = v->size[AXIS_Y] = 1;
    v->size[AXIS_X] = i->rank == 2 ? i->size[1 - on] : 1;
    return v->size[AXIS_X] > DATASET_MAX_OUTPUTS || v->size[AXIS_X] < 1
               ? arena_printf(perm, "%s: %s: absurd as targets", v->path, shape_text(perm, i))
               : 0;
}

/* ---- values ---- */

static double stored(const ArrayInfo *a, const void *slab, int64_t i)
{
    switch ((DType)a->type) {
    case DTYPE_U8: return ((const uint8_t *)slab)[i];
    case DTYPE_F32: return ((const float *)slab)[i];
    default: return ((const double *)slab)[i];
    }
}

static bool is_missing(const ArrayInfo *a, double v)
{
    for (int k = 0; k < a->fills; k++)
        if (v == a->fill[k] || (a->type == DTYPE_F32 && v == (double)(float)a->fill[k])) return true;
    return v < a->min || v > a->max;
}

static bool stays_u8(const ArrayInfo *a)
{
    return a->type == DTYPE_U8 && a->scale == 1 && a->offset == 0;
}

/* Reads samples first … first + n of a view, in the order and number of its axes: (n, C, H, W) of u8 if u8 is true, else
 * of float. missing[k]: sample k has missing values. */
static const char *read_slab(Arena *perm, Arena scratch, const View *v, int64_t first, int64_t n, bool u8, void *to,
                             bool *missing)
{
    const ArrayInfo *a = v->info;
    int64_t start[ARRAY_MAX_RANK], count[ARRAY_MAX_RANK], stride[AXES] = {0}, all = 1;
    for (int d = a->rank - 1; d >= 0; d--) {
        start[d] = v->start[d] + (v->axis[d] == AXIS_SAMPLE ? first : 0);
        count[d] = v->axis[d] == AXIS_SAMPLE ? n : v->count[d];
        if (v->axis[d] < AXES) stride[v->axis[d]] = all;
        all *= count[d];
    }
    const char *why;
    void *slab = dataset_memory(&scratch, all, dtype_size((DType)a->type), &why);
    if (!slab) return arena_printf(perm, "%s: %s: %s", v->path, a->name, why);
    if ((why = array_read(perm, v->file, v->index, start, count, slab))) return why;
    int64_t at = 0;
    for (int64_t s = 0; s < n; s++) {
        missing[s] = false;
        for (int64_t c = 0; c < v->size[AXIS_CHANNEL]; c++)
            for (int64_t y = 0; y < v->size[AXIS_Y]; y++) {
                const int64_t from = s * stride[AXIS_SAMPLE] + c * stride[AXIS_CHANNEL] + y * stride[AXIS_Y];
                for (int64_t x = 0; x < v->size[AXIS_X]; x++, at++) {
                    const double value = stored(a, slab, from + x * stride[AXIS_X]);
                    missing[s] |= is_missing(a, value);
                    if (u8) {
                        ((uint8_t *)to)[at] = (uint8_t)value;
                        continue;
                    }
                    const double real = value * a->scale + a->offset;
                    ((float *)to)[at] = fabs(real) <= 3.4028234663852886e38 ? (float)real : NAN;
                }
            }
    }
    return 0;
}

static int64_t slab_samples(const View *v)
{
    int64_t bytes = dtype_size((DType)v->info->type);
    for (int d = 0; d < v->info->rank; d++)
        if (v->axis[d] != AXIS_SAMPLE) bytes *= v->count[d];
    return bytes > SLAB ? 1 : SLAB / bytes;
}

/* ---- targets: all of them first, because they tell the classes ---- */

typedef struct {
    const char *path;
    bool test_arrays; /* images and labels are the file's test arrays */
    int named;        /* Split or -1 */
    int64_t file, count;
    float *target; /* (count, width); NaN where it is missing */
} Part;

static const char *read_targets(Arena *perm, Arena scratch, const View *images, const char *const *name, int names,
                                Part *part, int64_t *width)
{
    View v[COUNTOF(((Wanted *)0)->labels)];
    int64_t columns = 0, column = 0;
    const char *why = 0;
    for (int k = 0; k < names && !why; k++) {
        why = view_targets(perm, images, name[k], &v[k]);
        columns += why ? 0 : v[k].size[AXIS_X];
    }
    if (why) return why;
    if (*width && columns != *width)
        return arena_printf(perm, "%s: %s: %lld targets a sample, %lld before", part->path, name[0], (long long)columns,
                            (long long)*width);
    *width = columns;
    part->count = images->size[AXIS_SAMPLE];
    part->target = dataset_memory(perm, size_mul(part->count, columns), sizeof *part->target, &why);
    if (!part->target) return arena_printf(perm, "%s: %s: %s", part->path, name[0], why);
    for (int k = 0; k < names; k++) {
        const int64_t wide = v[k].size[AXIS_X], step = slab_samples(&v[k]);
        for (int64_t i = 0; i < part->count; i += step) {
            Arena once = scratch;
            const int64_t n = part->count - i < step ? part->count - i : step;
            float *to = NEW(&once, float, n *wide);
            bool *missing = NEW(&once, bool, n);
            if ((why = read_slab(perm, once, &v[k], i, n, false, to, missing))) return why;
            for (int64_t s = 0; s < n; s++)
                for (int64_t c = 0; c < wide; c++)
                    part->target[(i + s) * columns + column + c] = missing[s] ? NAN : to[s * wide + c];
        }
        column += wide;
    }
    return 0;
}

static int by_float(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Rows with a single 1 become class numbers. */
static const char *fold_one_hot(Arena *perm, Part *p, int64_t width)
{
    for (int64_t i = 0; i < p->count; i++) {
        int64_t ones = 0, at = 0;
        for (int64_t k = 0; k < width; k++) {
            const float t = p->target[i * width + k];
            if (t == 1) ones++, at = k;
            if (t != 0 && t != 1 && !isnan(t)) ones = 2;
        }
        if (ones > 1 || (!ones && !isnan(p->target[i * width])))
            return arena_printf(perm,
                                "%s: labels of sample %lld: one 1 among %lld expected, as --task classification "
                                "has it",
                                p->path, (long long)i, (long long)width);
        p->target[i] = ones ? (float)at : NAN;
    }
    return 0;
}

/* Class numbers count from 0; others, as 1…K, are renumbered in their order and keep their names. */
static const char *number_classes(Arena *perm, Arena scratch, Part *part, int parts, Dataset *d)
{
    int64_t all = 0, n = 0;
    for (int p = 0; p < parts; p++) all += part[p].count;
    const char *why;
    float *value = dataset_memory(&scratch, all, sizeof *value, &why);
    if (!value) return arena_printf(perm, "%s: %s", part[0].path, why);
    for (int p = 0; p < parts; p++)
        for (int64_t i = 0; i < part[p].count; i++) {
            const float t = part[p].target[i];
            if (isnan(t)) continue;
            if (t != floorf(t) || fabsf(t) > 1 << 24)
                return arena_printf(perm, "%s: label %g of sample %lld: a whole number expected", part[p].path,
                                    (double)t, (long long)i);
            value[n++] = t;
        }
    qsort(value, (size_t)n, sizeof *value, by_float);
    int64_t classes = 0;
    for (int64_t i = 0; i < n; i++)
        if (!i || value[i] != value[classes - 1]) value[classes++] = value[i];
    const bool renumber = classes && value[0] != 0;
    d->info.outputs = !classes ? 0 : renumber ? classes : (int64_t)value[classes - 1] + 1;
    if (d->info.outputs > MAX_CLASSES)
        return arena_printf(perm, "%s: %lld classes: absurd", part[0].path, (long long)d->info.outputs);
    if (!renumber) return 0;
    d->info.output_names = NEW(perm, const char *, classes);
    for (int64_t k = 0; k < classes; k++) d->info.output_names[k] = arena_printf(perm, "%g", (double)value[k]);
    for (int p = 0; p < parts; p++)
        for (int64_t i = 0; i < part[p].count; i++) {
            float *t = &part[p].target[i];
            const float *at = isnan(*t) ? 0 : bsearch(t, value, (size_t)classes, sizeof *value, by_float);
            if (at) *t = (float)(at - value);
        }
    return 0;
}

/* ---- the whole ---- */

static const char *open_part(Arena *perm, const Part *p, const Wanted *w, ArrayFile **f, View *images)
{
    const char *why;
    *f = array_open(perm, p->path, ARRAY_PATIENCE, &why);
    return *f ? view_images(perm, *f, p->path, p->test_arrays ? w->test_images : w->images, w, images) : why;
}

static const char *put_part(Arena *perm, Arena scratch, const Part *p, const Wanted *w, int64_t width, bool u8,
                            Intake *intake, int64_t *id)
{
    ArrayFile *f;
    View v = {0};
    const char *why = open_part(perm, p, w, &f, &v);
    const int64_t step = why ? 1 : slab_samples(&v), values = v.size[AXIS_CHANNEL] * v.size[AXIS_Y] * v.size[AXIS_X];
    for (int64_t i = 0; i < p->count && !why; i += step) {
        Arena once = scratch;
        const int64_t n = p->count - i < step ? p->count - i : step;
        char *x = arena_alloc(&once, u8 ? 1 : 4, 64, n * values);
        bool *missing = NEW(&once, bool, n);
        why = read_slab(perm, once, &v, i, n, u8, x, missing);
        for (int64_t s = 0; s < n && !why; s++, ++*id) {
            Arena brief = once;
            const char *where = arena_printf(&brief, "%s: %s: sample %lld", p->path, v.info->name, (long long)(i + s));
            if (missing[s]) {
                why = intake_bad(intake, arena_printf(perm, "%s: a missing value", where));
                continue;
            }
            why = intake_put(intake, brief,
                             &(Sample){.where = where,
                                       .raster = {v.size[AXIS_CHANNEL], v.size[AXIS_Y], v.size[AXIS_X],
                                                  u8 ? DTYPE_U8 : DTYPE_F32, x + s * values * (u8 ? 1 : 4)},
                                       .targets = p->target + (i + s) * width,
                                       .id = *id,
                                       .group = -1,
                                       .file = p->file,
                                       .named = p->named});
        }
    }
    array_close(f);
    return why;
}

/* The files as they are read: every source, its own test arrays after it, then the files of option test=. */
static const char *plan_parts(Arena *perm, const char *const *sources, int64_t n, const IngestSpec *spec,
                              const Wanted *w, Part *part, int *parts)
{
    const char *test = reader_option(spec, "test");
    if (n > MOST_FILES / 4) return arena_printf(perm, "%s: too many files", sources[0]);
    for (int64_t i = 0; i < n; i++) {
        part[(*parts)++] = (Part){.path = sources[i], .named = w->test_images || test ? SPLIT_TRAIN : -1, .file = i};
        if (w->test_images)
            part[(*parts)++] = (Part){.path = sources[i], .named = SPLIT_TEST, .file = i, .test_arrays = true};
    }
    for (int64_t i = n; test && *test; i++) {
        const size_t length = strcspn(test, ",");
        if (*parts == MOST_FILES) return arena_printf(perm, "option test: too many files");
        part[(*parts)++] = (Part){.path = arena_strndup(perm, test, (ptrdiff_t)length), .named = SPLIT_TEST, .file = i};
        test += length + (test[length] == ',');
    }
    return 0;
}

const char *arrays_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                        Dataset *out)
{
    *out = (Dataset){0};
    Wanted w = {0};
    const char *layout = reader_option(spec, "layout"), *slice = reader_option(spec, "slice");
    const char *why = reader_option_check(perm, spec, "netcdf or hdf5",
                                          "images labels targets test_images test_labels test layout slice names");
    if (!why && n < 1) why = "netcdf, hdf5: a file expected";
    if (!why && layout) why = parse_layout(perm, layout, &w);
    if (!why && slice) why = parse_slices(perm, slice, &w);
    if (why) return why;
    ArrayFile *f = array_open(perm, sources[0], ARRAY_PATIENCE, &why);
    if (!f) return why;
    why = choose_arrays(perm, sources[0], f, spec, &w);
    array_close(f);
    Part *part = NEW(perm, Part, MOST_FILES);
    int parts = 0;
    if (!why) why = plan_parts(perm, sources, n, spec, &w, part, &parts);

    int64_t width = 0, total = 0;
    bool u8 = true;
    for (int p = 0; p < parts && !why; p++) {
        View images;
        why = open_part(perm, &part[p], &w, &f, &images);
        if (!why && !*(spec->reshape ? spec->reshape : "")) { /* what cannot end well is not begun */
            const int64_t values = images.size[AXIS_CHANNEL] * images.size[AXIS_Y] * images.size[AXIS_X];
            why = dataset_pixels_too_large(perm, images.size[AXIS_SAMPLE], values * (stays_u8(images.info) ? 1 : 4));
            if (why) why = arena_printf(perm, "%s: %s: %s", part[p].path, images.info->name, why);
        }
        if (!why)
            why = read_targets(perm, scratch, &images, part[p].test_arrays ? w.test_labels : w.labels, w.label_count,
                               &part[p], &width);
        if (!why) u8 &= stays_u8(images.info);
        if (!why && w.one_hot) why = fold_one_hot(perm, &part[p], width);
        total += part[p].count;
        array_close(f);
    }
    if (why) return why;

    DatasetInfo *info = &out->info;
    if (w.one_hot) {
        info->outputs = width;
        width = 1;
    } else if (w.classes) {
        if (width != 1)
            return arena_printf(perm, "%s: %lld labels a sample: one expected", sources[0], (long long)width);
        if ((why = number_classes(perm, scratch, part, parts, out))) return why;
    } else {
        info->outputs = width;
        if (w.label_count == width) {
            info->output_names = NEW(perm, const char *, width);
            for (int64_t k = 0; k < width; k++) info->output_names[k] = w.labels[k];
        }
    }
    out->target_width = width;
    Intake intake;
    int64_t id = 0;
    if ((why = intake_open(perm, spec, out, total, &intake))) return why;
    for (int p = 0; p < parts && !why; p++) why = put_part(perm, scratch, &part[p], &w, width, u8, &intake, &id);
    if (!why) why = intake_close(&intake, sources[0]);
    if (why) return why;

    info->task = w.task->name;
    info->name = reader_source_name(perm, sources[0], "arrays");
    Text source = {0};
    text_add(perm, &source, "arrays");
    for (int64_t i = 0; i < n && i < 8; i++) text_addf(perm, &source, " %s", sources[i]);
    info->source = source.s;
    dataset_setting(perm, info, "arrays", "%s, %s%s", w.images, w.labels[0], w.label_count > 1 ? ", …" : "");
    if (layout) dataset_setting(perm, info, "layout", "%s", layout);
    if (slice) dataset_setting(perm, info, "slice", "%s", slice);
    return reader_name_outputs(perm, spec, info);
}

int arrays_probe(const char *path, const unsigned char *head, int64_t head_bytes)
{
    (void)path;
    return array_magic(head, head_bytes) ? 95 : 0;
}
