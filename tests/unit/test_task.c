/* task: metrics, trivial predictors and predictions against values worked out by hand. */
#include "oracle.h"

#include "data/measure.h"
#include "data/split.h"
#include "data/task.h"
#include "data/tree.h"
#include "data/weights.h"
#include "engine/loss.h"

static Arena perm;

static double value_of(const Metric *m, int64_t n, const char *name)
{
    for (int64_t i = 0; i < n; i++)
        if (!strcmp(m[i].name, name)) return m[i].value;
    return NAN;
}

static double score_of(const ScoreTable *t, int64_t row, const char *metric)
{
    for (int64_t c = 0; c < t->metric_count; c++)
        if (!strcmp(t->metrics[c], metric)) return t->value[row * t->metric_count + c];
    return NAN;
}

static void test_classification(void)
{
    const DatasetInfo d = {.task = "classification", .outputs = 3};
    /* exp: (1,2,1) (4,1,1) (1,1,2) (1,3,1): predicted 1 0 2 1, true 1 1 2 0 */
    const float z[] = {0, (float)M_LN2, 0, 2 * (float)M_LN2, 0, 0, 0, 0, (float)M_LN2, 0, logf(3), 0};
    const float y[] = {1, 1, 2, 0};
    Metric m[16];
    int64_t n = task_metrics(&d, z, y, 4, true, m, 16);
    CHECK_EQ(n, 7);
    CHECK_STR(m[0].name, "loss");
    CHECK_STR(m[1].name, "accuracy");
    CHECK_NEAR(value_of(m, n, "loss"), (log(4.0 / 2) + log(6.0) + log(4.0 / 2) + log(5.0)) / 4, 1e-6);
    CHECK_NEAR(value_of(m, n, "accuracy"), 2.0 / 4, 0);
    /* recalls: class 0: 0/1, class 1: 1/2, class 2: 1/1 */
    CHECK_NEAR(value_of(m, n, "balanced_accuracy"), (0 + 0.5 + 1) / 3, 1e-15);
    /* F1 = 2 right / (true + predicted): 0/2, 2/4, 2/2 */
    CHECK_NEAR(value_of(m, n, "macro_f1"), (0 + 0.5 + 1) / 3, 1e-15);
    CHECK(isnan(value_of(m, n, "top5")));
    CHECK_STR(m[0].split, "");
    CHECK_EQ(task_metrics(&d, z, y, 4, true, m, 2), 2); /* no more than there is room for */
    CHECK_EQ(task_metrics(&d, z, y, 0, true, m, 16), 0);
}

static void test_absent_class(void)
{
    const DatasetInfo d = {.task = "classification", .outputs = 4};
    /* true 0 0, predicted 0 2: class 1 and 3 are nowhere; class 2 is predicted, but never true */
    const float z[] = {5, 0, 0, 0, 0, 0, 5, 0};
    const float y[] = {0, 0};
    Metric m[16];
    int64_t n = task_metrics(&d, z, y, 2, true, m, 16);
    CHECK_NEAR(value_of(m, n, "balanced_accuracy"), 0.5, 1e-15);
    CHECK_NEAR(value_of(m, n, "macro_f1"), (2.0 / 3 + 0) / 2, 1e-15);
}

static void test_top5_and_ties(void)
{
    const DatasetInfo d = {.task = "classification", .outputs = 7};
    float z[5][7] = {{6, 5, 4, 3, 2, 1, 0}, {6, 5, 4, 3, 2, 1, 0}, {0}, {0}, {0}};
    for (int k = 0; k < 7; k++) z[4][k] = NAN;
    /* fifth largest: in; sixth: out; all equal: class 0 is predicted, 0…4 are the top five; NaN is never right */
    const float y[] = {4, 5, 0, 5, 0};
    Metric m[16];
    int64_t n = task_metrics(&d, z[0], y, 5, true, m, 16);
    CHECK_NEAR(value_of(m, n, "top5"), 2.0 / 5, 0);
    CHECK_NEAR(value_of(m, n, "accuracy"), 1.0 / 5, 0);
    CHECK(isnan(value_of(m, n, "loss")));
}

static void test_large_logits(void)
{
    const DatasetInfo d = {.task = "classification", .outputs = 2};
    float z[] = {30000, 0, -30000, -30001};
    const float y[] = {1, 0};
    Metric m[16];
    int64_t n = task_metrics(&d, z, y, 2, true, m, 16);
    CHECK_NEAR(value_of(m, n, "loss"), (30000 + log1p(exp(-1))) / 2, 1e-6);
    task_predict(&d, z, 2);
    CHECK_NEAR(z[0], 1, 0);
    CHECK_NEAR(z[1], 0, 0);
    CHECK_NEAR(z[2], 1 / (1 + exp(-1)), 1e-7);
    CHECK_NEAR(z[2] + z[3], 1, 1e-7);
}

static void test_class_trivial(void)
{
    const DatasetInfo d = {.task = "classification", .outputs = 3};
    const float train[] = {0, 1, 1, 1, 2, 2, 1, 1}; /* 1/8, 5/8, 2/8 */
    const float y[] = {1, 1, 2, 0};
    Metric m[16];
    int64_t n = task_trivial(&d, train, 8, y, 4, m, 16);
    CHECK_NEAR(value_of(m, n, "accuracy"), 0.5, 0);
    CHECK_NEAR(value_of(m, n, "loss"), -(2 * log(5 / 8.0) + log(2 / 8.0) + log(1 / 8.0)) / 4, 1e-6);
    CHECK_NEAR(value_of(m, n, "balanced_accuracy"), 1.0 / 3, 1e-15);
    const float two[] = {0, 0, 1, 1}; /* class 2 is unknown to train: half a sample of 4.5 */
    n = task_trivial(&d, two, 4, y, 4, m, 16);
    CHECK_NEAR(value_of(m, n, "loss"), -(3 * log(2 / 4.5) + log(0.5 / 4.5)) / 4, 1e-6);
}

