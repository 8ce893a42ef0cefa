"""Throughput and cost over cores, and the law fitted to it."""

from __future__ import annotations

import math
import statistics
from typing import Any, Mapping, Sequence

from .. import results
from ..subjects import ENGINES
from . import numbers, svg
from .kind_compare import measured
from .looks import Key
from .render import Table, toned

COST = results.COST
LAW = "Universal Scalability Law, X(n) = λn ÷ (1 + σ(n−1) + κn(n−1)), with 95 % intervals"
RESERVATIONS = {"load_bound": "load generator saturated", "shared_cpus": "CPUs shared with the load"}
Rounds = dict[int, list[float]]  # cores -> a value for each round


def engines(run: results.Run) -> list[str]:
    """The engines in their order."""
    points = run.extra.get("points") or []
    return list(dict.fromkeys([*(run.extra.get("engines") or []), *(point["engine"] for point in points)]))


def keys(run: results.Run) -> list[Key]:
    """The legend of the plots."""
    return [(ENGINES.get(name, name), index) for index, name in enumerate(engines(run))]


def rounds(run: results.Run, engine: str, metric: str) -> Rounds:
    """An engine's samples of a metric by core count; `capacity` is what the fit used."""
    found: Rounds = {}
    by_cost = metric == "capacity" and run.extra.get("basis") == "cost"
    field = "per_second" if metric == "capacity" and not by_cost else COST if by_cost else metric
    for cell in measured(run):
        for variant in cell.variants:
            values = list(results.by_round(cell, variant["name"], field).values())
            if by_cost:
                values = [variant["cores"] * 1e9 / one for one in values if one > 0]
            if values and variant["subject"] == engine:
                found.setdefault(variant["cores"], []).extend(values)
    return dict(sorted(found.items()))


def fits(run: results.Run) -> dict[str, Mapping[str, Any]]:
    """The laws that could be fitted."""
    return {engine: fit for engine, fit in (run.extra.get("fits") or {}).items() if fit}


def texts(run: results.Run) -> list[str]:
    """What the run says of single steps and cannot say, unless it is among the conclusions."""
    lines = [*(row.get("text") for row in run.extra.get("steps") or []), *(run.extra.get("cannot") or [])]
    return [line for line in lines if line and line not in run.conclusions]


def _base(run: results.Run, metric: str, by: float, width: float) -> tuple[Any, Any, dict[int, Rounds]] | None:
    """Axes with the dots of every round, engines a little apart, and each engine's rounds."""
    names = engines(run)
    seen = {index: rounds(run, name, metric) for index, name in enumerate(names)}
    seen = {index: {n: [one / by for one in some] for n, some in found.items()} for index, found in seen.items()}
    seen = {index: found for index, found in seen.items() if found}
    if not seen:
        return None
    made, axes = svg.figure(250, width)
    for index, found in seen.items():
        apart = (max(found) - min(found) or 1) * 0.012 * (index - (len(names) - 1) / 2)
        for cores, some in found.items():
            axes.plot([cores + apart] * len(some), some, **svg.dots(index, 3.5, 0.45))
    axes.yaxis.set_major_formatter(numbers.compact)
    axes.set_xlabel("cores")
    return made, axes, seen


def _medians(axes: Any, index: int, found: Rounds, **more: Any) -> None:
    axes.plot(list(found), [statistics.median(some) for some in found.values()], **{**more, **svg.line(index)})


def throughput(run: results.Run, width: float = svg.WIDTH) -> Any:
    """Rounds, the fitted curves, and their extrapolation."""
    based = _base(run, "capacity", 1, width)
    if based is None:
        return None
    made, axes, seen = based
    counts = sorted({cores for found in seen.values() for cores in found})
    names, last = engines(run), counts[-1]
    top = max(one for found in seen.values() for some in found.values() for one in some)
    far = float(last)
    for index, found in seen.items():
        curve = fits(run).get(names[index], {}).get("curve")
        if not curve:
            _medians(axes, index, found)
            continue
        far = max(far, curve[-1]["cores"])
        top = max(top, *(point["per_second"] for point in curve))
        inside = [point for point in curve if counts[0] <= point["cores"] <= last]
        outside = [point for point in curve if point["cores"] >= last]
        _curve(axes, inside, svg.series(index))
        _curve(axes, outside, svg.series(index), linestyle=(0, (4, 3)), linewidth=1.3)
    if far > last:
        axes.axvspan(last, far, color=svg.SOFT, alpha=0.08, linewidth=0)
        axes.axvline(last, color=svg.SOFT, linewidth=0.8)
        place = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        axes.text((last + far) / 2, 0.03, "extrapolated", color=svg.SOFT, **place)
    _core_axis(axes, min(counts[0], 1) if far > last else counts[0], far)
    axes.set_ylim(0, top * 1.12)
    axes.set_ylabel("requests/s")
    return made


