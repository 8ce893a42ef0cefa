"""What a ratio means in words: no more than its interval says, nor than the A/A run allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .results import Ratio

COST, WITH_LOAD = "cpu_ns_per_request", "with_load_ns_per_request"
UNSTEADY = 0.5  # half width of an interval around 1 that bounds nothing worth saying
TIMES = 3.0  # a ratio from which on "times as much" is said instead of percent

# metric: how a sentence begins, with the word for more of it, the word for less, what it is, and
# how a sentence about several times of it begins.
_SENTENCES = {
    COST: ("uses", "more", "less", "CPU per request", "uses {} as much"),
    WITH_LOAD: ("uses", "more", "less", "CPU per request of server and load together", "uses {} as much"),
    "per_second": ("serves", "more", "fewer", "requests/s", "serves {} as many"),
    "latency_us": ("has a", "higher", "lower", "", "has {} as high a"),
    "memory": ("holds an idle connection in", "more", "less", "", "holds an idle connection in {} as much"),
    "peak_rss_kb": ("needs", "more", "less", "memory at its peak", "needs {} as much"),
    "syscalls_per_request": ("makes", "more", "fewer", "system calls per request", "makes {} as many"),
}


def metric_title(metric: str) -> str:
    """How people call a metric."""
    name, _, key = metric.partition(".")
    known = {
        "latency_us": f"{key} latency",
        "latency_raw_us": f"raw {key} latency",
        "memory": f"{key.removesuffix('_bytes')} memory",
    }
    if name in known:
        return known[name]
    return _SENTENCES[name][3] if name in _SENTENCES else name.replace("_", " ")


def times(ratio: float) -> str:
    """How a ratio of TIMES and more is said."""
    return f"{ratio:,.{1 if ratio < 10 else 0}f} times"


def size(ratio: float) -> str:
    """How far a ratio is from 1, without its direction: 8.0 %, or 245 times."""
    return times(ratio) if ratio > TIMES else f"{abs(ratio - 1) * 100:.1f} %"


def noise_band(noise: dict[str, Any]) -> str:
    """−2.6 to +2.1 %, of an A/A run."""
    low, high = (f"{(noise[key] - 1) * 100:+.1f}".replace("-", "−") for key in ("low", "high"))
    return f"{low} to {high} %"


def noise_reach(metric: str, noise: dict[str, Any] | None) -> float:
    """How far from 1 the A/A run's interval went; 0 where there is none of this metric."""
    if not noise or noise["metric"] != metric or noise["pairs"] < 2:
        return 0.0
    return float(max(1 - noise["low"], noise["high"] - 1, 0.0))


def not_above_noise(metric: str, low: float, high: float, noise: dict[str, Any] | None) -> bool:
    """Whether an interval of ratios beside 1 has an end that is no further from 1 than the A/A
    run's went."""
    reach = noise_reach(metric, noise)
    return reach > 0 and not low <= 1.0 <= high and min(abs(low - 1), abs(high - 1)) <= reach


def beside_noise(metric: str, low: float, high: float, noise: dict[str, Any] | None) -> str:
    """What a sentence about a difference must add where the A/A run of its file showed as much."""
    if noise is None or not not_above_noise(metric, low, high, noise):
        return ""
    whole = max(abs(low - 1), abs(high - 1)) <= noise_reach(metric, noise)
    return (
        f", {'which' if whole else 'the least of which'} is within what a server set against "
        f"itself differs here ({noise_band(noise)})"
    )


def verdict(
    found: Ratio, numerator: str | None = None, denominator: str | None = None, noise: dict[str, Any] | None = None
) -> str:
    """One sentence that claims no more than the interval does, nor than the A/A run allows."""
    one, other = numerator or found.numerator, denominator or found.denominator
    what = metric_title(found.metric)
    if found.pairs == 1:
        return f"{one} and {other}: one round says nothing about a difference in {what}."
    low, high = found.low - 1, found.high - 1
    if found.contains_one and max(-low, high) > UNSTEADY:
        text = f"{one} and {other}: {what} varied too much from run to run to compare"
    elif found.contains_one:
        text = f"{one} and {other}: no difference in {what} detectable within " f"±{max(abs(low), high) * 100:.1f} %"
    else:
        begin, more, less, _, as_much = _SENTENCES.get(
            found.metric.partition(".")[0], ("has", "more", "less", "", "has {} as much")
        )
        near, far = sorted((abs(low), abs(high)))
        text = (
            f"{one} {begin} {size(found.median)} {less if high < 0 else more} {what} than "
            f"{other} ({near * 100:.1f} to {far * 100:.1f} %)"
        )
        if found.median > TIMES:
            text = (
                f"{one} {as_much.format(times(found.median))} {what} as {other} "
                f"({times(found.low).removesuffix(' times')} to {times(found.high)})"
            )
        text += beside_noise(found.metric, found.low, found.high, noise)
    return text + "."
