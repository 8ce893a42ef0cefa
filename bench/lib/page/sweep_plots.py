"""The plots of a sweep: lines over one factor with the knee, heat maps over two."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from .. import knee, results, sweep
from . import numbers, plots, svg
from .sweep_points import Point, settings


@dataclass(frozen=True)
class Knee:
    """A depth beyond which no gain was seen, and whether as many pairs as there are can tell."""

    depth: int
    told: bool


def knee_of(run: results.Run, mine: Sequence[Point], factor: str) -> Knee | None:
    """What the run found in the cell of these points; None too where the deepest still gains."""
    entry = next(
        (one for one in run.extra.get("knees") or [] if factor == "depth" and one["cell"] == mine[0].cell.id), None
    )
    if not entry or entry["depth"] is None or not entry["change"] or entry["other"] < entry["depth"]:
        return None
    slack = results.noise_reach(results.COST, run.noise) * 100
    low, high = entry["change"]["low"], entry["change"]["high"]
    return Knee(entry["depth"], not knee.untold(low, high, slack))


def _rounds(point: Point, field: str) -> list[float]:
    """Every round's µs or requests per second."""
    if field == "cost":
        return [one / 1000 for one in point.rounds().values()]
    return list(results.by_round(point.cell, point.variant, field).values())


def curve(
    run: results.Run, mine: Sequence[Point], factor: str, engines: Sequence[str], field: str, width: float = svg.WIDTH
) -> Any:
    """One line for each engine over a factor's settings, evenly spaced; a band where the factor does
    not concern it."""
    ticks = settings(mine, factor)
    if not ticks:
        return None
    made, axes = svg.figure(210, width)
    present = [engine for engine in engines if any(p.engine == engine for p in mine)]
    dotted = [engine for engine in present if any(p.engine == engine and p.get(factor) is not None for p in mine)]
    shown: list[float] = []
    for engine in present:
        index = engines.index(engine)
        by_setting = {p.get(factor): rounds for p in mine if p.engine == engine and (rounds := _rounds(p, field))}
        line = {"color": svg.series(index), "linestyle": svg.dash(index)}
        for rounds in by_setting.values():
            shown += rounds
        if constant := by_setting.pop(None, None):
            ends, level = [-0.4, len(ticks) - 0.6], [statistics.median(constant)] * 2
            axes.fill_between(ends, min(constant), max(constant), color=svg.series(index), alpha=0.13, linewidth=0)
            svg.mark(axes.plot(ends, level, **line))
        offset = (dotted.index(engine) - (len(dotted) - 1) / 2) * 0.12 if engine in dotted else 0
        places = [place for place, tick in enumerate(ticks) if tick in by_setting]
        for place in places:
            rounds = by_setting[ticks[place]]
            axes.plot(
                [place + offset] * len(rounds),
                rounds,
                svg.MARKERS[index % 8],
                alpha=0.4,
                color=svg.series(index),
                markersize=3,
                markeredgewidth=0,
            )
        if places:
            medians = [statistics.median(by_setting[ticks[place]]) for place in places]
            svg.mark(axes.plot(places, medians, **line))
    if not shown:
        return None
    found = knee_of(run, mine, factor) if field == "cost" else None
    if found and found.depth in ticks:
        _upright(axes, ticks.index(found.depth), len(ticks), found, svg.series(engines.index(sweep.WITH_DEPTH)))
    axes.set_xticks(range(len(ticks)), [numbers.compact(t) if isinstance(t, int) else str(t) for t in ticks])
    axes.set_xlim(-0.4, len(ticks) - 0.6)
    air = (max(shown) - min(shown) or max(shown)) * 0.08
    axes.set_ylim(min(shown) - air, max(shown) + air * 4)
    axes.yaxis.set_major_formatter(numbers.compact)
    axes.set_xlabel(factor if factor != "depth" else "ring depth")
    axes.set_ylabel("µs per request" if field == "cost" else "requests/s")
    return made


def _upright(axes: Any, at: int, of: int, found: Knee, colour: str) -> None:
    """The knee as a line with its name beside it, where there is more room."""
    axes.axvline(at, color=colour, linewidth=1.2, linestyle="-" if found.told else (0, (4, 3)))
    left = at < of / 2
    axes.annotate(
        f"knee {found.depth}{'' if found.told else '?'}",
        (at, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4 if left else -4, -8),
        textcoords="offset points",
        ha="left" if left else "right",
        va="center",
        fontsize=9,
        color=colour,
    )


def heat(values: Mapping[tuple[Any, Any], float], x: str, y: str, index: int | None, width: float = svg.WIDTH) -> Any:
    """Cells with their numbers; index is a line's colour, None for ratios around 1."""
    from matplotlib.patches import Rectangle

    xs = sorted({key[0] for key in values})
    ys = sorted({key[1] for key in values})
    made, axes = svg.figure(44 + 34 * len(ys), width)
    low, high = min(values.values()), max(values.values())
    best = min(values, key=lambda key: values[key])
    decimals = max(numbers.digits([low]), 2 if index is None else 1)
    reach = max(high - 1, 1 - low, 0.02)
    for key, value in sorted(values.items()):
        column, row = xs.index(key[0]), ys.index(key[1])
        if index is None:
            colour = svg.COLOUR["good" if value < 1 else "bad"]
            alpha = abs(value - 1) / reach * 0.38
        else:
            colour, alpha = svg.series(index), 0.04 + 0.4 * (value - low) / (high - low or 1)
        svg.mark(
            axes.add_patch(
                Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, linewidth=0, facecolor=colour, alpha=round(alpha, 3))
            )
        )
        if index is not None and key == best:
            axes.add_patch(
                Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, fill=False, edgecolor=plots.INK, linewidth=1.6)
            )
        axes.text(
            column, row, numbers.number(value, decimals), ha="center", va="center", fontsize=10 if len(xs) < 8 else 9
        )
    axes.set_xlim(-0.5, len(xs) - 0.5)
    axes.set_ylim(-0.5, len(ys) - 0.5)
    axes.set_xticks(range(len(xs)), [numbers.compact(one) if isinstance(one, int) else str(one) for one in xs])
    axes.set_yticks(range(len(ys)), [numbers.compact(one) if isinstance(one, int) else str(one) for one in ys])
    axes.grid(False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("ring depth" if x == "depth" else x)
    axes.set_ylabel("ring depth" if y == "depth" else y)
    return made
