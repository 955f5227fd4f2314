/* problem: families of problems, the table of the 116, what is wrong with one from outside. */
#include "structure/problem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- families ---- */

typedef struct {
    int64_t W, H;
    uint8_t *mask, *fixed;
    double *load;
    double parameter;
    const char *outside; /* what was put outside the grid, or 0 */
} Build;

enum { X = 1, Y = 2, BOTH = X | Y };

static int64_t nearest(double v)
{
    return (int64_t)rint(v);
}

static bool inside(Build *b, int64_t x, int64_t y, const char *what)
{
    if (x >= 0 && x <= b->W && y >= 0 && y <= b->H) return true;
    b->outside = what;
    return false;
}

static int64_t dof(const Build *b, int64_t x, int64_t y)
{
    return 2 * (x * (b->H + 1) + y);
}

static void fix(Build *b, int64_t x, int64_t y, int axes)
{
    if (!inside(b, x, y, "a support")) return;
    if (axes & X) b->fixed[dof(b, x, y)] = 1;
    if (axes & Y) b->fixed[dof(b, x, y) + 1] = 1;
}

static void force(Build *b, int64_t x, int64_t y, double fx, double fy)
{
    if (!inside(b, x, y, "a load")) return;
    b->load[dof(b, x, y)] += fx;
    b->load[dof(b, x, y) + 1] += fy;
}

static void fix_column(Build *b, int64_t x, int axes)
{
    for (int64_t y = 0; y <= b->H; y++) fix(b, x, y, axes);
}

static void fix_row(Build *b, int64_t y, int axes)
{
    for (int64_t x = 0; x <= b->W; x++) fix(b, x, y, axes);
}

/* The load 1 spread over a row of nodes; each of the W + 1 takes 1 / W, as published. */
static void force_row(Build *b, int64_t y)
{
    for (int64_t x = 0; x <= b->W; x++) force(b, x, y, 0, -1 / (double)b->W);
}

/* Elements of rows from r0 and columns c0…c1-1, up to row r1-1, stay empty. */
static void leave_empty(Build *b, int64_t r0, int64_t r1, int64_t c0, int64_t c1)
{
    for (int64_t r = r0; r < r1 && r < b->H; r++)
        for (int64_t c = c0; c < c1 && c < b->W; c++) b->mask[r * b->W + c] = 0;
}

static void mbb_beam(Build *b)
{
    fix_column(b, 0, X);
    fix(b, b->W, b->H, Y);
    force(b, 0, 0, 0, -1);
}

static void cantilever_beam_full(Build *b)
{
    fix_column(b, 0, BOTH);
    force(b, b->W, b->H, 0, -1);
}

static void cantilever_beam_two_point(Build *b)
{
    fix(b, 0, nearest(0.75 * (double)b->H), BOTH);
    fix(b, 0, nearest(0.25 * (double)b->H), BOTH);
    force(b, b->W, nearest((double)b->H / 2), 0, -1);
}

static void pure_bending_moment(Build *b)
{
    const int64_t low = nearest(0.55 * (double)b->H), high = nearest(0.45 * (double)b->H);
    fix_column(b, b->W, X);
    fix(b, 0, low, Y);
    fix(b, 0, high, Y);
    force(b, 0, low, 1, 0);
    force(b, 0, high, -1, 0);
}

static void ground_structure(Build *b)
{
    fix_column(b, b->W, X);
    fix(b, 0, b->H, BOTH);
    force(b, nearest((double)b->H / 2), b->H, 0, -1);
}

static void michell_centered_both(Build *b)
{
    fix_column(b, b->W, X);
    fix(b, nearest(0.05 * (double)b->W), nearest((double)b->H / 2), Y);
    force(b, b->W, nearest((double)b->H / 2), 0, -1);
}

static void michell_centered_below(Build *b)
{
    fix_column(b, b->W, X);
    fix(b, nearest(0.25 * (double)b->W), 0, Y);
    force(b, b->W, 0, 0, -1);
}

