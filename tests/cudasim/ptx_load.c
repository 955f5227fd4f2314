/* ptx_load: the text of a PTX module to decoded kernels. Two passes over a kernel: labels, then statements. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ptx.h"

typedef struct {
    char name[24];
    uint32_t at; /* in the file; of a predicate: its word */
    bool wide, predicate;
    uint32_t count;
} RegisterRange;

typedef struct {
    char *name;
    int32_t target;
} Label;

typedef struct {
    Module *m;
    Kernel *k;
    const char *at;
    int line;
    char *error;
    size_t room;
    bool failed;
    RegisterRange range[64];
    int ranges;
    Label *label;
    int labels, label_room, code_room, constant_room;
    Symbol dynamic[8];
    int dynamics;
    int32_t loc;
} Loader;

static void fail(Loader *l, const char *format, ...)
{
    if (l->failed) return;
    l->failed = true;
    int n = snprintf(l->error, l->room, "PTX line %d%s%s: ", l->line, l->k ? ", kernel " : "", l->k ? l->k->name : "");
    va_list args;
    va_start(args, format);
    if (n >= 0 && (size_t)n < l->room) vsnprintf(l->error + n, l->room - (size_t)n, format, args);
    va_end(args);
}

static void skip_space(Loader *l)
{
    for (;; l->at++) {
        if (l->at[0] == '/' && l->at[1] == '/')
            while (*l->at && *l->at != '\n') l->at++;
        if (*l->at == '\n') l->line++;
        if (!isspace((unsigned char)*l->at)) return;
    }
}

static void skip_line(Loader *l)
{
    while (*l->at && *l->at != '\n') l->at++;
}

/* Copies the text up to one of the stop characters, which stays. */
static void take_until(Loader *l, const char *stop, char *to, size_t room)
{
    size_t n = 0;
    for (; *l->at && !strchr(stop, *l->at); l->at++) {
        if (*l->at == '\n') l->line++;
        if (n + 1 < room) to[n++] = *l->at == '\n' || *l->at == '\t' ? ' ' : *l->at;
    }
    while (n && to[n - 1] == ' ') n--;
    to[n] = 0;
}

static uint32_t type_bytes(const char *dot)
{
    const char *digits = strpbrk(dot, "0123456789");
    return digits ? (uint32_t)atoi(digits) / 8 : 0;
}

/* ".param .align 8 .b8 name[416]" and the like: name, bytes, alignment. */
static void parse_variable(Loader *l, char *text, char *name, uint32_t *bytes, uint32_t *align)
{
    uint32_t each = 0, count = 1;
    bool pointer = false; /* ".ptr .align 1" is of what a parameter points to */
    *align = 0;
    *name = 0;
    for (char *word = strtok(text, " "); word; word = strtok(0, " ")) {
        if (!strcmp(word, ".align")) {
            word = strtok(0, " ");
            if (!pointer) *align = word ? (uint32_t)atoi(word) : 1;
        } else if (*word == '.') {
            pointer |= !strcmp(word, ".ptr");
            if (strcmp(word, ".param") && strcmp(word, ".shared") && strcmp(word, ".local") &&
                strcmp(word, ".extern") && strcmp(word, ".ptr") && strcmp(word, ".global") && strcmp(word, ".const"))
                each = type_bytes(word);
        } else if (!*name) {
            char *bracket = strchr(word, '[');
            if (bracket) count = (uint32_t)atoi(bracket + 1), *bracket = 0;
            snprintf(name, 256, "%s", word);
        }
    }
    if (!*name || !each) fail(l, "a variable that is not understood");
    *bytes = each * count;
    if (!*align) *align = each ? each : 1;
}

static uint32_t rounded(uint32_t n, uint32_t align)
{
    return (n + align - 1) / align * align;
}

