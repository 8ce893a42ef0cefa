"""Findings about processors: how many, shared with whom, how steady, and what mitigations cost."""

import re
from typing import Iterator

from .finding import Finding, find
from .host import Machine, parse_cpu_list

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
    count, cores = len(allowed), len({min(machine.siblings(cpu)) for cpu in allowed})
    model = machine.find(r"^(?:model name|Processor|cpu model|CPU part)\s*:\s*(.+)$", "/proc/cpuinfo")
    words = [f"{n} {name}{'s' if n > 1 else ''}" for n, name in ((count, "CPU"), (cores, "core"))]
    yield find("cpu", model=(model or "a CPU of unknown model").strip(), count=words[0], cores=words[1])
    online = len(parse_cpu_list(machine.read(f"{CPU}/online") or ""))
    if count < online:
        yield find("affinity", count=count, online=online)
    if count == 1:
        yield find("few-cores.one")
    elif cores == 1:
        yield find("few-cores.siblings", count=count)
    elif count == 2:
        yield find("few-cores.two")
    else:
        form = "three" if cores < FEW_CPUS else "enough"
        yield find(f"few-cores.{form}", cores=cores, most=cores - 1, half=cores // 2)
    if machine.read(f"{CPU}/smt/active") == "1" and cores > 1:
        yield find("smt", path=CPU)


def _quota(machine: Machine) -> Iterator[Finding]:
    quotas = []
    for text in machine.cgroup_values("cpu", "cpu.max", "cpu.cfs_quota_us"):
        quota, _, period = text.partition(" ")
        if quota not in ("", "max", "-1"):
            quotas.append(int(quota) / int(period or 100_000))
    if quotas and min(quotas) < len(machine.affinity):
        yield find("cpu-quota", quota=min(quotas), count=len(machine.affinity))


def _frequency(machine: Machine) -> Iterator[Finding]:
    governor = machine.read(f"{CPU}/cpu0/cpufreq/scaling_governor")
    form = {None: "unknown", "performance": "steady"}.get(governor, "follows")
    yield find(f"frequency.{form}", governor=governor)
    for path, on, off in ((f"{CPU}/cpufreq/boost", "1", "0"), (f"{CPU}/intel_pstate/no_turbo", "0", "1")):
        if machine.read(path) == on:
            yield find("boost", off=off, path=path)
            break


def _mitigations(machine: Machine) -> Iterator[Finding]:
    found: dict[str, list[str]] = {"Mitigation": [], "Vulnerable": []}
    for path in sorted(machine.path(f"{CPU}/vulnerabilities").glob("*")):
        said = machine.read(f"{CPU}/vulnerabilities/{path.name}") or ""
        for word, names in found.items():
            if said.startswith(word):
                names.append(path.name)
    both = (("active against", found["Mitigation"]), ("none against", found["Vulnerable"]))
    parts = "; ".join(f"{word} {', '.join(names)}" for word, names in both if names)
    if "mitigations=off" in (machine.read("/proc/cmdline") or ""):
        yield find("mitigations.off")
    elif parts:
        yield find("mitigations.on", parts=parts)


def _virtual(machine: Machine) -> Iterator[Finding]:
    kind = machine.read("/sys/hypervisor/type")
    vendor = machine.read("/sys/class/dmi/id/sys_vendor") or ""
    counters = any(machine.path(f"/sys/bus/event_source/devices/{name}").exists() for name in COUNTERS)
    ticks = machine.cpu_ticks()
    steal = ticks[7] / sum(ticks) if len(ticks) == 8 and sum(ticks) else None
    if machine.virtual or kind or re.search("QEMU|VMware|Xen|innotek|Parallels|Bochs", vendor):
        yield find(
            "virtual.yes",
            name=f" ({kind or vendor})" if kind or vendor else "",
            counters="" if counters else ": no hardware counters",
            steal="" if steal is None else f"; steal was {steal * 100:.1f} % since boot",
        )
    else:
        yield find("virtual.no")
        if not counters:
            yield find("counters")
    if steal is not None and steal > STEAL_MUCH:
        yield find("steal", share=steal * 100)
    if any(machine.path(name).exists() for name in CONTAINERS):
        yield find("container")


def _time(machine: Machine) -> Iterator[Finding]:
    name = machine.read("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    if name:
        yield find("clock.cheap" if name in CHEAP_CLOCKS else "clock.slow", name=name)
    each = machine.syscall_ns()
    yield find("syscalls.dear" if each > DEAR_SYSCALL_NS else "syscalls.cheap", us=each / 1000)
    load, count = (machine.read("/proc/loadavg") or "0").split()[0], len(machine.affinity)
    if float(load) > BUSY_SHARE * count:
        yield find("busy", load=load, count=count)


def findings(machine: Machine) -> list[Finding]:
    parts = (_cpus, _quota, _frequency, _mitigations, _virtual, _time)
    return [finding for part in parts for finding in part(machine)]
