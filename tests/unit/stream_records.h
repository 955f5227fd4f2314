/* stream_records: one record of every kind with every field set, and their comparison; for the tests of streams. */
#ifndef NAS_STREAM_RECORDS_H
#define NAS_STREAM_RECORDS_H
#include "check.h"
#include "stream/record.h"

enum { RECORD_KINDS = REC_LAST - REC_DATASET + 1 };

/* Values that differ from each other and from every default. */
static int64_t made;

static int64_t an_int(void)
{
    return ++made * 37;
}

static double a_real(void)
{
    return -0.625 * (double)++made;
}

static const char *a_text(Arena *a)
{
    return arena_printf(a, "tëxt %lld \xF0\x9F\x94\xAD", (long long)++made);
}

static double *reals(Arena *a, int64_t n)
{
    double *p = NEW(a, double, n);
    for (int64_t i = 0; i < n; i++) p[i] = a_real();
    return p;
}

static float *floats(Arena *a, int64_t n)
{
    float *p = NEW(a, float, n);
    for (int64_t i = 0; i < n; i++) p[i] = (float)a_real();
    return p;
}

static int64_t *ints(Arena *a, int64_t n)
{
    int64_t *p = NEW(a, int64_t, n);
    for (int64_t i = 0; i < n; i++) p[i] = an_int();
    return p;
}

static const char **texts(Arena *a, int64_t n)
{
    const char **p = NEW(a, const char *, n);
    for (int64_t i = 0; i < n; i++) p[i] = a_text(a);
    return p;
}

/* The last one has no baseline. */
static ScoreTable *some_scores(Arena *a, int64_t n)
{
    ScoreTable *p = NEW(a, ScoreTable, n);
    for (int64_t i = 0; i < n; i++)
        p[i] = (ScoreTable){.name = a_text(a),
                            .rows = texts(a, 3),
                            .metrics = texts(a, 2),
                            .row_count = 3,
                            .metric_count = 2,
                            .value = reals(a, 6),
                            .baseline = i + 1 < n ? reals(a, 6) : 0};
    return p;
}

static Setting *some_settings(Arena *a, int64_t n)
{
    Setting *p = NEW(a, Setting, n);
    for (int64_t i = 0; i < n; i++) p[i] = (Setting){a_text(a), a_text(a)};
    return p;
}

static Metric *some_metrics(Arena *a, int64_t n)
{
    Metric *p = NEW(a, Metric, n);
    for (int64_t i = 0; i < n; i++) p[i] = (Metric){a_text(a), split_name[i % SPLIT_COUNT], a_real()};
    return p;
}

static AlphaTable a_table(Arena *a, int64_t edges, int64_t ops)
{
    return (AlphaTable){a_text(a),       edges,          ops, reals(a, edges * ops), reals(a, edges * ops),
                        reals(a, edges), reals(a, edges)};
}

static const void *some_bytes(Arena *a, int64_t n)
{
    unsigned char *p = NEW(a, unsigned char, n);
    for (int64_t i = 0; i < n; i++) p[i] = (unsigned char)an_int();
    return p;
}

