/* sim_blas: takes the place of libcublas, as far as kernels/cuda/gemm.cu calls it. cuBLAS's documentation defines the
 * result, not the order of its sums; here an element is a sum over k, upwards, of fused multiply-adds in single precision,
 * of factors rounded to 10 bits where TF32 is allowed. What is read must have been written, what is written be allocated.
 */
#include <cublas_v2.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device_memory.h"
#include "sim_graph.h"

#define SIM __attribute__((visibility("default")))

struct cublasContext {
    bool tf32, workspace;
    cudaStream_t stream;
};

SIM cublasStatus_t cublasCreate_v2(cublasHandle_t *handle)
{
    *handle = sim_gone() ? 0 : calloc(1, sizeof **handle);
    return *handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

SIM cublasStatus_t cublasDestroy_v2(cublasHandle_t handle)
{
    free(handle);
    return CUBLAS_STATUS_SUCCESS;
}

SIM cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream)
{
    handle->stream = stream;
    handle->workspace = false;
    return CUBLAS_STATUS_SUCCESS;
}

SIM cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes)
{
    const Allocation *a = device_owns(workspace) ? device_find((uint64_t)(uintptr_t)workspace) : 0;
    if (!a || a->freed || (uint64_t)(uintptr_t)workspace + bytes > a->end || (uintptr_t)workspace % 256)
        return CUBLAS_STATUS_INVALID_VALUE;
    handle->workspace = true;
    return CUBLAS_STATUS_SUCCESS;
}

SIM cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t mode)
{
    (void)handle;
    return mode == CUBLAS_ATOMICS_NOT_ALLOWED ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

SIM cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode)
{
    handle->tf32 = mode == CUBLAS_TF32_TENSOR_OP_MATH;
    return CUBLAS_STATUS_SUCCESS;
}

SIM const char *cublasGetStatusString(cublasStatus_t status)
{
    switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "no error";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "cuBLAS: not initialized";
    case CUBLAS_STATUS_INVALID_VALUE: return "cuBLAS: invalid value";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "cuBLAS: the device was lost";
    default: return "cuBLAS: error";
    }
}

/* Where element `at` floats behind p lies here; 0, aloud, if it must not be used. */
static float *element(const float *p, int64_t at, bool write)
{
    uint64_t address = (uint64_t)(uintptr_t)(p + at), offset = address - device_base;
    const Allocation *a = device_owns(p + at) ? device_find(address) : 0;
    if (!a || a->freed || address + sizeof *p > a->end || address % sizeof *p) {
        fprintf(stderr, "cudasim: cublasSgemmStridedBatched: %p is not allocated\n", (const void *)(p + at));
        return 0;
    }
    if (write)
        memset(device_valid + offset, 1, sizeof *p);
    else if (memchr(device_valid + offset, 0, sizeof *p)) {
        fprintf(stderr, "cudasim: cublasSgemmStridedBatched: %p was never written\n", (const void *)(p + at));
        return 0;
    }
    return (float *)(void *)(device_bytes + offset);
}

static float rounded(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    if (isfinite(v)) bits = (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu;
    memcpy(&v, &bits, sizeof bits);
    return v;
}

typedef struct {
    bool across_a, across_b, tf32;
    int m, n, k, lda, ldb, ldc, batch;
    int64_t step_a, step_b, step_c;
    float alpha, beta;
    const float *A, *B;
    float *C;
} Product;

static cudaError_t run_product(void *args)
{
    const Product *p = args;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t j = 0; j < p->n; j++)
            for (int64_t i = 0; i < p->m; i++) {
                float sum = 0, before = 0;
                for (int64_t l = 0; l < p->k; l++) {
                    int64_t at_a = p->across_a ? l + i * p->lda : i + l * p->lda;
                    int64_t at_b = p->across_b ? j + l * p->ldb : l + j * p->ldb;
                    const float *x = element(p->A, b * p->step_a + at_a, false);
                    const float *y = element(p->B, b * p->step_b + at_b, false);
                    if (!x || !y) return cudaErrorIllegalAddress;
                    sum = fmaf(p->tf32 ? rounded(*x) : *x, p->tf32 ? rounded(*y) : *y, sum);
                }
                int64_t at = b * p->step_c + i + j * p->ldc;
                if (p->beta != 0) {
                    const float *c = element(p->C, at, false);
                    if (!c) return cudaErrorIllegalAddress;
                    before = p->beta * *c;
                }
                float *c = element(p->C, at, true);
                if (!c) return cudaErrorIllegalAddress;
                *c = p->alpha * sum + before;
            }
    return cudaSuccess;
}

/* Column-major: C (m, n) = alpha op(A) op(B) + beta C of every problem of the batch. */
SIM cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m, int n,
                                             int k, const float *alpha, const float *A, int lda, long long step_a,
                                             const float *B, int ldb, long long step_b, const float *beta, float *C,
                                             int ldc, long long step_c, int batch)
{
    if (sim_gone()) return CUBLAS_STATUS_EXECUTION_FAILED;
    bool across_a = ta != CUBLAS_OP_N, across_b = tb != CUBLAS_OP_N;
    if (!h->workspace || m < 1 || n < 1 || k < 1 || batch < 1 || lda < (across_a ? k : m) || ldb < (across_b ? n : k) ||
        ldc < m)
        return CUBLAS_STATUS_INVALID_VALUE;
    Product p = {across_a, across_b, h->tf32, m,      n,      k,     lda, ldb, ldc,
                 batch,    step_a,   step_b,  step_c, *alpha, *beta, A,   B,   C};
    if (!sim_capturing(h->stream)) return run_product(&p) ? CUBLAS_STATUS_EXECUTION_FAILED : CUBLAS_STATUS_SUCCESS;
    sim_record(run_product, &p, sizeof p);
    return CUBLAS_STATUS_SUCCESS;
}
