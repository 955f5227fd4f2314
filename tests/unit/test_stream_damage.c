/* Tests of src/stream on what must be refused: a stream that is cut, flipped, spliced, hostile or no stream at all. */
#include <lz4frame.h>
#include <stdlib.h>
#include <unistd.h>

#include "stream_records.h"

static Arena perm, once;
static char dir[] = "/tmp/nas-test-damage-XXXXXX";

typedef struct {
    const unsigned char *bytes;
    int64_t n;
} Bytes;

/* ---- what a reader makes of some bytes ---- */

typedef struct {
    StreamStatus status;
    const char *error;
    bool damaged;
    int64_t records;
    uint64_t sum; /* of the bytes of its records */
} Outcome;

static Outcome read_within(Arena *keep, Arena room, Bytes stream)
{
    Reader *in = reader_open_memory(keep, stream.bytes, stream.n, "x.nas");
    Outcome o = {.sum = 14695981039346656037u};
    for (;; o.records++) {
        Record r;
        Arena a = room;
        if ((o.status = reader_next(in, &a, &r)) != STREAM_RECORD) break;
        for (int64_t i = 0; i < r.byte_count; i++)
            o.sum = (o.sum ^ ((const unsigned char *)r.bytes)[i]) * 1099511628211u;
    }
    Record again;
    if (o.status == STREAM_ERROR) CHECK_EQ(reader_next(in, &room, &again), STREAM_ERROR); /* it sticks */
    o.error = reader_error(in);
    o.damaged = reader_damaged(in);
    CHECK((o.status == STREAM_ERROR) == (o.error != 0));
    reader_close(in);
    return o;
}

/* The error text lives until the next call. */
static Outcome read_bytes(Bytes stream)
{
    static Arena keep;
    if (!keep.beg) keep = arena_reserve(64 << 20);
    Arena now = keep;
    return read_within(&now, once, stream);
}

static void check_damage(Bytes stream, const char *why)
{
    Outcome o = read_bytes(stream);
    CHECK_EQ(o.status, STREAM_ERROR);
    CHECK(o.damaged);
    CHECK_CONTAINS(o.error, why);
}

/* ---- LZ4 around bytes ---- */

static Bytes framed(Arena *a, Bytes plain)
{
    LZ4F_preferences_t p = {.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled};
    size_t most = LZ4F_compressFrameBound((size_t)plain.n, &p);
    unsigned char *to = NEW(a, unsigned char, (ptrdiff_t)most);
    size_t n = LZ4F_compressFrame(to, most, plain.bytes, (size_t)plain.n, &p);
    CHECK(!LZ4F_isError(n));
    return (Bytes){to, (int64_t)n};
}

static Bytes decoded(Arena *a, Bytes stream)
{
    size_t n = 1 << 20, taken = (size_t)stream.n;
    unsigned char *to = NEW(a, unsigned char, (ptrdiff_t)n);
    LZ4F_dctx *lz4;
    CHECK(!LZ4F_isError(LZ4F_createDecompressionContext(&lz4, LZ4F_VERSION)));
    CHECK_EQ(LZ4F_decompress(lz4, to, &n, stream.bytes, &taken, 0), 0);
    CHECK_EQ(taken, stream.n);
    LZ4F_freeDecompressionContext(lz4);
    return (Bytes){to, (int64_t)n};
}

/* ---- a small stream of all kinds ---- */

static Bytes whole, plain;           /* as it is in the file, and decoded */
static Bytes part[RECORD_KINDS + 2]; /* its records with tag and length: header, …, trailer */
static Outcome good;

static Bytes join(Arena *a, Bytes x, Bytes y)
{
    unsigned char *to = NEW(a, unsigned char, x.n + y.n);
    if (x.n) memcpy(to, x.bytes, (size_t)x.n);
    if (y.n) memcpy(to + x.n, y.bytes, (size_t)y.n);
    return (Bytes){to, x.n + y.n};
}

