"""One run of an experiment for the page, in a process of its own: its events, a JSON object a line, on stdout."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import select
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Iterator

from .. import alone, env, others, proc, remarks, words
from ..lab import judged, picture
from ..lab.claim import Finding
from ..lab.clients import Ask, Span, complete, spans_of
from ..lab.flow import Flow, Seen
from ..lab.stage import ASYNCHRONOUS, Lacking, NoVisit, Stage
from ..subject import Place, Server, SubjectError
from ..workloads import write_static
from . import guesses, strips
from .link import Link

EVENTS = {"threads": "2048"}  # of each core's timeline, of which threads have one each
MOST_EVENTS = "65536"
VISIT_SECONDS = 20.0  # that the page has to ask and to answer
SHOWN_OPTIONS = ("--shed", "--rate-limit", "--queue", "--threads")  # what tells the servers of an experiment apart
FLOW_KEYS = ("good", "refused", "given_up", "failed", "unsent", "p50", "p99")
_writing = threading.Lock()


def say(event: dict[str, Any]) -> None:
    with _writing:
        print(json.dumps(event, ensure_ascii=False), flush=True)


class Watched(Stage):
    """Says what happens on it as it happens."""

    def __init__(self, place: Place, link: Link, affinity: list[int], visitor: str | None = None) -> None:
        super().__init__(place, affinity, True, link.engine)
        self.given = dict(link.given)
        self.visitor, self.point = visitor, link.claim.point
        self.steps = 0
        self.labels: dict[proc.Child, str] = {}

    @contextlib.contextmanager
    def torc(self, *args: str, engine: str | None = None, cores: int = 1) -> Iterator[Server]:
        name = engine or self.engine
        of_torc = name in (*ASYNCHRONOUS, "threads")
        records = of_torc and "--timeline" not in args
        watched = (*args, "--timeline", EVENTS.get(name, MOST_EVENTS)) if records else args
        with super().torc(*watched, engine=name, cores=cores) as server:
            self.labels[server.child] = label(name, cores, args)
            yield server

    def _step(self, server: Server, asked: list[str], seconds: float) -> int:
        step, self.steps = self.steps, self.steps + 1
        name = self.labels[server.child]
        point = bool(re.search(self.point, f"{name}: {'; '.join(asked)}"))
        what = {"server": name, "asked": asked, "recorded": server.admin is not None, "point": point}
        say({"event": "step", "step": step, **what, "seconds": seconds})
        return step

    def _strips(self, server: Server, step: int, asked: str) -> strips.Watch:
        threads = self.labels[server.child].startswith("threads")
        return strips.Watch(server, lambda event: say({**event, "step": step}), asked, threads)

    @contextlib.contextmanager
    def watch(self, server: Server, asked: str, seconds: float) -> Iterator[None]:
        step = self._step(server, [asked], seconds)
        with self._strips(server, step, asked):
            yield
        say({"event": "measured", "step": step, "flows": []})

    def visit(self, server: Server, ask: Ask) -> list[Span]:
        """Asks the page for it; the answer is a line on stdin."""
        say({"event": "visit", "url": server.url + ask.path, "count": ask.count, "mode": ask.mode})
        if not select.select([sys.stdin], [], [], VISIT_SECONDS)[0]:
            raise NoVisit("the page did not answer")
        try:
            answer = json.loads(sys.stdin.readline())
            if "error" in answer:
                raise NoVisit(answer["error"])
            return complete("the page", ask, spans_of(json.dumps(answer["spans"])))
        except (ValueError, KeyError, TypeError, proc.ProcessError):
            raise NoVisit("the page's answer is damaged") from None

    def ask(self, server: Server, *flows: Flow) -> list[Seen]:
        asked = [question(one) for one in flows]
        step = self._step(server, asked, max(one.warmup + one.seconds for one in flows))
        with self._strips(server, step, " ".join(asked)):
            seen = super().ask(server, *flows)
        plain = [{"path": flow.path, **{key: one.plain()[key] for key in FLOW_KEYS}} for flow, one in zip(flows, seen)]
        for found, one in zip(plain, seen):
            found["per_second"] = one.per_second
        say({"event": "measured", "step": step, "flows": plain, **seen[0].measures})
        return seen


def label(engine: str, cores: int, args: tuple[str, ...]) -> str:
    """The server in words. Options that every server of an experiment has are not among them."""
    shown = [f"{one} {value}" for one, value in zip(args, args[1:]) if one in SHOWN_OPTIONS]
    return f"{engine} on {words.cores(cores)}" + (f" ({', '.join(shown)})" if shown else "")


def question(flow: Flow) -> str:
    who = "1 connection asks" if flow.connections == 1 else f"{flow.connections:,} connections ask"
    what = f" ({flow.what})" if flow.what else ""
    path = re.sub(r"\{seq:\d+\}", "N", flow.path)  # a number that goes up with each request
    return f"{who} {path}{what}" + (f", {flow.rate:,.0f} times a second" if flow.rate else "")


def concluded(link: Link, finding: Finding, notes: list[str], others_share: float = 0.0) -> dict[str, Any]:
    said = judged.judge(finding.holds, finding.missed, finding.unsure, others_share)
    told: dict[str, Any] = {"state": said.kind, "heading": said.text, "truth": link.claim.truth}
    told |= {"headline": finding.headline, "verdict": finding.verdict, "theory": finding.theory}
    table = {"header": finding.header, "rows": finding.rows}
    others = [one for one in finding.pictures if not one.spans]
    table["pictures"] = picture.plain(others, finding.header, finding.rows)
    traces = [traced(one) for one in finding.pictures if one.spans]
    found = guesses.found(link.claim, finding) if said.kind != judged.UNSURE else None
    more = {"found": found, "notes": notes, "traces": traces}
    return {"event": "finding", **told, **table, **more}


def traced(one: picture.Picture) -> dict[str, Any]:
    """A picture of spans, whose parts have colours."""
    spans = [
        {**dataclasses.asdict(span), "parts": [[strips.kind(part[0]), *part] for part in span.parts]}
        for span in one.spans
    ]
    return {"title": one.title, "caption": one.caption, "spans": spans}


def run(link: Link, build: Path, visitor: str | None = None) -> int:
    """Ends with the process that started it."""
    proc.LIBC.prctl(proc.PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if why := link.claim.needs():
        raise SubjectError(f"{link.claim.name}: {why}")
    with alone.lock() as scratch:
        place = Place(build.resolve(), scratch, scratch / "www", (), {})
        write_static(place.www)
        affinity = sorted(os.sched_getaffinity(0))
        stage = Watched(place, link, affinity, visitor)
        if why := stage.refuses(stage.engine):
            raise SubjectError(f"{stage.engine}: {why}")
        server_cpus = env.divide_cpus(affinity, 1)[0]
        os.sched_setaffinity(0, [cpu for cpu in affinity if cpu not in server_cpus] or affinity)
        say({"event": "begin", "link": str(link), "engine": stage.engine})
        try:
            with others.Watch() as watch:
                finding = link.claim.take(stage)
        except Lacking as why:
            raise SubjectError(f"{link.claim.name}: {why}") from why
        notes = [*stage.notes, *remarks.of_experiment(finding.samples, watch.share)]
        say(concluded(link, finding, notes, watch.share))
    return 0
