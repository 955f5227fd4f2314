/* kernels: the C interface of every kernel: pointers, sizes, strides; no engine type, no stdio, no allocation.
 *
 * Layout of a tensor: (N, B, H, W, L): channels in B = ceil(C/L) blocks of L lanes, lanes innermost. Lanes beyond C hold
 * zero in every tensor and in every packed weight, so no kernel asks for C. L belongs to the kernel set: 1 for `ref`
 * (which makes it plain NCHW), 8 or 16 for `cpu`. Every tensor starts on a 64-byte boundary.
 *
 * Work is cut into `slots`: a call handles images [n0, n1) and adds its partial sums (statistics, weight gradients) into
 * slot `slot` alone; the caller zeroes the slots and adds them up in order. The cut does not depend on the number of
 * threads, so neither does a single bit of the result.
 *
 * Normalisation on load. The output y of a convolution is stored raw. Whoever reads it applies v = y*scale + shift, and
 * whoever needs dLoss/dy forms it from the gradient g of the normalised value, on the fly:
 *
 *     dy = a*g + b*y + d            (per channel; g*sample_scale[n] and the ReLU mask first, where given)
 *
 * with a, b, d from the two sums of g and g*y per channel (batch normalisation's backward pass, Ioffe & Szegedy 2015).
 */
#ifndef NAS_KERNELS_H
#define NAS_KERNELS_H
#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#define K_ANYWHERE __host__ __device__
#else
#define K_ANYWHERE
#endif

enum { K_MAX_PARTS = 32, K_MAX_TAPS = 128 };

typedef struct {
    const float *g;                       /* (N, B, Ho, Wo, L) gradient of what the value's consumer read */
    const float *a, *b, *d;               /* (B*L) */
    const float *sample_scale;            /* (N) or 0 */
    const float *mask_scale, *mask_shift; /* (B*L) or 0: g counts only where y*mask_scale + mask_shift > 0 */
} KGrad;

/* Convolution, dense or (depthwise -> pointwise), of ReLU(normalise(x)):
 *     u_k(p)  = x(p*stride + tap_k)                              dense: y = sum_k W_k u_k
 *     u(p)    = sum_k D_k * x(p*stride + tap_k)                  depthwise: y = W u
 * A tap outside the input reads zero. Tap offsets contain the padding (k*dilation - pad). */
typedef struct {
    int32_t parts; /* the input is so many tensors side by side along the channels */
    const float *x[K_MAX_PARTS];
    float *gx[K_MAX_PARTS]; /* backward adds dLoss/dx here; 0: not wanted. With in_scale: written, not added, */
    int32_t part_blocks[K_MAX_PARTS];
    int32_t in_blocks, in_h, in_w;
    const int32_t *block_lanes;       /* (in_blocks) lanes in use */
    const float *in_scale, *in_shift; /* (in_blocks*L) or 0; only with one part */
    double *in_sums;                  /* with in_scale: slots of (2, in_blocks*L): sums of gx and gx*x */
    int32_t relu, depthwise;
    int32_t taps, stride_h, stride_w;
    int32_t tap_y[K_MAX_TAPS], tap_x[K_MAX_TAPS];
    int32_t out_blocks, out_h, out_w;
    float *y;          /* (N, out_blocks, Ho, Wo, L) */
    double *sums;      /* slots of (2, out_blocks*L): sums of y and y*y; 0: not wanted */
    const float *dw;   /* (in_blocks, taps, L), depthwise only */
    const float *pw;   /* (out_blocks, K, L in, L out); K = in_blocks, or dense: taps*in_blocks (tap-major) */
    const float *pw_t; /* (in_blocks, K', L out, L in); K' = out_blocks, or dense: taps*out_blocks (tap-major) */
    int32_t winograd;  /* then pw is (16, out_blocks, in_blocks, L, L), pw_t (16, in_blocks, out_blocks, L, L), both as
                          winograd_weights has made them, and g_pw (9 taps, out_blocks, in_blocks, L, L) */
    KGrad grad;
    float *g_dw, *g_pw; /* slots of the shapes of dw and pw; 0: not wanted */
} KConv;

typedef struct {
    const float *x; /* (N, B, H, W, L), not normalised, no ReLU */
    float *gx;
    int32_t blocks, in_h, in_w, out_h, out_w;
    int32_t average; /* 0: maximum */
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
    int32_t extra_h, extra_w; /* zero rows and columns appended at the end that take part and count */
    double *sums;             /* as in KConv */
    KGrad grad;               /* grad.a … over (B*L); y is recomputed */
} KPool;

