"""A machine, as /proc and /sys below some root tell it."""

import os
import re
import resource
import timeit
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

SYSCALLS, TRIES = 5000, 5
FILES_SPARE = 512  # descriptors that a server keeps open beside its connections
PORTS_SPARE = 1024


def parse_cpu_list(text: str) -> set[int]:
    """A kernel CPU list such as 0-2,5."""
    result: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        result.update(range(int(first), int(last or first) + 1))
    return result


def size(count: float) -> str:
    """Bytes for people: 8 MiB."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:g} {unit}" if count == int(count) else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def syscall_ns() -> float:
    """What the cheapest of system calls takes, less Python's part of it: the least of some tries."""
    calls = (os.getppid, SYSCALLS.bit_length)
    system, python = (min(timeit.repeat(call, number=SYSCALLS, repeat=TRIES)) for call in calls)
    return max(system - python, 0.0) * 1e9 / SYSCALLS


@dataclass
class Machine:
    """Where everything is read from; tests give a root and limits of their own."""

    root: Path = Path("/")
    affinity: list[int] = field(default_factory=lambda: sorted(os.sched_getaffinity(0)))
    open_files: tuple[int, int] = field(default_factory=lambda: resource.getrlimit(resource.RLIMIT_NOFILE))
    locked_memory: tuple[int, int] = field(default_factory=lambda: resource.getrlimit(resource.RLIMIT_MEMLOCK))
    syscall_ns: Callable[[], float] = syscall_ns

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def read(self, name: str) -> str | None:
        """The text of a file, stripped; None where there is none to read."""
        try:
            return self.path(name).read_text(errors="replace").strip()
        except (OSError, ValueError):
            return None

    def find(self, pattern: str, name: str) -> str | None:
        """The first group of a pattern in a file, ^ and $ being ends of lines."""
        found = re.search(pattern, self.read(name) or "", re.MULTILINE)
        return found[1] if found else None

    def sysctl(self, name: str) -> int | None:
        """A sysctl that is one whole number."""
        text = self.read("/proc/sys/" + name.replace(".", "/"))
        return int(text) if text and re.fullmatch(r"-?\d+", text) else None

    def status(self, key: str) -> str | None:
        """A field of this process's status, such as Seccomp."""
        return self.find(rf"^{key}:\s*(.+)$", "/proc/self/status")

    @property
    def release(self) -> str:
        """Of the kernel, such as 6.1.0-18-amd64."""
        return self.read("/proc/sys/kernel/osrelease") or "unknown"

    def older_than(self, major: int, minor: int) -> bool:
        """Whether the kernel's release says so; only ever asked to explain a refusal."""
        found = re.match(r"(\d+)\.(\d+)", self.release)
        return bool(found) and (int(found[1]), int(found[2])) < (major, minor)

    @property
    def virtual(self) -> bool:
        return self.find(r"^flags.*\b(hypervisor)\b", "/proc/cpuinfo") is not None

    def memory(self, key: str) -> int | None:
        """Bytes of an entry of /proc/meminfo."""
        found = self.find(rf"^{key}:\s*(\d+) kB", "/proc/meminfo")
        return int(found) * 1024 if found else None

    def cpu_ticks(self) -> list[int]:
        """Of all CPUs since the boot: user, nice, system, idle, iowait, irq, softirq, steal."""
        return [int(word) for word in (self.find(r"^cpu +(.*)$", "/proc/stat") or "").split()[:8]]

    def siblings(self, cpu: int) -> set[int]:
        """The CPUs that share a core with this one, itself included."""
        path = f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        return parse_cpu_list(self.read(path) or "") | {cpu}

    def connections_possible(self) -> tuple[int, str]:
        """How many connections to one address can be had, and what bounds them: files or ports."""
        first, last = (self.read("/proc/sys/net/ipv4/ip_local_port_range") or "32768 60999").split()
        ports = max(int(last) - int(first) + 1 - PORTS_SPARE, 0)
        files = max(self.open_files[1] - FILES_SPARE, 0)
        return (files, "files") if 0 <= self.open_files[1] and files < ports else (ports, "ports")

    def cgroup_values(self, controller: str, v2: str, v1: str) -> list[str]:
        """What a cgroup file says in this process's group and in each above it, nearest first."""
        found = []
        for line in (self.read("/proc/self/cgroup") or "").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                places, name = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"], v2
            elif controller in controllers.split(","):
                places, name = [f"/sys/fs/cgroup/{controllers}", f"/sys/fs/cgroup/{controller}"], v1
            else:
                continue
            groups = [Path(path), *Path(path).parents]
            found += [self.read(f"{place}/{group}/{name}") for place in dict.fromkeys(places) for group in groups]
        return [text for text in found if text is not None]
