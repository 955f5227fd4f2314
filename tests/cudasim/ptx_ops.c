/* ptx_ops: what the arithmetic instructions do, one loop over the lanes each, and the table of all instructions. */
#include <fenv.h>
#include <math.h>
#include <string.h>

#include "ptx_ops.h"

typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;
typedef int64_t s64;
typedef float f32;
typedef double f64;

/* The statement for every lane that takes part; whole warps without a test, so that it becomes vector code. */
#define EACH(...)                                                                                                      \
    do {                                                                                                               \
        if (mask == ALL_LANES) {                                                                                       \
            _Pragma("GCC ivdep") for (int l = 0; l < LANES; l++)                                                       \
            {                                                                                                          \
                __VA_ARGS__;                                                                                           \
            }                                                                                                          \
        } else {                                                                                                       \
            for (int l = 0; l < LANES; l++)                                                                            \
                if (mask >> l & 1) {                                                                                   \
                    __VA_ARGS__;                                                                                       \
                }                                                                                                      \
        }                                                                                                              \
    } while (0)
#define OUT(T, k) ((T *)(void *)(w->file + i->d[k]))
#define IN(T, k)  ((const T *)(const void *)(w->file + i->a[k]))

#define OP1(name, TD, TA, ...)                                                                                         \
    static void name(Warp *w, const Ins *i, uint32_t mask)                                                             \
    {                                                                                                                  \
        TD *d = OUT(TD, 0);                                                                                            \
        const TA *a = IN(TA, 0);                                                                                       \
        EACH(d[l] = (TD)(__VA_ARGS__));                                                                                \
    }
#define OP2(name, TD, TA, TB, ...)                                                                                     \
    static void name(Warp *w, const Ins *i, uint32_t mask)                                                             \
    {                                                                                                                  \
        TD *d = OUT(TD, 0);                                                                                            \
        const TA *a = IN(TA, 0);                                                                                       \
        const TB *b = IN(TB, 1);                                                                                       \
        EACH(d[l] = (TD)(__VA_ARGS__));                                                                                \
    }
#define OP3(name, TD, TA, TB, TC, ...)                                                                                 \
    static void name(Warp *w, const Ins *i, uint32_t mask)                                                             \
    {                                                                                                                  \
        TD *d = OUT(TD, 0);                                                                                            \
        const TA *a = IN(TA, 0);                                                                                       \
        const TB *b = IN(TB, 1);                                                                                       \
        const TC *c = IN(TC, 2);                                                                                       \
        EACH(d[l] = (TD)(__VA_ARGS__));                                                                                \
    }
#define COMPARE(name, T, ...)                                                                                          \
    static void name(Warp *w, const Ins *i, uint32_t mask)                                                             \
    {                                                                                                                  \
        const T *a = IN(T, 0), *b = IN(T, 1);                                                                          \
        uint32_t bits = 0, *d = w->file + i->d[0];                                                                     \
        for (int l = 0; l < LANES; l++) bits |= (uint32_t)((__VA_ARGS__) ? 1 : 0) << l;                                \
        *d = (*d & ~mask) | (bits & mask);                                                                             \
    }

/* The same for 32 and 64 bits, or for both floating types. */
#define INTS2(name, ...)   OP2(name##_u32, u32, u32, u32, __VA_ARGS__) OP2(name##_u64, u64, u64, u64, __VA_ARGS__)
#define SIGNED2(name, ...) OP2(name##_s32, s32, s32, s32, __VA_ARGS__) OP2(name##_s64, s64, s64, s64, __VA_ARGS__)
#define FLOATS2(name, ...) OP2(name##_f32, f32, f32, f32, __VA_ARGS__) OP2(name##_f64, f64, f64, f64, __VA_ARGS__)

