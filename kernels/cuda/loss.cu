/* loss: what the logits are worth, and the gradient that the backward pass starts from. Formulas: engine/loss.h.
 *
 * In float, where the host has doubles, so with care: exponentials of differences from the largest logit; 1 - p and log p
 * from the sum of the others' exponentials, not from p; sums by a tree, of what threads add up, which is little. A block has
 * a row, a second launch adds up the rows in a fixed order and divides by the sum of their shares.
 */
#include <math.h>

#include "kernels/cuda/common.cuh"

namespace
{

enum { NARROW = 32, WIDE = 256, FINISH = 256, MOST_FINISH = 64 };

/* Sum over a block, in all of its threads, which must all call it; `room` holds THREADS / 32. */
template <int THREADS> __device__ float all_sum(float v, float *room)
{
    v = warp_sum(v);
    if (THREADS == 32) return v;
    __syncthreads(); /* an earlier call may still be read */
    if (!(threadIdx.x & 31)) room[threadIdx.x / 32] = v;
    __syncthreads();
    v = room[0];
    for (int w = 1; w < THREADS / 32; w++) v += room[w];
    return v;
}

/* The largest, the same way; of what is not a number the sums will tell. */
template <int THREADS> __device__ float all_most(float v, float *room)
{
    for (int o = 16; o; o >>= 1) {
        float other = __shfl_xor_sync(0xffffffffu, v, o);
        v = other > v ? other : v;
    }
    if (THREADS == 32) return v;
    __syncthreads();
    if (!(threadIdx.x & 31)) room[threadIdx.x / 32] = v;
    __syncthreads();
    v = room[0];
    for (int w = 1; w < THREADS / 32; w++) v = room[w] > v ? room[w] : v;
    return v;
}

__device__ inline void put_row(const CudaLoss &k, int64_t row, int head, float loss, float share)
{
    if (threadIdx.x) return;
    k.rows[head * k.n + row] = loss;
    if (!head) k.rows[k.heads * k.n + row] = share;
}

template <int THREADS> __global__ void loss_classes(const __grid_constant__ CudaLoss k)
{
    __shared__ float room[THREADS / 32];
    const bool soft = k.kind == CUDA_LOSS_SHARES;
    const int64_t row = blockIdx.x;
    const int head = (int)blockIdx.y, target = soft ? -1 : (int)k.targets[row];
    const float *z = k.logits[head] + row * k.outputs, *y = k.targets + row * k.outputs;
    float most = -INFINITY, share = 0, rest = 0, total = 0;
    int ties = 0;
    for (int i = (int)threadIdx.x; i < k.outputs; i += THREADS) most = z[i] > most ? z[i] : most;
    most = all_most<THREADS>(most, room);
    for (int i = (int)threadIdx.x; i < k.outputs; i += THREADS) {
        if (z[i] == most)
            ties++;
        else
            rest += expf(z[i] - most);
        if (soft) share += (k.weight ? k.weight[i] : 1.0f) * y[i];
    }
    /* the sum of exp(z - most), but for one of the largest */
    rest = all_sum<THREADS>(rest, room) + (all_sum<THREADS>((float)ties, room) - 1);
    share = soft ? all_sum<THREADS>(share, room) : k.weight ? k.weight[target] : 1.0f;
    const float log_sum = log1pf(rest), scale = 1 / (1 + rest);
    float *grad = k.grad[head] ? k.grad[head] + row * k.outputs : 0;
    for (int i = (int)threadIdx.x; i < k.outputs; i += THREADS) {
        float below = z[i] - most, part = soft ? (k.weight ? k.weight[i] : 1.0f) * y[i] : i == target ? share : 0;
        if (part > 0) total += part * (log_sum - below);
        if (!grad) continue;
        float p = expf(below) * scale;
        if (soft)
            grad[i] = fmaf(share, p, -part);
        else /* p - 1 of the largest by what the others have */
            grad[i] = share * (i != target ? p : below == 0 ? -rest * scale : p - 1);
    }
    put_row(k, row, head, all_sum<THREADS>(total, room), share);
}

__device__ inline float softplus(float x) /* log(1 + exp(x)) */
{
    return (x < 0 ? 0 : x) + log1pf(expf(-fabsf(x)));
}

__device__ inline float sigmoid(float x)
{
    float e = expf(-fabsf(x));
    return (x < 0 ? e : 1) / (1 + e);
}

/* Losses that are sums over the outputs, each by itself. */
template <int THREADS> __global__ void loss_values(const __grid_constant__ CudaLoss k)
{
    __shared__ float room[THREADS / 32];
    const int64_t row = blockIdx.x;
    const int head = (int)blockIdx.y;
    const float *z = k.logits[head] + row * k.outputs, *y = k.targets + row * k.outputs;
    float *grad = k.grad[head] ? k.grad[head] + row * k.outputs : 0;
    float total = 0;
    for (int i = (int)threadIdx.x; i < k.outputs; i += THREADS) {
        float x = z[i], t = y[i], value, slope;
        if (k.kind == CUDA_LOSS_SQUARES) {
            float e = x - t;
            value = e * e;
            slope = 2 * e;
        } else if (k.kind == CUDA_LOSS_BINARY) {
            float positive = (k.weight ? k.weight[i] : 1.0f) * t;
            value = fmaf(positive, softplus(-x), (1 - t) * softplus(x));
            slope = (1 - t) * sigmoid(x) - positive * sigmoid(-x);
        } else {
            value = x * t;
            slope = t;
        }
        total += value;
        if (grad) grad[i] = slope;
    }
    put_row(k, row, head, all_sum<THREADS>(total, room), k.kind == CUDA_LOSS_LINEAR ? 1.0f : (float)k.outputs);
}

/* ---- tree ---- */

__device__ inline float positive(float z) /* a NaN stays one */
{
    return z <= 0 ? 0 : z;
}

__device__ inline float leading(const CudaQuestion &u, const float *p)
{
    return u.parent < 0 ? 1.0f : p[u.parent];
}

/* A warp a row: question after question, a lane an answer. */
__global__ void loss_tree(const __grid_constant__ CudaLoss k)
{
    const int64_t row = blockIdx.x;
    const int head = (int)blockIdx.y, lane = (int)threadIdx.x;
    const float *z = k.logits[head] + row * k.outputs, *y = k.targets + row * k.outputs;
    float *q = k.tree + 2 * (head * k.n + row) * k.outputs, *p = q + k.outputs;
    float *g = k.grad[head] ? k.grad[head] + row * k.outputs : 0, total = 0;
    for (int a = 0; a < k.questions; a++) {
        const CudaQuestion u = k.question[a];
        const float above = leading(u, p);
        const int end = u.first + u.count;
        float most = -INFINITY, sum = 0;
        for (int i = u.first + lane; i < end; i += 32) most = z[i] > most ? z[i] : most;
        most = all_most<32>(most, 0);
        for (int i = u.first + lane; i < end; i += 32) sum += k.divisive ? positive(z[i]) : expf(z[i] - most);
        sum = warp_sum(sum) + (k.divisive ? 1e-12f : 0);
        for (int i = u.first + lane; i < end; i += 32) {
            q[i] = (k.divisive ? positive(z[i]) : expf(z[i] - most)) / sum;
            p[i] = above * q[i];
            float e = p[i] - y[i];
            total = fmaf(e, e, total);
            if (g) g[i] = 2 * e;
        }
        __syncwarp(); /* an answer leads to a later question */
    }
    total = warp_sum(total);
    put_row(k, row, head, total, (float)k.outputs);
    for (int a = k.questions - 1; g && a >= 0; a--) { /* a question is done before the answer that leads to it */
        const CudaQuestion u = k.question[a];
        const float above = leading(u, p);
        const int end = u.first + u.count;
        float inner = 0, sum = 0;
        for (int i = u.first + lane; i < end; i += 32) {
            inner = fmaf(g[i], q[i], inner);
            sum += positive(z[i]);
        }
        inner = warp_sum(inner);
        sum = warp_sum(sum);
        for (int i = u.first + lane; i < end; i += 32) {
            float of_q = above * g[i], scale = !k.divisive ? q[i] : z[i] > 0 ? 1 / (sum + 1e-12f) : 0.0f;
            g[i] = k.divisive && sum <= 0 ? of_q : scale * (of_q - above * inner); /* see engine/loss.h */
        }
        if (!lane && u.parent >= 0) g[u.parent] += inner;
        __syncwarp();
    }
}

/* ---- all rows ---- */

/* Each block adds up the shares, in the same order, for its part of the gradients; the first also the losses. */
__global__ void loss_finish(const __grid_constant__ CudaLoss k)
{
    __shared__ float room[FINISH / 32];
    const int64_t first = (int64_t)blockIdx.x * FINISH + threadIdx.x, step = (int64_t)gridDim.x * FINISH;
    float over = 0, loss = 0;
    for (int64_t i = threadIdx.x; i < k.n; i += FINISH) over += k.rows[k.heads * k.n + i];
    over = all_sum<FINISH>(over, room);
    for (int h = 0; h < k.heads; h++) {
        const float scale = k.factor[h] / over;
        for (int64_t i = first; k.grad[h] && i < k.n * k.outputs; i += step) k.grad[h][i] *= scale;
        if (blockIdx.x) continue;
        float total = 0;
        for (int64_t i = threadIdx.x; i < k.n; i += FINISH) total += k.rows[h * k.n + i];
        loss += k.factor[h] * (all_sum<FINISH>(total, room) / over);
    }
    if (!blockIdx.x && !threadIdx.x) *k.loss = loss;
}

} // namespace

