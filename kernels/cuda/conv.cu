/* conv: convolutions as products of matrices that are never stored: a block computes a tile of the result and gathers the
 * entries of both factors as it goes, normalised, through the ReLU, and, for separable convolutions, through the depthwise
 * half, so the tensor between the two halves is never written forward.
 *
 *   forward    y (out, n p)       = W (out, in taps)         * taps of v (in taps, n p)
 *   input      gv (in, n q)       = W^T (in, out taps)       * dy (out taps, n q)
 *   weights    gW (out, in taps)  = dy (out, n p)            * v^T (n p, in taps)     in parts of n p, added up after
 */
#include "kernels/cuda/conv.cuh"

namespace
{

/* acc += A(rows, from..to) * B(from..to, columns) of a block's tile. A thread has rows ty + i*TM/4 and columns
 * tx + j*TN/4. Entries come from a(row, k) and b(k) for the thread's own column of the load (PIXELS: columns run along the
 * threads), or b(column, k) with k along the threads. */
template <int TM, int TN, int TK> struct Tile {
    static const int threads = TM * TN / 16;
    union {
        struct {
            float a[TK][TM + 1], b[TK][TN + 1];
        };
        float room[TM * (TN / 4 + 1)]; /* of tile_sums, when the product is done */
    };

    __device__ void multiply(float (&acc)[4][4])
    {
        int tx = threadIdx.x % (TN / 4), ty = threadIdx.x / (TN / 4);
        for (int k = 0; k < TK; k++) {
            float x[4], y[4];
            for (int i = 0; i < 4; i++) x[i] = a[k][ty + i * (TM / 4)];
            for (int j = 0; j < 4; j++) y[j] = b[k][tx + j * (TN / 4)];
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < 4; j++) acc[i][j] = fmaf(x[i], y[j], acc[i][j]);
        }
    }
};

/* The sums of a row's values u and w over the tile's columns, into to[row] and to[stride + row]. */
template <int TM, int TN>
__device__ void tile_sums(float (&u)[4], float (&w)[4], float *room, float *to, int64_t stride, int row0, int rows)
{
    const int across = TN / 4;
    int tx = threadIdx.x % across, ty = threadIdx.x / across;
    for (int which = 0; which < 2; which++) {
        __syncthreads();
        for (int i = 0; i < 4; i++) room[(ty + i * (TM / 4)) * (across + 1) + tx] = which ? w[i] : u[i];
        __syncthreads();
        if (threadIdx.x < TM && row0 + (int)threadIdx.x < rows) {
            float sum = 0;
            for (int j = 0; j < across; j++) sum += room[threadIdx.x * (across + 1) + j];
            to[which * stride + row0 + threadIdx.x] = sum;
        }
    }
}

template <class S, int TM, int TN, int TK>
__global__ void __launch_bounds__(TM *TN / 16) conv_forward(const __grid_constant__ CudaConv c)
{
    typedef Tile<TM, TN, TK> T;
    __shared__ T tile;
    const KConv &k = c.k;
    uint32_t plane = (uint32_t)(k.out_h * k.out_w), columns = (uint32_t)c.n * plane, column0 = blockIdx.x * TN;
    int row0 = blockIdx.y * TM, depth = k.depthwise ? k.in_blocks : k.in_blocks * k.taps;
    Pixel mine(column0 + threadIdx.x % TN, columns, k.out_h, k.out_w);
    float acc[4][4] = {};
    for (int k0 = 0; k0 < depth; k0 += TK) {
        for (int i = threadIdx.x; i < TK * TM; i += T::threads) {
            int kk = i % TK, m = i / TK;
            bool in = row0 + m < c.out_count && k0 + kk < depth;
            tile.a[kk][m] = in ? c.weight[(int64_t)(row0 + m) * depth + k0 + kk] : 0;
        }
        for (int kk = threadIdx.x / TN; kk < TK; kk += T::threads / TN)
            tile.b[kk][threadIdx.x % TN] = mine.valid && k0 + kk < depth ? gathered<S>(k, mine, k0 + kk) : 0;
        __syncthreads();
        tile.multiply(acc);
        __syncthreads();
    }
    int tx = threadIdx.x % (TN / 4), ty = threadIdx.x / (TN / 4);
    float s[4] = {}, q[4] = {};
#pragma unroll
    for (int j = 0; j < 4; j++) {
        uint32_t column = column0 + tx + j * (TN / 4), n = column / plane;
        if (column >= columns) continue;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int row = row0 + ty + i * (TM / 4);
            if (row >= c.out_count) continue;
            float y = put(tensor<S>(k.y) + ((int64_t)n * k.out_blocks + c.out_first + row) * plane + column - n * plane,
                          acc[i][j]);
            s[i] += y;
            q[i] = fmaf(y, y, q[i]);
        }
    }
    if (c.sums)
        tile_sums<TM, TN>(s, q, tile.room, c.sums + (int64_t)blockIdx.x * 2 * k.out_blocks + c.out_first, k.out_blocks,
                          row0, c.out_count);
}

