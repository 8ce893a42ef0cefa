#include "refuse.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void install(const struct refusal *r, unsigned flags)
{
    unsigned value = (unsigned)r->err & SECCOMP_RET_DATA;
    /* Without a chosen argument, the number of the call is compared twice. */
    unsigned nr = offsetof(struct seccomp_data, nr), also = nr, equals = (unsigned)r->call;
    if (r->nth) {
        also = (unsigned)(offsetof(struct seccomp_data, args) + 8 * (size_t)(r->nth - 1));
        equals = (unsigned)r->value; /* the lower half: both architectures are little-endian */
    }
    /* Only one architecture runs here, so the system call number is unambiguous. */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)r->call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, also),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, equals, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | value),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) != 0)
        _exit(125);
}

void refuse_call(void *arg)
{
    install(arg, 0);
}

void refuse_everywhere(const struct refusal *r)
{
    install(r, SECCOMP_FILTER_FLAG_TSYNC);
}

void refuse_io_uring(void *err)
{
    refuse_call(&(struct refusal){.call = SYS_io_uring_setup, .err = *(const int *)err});
}
