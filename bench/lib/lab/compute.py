"""Requests that compute, on the core and on the work pool, beside light ones on the same core."""

from typing import Sequence

from ..table import latency
from .claim import Claim, Finding, measured
from .flow import Flow, Seen
from .picture import Bar, Picture
from .stage import Stage

HEAVY_MS = 10
SECONDS = 4.0
LIGHT = Flow("/plaintext", connections=4, seconds=SECONDS, rate=200)
HEAVY_RATE = 30.0  # requests/s; × HEAVY_MS it takes 30 % of a CPU
WHERE = {"no heavy requests": None, "heavy, inline": "inline", "heavy, work pool": "work"}


def take(stage: Stage) -> Finding:
    taken: dict[str, list[Seen]] = {}
    seconds = stage.seconds(SECONDS)
    for name, where in WHERE.items():
        flows = [LIGHT.lasting(seconds)]
        if where:
            path = f"/crypto?ms={HEAVY_MS}&where={where}"
            flows.append(Flow(path, connections=8, seconds=seconds, rate=HEAVY_RATE))
        with stage.torc() as server:
            taken[name] = stage.ask(server, *flows)
    return conclude(taken)


def conclude(taken: dict[str, Sequence[Seen]]) -> Finding:
    alone, inline, work = (taken[name][0].p99 for name in WHERE)
    holds = inline >= HEAVY_MS / 2000 and inline > alone and work < inline
    verdict = (
        f"99 % of light requests are answered within {latency(alone)} by an idle core, within "
        f"{latency(inline)} where requests compute for {HEAVY_MS} ms on that core, and within "
        f"{latency(work)} where these compute on the work pool."
    )
    theory = (
        f"A core that computes {HEAVY_RATE:.0f} times a second for {HEAVY_MS} ms is taken for "
        f"{HEAVY_RATE * HEAVY_MS / 1000:.0%} of the time, and so many light requests find it taken: the p99 is near "
        f"{HEAVY_MS} ms, however asynchronous the server is."
    )
    header = ("", "light p50", "light p99", "heavy p50", "heavy/s", "CPUs")
    rows = [_row(name, seen) for name, seen in taken.items()]
    samples = {name: [one.plain() for one in seen] for name, seen in taken.items()}
    brief = (
        f"99 % of light requests are answered within {latency(inline)} beside others that compute on their core, "
        f"within {latency(work)} where these compute elsewhere, and within {latency(alone)} without them."
    )
    beside = [measured(name, seen) for name, seen in taken.items()]
    return Finding(holds, verdict, header, rows, theory, samples, brief, [_picture(taken)], beside)


def _picture(taken: dict[str, Sequence[Seen]]) -> Picture:
    bars = [
        Bar(name, seen[0].p99 * 1000, latency(seen[0].p99), HEAVY_MS if WHERE[name] == "inline" else None)
        for name, seen in taken.items()
    ]
    caption = (
        f"Bar: the time within which 99 % of the light requests are answered. Mark: the {HEAVY_MS} ms for which one "
        f"heavy request takes the core."
    )
    return Picture("How long light requests take", caption, "p99 of light requests, ms", bars)


def _row(name: str, seen: Sequence[Seen]) -> list[str]:
    light, *heavy = seen
    cells = [name, latency(light.p50), latency(light.p99)]
    cells += [latency(heavy[0].p50), f"{heavy[0].per_second:.0f}"] if heavy else ["–", "–"]
    return [*cells, f"{light.cpus:.2f}"]


CLAIM = Claim(
    "compute",
    "Asynchronous is not parallel",
    f"One core serves light requests, and some that compute for {HEAVY_MS} ms. Do the light ones wait?",
    "No: the server is asynchronous.",
    len(WHERE) * (SECONDS + 1.5),
    take,
)