/* parameter: thickness of both arms, as part of the side; the block at the upper right is empty. */
static void l_shape(Build *b)
{
    const double a = b->parameter;
    for (int64_t x = 0; x < nearest(a * (double)b->W); x++) fix(b, x, 0, BOTH);
    force(b, b->W, nearest((1 - a / 2) * (double)b->H), 0, -1);
    leave_empty(b, 0, nearest((double)b->W * (1 - a)), nearest((double)b->H * a), b->W);
}

static void crane(Build *b)
{
    fix_row(b, b->H, BOTH);
    force(b, nearest(0.9 * (double)b->W), b->H / 2 + 2, 0, -1);
    leave_empty(b, b->H / 2 + 2, b->H, b->W / 2, b->W);
}

static void center_support(Build *b)
{
    fix_column(b, b->W, X);
    fix(b, b->W, b->H, Y);
    force_row(b, 0);
}

static void column(Build *b)
{
    fix_column(b, b->W, X);
    fix_row(b, b->H, Y);
    force_row(b, 0);
}

static void roof(Build *b)
{
    fix_column(b, 0, X);
    column(b);
}

/* parameter: height of the deck, as part of H. */
static void causeway_bridge(Build *b)
{
    fix_column(b, 0, X);
    fix_column(b, b->W, X);
    fix(b, b->W, b->H, Y);
    force_row(b, nearest((double)b->H * (1 - b->parameter)));
}

static void two_level_bridge(Build *b)
{
    const double each = -1 / (2 * (double)b->W);
    fix_column(b, 0, X);
    fix_column(b, b->W, X);
    fix(b, 0, b->H, BOTH);
    for (int64_t x = 0; x <= b->W; x++) { /* along both axes, as published */
        force(b, x, nearest(0.4 * (double)b->H), each, each);
        force(b, x, nearest(0.6 * (double)b->H), each, each);
    }
}

/* parameter: the part of the width that is held from below. */
static void suspended_bridge(Build *b, int axes)
{
    fix_column(b, b->W, X);
    for (int64_t x = 0; x < nearest(b->parameter * (double)b->W); x++) fix(b, x, b->H, axes);
    force_row(b, b->H);
}

static void free_suspended_bridge(Build *b)
{
    suspended_bridge(b, Y);
}

static void anchored_suspended_bridge(Build *b)
{
    suspended_bridge(b, BOTH);
}

static void canyon_bridge(Build *b)
{
    fix_column(b, b->W, BOTH);
    fix_column(b, 0, X);
    force_row(b, 0);
}

/* A deck of a quarter of the height on a leg of a quarter of the width, at the right. */
static void thin_support_bridge(Build *b)
{
    roof(b);
    leave_empty(b, b->H / 4, b->H, 0, 3 * b->W / 4);
}

static void drawbridge(Build *b)
{
    fix_column(b, 0, BOTH);
    force_row(b, b->H);
}

static void cover(Build *b, int64_t dx, int64_t dy, double coverage)
{
    if (dx > 0 || !inside(b, b->W + dx, b->W + dy, "a load")) return;
    b->load[dof(b, b->W + dx, b->W + dy) + 1] = -coverage / (2 * M_PI * (double)b->W);
}

/* An anti-aliased circle (Wu 1991, "An efficient antialiasing technique") of radius W around (W, W), its left half; where
 * the rounds write a node twice, the later coverage counts. */
static void hoop(Build *b)
{
    const int64_t r = b->W;
    fix_column(b, b->W, X);
    fix_row(b, b->H, Y);
    cover(b, -r, 0, 1);
    cover(b, 0, r, 1);
    cover(b, 0, -r, 1);
    for (int64_t c = 0, q = r; q > c + 1;) {
        c++;
        const double t = sqrt((double)(r * r - c * c));
        q = (int64_t)ceil(t);
        const double d = (double)q - t;
        for (int s = 0; s < 4; s++) {
            const int64_t u = s & 1 ? -1 : 1, v = s & 2 ? -1 : 1;
            cover(b, u * q, v * c, 1 - d);
            cover(b, u * (q - 1), v * c, d);
            cover(b, u * c, v * q, 1 - d);
            cover(b, u * c, v * (q - 1), d);
        }
    }
}

