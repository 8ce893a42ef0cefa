#pragma once
/* Files of a handler (torc_file_open and the like). */

#include "http/request.h"

struct torc_file {
    struct request_resource held;
    struct torc_req *rq;
    int fd;
    bool writable;
    bool temporary; /* has not got its name yet */
    char *own_name; /* of a temporary file that cannot be without one; or NULL */
    int64_t size;
};

/* A body, or a part of one, cannot be written to a file: tells the operator, and has the response
 * be what fits, unless the handler gives another. */
void file_fail_body(struct torc_req *rq, int err);
