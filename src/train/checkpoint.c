/* checkpoint: see checkpoint.h. */
#include "train/checkpoint.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"

/* To be raised whenever a state of before would not be gone on with exactly: new parts, other arithmetic. */
static const char state_version[] = "2";

static const char state_set[] = "checkpoint";

enum {
    PIECE_BYTES = 16 << 20, /* of a block in one record; a record holds less than 64 MiB */
    WRITER_BYTES = 4 << 20, /* of a writer, without its records */
    LEAST_SECONDS = 10      /* between saves, unless asked otherwise */
};
static const double share = 0.01; /* of the time, for saving */

CheckpointSettings checkpoint_settings = {.path = "", .resume = ""};

const CliOption checkpoint_options[] = {
    {CLI_HEADING, 0, "Interruption"},
    {CLI_STRING, 0, "checkpoint", "FILE", &checkpoint_settings.path,
     "Save the run to FILE from time to time, and when SIGINT or SIGTERM ends it."},
    {CLI_INT, 0, "checkpoint-every", "N", &checkpoint_settings.every,
     "Save after every N steps; 0: as often as costs 1 % of the time, at most every 10 seconds.", 0, 1e12},
    {CLI_STRING, 0, "resume", "FILE", &checkpoint_settings.resume,
     "Go on from a checkpoint, with the same input and options: what is written is the same as without interruption."},
    {CLI_END},
};

#define ARENA_BYTES ((ptrdiff_t)1 << 36) /* of address space */

/* Options that change nothing in what a run computes. */
static const char *const without_effect[] = {
    "output",           "progress", "quiet",   "verbose", "threads", "help",   "version",    "man",       "completion",
    "checkpoint-every", "resume",   "dry-run", "memory",  "data",    "device", "checkpoint", "recompute", "profile"};

typedef struct {
    Arena *perm;
    Settings *list;
} OptionList;

static void add_option(void *context, const CliOption *o)
{
    const OptionList *l = context;
    for (int i = 0; i < COUNTOF(without_effect); i++)
        if (!strcmp(o->name, without_effect[i])) return;
    Text value = {0};
    text_add(l->perm, &value, "");
    cli_option_value(l->perm, &value, o);
    settings_add(l->perm, l->list, arena_printf(l->perm, "--%s", o->name), "%s", value.s);
}

/* A folder that is not there should be found now, not after hours. */
static const char *try_path(Arena *perm, Arena scratch, const char *path)
{
    struct stat s;
    if (!strcmp(path, "-") || (!stat(path, &s) && !S_ISREG(s.st_mode)))
        return arena_printf(perm, "--checkpoint %s: no regular file", path);
    Provenance self = provenance_self(&scratch, 0, 0);
    Writer *w = writer_open(&scratch, path, 0, &self);
    const char *why = writer_error(w) ? arena_printf(perm, "--checkpoint %s", writer_error(w)) : 0;
    writer_abandon(w);
    return why;
}

const char *checkpoint_open(Arena *perm, Arena scratch, const CliOption *options, const DatasetInfo *data,
                            Checkpoint *out)
{
    *out = (Checkpoint){.begun = clock_wall()};
    out->last = out->begun;
    if (*checkpoint_settings.path) {
        const char *why = try_path(perm, scratch, checkpoint_settings.path);
        if (why) return why;
    }
    out->story = arena_reserve(ARENA_BYTES);
    out->story_start = out->story.beg;
    settings_add(&out->story, &out->identity, "state", "%s", state_version);
    settings_add(&out->story, &out->identity, "dataset", "%s %016llx", data->name, (unsigned long long)data->digest);
    cli_options_visit(options, add_option, &(OptionList){&out->story, &out->identity});
    return 0;
}

void checkpoint_identity(Checkpoint *c, const char *key, const char *value)
{
    settings_add(&c->story, &c->identity, key, "%s", value);
}

void checkpoint_tell(const Checkpoint *c)
{
    if (c->saves)
        cli_note("%s: saved %lld times, %.2f s in all, %.2f %% of the time", checkpoint_settings.path,
                 (long long)c->saves, c->spent, 100 * c->spent / (clock_wall() - c->begun + 1e-9));
}

/* ---- loading ---- */

