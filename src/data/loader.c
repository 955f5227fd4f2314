/* loader: assembles the next batch on a thread of its own while the current one is used.
 *
 * Two slots.  The caller holds one (from loader_next until the following call), the thread fills the other.  The
 * position (epoch, index) of the next batch to assemble is the only state: a batch is a function of it and of the spec.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "data/dataset.h"

enum { AHEAD = 4 /* batches whose samples are fetched before they are needed, where they are not in memory */ };

typedef enum { SLOT_FREE, SLOT_FILLING, SLOT_READY, SLOT_HELD } SlotState;

typedef struct {
    SlotState state;
    float *x, *y, *partner, *share; /* the last two: 0 without mixup */
    int64_t n, epoch, index;
} Slot;

struct Loader {
    Arena memory; /* the whole of it: this struct lies in it */
    const Dataset *data;
    LoaderSpec spec;
    int64_t count, batches; /* samples and batches of an epoch */
    uint64_t augment_seed;
    double waited;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
    Slot slot[2];
    int fill, take;       /* slots are filled and taken in turn */
    int64_t epoch, index; /* of the next batch to assemble */
    int64_t taken;        /* the caller's alone: batches given, counted from epoch 0 */

    int64_t *order;  /* the thread's alone: the permutation of `ordered` */
    int64_t ordered; /* epoch, or -1 */
};

/* Fetches the samples of a batch of the present epoch that are not in memory. */
static void expect(const Loader *l, int64_t index)
{
    const int64_t first = index * l->spec.batch, bytes = dataset_sample_bytes(&l->data->info);
    const char *data = l->data->split[l->spec.split].data;
    for (int64_t i = first; i < first + l->spec.batch && i < l->count; i++)
        spill_expect(data + l->order[i] * bytes, bytes);
}

static void assemble(Loader *l, Slot *to)
{
    int64_t all = l->data->split[l->spec.split].count;
    if (l->ordered != to->epoch) {
        if (l->spec.shuffle)
            rng_permutation(l->spec.seed, RNG_SHUFFLE, l->spec.stream << 40 | (uint64_t)to->epoch, l->order, all);
        else if (l->ordered < 0)
            for (int64_t i = 0; i < all; i++) l->order[i] = i;
        l->ordered = to->epoch;
        for (int64_t k = to->index; l->data->spill.data && k < to->index + AHEAD; k++) expect(l, k);
    }
    if (l->data->spill.data) expect(l, to->index + AHEAD);
    int64_t first = to->index * l->spec.batch;
    to->n = l->count - first < l->spec.batch ? l->count - first : l->spec.batch;
    dataset_batch(l->data, l->spec.split, l->order + first, to->n, &l->spec.augment, l->augment_seed, to->epoch, to->x,
                  to->y);
    if (to->share)
        dataset_mix(l->data, l->spec.split, l->order + first, to->n, &l->spec.augment, l->augment_seed, to->epoch,
                    to->x, to->y, to->partner, to->share);
}

static void *work(void *context)
{
    Loader *l = context;
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        Slot *to = &l->slot[l->fill];
        if (to->state != SLOT_FREE) {
            pthread_cond_wait(&l->changed, &l->lock);
            continue;
        }
        to->state = SLOT_FILLING;
        to->epoch = l->epoch;
        to->index = l->index;
        if (++l->index == l->batches) {
            l->index = 0;
            l->epoch++;
        }
        l->fill = !l->fill;
        pthread_mutex_unlock(&l->lock);
        assemble(l, to);
        pthread_mutex_lock(&l->lock);
        to->state = SLOT_READY;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return 0;
}

