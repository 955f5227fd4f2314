/* Generators as text, their space, searches by ranks: what is read and printed, drawn, refused; every option designs. */
#include "base/rng.h"
#include "check.h"
#include "nn/generator_space.h"
#include "search/generators.h"
#include "train/designer.h"

static Arena memory;

static void test_text(void)
{
    Arena a = memory;
    GeneratorSpec g;
    const char *text = generator_print(&a, &generator_published);
    CHECK_STR(text, "Generator([('bilinear', 1, 'norm', 'conv_5x5', 128), ('bilinear', 2, 'norm', 'conv_5x5', 64), "
                    "('bilinear', 2, 'norm', 'conv_5x5', 32), ('bilinear', 2, 'norm', 'conv_5x5', 16), "
                    "('bilinear', 1, 'norm', 'conv_5x5', 1)])");
    CHECK(!generator_parse(&a, text, &g));
    CHECK(!memcmp(&g, &generator_published, sizeof g));
    CHECK(generator_text_is(text) && !generator_text_is("Genotype(normal=[])"));
    /* a factor of 1 enlarges in no way; any spacing, either quote */
    CHECK(!generator_parse(&a, " Generator( [(\"transposed\",1,'plain','conv_1x1',1 ) ] ) ", &g));
    CHECK_STR(generator_print(&a, &g), "Generator([('bilinear', 1, 'plain', 'conv_1x1', 1)])");
    static const char *const bad[][2] = {
        {"Genotype(", "Generator([…]) expected"},
        {"Generator([", "column 12: expected '('"},
        {"Generator([('bilinear', 1, 'norm', 'conv_5x5', 1)]", "expected ')'"},
        {"Generator([('bilinear', 1, 'norm', 'conv_5x5', 1)]) and", "something after"},
        {"Generator([('bilinear', 1, 'norm', 'conv_5x5', 2)])", "the last stage has one channel"},
        {"Generator([('bilinear', 0, 'norm', 'conv_5x5', 1)])", "a factor: 1 to 8"},
        {"Generator([('bilinear', 99999999999999999999, 'norm', 'conv_5x5', 1)])", "a factor: 1 to 8"},
        {"Generator([('bilinear', 1, 'norm', 'conv_5x5', 4096)])", "channels: 1 to 1024"},
        {"Generator([('bilinear', 1, 'norm', 'conv_9x9', 1)])", "near it: conv_"},
        {"Generator([('norm', 1, 'norm', 'conv_5x5', 1)])", "norm stands where a resize is expected"},
        {"Generator([('bilinear', 1, 'norm', 'conv_5x5, 1)])", "never closed"},
        {"Generator([(bilinear, 1, 'norm', 'conv_5x5', 1)])", "expected a quoted word"},
    };
    for (int i = 0; i < COUNTOF(bad); i++) CHECK_CONTAINS(generator_parse(&a, bad[i][0], &g), bad[i][1]);
    Text many = {0};
    text_add(&a, &many, "Generator([");
    for (int i = 0; i < 9; i++) text_addf(&a, &many, "%s('nearest', 1, 'norm', 'conv_1x1', 1)", i ? "," : "");
    CHECK_CONTAINS(generator_parse(&a, many.s, &g), "more than 8 stages");
}

static void test_space(void)
{
    Arena a = memory;
    GeneratorSpace s;
    CHECK(!generator_space_make(&a, "generator", &s));
    CHECK_EQ(s.decisions, 5 + 5 + 4 + 3); /* norm, convolution, width, enlargement */
    CHECK_EQ(s.columns, 5 * 2 + 5 * 4 + 4 * 2 + 3 * 3);
    CHECK_STR(generator_space_ops(&a, &s),
              "bilinear,nearest,transposed,norm,plain,conv_3x3,conv_5x5,conv_7x7,dil_conv_3x3,width_0.5,width_1");
    GeneratorSpace again;
    CHECK(!generator_space_make(&a, generator_space_ops(&a, &s), &again) && again.columns == s.columns);
    /* the published one is a point of it */
    int64_t choice[GENERATOR_MAX_DECISIONS];
    for (int64_t d = 0; d < s.decisions; d++) choice[d] = s.decision[d].part >= PART_CONV;
    GeneratorSpec g;
    generator_decide(&s, choice, &g);
    CHECK(!memcmp(&g, &generator_published, sizeof g));
    /* drawn ones are read back, and every option occurs */
    GeneratorSpec back;
    int64_t plain = 0;
    for (uint64_t i = 0; i < 50; i++) {
        Arena once = a;
        generator_random(&s, 3, i, &g);
        CHECK(!generator_parse(&once, generator_print(&once, &g), &back) && !memcmp(&g, &back, sizeof g));
        plain += !g.stage[2].norm;
    }
    CHECK(plain > 10 && plain < 40);
    CHECK(!generator_space_make(&a, "conv_3x3,conv_7x7", &s) && s.decisions == 5); /* all else as published */
    generator_decide(&s, (int64_t[GENERATOR_MAX_DECISIONS]){0}, &g);
    CHECK(g.stage[1].norm && g.stage[1].channels == 64 && g.stage[1].kernel == 3);
    CHECK_CONTAINS(generator_space_make(&a, "conv_3x3", &s), "nothing to choose");
    CHECK_CONTAINS(generator_space_make(&a, "conv_3x3,sep_conv_3x3", &s), "nothing that a generator is made of");
    CHECK_CONTAINS(generator_space_make(&a, "norm,norm", &s), "twice");
    CHECK(generator_space_is("generator") && generator_space_is("norm,plain") && !generator_space_is("darts"));
}

