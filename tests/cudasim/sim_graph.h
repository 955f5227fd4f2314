/* sim_graph: stream capture, graphs and events for the simulator.
 *
 * Streams are numbered from 1. What is launched into a stream that is being captured does not run but is recorded; to wait
 * for such a stream is an error, as on a device. Copies into device memory on a stream that does nothing else are over
 * only when an event that was recorded there is waited for: what reads the bytes before finds them never written.
 */
#ifndef NAS_CUDASIM_SIM_GRAPH_H
#define NAS_CUDASIM_SIM_GRAPH_H
#include <cuda_runtime_api.h>
#include <stdbool.h>

#include "cudasim.h"

extern CudasimCalls sim_calls;
cudaStream_t sim_stream_new(void);
bool sim_computes(cudaStream_t s);  /* it does more than copy */
bool sim_capturing(cudaStream_t s); /* 0: any stream at all */
/* To be done by every launch of the graph: run(a copy of args). */
void sim_record(cudaError_t (*run)(void *args), const void *args, size_t bytes);
void sim_works(cudaStream_t s);                                   /* it does more than copy */
void sim_side_copy(cudaStream_t s, const void *to, size_t bytes); /* was begun; nothing on a stream that works */
void sim_waited(cudaStream_t s);                                  /* the host has waited; 0: for everything */
cudaError_t sim_gone(void);                                       /* counts a call; the error that all return by now */
#endif
