#pragma once
/* The routes of torc-lab, a plain user of the public API. */

#include "torc.h"

struct lab_route {
    const char *method, *pattern;
    torc_handler *handler;
};

/* Each array ends with an empty route. */
extern const struct lab_route benchmark_routes[], body_routes[], wait_routes[], file_routes[],
    event_routes[];

extern const char *page_origin; /* --allow-origin; NULL if not given */

/* Before event_routes are mounted. 0, or -1 without memory. */
int event_routes_open(void);

/* Mounts the routes of an array. 0, or negative errno and a message in torc_server_error. */
int lab_mount_routes(torc_server *s, const struct lab_route *routes);

/* Mounts all of those above and adds their options. 0, or negative errno and a message in
 * torc_server_error. */
int lab_mount(torc_server *s);

/* Checks the values of those options. 0 or, with a message on stderr, -EINVAL. */
int lab_options(void);
