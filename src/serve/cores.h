#pragma once
/* The cores of a server, the admin side's among them: started, commanded and awaited together. */

#include "serve/server_state.h"

/* Opens the listening sockets and starts every core; returns once all are ready or some have
 * failed, and then the reason has been said. 0 or -1. */
int cores_start(struct torc_server *s);

/* Those of cores `from` to `to` - 1 that run. */
void cores_command(struct torc_server *s, uint32_t from, uint32_t to, enum loop_command command);

/* Waits until they have ended; false when `deadline` (ns; WHEEL_NEVER for none) comes first. */
bool cores_await_end(struct torc_server *s, uint32_t from, uint32_t to, uint64_t deadline);

/* Once all have ended or failed: frees what they held, but for the array itself. */
void cores_join(struct torc_server *s);
