/* picture: one PNG or JPEG file as pixels. */
#ifndef NAS_PICTURE_H
#define NAS_PICTURE_H
#include <stdbool.h>

#include "base/arena.h"

typedef struct {
    int64_t height, width, channels; /* channels: 1 grey, 2 grey with alpha, 3 RGB, 4 RGB with alpha */
    bool deep;                       /* 16 bits a value instead of 8 */
    void *pixels;                    /* (height, width, channels) of uint8_t or uint16_t */
} Picture;

enum {
    PICTURE_MAX_SIDE = 65500,      /* what JPEG can have */
    PICTURE_MAX_BYTES = 256 << 20, /* decoded: more is taken for a decompression bomb */
    PICTURE_MAX_SCANS = 200        /* of a progressive JPEG; encoders make about ten */
};

/* Decodes a file, found to be PNG or JPEG by its first bytes, into memory of *a.  PNG: every colour type and bit depth;
 * palettes become RGB, 1, 2 and 4 bits become 8, 16 stay 16.  JPEG: grey or RGB; CMYK is refused.  The EXIF orientation
 * (EXIF 2.32, tag 0x0112; in PNG the chunk eXIf) is carried out, so that the first row is the top.  Colour profiles and
 * gamma are not applied.  A picture that is cut short or whose decoder complains is refused: 0 or why not, with its
 * name. */
const char *picture_read(Arena *a, const char *path, Picture *out);

/* The same picture with 1, 3 or 4 channels, as 8 or 16 bits.  Grey of RGB is its luma, 0.299 R + 0.587 G + 0.114 B
 * (ITU-R BT.601, as in JPEG).  With 1 or 3 channels alpha is composited over `background` (0…255), with 4 it is kept or
 * full. */
Picture picture_convert(Arena *a, const Picture *p, int64_t channels, bool deep, int background);

/* Whether this begins a PNG or a JPEG file. */
bool picture_magic(const unsigned char *head, int64_t bytes);
#endif
