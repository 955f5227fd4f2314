/* data: splits, streams of datasets, batches, loaders, and the readers' generated and IDX sets. */
#include "check.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rng.h"
#include "data/split.h"

static Arena perm_whole, scratch_whole;
static char folder[] = "/tmp/nas-test-data-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* n samples of 1x2x3 u8: pixel j of sample i is 7i + j, label i % classes. */
static Dataset small_u8(Arena *perm, int64_t n, int64_t classes)
{
    Dataset d = {.info = {.name = "small",
                          .source = "test",
                          .task = "classification",
                          .channels = 1,
                          .height = 2,
                          .width = 3,
                          .outputs = classes,
                          .dtype = DTYPE_U8},
                 .target_width = 1};
    uint8_t *x = NEW(perm, uint8_t, n * 6);
    float *y = NEW(perm, float, n);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < 6; j++) x[i * 6 + j] = (uint8_t)(7 * i + j);
        y[i] = (float)(i % classes);
    }
    d.split[SPLIT_TRAIN] = (SplitData){.count = n, .data = x, .targets = y};
    return d;
}

static const IngestSpec usual = {
    .task = "", .valid_fraction = 0.1, .alpha_fraction = 0.5, .test_fraction = 0.2, .seed = 1};

/* Every sample must be in exactly one split, with its own pixels and label. */
static void check_partition(const Dataset *d, int64_t n, int64_t classes, bool all)
{
    bool seen[5000] = {0};
    int64_t total = 0;
    for (int s = 0; s < SPLIT_COUNT; s++)
        for (int64_t i = 0; i < d->split[s].count; i++, total++) {
            int64_t id = d->split[s].ids[i];
            if (!CHECK(id >= 0 && id < n && !seen[id])) return;
            seen[id] = true;
            bool same = d->split[s].targets[i] == (float)(id % classes);
            for (int64_t j = 0; j < 6; j++)
                same &= ((const uint8_t *)d->split[s].data)[i * 6 + j] == (uint8_t)(7 * id + j);
            if (!CHECK(same)) return;
        }
    if (all) CHECK_EQ(total, n);
}

static void test_split(void)
{
    Arena perm = perm_whole;
    Dataset d = small_u8(&perm, 1003, 7);
    CHECK_STR(split_assign(&perm, scratch_whole, &d, &usual), 0);
    CHECK_EQ(d.split[SPLIT_TEST].count, 201);  /* round(200.6) of 1003 */
    CHECK_EQ(d.split[SPLIT_VALID].count, 80);  /* round(80.2) of 802 */
    CHECK_EQ(d.split[SPLIT_ALPHA].count, 361); /* 722 / 2 */
    CHECK_EQ(d.split[SPLIT_TRAIN].count, 361);
    check_partition(&d, 1003, 7, true);
    for (int s = 0; s < SPLIT_COUNT;
         s++) { /* stratified: the largest and the smallest class differ by rounding alone */
        int64_t count[7] = {0}, least = 1000, most = 0;
        for (int64_t i = 0; i < d.split[s].count; i++) count[(int)d.split[s].targets[i]]++;
        for (int k = 0; k < 7; k++) {
            if (count[k] < least) least = count[k];
            if (count[k] > most) most = count[k];
        }
        CHECK(most - least <= 3);
    }
    CHECK_STR(setting_get(d.info.settings, d.info.setting_count, "seed"), "1");
    CHECK_STR(setting_get(d.info.settings, d.info.setting_count, "validation"), "0.1");
    CHECK_STR(setting_get(d.info.settings, d.info.setting_count, "test"), "0.2");

    Dataset again = small_u8(&perm, 1003, 7), other = small_u8(&perm, 1003, 7);
    IngestSpec second = usual;
    second.seed = 2;
    CHECK_STR(split_assign(&perm, scratch_whole, &again, &usual), 0);
    CHECK_STR(split_assign(&perm, scratch_whole, &other, &second), 0);
    CHECK(!memcmp(d.split[SPLIT_TEST].ids, again.split[SPLIT_TEST].ids, 201 * sizeof(int64_t)));
    CHECK(memcmp(d.split[SPLIT_TEST].ids, other.split[SPLIT_TEST].ids, 201 * sizeof(int64_t)));
    bool ascending = true; /* the order is shuffled, too */
    for (int64_t i = 1; i < 361; i++) ascending &= d.split[SPLIT_TRAIN].ids[i] > d.split[SPLIT_TRAIN].ids[i - 1];
    CHECK(!ascending);
}

static void test_split_subset(void)
{
    Arena perm = perm_whole;
    Dataset d = small_u8(&perm, 1000, 4);
    Dataset test = small_u8(&perm, 10, 4);
    d.split[SPLIT_TEST] = test.split[SPLIT_TRAIN]; /* a test set of its own stays as it is */
    IngestSpec spec = usual;
    spec.subset = 100;
    CHECK_STR(split_assign(&perm, scratch_whole, &d, &spec), 0);
    CHECK_EQ(d.split[SPLIT_TEST].count, 10);
    CHECK(d.split[SPLIT_TEST].data == test.split[SPLIT_TRAIN].data);
    CHECK_EQ(d.split[SPLIT_TEST].ids[9], 9);
    CHECK_EQ(d.split[SPLIT_VALID].count, 10);
    CHECK_EQ(d.split[SPLIT_ALPHA].count, 45);
    CHECK_EQ(d.split[SPLIT_TRAIN].count, 45);
    int64_t count[4] = {0};
    for (int s = SPLIT_TRAIN; s <= SPLIT_VALID; s++)
        for (int64_t i = 0; i < d.split[s].count; i++) count[(int)d.split[s].targets[i]]++;
    for (int k = 0; k < 4; k++) CHECK_EQ(count[k], 25);
    d.split[SPLIT_TEST].count = 0;
    check_partition(&d, 1000, 4, false);

    Dataset alone = small_u8(&perm, 20, 2); /* nothing carved: all stays in train */
    IngestSpec none = {.task = "", .seed = 1};
    CHECK_STR(split_assign(&perm, scratch_whole, &alone, &none), 0);
    CHECK_EQ(alone.split[SPLIT_TRAIN].count, 20);
    check_partition(&alone, 20, 2, true);
}

/* Which split every sample of the source went to. */
static void splits_of(const Dataset *d, int *of)
{
    for (int s = 0; s < SPLIT_COUNT; s++)
        for (int64_t i = 0; i < d->split[s].count; i++) of[d->split[s].ids[i]] = s;
}

/* 600 samples of 3 classes in groups of 1 to 7 that have a class each, and in files of 50. */
static Dataset grouped(Arena *perm, int64_t *groups)
{
    enum { N = 600 };
    Dataset d = small_u8(perm, N, 3);
    int64_t *files = NEW(perm, int64_t, N), at = 0;
    for (int64_t g = 0; at < N; g++)
        for (int64_t end = at + 1 + rng_below(4, RNG_TEST, (uint64_t)g, 7); at < end && at < N; at++) {
            groups[at] = 1000003 * g - 7;
            ((float *)d.split[SPLIT_TRAIN].targets)[at] = (float)(g % 3);
            files[at] = at / 50;
        }
    d.split[SPLIT_TRAIN].groups = memcpy(NEW(perm, int64_t, N), groups, N * sizeof *groups);
    d.split[SPLIT_TRAIN].files = files;
    return d;
}

