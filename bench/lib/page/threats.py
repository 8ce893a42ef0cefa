"""What could make a reader trust a run more than it deserves, each with a remedy."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any, Iterator, Sequence

from .. import remarks, results
from .html import Markup, join, tag
from .kind_compare import measured

FEW_PAIRS = 10
FEW_CPUS = 4
WIDE_NOISE = 0.04  # half of the A/A interval
STEAL = 0.01  # CPUs' worth taken by the hypervisor
DRIFT = 0.05  # between the first and the second half of the rounds
MANY_INTERVALS = 20
TAIL = 10  # observations beyond a percentile that make it worth showing

_ORDER = {"fail": 0, "limit": 1, "note": 2}
_WORDS = {"fail": "invalidates", "limit": "limits", "note": "to know"}


@dataclass(frozen=True)
class Threat:
    """One threat: how bad, a sentence, and what to do about it."""

    id: str
    level: str  # fail, limit, note
    text: str
    remedy: str


def find(run: results.Run) -> list[Threat]:
    """All threats of a run, the worst first; what doctor found comes with them."""
    found = [*_samples(run), *_noise(run), *_machine(run), *_program(run), *_always(run)]
    known = {threat.id for threat in found}
    for one in run.doctor:
        if one.get("level") in _ORDER and one.get("id") not in known:
            found.append(
                Threat(str(one.get("id")), one["level"], str(one.get("text") or ""), str(one.get("remedy") or ""))
            )
    return sorted(found, key=lambda threat: _ORDER[threat.level])


def _good(run: results.Run) -> list[results.Sample]:
    return [s for cell in run.cells for s in cell.samples if s.invalid is None]


def _samples(run: results.Run) -> Iterator[Threat]:
    everything = [sample for cell in run.cells for sample in cell.samples]
    good = _good(run)
    if len(good) < len(everything):
        yield Threat(
            "invalid",
            "fail",
            f"{len(everything) - len(good)} of {len(everything)} samples are invalid and " "left out of every figure.",
            "Mend the cause named beside each and run again.",
        )
    unlike = [cell.id for cell in run.cells if cell.answers not in (None, "alike")]
    if unlike:
        yield Threat(
            "answers",
            "fail",
            f"Answers differed between subjects in {_some(unlike)}.",
            "Compare only servers that answer the same bytes.",
        )
    unchecked = [cell.id for cell in run.cells if cell.answers is None]
    if unchecked:
        yield Threat(
            "unchecked",
            "limit",
            "The bytes of the answers were not compared in " f"{_some(unchecked)}.",
            "Run it again to the end.",
        )
    open_cells = [cell.id for cell in run.cells if not cell.complete]
    if open_cells or run.finished is None:
        where = f": {_some(open_cells)}" if open_cells else ""
        yield Threat(
            "unfinished", "limit", f"The run ended early, cells are missing or short{where}.", "Go on with --resume."
        )
    if not good:
        return
    few = min((len(cell.valid(name)) for cell in measured(run) for name in cell.names), default=0)
    if few < FEW_PAIRS and run.kind != "tune":
        yield Threat(
            "few-pairs",
            "limit",
            f"Some figures rest on {few} rounds; below {FEW_PAIRS} pairs intervals are wide "
            "and rest on the assumption that rounds are alike.",
            f"Measure at least {FEW_PAIRS} pairs: leave out --quick.",
        )
    full = [s for s in good if s.saturated in ("load", "both")]
    if full:
        yield Threat(
            "load-saturated",
            "limit",
            f"The load generator was out of CPU in {len(full)} of {len(good)} samples; "
            "their throughput and latency are its own, their CPU per request is not.",
            "Give the generator more cores, or run it on another machine.",
        )
    idle = [s for s in good if s.saturated == "neither"]
    closed = [
        cell.id
        for cell in run.cells
        if not cell.workload.get("rate") and any(s.saturated == "neither" for s in cell.samples if s.invalid is None)
    ]
    if closed and len(idle) * 2 > len(good):
        yield Threat(
            "unsaturated",
            "note",
            f"Neither side was out of CPU in most samples of {_some(closed)}: throughput " "there is no capacity.",
            "More connections; compare CPU per request there.",
        )
    if any(sum(s.errors.values()) for s in good):
        yield Threat(
            "errors",
            "limit",
            "Some requests failed in samples that count.",
            "See the errors in the result file; lower the load.",
        )
    unsent = [s for s in good if s.unsent]
    if unsent:
        yield Threat(
            "unsent",
            "limit",
            f"In {len(unsent)} open-loop samples requests were due and " "never sent: the tail is longer than shown.",
            "Lower the rate.",
        )
    thin = [
        cell.id
        for cell in run.cells
        if 0 < min((s.requests for s in cell.samples if not s.invalid), default=0) < TAIL * 1000
    ]
    if thin:
        yield Threat(
            "thin-tail",
            "note",
            f"Single rounds have few requests in {_some(thin)}: " f"p99.9 rests on fewer than {TAIL} of them.",
            "Longer rounds with --seconds.",
        )
    yield from _drift(run)


def _drift(run: results.Run) -> Iterator[Threat]:
    worst, where = 0.0, ""
    for cell in run.cells:
        for name in cell.names:
            costs = [s.cpu_ns_per_request for s in cell.valid(name) if s.cpu_ns_per_request]
            if len(costs) >= 6:
                half = len(costs) // 2
                change = statistics.median(costs[half:]) / statistics.median(costs[:half]) - 1
                if abs(change) > abs(worst):
                    worst, where = change, f"{cell.label(name)} in {cell.id}"
    if abs(worst) > DRIFT:
        text = f"{worst * 100:+.1f} %".replace("-", "−")
        yield Threat(
            "drift",
            "limit",
            f"Cost moved by {text} from the first half of the rounds to "
            f"the second ({where}): paired ratios bear it, absolute figures do not.",
            "Repeat when the machine is quiet.",
        )


def _noise(run: results.Run) -> Iterator[Threat]:
    noise = run.noise
    if not noise:
        yield Threat(
            "no-noise-floor",
            "limit",
            "No A/A run: how far two runs of one program " "differ here is not known.",
            "Run compare, which begins with one.",
        )
    else:
        half = max(noise["high"] - 1, 1 - noise["low"])
        if not noise["low"] <= 1 <= noise["high"]:
            yield Threat(
                "noise-biased",
                "fail",
                "The A/A run found a difference where there is "
                "none; small differences on this page may be as false.",
                "End other programs and repeat with more pairs.",
            )
        elif half > WIDE_NOISE:
            yield Threat(
                "noisy",
                "limit",
                f"Two runs of one program differ by up to "
                f"±{half * 100:.1f} % here: smaller differences cannot be seen.",
                "End other programs, or measure more pairs.",
            )
    good = _good(run)
    others = statistics.median(s.others_share for s in good) if good else 0
    if others > remarks.NOISY_OTHERS:
        yield Threat(
            "others", "limit", f"Other programs used {others * 100:.0f} % of a core while " "measuring.", "End them."
        )
    steal = max((s.steal_share for s in good), default=0)
    if steal > STEAL:
        yield Threat(
            "steal",
            "limit",
            "The host took CPU time away from this machine: up to " f"{steal * 100:.0f} % of a core in a sample.",
            "Use a dedicated host.",
        )
    count = sum(len(cell.ratios) for cell in run.cells)
    if count >= MANY_INTERVALS:
        yield Threat(
            "many-intervals",
            "note",
            f"Of {count} intervals at 95 % about " f"{round(count * 0.05)} miss the truth by chance alone.",
            "Repeat what surprises before believing it.",
        )


def _machine(run: results.Run) -> Iterator[Threat]:
    cpu = run.environment.get("cpu") or {}
    allowed = cpu.get("allowed") or []
    server, load = (set(run.pinning.get(side) or []) for side in ("server", "load"))
    if cpu.get("hypervisor"):
        yield Threat(
            "virtual",
            "limit",
            "This is a virtual machine: exits, steal and the host's " "other guests are part of every figure.",
            "Repeat on bare metal.",
        )
        if not any(s.steal_share for s in _good(run)):
            yield Threat(
                "shared-host",
                "note",
                "Whether other guests share the host's cores " "cannot be seen from here: no steal time was reported.",
                "Use a dedicated host.",
            )
    if 0 < len(allowed) < FEW_CPUS:
        yield Threat(
            "few-cores",
            "limit",
            f"Only {len(allowed)} CPUs: server and load take all, "
            "and interrupts and other programs run on the same ones.",
            f"Use a machine with at least {FEW_CPUS} cores.",
        )
    if not server or not load:
        yield Threat(
            "unpinned", "limit", "Server and load were not pinned to CPUs of their own.", "Allow at least two CPUs."
        )
    elif server & load:
        yield Threat("shared-cores", "limit", "Server and load share CPUs.", "Fewer server cores, or more CPUs.")
    siblings = cpu.get("siblings_of_cpu0") or []
    smt = cpu.get("smt")
    if len(siblings) > 1 or smt in (True, "on", "1"):
        both = set(siblings) & server and set(siblings) & load
        yield Threat(
            "smt",
            "limit" if both else "note",
            "Server and load share a physical core (SMT): each slows the other."
            if both
            else "SMT is on: a busy sibling makes a CPU slower.",
            "Turn SMT off: echo off > /sys/devices/system/cpu/smt/control.",
        )
    governor = cpu.get("governor")
    if governor is None:
        yield Threat(
            "frequency",
            "note",
            "The CPU's frequency governor cannot be read: whether " "the clock changes during a run is not known.",
            "Repeat where it can be set to performance.",
        )
    elif governor != "performance":
        yield Threat(
            "frequency",
            "limit",
            f"The CPU scales its frequency (governor {governor}).",
            "cpupower frequency-set -g performance.",
        )
    if str(cpu.get("boost")) == "1":
        yield Threat(
            "boost",
            "note",
            "Boost is on: the clock depends on how many cores are busy " "and how warm they are.",
            "echo 0 > /sys/devices/system/cpu/cpufreq/boost.",
        )
    yield from _mitigations(cpu.get("mitigations") or {}, run)


def _mitigations(found: dict[str, Any], run: results.Run) -> Iterator[Threat]:
    line = str(run.environment.get("kernel_command_line") or "")
    active = sorted(name for name, state in found.items() if str(state).startswith("Mitigation"))
    if "mitigations=off" in line.split():
        yield Threat(
            "mitigations",
            "note",
            "CPU mitigations are off: system calls are cheaper "
            "than on most machines, which favours the engine that makes more of them.",
            "Compare with mitigations as in production.",
        )
    elif active:
        yield Threat(
            "mitigations",
            "note",
            f"CPU mitigations are active ({', '.join(active)}): "
            "they make system calls dearer, which favours the engine that makes fewer.",
            "Compare with mitigations as in production.",
        )


def _program(run: results.Run) -> Iterator[Threat]:
    git = run.environment.get("git") or {}
    if git.get("dirty"):
        yield Threat(
            "dirty",
            "limit",
            "The source tree had changes that no commit holds: nobody " "can build this again.",
            "Commit, build and run again.",
        )
    elif not git.get("commit"):
        yield Threat("no-commit", "note", "The commit that was measured is not known.", "Run from a git checkout.")
    build = (run.environment.get("build") or {}).get("options") or {}
    kind, sanitize = build.get("buildtype"), build.get("b_sanitize")
    if kind in ("debug", "debugoptimized", "plain") or str(build.get("optimization")) in ("0", "g"):
        yield Threat(
            "debug",
            "fail" if kind != "debugoptimized" else "limit",
            f"The build is not a release build (buildtype {kind}).",
            "meson setup --buildtype=release.",
        )
    if sanitize not in (None, "", "none"):
        yield Threat(
            "sanitizer", "fail", f"The build runs under a sanitizer ({sanitize}).", "Build without b_sanitize."
        )


def _always(run: results.Run) -> Iterator[Threat]:
    large = [cell.id for cell in run.cells if results.moves_bodies(str(cell.workload.get("name")))]
    if large:
        yield Threat(
            "shared-work",
            "limit",
            f"{_some(large)}: a server that hands its pages to "
            "the socket (sendfile) leaves part of TCP's sending work to the receiver's "
            "CPU: on loopback the acknowledgements that make it send are processed on the "
            "load's CPU.",
            "Compare the CPU of server and load together, which compare gives beside " "it.",
        )
    yield Threat(
        "loopback",
        "limit",
        "Load and server talk over loopback: no network card, no "
        "interrupts of one, no loss, no distance; and they share caches and memory.",
        "Repeat with torc-load on a second machine.",
    )
    if any(not cell.workload.get("rate") for cell in run.cells):
        yield Threat(
            "closed-loop",
            "note",
            "In closed loop a slow server is asked less: latencies "
            "there compare servers, they are not what users would see.",
            "Ask the latency workload (open loop) about response times.",
        )


def _some(names: Sequence[str], most: int = 4) -> str:
    """A few names in words."""
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def listed(threats: Sequence[Threat]) -> Markup:
    """The list on the page."""
    return tag(
        "ul",
        join(
            tag(
                "li",
                tag("span", _WORDS[one.level], class_=f"tag {one.level}"),
                tag("b", one.text),
                tag("span", f"Remedy: {one.remedy}", class_="remedy") if one.remedy else "",
            )
            for one in threats
        ),
        class_="threats",
    )
