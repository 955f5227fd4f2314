/* What stands around the training loop: lists of cells, candidates, networks and weights as records, merged splits,
 * forecasts, tallies, predictions. */
#include <stdlib.h>

#include "check.h"
#include "engine/plan.h"
#include "nn/genotype.h"
#include "train/candidates.h"
#include "train/evaluate.h"
#include "train/predictions.h"
#include "train/trainer.h"

static Arena perm, scratch;
static char dir[] = "/tmp/nas-test-train-XXXXXX";

static const char tiny[] = "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=range(2, 3), "
                           "reduce=[('max_pool_3x3', 0), ('dil_conv_3x3', 1)], reduce_concat=range(2, 3))";

/* Splits of 4, 3, 2 and 1 samples of 1×2×2, whose pixels and targets count on. */
static Dataset small_data(const char *task)
{
    static double mean[1] = {0}, sd[1] = {1}, target_mean[2] = {1, 2}, target_sd[2] = {2, 4};
    Dataset d = {.info = {.name = "small",
                          .source = "",
                          .task = task,
                          .channels = 1,
                          .height = 2,
                          .width = 2,
                          .outputs = 2,
                          .dtype = DTYPE_F32,
                          .mean = mean,
                          .sd = sd,
                          .target_mean = target_mean,
                          .target_sd = target_sd}};
    d.target_width = task_find(task)->loss == LOSS_MSE ? 2 : 1;
    float next = 0;
    for (int s = 0; s < SPLIT_COUNT; s++) {
        int64_t n = 4 - s;
        float *x = NEW(&perm, float, 4 * n), *y = NEW(&perm, float, d.target_width *n);
        for (int64_t i = 0; i < 4 * n; i++) x[i] = next++;
        for (int64_t i = 0; i < d.target_width * n; i++) y[i] = (float)((int64_t)next++ % 2);
        d.split[s] = (SplitData){.count = n, .data = x, .targets = y};
        d.info.split_count[s] = n;
    }
    return d;
}

static void test_reduce(void)
{
    int64_t at[3], n;
    CHECK(!reduce_parse(&perm, "", 8, at, 3, &n) && n == -1);
    CHECK(!reduce_parse(&perm, "none", 8, at, 3, &n) && n == 0);
    CHECK(!reduce_parse(&perm, "2,5", 8, at, 3, &n) && n == 2 && at[0] == 2 && at[1] == 5);
    CHECK_CONTAINS(reduce_parse(&perm, "8", 8, at, 3, &n), "no cell 8");
    CHECK_CONTAINS(reduce_parse(&perm, "-1", 8, at, 3, &n), "no cell -1");
    CHECK_CONTAINS(reduce_parse(&perm, "5,2", 8, at, 3, &n), "ascending");
    CHECK_CONTAINS(reduce_parse(&perm, "2,2", 8, at, 3, &n), "ascending");
    CHECK_CONTAINS(reduce_parse(&perm, "0,1,2,3", 8, at, 3, &n), "more than 3");
    const char *bad[] = {",", "2,", "x", "2;5", "2,5,", "99999999999999999999"};
    for (int i = 0; i < COUNTOF(bad); i++) CHECK(reduce_parse(&perm, bad[i], 8, at, 3, &n));
}

static void test_candidates(void)
{
    Candidates c = {0};
    for (int i = 0; i < 40; i++) candidates_add(&perm, &c, (Candidate){"a", netio_genotype, tiny, "set"});
    CHECK_STR(c.item[0].run, "a");
    CHECK_STR(c.item[1].run, "a-2");
    CHECK_STR(c.item[39].run, "a-40");
    CHECK_STR(candidates_add(&perm, &c, (Candidate){"", "small-cnn", "", ""})->run, "small-cnn");
    CHECK_STR(c.item[39].dataset, "set");
    GenotypeRecord g;
    CHECK(!candidates_parse(&perm, "darts_v2", &g));
    CHECK_STR(g.name, "DARTS_V2");
    CHECK_STR(g.rule, "named");
    CHECK(!candidates_parse(&perm, tiny, &g));
    CHECK_STR(g.text, tiny);
    CHECK_CONTAINS(candidates_parse(&perm, "DARTS_V3", &g), "DARTS_V2");
    CHECK(candidates_parse(&perm, "Genotype(normal=[", &g));
}

