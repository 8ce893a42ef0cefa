#pragma once
/* Files of a handler (torc_file_open and the like). */

#include "http/request.h"

struct torc_file {
    struct list link; /* in torc_req.files */
    int fd;
    bool writable;
    bool temporary; /* has not got its name yet */
    char *own_name; /* of a temporary file that cannot be without one; or NULL */
    int64_t size;
};

/* Closes files that the handler left open. */
void file_close_all(torc_req *rq);
