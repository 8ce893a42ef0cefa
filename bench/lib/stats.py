"""Medians, spreads, bootstrap intervals and percentiles of latency histograms."""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass
from typing import Mapping, Sequence

RESAMPLES = 10_000
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


def median_deviation(values: Sequence[float]) -> float:
    """The median absolute deviation from the median."""
    middle = statistics.median(values)
    return statistics.median(abs(value - middle) for value in values)


def bootstrap_median(values: Sequence[float]) -> Interval:
    """The median of values and the 2.5th and 97.5th percentile of its resampled medians.

    A round is the sampling unit: requests of one run are not independent, rounds nearly are.
    """
    if not values:
        raise ValueError("no values")
    source = random.Random(SEED)
    medians = sorted(
        statistics.median(source.choices(values, k=len(values))) for _ in range(RESAMPLES)
    )
    low = medians[int(0.025 * (RESAMPLES - 1))]
    high = medians[int(0.975 * (RESAMPLES - 1)) + 1]
    return Interval(statistics.median(values), low, high, len(values))


def paired_ratios(
    numerators: Mapping[int, float], denominators: Mapping[int, float]
) -> list[float]:
    """Ratios of the rounds (keys) that both sides have, in round order."""
    both = sorted(numerators.keys() & denominators.keys())
    return [numerators[key] / denominators[key] for key in both if denominators[key] > 0]


def histogram_percentile(histogram: Mapping[int, int], percent: float) -> int | None:
    """The smallest value that at least percent of the counted observations do not exceed."""
    total = sum(histogram.values())
    if total == 0:
        return None
    seen = 0
    for value in sorted(histogram):
        seen += histogram[value]
        if seen * 100 >= percent * total:
            return value
    return max(histogram)


def histogram_mean(histogram: Mapping[int, int]) -> float | None:
    """The mean of the counted observations."""
    total = sum(histogram.values())
    if total == 0:
        return None
    return sum(value * count for value, count in histogram.items()) / total
