#include "base/emit.h"

#include "base/libc.h"

#include <stdint.h>

ssize_t emit(int fd, const void *bytes, size_t size)
{
    struct iovec v = {(void *)(uintptr_t)bytes, size};
    ssize_t n = write(fd, bytes, size);
    if (emit_refused(n)) n = writev(fd, &v, 1);
    if (emit_refused(n)) n = pwritev2(fd, &v, 1, -1, 0); /* at no place: as writev */
    return n;
}
