/* bounded: the pair of cells of the greatest weight among those whose network stays within bounds.
 *
 * Parameters and multiply-accumulates of a network are a constant plus one term for every kept edge, which depends on the
 * cell's kind, on whether the edge comes from an input of the cell (in reduction cells those have stride 2) and on the
 * operation. So the cells of greatest weight sum under the bounds are a knapsack with one choice a node: solved exactly by
 * adding node after node and dropping what another partial choice beats in all three of weight, parameters and MACs.
 */
#ifndef NAS_BOUNDED_H
#define NAS_BOUNDED_H
#include "nn/network.h"
#include "search/derive.h"

typedef struct {
    int64_t parameters, macs; /* at most; 0: no bound */
} Bounds;

/* Room for partial choices of one node; beyond that, only the heaviest and the cheapest ones are followed, and *exact is
 * false. */
enum { BOUNDED_ROOM = 20000 };

/* net: the network to be built. Margins: weight of the kept operation minus the next best other than none of that edge;
 * below 0 where the bound has forced another than the best. *size gets what the network has. Returns 0, or why not: no
 * cell fits, with the smallest there is. */
const char *derive_bounded(Arena *perm, Arena scratch, const Space *s, const double *normal, const double *reduce,
                           const NetSpec *net, Bounds bounds, Derived *out, Bounds *size, bool *exact);
#endif
