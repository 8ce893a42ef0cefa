#pragma once
/* One connection of the generator, opened again whenever it is closed. */

#include "load/receiver.h"
#include "load/sender.h"

enum client_state {
    CLIENT_CLOSED, /* no socket */
    CLIENT_CONNECTING,
    CLIENT_OPEN,
    CLIENT_CLOSING, /* operations in flight are awaited, then the socket is closed */
};

struct client {
    struct io_sock sock;
    struct load_context *context;
    uint32_t number; /* of all cores' */
    struct pipeline pipeline;
    struct wheel_timer timer;
    uint64_t full_since; /* ns; a Unix socket's queue has had no room since then; 0: it has */
    int send_error;      /* with which a send failed, a positive errno, or 0 */
    uint8_t state;       /* enum client_state */
    bool attempted;      /* the first connect has succeeded or failed */
    struct io_call call; /* connect, close */
    struct sender sender;
    struct receiver receiver;
};

/* For a zeroed client, which is `number` of all cores' clients; false without memory. */
bool client_init(struct client *c, struct load_context *context, uint32_t number);
void client_free(struct client *c);

/* Opens a connection; for a closed client. */
void client_connect(struct client *c);

/* Schedules the work at the end of the turn: get requests, send them, close. */
void client_schedule(struct client *c);

/* Closes the connection, even with requests in flight: they are sent again. */
void client_close(struct client *c);

/* Likewise, at the end of the run: they stay unanswered or unsent, or have timed out by now. */
void client_end(struct client *c);