/* Water against the left edge: the load grows with depth. */
static void dam(Build *b)
{
    const double H = (double)b->H;
    fix_row(b, b->H, BOTH);
    for (int64_t y = 0; y <= b->H; y++) force(b, 0, y, 2 * (double)(y + 1) / (H * H), 0);
}

/* parameter: storeys. Straight flights, to the right and back, as anti-aliased lines: a node takes 1 - its distance. Where
 * two flights meet, the larger counts. */
static void staircase(Build *b)
{
    const int64_t n = (int64_t)b->parameter;
    fix_row(b, b->H, BOTH);
    for (int64_t s = 0; s < n; s++) {
        const int64_t from = (s + s % 2) * b->H / n, to = (s + 1 - s % 2) * b->H / n;
        const double dx = (double)b->W, dy = (double)(to - from);
        for (int64_t x = 0; x <= b->W; x++)
            for (int64_t y = from < to ? from : to; y <= (from < to ? to : from); y++) {
                const double distance = fabs(dx * (double)(y - from) - dy * (double)x) / sqrt(dx * dx + dy * dy);
                double *at = &b->load[dof(b, x, y) + 1];
                *at = fmin(*at, -fmax(0, 1 - distance) / (double)(b->W * n));
            }
    }
}

/* parameter: the interval between points. */
static void staggered_points(Build *b)
{
    const int64_t step = (int64_t)b->parameter;
    const double each = -(double)(step * step) / (double)(b->W * b->H);
    fix_column(b, 0, X);
    fix_column(b, b->W, X);
    fix_row(b, b->H, Y);
    for (int64_t x = 0; x <= b->W; x += step)
        for (int64_t y = step / 2; y <= b->H; y += step) force(b, x, y, 0, each);
    for (int64_t x = step / 2; x <= b->W; x += step)
        for (int64_t y = 0; y <= b->H; y += step) force(b, x, y, 0, each);
}

/* parameter: the interval between floors; 0: a quarter of the height. */
static void multistory_building(Build *b)
{
    const int64_t step = b->parameter > 0 ? (int64_t)b->parameter : b->H / 4;
    fix_column(b, b->W, X);
    fix_row(b, b->H, Y);
    for (int64_t y = 0; y <= b->H && step > 0; y += step) force_row(b, y);
}

static const struct {
    const char *name;
    void (*build)(Build *b);
    double parameter;
} family_table[] = {
    {"mbb_beam", mbb_beam, 0},
    {"cantilever_beam_full", cantilever_beam_full, 0},
    {"cantilever_beam_two_point", cantilever_beam_two_point, 0},
    {"pure_bending_moment", pure_bending_moment, 0},
    {"ground_structure", ground_structure, 0},
    {"michell_centered_both", michell_centered_both, 0},
    {"michell_centered_below", michell_centered_below, 0},
    {"l_shape_0.2", l_shape, 0.2},
    {"l_shape_0.4", l_shape, 0.4},
    {"crane", crane, 0},
    {"center_support", center_support, 0},
    {"column", column, 0},
    {"roof", roof, 0},
    {"causeway_bridge_top", causeway_bridge, 1},
    {"causeway_bridge_middle", causeway_bridge, 0.5},
    {"causeway_bridge_low", causeway_bridge, 0.3},
    {"two_level_bridge", two_level_bridge, 0},
    {"free_suspended_bridge", free_suspended_bridge, 0.2},
    {"anchored_suspended_bridge", anchored_suspended_bridge, 0.1},
    {"canyon_bridge", canyon_bridge, 0},
    {"thin_support_bridge", thin_support_bridge, 0},
    {"drawbridge", drawbridge, 0},
    {"hoop", hoop, 0},
    {"dam", dam, 0},
    {"ramp", staircase, 1},
    {"staircase", staircase, 3},
    {"staggered_points", staggered_points, 16},
    {"multistory_building", multistory_building, 0},
};
_Static_assert(COUNTOF(family_table) == PROBLEM_FAMILIES, "families");

