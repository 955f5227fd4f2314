/* plan: when every operation runs and where every buffer lives, settled before the first step.
 *
 * Operations are cut into groups by depth: those of one group do not depend on each other, so a backend may run them in
 * any order or at once. Group i runs at time i, its backward pass at time 2*groups - 1 - i. A buffer lives from birth to
 * death in that time; two buffers may share bytes when their lives do not meet.
 */
#ifndef NAS_PLAN_H
#define NAS_PLAN_H
#include "engine/graph.h"

typedef struct {
    int64_t bytes;  /* 0: there is none */
    int64_t offset; /* within the arena of the plan */
    int32_t birth, death;
    int32_t choice,
        alternative; /* of its operation; with a single path, those of a choice may share bytes at any time */
} Buffer;

typedef struct {
    int32_t groups;
    int32_t *group_start; /* (groups + 1) into order */
    int32_t *order;       /* operations that lead to the logits, by group; OP_INPUT is left out */
    int32_t *group_of;    /* per operation; -1: dead, it leads nowhere */
    Buffer *data;         /* per value: plain and raw tensors */
    Buffer *grad;         /* per value: gradients of plain values, and of raw values that another convolution takes */
    bool *needs_mix_grad; /* per value: some mixing weight acts on what it is made of */
    int64_t bytes;        /* of the arena */
} Plan;

/* Sizes are the backend's business: bytes of a tensor of `v` for the largest batch. */
typedef int64_t (*PlanSize)(const ValueInfo *v, int64_t batch, const void *context);

Plan *plan_make(Arena *perm, Arena scratch, const Graph *g, int64_t batch, bool forward_only, bool single_path,
                PlanSize size, const void *context);
#endif