/* Dense: gradient of the input. Separable: that of the tensor between the two halves, into c.middle. */
template <class S, int TM, int TN, int TK>
__global__ void __launch_bounds__(TM *TN / 16) conv_input(const __grid_constant__ CudaConv c)
{
    typedef Tile<TM, TN, TK> T;
    __shared__ T tile;
    const KConv &k = c.k;
    bool sep = k.depthwise;
    int height = sep ? k.out_h : k.in_h, width = sep ? k.out_w : k.in_w, taps = sep ? 1 : k.taps;
    uint32_t plane = (uint32_t)(height * width), columns = (uint32_t)c.n * plane, column0 = blockIdx.x * TN;
    int row0 = blockIdx.y * TM, depth = c.out_count * taps;
    Pixel mine(column0 + threadIdx.x % TN, columns, height, width);
    float acc[4][4] = {};
    for (int k0 = 0; k0 < depth; k0 += TK) {
        for (int i = threadIdx.x; i < TK * TM; i += T::threads) {
            /* the weights lie (out, in, taps): lanes along the taps, or, if there is one, along the inputs */
            int m = taps > 1 ? i / TK : i % TM, kk = taps > 1 ? i % TK : i / TM;
            int o = (k0 + kk) / taps, t = k0 + kk - o * taps;
            bool in = row0 + m < k.in_blocks && k0 + kk < depth;
            tile.a[kk][m] = in ? c.weight[((int64_t)o * k.in_blocks + row0 + m) * taps + t] : 0;
        }
        for (int kk = threadIdx.x / TN; kk < TK; kk += T::threads / TN) {
            float v = 0;
            if (mine.valid && k0 + kk < depth) {
                int o = (k0 + kk) / taps, t = k0 + kk - o * taps;
                if (sep) {
                    v = output_gradient<S>(k, mine.n, o, mine.y, mine.x);
                } else {
                    int y = mine.y - k.tap_y[t], x = mine.x - k.tap_x[t];
                    if (y >= 0 && x >= 0 && y % k.stride_h == 0 && x % k.stride_w == 0)
                        v = output_gradient<S>(k, mine.n, c.out_first + o, y / k.stride_h, x / k.stride_w);
                }
            }
            tile.b[kk][threadIdx.x % TN] = v;
        }
        __syncthreads();
        tile.multiply(acc);
        __syncthreads();
    }
    int tx = threadIdx.x % (TN / 4), ty = threadIdx.x / (TN / 4);
    float s[4] = {}, q[4] = {};
#pragma unroll
    for (int j = 0; j < 4; j++) {
        Pixel p(column0 + tx + j * (TN / 4), columns, height, width);
        if (!p.valid) continue;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int row = row0 + ty + i * (TM / 4);
            if (row >= k.in_blocks) continue;
            if (sep) {
                put(tensor<S>(c.middle) + (p.n * k.in_blocks + row) * plane + (int64_t)p.y * width + p.x, acc[i][j]);
                continue;
            }
            float value = 0, g = store_input_gradient<S>(k, p.n, row, p.y, p.x, acc[i][j], &value);
            s[i] += g;
            q[i] = fmaf(g, value, q[i]);
        }
    }
    if (!sep && c.in_sums)
        tile_sums<TM, TN>(s, q, tile.room, c.in_sums + (int64_t)blockIdx.x * 2 * k.in_blocks, k.in_blocks, row0,
                          k.in_blocks);
}

/* Part blockIdx.z of the gradient of `weight`, of `parts`. Two blocks at once are promised, or ptxas, hoping for more, spills. */
template <class S, int TM, int TN, int TK>
__global__ void __launch_bounds__(TM *TN / 16, sizeof(S) == 2 ? 2 : 1)
    conv_weight(const __grid_constant__ CudaConv c, int parts)
{
    typedef Tile<TM, TN, TK> T;
    __shared__ T tile;
    const KConv &k = c.k;
    uint32_t total = (uint32_t)c.n * (uint32_t)(k.out_h * k.out_w);
    int width = k.depthwise ? k.in_blocks : k.in_blocks * k.taps, row0 = blockIdx.y * TM, column0 = blockIdx.x * TN;
    uint32_t from = (uint32_t)((uint64_t)total * blockIdx.z / parts);
    uint32_t to = (uint32_t)((uint64_t)total * (blockIdx.z + 1) / parts);
    float acc[4][4] = {};
    for (uint32_t k0 = from; k0 < to; k0 += TK) {
        Pixel p(k0 + threadIdx.x % TK, to, k.out_h, k.out_w);
#pragma unroll 1 /* more of these long bodies at once spill registers on some architectures */
        for (int m = threadIdx.x / TK; m < TM; m += T::threads / TK)
            tile.a[threadIdx.x % TK][m] =
                p.valid && row0 + m < c.out_count ? output_gradient<S>(k, p.n, c.out_first + row0 + m, p.y, p.x) : 0;
#pragma unroll 1
        for (int j = threadIdx.x / TK; j < TN; j += T::threads / TK)
            tile.b[threadIdx.x % TK][j] = p.valid && column0 + j < width ? gathered<S>(k, p, column0 + j) : 0;
        __syncthreads();
        tile.multiply(acc);
        __syncthreads();
    }
    int tx = threadIdx.x % (TN / 4), ty = threadIdx.x / (TN / 4);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            int row = row0 + ty + i * (TM / 4), column = column0 + tx + j * (TN / 4);
            if (row < c.out_count && column < width)
                c.slots[((int64_t)blockIdx.z * c.out_count + row) * width + column] = acc[i][j];
        }
}