static void test_regression(void)
{
    double mean[] = {10, 0}, sd[] = {2, 0.5};
    const DatasetInfo d = {.task = "regression", .outputs = 2, .target_mean = mean, .target_sd = sd};
    /* predictions in own units: (10, 0) (12, 1) (8, -1); targets (11, 0) (13, 1) (6, -1): errors -1, -1, 2 and none */
    const float z[] = {0, 0, 1, 2, -1, -2};
    const float y[] = {11, 0, 13, 1, 6, -1};
    Metric m[16];
    int64_t n = task_metrics(&d, z, y, 3, true, m, 16);
    CHECK_EQ(n, 6);
    CHECK_STR(m[1].name, "r2");
    CHECK_NEAR(value_of(m, n, "loss"), (6.0 / 4) / 6, 1e-12);
    CHECK_NEAR(value_of(m, n, "rmse"), sqrt(6.0 / 6), 1e-12);
    CHECK_NEAR(value_of(m, n, "mae"), 4.0 / 6, 1e-12);
    /* SST: around 10: 1 + 9 + 16 = 26; around 0: 2. In units of sd²: 26/4 + 2/0.25 */
    int64_t tables;
    ScoreTable *each = task_scores(&perm, &d, z, y, 3, y, 3, &tables);
    CHECK_EQ(tables, 1);
    CHECK_NEAR(score_of(each, 0, "r2"), 1 - 6.0 / 26, 1e-12);
    CHECK_NEAR(score_of(each, 1, "r2"), 1, 1e-12);
    CHECK_NEAR(score_of(each, 0, "rmse"), sqrt(6.0 / 3), 1e-12);
    CHECK_NEAR(each->baseline[2], 0, 1e-12); /* the mean of the same targets */
    CHECK_NEAR(value_of(m, n, "r2"), 1 - (6 / 4.0) / (26 / 4.0 + 2 / 0.25), 1e-12);

    float p[] = {0, 0, 1, 2}, scaled[4];
    task_predict(&d, p, 2);
    CHECK_NEAR(p[0], 10, 0);
    CHECK_NEAR(p[2], 12, 0);
    CHECK_NEAR(p[3], 1, 0);
    task_scale_targets(&d, p, 2, 2, scaled);
    CHECK_NEAR(scaled[0], 0, 0);
    CHECK_NEAR(scaled[2], 1, 0);
    CHECK_NEAR(scaled[3], 2, 0);
}

static void test_regression_trivial(void)
{
    double mean[] = {2}, sd[] = {1};
    const DatasetInfo d = {.task = "regression", .outputs = 1, .target_mean = mean, .target_sd = sd};
    const float train[] = {1, 2, 3}, y[] = {2, 4}, flat[] = {5, 5}, same[] = {2, 2};
    Metric m[16];
    int64_t n = task_trivial(&d, train, 3, y, 2, m, 16);
    CHECK_NEAR(value_of(m, n, "rmse"), sqrt(2), 1e-12);
    CHECK_NEAR(value_of(m, n, "r2"), 1 - 4.0 / 2, 1e-12); /* errors 0, 2; SST around 3: 1 + 1 */
    n = task_trivial(&d, train, 3, flat, 2, m, 16);
    CHECK_NEAR(value_of(m, n, "r2"), 0, 0);
    n = task_trivial(&d, train, 3, same, 2, m, 16);
    CHECK_NEAR(value_of(m, n, "r2"), 1, 0);
}

static void test_table(void)
{
    CHECK(task_find("classification") && task_find("regression"));
    CHECK(!task_find("") && !task_find("Regression"));
    float y[] = {3, 0, 1}, copy[3];
    const DatasetInfo d = {.task = "classification", .outputs = 4};
    task_scale_targets(&d, y, 3, 1, copy);
    CHECK(!memcmp(y, copy, sizeof y));
    for (int64_t i = 0; i < task_count; i++) { /* every task's metric is known, and is one of its own */
        const MetricInfo *selects = task_metric(task_table[i].metric);
        if (!task_table[i].simulated) CHECK(selects && selects->losses & 1U << task_table[i].loss);
    }
    CHECK(!task_metric("accuracies"));
    CHECK(task_metric("rmse") && !task_metric("rmse")->higher);
}

/* ---- labels ---- */

