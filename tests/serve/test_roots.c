/* Files below several directories, by prefixes and by handlers. */

#include "client.h"
#include "files.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *dir; /* the server's working directory */
static struct server server;
static struct client client;
static struct reply reply;

static void make_dir(const char *name)
{
    char *path = files_path(dir, name);
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
}

static void write_text(const char *name, const char *text)
{
    files_write(dir, name, text, strlen(text));
}

/* By one rename, so that the name is never missing. */
static void make_link(const char *name, const char *target)
{
    char *path = files_path(dir, name), *fresh = files_path(dir, "fresh");
    assert_int_equal(symlink(target, fresh), 0);
    assert_int_equal(rename(fresh, path), 0);
    free(fresh);
    free(path);
}

static int make_files(void **state)
{
    (void)state;
    dir = files_open();
    make_dir("one");
    make_dir("one/sub");
    make_dir("second");
    make_dir("third");
    make_link("two", "second");
    write_text("secret.txt", "secret");
    write_text("one/a.txt", "abcdefghijklmnopqrstuvwxyz");
    write_text("one/.hidden", "hidden");
    write_text("one/page.html", "plain");
    write_text("one/page.html.gz", "packed");
    write_text("one/index.html", "front");
    write_text("one/sub/index.html", "below");
    write_text("second/a.txt", "second");
    write_text("third/a.txt", "third");
    make_link("one/out.txt", "../secret.txt");
    char *fifo = files_path(dir, "one/fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    free(fifo);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    files_close(dir);
    return 0;
}

static void enter_dir(void *arg)
{
    if (chdir(arg) < 0) _exit(125);
}

#define start(...) start_list((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
static void start_list(const char *const *options)
{
    server_start_prepared(&server, enter_dir, dir, options);
    client_open(&client, &server);
}

static void stop(void)
{
    client_close(&client);
    reply_free(&reply);
    server_stop(&server);
}

static void ask(const char *method, const char *path, const char *fields, int status)
{
    client_ask(&client, method, path, fields);
    client_reply(&client, method, &reply);
    if (reply.status != status) print_error("%s %s: %s\n", method, path, reply.head);
    assert_int_equal(reply.status, status);
}

static void expect(const char *path, const char *fields, int status, const char *body)
{
    ask("GET", path, fields, status);
    assert_string_equal(reply.body, body);
}

/* NULL: the field is absent. */
static void expect_field(const char *name, const char *value)
{
    char *got = reply_field(&reply, name);
    bool same = got && value ? strcmp(got, value) == 0 : !got && !value;
    if (!same) print_error("%s is not %s in:\n%s\n", name, value ? value : "absent", reply.head);
    assert_true(same);
    free(got);
}

static char *copy_field(const char *name)
{
    char *value = reply_field(&reply, name);
    assert_non_null(value);
    return value;
}

/* Descriptors of the server for regular files below its directory. */
static int count_open(void)
{
    char table[64], path[512];
    struct stat st;
    int n = 0;
    snprintf(table, sizeof table, "/proc/%d/fd", (int)server.pid);
    DIR *d = opendir(table);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char target[512] = "";
        snprintf(path, sizeof path, "%s/%s", table, e->d_name);
        if (readlink(path, target, sizeof target - 1) < 0 || stat(path, &st) < 0) continue;
        n += S_ISREG(st.st_mode) && strncmp(target, dir, strlen(dir)) == 0;
    }
    closedir(d);
    return n;
}

/* ---- prefixes ---- */

static void test_each_prefix_has_its_directory(void **state)
{
    (void)state;
    start("--root", "third");
    server_await_log(&server, "refused: -17 -22 -22\n"); /* -EEXIST, -EINVAL */
    for (int i = 0; i < 3; i++) {                        /* from the cache, too */
        expect("/two/a.txt", "", 200, "second");
        expect("/one/a.txt", "", 200, "abcdefghijklmnopqrstuvwxyz");
        expect("/root/a.txt", "", 200, "third");
        expect("/query?dir=second&path=a.txt", "", 200, "second");
        expect("/one/", "", 200, "front");
        ask("GET", "/two/", "", 404);
        ask("GET", "/two/page.html", "", 404);
    }
    ask("GET", "/two", "", 301);
    expect_field("Location", "/two/");
    ask("POST", "/two/a.txt", "Content-Length: 0\r\n", 405);
    ask("GET", "/one/%2e%2e/two/a.txt", "", 404);
    ask("GET", "/one/../secret.txt", "", 404);
    stop();
}

static void test_prefixes_need_no_root(void **state)
{
    (void)state;
    start("--cores", server_two_cores());
    expect("/one/a.txt", "", 200, "abcdefghijklmnopqrstuvwxyz");
    expect("/two/a.txt", "", 200, "second");
    ask("GET", "/root/a.txt", "", 404);
    stop();
}

