/* strategy: the strategies, as texts that name parts; and how parts work together. */
#include "search/strategy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "nn/names.h"

static const Choice choice_table[] = {
    {{"alphas", "the alphas say it", ""}, CHOICE_ALPHAS},
    {{"random", "one random architecture, drawn before the start, is all there is", ""}, CHOICE_RANDOM},
    {{"rank",
      "at the end the best of so many random ones on the validation split, by the loss with the shared weights and "
      "batch statistics",
      "Li, Talwalkar 2019, arXiv:1902.07638",
      1,
      {100},
      {1},
      {1e6}},
     CHOICE_RANK},
};

/* Rates are those of the papers' experiments in the space of DARTS. */
const StrategySettings strategy_table[] = {
    {"steady", "darts1 for searches of some hundred steps and more: the alphas learn fast, but not before the weights",
     "softmax", "all", "first-order", "l2", "adam", "alphas", 1, "off", "off", -1, 0.1, 0.02},
    {"darts1", "Liu, Simonyan, Yang 2019, arXiv:1806.09055, first order", "softmax", "all", "first-order", "l2", "adam",
     "alphas", 1, "off", "off", -1, 0, 3e-4},
    {"darts2", "the same, second order", "softmax", "all", "second-order", "l2", "adam", "alphas", 1, "off", "off", -1,
     0, 3e-4},
    {"pc-darts", "Xu et al. 2020, arXiv:1907.05737", "softmax", "all", "first-order", "l2", "adam", "alphas", 4, "on",
     "off", -1, 0.3, 6e-4},
    {"gaea", "Li, Khodak, Balcan, Talwalkar 2021, arXiv:2004.07802", "simplex", "all", "first-order", "none",
     "exponentiated", "alphas", 1, "off", "off", -1, 0, 0.1},
    {"beta-darts", "Ye et al. 2022, arXiv:2203.01665", "softmax", "all", "first-order", "beta-decay", "adam", "alphas",
     1, "off", "off", -1, 0, 3e-4},
    {"darts-", "Chu et al. 2021, arXiv:2009.01027", "softmax", "all", "first-order", "l2", "adam", "alphas", 1, "off",
     "on", -1, 0, 3e-4},
    {"fair-darts", "Chu et al. 2020, arXiv:1911.12126", "sigmoid", "all", "first-order", "l2,zero-one", "adam",
     "alphas", 1, "off", "off", -1, 0, 3e-4},
    {"sdarts-rs", "Chen, Hsieh 2020, arXiv:2002.05283", "softmax", "noise", "first-order", "l2", "adam", "alphas", 1,
     "off", "off", -1, 0, 3e-4},
    {"gdas", "Dong, Yang 2019, arXiv:1910.04465", "softmax", "gumbel", "first-order", "l2", "adam", "alphas", 1, "off",
     "off", -1, 0, 3e-4},
    {"random", "a control: no search at all", "simplex", "all", "none", "none", "none", "random", 1, "off", "off", -1,
     0, 0},
    {"random-ws", "a control: Li, Talwalkar 2019, arXiv:1902.07638", "simplex", "uniform", "none", "none", "none",
     "rank", 1, "off", "off", -1, 0, 0},
};
const int64_t strategy_count = COUNTOF(strategy_table);

/* ---- families of parts ---- */

typedef struct {
    const char *option, *what;
    const void *row; /* each starts with a Part */
    size_t size;
    int64_t count;
} Family;

enum { RELAXATION, SAMPLING, GRADIENT, REGULARISER, UPDATE, CHOICE, GUARD, FAMILIES };

static Family family(int which)
{
    switch (which) {
    case RELAXATION:
        return (Family){"relaxation", "from alphas to weights", relaxation_table, sizeof *relaxation_table,
                        relaxation_count};
    case SAMPLING:
        return (Family){"sampling", "what a step computes", sampling_table, sizeof *sampling_table, sampling_count};
    case GRADIENT:
        return (Family){"alpha-gradient", "the gradient of the alphas", gradient_table, sizeof *gradient_table,
                        gradient_count};
    case REGULARISER:
        return (Family){"regulariser", "what is added to it: a list, or none", regulariser_table,
                        sizeof *regulariser_table, regulariser_count};
    case UPDATE:
        return (Family){"alpha-update", "the step of the alphas", update_table, sizeof *update_table, update_count};
    case CHOICE:
        return (Family){"choice", "where the architecture comes from", choice_table, sizeof *choice_table,
                        COUNTOF(choice_table)};
    default:
        return (Family){"guard", "what ends the search when the alphas go wrong: a list, or none", guard_table,
                        sizeof *guard_table, guard_count};
    }
}

