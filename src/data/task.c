/* task: see task.h. */
#include "data/task.h"

#include <math.h>
#include <string.h>

#include "data/tree.h"
#include "engine/loss.h"

/* ---- trivial predictors: answers as metrics_answer() gives them ---- */

static void column_means(const float *train_targets, int64_t train_rows, int64_t outputs, double *same)
{
    for (int64_t r = 0; r < train_rows; r++)
        for (int64_t k = 0; k < outputs; k++) same[k] += (double)train_targets[r * outputs + k] / (double)train_rows;
}

/* What train lacks altogether gets half a sample: its loss is large, but finite. */
static void class_log_frequencies(const float *train_targets, int64_t train_rows, int64_t outputs, double *same)
{
    for (int64_t r = 0; r < train_rows; r++) same[(int64_t)train_targets[r]]++;
    for (int64_t k = 0; k < outputs; k++) same[k] = log(same[k] > 0 ? same[k] : 0.5);
}

static void label_log_odds(const float *train_targets, int64_t train_rows, int64_t outputs, double *same)
{
    const double n = (double)train_rows;
    column_means(train_targets, train_rows, outputs, same);
    for (int64_t k = 0; k < outputs; k++) {
        double with = fmin(fmax(same[k] * n, 0.5), n - 0.5);
        same[k] = n > 0 ? log(with / (n - with)) : 0;
    }
}

/* ---- the tables ---- */

#define CLASS_TABLE metrics_class_columns, CLASS_COLUMNS
#define VALUE_TABLE metrics_value_columns, VALUE_COLUMNS

const Task task_table[] = {
    {"classification", LOSS_CROSS_ENTROPY, "accuracy", metrics_classes, class_log_frequencies, "class", CLASS_TABLE},
    {"regression", LOSS_MSE, "r2", metrics_values, column_means, "output", VALUE_TABLE},
    {"multi-label", LOSS_BINARY, "auroc", metrics_labels, label_log_odds, "label", CLASS_TABLE},
    {"tree", LOSS_TREE, "rmse", metrics_values, column_means, "answer", VALUE_TABLE},
    {"simulation", LOSS_MSE, "relative_error", .each = "problem", .simulated = true},
};
const int64_t task_count = COUNTOF(task_table);

enum {
    CLASSES = 1 << LOSS_CROSS_ENTROPY,
    LABELS = 1 << LOSS_BINARY,
    BOTH = CLASSES | LABELS,
    VALUES = 1 << LOSS_MSE | 1 << LOSS_TREE
};
static const MetricInfo metric_table[] = {
    {"accuracy", true, true, false, CLASSES},
    {"top5", true, true, false, CLASSES},
    {"balanced_accuracy", true, true, false, CLASSES},
    {"macro_f1", true, false, false, BOTH},
    {"micro_f1", true, false, false, LABELS},
    {"exact_match", true, true, false, LABELS},
    {"hamming_loss", false, false, false, LABELS},
    {"auroc", true, false, true, BOTH},
    {"average_precision", true, false, true, BOTH},
    {"ece", false, false, false, BOTH},
    {"log_loss", false, false, false, BOTH},
    {"weighted_log_loss", false, false, false, CLASSES},
    {"loss", false, false, false, BOTH | VALUES},
    {"rmse", false, false, false, VALUES},
    {"mae", false, false, false, VALUES},
    {"r2", true, false, false, VALUES},
    {"compliance", false, false, false, 0},
    {"relative_error", false, true, false, 0},
    {"median_relative_error", false, true, false, 0},
    {"within_1_percent", true, true, false, 0},
    {"relative_compliance", false, false, false, 0},
    {"pearson", true, false, true, VALUES},
    {"spearman", true, false, true, VALUES},
};

const Task *task_find(const char *name)
{
    for (int64_t i = 0; i < task_count; i++)
        if (!strcmp(task_table[i].name, name)) return &task_table[i];
    return 0;
}

const char *task_names(Arena *perm)
{
    Text t = {0};
    for (int64_t i = 0; i < task_count; i++) text_addf(perm, &t, "%s%s", i ? ", " : "", task_table[i].name);
    return t.s;
}

const MetricInfo *task_metric(const char *name)
{
    for (int64_t i = 0; i < COUNTOF(metric_table); i++)
        if (!strcmp(metric_table[i].name, name)) return &metric_table[i];
    return 0;
}

