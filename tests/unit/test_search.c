/* The parts of a search that need no engine: relaxation, regulariser, Adam, tables, schedule, clipping, settings. */
#include "check.h"
#include "optim/adam.h"
#include "optim/schedule.h"
#include "search/bilevel.h"

static Arena perm;

static Space space(const char *ops, int64_t nodes)
{
    Space s;
    CHECK(!space_make(&perm, ops, nodes, 2, nodes, &s));
    return s;
}

/* Sum of k * weight[k]², a function with an uneven gradient. */
static double objective(const double *weight, int64_t n, double *grad)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        sum += (double)(k + 1) * weight[k] * weight[k];
        if (grad) grad[k] = 2 * (double)(k + 1) * weight[k];
    }
    return sum;
}

static void test_relaxations(void)
{
    enum { N = 5 };
    const double h = 1e-6;
    for (int64_t i = 0; i < strategy_count; i++) {
        const Relaxation *r = strategy_table[i].relaxation;
        double raw[N] = {0.3, -1.2, 2.0, 0.0, 0.7}, weight[N], weight_grad[N], grad[N];
        r->mix(raw, N, weight);
        objective(weight, N, weight_grad);
        r->pull_back(weight, weight_grad, N, grad);
        for (int k = 0; k < N; k++) {
            double kept = raw[k], above, below;
            raw[k] = kept + h;
            r->mix(raw, N, weight);
            above = objective(weight, N, 0);
            raw[k] = kept - h;
            r->mix(raw, N, weight);
            below = objective(weight, N, 0);
            raw[k] = kept;
            CHECK_NEAR(grad[k], (above - below) / (2 * h), 1e-8);
        }
    }
}

static void test_softmax(void)
{
    const Relaxation *r = strategy_find("darts1")->relaxation;
    double weight[3];
    r->mix((double[]){1000, 1000, -1000}, 3, weight); /* no overflow */
    CHECK_NEAR(weight[0], 0.5, 1e-15);
    CHECK_NEAR(weight[1], 0.5, 1e-15);
    CHECK_NEAR(weight[2], 0, 1e-15);
    r->mix((double[]){0, log(2), log(5)}, 3, weight);
    CHECK_NEAR(weight[0], 0.125, 1e-15);
    CHECK_NEAR(weight[2], 0.625, 1e-15);
}

static void test_strategies(void)
{
    CHECK(!strategy_find("darts3"));
    const Strategy *s = strategy_find("darts1");
    CHECK_STR(strategy_parts(&perm, s), "softmax + first-order + l2 + adam");
    Space two = space("skip_connect,sep_conv_3x3", 1);
    Arch *a = arch_new(&perm, &two, 1);
    AlphaSettings settings = {.lr = 0.1, .beta1 = 0.5, .beta2 = 0.999, .weight_decay = 0.5};
    a->raw[3] = 4;
    s->regulariser->add(a, &settings, a->grad);
    CHECK_NEAR(a->grad[3], 2, 1e-15);
    /* Adam's first step is the learning rate against the sign of the gradient, whatever its size. */
    double before = a->raw[0];
    a->grad[0] = 1e-3;
    a->grad[1] = 0;
    double still = a->raw[1];
    s->update->step(a, &settings);
    CHECK_EQ(a->step, 1);
    CHECK_NEAR(a->raw[3], 3.9, 1e-8);
    CHECK_NEAR(a->raw[0], before - 0.1, 1e-5);
    CHECK_NEAR(a->raw[1], still, 0);
}

static void test_adam(void)
{
    /* Two steps worked out by hand: lr 0.1, betas 0.5 and 0.75, gradients 1 and -2. */
    AdamSettings s = {.lr = 0.1, .beta1 = 0.5, .beta2 = 0.75, .eps = 0};
    double x = 1, m = 0, v = 0;
    adam_step(&s, 1, 1, (double[]){1}, &m, &v, &x);
    CHECK_NEAR(x, 0.9, 1e-15);
    adam_step(&s, 2, 1, (double[]){-2}, &m, &v, &x);
    CHECK_NEAR(m, -0.75, 1e-15);
    CHECK_NEAR(v, 1.1875, 1e-15);
    CHECK_NEAR(x, 0.9 + 0.1 * (0.75 / 0.75) / sqrt(1.1875 / 0.4375), 1e-15);
}

