/* weights: of classes, as given at ingest: in the loss, and in the metric weighted_log_loss.
 *
 *   none       1 throughout
 *   balanced   a class or the positives of a label count as much as the others together would in a balanced set: n / (K n[k])
 *              of the train split, as scikit-learn's "balanced"; of a label (n - n[k]) / n[k]
 *   plasticc   for the metric: 2 for the classes 15, 64 and 99, else 1, classes told by their names (Malz et al. 2019,
 *              arXiv:1809.11145, and the Kaggle challenge of 2018); for the loss: those times "balanced", so that the
 *              training minimises the metric
 *   2,1,0.5    one number above 0 for each output
 */
#ifndef NAS_WEIGHTS_H
#define NAS_WEIGHTS_H
#include "data/dataset.h"

/* Fills d->info.class_weight and .metric_weight; "" is none, and "plasticc" for the loss alone sets the metric's too.
 * After the splits are made. Returns 0 or why not, naming the option. */
const char *weights_assign(Arena *perm, Dataset *d, const char *for_loss, const char *for_metric);
#endif
