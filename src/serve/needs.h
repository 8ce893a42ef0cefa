#pragma once
/* What a server needs before its cores start: its options, an engine, files, threads for work. A
 * start that fails gives back all of it, and another one takes it again. Unless it is said, each
 * function returns 0 or server_fail. */

#include "serve/server_state.h"

/* A copy of the options that have been set, checked as a whole: those of the program stay as they
 * are. The settings in use are those from then on. */
int needs_options(struct torc_server *s);

/* Chooses the engine, and fits the options to it. */
int needs_engine(struct torc_server *s);

/* Opens the access log, the cache of files, the routes of the admin side, and the pool for work. */
int needs_open(struct torc_server *s);

/* Allocates the addresses as text, once they are bound. */
int needs_write_addresses(struct torc_server *s, address_text **out);

/* False if a job still runs at `deadline` (ns). */
bool needs_close_pool(struct torc_server *s, uint64_t deadline);

/* Has the lines of the access log written, where it stays open. */
void needs_flush_log(struct torc_server *s);

/* False if the access log has to be left behind, which is told: nothing of the server's uses it. */
bool needs_close_files(struct torc_server *s);

/* Frees the rest. */
void needs_forget(struct torc_server *s);
