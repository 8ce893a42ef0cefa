"""The result file: what a run measured, read and written whole. Format 2; see bench/RESULTS.md."""

import contextlib
import dataclasses
import datetime
import json
import math
import os
import re
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import ceiling, schema, stats
from .verdict import Noise, Verdict
from .words import CEILING_SHARE, COST, WITH_LOAD

FORMAT = 2
LISTS = ("cells", "samples", "ratios")  # that every file has
DEEPEST = 20  # levels of what is written in one another
METRIC = re.compile(  # what a ratio may be of
    r"(cpu_ns_per_request|with_load_ns_per_request|per_second|peak_rss_kb|syscalls_per_request|ceiling_share|"
    r"completions_per_wait|concurrency|parallelism|asynchrony|(latency_us|latency_raw_us|memory)\.[\w.]+)"
)
PARTS = {COST: (1, 0), "per_second": (0, 2), CEILING_SHARE: (0, 2)}  # what of a part is divided by what


class ResultsError(Exception):
    """A file that is not a result file, or not of this format."""


@dataclass
class Sample:
    """One run of one variant. Shares are of one CPU over the whole load, warm-up included."""

    variant: str
    round: int
    order: int  # place in its round
    started: float  # seconds since the epoch
    seconds: float = 0.0  # the measured window
    invalid: str | None = None  # why it does not count
    requests: int = 0  # good replies in the window
    per_second: float = 0.0
    cpu_ns: int = 0  # all threads of the server in the window, kernel workers included
    cpu_ns_per_request: float = 0.0
    with_load_ns_per_request: float | None = None  # the same and the load generator's own
    server_share: float = 0.0
    load_share: float = 0.0
    others_share: float = 0.0  # CPUs' worth of other programs on the whole machine
    steal_share: float = 0.0  # CPUs' worth taken by the hypervisor
    saturated: str = "neither"  # server, load, both, neither
    latency_us: dict[str, float] = field(default_factory=dict)  # from the intended send time
    latency_raw_us: dict[str, float] | None = None  # from the actual one; open loop only
    histogram: list[list[int]] = field(default_factory=list)  # [upper bound in ns, count]
    errors: dict[str, int] = field(default_factory=dict)
    syscalls_per_request: float | None = None
    completions_per_wait: float | None = None
    overflows: int | None = None
    starved: int | None = None  # receives that found no buffer
    peak_rss_kb: int | None = None
    connects: int = 0
    unsent: int = 0  # open loop: requests whose time came and that were not sent
    parts: list[list[int]] = field(default_factory=list)  # [requests, cpu ns, wall ns] of each
    retaken: int = 0  # parts that were taken again, since no request of them was answered
    memory: dict[str, float] | None = None  # of each idle connection; idle only
    advice: str | None = None  # what the load generator says about itself
    waited_share: float | None = None  # of its CPUs: the server was ready to run and had none
    load_waited_share: float | None = None  # of the time: so was the load generator
    idle_share: float | None = None  # of the server's CPUs: neither used nor waited for
    ceiling_share: float | None = None  # requests/s of the most that arithmetic allows
    concurrency: float | None = None  # L: requests in progress, on average; torc only, as all below
    concurrency_peak: int | None = None  # an upper bound
    parallelism: float | None = None  # P: cores that ran request code, on average
    parallelism_peak: int | None = None  # sampled: a lower bound
    asynchrony: float | None = None  # A: the part of the requests' time in which they held no thread


@dataclass
class Ratio:
    """One variant over another, paired by round, with the bounds of its 95 % interval."""

    metric: str
    numerator: str
    denominator: str
    median: float
    low: float
    high: float
    pairs: int
    verdict: str = ""

    @property
    def contains_one(self) -> bool:
        return self.low <= 1.0 <= self.high

    @property
    def sides(self) -> tuple[str, str]:
        return self.numerator, self.denominator

    def judge(self, noise: Noise | None) -> Verdict:
        return Verdict(self.metric, self.median, self.low, self.high, self.pairs, noise)


@dataclass
class Cell:
    """One workload under one set of factors, with all variants' samples."""

    id: str  # unique in the run
    workload: dict[str, Any]
    factors: dict[str, Any] = field(default_factory=dict)
    variants: list[dict[str, Any]] = field(default_factory=list)  # as subject.Variant
    pairs_wanted: int = 0
    complete: bool = False
    answers: str | None = None  # "alike" once the bytes were compared; else why not
    samples: list[Sample] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ceiling: float | None = None  # requests/s that arithmetic allows, connections ÷ delay

    def __post_init__(self) -> None:
        if self.ceiling is None:  # also in a file that is older than the entry
            self.ceiling = ceiling.limit(self.workload)
        for sample in self.samples if self.ceiling else ():
            if sample.ceiling_share is None:
                sample.ceiling_share = ceiling.share(self.workload, sample.per_second)

    @property
    def names(self) -> list[str]:
        return [variant["name"] for variant in self.variants]

    def label(self, name: str) -> str:
        return next((v["label"] for v in self.variants if v["name"] == name), name)

    def valid(self, name: str) -> list[Sample]:
        """The samples of a variant that count, in round order."""
        found = [s for s in self.samples if s.variant == name and s.invalid is None]
        return sorted(found, key=lambda sample: sample.round)

    @property
    def invalid(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.invalid is not None]

    def median(self, name: str, metric: str) -> float | None:
        """The median of a metric over the samples of a variant that count and have it."""
        known = by_round(self, name, metric).values()
        return statistics.median(known) if known else None


