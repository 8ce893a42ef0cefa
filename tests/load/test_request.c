#include "load/request.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { OUT = 1 << 20, SEQUENCES = 256 };

static char out[OUT], why[120];

static struct filler filler_of(uint64_t *sequence, uint32_t core, uint32_t cores)
{
    return (struct filler){.random = 1, .sequence = sequence, .core = core, .cores = cores};
}

static slice fill(const struct request *r, struct filler *f)
{
    size_t room = request_room(r);
    assert_true(room < OUT);
    memset(out, '#', room + 1);
    size_t n = (size_t)(request_fill(r, f, out) - out);
    assert_true(n <= room);
    assert_int_equal(out[room], '#');
    out[n] = '\0';
    return slice_of(out, n);
}

/* ---- placeholders ---- */

static void text_without_placeholders_is_one_part(void **state)
{
    static const char *const texts[] = {
        "plain",     "{",          "}",        "{}",     "{rand}",   "{seq}",
        "{ran:1:2}", "{Rand:1:2}", "{ seq:1}", "a{{b}}", "rand:1:2",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct parts p = {0};
        uint32_t sequences = 0;
        assert_true(parts_cut(slice_str(texts[i]), &p, &sequences, why, sizeof why));
        assert_int_equal(p.n, 1);
        assert_int_equal(p.part[0].kind, PART_TEXT);
        assert_true(slice_eq(p.part[0].text, slice_str(texts[i])));
        assert_int_equal(sequences, 0);
    }
    struct parts none = {0};
    uint32_t sequences = 0;
    assert_true(parts_cut(SLICE(""), &none, &sequences, why, sizeof why));
    assert_int_equal(none.n, 0);
}

static void placeholders_are_cut_out(void **state)
{
    struct parts p = {0};
    uint32_t sequences = 3;
    (void)state;
    assert_true(parts_cut(SLICE("{seq:7}a{rand:0:18446744073709551615}{rand:5:5}{{seq:0}}"), &p,
                          &sequences, why, sizeof why));
    static const struct part want[] = {
        {.kind = PART_SEQ, .min = 7, .max = 7, .number = 3},
        {.kind = PART_TEXT, .text = SLICE("a")},
        {.kind = PART_RAND, .min = 0, .max = UINT64_MAX},
        {.kind = PART_RAND, .min = 5, .max = 5},
        {.kind = PART_TEXT, .text = SLICE("{")},
        {.kind = PART_SEQ, .min = 0, .max = 0, .number = 4},
        {.kind = PART_TEXT, .text = SLICE("}")},
    };
    assert_int_equal(p.n, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_int_equal(p.part[i].kind, want[i].kind);
        assert_true(slice_eq(p.part[i].text, want[i].text));
        assert_true(p.part[i].min == want[i].min && p.part[i].max == want[i].max);
        assert_int_equal(p.part[i].number, want[i].number);
    }
    assert_int_equal(sequences, 5);
}

static void malformed_placeholders_are_rejected(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"{rand:}", "\"{rand:}\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{rand:1}", "\"{rand:1}\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{rand:1:}", "\"{rand:1:}\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{rand::2}", "\"{rand::2}\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{rand:2:1}", "\"{rand:2:1}\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{rand:-1:1}", "\"{rand:-1:1}\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{rand:1:2:3}", "\"{rand:1:2:3}\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{rand:a:b}", "\"{rand:a:b}\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{rand:0:18446744073709551616}",
         "\"{rand:0:1844674407370955\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{seq:}", "\"{seq:}\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{seq:1:2}", "\"{seq:1:2}\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{seq:1:}", "\"{seq:1:}\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{seq: 1}", "\"{seq: 1}\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{seq:1", "\"{seq:1\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{seq:1 HTTP/1.1\r\nHost: a", "\"{seq:1 HTTP/1.1\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{rand:1\n:2}", "\"{rand:1\" is not {rand:MIN:MAX} or {seq:START}"},
        {"{rand:1} HTTP/1.1\r\nHost:", "\"{rand:1}\" is not {rand:MIN:MAX} or {seq:START}"},
        {"ok {seq:1} {seq:x}", "\"{seq:x}\" is not {rand:MIN:MAX} or {seq:START}"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parts p = {0};
        uint32_t sequences = 0;
        assert_false(parts_cut(slice_str(cases[i].text), &p, &sequences, why, sizeof why));
        assert_string_equal(why, cases[i].why);
    }
}

