"""Thousands of requests in progress on one core, and two requests on two cores."""

import os
from dataclasses import dataclass, replace
from typing import Any

from .claim import HEADS, Claim, Finding, Parameter, failing, measured
from .flow import Flow, Seen
from .picture import Bar, Picture
from .stage import Stage

CONNECTIONS = 2000
SECONDS = 3.0
SETTINGS = ("one core, all wait", "two cores, two compute")
MANY = 0.9  # of the connections, in progress
PARALLEL = 1.5  # cores that run request code, more than one core can
Taken = dict[str, tuple[Seen, dict[str, float]]]


@dataclass(frozen=True)
class Asked:
    connections: int = CONNECTIONS
    delay_ms: int = 500

    def flows(self, seconds: float) -> tuple[Flow, Flow]:
        """What a server of one core is asked, and one of two."""
        waiting = Flow(f"/delay/{self.delay_ms}", self.connections, seconds, warmup=1.0)
        return waiting, Flow("/crypto?ms=10&where=inline", 2, seconds, warmup=0.5)


def take(stage: Stage) -> Finding:
    asked = Asked(**stage.given)
    taken: Taken = {}
    for cores, (name, flow) in enumerate(zip(SETTINGS, asked.flows(stage.seconds(SECONDS))), 1):
        with stage.torc("--max-requests", "65536", cores=cores) as server:
            taken[name] = stage.measured(server, flow)
    return conclude(taken, asked)


def conclude(taken: Taken, asked: Asked = Asked()) -> Finding:
    (waiting, computing) = (also for _, also in taken.values())
    missed = failing(
        {
            f"fewer than {MANY * asked.connections:,.0f} were in progress": (
                waiting["concurrency"] >= MANY * asked.connections
            ),
            "more than one ran at a time on one core": waiting["parallelism"] <= 1,
            f"two cores ran only {computing['parallelism']:.2f} at a time": computing["parallelism"] >= PARALLEL,
        }
    )
    verdict = (
        f"One core had {waiting['concurrency']:,.0f} requests in progress, and ran the code of "
        f"{waiting['parallelism']:.2f} at a time; two cores had {computing['concurrency']:.1f} in progress, and ran "
        f"{computing['parallelism']:.2f} at a time."
    )
    theory = (
        "One core runs at most one thing at a time, whatever is in progress: running P ≤ 1. Two clients that each have one "
        "request in progress are at most two at a time: in progress L ≤ 2 and running P ≤ 2. So more cores help requests that compute, one "
        "to a core; those that wait need none."
    )
    rows = [_row(name, *found) for name, found in taken.items()]
    samples = {name: {**seen.plain(), **also} for name, (seen, also) in taken.items()}
    brief = (
        f"One core had {waiting['concurrency']:,.0f} requests in progress and ran {waiting['parallelism']:.2g} at a "
        f"time on average, because they wait; two cores had {computing['concurrency']:.2g} that compute and ran "
        f"{computing['parallelism']:.2g} at a time."
    )
    beside = [
        measured(name, [replace(seen, measures=also)], cores)
        for cores, (name, (seen, also)) in enumerate(taken.items(), 1)
    ]
    header = ("", "requests/s", *HEADS)
    pictures = [_picture(taken, asked)]
    found = Finding(not missed, verdict, header, rows, theory, samples, brief, pictures, beside, missed)
    if waiting["parallelism"] <= 1:
        found.headline = (
            f"{waiting['concurrency']:,.0f} requests were in progress on one core of this machine, and at most one of "
            f"them ran at a time ({waiting['parallelism']:.2g} on average)"
        )
    return found


def _picture(taken: Taken, asked: Asked) -> Picture:
    bars = []
    for cores, ((name, (_, also)), flow) in enumerate(zip(taken.items(), asked.flows(SECONDS)), 1):
        in_progress, running = also["concurrency"], also["parallelism"]
        bars.append(Bar(f"{name}: in progress", in_progress, f"{in_progress:,.0f}", flow.connections))
        bars.append(Bar(f"{name}: running", running, f"{running:.2g}", cores))
    caption = (
        "Dot: the average. Mark: the most that there can be, as many in progress as there are connections, and as many "
        "that run as there are cores."
    )
    return Picture("Requests in progress, and requests that run", caption, "requests", bars, log=True)


def _row(name: str, seen: Seen, also: dict[str, Any]) -> list[str]:
    measures = (f"{also['concurrency']:,.1f}", f"{also['parallelism']:.2f}", f"{also['asynchrony']:.3f}")
    return [name, f"{seen.per_second:,.0f}", *measures]


def _missing() -> str | None:
    return None if len(os.sched_getaffinity(0)) > 1 else "needs two CPUs"


CLAIM = Claim(
    "concurrent",
    "Concurrency without parallelism, and the reverse",
    f"{CONNECTIONS:,} requests are in progress on one core. How many run at the same time?",
    "All of them, for they are in progress.",
    len(SETTINGS) * (SECONDS + 1.5),
    take,
    _missing,
    parameters=(
        Parameter("connections", "connections, with a request each", CONNECTIONS, 1, 5000),
        Parameter("delay_ms", "ms that each request waits", 500, 20, 2000),
    ),
    template="{connections} requests are in progress on one core. How many run at the same time?",
    point=r"on 1 core: .* /delay",
    truth="In progress is not running. One core can have thousands of requests in progress, and runs one of them at a "
    "time at most; two cores run two.",
)
