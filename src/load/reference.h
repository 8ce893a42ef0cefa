#pragma once
/* A reference reply: one that was parsed and found right. To compare the next reply with its bytes
 * is cheaper than to parse it, and stricter. Only the value of its Date field may differ. */

#include "client/response_parser.h"

struct reference {
    char *bytes;
    uint32_t len, cap; /* len 0: there is none */
    uint32_t date;     /* where the 29 bytes of the Date begin; == len without one */
    uint16_t status;
    uint16_t misses; /* replaced so often since the last match */
};

/* The length of the reply at the start of `in` where it equals the reference, else 0. */
uint32_t reference_match(struct reference *r, slice in);

/* Makes a reply that was found right the reference. Not where the server closes after it, where it
 * is large, or where replies have differed each time. */
void reference_learn(struct reference *r, slice reply, const struct response_parser *parsed);

void reference_free(struct reference *r);