static void test_split_groups(void)
{
    enum { N = 600 };
    Arena perm = perm_whole;
    int64_t groups[N];
    int of[N], again[N];
    Dataset d = grouped(&perm, groups);
    CHECK_STR(split_assign(&perm, scratch_whole, &d, &usual), 0); /* by group, as there are groups */
    splits_of(&d, of);
    for (int i = 1; i < N; i++) CHECK(groups[i] != groups[i - 1] || of[i] == of[i - 1]);
    CHECK_CLOSE(d.split[SPLIT_TEST].count, 120, 4, 0);
    CHECK_CLOSE(d.split[SPLIT_VALID].count, 48, 4, 0);
    CHECK_CLOSE(d.split[SPLIT_ALPHA].count, d.split[SPLIT_TRAIN].count, 8, 0);
    for (int s = 0; s < SPLIT_COUNT; s++) { /* each class in its share, to a group or two */
        double count[3] = {0};
        for (int64_t i = 0; i < d.split[s].count; i++) {
            count[(int)d.split[s].targets[i]]++;
            CHECK_EQ(d.split[s].groups[i], groups[d.split[s].ids[i]]);
        }
        for (int k = 0; k < 3; k++) CHECK_CLOSE(count[k], (double)d.split[s].count / 3, 10, 0.1);
    }
    Leaks leaks;
    CHECK_STR(leak_check(&perm, scratch_whole, &d, &leaks), 0);
    CHECK(leaks.checked[LEAK_GROUP] && !leaks.checked[LEAK_COPY]);
    for (int s = 0; s < SPLIT_COUNT; s++) CHECK_EQ(leaks.found[LEAK_GROUP][s], 0);
    d = grouped(&perm, groups);
    CHECK_STR(split_assign(&perm, scratch_whole, &d, &usual), 0);
    splits_of(&d, again);
    CHECK(!memcmp(of, again, sizeof of));

    IngestSpec spec = usual;
    spec.split_by = "file";
    d = grouped(&perm, groups);
    CHECK_STR(split_assign(&perm, scratch_whole, &d, &spec), 0);
    splits_of(&d, of);
    for (int i = 0; i < N; i++) CHECK_EQ(of[i], of[i / 50 * 50]);
    CHECK_EQ(d.split[SPLIT_TEST].count, 100);

    spec.split_by = "fraction"; /* as if there were no groups; the check tells */
    d = grouped(&perm, groups);
    CHECK_STR(split_assign(&perm, scratch_whole, &d, &spec), 0);
    CHECK_EQ(d.split[SPLIT_TEST].count, 120);
    CHECK_STR(leak_check(&perm, scratch_whole, &d, &leaks), 0);
    int64_t want[SPLIT_COUNT] = {0};
    splits_of(&d, of);
    for (int i = 0; i < N; i++) {
        int least = of[i];
        for (int j = 0; j < N; j++)
            if (groups[j] == groups[i] && of[j] < least) least = of[j];
        want[of[i]] += of[i] > least;
    }
    for (int s = 0; s < SPLIT_COUNT; s++) CHECK_EQ(leaks.found[LEAK_GROUP][s], want[s]);
    CHECK_CONTAINS(leak_text(&perm, &leaks), arena_printf(&perm, "test %d", (int)want[SPLIT_TEST]));

    spec = usual, spec.subset = 200; /* whole groups are dropped, too */
    d = grouped(&perm, groups);
    CHECK_STR(split_assign(&perm, scratch_whole, &d, &spec), 0);
    memset(of, -1, sizeof of);
    splits_of(&d, of);
    int64_t kept = 0;
    for (int i = 0; i < N; i++) kept += of[i] >= 0;
    for (int i = 1; i < N; i++) CHECK(groups[i] != groups[i - 1] || of[i] == of[i - 1]);
    CHECK_CLOSE(kept, 200, 4, 0);
}

static void test_split_column(void)
{
    enum { N = 300 };
    Arena perm = perm_whole;
    Dataset d = small_u8(&perm, N, 3);
    uint8_t *named = NEW(&perm, uint8_t, N);
    int of[N];
    for (int i = 0; i < N; i++) named[i] = i < 200 ? SPLIT_TRAIN : i < 240 ? SPLIT_VALID : SPLIT_TEST;
    d.split[SPLIT_TRAIN].named = named;
    CHECK_STR(split_assign(&perm, scratch_whole, &d, &usual), 0);
    splits_of(&d, of);
    for (int i = 200; i < N; i++) CHECK_EQ(of[i], i < 240 ? SPLIT_VALID : SPLIT_TEST);
    CHECK_EQ(d.split[SPLIT_ALPHA].count, 100); /* carved out of train, which the column does name */
    CHECK_EQ(d.split[SPLIT_TRAIN].count, 100);
    CHECK_STR(setting_get(d.info.settings, d.info.setting_count, "test"), "named");
    CHECK_STR(setting_get(d.info.settings, d.info.setting_count, "alpha"), "0.5");

    IngestSpec spec = usual;
    static const char *const missing[] = {"group", "file", "column"};
    for (int i = 0; i < COUNTOF(missing); i++) {
        d = small_u8(&perm, N, 3);
        spec.split_by = missing[i];
        CHECK_CONTAINS(split_assign(&perm, scratch_whole, &d, &spec), missing[i]);
    }
    d = small_u8(&perm, N, 3);
    spec.split_by = "moon";
    CHECK_CONTAINS(split_assign(&perm, scratch_whole, &d, &spec), "expected");
    d = small_u8(&perm, N, 3);
    d.split[SPLIT_TRAIN].groups = NEW(&perm, int64_t, N); /* one group */
    spec.split_by = "group";
    CHECK_CONTAINS(split_assign(&perm, scratch_whole, &d, &spec), "cannot be split");
    CHECK_EQ(split_find("Training", 8), SPLIT_TRAIN);
    CHECK_EQ(split_find("valid", 3), SPLIT_VALID); /* "val" */
    CHECK_EQ(split_find("", 0), -1);
    CHECK_EQ(split_find("tests", 5), -1);
}

/* 100 images of 2 channels, 3x4, each with its mirror images and a duplicate: 5 of a kind. */
static Dataset mirrored(Arena *perm, DType dtype)
{
    enum { KINDS = 100, N = 5 * KINDS, C = 2, H = 3, W = 4 };
    float *x = NEW(perm, float, N *C *H *W), *y = NEW(perm, float, N);
    uint8_t *u = NEW(perm, uint8_t, N * C * H * W);
    for (int i = 0; i < N; i++)
        for (int c = 0; c < C; c++)
            for (int h = 0; h < H; h++)
                for (int w = 0; w < W; w++) {
                    int view = i / KINDS, sh = view & 2 ? H - 1 - h : h, sw = view & 1 ? W - 1 - w : w;
                    int64_t at = ((i * C + c) * H + h) * W + w, from = ((i % KINDS * C + c) * H + sh) * W + sw;
                    u[at] = (uint8_t)rng_below(3, RNG_TEST, (uint64_t)from, 256);
                    x[at] = u[at];
                    y[i] = (float)(i % 2);
                }
    Dataset d = {
        .info = {.task = "classification", .channels = C, .height = H, .width = W, .outputs = 2, .dtype = dtype},
        .target_width = 1};
    d.split[SPLIT_TRAIN] = (SplitData){.count = N, .data = dtype == DTYPE_U8 ? (void *)u : (void *)x, .targets = y};
    return d;
}

