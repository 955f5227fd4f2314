/* cellstats: the numbers of cells.h over a story, and their three forms. */
#include <math.h>
#include <string.h>

#include "report/cells.h"

enum { MOST_PAIRED = 40 }; /* genotypes that are compared with each other */

static const char *const part_name[] = {"operation", "cell", "cost", "pair", "mixing", "edge", "histogram"};
static const char *const cell_name[] = {"normal", "reduce"};
static const char *const kind_name[] = {"none", "skip", "pool", "sep", "dil", "split", "noise"};

/* ---- the cells of a story ---- */

static const Cell *cell_of(const CellSubject *x, bool reduce)
{
    return reduce ? &x->genotype.reduce : &x->genotype.normal;
}

static bool holds(const Space *s, const Genotype *g)
{
    for (int reduce = 0; reduce < 2; reduce++) {
        const Cell *c = reduce ? &g->reduce : &g->normal;
        for (int64_t k = 0; k < c->nodes * c->inputs; k++)
            if (!memchr(s->op, c->edge[k].op, (size_t)s->op_count)) return false;
    }
    return true;
}

/* The operations of a search's record, if they are a set that holds the cell. */
static bool space_of(Arena scratch, const SearchSpace *from, const Genotype *g, Space *out)
{
    Text ops = {0};
    text_add(&scratch, &ops, "");
    for (int64_t i = 0; i < from->op_count; i++) text_addf(&scratch, &ops, "%s%s", i ? "," : "", from->ops[i]);
    return !space_make(&scratch, ops.s, 1, 1, 1, out) && holds(out, g);
}

/* The operations that the cell was chosen from: of the search that came to it, else of one on the same dataset, else of any
 * that has them all, else those of DARTS and of the cell. */
static Space ops_of(const Story *s, Arena scratch, const CellSubject *x, const char *text)
{
    Space found;
    for (int pass = 0; pass < 3; pass++)
        for (int64_t i = 0; i < s->search_count; i++) {
            const StorySearch *search = &s->search[i];
            bool fits = pass == 2;
            for (int64_t k = 0; pass == 0 && k < search->count; k++) fits |= !strcmp(search->epoch[k]->genotype, text);
            if (!search->space) continue;
            if (pass == 1) fits = x->dataset[0] && !strcmp(search->space->dataset, x->dataset);
            if (fits && space_of(scratch, search->space, &x->genotype, &found)) return found;
        }
    space_make(&scratch, space_default_ops, 1, 1, 1, &found);
    for (int reduce = 0; reduce < 2; reduce++) {
        const Cell *c = cell_of(x, reduce);
        for (int64_t k = 0; k < c->nodes * c->inputs; k++)
            if (!memchr(found.op, c->edge[k].op, (size_t)found.op_count) && found.op_count < SPACE_MAX_OPS)
                found.op[found.op_count++] = c->edge[k].op;
    }
    return found;
}

static void name_apart(Arena *a, CellSubject *all, int64_t count)
{
    CellSubject *x = &all[count];
    const char *plain = x->label[0] ? x->label : "unnamed", *label = plain;
    for (int64_t n = 1;; n++) {
        bool taken = false;
        for (int64_t i = 0; i < count; i++) taken |= !strcmp(all[i].label, label);
        if (!taken) break;
        label = n == 1 ? arena_printf(a, "%s (%s%sseed %lld)", plain, x->dataset, x->dataset[0] ? ", " : "",
                                      (long long)x->seed)
                       : arena_printf(a, "%s #%lld", plain, (long long)n);
    }
    x->label = label;
}

static void add_subject(const Story *s, Arena *a, CellSubject *all, int64_t *count, CellSubject x, const char *text)
{
    if (genotype_parse(a, text, &x.genotype)) return;
    x.space = ops_of(s, *a, &x, text);
    all[*count] = x;
    name_apart(a, all, *count);
    ++*count;
}