typedef struct {
    const float *y;             /* tensor, or 0 */
    const KPool *pool;          /* pooled on the fly, or 0 */
    const float *scale, *shift; /* (B*L): normalisation times the term's weight; shift 0 = none */
    const float *sample_scale;  /* (N) or 0 */
    int32_t relu;               /* weight * ReLU(y*relu_scale + relu_shift): then scale holds the weight alone */
    const float *relu_scale, *relu_shift;
    float *gx; /* identity terms: backward adds scale*g here; 0: none */
} KTerm;

typedef struct {
    int32_t terms;
    const KTerm *term;
    int32_t blocks, height, width;
    float *out;
    const float *g; /* gradient of out */
    double *sums;   /* slots of (1 + 2*terms, B*L): sum of g; per term the sums of g_t and g_t*y_t, where g_t
                                  is g times sample_scale and mask */
} KMix;

/* logits = pooled W^T + bias, pooled = mean over H, W. */
typedef struct {
    int32_t parts;
    const float *x[K_MAX_PARTS];
    float *gx[K_MAX_PARTS]; /* backward adds */
    int32_t part_blocks[K_MAX_PARTS], part_channels[K_MAX_PARTS];
    int32_t channels, height, width, outputs;
    const float *weight, *bias; /* (outputs, channels), (outputs) */
    float *pooled;              /* (N, channels) */
    float *logits;              /* (N, outputs) */
    const float *g_logits;
    float *g_weight; /* slots of (outputs*channels + outputs); 0: not wanted */
} KHead;

/* y = some channels of x, in any order. */
typedef struct {
    int32_t parts; /* x is so many tensors side by side along the channels */
    const float *x[K_MAX_PARTS];
    float *gx[K_MAX_PARTS]; /* backward adds; 0: not wanted */
    int32_t part_blocks[K_MAX_PARTS];
    int32_t channels, blocks, height, width; /* of y */
    const int32_t *part, *place; /* (channels) where a channel comes from: the part, and block*L + lane in it */
    float *y;
    const float *g;
} KSelect;

/* y = scale * bias + z W, the same for every image; bias and y in (channels, pixels) and W in (latent, channels, pixels) as
 * the block of weights has them. */
typedef struct {
    int64_t latent; /* 0: no z and W */
    int32_t channels, blocks, pixels;
    float scale;
    const float *bias, *weight, *z;
    float *y;
    const float *g;
    float *g_all; /* slots of gradients of bias, weight, z, one after another; added to */
} KLearned;

/* y = (r - mean) * invstd, r = enlarge(tanh(x)), per image; graph.h has the details. */
typedef struct {
    const float *x;
    float *gx; /* backward adds */
    int32_t channels, blocks, in_h, in_w, factor;
    int32_t kind; /* 0 nearest, 1 bilinear, 2 zeros */
    int32_t tanh, norm;
    float *y;
    double *invstd; /* (N) */
    const float *g;
} KResize;

typedef struct {
    float lr, momentum, decay, scale;
    int nesterov;
} KSgd;
typedef struct {
    float lr, beta1, beta2, eps, decay, scale; /* lr and eps hold the bias correction */
    int decoupled;
    float lr_plain; /* for decoupled decay */
} KAdam;

typedef struct {
    const char *name;  /* "ref", "v2", "v3", "v4" */
    const char *about; /* "AVX-512" */
    int lanes;
    /* Whether this set does k (all but pointers set) best by Winograd's algorithm; KConv's `winograd` then must be. */
    int (*conv_winograd)(const KConv *);
    /* w: 16 frames of n floats (a multiple of L). Frames 0 … 8 hold the taps of 3x3 filters, and become all 16. */
    void (*winograd_weights)(int64_t n, float *w);
    /* Bytes of private scratch that one call may use. */
    int64_t (*conv_scratch)(const KConv *);
    int64_t (*pool_scratch)(const KPool *);
    int64_t (*mix_scratch)(const KMix *);
    int64_t (*resize_scratch)(const KResize *);
    void (*conv_forward)(const KConv *, int64_t n0, int64_t n1, int64_t slot, void *scratch);
    void (*conv_backward)(const KConv *, int64_t n0, int64_t n1, int64_t slot, void *scratch);
    void (*pool_forward)(const KPool *, int64_t n0, int64_t n1, int64_t slot, void *scratch);
    void (*pool_backward)(const KPool *, int64_t n0, int64_t n1, int64_t slot, void *scratch);
    void (*mix_forward)(const KMix *, int64_t n0, int64_t n1, void *scratch);
    void (*mix_backward)(const KMix *, int64_t n0, int64_t n1, int64_t slot, void *scratch);
    void (*head_forward)(const KHead *, int64_t n0, int64_t n1);
    void (*head_backward)(const KHead *, int64_t n0, int64_t n1, int64_t slot);
    void (*select_forward)(const KSelect *, int64_t n0, int64_t n1);
    void (*select_backward)(const KSelect *, int64_t n0, int64_t n1);
    void (*learned_forward)(const KLearned *, int64_t n0, int64_t n1);
    void (*learned_backward)(const KLearned *, int64_t n0, int64_t n1, int64_t slot);
    void (*resize_forward)(const KResize *, int64_t n0, int64_t n1, void *scratch);
    void (*resize_backward)(const KResize *, int64_t n0, int64_t n1, void *scratch);
    /* Flat blocks, elements [0, n). */
    void (*sgd)(const KSgd *, int64_t n, float *w, const float *g, float *velocity);
    void (*adam)(const KAdam *, int64_t n, float *w, const float *g, float *m, float *v);
    void (*axpy)(int64_t n, float *y, double a, const float *x);
    void (*scale)(int64_t n, float *y, double a);
    double (*dot)(int64_t n, const float *x, const float *y);
} NasKernels;

