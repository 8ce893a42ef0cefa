/* torc-lab asks an HTTP server, and what it computes as JSON. */

#include "lab_rig.h"

#include <jansson.h>

static void start(const char *timeout)
{
    char url[64];
    upstream_start(&up, 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", up.port);
    server_start(&lab, "--upstream", url, "--backend-timeout", timeout);
}

/* The upstream answers when all of them are there. */
static void test_all_are_asked_at_once(void **state)
{
    enum { N = 5 };
    struct client c;
    (void)state;
    start("60000");
    client_open(&c, &lab);
    client_ask(&c, "GET", "/fetch?n=5&mode=all&path=/held", "");
    upstream_await_held(&up, N);
    up.let_go = true;
    client_reply(&c, "GET", &last);
    assert_int_equal(last.status, 200);
    assert_string_equal(last.body, "20"); /* N times "held" */
    assert_int_equal(up.requests, N);
    client_close(&c);
    lab_stop_upstream();
}

static void test_one_is_asked_after_another(void **state)
{
    (void)state;
    start("60000");
    assert_string_equal(lab_get("/fetch?n=9&mode=seq&path=/meet", 200), "27");
    assert_int_equal(up.requests, 9);
    assert_int_equal(up.most, 1);
    lab_stop_upstream();
}

/* Bodies of any framing, and larger than is kept; paths with a query. */
static void test_bodies_are_counted(void **state)
{
    char big[32];
    (void)state;
    start("60000");
    snprintf(big, sizeof big, "%d", 2 * UPSTREAM_BIG);
    assert_string_equal(lab_get("/fetch?n=2&mode=all&path=/big", 200), big);
    assert_string_equal(lab_get("/fetch?n=2&mode=seq&path=/chunked", 200), "10");
    assert_string_equal(lab_get("/fetch?n=1&mode=all&path=/none", 200), "0");
    assert_string_equal(lab_get("/fetch?n=1&mode=seq&path=/any%3Fa%3Db", 200), "2");
    lab_refuses("/fetch?n=3&mode=all&path=/interim", 502, "status 404");
    lab_stop_upstream();
}

static void test_an_upstream_fails(void **state)
{
    uint16_t port;
    (void)state;
    start("2000");
    lab_refuses("/fetch?n=1&mode=seq&path=/never", 504, "in time");
    lab_refuses("/fetch?n=3&mode=all&path=/never", 504, "in time");
    lab_refuses("/fetch?n=1&mode=seq&path=/bad", 502, "the upstream: its answer is malformed");
    lab_refuses("/fetch?n=3&mode=all&path=/half", 502, "the upstream: it closed the connection ");
    lab_refuses("/fetch?n=1&mode=seq&path=/bighead", 502, "the upstream: the head of its answer ");
    port = up.port;
    upstream_stop(&up);
    lab_refuses("/fetch?n=1&mode=seq&path=/", 502, "the upstream: Connection refused");
    lab_refuses("/fetch?n=3&mode=all&path=/", 502, "the upstream: ");
    upstream_start(&up, port);
    assert_string_equal(lab_get("/fetch?n=3&mode=all&path=/", 200), "6");
    lab_stop_upstream();
}

/* It is where nobody knows: that is its failure, and no queue of ours. Without a network, nobody
 * can say that there is no such name (RFC 6761, 6.4). */
static void test_an_upstream_is_nowhere(void **state)
{
    (void)state;
    server_start(&lab, "--upstream", "http://torc.invalid", "--backend-timeout", "600000");
    lab_get("/fetch?n=1&mode=seq&path=/", 502);
    if (!strstr(last.body, "there is no such name")) lab_names("nobody can say now where it is");
    lab_names("the upstream: there is no ");
    server_stop(&lab);
    server_start(&lab, "--upstream", "http://torc.invalid", "--work-threads", "0");
    lab_refuses("/fetch?n=1&mode=seq&path=/", 502, "--work-threads 0");
    server_stop(&lab);
}

/* Calls at once are requests of their own to --max-requests. */
static void test_no_room_for_calls(void **state)
{
    (void)state;
    server_start(&lab, "--upstream", "http://127.0.0.1:1", "--max-requests", "1");
    lab_refuses("/fetch?n=2&mode=all&path=/", 503, "in progress (--max-requests)");
    lab_refuses("/fetch?n=2&mode=seq&path=/", 502, "the upstream: Connection refused");
    server_stop(&lab);
}

static void test_parameters(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"/fetch?mode=seq&path=/", "n must"},
        {"/fetch?n=0&mode=seq&path=/", "n must"},
        {"/fetch?n=101&mode=seq&path=/", "n must"},
        {"/fetch?n=1x&mode=seq&path=/", "n must"},
        {"/fetch?n=1&path=/", "mode must"},
        {"/fetch?n=1&mode=both&path=/", "mode must"},
        {"/fetch?n=1&mode=all", "path must"},
        {"/fetch?n=1&mode=all&path=", "path must"},
        {"/fetch?n=1&mode=all&path=.example/", "path must"},
        {"/fetch?n=1&mode=all&path=/a%20b", "path must"},
        {"/fetch?n=1&mode=all&path=/%0d%0aX:%20y", "path must"},
        {"/json/0?m=1", "the count must"},
        {"/json/51?m=1", "the count must"},
        {"/json/x?m=1", "the count must"},
        {"/json/1", "m must"},
        {"/json/1?m=0", "m must"},
        {"/json/1?m=1000001", "m must"},
    };
    start("60000");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        lab_refuses(cases[i][0], 400, cases[i][1]);
    assert_int_equal(up.requests, 0);
    lab_stop_upstream();
}

