/* generate: what generators have beside convolutions: values of parameters alone, enlarging, outputs that are an image. */
#include "kernels/cuda/common.cuh"

namespace
{

enum { THREADS = 256, MOST_PARTS = 32 };

/* ---- learned ---- */

template <class S> __global__ void learned_forward(const __grid_constant__ KLearned k, int64_t images)
{
    int64_t size = (int64_t)k.channels * k.pixels;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += (int64_t)gridDim.x * blockDim.x) {
        float sum = k.scale * k.bias[i];
        for (int64_t l = 0; l < k.latent; l++) sum = fmaf(k.z[l], k.weight[l * size + i], sum);
        for (int64_t n = 0; n < images; n++) put(tensor<S>(k.y) + n * size + i, sum);
    }
}

/* The gradient of element i of what all images share. */
template <class S> __device__ float shared_gradient(const KLearned &k, int64_t images, int64_t size, int64_t i)
{
    float sum = 0;
    for (int64_t n = 0; n < images; n++) sum += float(tensor<S>(k.g)[n * size + i]);
    return sum;
}

template <class S> __global__ void learned_weight(const __grid_constant__ KLearned k, int64_t images)
{
    int64_t size = (int64_t)k.channels * k.pixels;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += (int64_t)gridDim.x * blockDim.x) {
        float g = shared_gradient<S>(k, images, size, i);
        k.g_all[i] = k.scale * g;
        for (int64_t l = 0; l < k.latent; l++) k.g_all[(l + 1) * size + i] = k.z[l] * g;
    }
}

template <class S> __global__ void learned_latent(const __grid_constant__ KLearned k, int64_t images) /* a block each */
{
    __shared__ float room[32];
    int64_t size = (int64_t)k.channels * k.pixels, l = blockIdx.x;
    float sum = 0;
    for (int64_t i = threadIdx.x; i < size; i += THREADS)
        sum = fmaf(shared_gradient<S>(k, images, size, i), k.weight[l * size + i], sum);
    sum = block_sum(sum, room);
    if (!threadIdx.x) k.g_all[(k.latent + 1) * size + l] = sum;
}

/* ---- resize ---- */

struct Place { /* of an output element within its image */
    int channel, y, x;
    bool counts; /* it is not a zero that was put in */
    __device__ Place(const KResize &k, int64_t i)
    {
        int width = k.in_w * k.factor, plane = k.in_h * k.factor * width, rest;
        channel = (int)(i / plane);
        rest = (int)(i - (int64_t)channel * plane);
        y = rest / width;
        x = rest - y * width;
        counts = k.kind != 2 || (y % k.factor == 0 && x % k.factor == 0);
    }
};

__device__ inline int64_t elements_in(const KResize &k)
{
    return (int64_t)k.channels * k.in_h * k.in_w;
}

__device__ inline int64_t elements_out(const KResize &k)
{
    return elements_in(k) * k.factor * k.factor;
}

/* An output element before the normalisation. */
template <class S> __device__ float enlarged(const KResize &k, int64_t n, const Place &p)
{
    const S *x = tensor<S>(k.x) + n * elements_in(k) + (int64_t)p.channel * k.in_h * k.in_w;
    KBlend v = k_blend(k.kind, k.factor, k.in_h, p.y), h = k_blend(k.kind, k.factor, k.in_w, p.x);
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        float weight = (i & 2 ? v.high_weight : v.low_weight) * (i & 1 ? h.high_weight : h.low_weight);
        if (weight == 0) continue;
        float value = float(x[(i & 2 ? v.high : v.low) * k.in_w + (i & 1 ? h.high : h.low)]);
        sum = fmaf(weight, k.tanh ? tanhf(value) : value, sum);
    }
    return sum;
}

/* Of part blockIdx.x of image blockIdx.y: forward, the sums of r and r*r; backward, of g and g*y. */
template <class S> __global__ void resize_sums(const __grid_constant__ CudaResize c, bool backward)
{
    __shared__ float room[32];
    const KResize &k = c.k;
    int64_t n = blockIdx.y, all = elements_out(k), from = all * blockIdx.x / gridDim.x,
            to = all * (blockIdx.x + 1) / gridDim.x;
    float s = 0, q = 0;
    for (int64_t i = from + threadIdx.x; i < to; i += THREADS) {
        Place p(k, i);
        if (!p.counts) continue;
        float a = backward ? float(tensor<S>(k.g)[n * all + i]) : enlarged<S>(k, n, p);
        s += a;
        q = fmaf(a, backward ? float(tensor<S>(k.y)[n * all + i]) : a, q);
    }
    s = block_sum(s, room);
    q = block_sum(q, room);
    if (threadIdx.x) return;
    float *sums = c.sums + 2 * (n * gridDim.x + blockIdx.x);
    sums[0] = s;
    sums[1] = q;
}

template <class S> __global__ void resize_forward(const __grid_constant__ CudaResize c)
{
    const KResize &k = c.k;
    int64_t all = elements_out(k), total = c.n * all;
    for (int64_t e = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; e < total; e += (int64_t)gridDim.x * blockDim.x) {
        int64_t n = e / all;
        Place p(k, e - n * all);
        float r = p.counts ? enlarged<S>(k, n, p) : 0;
        if (k.norm && p.counts) r = (r - c.mean[n]) * c.invstd[n];
        put(tensor<S>(k.y) + e, r);
    }
}

