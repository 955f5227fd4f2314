/* spill: an unnamed file, mapped. */
#include "data/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { MARGIN = 64 << 20 /* of the disk, which is left free */ };

const char *spill_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder && *folder ? folder : "/var/tmp";
}

/* A file in the folder that goes with its last user, or -1. */
static int open_unnamed(Arena *perm, const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) return fd;
    char *path = arena_printf(perm, "%s/nas-spill-XXXXXX", folder); /* a file system without such files */
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) unlink(path);
    return fd;
}

const char *spill_open(Arena *perm, int64_t bytes, Spill *out)
{
    const char *folder = spill_folder();
    struct statvfs disk;
    *out = (Spill){.fd = -1};
    if (statvfs(folder, &disk)) return arena_printf(perm, "%s: %s", folder, strerror(errno));
    const double left = (double)disk.f_bavail * (double)disk.f_frsize - MARGIN;
    if (bytes < 1 || (double)bytes > left)
        return arena_printf(perm, "%s has room for %.1f MiB", folder, left > 0 ? left / 1048576 : 0);
    out->fd = open_unnamed(perm, folder);
    if (out->fd < 0) return arena_printf(perm, "%s: %s", folder, strerror(errno));
    void *data = MAP_FAILED;
    if (!ftruncate(out->fd, bytes)) data = mmap(0, (size_t)bytes, PROT_READ, MAP_SHARED, out->fd, 0);
    if (data == MAP_FAILED) {
        const char *why = arena_printf(perm, "%s: %s", folder, strerror(errno));
        close(out->fd);
        return why;
    }
    out->data = data;
    out->bytes = bytes;
    return 0;
}

const char *spill_write(Arena *perm, const Spill *s, int64_t at, const void *from, int64_t n)
{
    for (int64_t done = 0; done < n;) {
        const ssize_t part = pwrite(s->fd, (const char *)from + done, (size_t)(n - done), at + done);
        if (part < 0 && errno == EINTR) continue;
        if (part <= 0) return arena_printf(perm, "%s: %s", spill_folder(), strerror(part ? errno : ENOSPC));
        done += part;
    }
    return 0;
}

void spill_ready(const Spill *s)
{
    madvise(s->data, (size_t)s->bytes, MADV_RANDOM); /* no reading ahead: spill_expect says what comes */
}

void spill_expect(const void *data, int64_t n)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)data & ~(page - 1);
    madvise((void *)begin, (uintptr_t)data + (uintptr_t)n - begin, MADV_WILLNEED);
}

void spill_close(Spill *s)
{
    if (!s->data) return;
    munmap(s->data, (size_t)s->bytes);
    close(s->fd);
    *s = (Spill){.fd = -1};
}
