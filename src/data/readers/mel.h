/* mel: a clip of sound as a log-mel spectrogram.
 *
 * Frame t is clip[t × hop … t × hop + window), times a periodic Hann window; P[k] = |DFT|² of it, k = 0 … window / 2;
 * value (m, t) = ln(max(floor, sum over k of filter[m][k] × P[k])).  Filter m is the triangle over the frequencies m,
 * m + 1, m + 2 of mels + 2 that lie evenly between fmin and fmax on the mel scale:
 *
 *   slaney  linear below 1 kHz, logarithmic above; each triangle has area 1 (M. Slaney, Auditory Toolbox, version 2,
 *           Interval Research technical report 1998-010)
 *   htk     2595 log10(1 + f / 700); each triangle has height 1 (S. Young et al., The HTK Book, 3.4, section 5.4)
 *
 * No frame reaches beyond the clip: nothing is padded or reflected.
 */
#ifndef NAS_MEL_H
#define NAS_MEL_H
#include <stdbool.h>

#include "base/arena.h"

typedef struct {
    int64_t rate, window, hop, mels; /* window, hop: in samples; window even */
    double fmin, fmax;               /* Hz */
    double floor;
    bool htk;
} MelSpec;

typedef struct Mel Mel;
/* 0 and *why when the filters make no sense, as when one of them falls between two frequencies of the transform. */
Mel *mel_new(Arena *perm, const MelSpec *spec, const char **why);
void mel_free(Mel *m); /* the transform's plan */
/* Frames of a clip of so many samples, which may not be fewer than window: 1 + (samples - window) / hop. */
int64_t mel_frames(const MelSpec *s, int64_t samples);
void mel_apply(const Mel *m, const float *clip, int64_t samples, float *to); /* to: (mels, frames) */
/* Weights of filter m: (window / 2 + 1). */
const double *mel_filter(const Mel *m, int64_t filter);
#endif
