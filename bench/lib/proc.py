"""Child processes, which end with the comparison, and the CPU time they use.

Where SIGKILL ends the comparison, what its children have started may go on: workers of nginx, say.
"""

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
from typing import IO, Callable, Iterable, Iterator, Mapping, Sequence

from . import room
from .ending import ENDING_SIGNALS, held
from .host import Machine

STOP_SECONDS = 5.0
READY_SECONDS = 10.0
READY_LINE = re.compile(r"ready (http://\S+:\d+)\s")
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, CPUCLOCK_SCHED = 1, 36, 2  # of the kernel's headers
PROBE = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
MARK = "TORC_BENCH_CHILD"  # in the environment of a child and of all that it starts
LIBC = ctypes.CDLL(None)  # loaded here: nothing may be loaded between fork and exec
TICKS = os.sysconf("SC_CLK_TCK")  # of a second


class ProcessError(Exception):
    """A child did not start, or ended when it should not have."""


class Gone(ProcessError):
    """A process of a server ended while it was watched."""


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """For what is read of a server's processes, which have to be there."""
    try:
        yield
    except PermissionError:
        raise
    except OSError as error:
        raise Gone("a process of the server ended") from error


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
    table: dict[int, Entry] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it ended meanwhile
            table[int(name)] = _entry(int(name))
    return table


def family(pid: int, table: Mapping[int, Entry] | None = None) -> list[int]:
    """The process and all that descend from it. Without a table it asks the family alone, which takes a
    twentieth of the time that all processes take, but a process that ends meanwhile may hide another."""
    if table is None and not Path(f"/proc/{pid}/task/{pid}/children").exists():  # an option of the kernel
        table = processes()
    found = [pid]
    for member in found:
        found += _children(member) if table is None else [one for one in table if table[one].parent == member]
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, path.read_text().split())
    return found


def _kill(pid: int, begun: int) -> None:
    """Kills that very process and reaps it where it is ours."""
    with contextlib.suppress(OSError):  # it is gone, or another's child
        pidfd = os.pidfd_open(pid)
        try:
            if _entry(pid).begun == begun:  # while the descriptor is open the number stays its own
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
        finally:
            os.close(pidfd)


@functools.cache
def adopt_orphans() -> bool:
    """What loses its parent below us becomes our child, not init's. Whether all such orphans descend
    from our own children: a shell may have given us others before."""
    alone = len(family(os.getpid())) == 1
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return alone


