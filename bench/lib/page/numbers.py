"""Numbers for people: as many digits as mean something, the same in all rows of a column."""

import math
from typing import Sequence

from .. import words


def digits(values: Sequence[float | None], significant: int = 3) -> int:
    """The decimals, at most 4, that show the smallest nonzero value with this many digits."""
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    if not sizes:
        return 0
    return min(4, max(0, significant - 1 - math.floor(math.log10(min(sizes)))))


def number(value: float | None, decimals: int = 0) -> str:
    """A number with thousands separators and a true minus; a dash if there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.{decimals}f}".replace("-", "−")


def column(values: Sequence[float | None], significant: int = 3) -> list[str]:
    """Numbers of one column, all with the same decimals."""
    decimals = digits(values, significant)
    return [number(value, decimals) for value in values]


def signed(value: float, decimals: int) -> str:
    """A number with its sign; zero has none."""
    text = f"{value:+.{decimals}f}"
    return (text if float(text) else text[1:]).replace("-", "−")


def signed_percent(ratio: float) -> str:
    """How far a ratio is from 1, with its sign; as a multiple where that is more than 200 %."""
    return words.times(ratio) if ratio > words.TIMES else f"{signed((ratio - 1) * 100, 1)} %"


def latency_unit(values_us: Sequence[float | None]) -> tuple[str, float]:
    """µs, or ms where the smallest is above 10 ms; and what to divide by."""
    known = [value for value in values_us if value]
    return ("ms", 1000.0) if known and min(known) >= 10_000 else ("µs", 1.0)


def compact(value: float, _position: object = None) -> str:
    """An axis label: 12k, 1.5M, 0.25."""
    for limit, unit, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= limit:
            return f"{value / unit:g}{letter}".replace("-", "−")
    return f"{value:,.6g}".replace("-", "−")


def duration_us(value: float) -> str:
    """An axis label of a latency given in µs."""
    for limit, unit in ((1e6, "s"), (1e3, "ms")):
        if value >= limit:
            return f"{value / limit:g} {unit}"
    return f"{value:g} µs"
