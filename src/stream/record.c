/* record: the reader and the writer of streams: segments, counts, checksums, provenance; see record.h.
 *
 * frame.c knows files and LZ4, message.c knows protobuf; here is what makes a sequence of records a stream:
 *
 *   segment = Header Record* Trailer          stream = segment segment*
 */
#include "stream/record.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "stream/frame.h"
#include "stream/message.h"

static const char magic[] = "NAS";

enum {
    SCHEMA_VERSION = 1,
    HEADER_BYTES_MAX = 1 << 20,      /* of one header */
    PROVENANCE_BYTES_MAX = 64 << 20, /* in memory, of all headers of a stream */
    WRITER_ARENA_BYTES = 256 << 20   /* holds one record twice, and its parts */
};

const char *const split_name[SPLIT_COUNT] = {"train", "alpha", "validation", "test"};

int64_t dtype_size(DType t)
{
    static const int8_t size[] = {[DTYPE_F32] = 4, [DTYPE_U8] = 1, [DTYPE_F64] = 8, [DTYPE_I64] = 8};
    return size[t];
}

const char *record_kind_name(RecordKind k)
{
    static const char *const name[] = {
        [REC_NONE] = "none",
        [REC_DATASET] = "dataset",
        [REC_SAMPLES] = "samples",
        [REC_SPACE] = "space",
        [REC_SEARCH_EPOCH] = "search_epoch",
        [REC_GENOTYPE] = "genotype",
        [REC_TRAIN_EPOCH] = "train_epoch",
        [REC_NETWORK] = "network",
        [REC_TENSOR] = "tensor",
        [REC_CHECKPOINT] = "checkpoint",
        [REC_EVALUATION] = "evaluation",
        [REC_PREDICTIONS] = "predictions",
        [REC_TRANSFER] = "transfer",
        [REC_STUDY] = "study",
        [REC_EVENT] = "event",
        [REC_PROFILE] = "profile",
        [REC_PROBLEM] = "problem",
    };
    return k < COUNTOF(name) && name[k] ? name[k] : "unknown";
}

double metric_get(const Metric *m, int64_t n, const char *split, const char *name)
{
    for (int64_t i = 0; i < n; i++)
        if (strcmp(m[i].split ? m[i].split : "", split) == 0 && strcmp(m[i].name, name) == 0) return m[i].value;
    return NAN;
}

const char *setting_get(const Setting *s, int64_t n, const char *key)
{
    for (int64_t i = 0; i < n; i++)
        if (strcmp(s[i].key, key) == 0) return s[i].value;
    return 0;
}

/* ---- the checksum ---- */

static const uint64_t checksum_start = 0x736E6F6365723A31;

/* One step is a bijection of the sum for a given word and of the word for a given sum, so a single changed word always
 * changes the result. */
static uint64_t checksum_word(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * 0x9E3779B97F4A7C15;
    return sum ^ sum >> 32;
}

/* Adds one record: its bytes as little-endian words, the last one filled up with zeros, then its length. */
static uint64_t checksum_add(uint64_t sum, const void *bytes, int64_t n)
{
    const char *p = bytes;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, p + i, 8);
        sum = checksum_word(sum, word);
    }
    if (i < n) {
        uint64_t word = 0;
        memcpy(&word, p + i, (size_t)(n - i));
        sum = checksum_word(sum, word);
    }
    return checksum_word(sum, (uint64_t)n);
}

/* ---- reading ---- */

struct Reader {
    Arena *perm;
    Source *source;
    const char *name;
    const char *error; /* 0: none; sticky */
    bool damaged;
    bool inside;       /* a segment: its header has been read, its trailer not */
    int64_t segments;  /* headers read */
    int64_t number;    /* records read of all segments */
    int64_t records;   /* of this segment */
    uint64_t checksum; /* of this segment */
    uint64_t digest;   /* of the segments before it */
    Provenance *provenance;
    int64_t provenance_count, provenance_capacity;
    int64_t provenance_bytes; /* memory used for it */
};

