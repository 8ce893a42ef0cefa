/* Responses for a file: fields, conditions and precompressed variants. */

#include "site.h"

#include <stdio.h>
#include <stdlib.h>

static int make(void **state)
{
    site_make(state);
    site_put("root/abc.txt", SITE_ABC, 5);
    site_put("root/empty.css", "", 0);
    site_put("root/app.js", "the plain script", 0);
    site_put("root/app.js.br", "BR script", 1);
    site_put("root/app.js.zst", "ZSTD script", 2);
    site_put("root/app.js.gz", "GZIP script", 3);
    site_put("root/page/index.html", "<p>plain", 0);
    site_put("root/page/index.html.gz", "<p>GZIP", 0);
    site_put("root/only.txt.gz", "GZIP", 0);
    site_put("root/drawing.svgz", "GZIP drawing", 0);
    site_put("root/drawing.svgz.br", "BR of GZIP", 0);
    site_put("root/archive.tgz", "GZIP archive", 0);
    site_put("root/drawing.svg", "<svg>", 0);
    return 0;
}

static void whole_file(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) { /* opened first, then cached */
        expect("/abc.txt", 200, SITE_ABC);
        expect_field("Content-Type", "text/plain; charset=utf-8");
        expect_field("Content-Length", "26");
        expect_field("Last-Modified", SITE_MODIFIED);
        expect_field("Accept-Ranges", "bytes");
        expect_field("Vary", NULL);
        expect_field("Content-Encoding", NULL);
        expect_field("Content-Range", NULL);
        char *tag = copy_field("ETag");
        assert_string_equal(tag, SITE_ABC_TAG);
        free(tag);
    }
}

/* The same fields without a body: the next response follows at once. */
static void head(void **state)
{
    (void)state;
    static const char *const paths[] = {"/abc.txt", "/empty.css", "/app.js", "/none", "/page"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        get(paths[i]);
        char *wanted = strdup(strstr(reply.head, "Content-"));
        int status = reply.status;
        assert_int_equal(request("HEAD", paths[i], ""), status);
        assert_string_equal(strstr(reply.head, "Content-"), wanted);
        assert_int_equal(reply.body_len, 0);
        free(wanted);
    }
    assert_int_equal(request("HEAD", "/abc.txt", "Range: bytes=0-1\r\n"),
                     200); /* ranges apply to GET only */
    expect_field("Content-Length", "26");
    assert_int_equal(request("HEAD", "/abc.txt", "If-None-Match: *\r\n"), 304);
    assert_int_equal(request("HEAD", "/abc.txt", "If-Match: \"x\"\r\n"), 412);
}

static void empty_file(void **state)
{
    (void)state;
    expect("/empty.css", 200, "");
    expect_field("Content-Length", "0");
    expect_field("Content-Type", "text/css; charset=utf-8");
    assert_int_equal(request("GET", "/empty.css", "Range: bytes=0-\r\n"), 416);
    expect_field("Content-Range", "bytes */0");
    assert_int_equal(request("GET", "/empty.css", "Range: bytes=-5\r\n"), 200);
}

static void not_modified(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "If-None-Match: " SITE_ABC_TAG "\r\n",
        "If-None-Match: \"x\", W/" SITE_ABC_TAG "\r\n",
        "If-None-Match: \"x\"\r\nIf-None-Match: " SITE_ABC_TAG "\r\n", /* two lines are one list */
        "If-None-Match: *\r\nRange: bytes=0-1\r\n",
        "If-Modified-Since: " SITE_MODIFIED "\r\n",
        "if-modified-since: Sunday, 06-Nov-94 08:49:38 GMT\r\n",
        "If-None-Match: " SITE_ABC_TAG "\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n",
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        assert_int_equal(request("GET", "/abc.txt", fields[i]), 304);
        expect_field("ETag", SITE_ABC_TAG);
        expect_field("Last-Modified", SITE_MODIFIED);
        expect_field("Content-Length", NULL);
        expect_field("Content-Type", NULL);
        expect_field("Accept-Ranges", NULL);
    }
    assert_int_equal(request("GET", "/abc.txt", "If-None-Match: \"x\"\r\n"), 200);
    assert_int_equal(request("GET", "/abc.txt",
                             "If-None-Match: \"x\"\r\nIf-Modified-Since: " SITE_MODIFIED "\r\n"),
                     200);
    assert_int_equal(request("GET", "/none", "If-None-Match: *\r\n"), 404);
}

