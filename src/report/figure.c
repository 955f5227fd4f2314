/* figure: curves as data (panels of series), and one panel as SVG for a page. plot.c gives the same to gnuplot. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "report/parts.h"

const char *const figure_colour[FIGURE_COLOURS] = {"#2a6fb8", "#c2571a", "#1d8068", "#8e44ad",
                                                   "#b8860b", "#c0392b", "#5d6d7e", "#d6569f"};
enum { LEGEND_MAX = 12 };
#define FIGURE_LIMIT 1e30 /* larger values are not drawn: the scale would show nothing else */

static bool drawn(double v)
{
    return fabs(v) <= FIGURE_LIMIT; /* false for NaN */
}

Panel *figure_panel(Arena *a, Figure *f, const char *title, const char *y_title)
{
    GROW(a, f->panel, f->count, f->room);
    f->panel[f->count] =
        (Panel){.title = title, .y_title = y_title, .x0 = DBL_MAX, .x1 = -DBL_MAX, .y0 = DBL_MAX, .y1 = -DBL_MAX};
    return &f->panel[f->count++];
}

Series *figure_series(Arena *a, Panel *p, const char *label, int64_t colour, LineStyle style, int64_t room)
{
    GROW(a, p->series, p->count, p->room);
    p->series[p->count] = (Series){.label = label,
                                   .x = NEW(a, double, room),
                                   .y = NEW(a, double, room),
                                   .colour = (int)(colour % FIGURE_COLOURS),
                                   .style = style};
    return &p->series[p->count++];
}

void figure_point(Panel *p, Series *s, double x, double y)
{
    s->x[s->count] = x;
    s->y[s->count++] = drawn(y) && drawn(x) ? y : NAN;
    if (!drawn(y) || !drawn(x)) return;
    p->x0 = fmin(p->x0, x);
    p->x1 = fmax(p->x1, x);
    p->y0 = fmin(p->y0, y);
    p->y1 = fmax(p->y1, y);
}

void figure_finish(Figure *f)
{
    Panel *p = &f->panel[f->count - 1];
    int64_t kept = 0;
    for (int64_t i = 0; i < p->count; i++) {
        bool any = false;
        for (int64_t k = 0; k < p->series[i].count; k++) any |= !isnan(p->series[i].y[k]);
        if (any) p->series[kept++] = p->series[i];
    }
    p->count = kept;
    for (int64_t i = LEGEND_MAX; i < kept; i++) p->series[i].label = "";
    if (!kept) {
        f->count--;
        return;
    }
    if (p->x_names)
        p->x0 = -0.5, p->x1 = (double)p->x_names - 0.5;
    else if (p->log_x)
        p->x0 /= 1.3, p->x1 *= 1.3;
    else if (p->x1 <= p->x0)
        p->x0 -= 0.5, p->x1 += 0.5;
    double air = p->y1 > p->y0 ? 0.05 * (p->y1 - p->y0) : fmax(0.05 * fabs(p->y0), 0.01);
    p->y0 -= air;
    p->y1 += air;
}

/* One epoch of either kind. */
typedef struct {
    double epoch;
    const Metric *metrics;
    int64_t metric_count;
} Point;

typedef struct {
    const char *label;
    Point *point;
    int64_t count;
} Curve;

static void curve_panel(Arena *a, Figure *f, const char *title, const char *metric, const Curve *curve, int64_t count)
{
    Panel *p = figure_panel(a, f, title, metric);
    for (int64_t c = 0; c < count; c++) {
        for (int split = 0; split < SPLIT_COUNT; split++) {
            const char *name = split_name[split];
            const char *label = count == 1 ? name : arena_printf(a, "%s, %s", curve[c].label, name);
            int64_t colour = count == 1 ? split : c; /* a lone run: a colour for each split */
            Series *s =
                figure_series(a, p, label, colour, split == SPLIT_TRAIN ? LINE_DASHED : LINE_SOLID, curve[c].count);
            for (int64_t i = 0; i < curve[c].count; i++) {
                const Point *at = &curve[c].point[i];
                double y = metric_get(at->metrics, at->metric_count, name, metric);
                figure_point(p, s, at->epoch, y);
            }
        }
    }
    figure_finish(f);
}

static void curve_panels(Arena *a, Figure *f, const char *title, const Curve *curve, int64_t count)
{
    const char *metric = 0;
    for (int64_t c = 0; c < count && !metric; c++) {
        for (int64_t i = curve[c].count; i-- && !metric;) {
            metric = metric_primary(curve[c].point[i].metrics, curve[c].point[i].metric_count, 0);
        }
    }
    if (!metric) return;
    curve_panel(a, f, title, "loss", curve, count);
    if (strcmp(metric, "loss")) curve_panel(a, f, title, metric, curve, count);
}