static NetworkRecord record(const Dataset *d, const char *net, const char *genotype)
{
    NetworkRecord n = {.run = "r", .net = net, .genotype = genotype, .layers = 2, .channels = 3};
    netio_fit(&n, &d->info);
    return n;
}

static void test_network_records(void)
{
    Dataset d = small_data("classification");
    const char *why;
    NetworkRecord n = record(&d, netio_genotype, tiny);
    Graph *g = netio_build(&perm, &n, &why);
    if (!CHECK_MSG(g != 0, "%s", why)) return;
    Setting none = {"reduce_at", "none"};
    NetworkRecord flat = n;
    flat.settings = &none;
    flat.setting_count = 1;
    Graph *f = netio_build(&perm, &flat, &why);
    CHECK(f && f->weight_count < g->weight_count); /* no doubling of channels */
    flat = netio_copy(&perm, &flat);
    CHECK_STR(setting_get(flat.settings, flat.setting_count, "reduce_at"), "none");
    CHECK(flat.mean != n.mean && flat.mean[0] == n.mean[0]);

    NetworkRecord bad = n;
    bad.genotype = "Genotype(";
    CHECK(!netio_build(&perm, &bad, &why) && why);
    bad = record(&d, "no-such-net", "");
    CHECK(!netio_build(&perm, &bad, &why) && why);
    bad = n;
    bad.task = "divination";
    CHECK(!netio_build(&perm, &bad, &why) && strstr(why, "divination"));
    bad = n;
    bad.height = 0;
    CHECK(!netio_build(&perm, &bad, &why) && why);
    bad = n;
    bad.outputs = (int64_t)1 << 40;
    CHECK(!netio_build(&perm, &bad, &why) && why);
    bad = n;
    bad.layers = 1 << 20;
    CHECK(!netio_build(&perm, &bad, &why) && why);

    CHECK_STR(netio_mismatch(&perm, &n, &d.info), 0);
    Dataset r = small_data("regression");
    CHECK_CONTAINS(netio_mismatch(&perm, &n, &r.info), "classification");
    Dataset other = d;
    other.info.width = 3;
    CHECK_CONTAINS(netio_mismatch(&perm, &n, &other.info), "1x2x3");
    other = d;
    other.info.outputs = 9;
    CHECK_CONTAINS(netio_mismatch(&perm, &n, &other.info), "9");
    other = d;
    other.info.name = "another";
    CHECK_CONTAINS(netio_mismatch(&perm, &n, &other.info), "another");
    bad = n;
    bad.sd = 0;
    CHECK_CONTAINS(netio_mismatch(&perm, &bad, &d.info), "normalisation");
}

