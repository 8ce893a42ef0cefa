#pragma once
/* The routes of the admin listener: health, metrics and statistics. */

struct router;
struct torc_server;

/* A router whose handlers read `s`. NULL if out of memory. */
struct router *admin_routes(struct torc_server *s);
