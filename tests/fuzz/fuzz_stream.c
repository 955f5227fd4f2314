/* Any bytes as a stream.  The first byte says as what: a file; the decoded bytes in a good LZ4 frame; a record after a good
 * header; a message of a kind.  What is accepted must go through a writer and come back the same. */
#include <lz4frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool holds)
{
    if (!holds) abort();
}

static int64_t put_varint(uint8_t *to, int64_t v)
{
    int64_t n = 0;
    for (; v >= 0x80; v >>= 7) to[n++] = (uint8_t)(v | 0x80);
    to[n++] = (uint8_t)v;
    return n;
}

/* A tag, a length, the bytes: a record in a stream as well as a message in a record. */
static int64_t put_delimited(uint8_t *to, int64_t tag, const void *bytes, int64_t n)
{
    int64_t at = put_varint(to, tag);
    at += put_varint(to + at, n);
    if (n) memcpy(to + at, bytes, (size_t)n);
    return at + n;
}

/* A record that was read, written again and read again. */
static void check_again(const Record *r, Arena a, Arena once)
{
    static char path[64];
    if (!path[0]) snprintf(path, sizeof path, "/tmp/nas-fuzz-stream.%ld", (long)getpid());
    Provenance self = {.program = "fuzz"};
    Writer *out = writer_open(&a, path, 0, &self);
    writer_put(out, r);
    insist(writer_finish(out));
    Reader *in = reader_open(&a, path);
    Record first, second;
    insist(reader_next(in, &once, &first) == STREAM_RECORD);
    reader_close(in);
    insist(first.kind == r->kind);

    /* Its bytes may differ from those that came (order of fields, fields of a later version); once more they may not. */
    out = writer_open(&a, path, 0, &self);
    writer_put(out, &first);
    insist(writer_finish(out));
    in = reader_open(&a, path);
    insist(reader_next(in, &once, &second) == STREAM_RECORD);
    insist(second.byte_count == first.byte_count && !memcmp(second.bytes, first.bytes, (size_t)first.byte_count));
    insist(reader_next(in, &once, &second) == STREAM_END);
    reader_close(in);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t header[] = {0x0A, 9, 0x0A, 7, 0x0A, 3, 'N', 'A', 'S', 0x10, 1};
    static Arena all, once;
    if (!all.beg) {
        all = arena_reserve((ptrdiff_t)1 << 28);
        once = arena_reserve(READER_ARENA_BYTES);
    }
    if (size == 0) return 0;
    Arena perm = all;
    int64_t n = (int64_t)size - 1, most = n + 64;
    unsigned how = data[0];
    uint8_t *plain = NEW(&perm, uint8_t, most), *inner = NEW(&perm, uint8_t, most);
    const uint8_t *stream = data + 1;
    if (how) { /* 1: decoded bytes; 2: a record; 3…: a message of that kind */
        int64_t at = 0;
        if (how >= 2) memcpy(plain, header, sizeof header), at = sizeof header;
        if (how == 1) {
            memcpy(plain, data + 1, (size_t)n);
            at = n;
        } else if (how == 2) {
            at += put_delimited(plain + at, 0x0A, data + 1, n);
        } else {
            int64_t length = put_delimited(inner, (int64_t)(how % 20) << 3 | 2, data + 1, n);
            at += put_delimited(plain + at, 0x0A, inner, length);
        }
        size_t bound = LZ4F_compressFrameBound((size_t)at, 0);
        uint8_t *frame = NEW(&perm, uint8_t, (ptrdiff_t)bound);
        n = (int64_t)LZ4F_compressFrame(frame, bound, plain, (size_t)at, 0);
        stream = frame;
    }
    Reader *in = reader_open_memory(&perm, stream, n, "fuzz");
    for (;;) {
        Arena a = once;
        Record r;
        StreamStatus s = reader_next(in, &a, &r);
        insist((s == STREAM_ERROR) == (reader_error(in) != 0));
        if (s != STREAM_RECORD) break;
        check_again(&r, perm, a);
    }
    reader_close(in);
    return 0;
}
