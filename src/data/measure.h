/* measure: what metrics are made of, over all samples at once and in double. Undefined values are NaN. */
#ifndef NAS_MEASURE_H
#define NAS_MEASURE_H
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    double score;
    bool positive;
} Scored;

/* Sorts s by falling score. Area under the ROC curve, which is the chance that a positive scores above a negative, ties
 * counting half; average precision, sum of (recall - recall before) × precision over the distinct scores: both as
 * scikit-learn's roc_auc_score and average_precision_score. NaN without a positive or (area) without a negative, and if a
 * score is NaN. */
void measure_ranking(Scored *s, int64_t n, double *area, double *average_precision);

/* Puts the rank (from 1; equals share the mean of theirs) of every x[i] in its place; index (n) is working memory. */
void measure_ranks(double *x, int64_t *index, int64_t n);
/* Pearson's correlation; NaN if one of them is constant. With ranks, Spearman's. */
double measure_correlation(const double *x, const double *y, int64_t n);

/* Expected calibration error (Guo et al. 2017, arXiv:1706.04599): the mean over MEASURE_BINS equally wide bins of
 * confidence of |right - confidence|, weighted by how many fall in. */
enum { MEASURE_BINS = 15 };
typedef struct {
    double confidence[MEASURE_BINS], right[MEASURE_BINS], count[MEASURE_BINS];
} Calibration;
void measure_confidence(Calibration *c, double confidence, bool right);
double measure_calibration(const Calibration *c);
#endif