CellSubject *cell_subjects(const Story *s, Arena *a, int64_t *count)
{
    int64_t room = s->search_count;
    for (int64_t i = 0; i < s->count; i++) room += s->item[i].r.kind == REC_GENOTYPE;
    CellSubject *all = NEW(a, CellSubject, room);
    *count = 0;
    for (int64_t i = 0; i < s->count; i++) {
        const GenotypeRecord *g = &s->item[i].r.genotype;
        if (s->item[i].r.kind != REC_GENOTYPE) continue;
        add_subject(
            s, a, all, count,
            (CellSubject){.label = g->name, .rule = g->rule, .dataset = g->dataset, .seed = g->seed, .epoch = g->epoch},
            g->text);
    }
    for (int64_t i = 0; i < s->search_count; i++) { /* searches whose last cell no Genotype record has */
        const StorySearch *search = &s->search[i];
        const SearchEpoch *e = search->epoch[search->count - 1];
        bool known = false;
        for (int64_t k = 0; k < s->count && !known; k++)
            known = s->item[k].r.kind == REC_GENOTYPE && !strcmp(s->item[k].r.genotype.text, e->genotype);
        if (known) continue;
        const SearchSpace *p = search->space;
        add_subject(s, a, all, count,
                    (CellSubject){.label = search->label,
                                  .rule = "magnitude",
                                  .dataset = p ? p->dataset : "",
                                  .seed = p ? p->seed : -1,
                                  .epoch = e->epoch},
                    e->genotype);
    }
    return all;
}

/* ---- rows ---- */

typedef struct {
    const Story *story;
    Arena *a;
    int64_t draws;
    uint64_t seed;
    const CellSubject *subject;
    int64_t subject_count;
    Null **null; /* made as they are asked for */
    int64_t null_count, null_room;
    CellRow *row;
    int64_t count, room;
} Rows;

static CellRow *add(Rows *r, CellPart part, const char *subject, const char *other, bool reduce, const char *measure,
                    double value)
{
    GROW(r->a, r->row, r->count, r->room);
    r->row[r->count] = (CellRow){.part = part,
                                 .subject = subject,
                                 .other = other,
                                 .cell = cell_name[reduce],
                                 .measure = measure,
                                 .epoch = -1,
                                 .cells = 1,
                                 .value = value,
                                 .expected = NAN,
                                 .sd = NAN,
                                 .p = NAN};
    return &r->row[r->count++];
}

static void set_test(CellRow *row, NullTest t)
{
    row->expected = t.expected;
    row->sd = t.sd;
    row->p = t.p;
}

static Space null_space(const CellSubject *x, bool reduce)
{
    Space s = x->space;
    const Cell *c = cell_of(x, reduce);
    s.nodes = c->nodes;
    s.inputs = c->inputs;
    s.concat = c->concat_count < c->nodes ? c->concat_count : c->nodes;
    return s;
}

static bool same_space(const Space *x, const Space *y)
{
    return x->op_count == y->op_count && !memcmp(x->op, y->op, (size_t)x->op_count) && x->nodes == y->nodes &&
           x->inputs == y->inputs && x->concat == y->concat;
}

static const Null *null_for(Rows *r, const CellSubject *x, bool reduce)
{
    const Space s = null_space(x, reduce);
    for (int64_t i = 0; i < r->null_count; i++)
        if (r->null[i]->reduce == reduce && same_space(&r->null[i]->space, &s)) return r->null[i];
    GROW(r->a, r->null, r->null_count, r->null_room);
    return r->null[r->null_count++] = null_sample(r->a, &s, reduce, r->draws, r->seed);
}

static void cell_rows(Rows *r, const CellSubject *x, bool reduce)
{
    const Null *null = null_for(r, x, reduce);
    double value[MEASURE_COUNT];
    cell_measure(*r->a, cell_of(x, reduce), reduce, value);
    for (int m = 0; m < MEASURE_COUNT; m++) {
        CellRow *row = add(r, PART_CELL, x->label, "", reduce, measure_info[m].name, value[m]);
        set_test(row, null_test(null->value[m], null->count, value[m], 1, r->seed));
    }
    CellCost cost;
    if (!cell_cost(*r->a, cell_of(x, reduce), reduce, &cost)) return;
    const Cell *c = cell_of(x, reduce);
    for (int macs = 0; macs < 2; macs++) {
        double of[COUNTOF(kind_name)] = {0}, all = 0;
        for (int64_t k = 0; k < c->nodes * c->inputs; k++) {
            const double v = macs ? cost.macs[k] : cost.parameters[k];
            of[primitive_table[c->edge[k].op].kind] += v;
            all += v;
        }
        for (int k = 0; k < COUNTOF(kind_name); k++)
            if (of[k] > 0) add(r, PART_COST, x->label, kind_name[k], reduce, macs ? "MACs" : "parameters", of[k] / all);
    }
}