const ProblemRow problem_table[PROBLEM_COUNT] = {
    {"mbb_beam", 96, 32, 0.5},
    {"mbb_beam", 192, 64, 0.4},
    {"mbb_beam", 384, 128, 0.3},
    {"mbb_beam", 192, 32, 0.5},
    {"mbb_beam", 384, 64, 0.4},
    {"cantilever_beam_full", 96, 32, 0.4},
    {"cantilever_beam_full", 192, 64, 0.3},
    {"cantilever_beam_full", 384, 128, 0.2},
    {"cantilever_beam_full", 384, 128, 0.15},
    {"cantilever_beam_two_point", 64, 48, 0.4},
    {"cantilever_beam_two_point", 128, 96, 0.3},
    {"cantilever_beam_two_point", 256, 192, 0.2},
    {"cantilever_beam_two_point", 256, 192, 0.15},
    {"pure_bending_moment", 32, 64, 0.15},
    {"pure_bending_moment", 64, 128, 0.125},
    {"pure_bending_moment", 128, 256, 0.1},
    {"ground_structure", 64, 64, 0.12},
    {"ground_structure", 128, 128, 0.1},
    {"ground_structure", 256, 256, 0.07},
    {"ground_structure", 256, 256, 0.05},
    {"michell_centered_both", 32, 64, 0.12},
    {"michell_centered_both", 64, 128, 0.12},
    {"michell_centered_both", 128, 256, 0.12},
    {"michell_centered_both", 128, 256, 0.06},
    {"michell_centered_below", 64, 64, 0.12},
    {"michell_centered_below", 128, 128, 0.12},
    {"michell_centered_below", 256, 256, 0.12},
    {"michell_centered_below", 256, 256, 0.06},
    {"l_shape_0.2", 64, 64, 0.4},
    {"l_shape_0.2", 128, 128, 0.3},
    {"l_shape_0.2", 256, 256, 0.2},
    {"l_shape_0.4", 64, 64, 0.4},
    {"l_shape_0.4", 128, 128, 0.3},
    {"l_shape_0.4", 256, 256, 0.2},
    {"crane", 64, 64, 0.3},
    {"crane", 128, 128, 0.2},
    {"crane", 256, 256, 0.15},
    {"crane", 256, 256, 0.1},
    {"center_support", 64, 64, 0.15},
    {"center_support", 128, 128, 0.1},
    {"center_support", 256, 256, 0.1},
    {"center_support", 256, 256, 0.05},
    {"column", 32, 128, 0.3},
    {"column", 64, 256, 0.3},
    {"column", 128, 512, 0.1},
    {"column", 128, 512, 0.3},
    {"column", 128, 512, 0.5},
    {"roof", 64, 64, 0.2},
    {"roof", 128, 128, 0.15},
    {"roof", 256, 256, 0.4},
    {"roof", 256, 256, 0.2},
    {"roof", 256, 256, 0.1},
    {"causeway_bridge_top", 64, 64, 0.3},
    {"causeway_bridge_top", 128, 128, 0.2},
    {"causeway_bridge_top", 256, 256, 0.1},
    {"causeway_bridge_top", 128, 64, 0.3},
    {"causeway_bridge_top", 256, 128, 0.2},
    {"causeway_bridge_middle", 64, 64, 0.12},
    {"causeway_bridge_middle", 128, 128, 0.1},
    {"causeway_bridge_middle", 256, 256, 0.08},
    {"causeway_bridge_low", 64, 64, 0.12},
    {"causeway_bridge_low", 128, 128, 0.1},
    {"causeway_bridge_low", 256, 256, 0.08},
    {"two_level_bridge", 64, 64, 0.2},
    {"two_level_bridge", 128, 128, 0.16},
    {"two_level_bridge", 256, 256, 0.12},
    {"free_suspended_bridge", 64, 64, 0.15},
    {"free_suspended_bridge", 128, 128, 0.1},
    {"free_suspended_bridge", 256, 256, 0.075},
    {"free_suspended_bridge", 256, 256, 0.05},
    {"anchored_suspended_bridge", 64, 64, 0.15},
    {"anchored_suspended_bridge", 128, 128, 0.1},
    {"anchored_suspended_bridge", 256, 256, 0.075},
    {"anchored_suspended_bridge", 256, 256, 0.05},
    {"canyon_bridge", 64, 64, 0.16},
    {"canyon_bridge", 128, 128, 0.12},
    {"canyon_bridge", 256, 256, 0.1},
    {"canyon_bridge", 256, 256, 0.05},
    {"thin_support_bridge", 64, 64, 0.3},
    {"thin_support_bridge", 128, 128, 0.2},
    {"thin_support_bridge", 256, 256, 0.15},
    {"thin_support_bridge", 256, 256, 0.1},
    {"drawbridge", 64, 64, 0.2},
    {"drawbridge", 128, 128, 0.15},
    {"drawbridge", 256, 256, 0.1},
    {"hoop", 32, 64, 0.25},
    {"hoop", 64, 128, 0.2},
    {"hoop", 128, 256, 0.15},
    {"dam", 64, 64, 0.2},
    {"dam", 128, 128, 0.15},
    {"dam", 256, 256, 0.05},
    {"dam", 256, 256, 0.1},
    {"dam", 256, 256, 0.2},
    {"ramp", 64, 64, 0.3},
    {"ramp", 128, 128, 0.2},
    {"ramp", 256, 256, 0.2},
    {"ramp", 256, 256, 0.1},
    {"staircase", 64, 64, 0.3},
    {"staircase", 128, 128, 0.2},
    {"staircase", 256, 256, 0.15},
    {"staircase", 128, 512, 0.15, 6},
    {"staggered_points", 64, 64, 0.3},
    {"staggered_points", 128, 128, 0.3},
    {"staggered_points", 256, 256, 0.3},
    {"staggered_points", 256, 256, 0.5},
    {"staggered_points", 64, 128, 0.3},
    {"staggered_points", 128, 256, 0.3},
    {"staggered_points", 32, 128, 0.3},
    {"staggered_points", 64, 256, 0.3},
    {"staggered_points", 128, 512, 0.3},
    {"staggered_points", 128, 512, 0.15, 32},
    {"multistory_building", 32, 64, 0.5},
    {"multistory_building", 64, 128, 0.4},
    {"multistory_building", 128, 256, 0.3},
    {"multistory_building", 128, 512, 0.25, 64},
    {"multistory_building", 128, 512, 0.2},
};

