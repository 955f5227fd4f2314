/* Alphas and genotypes of other programs: .npy arrays, logs of PyTorch's DARTS, definitions in Python; and the rules of
 * derivation beyond DARTS' own: threshold, bounds. */
#include "base/npy.h"
#include "base/rng.h"
#include "check.h"
#include "nn/genotext.h"
#include "search/alphafile.h"
#include "search/bounded.h"

static Arena perm, scratch;

static Space space(const char *ops, int64_t nodes, int64_t inputs)
{
    Space s;
    CHECK(!space_make(&perm, ops, nodes, inputs, nodes, &s));
    return s;
}

/* ---- .npy ---- */

typedef struct {
    unsigned char *bytes;
    int64_t n;
} Bytes;

static Bytes npy(int version, const char *text, const void *data, int64_t data_bytes)
{
    int64_t length = (int64_t)strlen(text), head = version == 1 ? 10 : 12;
    Bytes b = {NEW(&perm, unsigned char, head + length + data_bytes + 1), head + length + data_bytes};
    memcpy(b.bytes, "\x93NUMPY", 6);
    b.bytes[6] = (unsigned char)version;
    for (int i = 8; i < head; i++) b.bytes[i] = (unsigned char)(length >> 8 * (i - 8));
    memcpy(b.bytes + head, text, (size_t)length);
    if (data_bytes) memcpy(b.bytes + head + length, data, (size_t)data_bytes);
    return b;
}

static void test_npy_header(void)
{
    NpyHeader h;
    Bytes b = npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (14, 8), }     \n", 0, 0);
    CHECK_STR(npy_parse(&perm, b.bytes, b.n, &h), 0);
    CHECK(h.kind == 'f' && h.size == 4 && !h.big_endian && !h.fortran && h.rank == 2 && h.shape[0] == 14 &&
          h.shape[1] == 8 && h.count == 112 && h.start == b.n);
    for (int64_t n = 0; n < b.n; n++) CHECK(npy_parse(&perm, b.bytes, n, &h)); /* cut anywhere */
    static const struct {
        int version;
        const char *text;
        int64_t rank, count;
    } good[] = {
        {2, "{\"shape\":(),\"descr\":\"|u1\",\"fortran_order\":True}", 0, 1},
        {3, "{'descr': '>f8', 'fortran_order': True, 'shape': (3L,), }", 1, 3},
        {1, "{'descr': '<i8', 'fortran_order': False, 'shape': (0, 5), }", 2, 0},
        {1, "{'descr': '=f2', 'fortran_order': False, 'shape': (1, 2, 3), }", 3, 6},
        {1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", 1, 2},
    };
    for (int i = 0; i < COUNTOF(good); i++) {
        b = npy(good[i].version, good[i].text, 0, 0);
        CHECK_STR(npy_parse(&perm, b.bytes, b.n, &h), 0);
        CHECK_EQ(h.rank, good[i].rank);
        CHECK_EQ(h.count, good[i].count);
    }
    static const char *const bad[] = {
        "",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 2}",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f1', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f3', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4",
    };
    for (int i = 0; i < COUNTOF(bad); i++) {
        b = npy(1, bad[i], 0, 0);
        const char *why = npy_parse(&perm, b.bytes, b.n, &h);
        CHECK_MSG(why && *why, "accepted: %s", bad[i]);
    }
    b = npy(4, good[0].text, 0, 0);
    CHECK_CONTAINS(npy_parse(&perm, b.bytes, b.n, &h), "version 4.0");
    CHECK_CONTAINS(npy_parse(&perm, "text", 4, &h), "no .npy");
}

