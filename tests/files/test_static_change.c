/* Files that change while they are sent to slow clients. */

#include "site.h"
#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    BIG = 24 * 1024 * 1024
}; /* more than sockets hold between a stalled client and the server */

/* A client that requests the file and reads slowly: the file stays open until the response is
 * complete. */
static void stall(struct client *c, const char *path)
{
    static const struct tcp_how how = {.receive_buffer = 4096};
    char head[64];
    client_open_to(c, &server.addr, &how);
    client_ask(c, "GET", path, "");
    client_read(c, head, sizeof head);
    assert_int_equal(strncmp(head, "HTTP/1.1 200", 12), 0);
}

/* Reads the rest of a stalled response of n bytes written by files_fill. */
static void finish(struct client *c, size_t n)
{
    int room = 1 << 20;
    setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    client_shut(c);
    assert_true(client_read_all(c));
    const char *body = memmem(c->buf, c->len, "\r\n\r\n", 4);
    assert_non_null(body);
    body += 4;
    assert_int_equal(c->buf + c->len - body, n);
    for (size_t i = 0; i < n; i++)
        if (body[i] != files_byte(i)) fail_msg("byte %zu is wrong", i);
    client_close(c);
}

static void a_file_in_use_outlives_its_entry(void **state)
{
    (void)state;
    struct client slow;
    files_fill(tree.path, "root/big", BIG);
    tree_text(&tree, "root/other", "other");
    site_start("--file-cache", "1", "--file-cache-ttl", "20ms");
    stall(&slow, "/big");
    expect("/other", 200, "other"); /* takes the only place */
    assert_int_equal(unlink(tree_path(&tree, "root/big")), 0);
    tree_text(&tree, "root/big", "small");
    await("/big", "", 200, "small");
    site_await_open_files(1); /* the old one */
    finish(&slow, BIG);
    site_await_open_files(0);
}

static void *stop_and_go(void *going)
{
    while (atomic_load((atomic_bool *)going)) {
        server_signal(&server, SIGSTOP);
        sleep_ms(20);
        server_signal(&server, SIGCONT);
        sleep_ms(20);
    }
    return NULL;
}

/* As SIGSTOP, a debugger or a freezer does. The kernel may wait for a slow client on a thread of
 * its own, whose wait that ends. */
static void a_server_that_is_stopped_goes_on(void **state)
{
    enum { CLIENTS = 8 };
    (void)state;
    struct client slow[CLIENTS];
    static atomic_bool going;
    pthread_t stopper;
    files_fill(tree.path, "root/big", BIG);
    site_start();
    for (int i = 0; i < CLIENTS; i++) stall(&slow[i], "/big");
    atomic_store(&going, true);
    assert_int_equal(pthread_create(&stopper, NULL, stop_and_go, &going), 0);
    for (int i = 0; i < CLIENTS; i++) finish(&slow[i], BIG);
    atomic_store(&going, false);
    pthread_join(stopper, NULL);
}

static void a_client_that_leaves_closes_the_file(void **state)
{
    (void)state;
    struct client slow[8];
    files_fill(tree.path, "root/big", BIG);
    site_start("--file-cache-ttl", "0");
    for (int i = 0; i < 8; i++) stall(&slow[i], "/big");
    site_await_open_files(8);
    for (int i = 0; i < 8; i++) client_reset(&slow[i]);
    site_await_open_files(0);
}

static void a_truncated_file_ends_the_response(void **state)
{
    (void)state;
    struct client slow;
    files_fill(tree.path, "root/big", BIG);
    site_start();
    stall(&slow, "/big");
    assert_int_equal(truncate(tree_path(&tree, "root/big"), BIG / 2), 0);
    ssize_t n;
    size_t total = 0;
    while ((n = client_more(&slow)) > 0) {
        total += (size_t)n;
        slow.len = 0;
    }
    assert_true(n == 0 || n == -ECONNRESET);
    assert_true(total <= BIG / 2 + 1024); /* the missing bytes are not replaced */
    client_close(&slow);
    server_await_log(&server, "was truncated");
    stats_await(&server, "total.requests_aborted_server", 1);
    site_await_open_files(0);

    /* Likewise a file that is empty by the time it is read, unless its bytes are cached. */
    tree_text(&tree, "root/gone", "content");
    expect("/gone", 200, "content");
    assert_int_equal(truncate(tree_path(&tree, "root/gone"), 0), 0);
    client_ask(&client, "GET", "/gone", "");
    if (client_try_reply(&client, "GET", &reply)) { /* the entry has expired */
        assert_int_equal(reply.body_len, 0);
    } else {
        assert_null(reply.head);
    }
}

