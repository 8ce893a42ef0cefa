/* What proxies say of a request, and what clients pretend that they do. */

#include "http/forwarded.h"
#include "http/h1_parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct head_limits limits = {16 * 1024, 200};
static struct proxies proxies;

static int trust(void **state)
{
    static const char *const list[] = {"10.0.0.0/8", "fd00::/8"};
    (void)state;
    proxies = (struct proxies){.trusted.n = 2};
    for (size_t i = 0; i < 2; i++)
        assert_true(network_parse(slice_str(list[i]), &proxies.trusted.list[i]));
    return 0;
}

/* The client of a request with these field lines, or "-"; with " https" if it came by that. */
static const char *client_of(const char *fields)
{
    static char text[SOCK_PEER_TEXT + 8];
    char in[16 * 1024], kept[8 * 1024];
    struct arena arena;
    struct h1_parser p;
    struct head head;
    struct forwarded f;
    int n = snprintf(in, sizeof in, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
    assert_true(n > 0 && n < (int)sizeof in);
    arena_init(&arena, NULL, 0, 64 * 1024);
    h1_parser_init(&p, &head, &arena, kept, sizeof kept);
    assert_int_equal(h1_parse_head(&p, &limits, slice_of(in, (size_t)n)), n);
    assert_int_equal(p.state, PARSE_DONE);
    forwarded_read(&head, &proxies, &f);
    strcpy(text, "-");
    if (f.told) sock_peer_format(&f.client, text);
    if (f.secure) strcat(text, " https");
    arena_reset(&arena);
    return text;
}

#define FOR(list)   "X-Forwarded-For: " list "\r\n"
#define PROTO(list) "X-Forwarded-Proto: " list "\r\n"
#define RFC(list)   "Forwarded: " list "\r\n"

struct sample {
    const char *fields, *client;
};

static void check(const struct sample *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = client_of(list[i].fields);
        if (strcmp(got, list[i].client) != 0)
            fail_msg("%sgave %s rather than %s", list[i].fields, got, list[i].client);
    }
}

static void the_last_address_that_is_not_trusted(void **state)
{
    static const struct sample list[] = {
        {"", "-"},
        {FOR(""), "-"},
        {FOR("192.0.2.1"), "192.0.2.1"},
        {"x-FORWARDED-for: 192.0.2.1\r\n", "192.0.2.1"},
        {FOR("192.0.2.1:4711"), "192.0.2.1:4711"},
        {FOR("2001:db8::1"), "[2001:db8::1]"},
        {FOR("[2001:db8::1]:80"), "[2001:db8::1]:80"},
        {FOR("203.0.113.7, 192.0.2.1"), "192.0.2.1"},
        {FOR("192.0.2.1, 10.1.2.3"), "192.0.2.1"},
        {FOR("192.0.2.1, 10.1.2.3,fd00::1 , [fd00::2]:80"), "192.0.2.1"},
        {FOR("192.0.2.1, ::ffff:10.1.2.3"), "192.0.2.1"},
        {FOR("10.0.0.1, 10.0.0.2"), "10.0.0.1"},
        {FOR("  192.0.2.1  ,\t 10.0.0.2\t"), "192.0.2.1"},
        {FOR("192.0.2.1,, ,10.0.0.2, ,"), "192.0.2.1"},
        {FOR("203.0.113.7") FOR("192.0.2.1"), "192.0.2.1"},
        {FOR("192.0.2.1") FOR("10.0.0.1") "A: b\r\n" FOR("10.0.0.2"), "192.0.2.1"},
    };
    (void)state;
    check(list, ARRAY_LEN(list));
}

static void what_is_no_address_hides_what_is_before(void **state)
{
    static const struct sample list[] = {
        {FOR("unknown"), "-"},
        {FOR("unix:"), "-"},
        {FOR("192.0.2.1, unknown"), "-"},
        {FOR("192.0.2.1, unknown, 10.0.0.1"), "10.0.0.1"},
        {FOR("unknown, 192.0.2.1"), "192.0.2.1"},
        {FOR("192.0.2.1, _hidden, 203.0.113.7"), "203.0.113.7"},
        {FOR("192.0.2.1 10.0.0.1"), "-"},
        {FOR("192.0.2.1;10.0.0.1"), "-"},
        {FOR("\"192.0.2.1\""), "-"},
        {FOR("<script>, 10.0.0.1"), "10.0.0.1"},
        {FOR("1.2.3.4:99999"), "-"},
        {FOR("[::1, 10.0.0.1"), "10.0.0.1"},
    };
    (void)state;
    check(list, ARRAY_LEN(list));
}

