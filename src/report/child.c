/* child: runs another program over memory: its input is a file in memory, and so is what it writes. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report/parts.h"

extern char **environ;

static bool write_all(int fd, const char *s, int64_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, s, (size_t)n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        s += k;
        n -= k;
    }
    return lseek(fd, 0, SEEK_SET) == 0;
}

/* Appends the whole of a file to a text (which may hold bytes: its length counts). */
static bool read_all(Arena *a, int fd, Text *out)
{
    off_t size = lseek(fd, 0, SEEK_END);
    if (size < 0 || size > (off_t)1 << 31) return false;
    char *s = arena_alloc(a, 1, 1, out->length + size + 1);
    if (out->length) memcpy(s, out->s, (size_t)out->length);
    off_t done = 0;
    while (done < size) {
        ssize_t k = pread(fd, s + out->length + done, (size_t)(size - done), done);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        done += k;
    }
    *out = (Text){.s = s, .length = out->length + size, .capacity = out->length + size + 1};
    return true;
}

static const char *spawn_and_wait(Arena *a, const char *const *argv, const int fd[3], const char *package, int *status)
{
    posix_spawn_file_actions_t actions;
    int wrong = posix_spawn_file_actions_init(&actions);
    if (wrong) return arena_printf(a, "%s: %s", argv[0], strerror(wrong));
    for (int i = 0; i < 3 && !wrong; i++) wrong = posix_spawn_file_actions_adddup2(&actions, fd[i], i);
    pid_t pid = 0;
    if (!wrong) wrong = posix_spawnp(&pid, argv[0], &actions, 0, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    const char *not_found = arena_printf(a, "%s: not found: install the package %s", argv[0], package);
    if (wrong == ENOENT) return not_found;
    if (wrong) return arena_printf(a, "%s: cannot be run: %s", argv[0], strerror(wrong));
    while (waitpid(pid, status, 0) < 0) {
        if (errno != EINTR) return arena_printf(a, "%s: %s", argv[0], strerror(errno));
    }
    if (WIFEXITED(*status) && WEXITSTATUS(*status) == 127) wrong = ENOENT; /* POSIX: it may be told so late */
    return wrong ? not_found : 0;
}

const char *child_run(Arena *a, const char *const *argv, const Text *input, const char *package, Text *output)
{
    int fd[3];
    const char *why = 0;
    for (int i = 0; i < 3; i++) {
        fd[i] = memfd_create("nas-stats", MFD_CLOEXEC);
        if (fd[i] < 0) why = arena_printf(a, "%s: no file in memory: %s", argv[0], strerror(errno));
    }
    if (!why && !write_all(fd[0], input->s, input->length)) {
        why = arena_printf(a, "%s: its input: %s", argv[0], strerror(errno));
    }
    int status = 0;
    if (!why) why = spawn_and_wait(a, argv, fd, package, &status);
    if (!why && (!WIFEXITED(status) || WEXITSTATUS(status))) {
        Text message = {0};
        read_all(a, fd[2], &message);
        char *line = message.length ? message.s + strspn(message.s, "\n ") : "";
        line = escape_text(a, AS_PLAIN, arena_strndup(a, line, (ptrdiff_t)strcspn(line, "\n")));
        why = WIFEXITED(status) ? arena_printf(a, "%s: exit %d: %s", argv[0], WEXITSTATUS(status), line)
                                : arena_printf(a, "%s: ended by signal %d", argv[0], WTERMSIG(status));
    }
    if (!why && !read_all(a, fd[1], output)) why = arena_printf(a, "%s: its output cannot be read", argv[0]);
    for (int i = 0; i < 3; i++) {
        if (fd[i] >= 0) close(fd[i]);
    }
    return why;
}
