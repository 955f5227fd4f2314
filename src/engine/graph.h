/* graph: the static description of a network, built once, for every backend.
 *
 * Coarse operations, the unit that a backend can fuse, over values:
 *
 *   plain   a tensor (C, H, W) per sample that is stored: the input, the output of mix
 *   raw     the output of conv or sepconv, usually with batch normalisation attached. The normalised tensor is never
 *           stored: the one consumer applies (y - mean) * invstd * gamma + beta while loading.
 *   pooled  max or average pooling of a plain value, batch normalisation attached or not; recomputed where it is used
 *   concat  plain values side by side along the channels; nothing is copied
 *
 * `select` makes a plain value of some channels of a plain or concat value, in any order; `noise` one of normal noise;
 * `learned` one of parameters alone; `resize` an enlarged one. A net ends in a head (features to outputs) or a flatten (every
 * element of a plain value is an output: an image, a design).
 *
 * A raw or pooled value has exactly one consumer: a term of a mix, or (raw) the next conv or sepconv, which takes it
 * after normalisation and ReLU. Plain values have any number.
 *
 *   mix     out = sum over terms of weight * drop * f(term)      f: normalised value, optionally ReLU
 *
 * is both the supernet's weighted sum over all operations of all edges into a node (one pass; alpha gradients are
 * reductions of the same pass) and the derived net's addition of two operations.
 *
 * Shapes: (N, C, H, W). All sizes are those of one sample; N comes at run time, up to the engine's batch.
 *
 * Segments are runs of operations in the order in which they were built, coarse (cells) and, within these, fine (nodes).
 * They change no number: they say where a plan may forget tensors and compute them again (plan.h).
 */
#ifndef NAS_GRAPH_H
#define NAS_GRAPH_H
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

typedef int32_t Value; /* index of a value in its graph; negative: none */

typedef enum {
    OP_INPUT,
    OP_CONV,
    OP_SEPCONV,
    OP_POOL,
    OP_MIX,
    OP_HEAD,
    OP_SELECT,
    OP_NOISE,
    OP_LEARNED,
    OP_RESIZE,
    OP_FLATTEN,
    OP_KIND_COUNT
} OpKind;
typedef enum { VALUE_PLAIN, VALUE_RAW, VALUE_POOLED, VALUE_CONCAT, VALUE_LOGITS } ValueKind;
typedef enum { POOL_MAX, POOL_AVG } PoolKind; /* AVG does not count padding */
typedef enum { LOSS_CROSS_ENTROPY, LOSS_MSE, LOSS_BINARY, LOSS_TREE, LOSS_LINEAR, LOSS_KIND_COUNT } LossKind;
typedef enum { /* batch normalisation without / with gamma and beta; a beta (bias) alone */
               NORM_NONE,
               NORM_PLAIN,
               NORM_AFFINE,
               NORM_BIAS
} NormKind;
typedef enum { RESIZE_NEAREST, RESIZE_BILINEAR, RESIZE_ZEROS } ResizeKind; /* ZEROS: the new places hold zeros */
typedef enum { SEGMENT_WHOLE, SEGMENT_CELL, SEGMENT_NODE, SEGMENT_KIND_COUNT } SegmentKind; /* coarse to fine */

enum { GRAPH_MAX_TAPS = 49 * 4, GRAPH_EPS_INV = 100000 }; /* BN epsilon 1e-5, momentum 0.1, as PyTorch's defaults */

enum { TREE_MAX_OUTPUTS = 1024 };
typedef struct {          /* of a decision tree: one of its answers is given */
    int32_t first, count; /* its answers: outputs first … first + count - 1 */
    int32_t parent;       /* the output (answer) that leads to it; -1: it is always asked */
} Question;

typedef struct {          /* what a loss needs beside its kind; all 0: nothing. engine/loss.h has the formulas */
    const double *weight; /* (outputs) of a class, or of a positive of an output; 0: 1 throughout */
    const Question *question;
    int32_t questions; /* LOSS_TREE: an answer's question before those that it leads to; each output in one of them */
    bool divisive;     /* ReLU and division by the sum in place of a softmax */
    bool soft;         /* LOSS_CROSS_ENTROPY: targets are shares of the classes, not one of them */
} LossDetail;