static void test_weights_round_trip(void)
{
    Dataset d = small_data("classification");
    const char *why;
    NetworkRecord n = record(&d, netio_genotype, tiny);
    Graph *g = netio_build(&perm, &n, &why);
    float *weights = NEW(&perm, float, g->weight_count), *stats = NEW(&perm, float, g->stat_floats);
    for (int64_t i = 0; i < g->weight_count; i++) weights[i] = (float)i;
    for (int64_t i = 0; i < g->stat_floats; i++) stats[i] = (float)-i;
    const char *path = arena_printf(&perm, "%s/w.nas", dir);
    Provenance self = {.program = "test", .version = "", .command = "", .host = ""};
    Writer *out = writer_open(&perm, path, 0, &self);
    netio_write(out, scratch, g, "r", "best", weights, stats, 0);
    CHECK(writer_finish(out));

    NetWeights w = {.set = "best"}, again = {.set = "best"};
    CHECK(netio_missing(&perm, g, &w) != 0);
    Reader *in = reader_open(&perm, path);
    int64_t count = 0;
    for (Record r;; count++) {
        Arena once = scratch;
        if (reader_next(in, &once, &r) != STREAM_RECORD) break;
        CHECK_STR(netio_take(&perm, g, &r.tensor, &w), 0);
        CHECK_CONTAINS(netio_take(&perm, g, &r.tensor, &w), "a second one");
        TensorRecord bad = r.tensor;
        bad.name = "no.such.tensor";
        CHECK_CONTAINS(netio_take(&perm, g, &bad, &again), "no.such.tensor");
        bad = r.tensor;
        bad.rank--;
        CHECK_CONTAINS(netio_take(&perm, g, &bad, &again), "shape");
        bad = r.tensor;
        bad.dtype = DTYPE_F64;
        CHECK_CONTAINS(netio_take(&perm, g, &bad, &again), "type");
        float nan[4096] = {NAN};
        bad = r.tensor;
        bad.data = nan;
        if (CHECK(bad.data_bytes <= (int64_t)sizeof nan))
            CHECK_CONTAINS(netio_take(&perm, g, &bad, &again), "not finite");
        if (count == 1) CHECK(netio_missing(&perm, g, &w) != 0);
    }
    CHECK_STR(reader_error(in), 0);
    reader_close(in);
    CHECK_EQ(count, g->param_count + 2 * g->stat_count);
    CHECK_STR(netio_missing(&perm, g, &w), 0);
    CHECK(!memcmp(w.weights, weights, (size_t)g->weight_count * sizeof(float)));
    CHECK(!memcmp(w.stats, stats, (size_t)g->stat_floats * sizeof(float)));
}

static void test_whole(void)
{
    Dataset d = small_data("regression"), whole;
    CHECK(!train_whole(&perm, &d, &whole));
    const SplitData *t = &whole.split[SPLIT_TRAIN];
    CHECK_EQ(t->count, 7);
    CHECK_EQ(whole.split[SPLIT_ALPHA].count, 0);
    CHECK_EQ(whole.split[SPLIT_VALID].count, 2);
    CHECK(!memcmp(t->data, d.split[0].data, 4 * 4 * sizeof(float)));
    CHECK(!memcmp((const float *)t->data + 16, d.split[1].data, 3 * 4 * sizeof(float)));
    CHECK(!memcmp(t->targets, d.split[0].targets, 4 * 2 * sizeof(float)));
    CHECK(!memcmp(t->targets + 8, d.split[1].targets, 3 * 2 * sizeof(float)));
    CHECK_EQ(d.split[SPLIT_ALPHA].count, 3); /* the original is as it was */
    d.split[SPLIT_ALPHA] = (SplitData){0};
    CHECK(!train_whole(&perm, &d, &whole));
    CHECK(whole.split[SPLIT_TRAIN].data == d.split[SPLIT_TRAIN].data);
}

