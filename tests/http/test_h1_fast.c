/* h1_fast_head compared with llhttp: any head that it accepts, llhttp must parse to the same
 * result. A head in two pieces is parsed by llhttp alone. */

#include "http/h1_fast.h"
#include "http/h1_parser.h"
#include "mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { ROUNDS = 200000, TEXT = 1024 };

static const struct head_limits limits = {16 * 1024, HEAD_OWN_FIELDS};

struct parsed {
    struct arena arena;
    struct h1_parser parser;
    struct head head;
    char text[TEXT];
    size_t used;
};

static void begin(struct parsed *r)
{
    arena_init(&r->arena, NULL, 0, 64 * 1024);
    h1_parser_init(&r->parser, &r->head, &r->arena, r->text, sizeof r->text);
}

/* Parses with llhttp alone. */
static void parse_in_pieces(struct parsed *r, slice in)
{
    begin(r);
    r->used = h1_parse_head(&r->parser, &limits, slice_of(in.ptr, 1));
    if (r->parser.state == PARSE_HEAD && in.len > 1)
        r->used += h1_parse_head(&r->parser, &limits, slice_skip(in, 1));
    assert_true(r->parser.llhttp_used);
}

static size_t parse_fast(struct parsed *r, slice in)
{
    begin(r);
    return r->used = h1_fast_head(&r->head, sizeof r->text, in);
}

/* Parses as the server does: the fast path first, then llhttp. */
static void parse_whole(struct parsed *r, slice in)
{
    begin(r);
    r->used = h1_parse_fast(&r->parser, in);
    if (!r->used) r->used = h1_parse_head(&r->parser, &limits, in);
}

static void assert_same(slice a, slice b)
{
    assert_int_equal(a.len, b.len);
    if (a.len) assert_memory_equal(a.ptr, b.ptr, a.len);
}

static void assert_same_result(const struct parsed *a, const struct parsed *b)
{
    const struct head *h = &a->head, *g = &b->head;
    assert_int_equal(a->used, b->used);
    assert_int_equal(h->minor, g->minor);
    assert_int_equal(h->method, g->method);
    assert_int_equal(h->keep_alive, g->keep_alive);
    assert_int_equal(h->has_body, g->has_body);
    assert_int_equal(h->chunked, g->chunked);
    assert_int_equal(h->content_length, g->content_length);
    assert_same(h->method_name, g->method_name);
    assert_same(head_version(h), head_version(g));
    assert_same(head_target(h), head_target(g));
    assert_int_equal(h->n_fields, g->n_fields);
    for (size_t i = 0; i < h->n_fields; i++) {
        assert_same(head_field_name(h, i), head_field_name(g, i));
        assert_same(head_field_value(h, i), head_field_value(g, i));
    }
}

/* Checks that both agree; returns whether the fast path accepted the head. */
static bool check(slice in)
{
    struct parsed fast, whole, pieces;
    bool taken = parse_fast(&fast, in) > 0;
    if (taken) {
        parse_in_pieces(&pieces, in);
        parse_whole(&whole, in);
        assert_int_equal(pieces.parser.state, PARSE_DONE);
        assert_int_equal(whole.parser.state, PARSE_DONE);
        assert_int_equal(whole.parser.head_bytes, pieces.parser.head_bytes);
        assert_same_result(&fast, &pieces);
        assert_same_result(&whole, &pieces);
        arena_reset(&pieces.arena);
        arena_reset(&whole.arena);
    }
    arena_reset(&fast.arena);
    return taken;
}

static bool check_exact(slice s)
{
    slice in = exact(s);
    bool taken = check(in);
    free((char *)(uintptr_t)in.ptr);
    return taken;
}

static const slice plain[] = {
    SLICE("GET / HTTP/1.1\r\n\r\n"),
    SLICE("GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"),
    SLICE("GET /a?b=c&d=%20 HTTP/1.1\r\nhost:x\r\nAccept: */*  \r\nEmpty:\r\n\r\n"),
    SLICE("GET /static/a.js HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nUser-Agent: a (b; c) "
          "d\r\n\r\n"),
    SLICE(
        "GET /x HTTP/1.1\r\nConnection:Keep-Alive\r\nExpect: 100-continue\r\nUpgrades: 1\r\n\r\n"),
    SLICE("GET /x HTTP/1.1\r\nHost: x\r\n\r\nGET /y HTTP/1.1\r\n\r\n"),
    SLICE("GET /!\"$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~ HTTP/1.1\r\n!#$%&'*+-.^_`|~09azAZ: "
          "!\"#~\r\n\r\n"),
};