const MetricInfo *task_selects(const DatasetInfo *d)
{
    if (d->metric && d->metric[0]) return task_metric(d->metric);
    return task_metric(d->metric_weight ? "weighted_log_loss" : task_find(d->task)->metric);
}

/* ---- metrics ---- */

/* The dataset's fields were checked when it came in: what they say of the loss fits. */
static Rows rows_of(Arena *a, const DatasetInfo *d, const float *logits, const double *same, const float *targets,
                    int64_t rows)
{
    const Task *task = task_find(d->task);
    Rows r = {.info = d, .loss = task->loss, .logits = logits, .same = same, .targets = targets, .rows = rows};
    task_detail(a, task, d->outputs, d->class_weight, d->tree, &r.detail);
    return r;
}

static Arena small_arena(const DatasetInfo *d)
{
    return arena_reserve(((ptrdiff_t)1 << 20) + 64 * d->outputs);
}

/* Puts the metric that selects behind the loss: whoever has only the list can tell. */
static void selected_second(const MetricList *l, const char *name)
{
    for (int64_t i = 2; i < l->count; i++) {
        if (strcmp(l->item[i].name, name)) continue;
        Metric found = l->item[i];
        memmove(l->item + 2, l->item + 1, (size_t)(i - 1) * sizeof found);
        l->item[1] = found;
        return;
    }
}

static int64_t measure(const DatasetInfo *d, Rows *r, bool all, Metric *m, int64_t room)
{
    Metric found[32];
    MetricList l = {.item = found, .room = COUNTOF(found)};
    if (r->rows < 1) return 0;
    const MetricInfo *selects = task_selects(d);
    r->all = all || selects->sorts;
    task_find(d->task)->measure(r, &l, 0);
    selected_second(&l, selects->name);
    int64_t n = l.count < room ? l.count : room;
    memcpy(m, found, (size_t)n * sizeof *m);
    return n;
}

int64_t task_metrics(const DatasetInfo *d, const float *logits, const float *targets, int64_t rows, bool all, Metric *m,
                     int64_t room)
{
    Arena whole = small_arena(d), a = whole;
    Rows r = rows_of(&a, d, logits, 0, targets, rows);
    int64_t n = measure(d, &r, all, m, room);
    arena_release(whole);
    return n;
}

static const double *trivial_answer(Arena *a, const DatasetInfo *d, const float *train_targets, int64_t train_rows)
{
    double *same = NEW(a, double, d->outputs);
    task_find(d->task)->prior(train_targets, train_rows, d->outputs, same);
    return same;
}

int64_t task_trivial(const DatasetInfo *d, const float *train_targets, int64_t train_rows, const float *targets,
                     int64_t rows, Metric *m, int64_t room)
{
    Arena whole = small_arena(d), a = whole;
    Rows r = rows_of(&a, d, 0, trivial_answer(&a, d, train_targets, train_rows), targets, rows);
    int64_t n = measure(d, &r, true, m, room);
    arena_release(whole);
    return n;
}

/* ---- the numbers of every output ---- */

static const char **output_names(Arena *perm, const DatasetInfo *d)
{
    const char **name = NEW(perm, const char *, d->outputs);
    for (int64_t k = 0; k < d->outputs; k++)
        name[k] = d->output_names ? d->output_names[k] : arena_printf(perm, "%lld", (long long)k);
    return name;
}

static double *values_of(Arena *perm, Rows *r, const Task *task)
{
    double *each = NEW(perm, double, r->info->outputs * task->column_count);
    MetricList none = {0};
    r->all = true;
    task->measure(r, &none, each);
    return each;
}

/* rmse and mae of a question, from those of its answers: they are the first two columns. */
static double *question_values(Arena *perm, const Tree *t, const double *each)
{
    double *value = NEW(perm, double, 2 * t->detail.questions);
    for (int32_t k = 0; each && k < t->detail.questions; k++) {
        const Question *q = &t->detail.question[k];
        for (int64_t i = q->first; i < q->first + q->count; i++) {
            const double *from = each + i * VALUE_COLUMNS;
            value[2 * k] += from[0] * from[0] / (double)q->count;
            value[2 * k + 1] += from[1] / (double)q->count;
        }
        value[2 * k] = sqrt(value[2 * k]);
    }
    return each ? value : 0;
}

