"""The tables of a cell: figures of each variant, and ratios with their verdicts."""

import re
import statistics
from collections import Counter
from typing import Any, Sequence

from .. import results
from ..words import CEILING_SHARE, COST, WITH_LOAD, metric_title
from . import numbers
from .looks import Looks
from .render import Table, transposed

LATENCIES = ("p50", "p90", "p99", "p99.9")
PAIRED = "Ratios, paired by round, with bootstrap intervals"
RATIO_HEADS = ["Ratio", "of", "Median", "95 % interval", "Difference", "Pairs", "Verdict"]


def loop(workload: dict[str, Any]) -> str:
    """closed loop, 256 connections; or open loop, 20,000 requests/s."""
    connections = workload.get("connections")
    held = f", {connections:,} connection{'s' if connections != 1 else ''}" if connections else ""
    if workload.get("rate"):
        arrivals = workload.get("arrivals") or "constant"
        return f"open loop, {workload['rate']:,.0f} requests/s, {arrivals} arrivals{held}"
    deep = f", {workload['pipeline']} pipelined" if (workload.get("pipeline") or 1) > 1 else ""
    each = workload.get("requests_per_connection")
    return f"closed loop{held}{deep}" + (f", {each} requests per connection" if each else "")


def rounds(cell: results.Cell) -> str:
    """How many rounds a cell's figures rest on."""
    counts = [len(cell.valid(name)) for name in cell.names]
    if not counts or not max(counts):
        return "no valid rounds"
    low, high = min(counts), max(counts)
    seconds = statistics.median(s.seconds for s in cell.samples if s.invalid is None)
    many = f"{high}" if low == high else f"{low} to {high}"
    return f"medians over {many} round{'s' if high != 1 else ''} of {seconds:.2g} s"


def medians(cell: results.Cell, metric: str, by: float = 1) -> list[float | None]:
    """A metric's median for each variant, in units of `by`."""
    found = [cell.median(name, metric) for name in cell.names]
    return [None if one is None else one / by for one in found]


def ceiling(cell: results.Cell) -> dict[str, list[str]]:
    """How much of connections ÷ delay each variant reached, and what it had to spare meanwhile."""
    heads = {"Connections ÷ delay|% reached": CEILING_SHARE, "Core|% idle": "idle_share"}
    return {head: [numbers.number(one) for one in medians(cell, metric, 0.01)] for head, metric in heads.items()}


def figures(cell: results.Cell, looks: Looks) -> list[Table]:
    """The results, then what explains them; a row for each variant."""
    valid = {name: cell.valid(name) for name in cell.names}
    cost = numbers.digits(medians(cell, COST, 1000))
    unit, by = numbers.latency_unit(medians(cell, "latency_us.p50"))

    def median(metric: str, by: float = 1, decimals: int = 0) -> list[str]:
        return [numbers.number(one, decimals) for one in medians(cell, metric, by)]

    def span(some: Sequence[results.Sample]) -> str:
        costs = [s.cpu_ns_per_request / 1000 for s in some]
        return f"{numbers.number(min(costs), cost)}–{numbers.number(max(costs), cost)}" if some else "–"

    def total(field: str) -> list[str]:
        known = [[one for s in some if (one := getattr(s, field)) is not None] for some in valid.values()]
        return [numbers.number(sum(some)) if some else "–" for some in known]

    def saturated(some: Sequence[results.Sample]) -> str:
        state, times = Counter(s.saturated for s in some).most_common(1)[0] if some else ("–", 0)
        return state if times == len(some) else f"{state} ({times} of {len(some)})"

    subjects = {"Subject": [looks.label(name) for name in cell.names]}
    taken = Counter(sample.variant for sample in cell.samples)
    answers = {
        "CPU per request|µs": median(COST, 1000, cost),
        "Range|µs": [span(some) for some in valid.values()],
        "Server and load|µs": median(WITH_LOAD, 1000, cost),
        "Requests|per s": median("per_second"),
        **(ceiling(cell) if cell.ceiling else {}),
        **{f"{p}|{unit}": median(f"latency_us.{p}", by, 0 if by == 1 else 1) for p in LATENCIES},
        "Saturated": [saturated(some) for some in valid.values()],
        "Valid|rounds": [f"{len(some)} of {taken[name]}" for name, some in valid.items()],
    }
    causes = {
        "System calls|per request": numbers.column(medians(cell, "syscalls_per_request"), 2),
        "Completions|per wait": median("completions_per_wait", 1, 1),
        "Overflows|total": total("overflows"),
        "No buffers|total": total("starved"),
        "Concurrency L": numbers.column(medians(cell, "concurrency"), 1),
        "Peak of L|at most": median("concurrency_peak"),
        "Parallelism P": numbers.column(medians(cell, "parallelism"), 2),
        "Peak of P|at least": median("parallelism_peak"),
        "Asynchrony A": numbers.column(medians(cell, "asynchrony"), 3),
        "Peak memory|MiB": median("peak_rss_kb", 1024, 1),
        "Server|% of a CPU": median("server_share", 0.01),
        "Load|% of a CPU": median("load_share", 0.01),
        "Others|% of a CPU": median("others_share", 0.01),
    }
    return [
        transposed(f"{loop(cell.workload)}; {rounds(cell)}", subjects | answers),
        transposed("Explanation and resources", subjects | causes),
    ]


def raw_latency(cell: results.Cell, looks: Looks) -> Table:
    """Corrected beside raw percentiles of an open loop."""
    points = (*LATENCIES, "max")
    rows = [
        [f"{looks.label(name)}, {word}", *(numbers.number(cell.median(name, f"{field}.{p}")) for p in points)]
        for name in cell.names
        if any(s.latency_raw_us for s in cell.valid(name))
        for word, field in (("corrected", "latency_us"), ("raw", "latency_raw_us"))
    ]
    caption = "Latency from the intended send time (corrected) and from the actual one (raw)"
    return Table(caption, ["Subject", *(f"{p}|µs" for p in points)], rows)


def memory(cell: results.Cell, looks: Looks) -> Table:
    """What an idle connection holds, where that was measured."""
    columns = {"Subject": [looks.label(name) for name in cell.names]}
    for key in dict.fromkeys(key for s in cell.samples for key in s.memory or {}):
        head = re.sub("_bytes$", "|bytes", key).replace("_", " ")
        columns[head] = [numbers.number(one) for one in medians(cell, f"memory.{key}")]
    return transposed("Memory of each idle connection", columns if len(columns) > 1 else {})


def ratio_row(one: results.Ratio, looks: Looks, name: str = "") -> list[Any]:
    """A ratio as a row of the table below; a single pair has no interval."""
    places = 2 if one.high - one.low >= 0.5 else 3
    low, high = numbers.number(one.low, places), numbers.number(one.high, places)
    return [
        name or looks.pair(one),
        metric_title(one.metric),
        numbers.number(one.median, places),
        f"{low}–{high}" if one.pairs > 1 else "–",
        numbers.signed_percent(one.median) if one.pairs > 1 else "–",
        one.pairs,
        one.verdict,
    ]


def ratios(found: Sequence[results.Ratio], looks: Looks) -> Table:
    """All ratios with interval and verdict."""
    return Table(PAIRED, RATIO_HEADS, [ratio_row(one, looks) for one in found])