static void make_whole(void)
{
    Record all[RECORD_KINDS];
    make_records(&perm, all);
    const char *path = arena_printf(&perm, "%s/all.nas", dir);
    CHECK(write_stream(perm, path, all, RECORD_KINDS));
    whole.bytes = slurp(&perm, path, &whole.n);
    unlink(path);
    plain = decoded(&perm, whole);
    const unsigned char *p = plain.bytes, *end = p + plain.n;
    for (ptrdiff_t i = 0; i < COUNTOF(part); i++) {
        int64_t n = 0, head = 1;
        CHECK_EQ(*p, 0x0A);
        for (int shift = 0;; shift += 7) {
            n |= (int64_t)(p[head] & 0x7F) << shift;
            if (p[head++] < 0x80) break;
        }
        part[i] = (Bytes){p, head + n};
        p += head + n;
    }
    CHECK(p == end);
    good = read_bytes(whole);
    CHECK_EQ(good.status, STREAM_END);
    CHECK_EQ(good.records, RECORD_KINDS);
    Outcome again = read_bytes(framed(&(Arena){perm.beg, perm.end}, plain));
    CHECK(again.status == STREAM_END && again.sum == good.sum);
}

/* ---- every cut, every bit ---- */

static void test_cut_at_every_byte(void)
{
    for (int64_t n = 0; n < whole.n; n++) {
        Outcome o = read_bytes((Bytes){whole.bytes, n});
        if (!CHECK_MSG(o.status == STREAM_ERROR && o.damaged, "cut to %lld bytes: taken for whole", (long long)n))
            break;
    }
    check_damage((Bytes){0}, "x.nas: no header: empty input");
    check_damage((Bytes){whole.bytes, whole.n / 2}, "cut short");
    check_damage((Bytes){whole.bytes, whole.n - 1}, "cut short");

    /* The same within LZ4 frames that are whole. */
    for (int64_t n = 0; n < plain.n; n++) {
        Arena a = perm;
        Outcome o = read_bytes(framed(&a, (Bytes){plain.bytes, n}));
        if (!CHECK_MSG(o.status == STREAM_ERROR && o.damaged, "cut to %lld bytes: taken for whole", (long long)n))
            break;
    }
}

static void test_every_bit(void)
{
    int64_t harmless = 0;
    for (int64_t bit = 0; bit < 8 * whole.n; bit++) {
        Arena a = perm;
        unsigned char *copy = (unsigned char *)join(&a, whole, (Bytes){0}).bytes;
        copy[bit / 8] ^= (unsigned char)(1 << bit % 8);
        Outcome o = read_bytes((Bytes){copy, whole.n});
        bool same = o.status == STREAM_END && o.records == good.records && o.sum == good.sum;
        harmless += same;
        if (!CHECK_MSG(same || (o.status == STREAM_ERROR && o.damaged), "bit %lld: not noticed", (long long)bit)) break;
    }
    CHECK_EQ(harmless, 0); /* LZ4 1.9.4 checks every bit of its headers */
}

/* Our own checksum, without LZ4's. */
static void test_every_bit_within_lz4(void)
{
    for (int64_t bit = 0; bit < 8 * plain.n; bit++) {
        Arena a = perm;
        unsigned char *copy = (unsigned char *)join(&a, plain, (Bytes){0}).bytes;
        copy[bit / 8] ^= (unsigned char)(1 << bit % 8);
        Outcome o = read_bytes(framed(&a, (Bytes){copy, plain.n}));
        if (!CHECK_MSG(o.status == STREAM_ERROR && o.damaged, "bit %lld: not noticed", (long long)bit)) break;
    }
}

/* ---- pieces in a wrong order ---- */

/* A stream of the records whose indices are given, in one frame: -1 ends, 0 is the header, TRAILER the trailer. */
enum { TRAILER = RECORD_KINDS + 1, TRAILER_KIND = 2 };

static Bytes spliced(const int *order)
{
    static Arena room;
    if (!room.beg) room = arena_reserve(64 << 20);
    Arena a = room;
    Bytes all = {0};
    for (; *order >= 0; order++) all = join(&a, all, part[*order]);
    return framed(&a, all);
}

