"""The tables of a cell: figures of each variant, and ratios with their verdicts."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any, Sequence

from .. import results
from . import numbers
from .html import Column, Markup, join, table, tag
from .look import Looks

LATENCIES = ("p50", "p90", "p99", "p99.9")


def loop(workload: dict[str, Any]) -> str:
    """closed, 256 connections; or open, 20,000 requests/s."""
    connections = workload.get("connections")
    held = f", {connections:,} connection{'s' if connections != 1 else ''}" if connections else ""
    if workload.get("rate"):
        arrivals = workload.get("arrivals") or "constant"
        return f"open loop, {workload['rate']:,.0f} requests/s, {arrivals} arrivals{held}"
    deep = f", {workload['pipeline']} pipelined" if (workload.get("pipeline") or 1) > 1 else ""
    each = workload.get("requests_per_connection")
    return f"closed loop{held}{deep}" + (f", {each} requests per connection" if each else "")


def measured(cell: results.Cell) -> str:
    """How many rounds a cell's figures rest on."""
    counts = [len(cell.valid(name)) for name in cell.names]
    if not counts or not max(counts):
        return "no valid rounds"
    low, high = min(counts), max(counts)
    rounds = f"{high}" if low == high else f"{low} to {high}"
    seconds = statistics.median(s.seconds for s in cell.samples if s.invalid is None)
    return f"medians over {rounds} round{'s' if high != 1 else ''} of {seconds:.2g} s"


def _saturated(cell: results.Cell, name: str) -> str:
    counted = Counter(sample.saturated for sample in cell.valid(name)).most_common()
    if not counted:
        return "–"
    first, times = counted[0]
    total = sum(count for _, count in counted)
    return first if times == total else f"{first} ({times} of {total})"


def _sum(cell: results.Cell, name: str, field: str) -> str:
    known = [found for s in cell.valid(name) if (found := getattr(s, field)) is not None]
    return numbers.number(sum(known)) if known else "–"


def figures(cell: results.Cell, looks: Looks) -> Markup:
    """One row per variant: what was asked, then what explains it."""
    names = cell.names
    metric = lambda one: [cell.median(name, one) for name in names]  # noqa: E731
    scaled = lambda values, by: [None if v is None else v / by for v in values]  # noqa: E731
    spans = []
    costs = scaled(metric("cpu_ns_per_request"), 1000)
    decimals = numbers.digits([one for one in costs if one])
    for name in names:
        mine = [s.cpu_ns_per_request / 1000 for s in cell.valid(name)]
        spans.append(f"{numbers.number(min(mine), decimals)}–{numbers.number(max(mine), decimals)}" if mine else "–")
    unit, by = numbers.latency_unit(metric("latency_us.p50"))
    waits = {p: scaled(metric(f"latency_us.{p}"), by) for p in LATENCIES}
    places = 0 if by == 1 else 1
    answers: list[tuple[Column, Sequence[Any]]] = [
        (Column("CPU per request", "µs"), [numbers.number(one, decimals) for one in costs]),
        (Column("Least–most", "µs"), spans),
        (
            Column("With the load's", "µs"),
            [numbers.number(one, decimals) for one in scaled(metric(results.WITH_LOAD), 1000)],
        ),
        (Column("Requests", "per s"), [numbers.number(one) for one in metric("per_second")]),
        *((Column(p, unit), [numbers.number(one, places) for one in waits[p]]) for p in LATENCIES),
        (Column("Saturated", words=True), [_saturated(cell, name) for name in names]),
        (
            Column("Valid", "rounds"),
            [f"{len(cell.valid(name))} of " f"{sum(s.variant == name for s in cell.samples)}" for name in names],
        ),
    ]
    causes: list[tuple[Column, Sequence[Any]]] = [
        (Column("System calls", "per request"), numbers.column(metric("syscalls_per_request"), 2)),
        (Column("Completions", "per wait"), [numbers.number(v, 1) for v in metric("completions_per_wait")]),
        (Column("Overflows", "in all"), [_sum(cell, name, "overflows") for name in names]),
        (Column("Starved", "in all"), [_sum(cell, name, "starved") for name in names]),
        (Column("Peak memory", "MiB"), [numbers.number(v, 1) for v in scaled(metric("peak_rss_kb"), 1024)]),
        (Column("Server", "% of a CPU"), [numbers.percent(v) for v in metric("server_share")]),
        (Column("Load", "% of a CPU"), [numbers.percent(v) for v in metric("load_share")]),
        (Column("Others", "% of a CPU"), [numbers.percent(v) for v in metric("others_share")]),
    ]
    how = f"{loop(cell.workload)}; {measured(cell)}"
    return join(
        [
            _of_variants(how, cell, looks, answers),
            _of_variants("What explains it, and what it took", cell, looks, causes),
        ]
    )


