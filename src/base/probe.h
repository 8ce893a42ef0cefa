#pragma once
/* USDT probes, for tools such as bpftrace and perf: tools/trace/README.md lists them. Each is one
 * nop and a note in the binary that tells where its arguments are, so pass what is at hand anyway:
 * a value in a register, or a field. Without <sys/sdt.h> at build time there are none. */

#ifdef TORC_PROBES
#include <sys/sdt.h>
#define PROBE(name, first, second) DTRACE_PROBE2(torc, name, first, second)
#else
#define PROBE(name, first, second) ((void)0)
#endif
