/* loss: what the logits of a row are worth: value, gradient, and the predictions that they stand for. In double; a row is
 * `outputs` logits z and loss_width() targets y. A mean over rows is the sum of loss_row() divided by that of
 * loss_share(), so that it does not depend on how rows were put into batches.
 *
 *   LOSS_CROSS_ENTROPY  w[y] (log(sum(exp(z))) - z[y]), share w[y]: PyTorch's CrossEntropyLoss(weight=w)
 *                       soft: targets are shares of the classes, t (outputs); sum w t (log(sum(exp(z))) - z), share
 *                       sum w t. One class of share 1 gives the same.
 *   LOSS_MSE            sum (z - y)², share outputs
 *   LOSS_BINARY         sum w y log(1 + exp(-z)) + (1 - y) log(1 + exp(z)), share outputs: PyTorch's
 *                       BCEWithLogitsLoss(pos_weight=w)
 *   LOSS_TREE           sum (p - y)², share outputs, of the predictions p: within a question the logits become shares q
 *                       of 1, and p = q times p of the answer that leads to the question (times 1 where none does).
 *                       q is the softmax, or, divisive, max(z, 0) / (sum of max(z, 0) + 1e-12), which can give a hard 0
 *                       (Dieleman et al. 2015, arXiv:1503.07077, section 6.3). There a question without any positive
 *                       logit answers 0 throughout and would never learn; its gradient is passed on as if q were z.
 *   LOSS_LINEAR         sum z y, share 1: y is what a simulation says that its result gains with each output, so that
 *                       this loss has the gradient of the simulation's
 */
#ifndef NAS_LOSS_H
#define NAS_LOSS_H
#include "engine/graph.h"

/* Targets of a row: 1 for classes, else outputs, as for soft ones. d: 0 as if all were 0. */
int64_t loss_width(LossKind kind, const LossDetail *d, int64_t outputs);
double loss_share(LossKind kind, const LossDetail *d, int64_t outputs, const float *y);
/* grad (outputs) may be 0; it is that of loss_row() / over. */
double loss_row(LossKind kind, const LossDetail *d, int64_t outputs, const float *z, const float *y, double over,
                float *grad);
/* Predictions of a row: class probabilities, the values themselves, probabilities, shares along the tree. */
void loss_predict(LossKind kind, const LossDetail *d, int64_t outputs, const float *z, double *p);
double loss_softplus(double x); /* log(1 + exp(x)), without overflow */
double loss_sigmoid(double x);
#endif
