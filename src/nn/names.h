/* names: suggestions for a misspelt name. */
#ifndef NAS_NAMES_H
#define NAS_NAMES_H
#include "base/arena.h"

/* The names nearest to word[0…length), by edit distance without regard to case, as "a, b or c"; `known` has `count`. */
const char *names_near(Arena *perm, const char *word, int64_t length, const char *const *known, int64_t count);
#endif
