/* test_report: the reports of nas-stats over streams that are made here.
 *
 * `test_report --fixtures DIR` writes those streams (stats-*.nas, for tests/stats.bats) and does nothing else.
 */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/parts.h"
#include "report/statistics.h"

static Arena perm;
static const char *folder;

static const char *const ops[] = {"none",         "max_pool_3x3", "avg_pool_3x3", "skip_connect",
                                  "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"};
enum { OPS = 8, EDGES = 14, EPOCHS = 10 };

#define FOUND                                                                                                          \
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "            \
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), " \
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', "    \
    "0), "                                                                                                             \
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))"
#define RANDOM                                                                                                         \
    "Genotype(normal=[('avg_pool_3x3', 0), ('dil_conv_5x5', 1), ('skip_connect', 1), ('sep_conv_5x5', 2), "            \
    "('avg_pool_3x3', 0), ('dil_conv_3x3', 3), ('sep_conv_5x5', 2), ('max_pool_3x3', 4)], normal_concat=range(2, 6), " \
    "reduce=[('dil_conv_5x5', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_5x5', 1), ('dil_conv_3x3', "    \
    "2), "                                                                                                             \
    "('avg_pool_3x3', 3), ('sep_conv_3x3', 4), ('max_pool_3x3', 0)], reduce_concat=range(2, 6))"

/* Everything that a terminal, a shell, JSON, HTML, Graphviz or gnuplot could take as its own. */
#define HOSTILE                                                                                                        \
    "<b onclick=\"x\">&amp;'\"\\\n`touch owned` $(touch owned) \x1b[31mred\t%s {^2}_3 \\N @x # \xff\xfe ]]> -->"

/* ---- making streams ---- */

static Writer *begin(const char *name, int64_t steps)
{
    static const char *inputs[] = {"data.nas 0123456789abcdef"};
    Provenance self = {.program = "nas-ingest",
                       .version = "0.1.0",
                       .command = "nas-ingest idx 'a b.gz'",
                       .host = "host",
                       .seed = 1,
                       .unix_time = 1.75e9,
                       .inputs = inputs,
                       .input_count = 1};
    if (steps == 0) self.program = HOSTILE, self.command = HOSTILE, self.host = HOSTILE, self.unix_time = NAN;
    return writer_open(&perm, arena_printf(&perm, "%s/%s", folder, name), 0, &self);
}

static void put(Writer *w, RecordKind kind, const void *record, size_t size)
{
    Record r = {.kind = kind};
    memcpy(&r.dataset, record, size);
    writer_put(w, &r);
}
#define PUT(w, kind, value) put(w, kind, &(value), sizeof(value))

static void put_dataset(Writer *w)
{
    static double mean[] = {72.94}, sd[] = {90.02};
    static Setting settings[] = {{"split", "0.1"}, {"seed", "1"}};
    static const char *classes[] = {"shirt", "shoe"};
    DatasetInfo d = {.name = "fashion",
                     .source = "idx",
                     .task = "classification",
                     .channels = 1,
                     .height = 28,
                     .width = 28,
                     .outputs = 2,
                     .output_names = classes,
                     .split_count = {40000, 15000, 5000, 10000},
                     .dtype = DTYPE_U8,
                     .mean = mean,
                     .sd = sd,
                     .flip_horizontal = true,
                     .crop_padding = 2,
                     .digest = 0xfedcba9876543210u,
                     .settings = settings,
                     .setting_count = 2};
    PUT(w, REC_DATASET, d);
    static unsigned char pixels[3 * 784];
    static float targets[3] = {0, 1, 1};
    static int64_t ids[3] = {5, 6, 7};
    Samples s = {.split = SPLIT_TEST,
                 .first = 9997,
                 .count = 3,
                 .dtype = DTYPE_U8,
                 .data = pixels,
                 .data_bytes = sizeof pixels,
                 .targets = targets,
                 .target_width = 1,
                 .ids = ids};
    PUT(w, REC_SAMPLES, s);
}

static AlphaTable alphas(const char *name, int64_t epoch, int shift)
{
    AlphaTable t = {.name = name, .edges = EDGES, .ops = OPS};
    t.raw = NEW(&perm, double, EDGES *OPS);
    t.weight = NEW(&perm, double, EDGES *OPS);
    t.entropy = NEW(&perm, double, EDGES);
    t.margin = NEW(&perm, double, EDGES);
    for (int e = 0; e < EDGES; e++) {
        double sum = 0, first = 0, second = 0;
        for (int o = 0; o < OPS; o++) {
            double a = 0.02 * (double)(epoch * ((e * 7 + o * 5 + shift) % 11));
            t.raw[e * OPS + o] = a;
            sum += exp(a);
        }
        for (int o = 0; o < OPS; o++) {
            double p = exp(t.raw[e * OPS + o]) / sum;
            t.weight[e * OPS + o] = p;
            t.entropy[e] -= p * log(p);
            if (o && p > first)
                second = first, first = p;
            else if (o && p > second)
                second = p;
        }
        t.margin[e] = first - second;
    }
    return t;
}

