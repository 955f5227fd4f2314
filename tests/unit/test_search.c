/* The parts of a search that need no engine: tables of alphas, Adam, schedule, settings. */
#include "check.h"
#include "optim/adam.h"
#include "optim/schedule.h"
#include "search/bilevel.h"
#include "search/derive.h"

static Arena perm;

static Space space(const char *ops, int64_t nodes)
{
    Space s;
    CHECK(!space_make(&perm, ops, nodes, 2, nodes, &s));
    return s;
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

static Arch *started(const Space *s, uint64_t seed, bool edges)
{
    const NetSpec n = {.share = edges ? 2 : 1};
    const StrategySettings named = {.name = "darts1", .warmup = -1};
    Strategy t;
    CHECK(!strategy_make(&perm, &named, &t));
    Arch *a = arch_new(&perm, s, &n, edges);
    strategy_start(&t, a, seed);
    return a;
}

static void test_tables(void)
{
    Space s = space("darts", 4);
    Arch *a = started(&s, 7, false), *b = started(&s, 7, false), *c = started(&s, 8, false);
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
    int64_t count;
    AlphaTable *t = arch_record(&perm, a, &count);
    CHECK_EQ(count, 2);
    CHECK_STR(t[0].name, "normal");
    CHECK_STR(t[1].name, "reduce");
    CHECK(t[1].raw == a->raw + 14 * 8);
    CHECK_NEAR(t[0].entropy[0], log(8), 1e-12);
    CHECK_NEAR(t[0].margin[0], 0, 1e-15);
    CHECK_NEAR(t[0].margin[1], 0.2 - 0.5 / 6, 1e-15);
    CHECK_NEAR(t[0].entropy[1], -(0.3 * log(0.3) + 0.2 * log(0.2) + 0.5 * log(0.5 / 6)), 1e-12);
}

/* Edges with alphas of their own: groups, effective weights, records, state. */
static void test_edges(void)
{
    Space s = space("skip_connect,sep_conv_3x3,max_pool_3x3", 3);
    Arch *a = started(&s, 1, true);
    CHECK_EQ(a->op_count, 2 * 9 * 3);
    CHECK_EQ(a->count, 2 * 9 * 3 + 2 * 9);
    CHECK_EQ(a->columns, 4);
    CHECK_EQ(a->bypass, 3);
    CHECK_EQ(a->skip, -1);
    CHECK_EQ(a->op_groups, 18);
    CHECK_EQ(a->group_count, 18 + 6);
    int64_t covered = 0;
    for (int64_t i = 0; i < a->group_count; i++) {
        CHECK_EQ(a->group[i].start, covered); /* side by side, none left out */
        CHECK_EQ(a->group[i].count, i < 18 ? 3 : 2 + (i - 18) % 3);
        covered += a->group[i].count;
    }
    CHECK_EQ(covered, a->count);
    for (int64_t i = 0; i < a->op_count; i++) a->weight[i] = (double)(1 + i % 3) / 6;
    for (int64_t i = a->op_count; i < a->count; i++) a->weight[i] = 0.25;
    a->weight[a->op_count + 9 + 2] = 0.5; /* edge 2 of the reduction cell: the first of three into node 1 */
    int64_t count;
    AlphaTable *t = arch_record(&perm, a, &count);
    CHECK_EQ(count, 4);
    CHECK_STR(t[3].name, "reduce edges");
    CHECK_EQ(t[3].ops, 1);
    CHECK_NEAR(t[1].weight[2 * 3 + 2], 0.5 * 0.5, 1e-15);
    CHECK_NEAR(t[0].weight[2 * 3 + 2], 0.5 * 0.25, 1e-15);
    CHECK_NEAR(t[1].entropy[2], t[0].entropy[0], 1e-15); /* of the operations, whatever the edge weighs */
    CHECK_NEAR(t[3].entropy[4], log(2) / 2 + log(4) / 2, 1e-12);
    CHECK_NEAR(t[3].margin[2], 0.5, 1e-15);
    ArchState state[ARCH_STATES];
    arch_state(a, state);
    CHECK(state[0].values == a->raw && state[0].count == a->count);
    CHECK(state[3].integers == &a->step && !state[3].values && state[3].count == 1);
}

static void test_one_hot(void)
{
    Space s = space("darts", 4);
    Arch *a = started(&s, 1, false);
    for (uint64_t i = 0; i < 50; i++) {
        Genotype g = genotype_random(&s, 3, i);
        Derived d;
        arch_one_hot(a, &g, a->raw);
        CHECK(!derive_magnitude(&perm, &s, a->raw, a->raw + 14 * 8, 0, &d));
        double sum = 0;
        for (int64_t k = 0; k < a->count; k++) sum += a->raw[k];
        CHECK_NEAR(sum, 16, 0);
        CHECK_NEAR(d.weight_kept, 1, 0); /* what is derived from it is it */
    }
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
    CHECK_EQ(schedule_find("step"), SCHEDULE_STEP);
    CHECK_EQ(schedule_find("one-cycle"), SCHEDULE_ONE_CYCLE);
    CHECK_EQ(schedule_find("stairs"), SCHEDULE_COUNT);
    s = (Schedule){.kind = SCHEDULE_STEP, .lr = 0.1, .drop = 0.1, .epochs = 100, .warmup = 2};
    CHECK_NEAR(schedule_rate(&s, 0, 1), 0.05, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 49.9, 0), 0.1, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 50, 0), 0.01, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 75, 0), 0.001, 1e-15);
    s.drops = 1;
    s.drop_at[0] = 10;
    s.drop = 0.5;
    CHECK_NEAR(schedule_rate(&s, 9, 0), 0.1, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 80, 0), 0.05, 1e-15);
    s = (Schedule){.kind = SCHEDULE_ONE_CYCLE, .lr = 0.5, .epochs = 10};
    CHECK_NEAR(schedule_rate(&s, 0, 0.1), 0.02, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 1.5, 0), 0.26, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 3, 0), 0.5, 1e-15);
    CHECK_NEAR(schedule_rate(&s, 6.5, 0), 0.250001, 1e-9);
    CHECK_NEAR(schedule_rate(&s, 10, 0), 2e-6, 1e-15);
    s.warmup = 5;
    CHECK_NEAR(schedule_rate(&s, 5, 0), 0.5, 1e-15);
}

