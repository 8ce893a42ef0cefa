"""Plain text tables and numbers for people."""

from __future__ import annotations

from typing import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of aligned columns: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        aligned = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths))
        ]
        return "  " + "   ".join(aligned).rstrip()

    rule = "  " + "   ".join("─" * width for width in widths)
    return "\n".join([line(header), rule, *(line(row) for row in rows)])


def microseconds(value: float | None) -> str:
    """A latency: µs below a millisecond, then ms."""
    if value is None:
        return "–"
    if value < 1000:
        return f"{value:.0f} µs"
    return f"{value / 1000:.1f} ms" if value < 100_000 else f"{value / 1000:.0f} ms"


def thousands(value: float) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,.0f}"


def cost(nanoseconds: float) -> str:
    """CPU per request in µs, to three digits that mean something."""
    us = nanoseconds / 1000
    return f"{us:.2f}" if us < 10 else f"{us:.1f}"


def percent(ratio: float) -> str:
    """A fraction as whole percent."""
    return f"{ratio * 100:.0f} %"