const NasKernels *nas_kernels_ref(void);
/* The best set for this machine and net: `isa` "" (probe), "v2" "v3" "v4" "base", or with the lanes, "v4/8"; `lanes` 0
 * (widest) or 8 or 16. 0 if it cannot run here or does not exist. */
const NasKernels *nas_kernels_cpu(const char *isa, int lanes);
/* The sets that this machine can run, best first: the i-th, or 0. */
const NasKernels *nas_kernels_cpu_at(int i);

/* ---- geometry shared by all kernel sets ---- */
typedef struct { /* an output pixel of a resize along one side: low_weight * in[low] + high_weight * in[high] */
    int32_t low, high;
    float low_weight, high_weight;
} KBlend;

K_ANYWHERE static inline KBlend k_blend(int32_t kind, int32_t factor, int32_t in, int32_t out_at)
{
    int32_t low = out_at / factor;
    if (kind == 2) return (KBlend){low, low, out_at % factor ? 0.0f : 1.0f, 0};
    if (kind == 0) return (KBlend){low, low, 1, 0};
    int32_t twice = 2 * (out_at % factor) + 1 - factor; /* distance from the centre of `low`, in 1/(2 factor) */
    float away = (float)(twice < 0 ? -twice : twice) / (float)(2 * factor);
    int32_t other = twice < 0 ? (low ? low - 1 : 0) : (low < in - 1 ? low + 1 : low);
    return (KBlend){low, other, 1 - away, away};
}

typedef struct { /* an input image with its padding: rows of `width` pixels, the first real pixel at (top, left) */
    int32_t top, left, height, width;
} KPlane;

/* The plane that all taps of `k` stay inside of. */
static inline KPlane k_plane(const KConv *k)
{
    int32_t y0 = 0, y1 = k->in_h - 1, x0 = 0, x1 = k->in_w - 1;
    for (int t = 0; t < k->taps; t++) {
        int32_t last_y = (k->out_h - 1) * k->stride_h + k->tap_y[t],
                last_x = (k->out_w - 1) * k->stride_w + k->tap_x[t];
        if (k->tap_y[t] < y0) y0 = k->tap_y[t];
        if (k->tap_x[t] < x0) x0 = k->tap_x[t];
        if (last_y > y1) y1 = last_y;
        if (last_x > x1) x1 = last_x;
    }
    return (KPlane){-y0, -x0, y1 - y0 + 1, x1 - x0 + 1};
}

/* Gathering form of the backward pass: input row r gets, from tap t, output row (r - tap_y[t]) / stride_h where that
 * divides. The plane of output gradients that all of these stay inside of. */
static inline int32_t k_floor_div(int32_t a, int32_t b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}
static inline KPlane k_gradient_plane(int32_t taps, const int32_t *tap_y, const int32_t *tap_x, int32_t stride_h,
                                      int32_t stride_w, int32_t in_h, int32_t in_w, int32_t out_h, int32_t out_w)
{
    int32_t y0 = 0, y1 = out_h - 1, x0 = 0, x1 = out_w - 1;
    for (int t = 0; t < taps; t++) {
        int32_t a = k_floor_div(-tap_y[t], stride_h), b = k_floor_div(in_h - 1 - tap_y[t], stride_h);
        int32_t c = k_floor_div(-tap_x[t], stride_w), d = k_floor_div(in_w - 1 - tap_x[t], stride_w);
        if (a < y0) y0 = a;
        if (b > y1) y1 = b;
        if (c < x0) x0 = c;
        if (d > x1) x1 = d;
    }
    return (KPlane){-y0, -x0, y1 - y0 + 1, x1 - x0 + 1};
}
#endif
