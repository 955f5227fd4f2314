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
template <class S>
__global__ void gather_input(const __grid_constant__ CudaConv c, int64_t first, uint32_t columns, S *to)
{
    int row = blockIdx.x;
    for (uint32_t i = blockIdx.y * THREADS + threadIdx.x; i < columns; i += gridDim.y * THREADS) {
        Pixel p(i, columns, c.k.out_h, c.k.out_w);
        p.n += first;
        put(to + (int64_t)row * columns + i, gathered<S>(c.k, p, row));
    }
}

template <class S>
__global__ void gather_gradient(const __grid_constant__ CudaConv c, int64_t first, uint32_t columns, S *to)
{
    int row = blockIdx.x;
    for (uint32_t i = blockIdx.y * THREADS + threadIdx.x; i < columns; i += gridDim.y * THREADS) {
        Pixel p(i, columns, c.k.out_h, c.k.out_w);
        put(to + (int64_t)row * columns + i, output_gradient<S>(c.k, first + p.n, c.out_first + row, p.y, p.x));
    }
}

/* Channel blockIdx.x of the input's gradient, from that of every tap, (in taps, images, p). */
template <class S>
__global__ void scatter_gradient(const __grid_constant__ CudaConv c, int64_t first, int64_t images, const S *from)
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
                sum += float(from[(((int64_t)channel * k.taps + t) * images + p.n) * plane + y * k.out_w + x]);
        }
        float value;
        store_input_gradient<S>(k, first + p.n, channel, p.y, p.x, sum, &value);
    }
}

