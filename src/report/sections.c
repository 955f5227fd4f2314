/* sections: the tables of a report, one function each; the text summary and the page show the same ones. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "report/parts.h"

/* Goes over the records of one kind: FOR_KIND(s, i, REC_EVENT) { … s->item[i].r.event … } */
#define FOR_KIND(s, i, wanted)                                                                                         \
    for (int64_t i = 0; i < (s)->count; i++)                                                                           \
        if ((s)->item[i].r.kind == (wanted))

static char *number(Arena *a, int64_t n) /* a plain number that is left out when 0 */
{
    return n ? format_count(a, n) : arena_strdup(a, "");
}

static const char *file_column(const Story *s, const char *file) /* worth a column only if there are several */
{
    return s->file_count > 1 ? file : "";
}

static Table *none_if_empty(Table *t)
{
    return t->rows ? t : 0;
}

char *section_contents(const Story *s, Arena *a)
{
    int64_t count[REC_LAST + 2] = {0}; /* the last is of unknown kinds */
    for (int64_t i = 0; i < s->count; i++) {
        RecordKind k = s->item[i].r.kind;
        count[k > REC_NONE && k <= REC_LAST ? (int)k : REC_LAST + 1]++;
    }
    Text t = {0};
    text_addf(a, &t, "%s file%s, %s record%s", format_count(a, s->file_count), s->file_count == 1 ? "" : "s",
              format_count(a, s->count + s->repeated), s->count + s->repeated == 1 ? "" : "s");
    bool first = true;
    for (int k = 0; k < COUNTOF(count); k++) {
        if (!count[k]) continue;
        text_addf(a, &t, "%s%s %s", first ? ": " : ", ", record_kind_name(k <= REC_LAST ? (RecordKind)k : REC_UNKNOWN),
                  format_count(a, count[k]));
        first = false;
    }
    if (s->repeated) text_addf(a, &t, "; %s in several files, shown once", format_count(a, s->repeated));
    return t.s;
}

static Table *provenance(const Story *s, Arena *a)
{
    Table *t = table_new(a, "Provenance", "program|version|when (UTC)|host|>seed|command");
    for (int64_t i = 0; i < s->step_count; i++) {
        const Provenance *p = s->step[i];
        const char **row = table_row(a, t);
        row[0] = p->program;
        row[1] = p->version;
        struct tm date;
        time_t when = p->unix_time > 0 && p->unix_time < 1e11 ? (time_t)p->unix_time : 0;
        if (when && gmtime_r(&when, &date)) {
            char text[32];
            strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &date);
            row[2] = arena_strdup(a, text);
        }
        row[3] = p->host;
        row[4] = arena_printf(a, "%lld", (long long)p->seed);
        row[5] = p->command;
    }
    return none_if_empty(t);
}

static char *reals(Arena *a, const double *v, int64_t n)
{
    enum { SHOWN = 4 };
    Text t = {0};
    text_add(a, &t, "");
    for (int64_t i = 0; v && i < n && i < SHOWN; i++) text_addf(a, &t, "%s%.4g", i ? ", " : "", v[i]);
    if (v && n > SHOWN) text_addf(a, &t, ", … (%lld)", (long long)n);
    return t.s;
}

static char *settings(Arena *a, const Setting *v, int64_t n, const char *without)
{
    Text t = {0};
    text_add(a, &t, "");
    for (int64_t i = 0; i < n; i++)
        if (strcmp(v[i].key, without)) text_addf(a, &t, "%s%s=%s", t.length ? ", " : "", v[i].key, v[i].value);
    return t.s;
}

