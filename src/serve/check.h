#pragma once
/* --check: prints the server that these options would start on this kernel, as text or JSON. */

struct torc_server;

/* Opens and closes the chosen engine for one core to learn its actual sizes; for JSON also the
 * other engines that are built in. Returns an exit status; if it is not 0, the reason is logged. */
int server_check(struct torc_server *s);
