#pragma once
/* Tells on stderr which functions another thread is in, which says so to a real-time signal that
 * the program does not use. The C library must be able to tell (glibc). */

/* Per process, around the time in which a server runs: chooses the signal and sets its handler. */
void backtrace_install(void);
void backtrace_uninstall(void);

/* On a thread that may be asked: unblocks the signal. */
void backtrace_allow(void);

/* Waits a second for the answer of the thread, at most, and writes it. The thread itself does not
 * write, and should not be in a system call, which this would interrupt. */
void backtrace_of_thread(int tid);