static void test_directories_share_the_bounds_of_the_cache(void **state)
{
    (void)state;
    char name[64];
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "%s/%d.txt", i % 2 ? "one" : "third", i);
        write_text(name, "text");
    }
    start("--root", "third", "--file-cache", "4", "--file-cache-ttl", "1s");
    for (int i = 0; i < 24; i++) {
        snprintf(name, sizeof name, "/%s/%d.txt", i % 2 ? "one" : "root", i % 8);
        expect(name, "", 200, "text");
        assert_true(count_open() <= 4);
    }
    stop();
}

static void await_body(const char *path, const char *body)
{
    for (int i = 0; i < SERVER_SECONDS * 100; i++) {
        client_ask(&client, "GET", path, "");
        client_reply(&client, "GET", &reply);
        if (reply.status == 200 && strcmp(reply.body, body) == 0) return;
        sleep_ms(10);
    }
    fail_msg("%s is not answered with %s", path, body);
}

static void test_a_switched_link_is_followed(void **state)
{
    (void)state;
    start();
    for (int i = 0; i < 2; i++) {
        make_link("two", "second");
        await_body("/two/a.txt", "second");
        await_body("/query?dir=two&path=a.txt", "second");
        make_link("two", "third");
        await_body("/two/a.txt", "third");
        await_body("/query?dir=two&path=a.txt", "third");
        expect("/one/page.html", "", 200, "plain");
    }
    make_link("two", "second");
    stop();
}

static void test_a_missing_directory_is_told(void **state)
{
    (void)state;
    struct server s;
    struct server_how how = {server_engine, enter_dir, dir};
    make_link("two", "missing");
    assert_int_equal(server_run(&s, &how, (const char *const[]){"--listen", "127.0.0.1:0", NULL}),
                     1);
    assert_non_null(
        strstr(server_log(&s), "cannot open two, the directory of /two/: No such file"));
    server_free(&s);
    make_link("two", "second");
}

/* More names than are kept. */
static void test_many_directories_are_served(void **state)
{
    (void)state;
    char name[64], path[128];
    for (int i = 0; i < 80; i++) {
        snprintf(name, sizeof name, "many%d", i);
        make_dir(name);
        snprintf(path, sizeof path, "%s/a.txt", name);
        write_text(path, name);
    }
    start();
    for (int i = 0; i < 240; i++) {
        snprintf(name, sizeof name, "many%d", i * 7 % 80);
        snprintf(path, sizeof path, "/query?path=a.txt&dir=%s", name);
        expect(path, "", 200, name);
    }
    stop();
}

/* ---- handlers ---- */

static void test_a_handler_replies_with_a_file(void **state)
{
    (void)state;
    char fields[256];
    start();
    expect("/reply/a.txt", "", 200, "abcdefghijklmnopqrstuvwxyz");
    expect_field("Content-Type", "text/plain; charset=utf-8");
    expect_field("Accept-Ranges", "bytes");
    char *tag = copy_field("ETag"), *modified = copy_field("Last-Modified");
    ask("HEAD", "/reply/a.txt", "", 200);
    expect_field("Content-Length", "26");
    expect("/reply/", "", 200, "front");
    expect("/reply/sub/", "", 200, "below");

    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", tag);
    expect("/reply/a.txt", fields, 304, "");
    expect_field("ETag", tag);
    snprintf(fields, sizeof fields, "If-Modified-Since: %s\r\n", modified);
    expect("/reply/a.txt", fields, 304, "");
    ask("GET", "/reply/a.txt", "If-Match: \"other\"\r\n", 412);
    ask("GET", "/reply/a.txt", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 412);

    expect("/reply/a.txt", "Range: bytes=2-4\r\n", 206, "cde");
    expect_field("Content-Range", "bytes 2-4/26");
    snprintf(fields, sizeof fields, "Range: bytes=-2\r\nIf-Range: %s\r\n", tag);
    expect("/reply/a.txt", fields, 206, "yz");
    expect("/reply/a.txt", "Range: bytes=1-2\r\nIf-Range: \"other\"\r\n", 200,
           "abcdefghijklmnopqrstuvwxyz");
    ask("GET", "/reply/a.txt", "Range: bytes=0-0,25-\r\n", 206);
    assert_non_null(strstr(reply.body, "Content-Range: bytes 25-25/26\r\n\r\nz\r\n--"));
    ask("GET", "/reply/a.txt", "Range: bytes=26-\r\n", 416);
    expect_field("Content-Range", "bytes */26");

    expect("/reply/page.html", "Accept-Encoding: gzip\r\n", 200, "packed");
    expect_field("Content-Encoding", "gzip");
    expect_field("Vary", "Accept-Encoding");
    expect("/reply/page.html", "", 200, "plain");
    free(modified);
    free(tag);
    stop();
}

