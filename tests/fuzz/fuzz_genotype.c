/* Any text as a genotype: what is accepted prints, is read back as itself, and builds or is refused with a reason. */
#include <stdlib.h>
#include <string.h>

#include "nn/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Arena all;
    if (!all.beg) all = arena_reserve((ptrdiff_t)1 << 28);
    Arena perm = all;
    char *text = arena_strndup(&perm, (const char *)data, (ptrdiff_t)size);
    Genotype g, again;
    const char *why = genotype_parse(&perm, text, &g);
    if (why) {
        insist(*why);
        return 0;
    }
    char *printed = genotype_print(&perm, &g);
    insist(!genotype_parse(&perm, printed, &again));
    insist(genotype_equal(&g, &again));
    insist(!strcmp(printed, genotype_print(&perm, &again)));
    NetSpec n = {.input_channels = 1,
                 .height = 5,
                 .width = 7,
                 .outputs = 2,
                 .channels = 2,
                 .layers = 3,
                 .reduce_count = -1,
                 .stem_multiplier = 1};
    Graph *net = network_genotype(&perm, &g, &n);
    insist(net->error || net->logits >= 0);
    return 0;
}
