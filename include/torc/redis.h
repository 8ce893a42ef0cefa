/* Redis for handlers of torc, on hiredis: pipelined commands, blocking pops, publish/subscribe.
 * Link with libtorc-redis (pkg-config torc-redis).
 *
 * A call that WAITS does so as every such call of torc.h: its core serves other requests meanwhile,
 * and the wait ends with the error of the request's scope when its deadline passes, its client has
 * gone or the server has drained. There is no timeout besides.
 *
 * The commands of all requests of a core share a few connections and are pipelined on them: what is
 * asked for in one turn of the core leaves in one write. A command that blocks in the server has a
 * connection of its own meanwhile, as has a subscription. A connection is opened when it is first
 * needed. Where none can be opened, all who wait are told so at once, and whoever asks in the next
 * 100 milliseconds, without an attempt. That time doubles with each failure in a row, up to 2
 * seconds; then one command tries again. The reason is a line on stderr, at most one in ten
 * seconds. A connection that ends before the server's first reply, or with a reply that says only
 * that it is not let in (too many clients), was none that opened.
 *
 * A connection breaks, too, when the server's machine has not been heard of for a minute, or when
 * the server reads nothing for a minute while more is to be sent than the kernel keeps for it.
 *
 * The protocol is RESP2. There is no TLS, no cluster and no sentinel. */
#pragma once

#include "torc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct torc_redis torc_redis;
typedef struct torc_redis_reply torc_redis_reply;
typedef struct torc_redis_sub torc_redis_sub;

/* ---- pools ----------------------------------------------------------------------------------- */

/* Zero and NULL are the default of each. Numbers are per core. */
typedef struct torc_redis_options {
    const char *address;      /* as torc_connect takes it: "name:port", "127.0.0.1:port",
                                 "[::1]:port", "unix:/path"; 127.0.0.1:6379 */
    const char *user;         /* of AUTH; the server's default user */
    const char *password;     /* of AUTH, which is not sent without one */
    unsigned database;        /* of SELECT; 0 */
    unsigned connections;     /* that commands share, at most; 1 */
    unsigned own_connections; /* for commands that block and for subscriptions, at most; 64 */
    unsigned queue;           /* commands without a reply on shared connections, at most, and
                                 those that wait for a connection of their own; 1024 each */
    unsigned connect_timeout; /* ms for an attempt to connect; 5000 */
} torc_redis_options;

/* Creates a pool for every core of one server; nothing is connected yet. `o` and its text are
 * copied; NULL is all defaults. A host that is given by name is looked up as torc_connect does, by
 * the first that needs it while no connection is open; its addresses are tried in turn. NULL with
 * errno EINVAL for a malformed address, ENAMETOOLONG for the path of a Unix socket of more than 107
 * bytes, ENOMEM. */
TORC_API torc_redis *torc_redis_new(const torc_redis_options *o);

/* Frees it, after torc_server_main or torc_server_join has returned. NULL is allowed. Where that
 * left a core behind, nothing is freed. */
TORC_API void torc_redis_free(torc_redis *r);

/* Sums over all cores, read from any thread while they change. */
typedef struct torc_redis_counters {
    uint64_t commands;    /* that were sent, those that were sent again too; counted from the first
                             reply on their connection */
    uint64_t errors;      /* of them, that the server answered with an error */
    uint64_t lost;        /* of them, that ended with their connection */
    uint64_t refused;     /* commands that found too many others waiting, or no server */
    uint64_t connects;    /* connections that were opened */
    uint64_t failures;    /* attempts to connect that failed */
    uint64_t connections; /* open now */
    uint64_t waiting;     /* commands without a reply on shared connections, and those that wait for
                             a connection of their own, now */
} torc_redis_counters;

TORC_API void torc_redis_count(const torc_redis *r, torc_redis_counters *out);

/* For torc_metrics_add, with the pool as its argument: the counters as redis_commands_total,
 * redis_errors_total, redis_lost_total, redis_refused_total, redis_connects_total,
 * redis_connect_failures_total, redis_connections and redis_waiting. A program with several pools
 * names theirs itself, by torc_redis_count. */
