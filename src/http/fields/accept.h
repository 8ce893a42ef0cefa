#pragma once
/* Choosing a content coding (RFC 9110, 12.5.3). */

#include "base/slice.h"

enum { CODINGS_MAX = 8 };

/* The index of the best of our `n` codings ("br", "gzip"; at most CODINGS_MAX) for an
 * Accept-Encoding field, or -1 for identity: by q-value, ties in our order and before identity. An
 * absent field asks for nothing, so identity; so does one that refuses everything, identity
 * included. A member with a malformed weight counts as q=0, the last of repeated ones counts. */
int accept_encoding(slice field, const slice *codings, int n);
