#pragma once
/* The life cycle of a server: parse, start, run, join, and what torc_server_free has to end. */

#include "serve/server_state.h"

/* Ends what runs, and waits for it. False if a handler or a job still uses the server: its memory
 * has to stay. */
bool life_end(struct torc_server *s);
