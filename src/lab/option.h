#pragma once
/* Checking of option values, before the server starts. */

#include "torc.h"

/* Whether a value may hold a password: then no message shows any of it. */
bool option_is_secret(const char *value);

/* Says on stderr what an option takes, and not that value, which may be secret. Returns -EINVAL. */
int option_wrong(const char *name, const char *takes, const char *value);

/* Says on stderr why what an option asks for cannot be opened. Returns -err, which is an errno. */
int option_failed(const char *name, int err);

/* Parses a whole number from min to max, and leaves *out alone if the option is not given (NULL).
 * 0 or, with a message, -EINVAL. */
int option_number(const char *name, const char *value, int64_t min, int64_t max, int64_t *out);

/* The length of HOST[:PORT] at the beginning of the text, as in a URL; 0 if it does not begin so.
 */
size_t option_host(const char *text);
