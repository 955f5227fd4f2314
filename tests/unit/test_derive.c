/* The derivation rule: order, ties, none, margins and masses; tables of weights as text.
 *
 *   test_derive KIND ALPHAS OUT    writes a small stream of a search for derive.bats instead
 */
#include "check.h"
#include "search/derive.h"
#include "stream/record.h"

static Arena perm;

static Space space(const char *ops, int64_t nodes, int64_t inputs)
{
    Space s;
    CHECK(!space_make(&perm, ops, nodes, inputs, nodes, &s));
    return s;
}

static void test_edge(void)
{
    Space s = space("skip_connect,none,sep_conv_3x3,dil_conv_3x3", 1, 1);
    EdgeChoice c = derive_edge(&s, (double[]){0.1, 0.6, 0.2, 0.1});
    CHECK_EQ(c.column, 2);
    CHECK_NEAR(c.weight, 0.2, 0);
    CHECK_NEAR(c.margin, 0.1, 1e-15);
    c = derive_edge(&s, (double[]){0.2, 0.3, 0.25, 0.25}); /* the first of equals */
    CHECK_EQ(c.column, 2);
    CHECK_NEAR(c.margin, 0, 0);
    c = derive_edge(&s, (double[]){0.4, 0.1, 0.2, 0.3});
    CHECK_EQ(c.column, 0);
    CHECK_NEAR(c.margin, 0.1, 1e-15);
    c = derive_edge(&s, (double[]){0, 1, 0, 0});
    CHECK_EQ(c.column, 0);
    s = space("none,noise", 1, 1);
    c = derive_edge(&s, (double[]){0.7, 0.3});
    CHECK_EQ(c.column, 1);
    CHECK_NEAR(c.margin, 0.3, 0);
}

static void test_order_and_masses(void)
{
    Space s = space("none,skip_connect,sep_conv_3x3", 2, 2);
    /* node 0: edges 0, 1; node 1: edges 2, 3, 4 */
    const double normal[] = {0.5, 0.3, 0.2, 0.2, 0.3, 0.5, 0.9, 0.05, 0.05, 0.1, 0.3, 0.6, 0.4, 0.6, 0.0};
    const double ties[] = {0.2, 0.4, 0.4, 0.2, 0.4, 0.4, 0.4, 0.3, 0.3, 0.4, 0.3, 0.3, 0.4, 0.3, 0.3};
    Derived d;
    CHECK(!derive_magnitude(&perm, &s, normal, ties, 0, &d));
    CHECK_STR(genotype_print(&perm, &d.genotype),
              "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1), ('skip_connect', 2)], "
              "normal_concat=range(2, 4), reduce=[('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), "
              "('skip_connect', 1)], reduce_concat=range(2, 4))");
    CHECK_EQ(d.margin_count, 8);
    const double margin[] = {0.2, 0.1, 0.3, 0.6, 0, 0, 0, 0};
    for (int i = 0; i < 8; i++) CHECK_NEAR(d.margin[i], margin[i], 1e-15);
    CHECK_NEAR(d.none_mass, (0.5 + 0.2 + 0.9 + 0.1 + 0.4 + 0.2 + 0.2 + 0.4 * 3) / 10, 1e-15);
    CHECK_NEAR(d.weight_kept, (0.5 + 0.3 + 0.6 + 0.6 + 0.4 + 0.4 + 0.3 + 0.3) / 8, 1e-15);
    CHECK_EQ(d.none_wins[0], 2);
    CHECK_EQ(d.none_wins[1], 3);
}

static void test_without_none(void)
{
    Space s = space("skip_connect,sep_conv_3x3", 2, 1);
    s.concat = 1;
    const double w[] = {0.5, 0.5, 0.1, 0.9, 0.3, 0.7, 0.6, 0.4, 0.2, 0.8};
    Derived d;
    CHECK(!derive_magnitude(&perm, &s, w, w, 0, &d));
    CHECK_NEAR(d.none_mass, -1, 0);
    CHECK_EQ(d.none_wins[0], 0);
    CHECK_EQ(d.margin_count, 4);
    CHECK_CONTAINS(genotype_print(&perm, &d.genotype), "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 2)], "
                                                       "normal_concat=range(3, 4)");
}