static void preconditions(void **state)
{
    (void)state;
    assert_int_equal(request("GET", "/abc.txt", "If-Match: \"x\"\r\n"), 412);
    expect_field("ETag", NULL);
    assert_int_equal(request("GET", "/abc.txt", "If-Match: W/" SITE_ABC_TAG "\r\n"), 412);
    assert_int_equal(
        request("GET", "/abc.txt", "If-Match: \"x\"\r\nIf-Match: " SITE_ABC_TAG "\r\n"), 200);
    assert_int_equal(
        request("GET", "/abc.txt", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n"), 412);
    assert_int_equal(request("GET", "/abc.txt", "If-Unmodified-Since: " SITE_MODIFIED "\r\n"), 200);
    assert_int_equal(request("GET", "/abc.txt", "If-Match: \"x\"\r\nIf-None-Match: *\r\n"), 412);
}

static void variants(void **state)
{
    (void)state;
    static const char *const select_fields[][2] = {
        /* Accept-Encoding and the resulting coding */
        {"gzip", "gzip"},
        {"br", "br"},
        {"zstd", "zstd"},
        {"gzip, deflate, br, zstd", "br"},
        {"gzip, zstd", "zstd"},
        {"GZIP", "gzip"},
        {"x-gzip", "gzip"},
        {"*", "br"},
        {"br;q=0.5, gzip", "gzip"},
        {"br;q=0.5, gzip;q=0.4, zstd;q=0.6", "zstd"},
        {"br;q=0, *", "zstd"},
        {"br;q=0,zstd;q=0,gzip;q=0", NULL},
        {"gzip;q=0.5, identity", NULL},
        {"gzip;q=0.5, identity;q=0.2", "gzip"},
        {"deflate", NULL},
        {"identity", NULL},
        {"", NULL},
        {"*;q=0", NULL}, /* nothing is acceptable: the file itself is better than nothing */
    };
    char field[128];
    for (size_t i = 0; i < sizeof select_fields / sizeof *select_fields; i++) {
        snprintf(field, sizeof field, "Accept-Encoding: %s\r\n", select_fields[i][0]);
        assert_int_equal(request("GET", "/app.js", field), 200);
        const char *coding = select_fields[i][1];
        expect_field("Content-Encoding", coding);
        expect_field("Vary", "Accept-Encoding");
        expect_field("Content-Type", "text/javascript; charset=utf-8");
        const char *body = !coding                       ? "the plain script"
                           : strcmp(coding, "br") == 0   ? "BR script"
                           : strcmp(coding, "zstd") == 0 ? "ZSTD script"
                                                         : "GZIP script";
        assert_string_equal(reply.body, body);
    }
    assert_int_equal(request("GET", "/app.js", "Accept-Encoding: gzip\r\nAccept-Encoding: br\r\n"),
                     200);
    expect_field("Content-Encoding", "br");
    expect("/app.js", 200, "the plain script");
    expect_field("Vary", "Accept-Encoding");

    assert_int_equal(request("GET", "/page/", "Accept-Encoding: br, gzip\r\n"), 200);
    assert_string_equal(reply.body, "<p>GZIP");
    expect_field("Content-Type", "text/html; charset=utf-8");
    assert_int_equal(request("GET", "/abc.txt", "Accept-Encoding: br, gzip\r\n"), 200);
    expect_field("Vary", NULL);
    /* A precompressed file without its original is not served for it. */
    assert_int_equal(request("GET", "/only.txt", "Accept-Encoding: gzip\r\n"), 404);
    expect("/app.js.gz", 200, "GZIP script");
    expect_field("Content-Encoding", NULL);
    expect_field("Content-Type", "application/gzip");
}

/* RFC 9110, 8.4: the type of .svgz is that of the SVG within, so its coding must be named. */
static void a_file_that_is_compressed_by_itself(void **state)
{
    (void)state;
    static const char *const accepted[] = {"", "Accept-Encoding: br, gzip\r\n",
                                           "Accept-Encoding: identity\r\n"};
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        assert_int_equal(request("GET", "/drawing.svgz", accepted[i]), 200);
        assert_string_equal(reply.body, "GZIP drawing");
        expect_field("Content-Encoding", "gzip");
        expect_field("Content-Type", "image/svg+xml");
        expect_field("Vary", NULL);
    }
    assert_int_equal(request("GET", "/drawing.svgz", "Range: bytes=0-3\r\n"), 206);
    expect_field("Content-Encoding", "gzip");
    expect("/drawing.svg", 200, "<svg>");
    expect_field("Content-Encoding", NULL);
    expect("/archive.tgz", 200, "GZIP archive"); /* here the archive itself is what was asked for */
    expect_field("Content-Encoding", NULL);
    expect_field("Content-Type", "application/gzip");
}

/* Each version has its own tag; conditions apply to the version chosen. */
static void variants_have_their_own_tags(void **state)
{
    (void)state;
    char *tags[4], field[256];
    static const char *const codings[] = {"identity", "br", "zstd", "gzip"};
    for (int i = 0; i < 4; i++) {
        snprintf(field, sizeof field, "Accept-Encoding: %s\r\n", codings[i]);
        request("GET", "/app.js", field);
        tags[i] = copy_field("ETag");
        assert_int_equal(tags[i][0], '"');
        for (int k = 0; k < i; k++) assert_string_not_equal(tags[i], tags[k]);
    }
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 4; k++) {
            snprintf(field, sizeof field, "Accept-Encoding: %s\r\nIf-None-Match: %s\r\n",
                     codings[i], tags[k]);
            assert_int_equal(request("GET", "/app.js", field), i == k ? 304 : 200);
            expect_field("Vary", "Accept-Encoding");
            if (i == k) expect_field("ETag", tags[i]);
        }
    }
    for (int i = 0; i < 4; i++) free(tags[i]);
}

