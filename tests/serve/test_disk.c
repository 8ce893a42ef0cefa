/* A disk that does not answer: a server ends without its access log, or a reload, that waits for
 * it. In this process, as one with a thread that a disk holds cannot be waited for. */

#include "../files/slow_disk.h"
#include "client.h"
#include "files.h"

#include <torc.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *engine;
static char *dir;
static bool has_disk;

static void on_hello(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, NULL, TORC_S("hello"));
}

static torc_server *new_server(void)
{
    const char *const options[][2] = {
        {"engine", engine}, {"listen", "127.0.0.1:0"},         {"cores", "1"},
        {"threads", "2"},   {"access-log-format", "combined"}, {"drain-timeout", "1m"}};
    torc_server *s = torc_server_new("disk 1.0");
    assert_non_null(s);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        assert_int_equal(torc_server_set(s, options[i][0], options[i][1]), 0);
    assert_int_equal(torc_route(s, "GET", "/hello", on_hello, NULL), 0);
    return s;
}

static torc_server *start(void)
{
    char *path = files_path(dir, "0");
    torc_server *s = new_server();
    assert_int_equal(torc_server_set(s, "access-log", path), 0);
    assert_int_equal(torc_server_start(s), 0);
    free(path);
    return s;
}

static void get_often(const torc_server *s, unsigned times, const char *fields)
{
    struct server_addr addr;
    struct client c;
    struct reply r = {0};
    server_addr_parse(torc_server_address(s, 0), &addr);
    client_open_to(&c, &addr, NULL);
    for (; times > 0; times--) {
        client_ask(&c, "GET", "/hello", fields);
        client_reply(&c, "GET", &r);
        assert_int_equal(r.status, 200);
    }
    client_close(&c);
    reply_free(&r);
}

static void get(const torc_server *s)
{
    get_often(s, 1, "");
}

static void await_request(void)
{
    for (int i = 0; i < SERVER_SECONDS * 100 && slow_disk_waiting() == 0; i++) sleep_ms(10);
    assert_true(slow_disk_waiting() > 0);
}

struct joiner {
    torc_server *server;
    int status;
    _Atomic bool joined;
};

static void *join(void *arg)
{
    struct joiner *j = arg;
    j->status = torc_server_join(j->server);
    j->joined = true;
    return NULL;
}

static void answer_some(void)
{
    slow_disk_set(DISK_SERVES);
    slow_disk_set(DISK_WAITS);
}

/* The exit status; -1 if it does not end before the disk answers. `step` is called now and then. */
static int end_by(torc_server *s, void (*step)(void))
{
    struct joiner j = {.server = s};
    pthread_t thread;
    torc_server_stop(s);
    assert_int_equal(pthread_create(&thread, NULL, join, &j), 0);
    for (int i = 0; i < SERVER_SECONDS * 100 && !j.joined; i++) {
        if (step) step();
        sleep_ms(10);
    }
    bool joined = j.joined;
    if (!joined) slow_disk_set(DISK_SERVES);
    pthread_join(thread, NULL);
    return joined ? j.status : -1;
}

static int end(torc_server *s)
{
    return end_by(s, NULL);
}

static int stop(void **state)
{
    (void)state;
    slow_disk_set(DISK_SERVES);
    return 0;
}

/* What it says on stderr goes to a file meanwhile. */
static int end_aloud(torc_server *s, char *said, size_t size)
{
    FILE *log = tmpfile();
    assert_non_null(log);
    int was = dup(STDERR_FILENO);
    dup2(fileno(log), STDERR_FILENO);
    int status = end(s);
    dup2(was, STDERR_FILENO);
    close(was);
    rewind(log);
    said[fread(said, 1, size - 1, log)] = '\0';
    fclose(log);
    return status;
}

/* ---- the access log ---- */

/* The thread that waits for the disk ends by itself once that answers, after the server was freed.
 */
static void a_disk_that_hangs_does_not_keep_the_server(void **state)
{
    char said[1024];
    (void)state;
    if (!has_disk) skip();
    unsigned before = files_descriptors();
    torc_server *s = start();
    slow_disk_set(DISK_WAITS);
    get(s);
    await_request();
    assert_int_equal(end_aloud(s, said, sizeof said), 4);
    assert_non_null(
        strstr(said, "/0: the disk does not answer; stopping without it, lines lost: 1"));
    torc_server_free(s);
    assert_true(files_descriptors() > before);
    slow_disk_set(DISK_SERVES);
    for (int i = 0; i < SERVER_SECONDS * 100 && files_descriptors() > before; i++) sleep_ms(10);
    assert_int_equal(files_descriptors(), before);
}

static void a_disk_that_answers_again_is_waited_for(void **state)
{
    (void)state;
    if (!has_disk) skip();
    torc_server *s = start();
    slow_disk_set(DISK_WAITS);
    get(s);
    await_request();
    slow_disk_set(DISK_SERVES);
    assert_int_equal(end(s), 0);
    torc_server_free(s);
}

/* It takes some of the lines in each second, and all of them in more than those after which one
 * that takes nothing is given up. */
static void a_slow_disk_gets_all_lines(void **state)
{
    enum { REQUESTS = 800, FIELD = 3000 };
    static char field[FIELD];
    (void)state;
    if (!has_disk) skip();
    memset(field, 'a', FIELD - 1);
    memcpy(field, "User-Agent: ", 12);
    memcpy(field + FIELD - 3, "\r\n", 3);
    torc_server *s = start();
    slow_disk_set(DISK_WAITS);
    get_often(s, REQUESTS, field);
    await_request();
    assert_int_equal(end_by(s, answer_some), 0);
    torc_server_free(s);
}

