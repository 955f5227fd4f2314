/* html: a story as one page that needs nothing else: no script, no network, no other file. */
#include <math.h>
#include <string.h>

#include "report/parts.h"
#include "report/verdict.h"

enum { CELLS_DRAWN = 12, SCORES_SHOWN = 12 };

static const char style[] =
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--soft:#596473;--rule:#d8dee6;--card:#f5f7fa;"
    "--accent:#2a6fb8;--c0:#2a6fb8;--c1:#c2571a;--c2:#1d8068;--c3:#8e44ad;--c4:#96700a;--c5:#c0392b;--c6:#5d6d7e;"
    "--c7:#c2408a;--state:#eef1f4;--none:#fff;--none-ink:#8a8a8a;--skip:#f1f1f1;--skip-ink:#7d7d7d;--pool:#fdebd0;"
    "--pool-ink:#b86e00;--sep:#dcebfb;--sep-ink:#2a6fb8;--dil:#e9e2f8;--dil-ink:#6f4bb2;--split:#d8f1ea;"
    "--split-ink:#1d8068}\n"
    "@media(prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e6e9ed;--soft:#9aa5b1;--rule:#333a43;"
    "--card:#1d2127;--accent:#7db4ee;--c0:#7db4ee;--c1:#f0945c;--c2:#5cc8ab;--c3:#c797e0;--c4:#dcb551;--c5:#f08377;"
    "--c6:#a3b1bf;--c7:#ee8cc0;--state:#2a3038;--none:#14171b;--none-ink:#8d959e;--skip:#2b2f35;--skip-ink:#a0a7af;"
    "--pool:#43300f;--pool-ink:#e9a94a;--sep:#17314c;--sep-ink:#7db4ee;--dil:#33264f;--dil-ink:#b79cf0;"
    "--split:#123c32;--split-ink:#5cc8ab}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,\"Segoe UI\","
    "Roboto,\"Helvetica Neue\",Arial,sans-serif}\n"
    "main{max-width:70rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}\n"
    "h1{font-size:clamp(1.6rem,4vw,2.4rem);line-height:1.2;margin:0 0 1rem;letter-spacing:-.015em;text-wrap:balance}\n"
    "h2{font-size:1.35rem;margin:3rem 0 .8rem;padding-bottom:.3rem;border-bottom:1px solid var(--rule)}\n"
    "h3{font-size:1.05rem;margin:1.8rem 0 .5rem}\n"
    "h1,h2,h3,p,td,th{overflow-wrap:anywhere}\n"
    "p{max-width:46rem;margin:.6rem 0}\n"
    ".soft{color:var(--soft)}\n"
    ".scores{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,13rem),1fr));gap:.8rem;padding:0;"
    "margin:1.4rem 0;list-style:none}\n"
    /* on a phone one row to swipe, so that the words come on the first screen */
    "@media(max-width:34rem){.scores{grid-template-columns:none;grid-auto-flow:column;grid-auto-columns:12rem;"
    "overflow-x:auto}}\n"
    ".scores li{background:var(--card);border:1px solid var(--rule);border-radius:.6rem;padding:.8rem 1rem}\n"
    ".scores .lead{border-color:var(--accent);box-shadow:inset 0 0 0 1px var(--accent)}\n"
    ".scores b{display:block;font-size:1.75rem;line-height:1.25;font-variant-numeric:tabular-nums}\n"
    ".scores span{display:block;overflow-wrap:anywhere}\n"
    ".scores .soft{font-size:.875rem}\n"
    "pre{background:var(--card);border:1px solid var(--rule);border-radius:.5rem;padding:.7rem .9rem;"
    "font:.82rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;overflow-x:auto}\n"
    "pre.line{white-space:pre-wrap;overflow-wrap:anywhere}\n"
    "figure{margin:1rem 0}\nfigcaption{font-size:.875rem;color:var(--soft);margin-bottom:.3rem}\n"
    ".wide{overflow-x:auto}\n.wide:focus-visible{outline:2px solid var(--accent);outline-offset:2px}\n"
    "table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}\n"
    "th,td{text-align:left;vertical-align:top;padding:.35rem 1.1rem .35rem 0;border-bottom:1px solid var(--rule);"
    "max-width:34rem}\n"
    "table:not(.pairs){width:max-content}\ntd,th{overflow-wrap:normal}\ntd:last-child{overflow-wrap:anywhere;min-width:"
    "6rem}\n"
    "thead th{color:var(--soft);font-weight:600;white-space:nowrap}\n.pairs th{font-weight:600;white-space:nowrap}\n"
    ".number{text-align:right;white-space:nowrap}\n"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:1.5rem}\n"
    ".plot{display:block;width:100%;max-width:40rem;height:auto}\n"
    ".plot text{fill:var(--soft);font-size:13px;font-family:inherit}\n"
    ".plot .title{fill:var(--ink);font-size:15px;font-weight:600}\n"
    ".plot .grid{stroke:var(--rule)}\n"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}\n"
    ".dashed{stroke-dasharray:5 4}\n.thin{stroke-width:1;opacity:.45}\n"
    ".cell svg{display:block;max-width:none}\n"
    ".cell text{font-family:inherit;fill:var(--ink)}\n"
    ".node.state path,.node.state ellipse{fill:var(--state);stroke:var(--soft)}\n"
    ".edge.joins path{stroke:var(--soft);stroke-opacity:.6}\n.edge.joins polygon{fill:var(--soft);stroke:none}\n";

