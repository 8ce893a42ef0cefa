"""The body of a sweep: cost over ring depth, cores and connections, with its knees."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

from .. import knee, results
from ..subjects import ENGINES
from . import numbers, plots, svg, tables
from .figures import Figures
from .figures import plots as side_by_side
from .html import Column, Markup, details, items, join, section, table, tag
from .kind_compare import alarm, anchor, measured
from .look import Looks, cut, legend

FACTORS = ("depth", "connections", "cores")  # the order in which they make an x axis


@dataclass(frozen=True)
class Point:
    """What one engine did in one cell."""

    engine: str
    factors: tuple[tuple[str, Any], ...]
    cell: results.Cell
    variant: str

    def get(self, factor: str) -> Any:
        """Its setting of a factor."""
        return dict(self.factors).get(factor)

    def cost(self) -> float | None:
        """Median µs per request."""
        found = self.cell.median(self.variant, "cpu_ns_per_request")
        return None if found is None else found / 1000

    def rounds(self) -> dict[int, float]:
        """Cost of each round."""
        return results.by_round(self.cell, self.variant, "cpu_ns_per_request")


def points(run: results.Run) -> list[Point]:
    """Every engine in every cell; factors may also be written in a variant's name (depth=64)."""
    found = []
    for cell in measured(run):
        for variant in cell.variants:
            factors = {key: one for key, one in cell.factors.items() if key != "workload"}
            for key, one in re.findall(r"\b([a-z-]+)=(\S+)", variant["name"]):
                factors[key] = int(one) if one.isdecimal() else one
            engine = variant.get("subject") or variant["name"]
            found.append(Point(engine, tuple(sorted(factors.items())), cell, variant["name"]))
    return found


def varied(found: Sequence[Point]) -> list[str]:
    """The factors with more than one setting, depth first."""
    names = dict.fromkeys(key for point in found for key, _ in point.factors)
    settings = {name: {point.get(name) for point in found} - {None} for name in names}
    many = [name for name in names if len(settings[name]) > 1]
    return sorted(many, key=lambda n: FACTORS.index(n) if n in FACTORS else len(FACTORS))


def settings(found: Sequence[Point], factor: str) -> list[Any]:
    """A factor's settings in order."""
    there = {point.get(factor) for point in found} - {None}
    return sorted(there, key=lambda one: (isinstance(one, str), one))


def engine_label(engine: str, found: Sequence[Point], looks: Looks) -> str:
    """An engine's name for people."""
    mine = next((point for point in found if point.engine == engine), None)
    return ENGINES.get(engine) or (looks.label(mine.variant) if mine else engine)


def words(run: results.Run) -> list[str]:
    """The knees in words, as the sweep wrote them."""
    kept = run.extra.get("knees") or []
    rows = kept.values() if isinstance(kept, Mapping) else kept
    lines = []
    for row in rows:
        text = row if isinstance(row, str) else (row.get("text") or row.get("sentence")
                                                 if isinstance(row, Mapping) else None)  # fmt: skip
        if text and str(text).lower() not in {one.lower() for one in run.conclusions}:
            lines.append(str(text))
    return lines


def groups(found: Sequence[Point]) -> Iterator[tuple[str, list[Point]]]:
    """The points of each workload, where a run has several."""
    names = dict.fromkeys(str(point.cell.workload.get("name") or "") for point in found)
    for name in names:
        yield name, [p for p in found if str(p.cell.workload.get("name") or "") == name]


def body(run: results.Run, looks: Looks, figures: Figures) -> Markup:
    """Knees, heat maps, lines, and the table of all cells."""
    parts = []
    everything = points(run)
    engines = list(dict.fromkeys(point.engine for point in everything))
    for name, found in groups(everything):
        factors = varied(found)
        title = f"Cost over {' and '.join(factors)}" if factors else "The one cell"
        parts.append(section(
            f"sweep-{anchor(name)}", f"{title}: {name}" if name else title,
            tag("p", _asked(found), class_="meta"),
            side_by_side(*_lines(found, factors, engines, looks, figures)),
            side_by_side(*_heat_maps(found, factors, engines, looks, figures)),
            _table(found, factors, looks),
        ))  # fmt: skip
    spoken = items(words(run))
    cells = measured(run)
    alarms = join(alarm(cell, looks) for cell in cells)
    ratios = [one for cell in cells for one in cell.ratios]
    return join([
        section("knees", "The knees in words", spoken) if spoken else "", *parts, alarms,
        section("ratios", "Ratios of every cell", details(
            f"{len(ratios)} ratios with their verdicts", _ratios(cells, looks))) if ratios else "",
    ])  # fmt: skip


def _asked(found: Sequence[Point]) -> str:
    workload = found[0].cell.workload
    title = workload.get("title") or workload.get("name") or ""
    loop = "open loop" if workload.get("rate") else "closed loop"
    return f"{title}; {loop}; {tables.measured(found[0].cell)}."


