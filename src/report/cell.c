/* cell: drawings of a genotype, as text for a terminal and through Graphviz.
 *
 * Operations are boxes on the way from a state to a node, not labels beside a line: so they take part in the layout and
 * never overlap.  Colour tells the family of an operation; where a search gave the mixing weights, the width of the
 * lines tells them.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/generator_space.h"
#include "report/parts.h"

static const struct {
    const char *name, *fill, *line; /* the class of a box, and its colours on white */
} family[] = {
    [PRIM_NONE] = {"none", "#ffffff", "#9a9a9a"},  [PRIM_SKIP] = {"skip", "#f1f1f1", "#8a8a8a"},
    [PRIM_POOL] = {"pool", "#fdebd0", "#c77700"},  [PRIM_SEP] = {"sep", "#dcebfb", "#2a6fb8"},
    [PRIM_DIL] = {"dil", "#e9e2f8", "#6f4bb2"},    [PRIM_CONV_SPLIT] = {"split", "#d8f1ea", "#1d8068"},
    [PRIM_NOISE] = {"none", "#ffffff", "#9a9a9a"},
};

/* ---- which cells there are ---- */

/* The mixing weights of a genotype's edges in the epoch that it was derived from. */
static void find_weights(const StorySearch *search, const SearchEpoch *e, Drawing *d)
{
    const Cell *cell[2] = {&d->genotype.normal, &d->genotype.reduce};
    if (!search->space) return;
    for (int c = 0; c < 2; c++) {
        const AlphaTable *t = 0;
        for (int64_t k = 0; k < e->table_count; k++) {
            if (!strcmp(e->tables[k].name, c ? "reduce" : "normal")) t = &e->tables[k];
        }
        if (!t || !t->weight || t->ops != search->space->op_count) return;
        for (int64_t i = 0; i < cell[c]->nodes * cell[c]->inputs; i++) {
            const char *name = primitive_table[cell[c]->edge[i].op].name;
            int64_t row = space_edge(i / cell[c]->inputs, cell[c]->edge[i].input), op = 0;
            while (op < t->ops && strcmp(search->space->ops[op], name)) op++;
            if (op == t->ops || row < 0 || row >= t->edges) return;
            double w = t->weight[row * t->ops + op];
            if (!(w >= 0 && w <= 1)) return;
            d->weight[c][i] = w;
        }
    }
    d->weighted = true;
}

static void add_drawing(const Story *s, Arena *a, Drawing *all, int64_t *count, const char *name, const char *text)
{
    for (int64_t i = 0; i < *count; i++) {
        if (!strcmp(all[i].text, text) && !strcmp(all[i].name, name)) return;
    }
    Drawing *d = &all[(*count)++];
    *d = (Drawing){.name = name[0] ? name : "unnamed", .text = text};
    d->unreadable = generator_text_is(text) ? "a generator, which is no cell" : genotype_parse(a, text, &d->genotype);
    for (int64_t i = s->search_count; i-- && !d->unreadable && !d->weighted;) {
        const StorySearch *search = &s->search[i];
        const SearchEpoch *e = search->epoch[search->count - 1];
        if (!strcmp(e->genotype, text)) find_weights(search, e, d);
    }
}

Drawing *story_drawings(const Story *s, Arena *a, int64_t *count)
{
    int64_t room = s->search_count;
    for (int64_t i = 0; i < s->count; i++) room += s->item[i].r.kind == REC_GENOTYPE;
    Drawing *all = NEW(a, Drawing, room);
    *count = 0;
    for (int64_t i = 0; i < s->count; i++) {
        const GenotypeRecord *g = &s->item[i].r.genotype;
        if (s->item[i].r.kind == REC_GENOTYPE) add_drawing(s, a, all, count, g->name, g->text);
    }
    for (int64_t i = 0; i < s->search_count; i++) {
        const StorySearch *search = &s->search[i];
        const SearchEpoch *e = search->epoch[search->count - 1];
        bool known = !e->genotype[0];
        for (int64_t k = 0; k < *count && !known; k++) known = !strcmp(all[k].text, e->genotype);
        if (!known) add_drawing(s, a, all, count, search->label, e->genotype);
    }
    return all;
}

/* ---- text ---- */

enum { TEXT_WIDTH = 38 }; /* of one cell: two of them stand side by side */

static char *state_name(Arena *a, int64_t state)
{
    if (state < 2) return arena_strdup(a, state ? "c[k-1]" : "c[k-2]");
    return arena_printf(a, "node %lld", (long long)state - 2);
}

