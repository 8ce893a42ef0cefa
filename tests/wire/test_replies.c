/* Replies of every kind, on the engine in memory: what the client gets, and that bodies which are
 * handed over are released once. */

#include "rig.h"

#include "http/h1_exchange.h"

#include <errno.h>

static struct rig rig;

#define GET       "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define HEAD      "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OLD       "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
#define LEAVES(x) "GET / HTTP/1.1\r\nHost: a\r\n" x "\r\n\r\n"

/* ---- JSON ---- */

static void replies_json(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply_json(rq, 201, "{\"name\":%s,\"none\":%s,\"n\":%d}",
                    torc_json_quote(rq, TORC_S("a\"\n\xff")),
                    torc_json_quote(rq, (torc_slice){NULL, 0}), 7);
}

static void replies_a_problem(torc_req *rq, void *arg)
{
    (void)arg;
    torc_set_header(rq, TORC_S("Content-Type"), TORC_S("application/problem+json"));
    torc_reply_json(rq, 409, "{}");
}

static void quotes_too_much(torc_req *rq, void *arg)
{
    (void)arg;
    torc_slice large = {torc_alloc(rq, 900000), 900000};
    assert_non_null(large.ptr);
    memset((char *)(uintptr_t)large.ptr, 'x', large.len);
    assert_string_equal(torc_json_quote(rq, large), "null");
    assert_int_equal(torc_reply_json(rq, 200, "%s", "null"), -ENOMEM);
}

static int reply_html(torc_req *rq, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int err = torc_vreplyf(rq, 200, "text/html", format, args);
    va_end(args);
    return err;
}

static void replies_html(torc_req *rq, void *arg)
{
    (void)arg;
    reply_html(rq, "<p>%d", 1);
}

static void json(void **state)
{
    (void)state;
    ask_handler(&rig, replies_json, NULL, GET);
    must_have(rig.out, "HTTP/1.1 201 Created\r\n");
    must_have(rig.out, "\r\nContent-Type: application/json\r\n");
    must_have(rig.out, "\r\n\r\n{\"name\":\"a\\\"\\n\xef\xbf\xbd\",\"none\":null,\"n\":7}");
    ask_handler(&rig, replies_a_problem, NULL, GET);
    must_have(rig.out, "\r\nContent-Type: application/problem+json\r\n");
    must_lack(rig.out, "application/json");
    ask_handler(&rig, quotes_too_much, NULL, GET);
    must_have(rig.out, "HTTP/1.1 503 ");
    ask_handler(&rig, replies_html, NULL, GET);
    must_have(rig.out, "\r\nContent-Type: text/html\r\n");
    must_have(rig.out, "\r\n\r\n<p>1");
}

/* ---- redirects ---- */

static void redirects(torc_req *rq, void *arg)
{
    static const char *const wrong[] = {"", "/a b", "/a\r\nX: y", "/\xc3\xa4", "/a\x7f"};
    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(torc_redirect(rq, 303, slice_str(wrong[i])), -EINVAL);
    assert_int_equal(torc_redirect(rq, 304, TORC_S("/a")), -EINVAL);
    assert_int_equal(torc_redirect(rq, 305, TORC_S("/a")), -EINVAL);
    torc_set_header(rq, TORC_S("Location"), TORC_S("/before"));
    assert_int_equal(torc_redirect(rq, 308, TORC_S("/a%20b?c=d#e")), 0);
    assert_int_equal(torc_redirect(rq, 302, TORC_S("/b")), -EALREADY);
}

static void redirect(void **state)
{
    (void)state;
    ask_handler(&rig, redirects, NULL, GET);
    must_have(rig.out, "HTTP/1.1 308 Permanent Redirect\r\n");
    must_have(rig.out, "\r\nLocation: /a%20b?c=d#e\r\n");
    must_lack(rig.out, "/before");
}

/* ---- bodies that are handed over ---- */

enum { LARGE = 300 * 1024 };

static char large[LARGE];
static unsigned given, released;

static void release(void *arg)
{
    assert_ptr_equal(arg, large);
    released++;
}

static int give(torc_req *rq, int status, const char *type, size_t n)
{
    given++;
    return torc_reply_own(rq, status, type, (torc_slice){large, n}, release, large);
}

static void hands_over(torc_req *rq, void *arg)
{
    assert_int_equal(give(rq, 200, "text/plain", *(size_t *)arg), 0);
    assert_int_equal(torc_write(rq, "x", 1), -EINVAL);
    assert_int_equal(torc_end(rq), -EINVAL);
}

