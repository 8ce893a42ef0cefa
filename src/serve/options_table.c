#include "serve/options_table.h"

#include <ctype.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { CONNECTIONS_MAX = 1000000 };

uint64_t options_descriptors_for_sockets(uint64_t limit)
{
    enum { RESERVED = DESCRIPTORS_FEW / 2 }; /* for listening sockets, files and the access log */
    return limit > DESCRIPTORS_FEW ? limit - RESERVED : limit / 2 + 1;
}

/* ---- callbacks of options that are more than a number or a text ---- */

static int set_engine(struct option_set *s, const struct option *o, const char *text)
{
    const struct io_engine *engine = io_engine_find(text);
    if (!engine && io_engine_known(text))
        return option_fail(s, "%s%s takes %s: %s is not built in", option_dashes(s), o->name,
                           o->what, text);
    if (!engine) return option_not_valid(s, o, text);
    options_get(s)->engine = io_engine_name(engine);
    return 0;
}

static int set_cores(struct option_set *s, const struct option *o, const char *text)
{
    uint16_t list[CPUS_MAX];
    char why[80];
    struct options *to = options_get(s);
    int n = cpus_parse(text, list, why, sizeof why);
    if (n == 0) return option_not_valid(s, o, text);
    if (n < 0) return option_fail(s, "%s%s %.60s: %s", option_dashes(s), o->name, text, why);
    to->n_cpus = (uint32_t)n;
    memcpy(to->cpu, list, (size_t)n * sizeof *list);
    return 0;
}

static int set_admin(struct option_set *s, const struct option *o, const char *text)
{
    struct options *to = options_get(s);
    if (!sock_addr_parse(text, &to->admin)) return options_fail_address(s, o, text);
    to->has_admin = true;
    return 0;
}

static int set_log_format(struct option_set *s, const struct option *o, const char *text)
{
    bool json = strcmp(text, "json") == 0;
    if (!json && strcmp(text, "combined") != 0) return option_not_valid(s, o, text);
    options_get(s)->access_log_format = json ? LOG_JSON : LOG_COMBINED;
    return 0;
}

static int round_buffers(struct option_set *s, const struct option *o, const char *text)
{
    (void)o, (void)text;
    uint32_t *n = &options_get(s)->io.buffers;
    while (*n & (*n - 1)) *n += *n & -*n;
    return 0;
}

/* The kernel takes whole seconds of these. */
static int round_to_seconds(struct option_set *s, const struct option *o, const char *text)
{
    (void)text;
    uint64_t *ns = (uint64_t *)((char *)s->values + o->at);
    *ns = (*ns + NS_PER_S - 1) / NS_PER_S * NS_PER_S;
    return 0;
}

static int set_iowq_unbounded(struct option_set *s, const struct option *o, const char *text)
{
    (void)o, (void)text;
    options_get(s)->io.iowq_unbounded = options_get(s)->io.iowq_bounded;
    return 0;
}

void options_limit_connections(struct options *o)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) limit = (struct rlimit){1024, 1024};
    uint64_t n = o->limits.max_conns;
    if (o->derived_max_conns) n = options_descriptors_for_sockets(limit.rlim_cur);
    if (n > CONNECTIONS_MAX) n = CONNECTIONS_MAX;
    o->limits.max_conns = (uint32_t)n;
    o->io.max_sockets = (uint32_t)(n < limit.rlim_max ? n : limit.rlim_max);
}

/* 0 derives the limit from the descriptor limit. */
static int set_max_connections(struct option_set *s, const struct option *o, const char *text)
{
    (void)o, (void)text;
    struct options *to = options_get(s);
    to->derived_max_conns = to->limits.max_conns == 0;
    options_limit_connections(to);
    return 0;
}

static int set_rate_limit(struct option_set *s, const struct option *o, const char *text)
{
    static const struct {
        slice suffix;
        uint64_t ns;
    } units[] = {
        {SLICE(""), NS_PER_S},
        {SLICE("/s"), NS_PER_S},
        {SLICE("/m"), 60 * NS_PER_S},
        {SLICE("/h"), 3600 * NS_PER_S},
    };
    slice digits = slice_str(text), suffix;
    while (digits.len && !isdigit((unsigned char)digits.ptr[digits.len - 1])) digits.len--;
    suffix = slice_skip(slice_str(text), digits.len);
    uint64_t n;
    if (!slice_u64(digits, &n) || n > 1000000000) return option_not_valid(s, o, text);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (!slice_eq(suffix, units[i].suffix)) continue;
        options_get(s)->rate = n;
        options_get(s)->rate_period = units[i].ns;
        return 0;
    }
    return option_not_valid(s, o, text);
}

