#pragma once
/* New settings for a server that runs: the config file is read again, checked, and refused whole or
 * taken by every core. The functions that do so run on the control thread (life.c), but what may
 * wait for a disk has a thread of its own. */

#include "serve/server_state.h"

/* Keeps what is needed to read the options again; before they are read. 0 or -ENOMEM. */
int reload_prepare(struct torc_server *s, int argc, char **argv);

/* Has the settings read and checked. Asks for ASKED_CHECKED then, for which reload_go_on is to be
 * called. */
void reload_begin(struct torc_server *s);

/* Has the cores take them. The last of them asks for ASKED_TAKEN, for which reload_finish is to be
 * called. */
void reload_go_on(struct torc_server *s);
void reload_finish(struct torc_server *s);

/* From reload_begin until one of the others has ended it. */
static inline bool reload_is_under_way(const struct torc_server *s)
{
    return s->reload.checks || s->reload.next;
}

/* Ends one whose settings are read or checked. False if it still waits at `deadline` (ns): its
 * thread goes on with all that it uses of the server. */
bool reload_await(struct torc_server *s, uint64_t deadline);

/* Leaves that thread to end by itself, if ever. */
void reload_detach(struct torc_server *s);

/* Forgets the settings that have been loaded; when no core runs. */
void reload_end(struct torc_server *s);

/* Frees all of it. */
void reload_free(struct torc_server *s);
