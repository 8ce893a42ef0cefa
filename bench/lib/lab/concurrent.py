"""Thousands of requests that wait, and eight that compute: each on one core and on two."""

import os
from dataclasses import dataclass, replace
from typing import Any, Mapping

from .. import words
from ..measures import KEYS
from .claim import HEADS, Claim, Finding, Parameter, failing, measured, need_answers, untold
from .flow import Flow, Seen
from .picture import Bar, Picture
from .stage import Stage

CONNECTIONS = 2000
SECONDS = 3.0
WAIT, COMPUTE = "all wait", "eight compute"
FIRST, LAST = "one core, all wait", "two cores, eight compute"  # not parallel, and parallel
SETTINGS = {
    FIRST: (1, WAIT),
    "two cores, all wait": (2, WAIT),
    "one core, eight compute": (1, COMPUTE),
    LAST: (2, COMPUTE),
}
COMPUTE_MS, COMPUTING = 10, 8  # of a request, and so many at once: connections fall to cores at random
GAINS, SAME = 1.3, 1.1  # times the requests/s of one core, from which on two gain, and up to which they do not
MANY = 0.9  # of the connections, in progress
PARALLEL = 1.5  # cores that run request code, more than one core can
Taken = dict[str, tuple[Seen, dict[str, float]]]


@dataclass(frozen=True)
class Asked:
    connections: int = CONNECTIONS
    delay_ms: int = 500

    def flows(self, seconds: float) -> dict[str, Flow]:
        """The two loads, each for both servers."""
        settled = max(2 * self.delay_ms / 1000, 0.5)
        waiting = Flow(f"/delay/{self.delay_ms}", self.connections, seconds, warmup=settled)
        return {WAIT: waiting, COMPUTE: Flow(f"/crypto?ms={COMPUTE_MS}&where=inline", COMPUTING, seconds, warmup=0.3)}

    def most(self, cores: int, what: str) -> float:
        """Requests/s that arithmetic allows."""
        return self.connections * 1000 / self.delay_ms if what == WAIT else cores * 1000 / COMPUTE_MS


def take(stage: Stage) -> Finding:
    asked = Asked(**stage.given)
    taken: Taken = {}
    flows = asked.flows(stage.seconds(SECONDS))
    for name, (cores, what) in SETTINGS.items():
        with stage.torc("--max-requests", "65536", cores=cores) as server:
            taken[name] = stage.measured(server, flows[what])
    return conclude(taken, asked)


def conclude(taken: Taken, asked: Asked = Asked()) -> Finding:
    need_answers({name: seen for name, (seen, _) in taken.items()})
    waiting, computing = (taken[name][1] for name in (FIRST, LAST))
    unsure = untold({FIRST: waiting, LAST: computing})
    gained = gains(taken)
    checks = {
        f"two cores served only {gained[COMPUTE]:.2f} times the requests that compute": gained[COMPUTE] >= GAINS,
        f"two cores served {gained[WAIT]:.2f} times the requests that wait": gained[WAIT] <= SAME,
    }
    verdict = (
        f"Two cores serve {gained[COMPUTE]:.2f} times the requests that compute, and {gained[WAIT]:.2f} times those "
        "that wait."
    )
    if not unsure:
        checks = {**_checks(waiting, computing, asked), **checks}
        verdict = (
            f"One core had {waiting['concurrency']:,.0f} requests in progress, and ran the code of "
            f"{waiting['parallelism']:.2f} at a time; two cores had {computing['concurrency']:.1f} in progress, and "
            f"ran {computing['parallelism']:.2f} at a time. {verdict}"
        )
    theory = (
        "A core runs at most one request at a time, whatever is in progress: running P ≤ 1 on one core, and P ≤ 2 on "
        "two. So computing gains by the cores that are there, as long as there are requests for each. Waiting requests "
        f"gain nothing: {asked.connections:,} connections ÷ {asked.delay_ms} ms = {asked.most(1, WAIT):,.0f} "
        "requests/s on any number of cores, as long as one has time for them."
    )
    rows = [_row(name, *found) for name, found in taken.items()]
    samples = {name: {**seen.plain(), **also} for name, (seen, also) in taken.items()}
    brief = "" if unsure else _brief(waiting, computing)
    beside = [measured(name, [replace(seen, measures=also)], SETTINGS[name][0]) for name, (seen, also) in taken.items()]
    header = ("", "requests/s", *HEADS)
    pictures = [*_pictures(taken, asked), *(_cores(taken, asked, what) for what in (COMPUTE, WAIT))]
    missed = failing(checks)
    found = Finding(not missed, verdict, header, rows, theory, samples, brief, pictures, beside, missed, unsure)
    if not untold({FIRST: waiting}) and waiting["parallelism"] <= 1:
        found.headline = (
            f"{waiting['concurrency']:,.0f} requests were in progress on one core of this machine, and at most one of "
            f"them ran at a time ({waiting['parallelism']:.2g} on average)"
        )
    return found


