"""The names of a page's variants, and the place that gives each its colour and dash."""

from typing import Sequence

from .. import results


class Looks:
    """Numbers the variants of a run by first appearance."""

    def __init__(self, run: results.Run) -> None:
        self.labels: dict[str, str] = {}
        # The A/A run comes first in time and last here: its second name is used nowhere else.
        for cell in sorted(run.cells, key=lambda cell: cell.factors.get("purpose") == "A/A"):
            for variant in cell.variants:
                self.labels.setdefault(variant["name"], variant.get("label") or variant["name"])

    def label(self, name: str) -> str:
        """The display name of a variant."""
        return self.labels.get(name, name)

    def index(self, name: str) -> int:
        """The place of a variant."""
        return [*self.labels].index(name)

    def summary(self, names: Sequence[str]) -> str:
        """A few names, or how many there are."""
        return f"{len(names)} variants" if len(names) > 3 else ", ".join(map(self.label, names))

    def pair(self, ratio: results.Ratio) -> str:
        """The two sides of a ratio."""
        one, other = self.label(ratio.numerator), self.label(ratio.denominator)
        before, comma, after = other.partition(", ")
        return f"{one} ÷ {after if comma and one.startswith(before + comma) else other}"

    def keys(self, cell: results.Cell) -> list[tuple[str, int]]:
        """The legend of the variants that have a valid sample: names with their places."""
        return [(self.label(name), self.index(name)) for name in cell.names if cell.valid(name)]


def cut(name: str, longest: int) -> str:
    """A name without its end where it is too long."""
    return name if len(name) <= longest else name[: longest - 1].rstrip() + "…"