static void hands_over_in_vain(torc_req *rq, void *arg)
{
    (void)arg;
    assert_int_equal(give(rq, 199, "text/plain", LARGE), -EINVAL);
    assert_int_equal(give(rq, 200, "a\r\nb", LARGE), -EINVAL);
    assert_int_equal(give(rq, 200, "a\r\nb", 10), -EINVAL);
    assert_int_equal(released, given);
    torc_reply(rq, 200, NULL, TORC_S("other"));
    assert_int_equal(give(rq, 200, NULL, LARGE), -EALREADY);
    assert_int_equal(give(rq, 200, NULL, 10), -EALREADY);
}

static void owned_bodies_arrive(void **state)
{
    static size_t sizes[] = {0, 1, 8 * 1024, 8 * 1024 + 1, 60 * 1024, LARGE};
    (void)state;
    given = released = 0;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        size_t n;
        rig_open(&rig, hands_over, &sizes[i]);
        struct mem_client *m = mem_connect(&rig.core.io);
        mem_configure(&rig.core.io,
                      &(struct mem_config){.pace = i % 2 ? 5000 : 0, .patience = 1000000000});
        for (int k = 0; k < 3; k++) mem_push(m, GET, sizeof GET - 1);
        mem_push_end(m);
        rig_run(&rig);
        const char *out = mem_out(m, &n);
        for (int k = 0; k < 3; k++) { /* each whole, in turn */
            const char *body = memmem(out, n, "\r\n\r\n", 4);
            assert_non_null(body);
            size_t head = (size_t)(body - out) + 4;
            assert_true(n >= head + sizes[i]);
            assert_memory_equal(out + head, large, sizes[i]);
            out += head + sizes[i];
            n -= head + sizes[i];
        }
        assert_int_equal(n, 0);
        mem_free(&rig.core.io, m);
        rig_close(&rig);
        assert_int_equal(released, given);
    }
}

static void owned_bodies_without_a_use(void **state)
{
    static size_t size = LARGE;
    (void)state;
    given = released = 0;
    ask_handler(&rig, hands_over, &size, HEAD);
    must_have(rig.out, "\r\nContent-Length: 307200\r\n");
    assert_int_equal(released, given);
    ask_handler(&rig, hands_over_in_vain, NULL, GET);
    must_have(rig.out, "\r\n\r\nother");
    assert_int_equal(released, given);
}

/* The client resets, after any number of turns and whatever it has taken. */
static void owned_bodies_of_clients_that_leave(void **state)
{
    static size_t size = LARGE;
    (void)state;
    given = released = 0;
    for (unsigned turns = 0; turns < 60; turns++) {
        rig_open(&rig, hands_over, &size);
        mem_configure(&rig.core.io, &(struct mem_config){.pace = 10000, .patience = 1000000000});
        struct mem_client *m = mem_connect(&rig.core.io);
        for (int k = 0; k < 2; k++) mem_push(m, GET, sizeof GET - 1);
        mem_run(&rig.core.io, turns);
        mem_reset(m);
        rig_run(&rig);
        mem_free(&rig.core.io, m);
        rig_close(&rig);
        assert_int_equal(released, given);
    }
    assert_true(given > 60);
}

static unsigned begun;

static void counts_and_hands_over(torc_req *rq, void *arg)
{
    begun++;
    hands_over(rq, arg);
}

/* What is handed over counts: no request begins while it takes all the memory. */
static void owned_bodies_are_bounded(void **state)
{
    enum { CLIENTS = 20 };
    static size_t size = LARGE;
    struct mem_client *m[CLIENTS];
    (void)state;
    given = released = begun = 0;
    rig_open(&rig, counts_and_hands_over, &size);
    rig.core.limits.buffer_memory = 4 * LARGE;
    for (int i = 0; i < CLIENTS; i++) {
        m[i] = mem_connect(&rig.core.io);
        mem_set_window(m[i], 0);
        mem_push(m[i], GET, sizeof GET - 1);
    }
    mem_run(&rig.core.io, 20);
    assert_in_range(begun, 4, 5);
    assert_in_range(http_buffered(&rig.core.http), 4 * LARGE, 6 * LARGE);
    for (int i = 0; i < CLIENTS; i++) mem_set_window(m[i], LARGE);
    for (int i = 0; i < CLIENTS; i++) mem_push_end(m[i]);
    rig_run(&rig);
    assert_int_equal(begun, CLIENTS);
    assert_int_equal(released, given);
    for (int i = 0; i < CLIENTS; i++) mem_free(&rig.core.io, m[i]);
    rig_close(&rig);
}

/* ---- fields ---- */

