/* picture: PNG by libpng, JPEG by libjpeg. Both leave by longjmp when a file is bad. */
#include "data/readers/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jpeglib.h>
#include <png.h>

#include "data/dataset.h"

enum { MESSAGE = JMSG_LENGTH_MAX, DEFLATE_RATIO = 1032 /* what deflate can pack at most */ };

bool picture_magic(const unsigned char *head, int64_t bytes)
{
    return (bytes >= 8 && !png_sig_cmp(head, 0, 8)) ||
           (bytes >= 3 && head[0] == 0xff && head[1] == 0xd8 && head[2] == 0xff);
}

/* Memory for the pixels of a picture whose size the file claims, or 0 and why not. */
static void *room_for(Arena *a, Picture *p, const char **why)
{
    int64_t row = p->width * p->channels * (p->deep ? 2 : 1);
    if (p->height < 1 || p->width < 1 || p->height > PICTURE_MAX_SIDE || p->width > PICTURE_MAX_SIDE)
        *why = arena_printf(a, "%lld x %lld pixels: sides from 1 to %d expected", (long long)p->width,
                            (long long)p->height, PICTURE_MAX_SIDE);
    else if (row > PICTURE_MAX_BYTES / p->height)
        *why = arena_printf(a, "%lld x %lld pixels: more than %d MiB", (long long)p->width, (long long)p->height,
                            PICTURE_MAX_BYTES >> 20);
    else
        p->pixels = dataset_memory(a, p->height, row, why);
    return *why ? 0 : p->pixels;
}

/* ---- EXIF orientation ---- */

static uint32_t exif_number(const unsigned char *p, int bytes, bool little)
{
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint32_t)p[i] << 8 * (little ? i : bytes - 1 - i);
    return v;
}

/* 1…8 from a TIFF header and its first directory; 1 where there is none. */
static int exif_orientation(const unsigned char *tiff, int64_t n)
{
    if (n < 8 || (memcmp(tiff, "II*\0", 4) && memcmp(tiff, "MM\0*", 4))) return 1;
    const bool little = tiff[0] == 'I';
    int64_t at = exif_number(tiff + 4, 4, little);
    if (at > n - 2) return 1;
    int64_t entries = exif_number(tiff + at, 2, little);
    for (at += 2; entries > 0 && at + 12 <= n; entries--, at += 12)
        if (exif_number(tiff + at, 2, little) == 0x0112 && exif_number(tiff + at + 2, 2, little) == 3 /* SHORT */) {
            uint32_t v = exif_number(tiff + at + 8, 2, little);
            return v >= 1 && v <= 8 ? (int)v : 1;
        }
    return 1;
}

/* Orientation o says where the first row and column are to be seen: 2, 4, 5, 7 mirror, 5…8 swap rows and columns. */
static const char *turn(Arena *a, Picture *p, int o)
{
    if (o == 1) return 0;
    const bool swap = o >= 5, flip_rows = o == 3 || o == 4 || o == 7 || o == 8,
               flip_columns = o == 2 || o == 3 || o == 6 || o == 7;
    const char *why = 0;
    Picture to = {swap ? p->width : p->height, swap ? p->height : p->width, p->channels, p->deep, 0};
    const int64_t size = p->channels * (p->deep ? 2 : 1);
    char *out = room_for(a, &to, &why);
    if (!out) return why;
    for (int64_t i = 0; i < to.height; i++)
        for (int64_t j = 0; j < to.width; j++) {
            int64_t u = flip_rows ? to.height - 1 - i : i, v = flip_columns ? to.width - 1 - j : j;
            int64_t from = swap ? v * p->width + u : u * p->width + v;
            memcpy(out + (i * to.width + j) * size, (char *)p->pixels + from * size, (size_t)size);
        }
    *p = to;
    return 0;
}

/* ---- PNG ---- */

typedef struct {
    jmp_buf back;
    char message[MESSAGE];
} Failure;

static void png_fail(png_structp png, png_const_charp message)
{
    Failure *f = png_get_error_ptr(png);
    snprintf(f->message, sizeof f->message, "%s", message);
    longjmp(f->back, 1);
}

