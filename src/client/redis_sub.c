/* A subscription: its connection, the messages that nobody has taken yet, and its reconnects. */

#include "client/redis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEPT = 1024,          /* messages, and */
    KEPT_BYTES = 1 << 20, /* bytes of them, at which the connection is not read any more */
    RETRY_MS = 100,       /* to the next attempt to connect; doubles up to RETRY_MAX_MS */
    RETRY_MAX_MS = 2000,
};

struct torc_redis_sub {
    struct torc_host_cleanup cleanup;
    struct redis_pool *pool;
    struct redis_conn *conn; /* NULL: lost */
    char *bytes;             /* the command that subscribes */
    size_t len;
    size_t n, confirmed;             /* channels */
    torc_redis_reply *refused;       /* what the server has against it */
    torc_redis_reply *first, **last; /* messages */
    size_t kept, kept_bytes;
    torc_redis_reply *current;   /* the message that was handed out */
    struct torc_host_wait *wait; /* of the fiber that waits */
    bool busy;                   /* a fiber is in torc_redis_next */
    int error;                   /* why it was lost */
};

/* ---- what comes from the connection ---- */

static void wake(struct torc_redis_sub *s)
{
    if (s->wait) torc_host_wake(s->wait, 0);
    s->wait = NULL;
}

bool redis_sub_ask(const struct torc_redis_sub *s, struct redis_out *out)
{
    return redis_out_add(out, s->bytes, s->len);
}

bool redis_sub_reads(const struct torc_redis_sub *s)
{
    return s->kept < KEPT && s->kept_bytes < KEPT_BYTES;
}

static torc_slice word(const torc_redis_reply *r, size_t from_last)
{
    size_t n = torc_redis_elements(r);
    return torc_redis_text(from_last < n ? torc_redis_element(r, n - 1 - from_last) : NULL);
}

/* ["message", channel, text] or ["pmessage", pattern, channel, text]; "subscribe" and
 * "psubscribe" end with a number. */
static bool is_message(const torc_redis_reply *r)
{
    return torc_redis_elements(r) >= 3 && word(r, 0).ptr;
}

static void keep(struct torc_redis_sub *s, torc_redis_reply *r)
{
    *s->last = r;
    s->last = &r->next;
    s->kept++;
    s->kept_bytes += word(r, 0).len;
}

void redis_sub_push(struct torc_redis_sub *s, torc_redis_reply *r)
{
    if (is_message(r)) {
        keep(s, r);
    } else if (r->type == TORC_REDIS_ERROR && !s->refused) {
        s->refused = r;
    } else {
        s->confirmed++;
        redis_reply_free(r);
    }
    wake(s);
}

void redis_sub_lost(struct torc_redis_sub *s, int err)
{
    s->conn = NULL;
    s->error = err;
    wake(s);
}

/* ---- waiting ---- */

static void drop_connection(struct torc_redis_sub *s)
{
    if (!s->conn) return;
    s->conn->sub = NULL;
    redis_conn_doom(s->conn);
    s->conn = NULL;
}

struct sub_wait {
    struct torc_host_wait wait;
    struct torc_redis_sub *sub;
};

static void on_leave(struct torc_host_wait *w)
{
    container_of(w, struct sub_wait, wait)->sub->wait = NULL;
}

/* Until something has come. 0 or the scope's error. */
static int await(torc_req *rq, struct torc_redis_sub *s)
{
    int err;
    struct sub_wait w = {{.leave = on_leave}, s};
    if (!torc_host_of(rq, &err)) return err;
    s->wait = &w.wait;
    return torc_host_park(rq, &w.wait, "redis message");
}

/* Connects and subscribes. 0; 1 if it may be tried again, with s->error set; or an error for the
 * caller. */
static int connect_once(torc_req *rq, struct torc_redis_sub *s)
{
    int err = 0;
    redis_reply_free(s->refused);
    s->refused = NULL;
    s->confirmed = 0;
    s->error = 0;
    s->conn = redis_sub_connect(s->pool, s, &s->error);
    while (s->conn && !s->refused && s->confirmed < s->n && !err) err = await(rq, s);
    if (err || s->refused) drop_connection(s);
    if (err) return err;
    if (s->refused) return -EREMOTEIO;
    if (s->confirmed >= s->n) return 0;
    return s->error == -EACCES || s->error == -ENOMEM ? s->error : 1;
}

/* Where nobody can say now where the server is, it may be where it was. */
static int connect_again(torc_req *rq, struct torc_redis_sub *s)
{
    int err;
    redis_pool_locate(rq, s->pool);
    return torc_host_of(rq, &err) ? connect_once(rq, s) : err;
}

