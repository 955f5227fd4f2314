/* record_text: one record as one line for a person, as JSON, or as rows of a tab-separated table.
 *
 * JSON follows one table: kind -> fields, each with its name, type, place in the struct and the places of its counts.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "report/parts.h"

/* clang-format off */
typedef enum {
    F_TEXT, F_INT, F_REAL, F_BOOL, F_SPLIT, F_DTYPE, F_HEX, F_SPLITS,
    F_TEXTS, F_INTS, F_REALS, F_SETTINGS, F_METRICS, F_TABLES, F_SCORES /* arrays: with a count */
} FieldType;

typedef struct {
    const char *name;
    FieldType type;
    int at, rows, columns; /* offsets in the struct; rows, columns: of an int64_t count, or -1 */
} Field;

#define ONE(T, type, f) {#f, type, (int)offsetof(T, f), -1, -1}
#define MANY(T, type, f, n) {#f, type, (int)offsetof(T, f), (int)offsetof(T, n), -1}
#define GRID(T, type, f, n, m) {#f, type, (int)offsetof(T, f), (int)offsetof(T, n), (int)offsetof(T, m)}
#define END {0}

static const Field dataset_fields[] = {
    ONE(DatasetInfo, F_TEXT, name), ONE(DatasetInfo, F_TEXT, source), ONE(DatasetInfo, F_TEXT, task),
    ONE(DatasetInfo, F_INT, channels), ONE(DatasetInfo, F_INT, height), ONE(DatasetInfo, F_INT, width),
    ONE(DatasetInfo, F_INT, outputs), MANY(DatasetInfo, F_TEXTS, output_names, outputs),
    ONE(DatasetInfo, F_SPLITS, split_count), ONE(DatasetInfo, F_DTYPE, dtype),
    MANY(DatasetInfo, F_REALS, mean, channels), MANY(DatasetInfo, F_REALS, sd, channels),
    MANY(DatasetInfo, F_REALS, target_mean, outputs), MANY(DatasetInfo, F_REALS, target_sd, outputs),
    MANY(DatasetInfo, F_REALS, class_weight, outputs), MANY(DatasetInfo, F_REALS, metric_weight, outputs),
    ONE(DatasetInfo, F_TEXT, metric), ONE(DatasetInfo, F_TEXT, tree), ONE(DatasetInfo, F_BOOL, flip_horizontal),
    ONE(DatasetInfo, F_BOOL, flip_vertical), ONE(DatasetInfo, F_INT, crop_padding), ONE(DatasetInfo, F_INT, cutout),
    ONE(DatasetInfo, F_HEX, digest), MANY(DatasetInfo, F_SETTINGS, settings, setting_count), END};
static const Field samples_fields[] = {
    ONE(Samples, F_SPLIT, split), ONE(Samples, F_INT, first), ONE(Samples, F_INT, count),
    ONE(Samples, F_DTYPE, dtype), ONE(Samples, F_INT, data_bytes), ONE(Samples, F_INT, target_width), END};
static const Field space_fields[] = {
    ONE(SearchSpace, F_TEXT, strategy), MANY(SearchSpace, F_TEXTS, ops, op_count), ONE(SearchSpace, F_INT, nodes),
    ONE(SearchSpace, F_INT, inputs), ONE(SearchSpace, F_INT, concat), ONE(SearchSpace, F_INT, layers),
    ONE(SearchSpace, F_INT, channels), MANY(SearchSpace, F_INTS, reduce_at, reduce_count),
    ONE(SearchSpace, F_INT, parameters), ONE(SearchSpace, F_INT, macs), ONE(SearchSpace, F_INT, memory_bytes),
    ONE(SearchSpace, F_TEXT, dataset), ONE(SearchSpace, F_INT, seed),
    MANY(SearchSpace, F_SETTINGS, settings, setting_count), END};
static const Field alpha_fields[] = {
    ONE(AlphaTable, F_TEXT, name), ONE(AlphaTable, F_INT, edges), ONE(AlphaTable, F_INT, ops),
    GRID(AlphaTable, F_REALS, raw, edges, ops), GRID(AlphaTable, F_REALS, weight, edges, ops),
    MANY(AlphaTable, F_REALS, entropy, edges), MANY(AlphaTable, F_REALS, margin, edges), END};