static void a_request_can_have_many_sequences(void **state)
{
    static char text[SEQUENCES * 16];
    static uint64_t sequence[SEQUENCES + 1];
    struct request r;
    uint32_t sequences = 0;
    size_t n = 0;
    (void)state;
    for (int i = 0; i < SEQUENCES; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "{seq:%d},", i * 1000);
    assert_true(request_raw(&r, slice_of(text, n), &sequences, why, sizeof why));
    assert_int_equal(sequences, SEQUENCES);
    struct filler f = filler_of(sequence, 0, 1);
    for (int round = 0; round < 3; round++) {
        const char *at = fill(&r, &f).ptr;
        for (int i = 0; i < SEQUENCES; i++) {
            char *end;
            assert_int_equal(strtoull(at, &end, 10), i * 1000 + round);
            assert_int_equal(*end, ',');
            at = end + 1;
        }
        assert_int_equal(*at, '\0');
    }
}

/* ---- numbers ---- */

static void sequences_are_unique_over_cores(void **state)
{
    enum { CORES = 3, EACH = 50 };
    uint64_t sequence[CORES] = {0};
    bool seen[CORES * EACH] = {false};
    struct request r;
    uint32_t sequences = 0;
    (void)state;
    assert_true(request_raw(&r, SLICE("{seq:100}"), &sequences, why, sizeof why));
    for (uint32_t core = 0; core < CORES; core++) {
        struct filler f = filler_of(&sequence[core], core, CORES);
        for (int i = 0; i < EACH; i++) {
            uint64_t v = strtoull(fill(&r, &f).ptr, NULL, 10);
            assert_in_range(v, 100, 100 + CORES * EACH - 1);
            assert_false(seen[v - 100]);
            seen[v - 100] = true;
        }
    }
}

/* The largest number is sent, then 0. */
static void sequences_wrap_at_64_bits(void **state)
{
    uint64_t sequence = 0;
    struct request r;
    uint32_t sequences = 0;
    (void)state;
    assert_true(request_raw(&r, SLICE("{seq:18446744073709551615}"), &sequences, why, sizeof why));
    struct filler f = filler_of(&sequence, 0, 1);
    fill(&r, &f);
    assert_string_equal(out, "18446744073709551615");
    fill(&r, &f);
    assert_string_equal(out, "0");
}

static void random_bounds_are_inclusive(void **state)
{
    struct request r;
    uint32_t sequences = 0;
    unsigned count[4] = {0};
    (void)state;
    assert_true(request_raw(&r, SLICE("{rand:6:9}"), &sequences, why, sizeof why));
    struct filler f = filler_of(NULL, 0, 1);
    for (int i = 0; i < 4000; i++) {
        uint64_t v = strtoull(fill(&r, &f).ptr, NULL, 10);
        assert_in_range(v, 6, 9);
        count[v - 6]++;
    }
    /* A fixed seed: a mean of 1000 and six standard deviations of 27 to either side. */
    for (int i = 0; i < 4; i++) assert_in_range(count[i], 836, 1164);
}

static void random_numbers_reach_both_halves_of_their_range(void **state)
{
    static const struct {
        const char *text;
        uint64_t min, max;
    } cases[] = {
        {"{rand:0:0}", 0, 0},
        {"{rand:18446744073709551615:18446744073709551615}", UINT64_MAX, UINT64_MAX},
        {"{rand:0:18446744073709551615}", 0, UINT64_MAX},
        {"{rand:1:18446744073709551615}", 1, UINT64_MAX},
        {"{rand:18446744073709551614:18446744073709551615}", UINT64_MAX - 1, UINT64_MAX},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request r;
        uint32_t sequences = 0;
        uint64_t low = UINT64_MAX, high = 0;
        assert_true(request_raw(&r, slice_str(cases[i].text), &sequences, why, sizeof why));
        struct filler f = filler_of(NULL, 0, 1);
        for (int k = 0; k < 200; k++) {
            uint64_t v = 0;
            assert_true(slice_u64(fill(&r, &f), &v));
            assert_true(v >= cases[i].min && v <= cases[i].max);
            if (v < low) low = v;
            if (v > high) high = v;
        }
        /* Both halves are reached. */
        uint64_t middle = cases[i].min + (cases[i].max - cases[i].min) / 2;
        assert_true(low <= middle && high >= middle);
    }
}

