/* images: a file for each image, PNG or JPEG, labelled by folders or by a table. */
#include <string.h>

#include "data/readers/formats.h"
#include "data/readers/labelled_files.h"
#include "data/readers/picture.h"

static const char endings[] = ".png .jpg .jpeg .jpe .jfif";

/* Interleaved pixels as planes; 16 bits become floats, of the values that the file has. */
static Raster to_raster(Arena *a, const Picture *p)
{
    const int64_t area = p->height * p->width;
    Raster r = {p->channels, p->height, p->width, p->deep ? DTYPE_F32 : DTYPE_U8, 0};
    void *to = arena_alloc(a, dtype_size(r.dtype), 64, area * p->channels);
    for (int64_t c = 0; c < p->channels; c++)
        for (int64_t i = 0; i < area; i++) {
            if (p->deep)
                ((float *)to)[c * area + i] = (float)((const uint16_t *)p->pixels)[i * p->channels + c];
            else
                ((uint8_t *)to)[c * area + i] = ((const uint8_t *)p->pixels)[i * p->channels + c];
        }
    r.data = to;
    return r;
}

typedef struct {
    int64_t channels, depth, background; /* channels, depth 0: those of the first image */
    const char *channels_of, *depth_of;  /* the image that fixed them; 0: the user did */
} Form;

/* One file in the form that all have; the first one fixes what was not asked for. */
static const char *read_image(Arena *a, const char *path, Form *form, Raster *out)
{
    Picture p;
    const char *why = picture_read(a, path, &p);
    if (why) return why;
    const int64_t channels = p.channels >= 3 ? 3 : 1, depth = p.deep ? 16 : 8;
    if (!form->channels) form->channels = channels, form->channels_of = path;
    if (!form->depth) form->depth = depth, form->depth_of = path;
    if (form->channels_of && channels != form->channels)
        return arena_printf(a, "%s: %s, but %s is %s (option channels= makes them alike)", path,
                            channels == 3 ? "in colour" : "grey", form->channels_of,
                            channels == 3 ? "grey" : "in colour");
    if (form->depth_of && depth != form->depth)
        return arena_printf(a, "%s: %lld bits a value, but %s has %lld (option depth= makes them alike)", path,
                            (long long)depth, form->depth_of, (long long)form->depth);
    p = picture_convert(a, &p, form->channels, form->depth == 16, (int)form->background);
    *out = to_raster(a, &p);
    return 0;
}

const char *images_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                        Dataset *out)
{
    LabelledFiles files;
    Form form = {.background = 255};
    *out = (Dataset){0};
    const char *why = reader_option_check(perm, spec, "images", LABELLED_OPTIONS " channels depth background names");
    if (!why) why = reader_option_int(perm, spec, "channels", 1, 4, &form.channels);
    if (!why) why = reader_option_int(perm, spec, "depth", 8, 16, &form.depth);
    if (!why) why = reader_option_int(perm, spec, "background", 0, 255, &form.background);
    if (why) return why;
    if (form.channels == 2) return "option channels=2: 1 (grey), 3 (colour) or 4 (with alpha) expected";
    if (form.depth && form.depth != 8 && form.depth != 16) return "option depth: 8 or 16 expected";
    if ((why = labelled_files(perm, scratch, sources, n, spec, "images", endings, &files, out))) return why;

    Intake intake;
    if ((why = intake_open(perm, spec, out, files.count, &intake))) return why;
    for (int64_t i = 0; i < files.count && !why; i++) {
        Arena once = scratch;
        const LabelledFile *f = &files.file[i];
        Raster raster;
        if (f->flaw)
            why = f->flaw;
        else
            why = read_image(&once, f->path, &form, &raster);
        if (why) {
            why = intake_bad(&intake, arena_strdup(perm, why));
            continue;
        }
        why = intake_put(&intake, once,
                         &(Sample){.where = f->path,
                                   .raster = raster,
                                   .targets = f->targets,
                                   .id = i,
                                   .group = f->group,
                                   .file = -1,
                                   .named = f->named});
    }
    if (!why) why = intake_close(&intake, sources[0]);
    return why ? why : reader_name_outputs(perm, spec, &out->info);
}

int images_probe(const char *path, const unsigned char *head, int64_t head_bytes)
{
    return picture_magic(head, head_bytes) ? 90 : labelled_folder(path, endings) ? 60 : 0;
}
