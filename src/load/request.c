#include "load/request.h"

#include "base/decimal.h"
#include "load/escape.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CHUNK = 16 * 1024, /* bytes of each chunk of a chunked body */
    COPIES = 64,       /* of a request, where these fit into COPIES_MAX bytes */
    COPIES_MAX = 64 * 1024,
};

/* ---- placeholders ---- */

/* Parses "{rand:1:6}" at the beginning of `text`. Its length, or 0 where it is malformed. */
static size_t placeholder(slice text, struct part *p)
{
    const char *end = memchr(text.ptr, '}', text.len);
    if (!end) return 0;
    slice rest = slice_of(text.ptr + 1, (size_t)(end - text.ptr) - 1), name, first;
    slice_cut(&rest, ':', &name);
    bool rand = slice_eq(name, SLICE("rand")), seq = slice_eq(name, SLICE("seq"));
    if ((!rand && !seq) || !slice_cut(&rest, ':', &first) || !slice_u64(first, &p->min)) return 0;
    p->max = p->min;
    if (rand && (!rest.ptr || !slice_u64(rest, &p->max) || p->max < p->min)) return 0;
    if (seq && rest.ptr) return 0;
    p->kind = rand ? PART_RAND : PART_SEQ;
    return (size_t)(end - text.ptr) + 1;
}

static bool is_placeholder(slice text)
{
    return slice_starts(text, SLICE("{rand:")) || slice_starts(text, SLICE("{seq:"));
}

/* The bytes of a malformed placeholder that a message shows: none beyond its line. */
static int shown(slice text)
{
    size_t n = 0;
    while (n < text.len && n < 24 && text.ptr[n] != '\r' && text.ptr[n] != '\n')
        if (text.ptr[n++] == '}') break;
    return (int)n;
}

static void *add(void *list, uint32_t n, size_t size)
{
    void *more = realloc(list, (n + 1) * size);
    if (!more) abort(); /* while options are read: nothing is lost */
    return more;
}

static void add_part(struct parts *out, struct part p)
{
    if (p.kind == PART_TEXT && p.text.len == 0) return;
    out->part = add(out->part, out->n, sizeof p);
    out->part[out->n++] = p;
}

bool parts_cut(slice text, struct parts *out, uint32_t *sequences, char *why, size_t size)
{
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        struct part p = {0};
        slice rest = slice_skip(text, i);
        if (text.ptr[i] != '{' || !is_placeholder(rest)) continue;
        size_t n = placeholder(rest, &p);
        if (n == 0) {
            snprintf(why, size, "\"%.*s\" is not {rand:MIN:MAX} or {seq:START}", shown(rest),
                     rest.ptr);
            return false;
        }
        if (p.kind == PART_SEQ) p.number = (*sequences)++;
        add_part(out, (struct part){.text = slice_of(text.ptr + from, i - from)});
        add_part(out, p);
        i += n - 1;
        from = i + 1;
    }
    add_part(out, (struct part){.text = slice_skip(text, from)});
    return true;
}

static bool is_constant(const struct parts *p)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (p->part[i].kind == PART_RAND || p->part[i].kind == PART_SEQ) return false;
    return true;
}

/* ---- building ---- */

/* Text that grows. */
struct text {
    char *ptr;
    size_t len, cap;
};

static void append(struct text *t, const void *bytes, size_t n)
{
    if (t->len + n >= t->cap) {
        t->cap = 2 * t->cap + n + 1;
        t->ptr = realloc(t->ptr, t->cap);
        if (!t->ptr) abort();
    }
    if (n) memcpy(t->ptr + t->len, bytes, n);
    t->len += n;
    t->ptr[t->len] = '\0';
}

static void append_str(struct text *t, const char *s)
{
    append(t, s, strlen(s));
}

/* Without a zone, which means something to this machine alone (RFC 6874, 4). */
static void append_host(struct text *t, slice host)
{
    const char *zone = host.ptr[0] == '[' ? memchr(host.ptr, '%', host.len) : NULL;
    const char *end = zone ? memrchr(host.ptr, ']', host.len) : NULL;
    append(t, host.ptr, end ? (size_t)(zone - host.ptr) : host.len);
    if (end) append(t, end, host.len - (size_t)(end - host.ptr));
}

static slice chunked(slice body)
{
    struct text t = {0};
    while (body.len) {
        char line[24];
        size_t n = body.len < CHUNK ? body.len : CHUNK;
        snprintf(line, sizeof line, "%zx\r\n", n);
        append_str(&t, line);
        append(&t, body.ptr, n);
        append_str(&t, "\r\n");
        body = slice_skip(body, n);
    }
    append_str(&t, "0\r\n\r\n");
    return slice_of(t.ptr, t.len);
}

static bool has_host(const struct request_form *form)
{
    for (uint32_t i = 0; i < form->n_headers; i++) {
        slice rest = slice_str(form->headers[i]), have;
        if (slice_cut(&rest, ':', &have) && slice_ieq(have, SLICE("host"))) return true;
    }
    return false;
}

static void finish(struct request *r)
{
    if (!is_constant(&r->head) || !is_constant(&r->body)) return;
    size_t room = request_room(r) + 1;
    r->copies = room < COPIES_MAX / COPIES ? COPIES : 1;
    char *bytes = malloc(room * r->copies);
    if (!bytes) abort();
    char *end = request_fill(r, NULL, bytes);
    r->bytes = slice_of(bytes, (size_t)(end - bytes));
    for (uint32_t i = 1; i < r->copies; i++) memcpy(bytes + i * r->bytes.len, bytes, r->bytes.len);
}

