/* io_uring on a kernel whose cancellations always have a completion (before Linux 5.17), simulated:
 * it is not taken, as operations that end by being cancelled would not end. */

#include "io/io.h"
#include "io/uring.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_old;

int __real_uring_map(unsigned entries, struct io_uring *ring, struct io_uring_params *p);
int __wrap_uring_map(unsigned entries, struct io_uring *ring, struct io_uring_params *p);

int __wrap_uring_map(unsigned entries, struct io_uring *ring, struct io_uring_params *p)
{
    int err = __real_uring_map(entries, ring, p);
    if (err == 0 && is_old) ring->features &= ~(unsigned)IORING_FEAT_CQE_SKIP;
    return err;
}

static char lines[600];

static void on_line(void *arg, const char *line)
{
    (void)arg;
    snprintf(lines + strlen(lines), sizeof lines - strlen(lines), "%s\n", line);
}

static const struct io_engine *choose(const char *name, int *err)
{
    struct io_config config = {.depth = 8, .buffers = 4, .buffer_size = 4096, .max_sockets = 8};
    lines[0] = '\0';
    return io_choose(name, &config, on_line, NULL, err);
}

static void it_is_too_old(void **state)
{
    int err;
    (void)state;
    is_old = true;
    assert_null(choose("io_uring", &err));
    assert_int_equal(err, -ENOSYS);
    assert_string_equal(lines, "engine io_uring: this kernel's io_uring is too old "
                               "(needs Linux 5.17 or newer)\n");
    const struct io_engine *other = choose(NULL, &err);
    assert_true(other != io_engine_find("io_uring"));
    assert_true(strstr(lines, "too old") && (!other || strstr(lines, "; continuing on epoll\n")));
}

static void another_is_not(void **state)
{
    int err;
    (void)state;
    is_old = false;
    assert_ptr_equal(choose("io_uring", &err), io_engine_find("io_uring"));
    assert_int_equal(err, 0);
}

/* Asked in a child: a process asks the kernel once. */
static bool refuses_io_uring(void)
{
    int status = 0, err;
    pid_t child = fork();
    if (child == 0) _exit(choose("io_uring", &err) ? 0 : 1);
    return child < 0 || waitpid(child, &status, 0) < 0 || status != 0;
}

int main(void)
{
    if (refuses_io_uring()) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_too_old),
        cmocka_unit_test(another_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