static void put_search(Writer *w, int64_t epochs)
{
    static int64_t reduce_at[] = {2, 5};
    static Setting settings[] = {{"batch", "64"}};
    SearchSpace s = {.strategy = "darts1",
                     .ops = (const char **)ops,
                     .op_count = OPS,
                     .nodes = 4,
                     .inputs = 2,
                     .concat = 4,
                     .layers = 8,
                     .channels = 16,
                     .reduce_at = reduce_at,
                     .reduce_count = 2,
                     .parameters = 1930618,
                     .macs = 123456789,
                     .memory_bytes = 1 << 28,
                     .dataset = "fashion",
                     .seed = 1,
                     .settings = settings,
                     .setting_count = 1};
    PUT(w, REC_SPACE, s);
    for (int64_t k = 0; k <= epochs; k++) {
        AlphaTable tables[2] = {alphas("normal", k, 0), alphas("reduce", k, 3)};
        double x = (double)k / EPOCHS;
        Metric m[] = {{"loss", "train", 0.3 + 2 * exp(-3 * x)},   {"accuracy", "train", 0.9 - 0.8 * exp(-3 * x)},
                      {"loss", "alpha", 0.4 + 1.9 * exp(-3 * x)}, {"accuracy", "alpha", 0.85 - 0.75 * exp(-3 * x)},
                      {"none_mass", "", 0.125 + 0.1 * x},         {"gap", "", 0.2 * x}};
        if (k == 0) m[0].value = m[2].value = NAN; /* nothing was trained yet */
        SearchEpoch e = {.epoch = k,
                         .epochs = EPOCHS,
                         .steps = 200 * k,
                         .seconds = 12.5 * (double)k,
                         .learning_rate = 0.025,
                         .tables = tables,
                         .table_count = 2,
                         .genotype = k < 3 ? RANDOM : FOUND,
                         .metrics = m,
                         .metric_count = COUNTOF(m)};
        PUT(w, REC_SEARCH_EPOCH, e);
        writer_flush(w);
    }
}

static void put_run(Writer *w, const char *run, const char *genotype, int64_t epochs, double level)
{
    static double mean[] = {72.94}, sd[] = {90.02};
    NetworkRecord n = {.run = run,
                       .net = "genotype",
                       .genotype = genotype,
                       .layers = 8,
                       .channels = 16,
                       .input_channels = 1,
                       .height = 28,
                       .width = 28,
                       .outputs = 2,
                       .task = "classification",
                       .dataset = "fashion",
                       .parameters = 123456,
                       .macs = 7654321,
                       .memory_bytes = 1 << 27,
                       .mean = mean,
                       .sd = sd,
                       .seed = 1};
    PUT(w, REC_NETWORK, n);
    for (int64_t k = 1; k <= epochs; k++) {
        double x = (double)k / EPOCHS;
        Metric m[] = {{"loss", "train", 0.25 + 1.5 * exp(-3 * x)},
                      {"accuracy", "train", level + 0.03 - 0.5 * exp(-3 * x)},
                      {"loss", "validation", 0.3 + 1.4 * exp(-3 * x)},
                      {"accuracy", "validation", level - 0.45 * exp(-3 * x)}};
        TrainEpoch e = {.run = run,
                        .epoch = k,
                        .epochs = EPOCHS,
                        .steps = 400 * k,
                        .seconds = 9.5 * (double)k,
                        .learning_rate = 0.025 * (1 - x),
                        .best = k + 1 != epochs,
                        .metrics = m,
                        .metric_count = COUNTOF(m)};
        PUT(w, REC_TRAIN_EPOCH, e);
        writer_flush(w);
    }
}

static void put_weights(Writer *w, const char *run)
{
    static float values[6];
    static int64_t shape[] = {2, 3};
    TensorRecord t = {.run = run,
                      .set = "best",
                      .name = "classifier.weight",
                      .shape = shape,
                      .rank = 2,
                      .dtype = DTYPE_F32,
                      .data = values,
                      .data_bytes = sizeof values};
    PUT(w, REC_TENSOR, t);
    t.name = "classifier.bias";
    t.rank = 1;
    t.data_bytes = 8;
    PUT(w, REC_TENSOR, t);
    CheckpointRecord c = {.program = "nas-train", .run = run, .epoch = EPOCHS, .step = 4000, .seed = 1};
    PUT(w, REC_CHECKPOINT, c);
}

