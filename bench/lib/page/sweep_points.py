"""What a sweep measured: every engine under every setting of its factors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterator, Sequence

from .. import results
from ..subjects import ENGINES
from .kind_compare import measured
from .look import Looks

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


def groups(found: Sequence[Point]) -> Iterator[tuple[str, list[Point]]]:
    """The points of each workload, where a run has several."""
    names = dict.fromkeys(str(point.cell.workload.get("name") or "") for point in found)
    for name in names:
        yield name, [p for p in found if str(p.cell.workload.get("name") or "") == name]
