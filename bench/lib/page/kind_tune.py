"""The body of a tuning run: what was found, its confirmation, and how the search went.

Reads what tune.py documents as its `extra`.
"""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any, Mapping, Sequence

from .. import results, stats
from . import kind_compare, numbers, plots, svg
from .figures import Figures
from .figures import plots as side_by_side
from .html import Column, Markup, details, join, pre, section, table, tag
from .look import Looks, cut

COST = kind_compare.COST
DEFAULT = "default"


def rungs(run: results.Run) -> list[Mapping[str, Any]]:
    """The rounds of the search."""
    return [row for row in run.extra.get("rungs") or [] if isinstance(row, Mapping)]


def body(run: results.Run, looks: Looks, figures: Figures) -> Markup:
    """Configuration, confirmation, search, then its cells."""
    final = run.cell(str((run.extra.get("confirmation") or {}).get("cell") or ""))
    parts = []
    if text := run.extra.get("config"):
        path = run.extra.get("config_file")
        parts.append(
            section(
                "config",
                "The configuration found",
                tag("p", "For torc --config FILE" + (f"; written to {path}." if path else "."), class_="meta"),
                pre(str(text)),
            )
        )
    elif run.finished:
        parts.append(
            section(
                "config",
                "No configuration",
                tag("p", "Nothing was gained that can be told from chance: keep the default."),
            )
        )
    if final:
        parts.append(
            section(
                "confirmed",
                "Confirmed afresh?",
                tag(
                    "p",
                    "The best of many candidates looks better than it is, so it was measured "
                    "again, against the default, in rounds that the search had not seen.",
                    class_="meta",
                ),
                kind_compare.workload(run, final, looks, figures, 3, _lead(run, final)),
            )
        )
    parts.append(_search(run, looks, figures))
    rest = [cell for cell in kind_compare.measured(run) if cell is not final]
    if rest:
        parts.append(
            section(
                "search-cells", "Everything the search measured", *(kind_compare.folded(cell, looks) for cell in rest)
            )
        )
    return join(parts)


def _lead(run: results.Run, final: results.Cell) -> list[results.Ratio]:
    """The found configuration over the default, whichever way the cell has it."""
    variant = (run.extra.get("confirmation") or {}).get("variant")
    found = results.ratio(final, variant, DEFAULT) if variant in final.names else None
    return [found] if found else []


def standings(run: results.Run) -> list[dict[str, float]]:
    """For each rung, each candidate's median of all ratios to the default that it had by then."""
    found: list[dict[str, float]] = []
    ratios: dict[str, list[float]] = {}
    for row in rungs(run):
        for name in row.get("cells") or []:
            cell = run.cell(name)
            if cell is None:
                continue
            plain = results.by_round(cell, DEFAULT, COST)
            for one in cell.names:
                if one != DEFAULT:
                    ratios.setdefault(one, []).extend(stats.paired_ratios(results.by_round(cell, one, COST), plain))
        found.append({name: statistics.median(ratios[name]) for name in row.get("tried") or [] if ratios.get(name)})
    return found


