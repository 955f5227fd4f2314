/* carry: the weights of a trained network as the first ones of a network for other data.
 *
 * Both are of one kind, depth and width. A tensor is carried over if both networks have one of its name and shape. Two ends
 * may differ. The stem: a convolution that reads the samples, where only their channels differ, is adapted: each channel
 * gets the mean over the old channels, times old / new, so that the sum that it makes is of the same size; a linear layer
 * that reads them begins anew. The head, and that of an auxiliary tower, begins anew if its outputs are others. Anything
 * else that does not fit is a misfit. (Yosinski et al. 2014, arXiv:1411.1792, is about what carries over and what must be
 * tuned.)
 */
#ifndef NAS_CARRY_H
#define NAS_CARRY_H
#include "engine/graph.h"
#include "stream/record.h"

typedef struct { /* a trained network: its record, and the tensors of one set */
    NetworkRecord net;
    const char *set; /* 0: none yet */
    TensorRecord *tensor;
    int64_t count, room;
} Trained;

/* Takes a tensor over, its name and data by copy. Of several sets the first whole one that comes is kept: that of the first
 * tensor. */
void carry_take(Arena *perm, Trained *from, const TensorRecord *t);

typedef struct {
    bool *kept;                      /* per parameter: carried over as it is */
    int64_t carried, adapted, fresh; /* numbers of weights */
    const char *names;               /* of the parameters that are adapted or fresh */
} Carried;
/* Puts what carries over into weights and stats, which hold initial values. Returns 0, or which tensor does not fit. */
const char *carry_fill(Arena *perm, const Graph *g, const Trained *from, float *weights, float *stats, Carried *out);
#endif
