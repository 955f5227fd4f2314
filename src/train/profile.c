/* profile: see profile.h. */
#include "train/profile.h"

const ProfileRecord *profile_put(Arena *perm, const Workplace *w, const Engine *e, const char *run, double wall,
                                 double wait, int64_t *count)
{
    EngineProfile op[64];
    int64_t n = engine_profile(e, op, COUNTOF(op));
    ProfileRecord *rows = NEW(perm, ProfileRecord, n + 2);
    double rest = wall - wait;
    for (int64_t i = 0; i < n; i++) {
        double seconds = op[i].forward + op[i].backward;
        rows[i] = (ProfileRecord){.op = op[i].op,
                                  .calls = op[i].calls,
                                  .forward_seconds = op[i].forward,
                                  .backward_seconds = op[i].backward,
                                  .seconds = seconds,
                                  .gflops = seconds > 0 ? op[i].flops / seconds / 1e9 : 0,
                                  .gbs = seconds > 0 ? op[i].bytes / seconds / 1e9 : 0};
        rest -= seconds;
    }
    rows[n] = (ProfileRecord){.op = "data wait", .seconds = wait};
    rows[n + 1] = (ProfileRecord){.op = "rest", .seconds = rest};
    *count = n + 2;
    for (int64_t i = 0; i < *count; i++) {
        rows[i].run = run;
        rows[i].share = wall > 0 ? rows[i].seconds / wall : 0;
        writer_put(w->out, &(Record){.kind = REC_PROFILE, .profile = rows[i]});
    }
    return rows;
}