/* Fills all[RECORD_KINDS], kinds in order. */
__attribute__((unused)) static void make_records(Arena *a, Record *all)
{
    made = 0;
    memset(all, 0, RECORD_KINDS * sizeof *all);
    for (int i = 0; i < RECORD_KINDS; i++) all[i].kind = (RecordKind)(REC_DATASET + i);
#define THE(k) all[k - REC_DATASET]
    THE(REC_DATASET).dataset = (DatasetInfo){.name = a_text(a),
                                             .source = a_text(a),
                                             .task = a_text(a),
                                             .channels = 2,
                                             .height = an_int(),
                                             .width = an_int(),
                                             .outputs = 3,
                                             .output_names = texts(a, 3),
                                             .split_count = {an_int(), an_int(), an_int(), an_int()},
                                             .dtype = DTYPE_U8,
                                             .mean = reals(a, 2),
                                             .sd = reals(a, 2),
                                             .target_mean = reals(a, 3),
                                             .target_sd = reals(a, 3),
                                             .class_weight = reals(a, 3),
                                             .metric_weight = reals(a, 3),
                                             .metric = a_text(a),
                                             .tree = a_text(a),
                                             .flip_horizontal = true,
                                             .flip_vertical = true,
                                             .crop_padding = an_int(),
                                             .cutout = an_int(),
                                             .digest = 0xFEDCBA9876543210,
                                             .settings = some_settings(a, 2),
                                             .setting_count = 2};
    THE(REC_SAMPLES).samples = (Samples){.split = SPLIT_TEST,
                                         .first = an_int(),
                                         .count = 3,
                                         .dtype = DTYPE_F32,
                                         .data = some_bytes(a, 48),
                                         .data_bytes = 48,
                                         .targets = floats(a, 6),
                                         .target_width = 2,
                                         .ids = ints(a, 3),
                                         .groups = ints(a, 3)};
    THE(REC_SPACE).space = (SearchSpace){.strategy = a_text(a),
                                         .ops = texts(a, 4),
                                         .op_count = 4,
                                         .nodes = an_int(),
                                         .inputs = an_int(),
                                         .concat = an_int(),
                                         .layers = an_int(),
                                         .channels = an_int(),
                                         .reduce_at = ints(a, 2),
                                         .reduce_count = 2,
                                         .parameters = an_int(),
                                         .macs = INT64_MAX,
                                         .memory_bytes = an_int(),
                                         .dataset = a_text(a),
                                         .seed = INT64_MIN,
                                         .settings = some_settings(a, 1),
                                         .setting_count = 1};
    THE(REC_SEARCH_EPOCH).search_epoch = (SearchEpoch){.epoch = an_int(),
                                                       .epochs = an_int(),
                                                       .steps = an_int(),
                                                       .seconds = a_real(),
                                                       .learning_rate = a_real(),
                                                       .tables = NEW(a, AlphaTable, 2),
                                                       .table_count = 2,
                                                       .genotype = a_text(a),
                                                       .metrics = some_metrics(a, 3),
                                                       .metric_count = 3};
    THE(REC_SEARCH_EPOCH).search_epoch.tables[0] = a_table(a, 2, 4);
    THE(REC_SEARCH_EPOCH).search_epoch.tables[1] = a_table(a, 1, 3);
    THE(REC_GENOTYPE).genotype = (GenotypeRecord){.name = a_text(a),
                                                  .text = a_text(a),
                                                  .rule = a_text(a),
                                                  .dataset = a_text(a),
                                                  .seed = -an_int(),
                                                  .epoch = -1,
                                                  .margin = reals(a, 3),
                                                  .margin_count = 3,
                                                  .none_mass = a_real(),
                                                  .weight_kept = a_real(),
                                                  .settings = some_settings(a, 1),
                                                  .setting_count = 1};
    THE(REC_TRAIN_EPOCH).train_epoch = (TrainEpoch){.run = a_text(a),
                                                    .epoch = an_int(),
                                                    .epochs = an_int(),
                                                    .steps = an_int(),
                                                    .seconds = a_real(),
                                                    .learning_rate = a_real(),
                                                    .best = true,
                                                    .metrics = some_metrics(a, 2),
                                                    .metric_count = 2};
    THE(REC_NETWORK).network = (NetworkRecord){.run = a_text(a),
                                               .net = a_text(a),
                                               .genotype = a_text(a),
                                               .layers = an_int(),
                                               .channels = an_int(),
                                               .input_channels = 2,
                                               .height = an_int(),
                                               .width = an_int(),
                                               .outputs = 2,
                                               .task = a_text(a),
                                               .dataset = a_text(a),
                                               .parameters = an_int(),
                                               .macs = an_int(),
                                               .memory_bytes = an_int(),
                                               .mean = reals(a, 2),
                                               .sd = reals(a, 2),
                                               .target_mean = reals(a, 2),
                                               .target_sd = reals(a, 2),
                                               .class_weight = reals(a, 2),
                                               .tree = a_text(a),
                                               .seed = an_int(),
                                               .settings = some_settings(a, 1),
                                               .setting_count = 1};
    int64_t *shape = NEW(a, int64_t, 3);
    shape[0] = 2, shape[1] = 3, shape[2] = 1;
    THE(REC_TENSOR).tensor = (TensorRecord){.run = a_text(a),
                                            .set = a_text(a),
                                            .name = a_text(a),
                                            .shape = shape,
                                            .rank = 3,
                                            .dtype = DTYPE_F64,
                                            .data = some_bytes(a, 48),
                                            .data_bytes = 48};
    THE(REC_CHECKPOINT).checkpoint = (CheckpointRecord){.program = a_text(a),
                                                        .run = a_text(a),
                                                        .epoch = an_int(),
                                                        .step = an_int(),
                                                        .seed = an_int(),
                                                        .settings = some_settings(a, 2),
                                                        .setting_count = 2};
    THE(REC_EVALUATION).evaluation = (Evaluation){.run = a_text(a),
                                                  .set = a_text(a),
                                                  .dataset = a_text(a),
                                                  .split = a_text(a),
                                                  .genotype = a_text(a),
                                                  .net = a_text(a),
                                                  .count = an_int(),
                                                  .parameters = an_int(),
                                                  .macs = an_int(),
                                                  .seconds = a_real(),
                                                  .metrics = some_metrics(a, 2),
                                                  .metric_count = 2,
                                                  .baseline = some_metrics(a, 1),
                                                  .baseline_count = 1,
                                                  .train_mode_loss = NAN,
                                                  .eval_mode_loss = a_real(),
                                                  .confusion = reals(a, 4),
                                                  .confusion_size = 2,
                                                  .tables = some_scores(a, 2),
                                                  .table_count = 2,
                                                  .settings = some_settings(a, 1),
                                                  .setting_count = 1};
    THE(REC_PREDICTIONS).predictions = (Predictions){.run = a_text(a),
                                                     .split = a_text(a),
                                                     .dataset = a_text(a),
                                                     .first = an_int(),
                                                     .rows = 2,
                                                     .columns = 3,
                                                     .values = floats(a, 6),
                                                     .targets = floats(a, 2),
                                                     .target_width = 1,
                                                     .ids = ints(a, 2),
                                                     .output_names = texts(a, 3)};
    THE(REC_TRANSFER).transfer = (TransferRow){.genotype = a_text(a),
                                               .name = a_text(a),
                                               .from = a_text(a),
                                               .to = a_text(a),
                                               .layers = an_int(),
                                               .channels = an_int(),
                                               .parameters = an_int(),
                                               .macs = an_int(),
                                               .epochs = an_int(),
                                               .seed = an_int(),
                                               .seconds = a_real(),
                                               .metrics = some_metrics(a, 1),
                                               .metric_count = 1,
                                               .baseline = some_metrics(a, 2),
                                               .baseline_count = 2,
                                               .settings = some_settings(a, 1),
                                               .setting_count = 1};
    THE(REC_STUDY).study = (StudyRow){.study = a_text(a), .columns = some_settings(a, 3), .column_count = 3};
    THE(REC_EVENT).event = (EventRecord){.what = a_text(a), .text = a_text(a), .epoch = an_int()};
    THE(REC_PROFILE).profile = (ProfileRecord){.run = a_text(a),
                                               .op = a_text(a),
                                               .calls = an_int(),
                                               .forward_seconds = a_real(),
                                               .backward_seconds = a_real(),
                                               .seconds = a_real(),
                                               .share = a_real(),
                                               .gflops = a_real(),
                                               .gbs = a_real()};
    THE(REC_PROBLEM).problem = (ProblemRecord){.name = a_text(a),
                                               .family = a_text(a),
                                               .split = SPLIT_VALID,
                                               .index = an_int(),
                                               .width = 3,
                                               .height = 2,
                                               .density = a_real(),
                                               .mask = "\1\0\1\1\0\1",
                                               .mask_bytes = 6,
                                               .fixed = ints(a, 3),
                                               .fixed_count = 3,
                                               .load_dof = ints(a, 2),
                                               .load_count = 2,
                                               .load = reals(a, 2),
                                               .reference = a_real()};
#undef THE
}

