/* test_charts: the points of spreads, fronts, depths and heat maps, against values worked out by hand. */
#include "check.h"

#include "report/parts.h"

static Arena perm;
static const char cell[] = "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=[2], "
                           "reduce=[('skip_connect', 0), ('skip_connect', 1)], reduce_concat=[2])";

static void put(Story *s, RecordKind kind, const void *record, size_t size)
{
    Record r = {.kind = kind};
    memcpy(&r.dataset, record, size);
    CHECK(story_add(s, "f.nas", &r));
}
#define PUT(s, kind, value) put(s, kind, &(value), sizeof(value))

static Metric *metrics(double accuracy)
{
    Metric *m = NEW(&perm, Metric, 2);
    m[0] = (Metric){"loss", "", 0.5};
    m[1] = (Metric){"accuracy", "", accuracy};
    return m;
}

static void put_net(Story *s, const char *net, int64_t layers, int64_t parameters, double accuracy)
{
    NetworkRecord n = {.run = net, .net = net, .layers = layers, .channels = 16, .dataset = "d"};
    if (layers) PUT(s, REC_NETWORK, n);
    Evaluation e = {.run = net,
                    .set = "best",
                    .dataset = "d",
                    .split = "test",
                    .net = net,
                    .count = 100,
                    .parameters = parameters,
                    .metrics = metrics(accuracy),
                    .metric_count = 2,
                    .baseline = metrics(0.1),
                    .baseline_count = 2};
    PUT(s, REC_EVALUATION, e);
}

static const Series *labelled(const Panel *p, const char *label)
{
    for (int64_t i = 0; i < p->count; i++)
        if (!strcmp(p->series[i].label, label)) return &p->series[i];
    CHECK_MSG(false, "no series %s", label);
    return &p->series[0];
}

/* Five runs of one net: quartiles 0.2 and 0.4, median 0.3; one run of another has no box. */
static void test_spread(void)
{
    static const double value[] = {0.5, 0.1, 0.4, 0.2, 0.3};
    Story *s = story_new(&perm);
    for (int i = 0; i < COUNTOF(value); i++) put_net(s, "linear", 0, 100, value[i]);
    put_net(s, "mlp", 0, 100, 0.7);
    story_finish(s);
    Figure f = figure_spread(s, &perm);
    if (!CHECK_EQ(f.count, 1)) return;
    const Panel *p = &f.panel[0];
    CHECK_EQ(p->x_names, 2);
    CHECK_STR(p->x_name[0], "linear (5)");
    CHECK_STR(p->x_name[1], "mlp (1)");
    CHECK_EQ(p->count, 3 + 1 + 1); /* box, median, dots; dots; the trivial predictor */
    static const double box[] = {0.1, 0.2, 0.2, 0.4, 0.4, 0.5, 0.4, 0.4, 0.2, 0.2};
    CHECK_EQ(p->series[0].count, COUNTOF(box));
    for (int i = 0; i < COUNTOF(box); i++) CHECK_NEAR(p->series[0].y[i], box[i], 1e-15);
    CHECK_NEAR(p->series[1].y[0], 0.3, 1e-15);
    CHECK_EQ(p->series[2].count, 5);
    CHECK_NEAR(labelled(p, "trivial predictor")->y[1], 0.1, 0);
    CHECK_NEAR(p->x0, -0.5, 0);
    CHECK_NEAR(p->x1, 1.5, 0);
}

/* Costs 100, 200, 200, 300, 400; the one at 300 is worse than a cheaper one. */
static void test_fronts(void)
{
    Story *s = story_new(&perm);
    put_net(s, "e", 0, 400, 0.9);
    put_net(s, "a", 0, 100, 0.5);
    put_net(s, "b", 0, 200, 0.6);
    put_net(s, "c", 0, 200, 0.7);
    put_net(s, "d", 0, 300, 0.65);
    story_finish(s);
    Figure f = figure_fronts(s, &perm);
    if (!CHECK_EQ(f.count, 1)) return; /* MACs are not known */
    CHECK_STR(f.panel[0].x_title, "parameters");
    const Series *front = labelled(&f.panel[0], "Pareto front");
    static const double stairs[][2] = {{100, 0.5}, {200, 0.5}, {200, 0.7}, {400, 0.7}, {400, 0.9}, {400, 0.9}};
    if (!CHECK_EQ(front->count, COUNTOF(stairs))) return;
    for (int i = 0; i < COUNTOF(stairs); i++) {
        CHECK_NEAR(front->x[i], stairs[i][0], 0);
        CHECK_NEAR(front->y[i], stairs[i][1], 0);
    }
    Text t = {0};
    figure_svg(&perm, &t, &f.panel[0]);
    CHECK_CONTAINS(t.s, "aria-label=\"d, test: accuracy by parameters\"");
    CHECK_CONTAINS(t.s, ">200</text>");
}

