/* Tests of src/stream on what must work: every kind and field, files, pipes, provenance, the public format. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "stream_records.h"

static Arena perm, once;
static char dir[] = "/tmp/nas-test-stream-XXXXXX";

static const char *in_dir(const char *name)
{
    return arena_printf(&perm, "%s/%s", dir, name);
}

/* Reads a stream that must be whole and compares its records. */
static void read_stream(const char *path, const Record *all, int64_t n)
{
    Reader *in = reader_open(&perm, path);
    Record r;
    int64_t i = 0;
    for (StreamStatus s;; i++) {
        Arena a = once;
        if ((s = reader_next(in, &a, &r)) != STREAM_RECORD) {
            CHECK_EQ(s, STREAM_END);
            CHECK_STR(reader_error(in), 0);
            break;
        }
        CHECK_EQ(r.number, i + 1);
        if (i < n) same_record(&r, &all[i]);
    }
    CHECK_EQ(i, n);
    reader_close(in);
}

static void test_every_kind(void)
{
    Record all[RECORD_KINDS];
    make_records(&perm, all);
    const char *path = in_dir("all.nas");
    CHECK(write_stream(perm, path, all, RECORD_KINDS));
    read_stream(path, all, RECORD_KINDS);
}

static void test_empty_records(void)
{
    Record all[RECORD_KINDS] = {0};
    for (int i = 0; i < RECORD_KINDS; i++) all[i].kind = (RecordKind)(REC_DATASET + i);
    all[REC_TENSOR - REC_DATASET].tensor.rank = 1; /* a tensor without dimensions has one value: give it none */
    all[REC_TENSOR - REC_DATASET].tensor.shape = NEW(&perm, int64_t, 1);
    const char *path = in_dir("empty.nas");
    CHECK(write_stream(perm, path, all, RECORD_KINDS));
    read_stream(path, all, RECORD_KINDS);
    CHECK(write_stream(perm, path, all, 0));
    read_stream(path, all, 0);
}

static void test_optional_arrays(void)
{
    Record all[RECORD_KINDS];
    make_records(&perm, all);
    DatasetInfo *d = &all[REC_DATASET - REC_DATASET].dataset;
    d->output_names = 0, d->target_mean = d->target_sd = d->class_weight = d->metric_weight = 0;
    NetworkRecord *n = &all[REC_NETWORK - REC_DATASET].network;
    n->target_mean = n->target_sd = n->class_weight = 0;
    all[REC_SAMPLES - REC_DATASET].samples.ids = 0;
    all[REC_SAMPLES - REC_DATASET].samples.groups = 0;
    all[REC_PREDICTIONS - REC_DATASET].predictions.ids = 0;
    all[REC_PREDICTIONS - REC_DATASET].predictions.output_names = 0;
    all[REC_EVALUATION - REC_DATASET].evaluation.confusion = 0;
    all[REC_GENOTYPE - REC_DATASET].genotype.margin_count = 0;
    const char *path = in_dir("optional.nas");
    CHECK(write_stream(perm, path, all, RECORD_KINDS));
    read_stream(path, all, RECORD_KINDS);
}

/* What was written once must be readable for ever: the numbers of the schema and the checksum are pinned here. */
static void test_format_is_stable(void)
{
    Record all[RECORD_KINDS];
    make_records(&perm, all);
    static const struct {
        int kinds; /* the first so many of stream_records.h: their bytes change only as it gets new fields */
        int64_t bytes;
        const char *digest;
    } stable[] = {{14, 3050, "607c57a23f1f25fb"}, {15, 3142, "364c19e8cbf5c2e4"}, {16, 3244, "4917bdb7f8c8f61f"}};
    const char *path = in_dir("stable.nas");
    Reader *in;
    Record r;
    for (int i = 0; i < COUNTOF(stable); i++) {
        CHECK(write_stream(perm, path, all, stable[i].kinds));
        in = reader_open(&perm, path);
        StreamStatus s;
        int64_t bytes = 0;
        while ((s = reader_next(in, &(Arena){once.beg, once.end}, &r)) == STREAM_RECORD) bytes += r.byte_count;
        CHECK_EQ(s, STREAM_END);
        CHECK_EQ(bytes, stable[i].bytes);
        CHECK_STR(reader_digest(in, &perm), stable[i].digest);
        reader_close(in);
    }
    CHECK_EQ(stable[COUNTOF(stable) - 1].kinds, RECORD_KINDS);

    Record event = {REC_EVENT, .event = {"a", "bc", 300}};
    CHECK(write_stream(perm, path, &event, 1));
    int64_t n;
    const unsigned char *file = slurp(&perm, path, &n);
    CHECK(file && n > 7 && memcmp(file, "\x04\x22\x4D\x18", 4) == 0); /* an LZ4 frame with these flags: */
    if (file) CHECK_EQ(file[4], 0x40 | 0x20 | 0x10 | 0x04);           /* version 1, independent, both checksums */
    in = reader_open(&perm, path);
    CHECK_EQ(reader_next(in, &(Arena){once.beg, once.end}, &r), STREAM_RECORD);
    static const unsigned char expected[] = {0x82, 0x01, 10, 0x0A, 1, 'a', 0x12, 2, 'b', 'c', 0x18, 0xAC, 2};
    CHECK_EQ(r.byte_count, sizeof expected);
    CHECK(memcmp(r.bytes, expected, sizeof expected) == 0);
    reader_close(in);
}