Figure figure_curves(const Story *s, Arena *a)
{
    Figure f = {0};
    Curve *curve = NEW(a, Curve, s->search_count);
    for (int64_t i = 0; i < s->search_count; i++) {
        const StorySearch *search = &s->search[i];
        curve[i] = (Curve){search->label, NEW(a, Point, search->count), search->count};
        for (int64_t k = 0; k < search->count; k++) {
            const SearchEpoch *e = search->epoch[k];
            curve[i].point[k] = (Point){(double)e->epoch, e->metrics, e->metric_count};
        }
    }
    curve_panels(a, &f, "Search", curve, s->search_count);
    curve = NEW(a, Curve, s->run_count);
    for (int64_t i = 0; i < s->run_count; i++) {
        const StoryRun *run = &s->run[i];
        curve[i] = (Curve){run->label, NEW(a, Point, run->count), run->count};
        for (int64_t k = 0; k < run->count; k++) {
            const TrainEpoch *e = run->epoch[k];
            curve[i].point[k] = (Point){(double)e->epoch, e->metrics, e->metric_count};
        }
    }
    curve_panels(a, &f, "Training", curve, s->run_count);
    return f;
}

static const AlphaTable *alpha_find(const SearchEpoch *e, const char *name)
{
    for (int64_t k = 0; k < e->table_count; k++) {
        if (!strcmp(e->tables[k].name, name)) return &e->tables[k];
    }
    return 0;
}

/* Each edge as a thin line, and their mean. */
static void entropy_panel(Arena *a, Figure *f, const StorySearch *search, const AlphaTable *first)
{
    Panel *p = figure_panel(a, f, arena_printf(a, "%s: %s cell", search->label, first->name), "entropy in nats");
    for (int64_t edge = -1; edge < first->edges; edge++) {
        bool mean = edge < 0;
        Series *s = figure_series(a, p,
                                  mean        ? "mean"
                                  : edge == 0 ? "an edge"
                                              : "",
                                  mean ? 0 : 6, mean ? LINE_SOLID : LINE_THIN, search->count);
        for (int64_t i = 0; i < search->count; i++) {
            const AlphaTable *t = alpha_find(search->epoch[i], first->name);
            if (!t || !t->entropy || edge >= t->edges) continue;
            double y = mean ? 0 : t->entropy[edge];
            for (int64_t k = 0; mean && k < t->edges; k++) y += t->entropy[k] / (double)t->edges;
            figure_point(p, s, (double)search->epoch[i]->epoch, y);
        }
    }
    figure_finish(f);
}

Figure figure_alphas(const Story *s, Arena *a)
{
    Figure f = {0};
    for (int64_t i = 0; i < s->search_count; i++) {
        const SearchEpoch *e = s->search[i].epoch[0];
        for (int64_t k = 0; k < e->table_count; k++) entropy_panel(a, &f, &s->search[i], &e->tables[k]);
    }
    return f;
}

double figure_step(double range, int64_t ticks)
{
    double rough = range / (double)ticks, power = pow(10, floor(log10(rough))), unit = rough / power;
    return power * (unit <= 1 ? 1 : unit <= 2 ? 2 : unit <= 5 ? 5 : 10);
}

/* ---- SVG ---- */

enum { WIDTH = 460, HEIGHT = 300, LEFT = 54, RIGHT = 12, TOP = 34, BOTTOM = 40, LEGEND_LINE = 16, NAMES = 110 };

static int height(const Panel *p) /* names of the x axis stand below it, aslant */
{
    return HEIGHT + (p->x_names ? NAMES : 0);
}

static double place_x(const Panel *p, double x)
{
    double part = p->log_x ? log(x / p->x0) / log(p->x1 / p->x0) : (x - p->x0) / (p->x1 - p->x0);
    return LEFT + part * (WIDTH - LEFT - RIGHT);
}

static double place_y(const Panel *p, double y)
{
    return TOP + (p->y1 - y) / (p->y1 - p->y0) * (HEIGHT - TOP - BOTTOM);
}

static void svg_tick(Arena *a, Text *out, const Panel *p, double x)
{
    text_addf(a, out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", place_x(p, x),
              place_x(p, x), HEIGHT - BOTTOM, HEIGHT - BOTTOM + 4);
    text_addf(a, out, "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.6g</text>\n", place_x(p, x),
              HEIGHT - BOTTOM + 17, fabs(x) < (p->x1 - p->x0) / 1e4 ? 0 : x);
}

static void svg_log_ticks(Arena *a, Text *out, const Panel *p) /* 1, 2 and 5 of each decade, or 1 alone of many */
{
    const bool many = p->x1 / p->x0 > 300;
    for (double power = pow(10, floor(log10(p->x0))); power <= p->x1; power *= 10)
        for (int digit = 1; digit < 10; digit += digit == 1 ? 1 : digit == 2 ? 3 : 5)
            if (digit * power >= p->x0 && digit * power <= p->x1 && (digit == 1 || !many))
                svg_tick(a, out, p, digit * power);
}