static void changes_fields(torc_req *rq, void *arg)
{
    (void)arg;
    torc_set_header(rq, TORC_S("Vary"), TORC_S("A"));
    torc_set_header(rq, TORC_S("ETag"), TORC_S("\"1\""));
    torc_set_header(rq, TORC_S("X-Gone"), TORC_S("1"));
    torc_set_header(rq, TORC_S("vary"), TORC_S("B"));
    torc_set_header(rq, TORC_S("X-Gone"), TORC_S("2"));
    torc_set_header(rq, TORC_S("X-Kept"), TORC_S("k"));
    assert_int_equal(torc_replace_header(rq, TORC_S("VARY"), TORC_S("C")), 0);
    assert_int_equal(torc_replace_header(rq, TORC_S("etag"), TORC_S("\"2\"")), 0);
    assert_int_equal(torc_replace_header(rq, TORC_S("X-New"), TORC_S("n")), 0);
    assert_int_equal(torc_replace_header(rq, TORC_S("X-Kept"), TORC_S("a\nb")), -EINVAL);
    assert_int_equal(torc_replace_header(rq, TORC_S("Date"), TORC_S("x")), -EINVAL);
    assert_int_equal(torc_remove_header(rq, TORC_S("x-gone")), 0);
    assert_int_equal(torc_remove_header(rq, TORC_S("x-none")), 0);
    torc_reply(rq, 204, NULL, TORC_S(""));
    assert_int_equal(torc_remove_header(rq, TORC_S("X-Kept")), -EALREADY);
    assert_int_equal(torc_replace_header(rq, TORC_S("X-Kept"), TORC_S("x")), -EALREADY);
}

static void fields_are_replaced_and_removed(void **state)
{
    (void)state;
    ask_handler(&rig, changes_fields, NULL, GET);
    must_have(rig.out, "\r\nX-Kept: k\r\nVARY: C\r\netag: \"2\"\r\nX-New: n\r\n\r\n");
    must_lack(rig.out, "vary");
    must_lack(rig.out, "X-Gone");
    must_lack(rig.out, "ETag");
}

/* ---- long strings ---- */

enum { TOO_LONG = 70000, FAR_TOO_LONG = 1 << 20, LONGEST_TYPE = 16 * 1024, ALL_FIELDS = 32 * 1024 };

static char long_text[FAR_TOO_LONG + 1];

static torc_slice long_slice(size_t n)
{
    return (torc_slice){long_text, n};
}

static const char *long_string(size_t n)
{
    return long_text + FAR_TOO_LONG - n;
}

static void gives_long_fields(torc_req *rq, size_t n)
{
    torc_slice s = long_slice(n), name = TORC_S("X-Long"), v = TORC_S("v");
    assert_int_equal(torc_set_header(rq, s, v), -ENOMEM);
    assert_int_equal(torc_set_header(rq, name, s), -ENOMEM);
    assert_int_equal(torc_set_header(rq, TORC_S("Content-Type"), s), -ENOMEM);
    assert_int_equal(torc_replace_header(rq, name, s), -ENOMEM);
    assert_int_equal(torc_remove_header(rq, s), 0);
    assert_int_equal(torc_redirect(rq, 303, s), -ENOMEM);
    assert_int_equal(torc_set_cookie(rq, long_string(n), v, NULL), -EINVAL);
    assert_int_equal(torc_set_cookie(rq, "a", s, NULL), -EINVAL);
    torc_cookie_options domain = {.domain = long_string(n)};
    assert_int_equal(torc_set_cookie(rq, "a", v, &domain), -EINVAL);
}

static void gives_long_types(torc_req *rq, size_t n)
{
    const char *type = long_string(n);
    assert_int_equal(torc_reply(rq, 200, type, TORC_S("")), -ENOMEM);
    assert_int_equal(torc_reply(rq, 200, type, long_slice(n)), -ENOMEM);
    assert_int_equal(give(rq, 200, type, 10), -ENOMEM);
    assert_int_equal(give(rq, 200, type, LARGE), -ENOMEM);
    assert_int_equal(torc_start(rq, 200, type, -1), -ENOMEM);
    assert_int_equal(released, given);
    assert_int_equal(torc_status(rq), 0);
}

