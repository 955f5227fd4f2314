/* verdict: was searching worth it? Evaluations of the same metric on the same split of the same dataset form a contest;
 * its contenders are kinds of networks: those of a search, random cells, each published cell, each hand-designed net; and
 * the supernet itself, whole, pruned or tuned, which stands beside its cell and is no control of it. A value is a run's:
 * another cell, or the same with another seed.
 *
 * Two contenders are compared by the means of their runs: by pairs where each seed occurs once on either side and three or
 * more are shared, else by Welch's test; a single run is set against the spread of the other side's runs. The difference
 * of two single runs can at most be larger than the sampling error of the test set, which proves nothing about another
 * seed. A search beats a contender if it is better with p < 0.05.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/generator_space.h"
#include "report/verdict.h"
#include "train/netio.h"

enum { LEAST_PAIRS = 3 };
static const double significant = 0.05, alike = 1.25; /* costs within this factor count as equal */

/* ---- gathering ---- */

static const GenotypeRecord *genotype_of(const Story *s, const Evaluation *e)
{
    const GenotypeRecord *same_text = 0;
    for (int64_t i = 0; i < s->count; i++) {
        const GenotypeRecord *g = &s->item[i].r.genotype;
        if (s->item[i].r.kind != REC_GENOTYPE || strcmp(g->text, e->genotype)) continue;
        if (!strcmp(g->name, e->run)) return g;
        same_text = g;
    }
    return same_text;
}

/* The search that came to this genotype, and how long that took it; 0 if it is not in the story. */
static const StorySearch *search_of(const Story *s, const char *genotype, double *seconds)
{
    const StorySearch *found = 0;
    *seconds = 0;
    for (int64_t i = 0; i < s->search_count; i++)
        for (int64_t k = 0; k < s->search[i].count; k++) {
            const SearchEpoch *e = s->search[i].epoch[k];
            if (strcmp(e->genotype, genotype) || e->seconds < *seconds) continue;
            *seconds = e->seconds;
            found = &s->search[i];
        }
    return found;
}

/* How long the latest search in a file took, which a supernet there is of. */
static double search_beside(const Story *s, const char *file)
{
    double seconds = 0;
    for (int64_t i = 0; i < s->count; i++)
        if (s->item[i].r.kind == REC_SEARCH_EPOCH && s->item[i].file == file)
            seconds = s->item[i].r.search_epoch.seconds;
    return seconds;
}

/* A strategy whose choice is the control "random": its cell was drawn before the start (search/strategy.c). */
static bool drawn(const SearchSpace *space)
{
    const char *parts = setting_get(space->settings, space->setting_count, "parts");
    const char *at = parts ? strstr(parts, " + random") : 0;
    return at && (!at[9] || at[9] == ' ');
}

static const char *name_of(const Story *s, Arena *a, const Evaluation *e, Origin *origin)
{
    *origin = strcmp(e->net, netio_supernet) ? BY_HAND : SEARCHED_NET;
    if (*origin == SEARCHED_NET) return e->run;
    if (strcmp(e->net, netio_genotype)) return e->net;
    const GenotypeRecord *g = genotype_of(s, e);
    if (!g) return "a cell of unknown origin";
    if (!strcmp(g->rule, "random"))
        return *origin = BY_CHANCE, generator_text_is(g->text) ? "random generators" : "random cells";
    if (!strcmp(g->rule, "named") || !strcmp(g->rule, "text")) return g->name[0] ? g->name : "a given cell";
    double seconds;
    const StorySearch *search = search_of(s, e->genotype, &seconds);
    if (search && search->space && drawn(search->space)) return *origin = BY_CHANCE, "random cells";
    *origin = BY_SEARCH;
    return search && search->space ? arena_printf(a, "search by %s", search->space->strategy) : "search";
}

const char *verdict_name(const Story *s, Arena *a, const Evaluation *e)
{
    Origin origin;
    return name_of(s, a, e, &origin);
}

