"""The body of a scaling run: throughput and cost over cores, and the law fitted to it.

Reads what scale.py documents as its `extra`.
"""

from __future__ import annotations

import math
import statistics
from functools import partial
from typing import Any, Mapping, Sequence

from .. import results
from ..subjects import ENGINES
from . import kind_compare, numbers, plots, svg
from .figures import Figures
from .figures import plots as side_by_side
from .html import Column, Markup, items, join, section, table, tag
from .look import Looks, legend

COST = kind_compare.COST
LAW = "Universal Scalability Law, X(n) = λn ÷ (1 + σ(n−1) + κn(n−1)), with 95 % intervals"
Rounds = dict[int, list[float]]  # cores -> a value for each round


def engines(run: results.Run) -> list[str]:
    """The engines in their order."""
    points = run.extra.get("points") or []
    return list(dict.fromkeys([*(run.extra.get("engines") or []), *(str(point.get("engine")) for point in points)]))


def rounds(run: results.Run, engine: str, metric: str) -> Rounds:
    """An engine's samples of a metric by core count; `capacity` is what the fit saw."""
    found: Rounds = {}
    by_cost = metric == "capacity" and run.extra.get("basis") == "cost"
    field = COST if metric == "cost" or by_cost else "per_second"
    for cell in kind_compare.measured(run):
        for variant in cell.variants:
            if variant.get("subject") != engine:
                continue
            cores = int(variant.get("cores") or 1)
            values = list(results.by_round(cell, variant["name"], field).values())
            if by_cost:
                values = [cores * 1e9 / one for one in values if one > 0]
            if values:
                found.setdefault(cores, []).extend(values)
    return dict(sorted(found.items()))


def fits(run: results.Run) -> dict[str, Mapping[str, Any]]:
    """The laws that could be fitted."""
    kept = run.extra.get("fits") or {}
    return {engine: fit for engine, fit in kept.items() if fit}


def body(run: results.Run, looks: Looks, figures: Figures) -> Markup:
    """Plots, the law, what cannot be said, the table; then the cell with everything."""
    names = engines(run)
    key = legend((ENGINES.get(name, name), names.index(name), True) for name in names)
    cells = kind_compare.measured(run)
    if not cells:
        return Markup("")
    by_cost = run.extra.get("basis") == "cost"
    what = "Capacity over cores" if by_cost else "Throughput over cores"
    said = (
        "Lines: the law fitted to the medians. Dashed, in the grey part: extrapolated, not "
        "measured; band: 95 % of refits."
        if fits(run)
        else "Too few core counts to fit a law: nothing is extrapolated."
    )
    title = cells[0].workload.get("title") or cells[0].id
    steps = [row.get("text") for row in run.extra.get("steps") or []]
    told = [*steps, *(run.extra.get("cannot") or [])]
    return join(
        [
            section(
                "scaling",
                f"Scaling: {run.extra.get('workload') or title}",
                tag(
                    "p",
                    f"{title}; {kind_compare.tables.loop(cells[0].workload)}; "
                    f"{kind_compare.tables.measured(cells[0])}.",
                    class_="meta",
                ),
                join(kind_compare.alarm(cell, looks) for cell in cells),
                tag("p", run.extra["basis_text"]) if run.extra.get("basis_text") else "",
                side_by_side(
                    figures.add(what, partial(throughput, run, names), f"Dots: single rounds. {said}", key),
                    figures.add(
                        "Cost per request over cores",
                        partial(cost, run, names),
                        "Dots: single rounds; line: medians. Flat is perfect.",
                        key,
                    ),
                ),
                _law(run),
                items([text for text in told if text and text not in run.conclusions]),
                _table(run, names),
            ),
            section("cells", "Everything measured", *(kind_compare.folded(cell, looks) for cell in cells)),
        ]
    )


def throughput(run: results.Run, names: Sequence[str], width: float = svg.WIDTH) -> Any:
    """Rounds, the fitted curves, and how they would go on."""
    seen = {name: found for name in names if (found := rounds(run, name, "capacity"))}
    counts = sorted({cores for found in seen.values() for cores in found})
    if not counts:
        return None
    made, axes = svg.figure(250, width)
    last = far = counts[-1]
    top = max(one for found in seen.values() for mine in found.values() for one in mine)
    for name, found in seen.items():
        index = names.index(name)
        _dots(axes, found, index, len(names))
        curve = list(fits(run).get(name, {}).get("curve") or [])
        if not curve:
            svg.mark(
                axes.plot(
                    list(found),
                    [statistics.median(mine) for mine in found.values()],
                    color=svg.series(index),
                    linestyle=svg.dash(index),
                )
            )
            continue
        far = max(far, curve[-1]["cores"])
        top = max(top, *(point["per_second"] for point in curve))
        for outside in (False, True):
            _part(axes, curve, counts, outside, svg.series(index))
    if far > last:
        axes.axvspan(last, far, color=plots.SOFT, alpha=0.08, linewidth=0)
        axes.axvline(last, color=plots.SOFT, linewidth=0.8)
        axes.text(
            last + (far - last) / 2,
            0.03,
            "extrapolated",
            ha="center",
            va="bottom",
            transform=axes.get_xaxis_transform(),
            color=plots.SOFT,
        )
    _core_axis(axes, min(counts[0], 1) if far > last else counts[0], far)
    axes.set_ylim(0, top * 1.12)
    axes.yaxis.set_major_formatter(numbers.compact)
    axes.set_ylabel("requests/s")
    return made


