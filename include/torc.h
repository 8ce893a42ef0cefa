/* torc: an HTTP/1.1 server library for Linux, one io_uring (or epoll) per core. No TLS, no HTTP/2.
 * With --engine threads each of its threads is a core here, with one connection at a time.
 *
 * A handler is straight-line C. It runs on a fiber of the core that accepted the connection. Calls
 * marked WAITS may suspend it; while it is suspended, its core serves other requests. A handler
 * must not block in any other way: one that sleeps or computes for long delays every connection of
 * its core, and belongs on another thread (torc_work); --stall-warn names it.
 *
 * Threads. The calls that set up a server (up to torc_server_main) come from one thread.
 * torc_server_stop and torc_server_reload may be called from any thread and from a signal handler,
 * torc_post from any thread. Every other call takes a torc_req, or something obtained from one, and
 * belongs to the fibers of that request: it must not be made after the handler has returned, nor
 * from another thread. A call that WAITS returns -EPERM there; what the others do is undefined.
 * Handlers run on all cores in parallel, so what `arg` points to must be read-only or synchronised
 * by the program. Data of one core (torc_core) needs no lock between two calls that WAIT, as
 * nothing else of the core runs meanwhile. A mutex must not be held across a call that WAITS: the
 * request that would release it could be of the same core, which then never comes to it. A process
 * that a handler forks has the sockets of all clients until it executes a program or ends: for
 * those that the server closes meanwhile, the connection ends only then.
 *
 * What a thread has in C, a fiber has here: errno, the exceptions that C++ is handling, the shadow
 * of the address and thread sanitizers. An exception must not leave a handler. Thread-local
 * variables belong to the core, and so do the locale of uselocale(3) and the rounding mode and
 * exception flags of fenv(3): a handler that changes them restores them before it calls what WAITS
 * and before it returns. A handler's locals, and those of what it calls, must fit its stack of
 * --stack-size (64 KiB by default, from 16 KiB to 64 MiB); large objects belong into torc_alloc.
 * A page below the stack is a guard: an overflow ends the process by SIGSEGV, after a line on
 * stderr that names the route.
 *
 * Errors are negative values of <errno.h>. A request is cancelled
 *   -ECONNRESET  when its client resets the connection, which a client that has closed does once
 *                something is sent to it;
 *   -ESHUTDOWN   when the server's drain times out;
 *   -ETIMEDOUT   when the client takes no data for --write-timeout, takes it at less than
 *                --min-read-rate, or is silent in its turn while new clients wait at
 *                --max-connections;
 *   -ENOMEM, -EIO  when its response cannot be completed.
 * From then on every call that sends or WAITS returns that error and nothing more is sent: return
 * from the handler. Two more errors end waits, but not the request: -ETIME when a deadline has
 * passed (torc_deadline), and -ECANCELED in a group of which another function has failed
 * (torc_spawn). */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TORC_VERSION "0.1.0"

#if defined(__GNUC__)
#define TORC_API           __attribute__((visibility("default")))
#define TORC_PRINTF(f, va) __attribute__((format(printf, f, va)))
#else
#define TORC_API
#define TORC_PRINTF(f, va)
#endif

/* A view of bytes owned by somebody else; not NUL-terminated. An absent value has ptr NULL. */
#ifndef TORC_SLICE
#define TORC_SLICE
typedef struct torc_slice {
    const char *ptr;
    size_t len;
} torc_slice;
#endif

/* A slice of a string literal, without its NUL. */
#ifdef __cplusplus
#define TORC_S(literal) (torc_slice{(literal), sizeof(literal) - 1})
#else
#define TORC_S(literal) ((torc_slice){(literal), sizeof(literal) - 1})
#endif

typedef struct torc_server torc_server;
typedef struct torc_req torc_req;
typedef struct torc_file torc_file;
typedef struct torc_stream torc_stream;
typedef struct torc_client torc_client;
typedef struct torc_exchange torc_exchange;
typedef struct torc_group torc_group;
typedef struct torc_event torc_event;

typedef void torc_handler(torc_req *rq, void *arg);

/* ---- server ---------------------------------------------------------------------------------- */

/* Creates a server with every option at its default. `name` is printed by --version, for example
 * "hello 1.0"; it is copied. NULL if out of memory. Raises the process's soft descriptor limit to
 * the hard one. Where descriptor 0, 1 or 2 is closed, opens /dev/null for it, so that no socket or
 * file gets that number; writing to it still fails. torc_server_main does that, too: a server holds
 * no descriptor before, so a program that becomes a daemon may close all in between. */
TORC_API torc_server *torc_server_new(const char *name);

/* Sets the description of the program that --help prints below the usage line; without a final
 * newline. `text` is copied. 0, -ENOMEM or -EBUSY. */
TORC_API int torc_server_about(torc_server *s, const char *text);

/* Frees a server that is not running. NULL is allowed. */
TORC_API void torc_server_free(torc_server *s);

/* Sets one option by the name of its flag without the dashes: ("depth", "512"), ("cores", "0-3"),
 * ("direct", "no"). Both strings are copied. 0 or -EINVAL; torc_server_error then names the option
 * and what it takes. -EBUSY once the server has started. The config file and the command line
 * override options set before torc_server_main. */
TORC_API int torc_server_set(torc_server *s, const char *option, const char *value);

/* Declares an option of the program's own, shown by --help and accepted in the config file. `takes`
 * names its argument in the help; NULL declares a flag, whose value is "yes" or "no". The strings
 * are copied. *value is NULL until torc_server_main has read the config file and the command line,
 * before any handler runs; then it is a copy of the value that lives as long as the server, or NULL
 * still if the option is not given. What has to be set up before, such as the period of torc_every,
 * cannot depend on it; a pool of torc/pg.h or torc/redis.h can, if the first handler that needs it
 * creates it (pthread_once(3)). 0, -EINVAL for a malformed name, -EEXIST, -EBUSY, -ENOMEM. */
TORC_API int torc_server_option(torc_server *s, const char *name, const char *takes,
                                const char *help, const char **value);

