#include "task/scope.h"

#include "base/libc.h"
#include "base/random.h"
#include "core.h"
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_SIZE = 100000 };

/* Files made for the tests and removed at the end. */
static char dir[] = "/tmp/test_scope-XXXXXX", file_path[64];

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

static void start(struct core *c, fiber_fn *fn, void *arg)
{
    assert_int_equal(fiber_start(&c->fibers, fn, arg), 0);
}

/* ---- waits ---- */

struct waiter {
    struct core *core;
    struct wait wait;
    void (*cancel)(struct wait *w);
    int result;
    bool done;
};

static void wait_once(void *arg)
{
    struct waiter *w = arg;
    w->result = wait_park(&w->core->scope, &w->wait, w->cancel);
    assert_ptr_equal(fiber_self(&w->core->fibers), w->wait.fiber);
    w->done = true;
}

static void a_wake_resumes_in_the_same_turn(void **state)
{
    struct core *c = *state;
    struct waiter w = {.core = c};
    start(c, wait_once, &w);
    core_poll(c);
    assert_false(w.done);
    wait_wake(&w.wait, 5);
    assert_false(w.done); /* not resumed within the call */
    wait_wake(&w.wait, 6);
    core_poll(c);
    assert_true(w.done);
    assert_int_equal(w.result, 5);
}

static void wake_from_a_fiber(void *arg)
{
    struct waiter *w = arg;
    wait_wake(&w->wait, -7);
    assert_false(w->done);
}

static void a_fiber_wakes_another(void **state)
{
    struct core *c = *state;
    struct waiter w = {.core = c};
    start(c, wait_once, &w);
    start(c, wake_from_a_fiber, &w);
    TURN_UNTIL(c, w.done);
    assert_int_equal(w.result, -7);
}

static void wake_with_error(struct wait *w)
{
    assert_false(w->woken);
    wait_wake(w, w->scope->cancelled);
}

static void cancel_ends_waits_with_a_cancel_function(void **state)
{
    struct core *c = *state;
    struct waiter w[3] = {{.core = c, .cancel = wake_with_error},
                          {.core = c},
                          {.core = c, .cancel = wake_with_error}};
    for (int i = 0; i < 3; i++) start(c, wait_once, &w[i]);
    wait_wake(&w[0].wait, 3); /* before the cancel, so it counts */
    scope_cancel(&c->scope, -ETIMEDOUT);
    scope_cancel(&c->scope, -ECANCELED);
    assert_int_equal(c->scope.cancelled, -ETIMEDOUT);
    core_poll(c);
    assert_true(w[0].done && !w[1].done && w[2].done);
    assert_int_equal(w[0].result, 3);
    assert_int_equal(w[2].result, -ETIMEDOUT);
    wait_wake(&w[1].wait, 1);
    core_poll(c);
    assert_true(w[1].done);
    assert_int_equal(w[1].result, 1);
}

static void cancel_leaves_other_scopes_alone(void **state)
{
    struct core *c = *state;
    struct core other = {.scope = {0}};
    scope_init(&other.scope, &c->io, &c->fibers, NULL);
    struct waiter w = {.core = c, .cancel = wake_with_error};
    start(c, wait_once, &w);
    scope_cancel(&other.scope, -ECANCELED);
    core_poll(c);
    assert_false(w.done);
    wait_wake(&w.wait, 0);
    core_poll(c);
    assert_true(w.done);
}

/* ---- sleep ---- */

struct sleeper {
    struct core *core;
    uint64_t ns, slept, busy;
    int result;
    unsigned *done;
};

static void sleep_once(void *arg)
{
    struct sleeper *s = arg;
    /* Time that passes in the turn before the call is not part of the sleep. */
    for (uint64_t until = clock_ns() + s->busy; clock_ns() < until;) continue;
    uint64_t from = clock_ns();
    s->result = scope_sleep(&s->core->scope, s->ns);
    s->slept = clock_ns() - from;
    ++*s->done;
}

static void sleep_never_returns_early(void **state)
{
    struct core *c = *state;
    enum { N = 90 };
    struct sleeper s[N];
    unsigned done = 0;
    for (int i = 0; i < N; i++) {
        s[i] = (struct sleeper){.core = c, .ns = random_below(20 * NS_PER_MS), .done = &done};
        if (i < 10) s[i].ns = (uint64_t)i;
        if (i % 30 == 0) s[i].busy = 2 * NS_PER_MS;
        start(c, sleep_once, &s[i]);
    }
    TURN_UNTIL(c, done == N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(s[i].result, 0);
        assert_true(s[i].slept >= s[i].ns);
    }
}

