/* candidates: what is to be trained. */
#include "train/candidates.h"

#include <string.h>

#include "nn/generator_space.h"
#include "nn/genotype.h"
#include "nn/names.h"

static bool taken(const Candidates *c, const char *run)
{
    for (int64_t i = 0; i < c->count; i++)
        if (!strcmp(c->item[i].run, run)) return true;
    return false;
}

const Candidate *candidates_add(Arena *perm, Candidates *c, Candidate item)
{
    GROW(perm, c->item, c->count, c->room);
    const char *name = *item.run ? item.run : item.net, *run = name;
    for (long long k = 2; taken(c, run); k++) run = arena_printf(perm, "%s-%lld", name, k);
    c->item[c->count] = (Candidate){.run = arena_strdup(perm, run),
                                    .net = arena_strdup(perm, item.net),
                                    .genotype = arena_strdup(perm, item.genotype),
                                    .dataset = arena_strdup(perm, item.dataset)};
    return &c->item[c->count++];
}

const char *candidates_parse(Arena *perm, const char *text, GenotypeRecord *out)
{
    *out = (GenotypeRecord){
        .name = "text", .text = text, .rule = "text", .dataset = "", .epoch = -1, .none_mass = -1, .weight_kept = -1};
    GeneratorSpec generator = generator_published;
    const bool is_published = !strcmp(text, generator_published_name);
    if (is_published || generator_text_is(text)) {
        const char *why = is_published ? 0 : generator_parse(perm, text, &generator);
        if (is_published) out->name = text, out->rule = "named";
        if (!why) out->text = generator_print(perm, &generator);
        return why;
    }
    const NamedGenotype *named = genotype_find(text);
    if (named) {
        out->name = named->name;
        out->rule = "named";
        out->text = named->text;
    } else if (!strchr(text, '(')) {
        const char **known = NEW(perm, const char *, genotype_named_count);
        for (int64_t i = 0; i < genotype_named_count; i++) known[i] = genotype_named[i].name;
        return arena_printf(perm, "no published cell; near it: %s",
                            names_near(perm, text, (int64_t)strlen(text), known, genotype_named_count));
    }
    Genotype g;
    const char *why = genotype_parse(perm, out->text, &g);
    if (!why) out->text = genotype_print(perm, &g);
    return why;
}