/* Cells of one rule, dataset and space, as one. */
static bool one_group(const CellSubject *x, const CellSubject *y)
{
    const Space sx = null_space(x, false), sy = null_space(y, false);
    return !strcmp(x->rule, y->rule) && !strcmp(x->dataset, y->dataset) && same_space(&sx, &sy);
}

static void group_rows(Rows *r, int64_t first, const char *label, bool reduce)
{
    const CellSubject *x = &r->subject[first];
    const Null *null = null_for(r, x, reduce);
    double mean[MEASURE_COUNT] = {0}, share[SPACE_MAX_OPS] = {0};
    int64_t n = 0;
    for (int64_t i = first; i < r->subject_count; i++) {
        if (!one_group(x, &r->subject[i])) continue;
        const Cell *c = cell_of(&r->subject[i], reduce);
        double value[MEASURE_COUNT];
        cell_measure(*r->a, c, reduce, value);
        for (int m = 0; m < MEASURE_COUNT; m++) mean[m] += value[m];
        for (int64_t k = 0; k < c->nodes * c->inputs; k++)
            for (int64_t o = 0; o < null->space.op_count; o++)
                share[o] += null->space.op[o] == c->edge[k].op ? 1 / (double)(c->nodes * c->inputs) : 0;
        n++;
    }
    for (int64_t o = 0; o < null->space.op_count; o++) {
        const char *op = primitive_table[null->space.op[o]].name;
        CellRow *row = add(r, PART_OPERATION, label, op, reduce, "frequency", share[o] / (double)n);
        set_test(row, null_test(null->share[o], null->count, row->value, n, r->seed));
        row->cells = n;
    }
    for (int m = 0; m < MEASURE_COUNT && n > 1; m++) {
        CellRow *row = add(r, PART_CELL, label, "", reduce, measure_info[m].name, mean[m] / (double)n);
        set_test(row, null_test(null->value[m], null->count, row->value, n, r->seed));
        row->cells = n;
    }
}

static void groups(Rows *r)
{
    for (int64_t i = 0; i < r->subject_count; i++) {
        const CellSubject *x = &r->subject[i];
        bool told = false;
        for (int64_t k = 0; k < i; k++) told |= one_group(&r->subject[k], x);
        if (told) continue;
        const char *label = x->dataset[0] ? arena_printf(r->a, "all %s, %s", x->rule, x->dataset)
                                          : arena_printf(r->a, "all %s", x->rule[0] ? x->rule : "cells");
        for (int reduce = 0; reduce < 2; reduce++) group_rows(r, i, label, reduce);
    }
}

static void pair_rows(Rows *r, const CellSubject *x, const CellSubject *y)
{
    for (int reduce = 0; reduce < 2; reduce++) {
        const Null *null = null_for(r, x, reduce);
        const Space other = null_space(y, reduce);
        const bool comparable = same_space(&null->space, &other);
        const Cell *a = cell_of(x, reduce), *b = cell_of(y, reduce);
        CellRow *row = add(r, PART_PAIR, x->label, y->label, reduce, "distance", (double)cell_distance(a, b));
        if (comparable) set_test(row, null_test(null->distance, null->count / 2, row->value, 1, r->seed));
        row = add(r, PART_PAIR, x->label, y->label, reduce, "agreement", cell_agreement(a, b));
        if (comparable) set_test(row, null_test(null->agreement, null->count / 2, row->value, 1, r->seed));
    }
}

/* How much of the derived cell another epoch's has. */
static double kept_since(Arena scratch, const StorySearch *search, int64_t epoch, int64_t other, bool reduce)
{
    Genotype x, y;
    if (other < 0 || genotype_parse(&scratch, search->epoch[epoch]->genotype, &x) ||
        genotype_parse(&scratch, search->epoch[other]->genotype, &y))
        return NAN;
    return cell_agreement(reduce ? &x.reduce : &x.normal, reduce ? &y.reduce : &y.normal);
}

