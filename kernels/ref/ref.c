/* ref: every kernel once, as plainly as it can be written: the definition of right.
 *
 * One lane, so a tensor (N, B, H, W, L) is plain NCHW and a block is a channel. Loops are naive, accumulators are double,
 * and an image is first loaded (normalised, ReLU applied) into scratch, so that the formulas below read as in kernels.h.
 * Everything else is tested against this file; it is itself tested by finite differences and by hand-computed cases.
 */
#include "kernels/kernels.h"

#include <math.h>
#include <stdbool.h>

/* Not fmax: NaN must stay NaN, or a diverged network would look healthy. */
static double relu(double v)
{
    return v < 0 ? 0 : v;
}

/* Element (c, y, x) of a (channels, height, width) image. */
static int64_t at(int64_t height, int64_t width, int64_t c, int64_t y, int64_t x)
{
    return (c * height + y) * width + x;
}

/* g as it counts: times the sample's scale, and only where the mask is open. */
static double gradient_of_value(const KGrad *k, int64_t n, int64_t c, double g, double y)
{
    if (k->sample_scale) g *= k->sample_scale[n];
    if (k->mask_scale && !(y * k->mask_scale[c] + k->mask_shift[c] > 0)) g = 0;
    return g;
}

static double gradient_of_raw(const KGrad *k, int64_t n, int64_t c, double g, double y)
{
    return k->a[c] * gradient_of_value(k, n, c, g, y) + k->b[c] * y + k->d[c];
}

/* ---- convolution ---- */

typedef struct { /* one image, in scratch */
    double *v;   /* (in_blocks, in_h, in_w) the input after normalisation and ReLU */
    double *gv;  /* its gradient */
    double *u;   /* (in_blocks, out_h, out_w) depthwise: between the two convolutions */
    double *gu;
    double *dy; /* (out_blocks, out_h, out_w) gradient of the raw output */
} ConvImage;

static int64_t ref_conv_scratch(const KConv *k)
{
    int64_t in = (int64_t)k->in_h * k->in_w, out = (int64_t)k->out_h * k->out_w;
    return (int64_t)sizeof(double) * (2 * k->in_blocks * in + (2 * k->in_blocks + k->out_blocks) * out);
}

static int ref_conv_winograd(const KConv *k)
{
    (void)k;
    return 0;
}

static ConvImage conv_image(const KConv *k, void *scratch)
{
    int64_t in = (int64_t)k->in_blocks * k->in_h * k->in_w, middle = (int64_t)k->in_blocks * k->out_h * k->out_w;
    ConvImage m = {.v = scratch};
    m.gv = m.v + in;
    m.u = m.gv + in;
    m.gu = m.u + middle;
    m.dy = m.gu + middle;
    return m;
}

/* The part that channel c lies in, and in *local its channel there. */
static int part_of(const KConv *k, int64_t c, int64_t *local)
{
    int p = 0;
    while (c >= k->part_blocks[p]) c -= k->part_blocks[p++];
    *local = c;
    return p;
}

/* The input value at (c, y, x) as stored, normalised but before ReLU. */
static double normalised(const KConv *k, int64_t c, float x)
{
    return k->in_scale ? (double)x * k->in_scale[c] + k->in_shift[c] : x;
}

static void conv_load(const KConv *k, int64_t n, ConvImage m)
{
    int64_t pixels = (int64_t)k->in_h * k->in_w, local;
    for (int64_t c = 0; c < k->in_blocks; c++) {
        int p = part_of(k, c, &local);
        const float *x = k->x[p] + (n * k->part_blocks[p] + local) * pixels;
        for (int64_t i = 0; i < pixels; i++) {
            double v = normalised(k, c, x[i]);
            m.v[c * pixels + i] = k->relu ? relu(v) : v;
        }
    }
}

/* Where tap t of output pixel (oy, ox) reads channel c of the input: an index into v, or -1 outside. */
static int64_t tap_at(const KConv *k, int t, int64_t c, int64_t oy, int64_t ox)
{
    int64_t y = oy * k->stride_h + k->tap_y[t], x = ox * k->stride_w + k->tap_x[t];
    if (y < 0 || y >= k->in_h || x < 0 || x >= k->in_w) return -1;
    return at(k->in_h, k->in_w, c, y, x);
}

