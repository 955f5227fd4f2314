/* help: --help, --version, --man and --completion, all from the option table. */
#include <stdio.h>
#include <string.h>

#include "cli/option.h"

#define TEXT_OF(x)    #x
#define TEXT(x)       TEXT_OF(x)
#define CLANG_VERSION TEXT(__clang_major__) "." TEXT(__clang_minor__) "." TEXT(__clang_patchlevel__)

enum { HELP_WIDTH = 80, HELP_COLUMN = 26 }; /* where the explanations stand */

const char *cli_version(void)
{
    return NAS_VERSION;
}

/* Characters, not bytes. */
static int width(const char *s, int64_t bytes)
{
    int n = 0;
    for (int64_t i = 0; i < bytes; i++) n += (s[i] & 0xc0) != 0x80;
    return n;
}

/* Prints text[0…bytes) wrapped at HELP_WIDTH, later lines indented; the cursor stands at `column`. */
static void print_wrapped(const char *text, int64_t bytes, int column, int indent)
{
    bool first = true;
    for (int64_t i = 0; i < bytes;) {
        int64_t n = 0;
        while (i + n < bytes && text[i + n] != ' ' && text[i + n] != '\n') n++;
        int w = width(text + i, n);
        if (n && !first && column + 1 + w > HELP_WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
            first = true;
        }
        if (n) {
            printf("%s%.*s", first ? "" : " ", (int)n, text + i);
            column += w + !first;
            first = false;
        }
        i += n + 1;
    }
    putchar('\n');
}

/* The value that an option has now, its default when nothing was given, or "" when there is nothing to say. */
static const char *default_text(const CliOption *o, bool man, char *s, size_t room)
{
    s[0] = 0;
    const char *text = o->kind == CLI_STRING || o->kind == CLI_CHOICE ? *(const char **)o->to : 0;
    if (man && o->to == &cli_common.threads)
        snprintf(s, room, "the number of CPUs");
    else if (o->kind == CLI_INT)
        snprintf(s, room, "%lld", (long long)*(int64_t *)o->to);
    else if (o->kind == CLI_DOUBLE)
        snprintf(s, room, "%g", *(double *)o->to);
    else if (o->kind == CLI_FLAG && *(bool *)o->to && o->to != &table_help && o->to != &table_man)
        snprintf(s, room, "on");
    else if (text && *text && strcmp(text, "-"))
        snprintf(s, room, "%s", text);
    return s;
}

/* What follows an explanation: bounds and default. */
static void notes(const CliOption *o, bool man, char *s, size_t room)
{
    char value[256], bounds[96] = "";
    default_text(o, man, value, sizeof value);
    if ((o->kind == CLI_INT || o->kind == CLI_DOUBLE) && (o->min != 0 || o->max != 0))
        snprintf(bounds, sizeof bounds, "%.16g to %.16g", o->min, o->max);
    if (*bounds || *value)
        snprintf(s, room, " (%s%s%s%s)", bounds, *bounds && *value ? "; " : "", *value ? "default " : "", value);
    else
        s[0] = 0;
}

static bool is_shown(const CliOption *o)
{
    return o->kind != CLI_HEADING && *o->help;
}

/* ---- --help ---- */

static bool print_option(void *context, const CliOption *o)
{
    (void)context;
    if (o->kind == CLI_HEADING) printf("\n%s:\n", o->name);
    if (!is_shown(o)) return false;
    char left[256], right[1400], tail[400];
    int column =
        snprintf(left, sizeof left, "  %c%c%c --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
                 o->letter ? ',' : ' ', o->name, o->kind == CLI_FLAG ? "" : " ", o->kind == CLI_FLAG ? "" : o->value);
    notes(o, false, tail, sizeof tail);
    int bytes = snprintf(right, sizeof right, "%s%s%s", o->help, tail, o->kind == CLI_LIST ? " May be repeated." : "");
    printf("%s", left);
    if (column + 2 > HELP_COLUMN) {
        putchar('\n');
        column = 0;
    }
    printf("%*s", HELP_COLUMN - column, "");
    print_wrapped(right, bytes < (int)sizeof right ? bytes : (int)sizeof right - 1, HELP_COLUMN, HELP_COLUMN);
    return false;
}

/* Paragraphs are separated by empty lines; a line that begins with a blank stands as it is (examples). */
static void each_paragraph(const char *text, void (*verbatim)(const char *, int64_t),
                           void (*paragraph)(const char *, int64_t), void (*gap)(void))
{
    while (text && *text) {
        int64_t n = (int64_t)strcspn(text, "\n");
        if (*text == '\n')
            gap();
        else if (*text == ' ')
            verbatim(text, n);
        else {
            while (text[n] && text[n + 1] != '\n' && text[n + 1] != ' ' && text[n + 1])
                n += 1 + (int64_t)strcspn(text + n + 1, "\n");
            paragraph(text, n);
        }
        text += n;
        if (*text) text++;
    }
}

