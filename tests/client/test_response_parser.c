#include "client/response_parser.h"

#include "../base/random.h"
#include "../http/framing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BODY_MAX = 1 << 16 };

static char body[BODY_MAX];
static size_t body_len;

static void on_body(struct response_parser *r, slice piece)
{
    (void)r;
    assert_true(body_len + piece.len <= BODY_MAX);
    memcpy(body + body_len, piece.ptr, piece.len);
    body_len += piece.len;
}

/* "|name=value" of each field, where they are watched. */
static bool watched;
static char fields[8 << 20];
static size_t fields_len;
static bool in_name;

static void add_field(slice piece, bool name)
{
    if (name != in_name) fields[fields_len++] = name ? '|' : '=';
    in_name = name;
    memcpy(fields + fields_len, piece.ptr, piece.len);
    fields_len += piece.len;
    assert_true(fields_len < sizeof fields - 2);
    fields[fields_len] = '\0';
}

static void on_name(struct response_parser *r, slice piece)
{
    (void)r;
    add_field(piece, true);
}

static void on_value(struct response_parser *r, slice piece)
{
    (void)r;
    add_field(piece, false);
}

static void begin(struct response_parser *r, bool to_head)
{
    r->on_body = on_body;
    r->on_field_name = watched ? on_name : NULL;
    r->on_field_value = watched ? on_value : NULL;
    fields_len = 0;
    in_name = false;
    r->on_interim = NULL;
    r->accepts_head = NULL;
    body_len = 0;
    response_parser_begin(r, to_head);
    assert_int_equal(r->state, RESPONSE_HEAD);
}

/* Each piece in memory of its own, which ends where it ends, so that reading beyond it is seen. */
static size_t parse(struct response_parser *r, const char *from, size_t n)
{
    char *copy = malloc(n);
    assert_non_null(copy);
    memcpy(copy, from, n);
    size_t used = response_parser_parse(r, slice_of(copy, n));
    free(copy);
    assert_true(used <= n);
    return used;
}

enum cut { WHOLE, BYTES, RANDOM, CUTS };

/* Feeds all of it; how much was used. */
static size_t feed(struct response_parser *r, slice in, enum cut cut)
{
    size_t at = 0;
    while (at < in.len && r->state < RESPONSE_DONE) {
        size_t left = in.len - at, n = cut == WHOLE   ? left
                                       : cut == BYTES ? 1
                                                      : 1 + random_below(left < 40 ? left : 40);
        size_t used = parse(r, in.ptr + at, n);
        at += used;
        if (used < n) assert_true(r->state >= RESPONSE_DONE);
    }
    return at;
}

/* ---- good ones ---- */

struct good {
    const char *text, *body;
    uint16_t status;
    bool to_head, closes, until_close;
};