/* ---- comparison: a was read, b was written ---- */

static bool same_array(const void *a, const void *b, int64_t bytes)
{
    return bytes == 0 || !b ? a == 0 : a && memcmp(a, b, (size_t)bytes) == 0;
}

static void same_texts(const char *const *a, const char *const *b, int64_t n)
{
    CHECK((n && b) ? a != 0 : a == 0);
    for (int64_t i = 0; a && i < n; i++) CHECK_STR(a[i], b[i] ? b[i] : "");
}

/* A field of two structs a and b: text, integer, real (bit by bit), array of n. */
#define TEXT(f)     CHECK_STR(a->f, b->f ? b->f : "")
#define INT(f)      CHECK_EQ(a->f, b->f)
#define REAL(f)     CHECK_MSG(memcmp(&a->f, &b->f, 8) == 0, "%s: %g, expected %g", #f, a->f, b->f)
#define ARRAY(f, n) CHECK(same_array(a->f, b->f, (n) * (int64_t)sizeof *a->f))

static void same_settings(const Setting *a, int64_t na, const Setting *b, int64_t nb)
{
    CHECK_EQ(na, nb);
    for (int64_t i = 0; i < na && na == nb; i++, a++, b++) TEXT(key), TEXT(value);
}

static void same_metrics(const Metric *a, int64_t na, const Metric *b, int64_t nb)
{
    CHECK_EQ(na, nb);
    for (int64_t i = 0; i < na && na == nb; i++, a++, b++) TEXT(name), TEXT(split), REAL(value);
}

