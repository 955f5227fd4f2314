/* lightcurves: irregular series of several bands, such as PLAsTiCC's (the LSST classification challenge of 2018) in the layout of
 * Kaggle: a table of objects (object_id, …, target) and one or more of observations (object_id, mjd, passband, flux,
 * flux_err, detected), each with a line of names, plain or gzip, columns in any order.
 *
 * Each object becomes a series (channels, 1, bins): for every band its flux in bins of equal time, then for every band a
 * mask (1: observed in this bin), then, if asked, for every band the error of the flux, and at last metadata as constant
 * channels.  Observations of one bin are averaged with weights 1/error².  A bin without any is interpolated between its
 * neighbours in time of the same band (before the first and after the last: the nearest), or 0.
 *
 * Scales: asinh   asinh(flux / softening), error / sqrt(flux² + softening²): linear for faint, logarithmic for bright
 *         object  both divided by the largest |flux| of the object
 *         none    as it is
 *
 * The observations are read twice: once to count those of every object and to check each, once to fill.  If they are
 * sorted by object, one object is in memory at a time; else all of them, sorted by counting.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/readers/delimited.h"
#include "data/readers/formats.h"
#include "data/split.h"

enum { MAX_BANDS = 16, MAX_FEATURES = 32, MAX_CLASSES = 1000, MAX_OBJECTS = 1 << 28, MAX_BINS = 65536 };

typedef enum { ALIGN_FIRST, ALIGN_PEAK, ALIGN_AT } Align;
typedef enum { SCALE_ASINH, SCALE_OBJECT, SCALE_NONE } Scale;

typedef struct {
    int64_t bins, bands, features;
    const char *band[MAX_BANDS], *feature[MAX_FEATURES];
    bool feature_gaps[MAX_FEATURES]; /* some object lacks it: it gets a mask channel */
    double span, start, softening;
    Align align;
    Scale scale;
    bool interpolate, errors, detected_only, skip_unmatched;
    const char *column_object, *column_time, *column_band, *column_flux, *column_error, *column_detected,
        *column_target, *column_split, *column_group;
} Shape;

typedef struct {
    const char *name;
    int64_t label;
    float *feature; /* NaN: not known */
    int64_t group;
    uint8_t split;
    int64_t rows, sample, offset; /* observations; number among those with any; where they begin */
} Object;

typedef struct {
    Object *object;
    int64_t count, room;
    int64_t *slot; /* hash table of object numbers + 1, twice as large as the room, a power of two */
    int64_t slots;
} Catalogue;

typedef struct {
    double time;
    float flux, error;
    int32_t band;
} Observation;

/* ---- options ---- */

static const char *word_option(Arena *perm, const IngestSpec *spec, const char *key, const char *words, int *to)
{
    const char *text = reader_option(spec, key);
    if (!text) return 0;
    int k = 0;
    for (const char *w = words; *w; k++) {
        size_t length = strcspn(w, " ");
        if (strlen(text) == length && !memcmp(w, text, length)) {
            *to = k;
            return 0;
        }
        w += length;
        w += *w == ' ';
    }
    return arena_printf(perm, "option %s=%s: one of %s expected", key, text, words);
}

/* "a,b,c" -> words; how many, or -1: too many or an empty one. */
static int64_t list_of(Arena *perm, const char *list, const char **word, int64_t room)
{
    int64_t n = 0;
    for (const char *p = list;; p++) {
        ptrdiff_t length = (ptrdiff_t)strcspn(p, ",");
        if (n == room || !length) return -1;
        word[n++] = arena_strndup(perm, p, length);
        p += length;
        if (!*p) return n;
    }
}

