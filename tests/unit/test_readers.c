/* readers: text tables, NumPy arrays, CIFAR and series files against what was written into them. */
#include "check.h"

#include <float.h>
#include <stdlib.h>
#include <unistd.h>

#include "data/reader.h"
#include "data/readers/delimited.h"

static Arena perm_whole, scratch_whole;
static char folder[] = "/tmp/nas-test-readers-XXXXXX";

/* A file of this content; its path lives in perm. */
static const char *file_of(Arena *perm, const char *name, const void *bytes, size_t n)
{
    const char *path = arena_printf(perm, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(bytes, 1, n, f) == n && !fclose(f));
    return path;
}

static const char *text_of(Arena *perm, const char *name, const char *text)
{
    return file_of(perm, name, text, strlen(text));
}

/* Reads sources as a format, with options that end in 0. */
static const char *ingest(Arena *perm, const char *format, const char *const *sources, int64_t n,
                          const char *const *options, Dataset *d)
{
    IngestSpec spec = {.task = "", .seed = 1};
    for (; options && *options; options++) {
        if (!strncmp(*options, "task=", 5))
            spec.task = *options + 5;
        else if (!strcmp(*options, "skip-bad"))
            spec.skip_bad = true;
        else
            spec.option[spec.option_count++] = *options;
    }
    return reader_find(format)->read(perm, scratch_whole, sources, n, &spec, d);
}
#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, 0})

/* ---- text ---- */

static void check_rows(const char *text, char delimiter, const char *expected)
{
    Arena perm = perm_whole, space = scratch_whole;
    Delimited d;
    Text got = {0};
    text_add(&perm, &got, "");
    if (!CHECK(delimited_open(&perm, &space, text_of(&perm, "rows", text), delimiter, &d))) return;
    while (delimited_next(&d)) {
        text_addf(&perm, &got, "%lld:", (long long)d.line);
        for (int64_t i = 0; i < d.fields; i++) text_addf(&perm, &got, "[%s]", d.field[i]);
        text_add(&perm, &got, "\n");
    }
    if (d.why) text_add(&perm, &got, strstr(d.why, "rows: ") + 6);
    delimited_close(&d);
    CHECK_STR(got.s, expected);
}

static void test_delimited(void)
{
    check_rows("", 0, "");
    check_rows("\n\r\n  \n", 0, "");
    check_rows("a", 0, "1:[a]\n");
    check_rows("a,b\n1,2", 0, "1:[a][b]\n2:[1][2]\n");
    check_rows("\xef\xbb\xbf"
               "a,b\r\n\r\n 1 , 2 \r\n",
               0, "1:[a][b]\n3:[1][2]\n");
    check_rows("a;b,c;d\n", 0, "1:[a][b,c][d]\n");
    check_rows("a\tb c\t\n", 0, "1:[a][b c][]\n");
    check_rows(",\n", 0, "1:[][]\n");
    check_rows("\"a\"\"b\",\"c\nd\",\"\"\n\"e\" ,f", 0, "1:[a\"b][c\nd][]\n3:[e][f]\n");
    check_rows("\"\"\nx\n", 0, "2:[x]\n");
    check_rows("  1   2\t3 \n 4 5 6  \r\n7 8 9 ", ' ', "1:[1][2][3]\n2:[4][5][6]\n3:[7][8][9]\n");
    check_rows("1 2\n", 0, "1:[1][2]\n");
    check_rows("a|b|\"c|d\"\n", '|', "1:[a][b][c|d]\n");
    check_rows("a \"b\",c\n \"d\n", DELIMITED_LINES, "1:[a \"b\",c]\n2:[ \"d]\n");
    check_rows("a\n\"b\nc", ',', "1:[a]\nline 2: a quote is not closed");
    check_rows("a\n\"b\"c,d\n", ',', "1:[a]\nline 2: text behind the closing quote of a field");

    Arena perm = perm_whole, space = scratch_whole;
    Delimited d;
    CHECK(delimited_open(&perm, &space, file_of(&perm, "rows", "a,\0b\n", 5), 0, &d) && !delimited_next(&d));
    CHECK_CONTAINS(d.why, "line 1: a byte 0");
    delimited_close(&d);
    CHECK(!delimited_open(&perm, &space, folder, 0, &d));
    CHECK_CONTAINS(d.why, "Is a directory");

    /* a row across many buffers */
    char *row = NEW(&perm, char, 2000001);
    memset(row, 'x', 2000000);
    row[1000000] = ',';
    CHECK(delimited_open(&perm, &space, text_of(&perm, "rows", row), 0, &d) && delimited_next(&d));
    CHECK(d.fields == 2 && strlen(d.field[0]) == 1000000 && strlen(d.field[1]) == 999999);
    delimited_close(&d);
    space = scratch_whole; /* one that is longer than its memory */
    space.end = space.beg + (1 << 22);
    CHECK(delimited_open(&perm, &space, text_of(&perm, "rows", row), 0, &d) && !delimited_next(&d));
    CHECK_CONTAINS(d.why, "too long");
    delimited_close(&d);
}

