/* trainer: trains one network, from scratch or from given weights: the one training loop of nas-train and nas-transfer. */
#ifndef NAS_TRAINER_H
#define NAS_TRAINER_H
#include "cli/cli.h"
#include "optim/schedule.h"
#include "train/candidates.h"
#include "train/carry.h"
#include "train/netio.h"
#include "train/profile.h"
#include "train/progress.h"
#include "train/settings.h"
#include "train/workplace.h"

typedef struct {
    int64_t epochs, batch, limit, valid_limit; /* batch 0: by the size of the set */
    const char *optimizer;                     /* "sgd", "adam", "adamw" */
    double lr, lr_min;                         /* lr 0: the optimiser's usual one */
    double momentum, weight_decay, clip, warmup, drop_path, lr_drop;
    bool nesterov;
    const char *schedule, *lr_drop_at; /* optim/schedule.h */
    /* The gradient of a step is the mean over the samples of so many batches (normalisation is still that of each). */
    int64_t accumulate;
    double label_smoothing; /* train/tally.h */
    double auxiliary;       /* weight of the auxiliary tower's loss, nn/network.h */
    /* A mean of the weights and running statistics, mean = d mean + (1 - d) weights after each step (Polyak, Juditsky 1992,
     * in its forgetful form), d being this, at first less: (1 + steps) / (10 + steps), as TensorFlow's
     * ExponentialMovingAverage has it; 0: none. */
    double ema;
    /* Stop after so many epochs without a better validation metric (Prechelt 1998, "Early stopping - but when?"); 0: no. */
    int64_t patience;
    bool no_augment, flip, no_alpha;
    int64_t crop, cutout;     /* -1: as the dataset declares */
    Augment more;             /* what no dataset declares: data/dataset.h */
    int64_t layers, channels; /* channels 0: 16 for cells, a hand-designed net's own */
    const char *reduce_at;
    int64_t memory; /* MiB, 0: what is free */
    const char *recompute;
} TrainSettings;
extern TrainSettings train_settings;            /* of this program, defaults until its options are parsed */
extern const CliOption train_network_options[]; /* layers, channels, reduce_at */
extern const CliOption train_setting_options[]; /* all others */
/* Why the settings contradict each other, or 0. */
const char *train_settings_check(Arena *perm, const TrainSettings *s);
/* Why they do not fit this dataset, or 0. */
const char *train_settings_misfit(Arena *perm, const TrainSettings *s, const DatasetInfo *d);

typedef enum { TRAIN_DONE, TRAIN_DIVERGED, TRAIN_FAILED, TRAIN_INTERRUPTED } TrainEnd; /* FAILED: the device */

typedef struct { /* a run; all that changes while it runs is here and in the engine's blocks */
    const Workplace *place;
    const TrainSettings *settings;
    const Task *task;
    NetworkRecord net;
    Graph *graph;
    const float *const *mixing; /* of a supernet, constants */
    Engine *engine;
    Loader *loader;
    Forecast forecast;
    Schedule schedule;
    Tally train, valid;
    Progress progress;
    int64_t batches, valid_limit; /* of an epoch; samples of validation, 0: there is no such split */
    int64_t epoch, step;          /* done; a step is a batch */
    int64_t index;                /* steps of the running epoch */
    int64_t updates;              /* of the weights */
    int64_t waiting, samples;     /* batches whose gradients are in BLOCK_SAVED, and their samples */
    bool resumed;
    double started, rate; /* clock; latest learning rate */
    double best;          /* metric; NaN: none yet */
    int64_t best_epoch;
    int64_t better_epoch; /* the last that was better than all before it, not only as good */
    const char *trouble;  /* of TRAIN_DIVERGED and TRAIN_FAILED */
    const bool *fixed;    /* per parameter: training leaves it as it is; 0: all are trained */
    float *weights;       /* then: these, and room for as many */
} Trainer;

/* The dataset's train and alpha splits as one train split: a search's alpha split has no other use afterwards. *whole may
 * share memory with d. Returns 0 or why not (memory). */
const char *train_whole(Arena *perm, const Dataset *d, Dataset *whole);

/* A record of a net to train: run, net ("genotype" or a name), text; shape from the data, depth and width from the
 * settings. */
NetworkRecord train_network(Arena *perm, const Workplace *w, const TrainSettings *s, const char *run, const char *net,
                            const char *genotype);
/* Builds the net and finds the batch; engine and loaders only with `start`, and then goes on from the place's checkpoint
 * if there is one. `perm` holds the run: give it an arena of its own; w and s must outlive it. Returns 0 or why not. */
const char *trainer_open(Arena *perm, Arena scratch, const Workplace *w, const TrainSettings *s,
                         const NetworkRecord *net, bool start, Trainer *out);
/* Lets the run begin with weights of a trained network (unless it was resumed); frozen: what is carried over as it is stays
 * so, but for running statistics, which follow the data (Li et al. 2016, arXiv:1603.04779). *out tells what became of them,
 * as in carry_fill(). Returns 0 or why not. */
const char *trainer_carry(Trainer *t, Arena *perm, const Trained *from, bool frozen, Carried *out);
/* What the time went for, told and written as Profile records; the engine was told to measure. */
const ProfileRecord *trainer_profile(const Trainer *t, Arena *perm, int64_t *count);
/* Makes the networks part of what a checkpoint belongs to. */
void trainer_identity(Checkpoint *c, Arena *perm, Arena scratch, const Candidates *todo);
/* Builds every candidate once, before the first is trained: what cannot be trained is told now, not after hours. Returns 0
 * or "run: why not"; adds a line of forecast for each to *forecasts. `room` and scratch as for a run. */
const char *trainer_check(Arena *perm, Arena room, Arena scratch, const Workplace *w, const TrainSettings *s,
                          const Candidates *todo, Text *forecasts);
/* Writes the NetworkRecord, then runs all epochs and writes a TrainEpoch after each. */
TrainEnd trainer_run(Trainer *t, Arena scratch);
/* Writes the weights, sets "best" (by the metric on validation; only where an epoch was complete), "last", and, with a mean
 * of the weights, "mean". Returns 0 or why not (the device). */
const char *trainer_write_weights(Trainer *t, Arena scratch);
/* Puts the best weights into the engine. */
void trainer_use_best(Trainer *t);
void trainer_close(Trainer *t);

/* A network's tensors of a set as they are in the engine, from blocks w and s; mixing: as for netio_write(). Returns 0 or
 * why not (the device). */
const char *engine_write_tensors(Engine *e, const Graph *g, Writer *out, Arena scratch, const char *run,
                                 const char *set, Block w, Block s, const float *const *mixing);
/* Puts weights in the place of the initial ones, unless the run was resumed, and mixing weights into the engine: after
 * trainer_open() with `start`. w must outlive the run. */
void trainer_begin_with(Trainer *t, Arena scratch, const NetWeights *w);
#endif