def _of_variants(
    caption: str, cell: results.Cell, looks: Looks, columns: Sequence[tuple[Column, Sequence[Any]]]
) -> Markup:
    """A row for each variant, without the columns that nobody has."""
    there = [one for one in columns if any(value != "–" for value in one[1])]
    rows = [[looks.label(name), *(values[i] for _, values in there)] for i, name in enumerate(cell.names)]
    return table(caption, [Column("Subject"), *(column for column, _ in there)], rows)


def raw_latency(cell: results.Cell, looks: Looks) -> Markup:
    """Corrected beside raw percentiles of an open loop."""
    names = [name for name in cell.names if any(s.latency_raw_us for s in cell.valid(name))]
    if not names:
        return Markup("")
    kinds = [("corrected", "latency_us"), ("raw", "latency_raw_us")]
    points = (*LATENCIES, "max")
    rows = [
        [f"{looks.label(name)}, {word}", *(numbers.number(cell.median(name, f"{field}.{p}")) for p in points)]
        for name in names
        for word, field in kinds
    ]
    return table(
        "Latency from the intended send time (corrected) and from the actual one (raw)",
        [Column("Subject"), *(Column(p, "µs") for p in points)],
        rows,
    )


def memory(cell: results.Cell, looks: Looks) -> Markup:
    """What an idle connection holds, where that was measured."""
    keys = list(dict.fromkeys(key for s in cell.samples for key in s.memory or {}))
    if not keys:
        return Markup("")
    rows = [
        [looks.label(name), *(numbers.number(cell.median(name, f"memory.{key}")) for key in keys)]
        for name in cell.names
    ]
    heads = [
        Column(key.removesuffix("_bytes").replace("_", " "), "bytes" if key.endswith("_bytes") else "") for key in keys
    ]
    return table("Memory of each idle connection", [Column("Subject"), *heads], rows)


def ratio_row(one: results.Ratio, looks: Looks, pair: str | None = None) -> list[Any]:
    """A ratio as cells of the table below."""
    wide = one.high - one.low >= 0.5
    places = 2 if wide else 3
    return [
        pair or looks.pair(one),
        results.metric_title(one.metric),
        numbers.number(one.median, places),
        f"{numbers.number(one.low, places)}–{numbers.number(one.high, places)}" if one.pairs > 1 else "–",
        numbers.signed_percent(one.median) if one.pairs > 1 else "–",
        one.pairs,
        one.verdict,
    ]


RATIO_COLUMNS = (
    Column("Ratio"),
    Column("of", words=True),
    Column("Median"),
    Column("95 % interval"),
    Column("Difference"),
    Column("Pairs"),
    Column("Verdict", words=True, wide=True),
)


def ratios(
    found: Sequence[results.Ratio], looks: Looks, caption: str = "Ratios, paired by round, with bootstrap intervals"
) -> Markup:
    """All ratios with interval and verdict."""
    if not found:
        return Markup("")
    return table(caption, RATIO_COLUMNS, [ratio_row(one, looks) for one in found])


def invalid(run: results.Run, looks: Looks) -> list[Markup]:
    """A line for each sample that does not count."""
    return [
        tag("span", tag("b", f"{cell.id}, round {one.round + 1}, {looks.label(one.variant)}"), f": {one.invalid}")
        for cell in run.cells
        for one in cell.invalid
    ]
