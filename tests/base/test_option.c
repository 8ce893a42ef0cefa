/* Options on the command line and set by the program; messages and help. */

#include "made_up.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void defaults(void **state)
{
    (void)state;
    assert_string_equal(set.error, "");
    assert_int_equal(command(NULL), 0);
    assert_int_equal(v.depth, 512);
    assert_int_equal(v.twice, 1024);
    assert_int_equal(v.seed, 0);
    assert_int_equal(v.buffer_size, 4096);
    assert_int_equal(v.idle_timeout, 60 * NS_PER_S);
    assert_true(v.pin && !v.check && !v.help);
    assert_int_equal(v.bits, 1u << 3);
    assert_null(v.root);
    assert_null(elsewhere);
    assert_int_equal(v.n_words, 1);
}

static void every_kind(void **state)
{
    (void)state;
    VALID("--depth", "7", "--cq-depth=65536", "--seed=18446744073709551615", "--buffer-size", "64k",
          "--idle-timeout=90s", "--no-pin", "--no-direct", "--root", "-", "--word=a", "--word",
          "-b", "--max-connections=--x", "--check");
    assert_int_equal(v.depth, 7);
    assert_int_equal(v.twice, 14);
    assert_int_equal(v.cq_depth, 65536);
    assert_true(v.seed == UINT64_MAX);
    assert_int_equal(v.buffer_size, 64 << 10);
    assert_int_equal(v.idle_timeout, 90 * NS_PER_S);
    assert_false(v.pin);
    assert_int_equal(v.bits, 0);
    assert_string_equal(v.root, "-");
    assert_int_equal(v.n_words, 2);
    assert_string_equal(v.word[1], "-b");
    assert_string_equal(elsewhere, "--x");
    assert_true(v.check);
}

static void arguments_that_are_not_options(void **state)
{
    (void)state;
    static const char *const want[WORDS_MAX] = {"a", "", "-", "--pin"};
    VALID("a", "--pin", "", "-", "--depth", "3", "--", "--pin"); /* -- ends the options */
    assert_int_equal(v.n_others, WORDS_MAX);
    for (size_t i = 0; i < WORDS_MAX; i++) assert_string_equal(v.other[i], want[i]);
    WRONG("too many: e", "a", "b", "c", "d", "e");
}

static void last_value_wins(void **state)
{
    (void)state;
    VALID("--depth", "4", "--depth=8", "--pin", "--no-pin");
    assert_int_equal(v.depth, 8);
    assert_false(v.pin);
}

