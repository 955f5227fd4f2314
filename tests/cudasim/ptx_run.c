/* ptx_run: blocks, warps, fragments; memory and what is wrong with an access; barriers, shuffles, votes.
 *
 * Blocks run one after another, the warps of a block each up to its next barrier. What the checks find does not depend on
 * that order: two accesses of a word, one of them a write, are a race if nothing orders them, whichever ran first here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device_memory.h"
#include "ptx_ops.h"

enum { MAX_SHARED = 228 << 10, SEVERAL = 63, ATOMIC = 1 << 12 };

static jmp_buf gave_up;
static char message[1024];

static struct { /* of the block that runs */
    uint32_t id[3];
    Warp warp[MAX_WARPS];
    int warps;
    uint32_t launch_epoch, block_epoch, epoch; /* first of the launch, of the block; now */
    uint8_t shared[MAX_SHARED], shared_valid[MAX_SHARED];
    Cell shared_cell[MAX_SHARED / 2];
    uint32_t grain; /* bytes that a cell stands for: 2 in a kernel with narrow accesses, else 4 */
    const Ins *now;
} block;

static uint32_t *files;
static uint8_t *locals;
static size_t files_room, locals_room;

__attribute__((noreturn, format(printf, 3, 4))) static void give_up(const Warp *w, int lane, const char *format, ...)
{
    const Launch *l = w->launch;
    uint32_t thread = (uint32_t)(w->index * LANES + (lane < 0 ? 0 : lane));
    uint32_t x = thread % l->block[0], y = thread / l->block[0] % l->block[1], z = thread / l->block[0] / l->block[1];
    int file = block.now->loc & 255, line = block.now->loc >> 8;
    int n = snprintf(message, sizeof message,
                     "%s: block (%u,%u,%u), thread (%u,%u,%u), %s:%d, PTX line %d: ", l->kernel->name, block.id[0],
                     block.id[1], block.id[2], x, y, z,
                     file < 64 && l->module->file[file] ? l->module->file[file] : "?", line, block.now->source);
    va_list args;
    va_start(args, format);
    vsnprintf(message + n, sizeof message - (size_t)n, format, args);
    va_end(args);
    longjmp(gave_up, 1);
}

/* ---- races ---- */

static uint32_t who(const Warp *w, int lane)
{
    return w->collectives << 13 | (uint32_t)w->index << 6 | (uint32_t)lane;
}

/* Whether an earlier access by `s` is unordered with one by this lane now. */
static bool unordered(const Warp *w, int lane, Stamp s, bool global)
{
    if (s.epoch != block.epoch) return global && s.epoch >= block.launch_epoch && s.epoch < block.block_epoch;
    uint32_t warp = s.who >> 6 & 63, its_lane = s.who & 63;
    if (warp != (uint32_t)w->index) return true;
    return its_lane != (uint32_t)lane && s.who >> 13 == w->collectives;
}

static void describe(char *to, size_t room, Stamp s)
{
    if (s.epoch < block.block_epoch)
        snprintf(to, room, "another block");
    else if ((s.who >> 6 & 63) == SEVERAL)
        snprintf(to, room, "several warps");
    else if ((s.who & 63) == SEVERAL)
        snprintf(to, room, "several lanes of warp %u", s.who >> 6 & 63);
    else
        snprintf(to, room, "thread %u of the block", (s.who >> 6 & 63) * LANES + (s.who & 63));
}

static inline void check_race(const Warp *w, int lane, Cell *c, bool write, bool global)
{
    char other[64];
    if (!write && c->writer.epoch < block.launch_epoch &&
        c->reader.epoch < block.launch_epoch) { /* first of its launch */
        c->reader = (Stamp){block.epoch, who(w, lane)};
        return;
    }
    if (unordered(w, lane, c->writer, global)) {
        describe(other, sizeof other, c->writer);
        give_up(w, lane, "race: %s %s memory that %s wrote, with nothing in between to order them",
                write ? "writes" : "reads", global ? "global" : "shared", other);
    }
    if (write) {
        if (unordered(w, lane, c->reader, global)) {
            describe(other, sizeof other, c->reader);
            give_up(w, lane, "race: writes %s memory that %s read, with nothing in between to order them",
                    global ? "global" : "shared", other);
        }
        c->writer = (Stamp){block.epoch, who(w, lane)};
        return;
    }
    Stamp *r = &c->reader;
    if (r->epoch != block.epoch) {
        if (global && r->epoch >= block.launch_epoch && r->epoch < block.block_epoch)
            return; /* another block's stays */
        *r = (Stamp){block.epoch, who(w, lane)};
    } else if ((r->who >> 6 & 63) != (uint32_t)w->index) {
        r->who |= SEVERAL << 6 | SEVERAL;
    } else if ((r->who & 63) != (uint32_t)lane) {
        r->who = r->who >> 13 == w->collectives ? r->who | SEVERAL : who(w, lane);
    }
}