/* Mounts `handler` at `pattern` for one method: GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, COPY,
 * LINK, LOCK, MKCOL, MOVE, PROPFIND, PROPPATCH, PURGE, QUERY, REPORT, SEARCH, UNLINK or UNLOCK; GET
 * also answers HEAD. "*" stands for all of these that have no handler of their own at the pattern.
 * Any other method is answered with 501, and so is one beyond OPTIONS that no route has. A pattern
 * consists of at most 32 segments: in "/users/:id/posts", ":id" matches one segment; a last segment
 * "*rest" matches the remainder of the path, slashes included. A pattern has at most 8 of these
 * parameters, and routes that begin alike must name them alike. A static segment takes precedence
 * over ":name", and that over "*rest"; a pattern that has not the method is passed over.
 *
 * A static segment also matches what is equivalent to it (RFC 3986, 6.2.2.1 and 6.2.2.2): escapes
 * of letters, digits and "-._~" stand for these, so "/m%65" is "/me", and those of other characters
 * may have digits in either case. Nothing else is decoded or changed: "%2F" never separates
 * segments,
 * "/a%21" is not "/a!", and neither "//" nor a slash at the end is "/".
 *
 * A path that some pattern matches, but none with this method, is answered with 405 and Allow, or
 * OPTIONS with 204. Patterns with "*rest" do not count for 405: GET of a catch-all says nothing
 * about POST, so POST of a path that nothing else matches is 404, as without that route. A path
 * whose parameter, decoded, has a NUL is answered with 400, one with a segment ".." in it with 404;
 * the handler sees neither.
 *
 * `pattern` is copied; `arg` is passed to the handler. 0, -EINVAL for a malformed pattern or
 * unknown method, -EEXIST if method and pattern are taken, -EBUSY once the server runs, -ENOMEM. */
TORC_API int torc_route(torc_server *s, const char *method, const char *pattern,
                        torc_handler *handler, void *arg);

/* Limits of one route; 0 keeps that of the server. */
typedef struct torc_route_limits {
    uint64_t max_body;        /* bytes, in place of --max-body; may be more */
    unsigned body_timeout_ms; /* ms, in place of --body-timeout */
    size_t stack_size;        /* bytes of the handler's stack, from 16 KiB to 64 MiB */
} torc_route_limits;

/* Sets limits of a route that torc_route has added. A stack of its own is mapped for each request,
 * which takes some microseconds, and counts as one more of --max-requests; middleware runs on the
 * usual one. A reload does not change them. `limits` is copied. 0; -ENOENT without such a route,
 * -EEXIST if it has limits, -EINVAL for a stack of another size, -EBUSY once the server runs,
 * -ENOMEM. */
TORC_API int torc_route_limit(torc_server *s, const char *method, const char *pattern,
                              const torc_route_limits *limits);

/* Has `handler` respond, whatever the method, where no pattern matches: there is no 404 by torc
 * then. torc_param has nothing for it. 0, -EINVAL without a handler, -EEXIST if there is one,
 * -EBUSY once the server runs. */
TORC_API int torc_fallback(torc_server *s, torc_handler *handler, void *arg);

/* Adds middleware: `handler` runs in place of every handler for paths below `prefix`, and calls
 * torc_next for what it stands in front of; what was added first is outermost. It also runs around
 * what torc answers by itself: 404, 405, the 204 of OPTIONS, 413, 501 and every other status for a
 * request that no handler sees, 400, 408 and 431 for a malformed or late head included. Of such a
 * head there may be no method, path or fields; an absent path is below "/" only. It does not run
 * for what torc sheds or limits (429, and 503 where it has too much to do), nor for a function of
 * torc_every.
 *
 * "/admin" has "/admin" itself and what is below it, in any spelling: "/%61dmin" and "/admin//x",
 * too, for a handler of "*rest" may take them for the same. "/" has every path. A prefix has no
 * parameters and is compared with case.
 *
 * A middleware may respond itself, and not call torc_next; set fields of the response before it
 * calls; keep data with the request (torc_set); and see what came of it afterwards. A route that
 * no middleware applies to costs nothing more than without any.
 *
 * `prefix` is copied; `arg` is passed to the handler. 0; -EINVAL for a malformed prefix, -EBUSY
 * once the server runs, -ENOMEM. */
TORC_API int torc_use(torc_server *s, const char *prefix, torc_handler *handler, void *arg);

/* WAITS. In a middleware: runs what it stands in front of, which is the next middleware or the
 * handler, and returns the status of the response, which is then complete, and may have been sent.
 * Groups that are open are joined. Otherwise -EALREADY if it was called for this request before,
 * -EINVAL in a handler, -EPERM outside the fiber of the middleware, or the error of a cancelled
 * request. */
TORC_API int torc_next(torc_req *rq);

/* Responds to a request in place of torc, which would send a line of text: by torc_reply, for
 * instance, with the same status or another. If it does not respond, torc does. */
typedef void torc_error_fn(torc_req *rq, int status, void *arg);

/* Has fn(rq, status, arg) give the responses below `prefix` that would be torc's own, of the
 * statuses 400 to 599: for requests that no handler sees, such as 404, 405, 413, 429, 431 and 503;
 * where a handler has given none; and those of torc_reply_error. Fields that belong to the status
 * (Allow, Retry-After) have been added. Of several prefixes the longest counts; see torc_use for
 * what a prefix has, and for heads that are malformed.
 *
 * It may run outside of a handler: then calls that WAIT return -EPERM. To refuse requests that come
 * too fast takes more CPU time with it than without. 0; -EINVAL for a malformed prefix, -EEXIST for
 * one that has a function, -EBUSY once the server runs, -ENOMEM. */
TORC_API int torc_errors(torc_server *s, const char *prefix, torc_error_fn *fn, void *arg);

/* How a request ended. */
typedef enum torc_outcome {
    TORC_DONE,        /* its response is complete: queued for sending, and sent if it is large */
    TORC_CLIENT_LEFT, /* the client closed or reset the connection before that */
    TORC_TIMED_OUT,   /* the client took no data for --write-timeout */
    TORC_TOO_SLOW,    /* the client took data at less than --min-read-rate */
    TORC_GIVEN_UP,    /* by the server: it stops, lacks memory, or the body was not completed */
} torc_outcome;

typedef struct torc_summary {
    int status; /* of the response; 0: none was given */
    torc_outcome outcome;
    uint64_t body_bytes;  /* of the response's body that were sent */
    uint64_t duration_ns; /* since the request's first byte */
} torc_summary;

typedef void torc_end_fn(torc_req *rq, const torc_summary *end, void *arg);

/* Has fn(rq, end, arg) called when a request has ended, whatever it was answered with: once for
 * each that has a line in the access log. What it was is in `rq` still, what torc_set kept
 * included; of a malformed head there may be no method, path or fields. It runs on the request's
 * core, outside of a handler: it must not block, and calls that WAIT return -EPERM. May be added
 * any number of times. 0, -EINVAL without a function, -EBUSY once the server runs, -ENOMEM. */
TORC_API int torc_on_end(torc_server *s, torc_end_fn *fn, void *arg);

/* Serves the files below the directory given by --root, which is looked up again within two seconds
 * while files are asked for, at `prefix`, which begins and ends with a slash ("/", "/static/"):
 * with media types, conditional requests, ranges and precompressed variants. Other methods than
 * GET, HEAD and OPTIONS are 405 there. "/static" redirects to
 * "/static/" unless the program has a route there. Without --root every path below the prefix
 * answers 404. Errors as torc_route. */
TORC_API int torc_static(torc_server *s, const char *prefix);