static void search_rows(Rows *r, const StorySearch *search, int64_t k, bool reduce)
{
    const AlphaTable *t = mixing_table(search, k, reduce);
    const int64_t from = r->count;
    if (!t) return;
    double value[MIXING_COUNT], share[MIXING_BINS];
    mixing_measure(*r->a, search, k, reduce, value);
    for (int m = 0; m < MIXING_COUNT; m++)
        add(r, PART_MIXING, search->label, "", reduce, mixing_info[m].name, value[m]);
    add(r, PART_MIXING, search->label, "", reduce, "agreement_previous", kept_since(*r->a, search, k, k - 1, reduce));
    add(r, PART_MIXING, search->label, "", reduce, "agreement_last",
        kept_since(*r->a, search, k, search->count - 1, reduce));
    for (int64_t node = 0, e = 0; e < t->edges; node++)
        for (int64_t input = 0; input < node + 2 && e < t->edges; input++, e++)
            add(r, PART_EDGE, search->label, arena_printf(r->a, "%lld->%lld", (long long)input, (long long)node + 2),
                reduce, "entropy", mixing_entropy(&t->weight[e * t->ops], t->ops) / log((double)t->ops));
    mixing_histogram(t, share);
    for (int b = 0; b < MIXING_BINS; b++)
        if (share[b] > 0)
            add(r, PART_HISTOGRAM, search->label, arena_printf(r->a, "%.2f", (double)b / MIXING_BINS), reduce, "share",
                share[b]);
    for (int64_t i = from; i < r->count; i++) r->row[i].epoch = search->epoch[k]->epoch;
}

CellRow *cellstats_rows(const Story *s, Arena *a, int64_t draws, uint64_t seed, int64_t *count)
{
    Rows r = {.story = s, .a = a, .draws = draws, .seed = seed};
    r.subject = cell_subjects(s, a, &r.subject_count);
    groups(&r);
    for (int64_t i = 0; i < r.subject_count; i++)
        for (int reduce = 0; reduce < 2; reduce++) cell_rows(&r, &r.subject[i], reduce);
    for (int64_t i = 0; i < r.subject_count && i < MOST_PAIRED; i++)
        for (int64_t k = i + 1; k < r.subject_count && k < MOST_PAIRED; k++)
            pair_rows(&r, &r.subject[i], &r.subject[k]);
    for (int64_t i = 0; i < s->search_count; i++)
        for (int64_t k = 0; k < s->search[i].count; k++)
            for (int reduce = 0; reduce < 2; reduce++) search_rows(&r, &s->search[i], k, reduce);
    *count = r.count;
    return r.row;
}

/* ---- as tables ---- */

static const char *number(Arena *a, double v)
{
    if (isnan(v)) return "";
    return fabs(v) >= 1e3 && fabs(v) < 1e15 ? format_count(a, (int64_t)(v + 0.5)) : arena_printf(a, "%.3g", v);
}

static const char *starred(Arena *a, const CellRow *r)
{
    return arena_printf(a, "%s%s", number(a, r->value), r->p < 0.01 ? "**" : r->p < 0.05 ? "*" : "");
}

static Table *operation_table(Arena *a, const CellRow *row, int64_t count)
{
    Table *t = table_new(a, "Operations: share of edges", "|cell|operation|>cells|>share|>random|>sd|>p");
    for (int64_t i = 0; i < count; i++) {
        const CellRow *r = &row[i];
        if (r->part != PART_OPERATION || (!strcmp(r->other, "none") && r->value == 0)) continue;
        const char **to = table_row(a, t);
        to[0] = r->subject;
        to[1] = r->cell;
        to[2] = r->other;
        to[3] = format_count(a, r->cells);
        to[4] = number(a, r->value);
        to[5] = number(a, r->expected);
        to[6] = number(a, r->sd);
        to[7] = number(a, r->p);
    }
    return t;
}