INTS2(add, a[l] + b[l])
INTS2(sub, a[l] - b[l])
INTS2(mul, a[l] * b[l])
INTS2(and, a[l] & b[l])
INTS2(or, a[l] | b[l])
INTS2(xor, a[l] ^ b[l])
OP2(mulwide_u32, u64, u32, u32, (u64)a[l] * b[l])
OP2(mulwide_s32, s64, s32, s32, (s64)a[l] * b[l])
OP2(mulwide_u16, u32, u32, u32, (a[l] & 0xffff) * (b[l] & 0xffff))
OP2(mulwide_s16, s32, u32, u32, (s32)(int16_t)a[l] * (int16_t)b[l])
OP2(mulhi_u32, u32, u32, u32, (u64)a[l] * b[l] >> 32)
OP2(mulhi_s32, s32, s32, s32, (s64)a[l] * b[l] >> 32)
OP2(mulhi_u64, u64, u64, u64, (unsigned __int128)a[l] * b[l] >> 64)
OP2(mulhi_s64, s64, s64, s64, (__int128)a[l] * b[l] >> 64)
OP2(mulhi_u16, u32, u32, u32, (a[l] & 0xffff) * (b[l] & 0xffff) >> 16)
OP2(mulhi_s16, u32, u32, u32, (u32)((s32)(int16_t)a[l] * (int16_t)b[l] >> 16) & 0xffff)
OP2(add_16, u32, u32, u32, (a[l] + b[l]) & 0xffff)
OP2(sub_16, u32, u32, u32, (a[l] - b[l]) & 0xffff)
OP2(mul_16, u32, u32, u32, (a[l] * b[l]) & 0xffff)
OP2(shl_16, u32, u32, u32, b[l] > 15 ? 0 : (a[l] << b[l]) & 0xffff)
OP2(shr_u16, u32, u32, u32, b[l] > 15 ? 0 : (a[l] & 0xffff) >> b[l])
OP2(shr_s16, u32, u32, u32, (u32)((s32)(int16_t)a[l] >> (b[l] > 15 ? 15 : b[l])) & 0xffff)
OP3(mad_u32, u32, u32, u32, u32, a[l] * b[l] + c[l])
OP3(mad_u64, u64, u64, u64, u64, a[l] * b[l] + c[l])
OP3(mad_16, u32, u32, u32, u32, (a[l] * b[l] + c[l]) & 0xffff)
OP3(madwide_u32, u64, u32, u32, u64, (u64)a[l] * b[l] + c[l])
OP3(madwide_s32, u64, s32, s32, u64, (u64)((s64)a[l] * b[l]) + c[l])
OP3(madhi_u32, u32, u32, u32, u32, ((u64)a[l] * b[l] >> 32) + c[l])
OP3(madhi_s32, u32, s32, s32, u32, (u32)((s64)a[l] * b[l] >> 32) + c[l])
/* A division by zero gives all ones, as PTX leaves open; the quotient that does not fit wraps. */
OP2(div_u32, u32, u32, u32, b[l] ? a[l] / b[l] : ~0u)
OP2(div_s32, s32, s32, s32, b[l] ? (s64)a[l] / b[l] : -1)
OP2(div_u64, u64, u64, u64, b[l] ? a[l] / b[l] : ~0ull)
OP2(div_s64, s64, s64, s64, !b[l] ? -1 : b[l] == -1 ? (s64) - (u64)a[l] : a[l] / b[l])
OP2(rem_u32, u32, u32, u32, b[l] ? a[l] % b[l] : a[l])
OP2(rem_s32, s32, s32, s32, b[l] ? (s64)a[l] % b[l] : a[l])
OP2(rem_u64, u64, u64, u64, b[l] ? a[l] % b[l] : a[l])
OP2(rem_s64, s64, s64, s64, !b[l] ? a[l] : b[l] == -1 ? 0 : a[l] % b[l])
OP2(div_u16, u32, u32, u32, b[l] & 0xffff ? (a[l] & 0xffff) / (b[l] & 0xffff) : 0xffff)
OP2(rem_u16, u32, u32, u32, b[l] & 0xffff ? (a[l] & 0xffff) % (b[l] & 0xffff) : a[l] & 0xffff)
INTS2(min, a[l] < b[l] ? a[l] : b[l])
INTS2(max, a[l] > b[l] ? a[l] : b[l])
SIGNED2(min, a[l] < b[l] ? a[l] : b[l])
SIGNED2(max, a[l] > b[l] ? a[l] : b[l])
OP2(shl_32, u32, u32, u32, b[l] > 31 ? 0 : a[l] << b[l])
OP2(shl_64, u64, u64, u32, b[l] > 63 ? 0 : a[l] << b[l])
OP2(shr_u32, u32, u32, u32, b[l] > 31 ? 0 : a[l] >> b[l])
OP2(shr_s32, s32, s32, u32, a[l] >> (b[l] > 31 ? 31 : b[l]))
OP2(shr_u64, u64, u64, u32, b[l] > 63 ? 0 : a[l] >> b[l])
OP2(shr_s64, s64, s64, u32, a[l] >> (b[l] > 63 ? 63 : b[l]))
OP3(shf_l_wrap, u32, u32, u32, u32, ((u64)b[l] << 32 | a[l]) << (c[l] & 31) >> 32)
OP3(shf_r_wrap, u32, u32, u32, u32, ((u64)b[l] << 32 | a[l]) >> (c[l] & 31))
OP1(not_32, u32, u32, ~a[l])
OP1(not_64, u64, u64, ~a[l])
OP1(neg_s32, u32, u32, 0 - a[l])
OP1(neg_s64, u64, u64, 0 - a[l])
OP1(abs_s32, u32, s32, a[l] < 0 ? 0 - (u32)a[l] : (u32)a[l])
OP1(abs_s64, u64, s64, a[l] < 0 ? 0 - (u64)a[l] : (u64)a[l])
OP1(popc_32, u32, u32, __builtin_popcount(a[l]))
OP1(popc_64, u32, u64, __builtin_popcountll(a[l]))
OP1(clz_32, u32, u32, a[l] ? __builtin_clz(a[l]) : 32)
OP1(clz_64, u32, u64, a[l] ? __builtin_clzll(a[l]) : 64)
OP1(mov_32, u32, u32, a[l])
OP1(mov_64, u64, u64, a[l])