/* Likewise with a directory of its own, of which there may be any number; that of --root is not
 * needed. `dir` is copied; if it is relative, to the working directory. The open files of all
 * directories are cached together, within --file-cache. A directory that cannot be opened when the
 * server starts ends it (exit status 1). Errors as torc_route. */
TORC_API int torc_static_dir(torc_server *s, const char *prefix, const char *dir);

/* The last error of torc_server_set, torc_server_about, torc_server_option, torc_route,
 * torc_static, torc_static_dir or torc_every in words, valid until the next one; "" if there was
 * none. */
TORC_API const char *torc_server_error(const torc_server *s);

/* Reads the command line and serves until SIGTERM, SIGINT or torc_server_stop; then drains. Prints
 * the ready line to stderr once every core listens. Returns the exit status: 0 after a drain or
 * after --help, --version or a successful --check; 1 if the server could not start; 2 for wrong
 * options; 3 if the engine requested by name is unavailable; 1 also if the kernel refuses the
 * engine's system calls later, after a drain of the other cores; 4 if a handler had not returned 2
 * seconds after the drain cancelled it, or a job of torc_work 2 seconds after that or after
 * --drain-timeout. Where a core or a job could not end, its thread or its memory is left behind:
 * torc_server_free then frees nothing unless it has returned meanwhile, and the program must not
 * free what its handlers and jobs use: it had better exit.
 * -EBUSY, with nothing printed, if it was called for this server before.
 *
 * While the server runs, SIGTERM, SIGINT and SIGHUP (see torc_server_reload) have handlers of
 * torc and are unblocked in the calling thread, SIGPIPE and SIGXFSZ are ignored where they had
 * their default, and SIGSEGV has a handler that says what it knows and passes the fault on to the
 * one found. With --stall-warn, backtraces take the highest real-time signal that has its default
 * and is not blocked in the calling thread. Whichever thread receives a signal, it works. The
 * thread of --admin, which has a descriptor table of its own, blocks all others but those of
 * faults. Dispositions and mask are then restored. A program in which a second SIGTERM must not
 * change the exit status sets a handler of its own before. */
TORC_API int torc_server_main(torc_server *s, int argc, char **argv);

/* Starts the drain, like SIGTERM. May be called from any thread and from a signal handler. */
TORC_API void torc_server_stop(torc_server *s);

/* Has the server read its config file (--config) again, like SIGHUP, and reopen its access log. It
 * returns at once. If the file is valid and changes nothing that needs a restart, every core takes
 * the new settings, and then a line on stderr says so. Otherwise nothing changes, and stderr says
 * why; /metrics counts both. The server's own options are read from what torc_server_set gave, the
 * file and the command line, as at the start; options of torc_server_option need a restart. Before
 * the server is ready it is kept until then; in a drain it does nothing. May be called from any
 * thread and from a signal handler. */
TORC_API void torc_server_reload(torc_server *s);

/* ---- request --------------------------------------------------------------------------------- */
/* Slices returned here are valid until the handler returns.
 *
 * No handler sees a request beyond these limits: a head of --max-header-bytes (16 KiB) with
 * --max-header-fields fields (100), or 431; a target of 8 KiB, or 414; a Content-Length of
 * --max-body (64 MiB), or 413. A head of more than 1 KiB, more than 100 fields, and what is decoded
 * count as memory that the request allocates: 503 if --request-memory (1 MiB) does not suffice for
 * the head. Limits of a body without a length are found while it is read. */

TORC_API torc_slice torc_method(const torc_req *rq); /* "GET"; "HEAD" for HEAD on a GET route */
TORC_API torc_slice torc_path(const torc_req *rq);   /* as sent: without the query, not decoded */
TORC_API torc_slice torc_query(const torc_req *rq); /* after '?', not decoded; absent without one */
TORC_API torc_slice torc_host(const torc_req *rq);  /* of an absolute-form target, or Host */

/* The value of the first field of that name (case-insensitive), without surrounding white space;
 * absent if there is none. */
TORC_API torc_slice torc_header(const torc_req *rq, const char *name);

/* Iterates over the fields; start with *at = 0. False at the end. */
TORC_API bool torc_header_next(const torc_req *rq, size_t *at, torc_slice *name, torc_slice *value);

/* The percent-decoded value of ":name" or "*name" in the route's pattern. Absent for any other
 * name, a malformed escape, or without memory. It has no NUL and no segment "..": such a request is
 * answered before a handler sees it, see torc_route. That of ":name", too, may have a slash in it,
 * which was sent as %2F: look before it becomes part of a file's name. */
TORC_API torc_slice torc_param(const torc_req *rq, const char *name);

/* The value of the first query parameter of that name, percent-decoded ('+' is a space); "" for a
 * parameter without '='. Absent if missing, malformed, or without memory. */
TORC_API torc_slice torc_query_param(torc_req *rq, const char *name);

/* Iterates over the query's pairs, decoded as above; start with *at = 0. False at the end. */
TORC_API bool torc_query_next(torc_req *rq, size_t *at, torc_slice *name, torc_slice *value);

/* The address of the client, as the access log has it: "192.0.2.1:4711", "[2001:db8::1]:4711", or
 * "unix:" for a client of a Unix socket. Absent without memory, and for a request without a client
 * (torc_every). It does not wait, and needs no option. The first call on a connection asks the
 * kernel, with a system call, of IPv6 two, unless the access log or a limit of clients has asked
 * before; the connection keeps it.
 *
 * Where that is a proxy of --trust-proxy, the client is whom it names in X-Forwarded-For, or in
 * Forwarded with --proxy-field forwarded: the last address of the list that is not of a trusted
 * proxy itself, without a port if none is given: "192.0.2.1", "[2001:db8::1]". What comes before
 * something that is no address is not believed. Any other peer's fields are ignored. With
 * --proxy-protocol, the client is whom the proxy names as it opens the connection; if that is a
 * trusted proxy itself, the fields count. */
TORC_API torc_slice torc_peer(const torc_req *rq);

/* "https" if a proxy of --trust-proxy says so, in X-Forwarded-Proto, Forwarded or the header of the
 * PROXY protocol; else "http". */
TORC_API torc_slice torc_scheme(const torc_req *rq);

/* Allocates memory that is freed with the request, aligned for any type. NULL past --request-memory
 * or if out of memory. */
TORC_API void *torc_alloc(torc_req *rq, size_t size);

/* Keeps `value` with the request under `key`, an address that is the program's own, such as that of
 * a static variable; replaces what was kept under it. It does not free what `value` points to:
 * torc_alloc has memory that goes with the request. 0, or -ENOMEM as torc_alloc. */
TORC_API int torc_set(torc_req *rq, const void *key, void *value);

/* What torc_set has kept under `key`, or NULL. */
TORC_API void *torc_get(const torc_req *rq, const void *key);

