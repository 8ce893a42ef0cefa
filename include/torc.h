/* torc: an HTTP/1.1 server library for Linux, one io_uring (or epoll) per core.
 *
 * A handler is straight-line C. It runs on a fiber of the core that accepted the connection; calls
 * marked WAITS may suspend it, and while it is suspended its core serves other requests. It must
 * not block in any other way: a handler that sleeps or computes for long holds up its whole core.
 *
 * Threads: routes are declared before torc_server_main, from one thread. A torc_req and everything
 * reached from it belongs to the handler it was given to, until that handler returns. Two requests
 * never share a torc_req; handlers of different cores run in parallel, so what `arg` points to is
 * read-only or synchronised by you.
 *
 * Errors are negative errno values. -ECANCELED means that the client has gone away or the server is
 * being stopped: return from the handler; nothing you reply is sent any
 * more. */
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

/* Bytes that somebody else owns; not NUL-terminated. An absent value has ptr NULL. */
#ifndef TORC_SLICE
#define TORC_SLICE
typedef struct torc_slice {
    const char *ptr;
    size_t len;
} torc_slice;
#endif

/* A slice of a string literal. */
#ifdef __cplusplus
#define TORC_S(literal) (torc_slice{(literal), sizeof(literal) - 1})
#else
#define TORC_S(literal) ((torc_slice){(literal), sizeof(literal) - 1})
#endif

typedef struct torc_server torc_server;
typedef struct torc_req torc_req;
typedef struct torc_file torc_file;
typedef struct torc_group torc_group;

typedef void torc_handler(torc_req *rq, void *arg);

/* ---- server ---------------------------------------------------------------------------------- */

/* A server with every option at its default. `name` is what --version prints, for example
 * "hello 1.0"; it is copied. NULL when memory is out. */
TORC_API torc_server *torc_server_new(const char *name);

/* Says below the first line of --help what the program is; lines of your own, without the last line
 * end. Copied. 0 or -ENOMEM. */
TORC_API int torc_server_about(torc_server *s, const char *text);

/* Frees a server that is not running. NULL is allowed. */
TORC_API void torc_server_free(torc_server *s);

/* Sets one option by the name of its flag without the dashes: ("depth", "512"), ("cores", "0-3"),
 * ("direct", "no"). Returns 0 or -EINVAL; torc_server_error then says which option and what it
 * takes. Options given on the command line win over those set before torc_server_main. */
TORC_API int torc_server_set(torc_server *s, const char *option, const char *value);

/* Declares one more option of your own, shown under --help and accepted in the config file. The
 * value lands in *value (a copy that lives as long as the server; NULL when not given). */
TORC_API int torc_server_option(torc_server *s, const char *name, const char *takes,
                                const char *help, const char **value);

/* Mounts `handler` at `pattern` for one method ("GET", also answers HEAD). A pattern is made of
 * segments: "/users/:id/posts" matches one segment by name, a last segment "*rest" matches what is
 * left, slashes included. A static segment wins over ":name", that over "*rest". Returns 0, -EINVAL
 * for a malformed pattern or method, -EEXIST where the pair is taken, -EBUSY once the server
 * runs. */
TORC_API int torc_route(torc_server *s, const char *method, const char *pattern,
                        torc_handler *handler, void *arg);

/* Serves the files below the directory given by --root at `prefix` ("/" or "/static/"), with types,
 * conditional requests, ranges and precompressed twins; "/static" without its slash redirects
 * there. Without --root the prefix answers 404. */
TORC_API int torc_static(torc_server *s, const char *prefix);

/* The last error of torc_server_set, torc_route or torc_static, in words; "" when there was
 * none. */
TORC_API const char *torc_server_error(const torc_server *s);

/* Reads the command line, runs until SIGTERM or SIGINT has drained it, and returns the exit status:
 * 0 after a drain, 1 where it could not start, 2 for wrong options, 3 where the engine asked for by
 * name is not to be had. Prints the ready line to stderr once every core listens. After it has run,
 * SIGTERM, SIGINT and SIGHUP are ignored, so that a second one does not change the exit status; a
 * program that goes on sets them as it wants them. */
TORC_API int torc_server_main(torc_server *s, int argc, char **argv);

/* Starts the drain, as SIGTERM does. Callable from any thread and from a signal handler. */
TORC_API void torc_server_stop(torc_server *s);

/* ---- request --------------------------------------------------------------------------------- */
/* Slices returned here live until the handler returns. */

TORC_API torc_slice torc_method(const torc_req *rq); /* "GET"; for HEAD on a GET route "HEAD" */
TORC_API torc_slice torc_path(const torc_req *rq);   /* as sent, without query, not decoded */
TORC_API torc_slice torc_query(const torc_req *rq);  /* after '?', not decoded; absent without */
TORC_API torc_slice torc_host(const torc_req *rq);   /* of the target, else the Host field */

/* The first field of that name (case-insensitive), without surrounding white space. */
TORC_API torc_slice torc_header(const torc_req *rq, const char *name);