static const struct good goods[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, 0, 0, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", 200, 0, 0, 0},
    {"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", "x", 200, 0, 0, 0},
    {"HTTP/1.1 404 Not Found at all\r\ncontent-length:2\r\nX: \t y \r\n\r\nno", "no", 404, 0, 0, 0},
    {"HTTP/1.1 599 ?\r\nContent-Length: 1\r\n\r\nx", "x", 599, 0, 0, 0},
    {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, 0, 1, 0},
    {"HTTP/1.1 200 OK\r\nConnection: a, Close, b\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, 0, 1,
     0},
    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, 0, 1, 0},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, 0, 0,
     0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", 200,
     0, 0, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", 200, 0, 0, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1;a=b\r\nh\r\n0A;c=\"d\"\r\nello "
     "world\r\n000\r\nT: 1\r\nU: 2\r\n\r\n",
     "hello world", 200, 0, 0, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi", 200,
     0, 0, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "", 200, 1, 0, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", 200, 1, 0, 0},
    {"HTTP/1.1 200 OK\r\n\r\n", "", 200, 1, 0, 0},
    {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "", 200, 1, 1, 0},
    {"HTTP/1.1 204 No Content\r\n\r\n", "", 204, 0, 0, 0},
    {"HTTP/1.1 304 Not Modified\r\n\r\n", "", 304, 0, 0, 0},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "", 304, 0, 0, 0},
    {"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "", 304, 0, 0, 0},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, 0, 0,
     0},
    {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 x\r\nX: y\r\n\r\nHTTP/1.1 200 "
     "OK\r\nContent-Length: 2\r\n\r\nhi",
     "hi", 200, 0, 0, 0},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "", 200, 1, 0, 0},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "", 204, 0, 0, 0},
    {"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\n"
     "Content-Length: 2\r\n\r\nhi",
     "hi", 200, 0, 0, 0},
    {"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\n"
     "Content-Length: 2\r\n\r\nhi",
     "hi", 200, 0, 0, 0},
    {"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\n"
     "Content-Length: 2\r\n\r\nhi",
     "hi", 200, 0, 0, 0},
    {"HTTP/1.0 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, 0, 0,
     0},
    {"HTTP/1.1 200 OK\r\nConnection: close\t\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, 0, 1, 0},
    {"HTTP/1.1 200 OK\r\nConnection:\tx\t,\tclose\t,y\r\nContent-Length:\t2\t\r\n\r\nhi", "hi", 200,
     0, 1, 0},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\t\r\nContent-Length: 2 \t\r\n\r\nhi", "hi", 200, 0,
     0, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding:\tchunked\t\r\n\r\n2 ;\ta = \"b ; \\\" \"\r\nhi\r\n0\t;"
     "b\r\nX: y\r\n\r\n",
     "hi", 200, 0, 0, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1 "
     ";x\r\ni\r\n1\r\n!\r\n0\r\n\r\n",
     "hi!", 200, 0, 0, 0},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
     "0\r\n\r\n",
     "hi", 200, 0, 1, 0},
    {"HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end", 200, 0, 1, 1},
    {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end", "until the end", 200, 0, 1, 1},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nuntil the end", "until the end", 200, 0, 1,
     1},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nuntil the end", "until the end", 200, 0, 1,
     1},
    {"HTTP/1.1 200 OK\r\n\r\n", "", 200, 0, 1, 1},
};

static void is_answered(const struct response_parser *r, const struct good *g)
{
    if (r->state != RESPONSE_DONE)
        fail_msg("%s: %s", g->text, r->problem ? r->problem : "not yet whole");
    assert_int_equal(r->status, g->status);
    assert_int_equal(r->keep_alive, !g->closes);
    assert_int_equal(r->body_bytes, strlen(g->body));
    assert_int_equal(body_len, strlen(g->body));
    assert_memory_equal(body, g->body, body_len);
    assert_null(r->problem);
}

static void is_good(const struct good *g, enum cut cut)
{
    static const char next[] = "HTTP/1.1 200";
    struct response_parser r;
    char both[1024];
    size_t n = strlen(g->text);
    memcpy(both, g->text, n);
    memcpy(both + n, next, sizeof next);
    begin(&r, g->to_head);
    if (g->until_close) {
        assert_int_equal(feed(&r, slice_of(both, n), cut), n);
        assert_int_equal(r.state, RESPONSE_BODY);
        assert_true(r.until_close);
        response_parser_end(&r);
    } else {
        /* What follows belongs to the next and is left alone. */
        size_t used = feed(&r, slice_of(both, n + sizeof next - 1), cut);
        if (used != n) fail_msg("%zu of %zu bytes used: %s", used, n, g->text);
    }
    is_answered(&r, g);
    response_parser_end(&r);
    assert_int_equal(r.state, RESPONSE_DONE);
}

static void good_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(goods); i++)
        for (int k = 0; k < 50; k++) is_good(&goods[i], k < RANDOM ? (enum cut)k : RANDOM);
}

/* Every one up to each of its bytes is not yet done, and its end there is an error. */
static void cut_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
        const struct good *g = &goods[i];
        for (size_t n = 0; !g->until_close && n < strlen(g->text); n++) {
            struct response_parser r;
            begin(&r, g->to_head);
            assert_int_equal(feed(&r, slice_of(g->text, n), WHOLE), n);
            assert_true(r.state < RESPONSE_DONE);
            response_parser_end(&r);
            if (r.state != RESPONSE_ERROR) fail_msg("%zu bytes of %s", n, g->text);
            assert_non_null(r.problem);
        }
    }
}

