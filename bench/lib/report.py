"""What a run says to a person: a table per workload, ratios, one sentence for each, warnings."""

from __future__ import annotations

import statistics
from typing import Callable, Sequence

from . import stats, table
from .measure import Sample, saturated
from .subjects import SUBJECTS
from .workloads import Workload

NOISY_SPREAD = 0.04  # median absolute deviation of a floor's cost over its median
NOISY_OTHERS = 0.10  # of a core, used by other programs
MANY_ROUNDS = 6  # below that the bootstrap interval is the range of the ratios
REOPENED = 0.05  # of the connections


def _median(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    return statistics.median(value(sample) for sample in samples)


def valid(samples: Sequence[Sample], subject: str) -> list[Sample]:
    """The samples of one subject that count."""
    return [s for s in samples if s.subject == subject and s.invalid is None]


def invalid_lines(samples: Sequence[Sample]) -> list[str]:
    """The samples that do not count, and why."""
    return [
        f"  INVALID round {s.round}, {SUBJECTS[s.subject].label}: {s.invalid}"
        for s in samples
        if s.invalid is not None
    ]


def cost_table(samples: Sequence[Sample], subjects: Sequence[str]) -> str:
    """One row per subject with medians over its valid samples."""
    header = ("", "CPU µs/request", "min–max", "requests/s", "p50", "p99", "server", "load",
              "saturated")  # fmt: skip
    rows = []
    for name in subjects:
        mine = valid(samples, name)
        if not mine:
            rows.append((SUBJECTS[name].label, *["–"] * (len(header) - 1)))
            continue
        costs = [sample.cpu_ns_per_request for sample in mine]
        server = _median(mine, lambda s: s.server_share)
        load = _median(mine, lambda s: s.load_share)
        rows.append((
            SUBJECTS[name].label,
            table.cost(statistics.median(costs)),
            f"{table.cost(min(costs))}–{table.cost(max(costs))}",
            table.thousands(_median(mine, lambda s: s.per_second)),
            table.microseconds(_median(mine, lambda s: s.latency_us["p50"] or 0)),
            table.microseconds(_median(mine, lambda s: s.latency_us["p99"] or 0)),
            table.percent(server),
            table.percent(load),
            saturated(server, load),
        ))  # fmt: skip
    return table.table(header, rows)


def ratio(samples: Sequence[Sample], numerator: str, denominator: str) -> stats.Interval | None:
    """CPU per request of one subject over another's, paired by round."""
    sides = [{s.round: s.cpu_ns_per_request for s in valid(samples, name)}
             for name in (numerator, denominator)]  # fmt: skip
    ratios = stats.paired_ratios(*sides)
    return stats.bootstrap_median(ratios) if ratios else None


def verdict(numerator: str, denominator: str, interval: stats.Interval) -> str:
    """One sentence that claims no more than the interval."""
    low, high = interval.low - 1, interval.high - 1
    pair = f"{numerator} and {denominator}"
    if interval.count == 1:
        return f"{pair}: one round says nothing about a difference."
    if interval.contains_one:
        text = f"{pair}: no difference detectable within ±{max(-low, high) * 100:.1f} %"
    else:
        word = "less" if high < 0 else "more"
        near, far = sorted((abs(low), abs(high)))
        text = (f"{numerator} uses {abs(interval.median - 1) * 100:.1f} % {word} CPU per request "
                f"than {denominator} ({near * 100:.1f} to {far * 100:.1f} %)")  # fmt: skip
    if interval.count < MANY_ROUNDS:
        text += f"; with {interval.count} rounds that is only their range"
    return text + "."


def ratio_lines(samples: Sequence[Sample], ratios: Sequence[tuple[str, str]]) -> list[str]:
    """CPU per request set in ratio, with the verdict of each."""
    rows, sentences = [], []
    for numerator, denominator in ratios:
        interval = ratio(samples, numerator, denominator)
        if interval is None:
            continue
        names = SUBJECTS[numerator].label, SUBJECTS[denominator].label
        rows.append((f"{names[0]} ÷ {names[1]}", f"{interval.median:.3f}",
                     f"{interval.low:.3f}–{interval.high:.3f}", str(interval.count)))  # fmt: skip
        sentences.append(f"  {verdict(*names, interval)}")
    if not rows:
        return []
    header = ("CPU per request, paired by round", "median", "95 % interval", "rounds")
    return [table.table(header, rows), "", *sentences]


def delay_lines(workload: Workload, samples: Sequence[Sample],
                subjects: Sequence[str]) -> list[str]:  # fmt: skip
    """Whether answers that wait cost time beyond their wait, or a core was simply full."""
    ideal = workload.connections * 1000 / workload.delay_ms
    lines = [f"  connections ÷ delay = {table.thousands(ideal)} requests/s"]
    for name in subjects:
        mine = valid(samples, name)
        if not mine:
            continue
        rate = _median(mine, lambda s: s.steady_per_second)
        mean = _median(mine, lambda s: s.latency_us["mean"] or 0)
        server, load = _median(mine, lambda s: s.server_share), _median(mine, lambda s: s.load_share)
        full = saturated(server, load)
        why = {"server": "the server's core is full", "load": "the load's core is full",
               "both": "both cores are full", "neither": "neither core is full"}[full]  # fmt: skip
        lines.append(
            f"  {SUBJECTS[name].label}: {table.thousands(rate)} requests/s, {rate / ideal * 100:.1f} % "
            f"of that; mean latency {mean / 1000:.2f} ms, connections ÷ mean latency "
            f"{table.thousands(workload.connections * 1e6 / mean if mean else 0)}; {why} "
            f"(server {table.percent(server)}, load {table.percent(load)}).")  # fmt: skip
    return lines


def warnings(samples: Sequence[Sample]) -> list[str]:
    """What makes these figures worth less, each with its remedy."""
    lines = []
    for name in ("floor-uring", "floor-epoll"):
        costs = [s.cpu_ns_per_request for s in valid(samples, name) if s.workload == "plaintext"]
        if len(costs) < 3:
            continue
        spread = stats.median_deviation(costs) / statistics.median(costs)
        if spread > NOISY_SPREAD:
            lines.append(
                f"noisy: {SUBJECTS[name].label} varied by ±{spread * 100:.0f} % (median deviation) "
                f"from run to run; end other programs, or use --rounds 30")  # fmt: skip
    if samples:
        others = _median(samples, lambda s: s.others_share)
        if others > NOISY_OTHERS:
            lines.append(f"noisy: other programs used {others * 100:.0f} % of a core; end them")
    reopened = [s for s in samples if s.reopened > REOPENED * s.connections + 16]
    if reopened:
        worst = max(reopened, key=lambda s: s.reopened / s.connections)
        lines.append(
            f"in {len(reopened)} of {len(samples)} samples more connections were accepted than kept "
            f"({worst.reopened} in {worst.workload}, {SUBJECTS[worst.subject].label}): either a "
            "server closes connections or another program opens some; end other programs and see "
            "whether it stays")  # fmt: skip
    return lines
