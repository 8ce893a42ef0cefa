"""Flows: what clients ask of a server, several at once, and what became of it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Mapping, Sequence

from .. import load, proc
from ..table import latency

GRACE_SECONDS = 20.0  # beyond a flow's own times, to connect and to report


@dataclass(frozen=True)
class Flow:
    """One torc-load. Without a rate it is a closed loop."""

    path: str
    connections: int
    seconds: float
    rate: float = 0.0  # requests/s, at Poisson times
    warmup: float = 0.5  # seconds
    timeout: float = 10.0  # seconds that a client waits for an answer
    source: str | None = None  # the addresses that its connections come from
    deadline: float = 0.0  # seconds after which a client gives up and tries again; 0: it does not
    retries: int = 0  # attempts after the first, at most
    delay: float = 0.0  # seconds that it begins after the others
    what: str = ""  # of what it asks for, where the path does not say

    def words(self, build: Path, url: str, report: Path, watch: Sequence[int]) -> list[str]:
        words = [load.program(build), "--quiet", "--json", str(report)]
        for pid in watch:
            words += ["--watch", str(pid)]
        return [*words, *self.asked(url)]

    def asked(self, url: str) -> list[str]:
        """What it says of the flow itself."""
        words = ["--connections", str(self.connections)]
        words += ["--duration", _time(self.seconds), "--warmup", _time(self.warmup), "--timeout", _time(self.timeout)]
        words += ["--rate", f"{self.rate:g}", "--arrivals", "poisson"] if self.rate else []
        words += ["--source", self.source] if self.source else []
        words += ["--deadline", _time(self.deadline), "--retry", str(self.retries)] if self.deadline else []
        return [*words, url + self.path]

    def lasting(self, seconds: float) -> Flow:
        """The same, measured for that long."""
        return replace(self, seconds=seconds)

    @property
    def longest(self) -> float:
        waits = self.timeout + self.retries * self.deadline
        return self.delay + self.warmup + self.seconds + waits + GRACE_SECONDS


@dataclass(frozen=True)
class Slice:
    """A tenth of a second of a flow with a deadline."""

    seconds: float
    attempts: int
    good: int


@dataclass(frozen=True)
class Seen:
    """What became of a flow's requests within the measured time. p50 and p99 are in seconds from when a request was
    due: of good answers, and of what was never sent, which counts with the time that it had waited in the end. So
    where some were never sent, they are lower bounds."""

    seconds: float
    good: int  # answers of 2xx
    refused: int  # answers of 429 or 503
    given_up: int  # requests whose client had waited for its whole timeout
    failed: int  # in any other way
    unsent: int  # requests whose time came while every connection was busy
    p50: float
    p99: float
    cpus: float  # that the server used
    mean: float = 0.0  # seconds from when a request was sent to its good answer
    timeout: float = 0.0  # seconds after which a client gave up
    measures: Mapping[str, float] = field(default_factory=dict)  # L, P and A of the server meanwhile, where it has them
    retries: int = 0  # attempts after the first of each request
    slices: Sequence[Slice] = ()  # of a flow with a deadline

    @property
    def per_second(self) -> float:
        return self.good / self.seconds

    @property
    def in_progress(self) -> float:
        """L by Little's law: requests/s × the time of each, of those that were answered and those given up."""
        return self.per_second * self.mean + self.given_up / self.seconds * self.timeout

    def time(self, seconds: float) -> str:
        """Its p50 or p99 in a table; both are of good answers."""
        return "≥ " * bool(self.unsent) + latency(seconds) if self.good else "–"

    @property
    def within(self) -> str:
        """Its p99, after "99 % of them"; of good answers, which there have to be."""
        return f"within {latency(self.p99)}" + " or more" * bool(self.unsent)

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def _time(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def seen(report: Mapping[str, Any]) -> Seen:
    """From what torc-load has written."""
    status = {int(key): count for key, count in report["status"].items()}
    refused = status.get(429, 0) + status.get(503, 0)
    errors, times = report["errors_measured"], report["latency_ns"]["corrected"]
    deadline = report.get("deadline") or {"retries": 0, "slices": ()}
    return Seen(
        seconds=report["seconds"],
        good=report["answered"],
        refused=refused,
        given_up=errors["timeout"],
        failed=sum(errors.values()) - errors["timeout"] - min(refused, errors["status"]),
        unsent=report["unsent"],
        p50=times["p50"] / 1e9,
        p99=times["p99"] / 1e9,
        cpus=(report.get("watch") or {}).get("cpu_ns", 0) / 1e9 / report["seconds"],
        mean=report["latency_ns"].get("raw", {}).get("mean", 0) / 1e9,
        retries=deadline["retries"],
        slices=[Slice(ns / 1e9, attempts, good) for attempts, good, ns in deadline["slices"]],
    )


def shares(cpus: Sequence[int], flows: int) -> list[Sequence[int]]:
    """The CPUs of each flow, its own where there are enough. A torc-load pins itself to the first of them: two of the
    same CPU would wait for each other, and the latency of one be that of the other's work."""
    return [cpus[number::flows] if flows <= len(cpus) else cpus for number in range(flows)]


def run(
    flows: Sequence[Flow],
    url: str,
    build: Path,
    scratch: Path,
    cpus: Sequence[int],
    watch: Sequence[int],
    apart: bool = False,
) -> list[Seen]:
    """Runs all flows at the same time to their end, and watches the processes of the server. apart: the CPUs are not
    those of the server, and each flow gets its own of them."""
    begun = time.monotonic()
    reports = [scratch / f"flow-{number}.json" for number in range(len(flows))]
    with contextlib.ExitStack() as stack:
        children = []
        given = shares(cpus, len(flows)) if apart else [cpus] * len(flows)
        for flow, report, mine in zip(flows, reports, given):
            report.unlink(missing_ok=True)
            log = report.with_suffix(".log")
            words = flow.words(build, url, report, watch)
            time.sleep(max(begun + flow.delay - time.monotonic(), 0))
            children.append(stack.enter_context(proc.Child(words, mine, log, alone=True)))
        deadline = begun + max(flow.longest for flow in flows)
        for child in children:
            status = child.wait(max(deadline - time.monotonic(), 0))
            if status not in (0, 1):  # 1: some requests were not answered well, which is what is measured
                what = "did not end" if status is None else f"ended ({status})"
                raise proc.ProcessError(f"torc-load {what}: {child.complaint()}")
    found = [load.written(report, child) for report, child in zip(reports, children)]
    if empty := next((one for one in found if not one["seconds"]), None):
        raise proc.ProcessError(f"torc-load measured nothing: {load.errors(empty)}")
    return [replace(seen(one), timeout=flow.timeout) for flow, one in zip(flows, found)]
