/* intake: samples one by one into a dataset, and what is done to it before it becomes a stream. */
#include "check.h"

#include <stdlib.h>

#include "data/intake.h"
#include "data/prepare.h"
#include "data/split.h"

static Arena perm_whole, scratch_whole;

/* A sample of one channel. */
static Sample sample_of(DType dtype, int64_t height, int64_t width, const void *data, const float *target, int64_t id)
{
    return (Sample){.where = "f: sample",
                    .raster = {1, height, width, dtype, data},
                    .targets = target,
                    .id = id,
                    .group = -1,
                    .file = -1,
                    .named = -1};
}

static void test_append(void)
{
    Arena a = perm_whole, block = arena_cut(&a, 1000);
    CHECK(block.end == perm_whole.end && a.end == block.beg && arena_left(&block) >= 1000);
    char *first = arena_append(&block, 3);
    memcpy(first, "abc", 3);
    char *more = arena_append(&block, 990);
    CHECK(more == first + 3 && block.beg == more + 990);
    CHECK(!memcmp(first, "abc", 3));
}

/* Two runs of unknown length grow side by side; order, ids and targets stay. */
static void test_grow(void)
{
    Arena perm = perm_whole;
    Dataset d = {.target_width = 1};
    IngestSpec spec = {0};
    Intake in;
    CHECK_STR(intake_open(&perm, &spec, &d, 0, &in), 0);
    for (int64_t i = 0; i < 5000; i++) {
        const uint8_t x[6] = {(uint8_t)i, 1, 2, 3, 4, (uint8_t)(i >> 8)};
        const float y = (float)i;
        Sample s = sample_of(DTYPE_U8, 2, 3, x, &y, i);
        s.apart = i % 5 == 4;
        if (!CHECK(!intake_put(&in, scratch_whole, &s))) return;
    }
    CHECK_STR(intake_close(&in, "f"), 0);
    CHECK_EQ(d.split[SPLIT_TRAIN].count, 4000);
    CHECK_EQ(d.split[SPLIT_TEST].count, 1000);
    CHECK(d.info.height == 2 && d.info.width == 3 && d.info.dtype == DTYPE_U8);
    CHECK(!d.split[SPLIT_TRAIN].groups && !d.split[SPLIT_TRAIN].named && !d.split[SPLIT_TRAIN].files);
    bool right = true;
    for (int s = SPLIT_TRAIN; s <= SPLIT_TEST; s += SPLIT_TEST)
        for (int64_t i = 0; i < d.split[s].count; i++) {
            const int64_t id = d.split[s].ids[i];
            const uint8_t *x = (const uint8_t *)d.split[s].data + 6 * i;
            right &= d.split[s].targets[i] == (float)id && x[0] == (uint8_t)id && x[5] == id >> 8 && x[4] == 4;
        }
    CHECK(right);
}

static void test_classes(void)
{
    Arena perm = perm_whole;
    Dataset d = {.target_width = 1};
    IngestSpec spec = {0};
    Intake in;
    static const char *const text[] = {"10", "-1", "2.0", "10.0", "2"};
    static const int expected[] = {2, 0, 1, 2, 1};
    CHECK_STR(intake_open(&perm, &spec, &d, 0, &in), 0);
    for (int i = 0; i < 5; i++) {
        const uint8_t x[2] = {0};
        const float y = (float)intake_class(&in, text[i]);
        Sample s = sample_of(DTYPE_U8, 1, 2, x, &y, i);
        CHECK_STR(intake_put(&in, scratch_whole, &s), 0);
    }
    CHECK_STR(intake_close(&in, "f"), 0);
    CHECK_EQ(d.info.outputs, 3);
    CHECK_STR(d.info.output_names[0], "-1");
    CHECK_STR(d.info.output_names[2], "10");
    for (int i = 0; i < 5; i++) CHECK_EQ(d.split[SPLIT_TRAIN].targets[i], expected[i]);

    perm = perm_whole; /* many words, by bytes */
    d = (Dataset){.target_width = 1};
    CHECK_STR(intake_open(&perm, &spec, &d, 0, &in), 0);
    for (int i = 20000; i-- > 0;) {
        char word[20];
        snprintf(word, sizeof word, "w%05d", i % 10000);
        const uint8_t x[2] = {0};
        const float y = (float)intake_class(&in, word);
        Sample s = sample_of(DTYPE_U8, 1, 2, x, &y, i % 10000);
        if (!CHECK(!intake_put(&in, scratch_whole, &s))) return;
    }
    CHECK_STR(intake_close(&in, "f"), 0);
    CHECK_EQ(d.info.outputs, 10000);
    bool right = true;
    for (int64_t i = 0; i < 20000; i++) right &= d.split[SPLIT_TRAIN].targets[i] == (float)d.split[SPLIT_TRAIN].ids[i];
    CHECK(right);
}

