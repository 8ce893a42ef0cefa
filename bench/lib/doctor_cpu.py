"""Findings about processors: how many, shared with whom, how steady, and what mitigations cost."""

import re
from typing import Iterator

from .host import Finding, Machine, parse_cpu_list

CPU = "/sys/devices/system/cpu"
FEW_CPUS = 4
STEAL_MUCH = 0.01
BUSY_SHARE = 0.25  # of the CPUs, by the load average of a minute
CHEAP_CLOCKS = ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "xen")
DEAR_SYSCALL_NS = 500  # more than bare metal takes with all mitigations
COUNTERS = ("cpu", "cpu_core", "armv8_pmuv3", "armv8_pmuv3_0")
CONTAINERS = ("/.dockerenv", "/run/.containerenv", "/run/systemd/container")


def _cpus(machine: Machine) -> Iterator[Finding]:
    allowed = machine.affinity
    online = len(parse_cpu_list(machine.read(f"{CPU}/online") or "")) or len(allowed)
    count, cores = len(allowed), len({min(machine.siblings(cpu)) for cpu in allowed})
    model = machine.find(r"^(?:model name|Processor|cpu model|CPU part)\s*:\s*(.+)$", "/proc/cpuinfo")
    text = f"{count} CPU{'s' if count > 1 else ''} on {cores} core{'s' if cores > 1 else ''}"
    yield Finding("cpu", "ok", f"{(model or 'a CPU of unknown model').strip()}, {text}")
    if count < online:
        text, remedy = f"this process may use {count} of {online} CPUs", "taskset, or the container's cpuset, decides"
        yield Finding("affinity", "note", text, remedy)
    if count == 1:
        text = (
            "1 CPU: server and load share it, so that CPU per request can be compared and throughput and latency cannot"
        )
    elif cores == 1:
        text = f"the {count} CPUs are one core's (SMT): server and load slow each other down"
    elif count == 2:
        text = "2 CPUs: server and load get one each; scaling beyond 1 server core cannot be measured"
    elif cores < FEW_CPUS:
        text = f"{cores} cores: a server gets {cores - 1} at most, the load the other"
    else:
        text = f"{cores} cores: a server can be scaled to {cores - 1}, and to {cores // 2} with as many for the load"
    few = count <= 2 or cores < FEW_CPUS
    remedy = "use a machine with at least 4 cores" if few else None
    yield Finding("few-cores", "limit" if few else "ok", text, remedy)
    if machine.read(f"{CPU}/smt/active") == "1" and cores > 1:
        text = "SMT is on: server and load get different cores, but a busy sibling makes a CPU slower"
        yield Finding("smt", "note", text, f"echo off > {CPU}/smt/control")


def _quota(machine: Machine) -> Iterator[Finding]:
    quotas = []
    for text in machine.cgroup_values("cpu", "cpu.max", "cpu.cfs_quota_us"):
        quota, _, period = text.partition(" ")
        if quota not in ("", "max", "-1"):
            quotas.append(int(quota) / int(period or 100_000))
    if quotas and min(quotas) < len(machine.affinity):
        text = (
            f"the cgroup allows {min(quotas):g} CPUs' time on {len(machine.affinity)} CPUs: when it is used up, "
            "server and load stand still, which shows in the tail of every latency"
        )
        remedy = "lift it (docker run without --cpus; cpu.max: max) and give whole CPUs by cpuset instead"
        yield Finding("cpu-quota", "limit", text, remedy)


def _frequency(machine: Machine) -> Iterator[Finding]:
    governor = machine.read(f"{CPU}/cpu0/cpufreq/scaling_governor")
    if governor is None:
        text = (
            "the governor of the CPU's clock cannot be read here: whether the clock changes during a run is not known"
        )
        yield Finding("frequency", "note", text)
    elif governor == "performance":
        yield Finding("frequency", "ok", "governor performance")
    else:
        text = (
            f"the clock follows the load (governor {governor}): a server that idles more runs slower, "
            "and cheaper requests look dearer"
        )
        yield Finding("frequency", "limit", text, "cpupower frequency-set -g performance")
    for path, on, off in ((f"{CPU}/cpufreq/boost", "1", "0"), (f"{CPU}/intel_pstate/no_turbo", "0", "1")):
        if machine.read(path) == on:
            text = "boost is on: the clock depends on temperature and on how many cores are busy"
            yield Finding("boost", "note", text, f"echo {off} > {path}")
            break