TORC_API void torc_redis_metrics(torc_metrics *out, void *r);

/* ---- commands -------------------------------------------------------------------------------- */

/* WAITS. Sends one command and waits for its reply. `format` is hiredis's: words, separated by
 * spaces; %s is a string, %b a pointer and its size (size_t), and %d and the like are printf's.
 * Whatever is put in for a % stays within its word, whatever its bytes are. %f writes numbers as
 * the locale (setlocale(3)) has them. `reply` may be NULL.
 *
 * 0, or
 *   -EREMOTEIO     the server answered with an error: *reply is set, of type TORC_REDIS_ERROR
 *   -EAGAIN        as many commands wait as may (torc_redis_options.queue)
 *   -ECONNREFUSED, -ENOENT, -ETIMEDOUT (within connect_timeout) and the like: no connection can be
 *                  opened, or the server ends it at once; it has not read the command
 *   -EHOSTUNREACH  nobody can say now where a server of that name is; -ENOSYS: a name with
 *                  --work-threads 0
 *   -EACCES        nor can it where the server refuses AUTH or SELECT
 *   -ECONNABORTED  the connection broke after the command was sent: it is unknown whether it took
 *                  effect
 *   -EPROTO        likewise: what the server sent is not RESP2
 *   -EMSGSIZE      the reply has more than 64 arrays in each other. It is dropped; the command has
 *                  taken effect
 *   -EINVAL        a malformed format, no word, words of 2 GiB or more together, or a command that
 *                  would change the connection under those who share it: MULTI, EXEC, DISCARD,
 *                  WATCH, UNWATCH, SELECT, AUTH, HELLO, RESET, QUIT, MONITOR, SYNC, PSYNC,
 *                  REPLCONF, READONLY, READWRITE, ASKING, CLIENT with REPLY, TRACKING, CACHING,
 *                  NO-EVICT, NO-TOUCH, IMPORT-SOURCE or CAPA, SCRIPT DEBUG, CLUSTER SYNCSLOTS,
 *                  SUBSCRIBE and its kin, POST and HOST: (the server hangs up); or that is about an
 *                  earlier command of its connection: WAIT, WAITAOF. A script (EVAL) does what a
 *                  transaction would
 *   -EBUSY         the pool is in use by a core of another server
 *   -ENOMEM; -EPERM outside the fibers of the request
 * or the error of the request's scope: a command that was not sent by then is not sent any more,
 * and the reply to one that was is dropped. *reply is NULL but for 0 and -EREMOTEIO.
 *
 * A command that blocks in the server, BLPOP, BRPOP, BLMOVE, BRPOPLPUSH, BLMPOP, BZPOPMIN,
 * BZPOPMAX, BZMPOP, and XREAD and XREADGROUP with BLOCK, gets a connection of its own; where all
 * are taken it waits for one, in the order of the calls. If the scope ends its wait, the call
 * returns at once, and the server is told to end it (CLIENT UNBLOCK) on another connection. What
 * it has popped by then is not lost: elements are pushed back to the end of the list that they
 * came from, members of a sorted set are added again unless they are there (ZADD NX). Others may
 * see the list without them meanwhile. BLMOVE and BRPOPLPUSH keep the element in the other list,
 * and a group's entries (XREADGROUP) stay pending for XAUTOCLAIM; with NOACK they do not, and what
 * was read for a call that has returned is delivered to nobody. An element is lost only if the
 * connection breaks between the pop and its reply or before it is back, if the user may not use
 * CLIENT ID and CLIENT UNBLOCK, or if neither has happened a second after the core's last request.
 * What is lost with a reply, once it is known to the core, is told on stderr. */
TORC_API int torc_redis_command(torc_req *rq, torc_redis *r, torc_redis_reply **reply,
                                const char *format, ...);

