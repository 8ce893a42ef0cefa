"""The servers that can be compared, and how each is started on its CPUs."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from .proc import Child, ProcessError, free_port

ENGINES = {"io_uring": "torc io_uring", "epoll": "torc epoll", "threads": "torc threads"}
FLOORS = {"floor-uring": "floor io_uring", "floor-epoll": "floor epoll"}
FLOOR_WORKLOADS = frozenset({"plaintext", "pipelined", "short-lived", "idle", "latency"})
# Seconds that servers are given at least which compile while they run. Each sample has a fresh one.
WARMUP = {"java": 3.0, "node": 1.0}
GROUPS = {"floor": tuple(FLOORS)}  # what one word of the user stands for
ADMIN_LINE = re.compile(r"admin http://([0-9.]+):(\d+)")
_LOGS = itertools.count()  # several servers of one subject may run at once
COMMAND = re.compile(r"(?P<name>[A-Za-z][\w.-]*)(:(?P<port>\d+))?=(?P<words>.+)", re.DOTALL)


class SubjectError(Exception):
    """A subject that does not exist or cannot run here; the text says why and what to do."""


@dataclass
class Place:
    """Where servers find their programs and files."""

    build: Path
    scratch: Path  # a temporary directory: configurations, logs
    www: Path  # the document root; torc's --root is its static/
    server_args: Sequence[str] = ()  # for every torc
    started: dict[str, list[str]] = field(default_factory=dict)  # the last command of each variant


@dataclass(frozen=True)
class Variant:
    """A subject in one configuration: what a cell compares."""

    name: str  # unique in a cell
    label: str  # how people call it
    subject: str
    args: tuple[str, ...] = ()  # more options, for torc
    cores: int = 1


@dataclass(frozen=True)
class Server:
    """A started variant."""

    child: Child
    host: str
    port: int
    admin: tuple[str, int] | None = None

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True)
class Subject:
    """One program. command(place, port, cores) gives its words; port is 0 for one that says in a
    line "ready http://ADDR:PORT" on stderr where it listens, else a port to listen on."""

    name: str
    label: str
    command: Callable[[Place, int, int], list[str]]
    workloads: frozenset[str] | None = None  # names of those it can serve; None: all
    says_when_ready: bool = False
    takes_args: bool = False  # options of a variant and of --server-args
    port: int = 0  # a fixed one; 0: any
    trusted: bool = True  # answers unlike the others' are an error, not a reason to leave it out
    refusal: Callable[[Place], str | None] = lambda place: None  # why it cannot run here

    def refuses(self, place: Place, variant: Variant) -> str | None:
        """Why it cannot run here, or with the options of a variant and --server-args."""
        why = self.refusal(place)
        if why or not self.takes_args or not (place.server_args or variant.args):
            return why
        command = self.command(place, 0, 1)  # this process itself may be left one CPU only
        return _option_refusal((*command, *place.server_args, *variant.args))

    def can(self, workload: str) -> bool:
        """Whether it serves the workload of that name."""
        return self.workloads is None or workload in self.workloads

    @contextlib.contextmanager
    def started(self, place: Place, variant: Variant, cpus: Sequence[int]) -> Iterator[Server]:
        """It runs within the context."""
        server = self.start(place, variant, cpus)
        with server.child:
            yield server

    def start(self, place: Place, variant: Variant, cpus: Sequence[int]) -> Server:
        """Starts it and waits until it accepts."""
        port = 0 if self.says_when_ready else self.port or free_port()
        command = self.command(place, port, variant.cores)
        if self.takes_args:
            command += [*place.server_args, *variant.args]
        place.started[variant.name] = command
        child = Child(command, cpus, place.scratch / f"{self.name}-{next(_LOGS)}.log")
        try:
            if not self.says_when_ready:
                child.accepts(port)
                return Server(child, "127.0.0.1", port)
            address = urlsplit(child.ready_url())
            admin = ADMIN_LINE.search(child.log.read_text(errors="replace"))
            return Server(child, address.hostname or "127.0.0.1", address.port or 80,
                          (admin[1], int(admin[2])) if admin else None)  # fmt: skip
        except BaseException:
            child.stop()
            raise


def binary(build: Path, name: str) -> str:
    """The executable of that name, wherever the build directory keeps it."""
    # Not rglob, which fails where a directory is removed meanwhile.
    found = (Path(where, name) for where, _, names in os.walk(build) if name in names)
    for path in sorted(found):
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    more = " (meson configure -Dbench=true)" if name.startswith("floor-") else ""
    raise ProcessError(f"no {name} in {build}: build it with meson compile -C {build}{more}")


def installed(name: str) -> str | None:
    """A program of the system; servers are often outside a user's PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


