"""Universal Scalability Law (Gunther): X(n) = λn / (1 + σ(n−1) + κn(n−1)), fitted to throughput.

λ is the throughput of one core, σ what is serialised (contention), κ what cores cost each other
pairwise (coherence). With κ > 0 throughput peaks at n = √((1−σ)/κ).
"""

import math
import random
import statistics
from dataclasses import dataclass, replace
from typing import Mapping, Sequence

import numpy
from scipy import optimize

from .stats import Interval

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
        return self.rate * cores / (1 + self.contention * (cores - 1) + self.coherence * cores * (cores - 1))

    @property
    def peak(self) -> float:
        """The core count of the highest throughput, infinite where it never turns down."""
        if self.coherence <= 0:
            return math.inf
        return max(1.0, math.sqrt(max(0.0, 1 - self.contention) / self.coherence))


@dataclass(frozen=True)
class Uncertain:
    """A fit to the medians of all rounds, and how far it moves when rounds are drawn again; a peak may
    be infinite."""

    fit: Fit
    rate: Interval
    contention: Interval
    coherence: Interval
    peak: Interval
    resampled: tuple[Fit, ...]
    points: int

    def at(self, cores: float) -> Interval:
        return _bounds(self.fit.at(cores), [fit.at(cores) for fit in self.resampled])


def fit(points: Mapping[int, float]) -> Fit:
    """The coefficients that bring the curve closest to the points (core count -> throughput). n/X is linear in a =
    1/λ, b = σ/λ, c = κ/λ, so with the relative distance as error (noise of a measurement grows with its size) the
    best coefficients ≥ 0 are those of a linear problem."""
    usable = {n: x for n, x in points.items() if n >= 1 and x > 0}
    if len(usable) < FEWEST:
        raise ValueError(f"{len(usable)} core counts do not determine three coefficients")
    cores = numpy.array(list(usable), dtype=float)
    each = numpy.array(list(usable.values())) / cores
    unit = each.max()  # keeps the problem well conditioned
    # Divided by n/X each row asks for 1: the residual is the relative error.
    rows = (each / unit)[:, None] * numpy.column_stack((cores**0, cores - 1, cores * (cores - 1)))
    ones = numpy.ones(len(cores))
    a, b, c = optimize.nnls(rows, ones)[0]
    if a == 0:  # no rate at all explains what falls so fast: the best constant one
        (a,), b, c = optimize.nnls(rows[:, :1], ones)[0], 0.0, 0.0
    found = Fit(float(unit / a), float(b / a), float(c / a))
    return replace(found, worst=max(abs(found.at(n) / x - 1) for n, x in usable.items()))


def fit_rounds(rounds: Mapping[int, Mapping[int, float]], resamples: int = RESAMPLES) -> Uncertain:
    """Fits the medians over rounds (core count -> round -> throughput), with bootstrap intervals. Whole rounds are
    drawn again, the same for every core count that has them: what drifts between rounds is shared by the counts
    and so does not look like scaling."""
    usable = {n: dict(values) for n, values in rounds.items() if values}
    whole = fit({n: statistics.median(values.values()) for n, values in usable.items()})
    numbers = sorted(set().union(*usable.values()))
    source = random.Random(SEED)
    drawn: list[Fit] = []
    for _ in range(resamples):
        chosen = source.choices(numbers, k=len(numbers))
        present = {n: [values[one] for one in chosen if one in values] for n, values in usable.items()}
        if all(present.values()):
            drawn.append(fit({n: statistics.median(values) for n, values in present.items()}))
    bounds = [
        _bounds(getattr(whole, name), [getattr(one, name) for one in drawn])
        for name in ("rate", "contention", "coherence", "peak")
    ]
    return Uncertain(whole, *bounds, tuple(drawn), len(usable))


def _bounds(middle: float, values: Sequence[float]) -> Interval:
    if not values:
        return Interval(middle, middle, middle, 0)
    ordered, last = sorted(values), len(values) - 1
    low, high = ordered[math.floor(0.025 * last)], ordered[math.ceil(0.975 * last)]
    # The fit to all rounds may lie just outside of what few resamples show.
    return Interval(middle, min(low, middle), max(high, middle), len(values))