static u32 bits_taken(u32 a, u32 from, u32 length) /* bfe.u32 */
{
    from &= 255, length &= 255;
    if (!length || from > 31) return 0;
    return (a >> from) & (length > 31 ? ~0u : (1u << length) - 1);
}
static u32 bytes_picked(u32 a, u32 b, u32 how) /* prmt.b32, default mode */
{
    u64 from = (u64)b << 32 | a;
    u32 to = 0;
    for (int k = 0; k < 4; k++) {
        u32 pick = how >> 4 * k & 15, byte = (u32)(from >> 8 * (pick & 7)) & 255;
        if (pick & 8) byte = byte & 128 ? 255 : 0;
        to |= byte << 8 * k;
    }
    return to;
}
OP3(prmt_b32, u32, u32, u32, u32, bytes_picked(a[l], b[l], c[l]))
static u32 bits_put(u32 a, u32 b, u32 from, u32 length) /* bfi.b32 */
{
    from &= 255, length &= 255;
    if (!length || from > 31) return b;
    u32 mask = (length > 31 ? ~0u : (1u << length) - 1) << from;
    return (b & ~mask) | (a << from & mask);
}
static void bfi_b32(Warp *w, const Ins *i, uint32_t mask)
{
    u32 *d = OUT(u32, 0);
    const u32 *a = IN(u32, 0), *b = IN(u32, 1), *c = IN(u32, 2), *e = IN(u32, 3);
    EACH(d[l] = bits_put(a[l], b[l], c[l], e[l]));
}
OP3(bfe_u32, u32, u32, u32, u32, bits_taken(a[l], b[l], c[l]))

FLOATS2(add, a[l] + b[l])
FLOATS2(sub, a[l] - b[l])
FLOATS2(mul, a[l] * b[l])
FLOATS2(div, a[l] / b[l])
OP2(min_f32, f32, f32, f32, fminf(a[l], b[l]))
OP2(max_f32, f32, f32, f32, fmaxf(a[l], b[l]))
OP2(min_f64, f64, f64, f64, fmin(a[l], b[l]))
OP2(max_f64, f64, f64, f64, fmax(a[l], b[l]))
OP3(fma_f32, f32, f32, f32, f32, fmaf(a[l], b[l], c[l]))
OP3(fma_f64, f64, f64, f64, f64, fma(a[l], b[l], c[l]))
OP1(neg_f32, u32, u32, a[l] ^ 0x80000000u)
OP1(neg_f64, u64, u64, a[l] ^ 1ull << 63)
OP1(abs_f32, u32, u32, a[l] & 0x7fffffffu)
OP1(abs_f64, u64, u64, a[l] & ~(1ull << 63))
OP1(sqrt_f32, f32, f32, sqrtf(a[l]))
OP1(sqrt_f64, f64, f64, sqrt(a[l]))
OP1(rsqrt_f32, f32, f32, 1 / sqrtf(a[l]))
OP1(rsqrt_f64, f64, f64, 1 / sqrt(a[l]))
OP1(rcp_f32, f32, f32, 1 / a[l])
OP1(rcp_f64, f64, f64, 1 / a[l])
OP2(copysign_f32, u32, u32, u32, (a[l] & 0x80000000u) | (b[l] & 0x7fffffffu))
OP2(copysign_f64, u64, u64, u64, (a[l] & 1ull << 63) | (b[l] & ~(1ull << 63)))

static f32 flushed(f32 x) /* .ftz */
{
    return fpclassify(x) == FP_SUBNORMAL ? copysignf(0, x) : x;
}
OP1(ex2_f32, f32, f32, exp2f(a[l]))
OP1(lg2_f32, f32, f32, log2f(a[l]))
OP1(ex2_ftz_f32, f32, f32, flushed(exp2f(flushed(a[l]))))
OP1(lg2_ftz_f32, f32, f32, log2f(flushed(a[l])))
OP1(rcp_ftz_f32, f32, f32, flushed(1 / flushed(a[l])))
OP1(rcp_ftz_f64, f64, f64, 1 / a[l])

/* Rounding downwards, upwards or towards zero, as exponentials and logarithms ask for. */
static void directed_add(Warp *w, const Ins *i, uint32_t mask)
{
    f32 *d = OUT(f32, 0);
    const f32 *a = IN(f32, 0), *b = IN(f32, 1);
    int before = fegetround();
    fesetround(FE_TOWARDZERO);
    EACH(volatile f32 x = a[l], y = b[l]; volatile f32 r = x + y; d[l] = r);
    fesetround(before);
}

static void directed_fma(Warp *w, const Ins *i, uint32_t mask)
{
    f32 *d = OUT(f32, 0);
    const f32 *a = IN(f32, 0), *b = IN(f32, 1), *c = IN(f32, 2);
    int before = fegetround();
    fesetround(i->extra == 'm' ? FE_DOWNWARD : i->extra == 'p' ? FE_UPWARD : FE_TOWARDZERO);
    EACH(volatile f32 x = a[l], y = b[l], z = c[l]; volatile f32 r = fmaf(x, y, z); d[l] = r);
    fesetround(before);
}

