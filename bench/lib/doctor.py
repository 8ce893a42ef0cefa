"""torc-bench doctor: what this machine is, what will limit a run here, and how to lift it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import textwrap
from pathlib import Path
from typing import Iterable, Iterator

from . import doctor_cpu, doctor_limits, doctor_ring, doctor_versions
from .doctor_base import LEVELS, Finding, Machine

TOP = Path(__file__).resolve().parents[2]
DEFAULT_BUILD = TOP / "build/release"
HEADINGS = {
    "fail": "What makes comparing io_uring impossible here",
    "limit": "What will limit a run here",
    "note": "Worth knowing",
    "ok": "As it should be",
}
WIDTH = 96


def findings(
    build: Path = DEFAULT_BUILD, machine: Machine | None = None, rings: doctor_ring.Rings | None = None
) -> list[Finding]:
    """All findings, the worst first: about this machine, unless a test brings another."""
    machine = machine or Machine()
    found = [
        *doctor_ring.findings(machine, rings or doctor_ring.Kernel()),
        *doctor_cpu.findings(machine),
        *doctor_limits.findings(machine),
        *doctor_versions.findings(doctor_versions.versions(build)),
    ]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def conclusion(found: Iterable[Finding]) -> str:
    """One sentence."""
    levels = [finding.level for finding in found]
    if "fail" in levels:
        return "io_uring cannot be measured here until that is mended."
    count = levels.count("limit")
    if count == 0:
        return "Nothing limits a run here that doctor knows of."
    return f"Runs are possible here; {count} thing{'s limit' if count > 1 else ' limits'} them."


def _wrap(first: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False)


def _lines(found: list[Finding]) -> Iterator[str]:
    for level in LEVELS:
        chosen = [finding for finding in found if finding.level == level]
        if chosen:
            yield f"{HEADINGS[level]}:"
        for finding in chosen:
            yield from _wrap("  - ", finding.text)
            if finding.remedy:
                yield from _wrap("      ", "remedy: " + finding.remedy)
        if chosen:
            yield ""
    yield conclusion(found)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of torc-bench doctor."""
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument(
        "--build",
        type=Path,
        default=DEFAULT_BUILD,
        metavar="DIR",
        help="the build whose versions to tell (build/release)",
    )


def run(options: argparse.Namespace) -> int:
    """0, or 1 when comparing io_uring is impossible here."""
    found = findings(options.build)
    if options.json:
        content = {
            "format": 1,
            "findings": [dataclasses.asdict(finding) for finding in found],
            "versions": doctor_versions.versions(options.build),
            "conclusion": conclusion(found),
        }
        json.dump(content, sys.stdout, indent=1)
        print()
    else:
        print("\n".join(_lines(found)))
    return 1 if any(finding.level == "fail" for finding in found) else 0
