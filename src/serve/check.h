#pragma once
/* What --check prints, as text or (--json) for programs: the server that these options would start
 * on this kernel. */

struct torc_server;

/* The engine is chosen; opens and closes one core's to learn the sizes that it comes to. An exit
 * status; where it is not 0, the reason has been said. As JSON, the other engines that are built in
 * are opened, too. */
int server_check(struct torc_server *s);