static void gives_long_strings(torc_req *rq, void *arg)
{
    (void)arg;
    gives_long_fields(rq, TOO_LONG);
    gives_long_fields(rq, FAR_TOO_LONG);
    gives_long_types(rq, LONGEST_TYPE + 1);
    gives_long_types(rq, TOO_LONG);
    gives_long_types(rq, FAR_TOO_LONG);
    assert_int_equal(torc_hint(rq, long_slice(FAR_TOO_LONG)), -ENOMEM);
    assert_int_equal(torc_start(rq, 200, "text/plain", -1), 0);
    assert_int_equal(torc_set_trailer(rq, TORC_S("X"), long_slice(TOO_LONG)), -ENOMEM);
    assert_int_equal(torc_set_trailer(rq, long_slice(TOO_LONG), TORC_S("v")), -ENOMEM);
    assert_int_equal(torc_write(rq, "text", 4), 0);
}

static void hints_at_length(torc_req *rq, void *arg)
{
    (void)arg;
    assert_int_equal(torc_hint(rq, long_slice(TOO_LONG)), 0);
    torc_reply(rq, 204, NULL, TORC_S(""));
}

static void gives_the_largest_head(torc_req *rq, void *arg)
{
    (void)arg;
    size_t rest = ALL_FIELDS - (sizeof "X-All: \r\n" - 1);
    assert_int_equal(torc_set_header(rq, TORC_S("X-All"), long_slice(rest)), 0);
    assert_int_equal(torc_set_header(rq, TORC_S("X"), TORC_S("")), -ENOMEM);
    torc_close_after(rq);
    assert_int_equal(torc_reply(rq, 200, long_string(LONGEST_TYPE), TORC_S("text")), 0);
}

static void long_strings_are_refused(void **state)
{
    (void)state;
    memset(long_text, 'x', FAR_TOO_LONG);
    given = released = 0;
    ask_handler(&rig, gives_long_strings, NULL, LEAVES("TE: trailers"));
    must_have(rig.out, "HTTP/1.1 200 OK\r\n");
    must_have(rig.out, "\r\nContent-Type: text/plain\r\n");
    must_have(rig.out, "\r\n\r\n4\r\ntext\r\n0\r\n\r\n");
    must_lack(rig.out, "xxxx");
    ask_handler(&rig, gives_the_largest_head, NULL, GET);
    must_have(rig.out, "xx\r\nConnection: close\r\n\r\ntext");
    assert_true(strlen(rig.out) > LONGEST_TYPE + ALL_FIELDS);
    ask_handler(&rig, hints_at_length, NULL, GET);
    must_have(rig.out, "HTTP/1.1 103 Early Hints\r\nLink: xxxx");
}

/* ---- closing ---- */

static void closes_after(torc_req *rq, void *arg)
{
    (void)arg;
    torc_close_after(rq);
    torc_replyf(rq, 200, "last");
}

static void connection_is_closed_after(void **state)
{
    (void)state;
    ask_handler(&rig, closes_after, NULL, GET GET);
    must_have(rig.out, "\r\nConnection: close\r\n");
    must_have(rig.out, "\r\n\r\nlast");
    assert_null(strstr(strstr(rig.out, "last"), "HTTP"));
}

/* ---- trailers ---- */

/* What the handler has read does not count for what may be discarded. */
enum { READ = 300 * 1024, LEFT = 100 * 1024 };

static void reads_most(torc_req *rq, void *arg)
{
    size_t read = 0;
    ssize_t n;
    char *text = torc_alloc(rq, READ);
    (void)arg;
    if (!text) return;
    while (read < READ && (n = torc_body_read(rq, text + read, READ - read)) > 0) read += (size_t)n;
    torc_replyf(rq, 200, "%zu bytes", read);
}

/* It responds before it reads: that leaves nothing. */
static void starts_before(torc_req *rq, void *arg)
{
    char *text = torc_alloc(rq, READ);
    (void)arg;
    if (!text || torc_start(rq, 200, NULL, -1) < 0) return;
    while (torc_body_read(rq, text, READ) > 0) continue;
}

/* They read nothing. */
static void hands_over_to_a_sender(torc_req *rq, void *arg)
{
    (void)arg;
    assert_int_equal(give(rq, 200, "text/plain", 9000), 0);
}

static void replies_with_much(torc_req *rq, void *arg)
{
    (void)arg;
    assert_int_equal(torc_reply(rq, 200, NULL, (torc_slice){large, 9000}), 0);
}

static size_t times(const char *part)
{
    size_t n = 0;
    for (const char *at = rig.out; (at = strstr(at, part)); at++) n++;
    return n;
}