def _curve(axes: Any, points: Sequence[Mapping[str, Any]], colour: str, **style: Any) -> None:
    """A part of a fitted curve with its band."""
    x, y, low, high = ([point[key] for point in points] for key in ("cores", "per_second", "low", "high"))
    axes.plot(x, y, color=colour, gid="mark", **style)
    axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)


def cost(run: results.Run, width: float = svg.WIDTH) -> Any:
    """CPU per request over core counts."""
    based = _base(run, COST, 1000, width)
    if based is None:
        return None
    made, axes, seen = based
    for index, found in seen.items():
        _medians(axes, index, found, **svg.dots(index) | {"markeredgewidth": 1})
    counts = [cores for found in seen.values() for cores in found]
    _core_axis(axes, min(counts), max(counts))
    axes.set_ylim(0, max(one for found in seen.values() for some in found.values() for one in some) * 1.15)
    axes.set_ylabel("µs per request")
    return made


def _core_axis(axes: Any, low: int, high: float) -> None:
    air = (high - low or 1) * 0.05
    axes.set_xlim(low - air, high + air)
    axes.set_xticks(range(low, int(high) + 1, max(1, math.ceil((high - low) / 8))))


def law(run: results.Run) -> Table:
    """The coefficients with their intervals."""
    rows = []
    for engine, fit in fits(run).items():
        peak = fit["peak"] or {}
        at = numbers.number(peak["cores"]) if peak.get("cores") else "none in sight"
        rows.append(
            [
                ENGINES.get(engine, engine),
                _interval(fit["lambda"]),
                _interval(fit["sigma"], 100, 2),
                _interval(fit["kappa"], 100, 3),
                at + " (extrapolated)" * bool(peak.get("cores") and peak.get("extrapolated")),
                numbers.number(fit["worst_residual"] * 100, 1),
                fit["points"],
                toned(fit["confidence"], "good" if fit["confidence"] == "good" else "warn"),
            ]
        )
    heads = [
        "Engine",
        "λ, one core|requests/s",
        "σ, contention|%",
        "κ, coherence|%",
        "Peak|cores",
        "Largest residual|%",
        "Core counts|fitted",
        "Confidence",
    ]
    return Table(LAW, heads, rows)


def _interval(bounds: Mapping[str, float], by: float = 1, decimals: int = 0) -> str:
    middle, low, high = (numbers.number(bounds[key] * by, decimals) for key in ("median", "low", "high"))
    return f"{middle} ({low}–{high})"


def table(run: results.Run) -> Table:
    """Every core count of every engine."""
    rows = []
    points = {(one["engine"], one["cores"]): one for one in run.extra.get("points") or []}
    for engine in engines(run):
        rates, costs = rounds(run, engine, "per_second"), rounds(run, engine, COST)
        first = statistics.median(rates[min(rates)]) / min(rates) if rates else 0.0
        for cores, some in rates.items():
            rate, point = statistics.median(some), points.get((engine, cores)) or {}
            speedup = rate / first if first else None
            price = costs.get(cores)
            rows.append(
                [
                    ENGINES.get(engine, engine),
                    cores,
                    numbers.number(rate),
                    numbers.number(speedup, 2),
                    numbers.number(speedup and speedup / cores * 100),
                    numbers.number(statistics.median(price) / 1000, 2) if price else None,
                    len(some),
                    "; ".join(text for flag, text in RESERVATIONS.items() if point.get(flag)) or "none",
                ]
            )
    heads = [
        "Engine",
        "Cores",
        "Requests|per s",
        "Speed-up|×",
        "Efficiency|%",
        "CPU per request|µs",
        "Valid|rounds",
        "Reservation",
    ]
    return Table("Measured, medians over the rounds", heads, rows)
