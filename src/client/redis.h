#pragma once
/* Inside of libtorc-redis. An entry is a command on its way to its reply; a connection gets entries
 * from its pool, or is taken by one command that blocks, or by one subscription.
 *
 * hiredis puts commands in the form in which they are sent. Its asynchronous API is not used: it
 * frees each reply when a callback returns, while a fiber wants to keep it. Nor is its reader, for
 * what redis_reader.c says, nor its output buffer, which crashes when out of memory. The socket is
 * connected here, as hiredis would look up names, which blocks; the fiber of a command does that
 * before. */

#include "base/assert.h"
#include "base/counter.h"
#include "base/list.h"
#include "client/host.h"
#include "torc/redis.h"

#include <hiredis.h>

enum {
    REDIS_CORES = 1024,
    REDIS_IDLE = 8,   /* connections kept for the next command that blocks */
    REDIS_DEPTH = 64, /* arrays of a reply in each other */
};

/* Of one core; other threads read it. */
struct redis_counts {
    _Alignas(64) torc_redis_counters of;
};

struct torc_redis {
    torc_redis_options o; /* its texts are ours */
    struct redis_pool *_Atomic pool[REDIS_CORES];
    struct redis_counts counts[REDIS_CORES];
};

/* ---- replies ---- */

struct torc_redis_reply {
    enum torc_redis_type type;
    bool is_root;                  /* no element of another */
    bool too_deep;                 /* has arrays deeper than REDIS_DEPTH, which are nil */
    struct torc_redis_reply *next; /* in a subscription's queue, or to be freed */
    union {
        int64_t integer;
        struct torc_redis_reply **element;
    };
    size_t n; /* bytes of the text, or elements */
    char text[];
};

/* NULL if out of memory. The elements of an array are NULL at first, to be set in order. */
torc_redis_reply *redis_reply_nil(bool is_root);
torc_redis_reply *redis_reply_integer(bool is_root, int64_t value);
torc_redis_reply *redis_reply_text(bool is_root, enum torc_redis_type type, torc_slice text);
torc_redis_reply *redis_reply_array(bool is_root, size_t n);

/* Ties it to the request; NULL and errors are passed on: see torc_redis_command. */
int redis_reply_give(torc_req *rq, torc_redis_reply *r, int err, torc_redis_reply **out);

void redis_reply_free(torc_redis_reply *r);

/* ---- reading ---- */

struct redis_level {
    torc_redis_reply *array;
    size_t filled; /* elements */
};

/* All zeros at first. */
struct redis_reader {
    char *bytes; /* that have come; those from `at` to `len` are not read yet */
    size_t size, at, len;
    size_t seen;            /* bytes from `at` on in which no line ends */
    torc_redis_reply *root; /* not complete */
    struct redis_level level[REDIS_DEPTH];
    unsigned depth;
    uint64_t passing; /* elements to come that are deeper than that */
};

/* Where the next bytes are to be put, up to n; NULL if out of memory. */
char *redis_reader_room(struct redis_reader *rd, size_t n);

/* So many have been put there. */
void redis_reader_came(struct redis_reader *rd, size_t n);

/* 0: *out is the next reply, or NULL if it has not come whole. -ENOMEM; -EPROTO for what is none of
 * RESP2. */
int redis_reader_next(struct redis_reader *rd, torc_redis_reply **out);

/* Frees all that it has; it is as at first. */
void redis_reader_clear(struct redis_reader *rd);

/* ---- commands ---- */

/* What hiredis makes of the words, behind `first` unless that is NULL; to be freed by
 * redisFreeCommand. The length; -1 if out of memory, -2 if they are too long. */
int redis_format_words(const char *first, size_t n, const torc_slice *words, char **bytes);

/* Likewise of a format as that of torc_redis_command; -2 also if it is malformed. */
int redis_format(const char *format, va_list args, char **bytes);

