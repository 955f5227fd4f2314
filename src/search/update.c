/* update: the step of the alphas along their gradient. */
#include <math.h>

#include "optim/adam.h"
#include "search/strategy.h"

static void adam_update(Arch *a, const AlphaSettings *s)
{
    AdamSettings settings = {.lr = s->lr, .beta1 = s->beta1, .beta2 = s->beta2, .eps = 1e-8};
    adam_step(&settings, ++a->step, a->count, a->grad, a->moment1, a->moment2, a->raw);
}

static void sgd_update(Arch *a, const AlphaSettings *s)
{
    a->step++;
    for (int64_t i = 0; i < a->count; i++) a->raw[i] -= s->lr * a->grad[i];
}

/* theta <- theta exp(-lr grad), divided by the sum of the group. The largest exponent is taken out first; what has fallen
 * below what a double can hold is kept alive at the least. */
static void exponentiated_update(Arch *a, const AlphaSettings *s)
{
    a->step++;
    for (int64_t i = 0; i < a->group_count; i++) {
        double *theta = a->raw + a->group[i].start, *grad = a->grad + a->group[i].start, least = grad[0], sum = 0;
        int64_t n = a->group[i].count;
        for (int64_t k = 1; k < n; k++) least = fmin(least, grad[k]);
        for (int64_t k = 0; k < n; k++) {
            theta[k] *= exp(-s->lr * (grad[k] - least));
            if (theta[k] < 1e-30) theta[k] = 1e-30; /* not fmax: NaN must stay NaN */
            sum += theta[k];
        }
        for (int64_t k = 0; k < n; k++) theta[k] /= sum;
    }
}

const AlphaUpdate update_table[] = {
    {{"adam", "Adam", "Kingma, Ba 2015, arXiv:1412.6980"}, .step = adam_update},
    {{"sgd", "plain gradient descent", ""}, .step = sgd_update},
    {{"exponentiated", "each weight times exp(-rate × gradient), divided by their sum",
      "Li, Khodak, Balcan, Talwalkar 2021, arXiv:2004.07802"},
     .simplex = true,
     .step = exponentiated_update},
    {{"none", "the alphas rest", ""}},
};
const int64_t update_count = COUNTOF(update_table);
