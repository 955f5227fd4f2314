/* progress: of a run. */
#include "train/progress.h"

#include "base/clock.h"
#include "cli/cli.h"
#include "train/forecast.h"

/* The first step touches all memory for the first time: the clock starts after it. */
enum { CALIBRATION_STEPS = 4 };
static const double worth_saying = 10; /* seconds: a shorter run needs no forecast of its time */
static const double interval = 0.5;    /* seconds between lines */
static const double much = 1.25;       /* longer than was forecast */

Progress progress_start(const char *what, int64_t epochs, int64_t steps)
{
    return (Progress){.what = what, .epochs = epochs, .steps = steps, .first = -1};
}

void progress_step(Progress *p, Arena scratch, int64_t done, const Tally *t, double loss)
{
    double now = clock_wall();
    if (p->first < 0) {
        p->first = done;
        p->started = now;
        p->epoch_started = done == 1 ? now : 0;
        return;
    }
    double rate = (double)(done - p->first) / (now - p->started + 1e-9);
    double left = (double)(p->epochs * p->steps - done) / rate;
    if (!p->forecast && done - p->first == CALIBRATION_STEPS - 1) {
        p->forecast = now + left;
        if (left > worth_saying)
            cli_note("%s: about %s for %lld steps, by the first %d", p->what, forecast_seconds(&scratch, left),
                     (long long)(p->epochs * p->steps), CALIBRATION_STEPS);
    }
    if (done % p->steps == 1 % p->steps) {
        double epoch = now - p->epoch_started, longer = (double)(p->epochs - done / p->steps) * epoch;
        if (p->forecast && p->epoch_started && longer > worth_saying && longer > much * (p->forecast - now)) {
            p->forecast = now + longer;
            cli_note("%s: about %s more, by the last epoch", p->what, forecast_seconds(&scratch, longer));
        }
        p->epoch_started = now;
    }
    if (!cli_progress_on() || now - p->shown < interval) return;
    p->shown = now;
    int64_t epoch = (done - 1) / p->steps, step = done - epoch * p->steps;
    cli_progress("%s: epoch %lld/%lld, step %lld/%lld, %.3g steps/s, ETA %s, loss %.4f, %s %.4f, %s", p->what,
                 (long long)epoch + 1, (long long)p->epochs, (long long)step, (long long)p->steps, rate,
                 forecast_seconds(&scratch, left), loss, task_selects(t->info)->name, tally_recent(t),
                 forecast_bytes(&scratch, memory_peak()));
}
