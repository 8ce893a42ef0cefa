"""Findings about memory, descriptors and the network's settings: how far a run can go here."""

from typing import Iterator

from .finding import Finding, find
from .host import Machine, size

CONNECTIONS_WANTED = 10_000  # by the workload idle, the largest
MEMORY_WANTED = 2 << 30
TIME_WAIT_SECONDS = 60
UNLIMITED = 1 << 60  # version 1 cgroups write nearly 2^63 for no limit

SYSCTLS = (  # a value below the least limits a run
    ("file-max", "fs.file-max", 4 * CONNECTIONS_WANTED),
    ("somaxconn", "net.core.somaxconn", 4096),
    ("syn-backlog", "net.ipv4.tcp_max_syn_backlog", 1024),
    ("tw-reuse", "net.ipv4.tcp_tw_reuse", 1),
    ("max-map-count", "vm.max_map_count", 65530),
)


def _sysctls(machine: Machine) -> Iterator[Finding]:
    rate = machine.connections_possible()[0] // TIME_WAIT_SECONDS
    for id_, name, least in SYSCTLS:
        value = machine.sysctl(name)
        if value is not None and value < least:
            yield find(id_, value=value, half=value // 2, rate=rate)


def _connections(machine: Machine) -> Iterator[Finding]:
    hard = machine.open_files[1]
    count, by = machine.connections_possible()
    raise_first = 0 < (machine.sysctl("fs.nr_open") or 0) <= hard
    first = f"sysctl -w fs.nr_open={1 << 20}, then " if raise_first else ""
    few = "few-" if count < CONNECTIONS_WANTED else ""
    yield find(f"connections.{few}{by}", count=count, hard=hard, first=first, wanted=CONNECTIONS_WANTED)


def _tracking(machine: Machine) -> Iterator[Finding]:
    most = machine.sysctl("net.netfilter.nf_conntrack_max")
    count = machine.sysctl("net.netfilter.nf_conntrack_count") or 0
    if most is not None:
        form = "idle" if count == 0 else "few" if most < 2 * CONNECTIONS_WANTED else "on"
        yield find(f"conntrack.{form}", most=most, count=count)


def _congestion(machine: Machine) -> Iterator[Finding]:
    name = machine.read("/proc/sys/net/ipv4/tcp_congestion_control")
    if name:
        yield find("congestion.bbr" if name == "bbr" else "congestion.other", name=name)


def _memory(machine: Machine) -> Iterator[Finding]:
    total = machine.memory("MemTotal")
    if total is None:
        return
    available = machine.memory("MemAvailable") or total
    values = machine.cgroup_values("memory", "memory.max", "memory.limit_in_bytes")
    allowed = min((int(one) for one in values if one.isdecimal() and int(one) < UNLIMITED), default=total)
    form = "little" if min(allowed, available) < MEMORY_WANTED else "enough"
    if allowed < total:
        yield find(f"memory.{form}-allowed", allowed=size(allowed))
    else:
        yield find(f"memory.{form}", available=size(available), total=size(total))


def _kernel(machine: Machine) -> Iterator[Finding]:
    yield find("kernel", release=machine.release)
    huge = machine.find(r"\[(\w+)\]", "/sys/kernel/mm/transparent_hugepage/enabled")
    if huge:
        yield find("huge-pages.always" if huge == "always" else "huge-pages.asked", huge=huge)


def findings(machine: Machine) -> list[Finding]:
    parts = (_kernel, _memory, _connections, _sysctls, _tracking, _congestion)
    return [finding for part in parts for finding in part(machine)]
