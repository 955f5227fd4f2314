/* message: see message.h.
 *
 * A Layout says for every field of a plain struct where it lies, what its array's length must be and what its values
 * may be; protobuf-c's own descriptor of the message says the same of the generated struct.  One loop over the two
 * converts in either direction.  Fields are matched by name, so the layouts below need no numbers.
 *
 * protobuf-c allocates only through the allocator below, which keeps each block's size in front of the block.  That
 * tells us the length of a text as it came, which protobuf-c does not, and so shows a NUL inside.
 */
#include "stream/message.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "nas/v1/nas.pb-c.h"
#include "stream/frame.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "samples and tensors are stored as little-endian bytes");

typedef enum {
    F_TEXT,     /* const char * */
    F_FLAG,     /* bool */
    F_INT,      /* int64_t */
    F_BITS,     /* uint64_t */
    F_REAL,     /* double */
    F_CHOICE,   /* an enum */
    F_BYTES,    /* const void *, with its length in bytes */
    F_REALS,    /* double * */
    F_FLOATS,   /* float * */
    F_INTS,     /* int64_t * */
    F_SPLITS,   /* int64_t [SPLIT_COUNT], in the struct itself */
    F_TEXTS,    /* const char ** */
    F_MESSAGES, /* an array of structs that have a layout */
} FieldType;

typedef struct Layout Layout;

typedef struct {
    const char *name;
    FieldType type;
    bool optional;        /* an array with rows: may be absent altogether */
    size_t at;            /* offset in the plain struct */
    size_t count;         /* a list: offset of its length, which the message does not carry by itself */
    size_t rows, columns; /* an array: offsets of the fields whose product is its length; columns may be 0 (none) */
    int64_t least;        /* F_INT, F_INTS, F_SPLITS: smallest value */
    int64_t choices;      /* F_CHOICE: number of values */
    const Layout *of;     /* F_MESSAGES */
} Field;

struct Layout {
    const char *name;
    const ProtobufCMessageDescriptor *descriptor;
    size_t size;
    const Field *fields;
    ptrdiff_t field_count;
    bool (*check)(const void *plain, Why *why); /* what fields alone do not tell, or 0 */
};

/* ---- the layouts ---- */

/* The offset of member f of struct S; compiles only if the member's type is one of those given. */
#define AT(f, ...) (offsetof(S, f) + 0 * sizeof(char[_Generic(((S *)0)->f, __VA_ARGS__)]))
#define FIELD(f, t, ...)                                                                                               \
    {                                                                                                                  \
        .name = #f, .type = t, __VA_ARGS__                                                                             \
    }
#define TEXT(f)          FIELD(f, F_TEXT, .at = AT(f, const char * : 1))
#define FLAG(f)          FIELD(f, F_FLAG, .at = AT(f, bool : 1))
#define INT_FROM(f, low) FIELD(f, F_INT, .at = AT(f, int64_t : 1), .least = (low))
#define COUNT(f)         INT_FROM(f, 0)
#define ANY_INT(f)       INT_FROM(f, INT64_MIN)
#define BITS(f)          FIELD(f, F_BITS, .at = AT(f, uint64_t : 1))
#define REAL(f)          FIELD(f, F_REAL, .at = AT(f, double : 1))
#define CHOICE(f, T, n)  FIELD(f, F_CHOICE, .at = AT(f, T : 1), .choices = (n))
#define BYTES(f, n)      FIELD(f, F_BYTES, .at = AT(f, const void * : 1), .count = AT(n, int64_t : 1))
#define REALS(f, ...)    FIELD(f, F_REALS, .at = AT(f, double * : 1), __VA_ARGS__)
#define FLOATS(f, ...)   FIELD(f, F_FLOATS, .at = AT(f, const float * : 1), __VA_ARGS__)
#define INTS(f, ...)     FIELD(f, F_INTS, .at = AT(f, int64_t * : 1, const int64_t * : 1), __VA_ARGS__)
#define SPLITS(f)        FIELD(f, F_SPLITS, .at = AT(f, int64_t * : 1))
#define TEXTS(f, ...)    FIELD(f, F_TEXTS, .at = AT(f, const char ** : 1), __VA_ARGS__)
#define STRUCTS(f, T, layout, n)                                                                                       \
    FIELD(f, F_MESSAGES, .at = AT(f, T * : 1), .count = AT(n, int64_t : 1), .of = &(layout))
