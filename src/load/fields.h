#pragma once
/* Which methods and header fields a request may be given. A request that is wrong on purpose is a
 * template (--template). */

#include "load/request.h"

/* Whether it is a name, a colon and a value that RFC 9110, 5.1 and 5.5 allow. */
bool fields_valid(const char *line);

/* Whether fields, method and body go together. False with a line in `why`. */
bool fields_check(const struct request_form *form, char *why, size_t size);
