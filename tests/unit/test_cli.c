/* The command line: parsing, messages, help, the temporary file, signals. What ends a program runs in a child. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "check.h"
#include "cli/cli.h"

static int64_t epochs, offset;
static double rate;
static const char *name, *mode;
static bool dry, zap;
static CliList tags;

static const CliOption inner[] = {
    {CLI_HEADING, 0, "Inner"},
    {CLI_CHOICE, 'm', "mode", "fast|slow|gpu:N", &mode, "How."},
    {CLI_END},
};
static const CliOption options[] = {
    {CLI_INT, 'e', "epochs", "N", &epochs, "Passes over the data.", 1, 1000000},
    {CLI_INT, 0, "offset", "N", &offset, "Any number."},
    {CLI_DOUBLE, 'r', "rate", "RATE", &rate, "Step.", 0, 10},
    {CLI_STRING, 's', "name", "TEXT", &name, "A name."},
    {CLI_LIST, 't', "tag", "TEXT", &tags, "A tag."},
    {CLI_FLAG, 'n', "dry", 0, &dry, "Only say so."},
    {CLI_FLAG, 'z', "zap", 0, &zap, "Zap."},
    {CLI_TABLE, .to = (void *)inner},
    {CLI_TABLE, .to = (void *)cli_common_options},
    {CLI_END},
};
static const CliProgram program = {
    "nas-test",
    "tests the table",
    "[FILE...]",
    "The first paragraph is so long that it cannot stand in one line of eighty characters.\n\n    nas-test -n\n\nLast.",
    options,
    false,
};

/* Arguments of the child, split at blanks; "''" stands for an empty one. */
static const char *child_words;
static char **parsed;

static void parse_words(void)
{
    static char text[4096], empty[1], *argv[512] = {"nas-test"};
    int argc = 1;
    epochs = 3, offset = 0, rate = 0.5, name = "x", mode = "fast", dry = zap = false, tags.count = 0;
    snprintf(text, sizeof text, "%s", child_words);
    for (char *rest = text, *word; (word = strsep(&rest, " "));)
        if (*word) argv[argc++] = strcmp(word, "''") ? word : empty;
    argv[argc] = 0;
    parsed = cli_begin(argc, argv, &program);
}

typedef struct {
    int status; /* exit status, or 1000 + signal */
    char out[16384], err[4096];
} Result;

static void slurp(int fd, char *text, size_t room)
{
    size_t n = 0;
    lseek(fd, 0, SEEK_SET);
    for (ssize_t got; n + 1 < room && (got = read(fd, text + n, room - 1 - n)) > 0;) n += (size_t)got;
    text[n] = 0;
    close(fd);
}

static int temporary(void)
{
    char path[] = "/tmp/nas-test-cli-XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    return fd;
}

static const Result *in_child(void (*fn)(void))
{
    static Result r;
    int out = temporary(), err = temporary(), status = 0;
    fflush(stdout);
    fflush(stderr);
    pid_t child = fork();
    if (!child) {
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        fn();
        exit(cli_end());
    }
    waitpid(child, &status, 0);
    r.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    slurp(out, r.out, sizeof r.out);
    slurp(err, r.err, sizeof r.err);
    return &r;
}

static void print_values(void)
{
    parse_words();
    printf("%" PRId64 " %" PRId64 " %g %s %s %d %d", epochs, offset, rate, name, mode, dry, zap);
    for (int i = 0; i < tags.count; i++) printf(" +%s", tags.item[i]);
    for (char **s = parsed; *s; s++) printf(" [%s]", *s);
}

static void expect(const char *words, const char *values)
{
    child_words = words;
    const Result *r = in_child(print_values);
    CHECK_MSG(r->status == 0 && !strcmp(r->out, values) && !*r->err, "'%s': status %d, '%s', expected '%s', error '%s'",
              words, r->status, r->out, values, r->err);
}

static void expect_usage(const char *words, const char *message)
{
    child_words = words;
    const Result *r = in_child(print_values);
    CHECK_MSG(r->status == 2 && !*r->out && !strcmp(r->err, message), "'%s': status %d, '%s', expected '%s'", words,
              r->status, r->err, message);
}

