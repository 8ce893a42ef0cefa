/* The header of the PROXY protocol, by its bytes. */

#include "http/proxy_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* Reads the header in memory of exactly its size. */
__attribute__((noinline)) static int read_exactly(slice in, struct proxy_header *out)
{
    char *copy = malloc(in.len ? in.len : 1);
    assert_non_null(copy);
    if (in.len) memcpy(copy, in.ptr, in.len);
    int used = proxy_header_read(slice_of(copy, in.len), out);
    free(copy);
    return used;
}

/* Less of it is not complete, and what follows it is not part of it. */
static void expect_header(slice in, const char *client, bool secure)
{
    struct proxy_header h;
    char more[PROXY_HEADER_MAX + 8], text[SOCK_PEER_TEXT];
    for (size_t n = 0; n < in.len; n++) assert_int_equal(read_exactly(slice_of(in.ptr, n), &h), 0);
    memcpy(more, in.ptr, in.len);
    memcpy(more + in.len, "GET /\r\n", 7);
    assert_int_equal(read_exactly(slice_of(more, in.len + 7), &h), in.len);
    assert_int_equal(read_exactly(in, &h), in.len);
    assert_int_equal(h.told, client != NULL);
    assert_int_equal(h.secure, secure);
    if (!client) return;
    sock_peer_format(&h.client, text);
    assert_string_equal(text, client);
}

