#include "io/local.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { SERVERS = 4, ROUNDS = 300 };

static char dir[] = "/tmp/torc-test-local-XXXXXX", text[64];
static pthread_barrier_t together;

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir)) return -1;
    snprintf(text, sizeof text, "unix:%s/socket", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir); /* nothing is left in it */
}

static int listen_on(struct sock_addr *a)
{
    assert_int_equal(local_parse(text, a), 0);
    return local_listen(a, 4, true);
}

static int connect_to(const struct sock_addr *a)
{
    struct sockaddr_un un;
    socklen_t len = local_raw(a, &un);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int err = connect(fd, (struct sockaddr *)&un, len) < 0 ? -errno : 0;
    close(fd);
    return err;
}

struct rival {
    pthread_t thread;
    struct sock_addr addr;
    int fd;
};

static void *run(void *arg)
{
    struct rival *r = arg;
    pthread_barrier_wait(&together);
    r->fd = local_listen(&r->addr, 4, true);
    return NULL;
}

/* The one that gets it can be reached; the others are told. */
static void race(void)
{
    struct rival r[SERVERS];
    int winner = -1;
    for (int i = 0; i < SERVERS; i++) {
        assert_int_equal(local_parse(text, &r[i].addr), 0);
        assert_int_equal(pthread_create(&r[i].thread, NULL, run, &r[i]), 0);
    }
    for (int i = 0; i < SERVERS; i++) pthread_join(r[i].thread, NULL);
    for (int i = 0; i < SERVERS; i++) {
        if (r[i].fd < 0)
            assert_int_equal(r[i].fd, -EADDRINUSE);
        else if (winner >= 0)
            fail_msg("two servers listen");
        else
            winner = i;
    }
    assert_true(winner >= 0);
    assert_int_equal(connect_to(&r[winner].addr), 0);
    local_remove(&r[winner].addr);
    close(r[winner].fd);
}

static void one_of_several_gets_a_stale_file(void **state)
{
    (void)state;
    pthread_barrier_init(&together, NULL, SERVERS);
    for (int i = 0; i < ROUNDS; i++) {
        struct sock_addr a;
        int fd = i % 3 ? listen_on(&a) : -1;
        assert_true(fd >= 0 || i % 3 == 0);
        if (fd >= 0) close(fd); /* as a server that was killed */
        race();
    }
    pthread_barrier_destroy(&together);
}

/* One that stops does not take the file away from one that has come after it. */
static void the_file_of_another_stays(void **state)
{
    struct sock_addr before, after;
    (void)state;
    int old = listen_on(&before);
    assert_true(old >= 0);
    shutdown(old, SHUT_RDWR);
    int fd = listen_on(&after);
    assert_true(fd >= 0);
    local_remove(&before);
    close(old);
    assert_int_equal(connect_to(&after), 0);
    local_remove(&after);
    close(fd);
}

static void names_without_a_directory(void **state)
{
    struct sock_addr a;
    (void)state;
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(local_parse("unix:socket", &a), 0);
    int fd = local_listen(&a, 4, true);
    assert_true(fd >= 0);
    local_remove(&a);
    close(fd);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(local_parse("unix:/no/such/directory/socket", &a), 0);
    assert_int_equal(local_listen(&a, 4, true), -ENOENT);
    assert_int_equal(local_parse("unix:@torc-test-local", &a), 0);
    fd = local_listen(&a, 4, true);
    assert_true(fd >= 0);
    assert_int_equal(local_listen(&a, 4, true), -EADDRINUSE);
    close(fd);
}

static void names_that_are_wrong(void **state)
{
    static const char *const wrong[] = {
        "", "a", "unix", "unix:", "unix:@", "unix:/a b", "unix:a\n"};
    char name[8 + LOCAL_PATH_MAX] = "unix:/";
    struct sock_addr a;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(local_parse(wrong[i], &a), -EINVAL);
    for (int i = 0; i < 2; i++) {
        name[5] = i ? '@' : '/';
        memset(name + 6, 'a', LOCAL_PATH_MAX - 1);
        name[5 + LOCAL_PATH_MAX] = '\0';
        assert_int_equal(local_parse(name, &a), 0);
        strcat(name, "a");
        assert_int_equal(local_parse(name, &a), -ENAMETOOLONG);
    }
}

/* Those that wait are counted, whatever a socket is called. */
static void the_accept_queue_is_counted(void **state)
{
    enum { WAITING = 3 };
    struct sock_addr a;
    struct sockaddr_un un;
    int fd[WAITING];
    (void)state;
    int listener = listen_on(&a);
    socklen_t len = local_raw(&a, &un);
    for (int i = 0; i < WAITING; i++) {
        assert_int_equal(local_queued(listener), i);
        fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd[i], (struct sockaddr *)&un, len), 0);
    }
    assert_int_equal(local_queued(listener), WAITING);
    close(accept(listener, NULL, NULL));
    assert_int_equal(local_queued(listener), WAITING - 1);
    for (int i = 0; i < WAITING; i++) close(fd[i]);
    local_remove(&a);
    close(listener);
    assert_int_equal(local_queued(-1), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_several_gets_a_stale_file),
        cmocka_unit_test(the_file_of_another_stays),
        cmocka_unit_test(names_without_a_directory),
        cmocka_unit_test(names_that_are_wrong),
        cmocka_unit_test(the_accept_queue_is_counted),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
