/* Any bytes as a file of alphas or of genotypes, read in every format: no crash, one line of reason, finite indices. */
#include <stdlib.h>
#include <string.h>

#include "nn/genotext.h"
#include "nn/genotype.h"
#include "search/alphafile.h"
#include "search/derive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool holds)
{
    if (!holds) abort();
}

static void derive(Arena *perm, const Space *s, const double *normal, const double *reduce)
{
    Derived d;
    if (derive_magnitude(perm, s, normal, reduce, 0.3, &d)) return;
    Genotype again;
    insist(!genotype_parse(perm, genotype_print(perm, &d.genotype), &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Arena all;
    if (!all.beg) all = arena_reserve((ptrdiff_t)1 << 28);
    Arena perm = all;
    Space s;
    insist(!space_make(&perm, "none,skip_connect,sep_conv_3x3", 1, 2, 1, &s));
    int64_t cells = space_edges(&s) * s.op_count, of_cells;
    char *text = arena_strndup(&perm, (const char *)data, (ptrdiff_t)size);
    insist(alphafile_probe(data, (int64_t)size) < ALPHA_FORMATS);
    double *w;
    const char *why = alphafile_npy(&perm, &s, data, (int64_t)size, &w, &of_cells);
    if (!why)
        derive(&perm, &s, w, of_cells == 2 ? w + cells : w);
    else
        insist(!strchr(why, '\n'));
    LogAlphas log;
    why = alphafile_log(&perm, &s, text, -1, &log);
    if (!why) derive(&perm, &s, log.normal, log.reduce);
    if (!derive_read_table(&perm, &s, text, (int64_t)size, &w)) derive(&perm, &s, w, w + cells);
    GenotextScan scan = genotext_scan(text);
    Genotext g;
    Genotype parsed;
    for (int64_t before = 0; genotext_next(&perm, &scan, &g); before = g.line) {
        insist(g.line >= before && strstr(g.text, "Genotype("));
        why = genotype_parse(&perm, g.text, &parsed);
        if (why) insist(*why);
    }
    return 0;
}
