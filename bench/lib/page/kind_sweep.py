"""What a sweep measured: every engine under every setting of its factors."""

import re
import statistics
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from .. import knee, results
from ..subjects import ENGINES
from ..verdict import noise_reach
from ..words import COST
from . import numbers, plots, svg
from .kind_compare import measured

FACTORS = ("depth", "connections", "cores")  # the order in which they make an x axis
TITLES = {"depth": "ring depth"}
Heat = dict[tuple[Any, Any], float]


class Point(NamedTuple):
    """What one engine did in one cell, with its settings of the factors that concern it."""

    engine: str
    place: int  # of the engine among all
    factors: dict[str, int]
    cell: results.Cell
    variant: str

    def rounds(self, metric: str) -> list[float]:
        """A metric in each round, cost in µs."""
        return plots.rounds_of(self.cell, self.variant, metric)


def points(run: results.Run) -> list[Point]:
    """Every engine in every cell; the depth is in a variant's name (depth=64)."""
    found, places = [], {}
    for cell in measured(run):
        for variant in cell.variants:
            factors = {key: cell.factors[key] for key in FACTORS if key in cell.factors}
            factors |= {key: int(one) for key, one in re.findall(r"\b(depth)=(\d{1,9})\b", variant["name"])}
            engine = ENGINES.get(variant["subject"], variant["label"])
            found.append(Point(engine, places.setdefault(engine, len(places)), factors, cell, variant["name"]))
    return found


def settings(found: Sequence[Point], factor: str) -> list[int]:
    """A factor's settings in order."""
    return sorted({point.factors[factor] for point in found if factor in point.factors})


def varied(found: Sequence[Point]) -> list[str]:
    """The factors with more than one setting."""
    return [factor for factor in FACTORS if len(settings(found, factor)) > 1]


def grouped(found: Sequence[Point], factors: Sequence[str]) -> Iterable[tuple[str, list[Point]]]:
    """The points that share their settings of these factors, with those in words."""
    groups: dict[str, list[Point]] = {}
    for point in found:
        held = [(factor, point.factors[factor]) for factor in factors if factor in point.factors]
        name = ", ".join(f"{value:,} {factor[:-1] if value == 1 else factor}" for factor, value in held)
        groups.setdefault(name, []).append(point)
    return groups.items()


def engines(found: Sequence[Point]) -> dict[str, int]:
    """The engines in their order, each with its place."""
    return {point.engine: point.place for point in found}


def without(found: Sequence[Point], factor: str) -> list[str]:
    """The engines that a factor does not concern."""
    return [engine for engine in engines(found) if not any(p.engine == engine and factor in p.factors for p in found)]


def keys(mine: Sequence[Point], factor: str) -> list[tuple[str, int]]:
    """The legend of lines over a factor."""
    flat, remark = without(mine, factor), f" (no {factor}, measured once)"
    return [(engine + remark * (engine in flat), place) for engine, place in engines(mine).items()]


def knee_of(run: results.Run, mine: Sequence[Point], factor: str) -> Mapping[str, Any] | None:
    """What the run found in the cell of these points, and whether there are pairs enough to be sure
    that there is no gain beyond; None too where the deepest still gains."""
    found = [one for one in run.extra["knees"] if one["cell"] == mine[0].cell.id and factor == "depth"]
    if not found or found[0]["depth"] is None or not found[0]["change"] or found[0]["other"] < found[0]["depth"]:
        return None
    change = found[0]["change"]
    return {**found[0], "sure": not knee.untold(change["low"], change["high"], noise_reach(COST, run.noise) * 100)}


def costs(mine: Sequence[Point], x: str, y: str, engine: str) -> Heat:
    """An engine's cost in µs over two factors that concern it."""
    known = [p for p in mine if p.engine == engine and {x, y} <= p.factors.keys()]
    return {(p.factors[x], p.factors[y]): statistics.median(some) for p in known if (some := p.rounds(COST))}


def paired(mine: Sequence[Point], x: str, y: str, one: str, other: str) -> Heat:
    """Cost of one engine over another's in the same cell, which may have no setting of x."""
    found = {}
    for point in mine:
        here = point.factors.get(x)
        twins = [p for p in mine if p.engine == other and p.cell is point.cell and p.factors.get(x, here) == here]
        ratio = results.ratio(point.cell, point.variant, twins[0].variant) if twins and point.engine == one else None
        if ratio is not None and {x, y} <= point.factors.keys():
            found[(here, point.factors[y])] = ratio.median
    return found


def knee_texts(run: results.Run) -> list[str]:
    """The knees in words, unless they are among the conclusions."""
    said = {line.lower() for line in run.conclusions}
    return [one["text"] for one in run.extra["knees"] if one["text"].lower() not in said]


def curve(axes: Any, run: results.Run, mine: Sequence[Point], factor: str, metric: str) -> None:
    """One line for each engine over a factor's settings, evenly spaced; a band where the factor does
    not concern it."""
    steps = settings(mine, factor)
    shown = [one for point in mine for one in point.rounds(metric)]
    if not steps or not shown:
        return
    svg.set_height(axes, 210)
    flat = without(mine, factor)
    dotted = [engine for engine in engines(mine) if engine not in flat]
    for engine, index in engines(mine).items():
        rounds = {p.factors.get(factor): some for p in mine if p.engine == engine and (some := p.rounds(metric))}
        if constant := rounds.pop(None, None):
            ends, level = [-0.4, len(steps) - 0.6], statistics.median(constant)
            axes.fill_between(ends, min(constant), max(constant), color=svg.series(index), alpha=0.13, linewidth=0)
            axes.plot(ends, [level, level], **svg.line(index))
        if rounds:
            offset = (dotted.index(engine) - (len(dotted) - 1) / 2) * 0.12
            places = {steps.index(step): rounds[step] for step in sorted(rounds)}
            plots.rounds(axes, places, index, offset, 3, line=True)
    found = knee_of(run, mine, factor) if metric == COST else None
    if found and found["depth"] in steps:  # a line with its name on the side with more room
        at, colour = steps.index(found["depth"]), svg.series(engines(mine)[dotted[0]])
        axes.axvline(at, color=colour, linewidth=1.2, linestyle="-" if found["sure"] else (0, (4, 3)))
        look = {"va": "center", "fontsize": 9, "color": colour, **svg.beside(at >= len(steps) / 2, down=-8)}
        name = f"knee {found['depth']}{'' if found['sure'] else '?'}"
        axes.annotate(name, (at, 1), xycoords=("data", "axes fraction"), **look)
    axes.set_xticks(range(len(steps)), map(numbers.compact, steps))
    axes.set_xlim(-0.4, len(steps) - 0.6)
    air = (max(shown) - min(shown) or max(shown)) * 0.08
    axes.set_ylim(min(shown) - air, max(shown) + air * 4)
    axes.yaxis.set_major_formatter(numbers.compact)
    axes.set_xlabel(TITLES.get(factor, factor))
    axes.set_ylabel("µs per request" if metric == COST else "requests/s")


def heat(axes: Any, values: Heat, x: str, y: str, index: int | None) -> None:
    """Cells with their numbers; index is a line's colour, None for ratios around 1."""
    from matplotlib.patches import Rectangle

    if len(values) < 2:
        return
    xs, ys = (sorted(set(side)) for side in zip(*values))
    svg.set_height(axes, 44 + 34 * len(ys))
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
        axes.add_patch(Rectangle(*place, linewidth=0, facecolor=colour, alpha=round(alpha, 3), gid=svg.MARK))
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