static Table *datasets(const Story *s, Arena *a)
{
    Table *t = table_new(a, "Dataset", "|");
    FOR_KIND(s, i, REC_DATASET)
    {
        const DatasetInfo *d = &s->item[i].r.dataset;
        const char *outputs = strcmp(d->task, "classification") ? "outputs" : "classes";
        table_pair(a, t, "name", d->name[0] ? d->name : "unnamed");
        table_pair(a, t, "source", d->source);
        table_pair(a, t, "task", arena_printf(a, "%s, %lld %s", d->task, (long long)d->outputs, outputs));
        Text names = {0};
        text_add(a, &names, "");
        for (int64_t k = 0; d->output_names && k < d->outputs && names.length < 200; k++) {
            text_addf(a, &names, "%s%s", k ? ", " : "", d->output_names[k]);
        }
        table_pair(a, t, outputs, names.s);
        table_pair(a, t, "sample",
                   arena_printf(a, "%lld × %lld × %lld, %s", (long long)d->channels, (long long)d->height,
                                (long long)d->width, dtype_name(d->dtype)));
        Text splits = {0};
        for (int k = 0; k < SPLIT_COUNT; k++) {
            text_addf(a, &splits, "%s%s %s", k ? ", " : "", split_name[k], format_count(a, d->split_count[k]));
        }
        table_pair(a, t, "splits", splits.s);
        if (d->mean && d->sd) {
            table_pair(a, t, "normalisation",
                       arena_printf(a, "mean %s; sd %s", reals(a, d->mean, d->channels), reals(a, d->sd, d->channels)));
        }
        if (d->target_mean && d->target_sd) {
            table_pair(a, t, "targets",
                       arena_printf(a, "mean %s; sd %s", reals(a, d->target_mean, d->outputs),
                                    reals(a, d->target_sd, d->outputs)));
        }
        if (d->class_weight) table_pair(a, t, "class weights", reals(a, d->class_weight, d->outputs));
        if (d->metric_weight) table_pair(a, t, "weighted_log_loss", reals(a, d->metric_weight, d->outputs));
        table_pair(a, t, "selected by", d->metric);
        table_pair(a, t, "questions", d->tree);
        Text augment = {0};
        text_add(a, &augment, "");
        if (d->flip_horizontal) text_add(a, &augment, ", horizontal flips");
        if (d->flip_vertical) text_add(a, &augment, ", vertical flips");
        if (d->crop_padding) text_addf(a, &augment, ", crops after padding by %lld", (long long)d->crop_padding);
        if (d->cutout) text_addf(a, &augment, ", cutout of %lld", (long long)d->cutout);
        table_pair(a, t, "augmentation", augment.length ? augment.s + 2 : "");
        table_pair(a, t, "made by", settings(a, d->settings, d->setting_count, "leaks"));
        for (int64_t k = 0; k < d->setting_count; k++)
            if (!strcmp(d->settings[k].key, "leaks")) table_pair(a, t, "shared by splits", d->settings[k].value);
        table_pair(a, t, "digest", arena_printf(a, "%016llx", (unsigned long long)d->digest));
    }
    return none_if_empty(t);
}

static double mean_of(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i];
    return v && n ? sum / (double)n : NAN;
}

static void search_changes(Arena *a, Table *t, const StorySearch *search)
{
    int64_t changes = 0, last = 0;
    for (int64_t i = 1; i < search->count; i++) {
        if (!strcmp(search->epoch[i]->genotype, search->epoch[i - 1]->genotype)) continue;
        changes++;
        last = search->epoch[i]->epoch;
    }
    table_pair(a, t, "genotype changed",
               changes ? arena_printf(a, "%lld time%s, last at epoch %lld", (long long)changes, changes == 1 ? "" : "s",
                                      (long long)last)
                       : "never");
}

static void search_pairs(Arena *a, Table *t, const StorySearch *search)
{
    const SearchEpoch *e = search->epoch[search->count - 1];
    table_pair(a, t, "epoch",
               arena_printf(a, "%lld of %lld, %s steps, %s", (long long)e->epoch, (long long)e->epochs,
                            format_count(a, e->steps),
                            e->seconds > 0 ? format_seconds(a, e->seconds) : "time unknown"));
    for (int k = 0; k < SPLIT_COUNT; k++) {
        table_pair(a, t, split_name[k], format_metrics(a, e->metrics, e->metric_count, split_name[k]));
    }
    table_pair(a, t, "architecture", format_metrics(a, e->metrics, e->metric_count, ""));
    for (int64_t k = 0; k < e->table_count; k++) {
        const AlphaTable *alpha = &e->tables[k];
        if (!alpha->entropy || alpha->ops == 1) continue;
        table_pair(a, t, arena_printf(a, "%s entropy", alpha->name),
                   arena_printf(a, "mean %.3f of at most %.3f nats; margin %.4f", mean_of(alpha->entropy, alpha->edges),
                                alpha->ops > 0 ? log((double)alpha->ops) : 0, mean_of(alpha->margin, alpha->edges)));
    }
    search_changes(a, t, search);
}

