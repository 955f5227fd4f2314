/* compliance: assembly, factorisation, solution, gradient. */
#include "structure/compliance.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <suitesparse/cholmod.h>

#include "structure/filter.h"

static const double E0 = 1, EMIN = 1e-9, POISSON = 0.3;
enum { PAIRS = 36 }; /* of an element's 8 degrees of freedom, order ignored */

struct Compliance {
    const Problem *p;
    DensityFilter filter;
    double K0[8][8];
    int32_t *place;    /* (elements, PAIRS): where a pair's stiffness goes in the matrix's values, or -1 */
    int32_t *free_dof; /* (dofs): number among those not held, or -1 */
    int32_t unknowns;
    double *x, *rho, *energy, *u; /* (elements) three times, (dofs) */
    cholmod_common common;
    cholmod_sparse *matrix; /* lower triangle by columns */
    cholmod_factor *factor;
    cholmod_dense *right, *solution, *work[2];
    char why[160];
};

/* BLAS with threads of its own would give sums in another order, and the processors are needed for other problems. */
extern void openblas_set_num_threads(int threads) __attribute__((weak));
extern void omp_set_max_active_levels(int levels) __attribute__((weak));

static void stay_on_this_thread(void)
{
    if (openblas_set_num_threads) openblas_set_num_threads(1);
    if (omp_set_max_active_levels) omp_set_max_active_levels(0); /* of CHOLMOD: a setting of the calling thread */
}

/* The bilinear square in plane stress, integrated exactly. */
static void element_stiffness(double K[8][8])
{
    static const double xi[4] = {-1, 1, 1, -1}, eta[4] = {-1, -1, 1, 1};
    const double s = 1 / (1 - POISSON * POISSON), t = (1 - POISSON) / 2;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            const double xx = xi[i] * xi[j] / 4 * (1 + eta[i] * eta[j] / 3);
            const double yy = eta[i] * eta[j] / 4 * (1 + xi[i] * xi[j] / 3);
            K[2 * i][2 * j] = s * (xx + t * yy);
            K[2 * i + 1][2 * j + 1] = s * (yy + t * xx);
            K[2 * i][2 * j + 1] = s * (POISSON * xi[i] * eta[j] + t * eta[i] * xi[j]) / 4;
            K[2 * j + 1][2 * i] = K[2 * i][2 * j + 1];
        }
}

static void element_dofs(const Problem *p, int64_t e, int64_t dof[8])
{
    const int64_t r = e / p->W, c = e % p->W;
    const int64_t node[4] = {problem_node(p, c, r), problem_node(p, c + 1, r), problem_node(p, c + 1, r + 1),
                             problem_node(p, c, r + 1)};
    for (int i = 0; i < 8; i++) dof[i] = 2 * node[i / 2] + i % 2;
}

/* The columns of the lower triangle: a degree of freedom meets those of its own and the eight nodes around. With `rows` 0
 * only counts. */
static int32_t pattern(const Compliance *c, int32_t *start, int32_t *rows)
{
    const Problem *p = c->p;
    int32_t n = 0;
    for (int64_t x = 0; x <= p->W; x++)
        for (int64_t y = 0; y <= p->H; y++)
            for (int axis = 0; axis < 2; axis++) {
                const int32_t column = c->free_dof[2 * problem_node(p, x, y) + axis];
                if (column < 0) continue;
                if (start) start[column] = n;
                for (int64_t i = x; i <= x + 1 && i <= p->W; i++)
                    for (int64_t j = y > 0 ? y - 1 : 0; j <= y + 1 && j <= p->H; j++)
                        for (int other = 0; other < 2; other++) {
                            const int32_t row = c->free_dof[2 * problem_node(p, i, j) + other];
                            if (row < column) continue;
                            if (rows) rows[n] = row;
                            n++;
                        }
            }
    if (start) start[c->unknowns] = n;
    return n;
}