/* Conditions and ranges are of GET; variants are of all. */
static void test_another_method_gets_the_file(void **state)
{
    (void)state;
    start();
    ask("POST", "/reply/a.txt", "Content-Length: 0\r\nRange: bytes=2-4\r\nIf-None-Match: *\r\n",
        200);
    assert_string_equal(reply.body, "abcdefghijklmnopqrstuvwxyz");
    ask("POST", "/reply/page.html", "Content-Length: 0\r\nAccept-Encoding: gzip\r\n", 200);
    assert_string_equal(reply.body, "packed");
    expect_field("Content-Encoding", "gzip");
    stop();
}

static void test_fields_of_the_handler_are_sent(void **state)
{
    (void)state;
    char fields[256];
    start();
    expect("/fields/a.txt", "", 200, "abcdefghijklmnopqrstuvwxyz");
    server_await_log(&server, "handler: 0 -114\n"); /* -EALREADY */
    expect_field("Cache-Control", "no-cache");
    expect_field("Content-Type", "text/x-own");
    char *tag = copy_field("ETag");
    assert_null(strstr(reply.head, "not this"));
    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", tag);
    expect("/fields/a.txt", fields, 304, "");
    expect_field("Cache-Control", "no-cache");
    expect_field("ETag", tag);
    expect("/fields/a.txt", "Range: bytes=2-4\r\n", 206, "cde");
    expect_field("Content-Type", "text/x-own");
    expect("/fields/a.txt", "Range: bytes=0-0,25-\r\n", 200, "abcdefghijklmnopqrstuvwxyz");
    ask("GET", "/fields/missing", "", 404);
    expect_field("Content-Type", "text/plain");
    free(tag);
    stop();
}

static void test_only_files_below_the_directory_are_sent(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int status;
    } cases[] = {
        {"/query?path=a.txt", 200},
        {"/query?path=../secret.txt", 404},
        {"/query?path=sub/../../secret.txt", 404},
        {"/query?path=sub/../a.txt", 404},
        {"/query?path=%2e%2e%2fsecret.txt", 404},
        {"/query?path=/etc/passwd", 404},
        {"/query?path=//a.txt", 404},
        {"/query?path=./a.txt", 404},
        {"/query?path=out.txt", 404},
        {"/query?path=.hidden", 404},
        {"/query?path=fifo", 404},
        {"/query?path=a.txt%00.html", 400},
        {"/query?path=%zz", 400},
        {"/query", 400},
        {"/query?path=", 200},
        {"/query?path=sub/", 200},
        {"/query?path=sub", 404}, /* a slash after the target would not help */
        {"/query?path=a.txt/", 404},
        {"/query?dir=missing&path=a.txt", 404},
        {"/query?dir=one/a.txt&path=a.txt", 404},
        {"/reply/out.txt", 404},
        {"/reply/%2e%2e/secret.txt", 404},
    };
    start();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ask("GET", cases[i].path, "", cases[i].status);
    ask("GET", "/reply/sub", "", 301);
    expect_field("Location", "/reply/sub/");
    ask("GET", "/reply/s%75b?a=b", "", 301);
    expect_field("Location", "/reply/s%75b/?a=b");
    stop();
}

/* By torc_server_reload. */
static void test_a_program_has_its_config_read_again(void **state)
{
    (void)state;
    write_text("config", "root = one\nmax-body = 1k\n");
    start("--config", "config");
    write_text("config", "root = two\nmax-body = 2k\n");
    ask("GET", "/reload", "", 200);
    server_await_log(&server, "root changed from one to two");
    server_await_log(&server, "reloaded config; settings changed: 2\n");
    write_text("config", "root = three/none\n");
    ask("GET", "/reload", "", 200);
    server_await_log(&server, "config:1: root takes a directory; three/none: No such file");
    server_await_log(&server, "the settings stay as they were\n");
    stop();
}

int main(int argc, char **argv)
{
    static char program[PATH_MAX];
    server_choose(argc, argv);
    server_program = realpath(server_program, program); /* it starts in another directory */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_prefix_has_its_directory),
        cmocka_unit_test(test_prefixes_need_no_root),
        cmocka_unit_test(test_directories_share_the_bounds_of_the_cache),
        cmocka_unit_test(test_a_switched_link_is_followed),
        cmocka_unit_test(test_a_missing_directory_is_told),
        cmocka_unit_test(test_many_directories_are_served),
        cmocka_unit_test(test_a_handler_replies_with_a_file),
        cmocka_unit_test(test_another_method_gets_the_file),
        cmocka_unit_test(test_fields_of_the_handler_are_sent),
        cmocka_unit_test(test_only_files_below_the_directory_are_sent),
        cmocka_unit_test(test_a_program_has_its_config_read_again),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
