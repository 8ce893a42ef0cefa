"""One request of a browser through a proxy to a server that asks a second service and a database, as one trace."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from .. import measures, proxies, timeline
from ..peers import PEERS
from ..proc import ProcessError
from ..program import installed
from ..subject import Place, Server
from ..table import latency
from . import browser, clients, proxy
from .claim import Claim, Finding, Measured, Parameter, failing
from .picture import Picture, Span
from .stage import Lacking, Stage, backends_missing
from .trace import ASKED, DEPTHS, Sources, Trace, asked, median, middle, queries

MODES = {"one after the other": "seq", "together": "all"}
SERVICE_MS, QUERY_MS = 60, 80
ROUNDS = 8  # the first of which opens connections, and does not count
EVENTS = "8192"  # of each core's timeline
TIMELINE_MS = 60_000
NOTED_SECONDS = 5.0  # that the layers are given to note what they have done
APART = 0.1  # of the shorter call: calls that overlap by less are made one after the other
BESIDE = 0.5  # and from this on together
LAYERS = ("the browser", "the proxy", "the server's handler", "the database")  # that one could think to be sequential
SEEN_BY = {"proxy": "access log", "server": "timeline", "service": "timeline", "database": "log of queries"}
CLIENTS = {"browser": ("a browser", "resource timing"), "node": ("Node.js", "resource timing")}


@dataclass(frozen=True)
class Asked:
    service_ms: int = SERVICE_MS
    query_ms: int = QUERY_MS

    @property
    def path(self) -> str:
        return f"/stack?path=/delay/{self.service_ms}&ms={self.query_ms}"


@dataclass(frozen=True)
class Taken:
    client: str  # of CLIENTS
    proxy: str  # of proxies.LABELS, or "" without one
    traces: Mapping[str, Sequence[Trace]]  # by the words of MODES
    measures: Mapping[str, Mapping[str, float]]

    def label(self, layer: str) -> str:
        known = {"client": CLIENTS[self.client][0], "proxy": proxies.LABELS.get(self.proxy, "")}
        return known.get(layer) or {"server": "server", "service": "second service", "database": "PostgreSQL"}[layer]


def _client(stage: Stage) -> str:
    """A browser, or without one Node.js."""
    missing = {"browser": browser.missing(), "node": PEERS["node"].refusal()}
    for name, (label, _) in CLIENTS.items():
        if not stage.lacks(label, missing[name]):
            return name
    raise Lacking("; ".join(f"{CLIENTS[name][0]}: {why}" for name, why in missing.items()))


def _words(place: Place, client: str, front: Server, path: str) -> list[str]:
    if client == "browser":
        return clients.shows(place, front, "stack", f"{ROUNDS}&{path}")
    node = installed("node", "nodejs") or "node"
    return [node, str(clients.SOURCES / "stack.js"), front.url + path, str(ROUNDS)]


def _run(stage: Stage, client: str, front: Server, path: str, cpus: Sequence[int]) -> list[dict[str, Any]]:
    printed = stage.place.scratch / "stack.out"
    clients.run(CLIENTS[client][0], _words(stage.place, client, front, path), cpus, printed)
    text = printed.read_text(errors="replace")
    return asked(clients.shown(text) if client == "browser" else text)[1:]


def _sources(
    stage: Stage, told: Sequence[Mapping[str, Any]], name: str, front: Server, both: Sequence[Server], log: Path
) -> Sources:
    noted = proxies.traced(name, stage.place, front) if name else None
    server, service = (timeline.traced(one, TIMELINE_MS) for one in both)
    return Sources(told, noted, server, service, queries(log))


def _joined_traces(sources: Callable[[], Sources]) -> list[Trace]:
    """A layer may take note of a request only after the client has its answer."""
    deadline = time.monotonic() + NOTED_SECONDS
    while True:
        try:
            return sources().traces()
        except ProcessError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def take(stage: Stage) -> Finding:
    given = Asked(**stage.given)
    client = _client(stage)
    names = [name for name, label in proxies.LABELS.items() if not stage.lacks(label, proxies.proxy(name).refusal())]
    in_front = names[0] if names else ""
    traces, found = {}, {}
    with contextlib.ExitStack() as stack:
        backends = stack.enter_context(stage.backends("--log-queries"))
        service = stack.enter_context(stage.torc("--timeline", EVENTS))
        more = ("--upstream", service.url, "--pg", backends["pg"], "--timeline", EVENTS, "--timing")
        server = stack.enter_context(stage.torc(*more))
        front = stack.enter_context(proxy.before(stage, server, in_front or proxy.DIRECT, logs=True))
        for words, mode in MODES.items():
            path = f"{given.path}&mode={mode}"
            stage.repeat.typed(server.url, f"curl -H 'traceparent: {EXAMPLE}' '{{url}}{path}'")
            said = f"{CLIENTS[client][0]} asks {path}" + (f" of {front.name}" if in_front else "")
            before = measures.reading(server)
            with stage.watch(server, said, ROUNDS * (given.service_ms + given.query_ms) / 1000):
                told = _run(stage, client, front.front, path, front.cpus)
            after = measures.reading(server)
            found[words] = measures.between([(before, after)]) if before and after else {}
            log = Path(backends["dir"]) / "pg.log"
            traces[words] = _joined_traces(lambda: _sources(stage, told, in_front, front.front, (server, service), log))
    return conclude(Taken(client, in_front, traces, found), given)


def conclude(taken: Taken, given: Asked = Asked()) -> Finding:
    seq, together = (taken.traces[words] for words in MODES)
    one, other = median(seq), median(together)
    linked = all(trace.linked for trace in (*seq, *together))
    apart, beside = (_middle_share(traces) for traces in (seq, together))
    added, most = sum(middle(seq, name) for name in ASKED), sum(middle(together, name) for name in ASKED)
    missed = failing(
        {
            "the layers did not agree on one trace": linked,
            "the two calls overlapped though it was to make one after the other": apart <= APART,
            "the two calls hardly overlapped though it was to make both together": beside >= BESIDE,
            "one after the other, the server took less than both calls": middle(seq, "server") >= added,
            "together, the server took as long as both calls": middle(together, "server") < most,
        }
    )
    client = taken.label("client")
    verdict = (
        f"{client.capitalize()} waits {_ms(one.lasted('client'))} for a request whose server is to ask one after the "
        f"other: {_ms(one.lasted('service'))} of it the second service has it, {_ms(one.lasted('database'))} the "
        f"database, {_ms(_rest(one))} the other layers. {_sequential(apart)}: its two calls overlap for "
        f"{_ms(one.overlap)}. Told to ask together {_beside(beside)}, for {_ms(other.overlap)}, and the client waits "
        f"{_ms(other.lasted('client'))}. " + _joined(linked, len(one.spells))
    )
    theory = (
        f"One after the other, the calls add up: {given.service_ms} + {given.query_ms} ms = "
        f"{given.service_ms + given.query_ms} ms at least. Together they take as long as the longer one: "
        f"{max(given.service_ms, given.query_ms)} ms at least. Each layer above has the request for as long as the "
        "one below it, and for what it does itself."
    )
    header = (
        "layer",
        "as seen in its",
        *(f"{text} {words}" for words in MODES for text in ("time in it,", "its own,")),
    )
    rows = [_row(taken, layer) for layer in one.spells]
    samples = {words: [trace.plain() for trace in traces] for words, traces in taken.traces.items()}
    brief = (
        f"One request through {len(one.spells)} layers takes {_ms(one.lasted('client'))} if its server asks one after "
        f"the other, and {_ms(other.lasted('client'))} together."
    )
    pictures = [_picture(taken, words, median(traces)) for words, traces in taken.traces.items()]
    beside_theory = [_measured(words, taken.measures[words]) for words in taken.traces if taken.measures.get(words)]
    return Finding(not missed, verdict, header, rows, theory, samples, brief, pictures, beside_theory, missed)


def _middle_share(traces: Sequence[Trace]) -> float:
    shares = sorted(trace.share for trace in traces)
    return shares[len(shares) // 2]


def _ms(ms: float) -> str:
    return latency(max(ms, 0.0) / 1000)


def _rest(trace: Trace) -> float:
    """Of the client's time, what the service and the database have not."""
    return trace.lasted("client") - sum(map(trace.lasted, ASKED)) + trace.overlap


