"""What experiments run on: servers and clients on their CPUs, and the databases behind them."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Callable, Iterator, Mapping, Sequence

from .. import ending, env, load, measures, proc, program
from ..options import TOP
from ..subject import Place, Server
from ..subjects import known, variant
from . import flow
from .byhand import Repeat
from .clients import Ask, Span
from .flow import Flow, Seen

START_SECONDS = 60.0
ASYNCHRONOUS = ("io_uring", "epoll")
BACKENDS = TOP / "tools/backends"
GIVEN = re.compile(r"^(dir|pg|redis)=(.*)$", re.MULTILINE)


class Lacking(Exception):
    """What an experiment cannot do without is missing here; the text says what."""


class NoVisit(Exception):
    """A reader's own browser could not ask; the text says why."""


class Stage:
    """Everything it starts ends with the context that it was started in."""

    def __init__(self, place: Place, affinity: Sequence[int], quick: bool, engine: str | None = None) -> None:
        self.place, self.affinity, self.quick = place, affinity, quick
        self.load_cpus: dict[proc.Child, Sequence[int]] = {}  # of the servers that run
        self.apart: set[proc.Child] = set()  # of these, those that share none of their CPUs with the load
        self.notes: dict[str, None] = {}  # what is wrong with the CPUs, each once
        self.missing: dict[str, None] = {}  # subjects that the experiment goes without, each with the reason
        self.repeat = Repeat()  # the commands of the experiment
        self.tell: Callable[[str], None] = lambda text: None  # is told what begins
        self.visitor: str | None = None  # the origin of a page, whose browser can ask too
        self.given: dict[str, int] = {}  # parameters of the experiment that are not as usual
        self.engine = engine or ("io_uring" if self.refuses("io_uring") is None else "epoll")

    def refuses(self, engine: str) -> str | None:
        """Why there can be no server on that engine here."""
        return known()[engine].refuses(self.place, variant(engine))

    def lacks(self, label: str, why: str | None) -> bool:
        """Whether a subject is missing, for that reason; then it is named as missing."""
        self.missing |= {f"{label}: {why}": None} if why else {}
        return why is not None

    def can(self, name: str) -> bool:
        """Whether there can be a server of that name here; else it is named as missing."""
        return not self.lacks(known()[name].label, self.refuses(name))

    def need(self, name: str) -> None:
        """Ends an experiment that cannot do without a server of that name, where there can be none."""
        if why := self.refuses(name):
            raise Lacking(f"{known()[name].label}: {why}")

    def begin(self) -> None:
        """Forgets what an experiment before this one lacked and ran."""
        self.missing, self.repeat = {}, Repeat()

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
            self.apart |= set() if {*cpus} & {*load_cpus} else {server.child}
            self.repeat.started(server.url, self.place.started[asked.name])
            yield server
            self.repeat.ended(server.url)
            del self.load_cpus[server.child]
            self.apart.discard(server.child)

    def peer(self, name: str) -> contextlib.AbstractContextManager[Server]:
        """Another program's server, on one core."""
        return self.torc(engine=name)

    def watch(self, server: Server, asked: str, seconds: float) -> contextlib.AbstractContextManager[None]:
        """Around what asks a server in another way than by flows: what, and for how long about."""
        return contextlib.nullcontext()

    def visit(self, server: Server, ask: Ask) -> list[Span]:
        """The requests of the page's own browser, in their order; the server allows its origin."""
        raise NoVisit("there is no page")

    def ask(self, server: Server, *flows: Flow) -> list[Seen]:
        """All flows at once, and L, P and A meanwhile."""
        pids, cpus, first = proc.family(server.child.pid), self.load_cpus[server.child], flows[0]
        self.tell(", ".join(f"{one.path} on {one.connections:,} connections" for one in flows))
        self.repeat.asked(server.url, flows, load.program(self.place.build))
        with measures.Window(server, first.warmup, first.seconds) as window:
            place, apart = self.place, server.child in self.apart
            found = flow.run(flows, server.url, place.build, place.scratch, cpus, pids, apart)
        by = measures.of([window])
        return [replace(one, measures=by) for one in found]

    def measured(self, server: Server, asked: Flow) -> tuple[Seen, dict[str, float]]:
        """One flow, and L, P and A meanwhile."""
        (found,) = self.ask(server, asked)
        return found, dict(found.measures)

    @contextlib.contextmanager
    def backends(self, *options: str) -> Iterator[Mapping[str, str]]:
        """PostgreSQL and Redis of their own: their addresses by name, pg and redis, and their directory, dir."""
        with contextlib.ExitStack() as stack:
            with ending.held():  # a start that is killed leaves what it has started
                said = program.ask(BACKENDS, "start", "--with", str(os.getpid()), *options, seconds=START_SECONDS)
                if said.status != 0:
                    raise proc.ProcessError(said.why)
                given = dict(GIVEN.findall(said.text))
                stack.callback(program.ask, BACKENDS, "stop", "--dir", given["dir"], seconds=START_SECONDS)
            self.repeat.backends(given, options)
            yield given


def backends_missing() -> str | None:
    """Why there can be no databases here."""
    return None if any(Path("/usr/lib/postgresql").glob("*/bin/postgres")) else "needs PostgreSQL (tools/setup)"
