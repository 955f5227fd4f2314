/* cli: option tables and their parser, see cli.h. */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pool.h"
#include "cli/option.h"

CliCommon cli_common = {
    .seed = 1, .threads = 1, .device = "auto", .precision = "fp32", .progress = "auto", .output = "-"};

const CliOption cli_basic_options[] = {
    {CLI_HEADING, 0, "Common options"},
    {CLI_STRING, 'o', "output", "FILE", &cli_common.output,
     "Write to FILE instead of standard output; it appears under that name only when complete."},
    {CLI_CHOICE, 0, "progress", "auto|always|never", &cli_common.progress,
     "Show progress on standard error; auto: if that is a terminal."},
    {CLI_FLAG, 'q', "quiet", 0, &cli_common.quiet, "Print errors and warnings only."},
    {CLI_FLAG, 'v', "verbose", 0, &cli_common.verbose, "Print more about what is done."},
    {CLI_TABLE, .to = (void *)table_builtin},
    {CLI_END},
};

const CliOption cli_common_options[] = {
    {CLI_HEADING, 0, "Computation"},
    {CLI_INT, 0, "seed", "N", &cli_common.seed, "Seed of all random numbers: same seed, same result.", 0, 0x1p53},
    {CLI_INT, 0, "threads", "N", &cli_common.threads, "Threads to compute with; the result does not depend on it.", 1,
     256},
    {CLI_CHOICE, 0, "device", "auto|cpu|ref|cuda|cuda:N", &cli_common.device,
     "Where to compute; ref: the slow definition of every operation, in double precision."},
    {CLI_FLAG, 0, "tf32", 0, &cli_common.tf32,
     "A GPU may round the factors of large products to 10 bits (TF32): faster, and less exact."},
    {CLI_CHOICE, 0, "precision", "fp32|bf16", &cli_common.precision,
     "How a GPU stores activations and their gradients; bf16: half the memory, two to three digits; weights, statistics and "
     "sums stay fp32."},
    {CLI_TABLE, .to = (void *)cli_basic_options},
    {CLI_END},
};

bool table_help, table_version, table_man;
const char *table_completion;

const CliOption table_builtin[] = {
    {CLI_FLAG, 'h', "help", 0, &table_help, "Print this text."},
    {CLI_FLAG, 0, "version", 0, &table_version, "Print the version and how it was built."},
    {CLI_FLAG, 0, "man", 0, &table_man, "Print the manual page (for man -l)."},
    {CLI_CHOICE, 0, "completion", "bash|zsh|fish", &table_completion, ""},
    {CLI_END},
};

static const char *command_line = "";
static const CliOption *given[256]; /* on the command line, each once */
static int given_count;

static void note_given(const CliOption *o)
{
    int i = 0;
    while (i < given_count && given[i] != o) i++;
    if (i == given_count && i < COUNTOF(given)) given[given_count++] = o;
}

static const char *first_given(const char *const *names, bool among)
{
    for (int i = 0; i < given_count; i++) {
        const char *const *k = names;
        while (*k && strcmp(*k, given[i]->name)) k++;
        if (!*k != among) return given[i]->name;
    }
    return 0;
}

const char *cli_given(const char *const *names)
{
    return first_given(names, true);
}

const char *cli_given_beside(const char *const *names)
{
    return first_given(names, false);
}

const char *cli_command_line(void)
{
    return command_line;
}

/* ---- tables ---- */

const CliOption *table_walk(const CliOption *table, bool (*visit)(void *context, const CliOption *o), void *context)
{
    for (const CliOption *o = table; o->kind != CLI_END; o++) {
        const CliOption *found = o->kind == CLI_TABLE ? table_walk(o->to, visit, context) : visit(context, o) ? o : 0;
        if (found) return found;
    }
    return 0;
}

int64_t choice_length(const char *s)
{
    return (int64_t)strcspn(s, "|");
}

const char *choice_next(const char *s)
{
    s += choice_length(s);
    return *s ? s + 1 : 0;
}

typedef struct {
    void (*visit)(void *context, const CliOption *o);
    void *context;
} Visit;

static bool visit_row(void *context, const CliOption *o)
{
    const Visit *v = context;
    if (o->kind != CLI_HEADING) v->visit(v->context, o);
    return false;
}

void cli_options_visit(const CliOption *table, void (*visit)(void *context, const CliOption *o), void *context)
{
    table_walk(table, visit_row, &(Visit){visit, context});
}

