/* lbfgs: limited-memory BFGS without bounds, by reverse communication: the caller evaluates, so that a run can stop and go
 * on between any two evaluations.
 *
 *   Lbfgs *l = lbfgs_open(perm, n, lbfgs_published);
 *   memcpy(l->x, start, …);
 *   do {
 *       double f = function(l->x, l->g);              g: the gradient at x
 *       status = lbfgs_tell(l, f);                    x is the next point
 *   } while (status <= LBFGS_NEW);
 *
 * The method is that of L-BFGS-B 3.0 (Byrd, Lu, Nocedal, Zhu 1995; Morales, Nocedal 2011) where no bound is active: the
 * inverse Hessian starts as s'y/y'y of the newest pair; a pair without positive curvature is left out; the line search is
 * Moré and Thuente's (1994, ACM TOMS 20:286), with a first step of length 1 and later ones of factor 1. Where a search
 * fails, the memory is dropped and the search starts anew along the gradient; failing again there ends the run.
 *
 * The direction is found in two sweeps over the memory instead of four: the recursion runs on the scalar products of the
 * vectors, the direction is one combination of them (Chen, Wang, Zhou 2014, "Large-scale L-BFGS using MapReduce").
 */
#ifndef NAS_LBFGS_H
#define NAS_LBFGS_H
#include "base/arena.h"

typedef struct {
    int64_t memory;                       /* pairs, at most LBFGS_MAX_MEMORY */
    double decrease, curvature, interval; /* of the line search: sufficient decrease, slope, relative width */
    int64_t trials;                       /* evaluations of one line search */
    double gradient_tolerance;            /* ends the run: largest element of the gradient */
    double decrease_tolerance;            /* ends the run: decrease relative to max(|f|, 1) of an iteration */
} LbfgsSettings;
enum { LBFGS_MAX_MEMORY = 32 };
/* What the runs of arXiv:1909.04240 used: SciPy's defaults, the tests that end a run as good as off. */
extern const LbfgsSettings lbfgs_published;

typedef enum {
    LBFGS_TRIAL,     /* the line search wants another point */
    LBFGS_NEW,       /* the point told was accepted: an iteration is done; x is the first point of the next */
    LBFGS_CONVERGED, /* the point told is the last: a tolerance was met */
    LBFGS_STUCK      /* no descent was found, even along the gradient; x is the best point that was accepted */
} LbfgsStatus;

typedef struct {
    int64_t n;
    LbfgsSettings settings;
    double *x, *g; /* (n) where to evaluate, and the gradient there, which the caller fills */
    /* The whole state of a run, x and g included: whoever saves these numbers and puts them back goes on as if nothing
     * had happened. */
    double *state;
    int64_t state_count;
} Lbfgs;

/* Doubles that the state takes; -1: more than can be counted. */
int64_t lbfgs_state_count(int64_t n, const LbfgsSettings *s);
Lbfgs *lbfgs_open(Arena *perm, int64_t n, LbfgsSettings settings);
/* f and l->g are those of l->x; a value that is not finite counts as a failed search. */
LbfgsStatus lbfgs_tell(Lbfgs *l, double f);
int64_t lbfgs_evaluations(const Lbfgs *l);
int64_t lbfgs_iterations(const Lbfgs *l);
#endif
