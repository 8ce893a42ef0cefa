"""Medians and their bootstrap intervals.

Percentiles of resampled medians are too narrow where samples are few: three pairs cover the truth four
times in five, ten pairs nine times in ten. So the interval is expanded as Student's t is wider than the
normal distribution (Hesterberg 2015, What Teachers Should Know About the Bootstrap, The American
Statistician 69:4), here by its bounds' distance from the median, since percentiles of a few
values have an end. That covers about 95 % from three pairs on (tests/bench/test_stats.py).
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from dataclasses import dataclass
from typing import Mapping, Sequence

RESAMPLES = 10_000
ROUND_RESAMPLES = 2_000
SEED = 1  # the same samples give the same interval


@dataclass(frozen=True)
class Interval:
    """A median with the bounds of its 95 % bootstrap interval."""

    median: float
    low: float
    high: float
    count: int

    @property
    def contains_one(self) -> bool:
        """Whether a ratio with this interval may be no difference at all."""
        return self.low <= 1.0 <= self.high


def bootstrap_median(values: Sequence[float], tail: float = 0.025) -> Interval:
    """The median of values, and what its resampled medians leave below and above with that
    probability each.

    A round is the sampling unit: requests of one run are not independent, rounds nearly are.
    """
    if not values:
        raise ValueError("no values")
    found = resampled_medians(values)
    low, high = (_quantile(found, share) for share in (tail, 1 - tail))
    return _expanded(statistics.median(values), low, high, len(values), tail)


def bootstrap_rounds(rounds: Sequence[Sequence[float]], comparisons: int = 1) -> Interval:
    """The median of all values, resampled by rounds: values of one round are not independent.

    With several comparisons the bounds are wide enough for all of them to hold together with
    95 % (Bonferroni): among seven equal sides some pair always looks different at 95 % each.
    """
    if not rounds:
        raise ValueError("no values")
    tail = 0.025 / comparisons
    if all(len(values) == 1 for values in rounds):
        return bootstrap_median([values[0] for values in rounds], tail)
    source = random.Random(SEED)
    medians = sorted(
        statistics.median(itertools.chain.from_iterable(source.choices(rounds, k=len(rounds))))
        for _ in range(ROUND_RESAMPLES)
    )
    low, high = (medians[round(share * (ROUND_RESAMPLES - 1))] for share in (tail, 1 - tail))
    middle = statistics.median(itertools.chain.from_iterable(rounds))
    return _expanded(middle, low, high, len(rounds), tail)


def bootstrap_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Interval:
    """The ratio of two medians whose samples do not belong together, each side resampled."""
    if not numerators or not denominators:
        raise ValueError("no values")
    source = random.Random(SEED)
    sides = []
    for values in (numerators, denominators):
        medians, weights = zip(*resampled_medians(values))
        sides.append(source.choices(medians, weights, k=RESAMPLES))
    ratios = sorted((one / other, 1 / RESAMPLES) for one, other in zip(*sides) if other > 0)
    low, high = (_quantile(ratios, share) for share in (0.025, 0.975))
    middle = statistics.median(numerators) / statistics.median(denominators)
    return _expanded(middle, low, high, min(len(numerators), len(denominators)), 0.025)


def _expanded(middle: float, low: float, high: float, count: int, tail: float) -> Interval:
    """An interval of resampled medians, widened by what count samples cannot know of their spread.

    Ratios are widened by factors, so that none becomes negative.
    """
    if count < 2:
        return Interval(middle, low, high, count)
    wider = student_quantile(1 - tail, count - 1) / statistics.NormalDist().inv_cdf(1 - tail)
    wider *= math.sqrt(count / (count - 1))
    if low > 0:
        return Interval(middle, middle * (low / middle) ** wider, middle * (high / middle) ** wider, count)
    return Interval(middle, middle - (middle - low) * wider, middle + (high - middle) * wider, count)


def student_quantile(share: float, freedom: int) -> float:
    """Below which Student's t of so many degrees of freedom is with that probability (over 1/2)."""
    low, high = 0.0, 1.0
    while _student_below(high, freedom) < share:
        high *= 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _student_below(middle, freedom) < share else (low, middle)
    return high


def _student_below(t: float, freedom: int) -> float:
    """The distribution function as a finite sum (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = freedom % 2
    term, total = math.cos(angle) if odd else 1.0, 0.0
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= square * k / (k + 1)
    within = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return (1 + within) / 2


def resampled_medians(values: Sequence[float]) -> list[tuple[float, float]]:
    """Every median that a resample of values can have, ascending, with its probability.

    What a bootstrap draws at random is small enough to be written down. Of n draws from the sorted
    x[1..n], at most i are beyond x[i] with the probability of a binomial tail; with n even, the
    two in the middle are x[i] and x[j], i < j, when n/2 are up to i, one of them at i, and n/2 from
    j on, one of them at j.
    """
    x, n = sorted(values), len(values)
    half = n // 2

    def at_most(i: int, rank: int) -> float:  # the chance that the rank-th draw is up to x[i]
        share = i / n
        return sum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(rank, n + 1))

    if n % 2:
        sums = [at_most(i, half + 1) for i in range(n + 1)]
        return [(x[i], sums[i + 1] - sums[i]) for i in range(n)]
    sums = [at_most(i, half) for i in range(n + 1)]
    low = [((i + 1) / n) ** half - (i / n) ** half for i in range(n)]
    ways = math.comb(n, half)
    found = []
    for i in range(n):
        apart = [(j, ways * low[i] * low[n - 1 - j]) for j in range(i + 1, n)]
        found += [((x[i] + x[j]) / 2, chance) for j, chance in apart]
        found.append((x[i], max(sums[i + 1] - sums[i] - sum(chance for _, chance in apart), 0.0)))
    return sorted(found)


def _quantile(weighted: Sequence[tuple[float, float]], share: float) -> float:
    """The smallest of the ascending values that at least this share does not exceed."""
    seen = 0.0
    for value, chance in weighted:
        seen += chance
        if seen >= share:
            return value
    return weighted[-1][0]


def paired_ratios(numerators: Mapping[int, float], denominators: Mapping[int, float]) -> list[float]:
    """Ratios of the rounds (keys) that both sides have, in round order."""
    both = sorted(numerators.keys() & denominators.keys())
    return [numerators[key] / denominators[key] for key in both if denominators[key] > 0]
