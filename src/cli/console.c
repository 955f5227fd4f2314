/* console: messages, progress, signals, the temporary file, and the end of a program. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/option.h"

static const char *program_name = "nas";

static struct {
    char text[512];
    double drawn;          /* when; 0: never */
    bool on_screen, stale; /* a line stands on the terminal; text is newer than it */
} progress;

/* ---- the temporary file ---- */

static char guard_path[PATH_MAX];
static volatile sig_atomic_t guard_set, signal_caught, signals_wanted;

static void guard_remove(void) /* async-signal-safe */
{
    if (guard_set) unlink(guard_path);
    guard_set = 0;
}

/* The first SIGINT or SIGTERM of a program that asked for it only sets the flag; anything else cleans up and ends the
 * program by that same signal, so that its parent sees what happened. */
static void on_signal(int number)
{
    if (signals_wanted && !signal_caught && (number == SIGINT || number == SIGTERM)) {
        signal_caught = number;
        return;
    }
    guard_remove();
    signal(number, SIG_DFL);
    raise(number); /* delivered when this handler returns */
}

static void catch_signal(int number)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    sigemptyset(&act.sa_mask);
    sigaction(number, 0, &before);
    if (before.sa_handler == SIG_IGN) return; /* nohup, background jobs */
    sigaction(number, &act, 0);
}

void cli_guard_file(const char *path)
{
    static bool ready;
    guard_set = 0;
    if (!path || strlen(path) >= sizeof guard_path) return;
    memcpy(guard_path, path, strlen(path) + 1);
    if (!ready) {
        ready = true;
        atexit(guard_remove);
        static const int number[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
        for (size_t i = 0; i < COUNTOF(number); i++) catch_signal(number[i]);
    }
    guard_set = 1;
}

void cli_catch_signals(void)
{
    signals_wanted = 1;
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
}

int cli_interrupted(void)
{
    return signal_caught;
}

/* ---- messages ---- */

void console_set_program(const char *name)
{
    program_name = name;
}

const char *cli_program_name(void)
{
    return program_name;
}

static void line_clear(void)
{
    if (progress.on_screen) fputs("\r\033[K", stderr);
    progress.on_screen = false;
}

/* One line, whatever bytes a file name holds. */
static void say(const char *format, va_list args)
{
    char text[4096];
    if (vsnprintf(text, sizeof text, format, args) < 0) snprintf(text, sizeof text, "%s", format);
    for (unsigned char *s = (unsigned char *)text; *s; s++)
        if (*s < ' ' || *s == 127) *s = '?';
    line_clear();
    fprintf(stderr, "%s: %s\n", program_name, text);
}

void cli_die(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    guard_remove();
    exit(code);
}

void cli_die_input(bool damaged, const char *why)
{
    cli_die(damaged ? EXIT_STREAM : EXIT_FAILED, "%s", why);
}

void cli_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

void cli_table(const char *text)
{
    cli_progress_done();
    if (!cli_common.quiet) fputs(text, stderr);
}

void cli_note(const char *format, ...)
{
    if (cli_common.quiet) return;
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

/* ---- progress ---- */

bool cli_progress_on(void)
{
    if (!strcmp(cli_common.progress, "always")) return true;
    return !strcmp(cli_common.progress, "auto") && !cli_common.quiet && isatty(STDERR_FILENO);
}

static void line_draw(void)
{
    struct winsize size;
    int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 2 ? 80 : size.ws_col;
    int bytes = 0, column = 0; /* cut at the last column, between characters */
    while (progress.text[bytes] && column < width - 1) {
        bytes++;
        while ((progress.text[bytes] & 0xc0) == 0x80) bytes++;
        column++;
    }
    fprintf(stderr, "\r%.*s\033[K", bytes, progress.text);
    progress.on_screen = true;
    progress.stale = false;
    progress.drawn = clock_wall();
}

void cli_progress(const char *format, ...)
{
    if (!cli_progress_on()) return;
    va_list args;
    va_start(args, format);
    vsnprintf(progress.text, sizeof progress.text, format, args);
    va_end(args);
    if (!isatty(STDERR_FILENO)) {
        fprintf(stderr, "%s\n", progress.text);
        return;
    }
    progress.stale = true;
    if (clock_wall() - progress.drawn >= 0.1) line_draw();
}

void cli_progress_done(void)
{
    if (progress.stale) line_draw();
    if (progress.on_screen) fputc('\n', stderr);
    progress.on_screen = false;
    progress.drawn = 0;
}

/* ---- terminal and end ---- */

void cli_refuse_terminal(const char *output)
{
    if (!strcmp(output, "-") && isatty(STDOUT_FILENO))
        cli_die(EXIT_USAGE, "standard output is a terminal: give -o FILE, or pipe into another program");
}

int cli_end(void)
{
    cli_progress_done();
    bool pending = __fpending(stdout) > 0, failed = ferror(stdout);
    errno = 0;
    /* A standard output that was closed from the start matters only if something was written to it. */
    if (fclose(stdout) && (pending || errno != EBADF)) failed = true;
    if (!failed && cli_interrupted()) return cli_interrupted() == SIGINT ? EXIT_SIGINT : EXIT_SIGTERM;
    if (!failed) return EXIT_OK;
    cli_warn("standard output: %s", errno ? strerror(errno) : "write error");
    return EXIT_FAILED;
}
