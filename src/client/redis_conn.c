/* One connection: connecting, its greeting, writing what is asked and reading what is answered. It
 * closes only in its own callbacks, at their end, so that nobody finds it gone in between. */

#include "client/redis.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READS = 16, /* of up to 16 KiB, before the core turns to others */
    READ_SIZE = 16 * 1024,
};

/* Between two tries of a Unix socket whose queue is full; a non-blocking connect does not wait for
 * it (connect(2), EAGAIN). */
#define QUEUE_PAUSE (5 * UINT64_C(1000000))

/* ---- closing ---- */

static void fail_entries(struct list *entries, int err)
{
    for (struct list *l; (l = list_pop(entries));) {
        struct redis_entry *e = container_of(l, struct redis_entry, link);
        e->done(e, NULL, err);
    }
}

/* They wait though the connection is ready. */
static void fail_without_memory(struct redis_conn *c)
{
    if (c->state == REDIS_READY) fail_entries(&c->waiting, -ENOMEM);
}

static void drop_socket(struct redis_conn *c)
{
    if (c->source) torc_source_free(c->source); /* which what fails may still have set */
    if (c->fd >= 0) close(c->fd);
    redis_out_clear(&c->out);
    redis_reader_clear(&c->reader);
}

/* A server that does not let a connection in reads nothing of it: what was sent is as if it waited
 * still. */
static void unsend(struct redis_conn *c)
{
    for (struct list *l; (l = list_pop(&c->sent));) {
        container_of(l, struct redis_entry, link)->sent = false;
        list_push(&c->waiting, l);
    }
    c->n_sent = 0;
}

/* The server's own reason is better than any error. What it quotes may be the password, as where it
 * does not know AUTH. */
static void say_why(struct redis_conn *c, int err, bool ended)
{
    const char *why = ended ? "it has ended the connection" : strerror(-err);
    if (c->refusal) {
        c->refusal->text[strcspn(c->refusal->text, "\"'`")] = '\0';
        why = c->refusal->text;
    }
    redis_pool_failed(c->pool, err, why);
}

/* The connection never opened. Where a greeting or the refusal tells that nothing was read, what
 * waits for it does not fail as what was sent. */
static int fail_to_open(struct redis_conn *c, int err)
{
    struct redis_pool *p = c->pool;
    bool ended = err == -ECONNABORTED;
    if (ended) err = -ECONNREFUSED;
    if (c->refusal) unsend(c);
    counter_add(&redis_counters(p)->commands, c->n_sent);
    for (struct list *l = c->waiting.next; l != &c->waiting; l = l->next)
        redis_refuse_entry(p, container_of(l, struct redis_entry, link), err);
    if (!c->doomed && !p->stopping) say_why(c, err, ended);
    return err;
}

void redis_conn_close(struct redis_conn *c, int err)
{
    struct redis_pool *p = c->pool;
    torc_redis_counters *n = redis_counters(p);
    fail_without_memory(c);
    int not_sent = c->opened ? err : fail_to_open(c, err);
    c->state = REDIS_CLOSED;
    list_unlink(&c->all);
    list_unlink(&c->link);
    if (c->opened) counter_set(&n->connections, n->connections - 1);
    counter_add(&n->lost, c->n_sent);
    fail_entries(&c->sent, err);
    fail_entries(&c->waiting, not_sent);
    if (c->sub) redis_sub_lost(c->sub, not_sent);
    redis_own_closing(c);
    drop_socket(c);
    redis_reply_free(c->refusal);
    redis_pool_schedule(p);
    free(c);
}

void redis_conn_doom(struct redis_conn *c)
{
    c->doomed = true;
    torc_source_schedule(c->source);
}

/* ---- writing ---- */

/* Also where the kernel takes no more for now: `ready` goes on. */
static bool flush(struct redis_conn *c)
{
    if (!redis_out_send(&c->out, c->fd)) return false;
    redis_conn_watch(c);
    return true;
}

void redis_conn_watch(struct redis_conn *c)
{
    bool reads = !c->sub || redis_sub_reads(c->sub);
    bool writes = c->state == REDIS_CONNECTING || !redis_out_is_empty(&c->out);
    if (c->state == REDIS_CLOSED) return;
    if (c->state == REDIS_CONNECTING) reads = false;
    /* With nothing to wait for, only an error of the socket. */
    torc_source_watch(c->source, c->fd, (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)));
}

void redis_conn_give(struct redis_conn *c, struct redis_entry *e)
{
    if (c->state != REDIS_READY || !redis_out_add(&c->out, e->bytes, e->len)) {
        list_push(&c->waiting, &e->link);
        torc_source_schedule(c->source);
        return;
    }
    e->sent = true;
    if (c->opened) counter_add(&redis_counters(c->pool)->commands, 1);
    list_push(&c->sent, &e->link);
    c->n_sent++;
    torc_source_schedule(c->source);
}

/* ---- the greeting ---- */

