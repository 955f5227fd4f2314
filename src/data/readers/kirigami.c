/* kirigami: sheets with cuts, and how far they stretch before they break, as images of 1 (sheet) and 0 (cut).
 *
 * graphene  15grid_shuffled.dat of phanakata/ML_for_kirigami_design (Hanakata et al. 2018, PRL 121, 255304): a row a
 *           design, 18 numbers: 3x5 cells row by row, 1 whole, 0 cut; yield strain, toughness, yield stress. Cell (I, J) is
 *           rows 10I to 10I+9 and columns 16J to 16J+15 of a 30x80 image; its cut is rows 10I+4 to 10I+6, all columns.
 * mos2      two files of rajak7/RL_kirigami: "id, ((x, length), … four)", and "id initial broken stress" (in Å, Å and GPa). In
 *           a box of 200x200, cut k is 10 wide around y = 50 (k + 1/2), from x to x + length, wrapping around. A pixel is
 *           cut if its centre is. Fracture strain = 100 (broken - initial) / initial, in percent.
 *
 * Symmetric copies, which a random split puts on both sides: graphene sheets that are mirror images of each other, left
 * to right or top to bottom. MoS2 sheets repeat along y: the rows of cuts may be rotated and reversed. In the 28,561
 * sheets such copies differ in strain by 5 % of its variance, in stress by 0.3 %; a shift along x, by 29 % and 5 %, is
 * none.
 */
#include <math.h>
#include <string.h>

#include "data/readers/delimited.h"
#include "data/readers/formats.h"

enum {
    CELL_ROWS = 3,
    CELL_COLUMNS = 5,
    CELLS = CELL_ROWS * CELL_COLUMNS,
    GRAPHENE_FIELDS = CELLS + 3,
    CELL_HEIGHT = 10,
    CELL_WIDTH = 16,
    CUT_FIRST = 4, /* rows of a cell that are cut: 10/3 < row < 20/3 */
    CUT_LAST = 6,
    CUTS = 4, /* of a MoS2 sheet */
    MAX_TARGETS = 8,
    MAX_ROWS = 10000000
};
static const double box = 200, cut_width = 10;

typedef struct {
    int64_t height, width, pad; /* of the drawing; rows of zeros above and below it */
    bool coarse;
    int64_t targets, column[MAX_TARGETS]; /* of what a design has */
    int64_t count, room;
    uint8_t *x;
    float *y;
    int64_t *copies, *ids;
} Sheets;

static const char *const graphene_target[] = {"strain", "toughness", "stress"};
static const char *const mos2_target[] = {"strain", "stress"};

/* target=strain,stress: columns of the values that a design has. */
static const char *choose_targets(Arena *perm, const IngestSpec *spec, const char *const *known, int64_t count,
                                  Sheets *s, DatasetInfo *info)
{
    const char *list = reader_option(spec, "target");
    if (!list) list = "strain";
    info->output_names = NEW(perm, const char *, MAX_TARGETS);
    for (const char *p = list;; p++) {
        int64_t length = (int64_t)strcspn(p, ","), k = 0;
        while (k < count && ((int64_t)strlen(known[k]) != length || memcmp(known[k], p, (size_t)length))) k++;
        if (k == count || s->targets == count) {
            Text all = {0};
            for (k = 0; k < count; k++) text_addf(perm, &all, "%s%s", k ? ", " : "", known[k]);
            return arena_printf(perm, "option target=%s: one or more of %s expected", list, all.s);
        }
        info->output_names[s->targets] = known[k];
        s->column[s->targets++] = k;
        p += length;
        if (!*p) return 0;
    }
}

/* Room for one more design: columns that double, so that the file is read once. */
static const char *grow(Arena *perm, const char *path, Sheets *s)
{
    if (s->count < s->room) return 0;
    if (s->count >= MAX_ROWS) return arena_printf(perm, "%s: more than %d designs", path, MAX_ROWS);
    const int64_t room = s->room ? 2 * s->room : 4096, pixels = (s->height + 2 * s->pad) * s->width;
    const char *why;
    uint8_t *x = dataset_memory(perm, room, pixels, &why);
    float *y = x ? dataset_memory(perm, room * s->targets, sizeof *y, &why) : 0;
    int64_t *copies = y ? dataset_memory(perm, room, sizeof *copies, &why) : 0;
    int64_t *ids = copies ? dataset_memory(perm, room, sizeof *ids, &why) : 0;
    if (!ids) return arena_printf(perm, "%s: %s", path, why);
    if (s->count) {
        memcpy(x, s->x, (size_t)(s->count * pixels));
        memcpy(y, s->y, (size_t)(s->count * s->targets) * sizeof *y);
        memcpy(copies, s->copies, (size_t)s->count * sizeof *copies);
        memcpy(ids, s->ids, (size_t)s->count * sizeof *ids);
    }
    s->x = x, s->y = y, s->copies = copies, s->ids = ids, s->room = room;
    return 0;
}