static void test_leaks(void)
{
    for (int dtype = 0; dtype < 2; dtype++) {
        const DType type = dtype ? DTYPE_U8 : DTYPE_F32;
        Arena perm = perm_whole;
        IngestSpec spec = usual;
        Leaks leaks;
        int of[500];
        Dataset d = mirrored(&perm, type);
        CHECK_STR(split_assign(&perm, scratch_whole, &d, &spec), 0);
        CHECK_STR(leak_check(&perm, scratch_whole, &d, &leaks), 0);
        CHECK(leaks.checked[LEAK_DUPLICATE] && !leaks.checked[LEAK_COPY] && !leaks.checked[LEAK_GROUP]);
        splits_of(&d, of);
        int64_t want = 0;
        for (int i = 0; i < 100; i++) want += of[i] != of[i + 400];
        CHECK_EQ(leaks.total, want);
        d.info.flip_horizontal = d.info.flip_vertical = true; /* flips are looked at where they are declared */
        CHECK_STR(leak_check(&perm, scratch_whole, &d, &leaks), 0);
        want = 0;
        for (int i = 0; i < 500; i++)
            for (int j = i % 100; j < 500; j += 100)
                if (of[j] < of[i]) {
                    want++;
                    break;
                }
        int64_t found = 0;
        for (int s = 0; s < SPLIT_COUNT; s++) found += leaks.found[LEAK_COPY][s];
        CHECK_EQ(found, want);

        spec.group_copies = true;
        d = mirrored(&perm, type);
        CHECK_STR(split_assign(&perm, scratch_whole, &d, &spec), 0); /* without flips: duplicates alone */
        splits_of(&d, of);
        for (int i = 0; i < 100; i++) CHECK_EQ(of[i], of[i + 400]);
        CHECK_STR(leak_check(&perm, scratch_whole, &d, &leaks), 0);
        CHECK_EQ(leaks.total, 0);
        d = mirrored(&perm, type);
        d.info.flip_horizontal = d.info.flip_vertical = true;
        CHECK_STR(split_assign(&perm, scratch_whole, &d, &spec), 0);
        splits_of(&d, of);
        for (int i = 0; i < 500; i++) CHECK_EQ(of[i], of[i % 100]);
        CHECK_STR(leak_check(&perm, scratch_whole, &d, &leaks), 0);
        CHECK_EQ(leaks.total, 0);
        CHECK_STR(leak_text(&perm, &leaks), "duplicates 0, symmetric copies 0");
        CHECK_EQ(d.split[SPLIT_TEST].count, 100);
        CHECK_STR(setting_get(d.info.settings, d.info.setting_count, "units"), "100 of 500 samples");
    }
}

/* A hundred thousand samples, all of them in pairs: seconds would tell of a quadratic search. */
static void test_leaks_many(void)
{
    enum { N = 100000 };
    Arena perm = perm_whole;
    Dataset d = {
        .info = {.task = "regression", .channels = 1, .height = 1, .width = 4, .outputs = 1, .dtype = DTYPE_F32},
        .target_width = 1};
    float *x = NEW(&perm, float, 4 * N), *y = NEW(&perm, float, N);
    for (int64_t i = 0; i < N; i++) x[4 * i] = y[i] = (float)(i % (N / 2));
    d.split[SPLIT_TRAIN] = (SplitData){.count = N, .data = x, .targets = y};
    IngestSpec spec = usual;
    spec.group_copies = true;
    Leaks leaks;
    double begin = clock_wall();
    CHECK_STR(split_assign(&perm, scratch_whole, &d, &spec), 0);
    CHECK_STR(leak_check(&perm, scratch_whole, &d, &leaks), 0);
    CHECK_EQ(leaks.total, 0);
    CHECK(clock_wall() - begin < 5);
}

static void test_split_refuses(void)
{
    Arena perm = perm_whole;
    Dataset d = small_u8(&perm, 10, 1);
    CHECK_CONTAINS(split_assign(&perm, scratch_whole, &d, &usual), "only one class");
    d = small_u8(&perm, 0, 2);
    CHECK_CONTAINS(split_assign(&perm, scratch_whole, &d, &usual), "zero samples");
    d = small_u8(&perm, 4, 2);
    CHECK_CONTAINS(split_assign(&perm, scratch_whole, &d, &usual), "leaves the validation split empty");
    d = small_u8(&perm, 4, 2);
    IngestSpec spec = usual;
    spec.valid_fraction = 0.99;
    CHECK_CONTAINS(split_assign(&perm, scratch_whole, &d, &spec), "leaves the train split empty");
    d = small_u8(&perm, 40, 2);
    spec = usual, spec.alpha_fraction = NAN;
    CHECK_CONTAINS(split_assign(&perm, scratch_whole, &d, &spec), "fraction");
    d = small_u8(&perm, 40, 2);
    spec = usual, spec.subset = 41;
    CHECK_CONTAINS(split_assign(&perm, scratch_whole, &d, &spec), "41");
    d = small_u8(&perm, 40, 2);
    d.info.task = "regression";
    memset((float *)d.split[SPLIT_TRAIN].targets, 0, 40 * sizeof(float));
    CHECK_CONTAINS(split_assign(&perm, scratch_whole, &d, &usual), "only one target value");
}

static void test_finish(void)
{
    Arena perm = perm_whole;
    static const uint8_t x[] = {1,  3,  5,  7,
                                10, 10, 10, 10}; /* two samples of 2x1x2: channels {1,3,10,10} and {5,7,10,10} */
    static const float y[] = {1, 2, 3, 6};
    Dataset d = {
        .info = {.task = "regression", .channels = 2, .height = 1, .width = 2, .outputs = 2, .dtype = DTYPE_U8},
        .target_width = 2};
    d.split[SPLIT_TRAIN] = (SplitData){.count = 2, .data = x, .targets = y};
    dataset_finish(&perm, &d);
    CHECK_NEAR(d.info.mean[0], (1 + 3 + 10 + 10) / 4.0, 1e-12);
    CHECK_NEAR(d.info.sd[0], sqrt((25 + 9 + 16 + 16) / 4.0), 1e-12);
    CHECK_NEAR(d.info.mean[1], (5 + 7 + 10 + 10) / 4.0, 1e-12);
    CHECK_NEAR(d.info.target_mean[1], 4, 1e-12);
    CHECK_NEAR(d.info.target_sd[1], 2, 1e-12);
    CHECK_EQ(d.info.split_count[SPLIT_TRAIN], 2);

    static float f[8];
    for (int i = 0; i < 8; i++) f[i] = x[i]; /* the same as f32 gives the same */
    Dataset e = d;
    e.info.dtype = DTYPE_F32;
    e.split[SPLIT_TRAIN].data = f;
    dataset_finish(&perm, &e);
    CHECK_NEAR(e.info.mean[0], d.info.mean[0], 1e-12);
    CHECK_NEAR(e.info.sd[1], d.info.sd[1], 1e-12);
    CHECK(e.info.digest != d.info.digest);
    uint64_t before = e.info.digest;
    f[7] = 11; /* any value changes the digest */
    dataset_finish(&perm, &e);
    CHECK(e.info.digest != before);
    for (int i = 0; i < 8; i++) f[i] = 1e6f; /* constant: left alone */
    dataset_finish(&perm, &e);
    CHECK_NEAR(e.info.sd[0], 1, 0);
}

/* ---- streams ---- */