/* "c[k-2] ── sep_conv_3x3 ──┬─ node 0" */
static char *edge_line(Arena *a, const Cell *c, int64_t i)
{
    static const char *const join[] = {"──", "┬─", "┤", "┘"}; /* a lone edge, the first, one between, the last */
    enum { OP_WIDTH = 14 };
    int64_t place = i % c->inputs, node = i / c->inputs;
    int which = c->inputs == 1 ? 0 : place == 0 ? 1 : place + 1 < c->inputs ? 2 : 3;
    Text t = {0};
    const char *op = primitive_table[c->edge[i].op].name;
    text_addf(a, &t, "%-7s── %s ", state_name(a, c->edge[i].input), op);
    for (int64_t k = (int64_t)strlen(op); k < OP_WIDTH; k++) text_add(a, &t, "─");
    text_add(a, &t, join[which]);
    if (place == 0) text_addf(a, &t, " %s", state_name(a, node + 2));
    return t.s;
}

/* "c[k] = nodes 0, 1, 2, 3" */
static char *output_line(Arena *a, const Cell *c)
{
    Text t = {0};
    text_add(a, &t, "c[k] = nodes ");
    for (int64_t i = 0; i < c->concat_count; i++) {
        const char *name = state_name(a, c->concat[i]);
        text_addf(a, &t, "%s%s", i ? ", " : "", c->concat[i] < 2 ? name : name + strlen("node "));
    }
    return t.s;
}

/* Line n of a cell's drawing, or 0 after its end. */
static const char *cell_line(Arena *a, const Cell *c, const char *name, int64_t n)
{
    int64_t edges = c->nodes * c->inputs;
    return n == 0 ? name : n <= edges ? edge_line(a, c, n - 1) : n == edges + 1 ? output_line(a, c) : 0;
}

void cell_text(Arena *a, Text *out, const Genotype *g)
{
    for (int64_t n = 0;; n++) {
        const char *left = cell_line(a, &g->normal, "normal cell", n);
        const char *right = cell_line(a, &g->reduce, "reduction cell", n);
        if (!left && !right) return;
        if (!left) left = "";
        int pad = TEXT_WIDTH - (int)escape_width(left);
        if (right)
            text_addf(a, out, "  %s%*s%s\n", left, pad < 1 ? 1 : pad, "", right);
        else
            text_addf(a, out, "  %s\n", left);
    }
}

/* ---- Graphviz ---- */

static void dot_state(Arena *a, Text *out, int64_t id, int64_t state)
{
    text_addf(a, out, "    s%lld_%lld [class=\"state\" ", (long long)id, (long long)state);
    if (state < 2) {
        text_addf(a, out,
                  "shape=box style=\"rounded,filled\" fillcolor=\"#e4f3e1\" color=\"#3f8a36\" "
                  "label=<c<SUB><FONT POINT-SIZE=\"10\">k−%d</FONT></SUB>>]\n",
                  state ? 1 : 2);
    } else {
        text_addf(a, out,
                  "shape=circle width=0.36 fixedsize=true style=filled fillcolor=\"#ffffff\" "
                  "color=\"#444444\" label=\"%lld\"]\n",
                  (long long)state - 2);
    }
}

static void dot_edge(Arena *a, Text *out, int64_t id, const Cell *c, int64_t i, const double *weight)
{
    const Primitive *p = &primitive_table[c->edge[i].op];
    long long cell = (long long)id, k = (long long)i, node = (long long)(i / c->inputs) + 2;
    const char *name = family[p->kind].name, *line = family[p->kind].line;
    char width[40] = "";
    if (weight) snprintf(width, sizeof width, " penwidth=%.2f", 1 + 7 * weight[i]);
    text_addf(a, out,
              "    o%lld_%lld [class=\"%s\" shape=box style=\"rounded,filled\" fillcolor=\"%s\" color=\"%s\" "
              "fontsize=11 height=0.26 margin=\"0.09,0.03\" label=\"%s",
              cell, k, name, family[p->kind].fill, line, p->name);
    if (weight) text_addf(a, out, "  %.2f", weight[i]);
    text_add(a, out, "\"]\n");
    text_addf(a, out, "    s%lld_%d -> o%lld_%lld [class=\"%s\" color=\"%s\" arrowhead=none%s]\n", cell,
              c->edge[i].input, cell, k, name, line, width);
    text_addf(a, out, "    o%lld_%lld -> s%lld_%lld [class=\"%s\" color=\"%s\"%s]\n", cell, k, cell, node, name, line,
              width);
}

static void dot_cell(Arena *a, Text *out, int64_t id, const Cell *c, const double *weight)
{
    for (int64_t state = 0; state < c->nodes + 2; state++) dot_state(a, out, id, state);
    text_addf(a, out, "    { rank=same s%lld_0 s%lld_1 }\n", (long long)id, (long long)id);
    for (int64_t i = 0; i < c->nodes * c->inputs; i++) dot_edge(a, out, id, c, i, weight);
    text_addf(a, out,
              "    out%lld [class=\"state\" shape=box style=\"rounded,filled\" fillcolor=\"#fff3c4\" "
              "color=\"#a08000\" label=<c<SUB><FONT POINT-SIZE=\"10\">k</FONT></SUB>>]\n",
              (long long)id);
    for (int64_t i = 0; i < c->concat_count; i++) {
        text_addf(a, out, "    s%lld_%d -> out%lld [class=\"joins\" color=\"#b0b0b0\" arrowsize=0.5]\n", (long long)id,
                  c->concat[i], (long long)id);
    }
}

