/* frame: LZ4 frames, length-delimited byte strings and the files they are in; see frame.h. */
#include "stream/frame.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lz4frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TAG = 0x0A,              /* field 1, length-delimited */
    INPUT_BYTES = 64 << 10,  /* read at once; a pipe gives no more */
    BLOCK_BYTES = 256 << 10, /* an LZ4 block: what a reader of a pipe waits for, unless it is flushed */
};

/* ---- reading ---- */

struct Source {
    int fd;     /* -1: memory */
    bool owned; /* fd is ours to close */
    LZ4F_dctx *lz4;
    const uint8_t *in; /* compressed bytes not yet decoded */
    int64_t in_left;
    uint8_t *in_buffer;
    uint8_t *out; /* decoded bytes: those from out_at to out_end are not yet given away */
    int64_t out_at, out_end;
    bool inside;  /* an LZ4 frame that has begun and not ended */
    bool started; /* an LZ4 frame has begun */
    bool damaged;
    char why[256]; /* sticky */
};

static Source *source_new(Arena *perm, int fd)
{
    Source *in = NEW(perm, Source, 1);
    in->fd = fd;
    in->out = NEW(perm, uint8_t, BLOCK_BYTES);
    LZ4F_errorCode_t code = LZ4F_createDecompressionContext(&in->lz4, LZ4F_VERSION);
    if (LZ4F_isError(code)) snprintf(in->why, sizeof in->why, "%s", LZ4F_getErrorName(code));
    return in;
}

Source *source_open(Arena *perm, const char *path)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int error = errno;
    Source *in = source_new(perm, fd);
    in->owned = !standard && fd >= 0;
    if (fd < 0) snprintf(in->why, sizeof in->why, "%s", strerror(error));
    in->in_buffer = NEW(perm, uint8_t, INPUT_BYTES);
    return in;
}

Source *source_open_memory(Arena *perm, const void *data, int64_t n)
{
    Source *in = source_new(perm, -1);
    in->in = n ? data : in->out; /* no null pointer to count from */
    in->in_left = n;
    return in;
}

static SourceStatus source_fail(Source *in, const char *why)
{
    snprintf(in->why, sizeof in->why, "%s", why);
    return SOURCE_ERROR;
}

static SourceStatus source_damage(Source *in, const char *why)
{
    in->damaged = true;
    return source_fail(in, why);
}

/* Decodes at least one byte into `out`, which is empty. */
static SourceStatus source_fill(Source *in)
{
    for (;;) {
        /* A full `out` may mean that the decoder holds more: ask it before a read that could wait. */
        bool read_more = in->in_left == 0 && in->out_end < BLOCK_BYTES;
        if (read_more && in->fd >= 0) {
            ssize_t n;
            do n = read(in->fd, in->in_buffer, INPUT_BYTES);
            while (n < 0 && errno == EINTR);
            if (n < 0) return source_fail(in, strerror(errno));
            in->in = in->in_buffer;
            in->in_left = n;
        }
        bool end = read_more && in->in_left == 0;
        size_t taken = (size_t)in->in_left, made = BLOCK_BYTES;
        size_t code = LZ4F_decompress(in->lz4, in->out, &made, in->in, &taken, 0);
        if (LZ4F_isError(code)) {
            if (!in->started) return source_damage(in, "is not a stream: it does not begin with an LZ4 frame");
            char why[128];
            snprintf(why, sizeof why, "damaged: %s", LZ4F_getErrorName(code));
            return source_damage(in, why);
        }
        if (taken || made) {
            in->started = true;
            in->inside = code != 0;
        }
        in->in += taken;
        in->in_left -= (int64_t)taken;
        in->out_at = 0;
        in->out_end = (int64_t)made;
        if (made) return SOURCE_BYTES;
        if (end) return in->inside ? source_damage(in, "cut short within an LZ4 frame") : SOURCE_END;
    }
}

/* One decoded byte. */
static SourceStatus source_byte(Source *in, uint8_t *byte)
{
    if (in->out_at == in->out_end) {
        SourceStatus s = source_fill(in);
        if (s != SOURCE_BYTES) return s;
    }
    *byte = in->out[in->out_at++];
    return SOURCE_BYTES;
}

