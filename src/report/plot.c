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

static void plot_panel(Arena *a, Text *out, const Figure *f, int64_t number)
{
    const Panel *p = &f->panel[number];
    text_add(a, out, "set title '");
    escape_add(a, out, AS_GNUPLOT, arena_printf(a, "%s: %s", p->title, p->y_title));
    text_addf(a, out, "' noenhanced\nset xrange [%.10g:%.10g]\nset yrange [%.10g:%.10g]\nset xtics %.10g\nplot", p->x0,
              p->x1, p->y0, p->y1, fmax(figure_step(p->x1 - p->x0, 6), 1));
    for (int64_t i = 0; i < p->count; i++) {
        const Series *s = &p->series[i];
        text_addf(a, out, "%s $d%lld_%lld using 1:2 with %s lc rgb '%s' dt %d lw %s ", i ? "," : "", (long long)number,
                  (long long)i, s->count == 1 ? "points pt 7" : "lines", figure_colour[s->colour],
                  s->style == LINE_DASHED ? 2 : 1, s->style == LINE_THIN ? "0.5" : "2");
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

static void plot_script(Arena *a, Text *out, const Figure *f, const char *format)
{
    enum { PANEL_WIDTH = 520, PANEL_HEIGHT = 380 };
    long long columns = f->count > 1 ? 2 : 1, rows = (f->count + columns - 1) / columns;
    bool text = !strcmp(format, "text");
    if (text) {
        text_add(a, out, "set terminal dumb noenhanced size 79, 20\n");
    } else {
        text_addf(a, out, "set terminal %s noenhanced size %lld, %lld font '%s,12' background rgb 'white'\n",
                  strcmp(format, "svg") ? "pngcairo" : "svg", columns * PANEL_WIDTH, rows * PANEL_HEIGHT,
                  strcmp(format, "svg") ? "Sans" : "Helvetica, Arial, sans-serif");
    }
    text_add(a, out,
             "set encoding utf8\nset datafile missing 'NaN'\nset border 3\nset tics nomirror\n"
             "set key bottom outside center horizontal maxrows 6\nset xlabel 'epoch' offset 0, 0.3\n");
    if (!text) text_add(a, out, "set grid ytics lc rgb '#dddddd' lt 1\n");
    plot_data(a, out, f);
    if (!text) text_addf(a, out, "set multiplot layout %lld, %lld\n", rows, columns);
    for (int64_t i = 0; i < f->count; i++) plot_panel(a, out, f, i);
    if (!text) text_add(a, out, "unset multiplot\n");
}

const char *report_plot(const Story *s, Arena *a, const char *what, const char *format, Text *out)
{
    static const char *const argv[] = {"gnuplot", "-", 0};
    bool curves = !strcmp(what, "curves");
    Figure f = curves ? figure_curves(s, a) : figure_alphas(s, a);
    if (!f.count) {
        return curves ? "there is nothing to plot: no epoch with a finite loss or metric"
                      : "there is nothing to plot: no search epoch with entropies";
    }
    Text script = {0};
    plot_script(a, &script, &f, format);
    return child_run(a, argv, &script, "gnuplot-nox", out);
}
