/* bilevel: the search: network weights on the train split and architecture weights on the alpha split, in turn, step by
 * step. What differs between methods is the strategy; the loop is one. */
#ifndef NAS_BILEVEL_H
#define NAS_BILEVEL_H
#include "nn/network.h"
#include "search/guard.h"
#include "train/trainer.h"

typedef struct {
    StrategySettings strategy;
    const char *ops, *reduce_at;   /* ops "auto": by the samples' height */
    int64_t nodes, inputs, concat; /* concat 0: all nodes */
    int64_t layers, channels;
    int64_t batch, epochs, limit, valid_limit, gap_every;
    double lr, lr_min, momentum, weight_decay, clip;
    double alpha_beta1, alpha_beta2;
    bool no_augment;
    int64_t memory; /* MiB, 0: what is free */
    const char *recompute;
} SearchSettings;

enum { SEARCH_GAP = 6 };
typedef enum { SEARCH_DONE, SEARCH_DIVERGED, SEARCH_FAILED, SEARCH_INTERRUPTED } SearchEnd; /* FAILED: the device */

typedef struct { /* a search; all that changes while it runs is here, in the arch and in the engine's blocks */
    const Workplace *place;
    const SearchSettings *settings;
    Strategy strategy;
    const Task *task;
    Space space;
    NetSpec net;
    Graph *graph;
    Forecast forecast;
    Schedule schedule;
    Engine *engine;
    Arch *arch;
    Loader *train_loader, *alpha_loader;
    GuardState guard;
    Tally train, alpha, valid;
    Metric gap[SEARCH_GAP]; /* of the epoch, from search_gap() */
    int64_t gap_count;
    Progress progress;
    int64_t samples, batches; /* of an epoch */
    int64_t valid_limit;      /* samples of validation, 0: there is no such split */
    int64_t epoch, step;      /* done */
    int64_t index;            /* steps of the running epoch */
    bool resumed;
    double started, rate;
    const Batch *train_batch; /* of the step */
    Batch alpha_batch;        /* of the last forward pass; n is 0 if that was of another */
    const Batch *guard_batch; /* of a gradient that a guard wants */
    bool path;                /* the network as it stands is one path of the supernet */
    const char *trouble;      /* of SEARCH_DIVERGED and SEARCH_FAILED */
} Search;

/* Why the settings are wrong, whatever the data, or 0. */
const char *search_settings_check(Arena *perm, const SearchSettings *s);
/* Builds the supernet and finds the batch; engine and loaders only with `start`, and then goes on from the place's
 * checkpoint if there is one. Returns 0 or why not. */
const char *search_open(Arena *perm, Arena scratch, const Workplace *w, const SearchSettings *s, bool start,
                        Search *out);
/* Writes the SearchSpace, a SearchEpoch for epoch 0, then one after every epoch, until the last one, or until a guard ends
 * it; that is an Event, and the SearchEpoch that follows it has the alphas that the guard went back to. */
SearchEnd search_run(Search *s, Arena scratch);
/* Writes the supernet as a NetworkRecord with its tensors, set "supernet". Returns 0 or why not (the device). */
const char *search_write_weights(Search *s, Arena scratch);
void search_close(Search *s);

/* A table for a person: parameters and multiply-accumulates of every operation on an edge of every stage (costs.c). */
const char *search_costs(Arena *perm, const Search *s, Arena scratch);

/* The moment for strategy_mix(). */
Moment search_moment(const Search *s, StepKind kind);
/* Ranks random architectures on the validation split with the shared weights, each by the loss with batch statistics, and
 * makes the best one the alphas (rank.c). Running statistics are as before. Returns 0 or why not. */
const char *search_rank(Search *s, Arena scratch);
/* Measures the discretisation gap into s->gap (gap.c): how much better the supernet is than the derived cell in it, by the
 * metric that selects and by the loss. Uses s->valid; running statistics are as before. Returns 0 or why not. */
const char *search_gap(Search *s, Arena scratch);
#endif
