/* A server whose handlers ask Redis. How a call ended is the response, and a line of stderr where
 * nobody may be left to read that. */

#include "torc.h"
#include "torc/redis.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static torc_redis *redis;
static unsigned redis_port;

enum { WORDS_MAX = 16, OUT_MAX = 8192 };

/* Not every C library has strerrorname_np. */
static const char *name_of(int err)
{
    static const struct {
        int err;
        const char *name;
    } names[] = {
        {-EREMOTEIO, "EREMOTEIO"},
        {-EAGAIN, "EAGAIN"},
        {-ECONNREFUSED, "ECONNREFUSED"},
        {-ENOENT, "ENOENT"},
        {-ETIMEDOUT, "ETIMEDOUT"},
        {-EACCES, "EACCES"},
        {-ECONNABORTED, "ECONNABORTED"},
        {-EPROTO, "EPROTO"},
        {-EINVAL, "EINVAL"},
        {-ENAMETOOLONG, "ENAMETOOLONG"},
        {-EHOSTUNREACH, "EHOSTUNREACH"},
        {-ETIME, "ETIME"},
        {-ECONNRESET, "ECONNRESET"},
        {-ESHUTDOWN, "ESHUTDOWN"},
        {-ECANCELED, "ECANCELED"},
        {-EBUSY, "EBUSY"},
        {-EMSGSIZE, "EMSGSIZE"},
        {-ENOMEM, "ENOMEM"},
        {0, "a reply"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].err == err) return names[i].name;
    return strerror(-err);
}

static unsigned number(torc_req *rq, const char *name, unsigned otherwise)
{
    torc_slice v = torc_query_param(rq, name);
    char digits[16]; /* what v.ptr points to does not end with a zero byte */
    snprintf(digits, sizeof digits, "%.*s", (int)v.len, v.ptr ? v.ptr : "");
    return v.ptr ? (unsigned)strtoul(digits, NULL, 10) : otherwise;
}

static bool is(torc_slice a, const char *b)
{
    return a.len == strlen(b) && memcmp(a.ptr, b, a.len) == 0;
}

static size_t gather(torc_req *rq, const char *name, torc_slice *words)
{
    torc_slice n, v;
    size_t count = 0;
    for (size_t at = 0; count < WORDS_MAX && torc_query_next(rq, &at, &n, &v);)
        if (is(n, name)) words[count++] = v;
    return count;
}

/* ---- one command ---- */

static size_t put(char *out, size_t n, const torc_redis_reply *r)
{
    static const char *const marks[] = {"nil", "+", "-", ":", "$", "*"};
    torc_slice text = torc_redis_text(r);
    enum torc_redis_type type = torc_redis_type(r);
    size_t room = OUT_MAX - n - 64;
    int shown = (int)(text.len < room ? text.len : room);
    if (n > OUT_MAX - 128) return n;
    n += (size_t)sprintf(out + n, "%s%s", n ? " " : "", marks[type]);
    if (text.ptr) n += (size_t)sprintf(out + n, "%.*s", shown, text.ptr);
    if (type == TORC_REDIS_INTEGER)
        n += (size_t)sprintf(out + n, "%lld", (long long)torc_redis_integer(r));
    if (type == TORC_REDIS_ARRAY) n += (size_t)sprintf(out + n, "%zu", torc_redis_elements(r));
    for (size_t i = 0; i < torc_redis_elements(r); i++) n = put(out, n, torc_redis_element(r, i));
    return n;
}

/* ?ms=&repeat=&w=GET&w=key: "+OK", ":1", "$text", "nil", "*2 $a $b", "-ERR ...", or "!ENAME". */
static void on_run(torc_req *rq, void *arg)
{
    torc_slice words[WORDS_MAX];
    torc_redis_reply *r;
    char out[OUT_MAX];
    size_t n = gather(rq, "w", words);
    unsigned ms = number(rq, "ms", 0);
    (void)arg;
    if (ms) torc_deadline(rq, ms);
    if (n) fprintf(stderr, "runs %.*s\n", (int)words[0].len, words[0].ptr);
    int err = torc_redis_words(rq, redis, number(rq, "repeat", 0) ? TORC_REDIS_REPEATABLE : 0, &r,
                               n, words);
    fprintf(stderr, "ended with %s\n", name_of(err));
    if ((r != NULL) != (err == 0 || err == -EREMOTEIO)) abort();
    if (r) {
        torc_reply(rq, 200, "text/plain", (torc_slice){out, put(out, 0, r)});
        if (number(rq, "free", 0)) torc_redis_reply_free(r);
    } else {
        torc_replyf(rq, 200, "!%s", name_of(err));
    }
}