static void test_labels(void)
{
    double weight[] = {3, 1};
    DatasetInfo d = {.task = "multi-label", .outputs = 2, .class_weight = weight};
    /* probabilities: 1/2 (not above, so not predicted) and 3/4; 1/4 and 7/9 */
    const float third = logf(3), high = logf(3.5F), z[] = {0, third, -third, high}, y[] = {1, 0, 0, 1};
    Metric m[16];
    int64_t n = task_metrics(&d, z, y, 2, true, m, 16);
    CHECK_STR(m[1].name, "auroc");
    CHECK_NEAR(value_of(m, n, "loss"), -(3 * log(0.5) + log(0.25) + log(0.75) + log(7 / 9.0)) / 4, 1e-6);
    CHECK_NEAR(value_of(m, n, "log_loss"), -(log(0.5) + log(0.25) + log(0.75) + log(7 / 9.0)) / 4, 1e-6);
    CHECK_NEAR(value_of(m, n, "auroc"), 1, 0);
    CHECK_NEAR(value_of(m, n, "average_precision"), 1, 0);
    /* label 0: one true, none predicted; label 1: predicted twice, once right: 2·1 / (1 + 2) */
    CHECK_NEAR(value_of(m, n, "macro_f1"), (0 + 2.0 / 3) / 2, 1e-12);
    CHECK_NEAR(value_of(m, n, "micro_f1"), 2.0 / (2 + 2), 1e-12);
    CHECK_NEAR(value_of(m, n, "exact_match"), 1.0 / 2, 0);
    CHECK_NEAR(value_of(m, n, "hamming_loss"), 2.0 / 4, 0);
    /* bins of a fifteenth: 1/4 (right 0), 1/2 (1), 3/4 and 7/9 share one (0 and 1) */
    CHECK_NEAR(value_of(m, n, "ece"), (0.25 + 0.5 + fabs(0.75 + 7 / 9.0 - 1)) / 4, 1e-6);
    float p[] = {0, third, -third, high};
    task_predict(&d, p, 2);
    CHECK_NEAR(p[1], 0.75, 1e-6);
    CHECK_NEAR(p[2], 0.25, 1e-6);
    /* trivial: 3 of 4 and 0 of 4 (taken as half a sample) */
    const float train[] = {1, 0, 1, 0, 1, 0, 0, 0};
    n = task_trivial(&d, train, 4, y, 2, m, 16);
    CHECK_NEAR(value_of(m, n, "log_loss"), -(log(0.75) + log(1 - 0.125) + log(0.25) + log(0.125)) / 4, 1e-6);
    CHECK_NEAR(value_of(m, n, "auroc"), 0.5, 0);
    /* an extreme logit has a finite loss; NaN is never right */
    const float far[] = {-1e4F, 1e4F, NAN, 0};
    n = task_metrics(&d, far, y, 1, true, m, 16);
    CHECK_NEAR(value_of(m, n, "log_loss"), 1e4, 1e-6);
    n = task_metrics(&d, far + 2, y, 1, true, m, 16);
    CHECK(isnan(value_of(m, n, "loss")));
    CHECK_NEAR(value_of(m, n, "hamming_loss"), 0.5, 0);
}

/* Where only one class or label value occurs, areas are not defined, and means leave them out. */
static void test_undefined(void)
{
    DatasetInfo d = {.task = "classification", .outputs = 3};
    const float z[] = {1, 0, 0, 0, 1, 0, 0, 1, 0}, only[] = {1, 1, 1}, two[] = {0, 1, 1};
    Metric m[16];
    int64_t tables, n = task_metrics(&d, z, only, 3, true, m, 16);
    CHECK(isnan(value_of(m, n, "auroc")));
    CHECK_NEAR(value_of(m, n, "average_precision"), 1, 1e-12); /* of the class that occurs: all are positive */
    n = task_metrics(&d, z, two, 3, true, m, 16);
    CHECK_NEAR(value_of(m, n, "auroc"), 1, 0); /* of classes 0 and 1 */
    ScoreTable *t = task_scores(&perm, &d, z, two, 3, two, 3, &tables);
    CHECK(isnan(score_of(t, 2, "auroc")) && isnan(score_of(t, 2, "recall")) && isnan(score_of(t, 2, "precision")));
    CHECK_NEAR(score_of(t, 2, "samples"), 0, 0);
    CHECK_NEAR(t->baseline[3], 0.5, 0);
    double area, precision;
    Scored s[] = {{0.5, true}, {NAN, false}};
    measure_ranking(s, 2, &area, &precision);
    CHECK(isnan(area) && isnan(precision));
    measure_ranking(s, 0, &area, &precision);
    CHECK(isnan(area) && isnan(precision));
    double x[] = {2, 2, 2}, y[] = {1, 2, 3};
    CHECK(isnan(measure_correlation(x, y, 3)));
}

static void test_measures(void)
{
    /* falling scores + (- +) -, equal in parentheses: pairs 1 + 1 + 1/2 + 1 of 4; precision 1/2·1 + 1/2·2/3 */
    Scored s[] = {{1, false}, {2, true}, {2, false}, {3, true}};
    double area, precision;
    measure_ranking(s, 4, &area, &precision);
    CHECK_NEAR(area, 3.5 / 4, 1e-15);
    CHECK_NEAR(precision, 0.5 + 0.5 * 2 / 3, 1e-15);
    double x[] = {10, 30, 10, 20};
    int64_t index[4];
    measure_ranks(x, index, 4);
    CHECK(x[0] == 1.5 && x[1] == 4 && x[2] == 1.5 && x[3] == 3);
    double a[] = {1, 2, 3}, b[] = {2, 4, 6}, c[] = {3, 1, 2};
    CHECK_NEAR(measure_correlation(a, b, 3), 1, 1e-15);
    CHECK_NEAR(measure_correlation(a, c, 3), -0.5, 1e-15);
    Calibration k = {0};
    CHECK(isnan(measure_calibration(&k)));
    for (int i = 0; i < 4; i++) measure_confidence(&k, 0.9, i < 3); /* right 3 of 4 */
    measure_confidence(&k, 1, true);
    measure_confidence(&k, 0, false);
    CHECK_NEAR(measure_calibration(&k), (4 * 0.9 - 3) / 6, 1e-12);
}

