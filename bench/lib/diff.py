"""Sets two result files against each other: other machines, other commits."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from . import env, results, stats, table
from .results import Cell, Ratio, ResultsError, Run

SUMMARY = "compare two result files, across machines or commits"
# What makes two workloads of one name the same question.
SAME = ("name", "paths", "templates", "method", "body_bytes", "chunked", "connections", "pipeline",
        "requests_per_connection")  # fmt: skip
ENVIRONMENT_LINES = 40
SHOWN = {results.COST: ("CPU µs/request", table.cost),
         results.WITH_LOAD: ("CPU µs/request with the load's own", table.cost),
         "per_second": ("requests/s", table.thousands)}  # fmt: skip


def shown(metric: str, value: float | None) -> tuple[str, str]:
    """A metric as people call it, and a value of it with its unit."""
    title, show = SHOWN.get(metric, (results.metric_title(metric), "{:,.1f}".format))
    if metric.startswith("latency"):
        show = table.microseconds
    elif metric.endswith("_bytes"):
        title, show = f"{title}, bytes", table.thousands
    return title, "–" if value is None else show(value)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Two files."""
    parser.add_argument("before", type=Path, metavar="A.json", help="the base")
    parser.add_argument("after", type=Path, metavar="B.json", help="what is set in ratio to it")


def question(cell: Cell) -> dict[str, Any]:
    """What a cell asks, without how often and how long."""
    return {key: list(one) if isinstance(one := cell.workload.get(key), (list, tuple)) else one
            for key in SAME}  # fmt: skip


def matched(before: Run, after: Run) -> tuple[list[tuple[Cell, Cell]], list[str]]:
    """The cells that ask the same, and a line for each of one id that do not."""
    pairs, lines = [], []
    for one in before.cells:
        other = after.cell(one.id)
        if other is None or one.factors.get("purpose") == "capacity":
            continue
        asked = question(one), question(other)
        unlike = [key for key in SAME if asked[0][key] != asked[1][key]]
        if unlike:
            lines.append(f"{one.id}: not compared, for it is another workload: " + ", ".join(
                f"other {key}" if isinstance(asked[0][key], list) else
                f"{key.replace('_', ' ')} {asked[0][key]} and {asked[1][key]}"
                for key in unlike))  # fmt: skip
        else:
            pairs.append((one, other))
    if not pairs:
        sides = (", ".join(cell.id for cell in run.cells) or "nothing" for run in (before, after))
        raise ResultsError("the files have no workload in common: " + " and ".join(sides)
                           + "".join(f"; {line}" for line in lines))  # fmt: skip
    return pairs, lines


def unpaired(before: Cell, after: Cell, name: str, metric: str) -> Ratio | None:
    """A variant's metric in the second file over that in the first; samples are not paired."""
    sides = [[one for one in results.by_round(cell, name, metric).values() if one > 0]
             for cell in (after, before)]  # fmt: skip
    if not all(sides):
        return None
    found = stats.bootstrap_ratio(*sides)
    ratio = Ratio(metric, "B", "A", found.median, found.low, found.high, found.count)
    ratio.verdict = results.verdict(ratio, f"{after.label(name)} in B", "in A")
    return ratio


def _section(before: Cell, after: Cell) -> list[str]:
    lines = ["", before.id]
    rates = before.workload.get("rate"), after.workload.get("rate")
    if rates[0] != rates[1]:
        lines.append(f"  at different rates, {rates[0]:,.0f} and {rates[1]:,.0f} requests/s: each "
                     "is a share of its own machine's capacity")  # fmt: skip
    rows, sentences = [], []
    for name in before.names:
        for metric in results.metrics(before.workload["name"]) if name in after.names else ():
            ratio = unpaired(before, after, name, metric)
            if ratio is None:
                continue
            (title, one), (_, other) = (shown(metric, cell.median(name, metric))
                                        for cell in (before, after))  # fmt: skip
            rows.append([f"{before.label(name)}, {title}", one, other, f"{ratio.median:.3f}",
                         f"{ratio.low:.3f}–{ratio.high:.3f}"])  # fmt: skip
            sentences.append(f"  {ratio.verdict}")
    if not rows:
        return [*lines, "  no variant in common"]
    return [*lines, table.table(("medians", "A", "B", "B ÷ A", "95 % interval"), rows), "",
            *sentences]  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """The subcommand."""
    before, after = results.load(options.before), results.load(options.after)
    pairs, lines = matched(before, after)
    print(f"A: {options.before}, {before.started}\nB: {options.after}, {after.started}")
    differences = env.differences(before.environment, after.environment)
    print("\nenvironments differ in" if differences else "\nthe environments are the same")
    for line in differences[:ENVIRONMENT_LINES]:
        print(f"  {line}")
    if len(differences) > ENVIRONMENT_LINES:
        print(f"  and {len(differences) - ENVIRONMENT_LINES} more")
    for one, other in pairs:
        lines += _section(one, other)
    print("\n" + "\n".join(lines).lstrip("\n"))
    if before.environment.get("cpu") != after.environment.get("cpu"):
        print("\nThe machines differ: these ratios are of machines as much as of programs.")
    else:
        print("\nThe samples were not interleaved: what drifted in between is in these ratios.")
    return 0
