#pragma once
/* What a handler asks and waits for: sleep, deadline, groups, events, the end of its client. */

#include "http/request.h"

/* Wakes the fibers in torc_await whose answer has come; cancels a request of torc_cancel_when_gone.
 */
COLD void waiting_answer(struct torc_req *rq);

/* Waits for the functions of the request's groups, which must return before its memory is freed. */
COLD void waiting_join_groups(struct torc_req *rq);

/* In a process that the core's thread has forked: the request whose fiber runs has groups from now
 * on, and joins them where its handler returns. There the process ends: what would follow, as to
 * remove temporary files, is the server's. Other handlers pay nothing for it. */
COLD void waiting_forked(struct http_context *ctx);