static void test_forms(void)
{
    expect("", "3 0 0.5 x fast 0 0");
    expect("--epochs 5", "5 0 0.5 x fast 0 0");
    expect("--epochs=5", "5 0 0.5 x fast 0 0");
    expect("-e 5", "5 0 0.5 x fast 0 0");
    expect("-e5", "5 0 0.5 x fast 0 0");
    expect("-nz", "3 0 0.5 x fast 1 1");
    expect("-nze5 f", "5 0 0.5 x fast 1 1 [f]");
    expect("-nze 5", "5 0 0.5 x fast 1 1");
    expect("--name= a", "3 0 0.5  fast 0 0 [a]");
    expect("--name ''", "3 0 0.5  fast 0 0");
    expect("--name=a=b", "3 0 0.5 a=b fast 0 0");
    expect("--name --dry", "3 0 0.5 --dry fast 0 0");
    expect("a -n b", "3 0 0.5 x fast 1 0 [a] [b]");
    expect("- -n", "3 0 0.5 x fast 1 0 [-]");
    expect("-n -- -z --dry -", "3 0 0.5 x fast 1 0 [-z] [--dry] [-]");
    expect("-t a --tag=b -tc", "3 0 0.5 x fast 0 0 +a +b +c");
    expect("-e 1 -e 2", "2 0 0.5 x fast 0 0");
    expect("''", "3 0 0.5 x fast 0 0 []");
}

static void test_numbers(void)
{
    expect("-e 10k", "10000 0 0.5 x fast 0 0");
    expect("-e 1M", "1000000 0 0.5 x fast 0 0");
    expect("--offset -7k", "3 -7000 0.5 x fast 0 0");
    expect("--offset +7", "3 7 0.5 x fast 0 0");
    expect("--offset 9223372036854775807", "3 9223372036854775807 0.5 x fast 0 0");
    expect("-r 1e-3", "3 0 0.001 x fast 0 0");
    expect("-r .25", "3 0 0.25 x fast 0 0");
    expect("-r 10", "3 0 10 x fast 0 0");
    static const char *const bad[] = {"''",
                                      "1x",
                                      "x",
                                      "-",
                                      "--",
                                      "1k5",
                                      "1kk",
                                      "0",
                                      "-1",
                                      "1000001",
                                      "2M",
                                      "1.5",
                                      "0x10",
                                      "1e3",
                                      "99999999999999999999",
                                      "9223372036854775808k"};
    for (int i = 0; i < COUNTOF(bad); i++) {
        char words[64], message[256];
        snprintf(words, sizeof words, "-e %s", bad[i]);
        snprintf(message, sizeof message, "nas-test: --epochs: expected a whole number from 1 to 1000000, not '%s'\n",
                 i ? bad[i] : "");
        expect_usage(words, message);
    }
    static const char *const bad_real[] = {"''", "nan", "inf", "1e999", "0x1p3", "1,5", "1e", "--1", "-0.1", "10.001"};
    for (int i = 0; i < COUNTOF(bad_real); i++) {
        char words[64], message[256];
        snprintf(words, sizeof words, "--rate=%s", i ? bad_real[i] : "");
        snprintf(message, sizeof message, "nas-test: --rate: expected a number from 0 to 10, not '%s'\n",
                 i ? bad_real[i] : "");
        expect_usage(words, message);
    }
    expect_usage("--offset 9223372036854775808",
                 "nas-test: --offset: expected a whole number, not '9223372036854775808'\n");
    expect_usage("--threads 0", "nas-test: --threads: expected a whole number from 1 to 256, not '0'\n");
    expect_usage("--threads 257", "nas-test: --threads: expected a whole number from 1 to 256, not '257'\n");
    expect_usage("--seed -1", "nas-test: --seed: expected a whole number from 0 to 9007199254740992, not '-1'\n");
    expect_usage("--seed 9007199254740993",
                 "nas-test: --seed: expected a whole number from 0 to 9007199254740992, not '9007199254740993'\n");
}

