#pragma once
/* A blocking HTTP client for tests, on a connection of tcp.h. Every wait is bounded; what must not
 * go wrong is asserted. */

#include "server.h"
#include "tcp.h"

#include <stdio.h>

struct client {
    int fd;    /* -1 when closed */
    char *buf; /* received and not used */
    size_t len;
    char *mem; /* what buf points into */
    size_t cap;
    uint64_t received; /* bytes in all */
};

/* One response. Freed by reply_free, which also readies it for use again; zero it before that. */
struct reply {
    int status;
    char *head; /* status line and fields, with their line ends; ends with NUL */
    char *body; /* decoded; ends with a NUL that does not count */
    size_t body_len;
    bool chunked;
    bool closes; /* it says Connection: close, or is ended by closing */
};

void client_open(struct client *c, const struct server *s);
void client_open_admin(struct client *c, const struct server *s);

/* `how` may be NULL. */
void client_open_to(struct client *c, const struct server_addr *addr, const struct tcp_how *how);

/* 0 or negative errno. */
int client_try_open(struct client *c, const struct server_addr *addr, const struct tcp_how *how);

void client_close(struct client *c);

/* Closes with a reset. */
void client_reset(struct client *c);

/* No more will be sent. */
void client_shut(struct client *c);

void client_send(struct client *c, const void *data, size_t n);
void client_sendf(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* `n` zero bytes. */
void client_send_zeros(struct client *c, size_t n);

/* False where the other side has closed or takes nothing. */
bool client_try_send(struct client *c, const void *data, size_t n);

/* "METHOD PATH HTTP/1.1" with Host and these further lines ("" or "Name: value\r\n" each). */
void client_ask(struct client *c, const char *method, const char *path, const char *fields);

/* Reads one response, 1xx included, to a request of that method; asserts that it is whole and well
 * formed. */
void client_reply(struct client *c, const char *method, struct reply *r);

/* The same; false where the connection ends before it is whole. */
bool client_try_reply(struct client *c, const char *method, struct reply *r);

/* GET on an open connection, and the status asserted. */
void client_get(struct client *c, const char *path, int status, struct reply *r);

/* GET on a connection of its own. */
void client_fetch(const struct server_addr *addr, const char *path, struct reply *r);

/* Exactly `n` bytes, taken from what is received. */
void client_read(struct client *c, void *out, size_t n);

/* Receives more: a count, 0 at the end of the stream, negative errno (-EAGAIN after
 * TCP_SECONDS). */
ssize_t client_more(struct client *c);

/* Everything up to the end of the stream is in c->buf; false where a reset or the time ends it. */
bool client_read_all(struct client *c);

/* The connection is closed, and nothing came before. */
void client_expect_end(struct client *c);

/* Reads and drops until the connection is closed, cleanly or by a reset; asserts that it is. */
void client_await_close(struct client *c);

/* The value of the first field of that name, malloc'ed; NULL where there is none. */
char *reply_field(const struct reply *r, const char *name);

void reply_free(struct reply *r);