/* ?w=KEY&w=VALUE: as a format, with what a format can be wrong about. */
static void on_format(torc_req *rq, void *arg)
{
    torc_slice w[WORDS_MAX];
    torc_redis_reply *r;
    gather(rq, "w", w);
    (void)arg;
    int set =
        torc_redis_command(rq, redis, NULL, "SET %b %b", w[0].ptr, w[0].len, w[1].ptr, w[1].len);
    int got = torc_redis_repeatable(rq, redis, &r, "GET %b", w[0].ptr, w[0].len);
    int type = torc_redis_command(rq, redis, NULL, "INCR %b", w[0].ptr, w[0].len);
    int empty = torc_redis_command(rq, redis, NULL, "");
    int wrong = torc_redis_command(rq, redis, NULL, "GET %y", 1);
    torc_redis_reply_free(NULL);
    torc_replyf(rq, 200, "%d %d %.*s %s %s %s", set, got, (int)torc_redis_text(r).len,
                torc_redis_text(r).ptr, name_of(type), name_of(empty), name_of(wrong));
}

/* ?n=: sets "big" to so many zero bytes. */
static void on_zeros(torc_req *rq, void *arg)
{
    size_t n = number(rq, "n", 1);
    char *zeros = calloc(n, 1);
    (void)arg;
    if (!zeros) abort();
    int err = torc_redis_command(rq, redis, NULL, "SET big %b", zeros, n);
    free(zeros);
    torc_replyf(rq, 200, "%s", name_of(err));
}

/* ?ms=: has the core do nothing else. */
static void on_hold(torc_req *rq, void *arg)
{
    unsigned ms = number(rq, "ms", 0);
    (void)arg;
    fprintf(stderr, "holds the core\n");
    usleep(ms * 1000);
    torc_replyf(rq, 200, "held");
}

/* ---- sockets ---- */

/* Seconds after which the kernel gives a connection to Redis up: while bytes are not acknowledged,
 * and while none are under way. */
static void on_patience(torc_req *rq, void *arg)
{
    char out[OUT_MAX] = "", line[64];
    (void)arg;
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in peer;
        int unacked = 0, idle = 0, interval = 0, count = 0;
        socklen_t len = sizeof peer, size = sizeof unacked;
        if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0) continue;
        if (peer.sin_family != AF_INET || ntohs(peer.sin_port) != redis_port) continue;
        getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked, &size);
        getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, &size);
        getsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, &size);
        getsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, &size);
        snprintf(line, sizeof line, "%d %d\n", unacked / 1000, idle + interval * count);
        if (!strstr(out, line)) strcat(out, line); /* the engine may have copies */
    }
    torc_reply(rq, 200, "text/plain", (torc_slice){out, strlen(out)});
}

/* A connection to Redis, or -1. */
static int redis_socket(void)
{
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in peer;
        socklen_t len = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0) continue;
        if (peer.sin_family == AF_INET && ntohs(peer.sin_port) == redis_port) return fd;
    }
    return -1;
}

/* ?w=: has the core do nothing else until Redis has ended a connection, and then asks on that. */
static void on_late(torc_req *rq, void *arg)
{
    struct pollfd p = {.fd = redis_socket()};
    if (p.fd < 0) abort();
    fprintf(stderr, "holds the core\n");
    while (poll(&p, 1, -1) < 0) continue; /* POLLHUP is always looked for */
    on_run(rq, arg);
}

/* ---- many ---- */

static int echo(torc_req *rq, void *arg)
{
    char text[32];
    torc_redis_reply *r;
    snprintf(text, sizeof text, "echo %u", *(unsigned *)arg);
    int err = torc_redis_command(rq, redis, &r, "ECHO %s", text);
    if (err == 0 && !is(torc_redis_text(r), text)) abort();
    torc_redis_reply_free(r);
    return err;
}

/* ?n=: that many commands at once. */
static void on_many(torc_req *rq, void *arg)
{
    unsigned n = number(rq, "n", 1), *id = torc_alloc(rq, n * sizeof *id);
    torc_group *g = torc_group_open(rq);
    (void)arg;
    for (unsigned i = 0; i < n; i++) {
        id[i] = i;
        torc_spawn(g, echo, &id[i]);
    }
    int err = torc_group_join(g);
    torc_replyf(rq, 200, "%s", err ? name_of(err) : "done");
}

/* ---- publish/subscribe ---- */