static bool other_set_counts(const Story *s, const Evaluation *e) /* of two sets of weights, the best ones */
{
    if (!strcmp(e->set, "best")) return false;
    for (int64_t i = 0; i < s->count; i++) {
        const Evaluation *o = &s->item[i].r.evaluation;
        if (s->item[i].r.kind == REC_EVALUATION && !strcmp(o->set, "best") && !strcmp(o->run, e->run) &&
            !strcmp(o->dataset, e->dataset) && !strcmp(o->split, e->split))
            return true;
    }
    return false;
}

static bool tested(const Story *s, const char *dataset)
{
    for (int64_t i = 0; i < s->count; i++)
        if (s->item[i].r.kind == REC_EVALUATION && !strcmp(s->item[i].r.evaluation.dataset, dataset) &&
            !strcmp(s->item[i].r.evaluation.split, split_name[SPLIT_TEST]))
            return true;
    return false;
}

static Contest *contest_of(Arena *a, Contest ***all, int64_t *count, int64_t *room, const Evaluation *e,
                           const char *metric, bool higher)
{
    for (int64_t i = 0; i < *count; i++) {
        Contest *c = (*all)[i];
        if (!strcmp(c->dataset, e->dataset) && !strcmp(c->split, e->split) && !strcmp(c->metric, metric)) return c;
    }
    GROW(a, *all, *count, *room);
    Contest *c = NEW(a, Contest, 1);
    c->dataset = e->dataset;
    c->split = e->split;
    c->metric = metric;
    c->higher = higher;
    c->samples = e->count;
    c->trivial = metric_by_name(e->baseline, e->baseline_count, metric);
    return (*all)[(*count)++] = c;
}

static Contender *contender_of(Contest *c, const char *name, Origin origin)
{
    for (int64_t i = 0; i < c->count; i++)
        if (!strcmp(c->contender[i].name, name)) return &c->contender[i];
    if (c->count == MOST_CONTENDERS) return 0;
    c->contender[c->count] = (Contender){.name = name, .origin = origin};
    return &c->contender[c->count++];
}

static void add_run(Arena *a, const Story *s, const StoryItem *item, Contender *x, double value)
{
    const Evaluation *e = &item->r.evaluation;
    double **const list[] = {&x->value, &x->seconds, &x->parameters, &x->macs};
    const double of_run[] = {value, e->seconds, (double)e->parameters, (double)e->macs};
    int64_t room = x->room;
    for (int i = 0; i < COUNTOF(list); i++) {
        x->room = room;
        GROW(a, *list[i], x->count, x->room);
        (*list[i])[x->count] = of_run[i];
    }
    x->room = room;
    GROW(a, x->of, x->count, x->room);
    x->of[x->count] = e;
    x->room = room;
    GROW(a, x->seed, x->count, x->room);
    const NetworkRecord *network = story_network(s, item);
    const char *own = setting_get(e->settings, e->setting_count, "seed"); /* designs have it */
    x->seed[x->count++] = own ? strtoll(own, 0, 10) : network ? network->seed : -1;
    double seconds = 0;
    if (x->origin == BY_SEARCH) search_of(s, e->genotype, &seconds);
    if (x->origin == SEARCHED_NET) seconds = search_beside(s, item->file);
    x->search_seconds += seconds;
}

/* Test splits, where a dataset has been evaluated on one. */
Contest **verdict_contests(const Story *s, Arena *a, int64_t *count)
{
    Contest **all = 0;
    int64_t room = 0;
    *count = 0;
    for (int64_t i = 0; i < s->count; i++) {
        const Evaluation *e = &s->item[i].r.evaluation;
        bool higher;
        if (s->item[i].r.kind != REC_EVALUATION || other_set_counts(s, e)) continue;
        if (strcmp(e->split, split_name[SPLIT_TEST]) && tested(s, e->dataset)) continue;
        const char *metric = metric_primary(e->metrics, e->metric_count, &higher);
        double value = metric ? metric_by_name(e->metrics, e->metric_count, metric) : NAN;
        if (isnan(value)) continue;
        Origin origin;
        const char *name = name_of(s, a, e, &origin);
        Contest *c = contest_of(a, &all, count, &room, e, metric, higher);
        if (e->count < c->samples) c->samples = e->count;
        Contender *x = contender_of(c, name, origin);
        if (x) add_run(a, s, &s->item[i], x, value);
    }
    for (int64_t i = 0; i < *count; i++)
        for (int64_t k = 0; k < all[i]->count; k++) {
            Contender *x = &all[i]->contender[k];
            x->sample = statistics_of(x->value, x->count);
            x->cost = statistics_of(x->seconds, x->count);
            x->size = statistics_of(x->parameters, x->count).mean;
        }
    return all;
}

