"""torc-bench scale: throughput and cost per request over core counts, with a scalability law.

All core counts and engines are variants of one cell, so that rounds pair them; the connections are
the same for all, for the question is what another core brings to the same clients. Throughput says
what the server can do only where the server was saturated on CPUs of its own. Where it was not, the
fit takes cores ÷ CPU per request instead: what the cores could serve at that cost.

`extra` of the run:
    {"workload", "basis": "throughput"|"cost", "basis_text", "cores": [n], "engines": [name],
     "points": [{"cell", "engine", "variant", "cores", "samples", "cost_us": I, "per_second": I,
                 "capacity": I (requests/s that the fit saw), "load_bound", "shared_cpus"}],
     "steps": [{"engine", "from", "to", "ratio": R (cost at `to` ÷ cost at `from`), "shared_cpus",
                "text"}],
     "fits": {engine: {"lambda": I, "sigma": I, "kappa": I, "points": n,
                       "confidence": "good"|"indicative", "worst_residual": fraction,
                       "peak": {"cores", "low", "high", "extrapolated"} (None: no peak in it),
                       "curve": [{"cores", "per_second", "low", "high", "extrapolated"}],
                       "text"} | None},
     "cannot": [str], "skipped": [{"cores", "why"}]}
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from . import experiment, results, usl, workloads
from .experiment import COST, US
from .session import Session
from .subject import Variant
from .subjects import ENGINES

SHARED = "server and load shared CPUs"
SUMMARY = "throughput and cost per request over core counts, with a fit that says where it peaks"
CELL = "cores"
MOST_COUNTS = 8  # that are chosen when none are given
CONNECTIONS_PER_CORE = 64  # at least, of the largest server
SERVER_FULL = ("server", "both")
DRAWN_BEYOND = 2.0  # how far past the measured core counts the curve goes


@dataclass(frozen=True)
class Point:
    """One engine on one core count."""

    engine: str
    cores: int

    @property
    def variant(self) -> Variant:
        """In the cell."""
        name = f"{self.engine} cores={self.cores}"
        label = f"{ENGINES[self.engine]}, {experiment.cores_text(self.cores)}"
        return Variant(name, label, self.engine, (), self.cores)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of scale."""
    experiment.add_options(parser, lists=("--cores",))
    parser.add_argument(
        "--engines",
        type=experiment.engines,
        metavar="LIST",
        default=["io_uring", "epoll"],
        help="engines (io_uring,epoll)",
    )


def counts(affinity: Sequence[int]) -> list[int]:
    """Every core count that leaves the load CPUs of its own, where that makes three; else all.

    Of more than eight, eight that are spread evenly in proportion.
    """
    every = range(1, len(affinity) + 1)
    apart = [count for count in every if not experiment.shares_cpus(affinity, count)]
    able = apart if len(apart) >= usl.FEWEST else list(every)
    if len(able) <= MOST_COUNTS:
        return able
    return sorted({round(len(able) ** (i / (MOST_COUNTS - 1))) for i in range(MOST_COUNTS)})


def measure(session: Any, options: argparse.Namespace) -> None:
    """Takes the cell and concludes from it."""
    run, asked = session.run, workloads.WORKLOADS[options.workload]
    available = len(session.affinity)
    wanted = options.core_counts or counts(session.affinity)
    todo = [count for count in wanted if count <= available]
    skipped = [{"cores": count, "why": f"{count} cores of {available} CPUs"} for count in wanted if count > available]
    for entry in skipped:
        session.note(f"skipped: {entry['why']}")
    run.extra = {
        "workload": asked.name,
        "basis": None,
        "basis_text": "",
        "cores": todo,
        "engines": options.engines,
        "points": [],
        "steps": [],
        "fits": dict.fromkeys(options.engines),
        "cannot": [],
        "skipped": skipped,
    }
    if not todo:
        session.refuse_missing([Point(options.engines[0], min(wanted)).variant])
        run.conclusions = conclude(run.extra)
        return
    least = max(asked.connections, CONNECTIONS_PER_CORE * max(todo))
    asked = session.sized(experiment.with_connections(asked, least))
    pairs, seconds = experiment.pairs(session, asked), session.seconds(asked)
    points = [Point(engine, count) for count in todo for engine in options.engines]
    session.refuse_missing([point.variant for point in points])
    experiment.expect(session, asked, [("noise", 2 * pairs), (CELL, pairs * len(points))])
    session.noise(asked, points[0].variant, pairs, seconds)
    cell = session.cell(
        CELL,
        asked,
        [point.variant for point in points],
        pairs,
        seconds,
        {"connections": asked.connections},
        metrics=(COST,),
    )
    evaluate(run, cell, points, session.affinity)


