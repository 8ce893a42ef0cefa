"""Medians and their bootstrap intervals.

Percentiles of resampled medians are too narrow where samples are few: three pairs cover the truth four
times in five, ten pairs nine times in ten. So the interval is expanded as Student's t is wider than the
normal distribution (Hesterberg 2015, What Teachers Should Know About the Bootstrap, The American
Statistician 69:4), here by its bounds' distance from the median, since percentiles of a few
values have an end. That covers about 95 % from three pairs on (tests/bench/test_stats.py).
"""

import itertools
import math
import random
import statistics
from dataclasses import dataclass
from typing import Mapping, Sequence

import numpy
from scipy import special

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


def bootstrap_median(values: Sequence[float], tail: float = 0.025) -> Interval:
    """The median of values, and what its resampled medians leave below and above with that probability each. A
    round is the sampling unit: requests of one run are not independent, rounds nearly are."""
    if not values:
        raise ValueError("no values")
    medians, chances = resampled_medians(values).T
    return _expanded(statistics.median(values), *_percentiles(medians, chances, tail), len(values), tail)


def bootstrap_rounds(rounds: Sequence[Sequence[float]], comparisons: int = 1) -> Interval:
    """The median of all values, resampled by rounds: values of one round are not independent. With several
    comparisons the bounds are wide enough for all of them to hold together with 95 % (Bonferroni): among seven
    equal sides some pair always looks different at 95 % each."""
    if not rounds:
        raise ValueError("no values")
    tail = 0.025 / comparisons
    if all(len(values) == 1 for values in rounds):
        return bootstrap_median([values[0] for values in rounds], tail)
    source = random.Random(SEED)
    drawn = (source.choices(rounds, k=len(rounds)) for _ in range(ROUND_RESAMPLES))
    medians = [statistics.median(itertools.chain.from_iterable(one)) for one in drawn]
    low, high = numpy.quantile(medians, (tail, 1 - tail), method="nearest")
    return _expanded(statistics.median(itertools.chain.from_iterable(rounds)), low, high, len(rounds), tail)


def bootstrap_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Interval:
    """The ratio of two medians whose samples do not belong together, each side resampled."""
    if not numerators or not denominators:
        raise ValueError("no values")
    source = random.Random(SEED)
    sides = []
    for values in (numerators, denominators):
        medians, chances = resampled_medians(values).T
        sides.append(source.choices(medians.tolist(), chances.tolist(), k=RESAMPLES))
    ratios = numpy.sort([one / other for one, other in zip(*sides) if other > 0])
    bounds = _percentiles(ratios, numpy.full(len(ratios), 1 / RESAMPLES), 0.025)
    middle = statistics.median(numerators) / statistics.median(denominators)
    return _expanded(middle, *bounds, min(len(numerators), len(denominators)), 0.025)


def _percentiles(values: numpy.ndarray, chances: numpy.ndarray, tail: float) -> numpy.ndarray:
    """The smallest of the ascending values that tail, and all but tail, do not exceed."""
    places = numpy.searchsorted(numpy.cumsum(chances), (tail, 1 - tail))
    return values[places.clip(max=len(values) - 1)]


def _expanded(middle: float, low: float, high: float, count: int, tail: float) -> Interval:
    """An interval of resampled medians, widened by what count samples cannot know of their spread. Ratios are
    widened by factors, so that none becomes negative."""
    low, high = float(low), float(high)  # numpy's are not written to a file
    if count < 2:
        return Interval(middle, low, high, count)
    student, normal = special.stdtrit(count - 1, 1 - tail), special.ndtri(1 - tail)
    wider = float(student) / float(normal) * math.sqrt(count / (count - 1))
    if low <= 0:
        return Interval(middle, middle - (middle - low) * wider, middle + (high - middle) * wider, count)
    try:
        return Interval(middle, middle * (low / middle) ** wider, middle * (high / middle) ** wider, count)
    except OverflowError:  # of figures that nothing measures
        return Interval(middle, 0.0, math.inf, count)


def resampled_medians(values: Sequence[float]) -> numpy.ndarray:
    """Every median that a resample of values can have, ascending, with its probability: rows of two. What a
    bootstrap draws at random is small enough to be written down. Of n draws from the sorted x[1..n], at most i are
    beyond x[i] with the probability of a binomial tail; with n even, the two in the middle are x[i] and x[j], i <
    j, when n/2 are up to i, one of them at i, and n/2 from j on, one of them at j."""
    x, n = numpy.sort(values), len(values)
    half, shares = n // 2, numpy.arange(n + 1) / n
    # bdtrc: the chance that more than so many of n draws, here half or all but half, are up to x[i]
    if n % 2:
        return numpy.column_stack((x, numpy.diff(special.bdtrc(half, n, shares))))
    at_lower = numpy.diff(special.bdtrc(half - 1, n, shares))
    ends = numpy.diff(shares**half)
    apart = numpy.triu(math.comb(n, half) * numpy.outer(ends, ends[::-1]), 1)
    same = numpy.diag((at_lower - apart.sum(axis=1)).clip(min=0))
    lower, upper = numpy.triu_indices(n)
    found = numpy.column_stack(((x[lower] + x[upper]) / 2, (apart + same)[lower, upper]))
    return found[numpy.argsort(found[:, 0], kind="stable")]


def paired_ratios(numerators: Mapping[int, float], denominators: Mapping[int, float]) -> list[float]:
    """Ratios of the rounds (keys) that both sides have, in round order."""
    both = sorted(numerators.keys() & denominators.keys())
    return [numerators[key] / denominators[key] for key in both if denominators[key] > 0]
