/* Checkpoints: every strategy goes on from every step with the same records; what a state must refuse. */
#include <stdlib.h>
#include <unistd.h>

#include "base/rng.h"
#include "check.h"
#include "search/bilevel.h"

static Arena perm, scratch;
static char dir[] = "/tmp/nas-test-checkpoint-XXXXXX";
static const CliOption no_options[] = {{CLI_END}};

static Dataset small_data(void)
{
    static double mean[1] = {0}, sd[1] = {1};
    Dataset d = {.target_width = 1,
                 .info = {.name = "small",
                          .source = "",
                          .task = "classification",
                          .metric = "",
                          .tree = "",
                          .channels = 1,
                          .height = 5,
                          .width = 6,
                          .outputs = 3,
                          .dtype = DTYPE_F32,
                          .mean = mean,
                          .sd = sd,
                          .digest = 7}};
    for (int s = 0; s < SPLIT_COUNT; s++) {
        int64_t n = 11 - s;
        float *x = NEW(&perm, float, 30 * n), *y = NEW(&perm, float, n);
        for (int64_t i = 0; i < 30 * n; i++) x[i] = (float)rng_normal(1, RNG_TEST, (uint64_t)(1000 * s + i));
        for (int64_t i = 0; i < n; i++) y[i] = (float)(i % 3);
        d.split[s] = (SplitData){.count = n, .data = x, .targets = y};
        d.info.split_count[s] = n;
    }
    return d;
}

static SearchSettings settings(const char *strategy)
{
    return (SearchSettings){.strategy = {.name = strategy, .warmup = 1, .lr = 0.1},
                            .ops = "none,skip_connect,sep_conv_3x3",
                            .reduce_at = "1",
                            .nodes = 2,
                            .inputs = 2,
                            .layers = 2,
                            .channels = 4,
                            .batch = 4,
                            .epochs = 3,
                            .lr = 0.1,
                            .lr_min = 0.01,
                            .momentum = 0.9,
                            .weight_decay = 1e-3,
                            .clip = 5,
                            .alpha_beta1 = 0.5,
                            .alpha_beta2 = 0.999};
}

/* A whole search into `path`. Returns 0, or why it could not be begun. */
static const char *search(const Dataset *d, const SearchSettings *s, const char *path)
{
    Arena mine = perm, once = scratch;
    Provenance self = {.program = "test", .version = "", .command = "", .host = ""};
    Writer *out = writer_open(&mine, path, 0, &self);
    Workplace place;
    Checkpoint c;
    Search run;
    bool damaged;
    const char *why = workplace_open(&mine, &place, d, out);
    if (!why) why = checkpoint_open(&mine, once, no_options, &d->info, &c);
    if (!CHECK_MSG(!why, "%s", why)) return why;
    why = checkpoint_begin(&c, &mine, out, &damaged);
    place.checkpoint = &c;
    if (!why) why = search_open(&mine, once, &place, s, true, &run);
    if (!why) {
        CHECK_EQ(search_run(&run, once), SEARCH_DONE);
        search_write_weights(&run, once);
        CHECK(writer_finish(out));
        search_close(&run);
    } else {
        writer_abandon(out);
        why = arena_strdup(&scratch, why);
    }
    checkpoint_close(&c);
    workplace_close(&place);
    return why;
}

/* The next record of a stream, without the time that it took. */
static StreamStatus next_record(Reader *in, Arena *once, Record *r)
{
    StreamStatus s = reader_next(in, once, r);
    if (s == STREAM_RECORD && r->kind == REC_SEARCH_EPOCH) {
        r->search_epoch.seconds = 0;
        Provenance self = {.program = "", .version = "", .command = "", .host = ""};
        const char *path = arena_printf(once, "%s/epoch.nas", dir);
        Writer *w = writer_open(once, path, 0, &self);
        writer_keep(w, once);
        writer_put(w, r);
        int64_t n;
        const RecordBytes *kept = writer_kept(w, &n);
        r->bytes = kept[0].bytes;
        r->byte_count = kept[0].byte_count;
        writer_abandon(w);
    }
    return s;
}

static void check_equal(const char *a, const char *b, const char *what)
{
    Arena mine = perm;
    Reader *x = reader_open(&mine, a), *y = reader_open(&mine, b);
    for (;;) {
        Arena once = scratch;
        Record p, q;
        StreamStatus s = next_record(x, &once, &p), t = next_record(y, &once, &q);
        if (!CHECK_MSG(s == t, "%s: one stream ends before the other", what) || s != STREAM_RECORD) break;
        if (!CHECK_MSG(p.byte_count == q.byte_count && !memcmp(p.bytes, q.bytes, (size_t)p.byte_count),
                       "%s: record %lld differs", what, (long long)p.number))
            break;
    }
    CHECK(!reader_error(x) && !reader_error(y));
    reader_close(x);
    reader_close(y);
}

static void test_strategies(void)
{
    Dataset d = small_data();
    const char *whole = arena_printf(&perm, "%s/whole.nas", dir), *out = arena_printf(&perm, "%s/out.nas", dir),
               *saved = arena_printf(&perm, "%s/saved.nas", dir);
    for (int64_t i = 0; i < strategy_count; i++) {
        SearchSettings s = settings(strategy_table[i].name);
        checkpoint_settings = (CheckpointSettings){.path = "", .resume = ""};
        cli_common.threads = 1;
        CHECK_STR(search(&d, &s, whole), 0);
        for (int64_t every = 4; every <= 7; every++) { /* of 9 steps: the last save is after 8, 5, 6, 7 */
            checkpoint_settings = (CheckpointSettings){.path = saved, .resume = "", .every = every};
            CHECK_STR(search(&d, &s, out), 0);
            checkpoint_settings = (CheckpointSettings){.path = "", .resume = saved};
            cli_common.threads = 2;
            CHECK_STR(search(&d, &s, out), 0);
            check_equal(whole, out, arena_printf(&scratch, "%s, saved every %lld", s.strategy.name, (long long)every));
        }
    }
}