/* Enlargements, normalisation or none, convolutions: each descends. */
static void test_options_design(void)
{
    static const char *const texts[] = {
        "Generator([('nearest', 2, 'norm', 'conv_3x3', 8), ('bilinear', 2, 'norm', 'dil_conv_3x3', 1)])",
        "Generator([('transposed', 2, 'plain', 'conv_5x5', 8), ('transposed', 2, 'norm', 'conv_7x7', 1)])",
        "Generator([('bilinear', 4, 'plain', 'conv_1x1', 4), ('bilinear', 1, 'norm', 'dil_conv_5x5', 1)])"};
    Pool *pool = pool_open(1);
    for (int i = 0; i < COUNTOF(texts); i++) {
        Arena a = memory;
        GeneratorSpec g;
        Problem p;
        const char *why = generator_parse(&a, texts[i], &g);
        CHECK(!why && !problem_find(&a, "mbb_beam_24x16_0.5", &p));
        Compliance *c = compliance_open(&a, &p, &why);
        Designer *d = designer_open(&a, &g, c, pool, 1, &why);
        double first = NAN, last = NAN;
        for (int step = 0; d && step < 20 && designer_step(d); step++) {
            if (!step) first = d->C;
            last = d->C;
        }
        CHECK(last < 0.5 * first);
        designer_close(d);
        compliance_close(c);
    }
    pool_close(pool);
}

static void test_likeliest(void)
{
    Arena a = memory;
    GeneratorSpace s;
    int64_t choice[GENERATOR_MAX_DECISIONS];
    CHECK(!generator_space_make(&a, "conv_3x3,conv_5x5,conv_7x7", &s));
    double w[15] = {0.2, 0.5, 0.3, 0.4, 0.4, 0.2, 0, 0, 1, 1, 0, 0, 0.3, 0.3, 0.4}, back[15];
    generators_likeliest(&s, w, choice);
    static const int64_t expected[] = {1, 0, 2, 0, 2};
    for (int i = 0; i < COUNTOF(expected); i++) CHECK_EQ(choice[i], expected[i]);
    AlphaTable t[5];
    for (int i = 0; i < 5; i++)
        t[i] = (AlphaTable){.name = generators_table(&a, &s, 4 - i), .edges = 1, .ops = 3, .weight = w + 3 * (4 - i)};
    SearchEpoch e = {.tables = t, .table_count = 5};
    CHECK(!generators_weights(&a, &s, &e, back) && !memcmp(w, back, sizeof w)); /* whatever their order */
    t[1].ops = 2;
    CHECK_CONTAINS(generators_weights(&a, &s, &e, back), "does not fit");
    t[1].ops = 3;
    w[9] = NAN;
    CHECK_CONTAINS(generators_weights(&a, &s, &e, back), "a weight that is none");
    e.table_count = 4;
    w[9] = 1;
    CHECK_CONTAINS(generators_weights(&a, &s, &e, back), "without the table \"stages.0.conv\"");
}

int main(void)
{
    memory = arena_reserve((ptrdiff_t)1 << 30);
    CHECK_RUN(test_text);
    CHECK_RUN(test_space);
    CHECK_RUN(test_options_design);
    CHECK_RUN(test_likeliest);
    return check_done("generators");
}
