"""What could make a reader trust a run more than it deserves, each with a remedy."""

from __future__ import annotations

import statistics
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

from .. import remarks, results
from .kind_compare import measured

FEW_PAIRS = 10
FEW_CPUS = 4
WIDE_NOISE = 0.04  # half of the A/A interval
STEAL = 0.01  # CPUs' worth taken by the hypervisor
DRIFT = 0.05  # between the first and the second half of the rounds
MANY_INTERVALS = 20
TAIL = 10  # observations beyond a percentile that make it worth showing
LEVELS = ("fail", "limit", "note")  # the worst first

SENTENCES = tomllib.loads(Path(__file__).with_name("threats.toml").read_text())


@dataclass(frozen=True)
class Threat:
    """One threat: how bad, a sentence, and a remedy."""

    id: str
    level: str  # fail, limit, note
    text: str
    remedy: str


def find(run: results.Run) -> list[Threat]:
    """All threats of a run, the worst first; those that doctor found come with them."""
    there = {**_samples(run), **_noise(run), **_machine(run), **_program(run), **_loops(run)}
    found = [
        Threat(name.partition(":")[0], level, text.format(*values), remedy)
        for level, sentences in SENTENCES.items()
        for name, (text, remedy) in sentences.items()
        if (values := there.get(name))
    ]
    known = {threat.id for threat in found}
    for one in run.doctor:
        if one["level"] in LEVELS and one["id"] not in known:
            found.append(Threat(one["id"], one["level"], one["text"], one["remedy"] or ""))
    return sorted(found, key=lambda threat: LEVELS.index(threat.level))


Found = dict[str, Any]  # id: the values of the sentence where the condition holds, else something false
YES = [None]  # holds, and the sentence has no values


def _good(run: results.Run) -> list[results.Sample]:
    return [s for cell in run.cells for s in cell.samples if s.invalid is None]


def _samples(run: results.Run) -> Found:
    good, cells = _good(run), run.cells
    total = sum(len(cell.samples) for cell in cells)
    unlike = [cell.id for cell in cells if cell.answers not in (None, "alike")]
    unchecked = [cell.id for cell in cells if cell.answers is None]
    short = [cell.id for cell in cells if not cell.complete]
    found: Found = {
        "invalid": len(good) < total and (total - len(good), total),
        "answers": unlike and [_some(unlike)],
        "unchecked": unchecked and [_some(unchecked)],
        "unfinished": (short or run.finished is None) and [f": {_some(short)}" if short else ""],
    }
    if not good:
        return found
    few = min((len(cell.valid(name)) for cell in measured(run) for name in cell.names), default=0)
    full = [s for s in good if s.saturated in ("load", "both")]
    idle = [s for s in good if s.saturated == "neither"]
    closed = [
        cell.id
        for cell in cells
        if not cell.workload.get("rate") and any(s.saturated == "neither" for s in cell.samples if s.invalid is None)
    ]
    unsent = [s for s in good if s.unsent]
    requests = {cell.id: min((s.requests for s in cell.samples if not s.invalid), default=0) for cell in cells}
    thin = [name for name, least in requests.items() if 0 < least < TAIL * 1000]
    change, variant, where = max((_drift(cell) for cell in cells), key=lambda drift: abs(drift[0]))
    moved = f"{change * 100:+.1f} %".replace("-", "−")
    return found | {
        "few-pairs": few < FEW_PAIRS and run.kind != "tune" and [few],
        "load-saturated": full and (len(full), len(good)),
        "unsaturated": closed and len(idle) * 2 > len(good) and [_some(closed)],
        "errors": any(sum(s.errors.values()) for s in good) and YES,
        "unsent": unsent and [len(unsent)],
        "thin-tail": thin and [_some(thin)],
        "drift": abs(change) > DRIFT and (moved, variant, where),
    }