class Child:
    """A process in a process group of its own, pinned to the given CPUs (none: not pinned). stop() ends it and all
    that descends from it, in whatever session; entering a Child as a context stops it at the end. Should this
    program die without doing so, by SIGKILL, the kernel kills the process itself, and none that it has started. One
    that is alone starts no others: to look for them takes CPU beside what is measured."""

    living: set[Child] = set()  # started and not stopped
    count = itertools.count()

    def __init__(
        self,
        command: Sequence[str],
        cpus: Sequence[int],
        log: Path,
        output: int | IO[str] | None = subprocess.DEVNULL,
        alone: bool = False,
        environment: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.command, self.log, self.alone = list(command), log, alone
        self.mark = f"{os.getpid()}-{next(Child.count)}"
        self.usage: resource.struct_rusage | None = None
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        variables = {**os.environ, **dict(environment), MARK: self.mark}

        def prepare() -> None:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            if cpus:
                os.sched_setaffinity(0, cpus)

        adopt_orphans()
        # A signal that ends us must not come between the start of a child and its entry in living.
        try:
            with held(), log.open("wb") as errors:
                more = {"start_new_session": True, "preexec_fn": prepare, "env": variables}
                streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": errors}
                self.process = subprocess.Popen(self.command, **streams, **more)
                self.pid = self.process.pid
                Child.living.add(self)
                self.begun = _entry(self.pid).begun
        except OSError as error:
            raise ProcessError(f"{command[0]}: {error.strerror}") from error

    def __enter__(self) -> Child:
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
            with held():  # it can be waited for once
                _, status, self.usage = os.wait4(self.pid, 0)
                self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.process.returncode

    def signal(self, number: int) -> None:
        """Signals the group. One that is gone already is no error."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

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
        """What descends from it, with its begin: its family, those known before, and its orphans."""
        table, living = processes(), {child.pid for child in Child.living}
        roots = [pid for pid, begun in known.items() if pid in table and table[pid].begun == begun]
        roots += [self.pid] if self.process.returncode is None else []
        ours = [pid for pid, one in table.items() if one.parent == os.getpid() and pid not in living]
        roots += [pid for pid in ours if self._left_behind(pid, table[pid])]
        found = dict.fromkeys(pid for root in roots for pid in family(root, table))
        return {pid: table[pid].begun for pid in found if pid in table and pid not in living}

    def _left_behind(self, pid: int, orphan: Entry) -> bool:
        """By its session, its mark, or because no other child could have started it: a server may
        overwrite its environment, where the mark is."""
        if orphan.session in (self.pid, os.getsid(0)):  # a child is in a session of its own
            return orphan.session == self.pid
        words: list[bytes] = []
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
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
        """The last that it said, and that there is no room to say more."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return (lines[-1] if lines else "it printed nothing") + self.lacking()

    def lacking(self) -> str:
        """What is added to the reason of its failure."""
        why = room.lacking(self.log.parent)
        return f" ({why})" if why else ""

    def _until(self, found: Callable[[float], str | None], why: str) -> str:
        """What is found in time while it runs; found is told the seconds left."""
        deadline = time.monotonic() + READY_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            status = self.wait(0)
            if (text := found(left)) is not None:
                return text
            if status is not None:
                raise ProcessError(f"{self.command[0]} ended ({status}): {self.complaint()}")
            time.sleep(0.005)
        raise ProcessError(f"{self.command[0]} {why} after {READY_SECONDS:.0f} s{self.lacking()}")

    def ready_url(self) -> str:
        """Waits for the line that says where it listens."""

        def said(_: float) -> str | None:
            match = READY_LINE.search(self.log.read_text(errors="replace"))
            return match[1] if match else None

        return self._until(said, "is not ready")

    def serves(self, port: int) -> None:
        """Waits until something on that port of 127.0.0.1 has answered a request, or ended the
        connection. A process that only listens may have its workers still to start."""

        def answered(left: float) -> str | None:
            if self.process.returncode is not None:
                return None
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as connection:
                    connection.sendall(PROBE)
                    connection.settimeout(left)
                    connection.recv(1)
            except TimeoutError:
                text = f"listens and does not answer after {READY_SECONDS:.0f} s{self.lacking()}"
                raise ProcessError(f"{self.command[0]} {text}") from None
            except ConnectionResetError:
                pass
            except OSError:
                return None
            return "answered"

        self._until(answered, "does not listen")


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


def cpu_ns(pids: Sequence[int]) -> int:
    """Nanoseconds that processes were on a CPU, with threads that ended and io_uring's kernel workers."""
    total = 0
    with watched():
        for pid in pids:
            total += time.clock_gettime_ns(~pid << 3 | CPUCLOCK_SCHED)  # as clock_getcpuclockid makes it
            if _entry(pid).state in "ZX":
                raise ProcessLookupError
    return total


def threads(pids: Sequence[int]) -> int:
    """How many threads processes have now."""
    with watched():
        return sum(len(os.listdir(f"/proc/{pid}/task")) for pid in pids)


def machine_seconds() -> tuple[float, float]:
    """CPU time of all CPUs without idling, and what the hypervisor took while this machine wanted it."""
    user, nice, system, _, _, irq, softirq, steal = Machine().cpu_ticks()
    return (user + nice + system + irq + softirq) / TICKS, steal / TICKS


def peak_rss_kb(pids: Sequence[int]) -> int | None:
    """The sum of the processes' largest resident sets, in kB."""
    try:
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    except OSError:
        return None
    return sum(int(kb) for text in texts for kb in re.findall(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE))
