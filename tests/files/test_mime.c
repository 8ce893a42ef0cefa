#include "files/mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NONE "application/octet-stream"

static void is(const char *path, const char *want)
{
    /* A copy of exact size, so that the address sanitizer detects a read past either end. */
    size_t n = strlen(path);
    char *exact = malloc(n);
    assert_non_null(exact);
    memcpy(exact, path, n);
    slice got = mime_type(slice_of(exact, n));
    free(exact);
    if (!slice_eq(got, slice_str(want)))
        fail_msg("%s: %.*s, not %s", path, (int)got.len, got.ptr, want);
}

/* Every extension of the table, since the search would miss one out of order. */
// clang-format off
static const char *const all[][2] = {
    {"html", "text/html; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"xhtml", "application/xhtml+xml"},
    {"css", "text/css; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"tsv", "text/tab-separated-values; charset=utf-8"},
    {"txt", "text/plain; charset=utf-8"},
    {"text", "text/plain; charset=utf-8"},
    {"log", "text/plain; charset=utf-8"},
    {"conf", "text/plain; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"markdown", "text/markdown; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"ics", "text/calendar; charset=utf-8"},
    {"vcf", "text/vcard; charset=utf-8"},
    {"vtt", "text/vtt; charset=utf-8"},
    {"c", "text/plain; charset=utf-8"},
    {"h", "text/plain; charset=utf-8"},
    {"py", "text/x-python; charset=utf-8"},
    {"sh", "text/x-shellscript; charset=utf-8"},
    {"diff", "text/x-diff; charset=utf-8"},
    {"patch", "text/x-diff; charset=utf-8"},
    {"xml", "application/xml"},
    {"xsl", "application/xslt+xml"},
    {"xslt", "application/xslt+xml"},
    {"rss", "application/rss+xml"},
    {"atom", "application/atom+xml"},
    {"json", "application/json"},
    {"jsonld", "application/ld+json"},
    {"geojson", "application/geo+json"},
    {"map", "application/json"},
    {"webmanifest", "application/manifest+json"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"toml", "application/toml"},
    {"wasm", "application/wasm"},
    {"pdf", "application/pdf"},
    {"rtf", "application/rtf"},
    {"ps", "application/postscript"},
    {"eps", "application/postscript"},
    {"sql", "application/sql"},
    {"epub", "application/epub+zip"},
    {"png", "image/png"},
    {"apng", "image/apng"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"heic", "image/heic"},
    {"heif", "image/heif"},
    {"jxl", "image/jxl"},
    {"svg", "image/svg+xml"},
    {"svgz", "image/svg+xml"},
    {"ico", "image/vnd.microsoft.icon"},
    {"bmp", "image/bmp"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"mp3", "audio/mpeg"},
    {"m4a", "audio/mp4"},
    {"aac", "audio/aac"},
    {"ogg", "audio/ogg"},
    {"oga", "audio/ogg"},
    {"opus", "audio/ogg"},
    {"flac", "audio/flac"},
    {"wav", "audio/wav"},
    {"weba", "audio/webm"},
    {"mid", "audio/midi"},
    {"midi", "audio/midi"},
    {"m3u", "audio/mpegurl"},
    {"m3u8", "application/vnd.apple.mpegurl"},
    {"mpd", "application/dash+xml"},
    {"mp4", "video/mp4"},
    {"m4v", "video/mp4"},
    {"mpeg", "video/mpeg"},
    {"mpg", "video/mpeg"},
    {"ogv", "video/ogg"},
    {"webm", "video/webm"},
    {"mov", "video/quicktime"},
    {"avi", "video/x-msvideo"},
    {"mkv", "video/matroska"},
    {"ts", "video/mp2t"},
    {"3gp", "video/3gpp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"ttf", "font/ttf"},
    {"otf", "font/otf"},
    {"ttc", "font/collection"},
    {"eot", "application/vnd.ms-fontobject"},
    {"zip", "application/zip"},
    {"gz", "application/gzip"},
    {"tgz", "application/gzip"},
    {"bz2", "application/x-bzip2"},
    {"xz", "application/x-xz"},
    {"zst", "application/zstd"},
    {"tar", "application/x-tar"},
    {"7z", "application/x-7z-compressed"},
    {"rar", "application/vnd.rar"},
    {"jar", "application/java-archive"},
    {"iso", "application/x-iso9660-image"},
    {"deb", "application/vnd.debian.binary-package"},
    {"rpm", "application/x-rpm"},
    {"apk", "application/vnd.android.package-archive"},
    {"doc", "application/msword"},
    {"xls", "application/vnd.ms-excel"},
    {"ppt", "application/vnd.ms-powerpoint"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"odt", "application/vnd.oasis.opendocument.text"},
    {"ods", "application/vnd.oasis.opendocument.spreadsheet"},
    {"odp", "application/vnd.oasis.opendocument.presentation"},
};
// clang-format on

static void each(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        char path[64];
        size_t n = (size_t)snprintf(path, sizeof path, "dir.d/a.b.%s", all[i][0]);
        is(path, all[i][1]);
        bool text = slice_starts(mime_type(slice_of(path, n)), SLICE("text/"));
        assert_int_equal(text, strstr(all[i][1], "; charset=utf-8") != NULL);
        for (size_t k = 0; k < n; k++)
            if (path[k] >= 'a' && path[k] <= 'z') path[k] = (char)(path[k] - 32);
        is(path, all[i][1]);
        path[n - 1] = '~';
        is(path, NONE);
    }
}

static void extensions(void **state)
{
    (void)state;
    is("/index.html", "text/html; charset=utf-8");
    is("index.html", "text/html; charset=utf-8");
    is("/a/b.c/index.HTML", "text/html; charset=utf-8");
    is("/app.min.js", "text/javascript; charset=utf-8");
    is("/archive.tar.gz", "application/gzip");
    is("/..html", "text/html; charset=utf-8");
    is("/.hidden.png", "image/png");
    is("/ .png", "image/png");
    is("/\xc3\xa9.png", "image/png");
}

static void no_extension(void **state)
{
    (void)state;
    static const char *const none[] = {
        "",
        "/",
        ".",
        "..",
        "/.",
        "/a",
        "/a.",
        "/a..",
        "html",
        "/html",
        ".html",
        "/.html",
        "/a/.html",
        "/a.html/",
        "/a.html/b",
        "/a.png/.",
        "/a.png/..",
        "/a.htmlx",
        "/a.xhtm",
        "/a.html ",
        "/a.html?x",
        "/a.ht",
        "/a.h\xc3",
        "/a.html.",
        "/a.unknown",
        "/a.ccccccccccccc",
        "/a.hhhhhhhhhhhh",
        "/a.webmanifestx",
        "/a.webmanifes",
        "/a.aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "/a.~~~",
        "/a.0",
        "/a.zzz",
        "/a.\xff",
    };
    for (size_t i = 0; i < ARRAY_LEN(none); i++) is(none[i], NONE);
    assert_true(slice_eq(mime_type((slice){NULL, 0}), SLICE(NONE)));
    assert_true(slice_eq(mime_type(slice_of("/a.htmlx", 7)), SLICE("text/html; charset=utf-8")));
}

/* Every other type names what the bytes are as they are sent. */
static void one_coding(void **state)
{
    (void)state;
    static const slice coded[] = {SLICE("a.svgz"), SLICE("a/b.SVGZ"), SLICE("x.svg.svgz")};
    for (size_t i = 0; i < ARRAY_LEN(coded); i++)
        assert_true(slice_eq(mime_coding(coded[i]), SLICE("gzip")));
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        char name[40];
        snprintf(name, sizeof name, "a.%s", all[i][0]);
        if (strcmp(all[i][0], "svgz") != 0) assert_null(mime_coding(slice_str(name)).ptr);
    }
    static const slice plain[] = {SLICE(""), SLICE("svgz"), SLICE(".svgz"), SLICE("a.svgz/b")};
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) assert_null(mime_coding(plain[i]).ptr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_coding),
        cmocka_unit_test(each),
        cmocka_unit_test(extensions),
        cmocka_unit_test(no_extension),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