static void put_evaluation(Writer *w, const char *run, const char *genotype, double accuracy)
{
    static double confusion[] = {4500, 500, 450, 4550};
    Metric m[] = {{"loss", "", 0.31}, {"accuracy", "", accuracy}}, b[] = {{"loss", "", 0.693}, {"accuracy", "", 0.5}};
    Evaluation e = {.run = run,
                    .set = "best",
                    .dataset = "fashion",
                    .split = "test",
                    .genotype = genotype,
                    .net = "genotype",
                    .count = 10000,
                    .parameters = 123456,
                    .macs = 7654321,
                    .seconds = 95,
                    .metrics = m,
                    .metric_count = 2,
                    .baseline = b,
                    .baseline_count = 2,
                    .train_mode_loss = 0.33,
                    .eval_mode_loss = NAN,
                    .confusion = confusion,
                    .confusion_size = 2};
    PUT(w, REC_EVALUATION, e);
    static float values[] = {0.25f, 0.75f}, target[] = {1};
    Predictions p = {.run = run,
                     .split = "test",
                     .dataset = "fashion",
                     .first = 0,
                     .rows = 1,
                     .columns = 2,
                     .values = values,
                     .targets = target,
                     .target_width = 1};
    PUT(w, REC_PREDICTIONS, p);
}

static void finish(Writer *w)
{
    CHECK_MSG(writer_finish(w), "%s", writer_error(w));
}

/* What a whole pipeline leaves behind. */
static void make_story(void)
{
    Writer *w = begin("stats-story.nas", 1);
    put_dataset(w);
    put_search(w, EPOCHS);
    static double margins[16];
    GenotypeRecord g = {.name = "search",
                        .text = FOUND,
                        .rule = "magnitude",
                        .dataset = "fashion",
                        .seed = 1,
                        .epoch = EPOCHS,
                        .margin = margins,
                        .margin_count = 16,
                        .none_mass = 0.225,
                        .weight_kept = 0.31};
    PUT(w, REC_GENOTYPE, g);
    g = (GenotypeRecord){.name = "random-1",
                         .text = RANDOM,
                         .rule = "random",
                         .seed = 1,
                         .epoch = -1,
                         .none_mass = -1,
                         .weight_kept = -1};
    PUT(w, REC_GENOTYPE, g);
    put_run(w, "search", FOUND, EPOCHS, 0.9);
    put_weights(w, "search");
    put_run(w, "random-1", RANDOM, EPOCHS, 0.88);
    put_evaluation(w, "search", FOUND, 0.9031);
    put_evaluation(w, "random-1", RANDOM, 0.899);
    Metric m[] = {{"accuracy", "test", 0.97}}, b[] = {{"accuracy", "test", 0.11}};
    TransferRow t = {.genotype = FOUND,
                     .name = "search",
                     .from = "fashion",
                     .to = "digits",
                     .layers = 8,
                     .channels = 16,
                     .parameters = 123456,
                     .epochs = 5,
                     .seed = 1,
                     .seconds = 200,
                     .metrics = m,
                     .metric_count = 1,
                     .baseline = b,
                     .baseline_count = 1};
    PUT(w, REC_TRANSFER, t);
    t.to = "sounds";
    m[0].value = 0.5;
    t.baseline_count = 0;
    PUT(w, REC_TRANSFER, t);
    Setting columns[] = {{"seed", "1"}, {"accuracy", "0.90"}};
    StudyRow s = {.study = "seeds", .columns = columns, .column_count = 2};
    PUT(w, REC_STUDY, s);
    columns[0].value = "2";
    columns[1] = (Setting){"note", "failed"};
    PUT(w, REC_STUDY, s);
    EventRecord e = {.what = "batch", .text = "made smaller: 64 -> 32", .epoch = 3};
    PUT(w, REC_EVENT, e);
    finish(w);
}

/* The beginning of the same pipeline, as the file of an earlier program holds it. */
static void make_part(void)
{
    Writer *w = begin("stats-part.nas", 1);
    put_dataset(w);
    put_search(w, 4);
    finish(w);
}

static void make_empty(void)
{
    finish(begin("stats-empty.nas", 1));
}

