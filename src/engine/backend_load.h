/* backend_load: the CUDA backend, if this machine can use it. */
#ifndef NAS_BACKEND_LOAD_H
#define NAS_BACKEND_LOAD_H
#include "engine/backend.h"

/* 0 and *why, one line, if there is none. simulated: the plugin of the tests, which runs the same kernels on the CPU. */
const Backend *backend_load_cuda(Arena *perm, bool simulated, const char **why);
#endif