static void depthwise_forward(const KConv *k, ConvImage m)
{
    for (int64_t c = 0; c < k->in_blocks; c++)
        for (int64_t oy = 0; oy < k->out_h; oy++)
            for (int64_t ox = 0; ox < k->out_w; ox++) {
                double sum = 0;
                for (int t = 0; t < k->taps; t++) {
                    int64_t i = tap_at(k, t, c, oy, ox);
                    if (i >= 0) sum += k->dw[c * k->taps + t] * m.v[i];
                }
                m.u[at(k->out_h, k->out_w, c, oy, ox)] = sum;
            }
}

static void ref_conv_forward(const KConv *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    ConvImage m = conv_image(k, scratch);
    int64_t in = k->in_blocks, out = k->out_blocks;
    double *sums = k->sums ? k->sums + slot * 2 * out : 0;
    for (int64_t n = n0; n < n1; n++) {
        conv_load(k, n, m);
        if (k->depthwise) depthwise_forward(k, m);
        for (int64_t o = 0; o < out; o++)
            for (int64_t oy = 0; oy < k->out_h; oy++)
                for (int64_t ox = 0; ox < k->out_w; ox++) {
                    int64_t pixel = at(k->out_h, k->out_w, n * out + o, oy, ox);
                    double sum = 0;
                    if (k->depthwise)
                        for (int64_t c = 0; c < in; c++)
                            sum += k->pw[o * in + c] * m.u[at(k->out_h, k->out_w, c, oy, ox)];
                    else
                        for (int t = 0; t < k->taps; t++)
                            for (int64_t c = 0; c < in; c++) {
                                int64_t i = tap_at(k, t, c, oy, ox);
                                if (i >= 0) sum += k->pw[(o * k->taps + t) * in + c] * m.v[i];
                            }
                    float y = (float)sum;
                    k->y[pixel] = y;
                    if (!sums) continue;
                    sums[o] += y;
                    sums[out + o] += (double)y * y;
                }
    }
}

static void conv_load_gradient(const KConv *k, int64_t n, ConvImage m)
{
    int64_t pixels = (int64_t)k->out_h * k->out_w;
    for (int64_t o = 0; o < k->out_blocks; o++)
        for (int64_t p = 0; p < pixels; p++) {
            int64_t i = (n * k->out_blocks + o) * pixels + p;
            m.dy[o * pixels + p] = gradient_of_raw(&k->grad, n, o, k->grad.g[i], k->y[i]);
        }
}

/* Pointwise part of a depthwise -> pointwise convolution: gu = W^T dy, g_pw += dy u^T. */
static void pointwise_backward(const KConv *k, ConvImage m, float *g_pw)
{
    int64_t pixels = (int64_t)k->out_h * k->out_w;
    for (int64_t c = 0; c < k->in_blocks; c++)
        for (int64_t p = 0; p < pixels; p++) {
            double sum = 0;
            for (int64_t o = 0; o < k->out_blocks; o++) sum += k->pw[o * k->in_blocks + c] * m.dy[o * pixels + p];
            m.gu[c * pixels + p] = sum;
        }
    for (int64_t o = 0; g_pw && o < k->out_blocks; o++)
        for (int64_t c = 0; c < k->in_blocks; c++) {
            double sum = 0;
            for (int64_t p = 0; p < pixels; p++) sum += m.dy[o * pixels + p] * m.u[c * pixels + p];
            g_pw[o * k->in_blocks + c] += (float)sum;
        }
}

/* What weight (o, t, c) of a tapped convolution gives and gets: output channel o of `dy` against channel c of the input.
 * Adds w*dy to gv and returns the weight's gradient. */
static double tap_backward(const KConv *k, ConvImage m, const double *dy, int t, int64_t o, int64_t c, double w)
{
    double sum = 0;
    for (int64_t oy = 0; oy < k->out_h; oy++)
        for (int64_t ox = 0; ox < k->out_w; ox++) {
            int64_t i = tap_at(k, t, c, oy, ox);
            if (i < 0) continue;
            double d = dy[at(k->out_h, k->out_w, o, oy, ox)];
            m.gv[i] += w * d;
            sum += d * m.v[i];
        }
    return sum;
}

