/* array_netcdf: classic NetCDF (CDF-1, CDF-2, CDF-5) by libnetcdf. */
#include <fcntl.h>
#include <math.h>
#include <netcdf.h>
#include <netcdf_mem.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "data/readers/array_file.h"

static const char *reason(int status)
{
    return status > 0 ? "it ends early"
                      : nc_strerror(status); /* > 0: what the memory's driver says of a read behind it */
}

/* Opened as memory: libnetcdf takes what lies behind the end of a file for zeros, but not what lies behind memory. */
static void *netcdf_open(Arena *a, const char *path, char *message)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), *id = NEW(a, int, 1), status = NC_ENOMEM;
    struct stat st = {0};
    void *memory = MAP_FAILED;
    if (fd >= 0 && !fstat(fd, &st)) memory = mmap(0, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory != MAP_FAILED) status = nc_open_mem(path, NC_NOWRITE, (size_t)st.st_size, memory, id);
    if (status == NC_NOERR) return id;
    snprintf(message, ARRAY_MESSAGE, "cut short or damaged: %s", reason(status));
    return 0;
}

/* The numeric attribute's first `room` values; how many there are. */
static int attribute(int file, int variable, const char *name, double *to, int room)
{
    nc_type type;
    size_t length;
    double all[4];
    if (nc_inq_att(file, variable, name, &type, &length) != NC_NOERR || type == NC_CHAR || !length || length > 4)
        return 0;
    if (nc_get_att_double(file, variable, name, all) != NC_NOERR) return 0;
    int n = (int)length < room ? (int)length : room;
    memcpy(to, all, (size_t)n * sizeof *to);
    return n;
}

static bool describe(int file, int variable, ArrayInfo *a)
{
    /* NetCDF User's Guide, "Fill Values": a value never written is this; bytes have none by default */
    static const struct {
        nc_type type;
        DType travels;
        bool integer;
        double fill;
    } types[] = {
        {NC_BYTE, DTYPE_F32, true, NAN},
        {NC_UBYTE, DTYPE_U8, true, NAN},
        {NC_SHORT, DTYPE_F32, true, NC_FILL_SHORT},
        {NC_USHORT, DTYPE_F32, true, NC_FILL_USHORT},
        {NC_INT, DTYPE_F64, true, NC_FILL_INT},
        {NC_UINT, DTYPE_F64, true, NC_FILL_UINT},
        {NC_INT64, DTYPE_F64, true, -9223372036854775806.0},
        {NC_UINT64, DTYPE_F64, true, 18446744073709551614.0},
        {NC_FLOAT, DTYPE_F32, false, NC_FILL_FLOAT},
        {NC_DOUBLE, DTYPE_F64, false, NC_FILL_DOUBLE},
    };
    char name[NC_MAX_NAME + 1];
    int rank, dimension[NC_MAX_VAR_DIMS];
    nc_type type;
    if (nc_inq_var(file, variable, name, &type, &rank, dimension, 0) != NC_NOERR || rank > ARRAY_MAX_RANK) return false;
    int t = 0;
    while (t < COUNTOF(types) && types[t].type != type) t++;
    if (t == COUNTOF(types)) return false; /* text */
    *a = (ArrayInfo){.rank = rank,
                     .type = types[t].travels,
                     .integer = types[t].integer,
                     .min = -INFINITY,
                     .max = INFINITY,
                     .scale = 1};
    if (strlen(name) >= sizeof a->name) return false;
    strcpy(a->name, name);
    for (int i = 0; i < rank; i++) {
        size_t size;
        if (nc_inq_dim(file, dimension[i], name, &size) != NC_NOERR) return false;
        a->size[i] = (int64_t)size;
        snprintf(a->dimension[i], sizeof a->dimension[i], "%.63s", name);
    }
    double range[2];
    a->fills = attribute(file, variable, "_FillValue", a->fill, 1);
    if (!a->fills && !isnan(types[t].fill)) a->fill[a->fills++] = types[t].fill;
    a->fills += attribute(file, variable, "missing_value", a->fill + a->fills, ARRAY_FILLS - a->fills);
    if (attribute(file, variable, "valid_range", range, 2) == 2) a->min = range[0], a->max = range[1];
    attribute(file, variable, "valid_min", &a->min, 1);
    attribute(file, variable, "valid_max", &a->max, 1);
    attribute(file, variable, "scale_factor", &a->scale, 1);
    attribute(file, variable, "add_offset", &a->offset, 1);
    return true;
}

static int64_t netcdf_list(void *file, ArrayInfo *to, int64_t room)
{
    int id = *(int *)file, variables = 0;
    int64_t n = 0;
    if (nc_inq_nvars(id, &variables) != NC_NOERR) return 0;
    for (int v = 0; v < variables; v++) {
        ArrayInfo a;
        if (!describe(id, v, &a)) continue;
        if (n == room) return -1;
        to[n++] = a;
    }
    return n;
}

static int netcdf_read(void *file, const ArrayInfo *a, const int64_t *start, const int64_t *count, void *to,
                       char *message)
{
    int id = *(int *)file, variable;
    size_t s[ARRAY_MAX_RANK + 1] = {0}, c[ARRAY_MAX_RANK + 1] = {0};
    for (int i = 0; i < a->rank; i++) {
        s[i] = (size_t)start[i];
        c[i] = (size_t)count[i];
    }
    int status = nc_inq_varid(id, a->name, &variable);
    if (status == NC_NOERR && a->type == DTYPE_U8) status = nc_get_vara_uchar(id, variable, s, c, to);
    if (status == NC_NOERR && a->type == DTYPE_F32) status = nc_get_vara_float(id, variable, s, c, to);
    if (status == NC_NOERR && a->type == DTYPE_F64) status = nc_get_vara_double(id, variable, s, c, to);
    if (status == NC_NOERR) return 0;
    snprintf(message, ARRAY_MESSAGE, "%.150s: cut short or damaged: %s", a->name, reason(status));
    return -1;
}

const ArrayLibrary array_netcdf = {netcdf_open, netcdf_list, netcdf_read};
