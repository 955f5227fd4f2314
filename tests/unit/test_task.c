/* task: metrics, trivial predictors and predictions against values worked out by hand. */
#include "check.h"

#include "data/task.h"

static double value_of(const Metric *m, int64_t n, const char *name)
{
    for (int64_t i = 0; i < n; i++)
        if (!strcmp(m[i].name, name)) return m[i].value;
    return NAN;
}

static void test_classification(void)
{
    const Task *t = task_find("classification");
    const DatasetInfo d = {.task = "classification", .outputs = 3};
    /* exp: (1,2,1) (4,1,1) (1,1,2) (1,3,1): predicted 1 0 2 1, true 1 1 2 0 */
    const float z[] = {0, (float)M_LN2, 0, 2 * (float)M_LN2, 0, 0, 0, 0, (float)M_LN2, 0, logf(3), 0};
    const float y[] = {1, 1, 2, 0};
    Metric m[16];
    int64_t n = t->metrics(&d, z, y, 4, m, 16);
    CHECK_EQ(n, 4);
    CHECK_NEAR(value_of(m, n, "loss"), (log(4.0 / 2) + log(6.0) + log(4.0 / 2) + log(5.0)) / 4, 1e-6);
    CHECK_NEAR(value_of(m, n, "accuracy"), 2.0 / 4, 0);
    /* recalls: class 0: 0/1, class 1: 1/2, class 2: 1/1 */
    CHECK_NEAR(value_of(m, n, "balanced_accuracy"), (0 + 0.5 + 1) / 3, 1e-15);
    /* F1 = 2 right / (true + predicted): 0/2, 2/4, 2/2 */
    CHECK_NEAR(value_of(m, n, "macro_f1"), (0 + 0.5 + 1) / 3, 1e-15);
    CHECK(isnan(value_of(m, n, "top5")));
    CHECK_STR(m[0].split, "");
    CHECK_EQ(t->metrics(&d, z, y, 4, m, 2), 2); /* no more than there is room for */
    CHECK_EQ(t->metrics(&d, z, y, 0, m, 16), 0);
}

static void test_absent_class(void)
{
    const Task *t = task_find("classification");
    const DatasetInfo d = {.task = "classification", .outputs = 4};
    /* true 0 0, predicted 0 2: class 1 and 3 are nowhere; class 2 is predicted, but never true */
    const float z[] = {5, 0, 0, 0, 0, 0, 5, 0};
    const float y[] = {0, 0};
    Metric m[16];
    int64_t n = t->metrics(&d, z, y, 2, m, 16);
    CHECK_NEAR(value_of(m, n, "balanced_accuracy"), 0.5, 1e-15);
    CHECK_NEAR(value_of(m, n, "macro_f1"), (2.0 / 3 + 0) / 2, 1e-15);
}

static void test_top5_and_ties(void)
{
    const Task *t = task_find("classification");
    const DatasetInfo d = {.task = "classification", .outputs = 7};
    float z[5][7] = {{6, 5, 4, 3, 2, 1, 0}, {6, 5, 4, 3, 2, 1, 0}, {0}, {0}, {0}};
    for (int k = 0; k < 7; k++) z[4][k] = NAN;
    /* fifth largest: in; sixth: out; all equal: class 0 is predicted, 0…4 are the top five; NaN is never right */
    const float y[] = {4, 5, 0, 5, 0};
    Metric m[16];
    int64_t n = t->metrics(&d, z[0], y, 5, m, 16);
    CHECK_NEAR(value_of(m, n, "top5"), 2.0 / 5, 0);
    CHECK_NEAR(value_of(m, n, "accuracy"), 1.0 / 5, 0);
    CHECK(isnan(value_of(m, n, "loss")));
}

static void test_large_logits(void)
{
    const Task *t = task_find("classification");
    const DatasetInfo d = {.task = "classification", .outputs = 2};
    float z[] = {30000, 0, -30000, -30001};
    const float y[] = {1, 0};
    Metric m[16];
    int64_t n = t->metrics(&d, z, y, 2, m, 16);
    CHECK_NEAR(value_of(m, n, "loss"), (30000 + log1p(exp(-1))) / 2, 1e-6);
    t->predict(&d, z, 2);
    CHECK_NEAR(z[0], 1, 0);
    CHECK_NEAR(z[1], 0, 0);
    CHECK_NEAR(z[2], 1 / (1 + exp(-1)), 1e-7);
    CHECK_NEAR(z[2] + z[3], 1, 1e-7);
}