static void test_bad(void)
{
    Arena perm = perm_whole;
    static const float x[4] = {1, 2, 3, 4}, nan_x[4] = {1, NAN, 3, 4}, inf_x[4] = {1, INFINITY, 3, 4};
    static const float y = 0, nan_y = NAN;
    const Sample good = sample_of(DTYPE_F32, 2, 2, x, &y, 0), shape = sample_of(DTYPE_F32, 1, 4, x, &y, 1),
                 value = sample_of(DTYPE_F32, 2, 2, nan_x, &y, 2), target = sample_of(DTYPE_F32, 2, 2, x, &nan_y, 3),
                 type = sample_of(DTYPE_U8, 2, 2, x, &y, 4), infinite = sample_of(DTYPE_F32, 2, 2, inf_x, &y, 5);
    const struct {
        const Sample *sample;
        const char *why;
    } bad[] = {{&shape, "f: sample: 1x1x4, but f: sample is 1x2x2"},
               {&value, "f: sample: a value that is not finite"},
               {&target, "target that is not finite"},
               {&type, "another type"},
               {&infinite, "not finite"}};
    for (int skip = 0; skip < 2; skip++) {
        Dataset d = {.target_width = 1};
        IngestSpec spec = {.skip_bad = skip};
        Intake in;
        CHECK_STR(intake_open(&perm, &spec, &d, 0, &in), 0);
        CHECK_STR(intake_put(&in, scratch_whole, &good), 0);
        for (int i = 0; i < COUNTOF(bad); i++) {
            const char *why = intake_put(&in, scratch_whole, bad[i].sample);
            if (skip)
                CHECK_STR(why, 0);
            else
                CHECK_CONTAINS(why, bad[i].why);
        }
        CHECK_STR(intake_put(&in, scratch_whole, &good), 0);
        CHECK_STR(intake_close(&in, "f"), 0);
        CHECK_EQ(d.split[SPLIT_TRAIN].count, 2);
        CHECK_EQ(d.left_out.count, skip ? 5 : 0);
        if (skip) CHECK_CONTAINS(d.left_out.why[1], "f: sample: a value that is not finite");
    }
    Dataset d = {.target_width = 1};
    IngestSpec spec = {.skip_bad = true};
    Intake in;
    CHECK_STR(intake_open(&perm, &spec, &d, 0, &in), 0);
    CHECK_CONTAINS(intake_close(&in, "f"), "f: zero samples");
    CHECK_STR(intake_bad(&in, "x: gone"), 0);
    CHECK_CONTAINS(intake_close(&in, "f"), "all 1 samples are bad; the first: x: gone");
    in.missing_allowed = true;
    CHECK_STR(intake_put(&in, scratch_whole, &value), 0);
    CHECK(d.missing);
}

static Dataset classes_of(Arena *perm, const int *label, int64_t n, int64_t classes)
{
    Dataset d = {
        .info =
            {.task = "classification", .channels = 1, .height = 1, .width = 2, .outputs = classes, .dtype = DTYPE_U8},
        .target_width = 1};
    uint8_t *x = NEW(perm, uint8_t, 2 * n);
    float *y = NEW(perm, float, n);
    int64_t *ids = NEW(perm, int64_t, n);
    for (int64_t i = 0; i < n; i++) x[2 * i] = (uint8_t)i, y[i] = (float)label[i], ids[i] = 100 + i;
    d.split[SPLIT_TRAIN] = (SplitData){.count = n, .data = x, .targets = y, .ids = ids};
    return d;
}

