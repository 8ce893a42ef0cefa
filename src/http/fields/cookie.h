#pragma once
/* Cookies (RFC 6265bis: the draft that replaces RFC 6265). */

#include "base/slice.h"

/* Takes the next pair of a Cookie field's value from `rest`, as servers read it (4.2.1): white
 * space around name and value is left out, quotes belong to the value. What has no '=' or no name
 * is passed over. False at the end. */
bool cookie_next(slice *rest, slice *name, slice *value);

/* Whether a server may set it (4.1.1): a name is a token; a value may be in quotes. */
bool cookie_value_valid(slice value);

/* The value of an attribute: no control characters and no ';'. */
bool cookie_attribute_valid(slice value);
