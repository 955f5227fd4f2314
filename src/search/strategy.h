/* strategy: search strategies as compositions of parts.
 *
 *   relaxation    alphas -> mixing weights of the supernet, and the gradient back through that
 *   gradient      how dLoss/dweight on the alpha split is estimated
 *   regulariser   what is added to the gradient of the alphas
 *   update        the optimiser step of the alphas
 *
 * Every part is a row of its table and knows nothing of the others; a strategy is a row that names one of each. A new
 * published method is, as a rule, one new part and one new row.
 */
#ifndef NAS_STRATEGY_H
#define NAS_STRATEGY_H
#include "engine/engine.h"
#include "search/arch.h"

typedef struct {
    double lr, beta1, beta2, weight_decay;
} AlphaSettings;

typedef struct {
    const char *name, *help;
    /* One edge: n alphas to n weights; and dLoss/dalpha from dLoss/dweight. */
    void (*mix)(const double *raw, int64_t n, double *weight);
    void (*pull_back)(const double *weight, const double *weight_grad, int64_t n, double *grad);
} Relaxation;

typedef struct { /* what a gradient part works on: the supernet at weights w, and a batch of the alpha split in it */
    Engine *engine;
    Arch *arch;
} AlphaProblem;

typedef struct {
    const char *name, *help;
    /* The engine holds an alpha batch whose forward pass was made in training mode; fills arch->weight_grad. */
    void (*find)(const AlphaProblem *p, Arena scratch);
} AlphaGradient;

typedef struct {
    const char *name, *help;
    void (*add)(const Arch *a, const AlphaSettings *s, double *grad);
} Regulariser;

typedef struct {
    const char *name, *help;
    void (*step)(Arch *a, const AlphaSettings *s);
} AlphaUpdate;

typedef struct {
    const char *name, *source; /* source: the paper */
    const Relaxation *relaxation;
    const AlphaGradient *gradient;
    const Regulariser *regulariser;
    const AlphaUpdate *update;
} Strategy;

extern const Strategy strategy_table[];
extern const int64_t strategy_count;
const Strategy *strategy_find(const char *name); /* 0 if unknown */
/* "softmax + first-order + l2 + adam" */
const char *strategy_parts(Arena *a, const Strategy *s);

/* weight from raw, and into the engine. */
void strategy_mix(const Strategy *s, Arch *a, Engine *e, Arena scratch);
/* One update of the alphas from the alpha batch in the engine (forward pass made). */
void strategy_step(const Strategy *s, const AlphaProblem *p, const AlphaSettings *settings, Arena scratch);
#endif
