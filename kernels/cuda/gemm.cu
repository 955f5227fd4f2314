/* gemm: large convolutions as cuBLAS's products of the matrices that conv.cu never stores. They are stored here, for as many
 * images at a time as there is room: v (depth, images, p) and dy (out, images, p), p the pixels of an output plane.
 *
 *   forward    y (out, p) of each image      = W (out, depth)    * v (depth, p)
 *   weights    gW (out, depth)              += dy (out, images p) * v^T
 *   input      gv (depth, images p)          = W^T               * dy, then added up over the taps
 *
 * cuBLAS gives the same bits in every run on the same kind of device if it has one stream, a workspace of its own and no
 * atomic operations (cuBLAS documentation, "Results Reproducibility"): cuda_gemm_open sees to that. Images are taken in
 * order, so the sum over them is settled too.
 */
#include <cublas_v2.h>

#include "kernels/cuda/conv.cuh"

namespace
{

enum { THREADS = 256, STATUS = 10000 };

int depth_of(const CudaConv *c)
{
    return c->k.depthwise ? c->k.in_blocks : c->k.in_blocks * c->k.taps;
}
int64_t pixels_of(const CudaConv *c)
{
    return (int64_t)c->k.out_h * c->k.out_w;
}

/* Row blockIdx.x of what the convolution sees, images from `first` on. */
__global__ void gather_input(const __grid_constant__ CudaConv c, int64_t first, uint32_t columns, float *to)
{
    int row = blockIdx.x;
    for (uint32_t i = blockIdx.y * THREADS + threadIdx.x; i < columns; i += gridDim.y * THREADS) {
        Pixel p(i, columns, c.k.out_h, c.k.out_w);
        p.n += first;
        to[(int64_t)row * columns + i] = gathered(c.k, p, row);
    }
}

__global__ void gather_gradient(const __grid_constant__ CudaConv c, int64_t first, uint32_t columns, float *to)
{
    int row = blockIdx.x;
    for (uint32_t i = blockIdx.y * THREADS + threadIdx.x; i < columns; i += gridDim.y * THREADS) {
        Pixel p(i, columns, c.k.out_h, c.k.out_w);
        to[(int64_t)row * columns + i] = output_gradient(c.k, first + p.n, c.out_first + row, p.y, p.x);
    }
}

/* Channel blockIdx.x of the input's gradient, from that of every tap, (in taps, images, p). */
__global__ void scatter_gradient(const __grid_constant__ CudaConv c, int64_t first, int64_t images, const float *from)
{
    const KConv &k = c.k;
    int channel = blockIdx.x, plane = k.out_h * k.out_w;
    uint32_t columns = (uint32_t)images * (uint32_t)(k.in_h * k.in_w);
    for (uint32_t i = blockIdx.y * THREADS + threadIdx.x; i < columns; i += gridDim.y * THREADS) {
        Pixel p(i, columns, k.in_h, k.in_w);
        float sum = 0;
        for (int t = 0; t < k.taps; t++) {
            int y = p.y - k.tap_y[t], x = p.x - k.tap_x[t];
            if (y < 0 || x < 0 || y % k.stride_h || x % k.stride_w) continue;
            y /= k.stride_h, x /= k.stride_w;
            if (y < k.out_h && x < k.out_w)
                sum += from[(((int64_t)channel * k.taps + t) * images + p.n) * plane + y * k.out_w + x];
        }
        float value;
        store_input_gradient(k, first + p.n, channel, p.y, p.x, sum, &value);
    }
}

/* Sums of a and of a*b over the images of part blockIdx.y, of channel first + blockIdx.x of `channels`. */
__global__ void channel_sums(int64_t n, int channels, int first, int pixels, const float *a, const float *b, float *to)
{
    __shared__ float room[32];
    int channel = first + (int)blockIdx.x;
    int64_t n0 = n * blockIdx.y / gridDim.y, n1 = n * (blockIdx.y + 1) / gridDim.y;
    float s = 0, q = 0;
    for (int64_t i = n0; i < n1; i++)
        for (int p = threadIdx.x; p < pixels; p += THREADS) {
            int64_t at = (i * channels + channel) * pixels + p;
            s += a[at];
            q = fmaf(a[at], b[at], q);
        }
    s = block_sum(s, room);
    q = block_sum(q, room);
    if (threadIdx.x) return;
    to += (int64_t)blockIdx.y * 2 * channels + channel;
    to[0] = s;
    to[channels] = q;
}

dim3 grid_of(int rows, int64_t columns)
{
    return dim3((unsigned)rows, blocks_for(columns, THREADS));
}

/* A product of row-major matrices: C (rows, columns) = A B + keep C, `batch` times. */
struct Product {
    int64_t rows, columns, inner;
    const float *a;
    bool a_across; /* a is stored as (inner, rows) */
    int64_t a_row; /* distance of its rows as stored */
    const float *b;
    bool b_across; /* b is stored as (columns, inner) */
    int64_t b_row, b_batch;
    float *c;
    int64_t c_row, c_batch;
    float keep;
    int64_t batch;
};

/* To cuBLAS, which has columns where we have rows, C^T = B^T A^T. */
int multiply(const CudaGemm *g, const Product &p)
{
    const float one = 1;
    cublasStatus_t s = cublasSgemmStridedBatched((cublasHandle_t)g->handle, p.b_across ? CUBLAS_OP_T : CUBLAS_OP_N,
                                                 p.a_across ? CUBLAS_OP_T : CUBLAS_OP_N, (int)p.columns, (int)p.rows,
                                                 (int)p.inner, &one, p.b, (int)p.b_row, p.b_batch, p.a, (int)p.a_row, 0,
                                                 &p.keep, p.c, (int)p.c_row, p.c_batch, (int)p.batch);
    return s ? STATUS + (int)s : 0;
}

int64_t images_at_once(const CudaConv *c, int64_t room, int64_t rows)
{
    int64_t fits = room / (rows * pixels_of(c));
    return fits < c->n ? fits : c->n;
}

} // namespace

