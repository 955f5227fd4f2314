/* driver: what of libcuda.so.1 a program asks before it opens the plugin, so that `--device cuda` reaches the simulator by
 * the same way that it reaches a GPU. */
#include "visible_devices.h"

int cuInit(unsigned flags);
int cuDeviceGetCount(int *count);

__attribute__((visibility("default"))) int cuInit(unsigned flags)
{
    (void)flags;
    int device[MAX_DEVICES];
    return visible_devices(device) ? 0 : 100; /* CUDA_ERROR_NO_DEVICE */
}

__attribute__((visibility("default"))) int cuDeviceGetCount(int *count)
{
    int device[MAX_DEVICES];
    *count = visible_devices(device);
    return 0;
}