static bool greet(struct redis_conn *c, int n, const char **words)
{
    char *bytes = NULL;
    int len = (int)redisFormatCommandArgv(&bytes, n, words, NULL);
    bool fine = len >= 0 && redis_out_add(&c->out, bytes, (size_t)len);
    redisFreeCommand(bytes);
    c->n_greeting++;
    return fine;
}

static bool send_greeting(struct redis_conn *c)
{
    const torc_redis_options *o = &c->pool->r->o;
    bool fine = true;
    char database[16];
    snprintf(database, sizeof database, "%u", o->database);
    if (o->password && o->user)
        fine &= greet(c, 3, (const char *[]){"AUTH", o->user, o->password});
    else if (o->password)
        fine &= greet(c, 2, (const char *[]){"AUTH", o->password});
    if (o->database) fine &= greet(c, 2, (const char *[]){"SELECT", database});
    if (c->own) fine &= greet(c, 2, (const char *[]){"CLIENT", "ID"});
    c->state = REDIS_GREETING;
    return fine;
}

/* The server has let it in. What was sent before it said so counts now. */
static void opened(struct redis_conn *c)
{
    torc_redis_counters *n = redis_counters(c->pool);
    c->opened = true;
    counter_add(&n->connects, 1);
    counter_set(&n->connections, n->connections + 1);
    counter_add(&n->commands, c->n_sent);
    redis_pool_connected(c->pool);
}

/* Nothing is due before the commands. 0 or -ENOMEM. */
static int ready(struct redis_conn *c)
{
    struct list waiting;
    c->state = REDIS_READY;
    torc_source_alarm(c->source, UINT64_MAX);
    redis_pool_schedule(c->pool);
    list_move(&c->waiting, &waiting);
    for (struct list *l; (l = list_pop(&waiting));)
        redis_conn_give(c, container_of(l, struct redis_entry, link));
    if (c->sub && !redis_sub_ask(c->sub, &c->out)) return -ENOMEM;
    torc_source_schedule(c->source);
    return 0;
}

/* Why the connection does not open; returns what to close it with. */
static int refused(struct redis_conn *c, torc_redis_reply *r, int err)
{
    c->refusal = r;
    return err;
}

/* 0, or the error to close with. */
static int take_greeting(struct redis_conn *c, torc_redis_reply *r)
{
    bool is_id = c->own && c->n_greeting == 1; /* CLIENT ID is the last, and not needed */
    if (r->type == TORC_REDIS_ERROR && !is_id) return refused(c, r, -EACCES);
    if (r->type == TORC_REDIS_INTEGER) c->id = r->integer;
    redis_reply_free(r);
    if (--c->n_greeting > 0) return 0;
    opened(c);
    return ready(c);
}

/* ---- not let in ---- */

/* Whether that answers nothing: what the server says to whom it does not let in. It reads nothing
 * of them, and hangs up. */
static bool is_unasked(const struct redis_conn *c, const torc_redis_reply *r)
{
    if (c->opened || r->type != TORC_REDIS_ERROR) return false;
    return strncmp(r->text, "ERR max number of clients", 25) == 0 ||
           (strncmp(r->text, "DENIED ", 7) == 0 && strstr(r->text, "protected mode"));
}

/* ---- reading ---- */

static void answer(struct redis_entry *e, torc_redis_reply *r)
{
    bool too_deep = r->too_deep;
    if (too_deep) redis_reply_free(r);
    e->done(e, too_deep ? NULL : r, too_deep ? -EMSGSIZE : 0);
}

static int take_reply(struct redis_conn *c, torc_redis_reply *r)
{
    if (is_unasked(c, r)) return refused(c, r, -ECONNREFUSED);
    if (c->state == REDIS_GREETING) return take_greeting(c, r);
    if (!c->opened) opened(c);
    struct list *l = list_pop(&c->sent);
    if (l) {
        struct redis_entry *e = container_of(l, struct redis_entry, link);
        c->n_sent--;
        if (r->type == TORC_REDIS_ERROR) counter_add(&redis_counters(c->pool)->errors, 1);
        answer(e, r);
    } else if (c->sub) {
        redis_sub_push(c->sub, r);
    } else {
        redis_reply_free(r);
        return -EPROTO;
    }
    return 0;
}

static int take_replies(struct redis_conn *c)
{
    for (;;) {
        torc_redis_reply *reply;
        int err = redis_reader_next(&c->reader, &reply);
        if (!err && !reply) return 0;
        if (!err) err = take_reply(c, reply);
        if (err) return err;
    }
}

/* 1 if something came, 0 if there is nothing, or the error to close with. */
static int receive(struct redis_conn *c)
{
    for (int i = 0; i < READS; i++) {
        char *room = redis_reader_room(&c->reader, READ_SIZE);
        if (!room) return -ENOMEM;
        ssize_t n = read(c->fd, room, READ_SIZE);
        if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -ECONNABORTED;
        if (n == 0) return -ECONNABORTED;
        redis_reader_came(&c->reader, (size_t)n);
        int err = take_replies(c);
        if (err) return err;
        if (c->sub && !redis_sub_reads(c->sub)) return 0;
        if (n < READ_SIZE) break;
    }
    return 1;
}