/* From gv to the gradient of the input as stored: through the ReLU, then added, or, under in_scale, written with sums. */
static void conv_store_gradient(const KConv *k, int64_t n, ConvImage m, double *in_sums)
{
    int64_t pixels = (int64_t)k->in_h * k->in_w, local;
    for (int64_t c = 0; c < k->in_blocks; c++) {
        int p = part_of(k, c, &local);
        int64_t offset = (n * k->part_blocks[p] + local) * pixels;
        const float *x = k->x[p] + offset;
        for (int64_t i = 0; k->gx[p] && i < pixels; i++) {
            bool open = !k->relu || normalised(k, c, x[i]) > 0;
            float g = (float)(open ? m.gv[c * pixels + i] : 0);
            float *gx = &k->gx[p][offset + i];
            if (!k->in_scale) {
                *gx += g;
                continue;
            }
            *gx = g;
            in_sums[c] += g;
            in_sums[k->in_blocks + c] += (double)g * x[i];
        }
    }
}

static void ref_conv_backward(const KConv *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    ConvImage m = conv_image(k, scratch);
    int64_t in = k->in_blocks, out = k->out_blocks, taps = k->taps;
    float *g_dw = k->g_dw ? k->g_dw + slot * in * taps : 0;
    float *g_pw = k->g_pw ? k->g_pw + slot * out * in * (k->depthwise ? 1 : taps) : 0;
    double *in_sums = k->in_scale && k->in_sums ? k->in_sums + slot * 2 * in : 0;
    for (int64_t n = n0; n < n1; n++) {
        conv_load(k, n, m);
        conv_load_gradient(k, n, m);
        for (int64_t i = 0; i < in * k->in_h * k->in_w; i++) m.gv[i] = 0;
        if (k->depthwise) {
            depthwise_forward(k, m);
            pointwise_backward(k, m, g_pw);
            for (int64_t c = 0; c < in; c++)
                for (int t = 0; t < taps; t++) {
                    double g = tap_backward(k, m, m.gu, t, c, c, k->dw[c * taps + t]);
                    if (g_dw) g_dw[c * taps + t] += (float)g;
                }
        } else {
            for (int64_t o = 0; o < out; o++)
                for (int t = 0; t < taps; t++)
                    for (int64_t c = 0; c < in; c++) {
                        int64_t w = (o * taps + t) * in + c;
                        double g = tap_backward(k, m, m.dy, t, o, c, k->pw[w]);
                        if (g_pw) g_pw[w] += (float)g;
                    }
        }
        conv_store_gradient(k, n, m, in_sums);
    }
}

/* ---- pooling ---- */

/* The pooled value of image-and-channel `plane` at (oy, ox); in *argmax the cell of the maximum, in *cells the number of
 * cells that count. Cells in the extra rows and columns count and are zero; padding does not. */
static double pooled(const KPool *k, int64_t plane, int64_t oy, int64_t ox, int *argmax, int *cells)
{
    const float *x = k->x + plane * k->in_h * k->in_w;
    double sum = 0, best = -INFINITY;
    *argmax = *cells = 0;
    for (int ky = 0; ky < k->kernel_h; ky++)
        for (int kx = 0; kx < k->kernel_w; kx++) {
            int64_t iy = oy * k->stride_h - k->pad_h + ky, ix = ox * k->stride_w - k->pad_w + kx;
            if (iy < 0 || ix < 0 || iy >= k->in_h + k->extra_h || ix >= k->in_w + k->extra_w) continue;
            double v = iy < k->in_h && ix < k->in_w ? x[iy * k->in_w + ix] : 0;
            sum += v;
            if (v > best || isnan(v) || !*cells) {
                best = v;
                *argmax = ky * k->kernel_w + kx;
            }
            ++*cells;
        }
    return k->average ? sum / *cells : best;
}

static int64_t ref_pool_scratch(const KPool *k)
{
    (void)k;
    return 0;
}