/* ---- judging ---- */

/* Standard error of a fraction of n samples. */
static double sampling_error(double fraction, int64_t n)
{
    return fraction > 0 && fraction < 1 && n > 0 ? sqrt(fraction * (1 - fraction) / (double)n) : NAN;
}

static bool is_fraction(const char *metric)
{
    return !strcmp(metric, "accuracy");
}

static int64_t seed_at(const Contender *x, int64_t seed) /* the only run of this seed, or -1 */
{
    int64_t at = -1;
    for (int64_t i = 0; i < x->count; i++) {
        if (x->seed[i] != seed) continue;
        if (at >= 0) return -1;
        at = i;
    }
    return at;
}

static int64_t pairs(Arena *a, const Contender *x, const Contender *y, double **difference)
{
    *difference = NEW(a, double, x->count);
    int64_t n = 0;
    for (int64_t i = 0; i < x->count; i++) {
        int64_t k = seed_at(y, x->seed[i]);
        if (x->seed[i] < 0 || k < 0 || seed_at(x, x->seed[i]) != i) return 0;
        (*difference)[n++] = x->value[i] - y->value[k];
    }
    return n == y->count ? n : 0;
}

/* A single value against the runs of another: could it be one of them? */
static Difference against(double single, const Sample *many)
{
    Difference d = {single - many->mean, NAN, NAN, NAN, NAN, NAN, NAN};
    double error = many->sd * sqrt(1 + 1 / (double)many->n);
    if (!(error > 0)) return d;
    d.freedom = (double)(many->n - 1);
    d.t = d.difference / error;
    d.p = statistics_t_tail(d.t, d.freedom);
    double half = error * statistics_t_quantile(significant, d.freedom);
    d.low = d.difference - half;
    d.high = d.difference + half;
    d.effect = d.difference / many->sd;
    return d;
}

Judgement verdict_judge(Arena *a, const Contest *c, const Contender *x, const Contender *y)
{
    Judgement j = {0};
    double *difference;
    int64_t n = pairs(a, x, y, &difference);
    if (n >= LEAST_PAIRS)
        j = (Judgement){statistics_paired(difference, n), "paired by seed", 0, 0};
    else if (x->count > 1 && y->count > 1)
        j = (Judgement){statistics_welch(&x->sample, &y->sample), "Welch's test", 0, 0};
    else if (y->count > 1)
        j = (Judgement){against(x->value[0], &y->sample), "one run against their spread", 0, 0};
    else if (x->count > 1) {
        j = (Judgement){against(y->value[0], &x->sample), "one run against their spread", 0, 0};
        j.d = (Difference){-j.d.difference, -j.d.high, -j.d.low, -j.d.t, j.d.freedom, j.d.p, -j.d.effect};
    } else
        j.d = (Difference){x->value[0] - y->value[0], NAN, NAN, NAN, NAN, NAN, NAN};
    bool sure = j.d.p < significant;
    j.better = sure && (j.d.difference > 0) == c->higher;
    j.worse = sure && !j.better;
    return j;
}

/* ---- saying ---- */

/* "+0.52 points" or "+0.0123" */
static const char *signed_amount(Arena *a, const char *metric, double v)
{
    bool percent = strchr(format_metric(a, metric, 0.5), '%');
    return percent ? arena_printf(a, "%+.2f points", 100 * v) : arena_printf(a, "%+.4g", v);
}

