"""What a cell compares: a subject in one configuration, and how its server is started."""

import argparse
import contextlib
import itertools
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from . import program
from .proc import Child, ProcessError, free_port, taken

ADMIN_LINE = re.compile(r"admin http://([0-9.]+):(\d+)")
_LOGS = itertools.count()  # several servers of one subject may run at once


class SubjectError(argparse.ArgumentTypeError):
    """A subject or an option that cannot be had here; the text says why and what to do."""


@dataclass
class Place:
    """Where servers find their programs and files."""

    build: Path
    scratch: Path  # a temporary directory: configurations, logs
    www: Path  # the document root; torc's --root is its static/
    server_args: Sequence[str] = ()  # for every torc
    started: dict[str, list[str]] = field(default_factory=dict)  # the last command of each variant


Command = Callable[[Place, int, int], list[str]]  # of a port and a number of cores


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
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True)
class Subject:
    """One program. command(place, port, cores) gives its words; port is 0 for one that says in a
    line "ready http://ADDR:PORT" on stderr where it listens, else a port to listen on."""

    name: str
    label: str
    command: Command
    workloads: frozenset[str] | None = None  # names of those it can serve; None: all
    says_when_ready: bool = False
    takes_args: bool = False  # options of a variant and of --server-args
    port: int = 0  # a fixed one; 0: any
    trusted: bool = True  # answers unlike the others' are an error, not a reason to leave it out
    environment: tuple[tuple[str, str], ...] = ()  # more than ours
    refusal: Callable[..., str | None] = lambda place: None  # why it cannot run here
    version: Callable[[], str | None] = lambda: None

    def refuses(self, place: Place, variant: Variant) -> str | None:
        """Why it cannot run here, or with the options of a variant and --server-args."""
        why = self.refusal(place)
        if why or not self.takes_args or not (place.server_args or variant.args):
            return why
        command = self.command(place, 0, 1)  # this process itself may be left one CPU only
        said = program.check(*command, *place.server_args, *variant.args)
        return said.why if said.status != 0 else None

    def can(self, workload: str) -> bool:
        return self.workloads is None or workload in self.workloads

    @contextlib.contextmanager
    def started(self, place: Place, variant: Variant, cpus: Sequence[int]) -> Iterator[Server]:
        """It runs within the context."""
        server = self.start(place, variant, cpus)
        with server.child:
            yield server

    def start(self, place: Place, variant: Variant, cpus: Sequence[int]) -> Server:
        if self.port and taken(self.port):
            raise ProcessError(f"something else listens on port {self.port}: end it first")
        port = 0 if self.says_when_ready else self.port or free_port()
        command = self.command(place, port, variant.cores)
        if self.takes_args:
            command += [*place.server_args, *variant.args]
        place.started[variant.name] = command
        child = Child(command, cpus, place.scratch / f"{self.name}-{next(_LOGS)}.log", environment=self.environment)
        try:
            if not self.says_when_ready:
                child.serves(port)
                return Server(child, "127.0.0.1", port)
            address = urlsplit(child.ready_url())
            found = ADMIN_LINE.search(child.log.read_text(errors="replace"))
            admin = (found[1], int(found[2])) if found else None
            return Server(child, address.hostname or "127.0.0.1", address.port or 80, admin)
        except BaseException:
            child.stop()
            raise
