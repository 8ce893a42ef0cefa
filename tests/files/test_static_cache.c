/* What a core caches of files, for how long, and what is evicted first. */

#include "site.h"
#include "stats.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    BIG = 24 * 1024 * 1024
}; /* more than sockets hold between a stalled client and the server */

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void changes_become_visible(void **state)
{
    (void)state;
    site_start("--file-cache-ttl", "100ms");
    tree_text(&tree, "root/f", "old");
    expect("/f", 200, "old");
    char *tag = copy_field("ETag"), field[128];
    tree_text(&tree, "root/f", "new content");
    await("/f", "", 200, "new content");
    snprintf(field, sizeof field, "If-None-Match: %s\r\n", tag);
    assert_int_equal(request("GET", "/f", field), 200);
    free(tag);

    tree_text(&tree, "root/f.gz", "GZ");
    await("/f", "Accept-Encoding: gzip\r\n", 200, "GZ");
    assert_int_equal(unlink(tree_path(&tree, "root/f.gz")), 0);
    await("/f", "Accept-Encoding: gzip\r\n", 200, "new content");
    assert_int_equal(unlink(tree_path(&tree, "root/f")), 0);
    await("/f", "", 404, "404 Not Found\n");
    tree_text(&tree, "root/f", "back");
    expect("/f", 200, "back"); /* absence is not cached */
}

static void without_a_cache(void **state)
{
    (void)state;
    site_start("--file-cache-ttl", "0");
    for (int i = 0; i < 20; i++) {
        char text[16];
        snprintf(text, sizeof text, "content %d", i);
        tree_text(&tree, "root/f", text);
        expect("/f", 200, text);
    }
    site_await_open_files(0);
}

/* The first receive has bytes of the file. */
static void expect_together(const char *path, const char *fields)
{
    struct client c;
    client_open(&c, &server);
    client_ask(&c, "GET", path, fields);
    assert_true(client_more(&c) > 0);
    const char *body = memmem(c.buf, c.len, "\r\n\r\n", 4);
    assert_non_null(body);
    assert_true(body + 4 < c.buf + c.len);
    client_close(&c);
}

/* Also where its pages are looked for, as it has just been mapped. */
static void the_head_leaves_with_the_first_bytes(void **state)
{
    enum { LARGE = 1000 * 1000 };
    (void)state;
    files_fill(tree.path, "root/large", LARGE);
    files_fill(tree.path, "root/other", LARGE);
    site_start("--file-cache-ttl", "1s");
    for (int i = 0; i < 5; i++) expect_together("/large", "");
    for (int i = 0; i < 5; i++) expect_together("/other", "Range: bytes=300001-\r\n");
}

static void entries_expire(void **state)
{
    (void)state;
    tree_text(&tree, "root/kept", "kept");
    tree_text(&tree, "root/kept.br", "twin");
    site_start("--file-cache-ttl", "300ms");
    expect("/kept", 200, "kept");
    site_await_open_files(0); /* although nobody requests it again */

    /* A deleted file frees its space, too. */
    expect("/kept", 200, "kept");
    assert_int_equal(unlink(tree_path(&tree, "root/kept")), 0);
    site_await_open_files(0);
}

static void bounded(void **state)
{
    (void)state;
    enum { FILES = 40, MAX = 4 };
    char name[32], path[32];
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "root/bounded/%d", i);
        tree_text(&tree, name, name);
        snprintf(name, sizeof name, "root/bounded/%d.gz", i);
        if (i % 3 == 0) tree_text(&tree, name, name);
    }
    site_start("--file-cache", "4");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < FILES; i++) {
            snprintf(name, sizeof name, "root/bounded/%d", i);
            snprintf(path, sizeof path, "/bounded/%d", i);
            expect(path, 200, name);
            assert_true(site_open_files() <= MAX);
        }
    }
    site_await_open_files(0);
}

/* A cached file costs a send: its bytes are in memory, read once per entry. */
static void a_hit_opens_no_file(void **state)
{
    (void)state;
    enum { HITS = 300, OPENS = 8 };
    tree_text(&tree, "root/hot.txt", "hot");
    tree_text(&tree, "root/hot.txt.gz", "HOT");
    site_start();
    expect("/hot.txt", 200, "hot");
    double before = stats_number(&server, "total.sqes");
    uint64_t start = now_ms();
    for (int i = 0; i < HITS; i++) expect("/hot.txt", 200, "hot");
    /* Once per second it is opened again, with a lookup for each variant, and read twice: for a
     * response and to keep it. */
    double opens = OPENS * (double)((now_ms() - start) / 1000 + 1);
    double sqes = stats_number(&server, "total.sqes") - before;
    print_message("%.2f operations for each of %d requests\n", sqes / HITS, HITS);
    assert_true(sqes >= HITS); /* one send each */
    assert_true(sqes <= HITS + opens);
}

