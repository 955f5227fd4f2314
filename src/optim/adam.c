/* adam: Adam on the host. */
#include "optim/adam.h"

#include <math.h>

void adam_step(const AdamSettings *s, int64_t step, int64_t count, const double *grad, double *moment1, double *moment2,
               double *x)
{
    double correction1 = 1 - pow(s->beta1, (double)step), correction2 = 1 - pow(s->beta2, (double)step);
    for (int64_t i = 0; i < count; i++) {
        moment1[i] = s->beta1 * moment1[i] + (1 - s->beta1) * grad[i];
        moment2[i] = s->beta2 * moment2[i] + (1 - s->beta2) * grad[i] * grad[i];
        x[i] -= s->lr * (moment1[i] / correction1) / (sqrt(moment2[i] / correction2) + s->eps);
    }
}
