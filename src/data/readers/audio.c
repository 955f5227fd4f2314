/* audio: a file for each clip, whatever libsndfile reads, as a log-mel spectrogram or as the wave itself.
 *
 * A spectrogram is an image of one channel: a row for each mel filter, the lowest first, a column for each frame.
 * `seconds` fixes the length of what becomes a sample: clips are cut or followed by silence; by default it is that of the
 * longest clip.  With `cut`, a clip gives a sample every `cut` seconds as long as a whole one fits (at least one), and the
 * samples of a clip are a group, which no split divides.
 */
#include <errno.h>
#include <math.h>
#include <samplerate.h>
#include <sndfile.h>
#include <string.h>
#include <sys/stat.h>

#include "data/readers/formats.h"
#include "data/readers/labelled_files.h"
#include "data/readers/mel.h"

static const char endings[] = ".wav .flac .au .snd .aif .aiff .ogg .oga .opus .mp3 .caf .w64 .rf64";

enum {
    MAX_RATE = 768000,
    MAX_FRAMES = 1 << 28, /* of a clip: 100 minutes at 44.1 kHz */
    MAX_CHANNELS = 64,
    MAX_WINDOW = 1 << 16,
    BLOCK = 1 << 12 /* frames read at a time */
};

typedef struct {
    MelSpec mel;
    bool wave;               /* no spectrogram */
    int64_t channels;        /* of the wave; 1: mixed down */
    double seconds, cut;     /* 0: by the longest clip; not cut */
    int64_t samples, stride; /* of a piece, at the rate of all */
    const char *rate_of;     /* the clip that fixed the rate; 0: the user did */
    Mel *transform;
} Plan;

/* ---- one clip ---- */

/* RIFF and AU say how long they should be; libsndfile makes do with what is there. */
static const char *cut_short(Arena *a, const char *path)
{
    unsigned char h[12];
    struct stat st;
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(h, 1, sizeof h, f) : 0;
    if (f) fclose(f);
    if (n < sizeof h || stat(path, &st)) return 0;
    int64_t claimed = 0;
    uint32_t at_4 = 0, at_8 = 0;
    for (int i = 0; i < 4; i++) {
        at_4 |= (uint32_t)h[4 + i] << (memcmp(h, "RIFF", 4) ? 8 * (3 - i) : 8 * i);
        at_8 |= (uint32_t)h[8 + i] << 8 * (3 - i);
    }
    if ((!memcmp(h, "RIFF", 4) || !memcmp(h, "RIFX", 4) || !memcmp(h, "FORM", 4)) && at_4 != UINT32_MAX)
        claimed = 8 + (int64_t)at_4;
    if (!memcmp(h, ".snd", 4) && at_8 != UINT32_MAX) claimed = (int64_t)at_4 + at_8;
    return claimed > st.st_size ? arena_printf(a, "%s: byte %lld: cut short: it should have %lld bytes", path,
                                               (long long)st.st_size, (long long)claimed)
                                : 0;
}

