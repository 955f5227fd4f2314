#!/usr/bin/env python3
"""Writes tests/golden/oracle_metrics.txt: what scikit-learn and SciPy make of answers that tests/unit/test_task.c has too.

    python3 tests/oracle/make_metrics.py        (scikit-learn, SciPy, NumPy; the tests themselves need none of them)

Lines are "case metric value", and "case metric[k] value" of one class or output.
"""
import os
import warnings

import numpy as np
import scipy.stats
import sklearn
from sklearn import metrics as sk
from sklearn.utils.class_weight import compute_class_weight

from hashed import hash_u

ROWS = 97
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "oracle_metrics.txt")
out = open(GOLDEN, "w")
out.write("# metrics: case, name, value\n# scikit-learn %s, by tests/oracle/make_metrics.py\n" % sklearn.__version__)
warnings.simplefilter("error")


def line(case, name, value):
    out.write("%s %s %.12g\n" % (case, name, value))


def answers(case, outputs):
    """Multiples of 1/4, so that many are equal."""
    return np.round(12 * hash_u(case, ROWS * outputs)).reshape(ROWS, outputs) / 4


def each(case, truth, score, predicted):
    precision, recall, f1, support = sk.precision_recall_fscore_support(truth, predicted, average=None)
    for k in range(truth.shape[1]):
        line(case, "precision[%d]" % k, precision[k])
        line(case, "recall[%d]" % k, recall[k])
        line(case, "f1[%d]" % k, f1[k])
        line(case, "auroc[%d]" % k, sk.roc_auc_score(truth[:, k], score[:, k]))
        line(case, "average_precision[%d]" % k, sk.average_precision_score(truth[:, k], score[:, k]))
        line(case, "samples[%d]" % k, support[k])


def classes(case, outputs):
    z = answers(case, outputs)
    y = np.floor((hash_u(case + "/label", ROWS) + 1) / 2 * outputs).astype(int)
    z[np.arange(ROWS), y] += 1
    p = np.round(np.exp(z) / np.exp(z).sum(1, keepdims=True), 12)  # equal ones stay equal
    one, predicted = np.eye(outputs)[y], z.argmax(1)
    weight = 1.0 + np.arange(outputs)
    line(case, "loss", sk.log_loss(y, p, sample_weight=weight[y]))
    line(case, "log_loss", sk.log_loss(y, p))
    line(case, "weighted_log_loss", sum(weight[k] * -np.log(p[y == k, k]).mean() for k in range(outputs)) / weight.sum())
    line(case, "accuracy", sk.accuracy_score(y, predicted))
    line(case, "balanced_accuracy", sk.balanced_accuracy_score(y, predicted))
    line(case, "macro_f1", sk.f1_score(y, predicted, average="macro"))
    if outputs > 5:
        line(case, "top5", sk.top_k_accuracy_score(y, z - 1e-6 * np.arange(outputs), k=5))  # the first of equals
    if outputs == 2:
        line(case, "auroc", sk.roc_auc_score(y, p[:, 1]))
        line(case, "average_precision", sk.average_precision_score(y, p[:, 1]))
    else:
        line(case, "auroc", sk.roc_auc_score(y, p, multi_class="ovr", average="macro"))
        line(case, "average_precision", sk.average_precision_score(one, p, average="macro"))
    each(case, one, p, np.eye(outputs)[predicted])
    for k, w in enumerate(compute_class_weight("balanced", classes=np.arange(outputs), y=y)):
        line(case, "balanced[%d]" % k, w)


def labels(case, outputs):
    z = answers(case, outputs)
    y = (hash_u(case + "/label", ROWS * outputs).reshape(ROWS, outputs) + 0.2 * z > 0.4).astype(int)
    p = 1 / (1 + np.exp(-z))
    line(case, "auroc", sk.roc_auc_score(y, p, average="macro"))
    line(case, "average_precision", sk.average_precision_score(y, p, average="macro"))
    line(case, "macro_f1", sk.f1_score(y, z > 0, average="macro"))
    line(case, "micro_f1", sk.f1_score(y, z > 0, average="micro"))
    line(case, "exact_match", sk.accuracy_score(y, z > 0))
    line(case, "hamming_loss", sk.hamming_loss(y, z > 0))
    line(case, "loss", np.mean([sk.log_loss(y[:, k], p[:, k]) for k in range(outputs)]))
    each(case, y, p, (z > 0).astype(int))


def values(case, outputs):
    p = answers(case, outputs)
    y = np.round(4 * (p + 2 * hash_u(case + "/target", ROWS * outputs).reshape(ROWS, outputs))) / 4
    line(case, "rmse", np.sqrt(sk.mean_squared_error(y.ravel(), p.ravel())))
    line(case, "mae", sk.mean_absolute_error(y, p))
    line(case, "r2", sk.r2_score(y, p, multioutput="variance_weighted"))
    line(case, "pearson", np.mean([scipy.stats.pearsonr(p[:, k], y[:, k])[0] for k in range(outputs)]))
    line(case, "spearman", np.mean([scipy.stats.spearmanr(p[:, k], y[:, k])[0] for k in range(outputs)]))
    for k in range(outputs):
        line(case, "rmse[%d]" % k, np.sqrt(sk.mean_squared_error(y[:, k], p[:, k])))
        line(case, "mae[%d]" % k, sk.mean_absolute_error(y[:, k], p[:, k]))
        line(case, "r2[%d]" % k, sk.r2_score(y[:, k], p[:, k]))
        line(case, "pearson[%d]" % k, scipy.stats.pearsonr(p[:, k], y[:, k])[0])
        line(case, "spearman[%d]" % k, scipy.stats.spearmanr(p[:, k], y[:, k])[0])


classes("two", 2)
classes("four", 4)
classes("seven", 7)
labels("labels", 5)
values("values", 11)
out.close()