static void write_records(Arena *perm, const char *path, const Record *r, int n)
{
    const Provenance self = {"test", "0", "test", "host", 1, 0, 0, 0};
    Writer *w = writer_open(perm, path, 0, &self);
    for (int i = 0; i < n; i++) writer_put(w, &r[i]);
    if (!CHECK(writer_finish(w))) fprintf(stderr, "%s\n", writer_error(w));
}

static Dataset finished(Arena *perm, int64_t n)
{
    Dataset d = small_u8(perm, n, 3);
    CHECK_STR(split_assign(perm, scratch_whole, &d, &usual), 0);
    dataset_finish(perm, &d);
    return d;
}

static void test_stream(void)
{
    Arena perm = perm_whole;
    Dataset d = finished(&perm, 1000), back;
    d.info.crop_padding = 4;
    d.info.flip_horizontal = true;
    const Provenance self = {"test", "0", "test", "host", 1, 0, 0, 0};
    Writer *w = writer_open(&perm, in_folder("round.nas"), 0, &self);
    dataset_write(w, scratch_whole, &d);
    CHECK(writer_finish(w));
    bool damaged = true;
    CHECK_STR(dataset_open(&perm, scratch_whole, in_folder("round.nas"), &back, &damaged), 0);
    CHECK(!damaged);
    CHECK(back.info.digest == d.info.digest);
    CHECK_STR(back.info.name, "small");
    CHECK_EQ(back.info.crop_padding, 4);
    CHECK(back.info.flip_horizontal && !back.info.flip_vertical);
    CHECK_NEAR(back.info.mean[0], d.info.mean[0], 0);
    CHECK_EQ(back.info.setting_count, d.info.setting_count);
    check_partition(&back, 1000, 3, true);
    CHECK_CONTAINS(dataset_open(&perm, scratch_whole, in_folder("missing.nas"), &back, &damaged), "missing.nas");
    CHECK(!damaged);
}

/* Samples in a file give the batches that samples in memory give. */
static void test_spill(void)
{
    Arena perm = perm_whole;
    Dataset d = finished(&perm, 1000), memory, file;
    const Provenance self = {"test", "0", "test", "host", 1, 0, 0, 0};
    Writer *w = writer_open(&perm, in_folder("round.nas"), 0, &self);
    dataset_write(w, scratch_whole, &d);
    CHECK(writer_finish(w));
    bool damaged;
    CHECK_STR(dataset_open(&perm, scratch_whole, in_folder("round.nas"), &memory, &damaged), 0);
    setenv("NAS_SPILL", "always", 1);
    CHECK_STR(dataset_open(&perm, scratch_whole, in_folder("round.nas"), &file, &damaged), 0);
    CHECK(!memory.spilled && file.spilled && strstr(file.spilled, "are read from a file in"));
    check_partition(&file, 1000, 3, true);
    for (int s = 0; s < SPLIT_COUNT; s++) {
        LoaderSpec spec = {.split = (Split)s, .batch = 7, .shuffle = true, .seed = 3, .augment = {.crop_padding = 1}};
        const char *why = 0;
        Loader *a = loader_open(&memory, &spec, &why), *b = loader_open(&file, &spec, &why);
        if (!CHECK(a && b)) return;
        loader_seek(a, 1, 2);
        loader_seek(b, 1, 2);
        for (int64_t i = 0; i < 3 * loader_batches(a); i++) {
            const Batch x = loader_next(a), y = loader_next(b);
            CHECK(x.n == y.n && x.index == y.index && !memcmp(x.x, y.x, (size_t)x.n * 6 * sizeof(float)) &&
                  !memcmp(x.y, y.y, (size_t)x.n * sizeof(float)));
        }
        loader_close(a);
        loader_close(b);
    }
    /* the splits lie one behind the other, in either */
    for (int s = 1; s < SPLIT_COUNT; s++) {
        const SplitData *m = memory.split + s - 1, *f = file.split + s - 1;
        CHECK((const char *)m->data + 6 * m->count == m[1].data && m->targets + m->count == m[1].targets);
        CHECK((const char *)f->data + 6 * f->count == f[1].data && f->ids + f->count == f[1].ids);
    }
    dataset_close(&file);
    setenv("TMPDIR", in_folder("missing"), 1);
    CHECK_CONTAINS(dataset_open(&perm, scratch_whole, in_folder("round.nas"), &file, &damaged),
                   "missing: No such file");
    unsetenv("TMPDIR");
    unsetenv("NAS_SPILL");
}

/* What a valid stream may get wrong: each case is one change to a right one of an info and two chunks. */
static void test_stream_refuses(void)
{
    Arena whole = perm_whole;
    Dataset good = small_u8(&whole, 10, 2);
    dataset_finish(&whole, &good);
    const SplitData *s = &good.split[SPLIT_TRAIN];
    static double zero = 0, nan_value = NAN;
    static float bad_label[5] = {0, 1, 2, 0, 1}, half_label[5] = {0, 0.5f}, nan_label[5] = {NAN}, negative[5] = {-1};
    static float pixels[60] = {[33] = INFINITY};
    enum {
        RIGHT,
        SWAPPED,
        FEWER,
        MORE,
        LABEL,
        HALF,
        NAN_LABEL,
        NEGATIVE,
        PIXEL,
        NO_SD,
        NAN_MEAN,
        TASK,
        NO_SAMPLES,
        NO_INFO,
        TWO_INFOS,
        ZERO,
        COUNT,
        SHAPE,
        DTYPE,
        SPLIT,
        WIDTH,
        ONE_OUTPUT,
        HUGE_COUNT,
        DIGEST,
        CASES
    };
    static const char *const expected[CASES] = {[SWAPPED] = "out of order",
                                                [FEWER] = "announced, 5 found",
                                                [MORE] = "already here",
                                                [LABEL] = "label 2",
                                                [HALF] = "label 0.5",
                                                [NAN_LABEL] = "not finite",
                                                [NEGATIVE] = "label -1",
                                                [PIXEL] = "not finite",
                                                [NO_SD] = "sd above 0",
                                                [NAN_MEAN] = "mean",
                                                [TASK] = "unknown task",
                                                [NO_SAMPLES] = "without its samples",
                                                [NO_INFO] = "before their dataset",
                                                [TWO_INFOS] = "second dataset",
                                                [ZERO] = "zero samples",
                                                [COUNT] = "announced",
                                                [SHAPE] = "shape",
                                                [DTYPE] = "do not match",
                                                [SPLIT] = "out of order",
                                                [WIDTH] = "do not match",
                                                [ONE_OUTPUT] = "outputs",
                                                [HUGE_COUNT] = "memory",
                                                [DIGEST] = "digest"};
    for (int c = 0; c < CASES; c++) {
        Arena perm = whole;
        Record r[4] = {{.kind = REC_DATASET, .dataset = good.info}};
        for (int k = 0; k < 2; k++)
            r[1 + k] = (Record){.kind = REC_SAMPLES,
                                .samples = {.split = SPLIT_TRAIN,
                                            .first = 5 * k,
                                            .count = 5,
                                            .dtype = DTYPE_U8,
                                            .data = (const uint8_t *)s->data + 30 * k,
                                            .data_bytes = 30,
                                            .targets = s->targets + 5 * k,
                                            .target_width = 1}};
        DatasetInfo *info = &r[0].dataset;
        Samples *second = &r[2].samples;
        int n = 3, from = 0;
        switch (c) {
        case SWAPPED: r[3] = r[1], r[1] = r[2], r[2] = r[3]; break;
        case FEWER: n = 2; break;
        case MORE: r[3] = r[2], r[3].samples.first = 10, n = 4; break;
        case LABEL: second->targets = bad_label; break;
        case HALF: second->targets = half_label; break;
        case NAN_LABEL: second->targets = nan_label; break;
        case NEGATIVE: second->targets = negative; break;
        case PIXEL:
            info->dtype = DTYPE_F32;
            for (int k = 1; k < 3; k++) {
                r[k].samples.dtype = DTYPE_F32;
                r[k].samples.data = pixels + 30 * (k - 1);
                r[k].samples.data_bytes = 120;
            }
            break;
        case NO_SD: info->sd = &zero; break;
        case NAN_MEAN: info->mean = &nan_value; break;
        case TASK: info->task = "divination"; break;
        case NO_SAMPLES: n = 1; break;
        case NO_INFO: from = 1, n = 2; break;
        case TWO_INFOS: r[3] = r[0], n = 4; break;
        case ZERO: info->split_count[SPLIT_TRAIN] = 0; break;
        case COUNT: info->split_count[SPLIT_TRAIN] = (int64_t)1 << 40; break;
        case SHAPE: info->height = 0; break;
        case DTYPE:
            second->dtype = DTYPE_F32;
            second->data = pixels;
            second->data_bytes = 120;
            break;
        case SPLIT: second->split = SPLIT_TEST; break;
        case WIDTH:
            second->target_width = 2;
            second->count = 2;
            second->data_bytes = 12;
            break;
        case ONE_OUTPUT: info->outputs = 1; break;
        case HUGE_COUNT:
            info->split_count[SPLIT_TEST] = INT32_MAX;
            info->height = info->width = 2000;
            break;
        case DIGEST: info->digest ^= 1; break;
        default: break;
        }
        write_records(&perm, in_folder("case.nas"), r + from, n);
        Dataset back;
        bool damaged;
        const char *why = dataset_open(&perm, scratch_whole, in_folder("case.nas"), &back, &damaged);
        if (c == RIGHT) {
            CHECK_STR(why, 0);
            continue;
        }
        CHECK_MSG(why && strstr(why, "case.nas: "), "case %d: \"%s\" does not name the file", c, why ? why : "(null)");
        CHECK_MSG(why && strstr(why, expected[c]), "case %d: \"%s\" lacks \"%s\"", c, why ? why : "(null)",
                  expected[c]);
        CHECK_MSG(why && !strchr(why, '\n'), "case %d: more than a line", c);
    }
}