static void test_provenance(void)
{
    const char *first = in_dir("first.nas"), *second = in_dir("second.nas");
    CHECK(write_stream(perm, first, &(Record){REC_EVENT, .event = {"a", "b", 1}}, 1));
    Provenance self = {.program = "next", .seed = INT64_MAX};

    /* The writer is opened before anything was read, as filters do. */
    Reader *in = reader_open(&perm, first);
    Writer *out = writer_open(&perm, second, in, &self);
    Record r;
    StreamStatus s;
    while ((s = reader_next(in, &(Arena){once.beg, once.end}, &r)) == STREAM_RECORD) writer_pass(out, &r);
    CHECK_EQ(s, STREAM_END);
    CHECK(writer_finish(out));
    reader_close(in);

    /* Two segments: the programs of both. */
    CHECK_EQ(shell("cat '%s' '%s' > '%s'", second, first, in_dir("both.nas")), 0);
    in = reader_open(&perm, in_dir("both.nas"));
    int64_t records = 0, count;
    while ((s = reader_next(in, &(Arena){once.beg, once.end}, &r)) == STREAM_RECORD) CHECK_EQ(r.number, ++records);
    CHECK_EQ(s, STREAM_END);
    CHECK_EQ(records, 2);
    const Provenance *p = reader_provenance(in, &count);
    CHECK_EQ(count, 3);
    if (count == 3)
        same_provenance(&p[0], &self_provenance), same_provenance(&p[1], &self),
            same_provenance(&p[2], &self_provenance);
    reader_close(in);
}

static void test_concatenation(void)
{
    Record all[2 * RECORD_KINDS];
    make_records(&perm, all);
    make_records(&perm, all + RECORD_KINDS);
    const char *a = in_dir("a.nas"), *none = in_dir("none.nas"), *b = in_dir("b.nas"), *c = in_dir("c.nas");
    CHECK(write_stream(perm, a, all, RECORD_KINDS));
    CHECK(write_stream(perm, none, all, 0));
    CHECK(write_stream(perm, b, all + RECORD_KINDS, RECORD_KINDS));
    CHECK_EQ(shell("cat '%s' '%s' '%s' '%s' > '%s'", none, a, none, b, c), 0);
    read_stream(c, all, 2 * RECORD_KINDS);
}

/* A kind of a later version goes through put and pass byte for byte. */
static void test_unknown_kind(void)
{
    static const char bytes[] = {(char)0xA2, 0x06, 3, 'x', 0, (char)0xFF}; /* field 100 */
    Record all[3] = {{REC_EVENT, .event = {"a", "b", 1}},
                     {REC_UNKNOWN, .bytes = bytes, .byte_count = sizeof bytes},
                     {REC_EVENT, .event = {"c", "d", 2}}};
    const char *first = in_dir("unknown.nas"), *second = in_dir("unknown2.nas");
    CHECK(write_stream(perm, first, all, 3));
    read_stream(first, all, 3);
    Reader *in = reader_open(&perm, first);
    Writer *out = writer_open(&perm, second, in, &self_provenance);
    Record r;
    for (;;) {
        Arena a = once;
        if (reader_next(in, &a, &r) != STREAM_RECORD) break;
        if (r.kind == REC_UNKNOWN)
            writer_put(out, &r);
        else
            writer_pass(out, &r);
    }
    CHECK_STR(reader_error(in), 0);
    CHECK(writer_finish(out));
    reader_close(in);
    read_stream(second, all, 3);
}