static const char *read_options(Arena *perm, const IngestSpec *spec, Shape *s)
{
    *s = (Shape){.bins = 128, .span = 1100, .softening = 10, .interpolate = true};
    const char *why =
        reader_option_check(perm, spec, "lightcurves",
                            "bins span start align scale softening interpolation errors detected bands "
                            "features unmatched object time band flux error detection target split group");
    int align = 0, scale = 0, interpolation = 0, errors = 0, detected = 0, unmatched = 0;
    if (!why) why = reader_option_int(perm, spec, "bins", 1, MAX_BINS, &s->bins);
    if (!why) why = reader_option_double(perm, spec, "span", 1e-9, 1e9, &s->span);
    if (!why) why = reader_option_double(perm, spec, "start", -1e9, 1e9, &s->start);
    if (!why) why = reader_option_double(perm, spec, "softening", 1e-9, 1e9, &s->softening);
    if (!why) why = word_option(perm, spec, "align", "first peak", &align);
    if (!why) why = word_option(perm, spec, "scale", "asinh object none", &scale);
    if (!why) why = word_option(perm, spec, "interpolation", "linear none", &interpolation);
    if (!why) why = word_option(perm, spec, "errors", "no yes", &errors);
    if (!why) why = word_option(perm, spec, "detected", "all only", &detected);
    if (!why) why = word_option(perm, spec, "unmatched", "refuse skip", &unmatched);
    if (why) return why;
    if (reader_option(spec, "start") && reader_option(spec, "align"))
        return "option align: not together with start, which says where the grid begins";
    s->align = reader_option(spec, "start") ? ALIGN_AT : (Align)align;
    s->scale = (Scale)scale;
    s->interpolate = !interpolation;
    s->errors = errors;
    s->detected_only = detected;
    s->skip_unmatched = unmatched;
    const char *bands = reader_option(spec, "bands"), *features = reader_option(spec, "features");
    s->bands = list_of(perm, bands ? bands : "0,1,2,3,4,5", s->band, MAX_BANDS);
    if (s->bands < 0) return arena_printf(perm, "option bands=%s: 1 to %d names expected", bands, MAX_BANDS);
    if (features && (s->features = list_of(perm, features, s->feature, MAX_FEATURES)) < 0)
        return arena_printf(perm, "option features=%s: 1 to %d names expected", features, MAX_FEATURES);
    struct {
        const char *key, *usual, **to;
    } column[] = {{"object", "object_id", &s->column_object},
                  {"time", "mjd", &s->column_time},
                  {"band", "passband", &s->column_band},
                  {"flux", "flux", &s->column_flux},
                  {"error", "flux_err", &s->column_error},
                  {"detection", "detected", &s->column_detected},
                  {"target", "target", &s->column_target},
                  {"split", 0, &s->column_split},
                  {"group", 0, &s->column_group}};
    for (int i = 0; i < COUNTOF(column); i++) {
        const char *given = reader_option(spec, column[i].key);
        *column[i].to = given ? given : column[i].usual;
    }
    return 0;
}

/* ---- columns ---- */

/* Place of a column in the line of names, or -1. */
static int64_t column_of(const Delimited *head, const char *name)
{
    for (int64_t i = 0; name && i < head->fields; i++)
        if (!strcmp(head->field[i], name)) return i;
    return -1;
}

/* The same; -1 and head->why if there is none. */
static int64_t need_column(Delimited *head, const char *name)
{
    int64_t i = column_of(head, name);
    if (i < 0) delimited_fail(head, "no column %s (options of the format name other columns)", name);
    return i;
}

/* Opens a table and reads its line of names. */
static bool open_table(Arena *perm, const char *path, Delimited *r)
{
    if (!delimited_open(perm, perm, path, ',', r)) return false;
    r->comment = '#';
    if (!delimited_next(r)) delimited_fail(r, "empty: a line of names expected");
    return !r->why;
}

/* ---- objects ---- */

static int64_t slot_of(const Catalogue *c, const char *name)
{
    uint64_t at = dataset_hash(0, name, (int64_t)strlen(name));
    for (;; at++) {
        int64_t k = c->slot[at & (uint64_t)(c->slots - 1)];
        if (!k || !strcmp(c->object[k - 1].name, name)) return (int64_t)(at & (uint64_t)(c->slots - 1));
    }
}

