/* Single and multiple ranges of a file, and bodies of every size. */

#include "site.h"

#include <stdio.h>
#include <stdlib.h>

static int make(void **state)
{
    site_make(state);
    site_put("root/abc.txt", SITE_ABC, 5);
    site_put("root/app.js", "the plain script", 0);
    site_put("root/app.js.gz", "GZIP script", 3);
    return 0;
}

static void single_ranges(void **state)
{
    (void)state;
    static const char *const ranges[][3] = {
        {"bytes=0-0", "bytes 0-0/26", "a"},
        {"bytes=2-4", "bytes 2-4/26", "cde"},
        {"bytes=23-", "bytes 23-25/26", "xyz"},
        {"bytes=23-99", "bytes 23-25/26", "xyz"},
        {"bytes=-2", "bytes 24-25/26", "yz"},
        {"bytes=-99", "bytes 0-25/26", SITE_ABC},
        {"bytes=0-25", "bytes 0-25/26", SITE_ABC},
        {"bytes=99-, 1-1, -0", "bytes 1-1/26", "b"}, /* one of them is satisfiable */
    };
    char field[128];
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        snprintf(field, sizeof field, "Range: %s\r\n", ranges[i][0]);
        assert_int_equal(request("GET", "/abc.txt", field), 206);
        expect_field("Content-Range", ranges[i][1]);
        expect_field("Content-Type", "text/plain; charset=utf-8");
        expect_field("ETag", SITE_ABC_TAG);
        expect_field("Last-Modified", SITE_MODIFIED);
        assert_string_equal(reply.body, ranges[i][2]);
    }
    static const char *const ignored[] = {"bytes=5-2", "bytes=a-b",     "bytes",  "chars=0-1",
                                          "bytes=",    "bytes=0-1;2-3", "bytes=-"};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
        snprintf(field, sizeof field, "Range: %s\r\n", ignored[i]);
        assert_int_equal(request("GET", "/abc.txt", field), 200);
        expect_field("Content-Range", NULL);
        assert_string_equal(reply.body, SITE_ABC);
    }
    static const char *const beyond[] = {"bytes=26-", "bytes=-0", "bytes=99-100, 26-26"};
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        snprintf(field, sizeof field, "Range: %s\r\n", beyond[i]);
        assert_int_equal(request("GET", "/abc.txt", field), 416);
        expect_field("Content-Range", "bytes */26");
        expect_field("ETag", NULL);
        assert_string_equal(reply.body, "416 Range Not Satisfiable\n");
    }
}

static void if_range(void **state)
{
    (void)state;
    assert_int_equal(
        request("GET", "/abc.txt", "Range: bytes=0-1\r\nIf-Range: " SITE_ABC_TAG "\r\n"), 206);
    assert_int_equal(request("GET", "/abc.txt", "Range: bytes=0-1\r\nIf-Range: \"x\"\r\n"), 200);
    assert_string_equal(reply.body, SITE_ABC);
    assert_int_equal(
        request("GET", "/abc.txt", "Range: bytes=0-1\r\nIf-Range: W/" SITE_ABC_TAG "\r\n"), 200);
    assert_int_equal(request("GET", "/abc.txt", "Range: bytes=90-\r\nIf-Range: \"x\"\r\n"), 200);
    assert_int_equal(request("GET", "/abc.txt",
                             "Range: bytes=0-1\r\nIf-Range: "
                             "Sun, 06 Nov 1994 08:49:38 GMT\r\n"),
                     200);
}

/* RFC 9110, 8.8.2.2: a file can change twice within a second, so a date cannot tell whether the
 * client has a part of this version or of another. */
static void if_range_with_a_date(void **state)
{
    (void)state;
    static const char resume[] = "Range: bytes=3-\r\nIf-Range: " SITE_MODIFIED "\r\n";
    site_put("root/log.txt", "aaaaaa", 5);
    expect("/log.txt", 200, "aaaaaa");
    expect_field("Last-Modified", SITE_MODIFIED);
    site_put("root/log.txt", "bbbbbb", 6);
    await("/log.txt", resume, 200, "bbbbbb");
    expect_field("Last-Modified", SITE_MODIFIED);
    expect_field("Content-Range", NULL);
}

struct part {
    const char *range, *bytes;
};

/* The last response consists of exactly these parts, with `described` in the head of each. */
static void expect_parts(const char *described, const struct part *parts, size_t n)
{
    static const char before[] = "multipart/byteranges; boundary=";
    char *type = copy_field("Content-Type"), want[4096];
    assert_int_equal(strncmp(type, before, sizeof before - 1), 0);
    const char *boundary = type + sizeof before - 1;
    assert_true(strlen(boundary) >= 16 && strlen(boundary) <= 70);
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(want + len, sizeof want - len,
                                "\r\n--%s\r\n%sContent-Range: bytes %s\r\n\r\n%s", boundary,
                                described, parts[i].range, parts[i].bytes);
    len += (size_t)snprintf(want + len, sizeof want - len, "\r\n--%s--\r\n", boundary);
    assert_true(len < sizeof want);
    assert_string_equal(reply.body, want);
    expect_field("Content-Range", NULL);
    free(type);
}