static const Field search_epoch_fields[] = {
    ONE(SearchEpoch, F_INT, epoch), ONE(SearchEpoch, F_INT, epochs), ONE(SearchEpoch, F_INT, steps),
    ONE(SearchEpoch, F_REAL, seconds), ONE(SearchEpoch, F_REAL, learning_rate),
    MANY(SearchEpoch, F_TABLES, tables, table_count), ONE(SearchEpoch, F_TEXT, genotype),
    MANY(SearchEpoch, F_METRICS, metrics, metric_count), END};
static const Field genotype_fields[] = {
    ONE(GenotypeRecord, F_TEXT, name), ONE(GenotypeRecord, F_TEXT, text), ONE(GenotypeRecord, F_TEXT, rule),
    ONE(GenotypeRecord, F_TEXT, dataset), ONE(GenotypeRecord, F_INT, seed), ONE(GenotypeRecord, F_INT, epoch),
    MANY(GenotypeRecord, F_REALS, margin, margin_count), ONE(GenotypeRecord, F_REAL, none_mass),
    ONE(GenotypeRecord, F_REAL, weight_kept), MANY(GenotypeRecord, F_SETTINGS, settings, setting_count), END};
static const Field network_fields[] = {
    ONE(NetworkRecord, F_TEXT, run), ONE(NetworkRecord, F_TEXT, net), ONE(NetworkRecord, F_TEXT, genotype),
    ONE(NetworkRecord, F_INT, layers), ONE(NetworkRecord, F_INT, channels),
    ONE(NetworkRecord, F_INT, input_channels), ONE(NetworkRecord, F_INT, height), ONE(NetworkRecord, F_INT, width),
    ONE(NetworkRecord, F_INT, outputs), ONE(NetworkRecord, F_TEXT, task), ONE(NetworkRecord, F_TEXT, dataset),
    ONE(NetworkRecord, F_INT, parameters), ONE(NetworkRecord, F_INT, macs), ONE(NetworkRecord, F_INT, memory_bytes),
    MANY(NetworkRecord, F_REALS, mean, input_channels), MANY(NetworkRecord, F_REALS, sd, input_channels),
    MANY(NetworkRecord, F_REALS, target_mean, outputs), MANY(NetworkRecord, F_REALS, target_sd, outputs),
    MANY(NetworkRecord, F_REALS, class_weight, outputs), ONE(NetworkRecord, F_TEXT, tree),
    ONE(NetworkRecord, F_INT, seed), MANY(NetworkRecord, F_SETTINGS, settings, setting_count), END};
static const Field train_epoch_fields[] = {
    ONE(TrainEpoch, F_TEXT, run), ONE(TrainEpoch, F_INT, epoch), ONE(TrainEpoch, F_INT, epochs),
    ONE(TrainEpoch, F_INT, steps), ONE(TrainEpoch, F_REAL, seconds), ONE(TrainEpoch, F_REAL, learning_rate),
    ONE(TrainEpoch, F_BOOL, best), MANY(TrainEpoch, F_METRICS, metrics, metric_count), END};
static const Field tensor_fields[] = {
    ONE(TensorRecord, F_TEXT, run), ONE(TensorRecord, F_TEXT, set), ONE(TensorRecord, F_TEXT, name),
    MANY(TensorRecord, F_INTS, shape, rank), ONE(TensorRecord, F_DTYPE, dtype),
    ONE(TensorRecord, F_INT, data_bytes), END};
static const Field checkpoint_fields[] = {
    ONE(CheckpointRecord, F_TEXT, program), ONE(CheckpointRecord, F_TEXT, run), ONE(CheckpointRecord, F_INT, epoch),
    ONE(CheckpointRecord, F_INT, step), ONE(CheckpointRecord, F_INT, seed),
    MANY(CheckpointRecord, F_SETTINGS, settings, setting_count), END};
static const Field score_fields[] = {
    ONE(ScoreTable, F_TEXT, name), MANY(ScoreTable, F_TEXTS, rows, row_count),
    MANY(ScoreTable, F_TEXTS, metrics, metric_count), GRID(ScoreTable, F_REALS, value, row_count, metric_count),
    GRID(ScoreTable, F_REALS, baseline, row_count, metric_count), END};