static void test_segments(void)
{
    Arena a = perm;
    check_damage(spliced((int[]){TRAILER, -1}), "x.nas: header: missing: another record is in its place");
    check_damage(spliced((int[]){1, -1}), "x.nas: header: missing: another record is in its place");
    check_damage(spliced((int[]){0, -1}), "x.nas: record 1: cut short: the stream ends here without a trailer");
    check_damage(spliced((int[]){0, 1, 2, -1}), "x.nas: record 3: cut short: the stream ends here without a trailer");
    check_damage(spliced((int[]){0, 1, 0, -1}), "x.nas: record 2: a header where the segment has not ended");
    check_damage(spliced((int[]){0, TRAILER, -1}),
                 arena_printf(&a, "x.nas: trailer: %d records were written, 0 are here", RECORD_KINDS));
    int order[RECORD_KINDS + 3];
    for (int i = 0; i < RECORD_KINDS + 2; i++) order[i] = i;
    order[RECORD_KINDS + 2] = -1;
    CHECK_EQ(read_bytes(spliced(order)).status, STREAM_END);
    order[3] = 4, order[4] = 3;
    check_damage(spliced(order), "x.nas: trailer: wrong checksum");
    order[3] = order[4] = 4;
    check_damage(spliced(order), "x.nas: trailer: wrong checksum");

    /* After a whole segment: nothing but another one. */
    check_damage(framed(&a, join(&a, plain, part[1])), "x.nas: header of segment 2: missing: another record");
    check_damage(framed(&a, join(&a, plain, part[TRAILER])), "x.nas: header of segment 2: missing: another record");
    check_damage(framed(&a, join(&a, plain, part[0])),
                 arena_printf(&a, "x.nas: record %d: cut short", RECORD_KINDS + 1));
    check_damage(framed(&a, join(&a, plain, (Bytes){(const unsigned char *)"\n", 1})), "segment 2: cut short");
    check_damage(framed(&a, join(&a, plain, (Bytes){(const unsigned char *)"?", 1})),
                 "segment 2: no record begins here");
    Bytes twice = join(&a, whole, whole);
    CHECK_EQ(read_bytes(twice).status, STREAM_END);
    CHECK_EQ(read_bytes(twice).records, 2 * RECORD_KINDS);
    for (int64_t n = whole.n + 1; n < twice.n; n++)
        if (!CHECK(read_bytes((Bytes){twice.bytes, n}).status == STREAM_ERROR)) break;
    /* A first part that was cut is not made good by a second one. */
    for (int64_t n = 1; n < whole.n; n += 7)
        if (!CHECK(read_bytes(join(&(Arena){a.beg, a.end}, (Bytes){whole.bytes, n}, whole)).status == STREAM_ERROR))
            break;
}

static void test_garbage(void)
{
    uint64_t x = 1;
    unsigned char bytes[400];
    for (int i = 0; i < 3000; i++) {
        int64_t n = i % COUNTOF(bytes);
        for (int64_t j = 0; j < n; j++)
            bytes[j] = (unsigned char)((x = x * 6364136223846793005u + 1442695040888963407u) >> 56);
        Arena a = perm;
        Outcome o = read_bytes((Bytes){bytes, n});
        CHECK(o.status == STREAM_ERROR && o.damaged);
        if (n == 0) continue;
        o = read_bytes(join(&a, whole, (Bytes){bytes, n}));
        CHECK(o.status == STREAM_ERROR && o.damaged && o.records == RECORD_KINDS);
        o = read_bytes(framed(&a, (Bytes){bytes, n}));
        CHECK(o.status == STREAM_ERROR && o.damaged);
    }
    static const char text[] = "epoch,loss\n1,0.5\n";
    check_damage((Bytes){(const unsigned char *)text, sizeof text - 1},
                 "x.nas: header: is not a stream: it does not begin with an LZ4 frame");
    Arena a = perm;
    check_damage(framed(&a, (Bytes){(const unsigned char *)text, sizeof text - 1}),
                 "x.nas: header: no record begins here");
    check_damage(framed(&a, (Bytes){0}), "x.nas: no header: empty input");
}

/* ---- records that were made to harm ---- */

typedef struct {
    unsigned char bytes[512];
    int64_t n;
} Message;

static void put(Message *m, const void *bytes, int64_t n)
{
    if (n) memcpy(m->bytes + m->n, bytes, (size_t)n);
    m->n += n;
}

static void put_varint(Message *m, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) m->bytes[m->n++] = (unsigned char)(v | 0x80);
    m->bytes[m->n++] = (unsigned char)v;
}

/* The message with one more field: a number, or bytes. */
static Message with_int(Message m, int field, int64_t v)
{
    put_varint(&m, (uint64_t)field << 3);
    put_varint(&m, (uint64_t)v);
    return m;
}

static Message with(Message m, int field, const void *bytes, int64_t n)
{
    put_varint(&m, (uint64_t)field << 3 | 2);
    put_varint(&m, (uint64_t)n);
    put(&m, bytes, n);
    return m;
}

static Message with_message(Message m, int field, Message sub)
{
    return with(m, field, sub.bytes, sub.n);
}

