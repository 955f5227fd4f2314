/* frame: a stream as a sequence of byte strings in LZ4 frames, without a view of what they mean.  Private to src/stream.
 *
 *   decoded bytes:  0x0A length bytes  0x0A length bytes  …        (length: a varint)
 *
 * 0x0A is protobuf's tag of field 1, length-delimited, so the decoded bytes are one message `Stream`.  Where an LZ4
 * frame begins or ends does not matter, so streams may be joined by `cat` and be recompressed by `lz4`.
 */
#ifndef NAS_FRAME_H
#define NAS_FRAME_H
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

/* ---- reading ---- */
typedef struct Source Source;
typedef enum { SOURCE_BYTES, SOURCE_END, SOURCE_ERROR } SourceStatus;

Source *source_open(Arena *perm, const char *path); /* "-": standard input; an error comes from source_next() */
Source *source_open_memory(Arena *perm, const void *data, int64_t n);
/* The next byte string, of at most `most` bytes, in `once`; SOURCE_END only at the end of an LZ4 frame and of the file.
 * An input that can be read but not decoded sets *damaged. */
SourceStatus source_next(Source *in, Arena *once, int64_t most, const void **bytes, int64_t *n);
const char *source_why(const Source *in);
bool source_damaged(const Source *in);
void source_close(Source *in);

/* ---- writing ---- */
typedef struct Sink Sink;

/* Opens `path` ("-": standard output). What is no regular file is written in place; else a temporary file is opened. */
Sink *sink_open(Arena *perm, const char *path);
void sink_put(Sink *out, const void *bytes, int64_t n);
void sink_flush(Sink *out);
void sink_durable(Sink *out); /* sink_finish() will have the file on the disk before it gets its name */
/* Ends the frame, closes, renames; false: sink_why(). Nothing stays under the final name or the temporary one then. */
bool sink_finish(Sink *out);
void sink_abandon(Sink *out);
const char *sink_why(const Sink *out); /* 0 while all is well */
const char *sink_temporary(const Sink *out);

/* Writes a varint at p (room for 10 bytes); its length. */
int64_t varint_write(uint8_t *p, uint64_t value);
#endif
