"""One request alone, and requests that only compute, on threads, epoll and io_uring."""

import statistics
from dataclasses import dataclass

from ..table import latency, percent
from ..words import capital
from .claim import Claim, Finding, Measured, Parameter, failing, measured, need_answers, threaded
from .flow import Flow, Seen
from .picture import Bar, Picture
from .stage import Stage

MODELS = ("threads", "epoll", "io_uring")
DELAY_MS = COMPUTE_MS = 5
SECONDS = 1.5
ROUNDS = 5
ASKED = ("one request alone", "only computing")
GAIN = 1.1  # times what threads do, from which on a model is faster
Taken = dict[tuple[str, str], list[Seen]]


@dataclass(frozen=True)
class Asked:
    compute_ms: int = COMPUTE_MS
    rounds: int = 0  # 0: ROUNDS

    def flows(self, seconds: float) -> dict[str, Flow]:
        alone = Flow(f"/delay/{DELAY_MS}", connections=1, seconds=seconds, warmup=0.2)
        computing = Flow(f"/crypto?ms={self.compute_ms}&where=inline", connections=4, seconds=seconds, warmup=0.2)
        return dict(zip(ASKED, (alone, computing)))


def take(stage: Stage) -> Finding:
    asked = Asked(**stage.given)
    stage.need("threads")
    taken: Taken = {}
    models = [name for name in MODELS if stage.can(name)]
    flows = asked.flows(stage.seconds(SECONDS))
    for number in range(asked.rounds or ROUNDS):
        for name in models if number % 2 == 0 else reversed(models):
            with stage.torc("--threads", "8", engine=name) if name == "threads" else stage.torc(engine=name) as server:
                for what, flow in flows.items():
                    (seen,) = stage.ask(server, flow)
                    taken.setdefault((what, name), []).append(seen)
    return conclude(taken, asked)


def conclude(taken: Taken, asked: Asked = Asked()) -> Finding:
    """Each model beside threads, round by round."""
    need_answers({f"{', '.join(key)}, round {n}": one for key, seen in taken.items() for n, one in enumerate(seen, 1)})
    names = [name for name in MODELS if ("only computing", name) in taken]
    rates = {key: statistics.median(one.per_second for one in seen) for key, seen in taken.items()}
    gains = {
        (what, name): statistics.median(
            mine.per_second / other.per_second for mine, other in zip(taken[what, name], taken[what, "threads"])
        )
        for what in ASKED
        for name in names[1:]
    }
    missed = failing(
        {
            f"{what}: {name} served {gain:.2f} times the requests/s of threads": gain < GAIN
            for (what, name), gain in gains.items()
        }
    )
    said = [
        f"{what}: " + ", ".join(f"{name} {gains[what, name]:.2f} times the requests/s of threads" for name in names[1:])
        for what in ASKED
    ]
    theory = (
        "A request alone has nobody to share a thread with, and code that computes needs its CPU whatever the model: "
        "what asynchrony saves is threads that wait, and here none does. The eight threads of the server with threads "
        "share its one core, which runs one of them at a time: P is at most 1. Its figure here can be higher, for the "
        "server counts a thread that the system has interrupted as running."
    )
    header = ("", *(f"{name} requests/s" for name in names), *(f"{name} p50" for name in names))
    rows = [
        [
            what,
            *(f"{rates[what, name]:,.0f}" for name in names),
            *(latency(statistics.median(one.p50 for one in taken[what, name])) for name in names),
        ]
        for what in ASKED
    ]
    samples = {f"{what}, {name}": [one.plain() for one in seen] for (what, name), seen in taken.items()}
    most = max(gains.values(), default=1.0)
    brief = (
        "One request alone, or requests that only compute: an asynchronous server answers at most "
        f"{percent(max(most - 1, 0))} more requests than one with threads."
    )
    beside = [
        _measured(f"{what}, {name}", taken[what, name][-1:], flow.connections if name == "threads" else 0)
        for what, flow in asked.flows(SECONDS).items()
        for name in names
    ]
    verdict, pictures = capital("; ".join(said)) + ".", [_picture(rates, asked)]
    return Finding(not missed, verdict, header, rows, theory, samples, brief, pictures, beside, missed)


def _measured(name: str, seen: list[Seen], threads: int) -> Measured:
    return threaded(name, seen, threads) if threads else measured(name, seen)


def _picture(rates: dict[tuple[str, str], float], asked: Asked) -> Picture:
    most = dict(zip(ASKED, (1000 / DELAY_MS, 1000 / asked.compute_ms)))  # requests/s
    bars = [
        Bar(f"{what}, {name}", rates[what, name], f"{rates[what, name]:,.0f}", most[what])
        for what in ASKED
        for name in MODELS
        if (what, name) in rates
    ]
    caption = (
        f"Bar: the median of the rounds. Mark: the most, 1 ÷ {DELAY_MS} ms for one connection that waits so long, and "
        f"1 ÷ {asked.compute_ms} ms for one core that computes so long."
    )
    return Picture("Requests served each second, model by model", caption, "requests/s", bars)


CLAIM = Claim(
    "faster",
    "Asynchronous is not faster by itself",
    "One request at a time, and requests that only compute: which model serves them faster?",
    "The asynchronous ones.",
    ROUNDS * len(MODELS) * (len(ASKED) * (SECONDS + 0.3) + 0.5),
    take,
    parameters=(
        Parameter("compute_ms", "ms that a request computes", COMPUTE_MS, 1, 50),
        Parameter("rounds", f"rounds (torc-bench explain: {ROUNDS})", 2, 1, ROUNDS),
    ),
    lasts=19.0,
    on_engine=False,
    point=r"^(epoll|io_uring).*/crypto",
    truth="Where no request has to wait for a thread, an asynchronous server is no faster than one with threads.",
)
