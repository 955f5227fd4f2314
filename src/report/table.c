/* table: rows and columns of text, as aligned text or as HTML. Columns without any content are left out. */
#include <string.h>

#include "report/parts.h"

enum { TABLE_MAX_WIDTH = 64 }; /* of a column, in characters: wider cells are cut with … */

Table *table_new(Arena *a, const char *title, const char *columns)
{
    Table *t = NEW(a, Table, 1);
    t->title = title;
    for (const char *s = columns;;) {
        bool right = *s == '>';
        s += right;
        ptrdiff_t n = (ptrdiff_t)strcspn(s, "|");
        table_column(a, t, arena_strndup(a, s, n), right);
        if (!s[n]) return t;
        s += n + 1;
    }
}

int64_t table_column(Arena *a, Table *t, const char *head, bool right)
{
    for (int64_t i = 0; i < t->columns && head[0]; i++) {
        if (!strcmp(t->head[i], head)) return i;
    }
    if (t->rows) return -1;
    const char **heads = NEW(a, const char *, t->columns + 1);
    bool *rights = NEW(a, bool, t->columns + 1);
    for (int64_t i = 0; i < t->columns; i++) {
        heads[i] = t->head[i];
        rights[i] = t->right[i];
    }
    heads[t->columns] = head;
    rights[t->columns] = right;
    t->head = heads;
    t->right = rights;
    return t->columns++;
}

const char **table_row(Arena *a, Table *t)
{
    t->cell = arena_grow(a, t->cell, t->rows, &t->room, t->columns * (int64_t)sizeof *t->cell);
    const char **row = t->cell + t->rows++ * t->columns;
    for (int64_t i = 0; i < t->columns; i++) row[i] = "";
    return row;
}

void table_pair(Arena *a, Table *t, const char *key, const char *value)
{
    if (!value[0]) return;
    const char **row = table_row(a, t);
    row[0] = key;
    row[1] = value;
}

static bool column_used(const Table *t, int64_t column)
{
    for (int64_t r = 0; r < t->rows; r++) {
        if (t->cell[r * t->columns + column][0]) return true;
    }
    return false;
}

static bool has_heading(const Table *t)
{
    for (int64_t c = 0; c < t->columns; c++) {
        if (t->head[c][0]) return true;
    }
    return false;
}

static const char *cut(Arena *a, const char *s)
{
    if (escape_width(s) <= TABLE_MAX_WIDTH) return s;
    int64_t n = 0, characters = 0;
    while (characters < TABLE_MAX_WIDTH) characters += ((unsigned char)s[n++] & 0xc0) != 0x80;
    return arena_printf(a, "%.*s…", (int)(n - 1), s);
}

void table_text(Arena *a, Text *out, const Table *t)
{
    int64_t *width = NEW(a, int64_t, t->columns);
    int64_t lines = t->rows + 1, last = -1;
    bool *used = NEW(a, bool, t->columns);
    const char **shown = NEW(a, const char *, lines * t->columns); /* the heading, then the rows */
    for (int64_t c = 0; c < t->columns; c++) {
        used[c] = column_used(t, c);
        if (used[c]) last = c;
    }
    for (int64_t i = 0; i < lines * t->columns; i++) {
        const char *s = escape_text(a, AS_PLAIN, i < t->columns ? t->head[i] : t->cell[i - t->columns]);
        bool whole = i % t->columns == last && !t->right[last]; /* nothing stands behind it */
        shown[i] = whole ? s : cut(a, s);
        if (width[i % t->columns] < escape_width(shown[i])) width[i % t->columns] = escape_width(shown[i]);
    }
    for (int64_t r = has_heading(t) ? 0 : 1; r < lines; r++) {
        text_add(a, out, "  ");
        for (int64_t c = 0; c <= last; c++) {
            const char *s = shown[r * t->columns + c];
            int pad = (int)(width[c] - escape_width(s));
            if (!used[c]) continue;
            if (t->right[c])
                text_addf(a, out, "%*s%s", pad, "", s);
            else
                text_addf(a, out, "%s%*s", s, pad, "");
            text_add(a, out, "  ");
        }
        while (out->length && out->s[out->length - 1] == ' ') out->s[--out->length] = 0;
        text_add(a, out, "\n");
    }
}

void table_html(Arena *a, Text *out, const Table *t)
{
    bool heading = has_heading(t);
    text_add(a, out, "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"");
    escape_add(a, out, AS_HTML, t->title);
    text_addf(a, out, "\"><table%s>\n", heading ? "" : " class=\"pairs\"");
    if (heading) {
        text_add(a, out, "<thead><tr>");
        for (int64_t c = 0; c < t->columns; c++) {
            if (!column_used(t, c)) continue;
            text_addf(a, out, "<th scope=\"col\"%s>", t->right[c] ? " class=\"number\"" : "");
            escape_add(a, out, AS_HTML, t->head[c]);
            text_add(a, out, "</th>");
        }
        text_add(a, out, "</tr></thead>\n");
    }
    text_add(a, out, "<tbody>\n");
    for (int64_t r = 0; r < t->rows; r++) {
        text_add(a, out, "<tr>");
        for (int64_t c = 0; c < t->columns; c++) {
            if (!column_used(t, c)) continue;
            const char *tag = !heading && c == 0 ? "th" : "td";
            text_addf(a, out, "<%s%s%s>", tag, tag[1] == 'h' ? " scope=\"row\"" : "",
                      t->right[c] ? " class=\"number\"" : "");
            escape_add(a, out, AS_HTML, t->cell[r * t->columns + c]);
            text_addf(a, out, "</%s>", tag);
        }
        text_add(a, out, "</tr>\n");
    }
    text_add(a, out, "</tbody></table></div>\n");
}
