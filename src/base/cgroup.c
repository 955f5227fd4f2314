/* cgroup: control group limits, see cgroup.h.
 *
 *   /proc/self/cgroup   0::/a/b            version 2, files in /sys/fs/cgroup/a/b
 *                       4:cpu,cpuacct:/a   version 1, files in /sys/fs/cgroup/cpu/a
 */
#include "base/cgroup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void visit_up(const char *root, const char *path, void (*visit)(void *, const char *), void *context)
{
    char folder[4096];
    size_t base = strlen(root);
    if (snprintf(folder, sizeof folder, "%s%s", root, path) >= (int)sizeof folder) return;
    for (size_t end = strlen(folder); end > base; end = (size_t)(strrchr(folder, '/') - folder)) {
        folder[end] = 0;
        if (folder[end - 1] != '/')
            visit(context, folder);
        else
            folder[end - 1] = 0;
        if (!strchr(folder + base, '/')) break;
    }
    visit(context, root);
}

void cgroup_each(const char *controller, void (*visit)(void *context, const char *folder), void *context)
{
    FILE *f = fopen("/proc/self/cgroup", "r");
    char line[4096], root[64];
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : 0;
        if (!path) continue;
        *names++ = 0;
        *path++ = 0;
        if (!*names) { /* version 2 */
            visit_up("/sys/fs/cgroup", path, visit, context);
            continue;
        }
        for (char *rest = names, *name; (name = strsep(&rest, ","));)
            if (!strcmp(name, controller)) {
                snprintf(root, sizeof root, "/sys/fs/cgroup/%s", controller);
                visit_up(root, path, visit, context);
            }
    }
    if (f) fclose(f);
}

int64_t cgroup_value(const char *folder, const char *file, const char *key)
{
    char path[4200], line[256];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *f = fopen(path, "r");
    int64_t value = -1;
    size_t skip = key ? strlen(key) : 0;
    while (f && fgets(line, sizeof line, f)) {
        if (key && (strncmp(line, key, skip) || line[skip] != ' ')) continue;
        char *end;
        errno = 0;
        long long v = strtoll(line + skip, &end, 10);
        if (end != line + skip && !errno && v >= 0) value = v;
        break;
    }
    if (f) fclose(f);
    return value;
}