/* ---- scikit-learn ---- */

typedef struct {
    const char *name, *task;
    int64_t outputs;
    DatasetInfo info;
    Metric m[32];
    int64_t count;
    ScoreTable *each;
    double balanced[16];
} Case;

enum { ORACLE_ROWS = 97 };

static void run_case(Case *c)
{
    const int64_t K = c->outputs;
    const bool classes = !strcmp(c->task, "classification"), labels = !strcmp(c->task, "multi-label");
    char other[64];
    snprintf(other, sizeof other, "%s/%s", c->name, classes || labels ? "label" : "target");
    double *weight = NEW(&perm, double, K), *zero = NEW(&perm, double, K), *one = NEW(&perm, double, K);
    float *z = NEW(&perm, float, ORACLE_ROWS *K), *y = NEW(&perm, float, ORACLE_ROWS *K);
    for (int64_t k = 0; k < K; k++) weight[k] = (double)k + 1, one[k] = 1;
    c->info = (DatasetInfo){.task = c->task, .outputs = K, .target_mean = zero, .target_sd = one};
    if (classes) c->info.class_weight = c->info.metric_weight = weight;
    for (int64_t i = 0; i < ORACLE_ROWS * K; i++) {
        double v = nearbyint(12 * hash_u(c->name, i)) / 4;
        z[i] = (float)v;
        if (labels) y[i] = hash_u(other, i) + 0.2 * v > 0.4;
        if (!labels) y[i] = (float)(nearbyint(4 * (v + 2 * hash_u(other, i))) / 4);
    }
    for (int64_t i = 0; classes && i < ORACLE_ROWS; i++) {
        y[i] = (float)floor((hash_u(other, i) + 1) / 2 * (double)K);
        z[i * K + (int64_t)y[i]] += 1;
    }
    int64_t tables;
    c->count = task_metrics(&c->info, z, y, ORACLE_ROWS, true, c->m, COUNTOF(c->m));
    c->each = task_scores(&perm, &c->info, z, y, ORACLE_ROWS, 0, 0, &tables);
    CHECK(!c->each->baseline);
    if (classes) {
        Dataset d = {.info = c->info, .target_width = 1, .split = {{.count = ORACLE_ROWS, .targets = y}}};
        CHECK_STR(weights_assign(&perm, &d, "balanced", "none"), 0);
        memcpy(c->balanced, d.info.class_weight, (size_t)K * sizeof *c->balanced);
    }
}

static void test_oracle(void)
{
    Case cases[] = {{"two", "classification", 2},
                    {"four", "classification", 4},
                    {"seven", "classification", 7},
                    {"labels", "multi-label", 5},
                    {"values", "regression", 11}};
    for (int i = 0; i < COUNTOF(cases); i++) run_case(&cases[i]);
    FILE *f = open_golden("oracle_metrics.txt");
    char line[256], name[64], metric[64], key[64];
    int64_t lines = 0;
    while (f && fgets(line, sizeof line, f)) {
        double value, got;
        int row = -1;
        if (*line == '#' || sscanf(line, "%63s %63s %lf", name, metric, &value) != 3) continue;
        const Case *c = 0;
        for (int i = 0; i < COUNTOF(cases); i++)
            if (!strcmp(cases[i].name, name)) c = &cases[i];
        if (!CHECK(c)) continue;
        if (sscanf(metric, "%63[^[][%d]", key, &row) < 2) row = -1;
        got = row < 0                    ? value_of(c->m, c->count, metric)
              : !strcmp(key, "balanced") ? c->balanced[row]
                                         : score_of(c->each, row, key);
        CHECK_MSG(fabs(got - value) <= 1e-6 * fabs(value) + 1e-9, "%s: %s is %.12g, scikit-learn says %.12g", name,
                  metric, got, value);
        lines++;
    }
    if (f) fclose(f);
    CHECK(lines > 200);
}

/* ---- trees ---- */

static const char small_tree[] = "# shapes\n"
                                 "question Bar after face-on : bar no-bar\n"
                                 "question Shape: smooth disk star\n\n"
                                 "\tquestion Edge after disk:edge-on face-on # seen from the side?\r\n";

