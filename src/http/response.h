#pragma once
/* Response functions for the server itself, in addition to those of torc.h. */

#include "http/request.h"

/* Bytes of a head beside those of torc's own: it is written as a whole, into one chunk. */
enum {
    RESPONSE_FIELDS_MAX = 32 * 1024, /* of field lines */
    RESPONSE_TYPE_MAX = 16 * 1024,   /* of the type that is given with the response */
};

/* Adds a field line without checking it; replaces one of the same name where the field holds a
 * single value. 0 or -ENOMEM. */
int response_field(struct torc_req *rq, slice name, slice value);

/* Whether a handler may set this field, for torc_set_header: 0 or -EINVAL. */
int response_check_field(slice name, slice value);

/* NULL if a Content-Type was set, otherwise `type`. */
const char *response_type_or(const struct torc_req *rq, const char *type);

/* Room for a field line of at most `size` bytes. The caller writes it, from its name to its line
 * end, and adds its length to fields_len. Not for a field that holds a single value. NULL: no
 * memory. */
char *response_line_room(struct torc_req *rq, size_t size);

/* The first field line of that name that was added, with its line end; absent if there is none. */
slice response_find_field(const struct response *r, slice name);

/* Responds like torc_reply_error, and adds Allow or Retry-After where the status requires it. 0 or
 * negative errno. */
int response_error(struct torc_req *rq, int status);

/* Forgets a response of which nothing has left, because of `err`: there may be another one. Returns
 * `err`. */
int response_undo(struct torc_req *rq, int err);

/* Whether a part of its body is missing. */
bool response_lacks(const struct torc_req *rq);

/* Ends a response that cannot go on: its body will never be complete, which the client sees. */
void response_cut(struct torc_req *rq);

/* torc_start by one who reads nothing more of the request's body: so that the head can tell if the
 * connection is closed because too much of it is left. */
int response_start(struct torc_req *rq, int status, const char *type, int64_t length);

/* Around a piece that the program writes, of `size` bytes. Who may not write at all must not touch
 * the mark, as another thread. Of one that ended with `err` after a part of it was taken nobody
 * knows how much the client gets, so the response is cut off. The second returns `err`. */
int response_write_begin(struct torc_req *rq, uint64_t *before);
int response_write_end(struct torc_req *rq, uint64_t before, uint64_t size, int err);

/* Sends a piece of the body after torc_start, by reference only with a known length. See struct
 * exchange_ops. 0 or negative errno; see there for what else by reference. */
int response_write(struct torc_req *rq, const void *data, size_t size);
int response_write_file(struct torc_req *rq, int fd, uint64_t offset, uint64_t size);
int response_write_ref(struct torc_req *rq, slice bytes, const struct file_place *place);