/* ---- graphene ---- */

/* The smallest number that the cells and their mirror images make: equal for symmetric copies. */
static int64_t graphene_form(const uint8_t *cell)
{
    int64_t least = INT64_MAX;
    for (int view = 0; view < 4; view++) {
        int64_t number = 0;
        for (int i = 0; i < CELL_ROWS; i++)
            for (int j = 0; j < CELL_COLUMNS; j++) {
                int row = view & 2 ? CELL_ROWS - 1 - i : i, column = view & 1 ? CELL_COLUMNS - 1 - j : j;
                number = 2 * number + cell[row * CELL_COLUMNS + column];
            }
        if (number < least) least = number;
    }
    return least;
}

static void graphene_draw(const Sheets *s, const uint8_t *cell, uint8_t *x)
{
    if (s->coarse) {
        memcpy(x, cell, CELLS);
        return;
    }
    for (int64_t r = 0; r < s->height; r++)
        for (int64_t c = 0; c < s->width; c++) {
            bool cut_row = r % CELL_HEIGHT >= CUT_FIRST && r % CELL_HEIGHT <= CUT_LAST;
            x[r * s->width + c] = !cut_row || cell[r / CELL_HEIGHT * CELL_COLUMNS + c / CELL_WIDTH];
        }
}

static const char *graphene_read(Arena *perm, const char *path, Sheets *s)
{
    Delimited r;
    double v[GRAPHENE_FIELDS] = {0};
    const char *why = 0;
    if (!delimited_open(perm, perm, path, DELIMITED_BLANKS, &r)) return r.why;
    r.comment = '#';
    while (!why && delimited_next(&r)) {
        if (r.fields != GRAPHENE_FIELDS)
            delimited_fail(&r, "%lld numbers: 18 expected (15 cells, strain, toughness, stress)", (long long)r.fields);
        for (int i = 0; i < GRAPHENE_FIELDS && !r.why; i++) {
            delimited_number(&r, i, i < CELLS ? "a cell" : graphene_target[i - CELLS], &v[i]);
            if (i < CELLS && v[i] != 0 && v[i] != 1) delimited_fail(&r, "cell %d is %g: 0 or 1 expected", i + 1, v[i]);
            if (fabs(v[i]) > 1e30) delimited_fail(&r, "%g: absurd", v[i]);
        }
        if (r.why || (why = grow(perm, path, s))) break;
        uint8_t cell[CELLS];
        for (int i = 0; i < CELLS; i++) cell[i] = v[i] == 1;
        graphene_draw(s, cell, s->x + s->count * (s->height + 2 * s->pad) * s->width + s->pad * s->width);
        for (int64_t k = 0; k < s->targets; k++) s->y[s->count * s->targets + k] = (float)v[CELLS + s->column[k]];
        s->copies[s->count] = graphene_form(cell);
        s->ids[s->count] = s->count;
        s->count++;
    }
    delimited_close(&r);
    return why ? why : r.why;
}

/* ---- MoS2 ---- */

typedef struct {
    double start, length;
} Cut;

/* The fields of "(0.0", "25.3139)", …: a number between brackets. */
static bool bare_number(Delimited *r, int64_t i, const char *name, double *to)
{
    if (i < r->fields) {
        char *p = (char *)r->field[i], *end = p + strlen(p);
        while (*p == '(' || *p == ' ') p++;
        while (end > p && (end[-1] == ')' || end[-1] == ' ')) *--end = 0;
        r->field[i] = p;
    }
    return delimited_number(r, i, name, to);
}

