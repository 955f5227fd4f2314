/* mel: the transform is FFTW's, in single precision; FFTW_ESTIMATE chooses its plan without timing anything, so that a
 * machine gives the same bits each time. */
#include "data/readers/mel.h"

#include <complex.h>
#include <fftw3.h>
#include <math.h>

struct Mel {
    MelSpec spec;
    int64_t bins;
    double *filter;        /* (mels, bins) */
    int64_t *first, *last; /* (mels): the bins of a filter that are not 0 */
    float *window;
    float *in;
    fftwf_complex *out;
    fftwf_plan plan;
};

static const double SLANEY_HZ = 200.0 / 3, SLANEY_BREAK = 1000, SLANEY_STEP = 0.068751777420949123; /* ln(6.4) / 27 */

static double to_mel(const MelSpec *s, double hz)
{
    if (s->htk) return 2595 * log10(1 + hz / 700);
    return hz < SLANEY_BREAK ? hz / SLANEY_HZ : SLANEY_BREAK / SLANEY_HZ + log(hz / SLANEY_BREAK) / SLANEY_STEP;
}

static double to_hz(const MelSpec *s, double mel)
{
    const double break_mel = SLANEY_BREAK / SLANEY_HZ;
    if (s->htk) return 700 * (pow(10, mel / 2595) - 1);
    return mel < break_mel ? mel * SLANEY_HZ : SLANEY_BREAK * exp((mel - break_mel) * SLANEY_STEP);
}

static const char *make_filters(Arena *perm, Mel *m)
{
    const MelSpec *s = &m->spec;
    const double low = to_mel(s, s->fmin), step = (to_mel(s, s->fmax) - low) / (double)(s->mels + 1);
    m->filter = NEW(perm, double, s->mels * m->bins);
    m->first = NEW(perm, int64_t, s->mels);
    m->last = NEW(perm, int64_t, s->mels);
    for (int64_t i = 0; i < s->mels; i++) {
        const double from = to_hz(s, low + step * (double)i), peak = to_hz(s, low + step * (double)(i + 1)),
                     to = to_hz(s, low + step * (double)(i + 2));
        m->first[i] = -1;
        for (int64_t k = 0; k < m->bins; k++) {
            const double f = (double)k * (double)s->rate / (double)s->window;
            const double w = fmin((f - from) / (peak - from), (to - f) / (to - peak));
            if (w <= 0) continue;
            m->filter[i * m->bins + k] = s->htk ? w : w * 2 / (to - from);
            if (m->first[i] < 0) m->first[i] = k;
            m->last[i] = k;
        }
        if (m->first[i] < 0)
            return arena_printf(perm,
                                "%lld mel filters are too many for a window of %lld samples at %lld Hz: that of %.0f "
                                "to %.0f Hz holds no frequency of the transform",
                                (long long)s->mels, (long long)s->window, (long long)s->rate, from, to);
    }
    return 0;
}

Mel *mel_new(Arena *perm, const MelSpec *spec, const char **why)
{
    *why = 0;
    Mel *m = NEW(perm, Mel, 1);
    *m = (Mel){.spec = *spec, .bins = spec->window / 2 + 1};
    if (!(spec->fmin >= 0 && spec->fmin < spec->fmax && spec->fmax <= (double)spec->rate / 2))
        *why = arena_printf(perm, "frequencies from %g to %g Hz: up to half the rate, %g Hz, expected", spec->fmin,
                            spec->fmax, (double)spec->rate / 2);
    if (*why || (*why = make_filters(perm, m))) return 0;
    m->window = NEW(perm, float, spec->window);
    for (int64_t i = 0; i < spec->window; i++)
        m->window[i] = (float)(0.5 - 0.5 * cos(2 * M_PI * (double)i / (double)spec->window));
    m->in = arena_alloc(perm, sizeof *m->in, 64, spec->window);
    m->out = arena_alloc(perm, sizeof *m->out, 64, m->bins);
    m->plan = fftwf_plan_dft_r2c_1d((int)spec->window, m->in, m->out, FFTW_ESTIMATE);
    return m;
}

void mel_free(Mel *m)
{
    if (m) fftwf_destroy_plan(m->plan);
}

int64_t mel_frames(const MelSpec *s, int64_t samples)
{
    return 1 + (samples - s->window) / s->hop;
}

void mel_apply(const Mel *m, const float *clip, int64_t samples, float *to)
{
    const MelSpec *s = &m->spec;
    const int64_t frames = mel_frames(s, samples);
    for (int64_t t = 0; t < frames; t++) {
        for (int64_t i = 0; i < s->window; i++) m->in[i] = clip[t * s->hop + i] * m->window[i];
        fftwf_execute(m->plan);
        for (int64_t f = 0; f < s->mels; f++) {
            const double *filter = m->filter + f * m->bins;
            double sum = 0;
            for (int64_t k = m->first[f]; k <= m->last[f]; k++) {
                const double re = crealf(m->out[k]), im = cimagf(m->out[k]);
                sum += filter[k] * (re * re + im * im);
            }
            to[f * frames + t] = (float)log(fmax(s->floor, sum));
        }
    }
}

const double *mel_filter(const Mel *m, int64_t filter)
{
    return m->filter + filter * m->bins;
}
