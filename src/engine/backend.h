/* backend: what runs a graph. engine.c forwards every call of engine.h to one of these; the meaning of each function is
 * that of its engine_* namesake. Memory belongs to the backend; callers hold plain arrays only. */
#ifndef NAS_BACKEND_H
#define NAS_BACKEND_H
#include "engine/engine.h"

enum { BACKEND_ABI = 4 };

typedef struct {
    int abi; /* BACKEND_ABI */
    const char *name;
    const char *(*probe)(Arena *perm, const char *device); /* 0, or why the device is not to be had */
    const char *(*memory)(const Graph *g, const EngineOptions *o, Arena scratch, Arena *perm, EngineMemory *out);
    void *(*open)(Arena *perm, const Graph *g, const EngineOptions *o, const char **why);
    void (*close)(void *b);
    const char *(*device)(const void *b);
    const char *(*error)(const void *b);
    void (*upload)(void *b, Block to, const float *from);
    void (*download)(void *b, Block from, float *to);
    void (*copy)(void *b, Block to, Block from);
    void (*set_mix)(void *b, int32_t table, const float *weight);
    void (*get_mix_grad)(void *b, int32_t table, float *grad);
    void (*set_active)(void *b, int32_t table, const uint8_t *active);
    void (*set_drop)(void *b, double p, uint64_t seed, int64_t step);
    void (*batch)(void *b, const float *x, const float *y, int64_t n);
    void (*forward)(void *b, Mode mode);
    double (*loss)(void *b);
    void (*logits)(void *b, float *out);
    void (*backward)(void *b, GradWhat what);
    void (*scale)(void *b, Block y, double factor);
    void (*axpy)(void *b, Block y, double a, Block x);
    double (*dot)(void *b, Block x, Block y);
    void (*sgd)(void *b, double lr, double momentum, double weight_decay, bool nesterov, double grad_scale);
    void (*adam)(void *b, double lr, double beta1, double beta2, double eps, double weight_decay, bool decoupled,
                 int64_t step, double grad_scale);
    void (*value)(void *b, Value v, float *out);
    void (*set_profile)(void *b, bool on);
    int64_t (*profile)(const void *b, EngineProfile *rows, int64_t room);
    void (*targets)(void *b, const float *y);
    void (*outputs)(void *b, double *loss, float *logits);
    void (*wait)(void *b);
    void (*clip)(void *b, double most);
} Backend;

/* cpu and ref: kernels of the host on a thread pool (backend_host.c). */
extern const Backend backend_cpu, backend_ref;
#endif
