#pragma once
/* --check: prints the server that these options would start on this kernel, as text or JSON. */

struct torc_server;

/* Looks whether the files that the options name can be opened, and opens and closes the chosen
 * engine for one core to learn its actual sizes; for JSON also the other engines that are built in.
 * 1: there is nothing more to do; or server_fail. */
int server_check(struct torc_server *s);
