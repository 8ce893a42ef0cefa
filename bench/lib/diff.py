"""Sets two result files in ratio: other machines, other commits."""

import argparse
import itertools
import statistics
from pathlib import Path

from . import compare, env, remarks, results, stats, table
from .results import Cell, ResultsError, Run
from .verdict import Noise, Verdict
from .words import COST, WITH_LOAD, metric_title, say

SUMMARY = "compare two result files, across machines or commits"
# What makes two workloads of one name the same question.
SAME = ("name", "paths", "templates", "method", "body_bytes", "chunked")
SAME += ("connections", "pipeline", "requests_per_connection")
ENVIRONMENT_LINES = 40
TITLES = {COST: "CPU µs/request", WITH_LOAD: "CPU µs/request with the load's own"}


def shown(metric: str, value: float) -> tuple[str, str]:
    """A metric as people call it, and a value of it with its unit."""
    _, show = (compare.COLUMNS | compare.MEMORY)[metric]
    unit = ", bytes" if metric.endswith("_bytes") else ""
    return TITLES.get(metric, metric_title(metric)) + unit, show(value)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", type=Path, metavar="A.json", help="the baseline")
    parser.add_argument("after", type=Path, metavar="B.json", help="the file to compare with it")


def matched(before: Run, after: Run) -> tuple[list[tuple[Cell, Cell]], list[str]]:
    """The cells that ask the same question, and a line for each of one name that do not."""
    pairs, lines = [], []
    for one in before.cells:
        other = after.cell(one.id)
        if other is None or one.factors.get("purpose") == "capacity":
            continue
        if unlike := [key for key in SAME if one.workload.get(key) != other.workload.get(key)]:
            lines.append(say("unlike", one.id, unlike, one.workload, other.workload))
        else:
            pairs.append((one, other))
    if not pairs:
        sides = (", ".join(cell.id for cell in run.cells) or "nothing" for run in (before, after))
        raise ResultsError("; ".join([f"the files have no workload in common: {' and '.join(sides)}", *lines]))
    return pairs, lines


def noise(run: Run, side: str) -> list[str]:
    """What to know of a file's noise before its figures."""
    lines = [] if run.noise else ["no A/A run shows how noisy this machine was"]
    lines += remarks.run_warnings(run)
    return [f"{side} was {line}" if line.startswith("noisy: ") else f"{side}: {line}" for line in lines]


def common(before: Cell, after: Cell) -> list[str]:
    """The variants of both cells, without an A/A run's copy."""
    return [name for name in before.names if name in after.names and not name.endswith(" (again)")]


def sides(before: Cell, after: Cell) -> list[tuple[str, str]]:
    """Pairs of different subjects that both cells have, or the only pair there is."""
    of = {variant["name"]: variant["subject"] for variant in before.variants}
    names = common(before, after)
    pairs = [(one, other) for one, other in compare.interesting(before) if one in names and other in names]
    return [(one, other) for one, other in pairs if of[one] != of[other] or len(of) == 2]


def change(before: Cell, after: Cell, pair: tuple[str, str], metric: str, wider: Noise | None) -> str | None:
    """How a ratio that is paired inside each file differs between them, in one sentence."""
    cells = (before, after)
    rounds = [[statistics.median(one) for one in results.round_ratios(cell, *pair, metric)] for cell in cells]
    inside = [ratio for cell in cells if (ratio := results.ratio(cell, *pair, metric))]
    if min(map(len, rounds)) < 2:
        return None
    lead = f"{before.label(pair[0])} ÷ {before.label(pair[1])}, {metric_title(metric)}"
    return say("change", lead, inside, Verdict.of_interval(metric, stats.bootstrap_ratio(rounds[1], rounds[0]), wider))


def alone(before: Cell, after: Cell) -> tuple[list[list[str]], list[str]]:
    """Every variant's metrics in the second file over those in the first: rows of a table, and
    sentences. The samples are not paired."""
    rows, sentences = [], []
    cells = (before, after)
    for name, metric in itertools.product(common(before, after), results.metrics(before.workload["name"])):
        values = [[one for one in results.by_round(cell, name, metric).values() if one > 0] for cell in cells]
        if not all(values):
            continue
        found = Verdict.of_interval(metric, stats.bootstrap_ratio(values[1], values[0]))
        (title, one), (_, other) = (shown(metric, cell.median(name, metric)) for cell in cells)
        ratio = [f"{found.median:.3f}", f"{found.low:.3f}–{found.high:.3f}"]
        rows.append([f"{before.label(name)}, {title}", one, other, *ratio])
        sentences.append(f"  {found.sentence(f'{after.label(name)} in B', 'in A')}")
    return rows, sentences


def section(before: Cell, after: Cell, same: bool, wider: Noise | None) -> list[str]:
    lines = ["", before.id]
    rates = before.workload.get("rate"), after.workload.get("rate")
    if rates[0] != rates[1]:
        lines.append(f"  {say('other_rates', *rates, same)}")
    rows, sentences = alone(before, after)
    if not rows:
        return [*lines, "  no variant in common"]
    lines += [table.table(("medians", "A", "B", "B ÷ A", "95 % interval"), rows), ""]
    leading = results.leading(before.workload["name"])
    changes = [change(before, after, pair, one, wider) for pair in sides(before, after) for one in leading]
    if any(changes):
        lines += ["  Paired inside each file, so drift between the runs cancels out:"]
        lines += [f"  {text}" for text in changes if text] + ["", "  Each variant alone:"]
    return [*lines, *sentences]


def run(options: argparse.Namespace) -> int:
    before, after = results.load(options.before), results.load(options.after)
    pairs, lines = matched(before, after)
    print(f"A: {options.before}, {before.started}\nB: {options.after}, {after.started}")
    for line in [*noise(before, "A"), *noise(after, "B")]:
        print(line)
    differences = env.differences(before.environment, after.environment)
    print("\nthe environments differ in" if differences else "\nthe environments are the same")
    for line in differences[:ENVIRONMENT_LINES]:
        print(f"  {line}")
    if len(differences) > ENVIRONMENT_LINES:
        print(f"  and {len(differences) - ENVIRONMENT_LINES} more")
    same = before.environment.get("cpu") == after.environment.get("cpu")
    noises = [one for one in (before.noise, after.noise) if one]
    wider = max(noises, key=lambda one: float(one["high"] - one["low"]), default=None)
    for one, other in pairs:
        lines += section(one, other, same, wider)
    print("\n" + "\n".join(lines).lstrip("\n"))
    print("\n" + say("not_paired", same))
    return 0
