/* curves: light curves on a grid, and sheets with cuts as images: small files made here, in the layouts of the real ones. */
#include "check.h"

#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "base/rng.h"
#include "data/split.h"

static Arena perm_whole, scratch_whole;
static char folder[] = "/tmp/nas-test-curves-XXXXXX";

/* A file of this text in the test's folder; gzip if the name ends in .gz. */
static const char *file(Arena *perm, const char *name, const char *text)
{
    const char *path = arena_printf(perm, "%s/%s", folder, name);
    bool packed = strlen(name) > 3 && !strcmp(name + strlen(name) - 3, ".gz");
    gzFile f = gzopen(path, packed ? "wb" : "wbT");
    CHECK(f && gzwrite(f, text, (unsigned)strlen(text)) == (int)strlen(text));
    CHECK(gzclose(f) == Z_OK);
    return path;
}

static const char *ingest(Arena *perm, const char *format, const char *const *sources, int64_t n,
                          const char *const *options, Dataset *d)
{
    IngestSpec spec = {.task = ""};
    while (options && options[spec.option_count]) {
        spec.option[spec.option_count] = options[spec.option_count];
        spec.option_count++;
    }
    return reader_find(format)->read(perm, scratch_whole, sources, n, &spec, d);
}

/* ---- graphene ---- */

/* All 31 x 31 x 31 sheets without a row that is all cut; strain and the rest are functions of the number. */
static const char *all_sheets(Arena *perm)
{
    Text t = {0};
    for (int a = 1; a < 32; a++)
        for (int b = 1; b < 32; b++)
            for (int c = 1; c < 32; c++) {
                char line[64];
                int bits = (a << 10) | (b << 5) | c, at = 0;
                for (int k = 14; k >= 0; k--) at += snprintf(line + at, sizeof line - (size_t)at, "%d ", bits >> k & 1);
                text_addf(perm, &t, "%s%.3f %d %d\n", line, bits / 1000.0, bits + 1, bits + 2);
            }
    return t.s;
}

static void test_graphene(void)
{
    Arena perm = perm_whole;
    const char *path = file(&perm, "15grid.dat", all_sheets(&perm));
    Dataset d;
    CHECK_STR(ingest(&perm, "kirigami", &path, 1, 0, &d), 0);
    const SplitData *s = &d.split[SPLIT_TRAIN];
    CHECK_EQ(s->count, 29791);
    CHECK_EQ(d.info.height, 30);
    CHECK_EQ(d.info.width, 80);
    CHECK_EQ(d.info.outputs, 1);
    CHECK_STR(d.info.output_names[0], "strain");
    CHECK_STR(d.info.task, "regression");

    /* 10011/01011/11010: zeros in rows 4-6, columns 16-47; rows 14-16, columns 0-15 and 32-47; rows 24-26, columns 32-47
     * and 64-79 */
    const int a = 19, b = 11, c = 26;
    const int64_t at = ((a - 1) * 31 + b - 1) * 31 + c - 1;
    const uint8_t *x = (const uint8_t *)s->data + at * 2400;
    for (int r = 0; r < 30; r++)
        for (int k = 0; k < 80; k++) {
            bool cut = (r >= 4 && r <= 6 && k >= 16 && k <= 47) ||
                       (r >= 14 && r <= 16 && (k <= 15 || (k >= 32 && k <= 47))) ||
                       (r >= 24 && r <= 26 && ((k >= 32 && k <= 47) || k >= 64));
            CHECK_MSG(x[r * 80 + k] == !cut, "row %d, column %d is %d", r, k, x[r * 80 + k]);
        }
    CHECK_NEAR(s->targets[at], ((a << 10) | (b << 5) | c) / 1000.0, 1e-6);

    /* Burnside: (31³ + 7³ + 31·31 + 31·7) / 4 sheets that differ by more than mirroring */
    bool *seen = NEW(&perm, bool, 1 << 15);
    int64_t forms = 0;
    for (int64_t i = 0; i < s->count; i++) {
        if (!CHECK(s->copies[i] >= 0 && s->copies[i] < 1 << 15)) return;
        forms += !seen[s->copies[i]];
        seen[s->copies[i]] = true;
    }
    CHECK_EQ(forms, (29791 + 343 + 961 + 217) / 4);

    IngestSpec spec = {.task = "", .valid_fraction = 0.1, .alpha_fraction = 0.5, .test_fraction = 0.2, .seed = 1};
    Leaks leaks;
    Arena once = perm;
    CHECK_STR(split_assign(&once, scratch_whole, &d, &spec), 0);
    CHECK_STR(leak_check(&once, scratch_whole, &d, &leaks), 0);
    CHECK_EQ(d.split[SPLIT_TEST].count, 5958); /* the ancestor's 80/20 has 5,959 */
    CHECK(leaks.found[LEAK_COPY][SPLIT_TEST] > 5000 && leaks.total == leaks.found[LEAK_COPY][SPLIT_TEST] +
                                                                          leaks.found[LEAK_COPY][SPLIT_VALID] +
                                                                          leaks.found[LEAK_COPY][SPLIT_ALPHA]);
    once = perm;
    static const char *const padded[] = {"pad=1", "target=stress,toughness", 0};
    CHECK_STR(ingest(&once, "kirigami", &path, 1, padded, &d), 0);
    CHECK_EQ(d.info.height, 32);
    CHECK_EQ(d.info.outputs, 2);
    x = (const uint8_t *)d.split[SPLIT_TRAIN].data + at * 32 * 80;
    for (int k = 0; k < 80; k++) CHECK(!x[k] && !x[31 * 80 + k] && x[80 + k]);
    CHECK_NEAR(d.split[SPLIT_TRAIN].targets[2 * at], ((a << 10) | (b << 5) | c) + 2, 0);
    CHECK_NEAR(d.split[SPLIT_TRAIN].targets[2 * at + 1], ((a << 10) | (b << 5) | c) + 1, 0);
    spec.group_copies = true;
    CHECK_STR(split_assign(&once, scratch_whole, &d, &spec), 0);
    CHECK_STR(leak_check(&once, scratch_whole, &d, &leaks), 0);
    CHECK_EQ(leaks.total, 0);
    CHECK_CLOSE(d.split[SPLIT_TEST].count, 5958, 4, 0);

    once = perm;
    static const char *const coarse[] = {"raster=coarse", 0};
    CHECK_STR(ingest(&once, "kirigami", &path, 1, coarse, &d), 0);
    CHECK_EQ(d.info.height * d.info.width, 15);
    x = (const uint8_t *)d.split[SPLIT_TRAIN].data + at * 15;
    for (int k = 0; k < 15; k++) CHECK_EQ(x[k], "100110101111010"[k] - '0');
}

