/* npz: see npz.h. */
#include "exchange/npz.h"

#include <string.h>
#include <zip.h>

enum { DEFLATE_RATIO = 1032 }; /* deflate packs no tighter */
static const char ending[] = ".npy";

/* ---- reading ---- */

static const char *zip_reason(Arena *perm, int code)
{
    zip_error_t e;
    zip_error_init_with_code(&e, code);
    const char *why = arena_strdup(perm, zip_error_strerror(&e));
    zip_error_fini(&e);
    return why;
}

/* The bytes of member i, all of them, its checksum compared. */
static const char *read_bytes(Arena *perm, zip_t *zip, const zip_stat_t *st, char **bytes)
{
    zip_file_t *f = zip_fopen_index(zip, st->index, 0);
    if (!f) return arena_strdup(perm, zip_strerror(zip));
    *bytes = NEW(perm, char, st->size + 1);
    zip_uint64_t got = 0;
    const char *why = 0;
    for (zip_int64_t n = 1; n > 0; got += (zip_uint64_t)(n > 0 ? n : 0)) { /* the read that finds the end compares */
        n = zip_fread(f, *bytes + got, st->size + 1 - got);
        if (n < 0) why = arena_strdup(perm, zip_file_strerror(f));
        if (got + (zip_uint64_t)(n > 0 ? n : 0) > st->size) n = 0;
    }
    if (!why && got != st->size) why = "cut short";
    zip_fclose(f);
    return why;
}

static const char *read_member(Arena *perm, zip_t *zip, const zip_stat_t *st, int64_t most, NpzArray *a)
{
    if (!(st->valid & ZIP_STAT_SIZE) || !(st->valid & ZIP_STAT_COMP_SIZE) || st->size > INT64_MAX / 16 ||
        st->size / DEFLATE_RATIO > st->comp_size)
        return "its size is absurd";
    if ((int64_t)st->size > most)
        return arena_printf(perm, "%lld bytes, where %lld would be many", (long long)st->size, (long long)most);
    char *bytes = 0;
    const char *why = read_bytes(perm, zip, st, &bytes);
    if (!why) why = npy_parse(perm, bytes, (int64_t)st->size, &a->head);
    if (why) return why;
    int64_t needed = size_mul(a->head.count, a->head.size);
    if (needed < 0 || needed != (int64_t)st->size - a->head.start) return "its length is not that of its shape";
    float *to = NEW(perm, float, a->head.count);
    for (int64_t i = 0; i < a->head.count; i++) to[i] = (float)npy_real(&a->head, bytes + a->head.start, i);
    a->data = to;
    return 0;
}

const char *npz_read(Arena *perm, const char *path, int64_t most, NpzArray **out, int64_t *count)
{
    int code = 0;
    zip_t *zip = zip_open(path, ZIP_RDONLY, &code);
    if (!zip) return arena_printf(perm, "%s: %s", path, zip_reason(perm, code));
    *count = zip_get_num_entries(zip, 0);
    const char *why = *count > NPZ_MAX_MEMBERS ? arena_printf(perm, "%s: %lld arrays", path, (long long)*count) : 0;
    if (!why) *out = NEW(perm, NpzArray, *count);
    for (int64_t i = 0; i < *count && !why; i++) {
        zip_stat_t st;
        NpzArray *a = &(*out)[i];
        if (zip_stat_index(zip, (zip_uint64_t)i, 0, &st) || !(st.valid & ZIP_STAT_NAME)) {
            why = arena_printf(perm, "%s: member %lld: %s", path, (long long)i + 1, zip_strerror(zip));
            break;
        }
        int64_t n = (int64_t)strlen(st.name), k = (int64_t)strlen(ending);
        bool array = n > k && !strcmp(st.name + n - k, ending);
        a->name = arena_strndup(perm, st.name, array ? n - k : n);
        why = array ? read_member(perm, zip, &st, most, a) : "no NumPy array";
        most -= why ? 0 : (int64_t)st.size;
        if (why) why = arena_printf(perm, "%s: %s: %s", path, a->name, why);
    }
    zip_discard(zip);
    return why;
}

/* ---- writing ---- */

static const char *add_member(Arena *perm, zip_t *zip, const NpzArray *a)
{
    int64_t bytes = a->head.count * (int64_t)sizeof(float);
    char *file = NEW(perm, char, NPY_HEAD + bytes);
    npy_head(file, a->head.shape, a->head.rank);
    if (bytes) memcpy(file + NPY_HEAD, a->data, (size_t)bytes);
    zip_source_t *from = zip_source_buffer(zip, file, (zip_uint64_t)(NPY_HEAD + bytes), 0);
    if (!from) return zip_strerror(zip);
    zip_int64_t i = zip_file_add(zip, arena_printf(perm, "%s%s", a->name, ending), from, ZIP_FL_ENC_UTF_8);
    if (i < 0) {
        zip_source_free(from);
        return zip_strerror(zip);
    }
    if (zip_set_file_compression(zip, (zip_uint64_t)i, ZIP_CM_STORE, 0) ||
        zip_file_set_dostime(zip, (zip_uint64_t)i, 0, 1 << 5 | 1, 0)) /* 1980-01-01: the same bytes at any time */
        return zip_strerror(zip);
    return 0;
}

const char *npz_pack(Arena *perm, const NpzArray *arrays, int64_t count, const void **bytes, int64_t *size)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *to = zip_source_buffer_create(0, 0, 0, &error);
    zip_t *zip = to ? zip_open_from_source(to, ZIP_TRUNCATE, &error) : 0;
    const char *why = zip ? 0 : arena_strdup(perm, zip_error_strerror(&error));
    zip_error_fini(&error);
    if (!zip) {
        zip_source_free(to);
        return why;
    }
    zip_source_keep(to); /* beyond zip_close */
    for (int64_t i = 0; i < count && !why; i++) why = add_member(perm, zip, &arrays[i]);
    if (why) why = arena_strdup(perm, why);
    if (!why && zip_close(zip)) why = arena_strdup(perm, zip_strerror(zip));
    if (why) zip_discard(zip);
    zip_stat_t st;
    if (!why && (zip_source_open(to) || zip_source_stat(to, &st) || !(st.valid & ZIP_STAT_SIZE)))
        why = "its archive cannot be read again";
    if (!why) {
        char *all = NEW(perm, char, st.size);
        *bytes = all;
        *size = (int64_t)st.size;
        if (zip_source_read(to, all, st.size) != (zip_int64_t)st.size) why = "its archive cannot be read again";
        zip_source_close(to);
    }
    zip_source_free(to);
    return why;
}
