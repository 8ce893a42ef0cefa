#pragma once
/* A planted cost: what a measurement finds of one that is known tells how far it can be trusted. */

#include "torc.h"

extern const char *burn_option; /* --burn-ns; NULL where it is not given */

/* Burns so much CPU time; false where the option is not valid, which is then the answer. */
bool burn(torc_req *rq);
