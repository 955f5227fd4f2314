/* generator: a network that makes an image of one channel from a latent vector, its own parameter: the parametrisation of a
 * design. There is no data; what is learned is one image.
 *
 *   latent vector -> dense layer to (channels, h, w) -> stages -> logits (H, W)
 *   stage: tanh -> enlargement -> normalisation over the whole tensor -> convolution with bias -> + 10 * offset
 *
 * The published one (Hoyer, Sohl-Dickstein, Greydanus 2019, arXiv:1909.04240) has five stages that enlarge by 1, 2, 2, 2, 1;
 * its sides are multiples of 8. The offset is a trainable number for every element of a stage.
 */
#ifndef NAS_GENERATOR_H
#define NAS_GENERATOR_H
#include "engine/graph.h"

typedef struct {
    ResizeKind resize;
    int64_t factor, kernel, channels; /* the kernel is odd and square */
    bool norm;
    int64_t dilation; /* of the kernel */
} GeneratorStage;

enum { GENERATOR_MAX_STAGES = 8 };
typedef struct {
    int64_t latent, channels; /* numbers of the latent vector; channels that the dense layer makes */
    int stages;
    GeneratorStage stage[GENERATOR_MAX_STAGES]; /* the last one has one channel */
    double offset;                              /* what the offsets are multiplied by; 0: there are none */
} GeneratorSpec;
extern const GeneratorSpec generator_published;

/* Elements of an image's side that the spec can make are multiples of this. */
int64_t generator_multiple(const GeneratorSpec *s);
/* A graph without an input, of LOSS_LINEAR, whose outputs are the logits of an image (height, width), row by row. 0 and *why
 * for sides that it cannot make. */
Graph *generator_make(Arena *perm, const GeneratorSpec *s, int64_t height, int64_t width, const char **why);
/* Initial weights of a generator's graph, (g->weight_count): latent vectors normal; dense layers orthogonal, of gain
 * sqrt(max(outputs / latent, 1)); kernels truncated normal of variance 1/fan-in; biases and offsets 0. f(seed, parameter). */
void generator_init(Arena scratch, const Graph *g, uint64_t seed, float *weights);
#endif
