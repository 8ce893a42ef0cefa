"""What experiments run on: servers and clients on their CPUs, and the databases behind them."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Iterator, Mapping, Sequence

from .. import env, measures, proc, program
from ..options import TOP
from ..subject import Place, Server
from ..subjects import known, variant
from . import flow
from .flow import Flow, Seen

START_SECONDS = 60.0
ASYNCHRONOUS = ("io_uring", "epoll")
BACKENDS = TOP / "tools/backends"
GIVEN = re.compile(r"^(dir|pg|redis)=(.*)$", re.MULTILINE)


class Stage:
    """Everything it starts ends with the context that it was started in."""

    def __init__(self, place: Place, affinity: Sequence[int], quick: bool, engine: str | None = None) -> None:
        self.place, self.affinity, self.quick = place, affinity, quick
        self.load_cpus: dict[proc.Child, Sequence[int]] = {}  # of the servers that run
        self.notes: dict[str, None] = {}  # what is wrong with the CPUs, each once
        self.engine = engine or ("io_uring" if self.refuses("io_uring") is None else "epoll")

    def refuses(self, engine: str) -> str | None:
        """Why there can be no server on that engine here."""
        return known()[engine].refuses(self.place, variant(engine))

    def seconds(self, whole: float) -> float:
        """How long to measure, where a whole run takes that long."""
        return max(whole / 3, 1.0) if self.quick else whole

    @contextlib.contextmanager
    def torc(self, *args: str, engine: str | None = None, cores: int = 1) -> Iterator[Server]:
        """A server, on the stage's engine unless another is named."""
        name = engine or self.engine
        asked = variant(name, *args, cores=cores)
        cpus, load_cpus, shared = env.divide_cpus(self.affinity, cores)
        self.notes |= {shared: None} if shared else {}
        with known()[name].started(self.place, asked, cpus) as server:
            self.load_cpus[server.child] = load_cpus
            yield server
            del self.load_cpus[server.child]

    def ask(self, server: Server, *flows: Flow) -> list[Seen]:
        """All flows at once."""
        pids = proc.family(server.child.pid)
        return flow.run(flows, server.url, self.place.build, self.place.scratch, self.load_cpus[server.child], pids)

    def measured(self, server: Server, asked: Flow) -> tuple[Seen, dict[str, float]]:
        """One flow, and L, P and A meanwhile."""
        with measures.Window(server, asked.warmup, asked.seconds) as window:
            (found,) = self.ask(server, asked)
        return found, measures.of([window])

    @contextlib.contextmanager
    def backends(self) -> Iterator[Mapping[str, str]]:
        """PostgreSQL and Redis of their own: their addresses by name, pg and redis."""
        said = program.ask(BACKENDS, "start", "--with", str(os.getpid()), seconds=START_SECONDS)
        if said.status != 0:
            raise proc.ProcessError(said.why)
        given = dict(GIVEN.findall(said.text))
        try:
            yield given
        finally:
            program.ask(BACKENDS, "stop", "--dir", given["dir"], seconds=START_SECONDS)


def backends_missing() -> str | None:
    """Why there can be no databases here."""
    return None if any(Path("/usr/lib/postgresql").glob("*/bin/postgres")) else "needs PostgreSQL (tools/setup)"
