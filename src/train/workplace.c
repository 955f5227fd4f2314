/* workplace: see workplace.h. */
#include "train/workplace.h"

#include "cli/cli.h"

const char *workplace_open(Arena *perm, Workplace *w, const Dataset *data, Writer *out)
{
    *w = (Workplace){.data = data,
                     .pool = pool_open((int)cli_common.threads),
                     .out = out,
                     .device = cli_common.device,
                     .seed = (uint64_t)cli_common.seed};
    return w->pool ? 0 : arena_printf(perm, "%lld threads cannot be started", (long long)cli_common.threads);
}

void workplace_close(Workplace *w)
{
    pool_close(w->pool);
    w->pool = 0;
}

Engine *workplace_engine(Arena *perm, const Workplace *w, const Graph *g, const EngineOptions *o, const char **why)
{
    Engine *e = engine_open(perm, g, o, why);
    if (!e) return 0;
    Arena scratch = *perm;
    float *weights = NEW(&scratch, float, g->weight_count + 1), *stats = NEW(&scratch, float, g->stat_floats + 1);
    graph_init(g, w->seed, weights, stats);
    engine_upload(e, BLOCK_WEIGHTS, weights);
    engine_upload(e, BLOCK_STATS, stats);
    return e;
}

void workplace_event(const Workplace *w, int64_t epoch, const char *what, const char *text)
{
    writer_put(w->out, &(Record){.kind = REC_EVENT, .event = {.what = what, .text = text, .epoch = epoch}});
}

void workplace_tell_batch(const Workplace *w, Arena scratch, const char *run, const Forecast *f)
{
    if (f->batch == f->asked) return;
    const char *text = arena_printf(&scratch, "%s: batch %lld instead of %lld: there is memory for no more", run,
                                    (long long)f->batch, (long long)f->asked);
    workplace_event(w, 0, "batch", text);
    cli_warn("%s", text);
}
