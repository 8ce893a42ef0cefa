/* Handlers that do not keep to the rules: the server answers and nothing is left behind. */

#include "lab_core.h"

#include "http/router.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static int slept, spawned_late;

static int nap(torc_req *rq, void *arg)
{
    (void)arg;
    int err = torc_sleep(rq, 5);
    slept++;
    return err;
}

static int nap_and_spawn(torc_req *rq, void *arg)
{
    (void)arg;
    int err = torc_sleep(rq, 5);
    torc_group *g = torc_group_open(rq);
    if (g && torc_spawn(g, nap, NULL) == 0) spawned_late++;
    return err;
}

static void leaves_groups(torc_req *rq, void *arg)
{
    (void)arg;
    torc_group *one = torc_group_open(rq), *two = torc_group_open(rq);
    torc_spawn(one, nap, NULL);
    torc_spawn(two, nap_and_spawn, NULL);
    torc_reply(rq, 200, "text/plain", TORC_S("left"));
}

static void leaves_a_file(torc_req *rq, void *arg)
{
    (void)arg;
    torc_file *file;
    torc_replyf(rq, torc_file_open(rq, "/proc/self/exe", &file) == 0 ? 200 : 500, "open");
}

static void says_nothing(torc_req *rq, void *arg)
{
    (void)rq, (void)arg;
}

static void answers_twice(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, NULL, TORC_S("one"));
    if (torc_reply(rq, 500, NULL, TORC_S("two")) != -EALREADY) abort();
}

static void splits_the_head(torc_req *rq, void *arg)
{
    (void)arg;
    int refused = 0;
    refused += torc_set_header(rq, TORC_S("X"), TORC_S("a\r\nY: b")) == -EINVAL;
    refused += torc_set_header(rq, TORC_S("X\r\nY"), TORC_S("a")) == -EINVAL;
    refused += torc_set_header(rq, TORC_S("Content-Length"), TORC_S("3")) == -EINVAL;
    refused += torc_set_header(rq, TORC_S("transfer-encoding"), TORC_S("chunked")) == -EINVAL;
    refused += torc_reply(rq, 200, "text/plain\r\nY: b", TORC_S("")) == -EINVAL;
    torc_replyf(rq, 200, "%d", refused);
}

/* The answer to a GET of the one route; everything is home after. */
static void answers(torc_handler *handler, const char *status, const char *body)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct lab_core lab;
    lab_core_open(&lab);
    struct router *router = router_new();
    assert_int_equal(router_add(router, HTTP_GET, SLICE("/"), handler, NULL, NULL), 0);
    router_freeze(router);
    lab.core.router = router;
    struct mem_client *m = mem_connect(&lab.io);
    mem_push(m, request, sizeof request - 1);
    mem_push_end(m);
    while (!mem_run(&lab.io, 1000)) continue;
    size_t n;
    const char *out = mem_out(m, &n);
    assert_true(n > 12 && memcmp(out + 9, status, 3) == 0);
    assert_true(n > strlen(body) && memcmp(out + n - strlen(body), body, strlen(body)) == 0);
    assert_true(mem_ended(m));
    assert_null(lab_core_left_behind(&lab));
    mem_free(&lab.io, m);
    lab_core_close(&lab);
    router_free(router);
}

static void groups_are_joined(void **state)
{
    (void)state;
    answers(leaves_groups, "200", "left");
    assert_int_equal(slept, 2);
    assert_int_equal(spawned_late, 1);
}

static void the_rest(void **state)
{
    (void)state;
    answers(leaves_a_file, "200", "open");
    answers(says_nothing, "500", "500 Internal Server Error\n");
    answers(answers_twice, "200", "one");
    answers(splits_the_head, "200", "5");
}

/* Without memory for any answer the connection ends: the next one's would pass for the first's. */
static void no_memory_for_an_answer(void **state)
{
    (void)state;
    static const char request[] = "GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n";
    struct lab_core lab;
    lab_core_open(&lab);
    struct mem_client *m = mem_connect(&lab.io);
    lab.core.small.max = lab.core.large.max = 0;
    mem_push(m, request, sizeof request - 1);
    while (!mem_run(&lab.io, 1000)) continue;
    lab.core.small.max = lab.core.large.max = UINT32_MAX;
    mem_push(m, request, sizeof request - 1);
    while (!mem_run(&lab.io, 1000)) continue;
    size_t n;
    mem_out(m, &n);
    assert_int_equal(n, 0);
    assert_true(mem_closed(m));
    assert_null(lab_core_left_behind(&lab));
    mem_free(&lab.io, m);
    lab_core_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory_for_an_answer),
        cmocka_unit_test(groups_are_joined),
        cmocka_unit_test(the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
