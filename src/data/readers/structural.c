/* structural: the published problems as a dataset of task "simulation"; or random problems, solved here, as samples of a
 * regression.
 *
 * A random problem: one or two stretches of the border are held, each along x, y or both; one to three nodes are pulled in
 * any direction; the density is from 0.2 to 0.6. Draws that nothing holds, or that pull at nothing, are drawn again. Its
 * design is that of optimality criteria after some steps; the first target is the logarithm of its compliance with loads of
 * which the largest is 1. Every value is a function of (seed, sample), whatever the number of threads.
 *
 * Channels, at the (H + 1, W + 1) nodes: load along x, along y, held along x, along y, density.
 */
#include <fnmatch.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/rng.h"
#include "cli/cli.h"
#include "data/readers/formats.h"
#include "structure/filter.h"
#include "structure/optimise.h"

enum { MAX_SAMPLES = 10000000, MAX_GRID = 128, CHANNELS = 5, ARENA_BYTES = 64 << 20 };

/* "WxH" of an option; left alone when not given. */
static const char *size_option(Arena *perm, const IngestSpec *spec, const char *key, int64_t most, int64_t *W,
                               int64_t *H)
{
    const char *text = reader_option(spec, key);
    if (!text) return 0;
    char *end;
    *W = strtoll(text, &end, 10);
    const bool both = end > text && *end == 'x';
    const char *second = end + 1;
    if (both) *H = strtoll(second, &end, 10);
    if (both && end > second && !*end && *W >= 1 && *H >= 1 && *W <= most && *H <= most) return 0;
    return arena_printf(perm, "option %s=%s: WxH expected, sides from 1 to %lld", key, text, (long long)most);
}

/* ---- the published problems ---- */

static bool is_pattern(const char *text)
{
    return strpbrk(text, "*?[") != 0;
}

/* Appends the problems that a word asks for: those of the table that match, or the one of that name. */
static const char *add_problems(Arena *perm, const char *word, int64_t W, int64_t H, Problem *to, int64_t *count,
                                int64_t room)
{
    int64_t found = 0;
    for (int64_t i = 0; i < PROBLEM_COUNT; i++) {
        const ProblemRow *row = &problem_table[i];
        const char *name = problem_name(perm, row);
        if (fnmatch(word, name, 0)) continue;
        found++;
        bool there = false;
        for (int64_t k = 0; k < *count; k++) there |= !strcmp(to[k].name, name);
        if (there || row->W > W || row->H > H) continue;
        if (*count == room) return "too many problems";
        const char *why = problem_find(perm, name, &to[(*count)++]);
        if (why) return why;
    }
    if (found) return 0;
    if (is_pattern(word)) return arena_printf(perm, "option problems=%s: no problem has such a name", word);
    if (*count == room) return "too many problems";
    Problem *p = &to[*count];
    const char *why = problem_find(perm, word, p);
    for (int64_t k = 0; k < *count && !why; k++)
        if (!strcmp(to[k].name, p->name)) return 0;
    *count += !why && p->W <= W && p->H <= H;
    return why;
}

static const char *read_problems(Arena *perm, const IngestSpec *spec, Dataset *out)
{
    const char *why = reader_option_check(perm, spec, "structural", "problems max-size");
    int64_t W = PROBLEM_MAX_SIDE, H = PROBLEM_MAX_SIDE, count = 0;
    if (!why) why = size_option(perm, spec, "max-size", PROBLEM_MAX_SIDE, &W, &H);
    const char *words = reader_option(spec, "problems");
    if (!words) words = "*";
    const int64_t room = PROBLEM_COUNT + (int64_t)strlen(words);
    Problem *p = NEW(perm, Problem, room);
    for (const char *w = words; *w && !why;) {
        const ptrdiff_t n = (ptrdiff_t)strcspn(w, ",");
        why = add_problems(perm, arena_strndup(perm, w, n), W, H, p, &count, room);
        w += n + (w[n] == ',');
    }
    if (!why && !count) why = "no problem is that small: nothing is left";
    if (why) return arena_printf(perm, "structural: %s", why);
    out->info.task = "simulation";
    out->split[SPLIT_TRAIN] = (SplitData){.count = count, .problems = p};
    dataset_setting(perm, &out->info, "problems", "%s", words);
    if (reader_option(spec, "max-size"))
        dataset_setting(perm, &out->info, "max-size", "%lldx%lld", (long long)W, (long long)H);
    return 0;
}

/* ---- random problems ---- */

typedef struct {
    int64_t W, H, steps, design_w, design_h, outputs, count;
    uint64_t seed;
    float *x, *y;
    Arena *room;      /* of each thread */
    const char **why; /* of each sample */
    _Atomic int64_t done;
    _Atomic bool failed;
} Make;

static double uniform(const Make *m, int64_t sample, int64_t *draw)
{
    return rng_uniform(m->seed, RNG_STRUCTURE, (uint64_t)sample << 32 | (uint64_t)(*draw)++);
}

