#pragma once
/* Where static files are served: torc_static and torc_static_dir. */

#include "serve/server_state.h"

/* Whether every directory can be opened now: 0, or server_fail. */
int mounts_check(struct torc_server *s);

/* Adds the routes that redirect a prefix without its slash, but where the program has a route for
 * GET itself. Once it has added all of its own; may be called again. False without memory. */
bool mounts_redirect(struct torc_server *s);

/* Whether any directory is another than that of --root. */
bool mounts_own(const struct torc_server *s);

void mounts_free(struct torc_server *s);
