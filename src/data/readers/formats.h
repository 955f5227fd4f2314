/* formats: what each file of this folder gives to the table in data/reader.c. */
#ifndef NAS_FORMATS_H
#define NAS_FORMATS_H
#include "data/reader.h"

int arrays_probe(const char *path, const unsigned char *head, int64_t head_bytes);
const char *arrays_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                        Dataset *out);

int audio_probe(const char *path, const unsigned char *head, int64_t head_bytes);
const char *audio_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                       Dataset *out);

int cifar_probe(const char *path, const unsigned char *head, int64_t head_bytes);
const char *cifar_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                       Dataset *out);

int csv_rows_probe(const char *path, const unsigned char *head, int64_t head_bytes);
const char *csv_rows_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                          Dataset *out);

int idx_probe(const char *path, const unsigned char *head, int64_t head_bytes);
const char *idx_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                     Dataset *out);

int images_probe(const char *path, const unsigned char *head, int64_t head_bytes);
const char *images_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                        Dataset *out);

int kirigami_probe(const char *path, const unsigned char *head, int64_t head_bytes);
const char *kirigami_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                          Dataset *out);

int lightcurves_probe(const char *path, const unsigned char *head, int64_t head_bytes);
const char *lightcurves_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                             Dataset *out);

int npy_arrays_probe(const char *path, const unsigned char *head, int64_t head_bytes);
const char *npy_arrays_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                            Dataset *out);

int structural_probe(const char *path, const unsigned char *head, int64_t head_bytes);
const char *structural_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                            Dataset *out);

int synthetic_probe(const char *path, const unsigned char *head, int64_t head_bytes);
const char *synthetic_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                           Dataset *out);

int ucr_probe(const char *path, const unsigned char *head, int64_t head_bytes);
const char *ucr_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                     Dataset *out);
#endif