/* What the file belongs to against what this run is. */
static const char *compare(const Checkpoint *c, Arena *perm)
{
    const CheckpointRecord *r = &c->loaded;
    if (strcmp(r->program, cli_program_name()))
        return arena_printf(perm, "a checkpoint of %s, not of %s", r->program, cli_program_name());
    for (int64_t i = 0; i < c->identity.count; i++) {
        const Setting *s = &c->identity.item[i];
        const char *there = setting_get(r->settings, r->setting_count, s->key);
        if (there && !strcmp(there, s->value)) continue;
        return arena_printf(perm, "another run: %s is \"%.200s\" here, \"%.200s\" in the checkpoint", s->key, s->value,
                            there ? there : "");
    }
    return 0;
}

static bool number_of(const CheckpointRecord *r, const char *key, double *real, int64_t *whole)
{
    const char *text = setting_get(r->settings, r->setting_count, key);
    char *end = "x";
    if (text && real) *real = strtod(text, &end);
    if (text && whole) *whole = strtoll(text, &end, 10);
    return text && *text && !*end;
}

/* Reads all records: `all`, in c->memory. Returns the count, or -1 and *why. */
static int64_t read_all(Checkpoint *c, Arena *perm, Reader *in, Record **all, const char **why)
{
    int64_t count = 0, room = 0;
    for (;;) {
        Record r;
        StreamStatus status = reader_next(in, &c->memory, &r);
        if (status == STREAM_END) return count;
        if (status == STREAM_ERROR) {
            *why = arena_strdup(perm, reader_error(in));
            return -1;
        }
        GROW(&c->memory, *all, count, room);
        (*all)[count++] = r;
    }
}

static const char *load(Checkpoint *c, Arena *perm, bool *damaged)
{
    c->memory = arena_reserve(ARENA_BYTES);
    c->memory_start = c->memory.beg;
    Reader *in = reader_open(perm, checkpoint_settings.resume);
    Record *all = 0;
    const char *why = 0;
    int64_t count = read_all(c, perm, in, &all, &why), story;
    *damaged = count < 0 && reader_damaged(in);
    const char *name = reader_name(in);
    reader_close(in);
    if (why) return why;
    if (!count || all[count - 1].kind != REC_CHECKPOINT)
        return arena_printf(perm, "%s: no checkpoint: its last record is not one", name);
    c->loaded = all[count - 1].checkpoint;
    why = compare(c, perm);
    if (why) return arena_printf(perm, "%s: %s", name, why);
    if (!number_of(&c->loaded, "story", 0, &story) || !number_of(&c->loaded, "item", 0, &c->item) ||
        !number_of(&c->loaded, "diverged", 0, &c->diverged) || story < 0 || story > count - 1 || c->item < 0)
        return arena_printf(perm, "%s: its Checkpoint record is not complete", name);
    c->tensor = all + story;
    c->tensor_count = count - 1 - story;
    for (int64_t i = 0; i < c->tensor_count; i++)
        if (c->tensor[i].kind != REC_TENSOR || strcmp(c->tensor[i].tensor.set, state_set))
            return arena_printf(perm, "%s: record %lld is no part of a state", name, (long long)c->tensor[i].number);
    for (int64_t i = 0; i < story; i++) writer_pass(c->out, &all[i]);
    c->pending = true;
    return 0;
}

const char *checkpoint_begin(Checkpoint *c, Arena *perm, Writer *out, bool *damaged)
{
    *damaged = false;
    c->out = out;
    if (*checkpoint_settings.path) writer_keep(out, &c->story);
    return *checkpoint_settings.resume ? load(c, perm, damaged) : 0;
}

/* Gives back what was used of an arena: all of it is more than the sanitizer can go over. */
static void release(char **start, Arena *a)
{
    if (*start) arena_release((Arena){*start, a->beg});
    *start = 0;
    *a = (Arena){0};
}

static void release_loaded(Checkpoint *c)
{
    release(&c->memory_start, &c->memory);
    c->tensor_count = 0;
    c->pending = false;
}

void checkpoint_close(Checkpoint *c)
{
    release_loaded(c);
    release(&c->story_start, &c->story);
}

/* ---- the parts of a state ---- */

void state_int(State *s, const char *key, int64_t *value)
{
    if (s->why) return;
    if (s->saving)
        settings_add(&s->scratch, &s->number, key, "%lld", (long long)*value);
    else if (!number_of(&s->checkpoint->loaded, key, 0, value))
        s->why = arena_printf(&s->scratch, "it lacks the number %s", key);
}

void state_real(State *s, const char *key, double *value)
{
    if (s->why) return;
    if (s->saving)
        settings_add(&s->scratch, &s->number, key, "%.17g", *value);
    else if (!number_of(&s->checkpoint->loaded, key, value, 0))
        s->why = arena_printf(&s->scratch, "it lacks the number %s", key);
}