static void cancel_ends_a_sleep(void **state)
{
    struct core *c = *state;
    unsigned done = 0;
    struct sleeper s[] = {
        {.ns = 0}, {.ns = 3600 * NS_PER_S}, {.ns = WHEEL_NEVER}, {.ns = WHEEL_NEVER - 1}};
    for (int i = 0; i < 4; i++) {
        s[i].core = c;
        s[i].done = &done;
        start(c, sleep_once, &s[i]);
    }
    TURN_UNTIL(c, done == 1);
    for (int i = 0; i < 10; i++) core_poll(c);
    assert_int_equal(done, 1);
    assert_int_equal(s[0].result, 0);
    scope_cancel(&c->scope, -ECANCELED);
    core_poll(c);
    assert_int_equal(done, 4);
    for (int i = 1; i < 4; i++) assert_int_equal(s[i].result, -ECANCELED);
    /* From now on no wait parks. */
    struct sleeper late = {.core = c, .ns = 3600 * NS_PER_S, .done = &done};
    start(c, sleep_once, &late);
    assert_int_equal(done, 5);
    assert_int_equal(late.result, -ECANCELED);
}

/* ---- calls ---- */

struct caller {
    struct core *core;
    struct io_call call;
    enum io_kind kind;
    int result;
    bool done;
};

static void call_once(void *arg)
{
    struct caller *a = arg;
    a->result = scope_call(&a->core->scope, &a->call, a->kind);
    a->done = true;
}

static int run_call(struct core *c, struct io_call call, enum io_kind kind)
{
    struct caller a = {.core = c, .call = call, .kind = kind};
    start(c, call_once, &a);
    assert_false(a.done); /* submitting never calls back */
    TURN_UNTIL(c, a.done);
    return a.result;
}

static struct stat opened;

static void file_calls(void **state)
{
    struct core *c = *state;
    unsigned fds = files_descriptors();
    struct statx st;
    static uint8_t buf[FILE_SIZE + 1];
    int fd = run_call(c, (struct io_call){.open = {AT_FDCWD, IO_OPEN_ANYWHERE, file_path, &opened}},
                      IO_OPEN);
    assert_true(fd >= 0);
    assert_int_equal(run_call(c, (struct io_call){.statx = {fd, AT_EMPTY_PATH, "", &st}}, IO_STATX),
                     0);
    assert_int_equal(st.stx_size, FILE_SIZE);
    size_t got = 0;
    for (int n = 1; n > 0; got += (size_t)n) {
        struct io_call read = {.read = {fd, 30000, buf + got, got}};
        n = run_call(c, read, IO_READ);
        assert_true(n >= 0);
    }
    assert_int_equal(got, FILE_SIZE);
    for (size_t i = 0; i < FILE_SIZE; i++) assert_int_equal(buf[i], byte_at(i));
    assert_int_equal(run_call(c, (struct io_call){.close = {fd}}, IO_CLOSE), 0);
    assert_int_equal(files_descriptors(), fds);
}

static void missing_files(void **state)
{
    struct core *c = *state;
    struct statx st;
    char buf[8];
    assert_int_equal(
        run_call(c, (struct io_call){.open = {AT_FDCWD, IO_OPEN_ANYWHERE, "/no/such", &opened}},
                 IO_OPEN),
        -ENOENT);
    assert_int_equal(
        run_call(c, (struct io_call){.statx = {AT_FDCWD, 0, "/no/such", &st}}, IO_STATX), -ENOENT);
    assert_int_equal(run_call(c, (struct io_call){.read = {-1, 8, buf, 0}}, IO_READ), -EBADF);
}

struct reader {
    struct core *core;
    unsigned *done;
    int fd;
    uint64_t seed;
};

/* Reads repeatedly into memory on the fiber's own stack. */
static void read_here_and_there(void *arg)
{
    struct reader *r = arg;
    uint8_t buf[1000];
    for (uint64_t i = 0; i < 20; i++) {
        uint64_t at = (r->seed * 1000 + i * 7919) % (FILE_SIZE - sizeof buf);
        struct io_call read = {.read = {r->fd, sizeof buf, buf, at}};
        assert_int_equal(scope_call(&r->core->scope, &read, IO_READ), sizeof buf);
        for (size_t n = 0; n < sizeof buf; n++) assert_int_equal(buf[n], byte_at(at + n));
        if (i % 8 == r->seed % 8) assert_int_equal(scope_sleep(&r->core->scope, NS_PER_MS), 0);
    }
    ++*r->done;
}

static void read_with_many(struct core *c, unsigned n)
{
    struct reader r[100];
    unsigned done = 0;
    int fd = open(file_path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && n <= 100);
    for (unsigned i = 0; i < n; i++) {
        r[i] = (struct reader){c, &done, fd, i};
        start(c, read_here_and_there, &r[i]);
    }
    TURN_UNTIL(c, done == n);
    close(fd);
}

static void many_calls_at_once(void **state)
{
    read_with_many(*state, 100);
}

static void *on_a_thread(void *arg)
{
    struct core *c = malloc(sizeof *c);
    assert_non_null(c);
    core_open(c, 30);
    for (int i = 0; i < 3; i++) read_with_many(c, 30);
    core_close(c);
    free(c);
    return arg;
}

static void a_core_on_each_thread(void **state)
{
    (void)state;
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, on_a_thread, NULL), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(thread[i], NULL), 0);
}

/* ---- calls cancelled ---- */

