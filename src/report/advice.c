/* advice: what to do next, from the signs that searches and trainings leave in their streams. A rule is a row of the table
 * at the end: what it looks at, the check, what the sign means. A check counts what it looked at and adds a finding, its
 * evidence and the next command to try, for each thing that shows the sign.
 */
#include <math.h>
#include <string.h>

#include "report/cells.h"
#include "report/verdict.h"

typedef struct {
    const char *evidence, *next;
} Finding;

typedef struct {
    const Story *story;
    Arena *a;
    int64_t looked; /* things that the rule applies to */
    Finding *finding;
    int64_t count, room;
} Look;

static void add(Look *l, const char *evidence, const char *next)
{
    GROW(l->a, l->finding, l->count, l->room);
    l->finding[l->count++] = (Finding){evidence, next};
}

/* ---- searches ---- */

static const SearchEpoch *last_epoch(const StorySearch *s)
{
    return s->epoch[s->count - 1];
}

/* Of both cells at the end; NaN where neither has it. */
static double at_end(Look *l, const StorySearch *s, Mixing m)
{
    double sum = 0;
    int64_t n = 0;
    for (int reduce = 0; reduce < 2; reduce++) {
        double value[MIXING_COUNT];
        mixing_measure(*l->a, s, s->count - 1, reduce, value);
        if (isnan(value[m])) continue;
        sum += value[m];
        n++;
    }
    return n ? sum / (double)n : NAN;
}

/* Graphene and MNIST, where any cell would do, ended above 0.99; CIFAR-10 at 0.73 and 0.97. */
static const double uniform_entropy = 0.98;

static const char *spread_of_random(Look *l)
{
    int64_t count;
    Contest **all = verdict_contests(l->story, l->a, &count);
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = 0; k < all[i]->count; k++) {
            const Contender *x = &all[i]->contender[k];
            if (x->origin != BY_CHANCE || x->count < 2) continue;
            return arena_printf(l->a, "; %lld random cells spread by %s (standard deviation)", (long long)x->count,
                                format_metric(l->a, all[i]->metric, x->sample.sd));
        }
    return "; nothing is known of the spread of random cells";
}

static void uniform(Look *l)
{
    for (int64_t i = 0; i < l->story->search_count; i++) {
        const StorySearch *s = &l->story->search[i];
        const double entropy = at_end(l, s, MIXING_ENTROPY);
        if (isnan(entropy) || last_epoch(s)->epoch < 1) continue;
        l->looked++;
        if (entropy < uniform_entropy) continue;
        add(l,
            arena_printf(l->a,
                         "%s: the entropy of the mixing weights is %.3f of its maximum after %lld of %lld epochs%s",
                         s->label, entropy, (long long)last_epoch(s)->epoch, (long long)last_epoch(s)->epochs,
                         spread_of_random(l)),
            "nas-derive --random 5 search.nas | nas-train --data data.nas | nas-eval --data data.nas | nas-stats "
            "--verdict (does the cell matter?), or nas-search --alpha-lr 0.003");
    }
}

static const char *ops_without(Arena *a, const SearchSpace *s, const char *op)
{
    Text t = {0};
    text_add(a, &t, "");
    for (int64_t i = 0; i < s->op_count; i++)
        if (strcmp(s->ops[i], op)) text_addf(a, &t, "%s%s", t.length ? "," : "", s->ops[i]);
    return t.s;
}

static void none_dominates(Look *l)
{
    for (int64_t i = 0; i < l->story->search_count; i++) {
        const StorySearch *s = &l->story->search[i];
        const double wins = at_end(l, s, MIXING_NONE_WINS), mass = at_end(l, s, MIXING_NONE);
        if (isnan(wins)) continue;
        l->looked++;
        if (wins < 0.5) continue;
        add(l,
            arena_printf(l->a,
                         "%s: none is the heaviest operation on %.0f %% of the edges and holds %.2f of the weight; the "
                         "derived cell has none of it",
                         s->label, 100 * wins, mass),
            arena_printf(l->a, "nas-search --ops %s", ops_without(l->a, s->space, "none")));
    }
}

static double skips_of(Arena scratch, const char *text)
{
    Genotype g;
    if (genotype_parse(&scratch, text, &g)) return NAN;
    const Cell *c = &g.normal;
    int64_t n = 0;
    for (int64_t k = 0; k < c->nodes * c->inputs; k++) n += primitive_table[c->edge[k].op].kind == PRIM_SKIP;
    return (double)n / (double)(c->nodes * c->inputs);
}

