/* lbfgs: see lbfgs.h. */
#include "optim/lbfgs.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

const LbfgsSettings lbfgs_published = {.memory = 10,
                                       .decrease = 1e-3,
                                       .curvature = 0.9,
                                       .interval = 0.1,
                                       .trials = 20,
                                       .gradient_tolerance = 1e-14,
                                       .decrease_tolerance = DBL_EPSILON};

enum { M = LBFGS_MAX_MEMORY, CHUNK = 512 };
static const double longest_step = 1e10;

typedef struct { /* one end of the interval: step, value, slope */
    double at, f, slope;
} End;

typedef struct { /* the numbers of the state: doubles alone, counts too */
    double evaluations, iterations, trials, pairs, newest;
    double f, slope;           /* where the line search started */
    double step;               /* the trial step */
    End best, other;           /* of the line search */
    double bracketed, first;   /* truth values; first: it looks for a point below the line of sufficient decrease */
    double least, most;        /* steps that are allowed now */
    double width, older_width; /* of the interval, and of the one before */
    double sy[M][M], yy[M][M]; /* scalar products of the pairs, by place */
} Numbers;
enum { NUMBERS = sizeof(Numbers) / sizeof(double) };

typedef struct {
    Numbers *k;
    double *origin, *origin_g; /* where the line search started, and the gradient there */
    double *direction;
    double *s, *y; /* (memory, n) */
} Parts;

static Parts parts_of(const Lbfgs *l)
{
    Parts p = {.k = (Numbers *)(void *)l->state};
    double *at = l->state + NUMBERS + 2 * l->n;
    double **all[] = {&p.origin, &p.origin_g, &p.direction};
    for (int i = 0; i < 3; i++, at += l->n) *all[i] = at;
    p.s = at;
    p.y = at + l->settings.memory * l->n;
    return p;
}

int64_t lbfgs_state_count(int64_t n, const LbfgsSettings *s)
{
    assert(s->memory >= 1 && s->memory <= M);
    return size_add(size_mul(n, 5 + 2 * s->memory), NUMBERS);
}

Lbfgs *lbfgs_open(Arena *perm, int64_t n, LbfgsSettings settings)
{
    assert(n >= 1);
    Lbfgs *l = NEW(perm, Lbfgs, 1);
    *l = (Lbfgs){.n = n, .settings = settings, .state_count = lbfgs_state_count(n, &settings)};
    l->state = NEW(perm, double, l->state_count);
    l->x = l->state + NUMBERS;
    l->g = l->x + n;
    return l;
}

int64_t lbfgs_evaluations(const Lbfgs *l)
{
    return (int64_t)parts_of(l).k->evaluations;
}

int64_t lbfgs_iterations(const Lbfgs *l)
{
    return (int64_t)parts_of(l).k->iterations;
}

/* ---- vectors ---- */

typedef double Vec __attribute__((vector_size(32), aligned(8), may_alias));

/* In four running sums, in a fixed order. */
static double dot(int64_t n, const double *a, const double *b)
{
    Vec sum = {0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) sum += *(const Vec *)(a + i) * *(const Vec *)(b + i);
    double total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    for (; i < n; i++) total += a[i] * b[i];
    return total;
}

static void add(int64_t n, double *to, double factor, const double *from)
{
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) *(Vec *)(to + i) += factor * *(const Vec *)(from + i);
    for (; i < n; i++) to[i] += factor * from[i];
}

static double largest(int64_t n, const double *a)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(a[i]) <= most) && !isnan(most)) most = fabs(a[i]); /* a NaN stays */
    return most;
}

/* ---- the direction ---- */

/* Place in the memory of the pair that is so many pairs old; 0: the newest. */
static int64_t place_of(const Lbfgs *l, const Numbers *k, int64_t age)
{
    return ((int64_t)k->newest - age + l->settings.memory) % l->settings.memory;
}

