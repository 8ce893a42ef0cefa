#pragma once
/* Starts, commands and awaits all cores of a server, including the one of the admin listener. */

#include "serve/server_state.h"

/* Opens the listening sockets and starts every core; returns when each is ready or has failed. 0,
 * or server_fail. */
int cores_start(struct torc_server *s);

/* Sends a command to those of the cores `from` to `to` - 1 that are running. */
void cores_command(struct torc_server *s, uint32_t from, uint32_t to, enum loop_command command);

/* Waits until they have ended; false if `deadline` (ns) passes first. */
bool cores_await_end(struct torc_server *s, uint32_t from, uint32_t to, uint64_t deadline);

/* Whether the engine of any core failed while it ran. */
bool cores_broken(struct torc_server *s);

/* Leaves the threads to end by themselves, if ever. */
void cores_detach(struct torc_server *s);

/* From now on torc_post finds no cores. False if another thread may still be in it and use them. */
bool cores_end_posts(struct torc_server *s);

/* Forgets cores that have been joined. */
void cores_forget(struct torc_server *s);

/* Joins the threads and closes the listening sockets. Call when all cores have ended or failed. */
void cores_join(struct torc_server *s);