static void test_balance(void)
{
    Arena perm = perm_whole;
    static const int label[] = {0, 0, 3, 0, 1, 0, 1};
    static const int64_t cut[] = {0, 4, 2}, repeat[] = {0, 4, 2, 1, 6, 2, 3, 4, 2, 5, 6, 2};
    for (int how = BALANCE_CUT; how <= BALANCE_REPEAT; how++) {
        const int64_t *expected = how == BALANCE_CUT ? cut : repeat, n = how == BALANCE_CUT ? 3 : 12;
        Dataset d = classes_of(&perm, label, 7, 4);
        CHECK_STR(prepare_balance(&perm, scratch_whole, &d, (Balance)how), 0);
        const SplitData *s = &d.split[SPLIT_TRAIN];
        if (!CHECK_EQ(s->count, n)) return;
        for (int64_t i = 0; i < n; i++) {
            CHECK_EQ(s->ids[i], 100 + expected[i]);
            CHECK_EQ(((const uint8_t *)s->data)[2 * i], expected[i]);
            CHECK_EQ(s->targets[i], label[expected[i]]);
        }
    }
    Dataset d = classes_of(&perm, label, 7, 4);
    d.info.task = "regression";
    CHECK_CONTAINS(prepare_balance(&perm, scratch_whole, &d, BALANCE_CUT), "no classes");
}

static void test_normalise(void)
{
    Arena perm = perm_whole;
    static const int label[] = {0, 1};
    static const uint8_t bytes[4] = {1, 3, 200, 200};
    Dataset d = classes_of(&perm, label, 2, 2);
    d.split[SPLIT_TRAIN].data = bytes;
    CHECK_STR(prepare_normalise(&perm, &d, NORMALISE_SAMPLE), 0);
    dataset_finish(&perm, &d);
    const float *x = d.split[SPLIT_TRAIN].data;
    CHECK(d.info.dtype == DTYPE_F32 && x[0] == -1 && x[1] == 1 && x[2] == 0 && x[3] == 0);
    CHECK(d.info.mean[0] == 0 && d.info.sd[0] == 1);

    d = classes_of(&perm, label, 2, 2);
    d.split[SPLIT_TRAIN].data = bytes;
    CHECK_STR(prepare_normalise(&perm, &d, NORMALISE_NONE), 0);
    dataset_finish(&perm, &d);
    CHECK(d.info.dtype == DTYPE_U8 && d.info.mean[0] == 0 && d.info.sd[0] == 255);

    d.info.channels = 2; /* the two values are two channels */
    d.info.width = 1;
    CHECK_STR(prepare_normalise(&perm, &d, NORMALISE_GLOBAL), 0);
    dataset_finish(&perm, &d);
    CHECK_NEAR(d.info.mean[0], 101, 1e-12);
    CHECK_NEAR(d.info.mean[1], 101, 1e-12);
    CHECK_NEAR(d.info.sd[1], sqrt((100 * 100 + 98 * 98 + 99 * 99 + 99 * 99) / 4.0), 1e-9);
}

static void test_missing(void)
{
    Arena perm = perm_whole;
    static float train[6] = {1, NAN, 3, NAN, 5, NAN}, test[2] = {NAN, NAN};
    static const float y[3] = {0};
    Dataset d = {
        .info = {.channels = 1, .height = 1, .width = 2, .dtype = DTYPE_F32}, .target_width = 1, .missing = true};
    d.split[SPLIT_TRAIN] = (SplitData){.count = 3, .data = train, .targets = y};
    d.split[SPLIT_TEST] = (SplitData){.count = 1, .data = test, .targets = y};
    CHECK_STR(prepare_missing(&perm, scratch_whole, &d), 0);
    CHECK(!d.missing && train[1] == 0 && train[3] == 0 && test[0] == 3 && test[1] == 0 && train[4] == 5);
}

int main(void)
{
    perm_whole = arena_reserve((ptrdiff_t)1 << 30);
    scratch_whole = arena_reserve((ptrdiff_t)1 << 28);
    CHECK_RUN(test_append);
    CHECK_RUN(test_grow);
    CHECK_RUN(test_classes);
    CHECK_RUN(test_bad);
    CHECK_RUN(test_balance);
    CHECK_RUN(test_normalise);
    CHECK_RUN(test_missing);
    return check_done("intake");
}