static Object *find_object(const Catalogue *c, const char *name)
{
    int64_t k = c->slots ? c->slot[slot_of(c, name)] : 0;
    return k ? &c->object[k - 1] : 0;
}

static const char *grow(Arena *perm, Catalogue *c)
{
    const char *why;
    const int64_t room = c->room ? 2 * c->room : 1024;
    if (room > MAX_OBJECTS) return "too many objects";
    Object *object = dataset_memory(perm, room, sizeof *object, &why);
    int64_t *slot = object ? dataset_memory(perm, 2 * room, sizeof *slot, &why) : 0;
    if (!slot) return why;
    if (c->count) memcpy(object, c->object, (size_t)c->count * sizeof *object);
    *c = (Catalogue){object, c->count, room, slot, 2 * room};
    for (int64_t i = 0; i < c->count; i++) c->slot[slot_of(c, c->object[i].name)] = i + 1;
    return 0;
}

/* A value of the metadata: empty or nan is not known. */
static float feature_value(Delimited *r, int64_t column, const char *name)
{
    const char *text = delimited_field(r, column, name);
    double v = 0;
    if (!*text || !strcasecmp(text, "nan")) return NAN;
    delimited_number(r, column, name, &v);
    if (fabs(v) > 1e30) delimited_fail(r, "%s is %g: absurd", name, v);
    return (float)v;
}

/* All rows of the metadata. Labels are class codes still. */
static const char *read_objects(Arena *perm, const char *path, Shape *s, Catalogue *c)
{
    Delimited r;
    const char *why = 0;
    int64_t columns[MAX_FEATURES], group = -1, split = -1;
    if (!open_table(perm, path, &r)) goto end;
    int64_t name = need_column(&r, s->column_object), target = need_column(&r, s->column_target);
    for (int64_t k = 0; k < s->features; k++) columns[k] = need_column(&r, s->feature[k]);
    if (s->column_group) group = need_column(&r, s->column_group);
    if (s->column_split) split = need_column(&r, s->column_split);
    while (!r.why && delimited_next(&r)) {
        if (c->count == c->room && (why = grow(perm, c))) break;
        double code = 0;
        Object o = {.name = delimited_field(&r, name, s->column_object)};
        if (!*o.name) delimited_fail(&r, "an empty %s", s->column_object);
        if (find_object(c, o.name)) delimited_fail(&r, "object %.40s for the second time", o.name);
        delimited_number(&r, target, s->column_target, &code);
        if (code != floor(code) || fabs(code) > 1e9) delimited_fail(&r, "target %g: a class number expected", code);
        o.label = (int64_t)code;
        if (s->features) o.feature = NEW(perm, float, s->features);
        for (int64_t k = 0; k < s->features && !r.why; k++) {
            o.feature[k] = feature_value(&r, columns[k], s->feature[k]);
            s->feature_gaps[k] |= isnan(o.feature[k]);
        }
        if (group >= 0) {
            const char *g = delimited_field(&r, group, s->column_group);
            o.group = (int64_t)dataset_hash(0, g, (int64_t)strlen(g));
        }
        if (split >= 0) {
            const char *word = delimited_field(&r, split, s->column_split);
            int which = split_find(word, (int64_t)strlen(word));
            if (which < 0)
                delimited_fail(&r, "%s is \"%.40s\": train, alpha, valid or test expected", s->column_split, word);
            o.split = (uint8_t)which;
        }
        if (r.why) break;
        o.name = arena_strdup(perm, o.name);
        c->slot[slot_of(c, o.name)] = c->count + 1;
        c->object[c->count++] = o;
    }
    if (!r.why && !why && !c->count) delimited_fail(&r, "no objects in it");
end:
    delimited_close(&r);
    return r.why ? r.why : why ? arena_printf(perm, "%s: %s", path, why) : 0;
}