/* An atomic access races with plain ones, not with its kind. */
static void check_atomic(const Warp *w, int lane, Cell *c, bool global)
{
    bool among_atomics = c->writer.who & ATOMIC;
    if ((!among_atomics && unordered(w, lane, c->writer, global)) || unordered(w, lane, c->reader, global))
        give_up(w, lane, "race: atomic access to %s memory that others read or write plainly",
                global ? "global" : "shared");
    bool several = among_atomics && unordered(w, lane, c->writer, global);
    c->writer = (Stamp){block.epoch, (several ? SEVERAL << 6 | SEVERAL : who(w, lane)) | ATOMIC | w->collectives << 13};
}

/* ---- memory ---- */

static const Allocation *near; /* that of the last access */

/* The bytes at an address, after all checks. */
static uint8_t *reach(Warp *w, const Ins *i, int lane, uint64_t address, uint32_t bytes, bool write, bool atomic)
{
    Space space = i->space;
    uint64_t at = address;
    if (space == SPACE_GENERIC) {
        space = SPACE_GLOBAL;
        if (at - WINDOW_SHARED < WINDOW_BYTES)
            space = SPACE_SHARED, at -= WINDOW_SHARED;
        else if (at - WINDOW_LOCAL < WINDOW_BYTES)
            space = SPACE_LOCAL, at -= WINDOW_LOCAL;
        else if (at - WINDOW_PARAM < WINDOW_BYTES)
            space = SPACE_PARAM;
    }
    const char *verb = write ? "writes" : "reads";
    if (at % i->width || (i->vector > 1 && at % ((uint64_t)i->width * i->vector)))
        give_up(w, lane, "misaligned: %s %u bytes at address 0x%llx", verb, bytes, (unsigned long long)address);
    uint8_t *p, *valid = 0;
    Cell *cell = 0;
    switch (space) {
    case SPACE_GLOBAL:
        if (!near || at < near->begin || at + bytes > near->end || near->freed) {
            near = device_find(at);
            if (!near) {
                bool device = at - device_base < (uint64_t)device_capacity();
                give_up(w, lane,
                        device ? "out of bounds: %s %u bytes at 0x%llx, which is in no allocation"
                               : "host pointer: %s %u bytes at 0x%llx, which is not device memory",
                        verb, bytes, (unsigned long long)address);
            }
            if (near->freed)
                give_up(w, lane, "use after free: %s byte %llu of a freed allocation of %llu", verb,
                        (unsigned long long)(at - near->begin), (unsigned long long)(near->end - near->begin));
            if (at + bytes > near->end)
                give_up(w, lane, "out of bounds: %s %u bytes at byte %llu of an allocation of %llu", verb, bytes,
                        (unsigned long long)(at - near->begin), (unsigned long long)(near->end - near->begin));
        }
        at -= device_base;
        p = device_bytes + at, valid = device_valid + at, cell = device_cell + at / block.grain;
        break;
    case SPACE_SHARED:
        if (at + bytes > w->launch->shared_bytes || at + bytes < at)
            give_up(w, lane, "out of bounds: %s %u bytes at byte %lld of %u bytes of shared memory", verb, bytes,
                    (long long)at, w->launch->shared_bytes);
        p = block.shared + at, valid = block.shared_valid + at, cell = block.shared_cell + at / block.grain;
        break;
    case SPACE_LOCAL: {
        uint32_t size = w->launch->kernel->local_bytes;
        if (at + bytes > size || at + bytes < at)
            give_up(w, lane, "out of bounds: %s %u bytes at byte %lld of %u bytes of local memory", verb, bytes,
                    (long long)at, size);
        at += (uint64_t)size * (uint64_t)lane;
        p = w->local + at, valid = w->local_valid + at;
        break;
    }
    case SPACE_PARAM:
    default:
        at -= WINDOW_PARAM;
        if (write || at + bytes > (uint64_t)w->launch->kernel->param_bytes || at + bytes < at)
            give_up(w, lane, "out of bounds: %s %u bytes at byte %lld of %d bytes of parameters", verb, bytes,
                    (long long)at, w->launch->kernel->param_bytes);
        return (uint8_t *)w->launch->param + at;
    }
    if (!w->launch->checked) return p;
    if (write) {
        memset(valid, 1, bytes);
    } else {
        for (uint32_t b = 0; b < bytes; b++)
            if (!valid[b])
                give_up(w, lane, "uninitialised: reads %s memory that nobody has written",
                        space == SPACE_GLOBAL   ? "global"
                        : space == SPACE_SHARED ? "shared"
                                                : "local");
    }
    if (cell && atomic)
        check_atomic(w, lane, cell, space == SPACE_GLOBAL);
    else if (cell)
        for (uint32_t b = 0; b < bytes; b += block.grain)
            check_race(w, lane, &cell[b / block.grain], write, space == SPACE_GLOBAL);
    return p;
}

