/* Any text as a tree of questions: what is accepted gives fractions that obey it, and gradients; else there is a reason. */
#include <math.h>
#include <stdlib.h>

#include "data/tree.h"
#include "engine/loss.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Arena all;
    if (!all.beg) all = arena_reserve((ptrdiff_t)1 << 26);
    Arena perm = all;
    Tree t;
    const char *why = tree_parse(&perm, arena_strndup(&perm, (const char *)data, (ptrdiff_t)size), &t);
    if (why) {
        insist(*why);
        return 0;
    }
    float *z = NEW(&perm, float, t.outputs), *y = NEW(&perm, float, t.outputs), *grad = NEW(&perm, float, t.outputs);
    double *p = NEW(&perm, double, t.outputs);
    for (int64_t k = 0; k < t.outputs; k++) z[k] = (float)(k % 5 + 1);
    loss_predict(LOSS_TREE, &t.detail, t.outputs, z, p);
    for (int64_t k = 0; k < t.outputs; k++) y[k] = (float)p[k];
    insist(!tree_disobeys(&perm, &t, y, 1e-5));
    insist(loss_row(LOSS_TREE, &t.detail, t.outputs, z, y, 1, grad) < 1e-6);
    for (int64_t k = 0; k < t.outputs; k++) insist(isfinite(grad[k]));
    return 0;
}
