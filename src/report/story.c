/* story: the records of all files as one story, each record once.
 *
 * The streams of a pipeline share their beginnings, since a filter passes on what it read: a record whose bytes are in
 * the story already is counted as repeated and left out.  Training epochs are gathered into runs and search epochs into
 * searches; an epoch number that does not grow begins another run of the same name.
 */
#include <string.h>

#include "report/parts.h"

Story *story_new(Arena *perm)
{
    Story *s = NEW(perm, Story, 1);
    s->perm = perm;
    return s;
}

enum { HASH_EDGE = 4096 }; /* of a large record, only so many bytes at either end are hashed */

uint64_t hash_bytes(uint64_t h, const void *bytes, int64_t n)
{
    const unsigned char *p = bytes;
    for (int64_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u; /* FNV-1a */
    return h;
}

static uint64_t record_hash(const Record *r)
{
    uint64_t h = hash_bytes(HASH_START, &r->byte_count, sizeof r->byte_count);
    const char *bytes = r->bytes;
    if (r->byte_count <= 2 * HASH_EDGE) return hash_bytes(h, bytes, r->byte_count) | 1;
    h = hash_bytes(h, bytes, HASH_EDGE);
    return hash_bytes(h, bytes + r->byte_count - HASH_EDGE, HASH_EDGE) | 1; /* 0 marks a free slot */
}

static bool set_insert(uint64_t *set, int64_t room, uint64_t hash)
{
    for (uint64_t i = hash >> 1;; i++) {
        uint64_t *slot = &set[i & (uint64_t)(room - 1)];
        if (*slot == hash) return false;
        if (*slot) continue;
        *slot = hash;
        return true;
    }
}

static bool is_new(Story *s, uint64_t hash)
{
    if (2 * s->seen_count >= s->seen_room) {
        int64_t room = s->seen_room ? 2 * s->seen_room : 256;
        uint64_t *set = NEW(s->perm, uint64_t, room);
        for (int64_t i = 0; i < s->seen_room; i++) {
            if (s->seen[i]) set_insert(set, room, s->seen[i]);
        }
        s->seen = set;
        s->seen_room = room;
    }
    if (!set_insert(s->seen, s->seen_room, hash)) return false;
    s->seen_count++;
    return true;
}

static const char *file_own(Story *s, const char *file)
{
    for (int64_t i = 0; i < s->file_count; i++) {
        if (!strcmp(s->file[i], file)) return s->file[i];
    }
    GROW(s->perm, s->file, s->file_count, s->file_room);
    return s->file[s->file_count++] = arena_strdup(s->perm, file);
}

/* A bulk record keeps its numbers and its few short strings; the rest of its memory can go. */
static Record without_bulk(Arena *perm, const Record *r, bool keep_designs)
{
    Record kept = *r;
    kept.bytes = 0;
    if (r->kind == REC_SAMPLES) {
        kept.samples.data = 0;
        kept.samples.targets = 0;
        kept.samples.ids = 0;
        kept.samples.groups = 0;
    } else if (r->kind == REC_TENSOR) {
        const TensorRecord *t = &r->tensor;
        kept.tensor.run = arena_strdup(perm, t->run);
        kept.tensor.set = arena_strdup(perm, t->set);
        kept.tensor.name = arena_strdup(perm, t->name);
        kept.tensor.shape = t->rank ? NEW(perm, int64_t, t->rank) : 0;
        for (int64_t i = 0; i < t->rank; i++) kept.tensor.shape[i] = t->shape[i];
        kept.tensor.data = 0;
        if (keep_designs && t->data && !strcmp(t->name, "density")) {
            void *data = arena_alloc(perm, 1, _Alignof(double), t->data_bytes);
            kept.tensor.data = memcpy(data, t->data, (size_t)t->data_bytes);
        }
    } else if (r->kind == REC_PREDICTIONS) {
        kept.predictions.run = arena_strdup(perm, r->predictions.run);
        kept.predictions.split = arena_strdup(perm, r->predictions.split);
        kept.predictions.dataset = arena_strdup(perm, r->predictions.dataset);
        kept.predictions.values = 0;
        kept.predictions.targets = 0;
        kept.predictions.ids = 0;
        kept.predictions.output_names = 0;
    }
    return kept;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Names a run apart from earlier ones: by its file if that differs, else by a number. */
static const char *run_label(const Story *s, const char *name, const char *file)
{
    if (!name[0]) name = "unnamed";
    int64_t same = 0;
    bool same_file = false;
    for (int64_t i = 0; i < s->run_count; i++) {
        if (strcmp(s->run[i].name[0] ? s->run[i].name : "unnamed", name)) continue;
        same++;
        same_file |= s->run[i].file == file;
    }
    if (!same) return name;
    if (!same_file) return arena_printf(s->perm, "%s (%s)", name, base_name(file));
    return arena_printf(s->perm, "%s #%lld", name, (long long)same + 1);
}

static void add_train_epoch(Story *s, const char *file, const TrainEpoch *e, const NetworkRecord *network)
{
    StoryRun *run = 0;
    for (int64_t i = s->run_count; i-- && !run;) {
        if (!strcmp(s->run[i].name, e->run)) run = &s->run[i];
    }
    if (!run || run->epoch[run->count - 1]->epoch >= e->epoch) {
        GROW(s->perm, s->run, s->run_count, s->run_room);
        const char *label = run_label(s, e->run, file);
        run = &s->run[s->run_count++];
        *run = (StoryRun){.name = e->run, .label = label, .file = file};
    }
    if (network && !strcmp(network->run, e->run)) run->network = network;
    GROW(s->perm, run->epoch, run->count, run->room);
    run->epoch[run->count++] = e;
}

static void add_search_epoch(Story *s, const char *file, const SearchEpoch *e, const SearchSpace *space)
{
    StorySearch *last = s->search_count ? &s->search[s->search_count - 1] : 0;
    if (!last || last->space != space || last->epoch[last->count - 1]->epoch >= e->epoch) {
        GROW(s->perm, s->search, s->search_count, s->search_room);
        const char *name = space && space->strategy[0] ? space->strategy : "search";
        int64_t number = s->search_count + 1;
        last = &s->search[s->search_count++];
        *last = (StorySearch){.file = file, .space = space};
        last->label = number == 1 ? name : arena_printf(s->perm, "%s #%lld", name, (long long)number);
    }
    GROW(s->perm, last->epoch, last->count, last->room);
    last->epoch[last->count++] = e;
}

bool story_add(Story *s, const char *file, const Record *r)
{
    if (r->bytes && !is_new(s, record_hash(r))) {
        s->repeated++;
        return false;
    }
    file = file_own(s, file);
    GROW(s->perm, s->item, s->count, s->room);
    s->item[s->count++] = (StoryItem){file, without_bulk(s->perm, r, s->keep_designs)};
    return r->kind != REC_SAMPLES && r->kind != REC_TENSOR && r->kind != REC_PREDICTIONS && r->kind != REC_UNKNOWN;
}

static bool same_step(const Provenance *a, const Provenance *b)
{
    return !strcmp(a->program, b->program) && !strcmp(a->command, b->command) && !strcmp(a->host, b->host) &&
           !memcmp(&a->unix_time, &b->unix_time, sizeof a->unix_time);
}

void story_end_file(Story *s, const char *file, const Provenance *p, int64_t count)
{
    file_own(s, file);
    for (int64_t i = 0; i < count; i++) {
        bool known = false;
        for (int64_t k = 0; k < s->step_count && !known; k++) known = same_step(s->step[k], &p[i]);
        if (known) continue;
        GROW(s->perm, s->step, s->step_count, s->step_room);
        s->step[s->step_count++] = &p[i];
    }
}

void story_finish(Story *s)
{
    const SearchSpace *space = 0;
    const NetworkRecord *network = 0; /* the latest, maybe of an earlier file: a repeated one is left out */
    for (int64_t i = 0; i < s->count; i++) {
        const StoryItem *item = &s->item[i];
        if (item->r.kind == REC_SPACE) space = &item->r.space;
        if (item->r.kind == REC_NETWORK) network = &item->r.network;
        if (item->r.kind == REC_SEARCH_EPOCH) add_search_epoch(s, item->file, &item->r.search_epoch, space);
        if (item->r.kind == REC_TRAIN_EPOCH) add_train_epoch(s, item->file, &item->r.train_epoch, network);
    }
}

const NetworkRecord *story_network(const Story *s, const StoryItem *evaluation)
{
    const Evaluation *e = &evaluation->r.evaluation;
    const NetworkRecord *anywhere = 0, *before = 0;
    for (const StoryItem *x = s->item; x < s->item + s->count; x++) {
        const NetworkRecord *n = &x->r.network;
        if (x->r.kind != REC_NETWORK || strcmp(n->run, e->run) || strcmp(n->genotype, e->genotype)) continue;
        if (e->parameters && n->parameters && e->parameters != n->parameters) continue;
        anywhere = n;
        if (x->file == evaluation->file && x < evaluation) before = n;
    }
    return before ? before : anywhere;
}