def _search(run: results.Run, looks: Looks, figures: Figures) -> Markup:
    found, candidates = rungs(run), list(run.extra.get("candidates") or [])
    if not found:
        return Markup("")
    winner = run.extra.get("winner")
    plot = figures.add(
        "The rungs of the search",
        partial(halving, run, looks),
        "A dot for each candidate at the median of the ratios it had by then. Filled: kept; "
        "hollow: dropped; line: the winner's way. Not a result: only the confirmation is.",
    )
    leaders = figures.add(
        "The candidates",
        partial(_forest, candidates, looks),
        "Cost over the default's, all rungs together, with intervals; those dropped early rest on " "few pairs.",
    )
    rows = [
        [
            f"{int(row.get('rung', i)) + 1}",
            len(row.get("tried") or []),
            row.get("pairs"),
            len(row.get("kept") or []),
            "; ".join(looks.label(n) for n in row.get("kept") or []),
        ]
        for i, row in enumerate(found)
    ]
    columns = [
        Column("Rung"),
        Column("Tried", "candidates"),
        Column("Each", "pairs"),
        Column("Kept", "candidates"),
        Column("Which", words=True, wide=True),
    ]
    return section(
        "search",
        "How the search went",
        side_by_side(plot, leaders),
        table("Successive halving: the better half goes on, measured twice as long", columns, rows),
        details(
            f"All {len(candidates)} candidates",
            table(
                "CPU per request against the default, all rungs together (nominations, no results)",
                [
                    Column("Candidate"),
                    Column("Options", words=True, wide=True),
                    Column("Ratio"),
                    Column("95 % interval"),
                    Column("Pairs"),
                    Column("Left in", words=True),
                ],
                [_candidate(one, winner) for one in sorted(candidates, key=_median)],
            ),
        ),
    )


def _median(candidate: Mapping[str, Any]) -> float:
    return float((candidate.get("ratio") or {}).get("median") or 9e9)


def _candidate(one: Mapping[str, Any], winner: Any) -> list[Any]:
    ratio = one.get("ratio") or {}
    options = ", ".join(f"{key} {value}" for key, value in (one.get("options") or {}).items())
    return [
        one.get("name"),
        options,
        numbers.number(ratio.get("median"), 3),
        f"{numbers.number(ratio.get('low'), 3)}–{numbers.number(ratio.get('high'), 3)}",
        one.get("pairs"),
        "winner" if one.get("name") == winner else one.get("out"),
    ]


def _forest(candidates: Sequence[Mapping[str, Any]], looks: Looks, width: float = svg.WIDTH) -> Any:
    rows = []
    for one in sorted(candidates, key=_median)[:12]:
        if ratio := one.get("ratio"):
            name = looks.label(str(one.get("name"))).removeprefix("torc io_uring, ")
            rows.append(
                plots.Bar(cut(name, 44), ratio["median"], ratio["low"], ratio["high"], plots.SOFT, ratio["pairs"])
            )
    return plots.forest(rows, "cost ÷ default's cost", width=width)


def halving(run: results.Run, looks: Looks, width: float = svg.WIDTH) -> Any:
    """Candidates over rungs."""
    found, heights = rungs(run), standings(run)
    shown = [value for rung in heights for value in rung.values()]
    if not shown:
        return None
    winner = run.extra.get("winner")
    made, axes = svg.figure(240, width)
    way: list[tuple[float, float]] = []
    for place, (row, medians) in enumerate(zip(found, heights)):
        kept = set(row.get("kept") or [])
        for number, (name, height) in enumerate(medians.items()):
            x = place + ((number + 0.5) / len(medians) - 0.5) * 0.62
            fill = svg.series(0) if name in kept else svg.COLOUR["bg"]
            svg.mark(axes.plot([x], [height], "o", color=svg.series(0), markersize=5, zorder=3, markerfacecolor=fill))
            if name == winner:
                way.append((x, height))
    axes.plot([x for x, _ in way], [y for _, y in way], color=svg.series(1), linewidth=1.6, zorder=2)
    axes.axhline(1, color=plots.INK, linewidth=1)
    low, high = min([*shown, 1]), max([*shown, 1])
    air = (high - low or 0.02) * 0.12
    axes.set_ylim(low - air * 2, high + air)
    axes.set_xlim(-0.5, len(found) - 0.5)
    if way:
        name = looks.label(str(winner)).removeprefix("torc io_uring, ")
        axes.text(
            0.99,
            0.03,
            f"winner: {cut(name, 40)}",
            transform=axes.transAxes,
            ha="right",
            va="bottom",
            color=svg.series(1),
            fontsize=9.5,
        )
    axes.set_xticks(range(len(found)), [f"{i + 1}" for i in range(len(found))])
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("rung")
    axes.set_ylabel("cost ÷ default's cost")
    return made
