#include "http/clients.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct clients table;

static uint64_t key_of(const char *text)
{
    struct sock_addr addr;
    assert_true(sock_addr_parse(text, &addr));
    return client_key(&addr);
}

static struct client *enter(uint64_t key)
{
    bool excess = true;
    struct client *c = clients_enter(&table, key, 0, &excess);
    assert_non_null(c);
    assert_false(excess);
    return c;
}

static void leave(struct client *c, uint64_t now)
{
    clients_leave(&table, c, false, now);
}

/* ---- addresses ---- */

static void a_client_is_an_address_or_a_prefix(void **state)
{
    (void)state;
    assert_true(key_of("127.0.0.1:1") == key_of("127.0.0.1:2"));
    assert_true(key_of("127.0.0.1:1") != key_of("127.0.0.2:1"));
    assert_true(key_of("[2001:db8::1]:1") == key_of("[2001:db8::ffff:0:0:2]:1"));
    assert_true(key_of("[2001:db8::1]:1") != key_of("[2001:db8:0:1::1]:1"));
    assert_true(key_of("[::1]:1") != key_of("127.0.0.1:1"));
}

static void a_mapped_address_is_that_of_ipv4(void **state)
{
    (void)state;
    struct sock_addr v4, v6 = {.len = sizeof v6.in6};
    assert_true(sock_addr_parse("192.0.2.7:80", &v4));
    v6.in6.sin6_family = AF_INET6;
    v6.in6.sin6_addr.s6_addr[10] = v6.in6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&v6.in6.sin6_addr.s6_addr[12], &v4.in.sin_addr, 4);
    assert_true(client_key(&v4) == client_key(&v6));
    v6.in6.sin6_addr.s6_addr[15]++;
    assert_true(client_key(&v4) != client_key(&v6));
}

/* ---- connections ---- */

static void connections_are_counted(void **state)
{
    (void)state;
    bool excess;
    clients_init(&table, 100);
    struct client *a = clients_enter(&table, 7, 2, &excess);
    assert_false(excess);
    assert_ptr_equal(clients_enter(&table, 7, 2, &excess), a);
    assert_false(excess);
    assert_ptr_equal(clients_enter(&table, 7, 2, &excess), a);
    assert_true(excess);
    struct client *b = clients_enter(&table, 8, 2, &excess);
    assert_false(excess);
    assert_ptr_not_equal(b, a);
    clients_leave(&table, a, true, 1);
    assert_ptr_equal(clients_enter(&table, 7, 2, &excess), a);
    assert_true(excess);
    clients_leave(&table, a, true, 1);
    clients_leave(&table, a, false, 1);
    assert_ptr_equal(clients_enter(&table, 7, 2, &excess), a);
    assert_false(excess);
    for (int i = 0; i < 2; i++) clients_leave(&table, a, false, 1);
    clients_leave(&table, b, false, 1);
    assert_int_equal(table.slab.in_use, 0);
    clients_end(&table);
}

/* ---- the rate ---- */

static void a_burst_then_the_rate(void **state)
{
    (void)state;
    const struct client_rate rate = client_rate_of(10, 3);
    struct client c = {0};
    uint64_t now = 1000;
    for (int i = 0; i < 3; i++) assert_int_equal(client_take(&c, &rate, now), 0);
    assert_int_equal(client_take(&c, &rate, now), 10);
    assert_int_equal(client_take(&c, &rate, now + 9), 1); /* rejected ones cost nothing */
    assert_int_equal(client_take(&c, &rate, now + 10), 0);
    assert_int_equal(client_take(&c, &rate, now + 10), 10);
    for (int i = 0; i < 3; i++) assert_int_equal(client_take(&c, &rate, now + 100), 0);
    assert_int_equal(client_take(&c, &rate, now + 100), 10);
}

static void extreme_rates_do_not_overflow(void **state)
{
    (void)state;
    const struct client_rate rate = client_rate_of(3600 * NS_PER_S * 1024, 1000000000), none = {0};
    struct client c = {0};
    uint64_t now = UINT64_C(1) << 60;
    assert_int_equal(client_take(&c, &rate, now), 0);
    assert_int_equal(client_take(&c, &none, now), 0);
}

/* ---- who is remembered ---- */

static void a_client_that_returns_has_the_tokens_it_left(void **state)
{
    (void)state;
    const struct client_rate rate = client_rate_of(10, 1);
    clients_init(&table, 100);
    struct client *c = enter(7);
    assert_int_equal(client_take(c, &rate, 100), 0);
    leave(c, 101);
    c = enter(7);
    assert_int_equal(client_take(c, &rate, 102), 8);
    leave(c, 200);
    assert_int_equal(table.slab.in_use, 0); /* as good as new */
    clients_end(&table);
}

static void the_first_to_leave_is_forgotten_first(void **state)
{
    (void)state;
    enum { MORE = 5000 };
    const struct client_rate rate = client_rate_of(NS_PER_S, 1);
    clients_init(&table, 4);
    for (uint64_t i = 0; i < CLIENTS_KEPT + MORE; i++) {
        struct client *c = enter(i);
        assert_int_equal(client_take(c, &rate, 5), 0);
        leave(c, 5);
        assert_true(table.slab.in_use <= CLIENTS_KEPT);
    }
    struct client *c = enter(0);
    assert_int_equal(c->full_at, 0);
    leave(c, 5);
    c = enter(CLIENTS_KEPT + MORE - 1);
    assert_int_equal(c->full_at, 5 + NS_PER_S);
    leave(c, 5);
    /* Later all are as good as new: each that leaves takes two of them along. */
    for (int i = 0; i < CLIENTS_KEPT; i++) leave(enter(1), 10 * NS_PER_S);
    assert_int_equal(table.slab.in_use, 0);
    clients_end(&table);
}

static void clients_that_remain_are_freed_at_the_end(void **state)
{
    (void)state;
    const struct client_rate rate = client_rate_of(NS_PER_S, 1);
    clients_init(&table, 4);
    for (uint64_t i = 0; i < 100; i++) {
        struct client *c = enter(i);
        client_take(c, &rate, 5);
        leave(c, 5);
    }
    assert_int_equal(table.slab.in_use, 100);
    clients_end(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_an_address_or_a_prefix),
        cmocka_unit_test(a_mapped_address_is_that_of_ipv4),
        cmocka_unit_test(connections_are_counted),
        cmocka_unit_test(a_burst_then_the_rate),
        cmocka_unit_test(extreme_rates_do_not_overflow),
        cmocka_unit_test(a_client_that_returns_has_the_tokens_it_left),
        cmocka_unit_test(the_first_to_leave_is_forgotten_first),
        cmocka_unit_test(clients_that_remain_are_freed_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