#define SETTINGS(f, n) STRUCTS(f, Setting, setting_layout, n)
#define METRICS(f, n)  STRUCTS(f, Metric, metric_layout, n)
/* An array's length: in a field of its own; equal to another field or to the product of two. */
#define LENGTH(n)   .count = AT(n, int64_t : 1)
#define ROWS(r)     .rows = AT(r, int64_t : 1)
#define SHAPE(r, c) .rows = AT(r, int64_t : 1), .columns = AT(c, int64_t : 1)
#define OR_NONE     .optional = true
#define ANY_VALUE   .least = INT64_MIN

#define LAYOUT(id, message, T, fields, checks)                                                                         \
    static const Layout id = {#message, &nas__v1__##message##__descriptor, sizeof(T), fields, COUNTOF(fields), checks}

#define S Setting
static const Field setting_fields[] = {TEXT(key), TEXT(value)};
LAYOUT(setting_layout, setting, S, setting_fields, 0);
#undef S

#define S Metric
static const Field metric_fields[] = {TEXT(name), TEXT(split), REAL(value)};
LAYOUT(metric_layout, metric, S, metric_fields, 0);
#undef S

#define S Provenance
static const Field provenance_fields[] = {TEXT(program),
                                          TEXT(version),
                                          TEXT(command),
                                          TEXT(host),
                                          ANY_INT(seed),
                                          REAL(unix_time),
                                          TEXTS(inputs, LENGTH(input_count))};
LAYOUT(provenance_layout, provenance, S, provenance_fields, 0);
#undef S

#define S Header
static const Field header_fields[] = {TEXT(magic), COUNT(version),
                                      STRUCTS(provenance, Provenance, provenance_layout, provenance_count)};
LAYOUT(header_layout, header, S, header_fields, 0);
#undef S

#define S Trailer
static const Field trailer_fields[] = {COUNT(records), BITS(checksum)};
LAYOUT(trailer_layout, trailer, S, trailer_fields, 0);
#undef S

#define S DatasetInfo
static const Field dataset_fields[] = {
    TEXT(name),
    TEXT(source),
    TEXT(task),
    COUNT(channels),
    COUNT(height),
    COUNT(width),
    COUNT(outputs),
    TEXTS(output_names, ROWS(outputs), OR_NONE),
    SPLITS(split_count),
    CHOICE(dtype, DType, 4),
    REALS(mean, ROWS(channels)),
    REALS(sd, ROWS(channels)),
    REALS(target_mean, ROWS(outputs), OR_NONE),
    REALS(target_sd, ROWS(outputs), OR_NONE),
    REALS(class_weight, ROWS(outputs), OR_NONE),
    REALS(metric_weight, ROWS(outputs), OR_NONE),
    TEXT(metric),
    TEXT(tree),
    FLAG(flip_horizontal),
    FLAG(flip_vertical),
    COUNT(crop_padding),
    COUNT(cutout),
    BITS(digest),
    SETTINGS(settings, setting_count),
};
LAYOUT(dataset_layout, dataset_info, S, dataset_fields, 0);
#undef S

#define S Samples
static bool check_samples(const void *plain, Why *why);
static const Field samples_fields[] = {
    CHOICE(split, Split, SPLIT_COUNT),
    COUNT(first),
    COUNT(count),
    CHOICE(dtype, DType, 4),
    BYTES(data, data_bytes),
    FLOATS(targets, SHAPE(count, target_width)),
    COUNT(target_width),
    INTS(ids, ROWS(count), OR_NONE, ANY_VALUE),
    INTS(groups, ROWS(count), OR_NONE, ANY_VALUE),
};
LAYOUT(samples_layout, samples, S, samples_fields, check_samples);
#undef S

#define S SearchSpace
static const Field space_fields[] = {
    TEXT(strategy),      TEXTS(ops, LENGTH(op_count)),
    COUNT(nodes),        COUNT(inputs),
    COUNT(concat),       COUNT(layers),
    COUNT(channels),     INTS(reduce_at, LENGTH(reduce_count)),
    COUNT(parameters),   COUNT(macs),
    COUNT(memory_bytes), TEXT(dataset),
    ANY_INT(seed),       SETTINGS(settings, setting_count),
};
LAYOUT(space_layout, search_space, S, space_fields, 0);
#undef S

#define S AlphaTable
static const Field table_fields[] = {
    TEXT(name),
    COUNT(edges),
    COUNT(ops),
    REALS(raw, SHAPE(edges, ops)),
    REALS(weight, SHAPE(edges, ops)),
    REALS(entropy, ROWS(edges)),
    REALS(margin, ROWS(edges)),
};
LAYOUT(table_layout, alpha_table, S, table_fields, 0);
#undef S

#define S SearchEpoch
static const Field search_epoch_fields[] = {
    COUNT(epoch),        COUNT(epochs),
    COUNT(steps),        REAL(seconds),
    REAL(learning_rate), STRUCTS(tables, AlphaTable, table_layout, table_count),
    TEXT(genotype),      METRICS(metrics, metric_count),
};
LAYOUT(search_epoch_layout, search_epoch, S, search_epoch_fields, 0);
#undef S

#define S GenotypeRecord
static const Field genotype_fields[] = {
    TEXT(name),
    TEXT(text),
    TEXT(rule),
    TEXT(dataset),
    ANY_INT(seed),
    INT_FROM(epoch, -1),
    REALS(margin, LENGTH(margin_count)),
    REAL(none_mass),
    REAL(weight_kept),
    SETTINGS(settings, setting_count),
};
LAYOUT(genotype_layout, genotype, S, genotype_fields, 0);
#undef S

#define S TrainEpoch
static const Field train_epoch_fields[] = {
    TEXT(run),     COUNT(epoch),        COUNT(epochs), COUNT(steps),
    REAL(seconds), REAL(learning_rate), FLAG(best),    METRICS(metrics, metric_count),
};
LAYOUT(train_epoch_layout, train_epoch, S, train_epoch_fields, 0);
#undef S

#define S NetworkRecord
static const Field network_fields[] = {
    TEXT(run),
    TEXT(net),
    TEXT(genotype),
    COUNT(layers),
    COUNT(channels),
    COUNT(input_channels),
    COUNT(height),
    COUNT(width),
    COUNT(outputs),
    TEXT(task),
    TEXT(dataset),
    COUNT(parameters),
    COUNT(macs),
    COUNT(memory_bytes),
    REALS(mean, ROWS(input_channels)),
    REALS(sd, ROWS(input_channels)),
    REALS(target_mean, ROWS(outputs), OR_NONE),
    REALS(target_sd, ROWS(outputs), OR_NONE),
    REALS(class_weight, ROWS(outputs), OR_NONE),
    TEXT(tree),
    ANY_INT(seed),
    SETTINGS(settings, setting_count),
};
LAYOUT(network_layout, network, S, network_fields, 0);
#undef S

#define S TensorRecord
static bool check_tensor(const void *plain, Why *why);
static const Field tensor_fields[] = {
    TEXT(run), TEXT(set), TEXT(name), INTS(shape, LENGTH(rank)), CHOICE(dtype, DType, 4), BYTES(data, data_bytes),
};
LAYOUT(tensor_layout, tensor, S, tensor_fields, check_tensor);
#undef S

#define S CheckpointRecord
static const Field checkpoint_fields[] = {TEXT(program), TEXT(run),     COUNT(epoch),
                                          COUNT(step),   ANY_INT(seed), SETTINGS(settings, setting_count)};
LAYOUT(checkpoint_layout, checkpoint, S, checkpoint_fields, 0);
#undef S

#define S ScoreTable
static const Field score_fields[] = {
    TEXT(name),
    TEXTS(rows, LENGTH(row_count)),
    TEXTS(metrics, LENGTH(metric_count)),
    REALS(value, SHAPE(row_count, metric_count)),
    REALS(baseline, SHAPE(row_count, metric_count), OR_NONE),
};
LAYOUT(score_layout, score_table, S, score_fields, 0);
#undef S

#define S Evaluation
static const Field evaluation_fields[] = {
    TEXT(run),
    TEXT(set),
    TEXT(dataset),
    TEXT(split),
    TEXT(genotype),
    TEXT(net),
    COUNT(count),
    COUNT(parameters),
    COUNT(macs),
    REAL(seconds),
    METRICS(metrics, metric_count),
    METRICS(baseline, baseline_count),
    REAL(train_mode_loss),
    REAL(eval_mode_loss),
    REALS(confusion, SHAPE(confusion_size, confusion_size), OR_NONE),
    COUNT(confusion_size),
    STRUCTS(tables, ScoreTable, score_layout, table_count),
    SETTINGS(settings, setting_count),
};
LAYOUT(evaluation_layout, evaluation, S, evaluation_fields, 0);
#undef S

#define S Predictions
static const Field predictions_fields[] = {
    TEXT(run),
    TEXT(split),
    TEXT(dataset),
    COUNT(first),
    COUNT(rows),
    COUNT(columns),
    FLOATS(values, SHAPE(rows, columns)),
    FLOATS(targets, SHAPE(rows, target_width)),
    COUNT(target_width),
    INTS(ids, ROWS(rows), OR_NONE, ANY_VALUE),
    TEXTS(output_names, ROWS(columns), OR_NONE),
};
LAYOUT(predictions_layout, predictions, S, predictions_fields, 0);
#undef S

#define S TransferRow
static const Field transfer_fields[] = {
    TEXT(genotype),
    TEXT(name),
    TEXT(from),
    TEXT(to),
    COUNT(layers),
    COUNT(channels),
    COUNT(parameters),
    COUNT(macs),
    COUNT(epochs),
    ANY_INT(seed),
    REAL(seconds),
    METRICS(metrics, metric_count),
    METRICS(baseline, baseline_count),
    SETTINGS(settings, setting_count),
};
LAYOUT(transfer_layout, transfer_row, S, transfer_fields, 0);
#undef S

#define S StudyRow
static const Field study_fields[] = {TEXT(study), SETTINGS(columns, column_count)};
LAYOUT(study_layout, study_row, S, study_fields, 0);
#undef S

#define S EventRecord
static const Field event_fields[] = {TEXT(what), TEXT(text), INT_FROM(epoch, -1)};
LAYOUT(event_layout, event, S, event_fields, 0);
#undef S

#define S ProfileRecord
static const Field profile_fields[] = {
    TEXT(run),   TEXT(op),     COUNT(calls), REAL(forward_seconds), REAL(backward_seconds), REAL(seconds),
    REAL(share), REAL(gflops), REAL(gbs)};
LAYOUT(profile_layout, profile, S, profile_fields, 0);
#undef S

#define S ProblemRecord
static bool check_problem(const void *plain, Why *why);
static const Field problem_fields[] = {
    TEXT(name),
    TEXT(family),
    CHOICE(split, Split, SPLIT_COUNT),
    COUNT(index),
    COUNT(width),
    COUNT(height),
    REAL(density),
    BYTES(mask, mask_bytes),
    INTS(fixed, LENGTH(fixed_count)),
    INTS(load_dof, LENGTH(load_count)),
    REALS(load, ROWS(load_count)),
    REAL(reference),
};
LAYOUT(problem_layout, problem, S, problem_fields, check_problem);
#undef S

static const Layout *const layouts[] = {
    [KIND_HEADER] = &header_layout,
    [KIND_TRAILER] = &trailer_layout,
    [REC_DATASET] = &dataset_layout,
    [REC_SAMPLES] = &samples_layout,
    [REC_SPACE] = &space_layout,
    [REC_SEARCH_EPOCH] = &search_epoch_layout,
    [REC_GENOTYPE] = &genotype_layout,
    [REC_TRAIN_EPOCH] = &train_epoch_layout,
    [REC_NETWORK] = &network_layout,
    [REC_TENSOR] = &tensor_layout,
    [REC_CHECKPOINT] = &checkpoint_layout,
    [REC_EVALUATION] = &evaluation_layout,
    [REC_PREDICTIONS] = &predictions_layout,
    [REC_TRANSFER] = &transfer_layout,
    [REC_STUDY] = &study_layout,
    [REC_EVENT] = &event_layout,
    [REC_PROFILE] = &profile_layout,
    [REC_PROBLEM] = &problem_layout,
};

bool message_known(int64_t kind)
{
    return kind > 0 && kind < COUNTOF(layouts);
}

/* ---- what is wrong ---- */

__attribute__((format(printf, 2, 3))) static bool refuse(Why *why, const char *format, ...)
{
    why->memory = false;
    va_list args;
    va_start(args, format);
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    return false;
}

static bool refuse_size(Why *why, const Layout *l, const Arena *a)
{
    refuse(why, "%s: the %td bytes of memory that are left are too few for it", l->name, arena_left(a));
    why->memory = true;
    return false;
}

static bool check_samples(const void *plain, Why *why)
{
    const Samples *s = plain;
    int64_t one = dtype_size(s->dtype), all = size_mul(s->count, one);
    if (size_add(s->first, s->count) < 0) return refuse(why, "samples: first + count overflows");
    if (s->count == 0 ? s->data_bytes != 0 : s->data_bytes == 0 || all < 0 || s->data_bytes % all != 0)
        return refuse(why, "samples: data: %lld bytes cannot be %lld samples of %lld-byte values",
                      (long long)s->data_bytes, (long long)s->count, (long long)one);
    return true;
}

static bool check_tensor(const void *plain, Why *why)
{
    const TensorRecord *t = plain;
    int64_t bytes = dtype_size(t->dtype);
    for (int64_t i = 0; i < t->rank; i++) bytes = size_mul(bytes, t->shape[i]);
    if (bytes != t->data_bytes)
        return refuse(why, "tensor: data: %lld bytes do not fill its shape", (long long)t->data_bytes);
    return true;
}

static bool check_problem(const void *plain, Why *why)
{
    const ProblemRecord *p = plain;
    if (size_mul(p->width, p->height) != p->mask_bytes)
        return refuse(why, "problem: mask: %lld bytes cannot be %lldx%lld elements", (long long)p->mask_bytes,
                      (long long)p->width, (long long)p->height);
    return true;
}

/* Bytes of the UTF-8 sequence at s (shortest form, no surrogate, at most U+10FFFF; no NUL), or 0 if there is none. */
static int64_t utf8_length(const unsigned char *s, int64_t n)
{
    unsigned char c = s[0];
    if (c < 0x80) return c != 0;
    int64_t length = c >= 0xC2 && c <= 0xDF ? 2 : (c & 0xF0) == 0xE0 ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
    if (length == 0 || length > n) return 0;
    for (int64_t i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    bool bad = (c == 0xE0 && s[1] < 0xA0) || (c == 0xED && s[1] > 0x9F) || (c == 0xF0 && s[1] < 0x90) ||
               (c == 0xF4 && s[1] > 0x8F);
    return bad ? 0 : length;
}

static bool utf8_valid(const char *s, int64_t n)
{
    for (int64_t i = 0, step; i < n; i += step)
        if (!(step = utf8_length((const unsigned char *)s + i, n - i))) return false;
    return true;
}

/* ---- the arrays of both directions ---- */

static void *at(const void *p, size_t offset)
{
    return (char *)p + offset;
}

static bool is_array(const Field *f)
{
    return f->type >= F_REALS;
}

static int64_t int_at(const void *p, size_t offset)
{
    return *(int64_t *)at(p, offset);
}

static void *pointer_at(const void *p)
{
    void *q;
    memcpy(&q, p, sizeof q);
    return q;
}

/* The length that an array must have by the struct's own numbers; -1 when it overflows or a number is negative. */
static int64_t array_length(const Field *f, const void *plain)
{
    if (f->type == F_SPLITS) return SPLIT_COUNT;
    if (f->count) return int_at(plain, f->count);
    return size_mul(int_at(plain, f->rows), f->columns ? int_at(plain, f->columns) : 1);
}

/* Checks the fields of a filled struct; lengths[i] is the length that the array of field i has. */
static bool check_fields(const Layout *l, const void *plain, const int64_t *lengths, Why *why)
{
    for (ptrdiff_t i = 0; i < l->field_count; i++) {
        const Field *f = &l->fields[i];
        const void *p = at(plain, f->at);
        if (f->type == F_INT && *(const int64_t *)p < f->least)
            return refuse(why, "%s: %s: %lld is below %lld", l->name, f->name, (long long)*(const int64_t *)p,
                          (long long)f->least);
        if (f->type == F_BYTES && (int_at(plain, f->count) < 0 || (int_at(plain, f->count) > 0 && !pointer_at(p))))
            return refuse(why, "%s: %s: %lld bytes, but none are there", l->name, f->name,
                          (long long)int_at(plain, f->count));
        if (f->type == F_CHOICE && !(*(const unsigned *)p < (unsigned)f->choices))
            return refuse(why, "%s: %s: there is no choice %lld", l->name, f->name, (long long)*(const int *)p);
    }
    for (ptrdiff_t i = 0; i < l->field_count; i++) {
        const Field *f = &l->fields[i];
        if (!is_array(f) || (f->optional && lengths[i] == 0)) continue;
        const void *p = at(plain, f->at);
        int64_t expected = array_length(f, plain);
        if (expected < 0) return refuse(why, "%s: %s: its shape is negative or overflows", l->name, f->name);
        if (lengths[i] != expected)
            return refuse(why, "%s: %s: %lld values, %lld expected", l->name, f->name, (long long)lengths[i],
                          (long long)expected);
        const int64_t *ints = f->type == F_INTS ? pointer_at(p) : p;
        for (int64_t j = 0; (f->type == F_INTS || f->type == F_SPLITS) && j < expected; j++)
            if (ints[j] < f->least)
                return refuse(why, "%s: %s: %lld is below %lld", l->name, f->name, (long long)ints[j],
                              (long long)f->least);
    }
    return !l->check || l->check(plain, why);
}

/* Where protobuf-c keeps a field. */
static const ProtobufCFieldDescriptor *slot_of(const Layout *l, const Field *f)
{
    static const ProtobufCType types[] = {
        [F_TEXT] = PROTOBUF_C_TYPE_STRING,      [F_FLAG] = PROTOBUF_C_TYPE_BOOL,    [F_INT] = PROTOBUF_C_TYPE_INT64,
        [F_BITS] = PROTOBUF_C_TYPE_FIXED64,     [F_REAL] = PROTOBUF_C_TYPE_DOUBLE,  [F_CHOICE] = PROTOBUF_C_TYPE_ENUM,
        [F_BYTES] = PROTOBUF_C_TYPE_BYTES,      [F_REALS] = PROTOBUF_C_TYPE_DOUBLE, [F_FLOATS] = PROTOBUF_C_TYPE_FLOAT,
        [F_INTS] = PROTOBUF_C_TYPE_INT64,       [F_SPLITS] = PROTOBUF_C_TYPE_INT64, [F_TEXTS] = PROTOBUF_C_TYPE_STRING,
        [F_MESSAGES] = PROTOBUF_C_TYPE_MESSAGE,
    };
    const ProtobufCFieldDescriptor *d = protobuf_c_message_descriptor_get_field_by_name(l->descriptor, f->name);
    assert(d && d->type == types[f->type] && (d->label == PROTOBUF_C_LABEL_REPEATED) == is_array(f));
    return d;
}

/* ---- bytes to struct ---- */

/* arena_alloc that gives 0 when the room is lacking: how much is asked here depends on what was read. */
static void *try_alloc(Arena *a, int64_t size, int64_t count)
{
    enum { SLACK = 256 }; /* alignment, and the gap that an arena leaves after a block when it looks for errors */
    int64_t bytes = size_mul(size, count);
    if (bytes < 0 || bytes > arena_left(a) - SLACK) return 0;
    return arena_alloc(a, 1, 16, bytes);
}

enum { BLOCK_HEAD = 16 }; /* holds the block's size; keeps 16-byte alignment */

typedef struct {
    Arena *arena;
    bool full; /* a block did not fit */
} Blocks;

static void *block_alloc(void *blocks, size_t size)
{
    Blocks *b = blocks;
    char *p = size < INT64_MAX - BLOCK_HEAD ? try_alloc(b->arena, 1, (int64_t)size + BLOCK_HEAD) : 0;
    if (!p) b->full = true;
    if (!p) return 0;
    memcpy(p, &size, sizeof size);
    return p + BLOCK_HEAD;
}

static void block_free(void *blocks, void *p)
{
    (void)blocks, (void)p; /* all goes with the arena */
}

static bool text_valid(const char *s)
{
    if (s == protobuf_c_empty_string) return true;
    size_t size;
    memcpy(&size, s - BLOCK_HEAD, sizeof size);
    return utf8_valid(s, (int64_t)size - 1);
}

static bool decode_fields(const Layout *l, const ProtobufCMessage *m, Arena *a, void *plain, Why *why)
{
    int64_t lengths[32] = {0};
    assert(l->field_count <= COUNTOF(lengths));
    for (ptrdiff_t i = 0; i < l->field_count; i++) {
        const Field *f = &l->fields[i];
        const ProtobufCFieldDescriptor *d = slot_of(l, f);
        const void *from = at(m, d->offset);
        void *to = at(plain, f->at);
        int64_t n = lengths[i] = is_array(f) ? (int64_t) * (size_t *)at(m, d->quantifier_offset) : 0;
        if (is_array(f) && f->count) *(int64_t *)at(plain, f->count) = n;
        switch (f->type) {
        case F_TEXT:
            if (!text_valid(pointer_at(from))) return refuse(why, "%s: %s: is not UTF-8 text", l->name, f->name);
            memcpy(to, from, sizeof(char *));
            break;
        case F_FLAG: *(bool *)to = *(const protobuf_c_boolean *)from != 0; break;
        case F_INT:
        case F_BITS:
        case F_REAL: memcpy(to, from, 8); break;
        case F_CHOICE: memcpy(to, from, sizeof(int)); break;
        case F_BYTES: {
            const ProtobufCBinaryData *b = from;
            *(const void **)to = b->len ? b->data : 0;
            *(int64_t *)at(plain, f->count) = (int64_t)b->len;
            break;
        }
        case F_TEXTS:
            for (int64_t j = 0; j < n; j++)
                if (!text_valid(((char **)pointer_at(from))[j]))
                    return refuse(why, "%s: %s: entry %lld is not UTF-8 text", l->name, f->name, (long long)j);
            /* fall through */
        case F_REALS:
        case F_FLOATS:
        case F_INTS:
            if (n) memcpy(to, from, sizeof(void *));
            break;
        case F_SPLITS:
            if (n == SPLIT_COUNT) memcpy(to, pointer_at(from), SPLIT_COUNT * sizeof(int64_t));
            break;
        case F_MESSAGES: {
            if (n == 0) break;
            char *array = try_alloc(a, (int64_t)f->of->size, n);
            if (!array) return refuse_size(why, l, a);
            for (int64_t j = 0; j < n; j++)
                if (!decode_fields(f->of, ((ProtobufCMessage **)pointer_at(from))[j], a,
                                   array + j * (int64_t)f->of->size, why))
                    return false;
            memcpy(to, &array, sizeof array);
            break;
        }
        }
    }
    return check_fields(l, plain, lengths, why);
}

/* Reads a varint of at most 5 bytes; the number of bytes, or 0 if there is none. */
static int64_t read_varint(const uint8_t *p, int64_t n, int64_t *value)
{
    *value = 0;
    for (int64_t i = 0; i < n && i < 5; i++) {
        *value |= (int64_t)(p[i] & 0x7F) << 7 * i;
        if (p[i] < 0x80) return i + 1;
    }
    return 0;
}

/* A record is one length-delimited field: the kind's number, the length, the message. Bytes before the message, or 0. */
static int64_t record_head(const uint8_t *p, int64_t n, int64_t *kind, Why *why)
{
    int64_t tag, length, a, b;
    if (n == 0) return refuse(why, "an empty record");
    if (!(a = read_varint(p, n, &tag)) || !(b = read_varint(p + a, n - a, &length)) || (tag & 7) != 2 ||
        tag >> 3 == 0 || length != n - a - b)
        return refuse(why, "not one message of one kind");
    *kind = tag >> 3;
    return a + b;
}

int64_t message_kind(const void *bytes, int64_t n, Why *why)
{
    int64_t kind;
    return record_head(bytes, n, &kind, why) ? kind : 0;
}

bool message_decode(int64_t kind, const void *bytes, int64_t n, Arena *a, void *plain, Why *why)
{
    assert(message_known(kind));
    const Layout *l = layouts[kind];
    int64_t head = record_head(bytes, n, &kind, why);
    if (!head) return false;
    Blocks blocks = {a, false};
    ProtobufCAllocator allocator = {block_alloc, block_free, &blocks};
    ProtobufCMessage *m =
        protobuf_c_message_unpack(l->descriptor, &allocator, (size_t)(n - head), (const uint8_t *)bytes + head);
    if (blocks.full) return refuse_size(why, l, a);
    if (!m) return refuse(why, "%s: its bytes are no such message", l->name);
    memset(plain, 0, l->size);
    return decode_fields(l, m, a, plain, why);
}

/* ---- struct to bytes ---- */

/* The text itself, or a copy with each byte that is not UTF-8 (file names, arguments) replaced by U+FFFD. */
static char *clean_text(Arena *a, const char *s)
{
    if (!s) return (char *)protobuf_c_empty_string;
    int64_t n = (int64_t)strlen(s);
    if (utf8_valid(s, n)) return (char *)s;
    char *copy = NEW(a, char, 3 * n + 1), *to = copy;
    for (int64_t i = 0; i < n;) {
        int64_t step = utf8_length((const unsigned char *)s + i, n - i);
        memcpy(to, step ? s + i : "\xEF\xBF\xBD", (size_t)(step ? step : 3));
        to += step ? step : 3;
        i += step ? step : 1;
    }
    return copy;
}

static bool encode_fields(const Layout *l, const void *plain, Arena *a, ProtobufCMessage *m, Why *why)
{
    int64_t lengths[32] = {0};
    assert(l->field_count <= COUNTOF(lengths));
    for (ptrdiff_t i = 0; i < l->field_count; i++) {
        const Field *f = &l->fields[i];
        bool there = f->type == F_SPLITS || (is_array(f) && pointer_at(at(plain, f->at)));
        lengths[i] = there ? array_length(f, plain) : 0;
    }
    if (!check_fields(l, plain, lengths, why)) return false;

    l->descriptor->message_init(m);
    for (ptrdiff_t i = 0; i < l->field_count; i++) {
        const Field *f = &l->fields[i];
        const ProtobufCFieldDescriptor *d = slot_of(l, f);
        const void *from = at(plain, f->at);
        void *to = at(m, d->offset);
        int64_t n = lengths[i];
        if (is_array(f)) *(size_t *)at(m, d->quantifier_offset) = (size_t)n;
        switch (f->type) {
        case F_TEXT: *(char **)to = clean_text(a, pointer_at(from)); break;
        case F_FLAG: *(protobuf_c_boolean *)to = *(const bool *)from; break;
        case F_INT:
        case F_BITS:
        case F_REAL: memcpy(to, from, 8); break;
        case F_CHOICE: memcpy(to, from, sizeof(int)); break;
        case F_BYTES:
            *(ProtobufCBinaryData *)to = (ProtobufCBinaryData){(size_t)int_at(plain, f->count), pointer_at(from)};
            break;
        case F_REALS:
        case F_FLOATS:
        case F_INTS: memcpy(to, from, sizeof(void *)); break;
        case F_SPLITS: memcpy(to, &from, sizeof(void *)); break;
        case F_TEXTS: {
            char **array = NEW(a, char *, n);
            for (int64_t j = 0; j < n; j++) array[j] = clean_text(a, ((const char **)pointer_at(from))[j]);
            *(char ***)to = array;
            break;
        }
        case F_MESSAGES: {
            ProtobufCMessage **array = NEW(a, ProtobufCMessage *, n);
            for (int64_t j = 0; j < n; j++) {
                array[j] = arena_alloc(a, (ptrdiff_t)f->of->descriptor->sizeof_message, 16, 1);
                if (!encode_fields(f->of, (char *)pointer_at(from) + j * (int64_t)f->of->size, a, array[j], why))
                    return false;
            }
            memcpy(to, &array, sizeof array);
            break;
        }
        }
    }
    return true;
}

const void *message_encode(int64_t kind, const void *plain, Arena *a, int64_t *n, Why *why)
{
    assert(message_known(kind));
    const Layout *l = layouts[kind];
    ProtobufCMessage *m = arena_alloc(a, (ptrdiff_t)l->descriptor->sizeof_message, 16, 1);
    if (!encode_fields(l, plain, a, m, why)) return 0;
    size_t length = protobuf_c_message_get_packed_size(m);
    enum { HEAD = 16 };
    if (length > RECORD_BYTES_MAX - HEAD) {
        refuse(why, "%s: %zu bytes are more than a record may have (%d)", l->name, length, RECORD_BYTES_MAX - HEAD);
        return 0;
    }
    uint8_t *bytes = NEW(a, uint8_t, (int64_t)length + HEAD);
    int64_t head = varint_write(bytes, (uint64_t)kind << 3 | 2);
    head += varint_write(bytes + head, length);
    *n = head + (int64_t)protobuf_c_message_pack(m, bytes + head);
    return bytes;
}
