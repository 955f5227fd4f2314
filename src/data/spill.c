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

enum {
    MARGIN = 64 << 20, /* of the disk, which is left free */
    STEP = 64 << 20    /* bytes, in which a growing file takes the disk */
};

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

SpillWhen spill_when(void)
{
    const char *when = getenv("NAS_SPILL");
    return !when                     ? SPILL_IF_NEEDED
           : !strcmp(when, "always") ? SPILL_ALWAYS
           : !strcmp(when, "never")  ? SPILL_NEVER
                                     : SPILL_IF_NEEDED;
}

const char *spill_refuses(Arena *perm, int64_t bytes)
{
    const char *folder = spill_folder();
    struct statvfs disk;
    if (statvfs(folder, &disk)) return arena_printf(perm, "%s: %s", folder, strerror(errno));
    const double left = (double)disk.f_bavail * (double)disk.f_frsize - MARGIN;
    if (bytes >= 0 && (double)bytes <= left) return 0;
    return arena_printf(perm, "%s has room for %.1f MiB", folder, left > 0 ? left / 1048576 : 0);
}

/* A file of `bytes` mapped, which the disk has room for at the least `least` of. */
static const char *open_mapped(Arena *perm, int64_t least, int64_t bytes, int access, Spill *out)
{
    const char *folder = spill_folder(), *refused = bytes < 1 ? "no bytes" : spill_refuses(perm, least);
    *out = (Spill){.fd = -1};
    if (refused) return refused;
    out->fd = open_unnamed(perm, folder);
    if (out->fd < 0) return arena_printf(perm, "%s: %s", folder, strerror(errno));
    void *data = MAP_FAILED;
    if (!ftruncate(out->fd, bytes)) data = mmap(0, (size_t)bytes, access, MAP_SHARED, out->fd, 0);
    if (data == MAP_FAILED) {
        const char *why = arena_printf(perm, "%s: %s", folder, strerror(errno));
        close(out->fd);
        return why;
    }
    out->data = data;
    out->bytes = bytes;
    return 0;
}

const char *spill_open(Arena *perm, int64_t bytes, Spill *out)
{
    return open_mapped(perm, bytes, bytes, PROT_READ, out);
}

const char *spill_begin(Arena *perm, const void *from, int64_t n, int64_t room, Spill *out)
{
    const char *why = open_mapped(perm, n + 1, room, PROT_READ | PROT_WRITE, out);
    if (!why && n && (why = spill_write(perm, out, 0, from, n))) spill_close(out);
    if (!why) out->reserved = n;
    return why;
}

const char *spill_reserve(Arena *perm, Spill *s, int64_t bytes)
{
    if (bytes <= s->reserved) return 0;
    int64_t to = s->reserved + STEP < s->bytes ? s->reserved + STEP : s->bytes;
    if (to < bytes) to = bytes;
    int error = to > s->bytes ? ENOSPC : 0;
    if (!error) do
            error = posix_fallocate(s->fd, s->reserved, to - s->reserved);
        while (error == EINTR);
    if (error) return arena_printf(perm, "%s: %s", spill_folder(), strerror(error));
    s->reserved = to;
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

/* Tells the system of whole pages. */
static void advise(const void *data, int64_t n, int what)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)data & ~(page - 1);
    madvise((void *)begin, (uintptr_t)data + (uintptr_t)n - begin, what);
}

void spill_access(const void *data, int64_t n, bool random)
{
    advise(data, n, random ? MADV_RANDOM : MADV_NORMAL); /* random: no reading ahead, spill_expect says what comes */
}

void spill_expect(const void *data, int64_t n)
{
    advise(data, n, MADV_WILLNEED);
}

void spill_close(Spill *s)
{
    if (!s->data) return;
    munmap(s->data, (size_t)s->bytes);
    close(s->fd);
    *s = (Spill){.fd = -1};
}
