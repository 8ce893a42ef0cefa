"""What a reader must know about the machine and the programs to judge a result."""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import subprocess
from pathlib import Path
from typing import Any, Mapping, Sequence

SYSCTLS = (
    "net.ipv4.tcp_congestion_control",
    "net.core.default_qdisc",
    "net.core.somaxconn",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.ip_local_port_range",
    "kernel.io_uring_disabled",
)
PASSING = ("load_average",)  # leaves of an environment that are never the same twice


def _text(path: str | Path) -> str | None:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return None


def _output(command: Sequence[str], directory: Path | None = None) -> str | None:
    """What a short command prints (stdout, else stderr); None where it is missing or fails."""
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout.strip() or done.stderr.strip()) if done.returncode <= 1 else None


def _version(command: Sequence[str]) -> str | None:
    """The first thing that looks like a version in a command's output."""
    found = re.search(r"\d+(\.\d+)+\S*", _output(command) or "")
    return found.group(0) if found else None


def siblings(cpu: int) -> set[int]:
    """The CPUs that share a core with this one, itself included."""
    text = _text(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") or str(cpu)
    return parse_cpu_list(text)


def parse_cpu_list(text: str) -> set[int]:
    """A kernel CPU list such as 0-2,5."""
    result: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        result.update(range(int(first), int(last or first) + 1))
    return result


def divide_cpus(allowed: Sequence[int], cores: int) -> tuple[list[int], list[int], str | None]:
    """CPUs for a server of that many cores and for the load, and what is wrong with them if
    anything is.

    The server gets one CPU of each of its cores, the load those of other cores, twice as many as
    the server where there are so many, for the load must not be the bottleneck.
    """
    first: list[int] = []  # one CPU of every core, then the others
    second: list[int] = []
    for cpu in allowed:
        (second if siblings(cpu) & set(first) else first).append(cpu)
    server = (first + second)[:cores]
    taken = set().union(*(siblings(cpu) for cpu in server))
    load = [cpu for cpu in first + second if cpu not in taken][: 2 * cores]
    if len(server) == cores and load:
        return server, load, None
    load = [cpu for cpu in allowed if cpu not in server][: 2 * cores]
    if len(server) == cores and load:
        return (
            server,
            load,
            ("server and load share cores as siblings (SMT): use a machine with " f"{cores + 1} cores or more"),
        )
    return (
        server,
        list(allowed),
        (
            f"server and load share {len(allowed)} CPU{'s' if len(allowed) > 1 else ''}: for a server "
            f"of {cores} core{'s' if cores > 1 else ''} use a machine with {cores + 1} or more"
        ),
    )


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
    sides = [{path: leaf for path, leaf in flatten(side).items() if path not in PASSING} for side in (one, other)]
    return [
        f"{path}: {sides[0].get(path)} and {sides[1].get(path)}"
        for path in sorted(sides[0].keys() | sides[1].keys())
        if sides[0].get(path) != sides[1].get(path)
    ]


def _cpu() -> dict[str, Any]:
    info = _text("/proc/cpuinfo") or ""

    def first(key: str) -> str | None:
        found = re.search(rf"^{key}\s*:\s*(.+)$", info, re.MULTILINE)
        return found.group(1) if found else None

    vulnerabilities = Path("/sys/devices/system/cpu/vulnerabilities")
    return {
        "model": first("model name") or first("CPU part"),
        "microcode": first("microcode"),
        "hypervisor": bool(re.search(r"^flags.*\bhypervisor\b", info, re.MULTILINE)),
        "online": os.cpu_count(),
        "allowed": sorted(os.sched_getaffinity(0)),
        "siblings_of_cpu0": sorted(siblings(0)),
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "boost": _text("/sys/devices/system/cpu/cpufreq/boost"),
        "mitigations": {path.name: _text(path) for path in sorted(vulnerabilities.glob("*"))},
    }


def _build(build: Path) -> dict[str, Any]:
    """Compiler and options of a Meson build directory."""
    result: dict[str, Any] = {"directory": build.name}
    compilers = _text(build / "meson-info/intro-compilers.json")
    if compilers:
        c = json.loads(compilers).get("host", {}).get("c", {})
        result["compiler"] = c.get("full_version") or c.get("version")
    options = _text(build / "meson-info/intro-buildoptions.json")
    if options:
        wanted = {"buildtype", "optimization", "b_lto", "b_ndebug", "b_sanitize", "c_args", "engines", "jemalloc"}
        result["options"] = {
            option["name"]: option["value"] for option in json.loads(options) if option["name"] in wanted
        }
    return result


def _peers() -> dict[str, str | None]:
    """Versions of other people's servers."""
    from .peers import PEERS  # only here: what reads environments does not need the servers

    return {name: peer.version() for name, peer in PEERS.items()}


def collect(top: Path, build: Path) -> dict[str, Any]:
    """The environment of a run. What cannot be found out is None, never left out."""
    status = _output(["git", "status", "--porcelain"], top)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    locked = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return {
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "kernel_build": platform.version(),
        "kernel_command_line": _text("/proc/cmdline"),
        "cpu": _cpu(),
        "memory": ((_text("/proc/meminfo") or "").splitlines() or [None])[0],
        "transparent_hugepage": _text("/sys/kernel/mm/transparent_hugepage/enabled"),
        "clocksource": _text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "sysctl": {name: _text("/proc/sys/" + name.replace(".", "/")) for name in SYSCTLS},
        "ulimit": {"open_files": files, "locked_memory": locked},
        "versions": {
            "liburing": _output(["pkg-config", "--modversion", "liburing"]),
            "llhttp": _output(["pkg-config", "--modversion", "libllhttp"]),
            "wrk": _version(["wrk", "--version"]),
            **_peers(),
            "torc-load": _version([str(build / "src/torc-load"), "--version"]),
            "python": platform.python_version(),
        },
        "build": _build(build),
        "git": {
            "commit": _output(["git", "rev-parse", "--verify", "--quiet", "HEAD"], top) or None,
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
    """The machine in a few words."""
    cpu = environment.get("cpu") or {}
    allowed = len(cpu.get("allowed") or []) or cpu.get("online")
    parts = [
        str(cpu.get("model") or "unknown CPU"),
        f"{allowed} CPU{'s' if allowed != 1 else ''}" if allowed else "",
        "virtual machine" if cpu.get("hypervisor") else "",
        str(environment.get("kernel") or ""),
    ]
    return ", ".join(part for part in parts if part)
