#pragma once
/* Where static files are served: torc_static and torc_static_dir. */

#include "serve/server_state.h"

/* Whether every directory can be opened now; logs the one that cannot. */
bool mounts_check(const struct torc_server *s);

void mounts_free(struct torc_server *s);
