/* array_hdf5: HDF5, and with it NetCDF-4 and MATLAB 7.3, by libhdf5.
 *
 * A NetCDF-4 dimension is a dimension scale (HDF5 Dimension Scale Specification); the last part of the scale's name is
 * the dimension's.  Compound, text and reference types are no arrays of numbers and are left out.
 */
#include <hdf5.h>
#include <hdf5_hl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/readers/array_file.h"

enum {
    /* of decompressed chunks: chunks of many samples are unpacked once, and not again for every slab */
    CHUNK_CACHE = 256 << 20,
    CHUNK_SLOTS = 12421 /* a prime, about 100 times the chunks that are kept (H5Pset_chunk_cache) */
};

typedef struct {
    hid_t id, open; /* the file; the dataset that was read last, or -1 */
    char name[sizeof((ArrayInfo *)0)->name];
} Hdf5;

/* What the library was doing when it failed first, which says most. */
static herr_t innermost(unsigned n, const H5E_error2_t *e, void *message)
{
    (void)n;
    if (e->desc && *e->desc) snprintf(message, ARRAY_MESSAGE, "cut short or damaged: %.200s", e->desc);
    return 1; /* stop */
}

static void failure(char *message)
{
    snprintf(message, ARRAY_MESSAGE, "cut short or damaged");
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, message);
}

static void *hdf5_open(Arena *a, const char *path, char *message)
{
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1); /* many file systems have no locks, and this one only reads */
    H5Eset_auto2(H5E_DEFAULT, 0, 0);
    Hdf5 *h = NEW(a, Hdf5, 1);
    h->id = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    h->open = -1;
    if (h->id >= 0) return h;
    failure(message);
    return 0;
}

/* A numeric attribute's first `room` values; how many there are. */
static int attribute(hid_t set, const char *name, double *to, int room)
{
    double all[4];
    if (H5Aexists(set, name) <= 0) return 0;
    hid_t a = H5Aopen(set, name, H5P_DEFAULT), space = H5Aget_space(a), type = H5Aget_type(a);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    H5T_class_t class = H5Tget_class(type);
    bool good =
        n >= 1 && n <= 4 && (class == H5T_INTEGER || class == H5T_FLOAT) && H5Aread(a, H5T_NATIVE_DOUBLE, all) >= 0;
    H5Tclose(type);
    H5Sclose(space);
    H5Aclose(a);
    if (!good) return 0;
    if (n > room) n = room;
    memcpy(to, all, (size_t)n * sizeof *to);
    return (int)n;
}

static herr_t scale_name(hid_t set, unsigned dimension, hid_t scale, void *to)
{
    (void)set, (void)dimension;
    char path[256] = "";
    if (H5Iget_name(scale, path, sizeof path) <= 0) return 0;
    const char *last = strrchr(path, '/');
    snprintf(to, sizeof((ArrayInfo *)0)->dimension[0], "%.63s", last ? last + 1 : path);
    return 1; /* the first one tells */
}

/* The fill value that the file's maker chose: NetCDF-4 always does. One of 0 is what HDF5 itself takes, and bytes are
 * left alone: every one of their values is in use. */
static int chosen_fill(hid_t set, size_t bytes, double *fill)
{
    hid_t creation = H5Dget_create_plist(set);
    H5D_fill_value_t kind = H5D_FILL_VALUE_UNDEFINED;
    bool chosen = bytes > 1 && H5Pfill_value_defined(creation, &kind) >= 0 && kind == H5D_FILL_VALUE_USER_DEFINED &&
                  H5Pget_fill_value(creation, H5T_NATIVE_DOUBLE, fill) >= 0 && *fill != 0;
    H5Pclose(creation);
    return chosen;
}

/* The axes of a netCDF dimension without a variable, NetCDF-4's own way of noting a dimension. */
static bool is_bare_dimension(hid_t set)
{
    char name[128] = "";
    return H5DSis_scale(set) > 0 && H5DSget_scale_name(set, name, sizeof name) > 0 &&
           !strncmp(name, "This is a netCDF dimension but not a netCDF variable", 52);
}

