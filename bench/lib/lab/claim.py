"""What an experiment is: a claim, a way to try it, and a sentence that its samples decide."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Sequence

from .stage import Stage


@dataclass
class Finding:
    """What an experiment saw. The verdict is computed from the samples, whichever way it goes."""

    holds: bool  # the claim, on this machine
    verdict: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    theory: str = ""  # what arithmetic says
    samples: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    name: str
    title: str
    question: str
    guess: str  # what one would expect, before the run
    seconds: float  # that it takes, about; a third of it with --quick
    take: Callable[[Stage], Finding]
    needs: Callable[[], str | None] = lambda: None  # what is missing here
