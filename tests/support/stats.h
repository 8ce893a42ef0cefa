#pragma once
/* Reads the statistics of a server's admin listener. */

#include "client.h"
#include "json.h"

/* The contents of /stats.json; release with json_decref. */
json_t *stats_get(const struct server *s);

/* One number in it, such as "total.requests". */
double stats_number(const struct server *s, const char *path);

/* Waits until that number is `want`; asserts that it becomes so. */
void stats_await(const struct server *s, const char *path, double want);

/* Likewise, at least `want`. */
void stats_await_more(const struct server *s, const char *path, double want);

/* Reads /requests.json, until no core is missing in it: one that does not answer at once is. */
void stats_requests(const struct server *s, struct reply *r);

/* Waits until that number stops changing, and returns it. */
double stats_settled(const struct server *s, const char *path);
