"""The knee of a sweep: the smallest ring depth beyond which nothing is gained."""

import dataclasses
import statistics
from typing import Callable, Mapping, Sequence

from . import stats
from .words import say

UNTOLD = 5.0  # percent that an interval reaches to either side, from which on it tells nothing
Rounds = Mapping[int, float]  # round -> cost
Change = tuple[float, float, float]  # median, low, high, in percent
Ratios = Callable[[int, int], Sequence[Sequence[float]]]  # of one depth to another, by round


@dataclasses.dataclass(frozen=True)
class Knee:
    """What going deeper than `depth` does to the cost; percent, negative is a gain. Without a depth nothing was
    measured; without a change there is no second depth to compare, or no second round."""

    depth: int | None
    best: int | None
    other: int | None = None  # what change compares the knee with
    change: Change | None = None
    dearer: tuple[int, ...] = ()  # above the knee and detectably more expensive than it
    alike: bool = False  # no depth is distinguishable from the smallest
    slack: float = 0.0  # percent: what a depth set against itself differs


def percent_change(rounds: Sequence[Sequence[float]], comparisons: int = 1) -> Change | None:
    """Median and bounds of the change in percent, of the ratios of each round; None for less than two rounds,
    which have no bounds. With several comparisons the bounds hold together."""
    if len(rounds) < 2:
        return None
    found = stats.bootstrap_rounds(rounds, comparisons)
    middle, low, high = ((one - 1) * 100 for one in (found.median, found.low, found.high))
    return middle, low, high


def find(costs: Mapping[int, Rounds], ratios: Ratios | None = None, slack: float = 0.0) -> Knee:
    """The smallest depth whose cost is known not to differ from the cheapest depth's, or else the smallest whose
    cost is indistinguishable from that. A change counts where its interval lies beyond slack percent, the reach of
    the A/A run. The cheapest is chosen by the rounds that it is compared in, so it looks a little better than it is:
    where the knee errs, it errs towards a deeper ring."""
    measured = {depth: rounds for depth, rounds in sorted(costs.items()) if rounds}
    if not measured:
        return Knee(None, None)
    best = min(measured, key=lambda depth: (statistics.median(measured[depth].values()), depth))
    many = max(1, len(measured) - 1)

    def change(one: int, other: int) -> Change | None:
        if ratios:
            return percent_change(ratios(one, other), many)
        whole = stats.paired_ratios(measured[one], measured[other])
        return percent_change([[ratio] for ratio in whole], many)

    alike_best = [depth for depth in measured if depth == best or not _gains(change(best, depth), slack)]

    def told(depth: int) -> bool:
        """Whether it is known that nothing, or little, is gained beyond it."""
        if depth == best:
            return depth != max(measured)
        found = change(best, depth)
        return found is not None and not untold(found[1], found[2], slack)

    knee = next(filter(told, alike_best), alike_best[0])
    changes = {depth: change(depth, knee) for depth in measured if depth > knee}
    known = {depth: found for depth, found in changes.items() if found is not None}
    dearer = tuple(depth for depth, found in known.items() if found[1] > slack)
    if not known:  # the deepest tried is still the best: tell what the last step gained
        shallower = [depth for depth in measured if depth < knee]
        other = shallower[-1] if shallower else None
        last = change(knee, other) if other is not None else None
        return Knee(knee, best, other, last, slack=slack)
    other = best if best in known else min(known, key=lambda depth: known[depth])
    alike = knee == min(measured) and not dearer
    return Knee(knee, best, other, known[other], dearer, alike, slack)


def _gains(change: Change | None, slack: float) -> bool:
    return change is None or change[2] < -slack


def untold(low: float, high: float, slack: float) -> bool:
    """Whether a change's interval reaches too far to say that nothing is gained."""
    return low <= slack and max(-low, high) > max(UNTOLD, slack)


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
    wide = knee.change is not None and untold(*knee.change[1:], knee.slack)
    return say("knee", knee, depths, where, pairs, bounds(*knee.change[1:]) if knee.change else "", wide)
