/* sim_graph: see sim_graph.h. */
#include "sim_graph.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cudasim.h"
#include "device_memory.h"

#define SIM __attribute__((visibility("default")))

typedef struct Node {
    struct Node *next;
    cudaError_t (*run)(void *args);
    void *args;
} Node;

struct CUgraph_st { /* an executable one is the same */
    Node *first, **last;
};

struct CUevent_st {
    cudaStream_t stream; /* 0: never recorded */
    double time;
};

static struct {
    uint64_t at; /* offset into the device's memory */
    size_t bytes;
    cudaStream_t stream;
} side[64];
static int side_count;
enum { STREAMS = 4096 };
static bool works[STREAMS];
static intptr_t streams;
static cudaStream_t captured;
static cudaGraph_t recording;
CudasimCalls sim_calls;

cudaStream_t sim_stream_new(void)
{
    return (cudaStream_t)++streams;
}

bool sim_computes(cudaStream_t s)
{
    return works[(intptr_t)s % STREAMS];
}

void sim_works(cudaStream_t s)
{
    works[(intptr_t)s % STREAMS] = true;
}

bool sim_capturing(cudaStream_t s)
{
    return captured && (!s || s == captured);
}

void sim_record(cudaError_t (*run)(void *args), const void *args, size_t bytes)
{
    Node *n = calloc(1, sizeof *n);
    n->run = run;
    n->args = memcpy(malloc(bytes), args, bytes);
    *recording->last = n;
    recording->last = &n->next;
}

void sim_side_copy(cudaStream_t s, const void *to, size_t bytes)
{
    if (sim_computes(s)) return;
    if (side_count == sizeof side / sizeof *side) sim_waited(0);
    uint64_t at = (uint64_t)(uintptr_t)to - device_base;
    memset(device_valid + at, 0, bytes);
    side[side_count].at = at;
    side[side_count].bytes = bytes;
    side[side_count++].stream = s;
}

void sim_waited(cudaStream_t s)
{
    int kept = 0;
    for (int i = 0; i < side_count; i++)
        if (s && side[i].stream != s)
            side[kept++] = side[i];
        else
            memset(device_valid + side[i].at, 1, side[i].bytes);
    side_count = kept;
}

/* ---- capture and graphs ---- */

SIM cudaError_t cudaStreamBeginCapture(cudaStream_t s, enum cudaStreamCaptureMode mode)
{
    (void)mode;
    if (captured) return cudaErrorIllegalState;
    captured = s;
    recording = calloc(1, sizeof *recording);
    recording->last = &recording->first;
    return sim_gone();
}

SIM cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *graph)
{
    if (!captured || s != captured) return cudaErrorIllegalState;
    *graph = recording;
    captured = 0;
    recording = 0;
    return cudaSuccess;
}

/* The nodes move: a graph is instantiated once. */
SIM cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    (void)flags;
    cudaGraph_t g = calloc(1, sizeof *g);
    g->first = graph->first;
    graph->first = 0;
    *exec = (cudaGraphExec_t)g;
    return sim_gone();
}

static cudaError_t destroy(cudaGraph_t graph)
{
    for (Node *n = graph->first, *next; n; n = next) {
        next = n->next;
        free(n->args);
        free(n);
    }
    free(graph);
    return cudaSuccess;
}

SIM cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    return destroy(graph);
}

SIM cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    return destroy((cudaGraph_t)exec);
}

SIM cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t s)
{
    (void)s;
    if (captured) return cudaErrorStreamCaptureUnsupported;
    cudaError_t e = sim_gone();
    sim_calls.graphs++;
    for (Node *n = ((cudaGraph_t)exec)->first; n && !e; n = n->next) e = n->run(n->args);
    return e;
}

SIM void cudasim_calls(CudasimCalls *calls)
{
    *calls = sim_calls;
}

/* ---- events ---- */

SIM cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    (void)flags;
    *event = calloc(1, sizeof **event);
    return sim_gone();
}

SIM cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    free(event);
    return cudaSuccess;
}

SIM cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t s)
{
    if (sim_capturing(s)) return cudaErrorStreamCaptureUnsupported; /* allowed, but of no use to us */
    event->stream = s;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    event->time = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    return sim_gone();
}

SIM cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t event, unsigned flags)
{
    (void)flags;
    if (event->stream && event->stream != s) sim_waited(event->stream);
    return sim_gone();
}

SIM cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    return event->stream ? cudaStreamSynchronize(event->stream) : cudaSuccess;
}

SIM cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end)
{
    *ms = (float)(1e3 * (end->time - start->time));
    return start->stream && end->stream ? cudaSuccess : cudaErrorInvalidResourceHandle;
}
