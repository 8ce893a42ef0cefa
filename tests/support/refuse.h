#pragma once
/* For server_how.prepare: from here on io_uring_setup fails with the errno that *err is, as under a
 * container's seccomp profile. */
void refuse_io_uring(void *err);