def _part(axes: Any, curve: Sequence[Mapping[str, Any]], counts: Sequence[int], outside: bool, colour: str) -> None:
    """A curve between the least and the last count measured, or beyond."""
    part = [
        point
        for point in curve
        if (point["cores"] >= counts[-1] if outside else counts[0] <= point["cores"] <= counts[-1])
    ]
    x = [point["cores"] for point in part]
    style = {"linestyle": (0, (4, 3)), "linewidth": 1.3} if outside else {}
    svg.mark(axes.plot(x, [point["per_second"] for point in part], color=colour, **style))
    axes.fill_between(
        x, [point["low"] for point in part], [point["high"] for point in part], color=colour, alpha=0.13, linewidth=0
    )


def cost(run: results.Run, names: Sequence[str], width: float = svg.WIDTH) -> Any:
    """CPU per request over core counts."""
    seen = {
        name: {cores: [one / 1000 for one in mine] for cores, mine in found.items()}
        for name in names
        if (found := rounds(run, name, "cost"))
    }
    counts = sorted({cores for found in seen.values() for cores in found})
    if not counts:
        return None
    made, axes = svg.figure(250, width)
    for name, found in seen.items():
        index = names.index(name)
        _dots(axes, found, index, len(names))
        svg.mark(
            axes.plot(
                list(found),
                [statistics.median(mine) for mine in found.values()],
                color=svg.series(index),
                linestyle=svg.dash(index),
                marker=svg.MARKERS[index % 8],
            )
        )
    _core_axis(axes, counts[0], counts[-1])
    top = max(one for found in seen.values() for mine in found.values() for one in mine)
    axes.set_ylim(0, top * 1.15)
    axes.yaxis.set_major_formatter(numbers.compact)
    axes.set_ylabel("µs per request")
    return made


def _dots(axes: Any, found: Rounds, index: int, of: int) -> None:
    """Every round of every count, engines a little apart."""
    counts = list(found)
    apart = (counts[-1] - counts[0] or 1) * 0.012
    for cores, mine in found.items():
        axes.plot(
            [cores + (index - (of - 1) / 2) * apart] * len(mine),
            mine,
            svg.MARKERS[index % 8],
            color=svg.series(index),
            alpha=0.45,
            markersize=3.5,
            markeredgewidth=0,
        )


def _core_axis(axes: Any, low: int, high: float) -> None:
    air = (high - low or 1) * 0.05
    axes.set_xlim(low - air, high + air)
    axes.set_xticks(range(low, int(high) + 1, max(1, math.ceil((high - low) / 8))))
    axes.set_xlabel("cores")


def _law(run: results.Run) -> Markup:
    """The coefficients with their intervals."""
    rows = []
    for engine, fit in fits(run).items():
        peak = fit.get("peak") or {}
        at = numbers.number(peak["cores"]) if peak.get("cores") else "none in sight"
        beyond = bool(peak.get("cores") and peak.get("extrapolated"))
        rows.append(
            [
                ENGINES.get(engine, engine),
                _within(fit["lambda"]),
                _within(fit["sigma"], 100, 2),
                _within(fit["kappa"], 100, 3),
                f"{at} (extrapolated)" if beyond else at,
                numbers.number(fit["worst_residual"] * 100, 1),
                fit["points"],
                tag("span", fit["confidence"], class_="good" if fit["confidence"] == "good" else "warn"),
            ]
        )
    return (
        table(
            LAW,
            [
                Column("Engine"),
                Column("λ, one core", "requests/s"),
                Column("σ, contention", "%"),
                Column("κ, coherence", "%"),
                Column("Peak", "cores"),
                Column("Farthest point", "%"),
                Column("Core counts", "fitted"),
                Column("Confidence", words=True),
            ],
            rows,
        )
        if rows
        else Markup("")
    )


def _within(bounds: Mapping[str, float], by: float = 1, decimals: int = 0) -> str:
    middle, low, high = (numbers.number(bounds[key] * by, decimals) for key in ("median", "low", "high"))
    return f"{middle} ({low}–{high})"


def _table(run: results.Run, names: Sequence[str]) -> Markup:
    rows = []
    points = {(one.get("engine"), one.get("cores")): one for one in run.extra.get("points") or []}
    for engine in names:
        rates, costs = rounds(run, engine, "rate"), rounds(run, engine, "cost")
        least = next(iter(rates), 1)
        first = statistics.median(rates[least]) / least if rates else 0.0
        for cores, mine in rates.items():
            rate, point = statistics.median(mine), points.get((engine, cores)) or {}
            held = [
                word
                for flag, word in (("load_bound", "the load was full"), ("shared_cpus", "CPUs shared with the load"))
                if point.get(flag)
            ]
            price = costs.get(cores)
            rows.append(
                [
                    ENGINES.get(engine, engine),
                    cores,
                    numbers.number(rate),
                    numbers.number(rate / first if first else None, 2),
                    numbers.number(rate / first / cores * 100 if first else None),
                    numbers.number(statistics.median(price) / 1000, 2) if price else None,
                    len(mine),
                    "; ".join(held) or "none",
                ]
            )
    return table(
        "Measured, medians over the rounds",
        [
            Column("Engine"),
            Column("Cores"),
            Column("Requests", "per s"),
            Column("Speed-up", "×"),
            Column("Efficiency", "%"),
            Column("CPU per request", "µs"),
            Column("Valid", "rounds"),
            Column("Reservation", words=True),
        ],
        rows,
    )