static void ref_pool_forward(const KPool *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    (void)scratch;
    double *sums = k->sums ? k->sums + slot * 2 * k->blocks : 0;
    for (int64_t plane = n0 * k->blocks; plane < n1 * k->blocks; plane++)
        for (int64_t oy = 0; oy < k->out_h; oy++)
            for (int64_t ox = 0; ox < k->out_w; ox++) {
                int argmax, cells;
                double y = pooled(k, plane, oy, ox, &argmax, &cells);
                if (!sums) continue;
                sums[plane % k->blocks] += y;
                sums[k->blocks + plane % k->blocks] += y * y;
            }
}

static void ref_pool_backward(const KPool *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    (void)slot, (void)scratch;
    for (int64_t plane = n0 * k->blocks; plane < n1 * k->blocks; plane++)
        for (int64_t oy = 0; oy < k->out_h; oy++)
            for (int64_t ox = 0; ox < k->out_w; ox++) {
                int argmax, cells;
                double y = pooled(k, plane, oy, ox, &argmax, &cells);
                double g = k->grad.g[at(k->out_h, k->out_w, plane, oy, ox)];
                double dy = gradient_of_raw(&k->grad, plane / k->blocks, plane % k->blocks, g, y);
                for (int ky = 0; ky < k->kernel_h; ky++)
                    for (int kx = 0; kx < k->kernel_w; kx++) {
                        int64_t iy = oy * k->stride_h - k->pad_h + ky, ix = ox * k->stride_w - k->pad_w + kx;
                        if (iy < 0 || ix < 0 || iy >= k->in_h || ix >= k->in_w) continue;
                        float *gx = &k->gx[at(k->in_h, k->in_w, plane, iy, ix)];
                        if (k->average)
                            *gx += (float)(dy / cells);
                        else if (argmax == ky * k->kernel_w + kx)
                            *gx += (float)dy;
                    }
            }
}

/* ---- mix ---- */

/* Value of a term, before its normalisation. */
static double term_value(const KTerm *t, const KMix *k, int64_t plane, int64_t oy, int64_t ox)
{
    int argmax, cells;
    return t->pool ? pooled(t->pool, plane, oy, ox, &argmax, &cells) : t->y[at(k->height, k->width, plane, oy, ox)];
}

/* Under t->relu: what the ReLU sees. */
static double term_inner(const KTerm *t, int64_t c, double y)
{
    return (t->relu_scale ? y * t->relu_scale[c] : y) + (t->relu_shift ? t->relu_shift[c] : 0);
}

static int64_t ref_mix_scratch(const KMix *k)
{
    (void)k;
    return 0;
}

static void ref_mix_forward(const KMix *k, int64_t n0, int64_t n1, void *scratch)
{
    (void)scratch;
    for (int64_t plane = n0 * k->blocks; plane < n1 * k->blocks; plane++)
        for (int64_t oy = 0; oy < k->height; oy++)
            for (int64_t ox = 0; ox < k->width; ox++) {
                int64_t n = plane / k->blocks, c = plane % k->blocks;
                double sum = 0;
                for (int i = 0; i < k->terms; i++) {
                    const KTerm *t = &k->term[i];
                    double v = term_value(t, k, plane, oy, ox);
                    if (t->relu) v = relu(term_inner(t, c, v));
                    v *= t->scale[c];
                    if (t->shift) v += t->shift[c];
                    sum += t->sample_scale ? v * t->sample_scale[n] : v;
                }
                k->out[at(k->height, k->width, plane, oy, ox)] = (float)sum;
            }
}

static void ref_mix_backward(const KMix *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    (void)scratch;
    double *sums = k->sums + slot * (1 + 2 * k->terms) * k->blocks;
    for (int64_t plane = n0 * k->blocks; plane < n1 * k->blocks; plane++)
        for (int64_t oy = 0; oy < k->height; oy++)
            for (int64_t ox = 0; ox < k->width; ox++) {
                int64_t n = plane / k->blocks, c = plane % k->blocks, pixel = at(k->height, k->width, plane, oy, ox);
                sums[c] += k->g[pixel];
                for (int i = 0; i < k->terms; i++) {
                    const KTerm *t = &k->term[i];
                    double y = term_value(t, k, plane, oy, ox), g = k->g[pixel];
                    if (t->sample_scale) g *= t->sample_scale[n];
                    if (t->relu && !(term_inner(t, c, y) > 0)) g = 0;
                    sums[(1 + 2 * i) * k->blocks + c] += g;
                    sums[(2 + 2 * i) * k->blocks + c] += g * y;
                    if (t->gx) t->gx[pixel] += (float)(t->scale[c] * g);
                }
            }
}

