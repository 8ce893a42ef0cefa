"""Each workload's ratio over what one wait returns, with the workload's name above its point."""

from __future__ import annotations

from typing import Any, Sequence

from .. import results
from . import plots, svg
from .look import Looks

LADDER = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
HEIGHT, NAME, LETTER = 190, 12, 5.6  # units: of the data, of a row of names, of a letter
AXIS = 45  # units of width that the y axis takes
Placed = tuple[str, float, int]  # a name, its x as a share, and on which side of x it stands


def long(name: str, width: float) -> float:
    """What a name takes of the width."""
    return (len(name) + 1) * LETTER / width


def names(points: Sequence[tuple[str, float]], width: float) -> list[Placed]:
    """A row for each name, top first, so that few lines from a row down to its point meet a name.

    A line only passes the rows below its own. So those that must stand left of their points, for
    there is no room to the right, come first from the right, then the others from the left.
    """
    left: list[Placed] = []
    right: list[Placed] = []
    edge = 1.0
    for name, x in sorted(points, key=lambda point: -point[1]):
        if x + long(name, width) > edge and x > long(name, width):
            left.append((name, x, -1))
            edge = x
        else:
            right.insert(0, (name, x, 1))
    return left + right


def line(placed: Sequence[Placed], row: int, width: float) -> list[tuple[float, float]]:
    """The pieces of the line from a row's name down to the last row, in rows, without what would
    strike the names below."""
    x, start, pieces = placed[row][1], float(row), []
    for below in range(row + 1, len(placed)):
        name, other, side = placed[below]
        if min(other, end := other + side * long(name, width)) < x < max(other, end):
            pieces.append((start, float(below)))
            start = below + 1.0
    return [*pieces, (start, float(len(placed)))]


def batches(lead: Sequence[tuple[results.Cell, results.Ratio]], looks: Looks, width: float = svg.WIDTH) -> Any:
    """The leading ratios over completions per wait of their first variant."""
    points = {
        cell.id: (waits, one) for cell, one in lead if (waits := cell.median(one.numerator, "completions_per_wait"))
    }
    if len(points) < 3:
        return None
    made, axes = svg.figure(HEIGHT + NAME * len(points), width)
    axes.set_xscale("log")
    least, most = (f(waits for waits, _ in points.values()) for f in (min, max))
    axes.set_xlim(least / 1.3, most * 1.3)
    bottom = min([1.0, *(one.low for _, one in points.values())])
    top = max([1.0, *(one.high for _, one in points.values())])
    air = (top - bottom) * 0.06
    bottom, top = bottom - air, top + air
    # The names have the part of the axes above the data.
    axes.set_ylim(bottom, top + (top - bottom) * NAME * len(points) / (HEIGHT - AXIS))
    axes.set_yticks([tick for tick in axes.get_yticks() if bottom <= tick <= top])
    axes.axhline(1, color=plots.INK, linewidth=1)
    share = axes.transData - axes.transAxes
    placed = names([(name, share.transform((waits, 1))[0]) for name, (waits, _) in points.items()], width - AXIS)
    highest = axes.get_ylim()[1]
    unit = (highest - top) / len(placed)
    for row, (name, _, side) in enumerate(placed):
        waits, one = points[name]
        y = highest - (row + 0.5) * unit
        _point(axes, waits, one)
        *pieces, last = [
            (highest - start * unit, highest - end * unit) for start, end in line(placed, row, width - AXIS)
        ]
        for ends in (*pieces, (last[0], one.high)):
            axes.plot([waits, waits], ends, color=plots.SOFT, linewidth=0.6, zorder=1)
        axes.annotate(
            name,
            (waits, y),
            xytext=(4 * side, 0),
            textcoords="offset points",
            fontsize=9,
            ha="left" if side > 0 else "right",
            va="center",
            gid="halo",
        )
    ticks = [one for one in LADDER if least / 1.3 <= one <= most * 1.3]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(f"completions per wait, {looks.short(next(iter(points.values()))[1].numerator)}")
    axes.set_ylabel("cost ratio")
    return made


def _point(axes: Any, waits: float, one: results.Ratio) -> None:
    """A ratio with its interval, or hollow without."""
    if one.pairs < plots.FEW:
        svg.mark(axes.plot([waits], [one.median], "o", color=plots.SOFT, markersize=5, markerfacecolor="none"))
        return
    colour = svg.series(0)
    svg.mark(axes.plot([waits, waits], [one.low, one.high], color=colour, linewidth=1.4))
    svg.mark(axes.plot([waits], [one.median], "o", color=colour, markersize=5))
