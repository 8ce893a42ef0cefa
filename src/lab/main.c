/* torc-lab: the server with routes for benchmarks. */

#include "backend.h"
#include "backend_routes.h"
#include "json_routes.h"
#include "lab.h"
#include "page_routes.h"
#include "work_routes.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const char about[] =
    "The torc server with routes for benchmarks:\n"
    "  GET /                        for a browser: all of these, the measures, two experiments\n"
    "  GET /measures                the sums that L, P and A are made of, as JSON\n"
    "  GET /plaintext               Hello, World!\n"
    "  GET /json                    {\"message\":\"Hello, World!\"}\n"
    "  GET /json/COUNT?m=           the first COUNT (1 to 50) of built-in items, with totals\n"
    "  GET /pipeline                ok\n"
    "  GET, POST /baseline11?a=&b=  the sum of the query values and the body\n"
    "  GET /delay/MS                MS, after that many milliseconds (0 to 60000)\n"
    "  POST /upload                 the number of bytes in the body\n"
    "  POST /echo                   the body\n"
    "  GET /file?n=&mode=seq|all    the bytes read by n file reads, sequential or concurrent\n"
    "  GET /events                  server-sent events: each line posted to it\n"
    "  POST /events                 a line of text for them, from whichever core\n"
    "  GET /crypto?ms=&where=inline|work  PBKDF2 for about ms, on the core or on another thread\n"
    "  POST /thumbnail?w=&where=inline|work  a JPEG image, made w pixels wide\n"
    "  GET /fetch?n=&mode=seq|all&path=  the bytes of n responses of --upstream\n"
    "  GET /db?n=&mode=seq|all&ms=  n random rows at --pg, which takes ms for each\n"
    "  GET /fortunes                the table fortune at --pg as a page\n"
    "  GET /stack?mode=seq|all&path=&ms=  the same two for one request: path of --upstream, a row\n"
    "                               at --pg, one after the other or together\n"
    "  POST /queue/NAME             adds the body to a queue at --redis\n"
    "  GET /queue/NAME?wait=        takes an element, for which it waits so many ms; or 204\n"
    "  GET /static/...              the files under --root";

/* Of torc_server_main. STUCK: a core was left behind, with what it uses. */
enum { FAILED = 1, WRONG_OPTIONS = 2, STUCK = 4 };

static torc_server *s;

/* Before the server runs, and after: one signal more does not change the exit status. */
static void stop(int signal)
{
    (void)signal;
    torc_server_stop(s); /* NOLINT(bugprone-signal-handler,cert-sig30-c): may be called from one */
}

static int mount(void)
{
    int err = lab_mount(s);
    if (err == 0) err = lab_mount_routes(s, work_routes);
    if (err == 0) err = lab_mount_routes(s, json_routes);
    if (err == 0) err = backend_option(s);
    if (err == 0) err = fetch_routes_mount(s);
    if (err == 0) err = pg_routes_mount(s);
    if (err == 0) err = redis_routes_mount(s);
    if (err == 0) err = stack_routes_mount(s);
    if (err == 0) err = page_routes_mount(s);
    return err;
}

/* The values of the options above are there. 0 or, with a message on stderr, negative errno. */
static int open_options(void)
{
    int err = lab_options();
    if (err == 0) err = backend_read();
    if (err == 0) err = fetch_routes_open();
    if (err == 0) err = pg_routes_open();
    if (err == 0) err = redis_routes_open();
    return err;
}

/* Returns the exit status. */
static int serve(int argc, char **argv)
{
    int err = torc_server_parse(s, argc, argv);
    if (err > 0) return 0;
    if (err < 0)
        fprintf(stderr, "torc: %s\n", torc_server_error(s));
    else
        err = open_options();
    if (err < 0) return err == -EINVAL ? WRONG_OPTIONS : FAILED;
    return torc_server_run(s);
}

int main(int argc, char **argv)
{
    s = torc_server_new("torc-lab " TORC_VERSION);
    if (!s || torc_server_about(s, about) < 0 || mount() < 0) {
        fprintf(stderr, "torc-lab: %s\n", s ? torc_server_error(s) : "out of memory");
        return 1;
    }
    struct sigaction ends = {.sa_handler = stop}; /* no SA_RESTART: a config file may be a pipe */
    sigaction(SIGTERM, &ends, NULL);
    sigaction(SIGINT, &ends, NULL);
    signal(SIGHUP, SIG_IGN);
    int status = serve(argc, argv);
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    torc_server_free(s);
    if (status == STUCK)
        _exit(status); /* what still runs may use libraries that exit(3) takes apart */
    fetch_routes_free();
    pg_routes_free();
    redis_routes_free();
    return status;
}
