#pragma once
/* Status codes, as registered with IANA (RFC 9110, 15 and 16.2). All slices are static memory. */

#include "base/slice.h"

/* "Not Found"; "Unknown" for a code that is not registered. */
slice http_reason(int status);

/* "HTTP/1.1 404 Not Found\r\n" for a registered code; empty otherwise: the caller formats it. */
slice http_status_line(int status);
