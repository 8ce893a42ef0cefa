"""One subject against another over all workloads of a comparison."""

from typing import Sequence

from . import results
from .results import Cell, Run
from .subjects import ENGINES, FLOORS
from .verdict import Verdict
from .words import COST, WITH_LOAD, say

Judged = tuple[Cell, Verdict]


class Tally:
    """One subject against another over the workloads of a comparison, judged against the A/A run."""

    def __init__(
        self, run: Run, one: str, other: str, metric: str | None = None, cells: Sequence[Cell] | None = None
    ) -> None:
        self.noise = run.noise
        self.all: list[Judged] = []
        self.away: list[str] = []  # workloads of both subjects that have too few pairs
        for cell in measured(run) if cells is None else cells:
            of, names = metric or cost(cell), (variant(cell, one), variant(cell, other))
            if None in names or of not in results.metrics(cell.workload["name"]):
                continue
            found = next((ratio for ratio in cell.ratios if ratio.sides == names and ratio.metric == of), None)
            found = found or results.ratio(cell, str(names[0]), str(names[1]), of, run.noise)
            if found and found.pairs > 1:
                self.all.append((cell, found.judge(run.noise)))
            else:
                self.away.append(cell.id)
        self.together = [cell.id for cell, one in self.all if one.metric == WITH_LOAD]
        self.within = [pair for pair in self.all if pair[1].within_noise]
        self.alike, self.less, self.more = map(self._told, ("none", "less", "more"))

    def _told(self, kind: str) -> list[Judged]:
        """Those of that kind beyond the noise, the largest first."""
        mine = [pair for pair in self.all if pair[1].kind == kind and not pair[1].within_noise]
        return sorted(mine, key=lambda pair: -pair[1].size)

    def against(self, name: str) -> str:
        return say("against", name, self)


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
