/* media: pictures, clips of sound, named arrays, and the operations on shapes, against files made here.
 *
 * `test_media --fixtures DIR` writes the files that tests/media.bats ingests and does nothing else.
 */
#include "check.h"

#include <fcntl.h>
#include <hdf5.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <jpeglib.h>
#include <png.h>

#include "base/rng.h"
#include "data/raster.h"
#include "data/reader.h"
#include "data/readers/array_file.h"
#include "data/readers/mel.h"
#include "data/readers/picture.h"

static Arena perm_whole, scratch_whole;
static char made[] = "/tmp/nas-test-media-XXXXXX";
static const char *folder = made;

static const char *in_folder(const char *name)
{
    static char path[4][512];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void write_file(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f)) abort();
}

static int64_t read_whole(const char *path, char *to, int64_t room)
{
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    int64_t n = (int64_t)fread(to, 1, (size_t)room, f);
    fclose(f);
    return n;
}

/* ---- making pictures ---- */

/* A PNG of bit depth and colour type as asked; sample k of row y is (y × width × samples + k) × step, cut to its bits. */
static void make_png(const char *name, int width, int height, int depth, int type, int step)
{
    FILE *f = fopen(in_folder(name), "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, 0, 0, 0);
    png_infop info = png_create_info_struct(png);
    if (!f || setjmp(png_jmpbuf(png))) abort();
    png_init_io(png, f);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, depth, type, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
    const png_color palette[] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {10, 20, 30}};
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette, 4);
    png_write_info(png, info);
    const int samples = width * png_get_channels(png, info);
    for (int y = 0; y < height; y++) {
        unsigned char row[4096] = {0};
        for (int k = 0; k < samples; k++) {
            const unsigned v = (unsigned)((y * samples + k) * step) & ((1u << depth) - 1);
            if (depth == 16)
                row[2 * k] = (unsigned char)(v >> 8), row[2 * k + 1] = (unsigned char)v;
            else
                row[k * depth / 8] |= (unsigned char)(v << (8 - depth - k * depth % 8));
        }
        png_write_row(png, row);
    }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    fclose(f);
}

