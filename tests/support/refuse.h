#pragma once
/* For server_how.prepare: makes io_uring_setup fail with the errno *err, as a container's seccomp
 * profile does. */
void refuse_io_uring(void *err);
