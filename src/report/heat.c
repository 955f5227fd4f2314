/* heat: the transfers of a story as a map: a row for each cell, a column for each dataset and metric. Datasets differ in
 * how hard they are, so the shade compares a column's cells with each other and the number says the rest. */
#include <math.h>
#include <string.h>

#include "report/parts.h"

enum { MOST = 60 }; /* rows and columns */

static int64_t place_of(const char **name, int64_t *count, const char *want)
{
    int64_t i = 0;
    while (i < *count && strcmp(name[i], want)) i++;
    if (i == *count && *count == MOST) return -1;
    if (i == *count) name[(*count)++] = want;
    return i;
}

/* Whether the same was trained on the same data in another size, too: then the sizes are rows of their own. */
static bool swept(const Story *s, const TransferRow *t)
{
    for (int64_t i = 0; i < s->count; i++) {
        const TransferRow *o = &s->item[i].r.transfer;
        if (s->item[i].r.kind == REC_TRANSFER && (o->layers != t->layers || o->channels != t->channels) &&
            !strcmp(o->name, t->name) && !strcmp(o->to, t->to))
            return true;
    }
    return false;
}

static const char *row_of(const Story *s, Arena *a, const TransferRow *t)
{
    const char *name = t->name[0] ? t->name : "unnamed", *on = arena_printf(a, " on %s", t->to);
    const ptrdiff_t length = (ptrdiff_t)strlen(name) - (ptrdiff_t)strlen(on); /* nas-transfer's "search on digits" */
    if (length > 0 && !strcmp(name + length, on)) name = arena_strndup(a, name, length);
    if (swept(s, t))
        name = t->layers ? arena_printf(a, "%s, %lld layers, %lld channels", name, (long long)t->layers,
                                        (long long)t->channels)
                         : arena_printf(a, "%s, %lld channels", name, (long long)t->channels);
    return t->from[0] ? arena_printf(a, "%s (from %s)", name, t->from) : name;
}

Heat heat_of(const Story *s, Arena *a)
{
    Heat h = {.row_name = NEW(a, const char *, MOST), .column_name = NEW(a, const char *, MOST)};
    h.metric = NEW(a, const char *, MOST);
    bool higher[MOST] = {0};
    double *sum = NEW(a, double, MOST *MOST), *runs = NEW(a, double, MOST *MOST);
    for (int64_t i = 0; i < s->count; i++) {
        const TransferRow *t = &s->item[i].r.transfer;
        bool more;
        const char *metric = s->item[i].r.kind == REC_TRANSFER ? metric_primary(t->metrics, t->metric_count, &more) : 0;
        const double value = metric ? metric_by_name(t->metrics, t->metric_count, metric) : NAN;
        if (isnan(value)) continue;
        const int64_t row = place_of(h.row_name, &h.rows, row_of(s, a, t));
        const int64_t column = place_of(h.column_name, &h.columns, arena_printf(a, "%s (%s)", t->to, metric));
        if (row < 0 || column < 0) continue;
        h.metric[column] = metric;
        higher[column] = more;
        sum[row * MOST + column] += value;
        runs[row * MOST + column]++;
    }
    h.value = NEW(a, double, h.rows *h.columns);
    h.shade = NEW(a, double, h.rows *h.columns);
    for (int64_t c = 0; c < h.columns; c++) {
        double least = INFINITY, most = -INFINITY;
        for (int64_t r = 0; r < h.rows; r++) {
            const double v = h.value[r * h.columns + c] = sum[r * MOST + c] / runs[r * MOST + c]; /* 0/0: NaN */
            least = fmin(least, v);
            most = fmax(most, v);
        }
        for (int64_t r = 0; r < h.rows; r++) {
            const double v = h.value[r * h.columns + c], part = most > least ? (v - least) / (most - least) : 0.5;
            h.shade[r * h.columns + c] = isnan(v) ? NAN : higher[c] ? part : 1 - part;
        }
    }
    return h;
}

static const char *value_text(Arena *a, const Heat *h, int64_t row, int64_t column)
{
    const double v = h->value[row * h->columns + column];
    return isnan(v) ? "" : format_metric(a, h->metric[column], v);
}

Table *heat_table(Arena *a, const Heat *h)
{
    Table *t = table_new(a, "Transfer: cells by the dataset that they were trained on", "cell");
    for (int64_t c = 0; c < h->columns; c++) table_column(a, t, h->column_name[c], true);
    for (int64_t r = 0; r < h->rows; r++) {
        const char **row = table_row(a, t);
        row[0] = h->row_name[r];
        for (int64_t c = 0; c < h->columns; c++) row[1 + c] = value_text(a, h, r, c);
    }
    return t;
}

static void add_tics(Arena *a, Text *out, const char *axis, const char **name, int64_t count)
{
    text_addf(a, out, "set %s (", axis);
    for (int64_t i = 0; i < count; i++) {
        text_add(a, out, i ? ", '" : "'");
        escape_add(a, out, AS_GNUPLOT, name[i]);
        text_addf(a, out, "' %lld", (long long)i);
    }
    text_add(a, out, ") noenhanced\n");
}