/* DARTS+ (Liang et al. 2019) stops at two skips of eight edges; DARTS_V1 has three. Half of them is beyond doubt. */
static const double too_many_skips = 0.5, few_skips = 0.25;

static void skip_collapse(Look *l)
{
    for (int64_t i = 0; i < l->story->search_count; i++) {
        const StorySearch *s = &l->story->search[i];
        const double skips = skips_of(*l->a, last_epoch(s)->genotype);
        if (isnan(skips)) continue;
        l->looked++;
        if (skips < too_many_skips) continue;
        const SearchEpoch *before = 0; /* the last epoch that had few, after the first one */
        for (int64_t k = 1; k < s->count; k++)
            if (skips_of(*l->a, s->epoch[k]->genotype) <= few_skips) before = s->epoch[k];
        add(l,
            arena_printf(l->a, "%s: %.0f %% of the edges of the normal cell are skip_connect%s", s->label, 100 * skips,
                         before ? arena_printf(l->a, ", after %lld epochs at most %.0f %% were",
                                               (long long)before->epoch, 100 * few_skips)
                                : ""),
            before ? arena_printf(l->a, "nas-derive --epoch %lld search.nas", (long long)before->epoch)
                   : "nas-search --strategy darts- (an auxiliary skip) or --strategy beta-darts");
    }
}

static const double large_gap = 0.05, little_kept = 0.3;

static void discretisation(Look *l)
{
    for (int64_t i = 0; i < l->story->search_count; i++) {
        const StorySearch *s = &l->story->search[i];
        const SearchEpoch *e = last_epoch(s);
        const double gap = metric_by_name(e->metrics, e->metric_count, "gap"), kept = at_end(l, s, MIXING_KEPT);
        const bool measured = !isnan(gap);
        if (!measured && isnan(kept)) continue;
        l->looked++;
        /* weights that are all alike are another rule's */
        const bool thrown = kept < little_kept && at_end(l, s, MIXING_ENTROPY) < uniform_entropy;
        if (!(gap >= large_gap) && !thrown) continue;
        Text t = {0};
        text_addf(l->a, &t, "%s:", s->label);
        if (measured) text_addf(l->a, &t, " the derived cell loses %.4g to the mixed one without training;", gap);
        text_addf(l->a, &t, " it keeps %.2f of the weight on its edges", kept);
        add(l, t.s,
            "nas-search --strategy gaea (its weights decide themselves), or nas-derive --rule perturbation --data data.nas");
    }
}

static void guarded(Look *l)
{
    const SearchSpace *space = 0; /* of the search that is looked at */
    for (int64_t i = 0; i < l->story->count; i++) {
        const Record *r = &l->story->item[i].r;
        if (r->kind == REC_SPACE) space = &r->space;
        l->looked += r->kind == REC_SPACE;
        if (r->kind != REC_EVENT || strcmp(r->event.what, "guard")) continue;
        const char *label = "a search";
        for (int64_t k = 0; k < l->story->search_count; k++)
            if (l->story->search[k].space == space) label = l->story->search[k].label;
        add(l,
            arena_printf(l->a, "%s: a guard ended it in epoch %lld: %s", label, (long long)r->event.epoch,
                         r->event.text),
            "two more seeds, and nas-search --guard none beside it; if it ends so early again, --strategy darts- or sdarts-rs");
    }
}

static void unstable(Look *l)
{
    enum { LEAST_EPOCHS = 8 };
    for (int64_t i = 0; i < l->story->search_count; i++) {
        const StorySearch *s = &l->story->search[i];
        if (s->count < LEAST_EPOCHS || !last_epoch(s)->genotype[0]) continue;
        l->looked++;
        const int64_t from = s->count - s->count / 4;
        int64_t changes = 0;
        for (int64_t k = from; k < s->count; k++) changes += !!strcmp(s->epoch[k]->genotype, s->epoch[k - 1]->genotype);
        if (!changes) continue;
        add(l,
            arena_printf(l->a,
                         "%s: the derived cell changed in %lld of the last %lld epochs (Kendall's tau of the ranking "
                         "between the last two: %.2f)",
                         s->label, (long long)changes, (long long)(s->count - from), at_end(l, s, MIXING_TAU_PREVIOUS)),
            "nas-search with more --epochs, and two more seeds: nas-stats --cells shows whether they agree");
    }
}

/* ---- training ---- */

static double loss_at(const TrainEpoch *e, Split split)
{
    return metric_get(e->metrics, e->metric_count, split_name[split], "loss");
}

