/* nas-derive: search epochs in, genotypes out; and genotypes from everywhere else: published, random, text, tables. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "nn/names.h"
#include "search/derive.h"
#include "stream/record.h"

enum { MAX_TEXT = 64 << 20 };

static CliList named, texts, text_files, alpha_files;
static int64_t random_count, nodes = 4, inputs = 2, concat_nodes, epoch = -1;
static const char *ops = "auto";
static bool list, print, every, keep_samples, keep_weights;

static const CliOption options[] = {
    {CLI_HEADING, 0, "Which epoch of a search"},
    {CLI_INT, 'e', "epoch", "N", &epoch, "Derive from the alphas after N epochs of the search; -1: from the last ones.",
     -1, 1e9},
    {CLI_FLAG, 0, "every", 0, &every, "Derive a genotype from every epoch."},
    {CLI_HEADING, 0, "Genotypes from elsewhere"},
    {CLI_LIST, 'n', "named", "NAME", &named, "A published cell, or all of them."},
    {CLI_FLAG, 'l', "list", 0, &list, "Print the published cells (name, source, genotype) and stop."},
    {CLI_INT, 'r', "random", "N", &random_count, "N random cells, the control of every search; see --ops and --seed.",
     0, 1e6},
    {CLI_LIST, 't', "text", "GENOTYPE", &texts,
     "A genotype in the notation Genotype(normal=[('sep_conv_3x3', 0), ...], ...)."},
    {CLI_LIST, 'T', "from-text", "FILE", &text_files,
     "All genotypes in a text file, such as a log or a genotypes.py; what is no genotype is skipped. -: standard "
     "input."},
    {CLI_LIST, 'A', "from-alphas", "FILE", &alpha_files,
     "Derive from a text table of softmaxed alphas: a row an edge, a column an operation; normal rows, then reduce "
     "rows. -: standard input."},
    {CLI_HEADING, 0, "The space of --random and --from-alphas"},
    {CLI_STRING, 0, "ops", "LIST", &ops,
     "Operations, comma-separated, in the order of the columns; or darts, galaxy-zoo-9, galaxy-zoo-11, series; auto: those of "
     "the last search that was read, or else darts."},
    {CLI_INT, 0, "nodes", "N", &nodes, "Nodes of a cell.", 1, GENOTYPE_MAX_NODES},
    {CLI_INT, 0, "inputs", "N", &inputs, "Inputs that a node keeps.", 1, 2},
    {CLI_INT, 0, "concat", "N", &concat_nodes, "Nodes that make up the output, the last N; 0: all.", 0,
     GENOTYPE_MAX_NODES},
    {CLI_HEADING, 0, "Output"},
    {CLI_FLAG, 'p', "print", 0, &print,
     "Print the genotypes as text, one a line, on standard output; a stream is then written only to a file given by "
     "-o."},
    {CLI_FLAG, 0, "keep-samples", 0, &keep_samples, "Pass samples on."},
    {CLI_FLAG, 0, "keep-weights", 0, &keep_weights, "Pass weights on."},
    {CLI_TABLE, .to = (void *)cli_common_options},
    {CLI_END},
};

static const CliProgram program = {
    .name = "nas-derive",
    .summary = "derive discrete cells from a search, or take them from elsewhere",
    .usage = "[FILE]",
    .details = "Reads a stream that holds one or more searches (SearchSpace and SearchEpoch records; FILE, or standard "
               "input) and adds one Genotype record for each search, by the rule of DARTS: on every edge the operation "
               "other than none of the greatest weight after the softmax, for every node its strongest edges, the "
               "stronger first. Everything else in the stream is passed on, but for samples and weights, which are "
               "dropped unless asked for.\n\n"
               "With an option that takes genotypes from elsewhere, nothing is read unless a FILE or - is named.\n\n"
               "Examples:\n\n"
               "nas-search data.nas | nas-derive | nas-train --data data.nas -o net.nas\n\n"
               "nas-derive --named DARTS_V2 --random 8 --seed 3 -o cells.nas\n\n"
               "nas-derive --print search.nas",
    .options = options,
};

/* ---- output ---- */

typedef struct {
    Arena *perm;
    Writer *writer; /* 0: text alone */
    int64_t count, texts;
    const char **name; /* of all genotypes so far that could clash */
    int64_t name_count, name_room;
    const char *ops; /* of the last search that was read, or 0 */
} Output;

