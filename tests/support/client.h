#pragma once
/* A blocking HTTP client for tests, on a connection of tcp.h. Every wait is bounded; what must not
 * go wrong is asserted. */

#include "server.h"
#include "tcp.h"

#include <stdio.h>

struct client {
    int fd;    /* -1 when closed */
    char *buf; /* received but not consumed */
    size_t len;
    char *mem; /* the allocation that buf points into */
    size_t cap;
    uint64_t received; /* bytes received in total */
    int failed;        /* negative errno of the last receive; 0 if it got something or the end */
};

/* One response. Freed by reply_free, which also readies it for use again; zero it before that. */
struct reply {
    int status;
    char *head; /* status line and fields with CRLFs; NUL-terminated */
    char *body; /* decoded; NUL-terminated, the NUL not counted */
    size_t body_len;
    bool chunked;
    bool closes; /* has Connection: close, or ends with the connection */
};

void client_open(struct client *c, const struct server *s);
void client_open_admin(struct client *c, const struct server *s);

/* `how` may be NULL. */
void client_open_to(struct client *c, const struct server_addr *addr, const struct tcp_how *how);

/* From that IPv4 address. */
void client_open_from(struct client *c, const struct server *s, const char *source);

/* 0 or negative errno. */
int client_try_open(struct client *c, const struct server_addr *addr, const struct tcp_how *how);

void client_close(struct client *c);

/* Closes with a reset (RST). */
void client_reset(struct client *c);

/* Shuts down the sending side. */
void client_shut(struct client *c);

void client_send(struct client *c, const void *data, size_t n);
void client_sendf(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sends `n` zero bytes. */
void client_send_zeros(struct client *c, size_t n);

/* False if the server has closed or accepts nothing. */
bool client_try_send(struct client *c, const void *data, size_t n);

/* Sends from *at on as much as is possible without blocking; true once all is sent. */
bool client_send_some(struct client *c, const char *data, size_t n, size_t *at);

/* Sends "METHOD PATH HTTP/1.1" with Host and these further lines ("" or "Name: value\r\n" each). */
void client_ask(struct client *c, const char *method, const char *path, const char *fields);

/* Reads one response, 1xx included, to a request of that method; asserts that it is complete and
 * well formed. */
void client_reply(struct client *c, const char *method, struct reply *r);

/* Likewise; false if the connection ends before it is complete. */
bool client_try_reply(struct client *c, const char *method, struct reply *r);

/* Sends a GET and asserts the status. */
void client_get(struct client *c, const char *path, int status, struct reply *r);

/* Sends a GET on a connection of its own. */
void client_fetch(const struct server_addr *addr, const char *path, struct reply *r);

/* Sends a GET on a connection of its own, and asserts the status and, unless it is NULL, the body.
 */
void client_expect(const struct server_addr *addr, const char *path, int status, const char *body);

/* A connection is refused as soon as it is there: a 503 that says when to come again, and its end.
 */
void client_expect_refused(const struct server *s);

/* Reads exactly `n` bytes. */
void client_read(struct client *c, void *out, size_t n);

/* Receives more: a count, 0 at the end of the stream, negative errno (-EAGAIN after
 * TCP_SECONDS). */
ssize_t client_more(struct client *c);

/* Reads everything up to the end of the stream into c->buf; false on a reset or timeout. */
bool client_read_all(struct client *c);

/* Asserts that the server closes the connection and sends nothing before. */
void client_expect_end(struct client *c);

/* Reads and discards until the connection is closed, cleanly or by a reset; asserts that it is. */
void client_await_close(struct client *c);

/* The value of the first field of that name, malloc'ed; NULL if there is none. */
char *reply_field(const struct reply *r, const char *name);

/* Asserts the status. `what` names it where it is another. */
void reply_expect(const struct reply *r, const char *what, int status);

/* The seconds of its Retry-After, which are a whole number above 0. */
int reply_retry_after(const struct reply *r);

void reply_free(struct reply *r);
