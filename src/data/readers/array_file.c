/* array_file: the child process that holds the library, and its socket.
 *
 *   child:   Answer, ArrayInfo × count           (on opening)
 *   parent:  Request      child:  Answer, bytes  (as often as wanted)
 */
#include "data/readers/array_file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

struct ArrayFile {
    const char *path;
    pid_t child;
    int fd, patience;
    int64_t count;
    ArrayInfo *info;
};

typedef struct {
    int64_t index, start[ARRAY_MAX_RANK], count[ARRAY_MAX_RANK];
} Request;

typedef struct {
    int64_t failed, size; /* size: arrays listed, or bytes that follow */
    char message[ARRAY_MESSAGE];
} Answer;

/* Bytes of a slab, or -1. */
static int64_t slab_bytes(const ArrayInfo *a, const int64_t *count)
{
    int64_t bytes = dtype_size((DType)a->type);
    for (int i = 0; i < a->rank; i++) bytes = size_mul(bytes, count[i]);
    return bytes;
}

/* ---- the child ---- */

static void tell(int fd, const void *data, int64_t n)
{
    for (const char *p = data; n > 0;) {
        ssize_t k = send(fd, p, (size_t)n, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) _exit(0); /* nobody listens any more */
        p += k;
        n -= k;
    }
}

static bool hear(int fd, void *data, int64_t n)
{
    for (char *p = data; n > 0;) {
        ssize_t k = recv(fd, p, (size_t)n, 0);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        p += k;
        n -= k;
    }
    return true;
}

/* A crash leaves no core, a runaway allocation fails, and what the C library says as it dies goes nowhere. */
static void settle(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++) dup2(nowhere, fd);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
#ifndef __SANITIZE_ADDRESS__ /* whose shadow memory is larger than any limit */
    long long pages = 0;     /* of writable memory, of which the arenas reserve much */
    FILE *f = fopen("/proc/self/statm", "re");
    int64_t free_bytes = memory_available();
    if (f && fscanf(f, "%*d %*d %*d %*d %*d %lld", &pages) == 1 && free_bytes > 0) {
        rlim_t most = (rlim_t)(pages * sysconf(_SC_PAGESIZE) + free_bytes);
        setrlimit(RLIMIT_DATA, &(struct rlimit){most, most});
    }
    if (f) fclose(f);
#endif
}

/* `a` is the child's own copy. */
static _Noreturn void serve(Arena a, const ArrayLibrary *library, const char *path, int fd)
{
    Answer first = {0};
    ArrayInfo *list = NEW(&a, ArrayInfo, ARRAY_MAX);
    void *file = library->open(&a, path, first.message);
    first.failed = !file;
    if (file) {
        first.size = library->list(file, list, ARRAY_MAX);
        if (first.size < 0) snprintf(first.message, sizeof first.message, "more than %d arrays", ARRAY_MAX);
        first.failed = first.size < 0;
    }
    tell(fd, &first, sizeof first);
    if (first.failed) _exit(0);
    tell(fd, list, first.size * (int64_t)sizeof *list);
    for (Request r; hear(fd, &r, sizeof r);) {
        Arena once = a;
        Answer reply = {.size = slab_bytes(&list[r.index], r.count)};
        char *slab = arena_alloc(&once, 1, 64, reply.size);
        reply.failed = library->read(file, &list[r.index], r.start, r.count, slab, reply.message) != 0;
        tell(fd, &reply, sizeof reply);
        if (!reply.failed) tell(fd, slab, reply.size);
    }
    _exit(0);
}

/* ---- the parent ---- */

static void reap(ArrayFile *f, int *status)
{
    if (f->child <= 0) return;
    kill(f->child, SIGKILL); /* no effect on one that has ended: it is not yet waited for */
    while (waitpid(f->child, status, 0) < 0 && errno == EINTR) {
    }
    f->child = 0;
}

/* Exactly n bytes of an answer, or what became of the child instead. */
static const char *await(Arena *perm, ArrayFile *f, void *to, int64_t n)
{
    for (char *p = to; n > 0;) {
        struct pollfd ready = {f->fd, POLLIN, 0};
        int got = poll(&ready, 1, f->patience * 1000);
        if (got < 0 && errno == EINTR) continue;
        int status = 0;
        if (got == 0) {
            reap(f, &status);
            return arena_printf(perm, "%s: damaged: the library that reads it gave no answer for %d s", f->path,
                                f->patience);
        }
        ssize_t k = recv(f->fd, p, (size_t)n, 0);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            siginfo_t end = {0}; /* how it ended, before reap() makes sure that it does */
            waitid(P_PID, (id_t)f->child, &end, WEXITED | WNOWAIT);
            reap(f, &status);
            if (WIFSIGNALED(status))
                return arena_printf(perm, "%s: damaged: the library that reads it crashed (%s)", f->path,
                                    strsignal(WTERMSIG(status)));
            return arena_printf(perm, "%s: damaged: the library that reads it gave up", f->path);
        }
        p += k;
        n -= k;
    }
    return 0;
}