/* All of them on one stream, cut anyhow. */
static void one_behind_the_other(void **state)
{
    static char stream[16384];
    (void)state;
    for (int k = 0; k < 50; k++) {
        struct response_parser r;
        size_t n = 0, at = 0;
        for (size_t i = 0; i < ARRAY_LEN(goods); i++)
            if (!goods[i].until_close)
                n += (size_t)snprintf(stream + n, sizeof stream - n, "%s", goods[i].text);
        assert_true(n < sizeof stream);
        for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
            if (goods[i].until_close) continue;
            begin(&r, goods[i].to_head);
            at += feed(&r, slice_of(stream + at, n - at), k < RANDOM ? (enum cut)k : RANDOM);
            is_answered(&r, &goods[i]);
        }
        assert_int_equal(at, n);
    }
}

static void nobody_wants_the_body(void **state)
{
    struct response_parser r = {0};
    (void)state;
    response_parser_begin(&r, false);
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    assert_int_equal(parse(&r, text, sizeof text - 1), sizeof text - 1);
    assert_int_equal(r.state, RESPONSE_DONE);
    assert_int_equal(r.body_bytes, 5);
}

static void a_large_body(void **state)
{
    enum { PIECE = 1 << 16 };
    static char piece[PIECE];
    struct response_parser r = {0};
    char head[80];
    const uint64_t total = UINT64_C(5) << 30; /* more than 32 bits */
    (void)state;
    int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
                     (unsigned long long)total);
    response_parser_begin(&r, false);
    assert_int_equal(parse(&r, head, (size_t)n), n);
    for (uint64_t sent = 0; sent < total; sent += PIECE) {
        assert_int_equal(r.state, RESPONSE_BODY);
        assert_int_equal(response_parser_parse(&r, slice_of(piece, PIECE)), PIECE);
    }
    assert_int_equal(r.state, RESPONSE_DONE);
    assert_true(r.body_bytes == total);
}

/* ---- malformed ones ---- */

static const char *const bads[] = {
    "garbage",
    "\r\n\r\n\r\nx",
    "GET / HTTP/1.1\r\n\r\n",
    "HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/0.9 200 OK\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 abc OK\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n",
    "http/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
    "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
    "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
    "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\t1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a b\r\nx\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\t\r\nx\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloworld\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\nx",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n",
    "HTTP/1.1 000 Oh\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 099 Oh\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nxyzzy",
};

static void malformed_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bads); i++)
        for (int cut = 0; cut < CUTS; cut++) {
            struct response_parser r;
            begin(&r, false);
            feed(&r, slice_str(bads[i]), (enum cut)cut);
            if (r.state != RESPONSE_ERROR) fail_msg("taken (%d): %s", cut, bads[i]);
            assert_non_null(r.problem);
            assert_true(r.problem[0] != '\0');
            response_parser_end(&r);
            assert_int_equal(r.state, RESPONSE_ERROR);
        }
}

/* What is taken without folded lines is read alike by one that takes these. */
static void check_folding(const struct good *g, slice text, const struct response_parser *plain,
                          size_t used)
{
    struct response_parser r;
    size_t len = body_len;
    if (plain->state != RESPONSE_DONE) return;
    watched = true;
    begin(&r, g->to_head);
    assert_int_equal(feed(&r, text, RANDOM), used);
    response_parser_end(&r);
    watched = false;
    assert_int_equal(r.state, RESPONSE_DONE);
    assert_int_equal(body_len, len);
    assert_int_equal(r.keep_alive, plain->keep_alive);
    assert_int_equal(r.status, plain->status);
}

/* Bytes changed anyhow: whatever comes of them, all states are among the four and nothing is read
 * beyond. */