static void test_forecast(void)
{
    Dataset d = small_data("classification");
    const char *why;
    NetworkRecord n = record(&d, netio_genotype, tiny);
    Graph *g = netio_build(&perm, &n, &why);
    Pool *pool = pool_open(1);
    Forecast f;
    EngineOptions o = {.device = "ref", .batch = 64, .pool = pool};
    ForecastNeed need = {.per_sample = 1 << 20, .limit = (int64_t)1 << 40, .least = 2};
    CHECK_STR(forecast_fit(&perm, scratch, g, &o, &need, &f), 0);
    CHECK_EQ(f.batch, 64);
    CHECK_EQ(f.parameters, graph_param_total(g));
    int64_t all = f.bytes;
    need.limit = all - 1;
    CHECK_STR(forecast_fit(&perm, scratch, g, &o, &need, &f), 0);
    CHECK_EQ(f.batch, 32);
    CHECK_EQ(o.batch, 32);
    CHECK_EQ(f.asked, 64);
    CHECK(f.bytes <= need.limit);
    o.batch = 64;
    need.limit = 1 << 20;
    CHECK_CONTAINS(forecast_fit(&perm, scratch, g, &o, &need, &f), "batch of 2");
    o.batch = 1; /* asked for: not made larger */
    CHECK_CONTAINS(forecast_fit(&perm, scratch, g, &o, &need, &f), "batch of 1");
    o.batch = 64;
    /* of auto, the first that fits; then the batch */
    need.limit = all;
    need.recompute = "auto";
    CHECK_STR(forecast_fit(&perm, scratch, g, &o, &need, &f), 0);
    CHECK(f.batch == 64 && f.recompute == SEGMENT_WHOLE && !f.recompute_asked);
    need.limit = all - 1;
    CHECK_STR(forecast_fit(&perm, scratch, g, &o, &need, &f), 0);
    CHECK(f.batch == 64 && f.recompute == SEGMENT_CELL && o.recompute == SEGMENT_CELL && f.bytes < all);
    CHECK_CONTAINS(forecast_text(&perm, &f), "batch 64, recompute cell: ");
    need.limit = 2 * all / 3;
    CHECK_STR(forecast_fit(&perm, scratch, g, &o, &need, &f), 0);
    CHECK(f.batch == 32 && o.batch == 32 && f.recompute == SEGMENT_WHOLE && f.bytes <= need.limit);
    o.batch = 64;
    need.recompute = "node"; /* asked for by name: never another */
    need.limit = (int64_t)1 << 40;
    CHECK_STR(forecast_fit(&perm, scratch, g, &o, &need, &f), 0);
    CHECK(f.batch == 64 && f.recompute == SEGMENT_NODE && o.recompute == SEGMENT_NODE && f.recompute_asked);
    need.recompute = 0;
    need.per_sample = INT64_MAX / 2;
    need.limit = 0;
    CHECK(forecast_fit(&perm, scratch, g, &o, &need, &f) != 0);
    pool_close(pool);
    CHECK_STR(forecast_seconds(&perm, 59.4), "59 s");
    CHECK_STR(forecast_seconds(&perm, 59.6), "1 min 00 s");
    CHECK_STR(forecast_seconds(&perm, 3661), "1 h 01 min");
    CHECK_STR(forecast_seconds(&perm, NAN), "for ever");
    CHECK_STR(forecast_bytes(&perm, 1536), "1.5 KiB");
    CHECK_STR(forecast_bytes(&perm, (int64_t)5 << 30), "5.00 GiB");
    f = (Forecast){.batch = 8, .parameters = 1930618, .macs = 1500000, .bytes = 1 << 20, .available = 1 << 30};
    CHECK_STR(forecast_text(&perm, &f),
              "1,930,618 parameters, 1.5 M multiply-accumulates a sample; batch 8: 1.0 MiB of "
              "memory, 1.00 GiB are there");
}