/* A name may come twice (two searches of one seed): the second is told apart by a number. */
static const char *unique_name(Output *o, const char *name)
{
    const char *tried = name;
    for (int64_t i = 0, k = 2; i < o->name_count; i++) {
        if (strcmp(o->name[i], tried)) continue;
        tried = arena_printf(o->perm, "%s-%lld", name, (long long)k++);
        i = -1;
    }
    if (o->name_count == o->name_room) {
        o->name_room = o->name_room ? 2 * o->name_room : 64;
        const char **more = NEW(o->perm, const char *, o->name_room);
        if (o->name_count) memcpy(more, o->name, (size_t)o->name_count * sizeof *more);
        o->name = more;
    }
    return o->name[o->name_count++] = tried;
}

static void emit(Output *o, GenotypeRecord g)
{
    o->count++;
    if (print) puts(g.text);
    if (!o->writer) return;
    writer_put(o->writer, &(Record){.kind = REC_GENOTYPE, .genotype = g});
    if (writer_error(o->writer)) cli_die(EXIT_FAILED, "%s", writer_error(o->writer));
}

/* ---- from a stream ---- */

typedef struct {
    bool open; /* a SearchSpace was read */
    Space space;
    const char *strategy, *dataset, *ops;
    int64_t seed;
    int64_t epochs, first, last; /* SearchEpochs seen, and the range of their numbers */
    bool found;
    int64_t epoch; /* that `derived` is of */
    Derived derived;
} Search;

static void emit_derived(Output *o, const char *name, const char *dataset, int64_t seed, int64_t at, Derived *d)
{
    GenotypeRecord g = {.name = unique_name(o, name),
                        .text = genotype_print(o->perm, &d->genotype),
                        .rule = "magnitude",
                        .dataset = dataset,
                        .seed = seed,
                        .epoch = at,
                        .margin = d->margin,
                        .margin_count = d->margin_count,
                        .none_mass = d->none_mass,
                        .weight_kept = d->weight_kept};
    emit(o, g);
}

/* The search is over: its genotype goes out. */
static void search_end(Search *s, Output *o, const char *file)
{
    if (!s->open || every) return;
    if (!s->found && epoch >= 0 && s->epochs)
        cli_die(EXIT_FAILED, "%s: no epoch %lld: the search has %lld to %lld", file, (long long)epoch,
                (long long)s->first, (long long)s->last);
    if (!s->found) cli_die(EXIT_FAILED, "%s: a search without epochs: nothing to derive from", file);
    const char *name = arena_printf(o->perm, "search-%s-%lld", s->strategy, (long long)s->seed);
    emit_derived(o, name, s->dataset, s->seed, s->epoch, &s->derived);
    int64_t edges = space_edges(&s->space), none = s->derived.none_wins[0] + s->derived.none_wins[1];
    if (none > edges)
        cli_note(
            "%s: none is the strongest operation on %lld of %lld edges of %s: the cell is not what the search settled "
            "on",
            file, (long long)none, (long long)(2 * edges), name);
}

static const char *search_begin(Search *s, Arena *perm, const SearchSpace *r)
{
    *s = (Search){.open = true,
                  .strategy = arena_strdup(perm, r->strategy),
                  .dataset = arena_strdup(perm, r->dataset),
                  .seed = r->seed};
    Text all = {0};
    text_add(perm, &all, "");
    for (int64_t i = 0; i < r->op_count; i++) text_addf(perm, &all, "%s%s", i ? "," : "", r->ops[i]);
    s->ops = all.s;
    return space_make(perm, all.s, r->nodes, r->inputs, r->concat, &s->space);
}

