#pragma once
/* Field names and values (RFC 9110, 5). */

#include "base/slice.h"

/* tchar (5.6.2). */
extern const bool field_token_char[256];

/* Whether `name` is a token (5.6.2), thus not empty. */
bool field_name_valid(slice name);

/* Whether `value` consists of VCHAR, SP, HTAB and obs-text (5.5), with no CR, LF, NUL or other
 * control. May be empty; surrounding white space is not checked. */
bool field_value_valid(slice value);

/* Whether a comma-separated list contains the token, case-insensitive. A member with parameters
 * does not match. An absent list is empty. */
bool token_list_has(slice list, slice token);
