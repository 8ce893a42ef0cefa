#pragma once
/* A process that a handler or a job has forked. The code around them would go on there with the
 * memory and the descriptors of the server: send a second response, take its events and its
 * connections. So it ends where it comes back to that code. */

#include "base/assert.h"

#include <stdbool.h>

/* Whether this thread is the one of such a process. */
extern _Thread_local bool child_here;

/* Ends the process, after a line on stderr. */
_Noreturn void child_end(void);

/* After a function of the program. After a handler: see waiting_forked in http/waiting.h. */
static inline void child_check(void)
{
    if (UNLIKELY(child_here)) child_end();
}
