/* workplace: see workplace.h. */
#include "train/workplace.h"

#include <string.h>

#include "cli/cli.h"
#include "engine/plan.h"

const char *workplace_open(Arena *perm, Workplace *w, const Dataset *data, Writer *out)
{
    *w = (Workplace){.data = data,
                     .pool = pool_open((int)cli_common.threads),
                     .out = out,
                     .device = cli_common.device,
                     .tf32 = cli_common.tf32,
                     .precision =
                         strcmp(cli_common.precision, precision_name[PRECISION_BF16]) ? PRECISION_FP32 : PRECISION_BF16,
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
    /* an arena of its own, given back: what is touched of perm would stay */
    Arena whole = arena_reserve((g->weight_count + g->stat_floats + 1024) * (ptrdiff_t)sizeof(float)), scratch = whole;
    float *weights = NEW(&scratch, float, g->weight_count + 1), *stats = NEW(&scratch, float, g->stat_floats + 1);
    graph_init(g, w->seed, weights, stats);
    engine_upload(e, BLOCK_WEIGHTS, weights);
    engine_upload(e, BLOCK_STATS, stats);
    arena_release(whole);
    return e;
}

void workplace_event(const Workplace *w, int64_t epoch, const char *what, const char *text)
{
    writer_put(w->out, &(Record){.kind = REC_EVENT, .event = {.what = what, .text = text, .epoch = epoch}});
}

void workplace_tell_memory(const Workplace *w, Arena scratch, const char *run, const Forecast *f)
{
    const char *text[2] = {0}, *what[2] = {"recompute", "batch"};
    if (f->recompute != SEGMENT_WHOLE && !f->recompute_asked)
        text[0] = arena_printf(&scratch,
                               "%s: recompute %s: there is memory for no more; steps take longer, results are the same",
                               run, recompute_name[f->recompute]);
    if (f->batch != f->asked)
        text[1] = arena_printf(&scratch, "%s: batch %lld instead of %lld: there is memory for no more", run,
                               (long long)f->batch, (long long)f->asked);
    for (int i = 0; i < 2; i++) {
        if (!text[i]) continue;
        workplace_event(w, 0, what[i], text[i]);
        cli_warn("%s", text[i]);
    }
}