static bool try_get(const char *path, size_t size)
{
    client_ask(&client, "GET", path, "");
    if (client_try_reply(&client, "GET", &reply)) {
        assert_int_equal(reply.status, 200);
        assert_int_equal(reply.body_len, size);
        return true;
    }
    client_close(&client);
    client_open(&client, &server);
    return false;
}

/* At most one response is cut short, whatever --file-cache-ttl says. */
static void a_truncated_file_is_opened_anew(void **state)
{
    enum { SIZE = 300000, CUT = 1000 };
    (void)state;
    for (int mapped = 0; mapped < 2; mapped++) {
        int failed = 0;
        files_fill(tree.path, "root/cut", SIZE);
        site_start();
        assert_int_equal(get("/cut"), 200);
        if (mapped) site_map("root/cut");
        assert_int_equal(truncate(tree_path(&tree, "root/cut"), CUT), 0);
        while (!try_get("/cut", CUT)) failed++;
        assert_true(failed <= 1);
        client_close(&client);
        reply_free(&reply);
        server_stop(&server);
    }
    site_start(); /* for the tear-down */
}

static void a_growing_file_is_sent_as_announced(void **state)
{
    (void)state;
    struct client slow;
    files_fill(tree.path, "root/big", BIG);
    site_start();
    stall(&slow, "/big");
    int fd = open(tree_path(&tree, "root/big"), O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "more", 4), 4);
    close(fd);
    finish(&slow, BIG); /* as long as announced */
}

static void large_files_use_bounded_memory(void **state)
{
    (void)state;
    enum { CLIENTS = 4, ROOM = 48 * 1024 * 1024 };
    const size_t size = 3ull * 1024 * 1024 * 1024;
    struct client slow[CLIENTS];
    tree_hole(&tree, "root/huge", size);
    tree_text(&tree, "root/small", "small");
    site_start();
    expect("/small", 200, "small");
    size_t before = server_memory(&server);
    for (int i = 0; i < CLIENTS; i++) stall(&slow[i], "/huge");
    for (int i = 0; i < 64; i++) {
        for (int k = 0; k < CLIENTS; k++) {
            assert_true(client_more(&slow[k]) > 0);
            slow[k].len = 0;
        }
    }
    expect("/small", 200, "small"); /* they do not delay others */
    size_t after = server_memory(&server);
    print_message("memory %zu KiB, then %zu KiB\n", before / 1024, after / 1024);
    assert_true(after < before + ROOM);
    for (int i = 0; i < CLIENTS; i++) client_close(&slow[i]);

    /* Beyond 32 bits. */
    assert_int_equal(request("GET", "/huge", "Range: bytes=3221225470-\r\n"), 206);
    expect_field("Content-Range", "bytes 3221225470-3221225471/3221225472");
    assert_int_equal(request("HEAD", "/huge", ""), 200);
    expect_field("Content-Length", "3221225472");
}

static void a_drain_completes_a_file(void **state)
{
    (void)state;
    struct client slow;
    files_fill(tree.path, "root/big", BIG);
    site_start();
    stall(&slow, "/big");
    server_signal(&server, SIGTERM);
    client_expect_end(&client);
    finish(&slow, BIG);
    assert_int_equal(server_wait(&server), 0);
}

/* ---- files that the server has mapped ---- */

static void await_unmapped(const char *path)
{
    for (int i = 0; i < SERVER_SECONDS * 100 && site_mapped(path); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_false(site_mapped(path));
}

static void a_file_requested_twice_is_mapped(void **state)
{
    (void)state;
    enum { SIZE = 700001 };
    files_fill(tree.path, "root/again", SIZE);
    site_start();
    site_map("root/again");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(get("/again"), 200);
        assert_int_equal(reply.body_len, SIZE);
        for (size_t k = 0; k < SIZE; k++)
            if (reply.body[k] != files_byte(k)) fail_msg("byte %zu is wrong", k);
    }
    assert_int_equal(request("GET", "/again", "Range: bytes=299999-600000\r\n"), 206);
    assert_int_equal(reply.body_len, 300002);
    for (size_t k = 0; k < 300002; k++)
        if (reply.body[k] != files_byte(299999 + k)) fail_msg("byte %zu of the range is wrong", k);
    await_unmapped("root/again"); /* nobody requests it any more */
}

