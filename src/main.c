/* torc: serves static files over HTTP. */

#include "torc.h"

#include <signal.h>
#include <stdio.h>

static const char about[] =
    "Serves the files under --root over HTTP/1.1, with one io_uring or epoll instance per core:\n"
    "  torc --root /srv/www --listen 0.0.0.0:8080 --admin 127.0.0.1:9090";

static torc_server *s;

/* Before the server runs, and after: one signal more does not change the exit status. */
static void stop(int signal)
{
    (void)signal;
    torc_server_stop(s); /* NOLINT(bugprone-signal-handler,cert-sig30-c): may be called from one */
}

int main(int argc, char **argv)
{
    s = torc_server_new("torc " TORC_VERSION);
    if (!s || torc_server_about(s, about) < 0 || torc_static(s, "/") < 0) {
        fprintf(stderr, "torc: %s\n", s ? torc_server_error(s) : "out of memory");
        return 1;
    }
    struct sigaction ends = {.sa_handler = stop}; /* no SA_RESTART: a config file may be a pipe */
    sigaction(SIGTERM, &ends, NULL);
    sigaction(SIGINT, &ends, NULL);
    signal(SIGHUP, SIG_IGN);
    int status = torc_server_main(s, argc, argv);
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    torc_server_free(s);
    return status;
}