static void diverged(Look *l)
{
    for (int64_t i = 0; i < l->story->run_count; i++) {
        const StoryRun *r = &l->story->run[i];
        l->looked++;
        for (int64_t k = 0; k < r->count; k++) {
            const TrainEpoch *e = r->epoch[k];
            bool wrong = false;
            for (int64_t m = 0; m < e->metric_count; m++)
                wrong |= !strcmp(e->metrics[m].name, "loss") && !isfinite(e->metrics[m].value);
            if (!wrong) continue;
            add(l,
                arena_printf(l->a, "%s: a loss that is no number in epoch %lld, at learning rate %.3g", r->label,
                             (long long)e->epoch, e->learning_rate),
                e->learning_rate > 0 ? arena_printf(l->a, "nas-train --lr %.3g --clip 5", e->learning_rate / 3)
                                     : "nas-train with a smaller --lr, --clip 5");
            break;
        }
    }
}

static void overfit(Look *l)
{
    enum { LEAST_EPOCHS = 5 };
    const double rise = 1.1; /* of the validation loss over its least */
    for (int64_t i = 0; i < l->story->run_count; i++) {
        const StoryRun *r = &l->story->run[i];
        const TrainEpoch *last = r->epoch[r->count - 1], *best = 0;
        for (int64_t k = 0; k < r->count; k++) {
            const double v = loss_at(r->epoch[k], SPLIT_VALID);
            if (!isnan(v) && (!best || v < loss_at(best, SPLIT_VALID))) best = r->epoch[k];
        }
        if (!best || r->count < LEAST_EPOCHS) continue;
        l->looked++;
        const double now = loss_at(last, SPLIT_VALID), then = loss_at(best, SPLIT_VALID);
        if (!(now > rise * then) || !(loss_at(last, SPLIT_TRAIN) < loss_at(best, SPLIT_TRAIN))) continue;
        add(l,
            arena_printf(l->a,
                         "%s: validation loss rose from %.4g in epoch %lld to %.4g in epoch %lld, while training loss "
                         "fell from %.4g to %.4g",
                         r->label, then, (long long)best->epoch, now, (long long)last->epoch,
                         loss_at(best, SPLIT_TRAIN), loss_at(last, SPLIT_TRAIN)),
            arena_printf(l->a, "nas-train --epochs %lld, or --drop-path 0.2 --weight-decay 0.001, or fewer --channels",
                         (long long)best->epoch));
    }
}

/* Runs of one cell on one dataset that differ in depth alone: deeper and worse. */
static void depth(Look *l)
{
    for (int64_t i = 0; i < l->story->run_count; i++)
        for (int64_t k = 0; k < l->story->run_count; k++) {
            const StoryRun *shallow = &l->story->run[i], *deep = &l->story->run[k];
            const NetworkRecord *x = shallow->network, *y = deep->network;
            if (!x || !y || x->layers >= y->layers || x->channels != y->channels) continue;
            if (strcmp(x->genotype, y->genotype) || strcmp(x->net, y->net) || strcmp(x->dataset, y->dataset)) continue;
            const TrainEpoch *a = shallow->epoch[shallow->count - 1], *b = deep->epoch[deep->count - 1];
            const double worse = loss_at(b, SPLIT_VALID) - loss_at(a, SPLIT_VALID);
            const double train = loss_at(b, SPLIT_TRAIN) - loss_at(a, SPLIT_TRAIN);
            if (isnan(worse) || isnan(train)) continue;
            l->looked++;
            if (worse <= 0.05 * fabs(loss_at(a, SPLIT_VALID))) continue;
            add(l,
                arena_printf(
                    l->a, "%s: %lld layers validate worse than %lld (loss %.4g, %.4g) and train %s (%.4g, %.4g)",
                    deep->label, (long long)y->layers, (long long)x->layers, loss_at(b, SPLIT_VALID),
                    loss_at(a, SPLIT_VALID), train < 0 ? "better: it overfits" : "no better: it does not learn",
                    loss_at(b, SPLIT_TRAIN), loss_at(a, SPLIT_TRAIN)),
                train < 0 ? arena_printf(l->a, "nas-train --layers %lld", (long long)x->layers)
                          : arena_printf(l->a, "nas-train --layers %lld --lr %.3g --warmup 3", (long long)y->layers,
                                         deep->epoch[0]->learning_rate / 3));
        }
}

/* ---- evaluations ---- */

#define FOR_EVALUATIONS(l, e)                                                                                          \
    for (int64_t i_ = 0; i_ < (l)->story->count; i_++)                                                                 \
        for (const Evaluation *e = (l)->story->item[i_].r.kind == REC_EVALUATION ? &(l)->story->item[i_].r.evaluation  \
                                                                                 : 0;                                  \
             e; e = 0)