static void without_a_cache_nothing_is_mapped(void **state)
{
    (void)state;
    files_fill(tree.path, "root/again", 70000);
    site_start("--file-cache-ttl", "0");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(get("/again"), 200);
        assert_int_equal(reply.body_len, 70000);
        await_unmapped("root/again"); /* by reference it is while it is sent */
    }
}

static void clients_may_leave_a_mapped_file(void **state)
{
    (void)state;
    struct client slow[8];
    files_fill(tree.path, "root/big", BIG);
    site_start();
    site_map("root/big");
    for (int i = 0; i < 8; i++) stall(&slow[i], "/big");
    assert_true(site_mapped("root/big"));
    for (int i = 0; i < 8; i++) client_reset(&slow[i]);
    site_await_open_files(0);
    assert_false(site_mapped("root/big"));
}

static void a_mapping_in_use_outlives_its_entry(void **state)
{
    (void)state;
    struct client slow;
    files_fill(tree.path, "root/big", BIG);
    tree_text(&tree, "root/other", "other");
    site_start("--file-cache", "1");
    site_map("root/big");
    stall(&slow, "/big");
    expect("/other", 200, "other"); /* takes the only place */
    assert_true(site_mapped("root/big"));
    finish(&slow, BIG);
    site_await_open_files(0);
    assert_false(site_mapped("root/big"));
}

/* What has been sent arrives, though the client has sent more than the server reads. */
static void truncate_mapping(const char *path, size_t size, size_t most)
{
    static const char more[1 << 20];
    struct client slow;
    size_t sent = 0;
    files_fill(tree.path, path, BIG);
    site_map(path);
    stall(&slow, path + strlen("root"));
    client_send_some(&slow, more, sizeof more, &sent);
    assert_int_equal(truncate(tree_path(&tree, path), (off_t)size), 0);
    ssize_t n;
    size_t total = 0;
    while ((n = client_more(&slow)) > 0) {
        total += (size_t)n;
        slow.len = 0;
    }
    assert_int_equal(n, 0);
    assert_true(total <= most);
    client_close(&slow);
}

/* Truncated within a page, whose rest would read as zeros: behind what is being sent, or before. */
static void a_truncated_mapping_ends_the_response(void **state)
{
    (void)state;
    enum { CUT = BIG / 2 + 1000 };
    static const char log[] = "was truncated";
    site_start();
    truncate_mapping("root/big", CUT, CUT + 4096 + 1024);
    server_await_log(&server, log);
    stats_await(&server, "total.requests_aborted_server", 1);
    truncate_mapping("root/early", 1000, BIG / 2);
    stats_await(&server, "total.requests_aborted_server", 2);
}

/* Each is sent from the same mapping: what it costs is its connection, and its handler's stack. */
static void slow_readers_of_a_mapped_file_take_little_memory(void **state)
{
    enum { READERS = 100, EACH = 64 * 1024 };
    static struct client slow[READERS];
    (void)state;
    files_fill(tree.path, "root/big", BIG);
    site_start();
    assert_int_equal(get("/big"), 200);
    site_map("root/big"); /* which a slow machine forgets between two whole responses */
    size_t before = server_memory(&server);
    for (int i = 0; i < READERS; i++) stall(&slow[i], "/big");
    assert_true(stats_number(&server, "total.buffered_bytes") <= READERS * 16 * 1024);
    size_t after = server_memory(&server);
    print_message("memory %zu KiB, then %zu KiB\n", before / 1024, after / 1024);
    assert_true(after < before + BIG + (size_t)READERS * EACH);
    for (int i = 0; i < READERS; i++) client_close(&slow[i]);
}

