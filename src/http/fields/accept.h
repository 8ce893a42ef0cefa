#pragma once
/* Chooses a content coding (RFC 9110, 12.5.3). */

#include "base/slice.h"

enum { CODINGS_MAX = 8 };

/* The index of the best of our `n` (<= CODINGS_MAX) codings ("br", "gzip") for an Accept-Encoding
 * field, or -1 for identity: by q-value; on a tie in our order, and before identity. An absent
 * field, or one that excludes everything, means identity. A member with a malformed weight counts
 * as q=0; of repeated members the last counts. */
int accept_encoding(slice field, const slice *codings, int n);