def _mitigations(machine: Machine) -> Iterator[Finding]:
    active, absent = [], []
    for path in sorted(machine.path(f"{CPU}/vulnerabilities").glob("*")):
        text = machine.read(f"{CPU}/vulnerabilities/{path.name}") or ""
        if text.startswith("Mitigation"):
            active.append(path.name)
        elif text.startswith("Vulnerable"):
            absent.append(path.name)
    if "mitigations=off" in (machine.read("/proc/cmdline") or ""):
        text = (
            "CPU mitigations are switched off: system calls are cheaper here than on most servers, which favours epoll"
        )
        yield Finding("mitigations", "note", text, "boot without mitigations=off")
    elif active or absent:
        both = (("active against", active), ("none against", absent))
        parts = "; ".join(f"{word} {', '.join(names)}" for word, names in both if names)
        text = f"CPU mitigations: {parts}: they are part of what a system call costs"
        text += ", so compare figures of one machine only"
        yield Finding("mitigations", "note", text)


def _virtual(machine: Machine) -> Iterator[Finding]:
    kind = machine.read("/sys/hypervisor/type")
    vendor = machine.read("/sys/class/dmi/id/sys_vendor") or ""
    counters = any(machine.path(f"/sys/bus/event_source/devices/{name}").exists() for name in COUNTERS)
    ticks = machine.cpu_ticks()
    steal = ticks[7] / sum(ticks) if len(ticks) == 8 and sum(ticks) else None
    if machine.virtual or kind or re.search("QEMU|VMware|Xen|innotek|Parallels|Bochs", vendor):
        name = f" ({kind or vendor})" if kind or vendor else ""
        none = "" if counters else ": no hardware counters"
        share = "" if steal is None else f"; steal was {steal * 100:.1f} % since boot"
        text = f"virtual machine{name}{none}{share}; the host's other guests are part of every figure"
        yield Finding("virtual", "limit", text, "repeat on bare metal")
    else:
        yield Finding("virtual", "ok", "no sign of a virtual machine")
        if not counters:
            yield Finding("counters", "note", "no hardware counters: cycles and instructions cannot be counted")
    if steal is not None and steal > STEAL_MUCH:
        text = f"the host took away {steal * 100:.1f} % of this machine's CPU time since boot"
        yield Finding("steal", "limit", text, "use a dedicated host")
    if any(machine.path(name).exists() for name in CONTAINERS):
        yield Finding("container", "note", "in a container: its seccomp profile, its limits and its network count")


def _time(machine: Machine) -> Iterator[Finding]:
    name = machine.read("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    if name in CHEAP_CLOCKS:
        yield Finding("clock", "ok", f"clock source {name}")
    elif name:
        text = f"clock source {name}: every look at the clock is a slow system call, for server and load"
        yield Finding("clock", "limit", text, "boot with tsc=reliable where the TSC is sound")
    each = machine.syscall_ns()
    if each > DEAR_SYSCALL_NS:
        text = (
            f"a system call takes {each / 1000:.1f} µs here, many times what it does on bare metal: what makes few "
            "of them, as io_uring does, gains more here than it does there"
        )
        yield Finding("syscalls", "limit", text, "compare on the kind of machine that is to serve")
    else:
        yield Finding("syscalls", "ok", f"a system call takes {each / 1000:.2f} µs")
    load = (machine.read("/proc/loadavg") or "0").split()[0]
    if float(load) > BUSY_SHARE * len(machine.affinity):
        text = f"the machine is busy: load average {load} in the last minute on {len(machine.affinity)} CPUs"
        yield Finding("busy", "limit", text, "end other programs")


def findings(machine: Machine) -> list[Finding]:
    """All about processors."""
    parts = (_cpus, _quota, _frequency, _mitigations, _virtual, _time)
    return [finding for part in parts for finding in part(machine)]