static Reader *reader_new(Arena *perm, Source *source, const char *name)
{
    Reader *in = NEW(perm, Reader, 1);
    in->perm = perm;
    in->source = source;
    in->name = arena_strdup(perm, name);
    in->checksum = in->digest = checksum_start;
    return in;
}

Reader *reader_open(Arena *perm, const char *path)
{
    return reader_new(perm, source_open(perm, path), strcmp(path, "-") == 0 ? "<stdin>" : path);
}

Reader *reader_open_memory(Arena *perm, const void *data, int64_t n, const char *name)
{
    return reader_new(perm, source_open_memory(perm, data, n), name);
}

/* Notes "file: where: why". `what`: 0 for the record after the last one, or the name of a part of the stream. */
static StreamStatus reader_fail(Reader *in, bool damaged, const char *what, const char *why)
{
    if (what)
        in->error = arena_printf(in->perm, "%s: %s: %s", in->name, what, why);
    else
        in->error = arena_printf(in->perm, "%s: record %lld: %s", in->name, (long long)in->number + 1, why);
    in->damaged = damaged;
    return STREAM_ERROR;
}

/* Takes a Header's provenance over; `room` is where the header was decoded. */
static bool reader_add_provenance(Reader *in, const Header *h, Arena *room)
{
    int64_t count = in->provenance_count + h->provenance_count;
    if (count > in->provenance_capacity) {
        int64_t capacity = 2 * count, bytes = size_mul(capacity, sizeof(Provenance));
        if (bytes < 0 || bytes > arena_left(room) - 256) return false;
        Provenance *all = NEW(room, Provenance, capacity);
        if (in->provenance_count) memcpy(all, in->provenance, (size_t)in->provenance_count * sizeof *all);
        in->provenance = all;
        in->provenance_capacity = capacity;
    }
    if (h->provenance_count)
        memcpy(in->provenance + in->provenance_count, h->provenance,
               (size_t)h->provenance_count * sizeof *h->provenance);
    in->provenance_count = count;
    return true;
}

/* Reads a header, or finds the end of the stream. It lives in `perm`, within bounds that no input can break. */
static StreamStatus reader_header(Reader *in)
{
    char what[64] = "header";
    if (in->segments) snprintf(what, sizeof what, "header of segment %lld", (long long)in->segments + 1);
    int64_t room_left = PROVENANCE_BYTES_MAX - in->provenance_bytes;
    Arena room = *in->perm;
    if (arena_left(&room) > room_left) room.end = room.beg + room_left;

    const void *bytes;
    int64_t n;
    SourceStatus s = source_next(in->source, &room, HEADER_BYTES_MAX, &bytes, &n);
    if (s == SOURCE_END && in->segments) return STREAM_END;
    if (s == SOURCE_END) return reader_fail(in, true, "no header", "empty input");
    if (s == SOURCE_ERROR && !source_damaged(in->source)) { /* cannot be opened or read */
        in->error = arena_printf(in->perm, "%s: %s", in->name, source_why(in->source));
        return STREAM_ERROR;
    }
    if (s == SOURCE_ERROR) return reader_fail(in, true, what, source_why(in->source));

    Header h;
    Why why;
    int64_t kind = message_kind(bytes, n, &why);
    if (kind == 0) return reader_fail(in, true, what, why.text);
    if (kind != KIND_HEADER) return reader_fail(in, true, what, "missing: another record is in its place");
    if (!message_decode(kind, bytes, n, &room, &h, &why)) return reader_fail(in, !why.memory, what, why.text);
    if (strcmp(h.magic, magic) != 0) return reader_fail(in, true, what, "is not one of nas-tools");
    if (h.version != SCHEMA_VERSION) {
        snprintf(why.text, sizeof why.text, "schema version %lld, this program reads %d", (long long)h.version,
                 SCHEMA_VERSION);
        return reader_fail(in, true, what, why.text);
    }
    if (!reader_add_provenance(in, &h, &room))
        return reader_fail(in, false, what, "too much provenance for the memory");
    in->provenance_bytes += room.beg - in->perm->beg;
    in->perm->beg = room.beg;
    in->checksum = checksum_add(in->checksum, bytes, n);
    in->segments++;
    in->inside = true;
    return STREAM_RECORD;
}

