"""Clients that give up and try again, before, in and after a spike, with load shedding and without."""

from typing import Any, Sequence

from ..table import percent
from .claim import SHEDDING, Claim, Finding, failing, need_answers
from .flow import Flow, Seen, Slice
from .picture import Line, Picture, Shade, over
from .stage import Stage

PATH = "/crypto?ms=5&where=inline"
DEADLINE = 0.5  # seconds that a client waits for the answer to an attempt
RETRIES = 3
BASE, SPIKE = 0.7, 3.0  # offered before and after the spike, and in it, of the capacity
BEFORE, DURING, AFTER = 2.0, 5.0, 6.0  # seconds; the second half of the last is looked at
CAPACITY_SECONDS = 1.5
POINTS = 26  # of a line, about
ENOUGH = 0.9  # of the goodput before the spike, from which on a server has recovered
SETTINGS = {"no shedding": "off", "adaptive": "adaptive"}
Taken = dict[str, tuple[Seen, Seen]]  # the flow that was always there, and that of the spike


def _flow(rate: float, seconds: float, delay: float = 0.0) -> Flow:
    # Enough connections that each attempt is sent when it is due, even if none is answered.
    connections = round(rate * (1 + RETRIES) * DEADLINE * 1.5)
    return Flow(PATH, connections, seconds, rate, 0.0, deadline=DEADLINE, retries=RETRIES, delay=delay)


def _spike(stage: Stage, mode: str, capacity: float) -> tuple[Seen, Seen]:
    before, during, after = (stage.seconds(seconds) for seconds in (BEFORE, DURING, AFTER))
    always = _flow(BASE * capacity, before + during + after)
    spike = _flow((SPIKE - BASE) * capacity, during, before)
    with stage.torc("--shed", mode) as server:
        found, more = stage.ask(server, always, spike)
    return found, more


def take(stage: Stage) -> Finding:
    with stage.torc() as server:
        (alone,) = stage.ask(server, Flow(PATH, connections=4, seconds=stage.seconds(CAPACITY_SECONDS)))
    need_answers({"capacity": alone})
    capacity = alone.per_second
    before, last = stage.seconds(BEFORE), stage.seconds(AFTER) / 2
    taken = {name: _spike(stage, mode, capacity) for name, mode in SETTINGS.items()}
    return conclude(capacity, before, last, taken)


def rates(slices: Sequence[Slice]) -> tuple[float, float]:
    """Attempts and good answers, each second."""
    seconds = sum(one.seconds for one in slices) or 1.0
    return sum(one.attempts for one in slices) / seconds, sum(one.good for one in slices) / seconds


def within(slices: Sequence[Slice], begin: float, end: float) -> list[Slice]:
    """Those that lie between two times, in seconds since the first."""
    chosen, at = [], 0.0
    for one in slices:
        if begin <= at + one.seconds / 2 < end:
            chosen.append(one)
        at += one.seconds
    return chosen


def conclude(capacity: float, before: float, last: float, taken: Taken) -> Finding:
    """From what was seen in the first `before` seconds, and in the `last`."""
    first = {name: rates(within(always.slices, 0.0, before)) for name, (always, _) in taken.items()}
    end = {name: rates(within(always.slices, _end(always) - last, _end(always))) for name, (always, _) in taken.items()}
    without, shed = SETTINGS
    back = {name: end[name][1] / first[name][1] if first[name][1] else 0.0 for name in taken}
    unsent = taken[without][0].unsent
    asked = end[without][0] > capacity or shut_out(first[without][0], end[without][0], unsent)
    missed = failing(
        {
            f"without shedding clients got {percent(back[without])} of the answers as before": back[without] < ENOUGH,
            f"with shedding they got only {percent(back[shed])} of them": back[shed] >= ENOUGH,
            "without shedding clients did not ask for more than it can answer": asked,
        }
    )
    attempts = _attempts(end[without][0], capacity, first[without][0], unsent)
    verdict = (
        f"After a spike of {SPIKE:g} times what a core can do, clients ask for {percent(BASE)} of it as before. Where "
        f"the server takes every request (no shedding) that is {attempts}, and they get {percent(back[without])} of "
        "the good answers that they got before; where it refuses what is too much (shedding) it is "
        f"{end[shed][0]:,.0f}, and they get {percent(back[shed])}."
    )
    theory = (
        f"A request that is answered too late is sent {1 + RETRIES} times in all: {percent(BASE)} of the capacity "
        f"becomes {percent(BASE * (1 + RETRIES))}. From then on the requests of clients that have left are more than "
        "it can do, and it stays overloaded, although the spike has ended."
    )
    figures = ("good/s before", "attempts/s at the end", "good/s at the end", "of before")
    header = ("", *figures, "p99", "refused", "given up")
    rows = [_row(name, first[name][1], *end[name], back[name], taken[name][0]) for name in taken]
    samples: dict[str, Any] = {name: [one.plain() for one in seen] for name, seen in taken.items()}
    brief = (
        f"Clients that try again: after a spike has ended, they still get only {percent(back[without])} of the good "
        f"answers that they got before it, and {percent(back[shed])} from a server that rejects at once what it "
        "cannot do in time (shedding)."
    )
    pictures = pictures_of(capacity, before, taken)
    samples = {"capacity": capacity, "back": back, **samples}
    return Finding(not missed, verdict, header, rows, theory, samples, brief, pictures, missed=missed)