/* As the client has written them, and as more proxies than there can be. */
static void long_lists(void **state)
{
    char fields[8192];
    (void)state;
    for (int trusted = 0; trusted < 2; trusted++) {
        size_t n = (size_t)sprintf(fields, "X-Forwarded-For: 203.0.113.1");
        for (int i = 0; i < 100; i++)
            n += (size_t)sprintf(fields + n, trusted ? ", 10.0.0.%d" : ", 198.51.100.%d", i);
        sprintf(fields + n, ", 10.0.0.200\r\n");
        assert_string_equal(client_of(fields), trusted ? "10.0.0.69" : "198.51.100.99");
    }
    size_t n = 0;
    for (int i = 0; i < 100; i++) n += (size_t)sprintf(fields + n, FOR("198.51.100.%d"), i);
    assert_string_equal(client_of(fields), "198.51.100.99");
}

static void the_scheme_is_that_of_the_client(void **state)
{
    static const struct sample list[] = {
        {PROTO("https"), "- https"},
        {PROTO("HTTPS"), "- https"},
        {PROTO("http"), "-"},
        {PROTO("httpsx"), "-"},
        {PROTO("https, http"), "-"},
        {PROTO("http, https"), "- https"},
        {FOR("192.0.2.1") PROTO("https"), "192.0.2.1 https"},
        {FOR("192.0.2.1, 10.0.0.1") PROTO("https"), "192.0.2.1 https"}, /* kept by the others */
        {FOR("192.0.2.1, 10.0.0.1") PROTO("https, http"), "192.0.2.1 https"},
        {FOR("203.0.113.7, 192.0.2.1, 10.0.0.1") PROTO("https, http, https"), "192.0.2.1"},
        {PROTO("https") PROTO("http"), "-"},
        {RFC("for=192.0.2.1;proto=https"), "-"}, /* the other field */
    };
    (void)state;
    check(list, ARRAY_LEN(list));
}

static void forwarded_of_rfc_7239(void **state)
{
    static const struct sample list[] = {
        {FOR("192.0.2.1") PROTO("https"), "-"}, /* the other fields */
        {RFC("for=192.0.2.60;proto=http;by=203.0.113.43"), "192.0.2.60"},
        {RFC("For=\"[2001:db8:cafe::17]:4711\""), "[2001:db8:cafe::17]:4711"},
        {RFC("for=192.0.2.43, for=198.51.100.17"), "198.51.100.17"},
        {RFC("for=192.0.2.43, for=10.0.0.17"), "192.0.2.43"},
        {RFC("for=192.0.2.43;proto=https, for=10.0.0.17;proto=http"), "192.0.2.43 https"},
        {RFC("for=203.0.113.7;proto=https, for=192.0.2.43;proto=http"), "192.0.2.43"},
        {RFC("for=192.0.2.43") RFC("for=\"10.0.0.1:80\""), "192.0.2.43"},
        {RFC("by=\"a,b;c\" ; for = 192.0.2.43 ;PROTO=HTTPS"), "192.0.2.43 https"},
        {RFC("for=unknown"), "-"},
        {RFC("for=_hidden, for=10.0.0.1"), "10.0.0.1"},
        {RFC("proto=https"), "- https"},
        {RFC("for=192.0.2.1;for=192.0.2.2"), "-"},
        {RFC("for"), "-"},
        {RFC(";;,=,\"\""), "-"},
    };
    (void)state;
    proxies.forwarded = true;
    check(list, ARRAY_LEN(list));
}

/* A client begins a quoted string, which the proxy's own words are then to be part of. */
static void an_open_quote_hides_nothing(void **state)
{
    static const struct sample list[] = {
        {RFC("for=\"203.0.113.7, for=192.0.2.1"), "192.0.2.1"},
        {RFC("for=\"203.0.113.7, for=\"[2001:db8::1]\""), "[2001:db8::1]"},
        {RFC("for=203.0.113.7;x=\"\\\", for=\"[2001:db8::1]\""), "[2001:db8::1]"},
        {RFC("for=203.0.113.7;x=\"\\\"\", for=\"[2001:db8::1]:80\""), "[2001:db8::1]:80"},
        {RFC("for=\"203.0.113.7") RFC("for=192.0.2.1"), "192.0.2.1"},
        {RFC("x=\"a, for=203.0.113.7\", for=192.0.2.1"), "192.0.2.1"},
    };
    (void)state;
    proxies.forwarded = true;
    check(list, ARRAY_LEN(list));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_last_address_that_is_not_trusted, trust),
        cmocka_unit_test_setup(what_is_no_address_hides_what_is_before, trust),
        cmocka_unit_test_setup(long_lists, trust),
        cmocka_unit_test_setup(the_scheme_is_that_of_the_client, trust),
        cmocka_unit_test_setup(forwarded_of_rfc_7239, trust),
        cmocka_unit_test_setup(an_open_quote_hides_nothing, trust),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