static void test_real(void)
{
    static const struct {
        const char *text;
        double value;
    } number[] = {{"0", 0},
                  {"-0.5", -0.5},
                  {"123456789012345", 123456789012345.},
                  {".25", 0.25},
                  {"12.", 12},
                  {"1e-3", 1e-3},
                  {"+7", 7},
                  {"0.1", 0.1},
                  {"3.14159265358979", 3.14159265358979},
                  {"1E5", 100000},
                  {"-1234567.891", -1234567.891},
                  {"0.000000000000001", 1e-15},
                  {"1234567890123456789", 1234567890123456789.},
                  {"340282346638528859811704183484516925440", FLT_MAX}};
    static const char *const missing[] = {"", "?", "NA", "n/a", "NaN", "nan", "NULL", "None"};
    static const char *const none[] = {"x", "1x", "-", ".", "1..2", "inf", "-inf", "1e39", "1 2", "--1", "1e"};
    double v;
    for (int i = 0; i < COUNTOF(number); i++) {
        CHECK(real_parse(number[i].text, &v) == REAL_NUMBER);
        CHECK_MSG(v == number[i].value, "%s is %.17g", number[i].text, v);
    }
    for (int i = 0; i < COUNTOF(missing); i++) CHECK(real_parse(missing[i], &v) == REAL_MISSING && isnan(v));
    for (int i = 0; i < COUNTOF(none); i++) CHECK_MSG(real_parse(none[i], &v) == REAL_NONE && isnan(v), "%s", none[i]);
    for (int i = 0; i < 20000; i++) { /* the short way is the long way */
        char text[40];
        snprintf(text, sizeof text, "%d.%0*d", i * 7919 % 100000 - 50000, 1 + i % 9, i);
        CHECK(real_parse(text, &v) == REAL_NUMBER && v == strtod(text, 0));
    }
}

