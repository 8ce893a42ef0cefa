/* torc: an HTTP/1.1 server library for Linux, one io_uring (or epoll) per core. No TLS, no HTTP/2.
 * With --engine threads each of its threads is a core here, with one connection at a time.
 *
 * A handler is straight-line C. It runs on a fiber of the core that accepted the connection. Calls
 * marked WAITS may suspend it; while it is suspended, its core serves other requests. A handler
 * must not block in any other way: one that sleeps or computes for long delays every connection of
 * its core, and belongs on another thread (torc_work); --stall-warn names it.
 *
 * Threads. The calls that set up a server (up to torc_server_start) come from one thread.
 * torc_server_stop and torc_server_reload may be called from any thread and from a signal handler,
 * torc_post from any thread. Every other call takes a torc_req, or something obtained from one, and
 * belongs to the fibers of that request: it must not be made after the handler has returned, nor
 * from another thread. A call that WAITS returns -EPERM there; what the others do is undefined.
 * Handlers run on all cores in parallel, so what `arg` points to must be read-only or synchronised
 * by the program. Data of one core (torc_core) needs no lock between two calls that WAIT, as
 * nothing else of the core runs meanwhile. A mutex must not be held across a call that WAITS: the
 * request that would release it could be of the same core, which then never comes to it.
 *
 * A process that a handler or a job forks has the sockets of all clients until it executes a
 * program or ends (_exit(2)): for those that the server closes meanwhile, the connection ends only
 * then. Calls that WAIT return -EPERM in it, torc_post -ECHILD; what else responds, ends or cancels
 * has no effect, neither there nor in the server. Where it returns from the handler or the job, as
 * after an execve(2) that has failed, it ends with the status 125 after a line on stderr. SIGTERM,
 * SIGINT and SIGHUP have their dispositions of before the server.
 *
 * What a thread has in C, a fiber has here: errno, the exceptions that C++ is handling, the shadow
 * of the address and thread sanitizers. An exception must not leave a handler, and libraries in C++
 * that a program in C loads (dlopen(3)) have to be loaded before the start. Thread-local variables
 * belong to the core, and so do the locale of uselocale(3) and the rounding mode and
 * exception flags of fenv(3): a handler that changes them restores them before it calls what WAITS
 * and before it returns. A handler's locals, and those of what it calls, must fit its stack of
 * --stack-size (64 KiB by default, from 16 KiB to 64 MiB); large objects belong into torc_alloc.
 * A page below the stack is a guard: an overflow ends the process by SIGSEGV, after a line on
 * stderr that names the route.
 *
 * No pointer but `arg` may be NULL, nor may that of a slice with a length, unless the text says so.
 * Errors are negative values of <errno.h>. A request is cancelled
 *   -ECONNRESET  when its client resets the connection, which a client that has closed does once
 *                something is sent to it;
 *   -ESHUTDOWN   when the server's drain times out; in a start function of torc_server_each_core
 *                as soon as another has failed or the server is stopped;
 *   -ETIMEDOUT   when the client takes no data for --write-timeout, takes it at less than
 *                --min-read-rate, or is silent in its turn while new clients wait at
 *                --max-connections;
 *   -ENOMEM      when its client is closed because --buffer-memory is used up;
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
typedef int torc_task(torc_req *rq, void *arg); /* 0 or a negative errno */

/* ---- server ---------------------------------------------------------------------------------- */

/* Creates a server with every option at its default. `name` is printed by --version, for example
 * "hello 1.0"; it is copied. NULL if out of memory. Where descriptor 0, 1 or 2 is closed, opens
 * /dev/null for it, so that no socket or file gets that number; writing to it still fails.
 * torc_server_start does that, too: a server holds no descriptor before, so a program that becomes
 * a daemon may close all in between. */
TORC_API torc_server *torc_server_new(const char *name);

/* Sets the description of the program that --help prints below the usage line; without a final
 * newline. `text` is copied. 0, -ENOMEM or -EBUSY. */
TORC_API int torc_server_about(torc_server *s, const char *text);

/* Frees a server; one that runs is stopped first, and its end awaited. NULL is allowed. On a thread
 * of the server, as in a handler, it is stopped and not freed, and a line on stderr says so. In a
 * process that was forked since the start nothing is done. */
TORC_API void torc_server_free(torc_server *s);

/* Sets one option by the name of its flag without the dashes: ("depth", "512"), ("cores", "0-3"),
 * ("direct", "no"). Both strings are copied. 0 or -EINVAL; torc_server_error then names the option
 * and what it takes. -ENOMEM; -EBUSY once the server has started. A call replaces what an earlier
 * one has set; an option that is repeatable, such as "listen", keeps its values and gets one more.
 * The config file and the command line override it: see torc_server_parse. "check", "json", "help"
 * and "version" are for the command line alone: -EINVAL. "config" names the file that
 * torc_server_parse or torc_server_main reads where the command line names none: it is set before
 * that (-EBUSY after), and torc_server_start fails with -EINVAL if neither was called. */
TORC_API int torc_server_set(torc_server *s, const char *option, const char *value);

/* Declares an option of the program's own, shown by --help and accepted in the config file. `takes`
 * names its argument in the help; NULL declares a flag, whose value is "yes" or "no". The strings
 * are copied. *value is NULL until torc_server_parse or torc_server_main has read the config file
 * and the command line, before any handler runs; then it is a copy of the value that lives as long
 * as the server, or NULL still if the option is not given. What depends on it, such as the period
 * of torc_every or a pool of torc/pg.h, is set up between torc_server_parse and torc_server_run. 0,
 * -EINVAL for a malformed name or without `value`, -EEXIST, -EBUSY, -ENOMEM. */
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
 * segments, "/a%21" is not "/a!", and neither "//" nor a slash at the end is "/". A pattern, like
 * a path, is of printable ASCII without spaces, '?' and '#': what else there is has to be escaped
 * in it as clients do, as in "/caf%C3%A9". Some send a '%' that begins no escape, and torc takes
 * that: it stands for itself, so that "/100%" matches "/100%", but not "/100%25".
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
 * then, but for a path with a segment "..", and no 400 but for one with a NUL, as above. torc_param
 * has nothing for it. 0, -EINVAL without a handler, -EEXIST if there is one,
 * -EBUSY once the server runs. */