/* The status of the response; 0 before there is one. */
TORC_API int torc_status(const torc_req *rq);

/* The index of the core that serves this request, from 0. */
TORC_API unsigned torc_core(const torc_req *rq);

/* WAITS. Reads up to `size` bytes of the request body. Returns a count, 0 at the end, or
 *   -ETIMEDOUT  nothing arrived for --body-timeout; 408 is the default response
 *   -EPIPE      the client ended its stream (FIN) before the body was complete; 400
 *   -EMSGSIZE   the body exceeds --max-body; 413
 *   -EBADMSG    the framing is broken; 400
 *   -EBUSY      another fiber of the request reads
 * or the error of a cancelled request. Sends 100 (Continue) first if the client expects it (RFC
 * 9110, 10.1.1). */
TORC_API ssize_t torc_body_read(torc_req *rq, void *buf, size_t size);

/* WAITS. Reads the whole body into memory of the request: 0 and a slice that is valid until the
 * handler returns. The limit is --max-body; if --request-memory is given, the body counts as memory
 * that the request allocates. The errors of torc_body_read, -EMSGSIZE past either limit; -ENOMEM
 * without memory, for which 503 is the default response. On an error *body is absent; without a
 * body it is "". */
TORC_API int torc_body_all(torc_req *rq, torc_slice *body);

/* WAITS. Writes the request body to a file that can be written, from offset 0 on; what the file has
 * beyond is kept. *size is set to the bytes of the body that the file has, on an error, too. Takes
 * 128 KiB of the request's memory, or what there is: while one piece is written, the next is
 * received.
 *
 * 0; the errors of torc_body_read and of torc_file_write; -EBADF for a file opened for reading;
 * -ENOMEM without memory. If the handler gives no response, torc sends that of torc_body_read, 507
 * if the storage is full (-ENOSPC, -EDQUOT, -EFBIG), 503 without memory, otherwise 500. Give a file
 * of torc_file_temp its name (torc_file_link) once this has returned 0: then nobody sees a part of
 * a body, and a request that is cancelled leaves nothing behind. Meanwhile a function of a group
 * can tell the progress: torc_file_size. */
TORC_API int torc_body_file(torc_req *rq, torc_file *file, int64_t *size);

/* ---- response -------------------------------------------------------------------------------- */
/* torc sets these fields itself, and torc_set_header refuses them: Server, Date, Content-Length,
 * Transfer-Encoding, Connection, Keep-Alive, Upgrade and Trailer. If a handler returns without a
 * response, torc sends 500, or the status that fits a failed read of the body. It says on stderr
 * which route that was and what torc_reply or torc_start returned, once in ten seconds.
 *
 * A status from 200 to 599 may be given. 204, 205 and 304 have no content (RFC 9110, 6.4.1 and
 * 15.3.6), nor has a response to HEAD: a body that is given is counted and left out. Then nothing
 * that is sent shows that the client has gone: torc_write returns -ECONNRESET once it has
 * (torc_client_gone). */

/* Adds a field to the response before it is started; both strings are copied. A field that holds
 * one value replaces the one set before: Access-Control-Allow-Credentials,
 * Access-Control-Allow-Origin, Access-Control-Max-Age, Age, Content-Disposition, Content-Location,
 * Content-Range, Content-Type, ETag, Expires, Last-Modified, Location, Refresh, Retry-After,
 * Strict-Transport-Security, X-Content-Type-Options and X-Frame-Options. Any other, such as
 * Set-Cookie or Vary, is sent as often as it is set.
 *
 * 0; -EINVAL for a malformed name (RFC 9110, 5.1) or value (5.5: no control characters but HTAB) or
 * a field of torc's own; -EALREADY once the response has started; -ENOMEM past 32 KiB of fields or
 * past --request-memory, or without memory: then what was set before is kept. */
TORC_API int torc_set_header(torc_req *rq, torc_slice name, torc_slice value);

/* Sends a complete response; `body` is copied. `type` is the Content-Type and replaces one that was
 * set; NULL keeps that one, or sends none. Does not wait for the client: what it has not taken yet
 * is kept. While large bodies of that kind take more than --buffer-memory, the core begins no
 * further request. 0; -EALREADY if a response was started; -EINVAL for a status outside 200 to 599
 * or a type that torc_set_header would refuse; -ENOMEM; or the error of a cancelled request. */
TORC_API int torc_reply(torc_req *rq, int status, const char *type, torc_slice body);

/* torc_reply with a formatted body (printf), of the Content-Type that was set, otherwise
 * text/plain. Errors as torc_reply; -EINVAL also if printf fails, -ENOMEM also past
 * --request-memory, which a text of 512 bytes or more takes. */
TORC_API int torc_replyf(torc_req *rq, int status, const char *format, ...) TORC_PRINTF(3, 4);

/* Replies with a line of text that names the status, as text/plain. Errors as torc_reply. */
TORC_API int torc_reply_error(torc_req *rq, int status);

/* WAITS. Sends a complete response with the file `path` below the directory `dir`, as static files
 * are sent: with its media type, conditions (RFC 9110, 13), ranges (14) and precompressed variants
 * (NAME.br, .zst, .gz); 304, 412 and 416 accordingly. To other methods than GET and HEAD it is sent
 * as it is. The open file is cached with the static files, within --file-cache: for
 * --file-cache-ttl after a file was replaced, as by torc_file_link, the old one may still be sent.
 * A relative `dir` is relative to the process's working directory.
 *
 * `path` is decoded, as torc_param gives it, and begins without a slash. "" or a slash at its end
 * mean index.html; a directory without that slash is redirected to it (301) if `path` is the end of
 * torc_path. 404 for what is missing, hidden (a name that begins with a dot, but ".well-known") or
 * outside the directory, whether by ".." or a link; 403 for what may not be read; 400 for a NUL,
 * and for an absent path, such as that of a malformed escape. Fields that were set before are sent
 * with each of these responses, a Content-Type instead of the file's own.
 *
 * 0 if a response was sent, whatever its status; -EALREADY if one was started; -ENOMEM; -EIO if the
 * file could not be read to its end; or the scope's error. */
TORC_API int torc_reply_file(torc_req *rq, const char *dir, torc_slice path);

/* Starts a response whose body follows by torc_write. `length` is its size in bytes, or negative if
 * unknown: then the body is chunked, or for an HTTP/1.0 client ended by closing the connection.
 * `type` and errors as torc_reply. */
TORC_API int torc_start(torc_req *rq, int status, const char *type, int64_t length);

/* WAITS while --write-buffer bytes or more of output are unsent. The bytes are copied. One fiber of
 * a request may write at a time: -EBUSY while another waits. 0; -EINVAL beyond the announced
 * length, without torc_start or after torc_end; -ENOMEM; or the error of a cancelled request. */