static void test_tables(void)
{
    Space s = space("darts", 4);
    Arch *a = arch_new(&perm, &s, 7), *b = arch_new(&perm, &s, 7), *c = arch_new(&perm, &s, 8);
    CHECK_EQ(a->count, 2 * 14 * 8);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < a->count; i++) {
        CHECK(a->raw[i] == b->raw[i]);
        sum += a->raw[i];
        squares += a->raw[i] * a->raw[i];
    }
    CHECK(memcmp(a->raw, c->raw, (size_t)a->count * sizeof(double)) != 0);
    CHECK_NEAR(sum / (double)a->count, 0, 3e-4);
    CHECK_NEAR(sqrt(squares / (double)a->count), 1e-3, 2e-4);

    for (int64_t i = 0; i < a->count; i++) a->weight[i] = 0.125;
    a->weight[8 + 0] = 0.3; /* edge 1 of the normal cell: none is the heaviest, and does not count */
    a->weight[8 + 4] = 0.2;
    for (int k = 1; k < 8; k++)
        if (k != 4) a->weight[8 + k] = 0.5 / 6;
    AlphaTable *t = arch_record(&perm, a, &s);
    CHECK_STR(t[0].name, "normal");
    CHECK_STR(t[1].name, "reduce");
    CHECK(t[1].raw == a->raw + 14 * 8);
    CHECK_NEAR(t[0].entropy[0], log(8), 1e-12);
    CHECK_NEAR(t[0].margin[0], 0, 1e-15);
    CHECK_NEAR(t[0].margin[1], 0.2 - 0.5 / 6, 1e-15);
    CHECK_NEAR(t[0].entropy[1], -(0.3 * log(0.3) + 0.2 * log(0.2) + 0.5 * log(0.5 / 6)), 1e-12);
}

static void test_schedule(void)
{
    Schedule s = {.kind = SCHEDULE_COSINE, .lr = 0.025, .lr_min = 0.001, .epochs = 50};
    CHECK_NEAR(schedule_rate(&s, 0, 0), 0.025, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 25, 0), 0.013, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 50, 0), 0.001, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 60, 0), 0.001, 1e-15);
    s.warmup = 2;
    CHECK_NEAR(schedule_rate(&s, 0, 0.5), 0.00625, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 1.5, 0.5), 0.025, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 2, 0.5), 0.025, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 26, 0.5), 0.013, 1e-15);
    s.kind = SCHEDULE_CONSTANT;
    CHECK_NEAR(schedule_rate(&s, 40, 0.5), 0.025, 1e-15);
    s = (Schedule){.kind = SCHEDULE_COSINE, .lr = 1, .epochs = 3, .warmup = 3}; /* warm-up alone */
    CHECK_NEAR(schedule_rate(&s, 3, 0), 1, 1e-15);
    CHECK_EQ(schedule_find("cosine"), SCHEDULE_COSINE);
    CHECK_EQ(schedule_find("constant"), SCHEDULE_CONSTANT);
    CHECK_EQ(schedule_find("step"), SCHEDULE_COUNT);
}

static void test_clip(void)
{
    CHECK_NEAR(clip_factor(10, 5), 0.5, 1e-6);
    CHECK_NEAR(clip_factor(4, 5), 1, 0);
    CHECK_NEAR(clip_factor(1e9, 0), 1, 0);
    CHECK_NEAR(clip_factor(0, 5), 1, 0);
    CHECK_NEAR(clip_factor(INFINITY, 5), 0, 0);
}

static void test_settings(void)
{
    SearchSettings s = {.strategy = "darts1",
                        .ops = "darts",
                        .reduce_at = "",
                        .nodes = 4,
                        .inputs = 2,
                        .layers = 8,
                        .channels = 16,
                        .epochs = 50};
    CHECK(!search_settings_check(&perm, &s));
    s.strategy = "darts9";
    CHECK_CONTAINS(search_settings_check(&perm, &s), "darts9");
    s.strategy = "darts1";
    s.ops = "none,sep_conv_9x9";
    CHECK_CONTAINS(search_settings_check(&perm, &s), "sep_conv_9x9");
    s.ops = "darts";
    s.warmup = 51;
    CHECK_CONTAINS(search_settings_check(&perm, &s), "--warmup");
    s.warmup = 0;
    s.reduce_at = "8";
    CHECK_CONTAINS(search_settings_check(&perm, &s), "--reduce-at");
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 28);
    CHECK_RUN(test_relaxations);
    CHECK_RUN(test_softmax);
    CHECK_RUN(test_strategies);
    CHECK_RUN(test_adam);
    CHECK_RUN(test_tables);
    CHECK_RUN(test_schedule);
    CHECK_RUN(test_clip);
    CHECK_RUN(test_settings);
    return check_done("search");
}
