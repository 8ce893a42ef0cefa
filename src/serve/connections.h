#pragma once
/* How many connections a core may have: as the options say, and as the descriptor limit and the
 * engine allow. */

#include "serve/server_state.h"

/* For a server that starts: reduces the limits of its options to what is possible, derives those of
 * the admin side, and decides for how many connections each core has room. */
void connections_begin(struct torc_server *s);

/* Likewise for other options of a server that runs. False if they allow more connections than the
 * cores have room for. */
bool connections_again(const struct torc_server *s, struct options *o, struct http_limits *admin);
