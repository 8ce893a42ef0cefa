/* torc-load: HTTP requests in closed or open loop, every reply checked. */

#include "load/result.h"

#include <fcntl.h>
#include <unistd.h>

/* What was given closed stays unusable, and does not become a socket that a report is written to. */
static void fill_standard(void)
{
    int fd;
    while ((fd = open("/dev/null", O_RDONLY)) >= 0 && fd <= STDERR_FILENO) continue;
    if (fd >= 0) close(fd);
}

int main(int argc, char **argv)
{
    static struct plan plan;
    static struct run run;
    fill_standard();
    int status = plan_read(&plan, argc, argv);
    if (status) return status < 0 ? 2 : 0;
    status = run_plan(&run, &plan);
    if (status) return status;
    bool to_stdout = (plan.json && plan.json[0] == '-' && !plan.json[1]) ||
                     (plan.hdr && plan.hdr[0] == '-' && !plan.hdr[1]);
    if (!to_stdout && result_print(&run) < 0) return 1;
    if (plan.json && result_write_json(&run) < 0) return 1;
    if (plan.hdr && result_write_hdr(&run) < 0) return 1;
    return result_status(&run);
}