static uint64_t address_of(const Warp *w, const Ins *i, int lane)
{
    const uint32_t *at = w->file + i->a[0];
    uint64_t base = i->wide ? ((const uint64_t *)(const void *)at)[lane] : at[lane];
    if (i->space == SPACE_SHARED && !i->wide) return (uint32_t)(base + (uint64_t)i->offset);
    return base + (uint64_t)i->offset;
}

/* Those of all lanes; a lane that takes no part has the address of one that does. */
static void addresses_of(const Warp *w, const Ins *i, uint32_t mask, uint64_t *address)
{
    const uint32_t *narrow = w->file + i->a[0];
    const uint64_t *wide = (const uint64_t *)(const void *)narrow;
    uint64_t offset = (uint64_t)i->offset, add = 0;
    if (i->wide)
        for (int l = 0; l < LANES; l++) address[l] = wide[l] + offset;
    else if (i->space == SPACE_SHARED)
        for (int l = 0; l < LANES; l++) address[l] = narrow[l] + (uint32_t)offset;
    else
        for (int l = 0; l < LANES; l++) address[l] = narrow[l] + offset;
    int first = __builtin_ctz(mask);
    if (i->space == SPACE_PARAM && address[first] < WINDOW_PARAM) add = WINDOW_PARAM;
    for (int l = 0; l < LANES && add; l++) address[l] += add;
    for (int l = 0; l < LANES && mask != ALL_LANES; l++)
        if (!(mask >> l & 1)) address[l] = address[first];
}

/* Of one access of a warp: 32-byte sectors that its addresses lie in, and words that it wants; or the turns that the 32
 * banks of shared memory take. Wide accesses are served 128 bytes at a time. */
static void count_access(Warp *w, const Ins *i, uint32_t mask, const uint64_t *address)
{
    Kernel *k = w->launch->kernel;
    uint32_t bytes = (uint32_t)i->width * i->vector, words = bytes < 4 ? 1 : bytes / 4, together = LANES / words;
    if (i->space == SPACE_GLOBAL) {
        uint64_t sector[4 * LANES], word[4 * LANES], top = 0; /* above all words so far */
        int sectors = 0, distinct = 0;
        for (int l = 0; l < LANES; l++)
            for (uint32_t b = 0; (mask >> l & 1) && b < words; b++) {
                uint64_t a = address[l] / 4 + b;
                int s = sectors - 1, d = a >= top ? -1 : distinct - 1;
                while (s >= 0 && sector[s] != a / 8) s--;
                if (s < 0) sector[sectors++] = a / 8;
                while (d >= 0 && word[d] != a) d--;
                if (d >= 0) continue;
                word[distinct++] = a;
                if (a >= top) top = a + 1;
                uint32_t *touched = device_touched + (a - device_base / 4);
                k->words += *touched != block.launch_epoch;
                *touched = block.launch_epoch;
            }
        k->requests++;
        k->sectors += sectors;
        k->least_sectors += (distinct + 7) / 8;
    } else if (i->space == SPACE_SHARED) {
        k->shared_requests++;
        for (uint32_t from = 0; from < LANES; from += together) {
            uint64_t word[LANES];
            int count = 0, bank[LANES] = {0}, most = 0;
            for (uint32_t l = from; l < from + together; l++)
                for (uint32_t b = 0; (mask >> l & 1) && b < words; b++) {
                    uint64_t a = address[l] / 4 + b;
                    int d = count - 1;
                    while (d >= 0 && word[d] != a) d--;
                    if (d >= 0) continue;
                    word[count++] = a;
                    if (++bank[a % 32] > most) most = bank[a % 32];
                }
            k->wavefronts += most;
            k->least_wavefronts += count > 0;
        }
    }
}