def _sequential(share: float) -> str:
    return "The sequential layer is the server's handler" if share <= APART else "No layer is sequential"


def _beside(share: float) -> str:
    return "they overlap" if share >= BESIDE else "they hardly overlap"


def _joined(linked: bool, layers: int) -> str:
    if linked:
        return f"All {layers} layers saw one trace, each with the span of the one that asked as its parent."
    return "The layers do not agree on one trace: a parent is missing."


def _row(taken: Taken, layer: str) -> list[str]:
    by = CLIENTS[taken.client][1] if layer == "client" else SEEN_BY[layer]
    times = [_ms(middle(traces, layer, own)) for traces in taken.traces.values() for own in (False, True)]
    return [taken.label(layer), by, *times]


def _picture(taken: Taken, words: str, trace: Trace) -> Picture:
    spans = [
        Span(taken.label(layer), begin, end, DEPTHS[layer], trace.parts if layer == "server" else ())
        for layer, (begin, end) in trace.spells.items()
    ]
    caption = (
        f"Bar: when a layer had the request, by its own account, of the request with the median time; its trace is "
        f"{trace.id}. Logs have ms, so what lies inside may stick out by one."
    )
    if told := [f"{word} {_ms(trace.told[word])}" for word in ("queue", "run", "wait") if word in trace.told]:
        caption += f" The server told the client with Server-Timing: {', '.join(told)}."
    return Picture(f"One request, its server asks {words}", caption, "ms since it began", spans=spans)


def _measured(name: str, found: Mapping[str, float]) -> Measured:
    in_progress, running = found.get("concurrency", 0.0), found.get("parallelism", 0.0)
    held = f"{max(1 - running / in_progress, 0.0):.3f}" if in_progress else "–"
    return Measured(f"server, {name}", found, ("≤ 1", "≤ 1", held))


def _missing() -> str | None:
    without = browser.missing() and PEERS["node"].refusal()
    return backends_missing() or without


EXAMPLE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"  # of the specification
CLAIM = Claim(
    "stack",
    "The full stack, one request",
    f"A browser asks through a proxy for a page, whose server asks a second service, which takes {SERVICE_MS} ms, "
    f"and a database, which takes {QUERY_MS} ms. How long does the browser wait, and for which layer?",
    f"{QUERY_MS} ms, for the slowest layer: the server is asynchronous.",
    12.0,
    take,
    _missing,
    parameters=(
        Parameter("service_ms", "ms that the second service takes", SERVICE_MS, 20, 500),
        Parameter("query_ms", "ms that the database takes", QUERY_MS, 20, 500),
    ),
    lasts=12.0,
    point=r"mode=seq",
    truth="The handler decides whether calls add up. If it asks one after the other, the client waits for their sum; "
    "together, for the longer one.",
    template="A browser asks through a proxy for a page, whose server asks a second service, which takes {service_ms} "
    "ms, and a database, which takes {query_ms} ms. How long does the browser wait, and for which layer?",
)
