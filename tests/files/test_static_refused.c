/* Files by reference where the kernel refuses to send them: what the client gets, what the operator
 * is told of it, and who is to blame in the figures. */

#include "site.h"

#include "files.h"
#include "refuse.h"
#include "stats.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

enum { SIZE = 300 * 1000 };

static int make(void **state)
{
    site_make(state);
    files_fill(tree.path, "root/file", SIZE);
    tree_text(&tree, "root/other", "other");
    return 0;
}

static void start(int err)
{
    struct refusal refusal = {.call = SYS_sendfile, .err = err};
    const char *argv[] = {"--root", tree_path(&tree, "root"), "--sendfile-from", "100000", NULL};
    server_start_prepared(&server, refuse_call, &refusal, argv);
    client_open(&client, &server);
}

static void expect_failure(int err, const char *told, bool of_client)
{
    start(err);
    client_ask(&client, "GET", "/file", "");
    assert_false(client_try_reply(&client, "GET", &reply));
    client_close(&client);
    client_open(&client, &server);
    expect("/other", 200, "other");
    if (told) server_await_log(&server, told);
    stats_await(&server, "total.requests_aborted_server", of_client ? 0 : 1);
    stats_await(&server, "total.requests_aborted_client", of_client ? 1 : 0);
    stats_await(&server, "total.connections_reset", of_client ? 1 : 0);
    const char *log = server_log(&server);
    assert_null(strstr(log, "truncated"));
    const char *first = strstr(log, "connection closed"); /* and it is told once */
    assert_true((told != NULL) == (first != NULL));
    assert_true(!first || !strstr(first + 1, "connection closed"));
    site_stop(NULL);
}

static void a_disk_that_fails(void **state)
{
    (void)state;
    expect_failure(EIO, "cannot read a file: Input/output error; connection closed", false);
    expect_failure(ESTALE, "cannot read a file: ", false);
}

static void a_socket_without_memory(void **state)
{
    (void)state;
    expect_failure(ENOBUFS, "cannot send to a client: No buffer space available; connection closed",
                   false);
}

static void a_client_that_has_gone(void **state)
{
    (void)state;
    expect_failure(ECONNRESET, NULL, true);
    expect_failure(EPIPE, NULL, true);
    expect_failure(ECONNREFUSED, NULL, true); /* a firewall that rejects what follows, icmp(7) */
    expect_failure(EHOSTDOWN, NULL, true);
}

/* Another way is found. */
static void a_call_that_is_forbidden(void **state)
{
    static const int errs[] = {ENOSYS, EPERM, EACCES, EINVAL, EOPNOTSUPP};
    (void)state;
    for (size_t i = 0; i < sizeof errs / sizeof *errs; i++) {
        start(errs[i]);
        assert_int_equal(get("/file"), 200);
        assert_int_equal(reply.body_len, SIZE);
        for (size_t at = 0; at < SIZE; at++)
            if (reply.body[at] != files_byte(at)) fail_msg("byte %zu is wrong", at);
        assert_null(strstr(server_log(&server), "closed"));
        site_stop(NULL);
    }
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_that_fails),
        cmocka_unit_test(a_socket_without_memory),
        cmocka_unit_test(a_client_that_has_gone),
        cmocka_unit_test(a_call_that_is_forbidden),
    };
    return cmocka_run_group_tests(tests, make, site_remove);
}