/* ---- batches ---- */

/* The definition, pixel by pixel, for one flip, shift and cut that are known. */
static void test_batch_plain(void)
{
    Arena perm = perm_whole;
    Dataset d = small_u8(&perm, 20, 4);
    dataset_finish(&perm, &d);
    const int64_t order[] = {3, 19, 3};
    float x[18], y[3];
    dataset_batch(&d, SPLIT_TRAIN, order, 3, &(Augment){0}, 1, 0, x, y);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 6; j++)
            CHECK_NEAR(x[i * 6 + j], (float)((7 * order[i] + j - d.info.mean[0]) / d.info.sd[0]), 1e-6);
    CHECK_NEAR(y[0], 3, 0);
    CHECK_NEAR(y[1], 3, 0);
}

/* Every augmented image must be one of the images that its augmentation allows, and over many draws all must occur. */
static void test_batch_augment(void)
{
    enum { H = 3, W = 4, PAD = 2, CUT = 2, DRAWS = 20000 };
    for (int dtype = 0; dtype < 2; dtype++) {
        Dataset d = {.info = {.task = "classification",
                              .channels = 2,
                              .height = H,
                              .width = W,
                              .outputs = 2,
                              .dtype = dtype ? DTYPE_F32 : DTYPE_U8,
                              .mean = (double[]){0, 0},
                              .sd = (double[]){1, 2}},
                     .target_width = 1};
        uint8_t u[2 * H * W];
        float f[2 * H * W], target = 1, x[2 * H * W], y;
        for (int i = 0; i < 2 * H * W; i++) f[i] = u[i] = (uint8_t)(i + 1);
        d.split[SPLIT_TRAIN] = (SplitData){.count = 1, .data = dtype ? (void *)f : (void *)u, .targets = &target};
        const Augment a = {true, true, PAD, CUT};
        static bool occurred[2][2][2 * PAD + 1][2 * PAD + 1][H][W];
        memset(occurred, 0, sizeof occurred);
        int64_t unexplained = 0;
        for (int64_t e = 0; e < DRAWS; e++) {
            dataset_batch(&d, SPLIT_TRAIN, (int64_t[]){0}, 1, &a, 5, e, x, &y);
            bool any = false;
            for (int v = 0; v < 2 * 2 * (2 * PAD + 1) * (2 * PAD + 1) * H * W; v++) {
                int k = v, fh = k % 2, fv = (k /= 2) % 2, sy = (k /= 2) % (2 * PAD + 1),
                    sx = (k /= 2 * PAD + 1) % (2 * PAD + 1);
                int cy = (k /= 2 * PAD + 1) % H, cx = k / H;
                bool same = true;
                for (int c = 0; c < 2 && same; c++)
                    for (int i = 0; i < H && same; i++)
                        for (int j = 0; j < W && same; j++) {
                            int si = i + sy - PAD, sj = j + sx - PAD;
                            bool out = si < 0 || si >= H || sj < 0 || sj >= W ||
                                       (i >= cy - 1 && i < cy + 1 && j >= cx - 1 && j < cx + 1);
                            int row = fv ? H - 1 - si : si, column = fh ? W - 1 - sj : sj;
                            float want = out ? 0 : f[(c * H + row) * W + column] / (float)(c + 1);
                            same = x[(c * H + i) * W + j] == want;
                        }
                if (same) any = occurred[fh][fv][sy][sx][cy][cx] = true;
                if (any && e > 500) break; /* it is explained; the search for all explanations is long */
            }
            unexplained += !any;
        }
        CHECK_EQ(unexplained, 0);
        int64_t seen = 0;
        for (size_t i = 0; i < sizeof occurred; i++) seen += ((bool *)occurred)[i];
        CHECK(seen > (int64_t)sizeof occurred / 2);
    }
}

static void test_batch_independent(void)
{
    Arena perm = perm_whole;
    Dataset d = small_u8(&perm, 20, 4);
    dataset_finish(&perm, &d);
    const Augment a = {true, true, 1, 1};
    const int64_t order[] = {1, 2, 3, 4, 5};
    float all[30], one[6], y[5];
    dataset_batch(&d, SPLIT_TRAIN, order, 5, &a, 9, 3, all, y);
    for (int i = 4; i >= 0; i--) {
        dataset_batch(&d, SPLIT_TRAIN, order + i, 1, &a, 9, 3, one, y);
        CHECK(!memcmp(one, all + 6 * i, sizeof one));
    }
    float other[30];
    dataset_batch(&d, SPLIT_TRAIN, order, 5, &a, 9, 4, other, y);
    CHECK(memcmp(all, other, sizeof all)); /* another epoch, other draws */
}