/* ---- the depthwise half ---- */

/* Gradient of the input, channel blockIdx.x, images of part blockIdx.y. */
template <class S> __global__ void depthwise_input(const __grid_constant__ CudaConv c)
{
    __shared__ float room[32];
    const KConv &k = c.k;
    int channel = blockIdx.x, pixels = k.in_h * k.in_w;
    int64_t n0 = c.n * blockIdx.y / gridDim.y, n1 = c.n * (blockIdx.y + 1) / gridDim.y;
    float s = 0, q = 0;
    for (int64_t n = n0; n < n1; n++) {
        const S *gu = tensor<S>(c.middle) + (n * k.in_blocks + channel) * k.out_h * k.out_w;
        for (int i = threadIdx.x; i < pixels; i += blockDim.x) {
            int y = i / k.in_w, x = i - y * k.in_w;
            float sum = 0;
            for (int t = 0; t < k.taps; t++) {
                int oy = y - k.tap_y[t], ox = x - k.tap_x[t];
                if (oy < 0 || ox < 0 || oy % k.stride_h || ox % k.stride_w) continue;
                oy /= k.stride_h, ox /= k.stride_w;
                if (oy < k.out_h && ox < k.out_w)
                    sum = fmaf(k.dw[channel * k.taps + t], float(gu[oy * k.out_w + ox]), sum);
            }
            float value = 0, g = store_input_gradient<S>(k, n, channel, y, x, sum, &value);
            s += g;
            q = fmaf(g, value, q);
        }
    }
    if (!c.in_sums) return;
    s = block_sum(s, room);
    q = block_sum(q, room);
    if (threadIdx.x) return;
    float *to = c.in_sums + (int64_t)blockIdx.y * 2 * k.in_blocks + channel;
    to[0] = s;
    to[k.in_blocks] = q;
}

/* Gradient of the taps of channel blockIdx.x, images of part blockIdx.y; a warp takes every eighth tap. */
template <class S> __global__ void depthwise_weight(const __grid_constant__ CudaConv c)
{
    const KConv &k = c.k;
    int channel = blockIdx.x, pixels = k.out_h * k.out_w, lane = threadIdx.x & 31;
    int64_t n0 = c.n * blockIdx.y / gridDim.y, n1 = c.n * (blockIdx.y + 1) / gridDim.y;
    for (int t = threadIdx.x / 32; t < k.taps; t += blockDim.x / 32) {
        float sum = 0;
        for (int64_t n = n0; n < n1; n++) {
            const S *gu = tensor<S>(c.middle) + (n * k.in_blocks + channel) * pixels;
            for (int i = lane; i < pixels; i += 32) {
                int y = i / k.out_w, x = i - y * k.out_w;
                sum = fmaf(float(gu[i]),
                           input_at<S>(k, n, channel, y * k.stride_h + k.tap_y[t], x * k.stride_w + k.tap_x[t]), sum);
            }
        }
        sum = warp_sum(sum);
        if (!lane) c.slots[((int64_t)blockIdx.y * k.in_blocks + channel) * k.taps + t] = sum;
    }
}

__global__ void add_slots(int64_t count, int slots, const float *from, float *to)
{
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += (int64_t)gridDim.x * blockDim.x) {
        float sum = 0;
        for (int s = 0; s < slots; s++) sum += from[s * count + i];
        to[i] = sum;
    }
}

/* Both halves of a factorised reduce use the tile of the larger one, so that their sums lie in as many parts. */
int rows_forward(const CudaConv *c)
{
    return c->out_count < c->k.out_blocks ? (c->k.out_blocks + 1) / 2 : c->out_count;
}
int columns_of_tile(int rows)
{
    return rows <= 16 ? 256 : rows <= 32 ? 128 : 64;
}
int64_t tiles(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}

