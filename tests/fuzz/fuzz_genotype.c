/* Any text as a genotype, or as a generator: what is accepted prints, is read back as itself, and builds or is refused with a
 * reason. */
#include <stdlib.h>
#include <string.h>

#include "nn/generator_space.h"
#include "nn/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool holds)
{
    if (!holds) abort();
}

static void read_generator(Arena *perm, const char *text)
{
    GeneratorSpec g, again;
    const char *why = generator_parse(perm, text, &g);
    if (why) {
        insist(*why);
        return;
    }
    char *printed = generator_print(perm, &g);
    insist(!generator_parse(perm, printed, &again));
    insist(!memcmp(&g, &again, sizeof g));
    int64_t side = generator_multiple(&g), weights = 0;
    for (int i = 0; i < g.stages; i++) {
        weights += g.stage[i].channels;
        g.stage[i].channels = 1; /* memory is not what is tried here */
    }
    g.channels = g.latent = 2;
    Graph *net = side > 64 ? 0 : generator_make(perm, &g, side, side, &why);
    insist(side > 64 || weights < 1 || (net ? net->weight_count > 0 : why && *why));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Arena all;
    if (!all.beg) all = arena_reserve((ptrdiff_t)1 << 28);
    Arena perm = all;
    char *text = arena_strndup(&perm, (const char *)data, (ptrdiff_t)size);
    if (generator_text_is(text)) {
        read_generator(&perm, text);
        return 0;
    }
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
