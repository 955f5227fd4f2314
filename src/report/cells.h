/* cells: what cells are like, in numbers: of one cell (cells.c), beside random cells (null.c), of the mixing weights
 * that cells are derived from (mixing.c), and all of it over a story, a row a number (cellstats.c).
 */
#ifndef NAS_CELLS_H
#define NAS_CELLS_H
#include "report/parts.h"

/* ---- one cell ---- */

typedef enum {
    MEASURE_DEPTH,
    MEASURE_WIDTH,
    MEASURE_PATHS,
    MEASURE_FIELD,
    MEASURE_SKIPS,
    MEASURE_POOLS,
    MEASURE_NONES,
    MEASURE_KINDS,
    MEASURE_PARAMETERS,
    MEASURE_MACS,
    MEASURE_COUNT
} Measure;
extern const struct MeasureInfo {
    const char *name, *meaning;
} measure_info[MEASURE_COUNT];

/* All measures of a cell. Edges of none carry nothing; a measure that is not defined (no way to the output) is NaN. reduce: it is a reduction cell. */
void cell_measure(Arena scratch, const Cell *c, bool reduce, double value[MEASURE_COUNT]);

/* Parameters and multiply-accumulates of the operations on each edge, with CELL_CHANNELS channels a node, on a state of
 * CELL_SIZE × CELL_SIZE (1 × CELL_SIZE if an operation is for series). False: no network has this cell. */
enum { CELL_CHANNELS = 16, CELL_SIZE = 32 };
typedef struct {
    double parameters[GENOTYPE_MAX_NODES * GENOTYPE_MAX_INPUTS], macs[GENOTYPE_MAX_NODES * GENOTYPE_MAX_INPUTS];
} CellCost;
bool cell_cost(Arena scratch, const Cell *c, bool reduce, CellCost *out);

/* The fewest changes of one edge's operation or input that make b of a, node by node; an edge that only one of them has
 * counts 2. */
int64_t cell_distance(const Cell *a, const Cell *b);
/* Share of the edges (operation and input, at the same node) that both have, of the larger number of edges. */
double cell_agreement(const Cell *a, const Cell *b);

/* ---- random cells ---- */

typedef struct {
    Space space;
    bool reduce;
    int64_t count;                /* cells */
    double *value[MEASURE_COUNT]; /* count each */
    double *share[SPACE_MAX_OPS]; /* count each: of the edges with operation space.op[i] */
    double *distance, *agreement; /* count / 2 each: of two random cells */
} Null;
/* Measures `count` cells drawn by genotype_random(seed). */
Null *null_sample(Arena *a, const Space *s, bool reduce, int64_t count, uint64_t seed);

typedef struct {
    double expected, sd; /* over random cells; of the mean of n of them */
    double p;            /* two-sided: the share of random draws that lie as far out or farther, doubled; never 0 */
} NullTest;
/* How the mean of n cells stands among means of n values of the sample (n > 1: drawn with replacement). */
NullTest null_test(const double *sample, int64_t count, double observed, int64_t n, uint64_t seed);

/* ---- mixing weights ---- */

typedef enum {
    MIXING_ENTROPY,
    MIXING_SIGMA,
    MIXING_GINI,
    MIXING_NONE,
    MIXING_NONE_WINS,
    MIXING_SKIP,
    MIXING_KEPT,
    MIXING_TAU_PREVIOUS,
    MIXING_TAU_LAST,
    MIXING_COUNT
} Mixing;
extern const struct MeasureInfo mixing_info[MIXING_COUNT];

enum { MIXING_BINS = 20 }; /* of the histogram of weights, over 0 … 1 */

/* The table of a kind of cell in an epoch, its weights checked (finite, 0 … 1, columns as the space has them); or 0. */
const AlphaTable *mixing_table(const StorySearch *search, int64_t epoch, bool reduce);
/* All measures of one epoch; NaN where not defined. */
void mixing_measure(Arena scratch, const StorySearch *search, int64_t epoch, bool reduce, double value[MIXING_COUNT]);
void mixing_histogram(const AlphaTable *t, double share[MIXING_BINS]);
/* Of one edge, in nats, of the weights as shares of their sum (edge weights and sigmoids do not sum to 1); NaN if that is
 * 0. */
double mixing_entropy(const double *weight, int64_t n);
/* Inequality of n shares: 0 all alike, 1 - 1/n one has all. NaN if they sum to 0. */
double mixing_gini(Arena scratch, const double *x, int64_t n);
/* Kendall's tau-b of two rankings of n things; NaN if one of them is all ties. */
double mixing_tau(const double *x, const double *y, int64_t n);

/* ---- a whole story ---- */

typedef struct {                        /* a cell that the story tells of */
    const char *label, *rule, *dataset; /* label: distinct */
    int64_t seed, epoch;
    Genotype genotype;
    Space space; /* of the search, or one that holds the cell */
} CellSubject;
CellSubject *cell_subjects(const Story *s, Arena *a, int64_t *count);

typedef enum { PART_OPERATION, PART_CELL, PART_COST, PART_PAIR, PART_MIXING, PART_EDGE, PART_HISTOGRAM } CellPart;
typedef struct { /* one number; what does not apply is "", -1 or NaN */
    CellPart part;
    const char *subject; /* a genotype, a group of them (rule and dataset) or a search */
    const char *other;   /* an operation, the other genotype, an edge, the lower end of a bin */
    const char *cell;    /* "normal" or "reduce" */
    const char *measure;
    int64_t epoch, cells;          /* cells: how many the value is a mean of */
    double value, expected, sd, p; /* expected, sd, p: of as many random cells */
} CellRow;
CellRow *cellstats_rows(const Story *s, Arena *a, int64_t draws, uint64_t seed, int64_t *count);
#endif