static void png_warn(png_structp png, png_const_charp message)
{
    (void)png, (void)message; /* about chunks that are not used here */
}

static const char *read_png(Arena *a, FILE *file, int64_t length, Picture *p, int *orientation)
{
    Failure failure = {.message = ""};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &failure, png_fail, png_warn);
    png_infop info = png ? png_create_info_struct(png) : 0;
    const char *why = 0;
    if (!info) {
        png_destroy_read_struct(&png, &info, 0);
        return "no memory to decode it";
    }
    if (setjmp(failure.back)) {
        png_destroy_read_struct(&png, &info, 0);
        return arena_printf(a, "damaged PNG: %s", failure.message);
    }
    png_init_io(png, file);
    png_set_user_limits(png, PICTURE_MAX_SIDE, PICTURE_MAX_SIDE);
    png_set_chunk_malloc_max(png, 8 << 20);
    png_read_info(png, info);
    const int64_t packed = (int64_t)png_get_rowbytes(png, info) * png_get_image_height(png, info);
    if (packed / DEFLATE_RATIO > length) png_error(png, "more pixels than its bytes can hold");
    png_set_expand(png); /* palette -> RGB, 1, 2, 4 bits -> 8, transparency -> alpha */
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) png_set_swap(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    *p = (Picture){png_get_image_height(png, info), png_get_image_width(png, info), png_get_channels(png, info),
                   png_get_bit_depth(png, info) == 16, 0};
    unsigned char *pixels = room_for(a, p, &why);
    if (pixels) {
        png_bytep *row = NEW(a, png_bytep, p->height);
        for (int64_t i = 0; i < p->height; i++) row[i] = pixels + i * (int64_t)png_get_rowbytes(png, info);
        png_read_image(png, row);
        png_read_end(png, info);
        png_bytep exif = 0;
        png_uint_32 exif_bytes = 0;
        if (png_get_eXIf_1(png, info, &exif_bytes, &exif)) *orientation = exif_orientation(exif, exif_bytes);
    }
    png_destroy_read_struct(&png, &info, 0);
    return why;
}

/* ---- JPEG ---- */

typedef struct {
    struct jpeg_error_mgr base; /* first: libjpeg hands out a pointer to it */
    Failure failure;
} JpegFailure;

static void jpeg_fail(j_common_ptr c)
{
    JpegFailure *f = (JpegFailure *)c->err;
    c->err->format_message(c, f->failure.message);
    longjmp(f->failure.back, 1);
}

/* A warning (level -1) says that data was missing or corrupt and something was put in its place. */
static void jpeg_message(j_common_ptr c, int level)
{
    if (level < 0) jpeg_fail(c);
}

/* A small file with very many scans takes very long. */
static void jpeg_progress(j_common_ptr c)
{
    JpegFailure *f = (JpegFailure *)c->err;
    if (!c->is_decompressor || ((j_decompress_ptr)c)->input_scan_number <= PICTURE_MAX_SCANS) return;
    snprintf(f->failure.message, MESSAGE, "more than %d scans", PICTURE_MAX_SCANS);
    longjmp(f->failure.back, 1);
}