/* Against the rule written another way: sort all (edge, op) pairs. */
static void test_many(void)
{
    Space s = space("darts", 4, 2);
    for (uint64_t seed = 0; seed < 200; seed++) {
        double w[14 * 8];
        uint64_t state = seed * 2654435761u + 1;
        for (int i = 0; i < 14 * 8; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            w[i] = (double)(state >> 60) / 16; /* sixteen values: ties abound */
        }
        Derived d;
        CHECK(!derive_magnitude(&perm, &s, w, w, 0, &d));
        for (int64_t node = 0; node < 4; node++) {
            double best[6];
            for (int64_t i = 0; i < node + 2; i++) {
                best[i] = 0;
                for (int k = 1; k < 8; k++) best[i] = fmax(best[i], w[space_edge(node, i) * 8 + k]);
            }
            for (int k = 0; k < 2; k++) { /* exactly k edges come before the kept one, in order (stronger, earlier) */
                GeneEdge e = d.genotype.normal.edge[node * 2 + k];
                int before = 0;
                for (int i = 0; i < node + 2; i++)
                    before += best[i] > best[e.input] || (best[i] == best[e.input] && i < e.input);
                CHECK_EQ(before, k);
                const double *row = &w[space_edge(node, e.input) * 8];
                CHECK_NEAR(row[e.op], best[e.input], 0); /* op numbers are columns in this space */
                for (int op = 1; op < e.op; op++) CHECK(row[op] < row[e.op]);
            }
        }
    }
}

static void test_refused(void)
{
    Space s = space("none,noise", 1, 2);
    Derived d;
    const double good[] = {0.5, 0.5, 0, 1}, bad[] = {0.5, NAN, 0, 1}, negative[] = {0.5, 0.5, -0.25, 1};
    CHECK(!derive_magnitude(&perm, &s, good, good, 0, &d));
    CHECK_CONTAINS(derive_magnitude(&perm, &s, bad, good, 0, &d), "normal edge 0 has the weight nan");
    CHECK_CONTAINS(derive_magnitude(&perm, &s, good, negative, 0, &d), "reduce edge 1 has the weight -0.25");
}

static const char *read_table(const Space *s, const char *text, double **w)
{
    return derive_read_table(&perm, s, text, (int64_t)strlen(text), w);
}

static void test_table(void)
{
    Space s = space("none,noise", 1, 2);
    double *w;
    CHECK(!read_table(&s, "# edges\n0.5 0.25\r\n\t1e-3, 0.75 # second\n\n0 1\n1 0", &w));
    const double expected[] = {0.5, 0.25, 1e-3, 0.75, 0, 1, 1, 0};
    for (int i = 0; i < 8; i++) CHECK_NEAR(w[i], expected[i], 0);
    CHECK_CONTAINS(read_table(&s, "", &w), "0 rows, expected 4");
    CHECK_CONTAINS(read_table(&s, "0 1\n0 1\n0 1\n", &w), "3 rows, expected 4: 2 edges");
    CHECK_CONTAINS(read_table(&s, "0 1\n0 1\n0 1\n0 1\n0 1\n", &w), "5 rows, expected 4");
    CHECK_CONTAINS(read_table(&s, "0 1\n\n0 1 2\n", &w), "line 3: 3 numbers, expected 2");
    CHECK_CONTAINS(read_table(&s, "0 1\nzero 1\n", &w), "line 2: \"zero\" is no number");
    CHECK_CONTAINS(read_table(&s, "0 1x\n", &w), "line 1: \"1x\" is no number");
    CHECK_CONTAINS(read_table(&s, "0 -1\n", &w), "line 1: -1 is no weight");
    CHECK_CONTAINS(read_table(&s, "0 nan\n", &w), "line 1: nan is no weight");
    CHECK_CONTAINS(read_table(&s, "0 1e999\n", &w), "line 1: 1e999 is no weight");
}

/* A search of three epochs whose last alphas are those of the table, with other records around it. The kinds "no-epochs",
 * "no-space", "misfit" and "negative" have the defect that they are named after. */
