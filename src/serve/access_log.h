#pragma once
/* The access log: each core writes lines into a ring of its own, one thread writes them to the
 * file. A core never waits: a line that does not fit is dropped and counted. */

#include "http/request.h"
#include "serve/options.h"

struct access_log;      /* the file and its thread */
struct access_log_ring; /* of one core */

/* "-" is stdout. `rings` cores will write. NULL and errno where the file cannot be opened. */
struct access_log *access_log_open(const char *path, enum log_format format, uint32_t rings);

/* The ring of core `index`. */
struct access_log_ring *access_log_ring(struct access_log *log, uint32_t index);

/* One line for an answered request; on the ring's core. `peer` is the client's address as text. */
void access_log_add(struct access_log_ring *ring, const struct torc_req *rq, const char *peer,
                    uint64_t bytes_sent);

/* Lines dropped so far by this ring; any thread. */
uint64_t access_log_dropped(const struct access_log_ring *ring);

/* Opens the file anew, after a rotation; async-signal-safe. */
void access_log_reopen(struct access_log *log);

/* Writes what is left, ends the thread, closes the file. No core writes any more. */
void access_log_close(struct access_log *log);
