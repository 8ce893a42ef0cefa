#pragma once
/* What a request wants of a file besides its path: a coding (RFC 9110, 12.5.3), only if something
 * holds (13), or a part of it (14). */

#include "http/range.h"
#include "http/request.h"
#include "serve/static_file.h"

enum wish {
    WISH_RANGE,
    WISH_IF_MATCH,
    WISH_IF_RANGE,
    WISH_IF_NONE_MATCH,
    WISH_ACCEPT_ENCODING,
    WISH_IF_MODIFIED_SINCE,
    WISH_IF_UNMODIFIED_SINCE,
    WISHES
};

struct static_wish {
    slice value[WISHES]; /* absent where the field is; the lines of a list field are joined */
};

void static_wish_read(torc_req *rq, struct static_wish *wish);

/* The version of the file to answer with. */
struct static_version *static_wish_version(const struct static_wish *wish, struct static_file *f);

/* The status that the conditions come to for this version, in the order of RFC 9110, 13.2.2: 200;
 * 206, and then *n ranges; 304; 412; 416. Ranges are for GET alone (14.2). */
int static_wish_status(const struct static_wish *wish, const struct static_version *v, bool get,
                       struct http_range range[RANGES_MAX], int *n);