static void test_class_trivial(void)
{
    const Task *t = task_find("classification");
    const DatasetInfo d = {.task = "classification", .outputs = 3};
    const float train[] = {0, 1, 1, 1, 2, 2, 1, 1}; /* 1/8, 5/8, 2/8 */
    const float y[] = {1, 1, 2, 0};
    Metric m[16];
    int64_t n = t->trivial(&d, train, 8, y, 4, m, 16);
    CHECK_NEAR(value_of(m, n, "accuracy"), 0.5, 0);
    CHECK_NEAR(value_of(m, n, "loss"), -(2 * log(5 / 8.0) + log(2 / 8.0) + log(1 / 8.0)) / 4, 1e-6);
    CHECK_NEAR(value_of(m, n, "balanced_accuracy"), 1.0 / 3, 1e-15);
    const float two[] = {0, 0, 1, 1}; /* class 2 is unknown to train: half a sample of 4.5 */
    n = t->trivial(&d, two, 4, y, 4, m, 16);
    CHECK_NEAR(value_of(m, n, "loss"), -(3 * log(2 / 4.5) + log(0.5 / 4.5)) / 4, 1e-6);
}

static void test_regression(void)
{
    const Task *t = task_find("regression");
    double mean[] = {10, 0}, sd[] = {2, 0.5};
    const DatasetInfo d = {.task = "regression", .outputs = 2, .target_mean = mean, .target_sd = sd};
    /* predictions in own units: (10, 0) (12, 1) (8, -1); targets (11, 0) (13, 1) (6, -1): errors -1, -1, 2 and none */
    const float z[] = {0, 0, 1, 2, -1, -2};
    const float y[] = {11, 0, 13, 1, 6, -1};
    Metric m[16];
    int64_t n = t->metrics(&d, z, y, 3, m, 16);
    CHECK_EQ(n, 6);
    CHECK_NEAR(value_of(m, n, "loss"), (6.0 / 4) / 6, 1e-12);
    CHECK_NEAR(value_of(m, n, "rmse"), sqrt(6.0 / 6), 1e-12);
    CHECK_NEAR(value_of(m, n, "mae"), 4.0 / 6, 1e-12);
    /* SST: around 10: 1 + 9 + 16 = 26; around 0: 2. In units of sd²: 26/4 + 2/0.25 */
    CHECK_NEAR(value_of(m, n, "r2_0"), 1 - 6.0 / 26, 1e-12);
    CHECK_NEAR(value_of(m, n, "r2_1"), 1, 1e-12);
    CHECK_NEAR(value_of(m, n, "r2"), 1 - (6 / 4.0) / (26 / 4.0 + 2 / 0.25), 1e-12);

    float p[] = {0, 0, 1, 2}, scaled[4];
    t->predict(&d, p, 2);
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
    const Task *t = task_find("regression");
    double mean[] = {2}, sd[] = {1};
    const DatasetInfo d = {.task = "regression", .outputs = 1, .target_mean = mean, .target_sd = sd};
    const float train[] = {1, 2, 3}, y[] = {2, 4}, flat[] = {5, 5}, same[] = {2, 2};
    Metric m[16];
    int64_t n = t->trivial(&d, train, 3, y, 2, m, 16);
    CHECK_NEAR(value_of(m, n, "rmse"), sqrt(2), 1e-12);
    CHECK_NEAR(value_of(m, n, "r2"), 1 - 4.0 / 2, 1e-12); /* errors 0, 2; SST around 3: 1 + 1 */
    CHECK(isnan(value_of(m, n, "r2_0")));                 /* one output: r2 says it */
    n = t->trivial(&d, train, 3, flat, 2, m, 16);
    CHECK_NEAR(value_of(m, n, "r2"), 0, 0);
    n = t->trivial(&d, train, 3, same, 2, m, 16);
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
    for (int64_t i = 0; i < task_count; i++) CHECK(task_table[i].metric && task_table[i].higher_is_better);
}

int main(void)
{
    CHECK_RUN(test_classification);
    CHECK_RUN(test_absent_class);
    CHECK_RUN(test_top5_and_ties);
    CHECK_RUN(test_large_logits);
    CHECK_RUN(test_class_trivial);
    CHECK_RUN(test_regression);
    CHECK_RUN(test_regression_trivial);
    CHECK_RUN(test_table);
    return check_done("task");
}
