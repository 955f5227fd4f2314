/* schedule: learning-rate schedules and clipping. */
#include "optim/schedule.h"

#include <math.h>
#include <string.h>

const char schedule_names[] = "cosine|constant|step|one-cycle";
static const double pi = 3.14159265358979323846;

ScheduleKind schedule_find(const char *name)
{
    static const char *const names[SCHEDULE_COUNT] = {"cosine", "constant", "step", "one-cycle"};
    int kind = 0;
    while (kind < SCHEDULE_COUNT && strcmp(name, names[kind])) kind++;
    return (ScheduleKind)kind;
}

/* From a at done = 0 to b at done = 1. */
static double half_cosine(double a, double b, double done)
{
    return b + (a - b) * 0.5 * (1 + cos(pi * fmin(1, done)));
}

static double one_cycle(const Schedule *s, double t)
{
    double up = s->warmup > 0 ? s->warmup : 0.3 * s->epochs, first = s->lr / 25, last = first / 1e4;
    if (t < up) return half_cosine(first, s->lr, t / up);
    return s->epochs > up ? half_cosine(s->lr, last, (t - up) / (s->epochs - up)) : s->lr;
}

static double stepped(const Schedule *s, double t)
{
    const double usual[] = {0.5 * s->epochs, 0.75 * s->epochs}, *at = s->drops ? s->drop_at : usual;
    double rate = s->lr;
    for (int64_t i = 0; i < (s->drops ? s->drops : 2); i++)
        if (t >= at[i]) rate *= s->drop;
    return rate;
}

double schedule_rate(const Schedule *s, double t, double step)
{
    if (s->kind == SCHEDULE_ONE_CYCLE) return one_cycle(s, t);
    if (t < s->warmup) return s->lr * fmin(1, (t + step) / s->warmup);
    if (s->kind == SCHEDULE_STEP) return stepped(s, t);
    if (s->kind == SCHEDULE_CONSTANT || s->epochs <= s->warmup) return s->lr;
    return half_cosine(s->lr, s->lr_min, (t - s->warmup) / (s->epochs - s->warmup));
}
