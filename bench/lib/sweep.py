"""torc-bench sweep: every ring depth on every core and connection count, and the knee in words.

One cell for each core and connection count holds all depths and the engines that have none, so that
the depths are interleaved round by round and paired. Cells among themselves come one after another:
between core or connection counts compare ratios, not absolute figures.

`extra` of the run:
    {"workload", "engines", "depths", "cores", "connections", "note": str|None,
     "grid": [{"cell", "engine", "variant", "depth": n|None, "cores", "connections", "samples",
               "cost_us": I, "per_second": I, "p99_us": I, "syscalls_per_request": x,
               "completions_per_wait": x, "overflows": n, "against_epoll": R,
               "saturated", "shared_cpus"}],
     "knees": [{"cell", "cores", "connections", "depth", "best", "other", "change": I in percent,
                "dearer": [depth], "alike", "text"}],
     "skipped": [{"cores", "connections", "why"}]}
I is {"median", "low", "high"}, R the same with "pairs"; any is None where nothing was measured. The
bounds of a knee's change are wide enough for all depths of its cell together.
The grid has one row for each depth, and one row with depth None for an engine without rings.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any, Sequence

from . import experiment, knee, results, workloads
from .experiment import COST, US
from .session import Session
from .subject import SubjectError, Variant

SUMMARY = "every ring depth, core count and connection count, and the knee in words"
WITH_DEPTH = "io_uring"
DEPTHS = [32, 64, 128, 256, 512, 1024, 2048]
QUICK_DEPTHS = [32, 128, 512, 2048]
DEFAULT_DEPTH = 512  # torc's own


@dataclass(frozen=True)
class Square:
    """One core and connection count: a cell, with one variant for each depth and other engine."""

    cores: int
    connections: int
    variants: tuple[Variant, ...]
    depths: tuple[int | None, ...]  # of the variants

    @property
    def id(self) -> str:
        """Of the cell."""
        return f"cores={self.cores} connections={self.connections}"

    @property
    def where(self) -> str:
        """In words."""
        return f"{experiment.cores_text(self.cores)}, {self.connections} connections"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of sweep."""
    experiment.add_options(parser, lists=("--cores", "--connections"))
    add = parser.add_argument
    add(
        "--depth",
        type=experiment.numbers(1, 32768),
        metavar="LIST",
        dest="depths",
        help="ring depths, as in 64,128,256 or 32..1024 (doubling; default 32..2048)",
    )
    add(
        "--engines",
        type=experiment.engines,
        metavar="LIST",
        default=["io_uring", "epoll"],
        help="engines (io_uring,epoll)",
    )


def squares(
    engines: Sequence[str], depths: Sequence[int], cores: Sequence[int], connections: Sequence[int]
) -> list[Square]:
    """Every cell of the sweep."""
    found = []
    for count in cores:
        variants, at = [], []
        for engine in engines:
            for depth in depths if engine == WITH_DEPTH else (None,):
                what = () if depth is None else (f"depth={depth}", "--depth", str(depth))
                variants.append(experiment.engine_variant(engine, count, *what))
                at.append(depth)
        found += [Square(count, n, tuple(variants), tuple(at)) for n in connections]
    return found


def why_not(square: Square, affinity: Sequence[int], possible: int) -> str | None:
    """Why this machine cannot do a cell."""
    if square.cores > len(affinity):
        return f"{square.cores} cores of {len(affinity)} CPUs"
    if square.cores > 1 and experiment.shares_cpus(affinity, square.cores):
        return (
            f"{square.cores} cores of {len(affinity)} CPUs leave the load generator none of "
            "its own (scale measures that, and says so)"
        )
    if square.connections > possible:
        return f"only {possible:,} connections are possible: raise ulimit -n and " "net.ipv4.ip_local_port_range"
    return None


def measure(session: Any, options: argparse.Namespace) -> None:
    """Takes all cells and concludes from those that are there."""
    asked = workloads.WORKLOADS[options.workload]
    depths = options.depths or (QUICK_DEPTHS if options.quick else DEPTHS)
    counts = options.connection_counts or [asked.connections]
    every = squares(options.engines, depths, options.core_counts or [1], counts)
    session.refuse_missing([v for square in every[:1] for v in square.variants])
    run, pairs, seconds = session.run, experiment.pairs(session, asked), session.seconds(asked)
    run.extra = {
        "workload": asked.name,
        "engines": options.engines,
        "depths": depths,
        "cores": options.core_counts or [1],
        "connections": counts,
        "note": shared_note(options.engines),
        "grid": [],
        "knees": [],
        "skipped": [],
    }
    possible = workloads.connections_possible()
    todo = []
    for square in every:
        why = why_not(square, session.affinity, possible)
        if why is None:
            todo.append(square)
            continue
        run.extra["skipped"].append({"cores": square.cores, "connections": square.connections, "why": why})
        session.note(f"skipped: {square.where}: {why}")
    noisy = min(counts[0], possible)
    experiment.expect(
        session,
        asked,
        [("noise", 2 * pairs)] * bool(todo) + [(square.id, pairs * len(square.variants)) for square in todo],
    )
    if todo:
        session.noise(
            experiment.with_connections(asked, noisy),
            experiment.engine_variant(options.engines[0], todo[0].cores),
            pairs,
            seconds,
        )
    done: list[tuple[Square, results.Cell]] = []
    for square in todo:
        cell = session.cell(
            square.id,
            experiment.with_connections(asked, square.connections),
            square.variants,
            pairs,
            seconds,
            {"cores": square.cores, "connections": square.connections},
            metrics=(COST,),
        )
        done.append((square, cell))
        shared = experiment.shares_cpus(session.affinity, square.cores)
        run.extra["grid"] += rows(square, cell, shared)
        if WITH_DEPTH in options.engines:
            run.extra["knees"].append(knee_of(square, cell, run.noise))
        run.conclusions = conclude(run.extra, done, run.noise)
        session.save()
    run.conclusions = conclude(run.extra, done, run.noise)