static void flags(void **state)
{
    (void)state;
    static const struct {
        const char *arg;
        bool pin;
    } cases[] = {
        {"--pin", true},     {"--no-pin", false},     {"--pin=yes", true},
        {"--pin=no", false}, {"--no-pin=yes", false}, {"--no-pin=no", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        reset_options();
        v.pin = !cases[i].pin;
        VALID(cases[i].arg);
        assert_int_equal(v.pin, cases[i].pin);
    }
}

/* ---- messages ---- */

static void wrong_values(void **state)
{
    (void)state;
    WRONG("--depth takes a number from 1 to 32768, not \"abc\"", "--depth", "abc");
    WRONG("--depth takes a number from 1 to 32768, not \"0\"", "--depth=0");
    WRONG("--depth takes a number from 1 to 32768, not \"32769\"", "--depth=32769");
    WRONG("--depth takes a number from 1 to 32768, not \"-1\"", "--depth", "-1");
    WRONG("--depth takes a number from 1 to 32768, not \"4294967297\"", "--depth=4294967297");
    WRONG("--depth takes a number from 1 to 32768, not \"\"", "--depth=");
    WRONG("--depth takes a number from 1 to 32768, but no value was given", "--depth");
    WRONG("--depth takes a number from 1 to 32768, but no value was given", "--depth", "--pin");
    WRONG("--buffer-size takes a size from 64 to 1m, such as 4096, 16k or 1m, not \"63\"",
          "--buffer-size", "63");
    WRONG("--idle-timeout takes a time from 1ms to 24h with a unit, such as 500ms, 10s or 2m, "
          "not \"10\"",
          "--idle-timeout=10");
    WRONG("--idle-timeout takes a time from 1ms to 24h with a unit, such as 500ms, 10s or 2m, "
          "not \"0\"",
          "--idle-timeout=0");
    WRONG("--pin takes yes or no, not \"maybe\"", "--pin=maybe");
    WRONG("--pin takes yes or no, not \"\"", "--pin=");
    WRONG("--root takes a directory, but no value was given", "--root");
    WRONG("--root takes a directory, not \"\"", "--root=");
    WRONG("--seed takes any number, not \"18446744073709551616\"", "--seed=18446744073709551616");
    WRONG("--word takes WORD, not \"a-word-of-too-many-letters\"",
          "--word=a-word-of-too-many-letters");
    WRONG("--word takes WORD, but no value was given", "--word");
    WRONG("--word was given too many times", "--word=a", "--word=b", "--word=c", "--word=d",
          "--word=e");
    /* Whatever the value holds, the message is one line of bounded length. */
    WRONG("--pin takes yes or no, not \"a?b?\"", "--pin=a\nb\x7f");
    char long_value[5000] = "--pin=";
    memset(long_value + 6, 'x', sizeof long_value - 7);
    reset_options();
    assert_int_equal(READ(long_value), -EINVAL);
    assert_true(strlen(set.error) < 120);
}

static void unknown_options(void **state)
{
    (void)state;
    WRONG("unknown option --foo (see --help)", "--foo");
    WRONG("unknown option --foo (see --help)", "--foo=--pin");
    WRONG("unknown option --dept, did you mean --depth? (see --help)", "--dept=4");
    WRONG("unknown option --dpeth, did you mean --depth? (see --help)", "--dpeth");
    WRONG("unknown option --max-conn, did you mean --max-connections? (see --help)", "--max-conn");
    WRONG("unknown option --no-dierct, did you mean --no-direct? (see --help)", "--no-dierct");
    WRONG("unknown option -depth, did you mean --depth? (see --help)", "-depth", "4");
    /* Letters are left out, rather than others put in; two of four are another word. */
    WRONG("unknown option --max-cns, did you mean --max-connections? (see --help)", "--max-cns");
    WRONG("unknown option --word-, did you mean --word? (see --help)", "--word-");
    WRONG("unknown option --port (see --help)", "--port"); /* not --root */
    WRONG("unknown option --h (see --help)", "--h");
    WRONG("unknown option -H (see --help)", "-H");
    WRONG("unknown option -hh (see --help)", "-hh");
    WRONG("unknown option -v (see --help)", "-v");
    WRONG("unknown option --no-depth (see --help)", "--no-depth");
    WRONG("unknown option --no- (see --help)", "--no-");
    WRONG("unknown option --no-no-pin (see --help)", "--no-no-pin");
    WRONG("unknown option --Depth, did you mean --depth? (see --help)", "--Depth");
    char long_name[500] = "--";
    memset(long_name + 2, 'd', sizeof long_name - 3);
    reset_options();
    assert_int_equal(READ(long_name), -EINVAL);
    assert_true(strlen(set.error) < 120);
    assert_null(strstr(set.error, "did you mean")); /* of a long one, most letters may differ */
}

static void names_of_other_programs(void **state)
{
    (void)state;
    WRONG("unknown option -c: use --max-connections (see --help)", "-c", "64");
    WRONG("unknown option -c: use --max-connections (see --help)", "-c64");
    WRONG("unknown option -c: use --max-connections (see --help)", "-c=64");
    WRONG("unknown option -cert (see --help)", "-cert", "x");
    WRONG("unknown option -cX (see --help)", "-cX");
    WRONG("unknown option --clients: use --max-connections (see --help)", "--clients=64");
    WRONG("unknown option -cq-depth, did you mean --cq-depth? (see --help)", "-cq-depth=64");
    assert_int_equal(option_set_value(&set, "clients", "64"), -EINVAL);
    assert_string_equal(set.error, "unknown option clients: use max-connections (see --help)");
    WRONG("unknown option --latency: it is always reported", "--latency");
    WRONG("unknown option --clientsx (see --help)", "--clientsx");
    WRONG("unknown option --c (see --help)", "--c");
}

/* ---- the program ---- */

static void set_by_the_program(void **state)
{
    (void)state;
    assert_int_equal(option_set_value(&set, "depth", "16"), 0);
    assert_int_equal(v.depth, 16);
    assert_int_equal(option_set_value(&set, "no-pin", NULL), 0);
    assert_false(v.pin);
    assert_int_equal(option_set_value(&set, "depth", "x"), -EINVAL);
    assert_string_equal(set.error, "depth takes a number from 1 to 32768, not \"x\"");
    assert_int_equal(v.depth, 16);
    assert_int_equal(option_set_value(&set, "depth", NULL), -EINVAL);
    assert_int_equal(option_set_value(&set, "--depth", "16"), -EINVAL);
    assert_int_equal(option_set_value(&set, "dept", "16"), -EINVAL);
    assert_string_equal(set.error, "unknown option dept, did you mean depth? (see --help)");

    /* Strings are copied. */
    char root[] = "/";
    assert_int_equal(option_set_value(&set, "root", root), 0);
    root[0] = 'x';
    assert_string_equal(v.root, "/");
}

static void more_options(void **state)
{
    (void)state;
    uint32_t n = 1;
    struct option o = {"more",   "N",      "than there were", "5", 2, OPTION_NUMBER,
                       .max = 9, .to = &n, .size = sizeof n};
    assert_int_equal(option_add(&set, &o), 0);
    assert_int_equal(n, 5);
    assert_int_equal(option_add(&set, &o), -EEXIST);
    VALID("--more=6");
    assert_int_equal(n, 6);
    static const char *const bad[] = {"", "-x", "--x", "a b", "A", "a=b", "a\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        o.name = bad[i];
        assert_int_equal(option_add(&set, &o), -EINVAL);
    }
    o.name = "no-pin"; /* taken by the negated flag */
    assert_int_equal(option_add(&set, &o), -EEXIST);
    char name[OPTIONS_MAX][12];
    int err = 0;
    for (int i = 0; i < OPTIONS_MAX && err == 0; i++) {
        snprintf(name[i], sizeof name[i], "own%d", i);
        o.name = name[i];
        err = option_add(&set, &o);
    }
    assert_int_equal(err, -ENOMEM);
    assert_int_equal(set.count, OPTIONS_MAX);
    VALID("--own0=3", "--depth=2");
    assert_int_equal(n, 3);
}

/* ---- help ---- */

static void asked_for_help(void **state)
{
    (void)state;
    static const char *const given[] = {"--help", "-h"};
    for (size_t i = 0; i < ARRAY_LEN(given); i++) {
        reset_options();
        VALID(given[i]);
        assert_true(v.help);
        reset_options();
        VALID("--depth", "7", given[i]);
        assert_true(v.help);
        /* As the value of an option, "--help" and "-h" have no special meaning. */
        reset_options();
        VALID("--root=-h");
        assert_false(v.help);
    }
}

/* Command-line-only options are answered whatever the values of the others are. */
static void help_ignores_bad_values_of_other_options(void **state)
{
    (void)state;
    VALID("--config=/no/such/file", "--depth=abc", "--help");
    assert_true(v.help);
    WRONG("unknown option --foo (see --help)", "--help", "--foo");
    assert_int_equal(READ("--depth=abc", "--answer", "--foo"), 7);
    assert_int_equal(READ("--foo", "--answer"), -EINVAL);
}

static void help(void **state)
{
    (void)state;
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    option_print_help(&set, "/usr/bin/made-up", "Says hello.\nTwice.", f);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(
        text,
        "Usage: made-up [OPTION]... [OTHER]...\n"
        "\n"
        "Says hello.\n"
        "Twice.\n"
        "\n"
        "Depths\n"
        "  --depth N                   how deep it is (default 512)\n"
        "  --cq-depth N                how deep the other one is, and more about it than fits on a "
        "line of\n"
        "                              the help (default 0)\n"
        "  --seed N                    of numbers (default of the clock)\n"
        "  --buffer-size SIZE          bytes of it (default 4k)\n"
        "\n"
        "All sorts\n"
        "  --idle-timeout TIME         when it ends (default 60s)\n"
        "  --[no-]pin                  stays where it is (default yes)\n"
        "  --[no-]direct               goes straight (default yes)\n"
        "  --root DIR                  where things are\n"
        "  --word WORD                 can be given several times (default none)\n"
        "  --max-connections HOW-MANY-OF-THEM\n"
        "                              so many\n"
        "\n"
        "Options of made-up\n"
        "  --config FILE               reads a file\n"
        "  --check                     looks\n"
        "  --answer                    answers at once\n"
        "  --help                      print this\n"
        "\n"
        "That is all.\n");
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, made_up_begin, made_up_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults),
        TEST(every_kind),
        TEST(arguments_that_are_not_options),
        TEST(last_value_wins),
        TEST(flags),
        TEST(wrong_values),
        TEST(unknown_options),
        TEST(names_of_other_programs),
        TEST(set_by_the_program),
        TEST(more_options),
        TEST(asked_for_help),
        TEST(help_ignores_bad_values_of_other_options),
        TEST(help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