@dataclass
class Run:
    """A whole result file."""

    kind: str
    title: str
    started: str
    finished: str | None = None
    seconds: float = 0.0
    command: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    pinning: dict[str, Any] = field(default_factory=dict)
    doctor: list[dict[str, Any]] = field(default_factory=list)
    commands: dict[str, list[str]] = field(default_factory=dict)  # the last of each variant
    notes: list[str] = field(default_factory=list)
    noise: dict[str, Any] | None = None  # the A/A run
    cells: list[Cell] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    conclusions: list[str] = field(default_factory=list)
    format: int = FORMAT

    @property
    def instant(self) -> float:
        """When it began, in seconds since the epoch, whatever the zone; -inf where it is no time."""
        try:
            return datetime.datetime.fromisoformat(self.started).timestamp()
        except (ValueError, OverflowError):
            return -math.inf

    @property
    def measured(self) -> bool:
        """Whether there is a sample in it."""
        return any(cell.samples for cell in self.cells) or bool(self.extra.get("experiments"))

    def cell(self, name: str) -> Cell | None:
        return next((cell for cell in self.cells if cell.id == name), None)

    def left(self, name: str, samples: int) -> int:
        """How many of a cell's samples are still to be taken; it has only whole rounds."""
        cell = self.cell(name)
        if cell is None:
            return samples
        return 0 if cell.complete else max(samples - len(cell.samples), 0)


INNER: dict[Any, dict[str, Any]] = {Run: {"cells": Cell}, Cell: {"samples": Sample, "ratios": Ratio}}


def value(sample: Sample, metric: str) -> float | None:
    """A metric of a sample: a field, or an entry of a map as in latency_us.p99."""
    name, _, key = metric.partition(".")
    found = getattr(sample, name)
    if key:
        found = (found or {}).get(key)
    return None if found is None else float(found)


def by_round(cell: Cell, variant: str, metric: str) -> dict[int, float]:
    """Round to value, of the samples that count: what pairs are made of."""
    found = {sample.round: value(sample, metric) for sample in cell.valid(variant)}
    return {number: one for number, one in found.items() if one is not None}


def round_ratios(cell: Cell, numerator: str, denominator: str, metric: str) -> list[list[float]]:
    """The ratios of each round that has both variants: one for each pair of parts measured side by
    side, or one of the whole samples where they have no parts. There is none of what is not above 0,
    as memory where other memory was given back."""
    others = {sample.round: sample for sample in cell.valid(denominator)}
    pairs = [(one, others[one.round]) for one in cell.valid(numerator) if one.round in others]
    return [ratios for one, other in pairs if (ratios := _pair_ratios(one, other, metric))]


def _pair_ratios(one: Sample, other: Sample, metric: str) -> list[float]:
    if metric in PARTS and len(one.parts) == len(other.parts) > 1:
        top, bottom = PARTS[metric]
        whole = [pair for pair in zip(one.parts, other.parts) if all(min(part) > 0 for part in pair)]
        return [a[top] / a[bottom] / (b[top] / b[bottom]) for a, b in whole]
    above, below = value(one, metric), value(other, metric)
    return [above / below] if above is not None and below is not None and min(above, below) > 0 else []


def ratio(cell: Cell, numerator: str, denominator: str, metric: str = COST, noise: Noise | None = None) -> Ratio | None:
    """One variant over another, paired by round; None where no round has both."""
    rounds = round_ratios(cell, numerator, denominator, metric)
    if not rounds:
        return None
    interval = stats.bootstrap_rounds(rounds)
    found = Ratio(metric, numerator, denominator, interval.median, interval.low, interval.high, interval.count)
    verdict = found.judge(noise)
    if metric == CEILING_SHARE:
        found.verdict = ceiling.sentence(cell, numerator, denominator, verdict)
    else:
        found.verdict = verdict.sentence(cell.label(numerator), cell.label(denominator))
    return found


def metrics(workload: str) -> tuple[str, ...]:
    """The metrics that a workload's variants are compared by, the leading one first."""
    if workload == "idle":
        return ("memory.user_bytes", "memory.kernel_bytes")
    if workload == "latency":
        return (COST, "latency_us.p50", "latency_us.p99", "latency_us.p99.9")
    if workload == "delay":
        return (COST, CEILING_SHARE, "latency_us.p50", "latency_us.p99")
    with_load = (WITH_LOAD,) if moves_bodies(workload) else ()
    return (COST, *with_load, "per_second", "latency_us.p99")