static const Field evaluation_fields[] = {
    ONE(Evaluation, F_TEXT, run), ONE(Evaluation, F_TEXT, set), ONE(Evaluation, F_TEXT, dataset),
    ONE(Evaluation, F_TEXT, split), ONE(Evaluation, F_TEXT, genotype), ONE(Evaluation, F_TEXT, net),
    ONE(Evaluation, F_INT, count), ONE(Evaluation, F_INT, parameters), ONE(Evaluation, F_INT, macs),
    ONE(Evaluation, F_REAL, seconds), MANY(Evaluation, F_METRICS, metrics, metric_count),
    MANY(Evaluation, F_METRICS, baseline, baseline_count), ONE(Evaluation, F_REAL, train_mode_loss),
    ONE(Evaluation, F_REAL, eval_mode_loss), GRID(Evaluation, F_REALS, confusion, confusion_size, confusion_size),
    MANY(Evaluation, F_SCORES, tables, table_count),
    MANY(Evaluation, F_SETTINGS, settings, setting_count), END};
static const Field predictions_fields[] = {
    ONE(Predictions, F_TEXT, run), ONE(Predictions, F_TEXT, split), ONE(Predictions, F_TEXT, dataset),
    ONE(Predictions, F_INT, first), ONE(Predictions, F_INT, rows), ONE(Predictions, F_INT, columns),
    ONE(Predictions, F_INT, target_width), MANY(Predictions, F_TEXTS, output_names, columns), END};
static const Field transfer_fields[] = {
    ONE(TransferRow, F_TEXT, genotype), ONE(TransferRow, F_TEXT, name), ONE(TransferRow, F_TEXT, from),
    ONE(TransferRow, F_TEXT, to), ONE(TransferRow, F_INT, layers), ONE(TransferRow, F_INT, channels),
    ONE(TransferRow, F_INT, parameters), ONE(TransferRow, F_INT, macs), ONE(TransferRow, F_INT, epochs),
    ONE(TransferRow, F_INT, seed), ONE(TransferRow, F_REAL, seconds),
    MANY(TransferRow, F_METRICS, metrics, metric_count), MANY(TransferRow, F_METRICS, baseline, baseline_count),
    MANY(TransferRow, F_SETTINGS, settings, setting_count), END};
static const Field study_fields[] = {
    ONE(StudyRow, F_TEXT, study), MANY(StudyRow, F_SETTINGS, columns, column_count), END};
static const Field event_fields[] = {
    ONE(EventRecord, F_TEXT, what), ONE(EventRecord, F_TEXT, text), ONE(EventRecord, F_INT, epoch), END};
static const Field profile_fields[] = {
    ONE(ProfileRecord, F_TEXT, run), ONE(ProfileRecord, F_TEXT, op), ONE(ProfileRecord, F_INT, calls),
    ONE(ProfileRecord, F_REAL, forward_seconds), ONE(ProfileRecord, F_REAL, backward_seconds),
    ONE(ProfileRecord, F_REAL, seconds), ONE(ProfileRecord, F_REAL, share), ONE(ProfileRecord, F_REAL, gflops),
    ONE(ProfileRecord, F_REAL, gbs), END};
static const Field problem_fields[] = {
    ONE(ProblemRecord, F_TEXT, name), ONE(ProblemRecord, F_TEXT, family), ONE(ProblemRecord, F_SPLIT, split),
    ONE(ProblemRecord, F_INT, index), ONE(ProblemRecord, F_INT, width), ONE(ProblemRecord, F_INT, height),
    ONE(ProblemRecord, F_REAL, density), MANY(ProblemRecord, F_INTS, fixed, fixed_count),
    MANY(ProblemRecord, F_INTS, load_dof, load_count), MANY(ProblemRecord, F_REALS, load, load_count),
    ONE(ProblemRecord, F_REAL, reference), END};
static const Field provenance_fields[] = {
    ONE(Provenance, F_TEXT, program), ONE(Provenance, F_TEXT, version), ONE(Provenance, F_TEXT, command),
    ONE(Provenance, F_TEXT, host), ONE(Provenance, F_INT, seed), ONE(Provenance, F_REAL, unix_time),
    MANY(Provenance, F_TEXTS, inputs, input_count), END};

