"""What makes a comparison trusted, point by point, and whether this run has it."""

from __future__ import annotations

from typing import Any

from .. import results, usl
from . import kind_scale
from .kind_compare import measured
from .render import Table, toned

TONES = {"yes": "good", "partly": "warn", "no": "bad"}
COUNTERS = ("syscalls_per_request", "completions_per_wait", "overflows", "starved")


def _state(yes: Any, partly: Any = False) -> str:
    return "yes" if yes else "partly" if partly else "no"


def table(run: results.Run, threats: int, unknown: int) -> Table:
    """All points, with the counts of the threats found and of what is unknown of the machine."""
    cells = measured(run)
    good = [s for cell in cells for s in cell.samples if s.invalid is None]
    alike = sum(cell.answers == "alike" for cell in cells)
    ratios = [one for cell in cells for one in cell.ratios]
    metrics = {one.metric for one in ratios}
    rates = {round(cell.workload["rate"]) for cell in cells if cell.workload.get("rate")}
    counters = [name for name in COUNTERS if any(getattr(s, name) is not None for s in good)]
    commit = (run.environment.get("git") or {}).get("commit")
    fitted = max((fit["points"] for fit in kind_scale.fits(run).values()), default=0) if run.kind == "scale" else 0
    effects = len(run.extra.get("effects") or []) if run.kind == "ablate" else 0
    verdicts = [one for one in ratios if one.verdict]
    samples = sum(len(cell.samples) for cell in run.cells)
    elsewhere = "not part of this run; see torc-bench"
    points = [
        ("A/A run as noise floor", _state(run.noise), f"{run.noise['pairs']} pairs" if run.noise else "none"),
        (
            "Machine, kernel and programs disclosed",
            _state(commit and not unknown, run.environment),
            f"{unknown} entries are unknown: figures that depend on them are estimates" if unknown else "below",
        ),
        (
            "Responses compared before timing",
            _state(cells and alike == len(cells), alike),
            f"{alike} of {len(cells)} cells identical, byte for byte",
        ),
        (
            "Paired ratios with 95 % intervals",
            _state(metrics - {results.COST}, ratios),
            f"{len(ratios)} ratios of {len(metrics)} metrics, paired by round",
        ),
        (
            "Latency in open loop",
            _state(len(rates) >= 3, rates),
            f"{len(rates)} rates, from the intended send time"
            if rates
            else "closed loop only; run the latency workload",
        ),
        (
            "Counters that explain",
            _state(len(counters) == len(COUNTERS), counters),
            ", ".join(name.replace("_", " ").replace("starved", "no buffers") for name in counters) or "none reported",
        ),
        ("Saturation identified", _state(good and all(s.saturated for s in good)), "measured per sample"),
        (
            "Scaling fit",
            _state(fitted >= usl.GOOD, fitted >= usl.FEWEST),
            f"{fitted} core counts"
            if fitted
            else "too few core counts"
            if run.kind == "scale"
            else f"{elsewhere} scale",
        ),
        ("Ablation of single features", _state(effects), f"{effects} effects" if effects else f"{elsewhere} ablate"),
        ("Threats to validity listed", "yes", f"{threats}, found automatically"),
        (
            "Verdicts tied to intervals",
            _state(verdicts and len(verdicts) == len(ratios), verdicts),
            f"{len(verdicts)} sentences",
        ),
        (
            "Raw data and commands",
            _state(run.command and run.commands, True),
            f"{samples} samples in the result file, {len(run.commands)} commands below",
        ),
    ]
    rows = [[what, toned(state, TONES[state]), detail] for what, state, detail in points]
    return Table("What a trusted comparison needs", ["Point", "Present", "Detail"], rows)
