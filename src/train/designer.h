/* designer: a design that a generator makes, optimised step by step: all weights of the network, in double, by L-BFGS;
 * the network in float, the simulation in double (arXiv:1909.04240's "CNN-LBFGS"). A step is one evaluation of C and its
 * gradient, trials of the line search included. The network, too, is on the CPU, whatever devices there are: it has one
 * sample, and several designs are made side by side. nas-train refuses --device for them.
 *
 *   Designer *d = designer_open(perm, &generator_published, compliance, pool, seed, &why);
 *   while (designer_step(d)) …;                      d->C, d->x of the evaluation
 *   designer_close(d);
 */
#ifndef NAS_DESIGNER_H
#define NAS_DESIGNER_H
#include "engine/engine.h"
#include "nn/generator.h"
#include "optim/lbfgs.h"
#include "structure/compliance.h"

typedef struct {
    Compliance *compliance;
    const Graph *graph;
    Engine *engine;
    Lbfgs *lbfgs;   /* lbfgs->state is the whole state of a run, as it was before the last evaluation, which is told
                           to it by the next step: who goes on from it evaluates that point again */
    bool evaluated; /* there is one to be told */
    bool over;      /* the method has ended by itself */
    float *weights; /* (graph->weight_count) work space, as are the next ones */
    float *image;   /* (H, W) */
    double *logits, *gradient;
    double C;  /* of the last step */
    double *x; /* (H, W): its densities, before the filter */
} Designer;

/* `compliance` must live as long; pool: one thread is enough, the net has one sample. 0 and *why (in perm) for a problem
 * whose sides the generator cannot make. */
Designer *designer_open(Arena *perm, const GeneratorSpec *s, Compliance *c, Pool *pool, uint64_t seed,
                        const char **why);
void designer_close(Designer *d); /* may be 0 */
/* Evaluates; false when the method has ended by itself. C is NaN where the simulation failed (compliance_why), which the
 * line search takes as a step too far. */
bool designer_step(Designer *d);
#endif