static const Field *const kind_fields[REC_LAST + 1] = {
    [REC_DATASET] = dataset_fields, [REC_SAMPLES] = samples_fields, [REC_SPACE] = space_fields,
    [REC_SEARCH_EPOCH] = search_epoch_fields, [REC_GENOTYPE] = genotype_fields,
    [REC_TRAIN_EPOCH] = train_epoch_fields, [REC_NETWORK] = network_fields, [REC_TENSOR] = tensor_fields,
    [REC_CHECKPOINT] = checkpoint_fields, [REC_EVALUATION] = evaluation_fields,
    [REC_PREDICTIONS] = predictions_fields, [REC_TRANSFER] = transfer_fields, [REC_STUDY] = study_fields,
    [REC_EVENT] = event_fields, [REC_PROFILE] = profile_fields,
    [REC_PROBLEM] = problem_fields};
/* clang-format on */

const char *dtype_name(DType t)
{
    static const char *const name[] = {"f32", "u8", "f64", "i64"};
    return t >= 0 && t < COUNTOF(name) ? name[t] : "?";
}

static const char *split_text(Split s)
{
    return s >= 0 && s < SPLIT_COUNT ? split_name[s] : "?";
}

/* ---- JSON ---- */

static void json_text(Arena *a, Text *out, const char *s)
{
    text_add(a, out, "\"");
    escape_add(a, out, AS_JSON, s);
    text_add(a, out, "\"");
}

static void json_real(Arena *a, Text *out, double v)
{
    text_add(a, out, isfinite(v) ? format_real(a, v) : "null");
}

static void json_fields(Arena *a, Text *out, const Field *f, const void *object);

static int64_t count_at(const void *object, int at)
{
    int64_t n = 1;
    if (at >= 0) memcpy(&n, (const char *)object + at, sizeof n);
    return n;
}

static void json_item(Arena *a, Text *out, FieldType type, const void *array, int64_t i)
{
    switch (type) {
    case F_TEXTS: json_text(a, out, ((const char *const *)array)[i]); break;
    case F_INTS: text_addf(a, out, "%lld", (long long)((const int64_t *)array)[i]); break;
    case F_REALS: json_real(a, out, ((const double *)array)[i]); break;
    case F_METRICS: {
        const Metric *m = (const Metric *)array + i;
        text_add(a, out, "{\"name\":");
        json_text(a, out, m->name);
        text_add(a, out, ",\"split\":");
        json_text(a, out, m->split);
        text_add(a, out, ",\"value\":");
        json_real(a, out, m->value);
        text_add(a, out, "}");
        break;
    }
    case F_SETTINGS: {
        const Setting *s = (const Setting *)array + i;
        text_add(a, out, "{\"key\":");
        json_text(a, out, s->key);
        text_add(a, out, ",\"value\":");
        json_text(a, out, s->value);
        text_add(a, out, "}");
        break;
    }
    default: /* F_TABLES, F_SCORES */
        text_add(a, out, "{");
        if (type == F_TABLES)
            json_fields(a, out, alpha_fields, (const AlphaTable *)array + i);
        else
            json_fields(a, out, score_fields, (const ScoreTable *)array + i);
        text_add(a, out, "}");
    }
}

static void json_array(Arena *a, Text *out, const Field *f, const void *object)
{
    const void *array;
    memcpy(&array, (const char *)object + f->at, sizeof array);
    int64_t rows = array ? count_at(object, f->rows) : 0, columns = count_at(object, f->columns);
    text_add(a, out, "[");
    for (int64_t r = 0; r < rows; r++) {
        if (r) text_add(a, out, ",");
        if (f->columns >= 0) text_add(a, out, "[");
        for (int64_t c = 0; c < columns; c++) {
            if (c) text_add(a, out, ",");
            json_item(a, out, f->type, array, r * columns + c);
        }
        if (f->columns >= 0) text_add(a, out, "]");
    }
    text_add(a, out, "]");
}

static void json_value(Arena *a, Text *out, const Field *f, const void *object)
{
    const void *at = (const char *)object + f->at;
    switch (f->type) {
    case F_TEXT: json_text(a, out, *(const char *const *)at); break;
    case F_INT: text_addf(a, out, "%lld", (long long)*(const int64_t *)at); break;
    case F_REAL: json_real(a, out, *(const double *)at); break;
    case F_BOOL: text_add(a, out, *(const bool *)at ? "true" : "false"); break;
    case F_SPLIT: json_text(a, out, split_text(*(const Split *)at)); break;
    case F_DTYPE: json_text(a, out, dtype_name(*(const DType *)at)); break;
    case F_HEX: /* as text: a JSON number has 53 bits */
        text_addf(a, out, "\"%016llx\"", (unsigned long long)*(const uint64_t *)at);
        break;
    case F_SPLITS:
        for (int i = 0; i < SPLIT_COUNT; i++) {
            text_addf(a, out, "%s\"%s\":%lld", i ? "," : "{", split_name[i], (long long)((const int64_t *)at)[i]);
        }
        text_add(a, out, "}");
        break;
    default: json_array(a, out, f, object);
    }
}

