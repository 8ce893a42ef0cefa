"""Child processes that never outlive the comparison, and the CPU time they use."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import os
import re
import resource
import select
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Sequence

from .ending import ENDING_SIGNALS

STOP_SECONDS = 5.0
READY_SECONDS = 10.0
READY_LINE = re.compile(r"ready (http://\S+:\d+)\s")
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
PROBE = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
MARK = "TORC_BENCH_CHILD"  # in the environment of a child and of all that it starts
LIBC = ctypes.CDLL(None)  # loaded here: nothing may be loaded between fork and exec


class ProcessError(Exception):
    """A child did not start, or ended when it should not have."""


@dataclass(frozen=True)
class Entry:
    """What the kernel says of a process; begun tells it from a later one of the same number."""

    state: str
    parent: int
    session: int
    begun: int


def _entry(pid: int) -> Entry:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Entry(fields[0], int(fields[1]), int(fields[3]), int(fields[19]))


def processes() -> dict[int, Entry]:
    """Every process there is."""
    table: dict[int, Entry] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                table[int(entry.name)] = _entry(int(entry.name))
            except OSError:
                continue  # it ended meanwhile
    return table


def family(pid: int, table: dict[int, Entry] | None = None) -> list[int]:
    """The process and all that descend from it."""
    table = processes() if table is None else table
    found = [pid]
    for member in found:
        found.extend(child for child, one in table.items() if one.parent == member)
    return found


def _children(pid: int) -> list[int]:
    """Of all threads of a process (/proc/PID/task/TID/children, proc(5)); none where it is gone.
    One that ends meanwhile may hide another."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, path.read_text().split())
    return found


def newcomers(pid: int, known: Sequence[int]) -> list[int]:
    """Those of a process's family that are not known. It asks the family alone, which takes a
    twentieth of the time that all processes take: it is asked between the parts of every sample."""
    if not Path(f"/proc/{pid}/task/{pid}/children").exists():
        return [one for one in family(pid) if one not in known]
    found = [pid]
    for member in found:
        found.extend(_children(member))
    return [one for one in found if one not in known]