/* A training takes what was forecast. */
static void test_forecast_holds(void)
{
#if defined(__SANITIZE_ADDRESS__)
    CHECK_SKIP("AddressSanitizer's shadow counts as memory");
#endif
    if (check_emulated()) CHECK_SKIP("an emulator's memory counts");
    enum { N = 96, PIXELS = 24 * 24 };
    for (int kind = 0; kind < SEGMENT_KIND_COUNT; kind++) {
        Arena room = arena_reserve((ptrdiff_t)1 << 32), whole = room;
        Dataset d = small_data("classification");
        d.info.height = d.info.width = 24;
        d.split[SPLIT_VALID].count = d.split[SPLIT_TEST].count = 0;
        float *x = NEW(&room, float, N *PIXELS), *y = NEW(&room, float, N);
        for (int64_t i = 0; i < N * PIXELS; i++) x[i] = (float)(i * i % 7919) / 4000 - 1;
        d.split[SPLIT_TRAIN] = (SplitData){.count = N, .data = x, .targets = y};
        Provenance self = {.program = "test", .version = "", .command = "", .host = ""};
        Workplace w = {.data = &d,
                       .pool = pool_open(2),
                       .out = writer_open(&room, arena_printf(&room, "%s/w.nas", dir), 0, &self),
                       .device = "cpu",
                       .seed = 1};
        TrainSettings s = train_settings;
        s.epochs = 1;
        s.batch = 48;
        s.layers = 4;
        s.recompute = recompute_name[kind];
        s.optimizer = kind == SEGMENT_CELL ? "adam" : "sgd";
        NetworkRecord net = train_network(&room, &w, &s, "r", netio_genotype, genotype_find("DARTS_V2")->text);
        Arena own = scratch;
        own.beg += (ptrdiff_t)(kind + 1) << 26; /* where nothing has been touched */
        Trainer t;
        CHECK_STR(trainer_open(&room, own, &w, &s, &net, false, &t), 0); /* as programs do before the first run */
        int64_t before = check_resident();
        const char *why = trainer_open(&room, own, &w, &s, &net, true, &t);
        if (CHECK_MSG(!why, "%s", why)) {
            CHECK_EQ(t.forecast.recompute, kind);
            CHECK_EQ(trainer_run(&t, own), TRAIN_DONE);
            trainer_write_weights(&t, own);
            int64_t grown = check_resident() - before;
            CHECK_MSG(fabs((double)(t.forecast.bytes - grown)) <= 0.05 * (double)grown,
                      "recompute %s: forecast %" PRId64 " bytes, %" PRId64 " became resident", s.recompute,
                      t.forecast.bytes, grown);
            trainer_close(&t);
        }
        CHECK(writer_finish(w.out));
        pool_close(w.pool);
        arena_release(whole);
    }
}

static void test_tally_and_predictions(void)
{
    Dataset d = small_data("classification");
    const char *names[] = {"cat, grey", "dog"};
    d.info.output_names = names;
    Tally t;
    CHECK(!tally_open(&perm, &d, task_find("classification"), 4, 4, &t));
    CHECK(isnan(tally_loss(&t)));
    const float logits[8] = {2, 0, 0, 1, 3, 1, 0, 4}, targets[4] = {0, 1, 1, 1};
    memcpy(t.logits, logits, sizeof logits);
    memcpy(t.targets, targets, sizeof targets);
    t.rows = 4;
    Metric m[TALLY_METRICS];
    int64_t n = 0;
    tally_metrics(&t, "validation", m, &n, TALLY_METRICS);
    CHECK_NEAR(metric_get(m, n, "validation", "accuracy"), 0.75, 1e-15);
    CHECK_NEAR(tally_recent(&t), 0.75, 1e-15);
    double loss = (log1p(exp(-2)) + log1p(exp(-1)) + log1p(exp(2)) + log1p(exp(-4))) / 4;
    CHECK_NEAR(tally_loss(&t), loss, 1e-12);
    double *confusion = evaluate_confusion(&perm, &t);
    CHECK(confusion[0] == 1 && confusion[1] == 0 && confusion[2] == 1 && confusion[3] == 2);
    CHECK(evaluate_trivial(&d, &t, m, TALLY_METRICS) > 0);

    predictions_make(&t);
    CHECK_NEAR((double)t.logits[0], 1 / (1 + exp(-2)), 1e-7);
    const char *path = arena_printf(&perm, "%s/p.csv", dir);
    FILE *f = fopen(path, "w+");
    if (!CHECK(f != 0)) return;
    t.rows = 1;
    predictions_csv(f, &t, "a \"run\"", (int64_t[]){42}, true);
    rewind(f);
    char text[256];
    size_t got = fread(text, 1, sizeof text - 1, f);
    text[got] = 0;
    fclose(f);
    CHECK_STR(text,
              "run,id,target,predicted,\"p_cat, grey\",p_dog\n\"a \"\"run\"\"\",42,0,0,0.880797088,0.119202919\n");
}

