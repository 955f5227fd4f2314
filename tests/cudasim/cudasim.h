/* cudasim: takes the place of libcudart when objects that nvcc made are linked: their kernels run on the CPU.
 *
 * NAS_CUDASIM: words that change how, separated by commas. unchecked: no checks of memory, for speed; backward, shuffled:
 * the order of blocks and warps; newest: the PTX of the newest architecture in the objects, not of the oldest; statistics: count sectors and bank conflicts; report: print the statistics at exit.
 */
#ifndef NAS_CUDASIM_H
#define NAS_CUDASIM_H
#include <stdint.h>

typedef struct {
    const char *kernel;
    int64_t launches, blocks, warp_instructions, lane_instructions;
    int64_t requests, sectors, least_sectors;              /* global memory, 32 bytes a sector */
    int64_t shared_requests, wavefronts, least_wavefronts; /* shared memory */
} CudasimRow;

/* What went wrong last, or 0; forgets it, and lets calls succeed again. */
const char *cudasim_take_error(void);
void cudasim_configure(const char *words); /* as NAS_CUDASIM */
const char *cudasim_refusal(const char *ptx); /* why a module of this text cannot be run, or 0 */
/* Kernels that were launched since the last reset. */
int64_t cudasim_statistics(CudasimRow *rows, int64_t room);
void cudasim_reset_statistics(void);
#endif