static void lines(void **state)
{
    static const struct {
        slice line;
        const char *client;
    } list[] = {
        {SLICE("PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n"), "192.0.2.1:4711"},
        {SLICE("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
         "255.255.255.255:65535"},
        {SLICE("PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n"), "[2001:db8::1]:4711"},
        {SLICE("PROXY TCP6 ffff:f...f:ffff ::1 1 2\r\n"), "!"},
        {SLICE("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
        {SLICE("PROXY UNKNOWN\r\n"), NULL},
        {SLICE("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
         NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        struct proxy_header h;
        if (list[i].client && list[i].client[0] == '!')
            assert_int_equal(read_exactly(list[i].line, &h), -1);
        else
            expect_header(list[i].line, list[i].client, false);
    }
}

static void wrong_lines(void **state)
{
    static const char *const list[] = {
        "GET / HTTP/1.1\r\n",
        "PROXZ",
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 4711\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 4711 80 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 4711 80 1\r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.1 4711 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 4711 080\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 -1 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 65536 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 4711 65536\r\n",
        "PROXY TCP4 192.0.2 198.51.100.1 4711 80\r\n",
        "PROXY TCP4 192.0.2.1 x 4711 80\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 4711 80\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.1 4711 80\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.1 4711 80\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY UNKNOWN \r \r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.1 4711 80\r\n",
    };
    struct proxy_header h;
    char line[200];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        if (read_exactly(slice_str(list[i]), &h) != -1) fail_msg("%s", list[i]);
    assert_int_equal(read_exactly(SLICE("PROXY TCP4 192.0.2.1\0 198.51.100.1 1 2\r\n"), &h), -1);
    memset(line, ' ', sizeof line);
    memcpy(line, "PROXY UNKNOWN", 13);
    assert_int_equal(read_exactly(slice_of(line, 106), &h), 0);
    assert_int_equal(read_exactly(slice_of(line, 107), &h), -1);
    memcpy(line + 106, "\r\n", 2);
    assert_int_equal(read_exactly(slice_of(line, 108), &h), -1); /* one too many */
}

/* ---- version 2 ---- */

static slice binary(char *to, unsigned command, unsigned family, size_t size, const char *rest,
                    size_t n)
{
    memcpy(to, SIGNATURE, 12);
    to[12] = (char)command;
    to[13] = (char)family;
    to[14] = (char)(size >> 8);
    to[15] = (char)size;
    if (n) memcpy(to + 16, rest, n);
    return slice_of(to, 16 + n);
}

#define V4  "\300\0\2\1\306\063\144\1\x12\x67\0\120"
#define V6  "\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x12\x67\0\120"
#define TLS "\x20\0\5\1\0\0\0\0"

static void binaries(void **state)
{
    static char to[PROXY_HEADER_MAX], most[PROXY_HEADER_MAX], local[216];
    (void)state;
    expect_header(binary(to, 0x21, 0x11, 12, V4, 12), "192.0.2.1:4711", false);
    expect_header(binary(to, 0x21, 0x12, 12, V4, 12), "192.0.2.1:4711", false);
    expect_header(binary(to, 0x21, 0x21, 36, V6, 36), "[2001:db8::1]:4711", false);
    strcpy(local, "/run/client");
    expect_header(binary(to, 0x21, 0x31, 216, local, 216), "unix:", false);
    /* LOCAL, whatever is in it; UNSPEC. */
    expect_header(binary(to, 0x20, 0, 0, NULL, 0), NULL, false);
    expect_header(binary(to, 0x20, 0x11, 12, V4, 12), NULL, false);
    expect_header(binary(to, 0x20, 0x11, 3, V4, 3), NULL, false);
    expect_header(binary(to, 0x21, 0, 0, NULL, 0), NULL, false);
    expect_header(binary(to, 0x21, 0, 5, V4, 5), NULL, false);
    /* Additions, of which one says that the client came by TLS. */
    expect_header(binary(to, 0x21, 0x11, 15, V4 "\4\0\0", 15), "192.0.2.1:4711", false);
    expect_header(binary(to, 0x21, 0x11, 20, V4 TLS, 20), "192.0.2.1:4711", true);
    expect_header(binary(to, 0x21, 0x11, 25, V4 "\4\0\2ab" TLS, 25), "192.0.2.1:4711", true);
    expect_header(binary(to, 0x21, 0x11, 20, V4 "\x20\0\5\2\0\0\0\0", 20), "192.0.2.1:4711", false);
    expect_header(binary(to, 0x21, 0x11, 16, V4 "\x20\0\1\1", 16), "192.0.2.1:4711", false);
    /* As long as it may be. */
    size_t size = PROXY_HEADER_MAX - 16, rest = size - 12 - 3;
    memcpy(most, V4, 12);
    most[12] = 4;
    most[13] = (char)(rest >> 8);
    most[14] = (char)rest;
    struct proxy_header h;
    slice in = binary(to, 0x21, 0x11, size, most, size);
    assert_int_equal(read_exactly(in, &h), PROXY_HEADER_MAX);
    assert_true(h.told);
    assert_int_equal(read_exactly(slice_of(in.ptr, in.len - 1), &h), 0);
}

static void wrong_binaries(void **state)
{
    static const struct {
        unsigned command, family;
        size_t size;
    } list[] = {
        {0x11, 0x11, 12},    {0x31, 0x11, 12},    {0x22, 0x11, 12},
        {0x2f, 0x11, 12},    {0x21, 0x41, 12},    {0x21, 0xf1, 12},
        {0x21, 0x13, 12},    {0x21, 0x11, 11},    {0x21, 0x21, 35},
        {0x21, 0x31, 215},   {0x21, 0x11, 0},     {0x21, 0x11, PROXY_HEADER_MAX - 15},
        {0x21, 0x11, 65535}, {0x20, 0x00, 65535},
    };
    static char to[PROXY_HEADER_MAX], zeros[PROXY_HEADER_MAX];
    struct proxy_header h;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        size_t n = list[i].size > 216 ? 0 : list[i].size; /* too much is seen at once */
        slice in = binary(to, list[i].command, list[i].family, list[i].size, zeros, n);
        if (read_exactly(in, &h) != -1) fail_msg("%zu", i);
    }
    static const struct {
        slice rest;
    } additions[] = {{SLICE(V4 "\4")},
                     {SLICE(V4 "\4\0")},
                     {SLICE(V4 "\4\0\1")},
                     {SLICE(V4 TLS "\1")},
                     {SLICE(V4 "\x20\377\377\1")}};
    for (size_t i = 0; i < ARRAY_LEN(additions); i++) {
        slice rest = additions[i].rest;
        assert_int_equal(read_exactly(binary(to, 0x21, 0x11, rest.len, rest.ptr, rest.len), &h),
                         -1);
    }
    /* A signature of which one byte is another. */
    for (size_t i = 0; i < 12; i++) {
        slice in = binary(to, 0x21, 0x11, 12, V4, 12);
        to[i] ^= 1;
        for (size_t n = i + 1; n <= in.len; n++)
            assert_int_equal(read_exactly(slice_of(to, n), &h), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(wrong_lines),
        cmocka_unit_test(binaries),
        cmocka_unit_test(wrong_binaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
