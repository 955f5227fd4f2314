/* tree: see tree.h. */
#include "data/tree.h"

#include <math.h>
#include <string.h>

/* ---- the trees that are built in ---- */

/* Questions and answers of Galaxy Zoo 2 (Willett et al. 2013, arXiv:1308.3496, table 2), the outputs in the order of the
 * Galaxy Challenge (Kaggle 2013). There question 6 is asked of all: its answers add up to 1. */
static const char galaxy_zoo[] =
    "normalise softmax\n"
    "question Class1: Class1.1 Class1.2 Class1.3 # smooth, features or disk, star or artifact\n"
    "question Class2 after Class1.2: Class2.1 Class2.2 # edge-on: yes, no\n"
    "question Class3 after Class2.2: Class3.1 Class3.2 # bar: yes, no\n"
    "question Class4 after Class2.2: Class4.1 Class4.2 # spiral arms: yes, no\n"
    "question Class5 after Class2.2: Class5.1 Class5.2 Class5.3 Class5.4 # bulge: none, noticeable, obvious, dominant\n"
    "question Class6: Class6.1 Class6.2 # anything odd: yes, no\n"
    "question Class7 after Class1.1: Class7.1 Class7.2 Class7.3 # round, in between, cigar-shaped\n"
    "question Class8 after Class6.1: Class8.1 Class8.2 Class8.3 Class8.4 Class8.5 Class8.6 Class8.7"
    " # ring, lens or arc, disturbed, irregular, other, merger, dust lane\n"
    "question Class9 after Class2.1: Class9.1 Class9.2 Class9.3 # bulge edge-on: rounded, boxy, none\n"
    "question Class10 after Class4.1: Class10.1 Class10.2 Class10.3 # arms wound tight, medium, loose\n"
    "question Class11 after Class4.1: Class11.1 Class11.2 Class11.3 Class11.4 Class11.5 Class11.6"
    " # arms: 1, 2, 3, 4, more, cannot tell\n";

static const struct {
    const char *name, *text;
} named[] = {{"galaxy-zoo", galaxy_zoo}};

const char *tree_named(const char *name)
{
    for (int i = 0; i < COUNTOF(named); i++)
        if (!strcmp(named[i].name, name)) return named[i].text;
    return 0;
}

const char *tree_names(Arena *perm)
{
    Text t = {0};
    for (int i = 0; i < COUNTOF(named); i++) text_addf(perm, &t, "%s%s", i ? ", " : "", named[i].name);
    return t.s;
}

/* ---- the text ---- */

typedef struct { /* as it stands in the text */
    const char *name, *after;
    int64_t line, first, count;
    int parent; /* the question that `after` is an answer of, or -1 */
} Asked;

typedef struct {
    Arena *perm;
    const char *at, *end; /* what is left of the line */
    int64_t line;
    Tree *tree;
    Asked *asked; /* (questions) */
    int64_t questions;
} Parser;

enum { LONGEST_NAME = 200, LONGEST_TEXT = 128 << 10 };

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of the line, or 0 at its end. A colon ends a word and is one by itself. */
static const char *word(Parser *p)
{
    while (p->at < p->end && blank(*p->at)) p->at++;
    if (p->at == p->end) return 0;
    const char *from = p->at++;
    while (*from != ':' && p->at < p->end && !blank(*p->at) && *p->at != ':') p->at++;
    ptrdiff_t length = p->at - from;
    return arena_strndup(p->perm, from, length > LONGEST_NAME ? LONGEST_NAME + 1 : length);
}