SourceStatus source_next(Source *in, Arena *once, int64_t most, const void **bytes, int64_t *n)
{
    enum { SLACK = 256 }; /* what an arena may put around a block */
    if (in->why[0]) return SOURCE_ERROR;
    uint8_t byte;
    SourceStatus s = source_byte(in, &byte);
    if (s != SOURCE_BYTES) return s;
    if (byte != TAG) return source_damage(in, "no record begins here");

    int64_t length = 0;
    for (int shift = 0;; shift += 7) {
        if (shift > 28) return source_damage(in, "its length is no number");
        if ((s = source_byte(in, &byte)) == SOURCE_END) return source_damage(in, "cut short");
        if (s != SOURCE_BYTES) return s;
        length |= (int64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) break;
    }
    char why[128];
    if (length > most) {
        snprintf(why, sizeof why, "%lld bytes, at most %lld are allowed", (long long)length, (long long)most);
        return source_damage(in, why);
    }
    if (length > arena_left(once) - SLACK) {
        snprintf(why, sizeof why, "%lld bytes do not fit in %td bytes of memory", (long long)length, arena_left(once));
        return source_fail(in, why);
    }
    uint8_t *to = arena_alloc(once, 1, 16, length);
    for (int64_t done = 0; done < length;) {
        if (in->out_at == in->out_end && (s = source_fill(in)) != SOURCE_BYTES)
            return s == SOURCE_END ? source_damage(in, "cut short") : s;
        int64_t part = in->out_end - in->out_at < length - done ? in->out_end - in->out_at : length - done;
        memcpy(to + done, in->out + in->out_at, (size_t)part);
        in->out_at += part;
        done += part;
    }
    *bytes = to;
    *n = length;
    return SOURCE_BYTES;
}

const char *source_why(const Source *in)
{
    return in->why;
}

bool source_damaged(const Source *in)
{
    return in->damaged;
}

void source_close(Source *in)
{
    LZ4F_freeDecompressionContext(in->lz4);
    if (in->owned) close(in->fd);
    in->lz4 = 0;
    in->owned = false;
    source_fail(in, "is closed");
}

/* ---- writing ---- */

/* Blocks are independent and each has a checksum: damage shows before a record of the block is used. */
static const LZ4F_preferences_t preferences = {
    .frameInfo = {.blockSizeID = LZ4F_max256KB,
                  .blockMode = LZ4F_blockIndependent,
                  .contentChecksumFlag = LZ4F_contentChecksumEnabled,
                  .blockChecksumFlag = LZ4F_blockChecksumEnabled},
};

struct Sink {
    int fd;
    bool owned;            /* fd is ours to close */
    const char *path;      /* the final name, behind links; 0: written in place */
    const char *temporary; /* 0: there is none now */
    bool durable;          /* fsync before the rename, and of the folder after it */
    LZ4F_cctx *lz4;
    uint8_t *buffer; /* of compressed bytes */
    size_t capacity;
    char why[256]; /* sticky */
};

static void sink_fail(Sink *out, const char *why)
{
    if (!out->why[0]) snprintf(out->why, sizeof out->why, "%s", why);
}

/* Writes the first n bytes of the buffer, or notes what LZ4 says in their place. */
static void sink_write(Sink *out, size_t n)
{
    if (LZ4F_isError(n)) sink_fail(out, LZ4F_getErrorName(n));
    for (size_t done = 0; done < n && !out->why[0];) {
        ssize_t part = write(out->fd, out->buffer + done, n - done);
        if (part < 0 && errno != EINTR) sink_fail(out, strerror(errno));
        if (part > 0) done += (size_t)part;
    }
}

/* Opens a temporary file beside out->path, with the mode of the file that it will replace. */
static void sink_open_temporary(Sink *out, Arena *perm, const struct stat *old)
{
    const char *name = arena_printf(perm, "%s.tmp%ld", out->path, (long)getpid());
    for (int attempt = 0; attempt < 2; attempt++) {
        out->fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (out->fd >= 0 || errno != EEXIST) break;
        unlink(name); /* left by a process that had our number and was killed */
    }
    if (out->fd < 0) {
        sink_fail(out, strerror(errno));
        return;
    }
    out->temporary = name;
    if (old && fchmod(out->fd, old->st_mode & 0777) != 0) sink_fail(out, strerror(errno));
}

