#pragma once
/* What servers change of their process while at least one runs, and what a child of it gets. */

#include <sys/types.h>

/* Raises the soft descriptor limit to the hard one: each connection needs a descriptor, and the
 * limit is low only for the sake of select(2). A child that is forked (fork(2)) has the limit that
 * was found, and the CPUs that the thread had which forked it before it was pinned. */
void process_begin(void);

/* Undoes it with the last server, unless the program has set another limit since. */
void process_end(void);

/* Has what follows fork(2) in a child do so, but leaves the limit alone: the program is a test. */
void process_watch(void);

/* As getpid(2), without a system call, once process_begin or process_watch was called. */
pid_t process_id(void);
