"""torc-load: its command line for a workload, a run of it, and what it reports."""

import collections
import json
import math
import time
from pathlib import Path
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

import numpy

from . import proc
from .subject import Place, Server
from .subjects import binary
from .workloads import Workload

GRACE_SECONDS = 20.0  # that it may take beyond its times, connecting and reporting
PERCENTS = (50, 75, 90, 99, 99.9, 99.99)
SUB_BINS = 32  # of each power of two, in the histograms that are kept
REPORT = "load.json"
SUMMED = ("seconds", "answered", "connects", "unsent")
Pids = Sequence[int]
Histogram = Sequence[Sequence[int]]  # ascending values and their counts


class Load(NamedTuple):
    """A finished run: its JSON, and the CPU and wall time of the whole process, warm-up included."""

    report: dict[str, Any]
    cpu_seconds: float
    wall: float


def program(build: Path) -> str:
    return binary(build, "torc-load")


def command(
    workload: Workload, server: Server, place: Place, cpus: Sequence[int], seconds: float, warmup: float, watch: Pids
) -> list[str]:
    given: dict[str, object] = {  # what is not asked for is left out
        "--json": place.scratch / REPORT,
        "--connections": workload.connections,
        "--cores": max(min(len(cpus), workload.connections), 1),
        "--duration": _time(seconds),
        "--warmup": _time(warmup),
        "--expect-status": workload.status,
        "--ramp": _time(workload.ramp) if workload.ramp else None,
        "--rate": f"{workload.rate:.0f}" if workload.rate else None,
        "--arrivals": workload.arrivals if workload.rate else None,
        "--pipeline": workload.pipeline if workload.pipeline > 1 else None,
        "--requests-per-connection": workload.requests_per_connection or None,
        "--method": workload.method if workload.method != "GET" else None,
        "--body-size": workload.body_bytes or None,
        "--expect-body": workload.expect,
        "--expect-body-file": place.www / workload.expect_file if workload.expect_file else None,
    }
    words = [program(place.build), "--quiet", *(["--chunked"] if workload.chunked else [])]
    for name, value in given.items():
        words += [] if value is None else [name, str(value)]
    for number, template in enumerate(workload.templates):
        path = place.scratch / f"{workload.name}-{number}.http"
        path.write_bytes(template.encode())
        words += ["--template", str(path)]
    for pid in watch:
        words += ["--watch", str(pid)]
    return words + [server.url + path for path in workload.paths or ("/",)]


