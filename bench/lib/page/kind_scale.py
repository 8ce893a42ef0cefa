"""Throughput and cost over cores, and the law fitted to it."""

import math
import statistics
from typing import Any, Mapping, Sequence

from .. import results
from ..subjects import ENGINES
from ..words import COST
from . import numbers, plots, svg
from .kind_compare import measured
from .render import Table, toned, transposed

LAW = "Universal Scalability Law, X(n) = λn ÷ (1 + σ(n−1) + κn(n−1)), with 95 % intervals"
RESERVATIONS = {"load_bound": "load generator saturated", "shared_cpus": "CPUs shared with the load"}
Rounds = dict[int, list[float]]  # cores -> a value for each round


def engines(run: results.Run) -> dict[str, str]:
    """The engines in their order, each with what people call it."""
    names = [*run.extra["engines"], *(point["engine"] for point in run.extra["points"])]
    return {name: ENGINES.get(name, name) for name in names}


def rounds(run: results.Run, engine: str, metric: str) -> Rounds:
    """An engine's samples of a metric by core count, cost in µs; `capacity` is what the fit used."""
    found: Rounds = {}
    by_cost = metric == "capacity" and run.extra["basis"] == "cost"
    field = COST if by_cost or metric == COST else "per_second"
    for cell in measured(run):
        for variant in cell.variants:
            values = plots.rounds_of(cell, variant["name"], field)
            if by_cost:
                values = [variant["cores"] * 1e6 / one for one in values if one > 0]
            if values and variant["subject"] == engine:
                found.setdefault(variant["cores"], []).extend(values)
    return dict(sorted(found.items()))


def keys(run: results.Run) -> list[tuple[str, int]]:
    """The legend of the plots."""
    return [(label, index) for index, label in enumerate(engines(run).values())]


def fits(run: results.Run) -> dict[str, Mapping[str, Any]]:
    """The laws that could be fitted."""
    return {engine: fit for engine, fit in run.extra["fits"].items() if fit}


def texts(run: results.Run) -> list[str]:
    """What the run says of single steps and cannot say, unless it is among the conclusions."""
    lines = [*(row.get("text") for row in run.extra["steps"]), *run.extra["cannot"]]
    return [line for line in lines if line and line not in run.conclusions]


def plot(axes: Any, run: results.Run, metric: str) -> None:
    """Rounds with their medians over core counts; of `capacity` with the fitted curves instead, and
    their extrapolation."""
    names = list(engines(run))
    seen = {index: found for index, name in enumerate(names) if (found := rounds(run, name, metric))}
    if not seen:
        return
    svg.set_height(axes, 250)
    counts = sorted({cores for found in seen.values() for cores in found})
    last, far = counts[-1], float(counts[-1])
    top = max(one for found in seen.values() for some in found.values() for one in some)
    for index, found in seen.items():
        curve = fits(run).get(names[index], {}).get("curve") if metric == "capacity" else None
        apart = (max(found) - min(found) or 1) * 0.012 * (index - (len(names) - 1) / 2)
        plots.rounds(axes, found, index, apart, 3.5, line=not curve)
        if curve:
            _curve(axes, [point for point in curve if counts[0] <= point["cores"] <= last], svg.series(index), "-")
            _curve(axes, [point for point in curve if point["cores"] >= last], svg.series(index), (0, (4, 3)))
            far = max(far, curve[-1]["cores"])
            top = max(top, *(point["per_second"] for point in curve))
    if far > last:
        axes.axvspan(last, far, color=svg.SOFT, alpha=0.08, linewidth=0)
        axes.axvline(last, color=svg.SOFT, linewidth=0.8)
        place = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        axes.text((last + far) / 2, 0.03, "extrapolated", color=svg.SOFT, **place)
    low = min(counts[0], 1) if far > last else counts[0]
    air = (far - low or 1) * 0.05
    axes.set_xlim(low - air, far + air)
    axes.set_xticks(range(low, int(far) + 1, max(1, math.ceil((far - low) / 8))))
    axes.set_ylim(0, top * 1.13)
    axes.yaxis.set_major_formatter(numbers.compact)
    axes.set_xlabel("cores")
    axes.set_ylabel("requests/s" if metric == "capacity" else "µs per request")


def _curve(axes: Any, points: Sequence[Mapping[str, Any]], colour: str, style: Any) -> None:
    """A part of a fitted curve with its band."""
    x, y, low, high = ([point[key] for point in points] for key in ("cores", "per_second", "low", "high"))
    axes.plot(x, y, color=colour, linestyle=style, gid=svg.MARK)
    axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)


def law(run: results.Run) -> Table:
    """The coefficients with their intervals."""
    made = fits(run).values()

    def intervals(name: str, by: float = 1, decimals: int = 0) -> list[str]:
        bounds = [[numbers.number(fit[name][key] * by, decimals) for key in ("median", "low", "high")] for fit in made]
        return [f"{median} ({low}–{high})" for median, low, high in bounds]

    def peak(cores: float | None = None, extrapolated: bool = False, **_: Any) -> str:
        return numbers.number(cores) + " (extrapolated)" * extrapolated if cores else "none in sight"

    columns = {
        "Engine": [ENGINES.get(engine, engine) for engine in fits(run)],
        "λ, one core|requests/s": intervals("lambda"),
        "σ, contention|%": intervals("sigma", 100, 2),
        "κ, coherence|%": intervals("kappa", 100, 3),
        "Peak|cores": [peak(**fit["peak"] or {}) for fit in made],
        "Largest residual|%": [numbers.number(fit["worst_residual"] * 100, 1) for fit in made],
        "Core counts|fitted": [fit["points"] for fit in made],
        "Confidence": [toned(fit["confidence"], "good" if fit["confidence"] == "good" else "warn") for fit in made],
    }
    return transposed(LAW, columns)


def table(run: results.Run) -> Table:
    """Every core count of every engine."""
    rows = []
    points = {(one["engine"], one["cores"]): one for one in run.extra["points"]}
    for engine, name in engines(run).items():
        rates, costs = rounds(run, engine, "per_second"), rounds(run, engine, COST)
        first = statistics.median(rates[min(rates)]) / min(rates) if rates else 0.0
        for cores, some in rates.items():
            rate, cost = statistics.median(some), statistics.median(costs.get(cores) or [math.nan])
            speedup = rate / first if first else math.nan
            point = points.get((engine, cores), {})
            held = "; ".join(text for flag, text in RESERVATIONS.items() if point.get(flag)) or "none"
            share = numbers.number(speedup / cores * 100)
            figures = [numbers.number(rate), numbers.number(speedup, 2), share, numbers.number(cost, 2)]
            rows.append([name, cores, *figures, len(some), held])
    heads = ["Engine", "Cores", "Requests|per s", "Speed-up|×", "Efficiency|%", "CPU per request|µs", "Valid|rounds"]
    return Table("Measured, medians over the rounds", [*heads, "Reservation"], rows)