/* ---- comparisons ---- */
#define COMPARES(T, suffix)                                                                                            \
    COMPARE(eq_##suffix, T, a[l] == b[l])                                                                              \
    COMPARE(ne_##suffix, T, a[l] != b[l])                                                                              \
    COMPARE(lt_##suffix, T, a[l] < b[l])                                                                               \
    COMPARE(le_##suffix, T, a[l] <= b[l])                                                                              \
    COMPARE(gt_##suffix, T, a[l] > b[l])                                                                               \
    COMPARE(ge_##suffix, T, a[l] >= b[l])
COMPARES(u32, u32)
COMPARES(s32, s32)
COMPARES(u64, u64)
COMPARES(s64, s64)
COMPARES(f32, f32)
COMPARES(f64, f64)
/* 16 bits lie in the lower half of a lane */
#define COMPARES16(T, suffix)                                                                                          \
    COMPARE(eq_##suffix, u32, (T)a[l] == (T)b[l])                                                                      \
    COMPARE(ne_##suffix, u32, (T)a[l] != (T)b[l])                                                                      \
    COMPARE(lt_##suffix, u32, (T)a[l] < (T)b[l])                                                                       \
    COMPARE(le_##suffix, u32, (T)a[l] <= (T)b[l])                                                                      \
    COMPARE(gt_##suffix, u32, (T)a[l] > (T)b[l])                                                                       \
    COMPARE(ge_##suffix, u32, (T)a[l] >= (T)b[l])
COMPARES16(uint16_t, u16)
COMPARES16(int16_t, s16)
/* true also where an operand is NaN; C's ne of floats is PTX's neu, and lt or gt is its ne */
#define UNORDERED(T, suffix)                                                                                           \
    COMPARE(equ_##suffix, T, !(a[l] < b[l] || a[l] > b[l]))                                                            \
    COMPARE(neo_##suffix, T, a[l]<b[l] || a[l]> b[l])                                                                  \
    COMPARE(ltu_##suffix, T, !(a[l] >= b[l]))                                                                          \
    COMPARE(leu_##suffix, T, !(a[l] > b[l]))                                                                           \
    COMPARE(gtu_##suffix, T, !(a[l] <= b[l]))                                                                          \
    COMPARE(geu_##suffix, T, !(a[l] < b[l]))                                                                           \
    COMPARE(num_##suffix, T, a[l] == a[l] && b[l] == b[l])                                                             \
    COMPARE(nan_##suffix, T, a[l] != a[l] || b[l] != b[l])
UNORDERED(f32, f32)
UNORDERED(f64, f64)

#define SELECT(name, T)                                                                                                \
    static void name(Warp *w, const Ins *i, uint32_t mask)                                                             \
    {                                                                                                                  \
        T *d = OUT(T, 0);                                                                                              \
        const T *a = IN(T, 0), *b = IN(T, 1);                                                                          \
        uint32_t p = w->file[i->a[2]];                                                                                 \
        EACH(d[l] = p >> l & 1 ? a[l] : b[l]);                                                                         \
    }
SELECT(selp_32, u32)
SELECT(selp_64, u64)

#define PREDICATE(name, ...)                                                                                           \
    static void name(Warp *w, const Ins *i, uint32_t mask)                                                             \
    {                                                                                                                  \
        uint32_t a = w->file[i->a[0]], b = i->a[1] ? w->file[i->a[1]] : 0, *d = w->file + i->d[0];                     \
        (void)b;                                                                                                       \
        *d = (*d & ~mask) | ((__VA_ARGS__)&mask);                                                                      \
    }
PREDICATE(and_pred, a &b)
PREDICATE(or_pred, a | b)
PREDICATE(xor_pred, a ^ b)
PREDICATE(not_pred, ~a)
PREDICATE(mov_pred, a)

/* ---- conversions ---- */
OP1(cvt_s64_s32, s64, s32, a[l])
OP1(cvt_u64_u32, u64, u32, a[l])
OP1(cvt_s64_low, s64, u64, (s32)a[l])
OP1(cvt_u64_low, u64, u64, (u32)a[l])
OP1(cvt_32_64, u32, u64, a[l])
OP1(cvt_u16_32, u32, u32, a[l] & 0xffff)
OP1(cvt_u16_64, u32, u64, a[l] & 0xffff)
OP1(cvt_u32_u16, u32, u32, a[l] & 0xffff)
OP1(cvt_s32_s16, s32, u32, (int16_t)a[l])
OP1(cvt_u64_u16, u64, u32, a[l] & 0xffff)
OP1(cvt_s64_s16, s64, u32, (int16_t)a[l])
OP1(cvt_32_u8, u32, u32, a[l] & 0xff)
OP1(cvt_s32_s8, s32, u32, (int8_t)a[l])
OP1(cvt_s16_s8, u32, u32, (u32)(int8_t)a[l] & 0xffff)
OP1(cvt_f32_s32, f32, s32, a[l])
OP1(cvt_f32_u32, f32, u32, a[l])
OP1(cvt_f32_u16, f32, u32, a[l] & 0xffff)
OP1(cvt_f32_s16, f32, u32, (int16_t)a[l])
OP1(cvt_f32_s64, f32, s64, a[l])
OP1(cvt_f32_u64, f32, u64, a[l])
OP1(cvt_f64_s32, f64, s32, a[l])
OP1(cvt_f64_u32, f64, u32, a[l])
OP1(cvt_f64_s64, f64, s64, a[l])
OP1(cvt_f64_u64, f64, u64, a[l])
OP1(cvt_f64_f32, f64, f32, a[l])
OP1(cvt_f32_f64, f32, f64, a[l])
OP1(cvt_sat_f32, f32, f32, a[l] > 1 ? 1.0f : a[l] > 0 ? a[l] : 0.0f)
OP1(trunc_f32, f32, f32, truncf(a[l]))
OP1(floor_f32, f32, f32, floorf(a[l]))
OP1(ceil_f32, f32, f32, ceilf(a[l]))
OP1(rint_f32, f32, f32, rintf(a[l]))
OP1(trunc_f64, f64, f64, trunc(a[l]))
OP1(floor_f64, f64, f64, floor(a[l]))
OP1(ceil_f64, f64, f64, ceil(a[l]))
OP1(rint_f64, f64, f64, rint(a[l]))
/* To an integer: what does not fit becomes the nearest that does, NaN 0. */
static s64 clamped(f64 x, f64 low, f64 high)
{
    return isnan(x) ? 0 : x < low ? (s64)low : x > high ? (s64)high : (s64)x;
}
OP1(trunc_s32_f32, s32, f32, clamped(trunc((f64)a[l]), -2147483648.0, 2147483647.0))
OP1(floor_s32_f32, s32, f32, clamped(floor((f64)a[l]), -2147483648.0, 2147483647.0))
OP1(ceil_s32_f32, s32, f32, clamped(ceil((f64)a[l]), -2147483648.0, 2147483647.0))
OP1(rint_s32_f32, s32, f32, clamped(rint((f64)a[l]), -2147483648.0, 2147483647.0))
OP1(trunc_u32_f32, u32, f32, clamped(trunc((f64)a[l]), 0, 4294967295.0))
OP1(trunc_s32_f64, s32, f64, clamped(trunc(a[l]), -2147483648.0, 2147483647.0))
OP1(rint_s32_f64, s32, f64, clamped(rint(a[l]), -2147483648.0, 2147483647.0))
OP1(trunc_u32_f64, u32, f64, clamped(trunc(a[l]), 0, 4294967295.0))

static void mov_unpack(Warp *w, const Ins *i, uint32_t mask) /* mov.b64 {a, b}, c */
{
    u32 *d = OUT(u32, 0), *e = OUT(u32, 1);
    const u64 *a = IN(u64, 0);
    EACH(d[l] = (u32)a[l]; e[l] = (u32)(a[l] >> 32));
}
OP2(mov_pack, u64, u32, u32, (u64)b[l] << 32 | a[l])
OP2(mov_pack_16, u32, u32, u32, b[l] << 16 | (a[l] & 0xffff))

static u32 nearest_bf16(u32 a) /* of a float's bits; ties to even */
{
    return (a & 0x7fffffffu) > 0x7f800000u ? 0x7fff : (a + 0x7fff + (a >> 16 & 1)) >> 16;
}
OP1(cvt_f32_bf16, u32, u32, a[l] << 16)
OP1(cvt_bf16_f32, u32, u32, nearest_bf16(a[l]))

/* ---- addresses ---- */
OP1(generic_shared, u64, u64, a[l] + WINDOW_SHARED)
OP1(generic_local, u64, u64, a[l] + WINDOW_LOCAL)
OP1(from_shared, u64, u64, a[l] - WINDOW_SHARED)
OP1(from_local, u64, u64, a[l] - WINDOW_LOCAL)

static void nothing(Warp *w, const Ins *i, uint32_t mask) /* fences: memory is always in order here */
{
    (void)w, (void)i, (void)mask;
}

#define INT_ROWS(op, name)                                                                                             \
    {op ".u32", name##_u32, "b|bb"}, {op ".s32", name##_u32, "b|bb"}, {op ".u64", name##_u64, "l|ll"},                 \
    {                                                                                                                  \
        op ".s64", name##_u64, "l|ll"                                                                                  \
    }
#define SIGN_ROWS(op, name)                                                                                            \
    {op ".u32", name##_u32, "b|bb"}, {op ".s32", name##_s32, "b|bb"}, {op ".u64", name##_u64, "l|ll"},                 \
    {                                                                                                                  \
        op ".s64", name##_s64, "l|ll"                                                                                  \
    }
#define BIT_ROWS(op, name)                                                                                             \
    {op ".b32", name##_u32, "b|bb"}, {op ".b64", name##_u64, "l|ll"},                                                  \
    {                                                                                                                  \
        op ".b16", name##_u32, "b|bb"                                                                                  \
    }
#define FLOAT_ROWS(op, name)                                                                                           \
    {op ".f32", name##_f32, "b|bb"},                                                                                   \
    {                                                                                                                  \
        op ".f64", name##_f64, "l|ll"                                                                                  \
    }
#define SETP_ROWS(op)                                                                                                  \
    {"setp." #op ".u32", op##_u32, "p|bb"}, {"setp." #op ".s32", op##_s32, "p|bb"},                                    \
        {"setp." #op ".u64", op##_u64, "p|ll"}, {"setp." #op ".s64", op##_s64, "p|ll"},                                \
        {"setp." #op ".u16", op##_u16, "p|bb"},                                                                        \
    {                                                                                                                  \
        "setp." #op ".s16", op##_s16, "p|bb"                                                                           \
    }
#define SETP_FLOAT(op, name)                                                                                           \
    {"setp." op ".f32", name##_f32, "p|bb"},                                                                           \
    {                                                                                                                  \
        "setp." op ".f64", name##_f64, "p|ll"                                                                          \
    }

/* Sorted by what they do; the first match counts. */
static const OpRow rows[] = {
    {"ld", ptx_load_op, ""},
    {"st", ptx_store_op, ""},
    {"bra", ptx_branch_op, ""},
    {"ret", ptx_return_op, "|"},
    {"exit", ptx_return_op, "|"},
    {"bar", ptx_barrier_op, "|b"},
    {"barrier", ptx_barrier_op, "|b"},
    {"bar.warp", ptx_warp_barrier_op, "|b"},
    {"shfl.up.b32", ptx_shuffle_op, "bp|bbbb", 'u'},
    {"shfl.down.b32", ptx_shuffle_op, "bp|bbbb", 'd'},
    {"shfl.bfly.b32", ptx_shuffle_op, "bp|bbbb", 'b'},
    {"shfl.idx.b32", ptx_shuffle_op, "bp|bbbb", 'i'},
    {"vote.all.pred", ptx_vote_op, "p|pb", 'a'},
    {"vote.any.pred", ptx_vote_op, "p|pb", 'o'},
    {"vote.uni.pred", ptx_vote_op, "p|pb", 'u'},
    {"vote.ballot.b32", ptx_ballot_op, "b|pb"},
    {"activemask.b32", ptx_active_op, "b|"},
    {"atom.global.add.u32", ptx_atomic_op, "b|Gb", 'i'},
    {"atom.global.add.f32", ptx_atomic_op, "b|Gb", 'f'},
    {"atom.global.max.s32", ptx_atomic_op, "b|Gb", 'x'},
    {"red.global.add.u32", ptx_atomic_op, "|Gb", 'i'},
    {"red.global.add.f32", ptx_atomic_op, "|Gb", 'f'},
    {"red.global.max.s32", ptx_atomic_op, "|Gb", 'x'},
    {"atom.shared.add.u32", ptx_atomic_op, "b|Sb", 'i'},
    {"atom.shared.add.f32", ptx_atomic_op, "b|Sb", 'f'},
    {"membar.gl", nothing, "|"},
    {"membar.cta", nothing, "|"},
    {"fence.acq_rel.gpu", nothing, "|"},
    {"fence.sc.gpu", nothing, "|"},
    {"mov.u32", mov_32, "b|b"},
    {"mov.s32", mov_32, "b|b"},
    {"mov.b32", mov_32, "b|b"},
    {"mov.f32", mov_32, "b|b"},
    {"mov.u16", mov_32, "b|b"},
    {"mov.b16", mov_32, "b|b"},
    {"mov.u64", mov_64, "l|l"},
    {"mov.s64", mov_64, "l|l"},
    {"mov.b64", mov_64, "l|l"},
    {"mov.f64", mov_64, "l|l"},
    {"mov.pred", mov_pred, "p|p"},
    {"mov.b64 unpack", mov_unpack, "bb|l"},
    {"mov.b64 pack", mov_pack, "l|bb"},
    {"mov.b32 pack", mov_pack_16, "b|bb"},
    {"cvta.to.global.u64", mov_64, "l|l"},
    {"cvta.global.u64", mov_64, "l|l"},
    {"cvta.param.u64", mov_64, "l|l"},
    {"cvta.shared.u64", generic_shared, "l|l"},
    {"cvta.local.u64", generic_local, "l|l"},
    {"cvta.to.shared.u64", from_shared, "l|l"},
    {"cvta.to.local.u64", from_local, "l|l"},
    INT_ROWS("add", add),
    INT_ROWS("sub", sub),
    INT_ROWS("mul.lo", mul),
    {"add.u16", add_16, "b|bb"},
    {"add.s16", add_16, "b|bb"},
    {"sub.u16", sub_16, "b|bb"},
    {"sub.s16", sub_16, "b|bb"},
    {"mul.lo.u16", mul_16, "b|bb"},
    {"mul.lo.s16", mul_16, "b|bb"},
    {"mad.lo.u16", mad_16, "b|bbb"},
    {"mad.lo.s16", mad_16, "b|bbb"},
    {"div.u16", div_u16, "b|bb"},
    {"rem.u16", rem_u16, "b|bb"},
    {"shl.b16", shl_16, "b|bb"},
    {"shr.u16", shr_u16, "b|bb"},
    {"shr.s16", shr_s16, "b|bb"},
    {"mul.wide.u16", mulwide_u16, "b|bb"},
    {"mul.wide.s16", mulwide_s16, "b|bb"},
    {"mul.hi.u16", mulhi_u16, "b|bb"},
    {"mul.hi.s16", mulhi_s16, "b|bb"},
    {"mul.wide.u32", mulwide_u32, "l|bb"},
    {"mul.wide.s32", mulwide_s32, "l|bb"},
    {"mul.hi.u32", mulhi_u32, "b|bb"},
    {"mul.hi.s32", mulhi_s32, "b|bb"},
    {"mul.hi.u64", mulhi_u64, "l|ll"},
    {"mul.hi.s64", mulhi_s64, "l|ll"},
    {"mad.lo.u32", mad_u32, "b|bbb"},
    {"mad.lo.s32", mad_u32, "b|bbb"},
    {"mad.lo.u64", mad_u64, "l|lll"},
    {"mad.lo.s64", mad_u64, "l|lll"},
    {"mad.wide.u32", madwide_u32, "l|bbl"},
    {"mad.wide.s32", madwide_s32, "l|bbl"},
    {"mad.hi.u32", madhi_u32, "b|bbb"},
    {"mad.hi.s32", madhi_s32, "b|bbb"},
    SIGN_ROWS("div", div),
    SIGN_ROWS("rem", rem),
    SIGN_ROWS("min", min),
    SIGN_ROWS("max", max),
    BIT_ROWS("and", and),
    BIT_ROWS("or", or),
    BIT_ROWS("xor", xor),
    {"and.pred", and_pred, "p|pp"},
    {"or.pred", or_pred, "p|pp"},
    {"xor.pred", xor_pred, "p|pp"},
    {"not.pred", not_pred, "p|p"},
    {"not.b32", not_32, "b|b"},
    {"not.b64", not_64, "l|l"},
    {"neg.s32", neg_s32, "b|b"},
    {"neg.s64", neg_s64, "l|l"},
    {"abs.s32", abs_s32, "b|b"},
    {"abs.s64", abs_s64, "l|l"},
    {"popc.b32", popc_32, "b|b"},
    {"popc.b64", popc_64, "b|l"},
    {"clz.b32", clz_32, "b|b"},
    {"clz.b64", clz_64, "b|l"},
    {"prmt.b32", prmt_b32, "b|bbb"},
    {"bfi.b32", bfi_b32, "b|bbbb"},
    {"bfe.u32", bfe_u32, "b|bbb"},
    {"shl.b32", shl_32, "b|bb"},
    {"shl.b64", shl_64, "l|lb"},
    {"shr.u32", shr_u32, "b|bb"},
    {"shr.s32", shr_s32, "b|bb"},
    {"shr.b32", shr_u32, "b|bb"},
    {"shr.u64", shr_u64, "l|lb"},
    {"shr.s64", shr_s64, "l|lb"},
    {"shr.b64", shr_u64, "l|lb"},
    {"shf.l.wrap.b32", shf_l_wrap, "b|bbb"},
    {"shf.r.wrap.b32", shf_r_wrap, "b|bbb"},
    FLOAT_ROWS("add", add),
    FLOAT_ROWS("sub", sub),
    FLOAT_ROWS("mul", mul),
    FLOAT_ROWS("div", div),
    FLOAT_ROWS("min", min),
    FLOAT_ROWS("max", max),
    FLOAT_ROWS("copysign", copysign),
    {"fma.f32", fma_f32, "b|bbb"},
    {"fma.f64", fma_f64, "l|lll"},
    {"add.rz.f32", directed_add, "b|bb"},
    {"fma.rm.f32", directed_fma, "b|bbb", 'm'},
    {"fma.rp.f32", directed_fma, "b|bbb", 'p'},
    {"fma.rz.f32", directed_fma, "b|bbb", 'z'},
    {"neg.f32", neg_f32, "b|b"},
    {"neg.f64", neg_f64, "l|l"},
    {"abs.f32", abs_f32, "b|b"},
    {"abs.f64", abs_f64, "l|l"},
    {"sqrt.f32", sqrt_f32, "b|b"},
    {"sqrt.f64", sqrt_f64, "l|l"},
    {"rsqrt.approx.f32", rsqrt_f32, "b|b"},
    {"rsqrt.approx.f64", rsqrt_f64, "l|l"},
    {"rcp.f32", rcp_f32, "b|b"},
    {"rcp.f64", rcp_f64, "l|l"},
    {"rcp.approx.f32", rcp_f32, "b|b"},
    {"rcp.approx.ftz.f32", rcp_ftz_f32, "b|b"},
    {"rcp.approx.ftz.f64", rcp_ftz_f64, "l|l"},
    {"ex2.approx.f32", ex2_f32, "b|b"},
    {"ex2.approx.ftz.f32", ex2_ftz_f32, "b|b"},
    {"lg2.approx.f32", lg2_f32, "b|b"},
    {"lg2.approx.ftz.f32", lg2_ftz_f32, "b|b"},
    {"selp.b32", selp_32, "b|bbp"},
    {"selp.u32", selp_32, "b|bbp"},
    {"selp.s32", selp_32, "b|bbp"},
    {"selp.f32", selp_32, "b|bbp"},
    {"selp.b16", selp_32, "b|bbp"},
    {"selp.u16", selp_32, "b|bbp"},
    {"selp.b64", selp_64, "l|llp"},
    {"selp.u64", selp_64, "l|llp"},
    {"selp.s64", selp_64, "l|llp"},
    {"selp.f64", selp_64, "l|llp"},
    SETP_ROWS(eq),
    SETP_ROWS(ne),
    SETP_ROWS(lt),
    SETP_ROWS(le),
    SETP_ROWS(gt),
    SETP_ROWS(ge),
    {"setp.eq.b32", eq_u32, "p|bb"},
    {"setp.ne.b32", ne_u32, "p|bb"},
    {"setp.eq.b64", eq_u64, "p|ll"},
    {"setp.ne.b64", ne_u64, "p|ll"},
    {"setp.eq.b16", eq_u16, "p|bb"},
    {"setp.ne.b16", ne_u16, "p|bb"},
    SETP_FLOAT("eq", eq),
    SETP_FLOAT("ne", neo),
    SETP_FLOAT("lt", lt),
    SETP_FLOAT("le", le),
    SETP_FLOAT("gt", gt),
    SETP_FLOAT("ge", ge),
    SETP_FLOAT("equ", equ),
    SETP_FLOAT("neu", ne),
    SETP_FLOAT("ltu", ltu),
    SETP_FLOAT("leu", leu),
    SETP_FLOAT("gtu", gtu),
    SETP_FLOAT("geu", geu),
    SETP_FLOAT("num", num),
    SETP_FLOAT("nan", nan),
    {"cvt.s64.s32", cvt_s64_s32, "l|b"},
    {"cvt.u64.u32", cvt_u64_u32, "l|b"},
    {"cvt.s64.u32", cvt_u64_u32, "l|b"},
    {"cvt.u64.s32", cvt_s64_s32, "l|b"},
    {"cvt.s64.s32 wide", cvt_s64_low, "l|l"},
    {"cvt.u64.u32 wide", cvt_u64_low, "l|l"},
    {"cvt.u32.u64", cvt_32_64, "b|l"},
    {"cvt.u32.s64", cvt_32_64, "b|l"},
    {"cvt.s32.s64", cvt_32_64, "b|l"},
    {"cvt.s32.u64", cvt_32_64, "b|l"},
    {"cvt.u16.u32", cvt_u16_32, "b|b"},
    {"cvt.s16.s32", cvt_u16_32, "b|b"},
    {"cvt.u16.s32", cvt_u16_32, "b|b"},
    {"cvt.u16.u64", cvt_u16_64, "b|l"},
    {"cvt.u32.u16", cvt_u32_u16, "b|b"},
    {"cvt.s32.u16", cvt_u32_u16, "b|b"},
    {"cvt.s32.s16", cvt_s32_s16, "b|b"},
    {"cvt.u32.s16", cvt_s32_s16, "b|b"},
    {"cvt.u64.u16", cvt_u64_u16, "l|b"},
    {"cvt.s64.s16", cvt_s64_s16, "l|b"},
    {"cvt.u32.u8", cvt_32_u8, "b|b"},
    {"cvt.u16.u8", cvt_32_u8, "b|b"},
    {"cvt.s32.s8", cvt_s32_s8, "b|b"},
    {"cvt.s16.s8", cvt_s16_s8, "b|b"},
    {"cvt.f32.s32", cvt_f32_s32, "b|b"},
    {"cvt.f32.u32", cvt_f32_u32, "b|b"},
    {"cvt.f32.u16", cvt_f32_u16, "b|b"},
    {"cvt.f32.s16", cvt_f32_s16, "b|b"},
    {"cvt.f32.s64", cvt_f32_s64, "b|l"},
    {"cvt.f32.u64", cvt_f32_u64, "b|l"},
    {"cvt.f64.s32", cvt_f64_s32, "l|b"},
    {"cvt.f64.u32", cvt_f64_u32, "l|b"},
    {"cvt.f64.s64", cvt_f64_s64, "l|l"},
    {"cvt.f64.u64", cvt_f64_u64, "l|l"},
    {"cvt.f64.f32", cvt_f64_f32, "l|b"},
    {"cvt.f32.f64", cvt_f32_f64, "b|l"},
    {"cvt.f32.bf16", cvt_f32_bf16, "b|b"},
    {"cvt.bf16.f32", cvt_bf16_f32, "b|b"},
    {"cvt.sat.f32.f32", cvt_sat_f32, "b|b"},
    {"cvt.rzi.f32.f32", trunc_f32, "b|b"},
    {"cvt.rmi.f32.f32", floor_f32, "b|b"},
    {"cvt.rpi.f32.f32", ceil_f32, "b|b"},
    {"cvt.rni.f32.f32", rint_f32, "b|b"},
    {"cvt.rzi.f64.f64", trunc_f64, "l|l"},
    {"cvt.rmi.f64.f64", floor_f64, "l|l"},
    {"cvt.rpi.f64.f64", ceil_f64, "l|l"},
    {"cvt.rni.f64.f64", rint_f64, "l|l"},
    {"cvt.rzi.s32.f32", trunc_s32_f32, "b|b"},
    {"cvt.rmi.s32.f32", floor_s32_f32, "b|b"},
    {"cvt.rpi.s32.f32", ceil_s32_f32, "b|b"},
    {"cvt.rni.s32.f32", rint_s32_f32, "b|b"},
    {"cvt.rzi.u32.f32", trunc_u32_f32, "b|b"},
    {"cvt.rzi.s32.f64", trunc_s32_f64, "b|l"},
    {"cvt.rni.s32.f64", rint_s32_f64, "b|l"},
    {"cvt.rzi.u32.f64", trunc_u32_f64, "b|l"},
};

const OpRow *ptx_op(const char *key)
{
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        if (!strcmp(rows[r].key, key)) return &rows[r];
    return 0;
}