/* ---- observations ---- */

typedef struct { /* reading the files of observations, one after the other */
    Arena *perm;
    const Shape *shape;
    const Catalogue *objects;
    const char *const *path;
    int64_t paths, next;
    Delimited r;
    bool open;
    int64_t object, time, band, flux, error, detected; /* columns; error, detected: or -1 */
    Object *last;                                      /* of the row before, so that few names are looked up */
    int64_t skipped;                                   /* rows of unknown objects, undetected rows */
} Observations;

static bool next_file(Observations *o)
{
    const Shape *s = o->shape;
    if (o->open) delimited_close(&o->r);
    o->open = false;
    if (o->next == o->paths) return false;
    /* one buffer for all files would do; there are few of them */
    o->open = open_table(o->perm, o->path[o->next++], &o->r) || o->r.gz;
    if (o->r.why) return false;
    o->object = need_column(&o->r, s->column_object);
    o->time = need_column(&o->r, s->column_time);
    o->band = need_column(&o->r, s->column_band);
    o->flux = need_column(&o->r, s->column_flux);
    o->error = column_of(&o->r, s->column_error);
    o->detected = column_of(&o->r, s->column_detected);
    if (s->errors && o->error < 0) need_column(&o->r, s->column_error);
    if (s->detected_only && o->detected < 0) need_column(&o->r, s->column_detected);
    return !o->r.why;
}

/* The next observation and its object; false at the end or when o->r.why is set. */
static bool next_observation(Observations *o, Object **object, Observation *to)
{
    const Shape *s = o->shape;
    for (;;) {
        Delimited *r = &o->r;
        while (!o->open || !delimited_next(r)) {
            if ((o->open && r->why) || !next_file(o)) return false;
        }
        const char *name = delimited_field(r, o->object, s->column_object);
        if (!r->why && (!o->last || strcmp(o->last->name, name))) {
            o->last = find_object(o->objects, name);
            if (!o->last && !s->skip_unmatched)
                delimited_fail(r, "object %.40s is not among the objects (unmatched=skip leaves such out)", name);
        }
        double time = 0, flux = 0, error = 1, detected = 1;
        delimited_number(r, o->time, s->column_time, &time);
        delimited_number(r, o->flux, s->column_flux, &flux);
        if (o->error >= 0) delimited_number(r, o->error, s->column_error, &error);
        if (o->detected >= 0) delimited_number(r, o->detected, s->column_detected, &detected);
        const char *band = delimited_field(r, o->band, s->column_band);
        int32_t b = 0;
        while (b < s->bands && strcmp(s->band[b], band)) b++;
        if (b == s->bands) delimited_fail(r, "%s is \"%.40s\": not one of the bands", s->column_band, band);
        if (fabs(time) > 1e9 || fabs(flux) > 1e30 || error > 1e30)
            delimited_fail(r, "time %g, flux %g, error %g: absurd", time, flux, error);
        if (!(error > 0)) delimited_fail(r, "%s is %g: above 0 expected", s->column_error, error);
        if (r->why) return false;
        if (!o->last || (s->detected_only && !detected)) {
            o->skipped++;
            continue;
        }
        *object = o->last;
        *to = (Observation){time, (float)flux, (float)error, b};
        return true;
    }
}

static Observations start(Arena *perm, const Shape *s, const Catalogue *c, const char *const *path, int64_t paths)
{
    return (Observations){.perm = perm, .shape = s, .objects = c, .path = path, .paths = paths};
}

/* ---- one object to its sample ---- */

typedef struct {
    double flux, weight; /* sums over a bin */
} Cell;

static int64_t channels_of(const Shape *s)
{
    int64_t n = (s->errors ? 3 : 2) * s->bands;
    for (int64_t k = 0; k < s->features; k++) n += 1 + s->feature_gaps[k];
    return n;
}