/* A row each subject and cell, a column each measure; random cells of its space follow where they are other ones. */
static Table *cell_table(Arena *a, const CellRow *row, int64_t count)
{
    Table *t = table_new(a, "Cells: * less than 1 in 20 random cells lie as far out, ** less than 1 in 100", "|cell");
    for (int m = 0; m < MEASURE_COUNT; m++) table_column(a, t, measure_info[m].name, true);
    for (int reduce = 0; reduce < 2; reduce++) {
        const CellRow *shown = 0; /* the first row of the random cells shown last */
        for (int64_t i = 0; i + MEASURE_COUNT <= count; i++) {
            const CellRow *r = &row[i];
            if (r->part != PART_CELL || strcmp(r->measure, measure_info[0].name)) continue;
            if (strcmp(r->cell, cell_name[reduce])) continue;
            const char **to = table_row(a, t);
            to[0] = r->subject;
            to[1] = r->cell;
            for (int m = 0; m < MEASURE_COUNT; m++) to[2 + m] = starred(a, &r[m]);
            bool same = shown;
            for (int m = 0; m < MEASURE_COUNT && same; m++) same = r[m].expected == shown[m].expected;
            if (same) continue;
            shown = r;
            to = table_row(a, t);
            to[0] = "random cells";
            to[1] = r->cell;
            for (int m = 0; m < MEASURE_COUNT; m++) to[2 + m] = number(a, r[m].expected);
        }
    }
    return t;
}

static Table *cost_table(Arena *a, const CellRow *row, int64_t count)
{
    Table *t = table_new(a, "Share of the operations' parameters and MACs", "|cell|operation|>parameters|>MACs");
    for (int64_t i = 0; i < count; i++) {
        const CellRow *r = &row[i], *macs = 0;
        if (r->part != PART_COST || strcmp(r->measure, "parameters")) continue;
        for (int64_t k = i; k < count && row[k].part == PART_COST && !macs; k++)
            if (!strcmp(row[k].measure, "MACs") && !strcmp(row[k].other, r->other) && row[k].cell == r->cell)
                macs = &row[k];
        const char **to = table_row(a, t);
        to[0] = r->subject;
        to[1] = r->cell;
        to[2] = r->other;
        to[3] = number(a, r->value);
        if (macs) to[4] = number(a, macs->value);
    }
    return t;
}

static const CellRow *find_pair(const CellRow *row, int64_t count, const char *x, const char *y, const char *cell)
{
    for (int64_t i = 0; i < count; i++)
        if (row[i].part == PART_PAIR && !strcmp(row[i].measure, "distance") && !strcmp(row[i].cell, cell) &&
            !strcmp(row[i].subject, x) && !strcmp(row[i].other, y))
            return &row[i];
    return 0;
}

static Table *pair_table(const Story *s, Arena *a, const CellRow *row, int64_t count)
{
    const char *name[MOST_PAIRED];
    int64_t names = 0;
    double expected[2] = {NAN, NAN};
    for (int64_t i = 0; i < count; i++) { /* the first genotype has a pair with each of the others */
        if (row[i].part != PART_PAIR || strcmp(row[i].measure, "distance")) continue;
        const bool reduce = row[i].cell == cell_name[1];
        if (isnan(expected[reduce])) expected[reduce] = row[i].expected;
        if (!names) name[names++] = row[i].subject;
        if (!reduce && row[i].subject == name[0]) name[names++] = row[i].other;
    }
    const char *random =
        isnan(expected[0]) ? "" : arena_printf(a, "; two random cells: %.1f/%.1f", expected[0], expected[1]);
    int64_t genotypes;
    cell_subjects(s, a, &genotypes);
    const char *first = names < genotypes ? arena_printf(a, "; the first %lld of %lld genotypes", (long long)names,
                                                         (long long)genotypes)
                                          : "";
    Table *t =
        table_new(a, arena_printf(a, "Edit distance of normal/reduction cells%s%s", random, names ? first : ""), ">|");
    for (int64_t i = 0; i < names; i++) table_column(a, t, arena_printf(a, "%lld", (long long)i + 1), true);
    for (int64_t i = 0; i < names; i++) {
        const char **to = table_row(a, t);
        to[0] = arena_printf(a, "%lld", (long long)i + 1);
        to[1] = name[i];
        for (int64_t k = 0; k < i; k++) {
            const CellRow *normal = find_pair(row, count, name[k], name[i], cell_name[0]);
            const CellRow *reduce = find_pair(row, count, name[k], name[i], cell_name[1]);
            if (normal && reduce) to[2 + k] = arena_printf(a, "%.0f/%.0f", normal->value, reduce->value);
        }
    }
    return t;
}

