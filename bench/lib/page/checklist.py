"""What makes a comparison trusted, point by point, and whether this run has it."""

from __future__ import annotations

from typing import Iterator

from .. import results, usl
from . import environment, kind_ablate, kind_scale
from .html import Column, Markup, table, tag
from .kind_compare import measured
from .threats import Threat

Point = tuple[str, str, str]  # what, yes/partly/no, why


def points(run: results.Run, threats: list[Threat]) -> Iterator[Point]:
    """All points; each says what is there and what is not."""
    cells = measured(run)
    good = [s for cell in cells for s in cell.samples if s.invalid is None]
    noise = run.noise
    yield ("A/A run as noise floor", "yes" if noise else "no", f"{noise['pairs']} pairs" if noise else "none was made")
    missing = environment.unknown(run)
    commit = (run.environment.get("git") or {}).get("commit")
    state = "no" if not run.environment else "partly" if missing or not commit else "yes"
    yield (
        "Machine, kernel and programs disclosed",
        state,
        f"{len(missing)} entries are not " "known: figures that depend on them are estimates" if missing else "below",
    )
    alike = sum(cell.answers == "alike" for cell in cells)
    yield (
        "Answers compared before timing",
        "yes" if cells and alike == len(cells) else "partly" if alike else "no",
        f"{alike} of {len(cells)} cells alike, byte for byte",
    )
    ratios = [one for cell in cells for one in cell.ratios]
    metrics = {one.metric for one in ratios}
    several = bool(metrics - {"cpu_ns_per_request"})
    yield (
        "Paired ratios with 95 % intervals",
        "yes" if ratios and several else "partly" if ratios else "no",
        f"{len(ratios)} ratios of {len(metrics)} metrics, paired by round",
    )
    loads = {round(cell.workload["rate"]) for cell in cells if cell.workload.get("rate")}
    yield (
        "Latency in open loop",
        "yes" if len(loads) >= 3 else "partly" if loads else "no",
        f"{len(loads)} rates, from the intended send time" if loads else "closed loop only; run the latency workload",
    )
    counters = ("syscalls_per_request", "completions_per_wait", "overflows", "starved")
    there = [name for name in counters if any(getattr(s, name) is not None for s in good)]
    yield (
        "Counters that explain",
        "yes" if len(there) == len(counters) else "partly" if there else "no",
        ", ".join(name.replace("_", " ") for name in there) or "none reported",
    )
    told = sum(bool(s.saturated) for s in good)
    yield ("Who was saturated", "yes" if good and told == len(good) else "no", "measured per sample")
    yield from _kinds(run)
    yield ("Threats to validity listed", "yes", f"{len(threats)}, found automatically")
    sentences = [one for one in ratios if one.verdict]
    yield (
        "Verdicts tied to intervals",
        "yes" if sentences and len(sentences) == len(ratios) else "partly" if sentences else "no",
        f"{len(sentences)} sentences",
    )
    yield (
        "Raw data and commands",
        "yes" if run.command and run.commands else "partly",
        f"{sum(len(cell.samples) for cell in run.cells)} samples in the result file, "
        f"{len(run.commands)} commands below",
    )


def _kinds(run: results.Run) -> Iterator[Point]:
    """Points that other kinds of run answer."""
    laws = kind_scale.fits(run) if run.kind == "scale" else {}
    fits = max((int(fit["points"]) for fit in laws.values()), default=0)
    yield (
        "Scaling fit",
        "yes" if fits >= usl.GOOD else "partly" if fits >= usl.FEWEST else "no",
        f"{fits} core counts"
        if fits
        else "too few core counts"
        if run.kind == "scale"
        else "not part of this run; see torc-bench scale",
    )
    effects = len(kind_ablate.effects(run)) if run.kind == "ablate" else 0
    yield (
        "Ablation of single features",
        "yes" if effects else "no",
        f"{effects} effects" if effects else "not part of this run; see torc-bench ablate",
    )


def listed(run: results.Run, threats: list[Threat]) -> Markup:
    """The checklist as a table."""
    tones = {"yes": "good", "partly": "warn", "no": "bad"}
    rows = [[what, tag("span", state, class_=tones[state]), why] for what, state, why in points(run, threats)]
    columns = [Column("Point"), Column("Here", words=True), Column("Detail", words=True, wide=True)]
    return table("What a trusted comparison needs", columns, rows)
