/* sim_machine: see sim_machine.h. */
#include "sim_machine.h"

#include <stdlib.h>

static int64_t setting(const char *variable, int64_t otherwise)
{
    const char *text = getenv(variable);
    return text && *text ? strtoll(text, 0, 10) : otherwise;
}

int64_t sim_memory(int64_t most)
{
    int64_t bytes = setting("NAS_CUDASIM_MEMORY", most);
    return bytes < most ? bytes : most;
}

bool sim_lost(void)
{
    static int64_t calls;
    int64_t at = setting("NAS_CUDASIM_FAIL", 0);
    return at && ++calls >= at;
}