def shared_note(engines: Sequence[str]) -> str | None:
    """What a reader must know about engines without a depth."""
    without = [engine for engine in engines if engine != WITH_DEPTH]
    if not without:
        return None
    has = "has" if len(without) == 1 else "have"
    return (
        f"{' and '.join(without)} {has} no ring and so no depth: measured once in each round "
        "and shared by all depths of that round."
    )


def rows(square: Square, cell: results.Cell, shared: bool) -> list[dict[str, Any]]:
    """The rows of the grid that a cell gives."""
    found = []
    for variant, depth in zip(square.variants, square.depths):
        ratio = None
        if variant.subject != "epoll" and "epoll" in cell.names:
            ratio = results.ratio(cell, variant.name, "epoll")
        found.append(
            {
                "cell": cell.id,
                "engine": variant.subject,
                "variant": variant.name,
                "depth": depth,
                "cores": square.cores,
                "connections": square.connections,
                "samples": len(cell.valid(variant.name)),
                "cost_us": experiment.metric(cell, variant.name, COST, US),
                "per_second": experiment.metric(cell, variant.name, "per_second"),
                "p99_us": experiment.metric(cell, variant.name, "latency_us.p99"),
                **{
                    name: cell.median(variant.name, name)
                    for name in ("syscalls_per_request", "completions_per_wait", "overflows")
                },
                "against_epoll": experiment.paired(ratio),
                "saturated": experiment.saturated(cell, variant.name),
                "shared_cpus": shared,
            }
        )
    return found


def knee_of(square: Square, cell: results.Cell, noise: dict[str, Any] | None = None) -> dict[str, Any]:
    """The knee of a cell's depths, minding the A/A run."""
    costs = {
        depth: results.by_round(cell, variant.name, COST)
        for variant, depth in zip(square.variants, square.depths)
        if depth is not None
    }
    names = {depth: variant.name for variant, depth in zip(square.variants, square.depths)}

    def ratios(one: int, other: int) -> list[list[float]]:  # of parts that stood side by side
        return results.round_ratios(cell, names[one], names[other], COST)

    found = knee.find(costs, ratios, results.noise_reach(COST, noise) * 100)
    change = found.change and dict(zip(("median", "low", "high"), found.change))
    rounds = min((len(r) for r in costs.values() if r), default=0)
    text = knee.sentence(found, sorted(costs), square.where, rounds)
    return {
        "cell": cell.id,
        "cores": square.cores,
        "connections": square.connections,
        "depth": found.depth,
        "best": found.best,
        "other": found.other,
        "change": change,
        "dearer": list(found.dearer),
        "alike": found.alike,
        "text": text,
    }


def conclude(
    extra: dict[str, Any], done: Sequence[tuple[Square, results.Cell]], noise: dict[str, Any] | None = None
) -> list[str]:
    """One sentence for each knee, and what io_uring costs there against epoll."""
    found = []
    for entry in extra["knees"]:
        found.append(entry["text"][0].upper() + entry["text"][1:])
    for square, cell in done:
        depth = next((k["depth"] for k in extra["knees"] if k["cell"] == square.id), None)
        at_knee = next(
            (v for v, d in zip(square.variants, square.depths) if d == depth and v.subject == WITH_DEPTH), None
        )
        if at_knee is None or "epoll" not in cell.names:
            continue
        ratio = results.ratio(cell, at_knee.name, "epoll", noise=noise)
        if ratio is not None:
            text = ratio.verdict
            found.append(f"{square.where[0].upper()}{square.where[1:]}: {text}")
    for entry in extra["skipped"]:
        where = f"{experiment.cores_text(entry['cores'])}, {entry['connections']} connections"
        found.append(f"Not measured: {where}: {entry['why']}.")
    return found


def printed(run: results.Run) -> list[list[str]]:
    """A row for each place of the grid, as HEADER has it, against the default depth or the best."""
    found = []
    for row in run.extra["grid"]:
        mine = [one for one in run.extra["grid"] if one["cell"] == row["cell"] and one["depth"] and one["cost_us"]]
        base = next((one for one in mine if one["depth"] == DEFAULT_DEPTH), None) or min(
            mine, key=lambda one: one["cost_us"]["median"], default=None
        )
        ratio = None
        if base and base is not row and (cell := run.cell(row["cell"])):
            ratio = experiment.paired(results.ratio(cell, row["variant"], base["variant"]))
        found.append(
            [
                f"{row['engine']}, {experiment.cores_text(row['cores'])}, {row['connections']} " "connections",
                str(row["depth"] or "–"),
                experiment.shown(row["cost_us"], ".2f"),
                experiment.shown(row["per_second"]),
                str(base["depth"]) if base else "–",
                "1" if base is row else experiment.shown_ratio(ratio),
            ]
        )
    return found


HEADER = ("", "depth", "CPU µs/request", "requests/s", "base depth", "cost ÷ base")


def run(options: argparse.Namespace) -> int:
    """The subcommand."""
    with Session("sweep", options, f"Ring depth, {options.workload}") as session:
        measure(session, options)
        if not session.run.cells:
            raise SubjectError("sweep: nothing is left to measure")
        experiment.print_table(session, HEADER, printed(session.run))
        experiment.print_conclusions(session.run)
        return session.finish()