static const char *read_jpeg(Arena *a, FILE *file, Picture *p, int *orientation)
{
    struct jpeg_decompress_struct jpeg = {0};
    struct jpeg_progress_mgr progress = {.progress_monitor = jpeg_progress};
    JpegFailure failure;
    const char *why = 0;
    jpeg.err = jpeg_std_error(&failure.base);
    failure.base.error_exit = jpeg_fail;
    failure.base.emit_message = jpeg_message;
    if (setjmp(failure.failure.back)) {
        jpeg_destroy_decompress(&jpeg);
        return arena_printf(a, "damaged JPEG: %s", failure.failure.message);
    }
    jpeg_create_decompress(&jpeg);
    jpeg.progress = &progress;
    jpeg_stdio_src(&jpeg, file);
    jpeg_save_markers(&jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&jpeg, TRUE);
    for (jpeg_saved_marker_ptr m = jpeg.marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > 6 && !memcmp(m->data, "Exif\0", 6)) {
            *orientation = exif_orientation(m->data + 6, m->data_length - 6);
            break;
        }
    const bool grey = jpeg.jpeg_color_space == JCS_GRAYSCALE;
    *p = (Picture){jpeg.image_height, jpeg.image_width, grey ? 1 : 3, false, 0};
    if (!grey && jpeg.jpeg_color_space != JCS_YCbCr && jpeg.jpeg_color_space != JCS_RGB)
        why = "a JPEG in CMYK or another colour space: grey or RGB expected";
    unsigned char *pixels = why ? 0 : room_for(a, p, &why);
    if (pixels) {
        jpeg.out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
        jpeg.dct_method = JDCT_ISLOW; /* the same pixels on every machine */
        jpeg_start_decompress(&jpeg);
        while (jpeg.output_scanline < jpeg.output_height) {
            JSAMPROW row = pixels + (int64_t)jpeg.output_scanline * p->width * p->channels;
            jpeg_read_scanlines(&jpeg, &row, 1);
        }
        jpeg_finish_decompress(&jpeg);
    }
    jpeg_destroy_decompress(&jpeg);
    return why;
}

/* ---- both ---- */

const char *picture_read(Arena *a, const char *path, Picture *out)
{
    unsigned char head[8];
    struct stat st = {0};
    *out = (Picture){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return arena_printf(a, "%s: %s", path, strerror(errno));
    FILE *file = !fstat(fd, &st) && S_ISREG(st.st_mode) ? fdopen(fd, "rb") : 0;
    if (!file) {
        close(fd);
        return arena_printf(a, "%s: not a plain file", path);
    }
    size_t n = fread(head, 1, sizeof head, file);
    rewind(file);
    int orientation = 1;
    const char *why = n == 0                             ? "byte 0: the file is empty"
                      : !picture_magic(head, (int64_t)n) ? "byte 0: neither PNG nor JPEG"
                      : head[0] == 0xff                  ? read_jpeg(a, file, out, &orientation)
                                                         : read_png(a, file, st.st_size, out, &orientation);
    fclose(file);
    if (!why) why = turn(a, out, orientation);
    return why ? arena_printf(a, "%s: %s", path, why) : 0;
}

static int64_t value_at(const Picture *p, int64_t i)
{
    return p->deep ? ((const uint16_t *)p->pixels)[i] : ((const uint8_t *)p->pixels)[i];
}

Picture picture_convert(Arena *a, const Picture *p, int64_t channels, bool deep, int background)
{
    if (p->channels == channels && p->deep == deep) return *p;
    Picture to = {p->height, p->width, channels, deep, 0};
    const int64_t area = p->height * p->width, top = p->deep ? 65535 : 255;
    to.pixels = arena_alloc(a, deep ? 2 : 1, 2, area * channels);
    const bool colour = p->channels >= 3, has_alpha = p->channels == 2 || p->channels == 4;
    for (int64_t i = 0; i < area; i++) {
        int64_t in = i * p->channels, v[4] = {0};
        for (int64_t c = 0; c < 3; c++) v[c] = value_at(p, in + (colour ? c : 0));
        v[3] = has_alpha ? value_at(p, in + p->channels - 1) : top;
        if (channels < 4)
            for (int64_t c = 0; c < 3; c++)
                v[c] = (v[c] * v[3] + background * (top / 255) * (top - v[3]) + top / 2) / top;
        if (channels == 1 && colour) v[0] = (299 * v[0] + 587 * v[1] + 114 * v[2] + 500) / 1000;
        for (int64_t c = 0; c < channels; c++) {
            int64_t w = deep == p->deep ? v[c] : deep ? v[c] * 257 : (v[c] * 255 + 32767) / 65535;
            if (deep)
                ((uint16_t *)to.pixels)[i * channels + c] = (uint16_t)w;
            else
                ((uint8_t *)to.pixels)[i * channels + c] = (uint8_t)w;
        }
    }
    return to;
}