ScoreTable *task_scores(Arena *perm, const DatasetInfo *d, const float *logits, const float *targets, int64_t rows,
                        const float *train_targets, int64_t train_rows, int64_t *count)
{
    const Task *task = task_find(d->task);
    ScoreTable *table = NEW(perm, ScoreTable, 2);
    *count = 0;
    if (rows < 1) return 0;
    Rows r = rows_of(perm, d, logits, 0, targets, rows);
    table[0] = (ScoreTable){.name = task->each,
                            .rows = output_names(perm, d),
                            .row_count = d->outputs,
                            .metrics = (const char **)task->columns,
                            .metric_count = task->column_count,
                            .value = values_of(perm, &r, task)};
    r.logits = 0;
    r.same = train_rows > 0 ? trivial_answer(perm, d, train_targets, train_rows) : 0;
    if (r.same) table[0].baseline = values_of(perm, &r, task);
    *count = 1;
    Tree t;
    if (task->loss != LOSS_TREE || tree_parse(perm, d->tree, &t)) return table;
    table[1] = (ScoreTable){.name = "question",
                            .rows = t.question,
                            .row_count = t.detail.questions,
                            .metrics = (const char **)task->columns,
                            .metric_count = 2,
                            .value = question_values(perm, &t, table[0].value),
                            .baseline = question_values(perm, &t, table[0].baseline)};
    *count = 2;
    return table;
}

/* ---- predictions and targets ---- */

void task_predict(const DatasetInfo *d, float *logits, int64_t rows)
{
    const int64_t K = d->outputs;
    Arena whole = small_arena(d), a = whole;
    Rows r = rows_of(&a, d, logits, 0, 0, rows);
    double *p = NEW(&a, double, K);
    for (int64_t i = 0; i < rows; i++) {
        if (r.loss == LOSS_MSE)
            metrics_answer(&r, i, p);
        else
            loss_predict(r.loss, &r.detail, K, logits + i * K, p);
        for (int64_t k = 0; k < K; k++) logits[i * K + k] = (float)p[k];
    }
    arena_release(whole);
}

void task_unpredict(const DatasetInfo *d, float *predictions, int64_t rows)
{
    const int64_t K = d->outputs;
    Arena whole = small_arena(d), a = whole;
    Rows r = rows_of(&a, d, predictions, 0, 0, rows);
    for (int64_t i = 0; i < rows * K; i++) {
        double p = (double)predictions[i], least = fmax(p, 1e-30); /* a NaN stays one */
        if (isnan(p)) continue;
        switch (r.loss) {
        case LOSS_MSE: p = (p - d->target_mean[i % K]) / d->target_sd[i % K]; break;
        case LOSS_BINARY: p = log(least) - log(fmax(1 - p, 1e-30)); break;
        default: p = r.detail.divisive ? p : log(least); /* shares do not depend on what leads to a question */
        }
        predictions[i] = (float)p;
    }
    arena_release(whole);
}

void task_scale_targets(const DatasetInfo *d, const float *targets, int64_t rows, int64_t width, float *scaled)
{
    const Task *task = task_find(d->task);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < width; k++) {
            float t = targets[r * width + k];
            scaled[r * width + k] =
                task && task->loss == LOSS_MSE ? (float)((t - d->target_mean[k]) / d->target_sd[k]) : t;
        }
}

/* ---- what comes from outside ---- */

static const char *check_weights(Arena *perm, const char *what, const double *weight, int64_t n)
{
    for (int64_t k = 0; weight && k < n; k++)
        if (!(weight[k] > 0 && isfinite(weight[k])))
            return arena_printf(perm, "%s %lld is %g: a number above 0 expected", what, (long long)k, weight[k]);
    return 0;
}

const char *task_detail(Arena *perm, const Task *task, int64_t outputs, const double *class_weight, const char *tree,
                        LossDetail *out)
{
    *out = (LossDetail){0};
    if (class_weight && task->loss != LOSS_CROSS_ENTROPY && task->loss != LOSS_BINARY)
        return arena_printf(perm, "class weights do not go with %s", task->name);
    const char *why = check_weights(perm, "class weight", class_weight, outputs);
    if (why) return why;
    const bool has_tree = tree && tree[0];
    if (task->loss != LOSS_TREE && has_tree) return arena_printf(perm, "a tree does not go with %s", task->name);
    if (task->loss == LOSS_TREE) {
        Tree t;
        if (!has_tree) return "the tree of questions is missing";
        if ((why = tree_parse(perm, tree, &t))) return arena_printf(perm, "the tree of questions: %s", why);
        if (t.outputs != outputs)
            return arena_printf(perm, "the tree of questions has %lld answers, there are %lld outputs",
                                (long long)t.outputs, (long long)outputs);
        *out = t.detail;
    }
    out->weight = class_weight;
    return 0;
}