def evaluate(run: results.Run, cell: results.Cell, points: Sequence[Point], affinity: Sequence[int]) -> None:
    """Fills extra and the conclusions from the samples."""
    extra = run.extra
    shared = {point.cores: experiment.shares_cpus(affinity, point.cores) for point in points}
    states = {point: experiment.saturated(cell, point.variant.name) for point in points}
    known = [point for point in points if states[point] is not None]
    bound = [point for point in known if states[point] not in SERVER_FULL]
    sharing = [point for point in known if shared[point.cores]]
    extra["basis"], extra["basis_text"] = basis(bound, sharing, states)
    capacity = {point: _capacity(cell, point, extra["basis"]) for point in points}
    for point in points:
        name = point.variant.name
        extra["points"].append(
            {
                "cell": cell.id,
                "engine": point.engine,
                "variant": name,
                "cores": point.cores,
                "samples": len(cell.valid(name)),
                "cost_us": experiment.metric(cell, name, COST, US),
                "per_second": experiment.metric(cell, name, "per_second"),
                "capacity": experiment.figure(list(capacity[point].values())),
                "load_bound": states[point] == "load",
                "shared_cpus": shared[point.cores],
            }
        )
    for engine in extra["engines"]:
        mine = [point for point in points if point.engine == engine and cell.valid(point.variant.name)]
        extra["steps"] += [step(cell, one, other, shared[other.cores], run.noise) for one, other in zip(mine, mine[1:])]
        extra["fits"][engine] = fit(engine, {point.cores: capacity[point] for point in mine}, extra["basis"])
    extra["cannot"] = cannot(extra, shared)
    run.conclusions = conclude(extra)


def basis(bound: Sequence[Point], shared: Sequence[Point], states: Mapping[Point, str | None]) -> tuple[str, str]:
    """Whether throughput or cost says what the server can do, with the reason."""
    if not bound and not shared:
        return "throughput", "The server was saturated on CPUs of its own at every core count."
    why = []
    by_load = sorted({point.cores for point in bound if states[point] == "load"})
    idle = sorted({point.cores for point in bound if states[point] == "neither"})
    sharing = sorted({point.cores for point in shared})
    if by_load:
        why.append(f"the load generator was the bottleneck at {_listed(by_load)}")
    if idle:
        why.append(f"neither side was saturated at {_listed(idle)}")
    if sharing:
        why.append(f"server and load shared CPUs at {_listed(sharing)}")
    text = "; ".join(why)
    text = (
        f"{text[0].upper()}{text[1:]}: throughput does not say what the server can do, so its "
        "capacity is taken as cores ÷ CPU per request, which does not see time lost in "
        "waiting."
    )
    wrong = {point.cores for point in (*bound, *shared)}
    clean = [count for count in sorted({point.cores for point in states}) if count not in wrong]
    if len(clean) >= usl.FEWEST:
        text += f" With --cores {','.join(map(str, clean))} throughput would do."
    return "cost", text


def _listed(cores: Sequence[int]) -> str:
    return f"{', '.join(map(str, cores))} {'core' if list(cores) == [1] else 'cores'}"


def _capacity(cell: results.Cell, point: Point, basis: str) -> dict[int, float]:
    """Round to requests/s that the cores can serve."""
    if basis == "throughput":
        return results.by_round(cell, point.variant.name, "per_second")
    costs = results.by_round(cell, point.variant.name, COST)
    return {number: point.cores * 1e9 / cost for number, cost in costs.items() if cost > 0}