/* Opens a clip; 0 and *why if it is none. */
static SNDFILE *clip_open(Arena *a, const char *path, SF_INFO *info, const char **why)
{
    struct stat st;
    *info = (SF_INFO){0};
    *why = 0;
    if (stat(path, &st))
        *why = arena_printf(a, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        *why = arena_printf(a, "%s: not a plain file", path);
    else if (!st.st_size)
        *why = arena_printf(a, "%s: byte 0: the file is empty", path);
    if (*why || (*why = cut_short(a, path))) return 0;
    SNDFILE *f = sf_open(path, SFM_READ, info);
    if (!f) {
        Text t = {0};
        text_add(a, &t, sf_strerror(0));
        t.s[strcspn(t.s, "\n")] = 0;
        *why = arena_printf(a, "%s: %s", path, t.s);
        return 0;
    }
    if (info->frames < 1)
        *why = arena_printf(a, "%s: no sound in it", path);
    else if (info->frames > MAX_FRAMES || info->samplerate < 1 || info->samplerate > MAX_RATE || info->channels < 1 ||
             info->channels > MAX_CHANNELS)
        *why = arena_printf(a, "%s: %lld frames of %d channels at %d Hz: absurd", path, (long long)info->frames,
                            info->channels, info->samplerate);
    if (!*why) return f;
    sf_close(f);
    return 0;
}

/* The whole clip as `channels` rows of info->frames, mixed down if 1 is wanted, in *a. */
static const char *clip_decode(Arena *a, SNDFILE *f, const char *path, const SF_INFO *info, int64_t channels,
                               float **out)
{
    const char *why;
    const int64_t frames = info->frames, in = info->channels;
    if (channels != 1 && channels != in)
        return arena_printf(a, "%s: %lld channels: %lld expected", path, (long long)in, (long long)channels);
    float *to = dataset_memory(a, channels * frames, sizeof *to, &why), *block = NEW(a, float, BLOCK *in);
    if (!to) return arena_printf(a, "%s: %s", path, why);
    int64_t done = 0;
    for (sf_count_t got; done < frames && (got = sf_readf_float(f, block, BLOCK)) > 0; done += got) {
        if (got > frames - done) got = frames - done;
        for (int64_t i = 0; i < got; i++) {
            double sum = 0;
            for (int64_t c = 0; c < in; c++) {
                const float v = block[i * in + c];
                if (!isfinite(v))
                    return arena_printf(a, "%s: frame %lld: a value that is not finite", path, (long long)(done + i));
                sum += v;
                if (channels > 1) to[c * frames + done + i] = v;
            }
            if (channels == 1) to[done + i] = (float)(sum / (double)in);
        }
    }
    if (done < frames || sf_error(f))
        return arena_printf(a, "%s: frame %lld: cut short or damaged: %lld frames expected", path, (long long)done,
                            (long long)frames);
    *out = to;
    return 0;
}

/* Rows of *frames at one rate become rows at another, by libsamplerate's best filter. */
static const char *resample(Arena *a, const char *path, float **rows, int64_t channels, int64_t *frames, int64_t from,
                            int64_t to)
{
    const double ratio = (double)to / (double)from;
    const int64_t most = (int64_t)ceil((double)*frames * ratio);
    const char *why;
    if (!src_is_valid_ratio(ratio) || most > MAX_FRAMES)
        return arena_printf(a, "%s: %lld Hz cannot become %lld Hz", path, (long long)from, (long long)to);
    float *out = dataset_memory(a, channels * most, sizeof *out, &why);
    if (!out) return arena_printf(a, "%s: %s", path, why);
    for (int64_t c = 0; c < channels; c++) {
        SRC_DATA d = {.data_in = *rows + c * *frames,
                      .data_out = out + c * most,
                      .input_frames = *frames,
                      .output_frames = most,
                      .src_ratio = ratio};
        int wrong = src_simple(&d, SRC_SINC_BEST_QUALITY, 1);
        if (wrong) return arena_printf(a, "%s: %s", path, src_strerror(wrong));
    }
    *rows = out;
    *frames = most;
    return 0;
}

/* ---- what is wanted ---- */

static const char *read_options(Arena *perm, const IngestSpec *spec, Plan *p)
{
    const char *scale = reader_option(spec, "scale"), *form = reader_option(spec, "spectrogram");
    *p = (Plan){.mel = {.mels = 64, .fmax = 0, .floor = 1e-10}, .channels = 1};
    if (form && strcmp(form, "mel") && strcmp(form, "none"))
        return arena_printf(perm, "option spectrogram=%s: mel or none expected", form);
    if (scale && strcmp(scale, "slaney") && strcmp(scale, "htk"))
        return arena_printf(perm, "option scale=%s: slaney or htk expected", scale);
    p->wave = form && !strcmp(form, "none");
    p->mel.htk = scale && !strcmp(scale, "htk");
    const char *why =
        p->wave ? reader_option_check(perm, spec, "audio with spectrogram=none",
                                      LABELLED_OPTIONS " names spectrogram rate channels seconds cut")
                : reader_option_check(perm, spec, "audio",
                                      LABELLED_OPTIONS " names spectrogram rate seconds cut window hop mels fmin fmax "
                                                       "floor scale");
    if (!why) why = reader_option_int(perm, spec, "rate", 1, MAX_RATE, &p->mel.rate);
    if (!why) why = reader_option_int(perm, spec, "channels", 1, MAX_CHANNELS, &p->channels);
    if (!why) why = reader_option_double(perm, spec, "seconds", 1e-4, 1e5, &p->seconds);
    if (!why) why = reader_option_double(perm, spec, "cut", 1e-4, 1e5, &p->cut);
    if (!why) why = reader_option_int(perm, spec, "window", 8, MAX_WINDOW, &p->mel.window);
    if (!why) why = reader_option_int(perm, spec, "hop", 1, MAX_WINDOW, &p->mel.hop);
    if (!why) why = reader_option_int(perm, spec, "mels", 1, 1024, &p->mel.mels);
    if (!why) why = reader_option_double(perm, spec, "fmin", 0, MAX_RATE, &p->mel.fmin);
    if (!why) why = reader_option_double(perm, spec, "fmax", 0, MAX_RATE, &p->mel.fmax);
    if (!why) why = reader_option_double(perm, spec, "floor", 1e-30, 1e30, &p->mel.floor);
    if (!why && p->cut && !p->seconds) why = "option cut: it goes with seconds=, the length of a piece";
    if (!why && p->mel.window % 2) why = "option window: an even number expected";
    return why;
}

/* The rate, lengths and transform of all clips; reads their headers if that is what decides. */
static const char *settle(Arena *perm, Arena scratch, const LabelledFiles *files, Plan *p)
{
    double longest = 0;
    const char *why;
    for (int64_t i = 0; i < files->count && (!p->mel.rate || !p->seconds); i++) {
        Arena once = scratch;
        SF_INFO info;
        SNDFILE *f = clip_open(&once, files->file[i].path, &info, &why);
        if (!f) continue; /* told when it is read */
        sf_close(f);
        if (!p->mel.rate) p->mel.rate = info.samplerate, p->rate_of = files->file[i].path;
        longest = fmax(longest, (double)info.frames / info.samplerate);
    }
    if (!p->mel.rate) return 0; /* none can be read: the first will be an error */
    if (!p->seconds) p->seconds = longest;
    MelSpec *m = &p->mel;
    if (!m->window) { /* the power of two nearest to 32 ms */
        m->window = 8;
        while (m->window < MAX_WINDOW && (double)m->window * M_SQRT2 < 0.032 * (double)m->rate) m->window *= 2;
    }
    if (!m->hop) m->hop = m->window / 2;
    if (!m->fmax) m->fmax = (double)m->rate / 2;
    p->samples = llround(p->seconds * (double)m->rate);
    p->stride = llround(p->cut * (double)m->rate);
    if (p->samples < 1 || p->samples > MAX_FRAMES || (p->cut && p->stride < 1))
        return arena_printf(perm, "audio: pieces of %g s at %lld Hz: absurd", p->seconds, (long long)m->rate);
    if (p->wave) return 0;
    if (p->samples < m->window) p->samples = m->window;
    p->transform = mel_new(perm, m, &why);
    return why ? arena_printf(perm, "audio: %s", why) : 0;
}

static int64_t pieces(const Plan *p, int64_t frames)
{
    return p->stride && frames > p->samples ? 1 + (frames - p->samples) / p->stride : 1;
}

/* Samples from the clips, or an upper bound: how many there are is in their headers. */
static int64_t count_pieces(Arena scratch, const LabelledFiles *files, const Plan *p)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < files->count; i++) {
        Arena once = scratch;
        SF_INFO info;
        const char *why;
        SNDFILE *f = p->stride ? clip_open(&once, files->file[i].path, &info, &why) : 0;
        sum += f ? pieces(p, (int64_t)ceil((double)info.frames * (double)p->mel.rate / info.samplerate)) : 1;
        if (f) sf_close(f);
    }
    return sum;
}

