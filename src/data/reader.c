/* reader: the table of formats, the choice among them by content, and the options that they share. */
#include "data/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/readers/formats.h"

enum { HEAD_BYTES = 4096, SURE = 50 /* of 100: below this a guess is not taken */ };

const DataReader reader_table[] = {
    {"idx",
     "IDX images and labels, plain or gzip (MNIST and its kin). SOURCE: a folder with train-images-idx3-ubyte and "
     "train-labels-idx1-ubyte, t10k-… beside them being the test set; or IMAGES LABELS [TEST_IMAGES TEST_LABELS]. "
     "Options: images, labels, test_images, test_labels, classes, names (comma-separated).",
     idx_probe, idx_read},
    {"cifar",
     "the binary version of CIFAR-10 and CIFAR-100. SOURCE: the folder with data_batch_1.bin to 5 and test_batch.bin, or "
     "train.bin and test.bin; or such files. Options: labels (fine, coarse: of CIFAR-100), test (a file), names.",
     cifar_probe, cifar_read},
    {"npy",
     "NumPy arrays, .npy and .npz. SOURCE: X.npy y.npy [TEST_X.npy TEST_y.npy], an .npz, or a folder of .npy files. "
     "Options: images, labels, valid_images, valid_labels, test_images, test_labels (names of arrays, or files; usual "
     "ones are found), layout (what the axes are: nl, nhw, ncl, nlc, nchw, nhwc; l is a series' length), names.",
     npy_arrays_probe, npy_arrays_read},
    {"csv",
     "text tables with a sample in each row, plain or gzip. SOURCE: files, - being standard input. Options: targets, "
     "features, ignore, group, split (columns by name or number from 1, with ranges: 2-10; features are all that have no "
     "other use), test (files of test samples), shape (CxHxW of the features; else 1x1xN), header (yes, no), delimiter "
     "(comma, semicolon, tab, blank, or a character), missing (error, mean), type (u8: features are bytes), names.",
     csv_rows_probe, csv_rows_read},
    {"ucr",
     "time series of the UCR and UEA archives, text and .ts. SOURCE: the folder of a set, or TRAIN [TEST]; _TEST beside "
     "_TRAIN is found. Options: length (N or longest: series are padded with zeros or cut at their end), missing (error, "
     "mean, zero, interpolate), names.",
     ucr_probe, ucr_read},
    {"netcdf",
     "arrays of NetCDF files, classic or NetCDF-4. SOURCE: files, one after the other. Options: images, labels (classes) or "
     "targets (numbers; several names with commas between them), test_images, test_labels (arrays of the same files), test "
     "(files of test samples); layout (sample,y,x or sample,channel,y,x and so on: what the dimensions are, if their names "
     "do not say it), slice (DIMENSION:INDEX or DIMENSION:FROM:TO, comma-separated), names. Arrays with usual names are "
     "found. Missing values are bad samples; scale_factor and add_offset are applied.",
     arrays_probe, arrays_read},
    {"hdf5", "arrays of HDF5 files (MATLAB 7.3 and Keras ones among them); all as for netcdf.", arrays_probe,
     arrays_read},
    {"images",
     "a PNG or JPEG file for each image. SOURCE: folders, whose subfolders are the classes (below train, val, test if "
     "there are such), or with option labels=FILE.csv or pattern= labelled otherwise. Options: labels, file, label, "
     "targets, group, split (columns of the table), pattern ({label}_{n}.png), none, names; channels (1 grey, 3 colour, 4 "
     "with alpha; by default as the first image has, alpha composited over background, 255), depth (8, or 16 bits as "
     "float32).",
     images_probe, images_read},
    {"audio",
     "a WAV, FLAC or AU file (or another that libsndfile reads) for each clip, found and labelled as images are, as a "
     "log-mel spectrogram. Options: those of images that tell labels; rate (Hz; others are resampled), seconds (of a "
     "sample; by default the longest clip), cut (take a sample every so many seconds; those of a clip stay on one side), "
     "window, hop (in samples; about 32 ms and half of it), mels (64), fmin, fmax (Hz), scale (slaney, htk), floor "
     "(1e-10, below which power is not told apart), spectrogram=none (the wave itself), channels (of the wave).",
     audio_probe, audio_read},
    {"kirigami",
     "sheets with cuts as images of 1 and 0, regression. SOURCE: the table of graphene sheets (15 cells, strain, toughness, "
     "stress), or MoS2 DESIGNS RESULTS. Options: target (strain, toughness, stress; several: comma-separated), raster "
     "(graphene: fine 30x80 or coarse 3x5), height, width (MoS2: 40), pad (rows of zeros above and below: 0).",
     kirigami_probe, kirigami_read},
    {"lightcurves",
     "irregular series of several bands (PLAsTiCC, Kaggle's layout) on a grid of time, as (channels, 1, bins). SOURCE: CSV "
     "files, plain or gzip: one of objects (object_id, target, ...), one or more of observations (object_id, mjd, passband, "
     "flux, flux_err, detected). Options: bins (128), span (1100 days), align (first, peak) or start (a time), "
     "interpolation (linear, none), scale (asinh, object, none), softening (10: of asinh), errors (no, yes), detected "
     "(all, only), bands (0,1,2,3,4,5), features (columns of the objects, as constant channels), unmatched (refuse, skip), "
     "split, group (columns of the objects); and names of columns: object, time, band, flux, error, detection, target.",
     lightcurves_probe, lightcurves_read},
    {"structural",
     "structures to be designed, 116 published problems of 28 families (arXiv:1909.04240), made by rule; no SOURCE. Options: "
     "problems (names with * and ?, comma-separated; or FAMILY_WxH_DENSITY of other sizes), max-size (WxH: no larger grids). "
     "With samples=N instead: N random problems, each optimised by optimality criteria, as samples for regression: loads "
     "and supports along x and y and the density, at nodes -> log of the compliance. Options: size (WxH elements: 31x31), steps "
     "(of the optimiser: 30), design (WxH: densities of the design, at this resolution, are targets, too).",
     structural_probe, structural_read},
    {"synthetic",
     "generated images whose best operation is known; no SOURCE. Options: kind (blobs, skip, mean, maxpool, sep3, "
     "sep5, dil5, linear, labels, tree), n, size, classes, channels, outputs, noise.",
     synthetic_probe, synthetic_read},
};
const int64_t reader_count = COUNTOF(reader_table);

