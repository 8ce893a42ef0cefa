#pragma once
/* Extra CPU time of a known amount: how well a benchmark measures it shows how far to trust it. */

#include "torc.h"

extern const char *burn_option; /* --burn-ns; NULL if not given */

/* Burns that much CPU time. If the option is invalid, replies with 400 and returns false. */
bool burn(torc_req *rq);
