#pragma once
/* The signals that end a run. */

/* SIGINT, SIGTERM and SIGHUP, except what is ignored by now, become readable from a descriptor,
 * which is returned, or negative errno; the threads that are started from now on inherit this. What
 * is written where nobody reads, or beyond the limit of a file's size, fails from now on and ends
 * nothing. */
int signals_open(void);

/* Once the run has ended: the next of them ends the process, whose report may be written
 * to a pipe that nobody empties. Those that came during the run count no more. */
void signals_close(int fd);
