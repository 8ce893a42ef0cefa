#pragma once
/* The routes of torc-lab, a plain user of the public API. */

#include "torc.h"

struct lab_route {
    const char *method, *pattern;
    torc_handler *handler;
};

/* Each family ends with an empty one. */
extern const struct lab_route benchmark_routes[], body_routes[], wait_routes[], file_routes[];

/* Mounts all of them, and declares what options they have. 0 or negative errno, which
 * torc_server_error explains. */
int lab_mount(torc_server *s);