int weight_parts(const CudaConv *c) /* of at least 256 pixels each */
{
    int64_t pixels = c->n * c->k.out_h * c->k.out_w, parts = tiles(pixels, 256);
    return (int)(parts < CUDA_WEIGHT_SLOTS ? parts : CUDA_WEIGHT_SLOTS);
}

/* The tile whose height fits the number of rows. */
#define BY_ROWS(kernel, rows, columns, s)                                                                              \
    do {                                                                                                               \
        if ((rows) <= 16)                                                                                              \
            kernel<S, 16, 256, 8><<<dim3((unsigned)tiles(columns, 256), (unsigned)tiles(rows, 16)), 256, 0, s>>>(*c);  \
        else if ((rows) <= 32)                                                                                         \
            kernel<S, 32, 128, 8><<<dim3((unsigned)tiles(columns, 128), (unsigned)tiles(rows, 32)), 256, 0, s>>>(*c);  \
        else                                                                                                           \
            kernel<S, 64, 64, 8><<<dim3((unsigned)tiles(columns, 64), (unsigned)tiles(rows, 64)), 256, 0, s>>>(*c);    \
    } while (0)

template <class S> int forward(const CudaConv *c, cudaStream_t s)
{
    BY_ROWS(conv_forward, rows_forward(c), c->n * c->k.out_h * c->k.out_w, s);
    return launched();
}

template <class S> int backward(const CudaConv *c, cudaStream_t s)
{
    const KConv *k = &c->k;
    int width = k->depthwise ? k->in_blocks : k->in_blocks * k->taps, parts = weight_parts(c);
    if (c->by_gemm) {
        int status = cuda_gemm_backward(c, s);
        if (status || !k->depthwise) return status;
    } else if (c->g_weight) {
        if (c->out_count <= 32 || width <= 32)
            conv_weight<S, 32, 32, 32>
                <<<dim3((unsigned)tiles(width, 32), (unsigned)tiles(c->out_count, 32), (unsigned)parts), 64, 0, s>>>(
                    *c, parts);
        else
            conv_weight<S, 64, 64, 32>
                <<<dim3((unsigned)tiles(width, 64), (unsigned)tiles(c->out_count, 64), (unsigned)parts), 256, 0, s>>>(
                    *c, parts);
        int64_t count = (int64_t)c->out_count * width;
        add_slots<<<blocks_for(count, 128), 128, 0, s>>>(count, parts, c->slots, c->g_weight);
    }
    if (!k->depthwise) {
        if (c->wants_input) BY_ROWS(conv_input, k->in_blocks, c->n * k->in_h * k->in_w, s);
        return launched();
    }
    dim3 grid((unsigned)k->in_blocks, (unsigned)cuda_image_parts(c->n));
    if (!c->by_gemm) BY_ROWS(conv_input, k->in_blocks, c->n * k->out_h * k->out_w, s);
    if (c->g_dw) {
        depthwise_weight<S><<<grid, 256, 0, s>>>(*c);
        int64_t count = (int64_t)k->in_blocks * k->taps;
        add_slots<<<blocks_for(count, 128), 128, 0, s>>>(count, (int)grid.y, c->slots, c->g_dw);
    }
    if (c->wants_input) depthwise_input<S><<<grid, 256, 0, s>>>(*c);
    return launched();
}

} // namespace

int64_t cuda_conv_parts(const CudaConv *c)
{
    return c->by_gemm ? cuda_image_parts(c->n)
                      : tiles(c->n * c->k.out_h * c->k.out_w, columns_of_tile(rows_forward(c)));
}

int64_t cuda_conv_in_parts(const CudaConv *c)
{
    return c->k.depthwise || c->by_gemm ? cuda_image_parts(c->n)
                                        : tiles(c->n * c->k.in_h * c->k.in_w, columns_of_tile(c->k.in_blocks));
}

int64_t cuda_conv_slot_floats(const CudaConv *c)
{
    int64_t taps = c->k.taps, in = c->k.in_blocks, weights = (int64_t)c->out_count * in * (c->k.depthwise ? 1 : taps);
    int64_t a = weights * weight_parts(c), b = c->k.depthwise ? in * taps * cuda_image_parts(c->n) : 0;
    return a > b ? a : b;
}

int cuda_conv_forward(const CudaConv *c, void *stream)
{
    if (c->by_gemm) return cuda_gemm_forward(c, stream);
    return c->bf16 ? forward<__nv_bfloat16>(c, (cudaStream_t)stream) : forward<float>(c, (cudaStream_t)stream);
}

int cuda_conv_backward(const CudaConv *c, void *stream)
{
    return c->bf16 ? backward<__nv_bfloat16>(c, (cudaStream_t)stream) : backward<float>(c, (cudaStream_t)stream);
}