static void test_choices(void)
{
    expect("-m slow", "3 0 0.5 x slow 0 0");
    expect("-m gpu:12", "3 0 0.5 x gpu:12 0 0");
    static const char *const bad[] = {
        "slo", "sloww", "fast|slow", "gpu", "gpu:", "gpu:N", "gpu:1x", "gpu:-1", "gpu:123456"};
    for (int i = 0; i < COUNTOF(bad); i++) {
        char words[64], message[256];
        snprintf(words, sizeof words, "-m %s", bad[i]);
        snprintf(message, sizeof message, "nas-test: --mode: expected fast|slow|gpu:N, not '%s'\n", bad[i]);
        expect_usage(words, message);
    }
}

static void test_usage_errors(void)
{
    expect_usage("--no-such", "nas-test: unknown option '--no-such' (nas-test --help lists them)\n");
    expect_usage("--epoch 5", "nas-test: unknown option '--epoch' (nas-test --help lists them)\n");
    expect_usage("--=5", "nas-test: unknown option '--=5' (nas-test --help lists them)\n");
    expect_usage("--Inner", "nas-test: unknown option '--Inner' (nas-test --help lists them)\n");
    expect_usage("-nx", "nas-test: unknown option '-x' (nas-test --help lists them)\n");
    expect_usage("--epochs", "nas-test: --epochs: N is missing\n");
    expect_usage("-ne", "nas-test: --epochs: N is missing\n");
    expect_usage("--dry=1", "nas-test: --dry: takes no value\n");
    expect_usage("--a\nb", "nas-test: unknown option '--a?b' (nas-test --help lists them)\n");
    static char many[2000];
    for (int i = 0; i < 257; i++) strcat(many, "-tx ");
    expect_usage(many, "nas-test: --tag: given more than 256 times\n");
}

static void print_common(void)
{
    parse_words();
    printf("%" PRId64 " %s %s %s %d %d", cli_common.seed, cli_common.device, cli_common.progress, cli_common.output,
           cli_common.quiet, cli_common.verbose);
}

static void test_common(void)
{
    child_words = "";
    CHECK_STR(in_child(print_common)->out, "1 auto auto - 0 0");
    child_words = "--seed 42 --device cuda:1 --progress never -o f.nas -qv --threads 7";
    CHECK_STR(in_child(print_common)->out, "42 cuda:1 never f.nas 1 1");
}

static void print_line(void)
{
    static char *argv[] = {"./bin/nas-test", "a b", "it's", "--name=x", "", "$HOME", "'", 0};
    cli_begin(7, argv, &program);
    printf("%s|%s", cli_command_line(), cli_program_name());
}

static void test_command_line(void)
{
    CHECK_STR(in_child(print_line)->out, "nas-test 'a b' 'it'\\''s' --name=x '' '$HOME' ''\\'''|nas-test");
}

/* ---- help ---- */

static void test_help(void)
{
    child_words = "--help";
    const Result *r = in_child(print_values);
    CHECK_EQ(r->status, 0);
    CHECK_STR(r->err, "");
    CHECK_CONTAINS(r->out, "usage: nas-test [OPTION...] [FILE...]\nnas-test: tests the table\n\nThe first");
    CHECK_CONTAINS(r->out, "of eighty\ncharacters.\n\n    nas-test -n\n\nLast.\n\nOptions:\n");
    CHECK_CONTAINS(r->out, "\n  -e, --epochs N          Passes over the data. (1 to 1000000; default 3)\n");
    CHECK_CONTAINS(r->out, "\n      --offset N          Any number. (default 0)\n");
    CHECK_CONTAINS(r->out, "\n  -r, --rate RATE         Step. (0 to 10; default 0.5)\n");
    CHECK_CONTAINS(r->out, "\n  -t, --tag TEXT          A tag. May be repeated.\n");
    CHECK_CONTAINS(r->out, "\n  -n, --dry               Only say so.\n");
    CHECK_CONTAINS(r->out, "\nInner:\n  -m, --mode fast|slow|gpu:N\n                          How. (default fast)\n");
    CHECK_CONTAINS(r->out, "\n  -h, --help              Print this text.\n");
    CHECK(!strstr(r->out, "--completion"));
    for (const char *line = r->out; *line; line += strcspn(line, "\n") + 1) {
        size_t length = strcspn(line, "\n");
        CHECK_MSG(length <= 80, "%d columns: %.*s", (int)length, (int)length, line);
        CHECK_MSG(!length || line[length - 1] != ' ', "blank at the end: %.*s", (int)length, line);
    }
    child_words = "-n -e 7 -h --nonsense"; /* what stands before it is what holds; nothing behind it is looked at */
    r = in_child(print_values);
    CHECK_EQ(r->status, 0);
    CHECK_CONTAINS(r->out, "default 7)");
    CHECK_CONTAINS(r->out, "Only say so. (default on)");
}

