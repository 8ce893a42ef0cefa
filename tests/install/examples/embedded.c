/* A test program: it runs the handlers of its service without a socket, then starts the service,
 * asks it over sockets, and stops it under load. Nothing of the process changes.
 *
 *   cc embedded.c $(pkg-config --cflags --libs torc) -o embedded && ./embedded epoll
 *
 * Valid as C++, too. */

#include <torc.h>
#include <torc/test.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VISITORS = 8 };

#define CHECK(true)                                                                                \
    do {                                                                                           \
        if (!(true)) {                                                                             \
            fprintf(stderr, "embedded.c:%d: not so: %s\n", __LINE__, #true);                       \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* ---- the service: visits are counted on each core, without a lock ---- */

static int start_core(torc_req *rq, void *arg)
{
    (void)arg;
    torc_core_set(rq, calloc(1, sizeof(unsigned))); /* it may wait, to open a connection perhaps */
    return torc_core_data(rq) ? 0 : -1;
}

/* After the last request: `arg` is the sum of all cores, of which there is one here. */
static void stop_core(torc_req *rq, void *arg)
{
    *(unsigned *)arg += *(unsigned *)torc_core_data(rq);
    free(torc_core_data(rq));
}

static void visit(torc_req *rq, void *arg)
{
    unsigned *visits = (unsigned *)torc_core_data(rq);
    (void)arg;
    torc_replyf(rq, 200, "%u", ++*visits);
}

static void greet(torc_req *rq, void *arg)
{
    torc_slice name = torc_form(rq, "name");
    (void)arg;
    if (name.ptr) torc_reply_json(rq, 200, "{\"hello\":%s}", torc_json_quote(rq, name));
}

static torc_server *new_service(const char *engine, const char *address, unsigned *sum)
{
    torc_server *s = torc_server_new("embedded 1.0");
    CHECK(s && torc_server_set(s, "engine", engine) == 0);
    CHECK(torc_server_set(s, "cores", "1") == 0 && torc_server_set(s, "threads", "1") == 0);
    CHECK(torc_server_set(s, "listen", address) == 0);
    CHECK(torc_server_each_core(s, start_core, stop_core, sum) == 0);
    CHECK(torc_route(s, "GET", "/visits", visit, NULL) == 0);
    CHECK(torc_route(s, "POST", "/greet", greet, NULL) == 0);
    return s;
}

/* ---- its tests ---- */

/* Handlers run in this thread, and the start and stop functions around them. */
static void test_handlers(const char *engine)
{
    const torc_test_request form = {.method = "POST",
                                    .target = "/greet",
                                    .fields = "Content-Type: application/x-www-form-urlencoded\r\n",
                                    .body = TORC_S("name=a+%22b%22")};
    const torc_test_request visits = {.target = "/visits"}, none = {.target = "/none"};
    unsigned sum = 0;
    torc_server *s = new_service(engine, "127.0.0.1:0", &sum);
    torc_test *t = torc_test_open(s);
    CHECK(t);
    CHECK(torc_test_run(t, &form) == 0 && torc_test_status(t) == 200);
    CHECK(torc_slice_eq(torc_test_header(t, "Content-Type"), TORC_S("application/json")));
    CHECK(torc_slice_eq(torc_test_body(t), TORC_S("{\"hello\":\"a \\\"b\\\"\"}")));
    for (int i = 1; i <= 3; i++) {
        CHECK(torc_test_run(t, &visits) == 0);
        CHECK(torc_test_body(t).len == 1 && *torc_test_body(t).ptr == '0' + i);
    }
    CHECK(torc_test_run(t, &none) == 0 && torc_test_status(t) == 404);
    torc_test_close(t);
    torc_server_free(s);
    CHECK(sum == 3);
}

/* What the server at that port answers, or -1 if it does not. */
static int ask(int port)
{
    struct sockaddr_in to = {0};
    char line[256] = "";
    int answer = -1, fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    FILE *f = fdopen(fd, "r+");
    CHECK(f);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) {
        fprintf(f, "GET /visits HTTP/1.0\r\n\r\n");
        bool found = fgets(line, sizeof line, f) && strstr(line, " 200 OK");
        while (found && fgets(line, sizeof line, f) && strcmp(line, "\r\n") != 0) continue;
        if (!found || fscanf(f, "%d", &answer) != 1) answer = -1;
    }
    fclose(f);
    return answer;
}

struct visitor {
    pthread_t thread;
    int port;
    unsigned answers;
};

/* Asks until nobody answers. */
static void *visit_often(void *arg)
{
    struct visitor *v = (struct visitor *)arg;
    while (ask(v->port) > 0) v->answers++;
    return NULL;
}

/* Each visit that was counted has been answered, though the server was stopped meanwhile. */
static void test_service(const char *engine)
{
    static struct visitor visitors[VISITORS];
    unsigned sum = 0, answers = 0;
    torc_server *s = new_service(engine, "127.0.0.1:0", &sum);
    if (torc_server_start(s) < 0) {
        fprintf(stderr, "embedded: %s\n", torc_server_error(s));
        exit(3); /* the kernel refuses this engine, perhaps */
    }
    int port = torc_server_port(s, 0);
    for (int i = 0; i < VISITORS; i++) {
        visitors[i].port = port;
        CHECK(pthread_create(&visitors[i].thread, NULL, visit_often, &visitors[i]) == 0);
    }
    while (ask(port) < 500) answers++;
    torc_server_stop(s); /* from any thread */
    CHECK(torc_server_join(s) == 0);
    torc_server_free(s);
    for (int i = 0; i < VISITORS; i++) {
        CHECK(pthread_join(visitors[i].thread, NULL) == 0);
        answers += visitors[i].answers;
    }
    CHECK(sum == answers + 1);
}

/* Two servers want the same address: one after the other they have it. */
static void test_address(const char *engine)
{
    unsigned sum = 0;
    torc_server *first = new_service(engine, "127.0.0.1:0", &sum);
    CHECK(torc_server_start(first) == 0);
    int port = torc_server_port(first, 0);
    torc_server *second = new_service(engine, torc_server_address(first, 0), &sum);
    CHECK(ask(port) == 1 && ask(port) == 2);
    CHECK(torc_server_start(second) < 0 && strstr(torc_server_error(second), "cannot listen on"));
    torc_server_free(first); /* stops it, too, and waits for its end */
    CHECK(torc_server_start(second) == 0 && ask(port) == 1);
    torc_server_free(second);
    CHECK(ask(port) == -1 && sum == 3);
}

int main(int argc, char **argv)
{
    const char *engine = argc > 1 ? argv[1] : "epoll";
    signal(SIGPIPE, SIG_IGN); /* of ask(): the server causes none */
    test_service(engine);
    test_address(engine);
    test_handlers(engine);
    puts("ok");
    return 0;
}
