#include "load/address.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static bool accepts(const struct sock_addr *a, uint64_t timeout)
{
    struct timespec ts = {(time_t)(timeout / NS_PER_S), (long)(timeout % NS_PER_S)};
    int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    struct pollfd p = {fd, POLLOUT, 0};
    int err = connect(fd, &a->sa, a->len) < 0 ? errno : 0;
    if (err == EINPROGRESS && ppoll(&p, 1, &ts, NULL) == 1) {
        socklen_t len = sizeof err;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
    }
    close(fd);
    return err == 0;
}

const struct sock_addr *address_choose(const struct sock_addr *addrs, uint32_t n, uint64_t timeout)
{
    for (uint32_t i = 0; n > 1 && i < n; i++)
        if (accepts(&addrs[i], timeout)) return &addrs[i];
    return addrs;
}