TORC_API int torc_write(torc_req *rq, const void *data, size_t size);

/* WAITS. Sends `size` bytes of a file at `offset` as a piece of the body after torc_start, as
 * torc_write does with bytes of memory. 0; -EINVAL as torc_write, for a negative number, and for
 * bytes beyond the end of the file; -EBUSY while another fiber of the request writes; -ENOMEM; or
 * the error of a cancelled request. If the file cannot be read, or is truncated meanwhile, the
 * connection is closed, so that the client can tell, and the request is cancelled (-EIO). */
TORC_API int torc_send_file(torc_req *rq, torc_file *file, int64_t offset, int64_t size);

/* Ends a started response, as the handler's return does. If the body is shorter than announced, the
 * connection is closed, so that the client can tell. 0, -EINVAL without torc_start, -EBUSY while
 * another fiber sends a file, -ENOMEM, or the error of a cancelled request. */
TORC_API int torc_end(torc_req *rq);

/* ---- asking ---------------------------------------------------------------------------------- */
/* The first two do not wait. Their answers change only while the handler waits: a handler that
 * works in pieces may torc_sleep(rq, 0) between them. */

/* Whether the client has gone: true once the request is cancelled, for whatever reason, or the
 * client has ended its stream, perhaps behind bytes that nobody has read. The end of the stream
 * alone cancels nothing, as a client may shut down its sending side and still read the response
 * (RFC 9112, 9.6); a handler with costly or endless work may return without one. */
TORC_API bool torc_client_gone(const torc_req *rq);

/* Whether the server drains: this response is the connection's last, and the request is cancelled
 * if it is not done within --drain-timeout. A handler that streams without an end should end. */
TORC_API bool torc_draining(const torc_req *rq);

/* WAITS until one of them comes true: `what` is TORC_CLIENT_GONE, TORC_DRAINING or both. Returns
 * those that are true, or -EINVAL, or the scope's error: a request that is cancelled while one
 * waits for its client returns that. A function of a group may wait for them and return an error to
 * end its siblings. */
enum { TORC_CLIENT_GONE = 1, TORC_DRAINING = 2 };
TORC_API int torc_await(torc_req *rq, unsigned what);

/* ---- waiting --------------------------------------------------------------------------------- */

/* What waits belongs to a scope: that of the request, or that of the group whose function it runs
 * in. Groups are nested: what cancels a scope cancels those below it, and never the one above. A
 * call that WAITS returns the error of a cancelled scope at once, and always the same one. */

/* WAITS for at least `ms` milliseconds. 0, or the scope's error. */
TORC_API int torc_sleep(torc_req *rq, unsigned ms);

/* Sets the deadline of the scope that the caller runs in, `ms` milliseconds from now, in place of
 * an earlier one: when it has passed, every wait in the scope returns -ETIME. What does not wait
 * still works, so that the handler can respond; if it returns without a response, torc sends 504,
 * and a streamed body that it has not ended is cut off. 0, -EPERM outside the fibers of the
 * request, or the error of a cancelled scope, which no new deadline revives. */
TORC_API int torc_deadline(torc_req *rq, unsigned ms);

/* An event is signalled from any thread and awaited by any number of fibers on any core. It counts
 * its signals; a waiter keeps the count that it has seen, so that it misses none between two waits:
 *
 *     uint64_t seen = torc_event_count(e);
 *     do send_what_is_new(rq);
 *     while (!torc_draining(rq) && !torc_client_gone(rq) && torc_event_wait(rq, e, &seen) == 0);
 *
 * Several signals may end one wait. What is written before a signal is visible after the wait. A
 * client that has closed ends no wait before something is sent to it: signal now and then
 * (torc_every), or wait in a group with a function in torc_await. */

/* NULL if out of memory. It belongs to the program, and to no server. */
TORC_API torc_event *torc_event_new(void);

/* Ends every wait for the event with -EIDRM. It must not be signalled or waited for from then on;
 * its memory is freed when the last of those waits has returned. Any thread. NULL is allowed. */
TORC_API void torc_event_free(torc_event *e);

/* Any thread, but not from a signal handler. Does not wait. */
TORC_API void torc_event_signal(torc_event *e);

/* The number of signals so far. Any thread. */
TORC_API uint64_t torc_event_count(const torc_event *e);

/* WAITS until torc_event_count(e) is not *seen, and sets *seen to it, or until the server begins to
 * drain: then *seen may stay as it is, and the handler should end. 0, -EIDRM if the event is
 * freed meanwhile, -ENOMEM, or the scope's error. */
TORC_API int torc_event_wait(torc_req *rq, torc_event *e, uint64_t *seen);

/* ---- connections and descriptors ------------------------------------------------------------- */
/* A stream is a connection that a handler opens, to a database or another server. It belongs to the
 * request: streams left open are closed when the handler returns. At most one fiber may read and
 * one may write at a time. TCP sends at once (TCP_NODELAY). No call has a timeout of its own. */

/* WAITS. Connects to `to`: "127.0.0.1:80", "[::1]:80", "name:80", "unix:/path", or "unix:@name" of
 * the abstract namespace (unix(7)). The addresses of a name are tried in turn: one that is silent
 * for 250 ms gives way to the others, and is tried again after them. On success *stream must be
 * closed with torc_stream_close; on an error it is NULL. 0; -EINVAL for any other text; -ENOENT if
 * there is no such name, -EAGAIN if nobody can say now; -EPIPE if the peer resets the connection at
 * once; -ENOMEM; the errors of socket(2) and connect(2), such as -ECONNREFUSED, -ENOENT and
 * -EMFILE; or the scope's error. */
TORC_API int torc_connect(torc_req *rq, const char *to, torc_stream **stream);

/* WAITS until bytes have come; reads up to `size` of them. Returns a count, 0 at the end of the
 * peer's stream or if `size` is 0, or
 *   -EPIPE  the peer has reset the connection
 *   -EBUSY  another fiber reads
 *   -EBADF  another fiber has closed the stream meanwhile
 *   -ENOMEM, -ETIMEDOUT or another error of the connection (tcp(7))
 * or the scope's error: nothing has been read then, and a later call may. Up to 32 KiB, and what
 * comes within one turn of the core, are received before they are read; then the peer has to
 * wait. */
TORC_API ssize_t torc_stream_read(torc_req *rq, torc_stream *s, void *buf, size_t size);

/* WAITS until the kernel has taken all of the bytes, which must not change meanwhile. 0, or
 *   -EPIPE  the peer takes no more; also after torc_stream_shutdown, and after a write that failed
 *           when some of its bytes had left
 *   -EBUSY  another fiber writes or shuts down
 *   -EBADF  another fiber has closed the stream meanwhile
 * another error of the connection, or the scope's error: some of the bytes may have been sent. */