static int write_search(const char *kind, const char *table, const char *path)
{
    Space s = space("darts", 4, 2);
    const int64_t cells = space_edges(&s) * s.op_count;
    char *text = NEW(&perm, char, 1 << 16);
    FILE *in = fopen(table, "r");
    if (!in) return perror(table), 1;
    double *weight;
    const char *why = derive_read_table(&perm, &s, text, (int64_t)fread(text, 1, 1 << 16, in), &weight);
    fclose(in);
    if (why) return fprintf(stderr, "%s: %s\n", table, why), 1;
    Writer *out = writer_open(&perm, path, 0, &(Provenance){.program = "test"});
    DatasetInfo d = {.name = "toy",
                     .source = "",
                     .task = "classification",
                     .channels = 1,
                     .height = 1,
                     .width = 2,
                     .outputs = 2,
                     .dtype = DTYPE_U8,
                     .mean = (double[]){0},
                     .sd = (double[]){1}};
    writer_put(out, &(Record){.kind = REC_DATASET, .dataset = d});
    Samples x = {.split = SPLIT_TRAIN,
                 .count = 1,
                 .dtype = DTYPE_U8,
                 .data = "ab",
                 .data_bytes = 2,
                 .targets = (float[]){1},
                 .target_width = 1};
    writer_put(out, &(Record){.kind = REC_SAMPLES, .samples = x});
    const char *names[SPACE_MAX_OPS];
    for (int64_t i = 0; i < s.op_count; i++) names[i] = primitive_table[s.op[i]].name;
    SearchSpace r = {.strategy = "darts1",
                     .ops = names,
                     .op_count = s.op_count,
                     .nodes = 4,
                     .inputs = 2,
                     .concat = 4,
                     .layers = 8,
                     .channels = 16,
                     .dataset = "toy",
                     .seed = 3};
    if (strcmp(kind, "no-space")) writer_put(out, &(Record){.kind = REC_SPACE, .space = r});
    for (int64_t epoch = 0; epoch < 3 && strcmp(kind, "no-epochs"); epoch++) {
        double *w = NEW(&perm, double, 2 * cells); /* even weights at first; epoch 1 likes the last operation */
        for (int64_t i = 0; i < 2 * cells; i++) w[i] = epoch == 2 ? weight[i] : epoch && i % 8 == 7 ? 0.3 : 0.1;
        if (!strcmp(kind, "negative")) w[5] = -0.25;
        AlphaTable t[2] = {{.name = "normal", .edges = 14, .ops = 8, .raw = w, .weight = w, .entropy = w, .margin = w},
                           {.name = "reduce",
                            .edges = 14,
                            .ops = 8,
                            .raw = w + cells,
                            .weight = w + cells,
                            .entropy = w,
                            .margin = w}};
        if (!strcmp(kind, "misfit")) t[1].edges = 13;
        SearchEpoch e = {.epoch = epoch, .epochs = 2, .tables = t, .table_count = 2, .genotype = ""};
        writer_put(out, &(Record){.kind = REC_SEARCH_EPOCH, .search_epoch = e});
    }
    TensorRecord w = {.run = "",
                      .set = "supernet",
                      .name = "w",
                      .shape = (int64_t[]){1},
                      .rank = 1,
                      .dtype = DTYPE_F32,
                      .data = (float[]){1},
                      .data_bytes = 4};
    writer_put(out, &(Record){.kind = REC_TENSOR, .tensor = w});
    writer_put(out, &(Record){.kind = REC_EVENT, .event = {.what = "end", .text = "of the search"}});
    if (writer_finish(out)) return 0;
    fprintf(stderr, "%s\n", writer_error(out));
    return 1;
}

int main(int argc, char **argv)
{
    perm = arena_reserve((ptrdiff_t)1 << 26);
    if (argc == 4) return write_search(argv[1], argv[2], argv[3]);
    CHECK_RUN(test_edge);
    CHECK_RUN(test_order_and_masses);
    CHECK_RUN(test_without_none);
    CHECK_RUN(test_many);
    CHECK_RUN(test_refused);
    CHECK_RUN(test_table);
    return check_done("derive");
}
