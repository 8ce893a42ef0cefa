"""The same waiting requests on threads, on epoll, on io_uring, on Node.js and on a Java server, one core each."""

from dataclasses import replace
from typing import Any

from .. import proc
from ..peers import JAVA_THREADS, PEERS
from ..subjects import WARMUP
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
OTHERS = ("node", "java")  # servers of other people, where they are installed
POOLS = {"threads": THREADS, "java": JAVA_THREADS}  # threads that wait with their requests
CEILINGS = {name: POOLS.get(name, CONNECTIONS) * 1000 / DELAY_MS for name in (*SETTINGS, *OTHERS)}  # requests/s
Taken = dict[str, tuple[Seen, dict[str, float]]]


def take(stage: Stage) -> Finding:
    asked = Flow(f"/delay/{DELAY_MS}", CONNECTIONS, stage.seconds(SECONDS), warmup=1.0)
    stage.need("threads")
    taken: Taken = {}
    for name, args in SETTINGS.items():
        if stage.can(name):
            with stage.torc(*args, "--max-requests", "65536", engine=name) as server:
                taken[name] = stage.measured(server, asked)
    for name in OTHERS:
        if stage.can(name):
            with stage.peer(name) as server:
                (seen,) = stage.ask(server, replace(asked, warmup=WARMUP[name]))
                taken[name] = seen, bounds(seen, proc.threads(proc.family(server.child.pid)))
    return conclude(taken)


def bounds(seen: Seen, threads: int) -> dict[str, float]:
    """What can be told of a process from without. By Little's law requests/s × delay wait at once, and those that
    are in progress are more; of those that wait, a process can give no more than it has a thread each. Its CPU
    time has the code of requests in it, and all else that it runs."""
    waiting = seen.per_second * DELAY_MS / 1000
    apart = max(1 - threads / waiting, 0.0) if waiting else 0.0
    return {"threads": threads, "waiting": waiting, "parallelism_most": seen.cpus, "waiting_apart": apart}


def reached(name: str, seen: Seen) -> bool:
    """Its ceiling, or all that a core can do."""
    return seen.per_second >= ENOUGH * CEILINGS[name] or seen.cpus >= FULL


def conclude(taken: Taken) -> Finding:
    threads = taken["threads"][0]
    others = {name: taken[name][0] for name in SETTINGS if name in taken and name != "threads"}
    holds = all(reached(name, seen) for name, (seen, _) in taken.items())
    holds = holds and all(taken[name][0].per_second * ENOUGH <= CEILINGS[name] for name in POOLS if name in taken)
    holds = holds and ("node" not in taken or taken["node"][1]["waiting_apart"] > 0)
    holds = holds and all(seen.per_second > threads.per_second for seen in others.values())
    parts = [
        f"{name} serves {seen.per_second:,.0f} requests/s on {seen.cpus:.2f} CPUs" for name, seen in others.items()
    ]
    verdict = (
        f"Each request only waits {DELAY_MS} ms. {THREADS} threads serve {threads.per_second:,.0f} requests/s, "
        f"{threads.per_second / CEILINGS['threads']:.0%} of the most that they can, on {threads.cpus:.2f} CPUs; one "
        f"thread that does not wait with its requests serves more: {', '.join(parts)}."
    )
    verdict += "".join(_other(name, *taken[name]) for name in OTHERS if name in taken)
    theory = (
        f"{THREADS} threads ÷ {DELAY_MS} ms = {CEILINGS['threads']:,.0f} requests/s, however many connections there "
        f"are; {CONNECTIONS:,} connections ÷ {DELAY_MS} ms = {CEILINGS['epoll']:,.0f} where none holds a thread, until "
        f"the core is full. A is 0 where a request holds its thread, and near 1 where it does not. Of "
        f"another program's server only bounds can be told: requests/s × delay wait at once, so L is that at least; P is "
        f"its CPU time at most; and A, of these waits, counts those for which it has no thread at least."
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


def _other(name: str, seen: Seen, also: dict[str, Any]) -> str:
    text = f" {PEERS[name].label} serves {seen.per_second:,.0f} requests/s on {seen.cpus:.2f} CPUs"
    if name in POOLS:
        return f"{text}, {seen.per_second / CEILINGS[name]:.0%} of the most that its {POOLS[name]} threads can."
    return f"{text}: {also['waiting']:,.0f} wait at once, and it has {also['threads']:.0f} threads."


def _row(name: str, seen: Seen, also: dict[str, Any]) -> list[str]:
    label = PEERS[name].label if name in PEERS else name
    figures = [f"{seen.per_second:,.0f}", f"{seen.per_second / CEILINGS[name]:.0%}"]
    times = [latency(seen.p50), latency(seen.p99), f"{seen.cpus:.2f}"]
    keys = (("concurrency", ",.0f"), ("parallelism", ".2f"), ("asynchrony", ".3f"))
    told = [f"{also[key]:{form}}" if key in also else "–" for key, form in keys]
    if name in OTHERS:
        told = [f"≥ {also['waiting']:,.0f}", f"≤ {also['parallelism_most']:.2f}", f"≥ {also['waiting_apart']:.3f}"]
    return [label, *figures, *times, *told]


CLAIM = Claim(
    "models",
    "The server decides",
    f"How many requests that wait {DELAY_MS} ms can one core serve each second?",
    "As many as it has threads to wait with.",
    len(SETTINGS) * (SECONDS + 2) + sum(SECONDS + 1 + WARMUP[name] for name in OTHERS),
    take,
)