static void test_settings(void)
{
    SearchSettings s = {.strategy = {.name = "darts1", .warmup = -1},
                        .ops = "darts",
                        .reduce_at = "",
                        .nodes = 4,
                        .inputs = 2,
                        .layers = 8,
                        .channels = 16,
                        .epochs = 50};
    CHECK(!search_settings_check(&perm, &s));
    s.strategy.name = "darts9";
    CHECK_CONTAINS(search_settings_check(&perm, &s), "darts9");
    s.strategy.name = "darts1";
    s.ops = "none,sep_conv_9x9";
    CHECK_CONTAINS(search_settings_check(&perm, &s), "sep_conv_9x9");
    s.ops = "darts";
    s.strategy.warmup = 51;
    CHECK_CONTAINS(search_settings_check(&perm, &s), "--warmup");
    s.strategy.warmup = 0;
    s.reduce_at = "8";
    CHECK_CONTAINS(search_settings_check(&perm, &s), "--reduce-at");
    s.reduce_at = "";
    s.strategy.share = 3;
    CHECK_CONTAINS(search_settings_check(&perm, &s), "--channel-share 3");
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 28);
    CHECK_RUN(test_adam);
    CHECK_RUN(test_tables);
    CHECK_RUN(test_edges);
    CHECK_RUN(test_one_hot);
    CHECK_RUN(test_schedule);
    CHECK_RUN(test_settings);
    return check_done("search");
}
