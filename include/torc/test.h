/* Handlers of torc driven without a socket, as the tests of a program do it. Part of libtorc.
 *
 *     torc_server *s = my_server();                    routes set, not started
 *     torc_test *t = torc_test_open(s);
 *     torc_test_request rq = {.method = "POST", .target = "/login",
 *                             .fields = "Content-Type: application/x-www-form-urlencoded\r\n",
 *                             .body = TORC_S("user=me")};
 *     assert(torc_test_run(t, &rq) == 0);
 *     assert(torc_test_status(t) == 303);
 *     assert(torc_slice_eq(torc_test_header(t, "Location"), TORC_S("/")));
 *     torc_test_close(t);
 *
 * A handler runs as in a server, on a fiber of a core, which is the calling thread's: it may wait
 * for timers, files, other servers, groups, torc_work and what else there is. What makes the
 * answers of a server makes these: middleware, functions for errors, limits, 404, 405, 413, static
 * files, and torc_on_end. The functions of torc_server_each_core run as it is opened and closed;
 * what torc_every has set up does not run. There is no access log and no --admin, and clients are
 * not limited.
 */
#pragma once

#include "torc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct torc_test torc_test;

/* Opens a core for the server's routes, in the calling thread, with the options that
 * torc_server_set has set: those of the program itself have their values from now on. From then on
 * the server is started: what has to be set up before returns -EBUSY. It can neither be tested
 * again nor run. torc_post reaches core 0. NULL if the server was started before, if --root or a
 * directory of torc_static_dir is not there, if the kernel refuses every engine, or without
 * memory; torc_server_error then names the reason. */
TORC_API torc_test *torc_test_open(torc_server *s);

/* Closes the core, and frees the last response. In the thread that opened it, before
 * torc_server_free. Waits up to 10 seconds for jobs of torc_work whose handlers did not. NULL is
 * allowed. */
TORC_API void torc_test_close(torc_test *t);

/* What a client sends. All 0 is "GET /". */
typedef struct torc_test_request {
    const char *method; /* NULL: "GET" */
    const char *target; /* the path, with a query perhaps; NULL: "/" */
    const char *fields; /* lines "Name: value", each with "\r\n"; NULL for none. Host, and
                           Content-Length if there is a body, are added where they are missing */
    torc_slice body;    /* stays the caller's; where the fields have Transfer-Encoding, what it
                           carries. The client ends after it, though a Content-Length be larger */
    size_t piece;       /* the body comes in pieces of so many bytes, which the handler waits for;
                           0: as a whole */
    unsigned gone_ms;   /* the client resets its connection after so many; 0: it stays */
    unsigned limit_ms;  /* the handler is cancelled after so many (-ETIMEDOUT); 0: 60,000 */
    const char *peer;   /* the client's address, as torc_peer tells it; of a proxy of --trust-proxy,
                           the fields count. NULL: "127.0.0.1:1024" */
} torc_test_request;

/* Runs a request until its handler has returned. 0 if there is a response;
 *   -ECONNRESET  the client has gone before it was complete
 *   -ETIMEDOUT   the handler had not returned at the limit; what it waited for returned this
 *   -EPIPE       the handler has written less than it announced, or a body that failed: a client
 *                would see its connection closed
 *   -EDEADLK     it is called by a handler that it runs, -EPERM in another thread than the one that
 *                opened it; then the last response stays
 *   -EPERM …     the kernel refuses what the core waits with (torc_server_error), from then on
 *   -EINVAL      the method, the target or the fields have a line end where none may be; or the
 *                peer is no address
 *   -ENOMEM      out of memory */
TORC_API int torc_test_run(torc_test *t, const torc_test_request *rq);

/* Of the last response, valid until the next torc_test_run: 0 and absent where there was none.
 * Fields are those that a client gets but for Server, Date and the framing, and Connection where it
 * closes. A response to HEAD has the Content-Length of its body. */
TORC_API int torc_test_status(const torc_test *t);
TORC_API torc_slice torc_test_header(const torc_test *t, const char *name);
TORC_API bool torc_test_header_next(const torc_test *t, size_t *at, torc_slice *name,
                                    torc_slice *value);
TORC_API torc_slice torc_test_trailer(const torc_test *t, const char *name);
TORC_API torc_slice torc_test_body(const torc_test *t);

/* The value of Link of the hints before it (torc_hint), one per line. */
TORC_API torc_slice torc_test_hints(const torc_test *t);

#ifdef __cplusplus
}
#endif
