"""The features of torc's io_uring engine: their names, their flags, and which this kernel has."""

import re
from pathlib import Path
from typing import AbstractSet, Callable, Sequence

from . import program

# A feature that is nothing without another, and one that the engine leaves out under another.
NEEDS = {"defer-taskrun": "single-issuer", "multishot": "buf-ring"}
HIDDEN_BY = {"coop-taskrun": "defer-taskrun"}

TITLES = {
    "single-issuer": "one thread submits",
    "defer-taskrun": "completion work when the core waits",
    "coop-taskrun": "no interrupts for completion work",
    "no-sqarray": "no index array in the submission queue",
    "submit-all": "submit past an entry that fails",
    "ring-fd": "registered ring descriptor",
    "buf-ring": "the kernel picks receive buffers",
    "multishot": "multishot accept and recv",
    "direct": "direct descriptors",
    "iowq-cap": "cap on kernel worker threads",
    "restrict": "ring restrictions",
    "sendfile": "pages of files handed to the socket, not copied",
}

Probe = Callable[[Sequence[str]], frozenset[str]]  # options -> the features that come of them


class FeatureError(Exception):
    """The server cannot be asked, or refuses; one line that says why."""


def known(help_text: str) -> list[str]:
    """The features that a server's --help lists, by the names that --check gives them. One whose flag is off by
    default is called by what it does without: --sqarray is no-sqarray."""
    section = re.search(r"^Features of the io_uring engine.*?\n(.*?)(\n\n|\Z)", help_text, re.MULTILINE | re.DOTALL)
    found = []
    for entry in re.split(r"^  (?=--)", section[1] if section else "", flags=re.MULTILINE):
        name = re.match(r"--\[no-\](\S+)", entry)
        if name:
            off = re.search(r"\(default\s+no\)", entry)
            found.append(("no-" if off else "") + name[1])
    return found


def _opposite(name: str) -> str:
    return name.removeprefix("no-") if name.startswith("no-") else f"no-{name}"


def flags(names: Sequence[str], on: AbstractSet[str]) -> tuple[str, ...]:
    """The options that switch exactly these features on and the others of names off."""
    return tuple(f"--{name if name in on else _opposite(name)}" for name in names)


def setting(name: str, on: bool) -> tuple[str, str]:
    """The line of a configuration file for a feature, as its two sides."""
    return name.removeprefix("no-"), "yes" if on != name.startswith("no-") else "no"


def effective(on: AbstractSet[str]) -> frozenset[str]:
    """What the engine makes of a wanted set: dependents go with what they need."""
    result = {name for name in on if NEEDS.get(name, name) in on}
    return frozenset(name for name in result if HIDDEN_BY.get(name) not in result)


def available(names: Sequence[str], probe: Probe) -> frozenset[str]:
    """The features this kernel has: those that come of asking for all, hidden ones included."""
    everything = set(names)
    found = set(probe(flags(names, everything)))
    for hidden, hider in HIDDEN_BY.items():
        if hidden in everything - found:
            found |= probe(flags(names, everything - {hider})) & {hidden}
    return frozenset(found & everything)


def ask(binary: Path, *arguments: str) -> str:
    """What a server prints and ends; FeatureError with its own words when it refuses."""
    said = program.ask(binary, *arguments)
    if said.status != 0:
        raise FeatureError(said.why)
    return said.text


def prober(binary: Path, always: Sequence[str] = ()) -> Probe:
    """Asks this server's --check which features it would run with, besides what it always has."""

    def probe(options: Sequence[str]) -> frozenset[str]:
        text = ask(binary, "--check", "--engine", "io_uring", *always, *options)
        line = re.search(r"^features +(.*)$", text, re.MULTILINE)
        if line is None:
            raise FeatureError(f"{binary.name} --check lists no features")
        return frozenset(line[1].split())

    return probe
