/* options: the settings of training as command-line options, shared by the programs that train. */
#include "train/trainer.h"

#include <string.h>

TrainSettings train_settings = {
    .epochs = 20,
    .batch = 64,
    .optimizer = "sgd",
    .momentum = 0.9,
    .weight_decay = 3e-4,
    .clip = 5,
    .schedule = "cosine",
    .crop = -1,
    .cutout = -1,
    .layers = 8,
    .reduce_at = "",
    .recompute = "auto",
};

const CliOption train_setting_options[] = {
    {CLI_HEADING, 0, "Network"},
    {CLI_INT, 'l', "layers", "N", &train_settings.layers, "Cells of a derived network.", 1, 1000},
    {CLI_INT, 'c', "channels", "N", &train_settings.channels,
     "Channels of the first stage; 0: 16 for cells, its own for a hand-designed net.", 0, 65536},
    {CLI_STRING, 0, "reduce-at", "LIST", &train_settings.reduce_at,
     "Reduction cells, as in 2,5, counted from 0; none: no such cell; by default at one and two thirds."},
    {CLI_HEADING, 0, "Training"},
    {CLI_INT, 'e', "epochs", "N", &train_settings.epochs, "Epochs.", 1, 1e6},
    {CLI_INT, 'b', "batch", "N", &train_settings.batch, "Samples of a batch; made smaller, aloud, if memory is short.",
     1, 65536},
    {CLI_INT, 0, "limit", "N", &train_settings.limit, "Train on N samples an epoch, others in every epoch; 0: on all.",
     0, 1e12},
    {CLI_INT, 0, "valid-limit", "N", &train_settings.valid_limit, "Validate on the first N samples; 0: on all.", 0,
     1e12},
    {CLI_CHOICE, 0, "optimizer", "sgd|adam|adamw", &train_settings.optimizer, "The optimiser."},
    {CLI_DOUBLE, 0, "lr", "F", &train_settings.lr, "Learning rate; 0: 0.025 for sgd, 0.001 for adam and adamw.", 0,
     1000},
    {CLI_DOUBLE, 0, "lr-min", "F", &train_settings.lr_min, "Learning rate at the end of the cosine.", 0, 1000},
    {CLI_CHOICE, 0, "schedule", schedule_names, &train_settings.schedule, "How the learning rate falls, step by step."},
    {CLI_DOUBLE, 0, "warmup", "F", &train_settings.warmup, "Epochs in which the rate first rises to its height.", 0,
     1e6},
    {CLI_DOUBLE, 0, "momentum", "F", &train_settings.momentum, "Momentum of sgd, first beta of adam.", 0, 0.9999},
    {CLI_FLAG, 0, "nesterov", 0, &train_settings.nesterov, "Nesterov's momentum, for sgd."},
    {CLI_DOUBLE, 0, "weight-decay", "F", &train_settings.weight_decay, "Weight decay.", 0, 100},
    {CLI_DOUBLE, 0, "clip", "F", &train_settings.clip, "Largest norm of a gradient; 0: no limit.", 0, 1e9},
    {CLI_DOUBLE, 0, "drop-path", "F", &train_settings.drop_path,
     "Probability with which a path is dropped at the end; it rises from 0 epoch by epoch.", 0, 0.95},
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
    {.kind = CLI_END},
};

const char *train_settings_check(Arena *perm, const TrainSettings *s)
{
    if (s->nesterov && (strcmp(s->optimizer, "sgd") || s->momentum <= 0))
        return "--nesterov: needs --optimizer sgd with a momentum";
    if (s->warmup > (double)s->epochs)
        return arena_printf(perm, "--warmup %g: longer than the %lld epochs", s->warmup, (long long)s->epochs);
    if (s->no_augment && (s->flip || s->crop > 0 || s->cutout > 0))
        return "--no-augment excludes --flip, --crop and --cutout";
    int64_t at[8], count;
    const char *why = reduce_parse(perm, s->reduce_at, s->layers, at, COUNTOF(at), &count);
    return why ? arena_printf(perm, "--reduce-at: %s", why) : 0;
}
