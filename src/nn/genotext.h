/* genotext: the genotypes in a text in which other things stand, too: a genotypes.py, a log of PyTorch's DARTS. */
#ifndef NAS_GENOTEXT_H
#define NAS_GENOTEXT_H
#include <stdbool.h>

#include "base/arena.h"

typedef struct {
    const char *at; /* where to go on */
    const char *counted;
    int64_t line;
} GenotextScan;

typedef struct {
    const char *text; /* "Genotype(…)" with what stands before it on its line; comments are blanks, line ends too */
    const char *name; /* of `NAME = Genotype(…)`, or 0: none, or the word genotype as logs write it */
    int64_t line;     /* from 1 */
} Genotext;

GenotextScan genotext_scan(const char *text); /* terminated by NUL */
/* The next one, which goes on over line ends until its bracket closes; false: there is none. It is not parsed: that is
 * genotype_parse()'s. */
bool genotext_next(Arena *perm, GenotextScan *s, Genotext *out);
#endif
