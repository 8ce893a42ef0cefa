"""The same waiting requests on threads, on epoll and on io_uring, one core each."""

from typing import Any

from ..table import latency
from .claim import Claim, Finding, measured, threaded
from .flow import Flow, Seen
from .picture import Bar, Picture
from .stage import Stage

THREADS = 200
DELAY_MS = 20
CONNECTIONS = 2000
SECONDS = 4.0
ENOUGH = 0.97  # of a ceiling
FULL = 0.9  # CPUs from which on a core is full: the rest is what the load leaves it no time for
SETTINGS = {"threads": ("--threads", str(THREADS)), "epoll": (), "io_uring": ()}
CEILINGS = {name: (THREADS if name == "threads" else CONNECTIONS) * 1000 / DELAY_MS for name in SETTINGS}  # requests/s
Taken = dict[str, tuple[Seen, dict[str, float]]]


def take(stage: Stage) -> Finding:
    asked = Flow(f"/delay/{DELAY_MS}", CONNECTIONS, stage.seconds(SECONDS), warmup=1.0)
    stage.need("threads")
    taken: Taken = {}
    for name, args in SETTINGS.items():
        if stage.can(name):
            with stage.torc(*args, "--max-requests", "65536", engine=name) as server:
                taken[name] = stage.measured(server, asked)
    return conclude(taken)


def reached(name: str, seen: Seen) -> bool:
    """Its ceiling, or all that a core can do."""
    return seen.per_second >= ENOUGH * CEILINGS[name] or seen.cpus >= FULL


def conclude(taken: Taken) -> Finding:
    threads = taken["threads"][0]
    others = {name: seen for name, (seen, _) in taken.items() if name != "threads"}
    holds = all(reached(name, seen) for name, (seen, _) in taken.items())
    holds = holds and all(seen.per_second > threads.per_second for seen in others.values())
    parts = [
        f"{name} serves {seen.per_second:,.0f} requests/s on {seen.cpus:.2f} CPUs" for name, seen in others.items()
    ]
    verdict = (
        f"Each request only waits {DELAY_MS} ms. {THREADS} threads serve {threads.per_second:,.0f} requests/s, "
        f"{threads.per_second / CEILINGS['threads']:.0%} of the most that they can, on {threads.cpus:.2f} CPUs; one "
        f"thread that does not wait with its requests serves more: {', '.join(parts)}."
    )
    theory = (
        f"{THREADS} threads ÷ {DELAY_MS} ms = {CEILINGS['threads']:,.0f} requests/s, however many connections there "
        f"are; {CONNECTIONS:,} connections ÷ {DELAY_MS} ms = {CEILINGS['epoll']:,.0f} where none holds a thread, until "
        f"the core is full. A is 0 where a request holds its thread, and near 1 where it does not."
    )
    header = ("", "requests/s", "of ceiling", "p50", "p99", "CPUs", "L", "P", "A")
    rows = [_row(name, *found) for name, found in taken.items()]
    best = max(others.values(), key=lambda seen: seen.per_second, default=threads)
    brief = (
        f"{THREADS} threads serve {threads.per_second:,.0f} requests/s that wait {DELAY_MS} ms each; one thread that "
        f"does not wait with them serves {best.per_second:,.0f}."
    )
    samples = {name: {**one.plain(), **by} for name, (one, by) in taken.items()}
    beside = [
        threaded(name, [seen], THREADS) if name == "threads" else measured(name, [seen])
        for name, (seen, _) in taken.items()
    ]
    return Finding(holds, verdict, header, rows, theory, samples, brief, [_picture(taken)], beside)


def _picture(taken: Taken) -> Picture:
    bars = [
        Bar(name, seen.per_second, f"{seen.per_second:,.0f} of {CEILINGS[name]:,.0f}", CEILINGS[name])
        for name, (seen, _) in taken.items()
    ]
    caption = (
        f"Bar: what was served. Mark: the most that arithmetic allows, threads ÷ {DELAY_MS} ms or connections ÷ "
        f"{DELAY_MS} ms."
    )
    return Picture("Requests that one core serves each second", caption, "requests/s", bars)


def _row(name: str, seen: Seen, also: dict[str, Any]) -> list[str]:
    figures = [f"{seen.per_second:,.0f}", f"{seen.per_second / CEILINGS[name]:.0%}"]
    times = [latency(seen.p50), latency(seen.p99), f"{seen.cpus:.2f}"]
    keys = (("concurrency", ",.0f"), ("parallelism", ".2f"), ("asynchrony", ".3f"))
    return [name, *figures, *times, *(f"{also[key]:{form}}" if key in also else "–" for key, form in keys)]


CLAIM = Claim(
    "models",
    "The server decides",
    f"How many requests that wait {DELAY_MS} ms can one core serve each second?",
    "As many as it has threads to wait with.",
    len(SETTINGS) * (SECONDS + 2),
    take,
)