/* About six epochs of each search, the first and the last among them. */
static bool is_shown(const StorySearch *search, int64_t epoch)
{
    enum { SHOWN = 6 };
    for (int64_t i = 0; i < SHOWN; i++)
        if (search->epoch[(search->count - 1) * i / (SHOWN - 1)]->epoch == epoch) return true;
    return false;
}

static Table *mixing_table_of(const Story *s, Arena *a, const CellRow *row, int64_t count)
{
    Table *t = table_new(a, "Mixing weights over epochs", "search|cell|>epoch");
    for (int m = 0; m < MIXING_COUNT; m++) table_column(a, t, mixing_info[m].name, true);
    table_column(a, t, "agreement_previous", true);
    table_column(a, t, "agreement_last", true);
    for (int64_t k = 0; k < s->search_count; k++)
        for (int reduce = 0; reduce < 2; reduce++)
            for (int64_t i = 0; i + MIXING_COUNT + 2 <= count; i++) {
                const CellRow *r = &row[i];
                if (r->part != PART_MIXING || strcmp(r->measure, mixing_info[0].name)) continue;
                if (r->subject != s->search[k].label || r->cell != cell_name[reduce]) continue;
                if (!is_shown(&s->search[k], r->epoch)) continue;
                const char **to = table_row(a, t);
                to[0] = r->subject;
                to[1] = r->cell;
                to[2] = format_count(a, r->epoch);
                for (int m = 0; m < MIXING_COUNT + 2; m++) to[3 + m] = number(a, r[m].value);
            }
    return t;
}

/* The last epoch of each search: edges by what they hold, and the histogram. */
static Table *edge_table(const Story *s, Arena *a)
{
    Table *t =
        table_new(a, "Edges at the end of the search", "search|cell|edge|>entropy|heaviest|>weight|next|>weight ");
    for (int64_t k = 0; k < s->search_count; k++)
        for (int reduce = 0; reduce < 2; reduce++) {
            const StorySearch *search = &s->search[k];
            const AlphaTable *table = mixing_table(search, search->count - 1, reduce);
            for (int64_t node = 0, e = 0; table && e < table->edges; node++)
                for (int64_t input = 0; input < node + 2 && e < table->edges; input++, e++) {
                    const double *w = &table->weight[e * table->ops];
                    int64_t best = 0, next = 1;
                    for (int64_t o = 1; o < table->ops; o++) {
                        if (w[o] > w[best])
                            next = best, best = o;
                        else if (o > 1 && w[o] > w[next])
                            next = o;
                    }
                    const char **to = table_row(a, t);
                    to[0] = search->label;
                    to[1] = cell_name[reduce];
                    to[2] = arena_printf(a, "%lld->%lld", (long long)input, (long long)node + 2);
                    to[3] = number(a, mixing_entropy(w, table->ops) / log((double)table->ops));
                    to[4] = search->space->ops[best];
                    to[5] = number(a, w[best]);
                    to[6] = search->space->ops[next];
                    to[7] = number(a, w[next]);
                }
        }
    return t;
}

static Table *histogram_table(const Story *s, Arena *a, const CellRow *row, int64_t count)
{
    enum { BAR = 40 };
    Table *t = table_new(a, "Histogram of the weights at the end", "search|cell|>from|>share|");
    for (int64_t k = 0; k < s->search_count; k++)
        for (int64_t i = 0; i < count; i++) {
            const CellRow *r = &row[i];
            const StorySearch *search = &s->search[k];
            if (r->part != PART_HISTOGRAM || r->subject != search->label) continue;
            if (r->epoch != search->epoch[search->count - 1]->epoch) continue;
            const char **to = table_row(a, t);
            to[0] = r->subject;
            to[1] = r->cell;
            to[2] = r->other;
            to[3] = number(a, r->value);
            Text bar = {0};
            for (int b = 0; b < (int)ceil(BAR * r->value); b++) text_add(a, &bar, "▇");
            to[4] = bar.s;
        }
    return t;
}

