#pragma once
/* What the admin side of a server counts. */

#include "json.h"
#include "server.h"

/* What /stats.json has; json_decref gives it back. */
json_t *stats_get(const struct server *s);

/* One number of it, such as "total.requests". */
double stats_number(const struct server *s, const char *path);

/* Waits until that number is `want`; asserts that it comes to be. */
void stats_await(const struct server *s, const char *path, double want);

/* The same for at least `want`. */
void stats_await_more(const struct server *s, const char *path, double want);

/* Waits until that number has stopped changing, and returns it. */
double stats_settled(const struct server *s, const char *path);
