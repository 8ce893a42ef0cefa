/* A server of test_closing.c, whose program closes every descriptor from 3 on, those of the server
 * among them: in a handler, in a job, or on another thread. */

#include <torc.h>

#include <limits.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static void close_all(void)
{
    syscall(SYS_close_range, 3, UINT_MAX, 0);
}

static void on_signal(int number)
{
    (void)number;
    close_all();
}

static void on_close(torc_req *rq, void *arg)
{
    (void)arg;
    close_all();
    torc_reply(rq, 200, NULL, TORC_S("closed\n"));
}

static int job(torc_job *j, void *arg)
{
    (void)j, (void)arg;
    close_all();
    return 0;
}

static void on_job(torc_req *rq, void *arg)
{
    (void)arg;
    torc_replyf(rq, 200, "%d", torc_work(rq, job, NULL, NULL));
}

static void on_ready(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, NULL, TORC_S("ready\n"));
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    torc_server *s = torc_server_new("closing");
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    if (!s || torc_route(s, "GET", "/close", on_close, NULL) < 0 ||
        torc_route(s, "GET", "/job", on_job, NULL) < 0 ||
        torc_route(s, "GET", "/ready", on_ready, NULL) < 0)
        return 100;
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
