/* workplace: what all runs of a program share, searches and trainings alike, and what they all do with it. */
#ifndef NAS_WORKPLACE_H
#define NAS_WORKPLACE_H
#include "data/dataset.h"
#include "engine/engine.h"
#include "train/checkpoint.h"
#include "train/forecast.h"

typedef struct {
    const Dataset *data; /* its train split is what is trained on */
    Pool *pool;
    Writer *out;            /* 0: a dry run */
    Checkpoint *checkpoint; /* 0: runs are neither saved nor resumed */
    const char *device;
    bool tf32; /* these two of EngineOptions */
    Precision precision;
    uint64_t seed;
} Workplace;

/* From the common options. Returns 0 or why not (threads). */
const char *workplace_open(Arena *perm, Workplace *w, const Dataset *data, Writer *out);
void workplace_close(Workplace *w);
/* An engine with the initial weights and statistics of the place's seed; 0 and *why if there is none. */
Engine *workplace_engine(Arena *perm, const Workplace *w, const Graph *g, const EngineOptions *o, const char **why);
/* Writes an Event record. */
void workplace_event(const Workplace *w, int64_t epoch, const char *what, const char *text);
/* Says, aloud and as events, if memory made the batch smaller than asked, or tensors be recomputed. */
void workplace_tell_memory(const Workplace *w, Arena scratch, const char *run, const Forecast *f);
#endif
