"""What makes a comparison trusted, point by point, and whether this run has it."""

from typing import Any

from .. import results, usl
from ..words import COST
from . import kind_scale
from .kind_compare import measured
from .render import Table, toned

TONES = {"yes": "good", "partly": "warn", "no": "bad"}
COUNTERS = {
    "syscalls_per_request": "system calls per request",
    "completions_per_wait": "completions per wait",
    "overflows": "overflows",
    "starved": "no buffers",
}


def table(run: results.Run, threats: int, unknown: int) -> Table:
    """All points, with the counts of the threats found and of what is unknown of the machine."""
    rows: list[list[Any]] = []

    def point(what: str, detail: str, yes: Any, partly: Any = False) -> None:
        state = "yes" if yes else "partly" if partly else "no"
        rows.append([what, toned(state, TONES[state]), detail])

    cells = measured(run)
    good = [s for cell in cells for s in cell.samples if s.invalid is None]
    ratios = [one for cell in cells for one in cell.ratios]

    point("A/A run as noise floor", f"{run.noise['pairs']} pairs" if run.noise else "none", run.noise)
    detail = f"{unknown} entries are unknown: figures that depend on them are estimates" if unknown else "below"
    commit = (run.environment.get("git") or {}).get("commit")
    point("Machine, kernel and programs disclosed", detail, commit and not unknown, run.environment)
    alike = sum(cell.answers == "alike" for cell in cells)
    detail = f"{alike} of {len(cells)} cells identical, byte for byte"
    point("Responses compared before timing", detail, cells and alike == len(cells), alike)
    metrics = {one.metric for one in ratios}
    detail = f"{len(ratios)} ratios of {len(metrics)} metrics, paired by round"
    point("Paired ratios with 95 % intervals", detail, metrics - {COST}, ratios)
    rates = {round(cell.workload["rate"]) for cell in cells if cell.workload["rate"]}
    absent = "closed loop only; run the latency workload"
    detail = f"{len(rates)} rates, from the intended send time" if rates else absent
    point("Latency in open loop", detail, len(rates) >= 3, rates)
    counters = [name for field, name in COUNTERS.items() if any(getattr(s, field) is not None for s in good)]
    point("Counters that explain", ", ".join(counters) or "none", len(counters) == len(COUNTERS), counters)
    point("Saturation identified", "measured per sample", good and all(s.saturated for s in good))
    fitted = max((fit["points"] for fit in kind_scale.fits(run).values()), default=0)
    absent = "too few core counts" if run.kind == "scale" else "not part of this run; see torc-bench scale"
    detail = f"{fitted} core counts" if fitted else absent
    point("Scaling fit", detail, fitted >= usl.GOOD, fitted >= usl.FEWEST)
    effects = len(run.extra["effects"])
    detail = f"{effects} effects" if effects else "not part of this run; see torc-bench ablate"
    point("Ablation of single features", detail, effects)
    point("Threats to validity listed", f"{threats}, found automatically", True)
    verdicts = sum(bool(one.verdict) for one in ratios)
    point("Verdicts tied to intervals", f"{verdicts} sentences", ratios and verdicts == len(ratios), verdicts)
    samples = sum(len(cell.samples) for cell in run.cells)
    detail = f"{samples} samples in the result file, {len(run.commands)} commands below"
    point("Raw data and commands", detail, run.command and run.commands, True)
    return Table("What a trusted comparison needs", ["Point", "Present", "Detail"], rows)
