"""What a tuning run found, its confirmation, and how the search went."""

import math
import statistics
from typing import Any, Mapping

from .. import results, stats
from ..words import COST
from . import numbers, plots, svg
from .looks import Looks, cut
from .render import Table, transposed

DEFAULT = "default"


def final(run: results.Run) -> results.Cell | None:
    """The confirmation."""
    return run.cell((run.extra["confirmation"] or {}).get("cell") or "")


def confirmed(run: results.Run, cell: results.Cell) -> list[results.Ratio]:
    """The found configuration over the default, whichever way the cell has it."""
    variant = run.extra["confirmation"].get("variant")
    found = results.ratio(cell, variant, DEFAULT) if variant in cell.names else None
    return [found] if found else []


def rungs(run: results.Run, looks: Looks) -> Table:
    """The rounds of the search."""
    rows = run.extra["rungs"]
    columns = {
        "Rung": [row.get("rung", number) + 1 for number, row in enumerate(rows)],
        "Tried|candidates": [len(row["tried"]) for row in rows],
        "Each|pairs": [row.get("pairs") for row in rows],
        "Kept|candidates": [len(row["kept"]) for row in rows],
        "Which": ["; ".join(map(looks.label, row["kept"])) for row in rows],
    }
    return transposed("Successive halving: the better half goes on, measured twice as long", columns)


def ranked(run: results.Run) -> list[Mapping[str, Any]]:
    """The candidates, the cheapest first, those without a figure last."""
    return sorted(run.extra["candidates"], key=lambda one: one["ratio"]["median"] if one["ratio"] else math.inf)


def candidates(run: results.Run) -> Table:
    """All candidates."""
    rows = []
    for one in ranked(run):
        median, low, high = (numbers.number((one["ratio"] or {}).get(key), 3) for key in ("median", "low", "high"))
        options = ", ".join(f"{key} {value}" for key, value in one["options"].items())
        left = "winner" if one["name"] == run.extra["winner"] else one.get("out")
        rows.append([one["name"], options, median, f"{low}–{high}", one.get("pairs"), left])
    heads = ["Candidate", "Options", "Ratio", "95 % interval", "Pairs", "Dropped"]
    return Table("CPU per request against the default, all rungs together (nominations, not results)", heads, rows)


def leaders(run: results.Run, looks: Looks) -> list[plots.Bar]:
    """The first dozen candidates as rows of a plot."""
    found = [one for one in ranked(run)[:12] if one["ratio"]]
    return [plots.figure_bar(_name(looks, one["name"]), one["ratio"], svg.SOFT) for one in found]


def _name(looks: Looks, candidate: str) -> str:
    return looks.label(candidate).removeprefix("torc io_uring, ")


def standings(run: results.Run) -> list[dict[str, float]]:
    """For each rung, each candidate's median of all ratios to the default that it had by then."""
    found: list[dict[str, float]] = []
    ratios: dict[str, list[float]] = {}
    for row in run.extra["rungs"]:
        for cell in filter(None, map(run.cell, row["cells"])):
            plain = results.by_round(cell, DEFAULT, COST)
            for one in cell.names:
                if one != DEFAULT:
                    ratios.setdefault(one, []).extend(stats.paired_ratios(results.by_round(cell, one, COST), plain))
        found.append({name: statistics.median(ratios[name]) for name in row["tried"] if ratios.get(name)})
    return found


def halving(axes: Any, run: results.Run, looks: Looks) -> None:
    """Candidates over rungs, with the winner's way."""
    heights, winner = standings(run), run.extra["winner"]
    shown = [1.0, *(value for rung in heights for value in rung.values())]
    svg.set_height(axes, 240)
    way: list[tuple[float, float]] = []
    for place, (row, medians) in enumerate(zip(run.extra["rungs"], heights)):
        for number, (name, height) in enumerate(medians.items()):
            x = place + ((number + 0.5) / len(medians) - 0.5) * 0.62
            fill = svg.series(0) if name in row["kept"] else svg.COLOUR["bg"]
            look = {"color": svg.series(0), "markerfacecolor": fill, "markersize": 5, "zorder": 3, "gid": svg.MARK}
            axes.plot([x], [height], "o", **look)
            if name == winner:
                way.append((x, height))
    axes.axhline(1, color=svg.INK, linewidth=1)
    air = (max(shown) - min(shown) or 0.02) * 0.12
    axes.set_ylim(min(shown) - air * 2, max(shown) + air)
    axes.set_xlim(-0.5, len(heights) - 0.5)
    if way:
        axes.plot(*zip(*way), color=svg.series(1), zorder=2)
        place = {"transform": axes.transAxes, "ha": "right", "va": "bottom"}
        axes.text(0.99, 0.03, f"winner: {cut(_name(looks, str(winner)), 40)}", color=svg.series(1), **place)
    axes.set_xticks(range(len(heights)), [str(number + 1) for number in range(len(heights))])
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("rung")
    axes.set_ylabel("cost ÷ default's cost")
