"""torc-bench scale: throughput and cost per request over core counts, with a scalability law.

All core counts and engines are variants of one cell, so that rounds pair them; all have the same
number of connections, for the question is what another core brings to the same clients. Throughput
shows the capacity of the server only where the server was saturated on CPUs of its own. Elsewhere
the fit takes cores ÷ CPU per request: what the cores could serve at that cost.
"""

import argparse
import dataclasses
import math
from typing import Any, Mapping, Sequence

from . import experiment, results, stats, usl, words, workloads
from .experiment import Experiment
from .subject import Variant
from .subjects import ENGINES
from .verdict import Noise, Verdict
from .words import COST, capital, say

SHARED = "server and load shared CPUs"
SUMMARY = "measure throughput and cost per request over core counts, and fit where throughput peaks"
CELL = "cores"
MOST_COUNTS = 8  # that are chosen when none are given
CONNECTIONS_PER_CORE = 64  # at least, of the largest server
DRAWN_BEYOND = 2.0  # how far past the measured core counts the curve goes
HEADER = ("", "CPU µs/request", "requests/s", "capacity", "cost ÷ fewer cores", "limits")


def variant(engine: str, cores: int) -> Variant:
    return Variant(f"{engine} cores={cores}", f"{ENGINES[engine]}, {words.cores(cores)}", engine, (), cores)


def add_options(parser: argparse.ArgumentParser) -> None:
    experiment.add_options(parser, lists=("--cores", "--engines"))


def counts(affinity: Sequence[int]) -> list[int]:
    """Every core count that leaves the load CPUs of its own, where those are three or more; else all.

    Of more than eight, eight that are spread evenly in proportion.
    """
    every = range(1, len(affinity) + 1)
    apart = [count for count in every if not experiment.shares_cpus(affinity, count)]
    able = apart if len(apart) >= usl.FEWEST else list(every)
    if len(able) <= MOST_COUNTS:
        return able
    return sorted({round(len(able) ** (i / (MOST_COUNTS - 1))) for i in range(MOST_COUNTS)})


def measure(session: Any, options: argparse.Namespace) -> None:
    run, asked = session.run, workloads.WORKLOADS[options.workload]
    available = len(session.affinity)
    wanted = options.core_counts or counts(session.affinity)
    todo = [count for count in wanted if count <= available]
    skipped = [{"cores": count, "why": f"{count} cores of {available} CPUs"} for count in wanted if count > available]
    for entry in skipped:
        session.note(f"skipped: {entry['why']}")
    extra = {"workload": asked.name, "basis": None, "basis_text": "", "cores": todo, "engines": options.engines}
    extra |= {"points": [], "steps": [], "fits": dict.fromkeys(options.engines), "cannot": [], "skipped": skipped}
    run.extra = extra
    points = [variant(engine, count) for count in todo for engine in options.engines]
    session.refuse_missing(points or [variant(options.engines[0], min(wanted))])
    if points:
        least = max(asked.connections, CONNECTIONS_PER_CORE * max(todo))
        whole = Experiment(session, session.sized(dataclasses.replace(asked, connections=least)))
        experiment.expect(f"{asked.name}:", (whole, [("noise", 2 * whole.pairs), (CELL, whole.pairs * len(points))]))
        whole.noise(points[0])
        cell = whole.cell(CELL, points, {"connections": whole.asked.connections})
        evaluate(run, cell, points, session.affinity)
    run.conclusions = conclude(extra)


def evaluate(run: results.Run, cell: results.Cell, points: Sequence[Variant], affinity: Sequence[int]) -> None:
    extra = run.extra
    shared = {point.cores: experiment.shares_cpus(affinity, point.cores) for point in points}
    states = {point: experiment.saturated(cell, point.name) for point in points}
    extra["basis"], extra["basis_text"] = basis(states, shared)
    capacity = {point: _capacity(cell, point, extra["basis"]) for point in points}
    for point in points:
        found = experiment.place(cell, dataclasses.asdict(point))
        found["capacity"] = experiment.figure(capacity[point].values())
        extra["points"].append({**found, "load_bound": states[point] == "load", "shared_cpus": shared[point.cores]})
    for engine in extra["engines"]:
        mine = [point for point in points if point.subject == engine and cell.valid(point.name)]
        extra["steps"] += [step(cell, one, other, shared[other.cores], run.noise) for one, other in zip(mine, mine[1:])]
        extra["fits"][engine] = fit(engine, {point.cores: capacity[point] for point in mine}, extra["basis"])
    extra["cannot"] = cannot(extra, shared)


