#pragma once
/* A torc-lab that asks other servers, and what it replied. */

#include "client.h"
#include "upstream.h"

#include <stdlib.h>
#include <string.h>

extern struct server lab;
extern struct upstream up;
extern struct reply last;

/* Ends the lab and the upstream, whose requests of /held are answered. */
void lab_stop_upstream(void);

/* The body of a GET, which is `last`; the status must be that one. */
const char *lab_get(const char *path, int status);

/* Asserts that `last` is a line with this in it: it names what is wrong. */
void lab_names(const char *text);

/* A GET gets such a line. */
void lab_refuses(const char *path, int status, const char *text);
