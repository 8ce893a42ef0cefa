#pragma once
/* Routes that ask other servers. */

#include "torc.h"

/* Each adds its option and mounts its routes: 0, or negative errno and a message in
 * torc_server_error. */
int fetch_routes_mount(torc_server *s);
int pg_routes_mount(torc_server *s);
int redis_routes_mount(torc_server *s);
int stack_routes_mount(torc_server *s);

/* Whether the backend of these routes is configured; without it they are 501. */
bool fetch_routes_given(void);
bool pg_routes_given(void);

/* Each opens what its option asks for, once the command line has been read. 0 or, with a message on
 * stderr, negative errno: -EINVAL if the value is malformed. */
int fetch_routes_open(void);
int pg_routes_open(void);
int redis_routes_open(void);

/* Each frees what the routes have opened, after torc_server_run. */
void fetch_routes_free(void);
void pg_routes_free(void);
void redis_routes_free(void);
