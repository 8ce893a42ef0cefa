"""What arithmetic allows a closed loop, connections ÷ delay; how much of that a server reaches, and
what keeps it below."""

import re
import statistics
from typing import Any, Mapping, Sequence

from .verdict import Verdict
from .words import say

SATURATED = 0.95  # of the CPUs that a program has
NEAR = 0.95  # of the ceiling, from which on nothing keeps a server below it
APART = 0.02  # shares that differ by less are told with a decimal
IDLE = 0.10  # of its CPUs: a server with less to spare does not just wait
DELAY = re.compile(r"/delay/(?:(\d{1,9})|\{rand:(\d{1,9}):(\d{1,9})\})")
Samples = Sequence[Any]  # results.Sample


def limit(workload: Mapping[str, Any]) -> float | None:
    """The requests/s that a workload's connections can have where nothing takes time but the delays that they
    ask for; None where that is not known."""
    found = [DELAY.fullmatch(path) for path in workload.get("paths") or ()]
    if workload.get("rate") or workload.get("pipeline", 1) > 1 or not found:
        return None
    ends = [(one[1] or one[2], one[1] or one[3]) for one in found if one]
    mean = statistics.mean(int(end) for both in ends for end in both) if len(ends) == len(found) else 0
    return workload["connections"] * 1000 / mean if mean else None


def share(workload: Mapping[str, Any], per_second: float) -> float | None:
    """How much of it a server reaches."""
    most = limit(workload)
    return round(per_second / most, 4) if most else None


def held_back(samples: Samples) -> tuple[str, float]:
    """What keeps a server below its ceiling in most samples: full CPUs (server, load, both), other programs that had
    the CPUs (others), or nothing (idle), as far as that is known (busy); with the share of time that says so."""

    def full(who: str) -> bool:
        return sum(sample.saturated in (who, "both") for sample in samples) * 2 > len(samples)

    def median(name: str) -> float | None:
        known = [one for sample in samples if (one := getattr(sample, name)) is not None]
        return statistics.median(known) if known else None

    busy = median("server_share") or 0.0
    if full("server") or full("load"):
        return "both" if full("server") and full("load") else "server" if full("server") else "load", busy
    waited = median("waited_share") or 0.0
    if waited > 1:  # more than all the time: its own threads wait for each other's CPU
        waited = 0.0
    idle, kept = median("idle_share"), max(waited, median("load_waited_share") or 0.0)
    if idle is None or max(idle, kept) < IDLE:
        return "busy", busy
    return ("idle", idle) if idle > kept else ("others", kept)


def is_own(cell: Any, one: str, other: str, verdict: Verdict) -> bool:
    """Whether a difference is the worse server's own: neither the load generator nor other programs kept it below."""
    worse = one if verdict.kind == "less" else other
    return held_back(cell.valid(worse))[0] not in ("load", "others")


def sentence(cell: Any, one: str, other: str, verdict: Verdict) -> str:
    """How much of the ceiling two variants of a cell reach, and what keeps the worse below it."""
    if verdict.kind not in ("less", "more"):
        return verdict.sentence(cell.label(one), cell.label(other))
    worse, better = (one, other) if verdict.kind == "less" else (other, one)
    shares = [cell.median(name, verdict.metric) for name in (better, worse)]
    held = held_back(cell.valid(worse)) if shares[1] < NEAR else ("", 0.0)
    cores = next(variant["cores"] for variant in cell.variants if variant["name"] == worse)
    v = verdict if verdict.kind == "less" else verdict.inverse
    return say("reach", v, cell.label(better), cell.label(worse), _percents(shares), *held, cores)


def _percents(shares: Sequence[float]) -> list[str]:
    """As few digits as tell them apart."""
    digits = 0 if max(shares) - min(shares) >= APART else 1
    return [f"{one * 100:.{digits}f}" for one in shares]