static bool all_zero(const char *p, int64_t n)
{
    return !n || (!p[0] && !memcmp(p, p + 1, (size_t)n - 1));
}

static void save_block(State *s, const char *name, DType type, const char *data, int64_t count)
{
    int64_t size = dtype_size(type), most = PIECE_BYTES / size;
    if (all_zero(data, count * size)) return;
    for (int64_t at = 0; at < count; at += most) {
        int64_t n = count - at < most ? count - at : most;
        TensorRecord t = {.run = state_set,
                          .set = state_set,
                          .name = name,
                          .shape = &n,
                          .rank = 1,
                          .dtype = type,
                          .data = data + at * size,
                          .data_bytes = n * size};
        writer_put(s->out, &(Record){.kind = REC_TENSOR, .tensor = t});
    }
}

/* How many values the pieces of a block hold; -1 if one has another type. */
static int64_t block_count(const State *s, const char *name, DType type)
{
    const Checkpoint *c = s->checkpoint;
    int64_t count = 0;
    for (int64_t i = 0; i < c->tensor_count; i++) {
        const TensorRecord *t = &c->tensor[i].tensor;
        if (strcmp(t->name, name)) continue;
        if (t->dtype != type || s->used[i]) return -1;
        count += t->data_bytes / dtype_size(type);
    }
    return count;
}

static void restore_block(State *s, const char *name, DType type, char *data, int64_t count)
{
    const Checkpoint *c = s->checkpoint;
    int64_t there = block_count(s, name, type);
    if (there && there != count) {
        s->why = arena_printf(&s->scratch, "its block %s has %lld values of another kind or number than %lld", name,
                              (long long)there, (long long)count);
        return;
    }
    if (!there && count) memset(data, 0, (size_t)(count * dtype_size(type)));
    for (int64_t i = 0; i < c->tensor_count; i++) {
        const TensorRecord *t = &c->tensor[i].tensor;
        if (strcmp(t->name, name)) continue;
        memcpy(data, t->data, (size_t)t->data_bytes);
        data += t->data_bytes;
        s->used[i] = true;
    }
}

void state_block(State *s, const char *name, DType type, void *data, int64_t count)
{
    if (s->why) return;
    if (s->saving)
        save_block(s, name, type, data, count);
    else
        restore_block(s, name, type, data, count);
}

void state_engine_block(State *s, const char *name, Engine *e, Block block)
{
    if (s->why) return;
    Arena kept = s->scratch;
    int64_t count = engine_block_count(e, block);
    float *data = NEW(&s->scratch, float, count + 1);
    if (s->saving) {
        engine_download(e, block, data);
        if ((s->why = engine_error(e))) return;
    }
    state_block(s, name, DTYPE_F32, data, count);
    if (s->why) return; /* the text is behind the block */
    if (!s->saving) engine_upload(e, block, data);
    s->scratch = kept;
}

void state_engine(State *s, Engine *e)
{
    static const struct {
        Block block;
        const char *name;
    } part[] = {{BLOCK_WEIGHTS, "weights"}, {BLOCK_MOMENT1, "moment1"}, {BLOCK_MOMENT2, "moment2"},
                {BLOCK_BEST, "best"},       {BLOCK_STATS, "stats"},     {BLOCK_STATS_BEST, "stats_best"}};
    const char *device = engine_device(e);
    int length = (int)strcspn(device, ",");
    if (s->saving) {
        settings_add(&s->scratch, &s->number, "device", "%.*s", length, device);
    } else {
        const CheckpointRecord *r = &s->checkpoint->loaded;
        const char *there = setting_get(r->settings, r->setting_count, "device");
        if (there && (strncmp(there, device, (size_t)length) || there[length]))
            cli_warn("%s: made on %s, this is %.*s: the last digits will differ", checkpoint_settings.resume, there,
                     length, device);
    }
    for (int i = 0; i < COUNTOF(part); i++) state_engine_block(s, part[i].name, e, part[i].block);
}

void state_tally(State *s, const char *name, Tally *t)
{
    state_int(s, arena_printf(&s->scratch, "%s_rows", name), &t->rows);
    if (!s->why && (t->rows < 0 || t->rows > t->room))
        s->why = arena_printf(&s->scratch, "it has gathered %lld rows of %s, of at most %lld", (long long)t->rows, name,
                              (long long)t->room);
    if (s->why) return;
    state_block(s, arena_printf(&s->scratch, "%s_logits", name), DTYPE_F32, t->logits, t->rows * t->info->outputs);
    state_block(s, arena_printf(&s->scratch, "%s_targets", name), DTYPE_F32, t->targets, t->rows * t->width);
}