static int64_t longest(const char **name, int64_t count)
{
    int64_t most = 0;
    for (int64_t i = 0; i < count; i++)
        if ((int64_t)strlen(name[i]) > most) most = (int64_t)strlen(name[i]);
    return most < 60 ? most : 60;
}

void heat_size(const Heat *h, int64_t *width, int64_t *height)
{
    enum { LETTER = 8, CELL_WIDTH = 90, CELL_HEIGHT = 34, TITLE = 70 };
    *width =
        LETTER * (longest(h->row_name, h->rows) + longest(h->column_name, h->columns)) + CELL_WIDTH * h->columns + 40;
    *height = TITLE + CELL_HEIGHT * h->rows + 4 * longest(h->column_name, h->columns) + 20;
}

void heat_script(Arena *a, Text *out, const Heat *h)
{
    int64_t width, height;
    heat_size(h, &width, &height);
    const double left = 8.0 * (double)longest(h->row_name, h->rows) + 20, right = left + 90.0 * (double)h->columns;
    const double top = 50, bottom = top + 34.0 * (double)h->rows;
    text_addf(a, out, "set margins screen %.4f, screen %.4f, screen %.4f, screen %.4f\n", left / (double)width,
              right / (double)width, 1 - bottom / (double)height, 1 - top / (double)height);
    text_addf(
        a, out,
        "set encoding utf8\nunset key\nunset colorbox\nset tics scale 0\nset palette defined (0 '#f7fbff', 1 "
        "'#6baed6')\nset cbrange [0:1]\nset xrange [-0.5:%lld.5]\nset yrange [%lld.5:-0.5]\nset title 'Darker is better within a dataset'\n",
        (long long)h->columns - 1, (long long)h->rows - 1);
    add_tics(a, out, "xtics rotate by -25", h->column_name, h->columns);
    add_tics(a, out, "ytics", h->row_name, h->rows);
    text_add(a, out, "$d << END\n");
    for (int64_t r = 0; r < h->rows; r++)
        for (int64_t c = 0; c < h->columns; c++)
            if (!isnan(h->shade[r * h->columns + c]))
                text_addf(a, out, "%lld %lld %.4f \"%s\"\n", (long long)c, (long long)r, h->shade[r * h->columns + c],
                          value_text(a, h, r, c));
    text_add(a, out,
             "END\nplot $d using 1:2:(0.49):(0.49):3 with boxxyerror fs solid noborder lc palette, "
             "$d using 1:2:4 with labels noenhanced\n");
}

void heat_svg(Arena *a, Text *out, const Heat *h)
{
    enum { LETTER = 7, TOP = 30, CELL_WIDTH = 84, CELL_HEIGHT = 30 };
    const int64_t names = LETTER * longest(h->row_name, h->rows) + 20;
    const int64_t width = names + h->columns * CELL_WIDTH + 10;
    const int64_t height = TOP + h->rows * CELL_HEIGHT + 4 * longest(h->column_name, h->columns) + 20;
    text_addf(a, out,
              "<svg class=\"plot\" viewBox=\"0 0 %lld %lld\" role=\"img\" aria-label=\"Transfer of cells between "
              "datasets\">\n<text class=\"title\" x=\"8\" y=\"18\">Darker is better within a dataset</text>\n",
              (long long)width, (long long)height);
    for (int64_t r = 0; r < h->rows; r++) {
        const int64_t y = TOP + r * CELL_HEIGHT;
        text_addf(a, out, "<text class=\"tick\" x=\"%lld\" y=\"%lld\" text-anchor=\"end\">", (long long)names - 8,
                  (long long)y + 20);
        escape_add(a, out, AS_HTML, h->row_name[r]);
        text_add(a, out, "</text>\n");
        for (int64_t c = 0; c < h->columns; c++) {
            const double shade = h->shade[r * h->columns + c];
            const int64_t x = names + c * CELL_WIDTH;
            if (isnan(shade)) continue;
            text_addf(a, out,
                      "<rect class=\"f0\" x=\"%lld\" y=\"%lld\" width=\"%d\" height=\"%d\" fill-opacity=\"%.2f\"/>"
                      "<text class=\"tick\" x=\"%lld\" y=\"%lld\" text-anchor=\"middle\">%s</text>\n",
                      (long long)x + 1, (long long)y + 1, CELL_WIDTH - 2, CELL_HEIGHT - 2, 0.08 + 0.5 * shade,
                      (long long)x + CELL_WIDTH / 2, (long long)y + 20, value_text(a, h, r, c));
        }
    }
    for (int64_t c = 0; c < h->columns; c++) {
        text_addf(a, out, "<text class=\"tick\" text-anchor=\"end\" transform=\"translate(%lld %lld) rotate(-25)\">",
                  (long long)(names + c * CELL_WIDTH + CELL_WIDTH / 2 + 8),
                  (long long)(TOP + h->rows * CELL_HEIGHT + 16));
        escape_add(a, out, AS_HTML, h->column_name[c]);
        text_add(a, out, "</text>\n");
    }
    text_add(a, out, "</svg>\n");
}
