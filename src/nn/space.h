/* space: the operations that can stand on an edge, and the shape of a cell. */
#ifndef NAS_SPACE_H
#define NAS_SPACE_H
#include "base/arena.h"
#include "engine/graph.h"

enum { SPACE_MAX_OPS = 24 };

typedef enum { PRIM_NONE, PRIM_SKIP, PRIM_POOL, PRIM_SEP, PRIM_DIL, PRIM_CONV_SPLIT, PRIM_NOISE } PrimitiveKind;
typedef struct {      /* one row an operation: data, not code */
    const char *name; /* "sep_conv_3x3" */
    PrimitiveKind kind;
    int kernel_h, kernel_w, dilation; /* 1×k: along the width alone; of k×k a series takes the 1×k */
    PoolKind pool;
} Primitive;
extern const Primitive primitive_table[];
extern const int64_t primitive_count;
int primitive_find(const char *name, int64_t length); /* index or -1 */
/* Why `name` is no operation, with the names it may have meant. */
const char *primitive_unknown(Arena *perm, const char *name, int64_t length);

typedef struct {
    int8_t op[SPACE_MAX_OPS]; /* columns of alpha: indices into primitive_table */
    int64_t op_count;
    int64_t nodes, inputs, concat; /* 4, 2, 4 in DARTS */
} Space;
extern const char space_default_ops[]; /* the eight of DARTS, comma-separated, in the published order */
/* ops: comma-separated names, or a named set ("darts", "galaxy-zoo-9", "galaxy-zoo-11", "series"). Returns 0 or why
 * not. */
const char *space_make(Arena *perm, const char *ops, int64_t nodes, int64_t inputs, int64_t concat, Space *out);
const char *space_auto_ops(int64_t height);      /* the set for samples of this height: a series (1) gets "series" */
int64_t space_edges(const Space *s);             /* nodes*2 + nodes*(nodes-1)/2: rows of alpha */
int64_t space_edge(int64_t node, int64_t input); /* row of the edge input -> node */
int space_none(const Space *s);                  /* column of none, or -1 */
#endif