void state_loader(State *s, const char *name, Loader *l)
{
    int64_t taken = loader_taken(l);
    state_int(s, arena_printf(&s->scratch, "%s_batches", name), &taken);
    if (!s->why && taken < 0) s->why = "a loader stands before its first batch";
    if (!s->why && !s->saving) loader_seek(l, 0, taken);
}

void state_clock(State *s, const char *key, double *started)
{
    double seconds = clock_wall() - *started;
    state_real(s, key, &seconds);
    if (!s->why && !s->saving) *started = clock_wall() - seconds;
}

void state_batch(State *s, int64_t batch)
{
    int64_t there = batch;
    state_int(s, "batch", &there);
    if (!s->why && there != batch)
        s->why =
            arena_printf(&s->scratch, "its batch is %lld; here is memory for %lld", (long long)there, (long long)batch);
}

/* ---- saving and restoring ---- */

bool checkpoint_due(Checkpoint *c)
{
    if (!c || !*checkpoint_settings.path) return false;
    c->since++;
    if (checkpoint_settings.every) return c->since >= checkpoint_settings.every;
    double pause = c->cost / share;
    return clock_wall() - c->last >= (pause > LEAST_SECONDS ? pause : LEAST_SECONDS);
}

void checkpoint_save(Checkpoint *c, Arena scratch, const char *run, int64_t epoch, int64_t step, StateVisit *visit,
                     void *of)
{
    if (!c || !*checkpoint_settings.path) return;
    double begun = clock_wall();
    Arena mine = {scratch.beg, scratch.beg + WRITER_BYTES}; /* the writer's, apart from the state's */
    scratch.beg = mine.end;
    Provenance self = provenance_self(&mine, 0, 0);
    State s = {.checkpoint = c,
               .saving = true,
               .scratch = scratch,
               .out = writer_open(&mine, checkpoint_settings.path, 0, &self)};
    writer_durable(s.out);
    int64_t story;
    const RecordBytes *record = writer_kept(c->out, &story);
    for (int64_t i = 0; i < story; i++)
        writer_pass(s.out, &(Record){.bytes = record[i].bytes, .byte_count = record[i].byte_count});
    for (int64_t i = 0; i < c->identity.count; i++)
        settings_add(&s.scratch, &s.number, c->identity.item[i].key, "%s", c->identity.item[i].value);
    state_int(&s, "story", &story);
    state_int(&s, "item", &c->item);
    state_int(&s, "diverged", &c->diverged);
    visit(of, &s);
    if (s.why) { /* the device has failed, which its owner will see; the last state stays */
        writer_abandon(s.out);
        return;
    }
    CheckpointRecord r = {.program = cli_program_name(),
                          .run = run,
                          .epoch = epoch,
                          .step = step,
                          .seed = cli_common.seed,
                          .settings = s.number.item,
                          .setting_count = s.number.count};
    writer_put(s.out, &(Record){.kind = REC_CHECKPOINT, .checkpoint = r});
    if (writer_finish(s.out))
        c->saves++;
    else
        cli_warn("checkpoint not saved, the run goes on: %s", writer_error(s.out));
    c->since = 0;
    c->last = clock_wall();
    c->cost = c->last - begun;
    c->spent += c->cost;
}

void checkpoint_batch(const Checkpoint *c, int64_t *batch)
{
    int64_t there;
    if (c && c->pending && number_of(&c->loaded, "batch", 0, &there) && there > 0 && there <= *batch) *batch = there;
}

bool checkpoint_restore(Checkpoint *c, Arena *perm, Arena scratch, StateVisit *visit, void *of, const char **why)
{
    *why = 0;
    if (!c || !c->pending) return false;
    State s = {.checkpoint = c, .used = NEW(&scratch, bool, c->tensor_count + 1)};
    s.scratch = scratch;
    visit(of, &s);
    for (int64_t i = 0; i < c->tensor_count && !s.why; i++)
        if (!s.used[i])
            s.why = arena_printf(&s.scratch, "its block %s is unknown to this program", c->tensor[i].tensor.name);
    if (s.why)
        *why = arena_printf(perm, "%s: %s", checkpoint_settings.resume, s.why);
    else
        cli_note("%s: going on after %lld steps", checkpoint_settings.resume, (long long)c->loaded.step);
    release_loaded(c);
    return true;
}
