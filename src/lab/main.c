/* torc-lab: the server with the routes that benchmarks ask for. */

#include "lab.h"

#include <stdio.h>

static const char about[] =
    "The torc server with the routes that benchmarks ask for:\n"
    "  GET /plaintext            Hello, World!\n"
    "  GET /json                 {\"message\":\"Hello, World!\"}\n"
    "  GET /pipeline             ok\n"
    "  GET, POST /baseline11?a=&b=  the sum of the query's values and of the body\n"
    "  GET /delay/MS             answers after MS milliseconds, 0 to 60000\n"
    "  POST /upload              the number of bytes sent\n"
    "  POST /echo                the bytes sent\n"
    "  GET /file?n=&mode=seq|all n reads of a file, one after another or together; bytes read\n"
    "  GET /static/...           the files below --root";

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
