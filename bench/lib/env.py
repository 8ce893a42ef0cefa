"""What a reader must know about the machine and the programs to judge a result."""

import json
import os
import platform
from pathlib import Path
from typing import Any, Mapping, Sequence

from . import versions, words
from .host import Machine
from .peers import PEERS
from .program import output, version

SYSCTLS = (
    "net.ipv4.tcp_congestion_control",
    "net.core.default_qdisc",
    "net.core.somaxconn",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.ip_local_port_range",
    "kernel.io_uring_disabled",
)
CPU = "/sys/devices/system/cpu"
PASSING = ("load_average",)  # leaves of an environment that are never the same twice


def divide_cpus(allowed: Sequence[int], cores: int) -> tuple[list[int], list[int], str | None]:
    """CPUs for a server of that many cores and for the load, and what is wrong with them if anything is. The
    server gets one CPU of each of its cores, the load those of other cores, twice as many as the server where
    there are so many, for the load must not be the bottleneck."""
    siblings = {cpu: Machine().siblings(cpu) for cpu in allowed}
    first = [cpu for cpu in allowed if cpu == min(siblings[cpu] & set(allowed))]  # one CPU of every core
    ordered = first + [cpu for cpu in allowed if cpu not in first]
    server = ordered[:cores]
    apart = [cpu for cpu in ordered if not siblings[cpu] & set(server)]
    rest = [cpu for cpu in allowed if cpu not in server]
    if len(server) < cores or not rest:
        text = f"server and load share {len(allowed)} CPU{'s' if len(allowed) > 1 else ''}"
        text += f": for a server of {words.cores(cores)} use a machine with {cores + 1} or more"
        return server, list(allowed), text
    if not apart:
        text = f"server and load share cores as siblings (SMT): use a machine with {cores + 1} cores or more"
        return server, rest[: 2 * cores], text
    return server, apart[: 2 * cores], None


def flatten(content: Any, path: str = "") -> dict[str, Any]:
    """The leaves of an environment by their paths."""
    if isinstance(content, dict):
        leaves: dict[str, Any] = {}
        for key, one in content.items():
            leaves |= flatten(one, f"{path}.{key}" if path else key)
        return leaves
    return {path: json.loads(json.dumps(content))}


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What two environments differ in, a line each; what always differs is not looked at."""
    a, b = flatten(one), flatten(other)
    return [
        f"{path}: {a.get(path)} and {b.get(path)}"
        for path in sorted(a.keys() | b.keys())
        if path not in PASSING and a.get(path) != b.get(path)
    ]


def _cpu(machine: Machine) -> dict[str, Any]:
    vulnerabilities = sorted(Path(CPU, "vulnerabilities").glob("*"))
    return {
        "model": machine.find(r"^(?:model name|CPU part)\s*:\s*(.+)$", "/proc/cpuinfo"),
        "microcode": machine.find(r"^microcode\s*:\s*(.+)$", "/proc/cpuinfo"),
        "hypervisor": machine.virtual,
        "online": os.cpu_count(),
        "allowed": machine.affinity,
        "siblings_of_cpu0": sorted(machine.siblings(0)),
        "governor": machine.read(f"{CPU}/cpu0/cpufreq/scaling_governor"),
        "boost": machine.read(f"{CPU}/cpufreq/boost"),
        "mitigations": {path.name: machine.read(str(path)) for path in vulnerabilities},
    }


def collect(top: Path, build: Path) -> dict[str, Any]:
    """The environment of a run. What cannot be found out is None, never left out."""
    machine = Machine()
    status = output(["git", "status", "--porcelain"], top)
    return {
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "kernel_build": platform.version(),
        "kernel_command_line": machine.read("/proc/cmdline"),
        "cpu": _cpu(machine),
        "memory": machine.find(r"^(MemTotal.*)$", "/proc/meminfo"),
        "transparent_hugepage": machine.read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "clocksource": machine.read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "sysctl": {name: machine.read("/proc/sys/" + name.replace(".", "/")) for name in SYSCTLS},
        "ulimit": {"open_files": machine.open_files, "locked_memory": machine.locked_memory},
        "versions": {
            "liburing": versions.package("liburing"),
            "llhttp": versions.package("llhttp"),
            "wrk": version("wrk"),
            **{name: peer.version() for name, peer in PEERS.items()},
            "torc-load": version(str(build / "src/torc-load")),
            "python": platform.python_version(),
        },
        "build": {
            "directory": build.name,
            "compiler": versions.compiler(build),
            "options": versions.build_options(build),
        },
        "git": {
            "commit": output(["git", "rev-parse", "--verify", "--quiet", "HEAD"], top) or None,
            "dirty": None if status is None else status != "",
        },
        "load_average": os.getloadavg(),
    }


def short_commit(environment: Mapping[str, Any]) -> str | None:
    """Twelve digits, with a word where the tree had changes."""
    git = environment.get("git") or {}
    if not git.get("commit"):
        return None
    return str(git["commit"])[:12] + (" with changes" if git.get("dirty") else "")


def machine(environment: Mapping[str, Any]) -> str:
    cpu = environment.get("cpu") or {}
    allowed = len(cpu.get("allowed") or []) or cpu.get("online")
    parts = [
        str(cpu.get("model") or "unknown CPU"),
        f"{allowed} CPU{'s' if allowed != 1 else ''}" if allowed else "",
        "virtual machine" if cpu.get("hypervisor") else "",
        str(environment.get("kernel") or ""),
    ]
    return ", ".join(part for part in parts if part)