/* A hash of the smallest of the orders that rotation and reversal of the rows of cuts give. */
static int64_t mos2_form(const Cut *cut)
{
    Cut least[CUTS] = {{0}};
    for (int view = 0; view < 2 * CUTS; view++) {
        Cut seen[CUTS];
        for (int k = 0; k < CUTS; k++)
            seen[k] = cut[view < CUTS ? (k + view) % CUTS : (2 * CUTS - 1 - k + view) % CUTS];
        int order = 0;
        for (int k = 0; k < CUTS && !order; k++) {
            order = (seen[k].start > least[k].start) - (seen[k].start < least[k].start);
            if (!order) order = (seen[k].length > least[k].length) - (seen[k].length < least[k].length);
        }
        if (!view || order < 0) memcpy(least, seen, sizeof least);
    }
    return (int64_t)dataset_hash(0, least, sizeof least);
}

static void mos2_draw(const Sheets *s, const Cut *cut, uint8_t *x)
{
    memset(x, 1, (size_t)(s->height * s->width));
    for (int64_t r = 0; r < s->height; r++) {
        const double y = ((double)r + 0.5) * box / (double)s->height;
        const int k = (int)(y * CUTS / box);
        if (fabs(y - (k + 0.5) * box / CUTS) > cut_width / 2) continue;
        for (int64_t c = 0; c < s->width; c++) {
            double from = ((double)c + 0.5) * box / (double)s->width - cut[k].start;
            from -= box * floor(from / box);
            if (from < cut[k].length) x[r * s->width + c] = 0;
        }
    }
}

/* One design of each file, the ids of both being equal. */
static void mos2_row(Delimited *a, Delimited *b, Cut *cut, double *id, double *value)
{
    double other = 0, initial = 0, broken = 0, stress = 0;
    if (a->fields != 1 + 2 * CUTS) delimited_fail(a, "%lld numbers: 9 expected (id, four cuts)", (long long)a->fields);
    delimited_number(a, 0, "id", id);
    for (int k = 0; k < CUTS; k++) {
        bare_number(a, 1 + 2 * k, "the start of a cut", &cut[k].start);
        bare_number(a, 2 + 2 * k, "the length of a cut", &cut[k].length);
        if (!a->why && !(cut[k].start >= 0 && cut[k].start <= box && cut[k].length >= 0 && cut[k].length <= box))
            delimited_fail(a, "a cut from %g of length %g: 0 to %g expected", cut[k].start, cut[k].length, box);
    }
    if (b->fields != 4)
        delimited_fail(b, "%lld numbers: 4 expected (id, initial length, broken length, stress)", (long long)b->fields);
    delimited_number(b, 0, "id", &other);
    delimited_number(b, 1, "initial length", &initial);
    delimited_number(b, 2, "broken length", &broken);
    delimited_number(b, 3, "stress", &stress);
    if (a->why || b->why) return;
    if (*id != other)
        delimited_fail(b, "id %.0f, but line %lld of %s has %.0f", other, (long long)a->line, a->path, *id);
    if (!(fabs(*id) < 1e15 && *id == floor(*id))) delimited_fail(a, "id %g: a whole number expected", *id);
    if (!(initial > 0 && broken < 1e9 && broken > -1e9 && fabs(stress) < 1e9))
        delimited_fail(b, "lengths %g and %g, stress %g: absurd", initial, broken, stress);
    value[0] = 100 * (broken - initial) / initial;
    value[1] = stress;
}

static const char *mos2_read(Arena *perm, const char *designs, const char *results, Sheets *s)
{
    Delimited a, b = {0};
    const char *why = 0;
    if (!delimited_open(perm, perm, designs, ',', &a)) return a.why;
    delimited_open(perm, perm, results, DELIMITED_BLANKS, &b);
    a.comment = b.comment = '#';
    while (!why && !b.why) {
        bool more = delimited_next(&a), other = delimited_next(&b);
        if (a.why || b.why) break;
        if (more != other) delimited_fail(more ? &b : &a, "ends before %s does", more ? designs : results);
        if (!more || !other) break;
        Cut cut[CUTS] = {{0}};
        double id = 0, value[COUNTOF(mos2_target)] = {0};
        mos2_row(&a, &b, cut, &id, value);
        if (a.why || b.why || (why = grow(perm, designs, s))) break;
        mos2_draw(s, cut, s->x + (s->count * (s->height + 2 * s->pad) + s->pad) * s->width);
        for (int64_t k = 0; k < s->targets; k++) s->y[s->count * s->targets + k] = (float)value[s->column[k]];
        s->copies[s->count] = mos2_form(cut);
        s->ids[s->count] = (int64_t)id;
        s->count++;
    }
    delimited_close(&a);
    delimited_close(&b);
    return why ? why : a.why ? a.why : b.why;
}

