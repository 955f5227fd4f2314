/* kernels_cuda: launches of the CUDA kernels, as C functions.
 *
 * The structs of kernels.h with one lane, so tensors are (N, C, H, W); all their pointers are device pointers.
 *
 * With bf16, the elements of all tensors - activations and their gradients, a sepconv's between its two halves, what is
 * gathered for cuBLAS - are bfloat16, rounded to nearest, whatever the type of the pointers to them; what is computed and
 * summed from them, weights, their gradients, statistics, pooled features and logits are floats.
 *
 * Where a
 * kernel sums over images and pixels, each block writes its part and a second launch adds the parts up in order, in double:
 * there are no atomic operations, so the same input gives the same bits. Every function launches on `stream` (a
 * cudaStream_t), waits for nothing and returns 0 if the launch was accepted, else a status for cuda_status_text(), mostly a cudaError_t.
 */
#ifndef NAS_KERNELS_CUDA_H
#define NAS_KERNELS_CUDA_H
#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CUDA_SLOTS = 32, CUDA_WEIGHT_SLOTS = 64 }; /* most parts of a sum over a batch; of a weight's gradient */

typedef struct { /* cuBLAS, for large convolutions: gemm.cu */
    void *handle;
    int32_t tf32;    /* products may round their factors to 10 bits, for speed */
    float *gathered; /* `room` elements of work area */
    int64_t room;
    void *weight; /* bf16: room for the rounded weights of any convolution; else 0 */
} CudaGemm;

/* A convolution, or one half of a factorised reduce: output channels [out_first, out_first + out_count) of k.y, from
 * `weight` (out_count, in, taps), or sepconv: (out_count, in), both as in the network's block of weights. k.dw
 * (in, taps). k.sums, k.in_sums, k.g_dw, k.g_pw, k.pw, k.pw_t and k.block_lanes are not used. */
typedef struct {
    KConv k;
    int64_t n; /* images */
    const float *weight;
    int32_t out_first, out_count;
    float *sums;    /* (parts, 2, out_blocks) or 0: sums of y and y*y; parts = cuda_conv_parts */
    float *in_sums; /* (parts, 2, in_blocks), with k.in_scale: sums of gx and gx*x; parts = cuda_conv_in_parts */
    float *middle;  /* (N, in, Ho, Wo), sepconv: gradient between the two convolutions */
    float *slots;   /* cuda_conv_slots(k) parts of the gradients below */
    float *g_dw, *g_weight; /* gradients, shaped as k.dw and weight; 0: not wanted */
    int32_t wants_input;    /* some k.gx is set */
    int32_t bf16;           /* what tensors are made of */
    int32_t by_gemm;        /* from the first call on: parts of sums depend on it */
    const CudaGemm *gemm;   /* on the host */
} CudaConv;

int64_t cuda_conv_parts(const CudaConv *k);
int64_t cuda_conv_in_parts(const CudaConv *k);
int64_t cuda_conv_slot_floats(const CudaConv *k); /* that `slots` must hold for k->n images or fewer */
int cuda_conv_forward(const CudaConv *k, void *stream);
int cuda_conv_backward(const CudaConv *k, void *stream);

/* by_gemm: does it pay, for k->n images? Elements of work area: for k->n images, or as many as `most` is enough for, or one;
 * that does for any number of them. */
int cuda_conv_by_gemm(const CudaConv *k);
int64_t cuda_conv_weights(const CudaConv *k); /* how many they are: elements of CudaGemm's weight */
int64_t cuda_conv_gathered_elements(const CudaConv *k, int64_t most);
int cuda_gemm_forward(const CudaConv *k, void *stream);  /* cuda_conv_forward and _backward call these */
int cuda_gemm_backward(const CudaConv *k, void *stream); /* but for a sepconv's depthwise half */
/* `workspace` is on the device. */
enum { CUDA_GEMM_WORKSPACE = 32 << 20 };
int cuda_gemm_open(CudaGemm *g, void *workspace, size_t bytes, void *stream);
void cuda_gemm_close(CudaGemm *g);
const char *cuda_status_text(int status); /* of what the functions here return */

int64_t cuda_image_parts(int64_t n); /* parts of a sum over images in the functions below */
int cuda_pool_sums(const KPool *k, int64_t n, int bf16, float *sums, void *stream); /* (parts, 2, C) */
int cuda_pool_backward(const KPool *k, int64_t n, int bf16, void *stream);

typedef struct { /* a term of a sum, in device memory */
    const float *y;
    KPool pool;
    int32_t pooled, relu;
    const float *scale, *shift; /* (C) normalisation, 0: none */
    const float *weight;        /* one number on the device, 0: 1 */
    const float *sample_scale;  /* (N), 0: none */
    float *gx;                  /* of a plain term: weight * gradient is added; 0: not wanted */
} CudaTerm;

typedef struct {
    int32_t terms;
    const CudaTerm *term;
    int32_t bf16;
    int64_t n, channels, height, width;
    float *out;
    const float *g;
    float *sums; /* (parts, terms, 2, C): sums of g_t and g_t*y_t */
} CudaMix;

int cuda_mix_forward(const CudaMix *k, void *stream);
int cuda_mix_sums(const CudaMix *k, void *stream);
int cuda_mix_input(const CudaMix *k, void *stream); /* gx of plain terms */