/* Rewrites a checkpoint with another value of a number, or without the tensor of a name. */
static void change(const char *from, const char *to, const char *key, const char *value, const char *without)
{
    Arena mine = perm;
    Reader *in = reader_open(&mine, from);
    Provenance self = {.program = "test", .version = "", .command = "", .host = ""};
    Writer *out = writer_open(&mine, to, 0, &self);
    Record r;
    while (reader_next(in, &mine, &r) == STREAM_RECORD) {
        for (int64_t i = 0; r.kind == REC_CHECKPOINT && i < r.checkpoint.setting_count; i++)
            if (!strcmp(r.checkpoint.settings[i].key, key)) r.checkpoint.settings[i].value = value;
        if (r.kind == REC_TENSOR && !strcmp(r.tensor.name, without)) r.tensor.name = "nonsense";
        writer_put(out, &r);
    }
    CHECK(writer_finish(out));
    reader_close(in);
}

static void test_refusals(void)
{
    Dataset d = small_data();
    SearchSettings s = settings("darts1");
    const char *saved = arena_printf(&perm, "%s/saved.nas", dir), *changed = arena_printf(&perm, "%s/changed.nas", dir),
               *out = arena_printf(&perm, "%s/refused.nas", dir);
    checkpoint_settings = (CheckpointSettings){.path = saved, .resume = "", .every = 5};
    CHECK_STR(search(&d, &s, out), 0);
    static const struct {
        const char *key, *value, *without, *words;
    } bad[] = {
        {"state", "0", "", "state is \"2\" here, \"0\" in the checkpoint"},
        {"dataset", "small 0000000000000008", "", "dataset is"},
        {"story", "999", "", "not complete"},
        {"story", "1", "", "is no part of a state"},
        {"item", "x", "", "not complete"},
        {"epoch", "", "", "it lacks the number epoch"},
        {"rate", "quick", "", "it lacks the number rate"},
        {"train_rows", "100", "", "100 rows of train"},
        {"train_rows", "-1", "", "-1 rows of train"},
        {"train_batches", "-1", "", "before its first batch"},
        {"", "", "weights", "block nonsense is unknown"},
        {"train_rows", "3", "", "its block train_logits has"},
    };
    for (int i = 0; i < COUNTOF(bad); i++) {
        change(saved, changed, bad[i].key, bad[i].value, bad[i].without);
        checkpoint_settings = (CheckpointSettings){.path = "", .resume = changed};
        CHECK_CONTAINS(search(&d, &s, out), bad[i].words);
    }
}

/* Blocks larger than a piece, of any type, and zeros. */
enum { BIG = (40 << 20) / 8 };
static double *big, zeros[3];
static int64_t whole_number;
static double real;

static void visit(void *run, State *s)
{
    (void)run;
    state_block(s, "big", DTYPE_F64, big, BIG);
    state_block(s, "zeros", DTYPE_F64, zeros, 3);
    state_int(s, "whole", &whole_number);
    state_real(s, "real", &real);
}

static void test_blocks(void)
{
    Dataset d = small_data();
    const char *saved = arena_printf(&perm, "%s/big.nas", dir);
    Provenance self = {.program = "test", .version = "", .command = "", .host = ""};
    Writer *out = writer_open(&perm, arena_printf(&perm, "%s/none.nas", dir), 0, &self);
    big = NEW(&perm, double, BIG);
    for (int64_t i = 0; i < BIG; i++) big[i] = (double)i;
    whole_number = INT64_MIN;
    real = NAN;
    Checkpoint c;
    bool damaged;
    const char *why;
    checkpoint_settings = (CheckpointSettings){.path = saved, .resume = ""};
    CHECK(!checkpoint_open(&perm, scratch, no_options, &d.info, &c) && !checkpoint_begin(&c, &perm, out, &damaged));
    CHECK(!checkpoint_restore(&c, &perm, scratch, visit, 0, &why) && !why); /* nothing was loaded */
    checkpoint_save(&c, scratch, "run", 1, 2, visit, 0);
    CHECK_EQ(c.saves, 1);
    checkpoint_close(&c);
    memset(big, 0, BIG * sizeof *big);
    zeros[1] = 5;
    whole_number = 0;
    real = 0;
    checkpoint_settings = (CheckpointSettings){.path = "", .resume = saved};
    CHECK(!checkpoint_open(&perm, scratch, no_options, &d.info, &c) && !checkpoint_begin(&c, &perm, out, &damaged));
    CHECK(checkpoint_restore(&c, &perm, scratch, visit, 0, &why));
    CHECK_STR(why, 0);
    CHECK(!c.pending && !checkpoint_restore(&c, &perm, scratch, visit, 0, &why));
    checkpoint_close(&c);
    bool same = true;
    for (int64_t i = 0; i < BIG; i++) same &= big[i] == (double)i;
    CHECK(same && zeros[1] == 0 && whole_number == INT64_MIN && isnan(real));
    writer_abandon(out);
    CHECK(!checkpoint_due(0));
    checkpoint_save(0, scratch, "run", 0, 0, visit, 0);
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 36);
    scratch = arena_reserve((ptrdiff_t)1 << 34);
    cli_common.quiet = true;
    if (!mkdtemp(dir)) return 1;
    CHECK_RUN(test_strategies);
    CHECK_RUN(test_refusals);
    CHECK_RUN(test_blocks);
    int status = check_done("checkpoint");
    if (system(arena_printf(&perm, "rm -rf %s", dir))) status = 1;
    return status;
}
