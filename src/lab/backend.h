#pragma once
/* What the routes that ask other servers have in common. */

#include "torc.h"

/* Declares --backend-timeout. As torc_server_option. */
int backend_option(torc_server *s);

/* Reads it. 0 or, with a message on stderr, -EINVAL. */
int backend_read(void);

/* Whether `value`, that of an option, is given. If not, replies with 501 and returns false. */
bool backend_given(torc_req *rq, const char *option, const char *value);

/* For a route whose library is missing. */
void backend_not_built_in(torc_req *rq, const char *library);

/* Gives the request until --backend-timeout, and `more` ms, from now. False if it does not go on.
 */
bool backend_begin(torc_req *rq, int64_t more);

/* Replies for what a call of the backend `who` has returned: 504 if it was too slow, 503 if too
 * many wait for it or after -EUSERS, 502 for what is wrong with it. `said` is its own explanation,
 * of which the first line is told, or absent. */
void backend_failed(torc_req *rq, const char *who, int err, torc_slice said);