int cuda_loss(const CudaLoss *k, void *stream)
{
    const dim3 grid((unsigned)k->n, (unsigned)k->heads);
    const bool classes = k->kind == CUDA_LOSS_CLASSES || k->kind == CUDA_LOSS_SHARES, wide = k->outputs > 4 * NARROW;
    unsigned blocks = k->grad[0] ? blocks_for(k->n * k->outputs, FINISH) : 1;
    if (blocks > MOST_FINISH) blocks = MOST_FINISH; /* each adds up all shares */
    if (k->kind == CUDA_LOSS_TREE)
        loss_tree<<<grid, 32, 0, (cudaStream_t)stream>>>(*k);
    else if (classes && wide)
        loss_classes<WIDE><<<grid, WIDE, 0, (cudaStream_t)stream>>>(*k);
    else if (classes)
        loss_classes<NARROW><<<grid, NARROW, 0, (cudaStream_t)stream>>>(*k);
    else if (wide)
        loss_values<WIDE><<<grid, WIDE, 0, (cudaStream_t)stream>>>(*k);
    else
        loss_values<NARROW><<<grid, NARROW, 0, (cudaStream_t)stream>>>(*k);
    loss_finish<<<blocks, FINISH, 0, (cudaStream_t)stream>>>(*k);
    return launched();
}
