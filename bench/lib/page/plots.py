"""Plots that several kinds of run share: samples, ratios, latency, drift."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any, Sequence

from .. import results
from . import latency, numbers, svg
from .look import Looks, cut

INK, SOFT, LINE = svg.COLOUR["ink"], svg.COLOUR["soft"], svg.COLOUR["line"]
FEW = 2  # pairs from which on a ratio has an interval
LETTER = 6  # units of width, about
ROW = 38  # units of height of a row with its name above
NAME = 0.36  # where in its row a name stands, and half of its height, as shares of a row
HALF = 0.17


def rows_figure(count: int, width: float = svg.WIDTH) -> tuple[Any, Any]:
    """Axes whose rows carry their names above them, at y = 0, −1, …; what is drawn stays between
    0.44 below and 0.14 above that, clear of the names."""
    made, axes = svg.figure(count * ROW + 45, width)  # the axis and its name below them
    axes.set_ylim(-count + 0.5, 0.62)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    return made, axes


def row_text(axes: Any, row: int, left: str, right: str = "", colour: str = INK) -> None:
    """A row's name at its left and its figures at its right, above what is drawn."""
    room = axes.figure.get_figwidth() * 72 - LETTER * (len(right) + 2)
    left = cut(left, max(int(room / LETTER), 8))
    place = axes.get_yaxis_transform()
    axes.text(0, -row + NAME, left, transform=place, ha="left", va="center", color=colour, gid="halo")
    if right:
        axes.text(1, -row + NAME, right, transform=place, ha="right", va="center", fontsize=9.5, color=SOFT, gid="halo")


def middle(row: int) -> float:
    """The height of what is drawn in a row."""
    return -row - 0.14


def upright(axes: Any, x: float, top: float, bottom: float, **style: Any) -> None:
    """An upright line through rows whose names stand already and whose x axis has its limits; it
    leaves out the names and figures that it would strike."""
    share = (axes.transData - axes.transAxes).transform((x, top))[0]
    width = axes.figure.get_figwidth() * 72 - 2 * LETTER
    struck = []
    for text in axes.texts:
        y = text.get_position()[1]
        taken = (len(text.get_text()) + 1) * LETTER / width
        if bottom < y < top and (share if text.get_ha() == "left" else 1 - share) < taken:
            struck.append(y)
    edges = [top, *(edge for y in sorted(set(struck), reverse=True) for edge in (y + HALF, y - HALF)), bottom]
    for one, other in zip(edges[::2], edges[1::2]):
        if one - other > 0.12:  # more than the air above the first name
            svg.mark(axes.plot([x, x], [one, other], **style))


def fit(axes: Any, values: Sequence[float], share: float = 0.06) -> None:
    """Limits of the x axis that hold the values with some air."""
    low, high = min(values), max(values)
    air = (high - low) * share or abs(high) * 0.02 or 1.0
    axes.set_xlim(low - air, high + air)


def unit(metric: str) -> tuple[str, float]:
    """How a metric's axis is called, and what its values are divided by."""
    if metric == "cpu_ns_per_request":
        return "server CPU per request, µs", 1000.0
    title = results.metric_title(metric)
    return (f"{title}, bytes" if metric.endswith("_bytes") else title), 1.0


def strip(cell: results.Cell, looks: Looks, metric: str = "cpu_ns_per_request", width: float = svg.WIDTH) -> Any:
    """A metric's samples as dots, first round on top; the median a bar."""
    label, by = unit(metric)
    values = {
        name: [found / by for s in cell.valid(name) if (found := results.value(s, metric)) is not None]
        for name in cell.names
    }
    names = [name for name in cell.names if values[name]]
    if not names:
        return None
    made, axes = rows_figure(len(names), width)
    shown: list[float] = []
    for row, name in enumerate(names):
        mine, look = values[name], looks.of(name)
        heights = [-row + 0.08 - 0.46 * i / max(len(mine) - 1, 1) for i in range(len(mine))]
        svg.mark(
            axes.plot(
                mine,
                heights,
                look.marker,
                color=look.colour,
                alpha=0.75,
                markersize=4.5,
                markeredgewidth=0,
                clip_on=False,
            )
        )
        median = statistics.median(mine)
        svg.mark(axes.plot([median, median], [-row + 0.14, -row - 0.44], color=INK, linewidth=1.6))
        bad = [found / by for s in cell.invalid if s.variant == name and (found := results.value(s, metric))]
        axes.plot(bad, [middle(row)] * len(bad), "x", color=svg.COLOUR["bad"], markersize=6)
        shown += mine + bad
        row_text(axes, row, look.name, numbers.number(median, numbers.digits([median])))
    fit(axes, shown)
    axes.set_xlabel(label)
    return made