/* ---- MoS2 ---- */

static void test_mos2(void)
{
    static const char designs[] = "## structure_ID, 8_pattern_parameters, symmetric_structure_ID\n"
                                  "1, ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0))\n"
                                  "2, ((25.3139, 60.0), (0.0, 0.0), (177.1975, 140.0), (0.0, 0.0))\n"
                                  "3, ((177.1975, 140.0), (0.0, 0.0), (25.3139, 60.0), (0.0, 0.0))\n"
                                  "4, ((25.3139, 60.0), (177.1975, 140.0), (0.0, 0.0), (0.0, 0.0))\n"
                                  "5, ((0.0, 0.0), (177.1975, 140.0), (25.3139, 60.0), (0.0, 0.0))\n";
    static const char results[] =
        "## pattern_ID, initial_length, broken_length, max_stress(GPa)\n"
        "1\t200\t250\t13.5\n2\t200\t220\t6.5\n3\t200\t221\t6.4\n4\t100\t130\t5\n5\t100\t131\t5.5\n";
    Arena perm = perm_whole;
    const char *source[] = {file(&perm, "designs.txt.gz", designs), file(&perm, "results.txt", results)};
    static const char *const options[] = {"target=strain,stress", "height=200", "width=100", 0};
    Dataset d;
    CHECK_STR(ingest(&perm, "kirigami", source, 2, options, &d), 0);
    const SplitData *s = &d.split[SPLIT_TRAIN];
    static const float want[] = {25, 13.5f, 10, 6.5f, 10.5f, 6.4f, 30, 5, 31, 5.5f};
    CHECK_EQ(s->count, 5);
    for (int i = 0; i < 10; i++) CHECK_NEAR(s->targets[i], want[i], 1e-5);
    for (int i = 0; i < 5; i++) CHECK_EQ(s->ids[i], i + 1);
    for (int i = 0; i < 20000; i++) CHECK(((const uint8_t *)s->data)[i] == 1);
    const uint8_t *x = (const uint8_t *)s->data + 20000;
    for (int r = 0; r < 200; r++)
        for (int k = 0; k < 100; k++) { /* a pixel is 1 high and 2 wide; the second cut wraps around to 117.1975 */
            bool first = r >= 20 && r < 30 && 2 * k + 1 >= 25.3139 && 2 * k + 1 < 85.3139;
            bool third = r >= 120 && r < 130 && (2 * k + 1 >= 177.1975 || 2 * k + 1 < 117.1975);
            CHECK_MSG(x[r * 100 + k] == !(first || third), "row %d, column %d is %d", r, k, x[r * 100 + k]);
        }
    CHECK(s->copies[1] == s->copies[2]); /* rotated by two rows */
    CHECK(s->copies[3] == s->copies[4]); /* reversed and rotated */
    CHECK(s->copies[1] != s->copies[3] && s->copies[0] != s->copies[1]);
}