/* A JPEG of one colour space: even rows of `top`, lower half of `bottom`; with an EXIF orientation if that is not 0. */
static void make_jpeg(const char *name, int width, int height, J_COLOR_SPACE space, int orientation, bool progressive)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr error;
    FILE *f = fopen(in_folder(name), "wb");
    if (!f) abort();
    jpeg.err = jpeg_std_error(&error);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, f);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = space == JCS_GRAYSCALE ? 1 : space == JCS_RGB ? 3 : 4;
    jpeg.in_color_space = space;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    if (progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    if (orientation) {
        const unsigned char exif[] = {'E', 'x', 'i', 'f',  0,    0, 'M', 'M', 0, 42, 0, 0, 0,
                                      8,   0,   1,   0x01, 0x12, 0, 3,   0,   0, 0,  1, 0, (unsigned char)orientation,
                                      0,   0,   0,   0,    0,    0};
        jpeg_write_marker(&jpeg, JPEG_APP0 + 1, exif, sizeof exif);
    }
    for (int y = 0; y < height; y++) { /* bright in the upper left quarter alone */
        unsigned char row[4096];
        for (int k = 0; k < width * jpeg.input_components; k++)
            row[k] = y < height / 2 && k < width * jpeg.input_components / 2 ? 250 : 5;
        JSAMPROW at = row;
        jpeg_write_scanlines(&jpeg, &at, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    fclose(f);
}

static void make_folder(const char *name)
{
    mkdir(in_folder(name), 0777);
}

/* ---- pictures ---- */

static void test_png_kinds(void)
{
    static const struct {
        int depth, type, channels, first[4];
    } kinds[] = {
        {1, PNG_COLOR_TYPE_GRAY, 1, {0, 255, 0, 255}},   {2, PNG_COLOR_TYPE_GRAY, 1, {0, 85, 170, 255}},
        {4, PNG_COLOR_TYPE_GRAY, 1, {0, 17, 34, 51}},    {8, PNG_COLOR_TYPE_GRAY, 1, {0, 1, 2, 3}},
        {16, PNG_COLOR_TYPE_GRAY, 1, {0, 1, 2, 3}},      {2, PNG_COLOR_TYPE_PALETTE, 3, {255, 0, 0, 0}},
        {8, PNG_COLOR_TYPE_GRAY_ALPHA, 2, {0, 1, 2, 3}}, {16, PNG_COLOR_TYPE_RGB, 3, {0, 1, 2, 3}},
        {8, PNG_COLOR_TYPE_RGB_ALPHA, 4, {0, 1, 2, 3}},
    };
    for (int i = 0; i < COUNTOF(kinds); i++) {
        Arena a = perm_whole;
        Picture p;
        make_png("kind.png", 5, 3, kinds[i].depth, kinds[i].type, 1);
        if (!CHECK_STR(picture_read(&a, in_folder("kind.png"), &p), 0)) continue;
        CHECK_EQ(p.width, 5);
        CHECK_EQ(p.height, 3);
        CHECK_EQ(p.channels, kinds[i].channels);
        CHECK_EQ(p.deep, kinds[i].depth == 16);
        for (int k = 0; k < 4; k++)
            CHECK_EQ(p.deep ? ((uint16_t *)p.pixels)[k] : ((uint8_t *)p.pixels)[k], kinds[i].first[k]);
    }
}

static void test_convert(void)
{
    Arena a = perm_whole;
    uint8_t rgba[] = {255, 0, 0, 255, 0, 255, 0, 0, 0, 0, 255, 51};
    const Picture p = {1, 3, 4, false, rgba};
    const uint8_t *white = picture_convert(&a, &p, 3, false, 255).pixels;
    const uint8_t over_white[] = {255, 0, 0, 255, 255, 255, 204, 204, 255};
    CHECK(!memcmp(white, over_white, sizeof over_white));
    const uint8_t *grey = picture_convert(&a, &p, 1, false, 0).pixels;
    CHECK_EQ(grey[0], 76); /* 0.299 × 255 */
    CHECK_EQ(grey[1], 0);  /* transparent over black */
    CHECK_EQ(grey[2], 6);  /* 0.114 × 51 */
    const uint16_t *deep = picture_convert(&a, &p, 4, true, 0).pixels;
    CHECK_EQ(deep[0], 65535);
    CHECK_EQ(deep[11], 51 * 257);
    uint16_t wide[] = {0, 128, 129, 65535};
    const Picture q = {1, 4, 1, true, wide};
    const uint8_t *narrow = picture_convert(&a, &q, 1, false, 0).pixels;
    CHECK_EQ(narrow[1], 0);
    CHECK_EQ(narrow[2], 1);
    CHECK_EQ(narrow[3], 255);
}

/* Where the bright quarter of a 32×16 picture is seen: 0 upper left, 1 upper right, 2 lower left, 3 lower right. */
static int bright_quarter(const Picture *p)
{
    int best = -1;
    for (int q = 0; q < 4; q++) {
        const int64_t y = (q & 2 ? 3 : 1) * p->height / 4, x = (q & 1 ? 3 : 1) * p->width / 4;
        if (((uint8_t *)p->pixels)[(y * p->width + x) * p->channels] > 128) best = best < 0 ? q : 9;
    }
    return best;
}

static void test_jpeg(void)
{
    /* EXIF: 1 row 0 top, column 0 left; 2 top right; 3 bottom right; 4 bottom left; 5 left top; 6 right top; 7 right
     * bottom; 8 left bottom */
    static const int quarter[] = {0, 0, 1, 3, 2, 0, 1, 3, 2};
    for (int o = 0; o <= 8; o++) {
        Arena a = perm_whole;
        Picture p;
        make_jpeg("turned.jpg", 32, 16, o % 2 ? JCS_RGB : JCS_GRAYSCALE, o, o > 4);
        if (!CHECK_STR(picture_read(&a, in_folder("turned.jpg"), &p), 0)) continue;
        CHECK_EQ(p.width, o >= 5 ? 16 : 32);
        CHECK_EQ(p.height, o >= 5 ? 32 : 16);
        CHECK_EQ(p.channels, o % 2 ? 3 : 1);
        CHECK_EQ(bright_quarter(&p), quarter[o]);
    }
    Arena a = perm_whole;
    Picture p;
    make_jpeg("cmyk.jpg", 16, 16, JCS_CMYK, 0, false);
    CHECK_CONTAINS(picture_read(&a, in_folder("cmyk.jpg"), &p), "cmyk.jpg: a JPEG in CMYK");
}

/* Every beginning of a picture is refused, and so is one with a byte changed if it is noticed; nothing else happens. */
static void test_damaged_pictures(void)
{
    static char whole[1 << 16];
    const char *const names[] = {"cut.png", "cut.jpg"};
    make_png("cut.png", 20, 10, 8, PNG_COLOR_TYPE_RGB, 3);
    make_jpeg("cut.jpg", 32, 16, JCS_RGB, 6, true);
    for (int n = 0; n < COUNTOF(names); n++) {
        char path[512];
        snprintf(path, sizeof path, "%s", in_folder(names[n]));
        const int64_t length = read_whole(path, whole, sizeof whole);
        if (!CHECK(length > 50)) continue;
        for (int64_t cut = 0; cut < length - 2;
             cut += cut < 64 ? 1 : 37) { /* the end marker of a JPEG may be missing */
            Arena a = perm_whole;
            Picture p;
            write_file(path, whole, (size_t)cut);
            CHECK_CONTAINS(picture_read(&a, path, &p), names[n]);
        }
        for (int64_t i = 0; i < 400; i++) {
            Arena a = perm_whole;
            Picture p;
            const int64_t at = rng_below(1, 2, (uint64_t)i, length);
            const char old = whole[at];
            whole[at] = (char)rng_below(1, 3, (uint64_t)i, 256);
            write_file(path, whole, (size_t)length);
            const char *why = picture_read(&a, path, &p);
            CHECK(why ? strstr(why, names[n]) && !strchr(why, '\n') : p.pixels != 0);
            whole[at] = old;
        }
    }
    Arena a = perm_whole;
    Picture p;
    /* a bomb: 60000 × 60000 in the header of a small file */
    make_png("bomb.png", 8, 8, 8, PNG_COLOR_TYPE_GRAY, 1);
    int64_t length = read_whole(in_folder("bomb.png"), whole, sizeof whole);
    whole[18] = whole[22] = (char)(60000 >> 8);
    whole[19] = whole[23] = (char)(60000 & 255);
    uint32_t crc = (uint32_t)crc32(0, (unsigned char *)whole + 12, 17);
    for (int k = 0; k < 4; k++) whole[29 + k] = (char)(crc >> (24 - 8 * k));
    write_file(in_folder("bomb.png"), whole, (size_t)length);
    CHECK_CONTAINS(picture_read(&a, in_folder("bomb.png"), &p), "bomb.png: damaged PNG: more pixels than its bytes");
    write_file(in_folder("text.png"), "not a picture", 13);
    CHECK_CONTAINS(picture_read(&a, in_folder("text.png"), &p), "text.png: byte 0: neither PNG nor JPEG");
    write_file(in_folder("text.png"), "", 0);
    CHECK_CONTAINS(picture_read(&a, in_folder("text.png"), &p), "text.png: byte 0: the file is empty");
    CHECK_CONTAINS(picture_read(&a, folder, &p), "not a plain file");
    CHECK_CONTAINS(picture_read(&a, in_folder("none.png"), &p), "none.png: No such file");
}

/* ---- shapes ---- */

static const char *reshape(Arena *a, const char *steps, Raster *r)
{
    RasterPlan plan;
    const char *why = raster_plan(a, steps, &plan);
    return why ? why : raster_apply(a, &plan, r);
}

static void test_raster(void)
{
    Arena a = perm_whole;
    uint8_t x[24];
    for (int i = 0; i < 24; i++) x[i] = (uint8_t)(10 * i);
    const Raster from = {1, 4, 6, DTYPE_U8, x};
    Raster r = from;
    CHECK_STR(reshape(&a, "crop:2x3", &r), 0); /* rows 1, 2; columns 1, 2, 3 */
    const uint8_t middle[] = {70, 80, 90, 130, 140, 150};
    CHECK(r.height == 2 && r.width == 3 && !memcmp(r.data, middle, 6));
    CHECK_STR(reshape(&a, "pad:4x4", &r), 0);
    const uint8_t padded[] = {0, 0, 0, 0, 70, 80, 90, 0, 130, 140, 150, 0, 0, 0, 0, 0};
    CHECK(r.height == 4 && r.width == 4 && !memcmp(r.data, padded, 16));
    r = from;
    CHECK_STR(reshape(&a, "resize:4x6", &r), 0); /* to its own size: itself */
    CHECK(!memcmp(r.data, x, 24));
    r = from;
    CHECK_STR(reshape(&a, "resize:2~,crop:2", &r), 0);
    CHECK_EQ(r.height, 2);
    CHECK_EQ(r.width, 2);

    /* a linear ramp stays one under any magnification, away from its ends */
    float ramp[8];
    for (int i = 0; i < 8; i++) ramp[i] = (float)i;
    r = (Raster){1, 1, 8, DTYPE_F32, ramp};
    CHECK_STR(reshape(&a, "resize:1x24", &r), 0);
    for (int i = 2; i < 22; i++) CHECK_NEAR(((const float *)r.data)[i], (i + 0.5) / 3 - 0.5, 1e-5);
    /* a shrunken constant stays one; by half, the weights of an inner pixel are 1 3 3 1 in eighths */
    float spike[8] = {0, 0, 0, 8, 0, 0, 0, 0};
    r = (Raster){1, 1, 8, DTYPE_F32, spike};
    CHECK_STR(reshape(&a, "resize:1x4", &r), 0);
    const float expected[] = {0, 3, 1, 0}; /* pixel 3 lies 0 and 1 pixels off the inner edge of 1 and 2 */
    for (int i = 0; i < 4; i++) CHECK_NEAR(((const float *)r.data)[i], expected[i], 1e-6);

    r = from;
    CHECK_CONTAINS(reshape(&a, "crop:5x3", &r), "4x6 pixels: too small to be cropped to 5x3");
    CHECK_CONTAINS(reshape(&a, "pad:3", &r), "too large to be padded");
    static const char *const bad[] = {"crop",   "crop:",        "crop:0",  "crop:2x",   "crop:2x3x4",
                                      "turn:3", "resize:70000", "crop:2~", "resize:-1", "crop:2;pad:3"};
    for (int i = 0; i < COUNTOF(bad); i++) {
        RasterPlan plan;
        CHECK_MSG(raster_plan(&a, bad[i], &plan), "%s was taken", bad[i]);
    }
}

/* ---- sound ---- */

static void test_mel(void)
{
    enum { SAMPLES = 1000 };
    char path[512], name[16], what[16];
    snprintf(path, sizeof path, "%.*s/../golden/oracle_mel.txt", (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
    FILE *f = fopen(path, "r");
    if (!CHECK_MSG(f != 0, "%s cannot be opened", path)) return;
    float clip[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) /* as in tests/oracle/make_mel.py */
        clip[i] = (float)(0.5 * sin(2 * M_PI * 440 * i / 8000) + 0.25 * sin(2 * M_PI * 1250.5 * i / 8000) +
                          0.05 * (i * 7919 % 1000 / 1000.0 - 0.5));
    int tables = 0, rows, columns;
    for (; fscanf(f, "%15s %15s %d %d", name, what, &rows, &columns) == 4; tables++) {
        Arena a = perm_whole;
        MelSpec spec = {8000, 256, 100, 20, 0, 4000, 1e-6, false};
        if (!strcmp(name, "htk")) spec.htk = true, spec.fmin = 50, spec.fmax = 3500;
        const char *why;
        Mel *m = mel_new(&a, &spec, &why);
        if (!CHECK_STR(why, 0)) break;
        const bool filters = !strcmp(what, "filters");
        float *image = NEW(&a, float, 20 * mel_frames(&spec, SAMPLES));
        mel_apply(m, clip, SAMPLES, image);
        CHECK_EQ(rows, 20);
        CHECK_EQ(columns, filters ? 129 : mel_frames(&spec, SAMPLES));
        for (int i = 0; i < rows; i++)
            for (int k = 0; k < columns; k++) {
                double want;
                if (!CHECK_EQ(fscanf(f, "%lf", &want), 1)) return;
                if (filters)
                    CHECK_CLOSE(mel_filter(m, i)[k], want, 1e-9, 1e-6);
                else
                    CHECK_NEAR(image[i * columns + k], want, 1e-4);
            }
        mel_free(m);
    }
    CHECK_EQ(tables, 4);
    fclose(f);
    Arena a = perm_whole;
    const char *why;
    const MelSpec many = {8000, 64, 32, 128, 0, 4000, 1e-6, false}, beyond = {8000, 256, 100, 20, 0, 5000, 1e-6, false};
    CHECK(!mel_new(&a, &many, &why));
    CHECK_CONTAINS(why, "128 mel filters are too many for a window of 64 samples");
    CHECK(!mel_new(&a, &beyond, &why));
    CHECK_CONTAINS(why, "up to half the rate");
}

/* ---- arrays ---- */

enum { N = 12, Y = 3, X = 4 };

static void make_hdf5(const char *name, hid_t type, bool chunked)
{
    hid_t f = H5Fcreate(in_folder(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hsize_t size[3] = {N, Y, X}, chunk[3] = {5, 2, 4};
    float x[N * Y * X], y[N];
    for (int i = 0; i < N * Y * X; i++) x[i] = (float)i;
    for (int i = 0; i < N; i++) y[i] = (float)(i % 3);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    if (chunked) {
        H5Pset_chunk(creation, 3, chunk);
        H5Pset_shuffle(creation);
        H5Pset_deflate(creation, 6);
        H5Pset_fletcher32(creation);
    }
    hid_t group = H5Gcreate2(f, "data", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(3, size, 0), line = H5Screate_simple(1, size, 0);
    hid_t images = H5Dcreate2(group, "images", type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    hid_t labels = H5Dcreate2(group, "labels", H5T_STD_I64BE, line, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(images, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, x);
    H5Dwrite(labels, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, y);
    H5Dclose(images);
    H5Dclose(labels);
    H5Sclose(space);
    H5Sclose(line);
    H5Gclose(group);
    H5Pclose(creation);
    H5Fclose(f);
}

static int64_t index_of(const ArrayFile *f, const char *name)
{
    int64_t count;
    const ArrayInfo *a = array_list(f, &count);
    for (int64_t i = 0; i < count; i++)
        if (!strcmp(a[i].name, name)) return i;
    return -1;
}

static void test_hdf5_types(void)
{
    const struct {
        hid_t type;
        DType travels;
        bool integer;
    } types[] = {{H5T_STD_U8LE, DTYPE_U8, true},
                 {H5T_STD_I16BE, DTYPE_F32, true},
                 {H5T_STD_I32LE, DTYPE_F64, true},
                 {H5T_IEEE_F32BE, DTYPE_F32, false},
                 {H5T_IEEE_F64LE, DTYPE_F64, false}};
    for (int t = 0; t < COUNTOF(types) * 2; t++) {
        Arena a = perm_whole;
        const char *why;
        make_hdf5("types.h5", types[t / 2].type, t % 2);
        ArrayFile *f = array_open(&a, in_folder("types.h5"), 20, &why);
        if (!CHECK_STR(why, 0)) continue;
        const int64_t i = index_of(f, "data/images");
        int64_t count;
        if (CHECK(i >= 0)) {
            const ArrayInfo *info = array_list(f, &count) + i;
            CHECK_EQ(info->rank, 3);
            CHECK_EQ(info->size[0], N);
            CHECK_EQ(info->type, types[t / 2].travels);
            CHECK_EQ(info->integer, types[t / 2].integer);
            double slab[8];
            const int64_t start[3] = {7, 1, 2}, size[3] = {2, 1, 2};
            CHECK_STR(array_read(&a, f, i, start, size, slab), 0);
            for (int k = 0; k < 4; k++) { /* samples 7 and 8, row 1, columns 2 and 3 */
                const double want = (7 + k / 2) * Y * X + X + 2 + k % 2;
                CHECK_EQ(info->type == DTYPE_U8    ? ((uint8_t *)slab)[k]
                         : info->type == DTYPE_F32 ? ((float *)slab)[k]
                                                   : slab[k],
                         want);
            }
        }
        array_close(f);
    }
}

/* A damaged file gives values or one line; the test itself survives, whatever the library does. */
static void test_hdf5_damage(void)
{
    static char whole[1 << 16];
    make_hdf5("damaged.h5", H5T_IEEE_F32LE, true);
    const int64_t length = read_whole(in_folder("damaged.h5"), whole, sizeof whole);
    if (!CHECK(length > 500)) return;
    for (int64_t i = 0; i < 60; i++) {
        Arena a = perm_whole;
        char *copy = NEW(&a, char, length);
        memcpy(copy, whole, (size_t)length);
        const int64_t cut = i < 20 ? i * length / 20 : length;
        for (int64_t k = 0; i >= 20 && k < 8; k++)
            copy[rng_below(7, 1, (uint64_t)(8 * i + k), length)] = (char)rng_below(7, 2, (uint64_t)(8 * i + k), 256);
        write_file(in_folder("damaged.h5"), copy, (size_t)cut);
        const char *source[] = {in_folder("damaged.h5")}, *why = 0;
        IngestSpec spec = {.task = "", .option = {"images=data/images", "labels=data/labels"}, .option_count = 2};
        Dataset d;
        why = reader_find("hdf5")->read(&a, scratch_whole, source, 1, &spec, &d);
        CHECK(why ? strstr(why, "damaged.h5") && !strchr(why, '\n') : d.split[SPLIT_TRAIN].count == N);
        if (i < 20) CHECK(why != 0);
    }
}

static pid_t only_child(void)
{
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    read_whole(path, text, sizeof text - 1);
    return (pid_t)atoi(text);
}

static void test_lost_library(void)
{
    const struct {
        int signal;
        const char *says;
    } ways[] = {{SIGKILL, "lost.h5: damaged: the library that reads it crashed (Killed)"},
                {SIGSTOP, "lost.h5: damaged: the library that reads it gave no answer for 1 s"}};
    make_hdf5("lost.h5", H5T_IEEE_F32LE, false);
    for (int i = 0; i < COUNTOF(ways); i++) {
        Arena a = perm_whole;
        const char *why;
        ArrayFile *f = array_open(&a, in_folder("lost.h5"), 1, &why);
        if (!CHECK_STR(why, 0)) continue;
        const pid_t child = only_child();
        if (!CHECK(child > 0)) return;
        kill(child, ways[i].signal);
        double slab[N];
        const int64_t start[1] = {0}, size[1] = {N};
        CHECK_CONTAINS(array_read(&a, f, index_of(f, "data/labels"), start, size, slab), ways[i].says);
        CHECK_CONTAINS(array_read(&a, f, index_of(f, "data/labels"), start, size, slab),
                       "its reading has ended before");
        array_close(f);
        CHECK_EQ(only_child(), 0);
    }
}

/* ---- fixtures for tests/media.bats ---- */

static void make_fixtures(void)
{
    static const char *const folders[] = {
        "flat",        "classes",       "classes/dark",  "classes/light", "split",
        "split/train", "split/train/a", "split/train/b", "split/val",     "split/val/a",
        "split/val/b", "split/test",    "split/test/a",  "split/test/b",  "bad"};
    char name[64];
    for (int i = 0; i < COUNTOF(folders); i++) make_folder(folders[i]);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "classes/%s/%02d.png", i % 2 ? "light" : "dark", i);
        make_png(name, 6, 5, 8, PNG_COLOR_TYPE_GRAY, i + 1);
        snprintf(name, sizeof name, "split/%s/%s/%02d.jpg",
                 i < 24   ? "train"
                 : i < 32 ? "val"
                          : "test",
                 i % 2 ? "b" : "a", i);
        make_jpeg(name, 8 + i % 3, 8, i % 4 ? JCS_RGB : JCS_GRAYSCALE, 0, false);
        snprintf(name, sizeof name, "flat/p%d.png", i);
        make_png(name, 4, 4, 16, PNG_COLOR_TYPE_GRAY, i);
    }
    make_png("bad/deep.png", 6, 5, 16, PNG_COLOR_TYPE_GRAY, 3);
    make_png("bad/colour.png", 6, 5, 8, PNG_COLOR_TYPE_RGB, 3);
    make_png("bad/large.png", 7, 5, 8, PNG_COLOR_TYPE_GRAY, 3);
    make_jpeg("bad/cmyk.jpg", 6, 5, JCS_CMYK, 0, false);
    make_jpeg("bad/whole.jpg", 6, 5, JCS_GRAYSCALE, 0, false);
    make_hdf5("good.h5", H5T_STD_U8LE, true);
    make_hdf5("float.h5", H5T_IEEE_F32BE, true);
}

int main(int argc, char **argv)
{
    perm_whole = arena_reserve((ptrdiff_t)1 << 30);
    scratch_whole = arena_reserve((ptrdiff_t)1 << 30);
    if (argc == 3 && !strcmp(argv[1], "--fixtures")) {
        folder = argv[2];
        make_fixtures();
        return 0;
    }
    if (!mkdtemp(made)) return 1;
    CHECK_RUN(test_png_kinds);
    CHECK_RUN(test_convert);
    CHECK_RUN(test_jpeg);
    CHECK_RUN(test_damaged_pictures);
    CHECK_RUN(test_raster);
    CHECK_RUN(test_mel);
    CHECK_RUN(test_hdf5_types);
    CHECK_RUN(test_hdf5_damage);
    CHECK_RUN(test_lost_library);
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", made);
    if (system(command)) return 1;
    return check_done("media");
}