static void blow_up(Look *l)
{
    const double factor = 2, least = 0.1;
    FOR_EVALUATIONS(l, e)
    {
        if (isnan(e->train_mode_loss)) continue;
        l->looked++;
        if (isfinite(e->eval_mode_loss) && e->eval_mode_loss <= factor * fabs(e->train_mode_loss) + least) continue;
        if (isnan(e->eval_mode_loss)) continue; /* not measured */
        add(l,
            arena_printf(l->a,
                         "%s: loss %.4g with running statistics, %.4g with those of the batch, on the same samples",
                         e->run, e->eval_mode_loss, e->train_mode_loss),
            "nas-train with a larger --batch, a smaller --lr or more --epochs, so that the statistics settle");
    }
}

static void trivial(Look *l)
{
    FOR_EVALUATIONS(l, e)
    {
        bool higher;
        const char *metric = metric_primary(e->metrics, e->metric_count, &higher);
        const double value = metric ? metric_by_name(e->metrics, e->metric_count, metric) : NAN;
        const double base = metric ? metric_by_name(e->baseline, e->baseline_count, metric) : NAN;
        if (isnan(value) || isnan(base)) continue;
        l->looked++;
        if (higher ? value > base : value < base) continue;
        add(l,
            arena_printf(l->a, "%s on the %s split: %s %s, the predictor that looks at no sample %s", e->run, e->split,
                         metric, format_metric(l->a, metric, value), format_metric(l->a, metric, base)),
            "nas-train --net linear (is there anything to learn?), then a smaller --lr and more --epochs");
    }
}

static void against_random(Look *l)
{
    int64_t count;
    Contest **all = verdict_contests(l->story, l->a, &count);
    for (int64_t i = 0; i < count; i++) {
        const Contest *c = all[i];
        for (int64_t k = 0; k < c->count; k++) {
            const Contender *x = &c->contender[k], *random = 0;
            if (x->origin != BY_SEARCH) continue;
            l->looked++;
            for (int64_t m = 0; m < c->count; m++)
                if (c->contender[m].origin == BY_CHANCE) random = &c->contender[m];
            if (!random) {
                add(l, arena_printf(l->a, "%s on %s: no random cell beside it", x->name, c->dataset),
                    "nas-derive --random 5 search.nas | nas-train --data data.nas | nas-eval --data data.nas");
                continue;
            }
            const Judgement j = verdict_judge(l->a, c, x, random);
            if (j.better) continue;
            add(l,
                arena_printf(l->a, "%s on %s: %s %s over %lld run%s, random cells %s over %lld: %s", x->name,
                             c->dataset, c->metric, format_metric(l->a, c->metric, x->sample.mean), (long long)x->count,
                             x->count == 1 ? "" : "s", format_metric(l->a, c->metric, random->sample.mean),
                             (long long)random->count, j.worse ? "worse" : "no sign that searching helped"),
                j.worse ? "take a random cell, or search again with another --alpha-lr or --epochs"
                        : "for seed in 1 2 3 4 5; do nas-train --seed $seed --data data.nas cells.nas …; done, then "
                          "nas-stats --verdict");
        }
    }
}

/* ---- datasets ---- */

#define FOR_DATASETS(l, d)                                                                                             \
    for (int64_t i_ = 0; i_ < (l)->story->count; i_++)                                                                 \
        for (const DatasetInfo *d = (l)->story->item[i_].r.kind == REC_DATASET ? &(l)->story->item[i_].r.dataset : 0;  \
             d; d = 0)

static void few_samples(Look *l)
{
    enum { FEW_PER_CLASS = 100, FEW = 1000 };
    FOR_DATASETS(l, d)
    {
        const bool classes = !strcmp(d->task, "classification") && d->outputs > 0;
        const double learning = (double)d->split_count[SPLIT_TRAIN] + (double)d->split_count[SPLIT_ALPHA];
        const double each = classes ? learning / (double)d->outputs : learning;
        if (learning <= 0) continue;
        l->looked++;
        if (each >= (classes ? FEW_PER_CLASS : FEW)) continue;
        add(l,
            arena_printf(l->a, "%s: %.0f samples to learn from%s", d->name, learning,
                         classes ? arena_printf(l->a, ", %.1f a class", each) : ""),
            "nas-ingest with the augmentation that keeps the meaning (--flip-horizontal, --crop-padding 4), and few "
            "--channels and --layers");
    }
}

static bool has_nonzero(const char *s) /* "duplicates 0, groups 3 (…)" */
{
    for (; *s; s++)
        if (*s >= '1' && *s <= '9') return true;
    return false;
}