/* They are told of at the start. */
static void test_wrong_options(void **state)
{
    static const char *const urls[] = {
        "a:80",        "http://",          "http:///",       "https://a",      "ftp://a",
        "http://a:b",  "http://a:0",       "http://a:",      "http://a:65536", "http://:1",
        "http://a b/", "http://a/?b=c",    "http://a/#b",    "http://a?b",     "http://[",
        "http://[::1", "http://[::g]:80/", "http://[::1]80",
    };
    char message[128];
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        snprintf(message, sizeof message, "--upstream takes http://HOST[:PORT], not \"%s\"",
                 urls[i]);
        server_refuses("--upstream", urls[i], message);
    }
    server_refuses("--upstream", "http://user:secret@a:80/",
                   "--upstream takes http://HOST[:PORT], without a user or a password");
    server_refuses("--backend-timeout", "soon",
                   "--backend-timeout takes a whole number from 1 to 3600000, not \"soon\"");
    server_refuses("--backend-timeout", "0",
                   "--backend-timeout takes a whole number from 1 to 3600000, not \"0\"");
}

/* Nothing is asked at the start. */
static void test_right_options(void **state)
{
    static const char *const urls[] = {
        "http://nowhere.invalid", "http://a:80/", "HTTP://127.0.0.1:65535", "http://[::1]/below",
        "http://[::1]:1",         "http://a_b-c", "http://a/b%20c/",
    };
    struct server s;
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        assert_int_equal(
            server_run(&s, NULL, (const char *const[]){"--check", "--upstream", urls[i], NULL}), 0);
        server_free(&s);
    }
}

static void test_no_upstream(void **state)
{
    (void)state;
    server_start(&lab);
    lab_refuses("/fetch?n=1&mode=seq&path=/", 501, "--upstream");
    server_stop(&lab);
}

/* ---- JSON ---- */

static json_int_t number(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    assert_true(json_is_integer(v));
    return json_integer_value(v);
}

static void check_item(const json_t *item, size_t index, json_int_t factor)
{
    const json_t *rating = json_object_get(item, "rating");
    assert_int_equal(number(item, "id"), index + 1);
    assert_true(json_string_length(json_object_get(item, "name")) > 0);
    assert_true(json_string_length(json_object_get(item, "category")) > 0);
    assert_true(json_is_boolean(json_object_get(item, "active")));
    assert_true(json_array_size(json_object_get(item, "tags")) > 0);
    assert_true(number(rating, "score") > 0 && number(rating, "count") > 0);
    assert_int_equal(number(item, "total"),
                     number(item, "price") * number(item, "quantity") * factor);
    assert_int_equal(json_object_size(item), 9);
}

static void check_items(size_t count, json_int_t factor)
{
    char path[64];
    snprintf(path, sizeof path, "/json/%zu?m=%lld", count, (long long)factor);
    json_t *all = json_loads(lab_get(path, 200), 0, NULL);
    assert_non_null(all);
    const json_t *items = json_object_get(all, "items");
    assert_int_equal(number(all, "count"), count);
    assert_int_equal(json_array_size(items), count);
    for (size_t i = 0; i < count; i++) check_item(json_array_get(items, i), i, factor);
    char *type = reply_field(&last, "Content-Type");
    assert_string_equal(type, "application/json");
    free(type);
    json_decref(all);
}

static void test_json_items(void **state)
{
    (void)state;
    server_start(&lab);
    check_items(1, 1);
    check_items(7, 3);
    check_items(50, 1000000);
    server_stop(&lab);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_asked_at_once),
        cmocka_unit_test(test_one_is_asked_after_another),
        cmocka_unit_test(test_bodies_are_counted),
        cmocka_unit_test(test_an_upstream_fails),
        cmocka_unit_test(test_an_upstream_is_nowhere),
        cmocka_unit_test(test_no_room_for_calls),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_wrong_options),
        cmocka_unit_test(test_right_options),
        cmocka_unit_test(test_no_upstream),
        cmocka_unit_test(test_json_items),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    reply_free(&last);
    return failed;
}
