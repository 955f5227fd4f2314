/* strategy: search strategies as compositions of parts.
 *
 *   relaxation   alphas -> weights of the operations, and the gradient back through that
 *   sampling     weights -> what the supernet computes with in this step: all of them, perturbed, or a single path
 *   gradient     how dLoss/dweight on the alpha split is estimated
 *   regularisers what is added to the gradient of the alphas
 *   update       the optimiser step of the alphas
 *   choice       how the final architecture comes about: by the alphas, or by chance
 *   guards       what ends the search when the alphas go wrong (guard.h)
 *
 * and what the supernet is made of: channel share, edge weights, auxiliary skip. Every part is a row of its family's
 * table (relaxation.c, sampling.c, …) and knows nothing of the others; a strategy is a row of texts, each of which names
 * a part as an option would. A new published method is, as a rule, one new part and one new row.
 *
 * Schedules run over the epochs: `progress` is epoch / (epochs - 1), 0 in the first and 1 in the last.
 */
#ifndef NAS_STRATEGY_H
#define NAS_STRATEGY_H
#include "engine/engine.h"
#include "search/arch.h"

/* ---- parts ---- */

typedef struct { /* the head of every row; a part is written NAME[:VALUE[:VALUE]] */
    const char *name, *help, *source;
    int values;                         /* how many it takes */
    double usual[2], least[2], most[2]; /* of each: default and bounds */
} Part;

typedef struct {
    Part part;
    bool simplex;    /* alphas are weights themselves: at least 0, of sum 1 in a group */
    bool of_one_sum; /* the weights of a group add up to 1 */
    /* One group: n alphas to n weights; and dLoss/dalpha from dLoss/dweight at those weights. */
    void (*mix)(const double *raw, int64_t n, double *weight);
    void (*pull_back)(const double *weight, const double *weight_grad, int64_t n, double *grad);
} Relaxation;

typedef enum { STEP_WEIGHTS, STEP_ALPHAS, STEP_VALIDATION } StepKind;
typedef struct { /* what sampling and schedules depend on */
    uint64_t seed;
    int64_t step; /* weight steps done */
    StepKind kind;
    double progress;
} Moment;

typedef struct {
    Part part;
    bool single_path; /* at most one operation on an edge */
    /* From a->raw and a->weight: a->drawn, and a->point and a->slope for the way back. They are equal to a->weight, 1 when
     * it is called. value: of the part at this moment, between its two values. */
    void (*draw)(Arch *a, const Relaxation *r, const Moment *m, double value);
} Sampling;

typedef struct
{ /* what a gradient part works on: a supernet at weights w, a batch of the train and one of the alpha split */
    Engine *engine;
    Arch *arch;
    double rate, momentum, weight_decay; /* of the weight step that follows */
    /* Gives the engine the batch of that split and makes the forward pass in training mode. */
    void (*forward)(void *context, Split split);
    /* That of the last forward pass; once after each. To be asked late: it waits for a device. */
    double (*loss)(void *context);
    void *context;
} AlphaProblem;

typedef struct {
    Part part;
    int64_t blocks; /* of the size of the weights that it takes beside those of a weight step */
    /* Fills arch->mixing_grad; returns the loss of the alpha batch. If that or another loss on the way is not finite, it
     * is returned, with the gradient undefined. Weights, velocity and running statistics are as before. 0: there is no
     * gradient, the alphas rest. */
    double (*find)(const AlphaProblem *p, Arena scratch);
} AlphaGradient;

typedef struct {
    Part part;
    const char *relaxation; /* that alone it makes sense with, or 0 */
    /* Adds its gradient to grad (a->count); value: its own, the first one the strength. */
    void (*add)(const Arch *a, const double *value, double progress, double *grad);
} Regulariser;

typedef struct {
    double lr, beta1, beta2;
} AlphaSettings;

typedef struct {
    Part part;
    bool simplex;                                  /* keeps the alphas of a group at a sum of 1 */
    void (*step)(Arch *a, const AlphaSettings *s); /* 0: the alphas rest */
} AlphaUpdate;

typedef enum { CHOICE_ALPHAS, CHOICE_RANDOM, CHOICE_RANK } ChoiceKind;
typedef struct {
    Part part;
    ChoiceKind kind;
} Choice;