/* ---- by name ---- */

const char *problem_name(Arena *perm, const ProblemRow *row)
{
    return arena_printf(perm, "%s_%lldx%lld_%.15g", row->family, (long long)row->W, (long long)row->H, row->density);
}

int64_t problem_designable(const Problem *p)
{
    int64_t n = 0;
    for (int64_t i = 0; i < p->W * p->H; i++) n += p->mask[i];
    return n;
}

const char *problem_check_size(Arena *perm, int64_t W, int64_t H, double density)
{
    if (W < 1 || H < 1 || W > PROBLEM_MAX_SIDE || H > PROBLEM_MAX_SIDE || W * H > PROBLEM_MAX_ELEMENTS)
        return arena_printf(perm, "a grid of %lldx%lld elements: sides from 1 to %d and at most %d elements expected",
                            (long long)W, (long long)H, PROBLEM_MAX_SIDE, PROBLEM_MAX_ELEMENTS);
    if (W * H == 1) return "a grid of one element: there is nothing to design";
    if (!(density > 0 && density < 1))
        return arena_printf(perm, "density %g: a number between 0 and 1 expected", density);
    return 0;
}

/* Splits FAMILY_WxH_DENSITY; `family` is the row of family_table. */
static const char *parse(Arena *perm, const char *name, int64_t *family, int64_t *W, int64_t *H, double *density)
{
    ptrdiff_t longest = 0;
    for (int64_t i = 0; i < PROBLEM_FAMILIES; i++) {
        const ptrdiff_t n = (ptrdiff_t)strlen(family_table[i].name);
        if (n <= longest || strncmp(name, family_table[i].name, (size_t)n) || name[n] != '_') continue;
        longest = n;
        *family = i;
    }
    if (!longest) return arena_printf(perm, "problem %s: of no known family", name);
    char *end;
    const char *at = name + longest + 1;
    *W = strtoll(at, &end, 10);
    bool good = end > at && *end == 'x';
    if (good) *H = strtoll(at = end + 1, &end, 10), good = end > at && *end == '_';
    if (good) *density = strtod(at = end + 1, &end), good = end > at && !*end;
    return good ? 0 : arena_printf(perm, "problem %s: FAMILY_WIDTHxHEIGHT_DENSITY expected", name);
}