#define SETTINGS(f, n) same_settings(a->f, a->n, b->f, b->n)
#define METRICS(f, n)  same_metrics(a->f, a->n, b->f, b->n)

__attribute__((unused)) static void same_provenance(const Provenance *a, const Provenance *b)
{
    TEXT(program), TEXT(version), TEXT(command), TEXT(host), INT(seed), REAL(unix_time), INT(input_count);
    same_texts(a->inputs, b->inputs, b->input_count);
}

static void same_tables(const AlphaTable *a, int64_t na, const AlphaTable *b, int64_t nb)
{
    CHECK_EQ(na, nb);
    for (int64_t i = 0; i < na && na == nb; i++, a++, b++) {
        TEXT(name), INT(edges), INT(ops), ARRAY(raw, b->edges * b->ops), ARRAY(weight, b->edges * b->ops);
        ARRAY(entropy, b->edges), ARRAY(margin, b->edges);
    }
}

static void same_scores(const ScoreTable *a, int64_t na, const ScoreTable *b, int64_t nb)
{
    CHECK_EQ(na, nb);
    for (int64_t i = 0; i < na && na == nb; i++, a++, b++) {
        TEXT(name), INT(row_count), INT(metric_count);
        same_texts(a->rows, b->rows, b->row_count);
        same_texts(a->metrics, b->metrics, b->metric_count);
        ARRAY(value, b->row_count * b->metric_count);
        CHECK(!a->baseline == !b->baseline);
        if (b->baseline) ARRAY(baseline, b->row_count * b->metric_count);
    }
}

#define PAIR(member) __typeof__(read->member) const *a = &read->member, *b = &written->member

