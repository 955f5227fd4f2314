/* arena: the only allocator of the libraries.
 *
 * An arena is one reserved address range that is handed out front to back and never freed piecemeal.
 * Two arenas flow through the code: `perm` by pointer (what is allocated stays), `scratch` by copy (what a callee
 * allocates is gone when it returns).  Memory is zeroed.  Running out ends the program with the sizes: an arena is
 * sized far above what a correct program asks, so this is a bug or an absurd request, and every request that depends
 * on the outside world is range-checked by its caller first.
 */
#ifndef NAS_ARENA_H
#define NAS_ARENA_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *beg, *end;
} Arena;

/* Reserves `bytes` of address space (pages are committed on first touch), or what the machine has of memory and swap if
 * that is less. Ends the program if the range is refused. */
Arena arena_reserve(ptrdiff_t bytes);
/* Gives a reserved arena's whole range back. `whole` is the value that arena_reserve returned. */
void arena_release(Arena whole);

/* count objects of `size` bytes at alignment `align` (a power of two), zeroed. */
void *arena_alloc(Arena *a, ptrdiff_t size, ptrdiff_t align, ptrdiff_t count);
#define NEW(a, T, n) ((T *)arena_alloc((a), (ptrdiff_t)sizeof(T), (ptrdiff_t) _Alignof(T), (ptrdiff_t)(n)))

/* A block whose length is not known beforehand: arena_cut takes a range from the end of `a`, which costs nothing until it
 * is used; arena_append hands out its next bytes, without a gap to the last ones and not zeroed. Both end the program, as
 * arena_alloc does, if there is no room. */
Arena arena_cut(Arena *a, ptrdiff_t bytes);
void *arena_append(Arena *block, ptrdiff_t bytes);
/* Gives back the memory of whole pages in a block whose content is not needed any more; the addresses stay taken. */
void arena_forget(const void *block, ptrdiff_t bytes);

/* For a list in an arena: `array` of *room items, if count of them leave room for one more, else a copy with twice the room. */
void *arena_grow(Arena *a, void *array, int64_t count, int64_t *room, int64_t size);
#define GROW(a, array, count, room) ((array) = arena_grow((a), (array), (count), &(room), (int64_t)sizeof *(array)))

/* Bytes still free. */
static inline ptrdiff_t arena_left(const Arena *a)
{
    return a->end - a->beg;
}

/* Strings in an arena: a copy, a copy of n bytes plus a terminator, and formatted text. */
char *arena_strdup(Arena *a, const char *s);
char *arena_strndup(Arena *a, const char *s, ptrdiff_t n);
char *arena_printf(Arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *a, const char *format, va_list args);

/* A text that grows: append pieces, read .s (always terminated). */
typedef struct {
    char *s;
    ptrdiff_t length, capacity;
} Text;
void text_add(Arena *a, Text *t, const char *s);
void text_addf(Arena *a, Text *t, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define COUNTOF(x) ((ptrdiff_t)(sizeof(x) / sizeof((x)[0])))

/* a*b or a+b in int64_t, or -1 when it overflows or an operand is negative: check sizes before computing with them. */
int64_t size_mul(int64_t a, int64_t b);
int64_t size_add(int64_t a, int64_t b);
#endif