/* Of the input pixel `at`, which output pixels along a side take it, at most. */
__device__ inline void takers(const KResize &k, int at, int size, int *from, int *to)
{
    *from = (at - (k.kind == 1)) * k.factor, *to = (at + 1 + (k.kind == 1)) * k.factor;
    if (*from < 0) *from = 0;
    if (*to > size * k.factor) *to = size * k.factor;
}

__device__ inline float taken(const KResize &k, int size, int out, int at)
{
    KBlend b = k_blend(k.kind, k.factor, size, out);
    return (b.low == at ? b.low_weight : 0) + (b.high == at ? b.high_weight : 0);
}

/* Gathers: an input pixel looks at every output that takes it. */
template <class S> __global__ void resize_backward(const __grid_constant__ CudaResize c)
{
    const KResize &k = c.k;
    int64_t in = elements_in(k), all = elements_out(k), total = c.n * in;
    int width = k.in_w * k.factor;
    for (int64_t e = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; e < total; e += (int64_t)gridDim.x * blockDim.x) {
        int64_t n = e / in, plane = (e - n * in) / (k.in_h * k.in_w);
        int rest = (int)(e - n * in - plane * k.in_h * k.in_w), y = rest / k.in_w, x = rest - y * k.in_w;
        int64_t start = n * all + plane * (k.in_h * k.factor) * width;
        float sum = 0, mean = k.norm ? c.mean_g[n] : 0, slope = k.norm ? c.mean_gy[n] : 0;
        int y0, y1, x0, x1;
        takers(k, y, k.in_h, &y0, &y1);
        takers(k, x, k.in_w, &x0, &x1);
        for (int oy = y0; oy < y1; oy++) {
            float across = taken(k, k.in_h, oy, y);
            for (int ox = x0; ox < x1 && across != 0; ox++) {
                float weight = across * taken(k, k.in_w, ox, x);
                if (weight == 0) continue;
                int64_t i = start + (int64_t)oy * width + ox;
                float g = float(tensor<S>(k.g)[i]) - mean;
                if (k.norm) g = fmaf(-slope, float(tensor<S>(k.y)[i]), g);
                sum = fmaf(weight, g, sum);
            }
        }
        if (k.norm) sum *= c.invstd[n];
        if (k.tanh) {
            float t = tanhf(float(tensor<S>(k.x)[e]));
            sum *= 1 - t * t;
        }
        add(tensor<S>(k.gx) + e, sum);
    }
}

/* ---- flatten ---- */

template <class S> __global__ void flatten_forward(int64_t n, const float *x, float *outputs)
{
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (int64_t)gridDim.x * blockDim.x)
        outputs[i] = float(tensor<S>(x)[i]);
}

template <class S> __global__ void flatten_backward(int64_t n, float *gx, const float *g_outputs)
{
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (int64_t)gridDim.x * blockDim.x)
        add(tensor<S>(gx) + i, g_outputs[i]);
}

} // namespace

int cuda_learned_forward(const KLearned *k, int64_t n, int bf16, void *stream)
{
    LAUNCH(bf16, learned_forward, blocks_for((int64_t)k->channels * k->pixels, THREADS), THREADS, *k, n);
    return launched();
}

int cuda_learned_backward(const KLearned *k, int64_t n, int bf16, void *stream)
{
    LAUNCH(bf16, learned_weight, blocks_for((int64_t)k->channels * k->pixels, THREADS), THREADS, *k, n);
    if (k->latent) LAUNCH(bf16, learned_latent, (unsigned)k->latent, THREADS, *k, n);
    return launched();
}

int64_t cuda_resize_parts(const CudaResize *c)
{
    int64_t all = (int64_t)c->k.channels * c->k.in_h * c->k.in_w * c->k.factor * c->k.factor,
            parts = (all + 2047) / 2048;
    return parts < MOST_PARTS ? parts : MOST_PARTS;
}

int cuda_resize_forward(const CudaResize *c, void *stream)
{
    int64_t all = (int64_t)c->k.channels * c->k.in_h * c->k.in_w * c->k.factor * c->k.factor;
    if (c->k.norm) {
        LAUNCH(c->bf16, resize_sums, dim3((unsigned)cuda_resize_parts(c), (unsigned)c->n), THREADS, *c, false);
        int status = cuda_resize_norm(c, cuda_resize_parts(c), stream);
        if (status) return status;
    }
    LAUNCH(c->bf16, resize_forward, blocks_for(c->n * all, THREADS), THREADS, *c);
    return launched();
}

int cuda_resize_backward(const CudaResize *c, void *stream)
{
    if (c->k.norm) {
        LAUNCH(c->bf16, resize_sums, dim3((unsigned)cuda_resize_parts(c), (unsigned)c->n), THREADS, *c, true);
        int status = cuda_resize_means(c, cuda_resize_parts(c), stream);
        if (status) return status;
    }
    LAUNCH(c->bf16, resize_backward, blocks_for(c->n * c->k.channels * c->k.in_h * c->k.in_w, THREADS), THREADS, *c);
    return launched();
}

int cuda_flatten_forward(int64_t n, const float *x, int bf16, float *outputs, void *stream)
{
    LAUNCH(bf16, flatten_forward, blocks_for(n, THREADS), THREADS, n, x, outputs);
    return launched();
}

int cuda_flatten_backward(int64_t n, float *gx, int bf16, const float *g_outputs, void *stream)
{
    LAUNCH(bf16, flatten_backward, blocks_for(n, THREADS), THREADS, n, gx, g_outputs);
    return launched();
}
