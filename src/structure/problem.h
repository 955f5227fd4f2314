/* problem: what is to be designed, on a grid of square elements: where it is held, where it is loaded, which elements may
 * be filled, and how much of them.
 *
 * The 116 problems of Hoyer, Sohl-Dickstein, Greydanus 2019 (arXiv:1909.04240), of 28 families, are rows of one table; a
 * family makes problems of other sizes, too.
 *
 * Element (r, c): row r from the top, column c from the left. Node (x, y): x = 0…W, y = 0…H from the top; its number is
 * x (H + 1) + y, its degrees of freedom are 2 node (along x) and 2 node + 1 (along y, downwards).
 */
#ifndef NAS_PROBLEM_H
#define NAS_PROBLEM_H
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct Problem {
    const char *name, *family; /* "mbb_beam_96x32_0.5", "mbb_beam" */
    int64_t W, H;              /* elements along x and y */
    double density;            /* the part of the designable elements that may be filled, in (0, 1) */
    const uint8_t *mask;       /* (H, W): 1 designable, 0 stays empty */
    const uint8_t *fixed;      /* (dofs): 1 held */
    const double *load;        /* (dofs): forces; those on held degrees of freedom have no effect */
    double reference;          /* the least typical compliance of published methods, 0: none */
} Problem;

/* Sides and elements of a problem: more is refused. */
enum { PROBLEM_MAX_SIDE = 4096, PROBLEM_MAX_ELEMENTS = 1 << 20 };

static inline int64_t problem_node(const Problem *p, int64_t x, int64_t y)
{
    return x * (p->H + 1) + y;
}
static inline int64_t problem_dofs(const Problem *p)
{
    return 2 * (p->W + 1) * (p->H + 1);
}
int64_t problem_designable(const Problem *p); /* elements with mask 1 */

/* The problem of a name, FAMILY_WxH_DENSITY: a row of the table, or one of a family at another size or density. Arrays are
 * in perm. Returns 0 or why not. */
const char *problem_find(Arena *perm, const char *name, Problem *out);

/* The table: names in order, those of a family next to each other, the smallest first. */
enum { PROBLEM_COUNT = 116, PROBLEM_FAMILIES = 28 };
typedef struct {
    const char *family;
    int64_t W, H;
    double density;
    double parameter; /* of the family, 0: its usual one */
} ProblemRow;
extern const ProblemRow problem_table[PROBLEM_COUNT];
const char *problem_name(Arena *perm, const ProblemRow *row);

/* Why no problem can be of that size and density, or 0: to be asked before arrays are made. */
const char *problem_check_size(Arena *perm, int64_t W, int64_t H, double density);
/* Why a problem from outside cannot be solved, in perm, or 0: sides and density in range, something designable, loads
 * finite and one of them on a node that can move, supports that hold it against shifts and rotation (else its stiffness
 * matrix is singular). */
const char *problem_check(Arena *perm, const Problem *p);

/* Compliance after 1000 steps as published (the paper's table), for 58 of the 116. */
typedef enum { PUBLISHED_CNN, PUBLISHED_PIXELS, PUBLISHED_MMA, PUBLISHED_OC, PUBLISHED_METHODS } PublishedMethod;
typedef struct {
    const char *name;
    double typical[PUBLISHED_METHODS]; /* CNN: the median over 101 seeds; else the run from the uniform design */
    double best[PUBLISHED_METHODS];    /* of the ensemble: the uniform start and 101 seeds */
} PublishedRow;
enum { PUBLISHED_COUNT = 58 };
extern const PublishedRow published_table[PUBLISHED_COUNT];
/* The row of a problem, or 0. */
const PublishedRow *published_find(const char *name);
/* The least of a row's typical figures: what relative errors are measured against. */
double published_typical(const PublishedRow *row);
#endif