static void mutated_ones(void **state)
{
    (void)state;
    for (int k = 0; k < 20000; k++) {
        const struct good *g = &goods[random_below(ARRAY_LEN(goods))];
        char text[1024];
        struct response_parser r;
        size_t n = strlen(g->text);
        memcpy(text, g->text, n);
        for (uint64_t changes = 1 + random_below(3); changes; changes--)
            text[random_below(n)] = (char)random_below(256);
        begin(&r, g->to_head);
        size_t used = feed(&r, slice_of(text, n), RANDOM);
        assert_true(used == n || r.state >= RESPONSE_DONE);
        response_parser_end(&r);
        if (!watched) check_folding(g, slice_of(text, n), &r, used);
        assert_true(r.state == RESPONSE_DONE || r.state == RESPONSE_ERROR);
        assert_int_equal(r.state == RESPONSE_ERROR, r.problem != NULL);
        assert_true(r.state != RESPONSE_DONE || r.body_bytes == body_len);
    }
}

static void an_end_before_anything(void **state)
{
    struct response_parser r;
    (void)state;
    begin(&r, false);
    response_parser_end(&r);
    assert_int_equal(r.state, RESPONSE_ERROR);
    assert_non_null(r.problem);
}

/* Without end, and bounded by the data. */
static void framing_is_bounded(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    static const struct {
        const char *first, *again;
    } cases[] = {
        {"1;", "xxxxxxxxx"}, {"0\r\n", "a: bcdef\r\n"}, {"", "1;abcdefghijklmnop\r\nx\r\n"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct response_parser r = {0};
        begin(&r, false);
        parse(&r, head, sizeof head - 1);
        if (cases[i].first[0]) parse(&r, cases[i].first, strlen(cases[i].first));
        unsigned n = 0;
        while (r.state == RESPONSE_BODY && n++ < 16000)
            parse(&r, cases[i].again, strlen(cases[i].again));
        assert_int_equal(r.state, RESPONSE_ERROR);
        assert_true(r.is_excessive);
        assert_true(n > 1000);
    }
    /* The smallest chunks are allowed. */
    struct response_parser r = {0};
    begin(&r, false);
    parse(&r, head, sizeof head - 1);
    for (int n = 0; n < 20000; n++) parse(&r, "1\r\nx\r\n", 6);
    assert_int_equal(r.state, RESPONSE_BODY);
}

/* To the byte, whichever way it comes: with the head, too. */
static void framing_is_bounded_however_it_is_cut(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    static char text[sizeof head + FRAMING_MAX];
    (void)state;
    memcpy(text, head, sizeof head);
    for (size_t i = 0; i < sizeof framings / sizeof *framings; i++) {
        for (unsigned over = 0; over < 3; over++) {
            slice in = framing_text(&framings[i], over, text + sizeof head - 1);
            in = slice_of(text, sizeof head - 1 + in.len);
            for (int k = 0; k < 2 * CUTS; k++) {
                struct response_parser r = {0};
                begin(&r, false);
                size_t at = k < CUTS ? 0 : parse(&r, head, sizeof head - 1);
                feed(&r, slice_skip(in, at), (enum cut)(k % CUTS));
                if ((r.state == RESPONSE_ERROR) != (over > 0))
                    fail_msg("%zu: %u more, cut %d: %d", i, over, k, r.state);
                assert_int_equal(r.is_excessive, over > 0);
            }
        }
    }
}

/* Their number does not count: with a search for the end of the line from each of them, this would
 * take minutes. */
static void many_tabs(void **state)
{
    enum { TABS = 2 << 20 };
    static const char before[] = "HTTP/1.1 200 OK\r\nConnection: x",
                      after[] = "close\r\nContent-Length: 2\r\n\r\nhi";
    char *text = test_malloc(sizeof before + 2 * TABS + sizeof after), *at = text;
    struct response_parser r;
    (void)state;
    at = mempcpy(at, before, sizeof before - 1);
    for (int i = 0; i < TABS; i++) at = mempcpy(at, "\t,", 2);
    at = mempcpy(at, after, sizeof after - 1);
    begin(&r, false);
    feed(&r, slice_of(text, (size_t)(at - text)), WHOLE);
    assert_int_equal(r.state, RESPONSE_DONE);
    assert_int_equal(r.body_bytes, 2);
    assert_false(r.keep_alive);
    test_free(text);
}

/* Nor does that of fields which llhttp interprets: with a search for a folded line among all that
 * follow each of them, this would take minutes. */
static void many_fields(void **state)
{
    enum { FIELDS = 400000 };
    static const char before[] = "HTTP/1.1 200 OK\r\n", field[] = "Upgrade:\r\n",
                      after[] = "Content-Length: 2\r\n\r\nhi";
    char *text = test_malloc(sizeof before + FIELDS * sizeof field + sizeof after), *at = text;
    struct response_parser r;
    (void)state;
    at = mempcpy(at, before, sizeof before - 1);
    for (int i = 0; i < FIELDS; i++) at = mempcpy(at, field, sizeof field - 1);
    at = mempcpy(at, after, sizeof after - 1);
    begin(&r, false);
    feed(&r, slice_of(text, (size_t)(at - text)), WHOLE);
    assert_int_equal(r.state, RESPONSE_DONE);
    assert_int_equal(r.body_bytes, 2);
    test_free(text);
}

/* Whatever is looked at together, each field arrives as it does byte by byte. */
static void long_heads(void **state)
{
    static const char *const lines[] = {"Upgrade:\r\n", "X: abcdef\r\n", "X: a\r\n b\r\n",
                                        "Connection:\r\n\ta,\tb\r\n", "Y:\r\n"};
    static char bytewise[4096];
    (void)state;
    for (int k = 0; k < 2000; k++) {
        char text[4096] = "HTTP/1.1 200 OK\r\n", *at = text + strlen(text);
        struct response_parser r;
        while (at < text + 2000) at = stpcpy(at, lines[random_below(ARRAY_LEN(lines))]);
        at = stpcpy(at, "Content-Length: 2\r\n\r\nhi");
        begin(&r, false);
        feed(&r, slice_of(text, (size_t)(at - text)), BYTES);
        assert_int_equal(r.state, RESPONSE_DONE);
        assert_true(fields_len < sizeof bytewise);
        memcpy(bytewise, fields, fields_len + 1);
        begin(&r, false);
        feed(&r, slice_of(text, (size_t)(at - text)), k % 2 ? RANDOM : WHOLE);
        assert_int_equal(r.state, RESPONSE_DONE);
        assert_string_equal(fields, bytewise);
    }
}

/* RFC 9112, 5.2: a user agent reads spaces for what folds a line. */
static void folded_lines(void **state)
{
    static const struct {
        const char *text, *fields; /* NULL: malformed */
    } heads[] = {
        {"X: a\r\n b\r\nY: c", "|X=a b|Y=c|Content-Length=2"},
        {"X: a\r\n\tb", "|X=a b|Content-Length=2"},
        {"X: a \r\n\t b\r\n  c", "|X=a   b  c|Content-Length=2"},
        {"X:\r\n a", "|X=a|Content-Length=2"},
        {"X: \ta\tb\r\n c", "|X=a\tb c|Content-Length=2"},
        {"Connection: a,\r\n b", "|Connection=a, b|Content-Length=2"},
        {"Connection:\ta,\t\r\n\tb", "|Connection=a,\t b|Content-Length=2"},
        {"X: a\n b", NULL},
        {" X: a", NULL},
        {"X\r\n : a", NULL},
        {"X: a\r b", NULL},
        {"X: a\r\r\n b", NULL},
        {"Content-Length:\r\n 2\r\n 2", NULL},
    };
    (void)state;
    watched = true;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        for (int cut = 0; cut < CUTS; cut++) {
            char text[256];
            struct response_parser r;
            snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n%s\r\nContent-Length: 2\r\n\r\nhi",
                     heads[i].text);
            begin(&r, false);
            feed(&r, slice_str(text), (enum cut)cut);
            if ((r.state == RESPONSE_DONE) != (heads[i].fields != NULL))
                fail_msg("%d (%d): %s", r.state, cut, text);
            if (heads[i].fields) assert_string_equal(fields, heads[i].fields);
            if (heads[i].fields) assert_int_equal(body_len, 2);
        }
    watched = false;
}