static void test_csv(void)
{
    Arena perm = perm_whole;
    Dataset d;
    const char *source[] = {text_of(&perm, "a.csv", "id,w,x,label,y\n7,1,2,red,3\n8,4,5,blue,6\n9,?,8,red,9\n")};
    CHECK_STR(ingest(&perm, "csv", source, 1, OPTIONS("ignore=id", "missing=mean", "targets=label"), &d), 0);
    CHECK(d.info.channels == 1 && d.info.height == 1 && d.info.width == 3 && d.info.outputs == 2 && d.missing);
    CHECK_STR(d.info.output_names[0], "blue");
    CHECK_STR(d.info.task, "classification");
    const float *x = d.split[SPLIT_TRAIN].data, *y = d.split[SPLIT_TRAIN].targets;
    CHECK(x[0] == 1 && x[1] == 2 && x[2] == 3 && x[3] == 4 && isnan(x[6]) && x[8] == 9);
    CHECK(y[0] == 1 && y[1] == 0 && y[2] == 1);
    CHECK_CONTAINS(ingest(&perm, "csv", source, 1, OPTIONS("ignore=id"), &d), "a.csv: line 4: column w is missing");
    CHECK_STR(ingest(&perm, "csv", source, 1, OPTIONS("ignore=id", "skip-bad"), &d), 0);
    CHECK(d.split[SPLIT_TRAIN].count == 2 && d.left_out.count == 1);
    CHECK_CONTAINS(ingest(&perm, "csv", source, 1, 0, &d), "line 4: column w is missing");
    CHECK_CONTAINS(ingest(&perm, "csv", source, 1, OPTIONS("targets=nothing"), &d), "no column \"nothing\"");
    CHECK_CONTAINS(ingest(&perm, "csv", source, 1, OPTIONS("shape=3x3", "missing=mean"), &d), "9 values");
    CHECK_CONTAINS(ingest(&perm, "csv", source, 1, OPTIONS("colour=red"), &d), "csv knows");

    /* regression of two targets by number, features by range, no heading */
    source[0] = text_of(&perm, "b.csv", "1;2;3;4;5;6\n7;8;9;10;11;12\n");
    CHECK_STR(ingest(&perm, "csv", source, 1, OPTIONS("targets=6,1", "features=2-5", "shape=2x1x2"), &d), 0);
    x = d.split[SPLIT_TRAIN].data, y = d.split[SPLIT_TRAIN].targets;
    CHECK(d.info.channels == 2 && d.info.height == 1 && d.info.width == 2 && d.info.outputs == 2);
    CHECK_STR(d.info.task, "regression");
    CHECK(x[0] == 2 && x[3] == 5 && x[4] == 8 && y[0] == 6 && y[1] == 1 && y[2] == 12 && y[3] == 7);
    CHECK_CONTAINS(ingest(&perm, "csv", source, 1, 0, &d), "--targets");

    /* bytes, a group, a split, two files of which the second has a heading, too */
    const char *two[] = {text_of(&perm, "c.csv", "class,who,part,p,q\n0,ann,train,0,255\n1,bob,test,3,4\n"),
                         text_of(&perm, "d.csv", "class,who,part,p,q\n1,ann,train,5,6\n")};
    CHECK_STR(ingest(&perm, "csv", two, 2, OPTIONS("type=u8", "group=who", "split=part"), &d), 0);
    const SplitData *s = &d.split[SPLIT_TRAIN];
    CHECK(s->count == 3 && d.info.dtype == DTYPE_U8 && ((const uint8_t *)s->data)[1] == 255);
    CHECK(s->groups && s->groups[0] == s->groups[2] && s->groups[0] != s->groups[1]);
    CHECK(s->named && s->named[1] == SPLIT_TEST && s->named[2] == SPLIT_TRAIN && s->files && s->files[2] == 1);
    CHECK(!d.info.output_names);
    two[1] = text_of(&perm, "d.csv", "1,ann,train,5,256\n");
    CHECK_CONTAINS(ingest(&perm, "csv", two, 2, OPTIONS("type=u8", "group=who", "split=part"), &d),
                   "d.csv: line 1: column q is 256");
    two[1] = text_of(&perm, "d.csv", "1,ann,train,5\n");
    CHECK_CONTAINS(ingest(&perm, "csv", two, 2, OPTIONS("type=u8", "group=who", "split=part"), &d),
                   "d.csv: line 1: 4 fields, 5 expected");
}

/* ---- series ---- */