/* ---- light curves ---- */

static const char metadata[] = "object_id,ra,target,photoz,distmod,part\n"
                               "615,1,92,0.5,nan,train\n"
                               "713,2,88,0.25,40,test\n"
                               "900,2,88,0.25,40,test\n"
                               "730,3,42,1,41,valid\n";
static const char observations[] = "object_id,mjd,passband,flux,flux_err,detected\n"
                                   "615,1000,0,10,1,1\n"  /* bin 0 of 10 */
                                   "615,1009,0,20,2,0\n"  /* bin 0: 12 = (10/1 + 20/4)/(1/1 + 1/4) */
                                   "615,1030,0,-30,3,1\n" /* bin 3 */
                                   "615,1099,1,5,1,1\n"   /* bin 9 */
                                   "615,1100,1,7,1,1\n"   /* outside */
                                   "713,59000,2,4,1,1\n"
                                   "730,10,5,1,0.5,1\n"
                                   "730,-20,5,3,0.5,1\n";

/* The plane of `kind` (0 flux, 1 mask, 2 error) and band of a sample. */
static const float *plane(const Dataset *d, int64_t sample, int kind, int band)
{
    return (const float *)d->split[SPLIT_TRAIN].data + (sample * d->info.channels + kind * 6 + band) * d->info.width;
}

static void check_row(const float *x, const float *want, const char *what)
{
    for (int i = 0; i < 10; i++)
        CHECK_MSG(fabsf(x[i] - want[i]) < 1e-5, "%s: value %d is %g, expected %g", what, i, (double)x[i],
                  (double)want[i]);
}