static Table *searches(const Story *s, Arena *a)
{
    Table *t = table_new(a, "Search", "|");
    const SearchSpace *shown = 0;
    for (int64_t i = 0; i < s->search_count; i++) {
        const StorySearch *search = &s->search[i];
        const SearchSpace *p = search->space;
        table_pair(a, t, "strategy", search->label);
        if (p) {
            Text ops = {0};
            text_add(a, &ops, "");
            for (int64_t k = 0; k < p->op_count; k++) text_addf(a, &ops, "%s%s", k ? ", " : "", p->ops[k]);
            table_pair(a, t, "dataset", p->dataset);
            table_pair(a, t, "operations", ops.s);
            if (p->nodes) /* a search of generators has none */
                table_pair(a, t, "supernet",
                           arena_printf(a, "%lld nodes, %lld layers, %lld channels, %s parameters, %s MACs",
                                        (long long)p->nodes, (long long)p->layers, (long long)p->channels,
                                        format_count(a, p->parameters), format_count(a, p->macs)));
            table_pair(a, t, "settings", settings(a, p->settings, p->setting_count, ""));
            shown = p;
        }
        search_pairs(a, t, search);
    }
    FOR_KIND(s, i, REC_SPACE) /* a search that has no epoch yet */
    {
        const SearchSpace *p = &s->item[i].r.space;
        if (p == shown || s->search_count) continue;
        table_pair(a, t, "strategy", p->strategy[0] ? p->strategy : "search");
        table_pair(a, t, "epoch", "none yet");
    }
    return none_if_empty(t);
}

static Table *genotypes(const Story *s, Arena *a)
{
    Table *t = table_new(a, "Genotypes", "name|rule|searched on|>seed|>epoch|>mass of none|>weight kept");
    FOR_KIND(s, i, REC_GENOTYPE)
    {
        const GenotypeRecord *g = &s->item[i].r.genotype;
        const char **row = table_row(a, t);
        row[0] = g->name[0] ? g->name : "unnamed";
        row[1] = g->rule;
        row[2] = g->dataset;
        row[3] = arena_printf(a, "%lld", (long long)g->seed);
        if (g->epoch >= 0) row[4] = arena_printf(a, "%lld", (long long)g->epoch);
        if (g->none_mass >= 0) row[5] = arena_printf(a, "%.3f", g->none_mass);
        if (g->weight_kept >= 0) row[6] = arena_printf(a, "%.3f", g->weight_kept);
    }
    return none_if_empty(t);
}

/* Loss and the primary metric of each split as columns; more would not fit, and --tsv has all. */
static bool is_shown(const Metric *m, const char *primary)
{
    return !strcmp(m->name, "loss") || (primary && !strcmp(m->name, primary));
}

static void run_row(Arena *a, Table *t, const StoryRun *run, const TrainEpoch *e, const char *which)
{
    const char *primary = metric_primary(e->metrics, e->metric_count, 0);
    const char **row = table_row(a, t);
    row[0] = run->label;
    row[1] = which;
    row[2] = arena_printf(a, "%lld/%lld", (long long)e->epoch, (long long)e->epochs);
    row[3] = format_count(a, e->steps);
    row[4] = format_seconds(a, e->seconds);
    for (int64_t i = 0; i < e->metric_count; i++) {
        const Metric *m = &e->metrics[i];
        if (!is_shown(m, primary)) continue;
        int64_t c = table_column(a, t, arena_printf(a, "%s %s", m->split, m->name), true);
        if (c >= 0) row[c] = format_metric(a, m->name, m->value);
    }
}

static const TrainEpoch *best_epoch(const StoryRun *run)
{
    for (int64_t i = run->count; i--;) {
        if (run->epoch[i]->best) return run->epoch[i];
    }
    return 0;
}

static Table *runs(const Story *s, Arena *a)
{
    Table *t = table_new(a, "Training", "run||>epoch|>steps|>time");
    for (int64_t i = 0; i < s->run_count; i++) { /* all columns are there before the first row */
        const TrainEpoch *e = s->run[i].epoch[s->run[i].count - 1];
        const char *primary = metric_primary(e->metrics, e->metric_count, 0);
        for (int64_t k = 0; k < e->metric_count; k++) {
            const Metric *m = &e->metrics[k];
            if (is_shown(m, primary)) table_column(a, t, arena_printf(a, "%s %s", m->split, m->name), true);
        }
    }
    for (int64_t i = 0; i < s->run_count; i++) {
        const StoryRun *run = &s->run[i];
        const TrainEpoch *last = run->epoch[run->count - 1], *best = best_epoch(run);
        if (best && best != last) run_row(a, t, run, best, "best");
        run_row(a, t, run, last, best == last ? "last, best" : "last");
    }
    return none_if_empty(t);
}

