/* test_advice: each rule of nas-stats --advise on a story that shows its sign and on one that does not. */
#include "check.h"

#include "report/parts.h"

static Arena perm;

enum { OPS = 3, EDGES = 2, LONG = 12 };
static const char *ops[] = {"none", "skip_connect", "sep_conv_3x3"};
#define CELL(a, b)                                                                                                     \
    "Genotype(normal=[('" a "', 0), ('" b "', 1)], normal_concat=[2], reduce=[('" a "', 0), ('" b                      \
    "', 1)], reduce_concat=[2])"
static const char conv[] = CELL("sep_conv_3x3", "sep_conv_3x3"), skip[] = CELL("skip_connect", "skip_connect");

static void put(Story *s, RecordKind kind, const void *record, size_t size)
{
    Record r = {.kind = kind};
    memcpy(&r.dataset, record, size);
    CHECK(story_add(s, "f.nas", &r));
}
#define PUT(s, kind, value) put(s, kind, &(value), sizeof(value))

static const char *advice(Story *s)
{
    Text t = {0};
    story_finish(s);
    report_advice(s, &perm, false, &t);
    return t.s;
}

/* Is the rule's name at the start of a line? */
static bool fires(Story *s, const char *rule)
{
    const char *said = advice(s), *head = arena_printf(&perm, "\n%s: ", rule);
    return strstr(arena_printf(&perm, "\n%s", said), head) != 0;
}

/* A search of `epochs` epochs whose edges all have the weights w; its cell turns from `early` to `late` in epoch `turn`. */
static Story *search_story(int64_t epochs, const double w[OPS], const char *early, const char *late, int64_t turn,
                           double gap)
{
    Story *s = story_new(&perm);
    SearchSpace space = {
        .strategy = "darts1", .ops = ops, .op_count = OPS, .nodes = 1, .inputs = 2, .concat = 1, .dataset = "d"};
    PUT(s, REC_SPACE, space);
    for (int64_t k = 0; k <= epochs; k++) {
        AlphaTable *t = NEW(&perm, AlphaTable, 2);
        for (int i = 0; i < 2; i++) {
            t[i] = (AlphaTable){.name = i ? "reduce" : "normal", .edges = EDGES, .ops = OPS};
            t[i].weight = NEW(&perm, double, EDGES *OPS);
            for (int j = 0; j < EDGES * OPS; j++) t[i].weight[j] = w[j % OPS];
        }
        Metric *m = NEW(&perm, Metric, 1);
        *m = (Metric){"gap", "", gap};
        SearchEpoch e = {.epoch = k,
                         .epochs = epochs,
                         .tables = t,
                         .table_count = 2,
                         .genotype = k < turn ? early : late,
                         .metrics = m,
                         .metric_count = !isnan(gap)};
        PUT(s, REC_SEARCH_EPOCH, e);
    }
    return s;
}

static void test_searches(void)
{
    const double even[] = {1.0 / 3, 1.0 / 3, 1.0 / 3}, none[] = {0.6, 0.1, 0.3}, decided[] = {0.1, 0.1, 0.8};
    const double torn[] = {0.1, 0.7, 0.2};
    CHECK(fires(search_story(LONG, even, conv, conv, 0, NAN), "uniform weights"));
    CHECK(!fires(search_story(LONG, decided, conv, conv, 0, NAN), "uniform weights"));
    CHECK(!fires(search_story(0, even, conv, conv, 0, NAN), "uniform weights")); /* it has not begun */
    CHECK(fires(search_story(LONG, none, conv, conv, 0, NAN), "none dominates"));
    CHECK(!fires(search_story(LONG, decided, conv, conv, 0, NAN), "none dominates"));
    CHECK_CONTAINS(advice(search_story(LONG, none, conv, conv, 0, NAN)),
                   "none is the heaviest operation on 100 % of the edges and holds 0.60 of the weight");
    CHECK_CONTAINS(advice(search_story(LONG, none, conv, conv, 0, NAN)),
                   "try: nas-search --ops skip_connect,sep_conv_3x3\n");

    CHECK(fires(search_story(LONG, decided, conv, skip, 9, NAN), "skip collapse"));
    CHECK_CONTAINS(advice(search_story(LONG, decided, conv, skip, 9, NAN)), "try: nas-derive --epoch 8 search.nas\n");
    CHECK(!fires(search_story(LONG, decided, skip, conv, 9, NAN), "skip collapse"));

    CHECK(fires(search_story(LONG, decided, conv, conv, 0, 0.2), "discretisation"));
    CHECK(!fires(search_story(LONG, decided, conv, conv, 0, 0.01), "discretisation"));
    CHECK(fires(search_story(LONG, torn, conv, conv, 0, NAN), "discretisation")); /* it keeps 0.2 */
    CHECK(!fires(search_story(LONG, even, conv, conv, 0, NAN), "discretisation"));

    CHECK(fires(search_story(LONG, decided, skip, conv, LONG - 1, NAN), "not settled"));
    CHECK(!fires(search_story(LONG, decided, skip, conv, 3, NAN), "not settled"));
    CHECK_CONTAINS(advice(search_story(LONG, decided, conv, conv, 0, NAN)), "Nothing to advise.\n");
}

