/* profile: where the time of a run went: to operations, to waiting for data, to the rest. */
#ifndef NAS_PROFILE_H
#define NAS_PROFILE_H
#include "train/workplace.h"

/* Writes the Profile records of a run that took `wall` seconds and in `wait` of them had no batch to work on; the engine
 * was told to measure. Returns them. */
const ProfileRecord *profile_put(Arena *perm, const Workplace *w, const Engine *e, const char *run, double wall,
                                 double wait, int64_t *count);
#endif
