"""The knee of a sweep: the smallest ring depth beyond which nothing is gained."""

from __future__ import annotations

import dataclasses
import statistics
from typing import Mapping, Sequence

from . import stats

UNTOLD = 5.0  # percent that an interval reaches to either side, from which on it tells nothing
Rounds = Mapping[int, float]  # round -> cost
Change = tuple[float, float, float]  # median, low, high, in percent


@dataclasses.dataclass(frozen=True)
class Knee:
    """What going deeper than `depth` does to the cost; percent, negative is a gain.

    Without a depth nothing was measured; without a change there is no second depth to compare.
    """

    depth: int | None
    best: int | None
    other: int | None = None  # what change compares the knee with
    change: Change | None = None
    dearer: tuple[int, ...] = ()  # above the knee and detectably more expensive than it
    alike: bool = False  # no depth is distinguishable from the smallest


def percent_change(numerator: Rounds, denominator: Rounds,
                   comparisons: int = 1) -> Change | None:  # fmt: skip
    """Median and bounds of the paired change in percent; None without a common round.

    With several comparisons the bounds are wide enough for all of them to hold together with
    95 % (Bonferroni): among seven equal depths some pair always looks different at 95 % each.
    """
    ratios = stats.paired_ratios(numerator, denominator)
    if not ratios:
        return None
    medians = stats.resampled_medians(ratios)
    tail = 0.025 / comparisons
    found = statistics.median(ratios), _beyond(medians, tail), _beyond(medians[::-1], tail)
    middle, low, high = ((one - 1) * 100 for one in found)
    return middle, low, high


def _beyond(weighted: Sequence[tuple[float, float]], tail: float) -> float:
    """The value at which that share of the probability is used up."""
    seen = 0.0
    for one, chance in weighted:
        seen += chance
        if seen >= tail:
            return one
    return weighted[-1][0]


def find(costs: Mapping[int, Rounds]) -> Knee:
    """The smallest depth whose cost cannot be told from the cheapest depth's.

    The cheapest is chosen by the same rounds that it is compared in, so it looks a little better
    than it is: where the knee errs, it errs towards a deeper ring.
    """
    measured = {depth: rounds for depth, rounds in sorted(costs.items()) if rounds}
    if not measured:
        return Knee(None, None)
    best = min(measured, key=lambda depth: (statistics.median(measured[depth].values()), depth))
    many = max(1, len(measured) - 1)

    def change(one: int, other: int) -> Change | None:
        return percent_change(measured[one], measured[other], many)

    knee = next(depth for depth in measured
                if depth == best or _not_below_zero(change(best, depth)))  # fmt: skip
    changes = {depth: change(depth, knee) for depth in measured if depth > knee}
    known = {depth: found for depth, found in changes.items() if found is not None}
    dearer = tuple(depth for depth, found in known.items() if found[1] > 0)
    if not known:  # the deepest tried is still the best: tell what the last step gained
        shallower = [depth for depth in measured if depth < knee]
        other = shallower[-1] if shallower else None
        last = change(knee, other) if other is not None else None
        return Knee(knee, best, other, last)
    other = best if best in known else min(known, key=lambda depth: known[depth])
    alike = knee == min(measured) and not dearer
    return Knee(knee, best, other, known[other], dearer, alike)


def _not_below_zero(change: Change | None) -> bool:
    return change is not None and change[2] >= 0


def bounds(low: float, high: float) -> str:
    """−0.4 to +0.3 %."""
    return f"{signed(low)} to {signed(high)} %"


def signed(value: float) -> str:
    """One decimal and its sign, with a true minus and no negative zero."""
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def sentence(knee: Knee, depths: Sequence[int], where: str = "", pairs: int = 0) -> str:
    """The knee in words; `where` is something like "1 core, 256 connections", pairs how many
    rounds the change rests on."""
    lead = f"{where}: " if where else ""
    if knee.depth is None:
        return lead + "no depth was measured."
    if knee.change is None or knee.other is None:
        return lead + f"only depth {knee.depth} was measured, so there is no knee to see."
    _, low, high = knee.change
    if knee.other < knee.depth:
        return lead + (
            f"depth {knee.depth} is the deepest tried and still gains on {knee.other} "
            f"({bounds(low, high)} CPU per request): try deeper.")  # fmt: skip
    untold = low <= 0 and max(-low, high) > UNTOLD
    if knee.alike and not untold:
        return lead + (
            f"depth makes no difference that can be detected from {min(depths)} to {max(depths)}: "
            f"beyond depth {knee.depth} nothing is gained, {bounds(low, high)}.")  # fmt: skip
    if low > 0:
        return lead + (
            f"depth {knee.depth} is the best, and every deeper one costs more CPU per request "
            f"({bounds(low, high)} at {knee.other}).")  # fmt: skip
    text = f"beyond depth {knee.depth} nothing is gained, {bounds(low, high)}"
    if untold:
        text = (f"whether anything is gained beyond depth {knee.depth} cannot be told with "
                f"{pairs or 'so few'} pairs, give more: {bounds(low, high)} CPU per request at "
                f"{knee.other}")  # fmt: skip
    if knee.dearer:
        listed = ", ".join(map(str, knee.dearer))
        text += f"; {listed} cost{'s' if len(knee.dearer) == 1 else ''} more"
    return lead + text + "."
