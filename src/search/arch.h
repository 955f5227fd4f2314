/* arch: the architecture weights of a search: a table of alphas for the normal cell and one for the reduction cell, and
 * what they are turned into. Small, so they live on the host, in double; all state is a handful of flat blocks. */
#ifndef NAS_ARCH_H
#define NAS_ARCH_H
#include "nn/space.h"
#include "stream/record.h"

enum { ARCH_TABLES = 2 }; /* normal, reduce: tables 0 and 1 of the supernet */

typedef struct {
    int64_t edges, ops;
    int64_t count;       /* of all tables: ARCH_TABLES × edges × ops; the blocks below are (tables, edges, ops) */
    double *raw;         /* alphas */
    double *weight;      /* mixing weights that the relaxation makes of them */
    double *weight_grad; /* dLoss/dweight */
    double *grad;        /* dLoss/draw, regularised */
    double *moment1, *moment2; /* of the optimiser */
    int64_t step;              /* optimiser steps done */
} Arch;

/* Alphas as published: 1e-3 × normal, f(seed). */
Arch *arch_new(Arena *perm, const Space *s, uint64_t seed);

typedef struct {
    const char *name;
    double *data;
    int64_t count;
} ArchBlock;
enum { ARCH_STATE = 3 };
/* What changes in a search, beside `step`: the alphas and the moments. The rest is a function of it. */
void arch_state(Arch *a, ArchBlock out[ARCH_STATE]);

/* The tables as a record has them, with entropies and margins; ARCH_TABLES of them. */
AlphaTable *arch_record(Arena *a, const Arch *arch, const Space *s);
#endif
