#pragma once
/* The admin side: health, metrics and statistics, served by a core of its own. */

struct router;
struct torc_server;

/* Its routes; their handlers read `s`. NULL without memory. */
struct router *admin_routes(struct torc_server *s);