static const char *runs(Arena *a, int64_t n)
{
    return n == 1 ? "one run" : arena_printf(a, "%lld runs", (long long)n);
}

static double ratio_of(double x, double y)
{
    return x > 0 && y > 0 ? x / y : NAN;
}

static bool unlike(double ratio)
{
    return ratio > alike || ratio < 1 / alike;
}

static void say_comparison(Arena *a, Text *out, const Contest *c, const Contender *x, const Contender *y)
{
    Judgement j = verdict_judge(a, c, x, y);
    text_addf(a, out, "%s %s %s: %s", x->name,
              j.better  ? "beats"
              : j.worse ? "is worse than"
                        : "cannot be told from",
              y->name, signed_amount(a, c->metric, j.d.difference));
    if (!isnan(j.d.p)) {
        text_addf(a, out, " (95 %% interval %s to %s, p = %.2g, effect %.2f; %s, %s and %s)",
                  signed_amount(a, c->metric, j.d.low), signed_amount(a, c->metric, j.d.high), j.d.p, j.d.effect, j.how,
                  runs(a, x->count), runs(a, y->count));
    } else if (x->count == 1 && y->count == 1) {
        double e = is_fraction(c->metric) ? sampling_error((x->value[0] + y->value[0]) / 2, c->samples) : NAN;
        double half = 1.96 * sqrt(2.0) * e;
        text_addf(a, out, " (one run each, so nothing is known of another seed");
        if (!isnan(e))
            text_addf(a, out, "; %s the sampling error of %s samples, ± %.2f points",
                      fabs(j.d.difference) > half ? "beyond" : "within", format_count(a, c->samples), 100 * half);
        text_add(a, out, ")");
    } else {
        text_addf(a, out, " (all runs alike: no spread to judge by; %s and %s)", runs(a, x->count), runs(a, y->count));
    }
    const double larger = ratio_of(x->size, y->size), slower = ratio_of(x->cost.mean, y->cost.mean);
    if (unlike(larger)) text_addf(a, out, ", with %.2g times the parameters", larger);
    if (unlike(slower)) text_addf(a, out, "%s at %.2g times the training time", unlike(larger) ? " and" : ",", slower);
    text_add(a, out, ".\n");
}

/* Contenders of unlike size are not equals: which is the smallest, which the largest, in parameters and in training. */
static void say_sizes(Arena *a, Text *out, const Contest *c)
{
    const Contender *small = 0, *large = 0, *fast = 0, *slow = 0;
    for (int64_t i = 0; i < c->count; i++) {
        const Contender *x = &c->contender[i];
        if (x->size > 0 && (!small || x->size < small->size)) small = x;
        if (x->size > 0 && (!large || x->size > large->size)) large = x;
        if (x->cost.mean > 0 && (!fast || x->cost.mean < fast->cost.mean)) fast = x;
        if (x->cost.mean > 0 && (!slow || x->cost.mean > slow->cost.mean)) slow = x;
    }
    const bool sizes = small && unlike(ratio_of(large->size, small->size));
    const bool times = fast && unlike(ratio_of(slow->cost.mean, fast->cost.mean));
    if (!sizes && !times) return;
    text_add(a, out, "These are not of one size: ");
    if (sizes)
        text_addf(a, out, "parameters from %s (%s) to %s (%s)", format_count(a, (int64_t)(small->size + 0.5)),
                  small->name, format_count(a, (int64_t)(large->size + 0.5)), large->name);
    if (times)
        text_addf(a, out, "%straining from %s (%s) to %s (%s)", sizes ? ", " : "", format_seconds(a, fast->cost.mean),
                  fast->name, format_seconds(a, slow->cost.mean), slow->name);
    text_add(a, out, "; what one gains may be its size's.\n");
}

