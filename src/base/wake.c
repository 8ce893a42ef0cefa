#include "base/wake.h"

#include "base/emit.h"
#include "base/log.h"

#include <stdint.h>
#include <string.h>

_Atomic bool wake_refused;

static void refuse(void)
{
    if (atomic_exchange(&wake_refused, true)) return;
    if (errno == EBADF)
        log_line("a descriptor of the server was closed, as by close_range(2); threads look for "
                 "work every 10 ms instead of being woken");
    else
        log_line("the system refuses write(2), writev(2) and pwritev2(2): %s; threads look for "
                 "work every 10 ms instead of being woken",
                 strerror(errno));
}

/* EAGAIN means that the counter is full, so a wake is already pending. */
void wake_by(int eventfd)
{
    uint64_t one = 1;
    int saved = errno;
    ssize_t n = emit(eventfd, &one, sizeof one);
    if (emit_refused(n) || (n < 0 && errno == EBADF)) refuse();
    errno = saved;
}
