"""What a reader must know before the figures, each with its remedy: samples that do not count, a
load generator that was the bottleneck, a noisy machine."""

import statistics
from typing import Any, Iterator, Mapping, Sequence

from .results import Cell, Run, Sample, metrics, value
from .verdict import Noise
from .words import COST, say

NOISY_QUICK, NOISY = 0.04, 0.02  # half widths of the A/A interval, below and from MANY_PAIRS on
MANY_PAIRS = 10
NOISY_OTHERS = 0.10  # CPUs' worth
NOISY_STEAL = 0.02
MOVED = 1.5  # times a server's lowest cost that its highest may be, from cell to cell
UNSENT = 0.01  # of the requests of an open loop
DUE = ("good", "refused", "given_up", "failed", "unsent")  # what becomes of a flow's requests


def invalid_notes(cell: Cell) -> list[str]:
    """Which samples of the cell do not count, and why."""
    return [f"INVALID round {one.round + 1}, {cell.label(one.variant)}: {one.invalid}" for one in cell.invalid]


def cell_notes(cell: Cell) -> list[str]:
    """What a reader of the cell must know before its figures."""
    samples = {name: cell.valid(name) for name in cell.names}
    bound = [name for name, mine in samples.items() if sum(s.saturated == "load" for s in mine) * 2 > len(mine)]
    notes = invalid_notes(cell)
    if bound:
        advice = next((s.advice for s in cell.samples if s.variant in bound and s.advice), None)
        notes.append(say("load_bound", [cell.label(name) for name in bound], advice))
    for name in cell.names:
        if retaken := sum(sample.retaken for sample in cell.samples if sample.variant == name):
            notes.append(say("retaken", cell.label(name), retaken))
    for name, mine in samples.items():
        for metric in metrics("idle"):
            if below := sum(found is not None and found <= 0 for found in (value(s, metric) for s in mine)):
                notes.append(say("no_ratio", cell.label(name), metric, below))
    for name, mine in samples.items():
        unsent, others = sum(s.unsent for s in mine), disturbed(mine)
        if unsent > UNSENT * max(sum(s.requests for s in mine), 1):
            others = others if others > NOISY_OTHERS else 0.0
            slowest, percent = (cell.factors.get(key) for key in ("slowest", "load_percent"))
            rate = (cell.workload.get("rate", 0), percent, cell.label(str(slowest)))
            notes.append(say("unsent", cell.label(name), unsent, others, *rate))
    return notes


def disturbed(samples: Sequence[Sample]) -> float:
    """CPUs' worth that other programs used in the median sample."""
    return statistics.median(sample.others_share for sample in samples) if samples else 0.0


def others(run: Run) -> float:
    """The same over a whole run, of its samples or of its experiments."""
    samples = [sample for cell in run.cells for sample in cell.samples]
    experiments = [one["others_share"] for one in run.extra.get("experiments", ())]
    return disturbed(samples) if samples or not experiments else statistics.median(experiments)


def of_experiment(samples: Mapping[str, Any], others: float) -> list[str]:
    """Of an experiment: that its load was not what it says, and that the machine was busy. Each is one line."""
    shares = [(unsent / max(due, 1), name) for name, unsent, due in _open_loops("", samples)]
    missed = sorted((share, name) for share, name in shares if share > UNSENT)
    found = [say("never_sent", missed[-1][1], missed[-1][0], len(missed) - 1)] if missed else []
    return found + ([say("meanwhile", others)] if others > NOISY_OTHERS else [])


def _open_loops(name: str, samples: Any) -> Iterator[tuple[str, int, int]]:
    """Of each flow among the samples: its name, the requests that were never sent, and all that were due."""
    if isinstance(samples, Mapping) and all(isinstance(samples.get(key), (int, float)) for key in ("unsent", *DUE)):
        yield name, samples["unsent"], sum(samples[key] for key in DUE)
    elif isinstance(samples, Mapping):
        for key, one in samples.items():
            yield from _open_loops(", ".join(filter(None, (name, key))), one)
    elif isinstance(samples, (list, tuple)):
        for one in samples:
            yield from _open_loops(name, one)


def never_sent(flow: Mapping[str, Any]) -> float:
    """The share of an open loop's requests whose time came while every connection was busy."""
    return float(flow["unsent"] / max(sum(flow[key] for key in DUE), 1))


def disturbance(others: float) -> list[str]:
    return [say("disturbance", others)] if others > NOISY_OTHERS else []


def warnings(samples: Sequence[Sample]) -> list[str]:
    """What makes all figures worth less."""
    stolen = statistics.mean(sample.steal_share for sample in samples) if samples else 0.0
    return disturbance(disturbed(samples)) + ([say("steal", stolen)] if stolen > NOISY_STEAL else [])


def noise_warning(noise: Noise) -> str | None:
    """What an A/A run says against its machine."""
    bound = NOISY if noise["pairs"] >= MANY_PAIRS else NOISY_QUICK
    low, high = noise["low"] - 1, noise["high"] - 1
    if noise["pairs"] < 2:
        return say("noise_unknown")
    if max(-low, high) > bound:
        return say("noise_wide", noise, bound)
    return say("noise_wide", noise, None) if low > 0 or high < 0 else None


def moved(run: Run) -> str | None:
    """That one server under one load cost much more in one cell of the run than in another."""
    costs: dict[tuple[Any, ...], list[tuple[float, str]]] = {}
    for cell in run.cells:
        load = tuple(cell.workload.get(key) for key in ("name", "connections", "rate"))
        for one in cell.variants:
            if cost := cell.median(one["name"], COST):
                same = (*load, one["subject"], tuple(one["args"]), one["cores"])
                name = f"{cell.label(one['name']).removesuffix(' (again)')} in {cell.id}"
                costs.setdefault(same, []).append((cost, name))
    ends = [(min(levels), max(levels)) for levels in costs.values()]
    least, most = max(ends, key=lambda both: both[1][0] / both[0][0], default=((1.0, ""), (1.0, "")))
    return say("moved", least, most) if most[0] > MOVED * least[0] else None


def run_warnings(run: Run) -> list[str]:
    found = [noise_warning(run.noise) if run.noise else None, moved(run)]
    samples = [sample for cell in run.cells for sample in cell.samples]
    return [*filter(None, found), *(warnings(samples) if samples else disturbance(others(run)))]