/* Where folds decide how a response is framed, or where they may be: whole responses. */
static void folded_framing(void **state)
{
    static const struct {
        const char *text, *fields, *body; /* NULL: malformed */
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\nhi", "|Content-Length=2", "hi"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
         "|Transfer-Encoding=chunked", "hi"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n \r\n\r\n2\r\nhi\r\n0\r\n\r\n",
         "|Transfer-Encoding=chunked ", "hi"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip,\r\n chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
         "|Transfer-Encoding=gzip, chunked", "hi"},
        {"HTTP/1.1 103 Early Hints\r\nLink: a,\r\n b\r\n\r\n"
         "HTTP/1.1 200 OK\r\nX:\r\n 1\r\nContent-Length: 2\r\n\r\nhi",
         "|Link=a, b|X=1|Content-Length=2", "hi"},
        {"\r\nHTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nhi",
         "|X=a b|Content-Length=2", "hi"},
        {"\r\n\r\n\nHTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nhi",
         "|X=a b|Content-Length=2", "hi"},
        {"HTTP/1.1 200 OK\r\n X: a\r\nContent-Length: 2\r\n\r\nhi", NULL, NULL},
        {"\r\nHTTP/1.1 200 OK\r\n X: a\r\nContent-Length: 2\r\n\r\nhi", NULL, NULL},
        {"\r\nHTTP/1.1\r\n 200 OK\r\nContent-Length: 2\r\n\r\nhi", NULL, NULL},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: a\r\n b\r\n\r\n",
         NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (int k = 0; k < 50; k++) {
            struct response_parser r;
            slice text = slice_str(cases[i].text);
            begin(&r, false);
            size_t used = feed(&r, text, k < RANDOM ? (enum cut)k : RANDOM);
            if (r.state != (cases[i].body ? RESPONSE_DONE : RESPONSE_ERROR))
                fail_msg("%d (%d): %s", r.state, k, cases[i].text);
            if (!cases[i].body) continue;
            assert_int_equal(used, text.len);
            assert_string_equal(fields, cases[i].fields);
            assert_int_equal(body_len, 2);
            assert_memory_equal(body, cases[i].body, 2);
        }
}

