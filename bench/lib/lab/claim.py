"""What an experiment is: a claim, a way to try it, and a sentence that its samples decide."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from ..measures import KEYS
from ..words import listed
from .flow import Seen
from .picture import Picture
from .stage import Lacking, Stage


# The names of measures.KEYS, above a table's columns.
IN_PROGRESS, RUNNING, APART = HEADS = ("in progress L", "running P", "without a thread A")
# What a word means, in a clause beside its first use.
SHEDDING = "shedding: the server rejects at once what it cannot do in time"
# The answer to the question of all experiments, where none has it in figures.
HEADLINE = "thousands of requests can be in progress on one core, and at most one of them runs at a time"


class Measured(NamedTuple):
    """L, P and A of one setting, by the names of measures.KEYS as far as they are known, and what theory says."""

    name: str
    found: Mapping[str, float]
    theory: Sequence[str]


@dataclass
class Finding:
    """What an experiment saw. The verdict is computed from the samples, whichever way it goes."""

    holds: bool  # the claim, on this machine
    verdict: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    theory: str = ""  # what arithmetic says
    samples: dict[str, Any] = field(default_factory=dict)
    brief: str = ""  # the verdict in one short sentence, for the answer of all experiments together
    pictures: Sequence[Picture] = ()  # without one the report draws bars of the table
    measures: Sequence[Measured] = ()
    missed: Sequence[str] = ()  # what of the claim is not so, where it does not hold: each a clause
    unsure: Sequence[str] = ()  # why these samples tell neither: each a clause
    headline: str = ""  # the answer to the question of all experiments, in this one's figures: a clause


@dataclass(frozen=True)
class Parameter:
    """A whole number of an experiment that a reader may change."""

    name: str  # in Stage.given
    label: str
    usual: int
    low: int
    high: int


@dataclass(frozen=True)
class Claim:
    name: str
    title: str
    question: str
    guess: str  # what one would expect, before the run
    seconds: float  # that it takes, about; a third of it with --quick
    take: Callable[[Stage], Finding]
    needs: Callable[[], str | None] = lambda: None  # what is missing here
    parameters: tuple[Parameter, ...] = ()
    on_engine: bool = True  # whether it runs on the stage's engine alone
    lasts: float | None = None  # seconds with --quick and the parameters as usual, where these are less than all
    template: str = ""  # the question with {name} for each parameter that is in it
    point: str = ""  # of the step that makes the point: what matches "SERVER: QUESTIONS"
    truth: str = ""  # what is true in general, in one plain sentence or two


def failing(checks: Mapping[str, bool]) -> list[str]:
    """The clauses that say what is not so, of those that would be said if their check failed."""
    return [clause for clause, passed in checks.items() if not passed]


def untold(taken: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Why the samples do not tell, where L, P and A of these settings are not known: the server was not heard twice
    while it was asked, as where the machine stands still."""
    names = [name for name, found in taken.items() if KEYS[0] not in found]
    return [f"the server did not say in time what was in progress ({listed(names)})"] if names else []


def need_answers(taken: Mapping[str, Seen]) -> None:
    """Ends an experiment that cannot conclude anything from a setting in which nothing was answered."""
    if names := [name for name, seen in taken.items() if not seen.good]:
        raise Lacking(f"no request was answered ({listed(names)}): run it again")


def measured(
    name: str, seen: Sequence[Seen], cores: int = 1, concurrency: str = "", parallelism: str = "", asynchrony: str = ""
) -> Measured:
    """The measures of a server that was asked by these flows at once, beside theory. Unless it is said otherwise, L
    is by Little's law from what the clients saw, P at most its cores, and A as where a request holds its thread only
    while it runs."""
    held = sum(one.in_progress for one in seen)
    found = seen[0].measures if seen else {}
    in_progress, running, _ = (found.get(key) for key in KEYS)
    if not asynchrony and in_progress and running is not None:
        asynchrony = f"{max(1 - running / in_progress, 0.0):.3f}"
    little = f"{held:,.1f}" if held else "–"
    return Measured(name, found, (concurrency or little, parallelism or f"≤ {cores}", asynchrony or "–"))


def threaded(name: str, seen: Sequence[Seen], threads: int) -> Measured:
    """The same of a server that gives each request a thread: the core's threads take turns on it, all with code that
    has begun, and what waits for a thread is not yet in progress."""
    return measured(name, seen, concurrency=f"≤ {threads}", parallelism=f"≤ {threads} threads", asynchrony="0")
