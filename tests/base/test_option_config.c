/* Options in a config file, and which source of a value wins. */

#include "config_file.h"
#include "made_up.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void config_wrong(const char *text, const char *message)
{
    char want[300];
    write_config(text);
    reset_options();
    assert_int_equal(READ("--config", config_path), -EINVAL);
    snprintf(want, sizeof want, "%s:%s", config_path, message);
    assert_string_equal(set.error, want);
}

/* ---- values of a command line ---- */

static void config_values(void **state)
{
    (void)state;
    write_config("# comment\n\n  \t\ndepth = 8\ncq-depth=16# not a comment here\n");
    reset_options();
    assert_int_equal(READ("--config", config_path), -EINVAL);
    write_config("# comment\n\n  \t\n \tdepth = 8 # eight\t\r\ncq-depth=16\n"
                 "pin = no\nno-direct = yes\nroot = /a b#c\n"
                 "word=one\nword=two\nbuffer-size = 3k");
    reset_options();
    VALID("--config", config_path);
    assert_int_equal(v.depth, 8);
    assert_int_equal(v.cq_depth, 16);
    assert_false(v.pin);
    assert_int_equal(v.bits, 0);
    assert_string_equal(v.root, "/a b#c");
    assert_int_equal(v.n_words, 2);
    assert_string_equal(v.word[1], "two");
    assert_int_equal(v.buffer_size, 3 << 10);

    write_config("root = \" /a # \\x22b\\\\\" # in quotes\nword = \"one #1\"\ndepth=\"8\"\n");
    reset_options();
    VALID("--config", config_path);
    assert_string_equal(v.root, " /a # \"b\\");
    assert_string_equal(v.word[0], "one #1");
    assert_int_equal(v.depth, 8);
}

/* As long as a file may be. */
static void config_with_a_long_line(void **state)
{
    enum { LENGTH = 100000 };
    (void)state;
    char *text = malloc(LENGTH + 10);
    assert_non_null(text);
    int n = sprintf(text, "root = ");
    memset(text + n, 'x', LENGTH);
    text[n + LENGTH] = '\0';
    write_config(text);
    reset_options();
    VALID("--config", config_path);
    assert_string_equal(v.root, text + n);
    free(text);
}

/* Some editors write one first. */
static void config_with_a_byte_order_mark(void **state)
{
    (void)state;
    config_wrong("\xef\xbb\xbf"
                 "depth = 16\n\xef\xbb\xbf"
                 "pin = no\n",
                 "2: unknown option \xef\xbb\xbfpin (see --help)");
    write_config("\xef\xbb\xbf"
                 "depth = 16\n");
    reset_options();
    VALID("--config", config_path);
    assert_int_equal(v.depth, 16);
}

static void precedence(void **state)
{
    (void)state;
    write_config("depth = 2\ncq-depth = 2\nword = two\n");
    assert_int_equal(option_set_value(&set, "depth", "1"), 0);
    assert_int_equal(option_set_value(&set, "cq-depth", "1"), 0);
    assert_int_equal(option_set_value(&set, "seed", "1"), 0);
    assert_int_equal(option_set_value(&set, "word", "one"), 0);
    assert_int_equal(v.n_words, 1);
    VALID("--depth=3", "--config", config_path);
    assert_int_equal(v.depth, 3);
    assert_int_equal(v.cq_depth, 2);
    assert_int_equal(v.seed, 1);
    assert_int_equal(v.n_words, 1);
    assert_string_equal(v.word[0], "two");

    reset_options();
    VALID("--word=three", "--config", config_path, "--word=four");
    assert_int_equal(v.n_words, 2);
    assert_string_equal(v.word[0], "three");
    assert_string_equal(v.word[1], "four");

    /* The program may name the file; the command line may name another. */
    reset_options();
    assert_int_equal(option_set_value(&set, "config", config_path), 0);
    assert_int_equal(command(NULL), 0);
    assert_int_equal(v.depth, 2);
    reset_options();
    assert_int_equal(option_set_value(&set, "config", "/no/such/file"), 0);
    VALID("--config", config_path);
    assert_int_equal(v.depth, 2);
}

/* One comment of `size` bytes, of which the last is `last`, and more where that is too much. */
static void write_comment(size_t size, char last)
{
    char *text = malloc(size + sizeof "depth = x");
    assert_non_null(text);
    memset(text, '#', size);
    text[size - 1] = last;
    size_t more = size > OPTION_FILE_MAX ? (size_t)sprintf(text + size, "depth = x") : 0;
    write_config_bytes(text, size + more);
    free(text);
}

/* Its last byte that is read may end a line. */
static void expect_too_long(char last)
{
    write_comment(OPTION_FILE_MAX + 1, last);
    reset_options();
    assert_int_equal(READ("--config", config_path), -EINVAL);
    assert_non_null(strstr(set.error, ":1: a config file may have at most 1048576 bytes"));
}

