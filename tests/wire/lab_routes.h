#pragma once
/* torc-lab's routes without its server. */

#include "http/router.h"

/* Frozen; the caller frees it. */
struct router *lab_routes(void);
