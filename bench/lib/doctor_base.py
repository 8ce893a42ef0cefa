"""What a doctor's finding is, and the machine it is found on: /proc and /sys below some root."""

from __future__ import annotations

import os
import re
import resource
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

SYSCALLS, TRIES = 5000, 5
LEVELS = ("fail", "limit", "note", "ok")  # the worst first


@dataclass(frozen=True)
class Finding:
    """One thing about this machine.

    Level fail makes comparing io_uring impossible, limit bounds what a run can show, note is worth
    knowing, ok is as it should be. remedy is None where there is none to give.
    """

    id: str
    level: str
    text: str
    remedy: str | None = None


def fail(id_: str, text: str, remedy: str | None = None) -> Finding:
    """What makes comparing io_uring impossible."""
    return Finding(id_, "fail", text, remedy)


def limit(id_: str, text: str, remedy: str | None = None) -> Finding:
    """What bounds what a run can show."""
    return Finding(id_, "limit", text, remedy)


def note(id_: str, text: str, remedy: str | None = None) -> Finding:
    """What is worth knowing."""
    return Finding(id_, "note", text, remedy)


def ok(id_: str, text: str) -> Finding:
    """What is as it should be."""
    return Finding(id_, "ok", text)


def parse_cpu_list(text: str) -> set[int]:
    """A kernel CPU list such as 0-2,5."""
    result: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first.strip().isdecimal():
            result.update(range(int(first), int(last or first) + 1))
    return result


def syscall_ns() -> float:
    """What the cheapest of system calls takes, Python's part of it taken off: the least of some tries."""

    def each(call: Callable[[], object]) -> float:
        begin = time.perf_counter_ns()
        for _ in range(SYSCALLS):
            call()
        return (time.perf_counter_ns() - begin) / SYSCALLS

    return max(min(each(os.getppid) for _ in range(TRIES)) - min(each(SYSCALLS.bit_length) for _ in range(TRIES)), 0.0)


@dataclass
class Machine:
    """Where everything is read from; tests give a root and limits of their own."""

    root: Path = Path("/")
    affinity: list[int] = field(default_factory=lambda: sorted(os.sched_getaffinity(0)))
    open_files: tuple[int, int] = field(default_factory=lambda: resource.getrlimit(resource.RLIMIT_NOFILE))
    locked_memory: tuple[int, int] = field(default_factory=lambda: resource.getrlimit(resource.RLIMIT_MEMLOCK))
    syscall_ns: Callable[[], float] = syscall_ns

    def read(self, path: str) -> str | None:
        """The text of a file, stripped; None where there is none to read."""
        try:
            return (self.root / path.lstrip("/")).read_text(errors="replace").strip()
        except (OSError, ValueError):
            return None

    def number(self, path: str) -> int | None:
        """A file that holds one whole number."""
        text = self.read(path)
        return int(text) if text and re.fullmatch(r"-?\d+", text) else None

    def exists(self, path: str) -> bool:
        """Whether there is anything of that name."""
        return (self.root / path.lstrip("/")).exists()

    def sysctl(self, name: str) -> int | None:
        """A sysctl that is one whole number."""
        return self.number("/proc/sys/" + name.replace(".", "/"))

    def status(self, key: str) -> str | None:
        """A field of this process's status, such as Seccomp."""
        found = re.search(rf"^{key}:\s*(.+)$", self.read("/proc/self/status") or "", re.MULTILINE)
        return found[1] if found else None

    @property
    def release(self) -> str:
        """Of the kernel, such as 6.1.0-18-amd64."""
        return self.read("/proc/sys/kernel/osrelease") or "unknown"

    def older_than(self, major: int, minor: int) -> bool:
        """Whether the kernel's release says so; only ever asked to explain a refusal."""
        found = re.match(r"(\d+)\.(\d+)", self.release)
        return bool(found) and (int(found[1]), int(found[2])) < (major, minor)

    def siblings(self, cpu: int) -> set[int]:
        """The CPUs that share a core with this one, itself included."""
        path = f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        return parse_cpu_list(self.read(path) or "") | {cpu}

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
            parts = [part for part in path.split("/") if part]
            for place in dict.fromkeys(places):
                for depth in range(len(parts), -1, -1):
                    text = self.read("/".join([place, *parts[:depth], name]))
                    if text is not None:
                        found.append(text)
        return found


def size(count: int) -> str:
    """Bytes for people: 8 MiB."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:g} {unit}" if count == int(count) else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
