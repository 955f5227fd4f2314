/* option: what the parts of src/cli share. */
#ifndef NAS_OPTION_H
#define NAS_OPTION_H
#include "cli/cli.h"

/* Walks a table with its nested tables: calls visit for every row until it returns non-zero, and returns that row. */
const CliOption *table_walk(const CliOption *table, bool (*visit)(void *context, const CliOption *o), void *context);
/* The options that need no table: help, version, man; completion is not shown in the help. */
extern const CliOption table_builtin[];
extern bool table_help, table_version, table_man;
extern const char *table_completion;

/* Words of a CLI_CHOICE, "a|b|c": the length of the word at s, and the next word or 0. */
int64_t choice_length(const char *s);
const char *choice_next(const char *s);

void console_set_program(const char *name);

/* These print to standard output. */
void help_print(const CliProgram *program, const CliOption *table);
void help_print_man(const CliProgram *program, const CliOption *table);
void help_print_version(const CliProgram *program);
void help_print_completion(const CliProgram *program, const CliOption *table, const char *shell); /* bash, zsh, fish */
#endif
