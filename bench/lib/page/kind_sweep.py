"""What a sweep measured: every engine under every setting of its factors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterator, NamedTuple, Sequence

from .. import knee, results
from ..subjects import ENGINES
from ..verdict import noise_reach
from .kind_compare import measured
from .looks import Key

FACTORS = ("depth", "connections", "cores")  # the order in which they make an x axis
Heat = dict[tuple[Any, Any], float]


@dataclass(frozen=True)
class Point:
    """What one engine did in one cell, with its settings of the factors that concern it."""

    engine: str
    factors: dict[str, int]
    cell: results.Cell
    variant: str

    def cost(self) -> float | None:
        """Median µs per request."""
        found = self.cell.median(self.variant, results.COST)
        return None if found is None else found / 1000

    def rounds(self, metric: str) -> list[float]:
        """A metric in each round, cost in µs."""
        by = 1000 if metric == results.COST else 1
        return [one / by for one in results.by_round(self.cell, self.variant, metric).values()]


def points(run: results.Run) -> list[Point]:
    """Every engine in every cell; the depth is in a variant's name (depth=64)."""
    found = []
    for cell in measured(run):
        for variant in cell.variants:
            factors = {key: cell.factors[key] for key in FACTORS if key in cell.factors}
            factors |= {key: int(one) for key, one in re.findall(r"\b(depth)=(\d{1,9})\b", variant["name"])}
            engine = ENGINES.get(variant["subject"], variant["label"])
            found.append(Point(engine, factors, cell, variant["name"]))
    return found


def settings(found: Sequence[Point], factor: str) -> list[int]:
    """A factor's settings in order."""
    return sorted({point.factors[factor] for point in found if factor in point.factors})


def varied(found: Sequence[Point]) -> list[str]:
    """The factors with more than one setting."""
    return [factor for factor in FACTORS if len(settings(found, factor)) > 1]


def grouped(found: Sequence[Point], factors: Sequence[str]) -> Iterator[tuple[str, list[Point]]]:
    """The points that share their settings of these factors, with those in words."""

    def name(point: Point) -> str:
        held = [(factor, point.factors[factor]) for factor in factors if factor in point.factors]
        return ", ".join(f"{value:,} {factor[:-1] if value == 1 else factor}" for factor, value in held)

    for one in dict.fromkeys(map(name, found)):
        yield one, [point for point in found if name(point) == one]


def engines(found: Sequence[Point]) -> list[str]:
    """The engines in their order."""
    return list(dict.fromkeys(point.engine for point in found))


def without(found: Sequence[Point], factor: str) -> list[str]:
    """The engines that a factor does not concern."""
    with_it = {point.engine for point in found if factor in point.factors}
    return [engine for engine in engines(found) if engine not in with_it]


def keys(found: Sequence[Point], mine: Sequence[Point], factor: str) -> list[Key]:
    """The legend of lines over a factor."""
    flat, order = without(mine, factor), engines(found)
    remark = f" (no {factor}, measured once)"
    return [(engine + remark * (engine in flat), order.index(engine)) for engine in engines(mine)]


class Knee(NamedTuple):
    """A depth beyond which no gain was seen, and whether there are pairs enough to be sure."""

    depth: int
    sure: bool


def knee_of(run: results.Run, mine: Sequence[Point], factor: str) -> Knee | None:
    """What the run found in the cell of these points; None too where the deepest still gains."""
    found = [one for one in run.extra.get("knees") or [] if one["cell"] == mine[0].cell.id and factor == "depth"]
    entry = found[0] if found else None
    if not entry or entry["depth"] is None or not entry["change"] or entry["other"] < entry["depth"]:
        return None
    slack = noise_reach(results.COST, run.noise) * 100
    return Knee(entry["depth"], not knee.untold(entry["change"]["low"], entry["change"]["high"], slack))


def costs(mine: Sequence[Point], x: str, y: str, engine: str) -> Heat:
    """An engine's cost in µs over two factors that concern it."""
    known = [p for p in mine if p.engine == engine and x in p.factors and y in p.factors]
    return {(p.factors[x], p.factors[y]): cost for p in known if (cost := p.cost()) is not None}


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
    return [one["text"] for one in run.extra.get("knees") or [] if one["text"].lower() not in said]
