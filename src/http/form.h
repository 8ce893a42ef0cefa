#pragma once
/* What forms of either type need of a request. */

#include "http/request.h"

/* What the request holds that is released by this function; NULL for nothing. */
void *request_find_held(const struct torc_req *rq, void (*release)(struct request_resource *r));

/* Whether its body has this media type, case-insensitive; *parameters is what follows the type. */
bool request_has_type(const struct torc_req *rq, slice type, slice *parameters);
