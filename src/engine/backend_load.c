/* backend_load: finds the CUDA backend, a plugin that is opened only when a driver has answered. No program links CUDA. */
#include "engine/backend_load.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Asks the driver, and nothing but the driver, for devices: half a millisecond where there is none. 0, or why not. */
static const char *probe_driver(Arena *perm)
{
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (!driver) return "no CUDA driver (libcuda.so.1)";
    int (*init)(unsigned), (*count)(int *), status, devices = 0;
    *(void **)&init = dlsym(driver, "cuInit");
    *(void **)&count = dlsym(driver, "cuDeviceGetCount");
    if (!init || !count) return "libcuda.so.1 is no CUDA driver";
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    const char *seen = visible ? arena_printf(perm, "; CUDA_VISIBLE_DEVICES is \"%.100s\"", visible) : "";
    if ((status = init(0)) || (status = count(&devices)))
        return arena_printf(perm, "the CUDA driver has no device for us (error %d%s)", status, seen);
    return devices > 0 ? 0 : arena_printf(perm, "the CUDA driver has no device%s", seen);
}

/* The plugin's file: what the environment names, beside the program, or where `make install` puts it. 0: none. */
static const char *plugin_file(Arena *perm, const char *variable)
{
    static const char *const places[] = {"libnas-cuda.so", "../lib/nas-tools/libnas-cuda.so"};
    const char *given = getenv(variable);
    if (given && *given) return given;
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n < 0 || strcmp(variable, "NAS_CUDA_PLUGIN")) return 0;
    exe[n] = 0;
    *strrchr(exe, '/') = 0;
    for (int i = 0; i < COUNTOF(places); i++) {
        const char *path = arena_printf(perm, "%s/%s", exe, places[i]);
        if (!access(path, R_OK)) return path;
    }
    return 0;
}

const Backend *backend_load_cuda(Arena *perm, bool simulated, const char **why)
{
    const char *variable = simulated ? "NAS_CUDASIM_PLUGIN" : "NAS_CUDA_PLUGIN";
    *why = simulated ? 0 : probe_driver(perm);
    if (*why) return 0;
    const char *path = plugin_file(perm, variable);
    if (!path) {
        *why = simulated ? "NAS_CUDASIM_PLUGIN names no simulator (make tests builds one, for tests)"
                         : "there is a CUDA driver, but no libnas-cuda.so (make cuda builds it)";
        return 0;
    }
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* never closed: its kernels are registered for good */
    if (!plugin) {
        *why = arena_strdup(perm, dlerror());
        return 0;
    }
    const Backend *(*get)(void);
    *(void **)&get = dlsym(plugin, "nas_backend");
    const Backend *b = get ? get() : 0;
    if (b && b->abi == BACKEND_ABI) return b;
    *why = arena_printf(perm, "%s is not a plugin of this version of nas-tools", path);
    return 0;
}
