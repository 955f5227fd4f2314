/* engine: picks the backend by the device's name and passes every call on. */
#include "engine/engine.h"

#include <math.h>
#include <string.h>

#include "engine/backend_load.h"

struct Engine {
    const Backend *backend;
    void *state;
    const Graph *graph;
    const char *device;
};

const char *const precision_name[PRECISION_COUNT] = {"fp32", "bf16"};

static const char without_head[] = "the graph has no head";

/* The device is NAME or NAME:N, N of up to three digits. */
static bool is_named(const char *device, const char *name)
{
    size_t n = strlen(name);
    if (strncmp(device, name, n)) return false;
    size_t digits = device[n] == ':' ? strspn(device + n + 1, "0123456789") : 0;
    return !device[n] || (digits >= 1 && digits <= 3 && !device[n + 1 + digits]);
}

/* *device is what "auto" stands for, and *why the reason; or why there is no backend. */
static const Backend *find_backend(const char **device, Arena *perm, const char **why)
{
    const char *name = *device ? *device : "auto";
    bool automatic = !strcmp(name, "auto"), simulated = is_named(name, "cudasim");
    *why = 0;
    if (automatic || simulated || is_named(name, "cuda")) {
        const Backend *b = backend_load_cuda(perm, simulated, why);
        if (!automatic) {
            if (!b) *why = arena_printf(perm, "device %s: %s", name, *why);
            return b;
        }
        if (b && (*why = b->probe(perm, "cuda"))) b = 0;
        if (b) *why = "auto: a CUDA driver and its device answered";
        *device = b ? "cuda" : "cpu";
        return b ? b : &backend_cpu;
    }
    if (!strcmp(name, "cpu")) return &backend_cpu;
    if (!strcmp(name, "ref")) return &backend_ref;
    *why = arena_printf(perm, "device %s: unknown; auto, cpu, ref and cuda[:N] are there", name);
    return 0;
}

/* Why the backend cannot have this precision, or 0. `reason`: why it was taken. */
static const char *lacks_precision(Arena *perm, const Backend *b, const EngineOptions *o, const char *reason)
{
    if (o->precision == PRECISION_FP32 || (b != &backend_cpu && b != &backend_ref)) return 0;
    return arena_printf(perm, "device %s%s%s%s: %s is for GPUs alone", o->device, reason ? " (" : "",
                        reason ? reason : "", reason ? ")" : "", precision_name[o->precision]);
}

const char *engine_memory(const Graph *g, const EngineOptions *o, Arena scratch, Arena *perm, EngineMemory *out)
{
    const char *why = 0;
    EngineOptions chosen = *o;
    *out = (EngineMemory){0};
    if (g->error) return g->error;
    if (g->logits < 0) return without_head;
    const Backend *b = find_backend(&chosen.device, perm, &why);
    if (b) why = lacks_precision(perm, b, &chosen, why);
    return b && !why ? b->memory(g, &chosen, scratch, perm, out) : why;
}

Engine *engine_open(Arena *perm, const Graph *g, const EngineOptions *o, const char **why)
{
    *why = g->error;
    if (*why) return 0;
    if (g->logits < 0) {
        *why = without_head;
        return 0;
    }
    if (o->batch < 1 || o->batch > 1 << 20) {
        *why = "the batch must be from 1 to 1048576";
        return 0;
    }
    EngineOptions chosen = *o;
    const char *reason;
    const Backend *b = find_backend(&chosen.device, perm, &reason);
    *why = b ? lacks_precision(perm, b, &chosen, reason) : reason;
    if (*why) return 0;
    void *state = b->open(perm, g, &chosen, why);
    if (!state) return 0;
    Engine *e = NEW(perm, Engine, 1);
    const char *device = b->device(state);
    if (reason) device = arena_printf(perm, "%s (%s)", device, reason);
    *e = (Engine){b, state, g, device};
    return e;
}

void engine_close(Engine *e)
{
    if (e) e->backend->close(e->state);
}

const Graph *engine_graph(const Engine *e)
{
    return e->graph;
}

const char *engine_device(const Engine *e)
{
    return e->device;
}

const char *engine_error(const Engine *e)
{
    return e->backend->error(e->state);
}

int64_t engine_block_count(const Engine *e, Block b)
{
    return b < BLOCK_WEIGHT_KINDS ? e->graph->weight_count : e->graph->stat_floats;
}

void engine_upload(Engine *e, Block b, const float *from)
{
    e->backend->upload(e->state, b, from);
}

void engine_download(Engine *e, Block b, float *to)
{
    e->backend->download(e->state, b, to);
}

void engine_copy(Engine *e, Block to, Block from)
{
    e->backend->copy(e->state, to, from);
}

void engine_set_mix(Engine *e, int32_t table, const float *weight)
{
    e->backend->set_mix(e->state, table, weight);
}

void engine_get_mix_grad(Engine *e, int32_t table, float *grad)
{
    e->backend->get_mix_grad(e->state, table, grad);
}

void engine_set_active(Engine *e, int32_t table, const uint8_t *active)
{
    e->backend->set_active(e->state, table, active);
}

void engine_set_drop(Engine *e, double p, uint64_t seed, int64_t step)
{
    e->backend->set_drop(e->state, p, seed, step);
}

void engine_batch(Engine *e, const float *x, const float *y, int64_t n)
{
    e->backend->batch(e->state, x, y, n);
}

void engine_forward(Engine *e, Mode mode)
{
    e->backend->forward(e->state, mode);
}

void engine_targets(Engine *e, const float *y)
{
    e->backend->targets(e->state, y);
}

double engine_loss(Engine *e)
{
    return e->backend->loss(e->state);
}

void engine_logits(Engine *e, float *out)
{
    e->backend->logits(e->state, out);
}

void engine_outputs(Engine *e, double *loss, float *logits)
{
    e->backend->outputs(e->state, loss, logits);
}

void engine_wait(Engine *e)
{
    e->backend->wait(e->state);
}

void engine_backward(Engine *e, GradWhat what)
{
    e->backend->backward(e->state, what);
}

double engine_grad_norm(Engine *e)
{
    return sqrt(e->backend->dot(e->state, BLOCK_GRAD, BLOCK_GRAD));
}

void engine_clip(Engine *e, double most)
{
    e->backend->clip(e->state, most);
}

void engine_scale(Engine *e, Block b, double factor)
{
    e->backend->scale(e->state, b, factor);
}

void engine_axpy(Engine *e, Block y, double a, Block x)
{
    e->backend->axpy(e->state, y, a, x);
}

double engine_dot(Engine *e, Block a, Block b)
{
    return e->backend->dot(e->state, a, b);
}

void engine_sgd(Engine *e, double lr, double momentum, double weight_decay, bool nesterov, double grad_scale)
{
    e->backend->sgd(e->state, lr, momentum, weight_decay, nesterov, grad_scale);
}

void engine_adam(Engine *e, double lr, double beta1, double beta2, double eps, double weight_decay, bool decoupled,
                 int64_t step, double grad_scale)
{
    e->backend->adam(e->state, lr, beta1, beta2, eps, weight_decay, decoupled, step, grad_scale);
}

void engine_value(Engine *e, Value v, float *out)
{
    e->backend->value(e->state, v, out);
}

void engine_set_profile(Engine *e, bool on)
{
    e->backend->set_profile(e->state, on);
}

int64_t engine_profile(const Engine *e, EngineProfile *rows, int64_t room)
{
    return e->backend->profile(e->state, rows, room);
}
