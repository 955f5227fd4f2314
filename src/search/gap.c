/* gap: what discretisation costs: the supernet beside the sub-network that the derived cell is of it, same weights, without
 * training. Both are measured on the validation split with batch statistics, since the running ones are those of the whole
 * mixture, and in a mode of its own neither could be compared with the other. */
#include <math.h>

#include "search/bilevel.h"
#include "search/derive.h"
#include "train/evaluate.h"

/* Appends the loss and the metric that selects of the network as it stands, named by `prefix`. */
static const char *measure(Search *s, const char *prefix, double *loss, double *value)
{
    const char *why = 0, *selects = task_selects(&s->place->data->info)->name;
    Metric m[TALLY_METRICS];
    int64_t n = 0;
    if (!evaluate_split(s->engine, s->place->data, SPLIT_VALID, s->valid_limit, s->forecast.batch, MODE_TRAIN,
                        &s->valid, &why))
        return why ? why : "interrupted";
    tally_metrics(&s->valid, "", m, &n, TALLY_METRICS);
    *loss = metric_get(m, n, "", "loss");
    *value = metric_get(m, n, "", selects);
    const Metric found[] = {{arena_printf(s->graph->perm, "%s_loss", prefix), split_name[SPLIT_VALID], *loss},
                            {arena_printf(s->graph->perm, "%s_%s", prefix, selects), split_name[SPLIT_VALID], *value}};
    for (int i = 0; i < COUNTOF(found); i++) s->gap[s->gap_count++] = found[i];
    return 0;
}

const char *search_gap(Search *s, Arena scratch)
{
    Arch *a = s->arch;
    Moment m = search_moment(s, STEP_VALIDATION);
    Derived derived;
    double loss[2], value[2];
    s->gap_count = 0;
    engine_copy(s->engine, BLOCK_STATS_SAVED, BLOCK_STATS);
    strategy_mix(&s->strategy, a, &m, s->engine, scratch);
    const char *why = measure(s, "supernet", &loss[0], &value[0]);
    const double *weight = arch_effective(&scratch, a);
    if (!why) why = derive_magnitude(&scratch, &s->space, weight, weight + a->op_count / ARCH_TABLES, 0, &derived);
    if (!why) {
        arch_one_hot(a, &derived.genotype, a->drawn);
        arch_mix(a, 0, s->engine, scratch); /* a derived network has no auxiliary skip */
        why = measure(s, "derived", &loss[1], &value[1]);
    }
    engine_copy(s->engine, BLOCK_STATS, BLOCK_STATS_SAVED);
    strategy_mix(&s->strategy, a, &m, s->engine, scratch);
    if (why) {
        s->gap_count = 0;
        return why;
    }
    bool higher = task_selects(&s->place->data->info)->higher;
    s->gap[s->gap_count++] = (Metric){"gap", "", higher ? value[0] - value[1] : value[1] - value[0]};
    s->gap[s->gap_count++] = (Metric){"gap_loss", "", loss[1] - loss[0]};
    return 0;
}
