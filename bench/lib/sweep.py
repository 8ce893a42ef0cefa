"""torc-bench sweep: every ring depth on every core and connection count, and the knee in words.

One cell for each core and connection count holds all depths and the engines that have none, so that
the depths are interleaved round by round and paired. Cells follow one another: compare ratios
between core or connection counts, not absolute figures.
"""

import argparse
import itertools
from typing import Any, Mapping, Sequence

from . import experiment, knee, results, workloads
from .experiment import Experiment
from .results import Cell
from .subject import SubjectError, Variant
from .subjects import ENGINES, variant
from .verdict import Noise, noise_reach
from .words import COST, capital, cores, say

SUMMARY = "measure every ring depth, core count and connection count, and find the knee"
WITH_DEPTH = "io_uring"
DEPTHS = [32, 64, 128, 256, 512, 1024, 2048]
QUICK_DEPTHS = [32, 128, 512, 2048]
DEFAULT_DEPTH = 512  # torc's own
HEADER = ("", "depth", "CPU µs/request", "requests/s", "base depth", "cost ÷ base")


def add_options(parser: argparse.ArgumentParser) -> None:
    experiment.add_options(parser, lists=("--cores", "--connections", "--engines"))
    text = "ring depths, as in 64,128,256 or 32..1024 (doubling; 32..2048)"
    parser.add_argument("--depth", type=experiment.numbers(1, 32768), metavar="LIST", dest="depths", help=text)


def variants(engines: Sequence[str], depths: Sequence[int], count: int) -> list[Variant]:
    """All variants of a cell: one for each depth, one for an engine without rings."""
    found = []
    for engine in engines:
        if engine == WITH_DEPTH:
            for depth in depths:
                label = f"{ENGINES[engine]}, depth {depth}"
                more = {"cores": count, "subject": engine, "label": label}
                found.append(variant(f"{engine} depth={depth}", "--depth", str(depth), **more))
        else:
            found.append(variant(engine, cores=count))
    return found


def depth_of(variant: Mapping[str, Any]) -> int | None:
    return int(variant["args"][1]) if variant["args"] else None


def where(factors: Mapping[str, Any]) -> str:
    return f"{cores(factors['cores'])}, {factors['connections']} connections"


def why_not(count: int, connections: int, affinity: Sequence[int], possible: int) -> str | None:
    """Why this machine cannot do a cell."""
    needs = f"{count} cores of {len(affinity)} CPUs"
    if count > len(affinity):
        return needs
    if count > 1 and experiment.shares_cpus(affinity, count):
        return f"{needs} leave the load generator none of its own (scale measures that, and says so)"
    if connections > possible:
        return f"only {possible:,} connections are possible: raise ulimit -n and net.ipv4.ip_local_port_range"
    return None


def measure(session: Any, options: argparse.Namespace) -> None:
    run, asked = session.run, workloads.WORKLOADS[options.workload]
    depths = options.depths or (QUICK_DEPTHS if options.quick else DEPTHS)
    core_counts, counts = options.core_counts or [1], options.connection_counts or [asked.connections]
    without = [engine for engine in options.engines if engine != WITH_DEPTH]
    note = say("no_depth", without) if without else None
    extra = {"workload": asked.name, "engines": options.engines, "depths": depths, "cores": core_counts}
    extra |= {"connections": counts, "note": note, "grid": [], "knees": [], "skipped": []}
    run.extra = extra
    session.refuse_missing(variants(options.engines, depths, core_counts[0]))
    whole, possible, todo = Experiment(session, asked), workloads.connections_possible(), []
    for count, connections in itertools.product(core_counts, counts):
        factors = {"cores": count, "connections": connections}
        if why := why_not(count, connections, session.affinity, possible):
            extra["skipped"].append({**factors, "why": why})
            session.note(f"skipped: {where(factors)}: {why}")
        else:
            todo.append((f"cores={count} connections={connections}", factors))
    samples = whole.pairs * len(variants(options.engines, depths, 1))
    experiment.expect(f"{asked.name}:", (whole, [("noise", 2 * whole.pairs), *((id, samples) for id, _ in todo)]))
    if todo:
        whole.on(min(counts[0], possible)).noise(variant(options.engines[0], cores=todo[0][1]["cores"]))
    against: list[str] = []
    for id, factors in todo:
        mine = variants(options.engines, depths, factors["cores"])
        cell = whole.on(factors["connections"]).cell(id, mine, factors)
        extra["grid"] += rows(cell, experiment.shares_cpus(session.affinity, factors["cores"]))
        if WITH_DEPTH in options.engines:
            extra["knees"].append(knee_of(cell, run.noise))
            against += epoll_there(cell, extra["knees"][-1]["depth"], run.noise)
        run.conclusions = conclude(extra, against)
        session.save()
    run.conclusions = conclude(extra, against)


