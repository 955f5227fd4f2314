/* driver: stands in for libcuda.so.1, as far as the search for a plugin asks it: how many devices there are. */
#include "sim_machine.h"

enum { NO_DEVICE = 100 };

__attribute__((visibility("default"))) int cuInit(unsigned flags);
__attribute__((visibility("default"))) int cuDeviceGetCount(int *count);

int cuInit(unsigned flags)
{
    (void)flags;
    return sim_devices() ? 0 : NO_DEVICE;
}

int cuDeviceGetCount(int *count)
{
    *count = sim_devices();
    return 0;
}