/* The common case of a load, of single words of one allocation or of shared memory, without a call for each lane. False:
 * something is out of the ordinary, and nothing was done. */
static bool load_words(Warp *w, const Ins *i, uint32_t mask, const uint64_t *address)
{
    bool global = i->space == SPACE_GLOBAL;
    if (i->width != 4 || i->vector != 1 || i->extra || block.grain != 4 ||
        (global ? !near || near->freed : i->space != SPACE_SHARED))
        return false;
    uint64_t origin = global ? device_base : 0, low = global ? near->begin : 0;
    uint64_t high = global ? near->end : w->launch->shared_bytes;
    const uint8_t *bytes = global ? device_bytes : block.shared, *valid = global ? device_valid : block.shared_valid;
    Cell *cell = global ? device_cell : block.shared_cell;
    uint64_t odd = high - low < 4, room = high - low - 4;
    for (int l = 0; l < LANES; l++) odd |= (address[l] - low > room) | (address[l] & 3);
    if (odd) return false;
    if (w->launch->checked) {
        uint32_t written = 0x01010101;
        for (int l = 0; l < LANES; l++) written &= *(const uint32_t *)(const void *)(valid + (address[l] - origin));
        if (written != 0x01010101) return false;
        Stamp now = {block.epoch, w->collectives << 13 | (uint32_t)w->index << 6};
        uint32_t launch = block.launch_epoch;
        for (int l = 0; l < LANES; l++) {
            if (!(mask >> l & 1)) continue;
            Cell *c = &cell[(address[l] - origin) / 4];
            if (c->writer.epoch < launch && c->reader.epoch < launch)
                c->reader = (Stamp){now.epoch, now.who | (uint32_t)l};
            else
                check_race(w, l, c, false, global);
        }
    }
    uint32_t *d = w->file + i->d[0], value[LANES];
    for (int l = 0; l < LANES; l++) value[l] = *(const uint32_t *)(const void *)(bytes + (address[l] - origin));
    if (mask == ALL_LANES)
        memcpy(d, value, sizeof value);
    else
        for (int l = 0; l < LANES; l++) d[l] = mask >> l & 1 ? value[l] : d[l];
    return true;
}

static void put_value(Warp *w, const Ins *i, uint32_t mask, int v, const uint8_t *p)
{
    uint64_t x = 0;
    memcpy(&x, p, i->width);
    if (i->type == T_S8) x = (uint64_t)(int8_t)x;
    if (i->type == T_S16) x = (uint64_t)(int16_t)x;
    if (i->type == T_S32) x = (uint64_t)(int32_t)x;
    bool wide = i->width == 8 || i->extra >> v & 1;
    uint32_t *narrow = w->file + i->d[v];
    uint64_t *d = (uint64_t *)(void *)narrow;
    if (mask == ALL_LANES && wide)
        for (int l = 0; l < LANES; l++) d[l] = x;
    else if (mask == ALL_LANES)
        for (int l = 0; l < LANES; l++) narrow[l] = (uint32_t)x;
    else
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
            int l = __builtin_ctz(rest);
            if (wide)
                d[l] = x;
            else
                narrow[l] = (uint32_t)x;
        }
}

