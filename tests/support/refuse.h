#pragma once
/* System calls that fail, as under a container's seccomp profile. */

struct refusal {
    int call; /* its number, as SYS_io_uring_enter */
    int err;  /* errno */
    int nth;  /* the argument that has to be `value`, from 1 on; 0: whatever the arguments are */
    int value;
};

/* For server_how.prepare: `arg` is a struct refusal. From now on the call fails, in this thread and
 * all that it starts. */
void refuse_call(void *arg);

/* From now on the call fails in all threads of the process. */
void refuse_everywhere(const struct refusal *r);

/* For server_how.prepare: makes io_uring_setup fail with the errno *err. */
void refuse_io_uring(void *err);