/* Scalar products of the memory with the gradient, sg and yg by place, and, in one sweep, those of the newest pair. */
static void multiply_memory(const Lbfgs *l, Parts p, double *sg, double *yg)
{
    Numbers *k = p.k;
    int64_t pairs = (int64_t)k->pairs, newest = (int64_t)k->newest;
    const double *s_new = p.s + newest * l->n, *y_new = p.y + newest * l->n;
    for (int64_t i = 0; i < pairs; i++) sg[i] = yg[i] = k->sy[i][newest] = k->sy[newest][i] = k->yy[i][newest] = 0;
    for (int64_t at = 0; at < l->n; at += CHUNK) {
        int64_t n = l->n - at < CHUNK ? l->n - at : CHUNK;
        for (int64_t i = 0; i < pairs; i++) {
            const double *s = p.s + i * l->n + at, *y = p.y + i * l->n + at;
            sg[i] += dot(n, s, l->g + at);
            yg[i] += dot(n, y, l->g + at);
            k->sy[i][newest] += dot(n, s, y_new + at);
            if (i != newest) k->sy[newest][i] += dot(n, s_new + at, y);
            k->yy[i][newest] += dot(n, y, y_new + at);
        }
    }
    for (int64_t i = 0; i < pairs; i++) k->yy[newest][i] = k->yy[i][newest];
}

/* direction = -H g. Nocedal's recursion (1980, Math. Comp. 35:773), on coefficients: at every moment the vector is
 * b g + sum of c_i s_i + e_i y_i. */
static void find_direction(const Lbfgs *l, Parts p)
{
    Numbers *k = p.k;
    int64_t pairs = (int64_t)k->pairs;
    double sg[M], yg[M], b = -1, c[M] = {0}, e[M] = {0}, alpha[M];
    if (pairs) multiply_memory(l, p, sg, yg);
    for (int64_t age = 0; age < pairs; age++) {
        int64_t i = place_of(l, k, age);
        double product = b * sg[i];
        for (int64_t j = 0; j < pairs; j++) product += e[j] * k->sy[i][j];
        alpha[i] = product / k->sy[i][i];
        e[i] -= alpha[i];
    }
    if (pairs) {
        int64_t newest = (int64_t)k->newest;
        double scale = k->sy[newest][newest] / k->yy[newest][newest];
        b *= scale;
        for (int64_t j = 0; j < pairs; j++) e[j] *= scale;
    }
    for (int64_t age = pairs - 1; age >= 0; age--) {
        int64_t i = place_of(l, k, age);
        double product = b * yg[i];
        for (int64_t j = 0; j < pairs; j++) product += e[j] * k->yy[i][j] + c[j] * k->sy[j][i];
        c[i] += alpha[i] - product / k->sy[i][i];
    }
    for (int64_t at = 0; at < l->n; at += CHUNK) {
        int64_t n = l->n - at < CHUNK ? l->n - at : CHUNK;
        double *d = p.direction + at;
        for (int64_t i = 0; i < n; i++) d[i] = b * l->g[at + i];
        for (int64_t i = 0; i < pairs; i++) {
            add(n, d, c[i], p.s + i * l->n + at);
            add(n, d, e[i], p.y + i * l->n + at);
        }
    }
}

/* Takes the step from the origin to x as the newest pair, if its curvature is positive. */
static void remember(const Lbfgs *l, Parts p, double slope)
{
    Numbers *k = p.k;
    double curvature = (slope - k->slope) * k->step;
    if (curvature <= DBL_EPSILON * -k->slope * k->step) return;
    int64_t at = k->pairs ? ((int64_t)k->newest + 1) % l->settings.memory : 0;
    double *s = p.s + at * l->n, *y = p.y + at * l->n;
    for (int64_t i = 0; i < l->n; i++) {
        s[i] = k->step * p.direction[i];
        y[i] = l->g[i] - p.origin_g[i];
    }
    k->newest = (double)at;
    if (k->pairs < (double)l->settings.memory) k->pairs++;
}

/* ---- the line search ---- */

/* Of the cubic that has these values and slopes at a and b: theta and |gamma| of the closed form of its minimiser, scaled
 * against overflow. */