static void test_ucr(void)
{
    Arena perm = perm_whole;
    Dataset d;
    const char *two[] = {text_of(&perm, "S_TRAIN.txt", "  2.0000000e+00   1.5  -2e0 3\n  1 4 5 6\n"),
                         text_of(&perm, "S_TEST.txt", "1\t7\t8\t9\n2,1,2,3\n")};
    CHECK_STR(ingest(&perm, "ucr", two, 1, 0, &d), 0); /* the test file is found */
    const float *x = d.split[SPLIT_TRAIN].data;
    CHECK(d.info.channels == 1 && d.info.height == 1 && d.info.width == 3 && d.info.outputs == 2);
    CHECK_STR(d.info.name, "S");
    CHECK(x[0] == 1.5f && x[1] == -2 && x[5] == 6);
    CHECK(d.split[SPLIT_TRAIN].targets[0] == 1 && d.split[SPLIT_TEST].targets[1] == 1);
    CHECK_EQ(d.split[SPLIT_TEST].count, 2);
    CHECK(((const float *)d.split[SPLIT_TEST].data)[2] == 9);

    two[0] = text_of(&perm, "T_TRAIN.tsv", "1\t1\tNaN\t3\tNaN\n2\t1\t2\tNaN\tNaN\n");
    CHECK_CONTAINS(ingest(&perm, "ucr", two, 1, 0, &d), "line 1: value 2 is missing");
    CHECK_STR(ingest(&perm, "ucr", two, 1, OPTIONS("length=longest", "missing=interpolate"), &d), 0);
    x = d.split[SPLIT_TRAIN].data;
    CHECK(d.info.width == 3 && x[1] == 2 && x[2] == 3 && x[3] == 1 && x[4] == 2 && x[5] == 0);
    CHECK_STR(ingest(&perm, "ucr", two, 1, OPTIONS("length=2", "missing=mean"), &d), 0);
    x = d.split[SPLIT_TRAIN].data;
    CHECK(d.info.width == 2 && isnan(x[1]) && x[3] == 2 && d.missing);
    two[0] = text_of(&perm, "T_TRAIN.tsv", "1\t1\t2\n1\t1\n");
    CHECK_CONTAINS(ingest(&perm, "ucr", two, 1, 0, &d), "T_TRAIN.tsv: line 2: 1 values, 2 expected");
    two[0] = text_of(&perm, "T_TRAIN.tsv", "1\t1\tabc\n");
    CHECK_CONTAINS(ingest(&perm, "ucr", two, 1, 0, &d), "line 1: \"abc\": a number expected");

    static const char ts[] = "# a comment\n@problemName P\n@timeStamps false\n@univariate false\n@dimensions 2\n"
                             "@classLabel true up down\n@data\n1,2,3:4,?,6:up\n7,8:9:down\n";
    two[0] = text_of(&perm, "P_TRAIN.ts", ts);
    CHECK_CONTAINS(ingest(&perm, "ucr", two, 1, 0, &d), "line 8: value 2 is missing");
    CHECK_STR(ingest(&perm, "ucr", two, 1, OPTIONS("length=3", "missing=zero"), &d), 0);
    x = d.split[SPLIT_TRAIN].data;
    static const float expected[12] = {1, 2, 3, 4, 0, 6, 7, 8, 0, 9, 0, 0};
    CHECK(d.info.channels == 2 && d.info.width == 3 && !memcmp(x, expected, sizeof expected));
    CHECK_STR(d.info.output_names[0], "down");
    CHECK_CONTAINS(ingest(&perm, "ucr", two, 1, OPTIONS("missing=zero"), &d), "line 9: 2 values, 3 expected");
    two[0] = text_of(&perm, "P_TRAIN.ts", "@problemName P\n@targetlabel true\n@data\n1,2:0.5\n3,4:-1\n");
    CHECK_STR(ingest(&perm, "ucr", two, 1, 0, &d), 0);
    CHECK_STR(d.info.task, "regression");
    CHECK(d.split[SPLIT_TRAIN].targets[0] == 0.5f && d.info.outputs == 1);
    static const char *const bad[][2] = {{"@problemName P\n@classLabel true\n", "no @data"},
                                         {"@problemName P\n@data\n1:2\n", "without labels"},
                                         {"@timeStamps true\n@data\n1:2\n", "line 1: @timeStamps true"},
                                         {"@classLabel true a\n@data\n", "no series"},
                                         {"@classLabel true a\n@data\n1,2\n", "line 3: no colon"},
                                         {"@classLabel true a\n@data\n1,2:\n", "label \"\""},
                                         {"@classLabel true a\n@data\n:a\n", "no values"},
                                         {"", "the file is empty"}};
    for (int i = 0; i < COUNTOF(bad); i++) {
        two[0] = text_of(&perm, "Q_TRAIN.ts", bad[i][0]);
        CHECK_CONTAINS(ingest(&perm, "ucr", two, 1, 0, &d), bad[i][1]);
    }
}