def rows(cell: Cell, shared: bool) -> list[dict[str, Any]]:
    found = []
    for one in cell.variants:
        name, paired = one["name"], one["subject"] != "epoll" and "epoll" in cell.names
        row = {**experiment.place(cell, one), **cell.factors, "depth": depth_of(one)}
        row["p99_us"] = experiment.metric(cell, name, "latency_us.p99")
        row |= {key: cell.median(name, key) for key in ("syscalls_per_request", "completions_per_wait", "overflows")}
        row["against_epoll"] = experiment.paired(cell, name, "epoll") if paired else None
        found.append({**row, "saturated": experiment.saturated(cell, name), "shared_cpus": shared})
    return found


def knee_of(cell: Cell, noise: Noise | None) -> dict[str, Any]:
    """The knee of a cell's depths, beside the A/A run."""
    names = {depth: one["name"] for one in cell.variants if (depth := depth_of(one))}
    costs = {depth: results.by_round(cell, name, COST) for depth, name in names.items()}

    def ratios(one: int, other: int) -> list[list[float]]:  # of parts measured side by side
        return results.round_ratios(cell, names[one], names[other], COST)

    found = knee.find(costs, ratios, noise_reach(COST, noise) * 100)
    rounds = min((len(one) for one in costs.values() if one), default=0)
    change = found.change and dict(zip(("median", "low", "high"), found.change))
    entry = {"cell": cell.id, **cell.factors, "depth": found.depth, "best": found.best, "other": found.other}
    entry |= {"change": change, "dearer": list(found.dearer), "alike": found.alike}
    return {**entry, "text": knee.sentence(found, sorted(costs), where(cell.factors), rounds)}


def epoll_there(cell: Cell, depth: int | None, noise: Noise | None) -> list[str]:
    """How io_uring at the knee compares with epoll, where both were measured."""
    at_knee = next((one["name"] for one in cell.variants if depth and depth_of(one) == depth), None)
    found = results.ratio(cell, at_knee, "epoll", noise=noise) if at_knee and "epoll" in cell.names else None
    return [f"{where(cell.factors)}: {found.verdict}"] if found else []


def conclude(extra: Mapping[str, Any], against: Sequence[str]) -> list[str]:
    """The knees, then io_uring against epoll there, then what was not measured."""
    texts = [*(one["text"] for one in extra["knees"]), *against]
    return [*map(capital, texts), *(f"Not measured: {where(o)}: {o['why']}." for o in extra["skipped"])]


def printed(run: results.Run) -> list[list[str]]:
    """A row for each place of the grid, as HEADER has it, against the default depth or the best."""
    found = []
    for row in run.extra["grid"]:
        mine = [one for one in run.extra["grid"] if one["cell"] == row["cell"] and one["depth"] and one["cost_us"]]
        best = min(mine, key=lambda one: one["cost_us"]["median"], default=None)
        base = next((one for one in mine if one["depth"] == DEFAULT_DEPTH), best)
        ratio = experiment.paired(run.cell(row["cell"]), row["variant"], base["variant"]) if base else None
        cost, per_second = experiment.shown(row["cost_us"], ".2f"), experiment.shown(row["per_second"])
        against = "1" if base is row else experiment.shown_ratio(ratio)
        depths = [str(one["depth"] or "–") if one else "–" for one in (row, base)]
        found.append([f"{row['engine']}, {where(row)}", depths[0], cost, per_second, depths[1], against])
    return found


def run(options: argparse.Namespace) -> int:
    def take(session: Any) -> None:
        measure(session, options)
        if not session.run.cells:
            raise SubjectError("sweep: nothing is left to measure")

    return experiment.run(f"Ring depth, {options.workload}", options, take, HEADER, printed)