static int reconnect(torc_req *rq, struct torc_redis_sub *s)
{
    for (unsigned ms = RETRY_MS;; ms = ms < RETRY_MAX_MS / 2 ? 2 * ms : RETRY_MAX_MS) {
        int result = connect_again(rq, s);
        if (result <= 0) return result;
        result = torc_sleep(rq, ms);
        if (result < 0) return result;
    }
}

/* ---- life ---- */

static void free_messages(struct torc_redis_sub *s)
{
    for (torc_redis_reply *r; (r = s->first);) {
        s->first = r->next;
        redis_reply_free(r);
    }
    s->last = &s->first;
}

static void close_sub(struct torc_redis_sub *s)
{
    drop_connection(s);
    free_messages(s);
    redis_reply_free(s->current);
    redis_reply_free(s->refused);
    redis_slot_give(s->pool);
    redisFreeCommand(s->bytes);
    free(s);
}

static void on_request_end(struct torc_host_cleanup *c)
{
    close_sub(container_of(c, struct torc_redis_sub, cleanup));
}

static int open_sub(torc_req *rq, struct redis_pool *p, struct torc_redis_sub *s)
{
    int err = redis_slot_take(rq, p);
    if (err) return err;
    s->pool = p;
    s->last = &s->first;
    err = torc_host_of(rq, &err) ? connect_once(rq, s) : err;
    return err > 0 ? s->error : err;
}

static int subscribe(torc_req *rq, torc_redis *r, const char *command, size_t n,
                     const torc_slice *names, torc_redis_sub **sub)
{
    int err;
    *sub = NULL;
    if (n == 0) return -EINVAL;
    struct redis_pool *p = redis_pool_of(r, rq, &err);
    if (!p) return err;
    struct torc_redis_sub *s = calloc(1, sizeof *s);
    int len = s ? redis_format_words(command, n, names, &s->bytes) : -1;
    if (len < 0) {
        free(s);
        return len == -1 ? -ENOMEM : -EINVAL;
    }
    s->len = (size_t)len;
    s->n = n;
    err = open_sub(rq, p, s);
    if (err) {
        if (s->pool) {
            close_sub(s);
        } else {
            redisFreeCommand(s->bytes);
            free(s);
        }
        return err;
    }
    s->cleanup.fn = on_request_end;
    torc_host_hold(rq, &s->cleanup);
    *sub = s;
    return 0;
}

/* ---- interface ---- */

int torc_redis_subscribe(torc_req *rq, torc_redis *r, size_t n, const torc_slice *channels,
                         torc_redis_sub **sub)
{
    return subscribe(rq, r, "SUBSCRIBE", n, channels, sub);
}

int torc_redis_psubscribe(torc_req *rq, torc_redis *r, size_t n, const torc_slice *patterns,
                          torc_redis_sub **sub)
{
    return subscribe(rq, r, "PSUBSCRIBE", n, patterns, sub);
}

static void hand_out(struct torc_redis_sub *s, torc_slice *channel, torc_slice *message)
{
    torc_redis_reply *r = s->first;
    bool was_full = !redis_sub_reads(s);
    s->first = r->next;
    if (!s->first) s->last = &s->first;
    s->kept--;
    s->kept_bytes -= word(r, 0).len;
    s->current = r;
    if (channel) *channel = word(r, 1);
    if (message) *message = word(r, 0);
    if (was_full && s->conn) redis_conn_watch(s->conn);
}

static int next(torc_req *rq, struct torc_redis_sub *s, torc_slice *channel, torc_slice *message)
{
    int err;
    if (!torc_host_of(rq, &err)) return err;
    for (; !err && !s->first; err = await(rq, s)) {
        if (s->conn) continue;
        err = reconnect(rq, s);
        return err ? err : TORC_REDIS_RESUBSCRIBED;
    }
    if (!err) hand_out(s, channel, message);
    return err;
}

int torc_redis_next(torc_req *rq, torc_redis_sub *sub, torc_slice *channel, torc_slice *message)
{
    if (sub->busy) return -EBUSY;
    if (channel) *channel = (torc_slice){NULL, 0};
    if (message) *message = (torc_slice){NULL, 0};
    redis_reply_free(sub->current);
    sub->current = NULL;
    sub->busy = true;
    int result = next(rq, sub, channel, message);
    sub->busy = false;
    return result;
}

void torc_redis_unsubscribe(torc_redis_sub *sub)
{
    if (!sub) return;
    torc_host_let_go(&sub->cleanup);
    close_sub(sub);
}
