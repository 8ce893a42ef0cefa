/* Says why the kernel, the administrator or a limit refused a ring. */

#include "base/limit.h"
#include "io/uring.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct io_refusal uring_refusal(const char *call, int err, size_t mapped)
{
    const char *limit = err == -ENOMEM ? limit_of_memory(mapped) : "";
    return (struct io_refusal){limit[0] ? "mmap" : call, limit};
}

bool uring_not_permitted(int err)
{
    return err == -EPERM || err == -EACCES || err == -ENOSYS;
}

static int switched_off(void)
{
    int disabled = 0;
    FILE *f = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    if (!f) return 0;
    if (fscanf(f, "%d", &disabled) != 1) disabled = 0;
    fclose(f);
    return disabled;
}

/* Who may lock what they like is not counted (capabilities(7): CAP_IPC_LOCK). The kernel asks for
 * the capability in the first user namespace, whose inode has this number ever since there are
 * more of them (PROC_USER_INIT_INO, Linux 3.8). */
static bool may_lock_all(void)
{
    enum { FIRST_USER_NAMESPACE = 0xEFFFFFFDU };
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    struct stat st;
    return syscall(SYS_capget, &header, data) == 0 && data[0].effective & 1u << CAP_IPC_LOCK &&
           stat("/proc/self/ns/user", &st) == 0 && st.st_ino == FIRST_USER_NAMESPACE;
}

static bool locked_limit(uint64_t *kib)
{
    struct rlimit limit;
    if (may_lock_all()) return false;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) return false;
    *kib = (uint64_t)limit.rlim_cur / 1024;
    return true;
}

static void explain_memory(const struct io_refusal *r, char *why, size_t size)
{
    uint64_t kib;
    bool of_ring = strncmp(r->call, "io_uring", strlen("io_uring")) == 0;
    if (r->limit[0] || !of_ring || !locked_limit(&kib))
        snprintf(why, size, "no memory: %s failed%s", r->call, r->limit);
    else
        snprintf(why, size,
                 "no memory for the rings: the locked-memory limit, %" PRIu64
                 " KiB for all processes of the user, is too low "
                 "(raise RLIMIT_MEMLOCK: ulimit -l, or LimitMEMLOCK= of a systemd unit)",
                 kib);
}

void uring_explain(const struct io_refusal *r, int err, char *why, size_t size)
{
    const char *call = r->call;
    bool setup = strcmp(call, "io_uring_setup") == 0;
    int disabled = setup && err == -EPERM ? switched_off() : 0;
    if (setup && err == -ENOSYS)
        snprintf(why, size,
                 "this kernel has no io_uring, or a seccomp profile hides it "
                 "(needs Linux 5.17 or newer and a profile that allows io_uring_setup)");
    else if (disabled)
        snprintf(why, size,
                 "io_uring is switched off: kernel.io_uring_disabled=%d "
                 "(sysctl -w kernel.io_uring_disabled=0)",
                 disabled);
    else if (uring_not_permitted(err))
        snprintf(why, size,
                 "%s is not permitted (%s), as by a container's seccomp profile "
                 "(allow io_uring_setup, io_uring_enter and io_uring_register)",
                 call, strerror(-err));
    else if (err == -ENOMEM)
        explain_memory(r, why, size);
    else
        snprintf(why, size, "%s failed: %s", call, strerror(-err));
}

const char *uring_scarce(const struct io_refusal *r)
{
    uint64_t kib;
    if (r->limit[0]) return r->limit;
    return locked_limit(&kib) ? " (the locked-memory limit: ulimit -l)" : "";
}
