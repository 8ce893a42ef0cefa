"""The same requests one after another and together, by torc-load, by fetch in Node.js and by fetch in a browser."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass, field
from typing import Callable, Sequence

from .. import measures, proc
from ..subject import Server
from ..table import latency, percent
from ..words import capital
from .claim import Claim, Finding, failing
from .clients import CLIENTS, Ask, Span
from .picture import Lanes, Picture
from .stage import Lacking, NoVisit, Stage

COUNT = 12
DELAY_MS = 100
BROWSER = "browser"  # in CLIENTS
MODES = {"one after another": "seq", "together": "all"}
TEXTS = {mode: text for text, mode in MODES.items()}
LIMIT = 6  # connections of a browser to one origin over HTTP/1.1
LESS = 0.6  # of the time in sequence, at most, that requests together take
START_SECONDS = 2.0  # of a client and its server, about


@dataclass(frozen=True)
class Asked:
    """What became of a client's requests."""

    ends: list[float]  # seconds from its first request to each answer
    peak: int  # requests in progress at the same time, as the server saw them
    cpu: float  # seconds that the server used
    spans: list[Span] = field(
        default_factory=list
    )  # of the requests in their order, or the shortest first (Client.lengths)

    @property
    def seconds(self) -> float:
        return self.ends[-1]

    @property
    def next(self) -> float:
        """The answer to the first request beyond a browser's limit."""
        return self.ends[LIMIT]


Taken = dict[tuple[str, str], Asked]
Run = Callable[[Server, Ask, Sequence[int]], list[Span]]  # asks from these CPUs
PARTS = ("sent, until it is answered", "asked for, and not yet sent")
LEAST_MS = 0.5  # that a request has to be held up to be drawn as such


YOURS = "your browser"


def take(stage: Stage) -> Finding:
    taken: Taken = {}
    visited = _visited(stage)
    for name, client in CLIENTS.items():
        if name == BROWSER and visited:
            taken |= visited
        elif not stage.lacks(client.label, client.missing()):
            for mode in MODES.values():
                run = functools.partial(client.run, stage.place)
                taken[name, mode] = _asked(stage, client.label, mode, run)
    return conclude(taken, YOURS if visited else CLIENTS[BROWSER].label)


def _visited(stage: Stage) -> Taken:
    """What the browser of the page did, if there is one and it reaches the server."""
    if stage.visitor is None:
        return {}

    def visit(server: Server, ask: Ask, _: Sequence[int]) -> list[Span]:
        return stage.visit(server, ask)

    try:
        allow = ("--allow-origin", stage.visitor)
        return {(BROWSER, mode): _asked(stage, YOURS, mode, visit, *allow) for mode in MODES.values()}
    except NoVisit as why:
        stage.notes |= {f"{YOURS} did not ask the server itself: {why}": None}
        return {}


def _asked(stage: Stage, label: str, mode: str, run: Run, *args: str) -> Asked:
    """By a server of its own, for peaks are since its start."""
    with stage.torc(*args) as server:
        pids = proc.family(server.child.pid)
        before = proc.cpu_ns(pids)
        ask = Ask(f"/delay/{DELAY_MS}", COUNT, mode)
        asked = f"{label} asks {ask.path} {COUNT} times, {TEXTS[mode]}"
        with stage.watch(server, asked, DELAY_MS / 1000 * (COUNT if mode == "seq" else 1)):
            spans = run(server, ask, stage.load_cpus[server.child])
        used, found = proc.cpu_ns(pids) - before, measures.reading(server)
    if found is None:
        raise Lacking("the server did not say in time what was in progress: run it again")
    return Asked(sorted(end for *_, end in spans), int(found["concurrency_peak"]), used / 1e9, spans)


def picture(label: str, one: Asked, other: Asked, lengths: bool = False) -> Picture:
    """Each request of a client as a lane, one after another above and together below."""
    groups = [
        Lanes(f"{text}, {asked.peak} at a time", [_lane(span) for span in asked.spans], latency(asked.seconds))
        for text, asked in zip(MODES, (one, other))
    ]
    caption = (
        f"Each lane is one of {COUNT} requests of {DELAY_MS} ms, both times on the same axis. At the right: when all "
        "are answered."
    )
    if other.peak < COUNT:
        caption += f" A request that is not yet sent waits for one of the {other.peak} connections."
    elif any(len(lane) > 1 for group in groups for lane in group.lanes):
        caption += " A request that is not yet sent waits for its connection to open."
    if lengths:
        caption += (
            f" {capital(label)} tells how long each took, and not when: the shortest are drawn first, and those one "
            "after another without a gap."
        )
    return Picture(f"The requests of {label}", caption, "time, ms", parts=PARTS, groups=groups)


