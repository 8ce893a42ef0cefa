"""Successive halving: many candidates measured a little, the better half of them twice as long.

What it returns is where to look, not a result: the best of many noisy figures looks better than it
is (the winner's curse), so its gain has to be measured afresh.
"""

import statistics
from dataclasses import dataclass, field
from typing import Callable, Mapping, Sequence

# Measures candidates by name in a rung with that many pairs: the ratios to the default of each one
# (lower is better), empty where it failed.
Measure = Callable[[int, Sequence[str], int], Mapping[str, Sequence[float]]]


@dataclass(frozen=True)
class Rung:
    number: int
    pairs: int
    tried: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass
class Outcome:
    """The last candidate standing, if any, with every ratio that was seen of all."""

    winner: str | None
    rungs: list[Rung] = field(default_factory=list)
    ratios: dict[str, list[float]] = field(default_factory=dict)
    out: dict[str, str] = field(default_factory=dict)  # candidate -> where or why it left


def plan(count: int, pairs: int) -> list[tuple[int, int]]:
    """How many candidates each rung has and how many pairs each of them gets."""
    rungs = []
    while count > 1 or not rungs:
        rungs.append((count, pairs))
        count, pairs = max(1, count // 2), pairs * 2
    return rungs


def run(candidates: Sequence[str], pairs: int, measure: Measure) -> Outcome:
    """Halves the candidates until one is left. Equal ones keep their order. A candidate is judged by the median of
    all its ratios, earlier rungs included. One without a ratio in a rung failed and leaves."""
    outcome = Outcome(None, ratios={name: [] for name in candidates})
    left = list(candidates)
    for number, (_, rounds) in enumerate(plan(len(left), pairs)):
        if not left or number and len(left) == 1:
            break
        measured = measure(number, tuple(left), rounds)
        good = [name for name in left if measured.get(name)]
        for name in good:
            outcome.ratios[name].extend(measured[name])
        ranked = sorted(good, key=lambda name: statistics.median(outcome.ratios[name]))
        best = ranked[: max(1, len(left) // 2)]
        kept = [name for name in left if name in best]
        for name in left:
            if name not in kept:
                outcome.out[name] = f"rung {number}" if name in good else "no valid sample"
        outcome.rungs.append(Rung(number, rounds, tuple(left), tuple(kept)))
        left = kept
    outcome.winner = left[0] if left else None
    return outcome
