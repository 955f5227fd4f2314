/* verdict: the contests that verdict.c judges, for those who draw them or take advice from them. */
#ifndef NAS_VERDICT_H
#define NAS_VERDICT_H
#include "report/parts.h"
#include "report/statistics.h"

enum { MOST_CONTENDERS = 64 };

typedef enum { BY_SEARCH, BY_CHANCE, BY_HAND, SEARCHED_NET } Origin; /* the last: a supernet, which is no control */

typedef struct {
    const char *name;
    Origin origin;
    /* a value a run */
    double *value, *seconds, *parameters, *macs; /* seconds: of training; 0 in the last three: not known */
    int64_t *seed;
    const Evaluation **of;
    int64_t count, room;
    double search_seconds; /* sum over runs */
    Sample sample, cost;
    double size; /* mean of the parameters */
} Contender;

typedef struct {
    const char *dataset, *split, *metric;
    bool higher;
    int64_t samples; /* of the split; the fewest */
    double trivial;
    Contender contender[MOST_CONTENDERS];
    int64_t count;
} Contest;

/* Evaluations of the same metric on the same split of the same dataset: on test splits, where a dataset has been evaluated
 * on one. */
Contest **verdict_contests(const Story *s, Arena *a, int64_t *count);

typedef struct {
    Difference d;    /* x - y, in the metric's own direction */
    const char *how; /* the test; 0: two single runs */
    bool better, worse;
} Judgement;
/* The contender that an evaluation is a run of. */
const char *verdict_name(const Story *s, Arena *a, const Evaluation *e);
Judgement verdict_judge(Arena *a, const Contest *c, const Contender *x, const Contender *y);
#endif