static const char *complain(const Parser *p, int64_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static const char *complain(const Parser *p, int64_t line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *what = arena_vprintf(p->perm, format, args);
    va_end(args);
    return arena_printf(p->perm, "line %lld: %s", (long long)line, what);
}

static const char *parse_answers(Parser *p, Asked *q)
{
    Tree *t = p->tree;
    for (const char *w; (w = word(p));) {
        if (!strcmp(w, ":") || strlen(w) > LONGEST_NAME) return complain(p, p->line, "\"%s\": not a name", w);
        if (t->outputs == TREE_MAX_OUTPUTS) return complain(p, p->line, "more than %d answers", TREE_MAX_OUTPUTS);
        for (int64_t i = 0; i < t->outputs; i++)
            if (!strcmp(t->answer[i], w)) return complain(p, p->line, "answer %s stands there twice", w);
        t->answer[t->outputs++] = w;
        q->count++;
    }
    return q->count > 1 ? 0 : complain(p, p->line, "question %s: two answers or more expected", q->name);
}

static const char *parse_question(Parser *p)
{
    const char *name = word(p), *w;
    if (!name || !strcmp(name, ":") || strlen(name) > LONGEST_NAME)
        return complain(p, p->line, "a question without a name");
    for (int64_t i = 0; i < p->questions; i++)
        if (!strcmp(p->asked[i].name, name)) return complain(p, p->line, "question %s stands there twice", name);
    Asked *q = &p->asked[p->questions++];
    *q = (Asked){.name = name, .line = p->line, .first = p->tree->outputs, .parent = -1};
    if ((w = word(p)) && !strcmp(w, "after")) {
        q->after = word(p);
        if (!q->after || !strcmp(q->after, ":")) return complain(p, p->line, "question %s: after which answer?", name);
        if ((w = word(p)) && strcmp(w, ":"))
            return complain(p, p->line, "question %s: two parents, %s and %s: one answer leads to a question", name,
                            q->after, !strcmp(w, "after") || !strcmp(w, "or") ? "another" : w);
    }
    if (!w || strcmp(w, ":")) return complain(p, p->line, "question %s: \": answer answer …\" expected", name);
    return parse_answers(p, q);
}

static const char *parse_line(Parser *p)
{
    const char *w = word(p);
    if (!w) return 0;
    if (!strcmp(w, "question")) return parse_question(p);
    if (strcmp(w, "normalise")) return complain(p, p->line, "\"%.40s\": normalise or question expected", w);
    w = word(p);
    if (!w || (strcmp(w, "softmax") && strcmp(w, "relu")) || word(p))
        return complain(p, p->line, "normalise softmax or normalise relu expected");
    p->tree->detail.divisive = !strcmp(w, "relu");
    return 0;
}

/* Finds the answers that lead to questions, and an order in which none comes before the one that leads to it. */
static const char *order(Parser *p)
{
    Tree *t = p->tree;
    const int64_t n = p->questions;
    Question *sorted = NEW(p->perm, Question, n);
    bool *placed = NEW(p->perm, bool, n);
    for (int64_t i = 0; i < n; i++) {
        Asked *q = &p->asked[i];
        for (int64_t k = 0; q->after && k < n; k++)
            for (int64_t a = 0; a < p->asked[k].count; a++)
                if (!strcmp(t->answer[p->asked[k].first + a], q->after)) q->parent = (int)k;
        if (q->after && q->parent < 0)
            return complain(p, q->line, "question %s: after %s: no question has this answer", q->name, q->after);
    }
    t->question = NEW(p->perm, const char *, n);
    while (t->detail.questions < n) {
        int64_t before = t->detail.questions, left = -1;
        for (int64_t i = 0; i < n; i++) {
            const Asked *q = &p->asked[i];
            if (placed[i]) continue;
            left = i;
            if (q->parent >= 0 && !placed[q->parent]) continue;
            int32_t parent = -1;
            for (int64_t a = 0; q->after && a < t->outputs; a++)
                if (!strcmp(t->answer[a], q->after)) parent = (int32_t)a;
            placed[i] = true;
            t->question[t->detail.questions] = q->name;
            sorted[t->detail.questions++] = (Question){(int32_t)q->first, (int32_t)q->count, parent};
        }
        if (t->detail.questions > before) continue;
        for (int64_t i = 0; i < n; i++) left = p->asked[left].parent; /* from anywhere behind the circle onto it */
        return complain(p, p->asked[left].line, "question %s: it leads to itself: the questions go in a circle",
                        p->asked[left].name);
    }
    t->detail.question = sorted;
    return 0;
}

const char *tree_parse(Arena *perm, const char *text, Tree *out)
{
    *out = (Tree){.answer = NEW(perm, const char *, TREE_MAX_OUTPUTS)};
    if (strlen(text) > LONGEST_TEXT) return arena_printf(perm, "longer than %d KiB", LONGEST_TEXT >> 10);
    Parser p = {.perm = perm, .tree = out, .asked = NEW(perm, Asked, TREE_MAX_OUTPUTS)};
    while (*text) {
        size_t length = strcspn(text, "\n"), code = strcspn(text, "#\n");
        p.at = text;
        p.end = text + code;
        p.line++;
        const char *why = parse_line(&p);
        if (why) return why;
        text += length + (text[length] == '\n');
    }
    return p.questions ? order(&p) : "no question in it";
}

/* ---- targets ---- */

static const double rounding = 1e-5; /* what decimals of a table may leave over */

const char *tree_disobeys(Arena *perm, const Tree *t, const float *targets, double tolerance)
{
    for (int32_t k = 0; k < t->detail.questions; k++) {
        const Question *q = &t->detail.question[k];
        double sum = 0, expected = q->parent < 0 ? 1 : (double)targets[q->parent];
        for (int64_t i = q->first; i < q->first + q->count; i++) {
            if (!((double)targets[i] >= -rounding && (double)targets[i] <= 1 + rounding))
                return arena_printf(perm, "answer %s is %g: a fraction from 0 to 1 expected", t->answer[i],
                                    (double)targets[i]);
            sum += (double)targets[i];
        }
        if (fabs(sum - expected) <= tolerance) continue;
        return arena_printf(perm, "the answers of question %s add up to %.6g, expected %.6g%s%s", t->question[k], sum,
                            expected, q->parent < 0 ? "" : ", the fraction of ",
                            q->parent < 0 ? "" : t->answer[q->parent]);
    }
    return 0;
}