def basis(states: Mapping[Variant, str | None], shared: Mapping[int, bool]) -> tuple[str, str]:
    """Whether throughput or cost shows what the server can do, with the reason."""
    measured = {point: state for point, state in states.items() if state}
    counts = {
        "the load generator was the bottleneck": {p.cores for p, state in measured.items() if state == "load"},
        "neither side was saturated": {p.cores for p, state in measured.items() if state == "neither"},
        SHARED: {point.cores for point in measured if shared[point.cores]},
    }
    wrong = set().union(*counts.values())
    if not wrong:
        return "throughput", "The server was saturated on CPUs of its own at every core count."
    clean = sorted({point.cores for point in measured} - wrong)
    reasons = [(why, sorted(found)) for why, found in counts.items() if found]
    return "cost", say("basis", reasons, clean if len(clean) >= usl.FEWEST else [])


def _capacity(cell: results.Cell, point: Variant, basis: str) -> dict[int, float]:
    """Round to requests/s that the cores can serve."""
    if basis == "throughput":
        return results.by_round(cell, point.name, "per_second")
    costs = results.by_round(cell, point.name, COST)
    return {number: point.cores * 1e9 / cost for number, cost in costs.items() if cost > 0}


def step(cell: results.Cell, one: Variant, other: Variant, shared: bool, noise: Noise | None) -> dict[str, Any]:
    """What going from one core count to the next does to the cost per request."""
    ratio = experiment.paired(cell, other.name, one.name)
    text = say("step", f"{one.label} → {other.cores}", Verdict.of(COST, ratio, noise), shared)
    found = {"engine": one.subject, "from": one.cores, "to": other.cores, "ratio": ratio}
    return {**found, "shared_cpus": shared, "text": text}


def fit(engine: str, capacity: Mapping[int, Mapping[int, float]], basis: str) -> dict[str, Any] | None:
    """The law's coefficients and its curve; None with too few core counts."""
    usable = {cores: rounds for cores, rounds in capacity.items() if rounds}
    if len(usable) < usl.FEWEST:
        return None
    found, least, most = usl.fit_rounds(usable), min(usable), max(usable)

    def placed(name: str, interval: stats.Interval) -> dict[str, Any]:
        figures = {name: interval.median, "low": interval.low, "high": interval.high}
        return {key: value if math.isfinite(value) else None for key, value in figures.items()}

    curve = [(cores, not least <= cores <= most) for cores in range(1, math.ceil(most * DRAWN_BEYOND) + 1)]
    return {
        "lambda": experiment.bounds(found.rate),
        "sigma": experiment.bounds(found.contention),
        "kappa": experiment.bounds(found.coherence),
        "points": found.points,
        "confidence": "good" if found.points >= usl.GOOD else "indicative",
        "worst_residual": found.fit.worst,
        "peak": {**placed("cores", found.peak), "extrapolated": found.peak.median > most},
        "curve": [{"cores": n, **placed("per_second", found.at(n)), "extrapolated": far} for n, far in curve],
        "text": say("fitted", ENGINES[engine], found, most, DRAWN_BEYOND * most, usl.GOOD, basis == "cost"),
    }


def cannot(extra: Mapping[str, Any], shared: Mapping[int, bool]) -> list[str]:
    """What these figures do not show."""
    found = []
    for engine in [engine for engine, one in extra["fits"].items() if one is None]:
        have = len([p for p in extra["points"] if p["engine"] == engine and p["samples"]])
        found.append(say("no_fit", ENGINES[engine], have, usl.FEWEST))
    sharing = [count for count, is_shared in shared.items() if is_shared]
    return found + ([say("interference", min(sharing), SHARED)] if sharing else [])


def conclude(extra: Mapping[str, Any]) -> list[str]:
    """That CPUs were shared before all, then fits, steps, and what the figures do not show."""
    first = [text for text in extra["cannot"] if SHARED in text]
    found = first + [one["text"] for one in [*extra["fits"].values(), *extra["steps"]] if one]
    found += [extra["basis_text"]] * (extra["basis"] == "cost")
    found += [text for text in extra["cannot"] if text not in first]
    return [*map(capital, found), *(f"Not measured: {entry['why']}." for entry in extra["skipped"])]


def rows(run: results.Run) -> list[list[str]]:
    steps, found = {(one["engine"], one["to"]): one["ratio"] for one in run.extra["steps"]}, []
    for one in run.extra["points"]:
        place, shared = (one["engine"], one["cores"]), one["shared_cpus"]
        cost, per_second = experiment.shown(one["cost_us"], ".2f"), experiment.shown(one["per_second"])
        capacity = experiment.shown(None if shared else one["capacity"])
        limits = "shared CPUs" if shared else "load" if one["load_bound"] else ""
        found.append(
            [variant(*place).label, cost, per_second, capacity, experiment.shown_ratio(steps.get(place)), limits]
        )
    return found


def run(options: argparse.Namespace) -> int:
    title = f"core counts, {options.workload}"
    return experiment.run(title, options, lambda session: measure(session, options), HEADER, rows)