static void make_hostile(void)
{
    Writer *w = begin("stats-hostile.nas", 0);
    static double weird[] = {NAN, INFINITY, -1e308};
    static const char *names[] = {HOSTILE, "", HOSTILE};
    static Setting settings[] = {{HOSTILE, HOSTILE}, {"", ""}};
    DatasetInfo d = {.name = HOSTILE,
                     .source = HOSTILE,
                     .task = HOSTILE,
                     .channels = 3,
                     .height = 1,
                     .width = 64,
                     .outputs = 3,
                     .output_names = names,
                     .dtype = DTYPE_F64,
                     .mean = weird,
                     .sd = weird,
                     .target_mean = weird,
                     .target_sd = weird,
                     .settings = settings,
                     .setting_count = 2};
    PUT(w, REC_DATASET, d);
    SearchSpace space = {.strategy = HOSTILE, .ops = names, .op_count = 3, .dataset = HOSTILE};
    PUT(w, REC_SPACE, space);
    Metric m[] = {{"loss", "train", NAN}, {"loss", "validation", 1e300}, {HOSTILE, HOSTILE, 1}, {"", "", -INFINITY}};
    AlphaTable table = {
        .name = HOSTILE, .edges = 3, .ops = 1, .raw = weird, .weight = weird, .entropy = weird, .margin = weird};
    SearchEpoch se = {.epoch = 0,
                      .epochs = INT64_MAX,
                      .steps = INT64_MAX,
                      .seconds = NAN,
                      .tables = &table,
                      .table_count = 1,
                      .genotype = HOSTILE,
                      .metrics = m,
                      .metric_count = 4};
    PUT(w, REC_SEARCH_EPOCH, se);
    GenotypeRecord g = {.name = HOSTILE, .text = HOSTILE, .rule = HOSTILE, .dataset = HOSTILE, .none_mass = NAN};
    PUT(w, REC_GENOTYPE, g);
    g = (GenotypeRecord){.name = "", .text = "", .rule = ""};
    PUT(w, REC_GENOTYPE, g);
    for (int64_t k = 0; k < 3; k++) {
        Metric t[] = {{"loss", "train", NAN}, {"loss", "validation", 3 - (double)k}, {"accuracy", "validation", NAN}};
        TrainEpoch e = {.run = HOSTILE, .epoch = k, .epochs = 3, .seconds = INFINITY, .metrics = t, .metric_count = 3};
        PUT(w, REC_TRAIN_EPOCH, e);
    }
    TrainEpoch bare = {.run = ""};
    PUT(w, REC_TRAIN_EPOCH, bare);
    TensorRecord tensor = {.run = HOSTILE, .set = HOSTILE, .name = HOSTILE, .data = "abc", .data_bytes = 4};
    PUT(w, REC_TENSOR, tensor);
    Evaluation e = {.run = HOSTILE,
                    .set = HOSTILE,
                    .dataset = HOSTILE,
                    .split = "test",
                    .genotype = HOSTILE,
                    .net = HOSTILE,
                    .metrics = m,
                    .metric_count = 4,
                    .train_mode_loss = NAN,
                    .eval_mode_loss = NAN};
    PUT(w, REC_EVALUATION, e);
    Metric t[] = {{"accuracy", "", 0.75}};
    e.metrics = t;
    e.metric_count = 1;
    PUT(w, REC_EVALUATION, e);
    e = (Evaluation){.run = "", .set = "", .dataset = "", .split = "", .genotype = "", .net = ""};
    PUT(w, REC_EVALUATION, e);
    TransferRow row = {.genotype = HOSTILE, .name = "", .from = HOSTILE, .to = HOSTILE, .seconds = -1};
    PUT(w, REC_TRANSFER, row);
    StudyRow study = {.study = HOSTILE, .columns = settings, .column_count = 2};
    PUT(w, REC_STUDY, study);
    EventRecord event = {.what = HOSTILE, .text = HOSTILE, .epoch = INT64_MAX};
    PUT(w, REC_EVENT, event);
    ProfileRecord profile = {.run = HOSTILE, .op = HOSTILE, .calls = INT64_MAX, .seconds = NAN, .share = -INFINITY};
    PUT(w, REC_PROFILE, profile);
    ProblemRecord problem = {.name = HOSTILE,
                             .family = HOSTILE,
                             .index = INT64_MAX,
                             .width = INT64_MAX,
                             .density = NAN,
                             .reference = INFINITY};
    PUT(w, REC_PROBLEM, problem);
    finish(w);
}

/* A good genotype under a hostile name, one epoch of training, and a search that has not begun. */
static void make_brief(void)
{
    Writer *w = begin("stats-brief.nas", 1);
    SearchSpace s = {
        .strategy = "darts1", .ops = (const char **)ops, .op_count = OPS, .nodes = 4, .inputs = 2, .concat = 4};
    PUT(w, REC_SPACE, s);
    GenotypeRecord g = {
        .name = HOSTILE, .text = FOUND, .rule = "text", .epoch = -1, .none_mass = -1, .weight_kept = -1};
    PUT(w, REC_GENOTYPE, g);
    put_run(w, HOSTILE, FOUND, 1, 0.9);
    finish(w);
}

static void make_fixtures(void)
{
    make_story();
    make_part();
    make_empty();
    make_hostile();
    make_brief();
}

/* ---- reading them ---- */

static Story *story_of(const char *first, const char *second)
{
    Story *s = story_new(&perm);
    const char *name[2] = {first, second};
    for (int i = 0; i < 2 && name[i]; i++) {
        Reader *in = reader_open(&perm, arena_printf(&perm, "%s/%s", folder, name[i]));
        Record r;
        StreamStatus status;
        while ((status = reader_next(in, &perm, &r)) == STREAM_RECORD) story_add(s, reader_name(in), &r);
        CHECK_MSG(status == STREAM_END, "%s", reader_error(in));
        int64_t steps;
        const Provenance *p = reader_provenance(in, &steps);
        story_end_file(s, reader_name(in), p, steps);
        reader_close(in);
    }
    story_finish(s);
    return s;
}