const char *task_take_tree(Arena *perm, DatasetInfo *d, const char *text)
{
    LossDetail unused;
    Tree t;
    const char *why = task_detail(perm, task_find(d->task), d->outputs, 0, text, &unused);
    if (why) return why;
    tree_parse(perm, text, &t);
    for (int64_t k = 0; d->output_names && k < d->outputs; k++)
        if (strcmp(d->output_names[k], t.answer[k]))
            return arena_printf(perm, "output %lld is %s, answer %lld of the tree %s: the same order expected",
                                (long long)k, d->output_names[k], (long long)k, t.answer[k]);
    d->output_names = t.answer;
    d->tree = text;
    return 0;
}

const char *task_check(Arena *perm, const DatasetInfo *d)
{
    const Task *task = task_find(d->task);
    LossDetail unused;
    const char *why = task_detail(perm, task, d->outputs, d->class_weight, d->tree, &unused);
    if (why) return why;
    if (d->metric_weight && task->loss != LOSS_CROSS_ENTROPY)
        return arena_printf(perm, "weights for weighted_log_loss do not go with %s", task->name);
    why = check_weights(perm, "weight for weighted_log_loss", d->metric_weight, d->outputs);
    if (why || !d->metric || !d->metric[0]) return why;
    const MetricInfo *m = task_metric(d->metric);
    if (m && m->losses & 1U << task->loss) {
        bool missing = (!strcmp(m->name, "weighted_log_loss") && !d->metric_weight) ||
                       (!strcmp(m->name, "log_loss") && !d->class_weight) ||
                       (!strcmp(m->name, "top5") && d->outputs < 6);
        if (!missing) return 0;
        return arena_printf(perm, "metric %s: not measured on data without weights, or top5 of five classes or fewer",
                            m->name);
    }
    Text t = {0};
    for (int64_t i = 0; i < COUNTOF(metric_table); i++)
        if (metric_table[i].losses & 1U << task->loss)
            text_addf(perm, &t, "%s%s", t.length ? ", " : "", metric_table[i].name);
    return arena_printf(perm, "metric %s: not one of %s: %s", d->metric, task->name, t.s);
}

static const char *check_row(Arena *perm, const DatasetInfo *d, LossKind loss, const Tree *tree, double tolerance,
                             const float *t)
{
    for (int64_t k = 0; k < loss_width(loss, 0, d->outputs); k++) {
        const double v = (double)t[k];
        if (!isfinite(v)) return "has a target that is not finite";
        if (loss == LOSS_CROSS_ENTROPY && !(v >= 0 && v < (double)d->outputs && v == floor(v)))
            return arena_printf(perm, "has label %g: a whole number below %lld expected", v, (long long)d->outputs);
        if (loss == LOSS_BINARY && v != 0 && v != 1)
            return arena_printf(perm, "has %g for label %s: 0 or 1 expected", v, output_names(perm, d)[k]);
    }
    const char *why = loss == LOSS_TREE ? tree_disobeys(perm, tree, t, tolerance) : 0;
    return why ? arena_printf(perm, "does not obey the tree: %s", why) : 0;
}

const char *task_check_targets(Arena *perm, const DatasetInfo *d, const float *targets, int64_t rows, double tolerance,
                               int64_t *row, int64_t *bad)
{
    const Task *task = task_find(d->task);
    const int64_t width = loss_width(task->loss, 0, d->outputs);
    Arena whole = small_arena(d), a = whole;
    Tree tree;
    const char *first = task->loss == LOSS_TREE ? tree_parse(&a, d->tree, &tree) : 0;
    *row = *bad = 0;
    for (int64_t i = 0; i < rows; i++) {
        Arena once = a;
        const char *why = check_row(&once, d, task->loss, &tree, tolerance, targets + i * width);
        if (!why) continue;
        if (!(*bad)++) {
            first = arena_strdup(perm, why);
            *row = i;
        }
    }
    arena_release(whole);
    return first;
}