def leading(workload: str) -> tuple[str, ...]:
    """Those of them that say how it went: CPU per request is not all where the rate is given, or has a ceiling."""
    first = metrics(workload)[0]
    if workload == "latency":
        return (first, "latency_us.p50", "latency_us.p99")
    return (first, *(one for one in (WITH_LOAD, CEILING_SHARE) if one in metrics(workload)))


def moves_bodies(workload: str) -> bool:
    """Whether bodies are so large that on loopback the load's CPU does part of the server's work."""
    return workload.startswith(("static-large", "upload"))


def to_json(run: Run) -> dict[str, Any]:
    """The file's content, format first."""
    content = dataclasses.asdict(run)
    return {"format": content.pop("format"), **content}


def _completed(cls: Any, content: Any) -> Any:
    """The entries that the class knows, with the defaults of those that an earlier file lacks."""
    if not isinstance(content, dict):
        return content
    known = {}
    for one in dataclasses.fields(cls):
        if one.name in content:
            known[one.name] = content[one.name]
        elif one.default is not dataclasses.MISSING:
            known[one.name] = one.default
        elif one.default_factory is not dataclasses.MISSING and one.name not in LISTS:
            known[one.name] = one.default_factory()
    for name, inner in INNER.get(cls, {}).items():
        if isinstance(known.get(name), list):
            known[name] = [_completed(inner, one) for one in known[name]]
    return known


def _made(cls: Any, content: dict[str, Any]) -> Any:
    """An object of the class from what the schema holds for good."""
    lists = {name: [_made(inner, one) for one in content[name]] for name, inner in INNER.get(cls, {}).items()}
    return cls(**{**content, **lists})


def _is_deep(content: Any, levels: int = DEEPEST) -> bool:
    inner = content.values() if isinstance(content, dict) else content
    return isinstance(content, (dict, list)) and (not levels or any(_is_deep(one, levels - 1) for one in inner))


def _contradiction(run: Run) -> str | None:
    """What has the right form and still cannot be true."""
    winner = run.extra.get("winner")
    if winner is not None and winner not in [one["name"] for one in run.extra["candidates"]]:
        return f"$.extra.winner: {winner} is not among the candidates"
    for i, cell in enumerate(run.cells):
        for j, found in enumerate(cell.ratios):
            if not METRIC.fullmatch(found.metric):
                return f"$.cells[{i}].ratios[{j}].metric: there is no {found.metric!r}"
    for i, one in enumerate(run.extra.get("experiments", [])):
        if wrong := [j for j, row in enumerate(one["rows"]) if len(row) != len(one["header"])]:
            return f"$.extra.experiments[{i}].rows[{wrong[0]}]: has not as many cells as the header"
    for i, one in enumerate(run.extra.get("knees", [])):
        if one["change"] and None in (one["depth"], one["other"]):
            return f"$.extra.knees[{i}]: a change without two depths"
    return None


def from_json(content: Any) -> Run:
    """The run that a file's content stands for; all of it is checked here, so readers need not."""
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise ResultsError(f"not a result file of format {FORMAT} (its format is {found!r})")
    content = _completed(Run, content)
    wrong = next(schema.faults(content, strict=False), None)
    if wrong is None and _is_deep(content):
        wrong = f"nested more than {DEEPEST} levels deep"
    run = None if wrong else _made(Run, content)
    if run is None or (wrong := _contradiction(run)):
        raise ResultsError(f"a damaged result file: {wrong}")
    return run


def load(path: Path) -> Run:
    return parsed(read(path), path)


def read(path: Path) -> bytes:
    """What is in a file; a pipe can be read once."""
    try:
        if path.exists() and not (path.is_file() or path.is_fifo()):  # some devices never end
            raise ResultsError(f"{path}: not a regular file")
        return path.read_bytes()
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror or error}") from error


def parsed(data: bytes, path: Path) -> Run:
    """The run that these bytes of a file stand for."""
    try:
        content = json.loads(data.decode("utf-8"))
        json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair cannot be printed
        return from_json(content)
    except ResultsError as error:
        raise ResultsError(f"{path}: {error}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ResultsError(f"{path}: not a result file, from {place} on") from error
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{path}: not a result file") from error


def save(run: Run, path: Path) -> None:
    text = json.dumps(to_json(run), separators=(",", ":"), default=str, ensure_ascii=False) + "\n"
    try:
        write(text.encode("utf-8", errors="replace"), path)  # a name need not be UTF-8
    except OSError as error:
        raise ResultsError(f"{path} cannot be written: {error.strerror or error}") from error


def refuse_too_long(path: Path) -> None:
    """An OSError where no file can have that name."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.lstat()


def write(data: bytes, path: Path) -> None:
    """Writes a file so that it is either the old one or the new one, whatever happens. Of a link it is what the link
    leads to."""
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".torc-bench-", dir=path.parent) as scratch:
            new = Path(scratch, path.name)  # as long a name as that of the file is no longer than one can be
            with new.open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            new.replace(path)
    except OSError as error:
        error.filename = str(path)  # a full disk names none, and others what is gone
        raise
