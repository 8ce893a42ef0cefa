#pragma once
/* Has another thread write to stderr which functions it is in, by a real-time signal that the
 * program does not use. The C library must be able to tell (glibc). */

/* Per process, around the time in which a server runs: chooses the signal and sets its handler. */
void backtrace_install(void);
void backtrace_uninstall(void);

/* On a thread that may be asked: unblocks the signal. */
void backtrace_allow(void);

/* The thread should not be in a system call, which this would interrupt. */
void backtrace_of_thread(int tid);
