/* names: suggestions for a misspelt name. */
#include "nn/names.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum { LONGEST = 64, SHOWN = 3 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Levenshtein distance of the first LONGEST letters, one row at a time. */
static int64_t distance(const char *a, int64_t a_length, const char *b, int64_t b_length)
{
    int64_t row[LONGEST + 1];
    a_length = least(a_length, LONGEST);
    b_length = least(b_length, LONGEST);
    b_length = least(b_length, LONGEST);
    for (int64_t j = 0; j <= b_length; j++) row[j] = j;
    for (int64_t i = 1; i <= a_length; i++) {
        int64_t diagonal = row[0];
        row[0] = i;
        for (int64_t j = 1; j <= b_length; j++) {
            int64_t above = row[j];
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            row[j] = least(least(above, row[j - 1]) + 1, diagonal + !same);
            diagonal = above;
        }
    }
    return row[b_length];
}

const char *names_near(Arena *perm, const char *word, int64_t length, const char *const *known, int64_t count)
{
    const char *best[SHOWN];
    int64_t score[SHOWN], shown = 0;
    for (int64_t i = 0; i < count; i++) { /* insertion into the short list; the earlier of equals stays ahead */
        int64_t d = distance(word, length, known[i], (int64_t)strlen(known[i])), k = shown;
        for (; k > 0 && d < score[k - 1]; k--) {
            if (k == SHOWN) continue;
            best[k] = best[k - 1];
            score[k] = score[k - 1];
        }
        if (k == SHOWN) continue;
        best[k] = known[i];
        score[k] = d;
        if (shown < SHOWN) shown++;
    }
    Text t = {0};
    text_add(perm, &t, "");
    for (int64_t i = 0; i < shown; i++)
        text_addf(perm, &t, "%s%s", i == 0 ? "" : i < shown - 1 ? ", " : " or ", best[i]);
    return t.s;
}
