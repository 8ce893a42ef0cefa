"""A database with few connections behind an asynchronous server, asked for twice what it can do."""

from dataclasses import replace
from typing import Any

from ..table import latency, percent
from .claim import APART, IN_PROGRESS, Claim, Finding, Parameter, failing, measured
from .flow import Flow, Seen
from .picture import Picture, over
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
        for times in [wanted / 100] if (wanted := stage.given.get("percent")) else TIMES:
            for name, args in SETTINGS.items():
                with stage.torc("--pg", given["pg"], *args) as server:
                    taken[name, times] = stage.measured(server, _flow(times, seconds))
    return conclude(taken)


def conclude(taken: Taken) -> Finding:
    most = max(times for _, times in taken)
    without, bounded = (taken[name, most][0] for name in SETTINGS)
    soon = bool(bounded.good) and bounded.p99 < (without.p50 if without.good else DEADLINE)
    missed = failing(
        {
            f"with a bounded queue it answered less than {percent(ENOUGH)} of what the database can": (
                bounded.per_second >= ENOUGH * CAPACITY
            ),
            "with a bounded queue it was no sooner than without": soon,
        }
    )
    times = f", 99 % of them {bounded.within}" if bounded.good else ""
    late = f", half of them after more than {latency(without.p50)}" if without.good and not without.unsent else ""
    verdict = (
        f"Asked for {most:g} times what {CONNECTIONS} connections can do, a server without limits answers "
        f"{without.per_second:.0f} requests/s in time{late}; {_each(without.given_up, without)} wait {DEADLINE:g} s "
        f"for nothing. With a bounded queue it answers {bounded.per_second:.0f}, "
        f"{percent(bounded.per_second / CAPACITY)} of the ceiling{times}, and "
        f"refuses {_each(bounded.refused, bounded)} at once."
    )
    theory = (
        f"The ceiling is connections ÷ query time: {CONNECTIONS} ÷ {QUERY_MS} ms = {CAPACITY:.0f} requests/s. Without "
        f"a limit the others wait, and soon each for longer than the {DEADLINE:g} s after which its client gives up: "
        "then the database works for clients that have left, and hardly any answer comes in time. (In the experiment "
        "on overload clients wait for longer, so there late answers count.) By Little's law, in progress L = "
        "requests/s × time in the server."
    )
    header = ("", "offered/s", "good/s", "of ceiling", "p50", "p99", "refused/s", "given up/s", IN_PROGRESS, APART)
    rows = [_row(name, times, *found) for (name, times), found in taken.items()]
    samples = {f"{name} {times:g}": {**seen.plain(), **also} for (name, times), (seen, also) in taken.items()}
    brief = (
        f"Asked for {most:g} times the {CAPACITY:.0f} requests/s that its database can do, a server answers "
        f"{without.per_second:.0f} of them in time if all wait, and {bounded.per_second:.0f} if it refuses those that "
        f"would wait too long."
    )
    pictures = [_goodput(taken), _little(taken)]
    beside = [
        measured(f"{name}, {times:g}×", [replace(seen, measures=also)]) for (name, times), (seen, also) in taken.items()
    ]
    return Finding(not missed, verdict, header, rows, theory, samples, brief, pictures, beside, missed)


def _goodput(taken: Taken) -> Picture:
    lines = [
        over(name, {CAPACITY * at: seen.per_second for (of, at), (seen, _) in taken.items() if of == name})
        for name in SETTINGS
    ]
    offered = sorted({1.0, *(at for _, at in taken)})
    ceiling = over("connections ÷ query time", {CAPACITY * at: CAPACITY * min(at, 1) for at in offered}, True)
    caption = (
        f"Requests that are answered within the {DEADLINE:g} s that a client waits. The dashed line is the most that "
        f"{CONNECTIONS} connections can do."
    )
    x, y = "offered requests/s", "good requests/s"
    return Picture("What is answered in time at each load", caption, x, lines=[*lines, ceiling], y=y)


def _little(taken: Taken) -> Picture:
    lines = []
    for name in SETTINGS:
        mine = {CAPACITY * at: found for (of, at), found in taken.items() if of == name}
        seen = {at: also["concurrency"] for at, (_, also) in mine.items() if also.get("concurrency")}
        lines.append(over(f"{IN_PROGRESS}, {name}", seen))
        lines.append(
            over(f"Little, {name}", {at: one.in_progress for at, (one, _) in mine.items() if one.in_progress}, True)
        )
    caption = (
        "In progress L: requests, as the server counts them. Little: requests/s × the time that each was in the "
        f"server, as the clients saw it: {DEADLINE:g} s of one that gave up. The server has such a request for longer, "
        "until it learns that its client has left, so it counts more."
    )
    shown = [line for line in lines if line.points]
    return Picture("Little's law", caption, "offered requests/s", lines=shown, y="requests in progress", log=True)


def _row(name: str, of_capacity: float, seen: Seen, also: dict[str, Any]) -> list[str]:
    rates = [f"{count / seen.seconds:.0f}" for count in (seen.refused, seen.given_up)]
    measures = [f"{also[key]:.2f}" if key in also else "–" for key in ("concurrency", "asynchrony")]
    share = percent(seen.per_second / CAPACITY)
    offered = [name, f"{CAPACITY * of_capacity:.0f}", f"{seen.per_second:.0f}", share]
    return [*offered, seen.time(seen.p50), seen.time(seen.p99), *rates, *measures]


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
    parameters=(Parameter("percent", "requests/s, in % of what the database can do", 200, 10, 400),),
    lasts=15.0,
    point=r"^[^(]*/db",
    truth="A server that waits for many queries at a time gets no more answers than the database gives. What comes "
    "beyond that waits longer, or is refused.",
)