def _time(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def run(
    workload: Workload,
    server: Server,
    place: Place,
    cpus: Sequence[int],
    seconds: float,
    warmup: float,
    watch: Pids = (),
) -> Load:
    """Runs it to its end. One with errors reports them; one that cannot run is a ProcessError."""
    output = place.scratch / REPORT
    output.unlink(missing_ok=True)
    words = command(workload, server, place, cpus, seconds, warmup, watch)
    place.started["torc-load"] = words
    begin = time.monotonic()
    with proc.Child(words, cpus, place.scratch / "load.log", alone=True) as child:
        status = child.wait(seconds + warmup + workload.ramp + GRACE_SECONDS)
        wall = time.monotonic() - begin
        if status is None:
            raise proc.ProcessError(f"torc-load did not end: {child.complaint()}")
        if status not in (0, 1):
            raise proc.ProcessError(f"torc-load ended ({status}): {child.complaint()}")
    used = child.usage.ru_utime + child.usage.ru_stime if child.usage else 0.0
    return Load(written(output, child), used, wall)


def written(path: Path, child: proc.Child) -> dict[str, Any]:
    """The report of one that has ended. Without one its own words say why it did not run."""
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise proc.ProcessError(f"torc-load wrote no report: {child.complaint()}") from error


def failures(report: dict[str, Any]) -> str | None:
    """Its errors, with the first of each kind."""
    first = report.get("first_errors") or {}
    found = [
        f"{count} {name} errors" + (f" (first: {first[name]})" if first.get(name) else "")
        for name, count in report["errors"].items()
        if count
    ]
    return ", ".join(found) or None


def empty(report: dict[str, Any]) -> bool:
    """Whether nothing was answered, though nothing failed."""
    return not report["answered"] and failures(report) is None


def errors(report: dict[str, Any]) -> str | None:
    """Why its figures do not count."""
    return failures(report) or ("no request was answered" if empty(report) else None)


def microseconds(latency: dict[str, Any]) -> dict[str, float]:
    """The percentiles, mean and largest of a latency record."""
    kept = {key: one for key, one in latency.items() if key not in ("histogram", "count") and one is not None}
    return {key: round(one / 1000, 3) for key, one in kept.items()}


def coarse(histogram: Histogram) -> list[list[int]]:
    """The histogram in bins about 3 % wide: enough to draw, a tenth of the size."""
    bins: collections.Counter[int] = collections.Counter()
    for upper, count in histogram:
        step = max((1 << max(int(upper) - 1, 0).bit_length()) // 2 // SUB_BINS, 1)
        bins[-(-int(upper) // step) * step] += int(count)
    return [[upper, bins[upper]] for upper in sorted(bins)]


def quantile(histogram: Histogram, share: float) -> int:
    """The smallest value that at least this share of all do not exceed; ascending values."""
    if not histogram:
        return 0
    values, counts = zip(*histogram)
    seen = numpy.cumsum(counts)
    return values[numpy.searchsorted(seen, max(math.ceil(share * seen[-1] - 1e-9), 1))]


def _sums(parts: Iterable[Mapping[Any, Any]]) -> dict[Any, Any]:
    total: collections.Counter[Any] = collections.Counter()
    for part in parts:
        total.update(part)
    return dict(total)


def _merged_latency(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    counts = _sums(dict(part["histogram"]) for part in parts)
    histogram = [[value, counts[value]] for value in sorted(counts)]
    total = sum(part["count"] for part in parts)
    return {
        "count": total,
        "mean": sum(part["mean"] * part["count"] for part in parts) / max(total, 1),
        "min": min((part["min"] for part in parts if part["count"]), default=0),
        "max": max((part["max"] for part in parts if part["count"]), default=0),
        **{f"p{percent:g}": quantile(histogram, percent / 100) for percent in PERCENTS},
        "histogram": histogram,
    }


def _mean(shares: Sequence[float | None], reports: Sequence[dict[str, Any]]) -> float | None:
    """The mean of shares of the reports' times; None where one is unknown."""
    seconds = [report["seconds"] for report in reports]
    known = [share * time for share, time in zip(shares, seconds) if share is not None]
    return round(sum(known) / max(sum(seconds), 1e-9), 4) if len(known) == len(reports) else None


def merged(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One report of several runs of the same question, as if they had been one, with its parts."""
    watched = [(report.get("watch") or {}).get("cpu_ns", 0) for report in reports]
    parts = [[one["answered"], cpu_ns, round(one["seconds"] * 1e9)] for one, cpu_ns in zip(reports, watched)]
    if len(reports) == 1:
        return {**reports[0], "parts": parts}
    full = [report for report in reports if report["saturated"]]
    total = _sums({key: report[key] for key in SUMMED} for report in reports)
    used = _sums({key: one for key, one in report["cpu"].items() if key.endswith("_ns")} for report in reports)
    busy = sum(report["cpu"]["share"] * report["seconds"] for report in reports)
    shares = [report["cpu"].get("waited_share") for report in reports]
    waited = [(report.get("watch") or {}).get("waited_ns") for report in reports]
    latency = [report["latency_ns"] for report in reports]
    return {
        **reports[0],
        **total,
        "errors": _sums(report["errors"] for report in reports),
        "first_errors": dict(collections.ChainMap(*(report.get("first_errors") or {} for report in reports))),
        "per_second": total["answered"] / max(total["seconds"], 1e-9),
        "latency_ns": {name: _merged_latency([one[name] for one in latency]) for name in ("corrected", "raw")},
        "cpu": {**used, "share": busy / max(total["seconds"], 1e-9), "waited_share": _mean(shares, reports)},
        "watch": {"cpu_ns": sum(watched), "waited_ns": None if None in waited else sum(waited)},
        "saturated": len(full) * 2 > len(reports),
        "advice": next((report["advice"] for report in full or reports if report["advice"]), None),
        "parts": parts,
    }