/* What to do with the reply to a command that nobody waits for any more. */
enum redis_back { BACK_NOTHING, BACK_LPUSH, BACK_RPUSH, BACK_ZADD };

struct redis_kind {
    bool refused; /* or not a command */
    bool blocks;
    enum redis_back back;
};

/* Of a command in the form in which it is sent. */
struct redis_kind redis_kind_of(const char *bytes, size_t len);

struct redis_entry {
    struct list link;
    char *bytes; /* as sent; must stay until `done`, or until it is unlinked */
    size_t len;
    bool sent;  /* perhaps; false only if the server cannot have it */
    bool again; /* what torc asks until it can: does not count as refused */
    /* Called once, on the core's own stack: with a reply, which is now the callee's, and 0; or with
     * NULL and an error. */
    void (*done)(struct redis_entry *e, torc_redis_reply *reply, int err);
};

/* Puts back what `reply` holds, and frees it. */
struct redis_pool;
void redis_put_back(struct redis_pool *p, enum redis_back back, torc_redis_reply *reply);

/* ---- writing ---- */

/* All zeros at first. */
struct redis_out {
    char *bytes; /* those from `begin` to `end` are to be sent */
    size_t size, begin, end;
};

/* False if out of memory: nothing is added. */
bool redis_out_add(struct redis_out *o, const char *bytes, size_t n);

/* Sends what the kernel takes; false if the connection is broken. */
bool redis_out_send(struct redis_out *o, int fd);

static inline bool redis_out_is_empty(const struct redis_out *o)
{
    return o->begin == o->end;
}

/* Frees all that it has; it is as at first. */
void redis_out_clear(struct redis_out *o);

/* ---- sockets ---- */

/* One for that address, or negative errno. */
int redis_socket_new(const struct torc_host_addr *to);

/* 0: it is connected, or will be. -EAGAIN only for a Unix socket whose queue is full: to be tried
 * again. */
int redis_socket_connect(int fd, const struct torc_host_addr *to);

/* ---- connections ---- */

enum redis_state {
    REDIS_CONNECTING,
    REDIS_GREETING, /* AUTH and the like are under way */
    REDIS_READY,    /* commands are sent; without a greeting, before it is `opened` */
    REDIS_CLOSED,
};

struct redis_conn {
    struct list link; /* in pool->shared, own or idle; or in none */
    struct list all;  /* in pool->conns */
    struct redis_pool *pool;
    struct torc_source *source;
    struct redis_out out;
    struct redis_reader reader;
    int fd;
    enum redis_state state;
    struct torc_host_addr addr[TORC_HOST_ADDRS]; /* the pool's, when it began */
    unsigned n_addrs, n_tried;
    bool queue_full;           /* the Unix socket takes no more connections for now */
    uint64_t connect_by;       /* when it is to be connected */
    bool opened;               /* the server has let it in: its first reply was no refusal */
    bool doomed;               /* its task closes it */
    bool own;                  /* for commands that block, one at a time */
    bool slot;                 /* one of these has it, or waits for it to open */
    bool idle;                 /* in pool->idle */
    uint32_t n_greeting;       /* replies to the greeting that are due */
    int64_t id;                /* the server's; 0: unknown */
    torc_redis_reply *refusal; /* why the server does not let it in */
    struct list waiting;       /* entries until it is ready */
    struct list sent;
    uint32_t n_sent;
    struct torc_redis_sub *sub;
    struct redis_unblock *unblock; /* under way */
    bool leaving;                  /* its command's fiber has gone */
    bool finished;                 /* the reply to that has come, but `unblock` is under way */
};

/* Begins to connect. `own` is for a command that blocks, `sub` for a subscription; else it is
 * shared. NULL with the error in *err. */
struct redis_conn *redis_conn_start(struct redis_pool *p, bool own, struct torc_redis_sub *sub,
                                    int *err);

/* Sends the entry at the end of the turn, or when the connection is ready. */
void redis_conn_give(struct redis_conn *c, struct redis_entry *e);