static void test_grid(void)
{
    Arena perm = perm_whole;
    const char *source[] = {file(&perm, "objects.csv", metadata), file(&perm, "observations.csv.gz", observations)};
    static const char *const options[] = {"bins=10", "span=100", "scale=none", "errors=yes", 0};
    Dataset d;
    CHECK_STR(ingest(&perm, "lightcurves", source, 2, options, &d), 0);
    CHECK_EQ(d.info.channels, 18);
    CHECK_EQ(d.info.height, 1);
    CHECK_EQ(d.info.width, 10);
    CHECK_EQ(d.info.outputs, 3);
    CHECK_STR(d.info.output_names[0], "42 SNII");
    CHECK_STR(d.info.output_names[2], "92 RRL");
    const SplitData *s = &d.split[SPLIT_TRAIN];
    CHECK_EQ(s->count, 3); /* 900 has no observations */
    static const int64_t ids[] = {615, 713, 730};
    static const float labels[] = {2, 1, 0};
    for (int i = 0; i < 3; i++) CHECK(s->ids[i] == ids[i] && s->targets[i] == labels[i]);
    CHECK(s->groups[0] != s->groups[1] && !s->named);
    check_row(plane(&d, 0, 0, 0), (float[]){12, -2, -16, -30, -30, -30, -30, -30, -30, -30}, "flux, band 0");
    check_row(plane(&d, 0, 0, 1), (float[]){5, 5, 5, 5, 5, 5, 5, 5, 5, 5}, "flux, band 1");
    check_row(plane(&d, 0, 0, 2), (float[10]){0}, "flux, band 2");
    check_row(plane(&d, 0, 1, 0), (float[]){1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, "mask, band 0");
    check_row(plane(&d, 0, 1, 1), (float[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, "mask, band 1");
    check_row(plane(&d, 0, 2, 0), (float[]){(float)sqrt(0.8), 0, 0, 3, 0, 0, 0, 0, 0, 0}, "error, band 0");
    check_row(plane(&d, 2, 0, 5), (float[]){3, 3 - 2 / 3.f, 3 - 4 / 3.f, 1, 1, 1, 1, 1, 1, 1}, "times below 0");
    CHECK_CONTAINS(setting_get(d.info.settings, d.info.setting_count, "observations"),
                   "8, sorted by object, 1 outside of the grid, 0 left out");

    static const char *const bright[] = {"bins=10", "span=100", "align=peak", "interpolation=none", "scale=object", 0};
    CHECK_STR(ingest(&perm, "lightcurves", source, 2, bright, &d), 0);
    CHECK_EQ(d.info.channels, 12);
    const float b = 10 / 30.f, f = 20 / 30.f;
    check_row(plane(&d, 0, 0, 0), (float[]){0, 0, 0, 0, b, f, 0, -1, 0, 0}, "the peak in the middle, by object");
    check_row(plane(&d, 2, 0, 5), (float[]){0, 0, 0, 0, 0, 1, 0, 0, 1 / 3.f, 0}, "another");

    static const char *const rest[] = {"bins=10",
                                       "span=100",
                                       "start=1000",
                                       "interpolation=none",
                                       "detected=only",
                                       "softening=2",
                                       "features=photoz,distmod",
                                       "errors=yes",
                                       "split=part",
                                       "group=ra",
                                       0};
    CHECK_STR(ingest(&perm, "lightcurves", source, 2, rest, &d), 0);
    s = &d.split[SPLIT_TRAIN];
    CHECK_EQ(d.info.channels, 21);
    check_row(plane(&d, 0, 0, 0), (float[]){asinhf(5), 0, 0, asinhf(-15), 0, 0, 0, 0, 0, 0}, "asinh");
    check_row(plane(&d, 0, 2, 0), (float[]){1 / sqrtf(104), 0, 0, 3 / sqrtf(904), 0, 0, 0, 0, 0, 0}, "its error");
    CHECK_NEAR(plane(&d, 0, 3, 0)[9], 0.5, 0); /* photoz; distmod with its mask */
    CHECK_NEAR(plane(&d, 0, 3, 1)[0], 0, 0);
    CHECK_NEAR(plane(&d, 0, 3, 2)[0], 0, 0);
    CHECK_NEAR(plane(&d, 1, 3, 1)[3], 40, 0);
    CHECK_NEAR(plane(&d, 1, 3, 2)[3], 1, 0);
    CHECK(s->named[0] == SPLIT_TRAIN && s->named[1] == SPLIT_TEST && s->named[2] == SPLIT_VALID);
}

/* Rows in any order, files in any number, give the same. */
static void test_unsorted(void)
{
    enum { N = 3000, OBJECTS = 40 };
    Arena perm = perm_whole;
    Text objects = {0}, sorted = {0}, one = {0}, two = {0};
    static const char head[] = "flux,flux_err,object_id,passband,mjd\r\n";
    text_add(&perm, &objects, "target,object_id\n");
    for (int i = 0; i < OBJECTS; i++) text_addf(&perm, &objects, "%d,star %d\n", i % 3, i);
    text_add(&perm, &sorted, head);
    text_add(&perm, &one, head);
    text_add(&perm, &two, head);
    const char **line = NEW(&perm, const char *, N);
    for (int i = 0; i < N; i++) {
        line[i] = arena_printf(&perm, "%.3f, %.3f,star %d,%d,%.2f\r\n", rng_normal(1, RNG_TEST, (uint64_t)i),
                               0.5 + rng_uniform(2, RNG_TEST, (uint64_t)i), (int)(i * (int64_t)OBJECTS / N), i % 6,
                               1000 * rng_uniform(3, RNG_TEST, (uint64_t)i));
        text_add(&perm, &sorted, line[i]);
    }
    int64_t order[N];
    rng_permutation(1, RNG_TEST, 0, order, N);
    for (int i = 0; i < N; i++) text_add(&perm, i % 3 ? &one : &two, line[order[i]]);
    const char *in_order[] = {file(&perm, "stars.csv", objects.s), file(&perm, "sorted.csv", sorted.s)};
    const char *shuffled[] = {file(&perm, "one.csv", one.s), in_order[0], file(&perm, "two.csv.gz", two.s)};
    static const char *const options[] = {"bins=33", "span=1000", "errors=yes", "start=0", 0};
    Dataset a, b;
    CHECK_STR(ingest(&perm, "lightcurves", in_order, 2, options, &a), 0);
    CHECK_STR(ingest(&perm, "lightcurves", shuffled, 3, options, &b), 0);
    CHECK_CONTAINS(setting_get(a.info.settings, a.info.setting_count, "observations"), "3000, sorted");
    CHECK_CONTAINS(setting_get(b.info.settings, b.info.setting_count, "observations"), "3000, not sorted");
    CHECK_EQ(a.split[SPLIT_TRAIN].count, OBJECTS);
    CHECK_EQ(b.split[SPLIT_TRAIN].count, OBJECTS);
    const float *x = a.split[SPLIT_TRAIN].data, *y = b.split[SPLIT_TRAIN].data;
    for (int64_t i = 0; i < OBJECTS * dataset_sample_values(&a.info); i++)
        if (!CHECK_MSG(fabsf(x[i] - y[i]) <= 1e-5f, "value %d: %g and %g", (int)i, (double)x[i], (double)y[i])) break;
    CHECK_STR(a.info.output_names[1], "1"); /* not PLAsTiCC's */
}

int main(void)
{
    perm_whole = arena_reserve((ptrdiff_t)1 << 33);
    scratch_whole = arena_reserve((ptrdiff_t)1 << 32);
    if (!mkdtemp(folder)) return 1;
    CHECK_RUN(test_graphene);
    CHECK_RUN(test_mos2);
    CHECK_RUN(test_grid);
    CHECK_RUN(test_unsorted);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK(!system(command));
    return check_done("curves");
}