/* All lanes have read what the first of them was checked for: that there are several is on record, too. */
static void note_second_reader(Warp *w, int lane, const uint8_t *p, uint32_t bytes)
{
    bool global = p - device_bytes >= 0 && p - device_bytes < device_capacity();
    bool shared = p >= block.shared && p < block.shared + MAX_SHARED;
    Cell *cell = global   ? device_cell + (p - device_bytes) / block.grain
                 : shared ? block.shared_cell + (p - block.shared) / block.grain
                          : 0;
    for (uint32_t b = 0; cell && b < bytes; b += block.grain)
        check_race(w, lane, &cell[b / block.grain], false, global);
}

void ptx_load_op(Warp *w, const Ins *i, uint32_t mask)
{
    uint32_t bytes = (uint32_t)i->width * i->vector;
    uint64_t address[LANES], differ = 0;
    int first = __builtin_ctz(mask);
    addresses_of(w, i, mask, address);
    for (int l = 0; l < LANES; l++) differ |= address[l] ^ address[first];
    if (!differ) { /* one access for all */
        const uint8_t *p = reach(w, i, first, address[first], bytes, false, false);
        for (int v = 0; v < i->vector; v++) put_value(w, i, mask, v, p + v * i->width);
        if (mask & (mask - 1) && i->space != SPACE_PARAM && w->launch->checked)
            note_second_reader(w, __builtin_ctz(mask & (mask - 1)), p, bytes);
    } else if (!load_words(w, i, mask, address)) {
        for (int l = 0; l < LANES; l++) {
            if (!(mask >> l & 1)) continue;
            const uint8_t *p = reach(w, i, l, address[l], bytes, false, false);
            for (int v = 0; v < i->vector; v++) put_value(w, i, 1u << l, v, p + v * i->width);
        }
    }
    if (w->launch->statistics) count_access(w, i, mask, address);
}

void ptx_store_op(Warp *w, const Ins *i, uint32_t mask)
{
    uint32_t bytes = (uint32_t)i->width * i->vector;
    uint64_t address[LANES];
    for (int l = 0; l < LANES; l++) {
        if (!(mask >> l & 1)) continue;
        address[l] = address_of(w, i, l);
        uint8_t *p = reach(w, i, l, address[l], bytes, true, false);
        for (int v = 0; v < i->vector; v++, p += i->width) {
            const uint32_t *d = w->file + i->d[v];
            if (i->width == 8 || i->extra >> v & 1)
                memcpy(p, (const uint64_t *)(const void *)d + l, i->width);
            else
                memcpy(p, d + l, i->width); /* little-endian: the low bytes */
        }
    }
    if (w->launch->statistics) count_access(w, i, mask, address);
}

/* Lane after lane. */
void ptx_atomic_op(Warp *w, const Ins *i, uint32_t mask)
{
    bool result = i->d[0] != 0;
    for (int l = 0; l < LANES; l++) {
        if (!(mask >> l & 1)) continue;
        uint64_t a = address_of(w, i, l);
        uint8_t *p = reach(w, i, l, a, 4, false, true);
        uint32_t old, value = w->file[i->a[1] + (uint32_t)l], new_;
        memcpy(&old, p, 4);
        if (i->extra == 'f') {
            float x, y;
            memcpy(&x, &old, 4);
            memcpy(&y, &value, 4);
            x += y;
            memcpy(&new_, &x, 4);
        } else {
            new_ = i->extra == 'i' ? old + value : (int32_t)old > (int32_t)value ? old : value;
        }
        memcpy(p, &new_, 4);
        if (result) w->file[i->d[0] + (uint32_t)l] = old;
    }
}

/* ---- fragments ---- */

static void find_next(Warp *w)
{
    w->next = UINT32_MAX;
    for (int f = 0; f < w->others; f++)
        if (!w->other[f].waiting && w->other[f].pc < w->next) w->next = w->other[f].pc;
}

/* The fragment furthest behind that can run becomes the running one, together with all at the same place. */
static bool take_next(Warp *w)
{
    if (w->next == UINT32_MAX) return false;
    w->pc = w->next;
    w->mask = 0;
    int kept = 0;
    for (int f = 0; f < w->others; f++) {
        if (!w->other[f].waiting && w->other[f].pc == w->pc)
            w->mask |= w->other[f].mask;
        else
            w->other[kept++] = w->other[f];
    }
    w->others = kept;
    find_next(w);
    return true;
}

