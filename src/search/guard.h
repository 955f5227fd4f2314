/* guard: watches the alphas of a search, epoch by epoch, and ends it when they go wrong, with the last good alphas.
 *
 * Searches are known to find something and then to lose it: skips train fastest and take over, or the alphas run into a
 * sharp valley of the validation loss, where a discrete cell has nothing of what the mixture had. A guard is a row of
 * guard_table (strategy.h has the type): it measures one number after every epoch, and says of the latest numbers whether,
 * and how far, to go back. The alphas of so many epochs ago are then those of the search, and it ends.
 *
 * Guards look from the first epoch on in which the alphas learn: the alphas before are noise, and no good ones. One that
 * ranks the operations needs two such epochs, and so on; what is not known yet is NaN.
 */
#ifndef NAS_GUARD_H
#define NAS_GUARD_H
#include "search/strategy.h"

enum {
    GUARD_ALPHAS = 5,     /* epochs whose alphas are kept: 4 back is the farthest that a guard goes */
    GUARD_MEMORY = 9,     /* epochs whose measures are kept */
    GUARD_SAMPLES = 256,  /* of the alpha split, the first ones, that the Hessian is of */
    GUARD_ITERATIONS = 5, /* of the power iteration; each begins where the one of the last epoch ended */
};

typedef struct {       /* all of it is state of a run (bilevel.c) */
    double *alphas;    /* (GUARD_ALPHAS, a->count): raw, after epoch e at e % GUARD_ALPHAS */
    double *measure;   /* (MAX_GUARDS, GUARD_MEMORY): the latest first */
    double *direction; /* (a->count): of the dominant eigenvector; 0: not known yet */
    int64_t watched;   /* epochs */
    int64_t judged;    /* the epoch that was judged last */
    int64_t fired;     /* 1 + the guard that has ended the search, or 0 */
} GuardState;

/* Gradient of the loss on samples of the alpha split at the alphas `raw`, into grad; false: no finite loss, or a signal. */
typedef bool GuardGradient(void *context, const double *raw, double *grad, Arena scratch);

struct GuardScene { /* what a measure is taken of: the alphas after an epoch */
    const Strategy *strategy;
    const Arch *arch;
    const double *before;   /* raw alphas an epoch earlier, or 0 */
    double last;            /* its own measure then, NaN if there is none */
    double *direction;      /* of the power iteration, to begin with and for the next one */
    bool used[ARCH_TABLES]; /* tables that the supernet has cells of */
    GuardGradient *gradient;
    void *context;
    uint64_t seed;
};

GuardState guard_new(Arena *perm, const Arch *a);
/* Judges the alphas of an epoch that learnt; scene: without before, last and direction. If a guard fires, a->raw goes back
 * and *said is the event; otherwise *said is 0. False: a signal came, nothing is judged. */
bool guard_judge(GuardState *g, Arena *perm, Arena scratch, Arch *a, const struct GuardScene *scene, int64_t epoch,
                 const char **said);
/* The measures of that epoch, appended to m. */
void guard_metrics(const GuardState *g, const Strategy *s, int64_t epoch, Metric *m, int64_t *count);

/* The eigenvalue of largest modulus of the Hessian that belongs to `gradient`, at n values `at`: so many steps of the power
 * iteration, each a product H v = (grad(at + eps v) - grad(at - eps v)) / (2 eps) with |v| = 1, eps = 0.01 (1 + max |at|);
 * the Rayleigh quotient of the last one. v: the start, and in the end the eigenvector. NaN if the gradient fails. */
double guard_eigenvalue(GuardGradient *gradient, void *context, const double *at, int64_t n, int64_t iterations,
                        double *v, Arena scratch);
#endif