def _checks(waiting: Mapping[str, float], computing: Mapping[str, float], asked: Asked) -> dict[str, bool]:
    """Of the first setting and the last."""
    many = MANY * asked.connections
    return {
        f"fewer than {many:,.0f} were in progress": waiting["concurrency"] >= many,
        "more than one ran at a time on one core": waiting["parallelism"] <= 1,
        f"two cores ran only {computing['parallelism']:.2f} at a time": computing["parallelism"] >= PARALLEL,
    }


def _brief(waiting: Mapping[str, float], computing: Mapping[str, float]) -> str:
    return (
        f"One core had {waiting['concurrency']:,.0f} requests in progress and ran {waiting['parallelism']:.2g} at a "
        f"time on average, because they wait; two cores had {computing['concurrency']:.2g} that compute and ran "
        f"{computing['parallelism']:.2g} at a time."
    )


def gains(taken: Taken) -> dict[str, float]:
    """Of each load, the requests/s of two cores ÷ those of one."""
    rates = {SETTINGS[name]: seen.per_second for name, (seen, _) in taken.items()}
    return {what: rates[2, what] / rates[1, what] if rates[1, what] else 0.0 for what in (WAIT, COMPUTE)}


def _cores(taken: Taken, asked: Asked, what: str) -> Picture:
    """What one core and two serve of the same load."""
    bars = [
        Bar(words.cores(cores), seen.per_second, f"{seen.per_second:,.0f}", asked.most(cores, what))
        for name, (seen, _) in taken.items()
        for cores, mine in [SETTINGS[name]]
        if mine == what
    ]
    caption = f"Bar: requests/s. Mark: the most, {COMPUTE_MS} ms of a core for each request."
    if what == WAIT:
        caption = f"Bar: requests/s. Mark: the most, {asked.connections:,} connections ÷ {asked.delay_ms} ms."
    title = "More cores, requests that compute" if what == COMPUTE else "More cores, requests that wait"
    return Picture(title, caption, "requests/s", bars)


def _pictures(taken: Taken, asked: Asked) -> list[Picture]:
    """Of what is known; none where nothing is."""
    bars, flows = [], asked.flows(SECONDS)
    for name in (name for name in (FIRST, LAST) if not untold({name: taken[name][1]})):
        (cores, what), also = SETTINGS[name], taken[name][1]
        in_progress, running = also["concurrency"], also["parallelism"]
        bars.append(Bar(f"{name}: in progress", in_progress, f"{in_progress:,.0f}", flows[what].connections))
        bars.append(Bar(f"{name}: running", running, f"{running:.2g}", cores))
    caption = (
        "Dot: the average. Mark: the most that there can be, as many in progress as there are connections, and as many "
        "that run as there are cores."
    )
    title = "Requests in progress, and requests that run"
    return [Picture(title, caption, "requests", bars, log=True)] if bars else []


def _row(name: str, seen: Seen, also: dict[str, Any]) -> list[str]:
    forms = zip(KEYS, (",.1f", ".2f", ".3f"))
    return [name, f"{seen.per_second:,.0f}", *(format(also[key], form) if key in also else "–" for key, form in forms)]


def _missing() -> str | None:
    return None if len(os.sched_getaffinity(0)) > 1 else "needs two CPUs"


CLAIM = Claim(
    "concurrent",
    "In progress is not running",
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
    lasts=9.0,
    point=r"on 1 core: .* /delay",
    truth="One core can have thousands of requests in progress, and runs one of them at a "
    "time at most; two cores run two. So more cores help requests that compute, and those that wait gain nothing.",
)
