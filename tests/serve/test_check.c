/* --check, as text and as JSON. */

#include "json.h"
#include "refuse.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void test_text(void **state)
{
    struct server s;
    struct server_how how = {.engine = server_engine};
    (void)state;
    /* Depth and buffers are rounded up, as in a server that runs. */
    assert_int_equal(
        server_run(&s, &how,
                   (const char *const[]){"--check", "--depth", "9", "--cq-depth", "100",
                                         "--buffers", "33", "--cores", "1", NULL}),
        0);
    assert_true(text_matches(server_log(&s), "^engine +"));
    assert_non_null(strstr(server_log(&s), server_engine));
    assert_true(text_matches(server_log(&s), "^buffers +64 of 4096 bytes"));
    assert_true(text_matches(server_log(&s), "^listen +127\\.0\\.0\\.1:8080$"));
    assert_true(text_matches(server_log(&s), "^root +none$"));
    if (strcmp(server_engine, "io_uring") == 0)
        assert_true(
            text_matches(server_log(&s), "^ring +submission queue 16, completion queue 128$"));
    else
        assert_null(strstr(server_log(&s), "ring  "));
    assert_null(strstr(server_log(&s), "ready"));
    server_free(&s);
    assert_int_equal(server_run(&s, &how, (const char *const[]){"--check", "--depth", "0", NULL}),
                     2);
    server_free(&s);
}

/* ---- as JSON ---- */

static void stdout_alone(void *refused)
{
    int null = open("/dev/null", O_WRONLY);
    if (null < 0 || dup2(null, STDERR_FILENO) < 0) _exit(126);
    if (refused) refuse_io_uring(refused);
}

static void few_descriptors(void *arg)
{
    rlim_t most = (rlim_t) * (const int *)arg;
    struct rlimit limit = {most, most};
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) _exit(125);
    stdout_alone(NULL);
}

/* The result of --check --json: one object on a single line. */
static json_t *check_prepared(const char *engine, void (*prepare)(void *arg), void *arg,
                              const char *const *more)
{
    struct server s;
    struct server_how how = {engine, prepare, arg};
    const char *options[SERVER_ARGS] = {"--check", "--json"};
    for (size_t n = 2; *more; n++) options[n] = *more++;
    assert_int_equal(server_run(&s, &how, options), 0);
    const char *text = server_log(&s);
    json_t *json = json_read(text);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    server_free(&s);
    return json;
}

