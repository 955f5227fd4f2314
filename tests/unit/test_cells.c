/* test_cells: the measures of cells and of mixing weights against values worked out by hand, and random cells. */
#include "check.h"

#include "report/cells.h"

static Arena perm;

static Genotype named(const char *name)
{
    Genotype g = {0};
    const char *why = genotype_parse(&perm, genotype_find(name)->text, &g);
    CHECK_MSG(!why, "%s: %s", name, why);
    return g;
}

static Cell cell(const char *normal) /* "[('skip_connect', 0), …], normal_concat=[2]" */
{
    Genotype g = {0};
    const char *why = genotype_parse(&perm,
                                     arena_printf(&perm,
                                                  "Genotype(normal=%s, reduce=[('skip_connect', 0), ('skip_connect', "
                                                  "1)], reduce_concat=[2])",
                                                  normal),
                                     &g);
    CHECK_MSG(!why, "%s: %s", normal, why);
    return g.normal;
}

/* Depth and width as Shu, Wang and Cai (2020), figure 1, give them for the published cells. */
static void test_published(void)
{
    static const struct {
        const char *name;
        double depth, width;
    } known[] = {{"NASNet", 2, 5}, {"AmoebaNet", 4, 4}, {"DARTS_V2", 3, 3.5}};
    double v[MEASURE_COUNT];
    for (int i = 0; i < COUNTOF(known); i++) {
        Genotype g = named(known[i].name);
        cell_measure(perm, &g.normal, false, v);
        CHECK_NEAR(v[MEASURE_DEPTH], known[i].depth, 0);
        CHECK_NEAR(v[MEASURE_WIDTH], known[i].width, 1e-12);
    }
}

/* DARTS_V2: three nodes of two separable convolutions or one and a skip see 1 + 2 + 2 pixels, the dilated one 4 more. */
static void test_measures(void)
{
    double v[MEASURE_COUNT];
    Genotype g = named("DARTS_V2");
    cell_measure(perm, &g.normal, false, v);
    CHECK_NEAR(v[MEASURE_PATHS], 2 + 2 + 2 + (1 + 2), 0);
    CHECK_NEAR(v[MEASURE_FIELD], 9, 0);
    CHECK_NEAR(v[MEASURE_SKIPS], 0.25, 0);
    CHECK_NEAR(v[MEASURE_POOLS], 0, 0);
    CHECK_NEAR(v[MEASURE_KINDS], 3, 0);
    CHECK_NEAR(v[MEASURE_PARAMETERS], 5 * 2 * (16 * 9 + 16 * 16 + 32) + (16 * 9 + 16 * 16 + 32), 0);
    CHECK_NEAR(v[MEASURE_MACS], (5 * 2 + 1) * (16 * 9 + 16 * 16) * 1024.0, 0);
    cell_measure(perm, &g.reduce, true, v);
    CHECK_NEAR(v[MEASURE_DEPTH], 3, 0);
    CHECK_NEAR(v[MEASURE_WIDTH], 2.5, 1e-12);
    CHECK_NEAR(v[MEASURE_PATHS], 2 + 3 * (2 + 1), 0);
    CHECK_NEAR(v[MEASURE_FIELD], 3, 0);
    CHECK_NEAR(v[MEASURE_PARAMETERS], 0, 0);
    g = named("DARTS_V1");
    cell_measure(perm, &g.normal, false, v);
    CHECK_NEAR(v[MEASURE_SKIPS], 3.0 / 8, 0);
    CHECK_NEAR(v[MEASURE_FIELD], 5, 0);

    /* A chain: a node an edge; in a reduction cell the first halves the rows, so that the second counts double. */
    Cell c = cell("[('sep_conv_5x5', 1), ('dil_conv_3x3', 2)], normal_concat=[3]");
    cell_measure(perm, &c, false, v);
    CHECK_NEAR(v[MEASURE_DEPTH], 3, 0);
    CHECK_NEAR(v[MEASURE_WIDTH], 1, 0);
    CHECK_NEAR(v[MEASURE_PATHS], 1, 0);
    CHECK_NEAR(v[MEASURE_FIELD], 1 + 4 + 4 + 4, 0);
    cell_measure(perm, &c, true, v);
    CHECK_NEAR(v[MEASURE_FIELD], 1 + 4 + 8 + 8, 0);
    c = cell("[('skip_connect', 1), ('max_pool_3x3', 0)], normal_concat=[2]");
    CellCost cost;
    CHECK(cell_cost(perm, &c, true, &cost));
    CHECK_NEAR(cost.parameters[0], 16 * 16 + 32, 0); /* a factorised reduction */
    CHECK_NEAR(cost.macs[0], 16 * 16 * 256, 0);
    CHECK_NEAR(cost.parameters[1], 0, 0);
}

