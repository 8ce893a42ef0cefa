"""What a reader of the page predicts before a run, and which of the predictions its samples show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping

from ..lab import client, compute, database, faster, overload, proxy, retries, stack
from ..lab.claim import Claim, Finding
from ..lab.stage import ASYNCHRONOUS
from ..table import percent

Samples = Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    prompt: str
    choices: tuple[str, ...]
    found: Callable[[Finding], int]  # the number of the choice that is right here

    def plain(self) -> dict[str, Any]:
        return {"kind": "choice", "prompt": self.prompt, "choices": self.choices}


@dataclass(frozen=True)
class Amount:
    """On a slider whose steps are ratios."""

    prompt: str
    unit: str
    low: int
    high: int
    found: Callable[[Finding], float]

    def plain(self) -> dict[str, Any]:
        return {"kind": "amount", "prompt": self.prompt, "unit": self.unit, "low": self.low, "high": self.high}


Guess = Choice | Amount


def _models(finding: Finding) -> float:
    """Of the faster one that does not wait."""
    rates = [one["good"] / one["seconds"] for name, one in finding.samples.items() if name in ASYNCHRONOUS]
    return float(max(rates))


def _compute(finding: Finding) -> int:
    """Where the verdict says that they wait, this does not say that they do not."""
    alone, inline = (finding.samples[name][0] for name in list(compute.WHERE)[:2])
    if not finding.holds and inline["p99"] < 1.5 * alone["p99"]:
        return 0
    return 1 if inline["p50"] < inline["p99"] / 2 else 2


def _faster(finding: Finding) -> int:
    """Whose median of requests/s is ahead of the others' when requests only compute."""
    rates = {}
    for number, name in enumerate(faster.MODELS):
        if rounds := finding.samples.get(f"only computing, {name}"):
            each = sorted(one["good"] / one["seconds"] for one in rounds)
            rates[number] = each[len(each) // 2]
    first, second, *_ = sorted(rates, key=lambda number: -rates[number])
    return first if rates[first] >= faster.GAIN * rates[second] else len(faster.MODELS)


def _concurrent(finding: Finding) -> int:
    waiting = next(iter(finding.samples.values()))
    return 0 if waiting["parallelism"] > waiting["concurrency"] / 2 else 1 if waiting["parallelism"] > 1.05 else 2


def _stack(finding: Finding) -> int:
    """The server's handler, unless its calls overlap though it makes one after the other."""
    if not finding.holds:
        raise ValueError("no layer is sequential, or the trace is broken")
    return stack.LAYERS.index("the server's handler")


def _holds(right: int, wrong: int) -> Callable[[Finding], int]:
    return lambda finding: right if finding.holds else wrong


def _client(finding: Finding) -> int:
    """By the first client, which has no limit of its own."""
    one, other = list(finding.samples.values())[:2]
    return int(other["ends"][-1] <= client.LESS * one["ends"][-1])


def _retries(finding: Finding) -> int:
    return int(finding.samples["back"][list(retries.SETTINGS)[0]] < retries.ENOUGH)


def _proxy(finding: Finding) -> int:
    limited = [one for name, one in finding.samples.items() if name.endswith(tuple(proxy.LIMITED))]
    return int(max(one["concurrency"] for one in limited) <= proxy.CONNECTIONS / 2)


def _overload(finding: Finding) -> int:
    calm, full = finding.samples["calm"], finding.samples[f"{overload.TWICE:g}× no shedding"]
    return 0 if full["p99"] <= overload.SOON * calm["p99"] else 1


GUESSES: dict[str, Guess] = {
    "client": Choice(
        "The same requests, sent together instead of one after another, take:",
        ("as long: the server decides", "a part of the time: the client decides"),
        _client,
    ),
    "models": Amount(
        "How many requests/s does one thread serve that serves others while a request waits?",
        "requests/s",
        100,
        1_000_000,
        _models,
    ),
    "compute": Choice(
        "The heavy requests compute on the core that also serves the light ones. The light ones:",
        (
            "do not wait: the server is asynchronous",
            "mostly do not wait, but some as long as a heavy one computes",
            "all wait as long as a heavy one computes",
        ),
        _compute,
    ),
    "faster": Choice(
        f"Which serves requests that only compute over {percent(faster.GAIN - 1)} faster than each of the others?",
        ("threads", "epoll", "io_uring", "none of them"),
        _faster,
    ),
    "sequence": Choice(
        "A handler that waits for its answers in a loop takes:",
        ("as long as one answer, for it is asynchronous", "as long as all answers added up"),
        _holds(1, 0),
    ),
    "files": Choice(
        "While it sends files that are not in memory, an asynchronous server:",
        ("never waits for the disk", "waits for the disk on epoll without threads, and not on io_uring"),
        _holds(1, 0),
    ),
    "retries": Choice(
        "Once the spike is over, a server that refuses nothing:",
        ("is well again", "has more to do than it can, for clients that have left"),
        _retries,
    ),
    "proxy": Choice(
        "With few connections from the proxy to the server, most of the requests in progress are:",
        ("in the server", "in the proxy, or refused there"),
        _proxy,
    ),
    "stack": Choice("The layer that adds waits up, one after the other, is:", stack.LAYERS, _stack),
    "concurrent": Choice(
        "Of the requests in progress on one core, so many run at the same time:",
        ("all of them", "some of them", "one at most"),
        _concurrent,
    ),
    "overload": Choice(
        "Asked for twice what it can do, a server that refuses nothing answers:",
        ("half of the requests, as fast as ever", "what it can, after a long wait"),
        _overload,
    ),
    "abuse": Choice(
        "With a limit for each client, ten good clients beside an abusive one:",
        ("wait behind it", "hardly notice it"),
        _holds(1, 0),
    ),
    "database": Choice(
        "With more requests than the database can do, an asynchronous server:",
        ("serves more, for it waits for many queries at a time", "serves no more than the database does"),
        lambda finding: int(
            all(one["good"] / one["seconds"] <= 1.1 * database.CAPACITY for one in finding.samples.values())
        ),
    ),
}


def of(claim: Claim) -> Guess:
    """One that an experiment without a guess of its own has: what one would think, or not."""
    usual = Choice(claim.question, (claim.guess, "something else"), _holds(1, 0))
    return GUESSES.get(claim.name, usual)


def found(claim: Claim, finding: Finding) -> float | None:
    """None where the samples do not say."""
    try:
        return of(claim).found(finding)
    except (KeyError, IndexError, ValueError):
        return None
