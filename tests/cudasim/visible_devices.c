/* visible_devices: see visible_devices.h. */
#include "visible_devices.h"

#include <stdlib.h>

int visible_devices(int *device)
{
    const char *all = getenv("NAS_CUDASIM_DEVICES"), *visible = getenv("CUDA_VISIBLE_DEVICES");
    int total = all ? atoi(all) : 1, count = 0;
    if (total > MAX_DEVICES) total = MAX_DEVICES;
    if (!visible) {
        for (; count < total; count++) device[count] = count;
        return count;
    }
    while (count < MAX_DEVICES) {
        char *end;
        long n = strtol(visible, &end, 10);
        if (end == visible || n < 0 || n >= total) return count;
        device[count++] = (int)n;
        if (*end != ',') return count;
        visible = end + 1;
    }
    return count;
}
