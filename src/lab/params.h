#pragma once
/* Parsing and checking of request parameters. */

#include "torc.h"

/* Parses text that is a whole number and nothing else. */
bool param_whole(torc_slice text, int64_t *out);

/* Parses a whole number from min to max. If it is not one, replies with 400 and returns false. */
bool param_number(torc_req *rq, torc_slice name, torc_slice text, int64_t min, int64_t max,
                  int64_t *out);

/* Parses the query parameter `mode`: seq or all, for sequential or concurrent. Fails likewise. */
bool param_mode(torc_req *rq, bool *concurrent);
