/* settings: the key = value lists of records, and what programs write about themselves. */
#ifndef NAS_SETTINGS_H
#define NAS_SETTINGS_H
#include "stream/record.h"

typedef struct {
    Setting *item;
    int64_t count, room;
} Settings;

/* Appends key = formatted text; the key is kept by pointer. */
void settings_add(Arena *perm, Settings *s, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* This program as a link of the provenance chain; inputs ("name digest") are kept by pointer. */
Provenance provenance_self(Arena *perm, const char **inputs, int64_t input_count);

/* "2,5" as ascending indices of cells below `layers`, at most `room`; "" gives *count = -1: where the published cells
 * have them. Returns 0 or why not. */
const char *reduce_parse(Arena *perm, const char *text, int64_t layers, int64_t *at, int64_t room, int64_t *count);
/* "4,8" as whole numbers from least to most, none twice, at most `room`. Returns 0 or why not. */
const char *whole_parse(Arena *perm, const char *text, int64_t least, int64_t most, int64_t *to, int64_t room,
                        int64_t *count);
/* "30,60.5" as ascending numbers above 0 and below `most`, at most `room`; "" gives *count = 0. Returns 0 or why not. */
const char *epochs_parse(Arena *perm, const char *text, double most, double *at, int64_t room, int64_t *count);
#endif
