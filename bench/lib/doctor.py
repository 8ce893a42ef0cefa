"""torc-bench doctor: all findings about this machine, and a conclusion."""

import argparse
import dataclasses
import json
import textwrap
from pathlib import Path
from typing import Iterable, Iterator

from . import doctor_cpu, doctor_limits, doctor_ring, versions
from .finding import LEVELS, Finding, find
from .host import Machine
from .options import DEFAULT_BUILD
from .peers import PEERS

SUMMARY = "what this machine is, what will limit a run here, and how to lift it"
HEADINGS = {
    "fail": "What makes comparing io_uring impossible here",
    "limit": "What will limit a run here",
    "note": "Worth knowing",
    "ok": "As it should be",
}
WIDTH = 96


def of_versions(found: dict[str, str | None]) -> Iterator[Finding]:
    """One line with all versions, and one for each part that is missing."""
    yield find("versions", versions=", ".join(f"{part} {text}" for part, text in found.items() if text))
    for name, peer in PEERS.items():
        if missing := peer.refusal():
            text, _, remedy = missing.partition(": ")
            yield Finding(f"no-{name}", "note", f"{text}: it cannot be compared with", remedy or None)
    if found["matplotlib"] is None:
        yield find("no-matplotlib")


def findings(build: Path = DEFAULT_BUILD, machine: Machine | None = None) -> list[Finding]:
    """All findings, the worst first: about this machine, unless a test brings another."""
    machine = machine or Machine()
    found = [
        *doctor_ring.findings(machine, versions.torc(build)),
        *doctor_cpu.findings(machine),
        *doctor_limits.findings(machine),
        *of_versions(versions.versions(build)),
    ]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def conclusion(found: Iterable[Finding]) -> str:
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
    parser.add_argument("--json", action="store_true", help="for machines")
    text = "the build whose versions to tell (build/release)"
    parser.add_argument("--build", type=Path, default=DEFAULT_BUILD, metavar="DIR", help=text)


def run(options: argparse.Namespace) -> int:
    """0, or 1 when comparing io_uring is impossible here."""
    found = findings(options.build)
    if options.json:
        content = {
            "format": 1,
            "findings": [dataclasses.asdict(finding) for finding in found],
            "versions": versions.versions(options.build),
            "conclusion": conclusion(found),
        }
        print(json.dumps(content, indent=1))
    else:
        print("\n".join(_lines(found)))
    return 1 if any(finding.level == "fail" for finding in found) else 0
