#pragma once
/* Tells on stderr which functions another thread is in, which says so to a real-time signal that
 * the program does not use. The C library must be able to tell (glibc). */

#include <stdbool.h>

struct backtrace; /* of a thread that is asked for it */

/* Per process, around the time in which a server runs: chooses the signal and sets its handler. */
void backtrace_install(void);
void backtrace_uninstall(void); /* when the caller asks no thread any more */

/* On a thread that may be asked: unblocks the signal. */
void backtrace_allow(void);

/* Asks the thread, which should not be in a system call, as this would interrupt it. NULL if that
 * cannot be done now. Does not wait. */
struct backtrace *backtrace_ask(int tid);

/* Whether the thread has answered. It may block the signal, or have no CPU. */
bool backtrace_answered(const struct backtrace *b);

/* Ends the asking. Writes what the thread, by that name, has answered, if it has; the thread itself
 * writes nothing. */
void backtrace_end(struct backtrace *b, const char *name);