/* ---- arrays ---- */

static const char *npy_of(Arena *perm, const char *name, const char *type, bool fortran, const char *shape,
                          const void *data, size_t bytes)
{
    char *file = NEW(perm, char, 200 + (int64_t)bytes);
    const int n = snprintf(file + 10, 180, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", type,
                           fortran ? "True" : "False", shape);
    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = (char)n;
    file[9] = (char)(n >> 8);
    memcpy(file + 10 + n, data, bytes);
    return file_of(perm, name, file, 10 + (size_t)n + bytes);
}

static void test_npy(void)
{
    Arena perm = perm_whole;
    Dataset d;
    static const uint8_t u8[24] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                   12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};
    static const uint8_t label[2] = {1, 0};
    const char *source[] = {npy_of(&perm, "x.npy", "|u1", false, "(2, 2, 2, 3)", u8, 24),
                            npy_of(&perm, "y.npy", "|u1", false, "(2,)", label, 2)};
    CHECK_STR(ingest(&perm, "npy", source, 2, 0, &d), 0); /* (n, h, w, c): three colours */
    const uint8_t *x = d.split[SPLIT_TRAIN].data;
    static const uint8_t planes[12] = {0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11};
    CHECK(d.info.channels == 3 && d.info.height == 2 && d.info.width == 2 && !memcmp(x, planes, 12));
    CHECK(x[12] == 12 && d.split[SPLIT_TRAIN].targets[0] == 1);
    CHECK_STR(ingest(&perm, "npy", source, 2, OPTIONS("layout=nchw"), &d), 0);
    CHECK(d.info.channels == 2 && d.info.width == 3 && !memcmp(d.split[SPLIT_TRAIN].data, u8, 24));
    CHECK_CONTAINS(ingest(&perm, "npy", source, 2, OPTIONS("layout=nhw"), &d), "does not fit");
    CHECK_CONTAINS(ingest(&perm, "npy", source, 2, OPTIONS("layout=nccw"), &d), "each once");

    /* Fortran order, and the sample as the last axis */
    source[0] = npy_of(&perm, "x.npy", "|u1", true, "(2, 3, 4)", u8, 24);
    CHECK_STR(ingest(&perm, "npy", source, 2, 0, &d), 0);
    x = d.split[SPLIT_TRAIN].data;
    CHECK(d.info.height == 3 && d.info.width == 4 && x[0] == 0 && x[1] == 6 && x[4] == 2 && x[12] == 1 && x[23] == 23);
    source[0] = npy_of(&perm, "x.npy", "|u1", false, "(3, 4, 2)", u8, 24);
    CHECK_STR(ingest(&perm, "npy", source, 2, OPTIONS("layout=hwn"), &d), 0);
    x = d.split[SPLIT_TRAIN].data;
    CHECK(d.info.height == 3 && d.info.width == 4 && x[0] == 0 && x[1] == 2 && x[12] == 1 && x[23] == 23);

    /* types and byte orders: each 1, -2 as (2, 1) */
    static const struct {
        const char *type, *bytes;
        int size;
    } type[] = {{"|i1", "\1\xfe", 1},
                {"<i2", "\1\0\xfe\xff", 2},
                {">i2", "\0\1\xff\xfe", 2},
                {">i4", "\0\0\0\1\xff\xff\xff\xfe", 4},
                {"<i8", "\1\0\0\0\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff", 8},
                {"<f2", "\0\x3c\0\xc0", 2},
                {">f2", "\x3c\0\xc0\0", 2},
                {"<f4", "\0\0\x80\x3f\0\0\0\xc0", 4},
                {">f4", "\x3f\x80\0\0\xc0\0\0\0", 4},
                {"<f8", "\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\xc0", 8},
                {">f8", "\x3f\xf0\0\0\0\0\0\0\xc0\0\0\0\0\0\0\0", 8}};
    for (int i = 0; i < COUNTOF(type); i++) {
        source[0] = npy_of(&perm, "x.npy", type[i].type, false, "(2, 1)", type[i].bytes, 2 * (size_t)type[i].size);
        CHECK_STR(ingest(&perm, "npy", source, 2, 0, &d), 0);
        const float *v = d.split[SPLIT_TRAIN].data;
        CHECK_MSG(d.info.dtype == DTYPE_F32 && v[0] == 1 && v[1] == -2, "%s", type[i].type);
    }

    /* targets: one-hot rows, numbers, words of another width */
    static const uint8_t one_hot[6] = {0, 0, 1, 1, 0, 0}, none[6] = {0, 1, 1, 1, 0, 0};
    source[1] = npy_of(&perm, "y.npy", "|u1", false, "(2, 3)", one_hot, 6);
    CHECK_STR(ingest(&perm, "npy", source, 2, OPTIONS("task=classification"), &d), 0);
    CHECK(d.info.outputs == 3 && d.split[SPLIT_TRAIN].targets[0] == 2 && d.split[SPLIT_TRAIN].targets[1] == 0);
    CHECK_STR(ingest(&perm, "npy", source, 2, 0, &d), 0);
    CHECK(d.info.outputs == 3 && d.target_width == 3);
    source[1] = npy_of(&perm, "y.npy", "|u1", false, "(2, 3)", none, 6);
    CHECK_CONTAINS(ingest(&perm, "npy", source, 2, OPTIONS("task=classification"), &d), "sample 0: one 1 among 3");
    source[1] = npy_of(&perm, "y.npy", "|u1", false, "(3,)", none, 3);
    CHECK_CONTAINS(ingest(&perm, "npy", source, 2, 0, &d), "does not fit the 2 samples");
    source[1] = npy_of(&perm, "y.npy", "<f4", false, "(2,)", "\0\0\x80\x3f\0\0\xc0\x7f", 8);
    CHECK_CONTAINS(ingest(&perm, "npy", source, 2, 0, &d), "sample 1: a target that is not finite");

    /* what is wrong with files */
    source[1] = npy_of(&perm, "y.npy", "|u1", false, "(2,)", label, 2);
    static const struct {
        const char *type, *shape, *why;
        size_t bytes;
    } bad[] = {{"|u1", "(2, 2, 3)", "cut short: its shape announces", 11},
               {"|u1", "(2, 2, 3)", "more bytes than its shape announces", 13},
               {"|u1", "(2, 100000)", "cut short: its shape announces", 24},
               {"|u1", "(9223372036854775807, 2, 2)", "no dictionary", 24},
               {"|u1", "(9223372036854775807, 1)", "absurd", 24},
               {"|u1", "(99999999999, 0)", "too many samples", 0},
               {"|u1", "(0, 5)", "zero samples", 0},
               {"|u1", "()", "which axis is what?", 1},
               {"<U5", "(1, 1)", "values of type <U5", 20},
               {"<f4", "(2, 1)", "sample 1: a value that is not finite", 8}};
    for (int i = 0; i < COUNTOF(bad); i++) {
        source[0] = npy_of(&perm, "x.npy", bad[i].type, false, bad[i].shape,
                           bad[i].bytes == 8 ? (const void *)"\0\0\0\0\0\0\x80\x7f" : u8, bad[i].bytes);
        CHECK_CONTAINS(ingest(&perm, "npy", source, 2, 0, &d), bad[i].why);
    }
    source[0] = text_of(&perm, "x.npy", "hello, world");
    CHECK_CONTAINS(ingest(&perm, "npy", source, 2, 0, &d), "byte 0: not a NumPy array");
    source[0] = file_of(&perm, "x.npy", "\x93NUMPY\1\0\x76", 9);
    CHECK_CONTAINS(ingest(&perm, "npy", source, 2, 0, &d), "byte 9: cut short");
}

