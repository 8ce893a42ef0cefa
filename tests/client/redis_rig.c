#include "redis_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { POLL_MS = 5, POLLS = SERVER_SECONDS * 1000 / POLL_MS };

static const char *program;

void redis_rig_choose(int argc, char **argv)
{
    static const char *const places[] = {"/usr/bin/redis-server", "/usr/local/bin/redis-server",
                                         "/usr/sbin/redis-server", "/opt/redis/bin/redis-server"};
    for (size_t i = 0; i < sizeof places / sizeof *places && !program; i++)
        if (access(places[i], X_OK) == 0) program = places[i];
    if (!program) {
        fprintf(stderr, "skipped: redis-server is not installed: tools/setup\n");
        exit(77);
    }
    server_choose(argc, argv);
}

/* ---- Redis ---- */

static unsigned free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static int try_connect(const struct redis_rig *r)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons((uint16_t)r->port)};
    return tcp_try_connect((struct sockaddr *)&a, sizeof a, NULL);
}

/* Whether that is the process at the port, and not another that took it meanwhile. */
static bool answers(const struct redis_rig *r)
{
    char text[8192], id[64];
    size_t len = 0;
    int fd = try_connect(r);
    if (fd < 0) return false;
    snprintf(id, sizeof id, "\nprocess_id:%d\r\n", (int)r->pid);
    bool found = false;
    if (tcp_try_send(fd, "INFO server\r\n", 13)) {
        ssize_t n = 1;
        while (!found && len < sizeof text - 1 && n > 0) {
            n = tcp_try_receive(fd, text + len, sizeof text - 1 - len);
            if (n > 0) len += (size_t)n;
            text[len] = '\0';
            found = strstr(text, id) != NULL;
            if (strstr(text, "\r\n\r\n")) break;
        }
    }
    close(fd);
    return found;
}

/* Whether it takes connections; false if it has ended, as where the port is taken by now. */
static bool comes_up(struct redis_rig *r)
{
    for (int i = 0; i < POLLS; i++) {
        bool up = answers(r);
        if (waitpid(r->pid, NULL, WNOHANG) == r->pid) {
            r->pid = 0;
            return false;
        }
        if (up) return true;
        sleep_ms(POLL_MS);
    }
    return false;
}

static bool try_up(struct redis_rig *r)
{
    char port[16];
    snprintf(port, sizeof port, "%u", r->port);
    r->pid = fork();
    assert_true(r->pid >= 0);
    if (r->pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* where a test fails */
        execl(program, program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir",
              r->dir, "--appendonly", "no", "--enable-debug-command", "local", (char *)NULL);
        _exit(127);
    }
    return comes_up(r);
}

void redis_rig_up(struct redis_rig *r)
{
    for (int i = 0; i < 100; i++) {
        if (try_up(r)) return;
        sleep_ms(POLL_MS);
    }
    fail_msg("redis-server does not start at port %u", r->port);
}

void redis_rig_move(struct redis_rig *r)
{
    bool up = false;
    redis_rig_down(r);
    for (int i = 0; i < 20 && !up; i++) {
        r->port = free_port();
        up = try_up(r);
    }
    assert_true(up);
}

void redis_rig_down(struct redis_rig *r)
{
    if (!r->pid) return;
    kill(r->pid, SIGKILL);
    assert_int_equal(waitpid(r->pid, NULL, 0), r->pid);
    r->pid = 0;
}

/* ---- the server ---- */

void redis_rig_start_server(struct redis_rig *r, const char *address, const char *redis,
                            const char *const *options)
{
    char text[256];
    snprintf(text, sizeof text, "%s %s", address, redis);
    setenv("REDIS_OPTIONS", text, 1);
    server_start_list(&r->server, options);
}

void redis_rig_start_list(struct redis_rig *r, const char *redis, const char *const *options)
{
    char address[64];
    *r = (struct redis_rig){.dir = "/tmp/torc-redis.XXXXXX"};
    assert_non_null(mkdtemp(r->dir));
    redis_rig_move(r);
    snprintf(address, sizeof address, "127.0.0.1:%u", r->port);
    redis_rig_start_server(r, address, redis, options);
}

void redis_rig_stop(struct redis_rig *r)
{
    if (r->server.pid) server_stop(&r->server);
    redis_rig_down(r);
    if (r->dir[0]) rmdir(r->dir);
}

/* ---- asking ---- */

void redis_rig_begin(const struct redis_rig *r, struct client *c, const char *path)
{
    client_open(c, &r->server);
    client_ask(c, "GET", path, "");
}

void redis_rig_answer(struct client *c, const char *body)
{
    struct reply r = {0};
    client_reply(c, "GET", &r);
    assert_string_equal(r.body, body);
    reply_free(&r);
    client_close(c);
}

void redis_rig_run(const struct redis_rig *r, const char *path, const char *body)
{
    client_expect(&r->server.addr, path, 200, body);
}

const char *redis_rig_ask(struct redis_rig *r, const char *command)
{
    static char reply[64 * 1024];
    size_t len = 0;
    int fd = try_connect(r);
    assert_true(fd >= 0);
    assert_true(tcp_try_send(fd, command, strlen(command)) && tcp_try_send(fd, "\r\n", 2));
    for (;;) {
        ssize_t n = tcp_try_receive(fd, reply + len, sizeof reply - len - 1);
        assert_true(n > 0);
        reply[len += (size_t)n] = '\0';
        const char *end = strstr(reply, "\r\n");
        if (!end) continue;
        size_t want = (size_t)(end - reply) + 2;
        if (reply[0] == '$' && reply[1] != '-') want += strtoul(reply + 1, NULL, 10) + 2;
        if (len >= want) break;
    }
    close(fd);
    return reply;
}

void redis_rig_await(struct redis_rig *r, const char *command, const char *reply)
{
    for (int i = 0; i < POLLS; i++) {
        if (strncmp(redis_rig_ask(r, command), reply, strlen(reply)) == 0) return;
        sleep_ms(POLL_MS);
    }
    fail_msg("%s: %s instead of %s", command, redis_rig_ask(r, command), reply);
}

void redis_rig_await_info(struct redis_rig *r, const char *line)
{
    for (int i = 0; i < POLLS; i++) {
        if (strstr(redis_rig_ask(r, "INFO clients"), line)) return;
        sleep_ms(POLL_MS);
    }
    fail_msg("no %s in %s", line, redis_rig_ask(r, "INFO clients"));
}