static void declare_registers(Loader *l, char *text) /* ".reg .pred %p<21>", ".reg .b32 %r, %s" */
{
    char type[16], *rest = text;
    int used = 0;
    if (sscanf(text, ".reg %15s %n", type, &used) != 1) {
        fail(l, "%s", text);
        return;
    }
    rest += used;
    for (char *name = strtok(rest, ", "); name && !l->failed; name = strtok(0, ", ")) {
        RegisterRange r = {.count = 1, .predicate = !strcmp(type, ".pred"), .wide = type_bytes(type) == 8};
        char *angle = strchr(name, '<');
        if (angle) r.count = (uint32_t)atoi(angle + 1), *angle = 0;
        if (!r.predicate && (!type_bytes(type) || type_bytes(type) > 8)) fail(l, "registers of type %s", type);
        if (l->ranges == 64 || strlen(name) >= sizeof r.name) fail(l, "too many registers");
        if (l->failed) return;
        snprintf(r.name, sizeof r.name, "%s", name);
        r.at = l->k->file_words;
        l->k->file_words += r.count * (r.predicate ? 1 : r.wide ? 2 * LANES : LANES);
        l->k->file_words = rounded(l->k->file_words, 16);
        if (!angle) r.count = 0; /* the bare name */
        l->range[l->ranges++] = r;
    }
}

static const RegisterRange *find_register(const Loader *l, const char *name, uint32_t *at)
{
    for (int i = 0; i < l->ranges; i++) {
        const RegisterRange *r = &l->range[i];
        size_t n = strlen(r->name);
        if (strncmp(name, r->name, n)) continue;
        if (!r->count) {
            if (name[n]) continue;
            *at = r->at;
            return r;
        }
        if (!isdigit((unsigned char)name[n])) continue;
        char *end;
        unsigned long k = strtoul(name + n, &end, 10);
        if (*end || k >= r->count) continue;
        *at = r->at + (uint32_t)k * (r->predicate ? 1 : r->wide ? 2 * LANES : LANES);
        return r;
    }
    return 0;
}

static uint32_t constant(Loader *l, bool wide, uint64_t value)
{
    Kernel *k = l->k;
    for (int i = 0; i < k->constants; i++)
        if (k->constant[i].wide == wide && k->constant[i].value == value) return k->constant[i].at;
    if (k->constants == l->constant_room) {
        l->constant_room = 2 * l->constant_room + 64;
        k->constant = realloc(k->constant, (size_t)l->constant_room * sizeof *k->constant);
    }
    k->constant[k->constants++] = (Constant){k->file_words, wide, value};
    uint32_t at = k->file_words;
    k->file_words += wide ? 2 * LANES : LANES;
    return at;
}

static uint32_t special(Loader *l, const char *name)
{
    static const char *const names[SP_COUNT] = {"%tid.x",    "%tid.y",    "%tid.z",   "%ntid.x",  "%ntid.y",
                                                "%ntid.z",   "%ctaid.x",  "%ctaid.y", "%ctaid.z", "%nctaid.x",
                                                "%nctaid.y", "%nctaid.z", "%laneid",  "%warpid"};
    for (int i = 0; i < SP_COUNT; i++)
        if (!strcmp(name, names[i])) {
            if (!l->k->special[i]) {
                l->k->special[i] = l->k->file_words;
                l->k->file_words += LANES;
            }
            return l->k->special[i];
        }
    fail(l, "special register %s", name);
    return 0;
}

/* The value of an immediate; of a float literal its bits, converted to the width of the operand. */
static bool immediate(const char *s, bool wide, uint64_t *value)
{
    if (s[0] == '0' && (s[1] == 'f' || s[1] == 'F')) {
        *value = strtoull(s + 2, 0, 16);
        return !wide;
    }
    if (s[0] == '0' && (s[1] == 'd' || s[1] == 'D')) {
        *value = strtoull(s + 2, 0, 16);
        return wide;
    }
    char *end;
    if (*s == '-')
        *value = (uint64_t)strtoll(s, &end, 0);
    else
        *value = strtoull(s, &end, 0);
    if (*end == 'U') end++;
    if (!wide) *value &= 0xffffffffu;
    return end != s && !*end;
}