Sink *sink_open(Arena *perm, const char *path)
{
    Sink *out = NEW(perm, Sink, 1);
    out->capacity = LZ4F_compressBound(BLOCK_BYTES, &preferences);
    out->buffer = NEW(perm, uint8_t, (ptrdiff_t)out->capacity);
    out->fd = -1;

    struct stat old;
    bool exists = stat(path, &old) == 0;
    if (strcmp(path, "-") == 0) {
        out->fd = STDOUT_FILENO;
    } else if (exists && !S_ISREG(old.st_mode)) { /* a pipe, a device; a directory is refused here */
        out->fd = open(path, O_WRONLY | O_CLOEXEC);
        if (out->fd < 0) sink_fail(out, strerror(errno));
    } else {
        char *target = exists ? realpath(path, 0) : 0; /* a link stays one: its target is replaced */
        out->path = arena_strdup(perm, target ? target : path);
        free(target);
        sink_open_temporary(out, perm, exists ? &old : 0);
    }

    out->owned = out->fd >= 0 && strcmp(path, "-") != 0;
    LZ4F_errorCode_t code = LZ4F_createCompressionContext(&out->lz4, LZ4F_VERSION);
    if (LZ4F_isError(code)) sink_fail(out, LZ4F_getErrorName(code));
    if (!out->why[0]) sink_write(out, LZ4F_compressBegin(out->lz4, out->buffer, out->capacity, &preferences));
    return out;
}

static void sink_compress(Sink *out, const uint8_t *bytes, int64_t n)
{
    assert(out->lz4 || out->why[0]); /* not after sink_finish() or sink_abandon() */
    while (n > 0 && !out->why[0]) {
        int64_t part = n < BLOCK_BYTES ? n : BLOCK_BYTES;
        sink_write(out, LZ4F_compressUpdate(out->lz4, out->buffer, out->capacity, bytes, (size_t)part, 0));
        bytes += part;
        n -= part;
    }
}

void sink_put(Sink *out, const void *bytes, int64_t n)
{
    uint8_t head[16] = {TAG};
    sink_compress(out, head, 1 + varint_write(head + 1, (uint64_t)n));
    sink_compress(out, bytes, n);
}

void sink_flush(Sink *out)
{
    if (!out->why[0]) sink_write(out, LZ4F_flush(out->lz4, out->buffer, out->capacity, 0));
}

void sink_durable(Sink *out)
{
    out->durable = true;
}

/* Has the folder of a renamed file on the disk, so that the name survives a power cut. */
static void sync_folder(Sink *out)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(out->path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - out->path) + 1 : 1, slash ? out->path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return; /* a folder that may be written but not read: the file is there nevertheless */
    fsync(fd);          /* not every file system can */
    close(fd);
}

/* Gives back what the sink holds outside its arena; standard output stays open. */
static void sink_close(Sink *out)
{
    LZ4F_freeCompressionContext(out->lz4);
    out->lz4 = 0;
    if (out->owned && close(out->fd) != 0) sink_fail(out, strerror(errno));
    out->owned = false;
}

bool sink_finish(Sink *out)
{
    if (!out->why[0]) sink_write(out, LZ4F_compressEnd(out->lz4, out->buffer, out->capacity, 0));
    if (!out->why[0] && out->durable && out->temporary && fsync(out->fd) != 0) sink_fail(out, strerror(errno));
    sink_close(out);
    if (!out->why[0] && out->temporary && rename(out->temporary, out->path) != 0) sink_fail(out, strerror(errno));
    if (out->why[0] && out->temporary) unlink(out->temporary);
    if (!out->why[0] && out->durable && out->temporary) sync_folder(out);
    out->temporary = 0;
    return !out->why[0];
}

void sink_abandon(Sink *out)
{
    sink_close(out);
    if (out->temporary) unlink(out->temporary);
    out->temporary = 0;
}

const char *sink_why(const Sink *out)
{
    return out->why[0] ? out->why : 0;
}

const char *sink_temporary(const Sink *out)
{
    return out->temporary;
}

int64_t varint_write(uint8_t *p, uint64_t value)
{
    int64_t n = 0;
    for (; value >= 0x80; value >>= 7) p[n++] = (uint8_t)(value | 0x80);
    p[n++] = (uint8_t)value;
    return n;
}