/* Where a product by cuBLAS, for which values are written and read once more, is expected to pay: many output channels,
 * for each gathered value is used once for each, and work that outweighs three launches more. Estimated from the bandwidth
 * and the arithmetic of T4, A100 and H100, measured on none. */
static const struct {
    int64_t channels, macs;
} least = {32, 1 << 25};

int cuda_conv_by_gemm(const CudaConv *c)
{
    int64_t macs = c->n * pixels_of(c) * c->k.out_blocks * depth_of(c);
    return c->k.out_blocks >= least.channels && macs >= least.macs;
}

int64_t cuda_conv_gathered_floats(const CudaConv *c, int64_t most)
{
    int64_t image = (depth_of(c) + c->out_count) * pixels_of(c), whole = image * c->n;
    return whole < most ? whole : image > most ? image : most;
}

int cuda_gemm_open(CudaGemm *g, void *workspace, size_t bytes, int tf32, void *stream)
{
    cublasHandle_t h = 0;
    cublasStatus_t s = cublasCreate(&h);
    g->handle = h;
    if (!s) s = cublasSetStream(h, (cudaStream_t)stream);
    if (!s) s = cublasSetWorkspace(h, workspace, bytes); /* after the stream, which sets it anew */
    if (!s) s = cublasSetAtomicsMode(h, CUBLAS_ATOMICS_NOT_ALLOWED);
    if (!s) s = cublasSetMathMode(h, tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH);
    return s ? STATUS + (int)s : 0;
}

void cuda_gemm_close(CudaGemm *g)
{
    if (g->handle) cublasDestroy((cublasHandle_t)g->handle);
    g->handle = 0;
}

const char *cuda_status_text(int status)
{
    return status >= STATUS ? cublasGetStatusString((cublasStatus_t)(status - STATUS))
                            : cudaGetErrorString((cudaError_t)status);
}

int cuda_gemm_forward(const CudaConv *c, void *stream)
{
    cudaStream_t s = (cudaStream_t)stream;
    const KConv *k = &c->k;
    int64_t depth = depth_of(c), plane = pixels_of(c), step = images_at_once(c, c->gemm->room, depth);
    int status = 0;
    for (int64_t first = 0; first < c->n && !status; first += step) {
        int64_t images = first + step < c->n ? step : c->n - first, columns = images * plane;
        gather_input<<<grid_of((int)depth, columns), THREADS, 0, s>>>(*c, first, (uint32_t)columns, c->gemm->gathered);
        status = launched();
        if (!status)
            status =
                multiply(c->gemm, Product{c->out_count, plane, depth, c->weight, false, depth, c->gemm->gathered, false,
                                          columns, plane, k->y + (first * k->out_blocks + c->out_first) * plane, plane,
                                          k->out_blocks * plane, 0, images});
    }
    if (status || !c->sums) return status;
    channel_sums<<<dim3((unsigned)c->out_count, (unsigned)cuda_image_parts(c->n)), THREADS, 0, s>>>(
        c->n, k->out_blocks, c->out_first, (int)plane, k->y, k->y, c->sums);
    return launched();
}

int cuda_gemm_backward(const CudaConv *c, void *stream)
{
    cudaStream_t s = (cudaStream_t)stream;
    const KConv *k = &c->k;
    bool sep = k->depthwise, input = sep ? c->g_dw || c->wants_input : c->wants_input != 0;
    int64_t depth = depth_of(c), plane = pixels_of(c), step = images_at_once(c, c->gemm->room, depth + c->out_count);
    int status = 0;
    for (int64_t first = 0; first < c->n && !status; first += step) {
        int64_t images = first + step < c->n ? step : c->n - first, columns = images * plane;
        float *v = c->gemm->gathered, *dy = v + depth * columns;
        gather_gradient<<<grid_of(c->out_count, columns), THREADS, 0, s>>>(*c, first, (uint32_t)columns, dy);
        status = launched();
        if (!status && c->g_weight) {
            gather_input<<<grid_of((int)depth, columns), THREADS, 0, s>>>(*c, first, (uint32_t)columns, v);
            status = launched();
            if (!status)
                status = multiply(c->gemm, Product{c->out_count, depth, columns, dy, false, columns, v, true, columns,
                                                   0, c->g_weight, depth, 0, first ? 1.0f : 0.0f, 1});
        }
        if (status || !input) continue;
        if (sep) {
            status =
                multiply(c->gemm, Product{depth, plane, c->out_count, c->weight, true, depth, dy, false, columns, plane,
                                          c->middle + first * depth * plane, plane, depth * plane, 0, images});
            continue;
        }
        status = multiply(c->gemm, Product{depth, columns, c->out_count, c->weight, true, depth, dy, false, columns, 0,
                                           v, columns, 0, 0, 1});
        if (status) continue;
        scatter_gradient<<<grid_of(k->in_blocks, images * k->in_h * k->in_w), THREADS, 0, s>>>(*c, first, images, v);
        status = launched();
    }
    if (status || sep || !c->in_sums || !c->wants_input) return status;
    channel_sums<<<dim3((unsigned)k->in_blocks, (unsigned)cuda_image_parts(c->n)), THREADS, 0, s>>>(
        c->n, k->in_blocks, 0, k->in_h * k->in_w, k->gx[0], k->x[0], c->in_sums);
    return launched();
}