typedef struct {     /* dense convolution, no bias: k×k, or the two half-width stride-2 1×1 of a factorised reduce */
    bool relu;       /* ReLU on the input */
    bool factorized; /* two 1×1 convolutions of stride 2 on x(2i,2j) and x(2i+1,2j+1), outputs side by side; zero
                                outside. graph_conv sets the strides: 1 along a side of 1 (a series), where the second
                                tap is x(i,2j+1), that is, the offset of the second tap is stride - 1 */
    int64_t out_channels;
    int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
    NormKind norm;
} ConvSpec;

typedef struct {
    PoolKind kind;
    int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
    int64_t extra_pad_bottom_right; /* zeros that count (the 2×2 pools of the ancestor): rows/columns added at the end
                                        (none along a side where the kernel is 1) */
    NormKind norm;
} PoolSpec;

typedef struct { /* y = normalise(enlarge(tanh(x))) */
    ResizeKind kind;
    int64_t factor; /* of both sides; 1: none. BILINEAR: half-pixel centres, the border repeated */
    bool tanh;
    bool
        norm; /* one mean and one biased variance (+ 1e-6) over a sample's whole output; ZEROS: over what is not put in */
} ResizeSpec;

typedef struct {
    Value value;   /* plain (identity), raw or pooled; all terms of a mix have the same shape */
    int32_t table; /* mixing-weight table, or -1: weight 1 */
    int32_t index; /* element of the table */
    bool relu;     /* ReLU on the term */
    bool drop;     /* drop-path: scaled per sample by the mask of this term (0 or 1/(1-p)) */
} Term;

typedef enum { PARAM_WEIGHT, PARAM_GAMMA, PARAM_BETA, PARAM_BIAS, PARAM_LATENT } ParamRole;
typedef struct {      /* a parameter's place in the flat block of weights, row-major */
    const char *name; /* PyTorch's name of the same tensor, e.g. "cells.0._ops.3._ops.4.op.1.weight" */
    int64_t shape[4];
    int rank;
    int64_t offset, count;
    int64_t fan_in; /* for initialisation: Kaiming uniform with a = sqrt(5), U(±1/sqrt(fan_in)), PyTorch's default */
    ParamRole role;
} Param;

typedef struct { /* running statistics of one normalisation: block of statistics holds mean[C] then variance[C] */
    const char *name;
    int64_t channels, offset;
} NormStat;

typedef struct {
    const char *name;
    int64_t count; /* elements: edges × ops */
} MixTable;

typedef struct {
    ValueKind kind;
    int64_t channels, height, width;
    int32_t op;         /* producer, -1 for concat */
    int32_t part_count; /* concat */
    const Value *parts;
    int32_t consumers;
    NormKind norm;
    int32_t gamma, beta; /* param ids, or -1 */
    int32_t stat;        /* NormStat id, or -1 */
} ValueInfo;

typedef struct {
    OpKind kind;
    const char *name;
    Value input, output;
    union {
        ConvSpec conv; /* OP_CONV and OP_SEPCONV */
        PoolSpec pool;
        struct {
            const Term *terms;
            int32_t count;
        } mix;
        struct {
            int64_t outputs;
        } head;
        const int32_t *select; /* channel of the input for each channel of the output */
        ResizeSpec resize;
        struct {
            int64_t latent; /* numbers that a layer makes the value of; 0: it is a parameter itself */
            double scale;
        } learned;
    };
    int32_t weight, weight2; /* param ids: conv: kernel (factorised: both); sepconv: depthwise, pointwise; head: matrix,
                                bias; learned: bias, matrix (the latent vector follows it) */
    int64_t macs;            /* per sample, forward */
    int32_t segment[SEGMENT_KIND_COUNT]; /* of each kind, the one that it belongs to, counted from 0 */
    int32_t choice, alternative;         /* graph_alternative() */
} Op;

typedef struct {
    Arena *perm;
    Op *ops;
    int32_t op_count;
    int64_t op_room;
    ValueInfo *values;
    int32_t value_count;
    int64_t value_room;
    Param *params;
    int32_t param_count;
    int64_t param_room;
    NormStat *stats;
    int32_t stat_count;
    int64_t stat_room;
    MixTable *tables;
    int32_t table_count;
    int64_t table_room;
    int64_t weight_count; /* floats in the block of weights */
    int64_t stat_floats;  /* floats in the block of running statistics */
    int64_t macs;
    Value input, logits;
    Value auxiliary;                     /* logits of a second head, which serves training alone, or -1 */
    double auxiliary_weight;             /* of its loss */
    int64_t auxiliary_count;             /* parameters that serve it alone; macs are without it */
    int32_t segment[SEGMENT_KIND_COUNT]; /* the latest */
    LossKind loss;
    LossDetail detail;
    int64_t outputs;
    int32_t choice, alternative; /* of the operations to come */
    const char *error;           /* the first thing that did not fit (shapes, a value used twice); sticky */
} Graph;

