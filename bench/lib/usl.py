"""Universal Scalability Law (Gunther): X(n) = λn / (1 + σ(n−1) + κn(n−1)), fitted to throughput.

λ is the throughput of one core, σ what is serialised (contention), κ what cores cost each other
pairwise (coherence). With κ > 0 throughput peaks at n = √((1−σ)/κ).
"""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass
from typing import Mapping, Sequence

FEWEST = 3  # as many points as parameters
GOOD = 6  # fewer are indicative only
RESAMPLES = 1000
SEED = 1


@dataclass(frozen=True)
class Fit:
    """The three coefficients; `worst` is the largest relative distance of a point from them."""

    rate: float  # λ, requests per second
    contention: float  # σ
    coherence: float  # κ
    worst: float = 0.0

    def at(self, cores: float) -> float:
        """Throughput on that many cores."""
        return self.rate * cores / (1 + self.contention * (cores - 1) + self.coherence * cores * (cores - 1))

    @property
    def peak(self) -> float:
        """The core count of the highest throughput, infinite where it never turns down."""
        if self.coherence <= 0:
            return math.inf
        return max(1.0, math.sqrt(max(0.0, 1 - self.contention) / self.coherence))


@dataclass(frozen=True)
class Bounds:
    """A value of the fit to all rounds with its 95 % interval; a peak may be infinite."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Uncertain:
    """A fit to the medians of all rounds, and how far it moves when rounds are drawn again."""

    fit: Fit
    rate: Bounds
    contention: Bounds
    coherence: Bounds
    peak: Bounds
    resampled: tuple[Fit, ...]
    points: int

    def at(self, cores: float) -> Bounds:
        """Throughput on that many cores, with its interval."""
        return _bounds(self.fit.at(cores), [fit.at(cores) for fit in self.resampled])


def fit(points: Mapping[int, float]) -> Fit:
    """The coefficients that bring the curve closest to the points (core count -> throughput).

    n/X is linear in a = 1/λ, b = σ/λ, c = κ/λ, so with the relative distance as error (noise of a
    measurement grows with its size) the best coefficients under b, c ≥ 0 are found exactly: the
    minimum lies at the unconstrained solution or on a boundary, and there are four cases to try.
    """
    usable = {n: x for n, x in points.items() if n >= 1 and x > 0}
    if len(usable) < FEWEST:
        raise ValueError(f"{len(usable)} core counts do not determine three coefficients")
    # Divided by n/X each row asks for 1: the residual is the relative error.
    rows = [[x / n, x / n * (n - 1), x / n * n * (n - 1)] for n, x in usable.items()]
    best: tuple[float, list[float]] | None = None
    for columns in ((0, 1, 2), (0, 1), (0, 2), (0,)):
        solved = _least_squares([[row[i] for i in columns] for row in rows])
        if solved is None or min(solved) < 0 or solved[0] <= 0:
            continue
        full = [0.0, 0.0, 0.0]
        for i, value in zip(columns, solved):
            full[i] = value
        error = sum((1 - sum(a * b for a, b in zip(row, full))) ** 2 for row in rows)
        if best is None or error < best[0]:
            best = error, full
    assert best is not None  # the last case, positive values alone, always has a solution
    a, b, c = best[1]
    found = Fit(1 / a, b / a, c / a)
    worst = max(abs(found.at(n) / x - 1) for n, x in usable.items())
    return Fit(found.rate, found.contention, found.coherence, worst)


def _least_squares(rows: Sequence[Sequence[float]]) -> list[float] | None:
    """The v of least Σ(1 − row·v)², by the normal equations; None where they are singular.

    Columns are scaled to length one first, which keeps the equations well conditioned.
    """
    size = len(rows[0])
    scale = [math.sqrt(sum(row[i] ** 2 for row in rows)) or 1.0 for i in range(size)]
    scaled = [[row[i] / scale[i] for i in range(size)] for row in rows]
    m = [
        [sum(row[i] * row[j] for row in scaled) for j in range(size)] + [sum(row[i] for row in scaled)]
        for i in range(size)
    ]
    for i in range(size):
        pivot = max(range(i, size), key=lambda k: abs(m[k][i]))
        if abs(m[pivot][i]) < 1e-12:
            return None
        m[i], m[pivot] = m[pivot], m[i]
        for k in range(size):
            if k != i:
                factor = m[k][i] / m[i][i]
                m[k] = [x - factor * y for x, y in zip(m[k], m[i])]
    return [m[i][size] / m[i][i] / scale[i] for i in range(size)]


def fit_rounds(rounds: Mapping[int, Mapping[int, float]], resamples: int = RESAMPLES) -> Uncertain:
    """Fits the medians over rounds (core count -> round -> throughput), with bootstrap intervals.

    Whole rounds are drawn again, the same for every core count that has them: what drifts between
    rounds is shared by the counts and so does not look like scaling.
    """
    usable = {n: dict(values) for n, values in rounds.items() if values}
    whole = fit({n: statistics.median(values.values()) for n, values in usable.items()})
    numbers = sorted(set().union(*usable.values()))
    source = random.Random(SEED)
    drawn: list[Fit] = []
    for _ in range(resamples):
        chosen = source.choices(numbers, k=len(numbers))
        medians = {}
        for n, values in usable.items():
            present = [values[number] for number in chosen if number in values]
            if not present:
                break
            medians[n] = statistics.median(present)
        else:
            drawn.append(fit(medians))
    return Uncertain(
        whole,
        _bounds(whole.rate, [f.rate for f in drawn]),
        _bounds(whole.contention, [f.contention for f in drawn]),
        _bounds(whole.coherence, [f.coherence for f in drawn]),
        _bounds(whole.peak, [f.peak for f in drawn]),
        tuple(drawn),
        len(usable),
    )


def _bounds(middle: float, values: Sequence[float]) -> Bounds:
    if not values:
        return Bounds(middle, middle, middle)
    ordered = sorted(values)
    low = ordered[int(0.025 * (len(ordered) - 1))]
    high = ordered[min(len(ordered) - 1, int(0.975 * (len(ordered) - 1)) + 1)]
    # The fit to all rounds may lie just outside of what few resamples show.
    return Bounds(middle, min(low, middle), max(high, middle))