static bool find_symbol(const Loader *l, const char *name, uint64_t *value)
{
    const Kernel *k = l->k;
    for (int i = 0; i < k->symbols; i++)
        if (!strcmp(k->symbol[i].name, name)) return *value = k->symbol[i].offset, true;
    for (int i = 0; i < k->params; i++)
        if (!strcmp(k->param[i].name, name)) return *value = WINDOW_PARAM + k->param[i].offset, true;
    for (int i = 0; i < l->dynamics; i++)
        if (!strcmp(l->dynamic[i].name, name)) return *value = k->shared_bytes, true;
    return false;
}

/* A source operand of kind 'b', 'l' or 'p'; the place in the file. */
static uint32_t operand(Loader *l, const char *s, char kind)
{
    uint32_t at = 0;
    uint64_t value = 0;
    if (*s == '%' && strncmp(s, "%tid", 4) && strncmp(s, "%ntid", 5) && strncmp(s, "%ctaid", 6) &&
        strncmp(s, "%nctaid", 7) && strcmp(s, "%laneid") && strcmp(s, "%warpid")) {
        const RegisterRange *r = find_register(l, s, &at);
        if (!r)
            fail(l, "unknown register %s", s);
        else if (r->predicate != (kind == 'p') || (kind != 'p' && r->wide != (kind == 'l')))
            fail(l, "register %s has another width than the operation", s);
        return at;
    }
    if (*s == '%') return special(l, s);
    if (kind == 'p') {
        if (strcmp(s, "0") && strcmp(s, "1") && strcmp(s, "-1")) fail(l, "%s in place of a predicate", s);
        return constant(l, false, *s == '0' ? 0 : ALL_LANES);
    }
    if (!immediate(s, kind == 'l', &value) && !find_symbol(l, s, &value)) fail(l, "operand %s", s);
    return constant(l, kind == 'l', value);
}

/* ---- statements ---- */

enum { MAX_OPERANDS = 12 };

/* Splits at commas outside of brackets and braces. */
static int split_operands(char *text, char **to)
{
    int n = 0, depth = 0;
    char *start = text;
    for (char *p = text;; p++) {
        if (*p == '{' || *p == '[' || *p == '(') depth++;
        if (*p == '}' || *p == ']' || *p == ')') depth--;
        if (*p && (*p != ',' || depth)) continue;
        bool last = !*p;
        *p = 0;
        while (*start == ' ') start++;
        for (char *e = p; e > start && e[-1] == ' ';) *--e = 0;
        if (n < MAX_OPERANDS && *start) to[n++] = start;
        if (last) return n;
        start = p + 1;
    }
}

static Type type_named(const char *s)
{
    static const struct {
        const char *name;
        Type type;
    } names[] = {{"u8", T_U8},   {"s8", T_S8},   {"b8", T_U8},   {"u16", T_U16}, {"s16", T_S16},
                 {"b16", T_U16}, {"u32", T_U32}, {"s32", T_S32}, {"b32", T_U32}, {"u64", T_U64},
                 {"s64", T_S64}, {"b64", T_U64}, {"f32", T_F32}, {"f64", T_F64}, {"pred", T_PRED}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(s, names[i].name)) return names[i].type;
    return T_NONE;
}

static uint8_t width_of(Type t)
{
    static const uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 0, 0};
    return bytes[t];
}

/* "[%rd1+8]", "[name]" */
static void parse_address(Loader *l, Ins *i, char *address)
{
    size_t n = strlen(address);
    if (address[0] != '[' || address[n - 1] != ']') {
        fail(l, "address %s", address);
        return;
    }
    address[n - 1] = 0;
    address++;
    char *plus = strchr(address, '+');
    if (plus) *plus = 0, i->offset = strtoll(plus + 1, 0, 0);
    uint32_t at;
    uint64_t v;
    const RegisterRange *r = find_register(l, address, &at);
    if (!r && !find_symbol(l, address, &v)) fail(l, "address %s", address);
    if (l->failed) return;
    i->a[0] = r ? at : constant(l, true, v);
    i->wide = r ? r->wide : 1;
}

