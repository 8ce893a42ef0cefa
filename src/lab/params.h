#pragma once
/* What requests say in numbers and words, checked. */

#include "torc.h"

/* A whole number and nothing else. */
bool param_whole(torc_slice text, int64_t *out);

/* A whole number within the bounds; else the request is answered with the reason, and false. */
bool param_number(torc_req *rq, torc_slice name, torc_slice text, int64_t min, int64_t max,
                  int64_t *out);

/* The query's mode, seq or all: one after another, or together. Else as above. */
bool param_mode(torc_req *rq, bool *together);
