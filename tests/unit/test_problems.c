/* Problem records from outside: what is taken, and what is refused, in a line that says why. */
#include "base/rng.h"
#include "check.h"
#include "data/problems.h"

static Arena memory;

/* A record of a problem of the table, all arrays its own, with room behind them. */
static ProblemRecord record_of(Arena *a, const char *name)
{
    enum { ROOM = 8 };
    Problem p;
    CHECK(!problem_find(a, name, &p));
    const int64_t dofs = problem_dofs(&p);
    uint8_t *mask = NEW(a, uint8_t, p.W * p.H);
    memcpy(mask, p.mask, (size_t)(p.W * p.H));
    ProblemRecord r = {.name = p.name,
                       .family = p.family,
                       .split = SPLIT_TRAIN,
                       .width = p.W,
                       .height = p.H,
                       .density = p.density,
                       .mask = mask,
                       .mask_bytes = p.W * p.H,
                       .fixed = NEW(a, int64_t, dofs + ROOM),
                       .load_dof = NEW(a, int64_t, dofs + ROOM),
                       .load = NEW(a, double, dofs + ROOM)};
    for (int64_t i = 0; i < dofs; i++) {
        if (p.fixed[i]) r.fixed[r.fixed_count++] = i;
        if (p.load[i] < 0 || p.load[i] > 0) r.load_dof[r.load_count] = i, r.load[r.load_count++] = p.load[i];
    }
    return r;
}

static const char *take(Arena *a, const ProblemRecord *r)
{
    Dataset d = {.info = {.name = "p", .task = "simulation", .split_count = {1, 0, 0, 0}}};
    int64_t seen[SPLIT_COUNT] = {0};
    CHECK(!problems_room(a, &d));
    const char *why = problems_take(a, &d, r, seen);
    CHECK_EQ(seen[SPLIT_TRAIN], !why);
    CHECK_EQ(d.split[SPLIT_TRAIN].count, !why);
    return why;
}

enum {
    GOOD,
    WIDE,
    FLAT,
    ONE,
    HUGE_GRID,
    DENSE,
    EMPTY,
    NOT_A_NUMBER,
    LOOSE,
    ROLLING,
    HELD_OUTSIDE,
    HELD_TWICE,
    LOAD_OUTSIDE,
    LOAD_ORDER,
    LOAD_INFINITE,
    UNLOADED,
    LOAD_HELD,
    GREY_MASK,
    NO_MASK,
    REFERENCE,
    SECOND,
    OTHER_SPLIT,
    CASES
};

static void test_bad_records(void)
{
    static const char *const expected[CASES] = {
        [WIDE] = "5000",
        [FLAT] = "0",
        [ONE] = "a grid of one element",
        [HUGE_GRID] = "element",
        [DENSE] = "density 1",
        [EMPTY] = "density 0",
        [NOT_A_NUMBER] = "density",
        [LOOSE] = "no supports",
        [ROLLING] = "free to move",
        [HELD_OUTSIDE] = "a support on degree of freedom 850 is outside the grid, which has 850",
        [HELD_TWICE] = "out of order",
        [LOAD_OUTSIDE] = "a load on degree of freedom 9999",
        [LOAD_ORDER] = "out of order",
        [LOAD_INFINITE] = "a load is inf",
        [UNLOADED] = "load",
        [LOAD_HELD] = "load",
        [GREY_MASK] = "mask is 2",
        [NO_MASK] = "no element may be filled",
        [REFERENCE] = "reference",
        [SECOND] = "out of order",
        [OTHER_SPLIT] = "announced"};
    for (int i = 0; i < CASES; i++) {
        Arena a = memory;
        ProblemRecord r = record_of(&a, "mbb_beam_24x16_0.5");
        uint8_t *mask = (uint8_t *)r.mask;
        switch (i) {
        case WIDE: r.width = 5000; break;
        case FLAT: r.height = 0; break;
        case ONE: r.width = r.height = 1; break;
        case HUGE_GRID: r.width = r.height = 4096; break;
        case DENSE: r.density = 1; break;
        case EMPTY: r.density = 0; break;
        case NOT_A_NUMBER: r.density = NAN; break;
        case LOOSE: r.fixed_count = 0; break;
        case ROLLING: r.fixed_count--; break; /* held against x alone */
        case HELD_OUTSIDE: r.fixed[r.fixed_count++] = 2 * 25 * 17; break;
        case HELD_TWICE: r.fixed[1] = r.fixed[0]; break;
        case LOAD_OUTSIDE: r.load_dof[0] = 9999; break;
        case LOAD_ORDER: r.load_dof[1] = 0, r.load[1] = 1, r.load_count = 2; break;
        case LOAD_INFINITE: r.load[0] = INFINITY; break;
        case UNLOADED: r.load_count = 0; break;
        case LOAD_HELD: r.load_dof[0] = r.fixed[0]; break;
        case GREY_MASK: mask[7] = 2; break;
        case NO_MASK: memset(mask, 0, (size_t)r.mask_bytes); break;
        case REFERENCE: r.reference = NAN; break;
        case SECOND: r.index = 1; break;
        case OTHER_SPLIT: r.split = SPLIT_TEST; break;
        default: break;
        }
        const char *why = take(&a, &r);
        if (i == GOOD)
            CHECK(!why);
        else if (CHECK(why))
            CHECK_CONTAINS(why, expected[i]);
    }
    Arena a = memory;
    Dataset d = {.info = {.name = "p", .task = "classification", .split_count = {1, 0, 0, 0}}};
    const ProblemRecord r = record_of(&a, "mbb_beam_24x16_0.5");
    CHECK_CONTAINS(problems_take(&a, &d, &r, (int64_t[SPLIT_COUNT]){0}),
                   "a problem in a dataset of task classification");
}

/* Numbers changed at random: taken or refused, and what is taken can be simulated or says why not. */
static void test_damage(void)
{
    static const double numbers[] = {0, -1, 0.5, 1, 1e300, NAN, INFINITY};
    int64_t taken = 0;
    for (uint64_t i = 0; i < 200; i++) {
        Arena a = memory;
        ProblemRecord r = record_of(&a, "hoop_16x32_0.25");
        for (uint64_t k = 0; k < 2; k++) {
            const uint64_t at = i * 8 + k * 4;
            const double number = numbers[rng_below(1, RNG_TEST, at, COUNTOF(numbers))];
            const int64_t dof = rng_below(1, RNG_TEST, at + 1, 1200);
            switch (rng_below(1, RNG_TEST, at + 2, 6)) {
            case 0: r.density = number; break;
            case 1: r.load[rng_below(1, RNG_TEST, at + 3, r.load_count)] = number; break;
            case 2: r.load_dof[rng_below(1, RNG_TEST, at + 3, r.load_count)] = dof; break;
            case 3: r.fixed[rng_below(1, RNG_TEST, at + 3, r.fixed_count)] = dof; break;
            case 4: ((uint8_t *)r.mask)[rng_below(1, RNG_TEST, at + 3, r.mask_bytes)] = (uint8_t)dof; break;
            default: r.reference = number; break;
            }
        }
        const char *why = take(&a, &r);
        taken += !why;
        if (why) CHECK(*why && !strchr(why, '\n'));
    }
    CHECK(taken > 5 && taken < 195);
}

int main(void)
{
    memory = arena_reserve((ptrdiff_t)1 << 30);
    CHECK_RUN(test_bad_records);
    CHECK_RUN(test_damage);
    return check_done("problems");
}
