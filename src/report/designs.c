/* designs: what was designed for structural problems: a table of relative errors by family, and pictures. */
#include <math.h>
#include <string.h>

#include "report/parts.h"
#include "report/verdict.h"

/* ---- the table ---- */

static const ScoreTable *problems_of(const Evaluation *e)
{
    return e->table_count && !strcmp(e->tables[0].name, "problem") && e->tables[0].value ? &e->tables[0] : 0;
}

static const ProblemRecord *problem_of(const Story *s, const char *name)
{
    for (int64_t i = 0; i < s->count; i++)
        if (s->item[i].r.kind == REC_PROBLEM && !strcmp(s->item[i].r.problem.name, name)) return &s->item[i].r.problem;
    return 0;
}

static int64_t find_name(const char **name, int64_t count, const char *want)
{
    int64_t i = 0;
    while (i < count && strcmp(name[i], want)) i++;
    return i;
}

Table *designs_table(const Story *s, Arena *a)
{
    enum { ALL, ROOM = 128 }; /* the first row is that of all problems */
    const char *family[ROOM] = {"all"}, *contender[MOST_CONTENDERS];
    int64_t families = 1, contenders = 0;
    double *sum = NEW(a, double, ROOM *MOST_CONTENDERS), *count = NEW(a, double, ROOM *MOST_CONTENDERS);
    double *problems = NEW(a, double, ROOM);
    for (int64_t i = 0; i < s->count; i++) {
        const Evaluation *e = &s->item[i].r.evaluation;
        const ScoreTable *t = s->item[i].r.kind == REC_EVALUATION ? problems_of(e) : 0;
        int64_t column = 0;
        while (t && column < t->metric_count && strcmp(t->metrics[column], "relative_error")) column++;
        if (!t || column == t->metric_count) continue;
        const char *name = verdict_name(s, a, e);
        const int64_t c = find_name(contender, contenders, name);
        if (c == MOST_CONTENDERS) continue;
        contender[c] = name;
        const bool first = c == contenders;
        if (first) contenders++;
        for (int64_t r = 0; r < t->row_count; r++) {
            const ProblemRecord *p = problem_of(s, t->rows[r]);
            const int64_t f = find_name(family, families, p ? p->family : "unknown");
            if (f == ROOM) continue;
            if (f == families) family[families++] = p ? p->family : "unknown";
            const double error = t->value[r * t->metric_count + column];
            const int64_t at[] = {f, ALL};
            for (int k = 0; k < COUNTOF(at); k++) {
                sum[at[k] * MOST_CONTENDERS + c] += error;
                count[at[k] * MOST_CONTENDERS + c]++;
                problems[at[k]] += !c && first;
            }
        }
    }
    if (families == 1) return 0;
    Table *t = table_new(a, "Designs: mean relative error by family", "family|>problems");
    for (int64_t c = 0; c < contenders; c++) table_column(a, t, contender[c], true);
    for (int64_t f = 1; f <= families; f++) {
        const int64_t r = f % families; /* all problems last */
        const char **row = table_row(a, t);
        row[0] = family[r];
        row[1] = problems[r] > 0 ? format_count(a, (int64_t)problems[r]) : "";
        for (int64_t c = 0; c < contenders; c++) {
            const int64_t at = r * MOST_CONTENDERS + c;
            if (count[at] > 0) row[2 + c] = format_metric(a, "relative_error", sum[at] / count[at]);
        }
    }
    return t;
}

/* ---- pictures ---- */

enum { ROWS = 24, COLUMNS = 14, SIDE = 96, CELL_WIDTH = 230, CELL_HEIGHT = 165 }; /* shown; elements; pixels */

typedef struct {
    const char *problem[ROWS], *candidate[COLUMNS];
    int64_t rows, columns; /* more are left out */
    const TensorRecord *design[ROWS][COLUMNS];
    const char *caption[ROWS][COLUMNS];
} Sheet;

/* What the n-th run of a name came to: "mma, 1000 steps: 226.92", of the least compliance. */
static const char *caption(const Story *s, Arena *a, const char *run, int64_t n)
{
    const char *name = strchr(run, ' ') + 1;
    for (int64_t i = 0; i < s->run_count; i++) {
        const StoryRun *r = &s->run[i];
        if (strcmp(r->name, run) || n--) continue;
        double least = NAN;
        for (int64_t k = 0; k < r->count; k++)
            least = fmin(least, metric_by_name(r->epoch[k]->metrics, r->epoch[k]->metric_count, "compliance"));
        return arena_printf(a, "%s, %lld steps: %.5g", name, (long long)r->epoch[r->count - 1]->epoch, least);
    }
    return name;
}

static bool is_design(const Record *r)
{
    const TensorRecord *t = &r->tensor;
    return r->kind == REC_TENSOR && t->data && t->rank == 2 && t->dtype == DTYPE_F64 && !strcmp(t->name, "density") &&
           strchr(t->run, ' ');
}

