/* The text form of genotypes, the published cells, operation sets and random cells. */
#include "check.h"
#include "nn/genotype.h"
#include "nn/names.h"

static Arena perm;

static const char darts_v2[] =
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))";

static Genotype parsed(const char *text)
{
    Genotype g;
    const char *why = genotype_parse(&perm, text, &g);
    CHECK_MSG(!why, "%s: %s", text, why);
    return g;
}

static void test_published(void)
{
    CHECK(genotype_named_count >= 9);
    for (int64_t i = 0; i < genotype_named_count; i++) {
        const NamedGenotype *n = &genotype_named[i];
        CHECK(n->source[0]);
        Genotype g = parsed(n->text), again = parsed(genotype_print(&perm, &g));
        CHECK(genotype_equal(&g, &again));
        for (int64_t k = 0; k < i; k++) {
            Genotype other = parsed(genotype_named[k].text);
            CHECK_MSG(!genotype_equal(&g, &other), "%s and %s are the same cell", n->name, genotype_named[k].name);
        }
    }
    CHECK_STR(genotype_find("darts_v2")->name, "DARTS_V2");
    CHECK(!genotype_find("DARTS_V"));
    Genotype g = parsed(genotype_find("DARTS_V2")->text);
    CHECK_STR(genotype_print(&perm, &g), darts_v2);
    CHECK_EQ(g.normal.nodes, 4);
    CHECK_EQ(g.normal.inputs, 2);
    CHECK_STR(primitive_table[g.normal.edge[7].op].name, "dil_conv_3x3");
    CHECK_EQ(g.normal.edge[7].input, 2);
    g = parsed(genotype_find("NASNet")->text);
    CHECK_EQ(g.reduce.nodes, 5);
    CHECK_EQ(g.reduce.concat_count, 3);
    CHECK_CONTAINS(genotype_print(&perm, &g), "reduce_concat=range(4, 7))");
    g = parsed(genotype_find("AmoebaNet")->text);
    CHECK_CONTAINS(genotype_print(&perm, &g), "reduce_concat=[3, 4, 6])");
}

#define REDUCE "reduce=[('skip_connect', 0), ('skip_connect', 1)], reduce_concat=[2]"
#define NORMAL "normal=[('sep_conv_3x3', 1), ('none', 0)], normal_concat=[2]"

static void test_notations(void)
{
    Genotype g = parsed("Genotype(" NORMAL ", " REDUCE ")");
    static const char *const same[] = {
        "Genotype(" REDUCE ", " NORMAL ")",
        "2019-10-14 13:05:50,607 genotype = Genotype(" NORMAL ", " REDUCE ")\n",
        "X = Genotype(" NORMAL ", " REDUCE ",)  # a remark",
        "Genotype(normal=((\"sep_conv_3x3\",1),[\"none\",0,],),normal_concat=(2,)," REDUCE ")",
        "Genotype( normal = [\n  ('sep_conv_3x3' , 1 ) ,\n  ('none',0)\n ], normal_concat = range( 2 , 3 )," REDUCE
        " )",
    };
    for (ptrdiff_t i = 0; i < COUNTOF(same); i++) {
        Genotype other = parsed(same[i]);
        CHECK_MSG(genotype_equal(&g, &other), "another cell: %s", same[i]);
    }
    CHECK_STR(genotype_print(&perm, &g),
              "Genotype(normal=[('sep_conv_3x3', 1), ('none', 0)], normal_concat=range(2, 3), "
              "reduce=[('skip_connect', 0), ('skip_connect', 1)], reduce_concat=range(2, 3))");
    Genotype other = parsed("Genotype(normal=[('sep_conv_3x3', 0), ('none', 0)], normal_concat=[2], " REDUCE ")");
    CHECK(!genotype_equal(&g, &other));
    other = parsed("Genotype(normal=[('sep_conv_5x5', 1), ('none', 0)], normal_concat=[2], " REDUCE ")");
    CHECK(!genotype_equal(&g, &other));
    other = parsed("Genotype(normal=[('sep_conv_3x3', 1), ('none', 0)], normal_concat=[1], " REDUCE ")");
    CHECK(!genotype_equal(&g, &other));
}

