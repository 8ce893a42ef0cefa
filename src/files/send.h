#pragma once
/* Sends a file as the response. */

#include "files/file.h"
#include "http/request.h"

/* WAITS. Responds with the file, as the request's conditions, ranges and accepted codings want it,
 * beside the fields that were set before. 0 or negative errno. */
int static_send(torc_req *rq, struct static_file *f);