struct GuardScene; /* guard.h */
typedef struct {
    Part part;
    const char *metric; /* the name of its measure in a SearchEpoch */
    bool every_path;    /* needs a supernet in which all operations count */
    /* One number after an epoch; NaN: not known. */
    double (*measure)(const struct GuardScene *g, Arena scratch);
    /* Of the latest `count` measures, the newest first: the alphas of how many epochs ago are the last good ones, the search
     * being at its end; or -1: go on. value: its own. */
    int64_t (*back)(const double *latest, int64_t count, double value);
    char *(*say)(Arena *perm, const double *latest, double value); /* why */
} Guard;

extern const Guard guard_table[];
extern const int64_t guard_count;
extern const Relaxation relaxation_table[];
extern const Sampling sampling_table[];
extern const AlphaGradient gradient_table[];
extern const Regulariser regulariser_table[];
extern const AlphaUpdate update_table[];
extern const int64_t relaxation_count, sampling_count, gradient_count, regulariser_count, update_count;

/* ---- strategies ---- */

typedef struct { /* as options have it; 0 or "": as the named strategy has it */
    const char *name, *source;
    const char *relaxation, *sampling, *gradient, *regulariser; /* regulariser: a list, comma-separated, or none */
    const char *update, *choice;
    int64_t share;                             /* channel share K: 1 of K channels goes through the operations */
    const char *edge_weights, *auxiliary_skip; /* "on", "off" */
    int64_t warmup;                            /* epochs in which the alphas rest; -1: as the strategy has it */
    double warmup_share;                       /* of a strategy: that, as a share of all epochs */
    double lr;                                 /* of the alphas */
    const char *guard;                         /* a list, or none */
} StrategySettings;
extern const StrategySettings strategy_table[];
extern const int64_t strategy_count;

enum { MAX_REGULARISERS = 8, MAX_GUARDS = 4 };
typedef struct {
    const char *name;
    const Relaxation *relaxation;
    const Sampling *sampling;
    const AlphaGradient *gradient;
    const Regulariser *regulariser[MAX_REGULARISERS];
    int64_t regulariser_count;
    const AlphaUpdate *update;
    const Choice *choice;
    const Guard *guard[MAX_GUARDS];
    int64_t guard_count;
    double sampling_value[2], regulariser_value[MAX_REGULARISERS][2], choice_value[2], guard_value[MAX_GUARDS][2];
    int64_t share, warmup; /* warmup -1: warmup_share of the epochs, once these are known */
    double warmup_share;
    bool edge_weights, auxiliary_skip;
    double lr;
} Strategy;

/* The named strategy, with what the settings override. Returns 0, or why not: an unknown name, parts that contradict each
 * other. */
const char *strategy_make(Arena *perm, const StrategySettings *s, Strategy *out);
/* "softmax + first-order + l2:0.001 + adam": the parts, as their options take them; what is usual (all operations, choice
 * by the alphas, all channels) is left out. */
const char *strategy_parts(Arena *a, const Strategy *s);
/* All strategies and all parts, for a person. */
const char *strategy_help(Arena *a);

bool strategy_learns(const Strategy *s); /* the alphas move */
/* The one architecture of CHOICE_RANDOM, f(seed): that of nas-derive --random 1 with the same seed. */
Genotype strategy_random(const Space *s, uint64_t seed);

/* Initial alphas, f(seed). Published is 1e-3 × normal (Liu et al. 2019), on a simplex all alike (Li et al. 2021). */
void strategy_start(const Strategy *s, Arch *a, uint64_t seed);
/* weight from raw, what is drawn from it, and that into the engine. */
void strategy_mix(const Strategy *s, Arch *a, const Moment *m, Engine *e, Arena scratch);
/* arch->mixing_grad -> arch->grad, back through sampling and relaxation. */
void strategy_pull_back(const Strategy *s, Arch *a);
/* One update of the alphas; returns the loss of the alpha batch. Nothing is changed if that is not finite. */
double strategy_step(const Strategy *s, const AlphaProblem *p, const AlphaSettings *settings, const Moment *m,
                     Arena scratch);
#endif