__attribute__((unused)) static void same_record(const Record *read, const Record *written)
{
    CHECK_EQ(read->kind, written->kind);
    if (read->kind != written->kind) return;
    switch (read->kind) {
    case REC_DATASET: {
        PAIR(dataset);
        TEXT(name), TEXT(source), TEXT(task), INT(channels), INT(height), INT(width), INT(outputs);
        same_texts(a->output_names, b->output_names, b->outputs);
        for (int i = 0; i < SPLIT_COUNT; i++) INT(split_count[i]);
        INT(dtype), ARRAY(mean, b->channels), ARRAY(sd, b->channels), ARRAY(target_mean, b->outputs);
        ARRAY(target_sd, b->outputs), ARRAY(class_weight, b->outputs), INT(flip_horizontal), INT(flip_vertical);
        ARRAY(metric_weight, b->outputs), TEXT(metric), TEXT(tree);
        INT(crop_padding), INT(cutout), INT(digest), SETTINGS(settings, setting_count);
        break;
    }
    case REC_SAMPLES: {
        PAIR(samples);
        INT(split), INT(first), INT(count), INT(dtype), INT(data_bytes), INT(target_width);
        CHECK(same_array(a->data, b->data, b->data_bytes));
        ARRAY(targets, b->count * b->target_width), ARRAY(ids, b->count), ARRAY(groups, b->count);
        break;
    }
    case REC_SPACE: {
        PAIR(space);
        TEXT(strategy), INT(op_count), INT(nodes), INT(inputs), INT(concat), INT(layers), INT(channels);
        same_texts(a->ops, b->ops, b->op_count);
        INT(reduce_count), ARRAY(reduce_at, b->reduce_count), INT(parameters), INT(macs), INT(memory_bytes);
        TEXT(dataset), INT(seed), SETTINGS(settings, setting_count);
        break;
    }
    case REC_SEARCH_EPOCH: {
        PAIR(search_epoch);
        INT(epoch), INT(epochs), INT(steps), REAL(seconds), REAL(learning_rate), TEXT(genotype);
        same_tables(a->tables, a->table_count, b->tables, b->table_count);
        METRICS(metrics, metric_count);
        break;
    }
    case REC_GENOTYPE: {
        PAIR(genotype);
        TEXT(name), TEXT(text), TEXT(rule), TEXT(dataset), INT(seed), INT(epoch), INT(margin_count);
        ARRAY(margin, b->margin_count), REAL(none_mass), REAL(weight_kept), SETTINGS(settings, setting_count);
        break;
    }
    case REC_TRAIN_EPOCH: {
        PAIR(train_epoch);
        TEXT(run), INT(epoch), INT(epochs), INT(steps), REAL(seconds), REAL(learning_rate), INT(best);
        METRICS(metrics, metric_count);
        break;
    }
    case REC_NETWORK: {
        PAIR(network);
        TEXT(run), TEXT(net), TEXT(genotype), INT(layers), INT(channels), INT(input_channels), INT(height);
        INT(width), INT(outputs), TEXT(task), TEXT(dataset), INT(parameters), INT(macs), INT(memory_bytes);
        ARRAY(mean, b->input_channels), ARRAY(sd, b->input_channels), ARRAY(target_mean, b->outputs);
        ARRAY(target_sd, b->outputs), INT(seed), SETTINGS(settings, setting_count);
        ARRAY(class_weight, b->outputs), TEXT(tree);
        break;
    }
    case REC_TENSOR: {
        PAIR(tensor);
        TEXT(run), TEXT(set), TEXT(name), INT(rank), ARRAY(shape, b->rank), INT(dtype), INT(data_bytes);
        CHECK(same_array(a->data, b->data, b->data_bytes));
        break;
    }
    case REC_CHECKPOINT: {
        PAIR(checkpoint);
        TEXT(program), TEXT(run), INT(epoch), INT(step), INT(seed), SETTINGS(settings, setting_count);
        break;
    }
    case REC_EVALUATION: {
        PAIR(evaluation);
        TEXT(run), TEXT(set), TEXT(dataset), TEXT(split), TEXT(genotype), TEXT(net), INT(count), INT(parameters);
        INT(macs), REAL(seconds), METRICS(metrics, metric_count), METRICS(baseline, baseline_count);
        REAL(train_mode_loss), REAL(eval_mode_loss), INT(confusion_size), SETTINGS(settings, setting_count);
        ARRAY(confusion, b->confusion_size * b->confusion_size);
        same_scores(a->tables, a->table_count, b->tables, b->table_count);
        break;
    }
    case REC_PREDICTIONS: {
        PAIR(predictions);
        TEXT(run), TEXT(split), TEXT(dataset), INT(first), INT(rows), INT(columns), INT(target_width);
        ARRAY(values, b->rows * b->columns), ARRAY(targets, b->rows * b->target_width), ARRAY(ids, b->rows);
        same_texts(a->output_names, b->output_names, b->columns);
        break;
    }
    case REC_TRANSFER: {
        PAIR(transfer);
        TEXT(genotype), TEXT(name), TEXT(from), TEXT(to), INT(layers), INT(channels), INT(parameters), INT(macs);
        INT(epochs), INT(seed), REAL(seconds), METRICS(metrics, metric_count), METRICS(baseline, baseline_count);
        SETTINGS(settings, setting_count);
        break;
    }
    case REC_STUDY: {
        PAIR(study);
        TEXT(study), SETTINGS(columns, column_count);
        break;
    }
    case REC_EVENT: {
        PAIR(event);
        TEXT(what), TEXT(text), INT(epoch);
        break;
    }
    case REC_PROFILE: {
        PAIR(profile);
        TEXT(run), TEXT(op), INT(calls), REAL(forward_seconds), REAL(backward_seconds), REAL(seconds), REAL(share);
        REAL(gflops), REAL(gbs);
        break;
    }
    case REC_PROBLEM: {
        PAIR(problem);
        TEXT(name), TEXT(family), INT(split), INT(index), INT(width), INT(height), REAL(density), REAL(reference);
        INT(mask_bytes), INT(fixed_count), INT(load_count);
        CHECK(same_array(a->mask, b->mask, b->mask_bytes));
        ARRAY(fixed, b->fixed_count), ARRAY(load_dof, b->load_count), ARRAY(load, b->load_count);
        break;
    }
    case REC_UNKNOWN:
        CHECK_EQ(read->byte_count, written->byte_count);
        CHECK(same_array(read->bytes, written->bytes, written->byte_count));
        break;
    case REC_NONE: CHECK(false);
    }
}