static void json_fields(Arena *a, Text *out, const Field *f, const void *object)
{
    for (const char *comma = ""; f->name; f++, comma = ",") {
        text_addf(a, out, "%s\"%s\":", comma, f->name);
        json_value(a, out, f, object);
    }
}

void report_json(Arena *a, Text *out, const char *file, const Record *r)
{
    text_add(a, out, "{\"file\":");
    json_text(a, out, file);
    text_addf(a, out, ",\"record\":%lld,\"kind\":\"%s\",\"bytes\":%lld", (long long)r->number,
              record_kind_name(r->kind), (long long)r->byte_count);
    if (r->kind > REC_NONE && r->kind <= REC_LAST && kind_fields[r->kind]) {
        text_add(a, out, ",");
        json_fields(a, out, kind_fields[r->kind], &r->dataset); /* all members of the union begin there */
    }
    text_add(a, out, "}\n");
}

void report_json_provenance(Arena *a, Text *out, const char *file, const Provenance *p, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        text_add(a, out, "{\"file\":");
        json_text(a, out, file);
        text_add(a, out, ",\"record\":0,\"kind\":\"provenance\",");
        json_fields(a, out, provenance_fields, &p[i]);
        text_add(a, out, "}\n");
    }
}

/* ---- leaves: each value under a path of its own ---- */

static Leaf *leaf_add(Arena *a, Leaves *l, const char *path)
{
    GROW(a, l->leaf, l->count, l->room);
    l->leaf[l->count] = (Leaf){.path = path, .text = ""};
    return &l->leaf[l->count++];
}

static void leaf_numbers(Arena *a, Leaves *l, const char *path, const void *from, bool real, int64_t count)
{
    Leaf *leaf = leaf_add(a, l, path);
    leaf->number = NEW(a, double, count);
    leaf->numbers = count;
    for (int64_t i = 0; i < count; i++)
        leaf->number[i] = real ? ((const double *)from)[i] : (double)((const int64_t *)from)[i];
}

static void add_leaves(Arena *a, Leaves *l, const char *prefix, const Field *f, const void *object);

static void array_leaves(Arena *a, Leaves *l, const char *path, const Field *f, const void *object)
{
    const void *array;
    memcpy(&array, (const char *)object + f->at, sizeof array);
    const int64_t rows = array ? count_at(object, f->rows) : 0;
    if (f->type == F_REALS || f->type == F_INTS) {
        leaf_numbers(a, l, path, array, f->type == F_REALS, rows * count_at(object, f->columns));
        return;
    }
    for (int64_t i = 0; i < rows; i++) {
        const Metric *m = (const Metric *)array + i;
        const Setting *s = (const Setting *)array + i;
        if (f->type == F_METRICS)
            leaf_numbers(a, l, arena_printf(a, "%s[%s%s%s]", path, m->split, m->split[0] ? " " : "", m->name),
                         &m->value, true, 1);
        else if (f->type == F_SETTINGS)
            leaf_add(a, l, arena_printf(a, "%s[%s]", path, s->key))->text = arena_strdup(a, s->value);
        else if (f->type == F_TEXTS)
            leaf_add(a, l, arena_printf(a, "%s[%lld]", path, (long long)i))->text =
                arena_strdup(a, ((const char *const *)array)[i]);
        else if (f->type == F_TABLES)
            add_leaves(a, l, arena_printf(a, "%s[%s].", path, ((const AlphaTable *)array)[i].name), alpha_fields,
                       (const AlphaTable *)array + i);
        else
            add_leaves(a, l, arena_printf(a, "%s[%s].", path, ((const ScoreTable *)array)[i].name), score_fields,
                       (const ScoreTable *)array + i);
    }
}