/* The connection ends after it, and so does a body whose coding is none that ends it. */
static void folded_ends(void **state)
{
    static const struct good folded[] = {
        {"HTTP/1.1 200 OK\r\nConnection:\r\n close\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, 0, 1,
         0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chun  ked\r\n\r\nhi", "hi", 200, 0, 1, 1},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chun\r\n ked\r\n\r\nhi", "hi", 200, 0, 1, 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(folded); i++)
        for (int k = 0; k < 50; k++) is_good(&folded[i], k < RANDOM ? (enum cut)k : RANDOM);
}

static int watch(void **state)
{
    (void)state;
    watched = true;
    return 0;
}

static int do_not_watch(void **state)
{
    (void)state;
    watched = false;
    return 0;
}

#define WATCHING(name) cmocka_unit_test_setup_teardown(name, watch, do_not_watch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones),
        cmocka_unit_test(cut_short),
        cmocka_unit_test(one_behind_the_other),
        cmocka_unit_test(nobody_wants_the_body),
        cmocka_unit_test(a_large_body),
        cmocka_unit_test(malformed_ones),
        cmocka_unit_test(mutated_ones),
        cmocka_unit_test(an_end_before_anything),
        cmocka_unit_test(framing_is_bounded),
        cmocka_unit_test(framing_is_bounded_however_it_is_cut),
        cmocka_unit_test(many_tabs),
        cmocka_unit_test(folded_lines),
        WATCHING(folded_framing),
        WATCHING(folded_ends),
        WATCHING(good_ones),
        WATCHING(cut_short),
        WATCHING(one_behind_the_other),
        WATCHING(malformed_ones),
        WATCHING(mutated_ones),
        WATCHING(many_tabs),
        WATCHING(many_fields),
        WATCHING(long_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
