#pragma once
/* Parses HTTP/1.x messages, requests and responses, with llhttp in its strict mode. message.c is
 * the only file that includes llhttp. */

#include "http/chunk_line.h"

struct message;

/* Chunk framing may take this many bytes, plus this many for each byte of data before it. More is
 * an attack with chunk extensions or trailers (RFC 9112, 7.1.1). */
enum { OVERHEAD_BASE = 16 * 1024, OVERHEAD_PER_BYTE = 16 };

/* Return values of events. */
enum {
    MESSAGE_CONTINUE = 0,
    MESSAGE_NO_BODY = 1, /* head_complete only: there is no body, whatever the fields say */
    MESSAGE_PAUSE = 21,  /* stop after this event */
    MESSAGE_FAIL = 24,
};

/* Pieces point into the input; one element may arrive in several pieces. */
struct message_events {
    int (*target)(struct message *m, slice piece);
    int (*version)(struct message *m, slice piece); /* only after message_watch_version */
    int (*field_name)(struct message *m, slice piece);
    int (*field_value)(struct message *m, slice piece);
    int (*head_complete)(struct message *m);
    int (*body)(struct message *m, slice piece);
    int (*complete)(struct message *m);
};

struct message {
    _Alignas(8) unsigned char llhttp[128]; /* an llhttp_t */
    const struct message_events *events;
    struct chunk_line line; /* of the current chunk */
    uint8_t mode;           /* enum read_mode of message.c */
    uint8_t fold;           /* enum fold_state of message.c */
    bool switched;          /* the mode has just been changed */
    bool last_chunk;
};

enum message_result {
    MESSAGE_OK,     /* all of the input was used */
    MESSAGE_PAUSED, /* an event returned MESSAGE_PAUSE; the next call continues */
    MESSAGE_FAILED, /* an event returned MESSAGE_FAIL */
    MESSAGE_BAD_METHOD,
    MESSAGE_BAD_VERSION,
    MESSAGE_HTTP2, /* the preface of HTTP/2 */
    MESSAGE_MALFORMED,
};

/* Starts a message. For responses, only head_complete, body and complete are called, unless
 * message_watch_fields follows. */
void message_begin_request(struct message *m, const struct message_events *events);
void message_begin_response(struct message *m, const struct message_events *events);

/* Parses `in`; *used is how many bytes were used, up to a pause or error. */
enum message_result message_read(struct message *m, slice in, size_t *used);

/* The stream has ended: MESSAGE_OK or MESSAGE_PAUSED if the message may end there. */
enum message_result message_end(struct message *m);

/* Enables the version event for a request. */
void message_watch_version(struct message *m);

/* Enables the events of fields for a response. */
void message_watch_fields(struct message *m);

/* Takes folded lines of the head (obs-fold), with a space in place of what folds them: for a
 * response, right after its begin. Without this they are malformed, as in a request. */
void message_accept_folds(struct message *m);

/* llhttp's description of the error, static; NULL if there is none. */
const char *message_problem(const struct message *m);

/* The position of the error in the input of the last message_read. */
const char *message_error_at(const struct message *m);

/* Properties of the head parsed so far; complete in head_complete. */
slice message_method(const struct message *m); /* static memory */
int message_major(const struct message *m);
int message_minor(const struct message *m);
int message_status(const struct message *m);
bool message_is_chunked(const struct message *m);
uint64_t message_content_length(const struct message *m);
bool message_has_transfer_encoding(const struct message *m);

/* llhttp's own view of keep-alive; used for responses. */
bool message_keeps_alive(const struct message *m);
bool message_needs_end(const struct message *m); /* the body ends with the stream */