static void put_aside(Warp *w, uint32_t pc, uint32_t mask, bool waiting)
{
    w->other[w->others++] = (Fragment){pc, mask, waiting};
    if (!waiting && pc < w->next) w->next = pc;
}

void ptx_branch_op(Warp *w, const Ins *i, uint32_t mask)
{
    if (mask == w->mask) {
        w->pc = (uint32_t)i->target;
        return;
    }
    put_aside(w, (uint32_t)i->target, mask, false);
    w->mask &= ~mask;
}

void ptx_return_op(Warp *w, const Ins *i, uint32_t mask)
{
    (void)i;
    w->live &= ~mask;
    w->mask &= ~mask;
    if (w->mask) return;
    if (take_next(w)) return;
    if (w->others)
        give_up(w, __builtin_ctz(w->other[0].mask),
                "divergent: lanes wait at a barrier or shuffle for others that have returned");
    w->done = true;
}

/* Waits until all lanes of `needed` are here. True: they are, and w->mask is all of them. */
static bool gathered(Warp *w, const Ins *i, uint32_t mask, uint32_t needed, const char *what)
{
    uint32_t here = (uint32_t)(i - w->launch->kernel->code);
    if (mask != w->mask) give_up(w, __builtin_ctz(w->mask & ~mask), "%s under a guard that some lanes fail", what);
    int kept = 0;
    for (int f = 0; f < w->others; f++) {
        if (w->other[f].waiting && w->other[f].pc == here)
            w->mask |= w->other[f].mask;
        else
            w->other[kept++] = w->other[f];
    }
    w->others = kept;
    if ((w->mask & needed) == needed) return true;
    int missing = __builtin_ctz(needed & ~w->mask), lane = __builtin_ctz(w->mask);
    put_aside(w, here, w->mask, true);
    if (!take_next(w)) {
        bool gone = !(w->live >> missing & 1);
        give_up(w, lane, "divergent: %s waits for lane %d, which %s", what, missing,
                gone ? "has returned" : "waits elsewhere");
    }
    return false;
}

void ptx_barrier_op(Warp *w, const Ins *i, uint32_t mask)
{
    if (w->file[i->a[0]]) give_up(w, -1, "named barriers are not implemented");
    uint32_t all = ALL_LANES;
    uint32_t threads = w->launch->block[0] * w->launch->block[1] * w->launch->block[2];
    if (threads < (uint32_t)(w->index + 1) * LANES) all = (1u << (threads - (uint32_t)w->index * LANES)) - 1;
    if (!gathered(w, i, mask, all, "barrier")) return;
    w->at_barrier = true;
}

static bool warp_collective(Warp *w, const Ins *i, uint32_t mask, const uint32_t *members, const char *what)
{
    uint32_t all = ALL_LANES;
    for (int l = 0; l < LANES; l++) all &= members[l];
    for (int l = 0; l < LANES && all != ALL_LANES; l++)
        if (mask >> l & 1 && !(members[l] >> l & 1))
            give_up(w, l, "%s by a lane that its mask 0x%x leaves out", what, members[l]);
    if (!gathered(w, i, mask, members[__builtin_ctz(mask)], what)) return false;
    w->collectives++;
    return true;
}

void ptx_warp_barrier_op(Warp *w, const Ins *i, uint32_t mask)
{
    warp_collective(w, i, mask, w->file + i->a[0], "warp barrier");
}