/* ld, st: space, vector, type, address. */
static void parse_access(Loader *l, Ins *i, char **part, int parts, char **op, int ops, bool load)
{
    for (int p = 1; p < parts; p++) {
        Type t = type_named(part[p]);
        if (t != T_NONE)
            i->type = t;
        else if (!strcmp(part[p], "global"))
            i->space = SPACE_GLOBAL;
        else if (!strcmp(part[p], "shared"))
            i->space = SPACE_SHARED;
        else if (!strcmp(part[p], "local"))
            i->space = SPACE_LOCAL;
        else if (!strcmp(part[p], "param"))
            i->space = SPACE_PARAM;
        else if (!strcmp(part[p], "v2"))
            i->vector = 2;
        else if (!strcmp(part[p], "v4"))
            i->vector = 4;
        else if (strcmp(part[p], "nc") && strcmp(part[p], "volatile") && strcmp(part[p], "relaxed") &&
                 strcmp(part[p], "gpu") && strncmp(part[p], "L1::", 4) && strncmp(part[p], "L2::", 4))
            fail(l, "modifier .%s", part[p]);
    }
    if (!i->vector) i->vector = 1;
    i->width = width_of(i->type);
    l->k->narrow |= i->width < 4 && i->space != SPACE_PARAM;
    if (ops != 2 || !i->width) {
        fail(l, "a memory access that is not understood");
        return;
    }
    char *address = op[load ? 1 : 0], *value = op[load ? 0 : 1];
    parse_address(l, i, address);
    uint32_t at;
    char *values[MAX_OPERANDS] = {value};
    int count = 1;
    if (*value == '{') {
        value[strlen(value) - 1] = 0;
        count = split_operands(value + 1, values);
    }
    if (count != i->vector) fail(l, "%d values for a vector of %d", count, i->vector);
    for (int v = 0; v < count && v < 4 && !l->failed; v++) {
        const RegisterRange *rv = find_register(l, values[v], &at);
        /* a narrow access goes through a wider register; the register says how wide */
        if (rv && !rv->predicate) {
            i->d[v] = at;
            if (rv->wide) i->extra |= (uint8_t)(1 << v);
            if (i->width == 8 && !rv->wide) fail(l, "register %s for %d bytes", values[v], i->width);
        } else if (!load) {
            i->d[v] = operand(l, values[v], i->width == 8 ? 'l' : 'b');
        } else {
            fail(l, "register %s", values[v]);
        }
    }
}

static Ins *new_ins(Loader *l)
{
    Kernel *k = l->k;
    if (k->count == l->code_room) {
        l->code_room = 2 * l->code_room + 256;
        k->code = realloc(k->code, (size_t)l->code_room * sizeof *k->code);
    }
    Ins *i = &k->code[k->count++];
    memset(i, 0, sizeof *i);
    i->guard = -1;
    i->source = l->line;
    i->loc = l->loc;
    i->type = i->from = T_NONE;
    return i;
}

/* Modifiers that change nothing here: the default rounding, hints, and what is true of every branch of ours. */
static bool is_noise(const char *op, const char *s)
{
    static const char *const always[] = {"uni", "aligned", "sync", "to", "global", "shared", "local", "param"};
    if (!strcmp(s, "rn")) return true;
    if ((!strcmp(op, "bra") || !strcmp(op, "bar") || !strcmp(op, "barrier") || !strcmp(op, "shfl") ||
         !strcmp(op, "vote") || !strcmp(op, "ret")))
        for (size_t i = 0; i < sizeof always / sizeof *always; i++)
            if (!strcmp(s, always[i])) return true;
    return false;
}

