#pragma once
/* What a server is asked to do, by signals or by the program. The dispositions of the signals are
 * changed while at least one server watches them, and restored afterwards. Handlers rather than
 * blocked signals: a thread that the program started earlier may receive the signal. */

#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

/* CHECKED: new settings have been; TAKEN: the cores have taken them. STATE: the state of a core has
 * changed. HEAP: heap_look is due. */
enum request_bits {
    ASKED_STOP = 1,
    ASKED_RELOAD = 2,
    ASKED_CHECKED = 4,
    ASKED_TAKEN = 8,
    ASKED_STATE = 16,
    ASKED_HEAP = 32
};

struct server_signals {
    sem_t changed;          /* no descriptor: a thread may have a table without it */
    _Atomic unsigned asked; /* enum request_bits */
    sigset_t before;        /* signals that were blocked before signals_watch */
};

void signals_init(struct server_signals *w);
void signals_free(struct server_signals *w);

/* Directs SIGTERM and SIGINT (stop) and SIGHUP (reload) to `w` as well and unblocks them in the
 * calling thread; gives SIGPIPE and SIGXFSZ a handler that does nothing unless the program handles
 * them. False if more servers run than there is room for. */
bool signals_watch(struct server_signals *w);

/* Undoes signals_watch, in the same thread. A disposition that the program has changed meanwhile
 * stays. */
void signals_unwatch(struct server_signals *w);

/* In a process that was forked: what asks a server, which does not run there, has again the
 * disposition that was found. */
void signals_forked(void);

/* Asks for something, of enum request_bits. Async-signal-safe. */
void signals_ask(struct server_signals *w, unsigned what);

/* Waits until something of `wanted` is asked, and takes that: enum request_bits. A stop stays
 * asked for. For one thread at a time. */
unsigned signals_take(struct server_signals *w, unsigned wanted);

bool signals_stop_asked(const struct server_signals *w);

/* Takes back a stop that has ended a start: the next one is not meant. */
void signals_forget_stop(struct server_signals *w);