/* perm must outlive the graph. All builders return the new value; a misuse sets g->error and returns -1, which further
 * builders pass on. `name` is the PyTorch prefix of the operation's parameters ("stem.0"); copied. */
Graph *graph_new(Arena *perm);
Value graph_input(Graph *g, int64_t channels, int64_t height, int64_t width);
Value graph_conv(Graph *g, Value x, ConvSpec spec, const char *weight_name, const char *norm_name);
/* factorised: weight names are given as "a|b". sepconv: ReLU (optional), depthwise k×k, pointwise 1×1, no bias; weights
 * "a|b", depthwise and pointwise; never factorized. */
Value graph_sepconv(Graph *g, Value x, ConvSpec spec, const char *weight_names, const char *norm_name);
Value graph_pool(Graph *g, Value x, PoolSpec spec, const char *norm_name);
Value graph_concat(Graph *g, const Value *parts, int32_t count);
int32_t graph_table(Graph *g, const char *name, int64_t count);
/* What is built from here on is a new segment of this kind, and of the finer ones. */
void graph_segment(Graph *g, SegmentKind kind);
Value graph_mix(Graph *g, const Term *terms, int32_t count, const char *name);
/* Channel i of the result is channel from[i] of x. */
Value graph_select(Graph *g, Value x, const int32_t *from, int64_t count, const char *name);
/* Noise of x's shape, whatever x is, with every stride-th row and column of it; mean 0, variance 1, nearly normal; f(seed, step, operation, element)
 * of engine_set_drop(). */
Value graph_noise(Graph *g, Value x, int64_t stride_h, int64_t stride_w, const char *name);
/* A plain value that no input makes: scale * bias (channels, height, width), initially 0, and, where latent > 0, a matrix
 * (latent, channels * height * width) times a latent vector. All are parameters, "name.bias", "name.weight",
 * "name.latent"; a scale above 1 makes what it multiplies learn faster. The same for every sample. */
Value graph_learned(Graph *g, int64_t channels, int64_t height, int64_t width, int64_t latent, double scale,
                    const char *name);
/* With RESIZE_ZEROS and a convolution after it this is a transposed convolution (kernel turned by 180 degrees). */
Value graph_resize(Graph *g, Value x, ResizeSpec spec, const char *name);
/* Operations from here on are one alternative of a choice; 0, 0: of none. An engine that is promised a single path lets the
 * alternatives of a choice have the same memory. */
void graph_alternative(Graph *g, int32_t choice, int32_t alternative);
/* Global average pooling, then a linear layer to `outputs` values; sets g->logits. */
Value graph_head(Graph *g, Value x, int64_t outputs, const char *name);
/* The same as a second head, built before the first one; sets g->auxiliary. In training its loss, of the same targets,
 * times `weight` is added (Szegedy et al. 2015, arXiv:1409.4842, section 5). Evaluation does not count it, and engines
 * that are forward_only leave out what leads to it alone. */
Value graph_auxiliary(Graph *g, Value x, int64_t outputs, const char *name, double weight);
/* All elements of x, channel by channel, are the outputs; sets g->logits. */
Value graph_flatten(Graph *g, Value x, const char *name);
/* What `detail` (0: none) points to must outlive the graph. */
void graph_loss(Graph *g, LossKind kind, const LossDetail *detail);
/* Values that a sample's pass through an operation has to read and write at the least: each tensor once, but a gradient
 * that is added to twice; no weights. */
int64_t graph_traffic(const Graph *g, int32_t op, bool backward);
/* used[t], t < count: do weights of table t take part in a sum? */
void graph_tables_used(const Graph *g, bool *used, int32_t count);
/* Element count of all parameters, but for those of an auxiliary head. */
int64_t graph_param_total(const Graph *g);
/* Fills `weights` (g->weight_count) with initial values: kernels Kaiming-uniform, gamma 1, beta 0, latent vectors normal;
 * a function of seed and parameter index. Fills `stats` with mean 0, variance 1. */
void graph_init(const Graph *g, uint64_t seed, float *weights, float *stats);
#endif