static void test_bad_texts_are_replaced(void)
{
    Record written = {REC_EVENT,
                      .event = {"caf\xE9 \xC3\xA9 \xED\xA0\x80 \xF4\x90\x80\x80 \xC0\xAF", "\xF0\x9F\x94", 0}};
    const char *path = in_dir("latin1.nas");
    CHECK(write_stream(perm, path, &written, 1));
    Record read = {REC_EVENT, .event = {"caf\uFFFD \u00E9 \uFFFD\uFFFD\uFFFD \uFFFD\uFFFD\uFFFD\uFFFD \uFFFD\uFFFD",
                                        "\uFFFD\uFFFD\uFFFD", 0}};
    read_stream(path, &read, 1);
}

static void test_writer_refuses(void)
{
    double one[1] = {1};
    int64_t huge[2] = {INT64_MAX, 4}, three[1] = {3};
    const char *names[1] = {"x"};
    AlphaTable table = {.edges = 2, .ops = 2, .raw = one};
    struct {
        const char *why;
        Record r;
    } cases[] = {
        {"dataset_info: channels: -1 is below 0", {REC_DATASET, .dataset = {.channels = -1}}},
        {"dataset_info: mean: 0 values, 3 expected", {REC_DATASET, .dataset = {.channels = 3}}},
        {"dataset_info: dtype: there is no choice 4", {REC_DATASET, .dataset = {.dtype = (DType)4}}},
        {"dataset_info: split_count: -5 is below 0", {REC_DATASET, .dataset = {.split_count = {0, -5}}}},
        {"samples: split: there is no choice 4", {REC_SAMPLES, .samples = {.split = SPLIT_COUNT}}},
        {"samples: targets: 0 values, 2 expected", {REC_SAMPLES, .samples = {.count = 2, .target_width = 1}}},
        {"samples: targets: its shape is negative or overflows",
         {REC_SAMPLES, .samples = {.count = INT64_MAX, .target_width = 2}}},
        {"samples: data: 5 bytes, but none are there", {REC_SAMPLES, .samples = {.count = 1, .data_bytes = 5}}},
        {"samples: data: -8 bytes", {REC_SAMPLES, .samples = {.count = 1, .data = one, .data_bytes = -8}}},
        {"samples: data: 6 bytes cannot be", {REC_SAMPLES, .samples = {.count = 1, .data = one, .data_bytes = 6}}},
        {"samples: data: 0 bytes cannot be", {REC_SAMPLES, .samples = {.count = 1}}},
        {"samples: data: 4 bytes cannot be", {REC_SAMPLES, .samples = {.data = one, .data_bytes = 4}}},
        {"samples: first + count overflows",
         {REC_SAMPLES, .samples = {.first = INT64_MAX, .count = 1, .data = one, .data_bytes = 4}}},
        {"search_space: ops: 0 values, 2 expected", {REC_SPACE, .space = {.op_count = 2}}},
        {"search_space: ops: its shape is negative", {REC_SPACE, .space = {.op_count = -2, .ops = names}}},
        {"alpha_table: weight: 0 values, 4 expected",
         {REC_SEARCH_EPOCH, .search_epoch = {.tables = &table, .table_count = 1}}},
        {"search_epoch: tables: 0 values, 1 expected", {REC_SEARCH_EPOCH, .search_epoch = {.table_count = 1}}},
        {"genotype: epoch: -2 is below -1", {REC_GENOTYPE, .genotype = {.epoch = -2}}},
        {"tensor: data: 4 bytes do not fill its shape",
         {REC_TENSOR, .tensor = {.shape = three, .rank = 1, .data = one, .data_bytes = 4}}},
        {"tensor: data: 4 bytes do not fill its shape",
         {REC_TENSOR, .tensor = {.shape = huge, .rank = 2, .data = one, .data_bytes = 4}}},
        {"evaluation: confusion: its shape is negative",
         {REC_EVALUATION, .evaluation = {.confusion = one, .confusion_size = INT64_MAX}}},
        {"samples: 104857607 bytes are more than a record may have",
         {REC_SAMPLES, .samples = {.count = 1, .data = once.beg, .data_bytes = 100 << 20}}},
    };
    const char *path = in_dir("refused.nas");
    for (ptrdiff_t i = 0; i < COUNTOF(cases); i++) {
        Writer *out = writer_open(&perm, path, 0, &self_provenance);
        writer_put(out, &(Record){REC_EVENT, .event = {"a", "b", 0}});
        writer_put(out, &cases[i].r);
        CHECK_CONTAINS(writer_error(out), cases[i].why);
        CHECK_CONTAINS(writer_error(out), "refused.nas: record 2: ");
        writer_put(out, &(Record){REC_EVENT, .event = {"a", "b", 0}}); /* sticks */
        CHECK(!writer_finish(out));
        CHECK(access(path, F_OK) != 0);
    }
}