static void config_errors(void **state)
{
    (void)state;
    config_wrong("\n#\ndepth = x\n", "3: depth takes a number from 1 to 32768, not \"x\"");
    config_wrong("depth =\n", "1: depth takes a number from 1 to 32768, not \"\"");
    config_wrong("depth 9 # of a ring\n", "1: expected \"name = value\", not \"depth...\"");
    config_wrong("[server] # of another program\n",
                 "1: a config file has no [sections], only lines of \"name = value\"");
    config_wrong("clients = 3\n", "1: unknown option clients: use max-connections (see --help)");
    config_wrong("postgres://u:p@h/d?a=b\n", "1: unknown option postgres... (see --help)");
    config_wrong("= 3\n", "1: unknown option  (see --help)");
    config_wrong("pin\n", "1: expected \"name = value\", not \"pin\"");
    config_wrong("pin = true\n", "1: pin takes yes or no, not \"true\"");
    config_wrong("--depth = 3\n", "1: unknown option --depth, did you mean depth? (see --help)");
    config_wrong("depht = 3", "1: unknown option depht, did you mean depth? (see --help)");
    config_wrong("depth = \"8\nroot = a\"\n", "1: a value that begins with \" ends with \"");
    config_wrong("root = \"\"\n", "1: root takes a directory, not \"\"");
    config_wrong("help = yes\n", "1: help can only be given on the command line");
    config_wrong("config = x\n", "1: config can only be given on the command line");
    config_wrong("depth = 3\npin = no\ndepth = 3\n", "3: depth is given already, on line 1");
    config_wrong("direct = no\nno-direct = no\n", "2: direct is given already, on line 1");
    config_wrong("h = yes\n", "1: unknown option h (see --help)");
    config_wrong("-h = yes\n", "1: unknown option -h (see --help)");
    /* A value that the command line overrides is still checked. */
    write_config("depth = x\n");
    reset_options();
    assert_int_equal(READ("--config", config_path, "--depth=4"), -EINVAL);

    write_config_bytes("depth = 1\ndepth = 2\0\n", 21);
    reset_options();
    assert_int_equal(READ("--config", config_path), -EINVAL);
    /* Nor is the rest of a line lost silently at the end of a file, or where CRs end the lines. */
    write_config_bytes("depth = 1\0cq-depth = 2", 22);
    reset_options();
    assert_int_equal(READ("--config", config_path), -EINVAL);
    assert_non_null(strstr(set.error, ":1: a line may have no NUL"));
    config_wrong("depth = 1\rcq-depth = 2\r", "1: a line may have no control characters");
    config_wrong("depth = 1\n# \x1b[31m\n", "2: a line may have no control characters");

    FILE *f = fopen(config_path, "w");
    assert_non_null(f);
    for (int i = 0; i < 1 << 18; i++) assert_true(fputs("#123\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    reset_options();
    assert_int_equal(READ("--config", config_path), -EINVAL);
    assert_non_null(strstr(set.error, ":209716: a config file may have at most 1048576 bytes"));

    expect_too_long('x');
    expect_too_long('\n');
    write_comment(OPTION_FILE_MAX, '\n');
    reset_options();
    VALID("--config", config_path);

    WRONG("cannot read config file /no/such/file: No such file or directory",
          "--config=/no/such/file");
    WRONG("cannot read config file /: Is a directory", "--config=/");
}

/* For comparing and showing: equal values have equal texts. */
static const struct option *find(const char *name)
{
    for (size_t i = 0; i < set.count; i++)
        if (strcmp(set.list[i].name, name) == 0) return &set.list[i];
    return NULL;
}

static void texts(void **state)
{
    (void)state;
    assert_string_equal(find("depth")->text, "512");
    assert_null(find("root")->text);
    write_config("buffer-size = 2048\nidle-timeout = 120s\nno-pin = yes\nword = a\n\nword = b\n");
    VALID("--config", config_path, "--cq-depth=007");
    assert_string_equal(find("buffer-size")->text, "2k");
    assert_string_equal(find("idle-timeout")->text, "2m");
    assert_string_equal(find("pin")->text, "no");
    assert_string_equal(find("word")->text, "a b");
    assert_int_equal(find("word")->line, 6);
    assert_string_equal(find("cq-depth")->text, "7");
    assert_int_equal(find("cq-depth")->line, 0);
    assert_int_equal(find("buffer-size")->line, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, made_up_begin, made_up_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(config_values),           TEST(config_with_a_byte_order_mark),
        TEST(config_with_a_long_line), TEST(precedence),
        TEST(config_errors),           TEST(texts),
    };
    return cmocka_run_group_tests(tests, make_config, remove_config);
}