static void test_cifar(void)
{
    Arena perm = perm_whole;
    Dataset d;
    uint8_t *bytes = NEW(&perm, uint8_t, 4 * 3074);
    for (int i = 0; i < 4 * 3074; i++) bytes[i] = (uint8_t)(i % 251);
    bytes[0] = 3, bytes[3073] = 9;
    const char *source[] = {file_of(&perm, "a.bin", bytes, 2 * 3073)};
    CHECK_STR(ingest(&perm, "cifar", source, 1, 0, &d), 0);
    CHECK(d.info.channels == 3 && d.info.height == 32 && d.info.outputs == 10 && d.split[SPLIT_TRAIN].count == 2);
    CHECK(d.split[SPLIT_TRAIN].targets[1] == 9);
    CHECK(!memcmp(d.split[SPLIT_TRAIN].data, bytes + 1, 3072));
    const char *why;
    CHECK_STR(reader_probe(source[0], &why)->name, "cifar");
    bytes[3073] = 10;
    source[0] = file_of(&perm, "a.bin", bytes, 2 * 3073);
    CHECK_CONTAINS(ingest(&perm, "cifar", source, 1, 0, &d), "a.bin: byte 3073: label 10");
    source[0] = file_of(&perm, "a.bin", bytes, 3073 + 100);
    CHECK_CONTAINS(ingest(&perm, "cifar", source, 1, 0, &d), "a.bin: byte 3173: cut short: 2973 bytes more");
    source[0] = file_of(&perm, "a.bin", bytes, 0);
    CHECK_CONTAINS(ingest(&perm, "cifar", source, 1, 0, &d), "a.bin: byte 0: cut short");
    bytes[0] = 19, bytes[1] = 99, bytes[3074] = 0, bytes[3075] = 5;
    source[0] = file_of(&perm, "a.bin", bytes, 2 * 3074);
    CHECK_STR(ingest(&perm, "cifar", source, 1, 0, &d), 0);
    CHECK(d.info.outputs == 100 && d.split[SPLIT_TRAIN].targets[0] == 99 && d.split[SPLIT_TRAIN].targets[1] == 5);
    CHECK_STR(ingest(&perm, "cifar", source, 1, OPTIONS("labels=coarse"), &d), 0);
    CHECK(d.info.outputs == 20 && d.split[SPLIT_TRAIN].targets[0] == 19);
}

int main(void)
{
    if (!mkdtemp(folder)) return 1;
    perm_whole = arena_reserve((ptrdiff_t)1 << 32);
    scratch_whole = arena_reserve((ptrdiff_t)1 << 30);
    CHECK_RUN(test_delimited);
    CHECK_RUN(test_real);
    CHECK_RUN(test_csv);
    CHECK_RUN(test_ucr);
    CHECK_RUN(test_npy);
    CHECK_RUN(test_cifar);
    static const char *const left[] = {"rows",        "a.csv",      "b.csv",       "c.csv",      "d.csv",
                                       "S_TRAIN.txt", "S_TEST.txt", "T_TRAIN.tsv", "P_TRAIN.ts", "Q_TRAIN.ts",
                                       "x.npy",       "y.npy",      "a.bin"};
    for (int i = 0; i < COUNTOF(left); i++) {
        Arena perm = perm_whole;
        unlink(arena_printf(&perm, "%s/%s", folder, left[i]));
    }
    CHECK(!rmdir(folder));
    return check_done("readers");
}
