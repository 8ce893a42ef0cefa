/* Stands in for the header that liburing's configure script writes after looking at the kernel
 * headers. From Linux 5.6 on they have all that liburing.h needs but the block discard command. */
#ifndef LIBURING_COMPAT_H
#define LIBURING_COMPAT_H

#include <linux/openat2.h>
#include <linux/time_types.h>
#define UAPI_LINUX_IO_URING_H_SKIP_LINUX_TIME_TYPES_H 1

#if __has_include(<linux/blkdev.h>) /* Linux 6.12 */
#include <linux/blkdev.h>
#else
#include <linux/ioctl.h>
#define BLOCK_URING_CMD_DISCARD _IO(0x12, 0)
#endif

struct futex_waitv;

#endif
