#include "base/stdio.h"

#include <fcntl.h>
#include <unistd.h>

/* Not writable, so that lost output is noticed. Without /dev/null, a descriptor of the root
 * directory that permits neither. */
static int open_nothing(void)
{
    int fd = open("/dev/null", O_RDONLY);
    return fd < 0 ? open("/", O_PATH | O_DIRECTORY) : fd;
}

void stdio_reserve(void)
{
    int fd;
    while ((fd = open_nothing()) >= 0 && fd <= STDERR_FILENO) continue;
    if (fd >= 0) close(fd);
}
