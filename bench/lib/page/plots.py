"""Plots that several kinds of run share: samples, ratios, latency, drift.

A plot draws on the axes that it is given, or nothing where it has nothing to show.
"""

import math
import statistics
from typing import Any, Mapping, NamedTuple, Sequence

from .. import results, words
from . import numbers, svg
from .looks import Looks, cut
from .svg import INK, MARK, SOFT

BELOW = "ratio (below 1: the first costs less)"
FEW = 2  # pairs from which on a ratio has an interval
CHARACTER = 6  # units of width, about
ROW = 38  # units of height of a row with its name above
NAME = 0.36  # where in its row a name stands, as a share of the row
RIGHT = 0.6  # of the width: points of batches() beyond have their names on their left
POINTS_PER_DECADE = 24  # of a latency curve
SHARES = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}
PERCENTILES = ("0", "90", "99", "99.9", "99.99", "99.999", "99.9999")  # at 0, 1, 2, … of the axis
LADDER = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # ticks of completions per wait
RATIOS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)  # ticks of an axis that is long


def set_rows(axes: Any, count: int) -> None:
    """Rows at y = 0, −1, …, which carry their names above what is drawn in them."""
    svg.set_height(axes, count * ROW + 45)  # the axis and its name below them
    axes.set_ylim(-count + 0.5, 0.62)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)


def row_text(axes: Any, row: int, left: str, right: str) -> None:
    """A row's name at its left and its figures at its right, on a background that hides what
    passes behind them."""
    room = axes.figure.get_figwidth() * 72 - CHARACTER * (len(right) + 2)
    box = {"facecolor": svg.COLOUR["bg"], "edgecolor": "none", "pad": 1}
    place = {"transform": axes.get_yaxis_transform(), "va": "center", "bbox": box}
    axes.text(0, -row + NAME, cut(left, max(int(room / CHARACTER), 8)), ha="left", **place)
    axes.text(1, -row + NAME, right, ha="right", color=SOFT, **place)


def middle(row: int) -> float:
    """The height of what is drawn in a row."""
    return -row - 0.14


def fit(axes: Any, values: Sequence[float]) -> None:
    """Limits of the x axis that hold the values with some air."""
    low, high = min(values), max(values)
    air = (high - low) * 0.06 or abs(high) * 0.02 or 1.0
    axes.set_xlim(low - air, high + air)


def ticks(axis: Any, places: Sequence[float], names: Sequence[str]) -> None:
    """These ticks and no others."""
    axis.set_ticks(places, names)
    axis.set_ticks([], minor=True)


def rounds(axes: Any, found: Mapping[int, list[float]], index: int, apart: float, size: float, line: bool) -> None:
    """The rounds of a series at each x, a little apart from those of others, with a line through
    their medians."""
    for x, values in found.items():
        axes.plot([x + apart] * len(values), values, **svg.dots(index, size, 0.45))
    if line:
        axes.plot(list(found), [statistics.median(values) for values in found.values()], **svg.line(index))


def rounds_of(cell: results.Cell, name: str, metric: str) -> list[float]:
    """A variant's metric in each round, cost in µs."""
    by = 1000 if metric == words.COST else 1
    return [one / by for one in results.by_round(cell, name, metric).values()]


def strip(axes: Any, cell: results.Cell, looks: Looks, metric: str) -> None:
    """A metric's samples as dots, first round on top; the median a bar."""
    values = {name: some for name in cell.names if (some := rounds_of(cell, name, metric))}
    if not values:
        return
    set_rows(axes, len(values))
    shown: list[float] = []
    by = 1000 if metric == words.COST else 1
    for row, (name, mine) in enumerate(values.items()):
        median = statistics.median(mine)
        heights = [-row + 0.08 - 0.46 * i / max(len(mine) - 1, 1) for i in range(len(mine))]
        axes.plot(mine, heights, **svg.dots(looks.index(name), 4.5, 0.75), gid=MARK, clip_on=False)
        axes.plot([median, median], [-row + 0.14, -row - 0.44], color=INK, gid=MARK)
        bad = [found / by for s in cell.invalid if s.variant == name and (found := results.value(s, metric))]
        axes.plot(bad, [middle(row)] * len(bad), "x", color=svg.COLOUR["bad"], markersize=6)
        shown += mine + bad
        row_text(axes, row, looks.label(name), numbers.column([median])[0])
    fit(axes, shown)
    unit = ", bytes" if metric.endswith("_bytes") else ""
    axes.set_xlabel("server CPU per request, µs" if metric == words.COST else words.metric_title(metric) + unit)


