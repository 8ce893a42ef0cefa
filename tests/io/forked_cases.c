/* A process that the engine's thread has forked, which has the ring's mapping, the epoll instance
 * and the sockets in common with it: it changes nothing of them. */

#include "cases.h"
#include "engine_rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 10 };

static bool has_ring(void)
{
    char line[512];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps)) found |= strstr(line, "io_uring") != NULL;
    if (maps) fclose(maps);
    return found;
}

/* Exits with 0 if none of these operations completed and the ring is not mapped. */
static void disturb(struct rig *r, struct endpoint *reading, struct endpoint *quiet, int begin)
{
    static char bytes[N];
    char byte;
    alarm(60);
    if (read(begin, &byte, 1) != 1) _exit(1);
    io_forked(&r->io);
    endpoint_send(quiet, &(struct iovec){bytes, N}, 1);
    io_cancel(&r->io, &reading->sock.recv);
    quiet->call.sock.sock = &quiet->sock;
    io_call_start(&r->io, &quiet->call, IO_CLOSE_SOCK);
    reading->call.sock.sock = &reading->sock;
    io_call_start(&r->io, &reading->call, IO_SHUTDOWN);
    if (io_sock_init(&r->io, &reading->sock, reading->peer, false, NULL) != -ECHILD) _exit(2);
    if (r->io.done.head || !io_busy(&quiet->send.op)) _exit(3);
    _exit(has_ring() ? 4 : 0);
}

static void expect_no_more(int fd)
{
    char byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

/* The child uses the engine after the parent has begun something, and before that is submitted. */
static void a_child_changes_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint reading, quiet;
    int begin[2], status;
    assert_int_equal(has_ring(), io_engine_has_ring(rig_engine)); /* here, and not in the child */
    assert_int_equal(pipe(begin), 0);
    endpoint_open(r, &reading);
    endpoint_open(r, &quiet);
    endpoint_recv(&reading);
    rig_poll(r);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) disturb(r, &reading, &quiet, begin[0]);
    endpoint_recv(&quiet);
    assert_int_equal(write(begin[1], "", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    peer_send(reading.peer, 0, N);
    peer_send(quiet.peer, 0, N);
    TURN_UNTIL(r, reading.received == N && quiet.received == N);
    expect_no_more(reading.peer);
    expect_no_more(quiet.peer);
    assert_int_equal(reading.recv_result.count + quiet.recv_result.count, 0);
    endpoint_close(&reading);
    endpoint_close(&quiet);
    close(begin[0]);
    close(begin[1]);
    rig_close(r);
}

int forked_cases(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_changes_nothing),
    };
    return cmocka_run_group_tests_name("forked", tests, NULL, NULL);
}