static Text summary_of(const Story *s)
{
    Text t = {0};
    report_summary(s, &perm, &t);
    return t;
}

static int64_t occurrences(const char *text, const char *part)
{
    int64_t n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) n++;
    return n;
}

static void test_escapes(void)
{
    CHECK_STR(escape_text(&perm, AS_PLAIN, "a\tb\nc\x1b[1m\x7f"), "a b c\xef\xbf\xbd[1m\xef\xbf\xbd");
    CHECK_STR(escape_text(&perm, AS_PLAIN, "x\xe2\x80\xaey"), "x\xef\xbf\xbdy"); /* right-to-left override */
    CHECK_STR(escape_text(&perm, AS_JSON, "\"\\\n\x01\xff"), "\\\"\\\\\\n\\u0001\xef\xbf\xbd");
    CHECK_STR(escape_text(&perm, AS_HTML, "<a b='c' d=\"e\">&"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;");
    CHECK_STR(escape_text(&perm, AS_DOT, "\"\\N&lt;\n"), "\\\"\\\\N&amp;lt; ");
    CHECK_STR(escape_text(&perm, AS_GNUPLOT, "it's\n`x`]]>\\"), "it''s `x`]]›\\");
    CHECK_STR(escape_text(&perm, AS_TSV, "a\tb\nc\\d"), "a\\tb\\nc\\\\d");
    CHECK_STR(escape_text(&perm, AS_PLAIN, "ö€\xF0\x9F\x94\xAD"), "ö€\xF0\x9F\x94\xAD");
    /* overlong, surrogate, beyond the last code point, cut short */
    CHECK_STR(escape_text(&perm, AS_PLAIN, "\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd");
    CHECK_STR(escape_text(&perm, AS_PLAIN, "\xe0\x80\xaf"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    CHECK_STR(escape_text(&perm, AS_PLAIN, "\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    CHECK_STR(escape_text(&perm, AS_PLAIN, "\xf4\x90\x80\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    CHECK_STR(escape_text(&perm, AS_PLAIN, "\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd");
    CHECK_STR(escape_text(&perm, AS_PLAIN, 0), "");
}

static void test_formats(void)
{
    CHECK_STR(format_count(&perm, 1930618), "1,930,618");
    CHECK_STR(format_count(&perm, -1000), "-1,000");
    CHECK_STR(format_count(&perm, 999), "999");
    CHECK_STR(format_count(&perm, INT64_MIN), "-9,223,372,036,854,775,808");
    CHECK_STR(format_bytes(&perm, 1023), "1023 bytes");
    CHECK_STR(format_bytes(&perm, 7 << 20), "7.0 MiB");
    CHECK_STR(format_seconds(&perm, NAN), "");
    CHECK_STR(format_seconds(&perm, 95), "95.0 s");
    CHECK_STR(format_seconds(&perm, 245.4), "4 min 05 s");
    CHECK_STR(format_seconds(&perm, 7265), "2 h 01 min");
    CHECK_STR(format_real(&perm, 0.1), "0.1");
    CHECK_STR(format_real(&perm, 1.0 / 3), "0.3333333333333333");
    CHECK_STR(format_real(&perm, -INFINITY), "-inf");
    CHECK_STR(format_metric(&perm, "accuracy", 0.90314), "90.31 %");
    CHECK_STR(format_metric(&perm, "accuracy", NAN), "not defined");
    CHECK_STR(format_metric(&perm, "relative_error", -0.0089), "-0.89 %");
    CHECK_STR(format_metric(&perm, "loss", 0.90314), "0.9031");
    CHECK_NEAR(figure_step(1, 5), 0.2, 1e-12);
    CHECK_NEAR(figure_step(47, 6), 10, 1e-12);
}

static void test_tables(void)
{
    Table *t = table_new(&perm, "T", "a|>n|unused");
    const char **row = table_row(&perm, t);
    row[0] = "x";
    row[1] = "12";
    row = table_row(&perm, t);
    row[0] = "<é>";
    row[1] = "1";
    Text plain = {0}, page = {0};
    table_text(&perm, &plain, t);
    CHECK_STR(plain.s, "  a     n\n  x    12\n  <é>   1\n");
    table_html(&perm, &page, t);
    CHECK_CONTAINS(page.s, "<td>&lt;é&gt;</td><td class=\"number\">1</td></tr>");
    CHECK(!strstr(page.s, "unused"));
}

static void test_story(void)
{
    Story *s = story_of("stats-story.nas", 0);
    CHECK_EQ(s->run_count, 2);
    CHECK_STR(s->run[1].label, "random-1");
    CHECK_EQ(s->run[0].count, EPOCHS);
    CHECK_EQ(s->search_count, 1);
    CHECK_EQ(s->search[0].count, EPOCHS + 1);
    CHECK_EQ(s->repeated, 0);

    Story *both = story_of("stats-part.nas", "stats-story.nas"); /* the part is shown once */
    CHECK_EQ(both->repeated, 8);
    CHECK_EQ(both->count, s->count);
    CHECK_EQ(both->step_count, 1);
    CHECK_EQ(both->file_count, 2);
    CHECK_STR(both->run[0].label, "search");
}

static void test_searches_that_share_their_start(void)
{
    Story *s = story_of("stats-part.nas", "stats-story.nas");
    int64_t epochs = 0;
    for (int64_t i = 0; i < s->search_count; i++) epochs += s->search[i].count;
    CHECK_EQ(epochs, EPOCHS + 1); /* no epoch is lost or doubled */
    CHECK_EQ(s->search_count, 1);
}

static void test_summary(void)
{
    Text t = summary_of(story_of("stats-story.nas", 0));
    CHECK_CONTAINS(t.s, "1 file, 50 records: dataset 1, samples 1");
    CHECK_CONTAINS(t.s, "train 40,000, alpha 15,000, validation 5,000, test 10,000");
    CHECK_CONTAINS(t.s, "mean 72.94; sd 90.02");
    CHECK_CONTAINS(t.s, "10 of 10, 2,000 steps, 2 min 05 s");
    CHECK_CONTAINS(t.s, "1 time, last at epoch 3");
    CHECK_CONTAINS(t.s, "loss 0.3996, accuracy 86.02 %");
    CHECK_CONTAINS(t.s, "none_mass 0.225, gap 0.2");
    CHECK_CONTAINS(t.s, FOUND);
    CHECK_CONTAINS(t.s, "c[k-2] ── sep_conv_3x3 ──┬─ node 0");
    CHECK_CONTAINS(t.s, "90.31 %");
    CHECK_CONTAINS(t.s, "1,930,618");
    CHECK_CONTAINS(t.s, "made smaller: 64 -> 32");
    CHECK_CONTAINS(t.s, "2025-06-15 15:06:40");
    CHECK(!strstr(t.s, " \n")); /* no blanks at the end of a line */
}

static void test_summary_of_nothing(void)
{
    CHECK_CONTAINS(summary_of(story_of("stats-empty.nas", 0)).s, "1 file, 0 records");
}

static void test_hostile(void)
{
    Story *s = story_of("stats-hostile.nas", "stats-brief.nas");
    Text t = summary_of(s), page = {0}, dot = {0};
    for (const char *p = t.s; *p; p++) {
        if (*p != '\n' && (unsigned char)*p < 0x20) {
            CHECK_MSG(false, "control character %d in the summary", *p);
            break;
        }
    }
    report_html(s, &perm, &page);
    CHECK(!strstr(page.s, "<b onclick"));
    CHECK_CONTAINS(page.s, "&lt;b onclick=&quot;x&quot;&gt;&amp;amp;&#39;");
    CHECK_CONTAINS(report_dot(s, &perm, CELL_BOTH, &dot), "genotype <b onclick");
}

static void test_json_of_every_kind(void)
{
    const char *names[] = {"stats-story.nas", "stats-hostile.nas"};
    bool seen[REC_LAST + 1] = {false};
    for (int i = 0; i < 2; i++) {
        Story *s = story_of(names[i], 0);
        for (int64_t k = 0; k < s->count; k++) {
            Text t = {0};
            report_json(&perm, &t, "f", &s->item[k].r);
            CHECK_EQ(t.s[t.length - 1], '\n');
            CHECK_EQ(occurrences(t.s, "\n"), 1);
            CHECK(!strstr(t.s, "nan") && !strstr(t.s, "inf,"));
            seen[s->item[k].r.kind] = true;
            if (s->item[k].r.kind == REC_EVALUATION && i == 0 && k) {
                CHECK_CONTAINS(t.s, "\"confusion\":[[4500,500],[450,4550]]");
                CHECK_CONTAINS(t.s, "\"eval_mode_loss\":null");
            }
            if (s->item[k].r.kind == REC_DATASET && i == 0) {
                CHECK_CONTAINS(t.s, "\"digest\":\"fedcba9876543210\"");
                CHECK_CONTAINS(t.s, "\"output_names\":[\"shirt\",\"shoe\"]");
                CHECK_CONTAINS(t.s, "\"split_count\":{\"train\":40000,\"alpha\":15000");
            }
        }
    }
    for (int k = REC_DATASET; k <= REC_LAST; k++) CHECK_MSG(seen[k], "no %s was made", record_kind_name(k));
}

static void test_tsv(void)
{
    Story *s = story_of("stats-hostile.nas", "stats-story.nas");
    int64_t rows = 0;
    for (int64_t k = 0; k < s->count; k++) {
        const char *columns = report_tsv_columns(s->item[k].r.kind);
        Text t = {0};
        text_add(&perm, &t, "");
        report_tsv(&perm, &t, "f\tg", &s->item[k].r);
        if (!columns) {
            CHECK_EQ(t.length, 0);
            continue;
        }
        CHECK_EQ(occurrences(t.s, "\t"), occurrences(columns, "\t") * occurrences(t.s, "\n"));
        rows += occurrences(t.s, "\n");
    }
    CHECK_EQ(rows, 4 + 2 + 9 + 5 + 66 + 2 + 80 + 4 + 2 + 1 + 1);
}

static void test_kinds(void)
{
    CHECK_EQ(report_kind("search-epoch", 12), REC_SEARCH_EPOCH);
    CHECK_EQ(report_kind("search_epoch,x", 12), REC_SEARCH_EPOCH);
    CHECK_EQ(report_kind("unknown", 7), REC_UNKNOWN);
    CHECK_EQ(report_kind("sample", 6), REC_NONE);
    CHECK_EQ(report_kind("none", 4), REC_NONE);
    CHECK_EQ(report_kind("", 0), REC_NONE);
}

static void test_drawings(void)
{
    int64_t count;
    Drawing *d = story_drawings(story_of("stats-story.nas", 0), &perm, &count);
    CHECK_EQ(count, 2);
    CHECK(d[0].weighted && !d[1].weighted);
    CHECK(d[0].weight[0][0] > 0 && d[0].weight[1][7] < 1);
    Text t = {0};
    cell_dot(&perm, &t, d, count, CELL_NORMAL);
    CHECK_EQ(occurrences(t.s, "subgraph"), 2);
    CHECK_EQ(occurrences(t.s, "penwidth"), 16);

    d = story_drawings(story_of("stats-part.nas", 0), &perm, &count); /* a search without a Genotype record */
    CHECK_EQ(count, 1);
    CHECK_STR(d[0].name, "darts1");
    CHECK(!d[0].unreadable);
}

static void test_figures(void)
{
    Figure f = figure_curves(story_of("stats-story.nas", 0), &perm);
    if (!CHECK_EQ(f.count, 4)) return;
    CHECK_STR(f.panel[0].y_title, "loss");
    CHECK_STR(f.panel[3].y_title, "accuracy");
    CHECK_EQ(f.panel[0].count, 2);
    CHECK(isnan(f.panel[0].series[0].y[0]) && !isnan(f.panel[0].series[0].y[1]));
    CHECK_EQ(f.panel[3].count, 4);

    f = figure_alphas(story_of("stats-story.nas", 0), &perm);
    if (!CHECK_EQ(f.count, 2)) return;
    CHECK_EQ(f.panel[0].count, EDGES + 1);
    CHECK_NEAR(f.panel[0].series[0].y[0], log(OPS), 1e-12);

    f = figure_curves(story_of("stats-hostile.nas", 0), &perm); /* all that is left is one loss */
    if (!CHECK_EQ(f.count, 1)) return;
    CHECK_EQ(f.panel[0].count, 1);

    f = figure_curves(story_of("stats-brief.nas", 0), &perm); /* one epoch: dots */
    if (!CHECK_EQ(f.count, 2)) return;
    CHECK(f.panel[0].x0 < 1 && f.panel[0].x1 > 1 && f.panel[0].y0 < f.panel[0].y1);
    Text t = {0};
    figure_svg(&perm, &t, &f.panel[0]);
    CHECK_EQ(occurrences(t.s, "<circle"), 2);
    CHECK(!strstr(t.s, "<polyline"));
    CHECK_EQ(figure_curves(story_of("stats-empty.nas", 0), &perm).count, 0);
}

static void test_page(void)
{
    Text t = {0};
    report_html(story_of("stats-story.nas", 0), &perm, &t);
    CHECK_CONTAINS(t.s, "<h1>search: 90.31 % accuracy on 10,000 test samples</h1>");
    CHECK_CONTAINS(t.s, "The trivial predictor, which looks at no sample, gets 50.00 %.");
    CHECK_CONTAINS(t.s, "search by darts1 cannot be told from random cells: +0.41 points");
    CHECK_CONTAINS(t.s, "one run each, so nothing is known of another seed; within the sampling error");
    CHECK_CONTAINS(t.s, "± 0.83 points");
    CHECK_EQ(occurrences(t.s, "class=\"plot\""), 4 + 2 + 4 + 1 + 2 + 1); /* curves alphas weights spread fronts heat */
    CHECK(!strstr(t.s, "<script") && !strstr(t.s, "src=") && !strstr(t.s, "href="));
    CHECK_EQ(occurrences(t.s, "<svg "), occurrences(t.s, "</svg>"));
    CHECK_EQ(occurrences(t.s, " id=\""), 0);
}

static void test_children(void)
{
    static const char *const echo[] = {"cat", 0}, *const fails[] = {"sh", "-c", "echo wrong >&2; exit 4", 0};
    static const char *const killed[] = {"sh", "-c", "kill -9 $$", 0}, *const none[] = {"/nonexistent/dot", 0};
    static const char *const lazy[] = {"true", 0};
    Text in = {0}, out = {0};
    for (int i = 0; i < 20000; i++) text_add(&perm, &in, "sixteen bytes !\n"); /* more than a pipe holds */
    CHECK(!child_run(&perm, echo, &in, "x", &out));
    CHECK_EQ(out.length, in.length);
    CHECK(!memcmp(out.s, in.s, (size_t)in.length));
    CHECK(!child_run(&perm, lazy, &in, "x", &out)); /* does not read its input */
    CHECK_STR(child_run(&perm, fails, &in, "x", &out), "sh: exit 4: wrong");
    CHECK_STR(child_run(&perm, killed, &in, "x", &out), "sh: ended by signal 9");
    CHECK_STR(child_run(&perm, none, &in, "graphviz", &out),
              "/nonexistent/dot: not found: install the package graphviz");
}

/* Figures of statistical tables; Welch's test by hand: means 5 and 8, variances 2.5 and 10, five values each. */
static void test_statistics(void)
{
    CHECK_NEAR(statistics_t_tail(2.2281388519649385, 10), 0.05, 1e-9);
    CHECK_NEAR(statistics_t_tail(-12.706204736432095, 1), 0.05, 1e-9);
    CHECK_NEAR(statistics_t_tail(0, 7), 1, 1e-12);
    CHECK_NEAR(statistics_t_quantile(0.05, 30), 2.0422724563012373, 1e-9);
    CHECK_NEAR(statistics_chi2_tail(3.841458820694124, 1), 0.05, 1e-12);
    CHECK_NEAR(statistics_chi2_tail(18.307038053275146, 10), 0.05, 1e-9);
    CHECK_NEAR(statistics_chi2_tail(2, 2), exp(-1), 1e-14);
    CHECK(isnan(statistics_t_tail(NAN, 3)) && isnan(statistics_t_tail(1, 0)));
    const double x[] = {3, 4, 5, 6, 7}, y[] = {4, 6, 8, 10, 12};
    Sample a = statistics_of(x, 5), b = statistics_of(y, 5);
    CHECK_NEAR(a.mean, 5, 0);
    CHECK_NEAR(a.sd * a.sd, 2.5, 1e-12);
    CHECK_NEAR(b.least, 4, 0);
    CHECK_NEAR(b.most, 12, 0);
    Difference d = statistics_welch(&a, &b);
    CHECK_NEAR(d.difference, -3, 0);
    CHECK_NEAR(d.t, -3 / sqrt(2.5), 1e-12);
    CHECK_NEAR(d.freedom, 6.25 / (0.25 / 4 + 4.0 / 4), 1e-12);
    CHECK_NEAR(d.p, statistics_t_tail(d.t, d.freedom), 0);
    CHECK_NEAR(d.high + d.low, -6, 1e-9);
    CHECK_NEAR(d.effect, (1 - 3.0 / 31) * -3 / 2.5, 1e-12);
    const double z[] = {1, 2, 3};
    d = statistics_paired(z, 3);
    CHECK_NEAR(d.t, 2 * sqrt(3), 1e-12);
    CHECK_NEAR(d.p, 0.07417990022744853, 1e-12);
    a = statistics_of(x, 1);
    CHECK(isnan(a.sd) && isnan(statistics_welch(&a, &b).p));
    CHECK(isnan(statistics_of(x, 0).mean));
    const double same[] = {2, 2};
    a = b = statistics_of(same, 2);
    CHECK(isnan(statistics_welch(&a, &b).p));
}

int main(int argc, char **argv)
{
    perm = arena_reserve((ptrdiff_t)1 << 34);
    if (argc == 3 && !strcmp(argv[1], "--fixtures")) {
        folder = argv[2];
        make_fixtures();
        return check_state.failures != 0;
    }
    char template[] = "/tmp/test_report.XXXXXX";
    folder = mkdtemp(template);
    if (!folder) return perror(template), 1;
    CHECK_RUN(make_fixtures);
    CHECK_RUN(test_statistics);
    CHECK_RUN(test_escapes);
    CHECK_RUN(test_formats);
    CHECK_RUN(test_tables);
    CHECK_RUN(test_story);
    CHECK_RUN(test_searches_that_share_their_start);
    CHECK_RUN(test_summary);
    CHECK_RUN(test_summary_of_nothing);
    CHECK_RUN(test_hostile);
    CHECK_RUN(test_json_of_every_kind);
    CHECK_RUN(test_tsv);
    CHECK_RUN(test_kinds);
    CHECK_RUN(test_drawings);
    CHECK_RUN(test_figures);
    CHECK_RUN(test_page);
    CHECK_RUN(test_children);
    static const char *const made[] = {"story", "part", "empty", "hostile", "brief"};
    for (int i = 0; i < COUNTOF(made); i++) unlink(arena_printf(&perm, "%s/stats-%s.nas", folder, made[i]));
    CHECK_EQ(rmdir(folder), 0);
    return check_done("report");
}