class Bar(NamedTuple):
    """A row of a forest plot."""

    name: str
    median: float
    low: float
    high: float
    colour: str = INK
    pairs: int = FEW
    instead: str = ""  # why there is no figure, if there is none


def figure_bar(name: str, figure: Mapping[str, float], colour: str) -> Bar:
    """A ratio of a run's extra as a row."""
    pairs = int(figure.get("pairs", FEW))
    return Bar(name, figure["median"], figure["low"], figure["high"], colour, pairs)


def hollow(rows: Sequence[Bar]) -> str:
    """What a caption says of rows that are no findings, if there are any."""
    return "; hollow: one pair, which says nothing" if any(row.pairs < FEW for row in rows) else ""


def bar(one: results.Ratio, name: str) -> Bar:
    """A ratio as a row, coloured where it is detectably better or worse."""
    less_is_better = one.metric not in ("per_second", "completions_per_wait", words.CEILING_SHARE)
    better = "less" if less_is_better else "more"
    kind = one.judge(None).kind
    colour = SOFT if kind in ("none", "unmeasured") else svg.COLOUR["good" if kind == better else "bad"]
    return Bar(name, one.median, one.low, one.high, colour, one.pairs)


def bars(ratios: Sequence[results.Ratio], looks: Looks, metrics: bool = False) -> list[Bar]:
    """Ratios as rows with the names of both sides, or of their metrics."""
    return [bar(one, words.metric_title(one.metric) if metrics else looks.pair(one)) for one in ratios]


def forest(axes: Any, rows: Sequence[Bar], label: str, noise: Mapping[str, Any] | None = None) -> None:
    """Ratios with their 95 % intervals around 1, on a logarithmic axis; one of a single pair is
    hollow and has none."""
    rows = [row for row in rows if row.instead or min(row.low, row.median, row.high) > 0]
    known = [row for row in rows if not row.instead]
    if not known:
        return
    set_rows(axes, len(rows))
    axes.set_xscale("log")
    bands = [(row.low, row.high) for row in known] + ([(noise["low"], noise["high"])] if noise else [])
    ends = [1.0, *(end for band in bands for end in band)]
    air = (max(ends) / min(ends)) ** 0.07 if max(ends) > min(ends) else 1.02
    axes.set_xlim(min(ends) / air, max(ends) * air)
    axes.axvline(1, color=INK, linewidth=1)
    for number, row in enumerate(rows):
        y, few = middle(number), row.pairs < FEW
        median = f"{row.median:.{3 if row.high - row.low < 0.5 else 2}f}"
        row_text(axes, number, row.name, row.instead or median + ", one pair" * few)
        if noise:  # in each row below its name, which would be hard to read on it
            axes.fill_between([noise["low"], noise["high"]], y - 0.26, y + 0.24, color=SOFT, alpha=0.2, linewidth=0)
        if row.instead:
            continue
        if not few:
            axes.plot([row.low, row.high], [y, y], color=row.colour, linewidth=2.2, solid_capstyle="butt", gid=MARK)
            for end in (row.low, row.high):
                axes.plot([end, end], [y - 0.1, y + 0.1], color=row.colour, linewidth=1.4)
        face = "none" if few else row.colour
        axes.plot([row.median], [y], "s", color=row.colour, markersize=6, markerfacecolor=face, gid=MARK)
    _ratio_ticks(axes)
    axes.set_xlabel(label)


def _ratio_ticks(axes: Any) -> None:
    """A few round ratios on a logarithmic axis, 1 among them."""
    from matplotlib.ticker import MaxNLocator

    low, high = axes.get_xlim()
    places = MaxNLocator(8, steps=[1, 2, 5, 10]).tick_values(low, high) if high / low < 4 else RATIOS
    places = [place for place in places if low <= place <= high]
    ticks(axes.xaxis, places, [f"{place:.4g}" for place in places])


def place(share: float) -> float:
    """Where a share of all requests lies on the axis: 0.9 at 1, 0.99 at 2."""
    return -math.log10(1 - share)