/* ---- files ---- */

static int64_t files_in_dir(void)
{
    int64_t n;
    CHECK_EQ(shell("ls -A '%s' | wc -l > '%s.count'", dir, dir), 0);
    const unsigned char *text = slurp(&perm, arena_printf(&perm, "%s.count", dir), &n);
    unlink(arena_printf(&perm, "%s.count", dir));
    return text ? atoll((const char *)text) : -1;
}

static void test_files_appear_whole(void)
{
    const char *path = in_dir("whole.nas"), *link = in_dir("link.nas");
    Record event = {REC_EVENT, .event = {"a", "b", 1}};
    int64_t files = files_in_dir();

    Writer *out = writer_open(&perm, path, 0, &self_provenance);
    writer_put(out, &event);
    writer_flush(out);
    CHECK(access(path, F_OK) != 0);
    CHECK(writer_temporary(out) && access(writer_temporary(out), F_OK) == 0);
    CHECK(!writer_is_stdout(out));
    writer_abandon(out);
    CHECK_STR(writer_temporary(out), 0);
    CHECK_EQ(files_in_dir(), files);

    /* A leftover of a killed process of the same number is no obstacle. */
    CHECK_EQ(shell("touch '%s.tmp%ld'", path, (long)getpid()), 0);
    CHECK(write_stream(perm, path, &event, 1));
    CHECK_EQ(files_in_dir(), files + 1);
    read_stream(path, &event, 1);

    /* An old file stays while a new one fails, and is replaced with its mode, also behind a link. */
    CHECK_EQ(chmod(path, 0640), 0);
    CHECK_EQ(symlink("whole.nas", link), 0);
    out = writer_open(&perm, link, 0, &self_provenance);
    writer_put(out, &(Record){REC_GENOTYPE, .genotype = {.epoch = -7}});
    CHECK(!writer_finish(out));
    read_stream(link, &event, 1);
    event.event.epoch = 2;
    CHECK(write_stream(perm, link, &event, 1));
    read_stream(path, &event, 1);
    struct stat status;
    CHECK(lstat(link, &status) == 0 && S_ISLNK(status.st_mode));
    CHECK(stat(path, &status) == 0 && (status.st_mode & 0777) == 0640);
    CHECK_EQ(files_in_dir(), files + 2);
}

/* The error that comes from writing 1 MiB of noise to a path. */
static const char *error_of(const char *path)
{
    enum { N = 1 << 20 };
    unsigned char *noise = NEW(&perm, unsigned char, N);
    for (uint32_t i = 0, x = 1; i < N; i++, x = x * 1664525 + 1013904223) noise[i] = (unsigned char)(x >> 24);
    Writer *out = writer_open(&perm, path, 0, &self_provenance);
    writer_put(out, &(Record){REC_SAMPLES, .samples = {.count = 1, .dtype = DTYPE_U8, .data = noise, .data_bytes = N}});
    writer_flush(out);
    bool ok = writer_finish(out);
    CHECK_EQ(ok, writer_error(out) == 0);
    return writer_error(out);
}

