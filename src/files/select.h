#pragma once
/* Selects what to respond with for a file: a coding (RFC 9110, 12.5.3), the result of conditions
 * (13), ranges (14). */

#include "files/file.h"
#include "http/fields/range.h"
#include "http/request.h"

enum select_field {
    SELECT_RANGE,
    SELECT_IF_MATCH,
    SELECT_IF_RANGE,
    SELECT_IF_NONE_MATCH,
    SELECT_ACCEPT_ENCODING,
    SELECT_IF_MODIFIED_SINCE,
    SELECT_IF_UNMODIFIED_SINCE,
    SELECT_FIELDS
};

struct selection {
    slice value[SELECT_FIELDS]; /* absent, or all lines of a list field joined */
};

void select_read(torc_req *rq, struct selection *selection);

/* The version of the file that the request accepts best. */
struct static_version *select_version(const struct selection *selection, struct static_file *f);

/* Evaluates the conditions for this version in the order of RFC 9110, 13.2.2. Returns 200; 206 with
 * *n ranges; 304; 412; or 416. Ranges apply to GET only (14.2). */
int select_status(const struct selection *selection, const struct static_version *v, bool get,
                  struct http_range range[RANGES_MAX], int *n);
