#pragma once
/* A pg_server on a real PostgreSQL. */

#include "backends.h"
#include "client.h"

#include <stdlib.h>
#include <string.h>

extern struct server rig;

/* Settings of the pool for the next servers: "PG_CONNECTIONS", "1". NULL: the default. */
void pg_set(const char *name, const char *value);

/* All of them at their defaults. */
void pg_reset(void);

/* "/query?sql=…", encoded; a format for printf. The result of the last call but three is kept. */
const char *pg_path(const char *before, const char *sql, const char *after);

/* The body of a GET; the status must be that one. Valid until the next call. */
const char *pg_get(const char *path, int status);

/* The body of a query that succeeds. */
const char *pg_query(const char *sql);

/* Asserts that this is the number in that row of the table world. */
void pg_expect_world(long long id, long long number);

/* Asks until the body is that one. */
void pg_await(const char *path, int status, const char *body);

/* A counter of torc_pg_count. */
long pg_counter(const char *name);
void pg_await_counter(const char *name, long value);

/* Waits until the server runs so many queries with that text in them. */
void pg_await_running(const char *text, int n);

/* Sends a GET on a connection of its own and does not wait. */
void pg_ask(struct client *c, const char *path);

/* Its body, once it has come. */
const char *pg_answer(struct client *c, int status);

int pg_setup(void **state);
int pg_teardown(void **state);
