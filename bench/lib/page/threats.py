"""What could make a reader trust a run more than it deserves, each with a remedy."""

import statistics
import tomllib
from pathlib import Path
from typing import Any, NamedTuple, Sequence

import jinja2

from .. import remarks, results
from . import numbers
from .kind_compare import measured

LEVELS = ("fail", "limit", "note")  # the worst first
THIN = 10_000  # requests of a round below which its p99.9 rests on fewer than ten
TABLE = tomllib.loads(Path(__file__).with_name("threats.toml").read_text(encoding="utf-8"))
_HOLDS = jinja2.Environment().compile_expression


class Threat(NamedTuple):
    """One threat: how bad, a sentence, and a remedy."""

    id: str
    level: str  # fail, limit, note
    text: str
    remedy: str


def find(run: results.Run) -> list[Threat]:
    """All threats of a run, the worst first; those that doctor found come with them."""
    known = {**_of_samples(run), **_of_machine(run)}
    found = [
        Threat(name.partition(":")[0], level, " ".join(text.split()).format_map(known), remedy)
        for level in LEVELS
        for name, (condition, text, remedy) in TABLE[level].items()
        if _HOLDS(condition)(known)
    ]
    seen = {threat.id for threat in found}
    for one in run.doctor:
        if one["level"] in LEVELS and one["id"] not in seen:
            found.append(Threat(one["id"], one["level"], one["text"], one["remedy"] or ""))
    return sorted(found, key=lambda threat: LEVELS.index(threat.level))


def _few(names: Sequence[str]) -> str:
    """A few of the cells' names; none is an empty text."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _of_samples(run: results.Run) -> dict[str, Any]:
    cells, noise = run.cells, run.noise
    samples = [s for cell in cells for s in cell.samples]
    good = {cell.id: [s for s in cell.samples if s.invalid is None] for cell in cells}
    valid = [s for some in good.values() for s in some]
    ratios = sum(len(cell.ratios) for cell in cells)
    closed = [cell.id for cell in cells if not cell.workload["rate"]]
    endless = [cell.id for cell in cells if cell.id in closed and not cell.ceiling]
    short = _few([cell.id for cell in cells if not cell.complete])
    drift, drifting = max((_drift(cell) for cell in cells), key=lambda one: abs(one[0]), default=(0.0, ""))
    return {
        "run": run,
        "samples": len(samples),
        "good": len(valid),
        "invalid": len(samples) - len(valid),
        "unlike": _few([cell.id for cell in cells if cell.answers not in (None, "alike")]),
        "unchecked": _few([cell.id for cell in cells if cell.answers is None]),
        "short": f": {short}" if short else "",
        "rounds": min((len(cell.valid(name)) for cell in measured(run) for name in cell.names), default=0),
        "load_full": sum(s.saturated in ("load", "both") for s in valid),
        "idle": sum(s.saturated == "neither" for s in valid),
        "closed": closed,
        "unsaturated": _few([name for name in endless if any(s.saturated == "neither" for s in good[name])]),
        "errors": any(s.errors for s in valid),
        "unsent": sum(s.unsent > 0 for s in valid),
        "thin": _few([name for name, some in good.items() if some and 0 < min(s.requests for s in some) < THIN]),
        "drifted": abs(drift),
        "drift": f"{numbers.signed(drift * 100, 1)} %",
        "drifting": drifting,
        "reach": max(noise["high"] - 1, 1 - noise["low"]) * 100 if noise else 0,
        "biased": noise and not noise["low"] <= 1 <= noise["high"],
        "others": remarks.disturbed(valid) * 100,
        "most_others": remarks.NOISY_OTHERS * 100,
        "steal": max((s.steal_share for s in valid), default=0) * 100,
        "intervals": ratios,
        "missed": ratios * 0.05,
        "large": _few([cell.id for cell in cells if results.moves_bodies(cell.workload["name"])]),
    }


def _drift(cell: results.Cell) -> tuple[float, str]:
    """The largest change of a variant's cost from the first half of the rounds to the second, and
    whose it is."""
    worst = 0.0, ""
    for name in cell.names:
        costs = [s.cpu_ns_per_request for s in cell.valid(name) if s.cpu_ns_per_request]
        if len(costs) >= 6:
            half = len(costs) // 2
            change = statistics.median(costs[half:]) / statistics.median(costs[:half]) - 1
            worst = max(worst, (change, f"{cell.label(name)} in {cell.id}"), key=lambda one: abs(one[0]))
    return worst


def _of_machine(run: results.Run) -> dict[str, Any]:
    """The machine, the pinning and the build."""
    found = run.environment
    cpu, build = found.get("cpu") or {}, (found.get("build") or {}).get("options") or {}
    siblings = {*(cpu.get("siblings_of_cpu0") or [])}
    server, load = ({*(run.pinning.get(side) or [])} for side in ("server", "load"))
    states = (cpu.get("mitigations") or {}).items()
    return {
        "cpu": cpu,
        "build": {"buildtype": None, **build},
        "git": found.get("git") or {},
        "cpus": len(cpu.get("allowed") or []),
        "pinned": server and load,
        "shared": server & load,
        "smt": len(siblings) > 1 or cpu.get("smt") in (True, "on", "1"),
        "siblings_shared": siblings & server and siblings & load,
        "mitigations": ", ".join(sorted(name for name, state in states if str(state).startswith("Mitigation"))),
        "mitigations_off": "mitigations=off" in str(found.get("kernel_command_line") or "").split(),
    }