static void test_tree_text(void)
{
    Tree t;
    CHECK_STR(tree_parse(&perm, small_tree, &t), 0);
    CHECK_EQ(t.outputs, 7);
    CHECK_STR(t.answer[0], "bar");
    CHECK_STR(t.answer[6], "face-on");
    CHECK(!t.detail.divisive);
    CHECK_EQ(t.detail.questions, 3);
    CHECK_STR(t.question[0], "Shape");
    CHECK_STR(t.question[1], "Edge");
    CHECK_STR(t.question[2], "Bar");
    CHECK(t.detail.question[1].first == 5 && t.detail.question[1].count == 2 && t.detail.question[1].parent == 3);
    CHECK(t.detail.question[2].first == 0 && t.detail.question[2].parent == 6);
    CHECK_STR(tree_parse(&perm, arena_printf(&perm, "%s\nnormalise relu\n", small_tree), &t), 0);
    CHECK(t.detail.divisive);

    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "no question"},
        {"# nothing\n", "no question"},
        {"ask A: b c\n", "line 1: \"ask\": normalise or question"},
        {"normalise sigmoid\n", "line 1: normalise softmax"},
        {"normalise\n", "line 1: normalise softmax"},
        {"question\n", "without a name"},
        {"question A\n", "\": answer answer …\" expected"},
        {"question A b c\n", "\": answer answer …\" expected"},
        {"question A:\n", "two answers or more"},
        {"question A: b\n", "two answers or more"},
        {"question A: b : c\n", "not a name"},
        {"question A: b b\n", "answer b stands there twice"},
        {"question A: b c\nquestion A: d e\n", "line 2: question A stands there twice"},
        {"question A: b c\nquestion D: b e\n", "line 2: answer b stands there twice"},
        {"question A after: b c\n", "after which answer?"},
        {"question A: b c\nquestion D after b c: e f\n", "line 2: question D: two parents, b and c"},
        {"question A: b c\nquestion D after b after c: e f\n", "line 2: question D: two parents"},
        {"question A: b c\nquestion D after x: e f\n", "line 2: question D: after x: no question has this answer"},
        {"question A after A: b c\n", "line 1: question A: after A: no question has this answer"},
        {"question A after b: b c\n", "line 1: question A: it leads to itself"},
        {"question X: y z\nquestion A after e: b c\nquestion D after b: e f\nquestion G after f: h i\n",
         "it leads to itself: the questions go in a circle"},
    };
    for (int i = 0; i < COUNTOF(bad); i++) CHECK_CONTAINS(tree_parse(&perm, bad[i].text, &t), bad[i].why);
    Text many = {0};
    text_add(&perm, &many, "question A:");
    for (int i = 0; i <= TREE_MAX_OUTPUTS; i++) text_addf(&perm, &many, " a%d", i);
    CHECK_CONTAINS(tree_parse(&perm, many.s, &t), "more than 1024 answers");
}

/* The routing of Galaxy Zoo, column by column: the outputs that a question begins with, and the one that leads to it. */
static void test_galaxy_zoo(void)
{
    static const int first[] = {0, 3, 5, 7, 9, 13, 15, 18, 25, 28, 31}, count[] = {3, 2, 2, 2, 4, 2, 3, 7, 3, 3, 6};
    static const int parent[] = {-1, 1, 4, 4, 4, -1, 0, 13, 3, 7, 7};
    Tree t;
    CHECK_STR(tree_parse(&perm, tree_named("galaxy-zoo"), &t), 0);
    CHECK_EQ(t.outputs, 37);
    CHECK_EQ(t.detail.questions, 11);
    bool placed[37] = {0};
    for (int32_t k = 0; k < t.detail.questions; k++) {
        const Question *q = &t.detail.question[k];
        int i = 0;
        while (i < 11 && first[i] != q->first) i++;
        if (!CHECK(i < 11)) return;
        CHECK_EQ(q->count, count[i]);
        CHECK_EQ(q->parent, parent[i]);
        CHECK_STR(t.question[k], arena_printf(&perm, "Class%d", i + 1));
        CHECK(q->parent < 0 || placed[q->parent]);
        for (int a = 0; a < q->count; a++) {
            placed[q->first + a] = true;
            CHECK_STR(t.answer[q->first + a], arena_printf(&perm, "Class%d.%d", i + 1, a + 1));
        }
    }
    float y[37] = {0}; /* equal answers everywhere */
    for (int32_t k = 0; k < t.detail.questions; k++) {
        const Question *q = &t.detail.question[k];
        for (int a = 0; a < q->count; a++) y[q->first + a] = (q->parent < 0 ? 1 : y[q->parent]) / (float)q->count;
    }
    CHECK_STR(tree_disobeys(&perm, &t, y, 1e-5), 0);
    y[20] += 0.01F;
    CHECK_CONTAINS(tree_disobeys(&perm, &t, y, 1e-5),
                   "the answers of question Class8 add up to 0.51, expected 0.5, the fraction of Class6.1");
    CHECK_STR(tree_disobeys(&perm, &t, y, 0.02), 0);
    y[20] = 1.5F;
    CHECK_CONTAINS(tree_disobeys(&perm, &t, y, 1), "answer Class8.3 is 1.5: a fraction");
    y[20] = NAN;
    CHECK(tree_disobeys(&perm, &t, y, 1) != 0);
}