def _lane(span: Span) -> list[tuple[int, float, float]]:
    """The parts of one request."""
    begin, sent, end = (round(seconds * 1000, 2) for seconds in span)
    return [(1, begin, sent)] * (sent - begin > LEAST_MS) + [(0, sent, end)]


def conclude(taken: Taken, browser: str = CLIENTS[BROWSER].label) -> Finding:
    labels = {**{name: client.label for name, client in CLIENTS.items()}, BROWSER: browser}
    names = [name for name in CLIENTS if (name, "all") in taken]
    pairs = {name: (taken[name, "seq"], taken[name, "all"]) for name in names}
    least = COUNT * DELAY_MS / 1000
    checks = {
        f"one after another took less than {COUNT} × {DELAY_MS} ms": all(a.seconds >= least for a, _ in pairs.values()),
        "no more were in progress together than one after another": all(a.peak < b.peak for a, b in pairs.values()),
        f"together took more than {percent(LESS)} of the time one after another": all(
            other.seconds <= LESS * one.seconds for one, other in pairs.values()
        ),
        f"a client without a limit had fewer than {COUNT} in progress": all(
            other.peak == COUNT for name, (_, other) in pairs.items() if name != BROWSER
        ),
    }
    said = [
        f"{labels[name]} {latency(one.seconds)} one after another and {latency(other.seconds)} together"
        for name, (one, other) in pairs.items()
    ]
    verdict = f"{COUNT} requests of {DELAY_MS} ms take {', '.join(said)}: the server is the same, the client decides."
    if BROWSER in pairs:
        found = pairs[BROWSER][1]
        checks[f"the browser had more than {LIMIT} in progress"] = found.peak <= LIMIT
        checks["the browser's seventh answer did not wait for the first"] = found.next >= 2 * DELAY_MS / 1000
        verdict += (
            f" {capital(browser)} has at most {found.peak} in progress: its seventh answer comes after "
            f"{latency(found.next)}, though all of its requests took the server {latency(found.cpu)} of CPU time."
        )
    theory = (
        f"One after another: {COUNT} × {DELAY_MS} ms = {COUNT * DELAY_MS:,} ms at least. Together: {DELAY_MS} ms. A "
        f"browser has {LIMIT} connections to an origin over HTTP/1.1, so the seventh request waits for the first "
        f"answer: 2 × {DELAY_MS} ms at least, and {-(-COUNT // LIMIT)} × {DELAY_MS} ms for all."
    )
    header = ("", "asked", "all answered after", "the seventh after", "most in progress", "CPU of the server")
    rows = [
        [
            labels[name],
            TEXTS[mode],
            latency(one.seconds),
            "–" if mode == "seq" and CLIENTS[name].lengths else latency(one.next),
            str(one.peak),
            latency(one.cpu),
        ]
        for (name, mode), one in taken.items()
    ]
    one, other = next(iter(pairs.values()))
    brief = (
        f"The same {COUNT} requests take {latency(one.seconds)} when the client sends one after another, and "
        f"{latency(other.seconds)} together."
    )
    samples = {" ".join(key): asdict(one) for key, one in taken.items()}
    pictures = [picture(labels[name], *both, CLIENTS[name].lengths) for name, both in pairs.items()]
    missed = failing(checks)
    return Finding(not missed, verdict, header, rows, theory, samples, brief, pictures, missed=missed)


CLAIM = Claim(
    "client",
    "The client decides",
    f"A page needs {COUNT} answers, each of which takes the server {DELAY_MS} ms. How long does it take to have all?",
    f"{DELAY_MS} ms, for the server handles them in parallel.",
    len(CLIENTS) * (2 * START_SECONDS + (COUNT + 1) * DELAY_MS / 1000),
    take,
    point=r"browser asks .* together",
    truth="The client decides how many of its requests are in progress at once. The server is the same.",
)
