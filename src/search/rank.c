/* rank: the last act of random search with weight sharing (Li, Talwalkar 2019): random architectures, each scored on the
 * validation split with the weights they share. */
#include <math.h>

#include "search/bilevel.h"
#include "train/evaluate.h"

/* The alphas become one architecture, and the network computes nothing else. */
static void become(Search *s, uint64_t index, Arena scratch)
{
    Genotype g =
        genotype_random(&s->space, s->place->seed, (uint64_t)1 << 41 | index); /* far from those of the steps */
    Strategy as_it_is = s->strategy;
    as_it_is.sampling = &sampling_table[0];
    Moment m = search_moment(s, STEP_VALIDATION);
    arch_one_hot(s->arch, &g, s->arch->raw);
    strategy_mix(&as_it_is, s->arch, &m, s->engine, scratch);
}

const char *search_rank(Search *s, Arena scratch)
{
    int64_t count = (int64_t)s->strategy.choice_value[0], best = 0;
    double least = INFINITY;
    const char *why = 0;
    engine_copy(s->engine, BLOCK_STATS_SAVED, BLOCK_STATS);
    for (int64_t i = 0; i < count && !cli_interrupted() && !why; i++) {
        become(s, (uint64_t)i, scratch);
        bool whole = evaluate_split(s->engine, s->place->data, SPLIT_VALID, s->valid_limit, s->forecast.batch,
                                    MODE_TRAIN, &s->valid, &why);
        double loss = whole ? tally_loss(&s->valid) : INFINITY;
        if (loss < least) least = loss, best = i;
    }
    engine_copy(s->engine, BLOCK_STATS, BLOCK_STATS_SAVED);
    become(s, (uint64_t)best, scratch);
    s->strategy.sampling = &sampling_table[0]; /* from now on there is this one alone */
    s->path = true;
    return why;
}
