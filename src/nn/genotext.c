/* genotext: see genotext.h. */
#include "nn/genotext.h"

#include <ctype.h>
#include <string.h>

static const char mark[] = "Genotype(";

GenotextScan genotext_scan(const char *text)
{
    return (GenotextScan){.at = text, .counted = text, .line = 1};
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* The name before an "=" that stands before `hit`. */
static const char *name_before(Arena *perm, const char *line, const char *hit)
{
    const char *p = hit;
    while (p > line && (p[-1] == ' ' || p[-1] == '\t')) p--;
    if (p == line || p[-1] != '=') return 0;
    for (p--; p > line && (p[-1] == ' ' || p[-1] == '\t');) p--;
    const char *end = p;
    while (p > line && is_word(p[-1])) p--;
    if (p == end || (end - p == 8 && !memcmp(p, "genotype", 8))) return 0;
    return arena_strndup(perm, p, end - p);
}

/* Past the closing bracket; comments of Python and quoted texts are no brackets. */
static const char *past(const char *p, const char *stop)
{
    for (int depth = 1; *p && p != stop && depth; p++) {
        if (*p == '#') {
            p += strcspn(p, "\n");
            if (!*p) break;
        } else if (*p == '\'' || *p == '"') {
            const char *close = strchr(p + 1, *p);
            if (!close || (stop && close > stop)) continue; /* told by the parser */
            p = close;
        } else {
            depth += (*p == '(') - (*p == ')');
        }
    }
    return p;
}

/* A definition that was commented out. */
static bool commented(const char *line)
{
    return line[strspn(line, " \t")] == '#';
}

bool genotext_next(Arena *perm, GenotextScan *s, Genotext *out)
{
    const char *hit, *line;
    for (;;) {
        hit = strstr(s->at, mark);
        if (!hit) return false;
        for (line = hit; line > s->counted && line[-1] != '\n';) line--;
        bool inside = hit > s->counted && is_word(hit[-1]); /* MyGenotype( */
        if (!inside && !commented(line)) break;
        s->at = hit + 1;
    }
    for (; s->counted < line; s->counted++) s->line += *s->counted == '\n';
    const char *end = past(hit + strlen(mark), strstr(hit + 1, mark));
    char *piece = arena_strndup(perm, line, end - line);
    bool comment = false;
    for (char *p = piece + (hit - line); *p; p++) {
        comment = *p != '\n' && (comment || *p == '#');
        if (comment || *p == '\n' || *p == '\r') *p = ' ';
    }
    *out = (Genotext){.text = piece, .name = name_before(perm, line, hit), .line = s->line};
    s->at = end;
    return true;
}