/* What a tally makes of targets for the loss: seen in the loss of a net whose logits are known, all weights being 0. */
static double fed_loss(Dataset *d, bool soft, double smoothing, const float *share, const float *partner, Tally *t)
{
    const char *why;
    NetworkRecord n = record(d, "linear", "");
    Graph *g = netio_build(&perm, &n, &why);
    LossDetail detail = g->detail;
    detail.soft = soft;
    graph_loss(g, g->loss, &detail);
    EngineOptions o = {.device = "ref", .batch = 4, .pool = pool_open(1)};
    Engine *e = engine_open(&perm, g, &o, &why);
    float *w = NEW(&perm, float, g->weight_count);
    w[g->params[g->param_count - 1].offset] = 1; /* the bias of the first output */
    engine_upload(e, BLOCK_WEIGHTS, w);
    CHECK(!tally_open(&perm, d, task_find(d->info.task), 4, 4, t));
    t->smoothing = smoothing;
    const Batch b = {.x = d->split[0].data, .y = d->split[0].targets, .partner = partner, .share = share, .n = 4};
    tally_feed(t, e, &b);
    engine_forward(e, MODE_TRAIN);
    tally_add(t, e, &b);
    double loss = tally_wait(t, e);
    engine_close(e);
    pool_close(o.pool);
    return loss;
}

static void test_soft_targets(void)
{
    Dataset d = small_data("classification");
    Tally t;
    const float y[4] = {0, 1, 1, 0}, partner[4] = {1, 1, 0, 0}, share[4] = {0.75F, 1, 0.5F, 0.875F};
    d.split[0].targets = y;
    const double first = log(1 + exp(-1)), second = first + 1; /* losses of class 0 and 1 at logits 1, 0 */
    CHECK_NEAR(fed_loss(&d, false, 0, 0, 0, &t), (2 * first + 2 * second) / 4, 1e-6);
    CHECK_NEAR(fed_loss(&d, true, 0, 0, 0, &t), (2 * first + 2 * second) / 4, 1e-6);
    CHECK_NEAR(fed_loss(&d, true, 0.2, 0, 0, &t), (2 * first + 2 * second) / 4, 1e-6); /* as many of each */
    const float mine[4] = {0, 0, 0, 0};
    d.split[0].targets = mine;
    CHECK_NEAR(fed_loss(&d, true, 0.2, 0, 0, &t), 0.9 * first + 0.1 * second, 1e-6);
    d.split[0].targets = y;
    double firsts = (0.75 + 0 + 0.5 + 1) / 4;
    CHECK_NEAR(fed_loss(&d, true, 0, share, partner, &t), firsts * first + (1 - firsts) * second, 1e-6);
    CHECK(!memcmp(t.targets, y, sizeof y)); /* measured by the larger part */
    /* numbers are mixed, and are measured so */
    Dataset r = small_data("regression");
    const float from[8] = {0, 4, 0, 4, 0, 4, 0, 4};
    const float none[8] = {3, 2, 1, 2, 1, 2, 1, 2};
    const float half[4] = {0.5F, 1, 1, 1};
    r.split[0].targets = none;
    /* scaled by (t - 1) / 2 and (t - 2) / 4; mixed, the first row is 1.5, 3 */
    double want = 0;
    for (int i = 0; i < 4; i++) want += pow((i ? 0 : 0.25) - 1, 2) + pow(i ? 0 : 0.25, 2);
    CHECK_NEAR(fed_loss(&r, false, 0, half, from, &t), want / 8, 1e-6);
    CHECK_NEAR(t.targets[0], 1.5, 1e-6);
    CHECK_NEAR(t.targets[1], 3, 1e-6);
}