static void dot_begin(Arena *a, Text *out, const char *background)
{
    text_addf(a, out, "digraph cells {\n  graph [rankdir=LR bgcolor=\"%s\" ", background);
    text_add(a, out,
             "fontname=\"Helvetica\" fontsize=14 nodesep=0.16 "
             "ranksep=0.24 pad=0.1 style=invis]\n"
             "  node [fontname=\"Helvetica\" fontsize=13 height=0.36 width=0.3 margin=\"0.1,0.04\"]\n"
             "  edge [arrowsize=0.6]\n");
}

void cell_dot(Arena *a, Text *out, const Drawing *d, int64_t count, CellChoice which)
{
    dot_begin(a, out, "white");
    int64_t id = 0;
    for (int64_t i = count; i--;) { /* Graphviz stacks from the bottom */
        for (int k = 1; k >= 0; k--) {
            if (!(which & (k ? CELL_REDUCE : CELL_NORMAL))) continue;
            text_addf(a, out,
                      "  subgraph cluster_%lld {\n    style=rounded color=\"#dddddd\" "
                      "margin=14 labeljust=l label=\"",
                      (long long)id);
            escape_add(a, out, AS_DOT, d[i].name);
            text_addf(a, out, ": %s\"\n", k ? "reduction cell" : "normal cell");
            dot_cell(a, out, id++, k ? &d[i].genotype.reduce : &d[i].genotype.normal,
                     d[i].weighted ? d[i].weight[k] : 0);
            text_add(a, out, "  }\n");
        }
    }
    text_add(a, out, "}\n");
}

/* Keeps the <svg> element, without ids and titles: ids would repeat on a page with several drawings, and the titles are
 * the names that the states have in our source. */
static const char *svg_element(Arena *a, Text *out, const Text *from, const char *label)
{
    static const char *const left_out[][2] = {{" id=\"", "\""}, {"<title>", "</title>"}};
    const char *s = from->length ? strstr(from->s, "<svg ") : 0;
    if (!s) return "dot: its output is no SVG";
    text_add(a, out, "<svg role=\"img\" aria-label=\"");
    escape_add(a, out, AS_HTML, label);
    text_add(a, out, "\"");
    for (s += strlen("<svg");;) {
        const char *cut = 0, *resume = 0;
        for (int i = 0; i < COUNTOF(left_out); i++) {
            const char *from_here = strstr(s, left_out[i][0]);
            const char *end = from_here ? strstr(from_here + strlen(left_out[i][0]), left_out[i][1]) : 0;
            if (!end || (cut && cut < from_here)) continue;
            cut = from_here;
            resume = end + strlen(left_out[i][1]);
        }
        if (!cut) break;
        text_addf(a, out, "%.*s", (int)(cut - s), s);
        s = resume;
    }
    text_add(a, out, s);
    return 0;
}

const char *cell_svg(Arena *a, Text *out, const Drawing *d, CellChoice which)
{
    static const char *const argv[] = {"dot", "-Tsvg", 0};
    Text source = {0}, drawn = {0};
    dot_begin(a, &source, "transparent");
    dot_cell(a, &source, 0, which == CELL_REDUCE ? &d->genotype.reduce : &d->genotype.normal,
             d->weighted ? d->weight[which == CELL_REDUCE] : 0);
    text_add(a, &source, "}\n");
    const char *why = child_run(a, argv, &source, "graphviz", &drawn);
    const char *kind = which == CELL_REDUCE ? "Reduction" : "Normal";
    return why ? why : svg_element(a, out, &drawn, arena_printf(a, "%s cell of %s", kind, d->name));
}

const char *report_dot(const Story *s, Arena *a, CellChoice which, Text *out)
{
    int64_t count;
    const Drawing *d = story_drawings(s, a, &count);
    if (!count) return "there is no genotype to draw: give a stream of nas-search or nas-derive";
    for (int64_t i = 0; i < count; i++) {
        if (!d[i].unreadable) continue;
        return arena_printf(a, "genotype %s: %s", escape_text(a, AS_PLAIN, d[i].name), d[i].unreadable);
    }
    cell_dot(a, out, d, count, which);
    return 0;
}

const char *report_cells(const Story *s, Arena *a, CellChoice which, const char *format, Text *out)
{
    Text source = {0};
    const char *why = report_dot(s, a, which, &source);
    const char *argv[] = {"dot", arena_printf(a, "-T%s", format), strcmp(format, "png") ? 0 : "-Gdpi=144", 0};
    return why ? why : child_run(a, argv, &source, "graphviz", out);
}
