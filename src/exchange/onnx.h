/* onnx: a network with its weights as an ONNX model, for inference by other programs.
 *
 * Format: onnx.proto and Operators.md of ONNX 1.12 (github.com/onnx/onnx, tag v1.12.0), IR version 7, operator set 13,
 * which every runtime since 2021 reads; standard operators only. The model:
 *
 *   input        (batch, C, H, W) float32, as samples are; a series has H = 1
 *   logits       (batch, outputs), what the head says
 *   predictions  (batch, outputs), what nas-eval writes: class probabilities, targets in their own unit, probabilities of
 *                labels, shares along the tree of questions (engine/loss.h)
 *
 * The batch axis is free. Batch normalisation is in its inference form, by the running statistics. Parameters have their
 * names of PyTorch; mixing weights of a supernet are constants named "<table>.<index>". What no output depends on is left
 * out: operations of mixing weight 0, too.
 */
#ifndef NAS_ONNX_H
#define NAS_ONNX_H
#include "engine/graph.h"

typedef struct {
    const Graph *graph;
    const float *weights, *stats;             /* blocks of the graph */
    const float *const *mixing;               /* of each of its tables; 0 where it has none */
    int64_t channels, height, width;          /* of a sample; the graph may take it as a vector */
    const double *mean, *sd;                  /* (channels): the input is (x - mean) / sd; 0: x is normalised already */
    const double *target_mean, *target_sd;    /* (outputs), LOSS_MSE alone: predictions are logits * sd + mean; or 0 */
    const char *name, *description, *version; /* of the model, for a person; of the program that writes it */
} OnnxModel;

/* The bytes of the model, in `perm`. Returns 0, or why it cannot be written: noise operations, which have no inference
 * form, and models beyond the 2 GiB of a Protocol Buffers message. */
const char *onnx_pack(Arena *perm, const OnnxModel *m, const void **bytes, int64_t *count);
#endif