/* Cancelled in flight: it returns its own result or the scope's error. */
static void cancelled_in_flight(void **state)
{
    struct core *c = *state;
    unsigned fds = files_descriptors();
    static uint8_t buf[FILE_SIZE];
    memset(buf, 0, sizeof buf);
    int fd = open(file_path, O_RDONLY | O_CLOEXEC);
    struct caller a[] = {
        {.kind = IO_OPEN, .call = {.open = {AT_FDCWD, IO_OPEN_ANYWHERE, file_path, &opened}}},
        {.kind = IO_READ, .call = {.read = {fd, FILE_SIZE, buf, 0}}},
        {.kind = IO_OPEN, .call = {.open = {AT_FDCWD, IO_OPEN_ANYWHERE, "/no/such", &opened}}},
    };
    for (int i = 0; i < 3; i++) {
        a[i].core = c;
        start(c, call_once, &a[i]);
    }
    scope_cancel(&c->scope, -ETIMEDOUT);
    TURN_UNTIL(c, a[0].done && a[1].done && a[2].done);
    assert_int_equal(c->io.in_flight, 0);
    if (a[0].result >= 0)
        close(a[0].result);
    else
        assert_int_equal(a[0].result, -ETIMEDOUT);
    if (a[1].result >= 0)
        for (int i = 0; i < a[1].result; i++) assert_int_equal(buf[i], byte_at((size_t)i));
    else
        assert_int_equal(a[1].result, -ETIMEDOUT);
    assert_int_equal(a[2].result, -ETIMEDOUT);
    close(fd);
    /* A later call is not submitted. */
    struct caller late = {.core = c, .kind = IO_OPEN, .call = a[0].call};
    start(c, call_once, &late);
    assert_true(late.done);
    assert_int_equal(late.result, -ETIMEDOUT);
    assert_int_equal(files_descriptors(), fds);
}

/* Opens a file with a lease that is never released, so that others wait for it (fcntl(2)); -1 if
 * the file system has no leases. */
static int lease_file(void)
{
    int fd = open(file_path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_ptr_not_equal(signal(SIGIO, SIG_IGN),
                         SIG_ERR); /* the signal that asks the holder to release it */
    if (fcntl(fd, F_SETLEASE, F_WRLCK) == 0) return fd;
    print_message("no leases here: %s\n", strerror(errno));
    close(fd);
    return -1;
}

/* While a call is pending, the kernel owns the fiber's memory; a cancel waits for it. */
static void cancel_waits_for_the_kernel(void **state)
{
    struct core *c = *state;
    char buf[8] = "unread";
    int ends[2];
    if (!core_is("io_uring"))
        return; /* other engines make such calls synchronously, so none is in flight */
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct caller a = {
        .core = c,
        .kind = IO_READ,
        .call = {.read = {ends[0], sizeof buf, buf, UINT64_MAX}},
    };
    start(c, call_once, &a);
    for (int i = 0; i < 20; i++) core_poll(c);
    assert_false(a.done);
    scope_cancel(&c->scope, -ETIMEDOUT);
    assert_false(a.done);
    TURN_UNTIL(c, a.done);
    assert_int_equal(a.result, -ETIMEDOUT);
    assert_int_equal(write(ends[1], "12345678", 8), 8);
    core_poll(c);
    assert_string_equal(buf, "unread");
    close(ends[0]);
    close(ends[1]);
}

/* Opening a file never waits, not even for the holder of a lease. */
static void open_does_not_wait_for_a_lease(void **state)
{
    struct core *c = *state;
    int leased = lease_file();
    if (leased < 0) return;
    struct caller a = {
        .core = c,
        .kind = IO_OPEN,
        .call = {.open = {AT_FDCWD, IO_OPEN_ANYWHERE, file_path, &opened}},
    };
    start(c, call_once, &a);
    TURN_UNTIL(c, a.done);
    assert_int_equal(a.result, -EAGAIN);
    close(leased);
}

/* ---- */

static int make_files(void **state)
{
    (void)state;
    static uint8_t bytes[FILE_SIZE];
    if (!mkdtemp(dir)) return -1;
    snprintf(file_path, sizeof file_path, "%s/file", dir);
    for (size_t i = 0; i < FILE_SIZE; i++) bytes[i] = byte_at(i);
    int fd = open(file_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, FILE_SIZE) != FILE_SIZE) return -1;
    return close(fd);
}

static int remove_files(void **state)
{
    (void)state;
    unlink(file_path);
    return rmdir(dir);
}

int main(int argc, char **argv)
{
    core_choose(argc, argv);
    static const struct CMUnitTest tests[] = {
        CORE_CASE(a_wake_resumes_in_the_same_turn),
        CORE_CASE(a_fiber_wakes_another),
        CORE_CASE(cancel_ends_waits_with_a_cancel_function),
        CORE_CASE(cancel_leaves_other_scopes_alone),
        CORE_CASE(sleep_never_returns_early),
        CORE_CASE(cancel_ends_a_sleep),
        CORE_CASE(file_calls),
        CORE_CASE(missing_files),
        CORE_CASE(many_calls_at_once),
        CORE_CASE(a_core_on_each_thread),
        CORE_CASE(cancelled_in_flight),
        CORE_CASE(cancel_waits_for_the_kernel),
        CORE_CASE(open_does_not_wait_for_a_lease),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