const char *problem_find(Arena *perm, const char *name, Problem *out)
{
    int64_t family = 0, W = 0, H = 0;
    double density = 0;
    const char *why = parse(perm, name, &family, &W, &H, &density);
    if (why) return why;
    if ((why = problem_check_size(perm, W, H, density))) return arena_printf(perm, "problem %s: %s", name, why);
    Build b = {.W = W, .H = H, .parameter = family_table[family].parameter};
    for (int64_t i = 0; i < PROBLEM_COUNT; i++) {
        const ProblemRow *row = &problem_table[i];
        if (row->parameter > 0 && row->W == W && row->H == H && fabs(row->density - density) < 1e-12 &&
            !strcmp(row->family, family_table[family].name))
            b.parameter = row->parameter;
    }
    *out = (Problem){.family = family_table[family].name, .W = W, .H = H, .density = density};
    const ProblemRow self = {out->family, W, H, density};
    out->name = problem_name(perm, &self);
    out->mask = b.mask = NEW(perm, uint8_t, W * H);
    out->fixed = b.fixed = NEW(perm, uint8_t, problem_dofs(out));
    out->load = b.load = NEW(perm, double, problem_dofs(out));
    const PublishedRow *published = published_find(out->name);
    out->reference = published ? published_typical(published) : 0;
    memset(b.mask, 1, (size_t)(W * H));
    family_table[family].build(&b);
    if (b.outside) return arena_printf(perm, "problem %s: %s is outside the grid", name, b.outside);
    why = problem_check(perm, out);
    return why ? arena_printf(perm, "problem %s: %s", name, why) : 0;
}

/* ---- what is wrong with a problem ---- */

/* Do the supports leave no motion that needs no force? The motions of a stiff plate are two shifts and a rotation about the
 * middle; held degrees of freedom see them as rows (1, 0, -y) and (0, 1, x), which must have rank 3. The determinant of
 * their Gram matrix, of coordinates scaled to about 1, tells. */
static bool held(const Problem *p)
{
    const double scale = 2 / (double)(p->W > p->H ? p->W : p->H);
    double g[3][3] = {{0}};
    for (int64_t x = 0; x <= p->W; x++)
        for (int64_t y = 0; y <= p->H; y++)
            for (int axis = 0; axis < 2; axis++) {
                if (!p->fixed[2 * problem_node(p, x, y) + axis]) continue;
                const double u = scale * ((double)x - (double)p->W / 2), v = scale * ((double)y - (double)p->H / 2);
                const double row[3] = {!axis, axis, axis ? u : -v};
                for (int i = 0; i < 3; i++)
                    for (int j = 0; j < 3; j++) g[i][j] += row[i] * row[j];
            }
    return g[0][0] * (g[1][1] * g[2][2] - g[1][2] * g[2][1]) - g[0][1] * (g[1][0] * g[2][2] - g[1][2] * g[2][0]) +
               g[0][2] * (g[1][0] * g[2][1] - g[1][1] * g[2][0]) >
           1e-9;
}

const char *problem_check(Arena *perm, const Problem *p)
{
    const char *why = problem_check_size(perm, p->W, p->H, p->density);
    if (why) return why;
    if (problem_designable(p) < 1) return "no element may be filled";
    bool loaded = false, supported = false;
    for (int64_t i = 0; i < problem_dofs(p); i++) {
        if (!isfinite(p->load[i])) return arena_printf(perm, "a load is %g: a number expected", p->load[i]);
        loaded |= fabs(p->load[i]) > 0 && !p->fixed[i];
        supported |= p->fixed[i];
    }
    if (!supported) return "no supports: its stiffness matrix is singular";
    if (!held(p)) return "the supports leave it free to move: its stiffness matrix is singular";
    return loaded ? 0 : "no load on a node that can move";
}