/* Closes it later in this turn. */
void redis_conn_doom(struct redis_conn *c);

/* Closes it now: what is under way fails with `err`. */
void redis_conn_close(struct redis_conn *c, int err);

/* Reads, or leaves it to the server to keep what comes. */
void redis_conn_watch(struct redis_conn *c);

/* ---- commands that block ---- */

/* The command's fiber leaves before its reply. */
void redis_own_leave(struct redis_conn *c);

/* The reply to the command of a fiber that has left has come, or the connection breaks. */
void redis_own_left(struct redis_conn *c);

/* The connection is free for another command. */
void redis_own_release(struct redis_conn *c);

/* Asks the server again to end the command. */
void redis_own_alarm(struct redis_conn *c);

/* The connection goes. */
void redis_own_closing(struct redis_conn *c);

/* ---- pools ---- */

struct redis_pool {
    torc_redis *r;
    unsigned index;
    struct torc_host *host;
    struct torc_host_hook hook;
    struct torc_source *source;
    struct torc_host_addr addr[TORC_HOST_ADDRS]; /* found when no connection was open */
    unsigned n_addrs;
    struct list queue;  /* entries for shared connections */
    struct list shared; /* connections */
    struct list idle;   /* connections that no command blocks on */
    struct list conns;  /* all */
    struct list slot_waiters;
    uint32_t n_entries; /* of commands, for shared connections, queued or sent */
    uint32_t n_shared, n_idle, n_slots, n_waiters;
    uint32_t n_left;     /* connections whose fiber has left, and what is to be put back */
    bool stopping, late; /* the core ends; a second ago */
    int down;            /* what the last attempt to connect failed with */
    uint32_t failures;   /* attempts that failed in a row */
    uint64_t retry_at;   /* time before which there is no other */
};

static inline torc_redis_counters *redis_counters(const struct redis_pool *p)
{
    return &p->r->counts[p->index].of;
}

/* More or fewer entries, and fibers that wait for a connection of their own. */
void redis_count_waiting(struct redis_pool *p, int entries, int waiters);

/* Counts a command that is not sent; returns `err`. */
int redis_refuse(struct redis_pool *p, int err);

/* Likewise, but for what torc asks again. */
int redis_refuse_entry(struct redis_pool *p, const struct redis_entry *e, int err);

/* That of the core on which the fiber runs; NULL with the error in *err. WAITS where the server's
 * name is to be looked up. */
struct redis_pool *redis_pool_of(torc_redis *r, torc_req *rq, int *err);

/* WAITS. Finds the server's addresses, unless a connection is open; those from before stay if
 * nobody can say. 0 or an error of torc_host_find. */
int redis_pool_locate(torc_req *rq, struct redis_pool *p);

/* Queues an entry for a shared connection. 0, or why there is none. */
int redis_pool_add(struct redis_pool *p, struct redis_entry *e);

/* WAITS for one of the connections of their own. */
int redis_slot_take(torc_req *rq, struct redis_pool *p);
void redis_slot_give(struct redis_pool *p);

/* One that is idle, or a new one. */
struct redis_conn *redis_own_take(struct redis_pool *p, int *err);

/* One for a subscription. */
struct redis_conn *redis_sub_connect(struct redis_pool *p, struct torc_redis_sub *s, int *err);

/* What comes of attempts to connect. */
void redis_pool_connected(struct redis_pool *p);
void redis_pool_failed(struct redis_pool *p, int err, const char *why);

/* Connections or entries have come or gone. */
void redis_pool_schedule(struct redis_pool *p);

/* ---- subscriptions ---- */

/* Has the command that subscribes sent; false if out of memory. */
bool redis_sub_ask(const struct torc_redis_sub *s, struct redis_out *out);

void redis_sub_push(struct torc_redis_sub *s, torc_redis_reply *reply);
void redis_sub_lost(struct torc_redis_sub *s, int err);

/* Whether its connection should be read. */
bool redis_sub_reads(const struct torc_redis_sub *s);