static int64_t below(const Make *m, int64_t sample, int64_t *draw, int64_t n)
{
    return rng_below(m->seed, RNG_STRUCTURE, (uint64_t)sample << 32 | (uint64_t)(*draw)++, n);
}

/* Holds a stretch of one of the four sides. */
static void hold_stretch(const Make *m, int64_t sample, int64_t *draw, const Problem *p, uint8_t *fixed)
{
    const int64_t side = below(m, sample, draw, 4), axes = 1 + below(m, sample, draw, 3);
    const int64_t last = side < 2 ? p->H : p->W, from = below(m, sample, draw, last + 1);
    const int64_t length = 1 + below(m, sample, draw, last / 2 + 1);
    for (int64_t i = from; i <= last && i < from + length; i++) {
        const int64_t node = side == 0   ? problem_node(p, 0, i)
                             : side == 1 ? problem_node(p, p->W, i)
                             : side == 2 ? problem_node(p, i, 0)
                                         : problem_node(p, i, p->H);
        if (axes & 1) fixed[2 * node] = 1;
        if (axes & 2) fixed[2 * node + 1] = 1;
    }
}

/* The largest force becomes 1. */
static void pull_nodes(const Make *m, int64_t sample, int64_t *draw, const Problem *p, double *load)
{
    const int64_t loads = 1 + below(m, sample, draw, 3);
    double largest = 0;
    for (int64_t i = 0; i < loads; i++) {
        const int64_t x = below(m, sample, draw, p->W + 1), y = below(m, sample, draw, p->H + 1);
        const double angle = 2 * M_PI * uniform(m, sample, draw), size = 0.25 + 0.75 * uniform(m, sample, draw);
        load[2 * problem_node(p, x, y)] = size * cos(angle);
        load[2 * problem_node(p, x, y) + 1] = size * sin(angle);
        largest = fmax(largest, size);
    }
    for (int64_t i = 0; i < problem_dofs(p); i++) load[i] /= largest;
}

static const char *random_problem(const Make *m, Arena *a, int64_t sample, Problem *p)
{
    enum { TRIES = 1000 };
    *p = (Problem){.name = "random", .family = "random", .W = m->W, .H = m->H};
    uint8_t *mask = NEW(a, uint8_t, p->W * p->H), *fixed = NEW(a, uint8_t, problem_dofs(p));
    double *load = NEW(a, double, problem_dofs(p));
    memset(mask, 1, (size_t)(p->W * p->H));
    p->mask = mask, p->fixed = fixed, p->load = load;
    const char *why = 0;
    int64_t draw = 0;
    for (int i = 0; i < TRIES; i++) {
        Arena once = *a;
        memset(fixed, 0, (size_t)problem_dofs(p));
        memset(load, 0, (size_t)problem_dofs(p) * sizeof *load);
        p->density = 0.2 + 0.4 * uniform(m, sample, &draw);
        const int64_t stretches = 1 + below(m, sample, &draw, 2);
        for (int64_t k = 0; k < stretches; k++) hold_stretch(m, sample, &draw, p, fixed);
        pull_nodes(m, sample, &draw, p, load);
        if (!(why = problem_check(&once, p))) return 0;
    }
    return why;
}

/* The density of the design in blocks of elements. */
static void coarse_design(const Make *m, const double *rho, float *to)
{
    for (int64_t i = 0; i < m->design_h; i++)
        for (int64_t j = 0; j < m->design_w; j++) {
            const int64_t r0 = i * m->H / m->design_h, r1 = (i + 1) * m->H / m->design_h;
            const int64_t c0 = j * m->W / m->design_w, c1 = (j + 1) * m->W / m->design_w;
            double sum = 0;
            for (int64_t r = r0; r < r1; r++)
                for (int64_t c = c0; c < c1; c++) sum += rho[r * m->W + c];
            to[i * m->design_w + j] = (float)(sum / (double)((r1 - r0) * (c1 - c0)));
        }
}

static void fill_channels(const Problem *p, float *to)
{
    const int64_t plane = (p->W + 1) * (p->H + 1);
    for (int64_t x = 0; x <= p->W; x++)
        for (int64_t y = 0; y <= p->H; y++) {
            const int64_t d = 2 * problem_node(p, x, y), at = y * (p->W + 1) + x;
            to[at] = (float)p->load[d];
            to[plane + at] = (float)p->load[d + 1];
            to[2 * plane + at] = p->fixed[d];
            to[3 * plane + at] = p->fixed[d + 1];
            to[4 * plane + at] = (float)p->density;
        }
}