static const Part *family_part(Family f, int64_t i)
{
    return (const Part *)(const void *)((const char *)f.row + (size_t)i * f.size);
}

/* Reads "NAME[:VALUE[:VALUE]]", text[0…length). */
static const char *part_read(Arena *perm, Family f, const char *text, int64_t length, const void **found,
                             double value[2])
{
    const char *whole = arena_strndup(perm, text, length);
    int64_t name = (int64_t)strcspn(whole, ":");
    const char **known = NEW(perm, const char *, f.count);
    const Part *part = 0;
    for (int64_t i = 0; i < f.count; i++) {
        known[i] = family_part(f, i)->name;
        if ((int64_t)strlen(known[i]) == name && !memcmp(known[i], whole, (size_t)name)) part = family_part(f, i);
    }
    if (!part)
        return arena_printf(perm, "--%s %s: unknown; near it: %s", f.option, whole,
                            names_near(perm, whole, name, known, f.count));
    memcpy(value, part->usual, sizeof part->usual);
    const char *at = whole + name;
    for (int i = 0; *at; i++) {
        char *end;
        if (i == part->values)
            return arena_printf(perm, "--%s %s: %s takes %d value%s", f.option, whole, part->name, part->values,
                                part->values == 1 ? "" : "s");
        value[i] = strtod(at + 1, &end);
        if (end == at + 1 || (*end && *end != ':') || !(value[i] >= part->least[i] && value[i] <= part->most[i]))
            return arena_printf(perm, "--%s %s: a number from %g to %g expected after the colon", f.option, whole,
                                part->least[i], part->most[i]);
        at = end;
    }
    *found = part;
    return 0;
}

/* Reads a list of at most `room` different parts, or none. */
static const char *parts_read(Arena *perm, Family f, const char *list, int64_t room, const void **part,
                              double (*value)[2], int64_t *count)
{
    if (!strcmp(list, "none")) return 0;
    for (const char *p = list;; p++) {
        int64_t length = (int64_t)strcspn(p, ","), n = *count;
        if (n == room) return arena_printf(perm, "--%s: more than %lld", f.option, (long long)room);
        const char *why = part_read(perm, f, p, length, &part[n], value[n]);
        if (why) return why;
        for (int64_t k = 0; k < n; k++)
            if (part[k] == part[n])
                return arena_printf(perm, "--%s: %s twice", f.option, ((const Part *)part[n])->name);
        ++*count;
        p += length;
        if (!*p) return 0;
    }
}

/* Parts that contradict each other, or 0. */
static const char *contradiction(Arena *perm, const Strategy *s)
{
    bool learns = strategy_learns(s), gumbel = s->sampling->single_path && learns;
    const char *relaxation = s->relaxation->part.name, *update = s->update->part.name;
    if (!s->gradient->find != !s->update->step)
        return arena_printf(perm, "--alpha-gradient %s and --alpha-update %s: the alphas learn or they do not",
                            s->gradient->part.name, update);
    if (learns && s->update->simplex != s->relaxation->simplex)
        return arena_printf(perm,
                            "--alpha-update %s does not go with --relaxation %s: a simplex is kept by the "
                            "exponentiated update alone, which needs it",
                            update, relaxation);
    if (learns && s->choice->kind != CHOICE_ALPHAS)
        return arena_printf(perm, "--choice %s: not with alphas that learn (--alpha-gradient %s)", s->choice->part.name,
                            s->gradient->part.name);
    if (s->choice->kind == CHOICE_RANDOM && s->sampling != &sampling_table[0])
        return arena_printf(perm, "--choice random leaves nothing to draw for --sampling %s", s->sampling->part.name);
    if (gumbel && strcmp(s->sampling->part.name, "gumbel"))
        return arena_printf(perm,
                            "--sampling %s: alphas cannot learn from it; --alpha-gradient none --alpha-update none",
                            s->sampling->part.name);
    if (!strcmp(s->sampling->part.name, "gumbel") && strcmp(relaxation, "softmax"))
        return arena_printf(perm, "--sampling gumbel draws from a softmax, not from --relaxation %s", relaxation);
    if (!strcmp(s->sampling->part.name, "noise") && !s->relaxation->of_one_sum)
        return arena_printf(perm, "--sampling noise disturbs weights that add up to one, not --relaxation %s",
                            relaxation);
    if (s->edge_weights && (!learns || !s->relaxation->of_one_sum))
        return arena_printf(perm, "--edge-weights on: they need alphas that learn and weights that add up to one");
    for (int64_t i = 0; i < s->regulariser_count; i++) {
        const Regulariser *r = s->regulariser[i];
        if (!learns) return arena_printf(perm, "--regulariser %s: the alphas do not learn", r->part.name);
        if (r->relaxation && strcmp(r->relaxation, relaxation))
            return arena_printf(perm, "--regulariser %s is for --relaxation %s, not %s", r->part.name, r->relaxation,
                                relaxation);
    }
    for (int64_t i = 0; i < s->guard_count; i++) {
        const Guard *g = s->guard[i];
        if (!learns) return arena_printf(perm, "--guard %s: the alphas do not learn", g->part.name);
        if (g->every_path && s->sampling->single_path)
            return arena_printf(perm, "--guard %s: not with --sampling %s, which leaves one operation an edge",
                                g->part.name, s->sampling->part.name);
    }
    return 0;
}

