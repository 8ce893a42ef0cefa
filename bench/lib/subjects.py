"""The servers that can be compared, and how each is started on its CPUs."""

import functools
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Sequence

from . import program
from .peers import PEERS
from .proc import ProcessError
from .subject import Place, Subject, SubjectError, Variant
from .workloads import WORKLOADS

ENGINES = {"io_uring": "torc io_uring", "epoll": "torc epoll", "threads": "torc threads"}
FLOORS = {"floor-uring": "floor io_uring", "floor-epoll": "floor epoll", "floor-threads": "floor threads"}
# The classic model needs a thread per connection: as many as the workloads have that keep all of them busy.
THREADS = 256
THREADED = frozenset(WORKLOADS) - {"idle"}
FLOOR_WORKLOADS = frozenset({"plaintext", "pipelined", "short-lived", "idle", "latency"})
# Seconds that servers are given at least which compile while they run. Each sample has a fresh one.
WARMUP = {"java": 3.0, "node": 1.0}
GROUPS = {"floor": ("floor-uring", "floor-epoll")}  # what one word of the user stands for
COMMAND = re.compile(r"(?P<name>[A-Za-z][\w.-]*)(:(?P<port>\d+))?=(?P<words>.+)", re.DOTALL)


def binary(build: Path, name: str) -> str:
    """The executable of that name, wherever the build directory keeps it."""
    # Not rglob, which fails where a directory is removed meanwhile.
    found = (Path(where, name) for where, _, names in os.walk(build) if name in names)
    for path in sorted(found):
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    more = " (meson configure -Dbench=true)" if name.startswith("floor-") else ""
    setup = "" if (build / "build.ninja").is_file() else f"tools/setup --build && meson setup {build} && "
    raise ProcessError(f"no {name} in {build}: build it with {setup}meson compile -C {build}{more}")


def _refused(engine: str, place: Place) -> str | None:
    """Asks torc itself: it looks at its build and at the kernel."""
    said = program.check(binary(place.build, "torc-lab"), "--engine", engine)
    return {0: None, 2: f"this build has no {engine} engine"}.get(said.status, said.why)


def _torc(engine: str) -> Subject:
    def command(place: Place, port: int, cores: int) -> list[str]:
        words = [binary(place.build, "torc-lab"), "--engine", engine, "--cores", str(cores)]
        words += ["--threads", str(THREADS)] if engine == "threads" else []
        listen = ["--listen", f"127.0.0.1:{port}", "--admin", "127.0.0.1:0"]
        return [*words, *listen, "--root", str(place.www / "static")]

    refusal = functools.partial(_refused, engine)
    serves = THREADED if engine == "threads" else None
    return Subject(engine, ENGINES[engine], command, serves, says_when_ready=True, takes_args=True, refusal=refusal)


def _floor(name: str) -> Subject:
    def command(place: Place, port: int, cores: int) -> list[str]:
        return [binary(place.build, name), "--listen", f"127.0.0.1:{port}", "--cores", str(cores)]

    serves = FLOOR_WORKLOADS & THREADED if name == "floor-threads" else FLOOR_WORKLOADS
    refusal = functools.partial(_refused, "io_uring") if name == "floor-uring" else lambda place: None
    return Subject(name, FLOORS[name], command, serves, says_when_ready=True, refusal=refusal)


def words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise SubjectError(f"takes words as a shell does: {error}") from error


def user_command(text: str) -> Subject:
    """A subject from NAME=COMMAND with {port} in it, or from NAME:PORT=COMMAND."""
    found = COMMAND.fullmatch(text)
    if not found or not found["words"].strip():
        raise SubjectError(f"takes NAME='COMMAND --port {{port}}' or NAME:PORT=COMMAND, not {text!r}")
    name, fixed, own = found["name"], int(found["port"] or 0), words(found["words"])
    if not fixed and "{port}" not in found["words"]:
        raise SubjectError(f"{name} needs its port: {{port}} in the command, or {name}:PORT=COMMAND")
    if fixed > 65535:
        raise SubjectError(f"takes a port up to 65535, not {fixed}")
    if name in known() or name in GROUPS:
        raise SubjectError(f"{name} is already the name of a subject")

    def command(place: Place, port: int, cores: int) -> list[str]:
        filled = {"{port}": str(port), "{cores}": str(cores), "{www}": str(place.www)}
        return [re.sub(r"\{(port|cores|www)\}", lambda found: filled[found[0]], word) for word in own]

    def refusal(place: Place) -> str | None:
        first = command(place, fixed, 1)[0]
        return None if shutil.which(first) else f"no program {first}"

    return Subject(name, name, command, port=fixed, trusted=False, refusal=refusal)


@functools.cache
def known() -> dict[str, Subject]:
    """All subjects that have a name of their own."""
    engines = {name: _torc(name) for name in ENGINES}
    return {**engines, **{name: _floor(name) for name in FLOORS}, **PEERS}


def expand(words: Sequence[str]) -> list[str]:
    """The user's names with groups spelled out, each once, in their order."""
    return list(dict.fromkeys(name for word in words for name in GROUPS.get(word, (word,))))


def variant(name: str, *args: str, cores: int = 1, subject: str | None = None, label: str | None = None) -> Variant:
    """A variant of a known subject (or of a command: then subject is its name too)."""
    of = subject or name
    plain = known()[of].label if of in known() else of
    return Variant(name, label or (plain if of == name else f"{plain}, {' '.join(args)}"), of, args, cores)
