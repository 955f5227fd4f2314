/* sim_blas: takes the place of libcublas, as far as kernels/cuda/gemm.cu calls it. cuBLAS's documentation defines the
 * result, not the order of its sums; here an element is a sum over k, upwards, of fused multiply-adds in single precision,
 * of factors that are floats, rounded to 10 bits where TF32 is allowed, or bf16; it is stored as a float or rounded to bf16. What is read must have been written, what is written be allocated.
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
    bool exact, workspace; /* exact: no sum is rounded below its compute type */
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
    handle->exact = mode & CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
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

/* Where element `at` behind p lies here; 0, aloud, if it must not be used. */
static void *element(const void *p, cudaDataType_t type, int64_t at, bool write)
{
    uint64_t size = type == CUDA_R_16BF ? 2 : 4, address = (uint64_t)(uintptr_t)p + (uint64_t)at * size;
    uint64_t offset = address - device_base;
    const Allocation *a = device_owns((const void *)(uintptr_t)address) ? device_find(address) : 0;
    if (!a || a->freed || address + size > a->end || address % size) {
        fprintf(stderr, "cudasim: cublasGemmStridedBatchedEx: %#llx is not allocated\n", (unsigned long long)address);
        return 0;
    }
    if (write)
        memset(device_valid + offset, 1, size);
    else if (memchr(device_valid + offset, 0, size)) {
        fprintf(stderr, "cudasim: cublasGemmStridedBatchedEx: %#llx was never written\n", (unsigned long long)address);
        return 0;
    }
    return device_bytes + offset;
}

/* To the nearest float whose lower bits are zero. */
static float rounded(float v, int bits_off)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    if (isfinite(v)) bits = (bits + (1u << (bits_off - 1)) - 1 + (bits >> bits_off & 1)) & ~((1u << bits_off) - 1);
    memcpy(&v, &bits, sizeof bits);
    return v;
}

static float value(const void *from, cudaDataType_t type)
{
    float v = 0;
    if (type == CUDA_R_16BF) /* the upper half of a float */
        memcpy((char *)&v + 2, from, 2);
    else
        memcpy(&v, from, sizeof v);
    return v;
}

static void store(void *to, cudaDataType_t type, float v)
{
    if (type == CUDA_R_16BF) {
        v = rounded(v, 16);
        memcpy(to, (char *)&v + 2, 2);
    } else
        memcpy(to, &v, sizeof v);
}

typedef struct {
    bool across_a, across_b, tf32;
    int m, n, k, lda, ldb, ldc, batch;
    int64_t step_a, step_b, step_c;
    cudaDataType_t type, type_c;
    float alpha, beta;
    const void *A, *B;
    void *C;
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
                    const void *x = element(p->A, p->type, b * p->step_a + at_a, false);
                    const void *y = element(p->B, p->type, b * p->step_b + at_b, false);
                    if (!x || !y) return cudaErrorIllegalAddress;
                    float u = value(x, p->type), v = value(y, p->type);
                    sum = fmaf(p->tf32 ? rounded(u, 13) : u, p->tf32 ? rounded(v, 13) : v, sum);
                }
                int64_t at = b * p->step_c + i + j * p->ldc;
                if (p->beta != 0) {
                    const void *c = element(p->C, p->type_c, at, false);
                    if (!c) return cudaErrorIllegalAddress;
                    before = p->beta * value(c, p->type_c);
                }
                void *c = element(p->C, p->type_c, at, true);
                if (!c) return cudaErrorIllegalAddress;
                store(c, p->type_c, p->alpha * sum + before);
            }
    return cudaSuccess;
}

/* Column-major: C (m, n) = alpha op(A) op(B) + beta C of every problem of the batch. Of the types of cuBLAS's table, those
 * that gemm.cu has: all floats; bf16 with a bf16 or float C, which are added up as floats. */
SIM cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m,
                                              int n, int k, const void *alpha, const void *A, cudaDataType_t type_a,
                                              int lda, long long step_a, const void *B, cudaDataType_t type_b, int ldb,
                                              long long step_b, const void *beta, void *C, cudaDataType_t type_c,
                                              int ldc, long long step_c, int batch, cublasComputeType_t compute,
                                              cublasGemmAlgo_t algorithm)
{
    if (sim_gone()) return CUBLAS_STATUS_EXECUTION_FAILED;
    bool across_a = ta != CUBLAS_OP_N, across_b = tb != CUBLAS_OP_N, tf32 = compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    bool bf16 = type_a == CUDA_R_16BF;
    if (!h->workspace || m < 1 || n < 1 || k < 1 || batch < 1 || lda < (across_a ? k : m) || ldb < (across_b ? n : k) ||
        ldc < m || algorithm != CUBLAS_GEMM_DEFAULT)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (type_a != type_b || (!bf16 && type_a != CUDA_R_32F) || (type_c != CUDA_R_32F && type_c != type_a) ||
        (compute != CUBLAS_COMPUTE_32F && (!tf32 || bf16)))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (bf16 && !h->exact) return CUBLAS_STATUS_INVALID_VALUE; /* parts of sums could be rounded */
    Product p = {across_a,
                 across_b,
                 tf32,
                 m,
                 n,
                 k,
                 lda,
                 ldb,
                 ldc,
                 batch,
                 step_a,
                 step_b,
                 step_c,
                 type_a,
                 type_c,
                 *(const float *)alpha,
                 *(const float *)beta,
                 A,
                 B,
                 C};
    if (!sim_capturing(h->stream)) return run_product(&p) ? CUBLAS_STATUS_EXECUTION_FAILED : CUBLAS_STATUS_SUCCESS;
    sim_record(run_product, &p, sizeof p);
    return CUBLAS_STATUS_SUCCESS;
}