static double grid_start(const Shape *s, const Observation *v, int64_t n)
{
    if (s->align == ALIGN_AT) return s->start;
    const Observation *best = &v[0];
    for (int64_t i = 1; i < n; i++)
        if (s->align == ALIGN_FIRST ? v[i].time < best->time : v[i].flux > best->flux) best = &v[i];
    return s->align == ALIGN_FIRST ? best->time : best->time - s->span / 2;
}

/* Fills what was not observed from its neighbours in time. */
static void interpolate(float *x, const float *mask, int64_t n)
{
    int64_t before = -1;
    for (int64_t i = 0; i < n; i++) {
        if (!mask[i]) continue;
        for (int64_t k = before + 1; k < i; k++)
            x[k] = before < 0 ? x[i] : x[before] + (x[i] - x[before]) * (float)(k - before) / (float)(i - before);
        before = i;
    }
    for (int64_t k = before + 1; before >= 0 && k < n; k++) x[k] = x[before];
}

/* Returns how many observations are outside of the grid. `cell`: room for bands × bins. */
static int64_t draw(const Shape *s, const Object *o, const Observation *v, int64_t n, Cell *cell, float *x)
{
    const int64_t bins = s->bins, plane = s->bands * bins;
    float *mask = x + plane, *error = s->errors ? x + 2 * plane : 0;
    double from = grid_start(s, v, n), largest = 0;
    int64_t outside = 0;
    memset(cell, 0, (size_t)plane * sizeof *cell);
    for (int64_t i = 0; i < n; i++) {
        double at = floor((v[i].time - from) / s->span * (double)bins);
        if (fabs(v[i].flux) > largest) largest = fabs(v[i].flux);
        if (!(at >= 0 && at < (double)bins)) {
            outside++;
            continue;
        }
        Cell *c = &cell[v[i].band * bins + (int64_t)at];
        double weight = 1 / ((double)v[i].error * v[i].error);
        c->flux += weight * v[i].flux;
        c->weight += weight;
    }
    for (int64_t i = 0; i < plane; i++) {
        if (!(cell[i].weight > 0)) continue;
        double flux = cell[i].flux / cell[i].weight, sigma = 1 / sqrt(cell[i].weight), unit = 1;
        if (s->scale == SCALE_OBJECT) unit = largest > 0 ? largest : 1;
        if (s->scale == SCALE_ASINH) unit = sqrt(flux * flux + s->softening * s->softening);
        x[i] = (float)(s->scale == SCALE_ASINH ? asinh(flux / s->softening) : flux / unit);
        mask[i] = 1;
        if (error) error[i] = (float)(sigma / unit);
    }
    for (int64_t b = 0; s->interpolate && b < s->bands; b++) interpolate(x + b * bins, mask + b * bins, bins);
    float *constant = x + (s->errors ? 3 : 2) * plane;
    for (int64_t k = 0; k < s->features; k++) {
        const bool known = !isnan(o->feature[k]);
        for (int64_t i = 0; i < bins; i++) constant[i] = known ? o->feature[k] : 0;
        constant += bins;
        if (!s->feature_gaps[k]) continue;
        for (int64_t i = 0; i < bins; i++) constant[i] = known;
        constant += bins;
    }
    return outside;
}

/* ---- classes ---- */

/* The classes of PLAsTiCC; 99 is all that the training set lacks. */
static const struct {
    int64_t code;
    const char *name;
} plasticc_class[] = {{6, "mu-lens"}, {15, "TDE"},   {16, "EB"},  {42, "SNII"},    {52, "SNIax"},
                      {53, "Mira"},   {62, "SNIbc"}, {64, "KN"},  {65, "M-dwarf"}, {67, "SNIa-91bg"},
                      {88, "AGN"},    {90, "SNIa"},  {92, "RRL"}, {95, "SLSN-I"},  {99, "other"}};

static const char *class_name(Arena *perm, int64_t code, bool plasticc)
{
    for (int i = 0; plasticc && i < COUNTOF(plasticc_class); i++)
        if (plasticc_class[i].code == code)
            return arena_printf(perm, "%lld %s", (long long)code, plasticc_class[i].name);
    return arena_printf(perm, "%lld", (long long)code);
}