static void test_errors(void)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "no \"Genotype(\""},
        {"genotype(" NORMAL, "no \"Genotype(\""},
        {"Genotype(", "column 10: expected normal="},
        {"Genotype()", "normal is missing"},
        {"Genotype(" NORMAL ", reduce=[('none', 0), ('none', 1)])", "reduce_concat is missing"},
        {"Genotype(" NORMAL ", " NORMAL ", " REDUCE ")", "column 72: normal is given twice"},
        {"Genotype(normal=[('sep_conv_9x9', 1)",
         "column 20: unknown operation \"sep_conv_9x9\"; near it: sep_conv_1x9, sep_conv_3x3"},
        {"Genotype(normal=[('sep_conv_3x3, 1)", "column 20: the quote is never closed"},
        {"Genotype(normal=[(sep_conv_3x3, 1)", "column 19: expected a quoted operation"},
        {"Genotype(normal=[('none' 1)", "column 26: expected ','"},
        {"Genotype(normal=[('none', x)", "column 27: expected a number"},
        {"Genotype(normal=[('none', -1)", "column 27: expected a number"},
        {"Genotype(normal=[('none', 99999999999999999999)", "column 27: no such state"},
        {"Genotype(normal=[('none', 17)", "column 27: no such state"},
        {"Genotype(normal=[('none', 1], ", "column 28: expected ')'"},
        {"Genotype(normal={}", "column 17: expected '('"},
        {"Genotype(normal=[('none', 2), ('none', 0)], normal_concat=[2], " REDUCE ")",
         "column 27: node 0 sees states 0 to 1"},
        {"Genotype(normal=[('none', 1), ('none', 0), ('none', 0)], normal_concat=[2], " REDUCE ")",
         "an odd number of edges"},
        {"Genotype(normal=[], normal_concat=[2], " REDUCE ")", "a cell without edges"},
        {"Genotype(normal=[('none', 1), ('none', 0)], normal_concat=[], " REDUCE ")", "concat of this cell is empty"},
        {"Genotype(normal=[('none', 1), ('none', 0)], normal_concat=[4], " REDUCE ")",
         "column 60: the cell's states are 0 to 2"},
        {"Genotype(normal=[('none', 1), ('none', 0)], normal_concat=range(3, 3), " REDUCE ")",
         "column 59: an impossible range"},
        {"Genotype(normal=[('none', 1), ('none', 0)], normal_concat=range(2, 900), " REDUCE ")", "an impossible range"},
        {"Genotype(normal=[('none', 1), ('none', 0)], "
         "normal_concat=[2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2], " REDUCE ")",
         "no such state"},
        {"Genotype(" NORMAL ", " REDUCE ") and more", "text after the genotype"},
        {"Genotype(" NORMAL ", " REDUCE, "expected ')'"},
    };
    for (ptrdiff_t i = 0; i < COUNTOF(bad); i++) {
        Genotype g;
        const char *why = genotype_parse(&perm, bad[i].text, &g);
        CHECK_MSG(why && strstr(why, bad[i].why), "%s\n    gives \"%s\", expected \"%s\"", bad[i].text,
                  why ? why : "no error", bad[i].why);
    }
    Text many = {0};
    text_add(&perm, &many, "Genotype(normal=[");
    for (int i = 0; i < 33; i++) text_add(&perm, &many, "('none', 0), ");
    Genotype g;
    CHECK_CONTAINS(genotype_parse(&perm, many.s, &g), "too many edges");
}

/* Every proper beginning of a genotype is refused. */
static void test_cut_short(void)
{
    for (int64_t n = 0; n < (int64_t)sizeof darts_v2 - 1; n++) {
        Arena once = perm;
        Genotype g;
        CHECK_MSG(genotype_parse(&once, arena_strndup(&once, darts_v2, n), &g), "accepted after %lld letters",
                  (long long)n);
    }
}

static void test_space(void)
{
    Space s;
    CHECK(!space_make(&perm, space_default_ops, 4, 2, 4, &s));
    CHECK_EQ(s.op_count, 8);
    CHECK_EQ(space_none(&s), 0);
    CHECK_EQ(space_edges(&s), 14);
    CHECK_EQ(space_edge(0, 0), 0);
    CHECK_EQ(space_edge(3, 4), 13);
    CHECK_STR(primitive_table[s.op[3]].name, "skip_connect");
    CHECK(!space_make(&perm, "darts", 5, 2, 3, &s));
    CHECK_EQ(space_edges(&s), 20);
    CHECK(!space_make(&perm, "galaxy-zoo-9", 4, 2, 4, &s));
    CHECK_EQ(s.op_count, 9);
    CHECK_STR(primitive_table[s.op[1]].name, "skip_connect");
    CHECK(!space_make(&perm, "galaxy-zoo-11", 4, 2, 4, &s));
    CHECK_EQ(s.op_count, 11);
    /* the ancestor's tables, in its order */
    static const char *const sets[][2] = {
        {"galaxy-zoo-9", "none skip_connect max_pool_2x2 max_pool_3x3 avg_pool_3x3 sep_conv_3x3 sep_conv_5x5 "
                         "dil_conv_3x3 dil_conv_5x5 "},
        {"galaxy-zoo-11", "none max_pool_2x2 avg_pool_2x2 max_pool_3x3 avg_pool_3x3 skip_connect sep_conv_3x3 "
                          "sep_conv_5x5 sep_conv_7x7 dil_conv_3x3 dil_conv_5x5 "}};
    for (int i = 0; i < 2; i++) {
        Text t = {0};
        CHECK(!space_make(&perm, sets[i][0], 4, 2, 4, &s));
        for (int64_t k = 0; k < s.op_count; k++) text_addf(&perm, &t, "%s ", primitive_table[s.op[k]].name);
        CHECK_STR(t.s, sets[i][1]);
    }
    CHECK(!space_make(&perm, "none,conv_7x1_1x7", 4, 2, 4, &s));
    CHECK(!space_make(&perm, "noise,sep_conv_3x3", 1, 1, 1, &s));
    CHECK_EQ(space_none(&s), -1);
    CHECK_CONTAINS(space_make(&perm, "none", 4, 2, 4, &s), "more than none");
    CHECK_CONTAINS(space_make(&perm, "skip_conect", 4, 2, 4, &s), "skip_connect");
    CHECK_CONTAINS(space_make(&perm, "none,,noise", 4, 2, 4, &s), "empty name");
    CHECK_CONTAINS(space_make(&perm, "noise,", 4, 2, 4, &s), "empty name");
    CHECK_CONTAINS(space_make(&perm, "noise,noise", 4, 2, 4, &s), "twice");
    CHECK_CONTAINS(space_make(&perm, "noise", 0, 2, 1, &s), "nodes");
    CHECK_CONTAINS(space_make(&perm, "noise", 17, 2, 4, &s), "nodes");
    CHECK_CONTAINS(space_make(&perm, "noise", 4, 3, 4, &s), "inputs");
    CHECK_CONTAINS(space_make(&perm, "noise", 4, 2, 5, &s), "puts 1 to 4 of them out, not 5");
    for (int i = 0; i < primitive_count; i++)
        CHECK_EQ(primitive_find(primitive_table[i].name, (int64_t)strlen(primitive_table[i].name)), i);
    CHECK_EQ(primitive_find("sep_conv_3x", 11), -1);
}

