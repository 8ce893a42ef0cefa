#include "params.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SHOWN = 100 };

bool param_whole(torc_slice text, int64_t *out)
{
    char digits[24], *end;
    if (text.len == 0 || text.len >= sizeof digits) return false;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    *out = strtoll(digits, &end, 10);
    /* strtoll also accepts white space and a plus sign before the digits. */
    bool strict = digits[0] == '-' || (digits[0] >= '0' && digits[0] <= '9');
    return strict && end == digits + text.len;
}

/* A name may be what the client has sent: what is told of it is of one line, and no terminal obeys
 * it. */
static const char *printable(torc_slice name, char out[NAME_SHOWN + 1])
{
    size_t n = name.len < NAME_SHOWN ? name.len : NAME_SHOWN;
    for (size_t i = 0; i < n; i++)
        out[i] = name.ptr[i] >= ' ' && name.ptr[i] <= '~' ? name.ptr[i] : '?';
    out[n] = '\0';
    return out;
}

bool param_number(torc_req *rq, torc_slice name, torc_slice text, int64_t min, int64_t max,
                  int64_t *out)
{
    if (param_whole(text, out) && *out >= min && *out <= max) return true;
    char shown[NAME_SHOWN + 1];
    torc_replyf(rq, 400, "%s must be a whole number from %" PRId64 " to %" PRId64 "\n",
                printable(name, shown), min, max);
    return false;
}

bool param_mode(torc_req *rq, bool *concurrent)
{
    torc_slice m = torc_query_param(rq, "mode");
    if (m.len == 3 && (memcmp(m.ptr, "seq", 3) == 0 || memcmp(m.ptr, "all", 3) == 0)) {
        *concurrent = m.ptr[0] == 'a';
        return true;
    }
    torc_replyf(rq, 400, "mode must be seq or all\n");
    return false;
}