static double cubic(End a, End b, double *gamma)
{
    double theta = 3 * (a.f - b.f) / (b.at - a.at) + a.slope + b.slope;
    double s = fmax(fabs(theta), fmax(fabs(a.slope), fabs(b.slope)));
    *gamma = s * sqrt(fmax(0, (theta / s) * (theta / s) - (a.slope / s) * (b.slope / s)));
    return theta;
}

static double clamp(double v, double least, double most)
{
    return fmin(fmax(v, least), most);
}

/* The next step, from the ends of the interval and a trial t; sets the new ends (Moré, Thuente, section 4). */
static double next_step(End *best, End *other, End t, bool *bracketed, double least, double most)
{
    double sign = t.slope * (best->slope / fabs(best->slope)), to = best->at - t.at, gamma, theta, root, next;
    if (t.f > best->f) { /* higher: the minimum lies between */
        theta = cubic(*best, t, &gamma);
        if (t.at < best->at) gamma = -gamma;
        root = best->at + ((gamma - best->slope) + theta) / (((gamma - best->slope) + gamma) + t.slope) * -to;
        double secant = (best->f - t.f) / -to + best->slope, quadratic = best->at + best->slope / secant / 2 * -to;
        next = fabs(root - best->at) < fabs(quadratic - best->at) ? root : root + (quadratic - root) / 2;
        *bracketed = true;
    } else if (sign < 0) { /* lower, and beyond the minimum */
        theta = cubic(*best, t, &gamma);
        if (t.at > best->at) gamma = -gamma;
        root = t.at + ((gamma - t.slope) + theta) / (((gamma - t.slope) + gamma) + best->slope) * to;
        double secant = t.at + t.slope / (t.slope - best->slope) * to;
        next = fabs(root - t.at) > fabs(secant - t.at) ? root : secant;
        *bracketed = true;
    } else if (fabs(t.slope) < fabs(best->slope)) { /* lower, and flatter */
        theta = cubic(*best, t, &gamma);
        if (t.at > best->at) gamma = -gamma;
        double r = ((gamma - t.slope) + theta) / ((gamma + (best->slope - t.slope)) + gamma);
        root = r < 0 && gamma != 0 ? t.at + r * to : t.at > best->at ? most : least;
        double secant = t.at + t.slope / (t.slope - best->slope) * to;
        bool nearer = fabs(root - t.at) < fabs(secant - t.at);
        if (*bracketed) {
            double bound = t.at + 0.66 * (other->at - t.at);
            next = nearer ? root : secant;
            next = t.at > best->at ? fmin(bound, next) : fmax(bound, next);
        } else {
            bool farther = fabs(root - t.at) > fabs(secant - t.at);
            next = clamp(farther ? root : secant, least, most);
        }
    } else if (*bracketed) { /* lower, and not flatter */
        theta = cubic(t, *other, &gamma);
        if (t.at > other->at) gamma = -gamma;
        next = t.at + ((gamma - t.slope) + theta) / (((gamma - t.slope) + gamma) + other->slope) * (other->at - t.at);
    } else {
        next = t.at > best->at ? most : least;
    }
    if (t.f > best->f) {
        *other = t;
    } else {
        if (sign < 0) *other = *best;
        *best = t;
    }
    return next;
}

/* Starts a search from x along the direction. False if it leads upwards. */
static bool search_begin(Lbfgs *l, Parts p, double f)
{
    Numbers *k = p.k;
    memcpy(p.origin, l->x, (size_t)l->n * sizeof *l->x);
    memcpy(p.origin_g, l->g, (size_t)l->n * sizeof *l->g);
    k->f = f;
    k->slope = dot(l->n, l->g, p.direction);
    if (!(k->slope < 0)) return false;
    k->step = 1;
    if (!k->iterations) k->step = fmin(1 / sqrt(dot(l->n, p.direction, p.direction)), longest_step);
    k->trials = k->bracketed = k->least = 0;
    k->first = 1;
    k->most = k->step + 4 * k->step;
    k->width = longest_step;
    k->older_width = 2 * longest_step;
    k->best = k->other = (End){0, f, k->slope};
    return true;
}

