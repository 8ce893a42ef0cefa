/* Files that are slow to be sent, and what happens to them meanwhile. */

#include "static_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

enum {
    BIG = 24 * 1024 * 1024
}; /* more than sockets hold between a stalled client and the server */

/* A client that has asked and reads slowly: the file is open as long as its answer is not whole. */
static void stall(struct client *c, const char *path)
{
    static const struct client_how how = {.receive_buffer = 4096};
    char head[64];
    client_open_to(c, &server.addr, &how);
    client_ask(c, "GET", path, "");
    client_read(c, head, sizeof head);
    assert_int_equal(strncmp(head, "HTTP/1.1 200", 12), 0);
}

/* Reads what is left of a stalled answer of n bytes filled by files_fill. */
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
    rig_start("--file-cache", "1", "--file-cache-ttl", "20ms");
    stall(&slow, "/big");
    expect("/other", 200, "other"); /* takes the only place */
    assert_int_equal(unlink(tree_path(&tree, "root/big")), 0);
    tree_text(&tree, "root/big", "small");
    await("/big", "", 200, "small");
    rig_await_open_files(1); /* the old one */
    finish(&slow, BIG);
    rig_await_open_files(0);
}

static void a_client_that_leaves_closes_the_file(void **state)
{
    (void)state;
    struct client slow[8];
    files_fill(tree.path, "root/big", BIG);
    rig_start("--file-cache-ttl", "0");
    for (int i = 0; i < 8; i++) stall(&slow[i], "/big");
    rig_await_open_files(8);
    for (int i = 0; i < 8; i++) client_reset(&slow[i]);
    rig_await_open_files(0);
}

static void a_file_that_shrinks(void **state)
{
    (void)state;
    struct client slow;
    files_fill(tree.path, "root/big", BIG);
    rig_start();
    stall(&slow, "/big");
    assert_int_equal(truncate(tree_path(&tree, "root/big"), BIG / 2), 0);
    ssize_t n;
    size_t total = 0;
    while ((n = client_more(&slow)) > 0) {
        total += (size_t)n;
        slow.len = 0;
    }
    assert_true(n == 0 || n == -ECONNRESET);
    assert_true(total <= BIG / 2 + 1024); /* never made up for */
    client_close(&slow);
    server_await_log(&server, "became shorter");
    rig_await_open_files(0);

    /* And one of which nothing is left by the time it is read, but for what is kept of it. */
    tree_text(&tree, "root/gone", "content");
    expect("/gone", 200, "content");
    assert_int_equal(truncate(tree_path(&tree, "root/gone"), 0), 0);
    client_ask(&client, "GET", "/gone", "");
    if (client_try_reply(&client, "GET", &reply)) { /* a second has passed */
        assert_int_equal(reply.body_len, 0);
    } else {
        assert_null(reply.head);
    }
}

static void a_file_that_grows(void **state)
{
    (void)state;
    struct client slow;
    files_fill(tree.path, "root/big", BIG);
    rig_start();
    stall(&slow, "/big");
    int fd = open(tree_path(&tree, "root/big"), O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "more", 4), 4);
    close(fd);
    finish(&slow, BIG); /* as long as announced */
}

static void large_files_in_bounded_memory(void **state)
{
    (void)state;
    enum { CLIENTS = 4, ROOM = 48 * 1024 * 1024 };
    const size_t size = 3ull * 1024 * 1024 * 1024;
    struct client slow[CLIENTS];
    tree_hole(&tree, "root/huge", size);
    tree_text(&tree, "root/small", "small");
    rig_start();
    expect("/small", 200, "small");
    size_t before = server_memory(&server);
    for (int i = 0; i < CLIENTS; i++) stall(&slow[i], "/huge");
    for (int i = 0; i < 64; i++) {
        for (int k = 0; k < CLIENTS; k++) {
            assert_true(client_more(&slow[k]) > 0);
            slow[k].len = 0;
        }
    }
    expect("/small", 200, "small"); /* they hold nobody up */
    size_t after = server_memory(&server);
    print_message("memory %zu KiB, then %zu KiB\n", before / 1024, after / 1024);
    assert_true(after < before + ROOM);
    for (int i = 0; i < CLIENTS; i++) client_close(&slow[i]);

    /* Past what 32 bits can say. */
    assert_int_equal(ask("GET", "/huge", "Range: bytes=3221225470-\r\n"), 206);
    expect_field("Content-Range", "bytes 3221225470-3221225471/3221225472");
    assert_int_equal(ask("HEAD", "/huge", ""), 200);
    expect_field("Content-Length", "3221225472");
}

static void a_drain_sends_the_file(void **state)
{
    (void)state;
    struct client slow;
    files_fill(tree.path, "root/big", BIG);
    rig_start();
    stall(&slow, "/big");
    server_signal(&server, SIGTERM);
    client_expect_end(&client);
    finish(&slow, BIG);
    assert_int_equal(server_wait(&server), 0);
}

static int rig_free(void **state)
{
    (void)state;
    client_close(&client);
    reply_free(&reply);
    server_free(&server);
    return 0;
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_file_in_use_outlives_its_entry, rig_stop),
        cmocka_unit_test_teardown(a_client_that_leaves_closes_the_file, rig_stop),
        cmocka_unit_test_teardown(a_file_that_shrinks, rig_stop),
        cmocka_unit_test_teardown(a_file_that_grows, rig_stop),
        cmocka_unit_test_teardown(large_files_in_bounded_memory, rig_stop),
        cmocka_unit_test_teardown(a_drain_sends_the_file, rig_free),
    };
    return cmocka_run_group_tests(tests, rig_make, rig_remove);
}
