/* pool: a thread pool for short parallel regions.
 *
 * A region is `parts` independent parts; threads take part numbers from one counter.  What a part does must depend on
 * its number alone (never on `thread`, which only names a private scratch area), so results do not depend on the thread
 * count.  Workers spin for some tens of microseconds after a region, then sleep in a futex: on a shared machine a
 * spinning partner costs more than a wake-up.
 */
#ifndef NAS_POOL_H
#define NAS_POOL_H
#include <stdint.h>

typedef struct Pool Pool;
typedef void (*PoolFn)(void *context, int64_t part, int thread);

/* threads >= 1; the calling thread counts as thread 0. Returns 0 if a thread cannot be created. */
Pool *pool_open(int threads);
void pool_close(Pool *p); /* may be 0 */
int pool_threads(const Pool *p);
/* Runs fn for part 0 … parts-1 and returns when all are done. Not re-entrant. */
void pool_run(Pool *p, int64_t parts, PoolFn fn, void *context);
/* Number of CPUs this process may use (affinity and cgroup limit respected), at least 1. */
int pool_cpus(void);
#endif
