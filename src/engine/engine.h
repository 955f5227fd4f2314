/* engine: runs a graph on a backend, with every byte planned before the first step.
 *
 *   Engine *e = engine_open(perm, graph, &options, &why);
 *   engine_upload(e, BLOCK_WEIGHTS, w);
 *   engine_batch(e, x, y, n);
 *   engine_forward(e, MODE_TRAIN);
 *   engine_backward(e, GRAD_WEIGHTS);          gradient in BLOCK_GRAD
 *   engine_sgd(e, …);                          none if the loss is not finite
 *   engine_outputs(e, &loss, logits);          engine_wait(e);
 *
 * A device works while the program goes on, and does such a step as one piece if nothing is asked of it before the update.
 *
 * Determinism: the result of every call depends on its inputs alone, not on the number of threads.
 */
#ifndef NAS_ENGINE_H
#define NAS_ENGINE_H
#include "base/arena.h"
#include "base/pool.h"
#include "engine/graph.h"

typedef struct Engine Engine;

typedef enum { MODE_TRAIN, MODE_EVAL } Mode; /* batch statistics (running ones updated), or running statistics */
typedef enum { GRAD_WEIGHTS = 1, GRAD_MIX = 2, GRAD_ALL = 3 } GradWhat; /* MIX alone skips all weight gradients */

/* What elements of tensors are: activations and their gradients. Weights, their gradients and moments, statistics, sums,
 * losses and mixing weights are floats. BF16: bfloat16, rounded to nearest; a GPU's, to save memory and its traffic. */
typedef enum { PRECISION_FP32, PRECISION_BF16, PRECISION_COUNT } Precision;
extern const char *const precision_name[PRECISION_COUNT]; /* "fp32", "bf16" */

typedef struct {
    const char *device;    /* "auto", "cpu", "ref", "cuda", "cuda:1"; tests: "cudasim" */
    int64_t batch;         /* largest batch */
    bool forward_only;     /* no gradients: far less memory */
    bool single_path;      /* a promise: of the alternatives of a choice (graph_alternative) one is active at most */
    SegmentKind recompute; /* less memory, more time, the same bits: plan.h; SEGMENT_WHOLE: nothing is recomputed */
    Precision precision;
    bool tf32; /* a GPU's products of matrices may round their factors to 10 bits, for speed */
    Pool *pool;
} EngineOptions;

typedef enum { /* flat blocks of g->weight_count floats, in the order of g->params */
               BLOCK_WEIGHTS,
               BLOCK_GRAD,
               BLOCK_MOMENT1,
               BLOCK_MOMENT2,
               BLOCK_SAVED,
               BLOCK_BEST,
               BLOCK_MEAN, /* a running mean of the weights */
               BLOCK_WEIGHT_KINDS,
               BLOCK_STATS = BLOCK_WEIGHT_KINDS,
               BLOCK_STATS_SAVED,
               BLOCK_STATS_MEAN,
               BLOCK_STATS_BEST, /* running statistics, g->stat_floats floats */
               BLOCK_COUNT
} Block;

typedef struct {          /* what engine_open will take */
    int64_t host, device; /* bytes; device: of one that has memory of its own */
    int64_t device_free;  /* bytes that this device has left for us, now */
    const char *parts;    /* one line saying for what */
} EngineMemory;
/* Returns 0, or why the graph or the device is not to be had. */
const char *engine_memory(const Graph *g, const EngineOptions *o, Arena scratch, Arena *perm, EngineMemory *out);
Engine *engine_open(Arena *perm, const Graph *g, const EngineOptions *o, const char **why);
void engine_close(Engine *e);
const Graph *engine_graph(const Engine *e);
const char *engine_device(const Engine *e); /* "cpu AVX-512, … (no CUDA driver …)": what, and why if "auto" */
/* Why the device failed, if it did, for good: from then on every result is NaN and every call returns. 0: all is well. To
 * be asked when a loss is not finite, and before what was computed or downloaded is passed on. */
const char *engine_error(const Engine *e);