/* Ten epochs of a run: loss falls on the train split, and on the validation split until epoch `turn`. */
static void put_run(Story *s, const char *run, int64_t layers, double train_end, double valid_end, int64_t turn)
{
    NetworkRecord n = {
        .run = run, .net = "genotype", .genotype = conv, .dataset = "d", .layers = layers, .channels = 16};
    PUT(s, REC_NETWORK, n);
    for (int64_t k = 1; k <= 10; k++) {
        const double x = (double)k / 10, up = k > turn ? (double)(k - turn) / (double)(10 - turn) : 0;
        const double least = 1 - 0.6 * fmin(1, (double)k / (double)turn);
        Metric *m = NEW(&perm, Metric, 2);
        m[0] = (Metric){"loss", "train", 1 - x * (1 - train_end)};
        m[1] = (Metric){"loss", "validation", k > turn ? least + up * (valid_end - least) : least};
        TrainEpoch e = {.run = run, .epoch = k, .epochs = 10, .learning_rate = 0.03, .metrics = m, .metric_count = 2};
        PUT(s, REC_TRAIN_EPOCH, e);
    }
}

static void test_training(void)
{
    Story *s = story_new(&perm);
    put_run(s, "a", 8, 0.1, 0.7, 5);
    CHECK_CONTAINS(advice(s), "a: validation loss rose from 0.4 in epoch 5 to 0.7 in epoch 10");
    CHECK_CONTAINS(advice(s), "try: nas-train --epochs 5,");
    s = story_new(&perm);
    put_run(s, "a", 8, 0.1, 0.42, 5);
    CHECK(!fires(s, "overfit") && !fires(s, "diverged"));
    s = story_new(&perm);
    put_run(s, "a", 8, NAN, 0.4, 5);
    CHECK_CONTAINS(advice(s), "diverged");
    CHECK_CONTAINS(advice(s), "try: nas-train --lr 0.01 --clip 5\n");

    s = story_new(&perm);
    put_run(s, "shallow", 8, 0.3, 0.4, 9);
    put_run(s, "deep", 20, 0.2, 0.5, 9);
    CHECK_CONTAINS(advice(s), "deep: 20 layers validate worse than 8 (loss 0.5, 0.4) and train better: it overfits");
    s = story_new(&perm);
    put_run(s, "shallow", 8, 0.3, 0.4, 9);
    put_run(s, "deep", 20, 0.6, 0.6, 9);
    CHECK_CONTAINS(advice(s), "train no better: it does not learn");
    CHECK_CONTAINS(advice(s), "try: nas-train --layers 20 --lr 0.01 --warmup 3\n");
}

static Evaluation evaluation(const char *run, const char *genotype, double accuracy, double batch, double running)
{
    Metric *m = NEW(&perm, Metric, 4); /* of the net, of the trivial predictor */
    m[0] = m[2] = (Metric){"loss", "", 0.7};
    m[1] = (Metric){"accuracy", "", accuracy};
    m[3] = (Metric){"accuracy", "", 0.5};
    return (Evaluation){.run = run,
                        .set = "best",
                        .dataset = "d",
                        .split = "test",
                        .net = "genotype",
                        .genotype = genotype,
                        .count = 100,
                        .metrics = m,
                        .metric_count = 2,
                        .baseline = m + 2,
                        .baseline_count = 2,
                        .train_mode_loss = batch,
                        .eval_mode_loss = running};
}