/* ---- a reload ---- */

static char *config_dir, *config;

static void configure(const char *format, const char *path)
{
    char text[256];
    int n = snprintf(text, sizeof text, format, path);
    files_write(config_dir, "config", text, (size_t)n);
}

/* A new --root is one of the disk's names, which it keeps to itself. `log`: where the name of its
 * access log goes, if it is to have one. */
static torc_server *start_to_reload(char **log)
{
    char *path = files_path(dir, "95");
    config_dir = files_open();
    config = files_path(config_dir, "config");
    char *argv[] = {"disk", "--config", config, NULL};
    configure("idle-timeout = 7s\n", "");
    torc_server *s = new_server();
    if (log) {
        *log = files_path(config_dir, "log");
        assert_int_equal(torc_server_set(s, "access-log", *log), 0);
    }
    assert_int_equal(torc_server_parse(s, 3, argv), 0);
    assert_int_equal(torc_server_start(s), 0);
    configure("root = %s\n", path);
    slow_disk_set(DISK_HIDES);
    torc_server_reload(s);
    await_request();
    get(s);
    free(path);
    return s;
}

static void remove_config(void)
{
    free(config);
    files_close(config_dir);
}

static unsigned threads(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/task");
    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

/* The file of the log has another name by then, as after a rotation. */
static void a_reload_that_waits_reopens_the_log(void **state)
{
    (void)state;
    if (!has_disk) skip();
    char *log = NULL;
    torc_server *s = start_to_reload(&log);
    assert_int_equal(unlink(log), 0);
    torc_server_reload(s);
    for (int i = 0; i < SERVER_SECONDS * 100 && access(log, F_OK) < 0; i++) sleep_ms(10);
    assert_int_equal(access(log, F_OK), 0);
    slow_disk_set(DISK_SERVES);
    assert_int_equal(end(s), 0);
    torc_server_free(s);
    unlink(log);
    free(log);
    remove_config();
}

/* Once its thread is done, the server can be freed. */
static void a_reload_that_waits_does_not_keep_the_server(void **state)
{
    char said[1024];
    (void)state;
    if (!has_disk) skip();
    unsigned before = threads();
    torc_server *s = start_to_reload(NULL);
    assert_int_equal(end_aloud(s, said, sizeof said), 4);
    assert_non_null(strstr(said, "a reload still waits, as for a disk; stopping without it"));
    slow_disk_set(DISK_SERVES);
    for (int i = 0; i < SERVER_SECONDS * 100 && threads() > before; i++) sleep_ms(10);
    assert_int_equal(threads(), before);
    torc_server_free(s);
    remove_config();
}

/* It waits in the file that it had before a reload. */
static void the_log_that_waits_is_named(void **state)
{
    char said[1024];
    (void)state;
    if (!has_disk) skip();
    unsigned before = files_descriptors();
    char *first = files_path(dir, "0");
    config_dir = files_open();
    config = files_path(config_dir, "config");
    char *argv[] = {"disk", "--config", config, NULL}, *next = files_path(config_dir, "log");
    configure("access-log = %s\n", first);
    torc_server *s = new_server();
    assert_int_equal(torc_server_parse(s, 3, argv), 0);
    assert_int_equal(torc_server_start(s), 0);
    slow_disk_set(DISK_WAITS);
    get(s);
    await_request();
    configure("access-log = %s\n", next);
    torc_server_reload(s);
    for (int i = 0; i < SERVER_SECONDS * 100 && access(next, F_OK) < 0; i++) sleep_ms(10);
    assert_int_equal(end_aloud(s, said, sizeof said), 4);
    assert_non_null(strstr(said, "/0: the disk does not answer"));
    torc_server_free(s);
    slow_disk_set(DISK_SERVES);
    for (int i = 0; i < SERVER_SECONDS * 100 && files_descriptors() > before; i++) sleep_ms(10);
    assert_int_equal(files_descriptors(), before);
    unlink(next);
    free(next);
    free(first);
    remove_config();
}

static void a_reload_that_waited_ends_with_the_server(void **state)
{
    (void)state;
    if (!has_disk) skip();
    torc_server *s = start_to_reload(NULL);
    slow_disk_set(DISK_SERVES);
    assert_int_equal(end(s), 0);
    torc_server_free(s);
    remove_config();
}

static int make(void **state)
{
    (void)state;
    dir = files_open();
    has_disk = slow_disk_open(dir);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    slow_disk_close();
    files_close(dir);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    engine = argv[1];
    if (argc > 2) cmocka_set_test_filter(argv[2]);
    torc_server *s = new_server();
    int err = torc_server_start(s);
    if (err < 0) fprintf(stderr, "skipped: %s\n", torc_server_error(s));
    torc_server_free(s);
    if (err == -ENOSYS || err == -EPERM) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_disk_that_hangs_does_not_keep_the_server, stop),
        cmocka_unit_test_teardown(a_disk_that_answers_again_is_waited_for, stop),
        cmocka_unit_test_teardown(a_slow_disk_gets_all_lines, stop),
        cmocka_unit_test_teardown(a_reload_that_waits_does_not_keep_the_server, stop),
        cmocka_unit_test_teardown(a_reload_that_waits_reopens_the_log, stop),
        cmocka_unit_test_teardown(the_log_that_waits_is_named, stop),
        cmocka_unit_test_teardown(a_reload_that_waited_ends_with_the_server, stop),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