/* Codes of the objects that have observations, in ascending order, become 0, 1, … */
static const char *number_classes(Arena *perm, Catalogue *c, DatasetInfo *info)
{
    int64_t code[MAX_CLASSES], n = 0;
    bool plasticc = true;
    for (int64_t i = 0; i < c->count; i++) {
        if (!c->object[i].rows) continue;
        int64_t k = 0;
        while (k < n && code[k] < c->object[i].label) k++;
        if (k < n && code[k] == c->object[i].label) continue;
        if (n == MAX_CLASSES) return arena_printf(perm, "more than %d classes", MAX_CLASSES);
        memmove(code + k + 1, code + k, (size_t)(n++ - k) * sizeof *code);
        code[k] = c->object[i].label;
    }
    for (int64_t k = 0; k < n; k++) {
        bool known = false;
        for (int j = 0; j < COUNTOF(plasticc_class); j++) known |= plasticc_class[j].code == code[k];
        plasticc &= known;
    }
    info->outputs = n;
    info->output_names = NEW(perm, const char *, n + 1);
    for (int64_t k = 0; k < n; k++) info->output_names[k] = class_name(perm, code[k], plasticc);
    for (int64_t i = 0; i < c->count; i++)
        for (int64_t k = 0; k < n; k++)
            if (code[k] == c->object[i].label) {
                c->object[i].label = k;
                break;
            }
    return 0;
}

/* ---- the two passes ---- */

typedef struct {
    int64_t rows, samples, most; /* observations; objects that have any; most of one object */
    bool sorted;                 /* those of an object follow each other */
} Census;

static const char *count_observations(Observations *o, Catalogue *c, Census *t)
{
    Object *object, *before = 0;
    Observation v;
    *t = (Census){.sorted = true};
    while (next_observation(o, &object, &v)) {
        if (object != before && object->rows) t->sorted = false;
        before = object;
        t->rows++;
        if (++object->rows > t->most) t->most = object->rows;
    }
    if (o->r.why) return o->r.why;
    for (int64_t i = 0, offset = 0; i < c->count; i++) {
        Object *each = &c->object[i];
        each->offset = offset;
        offset += each->rows;
        if (each->rows) each->sample = t->samples++;
    }
    return t->samples ? 0 : arena_printf(o->perm, "%s: no observations in it", o->path[0]);
}

typedef struct {
    const Shape *shape;
    Cell *cell;
    float *data; /* (samples, channels, 1, bins) */
    int64_t values, outside;
} Canvas;

static void finish_object(Canvas *canvas, const Object *o, const Observation *v)
{
    canvas->outside += draw(canvas->shape, o, v, o->rows, canvas->cell, canvas->data + o->sample * canvas->values);
}

/* In the order of the file, one object after the other. */
static const char *fill_sorted(Observations *o, Arena scratch, const Census *t, Canvas *canvas)
{
    const char *why;
    Observation *v = dataset_memory(&scratch, t->most, sizeof *v, &why), next;
    if (!v) return arena_strdup(o->perm, why);
    Object *object, *before = 0;
    int64_t n = 0;
    while (next_observation(o, &object, &next)) {
        if (object != before && before) finish_object(canvas, before, v);
        if (object != before) n = 0;
        if (n == object->rows) return arena_printf(o->perm, "%s: the file changed while it was read", o->r.path);
        before = object;
        v[n++] = next;
    }
    if (before && !o->r.why) finish_object(canvas, before, v);
    return o->r.why;
}