def _kill(pid: int, begun: int) -> None:
    """Kills that very process and reaps it where it is ours."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return  # it is gone
    try:
        if _entry(pid).begun == begun:  # while the descriptor is open the number stays its own
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.waitpid(pid, os.WNOHANG)
    except OSError:
        pass  # gone, or another's child
    finally:
        os.close(pidfd)


@functools.cache
def adopt_orphans() -> bool:
    """From now on what loses its parent below us becomes our child, not init's. Whether all such
    orphans descend from our own children: a shell may have given us others before."""
    alone = len(family(os.getpid())) == 1
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return alone


class Gone(ProcessError):
    """A process of a server ended while it was watched."""

    def __init__(self) -> None:
        super().__init__("a process of the server ended")


class Child:
    """A process in a process group of its own, pinned to the given CPUs (none: not pinned).

    stop() ends it and all that descends from it, in whatever session; entering a Child as a context
    stops it at the end. The kernel kills it should this program die without doing so. One that is
    alone starts no others: to look for them takes CPU beside what is measured.
    """

    living: set["Child"] = set()  # started and not stopped
    count = itertools.count()

    def __init__(
        self,
        command: Sequence[str],
        cpus: Sequence[int],
        log: Path,
        output: int | IO[str] | None = subprocess.DEVNULL,
        alone: bool = False,
    ) -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

        def prepare() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            if cpus:
                os.sched_setaffinity(0, cpus)

        self.command = list(command)
        self.log = log
        self.alone = alone
        self.mark = f"{os.getpid()}-{next(Child.count)}"
        adopt_orphans()
        self.usage: resource.struct_rusage | None = None
        # A signal that ends us must not come between the start of a child and its entry in living.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
        try:
            with log.open("wb") as errors:
                self.process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    start_new_session=True,
                    preexec_fn=prepare,
                    env={**os.environ, MARK: self.mark},
                )
            self.pid = self.process.pid
            Child.living.add(self)
            self.begun = _entry(self.pid).begun
        except OSError as error:
            raise ProcessError(f"{command[0]}: {error.strerror}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait(self, seconds: float) -> int | None:
        """Its exit status, or None when it still runs after that long; then usage is set too."""
        if self.process.returncode is None:
            pidfd = os.pidfd_open(self.pid)  # to sleep on it takes no CPU from what is measured
            try:
                poll = select.poll()
                poll.register(pidfd, select.POLLIN)
                if not poll.poll(seconds * 1000):
                    return None
            finally:
                os.close(pidfd)
            _, status, self.usage = os.wait4(self.pid, 0)
            self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.process.returncode

    def signal(self, number: int) -> None:
        """Signals the group. One that is gone already is no error."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for what is left of it after STOP_SECONDS."""
        known = {} if self.alone else self._descendants({})  # later their parent may be gone
        if self.process.returncode is None:
            self.signal(signal.SIGTERM)
            self.wait(STOP_SECONDS)
        self.signal(signal.SIGKILL)
        self.wait(STOP_SECONDS)
        deadline = time.monotonic() + STOP_SECONDS
        while not self.alone and (known := self._descendants(known)):
            for pid, begun in known.items():
                _kill(pid, begun)
            if time.monotonic() > deadline:
                break
            time.sleep(0.002)
        Child.living.discard(self)

    def _descendants(self, known: dict[int, int]) -> dict[int, int]:
        """What descends from it and is there, with its begin: children's children, those known
        before, and orphans of ours that are its own."""
        table = processes()
        roots = [pid for pid, begun in known.items() if pid in table and table[pid].begun == begun]
        if self.process.returncode is None:
            roots.append(self.pid)
        living = {child.pid for child in Child.living}
        roots += [
            pid
            for pid, one in table.items()
            if one.parent == os.getpid() and pid not in living and self._left_behind(pid, one)
        ]
        found = dict.fromkeys(pid for root in roots for pid in family(root, table))
        return {pid: table[pid].begun for pid in found if pid in table and pid not in living}

    def _left_behind(self, pid: int, orphan: Entry) -> bool:
        """Whether an orphan descends from it: by its session, its mark, or because no other child
        could have started it (a server may overwrite its environment, where the mark is)."""
        if orphan.session in (self.pid, os.getsid(0)):  # a child is in a session of its own
            return orphan.session == self.pid
        try:
            words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            words = []
        marks = [word for word in words if word.startswith(f"{MARK}={os.getpid()}-".encode())]
        if marks:
            return f"{MARK}={self.mark}".encode() in marks
        return adopt_orphans() and Child.living <= {self} and orphan.begun >= self.begun

    @classmethod
    def stop_all(cls) -> None:
        """Stops what an exception left running; signals that ask to end are ignored meanwhile."""
        for number in ENDING_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        for child in list(cls.living):
            child.stop()

    def complaint(self) -> str:
        """The last line it wrote to stderr."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it printed nothing"

    def ready_url(self) -> str:
        """Waits for the line that says where it listens."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            status = self.wait(0)
            match = READY_LINE.search(self.log.read_text(errors="replace"))
            if match:
                return match.group(1)
            if status is not None:
                raise ProcessError(f"{self.command[0]} ended ({status}): {self.complaint()}")
            time.sleep(0.005)
        raise ProcessError(f"{self.command[0]} is not ready after {READY_SECONDS:.0f} s")

    def serves(self, port: int) -> None:
        """Waits until something on that port of 127.0.0.1 has answered a request, or ended the
        connection. A process that only listens may have its workers still to start."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if (status := self.wait(0)) is not None:
                raise ProcessError(f"{self.command[0]} ended ({status}): {self.complaint()}")
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as connection:
                    connection.sendall(PROBE)
                    connection.settimeout(max(deadline - time.monotonic(), 0.01))
                    connection.recv(1)
                return
            except TimeoutError:
                raise ProcessError(
                    f"{self.command[0]} listens and does not answer after " f"{READY_SECONDS:.0f} s"
                ) from None
            except ConnectionResetError:
                return
            except OSError:
                time.sleep(0.01)
        raise ProcessError(f"{self.command[0]} does not listen after {READY_SECONDS:.0f} s")


def taken(port: int) -> bool:
    """Whether something accepts on that port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def free_port() -> int:
    """A port of 127.0.0.1 that nothing uses now, for servers that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class CpuReading:
    """Nanoseconds on a CPU of each thread, and ticks of the processes with their ended threads."""

    threads: dict[tuple[int, int], int]
    ticks: int


def read_cpu(pids: Sequence[int]) -> CpuReading:
    """Reads schedstat (its first field) of every thread, io_uring's kernel workers included; Gone
    where one of the processes is no more."""
    threads: dict[tuple[int, int], int] = {}
    ticks = 0
    try:
        for pid in pids:
            for task in Path(f"/proc/{pid}/task").iterdir():
                try:
                    text = (task / "schedstat").read_text()
                except (FileNotFoundError, ProcessLookupError):
                    continue  # the thread ended meanwhile
                threads[pid, int(task.name)] = int(text.split()[0])
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if fields[0] in "ZX":
                raise Gone
            ticks += int(fields[11]) + int(fields[12])
    except (FileNotFoundError, ProcessLookupError) as error:
        raise Gone from error
    return CpuReading(threads, ticks)


def cpu_between(before: CpuReading, after: CpuReading) -> int:
    """Nanoseconds on a CPU between two readings.

    What a thread used that ended in between is only in the coarser ticks, so then those count.
    """
    precise = sum(ns - before.threads.get(key, 0) for key, ns in after.threads.items())
    if before.threads.keys() <= after.threads.keys():
        return precise
    return max(precise, (after.ticks - before.ticks) * 1_000_000_000 // os.sysconf("SC_CLK_TCK"))


def machine_busy_seconds() -> float:
    """CPU time all CPUs have spent on anything but idling, from /proc/stat."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def machine_stolen_seconds() -> float:
    """CPU time that the hypervisor gave to others while this machine wanted it."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK") if len(fields) > 8 else 0.0


def peak_rss_kb(pids: Sequence[int]) -> int | None:
    """The sum of the processes' largest resident sets, in kB."""
    total = 0
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return None
        found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
        total += int(found[1]) if found else 0
    return total
