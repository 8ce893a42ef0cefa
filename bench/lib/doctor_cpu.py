"""Findings about processors: how many, shared with whom, how steady, and what mitigations cost."""

from __future__ import annotations

import re
from typing import Iterator

from .doctor_base import Finding, Machine, limit, note, ok, parse_cpu_list

CPU = "/sys/devices/system/cpu"
FEW_CPUS = 4
STEAL_MUCH = 0.01
BUSY_SHARE = 0.25  # of the CPUs, by the load average of a minute
CHEAP_CLOCKS = ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "xen")
DEAR_SYSCALL_NS = 500  # more than bare metal takes with all mitigations
MORE = "use a machine with at least 4 cores"


def _model(machine: Machine) -> str:
    info = machine.read("/proc/cpuinfo") or ""
    found = re.search(r"^(model name|Processor|cpu model|CPU part)\s*:\s*(.+)$", info, re.MULTILINE)
    return found[2].strip() if found else "a CPU of unknown model"


def _cpus(machine: Machine) -> Iterator[Finding]:
    allowed = machine.affinity
    online = len(parse_cpu_list(machine.read(f"{CPU}/online") or "")) or len(allowed)
    cores = {min(machine.siblings(cpu)) for cpu in allowed}
    count = len(allowed)
    text = (
        f"{_model(machine)}, {count} CPU{'s' if count > 1 else ''} on {len(cores)} "
        f"core{'s' if len(cores) > 1 else ''}"
    )
    yield ok("cpu", text)
    if count < online:
        yield note(
            "affinity", f"this process may use {count} of {online} CPUs", "taskset, or the container's cpuset, decides"
        )
    if count == 1:
        yield limit(
            "few-cores",
            "1 CPU: server and load share it, so that CPU per request "
            "can be compared and throughput and latency cannot",
            MORE,
        )
    elif len(cores) == 1:
        yield limit(
            "few-cores", f"the {count} CPUs are one core's (SMT): server and load " "slow each other down", MORE
        )
    elif count == 2:
        yield limit(
            "few-cores",
            "2 CPUs: server and load get one each; scaling beyond 1 " "server core cannot be measured",
            MORE,
        )
    elif len(cores) < FEW_CPUS:
        yield limit(
            "few-cores", f"{len(cores)} cores: a server gets {len(cores) - 1} at " "most, the load the other", MORE
        )
    else:
        yield ok(
            "few-cores",
            f"{len(cores)} cores: a server can be scaled to {len(cores) - 1}, "
            f"and to {len(cores) // 2} with as many for the load",
        )
    if machine.read(f"{CPU}/smt/active") == "1" and len(cores) > 1:
        yield note(
            "smt",
            "SMT is on: server and load get different cores, but a busy " "sibling makes a CPU slower",
            f"echo off > {CPU}/smt/control",
        )


def _quota(machine: Machine) -> Iterator[Finding]:
    quotas = []
    for text in machine.cgroup_values("cpu", "cpu.max", "cpu.cfs_quota_us"):
        words = text.split()
        if words and words[0] not in ("max", "-1"):
            period = int(words[1]) if len(words) > 1 else 100_000
            quotas.append(int(words[0]) / period)
    if quotas and min(quotas) < len(machine.affinity):
        yield limit(
            "cpu-quota",
            f"the cgroup allows {min(quotas):g} CPUs' time on "
            f"{len(machine.affinity)} CPUs: when it is used up, server and load stand "
            "still, which shows in the tail of every latency",
            "lift it (docker run without --cpus; cpu.max: max) and give whole CPUs by " "cpuset instead",
        )


def _frequency(machine: Machine) -> Iterator[Finding]:
    governor = machine.read(f"{CPU}/cpu0/cpufreq/scaling_governor")
    if governor is None:
        yield note(
            "frequency",
            "the governor of the CPU's clock cannot be read here: "
            "whether the clock changes during a run is not known",
        )
    elif governor != "performance":
        yield limit(
            "frequency",
            f"the clock follows the load (governor {governor}): a "
            "server that idles more runs slower, and cheaper requests look dearer",
            "cpupower frequency-set -g performance",
        )
    else:
        yield ok("frequency", "governor performance")
    boost = machine.read(f"{CPU}/cpufreq/boost")
    if boost is None and (no_turbo := machine.read(f"{CPU}/intel_pstate/no_turbo")):
        boost = "1" if no_turbo == "0" else "0"
    if boost == "1":
        plain = machine.exists(f"{CPU}/cpufreq/boost")
        yield note(
            "boost",
            "boost is on: the clock depends on temperature and on how many " "cores are busy",
            f"echo 0 > {CPU}/cpufreq/boost" if plain else f"echo 1 > {CPU}/intel_pstate/no_turbo",
        )