/* Weights of a net on other data: what is carried, adapted and new; what does not fit. */
static void test_carry(void)
{
    Dataset d = small_data("classification");
    const char *why;
    NetworkRecord n = record(&d, netio_genotype, tiny);
    Graph *from = netio_build(&perm, &n, &why);
    float *weights = NEW(&perm, float, from->weight_count), *stats = NEW(&perm, float, from->stat_floats);
    graph_init(from, 3, weights, stats);
    Trained trained = {.net = n};
    for (int32_t i = 0; i < from->param_count; i++) {
        Param *p = &from->params[i];
        carry_take(&perm, &trained,
                   &(TensorRecord){.set = "best",
                                   .name = p->name,
                                   .shape = p->shape,
                                   .rank = p->rank,
                                   .data = weights + p->offset,
                                   .data_bytes = p->count * (int64_t)sizeof(float)});
    }
    for (int32_t i = 0; i < from->stat_count; i++)
        for (int k = 0; k < 2; k++)
            carry_take(
                &perm, &trained,
                &(TensorRecord){.set = "best",
                                .name = arena_printf(&perm, "%s.running_%s", from->stats[i].name, k ? "var" : "mean"),
                                .shape = &from->stats[i].channels,
                                .rank = 1,
                                .data = stats + from->stats[i].offset + k * from->stats[i].channels,
                                .data_bytes = from->stats[i].channels * (int64_t)sizeof(float)});
    carry_take(&perm, &trained, &(TensorRecord){.set = "last", .name = "another set"});
    CHECK_EQ(trained.count, from->param_count + 2 * from->stat_count);
    Dataset other = d; /* three channels, five outputs */
    other.info.channels = 3;
    other.info.outputs = 5;
    n = record(&other, netio_genotype, tiny);
    Graph *to = netio_build(&perm, &n, &why);
    float *w = NEW(&perm, float, to->weight_count), *s = NEW(&perm, float, to->stat_floats);
    Carried c;
    CHECK_STR(carry_fill(&perm, to, &trained, w, s, &c), 0);
    const Param *stem = &to->params[0], *old = &from->params[0];
    CHECK(!c.kept[0] && c.kept[1] && !c.kept[to->param_count - 1]);
    CHECK_EQ(c.adapted, stem->count);
    CHECK_EQ(c.fresh, to->params[to->param_count - 1].count + to->params[to->param_count - 2].count);
    CHECK_EQ(c.carried + c.adapted + c.fresh, to->weight_count);
    CHECK_STR(c.names, "stem.0.weight, classifier.weight, classifier.bias");
    for (int64_t out = 0; out < old->shape[0]; out++) /* a grey image in three channels gives what it gave */
        for (int64_t k = 0; k < 9; k++) {
            double sum = 0;
            for (int ch = 0; ch < 3; ch++) sum += (double)w[stem->offset + (out * 3 + ch) * 9 + k];
            CHECK_NEAR(sum, (double)weights[old->offset + out * 9 + k], 1e-6);
        }
    CHECK(!memcmp(s, stats, (size_t)to->stat_floats * sizeof *s));
    ((float *)(uintptr_t)trained.tensor[3].data)[0] = NAN;
    CHECK_CONTAINS(carry_fill(&perm, to, &trained, w, s, &c), "damaged");
    n.channels = 4;
    to = netio_build(&perm, &n, &why);
    w = NEW(&perm, float, to->weight_count), s = NEW(&perm, float, to->stat_floats);
    CHECK_CONTAINS(carry_fill(&perm, to, &trained, w, s, &c), "do not fit");
}

static void test_lists(void)
{
    double at[3];
    int64_t whole[3], n;
    CHECK(!epochs_parse(&perm, "", 10, at, 3, &n) && n == 0);
    CHECK(!epochs_parse(&perm, "1,2.5", 10, at, 3, &n) && n == 2 && at[1] == 2.5);
    const char *bad[] = {"0", "-1", "10", "2,1", "2,2", "x", "1,", ",1", "nan", "1,2,3,4"};
    for (int i = 0; i < COUNTOF(bad); i++) CHECK(epochs_parse(&perm, bad[i], 10, at, 3, &n) != 0);
    CHECK(!whole_parse(&perm, "4,8", 1, 8, whole, 3, &n) && n == 2 && whole[1] == 8);
    const char *wrong[] = {"", "0", "9", "4,4", "x", "4,", "1,2,3,4", "99999999999999999999"};
    for (int i = 0; i < COUNTOF(wrong); i++) CHECK(whole_parse(&perm, wrong[i], 1, 8, whole, 3, &n) != 0);
}

