"""The body of a sweep: cost over ring depth, cores and connections, with its knees."""

from __future__ import annotations

from functools import partial
from typing import Any, Mapping, Sequence

from .. import results
from . import numbers, sweep_plots, tables
from .figures import Figures
from .figures import plots as side_by_side
from .html import Column, Markup, details, items, join, section, table, tag
from .kind_compare import alarm, anchor, measured
from .look import Looks, cut, legend
from .sweep_points import Point, engine_label, groups, points, varied


def words(run: results.Run) -> list[str]:
    """The knees in words, as the sweep wrote them."""
    kept = run.extra.get("knees") or []
    rows = kept.values() if isinstance(kept, Mapping) else kept
    lines = []
    for row in rows:
        text = (
            row
            if isinstance(row, str)
            else (row.get("text") or row.get("sentence") if isinstance(row, Mapping) else None)
        )
        if text and str(text).lower() not in {one.lower() for one in run.conclusions}:
            lines.append(str(text))
    return lines


def body(run: results.Run, looks: Looks, figures: Figures) -> Markup:
    """Knees, heat maps, lines, and the table of all cells."""
    parts = []
    everything = points(run)
    engines = list(dict.fromkeys(point.engine for point in everything))
    for name, found in groups(everything):
        factors = varied(found)
        title = f"Cost over {' and '.join(factors)}" if factors else "The one cell"
        parts.append(
            section(
                f"sweep-{anchor(name)}",
                f"{title}: {name}" if name else title,
                tag("p", _asked(found), class_="meta"),
                side_by_side(*_lines(run, found, factors, engines, looks, figures)),
                side_by_side(*_heat_maps(found, factors, engines, looks, figures)),
                _table(found, factors, looks),
            )
        )
    spoken = items(words(run))
    cells = measured(run)
    alarms = join(alarm(cell, looks) for cell in cells)
    ratios = [one for cell in cells for one in cell.ratios]
    return join(
        [
            section("knees", "The knees in words", spoken) if spoken else "",
            *parts,
            alarms,
            section(
                "ratios",
                "Ratios of every cell",
                details(f"{len(ratios)} ratios with their verdicts", _ratios(cells, looks)),
            )
            if ratios
            else "",
        ]
    )


def _asked(found: Sequence[Point]) -> str:
    workload = found[0].cell.workload
    title = workload.get("title") or workload.get("name") or ""
    loop = "open loop" if workload.get("rate") else "closed loop"
    return f"{title}; {loop}; {tables.measured(found[0].cell)}."