@functools.cache
def _engine_refusal(lab: str, engine: str) -> str | None:
    """Asks torc itself: it looks at its build and at the kernel."""
    done = subprocess.run([lab, "--engine", engine, "--check"], capture_output=True, text=True,
                          timeout=20)  # fmt: skip
    if done.returncode == 0:
        return None
    if done.returncode == 2:
        return f"this build has no {engine} engine"
    lines = done.stderr.strip().splitlines() or [f"torc-lab --check ended with {done.returncode}"]
    return lines[-1].removeprefix("torc: ")


@functools.cache
def _option_refusal(words: tuple[str, ...]) -> str | None:
    """What a server says of options that it does not take; it checks them and serves nothing."""
    done = subprocess.run([*words, "--check"], capture_output=True, text=True, timeout=20)
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines() or [f"--check ended with {done.returncode}"]
    return lines[-1].removeprefix("torc: ")


def _torc(engine: str) -> Subject:
    def command(place: Place, port: int, cores: int) -> list[str]:
        return [binary(place.build, "torc-lab"), "--engine", engine, "--cores", str(cores),
                "--listen", f"127.0.0.1:{port}", "--admin", "127.0.0.1:0",
                "--root", str(place.www / "static")]  # fmt: skip

    def refusal(place: Place) -> str | None:
        return _engine_refusal(binary(place.build, "torc-lab"), engine)

    return Subject(engine, ENGINES[engine], command, says_when_ready=True, takes_args=True,
                   refusal=refusal)  # fmt: skip


def _floor(name: str) -> Subject:
    def command(place: Place, port: int, cores: int) -> list[str]:
        return [binary(place.build, name), "--listen", f"127.0.0.1:{port}", "--cores", str(cores)]

    return Subject(name, FLOORS[name], command, FLOOR_WORKLOADS, says_when_ready=True)


def user_command(text: str) -> Subject:
    """A subject from NAME=COMMAND with {port} in it, or from NAME:PORT=COMMAND."""
    found = COMMAND.fullmatch(text)
    if not found or not found["words"].strip():
        raise SubjectError("takes NAME='COMMAND --port {port}' or NAME:PORT=COMMAND, not "
                           f"{text!r}")  # fmt: skip
    try:
        words = shlex.split(found["words"])
    except ValueError as error:
        raise SubjectError(f"takes words as a shell does: {error}") from error
    name, fixed = found["name"], int(found["port"] or 0)
    if not fixed and "{port}" not in found["words"]:
        raise SubjectError(f"{name} needs its port: {{port}} in the command, or "
                           f"{name}:PORT=COMMAND")  # fmt: skip
    if fixed > 65535:
        raise SubjectError(f"takes a port up to 65535, not {fixed}")
    if name in known():
        raise SubjectError(f"{name} is already the name of a subject")

    def command(place: Place, port: int, cores: int) -> list[str]:
        filled = {"{port}": str(port), "{cores}": str(cores), "{www}": str(place.www)}
        return [re.sub(r"\{(port|cores|www)\}", lambda found: filled[found[0]], word)
                for word in words]  # fmt: skip

    def refusal(place: Place) -> str | None:
        program = command(place, fixed, 1)[0]
        return None if shutil.which(program) else f"no program {program}"

    return Subject(name, name, command, port=fixed, trusted=False, refusal=refusal)


@functools.cache
def known() -> dict[str, Subject]:
    """All subjects that have a name of their own. peers.PEERS is a dict of name to Subject."""
    subjects = {name: _torc(name) for name in ENGINES}
    subjects |= {name: _floor(name) for name in FLOORS}
    try:
        from .peers import PEERS
    except ImportError:
        PEERS = {}
    return subjects | dict(PEERS)


def expand(words: Sequence[str]) -> list[str]:
    """The user's names with groups spelled out, each once, in their order."""
    names: list[str] = []
    for word in words:
        names += [name for name in GROUPS.get(word, (word,)) if name not in names]
    return names


def variant(name: str, *args: str, cores: int = 1, subject: str | None = None,
            label: str | None = None) -> Variant:  # fmt: skip
    """A variant of a known subject (or of a command: then subject is its name too)."""
    of = subject or name
    plain = known()[of].label if of in known() else of
    return Variant(name, label or (plain if of == name else f"{plain}, {' '.join(args)}"), of, args,
                   cores)  # fmt: skip