static void several_ranges(void **state)
{
    (void)state;
    static const struct part parts[] = {{"0-2/26", "abc"}, {"24-25/26", "yz"}, {"1-1/26", "b"}};
    assert_int_equal(request("GET", "/abc.txt", "Range: bytes=0-2,-2, 1-1,30-\r\n"), 206);
    expect_parts("Content-Type: text/plain; charset=utf-8\r\n", parts, 3);
    expect_field("ETag", SITE_ABC_TAG);
    expect_field("Accept-Ranges", "bytes");

    /* The boundary differs each time. */
    char *first = copy_field("Content-Type");
    request("GET", "/abc.txt", "Range: bytes=0-2,-2, 1-1,30-\r\n");
    char *second = copy_field("Content-Type");
    assert_string_not_equal(first, second);
    free(first);
    free(second);

    /* More than twice the file, and more than 16 ranges. */
    assert_int_equal(request("GET", "/abc.txt", "Range: bytes=0-,0-,0-\r\n"), 200);
    assert_int_equal(request("GET", "/abc.txt",
                             "Range: bytes=0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,"
                             "0-0,0-0,0-0,0-0,0-0,0-0,0-0\r\n"),
                     200);
    assert_string_equal(reply.body, SITE_ABC);
}

/* Ranges apply to the version chosen. */
static void ranges_of_a_variant(void **state)
{
    (void)state;
    assert_int_equal(request("GET", "/app.js", "Accept-Encoding: gzip\r\nRange: bytes=0-3\r\n"),
                     206);
    assert_string_equal(reply.body, "GZIP");
    expect_field("Content-Range", "bytes 0-3/11");
    expect_field("Content-Encoding", "gzip");
    expect_field("Vary", "Accept-Encoding");
    assert_int_equal(request("GET", "/app.js", "Accept-Encoding: gzip\r\nRange: bytes=11-\r\n"),
                     416);
    expect_field("Content-Range", "bytes */11");
    expect_field("Content-Encoding", NULL);

    static const struct part parts[] = {{"0-3/11", "GZIP"}, {"10-10/11", "t"}};
    assert_int_equal(request("GET", "/app.js", "Accept-Encoding: gzip\r\nRange: bytes=0-3,-1\r\n"),
                     206);
    expect_parts("Content-Encoding: gzip\r\nContent-Type: text/javascript; charset=utf-8\r\n",
                 parts, 2);
    expect_field("Content-Encoding", NULL); /* the multipart body itself is not coded */
    expect_field("Vary", "Accept-Encoding");
}

static void pipelined(void **state)
{
    (void)state;
    enum { BIG = 300 * 1024 };
    files_fill(tree.path, "root/big.bin", BIG);
    client_sendf(&client, "GET /abc.txt HTTP/1.1\r\nHost: h\r\n\r\n"
                          "GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n"
                          "HEAD /big.bin HTTP/1.1\r\nHost: h\r\n\r\n"
                          "GET /none HTTP/1.1\r\nHost: h\r\n\r\n"
                          "GET /big.bin HTTP/1.1\r\nHost: h\r\nRange: bytes=70000-200000\r\n\r\n"
                          "GET /abc.txt HTTP/1.0\r\n\r\n");
    client_reply(&client, "GET", &reply);
    assert_string_equal(reply.body, SITE_ABC);
    client_reply(&client, "GET", &reply);
    assert_int_equal(reply.body_len, BIG);
    for (size_t i = 0; i < BIG; i++)
        if (reply.body[i] != files_byte(i)) fail_msg("byte %zu is wrong", i);
    client_reply(&client, "HEAD", &reply);
    client_reply(&client, "GET", &reply);
    assert_int_equal(reply.status, 404);
    client_reply(&client, "GET", &reply);
    assert_int_equal(reply.body_len, 130001);
    for (size_t i = 0; i < reply.body_len; i++)
        if (reply.body[i] != files_byte(70000 + i)) fail_msg("byte %zu of the range is wrong", i);
    client_reply(&client, "GET", &reply);
    assert_string_equal(reply.body, SITE_ABC);
    client_expect_end(&client);
}

/* Around the sizes of the server's pieces and output chunks. */
static void sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {1,      4095,   4096,   7000,   7800,   7900,
                                   8000,   8192,   65535,  65536,  65537,  70000,
                                   131071, 131072, 131073, 262144, 1000003};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[32], path[32];
        snprintf(name, sizeof name, "root/size-%zu", sizes[i]);
        snprintf(path, sizeof path, "/size-%zu", sizes[i]);
        files_fill(tree.path, name, sizes[i]);
        assert_int_equal(get(path), 200);
        assert_int_equal(reply.body_len, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            if (reply.body[k] != files_byte(k)) fail_msg("byte %zu of %zu is wrong", k, sizes[i]);
    }
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(single_ranges, site_start_plain, site_stop),
        cmocka_unit_test_setup_teardown(if_range, site_start_plain, site_stop),
        cmocka_unit_test_setup_teardown(if_range_with_a_date, site_start_plain, site_stop),
        cmocka_unit_test_setup_teardown(several_ranges, site_start_plain, site_stop),
        cmocka_unit_test_setup_teardown(ranges_of_a_variant, site_start_plain, site_stop),
        cmocka_unit_test_setup_teardown(pipelined, site_start_plain, site_stop),
        cmocka_unit_test_setup_teardown(sizes, site_start_plain, site_stop),
    };
    return cmocka_run_group_tests(tests, make, site_remove);
}
