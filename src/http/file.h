#pragma once
/* Files that a handler opens. */

#include "torc.h"

/* Closes what the handler left open. */
void file_close_all(torc_req *rq);