static void test_evaluations(void)
{
    static const struct {
        double accuracy, batch, running;
        bool trivial, blow_up;
    } row[] = {{0.9, 0.3, 0.35, false, false},    {0.5, 0.3, 0.3, true, false},  {0.4, 0.3, 5, true, true},
               {0.9, 0.3, INFINITY, false, true}, {0.9, NAN, NAN, false, false}, {0.9, 0.01, 0.1, false, false}};
    for (int i = 0; i < COUNTOF(row); i++) {
        Story *s = story_new(&perm);
        Evaluation e = evaluation("a", conv, row[i].accuracy, row[i].batch, row[i].running);
        PUT(s, REC_EVALUATION, e);
        CHECK_EQ(fires(s, "trivial"), row[i].trivial);
        CHECK_EQ(fires(s, "evaluation mode"), row[i].blow_up);
    }
}

static Story *contest(const double *search, const double *random, int64_t n)
{
    Story *s = story_new(&perm);
    GenotypeRecord g = {.name = "search", .text = conv, .rule = "magnitude", .dataset = "d"};
    PUT(s, REC_GENOTYPE, g);
    g = (GenotypeRecord){.name = "random-1", .text = skip, .rule = "random"};
    PUT(s, REC_GENOTYPE, g);
    for (int64_t i = 0; i < n; i++) {
        Evaluation e = evaluation("search", conv, search[i], NAN, NAN);
        PUT(s, REC_EVALUATION, e);
        if (!random) continue;
        e = evaluation("random-1", skip, random[i], NAN, NAN);
        PUT(s, REC_EVALUATION, e);
    }
    return s;
}

static void test_controls(void)
{
    const double good[] = {0.9, 0.91, 0.92}, bad[] = {0.7, 0.71, 0.72};
    CHECK(!fires(contest(good, bad, 3), "control"));
    CHECK_CONTAINS(advice(contest(bad, good, 3)), "random cells 91.00 % over 3: worse\n");
    CHECK_CONTAINS(advice(contest(good, good, 3)), "no sign that searching helped\n");
    CHECK_CONTAINS(advice(contest(good, 0, 1)), "search on d: no random cell beside it\n");
}

static void test_datasets(void)
{
    static Setting clean[] = {{"leaks", "duplicates 0, symmetric copies 0"}},
                   shared[] = {{"leaks", "duplicates 10 (test 10)"}};
    Story *s = story_new(&perm);
    DatasetInfo d = {.name = "d", .task = "classification", .outputs = 10, .split_count = {500, 100, 0, 0}};
    d.settings = shared;
    d.setting_count = 1;
    PUT(s, REC_DATASET, d);
    CHECK_CONTAINS(advice(s), "d: 600 samples to learn from, 60.0 a class\n");
    CHECK_CONTAINS(advice(s), "d: samples that an earlier split holds, too: duplicates 10 (test 10)\n");
    s = story_new(&perm);
    d.settings = clean;
    d.split_count[SPLIT_TRAIN] = 5000;
    PUT(s, REC_DATASET, d);
    CHECK(!fires(s, "few samples") && !fires(s, "leaks"));
    CHECK_CONTAINS(advice(s), "few samples (datasets: 1), leaks (datasets: 1).");
    CHECK_CONTAINS(advice(s), "Not in these streams: uniform weights (searches),");
}

static void test_nothing(void)
{
    Story *s = story_new(&perm);
    CHECK_CONTAINS(advice(s), "Nothing to advise.\n\nNot in these streams: ");
    Text t = {0};
    report_advice(s, &perm, true, &t);
    CHECK_CONTAINS(t.s, "{\"kind\":\"advice\",\"fired\":false,\"looked_at\":0,\"rule\":\"leaks\",");
    CHECK_CONTAINS(t.s, "\"evidence\":null,\"try\":null}\n");
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 33);
    CHECK_RUN(test_searches);
    CHECK_RUN(test_training);
    CHECK_RUN(test_evaluations);
    CHECK_RUN(test_controls);
    CHECK_RUN(test_datasets);
    CHECK_RUN(test_nothing);
    return check_done("advice");
}
