"""Latency over percentiles, from all of a variant's rounds together: histograms are added up,
percentiles are never averaged."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from typing import Sequence

from .. import results

POINTS_PER_DECADE = 24
_KNOWN = (("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999),
          ("p99.99", 0.9999))  # fmt: skip


def place(share: float) -> float:
    """Where a share of all requests lies on the axis: 0.9 at 1, 0.99 at 2."""
    return -math.log10(1 - share)


def merged(samples: Sequence[results.Sample]) -> list[tuple[int, int]]:
    """The histograms of several samples as one: upper bound in ns and count, rising."""
    total: Counter[int] = Counter()
    for sample in samples:
        for upper, count in sample.histogram:
            total[upper] += count
    return sorted((upper, count) for upper, count in total.items() if count)


def thin(histogram: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """Places and µs of a histogram, as many as a plot can show."""
    total = sum(count for _, count in histogram)
    points: list[tuple[float, float]] = []
    seen = 0
    for upper, count in histogram:
        seen += count
        # The last bucket ends at the share that its last request still stands for.
        at = place(min(seen, total - 0.5) / total)
        if points and round(at * POINTS_PER_DECADE) == round(points[-1][0] * POINTS_PER_DECADE):
            points[-1] = (at, upper / 1000)
        else:
            points.append((at, upper / 1000))
    return points


def curve(cell: results.Cell, name: str, raw: bool) -> list[tuple[float, float]]:
    """A variant's curve. The raw one, of an open loop, has only the known percentiles."""
    good = cell.valid(name)
    if not raw and (histogram := merged(good)):
        return thin(histogram)
    key = "latency_raw_us" if raw else "latency_us"
    maps = [found for sample in good if (found := getattr(sample, key))]
    if not maps:
        return []
    return [(place(share), statistics.median(one[percentile] for one in maps))
            for percentile, share in _KNOWN if all(percentile in one for one in maps)]  # fmt: skip
