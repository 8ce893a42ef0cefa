/* Which of several addresses of a server a run goes to. */

#include "load/run.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SOCKETS = 3 };

static int fd[SOCKETS];
static struct plan plan;

/* Each has a port of its own, which nobody listens on yet. */
static int set_up(void **state)
{
    (void)state;
    plan = (struct plan){.timeout = 10 * NS_PER_S, .n_addrs = SOCKETS};
    for (int i = 0; i < SOCKETS; i++) {
        struct sock_addr *a = &plan.addrs[i];
        a->in =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        a->len = sizeof a->in;
        fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd[i] < 0 || bind(fd[i], &a->sa, a->len) < 0) return -1;
        if (getsockname(fd[i], &a->sa, &a->len) < 0) return -1;
    }
    plan.addr = plan.addrs[0];
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < SOCKETS; i++) close(fd[i]);
    return 0;
}

static void chosen(int i)
{
    run_choose_address(&plan);
    assert_int_equal(plan.addr.len, plan.addrs[i].len);
    assert_int_equal(ntohs(plan.addr.in.sin_port), ntohs(plan.addrs[i].in.sin_port));
}

static void the_first_that_takes_a_connection(void **state)
{
    (void)state;
    assert_int_equal(listen(fd[2], 8), 0);
    chosen(2);
    assert_int_equal(listen(fd[1], 8), 0);
    chosen(1);
    assert_int_equal(listen(fd[0], 8), 0);
    chosen(0);
}

static void the_first_where_none_does(void **state)
{
    (void)state;
    chosen(0);
}

/* Nobody answers in the time: a listener whose queue is full drops what comes. */
static void one_that_does_not_answer(void **state)
{
    (void)state;
    int waiting[8];
    assert_int_equal(listen(fd[0], 0), 0);
    assert_int_equal(listen(fd[1], 8), 0);
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(waiting[i] >= 0);
        connect(waiting[i], &plan.addrs[0].sa, plan.addrs[0].len);
    }
    plan.timeout = 100 * NS_PER_MS;
    chosen(1);
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) close(waiting[i]);
}

/* A server with one address sees the run's own connections only. */
static void one_address_is_not_tried(void **state)
{
    (void)state;
    struct pollfd p = {fd[0], POLLIN, 0};
    plan.n_addrs = 1;
    assert_int_equal(listen(fd[0], 8), 0);
    chosen(0);
    assert_int_equal(poll(&p, 1, 0), 0);
    plan.n_addrs = 2;
    chosen(0);
    assert_int_equal(poll(&p, 1, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_that_takes_a_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_where_none_does, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_does_not_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_address_is_not_tried, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