static void put_tables(const Story *s, Arena *a, const CellRow *row, int64_t count, int64_t draws, Text *out)
{
    const Table *table[] = {operation_table(a, row, count),    cell_table(a, row, count),
                            cost_table(a, row, count),         pair_table(s, a, row, count),
                            mixing_table_of(s, a, row, count), edge_table(s, a),
                            histogram_table(s, a, row, count)};
    text_addf(a, out, "Beside %s random cells of the same space.\n", format_count(a, draws));
    for (int i = 0; i < COUNTOF(table); i++) {
        if (!table[i]->rows) continue;
        text_addf(a, out, "\n%s\n", table[i]->title);
        table_text(a, out, table[i]);
    }
}

/* ---- as rows ---- */

static void put_tsv(Arena *a, Text *out, const CellRow *r)
{
    const char *text[] = {part_name[r->part], r->subject, r->other, r->cell, r->measure};
    const double value[] = {r->value, r->expected, r->sd, r->p};
    for (int i = 0; i < COUNTOF(text); i++) {
        escape_add(a, out, AS_TSV, text[i]);
        text_add(a, out, "\t");
    }
    text_addf(a, out, "%lld\t%lld", (long long)r->epoch, (long long)r->cells);
    for (int i = 0; i < COUNTOF(value); i++) text_addf(a, out, "\t%s", format_real(a, value[i]));
    text_add(a, out, "\n");
}

static void put_json(Arena *a, Text *out, const CellRow *r)
{
    const char *key[] = {"subject", "other", "cell", "measure"};
    const char *text[] = {r->subject, r->other, r->cell, r->measure};
    const char *number_key[] = {"value", "expected", "sd", "p"};
    const double value[] = {r->value, r->expected, r->sd, r->p};
    text_addf(a, out, "{\"kind\":\"cells\",\"part\":\"%s\"", part_name[r->part]);
    for (int i = 0; i < COUNTOF(text); i++) {
        text_addf(a, out, ",\"%s\":\"", key[i]);
        escape_add(a, out, AS_JSON, text[i]);
        text_add(a, out, "\"");
    }
    text_addf(a, out, ",\"epoch\":%lld,\"cells\":%lld", (long long)r->epoch, (long long)r->cells);
    for (int i = 0; i < COUNTOF(value); i++)
        text_addf(a, out, ",\"%s\":%s", number_key[i], isfinite(value[i]) ? format_real(a, value[i]) : "null");
    text_add(a, out, "}\n");
}

const char *report_cellstats(const Story *s, Arena *a, const char *form, int64_t draws, uint64_t seed, Text *out)
{
    int64_t count;
    const CellRow *row = cellstats_rows(s, a, draws, seed, &count);
    if (!count) return "there is no genotype and no search epoch to measure: give streams of nas-search or nas-derive";
    if (!strcmp(form, "tables")) {
        put_tables(s, a, row, count, draws, out);
        return 0;
    }
    const bool tsv = !strcmp(form, "tsv");
    if (tsv) text_add(a, out, "part\tsubject\tother\tcell\tmeasure\tepoch\tcells\tvalue\texpected\tsd\tp\n");
    for (int64_t i = 0; i < count; i++) (tsv ? put_tsv : put_json)(a, out, &row[i]);
    return 0;
}

const char *report_cellstats_help(Arena *a)
{
    Text t = {0};
    text_add(a, &t, "Measures of --cells, of a cell:");
    for (int m = 0; m < MEASURE_COUNT; m++)
        text_addf(a, &t, "%s %s, %s", m ? ";" : "", measure_info[m].name, measure_info[m].meaning);
    text_add(a, &t,
             ". Depth and width are those of Shu, Wang and Cai (2020, arXiv:1909.09569). Of the mixing weights:");
    for (int m = 0; m < MIXING_COUNT; m++)
        text_addf(a, &t, "%s %s, %s", m ? ";" : "", mixing_info[m].name, mixing_info[m].meaning);
    text_add(a, &t,
             "; agreement_previous and agreement_last, share of the derived cell's edges that the epoch before and the "
             "last epoch have, too. Of two cells: distance, the fewest changes of an edge's operation or input that "
             "make one of the other; agreement, share of edges in common. expected and sd are those of random cells; "
             "p is the doubled share of random cells that lie as far out (for a group of n cells: of means of n).");
    return t.s;
}
