/* generator_space: see generator_space.h. */
#include "nn/generator_space.h"

#include <ctype.h>
#include <string.h>

#include "base/rng.h"
#include "nn/names.h"

enum { MAX_FACTOR = 8, MAX_CHANNELS = 1024 };

const char generator_published_name[] = "cnn";
const char *const generator_part_name[PART_COUNT] = {"resize", "norm", "conv", "width"};

static const GeneratorOption table[] = {
    {"bilinear", PART_RESIZE, .resize = RESIZE_BILINEAR},
    {"nearest", PART_RESIZE, .resize = RESIZE_NEAREST},
    {"transposed", PART_RESIZE, .resize = RESIZE_ZEROS},
    {"norm", PART_NORM, .norm = true},
    {"plain", PART_NORM, .norm = false},
    {"conv_3x3", PART_CONV, .kernel = 3, .dilation = 1},
    {"conv_5x5", PART_CONV, .kernel = 5, .dilation = 1},
    {"conv_7x7", PART_CONV, .kernel = 7, .dilation = 1},
    {"dil_conv_3x3", PART_CONV, .kernel = 3, .dilation = 2},
    {"conv_1x1", PART_CONV, .kernel = 1, .dilation = 1},
    {"dil_conv_5x5", PART_CONV, .kernel = 5, .dilation = 2},
    {"width_0.5", PART_WIDTH, .width = 0.5},
    {"width_1", PART_WIDTH, .width = 1},
    {"width_2", PART_WIDTH, .width = 2},
};
static const char usual[] = "bilinear,nearest,transposed,norm,plain,conv_3x3,conv_5x5,conv_7x7,dil_conv_3x3,width_0.5,"
                            "width_1",
                  published[] = "bilinear,norm,conv_5x5,width_1";

static const GeneratorOption *find(const char *name, int64_t length)
{
    for (int i = 0; i < COUNTOF(table); i++)
        if ((int64_t)strlen(table[i].name) == length && !memcmp(table[i].name, name, (size_t)length)) return &table[i];
    return 0;
}

static const char *unknown(Arena *perm, const char *name, int64_t length)
{
    const char *known[COUNTOF(table)];
    for (int i = 0; i < COUNTOF(table); i++) known[i] = table[i].name;
    return arena_printf(perm, "\"%.*s\" is nothing that a generator is made of; near it: %s",
                        length < 64 ? (int)length : 64, name, names_near(perm, name, length, known, COUNTOF(table)));
}

/* ---- the space ---- */

bool generator_space_is(const char *ops)
{
    return !strcmp(ops, "generator") || find(ops, (int64_t)strcspn(ops, ","));
}

static const char *add_options(Arena *perm, const char *ops, GeneratorSpace *s)
{
    for (const char *p = ops;; p++) {
        const int64_t length = (int64_t)strcspn(p, ",");
        const GeneratorOption *o = find(p, length);
        if (!o) return unknown(perm, p, length);
        for (int64_t i = 0; i < s->options[o->part]; i++)
            if (s->option[o->part][i] == o) return arena_printf(perm, "%s is named twice", o->name);
        s->option[o->part][s->options[o->part]++] = o;
        p += length;
        if (!*p) return 0;
    }
}

static bool decided(const GeneratorStage *stage, GeneratorPart part)
{
    return (part == PART_RESIZE && stage->factor == 1) || (part == PART_WIDTH && stage->channels == 1);
}

const char *generator_space_make(Arena *perm, const char *ops, GeneratorSpace *out)
{
    *out = (GeneratorSpace){0};
    const char *why = add_options(perm, strcmp(ops, "generator") ? ops : usual, out);
    if (why) return why;
    GeneratorSpace basis = {0};
    add_options(perm, published, &basis);
    for (int part = 0; part < PART_COUNT; part++)
        if (!out->options[part]) {
            out->option[part][0] = basis.option[part][0];
            out->options[part] = 1;
        }
    for (int i = 0; i < generator_published.stages; i++)
        for (int part = 0; part < PART_COUNT; part++) {
            if (decided(&generator_published.stage[i], (GeneratorPart)part) || out->options[part] < 2) continue;
            out->decision[out->decisions++] =
                (GeneratorDecision){i, (GeneratorPart)part, out->columns, out->options[part]};
            out->columns += out->options[part];
        }
    return out->decisions ? 0 : "one option of each part: there is nothing to choose";
}

char *generator_space_ops(Arena *perm, const GeneratorSpace *s)
{
    Text t = {0};
    for (int part = 0; part < PART_COUNT; part++)
        for (int64_t i = 0; i < s->options[part]; i++)
            text_addf(perm, &t, "%s%s", t.length ? "," : "", s->option[part][i]->name);
    return t.s;
}

static void apply(GeneratorStage *stage, int64_t channels, const GeneratorOption *o)
{
    switch (o->part) {
    case PART_RESIZE: stage->resize = stage->factor == 1 ? RESIZE_BILINEAR : o->resize; break;
    case PART_NORM: stage->norm = o->norm; break;
    case PART_CONV: stage->kernel = o->kernel, stage->dilation = o->dilation; break;
    case PART_WIDTH: stage->channels = channels == 1 ? 1 : (int64_t)((double)channels * o->width + 0.5); break;
    default: break;
    }
}

void generator_decide(const GeneratorSpace *s, const int64_t *choice, GeneratorSpec *out)
{
    *out = generator_published;
    for (int i = 0; i < out->stages; i++) /* parts of one option are no decision */
        for (int part = 0; part < PART_COUNT; part++)
            apply(&out->stage[i], generator_published.stage[i].channels, s->option[part][0]);
    for (int64_t d = 0; d < s->decisions; d++) {
        const GeneratorDecision *of = &s->decision[d];
        apply(&out->stage[of->stage], generator_published.stage[of->stage].channels, s->option[of->part][choice[d]]);
    }
}

