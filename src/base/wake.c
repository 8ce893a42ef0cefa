#include "base/wake.h"

#include "base/emit.h"
#include "base/log.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* EAGAIN means that the counter is full, so a wake is already pending. */
void wake_by(int eventfd)
{
    uint64_t one = 1;
    int saved = errno;
    if (emit_refused(emit(eventfd, &one, sizeof one))) {
        log_line("cannot wake a thread: the system refuses write(2), writev(2) and pwritev2(2): "
                 "%s; the process ends",
                 strerror(errno));
        _exit(1);
    }
    errno = saved;
}
