/* Servers to which a system call is refused after they have started, in all their threads. */

#include "torc.h"

#include "client.h"
#include "files.h"
#include "refuse.h"
#include "server.h"
#include "stats.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool has_ring(void)
{
    return strcmp(server_engine, "io_uring") == 0;
}

/* ---- the server ---- */

static const struct {
    const char *name;
    int call;
} calls[] = {
    {"write", SYS_write},           {"writev", SYS_writev},     {"pwritev2", SYS_pwritev2},
    {"fcntl", SYS_fcntl},           {"ioctl", SYS_ioctl},       {"fstat", SYS_fstat},
    {"newfstatat", SYS_newfstatat}, {"recvfrom", SYS_recvfrom},
};

/* "write,writev" */
static void refuse_these(torc_req *rq, void *arg)
{
    torc_slice names = torc_param(rq, "calls");
    char list[128];
    (void)arg;
    snprintf(list, sizeof list, ",%.*s,", (int)names.len, names.ptr);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        char name[32];
        snprintf(name, sizeof name, ",%s,", calls[i].name);
        if (strstr(list, name))
            refuse_everywhere(&(struct refusal){.call = calls[i].call, .err = EPERM});
    }
    torc_replyf(rq, 200, "refused");
}

static int doze(torc_job *j, void *arg)
{
    (void)j, (void)arg;
    usleep(50000); /* its core is in its wait by then */
    return 0;
}

static void work(torc_req *rq, void *arg)
{
    (void)arg;
    int err = torc_work(rq, doze, NULL, NULL);
    torc_replyf(rq, err < 0 ? 500 : 200, "%d", err);
}

static void file(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply_file(rq, getenv("DIRECTORY"), torc_param(rq, "path"));
}

static int serve(int argc, char **argv)
{
    static torc_server *s;
    s = torc_server_new("test");
    if (!s || torc_route(s, "GET", "/refuse/:calls", refuse_these, NULL) < 0 ||
        torc_route(s, "GET", "/files/*path", file, NULL) < 0 ||
        torc_route(s, "GET", "/work", work, NULL) < 0)
        return 125;
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}

/* ---- the tests ---- */

#define start(s, ...) server_start_program(s, "/proc/self/exe", __VA_ARGS__)

static void a_job_ends_where_writing_is_refused(void **state)
{
    static const char *const paths[] = {"/refuse/write", "/refuse/write,writev"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct server s;
        start(&s, "--cores", "1");
        client_expect(&s.addr, paths[i], 200, NULL);
        for (int k = 0; k < 3; k++) client_expect(&s.addr, "/work", 200, "0");
        server_stop(&s);
    }
}

/* The cores look for the job's end, and for that of the server. */
static void cores_that_cannot_be_woken_look_for_work(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    start(&s, "--cores", "2");
    client_open(&c, &s);
    client_get(&c, "/refuse/write,writev,pwritev2", 200, &r);
    client_get(&c, "/work", 200, &r);
    assert_string_equal(r.body, "0");
    client_close(&c);
    reply_free(&r);
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

/* It serves a file that it does not keep open. Returns the directory of that. */
static char *start_with_file(struct server *s)
{
    char *dir = files_open();
    files_write(dir, "file", "1", 1);
    setenv("DIRECTORY", dir, 1);
    start(s, "--cores", "1", "--file-cache-ttl", "0");
    return dir;
}

static void files_are_served_without_fcntl(void **state)
{
    struct server s;
    (void)state;
    char *dir = start_with_file(&s);
    client_expect(&s.addr, "/files/file", 200, "1");
    client_expect(&s.addr, "/refuse/fcntl", 200, NULL);
    for (int i = 0; i < 3; i++) client_expect(&s.addr, "/files/file", 200, "1");
    assert_null(strstr(server_log(&s), "refuses"));
    client_expect(&s.addr, "/refuse/ioctl", 200, NULL);
    for (int i = 0; i < 3; i++) client_expect(&s.addr, "/files/file", 200, "1");
    const char *told = strstr(server_log(&s), "the system refuses fcntl(2) and ioctl(2)");
    assert_non_null(told);
    assert_null(strstr(told + 1, "the system refuses"));
    server_stop(&s);
    files_close(dir);
}

/* This one is essential. */
static void a_file_that_is_refused_is_told_of(void **state)
{
    struct server s;
    (void)state;
    char *dir = start_with_file(&s);
    client_expect(&s.addr, "/refuse/fstat,newfstatat", 200, NULL);
    client_expect(&s.addr, "/files/file", 403, NULL);
    server_await_log(&s, "Operation not permitted; 403");
    server_stop(&s);
    files_close(dir);
}

/* What the system refuses is not counted as the client's doing. */
static void receiving_that_is_refused_is_told_of(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    if (has_ring()) return; /* it receives without the system call */
    start(&s, "--cores", "1");
    client_open(&c, &s);
    client_get(&c, "/refuse/recvfrom", 200, &r);
    client_ask(&c, "GET", "/work", "");
    server_await_log(&s, "cannot receive from a client: Operation not permitted");
    client_close(&c);
    reply_free(&r);
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] == '-') return serve(argc, argv);
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_ends_where_writing_is_refused),
        cmocka_unit_test(cores_that_cannot_be_woken_look_for_work),
        cmocka_unit_test(files_are_served_without_fcntl),
        cmocka_unit_test(a_file_that_is_refused_is_told_of),
        cmocka_unit_test(receiving_that_is_refused_is_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
