/* What a server that runs has set, asked by a thread that signals interrupt. */

#include "serve/running.h"

#include "base/clock.h"
#include "serve/options.h"

#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

static void on_alarm(int signal)
{
    (void)signal;
}

/* Each call of the main thread that waits is interrupted, and none is restarted. */
static void interrupt_often(void)
{
    const struct sigaction action = {.sa_handler = on_alarm};
    const struct itimerval each_ms = {{0, 1000}, {0, 1000}};
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &each_ms, NULL), 0);
}

static void end_interrupting(void)
{
    assert_int_equal(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL), 0);
    signal(SIGALRM, SIG_DFL);
}

/* Answers one request, in two parts that are late. */
static void *answer(void *arg)
{
    static const char head[] = "HTTP/1.1 200 OK\r\n\r\nqueue = 7\n", rest[] = "direct = no\n";
    char request[256];
    int fd = accept(*(int *)arg, NULL, NULL);
    if (fd < 0 || recv(fd, request, sizeof request, 0) <= 0) return NULL;
    usleep(30000);
    if (send(fd, head, sizeof head - 1, MSG_NOSIGNAL) < 0) return NULL;
    usleep(30000);
    if (send(fd, rest, sizeof rest - 1, MSG_NOSIGNAL) < 0) return NULL;
    close(fd);
    return arg;
}

static const struct running_change *change_of(const struct running *r, const char *name)
{
    for (uint32_t i = 0; i < r->n_changes; i++)
        if (strcmp(r->change[i].option->name, name) == 0) return &r->change[i];
    return NULL;
}

static void test_interrupted(void **state)
{
    static struct running r;
    struct sock_addr addr;
    pthread_t thread;
    sigset_t alarms;
    void *answered;
    (void)state;
    assert_true(sock_addr_parse("127.0.0.1:0", &addr));
    int listener = sock_listen(&addr, 1, true);
    assert_true(listener >= 0);
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarms, NULL); /* the thread inherits it */
    assert_int_equal(pthread_create(&thread, NULL, answer, &listener), 0);
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    struct option_set *set = options_new();
    assert_non_null(set);

    interrupt_often();
    running_compare(&r, set, &addr);
    end_interrupting();

    assert_int_equal(pthread_join(thread, &answered), 0);
    assert_non_null(answered);
    assert_true(r.reached);
    assert_string_equal(change_of(&r, "queue")->was, "7");
    assert_false(change_of(&r, "queue")->restart);
    assert_string_equal(change_of(&r, "direct")->was, "no");
    assert_true(change_of(&r, "direct")->restart);
    running_free(&r);
    options_free(set);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