void ptx_shuffle_op(Warp *w, const Ins *i, uint32_t mask)
{
    const uint32_t *a = w->file + i->a[0], *b = w->file + i->a[1], *c = w->file + i->a[2], *members = w->file + i->a[3];
    if (!warp_collective(w, i, mask, members, "shuffle")) return;
    uint32_t result[LANES], found = 0;
    for (int l = 0; l < LANES; l++) {
        if (!(w->mask >> l & 1)) continue;
        int segment = (int)(c[l] >> 8 & 31), clamp = (int)(c[l] & 31), by = (int)(b[l] & 31), from = l;
        int low = l & segment, most = low | (clamp & ~segment);
        bool in = true;
        switch (i->extra) {
        case 'u': from = l - by, in = from >= most; break;
        case 'd': from = l + by, in = from <= most; break;
        case 'b': from = l ^ by, in = from <= most; break;
        default: from = low | (by & ~segment), in = from <= most;
        }
        if (!in) from = l;
        if (!(w->mask >> from & 1)) give_up(w, l, "shuffle reads lane %d, which takes no part", from);
        result[l] = a[from];
        found |= (uint32_t)in << l;
    }
    for (int l = 0; l < LANES; l++)
        if (w->mask >> l & 1) w->file[i->d[0] + (uint32_t)l] = result[l];
    uint32_t *p = w->file + i->d[1];
    *p = (*p & ~w->mask) | found;
}

void ptx_vote_op(Warp *w, const Ins *i, uint32_t mask)
{
    if (!warp_collective(w, i, mask, w->file + i->a[1], "vote")) return;
    uint32_t p = w->file[i->a[0]] & w->mask;
    bool all = p == w->mask, yes = i->extra == 'a' ? all : i->extra == 'o' ? p != 0 : all || !p;
    w->file[i->d[0]] = (w->file[i->d[0]] & ~w->mask) | (yes ? w->mask : 0);
}

void ptx_ballot_op(Warp *w, const Ins *i, uint32_t mask)
{
    if (!warp_collective(w, i, mask, w->file + i->a[1], "vote")) return;
    uint32_t p = w->file[i->a[0]] & w->mask;
    for (int l = 0; l < LANES; l++)
        if (w->mask >> l & 1) w->file[i->d[0] + (uint32_t)l] = p;
}

void ptx_active_op(Warp *w, const Ins *i, uint32_t mask)
{
    for (int l = 0; l < LANES; l++)
        if (mask >> l & 1) w->file[i->d[0] + (uint32_t)l] = w->mask;
}

/* ---- running ---- */

static void run_warp(Warp *w)
{
    const Ins *code = w->launch->kernel->code;
    int64_t instructions = 0, lanes = 0, flops = 0;
    while (!w->done && !w->at_barrier) {
        const Ins *i = block.now = code + w->pc++;
        uint32_t mask = w->mask;
        if (i->guard >= 0) mask &= i->negate ? ~w->file[i->guard] : w->file[i->guard];
        instructions++;
        lanes += __builtin_popcount(mask);
        flops += i->flops * __builtin_popcount(mask);
        if (mask) i->run(w, i, mask);
        if (w->pc >= w->next && !w->done && !w->at_barrier) { /* others are behind, or here */
            put_aside(w, w->pc, w->mask, false);
            take_next(w);
        }
    }
    w->launch->kernel->warp_instructions += instructions;
    w->launch->kernel->lane_instructions += lanes;
    w->launch->kernel->flops += flops;
}

static void set_special(Warp *w, int which, uint32_t value, bool thread)
{
    uint32_t at = w->launch->kernel->special[which];
    const uint32_t *b = w->launch->block;
    for (uint32_t l = 0; at && l < LANES; l++) {
        uint32_t t = (uint32_t)w->index * LANES + l;
        if (thread) value = which == 0 ? t % b[0] : which == 1 ? t / b[0] % b[1] : t / b[0] / b[1];
        w->file[at + l] = which == SP_LANE ? l : value;
    }
}

static uint32_t order_of(uint32_t i, uint32_t n, int order)
{
    if (order == 0) return i;
    if (order == 1) return n - 1 - i;
    uint32_t step = n > 2 ? n / 2 + 1 : 1; /* coprime to n below */
    while (n > 1) {
        uint32_t a = step, b = n;
        while (b) {
            uint32_t t = a % b;
            a = b, b = t;
        }
        if (a == 1) break;
        step++;
    }
    return (uint32_t)(((uint64_t)i * step + n / 3) % n);
}

