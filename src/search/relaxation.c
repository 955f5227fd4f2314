/* relaxation: from alphas to weights of operations. */
#include <math.h>
#include <string.h>

#include "engine/loss.h"
#include "search/strategy.h"

static void softmax_mix(const double *raw, int64_t n, double *weight)
{
    double most = raw[0], sum = 0;
    for (int64_t i = 1; i < n; i++) most = fmax(most, raw[i]);
    for (int64_t i = 0; i < n; i++) sum += weight[i] = exp(raw[i] - most);
    for (int64_t i = 0; i < n; i++) weight[i] /= sum;
}

static void softmax_pull_back(const double *weight, const double *weight_grad, int64_t n, double *grad)
{
    double mean = 0;
    for (int64_t i = 0; i < n; i++) mean += weight[i] * weight_grad[i];
    for (int64_t i = 0; i < n; i++) grad[i] = weight[i] * (weight_grad[i] - mean);
}

static void simplex_mix(const double *raw, int64_t n, double *weight)
{
    memcpy(weight, raw, (size_t)n * sizeof *weight);
}

static void simplex_pull_back(const double *weight, const double *weight_grad, int64_t n, double *grad)
{
    (void)weight;
    memcpy(grad, weight_grad, (size_t)n * sizeof *grad);
}

static void sigmoid_mix(const double *raw, int64_t n, double *weight)
{
    for (int64_t i = 0; i < n; i++) weight[i] = loss_sigmoid(raw[i]);
}

static void sigmoid_pull_back(const double *weight, const double *weight_grad, int64_t n, double *grad)
{
    for (int64_t i = 0; i < n; i++) grad[i] = weight[i] * (1 - weight[i]) * weight_grad[i];
}

const Relaxation relaxation_table[] = {
    {{"softmax", "the weights of an edge add up to one", "Liu, Simonyan, Yang 2019, arXiv:1806.09055"},
     .of_one_sum = true,
     .mix = softmax_mix,
     .pull_back = softmax_pull_back},
    {{"simplex", "alphas are the weights themselves, of sum one",
      "Li, Khodak, Balcan, Talwalkar 2021, arXiv:2004.07802"},
     .simplex = true,
     .of_one_sum = true,
     .mix = simplex_mix,
     .pull_back = simplex_pull_back},
    {{"sigmoid", "every operation has a weight of its own, from 0 to 1", "Chu et al. 2020, arXiv:1911.12126"},
     .mix = sigmoid_mix,
     .pull_back = sigmoid_pull_back},
};
const int64_t relaxation_count = COUNTOF(relaxation_table);