static void parse_statement(Loader *l, char *text, bool second)
{
    int32_t guard = -1;
    bool negate = false;
    while (*text == ' ') text++;
    if (*text == '@') {
        char *end = strchr(text, ' ');
        if (!end) {
            fail(l, "%s", text);
            return;
        }
        *end = 0;
        negate = text[1] == '!';
        uint32_t at = 0;
        const RegisterRange *r = find_register(l, text + 1 + negate, &at);
        if (!r || !r->predicate) fail(l, "guard %s", text);
        guard = (int32_t)at;
        text = end + 1;
        while (*text == ' ') text++;
    }
    char whole[96], key[96], *part[12], *op[MAX_OPERANDS];
    int parts = 0, used = 0;
    char *space = strchr(text, ' ');
    snprintf(whole, sizeof whole, "%.*s", space ? (int)(space - text) : 90, text);
    char opcode[96];
    snprintf(opcode, sizeof opcode, "%s", whole);
    for (char *p = strtok(opcode, "."); p && parts < 12; p = strtok(0, ".")) part[parts++] = p;
    int ops = space ? split_operands(space + 1, op) : 0;
    Ins *i = new_ins(l);
    i->guard = guard;
    i->negate = negate;
    if (!second || !parts) return;
    *key = 0;
    for (int p = 0; p < parts; p++) {
        if (p && is_noise(part[0], part[p])) continue;
        used += snprintf(key + used, sizeof key - (size_t)used, "%s%s", p ? "." : "", part[p]);
    }
    bool load = !strcmp(part[0], "ld"), store = !strcmp(part[0], "st");
    if (load || store) {
        i->run = ptx_op(part[0])->run;
        parse_access(l, i, part, parts, op, ops, load);
        return;
    }
    bool packs = !strcmp(key, "mov.b64") || !strcmp(key, "mov.b32");
    if (packs && ops == 2 && *op[0] == '{') strcat(key, " unpack");
    if (packs && ops == 2 && *op[1] == '{') strcat(key, " pack");
    uint32_t place;
    const RegisterRange *last = ops == 2 ? find_register(l, op[1], &place) : 0;
    if (!strncmp(key, "cvt.", 4) && last && last->wide && !strcmp(key + strlen(key) - 2, "32"))
        strcat(key, " wide"); /* 32 bits of a 64-bit register */
    const OpRow *row = ptx_op(key);
    if (!row) {
        fail(l, "instruction %s is not implemented", whole);
        return;
    }
    i->run = row->run;
    i->extra = row->extra;
    static const char *const floating[] = {"add.f32", "sub.f32", "mul.f32", "add.f64", "sub.f64", "mul.f64"};
    i->flops = !strncmp(key, "fma.", 4) ? 2 : 0;
    for (size_t n = 0; n < sizeof floating / sizeof *floating; n++) i->flops |= !strcmp(key, floating[n]);
    if (!strcmp(part[0], "bra")) {
        i->target = -1;
        for (int n = 0; n < l->labels; n++)
            if (ops == 1 && !strcmp(l->label[n].name, op[0])) i->target = l->label[n].target;
        if (i->target < 0) fail(l, "no label %s", ops ? op[0] : "");
        return;
    }
    /* operands by the row's shape; "d|p" and "{a, b}" count as two */
    char *flat[MAX_OPERANDS];
    int flats = 0;
    for (int o = 0; o < ops; o++) {
        char *bar = strchr(op[o], '|');
        if (bar) {
            *bar = 0;
            flat[flats++] = op[o];
            flat[flats++] = bar + 1;
        } else if (*op[o] == '{') {
            op[o][strlen(op[o]) - 1] = 0;
            flats += split_operands(op[o] + 1, flat + flats);
        } else {
            flat[flats++] = op[o];
        }
    }
    const char *shape = row->shape, *bar = strchr(shape, '|');
    int outs = (int)(bar - shape), ins = (int)strlen(bar + 1);
    if (!strcmp(part[0], "shfl") && flats == outs + ins - 1) { /* without the second destination */
        for (int f = flats; f > 1; f--) flat[f] = flat[f - 1];
        flat[1] = (char *)"";
        flats++;
    }
    if (flats != outs + ins) {
        fail(l, "%s with %d operands", whole, flats);
        return;
    }
    for (int o = 0; o < outs && !l->failed; o++) {
        uint32_t at = 0;
        if (!*flat[o] || !strcmp(flat[o], "_")) { /* a word that nobody reads */
            i->d[o] = constant(l, shape[o] == 'l', 0xdeadbeef00000000ull + (uint64_t)o);
            continue;
        }
        const RegisterRange *r = find_register(l, flat[o], &at);
        if (!r || r->predicate != (shape[o] == 'p') || (shape[o] != 'p' && r->wide != (shape[o] == 'l')))
            fail(l, "destination %s", flat[o]);
        i->d[o] = at;
    }
    for (int s = 0; s < ins && !l->failed; s++) {
        if (bar[1 + s] == 'G' || bar[1 + s] == 'S') {
            i->space = bar[1 + s] == 'G' ? SPACE_GLOBAL : SPACE_SHARED;
            i->width = 4;
            i->vector = 1;
            parse_address(l, i, flat[outs + s]);
        } else if (bar[1 + s] == 'p' && *flat[outs + s] == '!')
            fail(l, "a negated predicate as an operand");
        else
            i->a[s] = operand(l, flat[outs + s], bar[1 + s]);
    }
}

