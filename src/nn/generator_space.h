/* generator_space: the choices of which a generator (nn/generator.h) is made, and its text form, one line:
 *
 *   Generator([('bilinear', 1, 'norm', 'conv_5x5', 128), ('bilinear', 2, 'norm', 'conv_5x5', 64), …])
 *
 * A tuple a stage: how it enlarges, by which factor, whether it is normalised, its convolution, its channels. Latent vector,
 * dense layer and offset are those of the published generator. A stage of factor 1 does not enlarge, whatever the word:
 * it is printed as bilinear, so that equal generators have equal texts.
 *
 * The space has the published generator's stages and factors. A decision of a stage is one of
 *
 *   resize   bilinear, nearest, transposed (zeros are put in between: with the convolution, a transposed one); not of factor 1
 *   norm     norm (over the whole tensor), plain
 *   conv     conv_1x1, conv_3x3, conv_5x5, conv_7x7, dil_conv_3x3, dil_conv_5x5 (dilation 2)
 *   width    width_0.5, width_1, width_2: times the published channels; not of the last stage, which has one
 */
#ifndef NAS_GENERATOR_SPACE_H
#define NAS_GENERATOR_SPACE_H
#include "nn/generator.h"

typedef enum { PART_RESIZE, PART_NORM, PART_CONV, PART_WIDTH, PART_COUNT } GeneratorPart;
extern const char *const generator_part_name[PART_COUNT];
typedef struct { /* one row an option: data, not code */
    const char *name;
    GeneratorPart part;
    ResizeKind resize;
    bool norm;
    int64_t kernel, dilation;
    double width;
} GeneratorOption;

enum { GENERATOR_MAX_OPTIONS = 16, GENERATOR_MAX_DECISIONS = PART_COUNT * GENERATOR_MAX_STAGES };
typedef struct {
    int stage;
    GeneratorPart part;
    int64_t first; /* its options are columns first … first + count - 1 of all decisions */
    int64_t count;
} GeneratorDecision;
typedef struct {
    const GeneratorOption *option[PART_COUNT][GENERATOR_MAX_OPTIONS]; /* of each part, in the order given */
    int64_t options[PART_COUNT];
    GeneratorDecision decision[GENERATOR_MAX_DECISIONS]; /* of two options or more, in the order of stages and parts */
    int64_t decisions, columns;
} GeneratorSpace;

/* ops: names of options, comma-separated; or "generator": all but conv_1x1, dil_conv_5x5 and width_2. A part of which none
 * is named has its published option. Returns 0 or why not. */
const char *generator_space_make(Arena *perm, const char *ops, GeneratorSpace *out);
/* Whether a list of operations is one of generators. */
bool generator_space_is(const char *ops);
char *generator_space_ops(Arena *perm,
                          const GeneratorSpace *s); /* all options, comma-separated, as generator_space_make reads it */
/* The generator of an option of each decision, counted from 0 within it. */
void generator_decide(const GeneratorSpace *s, const int64_t *choice, GeneratorSpec *out);
/* Each decision uniformly, f(seed, index). */
void generator_random(const GeneratorSpace *s, uint64_t seed, uint64_t index, GeneratorSpec *out);

/* Of generator_published, where genotypes are named. */
extern const char generator_published_name[];

/* Whether a text is to be read as a generator: "Generator(" begins it. */
bool generator_text_is(const char *text);
/* Returns 0, or why not with the column: words, factors, channels, a last stage that has not one channel. */
const char *generator_parse(Arena *perm, const char *text, GeneratorSpec *out);
char *generator_print(Arena *perm, const GeneratorSpec *s);
#endif