/* One sample of 1 x H x W in floats, mean 0 and sd 1. */
static Dataset one_plane(const float *f, const float *target, int64_t height, int64_t width)
{
    static double mean[1] = {0}, sd[1] = {1};
    Dataset d = {.info = {.task = "classification",
                          .channels = 1,
                          .height = height,
                          .width = width,
                          .outputs = 2,
                          .dtype = DTYPE_F32,
                          .mean = mean,
                          .sd = sd},
                 .target_width = 1};
    d.split[SPLIT_TRAIN] = (SplitData){.count = 1, .data = f, .targets = target};
    return d;
}

/* A plane that rises evenly is mapped to one that rises evenly, by the matrix of the turn and the zoom. */
static void test_batch_warp(void)
{
    enum { N = 9, DRAWS = 300 };
    float f[N * N], x[N * N], target = 1, y;
    for (int i = 0; i < N * N; i++) f[i] = (float)(i / N) + 100 * (float)(i % N) + 1000;
    Dataset d = one_plane(f, &target, N, N);
    double widest[3] = {0};
    const Augment all[3] = {{.rotate = 30}, {.shift = 1.5}, {.zoom = 1.5}};
    for (int a = 0; a < 3; a++)
        for (int64_t e = 0; e < DRAWS; e++) {
            dataset_batch(&d, SPLIT_TRAIN, (int64_t[]){0}, 1, &all[a], 5, e, x, &y);
            const int m = N / 2 * N + N / 2; /* the middle and its neighbours come from within */
            const double middle = x[m] - f[m], right = (x[m + 1] - x[m - 1]) / 2, down = (x[m + N] - x[m - N]) / 2;
            const double along_x = middle / 100,
                         turn = atan2(right - 100 * down, 100 * right + down) * 180 / 3.14159265;
            const double length = sqrt(right * right + down * down) / sqrt(100 * 100 + 1);
            CHECK(a == 1 || fabs(middle) < 1e-3);
            CHECK(a == 0 || fabs(turn) < 0.01);
            CHECK(a == 2 || fabs(length - 1) < 1e-3);
            const double found[3] = {fabs(turn), fabs(along_x), fabs(log(length) / log(1.5))};
            CHECK(found[a] <= (a == 0 ? 30.001 : a == 1 ? 1.52 : 1.001));
            widest[a] = fmax(widest[a], found[a]);
        }
    CHECK(widest[0] > 28 && widest[1] > 1.4 && widest[2] > 0.9);
    /* nothing outside the plane is made up */
    const Augment far = {.shift = 1000};
    int64_t blank = 0;
    for (int64_t e = 0; e < 100; e++) {
        dataset_batch(&d, SPLIT_TRAIN, (int64_t[]){0}, 1, &far, 5, e, x, &y);
        bool zero = true;
        for (int i = 0; i < N * N; i++) zero &= x[i] == 0;
        blank += zero;
    }
    CHECK(blank > 90);
}

/* A series is moved along its length alone, by a crop, too, and never blanked by that. */
static void test_batch_series(void)
{
    enum { N = 16 };
    float f[N], x[N], target = 1, y;
    for (int i = 0; i < N; i++) f[i] = (float)(i + 1);
    Dataset d = one_plane(f, &target, 1, N);
    const Augment all[] = {{.crop_padding = 3}, {.shift = 3}, {.zoom = 1.2, .rotate = 90}};
    for (int a = 0; a < COUNTOF(all); a++)
        for (int64_t e = 0; e < 200; e++) {
            dataset_batch(&d, SPLIT_TRAIN, (int64_t[]){0}, 1, &all[a], 5, e, x, &y);
            for (int i = 5; i < N - 6; i++) CHECK(x[i] > 0 && x[i + 1] > x[i]);
        }
}

static void test_batch_masks_and_jitter(void)
{
    enum { H = 10, W = 12, DRAWS = 2000 };
    float f[H * W], x[H * W], target = 1, y;
    for (int i = 0; i < H * W; i++) f[i] = 1;
    Dataset d = one_plane(f, &target, H, W);
    const Augment a = {.mask_rows = 3, .mask_columns = 4, .mask_count = 1};
    int64_t rows[H + 1] = {0}, columns[W + 1] = {0};
    for (int64_t e = 0; e < DRAWS; e++) {
        dataset_batch(&d, SPLIT_TRAIN, (int64_t[]){0}, 1, &a, 7, e, x, &y);
        int zero_rows = 0, zero_columns = 0, zeros = 0;
        for (int i = 0; i < H; i++) {
            int in = 0;
            for (int j = 0; j < W; j++) in += x[i * W + j] == 0;
            zero_rows += in == W;
            zeros += in;
        }
        for (int j = 0; j < W; j++) {
            int in = 0;
            for (int i = 0; i < H; i++) in += x[i * W + j] == 0;
            zero_columns += in == H;
        }
        CHECK_EQ(zeros, zero_rows * W + zero_columns * (H - zero_rows)); /* whole bands, nothing else */
        rows[zero_rows]++;
        columns[zero_columns]++;
    }
    for (int k = 0; k <= 3; k++) CHECK(rows[k] > DRAWS / 8);
    for (int k = 0; k <= 4; k++) CHECK(columns[k] > DRAWS / 10);
    CHECK(!rows[4] && !columns[5]);
    const Augment noise = {.jitter = 0.5};
    double sum = 0, squares = 0;
    for (int64_t e = 0; e < 100; e++) {
        dataset_batch(&d, SPLIT_TRAIN, (int64_t[]){0}, 1, &noise, 7, e, x, &y);
        for (int i = 0; i < H * W; i++) sum += x[i] - 1, squares += (x[i] - 1) * (x[i] - 1);
    }
    CHECK_NEAR(sum / (100 * H * W), 0, 0.02);
    CHECK_NEAR(sqrt(squares / (100 * H * W)), 0.5, 0.02);
}

/* Pairs of a batch are mixed, the first sample having the larger part, and the parts follow Beta(a, a): variance
 * 1 / (4 (2 a + 1)) about a half. */
static void test_mix(void)
{
    enum { COUNT = 5, ROUNDS = 4000 };
    static double mean[1] = {0}, sd[1] = {1};
    float f[COUNT], targets[COUNT], x[COUNT], plain[COUNT], y[COUNT], partner[COUNT], share[COUNT];
    for (int i = 0; i < COUNT; i++) f[i] = (float)(i * i + 1), targets[i] = (float)i;
    Dataset d = one_plane(f, targets, 1, 1);
    d.info.mean = mean, d.info.sd = sd, d.info.outputs = COUNT;
    d.split[SPLIT_TRAIN].count = COUNT;
    const int64_t order[COUNT] = {3, 1, 4, 0, 2};
    for (int k = 0; k < 3; k++) {
        const Augment a = {.mixup = k == 0 ? 0.2 : k == 1 ? 1 : 3};
        double squares = 0;
        for (int64_t e = 0; e < ROUNDS; e++) {
            dataset_batch(&d, SPLIT_TRAIN, order, COUNT, &a, 3, e, plain, y);
            memcpy(x, plain, sizeof x);
            dataset_mix(&d, SPLIT_TRAIN, order, COUNT, &a, 3, e, x, y, partner, share);
            for (int i = 0; i < COUNT; i++) {
                const float m = share[i], want = m * plain[i] + (1 - m) * plain[COUNT - 1 - i];
                CHECK(m >= 0.5F && m <= 1 && partner[i] == y[COUNT - 1 - i] && fabsf(x[i] - want) < 1e-5F);
                squares += (m - 0.5) * (m - 0.5) / (ROUNDS * COUNT);
            }
        }
        const double variance = 1 / (4 * (2 * a.mixup + 1));
        CHECK_NEAR(squares, variance, 0.03 * variance);
    }
}