static void test_npy_values(void)
{
    static const struct {
        const char *type;
        unsigned char bytes[8];
        double value;
    } one[] = {
        {"<f4", {0, 0, 0xc0, 0xbf}, -1.5},
        {">f4", {0xbf, 0xc0, 0, 0}, -1.5},
        {">f8", {0x3f, 0xf8, 0, 0, 0, 0, 0, 0}, 1.5},
        {"<f8", {0, 0, 0, 0, 0, 0, 0xf8, 0x3f}, 1.5},
        {"<f2", {0x00, 0xbe}, -1.5},
        {"<f2", {0x01, 0x00}, 0x1p-24}, /* the smallest */
        {"<f2", {0xff, 0x7b}, 65504},
        {"<f2", {0x00, 0x7c}, INFINITY},
        {"|i1", {0xff}, -1},
        {"|u1", {0xff}, 255},
        {"<i2", {0x00, 0x80}, -32768},
        {">i4", {0xff, 0xff, 0xff, 0xfe}, -2},
        {"<u4", {0xff, 0xff, 0xff, 0xff}, 4294967295},
        {"<i8", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, -1},
        {"<u8", {0, 0, 0, 0, 0, 0, 0, 0x80}, 0x1p63},
        {"|b1", {1}, 1},
    };
    NpyHeader h;
    for (int i = 0; i < COUNTOF(one); i++) {
        Bytes b = npy(1, arena_printf(&perm, "{'descr':'%s','fortran_order':False,'shape':(1,)}", one[i].type),
                      one[i].bytes, 8);
        if (CHECK(!npy_parse(&perm, b.bytes, b.n, &h))) CHECK(npy_real(&h, b.bytes + h.start, 0) == one[i].value);
    }
    /* (2, 3) of 0 … 5 in C order is, in Fortran order, 0 3 1 4 2 5 */
    unsigned char data[] = {0, 3, 1, 4, 2, 5};
    Bytes b = npy(1, "{'descr':'|u1','fortran_order':True,'shape':(2, 3)}", data, 6);
    CHECK(!npy_parse(&perm, b.bytes, b.n, &h));
    for (int i = 0; i < 6; i++) CHECK_NEAR(npy_real(&h, b.bytes + h.start, i), i, 0);
}