#undef TEXT
#undef INT
#undef REAL
#undef ARRAY
#undef SETTINGS
#undef METRICS
#undef PAIR

/* ---- files ---- */

/* Runs a program by a shell without output; its exit status. */
__attribute__((format(printf, 1, 2), unused)) static int shell(const char *format, ...)
{
    char command[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    fflush(0);
    return system(command);
}

/* A whole file in `a`; n = -1 if it cannot be read. */
__attribute__((unused)) static const unsigned char *slurp(Arena *a, const char *path, int64_t *n)
{
    *n = -1;
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    fseek(f, 0, SEEK_END);
    *n = ftell(f);
    rewind(f);
    unsigned char *p = NEW(a, unsigned char, *n + 1);
    if (fread(p, 1, (size_t)*n, f) != (size_t)*n) *n = -1;
    fclose(f);
    return p;
}

static const Provenance self_provenance = {.program = "test_stream",
                                           .version = "1",
                                           .command = "test_stream 'a b'",
                                           .host = "here",
                                           .seed = -3,
                                           .unix_time = 1.5,
                                           .inputs = (const char *[]){"a.nas 0123", "b.nas 4567"},
                                           .input_count = 2};

/* Writes records to a file; whether that went well. */
__attribute__((unused)) static bool write_stream(Arena scratch, const char *path, const Record *all, int64_t n)
{
    Writer *out = writer_open(&scratch, path, 0, &self_provenance);
    for (int64_t i = 0; i < n; i++) writer_put(out, &all[i]);
    bool ok = writer_finish(out);
    CHECK_STR(writer_error(out), 0);
    return ok;
}
#endif
