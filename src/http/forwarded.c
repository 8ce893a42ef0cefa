#include "http/forwarded.h"

/* A longer chain of proxies is nobody's: of more, the last are read. */
enum { HOPS_MAX = 32 };

struct hop {
    slice from, proto;
};

struct hops {
    struct hop hop[HOPS_MAX]; /* a ring */
    uint32_t n;               /* all that there were */
};

static void add(struct hops *h, slice from, slice proto)
{
    h->hop[h->n++ % HOPS_MAX] = (struct hop){from, proto};
}

static uint32_t count(const struct hops *h)
{
    return h->n < HOPS_MAX ? h->n : HOPS_MAX;
}

/* Counted from the end. */
static const struct hop *from_end(const struct hops *h, uint32_t i)
{
    return &h->hop[(h->n - 1 - i) % HOPS_MAX];
}

/* Takes the part before the first `sep` that is not quoted, of what is not empty. */
static slice take(slice *rest, char sep, bool quotes)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < rest->len && (quoted || rest->ptr[i] != sep); i++)
        quoted ^= quotes && rest->ptr[i] == '"';
    slice part = slice_of(rest->ptr, i);
    *rest = slice_skip(*rest, i < rest->len ? i + 1 : i);
    return slice_trim(part);
}

/* ---- X-Forwarded-For and X-Forwarded-Proto ---- */

/* The members of all fields of that name are one list (RFC 9110, 5.3). */
static void read_list(const struct head *h, slice name, struct hops *out)
{
    for (size_t i = 0; i < h->n_fields; i++) {
        if (!slice_ieq(head_field_name(h, i), name)) continue;
        slice rest = head_field_value(h, i);
        while (rest.len) {
            slice member = take(&rest, ',', false);
            if (member.len) add(out, member, member);
        }
    }
}

/* ---- Forwarded ---- */

static slice unquote(slice s)
{
    bool quoted = s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"';
    return quoted ? slice_of(s.ptr + 1, s.len - 2) : s;
}

static void read_element(slice element, bool quotes, struct hops *out)
{
    struct hop hop = {0};
    while (element.len) {
        slice value = take(&element, ';', quotes), name = take(&value, '=', false);
        slice *to = slice_ieq(name, SLICE("for"))     ? &hop.from
                    : slice_ieq(name, SLICE("proto")) ? &hop.proto
                                                      : NULL;
        if (to) *to = to->ptr ? SLICE("") : unquote(slice_trim(value)); /* twice is not valid */
    }
    add(out, hop.from, hop.proto);
}

static bool is_balanced(slice s)
{
    bool balanced = true;
    for (size_t i = 0; i < s.len; i++) balanced ^= s.ptr[i] == '"';
    return balanced;
}

/* A proxy appends to what a client sent. A quoted string that the client has left open must not
 * hide what follows: where quotes are odd, none counts. */
static void read_forwarded(const struct head *h, struct hops *out)
{
    for (size_t i = 0; i < h->n_fields; i++) {
        if (!slice_ieq(head_field_name(h, i), SLICE("forwarded"))) continue;
        slice rest = head_field_value(h, i);
        bool quotes = is_balanced(rest);
        while (rest.len) {
            slice element = take(&rest, ',', quotes);
            if (element.len) read_element(element, quotes, out);
        }
    }
}

/* ---- both ---- */

/* Returns how many proxies are between that client and this server, but for the last one. */
static uint32_t find_client(const struct hops *h, const struct proxies *p, struct forwarded *out)
{
    uint32_t n = count(h), at = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct sock_addr addr;
        if (!network_addr_parse(from_end(h, i)->from, &addr)) break;
        out->told = true;
        out->client = addr;
        at = i;
        if (!networks_have(&p->trusted, &addr)) break;
    }
    return at;
}

void forwarded_read(const struct head *h, const struct proxies *p, struct forwarded *out)
{
    struct hops from = {.n = 0}, protos = {.n = 0};
    *out = (struct forwarded){0};
    if (p->forwarded)
        read_forwarded(h, &from);
    else
        read_list(h, SLICE("x-forwarded-for"), &from);
    uint32_t at = find_client(&from, p, out);
    if (!p->forwarded) read_list(h, SLICE("x-forwarded-proto"), &protos);
    const struct hops *said = p->forwarded ? &from : &protos;
    uint32_t n = count(said);
    if (n == 0) return;
    /* Proxies may write one scheme each, or keep that of the first. */
    out->secure = slice_ieq(from_end(said, at < n ? at : n - 1)->proto, SLICE("https"));
}