static void svg_axes(Arena *a, Text *out, const Panel *p)
{
    double step = figure_step(p->y1 - p->y0, 5);
    for (double y = ceil(p->y0 / step) * step; y <= p->y1; y += step) {
        text_addf(a, out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, WIDTH - RIGHT,
                  place_y(p, y), place_y(p, y));
        text_addf(a, out, "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n", LEFT - 6,
                  place_y(p, y) + 4, fabs(y) < step / 1000 ? 0 : y);
    }
    for (int64_t i = 0; i < p->x_names; i++) {
        text_addf(a, out, "<text class=\"tick\" text-anchor=\"end\" transform=\"translate(%.1f %d) rotate(-50)\">",
                  place_x(p, (double)i) + 5, HEIGHT - BOTTOM + 16);
        escape_add(a, out, AS_HTML, p->x_name[i]);
        text_add(a, out, "</text>\n");
    }
    if (p->x_names) return;
    if (p->log_x) {
        svg_log_ticks(a, out, p);
    } else {
        step = figure_step(p->x1 - p->x0, 6);
        if (!p->x_title || p->whole_x) step = fmax(step, 1);
        for (double x = ceil(p->x0 / step) * step; x <= p->x1; x += step) svg_tick(a, out, p, x);
    }
    text_addf(a, out, "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH - RIGHT,
              HEIGHT - BOTTOM + 33);
    escape_add(a, out, AS_HTML, p->x_title ? p->x_title : "epoch");
    text_add(a, out, "</text>\n");
}

static const char *const line_class[] = {
    [LINE_SOLID] = "solid", [LINE_DASHED] = "dashed", [LINE_THIN] = "thin", [LINE_POINTS] = ""};

static void svg_series(Arena *a, Text *out, const Panel *p, const Series *s)
{
    bool open = false;
    for (int64_t i = 0; i < s->count; i++) { /* a missing point breaks the line; a point without a neighbour is a dot */
        if (isnan(s->y[i])) {
            if (open) text_add(a, out, "\"/>\n");
            open = false;
            continue;
        }
        double x = place_x(p, s->x[i]), y = place_y(p, s->y[i]);
        bool before = i > 0 && !isnan(s->y[i - 1]), after = i + 1 < s->count && !isnan(s->y[i + 1]);
        if ((!before && !after) || s->style == LINE_POINTS) {
            text_addf(a, out, "<circle class=\"f%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>\n", s->colour, x, y);
            continue;
        }
        if (!open) text_addf(a, out, "<polyline class=\"line c%d %s\" points=\"", s->colour, line_class[s->style]);
        text_addf(a, out, "%s%.1f,%.1f", open ? " " : "", x, y);
        open = true;
    }
    if (open) text_add(a, out, "\"/>\n");
}

void figure_svg(Arena *a, Text *out, const Panel *p)
{
    int legend = 0;
    for (int64_t i = 0; i < p->count; i++) legend += p->series[i].label[0] != 0;
    text_addf(a, out, "<svg class=\"plot\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH,
              height(p) + 8 + legend * LEGEND_LINE);
    const char *by = p->x_names ? "" : arena_printf(a, " by %s", p->x_title ? p->x_title : "epoch");
    escape_add(a, out, AS_HTML, arena_printf(a, "%s: %s%s", p->title, p->y_title, by));
    text_addf(a, out, "\">\n<text class=\"title\" x=\"%d\" y=\"18\">", LEFT);
    escape_add(a, out, AS_HTML, arena_printf(a, "%s: %s", p->title, p->y_title));
    text_add(a, out, "</text>\n");
    svg_axes(a, out, p);
    for (int64_t i = p->count; i--;) svg_series(a, out, p, &p->series[i]);
    int y = height(p) + 8;
    for (int64_t i = 0; i < p->count; i++) {
        const Series *s = &p->series[i];
        if (!s->label[0]) continue;
        if (s->style == LINE_POINTS)
            text_addf(a, out, "<circle class=\"f%d\" cx=\"%d\" cy=\"%d\" r=\"3\"/>", s->colour, LEFT + 13, y - 4);
        else
            text_addf(a, out, "<line class=\"line c%d %s\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>", s->colour,
                      line_class[s->style], LEFT, LEFT + 26, y - 4, y - 4);
        text_addf(a, out, "<text class=\"tick\" x=\"%d\" y=\"%d\">", LEFT + 34, y);
        escape_add(a, out, AS_HTML, s->label);
        text_add(a, out, "</text>\n");
        y += LEGEND_LINE;
    }
    text_add(a, out, "</svg>\n");
}