static const char *given(const char *text, const char *usual)
{
    return text && *text ? text : usual;
}

static const char *switch_read(Arena *perm, const char *option, const char *text, bool *out)
{
    *out = !strcmp(text, "on");
    return *out || !strcmp(text, "off") ? 0 : arena_printf(perm, "--%s %s: on or off expected", option, text);
}

const char *strategy_make(Arena *perm, const StrategySettings *s, Strategy *out)
{
    const StrategySettings *preset = 0;
    const char *known[COUNTOF(strategy_table)], *why = 0;
    for (int64_t i = 0; i < strategy_count; i++) {
        known[i] = strategy_table[i].name;
        if (!strcmp(known[i], s->name)) preset = &strategy_table[i];
    }
    if (!preset)
        return arena_printf(perm, "--strategy %s: not a strategy; near it: %s", s->name,
                            names_near(perm, s->name, (int64_t)strlen(s->name), known, strategy_count));
    *out = (Strategy){.name = preset->name,
                      .share = s->share ? s->share : preset->share,
                      .warmup = s->warmup,
                      .warmup_share = preset->warmup_share,
                      .lr = s->lr > 0 ? s->lr : preset->lr};
    const struct {
        const char *text;
        const void **to;
        double *value;
    } read[FAMILIES] = {
        [RELAXATION] = {given(s->relaxation, preset->relaxation), (const void **)&out->relaxation, 0},
        [SAMPLING] = {given(s->sampling, preset->sampling), (const void **)&out->sampling, out->sampling_value},
        [GRADIENT] = {given(s->gradient, preset->gradient), (const void **)&out->gradient, 0},
        [UPDATE] = {given(s->update, preset->update), (const void **)&out->update, 0},
        [CHOICE] = {given(s->choice, preset->choice), (const void **)&out->choice, out->choice_value},
    };
    for (int i = 0; i < FAMILIES && !why; i++) {
        double unused[2];
        if (read[i].to)
            why = part_read(perm, family(i), read[i].text, (int64_t)strlen(read[i].text), read[i].to,
                            read[i].value ? read[i].value : unused);
    }
    if (!why)
        why = parts_read(perm, family(REGULARISER), given(s->regulariser, preset->regulariser), MAX_REGULARISERS,
                         (const void **)out->regulariser, out->regulariser_value, &out->regulariser_count);
    if (!why)
        why = parts_read(perm, family(GUARD), given(s->guard, given(preset->guard, "none")), MAX_GUARDS,
                         (const void **)out->guard, out->guard_value, &out->guard_count);
    if (!why) why = switch_read(perm, "edge-weights", given(s->edge_weights, preset->edge_weights), &out->edge_weights);
    if (!why)
        why =
            switch_read(perm, "auxiliary-skip", given(s->auxiliary_skip, preset->auxiliary_skip), &out->auxiliary_skip);
    return why ? why : contradiction(perm, out);
}

/* ---- for people ---- */

static void add_part(Arena *a, Text *t, const Part *p, const double *value)
{
    text_addf(a, t, "%s%s", t->length ? " + " : "", p->name);
    for (int i = 0; i < p->values; i++) text_addf(a, t, ":%g", value[i]);
}

const char *strategy_parts(Arena *a, const Strategy *s)
{
    Text t = {0};
    add_part(a, &t, &s->relaxation->part, 0);
    if (s->sampling != &sampling_table[0]) add_part(a, &t, &s->sampling->part, s->sampling_value);
    if (s->share > 1) text_addf(a, &t, " + channel-share:%lld", (long long)s->share);
    if (s->edge_weights) text_add(a, &t, " + edge-weights");
    if (s->auxiliary_skip) text_add(a, &t, " + auxiliary-skip");
    if (strategy_learns(s)) add_part(a, &t, &s->gradient->part, 0);
    for (int64_t i = 0; i < s->regulariser_count; i++)
        add_part(a, &t, &s->regulariser[i]->part, s->regulariser_value[i]);
    if (strategy_learns(s)) add_part(a, &t, &s->update->part, 0);
    if (s->warmup > 0) text_addf(a, &t, " + warmup:%lld", (long long)s->warmup);
    if (s->warmup < 0 && s->warmup_share > 0) text_addf(a, &t, " + warmup:%g %%", 100 * s->warmup_share);
    if (s->choice != &choice_table[0]) add_part(a, &t, &s->choice->part, s->choice_value);
    for (int64_t i = 0; i < s->guard_count; i++) add_part(a, &t, &s->guard[i]->part, s->guard_value[i]);
    return t.s;
}

