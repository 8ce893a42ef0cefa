/* /settings as a config file: a server that reads it has the same settings, whatever the values. */

#include "client.h"
#include "files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Asks a second server, which has read `text`, for its own. */
static void expect_same(const char *dir, const char *text, const char *server_name)
{
    struct server s;
    struct reply r = {0};
    char *config = files_path(dir, "config");
    files_write(dir, "config", text, strlen(text));
    server_start(&s, "--config", config);
    client_fetch(&s.admin, "/settings", &r);
    assert_string_equal(r.body, text);
    client_fetch(&s.addr, "/static/f", &r);
    assert_int_equal(r.status, 200);
    char *named = reply_field(&r, "Server");
    assert_string_equal(named, server_name);
    free(named);
    reply_free(&r);
    server_stop(&s);
    free(config);
}

/* Of the settings in the config file, --check finds none that differs in the server. */
static void expect_no_change(struct server *s, const char *dir)
{
    struct server out;
    struct server_how how = {.engine = server_engine};
    char *config = files_path(dir, "config"), admin[300];
    const char *log = strstr(server_log(s), "admin http://");
    assert_non_null(log);
    snprintf(admin, sizeof admin, "%.*s", (int)strcspn(log + 13, "\n"), log + 13);
    const char *const options[] = {"--config", config, "--admin", admin, "--check", NULL};
    assert_int_equal(server_run(&out, &how, options), 0);
    assert_non_null(strstr(server_log(&out), "admin: 127.0.0.1:0 in the server at "));
    assert_null(strstr(server_log(&out), "root: "));
    assert_null(strstr(server_log(&out), "access-log: "));
    assert_null(strstr(server_log(&out), "server-name: "));
    server_free(&out);
    free(config);
}

/* Serves a directory of that name. */
static void expect_read_back(const char *name, const char *server_name)
{
    struct server s;
    struct reply r = {0};
    char *dir = files_open(), *root = files_path(dir, name), *log = files_path(root, name);
    assert_int_equal(mkdir(root, 0700), 0);
    files_write(root, "f", "1", 1);
    server_start(&s, "--root", root, "--access-log", log, "--server-name", server_name);
    client_fetch(&s.admin, "/settings", &r);
    assert_int_equal(r.status, 200);
    expect_same(dir, r.body, server_name);
    expect_no_change(&s, dir);
    reply_free(&r);
    server_stop(&s);
    free(root);
    free(log);
    files_close(dir);
}

static void test_values_that_need_quotes(void **state)
{
    (void)state;
    expect_read_back("a # b", "web #1");
    expect_read_back("\"a\" \\x41 ", "\"web\" \\ #1");
    expect_read_back("\n = #\t\r", "#");
}

/* The longest name with the longest form. */
static void test_long_values(void **state)
{
    char name[256], server_name[129];
    (void)state;
    memset(name, '\n', sizeof name - 1);
    memset(server_name, '"', sizeof server_name - 1);
    name[sizeof name - 1] = server_name[sizeof server_name - 1] = '\0';
    expect_read_back(name, server_name);
}

static void test_random_values(void **state)
{
    static const char often[] = " \t#\"\\=\r\nx0a";
    unsigned seed = 1;
    (void)state;
    for (int i = 0; i < 4; i++) {
        char name[40] = "", server_name[40] = "";
        for (size_t k = 0; k < sizeof name - 1; k++) {
            char c = (char)(1 + rand_r(&seed) % 255);
            if (rand_r(&seed) % 2 || c == '/')
                c = often[(size_t)rand_r(&seed) % (sizeof often - 1)];
            name[k] = c;
            server_name[k] = c >= ' ' && c <= '~' ? c : '#';
        }
        server_name[0] = '"';
        server_name[sizeof server_name - 2] = '"'; /* it may neither begin nor end with a blank */
        expect_read_back(name, server_name);
    }
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_that_need_quotes),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_random_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