def step(
    cell: results.Cell, one: Point, other: Point, shared: bool, noise: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What going from one core count to the next does to the cost per request."""
    ratio = experiment.paired(results.ratio(cell, other.variant.name, one.variant.name))
    kind = experiment.kind(ratio)
    lead = f"{ENGINES[one.engine]}, {experiment.cores_text(one.cores)} → {other.cores}"
    if ratio is None or kind == "unmeasured":
        text = f"{lead}: not measured."
    else:
        low, high, middle = ((ratio[key] - 1) * 100 for key in ("low", "high", "median"))
        more = "less" if kind == "saves" else "more"
        text = f"{lead}: "
        text += (
            f"no difference in CPU per request detectable within ±{max(abs(low), high):.1f} %"
            if kind == "none"
            else f"{abs(middle):.1f} % {more} CPU per request ({experiment.span(low, high)})"
        )
        text += results.beside_noise(COST, ratio["low"], ratio["high"], noise)
        text += ", with server and load sharing CPUs." if shared else "."
    return {
        "engine": one.engine,
        "from": one.cores,
        "to": other.cores,
        "ratio": ratio,
        "shared_cpus": shared,
        "text": text,
    }


def fit(engine: str, capacity: Mapping[int, Mapping[int, float]], basis: str) -> dict[str, Any] | None:
    """The law's coefficients and its curve; None with too few core counts."""
    usable = {cores: rounds for cores, rounds in capacity.items() if rounds}
    if len(usable) < usl.FEWEST:
        return None
    found = usl.fit_rounds(usable)
    most = max(usable)
    good = found.points >= usl.GOOD
    peak = {
        "cores": _finite(found.peak.median),
        "low": _finite(found.peak.low),
        "high": _finite(found.peak.high),
        "extrapolated": found.peak.median > most,
    }
    curve = []
    for cores in range(1, math.ceil(most * DRAWN_BEYOND) + 1):
        at = found.at(cores)
        curve.append(
            {
                "cores": cores,
                "per_second": at.median,
                "low": at.low,
                "high": at.high,
                "extrapolated": not min(usable) <= cores <= most,
            }
        )
    return {
        "lambda": _figure(found.rate),
        "sigma": _figure(found.contention),
        "kappa": _figure(found.coherence),
        "points": found.points,
        "confidence": "good" if good else "indicative",
        "worst_residual": found.fit.worst,
        "peak": peak,
        "curve": curve,
        "text": fit_text(engine, found, most, basis),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _figure(bounds: usl.Interval) -> dict[str, float]:
    return {"median": bounds.median, "low": bounds.low, "high": bounds.high}


def fit_text(engine: str, found: usl.Uncertain, most: int, basis: str) -> str:
    """Where it peaks, as far as the points can say."""
    lead = f"{ENGINES[engine]}: "
    peak = found.peak
    if not math.isfinite(peak.median) or peak.low > DRAWN_BEYOND * most:
        text = f"no peak in sight: it still scales at {most} cores"
        if math.isfinite(peak.low):
            text += f" (a peak before {peak.low:.0f} cores is ruled out by the fit)"
    else:
        high = f"{peak.high:.0f}" if math.isfinite(peak.high) else "no end"
        text = f"throughput is predicted to peak at {peak.median:.0f} cores " f"({peak.low:.0f} to {high})"
        if peak.median > most:
            text += f", which is extrapolated from {most} at most"
    text += (
        f"; contention σ {found.contention.median * 100:.2f} %, " f"coherence κ {found.coherence.median * 100:.3f} %"
    )
    if basis == "cost":
        text += ", judged by cost per request"
    if found.points < usl.GOOD:
        text += f"; {found.points} core counts for three coefficients are an indication only"
    return lead + text + "."


def cannot(extra: Mapping[str, Any], shared: Mapping[int, bool]) -> list[str]:
    """What these figures do not allow to say."""
    found = []
    for engine, one in extra["fits"].items():
        if one is None:
            have = len([p for p in extra["points"] if p["engine"] == engine and p["samples"]])
            found.append(
                f"{ENGINES[engine]}: {have} core count{'' if have == 1 else 's'} measured, and the "
                f"scalability law has {usl.FEWEST} coefficients: nothing can be said about "
                "contention, coherence, or where throughput would peak; use a machine with more "
                "CPUs."
            )
    if any(shared.values()):
        count = next(count for count, is_shared in sorted(shared.items()) if is_shared)
        found.append(
            f"From {experiment.cores_text(count)} on, {SHARED}: those "
            "figures hold the load's interference too, and throughput there says nothing "
            "about scaling."
        )
    if extra["basis"] == "cost":
        found.append(
            "Time that cores lose in waiting for each other without using CPU is not seen "
            "where capacity is taken from cost per request."
        )
    return found


def conclude(extra: Mapping[str, Any]) -> list[str]:
    """Fits first, then steps, then what cannot be said; before all that CPUs were shared."""
    said_first = [text for text in extra["cannot"] if SHARED in text]
    found = said_first + [one["text"] for one in extra["fits"].values() if one]
    found += [one["text"] for one in extra["steps"]]
    if extra["basis"] == "cost":
        found.append(extra["basis_text"])
    found += [text for text in extra["cannot"] if text not in said_first]
    found += [f"Not measured: {entry['why']}." for entry in extra["skipped"]]
    return [text[0].upper() + text[1:] if not text.startswith("torc") else text for text in found]


def rows(extra: Mapping[str, Any]) -> list[list[str]]:
    """A row for each engine and core count, as HEADER has it."""
    steps = {(one["engine"], one["to"]): one for one in extra["steps"]}
    found = []
    for point in extra["points"]:
        step_to = steps.get((point["engine"], point["cores"]))
        full = "load" if point["load_bound"] else ""
        found.append(
            [
                f"{ENGINES[point['engine']]}, {experiment.cores_text(point['cores'])}",
                experiment.shown(point["cost_us"], ".2f"),
                experiment.shown(point["per_second"]),
                experiment.shown(None if point["shared_cpus"] else point["capacity"]),
                experiment.shown_ratio(step_to and step_to["ratio"]),
                "shared CPUs" if point["shared_cpus"] else full,
            ]
        )
    return found


HEADER = ("", "CPU µs/request", "requests/s", "capacity", "cost ÷ fewer cores", "limits")


def run(options: argparse.Namespace) -> int:
    """The subcommand."""
    with Session("scale", options, f"core counts, {options.workload}") as session:
        measure(session, options)
        experiment.print_table(session, HEADER, rows(session.run.extra))
        experiment.print_conclusions(session.run)
        return session.finish()
