/* conv: what the kernels of a convolution read and write, whichever way they multiply. */
#ifndef NAS_CUDA_CONV_CUH
#define NAS_CUDA_CONV_CUH
#include "kernels/cuda/common.cuh"

struct Pixel { /* a column of a product: an image and a place */
    int64_t n;
    int y, x;
    bool valid;
    /* columns: at most 2^31, which the caller sees to: divisions of 64 bits are slow */
    __device__ Pixel(uint32_t column, uint32_t columns, int height, int width)
    {
        valid = column < columns;
        uint32_t plane = (uint32_t)(height * width);
        n = column / plane;
        int rest = (int)(column - (uint32_t)n * plane);
        y = rest / width;
        x = rest - y * width;
    }
};

/* Channel c of the input at (y, x) of image n, as the convolution sees it; 0 outside. */
template <class S> __device__ inline float input_at(const KConv &k, int64_t n, int c, int y, int x)
{
    if (y < 0 || x < 0 || y >= k.in_h || x >= k.in_w) return 0;
    int p = 0, local = c;
    while (local >= k.part_blocks[p]) local -= k.part_blocks[p++];
    float v = float(tensor<S>(k.x[p])[((n * k.part_blocks[p] + local) * k.in_h + y) * k.in_w + x]);
    if (k.in_scale) v = fmaf(v, k.in_scale[c], k.in_shift[c]);
    return k.relu ? relu(v) : v;
}

/* What output pixel p reads: row r of the gathered matrix, in*taps or, separable, in. */
template <class S> __device__ inline float gathered(const KConv &k, const Pixel &p, int r)
{
    int y = p.y * k.stride_h, x = p.x * k.stride_w;
    if (!k.depthwise) {
        int c = r / k.taps, t = r - c * k.taps;
        return input_at<S>(k, p.n, c, y + k.tap_y[t], x + k.tap_x[t]);
    }
    float sum = 0;
    for (int t = 0; t < k.taps; t++)
        sum = fmaf(k.dw[r * k.taps + t], input_at<S>(k, p.n, r, y + k.tap_y[t], x + k.tap_x[t]), sum);
    return sum;
}

/* dLoss/dy of output channel o (of the whole y) at (y, x); 0 outside. */
template <class S> __device__ inline float output_gradient(const KConv &k, int64_t n, int o, int y, int x)
{
    if (y < 0 || x < 0 || y >= k.out_h || x >= k.out_w) return 0;
    int64_t i = ((n * k.out_blocks + o) * k.out_h + y) * k.out_w + x;
    return raw_gradient(k.grad, n, o, float(tensor<S>(k.grad.g)[i]), float(tensor<S>(k.y)[i]));
}

/* Gradient of the input as stored, out of that of what the convolution saw. Returns it. */
template <class S>
__device__ inline float store_input_gradient(const KConv &k, int64_t n, int c, int y, int x, float g, float *value)
{
    int p = 0, local = c;
    while (local >= k.part_blocks[p]) local -= k.part_blocks[p++];
    if (!k.gx[p]) return 0;
    int64_t i = ((n * k.part_blocks[p] + local) * k.in_h + y) * k.in_w + x;
    float v = 0;
    if (k.relu || k.in_scale) v = float(tensor<S>(k.x[p])[i]);
    *value = v;
    if (k.relu && !((k.in_scale ? fmaf(v, k.in_scale[c], k.in_shift[c]) : v) > 0)) g = 0;
    S *to = tensor<S>(k.gx[p]) + i;
    if (k.in_scale) return put(to, g);
    add(to, g);
    return g;
}
#endif
