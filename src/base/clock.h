/* clock: wall time, CPU time and memory of this process. */
#ifndef NAS_CLOCK_H
#define NAS_CLOCK_H
#include <stdint.h>
double clock_wall(void);        /* seconds, monotonic */
double clock_cpu(void);         /* seconds of CPU used by all threads */
int64_t memory_now(void);       /* resident bytes of this process, or 0 */
int64_t memory_peak(void);      /* peak resident bytes of this process (VmHWM), or 0 */
int64_t memory_available(void); /* bytes that can be used without swapping (MemAvailable, cgroup limit), or 0 */
#endif