static void leaks(Look *l)
{
    FOR_DATASETS(l, d)
    {
        const char *found = setting_get(d->settings, d->setting_count, "leaks");
        if (!found) continue;
        l->looked++;
        if (!has_nonzero(found)) continue;
        add(l, arena_printf(l->a, "%s: samples that an earlier split holds, too: %s", d->name, found),
            "nas-ingest --group-copies, or --split-by group");
    }
}

/* ---- the table ---- */

static const struct Rule {
    const char *name, *looks_at;
    void (*check)(Look *l);
    const char *meaning;
} rule[] = {
    {"uniform weights", "searches", uniform,
     "your problem may be too easy, so that any cell does, or the search too short"},
    {"none dominates", "searches", none_dominates, "the search wants fewer edges than a derived cell has"},
    {"skip collapse", "searches", skip_collapse,
     "the search has run too long: skips train fastest and then win, though the cell gets weak"},
    {"discretisation", "searches", discretisation, "the cell that comes out is not the one that was searched"},
    {"guard", "searches", guarded, "it stopped before the alphas were spoilt, or when nothing changed any more"},
    {"not settled", "searches", unstable, "the cell depends on the epoch in which the search ended"},
    {"diverged", "training runs", diverged, "the steps are too long"},
    {"overfit", "training runs", overfit, "the network learns its training samples by heart"},
    {"too deep", "pairs of runs of one cell", depth, "more layers do harm"},
    {"evaluation mode", "evaluations", blow_up,
     "the running statistics of the normalisation are not those of the data"},
    {"trivial", "evaluations", trivial, "the network is no better than a constant"},
    {"control", "searches in evaluations", against_random, "it is not shown that searching was worth its time"},
    {"few samples", "datasets", few_samples,
     "data is what is short, not architecture: expect a large spread over seeds"},
    {"leaks", "datasets", leaks, "scores of a split that shares samples with training are too good"},
};

static void put_json(Arena *a, Text *out, const struct Rule *r, int64_t looked, const Finding *f)
{
    const char *key[] = {"rule", "meaning", "evidence", "try"};
    const char *value[] = {r->name, r->meaning, f ? f->evidence : 0, f ? f->next : 0};
    text_addf(a, out, "{\"kind\":\"advice\",\"fired\":%s,\"looked_at\":%lld", f ? "true" : "false", (long long)looked);
    for (int i = 0; i < COUNTOF(key); i++) {
        text_addf(a, out, ",\"%s\":%s", key[i], value[i] ? "\"" : "null");
        if (!value[i]) continue;
        escape_add(a, out, AS_JSON, value[i]);
        text_add(a, out, "\"");
    }
    text_add(a, out, "}\n");
}

static void put_finding(Arena *a, Text *out, const Finding *f)
{
    text_add(a, out, "  ");
    escape_add(a, out, AS_PLAIN, f->evidence);
    text_add(a, out, "\n    try: ");
    escape_add(a, out, AS_PLAIN, f->next);
    text_add(a, out, "\n");
}

void report_advice(const Story *s, Arena *a, bool json, Text *out)
{
    Text quiet = {0}, absent = {0};
    int64_t fired = 0;
    text_add(a, out, "");
    for (int i = 0; i < COUNTOF(rule); i++) {
        Look l = {.story = s, .a = a};
        rule[i].check(&l);
        for (int64_t k = 0; json && k < l.count; k++) put_json(a, out, &rule[i], l.looked, &l.finding[k]);
        if (json && !l.count) put_json(a, out, &rule[i], l.looked, 0);
        if (!json && l.count) text_addf(a, out, "%s%s: %s.\n", fired ? "\n" : "", rule[i].name, rule[i].meaning);
        for (int64_t k = 0; !json && k < l.count; k++) put_finding(a, out, &l.finding[k]);
        fired += l.count > 0;
        if (l.looked && !l.count)
            text_addf(a, &quiet, "%s%s (%s: %s)", quiet.length ? ", " : "", rule[i].name, rule[i].looks_at,
                      format_count(a, l.looked));
        if (!l.looked) text_addf(a, &absent, "%s%s (%s)", absent.length ? ", " : "", rule[i].name, rule[i].looks_at);
    }
    if (json) return;
    if (!fired) text_add(a, out, "Nothing to advise.\n");
    if (quiet.length) text_addf(a, out, "\nLooked at, no sign of it: %s.\n", quiet.s);
    if (absent.length) text_addf(a, out, "\nNot in these streams: %s.\n", absent.s);
}
