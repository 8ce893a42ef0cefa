#pragma once
/* A call of the engine that runs while its fiber does something else, or that is done even in a
 * scope that has been cancelled. */

#include "task/scope.h"

/* One call, on the fiber's stack. */
struct background {
    struct wait wait;
    struct io_call call;
    struct scope *scope;
    int result;
    bool needed, done, awaited;
};

/* Submits a copy of the call. Cancelling the scope does not end it, unless it is not `needed` and
 * its fiber waits for it. background_finish must follow before the struct, or the memory that the
 * call points to, becomes invalid. Call on a fiber of the scope. */
void background_start(struct background *b, struct scope *s, const struct io_call *c,
                      enum io_kind kind, bool needed);

/* Parks until the call has completed, cancelled scope or not. Returns the result. */
int background_finish(struct background *b);

/* Does what must be done even in a cancelled scope, such as removing a file. The result, or -EPERM
 * if `s` is NULL. */
int background_call(struct scope *s, const struct io_call *c, enum io_kind kind);