/* The cheap first test: does it matter which cell is taken? */
static void say_spread(Arena *a, Text *out, const Contest *c, const Contender *random)
{
    const Sample *s = &random->sample;
    text_addf(a, out, "%lld %s reach %s to %s", (long long)s->n, random->name, format_metric(a, c->metric, s->least),
              format_metric(a, c->metric, s->most));
    double e = is_fraction(c->metric) ? sampling_error(s->mean, c->samples) : NAN;
    if (isnan(e)) {
        text_addf(a, out, ", a standard deviation of %.4g: a search has little more than that to win.\n", s->sd);
        return;
    }
    double p = statistics_chi2_tail((double)(s->n - 1) * s->sd * s->sd / (e * e), (double)(s->n - 1));
    text_addf(a, out, ", a standard deviation of %.2f points, %.2f of which %s samples alone make: ", 100 * s->sd,
              100 * e, format_count(a, c->samples));
    text_addf(a, out,
              p < significant ? "which cell is taken (or its seed) matters here (p = %.2g).\n"
                              : "no sign that it matters here which cell is taken (p = %.2g).\n",
              p);
}

/* One sentence on the whole: whether the searches beat the controls. */
static void say_whole(Arena *a, Text *out, const Contest *c)
{
    int64_t better = 0, worse = 0, others = 0;
    for (int64_t i = 0; i < c->count; i++)
        for (int64_t k = 0; k < c->count && c->contender[i].origin == BY_SEARCH; k++) {
            if (c->contender[k].origin == BY_SEARCH || c->contender[k].origin == SEARCHED_NET) continue;
            Judgement j = verdict_judge(a, c, &c->contender[i], &c->contender[k]);
            others++;
            better += j.better;
            worse += j.worse;
        }
    text_addf(a, out, "On the %s split of %s, ", c->split, c->dataset[0] ? c->dataset : "an unnamed dataset");
    if (!others)
        text_add(a, out, "there is no search with a control beside it.\n");
    else if (better == others)
        text_addf(a, out, "searching was worth it: better than %s.\n",
                  others == 1 ? "its control" : "every one of its controls");
    else if (worse == others)
        text_addf(a, out, "searching was not worth it: worse than %s.\n",
                  others == 1 ? "its control" : "every one of its controls");
    else if (!better && !worse)
        text_add(a, out, "the data cannot tell whether searching was worth it.\n");
    else
        text_addf(a, out, "searching beat %lld of %lld controls, %lld beat it, and the data cannot tell for %lld.\n",
                  (long long)better, (long long)others, (long long)worse, (long long)(others - better - worse));
}

static bool worth_telling(const Contest *c)
{
    return c->count > 1 || (c->count && c->contender[0].origin == BY_CHANCE && c->contender[0].count > 2);
}

void verdict_text(const Story *s, Arena *a, Text *out)
{
    int64_t count;
    Contest **all = verdict_contests(s, a, &count);
    text_add(a, out, "");
    for (int64_t i = 0; i < count; i++) {
        const Contest *c = all[i];
        if (!worth_telling(c)) continue;
        say_whole(a, out, c);
        for (int64_t x = 0; x < c->count; x++)
            for (int64_t y = 0; y < c->count && c->contender[x].origin == BY_SEARCH; y++)
                if (y != x && (c->contender[y].origin != BY_SEARCH || y > x))
                    say_comparison(a, out, c, &c->contender[x], &c->contender[y]);
        for (int64_t x = 0; x < c->count; x++)
            if (c->contender[x].origin == BY_CHANCE && c->contender[x].count > 2)
                say_spread(a, out, c, &c->contender[x]);
        say_sizes(a, out, c);
    }
}

void verdict_lines(const Story *s, Arena *a, Text *out, const char *indent)
{
    Text said = {0};
    verdict_text(s, a, &said);
    for (const char *line = said.s; *line;) {
        const char *end = strchr(line, '\n');
        text_addf(a, out, "%s%s\n", indent, escape_text(a, AS_PLAIN, arena_strndup(a, line, end - line)));
        line = end + 1;
    }
}

