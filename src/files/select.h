#pragma once
/* What a request wants of a file besides its path: a coding (RFC 9110, 12.5.3), only if something
 * holds (13), or a part of it (14). */

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

/* The version of the file to answer with. */
struct static_version *select_version(const struct selection *selection, struct static_file *f);

/* The status that the conditions come to for this version, in the order of RFC 9110, 13.2.2: 200;
 * 206, and then *n ranges; 304; 412; 416. Ranges are for GET alone (14.2). */
int select_status(const struct selection *selection, const struct static_version *v, bool get,
                  struct http_range range[RANGES_MAX], int *n);