static bool describe(hid_t set, const char *name, ArrayInfo *a)
{
    hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    hsize_t size[H5S_MAX_RANK];
    int rank = H5Sget_simple_extent_type(space) == H5S_NULL ? -1 : H5Sget_simple_extent_ndims(space);
    H5T_class_t class = H5Tget_class(type);
    size_t bytes = H5Tget_size(type);
    bool integer = class == H5T_INTEGER || class == H5T_ENUM /* NumPy's booleans */ || class == H5T_BITFIELD;
    bool is_signed = class == H5T_ENUM || (class == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_2);
    H5Tclose(type);
    bool good = rank >= 0 && rank <= ARRAY_MAX_RANK && (integer || class == H5T_FLOAT) && strlen(name) < sizeof a->name;
    if (good && rank > 0) good = H5Sget_simple_extent_dims(space, size, 0) == rank;
    H5Sclose(space);
    if (!good || is_bare_dimension(set)) return false;
    DType travels = integer      ? bytes == 1 && !is_signed ? DTYPE_U8
                                   : bytes <= 2             ? DTYPE_F32
                                                            : DTYPE_F64
                    : bytes <= 4 ? DTYPE_F32
                                 : DTYPE_F64;
    *a = (ArrayInfo){.rank = rank, .type = travels, .integer = integer, .min = -INFINITY, .max = INFINITY, .scale = 1};
    snprintf(a->name, sizeof a->name, "%s", name);
    for (int i = 0; i < rank; i++) {
        a->size[i] = size[i] > INT64_MAX ? INT64_MAX : (int64_t)size[i];
        if (H5DSget_num_scales(set, (unsigned)i) > 0)
            H5DSiterate_scales(set, (unsigned)i, 0, scale_name, a->dimension[i]);
        else
            H5DSget_label(set, (unsigned)i, a->dimension[i], sizeof a->dimension[i]);
    }
    double range[2];
    a->fills = attribute(set, "_FillValue", a->fill, 1);
    if (!a->fills) a->fills = chosen_fill(set, bytes, a->fill);
    a->fills += attribute(set, "missing_value", a->fill + a->fills, ARRAY_FILLS - a->fills);
    if (attribute(set, "valid_range", range, 2) == 2) a->min = range[0], a->max = range[1];
    attribute(set, "valid_min", &a->min, 1);
    attribute(set, "valid_max", &a->max, 1);
    attribute(set, "scale_factor", &a->scale, 1);
    attribute(set, "add_offset", &a->offset, 1);
    return true;
}

typedef struct {
    ArrayInfo *to;
    int64_t n, room;
} List;

static herr_t visit(hid_t root, const char *name, const H5O_info_t *info, void *context)
{
    List *l = context;
    ArrayInfo a;
    if (info->type != H5O_TYPE_DATASET) return 0;
    hid_t set = H5Dopen2(root, name, H5P_DEFAULT);
    if (set < 0) return 0;
    bool good = describe(set, name, &a);
    H5Dclose(set);
    if (!good) return 0;
    if (l->n == l->room) return -1;
    l->to[l->n++] = a;
    return 0;
}

static int64_t hdf5_list(void *file, ArrayInfo *to, int64_t room)
{
    Hdf5 *h = file;
    List l = {to, 0, room};
    herr_t end = H5Ovisit2(h->id, H5_INDEX_NAME, H5_ITER_NATIVE, visit, &l, H5O_INFO_BASIC);
    return end < 0 && l.n == room ? -1 : l.n;
}

static int hdf5_read(void *file, const ArrayInfo *a, const int64_t *start, const int64_t *count, void *to,
                     char *message)
{
    Hdf5 *h = file;
    if (h->open < 0 || strcmp(h->name, a->name)) {
        if (h->open >= 0) H5Dclose(h->open);
        hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
        H5Pset_chunk_cache(access, CHUNK_SLOTS, CHUNK_CACHE, 1.0 /* chunks are read once, in order */);
        h->open = H5Dopen2(h->id, a->name, access);
        H5Pclose(access);
        snprintf(h->name, sizeof h->name, "%s", a->name);
    }
    hid_t memory_type = a->type == DTYPE_U8    ? H5T_NATIVE_UINT8
                        : a->type == DTYPE_F32 ? H5T_NATIVE_FLOAT
                                               : H5T_NATIVE_DOUBLE;
    hsize_t s[ARRAY_MAX_RANK + 1] = {0}, c[ARRAY_MAX_RANK + 1] = {0};
    for (int i = 0; i < a->rank; i++) {
        s[i] = (hsize_t)start[i];
        c[i] = (hsize_t)count[i];
    }
    hid_t memory = a->rank ? H5Screate_simple(a->rank, c, 0) : H5Screate(H5S_SCALAR);
    hid_t space = H5Dget_space(h->open);
    herr_t status = space < 0 || memory < 0 ? -1 : 0;
    if (status >= 0 && a->rank) status = H5Sselect_hyperslab(space, H5S_SELECT_SET, s, 0, c, 0);
    if (status >= 0) status = H5Dread(h->open, memory_type, memory, space, H5P_DEFAULT, to);
    if (status < 0) {
        char reason[ARRAY_MESSAGE];
        failure(reason);
        snprintf(message, ARRAY_MESSAGE, "%.100s: %.150s", a->name, reason);
    }
    if (space >= 0) H5Sclose(space);
    if (memory >= 0) H5Sclose(memory);
    return status < 0 ? -1 : 0;
}

const ArrayLibrary array_hdf5 = {hdf5_open, hdf5_list, hdf5_read};
