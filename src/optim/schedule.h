/* schedule: how the learning rate goes over a run, and how far a gradient is clipped. */
#ifndef NAS_SCHEDULE_H
#define NAS_SCHEDULE_H
#include <stdint.h>

typedef enum { SCHEDULE_COSINE, SCHEDULE_CONSTANT, SCHEDULE_COUNT } ScheduleKind;
extern const char schedule_names[];           /* "cosine|constant", in the order of the kinds */
ScheduleKind schedule_find(const char *name); /* SCHEDULE_COUNT if unknown */

typedef struct {
    ScheduleKind kind;
    double lr, lr_min; /* cosine: from lr down to lr_min */
    double epochs;     /* of the whole run */
    double warmup;     /* epochs at the start in which the rate rises to lr in a straight line */
} Schedule;

/* The learning rate at time t, in epochs: whole numbers give the published rule, one rate an epoch; fractions a rate a
 * step. In a warm-up, t is the time at the end of the step, so that no step is lost to a rate of 0. */
double schedule_rate(const Schedule *s, double t, double step);

/* The factor that brings a gradient of this norm down to `most` (0: no limit), as PyTorch's clip_grad_norm_. */
double clip_factor(double norm, double most);
#endif