static void add_style(Arena *a, Text *out)
{
    static const char *const families[] = {"none", "skip", "pool", "sep", "dil", "split"};
    text_addf(a, out, "<style>\n%s", style);
    for (int i = 0; i < COUNTOF(families); i++) {
        const char *f = families[i];
        text_addf(a, out,
                  ".node.%s path{fill:var(--%s);stroke:var(--%s-ink)}.edge.%s path{stroke:var(--%s-ink)}"
                  ".edge.%s polygon{fill:var(--%s-ink);stroke:var(--%s-ink)}\n",
                  f, f, f, f, f, f, f, f);
    }
    for (int i = 0; i < FIGURE_COLOURS; i++) {
        text_addf(a, out, ".c%d{stroke:var(--c%d)}.f%d{fill:var(--c%d)}\n", i, i, i, i);
    }
    text_add(a, out, "</style>\n");
}

static void add_element(Arena *a, Text *out, const char *tag, const char *content)
{
    text_addf(a, out, "<%s>", tag);
    escape_add(a, out, AS_HTML, content);
    text_addf(a, out, "</%.*s>\n", (int)strcspn(tag, " "), tag);
}

/* ---- the headline: what was measured, in numbers ---- */

typedef struct {
    const Evaluation *e;
    const char *metric, *label;
    double value, trivial; /* trivial: NaN if not known */
} Score;

/* The evaluations on test splits, or all if there is none. */
static Score *scores(const Story *s, Arena *a, int64_t *count)
{
    Score *all = 0;
    int64_t room = 0;
    *count = 0;
    for (int test = 1; test >= 0 && !*count; test--) {
        for (int64_t i = 0; i < s->count; i++) {
            const Evaluation *e = &s->item[i].r.evaluation;
            if (s->item[i].r.kind != REC_EVALUATION || (test && strcmp(e->split, split_name[SPLIT_TEST]))) continue;
            Score x = {.e = e, .label = e->run[0] ? e->run : "unnamed"};
            bool higher;
            x.metric = metric_primary(e->metrics, e->metric_count, &higher);
            if (!x.metric) continue;
            x.value = metric_by_name(e->metrics, e->metric_count, x.metric);
            x.trivial = metric_by_name(e->baseline, e->baseline_count, x.metric);
            GROW(a, all, *count, room);
            all[(*count)++] = x;
        }
    }
    return all;
}

/* By the mean over its runs. */
static const Contender *best_of(const Contest *c)
{
    const Contender *best = 0;
    for (int64_t i = 0; i < c->count; i++) {
        const Contender *x = &c->contender[i];
        if (!best || (c->higher ? x->sample.mean > best->sample.mean : x->sample.mean < best->sample.mean)) best = x;
    }
    return best;
}

static bool is_of(const Evaluation *e, const Contender *who)
{
    for (int64_t i = 0; i < who->count; i++)
        if (who->of[i] == e) return true;
    return false;
}

static char *headline(Arena *a, const Contest *c, const Contender *best, const char *label)
{
    const char *value = format_metric(a, c->metric, best->sample.mean), *samples = format_count(a, c->samples);
    const char *of = c->dataset[0] ? " of " : "";
    Text t = {0};
    if (c->count == 1 && best->count == 1)
        text_addf(a, &t, "The network “%s” reaches %s %s on the %s samples of the %s split%s%s.", label, value,
                  c->metric, samples, c->split, of, c->dataset);
    else
        text_addf(a, &t,
                  "Of %lld kind%s of networks on the %s samples of the %s split%s%s, %s has the best mean: %s %s over "
                  "%lld run%s.",
                  (long long)c->count, c->count == 1 ? "" : "s", samples, c->split, of, c->dataset, best->name, value,
                  c->metric, (long long)best->count, best->count == 1 ? "" : "s");
    if (!isnan(c->trivial))
        text_addf(a, &t, " The trivial predictor, which looks at no sample, gets %s.",
                  format_metric(a, c->metric, c->trivial));
    return t.s;
}

