#pragma once
/* Status codes, as registered with IANA (RFC 9110, 15 and 16.2). All slices are static memory. */

#include "base/slice.h"

#include <errno.h>

/* "Not Found"; "Unknown" for a code that is not registered. */
slice http_reason(int status);

/* "HTTP/1.1 404 Not Found\r\n" for a registered code; empty otherwise: the caller formats it. */
slice http_status_line(int status);

/* Where what a client has sent cannot be written to a file. */
static inline unsigned status_of_write(int err)
{
    return err == -ENOSPC || err == -EDQUOT || err == -EFBIG ? 507 : 500;
}
