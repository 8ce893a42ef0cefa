#include "base/child.h"

#include "base/log.h"

#include <unistd.h>

enum { EXIT_CHILD = 125 };

_Thread_local bool child_here;

/* Not exit(3): what it calls is the server's. */
void child_end(void)
{
    log_line("process %d was forked by a handler or a job, and has neither executed a program nor "
             "ended: it ends now",
             (int)getpid());
    _exit(EXIT_CHILD);
}
