#pragma once
/* Where static files are served: torc_static and torc_static_dir. */

#include "serve/server_state.h"

/* Whether every directory can be opened now: 0, or server_fail. */
int mounts_check(struct torc_server *s);

void mounts_free(struct torc_server *s);