static void help_verbatim(const char *s, int64_t bytes)
{
    printf("%.*s\n", (int)bytes, s);
}

static void help_paragraph(const char *s, int64_t bytes)
{
    print_wrapped(s, bytes, 0, 0);
}

static void help_gap(void)
{
    putchar('\n');
}

void help_print(const CliProgram *program, const CliOption *table)
{
    printf("usage: %s [OPTION...]%s%s\n", program->name, *program->usage ? " " : "", program->usage);
    printf("%s: ", program->name);
    int indent = (int)strlen(program->name) + 2;
    print_wrapped(program->summary, (int64_t)strlen(program->summary), indent, indent);
    if (program->details && *program->details) {
        putchar('\n');
        each_paragraph(program->details, help_verbatim, help_paragraph, help_gap);
    }
    if (table->kind != CLI_HEADING && table->kind != CLI_TABLE) printf("\nOptions:\n");
    table_walk(table, print_option, 0);
}

/* ---- --version ---- */

void help_print_version(const CliProgram *program)
{
#ifdef __clang__
    const char *compiler = "clang " CLANG_VERSION;
#else
    const char *compiler = "gcc " __VERSION__;
#endif
    printf("%s %s\ncompiler: %s\nflags: %s\nbackends: %s\n", program->name, NAS_VERSION, compiler, NAS_FLAGS,
           NAS_BACKENDS);
}

/* ---- --man ---- */

/* Escapes what roff would take for its own. */
static void roff(const char *s, int64_t bytes)
{
    if (bytes && (*s == '.' || *s == '\'')) printf("\\&");
    for (int64_t i = 0; i < bytes; i++) {
        if (s[i] == '\\')
            printf("\\e");
        else if (s[i] == '-')
            printf("\\-");
        else if (s[i] == '\n')
            printf("\n%s", i + 1 < bytes && (s[i + 1] == '.' || s[i + 1] == '\'') ? "\\&" : "");
        else
            putchar(s[i]);
    }
}

static void roff_text(const char *s)
{
    roff(s, (int64_t)strlen(s));
}

static void man_verbatim(const char *s, int64_t bytes)
{
    printf(".RS 4\n.nf\n");
    while (bytes && *s == ' ') s++, bytes--;
    roff(s, bytes);
    printf("\n.fi\n.RE\n");
}

static void man_paragraph(const char *s, int64_t bytes)
{
    roff(s, bytes);
    putchar('\n');
}

static void man_gap(void)
{
    printf(".PP\n");
}

static bool man_option(void *context, const CliOption *o)
{
    (void)context;
    if (o->kind == CLI_HEADING) {
        printf(".SS ");
        roff_text(o->name);
        putchar('\n');
    }
    if (!is_shown(o)) return false;
    printf(".TP\n");
    if (o->letter) printf("\\fB\\-%c\\fR, ", o->letter);
    printf("\\fB\\-\\-");
    roff_text(o->name);
    printf("\\fR");
    if (o->kind == CLI_CHOICE) {
        putchar(' ');
        roff_text(o->value);
    } else if (o->kind != CLI_FLAG) {
        printf(" \\fI");
        roff_text(o->value);
        printf("\\fR");
    }
    char tail[400];
    notes(o, true, tail, sizeof tail);
    putchar('\n');
    roff_text(o->help);
    roff_text(tail);
    printf("%s\n", o->kind == CLI_LIST ? " May be repeated." : "");
    return false;
}

void help_print_man(const CliProgram *program, const CliOption *table)
{
    printf(".TH ");
    for (const char *s = program->name; *s; s++) putchar(*s >= 'a' && *s <= 'z' ? *s - 32 : *s);
    printf(" 1 \"\" \"nas-tools %s\" \"nas-tools\"\n.SH NAME\n", NAS_VERSION);
    roff_text(program->name);
    printf(" \\- ");
    roff_text(program->summary);
    printf("\n.SH SYNOPSIS\n\\fB");
    roff_text(program->name);
    printf("\\fR [OPTION...] ");
    roff_text(program->usage);
    if (program->details && *program->details) {
        printf("\n.SH DESCRIPTION\n");
        each_paragraph(program->details, man_verbatim, man_paragraph, man_gap);
    } else {
        putchar('\n');
    }
    printf(".SH OPTIONS\n");
    table_walk(table, man_option, 0);
    printf(".SH EXIT STATUS\n"
           ".TP\n0\nAll went well.\n"
           ".TP\n1\nThe work could not be done: bad data, no memory, disk full.\n"
           ".TP\n2\nWrong option or argument.\n"
           ".TP\n3\nThe input stream is damaged or cut short.\n"
           ".TP\n130, 143\nEnded by SIGINT or SIGTERM.\n");
}