const DataReader *reader_find(const char *name)
{
    for (int64_t i = 0; i < reader_count; i++)
        if (!strcmp(reader_table[i].name, name)) return &reader_table[i];
    return 0;
}

const DataReader *reader_probe(const char *path, const char **why)
{
    unsigned char head[HEAD_BYTES];
    int64_t have = 0;
    struct stat st;
    *why = 0;
    if (stat(path, &st)) {
        *why = strerror(errno);
        return 0;
    }
    if (S_ISREG(st.st_mode)) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : 0;
        while (fd >= 0 && have < HEAD_BYTES && (n = read(fd, head + have, (size_t)(HEAD_BYTES - have))) > 0) have += n;
        if (n < 0) *why = strerror(errno);
        if (fd >= 0) close(fd);
        if (*why) return 0;
    }
    const DataReader *best = 0;
    int surest = SURE - 1;
    for (int64_t i = 0; i < reader_count; i++) {
        int sure = reader_table[i].probe(path, head, have);
        if (sure > surest) {
            surest = sure;
            best = &reader_table[i];
        }
    }
    if (!best) *why = S_ISDIR(st.st_mode) ? "a folder without data of a known format" : "the format is not known";
    return best;
}

const char *reader_option(const IngestSpec *spec, const char *key)
{
    size_t length = strlen(key);
    for (int i = spec->option_count - 1; i >= 0; i--) /* the last one given counts */
        if (!strncmp(spec->option[i], key, length) && spec->option[i][length] == '=')
            return spec->option[i] + length + 1;
    return 0;
}

const char *reader_option_int(Arena *perm, const IngestSpec *spec, const char *key, int64_t min, int64_t max,
                              int64_t *to)
{
    const char *text = reader_option(spec, key);
    if (!text) return 0;
    char *end = 0;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || v < min || v > max)
        return arena_printf(perm, "option %s=%s: a whole number from %lld to %lld expected", key, text, (long long)min,
                            (long long)max);
    *to = v;
    return 0;
}

const char *reader_option_double(Arena *perm, const IngestSpec *spec, const char *key, double min, double max,
                                 double *to)
{
    const char *text = reader_option(spec, key);
    if (!text) return 0;
    char *end = 0;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= min && v <= max))
        return arena_printf(perm, "option %s=%s: a number from %g to %g expected", key, text, min, max);
    *to = v;
    return 0;
}

const char *reader_option_check(Arena *perm, const IngestSpec *spec, const char *format, const char *known)
{
    for (int i = 0; i < spec->option_count; i++) {
        const char *option = spec->option[i], *equals = strchr(option, '=');
        if (!equals) return arena_printf(perm, "option %s: key=value expected", option);
        bool found = false;
        for (const char *k = known; *k && !found; k += strcspn(k, " "), k += *k == ' ')
            found = (ptrdiff_t)strcspn(k, " ") == equals - option && !strncmp(k, option, (size_t)(equals - option));
        if (!found)
            return arena_printf(perm, "option %.*s: %s knows %s", (int)(equals - option), option, format, known);
    }
    return 0;
}

const char *reader_source_name(Arena *perm, const char *path, const char *otherwise)
{
    struct stat st;
    const bool folder = !stat(path, &st) && S_ISDIR(st.st_mode);
    ptrdiff_t end = (ptrdiff_t)strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    ptrdiff_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') begin--;
    char *name = arena_strndup(perm, path + begin, end - begin);
    if (!folder) name[strcspn(name, ".")] = 0;
    return *name && strcmp(name, ".") && strcmp(name, "..") ? name : otherwise;
}

const char *reader_name_outputs(Arena *perm, const IngestSpec *spec, DatasetInfo *info)
{
    const char *names = reader_option(spec, "names");
    if (!names) return 0;
    int64_t n = 1;
    for (const char *p = names; *p; p++) n += *p == ',';
    if (n != info->outputs)
        return arena_printf(perm, "option names: %lld names for %lld outputs", (long long)n, (long long)info->outputs);
    info->output_names = NEW(perm, const char *, n);
    for (int64_t i = 0; i < n; i++) {
        ptrdiff_t length = (ptrdiff_t)strcspn(names, ",");
        info->output_names[i] = arena_strndup(perm, names, length);
        names += length + 1;
    }
    return 0;
}
