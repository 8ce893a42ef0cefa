/* Commands that block in the server, each on a connection of its own, and how they end early: the
 * connection stays, and CLIENT UNBLOCK on another one has the server end the command. The reply
 * then says whether something was popped before; a connection that is closed instead would not. */

#include "client/redis.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_NS (20 * UINT64_C(1000000)) /* from one attempt to the next */

struct redis_unblock {
    struct redis_entry entry;
    struct redis_conn *conn; /* NULL once it is closed */
    char bytes[96];
};

/* ---- ending a command ---- */

static void on_unblocked(struct redis_entry *e, torc_redis_reply *reply, int err)
{
    struct redis_unblock *u = container_of(e, struct redis_unblock, entry);
    struct redis_conn *c = u->conn;
    bool ended = torc_redis_integer(reply) == 1;
    bool may_come = err && e->sent; /* and would end whatever is asked next */
    bool refused = torc_redis_type(reply) == TORC_REDIS_ERROR;
    free(u);
    redis_reply_free(reply);
    if (!c) return;
    c->unblock = NULL;
    if (refused || (c->finished && may_come))
        redis_conn_doom(c);
    else if (c->finished)
        redis_own_release(c);
    else if (!ended) /* the server has not seen the command yet, or could not be asked */
        torc_source_alarm(c->source, AGAIN_NS);
}

static void unblock(struct redis_conn *c)
{
    struct redis_unblock *u = calloc(1, sizeof *u);
    if (u) {
        char id[24];
        int digits = snprintf(id, sizeof id, "%" PRId64, c->id);
        int len = snprintf(u->bytes, sizeof u->bytes,
                           "*3\r\n$6\r\nCLIENT\r\n$7\r\nUNBLOCK\r\n$%d\r\n%s\r\n", digits, id);
        u->conn = c;
        u->entry = (struct redis_entry){
            .bytes = u->bytes, .len = (size_t)len, .again = true, .done = on_unblocked};
        if (redis_pool_add(c->pool, &u->entry) == 0) {
            c->unblock = u;
            return;
        }
        free(u);
    }
    torc_source_alarm(c->source, AGAIN_NS);
}

void redis_own_alarm(struct redis_conn *c)
{
    if (c->leaving && !c->unblock) unblock(c);
}

void redis_own_leave(struct redis_conn *c)
{
    c->leaving = true;
    c->pool->n_left++;
    if (c->id)
        unblock(c);
    else
        redis_conn_doom(c);
}

void redis_own_left(struct redis_conn *c)
{
    c->leaving = false;
    c->pool->n_left--;
    torc_source_alarm(c->source, UINT64_MAX);
    if (c->unblock)
        c->finished = true;
    else
        redis_own_release(c);
}

void redis_own_release(struct redis_conn *c)
{
    struct redis_pool *p = c->pool;
    if (c->state == REDIS_CLOSED) return;
    c->finished = c->slot = false;
    if (p->n_idle < REDIS_IDLE) {
        if (c->state == REDIS_READY)
            list_push_front(&p->idle, &c->link);
        else
            list_push(&p->idle, &c->link); /* the last to be taken */
        c->idle = true;
        p->n_idle++;
    } else {
        redis_conn_doom(c);
    }
    redis_slot_give(p);
}

void redis_own_closing(struct redis_conn *c)
{
    if (c->idle) c->pool->n_idle--;
    if (c->slot) redis_slot_give(c->pool);
    if (c->unblock) c->unblock->conn = NULL;
}

/* ---- putting back ---- */

struct put_back {
    struct redis_entry entry;
    struct redis_pool *pool;
};

static void warn_lost(struct redis_pool *p, const char *why)
{
    torc_host_warn(p->host, TORC_HOST_NOTICE,
                   "redis at %s: what a request had popped when it ended is lost: %s",
                   p->r->o.address, why);
}

static void on_put_back(struct redis_entry *e, torc_redis_reply *reply, int err)
{
    struct put_back *b = container_of(e, struct put_back, entry);
    if (err)
        warn_lost(b->pool, strerror(-err));
    else if (torc_redis_type(reply) == TORC_REDIS_ERROR)
        warn_lost(b->pool, reply->text);
    b->pool->n_left--;
    redis_reply_free(reply);
    redisFreeCommand(e->bytes);
    free(b);
}

static void send_back(struct redis_pool *p, size_t n, const torc_slice *words)
{
    struct put_back *b = calloc(1, sizeof *b);
    char *bytes = NULL;
    int len = b ? redis_format_words(NULL, n, words, &bytes) : -1;
    if (len < 0) {
        free(b);
        warn_lost(p, len == -1 ? strerror(ENOMEM) : "it has 2 GiB or more");
        return;
    }
    *b = (struct put_back){{.bytes = bytes, .len = (size_t)len, .done = on_put_back}, p};
    p->n_left++;
    int err = redis_pool_add(p, &b->entry);
    if (err) on_put_back(&b->entry, NULL, err);
}

/* Up to here, the command and the key: "LPUSH key" or "ZADD key NX". */
enum { WORDS_BEFORE = 3 };

struct words {
    torc_slice *word;
    size_t n;
};

static void add(struct words *w, torc_slice text)
{
    w->word[w->n++] = text;
}

/* "value", or an array of them: the last that was popped goes in first. */
static void add_values(struct words *w, const torc_redis_reply *popped)
{
    if (torc_redis_type(popped) != TORC_REDIS_ARRAY) add(w, torc_redis_text(popped));
    for (size_t i = torc_redis_elements(popped); i > 0; i--)
        add(w, torc_redis_text(torc_redis_element(popped, i - 1)));
}

static void add_member(struct words *w, const torc_redis_reply *member,
                       const torc_redis_reply *score)
{
    add(w, torc_redis_text(score));
    add(w, torc_redis_text(member));
}

/* [key, member, score], or [key, [[member, score]...]]. */
static void add_members(struct words *w, const torc_redis_reply *r)
{
    const torc_redis_reply *pairs = torc_redis_element(r, 1);
    if (r->n == 3) add_member(w, pairs, torc_redis_element(r, 2));
    for (size_t i = 0; i < torc_redis_elements(pairs); i++) {
        const torc_redis_reply *pair = torc_redis_element(pairs, i);
        add_member(w, torc_redis_element(pair, 0), torc_redis_element(pair, 1));
    }
}

void redis_put_back(struct redis_pool *p, enum redis_back back, torc_redis_reply *reply)
{
    if (back == BACK_NOTHING || torc_redis_elements(reply) < 2) {
        redis_reply_free(reply);
        return;
    }
    size_t most = WORDS_BEFORE + 2 + 2 * torc_redis_elements(torc_redis_element(reply, 1));
    struct words w = {.word = calloc(most, sizeof *w.word)};
    if (w.word) {
        add(&w, back == BACK_ZADD    ? TORC_S("ZADD")
                : back == BACK_LPUSH ? TORC_S("LPUSH")
                                     : TORC_S("RPUSH"));
        add(&w, torc_redis_text(torc_redis_element(reply, 0)));
        if (back == BACK_ZADD) {
            add(&w, TORC_S("NX"));
            add_members(&w, reply);
        } else {
            add_values(&w, torc_redis_element(reply, 1));
        }
        send_back(p, w.n, w.word);
    } else {
        warn_lost(p, strerror(ENOMEM));
    }
    free(w.word);
    redis_reply_free(reply);
}