static void add_leaves(Arena *a, Leaves *l, const char *prefix, const Field *f, const void *object)
{
    for (; f->name; f++) {
        const char *path = arena_printf(a, "%s%s", prefix, f->name);
        const void *at = (const char *)object + f->at;
        if (f->rows >= 0) {
            array_leaves(a, l, path, f, object);
        } else if (f->type == F_INT || f->type == F_REAL) {
            leaf_numbers(a, l, path, at, f->type == F_REAL, 1);
        } else if (f->type == F_SPLITS) {
            for (int i = 0; i < SPLIT_COUNT; i++)
                leaf_numbers(a, l, arena_printf(a, "%s[%s]", path, split_name[i]), (const int64_t *)at + i, false, 1);
        } else if (f->type == F_TEXT) {
            leaf_add(a, l, path)->text = arena_strdup(a, *(const char *const *)at);
        } else if (f->type == F_SPLIT) {
            leaf_add(a, l, path)->text = split_text(*(const Split *)at);
        } else {
            Text t = {0};
            json_value(a, &t, f, object);
            leaf_add(a, l, path)->text = t.s;
        }
    }
}

Leaves record_leaves(Arena *a, const Record *r)
{
    Leaves l = {0};
    if (r->kind > REC_NONE && r->kind <= REC_LAST && kind_fields[r->kind])
        add_leaves(a, &l, "", kind_fields[r->kind], &r->dataset);
    return l;
}

Leaves provenance_leaves(Arena *a, const Provenance *p)
{
    Leaves l = {0};
    add_leaves(a, &l, "", provenance_fields, p);
    return l;
}

/* ---- tab-separated rows ---- */

static const struct { /* a column is a field of the record, or one of: file record split metric value trivial */
    RecordKind kind;
    const char *columns;
} tsv_table[] = {
    {REC_SEARCH_EPOCH, "file\trecord\tepoch\tepochs\tsteps\tseconds\tlearning_rate\tsplit\tmetric\tvalue"},
    {REC_TRAIN_EPOCH, "file\trecord\trun\tepoch\tepochs\tsteps\tseconds\tlearning_rate\tbest\tsplit\tmetric\tvalue"},
    {REC_EVALUATION,
     "file\trecord\trun\tset\tnet\tdataset\tsplit\tcount\tparameters\tmacs\tseconds\tmetric\tvalue\ttrivial"},
    {REC_TRANSFER, "file\trecord\tname\tfrom\tto\tlayers\tchannels\tparameters\tmacs\tepochs\tseed\tseconds\t"
                   "metric\tvalue\ttrivial"},
    {REC_PROFILE, "file\trecord\trun\top\tcalls\tforward_seconds\tbackward_seconds\tseconds\tshare\tgflops\tgbs"},
    {REC_PROBLEM, "file\trecord\tname\tfamily\twidth\theight\tdensity\treference"},
    {REC_GENOTYPE, "file\trecord\tname\trule\tdataset\tseed\tepoch\tnone_mass\tweight_kept\ttext"},
};

const char *report_tsv_columns(RecordKind kind)
{
    for (int64_t i = 0; i < COUNTOF(tsv_table); i++) {
        if (tsv_table[i].kind == kind) return tsv_table[i].columns;
    }
    return 0;
}

static const Field *field_find(RecordKind kind, const char *name, int64_t length)
{
    for (const Field *f = kind_fields[kind]; f->name; f++) {
        if (!strncmp(f->name, name, (size_t)length) && !f->name[length]) return f;
    }
    return 0;
}

static const Metric *field_metrics(const Record *r, const char *name, int64_t *count)
{
    const Field *f = field_find(r->kind, name, (int64_t)strlen(name));
    const Metric *m = 0;
    *count = 0;
    if (!f) return 0;
    memcpy(&m, (const char *)&r->dataset + f->at, sizeof m);
    if (m) *count = count_at(&r->dataset, f->rows);
    return m;
}

