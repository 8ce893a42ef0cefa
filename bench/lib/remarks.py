"""What a reader must know before the figures: samples that do not count, a load generator that was
the bottleneck, and a machine that was noisy, each with its remedy."""

from __future__ import annotations

import statistics
from typing import Any, Iterator, Sequence

from . import sentences
from .results import COST, Cell, Run, Sample

NOISY_QUICK, NOISY = 0.04, 0.02  # half widths of the A/A interval, below and from MANY_PAIRS on
MANY_PAIRS = 10
NOISY_OTHERS = 0.10  # CPUs' worth
NOISY_STEAL = 0.02
MOVED = 1.5  # times a server's least cost that its largest may be, from cell to cell
UNSENT = 0.01  # of the requests of an open loop


def _mostly_load_bound(samples: Sequence[Sample]) -> bool:
    return sum(sample.saturated == "load" for sample in samples) * 2 > len(samples)


def invalid_notes(cell: Cell) -> list[str]:
    """Which samples of the cell do not count, and why."""
    return [
        f"INVALID round {sample.round + 1}, {cell.label(sample.variant)}: {sample.invalid}" for sample in cell.invalid
    ]


def cell_notes(cell: Cell) -> list[str]:
    """What a reader of the cell must know before its figures."""
    notes = invalid_notes(cell)
    bound = [name for name in cell.names if _mostly_load_bound(cell.valid(name))]
    if bound:
        advice = next((sample.advice for sample in cell.samples if sample.variant in bound and sample.advice), None)
        notes.append(
            f"{', '.join(map(cell.label, bound))}: the load generator was the bottleneck, so "
            "requests/s say nothing about the server: compare CPU per request, or give the load "
            "more CPUs" + (f" (it says: {advice})" if advice else "")
        )
    for name in cell.names:
        mine = cell.valid(name)
        unsent = sum(sample.unsent for sample in mine)
        if unsent > UNSENT * max(sum(sample.requests for sample in mine), 1):
            others = disturbed(mine)
            why = (
                f"{others_used(others)} meanwhile" if others > NOISY_OTHERS else f"{_rate(cell)} is more than it can do"
            )
            notes.append(f"{cell.label(name)}: {unsent:,} requests whose time had come were not " f"sent: {why}")
    return notes


def disturbed(samples: Sequence[Sample]) -> float:
    """CPUs' worth that other programs used in the median sample."""
    return statistics.median(sample.others_share for sample in samples) if samples else 0.0


def others_used(others: float) -> str:
    """What other programs did, in words."""
    return f"other programs used {others * 100:.0f} % of a CPU"


def disturbance(others: float) -> list[str]:
    """What to say of so many CPUs' worth of other programs, if anything."""
    return (
        [f"noisy: {others_used(others)} in the median sample: end them and run again"] if others > NOISY_OTHERS else []
    )


def _rate(cell: Cell) -> str:
    """The rate of an open loop, and the share of whose capacity it was meant to be."""
    percent, slowest = cell.factors.get("load_percent"), str(cell.factors.get("slowest"))
    share = f", {percent} % of the measured capacity of {cell.label(slowest)}," if percent else ""
    return f"the rate of {cell.workload.get('rate', 0):,.0f} requests/s{share}"


def warnings(samples: Sequence[Sample]) -> list[str]:
    """What makes all figures worth less, with the remedy."""
    if not samples:
        return []
    lines = disturbance(disturbed(samples))
    stolen = statistics.mean(sample.steal_share for sample in samples)
    if stolen > NOISY_STEAL:
        lines.append(
            f"noisy: the hypervisor took {stolen * 100:.0f} % of a CPU (steal): use a "
            "machine that is not shared, or more --pairs"
        )
    return lines


def noise_warning(noise: dict[str, Any]) -> str | None:
    """What an A/A run says against its machine, with the remedy."""
    if noise["pairs"] < 2:
        return "one A/A pair does not tell how noisy this machine is: use more --pairs"
    said = f"noisy: an A/A run gave {sentences.noise_band(noise)}"
    bound = NOISY if noise["pairs"] >= MANY_PAIRS else NOISY_QUICK
    low, high = noise["low"] - 1, noise["high"] - 1
    if max(-low, high) > bound:
        return f"{said}, wider than ±{bound * 100:.0f} %: end other programs, or use more " "--pairs"
    if low > 0 or high < 0:
        return f"{said}, which does not contain 0: take smaller differences for none, or use more " "--pairs"
    return None


def run_warnings(run: Run) -> list[str]:
    """The warnings that follow from the A/A run and from all samples."""
    found = [noise_warning(run.noise) if run.noise else None, moved(run)]
    return [*filter(None, found), *warnings([s for cell in run.cells for s in cell.samples])]


def _levels(run: Run) -> Iterator[tuple[tuple[Any, ...], float, str]]:
    """Of every variant in every cell: what is the same where it is measured again, its cost, and a
    name for it."""
    for cell in run.cells:
        load = tuple(cell.workload.get(key) for key in ("name", "connections", "rate"))
        for one in cell.variants:
            same = (*load, one["subject"], tuple(one["args"]), one["cores"])
            cost = cell.median(one["name"], COST)
            if cost:
                yield same, cost, f"{cell.label(one['name']).removesuffix(' (again)')} in {cell.id}"


def moved(run: Run) -> str | None:
    """That one server under one load cost much more in one cell of the run than in another."""
    found: dict[tuple[Any, ...], list[tuple[float, str]]] = {}
    for same, cost, name in _levels(run):
        found.setdefault(same, []).append((cost, name))
    ends = [(min(levels), max(levels)) for levels in found.values()]
    if not ends:
        return None
    least, most = max(ends, key=lambda both: both[1][0] / both[0][0])
    if most[0] <= MOVED * least[0]:
        return None
    return (
        f"noisy: the machine changed meanwhile, for one server cost {least[0] / 1e3:.3g} µs per "
        f"request ({least[1]}) and {most[0] / 1e3:.3g} µs ({most[1]}): compare only what stood "
        "side by side, or run it again"
    )
