/* tree: a decision tree of questions, as volunteers of Galaxy Zoo answer them: an answer may lead to further questions.
 *
 * As text, which DatasetInfo and Network records hold; `#` begins a comment, blanks separate words, names hold none:
 *
 *     normalise softmax                            # or relu: ReLU and division by the sum (engine/loss.h)
 *     question Shape: smooth disk star             # asked of every sample
 *     question Edge after disk: edge-on face-on    # only of those for which the answer was disk
 *     question Bar after face-on: bar no-bar
 *
 * The answers are the outputs, in the order in which they stand, so those of a question are neighbours. Questions come in
 * any order. A question has one answer that leads to it, or none. The target of an output is the fraction of all who gave
 * that answer: the answers of a question add up to the answer that leads to it, or to 1.
 */
#ifndef NAS_TREE_H
#define NAS_TREE_H
#include "engine/graph.h"

typedef struct {
    LossDetail detail;     /* its questions, ordered so that none comes before the one that leads to it */
    const char **question; /* (detail.questions) names, in that order */
    const char **answer;   /* (outputs) names */
    int64_t outputs;
} Tree;

/* Returns 0, or why not: "line 3: …". At most TREE_MAX_OUTPUTS answers. Names are copied. */
const char *tree_parse(Arena *perm, const char *text, Tree *out);
/* The text of a tree that is built in ("galaxy-zoo"), or 0; and the names of all, comma-separated. */
const char *tree_named(const char *name);
const char *tree_names(Arena *perm);
/* Why the targets of a sample do not obey the tree, naming the first question where they do not, or 0. A fraction is from
 * 0 to 1, sums may be off by `tolerance`. */
const char *tree_disobeys(Arena *perm, const Tree *t, const float *targets, double tolerance);
#endif
