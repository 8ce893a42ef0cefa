/* What a browser gets of torc-lab: the page, its files, its links and the measures. */

#include "client.h"
#include "json.h"
#include "server.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *path, *type;
} files[] = {
    {"/", "text/html; charset=utf-8"},
    {"/page.css", "text/css; charset=utf-8"},
    {"/page.js", "text/javascript; charset=utf-8"},
};

enum { FILES = sizeof files / sizeof *files, WEIGHT = 40000 /* bytes of all of them, at most */ };

static struct server s;
static struct client c;
static struct reply r;

static int set_up(void **state)
{
    (void)state;
    server_start(&s);
    client_open(&c, &s);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
    return 0;
}

static void assert_field(const char *name, const char *want)
{
    char *value = reply_field(&r, name);
    assert_non_null(value);
    assert_string_equal(value, want);
    free(value);
}

static void assert_policy(void)
{
    char *policy = reply_field(&r, "Content-Security-Policy");
    assert_non_null(policy);
    assert_non_null(strstr(policy, "default-src 'none'"));
    assert_non_null(strstr(policy, "script-src 'self';"));
    assert_non_null(strstr(policy, "style-src 'self';"));
    assert_null(strstr(policy, "unsafe"));
    free(policy);
    assert_field("X-Content-Type-Options", "nosniff");
    assert_field("Cache-Control", "no-cache");
}

/* Of a GET and a HEAD. The size of what the GET brings. */
static size_t check_file(const char *path, const char *type)
{
    client_get(&c, path, 200, &r);
    assert_field("Content-Type", type);
    assert_policy();
    size_t size = r.body_len;
    char length[32];
    snprintf(length, sizeof length, "%zu", size);
    assert_true(size > 1000);
    client_ask(&c, "HEAD", path, "");
    client_reply(&c, "HEAD", &r);
    assert_int_equal(r.status, 200);
    assert_field("Content-Type", type);
    assert_field("Content-Length", length);
    assert_policy();
    assert_int_equal(r.body_len, 0);
    return size;
}

static void test_files(void **state)
{
    size_t weight = 0;
    (void)state;
    for (int i = 0; i < FILES; i++) weight += check_file(files[i].path, files[i].type);
    print_message("the page weighs %zu bytes\n", weight);
    assert_true(weight <= WEIGHT);
}

static void ask_again(const char *path, const char *format, const char *tag, int status)
{
    char field[128], fields[160];
    snprintf(field, sizeof field, format, tag);
    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", field);
    client_ask(&c, "GET", path, fields);
    client_reply(&c, "GET", &r);
    assert_int_equal(r.status, status);
    assert_field("ETag", tag);
    assert_policy();
    assert_true((r.body_len == 0) == (status == 304));
}

static void test_a_browser_that_has_it(void **state)
{
    char *tags[FILES];
    (void)state;
    for (int i = 0; i < FILES; i++) {
        client_get(&c, files[i].path, 200, &r);
        tags[i] = reply_field(&r, "ETag");
        assert_non_null(tags[i]);
        for (int k = 0; k < i; k++) assert_string_not_equal(tags[i], tags[k]);
        ask_again(files[i].path, "%s", tags[i], 304);
        ask_again(files[i].path, "\"other\", W/%s", tags[i], 304);
        ask_again(files[i].path, "*", tags[i], 304);
        ask_again(files[i].path, "\"other\"", tags[i], 200);
        ask_again(files[i].path, "", tags[i], 200);
    }
    for (int i = 0; i < FILES; i++) free(tags[i]);
}

/* Nothing of it is inline, for its policy, or of another server. */
static void test_nothing_inline(void **state)
{
    (void)state;
    client_get(&c, "/", 200, &r);
    assert_null(strstr(r.body, "<style"));
    assert_null(strstr(r.body, " style="));
    assert_null(strstr(r.body, "<script>"));
    assert_null(strstr(r.body, " onclick="));
    assert_null(strstr(r.body, "href=\"http"));
    assert_null(strstr(r.body, "src=\"http"));
    assert_non_null(strstr(r.body, "<script src=\"page.js\""));
    assert_non_null(strstr(r.body, "<link rel=\"stylesheet\" href=\"page.css\">"));
}

/* The target of the link at `href`, with its "&amp;"; the caller frees it. */
static char *target_of(const char *href)
{
    char *target = strndup(href, strcspn(href, "\"")), *out = target;
    assert_non_null(target);
    for (const char *in = target; *in; in++) {
        *out++ = *in;
        if (strncmp(in, "&amp;", 5) == 0) in += 4;
    }
    *out = '\0';
    return target;
}

static int status_of(const char *path)
{
    struct client one;
    client_open(&one, &s);
    client_ask(&one, "GET", path, "");
    while (one.len < 12) assert_true(client_more(&one) > 0); /* of /events there is no end */
    int status = (int)strtol(one.buf + strlen("HTTP/1.1 "), NULL, 10);
    client_close(&one);
    return status;
}

/* What needs another server, or a library that is not built in, says so with 501. */
static void test_links(void **state)
{
    int links = 0;
    (void)state;
    client_get(&c, "/", 200, &r);
    for (const char *at = r.body; (at = strstr(at, "<a href=\"/")); links++) {
        at += strlen("<a href=\"");
        char *path = target_of(at);
        const char *rest = at + strcspn(at, "\"");
        bool needs = strncmp(rest, "\" class=\"needs\"", 15) == 0;
        int status = status_of(path);
        bool may_lack = needs || strncmp(path, "/crypto?", 8) == 0;
        if (status != (needs ? 501 : 200)) print_message("%s: %d\n", path, status);
        assert_true((status == 200 && !needs) || (status == 501 && may_lack));
        free(path);
    }
    assert_true(links >= 14);
}

/* ---- measures ---- */

static json_t *read_measures(void)
{
    client_get(&c, "/measures", 200, &r);
    assert_field("Content-Type", "application/json");
    assert_field("Cache-Control", "no-store");
    return json_read(r.body);
}

static double change(json_t *before, json_t *after, const char *name)
{
    return json_number(after, name) - json_number(before, name);
}

/* A request that waits: L and A follow from two readings, on the engine threads A is 0. */
static void test_measures(void **state)
{
    (void)state;
    bool threads = strcmp(server_engine, "threads") == 0;
    json_t *before = read_measures();
    client_get(&c, "/delay/100", 200, &r);
    json_t *after = read_measures();
    double lived = change(before, after, "request_lifetime_seconds");
    double held = change(before, after, "request_held_seconds");
    assert_string_equal(json_text(after, "engine"), server_engine);
    assert_true(json_number(after, "cores") >= 1);
    assert_false(json_is_true(json_object_get(after, "upstream")));
    assert_false(json_is_true(json_object_get(after, "pg")));
    assert_true(change(before, after, "wall_seconds") >= 0.1 && lived >= 0.1);
    assert_true(threads ? held == lived : held < lived - 0.09);
    assert_true(change(before, after, "request_oncore_seconds") < lived - 0.09);
    json_decref(before);
    json_decref(after);
}

static void test_what_is_configured(void **state)
{
    struct server other;
    struct client one;
    (void)state;
    server_start(&other, "--upstream", "http://127.0.0.1:1");
    client_open(&one, &other);
    client_get(&one, "/measures", 200, &r);
    json_t *found = json_read(r.body);
    assert_true(json_is_true(json_object_get(found, "upstream")));
    json_decref(found);
    client_close(&one);
    server_stop(&other);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_browser_that_has_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_inline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_links, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_measures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_configured, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
