"""What a sweep measured: every engine under every setting of its factors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterator, Sequence

from .. import knee, results
from ..subjects import ENGINES
from . import numbers, tables
from .kind_compare import measured
from .looks import Key, Looks, cut
from .render import Table, transposed

FACTORS = ("depth", "connections", "cores")  # the order in which they make an x axis


@dataclass(frozen=True)
class Point:
    """What one engine did in one cell."""

    engine: str
    factors: dict[str, Any]
    cell: results.Cell
    variant: str

    def median(self, metric: str) -> float | None:
        """The median of a metric."""
        return self.cell.median(self.variant, metric)

    def rounds(self, metric: str) -> list[float]:
        """A metric in each round, cost in µs."""
        by = 1000 if metric == results.COST else 1
        return [one / by for one in results.by_round(self.cell, self.variant, metric).values()]


def points(run: results.Run) -> list[Point]:
    """Every engine in every cell; a variant's name may have a factor too (depth=64)."""
    found = []
    for cell in measured(run):
        for variant in cell.variants:
            factors = {key: one for key, one in cell.factors.items() if key != "workload"}
            for key, one in re.findall(r"\b([a-z-]+)=(\S+)", variant["name"]):
                factors[key] = int(one) if one.isdecimal() else one
            found.append(Point(variant["subject"], factors, cell, variant["name"]))
    return found


Groups = Iterator[tuple[str, list[Point]]]


def by_workload(found: Sequence[Point]) -> Groups:
    """The points of each workload."""
    for name in dict.fromkeys(str(point.cell.workload["name"]) for point in found):
        yield name, [point for point in found if str(point.cell.workload["name"]) == name]


def grouped(found: Sequence[Point], factors: Sequence[str]) -> Groups:
    """The points that share their settings of these factors."""

    def key(point: Point) -> str:
        return ", ".join(_setting(name, point.factors[name]) for name in factors if name in point.factors)

    for name in dict.fromkeys(map(key, found)):
        yield name, [point for point in found if key(point) == name]


def _setting(name: str, value: Any) -> str:
    if name in ("cores", "connections"):
        return f"{numbers.number(value) if isinstance(value, int) else value} {name[:-1] if value == 1 else name}"
    return f"{name} {value}"


def settings(found: Sequence[Point], factor: str) -> list[Any]:
    """A factor's settings in order."""
    there = {point.factors[factor] for point in found if factor in point.factors}
    return sorted(there, key=lambda one: (isinstance(one, str), one))


def varied(found: Sequence[Point]) -> list[str]:
    """The factors with more than one setting, depth first."""
    many = [name for name in dict.fromkeys(key for p in found for key in p.factors) if len(settings(found, name)) > 1]
    return sorted(many, key=lambda name: FACTORS.index(name) if name in FACTORS else len(FACTORS))


def engines(found: Sequence[Point]) -> list[str]:
    """The engines in their order."""
    return list(dict.fromkeys(point.engine for point in found))


def engine_label(engine: str, found: Sequence[Point], looks: Looks) -> str:
    """The display name of an engine."""
    mine = next((point.variant for point in found if point.engine == engine), engine)
    return ENGINES.get(engine) or looks.label(mine)


def without(found: Sequence[Point], factor: str) -> list[str]:
    """The engines that a factor does not concern."""
    with_it = {point.engine for point in found if factor in point.factors}
    return [engine for engine in engines(found) if engine not in with_it]


def keys(found: Sequence[Point], mine: Sequence[Point], factor: str, looks: Looks) -> list[Key]:
    """The legend of lines over a factor."""
    flat, order = without(mine, factor), engines(found)
    remark = f" (no {factor}, measured once)"
    return [(engine_label(e, found, looks) + remark * (e in flat), order.index(e)) for e in engines(mine)]


@dataclass(frozen=True)
class Knee:
    """A depth beyond which no gain was seen, and whether there are pairs enough to be sure."""

    depth: int
    sure: bool