/* However much the socket had accepted: a complete response is right to the last byte. */
static void a_mapped_file_that_loses_its_last_bytes(void **state)
{
    (void)state;
    enum { STEP = 12 * 4096, CUT = 500 };
    unsigned cut = 0;
    site_start("--file-cache-ttl", "100ms"); /* so that no test waits long for a descriptor */
    for (size_t size = 1800000; size < 3600000; size += STEP) {
        struct client slow;
        files_fill(tree.path, "root/end", size);
        site_map("root/end");
        stall(&slow, "/end");
        assert_int_equal(truncate(tree_path(&tree, "root/end"), (off_t)size - CUT), 0);
        int room = 1 << 20;
        setsockopt(slow.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
        client_shut(&slow);
        client_read_all(&slow);
        const char *body = slow.len ? memmem(slow.buf, slow.len, "\r\n\r\n", 4) : NULL;
        size_t n = body ? (size_t)(slow.buf + slow.len - (body + 4)) : 0;
        cut += n < size;
        for (size_t i = 0; n == size && i < size; i++)
            if (body[4 + i] != files_byte(i)) fail_msg("byte %zu of %zu is wrong", i, size);
        client_close(&slow);
        assert_int_equal(unlink(tree_path(&tree, "root/end")), 0);
        site_await_open_files(0);
    }
    assert_true(cut > 0);
}

/* A small file in the cache is served as it was at one time, whatever is written meanwhile. */
static void a_small_file_overwritten_while_served(void **state)
{
    (void)state;
    enum { SIZE = 60000, WRITES = 40 };
    static char bytes[SIZE];
    site_start("--file-cache-ttl", "50ms");
    for (int i = 0; i < WRITES; i++) {
        memset(bytes, 'a' + i % 26, SIZE);
        /* Overwritten in place, and shorter for some writes. */
        size_t size = i % 3 ? SIZE : SIZE / 2;
        int fd =
            open(tree_path(&tree, "root/over"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_int_equal(write(fd, bytes, size), size);
        close(fd);
        for (int k = 0; k < 20; k++) {
            client_ask(&client, "GET", "/over", "");
            if (!client_try_reply(&client, "GET", &reply)) { /* it was read while truncated */
                client_close(&client);
                client_open(&client, &server);
                continue;
            }
            assert_true(reply.body_len == SIZE || reply.body_len == SIZE / 2);
            for (size_t at = 1; at < reply.body_len; at++)
                if (reply.body[at] != reply.body[0])
                    fail_msg("byte %zu of %zu is another's", at, reply.body_len);
        }
    }
}

/* More small files than a core keeps in memory; each response is right. */
static void more_small_files_than_fit_in_memory(void **state)
{
    (void)state;
    enum { FILES = 300, SIZE = 64 * 1024 };
    char name[32];
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "root/kept-%d", i);
        files_fill(tree.path, name, SIZE - (size_t)i);
    }
    site_start();
    size_t before = server_memory(&server);
    for (int i = 0; i < FILES; i++) {
        for (int times = 0; times < 3; times++) {
            snprintf(name, sizeof name, "/kept-%d", i);
            assert_int_equal(get(name), 200);
            assert_int_equal(reply.body_len, SIZE - i);
            for (size_t k = 0; k < reply.body_len; k++)
                if (reply.body[k] != files_byte(k)) fail_msg("byte %zu of %s is wrong", k, name);
        }
    }
    assert_true(server_memory(&server) <
                before + 48 * 1024 * 1024); /* 16 MiB, plus the sanitizers' overhead */
}

static void a_drain_completes_a_mapped_file(void **state)
{
    (void)state;
    struct client slow;
    files_fill(tree.path, "root/big", BIG);
    site_start();
    site_map("root/big");
    stall(&slow, "/big");
    server_signal(&server, SIGTERM);
    client_expect_end(&client);
    finish(&slow, BIG);
    assert_int_equal(server_wait(&server), 0);
}

static void a_drain_timeout_aborts_a_mapped_file(void **state)
{
    (void)state;
    struct client slow;
    files_fill(tree.path, "root/big", BIG);
    site_start("--drain-timeout", "50ms");
    site_map("root/big");
    stall(&slow, "/big");
    server_signal(&server, SIGTERM);
    assert_int_equal(server_wait(&server), 0);
    client_close(&slow);
}

static int site_free(void **state)
{
    (void)state;
    client_close(&client);
    reply_free(&reply);
    server_free(&server);
    return 0;
}

/* ---- the root itself ---- */

static void start_at_link(const char *ttl)
{
    const char *argv[] = {"--root", tree_path(&tree, "current"), "--file-cache-ttl", ttl, NULL};
    server_start_list(&server, argv);
    client_open(&client, &server);
}

/* The server's descriptors of files and directories whose path is below `name` or is it. */
static unsigned open_below(const char *name)
{
    char command[512];
    unsigned n = 0;
    snprintf(command, sizeof command, "ls -l /proc/%d/task/*/fd 2>/dev/null | grep -c ' -> %s'",
             (int)server.pid, tree_path(&tree, name));
    FILE *f = popen(command, "re");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%u", &n), 1);
    pclose(f);
    return n;
}

static void await_released(const char *name)
{
    for (int i = 0; i < SERVER_SECONDS * 20 && open_below(name); i++) sleep_ms(50);
    assert_int_equal(open_below(name), 0);
}

static void switch_link(const char *target)
{
    tree_link(&tree, "next", target);
    assert_int_equal(rename(tree_path(&tree, "next"), tree_path(&tree, "current")), 0);
}

/* As releases are deployed: "current" is a link that is switched to another directory. */
static void a_root_that_is_a_link_is_followed(void **state)
{
    (void)state;
    static const char *const ttls[] = {"1s", "10ms", "0"};
    for (size_t i = 0; i < sizeof ttls / sizeof *ttls; i++) {
        tree_text(&tree, "release-1/a.txt", "first");
        tree_text(&tree, "release-1/old.txt", "old");
        tree_text(&tree, "release-2/a.txt", "second");
        tree_text(&tree, "release-2/new.txt", "new");
        switch_link("release-1");
        start_at_link(ttls[i]);
        expect("/a.txt", 200, "first");
        expect("/old.txt", 200, "old");
        switch_link("release-2");
        await("/new.txt", "", 200, "new");
        await("/a.txt", "", 200, "second");
        await("/old.txt", "", 404, "404 Not Found\n");
        await_released("release-1");
        switch_link("release-1");
        await("/a.txt", "", 200, "first");
        await_released("release-2");
        await_released("release-1"); /* nor is the present one held without requests */
        site_stop(NULL);
    }
}

/* The directory is moved away, and another takes its place, after a time without any. */
static void a_root_that_is_replaced_is_followed(void **state)
{
    (void)state;
    tree_text(&tree, "root/a.txt", "first");
    tree_text(&tree, "other/a.txt", "second");
    site_start();
    expect("/a.txt", 200, "first");
    assert_int_equal(rename(tree_path(&tree, "root"), tree_path(&tree, "away")), 0);
    await("/a.txt", "", 404, "404 Not Found\n");
    server_await_log(&server, "cannot open the directory");
    assert_int_equal(rename(tree_path(&tree, "other"), tree_path(&tree, "root")), 0);
    await("/a.txt", "", 200, "second");
    await_released("away");
}

/* A response under way is of the version it began with. */
static void a_response_outlives_its_root(void **state)
{
    (void)state;
    struct client slow;
    char *old = strdup(tree_path(&tree, "release-3"));
    tree_text(&tree, "release-3/a.txt", "first");
    tree_text(&tree, "release-4/a.txt", "second");
    files_fill(old, "big", BIG);
    switch_link("release-3");
    start_at_link("50ms");
    stall(&slow, "/big");
    switch_link("release-4");
    await("/a.txt", "", 200, "second");
    await("/big", "", 404, "404 Not Found\n");
    finish(&slow, BIG);
    await_released("release-3");
    free(old);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_file_in_use_outlives_its_entry, site_stop),
        cmocka_unit_test_teardown(a_server_that_is_stopped_goes_on, site_stop),
        cmocka_unit_test_teardown(a_client_that_leaves_closes_the_file, site_stop),
        cmocka_unit_test_teardown(a_truncated_file_ends_the_response, site_stop),
        cmocka_unit_test_teardown(a_truncated_file_is_opened_anew, site_stop),
        cmocka_unit_test_teardown(a_growing_file_is_sent_as_announced, site_stop),
        cmocka_unit_test_teardown(large_files_use_bounded_memory, site_stop),
        cmocka_unit_test_teardown(a_drain_completes_a_file, site_free),
        cmocka_unit_test_teardown(a_file_requested_twice_is_mapped, site_stop),
        cmocka_unit_test_teardown(without_a_cache_nothing_is_mapped, site_stop),
        cmocka_unit_test_teardown(clients_may_leave_a_mapped_file, site_stop),
        cmocka_unit_test_teardown(a_mapping_in_use_outlives_its_entry, site_stop),
        cmocka_unit_test_teardown(a_truncated_mapping_ends_the_response, site_stop),
        cmocka_unit_test_teardown(slow_readers_of_a_mapped_file_take_little_memory, site_stop),
        cmocka_unit_test_teardown(a_mapped_file_that_loses_its_last_bytes, site_stop),
        cmocka_unit_test_teardown(a_small_file_overwritten_while_served, site_stop),
        cmocka_unit_test_teardown(more_small_files_than_fit_in_memory, site_stop),
        cmocka_unit_test_teardown(a_drain_completes_a_mapped_file, site_free),
        cmocka_unit_test_teardown(a_drain_timeout_aborts_a_mapped_file, site_free),
        cmocka_unit_test(a_root_that_is_a_link_is_followed),
        cmocka_unit_test_teardown(a_response_outlives_its_root, site_stop),
        cmocka_unit_test_teardown(a_root_that_is_replaced_is_followed, site_stop),
    };
    return cmocka_run_group_tests(tests, site_make, site_remove);
}
