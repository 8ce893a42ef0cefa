#pragma once
/* What a program answers in place of torc's own error responses. See torc_errors. */

#include "http/request.h"

struct error_handler;

/* Adds one to `list`, which begins as NULL, behind those of longer prefixes. 0; -EINVAL for a
 * malformed prefix or without `fn`, -EEXIST for a prefix that has one, -ENOMEM. On error *why
 * (static memory) describes it. `prefix` is copied. */
int error_handler_add(struct error_handler **list, slice prefix, torc_error_fn *fn, void *arg,
                      const char **why);

void error_handlers_free(struct error_handler *list);

/* Has the program's function for the path respond with `status`. False if there is none, it is this
 * one that asks, or it has not responded. */
bool error_handler_respond(struct torc_req *rq, int status);
