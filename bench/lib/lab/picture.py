"""What the picture of an experiment has in it: plain data, which a result file keeps and page/kind_explain.py draws."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Iterable, Mapping, Sequence

UNITS = {"": 1.0, "%": 1.0, "µs": 1e-3, "ms": 1.0, "s": 1e3}  # of a cell in a table; times are drawn in ms
CELL = re.compile(r"(-?[\d,]+(?:\.\d+)?) ?(%|µs|ms|s|)")


@dataclass(frozen=True)
class Bar:
    """A row: what it is called, what was measured, the same in words, and what theory bounds it by."""

    name: str
    value: float
    text: str
    limit: float | None = None


@dataclass(frozen=True)
class Line:
    """Points (x, y) that a line joins; a line of theory is drawn as one."""

    name: str
    points: Sequence[tuple[float, float]]
    theory: bool = False


@dataclass(frozen=True)
class Shade:
    """A part of x that is marked, between two of its values."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True)
class Stack:
    """A row of parts, one after another: how much each of the picture's parts has of it, and the same in words."""

    name: str
    values: Sequence[float]
    text: str


@dataclass(frozen=True)
class Lanes:
    """Lanes below a name: of each its spans, with the number of the picture's part, begin and end."""

    name: str
    lanes: Sequence[Sequence[tuple[int, float, float]]]
    text: str


@dataclass(frozen=True)
class Span:
    """A row of a waterfall: from when to when, in ms, and how deep it is nested. Its parts are what it did, in turn."""

    name: str
    begin: float
    end: float
    depth: int = 0
    parts: Sequence[tuple[str, float, float]] = ()


@dataclass(frozen=True)
class Picture:
    """Bars, lines over x, stacks, lanes or spans. The caption says what to see in it, and what the marks are."""

    title: str
    caption: str
    x: str  # the name of the axis, with its unit
    bars: Sequence[Bar] = ()
    lines: Sequence[Line] = ()
    spans: Sequence[Span] = ()
    y: str = ""  # of lines
    log: bool = False  # the axis of what was measured; bars are dots then, for they have no beginning
    shades: Sequence[Shade] = ()  # behind lines
    parts: Sequence[str] = ()  # what stacks and lanes consist of
    stacks: Sequence[Stack] = ()
    groups: Sequence[Lanes] = ()


def over(name: str, points: Mapping[float, float] | Iterable[tuple[float, float]], theory: bool = False) -> Line:
    """A line through the points in the order of x."""
    pairs = points.items() if isinstance(points, Mapping) else points
    return Line(name, sorted((float(x), float(y)) for x, y in pairs), theory)


def of_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Picture | None:
    """Bars of the first column that has a figure in every row, or else in most; None without any."""
    columns = [[_figure(row[at]) for row in rows] for at in range(len(header))]
    counts = [sum(one is not None for one in column) for column in columns]
    if not rows or max(counts) == 0:
        return None
    best = counts.index(max(counts))
    names = [", ".join(cell for cell in row[:best] if cell not in ("", "–") and _figure(cell) is None) for row in rows]
    bars = [
        Bar(name or f"{number}", value, row[best])
        for number, (name, value, row) in enumerate(zip(names, columns[best], rows), 1)
        if value is not None
    ]
    times = any(row[best].endswith("s") for row in rows)
    return Picture(header[best], f"Bar: {header[best]}, as in the table.", header[best] + ", ms" * times, bars)


def plain(pictures: Sequence[Picture], header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """These pictures, or the bars of the table, as plain data."""
    return [asdict(one) for one in pictures or [of_table(header, rows)] if one]


def _figure(cell: str) -> float | None:
    """What a cell of a table says in numbers."""
    found = CELL.fullmatch(cell)
    return float(found[1].replace(",", "")) * UNITS[found[2]] if found else None