static Message with_text(Message m, int field, const char *s)
{
    return with(m, field, s, (int64_t)strlen(s));
}

static const Message none = {.n = 0};

/* Decoded bytes: header, then a record whose bytes are given. */
static Bytes after_header(Message record)
{
    Message framing = with_message(none, 1, record);
    return framed(&perm, join(&perm, part[0], (Bytes){framing.bytes, framing.n}));
}

static void check_refused(int kind, Message m, const char *why)
{
    check_damage(after_header(with_message(none, kind, m)), why);
}

static void test_hostile_headers(void)
{
    struct {
        const char *why;
        Message m;
    } cases[] = {
        {"header: header: magic: is not UTF-8 text", with(none, 1, "NA\0S", 4)},
        {"header: is not one of nas-tools", none},
        {"header: is not one of nas-tools", with_text(none, 1, "NASA")},
        {"header: schema version 0, this program reads 1", with_text(none, 1, "NAS")},
        {"header: schema version 2, this program reads 1", with_int(with_text(none, 1, "NAS"), 2, 2)},
        {"header: header: version: -1 is below 0", with_int(with_text(none, 1, "NAS"), 2, -1)},
        {"header: provenance: program: is not UTF-8 text", with_message(none, 3, with_text(none, 1, "\xFF"))},
        {"header: provenance: inputs: entry 1 is not UTF-8 text",
         with_message(none, 3, with_text(with_text(none, 7, "a"), 7, "\xFF"))},
        {"header: header: its bytes are no such message", with_int(none, 1, 5)},
    };
    for (ptrdiff_t i = 0; i < COUNTOF(cases); i++) {
        Message record = with_message(none, 1, cases[i].m), framing = with_message(none, 1, record);
        check_damage(framed(&perm, (Bytes){framing.bytes, framing.n}), cases[i].why);
    }

    /* A header that claims to be enormous, and one that is: 1 MiB is the limit. */
    static const unsigned char huge[] = {0x0A, 0xFF, 0xFF, 0xFF, 0x1F};
    check_damage(framed(&perm, (Bytes){huge, sizeof huge}), "header: 67108863 bytes, at most 1048576 are allowed");
}

static void test_hostile_lengths(void)
{
    static const struct {
        const char *why;
        unsigned char bytes[12];
        int64_t n;
    } cases[] = {
        {"record 1: 67108865 bytes, at most 67108864 are allowed", {0x0A, 0x81, 0x80, 0x80, 0x20}, 5},
        {"record 1: cut short", {0x0A, 0x80, 0x80, 0x80, 0x20}, 5},
        {"record 1: 34359738367 bytes, at most 67108864 are allowed", {0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F}, 6},
        {"record 1: its length is no number", {0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}, 7},
        {"record 1: its length is no number", {0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F}, 11},
        {"record 1: cut short", {0x0A, 0x80}, 2},
        {"record 1: an empty record", {0x0A, 0}, 2},
        {"record 1: no record begins here", {0x12, 0}, 2},
        {"record 1: not one message of one kind", {0x0A, 2, 0x1A, 1}, 4},          /* a length beyond the record */
        {"record 1: not one message of one kind", {0x0A, 2, 0x18, 1}, 4},          /* a dataset that is a number */
        {"record 1: not one message of one kind", {0x0A, 2, 2, 0}, 4},             /* field 0 */
        {"record 1: not one message of one kind", {0x0A, 4, 0x1A, 0, 0x22, 0}, 6}, /* two kinds */
        {"record 1: not one message of one kind", {0x0A, 2, 0x1B, 0x1C}, 4},       /* a group */
        {"record 1: not one message of one kind", {0x0A, 3, 0xA2, 0x86, 0x80}, 5}, /* a kind without an end */
    };
    for (ptrdiff_t i = 0; i < COUNTOF(cases); i++)
        check_damage(framed(&perm, join(&perm, part[0], (Bytes){cases[i].bytes, cases[i].n})), cases[i].why);
}