def knee_of(run: results.Run, mine: Sequence[Point], factor: str) -> Knee | None:
    """What the run found in the cell of these points; None too where the deepest still gains."""
    found = [one for one in run.extra.get("knees") or [] if one["cell"] == mine[0].cell.id and factor == "depth"]
    entry = found[0] if found else None
    if not entry or entry["depth"] is None or not entry["change"] or entry["other"] < entry["depth"]:
        return None
    slack = results.noise_reach(results.COST, run.noise) * 100
    return Knee(entry["depth"], not knee.untold(entry["change"]["low"], entry["change"]["high"], slack))


def about_flat(found: Sequence[Point], mine: Sequence[Point], factor: str, looks: Looks) -> str:
    """What a caption says of the engines that a factor does not concern."""
    names = [engine_label(engine, found, looks) for engine in without(mine, factor)]
    if not names:
        return ""
    return (
        f" {factor.capitalize()} does not apply to {' and '.join(names)}: measured once in each round, the line "
        "is the median and the band the range of its rounds."
    )


def about_knee(run: results.Run, mine: Sequence[Point], factor: str) -> str:
    """What a caption says of the knee that is drawn, if there is one."""
    found = knee_of(run, mine, factor)
    if found is None:
        return ""
    if found.sure:
        return f" Vertical line: the knee, the smallest {factor} known to cost about as little as the cheapest."
    return (
        f" Dashed, with a question mark: no gain was seen beyond {factor} {found.depth}, but the pairs are too few "
        "to exclude one."
    )


Heat = dict[tuple[Any, Any], float]


def costs(mine: Sequence[Point], x: str, y: str, engine: str) -> Heat:
    """An engine's cost in µs over two factors; nothing where one of them does not concern it."""
    if engine in (*without(mine, x), *without(mine, y)):
        return {}
    known = [(p, cost) for p in mine if p.engine == engine and (cost := p.median(results.COST)) is not None]
    return {(p.factors[x], p.factors[y]): cost / 1000 for p, cost in known}


def paired(mine: Sequence[Point], x: str, y: str, one: str, other: str) -> Heat:
    """Cost of one engine over another's in the same cell, which may have no setting of x."""
    found = {}
    for point in mine:
        here = point.factors.get(x)
        twins = [p for p in mine if p.engine == other and p.cell is point.cell and p.factors.get(x, here) == here]
        if point.engine == one and twins:
            ratio = results.ratio(point.cell, point.variant, twins[0].variant)
            if ratio is not None:
                found[(here, point.factors.get(y))] = ratio.median
    return found


def table(found: Sequence[Point], factors: Sequence[str], looks: Looks) -> Table:
    """Every cell."""
    unit, by = numbers.latency_unit([point.median("latency_us.p50") for point in found])
    tails = [None if (tail := point.median("latency_us.p99")) is None else tail / by for point in found]
    prices = [None if (cost := point.median(results.COST)) is None else cost / 1000 for point in found]
    heads = [f.capitalize() for f in factors]
    columns = {
        "Engine": [cut(engine_label(point.engine, found, looks)) for point in found],
        **{head: [_held(point.factors.get(f)) for point in found] for head, f in zip(heads, factors)},
        "CPU per request|µs": numbers.column(prices),
        "Requests|per s": [numbers.number(point.median("per_second")) for point in found],
        f"p99|{unit}": [numbers.number(tail, 0 if by == 1 else 1) for tail in tails],
        "Completions|per wait": [numbers.number(p.median("completions_per_wait"), 1) for p in found],
        "System calls|per request": numbers.column([p.median("syscalls_per_request") for p in found], 2),
        "Valid|rounds": [len(point.cell.valid(point.variant)) for point in found],
    }
    return transposed("Every cell, medians over its rounds", columns)


def _held(value: Any) -> Any:
    return numbers.number(value) if isinstance(value, int) else value


def ratios(cells: Sequence[results.Cell], looks: Looks) -> Table:
    """The ratios of all cells."""
    rows = [tables.ratio_row(one, looks, f"{cell.id}: {looks.pair(one)}") for cell in cells for one in cell.ratios]
    return Table(tables.PAIRED, tables.RATIO_HEADS, rows)


def knee_texts(run: results.Run) -> list[str]:
    """The knees in words, unless they are among the conclusions."""
    said = {line.lower() for line in run.conclusions}
    return [one["text"] for one in run.extra.get("knees") or [] if one["text"].lower() not in said]
