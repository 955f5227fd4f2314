/* genotype: the text form of a pair of cells, read and written, and random cells. */
#include "nn/genotype.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/rng.h"

/* ---- reading ---- */

typedef struct {
    Arena *perm;
    const char *text, *at;
    const char *why; /* sticky */
} Parser;

static bool complain(Parser *p, const char *at, const char *what)
{
    if (!p->why) p->why = arena_printf(p->perm, "column %td: %s", at - p->text + 1, what);
    return false;
}

static char look(Parser *p)
{
    while (isspace((unsigned char)*p->at)) p->at++;
    return *p->at;
}

static bool take(Parser *p, char c)
{
    if (p->why || look(p) != c) return false;
    p->at++;
    return true;
}

static bool expect(Parser *p, char c)
{
    if (p->why) return false;
    return take(p, c) || complain(p, p->at, arena_printf(p->perm, "expected '%c'", c));
}

/* A small number: state indices and range bounds. */
static int read_number(Parser *p)
{
    if (p->why) return 0;
    if (!isdigit((unsigned char)look(p))) return complain(p, p->at, "expected a number");
    const char *start = p->at;
    int n = 0;
    for (; isdigit((unsigned char)*p->at); p->at++) {
        n = n * 10 + (*p->at - '0');
        if (n > 1000) return complain(p, start, "no such state: the number is too large");
    }
    return n;
}

/* A bare word; its length, 0 if there is none. */
static int64_t read_word(Parser *p, const char **word)
{
    look(p);
    *word = p->at;
    while (isalnum((unsigned char)*p->at) || *p->at == '_') p->at++;
    return p->at - *word;
}

static char opening(Parser *p)
{
    return take(p, '[') ? ']' : expect(p, '(') ? ')' : 0;
}

static int8_t read_op(Parser *p)
{
    char quote = look(p);
    if (quote != '\'' && quote != '"') return complain(p, p->at, "expected a quoted operation");
    const char *name = ++p->at;
    while (*p->at && *p->at != quote) p->at++;
    if (!*p->at) return complain(p, name, "the quote is never closed");
    int64_t length = p->at++ - name;
    int op = primitive_find(name, length);
    if (op >= 0) return (int8_t)op;
    return complain(p, name, primitive_unknown(p->perm, name, length));
}

enum { MAX_EDGES = GENOTYPE_MAX_NODES * 2 };

/* Where things stood, for complaints that need the whole cell. */
typedef struct {
    int64_t edge_count;
    const char *edges_at, *input_at[MAX_EDGES], *concat_at[GENOTYPE_MAX_NODES + 2];
} Places;

static void read_edges(Parser *p, Cell *c, Places *places)
{
    char close = opening(p);
    places->edges_at = p->at;
    while (!p->why && !take(p, close)) {
        if (places->edge_count == MAX_EDGES) {
            complain(p, p->at, "a cell of too many edges");
            return;
        }
        GeneEdge *e = &c->edge[places->edge_count];
        char end = opening(p);
        if (!p->why) e->op = read_op(p);
        expect(p, ',');
        look(p);
        const char *at = places->input_at[places->edge_count++] = p->at;
        int input = read_number(p);
        if (input > GENOTYPE_MAX_NODES) complain(p, at, "no such state");
        e->input = (int8_t)input;
        take(p, ',');
        expect(p, end);
        if (!take(p, ',')) {
            expect(p, close);
            return;
        }
    }
}

static void read_concat(Parser *p, Cell *c, Places *places)
{
    const char *word, *start = (look(p), p->at);
    bool range = read_word(p, &word) == 5 && !memcmp(word, "range", 5);
    if (range) {
        expect(p, '(');
        int from = read_number(p);
        expect(p, ',');
        int to = read_number(p);
        take(p, ',');
        expect(p, ')');
        if (p->why) return;
        if (from >= to || to > GENOTYPE_MAX_NODES + 2) {
            complain(p, start, "an impossible range");
            return;
        }
        for (int i = from; i < to; i++) {
            places->concat_at[c->concat_count] = start;
            c->concat[c->concat_count++] = (int8_t)i;
        }
        return;
    }
    p->at = start;
    char close = opening(p);
    while (!p->why && !take(p, close)) {
        const char *at = (look(p), p->at);
        int state = read_number(p);
        if (c->concat_count == COUNTOF(c->concat) || state > GENOTYPE_MAX_NODES + 1) {
            complain(p, at, "no such state");
            return;
        }
        places->concat_at[c->concat_count] = at;
        c->concat[c->concat_count++] = (int8_t)state;
        if (!take(p, ',')) {
            expect(p, close);
            return;
        }
    }
}

/* Settles how many nodes the edges make, and checks every index against it. Two inputs a node, as everybody writes it;
 * one if the states that are put out exist only then. */
static void check_cell(Parser *p, Cell *c, const Places *places)
{
    int64_t edges = places->edge_count, last = 0;
    for (int64_t i = 0; i < c->concat_count; i++)
        if (c->concat[i] > last) last = c->concat[i];
    c->inputs = last == edges + 1 ? 1 : 2;
    c->nodes = edges / c->inputs;
    if (!edges)
        complain(p, places->edges_at, "a cell without edges");
    else if (edges % c->inputs)
        complain(p, places->edges_at, "an odd number of edges: each node has two");
    else if (c->nodes > GENOTYPE_MAX_NODES)
        complain(p, places->edges_at, "a cell of too many nodes");
    for (int64_t i = 0; i < edges; i++) {
        int64_t node = i / c->inputs;
        if (c->edge[i].input >= node + 2)
            complain(
                p, places->input_at[i],
                arena_printf(p->perm, "node %lld sees states 0 to %lld only", (long long)node, (long long)node + 1));
    }
    if (!c->concat_count) complain(p, places->edges_at, "the concat of this cell is empty");
    for (int64_t i = 0; i < c->concat_count; i++)
        if (c->concat[i] >= c->nodes + 2)
            complain(p, places->concat_at[i],
                     arena_printf(p->perm, "the cell's states are 0 to %lld", (long long)c->nodes + 1));
}