/* ---- samples ---- */

static const char *read_clip(Arena *a, const char *path, const Plan *p, float **rows, int64_t *frames)
{
    SF_INFO info;
    const char *why;
    SNDFILE *f = clip_open(a, path, &info, &why);
    if (!f) return why;
    if (p->rate_of && info.samplerate != p->mel.rate)
        why = arena_printf(a, "%s: %d Hz, but %s has %lld Hz (option rate= makes them alike)", path, info.samplerate,
                           p->rate_of, (long long)p->mel.rate);
    if (!why) why = clip_decode(a, f, path, &info, p->channels, rows);
    sf_close(f);
    *frames = info.frames;
    if (!why && info.samplerate != p->mel.rate)
        why = resample(a, path, rows, p->channels, frames, info.samplerate, p->mel.rate);
    return why;
}

/* The piece that begins at `from`, silence after its end, as a sample. */
static Raster make_piece(Arena *a, const Plan *p, const float *rows, int64_t frames, int64_t from)
{
    float *wave = NEW(a, float, p->channels * p->samples);
    const int64_t have = frames - from < p->samples ? frames - from : p->samples;
    for (int64_t c = 0; c < p->channels; c++)
        memcpy(wave + c * p->samples, rows + c * frames + from, (size_t)have * sizeof *wave);
    if (p->wave) return (Raster){p->channels, 1, p->samples, DTYPE_F32, wave};
    Raster r = {1, p->mel.mels, mel_frames(&p->mel, p->samples), DTYPE_F32, 0};
    float *image = NEW(a, float, r.height *r.width);
    mel_apply(p->transform, wave, p->samples, image);
    r.data = image;
    return r;
}