TORC_API int torc_fallback(torc_server *s, torc_handler *handler, void *arg);

/* Adds middleware: `handler` runs in place of every handler for paths below `prefix`, and calls
 * torc_next for what it stands in front of; what was added first is outermost. It also runs around
 * what torc answers by itself: 404, 405, the 204 of OPTIONS, 413, 501 and every other status for a
 * request that no handler sees, 400, 408 and 431 for a malformed or late head included. Of such a
 * head, and of one whose method nobody knows, there may be no method, path or fields; an absent
 * path is below "/" only. It does not run for what torc sheds or limits (429, and 503 where it has
 * too much to do), nor for a function of torc_every.
 *
 * "/admin" has "/admin" itself and what is below it, in any spelling: "/%61dmin", "/./admin" and
 * "/admin//x", too, for a handler of "*rest" may take them for the same. "/" has every path. A
 * prefix has no parameters and is compared with case.
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
 * Groups that are open are joined. Otherwise -EALREADY if it was called for this request before, if
 * not -EINVAL in a handler, -EPERM outside the fiber of the middleware, or the error of a cancelled
 * request. */
TORC_API int torc_next(torc_req *rq);

/* Responds to a request in place of torc, which would send a line of text: by torc_reply, for
 * instance, with the same status or another. If it does not respond, torc does; what it has started
 * (torc_start) ends when it returns. */
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
    TORC_GIVEN_UP     /* by the server: it stops, lacks memory, or the body was not completed */
} torc_outcome;

