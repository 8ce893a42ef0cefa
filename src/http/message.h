#pragma once
/* Reading an HTTP/1.x message, a request or a response, with llhttp and none of its leniency.
 * message.c is the only file that includes llhttp; what the parsers of requests and responses share
 * is here. */

#include "base/slice.h"

struct message;

/* What an event answers. */
enum {
    MESSAGE_CONTINUE = 0,
    MESSAGE_NO_BODY = 1, /* head_complete alone: whatever the fields say, there is none */
    MESSAGE_PAUSE = 21,  /* stop after what this event is about */
    MESSAGE_FAIL = 24,
};

/* Pieces come as they lie in the input; one span may come in several. */
struct message_events {
    int (*target)(struct message *m, slice piece);
    int (*version)(struct message *m, slice piece); /* only once it is watched */
    int (*field_name)(struct message *m, slice piece);
    int (*field_value)(struct message *m, slice piece);
    int (*head_complete)(struct message *m);
    int (*body)(struct message *m, slice piece);
    int (*complete)(struct message *m);
};

struct message {
    _Alignas(8) unsigned char llhttp[128]; /* an llhttp_t */
    const struct message_events *events;
};

enum message_result {
    MESSAGE_OK,     /* all of the input was used */
    MESSAGE_PAUSED, /* an event asked for it; the next call goes on */
    MESSAGE_FAILED, /* an event did */
    MESSAGE_BAD_METHOD,
    MESSAGE_BAD_VERSION,
    MESSAGE_HTTP2, /* the preface of HTTP/2 */
    MESSAGE_MALFORMED,
};

/* A response's fields are not told: nobody here asks for them yet. */
void message_begin_request(struct message *m, const struct message_events *events);
void message_begin_response(struct message *m, const struct message_events *events);

/* Reads `in`; *used is how many bytes of it were, up to the pause or the error. */
enum message_result message_read(struct message *m, slice in, size_t *used);

/* The stream has ended: MESSAGE_OK or MESSAGE_PAUSED where the message may end so. */
enum message_result message_end(struct message *m);

/* From here on the version is told. */
void message_watch_version(struct message *m);

/* What llhttp found wrong, in words; static. NULL where it has none. */
const char *message_problem(const struct message *m);

/* Where it found that, in the input of the last message_read. */
const char *message_error_at(const struct message *m);

/* What is known of the head so far; all of it in head_complete. */
slice message_method(const struct message *m); /* static memory */
int message_major(const struct message *m);
int message_minor(const struct message *m);
int message_status(const struct message *m);
bool message_is_chunked(const struct message *m);
uint64_t message_content_length(const struct message *m);
bool message_has_transfer_encoding(const struct message *m);
bool message_has_connection(const struct message *m); /* with close or keep-alive in it */

/* llhttp's own judgement, of a response. */
bool message_keeps_alive(const struct message *m);
bool message_needs_end(const struct message *m); /* only the end of the stream ends its body */
