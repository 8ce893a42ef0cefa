/* What remains visible of a rejected head: bytes of it and nothing else. */

#include "framing.h"
#include "http/h1_parser.h"
#include "mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { TEXT = 64 };

static struct head_limits limits = {16 * 1024, HEAD_OWN_FIELDS};

struct parsed {
    struct arena arena;
    struct h1_parser p;
    struct head head;
    char text[TEXT];
};

/* Parses `in` in two pieces, split at `cut`, with `memory` bytes in addition to `text`. */
static void parse(struct parsed *r, slice in, size_t memory, size_t cut)
{
    memset(r, 'x', sizeof *r);
    arena_init(&r->arena, NULL, 0, memory);
    h1_parser_init(&r->p, &r->head, &r->arena, r->text, sizeof r->text);
    size_t used = cut ? h1_parse_head(&r->p, &limits, slice_of(in.ptr, cut)) : 0;
    if (r->p.state == PARSE_HEAD && used < in.len)
        h1_parse_head(&r->p, &limits, slice_skip(in, used));
}

static bool has(const struct parsed *r, slice s)
{
    return s.len == 0 || inside(s, slice_of(r->head.text, r->p.text_len));
}

static void is_consistent(const struct parsed *r)
{
    assert_true(r->p.text_len <= r->p.text_cap);
    assert_true(has(r, head_target(&r->head)));
    for (size_t i = 0; i < r->head.n_fields; i++) {
        assert_true(has(r, head_field_name(&r->head, i)));
        assert_true(has(r, head_field_value(&r->head, i)));
    }
}

static void a_rejected_target_is_reported(void **state)
{
    (void)state;
    static const struct {
        slice head;
        const char *target;
        int status;
    } cases[] = {
        {SLICE("GET /abc\r\n\r\n"), "/abc", 505},
        {SLICE("GET /abc RTSP/1.0\r\n\r\n"), "/abc", 400},
        {SLICE("GET /abc\n"), "/abc", 400},
        {SLICE("GET /abc HTTP/2.0\r\n\r\n"), "/abc", 505},
        {SLICE("GET /abc HTTP/1.1 \r\n\r\n"), "/abc", 400},
    };
    struct parsed r;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t cut = 0; cut < cases[i].head.len; cut++) {
            parse(&r, cases[i].head, 4096, cut);
            assert_int_equal(r.p.state, PARSE_ERROR);
            assert_int_equal(r.p.status, cases[i].status);
            is_consistent(&r);
            slice target = head_target(&r.head);
            if (!slice_eq(target, slice_str(cases[i].target)))
                fail_msg("'%.*s' of case %zu cut at %zu", (int)target.len, target.ptr, i, cut);
            arena_reset(&r.arena);
        }
    }
}

/* Whichever of target, name or value exceeds the memory, nothing that was not copied is counted. */
static void uncopied_bytes_are_not_counted(void **state)
{
    (void)state;
    char head[600];
    static const char *const forms[] = {
        "GET /%s HTTP/1.1\r\n\r\n",
        "GET /%s\r\n\r\n",
        "GET / HTTP/1.1\r\n%s: b\r\n\r\n",
        "GET / HTTP/1.1\r\na: %s\r\n\r\n",
    };
    char long_text[501];
    memset(long_text, 'A', 500);
    long_text[500] = 0;
    unsigned rejected = 0;
    struct parsed r;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        size_t len = (size_t)snprintf(head, sizeof head, forms[i], long_text);
        for (size_t cut = 0; cut < len; cut += 7) {
            parse(&r, slice_of(head, len), 100, cut);
            is_consistent(&r);
            rejected += r.p.state == PARSE_ERROR && r.p.status == 503;
            arena_reset(&r.arena);
        }
    }
    assert_true(rejected > 100);
}