static const char *listen_to(Arena *perm, ArrayFile *f, Answer *a)
{
    const char *why =
        f->child > 0 ? await(perm, f, a, sizeof *a) : arena_printf(perm, "%s: its reading has ended before", f->path);
    if (why || !a->failed) return why;
    a->message[ARRAY_MESSAGE - 1] = 0;
    for (char *c = a->message; *c; c++)
        if ((unsigned char)*c < ' ') *c = ' ';
    return arena_printf(perm, "%s: %s", f->path, a->message);
}

/* A text of the file: ended, and without control characters. */
static void tame(char *s, size_t room)
{
    s[room - 1] = 0;
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 127) *s = '?';
}

static bool sound(ArrayInfo *a)
{
    tame(a->name, sizeof a->name);
    bool good = a->rank >= 0 && a->rank <= ARRAY_MAX_RANK && a->fills >= 0 && a->fills <= ARRAY_FILLS &&
                (a->type == DTYPE_U8 || a->type == DTYPE_F32 || a->type == DTYPE_F64);
    for (int i = 0; good && i < a->rank; i++) {
        tame(a->dimension[i], sizeof a->dimension[i]);
        good = a->size[i] >= 0;
    }
    return good;
}

static const char *receive_list(Arena *perm, ArrayFile *f)
{
    Answer a;
    const char *why = listen_to(perm, f, &a);
    if (why) return why;
    if (a.size < 0 || a.size > ARRAY_MAX) return arena_printf(perm, "%s: damaged: a list without sense", f->path);
    f->info = NEW(perm, ArrayInfo, a.size);
    if ((why = await(perm, f, f->info, a.size * (int64_t)sizeof *f->info))) return why;
    for (int64_t i = 0; i < a.size; i++)
        if (!sound(&f->info[i])) return arena_printf(perm, "%s: damaged: an array without sense", f->path);
    f->count = a.size;
    return 0;
}

bool array_magic(const unsigned char *head, int64_t bytes)
{
    static const unsigned char hdf[] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    if (bytes >= 4 && !memcmp(head, "CDF", 3) && (head[3] == 1 || head[3] == 2 || head[3] == 5)) return true;
    for (int64_t at = 0; at + (int64_t)sizeof hdf <= bytes; at = at ? 2 * at : 512) /* after a user block, too */
        if (!memcmp(head + at, hdf, sizeof hdf)) return true;
    return false;
}

static const char *choose(Arena *perm, const char *path, const ArrayLibrary **library)
{
    unsigned char head[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return arena_printf(perm, "%s: %s", path, strerror(errno));
    struct stat st = {0};
    bool regular = !fstat(fd, &st) && S_ISREG(st.st_mode);
    ssize_t n = regular ? pread(fd, head, sizeof head, 0) : 0;
    close(fd);
    if (S_ISDIR(st.st_mode)) return arena_printf(perm, "%s: %s", path, strerror(EISDIR));
    if (!regular) return arena_printf(perm, "%s: not a plain file: NetCDF and HDF5 cannot be read from a pipe", path);
    if (n == 0) return arena_printf(perm, "%s: byte 0: the file is empty", path);
    if (!array_magic(head, n)) return arena_printf(perm, "%s: byte 0: neither NetCDF nor HDF5", path);
    *library = head[0] == 'C' && head[1] == 'D' && head[2] == 'F' ? &array_netcdf : &array_hdf5;
    return 0;
}

ArrayFile *array_open(Arena *perm, const char *path, int patience, const char **why)
{
    const ArrayLibrary *library;
    if ((*why = choose(perm, path, &library))) return 0;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
        *why = arena_printf(perm, "%s: %s", path, strerror(errno));
        return 0;
    }
    ArrayFile *f = NEW(perm, ArrayFile, 1);
    const pid_t parent = getpid();
    *f = (ArrayFile){.path = arena_strdup(perm, path), .child = fork(), .fd = pair[0], .patience = patience};
    if (f->child == 0) {
        close(pair[0]);
        settle(parent);
        serve(*perm, library, path, pair[1]);
    }
    const int error = errno;
    close(pair[1]);
    *why = f->child < 0 ? arena_printf(perm, "%s: no process to read it: %s", path, strerror(error))
                        : receive_list(perm, f);
    if (!*why) return f;
    array_close(f);
    return 0;
}

const ArrayInfo *array_list(const ArrayFile *f, int64_t *count)
{
    *count = f->count;
    return f->info;
}

const char *array_read(Arena *perm, ArrayFile *f, int64_t index, const int64_t *start, const int64_t *count, void *to)
{
    const ArrayInfo *a = &f->info[index];
    Request r = {.index = index};
    for (int i = 0; i < a->rank; i++) {
        r.start[i] = start[i];
        r.count[i] = count[i];
    }
    const int64_t bytes = slab_bytes(a, count);
    if (bytes < 0 || bytes > ARRAY_SLAB) return arena_printf(perm, "%s: %s: a slab too large", f->path, a->name);
    if (f->child > 0)
        while (send(f->fd, &r, sizeof r, MSG_NOSIGNAL) < 0 && errno == EINTR) {
        } /* if it fails, the answer will tell */
    Answer answer;
    const char *why = listen_to(perm, f, &answer);
    if (!why && answer.size != bytes) why = arena_printf(perm, "%s: %s: an answer without sense", f->path, a->name);
    return why ? why : await(perm, f, to, bytes);
}

void array_close(ArrayFile *f)
{
    int status;
    if (!f) return;
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
    reap(f, &status);
}
