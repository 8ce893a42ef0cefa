#pragma once
/* New settings for a server that runs: the config file is read again, checked, and refused whole or
 * taken by every core. Those that do so run on the control thread (life.c). */

#include "serve/server_state.h"

/* Keeps what is needed to read the options again; before they are read. 0 or -ENOMEM. */
int reload_prepare(struct torc_server *s, int argc, char **argv);

/* Reads the settings and has the cores take them; s->reload.next is set for as long as they do. The
 * last of them asks for ASKED_TAKEN, for which reload_finish is to be called. Reopens the access
 * log in every case. */
void reload_begin(struct torc_server *s);
void reload_finish(struct torc_server *s);

/* Forgets the settings that have been loaded; when no core runs. */
void reload_end(struct torc_server *s);

/* Frees all of it. */
void reload_free(struct torc_server *s);
