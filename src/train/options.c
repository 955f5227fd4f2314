/* options: the settings of training as command-line options, shared by the programs that train. */
#include "train/trainer.h"

#include <string.h>

TrainSettings train_settings = {
    .epochs = 20,
    .optimizer = "sgd",
    .momentum = 0.9,
    .weight_decay = 3e-4,
    .clip = 5,
    .schedule = "cosine",
    .lr_drop = 0.1,
    .lr_drop_at = "",
    .accumulate = 1,
    .more = {.mask_count = 1},
    .crop = -1,
    .cutout = -1,
    .layers = 8,
    .reduce_at = "",
    .recompute = "auto",
};

const CliOption train_network_options[] = {
    {CLI_HEADING, 0, "Network"},
    {CLI_INT, 'l', "layers", "N", &train_settings.layers, "Cells of a derived network.", 1, 1000},
    {CLI_INT, 'c', "channels", "N", &train_settings.channels,
     "Channels of the first stage; 0: 16 for cells, its own for a hand-designed net.", 0, 65536},
    {CLI_STRING, 0, "reduce-at", "LIST", &train_settings.reduce_at,
     "Reduction cells, as in 2,5, counted from 0; none: no such cell; by default at one and two thirds."},
    {.kind = CLI_END},
};

const CliOption train_setting_options[] = {
    {CLI_HEADING, 0, "Training"},
    {CLI_INT, 'e', "epochs", "N", &train_settings.epochs, "Epochs.", 1, 1e6},
    {CLI_INT, 'b', "batch", "N", &train_settings.batch,
     "Samples of a batch; made smaller, aloud, if memory is short. 0: 64, or fewer of a small set, for 16 steps an epoch.",
     0, 65536},
    {CLI_INT, 0, "limit", "N", &train_settings.limit, "Train on N samples an epoch, others in every epoch; 0: on all.",
     0, 1e12},
    {CLI_INT, 0, "valid-limit", "N", &train_settings.valid_limit, "Validate on the first N samples; 0: on all.", 0,
     1e12},
    {CLI_CHOICE, 0, "optimizer", "sgd|adam|adamw", &train_settings.optimizer, "The optimiser."},
    {CLI_DOUBLE, 0, "lr", "F", &train_settings.lr, "Learning rate; 0: 0.025 for sgd, 0.001 for adam and adamw.", 0,
     1000},
    {CLI_DOUBLE, 0, "lr-min", "F", &train_settings.lr_min, "Learning rate at the end of the cosine.", 0, 1000},
    {CLI_CHOICE, 0, "schedule", schedule_names, &train_settings.schedule,
     "How the learning rate goes, step by step: cosine falls to --lr-min, step to a part of itself at some epochs, one-cycle "
     "rises for 0.3 of the run (or --warmup) and then falls to almost nothing."},
    {CLI_DOUBLE, 0, "lr-drop", "F", &train_settings.lr_drop, "Schedule step: what the rate is multiplied with.", 1e-6,
     1},
    {CLI_STRING, 0, "lr-drop-at", "LIST", &train_settings.lr_drop_at,
     "Schedule step: the epochs, as in 30,60; by default after one half and three quarters of the run."},
    {CLI_DOUBLE, 0, "warmup", "F", &train_settings.warmup, "Epochs in which the rate first rises to its height.", 0,
     1e6},
    {CLI_DOUBLE, 0, "momentum", "F", &train_settings.momentum, "Momentum of sgd, first beta of adam.", 0, 0.9999},
    {CLI_FLAG, 0, "nesterov", 0, &train_settings.nesterov, "Nesterov's momentum, for sgd."},
    {CLI_DOUBLE, 0, "weight-decay", "F", &train_settings.weight_decay, "Weight decay.", 0, 100},
    {CLI_DOUBLE, 0, "clip", "F", &train_settings.clip, "Largest norm of a gradient; 0: no limit.", 0, 1e9},
    {CLI_DOUBLE, 0, "drop-path", "F", &train_settings.drop_path,
     "Probability with which a path is dropped at the end; it rises from 0 epoch by epoch.", 0, 0.95},
    {CLI_INT, 0, "accumulate", "N", &train_settings.accumulate,
     "Change the weights after every N batches, by the mean gradient of all their samples.", 1, 4096},
    {CLI_DOUBLE, 0, "label-smoothing", "F", &train_settings.label_smoothing,
     "Spread so much of a target over all classes, or between label and none.", 0, 0.9},
    {CLI_DOUBLE, 0, "auxiliary", "F", &train_settings.auxiliary,
     "Weight of the loss of an auxiliary tower, which derived networks get for the time of training; published: 0.4.",
     0, 100},
    {CLI_DOUBLE, 0, "ema", "F", &train_settings.ema,
     "Keep a mean of the weights that forgets by so much a step, as in 0.999; it is measured on validation and written as the set mean. "
     "0: none.",
     0, 0.999999},
    {CLI_INT, 0, "patience", "N", &train_settings.patience,
     "Stop after N epochs in which validation got no better; 0: never.", 0, 1e6},
    {CLI_FLAG, 0, "no-alpha", 0, &train_settings.no_alpha,
     "Train on the train split alone, not also on the alpha split (which serves a search)."},
    {CLI_INT, 0, "memory", "MIB", &train_settings.memory, "Take at most so much memory, in MiB; 0: what is free.", 0,
     1e9},
    {CLI_CHOICE, 0, "recompute", recompute_choices, &train_settings.recompute, recompute_help},
    {CLI_HEADING, 0, "Augmentation"},
    {CLI_FLAG, 0, "no-augment", 0, &train_settings.no_augment, "None, whatever the dataset declares."},
    {CLI_FLAG, 0, "flip", 0, &train_settings.flip, "Swap left and right at random, even if not declared."},
    {CLI_INT, 0, "crop", "N", &train_settings.crop, "Random crops after padding by N; -1: as declared.", -1,
     DATASET_MAX_SIDE},
    {CLI_INT, 0, "cutout", "N", &train_settings.cutout, "Blank a square of NxN; -1: as declared.", -1,
     DATASET_MAX_SIDE},
    {CLI_DOUBLE, 0, "rotate", "DEGREES", &train_settings.more.rotate, "Turn by up to so much either way.", 0, 180},
    {CLI_DOUBLE, 0, "shift", "PIXELS", &train_settings.more.shift,
     "Move by up to so much along each axis; a series along its length.", 0, DATASET_MAX_SIDE},
    {CLI_DOUBLE, 0, "zoom", "F", &train_settings.more.zoom,
     "Enlarge by 1/F to F, as in 1.3; stretches a series along its length. 0: not at all.", 0, 16},
    {CLI_DOUBLE, 0, "jitter", "F", &train_settings.more.jitter,
     "Add normal noise of this standard deviation to the normalised values.", 0, 100},
    {CLI_INT, 0, "mask-rows", "N", &train_settings.more.mask_rows,
     "Blank a band of up to N rows: of frequencies, in a spectrogram.", 0, DATASET_MAX_SIDE},
    {CLI_INT, 0, "mask-columns", "N", &train_settings.more.mask_columns,
     "Blank a band of up to N columns: of times, in a spectrogram or series.", 0, DATASET_MAX_SIDE},
    {CLI_INT, 0, "masks", "N", &train_settings.more.mask_count, "So many bands of each kind.", 1, AUGMENT_MOST_MASKS},
    {CLI_DOUBLE, 0, "mixup", "F", &train_settings.more.mixup,
     "Mix pairs of samples, the parts being of Beta(F, F), as in 0.2; measures of the train split are then of mixtures.",
     0, 4},
    {.kind = CLI_END},
};