static void test_write_errors(void)
{
    int64_t files = files_in_dir();
    CHECK_STR(error_of("/dev/full"), "/dev/full: No space left on device");
    CHECK_STR(error_of("/dev/null"), 0);
    const char *path = in_dir("no-folder/x.nas");
    CHECK_STR(error_of(path), arena_printf(&perm, "%s: No such file or directory", path));
    CHECK_STR(error_of(dir), arena_printf(&perm, "%s: Is a directory", dir));
    CHECK_CONTAINS(error_of("/dev/null/x.nas"), "/dev/null/x.nas: Not a directory");
    CHECK_CONTAINS(error_of(""), ": No such file or directory");

    /* A small stream on a full device fails when it is finished, not before. */
    Writer *out = writer_open(&perm, "/dev/full", 0, &self_provenance);
    CHECK(!writer_finish(out));
    CHECK_STR(writer_error(out), "/dev/full: No space left on device");

    /* A disk that fills up: the file may grow to 100 kB. */
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, small = {100000, RLIM_INFINITY};
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    path = in_dir("limited.nas");
    CHECK_STR(error_of(path), arena_printf(&perm, "%s: File too large", path));
    /* The same for a stream that is so small that all of it is written at the end. */
    small.rlim_cur = 20;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    out = writer_open(&perm, path, 0, &self_provenance);
    CHECK_STR(writer_error(out), 0);
    CHECK(!writer_finish(out));
    CHECK_STR(writer_error(out), arena_printf(&perm, "%s: File too large", path));
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
    CHECK_EQ(files_in_dir(), files);

    /* A folder that takes the name meanwhile. */
    out = writer_open(&perm, path, 0, &self_provenance);
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK(!writer_finish(out));
    CHECK_STR(writer_error(out), arena_printf(&perm, "%s: Is a directory", path));
    CHECK_EQ(rmdir(path), 0);
    CHECK_EQ(files_in_dir(), files);
}

static void test_unwritable_folder(void)
{
    const char *folder = in_dir("locked"), *path = in_dir("locked/x.nas");
    CHECK_EQ(mkdir(folder, 0500), 0);
    bool root = geteuid() == 0; /* may write everywhere: be nobody for a moment */
    if (root) CHECK(chmod(dir, 0755) == 0 && seteuid(65534) == 0);
    CHECK_STR(error_of(path), arena_printf(&perm, "%s: Permission denied", path));
    if (root) CHECK_EQ(seteuid(0), 0);
    CHECK_EQ(rmdir(folder), 0);
}

static void test_standard_output(void)
{
    const char *path = in_dir("stdout.nas");
    Record event = {REC_EVENT, .event = {"a", "b", 1}};
    fflush(stdout);
    int keep = dup(STDOUT_FILENO), file = open(path, O_CREAT | O_WRONLY, 0600);
    dup2(file, STDOUT_FILENO);
    Writer *out = writer_open(&perm, "-", 0, &self_provenance);
    writer_put(out, &event);
    bool is_stdout = writer_is_stdout(out), temporary = writer_temporary(out), ok = writer_finish(out);
    bool still_open = write(STDOUT_FILENO, "", 0) == 0;

    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    close(ends[0]);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[1]);
    signal(SIGPIPE, SIG_IGN);
    const char *broken = error_of("-");
    signal(SIGPIPE, SIG_DFL);

    dup2(keep, STDOUT_FILENO);
    close(keep);
    close(file);
    CHECK(is_stdout && !temporary && ok && still_open);
    CHECK_STR(broken, "<stdout>: Broken pipe");

    keep = dup(STDIN_FILENO), file = open(path, O_RDONLY);
    dup2(file, STDIN_FILENO);
    read_stream("-", &event, 1);
    if (keep >= 0) dup2(keep, STDIN_FILENO), close(keep);
    close(file);
}

/* What was flushed can be read before the stream ends. */
static void test_pipe_is_live(void)
{
    const char *path = in_dir("fifo");
    CHECK_EQ(mkfifo(path, 0600), 0);
    int hold = open(path, O_RDWR); /* lets both sides open without waiting */
    CHECK(hold >= 0);
    Record event = {REC_EVENT, .event = {"a", "b", 1}}, r;
    Writer *out = writer_open(&perm, path, 0, &self_provenance);
    CHECK_STR(writer_temporary(out), 0);
    Reader *in = reader_open(&perm, path);
    alarm(20); /* ends the test if a read waits for ever */
    for (int i = 0; i < 3; i++) {
        writer_put(out, &event);
        writer_flush(out);
        Arena a = once;
        CHECK_EQ(reader_next(in, &a, &r), STREAM_RECORD);
        same_record(&r, &event);
        event.event.epoch++;
    }
    CHECK(writer_finish(out));
    close(hold);
    Arena a = once;
    CHECK_EQ(reader_next(in, &a, &r), STREAM_END);
    alarm(0);
    reader_close(in);
    struct stat status;
    CHECK(stat(path, &status) == 0 && S_ISFIFO(status.st_mode));
    unlink(path);
}