/* ---- select ---- */

static void ref_select_forward(const KSelect *k, int64_t n0, int64_t n1)
{
    int64_t pixels = (int64_t)k->height * k->width;
    for (int64_t n = n0; n < n1; n++)
        for (int64_t c = 0; c < k->channels; c++)
            for (int64_t p = 0; p < pixels; p++)
                k->y[(n * k->channels + c) * pixels + p] =
                    k->x[k->part[c]][(n * k->part_blocks[k->part[c]] + k->place[c]) * pixels + p];
}

static void ref_select_backward(const KSelect *k, int64_t n0, int64_t n1)
{
    int64_t pixels = (int64_t)k->height * k->width;
    for (int64_t n = n0; n < n1; n++)
        for (int64_t c = 0; c < k->channels; c++)
            for (int64_t p = 0; k->gx[k->part[c]] && p < pixels; p++)
                k->gx[k->part[c]][(n * k->part_blocks[k->part[c]] + k->place[c]) * pixels + p] +=
                    k->g[(n * k->channels + c) * pixels + p];
}

/* ---- learned ---- */

static void ref_learned_forward(const KLearned *k, int64_t n0, int64_t n1)
{
    int64_t size = (int64_t)k->channels * k->pixels;
    for (int64_t n = n0; n < n1; n++)
        for (int64_t i = 0; i < size; i++) {
            double sum = (double)k->scale * k->bias[i];
            for (int64_t l = 0; l < k->latent; l++) sum += (double)k->z[l] * k->weight[l * size + i];
            k->y[n * size + i] = (float)sum;
        }
}

static void ref_learned_backward(const KLearned *k, int64_t n0, int64_t n1, int64_t slot)
{
    int64_t size = (int64_t)k->channels * k->pixels, all = size + k->latent * (size + 1);
    float *g_bias = k->g_all + slot * all, *g_weight = g_bias + size, *g_z = g_weight + k->latent * size;
    for (int64_t n = n0; n < n1; n++) {
        const float *g = k->g + n * size;
        for (int64_t i = 0; i < size; i++) g_bias[i] += k->scale * g[i];
        for (int64_t l = 0; l < k->latent; l++) {
            double sum = 0;
            for (int64_t i = 0; i < size; i++) {
                g_weight[l * size + i] += k->z[l] * g[i];
                sum += (double)g[i] * k->weight[l * size + i];
            }
            g_z[l] += (float)sum;
        }
    }
}

/* ---- resize ---- */

static const double resize_epsilon = 1e-6; /* of the variance */

static int64_t ref_resize_scratch(const KResize *k)
{
    return 2 * (int64_t)sizeof(double) * k->in_h * k->in_w * k->channels * (1 + k->factor * k->factor);
}

/* Whether an output pixel counts in the mean and the variance. */
static bool resize_counts(const KResize *k, int64_t oy, int64_t ox)
{
    return k->kind != 2 || (oy % k->factor == 0 && ox % k->factor == 0);
}

/* Output element (c, oy, ox) from the input t, or, with g, what g gives to t's gradient. */
static double resize_element(const KResize *k, int64_t c, int64_t oy, int64_t ox, const double *t, double g, double *gt)
{
    KBlend v = k_blend(k->kind, k->factor, k->in_h, (int32_t)oy), h = k_blend(k->kind, k->factor, k->in_w, (int32_t)ox);
    int32_t ys[2] = {v.low, v.high}, xs[2] = {h.low, h.high};
    double wy[2] = {(double)v.low_weight, (double)v.high_weight}, wx[2] = {(double)h.low_weight, (double)h.high_weight};
    double sum = 0;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            int64_t from = at(k->in_h, k->in_w, c, ys[i], xs[j]);
            sum += wy[i] * wx[j] * t[from];
            if (gt) gt[from] += wy[i] * wx[j] * g;
        }
    return sum;
}

