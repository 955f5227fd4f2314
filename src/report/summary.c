/* summary: a story as text for a terminal. */
#include "nn/generator_space.h"
#include "report/parts.h"

enum { CELLS_DRAWN = 3 }; /* genotypes that are drawn; further ones are given as their line of text */

static void add_genotypes(const Story *s, Arena *a, Text *out)
{
    int64_t count;
    const Drawing *d = story_drawings(s, a, &count);
    for (int64_t i = 0; i < count; i++) {
        text_addf(a, out, "\n%s\n", escape_text(a, AS_PLAIN, d[i].name));
        if (d[i].text[0]) text_addf(a, out, "  %s\n", escape_text(a, AS_PLAIN, d[i].text));
        if (d[i].unreadable && generator_text_is(d[i].text)) continue;
        if (d[i].unreadable)
            text_addf(a, out, "  cannot be drawn: %s\n", escape_text(a, AS_PLAIN, d[i].unreadable));
        else if (i < CELLS_DRAWN)
            cell_text(a, out, &d[i].genotype);
    }
}

void report_summary(const Story *s, Arena *a, Text *out)
{
    text_addf(a, out, "%s\n", section_contents(s, a));
    for (int i = 0; i < SECTION_COUNT; i++) {
        const Table *t = section_table[i](s, a);
        if (t) {
            text_addf(a, out, "\n%s\n", t->title);
            table_text(a, out, t);
        }
        if (i == SECTION_GENOTYPES) add_genotypes(s, a, out);
        if (i == SECTION_VERDICT && t) verdict_lines(s, a, out, "  ");
    }
    if (s->note) text_addf(a, out, "\n%s\n", escape_text(a, AS_PLAIN, s->note));
}
