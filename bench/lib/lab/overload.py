"""More than a core can compute: offered half to three times its capacity, with load shedding and without."""

from dataclasses import dataclass
from typing import Any

from ..table import percent
from .claim import SHEDDING, Claim, Finding, Parameter, failing, measured, need_answers
from .flow import Flow, Seen
from .picture import Picture, over
from .stage import Stage

PATH = "/crypto?ms=5&where=inline"
CONNECTIONS = 256  # of the open loop: so many requests can be in progress
SECONDS = 4.0
TIMES = (0.5, 0.9, 1.2, 2.0, 3.0)  # offered, of the capacity
LOADS = {f"{times:g}×": times for times in TIMES}
TWICE = 2.0
CALM = 0.2  # of the capacity: latencies there are those of a server that has time
SPIKE, AFTER = 3.0, 0.5  # of the capacity, in a spike and after it
ENOUGH, SOON = 0.9, 3.0  # of the capacity; times the p99 of a calm server
BEYOND = 1.1  # of the capacity: nobody answers more, so it was more when it was measured
SETTINGS = {"no shedding": "off", "adaptive": "adaptive"}


@dataclass(frozen=True)
class Spike:
    """Seconds: of the spike, of the recovery that is not looked at, and of what is."""

    seconds: float
    recovery: float
    after: float
    settings: tuple[str, ...]  # that get one


WHOLE = Spike(10.0, 5.0, 3.0, tuple(SETTINGS))
SHORT = Spike(2.0, 2.0, 2.0, ("adaptive",))  # the verdict is of this setting alone
Samples = dict[tuple[str, str], Seen]


def _at(rate: float, seconds: float, warmup: float = 1.0) -> Flow:
    return Flow(PATH, CONNECTIONS, seconds, rate=rate, warmup=warmup)


def _once(stage: Stage, mode: str, asked: Flow) -> Seen:
    with stage.torc("--shed", mode) as server:
        (found,) = stage.ask(server, asked)
    return found


def _after_spike(stage: Stage, mode: str, capacity: float, spike: Spike) -> Seen:
    with stage.torc("--shed", mode) as server:
        stage.ask(server, _at(SPIKE * capacity, spike.seconds, warmup=0.0))
        (found,) = stage.ask(server, _at(AFTER * capacity, spike.after, warmup=spike.recovery))
    return found


def take(stage: Stage) -> Finding:
    seconds = stage.seconds(SECONDS)
    most = _once(stage, "off", Flow(PATH, connections=4, seconds=seconds))
    need_answers({"capacity": most})
    capacity = most.per_second
    calm = _once(stage, "off", _at(CALM * capacity, seconds))
    taken: Samples = {}
    offered = sorted({TWICE, wanted / 100}) if (wanted := stage.given.get("percent")) else TIMES
    for times in offered:
        for name, mode in SETTINGS.items():
            taken[f"{times:g}×", name] = _once(stage, mode, _at(times * capacity, seconds))
    spike = SHORT if stage.quick else WHOLE
    for name in spike.settings:
        taken["after a spike", name] = _after_spike(stage, SETTINGS[name], capacity, spike)
    return conclude(capacity, calm, taken, spike.recovery)