static void tsv_cell(Arena *a, Text *out, const char *column, int64_t length, const char *file, const Record *r,
                     const Metric *m, double trivial)
{
    const Field *f = field_find(r->kind, column, length);
    const void *at = f ? (const char *)&r->dataset + f->at : 0;
    int64_t n;
    if (f && f->type == F_TEXT) {
        escape_add(a, out, AS_TSV, *(const char *const *)at);
    } else if (f && f->type == F_REAL) {
        text_add(a, out, format_real(a, *(const double *)at));
    } else if (f) {
        text_addf(a, out, "%lld", (long long)(f->type == F_BOOL ? *(const bool *)at : *(const int64_t *)at));
    } else if (!strncmp(column, "file", 4)) {
        escape_add(a, out, AS_TSV, file);
    } else if (!strncmp(column, "record", 6)) {
        text_addf(a, out, "%lld", (long long)r->number);
    } else if (!strncmp(column, "split", 5)) {
        escape_add(a, out, AS_TSV, m->split);
    } else if (!strncmp(column, "metric", 6)) {
        escape_add(a, out, AS_TSV, m->name);
    } else if (!strncmp(column, "value", 5)) {
        text_add(a, out, format_real(a, m->value));
    } else {
        assert(!strncmp(column, "trivial", 7));
        const Metric *baseline = field_metrics(r, "baseline", &n);
        double value = metric_by_name(baseline, n, m->name);
        text_add(a, out, format_real(a, isnan(value) ? trivial : value));
    }
}

static void tsv_row(Arena *a, Text *out, const char *columns, const char *file, const Record *r, const Metric *m,
                    double trivial)
{
    for (const char *c = columns;;) {
        int64_t length = (int64_t)strcspn(c, "\t");
        tsv_cell(a, out, c, length, file, r, m, trivial);
        text_add(a, out, c[length] ? "\t" : "\n");
        if (!c[length]) return;
        c += length + 1;
    }
}

void report_tsv(Arena *a, Text *out, const char *file, const Record *r)
{
    const char *columns = report_tsv_columns(r->kind);
    if (!columns) return;
    int64_t rows = 1;
    const Metric *m = strstr(columns, "\tmetric") ? field_metrics(r, "metrics", &rows) : 0;
    for (int64_t i = 0; i < rows; i++) tsv_row(a, out, columns, file, r, m ? &m[i] : 0, NAN);
    if (r->kind != REC_EVALUATION) return;
    for (int64_t k = 0; k < r->evaluation.table_count; k++) { /* "recall[cat]" */
        const ScoreTable *t = &r->evaluation.tables[k];
        for (int64_t i = 0; t->value && i < t->row_count * t->metric_count; i++) {
            const char *name = arena_printf(a, "%s[%s]", t->metrics[i % t->metric_count], t->rows[i / t->metric_count]);
            const Metric one = {name, r->evaluation.split, t->value[i]};
            tsv_row(a, out, columns, file, r, &one, t->baseline ? t->baseline[i] : NAN);
        }
    }
}

/* ---- one line for a person ---- */

RecordKind report_kind(const char *name, int64_t length)
{
    for (RecordKind k = REC_DATASET; k <= REC_UNKNOWN; k = k == REC_LAST ? REC_UNKNOWN : k + 1) {
        const char *have = record_kind_name(k);
        int64_t i = 0;
        while (i < length && have[i] && (have[i] == name[i] || (strchr("-_ ", have[i]) && strchr("-_", name[i])))) i++;
        if (i == length && !have[i]) return k;
    }
    return REC_NONE;
}

/* "train loss 1.2, accuracy 40.00 %; alpha loss …" */
static char *metrics_by_split(Arena *a, const Metric *m, int64_t n)
{
    Text t = {0};
    text_add(a, &t, "");
    for (int64_t i = 0; i < n; i++) {
        bool first = true;
        for (int64_t k = 0; k < i && first; k++) first = strcmp(m[k].split, m[i].split) != 0;
        if (!first) continue;
        text_addf(a, &t, "%s%s%s%s", t.length ? "; " : "", m[i].split, m[i].split[0] ? " " : "",
                  format_metrics(a, m, n, m[i].split));
    }
    return t.s;
}