/* ---- loader ---- */

static void test_loader(void)
{
    Arena perm = perm_whole;
    Dataset d = small_u8(&perm, 23, 4);
    dataset_finish(&perm, &d);
    const char *why = 0;
    LoaderSpec spec = {.split = SPLIT_TRAIN, .batch = 5, .shuffle = true, .augment = {true, false, 1, 0}, .seed = 3};
    Loader *l = loader_open(&d, &spec, &why);
    if (!CHECK(l)) return;
    CHECK_EQ(loader_batches(l), 5);
    static float x[3][5][30], y[5];
    int64_t order[23];
    for (int64_t e = 0; e < 3; e++) {
        bool seen[256] = {0};
        rng_permutation(3, RNG_SHUFFLE, (uint64_t)e, order, 23);
        for (int64_t b = 0; b < 5; b++) {
            Batch got = loader_next(l);
            CHECK_EQ(got.n, b < 4 ? 5 : 3);
            CHECK(got.epoch == e && got.index == b && got.last == (b == 4));
            memcpy(x[e][b], got.x, (size_t)got.n * 6 * sizeof(float));
            static float want[30];
            dataset_batch(&d, SPLIT_TRAIN, order + 5 * b, got.n, &spec.augment, 3, e, want, y);
            CHECK(!memcmp(want, got.x, (size_t)got.n * 6 * sizeof(float)));
            CHECK(!memcmp(y, got.y, (size_t)got.n * sizeof(float)));
            for (int64_t i = 0; i < got.n; i++) seen[order[5 * b + i]] = true;
        }
        for (int i = 0; i < 23; i++) CHECK(seen[i]);
    }
    CHECK(memcmp(x[0], x[1], sizeof x[0]));
    for (int64_t at = 14; at >= 0; at -= 3) { /* seeks, also right after each other and while the next batch is made */
        loader_seek(l, 0, 1);
        loader_seek(l, at / 5, at % 5);
        for (int64_t k = at; k < 15; k++) {
            Batch got = loader_next(l);
            CHECK(got.epoch == k / 5 && got.index == k % 5);
            CHECK(!memcmp(got.x, x[k / 5][k % 5], (size_t)got.n * 6 * sizeof(float)));
        }
    }
    loader_seek(l, 1, 5); /* after the last batch of an epoch: the next epoch */
    CHECK_EQ(loader_next(l).epoch, 2);
    CHECK(loader_wait(l) >= 0);
    loader_close(l);

    spec.drop_last = true, spec.limit = 12, spec.stream = 1;
    l = loader_open(&d, &spec, &why);
    CHECK_EQ(loader_batches(l), 2);
    Batch other = loader_next(l);
    CHECK(memcmp(other.x, x[0][0], sizeof x[0][0])); /* another stream, another order */
    CHECK(loader_next(l).last);
    CHECK_EQ(loader_next(l).epoch, 1);
    loader_close(l);

    spec = (LoaderSpec){.split = SPLIT_TRAIN, .batch = 64}; /* larger than the split, in order */
    l = loader_open(&d, &spec, &why);
    CHECK_EQ(loader_batches(l), 1);
    Batch whole = loader_next(l);
    CHECK_EQ(whole.n, 23);
    for (int i = 0; i < 23; i++) CHECK_NEAR(whole.y[i], i % 4, 0);
    loader_close(l); /* while the next one is made */

    spec.split = SPLIT_TEST;
    CHECK(!loader_open(&d, &spec, &why));
    CHECK_CONTAINS(why, "no samples");
    loader_close(0);
}

/* ---- readers ---- */

static const char *ingest(Arena *perm, const char *format, const char *const *options, int n, Dataset *d)
{
    IngestSpec spec = usual;
    for (int i = 0; i < n; i++) spec.option[spec.option_count++] = options[i];
    return reader_find(format)->read(perm, scratch_whole, 0, 0, &spec, d);
}

/* The texture kinds: mean of x(p) x(p + distance) along a direction, over the images of one class. */
static double correlation(const Dataset *d, int64_t label, int64_t di, int64_t dj)
{
    const int64_t S = d->info.height;
    const float *x = d->split[SPLIT_TRAIN].data;
    double sum = 0, n = 0;
    for (int64_t s = 0; s < d->split[SPLIT_TRAIN].count; s++, x += S * S)
        for (int64_t i = 0; i + di < S && (int64_t)d->split[SPLIT_TRAIN].targets[s] == label; i++)
            for (int64_t j = 0; j + dj < S; j++, n++) sum += x[i * S + j] * x[(i + di) * S + j + dj];
    return sum / n;
}

static void test_synthetic_textures(void)
{
    static const struct {
        const char *option;
        int64_t period;
    } kind[] = {{"kind=sep3", 4}, {"kind=sep5", 6}, {"kind=dil5", 9}};
    for (int k = 0; k < COUNTOF(kind); k++) {
        Arena perm = perm_whole;
        Dataset d;
        CHECK_STR(ingest(&perm, "synthetic", (const char *[]){kind[k].option, "n=400", "noise=0"}, 3, &d), 0);
        /* at the period along its own direction all is equal, everywhere nearer nothing is related */
        CHECK_NEAR(correlation(&d, 0, 0, kind[k].period), 1, 0);
        CHECK_NEAR(correlation(&d, 1, kind[k].period, 0), 1, 0);
        CHECK_NEAR(correlation(&d, 0, kind[k].period, 0), 0, 0.04);
        for (int64_t i = 0; i < kind[k].period; i++)
            for (int64_t j = 0; j < kind[k].period; j++)
                for (int64_t label = 0; label < 2 && i + j > 0; label++)
                    CHECK_NEAR(correlation(&d, label, i, j), 0, 0.05);
    }
}

/* maxpool: in every image as many bright pixels; no 3x3 view (with noise 0) has two; 5x5 views do in class 1 alone. */
static void test_synthetic_pairs(void)
{
    Arena perm = perm_whole;
    Dataset d;
    CHECK_STR(ingest(&perm, "synthetic", (const char *[]){"kind=maxpool", "n=200", "noise=0", "size=24"}, 4, &d), 0);
    const float *x = d.split[SPLIT_TRAIN].data;
    for (int64_t s = 0; s < 200; s++, x += 24 * 24) {
        int64_t bright = 0, near3 = 0, near5 = 0;
        for (int p = 0; p < 24 * 24; p++) {
            bright += x[p] == 1;
            for (int q = 0; q < p && x[p] == 1; q++) {
                int far = abs(p / 24 - q / 24) > abs(p % 24 - q % 24) ? abs(p / 24 - q / 24) : abs(p % 24 - q % 24);
                near3 += x[q] == 1 && far <= 2;
                near5 += x[q] == 1 && far <= 4;
            }
            if (x[p] == 1) CHECK(p / 24 >= 2 && p / 24 < 22 && p % 24 >= 2 && p % 24 < 22);
        }
        CHECK_EQ(bright, 8);
        CHECK_EQ(near3, 0);
        CHECK_EQ(near5, d.split[SPLIT_TRAIN].targets[s] == 1 ? 4 : 0);
    }
}

