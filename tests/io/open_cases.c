#include "cases.h"
#include "engine_rig.h"
#include "refuse.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ALL = (1u << IO_FEATURES) - 1 };

static void engines_by_name(void **state)
{
    (void)state;
    assert_null(io_engine_find("nonsense"));
    assert_null(io_engine_find(""));
    assert_null(io_engine_find("io_urin"));
    assert_null(io_engine_find("EPOLL"));
    for (const struct io_engine *const *e = io_engines; *e; e++)
        assert_ptr_equal(io_engine_find(io_engine_name(*e)), *e);
    assert_non_null(io_engines[0]);
}

/* Features that were not requested are off, and the fallback is on. */
static void features_in_use(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    uint32_t want = rig_config.features, have = r->io.config.features;
    if (!io_engine_has_ring(rig_engine)) {
        assert_int_equal(have, 0);
    } else {
        assert_int_equal(have & ~want, 0);
        if (!(want & 1u << IO_SINGLE_ISSUER)) want &= ~(1u << IO_DEFER_TASKRUN);
        if (want & 1u << IO_DEFER_TASKRUN) want &= ~(1u << IO_COOP_TASKRUN);
        if (!(want & 1u << IO_BUF_RING)) want &= ~(1u << IO_MULTISHOT);
        assert_int_equal(have, want);
        assert_true(r->io.config.depth >= rig_config.depth);
        assert_true(r->io.config.cq_depth >= r->io.config.depth);
        assert_true(r->io.config.cq_depth >= rig_config.cq_depth);
    }
    rig_close(r);
}

static void probe_names_removed_features(void **state)
{
    (void)state;
    char why[256];
    struct io_config c = {.features = ALL};
    assert_int_equal(io_probe(rig_engine, &c, why, sizeof why), 0);
    if (rig_is("io_uring"))
        for (int f = 0; f < IO_FEATURES; f++)
            assert_int_equal(strstr(why, io_feature_names[f]) == NULL, (c.features >> f) & 1);
    else
        assert_string_equal(why, "");
    c.features = 0;
    assert_int_equal(io_probe(rig_engine, &c, why, sizeof why), 0);
    assert_int_equal(c.features, 0);
    assert_string_equal(why, "");
}

static void buffers_are_rounded_up(void **state)
{
    (void)state;
    struct io_config config = rig_config;
    config.buffers = 5;
    config.buffer_size = 1000;
    struct rig *r = rig_open(&config);
    struct endpoint e;
    assert_int_equal(r->io.config.buffers, 8);
    assert_int_equal(r->io.bufs.count, 8);
    endpoint_open(r, &e);
    endpoint_recv(&e);
    peer_send(e.peer, 0, 100000);
    TURN_UNTIL(r, e.received == 100000);
    endpoint_close(&e);
    rig_close(r);
}

/* An engine that lacks a resource fails to open and leaks nothing. */
static void failed_open_leaves_nothing_behind(void **state)
{
    (void)state;
    struct io io;
    struct io_config config = rig_config;
    int before = dup(0);
    close(before);
    config.max_sockets = UINT32_MAX;
    int err = io_open(&io, rig_engine, &config);
    assert_int_equal(err < 0, (rig_config.features >> IO_DIRECT) & 1);
    if (err == 0) io_close(&io);
    int after = dup(0);
    close(after);
    assert_int_equal(after, before);
}

static void open_and_close_repeatedly(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct rig *r = rig_open(NULL);
        struct endpoint e;
        endpoint_open(r, &e);
        endpoint_close(&e);
        rig_close(r);
    }
}

/* Runs the probe in a child whose seccomp filter answers io_uring_setup with `err`. */
static void refuse(int err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {ARRAY_LEN(code), code};
    char why[256] = "";
    struct io_config c = {.features = ALL};
    struct io io;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, 2, &prog) < 0) _exit(1);
    int uring = rig_is("io_uring") ? -err : 0;
    if (io_probe(rig_engine, &c, why, sizeof why) != uring) _exit(2);
    if ((uring < 0) != (strlen(why) > 20) || strchr(why, '\n')) _exit(3);
    c = rig_config;
    if (io_open(&io, rig_engine, &c) != uring) _exit(4);
    if (uring == 0) io_close(&io);
    _exit(0);
}

static void probe_explains_a_refusal(void **state)
{
    (void)state;
    static const int errors[] = {ENOSYS, EPERM, EACCES, ENOMEM, EMFILE};
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) refuse(errors[i]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

static void open_refused(int number, const char *call)
{
    char why[256];
    struct io io;
    refuse_call(&(struct refusal){.call = number, .err = EPERM});
    int err = io_open(&io, rig_engine, &rig_config);
    if (err == 0) _exit(rig_config.features ? 1 : 0); /* without any, nothing is registered */
    io_explain(&io, err, why, sizeof why);
    _exit(err == -EPERM && strstr(why, call) == why && strstr(why, strerror(EPERM)) ? 0 : 2);
}

static void the_refused_call_is_named(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0 && rig_is("io_uring")) open_refused(SYS_io_uring_register, "io_uring_register");
    if (child == 0) open_refused(SYS_epoll_create1, "epoll_create1");
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int open_cases(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(engines_by_name),
        cmocka_unit_test(features_in_use),
        cmocka_unit_test(probe_names_removed_features),
        cmocka_unit_test(buffers_are_rounded_up),
        cmocka_unit_test(failed_open_leaves_nothing_behind),
        cmocka_unit_test(open_and_close_repeatedly),
        cmocka_unit_test(probe_explains_a_refusal),
        cmocka_unit_test(the_refused_call_is_named),
    };
    return cmocka_run_group_tests_name("open", tests, NULL, NULL);
}
