/* cgroup: the limits that Linux control groups put on this process, version 1 and 2. */
#ifndef NAS_CGROUP_H
#define NAS_CGROUP_H
#include <stdint.h>

/* Calls visit with the folder of this process's control group and of each of its ancestors; `controller` ("cpu",
 * "memory") names the hierarchy of version 1. Folders may not exist (inside a container the path is often the host's). */
void cgroup_each(const char *controller, void (*visit)(void *context, const char *folder), void *context);
/* The number in folder/file: its first word (key 0), or the word after `key`. -1: no such file, or no number ("max"). */
int64_t cgroup_value(const char *folder, const char *file, const char *key);
#endif
