/* raster: operations on the shape of an image, done in order for every sample as it is ingested. */
#ifndef NAS_RASTER_H
#define NAS_RASTER_H
#include "stream/record.h"

typedef struct {
    int64_t channels, height, width;
    DType dtype;      /* DTYPE_U8 or DTYPE_F32 */
    const void *data; /* (channels, height, width) */
} Raster;

enum { RASTER_STEPS = 8 };
typedef struct {
    int count;
    struct {
        enum { RASTER_CROP, RASTER_RESIZE, RASTER_PAD } kind;
        int64_t height, width; /* width 0: a resize whose shorter side becomes `height` */
    } step[RASTER_STEPS];
} RasterPlan;

/* "crop:224,resize:56x48,pad:64": numbers are HEIGHTxWIDTH, one number is a square, but in resize:N~ it is the shorter
 * side and the aspect is kept.  0 or why not. */
const char *raster_plan(Arena *perm, const char *text, RasterPlan *out);

/* The steps in order, the result in *a.  Crop takes the middle and refuses what is smaller; pad puts zeros around and
 * refuses what is larger; where a margin cannot be halved the larger part is below and to the right.  Resize weighs with
 * a triangle whose half width is one pixel of the coarser of the two grids: bilinear where it enlarges, without aliases
 * where it shrinks (the "antialiased bilinear" of imaging libraries); pixel centres are at 0.5; u8 is rounded.
 * Returns 0 or why not. */
const char *raster_apply(Arena *a, const RasterPlan *plan, Raster *r);
#endif