static void test_hostile_records(void)
{
    static const double one[8] = {1};
    Message dataset = with_text(none, 1, "d");
    check_refused(REC_DATASET, with_int(none, 1, 5), "dataset_info: its bytes are no such message");
    check_refused(REC_DATASET, with(none, 4, "x", 1), "dataset_info: its bytes are no such message");
    check_refused(REC_DATASET, with(none, 11, one, 7), "dataset_info: its bytes are no such message");
    check_refused(REC_DATASET, with(none, 1, "a\0b", 3), "dataset_info: name: is not UTF-8 text");
    static const char *const texts_refused[] = {"\x80",
                                                "\xC3",
                                                "\xC0\x80",
                                                "\xE0\x9F\xBF",
                                                "\xED\xA0\x80",
                                                "\xF0\x8F\xBF\xBF",
                                                "\xF4\x90\x80\x80",
                                                "\xF5\x80\x80\x80",
                                                "\xFF",
                                                "a\xE2\x82"};
    for (ptrdiff_t i = 0; i < COUNTOF(texts_refused); i++)
        check_refused(REC_DATASET, with_text(none, 2, texts_refused[i]), "dataset_info: source: is not UTF-8 text");
    check_refused(REC_DATASET, dataset, "dataset_info: split_count: 0 values, 4 expected");
    check_refused(REC_DATASET, with(dataset, 9, "\1\1\1\1\1", 5), "dataset_info: split_count: 5 values, 4 expected");
    dataset = with(dataset, 9, "\1\2\3\4", 4);
    check_refused(REC_DATASET, with_int(dataset, 4, -1), "dataset_info: channels: -1 is below 0");
    check_refused(REC_DATASET, with_int(dataset, 4, 2), "dataset_info: mean: 0 values, 2 expected");
    check_refused(REC_DATASET, with(with_int(dataset, 4, 2), 11, one, 24), "dataset_info: mean: 3 values, 2 expected");
    check_refused(REC_DATASET, with_int(dataset, 10, 4), "dataset_info: dtype: there is no choice 4");
    check_refused(REC_DATASET, with_int(dataset, 10, -1), "dataset_info: dtype: there is no choice -1");
    check_refused(REC_DATASET, with_text(with_int(dataset, 7, 2), 8, "a"),
                  "dataset_info: output_names: 1 values, 2 expected");
    check_refused(REC_DATASET, with_message(dataset, 21, with_text(none, 2, "\xFF")),
                  "setting: value: is not UTF-8 text");
    check_refused(REC_DATASET, with(dataset, 15, one, 8), "dataset_info: class_weight: 1 values, 0 expected");

    Message samples = with_int(with_int(none, 3, 2), 4, DTYPE_F32);
    check_refused(REC_SAMPLES, samples, "samples: data: 0 bytes cannot be 2 samples");
    check_refused(REC_SAMPLES, with(samples, 5, one, 12),
                  "samples: data: 12 bytes cannot be 2 samples of 4-byte values");
    samples = with(samples, 5, one, 16);
    check_refused(REC_SAMPLES, with_int(samples, 7, 1), "samples: targets: 0 values, 2 expected");
    check_refused(REC_SAMPLES, with_int(samples, 7, INT64_MAX), "samples: targets: its shape is negative or overflows");
    check_refused(REC_SAMPLES, with(samples, 8, "\1\2\3", 3), "samples: ids: 3 values, 2 expected");
    check_refused(REC_SAMPLES, with(samples, 8, "\1\x80", 2), "samples: its bytes are no such message");
    check_refused(REC_SAMPLES, with_int(samples, 2, INT64_MAX), "samples: first + count overflows");
    check_refused(REC_SAMPLES, with_int(none, 3, INT64_MAX), "samples: data: 0 bytes cannot be");

    Message table = with_int(with_int(none, 2, 2), 3, 2);
    check_refused(REC_SEARCH_EPOCH, with_message(none, 6, table), "alpha_table: raw: 0 values, 4 expected");
    table = with(with(table, 4, one, 32), 5, one, 32);
    check_refused(REC_SEARCH_EPOCH, with_message(none, 6, table), "alpha_table: entropy: 0 values, 2 expected");
    table = with_int(with_int(none, 2, INT64_MAX), 3, INT64_MAX);
    check_refused(REC_SEARCH_EPOCH, with_message(none, 6, table),
                  "alpha_table: raw: its shape is negative or overflows");
    check_refused(REC_SEARCH_EPOCH, with_int(none, 1, -1), "search_epoch: epoch: -1 is below 0");

    Message tensor = with_int(none, 5, DTYPE_F64);
    check_refused(REC_TENSOR, tensor, "tensor: data: 0 bytes do not fill its shape");
    check_refused(REC_TENSOR, with(with(tensor, 4, "\1\2", 2), 6, one, 8),
                  "tensor: data: 8 bytes do not fill its shape");
    tensor = with_int(with_int(with_int(tensor, 4, (int64_t)1 << 31), 4, (int64_t)1 << 31), 4, 4); /* 2^67 bytes */
    check_refused(REC_TENSOR, with(tensor, 6, one, 8), "tensor: data: 8 bytes do not fill its shape");
    check_refused(REC_TENSOR, with_int(none, 4, -1), "tensor: shape: -1 is below 0");
    check_refused(REC_EVALUATION, with(with_int(none, 16, INT64_MAX), 15, one, 8),
                  "evaluation: confusion: its shape is");
    check_refused(REC_GENOTYPE, with_int(none, 6, -2), "genotype: epoch: -2 is below -1");
    check_refused(TRAILER_KIND, with_int(none, 1, -1), "trailer: trailer: records: -1 is below 0");
    check_refused(TRAILER_KIND, with(none, 2, one, 8), "trailer: trailer: its bytes are no such message");
    check_refused(TRAILER_KIND, with_int(none, 1, 1), "trailer: 1 records were written, 0 are here");
    check_refused(TRAILER_KIND, none, "trailer: wrong checksum");
}

