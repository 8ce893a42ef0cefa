#include "http/proxy_header.h"

#include <arpa/inet.h>

/* ---- version 1 ---- */

enum { LINE_MAX_V1 = 107 }; /* with its CRLF */

/* A number without sign and leading zeros; 0 if it is none. */
static bool read_port(slice text, in_port_t *out)
{
    uint64_t port;
    bool valid = slice_u64(text, &port) && port <= 65535;
    *out = htons(valid ? (uint16_t)port : 0);
    return valid && (text.len == 1 || text.ptr[0] != '0');
}

static bool read_host(slice text, int family, void *out)
{
    char host[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof host || memchr(text.ptr, '\0', text.len)) return false;
    memcpy(host, text.ptr, text.len);
    host[text.len] = '\0';
    return inet_pton(family, host, out) == 1;
}

/* "SOURCE DESTINATION PORT PORT"; both ends are checked, the first is used. */
static bool read_ends(slice rest, int family, struct sock_addr *out)
{
    slice part[4], more;
    unsigned char unused[sizeof(struct in6_addr)];
    in_port_t port, to;
    for (size_t i = 0; i < ARRAY_LEN(part); i++)
        if (!slice_cut(&rest, ' ', &part[i])) return false;
    if (slice_cut(&rest, ' ', &more)) return false;
    bool v6 = family == AF_INET6;
    void *host = v6 ? (void *)&out->in6.sin6_addr : &out->in.sin_addr;
    if (!read_host(part[0], family, host) || !read_host(part[1], family, unused)) return false;
    if (!read_port(part[2], &port) || !read_port(part[3], &to)) return false;
    out->sa.sa_family = (sa_family_t)family;
    *(v6 ? &out->in6.sin6_port : &out->in.sin_port) = port;
    out->len = v6 ? sizeof out->in6 : sizeof out->in;
    return true;
}

static int read_line(slice in, struct proxy_header *out)
{
    static const slice tcp4 = SLICE("PROXY TCP4 "), tcp6 = SLICE("PROXY TCP6 "),
                       unknown = SLICE("PROXY UNKNOWN");
    size_t most = in.len < LINE_MAX_V1 ? in.len : LINE_MAX_V1;
    const char *end = memchr(in.ptr, '\n', most);
    if (!end) return most == LINE_MAX_V1 ? -1 : 0;
    slice line = slice_of(in.ptr, (size_t)(end - in.ptr));
    if (line.len == 0 || line.ptr[line.len - 1] != '\r') return -1;
    int used = (int)line.len + 1;
    line.len--;
    if (memchr(line.ptr, '\r', line.len)) return -1;
    bool v6 = slice_starts(line, tcp6);
    out->told = v6 || slice_starts(line, tcp4);
    if (out->told)
        return read_ends(slice_skip(line, tcp4.len), v6 ? AF_INET6 : AF_INET, &out->client) ? used
                                                                                            : -1;
    bool is_unknown =
        slice_starts(line, unknown) && (line.len == unknown.len || line.ptr[unknown.len] == ' ');
    return is_unknown ? used : -1;
}

/* ---- version 2 ---- */

/* Of its fixed part: the signature, version and command, family and transport, the length of the
 * rest. */
enum { SIGNATURE = 12, AT_COMMAND = 12, AT_FAMILY = 13, AT_LENGTH = 14, FIXED = 16 };
enum { COMMAND_LOCAL = 0, COMMAND_PROXY = 1 };
enum { FAMILY_UNSPEC, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX, FAMILIES };
enum { TRANSPORT_DGRAM = 2 };
enum { ADDITION_HEAD = 3, ADDITION_TLS = 0x20, TLS_FIXED = 5, TLS_CLIENT = 1 };

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";

static unsigned byte(slice s, size_t at)
{
    return (unsigned char)s.ptr[at];
}

/* What follows the addresses: type, length and value each. Whether they fit. */
static bool read_additions(slice rest, struct proxy_header *out)
{
    while (rest.len) {
        if (rest.len < ADDITION_HEAD) return false;
        size_t size = byte(rest, 1) << 8 | byte(rest, 2);
        if (size > rest.len - ADDITION_HEAD) return false;
        if (byte(rest, 0) == ADDITION_TLS && size >= TLS_FIXED)
            out->secure = byte(rest, ADDITION_HEAD) & TLS_CLIENT;
        rest = slice_skip(rest, ADDITION_HEAD + size);
    }
    return true;
}

/* Source and destination, then their ports. */
static void read_client(slice rest, unsigned family, struct sock_addr *out)
{
    if (family == FAMILY_INET) {
        out->in.sin_family = AF_INET;
        memcpy(&out->in.sin_addr, rest.ptr, 4);
        memcpy(&out->in.sin_port, rest.ptr + 8, 2);
        out->len = sizeof out->in;
    } else if (family == FAMILY_INET6) {
        out->in6.sin6_family = AF_INET6;
        memcpy(&out->in6.sin6_addr, rest.ptr, 16);
        memcpy(&out->in6.sin6_port, rest.ptr + 32, 2);
        out->len = sizeof out->in6;
    } else {
        out->sa.sa_family = AF_UNIX;
    }
}

static int read_binary(slice in, struct proxy_header *out)
{
    static const size_t sizes[FAMILIES] = {0, 12, 36, 216};
    if (in.len < FIXED) return 0;
    unsigned version = byte(in, AT_COMMAND) >> 4, command = byte(in, AT_COMMAND) & 15;
    unsigned family = byte(in, AT_FAMILY) >> 4, transport = byte(in, AT_FAMILY) & 15;
    size_t size = byte(in, AT_LENGTH) << 8 | byte(in, AT_LENGTH + 1);
    if (version != 2 || command > COMMAND_PROXY || family >= FAMILIES) return -1;
    if (transport > TRANSPORT_DGRAM || size > PROXY_HEADER_MAX - FIXED) return -1;
    if (in.len < FIXED + size) return 0;
    slice rest = slice_of(in.ptr + FIXED, size);
    /* Of others than clients only the length counts. */
    if (command == COMMAND_LOCAL || family == FAMILY_UNSPEC) return (int)(FIXED + size);
    if (size < sizes[family]) return -1;
    read_client(rest, family, &out->client);
    out->told = true;
    return read_additions(slice_skip(rest, sizes[family]), out) ? (int)(FIXED + size) : -1;
}

/* ---- both ---- */

static bool may_begin_with(slice in, const char *text, size_t len)
{
    return memcmp(in.ptr, text, in.len < len ? in.len : len) == 0;
}

int proxy_header_read(slice in, struct proxy_header *out)
{
    static const char word[] = "PROXY ";
    *out = (struct proxy_header){0};
    if (in.len == 0) return 0;
    if (may_begin_with(in, signature, SIGNATURE)) return read_binary(in, out);
    return may_begin_with(in, word, sizeof word - 1) ? read_line(in, out) : -1;
}
