/* step: what is settled on the host, by every backend in the same way: which operations are on, where a convolution reads,
 * drop masks; of a backend on the host also the loss.
 */
#ifndef NAS_STEP_H
#define NAS_STEP_H
#include "engine/engine.h"
#include "engine/plan.h"
#include "kernels/kernels.h"

/* The values that `v` is made of: its parts, or itself (*parts then points at `self`, which must hold v). */
int64_t step_parts(const Graph *g, const Value *self, const Value **parts);
/* Taps, strides, ReLU of a convolution. Returns 0 or why it cannot be run. */
const char *step_taps(Arena *perm, const Op *op, KConv *k);
void step_pool(const Graph *g, const Op *op, KPool *k); /* its geometry */
/* active[op]: an active operation reads its output through a term that is on (mix_active, per table and element). */
void step_active(const Graph *g, const Plan *p, uint8_t *const *mix_active, bool *active);
bool step_term_on(uint8_t *const *mix_active, const Term *t);
/* Drop-path's factors of n samples for term `term` of operation `op`: 0 or 1/(1-p). */
void step_drop(double p, uint64_t seed, int64_t step, int32_t op, int32_t term, int64_t n, float *scale);
/* Element `element` of what a noise operation makes: mean 0, variance 1. */
float step_noise(uint64_t seed, int64_t step, int32_t op, uint64_t element);
typedef struct { /* of a head: (n, outputs) both */
    const float *logits;
    float *grad;
} StepHead;
/* Mean loss of n rows of logits, plus that of the auxiliary head (0: none, or it does not count) times its weight, and
 * the gradients of this sum. */
double step_loss(const Graph *g, int64_t n, const float *targets, const StepHead *head, const StepHead *auxiliary);
/* The factor that brings a gradient of this norm down to `most` (0: no limit), as PyTorch's clip_grad_norm_. */
double step_clip(double norm, double most);
/* Adam's numbers for a kernel, bias correction included. step counts from 1. */
KAdam step_adam(double lr, double beta1, double beta2, double eps, double weight_decay, bool decoupled, int64_t step,
                double grad_scale);

typedef struct { /* time per kind of operation */
    EngineProfile row[64];
    int32_t count;
    int64_t element; /* bytes of a tensor's */
    int32_t *row_of; /* per operation: its row + 1; 0: it has none yet */
} StepProfile;
/* Adds `seconds` that operation `op` took with n samples. work: it had something to do; weights: for their gradients, too. */
void step_profile(StepProfile *p, const Graph *g, int32_t op, int64_t n, bool backward, bool work, bool weights,
                  double seconds);
#endif
