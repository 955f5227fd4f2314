/* checkpoint: a run saved in a file, so that it can be gone on with as if it had never stopped.
 *
 * A checkpoint is a stream:
 *
 *   | the records that the run has written so far | Tensor … | Checkpoint |
 *
 * The first part is the run's story. A resumed run writes it again, so its output is the one of a run that was never
 * stopped; and who reads streams can read a checkpoint: nas-stats, or nas-derive for the cell so far. The Tensors, of set
 * "checkpoint", are the blocks of the state; a block of zeros is left out, a large one comes in pieces of one name. The
 * settings of the Checkpoint record are the numbers of the state, and before them what the state belongs to: version of
 * the state, dataset, options ("--layers"), networks to train. Another run must not go on from it.
 *
 * What a run consists of is told once, by a function that visits every part; the same function saves and restores.
 */
#ifndef NAS_CHECKPOINT_H
#define NAS_CHECKPOINT_H
#include "cli/cli.h"
#include "data/dataset.h"
#include "engine/engine.h"
#include "train/settings.h"
#include "train/tally.h"

typedef struct {
    const char *path, *resume; /* "": none */
    int64_t every;             /* steps; 0: as often as costs about 1 % of the time */
} CheckpointSettings;
extern CheckpointSettings checkpoint_settings; /* of this program */
extern const CliOption checkpoint_options[];
/* A paragraph for --help. */
#define CHECKPOINT_DETAILS                                                                                             \
    "With --checkpoint the run is saved in a file, which at all times is a whole one: a new state takes the place of " \
    "the old one when it is on the disk. If it cannot be written, a warning is given and the run goes on. --resume "   \
    "goes on from there, also after kill -9: give the same input and options again, and the output is, from its "      \
    "first record on, that of a run without interruption, times aside; --threads, --memory and -o may differ. "        \
    "Another dataset, other options, networks or programs are refused. The file holds the records so far, too, so "    \
    "nas-stats and nas-derive can read it; it stays when the run is done.\n\n"

typedef struct {
    Arena memory, story; /* of what was loaded, until it is restored; of the records written so far */
    char *memory_start, *story_start;
    Settings identity;      /* what the state belongs to */
    int64_t item, diverged; /* of a program with several runs: the present one, from 0; how many failed before it */
    bool pending;           /* loaded and not yet restored */
    int64_t since;          /* steps since the last save */
    int64_t saves;
    double begun, last, cost, spent; /* clock: of the start, of the last save; seconds of a save, of all saves */
    Writer *out;                     /* where the run's records go */
    CheckpointRecord loaded;
    Record *tensor; /* those of the state */
    int64_t tensor_count;
} Checkpoint;

/* From the program's options and data. Returns 0, or why not: a path that cannot be written to. */
const char *checkpoint_open(Arena *perm, Arena scratch, const CliOption *options, const DatasetInfo *data,
                            Checkpoint *out);
/* Adds to what the state belongs to. The key is kept by pointer. */
void checkpoint_identity(Checkpoint *c, const char *key, const char *value);
/* Takes the run's output over: from now on its records are the story. With --resume, loads that file and writes its
 * story to `out`. Returns 0, or why not (what differs between that run and this one); *damaged tells exit 3 from 1. */
const char *checkpoint_begin(Checkpoint *c, Arena *perm, Writer *out, bool *damaged);
/* What the saving cost, in a note. */
void checkpoint_tell(const Checkpoint *c);
void checkpoint_close(Checkpoint *c);

/* ---- the state of a run ---- */

typedef struct {
    Checkpoint *checkpoint;
    bool saving;     /* else restoring */
    Arena scratch;   /* of the visit */
    Writer *out;     /* saving */
    Settings number; /* saving */
    bool *used;      /* restoring: per tensor */
    const char *why; /* restoring: the first thing that did not fit; sticky */
} State;
typedef void StateVisit(void *run, State *s);

void state_int(State *s, const char *key, int64_t *value);
void state_real(State *s, const char *key, double *value); /* NaN and infinity, too */
void state_block(State *s, const char *name, DType type, void *data, int64_t count);
/* Weights, statistics and moments, and those of the best epoch. */
void state_engine(State *s, Engine *e);
/* A block of the engine beside these. */
void state_engine_block(State *s, const char *name, Engine *e, Block block);
/* Rows gathered so far. */
void state_tally(State *s, const char *name, Tally *t);
void state_loader(State *s, const char *name, Loader *l);
/* Of a clock that was started at *started: the seconds that have passed. */
void state_clock(State *s, const char *key, double *started);
/* A number that the resumed run cannot choose: the batch that fits into memory. */
void state_batch(State *s, int64_t batch);

/* All of these do nothing for c = 0. */

/* To be called after every step: is it time to save? */
bool checkpoint_due(Checkpoint *c);
/* Saves: the old file stays until the new one is whole and on the disk. A failure (disk full) is a warning; the run goes
 * on, and the old file stays. */
void checkpoint_save(Checkpoint *c, Arena scratch, const char *run, int64_t epoch, int64_t step, StateVisit *visit,
                     void *of);
/* The batch of the state that is to be restored, if there is one. */
void checkpoint_batch(const Checkpoint *c, int64_t *batch);
/* True if there is a state to restore; then *why is 0 or what did not fit. */
bool checkpoint_restore(Checkpoint *c, Arena *perm, Arena scratch, StateVisit *visit, void *of, const char **why);
#endif
