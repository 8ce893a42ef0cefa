#pragma once
/* What the kernel offers and an older C library does not declare. Included instead of the library's
 * headers, which are asked by name: a library that declares it has the word. */

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14; not in musl 1.2.5 */
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13; not in glibc 2.41 */
#endif

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8 /* Linux 4.14; this and preadv2 are not in musl 1.2.3 */
#define PWRITEV2_IS_INLINE
static inline ssize_t pwritev2(int fd, const struct iovec *v, int n, off_t offset, int flags)
{
    /* The kernel takes the offset in two words, of which it ignores the second on 64-bit machines.
     */
    return syscall(SYS_pwritev2, fd, v, (long)n, (long)offset, 0L, flags);
}
static inline ssize_t preadv2(int fd, const struct iovec *v, int n, off_t offset, int flags)
{
    return syscall(SYS_preadv2, fd, v, (long)n, (long)offset, 0L, flags);
}
#endif

#ifndef STATX_BASIC_STATS
#include <linux/stat.h> /* not in musl 1.2.3 */
static inline int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *out)
{
    return (int)syscall(SYS_statx, dirfd, path, flags, mask, out);
}
#endif
