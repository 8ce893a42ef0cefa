#pragma once
/* What a server runs for a request: routes, middleware, and functions for errors and ends. The
 * calls of torc.h that add to it. */

#include "serve/server_state.h"

/* False without memory. */
bool routing_init(struct torc_server *s);

void routing_end(struct torc_server *s);

/* Makes the routes ready to be found, with their middleware. Nothing is added afterwards; may be
 * called again after it has failed. False without memory. */
bool routing_freeze(struct torc_server *s);