static void test_man(void)
{
    child_words = "--man";
    const Result *r = in_child(print_values);
    CHECK_EQ(r->status, 0);
    CHECK_CONTAINS(r->out, ".TH NAS-TEST 1 ");
    CHECK_CONTAINS(r->out, ".SH NAME\nnas\\-test \\- tests the table\n");
    CHECK_CONTAINS(
        r->out, ".TP\n\\fB\\-e\\fR, \\fB\\-\\-epochs\\fR \\fIN\\fR\nPasses over the data. (1 to 1000000; default 3)\n");
    CHECK_CONTAINS(r->out, "default the number of CPUs");
    CHECK_CONTAINS(r->out, ".SH EXIT STATUS\n");
}

static void test_version(void)
{
    child_words = "--version";
    const Result *r = in_child(print_values);
    CHECK_EQ(r->status, 0);
    CHECK(!strncmp(r->out, "nas-test ", 9) && !strncmp(r->out + 9, cli_version(), strlen(cli_version())));
    CHECK_CONTAINS(r->out, "\ncompiler: ");
    CHECK_CONTAINS(r->out, "\nflags: ");
    CHECK_CONTAINS(r->out, "\nbackends: cpu");
}

static void test_completion(void)
{
    child_words = "--completion bash";
    const Result *r = in_child(print_values);
    CHECK_EQ(r->status, 0);
    CHECK_CONTAINS(r->out, "_nas_test()\n");
    CHECK_CONTAINS(r->out, "--mode) COMPREPLY=($(compgen -W 'fast slow gpu:N' ");
    CHECK_CONTAINS(r->out, " --epochs --offset --rate ");
    CHECK_CONTAINS(r->out, "complete -o default -F _nas_test nas-test\n");
}

/* ---- messages and the end ---- */

static void die_badly(void)
{
    parse_words();
    cli_die(EXIT_FAILED, "%s: record %d: %s", "a\nb\x1b.nas", 14, "no good");
}

static void die_damaged(void)
{
    parse_words();
    cli_die_input(true, "x.nas: record 3: %s cut short");
}

static void talk(void)
{
    parse_words();
    cli_note("noted %d", 1);
    cli_warn("warned %d", 2);
    cli_progress("half way");
    cli_progress_done();
}

static void test_messages(void)
{
    child_words = "";
    const Result *r = in_child(die_badly);
    CHECK_EQ(r->status, 1);
    CHECK_STR(r->err, "nas-test: a?b?.nas: record 14: no good\n");
    r = in_child(die_damaged);
    CHECK_EQ(r->status, 3);
    CHECK_STR(r->err, "nas-test: x.nas: record 3: %s cut short\n");
    CHECK_STR(in_child(talk)->err, "nas-test: noted 1\nnas-test: warned 2\n");
    child_words = "-q";
    CHECK_STR(in_child(talk)->err, "nas-test: warned 2\n");
    child_words = "--progress=always";
    CHECK_STR(in_child(talk)->err, "nas-test: noted 1\nnas-test: warned 2\nhalf way\n");
    child_words = "--progress=never";
    CHECK_STR(in_child(talk)->err, "nas-test: noted 1\nnas-test: warned 2\n");
}

static void write_full(void)
{
    parse_words();
    dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO);
    printf("lost");
}

static void write_much_full(void)
{
    parse_words();
    dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO);
    for (int i = 0; i < 100000; i++) printf("lost");
}

static void write_closed(void)
{
    parse_words();
    close(STDOUT_FILENO);
    printf("lost");
}

static void write_nothing_closed(void)
{
    parse_words();
    close(STDOUT_FILENO);
}