static void run_block(Launch *l)
{
    Kernel *k = l->kernel;
    uint32_t threads = l->block[0] * l->block[1] * l->block[2];
    block.block_epoch = ++block.epoch;
    memset(block.shared, 0xff, l->shared_bytes); /* not a number, whoever reads it */
    memset(block.shared_valid, 0, l->shared_bytes);
    for (int n = 0; n < block.warps; n++) {
        Warp *w = &block.warp[n];
        uint32_t rest = threads - (uint32_t)n * LANES;
        w->pc = 0;
        w->mask = w->live = rest >= LANES ? ALL_LANES : (1u << rest) - 1;
        w->next = UINT32_MAX;
        w->others = 0;
        w->collectives = 0;
        w->done = w->at_barrier = false;
        for (int s = 0; s < 3; s++) set_special(w, SP_CTAID + s, block.id[s], false);
        if (k->local_bytes) {
            memset(w->local, 0xff, (size_t)k->local_bytes * LANES);
            memset(w->local_valid, 0, (size_t)k->local_bytes * LANES);
        }
    }
    for (;;) {
        int done = 0, waiting = 0;
        for (int n = 0; n < block.warps; n++) {
            Warp *w = &block.warp[order_of((uint32_t)n, (uint32_t)block.warps, l->order)];
            if (!w->done) run_warp(w);
            done += w->done;
            waiting += w->at_barrier;
        }
        if (done == block.warps) return;
        if (done)
            for (int n = 0; n < block.warps; n++)
                if (block.warp[n].at_barrier)
                    give_up(&block.warp[n], 0, "divergent: barrier waits for a warp that has returned");
        block.epoch++;
        int32_t at = -1;
        for (int n = 0; n < block.warps; n++) {
            Warp *w = &block.warp[n];
            if (at >= 0 && (uint32_t)at != w->pc) give_up(w, 0, "divergent: warps wait at different ones");
            at = (int32_t)w->pc;
            w->at_barrier = false;
            w->collectives = 0;
        }
    }
}

const char *ptx_run(Launch *l)
{
    Kernel *k = l->kernel;
    uint32_t threads = l->block[0] * l->block[1] * l->block[2];
    block.warps = (int)((threads + LANES - 1) / LANES);
    block.launch_epoch = ++block.epoch;
    block.grain = k->narrow ? 2 : 4;
    if (l->shared_bytes > MAX_SHARED) return "more shared memory than any device has";
    size_t words = ((size_t)k->file_words + 15) / 16 * 16, local = ((size_t)k->local_bytes + 15) / 16 * 16 * LANES;
    if (words * (size_t)block.warps > files_room) {
        free(files);
        files_room = words * (size_t)block.warps;
        files = aligned_alloc(64, files_room * sizeof *files);
        memset(files, 0xff, files_room * sizeof *files);
    }
    if (2 * local * (size_t)block.warps > locals_room) {
        free(locals);
        locals_room = 2 * local * (size_t)block.warps;
        locals = malloc(locals_room);
    }
    for (int n = 0; n < block.warps; n++) {
        Warp *w = &block.warp[n];
        w->launch = l;
        w->index = n;
        w->file = files + words * (size_t)n;
        w->local = locals + 2 * local * (size_t)n;
        w->local_valid = w->local + local;
        for (int c = 0; c < k->constants; c++)
            for (int lane = 0; lane < LANES; lane++) {
                if (k->constant[c].wide)
                    ((uint64_t *)(void *)(w->file + k->constant[c].at))[lane] = k->constant[c].value;
                else
                    w->file[k->constant[c].at + (uint32_t)lane] = (uint32_t)k->constant[c].value;
            }
        for (int s = 0; s < 3; s++) {
            set_special(w, SP_TID + s, 0, true);
            set_special(w, SP_NTID + s, l->block[s], false);
            set_special(w, SP_NCTAID + s, l->grid[s], false);
        }
        set_special(w, SP_LANE, 0, false);
        set_special(w, SP_WARP, (uint32_t)n, false);
    }
    if (setjmp(gave_up)) return message;
    uint32_t blocks = l->grid[0] * l->grid[1] * l->grid[2];
    for (uint32_t n = 0; n < blocks; n++) {
        uint32_t b = order_of(n, blocks, l->order);
        block.id[0] = b % l->grid[0];
        block.id[1] = b / l->grid[0] % l->grid[1];
        block.id[2] = b / l->grid[0] / l->grid[1];
        run_block(l);
    }
    k->launches++;
    k->blocks += blocks;
    k->threads += (int64_t)blocks * threads;
    return 0;
}