/* A request with a body of that length and another one behind it, of which so many are answered. */
static void send_twice(torc_handler *handler, const char *target, size_t length, size_t answers)
{
    static const char next[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    char *text = malloc(length + 1024);
    assert_non_null(text);
    size_t n = (size_t)snprintf(
        text, 1024, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", target, length);
    memset(text + n, 'x', length);
    memcpy(text + n + length, next, sizeof next - 1);
    rig_open(&rig, handler, NULL);
    rig.core.limits.max_body = 1 << 20;
    rig_send(&rig, (slice){text, n + length + sizeof next - 1});
    rig_close(&rig);
    free(text);
    assert_int_equal(times("HTTP/1.1 "), answers);
    assert_int_equal(times("Connection: close"), 2 - answers);
}

/* Where the connection is closed, the client is told. */
static void part_of_a_body_is_read(void **state)
{
    (void)state;
    send_twice(reads_most, "/none", DISCARD_MAX, 2);
    send_twice(reads_most, "/none", DISCARD_MAX + 1, 1);
    send_twice(reads_most, "/", READ + LEFT, 2);
    send_twice(reads_most, "/", READ + DISCARD_MAX, 2);
    send_twice(reads_most, "/", READ + DISCARD_MAX + 1, 1);
    send_twice(starts_before, "/", 2 * READ, 2);
    given = released = 0;
    send_twice(replies_with_much, "/", DISCARD_MAX, 2);
    send_twice(replies_with_much, "/", DISCARD_MAX + 1, 1);
    send_twice(hands_over_to_a_sender, "/", DISCARD_MAX, 2);
    send_twice(hands_over_to_a_sender, "/", DISCARD_MAX + 1, 1);
    assert_int_equal(released, given);
}

static int trailer_result;

static void sets_trailers(torc_req *rq, void *arg)
{
    (void)arg;
    assert_int_equal(torc_set_trailer(rq, TORC_S("X-Sum"), TORC_S("1")), -EALREADY);
    assert_int_equal(torc_set_header(rq, TORC_S("Trailer"), TORC_S("X-Sum")), 0);
    torc_set_header(rq, TORC_S("X-Head"), TORC_S("h"));
    torc_start(rq, 200, "text/plain", -1);
    torc_write(rq, "text", 4);
    trailer_result = torc_set_trailer(rq, TORC_S("X-Sum"), TORC_S("1"));
    if (trailer_result == 0) {
        assert_int_equal(torc_set_trailer(rq, TORC_S("X-More"), TORC_S("2")), 0);
        assert_int_equal(torc_set_trailer(rq, TORC_S("Set-Cookie"), TORC_S("a=b")), -EINVAL);
        assert_int_equal(torc_set_trailer(rq, TORC_S("Content-Length"), TORC_S("4")), -EINVAL);
        assert_int_equal(torc_set_trailer(rq, TORC_S("X"), TORC_S("a\r\nb")), -EINVAL);
    }
    torc_end(rq);
    assert_int_equal(torc_set_trailer(rq, TORC_S("X-Late"), TORC_S("3")), -EALREADY);
}

static void has_a_length(torc_req *rq, void *arg)
{
    (void)arg;
    torc_start(rq, 200, "text/plain", 4);
    assert_int_equal(torc_set_trailer(rq, TORC_S("X-Sum"), TORC_S("1")), -EOPNOTSUPP);
    torc_write(rq, "text", 4);
}

static void trailers_follow_the_body(void **state)
{
    (void)state;
    ask_handler(&rig, sets_trailers, NULL, LEAVES("TE: gzip;q=0.5, Trailers"));
    assert_int_equal(trailer_result, 0);
    must_have(rig.out, "\r\nTrailer: X-Sum\r\nX-Head: h\r\n");
    must_have(rig.out, "\r\n\r\n4\r\ntext\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n");
    ask_handler(&rig, sets_trailers, NULL, LEAVES("TE: deflate\r\nTE: trailers"));
    assert_int_equal(trailer_result, 0);
    ask_handler(&rig, sets_trailers, NULL, GET);
    assert_int_equal(trailer_result, -EOPNOTSUPP);
    must_have(rig.out, "\r\n\r\n4\r\ntext\r\n0\r\n\r\n");
    ask_handler(&rig, sets_trailers, NULL, LEAVES("TE: gzip"));
    assert_int_equal(trailer_result, -EOPNOTSUPP);
    ask_handler(&rig, sets_trailers, NULL, "GET / HTTP/1.0\r\nTE: trailers\r\n\r\n");
    assert_int_equal(trailer_result, -EOPNOTSUPP);
    must_have(rig.out, "\r\n\r\ntext");
    ask_handler(&rig, sets_trailers, NULL, "HEAD / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n");
    must_lack(rig.out, "X-Sum: ");
    ask_handler(&rig, has_a_length, NULL, LEAVES("TE: trailers"));
}

/* ---- hints ---- */

static void hints(torc_req *rq, void *arg)
{
    (void)arg;
    assert_int_equal(torc_hint(rq, TORC_S("")), -EINVAL);
    assert_int_equal(torc_hint(rq, TORC_S("a\r\nb")), -EINVAL);
    assert_int_equal(torc_hint(rq, TORC_S("</a.css>; rel=preload")), 0);
    torc_sleep(rq, 5);
    assert_int_equal(torc_hint(rq, TORC_S("</b.js>; rel=preload")), 0);
    torc_replyf(rq, 200, "page");
    assert_int_equal(torc_hint(rq, TORC_S("</c.js>")), -EALREADY);
}

static void hints_come_before(void **state)
{
    (void)state;
    ask_handler(&rig, hints, NULL, GET);
    must_have(rig.out, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
                       "HTTP/1.1 103 Early Hints\r\nLink: </b.js>; rel=preload\r\n\r\n"
                       "HTTP/1.1 200 OK\r\n");
    must_have(rig.out, "\r\n\r\npage");
    ask_handler(&rig, hints, NULL, OLD);
    must_lack(rig.out, "103");
    must_have(rig.out, "HTTP/1.1 200 OK\r\n");
}

enum { HINTS = 20, HINT = 3000, ROOM = 1 };

static unsigned hints_begun, hints_given; /* calls, and those that have returned */
static int hint_result;

static unsigned count_in(const char *text, size_t n, const char *part)
{
    unsigned found = 0;
    for (const char *end = text + n;
         (text = memmem(text, (size_t)(end - text), part, strlen(part))); text++)
        found++;
    return found;
}

static int gives_a_hint(torc_req *rq, void *arg)
{
    (void)arg;
    hints_begun++;
    assert_int_equal(torc_hint(rq, long_slice(HINT)), hint_result);
    hints_given++;
    return 0;
}

static void gives_hints_at_once(torc_req *rq, void *arg)
{
    (void)arg;
    torc_group *g = torc_group_open(rq);
    for (int i = 0; i < HINTS; i++) assert_int_equal(torc_spawn(g, gives_a_hint, NULL), 0);
    assert_int_equal(torc_group_join(g), 0);
    torc_reply(rq, 200, "text/plain", TORC_S("page"));
}

/* The response begins while hints wait for the client. */
static void streams_beside_hints(torc_req *rq, void *arg)
{
    torc_group *g = torc_group_open(rq);
    (void)arg;
    for (int i = 0; i < HINTS; i++) assert_int_equal(torc_spawn(g, gives_a_hint, NULL), 0);
    assert_int_equal(torc_start(rq, 200, "text/plain", 4), 0);
    assert_int_equal(torc_write(rq, "pa", 2), hint_result);
    assert_int_equal(torc_write(rq, "ge", 2), hint_result);
    assert_int_equal(torc_end(rq), hint_result);
    assert_int_equal(torc_group_join(g), 0);
}

/* A client that does not read yet: all hints have begun, and wait. */
static struct mem_client *hold_hints(torc_handler *handler)
{
    hints_begun = hints_given = 0;
    rig_open(&rig, handler, NULL);
    rig.core.limits.write_buffer = ROOM;
    struct mem_client *m = mem_connect(&rig.core.io);
    mem_set_window(m, 0);
    mem_push(m, GET, sizeof GET - 1);
    mem_run(&rig.core.io, 20);
    assert_int_equal(hints_begun, HINTS);
    assert_int_equal(hints_given, 0);
    return m;
}

/* A client that first does not read, and resets or goes on. */
static void ask_for_hints(torc_handler *handler, bool resets)
{
    size_t n;
    hint_result = resets ? -ECONNRESET : 0;
    struct mem_client *m = hold_hints(handler);
    if (resets) {
        mem_reset(m);
    } else {
        mem_set_window(m, HINT);
        mem_push_end(m);
    }
    rig_run(&rig);
    const char *out = mem_out(m, &n);
    assert_int_equal(hints_given, HINTS);
    if (!resets) {
        assert_int_equal(count_in(out, n, "HTTP/1.1 103 "), HINTS);
        assert_int_equal(count_in(out, n, "HTTP/1.1 200 "), 1);
        assert_int_equal(count_in(out, n, "\r\n\r\npage"), 1);
    }
    mem_free(&rig.core.io, m);
    rig_close(&rig);
}

static void hints_wait_side_by_side(void **state)
{
    (void)state;
    for (int resets = 0; resets < 2; resets++) {
        ask_for_hints(gives_hints_at_once, resets);
        ask_for_hints(streams_beside_hints, resets);
    }
}

static int gives_a_hint_in_vain(torc_req *rq, void *arg)
{
    (void)arg;
    hints_begun++;
    hints_given += torc_hint(rq, long_slice(HINT)) == 0;
    return 0;
}

static int fails_meanwhile(torc_req *rq, void *arg)
{
    (void)arg;
    torc_sleep(rq, 0);
    return -EIO;
}

static void replies_behind_hints_in_vain(torc_req *rq, void *arg)
{
    (void)arg;
    torc_group *g = torc_group_open(rq);
    for (int i = 0; i < HINTS; i++) assert_int_equal(torc_spawn(g, gives_a_hint_in_vain, NULL), 0);
    assert_int_equal(torc_spawn(g, fails_meanwhile, NULL), 0);
    assert_int_equal(torc_group_join(g), -EIO);
    torc_reply(rq, 200, "text/plain", TORC_S("page"));
}

/* Their group ends while hints wait for the client: what is queued leaves all the same, and so does
 * the response. */
static void hints_that_are_cancelled_hold_nothing_back(void **state)
{
    size_t n;
    (void)state;
    struct mem_client *m = hold_hints(replies_behind_hints_in_vain);
    mem_set_window(m, SIZE_MAX);
    mem_push_end(m);
    rig_run(&rig);
    const char *out = mem_out(m, &n);
    assert_int_equal(count_in(out, n, "HTTP/1.1 200 "), 1);
    assert_int_equal(count_in(out, n, "\r\n\r\npage"), 1);
    mem_free(&rig.core.io, m);
    rig_close(&rig);
}

/* ---- the name of the server ---- */

static void replies_with(torc_req *rq, void *arg)
{
    torc_reply(rq, *(int *)arg, "text/plain", TORC_S("text"));
}

static void ask_named(slice line, int status)
{
    rig_open(&rig, replies_with, &status);
    rig.core.http.server_line = line;
    rig_ask(&rig, GET GET);
    rig_close(&rig);
}

static void server_has_another_name(void **state)
{
    (void)state;
    ask_named(SLICE("Server: web/1.0\r\n"), 200);
    must_have(rig.out, "HTTP/1.1 200 OK\r\nServer: web/1.0\r\nDate: ");
    must_have(rig.out, " GMT\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\ntext"
                       "HTTP/1.1 200 OK\r\nServer: web/1.0\r\nDate: ");
    ask_named(SLICE(""), 404);
    must_have(rig.out, "HTTP/1.1 404 Not Found\r\nDate: ");
    must_lack(rig.out, "Server");
    ask_named((slice){NULL, 0}, 200);
    must_have(rig.out, "HTTP/1.1 200 OK\r\nServer: torc\r\nDate: ");
}

/* ---- cookies ---- */

static char cookie_value[64];

static void reads_a_cookie(torc_req *rq, void *arg)
{
    torc_slice v = torc_cookie(rq, arg);
    snprintf(cookie_value, sizeof cookie_value, "%.*s", v.ptr ? (int)v.len : 4,
             v.ptr ? v.ptr : "none");
    torc_reply(rq, 204, NULL, TORC_S(""));
}

static void cookies_are_read(void **state)
{
    static char name[] = "id";
    static const struct {
        const char *fields, *want;
    } cases[] = {
        {"X: id=1", "none"},
        {"Cookie: id=1", "1"},
        {"cookie: a=b; id=1; id=2", "1"},
        {"Cookie: ID=1", "none"},
        {"Cookie: a=id=3", "none"},
        {"Cookie: a=b\r\nCookie: id=\"x y\"", "\"x y\""},
        {"Cookie: ;; id ; =id; id = 7 ;", "7"},
        {"Cookie: id=", ""},
        {"Cookie: id=a=b", "a=b"},
    };
    char request[256];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n",
                 cases[i].fields);
        ask_handler(&rig, reads_a_cookie, name, request);
        if (strcmp(cookie_value, cases[i].want) != 0)
            fail_msg("%s: '%s', not '%s'", cases[i].fields, cookie_value, cases[i].want);
    }
}

