/* arena: allocation, see arena.h.
 *
 * Under AddressSanitizer every block is followed by a poisoned gap, so an overflow inside an arena is caught as one
 * outside would be.
 */
#include "base/arena.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
enum { REDZONE = 64 };
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
enum { REDZONE = 0 };
#endif

/* Pages beyond what the machine has can never be touched, and cost dearly where addresses are few (39 bits on some Arm
 * systems) or an emulator keeps a list of them. */
static ptrdiff_t usable(ptrdiff_t bytes)
{
    const ptrdiff_t least = (ptrdiff_t)1 << 33, absurd = (ptrdiff_t)1 << 46; /* which the system is to refuse */
    struct sysinfo machine;
    if (bytes <= least || bytes > absurd || sysinfo(&machine)) return bytes;
    double most = ((double)machine.totalram + (double)machine.totalswap) * machine.mem_unit;
    if (most < (double)least) return least;
    return most < (double)bytes ? (ptrdiff_t)most & ~(ptrdiff_t)4095 : bytes;
}

Arena arena_reserve(ptrdiff_t bytes)
{
    bytes = usable(bytes);
    char *p = bytes > 0
                  ? mmap(0, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                  : MAP_FAILED;
    if (p == MAP_FAILED) {
        fprintf(stderr, "%s: out of memory: cannot reserve %td bytes: %s\n", program_invocation_short_name, bytes,
                strerror(bytes > 0 ? errno : EINVAL));
        exit(1);
    }
    return (Arena){p, p + bytes};
}

void arena_release(Arena whole)
{
    ASAN_UNPOISON_MEMORY_REGION(whole.beg, (size_t)(whole.end - whole.beg));
    if (whole.beg) munmap(whole.beg, (size_t)(whole.end - whole.beg));
}

static _Noreturn void no_room(const Arena *a, ptrdiff_t size, ptrdiff_t count)
{
    fprintf(stderr, "%s: out of memory: %td x %td bytes asked, %td left\n", program_invocation_short_name, count, size,
            arena_left(a));
    exit(1);
}

Arena arena_cut(Arena *a, ptrdiff_t bytes)
{
    if (bytes < 0 || bytes > arena_left(a)) no_room(a, bytes, 1);
    ptrdiff_t end = (ptrdiff_t)((uintptr_t)(a->end - bytes) & 63); /* begins at a multiple of 64 */
    if (end > a->end - bytes - a->beg) no_room(a, bytes, 1);
    Arena block = {a->end - bytes - end, a->end};
    a->end = block.beg;
    return block;
}

void *arena_append(Arena *block, ptrdiff_t bytes)
{
    if (bytes < 0 || bytes > arena_left(block)) no_room(block, bytes, 1);
    char *p = block->beg;
    block->beg += bytes;
    ASAN_UNPOISON_MEMORY_REGION(p, (size_t)bytes);
    return p;
}

void *arena_alloc(Arena *a, ptrdiff_t size, ptrdiff_t align, ptrdiff_t count)
{
    ptrdiff_t pad = (ptrdiff_t)(-(uintptr_t)a->beg & (uintptr_t)(align - 1));
    ptrdiff_t room = a->end - a->beg - pad - REDZONE;
    if (size <= 0 || count < 0 || room < 0 || count > room / size) no_room(a, size, count);
    char *p = a->beg + pad;
    ptrdiff_t bytes = count * size;
    a->beg = p + bytes + REDZONE;
    ASAN_UNPOISON_MEMORY_REGION(p, (size_t)bytes);
    ASAN_POISON_MEMORY_REGION(p + bytes, (size_t)REDZONE);
    return memset(p, 0, (size_t)bytes);
}

void arena_forget(const void *block, ptrdiff_t bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t from = ((uintptr_t)block + page - 1) & ~(page - 1),
                    to = ((uintptr_t)block + (uintptr_t)bytes) & ~(page - 1);
    if (to > from) madvise((void *)from, to - from, MADV_DONTNEED);
}

char *arena_strndup(Arena *a, const char *s, ptrdiff_t n)
{
    char *copy = NEW(a, char, n + 1);
    if (n > 0) memcpy(copy, s, (size_t)n);
    return copy;
}

void *arena_grow(Arena *a, void *array, int64_t count, int64_t *room, int64_t size)
{
    if (count < *room) return array;
    int64_t more = *room ? 2 * *room : 16;
    char *p = arena_alloc(a, size, _Alignof(max_align_t), more);
    if (count) memcpy(p, array, (size_t)(count * size));
    *room = more;
    return p;
}

char *arena_strdup(Arena *a, const char *s)
{
    return arena_strndup(a, s, (ptrdiff_t)strlen(s));
}

char *arena_vprintf(Arena *a, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(0, 0, format, args);
    if (length < 0) length = 0; /* an encoding error: empty text */
    char *s = NEW(a, char, (ptrdiff_t)length + 1);
    vsnprintf(s, (size_t)length + 1, format, again);
    va_end(again);
    return s;
}

char *arena_printf(Arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *s = arena_vprintf(a, format, args);
    va_end(args);
    return s;
}

/* Makes room for `more` bytes and the terminator; capacity doubles, so appending is linear overall. */
static void text_grow(Arena *a, Text *t, ptrdiff_t more)
{
    if (t->s && more < t->capacity - t->length) return;
    ptrdiff_t capacity = 2 * t->capacity > t->length + more + 1 ? 2 * t->capacity : t->length + more + 64;
    char *s = NEW(a, char, capacity);
    if (t->length) memcpy(s, t->s, (size_t)t->length);
    t->s = s;
    t->capacity = capacity;
}

void text_add(Arena *a, Text *t, const char *s)
{
    ptrdiff_t n = (ptrdiff_t)strlen(s);
    text_grow(a, t, n);
    memcpy(t->s + t->length, s, (size_t)n + 1);
    t->length += n;
}

void text_addf(Arena *a, Text *t, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(0, 0, format, args);
    if (length < 0) length = 0;
    text_grow(a, t, length);
    vsnprintf(t->s + t->length, (size_t)length + 1, format, again);
    t->length += length;
    va_end(again);
    va_end(args);
}

int64_t size_mul(int64_t a, int64_t b)
{
    int64_t r;
    return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &r) ? -1 : r;
}

int64_t size_add(int64_t a, int64_t b)
{
    int64_t r;
    return a < 0 || b < 0 || __builtin_add_overflow(a, b, &r) ? -1 : r;
}