/* A record of 2 MiB of empty settings, which take tens of times as much once decoded. */
static void test_swelling_record(void)
{
    enum { N = 1 << 20 };
    Arena a = perm;
    unsigned char *bytes = NEW(&a, unsigned char, 2 * N);
    for (int i = 0; i < N; i++) bytes[2 * i] = 0x12; /* StudyRow.columns */
    Message head = none;
    put_varint(&head, REC_STUDY << 3 | 2);
    put_varint(&head, 2 * N);
    Bytes record = join(&a, (Bytes){head.bytes, head.n}, (Bytes){bytes, 2 * N});
    head = none;
    put_varint(&head, 0x0A);
    put_varint(&head, (uint64_t)record.n);
    Bytes stream = framed(&a, join(&a, join(&a, part[0], (Bytes){head.bytes, head.n}), record));

    /* However little room there is: an error, no end of the program. */
    for (int64_t room = 64; room < READER_ARENA_BYTES; room = room * 5 / 3) {
        Outcome o = read_within(&(Arena){a.beg, a.end}, (Arena){once.beg, once.beg + room}, stream);
        if (!CHECK_EQ(o.status, STREAM_ERROR)) break;
        if (o.damaged) { /* enough room: it ends without a trailer */
            CHECK_CONTAINS(o.error, "record 2: cut short");
            CHECK(room > (4 << 20));
        } else {
            CHECK_CONTAINS(o.error, "of memory");
        }
    }
    check_damage(stream, "record 2: cut short");
}

/* The header's memory is the caller's `perm`: bounded too. */
static void test_many_headers(void)
{
    Arena a = perm;
    const char *path = arena_printf(&a, "%s/none.nas", dir);
    CHECK(write_stream(a, path, 0, 0));
    Bytes file;
    file.bytes = slurp(&a, path, &file.n);
    unlink(path);
    Bytes empty = decoded(&a, file);
    enum { SEGMENTS = 2000 };
    unsigned char *all = NEW(&a, unsigned char, empty.n *SEGMENTS);
    for (int i = 0; i < SEGMENTS; i++) memcpy(all + i * empty.n, empty.bytes, (size_t)empty.n);
    Bytes stream = framed(&a, (Bytes){all, empty.n * SEGMENTS});
    CHECK_EQ(read_bytes(stream).status, STREAM_END);
    Arena small = {a.beg, a.beg + (1 << 20)};
    Outcome o = read_within(&small, once, stream);
    CHECK_EQ(o.status, STREAM_ERROR);
    CHECK(!o.damaged);
    CHECK_CONTAINS(o.error, "memory");
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 30);
    once = arena_reserve(READER_ARENA_BYTES);
    if (!mkdtemp(dir)) return perror(dir), 1;
    CHECK_RUN(make_whole);
    CHECK_RUN(test_cut_at_every_byte);
    CHECK_RUN(test_every_bit);
    CHECK_RUN(test_every_bit_within_lz4);
    CHECK_RUN(test_segments);
    CHECK_RUN(test_garbage);
    CHECK_RUN(test_hostile_headers);
    CHECK_RUN(test_hostile_lengths);
    CHECK_RUN(test_hostile_records);
    CHECK_RUN(test_swelling_record);
    CHECK_RUN(test_many_headers);
    shell("rm -rf '%s'", dir);
    return check_done("stream_damage");
}
