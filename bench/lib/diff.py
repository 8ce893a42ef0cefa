"""Sets two result files against each other: other machines, other commits."""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any, Sequence

from . import compare, env, remarks, results, sentences, stats, table
from .results import Cell, Ratio, ResultsError, Run

SUMMARY = "compare two result files, across machines or commits"
# What makes two workloads of one name the same question.
SAME = (
    "name",
    "paths",
    "templates",
    "method",
    "body_bytes",
    "chunked",
    "connections",
    "pipeline",
    "requests_per_connection",
)
ENVIRONMENT_LINES = 40
AGAIN = " (again)"  # ends the name of an A/A run's copy
SHOWN = {
    results.COST: ("CPU µs/request", table.cost),
    results.WITH_LOAD: ("CPU µs/request with the load's own", table.cost),
    "per_second": ("requests/s", table.thousands),
}


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
    return {key: list(one) if isinstance(one := cell.workload.get(key), (list, tuple)) else one for key in SAME}


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
            lines.append(
                f"{one.id}: not compared, for it is another workload: "
                + ", ".join(
                    f"other {key}"
                    if isinstance(asked[0][key], list)
                    else f"{key.replace('_', ' ')} {asked[0][key]} and {asked[1][key]}"
                    for key in unlike
                )
            )
        else:
            pairs.append((one, other))
    if not pairs:
        sides = (", ".join(cell.id for cell in run.cells) or "nothing" for run in (before, after))
        raise ResultsError(
            "the files have no workload in common: " + " and ".join(sides) + "".join(f"; {line}" for line in lines)
        )
    return pairs, lines


def unpaired(before: Cell, after: Cell, name: str, metric: str) -> Ratio | None:
    """A variant's metric in the second file over that in the first; samples are not paired."""
    sides = [[one for one in results.by_round(cell, name, metric).values() if one > 0] for cell in (after, before)]
    if not all(sides):
        return None
    found = stats.bootstrap_ratio(*sides)
    ratio = Ratio(metric, "B", "A", found.median, found.low, found.high, found.count)
    ratio.verdict = results.verdict(ratio, f"{after.label(name)} in B", "in A")
    return ratio


def noise(run: Run, side: str) -> list[str]:
    """What to know of a file's noise before its figures."""
    lines = [] if run.noise else ["no A/A run says how noisy this machine was"]
    lines += remarks.run_warnings(run)
    return [
        f"{side} was noisy: {line.removeprefix('noisy: ')}" if line.startswith("noisy: ") else f"{side}: {line}"
        for line in lines
    ]


def common(before: Cell, after: Cell) -> list[str]:
    """The variants of both cells, without an A/A run's copy."""
    return [name for name in before.names if name in after.names and not name.endswith(AGAIN)]


def sides(before: Cell, after: Cell) -> list[tuple[str, str]]:
    """Pairs of different subjects that both cells have, or the only pair there is."""
    of = {variant["name"]: variant["subject"] for variant in before.variants}
    names = common(before, after)
    return [
        (one, other)
        for one, other in compare.interesting(before)
        if one in names and other in names and (of[one] != of[other] or len(of) == 2)
    ]


def within(cell: Cell, one: str, other: str, metric: str) -> list[float]:
    """A pair's ratio in each round of one file."""
    rounds = results.round_ratios(cell, one, other, metric)
    return [statistics.median(ratios) for ratios in rounds]


def change(
    before: Cell, after: Cell, pair: tuple[str, str], metric: str, noises: Sequence[dict[str, Any] | None]
) -> str | None:
    """How a ratio that is paired inside each file differs between them, in one sentence."""
    rounds = [within(cell, *pair, metric) for cell in (after, before)]
    if min(map(len, rounds)) < 2:
        return None
    found = stats.bootstrap_ratio(*rounds)
    one, other = map(before.label, pair)
    inside = [results.ratio(cell, *pair, metric) for cell in (before, after)]
    figures = [
        f"{ratio.median:.3f} ({ratio.low:.3f}–{ratio.high:.3f}) in {side}" for ratio, side in zip(inside, "AB") if ratio
    ]
    text = f"{one} ÷ {other}, {results.metric_title(metric)}: {', '.join(figures)}: "
    low, high = found.low - 1, found.high - 1
    if found.contains_one and max(-low, high) > sentences.UNSTEADY:
        return f"{text}it varied too much from round to round to compare."
    if found.contains_one:
        return f"{text}no change detectable within ±{max(abs(low), high) * 100:.1f} %."
    near, far = sorted((abs(low), abs(high)))
    text += (
        f"{results.size(found.median)} {'lower' if high < 0 else 'higher'} in B "
        f"({near * 100:.1f} to {far * 100:.1f} %)"
    )
    widest = max((one for one in noises if one), key=lambda one: one["high"] - one["low"], default=None)
    return f"{text}{sentences.beside_noise(metric, found.low, found.high, widest)}."


def _section(before: Cell, after: Cell, same: bool, noises: Sequence[dict[str, Any] | None]) -> list[str]:
    lines = ["", before.id]
    rates = before.workload.get("rate"), after.workload.get("rate")
    if rates[0] != rates[1]:
        whose = "of the capacity that its run measured" if same else "of its own machine's capacity"
        lines.append(
            f"  at different rates, {rates[0]:,.0f} and {rates[1]:,.0f} requests/s: each " f"is a share {whose}"
        )
    metrics = results.metrics(before.workload["name"])
    rows, spoken = [], []
    for name in common(before, after):
        for metric in metrics:
            ratio = unpaired(before, after, name, metric)
            if ratio is None:
                continue
            (title, one), (_, other) = (shown(metric, cell.median(name, metric)) for cell in (before, after))
            rows.append(
                [
                    f"{before.label(name)}, {title}",
                    one,
                    other,
                    f"{ratio.median:.3f}",
                    f"{ratio.low:.3f}–{ratio.high:.3f}",
                ]
            )
            spoken.append(f"  {ratio.verdict}")
    if not rows:
        return [*lines, "  no variant in common"]
    lines += [table.table(("medians", "A", "B", "B ÷ A", "95 % interval"), rows), ""]
    leading = [metric for metric in metrics if metric in (metrics[0], results.WITH_LOAD)]
    paired = [
        f"  {text}"
        for pair in sides(before, after)
        for metric in leading
        if (text := change(before, after, pair, metric, noises))
    ]
    if paired:
        lines += ["  Paired inside each file, which bears a noisy hour:", *paired, "", "  Of each alone:"]
    return [*lines, *spoken]


def run(options: argparse.Namespace) -> int:
    """The subcommand."""
    before, after = results.load(options.before), results.load(options.after)
    pairs, lines = matched(before, after)
    print(f"A: {options.before}, {before.started}\nB: {options.after}, {after.started}")
    for line in [*noise(before, "A"), *noise(after, "B")]:
        print(line)
    differences = env.differences(before.environment, after.environment)
    print("\nenvironments differ in" if differences else "\nthe environments are the same")
    for line in differences[:ENVIRONMENT_LINES]:
        print(f"  {line}")
    if len(differences) > ENVIRONMENT_LINES:
        print(f"  and {len(differences) - ENVIRONMENT_LINES} more")
    same = before.environment.get("cpu") == after.environment.get("cpu")
    for one, other in pairs:
        lines += _section(one, other, same, (before.noise, after.noise))
    print("\n" + "\n".join(lines).lstrip("\n"))
    print(
        "\nThe samples were not interleaved: what drifted in between is in these ratios, but for "
        "those that are paired inside each file."
        if same
        else "\nThe machines differ: these " "ratios are of machines as much as of programs."
    )
    return 0
