"""Files that are in memory, and files that are not, read beside light requests on the same core."""

import contextlib
import ctypes
import mmap
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any, Iterator

from .. import measures
from ..table import percent
from .claim import Claim, Finding, failing
from .flow import Flow, Seen
from .picture import Picture, Stack
from .stage import Stage

SIZE = 256 * 1024  # bytes of a file
RATE = 200.0  # files/s; each is asked for once
SECONDS, WARMUP = 3.0, 0.5
CONNECTIONS = 64
LIGHT = Flow("/plaintext", connections=4, seconds=SECONDS, rate=200, warmup=WARMUP)
THREADS = "epoll with threads"
SERVERS = {"epoll": ("epoll", "--work-threads", "0"), THREADS: ("epoll",), "io_uring": ("io_uring",)}
KINDS = ("in memory", "on disk")
LIBC = ctypes.CDLL(None, use_errno=True)
CORE = "torc-0"  # the name of the thread of a server's first core
LOOK_SECONDS = 0.002  # between two looks at the core's thread
LEAST = 0.01  # of its time, from which on it waits for the disk
PARTS = ("runs or is ready to", "waits for the disk", "is free")
LESS = 0.5  # of what it waits on epoll, at most, where it does not wait
Taken = dict[tuple[str, str], tuple[Seen, Seen, dict[str, float]]]  # light requests, files, and what else was seen


class Looks:
    """Looks in the background at what the core's thread does: in an uninterruptible sleep (state D of proc_pid_stat(5))
    it waits for the disk. Threads of the kernel that wait for it are not the core. What the server had the disk read is
    counted by the kernel (read_bytes of proc_pid_io(5))."""

    def __init__(self, pid: int) -> None:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        self.tasks = [task for task in tasks if (task / "comm").read_text().strip() == CORE]
        self.io = Path(f"/proc/{pid}/io")
        self.read = -self._disk_read()
        self.looks = self.waits = self.runs = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self.stop.wait(LOOK_SECONDS):
            for task in self.tasks:
                with contextlib.suppress(OSError):  # it ended meanwhile
                    state = (task / "stat").read_text().rpartition(")")[2].split()[0]
                    self.looks += 1
                    self.waits += state == "D"
                    self.runs += state == "R"

    def __enter__(self) -> "Looks":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()
        self.read += self._disk_read()

    def _disk_read(self) -> int:
        lines = (line.split(": ") for line in self.io.read_text().splitlines())
        return int(dict(lines)["read_bytes"])

    def shares(self) -> dict[str, float]:
        """The parts of the time in which it waits for the disk, and in which it runs or could; beside them, the bytes
        that the server read from the disk meanwhile."""
        looks = max(self.looks, 1)
        return {"waits": self.waits / looks, "runs": self.runs / looks, "looks": self.looks, "read": self.read}


