/* settings: key = value lists, provenance. */
#include "train/settings.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "cli/cli.h"

void settings_add(Arena *perm, Settings *s, const char *key, const char *format, ...)
{
    GROW(perm, s->item, s->count, s->room);
    va_list args;
    va_start(args, format);
    s->item[s->count++] = (Setting){key, arena_vprintf(perm, format, args)};
    va_end(args);
}

Provenance provenance_self(Arena *perm, const char **inputs, int64_t input_count)
{
    struct utsname system;
    return (Provenance){.program = cli_program_name(),
                        .version = cli_version(),
                        .command = cli_command_line(),
                        .host = uname(&system) ? "" : arena_strdup(perm, system.nodename),
                        .seed = cli_common.seed,
                        .unix_time = (double)time(0),
                        .inputs = inputs,
                        .input_count = input_count};
}

const char *reduce_parse(Arena *perm, const char *text, int64_t layers, int64_t *at, int64_t room, int64_t *count)
{
    *count = -1;
    if (!*text) return 0;
    *count = 0;
    if (!strcmp(text, "none")) return 0;
    for (const char *p = text;; p++) {
        char *end;
        long long cell = strtoll(p, &end, 10);
        if (end == p || (*end && *end != ',')) return arena_printf(perm, "\"%s\" is no list of cells like 2,5", text);
        if (cell < 0 || cell >= layers)
            return arena_printf(perm, "no cell %lld: there are %lld, counted from 0", cell, (long long)layers);
        if (*count && cell <= at[*count - 1])
            return arena_printf(perm, "\"%s\": cells in ascending order expected", text);
        if (*count == room) return arena_printf(perm, "more than %lld reduction cells", (long long)room);
        at[(*count)++] = cell;
        p = end;
        if (!*p) return 0;
    }
}

const char *epochs_parse(Arena *perm, const char *text, double most, double *at, int64_t room, int64_t *count)
{
    *count = 0;
    for (const char *p = text; *text; p++) {
        char *end;
        double epoch = strtod(p, &end);
        if (end == p || (*end && *end != ','))
            return arena_printf(perm, "\"%s\" is no list of epochs like 30,60", text);
        if (!(epoch > (*count ? at[*count - 1] : 0) && epoch < most))
            return arena_printf(perm, "\"%s\": ascending epochs between 0 and %g expected", text, most);
        if (*count == room) return arena_printf(perm, "more than %lld epochs", (long long)room);
        at[(*count)++] = epoch;
        p = end;
        if (!*p) return 0;
    }
    return 0;
}

const char *whole_parse(Arena *perm, const char *text, int64_t least, int64_t most, int64_t *to, int64_t room,
                        int64_t *count)
{
    *count = 0;
    for (const char *p = text;; p++) {
        char *end;
        long long value = strtoll(p, &end, 10);
        if (end == p || (*end && *end != ',') || value < least || value > most)
            return arena_printf(perm, "\"%s\" is no list of whole numbers from %lld to %lld, like 4,8", text,
                                (long long)least, (long long)most);
        for (int64_t i = 0; i < *count; i++)
            if (to[i] == value) return arena_printf(perm, "\"%s\": %lld is there twice", text, value);
        if (*count == room) return arena_printf(perm, "more than %lld numbers", (long long)room);
        to[(*count)++] = value;
        p = end;
        if (!*p) return 0;
    }
}