@dataclass(frozen=True)
class Bar:
    """A row of a forest plot."""

    name: str
    median: float
    low: float
    high: float
    colour: str = INK
    pairs: int = FEW
    instead: str = ""  # why there is no figure, where there is none

    @property
    def told(self) -> bool:
        """Whether it rests on pairs enough to have an interval."""
        return self.pairs >= FEW


def hollow(rows: Sequence[Bar]) -> str:
    """What a caption says of rows that are no findings, where there are any."""
    return "" if all(row.told for row in rows) else "; hollow: one pair, which says nothing"


def bars(ratios: Sequence[results.Ratio], looks: Looks, prefix: Sequence[str] = ()) -> list[Bar]:
    """Ratios as rows, what is detectably lower or higher in colour."""
    made = []
    for index, one in enumerate(ratios):
        name = looks.pair(one)
        if prefix:
            name = f"{prefix[index]} · {name}" if prefix[index] else name
        made.append(Bar(cut(name, 48), one.median, one.low, one.high, _tone(one), one.pairs))
    return made


def _tone(one: results.Ratio) -> str:
    if one.contains_one or one.pairs < FEW:
        return SOFT
    fewer_is_better = one.metric != "per_second" and one.metric != "completions_per_wait"
    return svg.COLOUR["good" if (one.high < 1) == fewer_is_better else "bad"]


def forest(rows: Sequence[Bar], label: str, noise: dict[str, Any] | None = None, width: float = svg.WIDTH) -> Any:
    """Ratios with their 95 % intervals around 1, on a logarithmic axis; one of a single pair is
    hollow and has none."""
    rows = [row for row in rows if row.instead or min(row.low, row.median, row.high) > 0]
    known = [row for row in rows if not row.instead]
    if not known:
        return None
    made, axes = rows_figure(len(rows), width)
    axes.set_xscale("log")
    low, high = min(row.low for row in known), max(row.high for row in known)
    if noise:
        low, high = min(low, noise["low"]), max(high, noise["high"])
    low, high = min(low, 1), max(high, 1)
    air = (high / low) ** 0.07 if high > low else 1.02
    axes.set_xlim(low / air, high * air)
    for number, row in enumerate(rows):
        decimals = 3 if row.high - row.low < 0.5 else 2
        row_text(axes, number, row.name, row.instead or f"{row.median:.{decimals}f}" + ", one pair" * (not row.told))
    upright(axes, 1, 0.62, -len(rows) + 0.5, color=INK, linewidth=1)
    for number, row in enumerate(rows):
        y = middle(number)
        if noise:  # in each row below its name, which would be hard to read on it
            axes.fill_between([noise["low"], noise["high"]], y - 0.26, y + 0.24, color=SOFT, alpha=0.2, linewidth=0)
        if row.instead:
            continue
        if not row.told:
            svg.mark(axes.plot([row.median], [y], "s", color=SOFT, markersize=6, markerfacecolor="none"))
            continue
        svg.mark(axes.plot([row.low, row.high], [y, y], color=row.colour, linewidth=2.2, solid_capstyle="butt"))
        for end in (row.low, row.high):
            axes.plot([end, end], [y - 0.1, y + 0.1], color=row.colour, linewidth=1.4)
        svg.mark(axes.plot([row.median], [y], "s", color=row.colour, markersize=6))
    ratio_ticks(axes)
    axes.set_xlabel(label)
    return made


