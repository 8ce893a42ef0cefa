#pragma once
/* The listening sockets of a server, which its cores have. */

#include "serve/server_state.h"

/* Opens them all, of cores that have not started. 0, or server_fail. */
int listening_open(struct torc_server *s);

/* For core.on_lost. Unless the server ends, it does then, as it would go on without clients. */
void listening_lost(struct core *c, uint32_t listener);
