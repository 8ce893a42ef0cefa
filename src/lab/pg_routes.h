#pragma once
/* What asks --pg, for routes that do so. */

#include "text.h"
#include "torc.h"
#include "torc/pg.h"

/* The pool; NULL if there is none: then there is a response. */
torc_pg *pg_pool(torc_req *rq);

/* Of a row of the table world. */
int pg_random_id(void);

/* The query parameter `ms`, which may be missing (then *seconds is NULL), as the text of so many
 * seconds. False if it is no such number: then there is a response. */
bool pg_take_seconds(torc_req *rq, char *text, size_t size, const char **seconds);

/* Puts a row of world as a JSON object, or replies that there is no such row and returns false. */
bool pg_put_row(struct text *t, int id, const torc_pg_result *r);

/* Replies for what a query has returned. `r` may be NULL. */
void pg_failed(torc_req *rq, int err, const torc_pg_result *r);
