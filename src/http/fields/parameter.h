#pragma once
/* Parameters of a field's value (RFC 9110, 5.6.6), such as those of Content-Disposition. */

#include "base/slice.h"

/* Takes the next "name=value" from what follows the first semicolon of the value. A quoted string
 * is unquoted in place, so the caller must own the bytes. In it a backslash escapes a quote or a
 * backslash; before any other it stands for itself, as browsers send it in names of files. 1, 0 at
 * the end, or -1 if malformed. */
int parameter_next(slice *rest, slice *name, slice *value);