static void test_tree_metrics(void)
{
    const char *relu = "normalise relu\nquestion A: a b\nquestion B after a: c d\n";
    DatasetInfo d = {.task = "tree", .outputs = 4, .tree = relu};
    CHECK_STR(task_take_tree(&perm, &d, relu), 0);
    CHECK_STR(d.output_names[3], "d");
    CHECK_STR(task_check(&perm, &d), 0);
    /* a 3/4, b 1/4; c, d: 3/4 of 0 and 1. Then nothing above 0: all 0 */
    const float z[] = {3, 1, -1, 2, -1, -2, 1, 1}, y[] = {0.75F, 0.25F, 0.25F, 0.5F, 0, 1, 0, 0};
    float p[8];
    memcpy(p, z, sizeof p);
    task_predict(&d, p, 2);
    CHECK(p[0] == 0.75F && p[1] == 0.25F && p[2] == 0 && p[3] == 0.75F);
    CHECK(p[4] == 0 && p[5] == 0 && p[6] == 0 && p[7] == 0);
    Metric m[16];
    int64_t n = task_metrics(&d, z, y, 2, true, m, 16);
    CHECK_STR(m[1].name, "rmse");
    CHECK_NEAR(value_of(m, n, "rmse"), sqrt((2 * 0.0625 + 1) / 8), 1e-7);
    CHECK_NEAR(value_of(m, n, "loss"), (2 * 0.0625 + 1) / 8, 1e-7);
    int64_t tables;
    ScoreTable *t = task_scores(&perm, &d, z, y, 2, y, 2, &tables);
    CHECK_EQ(tables, 2);
    CHECK_STR(t[1].name, "question");
    CHECK_STR(t[1].rows[1], "B");
    CHECK_NEAR(score_of(&t[1], 1, "rmse"), sqrt(2 * 0.0625 / 4), 1e-7);
    /* the mean of the targets obeys the tree */
    CHECK_NEAR(t[1].baseline[0], sqrt(4 * 0.375 * 0.375 / 4), 1e-7);

    /* softmax: 2/3 1/3, and the half of 2/3 each */
    const char *soft = "question A: a b\nquestion B after a: c d\n";
    d.tree = soft;
    float q[] = {logf(2), 0, 5, 5};
    task_predict(&d, q, 1);
    CHECK_NEAR(q[0], 2.0 / 3, 1e-6);
    CHECK_NEAR(q[3], 1.0 / 3, 1e-6);
}

/* Logits that stand for predictions predict them again. */
static void test_unpredict(void)
{
    double mean[] = {1, 2, 3, 4}, sd[] = {1, 2, 3, 4};
    DatasetInfo d[] = {{.task = "classification"},
                       {.task = "regression", .target_mean = mean, .target_sd = sd},
                       {.task = "multi-label"},
                       {.task = "tree", .tree = "question A: a b\nquestion B after a: c d\n"},
                       {.task = "tree", .tree = "normalise relu\nquestion A: a b\nquestion B after a: c d\n"}};
    for (int i = 0; i < COUNTOF(d); i++) {
        float z[] = {3, 1, 0.5F, 2, 0, 1, 2, -1}, p[8], again[8]; /* the last has hard zeros, by relu */
        d[i].outputs = 4;
        memcpy(p, z, sizeof p);
        task_predict(&d[i], p, 2);
        memcpy(again, p, sizeof p);
        task_unpredict(&d[i], again, 2);
        task_predict(&d[i], again, 2);
        for (int k = 0; k < 8; k++) CHECK_NEAR(again[k], p[k], 1e-6);
    }
}

/* ---- losses: the gradient is the slope ---- */

static void check_slopes(const char *what, LossKind kind, const LossDetail *d, int64_t K, const float *z,
                         const float *y)
{
    float grad[64], moved[64];
    double over = 2.5;
    loss_row(kind, d, K, z, y, over, grad);
    for (int64_t k = 0; k < K; k++) {
        double f[2], at[2];
        for (int s = 0; s < 2; s++) {
            memcpy(moved, z, (size_t)K * sizeof *z);
            moved[k] += s ? 1e-3F : -1e-3F;
            at[s] = (double)moved[k];
            f[s] = loss_row(kind, d, K, moved, y, over, 0) / over;
        }
        double slope = (f[1] - f[0]) / (at[1] - at[0]);
        CHECK_MSG(fabs(slope - (double)grad[k]) <= 2e-4 * (fabs(slope) + 0.1), "%s: dLoss/dz[%d] is %.7g, slope %.7g",
                  what, (int)k, (double)grad[k], slope);
    }
}

static void test_slopes(void)
{
    double weight[64];
    float z[64], label[1] = {3}, binary[64], value[64], fraction[64];
    Tree t;
    CHECK_STR(tree_parse(&perm, tree_named("galaxy-zoo"), &t), 0);
    for (int sample = 0; sample < 4; sample++) {
        for (int k = 0; k < 64; k++) {
            weight[k] = 1 + 0.1 * k;
            z[k] = (float)(2 * hash_u("z", 64 * sample + k));
            binary[k] = hash_u("y", 64 * sample + k) > 0;
            value[k] = (float)hash_u("v", 64 * sample + k);
            fraction[k] = (float)fabs(hash_u("f", 64 * sample + k));
            if (fabs(z[k]) < 0.05) z[k] += 0.1F; /* off the kink of a ReLU */
        }
        LossDetail weighted = {.weight = weight}, plain = {0};
        check_slopes("classes", LOSS_CROSS_ENTROPY, &plain, 9, z, label);
        check_slopes("weighted classes", LOSS_CROSS_ENTROPY, &weighted, 9, z, label);
        check_slopes("values", LOSS_MSE, &plain, 9, z, value);
        const LossDetail soft = {.soft = true}, both = {.soft = true, .weight = weight};
        check_slopes("soft classes", LOSS_CROSS_ENTROPY, &soft, 9, z, fraction);
        check_slopes("weighted soft classes", LOSS_CROSS_ENTROPY, &both, 9, z, fraction);
        check_slopes("labels", LOSS_BINARY, &plain, 9, z, binary);
        check_slopes("weighted labels", LOSS_BINARY, &weighted, 9, z, binary);
        t.detail.divisive = false;
        check_slopes("tree, softmax", LOSS_TREE, &t.detail, 37, z, fraction);
        for (int k = 0; k < 37; k += 2) z[k] = fabsf(z[k]); /* no question without an answer above 0 */
        z[13] = 1, z[3] = 0.5F;
        t.detail.divisive = true;
        check_slopes("tree, relu", LOSS_TREE, &t.detail, 37, z, fraction);
    }
    /* a question without any: its gradient goes on, so that it can recover */
    const char *text = "normalise relu\nquestion A: a b\n";
    const float dead[] = {-1, -2}, half[] = {0.75F, 0.25F};
    float grad[2];
    CHECK_STR(tree_parse(&perm, text, &t), 0);
    loss_row(LOSS_TREE, &t.detail, 2, dead, half, 1, grad);
    CHECK_NEAR(grad[0], -1.5, 1e-6);
    CHECK_NEAR(grad[1], -0.5, 1e-6);
    const float lost[] = {NAN, 1};
    CHECK(isnan(loss_row(LOSS_TREE, &t.detail, 2, lost, half, 1, grad)));
}