void cli_option_value(Arena *a, Text *t, const CliOption *o)
{
    const CliList *list = o->to;
    const char *text;
    switch (o->kind) {
    case CLI_FLAG: text_add(a, t, *(bool *)o->to ? "yes" : "no"); break;
    case CLI_INT: text_addf(a, t, "%lld", (long long)*(int64_t *)o->to); break;
    case CLI_DOUBLE: text_addf(a, t, "%.17g", *(double *)o->to); break;
    case CLI_LIST:
        for (int i = 0; i < list->count; i++) text_addf(a, t, "%s%s", i ? ", " : "", list->item[i]);
        break;
    default: text = *(const char **)o->to; text_add(a, t, text ? text : "");
    }
}

typedef struct {
    const char *name;
    size_t length; /* 0: look for the letter */
    char letter;
} Wanted;

static bool is_wanted(void *context, const CliOption *o)
{
    const Wanted *w = context;
    if (o->kind == CLI_HEADING) return false;
    return w->length ? !strncmp(o->name, w->name, w->length) && !o->name[w->length] : o->letter == w->letter;
}

/* ---- values ---- */

static bool parse_int(const char *s, int64_t *value)
{
    bool negative = *s == '-';
    int64_t v = 0;
    if (*s == '-' || *s == '+') s++;
    if (!isdigit((unsigned char)*s)) return false;
    for (; isdigit((unsigned char)*s); s++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s - '0', &v)) return false;
    int64_t scale = *s == 'k' ? 1000 : *s == 'M' ? 1000000 : 1;
    if (scale > 1) s++;
    if (*s || __builtin_mul_overflow(v, negative ? -scale : scale, &v)) return false;
    *value = v;
    return true;
}

static bool parse_double(const char *s, double *value)
{
    if (!*s || s[strspn(s, "0123456789+-.eE")]) return false; /* no blanks, hexadecimals, "inf", "nan" */
    char *end;
    double v = strtod(s, &end);
    if (*end || !isfinite(v)) return false;
    *value = v;
    return true;
}

/* A word of the choice, or "word:N" with a number where the choice has ":N". */
static bool parse_choice(const char *choice, const char *s)
{
    for (const char *word = choice; word; word = choice_next(word)) {
        size_t n = (size_t)choice_length(word);
        if (n > 2 && !memcmp(word + n - 2, ":N", 2)) {
            size_t digits = !strncmp(s, word, n - 1) ? strspn(s + n - 1, "0123456789") : 0;
            if (digits > 0 && digits < 5 && !s[n - 1 + digits]) return true;
        } else if (strlen(s) == n && !memcmp(s, word, n)) {
            return true;
        }
    }
    return false;
}

_Noreturn static void die_value(const CliOption *o, const char *what, const char *s)
{
    if (o->min == 0 && o->max == 0) cli_die(EXIT_USAGE, "--%s: expected %s, not '%s'", o->name, what, s);
    cli_die(EXIT_USAGE, "--%s: expected %s from %.16g to %.16g, not '%s'", o->name, what, o->min, o->max, s);
}

static void set_value(const CliOption *o, const char *s)
{
    bool bounded = o->min != 0 || o->max != 0;
    int64_t whole;
    double real;
    CliList *list = o->to;
    switch (o->kind) {
    case CLI_INT: /* compared as integers: above 2^53 a double would round */
        if (!parse_int(s, &whole) || (bounded && (whole < (int64_t)o->min || whole > (int64_t)o->max)))
            die_value(o, "a whole number", s);
        *(int64_t *)o->to = whole;
        break;
    case CLI_DOUBLE:
        if (!parse_double(s, &real) || (bounded && (real < o->min || real > o->max))) die_value(o, "a number", s);
        *(double *)o->to = real;
        break;
    case CLI_CHOICE:
        if (!parse_choice(o->value, s)) cli_die(EXIT_USAGE, "--%s: expected %s, not '%s'", o->name, o->value, s);
        *(const char **)o->to = s;
        break;
    case CLI_LIST:
        if (list->count == COUNTOF(list->item))
            cli_die(EXIT_USAGE, "--%s: given more than %d times", o->name, list->count);
        list->item[list->count++] = s;
        break;
    default: *(const char **)o->to = s;
    }
}

/* ---- the argument vector ---- */