def pictures_of(capacity: float, before: float, taken: Taken) -> list[Picture]:
    """What is answered and what is asked over the time, by all clients."""
    ends = [_end(always) for always, _ in taken.values()]
    during = max(spike.seconds for _, spike in taken.values())
    shades = [Shade(f"spike, {SPIKE:g} × capacity", before, before + during)]
    answers, attempts = [], []
    for name, seen in taken.items():
        points = over_time(*seen, before)
        answers.append(over(name, [(at, good) for at, _, good in points]))
        attempts.append(over(name, [(at, tried) for at, tried, _ in points]))
    most: list[Line] = [over("capacity", [(0.0, capacity), (max(ends, default=0.0), capacity)], True)]
    again = (
        f"Attempts of all clients. From outside come {percent(BASE)} of the capacity before and after the spike: what "
        "is above that are clients that try again."
    )
    answered = "Requests that are answered before their clients give up, of all clients."
    given: dict[str, Any] = {"x": "time, s", "shades": shades}
    return [
        Picture("What is answered in time", answered, y="good answers/s", lines=[*answers, *most], **given),
        Picture("What is asked", again, y="attempts/s", lines=[*attempts, *most], **given),
    ]


def over_time(always: Seen, spike: Seen, before: float) -> list[tuple[float, float, float]]:
    """Of both flows together, the second of which begins `before` seconds after the first: the time, attempts and
    good answers each second."""
    whole = _end(always)
    wide = max(round(whole / POINTS, 1), 0.2)
    found = []
    for number in range(round(whole / wide)):
        begin, end = number * wide, (number + 1) * wide
        both = rates(within(always.slices, begin, end)), rates(within(spike.slices, begin - before, end - before))
        found.append((round((begin + end) / 2, 3), *(round(sum(pair), 2) for pair in zip(*both))))
    return found


def _end(seen: Seen) -> float:
    return sum(one.seconds for one in seen.slices)


def shut_out(before: float, attempts: float, unsent: int) -> bool:
    """Whether clients send less than they did, as they cannot: connections wait to be accepted, and new ones find no
    room among them."""
    return unsent > 0 and attempts < before


def _attempts(attempts: float, capacity: float, before: float, unsent: int) -> str:
    if shut_out(before, attempts, unsent):
        return f"{attempts:,.0f} attempts/s, for connections are no longer accepted: {unsent:,} requests are never sent"
    more = "more" if attempts > capacity else "no more"
    return f"{attempts:,.0f} attempts/s, {more} than the {capacity:,.0f} that it can answer"


def _row(name: str, before: float, attempts: float, good: float, back: float, seen: Seen) -> list[str]:
    figures = [f"{rate:,.0f}" for rate in (before, attempts, good)]
    counts = [f"{count:,}" for count in (seen.refused, seen.given_up)]
    return [name, *figures, percent(back), seen.time(seen.p99), *counts]


CLAIM = Claim(
    "retries",
    "Retries make a spike last",
    f"Clients that wait {DEADLINE * 1000:.0f} ms and try again {RETRIES} times overload a core for a while. "
    f"When is it well again without load shedding, and with it ({SHEDDING})?",
    "When the spike is over.",
    CAPACITY_SECONDS + 1.5 + len(SETTINGS) * (BEFORE + DURING + AFTER + (1 + RETRIES) * DEADLINE + 2),
    take,
    point=r"--shed off",
    truth="Clients that try again keep a server overloaded after a spike has ended, unless it refuses what it cannot "
    "answer in time.",
)