/* ?c=CHANNEL (or p=PATTERN)&n=: writes a line for each of n messages. */
static void on_subscribe(torc_req *rq, void *arg)
{
    torc_slice names[WORDS_MAX], channel, message;
    torc_redis_sub *sub;
    (void)arg;
    size_t n = gather(rq, "c", names);
    int err = n ? torc_redis_subscribe(rq, redis, n, names, &sub)
                : torc_redis_psubscribe(rq, redis, gather(rq, "p", names), names, &sub);
    if (err) {
        torc_replyf(rq, 200, "!%s", name_of(err));
        return;
    }
    torc_start(rq, 200, "text/plain", -1);
    torc_write(rq, "subscribed\n", 11);
    for (unsigned left = number(rq, "n", 1); left > 0;) {
        err = torc_redis_next(rq, sub, &channel, &message);
        if (err < 0) break;
        if (err) {
            torc_write(rq, "resubscribed\n", 13);
            continue;
        }
        char *line = NULL; /* in one write, so that it is one chunk */
        int len = asprintf(&line, "%.*s: %.*s\n", (int)channel.len, channel.ptr, (int)message.len,
                           message.ptr);
        if (len < 0) abort();
        torc_write(rq, line, (size_t)len);
        free(line);
        left--;
    }
    fprintf(stderr, "subscription ended with %s\n", err < 0 ? name_of(err) : "all");
    if (number(rq, "close", 0)) torc_redis_unsubscribe(sub);
}

/* ---- names ---- */

struct torc_host_addr;
int __real_torc_host_find(torc_req *rq, const char *to, struct torc_host_addr *out); /* NOLINT */
int __wrap_torc_host_find(torc_req *rq, const char *to, struct torc_host_addr *out); /* NOLINT */

/* "moving:1" is where the file REDIS_MOVING of the environment says. */
int __wrap_torc_host_find(torc_req *rq, const char *to, struct torc_host_addr *out) /* NOLINT */
{
    char address[64];
    const char *path = getenv("REDIS_MOVING");
    FILE *f = path && is(TORC_S("moving:1"), to) ? fopen(path, "re") : NULL;
    if (!f) return __real_torc_host_find(rq, to, out);
    if (!fgets(address, sizeof address, f)) abort();
    fclose(f);
    return __real_torc_host_find(rq, address, out);
}

/* ---- memory ---- */

void *__real_realloc(void *p, size_t n); /* NOLINT */
void *__wrap_realloc(void *p, size_t n); /* NOLINT */

static atomic_size_t most;

/* ?most=: the pool's buffers grow to so many bytes; 0: to any number. */
static void on_memory(torc_req *rq, void *arg)
{
    (void)arg;
    most = number(rq, "most", 0);
    torc_replyf(rq, 200, "set");
}

void *__wrap_realloc(void *p, size_t n) /* NOLINT */
{
    return most && n > most ? NULL : __real_realloc(p, n);
}

/* ---- the clock ---- */

struct torc_host;
uint64_t __real_torc_host_now(const struct torc_host *h); /* NOLINT */
uint64_t __wrap_torc_host_now(const struct torc_host *h); /* NOLINT */

static atomic_bool stands;
static atomic_ullong ahead;

/* ?ms=: the pool's clock stands still from now on, so much further than it stood. */
static void on_clock(torc_req *rq, void *arg)
{
    (void)arg;
    ahead += number(rq, "ms", 0) * 1000000ull;
    stands = true;
    torc_replyf(rq, 200, "set");
}

uint64_t __wrap_torc_host_now(const struct torc_host *h) /* NOLINT */
{
    static uint64_t first;
    if (!stands) return __real_torc_host_now(h);
    if (!first) first = __real_torc_host_now(h);
    return first + ahead;
}

/* ---- the server ---- */

static int serve(torc_server *s, int argc, char **argv)
{
    static const struct {
        const char *path;
        torc_handler *fn;
    } routes[] = {
        {"/run", on_run},           {"/format", on_format},       {"/zeros", on_zeros},
        {"/many", on_many},         {"/subscribe", on_subscribe}, {"/hold", on_hold},
        {"/patience", on_patience}, {"/memory", on_memory},       {"/clock", on_clock},
        {"/late", on_late},
    };
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (torc_route(s, "GET", routes[i].path, routes[i].fn, NULL) < 0) return 1;
    if (torc_metrics_add(s, torc_redis_metrics, redis) < 0) return 1;
    return torc_server_main(s, argc, argv);
}

/* REDIS_OPTIONS in the environment: "address password database connections own queue timeout". */
int main(int argc, char **argv)
{
    char address[128] = "", password[64] = "";
    torc_redis_options o = {.address = address};
    const char *given = getenv("REDIS_OPTIONS");
    if (given)
        sscanf(given, "%127s %63s %u %u %u %u %u", address, password, &o.database, &o.connections,
               &o.own_connections, &o.queue, &o.connect_timeout);
    if (password[0] && password[0] != '-') o.password = password;
    if (strrchr(address, ':')) redis_port = (unsigned)strtoul(strrchr(address, ':') + 1, NULL, 10);
    redis = torc_redis_new(given ? &o : NULL);
    if (!redis) {
        fprintf(stderr, "torc_redis_new: %s\n", name_of(-errno));
        return 1;
    }
    torc_server *s = torc_server_new("redis 1.0");
    int status = s ? serve(s, argc, argv) : 1;
    torc_server_free(s);
    torc_redis_free(redis);
    return status;
}
