"""One request through the layers, each of which says by itself when it had it: joined by the request's traceparent."""

from __future__ import annotations

import json
import re
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Sequence

from .. import timeline
from ..proc import ProcessError

# In the order in which they are nested, and how deep; the last two are both asked by the server.
DEPTHS = {"client": 0, "proxy": 1, "server": 2, "service": 3, "database": 3}
ASKED = ("service", "database")
# PostgreSQL notes the time at the end, and how long the execution took: parsing has a line of its own.
QUERY = re.compile(r"^(\d+\.\d+) (00-\w{32}-\w{16}-\w\w) LOG:  duration: ([\d.]+) ms  execute ", re.MULTILINE)
Spell = tuple[float, float]  # from when to when, in ms


@dataclass(frozen=True)
class Trace:
    """The spells in which the layers had a request, in ms since it began."""

    id: str
    spells: Mapping[str, Spell]
    parts: Sequence[tuple[str, float, float]] = ()  # what the server did with it, in turn
    told: Mapping[str, float] = field(default_factory=dict)  # by the server to the client with Server-Timing, in ms
    linked: bool = True  # every layer knows the one above it as its parent

    def lasted(self, layer: str) -> float:
        begin, end = self.spells[layer]
        return end - begin

    @property
    def overlap(self) -> float:
        """For so long both that the server asks had the request."""
        (begin, end), (other_begin, other_end) = (self.spells[name] for name in ASKED)
        return max(min(end, other_end) - max(begin, other_begin), 0.0)

    @property
    def share(self) -> float:
        """The overlap, of the most that it could be."""
        return self.overlap / max(min(self.lasted(name) for name in ASKED), 1e-9)

    def own(self, layer: str) -> float:
        """Time that a layer had the request and none below it."""
        if layer in ASKED:
            return self.lasted(layer)
        if layer == "server":
            return self.lasted(layer) - sum(map(self.lasted, ASKED)) + self.overlap
        names = list(self.spells)
        return self.lasted(layer) - self.lasted(names[names.index(layer) + 1])

    def plain(self) -> dict[str, Any]:
        spells = {name: [round(at, 3) for at in spell] for name, spell in self.spells.items()}
        seen = {"linked": self.linked, "overlap": round(self.overlap, 3), "told": dict(self.told)}
        return {"id": self.id, "spells": spells, **seen}


def median(traces: Sequence[Trace]) -> Trace:
    """The one whose client waited as long as half of them at most."""
    return sorted(traces, key=lambda one: one.lasted("client"))[(len(traces) - 1) // 2]


def middle(traces: Sequence[Trace], layer: str, own: bool = False) -> float:
    """The median of how long a layer had the request, in ms."""
    return statistics.median(one.own(layer) if own else one.lasted(layer) for one in traces)


def queries(log: Path) -> dict[str, Spell]:
    """What PostgreSQL has noted, by the traceparent that the query was named after."""
    found = QUERY.findall(log.read_text(errors="replace"))
    return {parent: (float(at) * 1e3 - float(took), float(at) * 1e3) for at, parent, took in found}


@dataclass(frozen=True)
class Sources:
    """What each layer has said of all requests."""

    client: Sequence[Mapping[str, Any]]  # as bench/clients/stack.js prints them
    proxy: Mapping[str, Spell] | None  # by traceparent; None: there is none
    server: Mapping[str, timeline.Request]  # by trace
    service: Mapping[str, timeline.Request]
    database: Mapping[str, Spell]  # by traceparent

    def traces(self) -> list[Trace]:
        return [self._join(one) for one in self.client]

    def _join(self, asked: Mapping[str, Any]) -> Trace:
        sent = str(asked["traceparent"])
        _, trace, parent, _ = sent.split("-")
        query = next((text for text in self.database if text.split("-")[1] == trace), None)
        if self.proxy is not None and sent not in self.proxy:
            raise ProcessError(f"the proxy has not noted the request of trace {trace}")
        if trace not in self.server or trace not in self.service or query is None:
            raise ProcessError(f"the server, the service or the database knows nothing of trace {trace}")
        server, service = self.server[trace], self.service[trace]
        found: dict[str, Spell] = {"client": (asked["begin"], asked["end"])}
        found |= {"proxy": self.proxy[sent]} if self.proxy is not None else {}
        found |= {name: (one.begin / 1e3, one.end / 1e3) for name, one in (("server", server), ("service", service))}
        found["database"] = self.database[query]
        linked = server.parent == parent and {service.parent, query.split("-")[2]} == set(server.calls)
        zero = asked["begin"]
        spells = {name: (begin - zero, end - zero) for name, (begin, end) in found.items()}
        parts = [(word, begin / 1e3 - zero, end / 1e3 - zero) for word, begin, end in server.phases]
        return Trace(trace, spells, parts, asked.get("told", {}), linked)


def asked(text: str) -> list[dict[str, Any]]:
    """What a client has printed."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ProcessError(f"the client has no answers: {text.strip() or 'it printed nothing'}") from error
    return list(found)
