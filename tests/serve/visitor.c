#include "visitor.h"

static uint64_t seed;

void random_seed(uint64_t value)
{
    seed = value;
}

unsigned random_below(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % n;
}

static struct tcp_how small_window = {.receive_buffer = 8192};

void visitor_go(struct visitor *v, const struct server *s, enum place place, bool stays)
{
    static const char pipeline[] = "GET /pipeline HTTP/1.1\r\nHost: a\r\n\r\n";
    struct client *c = &v->c;
    client_open_to(c, &s->addr, place == SENDING || place == ECHOING ? &small_window : NULL);
    v->place = place;
    v->stays = stays;
    v->open = true;
    if (random_below(4) == 0 && place != BEFORE_ANY_BYTE) client_sendf(c, "%s", pipeline);
    const char *delay = stays ? "/delay/60000" : "/delay/20";
    switch (place) {
    case BEFORE_ANY_BYTE: break;
    case IN_HEAD: client_send(c, pipeline, 1 + random_below(sizeof pipeline - 2)); break;
    case BEFORE_BODY: client_ask(c, "POST", "/upload", "Content-Length: 100000\r\n"); break;
    case IN_BODY:
        client_ask(c, "POST", "/baseline11?a=1&b=2", "Content-Length: 1000\r\n");
        client_sendf(c, "%0*d", 1 + (int)random_below(900), 0);
        break;
    case IN_CHUNK:
        client_ask(c, "POST", "/upload", "Transfer-Encoding: chunked\r\n");
        client_sendf(c, "5\r\nabcde\r\n%x\r\n%0*d", 5000, 1 + (int)random_below(4000), 0);
        break;
    case IN_CONTINUE:
        client_ask(c, "POST", "/upload", "Content-Length: 10\r\nExpect: 100-continue\r\n");
        break;
    case IN_UNREAD_BODY:
        client_ask(c, "POST", "/nothing", "Content-Length: 5000\r\n");
        client_sendf(c, "%0*d", 1 + (int)random_below(4000), 0);
        break;
    case READING_FILES: client_ask(c, "GET", "/file?n=5&mode=all", ""); break;
    case WAITING: client_ask(c, "GET", delay, ""); break;
    case WAITING_PIPED:
        client_ask(c, "GET", delay, "");
        for (unsigned n = random_below(50); n > 0; n--) client_sendf(c, "%s", pipeline);
        break;
    case SENDING: client_ask(c, "GET", "/static/file", ""); break;
    case ECHOING:
        client_ask(c, "POST", "/echo", "Content-Length: 200000\r\n");
        for (int n = 0; n < 5; n++) client_sendf(c, "%020000d", 0);
        break;
    case AFTER_ANSWER: client_ask(c, "GET", "/plaintext", ""); break;
    case LINGERING:
        client_sendf(c, "BAD REQUEST\r\n\r\n%0*d", 1 + (int)random_below(3000), 0);
        break;
    case PLACES: break;
    }
}

/* Reads to the end of the stream; true if the last reply is a complete 200. */
static bool read_to_end(struct client *c)
{
    struct reply r = {0};
    bool ok = false;
    while (client_try_reply(c, "GET", &r)) ok = r.status == 200;
    reply_free(&r);
    return ok;
}

void visitor_leave(struct visitor *v, bool drains)
{
    if (!v->open) return;
    v->open = false;
    bool expects_reply =
        !drains && (v->place == WAITING || v->place == WAITING_PIPED || v->place == SENDING ||
                    v->place == AFTER_ANSWER || v->place == READING_FILES);
    switch (v->stays ? 0 : random_below(3)) {
    case 0: client_reset(&v->c); break;
    case 1: client_close(&v->c); break;
    default:
        client_shut(&v->c);
        bool ok = read_to_end(&v->c);
        if (expects_reply && !ok)
            print_error("place %d: no response after a half-close\n", v->place);
        if (expects_reply) assert_true(ok);
        client_close(&v->c);
    }
}

void visitor_read_some(struct visitor *v)
{
    char bytes[5000];
    if (!v->open || !v->stays || random_below(2)) return;
    recv(v->c.fd, bytes, 1 + random_below(sizeof bytes), MSG_DONTWAIT);
}