static void test_read_errors(void)
{
    Record r;
    const char *path = in_dir("absent.nas");
    Reader *in = reader_open(&perm, path);
    Arena a = once;
    for (int i = 0; i < 2; i++) CHECK_EQ(reader_next(in, &a, &r), STREAM_ERROR);
    CHECK_STR(reader_error(in), arena_printf(&perm, "%s: No such file or directory", path));
    CHECK(!reader_damaged(in));
    CHECK_STR(reader_name(in), path);
    reader_close(in);

    in = reader_open(&perm, dir);
    Writer *out = writer_open(&perm, in_dir("from.nas"), in, &self_provenance); /* reads the header, which fails */
    CHECK_EQ(reader_next(in, &a, &r), STREAM_ERROR);
    CHECK_STR(reader_error(in), arena_printf(&perm, "%s: Is a directory", dir));
    CHECK(!reader_damaged(in));
    writer_abandon(out);
    reader_close(in);
}

/* ---- the public format, by other people's programs ---- */

static void test_lz4_program(void)
{
    if (shell("command -v lz4 >/dev/null 2>&1") != 0) CHECK_SKIP("lz4 is not installed");
    Record all[RECORD_KINDS];
    make_records(&perm, all);
    const char *path = in_dir("for-lz4.nas"), *again = in_dir("again.nas");
    CHECK(write_stream(perm, path, all, RECORD_KINDS));
    CHECK_EQ(shell("lz4 -tq '%s'", path), 0);
    /* Recompressed, in linked blocks of 64 KiB and of 4 MiB, and two segments in one frame. */
    CHECK_EQ(shell("lz4 -dc '%s' | lz4 -q -9 -B4 -BD > '%s'", path, again), 0);
    read_stream(again, all, RECORD_KINDS);
    CHECK_EQ(shell("lz4 -dc '%s' | lz4 -q --content-size -B7 --no-frame-crc > '%s'", path, again), 0);
    read_stream(again, all, RECORD_KINDS);
    Record twice[2 * RECORD_KINDS];
    memcpy(twice, all, sizeof all);
    memcpy(twice + RECORD_KINDS, all, sizeof all);
    CHECK_EQ(shell("{ lz4 -dc '%s'; lz4 -dc '%s'; } | lz4 -q > '%s'", path, path, again), 0);
    read_stream(again, twice, 2 * RECORD_KINDS);
}

static void test_protoc_program(void)
{
    if (shell("command -v lz4 >/dev/null 2>&1 && command -v protoc >/dev/null 2>&1") != 0)
        CHECK_SKIP("lz4 or protoc is not installed");
    if (access("schemas/nas/v1/nas.proto", R_OK) != 0) CHECK_SKIP("not run from the root of the sources");
    Record all[RECORD_KINDS];
    make_records(&perm, all);
    const char *path = in_dir("for-protoc.nas"), *text = in_dir("records.txt");
    CHECK(write_stream(perm, path, all, RECORD_KINDS));
    CHECK_EQ(shell("lz4 -dc '%s' | protoc --decode=nas.v1.Stream -I schemas nas/v1/nas.proto > '%s'", path, text), 0);
    CHECK_EQ(shell("test $(grep -c '^record {' '%s') = %d", text, RECORD_KINDS + 2), 0);
    CHECK(shell("grep -qE '^ *[0-9]+[: ]' '%s'", text) != 0); /* no field without a name */
    for (int k = REC_DATASET; k <= REC_LAST; k++)
        CHECK_MSG(shell("grep -q '^  %s {' '%s'", record_kind_name((RecordKind)k), text) == 0, "%s is not there",
                  record_kind_name((RecordKind)k));
    /* And back: protoc's own encoding of the text is the same stream. */
    CHECK_EQ(shell("protoc --encode=nas.v1.Stream -I schemas nas/v1/nas.proto < '%s' > '%s.bin' && "
                   "lz4 -dc '%s' | cmp - '%s.bin'",
                   text, text, path, text),
             0);
}

/* ---- size and speed ---- */

