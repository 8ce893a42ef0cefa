/* Servers under a low limit of memory or threads: what they say names the limit that it is. */

#include "client.h"
#include "refuse.h"
#include "server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

struct low {
    int which; /* RLIMIT_AS */
    rlim_t bytes;
};

static void lower(void *arg)
{
    const struct low *low = arg;
    struct rlimit limit = {low->bytes, low->bytes};
    if (setrlimit(low->which, &limit) < 0) _exit(125);
}

static bool has(struct server *s, const char *text)
{
    return strstr(server_log(s), text) != NULL;
}

static const char *const others[] = {"ulimit -u", "ulimit -l", "ulimit -d", "ulimit -v"};

static void assert_no_other(struct server *s, const char *hint)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(others[i], hint) == 0 || !has(s, others[i])) continue;
        print_error("%s", server_log(s));
        fail_msg("%s is the limit, not %s", hint, others[i]);
    }
}

/* Starts a server until there is memory enough. The threads and rings that it does not get fail of
 * the limit that was set. */
static void start_under(int which, const char *hint)
{
    bool thread = false, engine = false, ready = false;
    for (unsigned mib = 8; !ready && mib < 1024; mib += 2) {
        struct server s;
        struct low low = {which, (rlim_t)mib * MIB};
        struct server_how how = {server_engine, lower, &low};
        int status = 0;
        server_spawn(&s, &how,
                     (const char *const[]){"--listen", "127.0.0.1:0", "--cores", "1",
                                           "--access-log", "/dev/null", "--depth", "4096", NULL});
        while (!server_has_ended(&s, &status) && !has(&s, "ready")) sleep_ms(5);
        ready = has(&s, "ready");
        assert_no_other(&s, hint);
        bool hinted = has(&s, hint);
        if (has(&s, "start its thread: ")) {
            assert_true(hinted);
            thread = true;
        }
        if (has(&s, " engine") && !ready) {
            assert_true(hinted);
            engine = true;
        }
        if (ready)
            server_stop(&s);
        else
            server_free(&s);
    }
    assert_true(ready);
    assert_true(thread);
    assert_true(engine);
}

static void address_space(void **state)
{
    (void)state;
    start_under(RLIMIT_AS, "ulimit -v");
}

static void data(void **state)
{
    (void)state;
    start_under(RLIMIT_DATA, "ulimit -d");
}

static rlim_t address_space_of(const struct server *s)
{
    char path[64];
    uint64_t pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", s->pid);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%" SCNu64, &pages), 1);
    fclose(f);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void a_thread_for_work(void **state)
{
    struct server s;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--cores", "1");
    client_fetch(&s.addr, "/plaintext", &r);
    rlim_t bytes = address_space_of(&s) + 2 * MIB; /* less than a stack */
    assert_int_equal(prlimit(s.pid, RLIMIT_AS, &(struct rlimit){bytes, bytes}, NULL), 0);
    client_expect(&s.addr, "/crypto?ms=1&where=work", 503, NULL);
    server_await_log(&s, "cannot start thread 1 of --work-threads");
    assert_true(has(&s, "ulimit -v"));
    assert_no_other(&s, "ulimit -v");
    reply_free(&r);
    server_stop(&s);
}

static void refuse_threads(void *arg)
{
    (void)arg;
    refuse_call(&(struct refusal){.call = SYS_clone, .err = EAGAIN});
    refuse_call(&(struct refusal){.call = SYS_clone3, .err = EAGAIN});
}

/* Here it is their number. One line is enough, however many it concerns. */
static void threads(void **state)
{
    struct server s;
    struct server_how how = {server_engine, refuse_threads, NULL};
    (void)state;
    assert_int_equal(server_run(&s, &how,
                                (const char *const[]){"--listen", "127.0.0.1:0", "--cores", "1",
                                                      "--admin", "127.0.0.1:0", NULL}),
                     1);
    const char *line = strstr(server_log(&s), "core 0 cannot start its thread");
    assert_non_null(line);
    assert_null(strstr(line + strlen("core 0 cannot start"), "cannot start"));
    assert_true(has(&s, "ulimit -u"));
    assert_no_other(&s, "ulimit -u");
    server_free(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_space),
        cmocka_unit_test(data),
        cmocka_unit_test(a_thread_for_work),
        cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