/* With the value and slope of the trial step: true if it is to be accepted; else k->step is the next. */
static bool search_step(const LbfgsSettings *set, Numbers *k, double f, double slope)
{
    double test = set->decrease * k->slope, bound = k->f + k->step * test;
    bool bracketed = k->bracketed != 0;
    if (k->first && f <= bound && slope >= 0) k->first = 0;
    if (bracketed && (k->step <= k->least || k->step >= k->most)) return true; /* rounding: there is no better */
    if (bracketed && k->most - k->least <= set->interval * k->most) return true;
    if (k->step >= longest_step && f <= bound && slope <= test) return true;
    if (k->step <= 0 && (f > bound || slope >= test)) return true;
    if (f <= bound && fabs(slope) <= set->curvature * -k->slope) return true;
    End trial = {k->step, f, slope};
    double tilt = k->first && f <= k->best.f && f > bound ? test : 0; /* above the line: search what lies above it */
    End *end[] = {&trial, &k->best, &k->other};
    for (int i = 0; i < 3; i++) end[i]->f -= end[i]->at * tilt, end[i]->slope -= tilt;
    k->step = next_step(&k->best, &k->other, trial, &bracketed, k->least, k->most);
    for (int i = 1; i < 3; i++) end[i]->f += end[i]->at * tilt, end[i]->slope += tilt;
    k->bracketed = bracketed;
    if (bracketed) {
        double width = fabs(k->other.at - k->best.at);
        if (width >= 0.66 * k->older_width) k->step = k->best.at + 0.5 * (k->other.at - k->best.at);
        k->older_width = k->width;
        k->width = width;
        k->least = fmin(k->best.at, k->other.at);
        k->most = fmax(k->best.at, k->other.at);
    } else {
        k->least = k->step + 1.1 * (k->step - k->best.at);
        k->most = k->step + 4 * (k->step - k->best.at);
    }
    k->step = clamp(k->step, 0, longest_step);
    if (bracketed && (k->step <= k->least || k->step >= k->most || k->most - k->least <= set->interval * k->most))
        k->step = k->best.at;
    return false;
}

static LbfgsStatus go(Lbfgs *l, Parts p, LbfgsStatus status)
{
    for (int64_t i = 0; i < l->n; i++) l->x[i] = p.origin[i] + p.k->step * p.direction[i];
    return status;
}

/* Back to the origin of the search; once more along the gradient, if that was not it. */
static LbfgsStatus fail(Lbfgs *l, Parts p)
{
    Numbers *k = p.k;
    memcpy(l->x, p.origin, (size_t)l->n * sizeof *l->x);
    memcpy(l->g, p.origin_g, (size_t)l->n * sizeof *l->g);
    if (!k->pairs) return LBFGS_STUCK;
    k->pairs = 0;
    find_direction(l, p);
    return search_begin(l, p, k->f) ? go(l, p, LBFGS_TRIAL) : LBFGS_STUCK;
}

LbfgsStatus lbfgs_tell(Lbfgs *l, double f)
{
    Parts p = parts_of(l);
    Numbers *k = p.k;
    const LbfgsSettings *set = &l->settings;
    bool start = !k->evaluations++;
    double steepest = largest(l->n, l->g);
    bool finite = isfinite(f) && isfinite(steepest);
    if (start && !finite) return LBFGS_STUCK;
    if (!start) {
        if (!finite) return fail(l, p);
        double slope = dot(l->n, l->g, p.direction);
        k->trials++;
        if (!search_step(set, k, f, slope)) return k->trials < (double)set->trials ? go(l, p, LBFGS_TRIAL) : fail(l, p);
        k->iterations++;
        if (k->f - f <= set->decrease_tolerance * fmax(fmax(fabs(k->f), fabs(f)), 1)) return LBFGS_CONVERGED;
        remember(l, p, slope);
    }
    if (steepest <= set->gradient_tolerance) return LBFGS_CONVERGED;
    find_direction(l, p);
    return search_begin(l, p, f) ? go(l, p, LBFGS_NEW) : fail(l, p);
}