TORC_API int torc_stream_write(torc_req *rq, torc_stream *s, const void *data, size_t size);

/* WAITS. Ends the sending side: the peer reads the end of the stream after what was written, and
 * can still send. 0, or the errors of torc_stream_write. */
TORC_API int torc_stream_shutdown(torc_req *rq, torc_stream *s);

/* Closes the stream; it must not be used afterwards. Fibers that wait for it return -EBADF. Does
 * not wait: what is left to do is done meanwhile. What was written is still sent; but if there are
 * bytes that were not read, the connection is reset, which may destroy it (tcp(7)): shut down and
 * read up to the end before, where that matters. */
TORC_API void torc_stream_close(torc_stream *s);

/* WAITS until the descriptor is ready, for a client library that has a socket of its own. `events`
 * is that of poll(2), and so is the result: POLLERR and POLLHUP may be in it unasked. Several
 * fibers may wait for one descriptor, for the same events or others. A file is always ready.
 * Closing a descriptor ends no wait for it, nor, before that wait returns, its connection; its
 * number may be used again. -EBADF if it is not open; -EINVAL for events that it cannot report;
 * -EMFILE, -ENOMEM; or the scope's error. */
TORC_API int torc_poll(torc_req *rq, int fd, int events);

/* ---- HTTP client ----------------------------------------------------------------------------- */
/* Requests to other servers: HTTP/1.1 without TLS. Each core keeps connections of its own alive
 * between requests. torc sets Host, Connection and the fields of the framing. No call has a timeout
 * of its own: a deadline (torc_deadline) ends the wait for a connection, too.
 *
 * A request that is part of a trace (W3C Trace Context) hands it on: what it sends has a
 * traceparent of version 00 with the same trace-id, the flags of it that are defined, and a
 * parent-id of its own in each request, those of redirects too; and all of tracestate, unchanged.
 * Nothing is handed on of a traceparent that is malformed or comes twice, with options.no_trace, or
 * where options.fields has a traceparent; a tracestate there takes the place of the one that came.
 * torc begins no trace. */

/* A zero means the default. */
typedef struct torc_client_options {
    unsigned connections; /* of one core to one server, at most (32); others wait in turn */
    unsigned waiting;     /* requests of one core that wait for one of these, at most (1024) */
    unsigned idle_ms;     /* how long a connection is kept that nobody uses (10,000 ms) */
    size_t max_head;      /* bytes of a response's head (32 KiB) */
} torc_client_options;

/* NULL options: all by default. NULL if out of memory. Any number of requests may use a client, on
 * all cores. */
TORC_API torc_client *torc_client_new(const torc_client_options *options);

/* Frees a client, once every server whose requests used it has ended. NULL is allowed. */
TORC_API void torc_client_free(torc_client *c);

typedef struct torc_field {
    torc_slice name, value;
} torc_field;

/* All zeros, but for the URL, is a GET. What it points to must stay valid until the response's head
 * has come. */
typedef struct torc_fetch_options {
    const char *method; /* NULL: GET */
    const char *url;    /* "http://HOST[:PORT]/PATH?QUERY"; a fragment is left out */
    const char
        *connect_to; /* where to connect instead, as in torc_connect; NULL: to the URL's host */
    const torc_field *fields;
    size_t n_fields;
    torc_slice body;    /* sent with its length; absent: none */
    bool streamed;      /* for torc_fetch_open: the body follows by torc_fetch_write */
    int64_t length;     /* then, its size in bytes, or negative if unknown: it is chunked */
    size_t max_body;    /* for torc_fetch: bytes of the response's body; 0: 1 MiB */
    unsigned redirects; /* how many to follow (RFC 9110, 15.4) */
    bool repeatable;    /* it may reach the server twice, whatever its method */
    bool no_trace;      /* traceparent and tracestate are not handed on */
} torc_fetch_options;

/* WAITS for the whole response, of any status: 0, and *x must be closed with torc_fetch_close;
 * exchanges left open are closed when the handler returns, not when the function of a group does
 * that opened them. On an error *x is NULL. Or
 *   -EINVAL           the URL, the method or a field is malformed, or the field is torc's own
 *   -EPROTONOSUPPORT  a URL, or that of a redirect, is not of http
 *   -EAGAIN           as many requests wait for a connection as may
 *   -ECONNREFUSED …   the server cannot be connected to: the errors of torc_connect
 *   -EPIPE            it has closed or reset the connection before the response was complete
 *   -EBADMSG          what it sent is no response
 *   -E2BIG            the response's head exceeds max_head
 *   -EMSGSIZE         its body exceeds max_body; or its chunk sizes, extensions and trailers exceed
 *                     16 KiB and 16 bytes for each byte of the body
 *   -ELOOP            there were more redirects than `redirects`, which was not 0
 *   -ENOMEM           out of memory
 * or the scope's error.
 *
 * A keep-alive connection may turn out to be dead. If nothing of the response has come, a
 * request that may be repeated (GET, HEAD, OPTIONS, TRACE, PUT, DELETE, or as the options say) is
 * sent once more, on a new one; a streamed one never is.
 *
 * A redirect that is followed turns POST into GET for 301, 302 and 303, and any method but HEAD for
 * 303, without the body and its fields; Authorization and Cookie are not sent to another host. */
TORC_API int torc_fetch(torc_req *rq, torc_client *c, const torc_fetch_options *options,
                        torc_exchange **x);

/* WAITS until the request has been sent; if it is streamed, its head. 0, or the errors of
 * torc_fetch. Then come torc_fetch_write, torc_fetch_response and torc_fetch_read, in this order.
 * At most one fiber may use an exchange at a time: -EBUSY. After an error the exchange can only be
 * closed, except that torc_fetch_response may follow a torc_fetch_write that failed with -EPIPE.
 *
 * The response is read after the request has been sent. A server that sends more than 32 KiB of it
 * before it has read the request may have to wait for that, and the request for the server;
 * torc_fetch reads and sends at once. */
TORC_API int torc_fetch_open(torc_req *rq, torc_client *c, const torc_fetch_options *options,
                             torc_exchange **x);

/* WAITS until a piece of a streamed body has been sent. 0; -EINVAL beyond its length, or without or
 * after a streamed body; -EPIPE if the server takes no more, perhaps because it has responded; or
 * the scope's error. */
TORC_API int torc_fetch_write(torc_req *rq, torc_exchange *x, const void *data, size_t size);

/* WAITS for the response's head, after it has ended a streamed body. Returns the status, 200 to 599
 * as a rule, or the errors of torc_fetch; -EINVAL if the body is shorter than its length. A
 * redirect of a streamed body is not followed. */
TORC_API int torc_fetch_response(torc_req *rq, torc_exchange *x);

/* WAITS. Reads up to `size` bytes of the response's body, as they come: a count, 0 at its end, or
 * the errors of torc_fetch. -EINVAL before torc_fetch_response. */
