/* plan: when every operation runs and where every buffer lives, settled before the first step.
 *
 * Operations are cut into groups, by segment (the finest) and within it by depth: those of one group do not depend on
 * each other, so a backend may run them in any order or at once. A training pass is a list of steps: all groups forward,
 * then all of them backward in reverse. A buffer lives from birth to death, in steps; two buffers may share bytes when
 * their lives do not meet.
 *
 * With recomputation (Chen et al. 2016, arXiv:1604.06174), only those tensors of a segment outlive its forward pass that
 * another segment reads. The others die with their last reader and have a second life, at the same place: before the
 * segment's groups run backward, they run once more, as far as they make such tensors. The last segments are exempt, as
 * many as can keep their tensors without raising the peak. Groups do not depend on what is recomputed, so neither does
 * the order of any sum.
 *
 *   steps of two segments of two groups, the last one exempt:  F0 F1 F2 F3 | B3 B2  A0 A1 B1 B0
 */
#ifndef NAS_PLAN_H
#define NAS_PLAN_H
#include "engine/graph.h"

typedef struct {
    int32_t birth, death; /* first and last step; birth < 0: never */
} Life;

typedef struct {
    int64_t bytes;  /* 0: there is none */
    int64_t offset; /* within the arena of the plan */
    Life life[2];   /* the second: computed again */
    int32_t choice,
        alternative; /* of its operation; with a single path, those of a choice may share bytes at any time */
} Buffer;

typedef enum { STEP_FORWARD, STEP_AGAIN, STEP_BACKWARD } StepKind;
typedef struct {
    StepKind kind;
    int32_t group;
} Step;

typedef struct {
    int32_t groups;
    int32_t *group_start; /* (groups + 1) into order */
    int32_t *order;    /* operations that lead to the logits, by group; OP_INPUT is left out; those of an auxiliary head
                             count unless forward_only */
    int32_t *group_of; /* per operation; -1: dead, it leads nowhere */
    Step *step;        /* the first `groups` are the forward pass, in order */
    int32_t steps;
    bool *again;          /* per operation: STEP_AGAIN runs it */
    Buffer *data;         /* per value: plain and raw tensors */
    Buffer *grad;         /* per value: gradients of plain values, and of raw values that another convolution takes */
    bool *needs_mix_grad; /* per value: some mixing weight acts on what it is made of */
    int64_t bytes;        /* of the arena */
} Plan;

/* Sizes are the backend's business: bytes of a tensor of `v` for the largest batch. */
typedef int64_t (*PlanSize)(const ValueInfo *v, int64_t batch, const void *context);

/* recompute: the kind of segment to recompute; SEGMENT_WHOLE: none, the whole net being its own last segment. single_path:
 * the promise of EngineOptions. */
extern const char *const recompute_name[SEGMENT_KIND_COUNT]; /* "none", "cell", "node" */
Plan *plan_make(Arena *perm, Arena scratch, const Graph *g, int64_t batch, bool forward_only, bool single_path,
                SegmentKind recompute, PlanSize size, const void *context);
#endif