static void test_depth(void)
{
    Story *s = story_new(&perm);
    static const struct {
        int64_t layers, channels;
        double accuracy;
    } row[] = {{20, 16, 0.7}, {8, 16, 0.8}, {8, 16, 0.9}, {8, 32, 0.6}};
    for (int i = 0; i < COUNTOF(row); i++) {
        TransferRow t = {.genotype = cell,
                         .name = "c",
                         .to = "d",
                         .layers = row[i].layers,
                         .channels = row[i].channels,
                         .metrics = metrics(row[i].accuracy),
                         .metric_count = 2};
        PUT(s, REC_TRANSFER, t);
    }
    story_finish(s);
    Figure f = figure_depth(s, &perm);
    if (!CHECK_EQ(f.count, 2)) return;
    CHECK_EQ(f.panel[0].count, 1); /* at 32 channels there is one depth alone */
    const Series *layers = labelled(&f.panel[0], "c, 16 channels");
    CHECK_EQ(layers->count, 2);
    CHECK_NEAR(layers->x[0], 8, 0);
    CHECK_NEAR(layers->y[0], 0.85, 1e-15);
    CHECK_NEAR(layers->y[1], 0.7, 0);
    const Series *channels = labelled(&f.panel[1], "c, 8 layers");
    CHECK_NEAR(channels->x[1], 32, 0);
    CHECK_NEAR(channels->y[1], 0.6, 0);
    CHECK_NEAR(f.panel[0].x0, 8, 0);
}

static void test_heat(void)
{
    Story *s = story_new(&perm);
    static const struct {
        const char *name, *to;
        double accuracy;
    } row[] = {
        {"a on x", "x", 0.5}, {"b on x", "x", 0.9}, {"b on x", "x", 0.7}, {"c on x", "x", 0.6}, {"a on y", "y", 0.3}};
    for (int i = 0; i < COUNTOF(row); i++) {
        TransferRow t = {.genotype = cell,
                         .name = row[i].name,
                         .from = i == 0 || i == 4 ? "z" : "",
                         .to = row[i].to,
                         .metrics = metrics(row[i].accuracy),
                         .metric_count = 2};
        PUT(s, REC_TRANSFER, t);
    }
    Heat h = heat_of(s, &perm);
    CHECK_EQ(h.rows, 3);
    CHECK_EQ(h.columns, 2);
    CHECK_STR(h.row_name[0], "a (from z)");
    CHECK_STR(h.row_name[1], "b");
    CHECK_STR(h.column_name[1], "y (accuracy)");
    CHECK_NEAR(h.value[1 * 2 + 0], 0.8, 1e-15);
    CHECK_NEAR(h.shade[1 * 2 + 0], 1, 1e-15);
    CHECK_NEAR(h.shade[2 * 2 + 0], 1.0 / 3, 1e-12);
    CHECK(isnan(h.value[1 * 2 + 1]) && isnan(h.shade[1 * 2 + 1]));
    CHECK_NEAR(h.shade[1], 0.5, 0); /* alone in its column */
    Text t = {0};
    table_text(&perm, &t, heat_table(&perm, &h));
    CHECK_CONTAINS(t.s, "  b                80.00 %\n");
    s = story_new(&perm);
    CHECK_EQ(heat_of(s, &perm).rows, 0);
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 33);
    CHECK_RUN(test_spread);
    CHECK_RUN(test_fronts);
    CHECK_RUN(test_depth);
    CHECK_RUN(test_heat);
    return check_done("charts");
}
