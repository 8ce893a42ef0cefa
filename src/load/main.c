/* torc-load: HTTP requests in closed or open loop, every reply checked. */

#include "load/result.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What was given closed stays unusable, and does not become a socket that a report is written
 * to. */
static void fill_standard(void)
{
    int fd;
    while ((fd = open("/dev/null", O_RDONLY)) >= 0 && fd <= STDERR_FILENO) continue;
    if (fd >= 0) close(fd);
}

static int open_outputs(const struct plan *p, struct output *json, struct output *hdr)
{
    if (output_open(json, p->json) < 0 || output_open(hdr, p->hdr) < 0) return 1;
    if (!output_same(json, hdr)) return 0;
    fprintf(stderr, "torc-load: --json %.60s and --hdr %.60s are one file: it holds one of them\n",
            p->json, p->hdr);
    return 2;
}

/* What can be written is, whatever else cannot. */
static int report(const struct run *r, struct output *json, struct output *hdr)
{
    int status = result_status(r);
    if (json->file != stdout && hdr->file != stdout && result_print(r) < 0) status = 1;
    if (json->file && result_write_json(r, json) < 0) status = 1;
    if (hdr->file && result_write_hdr(r, hdr) < 0) status = 1;
    return status;
}

/* What --help and --version say. */
static int answered(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    fprintf(stderr, "torc-load: cannot write to stdout: %s\n", strerror(errno));
    return 1;
}

int main(int argc, char **argv)
{
    static struct plan plan;
    static struct run run;
    struct output json = {0}, hdr = {0};
    fill_standard();
    int status = plan_read(&plan, argc, argv);
    if (status) return status < 0 ? 2 : answered();
    status = open_outputs(&plan, &json, &hdr);
    if (status == 0) status = run_plan(&run, &plan);
    if (status == 0) return report(&run, &json, &hdr);
    output_drop(&json);
    output_drop(&hdr);
    return status;
}
