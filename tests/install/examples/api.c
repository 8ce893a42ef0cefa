/* A JSON API: notes, in memory, behind a token, for the scripts of any page, with a log.
 *
 *   cc api.c $(pkg-config --cflags --libs torc jansson) -o api && ./api --token secret
 *   curl -H 'Authorization: Bearer secret' -d '{"text":"a note"}' localhost:8080/api/notes
 *   curl -H 'Authorization: Bearer secret' localhost:8080/api/notes
 *
 * Every error is JSON, those that torc answers by itself too. */

#include <jansson.h>
#include <torc.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const char *token; /* --token */

static struct {
    pthread_mutex_t lock; /* is never held across a call that WAITS */
    json_t *notes;        /* by their ids */
    json_int_t last_id;
} store = {PTHREAD_MUTEX_INITIALIZER, NULL, 0};

/* ---- around the handlers ---- */

static void fail(torc_req *rq, int status, torc_slice message)
{
    torc_reply_json(rq, status, "{\"error\":%s}\n", torc_json_quote(rq, message));
}

/* In place of torc's line of text. */
static void json_error(torc_req *rq, int status, void *arg)
{
    (void)arg;
    fail(rq, status, torc_reason(status));
}

static void allow_origins(torc_req *rq, void *arg)
{
    (void)arg;
    torc_set_header(rq, TORC_S("Access-Control-Allow-Origin"), TORC_S("*"));
    if (!torc_slice_eq(torc_method(rq), TORC_S("OPTIONS"))) {
        torc_next(rq);
        return;
    }
    torc_set_header(rq, TORC_S("Access-Control-Allow-Methods"), TORC_S("GET, POST, PUT, DELETE"));
    torc_set_header(rq, TORC_S("Access-Control-Allow-Headers"),
                    TORC_S("Authorization, Content-Type"));
    torc_reply(rq, 204, NULL, TORC_S(""));
}

static void authenticate(torc_req *rq, void *arg)
{
    torc_slice given = torc_header(rq, "Authorization");
    (void)arg;
    if (given.len > 7 && strncasecmp(given.ptr, "Bearer ", 7) == 0) {
        given.ptr += 7;
        given.len -= 7;
        if (torc_slice_secret_eq(given, torc_slice_str(token))) {
            torc_next(rq);
            return;
        }
    }
    torc_set_header(rq, TORC_S("WWW-Authenticate"), TORC_S("Bearer"));
    torc_reply_error(rq, 401);
}

static void log_end(torc_req *rq, const torc_summary *end, void *arg)
{
    static const char *const how[] = {"done", "client left", "timed out", "too slow", "given up"};
    torc_slice method = torc_method(rq), path = torc_path(rq);
    (void)arg;
    fprintf(stderr, "%.*s %.*s %d, %" PRIu64 " bytes, %.3f ms, %s\n", (int)method.len, method.ptr,
            (int)path.len, path.ptr, end->status, end->body_bytes, (double)end->duration_ns / 1e6,
            how[end->outcome]);
}

/* ---- notes ---- */

/* The note that the client sends, or NULL: then there is a response. */
static json_t *receive(torc_req *rq)
{
    torc_slice body;
    const char *text;
    if (torc_body_all(rq, &body) < 0) return NULL; /* torc sends what fits, such as 413 */
    json_t *note = json_loadb(body.ptr, body.len, 0, NULL);
    if (note && json_unpack(note, "{s:s!}", "text", &text) == 0) return note;
    json_decref(note);
    fail(rq, 400, TORC_S("this is not {\"text\":\"...\"}"));
    return NULL;
}

/* Replies with a text of json_dumps. */
static void reply(torc_req *rq, int status, char *text)
{
    if (text)
        torc_reply_own(rq, status, "application/json", torc_slice_str(text), free, text);
    else
        torc_reply_error(rq, 404);
}

/* GET /api/notes */
static void list_notes(torc_req *rq, void *arg)
{
    json_t *list = json_array(), *note;
    const char *id;
    (void)arg;
    pthread_mutex_lock(&store.lock);
    json_object_foreach(store.notes, id, note) json_array_append(list, note);
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    pthread_mutex_unlock(&store.lock);
    reply(rq, 200, text);
}

/* POST /api/notes */
static void post_note(torc_req *rq, void *arg)
{
    json_t *note = receive(rq);
    char id[32], location[64];
    (void)arg;
    if (!note) return;
    pthread_mutex_lock(&store.lock);
    snprintf(id, sizeof id, "%" JSON_INTEGER_FORMAT, ++store.last_id);
    json_object_set_new(note, "id", json_integer(store.last_id));
    char *text = json_dumps(note, JSON_COMPACT);
    json_object_set_new(store.notes, id, note);
    pthread_mutex_unlock(&store.lock);
    snprintf(location, sizeof location, "/api/notes/%s", id);
    torc_set_header(rq, TORC_S("Location"), torc_slice_str(location));
    reply(rq, 201, text);
}

/* GET /api/notes/ID */
static void get_note(torc_req *rq, void *arg)
{
    (void)arg;
    const char *id = torc_cstr(rq, torc_param(rq, "id"));
    pthread_mutex_lock(&store.lock);
    char *text = json_dumps(json_object_get(store.notes, id), JSON_COMPACT);
    pthread_mutex_unlock(&store.lock);
    reply(rq, 200, text);
}

/* PUT /api/notes/ID */
static void put_note(torc_req *rq, void *arg)
{
    json_t *note = receive(rq);
    (void)arg;
    if (!note) return;
    const char *id = torc_cstr(rq, torc_param(rq, "id"));
    pthread_mutex_lock(&store.lock);
    json_object_update_existing(json_object_get(store.notes, id), note);
    char *text = json_dumps(json_object_get(store.notes, id), JSON_COMPACT);
    json_decref(note);
    pthread_mutex_unlock(&store.lock);
    reply(rq, 200, text);
}

/* DELETE /api/notes/ID */
static void delete_note(torc_req *rq, void *arg)
{
    (void)arg;
    const char *id = torc_cstr(rq, torc_param(rq, "id"));
    pthread_mutex_lock(&store.lock);
    int err = json_object_del(store.notes, id);
    pthread_mutex_unlock(&store.lock);
    if (err)
        torc_reply_error(rq, 404);
    else
        torc_reply(rq, 204, NULL, TORC_S(""));
}

int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("api 1.0");
    store.notes = json_object();
    if (!s || torc_server_option(s, "token", "TEXT", "what clients have to know", &token) < 0 ||
        torc_errors(s, "/", json_error, NULL) < 0 || torc_on_end(s, log_end, NULL) < 0 ||
        torc_use(s, "/api", allow_origins, NULL) < 0 ||
        torc_use(s, "/api", authenticate, NULL) < 0 ||
        torc_route(s, "GET", "/api/notes", list_notes, NULL) < 0 ||
        torc_route(s, "POST", "/api/notes", post_note, NULL) < 0 ||
        torc_route(s, "GET", "/api/notes/:id", get_note, NULL) < 0 ||
        torc_route(s, "PUT", "/api/notes/:id", put_note, NULL) < 0 ||
        torc_route(s, "DELETE", "/api/notes/:id", delete_note, NULL) < 0) {
        fprintf(stderr, "api: %s\n", s ? torc_server_error(s) : "out of memory");
        return 1;
    }
    int status = torc_server_main(s, argc, argv);
    if (status == 4) return status; /* a handler may still run, and use what follows frees */
    torc_server_free(s);
    json_decref(store.notes);
    return status;
}