static const char *search_epoch(Search *s, Output *o, Arena *perm, const SearchEpoch *e)
{
    if (!s->open) return "a search epoch without a search space before it";
    const double *weight[2] = {0};
    for (int64_t i = 0; i < e->table_count; i++) {
        const AlphaTable *t = &e->tables[i];
        if (t->edges != space_edges(&s->space) || t->ops != s->space.op_count || !t->weight)
            return arena_printf(perm, "the table \"%s\" does not fit the search space", t->name);
        if (!strcmp(t->name, "normal")) weight[0] = t->weight;
        if (!strcmp(t->name, "reduce")) weight[1] = t->weight;
    }
    if (!weight[0] || !weight[1]) return "a search epoch needs the tables \"normal\" and \"reduce\"";
    if (!s->epochs++) s->first = e->epoch;
    s->last = e->epoch;
    if (!every && epoch >= 0 && e->epoch != epoch) return 0;
    s->found = true;
    s->epoch = e->epoch;
    const char *why = derive_magnitude(perm, &s->space, weight[0], weight[1], &s->derived);
    if (why || !every) return why;
    const char *name =
        arena_printf(o->perm, "search-%s-%lld-epoch%lld", s->strategy, (long long)s->seed, (long long)e->epoch);
    emit_derived(o, name, s->dataset, s->seed, e->epoch, &s->derived);
    return 0;
}

static bool passes(RecordKind k)
{
    return (k != REC_SAMPLES || keep_samples) && (k != REC_TENSOR || keep_weights);
}

static void from_stream(Reader *in, Output *o, Arena scratch, bool must_search)
{
    Search s = {0};
    int64_t searches = 0, epochs = 0;
    for (;;) {
        Arena once = scratch;
        Record r;
        StreamStatus status = reader_next(in, &once, &r);
        if (status == STREAM_END) break;
        if (status == STREAM_ERROR) cli_die_input(reader_damaged(in), reader_error(in));
        const char *why = 0;
        if (r.kind == REC_SPACE) {
            search_end(&s, o, reader_name(in));
            why = search_begin(&s, o->perm, &r.space);
            o->ops = s.ops;
            searches++;
        }
        if (r.kind == REC_GENOTYPE) unique_name(o, arena_strdup(o->perm, r.genotype.name)); /* is taken from now on */
        if (o->writer && passes(r.kind)) writer_pass(o->writer, &r);
        if (r.kind == REC_SEARCH_EPOCH && !why) {
            why = search_epoch(&s, o, o->perm, &r.search_epoch);
            epochs++;
            if (o->writer) writer_flush(o->writer); /* who follows the stream sees the epoch now */
        }
        if (why) cli_die(EXIT_FAILED, "%s: record %lld: %s", reader_name(in), (long long)r.number, why);
        if (o->writer && writer_error(o->writer)) cli_die(EXIT_FAILED, "%s", writer_error(o->writer));
    }
    if (must_search && !searches) cli_die(EXIT_FAILED, "%s: no search in it: nothing to derive from", reader_name(in));
    if (must_search && !epochs)
        cli_die(EXIT_FAILED, "%s: a search without epochs: nothing to derive from", reader_name(in));
    search_end(&s, o, reader_name(in));
}

/* ---- from elsewhere ---- */

static GenotypeRecord plain_record(const char *name, const char *text, const char *rule)
{
    return (GenotypeRecord){
        .name = name, .text = text, .rule = rule, .dataset = "", .epoch = -1, .none_mass = -1, .weight_kept = -1};
}

static void emit_named(Output *o, const NamedGenotype *n)
{
    Genotype g;
    const char *why = genotype_parse(o->perm, n->text, &g);
    if (why) cli_die(EXIT_FAILED, "%s: %s", n->name, why);
    GenotypeRecord r = plain_record(unique_name(o, n->name), genotype_print(o->perm, &g), "named");
    Setting source = {"source", n->source};
    r.settings = &source;
    r.setting_count = 1;
    emit(o, r);
}

static const NamedGenotype *find_named(Arena *perm, const char *name)
{
    const NamedGenotype *n = genotype_find(name);
    if (n) return n;
    const char **known = NEW(perm, const char *, genotype_named_count);
    for (int64_t i = 0; i < genotype_named_count; i++) known[i] = genotype_named[i].name;
    cli_die(EXIT_USAGE, "--named %s: no such cell; near it: %s (--list shows all)", name,
            names_near(perm, name, (int64_t)strlen(name), known, genotype_named_count));
}

