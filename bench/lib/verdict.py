"""What a ratio between two subjects allows to say.

Every text about a difference is a template over a verdict, which claims no more than the interval
does, nor than the A/A run allows.
"""

from dataclasses import dataclass
from typing import Any, Mapping

from .stats import Interval
from .words import say

UNSTEADY = 0.5  # an interval around 1 that reaches further from it is not worth a bound

Noise = Mapping[str, Any]  # the A/A run of a result file


def noise_reach(metric: str, noise: Noise | None) -> float:
    """How far from 1 the A/A run's interval reaches; 0 where it says nothing about the metric."""
    if not noise or noise["metric"] != metric or noise["pairs"] < 2:
        return 0.0
    return float(max(1 - noise["low"], noise["high"] - 1, 0.0))


@dataclass(frozen=True)
class Verdict:
    """A ratio with its 95 % interval, judged by itself and against the A/A run."""

    metric: str
    median: float
    low: float
    high: float
    pairs: int
    noise: Noise | None = None

    @classmethod
    def of(cls, metric: str, figure: Mapping[str, Any] | None, noise: Noise | None = None) -> "Verdict":
        """The verdict on a ratio as a result file has it; None stands for no valid pair."""
        found = figure or {"median": 1.0, "low": 1.0, "high": 1.0, "pairs": 0}
        return cls(metric, found["median"], found["low"], found["high"], found["pairs"], noise)

    @classmethod
    def of_interval(cls, metric: str, found: Interval, noise: Noise | None = None) -> "Verdict":
        return cls(metric, found.median, found.low, found.high, found.count, noise)

    @property
    def kind(self) -> str:
        """By the interval alone: unmeasured, none, less or more."""
        if self.pairs < 2:
            return "unmeasured"
        if self.low <= 1.0 <= self.high:
            return "none"
        return "less" if self.high < 1.0 else "more"

    @property
    def effect(self) -> str:
        """What the kind means for a cost, as result files have it: saves, costs, none, unmeasured."""
        return {"less": "saves", "more": "costs"}.get(self.kind, self.kind)

    @property
    def inverse(self) -> "Verdict":
        """The same of the other subject over this one; only of a ratio whose interval does not reach 0."""
        return Verdict(self.metric, 1 / self.median, 1 / self.high, 1 / self.low, self.pairs, self.noise)

    @property
    def size(self) -> float:
        return abs(self.median - 1)

    @property
    def ends(self) -> list[float]:
        """How far from 1 the interval's ends are, the nearer first."""
        return sorted((abs(self.low - 1), abs(self.high - 1)))

    @property
    def reach(self) -> float:
        return self.ends[1]

    @property
    def unsteady(self) -> bool:
        """Whether the interval includes 1 and reaches too far from it to bound the difference."""
        return self.kind == "none" and self.reach > UNSTEADY

    @property
    def within_noise(self) -> bool:
        """Whether the A/A run differs by as much as the smaller end of a detected difference."""
        reach = noise_reach(self.metric, self.noise)
        return reach > 0 and not self.low <= 1.0 <= self.high and self.ends[0] <= reach

    @property
    def partly(self) -> bool:
        """Whether the larger end of the difference is beyond the A/A run."""
        return self.reach > noise_reach(self.metric, self.noise)

    @property
    def span(self) -> str:
        """The interval of a difference of a known direction: 2.0 to 4.1 %."""
        near, far = self.ends
        return f"{near * 100:.1f} to {far * 100:.1f} %"

    def sentence(self, one: str, other: str) -> str:
        return say("sentence", self, one, other)
