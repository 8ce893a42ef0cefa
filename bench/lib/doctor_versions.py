"""Versions of every part that a figure depends on."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import subprocess
from pathlib import Path
from typing import Callable, Sequence

from .doctor_base import Finding, note, ok
from .peers import PEERS

PARTS = ("torc", "liburing", "llhttp", "jemalloc", "compiler", "python", "matplotlib", *PEERS)
NEED = {"matplotlib": "the report needs it"}  # of parts that the bench itself uses


def _output(command: Sequence[str]) -> str | None:
    """What a short command prints; None where it is missing or fails."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout.strip() or done.stderr.strip()) if done.returncode == 0 else None


def _of_build(build: Path) -> dict[str, str | None]:
    """The compiler and libraries of a build, as Meson wrote them down."""
    found: dict[str, str | None] = {}
    try:
        info = json.loads((build / "meson-info/intro-compilers.json").read_text())
        found["compiler"] = info["host"]["c"]["full_version"]
    except (OSError, ValueError, KeyError):
        pass
    try:
        for part in json.loads((build / "meson-info/intro-dependencies.json").read_text()):
            found[part["name"].removeprefix("lib") if part["name"] == "libllhttp" else part["name"]] = (
                part.get("version") or None
            )
    except (OSError, ValueError, KeyError):
        pass
    return found


def _torc(build: Path) -> str | None:
    for path in (build / "src/torc", build / "torc"):
        text = _output([str(path), "--version"]) if path.is_file() else None
        found = re.search(r"\d+(\.\d+)+\S*", text or "")
        if found:
            return found[0]
    return None


def _matplotlib() -> str | None:
    try:
        return importlib.metadata.version("matplotlib")
    except importlib.metadata.PackageNotFoundError:
        return None


def versions(build: Path) -> dict[str, str | None]:
    """By part, None where it is not there. Libraries are those of the build, if there is one."""
    built = _of_build(build)
    asked: dict[str, Callable[[], str | None]] = {
        "torc": lambda: _torc(build),
        "liburing": lambda: _output(["pkg-config", "--modversion", "liburing"]),
        "llhttp": lambda: _output(["pkg-config", "--modversion", "libllhttp"]),
        "jemalloc": lambda: _output(["pkg-config", "--modversion", "jemalloc"]),
        "compiler": lambda: (_output(["cc", "--version"]) or "").split("\n")[0] or None,
        "python": platform.python_version,
        "matplotlib": _matplotlib,
        **{name: peer.version for name, peer in PEERS.items()},
    }
    return {part: built.get(part) or asked[part]() for part in PARTS}


def findings(found: dict[str, str | None]) -> list[Finding]:
    """One line with all versions, and one for each part that is missing."""
    there = ", ".join(f"{part} {text}" for part, text in found.items() if text)
    result = [ok("versions", there)]
    for name, peer in PEERS.items():
        missing = peer.missing()
        if missing:
            text, _, remedy = missing.partition(": ")
            result.append(note(f"no-{name}", f"{text}: it cannot be compared with", remedy or None))
    for part, need in NEED.items():
        if found.get(part) is None:
            result.append(note(f"no-{part}", f"{part} is not installed: {need}", "tools/setup --bench installs it"))
    if found.get("torc") is None:
        remedy = "bench/run builds it; or meson setup build/release && ninja -C build/release"
        result.append(note("no-build", "torc is not built yet", remedy))
    return result