/* Once given, it limits torc_body_all as well. */
static int set_request_memory(struct option_set *s, const struct option *o, const char *text)
{
    (void)o, (void)text;
    options_get(s)->limits.body_memory = s->level == LEVEL_DEFAULT;
    return 0;
}

static int set_shed(struct option_set *s, const struct option *o, const char *text)
{
    bool adaptive = strcmp(text, "adaptive") == 0;
    if (!adaptive && strcmp(text, "off") != 0) return option_not_valid(s, o, text);
    options_get(s)->limits.shed = adaptive;
    return 0;
}

/* A product, as "web/1.0" (RFC 9110, 10.2.4), or any other value of a field. */
static int set_server_name(struct option_set *s, const struct option *o, const char *text)
{
    struct options *to = options_get(s);
    slice name = slice_str(text);
    bool hidden = strcmp(text, "none") == 0;
    if (name.len == 0 || name.len > SERVER_NAME_MAX || slice_trim(name).len != name.len)
        return option_not_valid(s, o, text);
    for (size_t i = 0; i < name.len; i++)
        if (text[i] < ' ' || text[i] > '~') return option_not_valid(s, o, text);
    to->named = strcmp(text, "torc") != 0;
    to->server_line_len = 0;
    if (!hidden)
        to->server_line_len =
            (uint32_t)snprintf(to->server_line, sizeof to->server_line, "Server: %s\r\n", text);
    return 0;
}

static int set_header_fields(struct option_set *s, const struct option *o, const char *text)
{
    (void)o, (void)text;
    options_get(s)->limits.head.fields = (uint16_t)options_get(s)->header_fields;
    return 0;
}

/* ---- the table ---- */

static const char *const titles[] = {
    [GROUP_SERVE] = "Serving",
    [GROUP_ENGINE] = "Engine and cores",
    [GROUP_RING] = "Features of the io_uring engine (each can be switched off)",
    [GROUP_LIMITS] = "Limits",
    [GROUP_FILES] = "Files and access log",
    [GROUP_OTHER] = "Other",
    [GROUP_PROGRAM] = NULL,
};

#define AT(field)                                                                                  \
    .at = offsetof(struct options, field), .size = sizeof(((struct options *)0)->field)
#define DAY (24 * 3600 * NS_PER_S)
#define K   (UINT64_C(1) << 10)
#define M   (UINT64_C(1) << 20)
#define G   (UINT64_C(1) << 30)

