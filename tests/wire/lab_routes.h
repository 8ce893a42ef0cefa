#pragma once
/* The routes of torc-lab without its server. */

#include "http/middleware.h"

/* A frozen router, with this middleware unless it is NULL; the caller frees both. */
struct router *lab_routes(struct middleware *around);