def _mitigations(machine: Machine) -> Iterator[Finding]:
    active, open_ = [], []
    directory = machine.root / f"{CPU}/vulnerabilities".lstrip("/")
    for path in sorted(directory.glob("*")) if directory.is_dir() else []:
        text = machine.read(f"{CPU}/vulnerabilities/{path.name}") or ""
        if text.startswith("Mitigation"):
            active.append(path.name)
        elif text.startswith("Vulnerable"):
            open_.append(path.name)
    if "mitigations=off" in (machine.read("/proc/cmdline") or ""):
        yield note(
            "mitigations",
            "CPU mitigations are switched off: system calls are "
            "cheaper here than on most servers, which favours epoll",
            "boot without mitigations=off",
        )
    elif active or open_:
        parts = [
            f"{word} {', '.join(names)}"
            for word, names in (("active against", active), ("none against", open_))
            if names
        ]
        yield note(
            "mitigations",
            f"CPU mitigations: {'; '.join(parts)}: they are part of "
            "what a system call costs, so compare figures of one machine only",
        )


def _steal(machine: Machine) -> float | None:
    fields = (machine.read("/proc/stat") or "").split("\n", 1)[0].split()
    if len(fields) < 9:
        return None
    ticks = [int(word) for word in fields[1:9]]
    return ticks[7] / sum(ticks) if sum(ticks) else None


def _virtual(machine: Machine) -> Iterator[Finding]:
    flags = re.search(r"^flags.*\bhypervisor\b", machine.read("/proc/cpuinfo") or "", re.MULTILINE)
    kind = machine.read("/sys/hypervisor/type")
    vendor = machine.read("/sys/class/dmi/id/sys_vendor") or ""
    known = re.search("QEMU|VMware|Xen|innotek|Parallels|Bochs", vendor)
    steal = _steal(machine)
    share = "" if steal is None else f"; steal was {steal * 100:.1f} % since boot"
    counters = any(
        machine.exists(f"/sys/bus/event_source/devices/{name}")
        for name in ("cpu", "cpu_core", "armv8_pmuv3", "armv8_pmuv3_0")
    )
    if flags or kind or known:
        name = f" ({kind or vendor})" if kind or vendor else ""
        none = "" if counters else ": no hardware counters"
        yield limit(
            "virtual",
            f"virtual machine{name}{none}{share}; the host's other " "guests are part of every figure",
            "repeat on bare metal",
        )
    else:
        yield ok("virtual", "no sign of a virtual machine")
        if not counters:
            yield note("counters", "no hardware counters: cycles and instructions cannot " "be counted")
    if steal is not None and steal > STEAL_MUCH:
        yield limit(
            "steal",
            f"the host took away {steal * 100:.1f} % of this machine's " "CPU time since boot",
            "use a dedicated host",
        )
    if (
        machine.exists("/.dockerenv")
        or machine.exists("/run/.containerenv")
        or machine.exists("/run/systemd/container")
    ):
        yield note("container", "in a container: its seccomp profile, its limits and its " "network count")


def _clock(machine: Machine) -> Iterator[Finding]:
    name = machine.read("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    if name and name not in CHEAP_CLOCKS:
        yield limit(
            "clock",
            f"clock source {name}: every look at the clock is a slow " "system call, for server and load",
            "boot with tsc=reliable where the TSC is sound",
        )
    elif name:
        yield ok("clock", f"clock source {name}")


def _syscalls(machine: Machine) -> Iterator[Finding]:
    each = machine.syscall_ns()
    if each > DEAR_SYSCALL_NS:
        yield limit(
            "syscalls",
            f"a system call takes {each / 1000:.1f} µs here, many times what it does "
            "on bare metal: what makes few of them, as io_uring does, gains more here than it does "
            "there",
            "compare on the kind of machine that is to serve",
        )
    else:
        yield ok("syscalls", f"a system call takes {each / 1000:.2f} µs")


def _busy(machine: Machine) -> Iterator[Finding]:
    words = (machine.read("/proc/loadavg") or "").split()
    if words and float(words[0]) > BUSY_SHARE * len(machine.affinity):
        yield limit(
            "busy",
            f"the machine is busy: load average {words[0]} in the last " f"minute on {len(machine.affinity)} CPUs",
            "end other programs",
        )


def findings(machine: Machine) -> list[Finding]:
    """All about processors."""
    parts = (_cpus, _quota, _frequency, _mitigations, _virtual, _clock, _syscalls, _busy)
    return [finding for part in parts for finding in part(machine)]