void generator_random(const GeneratorSpace *s, uint64_t seed, uint64_t index, GeneratorSpec *out)
{
    int64_t choice[GENERATOR_MAX_DECISIONS];
    for (int64_t d = 0; d < s->decisions; d++)
        choice[d] = rng_below(seed, RNG_CELL, index << 16 | (uint64_t)d, s->decision[d].count);
    generator_decide(s, choice, out);
}

/* ---- text ---- */

static const char begin[] = "Generator(";

bool generator_text_is(const char *text)
{
    while (isspace((unsigned char)*text)) text++;
    return !strncmp(text, begin, sizeof begin - 1);
}

typedef struct {
    Arena *perm;
    const char *text, *at;
    const char *why; /* sticky */
} Reading;

static void complain(Reading *r, const char *at, const char *what)
{
    if (!r->why) r->why = arena_printf(r->perm, "column %td: %s", at - r->text + 1, what);
}

static char look(Reading *r)
{
    while (isspace((unsigned char)*r->at)) r->at++;
    return *r->at;
}

static void expect(Reading *r, char c)
{
    if (r->why) return;
    if (look(r) == c)
        r->at++;
    else
        complain(r, r->at, arena_printf(r->perm, "expected '%c'", c));
}

static int64_t number(Reading *r, const char *what, int64_t most)
{
    int64_t n = 0;
    if (r->why) return 0;
    look(r);
    const char *start = r->at;
    for (; isdigit((unsigned char)*r->at) && n <= most; r->at++) n = 10 * n + (*r->at - '0');
    if (n < 1 || n > most) complain(r, start, arena_printf(r->perm, "%s: 1 to %lld expected", what, (long long)most));
    return n;
}

/* An option of a part; 0 after a complaint. */
static const GeneratorOption *word(Reading *r, GeneratorPart part)
{
    if (r->why) return 0;
    const char quote = look(r);
    if (quote != '\'' && quote != '"') return complain(r, r->at, "expected a quoted word"), (void *)0;
    const char *name = ++r->at;
    while (*r->at && *r->at != quote) r->at++;
    if (!*r->at) return complain(r, name, "the quote is never closed"), (void *)0;
    const GeneratorOption *o = find(name, r->at - name);
    if (!o)
        complain(r, name, unknown(r->perm, name, r->at - name));
    else if (o->part != part)
        complain(r, name,
                 arena_printf(r->perm, "%s stands where a %s is expected", o->name, generator_part_name[part]));
    r->at++;
    return r->why ? 0 : o;
}

static void read_stage(Reading *r, GeneratorStage *s)
{
    expect(r, '(');
    const GeneratorOption *resize = word(r, PART_RESIZE);
    expect(r, ',');
    s->factor = number(r, "a factor", MAX_FACTOR);
    expect(r, ',');
    const GeneratorOption *norm = word(r, PART_NORM);
    expect(r, ',');
    const GeneratorOption *conv = word(r, PART_CONV);
    expect(r, ',');
    s->channels = number(r, "channels", MAX_CHANNELS);
    expect(r, ')');
    if (r->why) return;
    apply(s, s->channels, resize);
    apply(s, s->channels, norm);
    apply(s, s->channels, conv);
}

const char *generator_parse(Arena *perm, const char *text, GeneratorSpec *out)
{
    Reading r = {.perm = perm, .text = text, .at = text};
    *out = (GeneratorSpec){.latent = generator_published.latent,
                           .channels = generator_published.channels,
                           .offset = generator_published.offset};
    look(&r);
    if (strncmp(r.at, begin, sizeof begin - 1)) return "no generator: Generator([…]) expected";
    r.at += sizeof begin - 1;
    expect(&r, '[');
    do {
        if (r.why) break;
        if (out->stages == GENERATOR_MAX_STAGES)
            complain(&r, r.at, arena_printf(perm, "more than %d stages", GENERATOR_MAX_STAGES));
        else
            read_stage(&r, &out->stage[out->stages++]);
    } while (!r.why && look(&r) == ',' && r.at++);
    expect(&r, ']');
    expect(&r, ')');
    if (!r.why && look(&r)) complain(&r, r.at, "something after the generator");
    if (!r.why && out->stage[out->stages - 1].channels != 1) complain(&r, r.at, "the last stage has one channel");
    return r.why;
}

static const char *name_of(const GeneratorStage *s, GeneratorPart part)
{
    for (int i = 0; i < COUNTOF(table); i++) {
        const GeneratorOption *o = &table[i];
        if (o->part != part) continue;
        if (part == PART_RESIZE && o->resize == s->resize) return o->name;
        if (part == PART_NORM && o->norm == s->norm) return o->name;
        if (part == PART_CONV && o->kernel == s->kernel && o->dilation == s->dilation) return o->name;
    }
    return "?";
}

char *generator_print(Arena *perm, const GeneratorSpec *g)
{
    Text t = {0};
    text_add(perm, &t, "Generator([");
    for (int i = 0; i < g->stages; i++) {
        const GeneratorStage *s = &g->stage[i];
        text_addf(perm, &t, "%s('%s', %lld, '%s', '%s', %lld)", i ? ", " : "", name_of(s, PART_RESIZE),
                  (long long)s->factor, name_of(s, PART_NORM), name_of(s, PART_CONV), (long long)s->channels);
    }
    text_add(perm, &t, "])");
    return t.s;
}
