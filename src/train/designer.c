/* designer: see designer.h. */
#include "train/designer.h"

#include <math.h>

#include "structure/filter.h"

Designer *designer_open(Arena *perm, const GeneratorSpec *s, Compliance *c, Pool *pool, uint64_t seed, const char **why)
{
    const Problem *p = compliance_problem(c);
    Graph *g = generator_make(perm, s, p->H, p->W, why);
    if (!g) return 0;
    Designer *d = NEW(perm, Designer, 1);
    EngineOptions options = {.device = "cpu", .batch = 1, .pool = pool};
    *d = (Designer){.compliance = c,
                    .graph = g,
                    .engine = engine_open(perm, g, &options, why),
                    .lbfgs = lbfgs_open(perm, g->weight_count, lbfgs_published),
                    .weights = NEW(perm, float, g->weight_count),
                    .image = NEW(perm, float, g->outputs),
                    .logits = NEW(perm, double, g->outputs),
                    .gradient = NEW(perm, double, g->outputs),
                    .C = NAN,
                    .x = NEW(perm, double, g->outputs)};
    if (!d->engine) return 0;
    generator_init(*perm, g, seed, d->weights);
    for (int64_t i = 0; i < g->weight_count; i++) d->lbfgs->x[i] = (double)d->weights[i];
    engine_batch(d->engine, 0, 0, 1);
    return d;
}

void designer_close(Designer *d)
{
    if (d) engine_close(d->engine);
}

bool designer_step(Designer *d)
{
    d->over = d->over || (d->evaluated && lbfgs_tell(d->lbfgs, d->C) > LBFGS_NEW);
    if (d->over) return false;
    const int64_t n = d->graph->weight_count, elements = d->graph->outputs;
    for (int64_t i = 0; i < n; i++) d->weights[i] = (float)d->lbfgs->x[i];
    engine_upload(d->engine, BLOCK_WEIGHTS, d->weights);
    engine_forward(d->engine, MODE_TRAIN);
    engine_logits(d->engine, d->image);
    for (int64_t i = 0; i < elements; i++) d->logits[i] = (double)d->image[i];
    d->C = compliance_logits(d->compliance, d->logits, d->gradient);
    if (!isnan(d->C)) {
        filter_sigmoid(compliance_filter(d->compliance), d->logits, compliance_problem(d->compliance)->density, d->x);
        for (int64_t i = 0; i < elements; i++) d->image[i] = (float)d->gradient[i];
        engine_targets(d->engine, d->image);
        engine_backward(d->engine, GRAD_WEIGHTS);
        engine_download(d->engine, BLOCK_GRAD, d->weights);
        for (int64_t i = 0; i < n; i++) d->lbfgs->g[i] = (double)d->weights[i];
    }
    d->evaluated = true;
    return true;
}
