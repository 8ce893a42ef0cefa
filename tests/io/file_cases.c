/* Calls that change files. */

#include "base/libc.h"
#include "cases.h"
#include "engine_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { SIZE = 100000, LARGEST = 8192 };

static char dir[] = "/tmp/torc-test-io-XXXXXX";
static char bytes[SIZE];

/* The path of a name in the directory; static memory, valid for the next three calls. */
static const char *in_dir(const char *name)
{
    static char path[4][128];
    static unsigned next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static int make_dir(void **state)
{
    (void)state;
    pattern_fill(bytes, 0, sizeof bytes);
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

static int create(struct rig *r, const char *name, int flags, unsigned mode)
{
    struct stat st;
    struct io_call c = {.create = {in_dir(name), flags, mode, &st}};
    int fd = rig_call(r, &c, IO_CREATE);
    if (fd >= 0) assert_true(S_ISREG(st.st_mode));
    return fd;
}

static int write_at(struct rig *r, int fd, const void *buf, uint32_t size, uint64_t offset)
{
    struct io_call c = {.write = {fd, size, buf, offset}};
    return rig_call(r, &c, IO_WRITE);
}

static int call_name(struct rig *r, enum io_kind kind, const char *from, const char *to,
                     bool replace)
{
    struct io_call c = {.name = {from, in_dir(to), replace}};
    return rig_call(r, &c, kind);
}

static int remove_name(struct rig *r, const char *name)
{
    struct io_call c = {.unlink = {in_dir(name)}};
    return rig_call(r, &c, IO_UNLINK);
}

/* The file has the first `n` bytes of the pattern and no others. */
static void expect_file(const char *name, size_t n)
{
    static char got[SIZE + 1];
    int fd = open(in_dir(name), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, got, sizeof got), n);
    assert_memory_equal(got, bytes, n);
    close(fd);
}

static void write_and_sync(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    int fd = create(r, "file", O_CREAT | O_EXCL, 0640);
    struct stat st;
    char got[100];
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write_at(r, fd, bytes + 1000, SIZE - 1000, 1000), SIZE - 1000);
    assert_int_equal(write_at(r, fd, bytes, 1000, 0), 1000);
    assert_int_equal(rig_call(r, &(struct io_call){.sync = {fd}}, IO_SYNC), 0);
    expect_file("file", SIZE);
    struct io_call back = {.read = {fd, sizeof got, got, 5000}};
    assert_int_equal(rig_call(r, &back, IO_READ), sizeof got);
    assert_memory_equal(got, bytes + 5000, sizeof got);
    assert_int_equal(rig_call(r, &(struct io_call){.close = {fd}}, IO_CLOSE), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);

    assert_int_equal(write_at(r, fd, bytes, 1, 0), -EBADF);
    assert_int_equal(rig_call(r, &(struct io_call){.sync = {fd}}, IO_SYNC), -EBADF);
    fd = open(in_dir("file"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(write_at(r, fd, bytes, 1, 0), -EBADF);
    close(fd);
    assert_int_equal(remove_name(r, "file"), 0);
    assert_int_equal(remove_name(r, "file"), -ENOENT);
    rig_close(r);
}

static void create_and_truncate(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    int fd = create(r, "file", O_CREAT, 0600);
    assert_int_equal(write_at(r, fd, bytes, 500, 0), 500);
    close(fd);
    assert_int_equal(create(r, "file", O_CREAT | O_EXCL, 0600), -EEXIST);
    fd = create(r, "file", O_CREAT, 0600);
    expect_file("file", 500);
    close(fd);
    fd = create(r, "file", O_CREAT | O_TRUNC, 0600);
    expect_file("file", 0);
    close(fd);
    assert_int_equal(create(r, "missing/file", O_CREAT, 0600), -ENOENT);
    assert_int_equal(create(r, "file/below", O_CREAT, 0600), -ENOTDIR);
    assert_int_equal(create(r, ".", O_CREAT, 0600), -EISDIR);
    assert_int_equal(remove_name(r, "file"), 0);
    assert_int_equal(remove_name(r, "."), -EISDIR);
    rig_close(r);
}

/* What is there before and after each of them is told by the errors. */
static void link_and_rename(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    char by_fd[64];
    int fd = create(r, "", O_TMPFILE, 0600);
    if (fd == -EOPNOTSUPP) {
        rig_close(r);
        skip();
    }
    assert_true(fd >= 0);
    assert_int_equal(write_at(r, fd, bytes, SIZE, 0), SIZE);
    snprintf(by_fd, sizeof by_fd, "/proc/thread-self/fd/%d", fd);
    assert_int_equal(call_name(r, IO_LINK, by_fd, "a", false), 0);
    assert_int_equal(call_name(r, IO_LINK, by_fd, "a", false), -EEXIST);
    assert_int_equal(call_name(r, IO_LINK, in_dir("a"), "b", false), 0);
    close(fd);
    expect_file("a", SIZE);
    expect_file("b", SIZE);
    fd = create(r, "c", O_CREAT, 0600);
    close(fd);
    assert_int_equal(call_name(r, IO_RENAME, in_dir("a"), "c", false), -EEXIST);
    expect_file("c", 0);
    assert_int_equal(call_name(r, IO_RENAME, in_dir("a"), "c", true), 0);
    expect_file("c", SIZE);
    assert_int_equal(call_name(r, IO_RENAME, in_dir("a"), "d", true), -ENOENT);
    assert_int_equal(call_name(r, IO_RENAME, in_dir("c"), "d", false), 0);
    assert_int_equal(remove_name(r, "c"), -ENOENT);
    assert_int_equal(remove_name(r, "b"), 0);
    assert_int_equal(remove_name(r, "d"), 0);
    rig_close(r);
}

/* Past the limit of a file's size a write is short, then fails. */
static void write_stops_at_a_limit(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct rlimit found, low;
    int fd = create(r, "file", O_CREAT, 0600);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &found), 0);
    low = (struct rlimit){LARGEST, found.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    int partly = write_at(r, fd, bytes, SIZE, 0), beyond = write_at(r, fd, bytes, 1, LARGEST);
    setrlimit(RLIMIT_FSIZE, &found);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(partly, LARGEST);
    assert_int_equal(beyond, -EFBIG);
    expect_file("file", LARGEST);
    close(fd);
    assert_int_equal(remove_name(r, "file"), 0);
    rig_close(r);
}

static struct outcome result;

static void on_change(struct io *io, struct io_op *op, int res, bool more)
{
    (void)io;
    (void)op;
    assert_false(more);
    result.res = res;
    result.count++;
}

/* The result of a call that is cancelled `later` turns after its start. */
static int cancel(struct rig *r, struct io_call c, enum io_kind kind, int later)
{
    c.op = (struct io_op){.fn = on_change};
    result = (struct outcome){0};
    io_call_start(&r->io, &c, kind);
    assert_int_equal(result.count, 0); /* submitting never calls back */
    while (later-- > 0) rig_poll(r);
    io_cancel(&r->io, &c.op);
    TURN_UNTIL(r, !io_busy(&c.op));
    for (int i = 0; i < 5; i++) rig_poll(r);
    assert_int_equal(result.count, 1);
    return result.res;
}

static bool exists(const char *name)
{
    return access(in_dir(name), F_OK) == 0;
}

/* The result says whether the call was done or cancelled. A kernel thread that is told to stop may
 * have been interrupted (-EINTR). */
static void changes_cancelled(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct stat st;
    for (int i = 0; i < 30; i++) {
        int later = i % 3;
        struct io_call made = {.create = {in_dir("a"), O_CREAT | O_EXCL, 0600, &st}};
        int fd = cancel(r, made, IO_CREATE, later);
        if (fd < 0) {
            assert_true(fd == -ECANCELED || fd == -EINTR);
            remove_name(r, "a"); /* it may have been made before it was interrupted */
            fd = create(r, "a", O_CREAT | O_EXCL, 0600);
        }
        assert_true(fd >= 0);
        int n = cancel(r, (struct io_call){.write = {fd, SIZE, bytes, 0}}, IO_WRITE, later);
        if (n > 0) expect_file("a", (size_t)n);
        int err = cancel(r, (struct io_call){.sync = {fd}}, IO_SYNC, later);
        assert_true(err == 0 || err == -ECANCELED || err == -EINTR);
        struct io_call moved = {.name = {in_dir("a"), in_dir("b"), true}};
        err = cancel(r, moved, IO_LINK, later);
        assert_true(err == 0 ? exists("b") : err == -ECANCELED);
        err = cancel(r, moved, IO_RENAME, later);
        assert_true(err == 0 ? exists("b") : err == -ECANCELED);
        for (int k = 0; k < 2; k++) {
            const char *name = k ? "b" : "a";
            err = cancel(r, (struct io_call){.unlink = {in_dir(name)}}, IO_UNLINK, later);
            assert_true(err == -ECANCELED || !exists(name));
            remove_name(r, name);
        }
        err = cancel(r, (struct io_call){.close = {fd}}, IO_CLOSE, later);
        assert_int_equal(fcntl(fd, F_GETFD) >= 0, err == -ECANCELED);
        if (err == -ECANCELED) close(fd);
    }
    rig_close(r);
}

int file_cases(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_and_sync),    cmocka_unit_test(create_and_truncate),
        cmocka_unit_test(link_and_rename),   cmocka_unit_test(write_stops_at_a_limit),
        cmocka_unit_test(changes_cancelled),
    };
    return cmocka_run_group_tests_name("file", tests, make_dir, remove_dir);
}