static void add_symbol(Loader *l, char *text, bool shared)
{
    char name[256];
    uint32_t bytes, align;
    parse_variable(l, text, name, &bytes, &align);
    Kernel *k = l->k;
    if (k->symbols == 64) fail(l, "too many variables");
    if (l->failed) return;
    uint32_t *top = shared ? &k->shared_bytes : &k->local_bytes;
    *top = rounded(*top, align);
    k->symbol[k->symbols++] = (Symbol){strdup(name), *top, bytes};
    *top += bytes;
}

/* From behind the opening brace to behind the closing one. The first pass finds labels and declarations. */
static void parse_body(Loader *l, bool second)
{
    char text[2048];
    int depth = 1;
    l->loc = 0;
    while (!l->failed) {
        skip_space(l);
        if (!*l->at) {
            fail(l, "the text ends within a kernel");
        } else if (*l->at == '{') {
            l->at++, depth++;
        } else if (*l->at == '}') {
            l->at++;
            if (!--depth) return;
        } else if (!strncmp(l->at, ".loc", 4) && l->at[4] != 'a') {
            int file = 0, line = 0;
            sscanf(l->at, ".loc %d %d", &file, &line);
            if (!strstr(l->at, "inlined_at") || strstr(l->at, "inlined_at") > strchr(l->at, '\n'))
                l->loc = line << 8 | (file & 255);
            skip_line(l);
        } else {
            const char *start = l->at;
            int line = l->line;
            while (isalnum((unsigned char)*l->at) || *l->at == '_' || *l->at == '$') l->at++;
            if (*l->at == ':' && l->at > start) {
                if (!second) {
                    if (l->labels == l->label_room) {
                        l->label_room = 2 * l->label_room + 64;
                        l->label = realloc(l->label, (size_t)l->label_room * sizeof *l->label);
                    }
                    l->label[l->labels++] = (Label){strndup(start, (size_t)(l->at - start)), l->k->count};
                }
                l->at++;
                continue;
            }
            l->at = start;
            take_until(l, ";", text, sizeof text);
            if (*l->at) l->at++;
            int behind = l->line;
            l->line = line;
            if (!strncmp(text, ".reg", 4)) {
                if (!second) declare_registers(l, text);
            } else if (!strncmp(text, ".shared", 7) || !strncmp(text, ".local", 6)) {
                if (!second) add_symbol(l, text, text[1] == 's');
            } else if (!strncmp(text, ".pragma", 7)) {
            } else if (*text == '.') {
                fail(l, "directive %s", text);
            } else {
                parse_statement(l, text, second);
            }
            l->line = behind;
        }
    }
}