static void write_broken_pipe(void)
{
    int ends[2];
    signal(SIGPIPE, SIG_IGN); /* as some parents leave it */
    parse_words();
    if (pipe(ends)) exit(99);
    close(ends[0]);
    dup2(ends[1], STDOUT_FILENO);
    printf("lost");
}

static void test_end(void)
{
    child_words = "";
    const Result *r = in_child(write_full);
    CHECK_EQ(r->status, 1);
    CHECK_STR(r->err, "nas-test: standard output: No space left on device\n");
    CHECK_EQ(in_child(write_much_full)->status, 1);
    CHECK_EQ(in_child(write_closed)->status, 1);
    CHECK_EQ(in_child(write_nothing_closed)->status, 0);
    CHECK_EQ(in_child(write_broken_pipe)->status, 1000 + SIGPIPE);
}

/* ---- the temporary file and signals ---- */

static char guarded[] = "/tmp/nas-test-guard-XXXXXX";

static void make_guarded(void)
{
    parse_words();
    memcpy(guarded + sizeof guarded - 7, "XXXXXX", 6);
    close(mkstemp(guarded));
    fprintf(stderr, "%s", guarded);
    fflush(stderr);
    cli_guard_file(guarded);
}

static void guard_die(void)
{
    make_guarded();
    freopen("/dev/null", "w", stderr);
    cli_die(1, "x");
}
static void guard_exit(void)
{
    make_guarded();
    exit(7);
}
static void guard_memory(void)
{
    make_guarded();
    freopen("/dev/null", "w", stderr);
    arena_reserve(-1);
}
static void guard_term(void)
{
    make_guarded();
    raise(SIGTERM);
}
static void guard_hup(void)
{
    make_guarded();
    raise(SIGHUP);
}
static void guard_done(void)
{
    make_guarded();
    cli_guard_file(0);
    exit(5);
}
static void guard_one(void)
{
    make_guarded();
    cli_catch_signals();
    raise(SIGINT);
    exit(cli_interrupted() == SIGINT ? 130 : 1);
}
static void guard_two(void)
{
    make_guarded();
    cli_catch_signals();
    raise(SIGTERM);
    if (cli_interrupted() != SIGTERM || access(guarded, F_OK)) exit(98); /* still there after the first */
    raise(SIGINT);
    exit(97);
}

static void expect_guarded(void (*fn)(void), int status, bool remains)
{
    child_words = "";
    const Result *r = in_child(fn);
    CHECK_EQ(r->status, status);
    if (!CHECK_MSG(!strncmp(r->err, "/tmp/nas-test-guard-", 20), "no file was made: %s", r->err)) return;
    CHECK_EQ(access(r->err, F_OK) == 0, remains);
    unlink(r->err);
}

static void test_guard(void)
{
    expect_guarded(guard_die, 1, false);
    expect_guarded(guard_exit, 7, false);
    expect_guarded(guard_memory, 1, false);
    expect_guarded(guard_term, 1000 + SIGTERM, false);
    expect_guarded(guard_hup, 1000 + SIGHUP, false);
    expect_guarded(guard_done, 5, true);
    expect_guarded(guard_one, 130, false);
    expect_guarded(guard_two, 1000 + SIGINT, false);
}

static void catch_none(void)
{
    parse_words();
    signal(SIGINT, SIG_IGN); /* nohup and shells do this to background jobs */
    cli_catch_signals();
    raise(SIGINT);
    exit(cli_interrupted() ? 1 : 0);
}

static void test_signals_ignored(void)
{
    child_words = "";
    CHECK_EQ(in_child(catch_none)->status, 0);
}

int main(void)
{
    CHECK_RUN(test_forms);
    CHECK_RUN(test_numbers);
    CHECK_RUN(test_choices);
    CHECK_RUN(test_usage_errors);
    CHECK_RUN(test_common);
    CHECK_RUN(test_command_line);
    CHECK_RUN(test_help);
    CHECK_RUN(test_man);
    CHECK_RUN(test_version);
    CHECK_RUN(test_completion);
    CHECK_RUN(test_messages);
    CHECK_RUN(test_end);
    CHECK_RUN(test_guard);
    CHECK_RUN(test_signals_ignored);
    return check_done("cli");
}