def curve(samples: Sequence[results.Sample], raw: bool = False) -> list[tuple[float, float]]:
    """Places and µs, medians over the rounds of what each round had at that place, up to the last
    that the round with the fewest requests can tell. Without histograms, and for the raw latency of
    an open loop, only the known percentiles."""
    import numpy

    histograms = [rising for sample in samples if (rising := sorted(b for b in sample.histogram if b[1] > 0))]
    if raw or not histograms:
        maps = [found for sample in samples if (found := sample.latency_raw_us if raw else sample.latency_us)]
        names = [name for name in SHARES if maps and all(name in one for one in maps)]
        return [(place(SHARES[name]), statistics.median(one[name] for one in maps)) for name in names]
    fewest = min(sum(count for _, count in one) for one in histograms)
    last = place((fewest - 0.5) / fewest)  # the last request stands for the upper half of its share
    known = [at for share in SHARES.values() if (at := place(share)) < last]
    at = numpy.unique([*numpy.arange(0, last, 1 / POINTS_PER_DECADE), *known, last])
    rounds = []
    for histogram in histograms:
        upper, count = numpy.array(histogram, dtype=float).T
        rank = (1 - 10**-at) * count.sum()
        rounds.append(upper[numpy.searchsorted(count.cumsum(), rank * (1 - 1e-12))] / 1000)
    return list(zip(at.tolist(), numpy.median(rounds, axis=0).tolist()))


def percentiles(axes: Any, cell: results.Cell, looks: Looks) -> None:
    """Latency over a logarithmic axis of percentiles; raw beside corrected in open loop."""
    ends: list[float] = []
    tops: list[float] = []
    for name in cell.names:
        for raw in (False, True):
            points = [point for point in curve(cell.valid(name), raw) if point[1] > 0]
            if len(points) < 2:
                continue
            x, y = zip(*points)
            look = svg.line(looks.index(name)) | {"linewidth": 1.8, "clip_on": False}
            if raw:
                thin = {"linestyle": look["linestyle"], "linewidth": 1, "markerfacecolor": "none", "markeredgewidth": 1}
                look |= svg.dots(looks.index(name), 4.5, 0.75) | thin
            axes.plot(x, y, **look)
            ends.append(x[-1])
            tops += y
    if not tops:
        return
    svg.set_height(axes, 230)
    axes.set_yscale("log")
    names = PERCENTILES if axes.figure.get_figwidth() * 72 >= svg.WIDTH else PERCENTILES[:6]  # no more fit on a phone
    places = [at for at in range(1, len(names)) if at <= max(ends) + 0.01]
    axes.set_xlim(0, max(*ends, 1) * 1.02)
    ticks(axes.xaxis, [place(0.5), *places], ["50", *(names[at] for at in places)])
    low, high = min(tops) / 1.15, max(tops) * 1.15
    steps = (1, 2, 5) if high / low < 260 else (1,)
    ladder = [step * 10.0**power for power in range(-1, 8) for step in steps]
    ladder = [one for one in ladder if low <= one <= high]
    axes.set_ylim(low, high)
    ticks(axes.yaxis, ladder, [numbers.duration_us(one) for one in ladder])
    axes.set_xlabel("percentile, %")
    axes.set_ylabel("latency")


def drift(axes: Any, cell: results.Cell, looks: Looks, metric: str) -> None:
    """Each round over its variant's median: a machine that changes moves all lines."""
    seen: list[int] = []
    axes.axhline(0, color=INK, linewidth=0.8)
    for name in cell.names:
        rounds = results.by_round(cell, name, metric)
        if len(rounds) < 3:
            continue
        usual = statistics.median(rounds.values()) or 1.0
        changes = [(one / usual - 1) * 100 for one in rounds.values()]
        look = svg.dots(looks.index(name), 3.5) | svg.line(looks.index(name)) | {"linewidth": 1.2, "clip_on": False}
        axes.plot([number + 1 for number in rounds], changes, **look)
        seen += [number + 1 for number in rounds]
    if not seen:
        return
    svg.set_height(axes, 180)
    axes.set_xlim(min(seen) - 0.3, max(seen) + 0.3)
    axes.set_xticks(range(min(seen), max(seen) + 1, max(1, math.ceil(max(seen) / 10))))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0")
    axes.set_xlabel("round")
    axes.set_ylabel("change from own median, %")


def batches(axes: Any, lead: Sequence[tuple[results.Cell, results.Ratio]], looks: Looks) -> None:
    """The leading ratios over completions per wait of their first variant."""
    found = {cell.id: (cell.median(one.numerator, "completions_per_wait"), one) for cell, one in lead}
    points = {name: (waits, one) for name, (waits, one) in found.items() if waits}
    if len(points) < 3:
        return
    svg.set_height(axes, 190 + 12 * len(points))  # data and axis, and a row for each name
    axes.set_xscale("log")
    low, high = min(waits for waits, _ in points.values()) / 1.3, max(waits for waits, _ in points.values()) * 1.3
    axes.set_xlim(low, high)
    bottom = min(1.0, *(one.low for _, one in points.values()))
    top = max(1.0, *(one.high for _, one in points.values()))
    air = (top - bottom) * 0.06
    bottom, top = bottom - air, top + air
    row = (top - bottom) * 12 / (190 - 45)
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