/* A row a problem, a column a candidate; where one of a name designed a problem twice (two seeds), it has two columns. */
static Sheet sheet_of(const Story *s, Arena *a)
{
    Sheet h = {0};
    for (int64_t i = 0; i < s->count; i++) {
        if (!is_design(&s->item[i].r)) continue;
        const TensorRecord *t = &s->item[i].r.tensor;
        const char *name = strchr(t->run, ' ') + 1;
        const char *problem = arena_strndup(a, t->run, name - 1 - t->run);
        const int64_t row = find_name(h.problem, h.rows, problem);
        int64_t column = 0, same = 0;
        for (; column < h.columns; column++) {
            if (strcmp(h.candidate[column], name)) continue;
            if (row < h.rows && !h.design[row][column]) break;
            if (row == h.rows) break;
            same++;
        }
        if (row == ROWS || column == COLUMNS) continue;
        if (row == h.rows) h.problem[h.rows++] = problem;
        if (column == h.columns) h.candidate[h.columns++] = name;
        h.design[row][column] = t;
        h.caption[row][column] = caption(s, a, t->run, same);
    }
    return h;
}

/* Densities as a matrix of gnuplot, means of blocks where there are too many. */
static void add_matrix(Arena *a, Text *out, const TensorRecord *t, int64_t row, int64_t column)
{
    const int64_t H = t->shape[0], W = t->shape[1], longer = H > W ? H : W, block = (longer + SIDE - 1) / SIDE;
    const double *x = t->data;
    text_addf(a, out, "$d%lld_%lld << END\n", (long long)row, (long long)column);
    for (int64_t r = 0; r < H; r += block) {
        for (int64_t c = 0; c < W; c += block) {
            double sum = 0, n = 0;
            for (int64_t y = r; y < r + block && y < H; y++)
                for (int64_t z = c; z < c + block && z < W; z++) sum += x[y * W + z], n++;
            text_addf(a, out, "%.2f ", sum / n);
        }
        text_add(a, out, "\n");
    }
    text_add(a, out, "END\n");
}

static void add_label(Arena *a, Text *out, const char *text, double x, double y, int size)
{
    text_add(a, out, "set label '");
    escape_add(a, out, AS_GNUPLOT, text);
    text_addf(a, out, "' at screen %.6f, screen %.6f center noenhanced font ',%d'\n", x, y, size);
}

/* One picture: two lines of text, below them the densities, square elements, in the middle. */
static void add_picture(Arena *a, Text *out, const Sheet *h, int64_t row, int64_t column)
{
    enum { GAP = 5, TEXT = 40 }; /* pixels */
    const double H = (double)h->design[row][column]->shape[0], W = (double)h->design[row][column]->shape[1];
    const double zoom = fmin((CELL_WIDTH - 2 * GAP) / W, (CELL_HEIGHT - TEXT - GAP) / H);
    const double wide = CELL_WIDTH * (double)h->columns, high = CELL_HEIGHT * (double)h->rows;
    const double middle = CELL_WIDTH * ((double)column + 0.5), top = high - CELL_HEIGHT * (double)row;
    text_addf(a, out,
              "unset label\nset lmargin at screen %.6f\nset rmargin at screen %.6f\nset tmargin at screen %.6f\n"
              "set bmargin at screen %.6f\n",
              (middle - zoom * W / 2) / wide, (middle + zoom * W / 2) / wide, (top - TEXT) / high,
              (top - TEXT - zoom * H) / high);
    add_label(a, out, h->problem[row], middle / wide, (top - 12) / high, 7);
    add_label(a, out, h->caption[row][column], middle / wide, (top - 28) / high, 7);
    text_addf(a, out,
              "set autoscale xfix\nset autoscale yfix\nset yrange [] reverse\nplot $d%lld_%lld matrix with image\n",
              (long long)row, (long long)column);
}

const char *designs_script(const Story *s, Arena *a, Text *out, int64_t *width, int64_t *height)
{
    const Sheet h = sheet_of(s, a);
    if (!h.rows) return "no design in the stream: nas-train makes them, nas-eval --keep-weights passes them on";
    *width = CELL_WIDTH * h.columns;
    *height = CELL_HEIGHT * h.rows;
    text_add(a, out,
             "set palette defined (0 'white', 1 'black')\nset cbrange [0:1]\nunset colorbox\nunset tics\nunset key\n"
             "set border lw 0.5 lc rgb '#999999'\n");
    for (int64_t r = 0; r < h.rows; r++)
        for (int64_t c = 0; c < h.columns; c++)
            if (h.design[r][c]) add_matrix(a, out, h.design[r][c], r, c);
    text_add(a, out, "set multiplot\n");
    for (int64_t r = 0; r < h.rows; r++)
        for (int64_t c = 0; c < h.columns; c++)
            if (h.design[r][c]) add_picture(a, out, &h, r, c);
    text_add(a, out, "unset multiplot\n");
    return 0;
}