/* WAITS. torc_redis_command for a command that may take effect twice, such as GET or SET: it is
 * sent again, up to two times, where the connection breaks before the reply. The error is that of
 * the last time, also if no connection could be opened then. */
TORC_API int torc_redis_repeatable(torc_req *rq, torc_redis *r, torc_redis_reply **reply,
                                   const char *format, ...);

enum { TORC_REDIS_REPEATABLE = 1 };

/* WAITS. The same with the words as slices, at least one; `flags` is 0 or TORC_REDIS_REPEATABLE.
 * -EINVAL also for words of 2 GiB or more together. */
TORC_API int torc_redis_words(torc_req *rq, torc_redis *r, unsigned flags, torc_redis_reply **reply,
                              size_t n, const torc_slice *words);

/* ---- replies --------------------------------------------------------------------------------- */
/* A reply, its elements and slices are valid until torc_redis_reply_free or the end of the request,
 * whichever is first. They do not count as --request-memory. A NULL reply is nil. */

enum torc_redis_type {
    TORC_REDIS_NIL,
    TORC_REDIS_STATUS, /* "OK" */
    TORC_REDIS_ERROR,  /* "WRONGTYPE Operation against ..." */
    TORC_REDIS_INTEGER,
    TORC_REDIS_STRING,
    TORC_REDIS_ARRAY
};

TORC_API enum torc_redis_type torc_redis_type(const torc_redis_reply *r);

/* Of a status, an error or a string; absent for the others. A NUL follows that is not counted. */
TORC_API torc_slice torc_redis_text(const torc_redis_reply *r);

/* 0 unless it is an integer. */
TORC_API int64_t torc_redis_integer(const torc_redis_reply *r);

/* Of an array; 0 for the others. */
TORC_API size_t torc_redis_elements(const torc_redis_reply *r);

/* From 0; NULL beyond. It belongs to the array. */
TORC_API const torc_redis_reply *torc_redis_element(const torc_redis_reply *r, size_t i);

/* Frees what a call has returned, before the request ends; not an element. NULL is allowed. */
TORC_API void torc_redis_reply_free(torc_redis_reply *r);

/* ---- publish/subscribe ----------------------------------------------------------------------- */

/* WAITS until the server has confirmed `n` subscriptions to channels, at least one. The
 * subscription has a connection of its own until it is closed; what is published from now on comes
 * by torc_redis_next. The errors of torc_redis_command; *sub is NULL then. It is closed at the end
 * of the request at the latest. */
TORC_API int torc_redis_subscribe(torc_req *rq, torc_redis *r, size_t n, const torc_slice *channels,
                                  torc_redis_sub **sub);

/* WAITS. Likewise for patterns (PSUBSCRIBE), such as "news.*". */
TORC_API int torc_redis_psubscribe(torc_req *rq, torc_redis *r, size_t n,
                                   const torc_slice *patterns, torc_redis_sub **sub);

enum { TORC_REDIS_RESUBSCRIBED = 1 };

/* WAITS for the next message. 0: both slices are set, and valid until the next call for this
 * subscription or its close; either may be NULL. TORC_REDIS_RESUBSCRIBED: the connection had broken
 * and there is another; what was published in between is lost. While the server is down this tries
 * again and again, with growing pauses, for as long as the scope allows.
 *
 * -EREMOTEIO if the server refuses the subscription after a reconnect, -EACCES likewise AUTH or
 * SELECT; -EBUSY while another fiber waits for the same subscription; -ENOMEM, -EPERM, or the
 * scope's error. A message that comes while nobody waits is kept. Where many are, the connection is
 * not read until they are taken, and the server ends it when its own limit is reached
 * (client-output-buffer-limit pubsub). */
TORC_API int torc_redis_next(torc_req *rq, torc_redis_sub *sub, torc_slice *channel,
                             torc_slice *message);

/* Ends the subscription. No fiber may be waiting for it. NULL is allowed. */
TORC_API void torc_redis_unsubscribe(torc_redis_sub *sub);

#ifdef __cplusplus
}
#endif