static StreamStatus reader_trailer(Reader *in, const void *bytes, int64_t n, Arena *once)
{
    Trailer t;
    Why why;
    if (!message_decode(KIND_TRAILER, bytes, n, once, &t, &why))
        return reader_fail(in, !why.memory, "trailer", why.text);
    if (t.records != in->records) {
        snprintf(why.text, sizeof why.text, "%lld records were written, %lld are here", (long long)t.records,
                 (long long)in->records);
        return reader_fail(in, true, "trailer", why.text);
    }
    if (t.checksum != in->checksum) return reader_fail(in, true, "trailer", "wrong checksum");
    in->digest = checksum_word(in->digest, in->checksum);
    in->checksum = checksum_start;
    in->records = 0;
    in->inside = false;
    return STREAM_RECORD;
}

StreamStatus reader_next(Reader *in, Arena *once, Record *r)
{
    *r = (Record){0};
    for (;;) {
        if (in->error) return STREAM_ERROR;
        if (!in->inside) {
            StreamStatus s = reader_header(in);
            if (s != STREAM_RECORD) return s;
        }
        const void *bytes;
        int64_t n;
        SourceStatus s = source_next(in->source, once, RECORD_BYTES_MAX, &bytes, &n);
        if (s == SOURCE_END) return reader_fail(in, true, 0, "cut short: the stream ends here without a trailer");
        if (s == SOURCE_ERROR) return reader_fail(in, source_damaged(in->source), 0, source_why(in->source));

        Why why;
        int64_t kind = message_kind(bytes, n, &why);
        if (kind == 0) return reader_fail(in, true, 0, why.text);
        if (kind == KIND_HEADER) return reader_fail(in, true, 0, "a header where the segment has not ended");
        if (kind == KIND_TRAILER) {
            if (reader_trailer(in, bytes, n, once) == STREAM_ERROR) return STREAM_ERROR;
            continue;
        }
        /* The structs of all kinds begin at the same place of the union. */
        if (message_known(kind) && !message_decode(kind, bytes, n, once, &r->dataset, &why)) {
            *r = (Record){0};
            return reader_fail(in, !why.memory, 0, why.text);
        }
        in->checksum = checksum_add(in->checksum, bytes, n);
        in->records++;
        r->kind = message_known(kind) ? (RecordKind)kind : REC_UNKNOWN;
        r->bytes = bytes;
        r->byte_count = n;
        r->number = ++in->number;
        return STREAM_RECORD;
    }
}

const char *reader_error(const Reader *in)
{
    return in->error;
}

bool reader_damaged(const Reader *in)
{
    return in->damaged;
}

const Provenance *reader_provenance(const Reader *in, int64_t *count)
{
    *count = in->provenance_count;
    return in->provenance;
}

const char *reader_name(const Reader *in)
{
    return in->name;
}

const char *reader_digest(Reader *in, Arena *a)
{
    return arena_printf(a, "%016llx", (unsigned long long)checksum_word(in->digest, in->checksum));
}

void reader_close(Reader *in)
{
    source_close(in->source);
}

/* ---- writing ---- */

struct Writer {
    Arena *perm;
    Arena whole; /* the room in which one record at a time is encoded */
    Sink *sink;
    const char *name;
    const char *error; /* 0: none; sticky */
    bool is_stdout;
    int64_t records;
    uint64_t checksum;
    Arena *keep; /* 0: what was written is not kept */
    RecordBytes *kept;
    int64_t kept_count, kept_room;
};

/* Takes an error of the sink over. */
static void writer_check(Writer *out)
{
    const char *why = sink_why(out->sink);
    if (why && !out->error) out->error = arena_printf(out->perm, "%s: %s", out->name, why);
}

