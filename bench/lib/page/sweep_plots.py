"""The plots of a sweep: lines over one factor with the knee, heat maps over two."""

from __future__ import annotations

import statistics
from typing import Any, Sequence

from .. import results
from . import numbers, plots, svg
from .kind_sweep import Heat, Knee, Point, engines, knee_of, settings, without

TITLES = {"depth": "ring depth"}


def curve(
    run: results.Run, found: Sequence[Point], mine: Sequence[Point], factor: str, metric: str, width: float = svg.WIDTH
) -> Any:
    """One line for each engine over a factor's settings, evenly spaced; a band where the factor does
    not concern it. The order of engines is that of all points found."""
    steps = settings(mine, factor)
    shown = [one for point in mine for one in point.rounds(metric)]
    if not steps or not shown:
        return None
    made, axes = svg.figure(210, width)
    dotted = [engine for engine in engines(mine) if engine not in without(mine, factor)]
    for index, engine in enumerate(engines(found)):
        rounds = {p.factors.get(factor): some for p in mine if p.engine == engine and (some := p.rounds(metric))}
        if constant := rounds.pop(None, None):
            ends, level = [-0.4, len(steps) - 0.6], statistics.median(constant)
            axes.fill_between(ends, min(constant), max(constant), color=svg.series(index), alpha=0.13, linewidth=0)
            axes.plot(ends, [level, level], **svg.line(index))
        if rounds:
            offset = (dotted.index(engine) - (len(dotted) - 1) / 2) * 0.12
            places = {steps.index(step): rounds[step] for step in sorted(rounds)}
            plots.rounds(axes, places, index, offset, 3)
    knee = knee_of(run, mine, factor) if metric == results.COST else None
    if knee and knee.depth in steps:
        _upright(axes, steps.index(knee.depth), len(steps), knee, svg.series(engines(found).index(dotted[0])))
    axes.set_xticks(range(len(steps)), map(numbers.compact, steps))
    axes.set_xlim(-0.4, len(steps) - 0.6)
    air = (max(shown) - min(shown) or max(shown)) * 0.08
    axes.set_ylim(min(shown) - air, max(shown) + air * 4)
    axes.yaxis.set_major_formatter(numbers.compact)
    axes.set_xlabel(TITLES.get(factor, factor))
    axes.set_ylabel("µs per request" if metric == results.COST else "requests/s")
    return made


def _upright(axes: Any, at: int, of: int, knee: Knee, colour: str) -> None:
    """The knee as a line with its name on the side with more room."""
    axes.axvline(at, color=colour, linewidth=1.2, linestyle="-" if knee.sure else (0, (4, 3)))
    left = at < of / 2
    name = f"knee {knee.depth}{'' if knee.sure else '?'}"
    side = {"xytext": (4 if left else -4, -8), "ha": "left" if left else "right", "textcoords": "offset points"}
    axes.annotate(name, (at, 1), xycoords=("data", "axes fraction"), va="center", fontsize=9, color=colour, **side)


def heat(values: Heat, x: str, y: str, index: int | None, width: float = svg.WIDTH) -> Any:
    """Cells with their numbers; index is a line's colour, None for ratios around 1."""
    from matplotlib.patches import Rectangle

    if len(values) < 2:
        return None
    xs, ys = (sorted({key[side] for key in values}) for side in (0, 1))
    made, axes = svg.figure(44 + 34 * len(ys), width)
    low, high = min(values.values()), max(values.values())
    decimals = max(numbers.digits([low]), 2 if index is None else 1)
    for key, value in values.items():
        column, row = xs.index(key[0]), ys.index(key[1])
        if index is None:
            colour = svg.COLOUR["good" if value < 1 else "bad"]
            alpha = abs(value - 1) / max(high - 1, 1 - low, 0.02) * 0.38
        else:
            colour, alpha = svg.series(index), 0.04 + 0.4 * (value - low) / (high - low or 1)
        place = ((column - 0.48, row - 0.46), 0.96, 0.92)
        axes.add_patch(Rectangle(*place, linewidth=0, facecolor=colour, alpha=round(alpha, 3), gid="mark"))
        if index is not None and value == low:
            axes.add_patch(Rectangle(*place, fill=False, edgecolor=svg.INK, linewidth=1.6))
        size = 10 if len(xs) < 8 else 9
        axes.text(column, row, numbers.number(value, decimals), ha="center", va="center", fontsize=size)
    axes.set_xlim(-0.5, len(xs) - 0.5)
    axes.set_ylim(-0.5, len(ys) - 0.5)
    axes.set_xticks(range(len(xs)), map(numbers.compact, xs))
    axes.set_yticks(range(len(ys)), map(numbers.compact, ys))
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(TITLES.get(x, x))
    axes.set_ylabel(TITLES.get(y, y))
    return made