static void parse_kernel(Loader *l)
{
    char name[512], text[512];
    Kernel *k = l->k = calloc(1, sizeof *k);
    skip_space(l);
    take_until(l, "( \n", name, sizeof name);
    k->name = strdup(name);
    k->file_words = 16; /* word 0 names nothing */
    l->ranges = l->labels = l->code_room = l->constant_room = 0;
    skip_space(l);
    if (*l->at == '(') {
        l->at++;
        for (;;) {
            skip_space(l);
            if (*l->at == ')') break;
            char param[256];
            uint32_t bytes, align;
            take_until(l, ",)", text, sizeof text);
            parse_variable(l, text, param, &bytes, &align);
            if (k->params == 64) fail(l, "too many parameters");
            if (l->failed) return;
            k->param_bytes = (int)rounded((uint32_t)k->param_bytes, align);
            k->param[k->params++] = (Symbol){strdup(param), (uint32_t)k->param_bytes, bytes};
            k->param_bytes += (int)bytes;
            if (*l->at == ',') l->at++;
        }
        l->at++;
    }
    while (*l->at && *l->at != '{') { /* .maxntid and the like */
        if (*l->at == '\n') l->line++;
        l->at++;
    }
    l->at++;
    const char *body = l->at;
    int line = l->line;
    parse_body(l, false);
    k->shared_bytes = rounded(k->shared_bytes, 16);
    l->at = body;
    l->line = line;
    k->count = 0;
    parse_body(l, true);
    Ins *end = new_ins(l); /* running off the end is a return */
    end->run = ptx_op("ret")->run;
    l->m->kernel = realloc(l->m->kernel, (size_t)(l->m->kernels + 1) * sizeof *l->m->kernel);
    l->m->kernel[l->m->kernels++] = k;
    l->k = 0;
}

/* Files come at the end of the text. */
static void find_files(Module *m, const char *text)
{
    for (const char *p = text; (p = strstr(p, ".file")); p++) {
        int index;
        char name[512];
        if (sscanf(p, ".file %d \"%511[^\"]\"", &index, name) == 2 && index > 0 && index < 64) {
            const char *slash = strrchr(name, '/');
            m->file[index] = strdup(slash ? slash + 1 : name);
        }
    }
}

Module *ptx_load(const char *text, char *error, size_t room)
{
    Loader l = {.m = calloc(1, sizeof(Module)), .at = text, .line = 1, .error = error, .room = room};
    find_files(l.m, text);
    char skipped[512];
    while (!l.failed) {
        skip_space(&l);
        if (!*l.at) break;
        if (!strncmp(l.at, ".visible", 8))
            l.at += 8;
        else if (!strncmp(l.at, ".weak", 5))
            l.at += 5;
        else if (!strncmp(l.at, ".entry", 6)) {
            l.at += 6;
            parse_kernel(&l);
        } else if (!strncmp(l.at, ".extern .shared", 15)) {
            uint32_t bytes, align;
            char name[256];
            take_until(&l, ";", skipped, sizeof skipped);
            if (*l.at) l.at++;
            parse_variable(&l, skipped, name, &bytes, &align);
            if (l.dynamics < 8) l.dynamic[l.dynamics++] = (Symbol){strdup(name), 0, 0};
        } else if (!strncmp(l.at, ".section", 8)) { /* debug information; the rest of the text */
            break;
        } else if (!strncmp(l.at, ".version", 8) || !strncmp(l.at, ".target", 7) ||
                   !strncmp(l.at, ".address_size", 13) || !strncmp(l.at, ".file", 5)) {
            skip_line(&l);
        } else {
            take_until(&l, ";{\n", skipped, sizeof skipped);
            fail(&l, "%.80s: functions and variables outside of kernels are not implemented", skipped);
        }
    }
    free(l.label);
    return l.failed ? 0 : l.m;
}