static const char *interval(Arena *a, const Evaluation *e, const char *metric)
{
    double low = metric_by_name(e->metrics, e->metric_count, arena_printf(a, "%s_low", metric));
    double high = metric_by_name(e->metrics, e->metric_count, arena_printf(a, "%s_high", metric));
    if (isnan(low) || isnan(high)) return "";
    return arena_printf(a, "%s … %s", format_metric(a, metric, low), format_metric(a, metric, high));
}

static Table *evaluations(const Story *s, Arena *a)
{
    Table *t = table_new(a, "Evaluation",
                         "run|weights|net|dataset|split|>samples|metric|>value|>trivial|>parameters|>MACs|>time|"
                         ">train-mode loss|>eval-mode loss|file|95 % of resamples");
    FOR_KIND(s, i, REC_EVALUATION)
    {
        const Evaluation *e = &s->item[i].r.evaluation;
        const char *metric = metric_primary(e->metrics, e->metric_count, 0);
        const char **row = table_row(a, t);
        row[0] = e->run[0] ? e->run : "unnamed";
        row[1] = e->set;
        row[2] = e->net;
        row[3] = e->dataset;
        row[4] = e->split;
        row[5] = format_count(a, e->count);
        if (metric) {
            double trivial = metric_by_name(e->baseline, e->baseline_count, metric);
            row[6] = metric;
            row[7] = format_metric(a, metric, metric_by_name(e->metrics, e->metric_count, metric));
            row[8] = e->baseline_count ? format_metric(a, metric, trivial) : "";
            row[15] = interval(a, e, metric);
        }
        row[9] = number(a, e->parameters);
        row[10] = number(a, e->macs);
        row[11] = format_seconds(a, e->seconds);
        if (!isnan(e->train_mode_loss)) row[12] = arena_printf(a, "%.4g", e->train_mode_loss);
        if (!isnan(e->eval_mode_loss)) row[13] = arena_printf(a, "%.4g", e->eval_mode_loss);
        row[14] = file_column(s, s->item[i].file);
    }
    return none_if_empty(t);
}

enum { SCORES_SHOWN = 200 }; /* rows of an evaluation; --json and --tsv have all */

/* "97.20 % (0.00 %)": of the net, and of the trivial predictor in parentheses */
static const char *score(Arena *a, const ScoreTable *t, int64_t row, int64_t column)
{
    const int64_t at = row * t->metric_count + column;
    const char *name = t->metrics[column], *value = format_metric(a, name, t->value[at]);
    if (!t->baseline || isnan(t->baseline[at]) || !strcmp(name, "samples")) return value;
    return arena_printf(a, "%s (%s)", value, format_metric(a, name, t->baseline[at]));
}

static Table *scores(const Story *s, Arena *a)
{
    Table *t = table_new(a, "Scores of each output (trivial)", "run|split||name");
    FOR_KIND(s, i, REC_EVALUATION) /* all columns are there before the first row */
    {
        const Evaluation *e = &s->item[i].r.evaluation;
        for (int64_t k = 0; k < e->table_count; k++)
            for (int64_t c = 0; c < e->tables[k].metric_count; c++) table_column(a, t, e->tables[k].metrics[c], true);
    }
    FOR_KIND(s, i, REC_EVALUATION)
    {
        const Evaluation *e = &s->item[i].r.evaluation;
        for (int64_t k = 0; k < e->table_count; k++) {
            const ScoreTable *from = &e->tables[k];
            for (int64_t r = 0; from->value && r < from->row_count && r < SCORES_SHOWN; r++) {
                const char **row = table_row(a, t);
                row[0] = e->run[0] ? e->run : "unnamed";
                row[1] = e->split;
                row[2] = from->name;
                row[3] = from->rows[r];
                for (int64_t c = 0; c < from->metric_count; c++) {
                    int64_t column = table_column(a, t, from->metrics[c], true);
                    if (column >= 0) row[column] = score(a, from, r, c);
                }
            }
            if (from->row_count > SCORES_SHOWN)
                table_row(a, t)[3] = arena_printf(a, "… %s more", format_count(a, from->row_count - SCORES_SHOWN));
        }
    }
    return none_if_empty(t);
}

static const char *class_name(Arena *a, const Evaluation *e, int64_t k)
{
    const ScoreTable *t = e->tables;
    if (e->table_count && t->row_count == e->confusion_size) return t->rows[k];
    return arena_printf(a, "%lld", (long long)k);
}