static void sets_cookies(torc_req *rq, void *arg)
{
    typedef torc_cookie_options how;
    char long_value[4200];
    (void)arg;
    memset(long_value, 'x', sizeof long_value);
    const torc_slice v = TORC_S("v");
    assert_int_equal(torc_set_cookie(rq, "a", TORC_S("1"), NULL), 0);
    assert_int_equal(torc_set_cookie(rq, "b", TORC_S("\"2\""),
                                     &(how){.path = "/x",
                                            .domain = "example.org",
                                            .max_age = 3600,
                                            .secure = true,
                                            .scripts = true,
                                            .same_site = TORC_SAME_SITE_NONE}),
                     0);
    assert_int_equal(torc_set_cookie(rq, "c", (torc_slice){NULL, 0},
                                     &(how){.max_age = -1, .same_site = TORC_SAME_SITE_STRICT}),
                     0);
    assert_int_equal(torc_set_cookie(rq, "__Host-d", v, &(how){.secure = true}), 0);
    const struct {
        const char *name;
        torc_slice value;
        how o;
    } wrong[] = {
        {"", v, {0}},
        {"a b", v, {0}},
        {"a=", v, {0}},
        {"a", TORC_S("x y"), {0}},
        {"a", TORC_S("x;y"), {0}},
        {"a", TORC_S("x\r\ny"), {0}},
        {"a", TORC_S("\""), {0}},
        {"a", TORC_S("\xc3\xa4"), {0}},
        {"a", {long_value, 4096}, {0}},
        {"a", v, {.path = "x"}},
        {"a", v, {.path = ""}},
        {"a", v, {.path = "/;Domain=x"}},
        {"a", v, {.domain = "a\nb"}},
        {"a", v, {.same_site = TORC_SAME_SITE_NONE}},
        {"__Secure-a", v, {0}},
        {"__host-a", v, {.secure = true, .path = "/x"}},
        {"__Host-a", v, {.secure = true, .domain = "x"}},
        {"__Host-a", v, {0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (torc_set_cookie(rq, wrong[i].name, wrong[i].value, &wrong[i].o) != -EINVAL)
            fail_msg("case %zu is taken", i);
    assert_int_equal(torc_set_cookie(rq, "e", (torc_slice){long_value, 4095}, NULL), 0);
    torc_reply(rq, 204, NULL, TORC_S(""));
    assert_int_equal(torc_set_cookie(rq, "a", v, NULL), -EALREADY);
}

static void cookies_are_set(void **state)
{
    (void)state;
    ask_handler(&rig, sets_cookies, NULL, GET);
    must_have(rig.out, "\r\nSet-Cookie: a=1; Path=/; HttpOnly; SameSite=Lax\r\n");
    must_have(rig.out,
              "\r\nSet-Cookie: b=\"2\"; Path=/x; Domain=example.org; Max-Age=3600; Secure; "
              "SameSite=None\r\n");
    must_have(rig.out,
              "\r\nSet-Cookie: c=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; "
              "HttpOnly; SameSite=Strict\r\n");
    must_have(rig.out, "\r\nSet-Cookie: __Host-d=v; Path=/; Secure; HttpOnly; SameSite=Lax\r\n");
}

/* ---- slices ---- */

static void copies_text(torc_req *rq, void *arg)
{
    (void)arg;
    assert_string_equal(torc_cstr(rq, (torc_slice){"abc", 2}), "ab");
    assert_string_equal(torc_cstr(rq, TORC_S("")), "");
    assert_null(torc_cstr(rq, (torc_slice){NULL, 0}));
    assert_null(torc_cstr(rq, TORC_S("a\0b")));
    rq->arena.limit = 4096;
    assert_null(torc_cstr(rq, (torc_slice){large, LARGE})); /* past --request-memory */
    torc_reply(rq, 204, NULL, TORC_S(""));
}

static void slices_become_strings(void **state)
{
    (void)state;
    ask_handler(&rig, copies_text, NULL, GET);
    must_have(rig.out, " 204 ");
}

int main(void)
{
    for (size_t i = 0; i < LARGE; i++) large[i] = (char)('a' + i % 23);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json),
        cmocka_unit_test(redirect),
        cmocka_unit_test(owned_bodies_arrive),
        cmocka_unit_test(owned_bodies_without_a_use),
        cmocka_unit_test(owned_bodies_of_clients_that_leave),
        cmocka_unit_test(owned_bodies_are_bounded),
        cmocka_unit_test(fields_are_replaced_and_removed),
        cmocka_unit_test(long_strings_are_refused),
        cmocka_unit_test(connection_is_closed_after),
        cmocka_unit_test(part_of_a_body_is_read),
        cmocka_unit_test(trailers_follow_the_body),
        cmocka_unit_test(hints_come_before),
        cmocka_unit_test(hints_wait_side_by_side),
        cmocka_unit_test(hints_that_are_cancelled_hold_nothing_back),
        cmocka_unit_test(server_has_another_name),
        cmocka_unit_test(cookies_are_read),
        cmocka_unit_test(cookies_are_set),
        cmocka_unit_test(slices_become_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
