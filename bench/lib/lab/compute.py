"""Requests that compute, on the core and on the work pool, beside light ones on the same core."""

from dataclasses import dataclass
from typing import Sequence

from ..table import percent
from .claim import Claim, Finding, Parameter, failing, measured, need_answers
from .flow import Flow, Seen
from .picture import Bar, Picture
from .stage import Stage

HEAVY_MS = 10
SECONDS = 4.0
LIGHT = Flow("/plaintext", connections=4, seconds=SECONDS, rate=200)
HEAVY_RATE = 30.0  # requests/s; × HEAVY_MS it takes 30 % of a CPU
WHERE = {"no heavy requests": None, "heavy, inline": "inline", "heavy, work pool": "work"}


@dataclass(frozen=True)
class Asked:
    heavy_ms: int = HEAVY_MS
    heavy_rate: int = round(HEAVY_RATE)
    cores: int = 1


def take(stage: Stage) -> Finding:
    asked = Asked(**stage.given)
    taken: dict[str, list[Seen]] = {}
    seconds = stage.seconds(SECONDS)
    for name, where in WHERE.items():
        flows = [LIGHT.lasting(seconds)]
        if where:
            path = f"/crypto?ms={asked.heavy_ms}&where={where}"
            flows.append(Flow(path, connections=8, seconds=seconds, rate=asked.heavy_rate))
        with stage.torc(cores=asked.cores) as server:
            taken[name] = stage.ask(server, *flows)
    return conclude(taken, asked)


def conclude(taken: dict[str, Sequence[Seen]], asked: Asked = Asked()) -> Finding:
    cores = "an idle core" if asked.cores == 1 else f"{asked.cores} idle cores"
    there = "that core" if asked.cores == 1 else "those cores"
    need_answers({name: seen[0] for name, seen in taken.items()})
    alone, inline, work = (taken[name][0] for name in WHERE)
    missed = failing(
        {
            "light requests did not wait for the heavy ones": (
                inline.p99 >= asked.heavy_ms / 2000 and inline.p99 > alone.p99
            ),
            "they waited as long with the work pool": work.p99 < inline.p99,
        }
    )
    verdict = (
        f"99 % of light requests are answered {alone.within} by {cores}, {inline.within} where requests compute for "
        f"{asked.heavy_ms} ms on {there}, and {work.within} where these compute on the work pool."
    )
    theory = (
        f"{'A core that computes' if asked.cores == 1 else f'{asked.cores} cores that compute'} "
        f"{asked.heavy_rate} times a second for {asked.heavy_ms} ms {'is' if asked.cores == 1 else 'are'} taken for "
        f"{percent(asked.heavy_rate * asked.heavy_ms / 1000 / asked.cores)} of the time, and so many light requests "
        f"find {'it' if asked.cores == 1 else 'theirs'} taken: the p99 is near {asked.heavy_ms} ms, however "
        f"asynchronous the server is."
    )
    header = ("", "light p50", "light p99", "heavy p50", "heavy/s", "CPUs")
    rows = [_row(name, seen) for name, seen in taken.items()]
    samples = {name: [one.plain() for one in seen] for name, seen in taken.items()}
    brief = (
        f"99 % of light requests are answered {alone.within} when they are alone, {inline.within} when heavy requests "
        f"compute on their core, and {work.within} when the heavy ones compute elsewhere."
    )
    beside = [measured(name, seen) for name, seen in taken.items()]
    pictures = [_picture(taken, asked)]
    return Finding(not missed, verdict, header, rows, theory, samples, brief, pictures, beside, missed)


def _picture(taken: dict[str, Sequence[Seen]], asked: Asked) -> Picture:
    bars = [
        Bar(name, seen[0].p99 * 1000, seen[0].time(seen[0].p99), asked.heavy_ms if WHERE[name] == "inline" else None)
        for name, seen in taken.items()
    ]
    caption = (
        f"Bar: the time within which 99 % of the light requests are answered. Mark: the {asked.heavy_ms} ms for which "
        f"one heavy request takes the core."
    )
    return Picture("How long light requests take", caption, "p99 of light requests, ms", bars)


def _row(name: str, seen: Sequence[Seen]) -> list[str]:
    light, *heavy = seen
    cells = [name, light.time(light.p50), light.time(light.p99)]
    cells += [heavy[0].time(heavy[0].p50), f"{heavy[0].per_second:.0f}"] if heavy else ["–", "–"]
    return [*cells, f"{light.cpus:.2f}"]


CLAIM = Claim(
    "compute",
    "Asynchronous is not parallel",
    f"One core serves light requests, and some that compute for {HEAVY_MS} ms. Do the light ones wait?",
    "No: the server is asynchronous.",
    len(WHERE) * (SECONDS + 1.5),
    take,
    parameters=(
        Parameter("heavy_ms", "ms that a heavy request computes", HEAVY_MS, 1, 100),
        Parameter("heavy_rate", "heavy requests/s", round(HEAVY_RATE), 1, 80),
        Parameter("cores", "cores of the server", 1, 1, 4),
    ),
    template="A server serves light requests, and some that compute for {heavy_ms} ms. Do the light ones wait?",
    point=r"where=inline",
    truth="A request that computes takes the core, and all others of that core wait for it, on an asynchronous server "
    "too. On another thread it does not.",
)