int64_t engine_block_count(const Engine *e, Block b);
void engine_upload(Engine *e, Block b, const float *from);
void engine_download(Engine *e, Block b, float *to);
void engine_copy(Engine *e, Block to, Block from);

/* Mixing weights of a table and their gradient (dLoss/dweight, set by a backward pass with GRAD_MIX). */
void engine_set_mix(Engine *e, int32_t table, const float *weight);
void engine_get_mix_grad(Engine *e, int32_t table, float *grad);
/* Switches elements of a table on or off (1/0 per element; 0 pointer = all on): operations whose every term is off cost
 * nothing, and running statistics do not move. */
void engine_set_active(Engine *e, int32_t table, const uint8_t *active);
/* Drop-path: keep probability 1-p; masks are f(seed, step, term, sample). p = 0 switches off. Applies to MODE_TRAIN. Noise
 * operations take their seed and step from here, in both modes. */
void engine_set_drop(Engine *e, double p, uint64_t seed, int64_t step);

/* x (n, C, H, W) float32; y (n, 1) class indices or (n, outputs) targets; y may be 0 for prediction. n <= batch.
 * x is 0 for a graph without an input. */
void engine_batch(Engine *e, const float *x, const float *y, int64_t n);
void engine_forward(Engine *e, Mode mode);
/* After a forward pass: targets that depend on its logits; sets the loss and what a backward pass starts from. */
void engine_targets(Engine *e, const float *y);
double engine_loss(Engine *e);             /* mean over the batch (MSE: over batch and outputs) */
void engine_logits(Engine *e, float *out); /* (n, outputs) */
/* Both of the last forward pass, without waiting for it: *loss and logits (either may be 0) are set at once or later, by
 * engine_wait() or the next call but one of this function at the latest. */
void engine_outputs(Engine *e, double *loss, float *logits);
void engine_wait(Engine *e); /* until all that was asked for is there */
/* Gradients of the last forward pass (MODE_TRAIN), once: it uses up the pass's tensors. BLOCK_GRAD is overwritten. */
void engine_backward(Engine *e, GradWhat what);

/* Optimiser steps, each one fused pass over the blocks. Weight decay is L2, added to the gradient, as in PyTorch.
 * sgd: v = m*v + (g + wd*w); w -= lr*v (nesterov: w -= lr*(g + wd*w + m*v)); velocity in MOMENT1.
 * adam: PyTorch's Adam with bias correction; decoupled = AdamW. step counts from 1.
 * After a backward pass from a loss that is not finite they do nothing. */
double engine_grad_norm(Engine *e); /* L2 norm of BLOCK_GRAD */
/* For the next update alone: its gradient is scaled down to a norm of `most` if it has a greater one (0: no limit), as by
 * PyTorch's clip_grad_norm_. */
void engine_clip(Engine *e, double most);
void engine_scale(Engine *e, Block b, double factor);
void engine_axpy(Engine *e, Block y, double a, Block x); /* y += a*x */
double engine_dot(Engine *e, Block a, Block b);
void engine_sgd(Engine *e, double lr, double momentum, double weight_decay, bool nesterov, double grad_scale);
void engine_adam(Engine *e, double lr, double beta1, double beta2, double eps, double weight_decay, bool decoupled,
                 int64_t step, double grad_scale);

/* For tests and tools: a value's tensor (n, C, H, W) after forward, if nothing else has its place by then (forward_only,
 * recompute); raw values before normalisation. */
void engine_value(Engine *e, Value v, float *out);

typedef struct {
    const char *op;           /* kind, e.g. "sepconv 3x3" */
    int64_t calls;            /* forward */
    double forward, backward; /* seconds */
    double flops, bytes;      /* that had to be done and moved: two a multiply-add; graph_traffic in elements */
} EngineProfile;
/* Time per kind of operation since open; profiling is on if NAS_PROFILE is set or engine_set_profile was called. */
void engine_set_profile(Engine *e, bool on);
int64_t engine_profile(const Engine *e, EngineProfile *rows, int64_t room);
#endif