static Table *confusions(const Story *s, Arena *a)
{
    enum { WIDEST = 20 }; /* classes that fit in a row */
    Table *t =
        table_new(a, "Confusion: samples of a class (row) that were taken for another (column)", "run|split|class");
    for (int fill = 0; fill < 2; fill++) /* all columns are there before the first row */
        FOR_KIND(s, i, REC_EVALUATION)
        {
            const Evaluation *e = &s->item[i].r.evaluation;
            const int64_t n = e->confusion ? e->confusion_size : 0;
            for (int64_t r = 0; n <= WIDEST && r < n; r++) {
                if (!fill) {
                    table_column(a, t, class_name(a, e, r), true);
                    continue;
                }
                const char **row = table_row(a, t);
                row[0] = e->run[0] ? e->run : "unnamed";
                row[1] = e->split;
                row[2] = class_name(a, e, r);
                for (int64_t c = 0; c < n; c++) {
                    int64_t column = table_column(a, t, class_name(a, e, c), true);
                    double count = e->confusion[r * n + c];
                    bool whole = count >= 0 && count < 1e15;
                    if (column > 2) row[column] = whole ? format_count(a, (int64_t)count) : format_real(a, count);
                }
            }
        }
    return none_if_empty(t);
}

static Table *transfers(const Story *s, Arena *a)
{
    Table *t = table_new(a, "Transfer",
                         "genotype|from|to|>layers|>channels|>parameters|>epochs|>seed|>time|metric|>value|>trivial");
    FOR_KIND(s, i, REC_TRANSFER)
    {
        const TransferRow *e = &s->item[i].r.transfer;
        const char *metric = metric_primary(e->metrics, e->metric_count, 0);
        const char **row = table_row(a, t);
        row[0] = e->name[0] ? e->name : e->genotype;
        row[1] = e->from;
        row[2] = e->to;
        row[3] = number(a, e->layers);
        row[4] = number(a, e->channels);
        row[5] = number(a, e->parameters);
        row[6] = number(a, e->epochs);
        row[7] = arena_printf(a, "%lld", (long long)e->seed);
        row[8] = format_seconds(a, e->seconds);
        if (!metric) continue;
        row[9] = metric;
        row[10] = format_metric(a, metric, metric_by_name(e->metrics, e->metric_count, metric));
        if (!e->baseline_count) continue;
        row[11] = format_metric(a, metric, metric_by_name(e->baseline, e->baseline_count, metric));
    }
    return none_if_empty(t);
}

static Table *studies(const Story *s, Arena *a)
{
    enum { MAX_COLUMNS = 24 };
    Table *t = table_new(a, "Study", "study");
    FOR_KIND(s, i, REC_STUDY)
    {
        const StudyRow *row = &s->item[i].r.study;
        for (int64_t k = 0; k < row->column_count && t->columns < MAX_COLUMNS; k++) {
            if (row->columns[k].key[0]) table_column(a, t, row->columns[k].key, false);
        }
    }
    FOR_KIND(s, i, REC_STUDY)
    {
        const StudyRow *from = &s->item[i].r.study;
        const char **row = table_row(a, t);
        row[0] = from->study;
        for (int64_t k = 0; k < from->column_count; k++) {
            int64_t c = from->columns[k].key[0] ? table_column(a, t, from->columns[k].key, false) : -1;
            if (c > 0) row[c] = from->columns[k].value;
        }
    }
    return none_if_empty(t);
}

static Table *events(const Story *s, Arena *a)
{
    Table *t = table_new(a, "Events", ">epoch|what|");
    FOR_KIND(s, i, REC_EVENT)
    {
        const char **row = table_row(a, t);
        row[0] = arena_printf(a, "%lld", (long long)s->item[i].r.event.epoch);
        row[1] = s->item[i].r.event.what;
        row[2] = s->item[i].r.event.text;
    }
    return none_if_empty(t);
}

static Table *profile_new(Arena *a)
{
    return table_new(a, "Profile", "run|operation|>calls|>forward|>backward|>time|>share|>GFLOP/s|>GB/s");
}

