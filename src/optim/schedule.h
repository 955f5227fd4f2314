/* schedule: how the learning rate goes over a run, and how far a gradient is clipped. */
#ifndef NAS_SCHEDULE_H
#define NAS_SCHEDULE_H
#include <stdint.h>

/* cosine    from lr down to lr_min by half a cosine (Loshchilov, Hutter, arXiv:1608.03983)
 * constant  lr
 * step      lr times drop at each of the epochs drop_at (He et al. 2016, arXiv:1512.03385, section 4.2: a tenth after half
 *           and after three quarters of the run, which is what stands there if drops is 0)
 * one-cycle up from lr/25 to lr, then down to lr/250000, both by half a cosine; up for `warmup` epochs, or, if that is 0,
 *           for 0.3 of the run (Smith, Topin, arXiv:1708.07120, in the form of PyTorch's OneCycleLR; momentum stays) */
typedef enum { SCHEDULE_COSINE, SCHEDULE_CONSTANT, SCHEDULE_STEP, SCHEDULE_ONE_CYCLE, SCHEDULE_COUNT } ScheduleKind;
enum { SCHEDULE_MOST_DROPS = 16 };
extern const char schedule_names[];           /* "cosine|constant|…", in the order of the kinds */
ScheduleKind schedule_find(const char *name); /* SCHEDULE_COUNT if unknown */

typedef struct {
    ScheduleKind kind;
    double lr, lr_min; /* cosine: from lr down to lr_min */
    double epochs;     /* of the whole run */
    double warmup;     /* epochs at the start in which the rate rises to lr in a straight line (Goyal et al.,
                          arXiv:1706.02677, section 2.2) */
    double drop, drop_at[SCHEDULE_MOST_DROPS]; /* step */
    int64_t drops;
} Schedule;

/* The learning rate at time t, in epochs: whole numbers give the published rule, one rate an epoch; fractions a rate a
 * step. In a warm-up, t is the time at the end of the step, so that no step is lost to a rate of 0. */
double schedule_rate(const Schedule *s, double t, double step);
#endif