static const char *line_body(Arena *a, const Record *r)
{
    switch (r->kind) {
    case REC_DATASET: {
        const DatasetInfo *d = &r->dataset;
        return arena_printf(a, "%s: %s, %lldx%lldx%lld %s, %lld outputs", d->name, d->task, (long long)d->channels,
                            (long long)d->height, (long long)d->width, dtype_name(d->dtype), (long long)d->outputs);
    }
    case REC_SAMPLES:
        return arena_printf(a, "%s %lld from %lld, %s", split_text(r->samples.split), (long long)r->samples.count,
                            (long long)r->samples.first, format_bytes(a, r->samples.data_bytes));
    case REC_SPACE:
        return arena_printf(a, "%s: %lld operations, %lld nodes, %lld layers, %lld channels, %s parameters",
                            r->space.strategy, (long long)r->space.op_count, (long long)r->space.nodes,
                            (long long)r->space.layers, (long long)r->space.channels,
                            format_count(a, r->space.parameters));
    case REC_SEARCH_EPOCH:
        return arena_printf(a, "epoch %lld of %lld: %s", (long long)r->search_epoch.epoch,
                            (long long)r->search_epoch.epochs,
                            metrics_by_split(a, r->search_epoch.metrics, r->search_epoch.metric_count));
    case REC_GENOTYPE: return arena_printf(a, "%s: %s", r->genotype.name, r->genotype.text);
    case REC_TRAIN_EPOCH:
        return arena_printf(a, "%s: epoch %lld of %lld%s: %s", r->train_epoch.run, (long long)r->train_epoch.epoch,
                            (long long)r->train_epoch.epochs, r->train_epoch.best ? " (best)" : "",
                            metrics_by_split(a, r->train_epoch.metrics, r->train_epoch.metric_count));
    case REC_NETWORK:
        return arena_printf(a, "%s: %s, %lld layers, %lld channels, %s parameters", r->network.run, r->network.net,
                            (long long)r->network.layers, (long long)r->network.channels,
                            format_count(a, r->network.parameters));
    case REC_TENSOR: {
        Text shape = {0};
        text_add(a, &shape, "");
        for (int64_t i = 0; i < r->tensor.rank; i++) {
            text_addf(a, &shape, "%s%lld", i ? "x" : "", (long long)r->tensor.shape[i]);
        }
        return arena_printf(a, "%s: %s %s (%s) %s", r->tensor.run, r->tensor.set, r->tensor.name, shape.s,
                            dtype_name(r->tensor.dtype));
    }
    case REC_CHECKPOINT:
        return arena_printf(a, "%s: %s epoch %lld, step %lld", r->checkpoint.run, r->checkpoint.program,
                            (long long)r->checkpoint.epoch, (long long)r->checkpoint.step);
    case REC_EVALUATION:
        return arena_printf(a, "%s: %s of %s, %s samples: %s (trivial: %s)", r->evaluation.run, r->evaluation.split,
                            r->evaluation.dataset, format_count(a, r->evaluation.count),
                            metrics_by_split(a, r->evaluation.metrics, r->evaluation.metric_count),
                            metrics_by_split(a, r->evaluation.baseline, r->evaluation.baseline_count));
    case REC_PREDICTIONS:
        return arena_printf(a, "%s: %s of %s, %lld from %lld", r->predictions.run, r->predictions.split,
                            r->predictions.dataset, (long long)r->predictions.rows, (long long)r->predictions.first);
    case REC_TRANSFER:
        return arena_printf(a, "%s: %s -> %s: %s (trivial: %s)", r->transfer.name, r->transfer.from, r->transfer.to,
                            metrics_by_split(a, r->transfer.metrics, r->transfer.metric_count),
                            metrics_by_split(a, r->transfer.baseline, r->transfer.baseline_count));
    case REC_STUDY: {
        Text t = {0};
        text_addf(a, &t, "%s:", r->study.study);
        for (int64_t i = 0; i < r->study.column_count; i++) {
            text_addf(a, &t, " %s=%s", r->study.columns[i].key, r->study.columns[i].value);
        }
        return t.s;
    }
    case REC_EVENT:
        return arena_printf(a, "epoch %lld: %s: %s", (long long)r->event.epoch, r->event.what, r->event.text);
    case REC_PROFILE:
        return arena_printf(a, "%s: %s: %s, %.1f %%", r->profile.run, r->profile.op,
                            format_seconds(a, r->profile.seconds), 100 * r->profile.share);
    case REC_PROBLEM:
        return arena_printf(a, "%s: %s, %lldx%lld elements, density %g, %lld supports, %lld loads", r->problem.name,
                            split_text(r->problem.split), (long long)r->problem.width, (long long)r->problem.height,
                            r->problem.density, (long long)r->problem.fixed_count, (long long)r->problem.load_count);
    default: return "";
    }
}

void report_line(Arena *a, Text *out, const Record *r)
{
    text_addf(a, out, "%6lld  %-12s  %10lld  ", (long long)r->number, record_kind_name(r->kind),
              (long long)r->byte_count);
    escape_add(a, out, AS_PLAIN, line_body(a, r));
}