def _rest(point: Point, factors: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    return tuple((factor, point.get(factor)) for factor in factors)


def _named(rest: Sequence[tuple[str, Any]]) -> str:
    return ", ".join(_setting(key, one) for key, one in rest if one is not None)


def _setting(key: str, one: Any) -> str:
    if key in ("cores", "connections"):
        number = f"{one:,}" if isinstance(one, int) else str(one)
        return f"{number} {key[:-1] if one == 1 else key}"
    return f"{key} {one}"


def _lines(found: Sequence[Point], factors: Sequence[str], engines: Sequence[str], looks: Looks,
           figures: Figures) -> list[Markup]:  # fmt: skip
    """Cost over the first factor; a plot for each setting of the others."""
    if not factors:
        return []
    first, *others = factors
    made = []
    for rest in dict.fromkeys(_rest(point, others) for point in found):
        mine = [point for point in found if _rest(point, others) == rest]
        key = legend((engine_label(engine, found, looks), engines.index(engine), True)
                     for engine in dict.fromkeys(p.engine for p in mine))  # fmt: skip
        where = _named(rest)
        for field, what in (("cost", "CPU per request"), ("per_second", "Throughput")):
            made.append(figures.add(
                f"{what} over {first}" + (f", {where}" if where else ""),
                lambda m=mine, f=field: curve(m, first, engines, f), (
                    "Dots: single rounds; line: medians; dotted: the knee, the least "
                    f"{first} that cannot be told from the cheapest." if field == "cost"
                    else "Medians of requests per second."), key))  # fmt: skip
    return made


def knee_of(mine: Sequence[Point], factor: str, engine: str) -> Any:
    """The setting beyond which this engine gains nothing, among these points."""
    costs = {point.get(factor): point.rounds() for point in mine
             if point.engine == engine and isinstance(point.get(factor), int)}  # fmt: skip
    if len(costs) < 2:
        return None
    return knee.find(costs).depth


def curve(mine: Sequence[Point], factor: str, engines: Sequence[str], field: str) -> Any:
    """One line for each engine over a factor's settings, evenly spaced."""
    ticks = settings(mine, factor)
    if not ticks:
        return None
    made, axes = svg.figure(210)
    present = [engine for engine in engines if any(p.engine == engine for p in mine)]
    shown: list[float] = []
    for engine in present:
        index = engines.index(engine)
        by_setting = {p.get(factor): p for p in mine if p.engine == engine}
        constant = by_setting.get(None)  # an engine that this factor does not concern
        xs, ys = [], []
        for place, tick in enumerate(ticks):
            point = by_setting.get(tick) or constant
            if point is None:
                continue
            if field == "cost":
                rounds = [one / 1000 for one in point.rounds().values()]
                middle = point.cost()
            else:
                rounds = list(results.by_round(point.cell, point.variant, "per_second").values())
                middle = statistics.median(rounds) if rounds else None
            if middle is None:
                continue
            xs.append(place)
            ys.append(middle)
            offset = (present.index(engine) - (len(present) - 1) / 2) * 0.12
            axes.plot([place + offset] * len(rounds), rounds, svg.MARKERS[index % 8], alpha=0.4,
                      color=svg.series(index), markersize=3, markeredgewidth=0)  # fmt: skip
            shown += rounds
        svg.mark(axes.plot(xs, ys, color=svg.series(index), linestyle=svg.dash(index)))
        at = knee_of(mine, factor, engine) if field == "cost" and factor == "depth" else None
        if at in ticks:
            axes.axvline(ticks.index(at), color=svg.series(index), linestyle=":", linewidth=1.2)
            axes.annotate(f"knee {at}", (ticks.index(at), 1), xycoords=("data", "axes fraction"),
                          xytext=(4 if ticks.index(at) < len(ticks) / 2 else -4,
                                  -8 - 12 * present.index(engine)), textcoords="offset points",
                          ha="left" if ticks.index(at) < len(ticks) / 2 else "right", va="center",
                          fontsize=9, color=svg.series(index))  # fmt: skip
    if not shown:
        return None
    axes.set_xticks(range(len(ticks)), [numbers.compact(t) if isinstance(t, int) else str(t)
                                        for t in ticks])  # fmt: skip
    axes.set_xlim(-0.4, len(ticks) - 0.6)
    air = (max(shown) - min(shown) or max(shown)) * 0.08
    axes.set_ylim(min(shown) - air, max(shown) + air * 4)
    axes.yaxis.set_major_formatter(numbers.compact)
    axes.set_xlabel(factor if factor != "depth" else "ring depth")
    axes.set_ylabel("µs per request" if field == "cost" else "requests/s")
    return made


def _heat_maps(found: Sequence[Point], factors: Sequence[str], engines: Sequence[str], looks: Looks,
               figures: Figures) -> list[Markup]:  # fmt: skip
    """Cost over the first two factors: each engine, then the first engine over the second."""
    if len(factors) < 2:
        return []
    x, y, *others = factors
    made = []
    for rest in dict.fromkeys(_rest(point, others) for point in found):
        mine = [point for point in found if _rest(point, others) == rest]
        where = f", {_named(rest)}" if _named(rest) else ""
        maps = {engine: {(p.get(x), p.get(y)): cost for p in mine
                         if p.engine == engine and (cost := p.cost()) is not None}
                for engine in engines}  # fmt: skip
        for engine in engines:
            if len(maps[engine]) > 1 and all(None not in key for key in maps[engine]):
                made.append(figures.add(
                    f"{engine_label(engine, found, looks)}: µs per request{where}",
                    lambda e=engine: heat(maps[e], x, y, engines.index(e)),
                    "Median CPU per request; stronger is dearer, outlined the cheapest."))  # fmt: skip
        if len(engines) > 1:
            one, other = engines[:2]
            both = _paired(mine, x, y, one, other)
            if len(both) > 1:
                sides = [engine_label(engine, found, looks) for engine in (one, other)]
                made.append(figures.add(
                    f"{' ÷ '.join(sides)}{where}",
                    lambda b=both: heat(b, x, y, None),
                    "Median of the paired ratios of CPU per request; green: the first costs less, "
                    "red: more."))  # fmt: skip
    return made


def _paired(mine: Sequence[Point], x: str, y: str, one: str,
            other: str) -> dict[tuple[Any, Any], float]:  # fmt: skip
    """Cost of one engine over another's in the same cell, which may have no setting of x."""
    found = {}
    for point in mine:
        twins = [p for p in mine if p.engine == other and p.cell is point.cell
                 and p.get(x) in (point.get(x), None)]  # fmt: skip
        if point.engine == one and twins:
            ratio = results.ratio(point.cell, point.variant, twins[0].variant)
            if ratio is not None:
                found[(point.get(x), point.get(y))] = ratio.median
    return found


def heat(values: Mapping[tuple[Any, Any], float], x: str, y: str, index: int | None) -> Any:
    """Cells with their numbers; index is a line's colour, None for ratios around 1."""
    from matplotlib.patches import Rectangle

    xs = sorted({key[0] for key in values})
    ys = sorted({key[1] for key in values})
    made, axes = svg.figure(44 + 34 * len(ys))
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
        svg.mark(axes.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, linewidth=0,
                                          facecolor=colour, alpha=round(alpha, 3))))  # fmt: skip
        if index is not None and key == best:
            axes.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, fill=False,
                                     edgecolor=plots.INK, linewidth=1.6))  # fmt: skip
        axes.text(column, row, numbers.number(value, decimals), ha="center", va="center",
                  fontsize=10 if len(xs) < 8 else 9)  # fmt: skip
    axes.set_xlim(-0.5, len(xs) - 0.5)
    axes.set_ylim(-0.5, len(ys) - 0.5)
    axes.set_xticks(range(len(xs)), [numbers.compact(one) if isinstance(one, int) else str(one)
                                     for one in xs])  # fmt: skip
    axes.set_yticks(range(len(ys)), [numbers.compact(one) if isinstance(one, int) else str(one)
                                     for one in ys])  # fmt: skip
    axes.grid(False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("ring depth" if x == "depth" else x)
    axes.set_ylabel("ring depth" if y == "depth" else y)
    return made


def _table(found: Sequence[Point], factors: Sequence[str], looks: Looks) -> Markup:
    rows = []
    costs = numbers.column([point.cost() for point in found])
    rates = [point.cell.median(point.variant, "per_second") for point in found]
    unit, by = numbers.latency_unit([p.cell.median(p.variant, "latency_us.p50") for p in found])
    tails = [point.cell.median(point.variant, "latency_us.p99") for point in found]
    waits = [point.cell.median(point.variant, "completions_per_wait") for point in found]
    calls = numbers.column([p.cell.median(p.variant, "syscalls_per_request") for p in found], 2)
    for i, point in enumerate(found):
        held = [numbers.number(one) if isinstance(one := point.get(f), int) else one or "–"
                for f in factors]  # fmt: skip
        tail = None if tails[i] is None else tails[i] / by
        rows.append([cut(engine_label(point.engine, found, looks)), *held, costs[i],
                     numbers.number(rates[i]), numbers.number(tail, 0 if by == 1 else 1),
                     numbers.number(waits[i], 1), calls[i],
                     f"{len(point.cell.valid(point.variant))}"])  # fmt: skip
    columns = [Column("Engine"), *(Column(f.capitalize()) for f in factors),
               Column("CPU per request", "µs"), Column("Requests", "per s"), Column("p99", unit),
               Column("Completions", "per wait"), Column("System calls", "per request"),
               Column("Valid", "rounds")]  # fmt: skip
    return table("Every cell, medians over its rounds", columns, rows)


def _ratios(cells: Sequence[results.Cell], looks: Looks) -> Markup:
    rows = [tables.ratio_row(one, looks, f"{cell.id}: {looks.pair(one)}")
            for cell in cells for one in cell.ratios]  # fmt: skip
    return table("Ratios, paired by round, with bootstrap intervals", tables.RATIO_COLUMNS, rows)