/* A batch's loss is the weighted mean over its rows, as PyTorch's. */
static void test_weighted_mean(void)
{
    double weight[] = {1, 3};
    const LossDetail d = {.weight = weight};
    const float z[] = {0, 0, logf(3), 0}, y[] = {0, 1};
    double over = 0, total = 0;
    for (int i = 0; i < 2; i++) over += loss_share(LOSS_CROSS_ENTROPY, &d, 2, y + i);
    for (int i = 0; i < 2; i++) total += loss_row(LOSS_CROSS_ENTROPY, &d, 2, z + 2 * i, y + i, over, 0);
    CHECK_NEAR(total / over, (log(2) + 3 * log(4)) / 4, 1e-6);
}

/* ---- weights ---- */

static void test_weights(void)
{
    const char *names[] = {"90", "15", "64"};
    const float y[] = {0, 0, 1, 1, 1, 1, 2, 2};
    Dataset d = {.info = {.task = "classification", .outputs = 3, .output_names = names},
                 .target_width = 1,
                 .split = {{.count = 8, .targets = y}}};
    CHECK_STR(weights_assign(&perm, &d, "none", ""), 0);
    CHECK(!d.info.class_weight && !d.info.metric_weight);
    CHECK_STR(weights_assign(&perm, &d, "plasticc", "none"), 0);
    CHECK(d.info.metric_weight[0] == 1 && d.info.metric_weight[1] == 2 && d.info.metric_weight[2] == 2);
    CHECK_NEAR(d.info.class_weight[0], 8.0 / 3 / 2, 1e-12);
    CHECK_NEAR(d.info.class_weight[1], 2 * 8.0 / 3 / 4, 1e-12);
    CHECK_STR(task_selects(&d.info)->name, "weighted_log_loss");
    CHECK(!task_selects(&d.info)->higher);
    /* p of the true class: 1/2 of class 0; 1/4 of class 1; class 2 does not occur: (1·ln 2 + 2·ln 4) / 3 */
    const float z[] = {logf(2), 0, 0, 0, 0, logf(2)}, two[] = {0, 1};
    Metric m[16];
    int64_t n = task_metrics(&d.info, z, two, 2, true, m, 16);
    CHECK_STR(m[1].name, "weighted_log_loss");
    CHECK_NEAR(value_of(m, n, "weighted_log_loss"), (log(2) + 2 * log(4)) / 3, 1e-6);
    const float sure[] = {1e4F, 0, 0}, wrong[] = {1};
    n = task_metrics(&d.info, sure, wrong, 1, true, m, 16);
    CHECK_NEAR(value_of(m, n, "weighted_log_loss"), -log(1e-15), 1e-9);
    CHECK_NEAR(value_of(m, n, "log_loss"), 1e4, 1e-6);
    CHECK_STR(weights_assign(&perm, &d, "1,2.5,3", "3,2,1"), 0);
    CHECK(d.info.class_weight[1] == 2.5 && d.info.metric_weight[0] == 3);

    CHECK_CONTAINS(weights_assign(&perm, &d, "1,-1,3", ""), "--class-weights 1,-1,3: weight 1 is -1");
    CHECK_CONTAINS(weights_assign(&perm, &d, "1,0,3", ""), "a number above 0");
    CHECK_CONTAINS(weights_assign(&perm, &d, "1,inf,3", ""), "a number above 0");
    CHECK_CONTAINS(weights_assign(&perm, &d, "1,2", ""), "2 weights for 3 outputs");
    CHECK_CONTAINS(weights_assign(&perm, &d, "1,2,3,4", ""), "4 weights for 3 outputs");
    CHECK_CONTAINS(weights_assign(&perm, &d, "1,2,", ""), "a number for each output");
    CHECK_CONTAINS(weights_assign(&perm, &d, "most", ""), "\"most\"");
    names[0] = "89";
    CHECK_CONTAINS(weights_assign(&perm, &d, "plasticc", ""), "class 89 is none of PLAsTiCC's");
    d.split[0].count = 6;
    CHECK_CONTAINS(weights_assign(&perm, &d, "balanced", ""), "64 has no sample");
    d.info.task = "regression";
    CHECK_CONTAINS(weights_assign(&perm, &d, "balanced", ""), "not for regression");
    CHECK_CONTAINS(weights_assign(&perm, &d, "none", "1,1,1"), "not for regression");
    d.info.task = "multi-label"; /* rows of three: 0 0 1 | 1 1 1 */
    const float labels[] = {0, 0, 1, 1, 1, 1, 0, 1, 1};
    d.split[0] = (SplitData){.count = 3, .targets = labels};
    d.target_width = 3;
    CHECK_CONTAINS(weights_assign(&perm, &d, "balanced", ""), "64 has nothing but positives");
    d.info.outputs = d.target_width = 1;
    d.split[0].count = 9;
    CHECK_STR(weights_assign(&perm, &d, "balanced", ""), 0);
    CHECK_NEAR(d.info.class_weight[0], 3.0 / 6, 1e-15);
}