static void test_largest_record(void)
{
    enum { N = (64 << 20) - 64 };
    Record r = {REC_SAMPLES, .samples = {.count = 1, .dtype = DTYPE_U8, .data = NEW(&perm, char, N), .data_bytes = N}};
    const char *path = in_dir("largest.nas");
    CHECK(write_stream(perm, path, &r, 1));
    read_stream(path, &r, 1); /* `once` has READER_ARENA_BYTES */
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void test_speed(void)
{
    enum { CHUNK = 512 * 28 * 28, CHUNKS = 250, MEGABYTES = CHUNK / 1000 * CHUNKS / 1000 };
    unsigned char *pixels = NEW(&perm, unsigned char, CHUNK);
    for (uint32_t i = 0, x = 1; i < CHUNK; i++, x = x * 1664525 + 1013904223)
        pixels[i] =
            i % 64 < 32 ? 0 : (unsigned char)(x >> 24); /* half of it is background, half cannot be compressed */
    float *targets = NEW(&perm, float, 512);
    int64_t *ids = NEW(&perm, int64_t, 512);
    Record r = {REC_SAMPLES, .samples = {.count = 512,
                                         .dtype = DTYPE_U8,
                                         .data = pixels,
                                         .data_bytes = CHUNK,
                                         .targets = targets,
                                         .target_width = 1,
                                         .ids = ids}};
    const char *path = in_dir("speed.nas");
    double start = cpu_seconds();
    Writer *out = writer_open(&perm, path, 0, &self_provenance);
    for (int i = 0; i < CHUNKS; i++) r.samples.first = 512 * i, writer_put(out, &r);
    CHECK(writer_finish(out));
    double wrote = cpu_seconds();
    Reader *in = reader_open(&perm, path);
    StreamStatus s;
    while ((s = reader_next(in, &(Arena){once.beg, once.end}, &r)) == STREAM_RECORD)
        CHECK_EQ(r.samples.data_bytes, CHUNK);
    CHECK_EQ(s, STREAM_END);
    reader_close(in);
    double write_rate = MEGABYTES / (wrote - start), read_rate = MEGABYTES / (cpu_seconds() - wrote);
    unlink(path);
    printf("%d MB of samples: written at %.0f MB/s, read at %.0f MB/s of processor time\n", MEGABYTES, write_rate,
           read_rate);
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK(check_emulated() || write_rate > 200);
    CHECK(check_emulated() || read_rate > 200);
#endif
}

static void test_helpers(void)
{
    Metric m[] = {{"loss", "train", 1}, {"loss", "test", 2}, {"gap", 0, 3}};
    CHECK_NEAR(metric_get(m, 3, "test", "loss"), 2, 0);
    CHECK_NEAR(metric_get(m, 3, "", "gap"), 3, 0);
    CHECK(isnan(metric_get(m, 3, "alpha", "loss")));
    Setting s[] = {{"a", "1"}, {"b", "2"}};
    CHECK_STR(setting_get(s, 2, "b"), "2");
    CHECK_STR(setting_get(s, 2, "c"), 0);
    CHECK_STR(record_kind_name(REC_SEARCH_EPOCH), "search_epoch");
    CHECK_STR(record_kind_name(REC_UNKNOWN), "unknown");
    CHECK_STR(record_kind_name((RecordKind)1), "unknown");
    CHECK_EQ(dtype_size(DTYPE_F32) + 100 * dtype_size(DTYPE_U8) + 1000 * dtype_size(DTYPE_F64), 8104);
    CHECK_STR(split_name[SPLIT_VALID], "validation");
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 30);
    once = arena_reserve(READER_ARENA_BYTES);
    if (!mkdtemp(dir)) return perror(dir), 1;
    CHECK_RUN(test_every_kind);
    CHECK_RUN(test_empty_records);
    CHECK_RUN(test_optional_arrays);
    CHECK_RUN(test_format_is_stable);
    CHECK_RUN(test_provenance);
    CHECK_RUN(test_concatenation);
    CHECK_RUN(test_unknown_kind);
    CHECK_RUN(test_bad_texts_are_replaced);
    CHECK_RUN(test_writer_refuses);
    CHECK_RUN(test_files_appear_whole);
    CHECK_RUN(test_write_errors);
    CHECK_RUN(test_unwritable_folder);
    CHECK_RUN(test_standard_output);
    CHECK_RUN(test_pipe_is_live);
    CHECK_RUN(test_read_errors);
    CHECK_RUN(test_lz4_program);
    CHECK_RUN(test_protoc_program);
    CHECK_RUN(test_largest_record);
    CHECK_RUN(test_speed);
    CHECK_RUN(test_helpers);
    shell("rm -rf '%s'", dir);
    return check_done("stream");
}