static const struct option table[] = {
    {"listen", "ADDR:PORT",
     "address to serve on; can be given several times; port 0 picks a free port; *:PORT is IPv6 "
     "and IPv4, and so is [::]:PORT unless an IPv4 address with that port is given, too; unix:PATH "
     "is a Unix socket; fd:N is a socket that the process was started with; systemd are those of "
     "LISTEN_FDS, the default where there are any",
     "127.0.0.1:8080", GROUP_SERVE, OPTION_CUSTOM, .then = options_add_listen,
     .what = "ADDR:PORT, such as 127.0.0.1:8080, [::1]:8080 or *:80; or unix:PATH, fd:N or systemd",
     .repeats = true},
    {"socket-mode", "MODE", "mode of the file of a Unix socket, such as 660", NULL, GROUP_SERVE,
     OPTION_CUSTOM, .then = options_set_socket_mode,
     .what = "an octal mode from 1 to 777, such as 660",
     .shown = "777 without the bits of the umask"},
    {"root", "DIR", "serve static files from this directory", NULL, GROUP_SERVE, OPTION_TEXT,
     AT(root), .what = "a directory", .reload = true},
    {"admin", "ADDR:PORT", "address for health, metrics, statistics, settings and the timeline",
     NULL, GROUP_SERVE, OPTION_CUSTOM, .then = set_admin,
     .what = "ADDR:PORT, such as 127.0.0.1:8081"},
    {"trust-proxy", "ADDR[/PREFIX]",
     "proxies that are trusted to say who their client is; can be given several times; unix: are "
     "those that come through a Unix socket",
     NULL, GROUP_SERVE, OPTION_CUSTOM, .then = options_add_proxy,
     .what = "an address or a network, such as 192.0.2.1, 10.0.0.0/8, fd00::/8 or unix:",
     .repeats = true, .reload = true},
    {"proxy-field", "FIELD",
     "where these say it: x-forwarded-for, with x-forwarded-proto; or forwarded (RFC 7239)",
     "x-forwarded-for", GROUP_SERVE, OPTION_CUSTOM, .then = options_set_proxy_field,
     .what = "x-forwarded-for or forwarded", .reload = true},
    {"proxy-protocol", NULL,
     "each connection begins with a header of the PROXY protocol, version 1 or 2, which names its "
     "client; needs --trust-proxy, and connections of others are closed",
     "no", GROUP_SERVE, OPTION_FLAG, AT(limits.proxies.protocol), .reload = true},
    {"backlog", "N", "length of the accept queue of each core and address", "4096", GROUP_SERVE,
     OPTION_NUMBER, AT(backlog), 1, 65535},
    {"tcp-keepalive", "TIME",
     "silence after which the kernel asks whether a client is still there, in whole seconds; 0 "
     "means never",
     "60s", GROUP_SERVE, OPTION_DURATION, AT(keepalive.idle), 0, 9 * 3600 * NS_PER_S,
     .then = round_to_seconds, .reload = true},
    {"tcp-keepalive-interval", "TIME", "time between such probes, in whole seconds", "10s",
     GROUP_SERVE, OPTION_DURATION, AT(keepalive.interval), NS_PER_S, 3600 * NS_PER_S,
     .then = round_to_seconds, .reload = true},
    {"tcp-keepalive-probes", "N", "probes without an answer after which a client has vanished", "6",
     GROUP_SERVE, OPTION_NUMBER, AT(keepalive.probes), 1, 127, .reload = true},
    {"tcp-user-timeout", "TIME",
     "time without an acknowledgement after which a client has vanished, whatever the probes; 0 "
     "leaves it to them and the system",
     NULL, GROUP_SERVE, OPTION_DURATION, AT(keepalive.user_timeout), 0, DAY,
     .shown = "when the last probe is unanswered, or --write-timeout if that is longer",
     .reload = true},
    {"drain-timeout", "TIME", "maximum time to finish requests in flight on SIGTERM", "10s",
     GROUP_SERVE, OPTION_DURATION, AT(limits.drain_timeout), 0, DAY, .reload = true},
    {"stall-warn", "TIME",
     "name a handler that holds its core, or its thread, for so long without a wait; 0 to watch "
     "nothing",
     "1s", GROUP_SERVE, OPTION_DURATION, AT(stall_warn), 0, DAY, .reload = true},
    {"server-name", "TEXT", "value of the field Server in each response; none leaves it out",
     "torc", GROUP_SERVE, OPTION_TEXT, AT(server_name), .then = set_server_name,
     .what = "up to 128 printable characters of ASCII, such as web/1.0, or none"},
    {"timing", NULL,
     "tell each client in Server-Timing how long its request was queued, ran and waited, and on "
     "which core",
     "no", GROUP_SERVE, OPTION_FLAG, AT(timing)},
    {"timeline", "N",
     "events that each core records for /timeline.json of --admin, rounded up to a power of two "
     "from 64 on, 64 bytes each; 0 records none",
     "0", GROUP_SERVE, OPTION_NUMBER, AT(timeline), 0, M},

    {"engine", "NAME", NULL, NULL, GROUP_ENGINE, OPTION_CUSTOM, .then = set_engine,
     .shown = "the best available"},
    {"cores", "N|LIST",
     "how many CPUs to use, or which: 4 means the first four available to this process; 0-3,8 "
     "lists CPUs; 0-0 is CPU 0 alone",
     "all", GROUP_ENGINE, OPTION_CUSTOM, .then = set_cores,
     .what = "how many CPUs (4), which (0-3,8; 0-0 is CPU 0 alone), or all"},
    {"threads", "N",
     "threads of the engine threads; each serves one connection at a time, on any CPU of --cores",
     "200", GROUP_ENGINE, OPTION_NUMBER, AT(threads), 1, 10000},
    {"pin", NULL, "pin each core's thread to its CPU", "yes", GROUP_ENGINE, OPTION_FLAG, AT(pin)},
    {"private-descriptors", NULL,
     "give each core a descriptor table of its own, which makes system calls cheaper; what a "
     "handler opens or closes on one core, the others do not see",
     "no", GROUP_ENGINE, OPTION_FLAG, AT(private_descriptors)},
    {"depth", "N", "submission queue entries per ring", "512", GROUP_ENGINE, OPTION_NUMBER,
     AT(io.depth), 1, 32768},
    {"cq-depth", "N", "completion queue entries per ring; 0 means 8 times --depth, at least 4096",
     "0", GROUP_ENGINE, OPTION_NUMBER, AT(io.cq_depth), 0, 65536},
    {"buffers", "N", "receive buffers per core, rounded up to a power of two", "1024", GROUP_ENGINE,
     OPTION_NUMBER, AT(io.buffers), 1, 32768, .then = round_buffers},
    {"buffer-size", "SIZE", "size of a receive buffer", "4k", GROUP_ENGINE, OPTION_SIZE,
     AT(io.buffer_size), 64, M},
    {"iowq-workers", "N", "maximum kernel worker threads per ring, bounded and unbounded each", "4",
     GROUP_ENGINE, OPTION_NUMBER, AT(io.iowq_bounded), 1, 1024, .then = set_iowq_unbounded},

    {"max-connections", "N",
     "maximum connections per core; 0 means the descriptor limit minus 64, or half of one up to "
     "128, "
     "which the cores share where sockets are ordinary descriptors; beyond, the longest idle one "
     "is closed for a new one",
     "0", GROUP_LIMITS, OPTION_NUMBER, AT(limits.max_conns), 0, CONNECTIONS_MAX,
     .then = set_max_connections, .reload = true},
    {"admit-timeout", "TIME",
     "how long a new connection waits at --max-connections while none is idle, until such get 503",
     "1s", GROUP_LIMITS, OPTION_DURATION, AT(limits.admit_timeout), NS_PER_MS, DAY, .reload = true},
    {"max-requests", "N", "maximum requests in progress per core", "16384", GROUP_LIMITS,
     OPTION_NUMBER, AT(limits.max_requests), 1, 1000000, .reload = true},
    {"queue", "N",
     "maximum requests per core that wait at --max-requests, in order; beyond, 503 at once", "1024",
     GROUP_LIMITS, OPTION_NUMBER, AT(limits.queue), 0, 1000000, .reload = true},
    {"queue-timeout", "TIME", "how long such a request waits until it gets 503", "1s", GROUP_LIMITS,
     OPTION_DURATION, AT(limits.queue_timeout), NS_PER_MS, DAY, .reload = true},
    {"shed", "MODE",
     "adaptive answers 503 while a core has more requests than it can do, to those that have "
     "waited "
     "for too long before their handlers; off serves all",
     "off", GROUP_LIMITS, OPTION_CUSTOM, .then = set_shed, .what = "off or adaptive"},
    {"max-connections-per-client", "N",
     "maximum connections of a client's address (of IPv6, its /64), divided among the cores and "
     "rounded up; beyond, 503; 0 means any number",
     "0", GROUP_LIMITS, OPTION_NUMBER, AT(limits.conns_per_client), 0, CONNECTIONS_MAX,
     .reload = true},
    {"max-connection-age", "TIME",
     "age from which a connection is closed after its next response; 0 means any", "0",
     GROUP_LIMITS, OPTION_DURATION, AT(limits.connection_age), 0, 30 * DAY, .reload = true},
    {"max-connection-requests", "N",
     "requests after which a connection is closed; 0 means any number", "0", GROUP_LIMITS,
     OPTION_NUMBER, AT(limits.connection_requests), 0, UINT32_MAX, .reload = true},
    {"rate-limit", "N[/s|m|h]",
     "requests that a client's address (of IPv6, its /64) may make a second, minute or hour, "
     "divided among the cores; beyond, 429; 0 means any number",
     "0", GROUP_LIMITS, OPTION_CUSTOM, .then = set_rate_limit,
     .what = "a number from 1 to 1000000000 a second, minute or hour, such as 100, 100/s or "
             "600/m, or 0",
     .reload = true},
    {"rate-burst", "N",
     "requests that a client may make at once, divided among the cores and rounded up; 0 means the "
     "number of --rate-limit",
     "0", GROUP_LIMITS, OPTION_NUMBER, AT(rate_burst), 0, 1000000000, .reload = true},
    {"header-timeout", "TIME",
     "maximum time from the first to the last byte of a head, and from connecting to the first",
     "10s", GROUP_LIMITS, OPTION_DURATION, AT(limits.header_timeout), NS_PER_MS, DAY,
     .reload = true},
    {"idle-timeout", "TIME", "maximum idle time of a connection between requests", "60s",
     GROUP_LIMITS, OPTION_DURATION, AT(limits.idle_timeout), NS_PER_MS, DAY, .reload = true},
    {"body-timeout", "TIME", "maximum time to wait for more of a request body", "30s", GROUP_LIMITS,
     OPTION_DURATION, AT(limits.body_timeout), NS_PER_MS, DAY, .reload = true},
    {"min-body-rate", "SIZE",
     "bytes a second that a client must send of a body while a handler waits for it, or 408; 0 "
     "means any",
     "240", GROUP_LIMITS, OPTION_SIZE, AT(limits.min_body_rate), 0, G, .reload = true},
    {"body-grace", "TIME", "time that a client may take longer than at --min-body-rate", "30s",
     GROUP_LIMITS, OPTION_DURATION, AT(limits.body_grace), NS_PER_MS, DAY, .reload = true},
    {"write-timeout", "TIME", "maximum time without progress while sending a response", "30s",
     GROUP_LIMITS, OPTION_DURATION, AT(limits.write_timeout), NS_PER_MS, DAY, .reload = true},
    {"min-read-rate", "SIZE",
     "bytes a second that a client must take of a response while output waits for it, or the "
     "connection is cut; 0 means any",
     "240", GROUP_LIMITS, OPTION_SIZE, AT(limits.min_read_rate), 0, G, .reload = true},
    {"read-grace", "TIME", "time by which a client may fall behind --min-read-rate", "30s",
     GROUP_LIMITS, OPTION_DURATION, AT(limits.read_grace), NS_PER_MS, DAY, .reload = true},
    {"max-header-bytes", "SIZE",
     "maximum size of a request's head: request line and fields; more is answered with 431", "16k",
     GROUP_LIMITS, OPTION_SIZE, AT(limits.head.bytes), HEAD_BYTES_MIN, HEAD_BYTES_MAX,
     .reload = true},
    {"max-header-fields", "N", "maximum fields of a request; more is answered with 431", "100",
     GROUP_LIMITS, OPTION_NUMBER, AT(header_fields), 1, HEAD_FIELDS_MAX, .then = set_header_fields,
     .reload = true},
    {"max-body", "SIZE", "maximum size of a request body", "64m", GROUP_LIMITS, OPTION_SIZE,
     AT(limits.max_body), 0, 1024 * G, .reload = true},
    {"request-memory", "SIZE",
     "maximum memory that a request may allocate; once given, also for a body that is read as a "
     "whole, which is limited by --max-body otherwise",
     "1m", GROUP_LIMITS, OPTION_SIZE, AT(limits.request_memory), 4 * K, 4 * G,
     .then = set_request_memory, .reload = true},
    {"write-buffer", "SIZE", "unsent response bytes beyond which the handler waits", "64k",
     GROUP_LIMITS, OPTION_SIZE, AT(limits.write_buffer), 4 * K, G, .reload = true},
    {"read-buffer", "SIZE", "received bytes buffered while the handler does not read", "32k",
     GROUP_LIMITS, OPTION_SIZE, AT(limits.read_buffer), 4 * K, G, .reload = true},
    {"buffer-memory", "SIZE",
     "memory per core for unread input, incomplete heads and unsent output; from half of it on "
     "connections get little, and when it is used up those whose client does not read, or does not "
     "complete a head, or whose input nobody reads, are closed",
     "128m", GROUP_LIMITS, OPTION_SIZE, AT(limits.buffer_memory), M, 1024 * G, .reload = true},
    {"stack-size", "SIZE", "stack size of a handler, rounded up to whole pages", "64k",
     GROUP_LIMITS, OPTION_SIZE, AT(limits.stack_size), 16 * K, 64 * M},

    {"work-threads", "N",
     "maximum threads for work that blocks or computes for long; on epoll they also read what is "
     "not in memory of files that are sent, which jobs that keep them all busy delay; started when "
     "needed, not pinned; 0 means none",
     NULL, GROUP_LIMITS, OPTION_NUMBER, AT(work_threads), 0, 1024,
     .shown = "the number of cores, at least 2"},
    {"work-queue", "N", "maximum jobs that wait for one of these threads", "1024", GROUP_LIMITS,
     OPTION_NUMBER, AT(work_queue), 1, 1000000},

    {"file-cache", "N", "maximum files that a core keeps open", "512", GROUP_FILES, OPTION_NUMBER,
     AT(file_cache), 1, 1000000},
    {"file-cache-ttl", "TIME",
     "how long an open file is reused before its path is looked up again; 0 looks it up each "
     "time",
     "1s", GROUP_FILES, OPTION_DURATION, AT(file_cache_ttl), 0, NS_PER_S},
    {"sendfile-from", "SIZE",
     "hand the pages of a static file that has this size or more to the socket (sendfile(2)) "
     "instead of copying them: less CPU here, more for a client on this machine; on io_uring it is "
     "a system call beside the ring, as if with --no-direct; 0 never does",
     "0", GROUP_FILES, OPTION_SIZE, AT(limits.sendfile_from), 0, 1024 * G},
    {"access-log", "FILE", "write one line per request to this file; - is stdout", NULL,
     GROUP_FILES, OPTION_TEXT, AT(access_log), .what = "a file name, or - for stdout",
     .reload = true},
    {"access-log-format", "FORMAT",
     "combined or json; json has \\uf0XX for a byte that is not valid UTF-8", "combined",
     GROUP_FILES, OPTION_CUSTOM, .then = set_log_format, .what = "combined or json"},

    {"config", "FILE", "read options from this file; the command line takes precedence", NULL,
     GROUP_OTHER, OPTION_TEXT, AT(config), .what = "a file name", .command = true},
    {"check", NULL,
     "check the options, directories, access log and kernel, tell what a reload would change in a "
     "server at --admin, then exit",
     "no", GROUP_OTHER, OPTION_FLAG, AT(check), .command = true},
    {"json", NULL, "print the result of --check as JSON", "no", GROUP_OTHER, OPTION_FLAG, AT(json),
     .command = true},
    {"version", NULL, "print the version and exit", "no", GROUP_OTHER, OPTION_FLAG, AT(version),
     .command = true},
    {"help", NULL, "print this help and exit (also -h)", "no", GROUP_OTHER, OPTION_FLAG, AT(help),
     .command = true},
};

static int reject_argument(struct option_set *s, const char *text)
{
    struct stat st;
    if (stat(text, &st) == 0 && S_ISDIR(st.st_mode))
        return option_fail(s, "to serve a directory, use --root %.200s", text);
    int len = option_tellable(slice_str(text));
    return option_fail(s, "unexpected argument \"%.*s%s\" (see --help)", len, text,
                       text[len] ? "..." : "");
}

const struct option_program options_table = {
    .table = table,
    .count = ARRAY_LEN(table),
    .groups = titles,
    .n_groups = ARRAY_LEN(titles),
    .usage = "[OPTION]...",
    .notes =
        "SIZE: bytes, or a number with k, m or g (powers of 1024). TIME: a number with ms, s, m "
        "or h.\nConfig file: one \"name = value\" per line, with yes or no for a flag; # starts "
        "a comment.\nA value may be in quotes, with \\\" for a quote, \\\\ for a backslash, \\xHH "
        "for a byte.\nOptions marked * take a new value from it at SIGHUP.\n",
    .aliases = options_aliases,
    .n_aliases = OPTIONS_ALIASES,
    .argument = reject_argument,
};
