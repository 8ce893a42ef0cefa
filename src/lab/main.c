/* torc-lab: the server with routes for benchmarks. */

#include "lab.h"

#include <stdio.h>

static const char about[] =
    "The torc server with routes for benchmarks:\n"
    "  GET /plaintext               Hello, World!\n"
    "  GET /json                    {\"message\":\"Hello, World!\"}\n"
    "  GET /pipeline                ok\n"
    "  GET, POST /baseline11?a=&b=  the sum of the query values and the body\n"
    "  GET /delay/MS                MS, after that many milliseconds (0 to 60000)\n"
    "  POST /upload                 the number of bytes in the body\n"
    "  POST /echo                   the body\n"
    "  GET /file?n=&mode=seq|all    the bytes read by n file reads, sequential or concurrent\n"
    "  GET /static/...              the files under --root";

int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("torc-lab " TORC_VERSION);
    if (!s || torc_server_about(s, about) < 0 || lab_mount(s) < 0) {
        fprintf(stderr, "torc-lab: %s\n", s ? torc_server_error(s) : "out of memory");
        return 1;
    }
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