/* All observations in memory, each at its object's place. */
static const char *fill_unsorted(Observations *o, Arena scratch, const Census *t, const Catalogue *c, Canvas *canvas)
{
    const char *why;
    Observation *v = dataset_memory(&scratch, t->rows, sizeof *v, &why), next;
    int64_t *have = v ? dataset_memory(&scratch, c->count, sizeof *have, &why) : 0;
    if (!have) return arena_printf(o->perm, "%s: not sorted by object, and all of it %s", o->path[0], why);
    Object *object;
    while (next_observation(o, &object, &next)) {
        int64_t k = object - c->object;
        if (have[k] == object->rows) return arena_printf(o->perm, "%s: the file changed while it was read", o->r.path);
        v[object->offset + have[k]++] = next;
    }
    if (o->r.why) return o->r.why;
    for (int64_t i = 0; i < c->count; i++)
        if (c->object[i].rows) finish_object(canvas, &c->object[i], v + c->object[i].offset);
    return 0;
}

/* ---- the format ---- */

static bool has_word(const char *head, int64_t bytes, const char *word)
{
    const char *end = memchr(head, '\n', (size_t)bytes);
    int64_t line = end ? end - head : bytes, length = (int64_t)strlen(word);
    for (int64_t i = 0; i + length <= line; i++)
        if ((!i || head[i - 1] == ',' || head[i - 1] == ' ') && !memcmp(head + i, word, (size_t)length) &&
            (i + length == line || strchr(", \r", head[i + length])))
            return true;
    return false;
}

int lightcurves_probe(const char *path, const unsigned char *head, int64_t head_bytes)
{
    (void)path;
    const char *text = (const char *)head;
    if (!has_word(text, head_bytes, "object_id")) return 0;
    if (has_word(text, head_bytes, "mjd") && has_word(text, head_bytes, "passband")) return 95;
    return has_word(text, head_bytes, "target") ? 90 : 0;
}

/* Which source is the table of objects: the one without a column of fluxes. */
static const char *find_metadata(Arena *perm, const Shape *s, const char *const *sources, int64_t n, int64_t *which)
{
    *which = -1;
    for (int64_t i = 0; i < n; i++) {
        Delimited r;
        bool opened = open_table(perm, sources[i], &r);
        bool fluxes = opened && column_of(&r, s->column_flux) >= 0;
        delimited_close(&r);
        if (!opened) return r.why;
        if (fluxes) continue;
        if (*which >= 0)
            return arena_printf(perm, "%s: no column %s, and %s has none either", sources[i], s->column_flux,
                                sources[*which]);
        *which = i;
    }
    return *which < 0 ? arena_printf(perm, "%s: all sources have a column %s: the table of objects is missing",
                                     sources[0], s->column_flux)
                      : 0;
}

static void describe(Arena *perm, const Shape *s, const Census *t, const Canvas *canvas, int64_t skipped,
                     int64_t without, DatasetInfo *info)
{
    dataset_setting(perm, info, "bins", "%lld of %g days", (long long)s->bins, s->span / (double)s->bins);
    static const char *const begin[] = {"the first observation", "the brightest one in the middle"};
    dataset_setting(perm, info, "grid", "%s",
                    s->align == ALIGN_AT ? arena_printf(perm, "from %g", s->start) : begin[s->align]);
    static const char *const scale[] = {"asinh", "object", "none"};
    dataset_setting(perm, info, "scale", s->scale == SCALE_ASINH ? "asinh(flux/%g)" : scale[s->scale], s->softening);
    dataset_setting(perm, info, "interpolation", s->interpolate ? "linear" : "none");
    Text channels = {0};
    text_addf(perm, &channels, "%lld fluxes, %lld masks", (long long)s->bands, (long long)s->bands);
    if (s->errors) text_addf(perm, &channels, ", %lld errors", (long long)s->bands);
    for (int64_t k = 0; k < s->features; k++)
        text_addf(perm, &channels, ", %s%s", s->feature[k], s->feature_gaps[k] ? " with its mask" : "");
    dataset_setting(perm, info, "channels", "%s", channels.s);
    dataset_setting(perm, info, "observations", "%lld, %s by object, %lld outside of the grid, %lld left out",
                    (long long)t->rows, t->sorted ? "sorted" : "not sorted", (long long)canvas->outside,
                    (long long)skipped);
    if (without) dataset_setting(perm, info, "objects without observations", "%lld", (long long)without);
}