def ratio_ticks(axes: Any) -> None:
    """A handful of round ratios on a logarithmic axis, 1 among them."""
    low, high = axes.get_xlim()
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
        ticks = [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
        if 1 < len(ticks) <= 7:
            break
    else:
        ticks = [one for one in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100) if low <= one <= high]
    wide = math.log(high / low)
    kept: list[float] = []
    for tick in sorted(ticks, key=lambda one: abs(math.log(one))):
        if all(abs(math.log(tick / other)) > wide / 9 for other in kept):
            kept.append(tick)
    axes.set_xticks(sorted(kept), [f"{tick:.4g}" for tick in sorted(kept)])
    axes.minorticks_off()


def percentiles(cell: results.Cell, looks: Looks, width: float = svg.WIDTH) -> Any:
    """Latency over a logarithmic axis of percentiles; raw beside corrected in open loop."""
    curves = [
        (name, raw, points)
        for name in cell.names
        for raw in (False, True)
        if len(points := latency.curve(cell, name, raw)) > 1
    ]
    if not curves:
        return None
    made, axes = svg.figure(230, width)
    last = max(points[-1][0] for _, _, points in curves)
    tops = [value for _, _, points in curves for _, value in points if value > 0]
    axes.set_yscale("log")
    for name, raw, points in curves:
        look = looks.of(name)
        x = [place for place, value in points if value > 0]
        y = [value for _, value in points if value > 0]
        style = (
            {"linewidth": 1.0, "alpha": 0.75, "marker": look.marker, "markersize": 4.5, "markerfacecolor": "none"}
            if raw
            else {"linewidth": 1.8}
        )
        svg.mark(axes.plot(x, y, color=look.colour, linestyle=look.dash, clip_on=False, **style))
    ticks = [place for place in range(0, math.ceil(last) + 1) if place <= last + 0.01]
    names = ["0", "90", "99", "99.9", "99.99", "99.999", "99.9999"]
    ticks = ticks[: len(names) if width >= svg.WIDTH else 6]  # more would not fit beside each other
    axes.set_xticks([math.log10(2), *ticks[1:]], ["50", *names[1 : len(ticks)]])
    axes.set_xlim(0, max(last, 1) * 1.02)
    _latency_axis(axes, min(tops), max(tops))
    axes.set_xlabel("percentile, %")
    axes.set_ylabel("latency")
    return made


def _latency_axis(axes: Any, low: float, high: float) -> None:
    """Round times on a logarithmic y axis that holds low to high µs."""
    ladder = [factor * 10**power for power in range(-1, 8) for factor in (1, 2, 5)]
    if high / low > 200:
        ladder = [10.0**power for power in range(-1, 8)]
    axes.set_ylim(low / 1.15, high * 1.15)
    ticks = [one for one in ladder if low / 1.15 <= one <= high * 1.15]
    axes.set_yticks(ticks, [numbers.duration_us(one) for one in ticks])
    axes.minorticks_off()


def drift(cell: results.Cell, looks: Looks, metric: str = "cpu_ns_per_request", width: float = svg.WIDTH) -> Any:
    """Each round over its variant's median: a machine that changes moves all lines."""
    found = [(name, results.by_round(cell, name, metric)) for name in cell.names]
    series = [(name, rounds) for name, rounds in found if len(rounds) > 2]
    if not series:
        return None
    made, axes = svg.figure(180, width)
    axes.axhline(0, color=INK, linewidth=0.8)
    for name, rounds in series:
        look = looks.of(name)
        middle = statistics.median(rounds.values()) or 1.0
        svg.mark(
            axes.plot(
                [number + 1 for number in rounds],
                [(one / middle - 1) * 100 for one in rounds.values()],
                color=look.colour,
                linestyle=look.dash,
                marker=look.marker,
                linewidth=1.2,
                markersize=3.5,
                clip_on=False,
            )
        )
    seen = [number + 1 for _, rounds in series for number in rounds]
    axes.set_xlim(min(seen) - 0.3, max(seen) + 0.3)
    axes.set_xticks(range(min(seen), max(seen) + 1, max(1, math.ceil(max(seen) / 10))))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0")
    axes.set_xlabel("round")
    axes.set_ylabel("against own median, %")
    return made
