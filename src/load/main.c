/* torc-load: HTTP requests in closed or open loop, every reply checked. */

#include "base/stdio.h"
#include "load/report.h"
#include "load/result.h"

#include <errno.h>
#include <string.h>

static int open_outputs(const struct plan *p, struct output *json, struct output *hdr)
{
    if (output_open(json, p->json) < 0 || output_open(hdr, p->hdr) < 0) return 1;
    if (!output_same(json, hdr)) return 0;
    fprintf(stderr, "torc-load: --json %.60s and --hdr %.60s are the same file\n", p->json, p->hdr);
    return 2;
}

/* One report that cannot be written does not keep the others from it. */
static int report(const struct run *r, struct output *json, struct output *hdr)
{
    int status = result_status(r);
    if (json->file != stdout && hdr->file != stdout && report_text(r) < 0) status = 1;
    if (json->file && report_json(r, json) < 0) status = 1;
    if (hdr->file && report_hdr(r, hdr) < 0) status = 1;
    return status;
}

/* After --help or --version. */
static int flush_stdout(void)
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
    stdio_reserve();
    int status = plan_read(&plan, argc, argv);
    if (status) return status < 0 ? 2 : flush_stdout();
    status = open_outputs(&plan, &json, &hdr);
    if (status == 0) status = run_plan(&run, &plan);
    if (status == 0) return report(&run, &json, &hdr);
    output_drop(&json);
    output_drop(&hdr);
    return status;
}