/* Sends what there is. Where the server has hung up, what it answered before that counts still.
 * 0 or the error to close with. */
static int send_all(struct redis_conn *c)
{
    int err = 1;
    fail_without_memory(c);
    if (flush(c)) return 0;
    while (err > 0) err = receive(c);
    return err < 0 ? err : -ECONNABORTED;
}

/* ---- connecting ---- */

static void on_ready(void *arg, int events);
static void on_task(void *arg);
static void on_alarm(void *arg);

static const struct torc_source_ops ops = {.ready = on_ready, .alarm = on_alarm, .task = on_task};

static uint64_t connect_ns(const struct redis_conn *c)
{
    return (uint64_t)c->pool->r->o.connect_timeout * 1000000;
}

/* In place of the one before, if any. */
static int use_socket(struct redis_conn *c, int fd, bool queue_full)
{
    struct torc_source *source = torc_source_new(c->pool->host, &ops, c);
    if (!source) {
        close(fd);
        return -ENOMEM;
    }
    drop_socket(c);
    c->fd = fd;
    c->source = source;
    c->queue_full = queue_full;
    c->connect_by = torc_host_now(c->pool->host) + connect_ns(c);
    torc_source_alarm(c->source, queue_full ? QUEUE_PAUSE : connect_ns(c));
    if (!queue_full) redis_conn_watch(c);
    return 0;
}

/* Begins to connect to the first of the addresses left that a socket can be had for; `err` is what
 * the one before failed with. 0, or why there is none. */
static int connect_next(struct redis_conn *c, int err)
{
    while (c->n_tried < c->n_addrs) {
        const struct torc_host_addr *to = &c->addr[c->n_tried++];
        int fd = redis_socket_new(to);
        err = fd < 0 ? fd : redis_socket_connect(fd, to);
        if (err == 0 || err == -EAGAIN) return use_socket(c, fd, err != 0);
        if (fd >= 0) close(fd);
    }
    return err;
}

/* Tries a Unix socket once more. */
static int connect_again(struct redis_conn *c)
{
    uint64_t now = torc_host_now(c->pool->host);
    int err = redis_socket_connect(c->fd, &c->addr[c->n_tried - 1]);
    bool late = now >= c->connect_by;
    if (err == -EAGAIN && late) err = -ETIMEDOUT;
    if (err && err != -EAGAIN) return connect_next(c, err);
    c->queue_full = err != 0;
    torc_source_alarm(c->source, err ? QUEUE_PAUSE : late ? 0 : c->connect_by - now);
    if (!err) redis_conn_watch(c);
    return 0;
}

/* ---- callbacks ---- */

static int finish_connect(struct redis_conn *c)
{
    int err = 0;
    socklen_t len = sizeof err;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0) err = errno;
    if (err) return connect_next(c, -err);
    if (!send_greeting(c)) return -ENOMEM;
    return c->n_greeting == 0 ? ready(c) : 0;
}

static void on_ready(void *arg, int events)
{
    struct redis_conn *c = arg;
    int err = 0;
    if (events < 0)
        err = events;
    else if (c->state == REDIS_CONNECTING)
        err = finish_connect(c);
    else if (events & (POLLIN | POLLERR | POLLHUP))
        err = receive(c);
    if (err >= 0 && c->doomed) err = -ECONNABORTED;
    if (err >= 0 && c->state != REDIS_CONNECTING) err = send_all(c);
    if (err < 0) redis_conn_close(c, err);
}

static void on_task(void *arg)
{
    struct redis_conn *c = arg;
    int err = c->doomed ? -ECONNABORTED : 0;
    if (!err && c->state == REDIS_READY) err = send_all(c);
    if (err) redis_conn_close(c, err);
}

static void on_alarm(void *arg)
{
    struct redis_conn *c = arg;
    int err = -ETIMEDOUT;
    if (c->state == REDIS_READY) {
        redis_own_alarm(c);
        return;
    }
    if (c->state == REDIS_CONNECTING) err = c->queue_full ? connect_again(c) : connect_next(c, err);
    if (err) redis_conn_close(c, err);
}

/* ---- beginning ---- */

struct redis_conn *redis_conn_start(struct redis_pool *p, bool own, struct torc_redis_sub *sub,
                                    int *err)
{
    struct redis_conn *c = calloc(1, sizeof *c);
    *err = -ENOMEM;
    if (c) {
        *c = (struct redis_conn){
            .pool = p, .fd = -1, .own = own, .slot = own, .sub = sub, .n_addrs = p->n_addrs};
        list_init(&c->link);
        list_init(&c->waiting);
        list_init(&c->sent);
        memcpy(c->addr, p->addr, sizeof c->addr);
        *err = connect_next(c, -ECONNREFUSED);
    }
    if (*err) {
        redis_pool_failed(p, *err, strerror(-*err));
        free(c);
        return NULL;
    }
    list_push(&p->conns, &c->all);
    return c;
}