static void add_score(Arena *a, Text *out, const Score *x, bool lead)
{
    const Evaluation *e = x->e;
    text_addf(a, out, "<li%s>", lead ? " class=\"lead\"" : "");
    add_element(a, out, "span", arena_printf(a, "%s%s%s", x->label, e->set[0] ? ", " : "", e->set));
    add_element(a, out, "b", format_metric(a, x->metric, x->value));
    add_element(
        a, out, "span class=\"soft\"",
        arena_printf(a, "%s, %s of %s", x->metric, e->split, e->dataset[0] ? e->dataset : "an unnamed dataset"));
    if (!isnan(x->trivial)) {
        add_element(a, out, "span class=\"soft\"",
                    arena_printf(a, "trivial predictor: %s", format_metric(a, x->metric, x->trivial)));
    }
    if (e->parameters) {
        add_element(a, out, "span class=\"soft\"", arena_printf(a, "%s parameters", format_count(a, e->parameters)));
    }
    text_add(a, out, "</li>\n");
}

/* The title of a story that has no evaluation: how far it has come. */
static char *progress_title(const Story *s, Arena *a)
{
    const char *about = s->file_count ? s->file[0] : "nothing";
    for (int64_t i = 0; i < s->count; i++) {
        if (s->item[i].r.kind == REC_DATASET && s->item[i].r.dataset.name[0]) about = s->item[i].r.dataset.name;
    }
    if (s->run_count) {
        const StoryRun *run = &s->run[s->run_count - 1];
        const TrainEpoch *e = run->epoch[run->count - 1];
        return arena_printf(a, "%s: trained for %lld of %lld epochs, not evaluated yet", run->label,
                            (long long)e->epoch, (long long)e->epochs);
    }
    if (s->search_count) {
        const StorySearch *search = &s->search[s->search_count - 1];
        const SearchEpoch *e = search->epoch[search->count - 1];
        return arena_printf(a, "%s: searched for %lld of %lld epochs, nothing trained yet", search->label,
                            (long long)e->epoch, (long long)e->epochs);
    }
    return arena_printf(a, "A look at %s", about);
}

/* What the table of the verdict comes to, a sentence a paragraph. */
static void add_verdict(const Story *s, Arena *a, Text *out)
{
    Text said = {0};
    verdict_text(s, a, &said);
    for (const char *line = said.s; *line;) {
        const char *end = strchr(line, '\n');
        add_element(a, out, "p", arena_strndup(a, line, end - line));
        line = end + 1;
    }
}

static void add_headline(const Story *s, Arena *a, Text *out)
{
    int64_t count, contests;
    const Score *all = scores(s, a, &count);
    Contest **contest = verdict_contests(s, a, &contests);
    const Contest *first = contests ? contest[0] : 0;
    const Contender *best = first ? best_of(first) : 0;
    const char *title, *label = "";
    if (!best) {
        title = progress_title(s, a);
    } else {
        label = best->count > 1 ? best->name : best->of[0]->run[0] ? best->of[0]->run : "unnamed";
        title = arena_printf(a, "%s: %s %s%s on %s %s samples", label,
                             format_metric(a, first->metric, best->sample.mean), first->metric,
                             best->count > 1 ? " (mean)" : "", format_count(a, first->samples), first->split);
    }
    add_element(a, out, "title", title);
    text_add(a, out, "</head>\n<body>\n<main>\n<header>\n");
    add_element(a, out, "h1", title);
    if (count) {
        text_add(a, out, "<ul class=\"scores\">\n");
        for (int64_t i = 0; i < count && i < SCORES_SHOWN; i++)
            add_score(a, out, &all[i], best && is_of(all[i].e, best));
        text_add(a, out, "</ul>\n");
    }
    if (best) {
        add_element(a, out, "p", headline(a, first, best, label));
        add_verdict(s, a, out);
    }
    if (s->note) add_element(a, out, "p", s->note);
    add_element(a, out, "p class=\"soft\"", section_contents(s, a));
    text_add(a, out, "</header>\n");
}

/* ---- the body ---- */

static void add_cells(Arena *a, Text *out, const Drawing *d)
{
    Text drawn[2] = {{0}};
    for (int k = 0; k < 2; k++) {
        if (!cell_svg(a, &drawn[k], d, k ? CELL_REDUCE : CELL_NORMAL)) continue;
        text_add(a, out, "<pre>"); /* no Graphviz: the drawing of the text summary says the same */
        Text plain = {0};
        cell_text(a, &plain, &d->genotype);
        text_add(a, out, plain.s);
        text_add(a, out, "</pre>\n");
        return;
    }
    for (int k = 0; k < 2; k++) {
        text_addf(a, out,
                  "<figure><figcaption>%s</figcaption><div class=\"wide cell\" tabindex=\"0\" role=\"region\" "
                  "aria-label=\"%s\">%s</div></figure>\n",
                  k ? "Reduction cell" : "Normal cell", k ? "Reduction cell" : "Normal cell", drawn[k].s);
    }
}