Table *verdict_table(const Story *s, Arena *a)
{
    int64_t count;
    Contest **all = verdict_contests(s, a, &count);
    Table *t = table_new(a, "Verdict",
                         "dataset|split|contender|>runs|metric|>mean|>sd|>least|>most|>trivial|>parameters|"
                         ">training|>search");
    for (int64_t i = 0; i < count; i++) {
        const Contest *c = all[i];
        for (int64_t k = 0; k < c->count && worth_telling(c); k++) {
            const Contender *x = &c->contender[k];
            const char **row = table_row(a, t);
            row[0] = c->dataset;
            row[1] = c->split;
            row[2] = x->name;
            row[3] = format_count(a, x->count);
            row[4] = c->metric;
            row[5] = format_metric(a, c->metric, x->sample.mean);
            row[6] = x->count > 1 ? format_metric(a, c->metric, x->sample.sd) : "";
            row[7] = format_metric(a, c->metric, x->sample.least);
            row[8] = format_metric(a, c->metric, x->sample.most);
            row[9] = isnan(c->trivial) ? "" : format_metric(a, c->metric, c->trivial);
            row[10] = format_count(a, (int64_t)(x->size + 0.5));
            row[11] = x->cost.mean > 0 ? format_seconds(a, x->cost.mean) : "";
            row[12] = x->search_seconds > 0 ? format_seconds(a, x->search_seconds / (double)x->count) : "";
        }
    }
    return t->rows ? t : 0;
}

const char *report_verdict(const Story *s, Arena *a, Text *out)
{
    Table *t = verdict_table(s, a);
    if (!t) return "nothing to compare: evaluations of at least two kinds of networks on one split are needed";
    table_text(a, out, t);
    text_add(a, out, "\n");
    verdict_lines(s, a, out, "");
    if (s->note) text_addf(a, out, "\n%s\n", escape_text(a, AS_PLAIN, s->note));
    return 0;
}

static void column(Arena *a, StudyRow *r, const char *key, const char *value)
{
    r->columns[r->column_count++] = (Setting){key, arena_strdup(a, value)};
}

StudyRow *report_verdict_rows(const Story *s, Arena *a, int64_t *rows)
{
    enum { COLUMNS = 18 };
    int64_t count, room = 0;
    Contest **all = verdict_contests(s, a, &count);
    StudyRow *list = 0;
    *rows = 0;
    for (int64_t i = 0; i < count; i++) {
        const Contest *c = all[i];
        for (int64_t x = 0; x < c->count; x++)
            for (int64_t y = 0; y < c->count && c->contender[x].origin == BY_SEARCH; y++) {
                if (y == x || (c->contender[y].origin == BY_SEARCH && y < x)) continue;
                const Contender *us = &c->contender[x], *them = &c->contender[y];
                Judgement j = verdict_judge(a, c, us, them);
                GROW(a, list, *rows, room);
                StudyRow *r = &list[(*rows)++];
                *r = (StudyRow){.study = "verdict", .columns = NEW(a, Setting, COLUMNS)};
                column(a, r, "dataset", c->dataset);
                column(a, r, "split", c->split);
                column(a, r, "metric", c->metric);
                column(a, r, "search", us->name);
                column(a, r, "control", them->name);
                column(a, r, "search_runs", arena_printf(a, "%lld", (long long)us->count));
                column(a, r, "control_runs", arena_printf(a, "%lld", (long long)them->count));
                column(a, r, "search_mean", format_real(a, us->sample.mean));
                column(a, r, "control_mean", format_real(a, them->sample.mean));
                column(a, r, "difference", format_real(a, j.d.difference));
                column(a, r, "low", format_real(a, j.d.low));
                column(a, r, "high", format_real(a, j.d.high));
                column(a, r, "p", format_real(a, j.d.p));
                column(a, r, "effect", format_real(a, j.d.effect));
                column(a, r, "test", j.how ? j.how : "none");
                column(a, r, "verdict", j.better ? "better" : j.worse ? "worse" : "cannot tell");
                column(a, r, "parameters_ratio", format_real(a, ratio_of(us->size, them->size)));
                column(a, r, "training_ratio", format_real(a, ratio_of(us->cost.mean, them->cost.mean)));
            }
    }
    return list;
}
