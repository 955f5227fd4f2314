/* plot: a figure through gnuplot, as SVG, PNG or characters. */
#include <math.h>
#include <string.h>

#include "report/parts.h"

static void plot_data(Arena *a, Text *out, const Figure *f)
{
    for (int64_t p = 0; p < f->count; p++) {
        for (int64_t i = 0; i < f->panel[p].count; i++) {
            const Series *s = &f->panel[p].series[i];
            text_addf(a, out, "$d%lld_%lld << END\n", (long long)p, (long long)i);
            for (int64_t k = 0; k < s->count; k++) {
                text_addf(a, out, "%.10g %s\n", s->x[k], isnan(s->y[k]) ? "NaN" : format_real(a, s->y[k]));
            }
            text_add(a, out, "END\n");
        }
    }
}

static void plot_x_axis(Arena *a, Text *out, const Panel *p)
{
    text_add(a, out, "set xlabel '");
    escape_add(a, out, AS_GNUPLOT, p->x_names ? "" : p->x_title ? p->x_title : "epoch");
    text_add(a, out, "' noenhanced offset 0, 0.7\n");
    text_addf(a, out, "%sset logscale x\n", p->log_x ? "" : "un");
    if (p->x_names) {
        text_add(a, out, "set xtics noenhanced rotate by -25 (");
        for (int64_t i = 0; i < p->x_names; i++) {
            text_add(a, out, i ? ", '" : "'");
            escape_add(a, out, AS_GNUPLOT, p->x_name[i]);
            text_addf(a, out, "' %lld", (long long)i);
        }
        text_add(a, out, ")\n");
    } else if (p->log_x) {
        text_add(a, out, "set xtics norotate autofreq\n");
    } else {
        double step = figure_step(p->x1 - p->x0, 6);
        text_addf(a, out, "set xtics norotate %.10g\n", !p->x_title || p->whole_x ? fmax(step, 1) : step);
    }
}

static void plot_panel(Arena *a, Text *out, const Figure *f, int64_t number)
{
    const Panel *p = &f->panel[number];
    plot_x_axis(a, out, p);
    text_add(a, out, "set title '");
    escape_add(a, out, AS_GNUPLOT, arena_printf(a, "%s: %s", p->title, p->y_title));
    text_addf(a, out, "' noenhanced\nset xrange [%.10g:%.10g]\nset yrange [%.10g:%.10g]\nplot", p->x0, p->x1, p->y0,
              p->y1);
    for (int64_t i = 0; i < p->count; i++) {
        const Series *s = &p->series[i];
        text_addf(a, out, "%s $d%lld_%lld using 1:2 with %s lc rgb '%s' dt %d lw %s ", i ? "," : "", (long long)number,
                  (long long)i, s->count == 1 || s->style == LINE_POINTS ? "points pt 7 ps 0.8" : "lines",
                  figure_colour[s->colour], s->style == LINE_DASHED ? 2 : 1, s->style == LINE_THIN ? "0.5" : "2");
        if (s->label[0]) {
            text_add(a, out, "title '");
            escape_add(a, out, AS_GNUPLOT, s->label);
            text_add(a, out, "' noenhanced");
        } else {
            text_add(a, out, "notitle");
        }
    }
    text_add(a, out, "\n");
}

static void plot_terminal(Arena *a, Text *out, const char *format, int64_t width, int64_t height)
{
    if (!strcmp(format, "text")) {
        text_add(a, out, "set terminal dumb noenhanced size 79, 20\n");
        return;
    }
    const bool svg = !strcmp(format, "svg");
    text_addf(a, out, "set terminal %s noenhanced size %lld, %lld font '%s,12' background rgb 'white'\n",
              svg ? "svg" : "pngcairo", (long long)width, (long long)height,
              svg ? "Helvetica, Arial, sans-serif" : "Sans");
}

static void plot_script(Arena *a, Text *out, const Figure *f, const char *format)
{
    enum { PANEL_WIDTH = 520, PANEL_HEIGHT = 380 };
    long long columns = f->count > 1 ? 2 : 1, rows = (f->count + columns - 1) / columns;
    bool text = !strcmp(format, "text");
    plot_terminal(a, out, format, columns * PANEL_WIDTH, rows * PANEL_HEIGHT);
    text_add(a, out,
             "set encoding utf8\nset datafile missing 'NaN'\nset border 3\nset tics nomirror\n"
             "set key bottom outside center horizontal maxrows 6\n");
    if (!text) text_add(a, out, "set grid ytics lc rgb '#dddddd' lt 1\n");
    plot_data(a, out, f);
    if (!text) text_addf(a, out, "set multiplot layout %lld, %lld\n", rows, columns);
    for (int64_t i = 0; i < f->count; i++) plot_panel(a, out, f, i);
    if (!text) text_add(a, out, "unset multiplot\n");
}

static const char *plot_heat(Arena *a, const Heat *h, const char *format, Text *out)
{
    static const char *const argv[] = {"gnuplot", "-", 0};
    if (!h->rows) return "there is nothing to plot: no transfer row with a metric";
    if (!strcmp(format, "text")) {
        table_text(a, out, heat_table(a, h));
        return 0;
    }
    Text script = {0};
    int64_t width, height;
    heat_size(h, &width, &height);
    plot_terminal(a, &script, format, width, height);
    heat_script(a, &script, h);
    return child_run(a, argv, &script, "gnuplot-nox", out);
}

static const char *plot_designs(const Story *s, Arena *a, const char *format, Text *out)
{
    static const char *const argv[] = {"gnuplot", "-", 0};
    Text script = {0}, sheet = {0};
    int64_t width, height;
    if (!strcmp(format, "text")) return "designs are drawn as a picture: -o FILE.png or FILE.svg";
    const char *why = designs_script(s, a, &sheet, &width, &height);
    if (why) return why;
    plot_terminal(a, &script, format, width, height);
    text_add(a, &script, sheet.s);
    return child_run(a, argv, &script, "gnuplot-nox", out);
}

static const struct {
    const char *name;
    Figure (*make)(const Story *s, Arena *a);
    const char *missing;
} picture[] = {
    {"curves", figure_curves, "no epoch with a finite loss or metric"},
    {"alphas", figure_alphas, "no search epoch with entropies"},
    {"weights", figure_weights, "no search epoch with mixing weights"},
    {"spread", figure_spread, "no evaluation"},
    {"fronts", figure_fronts, "no evaluation of a network whose parameters or MACs are known"},
    {"depth", figure_depth, "no two evaluations or transfers that differ in layers or channels alone"},
};

const char *report_plot(const Story *s, Arena *a, const char *what, const char *format, Text *out)
{
    static const char *const argv[] = {"gnuplot", "-", 0};
    if (!strcmp(what, "transfer")) {
        Heat h = heat_of(s, a);
        return plot_heat(a, &h, format, out);
    }
    if (!strcmp(what, "designs")) return plot_designs(s, a, format, out);
    int k = 0;
    while (strcmp(picture[k].name, what)) k++;
    Figure f = picture[k].make(s, a);
    if (!f.count) return arena_printf(a, "there is nothing to plot: %s", picture[k].missing);
    Text script = {0};
    plot_script(a, &script, &f, format);
    return child_run(a, argv, &script, "gnuplot-nox", out);
}