/* Both sides of each limit, cut anywhere near the places that matter. */
static void limits_are_kept(void **state)
{
    (void)state;
    static const uint16_t fields[] = {1, 2, 99, 100, 101, 150, HEAD_FIELDS_MAX};
    static char head[HEAD_BYTES_MAX + 2];
    struct parsed r;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        for (int over = 0; over < 2; over++) {
            for (size_t cut = 0; cut < 60; cut += 7) {
                size_t len = (size_t)sprintf(head, "GET / HTTP/1.1\r\n");
                for (int n = 0; n < fields[i] + over; n++)
                    len += (size_t)sprintf(head + len, "a%d:%d\r\n", n, n);
                len += (size_t)sprintf(head + len, "\r\n");
                limits = (struct head_limits){HEAD_BYTES_MAX, fields[i]};
                parse(&r, slice_of(head, len), 1 << 20, cut < len ? cut : 0);
                assert_int_equal(r.p.state, over ? PARSE_ERROR : PARSE_DONE);
                if (over) assert_int_equal(r.p.status, 431);
                assert_int_equal(r.head.n_fields, fields[i]);
                is_consistent(&r);
                for (unsigned n = 0; n < fields[i]; n++) {
                    char want[16];
                    snprintf(want, sizeof want, "%u", n);
                    assert_true(slice_eq(head_field_value(&r.head, n), slice_str(want)));
                }
                arena_reset(&r.arena);
            }
        }
    }
    static const uint32_t bytes[] = {HEAD_BYTES_MIN, 5000, 16 * 1024, HEAD_BYTES_MAX};
    for (size_t i = 0; i < ARRAY_LEN(bytes); i++) {
        for (uint32_t over = 0; over < 2; over++) {
            for (size_t cut = 0; cut < 2; cut++) {
                size_t len = bytes[i] + over;
                memset(head, 'v', len);
                memcpy(head, "GET / HTTP/1.1\r\na:", 18);
                memcpy(head + len - 4, "\r\n\r\n", 4);
                limits = (struct head_limits){bytes[i], HEAD_OWN_FIELDS};
                parse(&r, slice_of(head, len), 1 << 20, cut * (len - 1));
                assert_int_equal(r.p.state, over ? PARSE_ERROR : PARSE_DONE);
                if (over) assert_int_equal(r.p.status, 431);
                if (!over) assert_int_equal(head_field_value(&r.head, 0).len, len - 22);
                is_consistent(&r);
                arena_reset(&r.arena);
            }
        }
    }
    limits = (struct head_limits){16 * 1024, HEAD_OWN_FIELDS};
}

/* Parses a chunked body in pieces of `step` bytes, with a place for `room` bytes of data, or none.
 */
static void parse_chunked(struct parsed *r, slice in, size_t step, size_t room)
{
    static const char head[] = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    char data[64];
    parse(r, SLICE(head), 1 << 20, 0);
    assert_int_equal(r->p.state, PARSE_BODY);
    while (in.len && r->p.state == PARSE_BODY) {
        size_t got, n = in.len < step ? in.len : step;
        size_t used = h1_parse_body(&r->p, slice_of(in.ptr, n), room ? data : NULL, room, &got);
        in = slice_skip(in, used);
        assert_true(got <= room || !room);
    }
}

/* To the byte, whichever way it comes. */
static void framing_is_bounded_however_it_is_cut(void **state)
{
    static const size_t steps[] = {1,          7, 97, 1000, 4096, OVERHEAD_BASE, OVERHEAD_BASE + 1,
                                   FRAMING_MAX};
    static const size_t rooms[] = {0, 3, 64};
    static char text[FRAMING_MAX];
    struct parsed r;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(framings); i++) {
        for (unsigned over = 0; over < 3; over++) {
            slice in = framing_text(&framings[i], over, text);
            for (size_t k = 0; k < ARRAY_LEN(steps) * ARRAY_LEN(rooms); k++) {
                size_t step = steps[k % ARRAY_LEN(steps)], room = rooms[k / ARRAY_LEN(steps)];
                parse_chunked(&r, in, step, room);
                int want = over ? PARSE_ERROR : PARSE_DONE;
                if (r.p.state != want)
                    fail_msg("%zu: %u more, in pieces of %zu for %zu: %d", i, over, step, room,
                             r.p.state);
                if (over) assert_int_equal(r.p.status, 400);
                arena_reset(&r.arena);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rejected_target_is_reported),
        cmocka_unit_test(uncopied_bytes_are_not_counted),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(framing_is_bounded_however_it_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
