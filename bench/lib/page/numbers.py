"""Numbers for people: as many digits as mean something, the same in all rows of a column."""

from __future__ import annotations

import math
from typing import Sequence

from .. import results


def digits(values: Sequence[float], significant: int = 3) -> int:
    """Decimals that give the smallest value (zero aside) so many digits, at most 4."""
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    if not sizes:
        return 0
    return min(4, max(0, significant - 1 - math.floor(math.log10(min(sizes)))))


def number(value: float | None, decimals: int = 0) -> str:
    """A number with thousands apart and a true minus; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.{decimals}f}".replace("-", "−")


def column(values: Sequence[float | None], significant: int = 3) -> list[str]:
    """Numbers that stand under each other: all with the same decimals."""
    decimals = digits([value for value in values if value is not None], significant)
    return [number(value, decimals) for value in values]


def percent(value: float | None, decimals: int = 0) -> str:
    """A share as a percentage without its sign: the unit is in the head."""
    return number(None if value is None else value * 100, decimals)


def signed_percent(ratio: float | None, decimals: int = 1) -> str:
    """How far a ratio is from 1, with its sign; how many times where that is more than 200 %."""
    if ratio is None or not math.isfinite(ratio):
        return "–"
    if ratio > results.TIMES:
        return results.times(ratio)
    text = f"{(ratio - 1) * 100:+.{decimals}f}"
    return f"{text if float(text) else text[1:]} %".replace("-", "−")


def latency_unit(values_us: Sequence[float | None]) -> tuple[str, float]:
    """µs, or ms where the smallest is above 10 ms; and what to divide by."""
    known = [value for value in values_us if value]
    return ("ms", 1000.0) if known and min(known) >= 10_000 else ("µs", 1.0)


def compact(value: float, _position: object = None) -> str:
    """An axis label: 12k, 1.5M, 0.25."""
    size = abs(value)
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            unit = {"G": 1e9, "M": 1e6, "k": 1e3}[letter]
            return f"{value / unit:g}{letter}".replace("-", "−")
    return f"{value:,.6g}".replace("-", "−")


def duration_us(value: float, _position: object = None) -> str:
    """An axis label of a latency given in µs."""
    for limit, unit in ((1e6, "s"), (1e3, "ms")):
        if value >= limit:
            return f"{value / limit:g} {unit}"
    return f"{value:g} µs"