static void ref_resize_forward(const KResize *k, int64_t n0, int64_t n1, void *scratch)
{
    int64_t h = (int64_t)k->in_h * k->factor, w = (int64_t)k->in_w * k->factor;
    int64_t in = (int64_t)k->channels * k->in_h * k->in_w, out = k->channels * h * w;
    double *t = scratch, *r = t + in;
    for (int64_t n = n0; n < n1; n++) {
        double mean = 0, variance = 0, invstd = 1, count = 0;
        for (int64_t i = 0; i < in; i++) t[i] = k->tanh ? tanh((double)k->x[n * in + i]) : (double)k->x[n * in + i];
        for (int64_t i = 0; i < out; i++) {
            r[i] = resize_element(k, i / (h * w), i / w % h, i % w, t, 0, 0);
            if (resize_counts(k, i / w % h, i % w)) mean += r[i], count++;
        }
        mean /= count;
        for (int64_t i = 0; i < out; i++)
            if (resize_counts(k, i / w % h, i % w)) variance += (r[i] - mean) * (r[i] - mean);
        if (k->norm)
            invstd = 1 / sqrt(variance / count + resize_epsilon);
        else
            mean = 0;
        for (int64_t i = 0; i < out; i++)
            k->y[n * out + i] = resize_counts(k, i / w % h, i % w) ? (float)((r[i] - mean) * invstd) : 0;
        k->invstd[n] = invstd;
    }
}

static void ref_resize_backward(const KResize *k, int64_t n0, int64_t n1, void *scratch)
{
    int64_t h = (int64_t)k->in_h * k->factor, w = (int64_t)k->in_w * k->factor;
    int64_t in = (int64_t)k->channels * k->in_h * k->in_w, out = k->channels * h * w;
    double *t = scratch, *gt = t + in;
    for (int64_t n = n0; n < n1; n++) {
        const float *g = k->g + n * out, *y = k->y + n * out;
        double mean_g = 0, mean_gy = 0, count = 0;
        for (int64_t i = 0; i < in; i++) {
            t[i] = k->tanh ? tanh((double)k->x[n * in + i]) : 0;
            gt[i] = 0;
        }
        for (int64_t i = 0; i < out; i++)
            if (resize_counts(k, i / w % h, i % w)) mean_g += g[i], mean_gy += (double)g[i] * y[i], count++;
        mean_g = k->norm ? mean_g / count : 0, mean_gy = k->norm ? mean_gy / count : 0;
        for (int64_t i = 0; i < out; i++)
            if (resize_counts(k, i / w % h, i % w))
                resize_element(k, i / (h * w), i / w % h, i % w, t, k->invstd[n] * (g[i] - mean_g - y[i] * mean_gy),
                               gt);
        for (int64_t i = 0; i < in; i++) k->gx[n * in + i] += (float)(gt[i] * (1 - t[i] * t[i]));
    }
}

/* ---- head ---- */

static void ref_head_forward(const KHead *k, int64_t n0, int64_t n1)
{
    int64_t pixels = (int64_t)k->height * k->width;
    for (int64_t n = n0; n < n1; n++) {
        float *pool = k->pooled + n * k->channels;
        for (int p = 0; p < k->parts; p++)
            for (int64_t c = 0; c < k->part_channels[p]; c++) {
                const float *x = k->x[p] + (n * k->part_blocks[p] + c) * pixels;
                double sum = 0;
                for (int64_t i = 0; i < pixels; i++) sum += x[i];
                *pool++ = (float)(sum / (double)pixels);
            }
        for (int64_t o = 0; o < k->outputs; o++) {
            double sum = k->bias[o];
            for (int64_t c = 0; c < k->channels; c++)
                sum += (double)k->weight[o * k->channels + c] * k->pooled[n * k->channels + c];
            k->logits[n * k->outputs + o] = (float)sum;
        }
    }
}