static int32_t find_entry(const int32_t *start, const int32_t *rows, int32_t row, int32_t column)
{
    int32_t lo = start[column], hi = start[column + 1] - 1;
    while (lo < hi) {
        const int32_t middle = (lo + hi) / 2;
        if (rows[middle] < row)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

static void place_pairs(Compliance *c)
{
    const int32_t *start = c->matrix->p, *rows = c->matrix->i;
    int64_t dof[8];
    for (int64_t e = 0, k = 0; e < c->p->W * c->p->H; e++) {
        element_dofs(c->p, e, dof);
        for (int i = 0; i < 8; i++)
            for (int j = 0; j <= i; j++, k++) {
                const int32_t a = c->free_dof[dof[i]], b = c->free_dof[dof[j]];
                c->place[k] = a < 0 || b < 0 ? -1
                              : a > b        ? find_entry(start, rows, a, b)
                                             : find_entry(start, rows, b, a);
            }
    }
}

static const char *open_matrix(Compliance *c)
{
    cholmod_common *cm = &c->common;
    const int32_t entries = pattern(c, 0, 0);
    c->matrix =
        cholmod_allocate_sparse((size_t)c->unknowns, (size_t)c->unknowns, (size_t)entries, 1, 1, -1, CHOLMOD_REAL, cm);
    c->right = cholmod_zeros((size_t)c->unknowns, 1, CHOLMOD_REAL, cm);
    if (!c->matrix || !c->right) return "no memory for the stiffness matrix";
    pattern(c, c->matrix->p, c->matrix->i);
    place_pairs(c);
    for (int64_t d = 0; d < problem_dofs(c->p); d++)
        if (c->free_dof[d] >= 0) ((double *)c->right->x)[c->free_dof[d]] = c->p->load[d];
    c->factor = cholmod_analyze(c->matrix, cm);
    return c->factor ? 0 : "no memory for the factor of the stiffness matrix";
}

Compliance *compliance_open(Arena *perm, const Problem *p, const char **why)
{
    if ((*why = problem_check(perm, p))) return 0;
    const int64_t elements = p->W * p->H, dofs = problem_dofs(p);
    const int64_t bytes = elements * (PAIRS * 4 + 4 * 8) + dofs * (4 + 8) + (1 << 16);
    if (bytes > arena_left(perm)) {
        *why = arena_printf(perm, "needs %.1f MiB of memory, %.1f MiB are free", (double)bytes / 1048576,
                            (double)arena_left(perm) / 1048576);
        return 0;
    }
    Compliance *c = NEW(perm, Compliance, 1);
    c->p = p;
    c->filter = filter_make(perm, p);
    element_stiffness(c->K0);
    c->place = NEW(perm, int32_t, elements * PAIRS);
    c->free_dof = NEW(perm, int32_t, dofs);
    c->x = NEW(perm, double, elements);
    c->rho = NEW(perm, double, elements);
    c->energy = NEW(perm, double, elements);
    c->u = NEW(perm, double, dofs);
    for (int64_t d = 0; d < dofs; d++) c->free_dof[d] = p->fixed[d] ? -1 : c->unknowns++;
    stay_on_this_thread();
    cholmod_start(&c->common);
    c->common.print = 0;
    c->common.nmethods = 1;
    c->common.method[0].ordering = CHOLMOD_AMD; /* METIS draws from the process's one rand(): other bits with threads */
    c->common.supernodal = CHOLMOD_SUPERNODAL;
    if ((*why = open_matrix(c))) {
        compliance_close(c);
        return 0;
    }
    return c;
}

void compliance_close(Compliance *c)
{
    if (!c) return;
    cholmod_common *cm = &c->common;
    cholmod_free_sparse(&c->matrix, cm);
    cholmod_free_factor(&c->factor, cm);
    cholmod_free_dense(&c->right, cm);
    cholmod_free_dense(&c->solution, cm);
    for (int i = 0; i < 2; i++) cholmod_free_dense(&c->work[i], cm);
    cholmod_finish(cm);
}

static double fail(Compliance *c, const char *what)
{
    snprintf(c->why, sizeof c->why, "%s", what);
    return NAN;
}

static void assemble(Compliance *c)
{
    double *value = c->matrix->x, pair[PAIRS];
    memset(value, 0, c->matrix->nzmax * sizeof *value);
    for (int i = 0, k = 0; i < 8; i++)
        for (int j = 0; j <= i; j++) pair[k++] = c->K0[i][j];
    const int32_t *place = c->place;
    for (int64_t e = 0; e < c->p->W * c->p->H; e++, place += PAIRS) {
        const double rho = c->rho[e], E = EMIN + rho * rho * rho * (E0 - EMIN);
        for (int k = 0; k < PAIRS; k++)
            if (place[k] >= 0) value[place[k]] += E * pair[k];
    }
}

/* K(rho) u = f; C = f.u. */
static double solve(Compliance *c)
{
    cholmod_common *cm = &c->common;
    stay_on_this_thread();
    assemble(c);
    if (!cholmod_factorize(c->matrix, c->factor, cm) || cm->status < CHOLMOD_OK)
        return fail(c, cm->status == CHOLMOD_OUT_OF_MEMORY ? "no memory for the factor of the stiffness matrix"
                                                           : "the factorisation of the stiffness matrix failed");
    if (cm->status == CHOLMOD_NOT_POSDEF) return fail(c, "the stiffness matrix is not positive definite");
    if (!cholmod_solve2(CHOLMOD_A, c->factor, c->right, 0, &c->solution, 0, &c->work[0], &c->work[1], cm))
        return fail(c, "no memory for the displacements");
    const double *u = c->solution->x;
    double C = 0;
    for (int64_t d = 0; d < problem_dofs(c->p); d++) {
        const int32_t i = c->free_dof[d];
        c->u[d] = i < 0 ? 0 : u[i];
        C += c->p->load[d] * c->u[d];
    }
    return isfinite(C) ? C : fail(c, "the compliance is not finite");
}

/* dC/drho into c->energy. */
static void sensitivities(Compliance *c)
{
    int64_t dof[8];
    double u[8];
    for (int64_t e = 0; e < c->p->W * c->p->H; e++) {
        double q = 0;
        if (c->p->mask[e]) {
            element_dofs(c->p, e, dof);
            for (int i = 0; i < 8; i++) u[i] = c->u[dof[i]];
            for (int i = 0; i < 8; i++) {
                double force = 0;
                for (int j = 0; j < 8; j++) force += c->K0[i][j] * u[j];
                q += u[i] * force;
            }
        }
        c->energy[e] = -3 * c->rho[e] * c->rho[e] * (E0 - EMIN) * q;
    }
}

double compliance_density(Compliance *c, const double *x, double *gradient)
{
    for (int64_t e = 0; e < c->p->W * c->p->H; e++)
        if (c->p->mask[e] && !(x[e] >= 0 && x[e] <= 1)) {
            snprintf(c->why, sizeof c->why, "element %lld has density %g: a number from 0 to 1 expected", (long long)e,
                     x[e]);
            return NAN;
        }
    filter_apply(&c->filter, x, c->rho);
    const double C = solve(c);
    if (!gradient || isnan(C)) return C;
    sensitivities(c);
    filter_transpose(&c->filter, c->energy, gradient);
    return C;
}

double compliance_logits(Compliance *c, const double *z, double *gradient)
{
    const double b = filter_sigmoid(&c->filter, z, c->p->density, c->x);
    if (isnan(b)) return fail(c, "a logit is not finite");
    const double C = compliance_density(c, c->x, gradient);
    if (gradient && !isnan(C)) filter_sigmoid_gradient(&c->filter, z, b, gradient, gradient);
    return C;
}

const char *compliance_why(const Compliance *c)
{
    return c->why;
}

const double *compliance_displacements(const Compliance *c)
{
    return c->u;
}

const double *compliance_filtered(const Compliance *c)
{
    return c->rho;
}

const Problem *compliance_problem(const Compliance *c)
{
    return c->p;
}

const DensityFilter *compliance_filter(const Compliance *c)
{
    return &c->filter;
}

bool compliance_save(const Compliance *c, const char *path)
{
    FILE *f = fopen(path, "wb");
    if (!f) return false;
    const size_t n = (size_t)c->unknowns, entries = c->matrix->nzmax;
    const int32_t head[2] = {c->unknowns, (int32_t)entries};
    fwrite(head, sizeof head, 1, f);
    fwrite(c->matrix->p, sizeof(int32_t), n + 1, f);
    fwrite(c->matrix->i, sizeof(int32_t), entries, f);
    fwrite(c->matrix->x, sizeof(double), entries, f);
    fwrite(c->right->x, sizeof(double), n, f);
    const bool bad = ferror(f);
    return !fclose(f) && !bad;
}
