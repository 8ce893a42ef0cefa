"""torc-load: its command line for a workload, a run of it, and what it reports."""

from __future__ import annotations

import json
import math
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

from . import proc
from .subject import Place, Server
from .subjects import binary
from .workloads import Workload

GRACE_SECONDS = 20.0  # that it may take beyond its times, connecting and reporting
PERCENTS = (50, 75, 90, 99, 99.9, 99.99)
SUB_BINS = 32  # of each power of two, in the histograms that are kept


@dataclass(frozen=True)
class Load:
    """A finished run: its JSON, and the CPU and wall time of the whole process."""

    report: dict[str, Any]
    usage: resource.struct_rusage | None
    wall: float

    @property
    def cpu_seconds(self) -> float:
        """Its own CPU time, warm-up included."""
        return self.usage.ru_utime + self.usage.ru_stime if self.usage else 0.0


def program(build: Path) -> str:
    """The generator of a build."""
    return binary(build, "torc-load")


def command(
    workload: Workload,
    server: Server,
    place: Place,
    cpus: Sequence[int],
    output: Path,
    seconds: float,
    warmup: float,
    watch: Sequence[int] = (),
) -> list[str]:
    """The words that ask the workload of a server."""
    words = [
        program(place.build),
        "--quiet",
        "--json",
        str(output),
        "--connections",
        str(workload.connections),
        "--cores",
        str(max(min(len(cpus), workload.connections), 1)),
        "--duration",
        _time(seconds),
        "--warmup",
        _time(warmup),
        "--expect-status",
        str(workload.status),
    ]
    if workload.ramp > 0:
        words += ["--ramp", _time(workload.ramp)]
    if workload.rate > 0:
        words += ["--rate", f"{workload.rate:.0f}", "--arrivals", workload.arrivals]
    if workload.pipeline > 1:
        words += ["--pipeline", str(workload.pipeline)]
    if workload.requests_per_connection:
        words += ["--requests-per-connection", str(workload.requests_per_connection)]
    if workload.method != "GET":
        words += ["--method", workload.method]
    if workload.body_bytes:
        words += ["--body-size", str(workload.body_bytes)]
    if workload.chunked:
        words += ["--chunked"]
    if workload.expect is not None:
        words += ["--expect-body", workload.expect]
    if workload.expect_file is not None:
        words += ["--expect-body-file", str(place.www / workload.expect_file)]
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
    watch: Sequence[int] = (),
) -> Load:
    """Runs it to its end. One with errors reports them; one that cannot run is a ProcessError."""
    output = place.scratch / "load.json"
    output.unlink(missing_ok=True)
    words = command(workload, server, place, cpus, output, seconds, warmup, watch)
    place.started["torc-load"] = words
    begin = time.monotonic()
    with proc.Child(words, cpus, place.scratch / "load.log", alone=True) as child:
        status = child.wait(seconds + warmup + workload.ramp + GRACE_SECONDS)
        wall = time.monotonic() - begin
        if status is None:
            raise proc.ProcessError(f"torc-load did not end: {child.complaint()}")
        if status not in (0, 1):
            raise proc.ProcessError(f"torc-load ended ({status}): {child.complaint()}")
    try:
        return Load(json.loads(output.read_text()), child.usage, wall)
    except (OSError, ValueError) as error:
        raise proc.ProcessError(f"torc-load wrote no report: {child.complaint()}") from error


def errors(report: dict[str, Any]) -> str | None:
    """Why its figures do not count."""
    first = report.get("first_errors") or {}
    found = [
        f"{count} {name} errors" + (f" (first: {first[name]})" if first.get(name) else "")
        for name, count in report["errors"].items()
        if count
    ]
    if found:
        return ", ".join(found)
    return None if report["answered"] else "no request was answered"


def microseconds(latency: dict[str, Any]) -> dict[str, float]:
    """The percentiles, mean and largest of a latency record."""
    return {
        key: round(one / 1000, 3)
        for key, one in latency.items()
        if key not in ("histogram", "count") and one is not None
    }


def coarse(histogram: Sequence[Sequence[int]]) -> list[list[int]]:
    """The histogram in bins about 3 % wide: enough to draw, a tenth of the size."""
    bins: dict[int, int] = {}
    for upper, count in histogram:
        step = max((1 << max(int(upper) - 1, 0).bit_length()) // 2 // SUB_BINS, 1)
        bound = -(-int(upper) // step) * step
        bins[bound] = bins.get(bound, 0) + int(count)
    return [[upper, bins[upper]] for upper in sorted(bins)]


def quantile(histogram: Sequence[Sequence[int]], share: float) -> int:
    """The smallest value that at least this share of all do not exceed; ascending values."""
    rank = max(math.ceil(share * sum(count for _, count in histogram) - 1e-9), 1)
    seen = 0
    for value, count in histogram:
        seen += count
        if seen >= rank:
            return value
    return 0


def _merged_latency(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    counts: dict[int, int] = {}
    for part in parts:
        for value, count in part["histogram"]:
            counts[value] = counts.get(value, 0) + count
    total = sum(part["count"] for part in parts)
    histogram = [[value, counts[value]] for value in sorted(counts)]
    some = [part for part in parts if part["count"]]
    return {
        "count": total,
        "mean": sum(part["mean"] * part["count"] for part in parts) / max(total, 1),
        "min": min((part["min"] for part in some), default=0),
        "max": max((part["max"] for part in some), default=0),
        **{f"p{percent:g}": quantile(histogram, percent / 100) for percent in PERCENTS},
        "histogram": histogram,
    }


def _sums(parts: Sequence[dict[str, int]]) -> dict[str, int]:
    return {
        key: sum(part.get(key, 0) for part in parts) for key in dict.fromkeys(key for part in parts for key in part)
    }


def merged(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One report of several runs of the same question, as if they had been one, with its parts."""
    parts = [
        [report["answered"], (report.get("watch") or {}).get("cpu_ns", 0), round(report["seconds"] * 1e9)]
        for report in reports
    ]
    result = {**reports[0], "parts": parts}
    if len(reports) == 1:
        return result
    for key in ("seconds", "requests", "answered", "requests_total", "bytes_in", "bytes_out", "connects", "unsent"):
        result[key] = sum(report[key] for report in reports)
    for key in ("status", "errors", "io"):
        result[key] = _sums([report[key] for report in reports])
    result["first_errors"] = {
        kind: text for report in reversed(reports) for kind, text in (report.get("first_errors") or {}).items()
    }
    result["per_second"] = result["answered"] / max(result["seconds"], 1e-9)
    result["latency_ns"] = {
        name: _merged_latency([report["latency_ns"][name] for report in reports]) for name in ("corrected", "raw")
    }
    result["cpu"] = _sums(
        [{key: one for key, one in report["cpu"].items() if key.endswith("_ns")} for report in reports]
    )
    result["cpu"]["share"] = sum(report["cpu"]["share"] * report["seconds"] for report in reports) / max(
        result["seconds"], 1e-9
    )
    watched = [report["watch"] for report in reports if report.get("watch")]
    if watched:
        result["watch"] = {"cpu_ns": sum(one["cpu_ns"] for one in watched)}
    full = [report for report in reports if report["saturated"]]
    result["saturated"] = len(full) * 2 > len(reports)
    result["advice"] = next((report["advice"] for report in full or reports if report["advice"]), None)
    return result
