/* forecast: what a run will take, said before it starts; what is recomputed and the largest batch, as memory allows. */
#ifndef NAS_FORECAST_H
#define NAS_FORECAST_H
#include "data/dataset.h"
#include "engine/engine.h"

typedef struct {
    int64_t batch, asked;     /* what fits, and what was asked for */
    SegmentKind recompute;    /* what fits */
    bool recompute_asked;     /* by name, not "auto" */
    int64_t parameters, macs; /* macs: of one sample's forward pass */
    int64_t bytes;            /* of the engine and the buffers beside it; program and samples are there already */
    int64_t one_thread; /* that and the device's with one thread: for records, which must not depend on --threads */
    int64_t available;  /* 0: unknown */
    int64_t device;     /* bytes of the memory of a device that has its own; 0: it has none */
    int64_t device_available;
    const char *parts; /* for what */
} Forecast;

typedef struct {               /* host memory that the run will take beside the engine */
    int64_t fixed, per_sample; /* bytes in all; bytes for each sample of a batch */
    int64_t limit;             /* bytes that may be taken in all, 0: what is available */
    int64_t least;             /* smallest batch that makes sense */
    const char *recompute;     /* a word of recompute_choices; 0: none */
} ForecastNeed;
extern const char recompute_choices[], recompute_help[]; /* of an option: "auto|none|cell|node", see engine/plan.h */

/* Finds the batch, o->batch or a half of it so many times, and sets o->batch and o->recompute: of the largest batch that
 * fits the first that does of none, cell and node, if that is left to us. Returns 0, or why nothing fits. */
const char *forecast_fit(Arena *perm, Arena scratch, const Graph *g, EngineOptions *o, const ForecastNeed *need,
                         Forecast *out);
/* One line for a person. */
char *forecast_text(Arena *a, const Forecast *f);
char *forecast_seconds(Arena *a, double s); /* "12 s", "4 min 05 s", "3 h 10 min" */
char *forecast_bytes(Arena *a, int64_t n);  /* "1.2 GiB" */

int64_t loader_bytes(const Dataset *d);  /* of a loader, for each sample of a batch */
int64_t dataset_bytes(const Dataset *d); /* of the samples in memory */
#endif