/* ---- bad input ---- */

static void test_checks(void)
{
    double weight[] = {1, -2}, good[] = {1, 2};
    DatasetInfo d = {.task = "classification", .outputs = 2, .class_weight = weight};
    CHECK_CONTAINS(task_check(&perm, &d), "class weight 1 is -2");
    d.class_weight = good;
    CHECK_STR(task_check(&perm, &d), 0);
    d.metric = "rmse";
    CHECK_CONTAINS(task_check(&perm, &d), "metric rmse: not one of classification: accuracy");
    d.metric = "weighted_log_loss";
    CHECK_CONTAINS(task_check(&perm, &d), "not measured");
    d.metric_weight = weight;
    CHECK_CONTAINS(task_check(&perm, &d), "weight for weighted_log_loss 1 is -2");
    d.metric_weight = good;
    CHECK_STR(task_check(&perm, &d), 0);
    d.metric = "balanced_accuracy";
    CHECK_STR(task_selects(&d)->name, "balanced_accuracy");
    d = (DatasetInfo){.task = "regression", .outputs = 2, .class_weight = good};
    CHECK_CONTAINS(task_check(&perm, &d), "class weights do not go with regression");
    d = (DatasetInfo){.task = "regression", .outputs = 2, .tree = "question A: b c"};
    CHECK_CONTAINS(task_check(&perm, &d), "a tree does not go with regression");
    d = (DatasetInfo){.task = "tree", .outputs = 2, .tree = ""};
    CHECK_CONTAINS(task_check(&perm, &d), "missing");
    d.tree = "question A: b c d";
    CHECK_CONTAINS(task_check(&perm, &d), "3 answers, there are 2 outputs");
    d.tree = "question A b";
    CHECK_CONTAINS(task_check(&perm, &d), "the tree of questions: line 1");
    const char *other[] = {"c", "b"};
    d.output_names = other;
    CHECK_CONTAINS(task_take_tree(&perm, &d, "question A: b c"), "output 0 is c, answer 0 of the tree b");

    int64_t row, bad;
    d = (DatasetInfo){.task = "classification", .outputs = 3};
    const float classes[] = {0, 2, 3, -1, 1.5F, NAN};
    CHECK_STR(task_check_targets(&perm, &d, classes, 2, 0, &row, &bad), 0);
    CHECK_CONTAINS(task_check_targets(&perm, &d, classes, 6, 0, &row, &bad), "has label 3: a whole number below 3");
    CHECK(row == 2 && bad == 4);
    d = (DatasetInfo){.task = "multi-label", .outputs = 2};
    const float labels[] = {0, 1, 1, 2};
    CHECK_CONTAINS(task_check_targets(&perm, &d, labels, 2, 0, &row, &bad), "has 2 for label 1: 0 or 1");
    CHECK(row == 1 && bad == 1);
    d = (DatasetInfo){.task = "tree", .outputs = 2, .tree = "question A: b c"};
    const float fractions[] = {0.25F, 0.75F, 0.5F, 0.25F};
    CHECK_CONTAINS(task_check_targets(&perm, &d, fractions, 2, 1e-5, &row, &bad),
                   "does not obey the tree: the answers of question A add up to 0.75, expected 1");
    CHECK(row == 1 && bad == 1);
    CHECK_STR(task_check_targets(&perm, &d, fractions, 2, INFINITY, &row, &bad), 0);

    const char *names[] = {"cat", "dog", "owl"};
    const float some[] = {0, 0, 1}, all[] = {0, 1, 2};
    Dataset set = {.info = {.task = "classification", .outputs = 3, .output_names = names}, .target_width = 1};
    set.split[SPLIT_TRAIN] = (SplitData){.count = 3, .targets = all};
    CHECK_STR(split_missing(&perm, &set), 0);
    set.split[SPLIT_TEST] = (SplitData){.count = 3, .targets = some};
    CHECK_STR(split_missing(&perm, &set), "class owl: none in test");
    set.info.task = "multi-label";
    set.target_width = 3;
    set.split[SPLIT_TRAIN].count = set.split[SPLIT_TEST].count = 1;
    CHECK_STR(split_missing(&perm, &set), "label cat: none in train; label cat: none in test; label dog: none in test");
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 30);
    CHECK_RUN(test_classification);
    CHECK_RUN(test_absent_class);
    CHECK_RUN(test_top5_and_ties);
    CHECK_RUN(test_large_logits);
    CHECK_RUN(test_class_trivial);
    CHECK_RUN(test_regression);
    CHECK_RUN(test_regression_trivial);
    CHECK_RUN(test_table);
    CHECK_RUN(test_labels);
    CHECK_RUN(test_undefined);
    CHECK_RUN(test_measures);
    CHECK_RUN(test_oracle);
    CHECK_RUN(test_tree_text);
    CHECK_RUN(test_galaxy_zoo);
    CHECK_RUN(test_tree_metrics);
    CHECK_RUN(test_unpredict);
    CHECK_RUN(test_slopes);
    CHECK_RUN(test_weighted_mean);
    CHECK_RUN(test_weights);
    CHECK_RUN(test_checks);
    return check_done("task");
}