static void test_none(void)
{
    double v[MEASURE_COUNT];
    Cell c = cell("[('none', 0), ('skip_connect', 1), ('none', 0), ('none', 1)], normal_concat=[2]");
    cell_measure(perm, &c, false, v);
    CHECK_NEAR(v[MEASURE_DEPTH], 2, 0);
    CHECK_NEAR(v[MEASURE_PATHS], 1, 0);
    CHECK_NEAR(v[MEASURE_WIDTH], 1, 0);
    CHECK_NEAR(v[MEASURE_NONES], 0.75, 0);
    c = cell("[('none', 0), ('none', 1)], normal_concat=[2]"); /* nothing arrives */
    cell_measure(perm, &c, false, v);
    CHECK(isnan(v[MEASURE_DEPTH]) && isnan(v[MEASURE_FIELD]) && isnan(v[MEASURE_PARAMETERS]));
    CHECK_NEAR(v[MEASURE_PATHS], 0, 0);
    c = cell("[('noise', 0), ('skip_connect', 1)], normal_concat=[2]"); /* a way that costs nothing */
    cell_measure(perm, &c, false, v);
    CHECK_NEAR(v[MEASURE_MACS], 0, 0);
    CHECK_NEAR(v[MEASURE_DEPTH], 2, 0);
}

static void test_distances(void)
{
    Genotype one = named("DARTS_V1"), two = named("DARTS_V2"), nasnet = named("NASNet");
    CHECK_EQ(cell_distance(&one.normal, &two.normal), 0 + 1 + 0 + 2);
    CHECK_EQ(cell_distance(&two.normal, &one.normal), 3);
    CHECK_EQ(cell_distance(&two.normal, &two.normal), 0);
    CHECK_NEAR(cell_agreement(&one.normal, &two.normal), 5.0 / 8, 0);
    CHECK_NEAR(cell_agreement(&one.normal, &one.normal), 1, 0);
    CHECK(cell_distance(&two.normal, &nasnet.normal) >= 4); /* its fifth node alone */
    Cell lone = cell("[('skip_connect', 1)], normal_concat=[2]");
    Cell pair = cell("[('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=[2]");
    CHECK_EQ(cell_distance(&lone, &pair), 2);
    CHECK_NEAR(cell_agreement(&lone, &pair), 0.5, 0);
}

