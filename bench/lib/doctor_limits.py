"""Findings about memory, descriptors and the network's settings: how far a run can go here."""

from __future__ import annotations

import re
from typing import Iterator

from .doctor_base import Finding, Machine, limit, note, ok, size

BACKLOG = 4096  # what every server is asked to listen with
CONNECTIONS_WANTED = 10_000  # by the workload idle, the largest
FILES_SPARE = 512  # what a server opens beside its connections
PORTS_SPARE = 1024
FILE_MAX_WANTED = 4 * CONNECTIONS_WANTED
MEMORY_WANTED = 2 << 30
MAPS_DEFAULT = 65530
TIME_WAIT_SECONDS = 60
UNLIMITED = 1 << 60  # version 1 cgroups write nearly 2^63 for no limit


def connections_possible(machine: Machine) -> tuple[int, str]:
    """How many connections to one address can be had, and what bounds them."""
    hard = machine.open_files[1]
    words = (machine.read("/proc/sys/net/ipv4/ip_local_port_range") or "32768 60999").split()
    ports = int(words[1]) - int(words[0]) + 1 - PORTS_SPARE
    if hard < 0 or hard - FILES_SPARE >= ports:
        return ports, "ports"
    return hard - FILES_SPARE, "descriptors"


def _connections(machine: Machine) -> Iterator[Finding]:
    hard = machine.open_files[1]
    count, bound = connections_possible(machine)
    by = "the local ports (net.ipv4.ip_local_port_range)"
    remedy = "sysctl -w net.ipv4.ip_local_port_range='1024 65535'"
    if bound == "descriptors":
        by = f"the {hard:,} descriptors of a process (ulimit -Hn)"
        remedy = (
            "raise the hard limit: LimitNOFILE=, docker run --ulimit nofile=65536, or nofile "
            "in /etc/security/limits.conf"
        )
        ceiling = machine.sysctl("fs.nr_open") or 0
        if ceiling and hard >= ceiling:
            remedy = f"sysctl -w fs.nr_open={1 << 20}, then {remedy}"
    text = f"at most {count:,} connections to one address, by {by}"
    if count < CONNECTIONS_WANTED:
        yield limit("connections", f"{text}; idle asks for {CONNECTIONS_WANTED:,}", remedy)
    else:
        yield ok("connections", text)
    files = machine.sysctl("fs.file-max")
    if files is not None and files < FILE_MAX_WANTED:
        yield limit(
            "file-max",
            f"fs.file-max is {files:,}: server and load may run out of " "open files together",
            f"sysctl -w fs.file-max={1 << 20}",
        )


def _queues(machine: Machine) -> Iterator[Finding]:
    somaxconn = machine.sysctl("net.core.somaxconn")
    if somaxconn is not None and somaxconn < BACKLOG:
        yield limit(
            "somaxconn",
            f"net.core.somaxconn is {somaxconn}: connections beyond "
            "that many at once wait a second for a second SYN, which distorts short-lived "
            "and every start",
            f"sysctl -w net.core.somaxconn={BACKLOG}",
        )
    backlog = machine.sysctl("net.ipv4.tcp_max_syn_backlog")
    if backlog is not None and backlog < 1024 and somaxconn is not None:
        yield limit(
            "syn-backlog",
            f"net.ipv4.tcp_max_syn_backlog is {backlog}: bursts of " "connections are dropped or answered with cookies",
            f"sysctl -w net.ipv4.tcp_max_syn_backlog={BACKLOG}",
        )
    reuse = machine.sysctl("net.ipv4.tcp_tw_reuse")
    if reuse == 0:
        rate = connections_possible(machine)[0] // TIME_WAIT_SECONDS
        yield limit(
            "tw-reuse",
            "net.ipv4.tcp_tw_reuse is 0: a closed connection keeps its "
            f"port for a minute, which bounds short-lived at {rate:,} connections/s in the "
            "long run",
            "sysctl -w net.ipv4.tcp_tw_reuse=2 (loopback only)",
        )


def _tracking(machine: Machine) -> Iterator[Finding]:
    most = machine.sysctl("net.netfilter.nf_conntrack_max")
    if most is None:
        return
    count = machine.sysctl("net.netfilter.nf_conntrack_count") or 0
    if count == 0:
        yield ok("conntrack", "connection tracking is loaded and follows no connection")
    elif most < 2 * CONNECTIONS_WANTED:
        yield limit(
            "conntrack",
            f"netfilter tracks connections, at most {most:,}: beyond, " "packets are dropped",
            "sysctl -w net.netfilter.nf_conntrack_max=262144, or a " "notrack rule for lo",
        )
    else:
        yield note(
            "conntrack",
            f"netfilter tracks connections ({count:,} now): each packet " "over loopback costs more",
            "a notrack rule for lo, for the time of the run",
        )


def _congestion(machine: Machine) -> Iterator[Finding]:
    name = machine.read("/proc/sys/net/ipv4/tcp_congestion_control")
    if name == "bbr":
        yield note(
            "congestion",
            "congestion control is BBR, which paces what is sent with "
            "timers: all subjects share that, but figures of machines with cubic differ",
            "sysctl -w net.ipv4.tcp_congestion_control=cubic",
        )
    elif name:
        yield ok("congestion", f"congestion control {name}")


def _memory(machine: Machine) -> Iterator[Finding]:
    info = machine.read("/proc/meminfo") or ""
    found = dict(re.findall(r"^(MemTotal|MemAvailable):\s*(\d+) kB", info, re.MULTILINE))
    limits = [
        int(text)
        for text in machine.cgroup_values("memory", "memory.max", "memory.limit_in_bytes")
        if text.isdecimal() and int(text) < UNLIMITED
    ]
    if not found:
        return
    total = int(found["MemTotal"]) << 10
    available = int(found.get("MemAvailable", found["MemTotal"])) << 10
    if limits and min(limits) < total:
        total = min(limits)
        text, remedy = f"memory: the cgroup allows {size(total)}", "raise the container's limit"
    else:
        text = f"memory: {size(available)} of {size(total)} available"
        remedy = "end other programs, or use a machine with more"
    if min(total, available) < MEMORY_WANTED:
        yield limit("memory", f"{text}: idle and the largest files may not fit", remedy)
    else:
        yield ok("memory", text)


def _kernel(machine: Machine) -> Iterator[Finding]:
    yield ok("kernel", f"Linux {machine.release}")
    choices = machine.read("/sys/kernel/mm/transparent_hugepage/enabled")
    huge = re.search(r"\[(\w+)\]", choices or "")
    if huge and huge[1] == "always":
        yield note(
            "huge-pages",
            "transparent huge pages are always on: peak memory is " "larger, and the kernel may stop to make them",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        )
    elif huge:
        yield ok("huge-pages", f"transparent huge pages: {huge[1]}")
    maps = machine.sysctl("vm.max_map_count")
    if maps is not None and maps < MAPS_DEFAULT:
        yield limit(
            "max-map-count",
            f"vm.max_map_count is {maps:,}: a request that waits "
            f"has a stack of its own, two mappings each, so {maps // 2:,} at most may wait",
            f"sysctl -w vm.max_map_count={4 * MAPS_DEFAULT}",
        )


def findings(machine: Machine) -> list[Finding]:
    """All about memory, descriptors and the network."""
    parts = (_kernel, _memory, _connections, _queues, _tracking, _congestion)
    return [finding for part in parts for finding in part(machine)]