/* One genotype with what precedes it on its line; `where` for messages. */
static void emit_text(Output *o, const char *text, const char *where, int code)
{
    Genotype g;
    const char *why = genotype_parse(o->perm, text, &g);
    if (why) cli_die(code, "%s: %s", where, why);
    o->texts++;
    const char *name = 0;
    size_t start = strspn(text, " \t"),
           letters = strspn(text + start, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_");
    size_t equals = start + letters + strspn(text + start + letters, " \t");
    if (letters && text[equals] == '=' &&
        !strncmp(text + equals + 1 + strspn(text + equals + 1, " \t"), "Genotype(", 9))
        name = arena_strndup(o->perm, text + start, (ptrdiff_t)letters); /* DARTS_V2 = Genotype(…) */
    if (!name) name = arena_printf(o->perm, "text-%lld", (long long)o->texts);
    emit(o, plain_record(unique_name(o, name), genotype_print(o->perm, &g), "text"));
}

static char *read_text(Arena *perm, const char *path, int64_t *length)
{
    const char *name = strcmp(path, "-") ? path : "<stdin>";
    FILE *in = path == name ? fopen(path, "rb") : stdin;
    if (!in) cli_die(EXIT_FAILED, "%s: %s", name, strerror(errno));
    size_t room = 1 << 16, used = 0;
    char *text = NEW(perm, char, room + 1);
    for (size_t got; (got = fread(text + used, 1, room - used, in)) > 0;) {
        used += got;
        if (used < room) continue;
        if (room >= MAX_TEXT) cli_die(EXIT_FAILED, "%s: more than %d MiB of text", name, MAX_TEXT >> 20);
        char *more = NEW(perm, char, 2 * room + 1);
        memcpy(more, text, used);
        text = more;
        room *= 2;
    }
    if (ferror(in)) cli_die(EXIT_FAILED, "%s: %s", name, strerror(errno));
    if (in != stdin) fclose(in);
    *length = (int64_t)used;
    text[used] = 0;
    return text;
}

/* A genotype goes on over line ends until its bracket closes, as in a genotypes.py. */
static void emit_text_file(Output *o, const char *path)
{
    const char *mark = "Genotype(", *name = strcmp(path, "-") ? path : "<stdin>";
    int64_t length, found = 0, line = 1;
    char *text = read_text(o->perm, path, &length);
    for (char *at = text, *counted = text, *hit; (hit = strstr(at, mark)); found++) {
        char *start = hit, *next = strstr(hit + 1, mark), *end = hit + strlen(mark);
        while (start > at && start[-1] != '\n') start--;
        for (int depth = 1; *end && end != next && depth; end++) depth += (*end == '(') - (*end == ')');
        while (*end && *end != '\n' && end != next) end++;
        for (; counted < start; counted++) line += *counted == '\n';
        char *piece = arena_strndup(o->perm, start, end - start);
        emit_text(o, piece, arena_printf(o->perm, "%s: line %lld", name, (long long)line), EXIT_FAILED);
        at = end;
    }
    if (!found) cli_die(EXIT_FAILED, "%s: no \"%s\" in it", name, mark);
}

/* The file's name without folder and ending: "run3/alphas_049.txt" gives alphas_049. */
static const char *stem_of(Arena *perm, const char *path)
{
    if (!strcmp(path, "-")) return "alphas";
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    return arena_strndup(perm, base, dot > base ? dot - base : (ptrdiff_t)strlen(base));
}

static void emit_alphas(Output *o, const Space *s, const char *path)
{
    const char *name = strcmp(path, "-") ? path : "<stdin>";
    int64_t length, cells = space_edges(s) * s->op_count;
    char *text = read_text(o->perm, path, &length);
    double *weight;
    Derived d;
    const char *why = derive_read_table(o->perm, s, text, length, &weight);
    if (!why) why = derive_magnitude(o->perm, s, weight, weight + cells, &d);
    if (why) cli_die(EXIT_FAILED, "%s: %s", name, why);
    for (int64_t edge = 0; edge < 2 * space_edges(s); edge++) {
        double sum = 0;
        for (int64_t k = 0; k < s->op_count; k++) sum += weight[edge * s->op_count + k];
        if (sum > 0.99 && sum < 1.01) continue;
        cli_warn("%s: row %lld adds up to %g, not 1: are these alphas before the softmax?", name, (long long)edge + 1,
                 sum);
        break;
    }
    emit_derived(o, stem_of(o->perm, path), "", 0, -1, &d);
}

static void emit_random(Output *o, const Space *s, Arena scratch)
{
    Text all = {0};
    for (int64_t i = 0; i < s->op_count; i++)
        text_addf(&scratch, &all, "%s%s", i ? "," : "", primitive_table[s->op[i]].name);
    Setting settings = {"ops", all.s};
    for (int64_t i = 1; i <= random_count; i++) {
        Arena once = scratch; /* names of random cells cannot clash, so nothing of them needs to stay */
        Genotype g = genotype_random(s, (uint64_t)cli_common.seed, (uint64_t)i);
        const char *name = arena_printf(&once, "random-%lld-%lld", (long long)cli_common.seed, (long long)i);
        GenotypeRecord r = plain_record(name, genotype_print(&once, &g), "random");
        r.seed = cli_common.seed;
        r.settings = &settings;
        r.setting_count = 1;
        emit(o, r);
    }
}

static void print_list(void)
{
    for (int64_t i = 0; i < genotype_named_count; i++)
        printf("%s\t%s\t%s\n", genotype_named[i].name, genotype_named[i].source, genotype_named[i].text);
}

/* How many of the list's items name standard input. */
static int stdin_count(const CliList *l)
{
    int n = 0;
    for (int i = 0; i < l->count; i++) n += !strcmp(l->item[i], "-");
    return n;
}

int main(int argc, char **argv)
{
    char **file = cli_begin(argc, argv, &program);
    if (list) return print_list(), cli_end();
    Arena perm = arena_reserve((ptrdiff_t)1 << 34), scratch = arena_reserve((ptrdiff_t)1 << 34);

    bool elsewhere = named.count || texts.count || text_files.count || alpha_files.count || random_count;
    const char *path = file[0] ? file[0] : elsewhere ? 0 : "-";
    if (file[0] && file[1]) cli_die(EXIT_USAGE, "one FILE, not also %s: cat joins streams", file[1]);
    if (every && epoch >= 0) cli_die(EXIT_USAGE, "--every and --epoch exclude each other");
    if ((path && !strcmp(path, "-")) + stdin_count(&text_files) + stdin_count(&alpha_files) > 1)
        cli_die(EXIT_USAGE, "standard input can be read once only");
    if (path && !file[0] && isatty(STDIN_FILENO))
        cli_die(EXIT_USAGE, "usage: %s [OPTION...] %s: nothing to read; --help tells more", program.name,
                program.usage);
    Space space;
    const bool automatic = !strcmp(ops, "auto");
    const int64_t concat = concat_nodes ? concat_nodes : nodes;
    const char *why = space_make(&perm, automatic ? "darts" : ops, nodes, inputs, concat, &space);
    if (why) cli_die(EXIT_USAGE, "%s", why);
    for (int i = 0; i < named.count; i++)
        if (strcmp(named.item[i], "all")) find_named(&perm, named.item[i]);

    bool stream = !print || strcmp(cli_common.output, "-");
    if (stream) cli_refuse_terminal(cli_common.output);
    Reader *in = path ? reader_open(&perm, path) : 0;
    Output out = {.perm = &perm};
    if (stream) {
        char host[256] = "";
        gethostname(host, sizeof host - 1);
        Provenance self = {.program = cli_program_name(),
                           .version = cli_version(),
                           .command = cli_command_line(),
                           .host = host,
                           .seed = cli_common.seed,
                           .unix_time = (double)time(0)};
        out.writer = writer_open(&perm, cli_common.output, in, &self);
        cli_guard_file(writer_temporary(out.writer));
    }
    if (in) from_stream(in, &out, scratch, !elsewhere);
    if (automatic && out.ops && (why = space_make(&perm, out.ops, nodes, inputs, concat, &space)))
        cli_die(EXIT_USAGE, "%s", why);
    for (int i = 0; i < named.count; i++) {
        bool all = !strcmp(named.item[i], "all");
        for (int64_t k = 0; all && k < genotype_named_count; k++) emit_named(&out, &genotype_named[k]);
        if (!all) emit_named(&out, find_named(&perm, named.item[i]));
    }
    for (int i = 0; i < texts.count; i++) emit_text(&out, texts.item[i], "--text", EXIT_USAGE);
    for (int i = 0; i < text_files.count; i++) emit_text_file(&out, text_files.item[i]);
    for (int i = 0; i < alpha_files.count; i++) emit_alphas(&out, &space, alpha_files.item[i]);
    emit_random(&out, &space, scratch);
    if (out.writer && !writer_finish(out.writer)) cli_die(EXIT_FAILED, "%s", writer_error(out.writer));
    cli_guard_file(0);
    return cli_end();
}