Loader *loader_open(const Dataset *d, const LoaderSpec *spec, const char **why)
{
    static const char no_memory[] = "no memory for the batches: a smaller batch is needed";
    int64_t all = d->split[spec->split].count;
    int64_t count = dataset_limit(spec->limit, all);
    if (count < 1 || spec->batch < 1) {
        *why = count < 1 ? "the split has no samples" : "a batch needs at least one sample";
        return 0;
    }
    int64_t batch = spec->batch < count ? spec->batch : count; /* so an epoch has at least one batch */
    const bool mixed = spec->augment.mixup > 0;
    int64_t values = dataset_sample_values(&d->info) + d->target_width + (mixed ? d->target_width + 1 : 0);
    int64_t bytes = size_mul(size_mul(batch, values), 2 * (int64_t)sizeof(float));
    bytes = size_add(bytes, size_mul(all, (int64_t)sizeof(int64_t)));
    bytes = size_add(bytes, 1 << 16); /* the struct, alignment */
    int64_t available = memory_available();
    if (bytes < 0 || (available > 0 && bytes > available)) {
        *why = no_memory;
        return 0;
    }
    Arena whole = arena_reserve(bytes), a = whole;
    Loader *l = NEW(&a, Loader, 1);
    l->memory = whole;
    l->data = d;
    l->spec = *spec;
    l->spec.batch = batch;
    l->count = count;
    l->batches = spec->drop_last ? count / batch : (count + batch - 1) / batch;
    /* loaders of different streams draw different augmentations, too; stream 0 is that of dataset_batch */
    l->augment_seed = spec->seed ^ spec->stream * UINT64_C(0x9e3779b97f4a7c15);
    l->order = NEW(&a, int64_t, all);
    l->ordered = -1;
    for (int i = 0; i < 2; i++) {
        l->slot[i].x = arena_alloc(&a, sizeof(float), 64, batch * dataset_sample_values(&d->info));
        l->slot[i].y = arena_alloc(&a, sizeof(float), 64, batch * d->target_width);
        if (!mixed) continue;
        l->slot[i].partner = arena_alloc(&a, sizeof(float), 64, batch * d->target_width);
        l->slot[i].share = arena_alloc(&a, sizeof(float), 64, batch);
    }
    pthread_mutex_init(&l->lock, 0);
    pthread_cond_init(&l->changed, 0);
    sigset_t every, before; /* signals are for the thread that runs the search or the training */
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    int failed = pthread_create(&l->thread, 0, work, l);
    pthread_sigmask(SIG_SETMASK, &before, 0);
    if (failed) {
        arena_release(whole);
        *why = "a thread cannot be started";
        return 0;
    }
    return l;
}

Batch loader_next(Loader *l)
{
    pthread_mutex_lock(&l->lock);
    Slot *held = &l->slot[!l->take], *next = &l->slot[l->take];
    if (held->state == SLOT_HELD) {
        held->state = SLOT_FREE;
        pthread_cond_broadcast(&l->changed);
    }
    if (next->state != SLOT_READY) {
        double begin = clock_wall();
        while (next->state != SLOT_READY) pthread_cond_wait(&l->changed, &l->lock);
        l->waited += clock_wall() - begin;
    }
    next->state = SLOT_HELD;
    l->take = !l->take;
    l->taken = next->epoch * l->batches + next->index + 1;
    pthread_mutex_unlock(&l->lock);
    return (Batch){next->x, next->y,     next->partner, next->share,
                   next->n, next->epoch, next->index,   next->index == l->batches - 1};
}

void loader_seek(Loader *l, int64_t epoch, int64_t index)
{
    pthread_mutex_lock(&l->lock);
    while (l->slot[0].state == SLOT_FILLING || l->slot[1].state == SLOT_FILLING)
        pthread_cond_wait(&l->changed, &l->lock);
    l->slot[0].state = l->slot[1].state = SLOT_FREE;
    l->fill = l->take = 0;
    l->epoch = epoch + index / l->batches; /* the batch after an epoch's last is the next epoch's first */
    l->index = index % l->batches;
    l->taken = epoch * l->batches + index;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

int64_t loader_taken(const Loader *l)
{
    return l->taken;
}

int64_t loader_batches(const Loader *l)
{
    return l->batches;
}

double loader_wait(const Loader *l)
{
    return l->waited;
}

void loader_close(Loader *l)
{
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, 0);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    arena_release(l->memory);
}
