#pragma once
/* How an engine is opened. */

#include <stdbool.h>
#include <stdint.h>

/* Features of the io_uring engine, with the Linux version that introduced each. Each can be
 * switched off, and is off if the kernel lacks it. */
enum io_feature {
    IO_SINGLE_ISSUER, /* 6.0 */
    IO_DEFER_TASKRUN, /* 6.1, needs single-issuer */
    IO_COOP_TASKRUN,  /* 5.19, used if defer-taskrun is off */
    IO_NO_SQARRAY,    /* 6.6 */
    IO_SUBMIT_ALL,    /* 5.18 */
    IO_RING_FD,       /* registered ring descriptor, 5.18 */
    IO_BUF_RING,      /* provided-buffer ring, 5.19 */
    IO_MULTISHOT,     /* multishot accept (5.19) and recv (6.0); recv needs buf-ring */
    IO_DIRECT,        /* accept into direct descriptors, 5.19 */
    IO_IOWQ_CAP,      /* cap on kernel worker threads, 5.15 */
    IO_RESTRICT,      /* ring restrictions to the opcodes used, 5.10 */
    IO_FEATURES
};

extern const char *const io_feature_names[IO_FEATURES];

struct io_config {
    uint32_t depth;       /* SQ entries, a power of two after rounding up */
    uint32_t cq_depth;    /* CQ entries; 0: 8 x depth, at least 4096 */
    uint32_t buffers;     /* recv buffers of the core, rounded up to a power of two */
    uint32_t buffer_size; /* bytes of each */
    uint32_t max_sockets; /* size of the direct table */
    uint32_t iowq_bounded, iowq_unbounded; /* kernel worker threads at most */
    uint32_t features;                     /* bit per enum io_feature: wanted */
    uint32_t rings;      /* how many will be open together, for io_probe; 0 is 1 */
    bool ordinary;       /* no direct descriptors */
    bool peers;          /* none where io_peer does not work for them */
    bool walk;           /* set by io_probe: openat2 is refused, and files are opened by walk.h */
    bool one_connection; /* with io_holds_thread: accept the next connection when the one before is
                            closed, from a listener that other threads accept from, too */
    const char *scarce;  /* set by io_probe: the limit for which it reduced depth, as
                            io_refusal.limit */
    int wake_fd;         /* caller's eventfd for io_wake; 0: io_open creates one */
};
