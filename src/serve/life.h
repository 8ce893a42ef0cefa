#pragma once
/* The life cycle of a server: parse, start, run, join, and what torc_server_free has to end. */

#include "serve/server_state.h"

/* Whether this thread may wait for the server's end: 0; -EDEADLK on one that has to end before it,
 * -ECHILD in a process that was forked since the start. */
int life_awaitable(const struct torc_server *s);

/* Ends what runs, and waits for it. False if a handler or a job still uses the server, or this
 * thread may not wait: its memory has to stay. */
bool life_end(struct torc_server *s);