def _rest(point: Point, factors: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    return tuple((factor, point.get(factor)) for factor in factors)


def _named(rest: Sequence[tuple[str, Any]]) -> str:
    return ", ".join(_setting(key, one) for key, one in rest if one is not None)


def _setting(key: str, one: Any) -> str:
    if key in ("cores", "connections"):
        number = f"{one:,}" if isinstance(one, int) else str(one)
        return f"{number} {key[:-1] if one == 1 else key}"
    return f"{key} {one}"


def _lines(
    run: results.Run,
    found: Sequence[Point],
    factors: Sequence[str],
    engines: Sequence[str],
    looks: Looks,
    figures: Figures,
) -> list[Markup]:
    """Cost over the first factor; a plot for each setting of the others."""
    if not factors:
        return []
    first, *others = factors
    made = []
    for rest in dict.fromkeys(_rest(point, others) for point in found):
        mine = [point for point in found if _rest(point, others) == rest]
        present = list(dict.fromkeys(p.engine for p in mine))
        flat = [e for e in present if all(p.get(first) is None for p in mine if p.engine == e)]
        names = {engine: engine_label(engine, found, looks) for engine in present}
        key = legend(
            (names[engine] + f" (no {first}, measured once)" * (engine in flat), engines.index(engine), True)
            for engine in present
        )
        where = _named(rest)
        about = "Dots: single rounds; line: medians."
        if flat:
            about += (
                f" {first.capitalize()} does not concern {' and '.join(map(names.get, flat))}: "
                "measured once in each round, its line is the median and its band goes from "
                "the least to the most of its rounds."
            )
        for field, what in (("cost", "CPU per request"), ("per_second", "Throughput")):
            made.append(
                figures.add(
                    f"{what} over {first}" + (f", {where}" if where else ""),
                    partial(sweep_plots.curve, run, mine, first, engines, field),
                    about + (_about_knee(run, mine, first) if field == "cost" else ""),
                    key,
                )
            )
    return made


def _about_knee(run: results.Run, mine: Sequence[Point], factor: str) -> str:
    """What a caption says of the knee that is drawn, if one is."""
    found = sweep_plots.knee_of(run, mine, factor)
    if found is None:
        return ""
    if found.told:
        return f" Upright: the knee, the least {factor} known to cost about what the cheapest does."
    return (
        f" Dashed, with a question mark: beyond {factor} {found.depth} no gain was seen, but so "
        "few pairs do not tell that there is none."
    )


def _heat_maps(
    found: Sequence[Point], factors: Sequence[str], engines: Sequence[str], looks: Looks, figures: Figures
) -> list[Markup]:
    """Cost over the first two factors: each engine, then the first engine over the second."""
    if len(factors) < 2:
        return []
    x, y, *others = factors
    made = []
    for rest in dict.fromkeys(_rest(point, others) for point in found):
        mine = [point for point in found if _rest(point, others) == rest]
        where = f", {_named(rest)}" if _named(rest) else ""
        maps = {
            engine: {(p.get(x), p.get(y)): cost for p in mine if p.engine == engine and (cost := p.cost()) is not None}
            for engine in engines
        }
        for engine in engines:
            if len(maps[engine]) > 1 and all(None not in key for key in maps[engine]):
                made.append(
                    figures.add(
                        f"{engine_label(engine, found, looks)}: µs per request{where}",
                        partial(sweep_plots.heat, maps[engine], x, y, engines.index(engine)),
                        "Median CPU per request; stronger is dearer, outlined the cheapest.",
                    )
                )
        if len(engines) > 1:
            one, other = engines[:2]
            both = _paired(mine, x, y, one, other)
            if len(both) > 1:
                sides = [engine_label(engine, found, looks) for engine in (one, other)]
                made.append(
                    figures.add(
                        f"{' ÷ '.join(sides)}{where}",
                        partial(sweep_plots.heat, both, x, y, None),
                        "Median of the paired ratios of CPU per request; green: the first costs less, " "red: more.",
                    )
                )
    return made


def _paired(mine: Sequence[Point], x: str, y: str, one: str, other: str) -> dict[tuple[Any, Any], float]:
    """Cost of one engine over another's in the same cell, which may have no setting of x."""
    found = {}
    for point in mine:
        twins = [p for p in mine if p.engine == other and p.cell is point.cell and p.get(x) in (point.get(x), None)]
        if point.engine == one and twins:
            ratio = results.ratio(point.cell, point.variant, twins[0].variant)
            if ratio is not None:
                found[(point.get(x), point.get(y))] = ratio.median
    return found


def _table(found: Sequence[Point], factors: Sequence[str], looks: Looks) -> Markup:
    rows = []
    costs = numbers.column([point.cost() for point in found])
    rates = [point.cell.median(point.variant, "per_second") for point in found]
    unit, by = numbers.latency_unit([p.cell.median(p.variant, "latency_us.p50") for p in found])
    tails = [point.cell.median(point.variant, "latency_us.p99") for point in found]
    waits = [point.cell.median(point.variant, "completions_per_wait") for point in found]
    calls = numbers.column([p.cell.median(p.variant, "syscalls_per_request") for p in found], 2)
    for i, point in enumerate(found):
        held = [numbers.number(one) if isinstance(one := point.get(f), int) else one or "–" for f in factors]
        tail = None if tails[i] is None else tails[i] / by
        rows.append(
            [
                cut(engine_label(point.engine, found, looks)),
                *held,
                costs[i],
                numbers.number(rates[i]),
                numbers.number(tail, 0 if by == 1 else 1),
                numbers.number(waits[i], 1),
                calls[i],
                f"{len(point.cell.valid(point.variant))}",
            ]
        )
    columns = [
        Column("Engine"),
        *(Column(f.capitalize()) for f in factors),
        Column("CPU per request", "µs"),
        Column("Requests", "per s"),
        Column("p99", unit),
        Column("Completions", "per wait"),
        Column("System calls", "per request"),
        Column("Valid", "rounds"),
    ]
    return table("Every cell, medians over its rounds", columns, rows)


def _ratios(cells: Sequence[results.Cell], looks: Looks) -> Markup:
    rows = [tables.ratio_row(one, looks, f"{cell.id}: {looks.pair(one)}") for cell in cells for one in cell.ratios]
    return table("Ratios, paired by round, with bootstrap intervals", tables.RATIO_COLUMNS, rows)