typedef struct torc_summary {
    int status; /* of the response; 0: none was given */
    torc_outcome outcome;
    uint64_t body_bytes;  /* of the response's body that were sent */
    uint64_t duration_ns; /* since the core received the request's first byte */
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
 * GET, HEAD and OPTIONS are 405 there. "/static" redirects to "/static/" unless the program has a
 * route for GET or "*" there, which it may add before or after. Without --root every path below the
 * prefix answers 404. Errors as torc_route. */
TORC_API int torc_static(torc_server *s, const char *prefix);

/* Likewise with a directory of its own, of which there may be any number; that of --root is not
 * needed. `dir` is copied; if it is relative, to the working directory. The open files of all
 * directories are cached together, within --file-cache. A directory that cannot be opened when the
 * server starts ends it (exit status 1). Errors as torc_route. */
TORC_API int torc_static_dir(torc_server *s, const char *prefix, const char *dir);

/* The last error in words, valid until the next one; "" if there was none. It is that of a call
 * which sets up a server, such as torc_server_set, torc_route or torc_use, of torc_server_parse or
 * of torc_server_start. A call that succeeds leaves it as it is, but torc_server_start, which
 * forgets it. */
TORC_API const char *torc_server_error(const torc_server *s);

/* ---- a server's life ------------------------------------------------------------------------- */
/* A program that is a server calls torc_server_main and exits with what it returns. One that reads
 * options of its own before it serves calls torc_server_parse and torc_server_run. One that does
 * more than serve calls torc_server_start, torc_server_stop and torc_server_join: then torc changes
 * no disposition and no mask of signals, and the program reads no command line unless it wants to.
 * Any number of servers may run in a process at once, each on addresses of its own, started and
 * ended from any threads.
 *
 * Where torc_server_run is not called, SIGTERM is the program's business, and so is SIGHUP. torc
 * itself causes no SIGPIPE; what a handler writes may, and past a limit of the size of files
 * (ulimit -f) SIGXFSZ. Notices, such as an option that has no effect, are written to stderr.
 *
 * While servers run the process's soft descriptor limit is the hard one; with the last of them it
 * is again what it was. A child that is made by fork(2) has the limit that was found, and the CPUs
 * that the server was started with.
 *
 * Descriptors that the program did not open are not its to close. Where it closes those of a server
 * that has started, as close_range(3, ~0U, 0) does, clients lose their connections; each core
 * notices within some seconds, says so on stderr, and the server ends: torc_server_join returns 1.
 * A core of epoll that was busy at that moment does not notice: it stays until the server is
 * stopped, and then until --drain-timeout is over.
 * Meanwhile torc may write to files that have got the same numbers. */

/* Reads the command line, and the config file that it names (--config). It overrides what
 * torc_server_set sets, before or after. Call it once. Prints what --help and --version ask for.
 *   0        go on; values of torc_server_option are there
 *   1        there is nothing more to do: exit with 0
 *   -EINVAL  a wrong option: torc_server_error says which, for the program to print (exit with 2)
 *   -EBUSY if it was called before or the server has started, -ENOMEM, -EIO if stdout is full
 * Without this call, a server has the options of torc_server_set alone. Does not wait, except for
 * the file. */
TORC_API int torc_server_parse(torc_server *s, int argc, char **argv);

/* Starts the server: returns once every core listens, and with it everything that the functions of
 * torc_server_each_core have set up. Its threads inherit the mask of signals of this one, and may
 * use its CPUs. From then on it serves by itself, whether or not somebody waits in
 * torc_server_join: torc_server_stop ends it, torc_server_reload reloads it.
 *
 * 0; 1 if --check was given: it has been printed, and there is nothing more to do. Or a negative
 * errno and the reason in torc_server_error: -EADDRINUSE, -EACCES or -EADDRNOTAVAIL of an address;
 * -ENOSYS, -EPERM and others of an engine that is unavailable; -EINVAL for options that do not go
 * together; -ENOENT and others of a directory or the access log; -EMFILE, -EAGAIN, -ENOMEM; the
 * error of a function of torc_server_each_core; -ESHUTDOWN if there are such functions, and
 * torc_server_stop was called before all of them had returned. Then everything has been undone, and
 * the server may be changed and started once more, but routes cannot be added where the failure
 * came after the addresses. A socket that the process was given (--listen fd:N) is open still; one
 * that was served is closed at the end. -EBUSY, and nothing else, if it has started already, or if
 * one that failed has left something behind: an engine that has failed, or a function that has not
 * returned. An address that is taken is tried for a second. */
TORC_API int torc_server_start(torc_server *s);

/* Has each core that serves call start(rq, arg) before it takes connections, and stop(rq, arg)
 * after its last request: to open and close what belongs to a core, which torc_core_set keeps.
 * Either may be NULL. `rq` is a request without a client, as that of torc_every: both may wait, and
 * what they leave is freed with it. Several are started in the order of the calls, and stopped in
 * the reverse order; no core serves before those of all have returned 0.
 *
 * If a start function returns an error, so does torc_server_start: those that have returned 0 are
 * stopped, those that wait are cancelled (-ESHUTDOWN). torc_server_stop ends a start in the same
 * way, and those that have not begun by then do not run. So none runs where it was called before
 * torc_server_start, which returns -ESHUTDOWN then, too.
 *
 * The time of stop functions counts as that of the drain: after --drain-timeout they are cancelled.
 * A core whose engine fails stops none. 0, -EBUSY once the server has started, -ENOMEM. */
TORC_API int torc_server_each_core(torc_server *s, torc_task *start, torc_handler *stop, void *arg);

/* The port of a listener, by its index in the order of --listen, or TORC_ADMIN for that of --admin:
 * for port 0 the one that the system has chosen. -EINVAL if there is none, it is not one of TCP, or
 * the server has not started. From any thread. */
#define TORC_ADMIN 0xffffffffU
TORC_API int torc_server_port(const torc_server *s, unsigned listener);

/* Likewise its address, such as "127.0.0.1:8080" or "[::1]:8080"; valid as long as the server. NULL
 * if there is none, or the server has not started. */
TORC_API const char *torc_server_address(const torc_server *s, unsigned listener);

/* WAITS (of a thread that is not torc's) until a server that has started has ended:
 * torc_server_stop was called and the drain is over, a core has failed, or a listening socket was
 * shut down from outside. Returns the exit status, 0, 1 or 4 as torc_server_main. May be called any
 * number of times, from any number of threads, and also once the server has ended. -EINVAL before
 * it has started; -EDEADLK on a thread of this server, as in a handler, a job of torc_work or a
 * function of torc_post; -ECHILD in a process that was forked since the start. */
TORC_API int torc_server_join(torc_server *s);

/* Serves until SIGTERM, SIGINT or torc_server_stop, then drains: starts the server unless
 * torc_server_start has, prints the ready line to stderr, and waits, with the signals as
 * torc_server_main says. Returns the exit status; what has kept the server from starting has been
 * printed, unless it was asked to stop. -EBUSY if it was called before; -EDEADLK and -ECHILD as
 * torc_server_join. */
TORC_API int torc_server_run(torc_server *s);

/* Reads the command line and serves until SIGTERM, SIGINT or torc_server_stop; then drains:
 * torc_server_parse and torc_server_run in one. Prints the ready line to stderr once every core
 * listens. Returns the exit status: 0 after a drain, after a stop that has ended the start
 * (-ESHUTDOWN of torc_server_start), or after --help, --version or a successful --check; 1 if the
 * server could not start; 2 for wrong options; 3 if the engine requested by name is unavailable; 1
 * also if the kernel refuses the engine's system calls later, or another process shuts a listening
 * socket down, after a drain; 4 if a handler had not returned 5 seconds after the drain cancelled
 * it, a job of torc_work 5 seconds after that or after --drain-timeout, or a write to the access
 * log or a reload a few seconds after the drain, as from a disk that does not answer. Where a core,
 * a job or a reload could not end, its thread or its memory is left behind: torc_server_free then
 * frees nothing unless it has returned meanwhile, and the program must not free what its handlers
 * and jobs use: it had better end, by _exit(2), as exit(3) takes libraries apart that they may be
 * in the middle of (OpenSSL). -EBUSY, with nothing printed, if it was called for this server
 * before.
 *
 * While the server runs, SIGTERM, SIGINT and SIGHUP (see torc_server_reload) have handlers of
 * torc and are unblocked in the calling thread, SIGPIPE and SIGXFSZ have one that does nothing
 * where they had their default, and SIGSEGV has a handler that tells on stderr in which handler or
 * job it was, and passes the fault on to the one found. With --stall-warn, backtraces take the
 * highest real-time signal that has its default and is not blocked in the calling thread; a
 * handler that computes gets it, and a call that no signal restarts, such as nanosleep(2), ends
 * with EINTR if it begins at that moment. Whichever thread receives a signal, it works. The thread
 * of --admin, which has a descriptor table of its own, blocks all others but those of faults.
 * Dispositions and mask are then restored. A program in which a second SIGTERM must not change the
 * exit status sets a handler of its own before. */
TORC_API int torc_server_main(torc_server *s, int argc, char **argv);

/* Starts the drain, like SIGTERM, and returns at once. Before the start it is kept: the server then
 * starts, and drains. But one with functions of torc_server_each_core, for which that would be work
 * for nothing, does not start: torc_server_start returns -ESHUTDOWN, and the next one starts. May
 * be called from any thread, from a handler and from a signal handler, any number of times. */
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
 * the head. Limits of a body without a length are found while it is read: --max-body, or 413, and
 * of its chunk sizes, extensions and trailers 16 KiB and 16 bytes for each byte of data before, or
 * 400. */

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

/* A pointer of the program's for the core that serves this request: NULL until torc_core_set sets
 * it, as a start function of torc_server_each_core does. What it points to is the program's to
 * free. */
TORC_API void torc_core_set(torc_req *rq, void *data);
TORC_API void *torc_core_data(const torc_req *rq);

/* WAITS. Reads up to `size` bytes of the request body. Returns a count, 0 at the end, or
 *   -ETIMEDOUT  nothing arrived for --body-timeout; 408 is the default response
 *   -EPIPE      the client ended its stream (FIN) before the body was complete; 400
 *   -EMSGSIZE   the body exceeds --max-body; 413
 *   -EBADMSG    the framing is broken; 400
 *   -EBUSY      another fiber is in a call that reads the body, this one or one below
 * or the error of a cancelled request. Sends 100 (Continue) first if the client expects it (RFC
 * 9110, 10.1.1). Of a body of 64 KiB or more that has a length, a `buf` of 8 KiB or more is
 * received into without a copy: large ones, such as 256 KiB of torc_alloc, take the least CPU. */
TORC_API ssize_t torc_body_read(torc_req *rq, void *buf, size_t size);

/* WAITS. Reads the whole body into memory of the request: 0 and a slice that is valid until the
 * handler returns. The limit is --max-body; if --request-memory is given, the body counts as memory
 * that the request allocates. The errors of torc_body_read, -EMSGSIZE past either limit; -ENOMEM
 * without memory, for which 503 is the default response. On an error *body is absent; without a
 * body it is "". After -ETIME, -ECANCELED or -EBUSY it can be called again: nothing is lost. Any
 * other error stays: every call that reads the body returns it from then on. */
TORC_API int torc_body_all(torc_req *rq, torc_slice *body);

/* WAITS. Writes the request body to a file that can be written, from offset 0 on; what the file has
 * beyond is kept. *size is set to the bytes of the body that the file has, on an error, too. Takes
 * 256 KiB of the request's memory, or what there is: while one piece is written, the next is
 * received.
 *
 * 0; the errors of torc_body_read and of torc_file_write; -EBADF for a file opened for reading;
 * -ENOMEM without memory. If the handler gives no response, torc sends that of torc_body_read, 507
 * if the storage is full (-ENOSPC, -EDQUOT, -EFBIG), 503 without memory, otherwise 500. Give a file
 * of torc_file_temp its name (torc_file_link) once this has returned 0: then nobody sees a part of
 * a body, and a request that is cancelled leaves nothing behind. Meanwhile a function of a group
 * can tell the progress: torc_file_size. What was received and not written is lost, so there is no
 * second try: any error but -EBUSY and -EBADF stays, as of torc_body_all. */
TORC_API int torc_body_file(torc_req *rq, torc_file *file, int64_t *size);

/* ---- forms ----------------------------------------------------------------------------------- */

/* WAITS, at its first call, as torc_body_all: reads the fields of a form that is sent as
 * application/x-www-form-urlencoded (WHATWG URL, 5). A program that does not call it may leave it
 * to the two below. 0, and without a body there are no fields; -EINVAL for a body of another type,
 * for which 415 is the default response; the errors of torc_body_all; -EMSGSIZE also for more than
 * 1,000 fields. It returns the same again, but after -ETIME, -ECANCELED or -EBUSY it reads on. */
TORC_API int torc_form_read(torc_req *rq);

/* The value of the form's first field of that name, decoded as torc_query_param; "" without '='.
 * Absent if it is missing or malformed, and after an error of torc_form_read, which this calls. */
TORC_API torc_slice torc_form(torc_req *rq, const char *name);

/* Iterates over the fields of the form; start with *at = 0. A malformed name or value is absent.
 * False at the end, or after an error of torc_form_read, which this calls. */
TORC_API bool torc_form_next(torc_req *rq, size_t *at, torc_slice *name, torc_slice *value);

/* A part of a form that is sent as multipart/form-data (RFC 7578), as those with files are:
 *
 *     torc_part *part;
 *     int more;
 *     while ((more = torc_multipart_next(rq, &part)) > 0)
 *         if (torc_slice_eq(torc_part_name(part), TORC_S("photo")))
 *             ...                                  torc_part_file(rq, part, file, &size)
 *     if (more < 0) return;                        400, 408, 413, 415 ...
 *
 * The body passes through 16 KiB of the request's memory, however large it is. A part is valid
 * until the handler returns, its content until the next part is asked for. One fiber at a time
 * reads (-EBUSY). */
typedef struct torc_part torc_part;

/* WAITS for the next part, and skips what was not read of the one before. 1; 0 after the last one;
 * the errors of torc_body_read; or
 *   -EINVAL    the body is no multipart/form-data, 415; or the type has no valid boundary, 400
 *   -EBADMSG   a part has no name or is malformed, or the body ends before its last delimiter; 400
 *   -EMSGSIZE  a part's head has more than 8 KiB, or there are more than 1,000 parts; 413
 *   -ENOMEM    past --request-memory, which the heads of all parts take; 503
 * where the status is the default response. On an error, and at the end, *part is NULL. After
 * -ETIME, -ECANCELED or -EBUSY it can be called again, and so can the functions below that read:
 * nothing is lost, but by torc_part_file. Any other error stays, for those functions as well. */
TORC_API int torc_multipart_next(torc_req *rq, torc_part **part);

/* What the client says of a part: the name of the field, of the file, absent where there is none,
 * and its media type, absent as well. No more than that is decoded but quoted characters. A file's
 * name may hold anything, slashes and ".." too: it is not the name of a file here. */
TORC_API torc_slice torc_part_name(const torc_part *part);
TORC_API torc_slice torc_part_filename(const torc_part *part);
TORC_API torc_slice torc_part_type(const torc_part *part);

/* The value of the first field of that name of the part's head; absent if there is none. */
TORC_API torc_slice torc_part_header(const torc_part *part, const char *name);

/* WAITS. Reads up to `size` bytes of a part's content: a count, 0 at its end, the errors of
 * torc_multipart_next, and -EINVAL once the next part was asked for. */
TORC_API ssize_t torc_part_read(torc_req *rq, torc_part *part, void *buf, size_t size);

/* WAITS. Reads the rest of the content into memory of the request, as torc_body_all and with its
 * limits and errors, and those of torc_part_read. Where the memory does not suffice the error stays
 * for this part: torc_multipart_next goes on behind it. */
TORC_API int torc_part_all(torc_req *rq, torc_part *part, torc_slice *content);

/* WAITS. Writes the rest of the content to a file that can be written, from offset 0 on, as
 * torc_body_file, and with its errors and those of torc_part_read. Any but -EBUSY, -EINVAL and
 * -EBADF stays for this part: torc_multipart_next goes on behind it, if it can. */
TORC_API int torc_part_file(torc_req *rq, torc_part *part, torc_file *file, int64_t *size);

/* ---- response -------------------------------------------------------------------------------- */
/* torc sets these fields itself, and torc_set_header refuses them: Server (--server-name), Date,
 * Content-Length, Transfer-Encoding, Connection, Keep-Alive and Upgrade. If a handler returns
 * without a response, torc sends 500, or the status that fits a failed read of the body. It says on
 * stderr which route that was and what torc_reply or torc_start returned, once in ten seconds.
 *
 * A status from 200 to 599 may be given. 204, 205 and 304 have no content (RFC 9110, 6.4.1 and
 * 15.3.6), nor has a response to HEAD: a body that is given is counted and left out. Then nothing
 * that is sent shows that the client has gone: torc_write returns -ECONNRESET once it has
 * (torc_client_gone).
 *
 * What a handler has left of the request's body is received and discarded, up to 256 KiB; with more
 * the connection is closed after the response, and requests behind that body are not served. Where
 * the body has a length, every response but that of torc_start tells the client so (Connection:
 * close; RFC 9112, 9.6). */

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

/* As torc_set_header, in place of all fields of that name that were set before. On an error they
 * are kept. */
TORC_API int torc_replace_header(torc_req *rq, torc_slice name, torc_slice value);

/* Removes all fields of that name that were set before; that there were none is no error. 0, or
 * -EALREADY once the response has started. */
TORC_API int torc_remove_header(torc_req *rq, torc_slice name);

/* Sends a complete response; `body` is copied. `type` is the Content-Type and replaces one that was
 * set; NULL keeps that one, or sends none. Does not wait for the client: what it has not taken yet
 * is kept. While large bodies of that kind take more than --buffer-memory, the core begins no
 * further request. 0; -EALREADY if a response was started; -EINVAL for a status outside 200 to 599
 * or a type that torc_set_header would refuse; -ENOMEM, also for a type of more than 16 KiB; or the
 * error of a cancelled request. */
TORC_API int torc_reply(torc_req *rq, int status, const char *type, torc_slice body);

/* torc_reply with a formatted body (printf), of the Content-Type that was set, otherwise
 * text/plain. Errors as torc_reply; -EINVAL also if printf fails, -ENOMEM also past
 * --request-memory, which a text of 512 bytes or more takes. */
TORC_API int torc_replyf(torc_req *rq, int status, const char *format, ...) TORC_PRINTF(3, 4);

/* The same with a type, as that of torc_reply, and the arguments as a list (vprintf), for functions
 * of your own that format replies. Errors as torc_replyf. */
TORC_API int torc_vreplyf(torc_req *rq, int status, const char *type, const char *format,
                          va_list args) TORC_PRINTF(4, 0);

/* torc_replyf for JSON (RFC 8259): the Content-Type is the one that was set, such as
 * application/problem+json, otherwise application/json. Numbers have a decimal point whatever the
 * locale (setlocale(3)). Text goes into it as
 *
 *     torc_reply_json(rq, 200, "{\"name\":%s}", torc_json_quote(rq, name));
 *
 * What is there as a whole is sent by torc_reply. Errors as torc_replyf; -ENOMEM also if
 * torc_json_quote lacked memory before. */
TORC_API int torc_reply_json(torc_req *rq, int status, const char *format, ...) TORC_PRINTF(3, 4);

/* The text as a JSON string, with its quotes and a NUL at the end, in memory of the request; "null"
 * for an absent slice. What is not valid UTF-8 becomes U+FFFD. Never NULL: without memory "null",
 * and torc_reply_json then fails. */
TORC_API const char *torc_json_quote(torc_req *rq, torc_slice text);

/* Redirects: 301, 302, 303, 307 or 308 (RFC 9110, 15.4) with `location` in Location, a URI or a
 * reference relative to the target ("/done?id=7"). Its bytes are printable ASCII without spaces;
 * others have to be escaped, by the caller. Who takes it from the request can be made to redirect
 * anywhere. The body is the status as a line of text; torc_reply with the field Location set gives
 * another. 0; -EINVAL for another status or a location with other bytes; or the errors of
 * torc_reply. */
TORC_API int torc_redirect(torc_req *rq, int status, torc_slice location);

/* torc_reply without a copy of the body: its bytes must stay as they are until release(arg) is
 * called, exactly once, whatever this returns: once they have been sent, or never will be. Up to 8
 * KiB are copied, and released at once. `release` runs on the core, before this returns or later,
 * perhaps after the handler has returned: as a function of torc_post it must not block, use the
 * request or call what WAITS. NULL for bytes that stay for as long as the server runs. Does not
 * wait for the client; what is not released counts for --buffer-memory as if it had been copied.
 * Errors as torc_reply. */
TORC_API int torc_reply_own(torc_req *rq, int status, const char *type, torc_slice body,
                            void (*release)(void *arg), void *arg);

/* Replies with a line of text that names the status, as text/plain. Errors as torc_reply. */
TORC_API int torc_reply_error(torc_req *rq, int status);

/* What a status is called (RFC 9110, 15): "Not Found"; "Unknown" if it is not registered. */
TORC_API torc_slice torc_reason(int status);

/* WAITS. Sends a complete response with the file `path` below the directory `dir`, as static files
 * are sent: with its media type, conditions (RFC 9110, 13), ranges (14) and precompressed variants
 * (NAME.br, .zst, .gz); 304, 412 and 416 accordingly. With other methods than GET and HEAD,
 * conditions and ranges are not looked at; a variant is chosen with any. The open file is cached
 * with the static files, within --file-cache: for --file-cache-ttl after a file was replaced, as by
 * torc_file_link, the old one may still be sent. A relative `dir` is relative to the process's
 * working directory.
 *
 * `path` is decoded, as torc_param gives it, and begins without a slash. "" or a slash at its end
 * mean index.html; a directory without that slash is redirected to it (301) if `path` is the end of
 * torc_path. 404 for what is missing, hidden (a name that begins with a dot, but ".well-known") or
 * outside the directory, whether by ".." or a link; 403 for what may not be read; 400 for a NUL,
 * and for an absent path, such as that of a malformed escape. Fields that were set before are sent
 * with each of these responses, a Content-Type instead of the file's own.
 *
 * 0 if a response was sent, whatever its status; -EALREADY if one was started; -ENOMEM; -EIO if the
 * file could not be read to its end; or the scope's error. Where that came before anything had
 * left, there is no response yet: after a deadline it is 504, unless the handler gives another.
 * Otherwise it is cut off, so that the client can tell, unless all of it had been queued; nothing
 * can be added to it. */
TORC_API int torc_reply_file(torc_req *rq, const char *dir, torc_slice path);

/* Starts a response whose body follows by torc_write. `length` is its size in bytes, or negative if
 * unknown: then the body is chunked, or for an HTTP/1.0 client ended by closing the connection.
 * `type` and errors as torc_reply. Of a response to HEAD nothing follows: a handler that would
 * write for as long as the client stays should return, as the connection's next request waits for
 * it.
 *
 * After a read of the body that failed, a response that the handler has not ended by torc_end when
 * it returns, and of which a part is missing, is cut off, so that the client can tell. A client of
 * HTTP/1.0 cannot tell a body of unknown size that was cut off from a whole one. The head does not
 * tell (Connection: close) that more than 256 KiB of the request's body are left, as they may be
 * read now: a handler that will not read them calls torc_close_after before. */
TORC_API int torc_start(torc_req *rq, int status, const char *type, int64_t length);

/* WAITS while --write-buffer bytes or more of output are unsent. The bytes are copied. One fiber of
 * a request may write at a time: -EBUSY, and nothing is sent, while another does and waits. 0;
 * -EINVAL beyond the announced length, without torc_start or after torc_end; -ENOMEM; or the
 * scope's error. If that comes when a part of the bytes was taken and the rest was not, as of a
 * group, the response is cut off, so that the client can tell: it counts as ended. */
TORC_API int torc_write(torc_req *rq, const void *data, size_t size);

/* WAITS. Sends `size` bytes of a file at `offset` as a piece of the body after torc_start, as
 * torc_write does with bytes of memory. 0; -EINVAL as torc_write, for a negative number, and for
 * bytes beyond the end of the file; -EBUSY while another fiber of the request writes; -ENOMEM; or
 * the scope's error, as torc_write. If the file cannot be read, or is truncated meanwhile, the
 * connection is closed, so that the client can tell, and the request is cancelled (-EIO). */
TORC_API int torc_send_file(torc_req *rq, torc_file *file, int64_t offset, int64_t size);

/* Ends a started response, as the handler's return does. If the body is shorter than announced, the
 * connection is closed, so that the client can tell. 0, -EINVAL without torc_start, -EBUSY while
 * another fiber writes, -ENOMEM, or the error of a cancelled request. */
TORC_API int torc_end(torc_req *rq);

/* Sets a field that follows the body (RFC 9110, 6.5), between torc_start and torc_end: the time
 * that it took, or a digest of what was written. Both strings are copied. Tell which ones will come
 * by the field Trailer, before torc_start.
 *
 * 0; -EOPNOTSUPP if the body has a length or torc_trailers_wanted is false: then it is not sent;
 * -EINVAL as torc_set_header, and for a field that is of use at the head alone, such as
 * Content-Type, Set-Cookie or Cache-Control; -EALREADY before torc_start and after torc_end;
 * -ENOMEM. */
TORC_API int torc_set_trailer(torc_req *rq, torc_slice name, torc_slice value);

/* Whether the client has asked for trailers (TE: trailers; RFC 9110, 10.1.4). */
TORC_API bool torc_trailers_wanted(const torc_req *rq);

/* Sends 103 (Early Hints, RFC 8297) before the response, so that the client can begin to load what
 * the response will name: `link` is the value of a field Link (RFC 8288), such as
 * "</style.css>; rel=preload; as=style". It is not part of the response: set it there, too. A
 * client of HTTP/1.0 gets nothing, and this returns 0. WAITS while --write-buffer bytes or more are
 * unsent, once it is queued: other fibers of the request may hint, and respond, meanwhile. 0;
 * -EINVAL for a malformed value; -EALREADY if a response was started; -ENOMEM; or the scope's
 * error. */
TORC_API int torc_hint(torc_req *rq, torc_slice link);

/* Closes the connection after the response: call it before the response is started, so that the
 * client is told (Connection: close; RFC 9112, 9.6). */
TORC_API void torc_close_after(torc_req *rq);

/* ---- cookies --------------------------------------------------------------------------------- */

/* The value of the first cookie of that name (case-sensitive), as sent: quotes are part of it, and
 * nothing is decoded. Absent if there is none. Valid until the handler returns. */
TORC_API torc_slice torc_cookie(const torc_req *rq, const char *name);

/* What else a cookie has (RFC 6265bis). All 0, as of NULL: for all paths of this host, until the
 * browser is closed, with HttpOnly and SameSite=Lax. Set `secure` where clients come by HTTPS, as
 * through a proxy. */
typedef enum torc_same_site {
    TORC_SAME_SITE_LAX,    /* requests that other sites cause have it where a link is followed */
    TORC_SAME_SITE_STRICT, /* none of these have it */
    TORC_SAME_SITE_NONE    /* all have it; only with `secure` */
} torc_same_site;

typedef struct torc_cookie_options {
    const char *path;   /* NULL: "/" */
    const char *domain; /* and the hosts below it; NULL: this host alone */
    int64_t max_age;    /* seconds; 0: until the browser is closed; negative: removes it */
    bool secure;        /* sent over HTTPS alone */
    bool scripts;       /* scripts of the page may read it: no HttpOnly */
    torc_same_site same_site;
} torc_cookie_options;

/* Sets a cookie with the response (Set-Cookie). `options` may be NULL; all is copied. To remove a
 * cookie, set it with the same path and domain and a negative max_age.
 *
 * 0; -EINVAL for a name that is no token, a value with controls, white space, quotes within,
 * commas, semicolons, backslashes or other bytes than ASCII (encode it), name and value of more
 * than 4,096 bytes, a malformed path or domain, or what contradicts the prefixes "__Secure-" and
 * "__Host-" or TORC_SAME_SITE_NONE; -EALREADY and -ENOMEM as torc_set_header. */
TORC_API int torc_set_cookie(torc_req *rq, const char *name, torc_slice value,
                             const torc_cookie_options *options);

/* ---- slices ---------------------------------------------------------------------------------- */

/* Whether both have the same bytes; the second takes the letters of ASCII in either case as the
 * same, whatever the locale. An absent slice equals an empty one. */
TORC_API bool torc_slice_eq(torc_slice a, torc_slice b);
TORC_API bool torc_slice_ieq(torc_slice a, torc_slice b);

/* As torc_slice_eq, for a password or a token: the time that it takes tells how long they are, and
 * nothing of where they differ. */
TORC_API bool torc_slice_secret_eq(torc_slice a, torc_slice b);

/* A slice of a C string, which it points to, without its NUL; absent for NULL. TORC_S does so with
 * literals. */
TORC_API torc_slice torc_slice_str(const char *text);

/* The number that a slice is as a whole: decimal digits, of an int64_t perhaps after '-', of a
 * double as in JSON (RFC 8259, 6), whatever the locale; zeros may lead. False, and *out is left
 * alone, for anything else: no digits, white space, '+', a value out of range, a number of more
 * than 127 bytes. */
TORC_API bool torc_slice_u64(torc_slice s, uint64_t *out);
TORC_API bool torc_slice_i64(torc_slice s, int64_t *out);
TORC_API bool torc_slice_double(torc_slice s, double *out);

/* A copy with a NUL at its end, in memory of the request. NULL for an absent slice, for one with a
 * NUL in it, which would end the string early, and without memory. */
TORC_API char *torc_cstr(torc_req *rq, torc_slice s);

/* ---- asking ---------------------------------------------------------------------------------- */
/* torc_client_gone and torc_draining do not wait. Their answers change only while the handler
 * waits: a handler that works in pieces may torc_sleep(rq, 0) between them. */

/* Whether the client has gone: true once the request is cancelled, for whatever reason, or the
 * client has ended its stream, perhaps after bytes that nobody has read: some 100 KB of them, as
 * the end stays with the client's kernel while these fill the sockets. The end of the stream alone
 * cancels nothing, as a client may shut down its sending side and still read the response
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

/* Has the request cancelled (-ECONNRESET) once torc_client_gone comes true before its response is
 * complete: for work that nobody else needs, such as a stream of events, a long query, or a wait in
 * torc_work. A client that shuts down its sending side and waits for the response gets none then,
 * nor one to a request behind it; those to the requests before it still arrive. 0, -ENOMEM, or the
 * error of a cancelled scope, which is that of the request if the client has gone already. */
TORC_API int torc_cancel_when_gone(torc_req *rq);

/* ---- waiting --------------------------------------------------------------------------------- */

/* What waits belongs to a scope: that of the request, or that of the group whose function it runs
 * in. Groups are nested: what cancels a scope cancels those below it, and never the one above. A
 * call that WAITS returns the error of a cancelled scope at once, and always the same one. */

/* WAITS for at least `ms` milliseconds. 0, or the scope's error. */
TORC_API int torc_sleep(torc_req *rq, unsigned ms);

/* Sets the deadline of the scope that the caller runs in, `ms` milliseconds from now, in place of
 * an earlier one: when it has passed, every wait in the scope returns -ETIME. What does not wait
 * still works, so that the handler can respond; if it returns without a response, torc sends 504,
 * and a streamed body that it has not ended is cut off where a part is missing. 0, -EPERM outside
 * the fibers of the request, or the error of a cancelled scope, which no new deadline revives. */
TORC_API int torc_deadline(torc_req *rq, unsigned ms);

/* An event is signalled from any thread and awaited by any number of fibers on any core. It counts
 * its signals; a waiter keeps the count that it has seen, so that it misses none between two waits:
 *
 *     uint64_t seen = torc_event_count(e);
 *     do send_what_is_new(rq);
 *     while (!torc_draining(rq) && !torc_client_gone(rq) && torc_event_wait(rq, e, &seen) == 0);
 *
 * Several signals may end one wait. What is written before a signal is visible after the wait. A
 * client that has closed ends no wait before something is sent to it, unless torc_cancel_when_gone
 * was called. */

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
 * drain: then *seen may stay as it is, and the handler should end. The drain is told once: a wait
 * that begins after it lasts, so ask torc_draining before, as above. 0, -EIDRM if the event is
 * freed meanwhile, -ENOMEM, or the scope's error. */
TORC_API int torc_event_wait(torc_req *rq, torc_event *e, uint64_t *seen);

/* ---- connections and descriptors ------------------------------------------------------------- */
/* A stream is a connection that a handler opens, to a database or another server. It belongs to the
 * request: streams left open are closed when the handler returns. At most one fiber may read and
 * one may write at a time. TCP sends at once (TCP_NODELAY). No call has a timeout of its own. */

/* WAITS. Connects to `to`: "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80" on that interface's
 * link, "name:80", "unix:/path", or "unix:@name" of the abstract namespace (unix(7)). The addresses
 * of a name are tried in turn: one that is silent for 250 ms gives way to the others, and is tried
 * again after them. On success *stream must be closed with torc_stream_close; on an error it is
 * NULL. 0; -EINVAL for any other text; -ENAMETOOLONG for a path, or a name with its "@", of more
 * than 107 bytes, which is what an address of the kernel has room for; -ENOENT if there is no such
 * name, -EAGAIN if nobody can say now, -ENOSYS for a name where the server has no threads to look
 * it up (--work-threads 0); -EPIPE if the peer resets the connection at once; -ENOMEM;
 * the errors of socket(2) and connect(2), such as -ECONNREFUSED, -ENOENT and -EMFILE; or the
 * scope's error. */
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
 *   -EHOSTUNREACH     nobody can say now where a server of that name is, or there is no way to it
 *   -ECONNREFUSED …   the server cannot be connected to: the other errors of torc_connect
 *   -EPIPE            it has closed or reset the connection before the response was complete
 *   -EBADMSG          what it sent is no response, or redirects to what is no URL
 *   -E2BIG            the response's head exceeds max_head
 *   -EMSGSIZE         its body exceeds max_body; or its chunk sizes, extensions and trailers exceed
 *                     16 KiB and 16 bytes for each byte of the body before
 *   -ELOOP            there were more redirects than `redirects`, which was not 0
 *   -ENOMEM           out of memory
 * or the scope's error.
 *
 * A keep-alive connection may turn out to be dead. If nothing of the response has come, or a 408, a
 * request that may be repeated (GET, HEAD, OPTIONS, TRACE, PUT, DELETE, or as the options say) is
 * sent once more, on a new one; a streamed one never is.
 *
 * A redirect that is followed turns POST into GET for 301, 302 and 303, and any method but HEAD for
 * 303, without the body and its fields; Authorization, Proxy-Authorization and Cookie are not sent
 * to another host or port, nor after it. */
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
 * its head has come; interim responses (1xx) and trailers are left out. A value that the server has
 * folded over several lines has a space in place of each fold. The body is that of torc_fetch. */
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
/* Opens a group; it is freed with the request. A group that the handler does not join is joined
 * after the handler returns, so do not pass its functions memory of the handler's stack in that
 * case. NULL if out of memory, or outside the fibers of the request; the calls below return -ENOMEM
 * for it, so that it is enough to check what torc_group_join returns. */
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
 * call here keeps the core from other requests; with epoll each does while the disk works.
 * torc_send_file has what is not in memory read by a thread of --work-threads, if there are any:
 * with epoll, jobs of torc_work that keep all of these busy delay it. */

/* WAITS. Opens a regular file for reading. On success *file is set. 0; -EISDIR for a directory,
 * -ENXIO for a socket, -EACCES for any other non-regular file, -ENOMEM, or the errors of
 * openat2(2). */
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
 * cannot do that or there is no /proc, one that begins with ".torc-". When it is closed it is gone,
 * unless torc_file_link gave it a name; only one with a name of its own is left behind if the
 * process is killed. On success *file is set. 0, -ENOMEM, or the errors of openat(2). */
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
 * cores share. They are not pinned, and have the mask of signals of the thread that started the
 * server: so has a process that a job makes, as by system(3) or posix_spawn(3). They last until the
 * server ends, and have ended when torc_server_join or torc_server_main returns, unless that is 4.
 * The queue before them is bounded (--work-queue). /metrics tells its length, how long jobs waited
 * and ran, and how many were rejected. Their stacks are those that the C library gives to threads,
 * of `ulimit -s` when the process starts: an overflow ends the process by SIGSEGV, after a line on
 * stderr that names the route that the job is of. */

/* A job on a thread of the pool. */
typedef struct torc_job torc_job;

/* What a job does. It must not use the request: what it needs is in `arg`. */
typedef int torc_work_fn(torc_job *job, void *arg);

/* WAITS while fn(job, arg) runs on a thread of the pool, and returns its result, which should be 0,
 * a count or a negative errno that is none of these:
 *   -EAGAIN  the queue is full, or the system allows no thread for it, at once; 503 would be a
 *            fitting response
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

/* Runs fn(arg) at once, on the thread of the core, while that may use every CPU that the server was
 * started with: for what makes threads or processes, as by pthread_create(3), posix_spawn(3) or the
 * first call of a library that has threads. They inherit the CPUs of the thread that makes them,
 * and a core's is pinned; children of fork(2), jobs of torc_work and start functions of
 * torc_server_each_core need no such care. fn must not call what WAITS. */
TORC_API void torc_unpinned(torc_req *rq, void (*fn)(void *arg), void *arg);

/* ---- outside requests ------------------------------------------------------------------------ */

/* Has the core of that index, from 0, run fn(arg) soon, in the order of the calls of one thread.
 * May be called from any thread, not from a signal handler; what the caller wrote before is visible
 * to fn. fn runs between requests, not on a fiber: it must not block, and no call that WAITS works
 * in it; it can signal an event, or change data of its core. Its stack is the thread's, as that of
 * a job.
 *
 * 0: then fn runs, once, unless the engine of the core fails; -EINVAL if the server has no such
 * core or without a function, -ESHUTDOWN before the core is ready and once it ends, in a drain
 * after its last request; -ECHILD in a process that was forked since the start, where no core runs;
 * -EAGAIN while 65,536 functions wait for the core, -ENOMEM. Once the server is ready, the first
 * index that gets -EINVAL is the number of its cores. */
TORC_API int torc_post(torc_server *s, unsigned core, void (*fn)(void *arg), void *arg);

/* Has every core run fn(rq, arg) each `ms` milliseconds, for the first time after as many. `rq` is
 * a request without a client: fn is a handler like any other, and may wait, allocate, open files,
 * spawn functions and use torc_core(rq); what it leaves is freed when it returns. It has no method,
 * path, fields or body, and what would begin a response returns -ENOTCONN. On one core one run at a
 * time: while it lasts the next ones are left out. It counts as one of --max-requests while it
 * runs; when these are used up a run is left out. /metrics counts the runs, and those left out.
 * With --engine threads every thread is such a core, 200 of them: what is to be done once in a
 * process begins with `if (torc_core(rq) != 0) return;`, here as in torc_server_each_core.
 *
 * In a drain no run begins; torc_draining tells one that lasts, and it is cancelled with -ESHUTDOWN
 * if it has not returned within --drain-timeout.
 *
 * 0; -EINVAL if `ms` is 0 or without a function, -EBUSY once the server has started, -ENOMEM. */
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
 * wait, and may be added any number of times. That thread has a descriptor table of its own: but
 * for 0 to 2, the program's descriptors are closed there or other files, and what it opens is open
 * there alone. What they tell, such as the size of a queue, is kept in memory for it. 0, -EINVAL
 * without a function, -EBUSY once the server has started, -ENOMEM. */
TORC_API int torc_metrics_add(torc_server *s, torc_metrics_fn *fn, void *arg);

/* One number. `name` is that of Prometheus: letters, digits and _, no digit first, and not torc_ at
 * the beginning. By convention that of a counter ends in _total, and times are seconds. `help` is a
 * line of text. Both are read at once. 0; -EINVAL for any other name, -EEXIST if this request has
 * given it already, -ENOMEM: then the number is left out. */
TORC_API int torc_metric(torc_metrics *out, torc_metric_kind kind, const char *name,
                         const char *help, double value);

/* What the requests of a server have done, summed over its cores; those of the admin side are left
 * out. Times are seconds. Over a stretch of time, between two readings, the concurrency of requests
 * is the change of `lifetime` by that of `wall`, their parallelism that of `on_core` by that of
 * `wall`, and their asynchrony 1 less that of `held` by that of `lifetime`. A request that a core
 * has not read yet, for it computes, counts once it is read, and then from its arrival: over a
 * stretch that is not much longer than such a turn, the concurrency may come out larger than it
 * was. */
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