/* ---- requests ---- */

static void makes(const struct request_form *form, const char *want)
{
    struct request r;
    uint32_t sequences = 0;
    if (!request_make(&r, form, &sequences, why, sizeof why)) fail_msg("%s", why);
    if (r.bytes.len != strlen(want) || memcmp(r.bytes.ptr, want, r.bytes.len) != 0)
        fail_msg("%.*s", (int)r.bytes.len, r.bytes.ptr);
    /* The copies after it are the same bytes. */
    assert_true(r.copies >= 1);
    for (uint32_t i = 1; i < r.copies; i++)
        assert_memory_equal(r.bytes.ptr + i * r.bytes.len, r.bytes.ptr, r.bytes.len);
}

static void requests_are_built_from_options(void **state)
{
    struct request_form f = {.target = SLICE("/a?b=c"), .host = SLICE("h:1")};
    (void)state;
    makes(&f, "GET /a?b=c HTTP/1.1\r\nHost: h:1\r\n\r\n");
    const char *const headers[] = {"X-A: 1", "hOsT: other"};
    f.headers = headers;
    f.n_headers = 1;
    makes(&f, "GET /a?b=c HTTP/1.1\r\nHost: h:1\r\nX-A: 1\r\n\r\n");
    f.n_headers = 2;
    makes(&f, "GET /a?b=c HTTP/1.1\r\nX-A: 1\r\nhOsT: other\r\n\r\n");
    f.n_headers = 0;
    f.has_body = true;
    makes(&f, "POST /a?b=c HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n\r\n");
    f.body = SLICE("hello");
    makes(&f, "POST /a?b=c HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\n\r\nhello");
    f.method = "PUT";
    makes(&f, "PUT /a?b=c HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\n\r\nhello");
}