const char *train_settings_check(Arena *perm, const TrainSettings *s)
{
    if (s->nesterov && (strcmp(s->optimizer, "sgd") || s->momentum <= 0))
        return "--nesterov: needs --optimizer sgd with a momentum";
    if (s->warmup > (double)s->epochs)
        return arena_printf(perm, "--warmup %g: longer than the %lld epochs", s->warmup, (long long)s->epochs);
    const Augment *m = &s->more;
    bool masks = m->mask_rows > 0 || m->mask_columns > 0;
    if (s->no_augment && (s->flip || s->crop > 0 || s->cutout > 0 || m->rotate > 0 || m->shift > 0 || m->zoom > 0 ||
                          m->jitter > 0 || masks || m->mixup > 0))
        return "--no-augment excludes --flip, --crop, --cutout, --rotate, --shift, --zoom, --jitter, --mask-rows, "
               "--mask-columns and --mixup";
    if (m->mask_count > 1 && !masks) return "--masks: how wide? it needs --mask-rows or --mask-columns";
    if (m->zoom > 0 && m->zoom < 1) return arena_printf(perm, "--zoom %g: 1 or more", m->zoom);
    if (m->mixup > 0 && m->mixup < 0.01) return arena_printf(perm, "--mixup %g: 0.01 or more, or 0", m->mixup);
    double drop_at[SCHEDULE_MOST_DROPS];
    int64_t drops;
    const char *list = epochs_parse(perm, s->lr_drop_at, (double)s->epochs, drop_at, COUNTOF(drop_at), &drops);
    if (list) return arena_printf(perm, "--lr-drop-at: %s", list);
    if (drops && strcmp(s->schedule, "step")) return "--lr-drop-at: needs --schedule step";
    int64_t at[8], count;
    const char *why = reduce_parse(perm, s->reduce_at, s->layers, at, COUNTOF(at), &count);
    return why ? arena_printf(perm, "--reduce-at: %s", why) : 0;
}

const char *train_settings_misfit(Arena *perm, const TrainSettings *s, const DatasetInfo *d)
{
    const LossKind loss = task_find(d->task)->loss;
    if (s->label_smoothing > 0 && loss != LOSS_CROSS_ENTROPY && loss != LOSS_BINARY)
        return arena_printf(perm, "--label-smoothing: the targets of %s are no classes or labels", d->task);
    if (d->height == 1 && s->more.rotate > 0) return "--rotate: the samples are series";
    if (d->height == 1 && s->more.mask_rows > 0) return "--mask-rows: the samples are series, of one row";
    if (s->patience && !d->split_count[SPLIT_VALID])
        return "--patience: needs a validation split, and that of this dataset is empty";
    return 0;
}
