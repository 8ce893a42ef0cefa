#pragma once
/* Normalises what a server sent, for comparison. */

#include "case.h"

/* Appends `raw` to `out` with each current Date replaced by "*" and, where the case allows it,
 * without 100 (Continue) and with the chunks of a body joined to one. */
void answer_normalise(const struct wire_case *c, slice raw, struct bytes *out);

/* Prints bytes as in a case file, one line each, prefixed with `before`. */
void answer_print(slice s, const char *before);
