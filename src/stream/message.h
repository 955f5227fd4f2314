/* message: one record between its bytes (protobuf) and its plain struct.  Private to src/stream.
 *
 * What is accepted is the same in both directions: the shapes, ranges and texts that nas.proto promises.  So whoever
 * reads a record may index its arrays by its counts, and no writer can make a stream that a reader refuses.
 */
#ifndef NAS_MESSAGE_H
#define NAS_MESSAGE_H
#include "stream/record.h"

/* The two kinds of Record.kind that frame a segment; they never leave src/stream. */
enum { KIND_HEADER = 1, KIND_TRAILER = 2 };

typedef struct {
    const char *magic;
    int64_t version;
    Provenance *provenance;
    int64_t provenance_count;
} Header;

typedef struct {
    int64_t records;
    uint64_t checksum;
} Trailer;

typedef struct { /* why something was refused */
    char text[256];
    bool memory; /* for lack of room, not for what it is */
} Why;

/* The kind of a record's bytes (a field number of Record), or 0 and why. */
int64_t message_kind(const void *bytes, int64_t n, Why *why);
/* True for the kinds that the next two functions know. */
bool message_known(int64_t kind);
/* Fills the plain struct of a kind; what it points to is allocated in `a`, which never runs out: too little room is an
 * error like any other. */
bool message_decode(int64_t kind, const void *bytes, int64_t n, Arena *a, void *plain, Why *why);
/* The bytes of a record, allocated in `a`.  0 and why if the struct breaks what nas.proto promises. */
const void *message_encode(int64_t kind, const void *plain, Arena *a, int64_t *n, Why *why);
#endif
