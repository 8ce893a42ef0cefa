#pragma once
/* Files opened by a handler (torc_file_open). */

#include "torc.h"

/* Closes files that the handler left open. */
void file_close_all(torc_req *rq);
