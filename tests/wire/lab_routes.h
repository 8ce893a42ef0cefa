#pragma once
/* The routes of torc-lab without its server. */

#include "http/router.h"

/* A frozen router; the caller frees it. */
struct router *lab_routes(void);