bool request_make(struct request *r, const struct request_form *form, uint32_t *sequences,
                  char *why, size_t size)
{
    const char *method = form->method ? form->method : form->has_body ? "POST" : "GET";
    struct text t = {0};
    *r = (struct request){.to_head = strcmp(method, "HEAD") == 0};
    append_str(&t, method);
    append_str(&t, " ");
    append(&t, form->target.ptr, form->target.len);
    append_str(&t, " HTTP/1.1\r\n");
    if (!has_host(form)) {
        append_str(&t, "Host: ");
        append_host(&t, form->host);
        append_str(&t, "\r\n");
    }
    for (uint32_t i = 0; i < form->n_headers; i++) {
        append_str(&t, form->headers[i]);
        append_str(&t, "\r\n");
    }
    if (form->chunked) append_str(&t, "Transfer-Encoding: chunked\r\n");
    bool length = form->has_body && !form->chunked;
    if (length) append_str(&t, "Content-Length: ");
    if (!parts_cut(slice_of(t.ptr, t.len), &r->head, sequences, why, size)) {
        free(t.ptr);
        return false;
    }
    if (length) add_part(&r->head, (struct part){.kind = PART_LENGTH});
    add_part(&r->head, (struct part){.text = length ? SLICE("\r\n\r\n") : SLICE("\r\n")});
    if (form->has_body) {
        slice body = form->chunked ? chunked(form->body) : form->body;
        if (!parts_cut(body, &r->body, sequences, why, size)) return false;
    }
    if (form->chunked && !is_constant(&r->body)) {
        snprintf(why, size, "a chunked body cannot have placeholders: its chunks have fixed sizes");
        return false;
    }
    finish(r);
    return true;
}

bool request_raw(struct request *r, slice bytes, uint32_t *sequences, char *why, size_t size)
{
    *r = (struct request){.to_head = slice_starts(bytes, SLICE("HEAD "))};
    if (!parts_cut(bytes, &r->head, sequences, why, size)) return false;
    finish(r);
    return true;
}

/* ---- messages ---- */

/* A part as the user gave it. */
static slice part_text(const struct part *p, char *room, size_t size)
{
    int n = 0;
    if (p->kind == PART_TEXT) return p->text;
    if (p->kind == PART_RAND)
        n = snprintf(room, size, "{rand:%" PRIu64 ":%" PRIu64 "}", p->min, p->max);
    if (p->kind == PART_SEQ) n = snprintf(room, size, "{seq:%" PRIu64 "}", p->min);
    return slice_of(room, (size_t)n);
}

static slice without_version(slice line)
{
    const char *space = memrchr(line.ptr, ' ', line.len);
    size_t n = space ? (size_t)(space - line.ptr) : line.len;
    return space && slice_starts(slice_skip(line, n + 1), SLICE("HTTP/")) ? slice_of(line.ptr, n)
                                                                          : line;
}

void request_line(const struct request *r, char to[REQUEST_LINE])
{
    char line[2 * REQUEST_LINE], room[64];
    size_t len = 0;
    bool over = false;
    for (uint32_t i = 0; i < r->head.n && !over; i++) {
        slice text = part_text(&r->head.part[i], room, sizeof room);
        for (size_t k = 0; k < text.len && !over; k++) {
            over = text.ptr[k] == '\r' || text.ptr[k] == '\n' || len == sizeof line;
            if (!over) line[len++] = text.ptr[k];
        }
    }
    escape(without_version(slice_of(line, len)), to, REQUEST_LINE);
}

/* ---- filling ---- */

static size_t room_of(const struct parts *p)
{
    size_t n = 0;
    for (uint32_t i = 0; i < p->n; i++)
        n += p->part[i].kind == PART_TEXT ? p->part[i].text.len : DECIMAL_MAX;
    return n;
}

size_t request_room(const struct request *r)
{
    return room_of(&r->head) + room_of(&r->body);
}

/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016). */
static uint64_t next_random(struct filler *f)
{
    f->random ^= f->random >> 12;
    f->random ^= f->random << 25;
    f->random ^= f->random >> 27;
    return f->random * 0x2545F4914F6CDD1D;
}

static uint64_t number_of(const struct part *p, struct filler *f, size_t body)
{
    if (p->kind == PART_LENGTH) return body;
    ASSERT(f); /* only a constant request is filled without */
    if (p->kind == PART_SEQ) return p->min + f->sequence[p->number]++ * f->cores + f->core;
    uint64_t span = p->max - p->min + 1; /* 0: all numbers of 64 bits */
    return span ? p->min + (uint64_t)((unsigned __int128)next_random(f) * span >> 64)
                : next_random(f);
}

static char *fill(const struct parts *p, struct filler *f, size_t body, char *to)
{
    for (uint32_t i = 0; i < p->n; i++) {
        const struct part *part = &p->part[i];
        to = part->kind == PART_TEXT ? slice_copy(to, part->text.ptr, part->text.len)
                                     : decimal_put(to, number_of(part, f, body));
    }
    return to;
}

char *request_fill(const struct request *r, struct filler *f, char *to)
{
    /* Content-Length precedes the body that it counts, so the body is written first, after the room
     * of the longest head. */
    char *body = to + room_of(&r->head), *body_end = fill(&r->body, f, 0, body);
    size_t n = (size_t)(body_end - body);
    to = fill(&r->head, f, n, to);
    memmove(to, body, n);
    return to + n;
}