static void test_common_heads_use_the_fast_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) assert_true(check_exact(plain[i]));
}

static void test_other_heads_are_left_to_llhttp(void **state)
{
    static const slice other[] = {
        SLICE(""),
        SLICE("G"),
        SLICE("GET /"),
        SLICE("GET / HTTP/1.1"),
        SLICE("GET / HTTP/1.1\r\n"),
        SLICE("GET / HTTP/1.1\r\n\r"),
        SLICE("GET / HTTP/1.1\r\nA: b\r\n"),
        SLICE("GET / HTTP/1.1\r\nA"),
        SLICE("HEAD / HTTP/1.1\r\n\r\n"),
        SLICE("GET * HTTP/1.1\r\n\r\n"),
        SLICE("GET / HTTP/1.0\r\n\r\n"),
        SLICE("GET /#a HTTP/1.1\r\n\r\n"),
        SLICE("GET /\x7f HTTP/1.1\r\n\r\n"),
        SLICE("GET /\xc3 HTTP/1.1\r\n\r\n"),
        SLICE("GET  / HTTP/1.1\r\n\r\n"),
        SLICE("GET /  HTTP/1.1\r\n\r\n"),
        SLICE("\r\nGET / HTTP/1.1\r\n\r\n"),
        SLICE("GET / HTTP/1.1\n\n"),
        SLICE("GET / HTTP/1.1\r\n\n"),
        SLICE("GET / HTTP/1.1\r\nA: b\n\r\n"),
        SLICE("GET / HTTP/1.1\r\nA : b\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\n: b\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\nA: \x01\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\nA:\tb\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\nA: \xff\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\nA: \x7f\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\ncontent-length: 5\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\nCONNECTION: x\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\nConnection: keep-alive, close\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\nProxy-Connection: close\r\n\r\n"),
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(other); i++) assert_false(check_exact(other[i]));
}

/* Every byte at every position of the words that are examined eight bytes at a time. */
static void test_every_byte_at_every_position(void **state)
{
    (void)state;
    static const slice head =
        SLICE("GET /abcdefghijklmnopq HTTP/1.1\r\nName-of-it: abcdefghijklmnopq\r\n\r\n");
    unsigned taken = 0;
    for (size_t at = 0; at < head.len; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            char changed[128];
            memcpy(changed, head.ptr, head.len);
            changed[at] = (char)byte;
            taken += check_exact(slice_of(changed, head.len));
        }
    }
    assert_true(taken > 1000);
}

static void test_maximum_number_of_fields(void **state)
{
    (void)state;
    for (unsigned n = HEAD_OWN_FIELDS - 1; n <= HEAD_OWN_FIELDS + 1; n++) {
        char head[TEXT];
        size_t len = (size_t)sprintf(head, "GET / HTTP/1.1\r\n");
        for (unsigned i = 0; i < n; i++) len += (size_t)sprintf(head + len, "a:b\r\n");
        len += (size_t)sprintf(head + len, "\r\n");
        assert_int_equal(check_exact(slice_of(head, len)), n <= HEAD_OWN_FIELDS);
    }
}

static void test_heads_larger_than_the_text_are_left(void **state)
{
    (void)state;
    for (size_t size = TEXT - 8; size <= TEXT + 8; size++) {
        char head[TEXT + 8];
        memset(head, 'a', sizeof head);
        memcpy(head, "GET /", 5);
        memcpy(head + size - 13, " HTTP/1.1\r\n\r\n", 13);
        assert_int_equal(check_exact(slice_of(head, size)), size <= TEXT);
    }
}

static void test_mutations(void **state)
{
    (void)state;
    static const slice alphabet =
        SLICE("GET / HTTP/1.1\r\n\r\nHost: \tConnection:keep-alive,close#?%\x7f\x80");
    unsigned taken = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        slice in = mutate(plain[random_below(ARRAY_LEN(plain))], alphabet);
        taken += check(in);
        free((char *)(uintptr_t)in.ptr);
    }
    assert_true(taken > ROUNDS / 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_common_heads_use_the_fast_path),
        cmocka_unit_test(test_other_heads_are_left_to_llhttp),
        cmocka_unit_test(test_every_byte_at_every_position),
        cmocka_unit_test(test_maximum_number_of_fields),
        cmocka_unit_test(test_heads_larger_than_the_text_are_left),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
