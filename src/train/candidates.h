/* candidates: the networks that a program is to train: genotypes of a stream, genotypes and nets of its options. */
#ifndef NAS_CANDIDATES_H
#define NAS_CANDIDATES_H
#include "stream/record.h"

typedef struct {
    const char *run;      /* name, different from that of all others */
    const char *net;      /* "genotype" or that of a hand-designed net */
    const char *genotype; /* text, if net is "genotype" */
    const char *dataset;  /* that it was searched on, or "" */
} Candidate;

typedef struct {
    Candidate *item;
    int64_t count, room;
} Candidates;

/* Adds one; its texts are copied, its name made different. Returns it. */
const Candidate *candidates_add(Arena *perm, Candidates *c, Candidate item);
/* The genotype of an option: the name of a published cell or generator, or text. Fills *out with a record of it (name, rule, text).
 * Returns 0 or why not. */
const char *candidates_parse(Arena *perm, const char *text, GenotypeRecord *out);
#endif
