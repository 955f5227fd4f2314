/* cudasim: takes the place of libcudart when objects that nvcc made are linked: their kernels run on the CPU.
 *
 * NAS_CUDASIM: words that change how, separated by commas. unchecked: no checks of memory, for speed; backward, shuffled:
 * the order of blocks and warps; newest: the PTX of the newest architecture in the objects, not of the oldest; statistics: count sectors and bank conflicts; report: print the statistics at exit.
 */
#ifndef NAS_CUDASIM_H
#define NAS_CUDASIM_H
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *kernel; /* "conv_input<64,64,8>" */
    int64_t launches, blocks, threads, warp_instructions, lane_instructions, flops;
    int64_t words;                                         /* of global memory, each counted once a launch */
    int64_t requests, sectors, least_sectors;              /* global memory, 32 bytes a sector */
    int64_t shared_requests, wavefronts, least_wavefronts; /* shared memory */
} CudasimRow;

/* What went wrong last, or 0; forgets it, and lets calls succeed again. */
const char *cudasim_take_error(void);
void cudasim_configure(const char *words);    /* as NAS_CUDASIM */
const char *cudasim_refusal(const char *ptx); /* why a module of this text cannot be run, or 0 */
int cudasim_architecture(void);               /* of the PTX that was launched last: 75, 100 */
/* Kernels that were launched since the last reset. */
void cudasim_kernel_name(const char *mangled, char *to, size_t room);
int64_t cudasim_in_use(void); /* bytes allocated on the device */
int64_t cudasim_statistics(CudasimRow *rows, int64_t room);
void cudasim_reset_statistics(void);
typedef struct {      /* calls of the runtime, so far */
    int64_t graphs;   /* launches of captured streams */
    int64_t launches; /* of kernels, by themselves */
    int64_t copies;   /* between host and device */
    int64_t waits;    /* of the host for a stream that computes */
} CudasimCalls;
void cudasim_calls(CudasimCalls *calls);
#endif
