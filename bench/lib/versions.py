"""Versions of every part that a figure depends on, and what Meson wrote down of a build."""

import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

from .peers import PEERS
from .program import output, version
from .proc import ProcessError
from .subjects import binary

PACKAGES = {"liburing": "liburing", "llhttp": "libllhttp", "jemalloc": "jemalloc"}  # of pkg-config
OPTIONS = {"buildtype", "optimization", "b_lto", "b_ndebug", "b_sanitize", "c_args", "engines", "jemalloc"}


def package(part: str) -> str | None:
    return output(["pkg-config", "--modversion", PACKAGES[part]])


def _meson(build: Path, name: str, otherwise: Any) -> Any:
    try:
        return json.loads((build / f"meson-info/intro-{name}.json").read_text())
    except (OSError, ValueError):
        return otherwise


def compiler(build: Path) -> str | None:
    return _meson(build, "compilers", {}).get("host", {}).get("c", {}).get("full_version")


def build_options(build: Path) -> dict[str, Any]:
    return {one["name"]: one["value"] for one in _meson(build, "buildoptions", []) if one["name"] in OPTIONS}


def matplotlib() -> str | None:
    try:
        return importlib.metadata.version("matplotlib")
    except importlib.metadata.PackageNotFoundError:
        return None


def torc(build: Path) -> str | None:
    try:
        return binary(build, "torc")
    except ProcessError:
        return None


def versions(build: Path) -> dict[str, str | None]:
    """By part, None where it is not there. Libraries are those of the build, if there is one."""
    built = {one["name"]: one.get("version") for one in _meson(build, "dependencies", [])}
    server = torc(build)
    return {
        "torc": version(server) if server else None,
        **{part: built.get(name) or package(part) for part, name in PACKAGES.items()},
        "compiler": compiler(build) or (output(["cc", "--version"]) or "").split("\n")[0] or None,
        "python": platform.python_version(),
        "matplotlib": matplotlib(),
        **{name: peer.version() for name, peer in PEERS.items()},
    }