static void chunked_bodies_are_split_into_chunks(void **state)
{
    struct request_form f = {
        .target = SLICE("/"), .host = SLICE("h"), .has_body = true, .chunked = true};
    (void)state;
    makes(&f, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    f.body = SLICE("hello");
    makes(
        &f,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");

    /* A larger body has several chunks, whose sizes add up. */
    static char body[40000];
    for (size_t i = 0; i < sizeof body; i++) body[i] = (char)('a' + i % 26);
    f.body = slice_of(body, sizeof body);
    struct request r;
    uint32_t sequences = 0;
    assert_true(request_make(&r, &f, &sequences, why, sizeof why));
    const char *at = memmem(r.bytes.ptr, r.bytes.len, "\r\n\r\n", 4),
               *end = r.bytes.ptr + r.bytes.len;
    assert_non_null(at);
    size_t got = 0, n, chunks = 0;
    for (at += 4; (n = strtoull(at, NULL, 16)) > 0; chunks++) {
        at = strstr(at, "\r\n") + 2;
        assert_true(got + n <= sizeof body && at + n + 2 < end);
        assert_memory_equal(at, body + got, n);
        assert_memory_equal(at + n, "\r\n", 2);
        at += n + 2;
        got += n;
    }
    assert_int_equal(got, sizeof body);
    assert_true(chunks > 1);
    assert_int_equal(end - at, 5);
    assert_memory_equal(at, "0\r\n\r\n", 5);

    f.body = SLICE("{seq:1}");
    sequences = 0;
    assert_false(request_make(&r, &f, &sequences, why, sizeof why));
    assert_string_equal(why,
                        "a chunked body cannot have placeholders: its chunks have fixed sizes");
}

static void content_length_counts_the_filled_body(void **state)
{
    static const char *const headers[] = {"X-N: {seq:8}"};
    struct request_form f = {.target = SLICE("/{seq:98}"),
                             .host = SLICE("h"),
                             .headers = headers,
                             .n_headers = 1,
                             .body = SLICE("n={seq:9};{rand:1:1000000}"),
                             .has_body = true};
    uint64_t sequence[3] = {0};
    struct request r;
    uint32_t sequences = 0;
    (void)state;
    assert_true(request_make(&r, &f, &sequences, why, sizeof why));
    assert_int_equal(sequences, 3);
    assert_null(r.bytes.ptr);
    struct filler filler = filler_of(sequence, 0, 1);
    for (unsigned i = 0; i < 300; i++) {
        unsigned target, field, length, body, random;
        int head = 0;
        fill(&r, &filler);
        assert_int_equal(
            sscanf(out, "POST /%u HTTP/1.1\r\nHost: h\r\nX-N: %u\r\nContent-Length: %u\r\n\r\n%n",
                   &target, &field, &length, &head),
            3);
        assert_int_equal(strlen(out + head), length);
        assert_int_equal(sscanf(out + head, "n=%u;%u", &body, &random), 2);
        assert_int_equal(target, 98 + i);
        assert_int_equal(field, 8 + i);
        assert_int_equal(body, 9 + i);
        assert_in_range(random, 1, 1000000);
    }
}

static void templates_are_sent_as_they_are(void **state)
{
    struct request r;
    uint32_t sequences = 0;
    (void)state;
    assert_true(request_raw(&r, SLICE("HEAD / HTTP/1.0\r\n\r\n"), &sequences, why, sizeof why));
    assert_true(r.to_head);
    assert_true(slice_eq(r.bytes, SLICE("HEAD / HTTP/1.0\r\n\r\n")));
    assert_true(request_raw(&r, slice_of("a\0b\xff", 4), &sequences, why, sizeof why));
    assert_false(r.to_head);
    assert_true(slice_eq(r.bytes, slice_of("a\0b\xff", 4)));
    assert_false(
        request_raw(&r, SLICE("GET /{seq:} HTTP/1.1\r\n\r\n"), &sequences, why, sizeof why));
    assert_string_equal(why, "\"{seq:}\" is not {rand:MIN:MAX} or {seq:START}");

    struct request_form f = {.method = "HEAD", .target = SLICE("/"), .host = SLICE("h")};
    assert_true(request_make(&r, &f, &sequences, why, sizeof why));
    assert_true(r.to_head);
}

/* ---- messages ---- */

static void line_is(const char *bytes, const char *want)
{
    char line[REQUEST_LINE];
    uint32_t sequences = 0;
    struct request r;
    assert_true(request_raw(&r, slice_str(bytes), &sequences, why, sizeof why));
    request_line(&r, line);
    assert_string_equal(line, want);
}

static void request_lines_show_method_and_target(void **state)
{
    char long_one[400], want[REQUEST_LINE];
    (void)state;
    line_is("GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a?b");
    line_is("GET /{rand:1:6}/{seq:9} HTTP/1.1\r\n\r\n", "GET /{rand:1:6}/{seq:9}");
    line_is("GET / HTTP/1.1\nA: b\r\n\r\n", "GET /");
    line_is("GET /a b", "GET /a b");
    line_is("\x01nonsense", "\\x01nonsense");
    line_is("\r\n", "");
    memset(long_one, 'a', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';
    memset(want, 'a', sizeof want);
    memcpy(want + sizeof want - 4, "...", 4);
    line_is(long_one, want);
}

/* Of the leak sanitizer: what a request allocates is never freed. */
void __lsan_disable(void) __attribute__((weak));

int main(void)
{
    if (__lsan_disable) __lsan_disable();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_without_placeholders_is_one_part),
        cmocka_unit_test(placeholders_are_cut_out),
        cmocka_unit_test(malformed_placeholders_are_rejected),
        cmocka_unit_test(a_request_can_have_many_sequences),
        cmocka_unit_test(sequences_are_unique_over_cores),
        cmocka_unit_test(sequences_wrap_at_64_bits),
        cmocka_unit_test(random_bounds_are_inclusive),
        cmocka_unit_test(random_numbers_reach_both_halves_of_their_range),
        cmocka_unit_test(requests_are_built_from_options),
        cmocka_unit_test(chunked_bodies_are_split_into_chunks),
        cmocka_unit_test(content_length_counts_the_filled_body),
        cmocka_unit_test(templates_are_sent_as_they_are),
        cmocka_unit_test(request_lines_show_method_and_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