@contextlib.contextmanager
def _files(directory: Path, count: int) -> Iterator[list[Path]]:
    """Files of the experiment's own, on the disk."""
    directory.mkdir()
    try:
        paths = [directory / str(number) for number in range(count)]
        for path in paths:
            path.write_bytes(os.urandom(SIZE))
        os.sync()
        yield paths
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _in_memory(fd: int) -> bool:
    """Whether any page of the file, of SIZE bytes, can be read without the disk: mincore(2). A read with RWF_NOWAIT
    would tell, too, but has the kernel read ahead."""
    pages = ctypes.create_string_buffer(-(-SIZE // mmap.PAGESIZE))
    with mmap.mmap(fd, SIZE, access=mmap.ACCESS_COPY) as mapped:  # ctypes takes no other
        first = ctypes.c_char.from_buffer(mapped)
        try:
            if LIBC.mincore(ctypes.byref(first), ctypes.c_size_t(SIZE), pages) != 0:
                raise OSError(ctypes.get_errno(), "mincore")
        finally:
            del first  # or the mapping would stay
    return any(page & 1 for page in pages.raw)


def _prepare(paths: list[Path], kind: str) -> int:
    """Has them in memory, or only on disk. How many are not in memory."""
    absent = 0
    for path in paths:
        with path.open("rb") as file:
            if kind == "in memory":
                file.read()
            else:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            absent += not _in_memory(file.fileno())
    return absent


def _once(stage: Stage, name: str, kind: str, seconds: float) -> tuple[Seen, Seen, dict[str, float]]:
    engine, *options = SERVERS[name]
    asked = Flow("/static/own/{seq:0}", CONNECTIONS, seconds, RATE, WARMUP, what=kind)
    with stage.torc(*options, engine=engine) as server:
        with measures.Window(server, WARMUP, seconds) as window, Looks(server.child.pid) as looks:
            light, files = stage.ask(server, LIGHT.lasting(seconds), asked)
    return light, files, {**measures.of([window]), **looks.shares()}


def take(stage: Stage) -> Finding:
    taken: Taken = {}
    seconds = stage.seconds(SECONDS)
    directory = stage.place.www / "static" / "own"
    # Enough even where the machine stands still, and the run lasts longer, for a second.
    with _files(directory, round(RATE * (seconds + WARMUP + 1.0) * 1.2) + 50) as paths:
        for name in (name for name, (engine, *_) in SERVERS.items() if stage.refuses(engine) is None):
            for kind in KINDS:
                absent = _prepare(paths, kind)
                light, files, also = _once(stage, name, kind, seconds)
                taken[name, kind] = light, files, {**also, "absent": absent / len(paths)}
    return conclude(taken)


def conclude(taken: Taken) -> Finding:
    waits = {key: also["waits"] for key, (_, _, also) in taken.items()}
    epoll = waits.get(("epoll", "on disk"), 0.0)
    blocks = epoll >= LEAST and waits.get(("epoll", "in memory"), 0.0) <= LESS * epoll
    checks = {"without other threads to read, the core on epoll did not wait for the disk": blocks}
    for name in (THREADS, "io_uring"):
        checks[f"on {name} the core waited for the disk, too"] = waits.get((name, "on disk"), 0.0) <= LESS * epoll
    missed = failing(checks) if blocks else failing(checks)[:1]  # there is nothing to compare with then
    theory = (
        "epoll tells when a socket can be read. A file always can, so whoever reads one that is not in memory waits "
        "for the disk, and the core with it, unless another thread does that: torc asks those of --work-threads, which "
        "the first server here does without. io_uring is told to read and says when it has read: meanwhile the core "
        f"serves others. At {RATE:.0f} files/s, 1 ms of waiting for each is {percent(RATE / 1000)} of a core's time."
    )
    header = ("", "", "light p50", "light p99", "file p50", "files/s", "core waits for the disk", "not in memory")
    rows = [_row(*key, *found) for key, found in taken.items()]
    samples: dict[str, Any] = {
        f"{name}, {kind}": {"light": light.plain(), "files": files.plain(), **also}
        for (name, kind), (light, files, also) in taken.items()
    }
    parts = [f"{percent(waits[name, 'on disk'], 1)} on {name}" for name in SERVERS if (name, "on disk") in waits]
    brief = f"The time that a core waits for the disk while it sends files from there: {', '.join(parts)}."
    pictures, verdict = [_picture(taken)], _verdict(waits, blocks)
    return Finding(not missed, verdict, header, rows, theory, samples, brief, pictures, missed=missed)


def _picture(taken: Taken) -> Picture:
    """What the core does with its time."""
    stacks = []
    for (name, kind), (_, _, also) in taken.items():
        busy = also.get("runs", 0.0), also["waits"]
        values = [round(share * 100, 2) for share in (*busy, max(1 - sum(busy), 0.0))]
        stacks.append(Stack(f"{name}, {kind}", values, f"waits {percent(also['waits'], 1)}"))
    caption = (
        "Where the thread of the core was at each look. While it waits for the disk it can do nothing else; while it "
        "is free, it waits for whatever comes first."
    )
    return Picture("The core's time while it sends files", caption, "share of the time, %", parts=PARTS, stacks=stacks)


def _verdict(waits: dict[tuple[str, str], float], blocks: bool) -> str:
    shown = [name for name in SERVERS if (name, "on disk") in waits]
    parts = [f"{percent(waits[name, 'on disk'], 1)} on {name}" for name in shown]
    parts[0] = parts[0].replace(" on", " of its time on", 1)
    memory = max(share for (_, kind), share in waits.items() if kind == "in memory")
    if blocks:
        first = "Reading a file that is not in memory makes a thread wait for the disk."
    else:
        first = "Here files on disk hardly made a core wait longer."
    return f"{first} The core waited {', '.join(parts)}; for files in memory, at most {percent(memory, 1)}."


def _row(name: str, kind: str, light: Seen, files: Seen, also: dict[str, float]) -> list[str]:
    times = [light.time(light.p50), light.time(light.p99), files.time(files.p50)]
    return [name, kind, *times, f"{files.per_second:,.0f}", percent(also["waits"], 1), percent(also["absent"])]


def _missing() -> str | None:
    """Whether files here can be only on disk; those of a tmpfs cannot."""
    where = tempfile.gettempdir()
    with tempfile.TemporaryFile(dir=where) as file:
        file.write(bytes(SIZE))
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return f"needs a disk: files in {where} stay in memory" if _in_memory(file.fileno()) else None


CLAIM = Claim(
    "files",
    "Reading a file is not always asynchronous",
    "A core sends files that are not in memory. Do light requests wait for the disk?",
    "No: the server is asynchronous.",
    len(SERVERS) * len(KINDS) * (SECONDS + WARMUP + 2) + 2,
    take,
    _missing,
    point=r"^epoll.*on disk",
    truth="With epoll, reading a file that is not in memory blocks the thread that reads. Other threads can do that, "
    "or io_uring.",
)
