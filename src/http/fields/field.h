#pragma once
/* Fields (RFC 9110, 5). */

#include "base/slice.h"

/* tchar (5.6.2). */
extern const bool field_token_char[256];

/* A token (5.6.2): not empty. */
bool field_name_valid(slice name);

/* VCHAR, SP, HTAB and obs-text (5.5): no CR, LF, NUL or other control. May be empty; white space
 * around it is not looked for. */
bool field_value_valid(slice value);

/* Whether a comma-separated list has the token, in any case. Members with parameters are other
 * members. An absent list has none. */
bool token_list_has(slice list, slice token);
