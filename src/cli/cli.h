/* cli: what all programs have in common: option tables, help, man page, messages, exit codes, terminal rules, signals.
 *
 * One option table gives parsing, --help with live defaults, --man (roff), shell completion and --version.  Only cmd/ and
 * cli/ print or exit.
 */
#ifndef NAS_CLI_H
#define NAS_CLI_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"

enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1, /* the work could not be done: bad data, no memory, disk full */
    EXIT_USAGE = 2,  /* wrong option or argument */
    EXIT_STREAM = 3, /* the input stream is damaged or cut short */
    EXIT_SIGINT = 130,
    EXIT_SIGTERM = 143
};

typedef enum {
    CLI_END,
    CLI_FLAG,
    CLI_INT,
    CLI_DOUBLE,
    CLI_STRING,
    CLI_CHOICE,
    CLI_LIST,
    CLI_TABLE,
    CLI_HEADING
} CliKind;

typedef struct {
    CliKind kind;
    char letter;       /* short form, or 0 */
    const char *name;  /* long form without "--"; for CLI_HEADING the heading */
    const char *value; /* placeholder in help: "N", "FILE"; for CLI_CHOICE the words, "auto|cpu|ref" */
    void *to; /* bool*, int64_t*, double*, const char**, (CHOICE) const char**, (LIST) CliList*, (TABLE) CliOption[] */
    const char *help; /* one or more sentences; wrapped by --help */
    double min, max;  /* bounds of INT and DOUBLE, both inclusive; min == max == 0: none */
} CliOption;

typedef struct { /* an option that may be given many times */
    const char *item[256];
    int count;
} CliList;

typedef struct {
    const char *name;    /* "nas-search" */
    const char *summary; /* "search a cell on a dataset stream" */
    const char *usage;   /* "[FILE...]" */
    const char *details; /* paragraphs for --help and man: what it reads, writes, passes on, drops; examples */
    const CliOption *options;
    bool reads_stdin; /* no file argument on a bare terminal: print usage, exit 2 */
} CliProgram;

/* The options that every program has; their values live here. */
typedef struct {
    int64_t seed;          /* --seed, default 1 */
    int64_t threads;       /* --threads, default: CPUs available */
    const char *device;    /* --device auto|cpu|ref|cuda|cuda:N */
    bool tf32;             /* --tf32 */
    const char *precision; /* --precision fp32|bf16 */
    const char *progress;  /* --progress auto|always|never */
    const char *output;    /* -o FILE, default "-" */
    bool quiet, verbose;
} CliCommon;
extern CliCommon cli_common;
extern const CliOption cli_common_options[]; /* all of the above; splice with {.kind = CLI_TABLE, .to = (void *)…} */
extern const CliOption cli_basic_options[];  /* without seed, threads, device (nas-stats, …) */

/* Parses argv: returns the remaining arguments (0-terminated array); handles --help, --version, --man; exits 2 on a
 * usage error, with one line naming the option and what was expected.  "--" ends options, "-" is an argument.
 * "--name=value", "--name value", "-n value", "-nvalue" and bundled flags are accepted; numbers are parsed strictly
 * (whole string, range); INT accepts 10k, 2M suffixes (×1000, ×1000000).  SIGPIPE is set to default; SIGINT/SIGTERM
 * handlers are NOT installed here. */
char **cli_begin(int argc, char **argv, const CliProgram *program);
/* Calls visit for every option of a table and of those spliced into it, headings left out. */
void cli_options_visit(const CliOption *table, void (*visit)(void *context, const CliOption *o), void *context);
/* The long name of the first option on the command line that is one of `names` (0-terminated), or that is none; or 0. */
const char *cli_given(const char *const *names);
const char *cli_given_beside(const char *const *names);
/* Appends the value that an option has now, such that another value gives another text: "50", "0.025", "yes". */
void cli_option_value(Arena *a, Text *t, const CliOption *o);
/* Flushes and closes stdout, checks for errors; returns the exit code for main: 0, EXIT_FAILED, or that of the signal that
 * cli_catch_signals() caught. */
int cli_end(void);

/* "program: text" on stderr, as one line. die: then exit(code). A temporary output file in progress is removed. */
_Noreturn void cli_die(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_table(const char *text); /* as it is, to standard error; not with --quiet */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2))); /* not with --quiet */
/* For input that cannot be read; `why` names the file already. Exits 3 if a stream is damaged, else 1. */
_Noreturn void cli_die_input(bool damaged, const char *why);

/* The argument vector as one shell-quoted line, for provenance. */
const char *cli_command_line(void);
const char *cli_program_name(void);
const char *cli_version(void); /* "0.1.0" */

/* Installs handlers for SIGINT/SIGTERM that set a flag; cli_interrupted() is 0 or the signal number. A second signal
 * ends the program at once (removing the temporary output). */
void cli_catch_signals(void);
int cli_interrupted(void);

/* Registers the path of a temporary output file: it is removed if the program ends by cli_die, exit or a signal before
 * cli_guard_file(0) is called. One file at a time; the path is copied. */
void cli_guard_file(const char *path);

/* A file that the program writes beside its stream: a temporary one, which gets its name by cli_file_close() and is removed
 * on every other way out but a second signal. Both end the program with status 1 if they fail. */
FILE *cli_file_open(const char *path);
void cli_file_close(FILE *f);
void cli_file_put(const char *path, const void *bytes, int64_t count); /* a whole file at once */

/* Progress on stderr: shown if --progress=always, or auto and stderr is a terminal and not --quiet. A line is redrawn in
 * place on a terminal (at most 10 times a second), printed as a line otherwise. */
bool cli_progress_on(void);
void cli_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_progress_done(void); /* ends a line drawn in place */
/* Refuses to write binary to a terminal: exits 2 with a hint when `output` is "-" and stdout is a terminal. */
void cli_refuse_terminal(const char *output);
#endif
