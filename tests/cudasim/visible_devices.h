/* visible_devices: how many devices there are, and which of them a program sees.
 *
 * NAS_CUDASIM_DEVICES: how many, 1 if not set. CUDA_VISIBLE_DEVICES as the driver reads it (CUDA C++ Programming Guide,
 * "CUDA Environment Variables"): device numbers separated by commas, in the program's order; the first that is no device
 * ends the list.
 */
#ifndef NAS_CUDASIM_VISIBLE_DEVICES_H
#define NAS_CUDASIM_VISIBLE_DEVICES_H

enum { MAX_DEVICES = 16 };
int visible_devices(int *device); /* returns the count; device[i]: the real number of the program's device i */
#endif