int cuda_learned_forward(const KLearned *k, int64_t n, int bf16, void *stream);
int cuda_learned_backward(const KLearned *k, int64_t n, int bf16, void *stream); /* k->g_all: no slots, and written */

typedef struct {
    KResize k; /* k.invstd is not used */
    int32_t bf16;
    int64_t n;                               /* images */
    float *mean, *invstd, *mean_g, *mean_gy; /* (N), with k.norm: those of r; means of g and of g*y */
    float *sums;                             /* (N, cuda_resize_parts, 2), with k.norm */
} CudaResize;

int64_t cuda_resize_parts(const CudaResize *k);
int cuda_resize_forward(const CudaResize *k, void *stream);
int cuda_resize_backward(const CudaResize *k, void *stream);
int cuda_resize_norm(const CudaResize *k, int64_t parts, void *stream);  /* these two, for the two above, from the */
int cuda_resize_means(const CudaResize *k, int64_t parts, void *stream); /* sums, in double */

/* n elements of x, one by one: outputs; and the gradient of x, which is added to. */
int cuda_flatten_forward(int64_t n, const float *x, int bf16, float *outputs, void *stream);
int cuda_flatten_backward(int64_t n, float *gx, int bf16, const float *g_outputs, void *stream);

/* Normalisation of one value: batch statistics, what readers apply, and the coefficients of dy (kernels.h). */
typedef struct {
    int64_t channels, count;   /* values of a channel: images * pixels */
    const float *gamma, *beta; /* 0: 1 and 0 */
    float *running;            /* mean (C), variance (C) */
    double *mean, *invstd;
    float *scale, *shift, *a, *b, *d;
    float *g_gamma, *g_beta; /* 0: not wanted */
    int32_t norm;            /* 0: scale is 1, and shift is beta; see cuda_norm_eval */
} CudaNorm;

int cuda_norm_train(const CudaNorm *k, const float *sums, int64_t parts, double epsilon, double momentum, void *stream);
/* From running statistics; norm 0: shift from beta, in training, too. */
int cuda_norm_eval(const CudaNorm *k, double epsilon, void *stream);
/* From sums[part*stride], stride floats apart, (2, C) each: coefficients a, b, d where the reader multiplies by *weight
 * (0: 1); gradients of gamma and beta; *g_weight = dLoss/dweight (0: not wanted). norm 0 and channels alone: g_weight. */
int cuda_norm_backward(const CudaNorm *k, const float *sums, int64_t parts, int64_t stride, const float *weight,
                       double *g_weight, void *stream);

int cuda_head_forward(const KHead *k, int64_t n, int bf16, void *stream);
/* 0, 0: not wanted */
int cuda_head_backward(const KHead *k, int64_t n, int bf16, float *g_weight, float *g_bias, void *stream);

int cuda_select_forward(const KSelect *k, int64_t n, int bf16, void *stream); /* k.place: the channel within its part */
int cuda_select_backward(const KSelect *k, int64_t n, int bf16, void *stream);

/* The mean loss of n rows by one head or two, each times its factor, and its gradients: engine/loss.h has the formulas. */
typedef enum { /* classes; shares of them; sums of squares; labels; products; a tree of questions */
               CUDA_LOSS_CLASSES,
               CUDA_LOSS_SHARES,
               CUDA_LOSS_SQUARES,
               CUDA_LOSS_BINARY,
               CUDA_LOSS_LINEAR,
               CUDA_LOSS_TREE
} CudaLossKind;
typedef struct {
    int32_t first, count, parent;
} CudaQuestion;
typedef struct {
    CudaLossKind kind;
    int32_t outputs, questions, divisive, heads;
    int64_t n;
    const float *weight; /* (outputs), or 0 */
    const CudaQuestion *question;
    const float *targets;   /* (n, outputs); of classes (n) */
    const float *logits[2]; /* (n, outputs) */
    float *grad[2];         /* the same; 0: not wanted */
    float factor[2];
    float *rows; /* (heads + 1, n): losses, shares */
    float *tree; /* (heads, n, 2, outputs), of a tree */
    float *loss; /* one number */
} CudaLoss;
int cuda_loss(const CudaLoss *k, void *stream);

/* Updates. What changes in every step is in device memory, so that a captured graph of launches need not hold it. Nothing is
 * updated if *loss is not finite. */
typedef struct {
    KSgd sgd;
    KAdam adam;
    double clip; /* the norm that a gradient may have; 0: any */
} CudaUpdate;
/* factor: of the gradient beside the numbers' own, 0: 1 */
int cuda_sgd(const CudaUpdate *u, const float *factor, const float *loss, int64_t n, float *w, const float *g,
             float *velocity, void *stream);
int cuda_adam(const CudaUpdate *u, const float *factor, const float *loss, int64_t n, float *w, const float *g,
              float *m, float *v, void *stream);
int cuda_axpy(int64_t n, float *y, float a, const float *x, void *stream);
int cuda_to_bf16(int64_t n, const float *from, void *to, void *stream);
int cuda_scale(int64_t n, float *y, float a, void *stream);
enum { CUDA_DOT_PARTS = 256 };
int cuda_dot(int64_t n, const float *x, const float *y, double *parts, void *stream); /* parts[0] is the result */
/* *factor: what brings g down to the norm of u->clip, as step_clip(). */
int cuda_clip(const CudaUpdate *u, int64_t n, const float *g, double *parts, float *factor, void *stream);

#ifdef __cplusplus
}
#endif
#endif
