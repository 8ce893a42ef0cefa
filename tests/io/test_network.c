#include "io/network.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool has(const char *network, const char *addr)
{
    struct networks n = {.n = 1};
    struct sock_addr a;
    assert_true(network_parse(slice_str(network), &n.list[0]));
    assert_true(network_addr_parse(slice_str(addr), &a));
    return networks_have(&n, &a);
}

static void a_network_has_what_begins_alike(void **state)
{
    (void)state;
    assert_true(has("192.0.2.1", "192.0.2.1"));
    assert_false(has("192.0.2.1", "192.0.2.2"));
    assert_true(has("10.0.0.0/8", "10.255.255.255"));
    assert_false(has("10.0.0.0/8", "11.0.0.0"));
    assert_true(has("10.1.128.0/17", "10.1.200.1:80"));
    assert_false(has("10.1.128.0/17", "10.1.127.255"));
    assert_true(has("0.0.0.0/0", "203.0.113.9"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("::/0", "2001:db8::1"));
    assert_false(has("::/0", "192.0.2.1"));
    assert_true(has("fd00::/8", "[fdff::1]:80"));
    assert_false(has("fd00::/8", "fe00::1"));
    assert_true(has("2001:db8::1", "2001:db8::1"));
    assert_true(has("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert_true(has("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert_false(has("::ffff:10.0.0.0/104", "11.1.2.3"));
}

static void a_unix_socket_is_a_network(void **state)
{
    (void)state;
    struct networks n = {.n = 2};
    struct sock_addr local = {.sa.sa_family = AF_UNIX}, remote;
    assert_true(network_parse(SLICE("unix:"), &n.list[0]));
    assert_true(network_parse(SLICE("::1"), &n.list[1]));
    assert_true(network_addr_parse(SLICE("127.0.0.1"), &remote));
    assert_true(networks_have(&n, &local));
    assert_false(networks_have(&n, &remote));
    n.n = 0;
    assert_false(networks_have(&n, &local));
}

static void nothing_else_is_a_network(void **state)
{
    static const char *const wrong[] = {
        "",
        "10",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        "10.0.0.1/8",
        "::/129",
        "2001::1/16",
        "localhost",
        "[::1]",
        "10.0.0.0:80",
        "/8",
        "unix",
        "unix:/a",
        "10.0.0.0 /8",
        "01.2.3.4",
        "fe80::1%lo",
        "::ffff:10.0.0.0/95",
        "10.0.0.0/99999999999999999999",
    };
    struct network n;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (network_parse(slice_str(wrong[i]), &n)) fail_msg("%s", wrong[i]);
}

static void addresses_are_read(void **state)
{
    static const char *const cases[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1:80", "192.0.2.1:80"},
        {"2001:db8::1", "[2001:db8::1]"},
        {"[2001:db8::1]", "[2001:db8::1]"},
        {"[2001:db8::1]:4711", "[2001:db8::1]:4711"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"[::ffff:192.0.2.1]:80", "192.0.2.1:80"},
        {"192.0.2.1:0", "192.0.2.1"},
    };
    struct sock_addr a;
    char text[SOCK_PEER_TEXT];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_true(network_addr_parse(slice_str(cases[i][0]), &a));
        sock_peer_format(&a, text);
        assert_string_equal(text, cases[i][1]);
    }
}

static void nothing_else_is_an_address(void **state)
{
    static const char *const wrong[] = {
        "",
        "unknown",
        "_hidden",
        "unix:",
        "192.0.2",
        "192.0.2.1.4",
        "192.0.2.1:",
        "[::1",
        "[]",
        "[::1]80",
        "[::1]:",
        "[::1]:65536",
        "192.0.2.1:x",
        ":80",
        "[",
        "]",
        "::1]",
        "[1.2.3.4]",
        "1.2.3.4 5",
        "-",
        "192.0.2.1:000080",
        "::1%1",
        "[::1]]",
        "1.2.3.4:65536",
    };
    struct sock_addr a;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (network_addr_parse(slice_str(wrong[i]), &a)) fail_msg("%s", wrong[i]);
    assert_false(network_addr_parse(slice_of("1.2.3.4\0", 8), &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_has_what_begins_alike),
        cmocka_unit_test(a_unix_socket_is_a_network),
        cmocka_unit_test(nothing_else_is_a_network),
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(nothing_else_is_an_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
