"""A database with few connections behind an asynchronous server, asked for twice what it can do."""

from typing import Any

from ..table import latency
from .claim import Claim, Finding
from .flow import Flow, Seen
from .stage import Stage, backends_missing

CONNECTIONS = 4  # that torc-lab opens to the database on a core
QUERY_MS = 20
CAPACITY = CONNECTIONS * 1000 / QUERY_MS  # requests/s
DEADLINE = 1.0  # seconds that a client waits
SECONDS = 5.0
TIMES = (0.5, 0.9, 2.0)  # offered, of the capacity
ENOUGH = 0.9  # of the capacity
SETTINGS = {
    "no limits": ("--max-requests", "65536"),
    "bounded": ("--max-requests", str(CONNECTIONS), "--queue", str(2 * CONNECTIONS), "--queue-timeout", "100ms"),
}
Taken = dict[tuple[str, float], tuple[Seen, dict[str, float]]]


def _flow(times: float, seconds: float) -> Flow:
    rate = CAPACITY * times
    # Enough connections that a request is sent when it is due, even if each waits for its whole deadline.
    return Flow(
        f"/db?n=1&mode=seq&ms={QUERY_MS}",
        connections=round(rate * DEADLINE * 1.5),
        seconds=seconds,
        rate=rate,
        warmup=2 * DEADLINE,
        timeout=DEADLINE,
    )


def take(stage: Stage) -> Finding:
    taken: Taken = {}
    seconds = stage.seconds(SECONDS)
    with stage.backends() as given:
        for times in TIMES:
            for name, args in SETTINGS.items():
                with stage.torc("--pg", given["pg"], *args) as server:
                    taken[name, times] = stage.measured(server, _flow(times, seconds))
    return conclude(taken)


def conclude(taken: Taken) -> Finding:
    most = max(TIMES)
    without, bounded = (taken[name, most][0] for name in SETTINGS)
    soon = bounded.p99 < (without.p50 if without.good else DEADLINE)
    holds = bounded.per_second >= ENOUGH * CAPACITY and soon
    late = f", half of them after more than {latency(without.p50)}" if without.good else ""
    verdict = (
        f"Asked for {most:g} times what {CONNECTIONS} connections can do, a server without limits answers "
        f"{without.per_second:.0f} requests/s in time{late}; {_each(without.given_up, without)} wait {DEADLINE:g} s "
        f"for nothing. With a bounded queue it answers {bounded.per_second:.0f}, "
        f"{bounded.per_second / CAPACITY:.0%} of the ceiling, 99 % of them within {latency(bounded.p99)}, and refuses "
        f"{_each(bounded.refused, bounded)} at once."
    )
    theory = (
        f"The ceiling is connections ÷ query time: {CONNECTIONS} ÷ {QUERY_MS} ms = {CAPACITY:.0f} requests/s. "
        "By Little's law, L = requests/s × time in the server."
    )
    header = ("", "offered/s", "good/s", "of ceiling", "p50", "p99", "refused/s", "given up/s", "L", "A")
    rows = [_row(name, times, *found) for (name, times), found in taken.items()]
    samples = {f"{name} {times:g}": {**seen.plain(), **also} for (name, times), (seen, also) in taken.items()}
    return Finding(holds, verdict, header, rows, theory, samples)


def _row(name: str, of_capacity: float, seen: Seen, also: dict[str, Any]) -> list[str]:
    rates = [f"{count / seen.seconds:.0f}" for count in (seen.refused, seen.given_up)]
    measures = [f"{also[key]:.2f}" if key in also else "–" for key in ("concurrency", "asynchrony")]
    share = f"{seen.per_second / CAPACITY:.0%}"
    offered = [name, f"{CAPACITY * of_capacity:.0f}", f"{seen.per_second:.0f}", share]
    times = [latency(seen.p50), latency(seen.p99)] if seen.good else ["–", "–"]
    return [*offered, *times, *rates, *measures]


def _each(count: int, seen: Seen) -> str:
    return f"{count / seen.seconds:.0f} each second"


CLAIM = Claim(
    "database",
    "The bottleneck is elsewhere",
    "Does an asynchronous server help when the database behind it is full?",
    "It waits for many queries at a time, so it serves many.",
    len(TIMES) * len(SETTINGS) * (SECONDS + 3 * DEADLINE),
    take,
    backends_missing,
)
