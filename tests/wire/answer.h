#pragma once
/* What came back, as it is compared. */

#include "case.h"

/* Appends `raw` to `out` with each Date that is a date of about now written as "*", and, where the
 * case is loose about it, without 100 (Continue) and with all chunks of a body joined to one. */
void answer_normalise(const struct wire_case *c, slice raw, struct bytes *out);

/* Prints bytes the way a case file has them, a line for each, behind `before`. */
void answer_print(slice s, const char *before);