static void other_methods(void **state)
{
    (void)state;
    static const char *const methods[] = {"POST", "PUT", "DELETE", "PATCH"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        assert_int_equal(request(methods[i], "/abc.txt", "Content-Length: 0\r\n"), 405);
        expect_field("Allow", "GET, HEAD, OPTIONS");
    }
    assert_int_equal(request("OPTIONS", "/abc.txt", ""), 204);
    expect("/abc.txt", 200, SITE_ABC);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whole_file, site_start_plain, site_stop),
        cmocka_unit_test_setup_teardown(head, site_start_plain, site_stop),
        cmocka_unit_test_setup_teardown(empty_file, site_start_plain, site_stop),
        cmocka_unit_test_setup_teardown(not_modified, site_start_plain, site_stop),
        cmocka_unit_test_setup_teardown(preconditions, site_start_plain, site_stop),
        cmocka_unit_test_setup_teardown(variants, site_start_plain, site_stop),
        cmocka_unit_test_setup_teardown(variants_have_their_own_tags, site_start_plain, site_stop),
        cmocka_unit_test_setup_teardown(a_file_that_is_compressed_by_itself, site_start_plain,
                                        site_stop),
        cmocka_unit_test_setup_teardown(other_methods, site_start_plain, site_stop),
    };
    return cmocka_run_group_tests(tests, make, site_remove);
}