/* ---- the format ---- */

static bool starts_like_mos2(const char *text, int64_t bytes)
{
    static const char mark[] = "structure_ID";
    return memmem(text, (size_t)(bytes < 80 ? bytes : 80), mark, sizeof mark - 1) != 0;
}

/* 15 zeros and ones, then three numbers, and the end of the line. */
static bool starts_like_graphene(const char *text, int64_t bytes)
{
    int64_t at = 0, fields = 0;
    for (;; fields++) {
        while (at < bytes && (text[at] == ' ' || text[at] == '\t')) at++;
        if (at == bytes || text[at] == '\n' || text[at] == '\r') break;
        int64_t begin = at;
        while (at < bytes && text[at] > ' ' && strchr("0123456789.eE+-", text[at])) at++;
        if (at == begin) return false;
        if (fields < CELLS && text[begin] != '0' && text[begin] != '1') return false;
    }
    return at < bytes && fields == GRAPHENE_FIELDS;
}

int kirigami_probe(const char *path, const unsigned char *head, int64_t head_bytes)
{
    (void)path;
    const char *text = (const char *)head;
    return starts_like_mos2(text, head_bytes) || starts_like_graphene(text, head_bytes) ? 90 : 0;
}

const char *kirigami_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                          Dataset *out)
{
    (void)scratch;
    *out = (Dataset){0};
    DatasetInfo *info = &out->info;
    Sheets s = {.height = CELL_ROWS * CELL_HEIGHT, .width = CELL_COLUMNS * CELL_WIDTH};
    const char *why = reader_option_check(perm, spec, "kirigami", "target raster height width pad");
    if (why) return why;
    if (n != 1 && n != 2) return "kirigami: a table of graphene sheets, or MoS2 DESIGNS RESULTS expected";
    if (*spec->task && strcmp(spec->task, "regression"))
        return arena_printf(perm, "%s: kirigami is a regression set, not %s", sources[0], spec->task);
    const bool mos2 = n == 2;
    if (mos2)
        why = choose_targets(perm, spec, mos2_target, COUNTOF(mos2_target), &s, info);
    else
        why = choose_targets(perm, spec, graphene_target, COUNTOF(graphene_target), &s, info);
    if (why) return why;
    const char *raster = reader_option(spec, "raster");
    s.coarse = raster && !strcmp(raster, "coarse");
    if (raster && !s.coarse && strcmp(raster, "fine"))
        return arena_printf(perm, "option raster=%s: fine or coarse expected", raster);
    if (mos2 && raster) return "option raster: for graphene; MoS2 sheets take height and width";
    if (!mos2 && (reader_option(spec, "height") || reader_option(spec, "width")))
        return "option height, width: for MoS2; graphene sheets take raster=fine or coarse";
    if (mos2) s.height = s.width = 40;
    if (s.coarse) s.height = CELL_ROWS, s.width = CELL_COLUMNS;
    if ((why = reader_option_int(perm, spec, "height", 20, 1000, &s.height)) ||
        (why = reader_option_int(perm, spec, "width", 10, 1000, &s.width)) ||
        (why = reader_option_int(perm, spec, "pad", 0, 100, &s.pad)))
        return why;

    why = mos2 ? mos2_read(perm, sources[0], sources[1], &s) : graphene_read(perm, sources[0], &s);
    if (why) return why;
    if (!s.count) return arena_printf(perm, "%s: no designs in it", sources[0]);
    info->name = mos2 ? "mos2-kirigami" : "graphene-kirigami";
    info->source = mos2 ? arena_printf(perm, "kirigami %s %s", sources[0], sources[1])
                        : arena_printf(perm, "kirigami %s", sources[0]);
    info->task = "regression";
    info->channels = 1;
    info->height = s.height + 2 * s.pad;
    info->width = s.width;
    info->outputs = out->target_width = s.targets;
    info->dtype = DTYPE_U8;
    out->split[SPLIT_TRAIN] =
        (SplitData){.count = s.count, .data = s.x, .targets = s.y, .ids = s.ids, .copies = s.copies};
    return 0;
}