def _drift(cell: results.Cell) -> tuple[float, str, str]:
    """The largest change of a variant's cost from the first half of the rounds to the second."""
    worst = 0.0, "", cell.id
    for name in cell.names:
        costs = [s.cpu_ns_per_request for s in cell.valid(name) if s.cpu_ns_per_request]
        if len(costs) >= 6:
            half = len(costs) // 2
            change = statistics.median(costs[half:]) / statistics.median(costs[:half]) - 1
            worst = max(worst, (change, cell.label(name), cell.id), key=lambda drift: abs(drift[0]))
    return worst


def _noise(run: results.Run) -> Found:
    good, noise = _good(run), run.noise
    half = max(noise["high"] - 1, 1 - noise["low"]) if noise else 0
    biased = bool(noise) and not noise["low"] <= 1 <= noise["high"]
    others = remarks.disturbed(good)
    steal = max((s.steal_share for s in good), default=0)
    count = sum(len(cell.ratios) for cell in run.cells)
    return {
        "no-noise-floor": not noise and YES,
        "noise-biased": biased and YES,
        "noisy": half > WIDE_NOISE and not biased and [f"{half * 100:.1f}"],
        "others": others > remarks.NOISY_OTHERS and [f"{others * 100:.0f}"],
        "steal": steal > STEAL and [f"{steal * 100:.0f}"],
        "many-intervals": count >= MANY_INTERVALS and (count, round(count * 0.05)),
    }


def _machine(run: results.Run) -> Found:
    cpu = run.environment.get("cpu") or {}
    cpus, siblings = cpu.get("allowed") or [], set(cpu.get("siblings_of_cpu0") or [])
    server, load = (set(run.pinning.get(side) or []) for side in ("server", "load"))
    smt = len(siblings) > 1 or cpu.get("smt") in (True, "on", "1")
    shared = siblings & server and siblings & load
    governor, hypervisor = cpu.get("governor"), cpu.get("hypervisor")
    states = (cpu.get("mitigations") or {}).items()
    active = sorted(name for name, state in states if str(state).startswith("Mitigation"))
    off = "mitigations=off" in str(run.environment.get("kernel_command_line") or "").split()
    return {
        "virtual": hypervisor and YES,
        "shared-host": hypervisor and not any(s.steal_share for s in _good(run)) and YES,
        "few-cores": 0 < len(cpus) < FEW_CPUS and [len(cpus)],
        "unpinned": not (server and load) and YES,
        "shared-cores": server & load and YES,
        "smt:shared": smt and shared and YES,
        "smt": smt and not shared and YES,
        "frequency:unknown": governor is None and YES,
        "frequency": governor not in (None, "performance") and [governor],
        "boost": str(cpu.get("boost")) == "1" and YES,
        "mitigations:off": off and YES,
        "mitigations": active and not off and [", ".join(active)],
    }


def _program(run: results.Run) -> Found:
    git = run.environment.get("git") or {}
    build = (run.environment.get("build") or {}).get("options") or {}
    kind, sanitize = build.get("buildtype"), build.get("b_sanitize")
    debug = kind in ("debug", "debugoptimized", "plain") or str(build.get("optimization")) in ("0", "g")
    return {
        "dirty": git.get("dirty") and YES,
        "no-commit": not git.get("dirty") and not git.get("commit") and YES,
        "debug": debug and kind != "debugoptimized" and [kind],
        "debug:optimized": kind == "debugoptimized" and [kind],
        "sanitizer": sanitize not in (None, "", "none") and [sanitize],
    }


def _loops(run: results.Run) -> Found:
    large = [cell.id for cell in run.cells if results.moves_bodies(str(cell.workload.get("name")))]
    return {
        "shared-work": large and [_some(large)],
        "loopback": YES,
        "closed-loop": any(not cell.workload.get("rate") for cell in run.cells) and YES,
    }


def _some(names: Sequence[str], most: int = 4) -> str:
    """A few names in words."""
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
