"""Latency over percentiles. A curve is, at each percentile, the median over the rounds of what the
round had there: what the tables say, which one bad round cannot move."""

from __future__ import annotations

import math
import statistics
from typing import Iterator, Sequence

from .. import results

POINTS_PER_DECADE = 24
_KNOWN = (("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999))


def place(share: float) -> float:
    """Where a share of all requests lies on the axis: 0.9 at 1, 0.99 at 2."""
    return -math.log10(1 - share)


def _at(histogram: Sequence[Sequence[int]], shares: Sequence[float]) -> Iterator[float]:
    """The µs that each of the rising shares of a histogram's requests did not exceed."""
    total = sum(count for _, count in histogram)
    buckets = iter(histogram)
    upper, seen = next(buckets)
    for share in shares:
        while seen < share * total:
            upper, count = next(buckets)
            seen += count
        yield upper / 1000


def of_rounds(samples: Sequence[results.Sample]) -> list[tuple[float, float]]:
    """Places and µs, up to the last that the round with the fewest requests can tell."""
    histograms = [rising for sample in samples if (rising := sorted(b for b in sample.histogram if b[1] > 0))]
    if not histograms:
        return []
    fewest = min(sum(count for _, count in one) for one in histograms)
    # The last request of a round stands for the upper half of its share.
    last = place((fewest - 0.5) / fewest)
    places = [i / POINTS_PER_DECADE for i in range(math.floor(last * POINTS_PER_DECADE) + 1)]
    # The ticks of the axis themselves, 50 % among them, so that they can be read off exactly.
    places = sorted({*places, *(at for _, share in _KNOWN if (at := place(share)) < last), last})
    shares = [1 - 10**-at for at in places]
    rounds = zip(*(_at(one, shares) for one in histograms))
    return [(at, statistics.median(values)) for at, values in zip(places, rounds)]


def curve(cell: results.Cell, name: str, raw: bool) -> list[tuple[float, float]]:
    """A variant's curve. The raw one, of an open loop, has only the known percentiles."""
    good = cell.valid(name)
    if not raw and (points := of_rounds(good)):
        return points
    key = "latency_raw_us" if raw else "latency_us"
    maps = [found for sample in good if (found := getattr(sample, key))]
    if not maps:
        return []
    return [
        (place(share), statistics.median(one[percentile] for one in maps))
        for percentile, share in _KNOWN
        if all(percentile in one for one in maps)
    ]
