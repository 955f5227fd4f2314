/* weights: see weights.h. */
#include "data/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/task.h"

/* "2,1,0.5" */
static const char *parse_list(Arena *perm, const char *text, int64_t n, double *weight)
{
    int64_t count = 0;
    for (const char *at = text;; at++) {
        char *end;
        double w = strtod(at, &end);
        if (end == at || (*end && *end != ','))
            return arena_printf(perm, "\"%.*s\": none, balanced, plasticc or a number for each output expected",
                                (int)strcspn(at, ","), at);
        if (!(w > 0 && isfinite(w)))
            return arena_printf(perm, "weight %lld is %g: a number above 0 expected", (long long)count, w);
        if (count < n) weight[count] = w;
        count++;
        at = end;
        if (!*at) break;
    }
    if (count == n) return 0;
    return arena_printf(perm, "%lld weights for %lld outputs", (long long)count, (long long)n);
}

static const char *output_name(Arena *perm, const DatasetInfo *i, int64_t k)
{
    return i->output_names ? i->output_names[k] : arena_printf(perm, "%lld", (long long)k);
}

static const char *balance(Arena *perm, const Dataset *d, double *weight)
{
    const SplitData *train = &d->split[SPLIT_TRAIN];
    const int64_t K = d->info.outputs;
    const bool classes = d->target_width == 1 && task_find(d->info.task)->loss == LOSS_CROSS_ENTROPY;
    double *count = NEW(perm, double, K), n = (double)train->count;
    for (int64_t i = 0; i < train->count * d->target_width; i++) {
        if (classes)
            count[(int64_t)train->targets[i]]++;
        else
            count[i % K] += train->targets[i] > 0.5F;
    }
    for (int64_t k = 0; k < K; k++) {
        if (count[k] == 0 || (!classes && count[k] == n))
            return arena_printf(perm, "balanced: %s has %s among the training samples", output_name(perm, &d->info, k),
                                count[k] == 0 ? "no sample" : "nothing but positives");
        weight[k] = classes ? n / ((double)K * count[k]) : (n - count[k]) / count[k];
    }
    return 0;
}

/* The number that a class's name is or begins with ("42", "42 SNII"), or -1. */
static long class_code(const char *name)
{
    char *end = 0;
    long code = strtol(name, &end, 10);
    return end != name && (!*end || *end == ' ') ? code : -1;
}

static const char *plasticc(Arena *perm, const DatasetInfo *i, double *weight)
{
    static const int known[] = {6, 15, 16, 42, 52, 53, 62, 64, 65, 67, 88, 90, 92, 95, 99};
    static const int double_weight[] = {15, 64, 99};
    for (int64_t k = 0; k < i->outputs; k++) {
        bool found = false;
        for (int c = 0; i->output_names && c < COUNTOF(known); c++) found |= class_code(i->output_names[k]) == known[c];
        if (!found)
            return arena_printf(perm, "plasticc: class %s is none of PLAsTiCC's (6, 15, … 99)",
                                output_name(perm, i, k));
        weight[k] = 1;
        for (int c = 0; c < COUNTOF(double_weight); c++)
            if (class_code(i->output_names[k]) == double_weight[c]) weight[k] = 2;
    }
    return 0;
}

const char *weights_assign(Arena *perm, Dataset *d, const char *for_loss, const char *for_metric)
{
    DatasetInfo *i = &d->info;
    const LossKind loss = task_find(i->task)->loss;
    const bool both = !strcmp(for_loss, "plasticc");
    const char *why = 0;
    if (both && (!*for_metric || !strcmp(for_metric, "none"))) for_metric = "plasticc";
    if (*for_metric && strcmp(for_metric, "none")) {
        if (loss != LOSS_CROSS_ENTROPY) return arena_printf(perm, "--metric-weights: not for %s", i->task);
        i->metric_weight = NEW(perm, double, i->outputs);
        if (!strcmp(for_metric, "plasticc"))
            why = plasticc(perm, i, i->metric_weight);
        else
            why = parse_list(perm, for_metric, i->outputs, i->metric_weight);
        if (why) return arena_printf(perm, "--metric-weights %s: %s", for_metric, why);
        dataset_setting(perm, i, "metric_weights", "%s", for_metric);
    }
    if (!*for_loss || !strcmp(for_loss, "none")) return 0;
    if (loss != LOSS_CROSS_ENTROPY && loss != LOSS_BINARY)
        return arena_printf(perm, "--class-weights: not for %s", i->task);
    i->class_weight = NEW(perm, double, i->outputs);
    if (both || !strcmp(for_loss, "balanced"))
        why = balance(perm, d, i->class_weight);
    else
        why = parse_list(perm, for_loss, i->outputs, i->class_weight);
    if (why) return arena_printf(perm, "--class-weights %s: %s", for_loss, why);
    for (int64_t k = 0; both && k < i->outputs; k++) i->class_weight[k] *= i->metric_weight[k];
    dataset_setting(perm, i, "class_weights", "%s", for_loss);
    return 0;
}