/* ---- --completion ---- */

static bool completion_name(void *context, const CliOption *o)
{
    (void)context;
    if (is_shown(o)) printf(" --%s", o->name);
    return false;
}

static bool completion_choice(void *context, const CliOption *o)
{
    (void)context;
    if (o->kind != CLI_CHOICE || !is_shown(o)) return false;
    printf("    --%s) COMPREPLY=($(compgen -W '", o->name);
    for (const char *word = o->value; word; word = choice_next(word))
        printf("%s%.*s", word == o->value ? "" : " ", (int)choice_length(word), word);
    printf("' -- \"$word\")); return ;;\n");
    return false;
}

static void bash_completion(const CliProgram *program, const CliOption *table)
{
    char function[64];
    snprintf(function, sizeof function, "_%s", program->name);
    for (char *s = function; *s; s++)
        if (*s == '-') *s = '_';
    printf("%s()\n{\n    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n    COMPREPLY=()\n"
           "    case $before in\n",
           function);
    table_walk(table, completion_choice, 0);
    printf("    esac\n    [[ $word != -* ]] || COMPREPLY=($(compgen -W '");
    table_walk(table, completion_name, 0);
    printf("' -- \"$word\"))\n}\ncomplete -o default -F %s %s\n", function, program->name);
}

/* The first sentence of an explanation, within single quotes: `special` are characters that a backslash makes plain. */
static void completion_help(const char *s, const char *special, const char *quote)
{
    for (; *s && strncmp(s, ". ", 2) && !(*s == '.' && !s[1]); s++) {
        if (*s == '\'')
            printf("%s", quote);
        else
            printf("%s%c", strchr(special, *s) ? "\\" : "", *s);
    }
}

static void completion_words(const CliOption *o)
{
    for (const char *word = o->value; word; word = choice_next(word)) {
        int n = (int)choice_length(word);
        if (n > 2 && !memcmp(word + n - 2, ":N", 2)) n -= 1; /* "cuda:N": the number is the user's */
        printf("%s%.*s", word == o->value ? "" : " ", n, word);
    }
}

static bool takes_file(const CliOption *o)
{
    return (o->kind == CLI_STRING || o->kind == CLI_LIST) && (strstr(o->value, "FILE") || strstr(o->value, "FOLDER"));
}

/* A specification of zsh's _arguments. */
static bool zsh_option(void *context, const CliOption *o)
{
    (void)context;
    if (!is_shown(o)) return false;
    const char *equals = o->kind == CLI_FLAG ? "" : "=", *once = o->kind == CLI_LIST ? "*" : "";
    printf(" \\\n    ");
    if (o->letter) {
        if (!*once) printf("'(-%c --%s)'", o->letter, o->name);
        printf("%s{-%c%s,--%s%s}'[", *once ? "'*'" : "", o->letter, *equals ? "+" : "", o->name, equals);
    } else
        printf("'%s--%s%s[", once, o->name, equals);
    completion_help(o->help, "[]\\", "'\\''");
    printf("]");
    if (o->kind == CLI_CHOICE) {
        printf(":word:(");
        completion_words(o);
        printf(")");
    } else if (o->kind != CLI_FLAG) {
        printf(":");
        completion_help(o->value, ":[]\\", "'\\''");
        printf(":%s", takes_file(o) ? "_files" : " ");
    }
    printf("'");
    return false;
}

static void zsh_completion(const CliProgram *program, const CliOption *table)
{
    printf("#compdef %s\n_arguments -s -S", program->name);
    table_walk(table, zsh_option, 0);
    printf(" \\\n    '*:file:_files'\n");
}

static bool fish_option(void *context, const CliOption *o)
{
    const CliProgram *program = context;
    if (!is_shown(o)) return false;
    printf("complete -c %s -l %s", program->name, o->name);
    if (o->letter) printf(" -s %c", o->letter);
    if (o->kind == CLI_CHOICE) {
        printf(" -x -a '");
        completion_words(o);
        printf("'");
    } else if (o->kind != CLI_FLAG)
        printf(takes_file(o) ? " -r -F" : " -x");
    printf(" -d '");
    completion_help(o->help, "\\", "\\'");
    printf("'\n");
    return false;
}

void help_print_completion(const CliProgram *program, const CliOption *table, const char *shell)
{
    if (!strcmp(shell, "zsh"))
        zsh_completion(program, table);
    else if (!strcmp(shell, "fish"))
        table_walk(table, fish_option, (void *)program);
    else
        bash_completion(program, table);
}
