/* check: assertions of the unit tests.
 *
 *   static void test_sum(void) { CHECK_EQ(1 + 1, 2); }
 *   int main(void) { CHECK_RUN(test_sum); return check_done("sum"); }
 *
 * A failed check is printed and counted, and the test goes on; CHECK returns whether it held, so `if (!CHECK(p)) return;`
 * stops where going on makes no sense.  Each test case that had a failure is named.  The last line of standard output is
 * "name: N cases passed, N failed, N skipped, N checks", which tests/run adds up.  A program without cases or checks fails.
 * NAS_TEST_CASE=WORD runs those cases alone whose names hold the word.
 */
#ifndef NAS_CHECK_H
#define NAS_CHECK_H
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    const char *test;
    const char *skipped; /* why the present case was skipped */
    int64_t checks, failures, cases, failed_cases, skipped_cases;
} check_state;

__attribute__((format(printf, 4, 5), unused)) static bool check_report(bool held, const char *file, int line,
                                                                       const char *format, ...)
{
    check_state.checks++;
    if (held) return true;
    if (++check_state.failures > 200) return false; /* the first ones tell enough */
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fprintf(stderr, "%s:%d: %s: ", file, line, check_state.test ? check_state.test : "main");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return false;
}

__attribute__((unused)) static bool check_int(int64_t a, int64_t b, const char *ta, const char *tb, const char *file,
                                              int line)
{
    return check_report(a == b, file, line, "%s is %" PRId64 ", expected %s = %" PRId64, ta, a, tb, b);
}

__attribute__((unused)) static bool check_string(const char *a, const char *b, const char *ta, const char *file,
                                                 int line)
{
    bool same = a == b || (a && b && !strcmp(a, b));
    return check_report(same, file, line, "%s is \"%s\", expected \"%s\"", ta, a ? a : "(null)", b ? b : "(null)");
}

__attribute__((unused)) static bool check_contains(const char *text, const char *part, const char *tt, const char *file,
                                                   int line)
{
    return check_report(text && strstr(text, part), file, line, "%s is \"%s\", which lacks \"%s\"", tt,
                        text ? text : "(null)", part);
}

/* |a - b| <= atol + rtol * |b|; a NaN is never near. */
__attribute__((unused)) static bool check_near(double a, double b, double atol, double rtol, const char *ta,
                                               const char *file, int line)
{
    return check_report(fabs(a - b) <= atol + rtol * fabs(b), file, line, "%s is %.17g, expected %.17g (off by %.3g)",
                        ta, a, b, a - b);
}

/* Bytes of this process that are in memory now. */
__attribute__((unused)) static int64_t check_resident(void)
{
    long long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%lld %lld", &size, &pages) != 2) pages = 0;
    if (f) fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

#define CHECK(cond)                check_report((cond), __FILE__, __LINE__, "not true: %s", #cond)
#define CHECK_MSG(cond, ...)       check_report((cond), __FILE__, __LINE__, __VA_ARGS__)
#define CHECK_EQ(a, b)             check_int((int64_t)(a), (int64_t)(b), #a, #b, __FILE__, __LINE__)
#define CHECK_STR(a, b)            check_string((a), (b), #a, __FILE__, __LINE__)
#define CHECK_NEAR(a, b, tol)      check_near((a), (b), (tol), 0, #a, __FILE__, __LINE__)
#define CHECK_CLOSE(a, b, at, rt)  check_near((a), (b), (at), (rt), #a, __FILE__, __LINE__)
#define CHECK_CONTAINS(text, part) check_contains((text), (part), #text, __FILE__, __LINE__)
/* Ends the present case as skipped, with the reason. */
#define CHECK_SKIP(why)                                                                                                \
    do {                                                                                                               \
        check_state.skipped = (why);                                                                                   \
        return;                                                                                                        \
    } while (0)
#define CHECK_RUN(fn) check_case(#fn, fn)

__attribute__((unused)) static void check_case(const char *name, void (*fn)(void))
{
    int64_t failures = check_state.failures;
    const char *only = getenv("NAS_TEST_CASE");
    if (only && !strstr(name, only)) return;
    check_state.test = name;
    check_state.skipped = 0;
    fn();
    check_state.test = 0;
    check_state.cases++;
    if (check_state.failures > failures) {
        check_state.failed_cases++;
        fprintf(stderr, "FAILED: %s\n", name);
    } else if (check_state.skipped) {
        check_state.skipped_cases++;
        printf("skipped: %s: %s\n", name, check_state.skipped);
    }
}

/* Whether an emulator runs this (tests/aarch64), whose own speed and memory a test would measure. */
__attribute__((unused)) static bool check_emulated(void)
{
    return getenv("NAS_EMULATED") != 0;
}

/* Prints the last line; returns the exit status. */
__attribute__((unused)) static int check_done(const char *name)
{
    if (!check_state.cases && check_state.checks) { /* checks made straight from main count as one case */
        check_state.cases = 1;
        check_state.failed_cases = check_state.failures > 0;
    }
    bool empty = !check_state.checks && !check_state.skipped_cases;
    if (empty) fprintf(stderr, "%s: no checks were made\n", name);
    int64_t failed = empty ? 1 : check_state.failed_cases;
    if (check_state.failures && !failed) failed = 1; /* a check outside of the cases */
    int64_t passed = check_state.cases - check_state.failed_cases - check_state.skipped_cases;
    printf("%s: %" PRId64 " cases passed, %" PRId64 " failed, %" PRId64 " skipped, %" PRId64 " checks\n", name, passed,
           failed, check_state.skipped_cases, check_state.checks);
    return failed ? 1 : 0;
}
#endif