TORC_API ssize_t torc_fetch_read(torc_req *rq, torc_exchange *x, void *buf, size_t size);

/* Of the response; valid until the exchange is closed. The status is 0 and fields are absent before
 * its head has come; interim responses (1xx) and trailers are left out. The body is that of
 * torc_fetch. */
TORC_API int torc_fetch_status(const torc_exchange *x);
TORC_API torc_slice torc_fetch_header(const torc_exchange *x, const char *name);
TORC_API bool torc_fetch_header_next(const torc_exchange *x, size_t *at, torc_slice *name,
                                     torc_slice *value);
TORC_API torc_slice torc_fetch_body(const torc_exchange *x);

/* Closes an exchange; it must not be used afterwards. A fiber that waits for it returns -EBADF. Its
 * connection is kept if the response is complete. Does not wait. */
TORC_API void torc_fetch_close(torc_exchange *x);

enum { TORC_TRACE_PARENT = 56 };

/* For calls that torc_fetch does not make, such as a query: a traceparent for one of them, with a
 * parent-id of its own, terminated. False, and an empty text, if the request is not part of a
 * trace. With --timeline the call is a mark in the request's span. For the request's fibers. */
TORC_API bool torc_trace_parent(torc_req *rq, char out[TORC_TRACE_PARENT]);

/* ---- groups ---------------------------------------------------------------------------------- */

/* A group runs functions concurrently on fibers of the request's core: spawn several, then join
 * them once. `fn` returns 0 or negative errno. The first that fails cancels the group: what the
 * others wait for returns -ECANCELED, and so does torc_spawn. Functions whose failures are not the
 * failure of all return 0 and leave their result in `arg`. Where the first to be done is to end the
 * others, it leaves its result there and returns an error, such as -ECANCELED, though all is well.
 */
typedef int torc_task(torc_req *rq, void *arg);

/* Opens a group; it is freed with the request. A group that the handler does not join is joined
 * after the handler returns, so do not pass its functions memory of the handler's stack in that
 * case. NULL if out of memory, or outside the fibers of the request. */
TORC_API torc_group *torc_group_open(torc_req *rq);

/* As torc_deadline, for the functions of the group. It counts while any of them runs. 0, or -EPERM
 * outside the fibers of the request. */
TORC_API int torc_group_deadline(torc_group *g, unsigned ms);

/* Starts fn(rq, arg) on a fiber; returns when fn first waits or returns. `arg` must stay valid
 * until fn returns. 0; -EAGAIN past --max-requests, -ENOMEM without memory for a stack, the error
 * of a cancelled group: then fn has not run, and this counts as its failure. -EPERM outside the
 * fibers of the request. */
TORC_API int torc_spawn(torc_group *g, torc_task *fn, void *arg);

/* WAITS until every function has returned, even if the request is cancelled, and with them those of
 * groups that they opened and did not join. 0, or the first error that a function or torc_spawn
 * returned. -EBUSY if another fiber is already joining, -EDEADLK in a function of the group, or of
 * one below it, -EPERM outside the fibers of the request. */
TORC_API int torc_group_join(torc_group *g);

/* ---- files ----------------------------------------------------------------------------------- */
/* A file belongs to its request: one that is left open is closed when the handler returns. Relative
 * paths are relative to the process's working directory. Where the kernel is asked by io_uring, no
 * call here keeps the core from other requests; with epoll each does while the disk works, and on
 * io_uring those for which the kernel lacks an operation: torc_file_link before Linux 5.15. */

/* WAITS. Opens a regular file for reading. On success *file is set. 0; -EISDIR for a directory,
 * -EACCES for any other non-regular file, -ENOMEM, or the errors of openat2(2). */
TORC_API int torc_file_open(torc_req *rq, const char *path, torc_file **file);

/* WAITS. Opens a regular file for reading and writing, and creates it if it is missing, with the
 * permissions `mode` less the process's umask. `flags` are 0 or those of <fcntl.h>: O_EXCL, which
 * makes a file that is there -EEXIST, and O_TRUNC, which makes it empty. On success *file is set.
 *
 * 0; -EINVAL for other flags, -ENOMEM, or the errors of openat(2); -EISDIR and -EACCES as
 * torc_file_open. What is written stays if the request is cancelled; torc_file_temp does not. */
TORC_API int torc_file_create(torc_req *rq, const char *path, int flags, unsigned mode,
                              torc_file **file);

/* WAITS. Creates a temporary file in the directory `dir`, for reading and writing, with the
 * permissions 0666 less the process's umask. It has no name (O_TMPFILE), or, where the file system
 * cannot do that, one that begins with ".torc-". When it is closed it is gone, unless
 * torc_file_link gave it a name; only one with a name of its own is left behind if the process is
 * killed. On success *file is set. 0, -ENOMEM, or the errors of openat(2). */
TORC_API int torc_file_temp(torc_req *rq, const char *dir, torc_file **file);

/* WAITS. Gives a temporary file its name, at once and with all that was written, on the file system
 * of its directory. If `path` exists, it is replaced in one step (rename(2)), or without `replace`
 * the call fails with -EEXIST. The file stays open. 0; -EINVAL for a file that has its name;
 * -EXDEV for another file system; or the errors of linkat(2) and rename(2). A file without a name
 * needs /proc for this. */
TORC_API int torc_file_link(torc_req *rq, torc_file *file, const char *path, bool replace);

/* The file's size in bytes when it was opened, or as far as the program has written since. */
TORC_API int64_t torc_file_size(const torc_file *file);

/* WAITS. Reads up to `size` bytes at `offset`. Returns a count, 0 at the end of the file, or
 * negative errno. Several fibers of a request may read the same file concurrently. */
TORC_API ssize_t torc_file_read(torc_req *rq, torc_file *file, void *buf, size_t size,
                                int64_t offset);

/* WAITS. Writes `size` bytes at `offset`, which may be beyond the end of the file; `data` must stay
 * valid meanwhile. Returns `size` once all are written, or negative errno: then some may be.
 * -EBADF for a file opened for reading, -EINVAL for a negative offset, or the errors of pwrite(2),
 * such as -ENOSPC, -EDQUOT and -EFBIG. Several fibers of a request may write to the same file. */
TORC_API ssize_t torc_file_write(torc_req *rq, torc_file *file, const void *data, size_t size,
                                 int64_t offset);

/* WAITS until what was written to the file is on the storage (fsync(2)); its name may not be yet. 0
 * or negative errno. */
TORC_API int torc_file_sync(torc_req *rq, torc_file *file);

/* Closes the file; it must not be used afterwards, and no call that uses it may be in progress.
 * WAITS for a file that can be written, even if the request is cancelled. */
TORC_API void torc_file_close(torc_req *rq, torc_file *file);

/* ---- work elsewhere -------------------------------------------------------------------------- */