#define CHECK(engine, refused, ...)                                                                \
    check_prepared(engine, stdout_alone, refused,                                                  \
                   (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void test_json(void **state)
{
    (void)state;
    json_t *json = CHECK(server_engine, NULL, "--buffers", "33", "--buffer-size", "512", "--cores",
                         "1", "--max-connections", "70");
    json_text(json, "version");
    assert_string_equal(json_text(json, "engine"), server_engine);
    assert_true(json_is(json_at(json_at(json, "engines"), server_engine), "available", "true"));
    assert_true(json_is(json_at(json_at(json, "engines"), server_engine), "reason", "\"\""));
    assert_true(json_is(json, "buffers", "64"));
    assert_true(json_is(json, "buffer_size", "512"));
    assert_int_equal(json_array_size(json_at(json, "cores")), 1);
    assert_true(json_is_integer(json_at(json, "cores.0")));
    assert_true(json_is(json, "pinned", "true"));
    const char *allocator = json_text(json, "allocator");
    assert_true(strcmp(allocator, "jemalloc") == 0 || strcmp(allocator, "C library") == 0);
    assert_true(json_is(json, "max_connections", "70"));
    assert_true(json_is(json, "listen", "[\"127.0.0.1:8080\"]"));
    assert_true(json_is(json, "admin", "null"));
    assert_true(json_is(json, "root", "null"));
    assert_true(json_is(json, "access_log", "null"));
    json_decref(json);

    json = CHECK(server_engine, NULL, "--listen", "127.0.0.1:1", "--listen", "[::1]:2", "--admin",
                 "127.0.0.1:3", "--root", "/", "--access-log", "a\"b", "--no-pin");
    assert_true(json_is(json, "listen", "[\"127.0.0.1:1\",\"[::1]:2\"]"));
    assert_string_equal(json_text(json, "admin"), "127.0.0.1:3");
    assert_string_equal(json_text(json, "root"), "/");
    assert_string_equal(json_text(json, "access_log"), "a\"b");
    assert_true(json_is(json, "pinned", "false"));
    json_decref(json);
}

static void test_json_has_ring_sizes_and_features(void **state)
{
    (void)state;
    if (strcmp(server_engine, "io_uring") != 0) return;
    json_t *json = CHECK("io_uring", NULL, "--depth", "9", "--cq-depth", "100", "--no-direct");
    assert_true(json_is(json, "engines.io_uring.depth", "16"));
    assert_true(json_is(json, "engines.io_uring.cq_depth", "128"));
    assert_true(json_is(json, "engines.io_uring.features.direct", "false"));
    assert_true(json_is(json, "engines.io_uring.features.iowq-cap", "true"));
    json_decref(json);
}

static void test_json_has_the_engines_not_chosen(void **state)
{
    (void)state;
    if (strcmp(server_engine, "epoll") != 0) return;
    json_t *json = CHECK("epoll", NULL), *ring = json_at(json, "engines.io_uring");
    assert_string_equal(json_text(json, "engine"), "epoll");
    assert_true(json_is(json, "engines.epoll", "{\"available\":true,\"reason\":\"\"}"));
    if (json_is(ring, "available", "true")) {
        assert_true(json_number(ring, "depth") == 512);
        assert_true(json_is_boolean(json_at(ring, "features.single-issuer")));
        assert_true(json_is(ring, "features.iowq-cap", "true"));
    }
    json_decref(json);
}

static bool has_epoll(void)
{
    struct server s;
    struct server_how how = {.engine = "epoll"};
    int status = server_run(&s, &how, (const char *const[]){"--check", NULL});
    server_free(&s);
    return status == 0;
}

static void test_json_has_the_reason_of_a_refusal(void **state)
{
    static int errors[] = {EPERM, ENOSYS};
    (void)state;
    if (strcmp(server_engine, "io_uring") != 0 || !has_epoll()) return;
    for (size_t i = 0; i < 2; i++) {
        json_t *json = CHECK(NULL, &errors[i]), *ring = json_at(json, "engines.io_uring"), *on;
        const char *name;
        assert_string_equal(json_text(json, "engine"), "epoll");
        assert_true(json_is(ring, "available", "false"));
        assert_non_null(strstr(json_text(ring, "reason"), "io_uring_setup"));
        assert_true(json_object_size(json_at(ring, "features")) > 5);
        json_object_foreach(json_at(ring, "features"), name, on) assert_true(json_is_false(on));
        json_decref(json);
    }
}

/* A server with either engine would start, on io_uring with fewer connections: whichever is chosen,
 * both are called available if they are. */
static void test_json_with_few_descriptors(void **state)
{
    static int limits[] = {40, 64, 200};
    const char *const options[] = {"--max-connections", "1000", "--cores", "1", NULL};
    (void)state;
    json_t *json = CHECK(server_engine, NULL);
    bool has_ring = json_is(json_at(json, "engines.io_uring"), "available", "true");
    json_decref(json);
    for (size_t i = 0; has_ring && i < sizeof limits / sizeof *limits; i++) {
        json = check_prepared(server_engine, few_descriptors, &limits[i], options);
        assert_true(json_is(json, "engines.io_uring.available", "true"));
        json_decref(json);
    }
}

/* ---- options that change nothing ---- */

/* Whether --check with these options says that the option has no effect. Nothing else may. */
static bool has_no_effect(const char *option, const char *why, const char *const *options)
{
    struct server s;
    char line[128];
    struct server_how how = {.engine = server_engine};
    snprintf(line, sizeof line, "torc: %s has no effect %s\n", option, why);
    assert_int_equal(server_run(&s, &how, options), 0);
    bool says = strstr(server_log(&s), line), any = strstr(server_log(&s), " has no effect ");
    server_free(&s);
    assert_true(says == any);
    return says;
}

static void test_options_without_effect(void **state)
{
    static const struct {
        const char *option, *value, *why, *off, *on;
    } cases[] = {
        {"--rate-burst", "9", "without --rate-limit", "--rate-limit=0", "--rate-limit=5/m"},
        {"--read-grace", "9s", "with --min-read-rate 0", "--min-read-rate=0", "--min-read-rate=1"},
        {"--body-grace", "9s", "with --min-body-rate 0", "--min-body-rate=0", "--min-body-rate=1"},
        {"--queue-timeout", "9s", "with --queue 0", "--queue=0", "--queue=1"},
        {"--tcp-keepalive-interval", "9s", "with --tcp-keepalive 0", "--tcp-keepalive=0",
         "--tcp-keepalive=1s"},
        {"--tcp-keepalive-probes", "9", "with --tcp-keepalive 0", "--tcp-keepalive=0",
         "--tcp-keepalive=1s"},
        {"--timeline", "9", "without --admin", NULL, "--admin=127.0.0.1:0"},
        {"--proxy-field", "forwarded", "without --trust-proxy", NULL, "--trust-proxy=::1"},
        {"--socket-mode", "660", "without --listen unix:PATH", NULL, "--listen=unix:/tmp/a"},
        {"--access-log-format", "json", "without --access-log", NULL, "--access-log=-"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *option = cases[i].option, *why = cases[i].why;
        const char *options[] = {"--check", option, cases[i].value, cases[i].off, NULL};
        assert_true(has_no_effect(option, why, options));
        options[3] = cases[i].on;
        assert_false(has_no_effect(option, why, options));
    }
}

static void test_threads_of_another_engine(void **state)
{
    const char *const options[] = {"--check", "--threads", "9", NULL};
    (void)state;
    assert_true(has_no_effect("--threads", "without --engine threads", options) ==
                (strcmp(server_engine, "threads") != 0));
}

/* A default that is given, as in a config file made of /settings, is no mistake. */
static void test_given_defaults(void **state)
{
    const char *const options[] = {"--check",       "--queue=0",      "--queue-timeout=1000ms",
                                   "--threads=200", "--rate-burst=0", NULL};
    (void)state;
    assert_false(has_no_effect("--queue-timeout", "with --queue 0", options));
}

static void test_json_without_check_is_rejected(void **state)
{
    struct server s;
    struct server_how how = {.engine = server_engine};
    (void)state;
    assert_int_equal(server_run(&s, &how, (const char *const[]){"--json", NULL}), 2);
    assert_string_equal(server_log(&s), "torc: --json needs --check\n");
    server_free(&s);
}

static void make_link(const char *target, const char *dir, const char *name, char path[64])
{
    snprintf(path, 64, "%s/%s", dir, name);
    assert_int_equal(symlink(target, path), 0);
}

/* As at the start; no file is made. */
static void test_a_log_that_cannot_be_opened(void **state)
{
    char dir[] = "/tmp/torc-check-XXXXXX", missing[64], made[64], as_file[64];
    char lost[64], second[64], slash[64], good[64];
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct {
        const char *path;
        int status, err;
    } cases[] = {{missing, 1, ENOENT},    {dir, 1, EISDIR},    {as_file, 1, ENOTDIR},
                 {lost, 1, ENOENT},       {second, 1, ENOENT}, {slash, 1, EISDIR},
                 {at.sun_path, 1, ENXIO}, {good, 0, 0},        {made, 0, 0}};
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(missing, sizeof missing, "%s/no/log", dir);
    snprintf(made, sizeof made, "%s/log", dir);
    snprintf(as_file, sizeof as_file, "/proc/self/exe/log");
    make_link("no/log", dir, "lost", lost);
    make_link("lost", dir, "second", second);
    make_link("log/", dir, "slash", slash);
    make_link("log", dir, "good", good);
    snprintf(at.sun_path, sizeof at.sun_path, "%s/socket", dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct server s;
        struct server_how how = {.engine = server_engine};
        const char *const options[] = {"--check", "--access-log", cases[i].path, NULL};
        char line[256];
        assert_int_equal(server_run(&s, &how, options), cases[i].status);
        snprintf(line, sizeof line, "cannot open --access-log %s: %s\n", cases[i].path,
                 strerror(cases[i].err));
        assert_int_equal(!strstr(server_log(&s), line), !cases[i].err);
        server_free(&s);
        assert_int_equal(access(made, F_OK), -1);
    }
    const char *const ours[] = {lost, second, slash, good, at.sun_path};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) assert_int_equal(unlink(ours[i]), 0);
    close(fd);
    assert_int_equal(rmdir(dir), 0);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_has_ring_sizes_and_features),
        cmocka_unit_test(test_json_has_the_engines_not_chosen),
        cmocka_unit_test(test_json_has_the_reason_of_a_refusal),
        cmocka_unit_test(test_json_with_few_descriptors),
        cmocka_unit_test(test_json_without_check_is_rejected),
        cmocka_unit_test(test_a_log_that_cannot_be_opened),
        cmocka_unit_test(test_options_without_effect),
        cmocka_unit_test(test_threads_of_another_engine),
        cmocka_unit_test(test_given_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