/* The sample's number is its object's, if that is a number. */
static int64_t id_of(const Object *o, int64_t row)
{
    char *end = 0;
    long long v = strtoll(o->name, &end, 10);
    return end != o->name && !*end ? v : row;
}

const char *lightcurves_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                             Dataset *out)
{
    *out = (Dataset){0};
    Shape s;
    const char *why = read_options(perm, spec, &s);
    if (why) return why;
    if (n < 2) return "lightcurves: a table of objects and one or more of observations expected";
    if (*spec->task && strcmp(spec->task, "classification"))
        return arena_printf(perm, "%s: lightcurves is a classification set, not %s", sources[0], spec->task);
    int64_t metadata;
    if ((why = find_metadata(perm, &s, sources, n, &metadata))) return why;
    const char **observed = NEW(perm, const char *, n);
    int64_t files = 0;
    for (int64_t i = 0; i < n; i++)
        if (i != metadata) observed[files++] = sources[i];
    Catalogue c = {0};
    if ((why = read_objects(perm, sources[metadata], &s, &c))) return why;
    Observations first = start(perm, &s, &c, observed, files), second = first;
    Census t;
    why = count_observations(&first, &c, &t);
    if (first.open) delimited_close(&first.r);
    if (why) return why;

    DatasetInfo *info = &out->info;
    info->channels = channels_of(&s);
    info->height = 1;
    info->width = s.bins;
    info->dtype = DTYPE_F32;
    info->task = "classification";
    out->target_width = 1;
    if ((why = dataset_check_shape(perm, info->channels, 1, s.bins, DTYPE_F32)) ||
        (why = number_classes(perm, &c, info)))
        return arena_printf(perm, "%s: %s", sources[metadata], why);
    Canvas canvas = {.shape = &s, .values = info->channels * s.bins};
    float *target = dataset_memory(perm, t.samples, sizeof *target, &why);
    int64_t *id = target ? dataset_memory(perm, t.samples, sizeof *id, &why) : 0;
    int64_t *group = id ? dataset_memory(perm, t.samples, sizeof *group, &why) : 0;
    uint8_t *named = group ? dataset_memory(perm, t.samples, 1, &why) : 0;
    if (named) canvas.data = dataset_pixels(perm, t.samples, canvas.values * (int64_t)sizeof(float), &why);
    if (canvas.data) canvas.cell = dataset_memory(&scratch, s.bands * s.bins, sizeof(Cell), &why);
    if (!canvas.cell) return arena_printf(perm, "%s: %s", sources[metadata], why);
    why = t.sorted ? fill_sorted(&second, scratch, &t, &canvas) : fill_unsorted(&second, scratch, &t, &c, &canvas);
    if (second.open) delimited_close(&second.r);
    if (why) return why;
    for (int64_t i = 0; i < c.count; i++) {
        const Object *o = &c.object[i];
        if (!o->rows) continue;
        target[o->sample] = (float)o->label;
        id[o->sample] = id_of(o, i);
        group[o->sample] = s.column_group ? o->group : i; /* one sample an object, and a group of its own */
        named[o->sample] = o->split;
    }
    info->name = "lightcurves";
    Text source = {0};
    text_add(perm, &source, "lightcurves");
    for (int64_t i = 0; i < n; i++) text_addf(perm, &source, " %s", sources[i]);
    info->source = source.s;
    out->split[SPLIT_TRAIN] = (SplitData){.count = t.samples,
                                          .data = canvas.data,
                                          .targets = target,
                                          .ids = id,
                                          .groups = group,
                                          .named = s.column_split ? named : 0};
    describe(perm, &s, &t, &canvas, second.skipped, c.count - t.samples, info);
    return 0;
}
