#include "backend.h"

#include "each.h"
#include "option.h"

#include <errno.h>
#include <string.h>

enum { TIMEOUT = 10000, TIMEOUT_MAX = 3600000, SAID_MAX = 300 };

static const char *timeout_option; /* --backend-timeout; NULL if not given */
static int64_t timeout = TIMEOUT;  /* ms */

int backend_option(torc_server *s)
{
    return torc_server_option(s, "backend-timeout", "MS",
                              "how long a request may wait for another server, in ms (10000); then "
                              "it is answered with 504",
                              &timeout_option);
}

int backend_read(void)
{
    return option_number("backend-timeout", timeout_option, 1, TIMEOUT_MAX, &timeout);
}

bool backend_given(torc_req *rq, const char *option, const char *value)
{
    if (value) return true;
    torc_replyf(rq, 501, "this server was started without --%s\n", option);
    return false;
}

void backend_not_built_in(torc_req *rq, const char *library)
{
    torc_replyf(rq, 501, "this torc-lab was built without %s\n", library);
}

bool backend_begin(torc_req *rq, int64_t more)
{
    return torc_deadline(rq, (unsigned)(timeout + more)) == 0;
}

static void reply_busy(torc_req *rq, const char *who)
{
    torc_set_header(rq, TORC_S("Retry-After"), TORC_S("1"));
    torc_replyf(rq, 503, "too many requests wait for %s\n", who);
}

/* Of errors that are about where the server is, strerror(3) says something else. */
static const char *in_words(int err)
{
    return err == -ENOENT         ? "there is no such name"
           : err == -EHOSTUNREACH ? "there is no way to it, or nobody can say now where it is"
           : err == -ENOSYS       ? "names cannot be looked up with --work-threads 0"
                                  : strerror(-err);
}

void backend_failed(torc_req *rq, const char *who, int err, torc_slice said)
{
    char text[SAID_MAX + 1];
    size_t n = 0;
    for (; n < said.len && n < SAID_MAX && said.ptr[n] != '\n' && said.ptr[n] != '\r'; n++)
        text[n] = said.ptr[n];
    text[n] = '\0';
    if (err == -ETIME || err == -ETIMEDOUT)
        torc_replyf(rq, 504, "%s did not answer in time\n", who);
    else if (err == -EAGAIN)
        reply_busy(rq, who);
    else if (err == -EUSERS)
        each_no_room(rq);
    else if (err == -ENOMEM)
        torc_reply_error(rq, 503);
    else
        torc_replyf(rq, 502, "%s: %s\n", who, n ? text : in_words(err));
}