static void test_near(void)
{
    static const char *const known[] = {"apple", "maple", "pear", "Ample"};
    CHECK_STR(names_near(&perm, "mapel", 5, known, 4), "maple, apple or pear");
    CHECK_STR(names_near(&perm, "AMPLE", 5, known, 4), "Ample, apple or maple");
    CHECK_STR(names_near(&perm, "x", 1, known, 1), "apple");
    CHECK_STR(names_near(&perm, "x", 1, known, 0), "");
}

static void check_random_cell(const Space *s, const Cell *c)
{
    for (int64_t node = 0; node < c->nodes; node++) {
        for (int64_t k = 0; k < c->inputs; k++) {
            GeneEdge e = c->edge[node * c->inputs + k];
            CHECK(e.input >= 0 && e.input < node + 2);
            CHECK(memchr(s->op, e.op, (size_t)s->op_count) && primitive_table[e.op].kind != PRIM_NONE);
            for (int64_t j = 0; j < k; j++) CHECK(c->edge[node * c->inputs + j].input != e.input);
        }
    }
}

static void test_random(void)
{
    for (int64_t nodes = 1; nodes <= GENOTYPE_MAX_NODES; nodes += 3) {
        for (int64_t inputs = 1; inputs <= 2; inputs++) {
            Space s;
            CHECK(!space_make(&perm, "galaxy-zoo-11", nodes, inputs, (nodes + 1) / 2, &s));
            for (uint64_t i = 0; i < 50; i++) {
                Genotype g = genotype_random(&s, 7, i), same = genotype_random(&s, 7, i);
                Genotype next = genotype_random(&s, 7, i + 1), other = genotype_random(&s, 8, i);
                CHECK(genotype_equal(&g, &same));
                CHECK(nodes < 3 || (!genotype_equal(&g, &next) && !genotype_equal(&g, &other)));
                check_random_cell(&s, &g.normal);
                check_random_cell(&s, &g.reduce);
                const char *text = genotype_print(&perm, &g);
                Genotype again = parsed(text);
                CHECK_MSG(genotype_equal(&g, &again), "not read back: %s", text);
            }
        }
    }
}

/* Inputs and operations come out evenly: each count is within five standard deviations of its mean. */
static void test_random_uniform(void)
{
    enum { N = 7000 };
    Space s;
    CHECK(!space_make(&perm, "darts", 4, 2, 4, &s));
    int64_t input[5] = {0}, op[16] = {0};
    for (uint64_t i = 0; i < N; i++) {
        Genotype g = genotype_random(&s, 1, i);
        for (int k = 6; k < 8; k++) {
            input[g.normal.edge[k].input]++;
            op[g.reduce.edge[k].op]++;
        }
    }
    for (int k = 0; k < 5; k++) CHECK_NEAR((double)input[k], N * 2 / 5.0, 5 * sqrt(N * 2 / 5.0 * 3 / 5.0));
    CHECK_EQ(op[0], 0);
    for (int k = 1; k < 8; k++) CHECK_NEAR((double)op[k], N * 2 / 7.0, 5 * sqrt(N * 2 / 7.0 * 6 / 7.0));
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 28);
    CHECK_RUN(test_published);
    CHECK_RUN(test_notations);
    CHECK_RUN(test_errors);
    CHECK_RUN(test_cut_short);
    CHECK_RUN(test_space);
    CHECK_RUN(test_near);
    CHECK_RUN(test_random);
    CHECK_RUN(test_random_uniform);
    return check_done("genotype");
}