static void test_synthetic_linear(void)
{
    Arena perm = perm_whole;
    Dataset d;
    CHECK_STR(ingest(&perm, "synthetic", (const char *[]){"kind=linear", "n=50", "noise=0", "outputs=4", "channels=2"},
                     5, &d),
              0);
    CHECK_EQ(d.info.outputs, 4);
    CHECK_EQ(d.target_width, 4);
    /* with two channels, samples 0 and 1 say what every other sample must be */
    const float *x = d.split[SPLIT_TRAIN].data, *y = d.split[SPLIT_TRAIN].targets;
    double a = x[0], b = x[256], c = x[512], e = x[768], det = a * e - b * c;
    for (int i = 2; i < 50; i++) {
        double u = x[512 * i], v = x[512 * i + 256], p = (u * e - v * c) / det, q = (v * a - u * b) / det;
        for (int k = 0; k < 4; k++) CHECK_NEAR(y[4 * i + k], p * y[k] + q * y[4 + k], 1e-3);
    }
}

static void test_synthetic_rest(void)
{
    Arena perm = perm_whole;
    Dataset d, again;
    CHECK_STR(ingest(&perm, "synthetic", 0, 0, &d), 0);
    CHECK_STR(ingest(&perm, "synthetic", 0, 0, &again), 0);
    CHECK_STR(d.info.name, "synthetic-blobs");
    CHECK_EQ(d.split[SPLIT_TRAIN].count, 2000);
    CHECK(!memcmp(d.split[SPLIT_TRAIN].data, again.split[SPLIT_TRAIN].data, 2000 * 256 * sizeof(float)));
    int64_t count[4] = {0};
    for (int64_t i = 0; i < 2000; i++) count[(int)d.split[SPLIT_TRAIN].targets[i]]++;
    for (int k = 0; k < 4; k++) CHECK_EQ(count[k], 500);

    CHECK_STR(ingest(&perm, "synthetic", (const char *[]){"kind=skip", "n=400", "classes=3"}, 3, &d), 0);
    double mean[3] = {0}; /* levels -0.5, 0, 0.5 under noise of sd 1 */
    for (int64_t i = 0; i < 400 * 256; i++)
        mean[(int)d.split[SPLIT_TRAIN].targets[i / 256]] +=
            ((const float *)d.split[SPLIT_TRAIN].data)[i] / (400 * 256 / 3.0);
    for (int k = 0; k < 3; k++) CHECK_NEAR(mean[k], 0.5 * k - 0.5, 0.03);

    CHECK_CONTAINS(ingest(&perm, "synthetic", (const char *[]){"kind=none"}, 1, &d), "not known");
    CHECK_CONTAINS(ingest(&perm, "synthetic", (const char *[]){"n=1"}, 1, &d), "n=1");
    CHECK_CONTAINS(ingest(&perm, "synthetic", (const char *[]){"n=99999999999999999999"}, 1, &d), "n=9999");
    CHECK_CONTAINS(ingest(&perm, "synthetic", (const char *[]){"noise=nan"}, 1, &d), "noise");
    CHECK_CONTAINS(ingest(&perm, "synthetic", (const char *[]){"n=10x"}, 1, &d), "whole number");
    CHECK_CONTAINS(ingest(&perm, "synthetic", (const char *[]){"colour=red"}, 1, &d), "colour");
    CHECK_CONTAINS(ingest(&perm, "synthetic", (const char *[]){"nonsense"}, 1, &d), "key=value");
    CHECK_CONTAINS(ingest(&perm, "synthetic", (const char *[]){"n=10000000", "size=256"}, 2, &d), "memory");
}

static const char *write_file(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(in_folder(name), "wb");
    CHECK(f && fwrite(bytes, 1, n, f) == n && !fclose(f));
    return in_folder(name);
}

/* Types other than ubyte, four dimensions, and regression with several targets. */
static void test_idx_types(void)
{
    Arena perm = perm_whole;
    static const unsigned char images[] = {0,    0,    0x0B, 4,    0,    0,    0,    2,   0, 0,
                                           0,    2,    0,    0,    0,    1,    0,    0,   0, 1, /* int16 2x2x1x1 */
                                           0x00, 0x01, 0xFF, 0xFE, 0x7F, 0xFF, 0x80, 0x00};
    static const unsigned char labels[] = {
        0,    0,    0x0E, 2, 0, 0, 0, 2, 0,    0, 0, 2, /* double 2x2: 1, -2, 0.5, 0 */
        0x3F, 0xF0, 0,    0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0,
        0x3F, 0xE0, 0,    0, 0, 0, 0, 0, 0,    0, 0, 0, 0, 0, 0, 0};
    char image_path[256], label_path[256];
    snprintf(image_path, sizeof image_path, "%s", write_file("i16", images, sizeof images));
    snprintf(label_path, sizeof label_path, "%s", write_file("f64", labels, sizeof labels));
    const char *source[] = {image_path, label_path};
    IngestSpec spec = usual;
    spec.task = "regression";
    Dataset d;
    CHECK_STR(reader_find("idx")->read(&perm, scratch_whole, source, 2, &spec, &d), 0);
    CHECK(d.info.channels == 2 && d.info.height == 1 && d.info.width == 1 && d.info.dtype == DTYPE_F32);
    CHECK_EQ(d.info.outputs, 2);
    const float *x = d.split[SPLIT_TRAIN].data, *y = d.split[SPLIT_TRAIN].targets;
    CHECK(x[0] == 1 && x[1] == -2 && x[2] == 32767 && x[3] == -32768);
    CHECK(y[0] == 1 && y[1] == -2 && y[2] == 0.5f && y[3] == 0);
    const char *why = 0;
    const DataReader *found = reader_probe(image_path, &why);
    CHECK_STR(found ? found->name : 0, "idx");
    CHECK(!reader_probe(write_file("text", "hello, world\n", 13), &why));
    CHECK_CONTAINS(why, "not known");
    spec.task = ""; /* two numbers a sample are no class */
    CHECK_CONTAINS(reader_find("idx")->read(&perm, scratch_whole, source, 2, &spec, &d), "dimensions");
}

int main(void)
{
    if (!mkdtemp(folder)) return 1;
    perm_whole = arena_reserve((ptrdiff_t)1 << 32);
    scratch_whole = arena_reserve((ptrdiff_t)1 << 28);
    CHECK_RUN(test_split);
    CHECK_RUN(test_split_subset);
    CHECK_RUN(test_split_groups);
    CHECK_RUN(test_split_column);
    CHECK_RUN(test_leaks);
    CHECK_RUN(test_leaks_many);
    CHECK_RUN(test_split_refuses);
    CHECK_RUN(test_finish);
    CHECK_RUN(test_stream);
    CHECK_RUN(test_spill);
    CHECK_RUN(test_stream_refuses);
    CHECK_RUN(test_batch_plain);
    CHECK_RUN(test_batch_augment);
    CHECK_RUN(test_batch_warp);
    CHECK_RUN(test_batch_series);
    CHECK_RUN(test_batch_masks_and_jitter);
    CHECK_RUN(test_mix);
    CHECK_RUN(test_batch_independent);
    CHECK_RUN(test_loader);
    CHECK_RUN(test_synthetic_textures);
    CHECK_RUN(test_synthetic_pairs);
    CHECK_RUN(test_synthetic_linear);
    CHECK_RUN(test_synthetic_rest);
    CHECK_RUN(test_idx_types);
    static const char *const left[] = {"round.nas", "case.nas", "i16", "f64", "text"};
    for (int i = 0; i < COUNTOF(left); i++) unlink(in_folder(left[i]));
    CHECK(!rmdir(folder));
    return check_done("data");
}