static const char *put_clip(Arena scratch, const LabelledFile *f, int64_t number, const Plan *p, Intake *intake,
                            int64_t *id)
{
    float *rows = 0;
    int64_t frames = 0;
    const char *why = f->flaw ? f->flaw : read_clip(&scratch, f->path, p, &rows, &frames);
    if (why) return intake_bad(intake, arena_strdup(intake->perm, why));
    for (int64_t k = 0; k < pieces(p, frames) && !why; k++) {
        Arena once = scratch;
        const Raster r = make_piece(&once, p, rows, frames, k * p->stride);
        const char *where = p->stride ? arena_printf(&once, "%s: second %g", f->path, (double)k * p->cut) : f->path;
        why = intake_put(intake, once,
                         &(Sample){.where = where,
                                   .raster = r,
                                   .targets = f->targets,
                                   .id = (*id)++,
                                   .group = f->group >= 0 ? f->group
                                            : p->stride   ? number
                                                          : -1,
                                   .file = -1,
                                   .named = f->named});
    }
    return why;
}

static void note(Arena *perm, DatasetInfo *info, const Plan *p)
{
    const MelSpec *m = &p->mel;
    dataset_setting(perm, info, "rate", "%lld Hz", (long long)m->rate);
    dataset_setting(perm, info, "seconds", "%g", p->seconds);
    if (p->stride) dataset_setting(perm, info, "cut", "every %g s", p->cut);
    if (p->wave)
        dataset_setting(perm, info, "spectrogram", "none");
    else
        dataset_setting(perm, info, "spectrogram",
                        "log-mel (%s), %lld filters %g-%g Hz, window %lld, hop %lld, floor %g",
                        m->htk ? "htk" : "slaney", (long long)m->mels, m->fmin, m->fmax, (long long)m->window,
                        (long long)m->hop, m->floor);
}

const char *audio_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                       Dataset *out)
{
    LabelledFiles files;
    Plan p;
    *out = (Dataset){0};
    const char *why = read_options(perm, spec, &p);
    if (!why) why = labelled_files(perm, scratch, sources, n, spec, "audio", endings, &files, out);
    if (!why) why = settle(perm, scratch, &files, &p);
    Intake intake;
    if (!why) why = intake_open(perm, spec, out, count_pieces(scratch, &files, &p), &intake);
    int64_t id = 0;
    for (int64_t i = 0; i < files.count && !why; i++) why = put_clip(scratch, &files.file[i], i, &p, &intake, &id);
    mel_free(p.transform);
    if (!why) why = intake_close(&intake, sources[0]);
    if (why) return why;
    note(perm, &out->info, &p);
    return reader_name_outputs(perm, spec, &out->info);
}

int audio_probe(const char *path, const unsigned char *head, int64_t head_bytes)
{
    if (head_bytes >= 12 && (!memcmp(head, "RIFF", 4) || !memcmp(head, "RIFX", 4)) && !memcmp(head + 8, "WAVE", 4))
        return 90;
    if (head_bytes >= 4 && (!memcmp(head, "fLaC", 4) || !memcmp(head, ".snd", 4) || !memcmp(head, "OggS", 4)))
        return 80;
    return labelled_folder(path, endings) ? 60 : 0;
}
