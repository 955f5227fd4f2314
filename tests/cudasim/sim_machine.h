/* sim_machine: what kind of machine is simulated, for tests of programs: from the environment, read at every call.
 *
 * NAS_CUDASIM_MEMORY: bytes of memory that a device has. NAS_CUDASIM_FAIL: the device is lost at the call of this number,
 * counted from 1 over launches, copies, allocations and the like.
 */
#ifndef NAS_CUDASIM_SIM_MACHINE_H
#define NAS_CUDASIM_SIM_MACHINE_H
#include <stdbool.h>
#include <stdint.h>

int64_t sim_memory(int64_t most); /* at most `most` */
bool sim_lost(void);              /* counts a call */
#endif