static void test_npy_alphas(void)
{
    Space s = space("none,skip_connect,sep_conv_3x3", 1, 2);
    unsigned char data[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    static const struct {
        const char *shape, *words;
        int64_t bytes, cells;
    } c[] = {{"(2, 3)", 0, 6, 1},           {"(4, 3)", 0, 12, 2},      {"(2, 2, 3)", 0, 12, 2},
             {"(2, 3)", "cut short", 5, 0}, {"(3, 3)", "3x3", 9, 0},   {"(3, 2)", "3x2, expected 2x3", 6, 0},
             {"(6,)", "6, expected", 6, 0}, {"()", "one value", 1, 0}, {"(3, 2, 3)", "3x2x3", 12, 0},
             {"(2, 1, 3)", "2x1x3", 6, 0},  {"(2, 0)", "2x0", 0, 0}};
    for (int i = 0; i < COUNTOF(c); i++) {
        Bytes b = npy(1, arena_printf(&perm, "{'descr':'|u1','fortran_order':False,'shape':%s}", c[i].shape), data,
                      c[i].bytes);
        double *w;
        int64_t cells;
        const char *why = alphafile_npy(&perm, &s, b.bytes, b.n, &w, &cells);
        if (c[i].words) {
            CHECK_CONTAINS(why, c[i].words);
            continue;
        }
        CHECK_STR(why, 0);
        CHECK_EQ(cells, c[i].cells);
        for (int64_t k = 0; k < cells * 6; k++) CHECK_NEAR(w[k], (double)(k + 1), 0);
    }
}

/* ---- logs ---- */

static void test_log(void)
{
    Space s = space("none,skip_connect,sep_conv_3x3", 1, 2);
    const char *log = "epoch 0\n"
                      "tensor([[0.1, 0.2, 0.7],\n        [1e-1, 2.5e-1, .65]], device='cuda:0')\n"
                      "10-14 tensor([[0.5,\n 0.5, 0.0], [0., 0., 1.]], grad_fn=<SoftmaxBackward>)\n"
                      "tensor([0.3, 0.7])\n" /* another thing */
                      "tensor([[0.2, 0.2, 0.6], [0.2, 0.2, 0.6]])\n"
                      "tensor([[0.3, 0.3, 0.4], [0.3, 0.3, 0.4]])\n";
    LogAlphas a;
    CHECK_STR(alphafile_log(&perm, &s, log, -1, &a), 0);
    CHECK(a.epoch == 1 && a.count == 2 && a.normal[2] == 0.6 && a.reduce[5] == 0.4);
    CHECK_STR(alphafile_log(&perm, &s, log, 0, &a), 0);
    CHECK(a.epoch == 0 && a.normal[3] == 0.1 && a.normal[4] == 0.25 && a.reduce[1] == 0.5 && a.reduce[5] == 1);
    CHECK_CONTAINS(alphafile_log(&perm, &s, log, 2, &a), "no epoch 2: the log has 0 to 1");
    /* killed: wherever it was cut, the pairs before it are used or nothing is */
    for (int64_t n = 0; n < (int64_t)strlen(log); n++) {
        const char *why = alphafile_log(&perm, &s, arena_strndup(&perm, log, n), -1, &a);
        CHECK(why || (a.epoch >= 0 && a.count <= 2));
    }
    CHECK_CONTAINS(alphafile_log(&perm, &s, "tensor([[0.1, 0.2],[0.1,0.2]])", -1, &a), "line 1: a tensor of 2x2");
    CHECK_CONTAINS(alphafile_log(&perm, &s, "\ntensor([[1, 2, ..., 3]])\ntensor([[", -1, &a),
                   "line 2: a tensor: it was");
    CHECK_CONTAINS(alphafile_log(&perm, &s, "tensor([[1,2,3],[1,2]])\ntensor([[", -1, &a), "differ in length");
    CHECK_CONTAINS(alphafile_log(&perm, &s, "", -1, &a), "no pair");
    CHECK_EQ(alphafile_probe("x tensor([[", 11), ALPHA_LOG);
    CHECK_EQ(alphafile_probe("a = Genotype(", 13), ALPHA_PYTHON);
    CHECK_EQ(alphafile_probe("0.1 0.2", 7), ALPHA_TABLE);
    CHECK_EQ(alphafile_probe("\x93NUMPY", 6), ALPHA_NPY);
    CHECK_EQ(alphafile_probe("", 0), ALPHA_TABLE);
}

/* ---- Python ---- */

static void test_python(void)
{
    const char *text = "from collections import namedtuple\n"
                       "Genotype = namedtuple('Genotype', 'normal')\n"
                       "# OLD = Genotype(normal=[('a', 0)])\n"
                       "NASNet = Genotype(  # of 2018 (ImageNet\n"
                       "  normal = [ # )\n    ('x#y', 1),\n  ],)\n"
                       "  V_2=Genotype(normal=[(')', 1)])\n"
                       "10-14 genotype = Genotype(a)  genotype = Genotype(b)\n"
                       "print(MyGenotype(1), \"Genotype(2)\")\n"
                       "LAST = Genotype(normal=[";
    static const struct {
        const char *name;
        int64_t line;
        const char *part;
    } want[] = {{"NASNet", 4, "('x"},  {"V_2", 8, "(')', 1)])"}, {0, 9, "Genotype(a)"},
                {0, 9, "Genotype(b)"}, {0, 10, "Genotype(2)"},   {"LAST", 11, "Genotype(normal=["}};
    GenotextScan scan = genotext_scan(text);
    Genotext g;
    for (int i = 0; i < COUNTOF(want); i++) {
        if (!CHECK(genotext_next(&perm, &scan, &g))) return;
        CHECK_STR(g.name, want[i].name);
        CHECK_EQ(g.line, want[i].line);
        CHECK_CONTAINS(g.text, want[i].part);
        CHECK(!strchr(g.text, '\n'));
    }
    CHECK(!genotext_next(&perm, &scan, &g));
    /* the published cells, as a file of them */
    Text all = {0};
    for (int64_t i = 0; i < genotype_named_count; i++)
        text_addf(&perm, &all, "%s = %s  # %s\n", genotype_named[i].name, genotype_named[i].text,
                  genotype_named[i].source);
    scan = genotext_scan(all.s);
    for (int64_t i = 0; i < genotype_named_count; i++) {
        Genotype a, b;
        CHECK(genotext_next(&perm, &scan, &g));
        CHECK_STR(g.name, genotype_named[i].name);
        CHECK_STR(genotype_parse(&perm, g.text, &a), 0);
        CHECK(!genotype_parse(&perm, genotype_named[i].text, &b) && genotype_equal(&a, &b));
    }
}

/* ---- rules ---- */

static void test_threshold(void)
{
    Space s = space("none,skip_connect,sep_conv_3x3", 2, 2);
    const double w[] = {0.1, 0.2, 0.1, 0.1, 0.1, 0.6, 0.9, 0.05, 0.05, 0.1, 0.3, 0.5, 0.4, 0.6, 0.0};
    Derived d;
    CHECK(!derive_magnitude(&perm, &s, w, w, 0.55, &d));
    CHECK_CONTAINS(genotype_print(&perm, &d.genotype),
                   "normal=[('sep_conv_3x3', 1), ('none', 0), ('skip_connect', 2), ('none', 1)]");
    CHECK_NEAR(d.margin[1], 0.2 - 0.55, 1e-15);
    CHECK_NEAR(d.weight_kept, 0.6, 1e-15);
    CHECK(!derive_magnitude(&perm, &s, w, w, 5, &d)); /* the strongest of a node stays in any case */
    CHECK_CONTAINS(genotype_print(&perm, &d.genotype),
                   "('sep_conv_3x3', 1), ('none', 0), ('skip_connect', 2), ('none', 1)");
    NetSpec net = {.input_channels = 1,
                   .height = 6,
                   .width = 6,
                   .outputs = 2,
                   .channels = 2,
                   .layers = 3,
                   .reduce_count = -1,
                   .stem_multiplier = 1};
    CHECK_STR(network_genotype(&perm, &d.genotype, &net)->error, 0);
}

static double weight_of(const Space *s, const Genotype *g, const double *const table[2])
{
    const Cell *cell[] = {&g->normal, &g->reduce};
    double sum = 0;
    for (int t = 0; t < 2; t++)
        for (int64_t i = 0; i < s->nodes * s->inputs; i++) {
            GeneEdge e = cell[t]->edge[i];
            int64_t k = 0;
            while (s->op[k] != e.op) k++;
            sum += table[t][space_edge(i / s->inputs, e.input) * s->op_count + k];
        }
    return sum;
}

/* All cells of a small space, built and counted. */
static void test_bounds(void)
{
    Space s = space("none,skip_connect,sep_conv_3x3,dil_conv_5x5,max_pool_3x3", 2, 1);
    NetSpec net = {.input_channels = 3,
                   .height = 8,
                   .width = 10,
                   .outputs = 4,
                   .channels = 4,
                   .layers = 3,
                   .reduce_count = -1,
                   .stem_multiplier = 3};
    enum { CELLS = 2 * 4 * 3 * 4, ALL = CELLS * CELLS };
    static struct {
        Genotype g;
        Bounds size;
    } all[ALL];
    Cell cell[CELLS];
    int64_t n = 0;
    for (int8_t a = 0; a < 2; a++)
        for (int i = 1; i < 5; i++)
            for (int8_t b = 0; b < 3; b++)
                for (int k = 1; k < 5; k++) {
                    cell[n] = derive_empty(&s);
                    cell[n].edge[0] = (GeneEdge){s.op[i], a};
                    cell[n++].edge[1] = (GeneEdge){s.op[k], b};
                }
    CHECK_EQ(n, CELLS);
    for (int64_t i = 0; i < ALL; i++) {
        Arena once = scratch;
        all[i].g = (Genotype){cell[i / CELLS], cell[i % CELLS]};
        Graph *g = network_genotype(&once, &all[i].g, &net);
        all[i].size = (Bounds){graph_param_total(g), g->macs};
    }
    for (uint64_t round = 0; round < 60; round++) {
        double w[2][5 * 5];
        for (int i = 0; i < 50; i++) w[i / 25][i % 25] = rng_uniform(round, RNG_TEST, (uint64_t)i);
        const double *table[] = {w[0], w[1]};
        Bounds like = all[rng_below(round, RNG_TEST, 1000, ALL)].size, limit = like;
        if (round % 3 == 1) limit.macs = 0;
        if (round % 3 == 2) limit.parameters = 0;
        double best = 0;
        for (int64_t i = 0; i < ALL; i++)
            if ((!limit.parameters || all[i].size.parameters <= limit.parameters) &&
                (!limit.macs || all[i].size.macs <= limit.macs))
                best = fmax(best, weight_of(&s, &all[i].g, table));
        Derived d;
        Bounds size;
        bool exact;
        CHECK_STR(derive_bounded(&perm, scratch, &s, w[0], w[1], &net, limit, &d, &size, &exact), 0);
        CHECK(exact);
        CHECK((!limit.parameters || size.parameters <= limit.parameters) && (!limit.macs || size.macs <= limit.macs));
        CHECK_NEAR(weight_of(&s, &d.genotype, table), best, 1e-12);
        CHECK_NEAR(d.weight_kept, best / 4, 1e-12);
    }
    double w[25] = {0};
    Derived d;
    Bounds size;
    bool exact;
    CHECK_CONTAINS(derive_bounded(&perm, scratch, &s, w, w, &net, (Bounds){1, 0}, &d, &size, &exact), "at least ");
    net.layers = 0;
    CHECK(derive_bounded(&perm, scratch, &s, w, w, &net, (Bounds){1, 0}, &d, &size, &exact));
}

/* A bound that binds nothing gives DARTS' rule, order and margins included. */
static void test_loose_bounds(void)
{
    for (uint64_t round = 0; round < 20; round++) {
        Space s = space("darts", 1 + (int64_t)(round % 5), 1 + (int64_t)(round % 2));
        NetSpec net = {.input_channels = 1,
                       .height = 6,
                       .width = round % 3 ? 6 : 1,
                       .outputs = 2,
                       .channels = 2,
                       .layers = 1 + (int64_t)(round % 4),
                       .reduce_count = -1,
                       .stem_multiplier = 3};
        int64_t count = space_edges(&s) * s.op_count;
        double *w = NEW(&perm, double, 2 * count);
        for (int64_t i = 0; i < 2 * count; i++) w[i] = rng_uniform(round, RNG_TEST, (uint64_t)i);
        Derived a, b;
        Bounds size;
        bool exact;
        CHECK(!derive_magnitude(&perm, &s, w, w + count, 0, &a));
        CHECK_STR(derive_bounded(&perm, scratch, &s, w, w + count, &net, (Bounds){INT64_MAX / 2, 0}, &b, &size, &exact),
                  0);
        CHECK_STR(genotype_print(&perm, &b.genotype), genotype_print(&perm, &a.genotype));
        CHECK_EQ(b.margin_count, a.margin_count);
        for (int64_t i = 0; i < a.margin_count; i++) CHECK_NEAR(b.margin[i], a.margin[i], 1e-12);
        CHECK_NEAR(b.weight_kept, a.weight_kept, 1e-12);
    }
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 34);
    scratch = arena_reserve((ptrdiff_t)1 << 34);
    CHECK_RUN(test_npy_header);
    CHECK_RUN(test_npy_values);
    CHECK_RUN(test_npy_alphas);
    CHECK_RUN(test_log);
    CHECK_RUN(test_python);
    CHECK_RUN(test_threshold);
    CHECK_RUN(test_bounds);
    CHECK_RUN(test_loose_bounds);
    return check_done("alphas");
}
