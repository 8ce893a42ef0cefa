"""Clients that ask a server for the same path a number of times, one after another (seq) or together (all)."""

from __future__ import annotations

import html
import itertools
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

from .. import load, proc
from ..options import TOP
from ..peers import PEERS
from ..program import installed
from ..subject import Place, Server
from . import browser

SOURCES = TOP / "bench/clients"
SECONDS = 60.0  # that a client may take, its start included
Span = tuple[float, float, float]  # of a request, in seconds: asked for, sent, answered
PRE = re.compile(r"<pre>(.*?)</pre>", re.DOTALL)


@dataclass(frozen=True)
class Ask:
    path: str
    count: int
    mode: str  # seq or all


@dataclass(frozen=True)
class Client:
    """A program: its words, and what it has printed to the file, as requests, in seconds from the first."""

    label: str
    missing: Callable[[], str | None]
    words: Callable[[Place, Server, Ask, Path], list[str]]
    read: Callable[[str, Ask], list[Span]]
    lengths: bool = False  # it tells how long each request took, and not when: the spans are made up of that

    def run(self, place: Place, server: Server, ask: Ask, cpus: Sequence[int]) -> list[Span]:
        """The requests in their order, or the shortest first where the client tells no order."""
        printed = place.scratch / "client.out"
        run(self.label, self.words(place, server, ask, printed), cpus, printed)
        return complete(self.label, ask, self.read(printed.read_text(errors="replace"), ask))


def complete(label: str, ask: Ask, spans: list[Span]) -> list[Span]:
    """The same, of as many requests as were asked."""
    if len(spans) != ask.count:
        raise proc.ProcessError(f"{label} has {len(spans)} answers to {ask.count} requests")
    return spans


def run(label: str, words: Sequence[str], cpus: Sequence[int], printed: Path) -> None:
    """A program to its end; what it prints is in the file."""
    with printed.open("w") as output:
        with proc.Child(words, cpus, printed.with_suffix(".log"), output) as child:
            status = child.wait(SECONDS)
    if status != 0:
        what = "did not end" if status is None else f"ended ({status})"
        raise proc.ProcessError(f"{label} {what}: {child.complaint()}")


def _load(place: Place, server: Server, ask: Ask, printed: Path) -> list[str]:
    connections = 1 if ask.mode == "seq" else ask.count
    words = [load.program(place.build), "--quiet", "--json", str(printed), "--connections", str(connections)]
    return [*words, "--requests", str(ask.count), server.url + ask.path]


def _load_spans(text: str, ask: Ask) -> list[Span]:
    """Of a histogram of lengths: as if each began where the one before ended, the shortest first, or all at once."""
    latencies = [ns / 1e9 for ns, count in json.loads(text)["latency_ns"]["raw"]["histogram"] for _ in range(count)]
    if ask.mode == "all":
        return [(0.0, 0.0, end) for end in latencies]
    ends = list(itertools.accumulate(latencies))
    return [(begin, begin, end) for begin, end in zip([0.0, *ends], ends)]


def _node(place: Place, server: Server, ask: Ask, printed: Path) -> list[str]:
    node = installed("node", "nodejs") or "node"
    return [node, str(SOURCES / "fetch.js"), server.url + ask.path, str(ask.count), ask.mode]


def _browser(place: Place, server: Server, ask: Ask, printed: Path) -> list[str]:
    return shows(place, server, "fetch", f"{ask.path}&{ask.count}&{ask.mode}")


def shows(place: Place, server: Server, name: str, query: str) -> list[str]:
    """A browser that prints what NAME.js gives for the query: the server has it then, and the page that runs it."""
    for file in ("client.html", f"{name}.js"):
        shutil.copyfile(SOURCES / file, place.www / "static" / file)
    profile = place.scratch / "browser"
    url = f"{server.url}/static/client.html?{name}&{query}"
    return [browser.find() or browser.NAMES[0], *browser.OPTIONS, f"--user-data-dir={profile}", "--dump-dom", url]


def spans_of(text: str) -> list[Span]:
    """What fetch.js prints."""
    try:
        return [(asked / 1000, sent / 1000, end / 1000) for asked, sent, end in json.loads(text)]
    except (ValueError, TypeError) as error:
        raise proc.ProcessError(f"a client has no answers: {text.strip() or 'it printed nothing'}") from error


def shown(text: str) -> str:
    """What a page that a browser has printed shows."""
    found = PRE.search(text)
    return html.unescape(found[1]) if found else text


CLIENTS = {
    "torc-load": Client("torc-load", lambda: None, _load, _load_spans, lengths=True),
    "node": Client("Node.js", PEERS["node"].refusal, _node, lambda text, ask: spans_of(text)),
    "browser": Client("a browser", browser.missing, _browser, lambda text, ask: spans_of(shown(text))),
}