/* The interval of an accuracy is about that of the binomial distribution; the same seed gives the same one. */
static void test_bootstrap(void)
{
    enum { ROWS = 400 };
    Dataset d = small_data("classification");
    Tally t;
    CHECK(!tally_open(&perm, &d, task_find("classification"), ROWS, 4, &t));
    for (int i = 0; i < ROWS; i++) {
        t.logits[2 * i] = 1;
        t.targets[i] = i % 4 == 0; /* 3 of 4 are right */
    }
    t.rows = ROWS;
    double one[2], two[2], other[2], sd = sqrt(0.75 * 0.25 / ROWS);
    CHECK_STR(evaluate_bootstrap(scratch, &t, 500, 1, one), 0);
    CHECK_STR(evaluate_bootstrap(scratch, &t, 500, 1, two), 0);
    CHECK_STR(evaluate_bootstrap(scratch, &t, 500, 2, other), 0);
    CHECK_NEAR(one[0], 0.75 - 1.96 * sd, 0.01);
    CHECK_NEAR(one[1], 0.75 + 1.96 * sd, 0.01);
    CHECK(one[0] == two[0] && one[1] == two[1]);
    CHECK(one[0] != other[0] || one[1] != other[1]);
    d.info.metric = "auroc";
    for (int i = 0; i < ROWS; i++) t.targets[i] = 0;
    CHECK_STR(evaluate_bootstrap(scratch, &t, 5, 1, one), 0);
    CHECK(isnan(one[0]) && isnan(one[1])); /* one class: never defined */
}

static void test_health(void)
{
    CHECK(!health_warning(&perm, &(Health){256, 1.0, 2.4}));
    CHECK_CONTAINS(health_warning(&perm, &(Health){256, 1.0, 2.6}), "256 samples");
    CHECK(health_warning(&perm, &(Health){256, 1.0, INFINITY}) != 0);
    CHECK(health_warning(&perm, &(Health){256, 1.0, NAN}) != 0);
    CHECK(!health_warning(&perm, &(Health){0, NAN, NAN}));
}

static void test_settings_check(void)
{
    TrainSettings s = train_settings;
    CHECK_STR(train_settings_check(&perm, &s), 0);
    s.nesterov = true;
    CHECK_STR(train_settings_check(&perm, &s), 0);
    s.optimizer = "adam";
    CHECK_CONTAINS(train_settings_check(&perm, &s), "--nesterov");
    s = train_settings;
    s.warmup = 21;
    CHECK_CONTAINS(train_settings_check(&perm, &s), "--warmup");
    s = train_settings;
    s.no_augment = s.flip = true;
    CHECK_CONTAINS(train_settings_check(&perm, &s), "--no-augment");
    s = train_settings;
    s.reduce_at = "9";
    CHECK_CONTAINS(train_settings_check(&perm, &s), "--reduce-at");
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 30);
    scratch = arena_reserve((ptrdiff_t)1 << 30);
    if (!mkdtemp(dir)) return 1;
    CHECK_RUN(test_reduce);
    CHECK_RUN(test_candidates);
    CHECK_RUN(test_network_records);
    CHECK_RUN(test_weights_round_trip);
    CHECK_RUN(test_whole);
    CHECK_RUN(test_forecast);
    CHECK_RUN(test_forecast_holds);
    CHECK_RUN(test_tally_and_predictions);
    CHECK_RUN(test_soft_targets);
    CHECK_RUN(test_carry);
    CHECK_RUN(test_lists);
    CHECK_RUN(test_bootstrap);
    CHECK_RUN(test_health);
    CHECK_RUN(test_settings_check);
    unlink(arena_printf(&perm, "%s/w.nas", dir));
    unlink(arena_printf(&perm, "%s/p.csv", dir));
    rmdir(dir);
    return check_done("train");
}