static void add_genotypes(const Story *s, Arena *a, Text *out)
{
    int64_t count;
    const Drawing *d = story_drawings(s, a, &count);
    if (!count) return;
    bool weighted = false;
    for (int64_t i = 0; i < count; i++) weighted |= d[i].weighted;
    text_add(a, out, "<section>\n<h2>Cells</h2>\n");
    if (weighted) {
        add_element(a, out, "p class=\"soft\"",
                    "The number beside an operation and the width of its lines are the "
                    "mixing weight that the search gave it.");
    }
    for (int64_t i = 0; i < count; i++) {
        add_element(a, out, "h3", d[i].name);
        if (d[i].text[0]) add_element(a, out, "pre class=\"line\"", d[i].text);
        if (d[i].unreadable)
            add_element(a, out, "p", arena_printf(a, "It cannot be drawn: %s.", d[i].unreadable));
        else if (i < CELLS_DRAWN)
            add_cells(a, out, &d[i]);
    }
    Table *t = section_table[SECTION_GENOTYPES](s, a);
    if (t) table_html(a, out, t);
    text_add(a, out, "</section>\n");
}

static void add_figure(Arena *a, Text *out, const char *title, const char *note, Figure f)
{
    if (!f.count) return;
    text_add(a, out, "<section>\n");
    add_element(a, out, "h2", title);
    add_element(a, out, "p class=\"soft\"", note);
    text_add(a, out, "<div class=\"plots\">\n");
    for (int64_t i = 0; i < f.count; i++) {
        text_add(a, out, "<figure>");
        figure_svg(a, out, &f.panel[i]);
        text_add(a, out, "</figure>\n");
    }
    text_add(a, out, "</div>\n</section>\n");
}

static void add_heat(const Story *s, Arena *a, Text *out)
{
    const Heat h = heat_of(s, a);
    if (!h.rows) return;
    text_add(a, out, "<section>\n");
    add_element(a, out, "h2", "Transfer of cells");
    add_element(a, out, "p class=\"soft\"",
                "A row a cell, a column the dataset that it was trained on; the shade compares the cells of a column.");
    text_add(a, out, "<figure>");
    heat_svg(a, out, &h);
    text_add(a, out, "</figure>\n</section>\n");
}

void report_html(const Story *s, Arena *a, Text *out)
{
    static const SectionName order[] = {SECTION_VERDICT,   SECTION_DESIGNS,   SECTION_EVALUATIONS, SECTION_SCORES,
                                        SECTION_CONFUSION, SECTION_TRANSFERS, SECTION_STUDIES,     SECTION_RUNS,
                                        SECTION_SEARCHES,  SECTION_DATASETS,  SECTION_EVENTS,      SECTION_CHECKPOINTS,
                                        SECTION_TENSORS,   SECTION_PROVENANCE};
    text_add(a, out,
             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
             "style-src 'unsafe-inline'\">\n");
    add_style(a, out);
    add_headline(s, a, out);
    add_genotypes(s, a, out);
    add_figure(a, out, "Learning curves", "Whole-split values by epoch; the training split is dashed.",
               figure_curves(s, a));
    add_figure(a, out, "Certainty of the search",
               "Entropy of the mixing weights: high while the search is undecided, 0 when an edge has chosen.",
               figure_alphas(s, a));
    add_figure(a, out, "Distribution of the mixing weights",
               "Quantiles by epoch, and histograms of the first, the middle and the last epoch.", figure_weights(s, a));
    add_figure(a, out, "Spread",
               "A dot a run; a box holds the middle half of four runs or more, its line is the median.",
               figure_spread(s, a));
    add_figure(a, out, "Cost and score", "A dot a run; along the dashed line no network is both cheaper and better.",
               figure_fronts(s, a));
    add_figure(a, out, "Depth and width", "The same cell with more layers or channels, means over runs.",
               figure_depth(s, a));
    add_heat(s, a, out);
    for (int i = 0; i < COUNTOF(order); i++) {
        const Table *t = section_table[order[i]](s, a);
        if (!t) continue;
        text_add(a, out, "<section>\n");
        add_element(a, out, "h2", t->title);
        table_html(a, out, t);
        text_add(a, out, "</section>\n");
    }
    text_add(a, out, "</main>\n</body>\n</html>\n");
}