static const char *make_sample(const Make *m, Arena *a, int64_t sample)
{
    Problem p;
    const int64_t elements = m->W * m->H;
    float *y = m->y + sample * m->outputs;
    const char *why = random_problem(m, a, sample, &p);
    Compliance *c = why ? 0 : compliance_open(a, &p, &why);
    if (!c) return why;
    DesignRun run = {.curve = NEW(a, double, m->steps + 1), .x = NEW(a, double, elements)};
    double *rho = NEW(a, double, elements);
    if (!(why = optimiser_find("oc")->run(a, *a, c, m->steps, &run))) {
        if (run.best > 0) {
            y[0] = (float)log(run.best);
            filter_apply(compliance_filter(c), run.x, rho);
            coarse_design(m, rho, y + 1);
            fill_channels(&p, m->x + sample * CHANNELS * (m->W + 1) * (m->H + 1));
        } else {
            why = "its compliance is not positive";
        }
    }
    compliance_close(c);
    return why;
}

static void make_part(void *context, int64_t part, int thread)
{
    Make *m = context;
    if (m->failed) return;
    Arena a = m->room[thread];
    const char *why = make_sample(m, &a, part);
    if (why) {
        m->why[part] = why;
        m->failed = true;
    }
    const int64_t done = ++m->done;
    if (!thread) cli_progress("structural: %lld of %lld samples", (long long)done, (long long)m->count);
}

/* Of samples that failed before the others were stopped, the lowest one is told. */
static const char *make_all(Arena *perm, Make *m)
{
    const int threads = (int)cli_common.threads;
    Pool *pool = pool_open(threads);
    if (!pool) return arena_printf(perm, "%d threads cannot be started", threads);
    m->room = NEW(perm, Arena, threads);
    for (int t = 0; t < threads; t++) m->room[t] = arena_reserve(ARENA_BYTES);
    pool_run(pool, m->count, make_part, m);
    pool_close(pool);
    cli_progress_done();
    const char *why = 0;
    for (int64_t i = 0; i < m->count && !why; i++)
        if (m->why[i]) why = arena_printf(perm, "sample %lld: %s", (long long)i, m->why[i]);
    for (int t = 0; t < threads; t++) arena_release(m->room[t]);
    return why;
}

static const char *read_samples(Arena *perm, const IngestSpec *spec, Dataset *out)
{
    Make m = {.W = 31, .H = 31, .steps = 30, .seed = spec->seed};
    const char *why = reader_option_check(perm, spec, "structural with samples", "samples size steps design");
    if (!why) why = reader_option_int(perm, spec, "samples", 1, MAX_SAMPLES, &m.count);
    if (!why) why = size_option(perm, spec, "size", MAX_GRID, &m.W, &m.H);
    if (!why) why = reader_option_int(perm, spec, "steps", 1, 10000, &m.steps);
    if (!why) why = problem_check_size(perm, m.W, m.H, 0.5);
    if (!why) why = size_option(perm, spec, "design", m.W < m.H ? m.W : m.H, &m.design_w, &m.design_h);
    if (why) return arena_printf(perm, "structural: %s", why);
    m.outputs = 1 + m.design_w * m.design_h;
    DatasetInfo *info = &out->info;
    info->task = "regression";
    info->channels = CHANNELS;
    info->height = m.H + 1;
    info->width = m.W + 1;
    info->dtype = DTYPE_F32;
    info->outputs = out->target_width = m.outputs;
    m.x = dataset_pixels(perm, m.count, dataset_sample_bytes(info), &why);
    m.y = why ? 0 : dataset_memory(perm, m.count, m.outputs * (int64_t)sizeof *m.y, &why);
    m.why = why ? 0 : dataset_memory(perm, m.count, sizeof *m.why, &why);
    if (!why) why = make_all(perm, &m);
    if (why) return arena_printf(perm, "structural: %s", why);
    info->output_names = NEW(perm, const char *, m.outputs);
    info->output_names[0] = "log_compliance";
    for (int64_t i = 1; i < m.outputs; i++)
        info->output_names[i] = arena_printf(perm, "design_%lld_%lld", (long long)((i - 1) / m.design_w),
                                             (long long)((i - 1) % m.design_w));
    out->split[SPLIT_TRAIN] = (SplitData){.count = m.count, .data = m.x, .targets = m.y};
    dataset_setting(perm, info, "channels", "load x, load y, held x, held y, density");
    dataset_setting(perm, info, "designs", "optimality criteria, %lld steps, %lldx%lld elements", (long long)m.steps,
                    (long long)m.W, (long long)m.H);
    return 0;
}

const char *structural_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                            Dataset *out)
{
    (void)scratch;
    *out = (Dataset){0};
    if (n > 0) return arena_printf(perm, "structural: it is made by rule: no source \"%s\" expected", sources[0]);
    out->info.name = "structural";
    out->info.source = "structural";
    const bool samples = reader_option(spec, "samples") != 0;
    const char *task = samples ? "regression" : "simulation";
    if (*spec->task && strcmp(spec->task, task))
        return arena_printf(perm, "structural: with%s samples it is a %s set, not %s", samples ? "" : "out", task,
                            spec->task);
    return samples ? read_samples(perm, spec, out) : read_problems(perm, spec, out);
}

int structural_probe(const char *path, const unsigned char *head, int64_t head_bytes)
{
    (void)path, (void)head, (void)head_bytes;
    return 0; /* it has no files: asked for by name alone */
}
