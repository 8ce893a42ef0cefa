#include "load/address.h"

#include "base/clock.h"
#include "base/slice.h"

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
static struct sock_addr addrs[SOCKETS];
static uint32_t n_addrs;
static uint64_t timeout;

/* Each has a port of its own, without a listener yet. */
static int set_up(void **state)
{
    (void)state;
    timeout = 10 * NS_PER_S;
    n_addrs = SOCKETS;
    for (int i = 0; i < SOCKETS; i++) {
        struct sock_addr *a = &addrs[i];
        a->in =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        a->len = sizeof a->in;
        fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd[i] < 0 || bind(fd[i], &a->sa, a->len) < 0) return -1;
        if (getsockname(fd[i], &a->sa, &a->len) < 0) return -1;
    }
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
    assert_ptr_equal(address_choose(addrs, n_addrs, timeout), &addrs[i]);
}

static void the_first_that_accepts_a_connection_is_chosen(void **state)
{
    (void)state;
    assert_int_equal(listen(fd[2], 8), 0);
    chosen(2);
    assert_int_equal(listen(fd[1], 8), 0);
    chosen(1);
    assert_int_equal(listen(fd[0], 8), 0);
    chosen(0);
}

static void the_first_is_chosen_where_none_accepts(void **state)
{
    (void)state;
    chosen(0);
}

/* A listener whose queue is full drops new connections. */
static void an_address_that_times_out_is_skipped(void **state)
{
    (void)state;
    int waiting[8];
    assert_int_equal(listen(fd[0], 0), 0);
    assert_int_equal(listen(fd[1], 8), 0);
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(waiting[i] >= 0);
        connect(waiting[i], &addrs[0].sa, addrs[0].len);
    }
    timeout = 100 * NS_PER_MS;
    chosen(1);
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) close(waiting[i]);
}

/* A server with one address gets only the connections of the run. */
static void a_single_address_is_not_tried(void **state)
{
    (void)state;
    struct pollfd p = {fd[0], POLLIN, 0};
    n_addrs = 1;
    assert_int_equal(listen(fd[0], 8), 0);
    chosen(0);
    assert_int_equal(poll(&p, 1, 0), 0);
    n_addrs = 2;
    chosen(0);
    assert_int_equal(poll(&p, 1, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_that_accepts_a_connection_is_chosen, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_first_is_chosen_where_none_accepts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_that_times_out_is_skipped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_single_address_is_not_tried, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
