"""What a reader must know before the figures, each with its remedy: samples that do not count, a
load generator that was the bottleneck, a noisy machine."""

from __future__ import annotations

import statistics
from typing import Any, Sequence

from .results import COST, Cell, Run, Sample
from .verdict import Noise, noise_band

NOISY_QUICK, NOISY = 0.04, 0.02  # half widths of the A/A interval, below and from MANY_PAIRS on
MANY_PAIRS = 10
NOISY_OTHERS = 0.10  # CPUs' worth
NOISY_STEAL = 0.02
MOVED = 1.5  # times a server's lowest cost that its highest may be, from cell to cell
UNSENT = 0.01  # of the requests of an open loop


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
        notes.append(
            f"{', '.join(map(cell.label, bound))}: the load generator was the bottleneck, so requests/s say nothing "
            "about the server: compare CPU per request, or give the load generator more CPUs"
            + (f" (it advises: {advice})" if advice else "")
        )
    for name, mine in samples.items():
        unsent = sum(s.unsent for s in mine)
        if unsent > UNSENT * max(sum(s.requests for s in mine), 1):
            others = disturbed(mine)
            why = others_used(others) if others > NOISY_OTHERS else f"{_rate(cell)} exceeds its capacity"
            notes.append(f"{cell.label(name)}: {unsent:,} requests were due but not sent: {why}")
    return notes


def _rate(cell: Cell) -> str:
    """The rate of an open loop, and the share of the measured capacity that it was meant to be."""
    percent, slowest = cell.factors.get("load_percent"), str(cell.factors.get("slowest"))
    share = f", {percent} % of the measured capacity of {cell.label(slowest)}," if percent else ""
    return f"the rate of {cell.workload.get('rate', 0):,.0f} requests/s{share}"


def disturbed(samples: Sequence[Sample]) -> float:
    """CPUs' worth that other programs used in the median sample."""
    return statistics.median(sample.others_share for sample in samples) if samples else 0.0


def others_used(others: float) -> str:
    """What other programs did, in words."""
    return f"other programs used {others * 100:.0f} % of a CPU"


def disturbance(others: float) -> list[str]:
    """The warning about other programs, if they used enough for one."""
    if others <= NOISY_OTHERS:
        return []
    return [f"noisy: {others_used(others)} in the median sample: stop them and run again"]


def warnings(samples: Sequence[Sample]) -> list[str]:
    """What makes all figures worth less."""
    lines = disturbance(disturbed(samples))
    stolen = statistics.mean(sample.steal_share for sample in samples) if samples else 0.0
    if stolen > NOISY_STEAL:
        lines.append(
            f"noisy: the hypervisor took {stolen * 100:.0f} % of a CPU (steal): use a machine that is not shared, "
            "or more --pairs"
        )
    return lines


def noise_warning(noise: Noise) -> str | None:
    """What an A/A run says against its machine."""
    if noise["pairs"] < 2:
        return "a single A/A pair does not show how noisy this machine is: use more --pairs"
    bound = NOISY if noise["pairs"] >= MANY_PAIRS else NOISY_QUICK
    low, high = noise["low"] - 1, noise["high"] - 1
    if max(-low, high) > bound:
        wrong = f"wider than ±{bound * 100:.0f} %: stop other programs"
    elif low > 0 or high < 0:
        wrong = "which excludes 0: ignore smaller differences"
    else:
        return None
    return f"noisy: the A/A run gave {noise_band(noise)}, {wrong}, or use more --pairs"


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
    if most[0] <= MOVED * least[0]:
        return None
    return (
        f"noisy: the machine changed during the run: the same server cost {least[0] / 1e3:.3g} µs per request "
        f"({least[1]}) and {most[0] / 1e3:.3g} µs ({most[1]}): compare only what ran side by side, or run it again"
    )


def run_warnings(run: Run) -> list[str]:
    """The warnings that follow from the A/A run and from all samples."""
    found = [noise_warning(run.noise) if run.noise else None, moved(run)]
    return [*filter(None, found), *warnings([sample for cell in run.cells for sample in cell.samples])]