/* Sums of a and of a*b over the images of part blockIdx.y, of channel first + blockIdx.x of `channels`. */
template <class S>
__global__ void channel_sums(int64_t n, int channels, int first, int pixels, const S *a, const S *b, float *to)
{
    __shared__ float room[32];
    int channel = first + (int)blockIdx.x;
    int64_t n0 = n * blockIdx.y / gridDim.y, n1 = n * (blockIdx.y + 1) / gridDim.y;
    float s = 0, q = 0;
    for (int64_t i = n0; i < n1; i++)
        for (int p = threadIdx.x; p < pixels; p += THREADS) {
            int64_t at = (i * channels + channel) * pixels + p;
            float v = float(a[at]);
            s += v;
            q = fmaf(v, float(b[at]), q);
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
    const void *a;
    bool a_across; /* a is stored as (inner, rows) */
    int64_t a_row; /* distance of its rows as stored */
    const void *b;
    bool b_across; /* b is stored as (columns, inner) */
    int64_t b_row, b_batch;
    void *c;
    int64_t c_row, c_batch;
    float keep;
    int64_t batch;
    bool sums; /* c is of floats, whatever a and b are */
};

/* To cuBLAS, which has columns where we have rows, C^T = B^T A^T. */
int multiply(const CudaConv *conv, const Product &p)
{
    const float one = 1;
    const CudaGemm *g = conv->gemm;
    cublasOperation_t across_a = p.a_across ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasOperation_t across_b = p.b_across ? CUBLAS_OP_T : CUBLAS_OP_N;
    cudaDataType_t type = conv->bf16 ? CUDA_R_16BF : CUDA_R_32F, type_c = p.sums ? CUDA_R_32F : type;
    cublasStatus_t s = cublasGemmStridedBatchedEx(
        (cublasHandle_t)g->handle, across_b, across_a, (int)p.columns, (int)p.rows, (int)p.inner, &one, p.b, type,
        (int)p.b_row, p.b_batch, p.a, type, (int)p.a_row, 0, &p.keep, p.c, type_c, (int)p.c_row, p.c_batch,
        (int)p.batch, g->tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    return s ? STATUS + (int)s : 0;
}

int64_t images_at_once(const CudaConv *c, int64_t room, int64_t rows)
{
    int64_t fits = room / (rows * pixels_of(c));
    return fits < c->n ? fits : c->n;
}

/* The convolution's weights as cuBLAS takes them; *status: of the launch that rounds them. */
const void *factors(const CudaConv *c, cudaStream_t stream, int *status)
{
    *status = c->bf16 ? cuda_to_bf16(cuda_conv_weights(c), c->weight, c->gemm->weight, stream) : 0;
    return c->bf16 ? c->gemm->weight : c->weight;
}

template <class S> int forward(const CudaConv *c, cudaStream_t s)
{
    const KConv *k = &c->k;
    int64_t depth = depth_of(c), plane = pixels_of(c), step = images_at_once(c, c->gemm->room, depth);
    S *v = tensor<S>(c->gemm->gathered), *y = tensor<S>(k->y);
    int status;
    const void *weight = factors(c, s, &status);
    for (int64_t first = 0; first < c->n && !status; first += step) {
        int64_t images = first + step < c->n ? step : c->n - first, columns = images * plane;
        gather_input<S><<<grid_of((int)depth, columns), THREADS, 0, s>>>(*c, first, (uint32_t)columns, v);
        status = launched();
        if (!status)
            status = multiply(c, Product{.rows = c->out_count,
                                         .columns = plane,
                                         .inner = depth,
                                         .a = weight,
                                         .a_row = depth,
                                         .b = v,
                                         .b_row = columns,
                                         .b_batch = plane,
                                         .c = y + (first * k->out_blocks + c->out_first) * plane,
                                         .c_row = plane,
                                         .c_batch = k->out_blocks * plane,
                                         .batch = images});
    }
    if (status || !c->sums) return status;
    channel_sums<S><<<dim3((unsigned)c->out_count, (unsigned)cuda_image_parts(c->n)), THREADS, 0, s>>>(
        c->n, k->out_blocks, c->out_first, (int)plane, y, y, c->sums);
    return launched();
}

template <class S> int backward(const CudaConv *c, cudaStream_t s)
{
    const KConv *k = &c->k;
    bool sep = k->depthwise, input = sep ? c->g_dw || c->wants_input : c->wants_input != 0;
    int64_t depth = depth_of(c), plane = pixels_of(c), step = images_at_once(c, c->gemm->room, depth + c->out_count);
    int status;
    const void *weight = factors(c, s, &status);
    for (int64_t first = 0; first < c->n && !status; first += step) {
        int64_t images = first + step < c->n ? step : c->n - first, columns = images * plane;
        S *v = tensor<S>(c->gemm->gathered), *dy = v + depth * columns;
        gather_gradient<S><<<grid_of(c->out_count, columns), THREADS, 0, s>>>(*c, first, (uint32_t)columns, dy);
        status = launched();
        if (!status && c->g_weight) {
            gather_input<S><<<grid_of((int)depth, columns), THREADS, 0, s>>>(*c, first, (uint32_t)columns, v);
            status = launched();
            if (!status)
                status = multiply(c, Product{.rows = c->out_count,
                                             .columns = depth,
                                             .inner = columns,
                                             .a = dy,
                                             .a_row = columns,
                                             .b = v,
                                             .b_across = true,
                                             .b_row = columns,
                                             .c = c->g_weight,
                                             .c_row = depth,
                                             .keep = first ? 1.0f : 0.0f,
                                             .batch = 1,
                                             .sums = true});
        }
        if (status || !input) continue;
        Product p = {.rows = depth,
                     .columns = columns,
                     .inner = c->out_count,
                     .a = weight,
                     .a_across = true,
                     .a_row = depth,
                     .b = dy,
                     .b_row = columns,
                     .c = v,
                     .c_row = columns,
                     .batch = 1};
        if (sep) {
            p.columns = p.c_row = p.b_batch = plane, p.c_batch = depth * plane, p.batch = images;
            p.c = tensor<S>(c->middle) + first * depth * plane;
        }
        status = multiply(c, p);
        if (status || sep) continue;
        scatter_gradient<S><<<grid_of(k->in_blocks, images * k->in_h * k->in_w), THREADS, 0, s>>>(*c, first, images, v);
        status = launched();
    }
    if (status || sep || !c->in_sums || !c->wants_input) return status;
    channel_sums<S><<<dim3((unsigned)k->in_blocks, (unsigned)cuda_image_parts(c->n)), THREADS, 0, s>>>(
        c->n, k->in_blocks, 0, k->in_h * k->in_w, tensor<S>(k->gx[0]), tensor<S>(k->x[0]), c->in_sums);
    return launched();
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

int64_t cuda_conv_weights(const CudaConv *c)
{
    return c->out_count * depth_of(c);
}

int64_t cuda_conv_gathered_elements(const CudaConv *c, int64_t most)
{
    int64_t image = (depth_of(c) + c->out_count) * pixels_of(c), whole = image * c->n;
    return whole < most ? whole : image > most ? image : most;
}

int cuda_gemm_open(CudaGemm *g, void *workspace, size_t bytes, void *stream)
{
    cublasHandle_t h = 0;
    cublasStatus_t s = cublasCreate(&h);
    g->handle = h;
    if (!s) s = cublasSetStream(h, (cudaStream_t)stream);
    if (!s) s = cublasSetWorkspace(h, workspace, bytes); /* after the stream, which sets it anew */
    if (!s) s = cublasSetAtomicsMode(h, CUBLAS_ATOMICS_NOT_ALLOWED);
    /* parts of a sum of bf16 products would else be rounded to bf16 */
    const int mode = CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
    if (!s) s = cublasSetMathMode(h, (cublasMath_t)mode);
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
    return c->bf16 ? forward<__nv_bfloat16>(c, (cudaStream_t)stream) : forward<float>(c, (cudaStream_t)stream);
}

int cuda_gemm_backward(const CudaConv *c, void *stream)
{
    return c->bf16 ? backward<__nv_bfloat16>(c, (cudaStream_t)stream) : backward<float>(c, (cudaStream_t)stream);
}
