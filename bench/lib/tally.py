"""One subject against another over all workloads of a comparison."""

from __future__ import annotations

from typing import Sequence

from . import experiment, results
from .results import Cell, Ratio, Run
from .subjects import ENGINES, FLOORS

FEW_NAMES = 3  # that are listed before the others are only counted

Pair = tuple[Cell, Ratio]


def listed(names: Sequence[str]) -> str:
    """a, b and c; a, b, c and 4 more."""
    first, more = list(names[:FEW_NAMES]), len(names) - FEW_NAMES
    words = [*first, f"{more} more"] if more > 0 else first
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def sized(one: Ratio) -> str:
    """How far a ratio is from 1, with its interval."""
    span = experiment.span((one.low - 1) * 100, (one.high - 1) * 100)
    return f"{results.size(one.median)} ({span})"


class Tally:
    """One subject against another over the workloads of a comparison, minding the A/A run."""

    def __init__(
        self, run: Run, one: str, other: str, metric: str | None = None, cells: Sequence[Cell] | None = None
    ) -> None:
        cells = measured(run) if cells is None else cells
        pairs = [(cell, found) for cell in cells if (found := ratio(run, cell, one, other, metric or cost(cell)))]
        self.away = [
            cell.id
            for cell in cells
            if both(cell, one, other, metric or cost(cell)) and cell not in [counted for counted, _ in pairs]
        ]
        self.all: list[Pair] = pairs
        self.within = [
            pair for pair in pairs if results.not_above_noise(pair[1].metric, pair[1].low, pair[1].high, run.noise)
        ]
        told = [pair for pair in pairs if pair not in self.within]
        self.less = sorted((p for p in told if p[1].high < 1), key=lambda p: p[1].median)
        self.more = sorted((p for p in told if p[1].low > 1), key=lambda p: -p[1].median)
        self.noise = run.noise

    @property
    def rest(self) -> str:
        """Of how many no difference can be claimed, and why; empty where there are none."""
        none = len(self.all) - len(self.less) - len(self.more) - len(self.within)
        parts = [f"on {none} no difference could be detected"] if none else []
        if self.within and self.noise:
            parts.append(
                f"on {len(self.within)} the difference is within what a server set "
                f"against itself differs here "
                f"({results.noise_band(self.noise)})"
            )
        return " and ".join(parts)

    @property
    def caveat(self) -> str:
        """What must be known to read it."""
        together = [cell.id for cell, one in self.all if one.metric == results.WITH_LOAD]
        text = f" Of {listed(together)}, server and load are counted together." if together else ""
        if self.away:
            text += f" Not counted, for fewer than two pairs of it count: {listed(self.away)}."
        return text

    def against(self, name: str) -> str:
        """All workloads in one sentence."""
        parts = [
            f"{word} CPU per request on {len(some)} of {len(self.all)} workloads " f"({extent(some)})"
            for word, some in (("less", self.less), ("more", self.more))
            if some
        ]
        room = f" There, the same CPU serves {capacity(self.less)} as many." if self.less else ""
        return f"Against {name}: {'; '.join(parts) or self.rest}.{room}"


def extent(some: Sequence[Pair]) -> str:
    """From the smallest difference to the largest, or the only one and its workload."""
    most, least = (results.size(some[at][1].median) for at in (0, -1))
    if len(some) == 1:
        return f"{some[0][0].id}, {most}"
    return f"{least.removesuffix(' %') if most.endswith('%') else least} to {most}"


def capacity(some: Sequence[Pair]) -> str:
    """What smaller costs come to, the largest first: 1.1 to 2.6 times."""
    least, most = (f"{1 / some[at][1].median:.2g}" for at in (-1, 0))
    return f"{most} times" if least == most else f"{least} to {most} times"


def measured(run: Run) -> list[Cell]:
    """The cells that are an answer themselves."""
    return [cell for cell in run.cells if "purpose" not in cell.factors and cell.id != "noise"]


def cost(cell: Cell) -> str:
    """By what a workload is judged."""
    large = results.moves_bodies(str(cell.workload["name"]))
    return results.WITH_LOAD if large else results.COST


def variant(cell: Cell, subject: str) -> str | None:
    """The subject's variant in a cell, the one without options of its own where there are more."""
    mine = [one for one in cell.variants if one["subject"] == subject]
    return min(mine, key=lambda one: len(one["args"]))["name"] if mine else None


def both(cell: Cell, one: str, other: str, metric: str) -> bool:
    """Whether a cell was to tell of both subjects."""
    names = variant(cell, one), variant(cell, other)
    return None not in names and metric in results.metrics(str(cell.workload["name"]))


def ratio(run: Run, cell: Cell, one: str, other: str, metric: str) -> Ratio | None:
    """One subject over another; None where nothing can be said."""
    if not both(cell, one, other, metric):
        return None
    names = variant(cell, one), variant(cell, other)
    found = next((r for r in cell.ratios if (r.numerator, r.denominator, r.metric) == (*names, metric)), None)
    found = found or results.ratio(cell, str(names[0]), str(names[1]), metric, run.noise)
    return found if found and found.pairs > 1 else None


def of_epoll(run: Run) -> Tally | None:
    """io_uring against epoll, where a run has them both."""
    found = Tally(run, "io_uring", "epoll")
    return found if found.all else None


def of_peers(run: Run) -> dict[str, Tally]:
    """io_uring against every other server of a run, by its label."""
    labels = {
        one["subject"]: one["label"]
        for cell in measured(run)
        for one in cell.variants
        if one["subject"] not in (*ENGINES, *FLOORS)
    }
    found = {label: Tally(run, "io_uring", subject) for subject, label in labels.items()}
    return {label: tally for label, tally in found.items() if tally.all}
