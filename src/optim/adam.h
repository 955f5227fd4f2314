/* adam: Adam (Kingma, Ba 2015) on a small table in double precision, on the host: for architecture weights. Network
 * weights have the engine's. */
#ifndef NAS_ADAM_H
#define NAS_ADAM_H
#include <stdint.h>

typedef struct {
    double lr, beta1, beta2, eps;
} AdamSettings;

/* One step of PyTorch's Adam with bias correction; `step` counts from 1. */
void adam_step(const AdamSettings *s, int64_t step, int64_t count, const double *grad, double *moment1, double *moment2,
               double *x);
#endif
