"""One client that asks for ten times what it may, beside ten that do not."""

import statistics
from typing import Sequence

from ..remarks import UNSENT, never_sent
from ..table import latency, percent
from .claim import Claim, Finding, Parameter, failing, measured, need_answers
from .flow import Flow, Seen
from .picture import Bar, Picture
from .stage import Stage

LIMIT = 100  # requests/s that a client may ask for
BURST = 10  # requests that it may be ahead of that
TIMES = 10  # as many as the abusive client asks for
PATH = "/crypto?ms=1&where=inline"  # one core serves fewer than LIMIT × TIMES a second of these
GOOD = Flow(PATH, connections=10, seconds=5, rate=150, source="127.0.1.1-127.0.1.10")
ABUSIVE = Flow(PATH, connections=32, seconds=5, rate=LIMIT * TIMES, source="127.0.2.1")
ROUNDS = 3
MOST = 1.2  # a good client's p99 beside the abusive one over its p99 alone, at most
LIMITED = ("--rate-limit", str(LIMIT), "--rate-burst", str(BURST))
SETTINGS = {  # name -> options of the server, and whether the abusive client is there
    "good clients alone": (LIMITED, False),
    "beside it, limited": (LIMITED, True),
    "beside it, no limit": ((), True),
}


def _round(stage: Stage, name: str) -> list[Seen]:
    args, abused = SETTINGS[name]
    seconds = stage.seconds(GOOD.seconds)
    flows = [one.lasting(seconds) for one in ([GOOD, ABUSIVE] if abused else [GOOD])]
    with stage.torc(*args) as server:
        return stage.ask(server, *flows)


def take(stage: Stage) -> Finding:
    taken: dict[str, list[list[Seen]]] = {name: [] for name in SETTINGS}
    for number in range(stage.given.get("rounds", ROUNDS)):
        for name in SETTINGS if number % 2 == 0 else reversed(SETTINGS):
            taken[name].append(_round(stage, name))
    return conclude(taken)


def conclude(taken: dict[str, list[list[Seen]]]) -> Finding:
    """From the rounds of each setting: what the good clients saw, and what the abusive one."""
    *compared, last = SETTINGS
    need_answers({f"{name}, round {n}": one[0] for name in compared for n, one in enumerate(taken[name], 1)})
    p99 = {name: statistics.median(one[0].p99 for one in rounds) for name, rounds in taken.items()}
    alone, limited, unlimited = (p99[name] for name in SETTINGS)
    served = statistics.median(one[1].per_second for one in taken["beside it, limited"])
    missed = failing({f"their p99 was {limited / alone:.1f} times what they have alone": limited <= MOST * alone})
    unsent = {name: statistics.median(never_sent(one[0].plain()) for one in rounds) for name, rounds in taken.items()}
    unsure = [
        f"{name}: {percent(unsent[name])} of the good clients' requests were never sent"
        for name in compared
        if unsent[name] > UNSENT
    ]
    bound = " or more" * any(one[0].unsent for one in taken[last])
    kept = f", and {percent(unsent[last])} of their requests cannot even be sent" if unsent[last] > UNSENT else ""
    verdict = (
        f"Beside a client that asks for {TIMES} times its limit, the p99 of ten good clients is "
        f"{latency(limited)}, {limited / alone:.2f} times the {latency(alone)} that they have alone; without a limit "
        f"it is {latency(unlimited)}{bound}{kept}. Of {ABUSIVE.rate:,.0f} requests/s the abusive client is served "
        f"{served:,.0f}."
    )
    theory = (
        f"A limit of {LIMIT} requests/s serves the abusive client {LIMIT} of {ABUSIVE.rate:,.0f}; the others are "
        "answered with 429 (Too Many Requests) at once."
    )
    rows = [_row(name, p99[name], rounds) for name, rounds in taken.items()]
    header = ("", "good p50", "good p99", "good served/s", "abusive served/s", "abusive refused/s")
    samples = {name: [[one.plain() for one in seen] for seen in rounds] for name, rounds in taken.items()}
    brief = (
        f"While one client asks for {TIMES} times its limit, 99 % of the good clients' requests are answered within "
        f"{latency(limited)} if the server refuses what is beyond that limit, and within {latency(unlimited)}{bound} "
        "if not."
    )
    beside = [measured(name, rounds[-1]) for name, rounds in taken.items()]
    pictures = [_picture(p99)]
    return Finding(not missed, verdict, header, rows, theory, samples, brief, pictures, beside, missed, unsure)


def _picture(p99: dict[str, float]) -> Picture:
    most = MOST * 1000 * next(iter(p99.values()))
    bars = [Bar(name, one * 1000, latency(one), most) for name, one in p99.items()]
    caption = f"Dot: the p99 of the ten good clients. Mark: {MOST:g} times what they have alone, the most that is fair."
    return Picture("How long good clients wait", caption, "p99 of good clients, ms", bars, log=True)


def _row(name: str, p99: float, rounds: Sequence[Sequence[Seen]]) -> list[str]:
    good = [seen[0] for seen in rounds]
    abusive = [seen[1] for seen in rounds if len(seen) > 1]
    bound = "≥ " * any(one.unsent for one in good)  # as in Seen.time
    cells = [name, bound + latency(statistics.median(one.p50 for one in good)), bound + latency(p99)]
    cells.append(f"{statistics.median(one.per_second for one in good):,.0f}")
    if not abusive:
        return [*cells, "–", "–"]
    cells.append(f"{statistics.median(one.per_second for one in abusive):,.0f}")
    return [*cells, f"{statistics.median(one.refused / one.seconds for one in abusive):,.0f}"]


CLAIM = Claim(
    "abuse",
    "One abusive client",
    "What becomes of ten good clients when another asks for ten times what it may?",
    "They wait behind it.",
    3 * 3 * 6.5,
    take,
    parameters=(Parameter("rounds", f"rounds (torc-bench explain: {ROUNDS})", 1, 1, ROUNDS),),
    lasts=10.0,
    point=r"--rate-limit.*;",
    truth="With a limit for each client, good clients hardly notice one that asks for too much. Without it they wait "
    "behind its requests.",
)