/* Code that blocks, such as a library that reads a file or a database by itself, or that computes
 * for long, belongs on another thread: a server has a pool of them (--work-threads), which its
 * cores share. They are not pinned, and block all signals but those of faults. They last until the
 * server ends, and have ended when torc_server_main returns, unless that is 4. The queue before
 * them is bounded (--work-queue). /metrics tells its length, how long jobs waited and ran, and how
 * many were rejected. Their stacks are those that the C library gives to threads, of `ulimit -s`
 * when the process starts: an overflow ends the process by SIGSEGV, after a line on stderr that
 * names the route that the job is of. */

/* A job on a thread of the pool. */
typedef struct torc_job torc_job;

/* What a job does. It must not use the request: what it needs is in `arg`. */
typedef int torc_work_fn(torc_job *job, void *arg);

/* WAITS while fn(job, arg) runs on a thread of the pool, and returns its result, which should be 0,
 * a count or a negative errno that is none of these:
 *   -EAGAIN  the queue is full, at once; 503 would be a fitting response
 *   -ENOSYS  the server has no such threads (--work-threads 0)
 *   -ENOMEM, -EPERM outside the fibers of the request, or the scope's error
 * and then fn has not run, unless the scope was cancelled meanwhile. A cancelled job that has not
 * begun never runs; one that runs is told (torc_work_cancelled), and then
 *
 * - without `cleanup` (NULL), `arg` belongs to the caller and may be on its stack: this returns
 * only when fn has returned, with fn's result, or when fn will never run;
 * - with `cleanup`, this returns at once, with the scope's error. `arg` is used by the job for as
 *   long as it runs, and by the request until it ends: whichever is last calls cleanup(arg), on the
 *   core or on the thread of the job. It is called once, whatever this returns: after -ENOMEM and
 *   -EPERM it has been called, so do not keep the result of this call in `arg`; otherwise it is not
 *   before the handler and the functions of its groups have returned. After an error of the scope
 *   the job may still be writing to `arg`.
 *
 * A drain waits for jobs as for requests; one that does not return is left behind, as is a handler:
 * see torc_server_main. */
TORC_API int torc_work(torc_req *rq, torc_work_fn *fn, void *arg, void (*cleanup)(void *arg));

/* Whether nobody waits for the result any more: a job that takes long should ask now and then, and
 * return. May be called from any thread while the job runs. */
TORC_API bool torc_work_cancelled(const torc_job *job);

/* ---- outside requests ------------------------------------------------------------------------ */

/* Has the core of that index, from 0, run fn(arg) soon, in the order of the calls of one thread.
 * May be called from any thread, not from a signal handler; what the caller wrote before is visible
 * to fn. fn runs between requests, not on a fiber: it must not block, and no call that WAITS works
 * in it; it can signal an event, or change data of its core. Its stack is the thread's, as that of
 * a job.
 *
 * 0: then fn runs, once, unless the engine of the core fails; -EINVAL if the server has no such
 * core, -ESHUTDOWN before the core is ready and once it ends, in a drain after its last request;
 * -EAGAIN while 65,536 functions wait for the core, -ENOMEM. Once the server is ready, the first
 * index that gets -EINVAL is the number of its cores. */
TORC_API int torc_post(torc_server *s, unsigned core, void (*fn)(void *arg), void *arg);

/* Has every core run fn(rq, arg) each `ms` milliseconds, for the first time after as many. `rq` is
 * a request without a client: fn is a handler like any other, and may wait, allocate, open files,
 * spawn functions and use torc_core(rq); what it leaves is freed when it returns. It has no method,
 * path, fields or body, and what would begin a response returns -ENOTCONN. On one core one run at a
 * time: while it lasts the next ones are left out. It counts as one of --max-requests while it
 * runs; when these are used up a run is left out. /metrics counts the runs, and those left out.
 *
 * In a drain no run begins; torc_draining tells one that lasts, and it is cancelled with -ESHUTDOWN
 * if it has not returned within --drain-timeout.
 *
 * 0; -EINVAL if `ms` is 0, -EBUSY once the server has started, -ENOMEM. */
TORC_API int torc_every(torc_server *s, unsigned ms, torc_handler *fn, void *arg);

/* ---- metrics --------------------------------------------------------------------------------- */
/* A program's own numbers stand in /metrics and /stats.json of the admin side (--admin) beside
 * those of the server. They are read when somebody asks, so counting costs what the program makes
 * it cost: a C11 atomic that many threads add to, or one for each core. */

typedef struct torc_metrics torc_metrics;
typedef void torc_metrics_fn(torc_metrics *out, void *arg);
typedef enum torc_metric_kind { TORC_COUNTER, TORC_GAUGE } torc_metric_kind;

/* Has each request for /metrics and /stats.json call fn(out, arg), which gives its numbers by
 * torc_metric. It runs on the thread of the admin side, while handlers run on the cores, must not
 * wait, and may be added any number of times. 0, -EBUSY once the server has started, -ENOMEM. */
TORC_API int torc_metrics_add(torc_server *s, torc_metrics_fn *fn, void *arg);

/* One number. `name` is that of Prometheus: letters, digits and _, no digit first; that of a
 * counter ends in _total, and times are seconds. It must not begin with torc_. `help` is a line of
 * text. Both are read at once. 0; -EINVAL for any other name, -EEXIST if this request has given it
 * already, -ENOMEM: then the number is left out. */
TORC_API int torc_metric(torc_metrics *out, torc_metric_kind kind, const char *name,
                         const char *help, double value);

/* What the requests of a server have done, summed over its cores; those of the admin side are left
 * out. Times are seconds. Over a stretch of time, between two readings, the concurrency of requests
 * is the change of `lifetime` by that of `wall`, their parallelism that of `on_core` by that of
 * `wall`, and their asynchrony 1 less that of `held` by that of `lifetime`. */
typedef struct torc_measures {
    double wall;        /* since the server was started */
    double lifetime;    /* from arrival to end; of requests in progress, until now */
    double on_core;     /* while the cores ran their code */
    double held;        /* while they held a thread: on the engine threads all of `lifetime` */
    unsigned cores;     /* threads that run handlers, each one request at a time */
    const char *engine; /* "io_uring", "epoll" or "threads"; a literal */
} torc_measures;

/* Reads them. Any thread, a handler too, whose own request is counted until now. Does not wait: it
 * reads some counters of each core, which takes less than a microsecond for each, and nothing while
 * nobody asks. The rate of the clock of `on_core` is known better the longer the server runs, so
 * that this sum may be corrected by a little, downwards too.
 *
 * 0, or -ESHUTDOWN before the server is ready, while *out is left alone, and once it has ended. */
TORC_API int torc_server_measures(const torc_server *s, torc_measures *out);

#ifdef __cplusplus
}
#endif
