"""What a ratio between two subjects allows to say.

A verdict is computed once, from a metric, a ratio with its interval and its number of pairs, and the
A/A run; every text about a difference is a template over it. It claims no more than the interval
does, nor than the A/A run allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, NamedTuple

COST, WITH_LOAD = "cpu_ns_per_request", "with_load_ns_per_request"
UNSTEADY = 0.5  # an interval around 1 that reaches further from it is not worth a bound
TIMES = 3.0  # from this ratio on a sentence says "times as much" instead of percent

Noise = Mapping[str, Any]  # the A/A run of a result file


class Words(NamedTuple):
    """How sentences about a metric are worded."""

    title: str
    verb: str
    more: str
    less: str
    times: str


WORDS = {
    COST: Words("CPU per request", "uses", "more", "less", "uses {} as much"),
    WITH_LOAD: Words("CPU per request of server and load together", "uses", "more", "less", "uses {} as much"),
    "per_second": Words("requests/s", "serves", "more", "fewer", "serves {} as many"),
    "latency_us": Words("{} latency", "has a", "higher", "lower", "has {} as high a"),
    "latency_raw_us": Words("raw {} latency", "has a", "higher", "lower", "has {} as high a"),
    "memory": Words(
        "{} memory", "holds an idle connection in", "more", "less", "holds an idle connection in {} as much"
    ),
    "peak_rss_kb": Words("peak memory", "uses", "more", "less", "uses {} as much"),
    "syscalls_per_request": Words("system calls per request", "makes", "more", "fewer", "makes {} as many"),
}


def _words(metric: str) -> Words:
    name = metric.partition(".")[0]
    return WORDS.get(name, Words(name.replace("_", " "), "has", "more", "less", "has {} as much"))


def metric_title(metric: str) -> str:
    """How people call a metric."""
    return _words(metric).title.format(metric.partition(".")[2].removesuffix("_bytes"))


def times(ratio: float) -> str:
    """A ratio above TIMES in words: 4.0 times, 245 times."""
    return f"{ratio:,.{1 if ratio < 10 else 0}f} times"


def size(ratio: float) -> str:
    """How far a ratio is from 1, without its direction: 8.0 %, or 245 times."""
    return times(ratio) if ratio > TIMES else f"{abs(ratio - 1) * 100:.1f} %"


def noise_band(noise: Noise) -> str:
    """The interval of an A/A run: −2.6 to +2.1 %."""
    low, high = (f"{(noise[key] - 1) * 100:+.1f}".replace("-", "−") for key in ("low", "high"))
    return f"{low} to {high} %"


def noise_reach(metric: str, noise: Noise | None) -> float:
    """How far from 1 the A/A run's interval reaches; 0 where it says nothing about the metric."""
    if not noise or noise["metric"] != metric or noise["pairs"] < 2:
        return 0.0
    return float(max(1 - noise["low"], noise["high"] - 1, 0.0))


def not_above_noise(metric: str, low: float, high: float, noise: Noise | None) -> bool:
    """Whether an interval excludes 1, yet at least one of its ends is within the A/A run's reach."""
    reach = noise_reach(metric, noise)
    return reach > 0 and not low <= 1.0 <= high and min(abs(low - 1), abs(high - 1)) <= reach


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

    @property
    def kind(self) -> str:
        """By the interval alone: unmeasured, none, less or more."""
        if self.pairs < 2:
            return "unmeasured"
        if self.low <= 1.0 <= self.high:
            return "none"
        return "less" if self.high < 1.0 else "more"

    @property
    def within_noise(self) -> bool:
        """Whether the A/A run differs by as much as the smaller end of a detected difference."""
        return not_above_noise(self.metric, self.low, self.high, self.noise)

    @property
    def reach(self) -> float:
        """How far from 1 the interval reaches."""
        return max(abs(self.low - 1), abs(self.high - 1))

    @property
    def unsteady(self) -> bool:
        """Whether the interval includes 1 and reaches too far from it to bound the difference."""
        return self.kind == "none" and self.reach > UNSTEADY

    @property
    def percent(self) -> str:
        """The size of the difference, without its direction: 8.0 %."""
        return f"{abs(self.median - 1) * 100:.1f} %"

    @property
    def span(self) -> str:
        """The interval of a difference of a known direction, the smaller end first: 2.0 to 4.1 %."""
        near, far = sorted((abs(self.low - 1), abs(self.high - 1)))
        return f"{near * 100:.1f} to {far * 100:.1f} %"

    @property
    def caveat(self) -> str:
        """What a text must add where the A/A run shows as much of a difference."""
        if self.noise is None or not self.within_noise:
            return ""
        partly = "" if self.reach <= noise_reach(self.metric, self.noise) else "partly "
        return f", {partly}within the A/A noise ({noise_band(self.noise)})"

    def phrase(self, less: str = "", more: str = "", none: str = "") -> str:
        """The difference in a few words: 3.1 % less CPU per request (2.0 to 4.1 %), or no detectable
        difference in it (within ±1.4 %)."""
        words, what = _words(self.metric), metric_title(self.metric)
        if self.kind == "none":
            return f"{none or f'no detectable difference in {what}'} (within ±{self.reach * 100:.1f} %)"
        word = less or f"{words.less} {what}" if self.kind == "less" else more or f"{words.more} {what}"
        return f"{self.percent} {word} ({self.span})"

    def sentence(self, one: str, other: str) -> str:
        """One subject over the other in a sentence."""
        words, what = _words(self.metric), metric_title(self.metric)
        if self.kind == "unmeasured":
            return f"{one} and {other}: a single round cannot show a difference in {what}."
        if self.unsteady:
            return f"{one} and {other}: {what} varied too much between rounds to compare."
        if self.kind == "none":
            return f"{one} and {other}: {self.phrase()}."
        if self.median > TIMES:
            span = f"{times(self.low).removesuffix(' times')} to {times(self.high)}"
            return f"{one} {words.times.format(times(self.median))} {what} as {other} ({span}){self.caveat}."
        less, more = (f"{word} {what} than {other}" for word in (words.less, words.more))
        return f"{one} {words.verb} {self.phrase(less, more)}{self.caveat}."
