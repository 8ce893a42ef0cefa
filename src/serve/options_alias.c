/* What other servers call the options. */

#include "serve/options_table.h"

const struct option_alias options_aliases[OPTIONS_ALIASES] = {
    {"-p", "--listen"},
    {"--port", "--listen"},
    {"--host", "--listen"},
    {"--bind", "--listen"},
    {"--addr", "--listen"},
    {"--address", "--listen"},
    {"--dir", "--root"},
    {"--directory", "--root"},
    {"--docroot", "--root"},
    {"--document-root", "--root"},
    {"-w", "--cores"},
    {"--workers", "--cores"},
    {"--conns", "--max-connections"},
    {"--connections", "--max-connections"},
    {"--keepalive-timeout", "--idle-timeout"},
    {"--log", "--access-log"},
    {"--logfile", "--access-log"},
    {"--log-file", "--access-log"},
    {"-c", "--config"},
    {"-v", "--version"},
    {"-V", "--version"},
    {"--daemon", "the server stays in the foreground"},
    {"--tls", "TLS is not supported"},
    {"--ssl", "TLS is not supported"},
    {"--cert", "TLS is not supported"},
};
