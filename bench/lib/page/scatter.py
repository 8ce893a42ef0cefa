"""Each workload's ratio over what one wait returns, with the workload's name above its point."""

from __future__ import annotations

import math
from typing import Any, Mapping, Sequence

from .. import results
from . import svg
from .looks import Looks, cut
from .plots import FEW, ticks
from .svg import MARK, SOFT

LADDER = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
HEIGHT, NAME, AXIS = 190, 12, 45  # units of height: of data and axis, of a row of names, of the axis
RIGHT = 0.6  # of the width: points beyond have their names on their left


def batches(axes: Any, lead: Sequence[tuple[results.Cell, results.Ratio]], looks: Looks) -> None:
    """The leading ratios over completions per wait of their first variant."""
    found = {cell.id: (cell.median(one.numerator, "completions_per_wait"), one) for cell, one in lead}
    points = {name: (waits, one) for name, (waits, one) in found.items() if waits}
    if len(points) < 3:
        return
    svg.set_height(axes, HEIGHT + NAME * len(points))
    axes.set_xscale("log")
    low, high = min(waits for waits, _ in points.values()) / 1.3, max(waits for waits, _ in points.values()) * 1.3
    axes.set_xlim(low, high)
    bottom = min(1.0, *(one.low for _, one in points.values()))
    top = max(1.0, *(one.high for _, one in points.values()))
    air = (top - bottom) * 0.06
    bottom, top = bottom - air, top + air
    row = (top - bottom) * NAME / (HEIGHT - AXIS)
    axes.set_ylim(bottom, top + row * len(points))
    axes.set_yticks([tick for tick in axes.get_yticks() if bottom <= tick <= top])
    axes.axhline(1, color=svg.INK, linewidth=1)
    box = {"facecolor": svg.COLOUR["bg"], "edgecolor": "none", "pad": 0.5}
    places = {name: math.log(waits / low) / math.log(high / low) for name, (waits, _) in points.items()}
    for number, name in enumerate(reversed(order(places))):
        (waits, one), y, left = points[name], top + row * (number + 0.5), places[name] >= RIGHT
        colour = SOFT if one.pairs < FEW else svg.series(0)
        if one.pairs >= FEW:
            axes.plot([waits, waits], [one.low, one.high], color=colour, linewidth=1.4, gid=MARK)
        face = "none" if one.pairs < FEW else colour
        axes.plot([waits], [one.median], "o", color=colour, markersize=5, markerfacecolor=face, gid=MARK)
        axes.plot([waits, waits], [one.high, y], color=SOFT, linewidth=0.6, zorder=1)
        axes.annotate(name, (waits, y), fontsize=9, va="center", bbox=box, **svg.beside(left))
    shown = [one for one in LADDER if low <= one <= high]
    ticks(axes.xaxis, shown, [f"{one}" for one in shown])
    axes.set_xlabel(f"completions per wait, {cut(looks.label(lead[0][1].numerator), 30)}")
    axes.set_ylabel("cost ratio")


def order(places: Mapping[str, float]) -> list[str]:
    """The names from top to bottom, so that few lines down from a name pass through another: those
    on the left of their points from the right, then the others from the left. A name hides the line
    that still passes it."""
    names = sorted(places, key=lambda name: places[name])
    beyond = [name for name in names if places[name] >= RIGHT]
    return [*reversed(beyond), *(name for name in names if name not in beyond)]