static void ref_head_backward(const KHead *k, int64_t n0, int64_t n1, int64_t slot)
{
    int64_t pixels = (int64_t)k->height * k->width, size = (int64_t)k->outputs * k->channels;
    float *g_weight = k->g_weight ? k->g_weight + slot * (size + k->outputs) : 0;
    for (int64_t o = 0; g_weight && o < k->outputs; o++) {
        for (int64_t c = 0; c < k->channels; c++) {
            double sum = 0;
            for (int64_t n = n0; n < n1; n++)
                sum += (double)k->g_logits[n * k->outputs + o] * k->pooled[n * k->channels + c];
            g_weight[o * k->channels + c] += (float)sum;
        }
        for (int64_t n = n0; n < n1; n++) g_weight[size + o] += k->g_logits[n * k->outputs + o];
    }
    for (int64_t n = n0; n < n1; n++) {
        const float *g = k->g_logits + n * k->outputs;
        int64_t channel = 0;
        for (int p = 0; p < k->parts; p++)
            for (int64_t c = 0; c < k->part_channels[p]; c++, channel++) {
                double sum = 0;
                for (int64_t o = 0; o < k->outputs; o++) sum += (double)g[o] * k->weight[o * k->channels + channel];
                float *gx = k->gx[p] ? k->gx[p] + (n * k->part_blocks[p] + c) * pixels : 0;
                for (int64_t i = 0; gx && i < pixels; i++) gx[i] += (float)(sum / (double)pixels);
            }
    }
}

/* ---- flat blocks ---- */

static void ref_sgd(const KSgd *k, int64_t n, float *w, const float *g, float *velocity)
{
    for (int64_t i = 0; i < n; i++) {
        double grad = (double)k->scale * g[i] + (double)k->decay * w[i];
        double v = (double)k->momentum * velocity[i] + grad;
        velocity[i] = (float)v;
        w[i] = (float)(w[i] - k->lr * (k->nesterov ? grad + k->momentum * v : v));
    }
}

static void ref_adam(const KAdam *k, int64_t n, float *w, const float *g, float *m, float *v)
{
    for (int64_t i = 0; i < n; i++) {
        double weight = w[i], grad = (double)k->scale * g[i];
        if (k->decoupled)
            weight -= (double)k->lr_plain * k->decay * weight;
        else
            grad += k->decay * weight;
        double first = (double)k->beta1 * m[i] + (1 - (double)k->beta1) * grad;
        double second = (double)k->beta2 * v[i] + (1 - (double)k->beta2) * grad * grad;
        m[i] = (float)first;
        v[i] = (float)second;
        w[i] = (float)(weight - k->lr * first / (sqrt(second) + k->eps));
    }
}

static void ref_axpy(int64_t n, float *y, double a, const float *x)
{
    for (int64_t i = 0; i < n; i++) y[i] = (float)(y[i] + a * x[i]);
}

static void ref_scale(int64_t n, float *y, double a)
{
    for (int64_t i = 0; i < n; i++) y[i] = (float)(y[i] * a);
}

static double ref_dot(int64_t n, const float *x, const float *y)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * y[i];
    return sum;
}

const NasKernels *nas_kernels_ref(void)
{
    static const NasKernels ref = {
        .name = "ref",
        .about = "naive, double accumulators",
        .lanes = 1,
        .conv_winograd = ref_conv_winograd,
        .conv_scratch = ref_conv_scratch,
        .pool_scratch = ref_pool_scratch,
        .mix_scratch = ref_mix_scratch,
        .resize_scratch = ref_resize_scratch,
        .conv_forward = ref_conv_forward,
        .conv_backward = ref_conv_backward,
        .pool_forward = ref_pool_forward,
        .pool_backward = ref_pool_backward,
        .mix_forward = ref_mix_forward,
        .mix_backward = ref_mix_backward,
        .head_forward = ref_head_forward,
        .head_backward = ref_head_backward,
        .select_forward = ref_select_forward,
        .select_backward = ref_select_backward,
        .learned_forward = ref_learned_forward,
        .learned_backward = ref_learned_backward,
        .resize_forward = ref_resize_forward,
        .resize_backward = ref_resize_backward,
        .sgd = ref_sgd,
        .adam = ref_adam,
        .axpy = ref_axpy,
        .scale = ref_scale,
        .dot = ref_dot,
    };
    return &ref;
}