static void writer_bytes(Writer *out, const void *bytes, int64_t n)
{
    sink_put(out->sink, bytes, n);
    out->checksum = checksum_add(out->checksum, bytes, n);
    writer_check(out);
    if (!out->keep || out->error) return;
    if (out->kept_count == out->kept_room) {
        out->kept_room = out->kept_room ? 2 * out->kept_room : 64;
        RecordBytes *more = NEW(out->keep, RecordBytes, out->kept_room);
        if (out->kept_count) memcpy(more, out->kept, (size_t)out->kept_count * sizeof *more);
        out->kept = more;
    }
    void *copy = arena_alloc(out->keep, 1, 1, n);
    memcpy(copy, bytes, (size_t)n);
    out->kept[out->kept_count++] = (RecordBytes){copy, n};
}

static void writer_message(Writer *out, int64_t kind, const void *plain)
{
    Arena scratch = out->whole;
    Why why;
    int64_t n;
    const void *bytes = message_encode(kind, plain, &scratch, &n, &why);
    if (bytes)
        writer_bytes(out, bytes, n);
    else
        out->error = arena_printf(out->perm, "%s: record %lld: %s", out->name, (long long)out->records + 1, why.text);
}

Writer *writer_open(Arena *perm, const char *path, Reader *from, const Provenance *self)
{
    Writer *out = NEW(perm, Writer, 1);
    out->perm = perm;
    out->whole = arena_reserve(WRITER_ARENA_BYTES);
    out->is_stdout = strcmp(path, "-") == 0;
    out->name = out->is_stdout ? "<stdout>" : arena_strdup(perm, path);
    out->checksum = checksum_start;
    out->sink = sink_open(perm, path);
    writer_check(out);

    if (from && from->segments == 0 && !from->error)
        reader_header(from); /* its error shows at the next reader_next() */
    int64_t before = from ? from->provenance_count : 0;
    Provenance *all = NEW(perm, Provenance, before + 1);
    if (before) memcpy(all, from->provenance, (size_t)before * sizeof *all);
    all[before] = *self;
    if (!out->error) writer_message(out, KIND_HEADER, &(Header){magic, SCHEMA_VERSION, all, before + 1});
    return out;
}

void writer_put(Writer *out, const Record *r)
{
    assert(r->kind != REC_NONE);
    if (r->kind == REC_UNKNOWN) {
        writer_pass(out, r);
        return;
    }
    if (out->error) return;
    writer_message(out, r->kind, &r->dataset);
    out->records++;
}

void writer_pass(Writer *out, const Record *r)
{
    if (out->error) return;
    writer_bytes(out, r->bytes, r->byte_count);
    out->records++;
}

void writer_flush(Writer *out)
{
    sink_flush(out->sink);
    writer_check(out);
}

void writer_durable(Writer *out)
{
    sink_durable(out->sink);
}

void writer_keep(Writer *out, Arena *memory)
{
    out->keep = memory;
}

const RecordBytes *writer_kept(const Writer *out, int64_t *count)
{
    *count = out->kept_count;
    return out->kept;
}

static void writer_release(Writer *out)
{
    arena_release(out->whole);
    out->whole = (Arena){0};
}

bool writer_finish(Writer *out)
{
    out->keep = 0;
    if (!out->error) writer_message(out, KIND_TRAILER, &(Trailer){out->records, out->checksum});
    if (out->error) {
        sink_abandon(out->sink);
    } else {
        sink_finish(out->sink);
        writer_check(out);
    }
    writer_release(out);
    return !out->error;
}

void writer_abandon(Writer *out)
{
    sink_abandon(out->sink);
    writer_release(out);
}

const char *writer_error(const Writer *out)
{
    return out->error;
}

const char *writer_temporary(const Writer *out)
{
    return sink_temporary(out->sink);
}

bool writer_is_stdout(const Writer *out)
{
    return out->is_stdout;
}