const char *genotype_parse(Arena *perm, const char *text, Genotype *out)
{
    static const char *const key_name[] = {"normal", "normal_concat", "reduce", "reduce_concat"};
    *out = (Genotype){0};
    Places places[2] = {{0}};
    const char *start = strstr(text, "Genotype(");
    if (!start) return "no \"Genotype(\" in it";
    Parser p = {.perm = perm, .text = text, .at = start + strlen("Genotype(")};
    unsigned seen = 0;
    while (!p.why && !take(&p, ')')) {
        const char *word;
        int64_t length = read_word(&p, &word), key = 0;
        while (key < 4 && !((int64_t)strlen(key_name[key]) == length && !memcmp(key_name[key], word, (size_t)length)))
            key++;
        if (key == 4)
            complain(&p, word, "expected normal=, normal_concat=, reduce= or reduce_concat=");
        else if (seen >> key & 1)
            complain(&p, word, arena_printf(perm, "%s is given twice", key_name[key]));
        seen |= 1u << key;
        expect(&p, '=');
        Cell *cell = key < 2 ? &out->normal : &out->reduce;
        if (p.why) break;
        (key & 1 ? read_concat : read_edges)(&p, cell, &places[key / 2]);
        if (!take(&p, ',')) {
            expect(&p, ')');
            break;
        }
    }
    for (int key = 0; key < 4; key++)
        if (!(seen >> key & 1)) complain(&p, p.at, arena_printf(perm, "%s is missing", key_name[key]));
    if (look(&p) && *p.at != '#') complain(&p, p.at, "text after the genotype");
    if (!p.why) check_cell(&p, &out->normal, &places[0]);
    if (!p.why) check_cell(&p, &out->reduce, &places[1]);
    return p.why;
}

/* ---- writing ---- */

static void print_cell(Arena *perm, Text *t, const Cell *c, const char *name)
{
    text_addf(perm, t, "%s=[", name);
    for (int64_t i = 0; i < c->nodes * c->inputs; i++)
        text_addf(perm, t, "%s('%s', %d)", i ? ", " : "", primitive_table[c->edge[i].op].name, c->edge[i].input);
    text_addf(perm, t, "], %s_concat=", name);
    bool range = true;
    for (int64_t i = 1; i < c->concat_count; i++) range &= c->concat[i] == c->concat[i - 1] + 1;
    if (range) {
        text_addf(perm, t, "range(%d, %d)", c->concat[0], c->concat[c->concat_count - 1] + 1);
        return;
    }
    for (int64_t i = 0; i < c->concat_count; i++) text_addf(perm, t, "%s%d", i ? ", " : "[", c->concat[i]);
    text_add(perm, t, "]");
}

char *genotype_print(Arena *perm, const Genotype *g)
{
    Text t = {0};
    text_add(perm, &t, "Genotype(");
    print_cell(perm, &t, &g->normal, "normal");
    text_add(perm, &t, ", ");
    print_cell(perm, &t, &g->reduce, "reduce");
    text_add(perm, &t, ")");
    return t.s;
}

static bool cell_equal(const Cell *a, const Cell *b)
{
    if (a->nodes != b->nodes || a->inputs != b->inputs || a->concat_count != b->concat_count) return false;
    for (int64_t i = 0; i < a->nodes * a->inputs; i++)
        if (a->edge[i].op != b->edge[i].op || a->edge[i].input != b->edge[i].input) return false;
    return !memcmp(a->concat, b->concat, (size_t)a->concat_count);
}

bool genotype_equal(const Genotype *a, const Genotype *b)
{
    return cell_equal(&a->normal, &b->normal) && cell_equal(&a->reduce, &b->reduce);
}

/* ---- random cells ---- */

Genotype genotype_random(const Space *s, uint64_t seed, uint64_t index)
{
    int8_t real[SPACE_MAX_OPS];
    int64_t real_count = 0;
    for (int64_t i = 0; i < s->op_count; i++)
        if (primitive_table[s->op[i]].kind != PRIM_NONE) real[real_count++] = s->op[i];
    assert(real_count);
    Genotype g = {0};
    uint64_t draw = index << 16; /* a cell takes far fewer numbers */
    Cell *cells[] = {&g.normal, &g.reduce};
    for (int k = 0; k < 2; k++) {
        Cell *c = cells[k];
        c->nodes = s->nodes;
        c->inputs = s->inputs;
        for (int64_t i = 0; i < s->concat; i++) c->concat[i] = (int8_t)(2 + s->nodes - s->concat + i);
        c->concat_count = s->concat;
        for (int64_t node = 0; node < s->nodes; node++) {
            int64_t state[GENOTYPE_MAX_NODES + 2], states = node + 2;
            for (int64_t i = 0; i < states; i++) state[i] = i;
            for (int64_t i = 0; i < s->inputs; i++) { /* the front of a Fisher-Yates shuffle: distinct states */
                int64_t j = i + rng_below(seed, RNG_CELL, draw++, states - i), picked = state[j];
                state[j] = state[i];
                state[i] = picked;
                GeneEdge *e = &c->edge[node * s->inputs + i];
                e->input = (int8_t)picked;
                e->op = real[rng_below(seed, RNG_CELL, draw++, real_count)];
            }
        }
    }
    return g;
}