/* Concurrent misses of one path each open the file; one of them stays in the cache. */
static void concurrent_misses(void **state)
{
    (void)state;
    enum { CLIENTS = 50 };
    struct client c[CLIENTS];
    tree_text(&tree, "root/cold", "cold");
    tree_text(&tree, "root/cold.gz", "COLD");
    site_start("--file-cache-ttl", "300ms");
    for (int i = 0; i < CLIENTS; i++) client_open(&c[i], &server);
    for (int i = 0; i < CLIENTS; i++) client_ask(&c[i], "GET", "/cold", "");
    for (int i = 0; i < CLIENTS; i++) {
        client_reply(&c[i], "GET", &reply);
        assert_string_equal(reply.body, "cold");
        client_close(&c[i]);
    }
    assert_true(site_open_files() <= 2);
    site_await_open_files(0);
}

/* ---- no descriptors ---- */

enum { DESCRIPTORS = 256 };

/* Leaves few descriptors: *arg of them are in use before the server starts. */
static void few_descriptors(void *arg)
{
    struct rlimit limit = {DESCRIPTORS, DESCRIPTORS};
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) _exit(126);
    for (int taken = *(int *)arg; taken > 0; taken--)
        if (open("/", O_PATH) < 0) _exit(126);
}

#define start_with_few(taken, ...)                                                                 \
    start_with_few_descriptors(                                                                    \
        taken, (const char *const[]){"--root", tree_path(&tree, "root"), __VA_ARGS__, NULL})

static void start_with_few_descriptors(int taken, const char *const *options)
{
    server_start_prepared(&server, few_descriptors, &taken, options);
    client_open(&client, &server);
}

/* Cached files that nobody reads are closed for one that is requested. */
static void the_cache_yields_descriptors(void **state)
{
    (void)state;
    enum { FILES = 2 * DESCRIPTORS };
    char name[32], path[32];
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "root/way/%d", i);
        tree_text(&tree, name, name);
    }
    start_with_few(0, "--file-cache", "1000");
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "root/way/%d", i);
        snprintf(path, sizeof path, "/way/%d", i);
        expect(path, 200, name);
    }
    site_await_open_files(0);
}

static void no_descriptors_left(void **state)
{
    (void)state;
    /* The sockets alone fit into the limit; with a file for each they do not. */
    enum { TAKEN = 64, CLIENTS = 120 };
    static const struct tcp_how how = {.receive_buffer = 4096};
    struct client slow[CLIENTS];
    files_fill(tree.path, "root/big", BIG);
    tree_text(&tree, "root/small", "small");
    start_with_few(TAKEN, "--file-cache-ttl", "0", "--no-direct");
    for (int i = 0; i < CLIENTS; i++) {
        client_open_to(&slow[i], &server.addr, &how);
        client_get(&slow[i], "/small", 200, &reply);
    }
    int n = 0;
    for (bool refused = false; !refused && n < CLIENTS; n++) {
        client_ask(&slow[n], "GET", "/big", "");
        while (slow[n].len < 12) assert_true(client_more(&slow[n]) > 0);
        refused = memcmp(slow[n].buf, "HTTP/1.1 200", 12) != 0;
    }
    print_message("answer %d of %d was refused\n", n, CLIENTS);
    client_reply(&slow[n - 1], "GET", &reply);
    assert_int_equal(reply.status, 503);
    expect_field("Retry-After", "1");
    for (int i = 0; i < CLIENTS; i++) client_close(&slow[i]);
    await("/small", "", 200, "small");
    site_await_open_files(0);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(changes_become_visible, site_stop),
        cmocka_unit_test_teardown(without_a_cache, site_stop),
        cmocka_unit_test_teardown(the_head_leaves_with_the_first_bytes, site_stop),
        cmocka_unit_test_teardown(entries_expire, site_stop),
        cmocka_unit_test_teardown(bounded, site_stop),
        cmocka_unit_test_teardown(a_hit_opens_no_file, site_stop),
        cmocka_unit_test_teardown(concurrent_misses, site_stop),
        cmocka_unit_test_teardown(the_cache_yields_descriptors, site_stop),
        cmocka_unit_test_teardown(no_descriptors_left, site_stop),
    };
    return cmocka_run_group_tests(tests, site_make, site_remove);
}
