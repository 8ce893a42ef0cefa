/* Lines on stderr: a file gets each of them, a full pipe none. */

#include "base/assert.h"
#include "base/libc.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { PIPE_LEAST = 4096, LIMIT = 60 /* seconds */ };

static bool file_waits; /* files answer as those of XFS and btrfs: "now" is too soon for them */

#ifdef PWRITEV2_IS_INLINE
enum { MAY_REPLACE = false };
#else
enum { MAY_REPLACE = true };

/* In place of the C library's. */
ssize_t pwritev2(int fd, const struct iovec *v, int n, off_t offset, int flags)
{
    struct stat st;
    if (file_waits && flags & RWF_NOWAIT && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        errno = EAGAIN;
        return -1;
    }
    return syscall(SYS_pwritev2, fd, v, (long)n, (long)offset, 0L, flags);
}
#endif

/* Two lines, while stderr is `fd`. */
static void log_to(int fd)
{
    int before = dup(STDERR_FILENO);
    assert_true(before >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
    log_line("first %d", 1);
    log_line("second");
    assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
    close(before);
}

static void expect_lines_in_file(void)
{
    static const char expected[] = "torc: first 1\ntorc: second\n";
    char found[100] = "";
    FILE *f = tmpfile();
    assert_non_null(f);
    log_to(fileno(f));
    rewind(f);
    assert_int_equal(fread(found, 1, sizeof found - 1, f), sizeof expected - 1);
    assert_string_equal(found, expected);
    fclose(f);
}

static void test_file(void **state)
{
    (void)state;
    file_waits = false;
    expect_lines_in_file();
}

static void test_file_that_would_wait(void **state)
{
    (void)state;
    file_waits = MAY_REPLACE; /* else as any file */
    expect_lines_in_file();
}

static void fill_pipe(int ends[2])
{
    static const char room[PIPE_LEAST];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    int size = fcntl(ends[1], F_SETPIPE_SZ, PIPE_LEAST);
    assert_true(size > 0);
    for (int n = 0; n < size; n += PIPE_LEAST)
        assert_int_equal(write(ends[1], room, sizeof room), sizeof room);
}

/* It would otherwise wait for ever. */
static void test_full_pipe(void **state)
{
    int ends[2];
    char room[PIPE_LEAST] = "";
    (void)state;
    fill_pipe(ends);
    log_to(ends[1]);
    assert_int_equal(read(ends[0], room, sizeof room), sizeof room);
    log_to(ends[1]);
    close(ends[0]);
    close(ends[1]);
}

/* Nor does the end of a process that is in a state that cannot be. */
static void test_assertion_with_a_full_pipe(void **state)
{
    int ends[2], status;
    (void)state;
    fill_pipe(ends);
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit none = {0};
        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], STDERR_FILENO);
        alarm(LIMIT);
        assert_fail("false", "a file", 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_that_would_wait),
        cmocka_unit_test(test_full_pipe),
        cmocka_unit_test(test_assertion_with_a_full_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
