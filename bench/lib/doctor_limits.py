"""Findings about memory, descriptors and the network's settings: how far a run can go here."""

from typing import Iterator

from .host import Finding, Machine, size

CONNECTIONS_WANTED = 10_000  # by the workload idle, the largest
MEMORY_WANTED = 2 << 30
TIME_WAIT_SECONDS = 60
UNLIMITED = 1 << 60  # version 1 cgroups write nearly 2^63 for no limit

SYSCTLS = (  # what is below its least value limits a run: (id, name, least, what to set, why)
    (
        "file-max",
        "fs.file-max",
        4 * CONNECTIONS_WANTED,
        f"{1 << 20}",
        "is {value:,}: server and load may run out of open files together",
    ),
    (
        "somaxconn",
        "net.core.somaxconn",
        4096,
        "4096",
        "is {value}: connections beyond that many at once wait a second for a second SYN, "
        "which distorts short-lived and every start",
    ),
    (
        "syn-backlog",
        "net.ipv4.tcp_max_syn_backlog",
        1024,
        "4096",
        "is {value}: bursts of connections are dropped or answered with cookies",
    ),
    (
        "tw-reuse",
        "net.ipv4.tcp_tw_reuse",
        1,
        "2 (loopback only)",
        "is {value}: a closed connection keeps its port for a minute, "
        "which bounds short-lived at {rate:,} connections/s in the long run",
    ),
    (
        "max-map-count",
        "vm.max_map_count",
        65530,
        f"{4 * 65530}",
        "is {value:,}: a request that waits has a stack of its own, two mappings each, so {half:,} at most may wait",
    ),
)


def _sysctls(machine: Machine) -> Iterator[Finding]:
    rate = machine.connections_possible()[0] // TIME_WAIT_SECONDS
    for id_, name, least, wanted, why in SYSCTLS:
        value = machine.sysctl(name)
        if value is not None and value < least:
            text = why.format(value=value, half=value // 2, rate=rate)
            yield Finding(id_, "limit", f"{name} {text}", f"sysctl -w {name}={wanted}")


def _connections(machine: Machine) -> Iterator[Finding]:
    hard = machine.open_files[1]
    count, descriptors = machine.connections_possible()
    if descriptors:
        by = f"the {hard:,} descriptors of a process (ulimit -Hn)"
        remedy = (
            "raise the hard limit: LimitNOFILE=, docker run --ulimit nofile=65536, or nofile "
            "in /etc/security/limits.conf"
        )
        if 0 < (machine.sysctl("fs.nr_open") or 0) <= hard:
            remedy = f"sysctl -w fs.nr_open={1 << 20}, then {remedy}"
    else:
        by = "the local ports (net.ipv4.ip_local_port_range)"
        remedy = "sysctl -w net.ipv4.ip_local_port_range='1024 65535'"
    text = f"at most {count:,} connections to one address, by {by}"
    if count < CONNECTIONS_WANTED:
        yield Finding("connections", "limit", f"{text}; idle asks for {CONNECTIONS_WANTED:,}", remedy)
    else:
        yield Finding("connections", "ok", text)


def _tracking(machine: Machine) -> Iterator[Finding]:
    most = machine.sysctl("net.netfilter.nf_conntrack_max")
    count = machine.sysctl("net.netfilter.nf_conntrack_count") or 0
    if most is None:
        return
    if count == 0:
        yield Finding("conntrack", "ok", "connection tracking is loaded and follows no connection")
    elif most < 2 * CONNECTIONS_WANTED:
        text = f"netfilter tracks connections, at most {most:,}: beyond, packets are dropped"
        remedy = "sysctl -w net.netfilter.nf_conntrack_max=262144, or a notrack rule for lo"
        yield Finding("conntrack", "limit", text, remedy)
    else:
        text = f"netfilter tracks connections ({count:,} now): each packet over loopback costs more"
        yield Finding("conntrack", "note", text, "a notrack rule for lo, for the time of the run")


def _congestion(machine: Machine) -> Iterator[Finding]:
    name = machine.read("/proc/sys/net/ipv4/tcp_congestion_control")
    if name == "bbr":
        text = (
            "congestion control is BBR, which paces what is sent with timers: "
            "all subjects share that, but figures of machines with cubic differ"
        )
        yield Finding("congestion", "note", text, "sysctl -w net.ipv4.tcp_congestion_control=cubic")
    elif name:
        yield Finding("congestion", "ok", f"congestion control {name}")


def _memory(machine: Machine) -> Iterator[Finding]:
    total = machine.memory("MemTotal")
    if total is None:
        return
    available = machine.memory("MemAvailable") or total
    text, remedy = (
        f"memory: {size(available)} of {size(total)} available",
        "end other programs, or use a machine with more",
    )
    allowed = machine.cgroup_values("memory", "memory.max", "memory.limit_in_bytes")
    least = min((int(one) for one in allowed if one.isdecimal() and int(one) < UNLIMITED), default=total)
    if least < total:
        text, remedy = f"memory: the cgroup allows {size(least)}", "raise the container's limit"
    if min(least, available) < MEMORY_WANTED:
        yield Finding("memory", "limit", f"{text}: idle and the largest files may not fit", remedy)
    else:
        yield Finding("memory", "ok", text)


def _kernel(machine: Machine) -> Iterator[Finding]:
    yield Finding("kernel", "ok", f"Linux {machine.release}")
    choices = "/sys/kernel/mm/transparent_hugepage/enabled"
    huge = machine.find(r"\[(\w+)\]", choices)
    if huge == "always":
        text = "transparent huge pages are always on: peak memory is larger, and the kernel may stop to make them"
        yield Finding("huge-pages", "note", text, f"echo madvise > {choices}")
    elif huge:
        yield Finding("huge-pages", "ok", f"transparent huge pages: {huge}")


def findings(machine: Machine) -> list[Finding]:
    """All about memory, descriptors and the network."""
    parts = (_kernel, _memory, _connections, _sysctls, _tracking, _congestion)
    return [finding for part in parts for finding in part(machine)]
