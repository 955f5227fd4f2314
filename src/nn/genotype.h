/* genotype: a pair of discrete cells, and its text form, the notation of DARTS (Liu, Simonyan, Yang 2019):
 *
 *   Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat=range(2, 6), reduce=[…], reduce_concat=[2, 3, 4, 5])
 *
 * Pair 2i, 2i+1 are the inputs of node i; input 0 is c_{k-2}, 1 is c_{k-1}, j >= 2 is node j-2.
 */
#ifndef NAS_GENOTYPE_H
#define NAS_GENOTYPE_H
#include "base/arena.h"
#include "nn/space.h"

enum { GENOTYPE_MAX_NODES = 16, GENOTYPE_MAX_INPUTS = 4 };

typedef struct {
    int8_t op; /* index into primitive_table */
    int8_t input;
} GeneEdge;

typedef struct {
    int64_t nodes, inputs; /* inputs kept per node: 2 in the literature */
    GeneEdge edge[GENOTYPE_MAX_NODES * GENOTYPE_MAX_INPUTS];
    int8_t concat[GENOTYPE_MAX_NODES + 2]; /* state indices in the order given */
    int64_t concat_count;
} Cell;

typedef struct {
    Cell normal, reduce;
} Genotype;

/* Parses text; anything before "Genotype(" on the line is skipped (log lines). Accepts lists, tuples and range(a, b),
 * single or double quotes, any spacing. Returns 0, or why not with the column. Checks op names, input indices (a node
 * sees only earlier states), even number of edges, concat indices. */
const char *genotype_parse(Arena *perm, const char *text, Genotype *out);
/* One line as DARTS prints it; concat as range(a, b) when it is one, else as a list. */
char *genotype_print(Arena *perm, const Genotype *g);
bool genotype_equal(const Genotype *a, const Genotype *b);
/* A uniformly random cell as the published random search draws it: per node `inputs` distinct earlier states, each with
 * an operation other than none, f(seed, index). */
Genotype genotype_random(const Space *s, uint64_t seed, uint64_t index);

typedef struct {
    const char *name, *text, *source;
} NamedGenotype;
extern const NamedGenotype genotype_named[]; /* the published cells */
extern const int64_t genotype_named_count;
const NamedGenotype *genotype_find(const char *name); /* case-insensitive; 0 if unknown */
#endif
