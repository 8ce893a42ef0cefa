"""Which colour, dash and name a variant has: the same in every plot of a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Sequence

from .. import results
from . import svg
from .html import Markup, tag
from .style import SERIES

KEY_WIDTH = 2  # px of a line in a legend
LONGEST = 46  # letters of a name in a plot


@dataclass(frozen=True)
class Look:
    """The place of a variant in the order of a page's variants."""

    index: int
    name: str

    @property
    def colour(self) -> str:
        """Its stand-in colour."""
        return svg.series(self.index)

    @property
    def dash(self) -> object:
        """Its line style."""
        return svg.dash(self.index)

    @property
    def marker(self) -> str:
        """The shape of its dots."""
        return svg.MARKERS[self.index % len(svg.MARKERS)]


class Looks:
    """Hands out looks by first appearance."""

    def __init__(self, run: results.Run) -> None:
        self._labels: dict[str, str] = {}
        self._places: dict[str, int] = {}
        # The A/A run comes first in time and last here: its second name is of no use elsewhere.
        for cell in sorted(run.cells, key=lambda cell: cell.factors.get("purpose") == "A/A"):
            for variant in cell.variants:
                self._labels.setdefault(variant["name"], variant.get("label") or variant["name"])
                self._places.setdefault(variant["name"], len(self._places))

    def label(self, name: str) -> str:
        """What people call a variant."""
        return self._labels.get(name, name)

    def short(self, name: str) -> str:
        """The same, cut to what fits in a plot."""
        return cut(self.label(name))

    def of(self, name: str) -> Look:
        """Its look; a name that no cell has gets the next one."""
        return Look(self._places.setdefault(name, len(self._places)), self.short(name))

    def pair(self, ratio: results.Ratio) -> str:
        """A ratio's two sides."""
        one, other = self.label(ratio.numerator), self.label(ratio.denominator)
        before, comma, after = other.partition(", ")
        return f"{one} ÷ {after if comma and one.startswith(before + comma) else other}"


def cut(name: str, longest: int = LONGEST) -> str:
    """A name with its end left out where it is too long."""
    return name if len(name) <= longest else name[: longest - 1].rstrip() + "…"


def legend(entries: Iterable[tuple[str, int, bool]]) -> Markup:
    """A legend in HTML, which wraps where a drawn one would not: name, place, whether a line."""
    made = []
    for name, index, line in entries:
        key = tag("i", style=f"background: {_stroke(index, line)}", aria_hidden="true")
        made.append(tag("li", key, tag("span", name)))
    return tag("ul", *made, class_="legend")


def _stroke(index: int, line: bool) -> str:
    """The colour of a place, in the dashes that its line has in a plot."""
    colour, at, stops = f"var(--s{index % SERIES})", 0.0, []
    for number, length in enumerate(svg.pattern(index) if line else ()):
        start, at = at, at + length * KEY_WIDTH
        stops.append(f"{'transparent' if number % 2 else colour} {start:.1f}px {at:.1f}px")
    return f"repeating-linear-gradient(to right, {', '.join(stops)})" if stops else colour


def legend_of(looks: Looks, names: Sequence[str]) -> Markup:
    """A legend of variants drawn as lines."""
    return legend((looks.label(name), looks.of(name).index, True) for name in names)