static void profile_row(Arena *a, Table *t, const ProfileRecord *p)
{
    const char **row = table_row(a, t);
    row[0] = p->run;
    row[1] = p->op;
    row[2] = number(a, p->calls);
    if (p->forward_seconds > 0) row[3] = arena_printf(a, "%.3f s", p->forward_seconds);
    if (p->backward_seconds > 0) row[4] = arena_printf(a, "%.3f s", p->backward_seconds);
    row[5] = arena_printf(a, "%.3f s", p->seconds);
    row[6] = arena_printf(a, "%.1f %%", 100 * p->share);
    if (p->gflops > 0) row[7] = arena_printf(a, "%.1f", p->gflops);
    if (p->gbs > 0) row[8] = arena_printf(a, "%.1f", p->gbs);
}

static Table *profiles(const Story *s, Arena *a)
{
    Table *t = profile_new(a);
    FOR_KIND(s, i, REC_PROFILE) profile_row(a, t, &s->item[i].r.profile);
    return none_if_empty(t);
}

const char *report_profile(Arena *a, const ProfileRecord *p, int64_t count)
{
    Text out = {0};
    Table *t = profile_new(a);
    double all = 0, wait = 0;
    for (int64_t i = 0; i < count; i++) {
        profile_row(a, t, &p[i]);
        all += p[i].seconds;
        if (!strcmp(p[i].op, "data wait")) wait += p[i].share;
    }
    text_addf(a, &out, "%s: %s, %.1f %% of it waiting for data\n", count ? p->run : "", format_seconds(a, all),
              100 * wait);
    table_text(a, &out, t);
    return out.s;
}

static Table *checkpoints(const Story *s, Arena *a)
{
    Table *t = table_new(a, "Checkpoints", "run|of|>epochs done|>steps|>seed|made on");
    FOR_KIND(s, i, REC_CHECKPOINT)
    {
        const CheckpointRecord *r = &s->item[i].r.checkpoint;
        const char *device = setting_get(r->settings, r->setting_count, "device"), **row = table_row(a, t);
        row[0] = r->run;
        row[1] = r->program;
        row[2] = format_count(a, r->epoch);
        row[3] = format_count(a, r->step);
        row[4] = arena_printf(a, "%lld", (long long)r->seed);
        row[5] = device ? device : "";
    }
    return none_if_empty(t);
}

static int64_t tensor_values(const TensorRecord *t)
{
    int64_t n = 1;
    for (int64_t i = 0; i < t->rank && n >= 0; i++) n = size_mul(n, t->shape[i]);
    return n < 0 ? 0 : n;
}

static Table *tensors(const Story *s, Arena *a)
{
    typedef struct {
        const char *run, *set;
        int64_t tensors, values, bytes;
    } Sum;
    Sum *sum = 0;
    int64_t count = 0, room = 0;
    FOR_KIND(s, i, REC_TENSOR)
    {
        const TensorRecord *r = &s->item[i].r.tensor;
        int64_t k = 0;
        while (k < count && (strcmp(sum[k].run, r->run) || strcmp(sum[k].set, r->set))) k++;
        if (k == count) {
            GROW(a, sum, count, room);
            sum[count++] = (Sum){.run = r->run, .set = r->set};
        }
        sum[k].tensors++;
        sum[k].values += tensor_values(r);
        sum[k].bytes += r->data_bytes;
    }
    Table *t = table_new(a, "Tensors", "run|set|>tensors|>values|>size");
    for (int64_t k = 0; k < count; k++) {
        const char **row = table_row(a, t);
        row[0] = sum[k].run;
        row[1] = sum[k].set;
        row[2] = format_count(a, sum[k].tensors);
        row[3] = format_count(a, sum[k].values);
        row[4] = format_bytes(a, sum[k].bytes);
    }
    return none_if_empty(t);
}

Section *const section_table[SECTION_COUNT] = {[SECTION_PROVENANCE] = provenance,
                                               [SECTION_DATASETS] = datasets,
                                               [SECTION_SEARCHES] = searches,
                                               [SECTION_GENOTYPES] = genotypes,
                                               [SECTION_RUNS] = runs,
                                               [SECTION_EVALUATIONS] = evaluations,
                                               [SECTION_VERDICT] = verdict_table,
                                               [SECTION_DESIGNS] = designs_table,
                                               [SECTION_SCORES] = scores,
                                               [SECTION_CONFUSION] = confusions,
                                               [SECTION_TRANSFERS] = transfers,
                                               [SECTION_STUDIES] = studies,
                                               [SECTION_EVENTS] = events,
                                               [SECTION_PROFILES] = profiles,
                                               [SECTION_CHECKPOINTS] = checkpoints,
                                               [SECTION_TENSORS] = tensors};