/* The next field, starting from *at = 0; false when there are no more. */
TORC_API bool torc_header_next(const torc_req *rq, size_t *at, torc_slice *name, torc_slice *value);

/* What ":name" or "*name" of the route matched, percent-decoded; absent for any other name. */
TORC_API torc_slice torc_param(const torc_req *rq, const char *name);

/* The first query parameter of that name, percent-decoded ('+' is a space); absent when missing. */
TORC_API torc_slice torc_query_param(torc_req *rq, const char *name);

/* The next query pair, decoded, starting from *at = 0; false when there are no more. */
TORC_API bool torc_query_next(torc_req *rq, size_t *at, torc_slice *name, torc_slice *value);

/* Memory that ends with the request, aligned for any type; NULL past the request's limit. */
TORC_API void *torc_alloc(torc_req *rq, size_t size);

/* The index of the core that serves this request, from 0. */
TORC_API unsigned torc_core(const torc_req *rq);

/* WAITS. Reads up to `size` bytes of the body: a count, 0 at its end, -ETIMEDOUT, -ECANCELED,
 * -EMSGSIZE past --max-body, -EBADMSG where its framing is broken. */
TORC_API ssize_t torc_body_read(torc_req *rq, void *buf, size_t size);

/* WAITS. Reads the whole body into the request's memory: 0 or the errors of torc_body_read, and
 * -ENOMEM. */
TORC_API int torc_body_all(torc_req *rq, torc_slice *body);

/* ---- response -------------------------------------------------------------------------------- */
/* Server, Date, Content-Length, Transfer-Encoding and Connection are torc's own and refused in
 * torc_set_header. A handler that returns without a response sends 500. */

/* Adds a field to the response that has not been started yet; both strings are copied. -EINVAL for
 * what is not a field name (RFC 9110, 5.1) or value (no control characters but HTAB; 5.5) or is
 * torc's own; -EALREADY once the response has started; -ENOMEM. */
TORC_API int torc_set_header(torc_req *rq, torc_slice name, torc_slice value);

/* Sends a whole response; `body` is copied. `type` may be NULL for no Content-Type. Returns 0,
 * -EALREADY where a response has been started, -EINVAL for a status outside 200 to 599 or a bad
 * type, -ENOMEM. */
TORC_API int torc_reply(torc_req *rq, int status, const char *type, torc_slice body);

/* torc_reply with a formatted body of type text/plain. */
TORC_API int torc_replyf(torc_req *rq, int status, const char *format, ...) TORC_PRINTF(3, 4);

/* A response of the status with a line of text that names it. */
TORC_API int torc_reply_error(torc_req *rq, int status);

/* Starts a response whose body follows by torc_write. `length` is its size in bytes, or -1 when it
 * is not known: then it is chunked (to an HTTP/1.0 client: ended by closing). Errors as
 * torc_reply. */
TORC_API int torc_start(torc_req *rq, int status, const char *type, int64_t length);

/* WAITS while more than --write-buffer bytes of this response are unsent. The bytes are copied.
 * 0, -ECANCELED, -ETIMEDOUT, -ENOMEM; -EINVAL beyond the announced length or without torc_start. */
TORC_API int torc_write(torc_req *rq, const void *data, size_t size);

/* Ends a started response; the handler's return does it as well. A body shorter than announced
 * closes the connection, so that the client can tell. */
TORC_API int torc_end(torc_req *rq);

/* ---- waiting --------------------------------------------------------------------------------- */

/* WAITS for that many milliseconds, never less. 0 or -ECANCELED. */
TORC_API int torc_sleep(torc_req *rq, unsigned ms);

/* WAITS. Opens a regular file for reading: *file is then yours to close. Returns 0 or negative
 * errno; -EISDIR for a directory, -EACCES for what is neither. */
TORC_API int torc_file_open(torc_req *rq, const char *path, torc_file **file);

/* Its size in bytes when it was opened. */
TORC_API int64_t torc_file_size(const torc_file *file);

/* WAITS. Reads up to `size` bytes at `offset`: a count, 0 at the end, negative errno. Several
 * fibers of the same request may read one file at the same time. */
TORC_API ssize_t torc_file_read(torc_req *rq, torc_file *file, void *buf, size_t size,
                                int64_t offset);

TORC_API void torc_file_close(torc_req *rq, torc_file *file);

/* A group runs functions concurrently on fibers of the request's core: start them together, wait
 * once. `fn` returns 0 or negative errno. */
typedef int torc_task(torc_req *rq, void *arg);

/* NULL when memory is out. The group ends with the request; one that the handler does not join is
 * joined when it returns, so what its functions use must live as long. */
TORC_API torc_group *torc_group_open(torc_req *rq);

/* Starts fn(rq, arg) and returns when it first waits or has returned. -ENOMEM or -EAGAIN where no
 * fiber is to be had: fn has then not run, and the group's result is that error. */
TORC_API int torc_spawn(torc_group *g, torc_task *fn, void *arg);

/* WAITS until every function has returned. 0, or the first error that any of them returned. */
TORC_API int torc_group_join(torc_group *g);

#ifdef __cplusplus
}
#endif