static void test_null(void)
{
    const double sample[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    NullTest t = null_test(sample, 10, 9, 1, 1);
    CHECK_NEAR(t.expected, 4.5, 1e-12);
    CHECK_NEAR(t.sd, 3.0276503540974917, 1e-12);
    CHECK_NEAR(t.p, 2 * 2.0 / 11, 1e-12);
    CHECK_NEAR(null_test(sample, 10, 4.5, 1, 1).p, 1, 0);
    CHECK_NEAR(null_test(sample, 10, -1, 1, 1).p, 2.0 / 11, 1e-12);
    CHECK(isnan(null_test(sample, 10, NAN, 1, 1).p) && isnan(null_test(sample, 1, 0, 1, 1).expected));
    t = null_test(sample, 10, 4.5, 9, 1);
    CHECK_NEAR(t.sd, 3.0276503540974917 / 3, 1e-12);
    CHECK(t.p > 0.5);

    Space s;
    CHECK(!space_make(&perm, space_default_ops, 4, 2, 4, &s));
    enum { CELLS = 2000 };
    const Null *n = null_sample(&perm, &s, false, CELLS, 7);
    /* Each of the seven operations stands on an edge with 1/7; 8 edges a cell. Five standard errors. */
    const double error = sqrt(1.0 / 7 * 6 / 7 / (8.0 * CELLS));
    for (int64_t o = 1; o < s.op_count; o++)
        CHECK_NEAR(null_test(n->share[o], CELLS, 0, 1, 7).expected, 1.0 / 7, 5 * error);
    CHECK_NEAR(null_test(n->share[0], CELLS, 0, 1, 7).expected, 0, 0);
    /* Node j takes two of j + 2 states: 2 / (j + 2) of its inputs are the cell's. */
    const double width = 1 + 2.0 / 3 + 2.0 / 4 + 2.0 / 5;
    NullTest w = null_test(n->value[MEASURE_WIDTH], CELLS, 4, 1, 7);
    CHECK_NEAR(w.expected, width, 5 * w.sd / sqrt(CELLS));
    CHECK_NEAR(w.p, 0.0333, 0.03); /* all from the inputs: 1/3 · 1/6 · 1/10 */
    const Null *again = null_sample(&perm, &s, false, CELLS, 7);
    CHECK(!memcmp(n->value[MEASURE_PATHS], again->value[MEASURE_PATHS], CELLS * sizeof(double)));
    CHECK(null_test(n->distance, CELLS / 2, 0, 1, 7).p < 0.01);
}

static void test_indices(void)
{
    const double even[] = {0.25, 0.25, 0.25, 0.25}, one[] = {0, 1, 0, 0}, ladder[] = {3, 1, 4, 2}, half[] = {0.5, 0.5};
    CHECK_NEAR(mixing_entropy(half, 2), log(2), 1e-15);
    CHECK_NEAR(mixing_entropy(one, 4), 0, 0);
    CHECK_NEAR(mixing_gini(perm, even, 4), 0, 1e-15);
    CHECK_NEAR(mixing_gini(perm, one, 4), 0.75, 1e-15);
    CHECK_NEAR(mixing_gini(perm, ladder, 4), 0.25, 1e-15);
    const double up[] = {1, 2, 3}, swapped[] = {1, 3, 2}, tied[] = {1, 1, 2}, down[] = {3, 2, 1};
    CHECK_NEAR(mixing_tau(up, up, 3), 1, 1e-15);
    CHECK_NEAR(mixing_tau(up, down, 3), -1, 1e-15);
    CHECK_NEAR(mixing_tau(up, swapped, 3), 1.0 / 3, 1e-15);
    CHECK_NEAR(mixing_tau(tied, up, 3), 2 / sqrt(6), 1e-15);
    CHECK(isnan(mixing_tau(even, ladder, 4)));
}

/* One node, two edges, three operations, two epochs. */
static void test_mixing(void)
{
    static const char *ops[] = {"none", "skip_connect", "sep_conv_3x3"};
    double w[2][6] = {{0.3, 0.4, 0.3, 0.2, 0.5, 0.3}, {0.6, 0.1, 0.3, 0.2, 0.5, 0.3}};
    AlphaTable t[2] = {{.name = "normal", .edges = 2, .ops = 3, .weight = w[0]},
                       {.name = "normal", .edges = 2, .ops = 3, .weight = w[1]}};
    const char *text = "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=[2], "
                       "reduce=[('skip_connect', 0), ('skip_connect', 1)], reduce_concat=[2])";
    SearchEpoch e[2] = {{.epoch = 0, .tables = &t[0], .table_count = 1, .genotype = text},
                        {.epoch = 1, .tables = &t[1], .table_count = 1, .genotype = text}};
    const SearchEpoch *epoch[] = {&e[0], &e[1]};
    SearchSpace space = {.strategy = "darts1", .ops = ops, .op_count = 3, .nodes = 1, .inputs = 2, .concat = 1};
    StorySearch s = {.label = "darts1", .space = &space, .epoch = epoch, .count = 2};
    double v[MIXING_COUNT];
    mixing_measure(perm, &s, 1, false, v);
    CHECK_NEAR(v[MIXING_NONE], 0.4, 1e-15);
    CHECK_NEAR(v[MIXING_NONE_WINS], 0.5, 0);
    CHECK_NEAR(v[MIXING_SKIP], 0.3, 1e-15);
    CHECK_NEAR(v[MIXING_KEPT], (0.3 + 0.5) / 2, 1e-15);
    CHECK_NEAR(v[MIXING_SIGMA], sqrt((0.36 + 0.01 + 0.09 + 0.04 + 0.25 + 0.09) / 6 - 1.0 / 9), 1e-15);
    CHECK_NEAR(v[MIXING_ENTROPY], (mixing_entropy(w[1], 3) + mixing_entropy(w[1] + 3, 3)) / (2 * log(3)), 1e-15);
    /* edge 0: skip over none = sep turned into none over sep over skip: -2 / sqrt(2 · 3); edge 1: as before */
    CHECK_NEAR(v[MIXING_TAU_PREVIOUS], (1 - 2 / sqrt(6)) / 2, 1e-15);
    CHECK_NEAR(v[MIXING_TAU_LAST], 1, 1e-15);
    mixing_measure(perm, &s, 0, false, v);
    CHECK(isnan(v[MIXING_TAU_PREVIOUS]));
    double share[MIXING_BINS];
    mixing_histogram(&t[1], share);
    static const int bin[] = {2, 4, 6, 10, 12}; /* 0.1, 0.2, twice 0.3, 0.5, 0.6 */
    for (int i = 0; i < COUNTOF(bin); i++) CHECK_NEAR(share[bin[i]], bin[i] == 6 ? 2.0 / 6 : 1.0 / 6, 1e-15);
    CHECK(!mixing_table(&s, 1, true));
    w[1][0] = NAN;
    CHECK(!mixing_table(&s, 1, false));
    mixing_measure(perm, &s, 1, false, v);
    CHECK(isnan(v[MIXING_ENTROPY]));
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 33);
    CHECK_RUN(test_published);
    CHECK_RUN(test_measures);
    CHECK_RUN(test_none);
    CHECK_RUN(test_distances);
    CHECK_RUN(test_null);
    CHECK_RUN(test_indices);
    CHECK_RUN(test_mixing);
    return check_done("cells");
}
