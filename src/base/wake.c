#include "base/wake.h"

#include "base/emit.h"
#include "base/log.h"

#include <stdint.h>
#include <string.h>

_Atomic bool wake_refused;

/* EAGAIN means that the counter is full, so a wake is already pending. */
void wake_by(int eventfd)
{
    uint64_t one = 1;
    int saved = errno;
    if (emit_refused(emit(eventfd, &one, sizeof one)) && !atomic_exchange(&wake_refused, true))
        log_line("the system refuses write(2), writev(2) and pwritev2(2): %s; threads look for "
                 "work every 10 ms instead of being woken",
                 strerror(errno));
    errno = saved;
}