def conclude(capacity: float, calm: Seen, taken: Samples, recovery: float = WHOLE.recovery) -> Finding:
    without, shed = (taken[f"{TWICE:g}×", name] for name in SETTINGS)
    after = taken["after a spike", "adaptive"]
    need_answers({"calm": calm})
    soon = bool(after.good) and after.p99 <= SOON * calm.p99
    share = shed.per_second / capacity
    calmly = bool(shed.good) and shed.p99 <= SOON * calm.p99
    missed = failing(
        {
            f"refusing, it answered less than {percent(ENOUGH)} of what it can": share >= ENOUGH,
            f"refusing, its p99 was more than {SOON:g} times that of a calm server": calmly,
            f"after the spike its p99 was more than {SOON:g} times that of a calm server": soon,
        }
    )
    most = max(seen.per_second for seen in taken.values()) / capacity
    unsure = [f"it answered {percent(most)} of its capacity, which was measured too low"] if most > BEYOND else []
    verdict = (
        f"Beyond its capacity a server queues or refuses. Offered twice its {capacity:,.0f} requests/s, a core that "
        f"refuses nothing answers {percent(without.per_second / capacity)} of them{_within(without)}; one that sheds "
        f"load answers {percent(share)}{_within(shed)}."
    )
    theory = (
        "What comes beyond the capacity waits or is refused; there is nothing else. If it waits, the wait grows until "
        "the clients cannot begin any more requests, or give up. Adaptive: the server finds out by itself when to "
        f"refuse. After a spike: {recovery:.0f} s after one of {SPIKE:g} times the capacity. Above 100 % of the "
        "capacity, the capacity was measured too low: nobody answers more than it can."
    )
    header = ("offered", "", "good/s", "of capacity", "p50", "p99", "p99 ÷ calm", "refused/s")
    rows = [_row(*key, capacity, calm, seen) for key, seen in taken.items()]
    samples: dict[str, Any] = {" ".join(key): seen.plain() for key, seen in taken.items()}
    brief = (
        f"Asked for {TWICE:g} times what it can compute, 99 % of the answers of a core that takes every request "
        f"come {without.within}, and of one that refuses some {shed.within}; it answers "
        f"{percent(without.per_second / capacity)} and {percent(share)} of its capacity."
        if without.good and shed.good
        else f"Asked for {TWICE:g} times what it can compute, a core that takes every request answers "
        f"{percent(without.per_second / capacity)} of its capacity, and one that refuses some {percent(share)}."
    )
    samples = {"capacity": capacity, "calm": calm.plain(), **samples}
    pictures = [_goodput(capacity, taken), _latency(calm, taken)]
    beside = [measured(", ".join(key), [seen]) for key, seen in taken.items() if key[0] in LOADS]
    return Finding(not missed, verdict, header, rows, theory, samples, brief, pictures, beside, missed, unsure)


def _within(seen: Seen) -> str:
    return f", 99 % {seen.within}" if seen.good else ""


def _by_load(taken: Samples, name: str) -> dict[float, Seen]:
    """What was seen at each load, by its share of the capacity."""
    return {times: taken[key] for load, times in LOADS.items() if (key := (load, name)) in taken}


def _goodput(capacity: float, taken: Samples) -> Picture:
    most = over("capacity", [(times * 100, min(times, 1) * capacity) for times in (*TIMES, 1)], True)
    lines = [
        over(name, {times * 100: seen.per_second for times, seen in _by_load(taken, name).items()}) for name in SETTINGS
    ]
    caption = (
        "Requests that are answered well. Capacity: what the core answered when it was asked again after each answer."
    )
    offered = "offered load, % of the capacity"
    return Picture("What is answered at each load", caption, offered, lines=[*lines, most], y="good requests/s")


def _latency(calm: Seen, taken: Samples) -> Picture:
    lines = [
        over(name, {times * 100: seen.p99 * 1000 for times, seen in _by_load(taken, name).items() if seen.good})
        for name in SETTINGS
    ]
    fair = over(f"{SOON:g} × calm", {times * 100: SOON * calm.p99 * 1000 for times in TIMES}, True)
    caption = (
        "The time within which 99 % of the good answers come, and at least that where some requests were never sent, "
        f"which count with the time that they had waited; {SOON:g} × calm: {SOON:g} times that at {percent(CALM)} "
        f"of the capacity."
    )
    offered = "offered load, % of the capacity"
    return Picture("How long these answers take", caption, offered, lines=[*lines, fair], y="p99, ms", log=True)


def _row(offered: str, name: str, capacity: float, calm: Seen, seen: Seen) -> list[str]:
    figures = [f"{seen.per_second:,.0f}", percent(seen.per_second / capacity), seen.time(seen.p50), seen.time(seen.p99)]
    times = f"{seen.p99 / calm.p99:.1f}" if seen.good else "–"
    return [offered, name, *figures, times, f"{seen.refused / seen.seconds:,.0f}"]


CLAIM = Claim(
    "overload",
    "Beyond the capacity, refuse",
    "A core is asked for twice what it can compute. What do its clients see without load shedding, and with it "
    f"({SHEDDING})?",
    "Half of them are served, as fast as ever.",
    (2 + len(TIMES) * len(SETTINGS)) * (SECONDS + 1.5)
    + len(SETTINGS) * (WHOLE.seconds + WHOLE.recovery + WHOLE.after + 1),
    take,
    parameters=(Parameter("percent", "a second load to try, in % of what the core can do", 200, 10, 400),),
    lasts=18.0,
    point=r"--shed adaptive",
    truth="Nobody answers more than it can. What comes beyond that waits, or is refused: a server that refuses it at "
    "once (load shedding) answers the others soon.",
)
