/* h1_fast_head against llhttp: what it takes for a head, llhttp takes for the same one. A head that
 * comes in two pieces is llhttp's alone. */

#include "http/h1_fast.h"
#include "mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { ROUNDS = 200000, TEXT = 1024 };

struct parsed {
    struct arena arena;
    struct parser p;
    char text[TEXT];
    size_t used;
};

static void begin(struct parsed *r)
{
    arena_init(&r->arena, NULL, 0, 64 * 1024);
    parser_init(&r->p, &r->arena, r->text, sizeof r->text);
}

/* By llhttp alone. */
static void parse_in_pieces(struct parsed *r, slice in)
{
    begin(r);
    r->used = parser_head(&r->p, slice_of(in.ptr, 1));
    if (r->p.state == PARSE_HEAD && in.len > 1) r->used += parser_head(&r->p, slice_skip(in, 1));
    assert_true(r->p.begun);
}

static size_t parse_plain(struct parsed *r, slice in)
{
    begin(r);
    return r->used = h1_fast_head(&r->p, in);
}

static void assert_same(slice a, slice b)
{
    assert_int_equal(a.len, b.len);
    if (a.len) assert_memory_equal(a.ptr, b.ptr, a.len);
}

static void assert_alike(const struct parsed *a, const struct parsed *b)
{
    const struct parser *p = &a->p, *q = &b->p;
    assert_int_equal(a->used, b->used);
    assert_int_equal(p->state, q->state);
    assert_int_equal(p->head_bytes, q->head_bytes);
    assert_int_equal(p->minor, q->minor);
    assert_int_equal(p->keep_alive, q->keep_alive);
    assert_int_equal(p->chunked, q->chunked);
    assert_int_equal(p->content_length, q->content_length);
    assert_same(parser_method(p), parser_method(q));
    assert_same(parser_version(p), parser_version(q));
    assert_same(parser_target(p), parser_target(q));
    assert_int_equal(p->n_fields, q->n_fields);
    for (size_t i = 0; i < p->n_fields; i++) {
        assert_same(field_name(p, i), field_name(q, i));
        assert_same(field_value(p, i), field_value(q, i));
    }
}

/* Whether it was plain. */
static bool check(slice in)
{
    struct parsed plain, pieces;
    bool taken = parse_plain(&plain, in) > 0;
    if (taken) {
        parse_in_pieces(&pieces, in);
        assert_alike(&plain, &pieces);
        arena_reset(&pieces.arena);
    }
    arena_reset(&plain.arena);
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

static void test_plain_heads_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) assert_true(check_exact(plain[i]));
}

static void test_other_heads_are_left(void **state)
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

/* The words that are looked at eight bytes at a time, at every place in such a word. */
static void test_any_byte_at_any_place(void **state)
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

static void test_as_many_fields_as_there_may_be(void **state)
{
    (void)state;
    for (unsigned n = FIELDS_MAX - 1; n <= FIELDS_MAX + 1; n++) {
        char head[TEXT];
        size_t len = (size_t)sprintf(head, "GET / HTTP/1.1\r\n");
        for (unsigned i = 0; i < n; i++) len += (size_t)sprintf(head + len, "a:b\r\n");
        len += (size_t)sprintf(head + len, "\r\n");
        assert_int_equal(check_exact(slice_of(head, len)), n <= FIELDS_MAX);
    }
}

static void test_only_what_the_text_has_room_for(void **state)
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
        cmocka_unit_test(test_plain_heads_are_taken),
        cmocka_unit_test(test_other_heads_are_left),
        cmocka_unit_test(test_any_byte_at_any_place),
        cmocka_unit_test(test_as_many_fields_as_there_may_be),
        cmocka_unit_test(test_only_what_the_text_has_room_for),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
