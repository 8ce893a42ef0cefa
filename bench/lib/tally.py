"""One subject against another over all workloads of a comparison."""

from __future__ import annotations

from typing import Sequence

from . import results
from .results import Cell, Ratio, Run
from .subjects import ENGINES, FLOORS
from .verdict import COST, WITH_LOAD, Verdict, noise_band, size

FEW_NAMES = 3  # that are listed before the others are only counted

Judged = tuple[Cell, Verdict]


def listed(names: Sequence[str]) -> str:
    """a, b and c; a, b, c and 4 more."""
    first, more = list(names[:FEW_NAMES]), len(names) - FEW_NAMES
    words = [*first, f"{more} more"] if more > 0 else first
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


class Tally:
    """One subject against another over the workloads of a comparison, judged against the A/A run."""

    def __init__(
        self, run: Run, one: str, other: str, metric: str | None = None, cells: Sequence[Cell] | None = None
    ) -> None:
        self.noise = run.noise
        self.all: list[Judged] = []
        self.away: list[str] = []  # workloads of both subjects that have too few pairs
        for cell in measured(run) if cells is None else cells:
            of = metric or cost(cell)
            if both(cell, one, other, of):
                found = ratio(run, cell, one, other, of)
                if found:
                    self.all.append((cell, found.judge(run.noise)))
                else:
                    self.away.append(cell.id)
        self.within = [pair for pair in self.all if pair[1].within_noise]
        told = [pair for pair in self.all if not pair[1].within_noise]
        self.less = sorted((p for p in told if p[1].kind == "less"), key=lambda p: p[1].median)
        self.more = sorted((p for p in told if p[1].kind == "more"), key=lambda p: -p[1].median)

    @property
    def rest(self) -> str:
        """On how many workloads no difference can be claimed, and why; empty where there are none."""
        none = len(self.all) - len(self.less) - len(self.more) - len(self.within)
        parts = [f"no detectable difference on {none}"] if none else []
        if self.within and self.noise:
            parts.append(f"a difference within the A/A noise ({noise_band(self.noise)}) on {len(self.within)}")
        return " and ".join(parts)

    @property
    def caveat(self) -> str:
        """What must be known to read it."""
        together = [cell.id for cell, one in self.all if one.metric == WITH_LOAD]
        text = f" For {listed(together)}, server and load are counted together." if together else ""
        return text + (f" Not counted, with fewer than two valid pairs: {listed(self.away)}." if self.away else "")

    def against(self, name: str) -> str:
        """All workloads in one sentence."""
        parts = [
            f"{word} CPU per request on {len(some)} of {len(self.all)} workloads ({extent(some)})"
            for word, some in (("less", self.less), ("more", self.more))
            if some
        ]
        room = f" There, the same CPU serves {capacity(self.less)} as many requests." if self.less else ""
        return f"Against {name}: {'; '.join(parts) or self.rest}.{room}"


def extent(some: Sequence[Judged]) -> str:
    """From the smallest difference to the largest, or the only one and its workload."""
    most, least = (size(some[at][1].median) for at in (0, -1))
    if len(some) == 1:
        return f"{some[0][0].id}, {most}"
    return f"{least.removesuffix(' %') if most.endswith('%') else least} to {most}"


def capacity(some: Sequence[Judged]) -> str:
    """What lower costs come to, the lowest first: 1.1 to 2.6 times."""
    least, most = (f"{1 / some[at][1].median:.2g}" for at in (-1, 0))
    return f"{most} times" if least == most else f"{least} to {most} times"


def measured(run: Run) -> list[Cell]:
    """The cells that are an answer themselves."""
    return [cell for cell in run.cells if "purpose" not in cell.factors and cell.id != "noise"]


def cost(cell: Cell) -> str:
    """The metric that a workload is judged by."""
    return WITH_LOAD if results.moves_bodies(str(cell.workload["name"])) else COST


def variant(cell: Cell, subject: str) -> str | None:
    """The subject's variant in a cell, the one with the fewest options of its own."""
    mine = [one for one in cell.variants if one["subject"] == subject]
    return min(mine, key=lambda one: len(one["args"]))["name"] if mine else None


def both(cell: Cell, one: str, other: str, metric: str) -> bool:
    """Whether a cell compares both subjects by that metric."""
    names = variant(cell, one), variant(cell, other)
    return None not in names and metric in results.metrics(str(cell.workload["name"]))


def ratio(run: Run, cell: Cell, one: str, other: str, metric: str) -> Ratio | None:
    """One subject over the other; None with fewer than two pairs."""
    names = str(variant(cell, one)), str(variant(cell, other))
    found = next((r for r in cell.ratios if (r.numerator, r.denominator, r.metric) == (*names, metric)), None)
    found = found or results.ratio(cell, *names, metric, run.noise)
    return found if found and found.pairs > 1 else None


def of_epoll(run: Run) -> Tally | None:
    """io_uring against epoll, where a run has both."""
    found = Tally(run, "io_uring", "epoll")
    return found if found.all else None


def of_peers(run: Run) -> dict[str, Tally]:
    """io_uring against every other server of a run, by its label."""
    every = [one for cell in measured(run) for one in cell.variants]
    labels = {one["subject"]: one["label"] for one in every if one["subject"] not in (*ENGINES, *FLOORS)}
    found = {label: Tally(run, "io_uring", subject) for subject, label in labels.items()}
    return {label: tally for label, tally in found.items() if tally.all}