/* Sets the option at argv[i], "--name…", and returns how many words it took. */
static int parse_long(const CliProgram *program, char **argv, int i)
{
    const char *name = argv[i] + 2;
    Wanted wanted = {.name = name, .length = strcspn(name, "=")};
    const CliOption *o = wanted.length ? table_walk(program->options, is_wanted, &wanted) : 0;
    if (!o) cli_die(EXIT_USAGE, "unknown option '%s' (%s --help lists them)", argv[i], program->name);
    note_given(o);
    bool joined = name[wanted.length] == '=';
    if (o->kind == CLI_FLAG) {
        if (joined) cli_die(EXIT_USAGE, "--%s: takes no value", o->name);
        *(bool *)o->to = true;
        return 1;
    }
    if (joined) {
        set_value(o, name + wanted.length + 1);
        return 1;
    }
    if (!argv[i + 1]) cli_die(EXIT_USAGE, "--%s: %s is missing", o->name, o->value);
    set_value(o, argv[i + 1]);
    return 2;
}

/* The same for "-x", "-xyz" (flags), "-nvalue", "-n value". */
static int parse_short(const CliProgram *program, char **argv, int i)
{
    for (const char *s = argv[i] + 1; *s; s++) {
        Wanted wanted = {.letter = *s};
        const CliOption *o = table_walk(program->options, is_wanted, &wanted);
        if (!o) cli_die(EXIT_USAGE, "unknown option '-%c' (%s --help lists them)", *s, program->name);
        note_given(o);
        if (o->kind == CLI_FLAG) {
            *(bool *)o->to = true;
            continue;
        }
        if (s[1]) {
            set_value(o, s + 1);
            return 1;
        }
        if (!argv[i + 1]) cli_die(EXIT_USAGE, "--%s: %s is missing", o->name, o->value);
        set_value(o, argv[i + 1]);
        return 2;
    }
    return 1;
}

static void quote(Arena *a, Text *t, const char *s)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-";
    if (*s && !s[strspn(s, safe)]) {
        text_add(a, t, s);
        return;
    }
    text_add(a, t, "'");
    for (const char *end; (end = strchr(s, '\'')); s = end + 1) text_addf(a, t, "%.*s'\\''", (int)(end - s), s);
    text_addf(a, t, "%s'", s);
}

/* Options that print something and end the program. */
static void answer(const CliProgram *program)
{
    /* All in one write, by cli_end(): the reason why an earlier one failed would be forgotten by then. */
    static char whole[1 << 16];
    if (!isatty(STDOUT_FILENO)) setvbuf(stdout, whole, _IOFBF, sizeof whole);
    if (table_help)
        help_print(program, program->options);
    else if (table_version)
        help_print_version(program);
    else if (table_man)
        help_print_man(program, program->options);
    else if (table_completion)
        help_print_completion(program, program->options, table_completion);
    else
        return;
    exit(cli_end());
}

char **cli_begin(int argc, char **argv, const CliProgram *program)
{
    signal(SIGPIPE, SIG_DFL); /* the parent may have it ignored: a reader that goes away must end us */
    console_set_program(program->name);
    int cpus = pool_cpus();
    cli_common.threads = cpus < 256 ? cpus : 256;

    int64_t bytes =
        1 << 20; /* the command line quoted (up to 4 bytes for one), doubled as it grows, and the arguments */
    for (int i = 0; i < argc; i++) bytes += 16 * (int64_t)strlen(argv[i]) + 128;
    Arena arena = arena_reserve(bytes);
    Text line = {0};
    text_add(&arena, &line, program->name);
    for (int i = 1; i < argc; i++) {
        text_add(&arena, &line, " ");
        quote(&arena, &line, argv[i]);
    }
    command_line = line.s;

    char **rest = NEW(&arena, char *, argc + 1);
    int count = 0;
    bool options = true;
    for (int i = 1; i < argc;) {
        const char *s = argv[i];
        if (!options || s[0] != '-' || !s[1]) {
            rest[count++] = argv[i++];
        } else if (!strcmp(s, "--")) {
            options = false;
            i++;
        } else {
            i += s[1] == '-' ? parse_long(program, argv, i) : parse_short(program, argv, i);
            answer(program);
        }
    }
    if (program->reads_stdin && !count && isatty(STDIN_FILENO)) {
        fprintf(stderr, "usage: %s [OPTION...] %s\n%s --help tells more\n", program->name, program->usage,
                program->name);
        exit(EXIT_USAGE);
    }
    return rest;
}
