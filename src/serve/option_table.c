#include "serve/option.h"

const char *const option_group_titles[GROUPS] = {
    [GROUP_SERVE] = "Serving",
    [GROUP_ENGINE] = "Engine and cores",
    [GROUP_RING] = "Features of the io_uring engine, each of which can be switched off",
    [GROUP_LIMITS] = "Limits",
    [GROUP_FILES] = "Files and access log",
    [GROUP_OTHER] = "Other",
};

#define AT(field)                                                                                  \
    .at = offsetof(struct options, field), .size = sizeof(((struct options *)0)->field)
#define DAY (24 * 3600 * NS_PER_S)
#define K   (UINT64_C(1) << 10)
#define M   (UINT64_C(1) << 20)
#define G   (UINT64_C(1) << 30)

const struct option option_table[] = {
    {"listen", "ADDR:PORT", "where clients connect; can be given several times; port 0 picks one",
     "127.0.0.1:8080", GROUP_SERVE, OPT_LISTEN,
     .what = "ADDR:PORT, such as 127.0.0.1:8080, [::1]:8080 or *:80"},
    {"root", "DIR", "the directory of static files", NULL, GROUP_SERVE, OPT_TEXT, AT(root),
     .what = "a directory"},
    {"admin", "ADDR:PORT", "where health, metrics and statistics are served", NULL, GROUP_SERVE,
     OPT_ADMIN, .what = "ADDR:PORT, such as 127.0.0.1:8081"},
    {"backlog", "N", "connections of a core that wait to be accepted", "4096", GROUP_SERVE,
     OPT_NUMBER, AT(backlog), 1, 65535},
    {"drain-timeout", "TIME", "what requests in flight are given to finish on SIGTERM", "10s",
     GROUP_SERVE, OPT_DURATION, AT(drain_timeout), 0, DAY},

    {"engine", "NAME", NULL, NULL, GROUP_ENGINE, OPT_ENGINE, .shown = "the best that works"},
    {"cores", "N|LIST",
     "how many CPUs, or which: 4 is the first four that this process may use; 0-3,8 are numbers "
     "of CPUs, and 0-0 is CPU 0 alone",
     "all", GROUP_ENGINE, OPT_CORES,
     .what = "how many CPUs (4), which (0-3,8; 0-0 is CPU 0 alone), or all"},
    {"pin", NULL, "each core's thread stays on its CPU", "yes", GROUP_ENGINE, OPT_FLAG, AT(pin)},
    {"depth", "N", "submission queue entries of a ring", "512", GROUP_ENGINE, OPT_NUMBER,
     AT(io.depth), 1, 32768},
    {"cq-depth", "N", "completion queue entries of a ring; 0: 8 times --depth, at least 4096", "0",
     GROUP_ENGINE, OPT_NUMBER, AT(io.cq_depth), 0, 65536},
    {"buffers", "N", "receive buffers of a core, rounded up to a power of two", "1024",
     GROUP_ENGINE, OPT_BUFFERS, AT(io.buffers), 1, 32768},
    {"buffer-size", "SIZE", "bytes of a receive buffer", "4k", GROUP_ENGINE, OPT_SIZE,
     AT(io.buffer_size), 64, M},
    {"iowq-workers", "N", "kernel worker threads of a ring at most, of either kind", "4",
     GROUP_ENGINE, OPT_IOWQ, AT(io.iowq_bounded), 1, 1024},

    {"max-connections", "N", "connections of a core; 0: the descriptor limit less 64", "0",
     GROUP_LIMITS, OPT_CONNECTIONS, AT(limits.max_conns), 0, 1000000},
    {"max-requests", "N", "requests in progress on a core", "16384", GROUP_LIMITS, OPT_NUMBER,
     AT(limits.max_requests), 1, 1000000},
    {"header-timeout", "TIME", "from a head's first byte to its last", "10s", GROUP_LIMITS,
     OPT_DURATION, AT(limits.header_timeout), NS_PER_MS, DAY},
    {"idle-timeout", "TIME", "of a connection between requests", "60s", GROUP_LIMITS, OPT_DURATION,
     AT(limits.idle_timeout), NS_PER_MS, DAY},
    {"body-timeout", "TIME", "between two pieces of a body that is waited for", "30s", GROUP_LIMITS,
     OPT_DURATION, AT(limits.body_timeout), NS_PER_MS, DAY},
    {"write-timeout", "TIME", "for a response that the client does not take", "30s", GROUP_LIMITS,
     OPT_DURATION, AT(limits.write_timeout), NS_PER_MS, DAY},
    {"max-body", "SIZE", "of a request's body", "64m", GROUP_LIMITS, OPT_SIZE, AT(limits.max_body),
     0, 1024 * G},
    {"request-memory", "SIZE", "memory of a request at most", "1m", GROUP_LIMITS, OPT_SIZE,
     AT(limits.request_memory), 4 * K, 4 * G},
    {"write-buffer", "SIZE", "unsent bytes of a response at which its handler waits", "256k",
     GROUP_LIMITS, OPT_SIZE, AT(limits.write_buffer), 4 * K, G},
    {"read-buffer", "SIZE", "bytes kept for a handler that does not read yet", "64k", GROUP_LIMITS,
     OPT_SIZE, AT(limits.read_buffer), 4 * K, G},
    {"stack-size", "SIZE", "stack of a handler, rounded up to pages", "64k", GROUP_LIMITS, OPT_SIZE,
     AT(limits.stack_size), 16 * K, 64 * M},

    {"file-cache", "N", "files that a core keeps open", "512", GROUP_FILES, OPT_NUMBER,
     AT(file_cache), 1, 1000000},
    {"file-cache-ttl", "TIME",
     "how long an open file is trusted to be the one of its name; 0: not "
     "at all",
     "1s", GROUP_FILES, OPT_DURATION, AT(file_cache_ttl), 0, NS_PER_S},
    {"access-log", "FILE", "one line for each request; - is stdout", NULL, GROUP_FILES, OPT_TEXT,
     AT(access_log), .what = "a file name, or - for stdout"},
    {"access-log-format", "FORMAT", "combined, or json, where a byte that is not UTF-8 is \\uf0XX",
     "combined", GROUP_FILES, OPT_LOG_FORMAT, .what = "combined or json"},

    {"config", "FILE", "read options from a file; those of the command line win", NULL, GROUP_OTHER,
     OPT_TEXT, AT(config), .what = "a file name", .command = true},
    {"check", NULL, "look at the options and the kernel, then exit", "no", GROUP_OTHER, OPT_FLAG,
     AT(check), .command = true},
    {"version", NULL, "print the version and exit", "no", GROUP_OTHER, OPT_FLAG, AT(version),
     .command = true},
    {"help", NULL, "print this and exit; -h too", "no", GROUP_OTHER, OPT_FLAG, AT(help),
     .command = true},
};

const size_t option_table_count = ARRAY_LEN(option_table);

const char *const option_feature_help[IO_FEATURES] = {
    [IO_SINGLE_ISSUER] = "only the core's thread submits to its ring",
    [IO_DEFER_TASKRUN] = "completion work runs when the core waits; needs single-issuer",
    [IO_COOP_TASKRUN] = "no interrupts for completion work, where defer-taskrun is off",
    [IO_NO_SQARRAY] =
        "the submission queue has an index array, as before Linux 6.6; yes costs an indirection",
    [IO_SUBMIT_ALL] = "an entry that fails does not hold up those behind it",
    [IO_RING_FD] = "the ring's descriptor is registered with the kernel",
    [IO_BUF_RING] = "the kernel picks receive buffers from a ring",
    [IO_MULTISHOT] = "one accept and one recv bring many completions",
    [IO_DIRECT] = "sockets live in the ring's own table",
    [IO_IOWQ_CAP] = "--iowq-workers applies",
    [IO_RESTRICT] = "the ring does only what torc needs",
};
