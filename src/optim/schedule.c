/* schedule: learning-rate schedules and clipping. */
#include "optim/schedule.h"

#include <math.h>
#include <string.h>

const char schedule_names[] = "cosine|constant";

ScheduleKind schedule_find(const char *name)
{
    static const char *const names[SCHEDULE_COUNT] = {"cosine", "constant"};
    int kind = 0;
    while (kind < SCHEDULE_COUNT && strcmp(name, names[kind])) kind++;
    return (ScheduleKind)kind;
}

double schedule_rate(const Schedule *s, double t, double step)
{
    if (t < s->warmup) return s->lr * fmin(1, (t + step) / s->warmup);
    if (s->kind == SCHEDULE_CONSTANT || s->epochs <= s->warmup) return s->lr;
    double done = fmin(1, (t - s->warmup) / (s->epochs - s->warmup));
    return s->lr_min + (s->lr - s->lr_min) * 0.5 * (1 + cos(3.14159265358979323846 * done));
}

double clip_factor(double norm, double most)
{
    double factor = most / (norm + 1e-6);
    return most > 0 && factor < 1 ? factor : 1;
}
