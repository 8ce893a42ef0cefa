"""What sweep, ablate, tune and scale share: their options, and figures as the report takes them."""

from __future__ import annotations

import argparse
import collections
import dataclasses
from typing import Any, Callable, Iterable, Sequence

from . import env, measure, options, progress, results, stats, table, workloads
from .subject import Variant
from .subjects import ENGINES
from .workloads import Workload

COST = "cpu_ns_per_request"
US = 1 / 1000  # of nanoseconds
UNSUITED = ("idle", "latency")  # they ask other questions than what a request costs
MOST_CORES, MOST_CONNECTIONS = 4096, 1_000_000
QUICK_PAIRS = 6
Figure = dict[str, Any]  # a median with the bounds of its 95 % interval


def numbers(least: int, most: int) -> Callable[[str], list[int]]:
    """A parser of lists such as 64,128,256 or 32..1024 (doubling), ascending and each once."""

    def parse(text: str) -> list[int]:
        found: list[int] = []
        for word in text.split(","):
            first, dots, last = word.partition("..")
            ends = [first, last] if dots else [first]
            if not all(e.isdecimal() and least <= int(e) <= most for e in ends) or (int(ends[0]) > int(ends[-1])):
                raise argparse.ArgumentTypeError(
                    f"takes numbers from {least} to {most} such as 64,128 or 32..1024 (doubling), " f"not {text!r}"
                )
            number = int(first)
            while number <= int(ends[-1]):
                found.append(number)
                number = number * 2 if dots else most + 1
        return sorted(set(found))

    return parse


def engines(text: str) -> list[str]:
    """Engines by name, each once."""
    chosen = list(dict.fromkeys(text.split(",")))
    wrong = [name for name in chosen if name not in ENGINES]
    if wrong:
        raise argparse.ArgumentTypeError(f"takes names of {', '.join(ENGINES)}, not {wrong[0]!r}")
    return chosen


def workload(text: str) -> str:
    """One workload that has a cost per request."""
    known = [name for name in workloads.WORKLOADS if name not in UNSUITED]
    if text not in known:
        raise argparse.ArgumentTypeError(f"takes one of {', '.join(known)}, not {text!r}")
    return text


def add_options(parser: argparse.ArgumentParser, lists: Sequence[str] = ()) -> None:
    """The options of every session; --cores or --connections among lists take more than one."""
    options.add_options(parser, skip=lists)
    add = parser.add_argument
    add(
        "--workload",
        type=workload,
        metavar="NAME",
        default="plaintext",
        help="what is asked of the servers (plaintext)",
    )
    # What a session reads is set to one of each; the lists have names of their own.
    if "--cores" in lists:
        add(
            "--cores",
            type=numbers(1, MOST_CORES),
            metavar="LIST",
            dest="core_counts",
            help="core counts of the server, as in 1,2,4",
        )
        parser.set_defaults(cores=1)
    if "--connections" in lists:
        add(
            "--connections",
            type=numbers(1, MOST_CONNECTIONS),
            metavar="LIST",
            dest="connection_counts",
            help="connections, as in 64,256 or 16..1024 (doubling)",
        )
        parser.set_defaults(connections=None)


def with_connections(asked: Workload, count: int) -> Workload:
    """The workload on that many connections."""
    return dataclasses.replace(asked, connections=count)


def shares_cpus(affinity: Sequence[int], cores: int) -> bool:
    """Whether a server of that many cores leaves the load generator no CPU of its own."""
    server, load, *_ = env.divide_cpus(affinity, cores)
    return bool(set(server) & set(load)) or not load


def pairs(run: Any, asked: Workload) -> int:
    """How many rounds a cell gets: what was asked for, else never so few that their interval is
    too wide for the small differences that are looked for here."""
    return run.options.pairs or max(run.pairs(asked), QUICK_PAIRS)


def expect(session: Any, asked: Workload, cells: Iterable[tuple[str, int]]) -> None:
    """Says what is left to be taken of cells (id, samples), and about how long that takes."""
    samples = left = 0
    for name, count in cells:
        samples, left = samples + count, left + session.run.left(name, count)
    session.expect(left)
    wall = left * measure.expected_seconds(asked, session.seconds(asked))
    print(f"{asked.name}: {progress.plan(left, samples, wall)}", flush=True)


def figure(values: Sequence[float], scale: float = 1.0) -> Figure | None:
    """The median of values with its interval; None without values."""
    if not values:
        return None
    found = stats.bootstrap_median(values)
    return {"median": found.median * scale, "low": found.low * scale, "high": found.high * scale}


def metric(cell: results.Cell, name: str, what: str, scale: float = 1.0) -> Figure | None:
    """A metric of a variant as a figure."""
    return figure(list(results.by_round(cell, name, what).values()), scale)


def paired(found: results.Ratio | None) -> Figure | None:
    """A ratio as a figure."""
    if found is None:
        return None
    return {"median": found.median, "low": found.low, "high": found.high, "pairs": found.pairs}


def saturated(cell: results.Cell, name: str) -> str | None:
    """Who was saturated in most of a variant's samples."""
    seen = collections.Counter(sample.saturated for sample in cell.valid(name))
    return seen.most_common(1)[0][0] if seen else None


def kind(ratio: Figure | None) -> str:
    """What a cost ratio means: saves, costs, none (may be no difference), or unmeasured."""
    if ratio is None or ratio["pairs"] < 2:
        return "unmeasured"
    if ratio["low"] <= 1.0 <= ratio["high"]:
        return "none"
    return "saves" if ratio["high"] < 1.0 else "costs"


def span(low: float, high: float) -> str:
    """Two sizes of a known direction in percent, as in "2.0 to 4.1 %", the smaller first."""
    near, far = sorted((abs(low), abs(high)))
    return f"{near:.1f} to {far:.1f} %"


def engine_variant(engine: str, cores: int = 1, what: str = "", *args: str) -> Variant:
    """An engine of torc with more options; `what`, as in "depth=64", tells it from its like."""
    name = f"{engine} {what}" if what else engine
    label = f"{ENGINES[engine]}, {what.replace('=', ' ')}" if what else ENGINES[engine]
    return Variant(name, label, engine, args, cores)


def cores_text(count: int) -> str:
    """1 core, 2 cores."""
    return f"{count} core" if count == 1 else f"{count} cores"


def shown(found: Figure | None, form: str = ",.0f") -> str:
    """A figure's median in a table."""
    return format(found["median"], form) if found else "–"


def shown_ratio(found: Figure | None) -> str:
    """A ratio and its interval in a table: 0.951 (0.940–0.962)."""
    if not found:
        return "–"
    return f"{found['median']:.3f} ({found['low']:.3f}–{found['high']:.3f})"


def print_table(session: Any, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """What was measured, on the terminal."""
    session.progress.clear()
    if rows:
        print("\n" + table.table(header, rows))


def print_conclusions(run: results.Run) -> None:
    """The answer, on the terminal."""
    print()
    for text in run.conclusions:
        print(text)
    print()
