#pragma once
/* Runs code that may end the process in a child process. */

#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Returns the child's wait status, -1 if it could not be started. It exits with 0 when fn
 * returns. */
static inline int in_child(void (*fn)(void *arg), void *arg)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        /* Otherwise the sanitizers would turn the signal into an exit status. */
        signal(SIGSEGV, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        alarm(60);
        fn(arg);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return -1;
    return status;
}
