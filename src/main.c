/* torc: files over HTTP. */

#include "torc.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("torc " TORC_VERSION);
    if (!s || torc_static(s, "/") < 0) {
        fprintf(stderr, "torc: %s\n", s ? torc_server_error(s) : "out of memory");
        return 1;
    }
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
