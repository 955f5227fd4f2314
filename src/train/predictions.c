/* predictions: as records and as CSV. */
#include "train/predictions.h"

#include <string.h>

#include "base/npy.h"

void predictions_make(Tally *t)
{
    task_predict(t->info, t->logits, t->rows);
}

void predictions_put(Writer *out, const Tally *t, const char *run, Split split, const int64_t *ids)
{
    enum { RECORD_BYTES = 1 << 20 };
    int64_t columns = t->info->outputs, each = (columns + t->width) * (int64_t)sizeof(float) + 8;
    int64_t step = RECORD_BYTES / each > 1 ? RECORD_BYTES / each : 1;
    for (int64_t first = 0; first < t->rows; first += step) {
        Predictions p = {.run = run,
                         .split = split_name[split],
                         .dataset = t->info->name,
                         .first = first,
                         .rows = t->rows - first < step ? t->rows - first : step,
                         .columns = columns,
                         .values = t->logits + first * columns,
                         .targets = t->targets + first * t->width,
                         .target_width = t->width,
                         .ids = ids ? ids + first : 0,
                         .output_names = t->info->output_names};
        writer_put(out, &(Record){.kind = REC_PREDICTIONS, .predictions = p});
    }
}

/* A field that could be taken for more than one is quoted, RFC 4180. */
static void csv_text(FILE *f, const char *s)
{
    if (!s[strcspn(s, ",\"\r\n")]) {
        fputs(s, f);
        return;
    }
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"') fputc('"', f);
        fputc(*s, f);
    }
    fputc('"', f);
}

static void csv_name(FILE *f, const char *prefix, const DatasetInfo *d, int64_t k)
{
    char text[320];
    if (d->output_names)
        snprintf(text, sizeof text, "%s_%s", prefix, d->output_names[k]);
    else
        snprintf(text, sizeof text, "%s_%lld", prefix, (long long)k);
    fputc(',', f);
    csv_text(f, text);
}

static int64_t largest(const float *z, int64_t n)
{
    int64_t best = 0;
    for (int64_t k = 1; k < n; k++)
        if (z[k] > z[best]) best = k;
    return best;
}

void predictions_csv(FILE *f, const Tally *t, const char *run, const int64_t *ids, bool head)
{
    const DatasetInfo *d = t->info;
    bool classes = t->task->loss == LOSS_CROSS_ENTROPY;
    if (head) {
        fputs(classes ? "run,id,target,predicted" : "run,id", f);
        for (int64_t k = 0; !classes && k < t->width; k++) csv_name(f, "target", d, k);
        const char *said = classes || t->task->loss == LOSS_BINARY ? "p" : "predicted";
        for (int64_t k = 0; k < d->outputs; k++) csv_name(f, said, d, k);
        fputc('\n', f);
    }
    for (int64_t r = 0; r < t->rows; r++) {
        const float *z = t->logits + r * d->outputs, *y = t->targets + r * t->width;
        csv_text(f, run);
        fprintf(f, ",%lld", (long long)(ids ? ids[r] : r));
        for (int64_t k = 0; k < t->width; k++) fprintf(f, ",%.9g", (double)y[k]);
        if (classes) fprintf(f, ",%lld", (long long)largest(z, d->outputs));
        for (int64_t k = 0; k < d->outputs; k++) fprintf(f, ",%.9g", (double)z[k]);
        fputc('\n', f);
    }
}

void predictions_npy_head(FILE *f, int64_t networks, int64_t rows, int64_t columns)
{
    char head[NPY_HEAD];
    npy_head(head, (int64_t[3]){networks, rows, columns}, 3);
    fwrite(head, 1, sizeof head, f);
}

void predictions_npy(FILE *f, const Tally *t)
{
    fwrite(t->logits, sizeof(float), (size_t)(t->rows * t->info->outputs), f);
}