const char *strategy_help(Arena *a)
{
    Text t = {0};
    text_add(a, &t, "Strategies, the parts that each is made of, and the learning rate of the alphas:\n");
    for (int64_t i = 0; i < strategy_count; i++) {
        Strategy s;
        const StrategySettings named = {.name = strategy_table[i].name, .warmup = -1};
        const char *why = strategy_make(a, &named, &s);
        text_addf(a, &t, "  %-14s  %s", strategy_table[i].name, why ? why : strategy_parts(a, &s));
        if (s.lr > 0) text_addf(a, &t, "; %g", s.lr);
        text_addf(a, &t, "\n%18s%s\n", "", strategy_table[i].source);
    }
    for (int f = 0; f < FAMILIES; f++) {
        Family parts = family(f);
        text_addf(a, &t, "\n--%s: %s\n", parts.option, parts.what);
        for (int64_t i = 0; i < parts.count; i++) {
            const Part *p = family_part(parts, i);
            const char *name = p->name;
            for (int k = 0; k < p->values; k++) name = arena_printf(a, "%s:%g", name, p->usual[k]);
            text_addf(a, &t, "  %-14s  %s\n", name, p->help);
            if (p->source && *p->source) text_addf(a, &t, "%18s%s\n", "", p->source);
        }
    }
    return t.s;
}

/* ---- at work ---- */

bool strategy_learns(const Strategy *s)
{
    return s->gradient->find != 0;
}

Genotype strategy_random(const Space *s, uint64_t seed)
{
    return genotype_random(s, seed, 1);
}

void strategy_start(const Strategy *s, Arch *a, uint64_t seed)
{
    if (s->choice->kind == CHOICE_RANDOM) {
        Genotype one = strategy_random(a->space, seed);
        arch_one_hot(a, &one, a->raw);
        return;
    }
    for (int64_t i = 0; i < a->group_count; i++)
        for (int64_t k = a->group[i].start; k < a->group[i].start + a->group[i].count; k++)
            a->raw[k] = s->relaxation->simplex ? 1 / (double)a->group[i].count
                                               : 1e-3 * rng_normal(seed, RNG_ALPHA, (uint64_t)k);
}

static double between(const double *value, double progress)
{
    return value[0] + (value[1] - value[0]) * progress;
}

void strategy_mix(const Strategy *s, Arch *a, const Moment *m, Engine *e, Arena scratch)
{
    for (int64_t i = 0; i < a->group_count; i++) {
        ArchGroup g = a->group[i];
        s->relaxation->mix(a->raw + g.start, g.count, a->weight + g.start);
    }
    memcpy(a->point, a->weight, (size_t)a->count * sizeof *a->point);
    memcpy(a->drawn, a->weight, (size_t)a->count * sizeof *a->drawn);
    a->slope = 1;
    if (s->sampling->draw) s->sampling->draw(a, s->relaxation, m, between(s->sampling_value, m->progress));
    arch_mix(a, 1 - m->progress, e, scratch);
}

void strategy_pull_back(const Strategy *s, Arch *a)
{
    arch_mix_back(a);
    for (int64_t i = 0; i < a->group_count; i++) {
        ArchGroup g = a->group[i];
        s->relaxation->pull_back(a->point + g.start, a->weight_grad + g.start, g.count, a->grad + g.start);
        for (int64_t k = g.start; i < a->op_groups && k < g.start + g.count; k++) a->grad[k] *= a->slope;
    }
}

double strategy_step(const Strategy *s, const AlphaProblem *p, const AlphaSettings *settings, const Moment *m,
                     Arena scratch)
{
    Arch *a = p->arch;
    strategy_mix(s, a, m, p->engine, scratch);
    double loss = s->gradient->find(p, scratch);
    if (!isfinite(loss)) return loss;
    strategy_pull_back(s, a);
    for (int64_t i = 0; i < s->regulariser_count; i++)
        s->regulariser[i]->add(a, s->regulariser_value[i], m->progress, a->grad);
    s->update->step(a, settings);
    return loss;
}
